"""Who may do what with another's buckets and objects: policies, ACLs, ownership, the block on public access, and nobody at all."""

import json

import botocore
import pytest
import urllib3
from conftest import keys_of, new_name
from harness.clients import boto
from harness.server import ALICE, BOB
from harness.wire import Request, exchange, path_of
from support import assert_error, body_of, keys_in, refused

EVERYBODY = "http://acs.amazonaws.com/groups/global/AllUsers"
SIGNED = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
DENIED = ("AccessDenied", 403)


@pytest.fixture(scope="session")
def nobody(server):
    """A client without credentials."""
    return boto(server.endpoint, ("", ""), signature_version=botocore.UNSIGNED)


@pytest.fixture
def raw(server):
    """Sends an unsigned request as it is."""
    return lambda method, path, query="", headers=(), body=b"": exchange(
        server.endpoint, Request(method, path, query, [("Host", server.endpoint.removeprefix("http://")), *headers], body))


def arn(bucket, key=None):
    return f"arn:aws:s3:::{bucket}" + ("" if key is None else f"/{key}")


def statement(bucket, actions, effect="Allow", principal="*", resource=None, condition=None, sid=None):
    made = {"Effect": effect, "Principal": principal, "Action": actions, "Resource": resource or [arn(bucket), arn(bucket, "*")]}
    return made | ({"Condition": condition} if condition else {}) | ({"Sid": sid} if sid else {})


def set_policy(client, bucket, *statements, **more):
    text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    client.put_bucket_policy(Bucket=bucket, Policy=text, **more)
    return text


def grants(response):
    shown = [(grant["Grantee"].get("URI", grant["Grantee"].get("ID")), grant["Permission"]) for grant in response["Grants"]]
    return shown


# --- nobody ---


def test_nobody_may_anything_that_is_not_opened(nobody, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    for call in (lambda: nobody.get_object(Bucket=bucket, Key="k"), lambda: nobody.list_objects_v2(Bucket=bucket),
                 lambda: nobody.put_object(Bucket=bucket, Key="k", Body=b"y"), lambda: nobody.delete_object(Bucket=bucket, Key="k"),
                 lambda: nobody.get_bucket_acl(Bucket=bucket), lambda: nobody.get_bucket_policy(Bucket=bucket),
                 lambda: nobody.delete_bucket(Bucket=bucket), lambda: nobody.create_bucket(Bucket=new_name()),
                 lambda: nobody.create_multipart_upload(Bucket=bucket, Key="k")):
        with refused(*DENIED):
            call()
    with refused("NoSuchBucket", 404):
        nobody.get_object(Bucket=new_name("absent"), Key="k")
    assert nobody.list_buckets()["Buckets"] == []
    assert body_of(s3, bucket, "k") == b"x"


def test_nobody_reads_and_writes_what_is_open(nobody, s3, bucket):
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    nobody.put_object(Bucket=bucket, Key="new", Body=b"by nobody")
    assert keys_in(nobody.list_objects_v2(Bucket=bucket)) == ["new"]
    with refused(*DENIED):
        nobody.get_object(Bucket=bucket, Key="new")
    assert body_of(s3, bucket, "new") == b"by nobody", "what nobody wrote is the bucket owner's"
    nobody.put_object(Bucket=bucket, Key="open", Body=b"open", ACL="public-read")
    assert body_of(nobody, bucket, "open") == b"open"
    nobody.delete_object(Bucket=bucket, Key="new")


def test_a_refused_upload_is_not_read(raw, bucket):
    answer = raw("PUT", path_of(bucket, "k"), headers=[("Content-Length", str(5 << 30)), ("Expect", "100-continue")])
    assert_error(answer, 403, "AccessDenied")


# --- ACLs ---


@pytest.mark.parametrize("canned, shown", [
    ("private", []), ("public-read", [(EVERYBODY, "READ")]), ("public-read-write", [(EVERYBODY, "READ"), (EVERYBODY, "WRITE")]),
    ("authenticated-read", [(SIGNED, "READ")]),
])
def test_canned_acls_are_shown_with_the_owner_last(s3, bucket, canned, shown):
    wanted = shown + [(ALICE.id, "FULL_CONTROL")]
    s3.put_bucket_acl(Bucket=bucket, ACL=canned)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL=canned)
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "k"}, ACL=canned)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts", ACL=canned)["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"x")
    s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload,
                                 MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    assert grants(s3.get_bucket_acl(Bucket=bucket)) == wanted
    for key in ("k", "copy", "parts"):
        answer = s3.get_object_acl(Bucket=bucket, Key=key)
        assert grants(answer) == wanted, key
        assert answer["Owner"] == {"ID": ALICE.id, "DisplayName": ALICE.display_name}
    made = new_name()
    s3.create_bucket(Bucket=made, ACL=canned)
    assert grants(s3.get_bucket_acl(Bucket=made)) == wanted


def test_an_acl_is_no_part_of_what_a_write_replaces_or_a_copy_takes_along(nobody, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="public-read")
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "k"})
    with refused(*DENIED):
        nobody.get_object(Bucket=bucket, Key="copy")
    s3.put_object(Bucket=bucket, Key="k", Body=b"y")
    with refused(*DENIED):
        nobody.get_object(Bucket=bucket, Key="k")


def test_setting_an_acl_changes_nothing_else(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentType="text/plain", Metadata={"a": "b"})
    before = s3.head_object(Bucket=bucket, Key="k")
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="public-read")
    after = s3.head_object(Bucket=bucket, Key="k")
    for field in ("LastModified", "ETag", "ContentType", "Metadata", "ContentLength"):
        assert before[field] == after[field], field


def test_each_version_has_an_acl_of_its_own(nobody, s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    old = s3.put_object(Bucket=bucket, Key="k", Body=b"old")["VersionId"]
    new = s3.put_object(Bucket=bucket, Key="k", Body=b"new")["VersionId"]
    s3.put_object_acl(Bucket=bucket, Key="k", VersionId=old, ACL="public-read")
    assert body_of(nobody, bucket, "k", VersionId=old) == b"old"
    for version in ({}, {"VersionId": new}):
        with refused(*DENIED):
            nobody.get_object(Bucket=bucket, Key="k", **version)
    assert s3.get_object_acl(Bucket=bucket, Key="k", VersionId=old)["ResponseMetadata"]["HTTPHeaders"]["x-amz-version-id"] == old
    s3.delete_object(Bucket=bucket, Key="k")
    with refused("MethodNotAllowed", 405):
        s3.get_object_acl(Bucket=bucket, Key="k", VersionId=s3.list_object_versions(Bucket=bucket)["DeleteMarkers"][0]["VersionId"])


def test_a_grant_is_for_one_permission(bobs, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    bob = f"id={BOB.id}"
    calls = {
        "READ": lambda: bobs.get_object(Bucket=bucket, Key="k"), "READ_ACP": lambda: bobs.get_object_acl(Bucket=bucket, Key="k"),
        "WRITE_ACP": lambda: bobs.put_object_acl(Bucket=bucket, Key="k", GrantWriteACP=bob),
    }
    for permission, name in (("READ", "GrantRead"), ("READ_ACP", "GrantReadACP"), ("WRITE_ACP", "GrantWriteACP"), ("FULL_CONTROL", "GrantFullControl")):
        for wanted, call in calls.items():
            s3.put_object_acl(Bucket=bucket, Key="k", **{name: bob})
            if permission in (wanted, "FULL_CONTROL"):
                call()
            else:
                with refused(*DENIED):
                    call()


def test_grantees_are_named_by_id_by_address_or_as_a_group(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.put_object_acl(Bucket=bucket, Key="k", GrantRead=f'id="{BOB.id}", emailAddress="{BOB.email.upper()}", uri="{SIGNED}"')
    assert grants(s3.get_object_acl(Bucket=bucket, Key="k")) == [(SIGNED, "READ"), (BOB.id, "READ"), (BOB.id, "READ")]
    with refused("InvalidArgument", 400):
        s3.put_object_acl(Bucket=bucket, Key="k", GrantRead="id=nobody-of-that-id")
    with refused("UnresolvableGrantByEmailAddress", 400):
        s3.put_object_acl(Bucket=bucket, Key="k", GrantRead="emailAddress=nobody@example.com")
    with refused("InvalidArgument", 400):
        s3.put_object_acl(Bucket=bucket, Key="k", GrantRead="uri=http://example.com/group")
    with refused("InvalidRequest", 400):
        s3.put_object_acl(Bucket=bucket, Key="k", ACL="private", GrantRead=f"id={BOB.id}")
    with refused("InvalidArgument", 400):
        s3.put_object(Bucket=bucket, Key="new", Body=b"x", GrantRead="id=nobody-of-that-id")
    with refused("404", 404):
        s3.head_object(Bucket=bucket, Key="new")


def test_an_acl_stands_in_one_place_of_the_request(send, bucket):
    document = (f"<AccessControlPolicy><Owner><ID>{ALICE.id}</ID></Owner><AccessControlList><Grant><Grantee><ID>{BOB.id}</ID></Grantee>"
                "<Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>").encode()
    put = lambda body, headers=(): send(Request("PUT", path_of(bucket), "acl", list(headers), body))  # noqa: E731
    assert put(document).status == 200
    assert_error(put(document, [("x-amz-acl", "private")]), 400, "UnexpectedContent")
    assert_error(put(b""), 400, "MissingSecurityHeader")
    assert_error(put(document.replace(b"READ", b"SEE")), 400, "MalformedACLError")
    assert_error(put(b"<x/>"), 400, "MalformedACLError")
    assert_error(put(document.replace(ALICE.id.encode(), BOB.id.encode(), 1)), 403, "AccessDenied")
    assert_error(put(b"", [("x-amz-acl", "public")]), 400, "InvalidArgument")
    assert_error(put(b"", [("x-amz-acl", "aws-exec-read")]), 501, "NotImplemented")


def test_what_another_wrote_is_theirs(bobs, s3, bucket):
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    bobs.put_object(Bucket=bucket, Key="bobs", Body=b"bob's")
    entry, = s3.list_objects_v2(Bucket=bucket, FetchOwner=True)["Contents"]
    assert entry["Owner"] == {"ID": BOB.id, "DisplayName": BOB.display_name}
    assert body_of(bobs, bucket, "bobs") == b"bob's"
    for call in (lambda: s3.get_object(Bucket=bucket, Key="bobs"), lambda: s3.get_object_acl(Bucket=bucket, Key="bobs"),
                 lambda: s3.put_object_acl(Bucket=bucket, Key="bobs", ACL="private"),
                 lambda: s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "bobs"})):
        with refused(*DENIED):
            call()
    bobs.put_object_acl(Bucket=bucket, Key="bobs", ACL="bucket-owner-read")
    assert body_of(s3, bucket, "bobs") == b"bob's"
    s3.delete_object(Bucket=bucket, Key="bobs")
    assert keys_in(s3.list_objects_v2(Bucket=bucket)) == []


# --- policies ---


def test_a_policy_is_given_back_letter_by_letter_and_counts_at_once(bobs, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    with refused("NoSuchBucketPolicy", 404):
        s3.get_bucket_policy(Bucket=bucket)
    text = '{ "Version":"2012-10-17",\n\t"Id": "caf\\u00e9", "Statement" :' + json.dumps([statement(bucket, "s3:GetObject")]) + " }"
    for _ in range(5):
        s3.put_bucket_policy(Bucket=bucket, Policy=text)
        assert s3.get_bucket_policy(Bucket=bucket)["Policy"] == text
        assert body_of(bobs, bucket, "k") == b"x"
        s3.delete_bucket_policy(Bucket=bucket)
        with refused(*DENIED):
            bobs.get_object(Bucket=bucket, Key="k")
    s3.delete_bucket_policy(Bucket=bucket)


@pytest.mark.parametrize("text", [
    "", "{", "[]", '{"Version":"2012-10-17"}', '{"Version":"2012-10-18","Statement":[S]}', '{"Version":"2012-10-17","Version":"2012-10-17","Statement":[S]}',
    '{"Version":"2012-10-17","Statement":[S],"More":1}', " {}", "[" * 10_000, '{"Version":NaN,"Statement":[S]}',
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotPrincipal":{"AWS":"1"},"Action":"s3:GetObject","Resource":"*"}]}',
    '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:DeletObject","Resource":"*"}]}',
    '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::another-bucket/*"}]}',
    '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"s3:prefx":"a"}}}]}',
    '{"Version":"2012-10-17","Id":"' + "a" * (20 << 10) + '","Statement":[S]}',
], ids=range(15))
def test_what_is_no_policy_is_refused_and_changes_nothing(send, s3, bucket, text):
    before = set_policy(s3, bucket, statement(bucket, "s3:GetObject"))
    body = text.replace("[S]", "[" + json.dumps(statement(bucket, "s3:*")) + "]").encode()
    answer = send(Request("PUT", path_of(bucket), "policy", body=body))
    assert_error(answer, 400, ("MalformedPolicy", "MissingRequestBodyError"))
    assert s3.get_bucket_policy(Bucket=bucket)["Policy"] == before


def test_a_denial_binds_the_owner_who_can_always_take_it_back(root, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    text = set_policy(s3, bucket, statement(bucket, "s3:*", "Deny"))
    for client in (s3, root):
        for call in (lambda: client.get_object(Bucket=bucket, Key="k"), lambda: client.list_objects_v2(Bucket=bucket),
                     lambda: client.get_public_access_block(Bucket=bucket), lambda: client.delete_bucket(Bucket=bucket)):
            with refused(*DENIED):
                call()
        assert client.get_bucket_policy(Bucket=bucket)["Policy"] == text
    s3.delete_bucket_policy(Bucket=bucket)
    assert body_of(s3, bucket, "k") == b"x"


def test_an_owner_may_give_that_up(bobs, s3, bucket):
    set_policy(s3, bucket, statement(bucket, ["s3:PutBucketPolicy", "s3:DeleteBucketPolicy"], "Deny"), ConfirmRemoveSelfBucketAccess=True)
    with refused(*DENIED):
        s3.delete_bucket_policy(Bucket=bucket)
    with refused(*DENIED):
        bobs.delete_bucket_policy(Bucket=bucket)


def test_rights_are_about_the_very_key(bobs, s3, bucket):
    for key in ("public/a", "private", "public/../private", "public"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    set_policy(s3, bucket, statement(bucket, "s3:GetObject", resource=arn(bucket, "public/*")))
    for key in ("public/a", "public/../private"):
        assert body_of(bobs, bucket, key) == key.encode(), "keys are bytes and not paths"
    for key in ("private", "public"):
        with refused(*DENIED):
            bobs.get_object(Bucket=bucket, Key=key)


def test_an_absent_key_is_told_to_those_who_may_list_it(bobs, nobody, s3, bucket):
    set_policy(s3, bucket, statement(bucket, "s3:GetObject"),
               statement(bucket, "s3:ListBucket", condition={"StringLike": {"s3:prefix": "public/*"}}))
    for client in (bobs, nobody):
        with refused("NoSuchKey", 404):
            client.get_object(Bucket=bucket, Key="public/absent")
        with refused(*DENIED):
            client.get_object(Bucket=bucket, Key="private/absent")
        with refused("404", 404):
            client.head_object(Bucket=bucket, Key="public/absent")
        with refused("403", 403):
            client.head_object(Bucket=bucket, Key="private/absent")
        assert keys_in(client.list_objects_v2(Bucket=bucket, Prefix="public/")) == []
        with refused(*DENIED):
            client.list_objects_v2(Bucket=bucket)


CONDITIONS = {
    "address": ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}),
    "plain http": ({"Bool": {"aws:SecureTransport": "false"}}, {"Bool": {"aws:SecureTransport": "true"}}),
    "client": ({"StringLike": {"aws:UserAgent": "*Boto3*"}}, {"StringLike": {"aws:UserAgent": "curl*"}}),
    "signature": ({"StringEquals": {"s3:authType": "REST-HEADER", "s3:signatureversion": "AWS4-HMAC-SHA256"}},
                  {"StringEquals": {"s3:authType": "REST-QUERY-STRING"}}),
    "age": ({"NumericLessThan": {"s3:signatureAge": "600000"}}, {"NumericGreaterThan": {"s3:signatureAge": "600000"}}),
    "time": ({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01"}}, {"DateLessThan": {"aws:CurrentTime": "2020-01-01"}}),
    "principal": ({"StringEquals": {"aws:PrincipalAccount": BOB.account}}, {"StringEquals": {"aws:PrincipalAccount": ALICE.account}}),
    "owner": ({"StringEquals": {"s3:ResourceAccount": ALICE.account}}, {"StringEquals": {"s3:ResourceAccount": BOB.account}}),
    "no version": ({"Null": {"s3:VersionId": "true"}}, {"Null": {"s3:VersionId": "false"}}),
    "tag": ({"StringEquals": {"s3:ExistingObjectTag/security": "public"}}, {"StringEquals": {"s3:ExistingObjectTag/security": "private"}}),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_conditions_look_at_the_request(bobs, s3, bucket, name):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="security=public")
    holds, fails = CONDITIONS[name]
    set_policy(s3, bucket, statement(bucket, "s3:GetObject", condition=holds))
    assert body_of(bobs, bucket, "k") == b"x"
    set_policy(s3, bucket, statement(bucket, "s3:GetObject", condition=fails))
    with refused(*DENIED):
        bobs.get_object(Bucket=bucket, Key="k")
    set_policy(s3, bucket, statement(bucket, "s3:GetObject"), statement(bucket, "s3:GetObject", "Deny", condition=holds))
    with refused(*DENIED):
        bobs.get_object(Bucket=bucket, Key="k")


def test_conditions_look_at_what_is_written(bobs, s3, bucket):
    put = lambda key="k", **more: bobs.put_object(Bucket=bucket, Key=key, Body=b"x", **more)  # noqa: E731
    set_policy(s3, bucket, statement(bucket, ["s3:PutObject", "s3:PutObjectTagging"]),
               statement(bucket, "s3:PutObject", "Deny", condition={"StringLike": {"s3:x-amz-acl": "public*"}}, sid="NotPublic"),
               statement(bucket, ["s3:PutObject", "s3:PutObjectTagging"], "Deny",
                         condition={"ForAnyValue:StringNotEquals": {"s3:RequestObjectTagKeys": ["team"]}}),
               statement(bucket, "s3:PutObject", "Deny", condition={"StringEquals": {"s3:if-none-match": "*"}}))
    put(), put(ACL="private"), put(Tagging="team=a")
    for more in ({"ACL": "public-read"}, {"Tagging": "team=a&other=b"}, {"IfNoneMatch": "*"}):
        with refused(*DENIED):
            put(**more)
    bobs.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "team", "Value": "b"}]})
    with refused(*DENIED):
        bobs.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "other", "Value": "b"}]})
    with refused(*DENIED):
        bobs.create_multipart_upload(Bucket=bucket, Key="k", ACL="public-read")


def test_tags_and_locks_are_rights_of_their_own(bobs, s3):
    bucket = new_name()
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    put = lambda **more: bobs.put_object(Bucket=bucket, Key="k", Body=b"x", **more)  # noqa: E731
    asked = {"s3:PutObjectTagging": {"Tagging": "a=b"}, "s3:PutObjectLegalHold": {"ObjectLockLegalHoldStatus": "ON"}}
    for action, more in asked.items():
        set_policy(s3, bucket, statement(bucket, "s3:PutObject"))
        with refused(*DENIED):
            put(**more)
        set_policy(s3, bucket, statement(bucket, ["s3:PutObject", action]))
        put(**more)


@pytest.mark.parametrize("spelling", ["{}/private/a", "/{}/private/a", "{}/%70rivate/a", "{}/public/../private/a"])
def test_a_copy_s_source_cannot_be_disguised(server, bobs, s3, bucket, spelling):
    source = new_name("source")
    s3.create_bucket(Bucket=source)
    for key in ("private/a", "public/../private/a", "public/a"):
        s3.put_object(Bucket=source, Key=key, Body=b"x")
    set_policy(s3, source, statement(source, "s3:GetObject"))
    set_policy(s3, bucket, statement(bucket, "s3:PutObject"),
               statement(bucket, "s3:PutObject", "Deny", condition={"StringLike": {"s3:x-amz-copy-source": f"{source}/*private/*"}}))
    with refused(*DENIED):
        bobs.copy_object(Bucket=bucket, Key="copy", CopySource=spelling.format(source))
    upload = bobs.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    with refused(*DENIED):
        bobs.upload_part_copy(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, CopySource=spelling.format(source))
    bobs.copy_object(Bucket=bucket, Key="copy", CopySource=f"{source}/public/a")


def test_a_copy_needs_both_sides(bobs, s3, bucket):
    mine = new_name("mine")
    bobs.create_bucket(Bucket=mine)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.put_object(Bucket=bucket, Key="tagged", Body=b"x", Tagging="a=b")
    copy = lambda key="k", **more: bobs.copy_object(Bucket=mine, Key="copy", CopySource={"Bucket": bucket, "Key": key} | more)  # noqa: E731
    with refused(*DENIED):
        copy()
    with refused(*DENIED):
        copy("absent")
    set_policy(s3, bucket, statement(bucket, "s3:GetObject"))
    copy()
    with refused(*DENIED):
        copy("tagged")
    with refused(*DENIED):
        copy(VersionId="null")
    set_policy(s3, bucket, statement(bucket, ["s3:GetObject", "s3:GetObjectTagging", "s3:GetObjectVersion"]))
    copy("tagged"), copy(VersionId="null")
    with refused(*DENIED):
        s3.copy_object(Bucket=mine, Key="back", CopySource={"Bucket": bucket, "Key": "k"})


def test_versions_are_rights_of_their_own(bobs, s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["VersionId"]
    set_policy(s3, bucket, statement(bucket, ["s3:GetObject", "s3:DeleteObject", "s3:ListBucket"]))
    assert body_of(bobs, bucket, "k") == b"x"
    for call in (lambda: bobs.get_object(Bucket=bucket, Key="k", VersionId=version), lambda: bobs.list_object_versions(Bucket=bucket),
                 lambda: bobs.delete_object(Bucket=bucket, Key="k", VersionId=version)):
        with refused(*DENIED):
            call()
    bobs.delete_object(Bucket=bucket, Key="k")
    answer = bobs.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k", "VersionId": version}, {"Key": "other"}]})
    assert [(error["Key"], error["Code"]) for error in answer["Errors"]] == [("k", "AccessDenied")]
    assert [deleted["Key"] for deleted in answer["Deleted"]] == ["other"]


def test_uploads_of_others(bobs, s3, bucket):
    set_policy(s3, bucket, statement(bucket, "s3:PutObject"))
    upload = bobs.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    etag = bobs.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    listed = bobs.list_parts(Bucket=bucket, Key="k", UploadId=upload)
    assert (listed["Initiator"]["ID"], listed["Owner"]["ID"], len(listed["Parts"])) == (BOB.id, BOB.id, 1)
    with refused(*DENIED):
        bobs.list_multipart_uploads(Bucket=bucket)
    shown, = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert shown["Initiator"]["ID"] == BOB.id
    bobs.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    assert body_of(bobs, bucket, "k") == b"x"
    alices = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    for call in (lambda: bobs.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=alices),
                 lambda: bobs.list_parts(Bucket=bucket, Key="k", UploadId=alices)):
        with refused(*DENIED):
            call()
    bobs.upload_part(Bucket=bucket, Key="k", UploadId=alices, PartNumber=1, Body=b"y")
    s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=alices)


def test_a_bucket_made_again_has_no_policy_and_no_acl(bobs, s3, bucket):
    set_policy(s3, bucket, statement(bucket, "s3:*"))
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    assert keys_in(bobs.list_objects_v2(Bucket=bucket)) == []
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket)
    with refused(*DENIED):
        bobs.list_objects_v2(Bucket=bucket)
    with refused("NoSuchBucketPolicy", 404):
        s3.get_bucket_policy(Bucket=bucket)
    assert grants(s3.get_bucket_acl(Bucket=bucket)) == [(ALICE.id, "FULL_CONTROL")]


@pytest.fixture(scope="session")
def bobs_v4(server):
    """boto3 presigns by Version 2 unless told otherwise."""
    return boto(server.endpoint, keys_of(BOB), signature_version="s3v4")


def test_a_presigned_url_ends_with_the_right_of_its_signer(server, bobs_v4, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    url = bobs_v4.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"}).removeprefix(server.endpoint)
    path, query = url.split("?", 1)
    get = lambda: exchange(server.endpoint, Request("GET", path, query, [("Host", server.endpoint.removeprefix("http://"))]))  # noqa: E731
    assert get().status == 403
    set_policy(s3, bucket, statement(bucket, "s3:GetObject", condition={"StringEquals": {"s3:authType": "REST-QUERY-STRING"}}))
    assert (get().status, get().body) == (200, b"x")
    s3.delete_bucket_policy(Bucket=bucket)
    assert get().status == 403


def test_a_form_says_who_and_what_by_its_fields(server, bobs_v4, nobody, s3, bucket):
    def post(fields):
        made = bobs_v4.generate_presigned_post(bucket, "in/k", Fields=fields, Conditions=[{name: value} for name, value in fields.items()])
        return urllib3.request("POST", made["url"], fields={**made["fields"], "file": ("k", b"from a form")}, retries=False).status
    public = {"acl": "public-read", "Content-Type": "text/plain"}
    assert post(public) == 403
    asked = {"StringEquals": {"s3:authType": "POST", "s3:x-amz-acl": "public-read", "s3:signatureversion": "AWS4-HMAC-SHA256"}}
    set_policy(s3, bucket, statement(bucket, ["s3:PutObject"], condition=asked))
    assert post({"acl": "private"}) == 403
    assert post(public) == 204
    assert body_of(nobody, bucket, "in/k") == b"from a form"
    unsigned = {"key": "in/n", "acl": "public-read", "file": ("n", b"nobody's")}
    assert urllib3.request("POST", f"{server.endpoint}/{bucket}", fields=unsigned, retries=False).status == 403
    set_policy(s3, bucket, statement(bucket, ["s3:PutObject"], condition={"StringEquals": {"s3:x-amz-acl": "public-read"}}))
    assert urllib3.request("POST", f"{server.endpoint}/{bucket}", fields=unsigned, retries=False).status == 204
    assert body_of(nobody, bucket, "in/n") == b"nobody's"


# --- the block on public access ---


def block(client, bucket, **flags):
    client.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=flags)


def test_a_block_refuses_what_would_open_the_bucket(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    block(s3, bucket, BlockPublicAcls=True, BlockPublicPolicy=True)
    group = f'uri="{EVERYBODY}"'
    for call in (lambda: s3.put_bucket_acl(Bucket=bucket, ACL="public-read"), lambda: s3.put_object_acl(Bucket=bucket, Key="k", ACL="authenticated-read"),
                 lambda: s3.put_object(Bucket=bucket, Key="new", ACL="public-read"), lambda: s3.put_object_acl(Bucket=bucket, Key="k", GrantRead=group),
                 lambda: s3.copy_object(Bucket=bucket, Key="new", CopySource={"Bucket": bucket, "Key": "k"}, ACL="public-read"),
                 lambda: s3.create_multipart_upload(Bucket=bucket, Key="new", ACL="public-read"),
                 lambda: set_policy(s3, bucket, statement(bucket, "s3:GetObject"))):
        with refused(*DENIED):
            call()
    set_policy(s3, bucket, statement(bucket, "s3:GetObject", principal={"AWS": BOB.id}))
    s3.put_object(Bucket=bucket, Key="new", Body=b"x", GrantRead=f"id={BOB.id}")
    assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True, "IgnorePublicAcls": False, "BlockPublicPolicy": True, "RestrictPublicBuckets": False}


def test_a_block_closes_what_is_open_and_opens_it_again(bobs, nobody, s3, bucket):
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="public-read")
    assert body_of(nobody, bucket, "k") == b"x"
    block(s3, bucket, IgnorePublicAcls=True)
    for client in (nobody, bobs):
        with refused(*DENIED):
            client.get_object(Bucket=bucket, Key="k")
        with refused(*DENIED):
            client.list_objects_v2(Bucket=bucket)
    set_policy(s3, bucket, statement(bucket, "s3:GetObject"))
    assert body_of(nobody, bucket, "k") == b"x"
    block(s3, bucket, IgnorePublicAcls=True, RestrictPublicBuckets=True)
    for client in (nobody, bobs):
        with refused(*DENIED):
            client.get_object(Bucket=bucket, Key="k")
    assert body_of(s3, bucket, "k") == b"x"
    s3.delete_public_access_block(Bucket=bucket)
    s3.delete_bucket_policy(Bucket=bucket)
    assert body_of(nobody, bucket, "k") == b"x"


def test_whether_a_bucket_is_public_can_be_asked(bobs, s3, bucket):
    status = lambda client=s3: client.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"]  # noqa: E731
    assert status() is False
    set_policy(s3, bucket, statement(bucket, "s3:GetObject", condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}))
    assert status() is False
    set_policy(s3, bucket, statement(bucket, "s3:GetObject"))
    assert status() is True
    with refused(*DENIED):
        status(bobs)


# --- ownership ---


def test_without_acls_everything_is_the_bucket_owners(bobs, nobody, s3, bucket):
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    bobs.put_object(Bucket=bucket, Key="before", Body=b"x", ACL="public-read")
    enforced = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    with refused("InvalidBucketAclWithObjectOwnership", 400):
        s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=enforced)
    s3.put_bucket_acl(Bucket=bucket, ACL="private")
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=enforced)
    assert s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"] == enforced
    assert body_of(s3, bucket, "before") == b"x", "it is the bucket owner's now"
    for client in (bobs, nobody):
        with refused(*DENIED):
            client.get_object(Bucket=bucket, Key="before")
    assert s3.get_object_acl(Bucket=bucket, Key="before")["Owner"]["ID"] == ALICE.id
    set_policy(s3, bucket, statement(bucket, "s3:*"))
    bobs.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="bucket-owner-full-control")
    assert s3.get_object_acl(Bucket=bucket, Key="k")["Owner"]["ID"] == ALICE.id
    for call in (lambda: bobs.put_object(Bucket=bucket, Key="k", ACL="public-read"), lambda: s3.put_object(Bucket=bucket, Key="k", ACL="private"),
                 lambda: s3.put_bucket_acl(Bucket=bucket, ACL="private"), lambda: s3.put_object_acl(Bucket=bucket, Key="k", ACL="public-read"),
                 lambda: s3.put_object(Bucket=bucket, Key="k", GrantRead=f"id={BOB.id}")):
        with refused("AccessControlListNotSupported", 400):
            call()
    s3.delete_bucket_ownership_controls(Bucket=bucket)
    assert body_of(nobody, bucket, "before") == b"x", "its ACL was there all the time"


def test_a_writer_may_give_the_object_to_the_bucket_owner(bobs, s3):
    bucket = new_name()
    s3.create_bucket(Bucket=bucket, ObjectOwnership="BucketOwnerPreferred")
    set_policy(s3, bucket, statement(bucket, "s3:PutObject"))
    bobs.put_object(Bucket=bucket, Key="kept", Body=b"x")
    bobs.put_object(Bucket=bucket, Key="given", Body=b"x", ACL="bucket-owner-full-control")
    owners = {entry["Key"]: entry["Owner"]["ID"] for entry in s3.list_objects_v2(Bucket=bucket, FetchOwner=True)["Contents"]}
    assert owners == {"kept": BOB.id, "given": ALICE.id}
    assert body_of(s3, bucket, "given") == b"x"
    with refused(*DENIED):
        bobs.get_object(Bucket=bucket, Key="given")
    with refused("InvalidBucketAclWithObjectOwnership", 400):
        s3.create_bucket(Bucket=new_name(), ObjectOwnership="BucketOwnerEnforced", ACL="public-read")


# --- the expected owner ---


def test_a_request_may_name_the_owner_that_it_expects(bobs, nobody, s3, bucket):
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="public-read")
    for client in (s3, bobs, nobody):
        assert client.get_object(Bucket=bucket, Key="k", ExpectedBucketOwner=ALICE.id)["Body"].read() == b"x"
        for call in (lambda: client.get_object(Bucket=bucket, Key="k", ExpectedBucketOwner=BOB.id),
                     lambda: client.list_objects_v2(Bucket=bucket, ExpectedBucketOwner=BOB.id),
                     lambda: client.put_object(Bucket=bucket, Key="k", Body=b"y", ExpectedBucketOwner=BOB.id),
                     lambda: client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k"}]}, ExpectedBucketOwner=BOB.id)):
            with refused(*DENIED):
                call()
    mine = new_name("mine")
    bobs.create_bucket(Bucket=mine)
    copy = lambda **more: bobs.copy_object(Bucket=mine, Key="k", CopySource={"Bucket": bucket, "Key": "k"}, **more)  # noqa: E731
    copy(ExpectedBucketOwner=BOB.id, ExpectedSourceBucketOwner=ALICE.id)
    for wrong in ({"ExpectedSourceBucketOwner": BOB.id}, {"ExpectedBucketOwner": ALICE.id}):
        with refused(*DENIED):
            copy(**wrong)
    assert body_of(s3, bucket, "k") == b"x"


def test_what_is_set_survives_a_restart(new_server):
    server = new_server()
    server.start().wait_ready()
    alice, bob = (boto(server.endpoint, (user.access_key, user.secret_key)) for user in (ALICE, BOB))
    bucket = new_name()
    alice.create_bucket(Bucket=bucket, ACL="public-read")
    alice.put_object(Bucket=bucket, Key="k", Body=b"x")
    set_policy(alice, bucket, statement(bucket, "s3:GetObject"))
    assert body_of(bob, bucket, "k") == b"x"
    server.stop()
    server.start().wait_ready()
    assert body_of(bob, bucket, "k") == b"x"
    assert keys_in(bob.list_objects_v2(Bucket=bucket)) == ["k"]


def test_an_account_s_right_to_an_acl_is_not_its_users(server, s3, bucket):
    """What is granted to another account is for its root, and for those of its own whom it lets."""
    iam = boto(server.endpoint, keys_of(BOB), service="iam")
    name = new_name("user")
    iam.create_user(UserName=name)
    pair = iam.create_access_key(UserName=name)["AccessKey"]
    client = boto(server.endpoint, (pair["AccessKeyId"], pair["SecretAccessKey"]))
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", GrantWriteACP=f"id={BOB.id}")
    with refused(*DENIED):
        client.put_object_acl(Bucket=bucket, Key="k", ACL="public-read")
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:PutObjectAcl", "Resource": arn(bucket, "k")}]}))
    client.put_object_acl(Bucket=bucket, Key="k", ACL="private")


def test_a_bucket_of_another_owner_inherits_nothing_of_the_one_before(server, bobs, s3):
    """Uploads, documents and URLs of the former owner end with the bucket, whoever has the name now."""
    name = new_name()
    s3.create_bucket(Bucket=name)
    s3.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]})
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [
        {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}]})
    upload = s3.create_multipart_upload(Bucket=name, Key="k")["UploadId"]
    made = boto(server.endpoint, keys_of(ALICE), signature_version="s3v4")
    urls = {method: made.generate_presigned_url(call, {"Bucket": name, "Key": "k"})
            for method, call in (("GET", "get_object"), ("PUT", "put_object"), ("DELETE", "delete_object"))}
    with refused("BucketAlreadyExists", 409):
        bobs.create_bucket(Bucket=name)
    s3.delete_bucket(Bucket=name)
    bobs.create_bucket(Bucket=name)
    bobs.put_object(Bucket=name, Key="k", Body=b"Bob's")
    for method, url in urls.items():
        assert urllib3.request(method, url, body=b"hers" if method == "PUT" else None, retries=False).status == 403
    part = {"Bucket": name, "Key": "k", "UploadId": upload, "PartNumber": 1, "Body": b"p"}
    with refused(*DENIED):
        s3.upload_part(**part)
    with refused("NoSuchUpload", 404):
        bobs.upload_part(**part)
    with refused("NoSuchCORSConfiguration", 404):
        bobs.get_bucket_cors(Bucket=name)
    with refused("NoSuchLifecycleConfiguration", 404):
        bobs.get_bucket_lifecycle_configuration(Bucket=name)
    assert body_of(bobs, name, "k") == b"Bob's"
