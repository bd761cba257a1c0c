"""Multipart uploads, from beginning to each of their ends."""

import hashlib
import os
import threading

import pytest

from conftest import keys_of
from harness.clients import boto
from harness.server import ALICE
from harness.wire import Request, path_of
from support import absent, assert_error, body_of, refused

MIB = 1 << 20
PART = 5 * MIB


@pytest.fixture(scope="session")
def parts():
    """Two parts of the least size and a small last one."""
    return [os.urandom(PART), os.urandom(PART), os.urandom(77)]


def begin(s3, bucket, key="k", **words):
    return s3.create_multipart_upload(Bucket=bucket, Key=key, **words)["UploadId"]


def upload(s3, bucket, upload_id, number, body, key="k"):
    return {"PartNumber": number, "ETag": s3.upload_part(Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=body)["ETag"]}


def complete(s3, bucket, upload_id, done, key="k", **words):
    return s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": done}, **words)


def etag_of(bodies):
    return f'"{hashlib.md5(b"".join(hashlib.md5(body).digest() for body in bodies)).hexdigest()}-{len(bodies)}"'


def test_parts_become_one_object(s3, bucket, parts):
    upload_id = begin(s3, bucket, ContentType="text/x-parts", Metadata={"m": "1"})
    # Numbers may leave gaps, and parts may come in any order.
    done = [upload(s3, bucket, upload_id, number, body) for number, body in ((7, parts[1]), (10_000, parts[2]), (2, parts[0]))]
    assert absent(s3, bucket, "k")
    answer = complete(s3, bucket, upload_id, sorted(done, key=lambda part: part["PartNumber"]))
    assert answer["ETag"] == etag_of(parts)
    assert answer["Bucket"] == bucket and answer["Key"] == "k" and answer["Location"].endswith(f"/{bucket}/k")
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == b"".join(parts)
    assert (got["ETag"], got["ContentType"], got["Metadata"]) == (etag_of(parts), "text/x-parts", {"m": "1"})
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_a_part_number_reads_its_part(s3, bucket, parts):
    upload_id = begin(s3, bucket)
    complete(s3, bucket, upload_id, [upload(s3, bucket, upload_id, n + 1, body) for n, body in enumerate(parts)])
    offset = 0
    for number, body in enumerate(parts, 1):
        got = s3.get_object(Bucket=bucket, Key="k", PartNumber=number)
        assert got["Body"].read() == body and got["PartsCount"] == 3 and got["ETag"] == etag_of(parts)
        assert got["ContentRange"] == f"bytes {offset}-{offset + len(body) - 1}/{2 * PART + 77}"
        assert s3.head_object(Bucket=bucket, Key="k", PartNumber=number)["ContentLength"] == len(body)
        offset += len(body)
    # S3's documentation and the AWS service disagree about the code; the status tells enough.
    with pytest.raises(s3.exceptions.ClientError) as caught:
        s3.get_object(Bucket=bucket, Key="k", PartNumber=4)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 416)
    with refused("InvalidRequest", 400):
        s3.get_object(Bucket=bucket, Key="k", PartNumber=1, Range="bytes=0-1")


def test_ranges_cross_the_borders_of_parts(s3, bucket, parts):
    upload_id = begin(s3, bucket)
    complete(s3, bucket, upload_id, [upload(s3, bucket, upload_id, n + 1, body) for n, body in enumerate(parts)])
    whole = b"".join(parts)
    for first, last in ((PART - 1, PART), (0, 2 * PART), (PART - 5, 2 * PART + 5), (2 * PART, 2 * PART + 76)):
        assert body_of(s3, bucket, "k", Range=f"bytes={first}-{last}") == whole[first:last + 1]


def test_a_part_sent_again_replaces_the_first(s3, bucket, parts):
    upload_id = begin(s3, bucket)
    old = upload(s3, bucket, upload_id, 1, parts[0])
    new = upload(s3, bucket, upload_id, 1, parts[1])
    with refused("InvalidPart", 400):
        complete(s3, bucket, upload_id, [old])
    complete(s3, bucket, upload_id, [new])
    assert body_of(s3, bucket, "k") == parts[1]


def test_parts_not_named_are_dropped(s3, bucket, parts):
    upload_id = begin(s3, bucket)
    done = [upload(s3, bucket, upload_id, n + 1, body) for n, body in enumerate(parts)]
    complete(s3, bucket, upload_id, [done[0], done[2]])
    assert body_of(s3, bucket, "k") == parts[0] + parts[2]


def test_a_list_of_parts_that_is_wrong_is_refused_and_can_be_mended(s3, bucket, parts):
    upload_id = begin(s3, bucket)
    done = [upload(s3, bucket, upload_id, 1, parts[0]), upload(s3, bucket, upload_id, 2, parts[2]), upload(s3, bucket, upload_id, 3, parts[2])]
    with refused("InvalidPartOrder", 400):
        complete(s3, bucket, upload_id, [done[1], done[0]])
    with refused("InvalidPartOrder", 400):
        complete(s3, bucket, upload_id, [done[0], done[0]])
    with refused("InvalidPart", 400):
        complete(s3, bucket, upload_id, [done[0], {"PartNumber": 4, "ETag": done[0]["ETag"]}])
    with refused("InvalidPart", 400):
        complete(s3, bucket, upload_id, [{"PartNumber": 1, "ETag": '"0123456789abcdef0123456789abcdef"'}])
    with refused("EntityTooSmall", 400):
        complete(s3, bucket, upload_id, done)
    with refused("MalformedXML", 400):
        complete(s3, bucket, upload_id, [])
    assert absent(s3, bucket, "k")
    complete(s3, bucket, upload_id, [{**done[0], "ETag": done[0]["ETag"].strip('"')}, done[1]])
    assert body_of(s3, bucket, "k") == parts[0] + parts[2]


def test_completing_again_gives_the_same_answer(s3, bucket, parts):
    upload_id = begin(s3, bucket)
    done = [upload(s3, bucket, upload_id, 1, parts[2])]
    first = complete(s3, bucket, upload_id, done)
    assert complete(s3, bucket, upload_id, done)["ETag"] == first["ETag"]
    assert body_of(s3, bucket, "k") == parts[2]


def test_an_aborted_upload_is_gone(s3, bucket, parts):
    upload_id = begin(s3, bucket)
    done = [upload(s3, bucket, upload_id, 1, parts[2])]
    s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload_id)
    for attempt in (lambda: upload(s3, bucket, upload_id, 2, b"x"), lambda: complete(s3, bucket, upload_id, done),
                    lambda: s3.list_parts(Bucket=bucket, Key="k", UploadId=upload_id),
                    lambda: s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload_id)):
        with refused("NoSuchUpload", 404):
            attempt()
    assert absent(s3, bucket, "k")


@pytest.mark.parametrize("upload_id", ["forged", "../../x", "x" * 5000, "", "%00", "00000000000000000000000000000000"])
def test_an_upload_id_that_is_none_is_refused(send, bucket, upload_id):
    from harness.wire import uri_encode
    query = f"partNumber=1&uploadId={uri_encode(upload_id)}" if "%" not in upload_id else f"partNumber=1&uploadId={upload_id}"
    response = send(Request("PUT", path_of(bucket, "k"), query, body=b"x"))
    assert (response.status, response.code) in ((404, "NoSuchUpload"), (400, "InvalidArgument"), (400, "InvalidURI")), str(response)


def test_an_upload_belongs_to_its_key_and_bucket(s3, bobs, bucket, parts):
    from conftest import new_name
    upload_id = begin(s3, bucket)
    with refused("NoSuchUpload", 404):
        upload(s3, bucket, upload_id, 1, b"x", key="other")
    other = new_name()
    s3.create_bucket(Bucket=other)
    with refused("NoSuchUpload", 404):
        upload(s3, other, upload_id, 1, b"x")
    for attempt in (lambda: upload(bobs, bucket, upload_id, 1, b"x"), lambda: bobs.list_parts(Bucket=bucket, Key="k", UploadId=upload_id),
                    lambda: bobs.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload_id)):
        with refused("AccessDenied", 403):
            attempt()


@pytest.mark.parametrize("number", ["0", "-1", "10001", "1.5", "4294967297", "", "x", "18446744073709551617"])
def test_a_part_number_is_from_1_to_10000(s3, send, bucket, number):
    upload_id = begin(s3, bucket)
    assert_error(send(Request("PUT", path_of(bucket, "k"), f"partNumber={number}&uploadId={upload_id}", body=b"x")), 400, "InvalidArgument")


def test_parts_are_listed_in_pages(s3, bucket):
    upload_id = begin(s3, bucket)
    for number in range(1, 8):
        upload(s3, bucket, upload_id, number, bytes(number))
    seen, words = [], {}
    while True:
        page = s3.list_parts(Bucket=bucket, Key="k", UploadId=upload_id, MaxParts=3, **words)
        seen += [(p["PartNumber"], p["Size"]) for p in page["Parts"]]
        assert page["Owner"]["DisplayName"] == page["Initiator"]["DisplayName"] == "Alice" and page["StorageClass"] == "STANDARD"
        if not page["IsTruncated"]:
            break
        words = {"PartNumberMarker": page["NextPartNumberMarker"]}
    assert seen == [(n, n) for n in range(1, 8)]


def test_uploads_are_listed_by_key_then_by_age(s3, bucket):
    ids = [begin(s3, bucket, key) for key in ("b", "a", "b", "dir/x", "dir/y")]
    expected = [("a", ids[1]), ("b", ids[0]), ("b", ids[2]), ("dir/x", ids[3]), ("dir/y", ids[4])]
    seen, words = [], {}
    while True:
        page = s3.list_multipart_uploads(Bucket=bucket, MaxUploads=2, **words)
        seen += [(u["Key"], u["UploadId"]) for u in page["Uploads"]]
        if not page["IsTruncated"]:
            break
        words = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
    assert sorted(seen) == sorted(expected) and [key for key, _ in seen] == ["a", "b", "b", "dir/x", "dir/y"]
    page = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [u["Key"] for u in page["Uploads"]] == ["a", "b", "b"] and page["CommonPrefixes"] == [{"Prefix": "dir/"}]
    assert [u["Key"] for u in s3.list_multipart_uploads(Bucket=bucket, Prefix="dir/")["Uploads"]] == ["dir/x", "dir/y"]


def test_parts_can_be_copied_from_an_object(s3, bucket, parts):
    whole = b"".join(parts)
    s3.put_object(Bucket=bucket, Key="source", Body=whole)
    upload_id = begin(s3, bucket)
    source = {"Bucket": bucket, "Key": "source"}
    first = s3.upload_part_copy(Bucket=bucket, Key="k", UploadId=upload_id, PartNumber=1, CopySource=source, CopySourceRange=f"bytes=3-{PART + 99}")
    second = s3.upload_part_copy(Bucket=bucket, Key="k", UploadId=upload_id, PartNumber=2, CopySource=source)
    complete(s3, bucket, upload_id, [{"PartNumber": n, "ETag": p["CopyPartResult"]["ETag"]} for n, p in ((1, first), (2, second))])
    s3.delete_object(Bucket=bucket, Key="source")
    assert body_of(s3, bucket, "k") == whole[3:PART + 100] + whole


@pytest.mark.parametrize("header, code", [("0-2", "InvalidArgument"), ("bytes=0", "InvalidArgument"), ("bytes=hello-world", "InvalidArgument"),
                                          ("bytes=0-bar", "InvalidArgument"), ("bytes=hello-", "InvalidArgument"), ("bytes=0-2,3-5", "InvalidArgument"),
                                          ("bytes=0-21", ("InvalidRange", "InvalidArgument")), ("bytes=20-30", ("InvalidRange", "InvalidArgument"))])
def test_a_range_of_a_copied_part_must_lie_in_the_source(s3, send, bucket, header, code):
    s3.put_object(Bucket=bucket, Key="source", Body=b"x" * 10)
    upload_id = begin(s3, bucket)
    response = send(Request("PUT", path_of(bucket, "k"), f"partNumber=1&uploadId={upload_id}",
                            headers=[("x-amz-copy-source", f"{bucket}/source"), ("x-amz-copy-source-range", header)]))
    assert_error(response, response.status if response.status in (400, 416) else 400, code)


def test_completion_can_have_a_condition(s3, bucket, parts):
    upload_id = begin(s3, bucket)
    done = [upload(s3, bucket, upload_id, 1, parts[2])]
    s3.put_object(Bucket=bucket, Key="k", Body=b"first")
    with refused("PreconditionFailed", 412):
        complete(s3, bucket, upload_id, done, IfNoneMatch="*")
    assert body_of(s3, bucket, "k") == b"first"


def test_racing_completions_have_one_result(server, s3, bucket, parts):
    clients = [boto(server.endpoint, keys_of(ALICE)) for _ in range(6)]
    for _ in range(5):
        upload_id = begin(s3, bucket)
        choices = [[upload(s3, bucket, upload_id, 1, parts[0])], [upload(s3, bucket, upload_id, 2, parts[1])]]
        outcomes = []

        def finish(number):
            from botocore.exceptions import ClientError
            try:
                if number == 5:
                    clients[number].abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload_id)
                    outcomes.append("aborted")
                else:
                    outcomes.append(complete(clients[number], bucket, upload_id, choices[number % 2])["ETag"])
            except ClientError as error:
                outcomes.append(error.response["Error"]["Code"])

        threads = [threading.Thread(target=finish, args=(number,)) for number in range(6)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        etags = {outcome for outcome in outcomes if outcome.startswith('"')}
        rest = {outcome for outcome in outcomes if not outcome.startswith('"')} - {"aborted"}
        assert len(outcomes) == 6 and rest <= {"NoSuchUpload", "InvalidPart"}, outcomes
        assert len(etags) + ("aborted" in outcomes) == 1, outcomes
        if etags:
            assert s3.head_object(Bucket=bucket, Key="k")["ETag"] in etags
            s3.delete_object(Bucket=bucket, Key="k")


def test_ten_thousand_and_one_parts_cannot_be_named(s3, send, bucket):
    upload_id = begin(s3, bucket)
    body = "<CompleteMultipartUpload>" + "".join(
        f"<Part><PartNumber>{n}</PartNumber><ETag>0123456789abcdef0123456789abcdef</ETag></Part>" for n in range(1, 10_002)) + "</CompleteMultipartUpload>"
    response = send(Request("POST", path_of(bucket, "k"), f"uploadId={upload_id}", body=body.encode()))
    assert_error(response, 400, ("MalformedXML", "InvalidPart", "InvalidArgument"))
