"""PutObject at an offset: an object grows, on any bucket."""

import base64
import datetime
import json
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
    assert body_of(s3, bucket, "log") == b"12345"
    assert keys_in(s3.list_objects_v2(Bucket=bucket)) == ["log"]


def test_nothing_else_of_an_object_is_changed_by_adding_to_it(s3, bucket):
    """What it would not do it refuses; a content type comes from libraries that nobody asked."""
    s3.put_object(Bucket=bucket, Key="log", Body=b"12345", ContentType="text/plain")
    everybody = 'uri="http://acs.amazonaws.com/groups/global/AllUsers"'
    for asked in ({"Metadata": {"b": "2"}}, {"Tagging": "a=1"}, {"CacheControl": "no-store"}, {"ContentDisposition": "inline"},
                  {"ContentEncoding": "gzip"}, {"ContentLanguage": "de"}, {"Expires": datetime.datetime(2040, 1, 1)},
                  {"WebsiteRedirectLocation": "/x"}, {"ACL": "public-read"}, {"GrantRead": everybody}):
        with refused("InvalidRequest", 400):
            s3.put_object(Bucket=bucket, Key="log", Body=b"x", WriteOffsetBytes=5, **asked)
    s3.put_object(Bucket=bucket, Key="log", Body=b"6", WriteOffsetBytes=5, ContentType="image/png")
    read = s3.get_object(Bucket=bucket, Key="log")
    assert (read["Body"].read(), read["ContentType"]) == (b"123456", "text/plain")


def test_with_versions_the_shorter_one_stays(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    short = s3.put_object(Bucket=bucket, Key="log", Body=b"a" * 70_000)["VersionId"]
    s3.put_object(Bucket=bucket, Key="log", Body=b"b", WriteOffsetBytes=70_000)
    assert body_of(s3, bucket, "log") == b"a" * 70_000 + b"b"
    assert body_of(s3, bucket, "log", VersionId=short) == b"a" * 70_000


OWN_KEY = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}


@pytest.mark.parametrize("asked", [{"ServerSideEncryption": "AES256"}, OWN_KEY], ids=["store", "client"])
@pytest.mark.parametrize("versioned", [False, True])
def test_an_encrypted_object_grows_under_its_own_key(s3, bucket, asked, versioned):
    if versioned:
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    reads = asked if asked is OWN_KEY else {}
    pieces = [os.urandom(n) for n in (70_000, 1, 65_536, 200_000)]
    for n, piece in enumerate(pieces):
        whole = b"".join(pieces[:n + 1])
        # A key that the client brings comes with every request; else the object says how it is encrypted.
        put = s3.put_object(Bucket=bucket, Key="log", Body=piece, WriteOffsetBytes=len(whole) - len(piece), **(asked if n == 0 else reads))
        head = s3.head_object(Bucket=bucket, Key="log", ChecksumMode="ENABLED", **reads)
        assert (head["ETag"], head["ContentLength"]) == (put["ETag"], len(whole))
        assert base64.b64decode(head["ChecksumCRC32"]) == zlib.crc32(whole).to_bytes(4, "big")
        for given in (put, head):
            assert given.get("ServerSideEncryption") == asked.get("ServerSideEncryption")
        assert s3.get_object(Bucket=bucket, Key="log", **reads)["Body"].read() == whole
    for first, last in ((69_990, 70_010), (135_530, 135_540), (0, 0), (335_000, 335_536)):
        got = s3.get_object(Bucket=bucket, Key="log", Range=f"bytes={first}-{last}", **reads)["Body"].read()
        assert got == whole[first:last + 1]
    for number, piece in enumerate(pieces, 1):
        assert s3.get_object(Bucket=bucket, Key="log", PartNumber=number, **reads)["Body"].read() == piece


def test_what_is_added_is_encrypted_as_the_object_is_and_not_as_somebody_says(s3, bucket):
    s3.put_object(Bucket=bucket, Key="plain", Body=b"123")
    s3.put_object(Bucket=bucket, Key="own", Body=b"123", **OWN_KEY)
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={
        "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]})
    assert "ServerSideEncryption" not in s3.put_object(Bucket=bucket, Key="plain", Body=b"4", WriteOffsetBytes=3)
    assert body_of(s3, bucket, "plain") == b"1234"
    other = {**OWN_KEY, "SSECustomerKey": "o" * 32}
    for key, asked in (("plain", {"ServerSideEncryption": "AES256"}), ("plain", OWN_KEY), ("own", {}), ("own", other)):
        with refused("InvalidRequest", 400):
            s3.put_object(Bucket=bucket, Key=key, Body=b"5", WriteOffsetBytes=4 if key == "plain" else 3, **asked)
    assert s3.get_object(Bucket=bucket, Key="own", **OWN_KEY)["Body"].read() == b"123"


@pytest.mark.parametrize("offset", ["-1", "x", ""])
def test_an_offset_is_a_number(send, bucket, offset):
    response = send(Request("PUT", path_of(bucket, "k"), headers=[("x-amz-write-offset-bytes", offset)], body=b"x"))
    assert (response.status, response.code) == (400, "InvalidArgument")


def test_who_may_only_write_learns_neither_what_is_there_nor_how_long_it_is(s3, bobs, bucket):
    """An offset that is tried until it holds tells the size: to append is to read, too."""
    def give_bob(*actions):
        policy = [{"Effect": "Allow", "Principal": "*", "Action": list(actions), "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}]
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": policy}))

    s3.put_object(Bucket=bucket, Key="there", Body=b"1234")
    give_bob("s3:PutObject")
    for key, offset in (("there", 3), ("there", 4), ("there", 0), ("absent", 3)):
        with refused("AccessDenied", 403) as caught:
            bobs.put_object(Bucket=bucket, Key=key, Body=b"5", WriteOffsetBytes=offset)
        assert "ObjectSize" not in caught.value.response["Error"]
    bobs.put_object(Bucket=bucket, Key="new", Body=b"bob's", WriteOffsetBytes=0)
    give_bob("s3:PutObject", "s3:GetObject", "s3:ListBucket")
    with refused("NoSuchKey", 404):
        bobs.put_object(Bucket=bucket, Key="absent", Body=b"5", WriteOffsetBytes=3)
    with refused("InvalidWriteOffset", 400):
        bobs.put_object(Bucket=bucket, Key="there", Body=b"5", WriteOffsetBytes=3)
    bobs.put_object(Bucket=bucket, Key="there", Body=b"5", WriteOffsetBytes=4)
    assert body_of(s3, bucket, "there") == b"12345"
