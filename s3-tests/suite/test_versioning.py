"""Versions and delete markers."""

import concurrent.futures

import pytest

from harness.wire import Request, path_of
from support import body_of, keys_in, refused


@pytest.fixture
def versioned(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return bucket


def all_versions(s3, bucket, **how):
    """Key, version, whether it is the latest, whether it is a marker."""
    shown = []
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, **how):
        shown += [(v["Key"], v["VersionId"], v["IsLatest"], False) for v in page.get("Versions", [])]
        shown += [(m["Key"], m["VersionId"], m["IsLatest"], True) for m in page.get("DeleteMarkers", [])]
    return shown


def test_a_bucket_says_nothing_of_versions_before_it_has_them(s3, bucket):
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    for status in ("Enabled", "Suspended"):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == status


def test_every_write_is_a_version_that_can_be_read_by_its_name(s3, versioned):
    versions = [s3.put_object(Bucket=versioned, Key="k", Body=str(n).encode())["VersionId"] for n in range(5)]
    assert len(set(versions)) == 5
    for n, version in enumerate(versions):
        got = s3.get_object(Bucket=versioned, Key="k", VersionId=version)
        assert (got["Body"].read(), got["VersionId"]) == (str(n).encode(), version)
    assert [v[1] for v in all_versions(s3, versioned)] == versions[::-1]
    assert keys_in(s3.list_objects_v2(Bucket=versioned)) == ["k"]


def test_a_marker_hides_a_key_and_gives_it_back(s3, send, versioned):
    version = s3.put_object(Bucket=versioned, Key="k", Body=b"x")["VersionId"]
    gone = s3.delete_object(Bucket=versioned, Key="k")
    assert gone["DeleteMarker"] is True
    hidden = send(Request("GET", path_of(versioned, "k")))
    assert (hidden.status, hidden.code) == (404, "NoSuchKey")
    assert (hidden.header("x-amz-delete-marker"), hidden.header("x-amz-version-id")) == ("true", gone["VersionId"])
    by_name = send(Request("GET", path_of(versioned, "k"), f"versionId={gone['VersionId']}"))
    assert (by_name.status, by_name.code, by_name.header("x-amz-delete-marker")) == (405, "MethodNotAllowed", "true")
    assert body_of(s3, versioned, "k", VersionId=version) == b"x"
    assert keys_in(s3.list_objects_v2(Bucket=versioned)) == []
    back = s3.delete_object(Bucket=versioned, Key="k", VersionId=gone["VersionId"])
    assert (back["DeleteMarker"], back["VersionId"]) == (True, gone["VersionId"])
    assert body_of(s3, versioned, "k") == b"x"
    with refused("BucketNotEmpty", 409):
        s3.delete_bucket(Bucket=versioned)


def test_a_suspended_bucket_keeps_its_versions_and_one_that_is_null(s3, versioned):
    kept = s3.put_object(Bucket=versioned, Key="k", Body=b"kept")["VersionId"]
    s3.put_bucket_versioning(Bucket=versioned, VersioningConfiguration={"Status": "Suspended"})
    for body in (b"first", b"second"):
        assert "VersionId" not in s3.put_object(Bucket=versioned, Key="k", Body=body)
    assert [v[1] for v in all_versions(s3, versioned)] == ["null", kept]
    assert body_of(s3, versioned, "k", VersionId="null") == b"second"
    assert s3.delete_object(Bucket=versioned, Key="k")["VersionId"] == "null"
    assert sorted((v[1], v[3]) for v in all_versions(s3, versioned)) == sorted([(kept, False), ("null", True)])
    assert body_of(s3, versioned, "k", VersionId=kept) == b"kept"


def test_pages_of_versions_of_any_size_show_each_once(s3, versioned):
    for key in ("a", "b/1", "b/2", "c"):
        for n in range(3):
            s3.put_object(Bucket=versioned, Key=key, Body=str(n).encode())
    s3.delete_object(Bucket=versioned, Key="b/1")
    whole = {v[:2] for v in all_versions(s3, versioned)}
    assert len(whole) == 13
    for size in (1, 2, 3, 5, 12):
        paged = [v[:2] for v in all_versions(s3, versioned, PaginationConfig={"PageSize": size})]
        assert (len(paged), set(paged)) == (13, whole), size
    page = s3.list_object_versions(Bucket=versioned, Delimiter="/")
    assert ([p["Prefix"] for p in page["CommonPrefixes"]], {v["Key"] for v in page["Versions"]}) == (["b/"], {"a", "c"})


def test_versions_go_by_name_in_a_list(s3, versioned):
    versions = [s3.put_object(Bucket=versioned, Key="k", Body=b"x")["VersionId"] for _ in range(3)]
    objects = [{"Key": "k", "VersionId": v} for v in versions + versions[:1]]
    deleted = s3.delete_objects(Bucket=versioned, Delete={"Objects": objects})
    assert len(deleted["Deleted"]) == 4 and "Errors" not in deleted
    assert all_versions(s3, versioned) == []
    marker = s3.delete_objects(Bucket=versioned, Delete={"Objects": [{"Key": "k"}]})["Deleted"][0]
    assert marker["DeleteMarker"] is True
    s3.delete_objects(Bucket=versioned, Delete={"Objects": [{"Key": "k", "VersionId": marker["DeleteMarkerVersionId"]}]})
    s3.delete_bucket(Bucket=versioned)


def test_parallel_writes_of_one_key_are_a_version_each(s3, versioned):
    def put(n):
        return s3.put_object(Bucket=versioned, Key="k", Body=str(n).encode())["VersionId"]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        versions = dict(zip(pool.map(put, range(40)), range(40)))
    shown = all_versions(s3, versioned)
    assert {v[1] for v in shown} == set(versions) and [v[2] for v in shown] == [True] + 39 * [False]
    for version, n in versions.items():
        assert body_of(s3, versioned, "k", VersionId=version) == str(n).encode()


def test_an_old_version_is_copied_by_name(s3, versioned):
    old = s3.put_object(Bucket=versioned, Key="k", Body=b"old", Metadata={"a": "1"})["VersionId"]
    s3.put_object(Bucket=versioned, Key="k", Body=b"new")
    copied = s3.copy_object(Bucket=versioned, Key="copy", CopySource={"Bucket": versioned, "Key": "k", "VersionId": old})
    assert copied["CopySourceVersionId"] == old
    got = s3.get_object(Bucket=versioned, Key="copy")
    assert (got["Body"].read(), got["Metadata"], got["VersionId"]) == (b"old", {"a": "1"}, copied["VersionId"])


def test_a_conditional_deletion_looks_at_tag_time_and_size(s3, bucket):
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    modified = s3.head_object(Bucket=bucket, Key="k")["LastModified"]
    for wrong in ({"IfMatch": '"' + "0" * 32 + '"'}, {"IfMatchSize": 2}, {"IfMatchLastModifiedTime": modified.replace(year=2001)}):
        with refused("PreconditionFailed", 412):
            s3.delete_object(Bucket=bucket, Key="k", **wrong)
    s3.delete_object(Bucket=bucket, Key="k", IfMatch=put["ETag"], IfMatchSize=1, IfMatchLastModifiedTime=modified)
    assert keys_in(s3.list_objects_v2(Bucket=bucket)) == []


def test_mfa_delete_is_refused_and_not_ignored(s3, bucket):
    with refused("NotImplemented", 501):
        s3.put_bucket_versioning(Bucket=bucket, MFA="x 1", VersioningConfiguration={"Status": "Enabled", "MFADelete": "Enabled"})


# --- attributes ---

def test_attributes_show_what_was_asked_for_and_pages_of_parts(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm="SHA256")["UploadId"]
    bodies, parts = [b"a" * (5 << 20), b"b" * (5 << 20), b"c"], []
    for n, body in enumerate(bodies, 1):
        part = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=n, Body=body, ChecksumAlgorithm="SHA256")
        parts.append({"PartNumber": n, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]})
    done = s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": parts})
    everything = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]
    shown = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=everything)
    assert (shown["ETag"], shown["ObjectSize"], shown["StorageClass"]) == (done["ETag"].strip('"'), sum(map(len, bodies)), "STANDARD")
    assert shown["Checksum"] == {"ChecksumSHA256": done["ChecksumSHA256"], "ChecksumType": "COMPOSITE"}
    assert (shown["ObjectParts"]["TotalPartsCount"], shown["ObjectParts"]["IsTruncated"]) == (3, False)
    assert [(p["PartNumber"], p["Size"], p["ChecksumSHA256"]) for p in shown["ObjectParts"]["Parts"]] == [
        (p["PartNumber"], len(body), p["ChecksumSHA256"]) for p, body in zip(parts, bodies)]
    page = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ObjectParts"], MaxParts=1, PartNumberMarker=1)["ObjectParts"]
    assert ([p["PartNumber"] for p in page["Parts"]], page["IsTruncated"], page["NextPartNumberMarker"]) == ([2], True, 2)
    assert set(s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ObjectSize"])) == {
        "ResponseMetadata", "LastModified", "ObjectSize"}
