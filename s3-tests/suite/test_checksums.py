"""Content-MD5 and the five checksums: told right, stored and told back; told wrong, nothing becomes visible."""

import base64
import os

import pytest

from harness.sigv4 import CHECKSUMS, content_md5
from harness.wire import Request, path_of
from support import absent, assert_error, body_of

BODY = b"the quick brown fox" * 100


@pytest.mark.parametrize("name", CHECKSUMS)
def test_a_right_checksum_is_stored_and_told_back(s3, send, bucket, name):
    value = CHECKSUMS[name](BODY)
    response = send(Request("PUT", path_of(bucket, "k"), headers=[(f"x-amz-checksum-{name}", value)], body=BODY))
    assert response.status == 200, str(response)
    assert response.header(f"x-amz-checksum-{name}") == value
    enabled = [("x-amz-checksum-mode", "ENABLED")]
    for method in ("GET", "HEAD"):
        response = send(Request(method, path_of(bucket, "k"), headers=enabled))
        assert response.header(f"x-amz-checksum-{name}") == value
        assert response.header("x-amz-checksum-type") == "FULL_OBJECT"
        assert send(Request(method, path_of(bucket, "k"))).header(f"x-amz-checksum-{name}") is None


@pytest.mark.parametrize("name", CHECKSUMS)
def test_a_wrong_checksum_leaves_nothing(s3, send, bucket, name):
    response = send(Request("PUT", path_of(bucket, "k"), headers=[(f"x-amz-checksum-{name}", CHECKSUMS[name](BODY + b"!"))], body=BODY))
    assert_error(response, 400, "BadDigest")
    assert absent(s3, bucket, "k")


@pytest.mark.parametrize("headers, code", [
    ([("x-amz-checksum-crc32", "bad")], ("InvalidRequest", "BadDigest")),
    ([("x-amz-checksum-crc32", "")], ("InvalidRequest", "BadDigest")),
    ([("x-amz-checksum-sha256", "AAAA")], ("InvalidRequest", "BadDigest")),
    ([("x-amz-checksum-crc32", CHECKSUMS["crc32"](BODY)), ("x-amz-checksum-sha1", CHECKSUMS["sha1"](BODY))], "InvalidRequest"),
    ([("x-amz-sdk-checksum-algorithm", "ROT13")], "InvalidRequest"),
    ([("x-amz-checksum-rot13", "AAAA")], "InvalidRequest"),
    ([("content-md5", "YWJyYWNhZGFicmE=")], "InvalidDigest"),
    ([("content-md5", "")], "InvalidDigest"),
    ([("content-md5", "not base64 at all!")], "InvalidDigest"),
    ([("content-md5", content_md5(BODY + b"!"))], "BadDigest"),
])
def test_a_checksum_that_is_none_is_refused(s3, send, bucket, headers, code):
    assert_error(send(Request("PUT", path_of(bucket, "k"), headers=headers, body=BODY)), 400, code)
    assert absent(s3, bucket, "k")


def test_a_right_md5_is_taken(send, bucket):
    assert send(Request("PUT", path_of(bucket, "k"), headers=[("content-md5", content_md5(BODY))], body=BODY)).status == 200


def test_a_hash_that_lies_about_the_body_leaves_the_old_object(s3, send, bucket):
    from harness.sigv4 import sha256
    s3.put_object(Bucket=bucket, Key="k", Body=b"old")
    for size in (1, 5 << 20):
        body = os.urandom(size)
        lie = body[:-1] + bytes([body[-1] ^ 1])
        response = send(Request("PUT", path_of(bucket, "k"), body=body), payload_hash=sha256(lie))
        assert_error(response, 400, "XAmzContentSHA256Mismatch")
        assert body_of(s3, bucket, "k") == b"old"


@pytest.mark.parametrize("name", CHECKSUMS)
def test_the_checksum_of_a_part_is_checked_and_told(s3, send, bucket, name):
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm=name.upper())["UploadId"]
    query = f"partNumber=1&uploadId={upload_id}"
    wrong = send(Request("PUT", path_of(bucket, "k"), query, headers=[(f"x-amz-checksum-{name}", CHECKSUMS[name](b"other"))], body=BODY))
    assert_error(wrong, 400, "BadDigest")
    right = send(Request("PUT", path_of(bucket, "k"), query, headers=[(f"x-amz-checksum-{name}", CHECKSUMS[name](BODY))], body=BODY))
    assert right.status == 200 and right.header(f"x-amz-checksum-{name}") == CHECKSUMS[name](BODY)
    part = s3.list_parts(Bucket=bucket, Key="k", UploadId=upload_id)["Parts"][0]
    assert part[f"Checksum{name.upper()}"] == CHECKSUMS[name](BODY)


@pytest.mark.parametrize("name", ["crc32", "crc32c", "sha1", "sha256"])
def test_a_composite_checksum_is_that_of_the_parts_checksums(s3, bucket, name):
    parts = [os.urandom(5 << 20), b"tail"]
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm=name.upper(), ChecksumType="COMPOSITE")["UploadId"]
    done, field = [], f"Checksum{name.upper()}"
    for number, body in enumerate(parts, 1):
        value = CHECKSUMS[name](body)
        answer = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload_id, PartNumber=number, Body=body, **{field: value})
        assert answer[field] == value
        done.append({"PartNumber": number, "ETag": answer["ETag"], field: value})
    answer = s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload_id, MultipartUpload={"Parts": done})
    expected = CHECKSUMS[name](b"".join(base64.b64decode(part[field]) for part in done)) + "-2"
    assert (answer[field], answer["ChecksumType"]) == (expected, "COMPOSITE")
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (head[field], head["ChecksumType"]) == (expected, "COMPOSITE")


def test_a_crc_of_a_multipart_object_can_be_of_the_whole(s3, bucket):
    from harness.sigv4 import crc32
    parts = [os.urandom(5 << 20), b"tail"]
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")["UploadId"]
    done = []
    for number, body in enumerate(parts, 1):
        answer = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload_id, PartNumber=number, Body=body, ChecksumAlgorithm="CRC32")
        done.append({"PartNumber": number, "ETag": answer["ETag"], "ChecksumCRC32": answer["ChecksumCRC32"]})
    answer = s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload_id, MultipartUpload={"Parts": done})
    assert (answer["ChecksumCRC32"], answer["ChecksumType"]) == (crc32(b"".join(parts)), "FULL_OBJECT")


def test_deletions_must_be_vouched_for(send, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    body = b"<Delete><Object><Key>k</Key></Object></Delete>"
    request = Request("POST", path_of(bucket), "delete", body=body)
    assert_error(send(request), 400, "InvalidRequest")
    request = Request("POST", path_of(bucket), "delete", headers=[("content-md5", content_md5(b"other"))], body=body)
    assert_error(send(request), 400, "BadDigest")
    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == 1
    request = Request("POST", path_of(bucket), "delete", headers=[("x-amz-checksum-sha256", CHECKSUMS["sha256"](body))], body=body)
    assert send(request).status == 200
    assert absent(s3, bucket, "k")
