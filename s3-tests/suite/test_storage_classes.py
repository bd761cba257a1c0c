"""Storage classes: which there are, where they are shown, and what lifecycle rules move to them where a day is a second."""

import os
import uuid

import pytest
import urllib3

from conftest import keys_of, new_name
from harness.clients import boto
from harness.server import ALICE, Server, wait_until
from support import body_of, refused

CLASSES = ("STANDARD_IA", "ONEZONE_IA")


@pytest.fixture(scope="module")
def classy(tmp_path_factory):
    config = '[om]\nlifecycle_day = "1s"\n\n[storage_classes]\nSTANDARD_IA = "default"\nONEZONE_IA = "one"\n'
    server = Server(tmp_path_factory.mktemp("server-classes"), config=config)
    server.start().wait_ready()
    yield server
    assert server.stop() == 0, server.log_tail(15)


@pytest.fixture
def client(classy):
    return boto(classy.endpoint, keys_of(ALICE))


@pytest.fixture
def shelf(client):
    name = new_name("shelf")
    client.create_bucket(Bucket=name)
    return name


def listed(client, bucket):
    return {entry["Key"]: entry["StorageClass"] for entry in client.list_objects_v2(Bucket=bucket)["Contents"]}


def test_a_class_is_kept_with_the_object_and_shown_wherever_it_is(client, shelf):
    client.put_object(Bucket=shelf, Key="cold", Body=b"x", StorageClass="STANDARD_IA")
    client.put_object(Bucket=shelf, Key="named", Body=b"x", StorageClass="STANDARD")
    client.put_object(Bucket=shelf, Key="plain", Body=b"x")
    expected = {"cold": "STANDARD_IA", "named": "STANDARD", "plain": "STANDARD"}
    assert listed(client, shelf) == expected
    assert {v["Key"]: v["StorageClass"] for v in client.list_object_versions(Bucket=shelf)["Versions"]} == expected
    for key, name in expected.items():
        # S3 does not name the class that everything has.
        shown = name if name != "STANDARD" else None
        assert client.head_object(Bucket=shelf, Key=key).get("StorageClass") == shown
        assert client.get_object(Bucket=shelf, Key=key).get("StorageClass") == shown
        assert client.get_object_attributes(Bucket=shelf, Key=key, ObjectAttributes=["StorageClass"])["StorageClass"] == name


def test_an_upload_has_its_class_from_its_beginning(client, shelf):
    upload = client.create_multipart_upload(Bucket=shelf, Key="k", StorageClass="ONEZONE_IA")["UploadId"]
    assert client.list_multipart_uploads(Bucket=shelf)["Uploads"][0]["StorageClass"] == "ONEZONE_IA"
    part = client.upload_part(Bucket=shelf, Key="k", UploadId=upload, PartNumber=1, Body=b"part")
    assert client.list_parts(Bucket=shelf, Key="k", UploadId=upload)["StorageClass"] == "ONEZONE_IA"
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    client.complete_multipart_upload(Bucket=shelf, Key="k", UploadId=upload, MultipartUpload=parts)
    assert listed(client, shelf) == {"k": "ONEZONE_IA"}


def test_a_copy_has_the_class_that_it_is_given_and_never_its_sources(client, shelf):
    client.put_object(Bucket=shelf, Key="cold", Body=b"bytes", StorageClass="STANDARD_IA", Metadata={"a": "1"})
    source = {"Bucket": shelf, "Key": "cold"}
    client.copy_object(Bucket=shelf, Key="warm", CopySource=source)
    client.copy_object(Bucket=shelf, Key="other", CopySource=source, StorageClass="ONEZONE_IA")
    assert listed(client, shelf) == {"cold": "STANDARD_IA", "other": "ONEZONE_IA", "warm": "STANDARD"}
    # Another class is a change, so that an object may be copied onto itself.
    client.copy_object(Bucket=shelf, Key="cold", CopySource=source, StorageClass="ONEZONE_IA")
    head = client.head_object(Bucket=shelf, Key="cold")
    assert (head["StorageClass"], head["Metadata"], body_of(client, shelf, "cold")) == ("ONEZONE_IA", {"a": "1"}, b"bytes")
    with refused("InvalidRequest", 400):
        client.copy_object(Bucket=shelf, Key="cold", CopySource=source, StorageClass="ONEZONE_IA")


def test_a_form_names_a_class(classy, client, shelf):
    fields = {"x-amz-storage-class": "STANDARD_IA"}
    post = boto(classy.endpoint, keys_of(ALICE), signature_version="s3v4").generate_presigned_post(shelf, "k", Fields=dict(fields), Conditions=[fields])
    sent = urllib3.request("POST", post["url"], fields={**post["fields"], "file": ("k", b"x")}, retries=False)
    assert sent.status == 204, sent.data
    assert listed(client, shelf) == {"k": "STANDARD_IA"}


@pytest.mark.parametrize("name", ["GLACIER", "DEEP_ARCHIVE", "REDUCED_REDUNDANCY", "standard_ia", "COLD"])
def test_a_class_that_is_not_configured_does_not_exist(client, shelf, name):
    client.put_object(Bucket=shelf, Key="k", Body=b"x")
    with refused("InvalidStorageClass", 400):
        client.put_object(Bucket=shelf, Key="k", Body=b"y" * 100_000, StorageClass=name)
    with refused("InvalidStorageClass", 400):
        client.create_multipart_upload(Bucket=shelf, Key="k", StorageClass=name)
    with refused("InvalidStorageClass", 400):
        client.copy_object(Bucket=shelf, Key="k", CopySource={"Bucket": shelf, "Key": "k"}, StorageClass=name)
    rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, "Transitions": [{"Days": 1, "StorageClass": name}]}
    with refused("InvalidStorageClass", 400):
        client.put_bucket_lifecycle_configuration(Bucket=shelf, LifecycleConfiguration={"Rules": [rule]})
    assert listed(client, shelf) == {"k": "STANDARD"} and body_of(client, shelf, "k") == b"x"
    assert client.list_multipart_uploads(Bucket=shelf).get("Uploads") is None


def test_an_append_keeps_the_class(client, shelf):
    client.put_object(Bucket=shelf, Key="log", Body=b"123", StorageClass="STANDARD_IA")
    client.put_object(Bucket=shelf, Key="log", Body=b"45", WriteOffsetBytes=3)
    with refused("InvalidRequest", 400):
        client.put_object(Bucket=shelf, Key="log", Body=b"6", WriteOffsetBytes=5, StorageClass="ONEZONE_IA")
    assert (listed(client, shelf), body_of(client, shelf, "log")) == ({"log": "STANDARD_IA"}, b"12345")


def rule(name, prefix="", **actions):
    return {"ID": name, "Status": "Enabled", "Filter": {"Prefix": prefix}, **actions}


def test_rules_move_objects_and_versions_and_nothing_else_about_them_changes(client, shelf):
    client.put_bucket_versioning(Bucket=shelf, VersioningConfiguration={"Status": "Enabled"})
    large, tag = os.urandom(200_000), str(uuid.uuid4())
    old = client.put_object(Bucket=shelf, Key="a/k", Body=large)["VersionId"]
    client.put_object(Bucket=shelf, Key="a/k", Body=large[::-1], Metadata={"tag": tag}, ServerSideEncryption="AES256")
    client.put_object(Bucket=shelf, Key="a/small", Body=b"x")
    client.put_object(Bucket=shelf, Key="b/k", Body=large)
    before = client.head_object(Bucket=shelf, Key="a/k")
    rules = [rule("r", "a/", Transitions=[{"Days": 1, "StorageClass": "STANDARD_IA"}],
                  NoncurrentVersionTransitions=[{"NoncurrentDays": 1, "StorageClass": "ONEZONE_IA"}])]
    client.put_bucket_lifecycle_configuration(Bucket=shelf, LifecycleConfiguration={"Rules": rules})

    def classes():
        versions = client.list_object_versions(Bucket=shelf)["Versions"]
        return {(v["Key"], v["IsLatest"]): v["StorageClass"] for v in versions}
    expected = {("a/k", True): "STANDARD_IA", ("a/k", False): "ONEZONE_IA", ("a/small", True): "STANDARD", ("b/k", True): "STANDARD"}
    wait_until(lambda: classes() == expected, 30, "both versions have moved, and what is small has not")
    after = client.head_object(Bucket=shelf, Key="a/k")
    for name in ("ETag", "LastModified", "Metadata", "VersionId", "ContentLength", "ServerSideEncryption"):
        assert after[name] == before[name]
    assert body_of(client, shelf, "a/k") == large[::-1] and body_of(client, shelf, "a/k", VersionId=old) == large


def test_small_objects_move_where_the_bucket_says_so(client, shelf):
    client.put_object(Bucket=shelf, Key="k", Body=b"x")
    rules = {"Rules": [rule("r", Transitions=[{"Days": 0, "StorageClass": "ONEZONE_IA"}])]}
    client.put_bucket_lifecycle_configuration(
        Bucket=shelf, LifecycleConfiguration=rules, TransitionDefaultMinimumObjectSize="varies_by_storage_class")
    wait_until(lambda: listed(client, shelf) == {"k": "ONEZONE_IA"}, 30, "it has moved")


def test_three_copies_are_more_than_one_server_keeps(new_server):
    server = new_server(config='[storage_classes]\nSAFER = "three"\n')
    server.start()
    wait_until(lambda: not server.alive(), 30, "it does not start")
    assert "storage_classes.SAFER" in server.log_tail(5)
