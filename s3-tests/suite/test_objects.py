"""Objects: what goes in comes out, with the headers that S3 gives, exactly."""

import hashlib
import os

import pytest

from harness.wire import Connection, Request, path_of
from support import HTTP_DATE, absent, assert_error, body_of, keys_in, refused

MIB = 1 << 20
# Edges of what the server may treat differently: nothing, a chunk, small blocks in the log, large ones.
SIZES = [0, 1, 4095, 4096, 4097, 65535, 65536, 65537, MIB - 1, MIB, MIB + 1, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 16 * MIB + 1]


@pytest.mark.parametrize("size", SIZES)
def test_bytes_come_back_as_they_went_in(s3, bucket, size):
    body = os.urandom(size)
    put = s3.put_object(Bucket=bucket, Key="k", Body=body)
    assert put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == body
    assert (got["ContentLength"], got["ETag"]) == (size, put["ETag"])
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (head["ContentLength"], head["ETag"]) == (size, put["ETag"])


KEYS = ["/", "//", "a/", "a", "a/b", ".", "..", "../a", "./a", "a/../b", "CON", "a:b", "a b", " ", "  lead", "trail ", "+", "a+b", "%", "%20",
        "100%", "a%2Fb", "a?b", "a&b=c", "a#b", "a;b", "<tag>", '"quoted"', "'", "\\", "`", "|", "{}", "[]", "~", "é", "日本語", "🦀", "‮rtl",
        "e\u0301", "\u00e9", "\t", "line\nfeed", "\x01", "\x7f", "a" * 1024, "é" * 512, "s/" * 512, "x" * 300 + "/y"]


def test_every_key_that_s3_allows_round_trips_and_is_listed_in_byte_order(s3, bucket):
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    for key in KEYS:
        assert body_of(s3, bucket, key) == key.encode(), key
    distinct = sorted(set(KEYS), key=str.encode)
    assert keys_in(s3.list_objects_v2(Bucket=bucket)) == distinct
    assert keys_in(s3.list_objects(Bucket=bucket)) == distinct
    for key in distinct:
        s3.delete_object(Bucket=bucket, Key=key)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_no_file_is_named_after_a_key(server, s3, bucket):
    marker = "a-name-to-look-for-on-the-disk"
    s3.put_object(Bucket=bucket, Key=f"../{marker}/../{marker}", Body=b"x")
    for folder, names, files in os.walk(server.data):
        assert not [n for n in names + files if marker in n], folder


def test_a_key_longer_than_1024_bytes_is_refused(s3, bucket):
    with refused("KeyTooLongError", 400):
        s3.put_object(Bucket=bucket, Key="a" * 1025, Body=b"x")
    with refused("KeyTooLongError", 400):
        s3.put_object(Bucket=bucket, Key="é" * 513, Body=b"x")


def test_system_headers_and_metadata_come_back(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentType="text/x-test; charset=utf-8", CacheControl="max-age=7, private",
                  ContentDisposition='attachment; filename="a b.txt"', ContentEncoding="gzip", ContentLanguage="de, en",
                  Expires="Wed, 21 Oct 2026 07:28:00 GMT", WebsiteRedirectLocation="/elsewhere", Metadata={"plain": "value", "Mixed-Case": "V", "empty": "", "with-dash": "1, 2"})
    for answer in (s3.head_object(Bucket=bucket, Key="k"), s3.get_object(Bucket=bucket, Key="k")):
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        assert answer["ContentType"] == "text/x-test; charset=utf-8"
        assert answer["CacheControl"] == "max-age=7, private"
        assert answer["ContentDisposition"] == 'attachment; filename="a b.txt"'
        assert answer["ContentEncoding"] == "gzip"
        assert answer["ContentLanguage"] == "de, en"
        assert answer["WebsiteRedirectLocation"] == "/elsewhere"
        assert headers["expires"] == "Wed, 21 Oct 2026 07:28:00 GMT"
        assert answer["Metadata"] == {"plain": "value", "mixed-case": "V", "empty": "", "with-dash": "1, 2"}


def test_writing_again_replaces_metadata_as_a_whole(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"1", Metadata={"old": "1"}, ContentType="text/plain", CacheControl="no-store")
    s3.put_object(Bucket=bucket, Key="k", Body=b"2", Metadata={"new": "2"})
    head = s3.head_object(Bucket=bucket, Key="k")
    assert head["Metadata"] == {"new": "2"} and head["ContentType"] == "binary/octet-stream" and "CacheControl" not in head


@pytest.mark.parametrize("sent, stored", [("gzip, aws-chunked", "gzip"), ("aws-chunked,gzip", "gzip"), ("deflate, gzip", "deflate, gzip")])
def test_aws_chunked_is_no_content_encoding_of_the_object(s3, send, bucket, sent, stored):
    response = send(Request("PUT", path_of(bucket, "k"), headers=[("content-encoding", sent)], body=b"x"))
    assert response.status == 200, str(response)
    assert s3.head_object(Bucket=bucket, Key="k")["ContentEncoding"] == stored


def test_get_has_the_headers_of_s3(send, bucket):
    send(Request("PUT", path_of(bucket, "k"), body=b"hello"))
    response = send(Request("GET", path_of(bucket, "k")))
    assert response.status == 200 and response.body == b"hello"
    assert response.header("content-length") == "5"
    assert response.header("etag") == '"5d41402abc4b2a76b9719d911017c592"'
    assert response.header("accept-ranges") == "bytes"
    assert HTTP_DATE.fullmatch(response.header("last-modified"))
    assert HTTP_DATE.fullmatch(response.header("date"))
    assert response.header("x-amz-request-id") and response.header("x-amz-id-2") and response.header("server")
    head = send(Request("HEAD", path_of(bucket, "k")))
    same = {"content-length", "etag", "accept-ranges", "last-modified", "content-type"}
    assert {n: v for n, v in head.headers if n in same} == {n: v for n, v in response.headers if n in same}


def test_request_ids_differ(send):
    assert send(Request("GET", "/")).header("x-amz-request-id") != send(Request("GET", "/")).header("x-amz-request-id")


def test_response_headers_can_be_overridden_by_a_signed_get(send, bucket):
    send(Request("PUT", path_of(bucket, "k"), body=b"x"))
    wanted = {"response-content-type": "text/weird", "response-cache-control": "no-cache", "response-content-language": "tlh",
              "response-content-disposition": 'attachment; filename="x y"', "response-content-encoding": "zip", "response-expires": "123"}
    from harness.wire import uri_encode
    query = "&".join(f"{name}={uri_encode(value)}" for name, value in wanted.items())
    response = send(Request("GET", path_of(bucket, "k"), query))
    assert response.status == 200, str(response)
    for name, value in wanted.items():
        assert response.header(name.removeprefix("response-")) == value


def test_a_line_break_cannot_be_smuggled_into_a_response_header(send, bucket):
    send(Request("PUT", path_of(bucket, "k"), body=b"x"))
    response = send(Request("GET", path_of(bucket, "k"), "response-content-disposition=a%0D%0AX-Injected:%201"))
    assert response.header("x-injected") is None
    assert_error(response, 400, ("InvalidArgument", "InvalidRequest"))


def test_deleting_is_idempotent(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    for _ in range(2):
        assert s3.delete_object(Bucket=bucket, Key="k")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert absent(s3, bucket, "k")
    with refused("NoSuchKey", 404):
        s3.get_object(Bucket=bucket, Key="k")


def test_an_absent_bucket_is_told_before_an_absent_key(s3):
    with refused("NoSuchBucket", 404):
        s3.get_object(Bucket="there-is-no-such-bucket", Key="k")
    with refused("NoSuchBucket", 404):
        s3.put_object(Bucket="there-is-no-such-bucket", Key="k", Body=b"x")
    with refused("NoSuchBucket", 404):
        s3.list_objects_v2(Bucket="there-is-no-such-bucket")


# --- many at once ---

def test_many_objects_are_deleted_in_one_request(s3, bucket):
    for i in range(30):
        s3.put_object(Bucket=bucket, Key=f"k{i:02}", Body=b"x")
    wanted = [{"Key": f"k{i:02}"} for i in range(20)] + [{"Key": "never-was"}]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": wanted})
    assert sorted(d["Key"] for d in answer["Deleted"]) == sorted(w["Key"] for w in wanted) and "Errors" not in answer
    assert keys_in(s3.list_objects_v2(Bucket=bucket)) == [f"k{i:02}" for i in range(20, 30)]


def test_quiet_deletion_answers_nothing_but_errors(s3, bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a"}, {"Key": "a"}, {"Key": "b"}], "Quiet": True})
    assert "Deleted" not in answer and "Errors" not in answer
    assert absent(s3, bucket, "a")


def test_more_than_a_thousand_deletions_are_refused_and_none_is_done(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k0", Body=b"x")
    with refused("MalformedXML", 400):
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": f"k{i}"} for i in range(1001)]})
    assert s3.head_object(Bucket=bucket, Key="k0")["ContentLength"] == 1


def test_deletion_by_the_null_version_is_deletion_in_a_bucket_without_versions(s3, bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a", "VersionId": "null"}], "Quiet": True},
                               BypassGovernanceRetention=True)
    assert "Errors" not in answer
    assert absent(s3, bucket, "a")


# --- bodies on the wire ---

def test_a_body_may_come_chunked_without_a_length(s3, send, bucket):
    request = Request("PUT", path_of(bucket, "k"), headers=[("transfer-encoding", "chunked"), ("x-amz-content-sha256", "UNSIGNED-PAYLOAD")],
                      body=b"3\r\nabc\r\n4;ext=1\r\ndefg\r\n0\r\n\r\n")
    response = send(request)
    assert response.status == 200, str(response)
    assert body_of(s3, bucket, "k") == b"abcdefg"


def test_a_put_without_any_length_is_refused(server, signer, bucket):
    from harness.wire import exchange
    request = signer.sign(Request("PUT", path_of(bucket, "k")), server.endpoint).without("content-length")
    assert_error(exchange(server.endpoint, request), 411, "MissingContentLength")


def test_continue_is_said_before_the_body_and_only_to_those_let_in(server, signer, bucket):
    body = os.urandom(100_000)
    for signing, expected in ((signer, 200), (signer.but(secret_key="wrong"), 403)):
        request = signing.sign(Request("PUT", path_of(bucket, "k"), headers=[("Expect", "100-Continue")], body=body), server.endpoint)
        with Connection(server.endpoint) as connection:
            connection.send(request.head_bytes())
            if expected == 200:
                assert connection.read_head().startswith(b"HTTP/1.1 100")
                connection.send(body)
                assert connection.read_response().status == 200
            else:
                head = connection.read_head()
                assert head.startswith(b"HTTP/1.1 403"), head


def test_an_answer_instead_of_continue_ends_the_connection(server, signer, bucket):
    """aws-cli misreads whatever follows on it, and hangs. An empty body is never asked for, so its answer comes instead, too."""
    for key, body, signing, status in (("empty", b"", signer, 200), ("k", b"body", signer.but(secret_key="wrong"), 403)):
        request = signing.sign(Request("PUT", path_of(bucket, key), headers=[("Expect", "100-continue")], body=body), server.endpoint)
        with Connection(server.endpoint) as connection:
            connection.send(request.head_bytes())
            response = connection.read_response()
            assert (response.status, response.header("connection")) == (status, "close"), str(response)


def test_a_connection_serves_one_request_after_another(server, signer, bucket):
    with Connection(server.endpoint) as connection:
        for i in range(20):
            body = os.urandom(i * 1000)
            connection.send(signer.sign(Request("PUT", path_of(bucket, f"k{i}"), body=body), server.endpoint).to_bytes())
            assert connection.read_response().status == 200
            connection.send(signer.sign(Request("GET", path_of(bucket, f"k{i}")), server.endpoint).to_bytes())
            assert connection.read_response().body == body
            connection.send(signer.sign(Request("GET", path_of(bucket, "none")), server.endpoint).to_bytes())
            assert connection.read_response().status == 404


def test_an_upload_that_breaks_off_leaves_the_old_object(server, signer, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"old")
    body = os.urandom(6 * MIB)
    for keep in (0, 1, MIB, 6 * MIB - 1):
        request = signer.sign(Request("PUT", path_of(bucket, "k"), body=body), server.endpoint)
        with Connection(server.endpoint) as connection:
            connection.send(request.head_bytes() + body[:keep])
        assert body_of(s3, bucket, "k") == b"old"
    assert absent(s3, bucket, "k2")


def test_readers_see_the_old_object_whole_until_the_new_one_is_whole(server, signer, s3, bucket):
    old, new = b"o" * (5 * MIB), b"n" * (5 * MIB + 7)
    s3.put_object(Bucket=bucket, Key="k", Body=old)
    request = signer.sign(Request("PUT", path_of(bucket, "k"), body=new), server.endpoint)
    with Connection(server.endpoint) as connection:
        connection.send(request.head_bytes() + new[:4 * MIB])
        assert body_of(s3, bucket, "k") == old
        reading = s3.get_object(Bucket=bucket, Key="k")["Body"]
        first = reading.read(1000)
        connection.send(new[4 * MIB:])
        assert connection.read_response().status == 200
        # A reader that began before the overwrite gets the version that it began with.
        assert first + reading.read() == old
    assert body_of(s3, bucket, "k") == new


def test_a_bucket_deleted_during_an_upload_refuses_it(server, signer, s3, bucket):
    body = os.urandom(MIB)
    request = signer.sign(Request("PUT", path_of(bucket, "k"), body=body), server.endpoint)
    with Connection(server.endpoint) as connection:
        connection.send(request.head_bytes() + body[:-1])
        s3.delete_bucket(Bucket=bucket)
        connection.send(body[-1:])
        assert_error(connection.read_response(), 404, "NoSuchBucket")


@pytest.mark.parametrize("method, name, value", [
    ("PUT", "if-unmodified-since", "Tue, 15 Nov 1994 08:12:31 GMT"), ("PUT", "if-modified-since", "Tue, 15 Nov 2050 08:12:31 GMT"),
    ("DELETE", "if-none-match", "*"), ("DELETE", "if-unmodified-since", "Tue, 15 Nov 1994 08:12:31 GMT"),
])
def test_a_condition_that_is_not_built_holds_the_write_back(send, s3, bucket, method, name, value):
    s3.put_object(Bucket=bucket, Key="k", Body=b"untouched")
    response = send(Request(method, path_of(bucket, "k"), headers=[(name, value)], body=b"other" if method == "PUT" else b""))
    assert_error(response, 501, "NotImplemented")
    assert body_of(s3, bucket, "k") == b"untouched"
