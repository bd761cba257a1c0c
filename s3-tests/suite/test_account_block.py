"""The block on public access for all buckets of an account, as boto3's `s3control` and `aws s3control` set it."""

import json
import socket
import subprocess

import pytest

from conftest import DOMAIN, keys_of, new_name
from harness.clients import boto, environment
from harness.server import ALICE, BOB, ROOT_KEYS
from harness.sigv4 import Signer
from harness.wire import Request, exchange, path_of
from support import assert_error, refused

PATH = "/v20180820/configuration/publicAccessBlock"
ALL = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True}


@pytest.fixture(autouse=True)
def hosts(monkeypatch):
    """These clients put the account's number in front of the endpoint's host, where a name server would have to know it."""
    ask = socket.getaddrinfo

    def answer(host, *rest, **more):
        is_ours = isinstance(host, str) and host.endswith((".localhost", f".{DOMAIN}"))
        return ask("127.0.0.1" if is_ours else host, *rest, **more)
    monkeypatch.setattr(socket, "getaddrinfo", answer)


def of_port(server, host):
    return f"http://{host}:{server.endpoint.rsplit(':', 1)[1]}"


def number(server, keys):
    return boto(server.endpoint, keys, service="sts").get_caller_identity()["Account"]


@pytest.fixture
def alice(server):
    """Alice's account number; what a test blocks is open again after it."""
    account = number(server, keys_of(ALICE))
    yield account
    boto(of_port(server, "localhost"), keys_of(ALICE), service="s3control").delete_public_access_block(AccountId=account)


@pytest.fixture
def control(server, alice):
    return boto(of_port(server, "localhost"), keys_of(ALICE), service="s3control")


def anonymous(server, bucket, key):
    return exchange(server.endpoint, Request("GET", path_of(bucket, key), headers=[("host", server.endpoint.removeprefix("http://"))])).status


def policy(bucket):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}]})


def block(control, account, **what):
    control.put_public_access_block(AccountId=account, PublicAccessBlockConfiguration=what)


def test_it_is_set_shown_and_taken_away(control, alice):
    with refused("NoSuchPublicAccessBlockConfiguration", 404):
        control.get_public_access_block(AccountId=alice)
    block(control, alice, BlockPublicAcls=True)
    shown = control.get_public_access_block(AccountId=alice)["PublicAccessBlockConfiguration"]
    assert shown == {**dict.fromkeys(ALL, False), "BlockPublicAcls": True}
    block(control, alice, **ALL)
    assert control.get_public_access_block(AccountId=alice)["PublicAccessBlockConfiguration"] == ALL
    control.delete_public_access_block(AccountId=alice)
    with refused("NoSuchPublicAccessBlockConfiguration", 404):
        control.get_public_access_block(AccountId=alice)


@pytest.mark.parametrize("host", ["localhost", DOMAIN])
def test_the_account_s_number_in_front_of_the_host_is_no_bucket(server, alice, host):
    """Neither where the host is nothing to the server, nor where a label in front of it would be a bucket."""
    control = boto(of_port(server, host), keys_of(ALICE), service="s3control")
    block(control, alice, IgnorePublicAcls=True)
    assert control.get_public_access_block(AccountId=alice)["PublicAccessBlockConfiguration"]["IgnorePublicAcls"]


def test_the_command_line_client_sets_it_too(server, alice, control, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import socket\nask = socket.getaddrinfo\n"
        "socket.getaddrinfo = lambda host, *a, **k: ask('127.0.0.1' if str(host).endswith('.localhost') else host, *a, **k)\n")
    env = {**environment(of_port(server, "localhost"), keys_of(ALICE)), "PYTHONPATH": str(tmp_path)}
    subprocess.run(["aws", "s3control", "put-public-access-block", "--account-id", alice,
                    "--public-access-block-configuration", "BlockPublicPolicy=true"], env=env, check=True, timeout=60)
    assert control.get_public_access_block(AccountId=alice)["PublicAccessBlockConfiguration"]["BlockPublicPolicy"]


def test_public_acls_are_neither_taken_nor_heeded(server, s3, bucket, control, alice):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="public-read")
    assert anonymous(server, bucket, "k") == 200
    block(control, alice, IgnorePublicAcls=True)
    assert anonymous(server, bucket, "k") == 403
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    block(control, alice, BlockPublicAcls=True)
    assert anonymous(server, bucket, "k") == 200, "what is there stays"
    for call in (lambda: s3.put_object(Bucket=bucket, Key="k2", ACL="public-read"),
                 lambda: s3.put_object_acl(Bucket=bucket, Key="k", ACL="public-read-write"),
                 lambda: s3.put_bucket_acl(Bucket=bucket, ACL="authenticated-read"),
                 lambda: s3.create_bucket(Bucket=new_name(), ACL="public-read")):
        with refused("AccessDenied", 403):
            call()
    s3.put_bucket_acl(Bucket=bucket, ACL="private")
    s3.create_bucket(Bucket=new_name())


def test_public_policies_are_neither_taken_nor_heeded(server, s3, bucket, bobs, control, alice):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.put_bucket_policy(Bucket=bucket, Policy=policy(bucket))
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"]
    assert anonymous(server, bucket, "k") == 200
    block(control, alice, RestrictPublicBuckets=True)
    assert anonymous(server, bucket, "k") == 403
    with refused("AccessDenied", 403):
        bobs.get_object(Bucket=bucket, Key="k")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    block(control, alice, BlockPublicPolicy=True)
    assert anonymous(server, bucket, "k") == 200, "what is there stays"
    with refused("AccessDenied", 403):
        s3.put_bucket_policy(Bucket=bucket, Policy=policy(bucket))
    control.delete_public_access_block(AccountId=alice)
    s3.put_bucket_policy(Bucket=bucket, Policy=policy(bucket))


def test_what_either_blocks_is_blocked_and_neither_shows_the_other_s(server, s3, bucket, control, alice):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="public-read")
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicPolicy": True})
    block(control, alice, IgnorePublicAcls=True)
    assert anonymous(server, bucket, "k") == 403
    with refused("AccessDenied", 403):
        s3.put_bucket_policy(Bucket=bucket, Policy=policy(bucket))
    assert not s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]["IgnorePublicAcls"]
    assert not control.get_public_access_block(AccountId=alice)["PublicAccessBlockConfiguration"]["BlockPublicPolicy"]


def test_another_account_s_buckets_are_not_meant(server, bobs, control, alice):
    block(control, alice, **ALL)
    name = new_name()
    bobs.create_bucket(Bucket=name)
    bobs.put_object(Bucket=name, Key="k", Body=b"x", ACL="public-read")
    assert anonymous(server, name, "k") == 200


def test_only_who_may_in_the_account_sets_it(server, alice, control):
    bobs = boto(of_port(server, "localhost"), keys_of(BOB), service="s3control")
    # An account that there is not is nothing else than one of somebody's.
    for account in (alice, "100000000000"):
        for call in (lambda: block(bobs, account), lambda: bobs.get_public_access_block(AccountId=account),
                     lambda: bobs.delete_public_access_block(AccountId=account)):
            with refused("AccessDenied", 403):
                call()
    iam, name = boto(server.endpoint, keys_of(ALICE), service="iam"), new_name("user")
    iam.create_user(UserName=name)
    pair = iam.create_access_key(UserName=name)["AccessKey"]
    users = boto(of_port(server, "localhost"), (pair["AccessKeyId"], pair["SecretAccessKey"]), service="s3control")
    with refused("AccessDenied", 403):
        block(users, alice)
    allow = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:PutAccountPublicAccessBlock", "Resource": "*"}]}
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(allow))
    block(users, alice, BlockPublicAcls=True)
    with refused("AccessDenied", 403):
        users.get_public_access_block(AccountId=alice)
    with refused("AccessDenied", 403):
        block(users, number(server, keys_of(BOB)))
    roots = boto(of_port(server, "localhost"), ROOT_KEYS, service="s3control")
    assert roots.get_public_access_block(AccountId=alice)["PublicAccessBlockConfiguration"]["BlockPublicAcls"]


def test_the_rest_of_s3_control_is_not_built(control, server, alice):
    for call in (lambda: control.list_jobs(AccountId=alice), lambda: control.create_access_point(AccountId=alice, Name="point", Bucket="bkt"),
                 lambda: control.list_access_points(AccountId=alice)):
        with refused("NotImplemented", 501):
            call()
    unsigned = exchange(server.endpoint, Request("GET", PATH, headers=[("x-amz-account-id", alice), ("host", "h")]))
    assert_error(unsigned, 403, "AccessDenied")


def test_an_object_of_that_name_is_still_an_object(server, s3):
    bucket, _, key = PATH.removeprefix("/").partition("/")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    signed = Signer(*keys_of(ALICE)).sign(Request("GET", PATH), server.endpoint)
    assert exchange(server.endpoint, signed).body == b"x"
    s3.delete_object(Bucket=bucket, Key=key)
    s3.delete_bucket(Bucket=bucket)
