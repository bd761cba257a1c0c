"""Lifecycle rules: what clients are told of them, and what becomes of objects by them where a day is two seconds."""

import datetime
import http.client
import re
import time
import urllib.parse
from email.utils import parsedate_to_datetime

import pytest

from conftest import keys_of, new_name
from harness.clients import boto
from harness.server import ALICE, Server, wait_until
from support import keys_in, refused

DAY = 2


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A server whose days are short to lifecycle rules."""
    server = Server(tmp_path_factory.mktemp("server-lifecycle"), config=f'[om]\nlifecycle_day = "{DAY}s"\n')
    server.start().wait_ready()
    yield server
    assert server.stop() == 0, server.log_tail(15)


@pytest.fixture
def hasty(short):
    return boto(short.endpoint, keys_of(ALICE))


@pytest.fixture
def hasty_bucket(hasty):
    name = new_name("lifecycle")
    hasty.create_bucket(Bucket=name)
    return name


def rule(name, prefix="", **actions):
    return {"ID": name, "Status": "Enabled", "Filter": {"Prefix": prefix}, **actions}


def tagged(name, key, value, **actions):
    return {"ID": name, "Status": "Enabled", "Filter": {"Tag": {"Key": key, "Value": value}}, **actions}


def set_rules(client, bucket, *rules):
    client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": list(rules)})


def expiring(days):
    return {"Expiration": {"Days": days}}


def midnight_after(days):
    then = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
    return then.replace(hour=0, minute=0, second=0, microsecond=0) + datetime.timedelta(days=1)


def told(answer):
    """What `x-amz-expiration` says: the day and the rule."""
    if "Expiration" not in answer:
        return None
    match = re.fullmatch(r'expiry-date="([^"]+)", rule-id="([^"]+)"', answer["Expiration"])
    assert match, answer["Expiration"]
    return parsedate_to_datetime(match[1]), match[2]


@pytest.mark.parametrize("clock", ["calendar", "short days"])
def test_every_answer_about_an_object_tells_when_it_ends_in_real_days(request, clock):
    client, bucket = [request.getfixturevalue(name) for name in (("s3", "bucket") if clock == "calendar" else ("hasty", "hasty_bucket"))]
    set_rules(client, bucket, rule("a rule", "logs/", **expiring(30)), tagged("tags", "k", "v", **expiring(20)))
    by_prefix, by_tag = (midnight_after(30), "a%20rule"), (midnight_after(20), "tags")
    assert told(client.put_object(Bucket=bucket, Key="logs/a", Body=b"x")) == by_prefix
    assert told(client.head_object(Bucket=bucket, Key="logs/a")) == by_prefix
    assert told(client.get_object(Bucket=bucket, Key="logs/a")) == by_prefix
    assert told(client.put_object(Bucket=bucket, Key="b", Body=b"x")) is None
    assert told(client.put_object(Bucket=bucket, Key="b", Body=b"x", Tagging="k=v")) == by_tag
    source = {"CopySource": {"Bucket": bucket, "Key": "b"}}
    assert told(client.copy_object(Bucket=bucket, Key="c", **source)) == by_tag
    # Of two rules the one that ends it first.
    assert told(client.copy_object(Bucket=bucket, Key="logs/c", **source)) == by_tag
    upload = client.create_multipart_upload(Bucket=bucket, Key="logs/big")["UploadId"]
    part = client.upload_part(Bucket=bucket, Key="logs/big", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    assert told(client.complete_multipart_upload(Bucket=bucket, Key="logs/big", UploadId=upload, MultipartUpload=parts)) == by_prefix
    signing = boto(client.meta.endpoint_url, keys_of(ALICE), signature_version="s3v4")
    answer = post_form(signing.generate_presigned_post(bucket, "logs/form"))
    assert answer.status == 204 and answer.getheader("x-amz-expiration").endswith('rule-id="a%20rule"')
    client.delete_object_tagging(Bucket=bucket, Key="b")
    assert told(client.head_object(Bucket=bucket, Key="b")) is None
    client.delete_bucket_lifecycle(Bucket=bucket)
    assert told(client.head_object(Bucket=bucket, Key="logs/a")) is None


def post_form(form):
    url = urllib.parse.urlsplit(form["url"])
    boundary = "a-boundary-of-the-suite"
    lines = [f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in form["fields"].items()]
    lines.append(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nx\r\n--{boundary}--\r\n')
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
    connection.request("POST", url.path, "".join(lines), {"Content-Type": f"multipart/form-data; boundary={boundary}"})
    answer = connection.getresponse()
    answer.read()
    return answer


def test_an_upload_tells_when_it_will_be_aborted(s3, bucket):
    set_rules(s3, bucket, rule("uploads", "a/", AbortIncompleteMultipartUpload={"DaysAfterInitiation": 7}))
    created = s3.create_multipart_upload(Bucket=bucket, Key="a/big")
    assert (created["AbortDate"], created["AbortRuleId"]) == (midnight_after(7), "uploads")
    listed = s3.list_parts(Bucket=bucket, Key="a/big", UploadId=created["UploadId"])
    assert (listed["AbortDate"], listed["AbortRuleId"]) == (midnight_after(7), "uploads")
    assert "AbortDate" not in s3.create_multipart_upload(Bucket=bucket, Key="b/big")


def test_objects_go_on_their_day_and_not_before(hasty, hasty_bucket):
    for key in ("day1/a", "day1/b", "day4/a", "stays/a"):
        hasty.put_object(Bucket=hasty_bucket, Key=key, Body=b"x")
    written = time.monotonic()
    set_rules(hasty, hasty_bucket, rule("one", "day1/", **expiring(1)), rule("four", "day4/", **expiring(4)))

    def left():
        return keys_in(hasty.list_objects_v2(Bucket=hasty_bucket))

    assert len(left()) == 4 or time.monotonic() - written > DAY
    wait_until(lambda: left() == ["day4/a", "stays/a"], 20, "the first two objects gone")
    wait_until(lambda: left() == ["stays/a"], 20, "the third object gone")
    assert time.monotonic() - written >= 4 * DAY
    with refused("404", 404):
        hasty.head_object(Bucket=hasty_bucket, Key="day4/a")


def test_an_object_that_is_written_again_and_again_never_goes(hasty, hasty_bucket):
    set_rules(hasty, hasty_bucket, rule("one", **expiring(1)))
    end = time.monotonic() + 4 * DAY
    written = 0
    while time.monotonic() < end:
        hasty.put_object(Bucket=hasty_bucket, Key="k", Body=str(written).encode())
        assert hasty.get_object(Bucket=hasty_bucket, Key="k")["Body"].read() == str(written).encode()
        written += 1
        time.sleep(0.05)
    assert written > 4


def test_versions_and_markers_go_in_their_turn(hasty, hasty_bucket):
    hasty.put_bucket_versioning(Bucket=hasty_bucket, VersioningConfiguration={"Status": "Enabled"})
    for n in range(6):
        hasty.put_object(Bucket=hasty_bucket, Key="k", Body=str(n).encode())
    kept = {"NoncurrentDays": 1, "NewerNoncurrentVersions": 2}
    set_rules(hasty, hasty_bucket, rule("versions", NoncurrentVersionExpiration=kept))

    def versions():
        page = hasty.list_object_versions(Bucket=hasty_bucket)
        return len(page.get("Versions", [])), len(page.get("DeleteMarkers", []))

    wait_until(lambda: versions() == (3, 0), 20, "three versions left")
    assert hasty.get_object(Bucket=hasty_bucket, Key="k")["Body"].read() == b"5"
    hasty.delete_object(Bucket=hasty_bucket, Key="k")
    set_rules(hasty, hasty_bucket, rule("all", NoncurrentVersionExpiration={"NoncurrentDays": 1}, Expiration={"ExpiredObjectDeleteMarker": True}))
    wait_until(lambda: versions() == (0, 0), 20, "nothing left")


def test_a_current_version_goes_under_a_marker(hasty, hasty_bucket):
    hasty.put_bucket_versioning(Bucket=hasty_bucket, VersioningConfiguration={"Status": "Enabled"})
    version = hasty.put_object(Bucket=hasty_bucket, Key="k", Body=b"x")["VersionId"]
    set_rules(hasty, hasty_bucket, rule("one", **expiring(1)))
    wait_until(lambda: not keys_in(hasty.list_objects_v2(Bucket=hasty_bucket)), 20, "nothing shown")
    page = hasty.list_object_versions(Bucket=hasty_bucket)
    assert [entry["VersionId"] for entry in page["Versions"]] == [version]
    assert [(entry["IsLatest"], entry["Owner"]["ID"]) for entry in page["DeleteMarkers"]] == [(True, ALICE.id)]
    assert hasty.get_object(Bucket=hasty_bucket, Key="k", VersionId=version)["Body"].read() == b"x"


def test_a_locked_version_outlives_its_rule(hasty):
    bucket = new_name("lifecycle-locked")
    hasty.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    locked = hasty.put_object(Bucket=bucket, Key="k", Body=b"locked", ObjectLockLegalHoldStatus="ON")["VersionId"]
    hasty.put_object(Bucket=bucket, Key="k", Body=b"bare")
    hasty.put_object(Bucket=bucket, Key="k", Body=b"current")
    set_rules(hasty, bucket, rule("old", NoncurrentVersionExpiration={"NoncurrentDays": 1}))

    def versions():
        return [entry["VersionId"] for entry in hasty.list_object_versions(Bucket=bucket)["Versions"]]

    wait_until(lambda: len(versions()) == 2, 20, "the bare version gone")
    assert versions()[1] == locked
    hasty.put_object_legal_hold(Bucket=bucket, Key="k", VersionId=locked, LegalHold={"Status": "OFF"})
    wait_until(lambda: len(versions()) == 1, 20, "the other version gone")


def test_tags_and_sizes_choose(hasty, hasty_bucket):
    for key, size, tagging in (("small", 10, "k=v"), ("large", 3000, "k=v"), ("other", 3000, "k=w"), ("bare", 3000, "")):
        hasty.put_object(Bucket=hasty_bucket, Key=key, Body=b"x" * size, Tagging=tagging)
    both = {"And": {"Tags": [{"Key": "k", "Value": "v"}], "ObjectSizeGreaterThan": 2000}}
    set_rules(hasty, hasty_bucket, {"ID": "both", "Status": "Enabled", "Filter": both, **expiring(1)})
    for _ in range(2):
        # When one that was written after them is gone, the others would be too.
        wait_until(lambda: "large" not in keys_in(hasty.list_objects_v2(Bucket=hasty_bucket)), 20, "the large one gone")
        assert keys_in(hasty.list_objects_v2(Bucket=hasty_bucket)) == ["bare", "other", "small"]
        hasty.put_object(Bucket=hasty_bucket, Key="large", Body=b"x" * 3000, Tagging="k=v")


def test_an_upload_that_nobody_completes_is_aborted(hasty, hasty_bucket):
    set_rules(hasty, hasty_bucket, rule("uploads", "a/", AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1}))
    upload = hasty.create_multipart_upload(Bucket=hasty_bucket, Key="a/big")["UploadId"]
    hasty.upload_part(Bucket=hasty_bucket, Key="a/big", UploadId=upload, PartNumber=1, Body=b"x")
    other = hasty.create_multipart_upload(Bucket=hasty_bucket, Key="b/big")["UploadId"]

    def uploads():
        return [entry["UploadId"] for entry in hasty.list_multipart_uploads(Bucket=hasty_bucket)["Uploads"]]

    wait_until(lambda: uploads() == [other], 20, "the upload aborted")
    with refused("NoSuchUpload", 404):
        hasty.upload_part(Bucket=hasty_bucket, Key="a/big", UploadId=upload, PartNumber=2, Body=b"x")


def test_rules_are_carried_out_by_a_server_that_was_killed_meanwhile(new_server):
    server = new_server(config=f'[om]\nlifecycle_day = "{DAY}s"\n').start().wait_ready()
    client = boto(server.endpoint, keys_of(ALICE))
    client.create_bucket(Bucket="killed")
    for n in range(30):
        client.put_object(Bucket="killed", Key=f"{n:02}", Body=b"x")
    set_rules(client, "killed", rule("one", **expiring(2)))
    server.kill()
    server.start().wait_ready()
    wait_until(lambda: not keys_in(client.list_objects_v2(Bucket="killed")), 30, "nothing left")


def test_an_operator_sees_the_service(hasty, short):
    status = short.admin_command("status").stdout
    assert '"lifecycle"' in status
