"""SigV4 in the Authorization header: what is accepted, and every way of getting it wrong."""

import datetime
import hashlib

import pytest

from harness.server import ROOT_KEYS
from harness.sigv4 import EMPTY_HASH, UNSIGNED, amz_date, now
from harness.wire import Request, exchange, path_of
from support import absent, assert_error, body_of


@pytest.fixture
def put(bucket):
    """A PutObject that is whole but for its signature."""
    return Request("PUT", path_of(bucket, "k"), body=b"body")


def test_the_order_and_spacing_of_what_is_signed_do_not_matter(server, signer, s3, bucket):
    request = Request("PUT", path_of(bucket, "k"), "x-id=PutObject", headers=[("X-Amz-Meta-Z", "  a   b  "), ("x-amz-meta-a", "1")], body=b"x")
    signer.sign(request, server.endpoint)
    request.headers.reverse()
    assert exchange(server.endpoint, request).status == 200
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {"a": "1", "z": "a   b"}


def test_every_header_may_be_signed(server, signer, put):
    put.set("content-type", "text/plain").set("user-agent", "tester/1.0").set("cache-control", "no-store").set("content-length", "4").set(
        "accept-encoding", "identity").set("x-amz-date", amz_date(now())).set("host", server.endpoint[7:]).set("x-amz-content-sha256", UNSIGNED)
    signed = sorted(name.lower() for name, _ in put.headers)
    assert exchange(server.endpoint, signer.sign(put, server.endpoint, signed=signed)).status == 200


def test_an_http_date_serves_where_there_is_no_amz_date(server, signer, put):
    moment = now()
    put.set("date", moment.strftime("%a, %d %b %Y %H:%M:%S GMT")).set("x-amz-date", amz_date(moment))
    # Signed over Date instead of x-amz-date.
    signed = ["date", "host", "x-amz-content-sha256"]
    signer.sign(put, server.endpoint, moment=moment, signed=signed).without("x-amz-date")
    assert exchange(server.endpoint, put).status == 200


def test_a_wrong_secret_and_an_unknown_key_are_told_apart_as_s3_does(server, signer, put, bucket):
    wrong = signer.but(secret_key=signer.secret_key[:-1] + "x").sign(put, server.endpoint)
    root = assert_error(exchange(server.endpoint, wrong), 403, "SignatureDoesNotMatch")
    canonical = root.findtext("CanonicalRequest")
    assert canonical.startswith("PUT\n") and hashlib.sha256(canonical.encode()).hexdigest() == root.findtext("StringToSign").rsplit("\n", 1)[1]
    unknown = signer.but(access_key="AKIDNOBODY0000000000").sign(Request("GET", path_of(bucket)), server.endpoint)
    assert_error(exchange(server.endpoint, unknown), 403, "InvalidAccessKeyId")


HEX = "0" * 64


@pytest.mark.parametrize("header, status, code", [
    ("", 403, "AccessDenied"),
    ("rubbish", 400, ("InvalidArgument", "AuthorizationHeaderMalformed")),
    ("Bearer abc", 400, "InvalidArgument"),
    ("AWS AKID:signature", 400, "InvalidRequest"),
    ("AWS4-HMAC-SHA1 Credential={credential}, SignedHeaders=host, Signature=" + HEX, 400, "InvalidRequest"),
    ("AWS4-ECDSA-P256-SHA256 Credential={credential}, SignedHeaders=host, Signature=" + HEX, 400, "InvalidRequest"),
    ("AWS4-HMAC-SHA256", 400, "AuthorizationHeaderMalformed"),
    ("AWS4-HMAC-SHA256 ", 400, "AuthorizationHeaderMalformed"),
    ("AWS4-HMAC-SHA256 SignedHeaders=host, Signature=" + HEX, 400, "AuthorizationHeaderMalformed"),
    ("AWS4-HMAC-SHA256 Credential={credential}, Signature=" + HEX, 400, "AuthorizationHeaderMalformed"),
    ("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host", 400, "AuthorizationHeaderMalformed"),
    ("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=" + HEX + ", Extra=1", 400, "AuthorizationHeaderMalformed"),
    ("AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=" + HEX, 400, "AuthorizationHeaderMalformed"),
    ("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=, Signature=" + HEX, 400, "AuthorizationHeaderMalformed"),
    ("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=x-amz-date, Signature=" + HEX, 403, "AccessDenied"),
    ("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=", 403, "SignatureDoesNotMatch"),
    ("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=zz", 403, "SignatureDoesNotMatch"),
    ("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=" + HEX, 403, "SignatureDoesNotMatch"),
])
def test_an_authorization_that_is_malformed_is_refused(server, signer, s3, bucket, put, header, status, code):
    moment = now()
    signer.sign(put, server.endpoint, moment=moment)
    put.set("Authorization", header.format(credential=f"{signer.access_key}/{signer.scope(moment)}"))
    assert_error(exchange(server.endpoint, put), status, code)
    assert absent(s3, bucket, "k")


@pytest.mark.parametrize("minutes", [-16, 16, -60 * 24 * 400, 60 * 24 * 400])
def test_a_clock_too_far_off_is_refused(server, signer, put, minutes):
    moment = now() + datetime.timedelta(minutes=minutes)
    assert_error(exchange(server.endpoint, signer.sign(put, server.endpoint, moment=moment)), 403, "RequestTimeTooSkewed")


@pytest.mark.parametrize("minutes", [-14, 14])
def test_a_clock_somewhat_off_is_taken(server, signer, put, minutes):
    moment = now() + datetime.timedelta(minutes=minutes)
    assert exchange(server.endpoint, signer.sign(put, server.endpoint, moment=moment)).status == 200


@pytest.mark.parametrize("date", [None, "", "yesterday", "20260101", "2026-01-01T00:00:00Z"])
def test_a_request_without_a_readable_date_is_refused(server, signer, put, date):
    signer.sign(put, server.endpoint).without("x-amz-date")
    if date is not None:
        put.set("x-amz-date", date)
    assert_error(exchange(server.endpoint, put), 403, ("AccessDenied", "SignatureDoesNotMatch"))


def test_the_scope_must_be_of_this_day_and_place(server, signer, bucket):
    def get():
        return Request("GET", path_of(bucket))
    response = exchange(server.endpoint, signer.but(region="eu-central-1").sign(get(), server.endpoint))
    assert assert_error(response, 400, "AuthorizationHeaderMalformed").findtext("Region") == "us-east-1"
    assert_error(exchange(server.endpoint, signer.but(service="ec2").sign(get(), server.endpoint)), 400, "AuthorizationHeaderMalformed")
    request = get().set("x-amz-date", amz_date(now()))
    yesterday = now() - datetime.timedelta(days=1)
    assert_error(exchange(server.endpoint, signer.sign(request, server.endpoint, moment=yesterday)), 400, "AuthorizationHeaderMalformed")


@pytest.mark.parametrize("name, value", [
    ("x-amz-copy-source", "bucket/key"), ("x-amz-tagging", "a=b"), ("x-amz-acl", "public-read"), ("x-amz-meta-x", "1"),
    ("x-amz-object-lock-mode", "COMPLIANCE"), ("x-amz-server-side-encryption", "AES256"), ("x-amz-storage-class", "STANDARD"),
    ("x-amz-anything-else", "1"),
])
def test_no_header_of_amazons_may_be_added_after_signing(server, signer, s3, bucket, put, name, value):
    signer.sign(put, server.endpoint).set(name, value)
    assert name in assert_error(exchange(server.endpoint, put), 403, "AccessDenied").findtext("HeadersNotSigned")
    assert absent(s3, bucket, "k")


def test_a_signed_header_means_one_thing(server, signer, s3, bucket):
    def fresh():
        return Request("PUT", path_of(bucket, "k"), headers=[("x-amz-meta-x", "1")], body=b"body")
    listed_twice = signer.sign(fresh(), server.endpoint, signed=["host", "host", "x-amz-content-sha256", "x-amz-date", "x-amz-meta-x"])
    absent_one = signer.sign(fresh(), server.endpoint, signed=["host", "x-amz-content-sha256", "x-amz-date", "x-amz-meta-x", "x-amz-meta-y"])
    changed = signer.sign(fresh(), server.endpoint).set("x-amz-meta-x", "2")
    sent_twice = signer.sign(fresh(), server.endpoint)
    sent_twice.headers.append(("x-amz-meta-x", "2"))
    for request in (listed_twice, absent_one, changed, sent_twice):
        assert_error(exchange(server.endpoint, request), 403, "SignatureDoesNotMatch")
    assert absent(s3, bucket, "k")


@pytest.mark.parametrize("change", [lambda r: setattr(r, "path", r.path + "x"), lambda r: setattr(r, "query", "acl"), lambda r: setattr(r, "method", "DELETE"),
                                    lambda r: r.set("host", "other.example"), lambda r: setattr(r, "query", "versionId=null")])
def test_what_was_signed_cannot_be_changed(server, signer, s3, bucket, change):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    request = signer.sign(Request("GET", path_of(bucket, "k"), headers=[("content-length", "0")]), server.endpoint)
    change(request)
    response = exchange(server.endpoint, request)
    assert_error(response, 403, "SignatureDoesNotMatch")
    assert body_of(s3, bucket, "k") == b"x"


def test_two_ways_of_signing_at_once_are_refused(server, signer, bucket):
    request = signer.sign(signer.presign(Request("GET", path_of(bucket)), server.endpoint), server.endpoint)
    assert_error(exchange(server.endpoint, request), 400, "InvalidArgument")


@pytest.mark.parametrize("value, code", [(None, "InvalidRequest"), ("abc", "InvalidArgument"), ("STREAMING-SOMETHING-ELSE", "InvalidArgument"), ("g" * 64, "InvalidArgument")])
def test_the_payload_hash_must_be_told_in_a_known_form(server, signer, put, value, code):
    signer.sign(put, server.endpoint)
    put.without("x-amz-content-sha256") if value is None else put.set("x-amz-content-sha256", value)
    assert_error(exchange(server.endpoint, put), 400, code)


def test_an_unsigned_payload_is_taken(s3, send, bucket):
    assert send(Request("PUT", path_of(bucket, "k"), body=b"unsigned"), payload_hash=UNSIGNED).status == 200
    assert body_of(s3, bucket, "k") == b"unsigned"


@pytest.mark.parametrize("token", ["", "anything", "x" * 2000])
def test_a_session_token_with_a_permanent_key_is_not_ignored(server, signer, bucket, token):
    request = Request("GET", path_of(bucket), headers=[("x-amz-security-token", token)])
    assert_error(exchange(server.endpoint, signer.sign(request, server.endpoint)), 400, "InvalidToken")


@pytest.mark.parametrize("mode", ["STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"])
@pytest.mark.parametrize("how", ["made-up-header", "query", "anonymous"])
@pytest.mark.parametrize("part", [False, True])
def test_cve_2026_40344_a_streaming_body_opens_no_way_around_the_signature(server, signer, s3, bucket, mode, how, part):
    """Also CVE-2026-41145 and CVE-2025-31489: a payload mode for which some handlers forgot to verify."""
    query = ""
    if part:
        query = f"partNumber=1&uploadId={s3.create_multipart_upload(Bucket=bucket, Key='k')['UploadId']}"
    body = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"
    headers = [("x-amz-content-sha256", mode), ("x-amz-decoded-content-length", "5"), ("x-amz-trailer", "x-amz-checksum-crc32")]
    request = Request("PUT", path_of(bucket, "k"), query, headers, body)
    forger = signer.but(access_key=ROOT_KEYS[0], secret_key="not the secret")
    if how == "made-up-header":
        forger.sign(request, server.endpoint)
    elif how == "query":
        forger.presign(request, server.endpoint)
    request.set("host", server.endpoint[7:]).set("content-length", str(len(body)))
    response = exchange(server.endpoint, request)
    assert response.status in (400, 403), str(response)
    assert absent(s3, bucket, "k")
    if part:
        assert "Parts" not in s3.list_parts(Bucket=bucket, Key="k", UploadId=query.rpartition("=")[2])


def test_an_empty_body_has_the_empty_hash(send, s3, bucket):
    assert send(Request("PUT", path_of(bucket, "k")), payload_hash=EMPTY_HASH).status == 200
    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == 0


def test_a_captured_put_is_good_for_a_quarter_of_an_hour_and_no_longer(server, signer, s3, bucket):
    """To sign is to let whoever has the request send it again; a condition stands against that."""
    plain = signer.sign(Request("PUT", path_of(bucket, "k"), body=b"first"), server.endpoint)
    once = signer.sign(Request("PUT", path_of(bucket, "once"), headers=[("if-none-match", "*")], body=b"first"), server.endpoint)
    for request in (plain, once):
        assert exchange(server.endpoint, request).status == 200
    s3.delete_object(Bucket=bucket, Key="k")
    assert exchange(server.endpoint, plain).status == 200
    assert_error(exchange(server.endpoint, once), 412, "PreconditionFailed")
    old = signer.sign(Request("PUT", path_of(bucket, "k"), body=b"old"), server.endpoint, moment=now() - datetime.timedelta(minutes=15, seconds=5))
    assert_error(exchange(server.endpoint, old), 403, "RequestTimeTooSkewed")
    assert body_of(s3, bucket, "k") == b"first"


@pytest.mark.parametrize("mode", ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"])
def test_nobody_signs_no_chunks(server, s3, bucket, mode):
    """Also where everybody may write."""
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    body = b"5;chunk-signature=" + b"0" * 64 + b"\r\nhello\r\n0;chunk-signature=" + b"0" * 64 + b"\r\n\r\n"
    request = Request("PUT", path_of(bucket, "k"), headers=[("host", server.endpoint[7:]), ("x-amz-content-sha256", mode),
                                                            ("x-amz-decoded-content-length", "5"), ("content-length", str(len(body)))], body=body)
    assert_error(exchange(server.endpoint, request), 400, "InvalidRequest")
    assert absent(s3, bucket, "k")


def test_a_signature_is_told_in_one_way(server, signer, bucket):
    def authorization(change):
        request = signer.sign(Request("GET", path_of(bucket)), server.endpoint)
        return request.set("Authorization", change(request.header("Authorization")))
    for change in (lambda text: text[:-64] + text[-64:].upper(), lambda text: text[:-1], lambda text: text + "00"):
        assert_error(exchange(server.endpoint, authorization(change)), 403, "SignatureDoesNotMatch")
    assert_error(exchange(server.endpoint, authorization(str.lower)), 400, "InvalidArgument")
    twice = authorization(lambda text: text)
    twice.headers.append(("Authorization", twice.header("Authorization")))
    assert_error(exchange(server.endpoint, twice), 400, "InvalidRequest")


def test_whoever_signs_wrongly_is_not_taken_for_nobody(server, signer, s3, bucket):
    """What everybody may read is not answered to a request whose signature is wrong."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="public-read")
    plain = Request("GET", path_of(bucket, "k"), headers=[("host", server.endpoint[7:])])
    assert exchange(server.endpoint, plain).body == b"x"
    for wrong, code in ((signer.but(secret_key="x"), "SignatureDoesNotMatch"), (signer.but(access_key="AKIDNOBODY0000000000"), "InvalidAccessKeyId")):
        assert_error(exchange(server.endpoint, wrong.sign(Request("GET", path_of(bucket, "k")), server.endpoint)), 403, code)
    for query in ("X-Amz-Credential=x", "x-amz-signature=x", "X%2DAmz%2DAlgorithm=x"):
        assert_error(exchange(server.endpoint, Request("GET", path_of(bucket, "k"), query, plain.headers)), 400, "AuthorizationQueryParametersError")
    assert_error(exchange(server.endpoint, Request("GET", path_of(bucket, "k"), "response-content-type=text/html", plain.headers)), 400, "InvalidRequest")
