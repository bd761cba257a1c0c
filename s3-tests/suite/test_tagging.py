"""Tags of objects."""

import pytest

from support import keys_in, refused


def test_tags_belong_to_a_version_and_come_back_by_key(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="b=2&a=1%20%2B")["VersionId"]
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "a", "Value": "1 +"}, {"Key": "b", "Value": "2"}]
    before = s3.head_object(Bucket=bucket, Key="k")
    assert before["TagCount"] == 2
    s3.put_object(Bucket=bucket, Key="k", Body=b"y")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
    tags = [{"Key": "c", "Value": ""}]
    assert s3.put_object_tagging(Bucket=bucket, Key="k", VersionId=version, Tagging={"TagSet": tags})["VersionId"] == version
    assert s3.get_object_tagging(Bucket=bucket, Key="k", VersionId=version)["TagSet"] == tags
    after = s3.head_object(Bucket=bucket, Key="k", VersionId=version)
    assert (after["LastModified"], after["ETag"]) == (before["LastModified"], before["ETag"])
    s3.delete_object_tagging(Bucket=bucket, Key="k", VersionId=version)
    assert "TagCount" not in s3.head_object(Bucket=bucket, Key="k", VersionId=version)


def test_a_copy_takes_tags_along_or_gets_others(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="a=1")
    s3.copy_object(Bucket=bucket, Key="same", CopySource=f"{bucket}/k")
    s3.copy_object(Bucket=bucket, Key="other", CopySource=f"{bucket}/k", TaggingDirective="REPLACE", Tagging="b=2")
    s3.copy_object(Bucket=bucket, Key="new-metadata", CopySource=f"{bucket}/k", MetadataDirective="REPLACE", Metadata={"m": "1"})
    for key, tag in (("same", ("a", "1")), ("other", ("b", "2")), ("new-metadata", ("a", "1"))):
        assert s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"] == [{"Key": tag[0], "Value": tag[1]}], key


@pytest.mark.parametrize("tags", ["&".join(f"k{n}=" for n in range(11)), "k" * 129 + "=v", "k=" + "v" * 257, "a=1&a=2", "aws:a=1"])
def test_what_cannot_be_a_tag_is_refused_and_nothing_is_written(s3, bucket, tags):
    with refused("InvalidTag", 400):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging=tags)
    assert keys_in(s3.list_objects_v2(Bucket=bucket)) == []
