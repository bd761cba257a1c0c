"""PutObject at an offset: an object grows, on any bucket."""

import base64
import os
import zlib

import pytest

from harness.wire import Request, path_of
from support import body_of, keys_in, refused


def test_an_object_grows_and_its_checksum_goes_on(s3, bucket):
    pieces = [os.urandom(n) for n in (5, 100_000, 3)]
    for n, piece in enumerate(pieces):
        whole = b"".join(pieces[:n + 1])
        put = s3.put_object(Bucket=bucket, Key="log", Body=piece, WriteOffsetBytes=len(whole) - len(piece), **({"Metadata": {"a": "1"}} if n == 0 else {}))
        assert put["Size"] == len(whole)
        assert body_of(s3, bucket, "log") == whole
        head = s3.head_object(Bucket=bucket, Key="log", ChecksumMode="ENABLED")
        assert base64.b64decode(head["ChecksumCRC32"]) == zlib.crc32(whole).to_bytes(4, "big")
        assert (head["ETag"], head["Metadata"], head["ContentLength"]) == (put["ETag"], {"a": "1"}, len(whole))
    assert s3.get_object(Bucket=bucket, Key="log", Range="bytes=3-7")["Body"].read() == b"".join(pieces)[3:8]
    assert s3.get_object(Bucket=bucket, Key="log", PartNumber=3)["Body"].read() == pieces[2]


def test_the_offset_is_the_size_or_nothing_happens(s3, bucket):
    s3.put_object(Bucket=bucket, Key="log", Body=b"12345")
    for offset in (0, 4, 6):
        with refused("InvalidWriteOffset", 400):
            s3.put_object(Bucket=bucket, Key="log", Body=b"x", WriteOffsetBytes=offset)
    with refused("NoSuchKey", 404):
        s3.put_object(Bucket=bucket, Key="other", Body=b"x", WriteOffsetBytes=1)
    with refused("InvalidRequest", 400):
        s3.put_object(Bucket=bucket, Key="log", Body=b"x", WriteOffsetBytes=5, Metadata={"b": "2"})
    assert body_of(s3, bucket, "log") == b"12345"
    assert keys_in(s3.list_objects_v2(Bucket=bucket)) == ["log"]


def test_with_versions_the_shorter_one_stays(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    short = s3.put_object(Bucket=bucket, Key="log", Body=b"a" * 70_000)["VersionId"]
    s3.put_object(Bucket=bucket, Key="log", Body=b"b", WriteOffsetBytes=70_000)
    assert body_of(s3, bucket, "log") == b"a" * 70_000 + b"b"
    assert body_of(s3, bucket, "log", VersionId=short) == b"a" * 70_000


@pytest.mark.parametrize("offset", ["-1", "x", ""])
def test_an_offset_is_a_number(send, bucket, offset):
    response = send(Request("PUT", path_of(bucket, "k"), headers=[("x-amz-write-offset-bytes", offset)], body=b"x"))
    assert (response.status, response.code) == (400, "InvalidArgument")
