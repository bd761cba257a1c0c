"""CopyObject: attributes, conditions on the source, and what is refused."""

import base64
import hashlib
import os
import zlib
from urllib.parse import quote

import pytest

from conftest import new_name
from harness.wire import Request, path_of
from support import absent, assert_error, body_of, refused


@pytest.fixture
def source(s3, bucket):
    s3.put_object(Bucket=bucket, Key="source", Body=b"content", ContentType="text/plain", CacheControl="no-store", Metadata={"a": "1"})
    return {"Bucket": bucket, "Key": "source"}


def test_a_copy_has_the_bytes_and_the_attributes(s3, bucket, source):
    other = new_name()
    s3.create_bucket(Bucket=other)
    answer = s3.copy_object(Bucket=other, Key="copy", CopySource=source)["CopyObjectResult"]
    head = s3.head_object(Bucket=other, Key="copy")
    assert body_of(s3, other, "copy") == b"content"
    assert (head["ContentType"], head["CacheControl"], head["Metadata"]) == ("text/plain", "no-store", {"a": "1"})
    # Headers tell whole seconds, XML milliseconds.
    assert answer["ETag"] == head["ETag"] and answer["LastModified"].replace(microsecond=0) == head["LastModified"]


def test_a_copy_can_replace_the_attributes(s3, bucket, source):
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=source, MetadataDirective="REPLACE", Metadata={"b": "2"}, ContentType="x/y")
    head = s3.head_object(Bucket=bucket, Key="copy")
    assert (head["ContentType"], head["Metadata"]) == ("x/y", {"b": "2"}) and "CacheControl" not in head


def test_a_copy_outlives_its_source_and_its_source_the_copy(s3, bucket):
    body = os.urandom(5 << 20)
    s3.put_object(Bucket=bucket, Key="one", Body=body)
    s3.copy_object(Bucket=bucket, Key="two", CopySource=f"{bucket}/one")
    s3.copy_object(Bucket=bucket, Key="three", CopySource=f"{bucket}/two")
    s3.delete_object(Bucket=bucket, Key="one")
    s3.put_object(Bucket=bucket, Key="two", Body=b"overwritten")
    assert body_of(s3, bucket, "three") == body


def test_an_object_may_be_copied_onto_itself_only_to_change_it(s3, bucket, source):
    with refused("InvalidRequest", 400):
        s3.copy_object(Bucket=bucket, Key="source", CopySource=source)
    s3.copy_object(Bucket=bucket, Key="source", CopySource=source, MetadataDirective="REPLACE", Metadata={"c": "3"})
    assert s3.head_object(Bucket=bucket, Key="source")["Metadata"] == {"c": "3"}
    assert body_of(s3, bucket, "source") == b"content"


def test_conditions_are_of_the_source(s3, bucket, source):
    etag = s3.head_object(Bucket=bucket, Key="source")["ETag"]
    s3.copy_object(Bucket=bucket, Key="a", CopySource=source, CopySourceIfMatch=etag)
    s3.copy_object(Bucket=bucket, Key="b", CopySource=source, CopySourceIfMatch=etag.strip('"'), CopySourceIfNoneMatch='"other"')
    for conditions in ({"CopySourceIfMatch": '"other"'}, {"CopySourceIfNoneMatch": etag}):
        with refused("PreconditionFailed", 412):
            s3.copy_object(Bucket=bucket, Key="c", CopySource=source, **conditions)
    assert absent(s3, bucket, "c")


@pytest.mark.parametrize("key", ["a b", "a+b", "a%b", "a%20b", "ü/ö", "?versionId", "a?versionId=x", "a&b=c", " ", "_", "__", "../x", "//"])
def test_the_source_key_is_decoded_once(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    assert body_of(s3, bucket, "copy") == key.encode()


@pytest.mark.parametrize("header, status, code", [
    ("", 400, "InvalidArgument"), ("/", 400, "InvalidArgument"), ("no-slash-and-no-key", 400, "InvalidArgument"), ("{bucket}", 400, "InvalidArgument"),
    ("{bucket}/", 400, "InvalidArgument"), ("/{bucket}/absent", 404, "NoSuchKey"), ("no-such-bucket-at-all/k", 404, "NoSuchBucket"),
    ("{bucket}/%zz", 400, ("InvalidArgument", "InvalidURI")), ("{bucket}/%ff", 400, ("InvalidArgument", "InvalidURI")),
    ("{bucket}/k%00", 400, ("InvalidArgument", "InvalidURI")), ("{bucket}/../{bucket}/source", 404, "NoSuchKey"),
    ("{bucket}%2F..%2F{bucket}%2Fsource", 404, "NoSuchKey"), ("..%2F{bucket}/source", 400, ("InvalidArgument", "InvalidBucketName")),
])
def test_a_source_that_names_nothing_is_refused(send, bucket, source, header, status, code):
    response = send(Request("PUT", path_of(bucket, "copy"), headers=[("x-amz-copy-source", header.format(bucket=bucket))]))
    assert_error(response, status, code)


def test_the_source_may_begin_with_a_slash_and_be_wholly_encoded(send, bucket, source):
    for header in (f"/{bucket}/source", f"{bucket}/source", quote(f"/{bucket}/source", safe=""), quote(f"{bucket}/source", safe="")):
        response = send(Request("PUT", path_of(bucket, "copy"), headers=[("x-amz-copy-source", header)]))
        assert response.status == 200, (header, str(response))


def test_the_result_is_of_the_right_form(send, bucket, source):
    response = send(Request("PUT", path_of(bucket, "copy"), headers=[("x-amz-copy-source", f"{bucket}/source")]))
    assert response.header("content-type") == "application/xml"
    namespace = "{http://s3.amazonaws.com/doc/2006-03-01/}"
    assert response.xml.tag == f"{namespace}CopyObjectResult"
    assert response.xml.findtext(f"{namespace}ETag") == '"9a0364b9e99bb480dd25e1f0284c8555"'


def test_a_directive_that_is_none_is_refused(send, bucket, source):
    response = send(Request("PUT", path_of(bucket, "copy"),
                            headers=[("x-amz-copy-source", f"{bucket}/source"), ("x-amz-metadata-directive", "MERGE")]))
    assert_error(response, 400, "InvalidArgument")


@pytest.mark.parametrize("algorithm, compute", [("CRC32", lambda data: zlib.crc32(data).to_bytes(4, "big")),
                                                ("SHA256", lambda data: hashlib.sha256(data).digest())])
def test_a_copy_can_have_a_checksum_of_its_own(s3, bucket, algorithm, compute):
    body = os.urandom(300_000)
    s3.put_object(Bucket=bucket, Key="plain", Body=body, ChecksumAlgorithm="SHA1")
    s3.put_object(Bucket=bucket, Key="empty", Body=b"", ChecksumAlgorithm="SHA1")
    # Of an object in parts the same algorithm may have a checksum of checksums: the copy's is of its bytes.
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts", ChecksumAlgorithm=algorithm)["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=body, ChecksumAlgorithm=algorithm)
    field = f"Checksum{algorithm}"
    s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload={"Parts": [
        {"PartNumber": 1, "ETag": part["ETag"], field: part[field]}]})
    for key, content in (("plain", body), ("parts", body), ("empty", b"")):
        expected = base64.b64encode(compute(content)).decode()
        # Also onto itself: another checksum is a change.
        for target in (key + "-copy", key):
            result = s3.copy_object(Bucket=bucket, Key=target, CopySource={"Bucket": bucket, "Key": key}, ChecksumAlgorithm=algorithm)
            assert result["CopyObjectResult"][field] == expected, (key, target)
            head = s3.head_object(Bucket=bucket, Key=target, ChecksumMode="ENABLED")
            assert (head[field], head["ChecksumType"]) == (expected, "FULL_OBJECT"), (key, target)
            assert body_of(s3, bucket, target) == content
    # The conditions hold for the bytes that were read, too.
    with refused("PreconditionFailed", 412):
        s3.copy_object(Bucket=bucket, Key="other", CopySource={"Bucket": bucket, "Key": "plain"}, ChecksumAlgorithm="SHA256",
                       CopySourceIfMatch='"00000000000000000000000000000000"')
    with refused("NoSuchKey", 404):
        s3.copy_object(Bucket=bucket, Key="other", CopySource={"Bucket": bucket, "Key": "absent"}, ChecksumAlgorithm="SHA256")
    assert absent(s3, bucket, "other")
