"""POST object: forms as boto3 presigns them and browsers send them, and every way of getting them wrong."""

import base64
import datetime
import hashlib
import json

import pytest
import urllib3

from conftest import keys_of, new_name
from harness.clients import boto
from harness.server import ALICE, Server
from harness.sigv4 import Signer, amz_date, now
from harness.wire import Connection, Request, exchange, path_of
from support import absent, assert_error, body_of

BOUNDARY = "----WebKitFormBoundaryABC"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def part(name, value=b"", filename=None):
    value = value if isinstance(value, bytes) else value.encode()
    named = f'; filename="{filename}"' if filename is not None else ""
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + value + b"\r\n"


def form(fields, file=b"body", filename="photo.jpg", behind=()):
    parts = [part(name, value) for name, value in fields.items()] + [part("file", file, filename)]
    return b"".join([*parts, *(part(name, value) for name, value in behind), f"--{BOUNDARY}--\r\n".encode()])


def request_of(bucket, body, **headers):
    request = Request("POST", path_of(bucket), body=body)
    request.set("Host", "localhost").set("Content-Type", CONTENT_TYPE).set("Content-Length", str(len(body)))
    for name, value in headers.items():
        request.set(name.replace("_", "-"), value)
    return request


@pytest.fixture
def post(server, bucket):
    def post(fields, file=b"body", **more):
        return exchange(server.endpoint, request_of(bucket, form(fields, file, **more)))
    return post


@pytest.fixture(scope="session")
def s3v4(server):
    """boto3 signs forms by Version 2 unless told otherwise."""
    return boto(server.endpoint, keys_of(ALICE), signature_version="s3v4")


@pytest.fixture
def presigned(s3v4, bucket):
    """Fields that boto3 makes for a key, with these conditions besides."""
    def presigned(key, fields=None, conditions=(), expires=60):
        conditions = [*({name: value} for name, value in (fields or {}).items()), *conditions]
        return s3v4.generate_presigned_post(bucket, key, Fields=fields, Conditions=conditions, ExpiresIn=expires)["fields"]
    return presigned


def test_a_form_of_boto3_through_an_http_library(s3v4, s3, bucket):
    made = s3v4.generate_presigned_post(bucket, "in/${filename}", Fields={"Content-Type": "text/x", "x-amz-meta-a": "b"},
                                        Conditions=[{"Content-Type": "text/x"}, ["starts-with", "$x-amz-meta-a", ""], ["content-length-range", 1, 100]])
    answer = urllib3.request("POST", made["url"], fields={**made["fields"], "file": ("é b.txt", b"from a form")}, retries=False)
    assert answer.status == 204 and answer.data == b"", answer.data
    stored = s3.get_object(Bucket=bucket, Key="in/é b.txt")
    assert (stored["Body"].read(), stored["ContentType"], stored["Metadata"]) == (b"from a form", "text/x", {"a": "b"})
    assert answer.headers["etag"] == stored["ETag"] and answer.headers["location"].endswith(f"/{bucket}/in/%C3%A9%20b.txt")


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 5_000_000])
def test_every_size_of_file(post, presigned, s3, bucket, size):
    file = (b"\r\n--" + BOUNDARY[:-1].encode() + b"\r\n") * (size // 30 + 1)
    assert post(presigned("k"), file[:size]).status == 204
    assert body_of(s3, bucket, "k") == file[:size]


def test_a_form_that_comes_byte_by_byte(server, presigned, s3, bucket):
    body = form(presigned("k"), b"slowly")
    with Connection(server.endpoint) as connection:
        connection.send(request_of(bucket, b"").set("Content-Length", str(len(body))).head_bytes())
        for at in range(0, len(body), 7):
            connection.send(body[at:at + 7])
        assert connection.read_response().status == 204
    assert body_of(s3, bucket, "k") == b"slowly"


def test_a_form_without_a_length(server, presigned, s3, bucket):
    body = form(presigned("k"), b"in chunks")
    chunked = b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in (body[:100], body[100:])) + b"0\r\n\r\n"
    request = request_of(bucket, chunked).without("content-length").set("Transfer-Encoding", "chunked")
    assert exchange(server.endpoint, request).status == 204
    assert body_of(s3, bucket, "k") == b"in chunks"


def test_what_the_browser_is_answered(post, presigned, bucket):
    for given, status in [("200", 200), ("201", 201), ("204", 204), ("404", 204)]:
        answer = post(presigned("k", {"success_action_status": given}))
        assert answer.status == status
        if status == 201:
            assert answer.xml.tag == "PostResponse"
            told = {child.tag: child.text for child in answer.xml}
            assert told == {"Location": answer.header("location"), "Bucket": bucket, "Key": "k", "ETag": answer.header("etag")}
        else:
            assert answer.body == b""
    answer = post(presigned("a/k", {"success_action_redirect": "http://localhost/done?x=1"}))
    etag = answer.header("etag").strip('"')
    assert (answer.status, answer.header("location")) == (303, f"http://localhost/done?x=1&bucket={bucket}&key=a%2Fk&etag=%22{etag}%22")
    answer = post(presigned("k", {"success_action_redirect": "javascript:alert(1)"}))
    assert answer.status == 204 and "javascript" not in answer.header("location")


def test_checksums_of_a_form_are_checked_and_kept(post, presigned, s3, bucket):
    fields = presigned("k", {"x-amz-checksum-algorithm": "SHA256"})
    good = "Iw2DWN2YVkS9mtLK1bdmcLGE4qGXx/ilYbeLHlGgCfE="
    assert_error(post({**fields, "x-amz-checksum-sha256": good}, b"other"), 400, "BadDigest")
    assert_error(post({**fields, "x-amz-checksum-sha256": "bad"}), 400, "BadDigest")
    assert absent(s3, bucket, "k")
    right = base64.b64encode(hashlib.sha256(b"body").digest()).decode()
    answer = post({**fields, "x-amz-checksum-sha256": right})
    assert (answer.status, answer.header("x-amz-checksum-sha256")) == (204, right)
    assert s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")["ChecksumSHA256"] == right


def policy_of(fields):
    return json.loads(base64.b64decode(fields["policy"]))


def test_a_form_goes_no_further_than_its_policy(post, presigned, s3, bucket):
    fields = presigned("in/k")
    sign_of_another_policy = {**fields, "policy": base64.b64encode(json.dumps({**policy_of(fields), "a": 1}).encode()).decode()}
    for bent, status, code in [
        ({**fields, "key": "in/other"}, 403, "AccessDenied"),
        ({**fields, "acl": "private"}, 403, "AccessDenied"),
        ({**fields, "x-amz-meta-a": "b"}, 403, "AccessDenied"),
        ({**fields, "Content-Type": "text/html"}, 403, "AccessDenied"),
        (sign_of_another_policy, 403, "SignatureDoesNotMatch"),
        ({**fields, "x-amz-signature": "0" * 64}, 403, "SignatureDoesNotMatch"),
        ({**fields, "x-amz-credential": fields["x-amz-credential"].replace("us-east-1", "eu-west-1")}, 400, "InvalidArgument"),
        ({**fields, "x-amz-credential": fields["x-amz-credential"].replace(ALICE.access_key, "AKIDNOBODY0000000000")}, 403, "InvalidAccessKeyId"),
        ({name: value for name, value in fields.items() if name != "policy"}, 400, "InvalidArgument"),
        ({name: value for name, value in fields.items() if name != "x-amz-signature"}, 400, "InvalidArgument"),
        ({name: value for name, value in fields.items() if name != "key"}, 400, "InvalidArgument"),
        ({"key": "in/k"}, 403, "AccessDenied"),
        ({**fields, "AWSAccessKeyId": ALICE.access_key, "signature": "AAAA"}, 400, "InvalidArgument"),
    ]:
        assert_error(post(bent), status, code)
    assert_error(post(presigned("in/k", expires=-10)), 403, "AccessDenied")
    assert_error(post(presigned("in/k", conditions=[["content-length-range", 5, 9]])), 400, "EntityTooSmall")
    assert_error(post(presigned("in/k", conditions=[["content-length-range", 0, 3]])), 400, "EntityTooLarge")
    assert absent(s3, bucket, "in/k")
    assert post({**fields, "x-ignore-a": "b"}).status == 204


def test_a_form_is_good_for_its_bucket_alone(server, presigned, s3, bucket):
    other = bucket + "-other"
    s3.create_bucket(Bucket=other)
    fields = presigned("k")
    for named in ({}, {"bucket": bucket}):
        assert_error(exchange(server.endpoint, request_of(other, form({**fields, **named}))), 403, "AccessDenied")
    assert absent(s3, other, "k")


def test_what_is_behind_the_file_counts_for_nothing(post, presigned, s3, bucket):
    fields = presigned("k")
    key = fields.pop("key")
    assert_error(post(fields, behind=[("key", key)]), 400, "InvalidArgument")
    assert post({**fields, "key": key}, behind=[("acl", "public-read"), ("submit", "Upload"), ("file", b"another")]).status == 204
    assert body_of(s3, bucket, "k") == b"body"


BROKEN = {
    "not a form": (b"body", 400),
    "empty": (b"", 400),
    "no file": (part("key", "k") + f"--{BOUNDARY}--\r\n".encode(), 400),
    "no name": (f"--{BOUNDARY}\r\nContent-Disposition: form-data\r\n\r\nx\r\n".encode() + form({"key": "k"}), 400),
    "a name twice": (part("key", "k") + form({"KEY": "k"}), 400),
    "bytes that are no text": (part("key", b"\xff") + form({}), 400),
    "a large field": (form({"key": "k", "x-ignore-a": "v" * 70_000}), 400),
    "many fields": (b"".join(part(f"f{number}", "v") for number in range(500)) + form({"key": "k"}), 400),
    "a nul": (form({"key": "k\0"}), 400),
    "a long key": (form({"key": "k" * 1025}), 400),
}


@pytest.mark.parametrize("body, status", BROKEN.values(), ids=BROKEN)
def test_a_broken_form_is_refused(server, s3, bucket, body, status):
    answer = exchange(server.endpoint, request_of(bucket, body))
    assert answer.status == status and answer.code, str(answer)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_a_form_without_an_end_stores_nothing(server, presigned, s3, bucket):
    body = form(presigned("k"), b"body" * 100_000)
    for length in (len(body) - 10, len(body) - 4 - len(BOUNDARY) - 2, len(body) // 2):
        assert_error(exchange(server.endpoint, request_of(bucket, body[:length])), 400, "MalformedPOSTRequest")
    assert absent(s3, bucket, "k")


def test_what_is_no_form_is_told_so(server, signer, bucket):
    for content_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        assert_error(exchange(server.endpoint, request_of(bucket, b"a=b", content_type=content_type)), 412, "PreconditionFailed")
    signed = signer.sign(Request("POST", path_of(bucket), headers=[("Content-Type", CONTENT_TYPE)], body=form({"key": "k"})), server.endpoint)
    assert_error(exchange(server.endpoint, signed), 400, "InvalidArgument")


def test_a_form_that_asks_for_what_is_not_built_is_refused(post, presigned, s3, bucket):
    for name, value in [("x-amz-copy-source", f"/{bucket}/x"), ("x-amz-write-offset-bytes", "0"), ("if-none-match", "*"), ("x-amz-server-side-encryption", "bogus"), ("acl", "bogus")]:
        answer = post(presigned("k", {name: value}))
        assert answer.status in (400, 501), f"{name}: {answer}"
    answer = post({**presigned("k", {"acl": "private"})})
    assert answer.status == 204


def test_a_header_of_the_request_is_no_field(server, presigned, s3, bucket):
    body = form(presigned("k"))
    for name in ("x-amz-meta-a", "x-amz-acl", "x-amz-tagging"):
        assert_error(exchange(server.endpoint, request_of(bucket, body, **{name.replace("-", "_"): "private"})), 501, "NotImplemented")
    assert absent(s3, bucket, "k")


def test_a_client_that_asks_first_is_told_to_go_on(server, presigned, s3, bucket):
    body = form(presigned("k"), b"after 100")
    with Connection(server.endpoint) as connection:
        connection.send(request_of(bucket, body, expect="100-continue").head_bytes())
        assert connection.read_head().startswith(b"HTTP/1.1 100")
        connection.send(body)
        assert connection.read_response().status == 204
    assert body_of(s3, bucket, "k") == b"after 100"


@pytest.fixture(scope="module")
def server_v2(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server-forms"), config="[gateway]\nsigv2 = true\n")
    server.start().wait_ready()
    yield server
    assert server.stop() == 0, server.log_tail(15)


def explained(server, error):
    return json.loads(server.admin_command("explain", error.findtext("RequestId")).stdout)["why"]


def test_an_administrator_learns_what_policy_came_with_a_signature_that_does_not_match(server, post, presigned):
    fields = presigned("in/k")
    root = assert_error(post({**fields, "x-amz-signature": "0" * 64}), 403, "SignatureDoesNotMatch")
    assert fields["policy"] in explained(server, root) and ALICE.secret_key not in explained(server, root)


def test_a_form_by_version_2_where_it_is_taken(server_v2, server, bucket):
    s3 = boto(server_v2.endpoint, keys_of(ALICE), signature_version="s3")
    s3.create_bucket(Bucket=bucket)
    fields = s3.generate_presigned_post(bucket, "k", ExpiresIn=60)["fields"]
    assert "AWSAccessKeyId" in fields
    assert exchange(server_v2.endpoint, request_of(bucket, form(fields))).status == 204
    assert body_of(s3, bucket, "k") == b"body"
    bent = {**fields, "signature": fields["signature"][::-1]}
    root = assert_error(exchange(server_v2.endpoint, request_of(bucket, form(bent))), 403, "SignatureDoesNotMatch")
    assert fields["policy"] in explained(server_v2, root)
    tokened = base64.b64encode(json.dumps({**policy_of(fields), "x-amz-security-token": "a canary"}).encode()).decode()
    escaped = json.dumps({**policy_of(fields), "token": "X"}).replace('"token"', '"x-amz-security-tok\\u0065n"').encode()
    for policy in (tokened, tokened[:20] + "\n" + tokened[20:], base64.b64encode(escaped).decode(), "no base64"):
        root = assert_error(exchange(server_v2.endpoint, request_of(bucket, form({**fields, "policy": policy}))), 403, "SignatureDoesNotMatch")
        assert root.findtext("StringToSign") is None and policy not in explained(server_v2, root)
    assert_error(exchange(server.endpoint, request_of(bucket, form(fields))), 400, "InvalidRequest")


def test_a_large_file_needs_no_room(server, presigned, s3, bucket):
    before, size = server.rss(), 192 << 20
    head, tail = form(presigned("large"), b"@").split(b"@")
    with Connection(server.endpoint, timeout=120) as connection:
        connection.send(request_of(bucket, b"").set("Content-Length", str(len(head) + size + len(tail))).head_bytes() + head)
        piece = b"\r\n--" * (1 << 18)
        for _ in range(size // len(piece)):
            connection.send(piece)
        connection.send(tail)
        assert connection.read_response().status == 204
    assert s3.head_object(Bucket=bucket, Key="large")["ContentLength"] == size
    assert server.rss() - before < 96 << 20
    s3.delete_object(Bucket=bucket, Key="large")


# --- by whom a form is signed ---


def signed_form(signer, bucket, key, *conditions, fields=None, text=None, moment=None, token=None, expires=60):
    """As boto3's, but every step open: `text` is another policy than the one made here."""
    moment = moment or now()
    scope = {"x-amz-algorithm": "AWS4-HMAC-SHA256", "x-amz-credential": f"{signer.access_key}/{signer.scope(moment)}", "x-amz-date": amz_date(moment)}
    given = {**scope, **(fields or {}), **({"x-amz-security-token": token} if token else {})}
    until = (now() + datetime.timedelta(seconds=expires)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    document = {"expiration": until, "conditions": [{"bucket": bucket}, {"key": key}, *({name: value} for name, value in given.items()), *conditions]}
    policy = base64.b64encode((text(document) if text else json.dumps(document)).encode()).decode()
    return {"key": key, **given, "policy": policy, "x-amz-signature": signer.mac(moment, policy)}


@pytest.fixture
def somebody(server):
    """A user of Alice's: how to give them policies, a signer of theirs, and what ends their key."""
    iam, name = boto(server.endpoint, keys_of(ALICE), service="iam"), new_name("user")
    iam.create_user(UserName=name)
    pair = iam.create_access_key(UserName=name)["AccessKey"]

    def may(*statements):
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))
    return may, Signer(pair["AccessKeyId"], pair["SecretAccessKey"]), lambda: iam.update_access_key(
        UserName=name, AccessKeyId=pair["AccessKeyId"], Status="Inactive")


def test_a_form_may_what_its_signer_may_now(post, somebody, s3, bucket):
    may, signer, disable = somebody
    fields = signed_form(signer, bucket, "k")
    assert_error(post(fields), 403, "AccessDenied")
    may({"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/other"})
    assert_error(post(fields), 403, "AccessDenied")
    may({"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/k"})
    assert post(fields).status == 204
    assert_error(post(signed_form(signer, bucket, "k", fields={"tagging": "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"})),
                 403, "AccessDenied")
    disable()
    assert_error(post(fields), 403, "InvalidAccessKeyId")


def test_a_form_s_acl_is_one_that_its_signer_may_set(post, somebody, bucket):
    may, signer, _ = somebody
    may({"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}, {"Effect": "Deny", "Action": "s3:PutObjectAcl", "Resource": "*"})
    assert_error(post(signed_form(signer, bucket, "k", fields={"acl": "public-read"})), 403, "AccessDenied")


def test_a_session_signs_a_form_by_its_token_and_names_it_in_the_policy(server, post, s3, bucket):
    given = boto(server.endpoint, keys_of(ALICE), service="sts").get_session_token()["Credentials"]
    signer, token = Signer(given["AccessKeyId"], given["SecretAccessKey"]), given["SessionToken"]
    assert_error(post(signed_form(signer, bucket, "k")), 400, "InvalidToken")
    assert_error(post({**signed_form(signer, bucket, "k"), "x-amz-security-token": token}), 403, "AccessDenied")
    assert_error(post(signed_form(signer, bucket, "k", token=token[:-4] + "AAAA")), 400, "InvalidToken")
    assert absent(s3, bucket, "k")
    assert post(signed_form(signer, bucket, "k", token=token)).status == 204


@pytest.mark.parametrize("text", [
    lambda policy: json.dumps(policy).replace('"expiration"', '"expiration": "2000-01-01T00:00:00Z", "expiration"', 1),
    lambda policy: json.dumps(policy).replace('"conditions"', '"conditions": [{"key": "only"}], "conditions"', 1),
    lambda policy: json.dumps(policy).replace('{"key"', '{"key": "only", "key"', 1),
], ids=["expiration", "conditions", "condition"])
def test_a_policy_that_says_something_twice_is_none(post, signer, s3, bucket, text):
    """Whoever made it may have meant the other one."""
    assert_error(post(signed_form(signer, bucket, "k", text=text)), 400, "InvalidPolicyDocument")
    assert absent(s3, bucket, "k")


@pytest.mark.parametrize("condition", [["eq", "$key"], ["ends-with", "$key", "k"], ["eq", "key", "k"], {"key": 1}, {}, "key", ["content-length-range", -1, 9],
                                       ["content-length-range", "1e3", 9], ["content-length-range", 1.5, 9]], ids=json.dumps)
def test_a_condition_that_is_none_makes_no_policy(post, signer, s3, bucket, condition):
    assert_error(post(signed_form(signer, bucket, "k", condition)), 400, "InvalidPolicyDocument")
    assert absent(s3, bucket, "k")


def test_a_policy_must_name_its_bucket(post, signer, bucket):
    def without(policy):
        return json.dumps({**policy, "conditions": policy["conditions"][1:]})
    fields = signed_form(signer, bucket, "k", text=without)
    for more in ({}, {"bucket": bucket}):
        assert_error(post({**fields, **more}), 403, "AccessDenied")


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "b" * 3000])
def test_a_form_needs_a_boundary(server, presigned, bucket, content_type):
    request = request_of(bucket, form(presigned("k"))).set("Content-Type", content_type)
    assert_error(exchange(server.endpoint, request), 400, "MalformedPOSTRequest")


@pytest.mark.parametrize("filename", ["../../x", "..\\..\\x", "/etc/x", "a/../x"])
def test_of_a_file_s_name_nothing_but_the_name_counts(post, signer, s3, bucket, filename):
    fields = {**signed_form(signer, bucket, "in/${filename}", text=lambda policy: json.dumps(policy).replace('{"key": "in/${filename}"}', '["starts-with", "$key", "in/"]'))}
    assert post(fields, filename=filename).status == 204
    assert body_of(s3, bucket, "in/x") == b"body"
