"""Identities: users, groups, roles, keys and policies by IAM, sessions by STS, on S3's endpoint and on the administrators'."""

import base64
import hmac
import json
import pathlib
import re
import subprocess
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlencode

import pytest
import rsa
from conftest import keys_of, new_name
from harness.clients import boto, environment
from harness.server import ALICE, BOB, ROOT_KEYS
from harness.wire import Request, exchange
from support import refused

DOCS = pathlib.Path(__file__).parents[2] / "docs/identity.md"
S3_FULL = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
DENIED = ("AccessDenied", 403)


def policy(actions, resource="*", effect="Allow", **more):
    statement = {"Effect": effect, "Action": actions, "Resource": resource} | more
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def trust(principal, action="sts:AssumeRole", **more):
    statement = {"Effect": "Allow", "Principal": principal, "Action": action} | more
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture(scope="session")
def sts(server):
    return boto(server.endpoint, keys_of(ALICE), service="sts")


def s3_of(server, keys, token=None):
    return boto(server.endpoint, keys, token=token)


def session_of(server, credentials, service="s3"):
    keys = credentials["AccessKeyId"], credentials["SecretAccessKey"]
    return boto(server.endpoint, keys, service=service, token=credentials["SessionToken"])


# --- users and keys ---


def test_a_user_lives_from_its_creation_to_its_deletion(server, iam):
    name = new_name("user")
    made = iam.create_user(UserName=name, Path="/a/b/", Tags=[{"Key": "team", "Value": "x"}])["User"]
    account = boto(server.endpoint, keys_of(ALICE), service="sts").get_caller_identity()["Account"]
    assert len(account) == 12 and account.isdigit()
    assert made["Arn"] == f"arn:aws:iam::{account}:user/a/b/{name}" and made["UserId"].startswith("AIDA")
    with refused("EntityAlreadyExists", 409):
        iam.create_user(UserName=name.upper())
    assert iam.get_user(UserName=name)["User"]["Tags"] == [{"Key": "team", "Value": "x"}]
    assert [user["UserName"] for user in iam.list_users(PathPrefix="/a/b/")["Users"]] == [name]
    iam.update_user(UserName=name, NewUserName=f"{name}-2", NewPath="/c/")
    assert iam.get_user(UserName=f"{name}-2")["User"]["UserId"] == made["UserId"]
    with refused("NoSuchEntity", 404):
        iam.get_user(UserName=name)
    iam.delete_user(UserName=f"{name}-2")
    with refused("NoSuchEntity", 404):
        iam.delete_user(UserName=f"{name}-2")


def test_a_user_may_nothing_until_a_policy_lets_them(server, iam, s3, bucket, user):
    name, keys = user
    client = s3_of(server, keys)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    for call in (lambda: client.list_buckets(), lambda: client.get_object(Bucket=bucket, Key="k"), lambda: client.create_bucket(Bucket=new_name())):
        with refused(*DENIED):
            call()
    iam.put_user_policy(UserName=name, PolicyName="read", PolicyDocument=policy("s3:GetObject", f"arn:aws:s3:::{bucket}/*"))
    assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    with refused(*DENIED):
        client.put_object(Bucket=bucket, Key="k", Body=b"y")
    iam.attach_user_policy(UserName=name, PolicyArn=S3_FULL)
    client.put_object(Bucket=bucket, Key="k", Body=b"y")
    assert bucket in [found["Name"] for found in client.list_buckets()["Buckets"]]
    # What a user makes belongs to the account.
    assert s3.get_object_acl(Bucket=bucket, Key="k")["Owner"]["ID"] == ALICE.id
    iam.put_user_policy(UserName=name, PolicyName="no", PolicyDocument=policy("s3:*", f"arn:aws:s3:::{bucket}/k", effect="Deny"))
    with refused(*DENIED):
        client.get_object(Bucket=bucket, Key="k")


def test_a_key_that_is_disabled_or_deleted_signs_nothing_from_the_next_request_on(server, iam, user):
    name, keys = user
    iam.attach_user_policy(UserName=name, PolicyArn=S3_FULL)
    client = s3_of(server, keys)
    client.list_buckets()
    iam.update_access_key(UserName=name, AccessKeyId=keys[0], Status="Inactive")
    with refused("InvalidAccessKeyId", 403):
        client.list_buckets()
    iam.update_access_key(UserName=name, AccessKeyId=keys[0], Status="Active")
    client.list_buckets()
    second = iam.create_access_key(UserName=name)["AccessKey"]
    with refused("LimitExceeded", 409):
        iam.create_access_key(UserName=name)
    iam.delete_access_key(UserName=name, AccessKeyId=keys[0])
    with refused("InvalidAccessKeyId", 403):
        client.list_buckets()
    listed = iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
    assert [key["AccessKeyId"] for key in listed] == [second["AccessKeyId"]]


def test_groups_give_their_members_what_they_hold(server, iam, user):
    name, keys = user
    group = new_name("group")
    iam.create_group(GroupName=group)
    iam.attach_group_policy(GroupName=group, PolicyArn=S3_FULL)
    client = s3_of(server, keys)
    with refused(*DENIED):
        client.list_buckets()
    iam.add_user_to_group(GroupName=group, UserName=name)
    client.list_buckets()
    assert [found["UserName"] for found in iam.get_group(GroupName=group)["Users"]] == [name]
    assert [found["GroupName"] for found in iam.list_groups_for_user(UserName=name)["Groups"]] == [group]
    with refused("DeleteConflict", 409):
        iam.delete_group(GroupName=group)
    iam.remove_user_from_group(GroupName=group, UserName=name)
    with refused(*DENIED):
        client.list_buckets()
    iam.detach_group_policy(GroupName=group, PolicyArn=S3_FULL)
    iam.delete_group(GroupName=group)


def test_managed_policies_have_versions_and_a_boundary_narrows(server, iam, s3, bucket, user):
    name, keys = user
    client = s3_of(server, keys)
    arn = iam.create_policy(PolicyName=new_name("policy"), PolicyDocument=policy("s3:ListBucket"), Description="d")["Policy"]["Arn"]
    iam.attach_user_policy(UserName=name, PolicyArn=arn)
    client.list_objects_v2(Bucket=bucket)
    version = iam.create_policy_version(PolicyArn=arn, PolicyDocument=policy("s3:PutObject"), SetAsDefault=True)["PolicyVersion"]
    assert version["VersionId"] == "v2"
    with refused(*DENIED):
        client.list_objects_v2(Bucket=bucket)
    client.put_object(Bucket=bucket, Key="k", Body=b"")
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    client.list_objects_v2(Bucket=bucket)
    shown = iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]
    assert shown["Document"]["Statement"][0]["Action"] == "s3:PutObject" and not shown["IsDefaultVersion"]
    iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary="arn:aws:iam::aws:policy/IAMFullAccess")
    with refused(*DENIED):
        client.list_objects_v2(Bucket=bucket)
    iam.delete_user_permissions_boundary(UserName=name)
    client.list_objects_v2(Bucket=bucket)
    with refused("DeleteConflict", 409):
        iam.delete_policy(PolicyArn=arn)
    entities = iam.list_entities_for_policy(PolicyArn=arn)
    assert [found["UserName"] for found in entities["PolicyUsers"]] == [name]
    iam.detach_user_policy(UserName=name, PolicyArn=arn)
    iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
    iam.delete_policy(PolicyArn=arn)


def test_a_bucket_policy_lets_a_user_of_the_account_in_by_name(server, iam, s3, bucket, user):
    name, keys = user
    client = s3_of(server, keys)
    arn = iam.get_user(UserName=name)["User"]["Arn"]
    text = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}"}]})
    s3.put_bucket_policy(Bucket=bucket, Policy=text)
    client.list_objects_v2(Bucket=bucket)
    with refused(*DENIED):
        client.put_object(Bucket=bucket, Key="k", Body=b"")


def test_another_account_lets_its_users_in_only_if_both_say_so(server, iam, s3, bobs, bucket, user):
    name, keys = user
    theirs = new_name()
    bobs.create_bucket(Bucket=theirs)
    client = s3_of(server, keys)
    iam.attach_user_policy(UserName=name, PolicyArn=S3_FULL)
    with refused(*DENIED):
        client.list_objects_v2(Bucket=theirs)
    account = iam.get_user()["User"]["Arn"]
    text = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{theirs}"}]})
    bobs.put_bucket_policy(Bucket=theirs, Policy=text)
    client.list_objects_v2(Bucket=theirs)
    iam.detach_user_policy(UserName=name, PolicyArn=S3_FULL)
    with refused(*DENIED):
        client.list_objects_v2(Bucket=theirs)


def test_an_account_sees_no_other_accounts_identities(server, iam, user):
    name, _ = user
    bobs = boto(server.endpoint, keys_of(BOB), service="iam")
    with refused("NoSuchEntity", 404):
        bobs.get_user(UserName=name)
    assert name not in [found["UserName"] for found in bobs.list_users()["Users"]]


def test_users_of_an_account_do_to_iam_what_their_policies_say(server, iam, user):
    name, keys = user
    own = boto(server.endpoint, keys, service="iam")
    with refused(*DENIED):
        own.list_users()
    iam.attach_user_policy(UserName=name, PolicyArn="arn:aws:iam::aws:policy/IAMReadOnlyAccess")
    assert own.get_user()["User"]["UserName"] == name
    with refused(*DENIED):
        own.create_user(UserName=new_name("user"))


def test_what_would_be_decided_can_be_asked(iam, user):
    name, _ = user
    arn = iam.get_user(UserName=name)["User"]["Arn"]
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy("s3:Get*", "arn:aws:s3:::films/*"))
    asked = iam.simulate_principal_policy(
        PolicySourceArn=arn, ActionNames=["s3:GetObject", "s3:PutObject"], ResourceArns=["arn:aws:s3:::films/a"])
    assert [result["EvalDecision"] for result in asked["EvaluationResults"]] == ["allowed", "implicitDeny"]


def test_pages_follow_one_another(iam):
    path = f"/{new_name('path')}/"
    user = new_name("user")
    names = [f"{user}-{letter}" for letter in "abc"]
    for name in names:
        iam.create_user(UserName=name, Path=path)
    pages = iam.get_paginator("list_users").paginate(PathPrefix=path, PaginationConfig={"PageSize": 2})
    assert [[user["UserName"] for user in page["Users"]] for page in pages] == [names[:2], names[2:]]


@pytest.mark.parametrize("call, code", [
    (lambda iam: iam.create_user(UserName="a b"), "ValidationError"),
    (lambda iam: iam.put_user_policy(UserName="nobody", PolicyName="p", PolicyDocument="{"), "MalformedPolicyDocument"),
    (lambda iam: iam.create_role(RoleName="r", AssumeRolePolicyDocument=policy("*")), "MalformedPolicyDocument"),
    (lambda iam: iam.attach_user_policy(UserName="nobody", PolicyArn=S3_FULL), "NoSuchEntity"),
    (lambda iam: iam.create_login_profile(UserName="nobody", Password="password"), "InvalidAction"),
])
def test_what_cannot_be_is_refused_by_its_name(iam, call, code):
    with refused(code):
        call(iam)


# --- sessions ---


def test_a_session_of_a_role_may_what_the_role_may_and_its_own_policy_lets(server, iam, sts, s3, bucket, user):
    name, keys = user
    role = new_name("role")
    account = sts.get_caller_identity()["Account"]
    arn = iam.create_role(RoleName=role, Path="/r/", AssumeRolePolicyDocument=trust({"AWS": f"arn:aws:iam::{account}:user/suite/{name}"}))["Role"]["Arn"]
    iam.attach_role_policy(RoleName=role, PolicyArn=S3_FULL)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    users = boto(server.endpoint, keys, service="sts")
    answer = users.assume_role(RoleArn=arn, RoleSessionName="work")
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{account}:assumed-role/{role}/work"
    credentials = answer["Credentials"]
    client = session_of(server, credentials)
    assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    who = session_of(server, credentials, "sts").get_caller_identity()
    assert who["Arn"] == answer["AssumedRoleUser"]["Arn"]
    narrow = users.assume_role(RoleArn=arn, RoleSessionName="work", Policy=policy("s3:ListBucket"))["Credentials"]
    with refused(*DENIED):
        session_of(server, narrow).get_object(Bucket=bucket, Key="k")
    # Whom the role does not trust, whatever they may otherwise.
    with refused(*DENIED):
        boto(server.endpoint, keys_of(BOB), service="sts").assume_role(RoleArn=arn, RoleSessionName="work")
    iam.detach_role_policy(RoleName=role, PolicyArn=S3_FULL)
    with refused(*DENIED):
        client.get_object(Bucket=bucket, Key="k")
    iam.delete_role(RoleName=role)
    with refused("InvalidAccessKeyId", 403):
        client.get_object(Bucket=bucket, Key="k")


def test_a_token_belongs_to_its_key_alone(server, sts):
    credentials = sts.get_session_token()["Credentials"]
    session_of(server, credentials).list_buckets()
    keys = credentials["AccessKeyId"], credentials["SecretAccessKey"]
    with refused("InvalidToken", 400):
        s3_of(server, keys).list_buckets()
    with refused("InvalidToken", 400):
        s3_of(server, keys, token=credentials["SessionToken"][:-4] + "AAAA").list_buckets()
    with refused("InvalidToken", 400):
        s3_of(server, keys_of(ALICE), token=credentials["SessionToken"]).list_buckets()


def test_a_session_presigns(server, sts, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    credentials = sts.get_session_token()["Credentials"]
    keys = credentials["AccessKeyId"], credentials["SecretAccessKey"]
    client = boto(server.endpoint, keys, token=credentials["SessionToken"], signature_version="s3v4")
    url = client.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"})
    assert urllib.request.urlopen(url).read() == b"x"


def test_sessions_have_their_limits(server):
    sts = boto(server.endpoint, keys_of(ALICE), service="sts", parameter_validation=False)
    for seconds in (899, 129_601):
        with refused("ValidationError", 400):
            sts.get_session_token(DurationSeconds=seconds)


def b64(data):
    data = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """A small OpenID Connect provider: discovery, keys, tokens."""

    def __init__(self):
        self.public, self.key = rsa.newkeys(2048)
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                document = issuer.document(self.path)
                self.send_response(200 if document else 404)
                self.end_headers()
                self.wfile.write(json.dumps(document).encode())

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/realm"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def document(self, path):
        number = lambda value: b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))
        if path == "/realm/.well-known/openid-configuration":
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        if path == "/realm/keys":
            return {"keys": [{"kty": "RSA", "kid": "one", "alg": "RS256", "use": "sig", "n": number(self.public.n), "e": number(self.public.e)}]}
        return None

    def token(self, key=None, headers=None, secret=None, **claims):
        now = int(time.time())
        claims = {"iss": self.url, "sub": "ada", "aud": "store", "iat": now, "exp": now + 600} | claims
        claims = {name: value for name, value in claims.items() if value is not None}
        head = {"alg": "HS256" if secret else "RS256", "typ": "JWT", "kid": "one"} | (headers or {})
        signed = f"{b64(head)}.{b64(claims)}"
        if secret:
            return f"{signed}.{b64(hmac.digest(secret, signed.encode(), 'sha256'))}"
        return f"{signed}.{b64(rsa.sign(signed.encode(), key or self.key, 'SHA-256'))}"


@pytest.fixture(scope="module")
def issuer():
    issuer = Issuer()
    yield issuer
    issuer.server.shutdown()


@pytest.fixture(scope="module")
def trusting(issuer, tmp_path_factory):
    """A server that knows the issuer, with a role that its users may take."""
    from harness.server import Server
    server = Server(tmp_path_factory.mktemp("trusting"), config=f'[oidc]\nissuers = ["{issuer.url}"]\n')
    server.start().wait_ready()
    iam = boto(server.endpoint, keys_of(ALICE), service="iam")
    arn = iam.create_open_id_connect_provider(Url=issuer.url, ClientIDList=["store"], ThumbprintList=["a" * 40])["OpenIDConnectProviderArn"]
    host = issuer.url.removeprefix("http://")
    document = trust({"Federated": arn}, "sts:AssumeRoleWithWebIdentity", Condition={"StringEquals": {f"{host}:sub": "ada"}})
    role = iam.create_role(RoleName="web", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    iam.attach_role_policy(RoleName="web", PolicyArn=S3_FULL)
    yield server, role
    server.kill()


def test_a_web_identity_takes_a_role_that_trusts_its_provider(issuer, trusting):
    server, role = trusting
    sts = boto(server.endpoint, ("none", "none-none"), service="sts")
    answer = sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="web", WebIdentityToken=issuer.token())
    assert answer["SubjectFromWebIdentityToken"] == "ada" and answer["Audience"] == "store"
    session_of(server, answer["Credentials"]).create_bucket(Bucket=new_name())


@pytest.mark.parametrize("claims, code", [
    ({"sub": "eve"}, "AccessDenied"),
    ({"aud": "other"}, "InvalidIdentityToken"),
    ({"iss": "http://127.0.0.1:1/realm"}, "InvalidIdentityToken"),
    ({"exp": 1_000_000_000}, "ExpiredTokenException"),
    ({"exp": None}, "InvalidIdentityToken"),
    ({"nbf": 4_000_000_000}, "InvalidIdentityToken"),
    ({"sub": None}, "InvalidIdentityToken"),
    ({"headers": {"kid": "../../etc/passwd"}}, "InvalidIdentityToken"),
    ({"padding": "x" * 30_000}, "InvalidIdentityToken"),
])
def test_a_token_that_is_not_quite_right_opens_nothing(issuer, trusting, claims, code):
    server, role = trusting
    sts = boto(server.endpoint, ("none", "none-none"), service="sts")
    with refused(code):
        sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="web", WebIdentityToken=issuer.token(**claims))


def test_a_token_signed_by_another_key_or_by_none_opens_nothing(issuer, trusting):
    server, role = trusting
    sts = boto(server.endpoint, ("none", "none-none"), service="sts")
    good = issuer.token()
    unsigned = f"{b64({'alg': 'none', 'kid': 'one'})}.{good.split('.')[1]}."
    known = json.dumps(issuer.document("/realm/keys")).encode()
    for token in (issuer.token(key=rsa.newkeys(1024)[1]), unsigned, issuer.token(secret=known), "x.y.z", good[:-6] + "AAAAAA"):
        with refused("InvalidIdentityToken", 400):
            sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="web", WebIdentityToken=token)


def test_a_session_of_a_role_is_not_the_account(server, iam, sts):
    account = sts.get_caller_identity()["Account"]
    role = new_name("role")
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust({"AWS": account}))["Role"]["Arn"]
    iam.put_role_policy(RoleName=role, PolicyName="keys", PolicyDocument=policy("iam:*"))
    credentials = sts.assume_role(RoleArn=arn, RoleSessionName="work")["Credentials"]
    own = session_of(server, credentials, "iam")
    for call in (own.create_access_key, own.list_access_keys, own.get_user):
        with refused("ValidationError", 400):
            call()


def test_a_session_token_opens_no_iam_and_ends_with_its_key(server, iam, user):
    name, keys = user
    iam.attach_user_policy(UserName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    credentials = boto(server.endpoint, keys, service="sts").get_session_token()["Credentials"]
    with refused(*DENIED):
        session_of(server, credentials, "iam").list_users()
    client = session_of(server, credentials)
    client.list_buckets()
    iam.update_access_key(UserName=name, AccessKeyId=keys[0], Status="Inactive")
    with refused("InvalidAccessKeyId", 403):
        client.list_buckets()


def test_a_denial_knows_its_subject_in_any_case(server, iam, user):
    name, keys = user
    boss = new_name("boss")
    arn = iam.create_user(UserName=boss)["User"]["Arn"]
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "iam:*", "Resource": "*"}, {"Effect": "Deny", "Action": "iam:*", "Resource": arn},
        {"Effect": "Deny", "Action": "iam:*", "Resource": arn.replace(f"user/{boss}", "user/admins/*")},
        {"Effect": "Deny", "Action": "iam:AttachUserPolicy", "Resource": "*", "Condition": {"ArnEquals": {"iam:PolicyARN": S3_FULL}}}]}))
    own = boto(server.endpoint, keys, service="iam")
    own.get_user(UserName=name)
    for spelt in (boss, boss.upper()):
        with refused(*DENIED):
            own.create_access_key(UserName=spelt)
    for spelt in (S3_FULL, S3_FULL.replace("AmazonS3", "amazons3")):
        with refused(*DENIED):
            own.attach_user_policy(UserName=name, PolicyArn=spelt)
    # A new path makes a new subject.
    with refused(*DENIED):
        own.update_user(UserName=name, NewPath="/admins/")


def test_a_simulation_is_bounded(iam):
    pattern = policy("s3:*", "arn:aws:s3:::*?" + "a" * 9_000 + "b*")
    with refused("ValidationError", 400):
        iam.simulate_custom_policy(PolicyInputList=[pattern] * 6, ActionNames=["s3:GetObject"] * 100,
                                   ResourceArns=["arn:aws:s3:::" + "a" * 2_000])


# --- the wire ---


def test_a_signature_for_s3_is_none_for_iam_and_nobody_signs_for_no_call(server, signer):
    body = b"Action=ListUsers&Version=2010-05-08"
    headers = [("Host", server.endpoint.removeprefix("http://")), ("Content-Type", "application/x-www-form-urlencoded"),
               ("Content-Length", str(len(body)))]
    answer = exchange(server.endpoint, Request("POST", "/", "", headers, body))
    assert answer.status == 403 and b"MissingAuthenticationToken" in answer.body, str(answer)
    answer = exchange(server.endpoint, Request("POST", "/", "", headers + [("x-amz-security-token", "t")], body))
    assert answer.status == 403, str(answer)


# --- people ---


def admin(server, *words, keys=ROOT_KEYS):
    command = [server.binary, "admin", "--endpoint", server.admin, "--json", *words]
    done = subprocess.run(command, env=environment(server.endpoint, keys), capture_output=True, text=True, timeout=60)
    return done.returncode, (json.loads(done.stdout) if done.stdout.startswith(("{", "[")) else done.stderr)


def test_administrators_keep_identities_by_command(server, tmp_path):
    name, group = new_name("user"), new_name("group")
    document = tmp_path / "policy.json"
    document.write_text(policy("s3:*"))
    alice = ["--account", ALICE.id]
    for words in (["user", "create", name], ["group", "create", group], ["group", "add", group, name],
                  ["group", "put-policy", group, "all", str(document)], ["user", "attach", name, S3_FULL]):
        code, answer = admin(server, *words, *alice)
        assert code == 0, answer
    code, pair = admin(server, "key", "create", name, *alice)
    pair = pair["result"]["AccessKey"]
    s3_of(server, (pair["AccessKeyId"], pair["SecretAccessKey"])).list_buckets()
    code, listed = admin(server, "user", "list", *alice)
    assert name in [user["UserName"] for user in listed["result"]["Users"]]
    # Bob is no administrator of the cluster.
    code, answer = admin(server, "user", "list", *alice, keys=keys_of(BOB))
    assert code == 1 and "AccessDenied" in answer
    # An account that is not there is not one's own.
    code, answer = admin(server, "key", "create", "--account", "999999999999")
    assert code == 1 and "NoSuchEntity" in answer
    code, answer = admin(server, "user", "list", "--account", "999999999999", keys=keys_of(BOB))
    assert code == 1 and "AccessDenied" in answer
    code, answer = admin(server, "key", "disable", pair["AccessKeyId"], "--user", name, *alice)
    assert code == 0, answer
    with refused("InvalidAccessKeyId"):
        s3_of(server, (pair["AccessKeyId"], pair["SecretAccessKey"])).list_buckets()


def test_aws_cli_speaks_iam_and_sts_at_both_listeners(server):
    for endpoint in (server.endpoint, server.admin):
        env = environment(endpoint, keys_of(ALICE))
        name = new_name("user")
        run = lambda *words: subprocess.run(["aws", *words], env=env, capture_output=True, text=True, timeout=60, check=True).stdout
        run("iam", "create-user", "--user-name", name)
        assert name in run("iam", "list-users")
        assert "assumed" not in run("sts", "get-caller-identity")
        run("iam", "delete-user", "--user-name", name)


def test_the_walk_of_the_documentation_works_as_printed(new_server, tmp_path):
    server = new_server().start().wait_ready()
    walk = re.search(r"## IAM and STS.*?```sh\n(.*?)```", DOCS.read_text(), re.DOTALL).group(1)
    lines = walk.replace("http://127.0.0.1:9878", server.endpoint)
    assert server.endpoint in lines
    env = environment(server.endpoint, keys_of(ALICE)) | {"HOME": str(tmp_path)}
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", lines], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert '"allowed"' in done.stdout and '"implicitDeny"' in done.stdout and "assumed-role/backup/tonight" in done.stdout
    [key] = boto(server.endpoint, keys_of(ALICE), service="iam").list_access_keys(UserName="carol")["AccessKeyMetadata"]
    assert key["Status"] == "Active"


def test_an_administrator_learns_why_a_request_was_refused(server, s3, bobs, bucket):
    text = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Sid": "Closed", "Effect": "Deny", "Principal": "*", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}"}]})
    s3.put_bucket_policy(Bucket=bucket, Policy=text)
    with refused(*DENIED) as caught:
        bobs.list_objects_v2(Bucket=bucket)
    request = caught.value.response["ResponseMetadata"]["RequestId"]
    code, found = admin(server, "explain", request)
    assert code == 0, found
    assert "Closed" in found["why"] and found["bucket"] == bucket
    code, answer = admin(server, "explain", request, keys=keys_of(BOB))
    assert code == 1 and "AccessDenied" in answer
    with refused("SignatureDoesNotMatch") as caught:
        s3_of(server, (ALICE.access_key, "another-secret-of-hers")).list_buckets()
    code, found = admin(server, "explain", caught.value.response["ResponseMetadata"]["RequestId"])
    assert code == 0, found
    assert "canonical request" in found["why"] and "host:" in found["why"] and ALICE.secret_key not in found["why"]


def test_a_refusal_about_no_bucket_that_is_there_names_what_it_was_about(server, root):
    name, bucket = new_name("carol"), new_name()
    iam = boto(server.endpoint, keys_of(ALICE), service="iam")
    iam.create_user(UserName=name)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    keys = made["AccessKeyId"], made["SecretAccessKey"]
    iam.put_user_policy(UserName=name, PolicyName="shut", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Sid": "NoBuckets", "Effect": "Deny", "Action": "s3:CreateBucket", "Resource": "*"}]}))

    def why(call):
        with refused(*DENIED) as caught:
            call()
        code, found = admin(server, "explain", caught.value.response["ResponseMetadata"]["RequestId"])
        assert code == 0 and found["caller"].endswith(f":user/{name}"), found
        return found["bucket"], found["why"]
    hers = s3_of(server, keys)
    assert why(lambda: hers.create_bucket(Bucket=bucket)) == (
        bucket, "s3:CreateBucket: explicitly denied by statement 1 (NoBuckets) of the identity policy shut")
    assert why(hers.list_buckets) == (None, "s3:ListAllMyBuckets: no identity policy allows it")
    about, told = why(lambda: boto(server.endpoint, keys, service="iam").create_user(UserName="dora"))
    assert about is None and told.startswith("iam:CreateUser on arn:aws:iam::") and told.endswith(":user/dora: no identity policy allows it"), told


def signed_twice_claimed(issuer, claims):
    now = int(time.time())
    text = f'{{"iss": "{issuer.url}", "exp": {now + 600}, {claims if "aud" in claims else claims + ", " + chr(34) + "aud" + chr(34) + ": " + chr(34) + "store" + chr(34)}}}'
    signed = f"{b64({'alg': 'RS256', 'typ': 'JWT', 'kid': 'one'})}.{b64(text.encode())}"
    return f"{signed}.{b64(rsa.sign(signed.encode(), issuer.key, 'SHA-256'))}"


@pytest.mark.parametrize("token, status", [
    (lambda issuer: issuer.token(headers={"kid": "http://127.0.0.1:1/keys"}), 400),
    (lambda issuer: issuer.token(headers={"kid": "' OR 1=1 --"}), 400),
    (lambda issuer: issuer.token(headers={"jku": "http://127.0.0.1:1/keys", "kid": "two"}), 400),
    (lambda issuer: issuer.token(secret=b"a" * 40), 400),
    (lambda issuer: issuer.token(headers={"alg": "none"}), 400),
    (lambda issuer: issuer.token(headers={"alg": "NONE"}), 400),
    (lambda issuer: issuer.token(headers={"alg": "PS256"}), 400),
    (lambda issuer: issuer.token(padding="x" * (1 << 20)), 400),
    (lambda issuer: signed_twice_claimed(issuer, '"sub": "eve", "sub": "ada"'), 400),
    (lambda issuer: signed_twice_claimed(issuer, '"sub": "ada", "aud": "store", "aud": "other"'), 400),
], ids=["kid a URL", "kid SQL", "jku", "a secret", "none", "NONE", "another algorithm", "1 MiB", "subject twice", "audience twice"])
def test_a_token_that_only_looks_like_one_opens_nothing(issuer, trusting, token, status):
    """Whatever is wrong with it, nothing is told but that."""
    server, role = trusting
    body = urlencode({"Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", "RoleArn": role, "RoleSessionName": "web",
                      "WebIdentityToken": token(issuer)}).encode()
    request = Request("POST", "/", headers=[("host", server.endpoint[7:]), ("content-type", "application/x-www-form-urlencoded"),
                                            ("content-length", str(len(body)))], body=body)
    response = exchange(server.endpoint, request)
    assert response.status == status and b"SessionToken" not in response.body, str(response)
