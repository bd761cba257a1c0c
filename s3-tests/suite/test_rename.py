"""RenameObject: one step, no bytes moved, on any bucket."""

import json

from support import absent, body_of, keys_in, refused


def test_an_object_gets_another_name_and_keeps_all_else(s3, bucket):
    s3.put_object(Bucket=bucket, Key="old name", Body=b"x" * 100_000, Metadata={"a": "1"}, ContentType="text/plain", Tagging="t=1")
    before = s3.head_object(Bucket=bucket, Key="old name")
    s3.rename_object(Bucket=bucket, Key="new/é", RenameSource="old%20name")
    absent(s3, bucket, "old name")
    after = s3.get_object(Bucket=bucket, Key="new/é")
    assert after["Body"].read() == b"x" * 100_000
    for name in ("ETag", "Metadata", "ContentType", "LastModified"):
        assert after[name] == before[name], name
    assert s3.get_object_tagging(Bucket=bucket, Key="new/é")["TagSet"] == [{"Key": "t", "Value": "1"}]
    assert keys_in(s3.list_objects_v2(Bucket=bucket)) == ["new/é"]


def test_conditions_look_at_both_names(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="a", Body=b"a")["ETag"]
    s3.put_object(Bucket=bucket, Key="b", Body=b"b")
    other = '"' + "0" * 32 + '"'
    # A client that renames as a file system does tells by the name which of its conditions it was.
    for wrong, name in (({"DestinationIfNoneMatch": "*"}, "If-None-Match"), ({"DestinationIfMatch": etag}, "If-Match"),
                        ({"SourceIfMatch": other}, "x-amz-rename-source-If-Match"),
                        ({"SourceIfNoneMatch": etag}, "x-amz-rename-source-If-None-Match"),
                        ({"SourceIfMatch": etag, "DestinationIfNoneMatch": "*"}, "If-None-Match")):
        with refused("PreconditionFailed", 412) as caught:
            s3.rename_object(Bucket=bucket, Key="b", RenameSource="a", **wrong)
        assert caught.value.response["Error"]["Condition"] == name
    with refused("NoSuchKey", 404):
        s3.rename_object(Bucket=bucket, Key="b", RenameSource="c")
    with refused("InvalidRequest", 400):
        s3.rename_object(Bucket=bucket, Key="a", RenameSource="a")
    s3.rename_object(Bucket=bucket, Key="b", RenameSource="/a", SourceIfMatch=etag)
    assert body_of(s3, bucket, "b") == b"a"
    assert keys_in(s3.list_objects_v2(Bucket=bucket)) == ["b"]


def test_the_source_is_a_key_whatever_the_bucket_is_called(s3, bucket):
    for key in ("q", f"{bucket}/q"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    s3.rename_object(Bucket=bucket, Key="x", RenameSource=f"/{bucket}/q")
    assert body_of(s3, bucket, "x") == f"{bucket}/q".encode()
    assert keys_in(s3.list_objects_v2(Bucket=bucket)) == ["q", "x"]


def test_a_token_makes_it_happen_once(s3, bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"first")
    s3.rename_object(Bucket=bucket, Key="b", RenameSource="a", ClientToken="once")
    s3.put_object(Bucket=bucket, Key="a", Body=b"second")
    s3.rename_object(Bucket=bucket, Key="b", RenameSource="a", ClientToken="once")
    assert (body_of(s3, bucket, "a"), body_of(s3, bucket, "b")) == (b"second", b"first")


def test_a_token_is_for_one_request(s3, bobs, bucket):
    for key in ("a", "b"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    s3.rename_object(Bucket=bucket, Key="x", RenameSource="a", ClientToken="T")
    for other in ({"Key": "y", "RenameSource": "b"}, {"Key": "x", "RenameSource": "a", "DestinationIfNoneMatch": "*"},
                  {"Key": "x", "RenameSource": "a", "SourceIfMatch": '"0"'}):
        with refused("IdempotencyParameterMismatch", 400):
            s3.rename_object(Bucket=bucket, ClientToken="T", **other)
    s3.rename_object(Bucket=bucket, Key="x", RenameSource="a", ClientToken="T")
    assert keys_in(s3.list_objects_v2(Bucket=bucket)) == ["b", "x"]
    # Another account's, or in another bucket, it is another token.
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    bobs.rename_object(Bucket=bucket, Key="y", RenameSource="b", ClientToken="T")
    assert keys_in(s3.list_objects_v2(Bucket=bucket)) == ["x", "y"]


def test_with_versions_the_old_name_keeps_its_own(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    old = s3.put_object(Bucket=bucket, Key="a", Body=b"x")["VersionId"]
    s3.rename_object(Bucket=bucket, Key="b", RenameSource="a")
    assert body_of(s3, bucket, "b") == b"x"
    assert body_of(s3, bucket, "a", VersionId=old) == b"x"
    absent(s3, bucket, "a")
