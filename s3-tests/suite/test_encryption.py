"""Server-side encryption: with the store's key, with named keys, with a client's own; what lies on the disks, what is told, what is refused."""

import base64
import hashlib
import json
import os
import re
import subprocess

import pytest
import urllib3
from botocore.exceptions import ClientError

from conftest import keys_of, new_name
from harness.clients import boto, environment
from harness.server import ALICE, BOB, ROOT_KEYS, Server
from harness.wire import Request, exchange, path_of
from processes import wait_until
from support import assert_error, body_of, refused

KIB, MIB = 1 << 10, 1 << 20
SEGMENT = 64 * KIB
KEY, OTHER_KEY = bytes(range(32)), bytes(range(100, 132))


def customer(key=KEY):
    return {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key}


def spelt(key=KEY):
    """For the calls that boto3 does not encode keys for."""
    return {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": base64.b64encode(key).decode(),
            "SSECustomerKeyMD5": base64.b64encode(hashlib.md5(key).digest()).decode()}


def of_source(key=KEY):
    return {f"CopySource{name}": value for name, value in customer(key).items()}


STORE = {"ServerSideEncryption": "AES256"}
KMS = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "testkey-1"}
# How it is written, and how it is read.
MODES = {"store": (STORE, {}), "kms": (KMS, {}), "customer": (customer(), customer())}


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    """A server with two named keys."""
    server = Server(tmp_path_factory.mktemp("keyed"), config='[kms]\nkeys = ["testkey-1", "testkey-2"]\n')
    server.start().wait_ready()
    yield server
    assert server.alive(), server.log_tail(15)
    assert server.stop() == 0


@pytest.fixture(scope="module")
def s3(keyed):
    return boto(keyed.endpoint, keys_of(ALICE))


@pytest.fixture
def bucket(s3):
    name = new_name()
    s3.create_bucket(Bucket=name)
    return name


def encrypt_by_default(s3, bucket, algorithm, key=None, bucket_key=False):
    by_default = {"SSEAlgorithm": algorithm, **({"KMSMasterKeyID": key} if key else {})}
    rules = [{"ApplyServerSideEncryptionByDefault": by_default, "BucketKeyEnabled": bucket_key}]
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules})


def put_parts(s3, bucket, key, parts, creating, sending):
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key, **creating)["UploadId"]
    done = []
    for number, part in enumerate(parts, 1):
        etag = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=part, **sending)["ETag"]
        done.append({"PartNumber": number, "ETag": etag})
    return s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": done}, **sending)


def files_with(folder, needles):
    """The needles that some file below the folder holds."""
    found = set()
    for parent, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(parent, name), "rb") as file:
                data = file.read()
            found |= {needle for needle in needles if needle in data}
    return found


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 200 * KIB, 3 * MIB])
def test_what_was_encrypted_reads_as_it_was(s3, bucket, mode, size):
    writing, reading = MODES[mode]
    body = os.urandom(size)
    put = s3.put_object(Bucket=bucket, Key="k", Body=body, **writing)
    got = s3.get_object(Bucket=bucket, Key="k", **reading)
    assert got["Body"].read() == body
    head = s3.head_object(Bucket=bucket, Key="k", **reading)
    assert (head["ContentLength"], head["ETag"]) == (size, put["ETag"])
    assert [entry["Size"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [size]
    for answer in (put, got, head):
        if mode == "customer":
            assert answer["SSECustomerAlgorithm"] == "AES256"
            assert answer["SSECustomerKeyMD5"] == base64.b64encode(hashlib.md5(KEY).digest()).decode()
            assert "ServerSideEncryption" not in answer
        else:
            assert {name: answer.get(name) for name in writing} == writing


def test_the_disks_hold_no_byte_of_what_is_encrypted_and_no_key(new_server):
    """Small objects ride in the log, larger ones in container files; the same bytes unencrypted are found, so the search can find."""
    server = new_server(config='[kms]\nkeys = ["testkey-1"]\n')
    server.start().wait_ready()
    s3 = boto(server.endpoint, keys_of(ALICE))
    s3.create_bucket(Bucket="bucket")
    sizes = {"small": 1000, "large": 300_000}

    def text(word, size):
        return (f"the text of {word} that can be found again; ".encode() * (size // 20))[:size]

    found, hidden = set(), set()
    for name, size in sizes.items():
        s3.put_object(Bucket="bucket", Key=f"plain-{name}", Body=text(f"plain-{name}", size))
        found.add(text(f"plain-{name}", 40))
        for mode, (writing, _) in MODES.items():
            s3.put_object(Bucket="bucket", Key=f"{mode}-{name}", Body=text(f"{mode}-{name}", size), **writing)
            hidden.add(text(f"{mode}-{name}", 40))
    for mode, (writing, reading) in MODES.items():
        put_parts(s3, "bucket", f"{mode}-parts", [text(f"{mode}-parts", 5 * MIB)], writing, reading)
        hidden.add(text(f"{mode}-parts", 40))
    # From a client's key to the store's: through the gateway, and not through any disk.
    s3.copy_object(Bucket="bucket", Key="copy", CopySource="bucket/customer-large", **of_source(), **STORE)
    assert body_of(s3, "bucket", "copy") == text("customer-large", sizes["large"])
    assert server.stop() == 0
    keys = {KEY, base64.b64encode(KEY), hashlib.md5(KEY).digest(), base64.b64encode(hashlib.md5(KEY).digest())}
    assert files_with(server.data, found | hidden | keys) == found
    assert not files_with(server.log.parent, {base64.b64encode(KEY), KEY.hex().encode()}), "a log tells a client's key"
    # And all of it is there after the restart.
    server.start().wait_ready()
    for mode, (_, reading) in MODES.items():
        for name, size in sizes.items():
            assert body_of(s3, "bucket", f"{mode}-{name}", **reading) == text(f"{mode}-{name}", size)
        assert body_of(s3, "bucket", f"{mode}-parts", **reading) == text(f"{mode}-parts", 5 * MIB)


def test_without_the_key_that_seals_secrets_nothing_opens(new_server):
    server = new_server(config='[kms]\nkeys = ["testkey-1"]\n')
    server.start().wait_ready()
    s3 = boto(server.endpoint, keys_of(ALICE))
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="k", Body=b"x", **STORE)
    assert server.stop() == 0
    (server.data / "seal.key").write_bytes(os.urandom(32).hex().encode())
    server.start()
    wait_until(lambda: not server.alive(), 30, "the server to refuse")
    assert "panicked" not in server.log_tail()


@pytest.mark.parametrize("mode", MODES)
def test_ranges_are_read_over_the_borders_of_segments_and_parts(s3, bucket, mode):
    writing, reading = MODES[mode]
    parts = [os.urandom(5 * MIB + 1), os.urandom(5 * MIB + SEGMENT), os.urandom(7)]
    body = b"".join(parts)
    put_parts(s3, bucket, "k", parts, writing, reading)
    assert body_of(s3, bucket, "k", **reading) == body
    edges = [0, SEGMENT, len(parts[0]), len(parts[0]) + SEGMENT, len(parts[0] + parts[1]), len(body)]
    ranges = {(max(a + x, 0), min(b + y, len(body))) for a in edges for b in edges for x in (-1, 0, 1) for y in (-1, 0, 1)}
    for first, end in sorted(span for span in ranges if span[0] < span[1])[::4]:
        got = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={first}-{end - 1}", **reading)
        assert got["ContentRange"] == f"bytes {first}-{end - 1}/{len(body)}"
        assert got["Body"].read() == body[first:end], (first, end)
    assert body_of(s3, bucket, "k", Range="bytes=-9", **reading) == body[-9:]
    with refused("InvalidRange", 416):
        s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={len(body)}-", **reading)
    for number, part in enumerate(parts, 1):
        got = s3.get_object(Bucket=bucket, Key="k", PartNumber=number, **reading)
        assert (got["Body"].read(), got["PartsCount"]) == (part, 3)


def test_a_part_that_is_sent_again_has_its_tag_and_reads_as_it_was_sent_last(s3, bucket):
    for mode, (writing, reading) in MODES.items():
        upload = s3.create_multipart_upload(Bucket=bucket, Key=mode, **writing)["UploadId"]

        def send(body, upload=upload, mode=mode, reading=reading):
            return s3.upload_part(Bucket=bucket, Key=mode, UploadId=upload, PartNumber=1, Body=body, **reading)["ETag"]

        first, other = send(b"one"), send(b"two")
        assert send(b"one") == first != other
        done = {"Parts": [{"PartNumber": 1, "ETag": first}]}
        s3.complete_multipart_upload(Bucket=bucket, Key=mode, UploadId=upload, MultipartUpload=done, **reading)
        assert body_of(s3, bucket, mode, **reading) == b"one"


def test_an_entity_tag_is_the_md5_only_where_that_gives_nothing_away(s3, bucket):
    md5 = f'"{hashlib.md5(b"body").hexdigest()}"'
    tags = {mode: s3.put_object(Bucket=bucket, Key=mode, Body=b"body", **writing)["ETag"] for mode, (writing, _) in MODES.items()}
    assert tags["store"] == md5 and md5 not in (tags["kms"], tags["customer"])
    s3.get_object(Bucket=bucket, Key="kms", IfMatch=tags["kms"])
    with refused("304", 304):
        s3.head_object(Bucket=bucket, Key="customer", IfNoneMatch=tags["customer"], **customer())


def test_nothing_is_encrypted_that_nobody_asked_for(s3, bucket):
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")
    assert not any("ServerSideEncryption" in answer for answer in (put, upload, s3.head_object(Bucket=bucket, Key="k")))


# --- a client's own key ---

def test_a_clients_key_is_needed_and_no_other_serves(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"secret", **customer())
    s3.put_object(Bucket=bucket, Key="plain", Body=b"open")
    attributes = {"ObjectAttributes": ["ObjectSize", "ETag"]}
    for wrong, words in (({}, {}), (customer(OTHER_KEY), spelt(OTHER_KEY))):
        with refused("InvalidRequest", 400):
            s3.get_object(Bucket=bucket, Key="k", **wrong)
        with refused("400", 400):
            s3.head_object(Bucket=bucket, Key="k", **wrong)
        with refused("InvalidRequest", 400):
            s3.get_object_attributes(Bucket=bucket, Key="k", **attributes, **words)
    assert s3.get_object_attributes(Bucket=bucket, Key="k", **attributes, **spelt())["ObjectSize"] == 6
    with refused("InvalidRequest", 400):
        s3.get_object(Bucket=bucket, Key="plain", **customer())
    # What is said about an object needs no key.
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    s3.delete_object(Bucket=bucket, Key="k")


@pytest.mark.parametrize("headers, code", [
    ({"algorithm": "AES256"}, "InvalidArgument"),
    ({"key": base64.b64encode(KEY).decode()}, "InvalidArgument"),
    ({"algorithm": "AES256", "key": base64.b64encode(KEY).decode()}, "InvalidArgument"),
    ({"algorithm": "AES128", "key": base64.b64encode(KEY).decode(), "key-md5": base64.b64encode(hashlib.md5(KEY).digest()).decode()},
     "InvalidEncryptionAlgorithmError"),
    ({"algorithm": "AES256", "key": base64.b64encode(KEY[:16]).decode(), "key-md5": base64.b64encode(hashlib.md5(KEY[:16]).digest()).decode()},
     "InvalidArgument"),
    ({"algorithm": "AES256", "key": base64.b64encode(KEY).decode(), "key-md5": base64.b64encode(b"0" * 16).decode()}, "InvalidArgument"),
    ({"algorithm": "AES256", "key": "not base64 at all", "key-md5": "x"}, "InvalidArgument"),
])
def test_a_clients_key_comes_whole_and_right(keyed, signer, s3, bucket, headers, code):
    headers = [(f"x-amz-server-side-encryption-customer-{name}", value) for name, value in headers.items()]
    for method in ("PUT", "GET"):
        request = Request(method, path_of(bucket, "k"), headers=list(headers), body=b"x" if method == "PUT" else b"")
        response = exchange(keyed.endpoint, signer.sign(request, keyed.endpoint))
        assert_error(response, 400, code)
        assert base64.b64encode(KEY) not in response.body
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_each_part_and_the_completion_bring_the_uploads_key(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", **customer())["UploadId"]
    at = {"Bucket": bucket, "Key": "k", "UploadId": upload}
    s3.put_object(Bucket=bucket, Key="source", Body=b"source")
    for wrong in ({}, customer(OTHER_KEY)):
        with refused("InvalidRequest", 400):
            s3.upload_part(**at, PartNumber=1, Body=b"x", **wrong)
        with refused("InvalidRequest", 400):
            s3.upload_part_copy(**at, PartNumber=1, CopySource=f"{bucket}/source", **wrong)
    part = s3.upload_part(**at, PartNumber=1, Body=b"x" * 5 * MIB, **customer())
    copied = s3.upload_part_copy(**at, PartNumber=2, CopySource=f"{bucket}/source", **customer())
    assert part["SSECustomerAlgorithm"] == copied["SSECustomerAlgorithm"] == "AES256"
    done = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}, {"PartNumber": 2, "ETag": copied["CopyPartResult"]["ETag"]}]}
    for wrong in ({}, customer(OTHER_KEY)):
        with refused("InvalidRequest", 400):
            s3.complete_multipart_upload(**at, MultipartUpload=done, **wrong)
    s3.complete_multipart_upload(**at, MultipartUpload=done, **customer())
    assert body_of(s3, bucket, "k", **customer()) == b"x" * 5 * MIB + b"source"


def test_a_presigned_url_takes_a_clients_key(keyed, s3, bucket):
    signing = boto(keyed.endpoint, keys_of(ALICE), signature_version="s3v4")
    url = signing.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "k", "SSECustomerAlgorithm": "AES256", "SSECustomerKey": KEY})
    headers = {"x-amz-server-side-encryption-customer-algorithm": "AES256",
               "x-amz-server-side-encryption-customer-key": base64.b64encode(KEY).decode(),
               "x-amz-server-side-encryption-customer-key-MD5": base64.b64encode(hashlib.md5(KEY).digest()).decode()}
    assert urllib3.request("PUT", url, body=b"body", headers=headers).status == 200
    assert body_of(s3, bucket, "k", **customer()) == b"body"


# --- named keys ---

def test_a_named_key_is_told_as_it_was_named_with_its_context(s3, bucket):
    context = base64.b64encode(json.dumps({"team": "a"}).encode()).decode()
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"x", **KMS, SSEKMSEncryptionContext=context, BucketKeyEnabled=True)
    assert json.loads(base64.b64decode(put["SSEKMSEncryptionContext"])) == {"team": "a"} and put["BucketKeyEnabled"]
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (head["SSEKMSKeyId"], head["BucketKeyEnabled"]) == ("testkey-1", True)


@pytest.mark.parametrize("asked, code", [
    ({"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "nobody's"}, "KMS.NotFoundException"),
    ({"ServerSideEncryption": "aws:kms"}, "InvalidArgument"),
    ({"SSEKMSKeyId": "testkey-1"}, "InvalidArgument"),
    ({"ServerSideEncryption": "AES256", "SSEKMSKeyId": "testkey-1"}, "InvalidArgument"),
    ({"ServerSideEncryption": "aes:kms"}, "InvalidArgument"),
    ({**KMS, "SSEKMSEncryptionContext": "not json"}, "InvalidArgument"),
    ({**KMS, **customer()}, "InvalidArgument"),
    ({**STORE, **customer()}, "InvalidArgument"),
    ({**STORE, "BucketKeyEnabled": True}, "InvalidArgument"),
    ({"BucketKeyEnabled": True}, "InvalidArgument"),
])
def test_what_cannot_be_done_is_refused_and_nothing_is_stored(s3, bucket, asked, code):
    for call in (lambda: s3.put_object(Bucket=bucket, Key="k", Body=b"x", **asked),
                 lambda: s3.create_multipart_upload(Bucket=bucket, Key="k", **asked)):
        with refused(code, 400):
            call()
    s3.put_object(Bucket=bucket, Key="source", Body=b"x")
    with refused(code, 400):
        s3.copy_object(Bucket=bucket, Key="k", CopySource=f"{bucket}/source", **asked)
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["source"]


def test_two_layers_are_not_built_and_say_so(s3, bucket):
    with refused("NotImplemented", 501):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms:dsse", SSEKMSKeyId="testkey-1")


def test_a_stranger_learns_nothing_of_keys(keyed, bucket):
    bobs = boto(keyed.endpoint, keys_of(BOB))
    for asked in (KMS, {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "nobody's"}, {"ServerSideEncryption": "aes:kms"},
                  {"SSECustomerAlgorithm": "AES192", "SSECustomerKey": KEY}):
        with refused("AccessDenied", 403):
            bobs.put_object(Bucket=bucket, Key="k", Body=b"x", **asked)


def test_reading_takes_no_word_on_how_to_encrypt(keyed, signer, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **KMS)
    for method in ("GET", "HEAD", "DELETE"):
        request = Request(method, path_of(bucket, "k"), headers=[("x-amz-server-side-encryption", "aws:kms")])
        response = exchange(keyed.endpoint, signer.sign(request, keyed.endpoint))
        assert response.status == 400, str(response)
    assert body_of(s3, bucket, "k") == b"x"


def test_an_administrator_makes_rotates_and_disables_keys(keyed, s3, bucket):
    def admin(*words, **more):
        return keyed.admin_command("kms", *words, **more)

    name = "arn:aws:kms:us-east-1:1:key/" + bucket
    made = json.loads(admin("create", name).stdout)
    assert (made["id"], made["state"], made["versions"]) == (name, "enabled", 1)
    assert "EntityAlreadyExists" in admin("create", name, check=False).stderr
    assert "InvalidArgument" in admin("create", "no name", check=False).stderr
    assert "NoSuchEntity" in admin("rotate", "absent", check=False).stderr
    assert "AccessDenied" in admin("list", keys=keys_of(ALICE), check=False).stderr
    asked = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": name}
    s3.put_object(Bucket=bucket, Key="before", Body=b"before", **asked)
    assert json.loads(admin("rotate", name).stdout)["versions"] == 2
    s3.put_object(Bucket=bucket, Key="after", Body=b"after", **asked)
    assert (body_of(s3, bucket, "before"), body_of(s3, bucket, "after")) == (b"before", b"after")
    admin("disable", name)
    assert [key["state"] for key in json.loads(admin("list").stdout) if key["id"] == name] == ["disabled"]
    with refused("KMS.DisabledException", 400):
        s3.get_object(Bucket=bucket, Key="before")
    with refused("KMS.DisabledException", 400):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", **asked)
    with refused("KMS.DisabledException", 400):
        s3.copy_object(Bucket=bucket, Key="k", CopySource=f"{bucket}/before", **asked)
    assert s3.head_object(Bucket=bucket, Key="before")["SSEKMSKeyId"] == name
    admin("enable", name)
    assert body_of(s3, bucket, "before") == b"before"


def test_a_default_key_stands_in_where_none_is_named(new_server):
    server = new_server(config='[kms]\nkeys = ["main"]\ndefault_key = "main"\n')
    server.start().wait_ready()
    s3 = boto(server.endpoint, keys_of(ALICE))
    s3.create_bucket(Bucket="bucket")
    assert s3.put_object(Bucket="bucket", Key="k", Body=b"x", ServerSideEncryption="aws:kms")["SSEKMSKeyId"] == "main"
    encrypt_by_default(s3, "bucket", "aws:kms")
    assert s3.put_object(Bucket="bucket", Key="k", Body=b"x")["SSEKMSKeyId"] == "main"
    assert server.stop() == 0


# --- a bucket's default ---

def test_a_bucket_encrypts_what_says_nothing(keyed, s3, bucket):
    s3.put_object(Bucket=bucket, Key="before", Body=b"before")
    encrypt_by_default(s3, bucket, "AES256")
    assert s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ServerSideEncryption"] == "AES256"
    assert "ServerSideEncryption" not in s3.head_object(Bucket=bucket, Key="before"), "what was there stays as it is"
    # Who says something has the word.
    assert s3.put_object(Bucket=bucket, Key="k", Body=b"x", **KMS)["SSEKMSKeyId"] == "testkey-1"
    assert "ServerSideEncryption" not in s3.put_object(Bucket=bucket, Key="k", Body=b"x", **customer())

    encrypt_by_default(s3, bucket, "aws:kms", "testkey-2", bucket_key=True)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")
    assert (upload["SSEKMSKeyId"], upload["BucketKeyEnabled"]) == ("testkey-2", True)
    done = put_parts(s3, bucket, "parts", [b"part"], {}, {})
    assert (done["ServerSideEncryption"], done["SSEKMSKeyId"]) == ("aws:kms", "testkey-2")
    copied = s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/before")
    assert copied["SSEKMSKeyId"] == "testkey-2" and body_of(s3, bucket, "copy") == b"before"
    posted = boto(keyed.endpoint, keys_of(ALICE), signature_version="s3v4").generate_presigned_post(bucket, "posted")
    assert urllib3.request("POST", posted["url"], fields={**posted["fields"], "file": ("f", b"form")}).status == 204
    assert s3.head_object(Bucket=bucket, Key="posted")["SSEKMSKeyId"] == "testkey-2" and body_of(s3, bucket, "posted") == b"form"

    s3.delete_bucket_encryption(Bucket=bucket)
    assert "ServerSideEncryption" not in s3.put_object(Bucket=bucket, Key="k", Body=b"x")


# --- copies ---

SOURCES = {"none": ({}, {}), "store": (STORE, {}), "kms": (KMS, {}), "customer": (customer(), of_source())}
COPIES = {"none": ({}, {}), "store": (STORE, {}), "kms": ({**KMS, "SSEKMSKeyId": "testkey-2"}, {}), "same kms": (KMS, {}),
          "customer": (customer(OTHER_KEY),) * 2, "same customer": (customer(),) * 2}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_is_encrypted_as_it_says_whatever_its_source_is(s3, bucket, source, copy):
    (writing, opening), (copying, reading) = SOURCES[source], COPIES[copy]
    body = os.urandom(200_001)
    s3.put_object(Bucket=bucket, Key="source", Body=body, ContentType="text/x", Metadata={"a": "1"}, Tagging="t=1", **writing)
    copied = s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/source", **opening, **copying)
    s3.delete_object(Bucket=bucket, Key="source")
    got = s3.get_object(Bucket=bucket, Key="copy", **reading)
    assert got["Body"].read() == body and got["ETag"] == copied["CopyObjectResult"]["ETag"]
    assert (got["ContentType"], got["Metadata"], got["TagCount"]) == ("text/x", {"a": "1"}, 1)
    told = {name: value for name, value in copying.items() if name != "SSECustomerKey"}
    for answer in (copied, got):
        assert {name: answer.get(name) for name in told} == told
        assert ("ServerSideEncryption" in answer) == ("ServerSideEncryption" in told)


def test_a_copy_has_the_checksum_that_it_asks_for(s3, bucket):
    body = os.urandom(100_000)
    s3.put_object(Bucket=bucket, Key="source", Body=body, **customer())
    copied = s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/source", ChecksumAlgorithm="SHA256", **of_source(), **KMS)
    assert copied["CopyObjectResult"]["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(body).digest()).decode()
    assert body_of(s3, bucket, "copy", ChecksumMode="ENABLED") == body


def test_an_object_is_encrypted_in_its_place(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"body", Metadata={"a": "1"})
    at = {"Bucket": bucket, "Key": "k", "CopySource": f"{bucket}/k"}
    s3.copy_object(**at, **STORE)
    # Again: asked for, it is done; unasked it would be no change.
    s3.copy_object(**at, **STORE)
    s3.copy_object(**at, **customer())
    s3.copy_object(**at, **of_source(), **customer(OTHER_KEY))
    assert body_of(s3, bucket, "k", **customer(OTHER_KEY)) == b"body"
    s3.copy_object(**at, **of_source(OTHER_KEY), **customer(OTHER_KEY), MetadataDirective="REPLACE", Metadata={"b": "2"})
    head = s3.head_object(Bucket=bucket, Key="k", **customer(OTHER_KEY))
    assert head["Metadata"] == {"b": "2"}


def test_a_copy_needs_its_sources_key_and_takes_none_that_it_has_not(s3, bucket):
    s3.put_object(Bucket=bucket, Key="source", Body=b"x", **customer())
    s3.put_object(Bucket=bucket, Key="plain", Body=b"x")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    for source, opening in (("source", {}), ("source", of_source(OTHER_KEY)), ("plain", of_source())):
        with refused("InvalidRequest", 400):
            s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/{source}", **opening)
        with refused("InvalidRequest", 400):
            s3.upload_part_copy(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, CopySource=f"{bucket}/{source}", **opening)
    with refused("PreconditionFailed", 412):
        s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/source", CopySourceIfMatch='"other"', **of_source())


def test_parts_are_copied_out_of_encrypted_objects_by_ranges(s3, bucket):
    body = os.urandom(6 * MIB)
    for (source, (writing, opening)) in SOURCES.items():
        s3.put_object(Bucket=bucket, Key="source", Body=body, **writing)
        for copy, (creating, sending) in COPIES.items():
            upload = s3.create_multipart_upload(Bucket=bucket, Key="parts", **creating)["UploadId"]
            at = {"Bucket": bucket, "Key": "parts", "UploadId": upload}
            done = []
            for number, span in enumerate([(1, 5 * MIB + 70_000), (SEGMENT, SEGMENT)], 1):
                copied = s3.upload_part_copy(**at, PartNumber=number, CopySource=f"{bucket}/source",
                                             CopySourceRange=f"bytes={span[0]}-{span[1]}", **opening, **sending)
                done.append({"PartNumber": number, "ETag": copied["CopyPartResult"]["ETag"]})
            s3.complete_multipart_upload(**at, MultipartUpload={"Parts": done}, **sending)
            expected = body[1:5 * MIB + 70_001] + body[SEGMENT:SEGMENT + 1]
            assert body_of(s3, bucket, "parts", **sending) == expected, f"{source} to {copy}"


# --- clients ---

def test_aws_cli_encrypts_and_reads_again(keyed, s3, bucket, tmp_path):
    env = environment(keyed.endpoint, keys_of(ALICE))
    body = os.urandom(20 * MIB + 3)
    (tmp_path / "file").write_bytes(body)
    (tmp_path / "key").write_bytes(KEY)
    by_client = ["--sse-c", "AES256", "--sse-c-key", f"fileb://{tmp_path}/key"]
    for name, words, reading in (("store", ["--sse", "AES256"], []), ("kms", ["--sse", "aws:kms", "--sse-kms-key-id", "testkey-1"], []),
                                 ("customer", by_client, by_client)):
        for command in (["cp", f"{tmp_path}/file", f"s3://{bucket}/{name}", *words],
                        ["cp", f"s3://{bucket}/{name}", f"{tmp_path}/back", *reading]):
            done = subprocess.run(["aws", "s3", *command, "--no-progress"], env=env, capture_output=True, text=True, timeout=110)
            assert done.returncode == 0, done.stderr
        assert (tmp_path / "back").read_bytes() == body, name


def test_no_answer_and_no_log_tells_a_key(keyed, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **customer())
    with pytest.raises(ClientError):
        s3.get_object(Bucket=bucket, Key="absent", **customer())
    text = keyed.log.read_text(errors="replace")
    assert bucket in text and "PutObject" in text, "the log has no audit lines to look through"
    for secret in (base64.b64encode(KEY).decode(), KEY.hex(), "DataKey("):
        assert secret not in text
    assert not re.search(r"ContentKey|CustomerKey", text)
    assert ROOT_KEYS[1] not in text
