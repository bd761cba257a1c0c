"""Uploads in aws-chunked framing, at the wire: signed chunks, trailers, and every way of breaking them."""

import os

import pytest

from harness.sigv4 import (CHECKSUMS, STREAMING_SIGNED, STREAMING_SIGNED_TRAILER, STREAMING_UNSIGNED_TRAILER, crc32, now)
from harness.wire import Connection, Request, exchange, path_of
from support import absent, assert_error, body_of

MODES = [STREAMING_SIGNED, STREAMING_SIGNED_TRAILER, STREAMING_UNSIGNED_TRAILER]
CHUNKS = [os.urandom(65536), os.urandom(65536), os.urandom(8192), os.urandom(333)]


def trailer_for(mode, chunks, name="crc32"):
    return () if mode == STREAMING_SIGNED else [(f"x-amz-checksum-{name}", CHECKSUMS[name](b"".join(chunks)))]


@pytest.fixture
def stream(server, signer, bucket):
    """Sends `chunks` to the key `k` in `mode`; the rest as `Signer.streaming` takes it."""
    def stream(chunks, mode, trailer=None, headers=(), query="", **words):
        request = Request("PUT", path_of(bucket, "k"), query, list(headers))
        signer.streaming(request, server.endpoint, chunks, mode, trailer_for(mode, chunks) if trailer is None else trailer, **words)
        return exchange(server.endpoint, request)
    return stream


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("chunks", [[], [b"x"], [b"x" * 8192], CHUNKS, [os.urandom(1 << 20)] * 5 + [b"tail"]], ids=["empty", "one", "even", "four", "large"])
def test_a_streamed_body_arrives(s3, stream, bucket, mode, chunks):
    response = stream(chunks, mode)
    assert response.status == 200, str(response)
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == b"".join(chunks)
    assert "ContentEncoding" not in got


@pytest.mark.parametrize("mode", MODES[1:])
@pytest.mark.parametrize("name", CHECKSUMS)
def test_a_trailing_checksum_is_checked_and_stored(s3, stream, send, bucket, mode, name):
    chunks = [b"trail" * 2000, b"end"]
    good = stream(chunks, mode, trailer_for(mode, chunks, name))
    assert good.status == 200, str(good)
    value = CHECKSUMS[name](b"".join(chunks))
    assert good.header(f"x-amz-checksum-{name}") == value
    head = send(Request("HEAD", path_of(bucket, "k"), headers=[("x-amz-checksum-mode", "ENABLED")]))
    assert head.header(f"x-amz-checksum-{name}") == value
    s3.delete_object(Bucket=bucket, Key="k")
    bad = stream(chunks, mode, [(f"x-amz-checksum-{name}", CHECKSUMS[name](b"other"))])
    assert_error(bad, 400, "BadDigest")
    assert absent(s3, bucket, "k")


@pytest.mark.parametrize("mode", MODES)
def test_a_streamed_body_may_come_in_http_chunks(server, signer, s3, bucket, mode):
    """As the AWS SDK for C++ sends it: aws-chunked inside of chunked, and no length."""
    request = Request("PUT", path_of(bucket, "k"), headers=[("transfer-encoding", "chunked")])
    signer.streaming(request, server.endpoint, CHUNKS, mode, trailer_for(mode, CHUNKS))
    inner, outer = request.body, b""
    for at in range(0, len(inner), 5000):
        piece = inner[at:at + 5000]
        outer += f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
    request.body = outer + b"0\r\n\r\n"
    response = exchange(server.endpoint, request)
    assert response.status == 200, str(response)
    assert body_of(s3, bucket, "k") == b"".join(CHUNKS)


@pytest.mark.parametrize("mode", MODES)
def test_a_part_may_be_streamed(s3, stream, bucket, mode):
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    response = stream(CHUNKS, mode, query=f"partNumber=1&uploadId={upload_id}")
    assert response.status == 200, str(response)
    s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload_id,
                                 MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": response.header("etag")}]})
    assert body_of(s3, bucket, "k") == b"".join(CHUNKS)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_the_framing_may_be_cut_anywhere(server, signer, s3, bucket, mode, step):
    chunks = [b"a" * 8192, b"b" * 50]
    request = signer.streaming(Request("PUT", path_of(bucket, "k")), server.endpoint, chunks, mode, trailer_for(mode, chunks))
    with Connection(server.endpoint) as connection:
        connection.send(request.head_bytes())
        # Byte by byte through the lines between the chunks, where a decoder keeps state; faster through the data.
        body, at = request.body, 0
        while at < len(body):
            size = step if at < 200 or at > len(body) - 600 or 8150 < at < 8500 else 2000
            connection.send(body[at:at + size])
            at += size
        assert connection.read_response().status == 200
    assert body_of(s3, bucket, "k") == b"".join(chunks)


# --- signatures of chunks ---

def flip(frames):
    return [frames[0], frames[1][:-3] + bytes([frames[1][-3] ^ 1]) + frames[1][-2:], *frames[2:]]


TAMPERED = {
    "a byte flipped": flip,
    "two chunks swapped": lambda frames: [frames[1], frames[0], *frames[2:]],
    "a middle chunk dropped": lambda frames: [frames[0], *frames[2:]],
    "a chunk repeated": lambda frames: [frames[0], frames[0], *frames[1:]],
    "a signature of zeros": lambda frames: [frames[0].replace(frames[0].split(b"=")[1][:64], b"0" * 64, 1), *frames[1:]],
    "the final signature wrong": lambda frames: [*frames[:4], frames[4].replace(frames[4].split(b"=")[1][:8], b"00000000", 1), *frames[5:]],
}


@pytest.mark.parametrize("mode", MODES[:2])
@pytest.mark.parametrize("how", TAMPERED)
def test_a_broken_chain_of_signatures_is_refused(s3, stream, bucket, mode, how):
    # The declared length fits what arrives, so that only the chain can tell.
    def frame(frames):
        return TAMPERED[how](frames)
    decoded = len(b"".join(CHUNKS)) + {"a middle chunk dropped": -65536, "a chunk repeated": 65536}.get(how, 0)
    response = stream(CHUNKS, mode, headers=[("x-amz-decoded-content-length", str(decoded))], frame=frame)
    assert_error(response, 403, "SignatureDoesNotMatch")
    assert absent(s3, bucket, "k")


def test_the_seed_of_another_request_signs_no_chunks(server, signer, s3, bucket):
    moment = now()
    first = signer.streaming(Request("PUT", path_of(bucket, "a")), server.endpoint, CHUNKS, moment=moment)
    second = signer.streaming(Request("PUT", path_of(bucket, "b")), server.endpoint, CHUNKS, moment=moment)
    second.body = first.body
    assert_error(exchange(server.endpoint, second), 403, "SignatureDoesNotMatch")
    assert absent(s3, bucket, "b")


# --- framing ---

def line(size, signature=True):
    return lambda frames: [size + (b";chunk-signature=" + b"0" * 64 if signature else b"") + b"\r\n" + b"x" * 16 + b"\r\n", *frames]


MALFORMED = {
    "a negative size": line(b"-1"),
    "a size of 2^64-1": line(b"ffffffffffffffff"),
    "a size of 2^64": line(b"10000000000000000"),
    "a size with 0x": line(b"0x10"),
    "a size of 200 digits": line(b"1" * 200),
    "a size that is empty": line(b""),
    "a size with a space": line(b"1 0"),
    "a size line of 10 KiB": line(b"10;" + b"x" * 10_240),
    "a size line that never ends": lambda frames: [b"1" * 200_000],
    "no size line": lambda frames: [b"hello, I am no chunk at all\r\n\r\n"],
    "a line feed alone": lambda frames: [frames[0].replace(b"\r\n", b"\n", 1), *frames[1:]],
    "no line break after a chunk": lambda frames: [frames[0][:-2], *frames[1:]],
    "a chunk longer than told": lambda frames: [frames[0][:-2] + b"yz\r\n", *frames[1:]],
    "no last chunk": lambda frames: frames[:4],
    "data behind the end": lambda frames: [*frames, b"more"],
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("how", MALFORMED)
def test_framing_that_is_broken_is_refused(server, s3, stream, bucket, mode, how):
    before = server.rss()
    response = stream(CHUNKS, mode, frame=MALFORMED[how])
    codes = ("InvalidChunkSizeError", "IncompleteBody", "InvalidRequest", "MalformedTrailerError")
    if mode != STREAMING_UNSIGNED_TRAILER and response.status == 403:
        assert_error(response, 403, "SignatureDoesNotMatch")
    else:
        assert_error(response, 400, codes)
    assert absent(s3, bucket, "k")
    assert server.rss() < before + (64 << 20), "memory grew with what a client said, not with what it sent"


def test_a_small_chunk_in_the_middle_is_refused(s3, stream, bucket):
    assert_error(stream([b"x" * 8191, b"y" * 9000], STREAMING_SIGNED), 400, "InvalidChunkSizeError")
    assert absent(s3, bucket, "k")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("length, status, code", [
    (None, 411, "MissingContentLength"), ("", 400, ("InvalidArgument", "InvalidRequest")), ("-1", 400, ("InvalidArgument", "InvalidRequest")), ("x", 400, ("InvalidArgument", "InvalidRequest")),
    ("1000", 400, ("IncompleteBody", "InvalidRequest")), ("200000000", 400, ("IncompleteBody", "InvalidChunkSizeError")), ("9223372036854775808", 400, ("EntityTooLarge", "InvalidArgument")),
])
def test_the_decoded_length_must_be_told_and_right(server, signer, s3, bucket, mode, length, status, code):
    request = Request("PUT", path_of(bucket, "k"))
    if length is not None:
        request.set("x-amz-decoded-content-length", length)
    else:
        # Signed without the header, as a client that forgot it would.
        request.set("x-amz-decoded-content-length", "0")
    moment = now()
    if length is None:
        request.headers = []
        request.set("x-amz-content-sha256", mode).set("content-encoding", "aws-chunked")
        if mode != STREAMING_SIGNED:
            request.set("x-amz-trailer", "x-amz-checksum-crc32")
        signer.sign(request, server.endpoint, moment=moment)
        seed = request.header("Authorization").rpartition("Signature=")[2]
        request.body = b"".join(signer.frames(seed, CHUNKS, mode, trailer_for(mode, CHUNKS), moment))
        request.set("content-length", str(len(request.body)))
    else:
        signer.streaming(request, server.endpoint, CHUNKS, mode, trailer_for(mode, CHUNKS), moment=moment)
    assert_error(exchange(server.endpoint, request), status, code)
    assert absent(s3, bucket, "k")


# --- trailers ---

BODY = b"".join(CHUNKS)


@pytest.mark.parametrize("mode", MODES[1:])
@pytest.mark.parametrize("declared, sent", [
    ("x-amz-checksum-crc32", []),
    ("x-amz-checksum-crc32", [("x-amz-checksum-sha256", CHECKSUMS["sha256"](BODY))]),
    ("x-amz-checksum-crc32", [("x-amz-checksum-crc32", crc32(BODY)), ("x-amz-checksum-crc32", crc32(BODY))]),
    ("x-amz-checksum-crc32", [("x-amz-checksum-crc32", crc32(BODY)), ("x-amz-acl", "public-read")]),
    ("x-amz-checksum-crc32", [("x-amz-checksum-crc32", "A" * 20_000)]),
    ("x-amz-checksum-crc32", [("x-amz-checksum-crc32", "not base64!")]),
    ("x-amz-acl", [("x-amz-acl", "public-read")]),
    ("host", [("host", "elsewhere")]),
    ("x-amz-checksum-rot13", [("x-amz-checksum-rot13", "AAAA")]),
], ids=["not sent", "another sent", "sent twice", "one more sent", "too long", "not base64", "an acl", "a host", "an unknown checksum"])
def test_a_trailer_must_be_what_was_declared(s3, stream, bucket, mode, declared, sent):
    response = stream(CHUNKS, mode, sent, headers=[("x-amz-trailer", declared)])
    assert_error(response, 400, ("MalformedTrailerError", "InvalidRequest", "BadDigest"))
    assert absent(s3, bucket, "k")


def test_an_undeclared_trailer_is_refused(server, signer, s3, bucket):
    request = Request("PUT", path_of(bucket, "k"), headers=[("x-amz-trailer", "x-amz-checksum-crc32")])
    signer.streaming(request, server.endpoint, CHUNKS, STREAMING_SIGNED, ())
    request.body = request.body[:-2] + b"x-amz-checksum-crc32:" + crc32(BODY).encode() + b"\r\n\r\n"
    request.set("content-length", str(len(request.body)))
    assert exchange(server.endpoint, request).status in (400, 403)
    assert absent(s3, bucket, "k")


def test_a_trailers_signature_is_checked(s3, stream, bucket):
    def forged(frames):
        head, _, signature = frames[-1].partition(b"x-amz-trailer-signature:")
        return [*frames[:-1], head + b"x-amz-trailer-signature:" + b"0" * 64 + b"\r\n\r\n"]
    def missing(frames):
        return [*frames[:-1], frames[-1].partition(b"x-amz-trailer-signature:")[0] + b"\r\n"]
    assert_error(stream(CHUNKS, STREAMING_SIGNED_TRAILER, frame=forged), 403, "SignatureDoesNotMatch")
    response = stream(CHUNKS, STREAMING_SIGNED_TRAILER, frame=missing)
    assert (response.status, response.code) in ((403, "SignatureDoesNotMatch"), (400, "MalformedTrailerError")), str(response)
    assert absent(s3, bucket, "k")


def test_a_client_that_stops_in_the_middle_leaves_nothing(server, signer, s3, bucket):
    request = signer.streaming(Request("PUT", path_of(bucket, "k")), server.endpoint, CHUNKS)
    for keep in (1, 100, 70_000, len(request.body) - 1):
        with Connection(server.endpoint) as connection:
            connection.send(request.head_bytes() + request.body[:keep])
    assert absent(s3, bucket, "k")
