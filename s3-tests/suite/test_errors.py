"""Errors exact to the element, and nothing of S3 accepted and ignored."""

import pytest

from harness.wire import Request, exchange, path_of
from support import assert_error, body_of


def test_an_error_body_has_the_elements_of_s3_in_their_order(send, bucket):
    response = send(Request("GET", path_of(bucket, "absent key")))
    root = assert_error(response, 404, "NoSuchKey")
    assert [element.tag for element in root] == ["Code", "Message", "Key", "Resource", "RequestId", "HostId"] or \
           [element.tag for element in root] == ["Code", "Message", "Key", "RequestId", "HostId"]
    assert root.findtext("Key") == "absent key"
    assert root.findtext("HostId") == response.header("x-amz-id-2")
    assert root.findtext("Message") == "The specified key does not exist."


def test_an_error_names_the_bucket(send):
    root = assert_error(send(Request("GET", "/there-is-no-such-bucket/k")), 404, "NoSuchBucket")
    assert root.findtext("BucketName") == "there-is-no-such-bucket"


def test_a_signature_error_shows_what_we_signed_and_no_secret(server, signer, bucket):
    request = signer.but(secret_key="wrong").sign(Request("GET", path_of(bucket)), server.endpoint)
    response = exchange(server.endpoint, request)
    root = assert_error(response, 403, "SignatureDoesNotMatch")
    assert root.findtext("AWSAccessKeyId") == signer.access_key
    assert root.findtext("StringToSign").startswith("AWS4-HMAC-SHA256\n")
    assert signer.secret_key.encode() not in response.body


def test_the_answer_to_head_has_no_body(send, bucket):
    for path in (path_of(bucket, "absent"), "/there-is-no-such-bucket"):
        response = send(Request("HEAD", path))
        assert response.status == 404 and response.header("x-amz-request-id")


def test_text_of_the_client_is_escaped(send, bucket):
    response = send(Request("GET", path_of(bucket, "<script>&\"'")))
    assert assert_error(response, 404, "NoSuchKey").findtext("Key") == "<script>&\"'"
    # What XML 1.0 cannot hold goes out as a reference, as from AWS; never raw.
    response = send(Request("GET", path_of(bucket, "a\x01b")))
    assert response.status == 404 and b"\x01" not in response.body


@pytest.mark.parametrize("name, value", [
    ("x-amz-server-side-encryption", "aws:kms:dsse"),
    ("x-amz-object-lock-mode", "COMPLIANCE"), ("x-amz-object-lock-legal-hold", "ON"),
    ("x-amz-storage-class", "GLACIER"), ("x-amz-object-annotation-directive", "COPY"),
])
def test_a_header_that_asks_for_what_is_not_built_is_not_ignored(send, s3, bucket, name, value):
    response = send(Request("PUT", path_of(bucket, "k"), headers=[(name, value)], body=b"x"))
    assert response.status >= 400, f"{name} was accepted: is it obeyed? {response}"
    assert (response.status, response.code) in ((501, "NotImplemented"), (400, "InvalidStorageClass"), (400, "InvalidArgument"),
                                                (400, "InvalidRequest")), str(response)


@pytest.mark.parametrize("query", ["acl&policy", "uploads&uploadId=x", "versioning&tagging", "acl&acl"])
def test_one_request_asks_for_one_thing(send, bucket, query):
    response = send(Request("GET", path_of(bucket), query))
    assert response.status == 400 and response.code in ("InvalidRequest", "InvalidArgument"), str(response)


@pytest.mark.parametrize("method, path", [("POST", "/"), ("PUT", "/"), ("DELETE", "/"), ("PATCH", "/{b}/k"), ("get", "/{b}/k"), ("PROPFIND", "/{b}"), ("TRACE", "/{b}/k"), ("CONNECT", "/{b}")])
def test_a_method_that_s3_does_not_have_is_refused(server, signer, bucket, method, path):
    request = Request(method, path.format(b=bucket), headers=[("content-length", "0")])
    response = exchange(server.endpoint, signer.sign(request, server.endpoint))
    assert response.status in (400, 403, 405, 501), str(response)


@pytest.mark.parametrize("headers", [[("x-http-method-override", "DELETE")], [("x-method-override", "DELETE")]])
def test_a_method_cannot_be_overridden(send, s3, bucket, headers):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert send(Request("GET", path_of(bucket, "k"), headers=headers)).body == b"x"
    assert send(Request("GET", path_of(bucket, "k"), "_method=DELETE")).body == b"x"
    assert body_of(s3, bucket, "k") == b"x"


# --- XML of the client ---

BROKEN_XML = {
    "empty": b"",
    "not xml": b"{}",
    "cut off": b"<Delete><Object><Key>k</Key></Object>",
    "another root": b"<Other><Object><Key>k</Key></Object></Other>",
    "a doctype": b"<!DOCTYPE d><Delete><Object><Key>k</Key></Object></Delete>",
    "an external entity": b'<!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&e;</Key></Object></Delete>',
    "a billion laughs": b'<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "' + b"&a;" * 1000 + b'">]><Delete><Object><Key>&b;</Key></Object></Delete>',
    "an unknown entity": b"<Delete><Object><Key>&nbsp;</Key></Object></Delete>",
    "no objects": b"<Delete></Delete>",
    "an object without a key": b"<Delete><Object></Object></Delete>",
    "two keys": b"<Delete><Object><Key>k</Key><Key>l</Key></Object></Delete>",
    "a misspelt element": b"<Delete><Object><Key>k</Key><VersionID>null</VersionID></Object></Delete>",
    "100,000 levels": b"<Delete>" + b"<a>" * 100_000,
    "100,000 attributes": b"<Delete " + b" ".join(b'a%d="1"' % n for n in range(100_000)) + b"></Delete>",
    "utf-16": '<Delete><Object><Key>k</Key></Object></Delete>'.encode("utf-16"),
    "bytes that are no text": b"<Delete><Object><Key>\xff\xfe</Key></Object></Delete>",
    "garbage behind": b"<Delete><Object><Key>k</Key></Object></Delete><more/>",
    "a quiet that is no boolean": b"<Delete><Quiet>perhaps</Quiet><Object><Key>k</Key></Object></Delete>",
}


@pytest.mark.parametrize("what", BROKEN_XML)
def test_broken_xml_is_refused_and_does_nothing(server, send, s3, bucket, what):
    from harness.sigv4 import content_md5
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    before = server.rss()
    body = BROKEN_XML[what]
    response = send(Request("POST", path_of(bucket), "delete", headers=[("content-md5", content_md5(body))], body=body))
    assert response.status == 400 and response.code in ("MalformedXML", "MissingRequestBodyError", "MaxMessageLengthExceeded"), str(response)
    assert body_of(s3, bucket, "k") == b"x"
    assert server.rss() < before + (32 << 20)


def test_a_body_larger_than_any_request_needs_is_refused(send, bucket):
    from harness.sigv4 import content_md5
    body = b"<Delete><Object><Key>" + b"k" * (3 << 20) + b"</Key></Object></Delete>"
    response = send(Request("POST", path_of(bucket), "delete", headers=[("content-md5", content_md5(body))], body=body))
    assert response.status == 400 and response.code in ("MaxMessageLengthExceeded", "MalformedXML"), str(response)


def test_a_compressed_body_is_not_unpacked(send, s3, bucket):
    import gzip
    from harness.sigv4 import content_md5
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    body = gzip.compress(b"<Delete><Object><Key>k</Key></Object></Delete>")
    headers = [("content-md5", content_md5(body)), ("content-encoding", "gzip")]
    assert_error(send(Request("POST", path_of(bucket), "delete", headers=headers, body=body)), 400, "MalformedXML")
    assert body_of(s3, bucket, "k") == b"x"


# --- metadata ---

@pytest.mark.parametrize("headers, code", [
    ([("x-amz-meta-large", "x" * 2100)], "MetadataTooLarge"),
    ([(f"x-amz-meta-{n}", "x" * 100) for n in range(21)], "MetadataTooLarge"),
])
def test_metadata_over_2_kib_is_refused(send, bucket, headers, code):
    assert_error(send(Request("PUT", path_of(bucket, "k"), headers=headers, body=b"x")), 400, code)


def test_metadata_just_under_2_kib_is_kept(send, s3, bucket):
    value = "x" * (2048 - len("large"))
    assert send(Request("PUT", path_of(bucket, "k"), headers=[("x-amz-meta-large", value)], body=b"x")).status == 200
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {"large": value}


@pytest.mark.parametrize("length, status, code", [(str((5 << 30) + 1), 400, "EntityTooLarge"), (str(1 << 62), 400, "EntityTooLarge")])
def test_an_object_larger_than_5_gib_in_one_put_is_refused_before_its_body(server, signer, bucket, length, status, code):
    request = signer.sign(Request("PUT", path_of(bucket, "k")), server.endpoint, payload_hash="UNSIGNED-PAYLOAD")
    request.set("content-length", length)
    assert_error(exchange(server.endpoint, request), status, code)
