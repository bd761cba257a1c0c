"""Presigned URLs: good for exactly what was signed, for exactly so long."""

import datetime
import urllib.error
import urllib.request
from urllib.parse import quote

import pytest

from conftest import DOMAIN, keys_of
from harness.clients import boto
from harness.server import ALICE
from harness.sigv4 import Signer, now, sha256
from harness.wire import Request, exchange, path_of
from support import absent, assert_error, body_of


@pytest.fixture
def key(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"content")
    return "k"


def test_urls_made_by_boto3_with_version_4_work_as_they_are(server, s3, bucket):
    made = boto(server.endpoint, keys_of(ALICE), signature_version="s3v4")
    put = made.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "a b+c"}, ExpiresIn=60)
    urllib.request.urlopen(urllib.request.Request(put, data=b"through a URL", method="PUT")).close()
    get = made.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a b+c", "ResponseContentType": "x/y"}, ExpiresIn=60)
    with urllib.request.urlopen(get) as reply:
        assert reply.read() == b"through a URL" and reply.headers["content-type"] == "x/y"
    head = made.generate_presigned_url("head_object", Params={"Bucket": bucket, "Key": "a b+c"})
    with urllib.request.urlopen(urllib.request.Request(head, method="HEAD")) as reply:
        assert reply.headers["content-length"] == "13"
    delete = made.generate_presigned_url("delete_object", Params={"Bucket": bucket, "Key": "a b+c"})
    urllib.request.urlopen(urllib.request.Request(delete, method="DELETE")).close()
    assert absent(s3, bucket, "a b+c")


def test_a_url_of_version_2_is_told_to_use_version_4(s3, bucket, key):
    """What boto3 and aws-cli 1 make when nobody told them otherwise."""
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})
    if "X-Amz-Algorithm" in url:
        pytest.skip("this boto3 presigns with version 4")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url)
    body = caught.value.read()
    assert caught.value.code == 400 and b"<Code>InvalidRequest</Code>" in body and b"Please use AWS4-HMAC-SHA256." in body, body


def test_a_header_of_version_2_is_told_to_use_version_4(server, bucket, key):
    request = Request("GET", path_of(bucket, key), headers=[("host", "h"), ("authorization", "AWS AKID:c2lnbmF0dXJl"), ("date", "Tue, 27 Mar 2007 19:36:42 +0000")])
    root = assert_error(exchange(server.endpoint, request), 400, "InvalidRequest")
    assert root.findtext("Message") == "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."


def test_a_listing_may_be_presigned(server, signer, bucket, key):
    request = signer.presign(Request("GET", path_of(bucket), "list-type=2&prefix=k"), server.endpoint)
    response = exchange(server.endpoint, request)
    assert response.status == 200 and b"<Key>k</Key>" in response.body


@pytest.mark.parametrize("expires", [None, "", "text", "-1", "604801", "2147483648", "9223372036854775808", "1e9", "+10", "10.5", " 10"])
def test_a_lifetime_must_be_a_number_up_to_a_week(server, signer, bucket, key, expires):
    response = exchange(server.endpoint, signer.presign(Request("GET", path_of(bucket, key)), server.endpoint, expires=expires)
                        if expires is not None else _without_expires(signer, server, bucket, key))
    assert_error(response, 400, "AuthorizationQueryParametersError")


def _without_expires(signer, server, bucket, key):
    request = signer.presign(Request("GET", path_of(bucket, key)), server.endpoint)
    request.query = "&".join(part for part in request.query.split("&") if not part.startswith("X-Amz-Expires"))
    return request


@pytest.mark.parametrize("expires", ["1", "100000", "604800"])
def test_a_lifetime_within_the_week_is_taken(server, signer, bucket, key, expires):
    assert exchange(server.endpoint, signer.presign(Request("GET", path_of(bucket, key)), server.endpoint, expires=expires)).body == b"content"


@pytest.mark.parametrize("expires", ["0", "60"])
def test_an_expired_url_is_refused(server, signer, bucket, key, expires):
    past = now() - datetime.timedelta(seconds=int(expires) + 1)
    response = exchange(server.endpoint, signer.presign(Request("GET", path_of(bucket, key)), server.endpoint, expires=expires, moment=past))
    assert assert_error(response, 403, "AccessDenied").findtext("Message") == "Request has expired"


def test_a_url_of_the_future_is_refused(server, signer, bucket, key):
    future = now() + datetime.timedelta(minutes=16)
    assert_error(exchange(server.endpoint, signer.presign(Request("GET", path_of(bucket, key)), server.endpoint, moment=future)), 403, "AccessDenied")


@pytest.mark.parametrize("more", ["X-Amz-Expires=604800", "x-amz-expires=604800", "X-Amz-Signature=" + "0" * 64, "X-Amz-Date=20300101T000000Z",
                                  "X-Amz-Credential=x", "X-Amz-SignedHeaders=host", "X-AMZ-SIGNATURE=0"])
def test_no_parameter_may_come_twice(server, signer, bucket, key, more):
    for front in (False, True):
        request = signer.presign(Request("GET", path_of(bucket, key)), server.endpoint)
        request.query = f"{more}&{request.query}" if front else f"{request.query}&{more}"
        response = exchange(server.endpoint, request)
        assert (response.status, response.code) in ((400, "AuthorizationQueryParametersError"), (403, "SignatureDoesNotMatch"),
                                                    (400, "InvalidArgument")), str(response)


@pytest.mark.parametrize("missing", ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders"])
def test_every_parameter_is_needed(server, signer, bucket, key, missing):
    request = signer.presign(Request("GET", path_of(bucket, key)), server.endpoint)
    request.query = "&".join(part for part in request.query.split("&") if not part.startswith(missing))
    assert_error(exchange(server.endpoint, request), 400, "AuthorizationQueryParametersError")


@pytest.mark.parametrize("change", [
    lambda r: setattr(r, "method", "DELETE"), lambda r: setattr(r, "method", "PUT"), lambda r: setattr(r, "method", "HEAD"),
    lambda r: setattr(r, "path", r.path[:-1] + "other"), lambda r: setattr(r, "query", r.query + "&acl"),
    lambda r: setattr(r, "query", r.query + "&versionId=null"), lambda r: setattr(r, "query", r.query + "&uploadId=x"),
    lambda r: setattr(r, "query", r.query + "&response-content-type=text/html"), lambda r: r.set("host", "other.example:1"),
])
def test_a_url_is_good_for_nothing_else(server, signer, s3, bucket, key, change):
    request = signer.presign(Request("GET", path_of(bucket, key)), server.endpoint)
    change(request)
    if request.method == "PUT":
        request.set("content-length", "0")
    response = exchange(server.endpoint, request)
    assert response.status == 403, str(response)
    if request.method != "HEAD":
        assert_error(response, 403, "SignatureDoesNotMatch")
    assert body_of(s3, bucket, key) == b"content"


@pytest.mark.parametrize("name, value", [("x-amz-copy-source", "{bucket}/k"), ("x-amz-tagging", "a=b"), ("x-amz-acl", "public-read"),
                                         ("x-amz-object-lock-legal-hold", "ON"), ("x-amz-meta-a", "b")])
def test_a_presigned_put_takes_no_unsigned_headers(server, signer, s3, bucket, key, name, value):
    request = signer.presign(Request("PUT", path_of(bucket, "new"), body=b"x"), server.endpoint).set(name, value.format(bucket=bucket))
    assert name in assert_error(exchange(server.endpoint, request), 403, "AccessDenied").findtext("HeadersNotSigned")
    assert absent(s3, bucket, "new")


def test_a_signed_hash_is_held_against_the_body(server, signer, s3, bucket):
    for body, status in ((b"promised", 200), (b"something", 400)):
        request = Request("PUT", path_of(bucket, "new"), headers=[("x-amz-content-sha256", sha256(b"promised"))], body=body)
        # The value of the header is what stands in the canonical request of such a URL.
        import harness.sigv4 as sigv4
        moment = now()
        request.set("host", server.endpoint[7:])
        parameters = [("X-Amz-Algorithm", sigv4.ALGORITHM), ("X-Amz-Credential", f"{signer.access_key}/{signer.scope(moment)}"),
                      ("X-Amz-Date", sigv4.amz_date(moment)), ("X-Amz-Expires", "60"), ("X-Amz-SignedHeaders", "host;x-amz-content-sha256")]
        request.query = "&".join(f"{name}={sigv4.uri_encode(value)}" for name, value in parameters)
        text = signer.string_to_sign(request, ["host", "x-amz-content-sha256"], sha256(b"promised"), moment)
        request.query += f"&X-Amz-Signature={signer.mac(moment, text)}"
        request.set("content-length", str(len(body)))
        response = exchange(server.endpoint, request)
        assert response.status == status, str(response)
        if status == 400:
            assert_error(response, 400, "XAmzContentSHA256Mismatch")
    assert body_of(s3, bucket, "new") == b"promised"


def test_a_chunked_body_cannot_continue_a_presigned_signature(server, signer, s3, bucket):
    request = signer.presign(Request("PUT", path_of(bucket, "new"), headers=[("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")], body=b"x"),
                             server.endpoint)
    assert exchange(server.endpoint, request).status in (400, 403)
    assert absent(s3, bucket, "new")


def test_the_old_query_signature_is_not_mistaken_for_anonymity(server, bucket, key):
    request = Request("GET", path_of(bucket, key), "AWSAccessKeyId=x&Signature=y&Expires=9999999999", [("host", "h")])
    assert_error(exchange(server.endpoint, request), 400, "InvalidRequest")


def test_a_url_is_good_for_its_host_alone(server, signer, s3, bucket, key):
    """Neither for a bucket that the host names now, nor for one that the path names instead."""
    other = bucket + "-other"
    s3.create_bucket(Bucket=other)
    s3.put_object(Bucket=other, Key="k", Body=b"other")
    by_path = signer.presign(Request("GET", path_of(bucket, key)), server.endpoint)
    by_host = signer.presign(Request("GET", "/k", headers=[("host", f"{bucket}.{DOMAIN}")]), server.endpoint)
    assert exchange(server.endpoint, by_host).body == b"content"
    for request, path, host in ((by_path, by_path.path, f"{other}.{DOMAIN}"), (by_host, "/k", f"{other}.{DOMAIN}"), (by_host, f"/{other}/k", server.endpoint[7:])):
        bent = Request("GET", path, request.query, [("host", host)])
        assert_error(exchange(server.endpoint, bent), 403, "SignatureDoesNotMatch")


def test_the_host_is_always_signed(server, signer, bucket, key):
    request = signer.presign(Request("GET", path_of(bucket, key), headers=[("x-amz-meta-a", "b")]), server.endpoint, signed=["x-amz-meta-a"])
    assert_error(exchange(server.endpoint, request), 403, "AccessDenied")
    request = signer.presign(Request("GET", path_of(bucket, key)), server.endpoint, signed=["host", "host"])
    assert_error(exchange(server.endpoint, request), 403, "SignatureDoesNotMatch")
    request = signer.presign(Request("GET", path_of(bucket, key)), server.endpoint)
    request.query = request.query.replace("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=")
    assert_error(exchange(server.endpoint, request), 400, "AuthorizationQueryParametersError")


@pytest.mark.parametrize("date, status", [("99991231T235959Z", 403), ("00000101T000000Z", 400), ("20261399T000000Z", 400), ("99999999T999999Z", 400), ("20260101", 400)])
def test_a_date_at_the_end_of_time_is_refused(server, signer, bucket, key, date, status):
    """Date and lifetime together run over nothing."""
    request = signer.presign(Request("GET", path_of(bucket, key)), server.endpoint, expires=604800)
    today = now().strftime("%Y%m%d")
    parts = [f"X-Amz-Date={date}" if part.startswith("X-Amz-Date=") else part.replace(f"%2F{today}%2F", f"%2F{date[:8]}%2F") for part in request.query.split("&")]
    request.query = "&".join(parts)
    assert_error(exchange(server.endpoint, request), status, ("AccessDenied", "AuthorizationQueryParametersError"))


@pytest.mark.parametrize("first, second", [("private", "public-read"), ("public-read", "private")])
def test_what_a_url_says_for_a_header_is_said_once(server, signer, s3, bucket, first, second):
    header = Request("PUT", path_of(bucket, "new"), headers=[("x-amz-acl", first)], body=b"x")
    twice = Request("PUT", path_of(bucket, "new"), body=b"x")
    for request, extra in ((header, [("x-amz-acl", second)]), (twice, [("x-amz-acl", first), ("X-Amz-Acl", second)])):
        assert_error(exchange(server.endpoint, signer.presign(request, server.endpoint, extra=extra)), 400, "InvalidArgument")
    assert absent(s3, bucket, "new")


def test_a_session_s_url_has_its_token_under_its_signature(server, s3, bucket, key):
    given = boto(server.endpoint, keys_of(ALICE), service="sts").get_session_token()["Credentials"]
    signer, token = Signer(given["AccessKeyId"], given["SecretAccessKey"]), given["SessionToken"]

    def url(*extra):
        return signer.presign(Request("GET", path_of(bucket, key)), server.endpoint, extra=extra)
    assert exchange(server.endpoint, url(("X-Amz-Security-Token", token))).status == 200
    assert_error(exchange(server.endpoint, url()), 400, "InvalidToken")
    late = url()
    late.query += "&X-Amz-Security-Token=" + quote(token, safe="")
    assert_error(exchange(server.endpoint, late), 403, "SignatureDoesNotMatch")
    assert_error(exchange(server.endpoint, url().set("x-amz-security-token", token)), 403, "AccessDenied")
