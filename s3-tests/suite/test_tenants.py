"""Tenants: accounts whose buckets lie in a volume of their own. Three of them have a bucket of the same name and see nothing of each
other's, whatever they ask and however they sign; what one lets another do is reached by `volume:bucket`."""

import json
import urllib.request

import botocore.handlers
import pytest

from conftest import keys_of, new_name
from harness.clients import boto
from harness.server import ALICE, ROOT_KEYS, Server, User, wait_until
from harness.sigv2 import SignerV2
from harness.wire import Request, exchange, path_of
from support import body_of, keys_in, refused
from test_access_logs import parsed
from test_forms import form, request_of


class Tenant(User):
    def __init__(self, number, name, volume):
        super().__init__(number, name)
        self.volume = volume


RED, BLUE, CRIMSON = Tenant(3, "red", "red"), Tenant(4, "blue", "blue"), Tenant(5, "crimson", "red")
USERS = (ALICE, RED, BLUE, CRIMSON)
# As each of them addresses the bucket of another.
QUALIFIED = {ALICE: ":", RED: "red:", BLUE: "blue:"}


def client(server, keys, token=None, **config):
    """One that takes `volume:bucket` for a name."""
    made = boto(server.endpoint, keys, token=token, **config)
    made.meta.events.unregister("before-parameter-build.s3", botocore.handlers.validate_bucket_name)
    return made


def config(receiver):
    return (f'[gateway]\naccess_log_roll = "500ms"\nsigv2 = true\n\n'
            f'[notifications.hook]\nurl = "http://127.0.0.1:{receiver.port}/hook"\n\n'
            f'[[bucket]]\nname = "declared"\nowner = "{RED.id}"\n\n[[bucket]]\nname = "declared"\nowner = "{BLUE.id}"\n\n'
            f'[[bucket]]\nname = "blue:placed"\nowner = "{ALICE.id}"\n\n')


@pytest.fixture(scope="module")
def tenants(tmp_path_factory, receiver):
    server = Server(tmp_path_factory.mktemp("server-tenants"), config=config(receiver), users=USERS)
    server.start().wait_ready()
    yield server
    assert server.stop() == 0, server.log_tail(15)


@pytest.fixture(scope="module")
def of(tenants):
    """The client of each."""
    return {user: client(tenants, keys_of(user)) for user in USERS}


@pytest.fixture
def data(of):
    """A name that the default account and two tenants have each given to a bucket of their own, with something of their own in it."""
    name = new_name("data")
    for user in QUALIFIED:
        of[user].create_bucket(Bucket=name)
        of[user].put_object(Bucket=name, Key="k", Body=user.id.encode())
    return name


def allow(client, bucket, *actions, principal="*", resource=None):
    resource = resource or [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    client.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": principal, "Action": list(actions), "Resource": resource}]}))


def others(user):
    return [other for other in QUALIFIED if other is not user]


def test_one_name_is_a_bucket_of_each(of, data):
    for user in QUALIFIED:
        mine = of[user]
        assert body_of(mine, data, "k") == user.id.encode()
        assert data in [bucket["Name"] for bucket in mine.list_buckets()["Buckets"]]
        mine.put_object(Bucket=data, Key=f"only-{user.id}", Body=b"x")
        assert keys_in(mine.list_objects_v2(Bucket=data)) == sorted(["k", f"only-{user.id}"])
        assert mine.head_object(Bucket=data, Key="k")["ContentLength"] == len(user.id)
        assert mine.get_bucket_acl(Bucket=data)["Owner"]["ID"] == user.id
    of[RED].delete_objects(Bucket=data, Delete={"Objects": [{"Key": "k"}, {"Key": f"only-{RED.id}"}]})
    of[RED].delete_bucket(Bucket=data)
    with refused("404", 404):
        of[RED].head_bucket(Bucket=data)
    for user in (ALICE, BLUE):
        assert body_of(of[user], data, "k") == user.id.encode()


def test_a_bucket_of_another_volume_is_closed_until_it_is_opened(of, data):
    for user in QUALIFIED:
        for other in others(user):
            there = QUALIFIED[other] + data
            for call in (lambda: of[user].get_object(Bucket=there, Key="k"), lambda: of[user].put_object(Bucket=there, Key="k", Body=b""),
                         lambda: of[user].delete_object(Bucket=there, Key="k"), lambda: of[user].list_objects_v2(Bucket=there),
                         lambda: of[user].create_multipart_upload(Bucket=there, Key="k"), lambda: of[user].get_bucket_policy(Bucket=there),
                         lambda: of[user].copy_object(Bucket=data, Key="copy", CopySource=f"{there}/k"),
                         lambda: of[user].copy_object(Bucket=there, Key="copy", CopySource=f"{data}/k")):
                with refused("AccessDenied", 403):
                    call()
        # One's own by its whole name is one's own.
        assert body_of(of[user], QUALIFIED[user] + data, "k") == user.id.encode()


def test_what_a_bucket_s_policy_opens_is_reached_by_its_volume(of, data):
    allow(of[RED], data, "s3:GetObject", "s3:PutObject", "s3:ListBucket", principal={"AWS": [ALICE.account, BLUE.account]})
    for user in (ALICE, BLUE):
        there = f"red:{data}"
        assert body_of(of[user], there, "k") == RED.id.encode()
        assert "k" in keys_in(of[user].list_objects_v2(Bucket=there))
        of[user].copy_object(Bucket=data, Key="theirs", CopySource=f"{there}/k")
        assert body_of(of[user], data, "theirs") == RED.id.encode()
        of[user].copy_object(Bucket=there, Key=f"from-{user.id}", CopySource=f"{data}/k")
        of[user].copy_object(Bucket=data, Key="own", CopySource=f"{data}/k")
        assert body_of(of[user], data, "own") == user.id.encode()
        with refused("AccessDenied", 403):
            of[user].delete_object(Bucket=there, Key="k")
    assert keys_in(of[RED].list_objects_v2(Bucket=data)) == sorted([f"from-{ALICE.id}", f"from-{BLUE.id}", "k"])
    # It is about this bucket, however its policy names it, and about no other of its name.
    allow(of[RED], data, "s3:GetObject", resource=[f"arn:aws:s3::red:{data}/*"])
    assert body_of(of[BLUE], f"red:{data}", "k") == RED.id.encode()
    with refused("AccessDenied", 403):
        of[RED].get_object(Bucket=f"blue:{data}", Key="k")
    with refused("MalformedPolicy", 400):
        allow(of[RED], data, "s3:GetObject", resource=[f"arn:aws:s3::blue:{data}/*"])


def test_uploads_in_parts_stay_in_their_volume(of, data):
    begun = {user: of[user].create_multipart_upload(Bucket=data, Key="parts")["UploadId"] for user in QUALIFIED}
    for user in QUALIFIED:
        for other in others(user):
            with refused("NoSuchUpload", 404):
                of[user].upload_part(Bucket=data, Key="parts", UploadId=begun[other], PartNumber=1, Body=b"x")
    for user, upload in begun.items():
        listed = of[user].list_multipart_uploads(Bucket=data)["Uploads"]
        assert [entry["UploadId"] for entry in listed] == [upload]
        part = of[user].upload_part(Bucket=data, Key="parts", UploadId=upload, PartNumber=1, Body=user.id.encode())
        copied = of[user].upload_part_copy(Bucket=data, Key="parts", UploadId=upload, PartNumber=1, CopySource=f"{data}/k")
        assert copied["CopyPartResult"]["ETag"] == part["ETag"]
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        of[user].complete_multipart_upload(Bucket=data, Key="parts", UploadId=upload, MultipartUpload=parts)
        assert body_of(of[user], data, "parts") == user.id.encode()


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_a_url_means_the_bucket_of_whoever_made_it(tenants, data, version):
    for user in QUALIFIED:
        mine = client(tenants, keys_of(user), signature_version=version)
        for name in (data, QUALIFIED[user] + data):
            url = mine.generate_presigned_url("get_object", Params={"Bucket": name, "Key": "k"})
            assert urllib.request.urlopen(url).read() == user.id.encode()


def test_version_2_of_the_signature_means_the_signer_s_volume(tenants, data):
    for user in QUALIFIED:
        signed = SignerV2(*keys_of(user)).sign(Request("GET", path_of(data, "k")), tenants.endpoint)
        assert exchange(tenants.endpoint, signed).body == user.id.encode()


def test_a_form_goes_to_the_bucket_of_whoever_signed_it_and_nowhere_else(tenants, of, data, receiver):
    page = [("origin", "http://page.example")]
    of[RED].put_bucket_cors(Bucket=data, CORSConfiguration={"CORSRules": [{"AllowedOrigins": ["*"], "AllowedMethods": ["POST"]}]})
    allow(of[BLUE], data, "s3:PutObject", principal={"AWS": RED.account})
    red = client(tenants, keys_of(RED), signature_version="s3v4")
    made = red.generate_presigned_post(data, "posted", ExpiresIn=60)["fields"]

    def post(bucket):
        request = request_of(bucket, form(made, b"by a form"))
        request.headers.extend(page)
        return exchange(tenants.endpoint, request)

    answer = post(data)
    assert (answer.status, answer.header("access-control-allow-origin")) == (204, "*")
    assert body_of(of[RED], data, "posted") == b"by a form"
    assert post(f"red:{data}").status == 204
    # Red may write there, but signed a form for a bucket of its own.
    for elsewhere in (f"blue:{data}", f":{data}"):
        assert (post(elsewhere).status, post(elsewhere).code) == (403, "AccessDenied")
    for user in (ALICE, BLUE):
        assert "posted" not in keys_in(of[user].list_objects_v2(Bucket=data))
    meant = red.generate_presigned_post(f"blue:{data}", "posted", ExpiresIn=60)["fields"]
    assert exchange(tenants.endpoint, request_of(f"blue:{data}", form(meant, b"meant"))).status == 204
    assert body_of(of[BLUE], data, "k") == BLUE.id.encode()


def test_whoever_gives_no_name_is_in_the_volume_of_all_or_says_which(tenants, of, data):
    def read(bucket):
        answer = exchange(tenants.endpoint, Request("GET", path_of(bucket, "k"), headers=[("host", "localhost")]))
        return answer.status, answer.body if answer.status == 200 else answer.code

    assert read(data) == read(f"red:{data}") == (403, "AccessDenied")
    allow(of[RED], data, "s3:GetObject")
    assert read(data) == (403, "AccessDenied")
    assert read(f"red:{data}") == (200, RED.id.encode())
    allow(of[ALICE], data, "s3:GetObject")
    assert read(data) == read(f":{data}") == read(f"s3v:{data}") == (200, ALICE.id.encode())
    assert read(f"blue:{data}") == (403, "AccessDenied")
    assert read("green:nothing") == (404, "NoSuchBucket")
    # A signature that is wrong names nobody.
    stranger = client(tenants, (RED.access_key, "not/the/secret+of=red-0123456789"))
    with refused("SignatureDoesNotMatch", 403):
        stranger.get_object(Bucket=data, Key="k")


@pytest.mark.parametrize("name", ["red:", "::data", "red:blue:data", "RED:data", "r:data", "red:Data", "red:da"])
def test_what_names_no_bucket_is_refused(of, name):
    with refused("InvalidBucketName", 400):
        of[RED].list_objects_v2(Bucket=name)
    with refused("InvalidArgument", 400):
        of[RED].copy_object(Bucket="declared", Key="k", CopySource=f"{name}/k")


def test_names_are_taken_in_their_volume_alone_and_others_are_not_placed_there(tenants, of, data):
    for user in QUALIFIED:
        of[user].create_bucket(Bucket=data)
        of[user].create_bucket(Bucket=QUALIFIED[user] + data)
        for other in others(user):
            # The same whether it is there or not.
            for name in (data, new_name("absent")):
                with refused("AccessDenied", 403):
                    of[user].create_bucket(Bucket=QUALIFIED[other] + name)
    # Two accounts of one volume share its names, and nothing else.
    with refused("BucketAlreadyExists", 409):
        of[CRIMSON].create_bucket(Bucket=data)
    with refused("AccessDenied", 403):
        of[CRIMSON].get_object(Bucket=data, Key="k")
    assert data not in [bucket["Name"] for bucket in of[CRIMSON].list_buckets()["Buckets"]]
    root = client(tenants, ROOT_KEYS)
    placed = new_name("placed")
    root.create_bucket(Bucket=f"red:{placed}")
    assert root.get_bucket_acl(Bucket=f"red:{placed}")["Owner"]["ID"] == "root"
    with refused("404", 404):
        root.head_bucket(Bucket=placed)
    with refused("InvalidBucketName", 400):
        root.create_bucket(Bucket=f"green:{placed}")
    with refused("BucketAlreadyExists", 409):
        of[RED].create_bucket(Bucket=placed)


def policy(effect, action, resource):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": action, "Resource": resource}]})


def test_a_tenant_s_users_and_roles_are_at_home_where_it_is(tenants, of, data):
    iam = boto(tenants.endpoint, keys_of(RED), service="iam")
    name = new_name("user")
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    carol = client(tenants, (key["AccessKeyId"], key["SecretAccessKey"]))
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy("Allow", "s3:*", [f"arn:aws:s3:::{data}", f"arn:aws:s3:::{data}/*"]))
    assert body_of(carol, data, "k") == RED.id.encode()
    # What lets her into her own `data` opens no other, even where that one's owner lets her account in.
    for user in (ALICE, BLUE):
        allow(of[user], data, "s3:GetObject", principal={"AWS": RED.account})
        assert body_of(of[RED], QUALIFIED[user] + data, "k") == user.id.encode()
        with refused("AccessDenied", 403):
            carol.get_object(Bucket=QUALIFIED[user] + data, Key="k")
    for user, volume in ((ALICE, "s3v"), (BLUE, "blue")):
        iam.put_user_policy(UserName=name, PolicyName="other", PolicyDocument=policy("Allow", "s3:GetObject", f"arn:aws:s3::{volume}:{data}/*"))
        assert body_of(carol, QUALIFIED[user] + data, "k") == user.id.encode()
    with refused("AccessDenied", 403):
        carol.get_object(Bucket=f":{data}", Key="k")
    # A denial by the name alone is no matter of volumes.
    iam.put_user_policy(UserName=name, PolicyName="never", PolicyDocument=policy("Deny", "s3:GetObject", f"arn:aws:s3:::{data}/*"))
    for bucket in (data, f"blue:{data}"):
        with refused("AccessDenied", 403):
            carol.get_object(Bucket=bucket, Key="k")

    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": BLUE.account}, "Action": "sts:AssumeRole"}]}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    iam.put_role_policy(RoleName=name, PolicyName="reads", PolicyDocument=policy("Allow", "s3:*", "*"))
    blues = boto(tenants.endpoint, keys_of(BLUE), service="iam")
    blues.create_user(UserName=name)
    blues.put_user_policy(UserName=name, PolicyName="takes", PolicyDocument=policy("Allow", "sts:AssumeRole", role["Arn"]))
    key = blues.create_access_key(UserName=name)["AccessKey"]
    sts = boto(tenants.endpoint, (key["AccessKeyId"], key["SecretAccessKey"]), service="sts")
    taken = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="tonight")["Credentials"]
    session = client(tenants, (taken["AccessKeyId"], taken["SecretAccessKey"]), token=taken["SessionToken"])
    assert body_of(session, data, "k") == RED.id.encode(), "the role is red's, and so are its names"

    simulated = iam.simulate_custom_policy(
        PolicyInputList=[policy("Allow", "s3:GetObject", "arn:aws:s3:::data/*")], ActionNames=["s3:GetObject"],
        ResourceArns=["arn:aws:s3:::data/k", "arn:aws:s3::red:data/k", "arn:aws:s3::blue:data/k", "arn:aws:s3::s3v:data/k"])
    assert [result["EvalDecision"] for result in simulated["EvaluationResults"]] == ["allowed", "allowed", "implicitDeny", "implicitDeny"]


def preflight(server, bucket, query=""):
    headers = [("host", server.endpoint.removeprefix("http://")), ("origin", "http://page.example"), ("access-control-request-method", "GET")]
    answer = exchange(server.endpoint, Request("OPTIONS", path_of(bucket, "k"), query=query, headers=headers))
    return answer.status, answer.header("access-control-allow-origin")


def test_pages_of_other_origins_are_told_the_rules_of_the_right_bucket(tenants, of, data):
    for user, origin in ((ALICE, "http://alice.example"), (RED, "http://page.example")):
        of[user].put_bucket_cors(Bucket=data, CORSConfiguration={"CORSRules": [{"AllowedOrigins": [origin], "AllowedMethods": ["GET"]}]})
    assert preflight(tenants, data)[0] == 403
    assert preflight(tenants, f"red:{data}") == (200, "http://page.example")
    url = client(tenants, keys_of(RED), signature_version="s3v4").generate_presigned_url("get_object", Params={"Bucket": data, "Key": "k"})
    query = url.split("?", 1)[1]
    assert preflight(tenants, data, query) == (200, "http://page.example")
    assert preflight(tenants, data, query.replace(RED.access_key, "AKIDNOBODY0000000001"))[0] == 403
    answer = urllib.request.urlopen(urllib.request.Request(url, headers={"Origin": "http://page.example"}))
    assert (answer.read(), answer.headers["access-control-allow-origin"]) == (RED.id.encode(), "http://page.example")


def let_logs_in(client, target, source_arn, owner):
    client.put_bucket_policy(Bucket=target, Policy=json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "logging.s3.amazonaws.com"}, "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{target}/log/*",
        "Condition": {"ArnLike": {"aws:SourceArn": source_arn}, "StringEquals": {"aws:SourceAccount": owner.id}}}]}))


def log_to(client, source, target):
    client.put_bucket_logging(Bucket=source, BucketLoggingStatus={"LoggingEnabled": {"TargetBucket": target, "TargetPrefix": "log/"}})


def records(client, target):
    keys = keys_in(client.list_objects_v2(Bucket=target, Prefix="log/"))
    return [parsed(line) for key in keys for line in body_of(client, target, key).decode("ascii").splitlines()]


def test_a_log_tells_of_one_bucket_of_the_name_and_goes_where_it_says(tenants, of, data):
    target = new_name("logs")
    for user in (ALICE, RED, BLUE):
        of[user].create_bucket(Bucket=target)
    let_logs_in(of[RED], target, f"arn:aws:s3::red:{data}", RED)
    let_logs_in(of[BLUE], target, f"arn:aws:s3:::{data}", ALICE)
    log_to(of[RED], data, target)
    log_to(of[ALICE], data, f"blue:{target}")
    assert of[RED].get_bucket_logging(Bucket=data)["LoggingEnabled"]["TargetBucket"] == target
    assert of[ALICE].get_bucket_logging(Bucket=data)["LoggingEnabled"]["TargetBucket"] == f"blue:{target}"
    for user in QUALIFIED:
        of[user].get_object(Bucket=data, Key="k")
    made = client(tenants, keys_of(RED), signature_version="s3v4").generate_presigned_post(data, "posted", ExpiresIn=60)["fields"]
    assert exchange(tenants.endpoint, request_of(data, form(made, b"x"))).status == 204

    def read(user, reader):
        return {(record["requester"], record["key"]) for record in records(of[reader], target)
                if record["bucket"] == data and record["operation"] in ("REST.GET.OBJECT", "REST.POST.OBJECT", "REST.POST.BUCKET", "POST.POST.BUCKET")}

    wait_until(lambda: (RED.id, "posted") in read(RED, RED) and (ALICE.id, "k") in read(ALICE, BLUE), 20, "both logs")
    assert read(RED, RED) == {(RED.id, "k"), (RED.id, "posted")}
    assert read(ALICE, BLUE) == {(ALICE.id, "k")}
    assert records(of[ALICE], target) == []


def test_a_log_goes_to_no_bucket_that_does_not_let_it_in(of, data):
    target = new_name("logs")
    for user in (ALICE, RED):
        of[user].create_bucket(Bucket=target)
    let_logs_in(of[RED], target, f"arn:aws:s3::red:{data}", RED)
    with refused("AccessDenied", 403):
        log_to(of[RED], data, f":{target}")
    with refused("AccessDenied", 403):
        log_to(of[ALICE], data, f"red:{target}")


def test_events_tell_of_one_bucket_of_the_name(of, data, receiver):
    queue = [{"Id": "all", "QueueArn": "arn:trioxide:sqs::hook:webhook", "Events": ["s3:ObjectCreated:*"]}]
    of[RED].put_bucket_notification_configuration(Bucket=data, NotificationConfiguration={"QueueConfigurations": queue})
    for user in QUALIFIED:
        of[user].put_object(Bucket=data, Key=f"told-{user.id}", Body=b"x")

    def told():
        return [record["s3"] for record in receiver.records() if record["s3"]["bucket"]["name"] == data]

    wait_until(lambda: told(), 20, "an event")
    assert [(one["object"]["key"], one["bucket"]["arn"], one["bucket"]["ownerIdentity"]["principalId"]) for one in told()] == [
        (f"told-{RED.id}", f"arn:aws:s3::red:{data}", RED.id)]


def test_an_administrator_is_told_which_bucket_refused(tenants, of, data):
    def explained(call, bucket):
        with refused("AccessDenied", 403) as caught:
            call(Bucket=bucket)
        found = json.loads(tenants.admin_command("explain", caught.value.response["ResponseMetadata"]["RequestId"]).stdout)
        assert found["bucket"] == bucket, found
        return found["why"]
    assert explained(of[BLUE].list_objects_v2, f"red:{data}").startswith("s3:ListBucket: ")
    # One that is yet to be is named as it was asked for.
    assert explained(of[BLUE].create_bucket, "red:another") == "trioxide:PlaceBucket: it is for administrators of the cluster"
    accounts = json.loads(tenants.admin_command("account", "list").stdout)
    volumes = {account["id"]: account["volume"] for account in accounts}
    assert {user.id: volumes[user.id] for user in USERS} == {ALICE.id: "s3v", RED.id: "red", BLUE.id: "blue", CRIMSON.id: "red"}


def test_native_acls_are_given_in_a_tenant_s_own_bucket(tenants, of, data):
    tenants.admin_command("acl", "add", f"red/{data}/k", f"user:{BLUE.account}:r", keys=keys_of(RED))
    assert body_of(of[BLUE], f"red:{data}", "k") == RED.id.encode()
    with refused("AccessDenied", 403):
        of[ALICE].get_object(Bucket=f"red:{data}", Key="k")
    assert tenants.admin_command("acl", "get", f"blue/{data}", keys=keys_of(RED), check=False).returncode != 0
    # The volume is the first account's of it.
    tenants.admin_command("acl", "get", "red", keys=keys_of(RED))
    assert tenants.admin_command("acl", "get", "red", keys=keys_of(BLUE), check=False).returncode != 0


def test_what_the_configuration_names_is_in_its_owner_s_volume_or_where_it_says(of):
    for user in (RED, BLUE):
        assert "declared" in [bucket["Name"] for bucket in of[user].list_buckets()["Buckets"]]
        of[user].head_bucket(Bucket="declared")
    of[ALICE].head_bucket(Bucket="blue:placed")
    with refused("403", 403):
        of[BLUE].head_bucket(Bucket="placed")
    with refused("404", 404):
        of[ALICE].head_bucket(Bucket="declared")


def test_a_website_that_nobody_could_visit_is_refused(of, data):
    site = {"IndexDocument": {"Suffix": "index.html"}}
    for user, bucket in ((RED, data), (RED, f"blue:{data}"), (ALICE, f"red:{data}")):
        with refused("NotImplemented", 501) as caught:
            of[user].put_bucket_website(Bucket=bucket, WebsiteConfiguration=site)
        assert "s3v alone" in caught.value.response["Error"]["Message"]
    with refused("NoSuchWebsiteConfiguration", 404):
        of[RED].get_bucket_website(Bucket=data)
    of[RED].delete_bucket_website(Bucket=data)
    for name in (data, f"s3v:{data}"):
        of[ALICE].put_bucket_website(Bucket=name, WebsiteConfiguration=site)


def test_a_copy_s_source_has_its_volume_in_a_condition(of, data):
    of[RED].put_bucket_policy(Bucket=data, Policy=json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": BLUE.account}, "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{data}/*",
        "Condition": {"StringLike": {"s3:x-amz-copy-source": f"blue:{data}/*"}}}]}))
    of[BLUE].copy_object(Bucket=f"red:{data}", Key="copied", CopySource=f"{data}/k")
    allow(of[ALICE], data, "s3:GetObject", principal={"AWS": BLUE.account})
    with refused("AccessDenied", 403):
        of[BLUE].copy_object(Bucket=f"red:{data}", Key="copied", CopySource=f":{data}/k")


def test_a_denial_by_a_copy_s_source_holds_in_its_own_volume(of, data):
    of[RED].put_object(Bucket=data, Key="secret/k", Body=b"x")
    of[RED].put_bucket_policy(Bucket=data, Policy=json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{data}/*",
        "Condition": {"StringLike": {"s3:x-amz-copy-source": f"{data}/secret/*"}}}]}))
    of[RED].copy_object(Bucket=data, Key="copied", CopySource=f"{data}/k")
    for source in (f"{data}/secret/k", f"/{data}/secret/k", f"red:{data}/secret/k"):
        with refused("AccessDenied", 403):
            of[RED].copy_object(Bucket=data, Key="copied", CopySource=source)


def test_who_owns_a_shared_volume_gives_nothing_to_the_users_of_another_account(tenants, of):
    # Red and Crimson share a volume, which is Red's, since that account was made first.
    iam, name = boto(tenants.endpoint, keys_of(CRIMSON), service="iam"), new_name("poor")
    iam.create_user(UserName=name)
    pair = iam.create_access_key(UserName=name)["AccessKey"]
    poor = client(tenants, (pair["AccessKeyId"], pair["SecretAccessKey"]))
    own, own_name = boto(tenants.endpoint, keys_of(RED), service="iam"), new_name("own")
    own.create_user(UserName=own_name)
    pair = own.create_access_key(UserName=own_name)["AccessKey"]
    reds = client(tenants, (pair["AccessKeyId"], pair["SecretAccessKey"]))
    tenants.admin_command("acl", "add", "red", "world::cl", keys=keys_of(RED))
    try:
        reds.list_buckets()
        with refused("AccessDenied", 403):
            poor.list_buckets()
        with refused("AccessDenied", 403):
            poor.create_bucket(Bucket=new_name())
    finally:
        tenants.admin_command("acl", "remove", "red", "world::cl", keys=keys_of(RED))


def test_a_bucket_made_is_told_as_it_was_written(tenants, of):
    root, name = client(tenants, ROOT_KEYS), new_name()
    assert of[RED].create_bucket(Bucket=name)["Location"] == f"/{name}"
    assert root.create_bucket(Bucket=f"blue:{name}")["Location"] == f"/blue:{name}"


def test_volumes_outlive_a_restart_and_are_never_changed(new_server):
    server = new_server(users=(ALICE, RED))
    server.start().wait_ready()
    red = client(server, keys_of(RED))
    red.create_bucket(Bucket="data")
    red.put_object(Bucket="data", Key="k", Body=b"x")

    def restart(*users):
        assert server.stop() == 0
        server.config.write_text("\n".join(user.toml() for user in users))
        server.start().wait_ready()

    # Said otherwise nothing moves, and all else counts; not said at all it stays.
    moved, silent = Tenant(3, "red", "blue"), User(3, "red")
    moved.display_name = "Renamed"
    for users in ((ALICE, RED), (ALICE, moved), (ALICE, silent)):
        restart(*users)
        assert body_of(red, "data", "k") == b"x"
        assert body_of(client(server, keys_of(RED)), "red:data", "k") == b"x"
        complaint = "the account's buckets lie in the volume red, and that never changes"
        assert (complaint in server.log.read_text()) == (moved in users or silent in users)
        assert red.list_buckets()["Owner"]["DisplayName"] == users[1].display_name


@pytest.mark.parametrize("volume", ["Red", "r", "red_one", "red:one", "123456789012"])
def test_a_volume_that_cannot_be_keeps_the_server_from_starting(new_server, volume):
    server = new_server(users=(Tenant(3, "red", volume),)).start()
    wait_until(lambda: not server.alive(), 30, "the server gives up")
    assert "volume" in server.log_tail(5)
