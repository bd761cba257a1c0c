"""What was acknowledged survives the process: kill -9 in the middle of uploads, restarts, a second process on the same data."""

import os

import pytest

from conftest import keys_of
from drills import kill_server
from harness.clients import boto
from harness.server import ALICE
from support import body_of, keys_in

KILLS = int(os.environ.get("SUITE_KILLS", "4"))


@pytest.mark.timeout(900)
def test_nothing_acknowledged_is_lost_by_kill_9(tmp_path):
    # A machine of two cores that also builds and runs other tests boots slower than the ten seconds of a quiet one.
    kill_server.run(tmp_path, KILLS, boot_limit=30.0)


def test_everything_is_there_after_a_clean_restart(new_server):
    server = new_server()
    server.start().wait_ready()
    s3 = boto(server.endpoint, keys_of(ALICE))
    s3.create_bucket(Bucket="kept")
    bodies = {f"k{size}": os.urandom(size) for size in (0, 1, 5000, 70_000, 6 << 20)}
    for key, body in bodies.items():
        s3.put_object(Bucket="kept", Key=key, Body=body, Metadata={"size": str(len(body))})
    upload_id = s3.create_multipart_upload(Bucket="kept", Key="parts")["UploadId"]
    part = s3.upload_part(Bucket="kept", Key="parts", UploadId=upload_id, PartNumber=1, Body=b"part")["ETag"]
    assert server.stop() == 0
    server.start().wait_ready()
    for key, body in bodies.items():
        assert body_of(s3, "kept", key) == body
        assert s3.head_object(Bucket="kept", Key=key)["Metadata"] == {"size": str(len(body))}
    # An upload in the middle of which the server restarted goes on.
    s3.complete_multipart_upload(Bucket="kept", Key="parts", UploadId=upload_id, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]})
    assert body_of(s3, "kept", "parts") == b"part"
    assert sorted(keys_in(s3.list_objects_v2(Bucket="kept"))) == sorted([*bodies, "parts"])


def test_a_second_process_on_the_same_data_refuses_to_start(new_server):
    first = new_server()
    first.start().wait_ready()
    second = new_server()
    second.command[second.command.index("--data") + 1] = str(first.data)
    second.start()
    from processes import wait_until
    wait_until(lambda: not second.alive(), 20, "the second process to give up")
    assert second._child.returncode != 0
    assert "panicked" not in second.log_tail() and second.log_tail().strip()
    assert first.ready()


def test_a_changed_byte_on_the_disk_never_reaches_a_client(new_server):
    """With a single copy the object is lost, and said to be; the rest is untouched."""
    from botocore.exceptions import ClientError, BotoCoreError
    server = new_server()
    server.start().wait_ready()
    s3 = boto(server.endpoint, keys_of(ALICE))
    s3.create_bucket(Bucket="bucket")
    marker = b"a line that can be found again on the disk "
    victim, other = marker * 40_000, os.urandom(2 << 20)
    s3.put_object(Bucket="bucket", Key="victim", Body=victim)
    s3.put_object(Bucket="bucket", Key="other", Body=other)
    assert server.stop() == 0
    changed = 0
    for folder, _, files in os.walk(server.data):
        for name in files:
            path = os.path.join(folder, name)
            with open(path, "r+b") as file:
                data = file.read()
                at = data.find(marker * 100)
                if at >= 0:
                    file.seek(at + 2000)
                    file.write(bytes([data[at + 2000] ^ 1]))
                    changed += 1
    assert changed, "the object's bytes were found nowhere on the disk"
    server.start().wait_ready()
    with pytest.raises((ClientError, BotoCoreError)) as caught:
        body_of(s3, "bucket", "victim")
    if isinstance(caught.value, ClientError):
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] >= 500
    assert body_of(s3, "bucket", "other") == other
