"""Delegation tokens: credentials that act for their owner, renewed by whom they name until their last day."""

import json

import pytest
from conftest import keys_of, new_name
from harness.clients import boto
from harness.server import ALICE, BOB, ROOT_KEYS, wait_until
from harness.sigv4 import Signer
from harness.wire import Request, exchange
from support import refused

S3_FULL = "arn:aws:iam::aws:policy/AmazonS3FullAccess"


def ask(server, method, keys, token=None, **query):
    text = "&".join(f"{name.replace('_', '-')}={value}" for name, value in sorted(query.items()))
    request = Request(method, "/delegation-token", text)
    if token:
        request.set("x-amz-security-token", token)
    return exchange(server.admin, Signer(*keys).sign(request, server.admin))


def told(response):
    assert response.status == 200, str(response)
    return json.loads(response.body)


def no(response, status, code):
    assert (response.status, json.loads(response.body)["code"]) == (status, code), str(response)


class Token:
    def __init__(self, server, keys, **query):
        answer = told(ask(server, "POST", keys, **query))
        given, self.shown = answer["Credentials"], answer["Token"]
        self.id, self.session = given["AccessKeyId"], given["SessionToken"]
        self.pair = self.id, given["SecretAccessKey"]
        self.s3 = boto(server.endpoint, self.pair, token=self.session, signature_version="s3v4")

    def client(self, server, service):
        return boto(server.endpoint, self.pair, service=service, token=self.session)


@pytest.fixture
def user(user, iam):
    """A user of Alice's who may everything with S3: a name, and the keys."""
    iam.attach_user_policy(UserName=user[0], PolicyArn=S3_FULL)
    return user


def test_a_token_acts_as_its_owner_with_the_powers_of_the_moment(server, iam, bucket, user):
    name, keys = user
    token = Token(server, keys)
    token.s3.put_object(Bucket=bucket, Key="k", Body=b"by a job")
    assert token.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"by a job"
    assert exchange_url(token.s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"})) == 200
    arn = f"arn:aws:iam::{ALICE.account}:user/suite/{name}"
    assert token.client(server, "sts").get_caller_identity()["Arn"] == token.shown["Owner"] == arn
    iam.detach_user_policy(UserName=name, PolicyArn=S3_FULL)
    with refused("AccessDenied", 403):
        token.s3.get_object(Bucket=bucket, Key="k")


def exchange_url(url):
    from harness.server import http_get
    return http_get(url)[0]


def test_without_its_session_token_it_opens_nothing(server, bucket):
    token = Token(server, keys_of(ALICE))
    for session in (None, token.session[:-4] + "AAAA"):
        with refused("InvalidToken", 400):
            boto(server.endpoint, token.pair, token=session).list_objects_v2(Bucket=bucket)


def test_only_the_renewer_renews(server, iam, user):
    name, keys = user
    token = Token(server, keys_of(ALICE), renewer=name)
    assert token.shown["Renewer"].endswith(f":user/suite/{name}") and token.shown["Owner"].endswith(":root")
    assert "Expiration" in told(ask(server, "PUT", keys, id=token.id))
    for others in (keys_of(ALICE), keys_of(BOB), ROOT_KEYS):
        no(ask(server, "PUT", others, id=token.id), 403, "AccessDenied")
    # Another account may be named, by its number, its id or its ARN; and one's own.
    for renewer, keys in ((BOB.account, keys_of(BOB)), (BOB.id, keys_of(BOB)), (f"arn:aws:iam::{BOB.account}:root", keys_of(BOB)), (ALICE.id, keys_of(ALICE))):
        token = Token(server, keys_of(ALICE), renewer=renewer.replace(":", "%3A"))
        told(ask(server, "PUT", keys, id=token.id))
    no(ask(server, "POST", keys_of(ALICE), renewer="nobody"), 404, "NoSuchEntity")
    # One that names nobody is renewed by nobody.
    no(ask(server, "PUT", keys_of(ALICE), id=Token(server, keys_of(ALICE)).id), 403, "AccessDenied")


def test_a_renewer_made_again_under_the_same_name_is_another(server, iam):
    name = new_name("user")

    def make():
        iam.create_user(UserName=name)
        pair = iam.create_access_key(UserName=name)["AccessKey"]
        return pair["AccessKeyId"], pair["SecretAccessKey"]
    first = make()
    token = Token(server, keys_of(ALICE), renewer=name)
    told(ask(server, "PUT", first, id=token.id))
    iam.delete_access_key(UserName=name, AccessKeyId=first[0])
    iam.delete_user(UserName=name)
    no(ask(server, "PUT", make(), id=token.id), 403, "AccessDenied")


def test_a_token_that_is_not_renewed_ends_and_none_outlives_its_last_day(new_server):
    server = new_server(config='[om]\ntoken_renew_interval = "3s"\ntoken_max_lifetime = "7s"\n')
    server.start().wait_ready()
    left, kept = (Token(server, keys_of(ALICE), renewer=BOB.id) for _ in range(2))
    renewals = 0

    def has_ended(token):
        nonlocal renewals
        response = ask(server, "PUT", keys_of(BOB), id=kept.id)
        renewals += response.status == 200
        try:
            token.s3.list_buckets()
        except token.s3.exceptions.ClientError as error:
            return error.response["Error"]["Code"] == "ExpiredToken"
        return False
    wait_until(lambda: has_ended(left), 6, "the token that nobody renews ends")
    kept.s3.list_buckets()
    wait_until(lambda: has_ended(kept), 10, "the other ends, too, however often it is renewed")
    assert renewals > 1
    no(ask(server, "PUT", keys_of(BOB), id=kept.id), 400, "ExpiredTokenException")
    short = Token(server, keys_of(ALICE), max_lifetime=1)
    wait_until(lambda: has_ended(short), 4, "one that was asked for to be short ends sooner")
    no(ask(server, "POST", keys_of(ALICE), max_lifetime=8), 400, "ValidationError")


@pytest.mark.parametrize("who", ["owner", "renewer", "account", "administrator"])
def test_a_cancelled_token_fails_the_next_request(server, bucket, user, who):
    name, keys = user
    token = Token(server, keys, renewer=BOB.account)
    token.s3.list_objects_v2(Bucket=bucket)
    canceller = {"owner": keys, "renewer": keys_of(BOB), "account": keys_of(ALICE), "administrator": ROOT_KEYS}[who]
    assert told(ask(server, "DELETE", canceller, id=token.id)) == {}
    with refused("InvalidAccessKeyId", 403):
        token.s3.list_objects_v2(Bucket=bucket)
    no(ask(server, "DELETE", canceller, id=token.id), 404, "NoSuchEntity")


def test_nobody_else_cancels(server, bucket, user):
    _, keys = user
    for owner, stranger in ((keys_of(ALICE), keys_of(BOB)), (keys_of(ALICE), keys)):
        token = Token(server, owner)
        no(ask(server, "DELETE", stranger, id=token.id), 403, "AccessDenied")
        token.s3.list_objects_v2(Bucket=bucket)


def test_a_token_ends_with_the_key_that_asked_for_it(server, iam, bucket, user):
    name, keys = user
    token = Token(server, keys)
    token.s3.list_objects_v2(Bucket=bucket)
    iam.update_access_key(UserName=name, AccessKeyId=keys[0], Status="Inactive")
    with refused("InvalidAccessKeyId", 403):
        token.s3.list_objects_v2(Bucket=bucket)
    iam.update_access_key(UserName=name, AccessKeyId=keys[0], Status="Active")
    token.s3.list_objects_v2(Bucket=bucket)
    iam.delete_access_key(UserName=name, AccessKeyId=keys[0])
    with refused("InvalidAccessKeyId", 403):
        token.s3.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize("owner", [keys_of(ALICE), ROOT_KEYS], ids=["an account's", "an administrator's"])
def test_a_token_gets_nobody_anything_that_outlasts_it(server, iam, owner):
    token = Token(server, owner, renewer=ALICE.id)
    token.s3.list_buckets()
    for call in (lambda: token.client(server, "iam").list_users(), lambda: token.client(server, "iam").create_access_key(),
                 lambda: token.client(server, "sts").get_session_token()):
        with refused("AccessDenied", 403):
            call()
    for method, query in (("POST", {}), ("GET", {}), ("PUT", {"id": token.id}), ("DELETE", {"id": token.id})):
        no(ask(server, method, token.pair, token.session, **query), 403, "AccessDenied")
    for method, path in (("PUT", "/secret"), ("DELETE", "/secret"), ("PUT", f"/secret/{BOB.id}"), ("GET", "/admin/v1/status"), ("GET", "/admin/v1/accounts")):
        request = Request(method, path).set("x-amz-security-token", token.session)
        no(exchange(server.admin, Signer(*token.pair).sign(request, server.admin)), 403, "AccessDenied")
    token.s3.list_buckets()


def test_a_token_takes_no_role(server, iam, user):
    name, keys = user
    role = new_name("role")
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ALICE.account}:user/suite/{name}"}, "Action": "sts:AssumeRole"}
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))["Role"]["Arn"]
    boto(server.endpoint, keys, service="sts").assume_role(RoleArn=arn, RoleSessionName="work")
    with refused("AccessDenied", 403):
        Token(server, keys).client(server, "sts").assume_role(RoleArn=arn, RoleSessionName="work")


def test_a_temporary_credential_gets_no_token(server):
    session = boto(server.endpoint, keys_of(ALICE), service="sts").get_session_token()["Credentials"]
    no(ask(server, "POST", (session["AccessKeyId"], session["SecretAccessKey"]), session["SessionToken"]), 403, "AccessDenied")
    no(ask(server, "POST", ("AKIDNOBODY", "x")), 403, "InvalidAccessKeyId")


def test_tokens_are_listed_to_their_owners_without_what_they_sign_with(server, user):
    name, keys = user
    mine, accounts = Token(server, keys, renewer=name), Token(server, keys_of(ALICE))
    listed = ask(server, "GET", keys)
    assert [token["AccessKeyId"] for token in told(listed)["Tokens"]] == [mine.id] and told(listed)["Tokens"][0] == mine.shown
    for token in (mine, accounts):
        assert token.session.encode() not in listed.body and token.pair[1].encode() not in listed.body
    of_account = [token["AccessKeyId"] for token in told(ask(server, "GET", keys_of(ALICE)))["Tokens"]]
    assert mine.id in of_account and accounts.id in of_account
    assert told(ask(server, "GET", ROOT_KEYS, account=ALICE.account))["Tokens"] == told(ask(server, "GET", keys_of(ALICE)))["Tokens"]
    assert mine.id not in [token["AccessKeyId"] for token in told(ask(server, "GET", keys_of(BOB)))["Tokens"]]
    no(ask(server, "GET", keys_of(BOB), account=ALICE.account), 403, "AccessDenied")
    assert int(mine.shown["SequenceNumber"]) < int(accounts.shown["SequenceNumber"])


def test_an_administrator_gets_one_for_another_account_and_is_named_in_it(new_server):
    from harness.server import User
    chief = User(9, "chief", admin=True)
    server = new_server(users=(ALICE, BOB, chief))
    server.start().wait_ready()
    no(ask(server, "POST", keys_of(BOB), account=ALICE.id), 403, "AccessDenied")
    token = Token(server, keys_of(chief), account=ALICE.id)
    assert token.shown["Owner"] == f"arn:aws:iam::{ALICE.account}:root" and token.shown["RealUser"] == f"arn:aws:iam::{chief.account}:root"
    token.s3.create_bucket(Bucket="by-a-job")
    boto(server.endpoint, keys_of(ALICE)).list_objects_v2(Bucket="by-a-job")
    theirs = boto(server.endpoint, keys_of(BOB))
    theirs.create_bucket(Bucket="of-another")
    with refused("AccessDenied", 403):
        token.s3.list_objects_v2(Bucket="of-another")
    # It ends with the key of the administrator, not with the account's.
    server.admin_command("secret", "revoke", ALICE.id)
    token.s3.list_objects_v2(Bucket="by-a-job")
    server.admin_command("secret", "revoke", chief.id)
    with refused("InvalidAccessKeyId", 403):
        token.s3.list_objects_v2(Bucket="by-a-job")


def test_what_a_key_asked_for_ends_with_its_secret(new_server):
    server = new_server()
    server.start().wait_ready()
    token = Token(server, keys_of(ALICE))
    session = boto(server.endpoint, keys_of(ALICE), service="sts").get_session_token()["Credentials"]
    kept = Token(server, keys_of(BOB))
    server.stop()
    server.config.write_text(server.config.read_text().replace(ALICE.secret_key, "another-secret-of-hers"))
    server.start().wait_ready()
    boto(server.endpoint, (ALICE.access_key, "another-secret-of-hers")).list_buckets()
    pair = session["AccessKeyId"], session["SecretAccessKey"]
    for client in (token.s3, boto(server.endpoint, pair, token=session["SessionToken"], signature_version="s3v4")):
        with refused("InvalidAccessKeyId", 403):
            client.list_buckets()
    no(ask(server, "PUT", keys_of(ALICE), id=token.id), 403, "SignatureDoesNotMatch")
    kept.s3.list_buckets()


def test_tokens_survive_a_restart(new_server):
    server = new_server()
    server.start().wait_ready()
    token, gone = (Token(server, keys_of(ALICE), renewer=BOB.id) for _ in range(2))
    told(ask(server, "DELETE", keys_of(ALICE), id=gone.id))
    server.kill()
    server.start().wait_ready()
    token.s3.list_buckets()
    told(ask(server, "PUT", keys_of(BOB), id=token.id))
    with refused("InvalidAccessKeyId", 403):
        gone.s3.list_buckets()
    assert [shown["AccessKeyId"] for shown in told(ask(server, "GET", keys_of(ALICE)))["Tokens"]] == [token.id]


def test_the_command_line_gets_renews_lists_and_cancels(server, user):
    name, keys = user
    made = json.loads(server.admin_command("token", "get", "--renewer", name, "--max-lifetime", "3600", keys=keys).stdout)
    token = made["Token"]["AccessKeyId"]
    pair = token, made["Credentials"]["SecretAccessKey"]
    client = boto(server.endpoint, pair, token=made["Credentials"]["SessionToken"])
    client.list_buckets()
    assert json.loads(server.admin_command("token", "renew", token, keys=keys).stdout)["Expiration"] == made["Token"]["MaxDate"]
    assert token in server.admin_command("token", "list", keys=keys).stdout
    server.admin_command("token", "cancel", token, keys=keys)
    with refused("InvalidAccessKeyId", 403):
        client.list_buckets()
    refusal = server.admin_command("token", "cancel", token, keys=keys, check=False)
    assert refusal.returncode == 1 and "NoSuchEntity" in refusal.stderr


@pytest.mark.parametrize("method, query", [("PUT", {}), ("DELETE", {}), ("POST", {"id": "x"}), ("GET", {"renewer": "x"}), ("PUT", {"id": "x", "renewer": "y"}), ("POST", {"renewr": "x"})])
def test_parameters_that_are_not_the_methods_are_refused(server, method, query):
    no(ask(server, method, keys_of(ALICE), **query), 400, "InvalidArgument")


def test_other_methods_are_refused(server):
    no(ask(server, "PATCH", keys_of(ALICE)), 405, "MethodNotAllowed")


def test_a_token_opens_nothing_but_buckets(server):
    """Neither a volume's ACL nor the account's block on public access: what is set there outlasts the token."""
    token = Token(server, ROOT_KEYS)
    signer = Signer(*token.pair)

    def signed(endpoint, method, path, query="", headers=(), body=b""):
        request = Request(method, path, query, [*headers, ("x-amz-security-token", token.session)], body)
        return exchange(endpoint, signer.sign(request, endpoint))
    for method in ("GET", "POST", "PUT", "DELETE"):
        entry = "" if method == "GET" else "&acl=world%3A%3Al"
        assert signed(server.admin, method, "/admin/v1/acl", "object=s3v" + entry).status == 403, method
    own = Token(server, keys_of(BOB))
    signer, token = Signer(*own.pair), own
    block = b"<PublicAccessBlockConfiguration><BlockPublicAcls>false</BlockPublicAcls></PublicAccessBlockConfiguration>"
    path, account = "/v20180820/configuration/publicAccessBlock", [("x-amz-account-id", BOB.account)]
    assert signed(server.endpoint, "PUT", path, "", account, block).status == 403
    assert signed(server.endpoint, "DELETE", path, "", account).status == 403
