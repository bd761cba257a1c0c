"""The HTTP below S3, never through a client library: framing that two readers could read in two ways, and limits."""

import time

import pytest

from conftest import keys_of
from harness.clients import boto
from harness.server import ALICE
from harness.sigv4 import now, amz_date
from harness.wire import Connection, Request, path_of


def raw(server, signer, bucket, headers, body=b"hello", method="PUT", key="k"):
    """A signed head with `headers` (bytes lines) put in as they are, and the body."""
    request = Request(method, path_of(bucket, key), headers=[("x-amz-content-sha256", "UNSIGNED-PAYLOAD")])
    signer.sign(request, server.endpoint, moment=now())
    request.without("content-length")
    head = request.head_bytes()[:-2]
    return head + b"".join(line + b"\r\n" for line in headers) + b"\r\n" + body


def answer_of(server, data):
    """Status of the first answer (None: closed without one), and whether a second one followed for what we sent."""
    with Connection(server.endpoint, timeout=10) as connection:
        try:
            connection.send(data)
            first = connection.read_response()
        except (ConnectionResetError, BrokenPipeError):
            return None, False
        connection.socket.settimeout(3)
        try:
            second = connection.read_head()
        except (TimeoutError, ConnectionResetError):
            second = b""
        return first, bool(second)


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nhost: h\r\n\r\n"


@pytest.mark.parametrize("headers", [
    [b"content-length: 5", b"content-length: 6"], [b"content-length: 5, 6"], [b"content-length: +5"], [b"content-length: 0x5"], [b"content-length: 5;"],
    [b"content-length: -1"], [b"content-length: "], [b"content-length: 5 5"], [b"content-length: 18446744073709551616"],
    [b"content-length: 18446744073709551617"], [b"transfer-encoding: xchunked"], [b"transfer-encoding: identity"], [b"transfer-encoding: gzip"],
    [b"content-length : 5"], [b"content-length: 5", b" folded: 1"], [b"content-length: 5\rx: y"], [b"x\x00y: 1", b"content-length: 5"],
], ids=repr)
def test_a_length_that_can_be_read_in_two_ways_is_refused(server, signer, s3, bucket, headers):
    first, second = answer_of(server, raw(server, signer, bucket, headers) + SMUGGLED)
    assert first is None or 400 <= first.status < 500 or first.status == 501, str(first)
    assert not second, "what followed was read as another request"
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.parametrize("headers", [[b"content-length: 5", b"transfer-encoding: chunked"], [b"transfer-encoding: chunked", b"content-length: 5"],
                                     [b"transfer-encoding: chunked", b"transfer-encoding: chunked"], [b"transfer-encoding: chunked, identity"]], ids=repr)
def test_length_and_chunks_together_smuggle_nothing(server, signer, bucket, headers):
    body = b"0\r\n\r\n" + SMUGGLED
    first, second = answer_of(server, raw(server, signer, bucket, headers, body))
    assert first is None or first.status >= 400 or not second, f"{first}: a second request was read from the body"


def test_five_hundred_headers_or_a_megabyte_of_them_are_refused(server, signer, bucket):
    many = [b"x-h-%d: 1" % n for n in range(1000)]
    large = [b"x-large: " + b"x" * (1 << 20)]
    for headers in (many, large):
        first, _ = answer_of(server, raw(server, signer, bucket, [*headers, b"content-length: 5"]))
        assert first is None or first.status in (400, 431), str(first)


def test_a_uri_of_a_megabyte_and_ten_thousand_parameters_are_refused(server, signer, bucket):
    for target in ("/" + "a" * (1 << 20), f"/{bucket}?" + "&".join(f"a{n}=1" for n in range(10_000))):
        first, _ = answer_of(server, f"GET {target} HTTP/1.1\r\nhost: h\r\nx-amz-date: {amz_date(now())}\r\n\r\n".encode())
        assert first is None or first.status in (400, 403, 414, 431), str(first)


def test_a_body_where_none_belongs_is_not_kept(server, signer, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    before = server.rss()
    for method in ("GET", "DELETE", "HEAD"):
        request = signer.sign(Request(method, path_of(bucket, "absent")), server.endpoint, payload_hash="UNSIGNED-PAYLOAD")
        request.set("content-length", str(1 << 30))
        with Connection(server.endpoint, timeout=20) as connection:
            connection.send(request.head_bytes())
            sent = 0
            try:
                while sent < (64 << 20):
                    connection.send(b"x" * (1 << 20))
                    sent += 1 << 20
            except (BrokenPipeError, ConnectionResetError, TimeoutError):
                pass
    assert server.rss() < before + (32 << 20)


def test_garbage_is_answered_or_hung_up_on_and_never_kills(server, s3):
    import random
    dice = random.Random(11)
    for _ in range(60):
        data = bytes(dice.randrange(256) for _ in range(dice.randrange(1, 400))) + b"\r\n\r\n"
        try:
            with Connection(server.endpoint, timeout=5) as connection:
                connection.send(data)
                connection.socket.shutdown(1)
                connection.read_response()
        except (OSError, ValueError):
            pass
    assert server.alive() and s3.list_buckets()["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_idle_and_slow_connections_do_not_keep_others_out(server, bucket):
    idle = [Connection(server.endpoint) for _ in range(300)]
    for connection in idle[:150]:
        connection.send(b"GET / HTTP/1.1\r\nhost: h\r\nx-slow:")
    client = boto(server.endpoint, keys_of(ALICE))
    begin = time.monotonic()
    for number in range(20):
        client.put_object(Bucket=bucket, Key=f"k{number}", Body=b"x")
    assert time.monotonic() - begin < 20
    for connection in idle:
        connection.close()


@pytest.mark.long
def test_a_head_that_never_ends_is_hung_up_on(server):
    with Connection(server.endpoint, timeout=60) as connection:
        connection.send(b"GET / HTTP/1.1\r\nhost: h\r\nx-slow:")
        assert connection.closed_by_peer(timeout=45)


def test_absolute_targets_are_understood_and_do_not_override_the_host(server, signer, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"absolute")
    request = signer.sign(Request("GET", path_of(bucket, "k")), server.endpoint)
    data = request.head_bytes().replace(f"GET /{bucket}".encode(), f"GET {server.endpoint}/{bucket}".encode(), 1)
    first, _ = answer_of(server, data)
    assert first is not None and (first.status, first.body) == (200, b"absolute"), str(first)
