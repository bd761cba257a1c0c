"""Many of everything: the memory stays bounded and a page costs what it shows.

The large numbers are for `make test-long`; the small ones run always, through the same code.
"""

import concurrent.futures
import os
import subprocess
import threading
import time

import pytest

from conftest import keys_of
from harness.clients import boto, environment
from harness.server import ALICE
from support import body_of

RSS_BOUND = 300 << 20


def many(count_few, count_many):
    return pytest.mark.parametrize("count", [count_few, pytest.param(count_many, marks=pytest.mark.long)])


@pytest.fixture
def small_server(new_server):
    server = new_server()
    server.start().wait_ready()
    return server, boto(server.endpoint, keys_of(ALICE), max_pool_connections=32)


def in_parallel(work, items, workers=16):
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(work, items, chunksize=64):
            pass


def slowest_and_first(pages):
    """The time of the slowest page as a multiple of the median, and how many entries all had."""
    times, entries = [], 0
    begun = time.monotonic()
    for page in pages:
        times.append(time.monotonic() - begun)
        entries += len(page.get("Contents", [])) + len(page.get("Versions", []))
        begun = time.monotonic()
    return max(times) / sorted(times)[len(times) // 2], entries


@many(1_500, 1_000_000)
@pytest.mark.timeout(3600)
def test_a_bucket_of_many_keys(small_server, count):
    server, s3 = small_server
    s3.create_bucket(Bucket="bucket")
    in_parallel(lambda n: s3.put_object(Bucket="bucket", Key=f"{n % 100:02}/{n:07}", Body=b"x"), range(count))
    ratio, entries = slowest_and_first(s3.get_paginator("list_objects_v2").paginate(Bucket="bucket"))
    assert entries == count
    assert ratio < 20, "a page costs more than it shows"
    page = s3.list_objects_v2(Bucket="bucket", Delimiter="/")
    assert len(page["CommonPrefixes"]) == 100
    assert server.rss() < RSS_BOUND


@many(1_500, 100_000)
@pytest.mark.timeout(3600)
def test_a_key_of_many_versions(small_server, count):
    server, s3 = small_server
    s3.create_bucket(Bucket="bucket")
    s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="bucket", Key="before", Body=b"x")
    s3.put_object(Bucket="bucket", Key="z-after", Body=b"x")
    in_parallel(lambda n: s3.put_object(Bucket="bucket", Key="key", Body=b"x"), range(count))
    # Whoever lists objects pays nothing for the versions under them.
    begun = time.monotonic()
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket="bucket")["Contents"]] == ["before", "key", "z-after"]
    assert time.monotonic() - begun < 2
    ratio, entries = slowest_and_first(s3.get_paginator("list_object_versions").paginate(Bucket="bucket"))
    assert entries == count + 2
    assert ratio < 20, "a page costs more than it shows"
    assert server.rss() < RSS_BOUND


@many(200, 10_000)
@pytest.mark.timeout(3600)
def test_an_object_of_many_parts(small_server, count):
    server, s3 = small_server
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="source", Body=os.urandom(5 << 20))
    upload = s3.create_multipart_upload(Bucket="bucket", Key="large")["UploadId"]
    etags = {}

    def copy(number):
        part = s3.upload_part_copy(Bucket="bucket", Key="large", UploadId=upload, PartNumber=number, CopySource="bucket/source")
        etags[number] = part["CopyPartResult"]["ETag"]
    in_parallel(copy, range(1, count + 1))
    parts = [{"PartNumber": number, "ETag": etags[number]} for number in sorted(etags)]
    done = s3.complete_multipart_upload(Bucket="bucket", Key="large", UploadId=upload, MultipartUpload={"Parts": parts})
    assert done["ETag"].endswith(f'-{count}"')
    assert s3.head_object(Bucket="bucket", Key="large")["ContentLength"] == count * (5 << 20)
    last = s3.get_object(Bucket="bucket", Key="large", PartNumber=count)["Body"].read()
    assert last == body_of(s3, "bucket", "source")
    across = s3.get_object(Bucket="bucket", Key="large", Range=f"bytes={(5 << 20) - 3}-{(5 << 20) + 2}")["Body"].read()
    assert across == last[-3:] + last[:3]
    assert server.rss() < RSS_BOUND


@pytest.mark.parametrize("size", [96 << 20, pytest.param(3 << 30, marks=pytest.mark.long)], ids=["96MiB", "3GiB"])
@pytest.mark.parametrize("flags", [(), ("--checksum-algorithm", "CRC64NVME")], ids=["default", "crc64nvme"])
@pytest.mark.timeout(1800)
def test_aws_cli_goes_on_with_an_upload_through_a_kill(new_server, tmp_path, size, flags):
    """A multipart upload with aws-cli's own settings, but slow enough to have a middle; there the server is killed and comes back."""
    server = new_server()
    server.start().wait_ready()
    s3 = boto(server.endpoint, keys_of(ALICE), retries=5)
    s3.create_bucket(Bucket="bucket")
    large = tmp_path / "large"
    with open(large, "wb") as file:
        for _ in range(size >> 23):
            file.write(os.urandom(8 << 20))
    settings = tmp_path / "config"
    settings.write_text("[default]\ns3 =\n  max_bandwidth = 40MB/s\n")
    env = {**environment(server.endpoint, keys_of(ALICE)), "HOME": str(tmp_path), "AWS_MAX_ATTEMPTS": "10", "AWS_RETRY_MODE": "standard"}

    def aws(*words):
        words = ["aws", "s3", "cp", "--no-progress", *map(str, words)]
        return subprocess.Popen(words, env={**env, "AWS_CONFIG_FILE": str(settings)}, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    upload = aws(large, "s3://bucket/large", *flags)
    is_killed = threading.Event()

    def parts_there():
        uploads = s3.list_multipart_uploads(Bucket="bucket").get("Uploads", [])
        return len(s3.list_parts(Bucket="bucket", Key="large", UploadId=uploads[0]["UploadId"]).get("Parts", [])) if uploads else 0
    while upload.poll() is None:
        if parts_there() >= 1:
            server.kill()
            server.start().wait_ready()
            is_killed.set()
            break
        time.sleep(0.01)
    assert upload.wait(1500) == 0, upload.stderr.read()[-2000:]
    assert is_killed.is_set(), "the upload was over before the server was killed"
    head = s3.head_object(Bucket="bucket", Key="large", ChecksumMode="ENABLED")
    assert head["ContentLength"] == size
    if flags:
        assert head["ChecksumType"] == "FULL_OBJECT" and "ChecksumCRC64NVME" in head
    download = aws("s3://bucket/large", "back")
    assert download.wait(1500) == 0, download.stderr.read()[-2000:]
    assert subprocess.run(["cmp", large, tmp_path / "back"]).returncode == 0
    os.unlink(tmp_path / "back")
    os.unlink(large)
