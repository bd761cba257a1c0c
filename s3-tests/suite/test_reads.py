"""Ranges and conditions of reads and writes."""

import datetime
import os
import threading

import pytest

from conftest import keys_of
from harness.clients import boto
from harness.server import ALICE
from harness.wire import Connection, Request, path_of
from support import assert_error, body_of, refused

BODY = bytes(range(256)) * 40  # 10,240 bytes


@pytest.fixture
def key(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=BODY)
    return "k"


@pytest.mark.parametrize("header, first, last", [
    ("bytes=0-0", 0, 0), ("bytes=0-9", 0, 9), ("bytes=100-", 100, 10239), ("bytes=-1", 10239, 10239), ("bytes=-7", 10233, 10239),
    ("bytes=-99999", 0, 10239), ("bytes=10239-10239", 10239, 10239), ("bytes=10000-99999", 10000, 10239),
    ("bytes=0-18446744073709551615", 0, 10239),
])
def test_a_range_is_served_in_part(send, bucket, key, header, first, last):
    response = send(Request("GET", path_of(bucket, key), headers=[("range", header)]))
    assert response.status == 206, str(response)
    assert response.body == BODY[first:last + 1]
    assert response.header("content-range") == f"bytes {first}-{last}/10240"
    assert response.header("content-length") == str(last - first + 1)
    head = send(Request("HEAD", path_of(bucket, key), headers=[("range", header)]))
    assert (head.status, head.header("content-range")) == (206, f"bytes {first}-{last}/10240")


@pytest.mark.parametrize("header", ["bytes=5-2", "items=0-1", "bytes=a-b", "bytes=", "0-5", "bytes=1-2,4-5", "bytes=--5", "bytes=+1-2", "bytes 0-1"])
def test_a_range_that_is_none_serves_the_whole(send, bucket, key, header):
    response = send(Request("GET", path_of(bucket, key), headers=[("range", header)]))
    assert (response.status, response.body) == (200, BODY), str(response)[:300]


@pytest.mark.parametrize("header", ["bytes=10240-", "bytes=10240-10250", "bytes=-0", "bytes=18446744073709551615-"])
def test_a_range_beyond_the_end_cannot_be_satisfied(send, bucket, key, header):
    response = send(Request("GET", path_of(bucket, key), headers=[("range", header)]))
    root = assert_error(response, 416, "InvalidRange")
    assert root.findtext("ActualObjectSize") == "10240"
    assert root.findtext("RangeRequested") == header


def test_an_empty_object_has_no_range(s3, bucket):
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")
    with refused("InvalidRange", 416):
        s3.get_object(Bucket=bucket, Key="empty", Range="bytes=0-0")


def test_ranges_of_a_large_object_agree_with_its_bytes(s3, bucket):
    body = os.urandom(9 * (1 << 20) + 13)
    s3.put_object(Bucket=bucket, Key="large", Body=body)
    edges = [0, 1, 4096, 65536, 1 << 20, (1 << 22) - 1, 1 << 22, (1 << 22) + 1, 1 << 23, len(body) - 2]
    for first in edges:
        for length in (1, 4097, 1 << 20, 5 << 20):
            last = min(first + length, len(body)) - 1
            assert body_of(s3, bucket, "large", Range=f"bytes={first}-{last}") == body[first:last + 1], (first, last)


def test_a_read_obeys_its_conditions(s3, bucket, key):
    head = s3.head_object(Bucket=bucket, Key=key)
    etag, modified = head["ETag"], head["LastModified"]
    day = datetime.timedelta(days=1)
    good = [{"IfMatch": etag}, {"IfMatch": etag.strip('"')}, {"IfMatch": "*"}, {"IfNoneMatch": '"other"'}, {"IfModifiedSince": modified - day},
            {"IfUnmodifiedSince": modified + day}, {"IfMatch": etag, "IfUnmodifiedSince": modified - day}]
    for conditions in good:
        assert body_of(s3, bucket, key, **conditions) == BODY, conditions
    for conditions, name in (({"IfMatch": '"other"'}, "If-Match"), ({"IfUnmodifiedSince": modified - day}, "If-Unmodified-Since")):
        with refused("PreconditionFailed", 412) as caught:
            s3.get_object(Bucket=bucket, Key=key, **conditions)
        assert caught.value.response["Error"]["Condition"] == name
        with refused("412", 412):
            s3.head_object(Bucket=bucket, Key=key, **conditions)
    # If-None-Match decides alone where it stands beside If-Modified-Since.
    for conditions in ({"IfNoneMatch": etag}, {"IfNoneMatch": "*"}, {"IfModifiedSince": modified + datetime.timedelta(seconds=1)},
                       {"IfNoneMatch": etag, "IfModifiedSince": modified - day}):
        with refused("304", 304) as caught:
            s3.get_object(Bucket=bucket, Key=key, **conditions)
        assert caught.value.response["ResponseMetadata"]["HTTPHeaders"]["etag"] == etag


def test_not_modified_has_no_body(send, bucket, key):
    etag = send(Request("HEAD", path_of(bucket, key))).header("etag")
    response = send(Request("GET", path_of(bucket, key), headers=[("if-none-match", etag)]))
    assert (response.status, response.body, response.header("etag")) == (304, b"", etag)
    assert response.header("last-modified") and response.reason == "Not Modified"


# --- writes ---

def test_create_once_succeeds_once(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")
    with refused("PreconditionFailed", 412):
        s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*")
    assert body_of(s3, bucket, "k") == b"1"


def test_every_write_says_which_condition_kept_it_away(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["ETag"]
    copy = {"Bucket": bucket, "Key": "k", "CopySource": f"{bucket}/k", "MetadataDirective": "REPLACE"}
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    part = {"Bucket": bucket, "Key": "k", "UploadId": upload, "PartNumber": 1}
    parts = {"Parts": [{"PartNumber": 1, "ETag": s3.upload_part(**part, Body=b"1")["ETag"]}]}
    for call, name in (
        (lambda: s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*"), "If-None-Match"),
        (lambda: s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfMatch='"stale"'), "If-Match"),
        (lambda: s3.put_object(Bucket=bucket, Key="k", Body=b"2", WriteOffsetBytes=1, IfMatch='"stale"'), "If-Match"),
        (lambda: s3.copy_object(**copy, IfNoneMatch="*"), "If-None-Match"),
        (lambda: s3.copy_object(**copy, CopySourceIfNoneMatch=etag), "x-amz-copy-source-If-None-Match"),
        (lambda: s3.copy_object(**copy, CopySourceIfMatch='"stale"', ServerSideEncryption="AES256"), "x-amz-copy-source-If-Match"),
        (lambda: s3.upload_part_copy(**part, CopySource=f"{bucket}/k", CopySourceIfMatch='"stale"'), "x-amz-copy-source-If-Match"),
        (lambda: s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload, MultipartUpload=parts, IfNoneMatch="*"), "If-None-Match"),
        (lambda: s3.delete_object(Bucket=bucket, Key="k", IfMatch='"stale"'), "If-Match"),
        (lambda: s3.delete_object(Bucket=bucket, Key="k", IfMatch=etag, IfMatchSize=7), "x-amz-if-match-size"),
    ):
        with refused("PreconditionFailed", 412) as caught:
            call()
        assert caught.value.response["Error"].get("Condition") == name


def test_replace_only_what_was_read(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["ETag"]
    with refused("PreconditionFailed", 412):
        s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfMatch='"stale"')
    with refused("NoSuchKey", 404):
        s3.put_object(Bucket=bucket, Key="absent", Body=b"2", IfMatch=etag)
    second = s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfMatch=etag)["ETag"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"3", IfMatch=second.strip('"'))
    s3.put_object(Bucket=bucket, Key="k", Body=b"4", IfMatch="*")
    assert body_of(s3, bucket, "k") == b"4"


def test_fifty_creators_have_one_winner(server, bucket):
    clients = [boto(server.endpoint, keys_of(ALICE)) for _ in range(10)]
    outcomes = []

    def create(number):
        from botocore.exceptions import ClientError
        try:
            clients[number % 10].put_object(Bucket=bucket, Key="lock", Body=str(number).encode(), IfNoneMatch="*")
            outcomes.append((200, number))
        except ClientError as error:
            outcomes.append((error.response["ResponseMetadata"]["HTTPStatusCode"], number))

    threads = [threading.Thread(target=create, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [number for status, number in outcomes if status == 200]
    assert len(winners) == 1 and {status for status, _ in outcomes} <= {200, 412, 409}, outcomes
    assert body_of(clients[0], bucket, "lock") == str(winners[0]).encode()


def test_a_condition_is_decided_when_the_write_ends(server, signer, s3, bucket):
    body = os.urandom(200_000)
    request = signer.sign(Request("PUT", path_of(bucket, "k"), headers=[("if-none-match", "*")], body=body), server.endpoint)
    with Connection(server.endpoint) as connection:
        connection.send(request.head_bytes() + body[:100_000])
        s3.put_object(Bucket=bucket, Key="k", Body=b"came between")
        connection.send(body[100_000:])
        assert_error(connection.read_response(), 412, "PreconditionFailed")
    assert body_of(s3, bucket, "k") == b"came between"


def test_a_delete_can_have_a_condition(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["ETag"]
    with refused("PreconditionFailed", 412):
        s3.delete_object(Bucket=bucket, Key="k", IfMatch='"stale"')
    s3.delete_object(Bucket=bucket, Key="k", IfMatch=etag)
    # An absent key has been deleted well enough, whatever the condition.
    s3.delete_object(Bucket=bucket, Key="k", IfMatch=etag)


def test_a_range_is_sent_only_of_the_object_that_if_range_names(send, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    head = s3.head_object(Bucket=bucket, Key="k")
    date = head["ResponseMetadata"]["HTTPHeaders"]["last-modified"]

    def ask(condition, method="GET"):
        return send(Request(method, path_of(bucket, "k"), headers=[("range", "bytes=2-4"), ("if-range", condition)]))
    for same in (head["ETag"], date):
        response = ask(same)
        assert (response.status, response.body) == (206, b"234"), f"{same}: {response}"
    for other in ('"00000000000000000000000000000000"', "W/" + head["ETag"], "Tue, 15 Nov 1994 08:12:31 GMT", "*"):
        response = ask(other)
        assert (response.status, response.body, response.header("content-range")) == (200, b"0123456789", None), f"{other}: {response}"
        assert ask(other, "HEAD").header("content-length") == "10"
