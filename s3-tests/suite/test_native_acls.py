"""Ozone's native ACLs on volumes, buckets, prefixes and keys: what they give users, groups, accounts and everybody."""

import json

import pytest
from botocore import UNSIGNED
from botocore.exceptions import ClientError
from conftest import keys_of, new_name
from harness.clients import boto
from harness.server import ALICE, BOB, ROOT_KEYS
from harness.sigv4 import Signer, uri_encode
from harness.wire import Request, exchange
from support import keys_in, refused

S3_FULL = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
METHODS = {"get": "GET", "add": "POST", "remove": "DELETE", "set": "PUT"}


def ask(server, what, target, *entries, keys=keys_of(ALICE)):
    pairs = [("object", target), *(("acl", entry) for entry in entries)]
    query = "&".join(f"{name}={uri_encode(value)}" for name, value in pairs)
    return exchange(server.admin, Signer(*keys).sign(Request(METHODS[what], "/admin/v1/acl", query), server.admin))


def acl(server, what, target, *entries, keys=keys_of(ALICE)):
    """The ACL after it, as lines of Ozone's command line, sorted."""
    response = ask(server, what, target, *entries, keys=keys)
    assert response.status == 200, str(response)
    return sorted(f"{entry['type']}:{entry['name'].rsplit('/')[-1]}:{'+'.join(entry['aclList'])}[{entry['aclScope']}]" for entry in json.loads(response.body))


def no(response, status, code):
    assert (response.status, json.loads(response.body)["code"]) == (status, code), str(response)


def new_user(server, iam):
    name = new_name("user")
    iam.create_user(UserName=name, Path="/suite/")
    pair = iam.create_access_key(UserName=name)["AccessKey"]
    keys = pair["AccessKeyId"], pair["SecretAccessKey"]
    return name, keys, boto(server.endpoint, keys)


@pytest.fixture
def tom(server, iam):
    """A user of Alice's without policies: name, keys, client."""
    return new_user(server, iam)


def may(call):
    try:
        call()
    except ClientError as error:
        assert error.response["Error"]["Code"] in ("AccessDenied", "403"), error
        return False
    return True


def test_entries_are_added_removed_and_set_as_in_ozone(server, bucket, tom):
    name, place = tom[0], f"s3v/{bucket}"
    assert acl(server, "get", place) == []
    assert acl(server, "add", place, f"user:{name}:rw") == [f"USER:{name}:READ+WRITE[ACCESS]"]
    # By ARN it is the same one; another scope is an entry of its own.
    arn = f"arn:aws:iam::{ALICE.account}:user/suite/{name}"
    assert acl(server, "add", f"/{place}", f"user:{arn}:l", f"user:{name}:r[DEFAULT]") == [f"USER:{name}:READ+WRITE+LIST[ACCESS]", f"USER:{name}:READ[DEFAULT]"]
    assert acl(server, "remove", place, f"user:{name}:wl", f"user:{name}:a[DEFAULT]") == [f"USER:{name}:READ[ACCESS]"]
    assert acl(server, "set", place, f"user:{BOB.id}:a", "world::n", "anonymous:ANONYMOUS:r") == ["ANONYMOUS:ANONYMOUS:READ[ACCESS]", f"USER:arn:aws:iam::{BOB.account}:root:ALL[ACCESS]", "WORLD:WORLD:NONE[ACCESS]"]
    assert acl(server, "set", place) == acl(server, "get", place) == []


def test_a_user_may_with_a_bucket_what_its_acl_gives(server, s3, bucket, tom):
    name, _, client = tom
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    calls = {"l": lambda: client.list_objects_v2(Bucket=bucket), "r": lambda: client.get_bucket_location(Bucket=bucket),
             "wc": lambda: client.put_object(Bucket=bucket, Key="new", Body=b"y"), "x": lambda: client.get_bucket_acl(Bucket=bucket),
             "y": lambda: client.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": True})}
    assert not any(may(call) for call in calls.values())
    for rights in calls:
        acl(server, "set", f"s3v/{bucket}", f"user:{name}:{rights}")
        assert [given for given, call in calls.items() if may(call)] == [rights]
    acl(server, "set", f"s3v/{bucket}", f"user:{name}:rwcl")
    # What a key is, is not said by its bucket.
    assert not may(lambda: client.get_object(Bucket=bucket, Key="k")) and not may(lambda: client.delete_object(Bucket=bucket, Key="k"))
    acl(server, "set", f"s3v/{bucket}", f"user:{name}:w")
    assert not may(calls["wc"])
    empty = new_name()
    s3.create_bucket(Bucket=empty)
    assert not may(lambda: client.delete_bucket(Bucket=empty))
    acl(server, "add", f"s3v/{empty}", f"user:{name}:d")
    client.delete_bucket(Bucket=empty)


def test_the_longest_prefix_says_who_may_what_with_the_keys_under_it(server, s3, bucket, tom):
    name, _, client = tom
    for key in ("a/k", "a/b/k", "k"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    acl(server, "add", f"s3v/{bucket}/a/", f"user:{name}:rlwcd")
    assert client.get_object(Bucket=bucket, Key="a/b/k")["Body"].read() == b"x"
    assert keys_in(client.list_objects_v2(Bucket=bucket, Prefix="a/")) == ["a/b/k", "a/k"]
    client.put_object(Bucket=bucket, Key="a/new", Body=b"y", Tagging="a=b")
    client.delete_object(Bucket=bucket, Key="a/new")
    upload = client.create_multipart_upload(Bucket=bucket, Key="a/parts")["UploadId"]
    client.upload_part(Bucket=bucket, Key="a/parts", UploadId=upload, PartNumber=1, Body=b"z")
    client.abort_multipart_upload(Bucket=bucket, Key="a/parts", UploadId=upload)
    client.copy_object(Bucket=bucket, Key="a/copy", CopySource={"Bucket": bucket, "Key": "a/k"})
    for call in (lambda: client.get_object(Bucket=bucket, Key="k"), lambda: client.list_objects_v2(Bucket=bucket), lambda: client.list_objects_v2(Bucket=bucket, Prefix="a"),
                 lambda: client.put_object(Bucket=bucket, Key="new", Body=b""), lambda: client.delete_object(Bucket=bucket, Key="k")):
        assert not may(call)
    acl(server, "add", f"s3v/{bucket}/a/b/", "user:alice-id-01:r")
    assert not may(lambda: client.get_object(Bucket=bucket, Key="a/b/k")) and may(lambda: client.get_object(Bucket=bucket, Key="a/k"))
    errors = client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a/copy"}, {"Key": "a/b/k"}]})
    assert [error["Key"] for error in errors["Errors"]] == ["a/b/k"] and [gone["Key"] for gone in errors["Deleted"]] == ["a/copy"]


def test_a_key_s_own_acl_is_of_that_object(server, s3, bucket, tom):
    name, _, client = tom
    for key in ("k", "other"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    assert acl(server, "add", f"s3v/{bucket}/k", f"user:{name}:rxd") == [f"USER:{name}:READ+DELETE+READ_ACL[ACCESS]"]
    client.get_object(Bucket=bucket, Key="k"), client.get_object_tagging(Bucket=bucket, Key="k"), client.get_object_acl(Bucket=bucket, Key="k")
    for call in (lambda: client.get_object(Bucket=bucket, Key="other"), lambda: client.put_object_acl(Bucket=bucket, Key="k", ACL="private"), lambda: client.delete_object(Bucket=bucket, Key="other"),
                 lambda: client.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": []})):
        assert not may(call)
    client.delete_object(Bucket=bucket, Key="k")
    # An object that is written again is another.
    s3.put_object(Bucket=bucket, Key="k", Body=b"y")
    assert acl(server, "get", f"s3v/{bucket}/k") == [] and not may(lambda: client.get_object(Bucket=bucket, Key="k"))
    no(ask(server, "add", f"s3v/{bucket}/k", f"user:{name}:r[DEFAULT]"), 400, "ValidationError")
    no(ask(server, "get", f"s3v/{bucket}/absent"), 404, "NoSuchEntity")


def test_what_is_made_inherits_and_what_was_there_does_not(server, s3, bucket, tom):
    name, _, client = tom
    s3.put_object(Bucket=bucket, Key="before", Body=b"x")
    acl(server, "add", f"s3v/{bucket}", f"user:{name}:rd[DEFAULT]")
    acl(server, "add", f"s3v/{bucket}/dir/", f"user:{name}:x[DEFAULT]")
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.put_object(Bucket=bucket, Key="dir/k", Body=b"x")
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "before"})
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"z")
    s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    inherited = {key: acl(server, "get", f"s3v/{bucket}/{key}") for key in ("before", "k", "dir/k", "copy", "parts")}
    of_bucket = [f"USER:{name}:READ+DELETE[ACCESS]"]
    assert inherited == {"before": [], "k": of_bucket, "dir/k": [f"USER:{name}:READ_ACL[ACCESS]"], "copy": of_bucket, "parts": of_bucket}
    assert not may(lambda: client.get_object(Bucket=bucket, Key="before"))
    for key in ("k", "copy", "parts"):
        client.get_object(Bucket=bucket, Key=key)
    # It is a copy: a change above does not reach it.
    acl(server, "set", f"s3v/{bucket}")
    client.get_object(Bucket=bucket, Key="k")
    client.delete_object(Bucket=bucket, Key="k")
    errors = client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "copy"}, {"Key": "before"}]})
    assert [error["Key"] for error in errors["Errors"]] == ["before"]


def test_a_volume_s_acl_lets_users_make_buckets_and_is_inherited_by_them(new_server):
    server = new_server()
    server.start().wait_ready()
    iam = boto(server.endpoint, keys_of(ALICE), service="iam")
    name, keys, client = new_user(server, iam)
    assert not may(lambda: client.create_bucket(Bucket="of-tom")) and not may(client.list_buckets)
    arn = f"arn:aws:iam::{ALICE.account}:user/suite/{name}"
    assert acl(server, "add", "s3v", f"user:{arn}:cl", f"user:{arn}:rl[DEFAULT]", keys=ROOT_KEYS) == [f"USER:{name}:CREATE+LIST[ACCESS]", f"USER:{name}:READ+LIST[DEFAULT]"]
    client.create_bucket(Bucket="of-tom")
    assert [bucket["Name"] for bucket in client.list_buckets()["Buckets"]] == ["of-tom"]
    assert acl(server, "get", "s3v/of-tom") == [f"USER:{name}:READ+LIST[ACCESS]"]
    client.list_objects_v2(Bucket="of-tom")
    for keys in (keys_of(ALICE), keys):
        for what, entries in (("get", []), ("set", []), ("add", ["world::a"])):
            no(ask(server, what, "s3v", *entries, keys=keys), 403, "AccessDenied")
    acl(server, "add", "s3v", f"user:{BOB.id}:xy", keys=ROOT_KEYS)
    acl(server, "remove", "s3v", f"user:{arn}:a", keys=keys_of(BOB))
    assert not may(lambda: client.create_bucket(Bucket="another"))
    no(ask(server, "get", "absent", keys=ROOT_KEYS), 404, "NoSuchEntity")
    no(ask(server, "get", "absent/of-tom", keys=ROOT_KEYS), 404, "NoSuchEntity")


def test_a_group_means_who_is_in_it_now(server, iam, s3, bucket, tom):
    name, _, client = tom
    group = new_name("group")
    iam.create_group(GroupName=group)
    assert acl(server, "add", f"s3v/{bucket}", f"group:{group}:l") == [f"GROUP:{group}:LIST[ACCESS]"]
    listing = lambda: client.list_objects_v2(Bucket=bucket)  # noqa: E731
    assert not may(listing)
    iam.add_user_to_group(GroupName=group, UserName=name)
    assert may(listing)
    iam.remove_user_from_group(GroupName=group, UserName=name)
    assert not may(listing)
    # A group or user that is made again under the same name is another; who is gone can be taken out.
    iam.delete_group(GroupName=group)
    iam.create_group(GroupName=group)
    iam.add_user_to_group(GroupName=group, UserName=name)
    assert not may(listing)
    assert acl(server, "remove", f"s3v/{bucket}", f"group:arn:aws:iam::{ALICE.account}:group/{group}:a") == []


def test_across_accounts_an_account_is_let_in_and_its_users_if_it_says_so(server, s3, bobs, bucket):
    acl(server, "add", f"s3v/{bucket}", f"user:{BOB.id}:lwc")
    bobs.list_objects_v2(Bucket=bucket)
    bobs.put_object(Bucket=bucket, Key="his", Body=b"x")
    theirs = boto(server.endpoint, keys_of(BOB), service="iam")
    name, _, client = new_user(server, theirs)
    assert not may(lambda: client.list_objects_v2(Bucket=bucket))
    theirs.attach_user_policy(UserName=name, PolicyArn=S3_FULL)
    client.list_objects_v2(Bucket=bucket)
    # What another wrote is not the bucket's to give, nor its owner's to set.
    assert not may(lambda: s3.get_object(Bucket=bucket, Key="his"))
    no(ask(server, "add", f"s3v/{bucket}/his", f"user:{ALICE.id}:r"), 403, "AccessDenied")
    acl(server, "add", f"s3v/{bucket}/his", f"user:{ALICE.id}:r", keys=keys_of(BOB))
    s3.get_object(Bucket=bucket, Key="his")


def test_everybody_unless_public_access_is_blocked(server, s3, bobs, bucket):
    nobody = boto(server.endpoint, ("x", "x"), signature_version=UNSIGNED)
    acl(server, "set", f"s3v/{bucket}", "world::l")
    assert may(lambda: bobs.list_objects_v2(Bucket=bucket)) and not may(lambda: nobody.list_objects_v2(Bucket=bucket))
    acl(server, "set", f"s3v/{bucket}", "anonymous::l")
    assert may(lambda: bobs.list_objects_v2(Bucket=bucket)) and may(lambda: nobody.list_objects_v2(Bucket=bucket))
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"IgnorePublicAcls": True, "BlockPublicAcls": True})
    assert not may(lambda: bobs.list_objects_v2(Bucket=bucket)) and not may(lambda: nobody.list_objects_v2(Bucket=bucket))
    for what in ("add", "set"):
        no(ask(server, what, f"s3v/{bucket}", "world::r"), 403, "AccessDenied")
    acl(server, "remove", f"s3v/{bucket}", "anonymous::l")


def test_a_denial_of_a_policy_stands_above_an_acl(server, iam, s3, bucket, tom):
    name, _, client = tom
    acl(server, "add", f"s3v/{bucket}/dir/", f"user:{name}:a")
    client.put_object(Bucket=bucket, Key="dir/k", Body=b"x")
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    assert not may(lambda: client.get_object(Bucket=bucket, Key="dir/k"))
    s3.delete_bucket_policy(Bucket=bucket)
    client.get_object(Bucket=bucket, Key="dir/k")
    del deny["Principal"]
    iam.put_user_policy(UserName=name, PolicyName="no", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    assert not may(lambda: client.get_object(Bucket=bucket, Key="dir/k"))


def test_who_may_change_an_acl(server, s3, bobs, bucket, tom):
    name, keys, client = tom
    s3.put_object(Bucket=bucket, Key="dir/k", Body=b"x")
    places = [f"s3v/{bucket}", f"s3v/{bucket}/dir/", f"s3v/{bucket}/dir/k"]
    for place in places:
        for what, entries in (("get", []), ("add", [f"user:{name}:a"]), ("set", []), ("remove", [f"user:{name}:a"])):
            for stranger in (keys, keys_of(BOB)):
                no(ask(server, what, place, *entries, keys=stranger), 403, "AccessDenied")
        # To read an ACL is not to write it.
        acl(server, "set", place, f"user:{name}:x", keys=ROOT_KEYS)
        assert acl(server, "get", place, keys=keys) == [f"USER:{name}:READ_ACL[ACCESS]"]
        no(ask(server, "add", place, f"user:{name}:a", keys=keys), 403, "AccessDenied")
        acl(server, "set", place, f"user:{name}:y")
        assert acl(server, "add", place, f"user:{name}:r", keys=keys) == [f"USER:{name}:READ+WRITE_ACL[ACCESS]"]
        acl(server, "set", place)
    no(ask(server, "get", "s3v/no-such-bucket-at-all"), 404, "NoSuchEntity")
    no(exchange(server.admin, Request("GET", "/admin/v1/acl", f"object=s3v/{bucket}").set("host", "h")), 403, "AccessDenied")


@pytest.mark.parametrize("entry", ["", "user", "user:tom", "user::r", "world:tom:r", "user:tom:", "user:tom:z", "role:tom:r", "user:tom:r[OTHER]"])
def test_what_is_no_entry_is_refused(server, bucket, entry):
    no(ask(server, "add", f"s3v/{bucket}", entry), 400, "ValidationError")
    assert acl(server, "get", f"s3v/{bucket}") == []


def test_who_does_not_exist_is_refused(server, bucket):
    for entry in ("user:nobody-here:r", f"user:arn:aws:iam::{ALICE.account}:user/nobody:r", "group:nobodies:r", "user:arn:aws:iam::999999999999:root:r"):
        no(ask(server, "add", f"s3v/{bucket}", entry), 404, "NoSuchEntity")
    no(ask(server, "add", f"s3v/{bucket}"), 400, "ValidationError")
    no(ask(server, "get", f"s3v/{bucket}", "world::r"), 400, "InvalidArgument")
    no(ask(server, "get", "S3V!/x"), 400, "ValidationError")


def test_acls_survive_a_restart_and_end_with_their_bucket(new_server):
    server = new_server()
    server.start().wait_ready()
    s3, bobs = (boto(server.endpoint, keys_of(user)) for user in (ALICE, BOB))
    s3.create_bucket(Bucket="kept")
    acl(server, "add", "s3v/kept", f"user:{BOB.id}:l", f"user:{BOB.id}:r[DEFAULT]")
    acl(server, "add", "s3v/kept/dir/", f"user:{BOB.id}:wc")
    s3.put_object(Bucket="kept", Key="k", Body=b"x")
    server.kill()
    server.start().wait_ready()
    bobs.list_objects_v2(Bucket="kept"), bobs.get_object(Bucket="kept", Key="k"), bobs.put_object(Bucket="kept", Key="dir/k", Body=b"y")
    assert acl(server, "get", "s3v/kept") == [f"USER:arn:aws:iam::{BOB.account}:root:LIST[ACCESS]", f"USER:arn:aws:iam::{BOB.account}:root:READ[DEFAULT]"]
    for key in ("k", "dir/k"):
        s3.delete_object(Bucket="kept", Key=key)
    s3.delete_bucket(Bucket="kept")
    s3.create_bucket(Bucket="kept")
    assert acl(server, "get", "s3v/kept") == acl(server, "get", "s3v/kept/dir/") == []
    with refused("AccessDenied", 403):
        bobs.list_objects_v2(Bucket="kept")


def test_the_command_line_gets_adds_removes_and_sets(server, bucket, tom):
    name, place = tom[0], f"s3v/{bucket}/dir/"

    def command(*words):
        return [(entry["type"], entry["aclList"], entry["aclScope"]) for entry in json.loads(server.admin_command("acl", *words, keys=keys_of(ALICE)).stdout)]
    assert command("add", place, f"user:{name}:rw", "world::l[DEFAULT]") == [("USER", ["READ", "WRITE"], "ACCESS"), ("WORLD", ["LIST"], "DEFAULT")]
    assert command("remove", place, "world::a[DEFAULT]") == command("get", place) == [("USER", ["READ", "WRITE"], "ACCESS")]
    assert command("set", place) == []
    refusal = server.admin_command("acl", "get", place, keys=keys_of(BOB), check=False)
    assert refusal.returncode == 1 and "AccessDenied" in refusal.stderr


def closed(response):
    assert response.status == 403, str(response)
    no(response, 403, "AccessDenied")


def session_keys(server, iam, name, keys, policy):
    """Of a role of the user's that may everything with S3, narrowed to this policy."""
    role = new_name("role")
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ALICE.account}:user/suite/{name}"}, "Action": "sts:AssumeRole"}
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))["Role"]["Arn"]
    iam.attach_role_policy(RoleName=role, PolicyArn=S3_FULL)
    given = boto(server.endpoint, keys, service="sts").assume_role(RoleArn=arn, RoleSessionName="work", Policy=policy)["Credentials"]
    return (given["AccessKeyId"], given["SecretAccessKey"]), given["SessionToken"]


@pytest.mark.parametrize("place", ["s3v/{bucket}", "s3v/{bucket}/closed/", "s3v/{bucket}/closed/k"])
@pytest.mark.parametrize("right", ["x", "y"])
def test_the_right_of_an_account_to_an_acl_is_not_its_users(server, s3, bucket, place, right):
    """An account that may see or set an ACL may let its users; until it does they may neither."""
    s3.put_object(Bucket=bucket, Key="closed/k", Body=b"x")
    iam = boto(server.endpoint, keys_of(BOB), service="iam")
    name = new_name("user")
    iam.create_user(UserName=name)
    pair = iam.create_access_key(UserName=name)["AccessKey"]
    keys, place = (pair["AccessKeyId"], pair["SecretAccessKey"]), place.format(bucket=bucket)
    before = acl(server, "add", place, f"user:{BOB.id}:{right}")
    closed(ask(server, "get", place, keys=keys))
    closed(ask(server, "add", place, "world::r", keys=keys))
    assert acl(server, "get", place) == before


def test_the_right_of_an_account_to_a_volume_s_acl_is_not_its_users(new_server):
    server = new_server()
    server.start().wait_ready()
    iam = boto(server.endpoint, keys_of(ALICE), service="iam")
    acl(server, "add", "s3v", f"user:{ALICE.id}:y", keys=ROOT_KEYS)
    name, keys, client = new_user(server, iam)
    closed(ask(server, "add", "s3v", f"user:{name}:c", keys=keys))
    # Whom a policy denies everything, whatever the volume's ACL says.
    denied, denied_keys, _ = new_user(server, iam)
    acl(server, "add", "s3v", f"user:arn:aws:iam::{ALICE.account}:user/suite/{denied}:y", keys=ROOT_KEYS)
    iam.put_user_policy(UserName=denied, PolicyName="no", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}))
    closed(ask(server, "add", "s3v", "world::a", keys=denied_keys))
    assert not may(lambda: client.create_bucket(Bucket=new_name()))


def test_a_session_s_policy_narrows_what_an_acl_gives_its_account(server, s3, iam, bucket, tom):
    name, keys, _ = tom
    acl(server, "add", f"s3v/{bucket}/closed/", f"user:{ALICE.id}:y")
    only = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}]})
    narrow, token = session_keys(server, iam, name, keys, only)
    request = Request("POST", "/admin/v1/acl", f"object={uri_encode(f's3v/{bucket}/closed/')}&acl={uri_encode('world::r')}")
    request.set("x-amz-security-token", token)
    closed(exchange(server.admin, Signer(*narrow).sign(request, server.admin)))
