"""SigV2, where a configuration takes it: what boto3 signs by it, what s3cmd does, and every way of bending it."""

import json
import subprocess
import time
from urllib.parse import urlsplit

import pytest
import urllib3

from conftest import keys_of
from harness.clients import boto
from harness.server import ALICE, BOB, ROOT_KEYS, Server
from harness.sigv2 import SignerV2
from harness.wire import Request, exchange, path_of
from support import assert_error, body_of, keys_in, refused


def fetch(method, url, **more):
    return urllib3.request(method, url, retries=False, redirect=False, **more)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server-v2"), config="[gateway]\nsigv2 = true\ndomains = [\"s3.suite.example\"]\n")
    server.start().wait_ready()
    yield server
    assert server.stop() == 0, server.log_tail(15)


@pytest.fixture(scope="module")
def s3(server):
    return boto(server.endpoint, keys_of(ALICE), signature_version="s3")


@pytest.fixture(scope="module")
def signer():
    return SignerV2(*keys_of(ALICE))


def test_boto3_lives_by_version_2_alone(s3, bucket):
    key = "a b/é+%~"
    s3.put_object(Bucket=bucket, Key=key, Body=b"body", ContentType="text/plain", Metadata={"a": "b  c"})
    head = s3.head_object(Bucket=bucket, Key=key)
    assert (head["ContentType"], head["Metadata"]) == ("text/plain", {"a": "b  c"})
    assert s3.get_object(Bucket=bucket, Key=key, Range="bytes=1-2", ResponseContentType="text/x")["Body"].read() == b"od"
    assert keys_in(s3.list_objects(Bucket=bucket, Prefix="a ")) == [key] == keys_in(s3.list_objects_v2(Bucket=bucket, Delimiter="#"))
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    etag = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"part")["ETag"]
    s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    assert body_of(s3, bucket, "copy") == b"body" and body_of(s3, bucket, "parts") == b"part"
    deleted = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": name} for name in (key, "parts", "copy")]})
    assert len(deleted["Deleted"]) == 3
    s3.delete_bucket(Bucket=bucket)


def test_urls_by_version_2(s3, bucket):
    put = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "k", "ContentType": "text/plain", "Metadata": {"a": "b"}}, ExpiresIn=60)
    assert "Signature=" in put and "X-Amz-Signature" not in put
    # The URL carries the headers; a client need not send them, nor may it send others.
    assert fetch("PUT", put, body=b"body", headers={"content-type": "text/html"}).status == 403
    assert fetch("PUT", put, body=b"body", headers={"x-amz-meta-a": "c"}).status == 403
    assert fetch("PUT", put, body=b"body").status == 200
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (head["ContentType"], head["Metadata"]) == ("text/plain", {"a": "b"})
    get = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k", "ResponseContentType": "text/x y"}, ExpiresIn=60)
    answer = fetch("GET", get)
    assert (answer.data, answer.headers["content-type"]) == (b"body", "text/x y")
    for bent in (get.replace("text%2Fx", "text%2Fhtml"), get + "&acl", get + "&versionId=null", get.replace("/k?", "/other?")):
        assert fetch("GET", bent).status == 403, bent
    assert fetch("DELETE", get).status == 403
    past = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"}, ExpiresIn=-10)
    answer = fetch("GET", past)
    assert answer.status == 403 and b"Request has expired" in answer.data


def test_a_url_of_s3cmd(server, s3, bucket, tmp_path):
    s3.put_object(Bucket=bucket, Key="a b+c", Body=b"body")
    config = tmp_path / "s3cfg"
    config.write_text(f"[default]\naccess_key = {ALICE.access_key}\nsecret_key = {ALICE.secret_key}\nhost_base = s3.suite.example\n"
                      "host_bucket = %(bucket)s.s3.suite.example\nsignurl_use_https = False\n")
    signed = subprocess.run(["s3cmd", "-c", config, "signurl", f"s3://{bucket}/a b+c", "+60"], check=True, capture_output=True, text=True)
    url = urlsplit(signed.stdout.strip())
    assert "AWSAccessKeyId" in url.query
    answer = fetch("GET", f"{server.endpoint}{url.path}?{url.query}", headers={"host": url.netloc})
    assert (answer.status, answer.data) == (200, b"body")


def test_a_virtual_host_is_part_of_what_is_signed(server, signer, s3, bucket):
    request = Request("PUT", "/k", headers=[("Host", f"{bucket}.s3.suite.example")], body=b"hosted")
    assert exchange(server.endpoint, signer.sign(request, server.endpoint, resource=f"/{bucket}/k")).status == 200
    assert body_of(s3, bucket, "k") == b"hosted"


def test_what_is_wrong_with_a_signature_is_told_as_s3_does(server, signer, s3, bucket):
    request = lambda: Request("GET", path_of(bucket))
    wrong = SignerV2(ALICE.access_key, ALICE.secret_key[:-1] + "x").sign(request(), server.endpoint)
    root = assert_error(exchange(server.endpoint, wrong), 403, "SignatureDoesNotMatch")
    assert root.findtext("StringToSign") == signer.text(wrong)
    explained = json.loads(server.admin_command("explain", root.findtext("RequestId")).stdout)
    assert explained["caller"] == ALICE.access_key and signer.text(wrong) in explained["why"]
    nobody = SignerV2("AKIDNOBODY0000000000", ALICE.secret_key).sign(request(), server.endpoint)
    assert_error(exchange(server.endpoint, nobody), 403, "InvalidAccessKeyId")
    late = signer.sign(request(), server.endpoint, moment=time.time() - 16 * 60)
    assert_error(exchange(server.endpoint, late), 403, "RequestTimeTooSkewed")
    undated = signer.sign(request(), server.endpoint).without("date")
    assert_error(exchange(server.endpoint, undated), 403, "AccessDenied")
    assert_error(exchange(server.endpoint, signer.sign(request(), server.endpoint).set("Authorization", "AWS HAHAHA")), 400, "InvalidArgument")


def test_no_header_and_no_subresource_slips_in_unsigned(server, signer, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"untouched")
    put = lambda: signer.sign(Request("PUT", path_of(bucket, "k"), body=b"other"), server.endpoint)
    for name, value in [("x-amz-acl", "public-read"), ("x-amz-copy-source", f"/{bucket}/k"), ("x-amz-meta-a", "b"), ("content-type", "text/x")]:
        assert_error(exchange(server.endpoint, put().set(name, value)), 403, "SignatureDoesNotMatch")
    for query in ("acl", "%61cl", "tagging", "versionId=null", "uploadId=x&partNumber=1", "x-amz-acl=public-read", "encryption", "retention"):
        request = put()
        request.query = query
        assert_error(exchange(server.endpoint, request), 403, "SignatureDoesNotMatch")
    request = put()
    request.query = "Expires=1"
    assert exchange(server.endpoint, request).status == 501, "a lone parameter of a signature is foreign to a write"
    assert body_of(s3, bucket, "k") == b"untouched"


def test_a_revoked_key_signs_no_more(server):
    bobs = boto(server.endpoint, keys_of(BOB), signature_version="s3")
    bobs.list_buckets()
    server.admin_command("secret", "revoke", BOB.id)
    with refused("InvalidAccessKeyId", 403):
        bobs.list_buckets()


def test_the_administration_takes_version_4_alone(server):
    root = SignerV2(*ROOT_KEYS)
    answer = exchange(server.admin, root.sign(Request("PUT", "/secret"), server.admin))
    assert answer.status == 400, str(answer)


def test_where_it_is_off_it_is_refused_by_name(new_server):
    server = new_server()
    server.start().wait_ready()
    s3 = boto(server.endpoint, keys_of(ALICE), signature_version="s3")
    with refused("InvalidRequest", 400):
        s3.list_buckets()
    url = s3.generate_presigned_url("get_object", {"Bucket": "bucket", "Key": "k"}, ExpiresIn=60)
    assert fetch("GET", url).status == 400
