"""Buckets: making, finding, listing, deleting, and whose they are."""

import pytest

from conftest import new_name
from harness.sigv4 import Signer
from harness.server import BOB
from harness.wire import Request, exchange, path_of
from support import ISO_DATE, assert_error, refused


def test_a_new_bucket_is_listed_headed_and_located(s3, bucket):
    assert bucket in [b["Name"] for b in s3.list_buckets()["Buckets"]]
    head = s3.head_bucket(Bucket=bucket)["ResponseMetadata"]
    assert head["HTTPStatusCode"] == 200 and head["HTTPHeaders"]["x-amz-bucket-region"] == "us-east-1"
    # us-east-1 is told as an empty constraint.
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None


def test_list_buckets_names_the_owner_and_is_sorted(s3):
    for name in (new_name("zz"), new_name("aa"), new_name("mm")):
        s3.create_bucket(Bucket=name)
    answer = s3.list_buckets()
    assert answer["Owner"]["DisplayName"] == "Alice"
    names = [b["Name"] for b in answer["Buckets"]]
    assert names == sorted(names) and len(names) >= 3


def test_the_list_of_buckets_goes_on_page_by_page(s3):
    prefix = new_name("paged")
    made = [f"{prefix}-{i}" for i in range(5)]
    for name in made:
        s3.create_bucket(Bucket=name)
    seen, token = [], {}
    while True:
        page = s3.list_buckets(MaxBuckets=2, Prefix=prefix, **token)
        assert len(page["Buckets"]) <= 2
        seen += [b["Name"] for b in page["Buckets"]]
        if "ContinuationToken" not in page:
            break
        token = {"ContinuationToken": page["ContinuationToken"]}
    assert seen == made


def test_making_ones_own_bucket_again_keeps_what_is_in_it(s3, bucket):
    s3.put_object(Bucket=bucket, Key="kept", Body=b"x")
    s3.create_bucket(Bucket=bucket)
    assert s3.head_object(Bucket=bucket, Key="kept")["ContentLength"] == 1


def test_a_bucket_belongs_to_who_made_it(s3, bobs, bucket):
    s3.put_object(Bucket=bucket, Key="hers", Body=b"x")
    with refused("BucketAlreadyExists", 409):
        bobs.create_bucket(Bucket=bucket)
    assert bucket not in [b["Name"] for b in bobs.list_buckets()["Buckets"]]
    for attempt in (lambda: bobs.list_objects_v2(Bucket=bucket), lambda: bobs.get_object(Bucket=bucket, Key="hers"),
                    lambda: bobs.put_object(Bucket=bucket, Key="his", Body=b"y"),
                    lambda: bobs.delete_object(Bucket=bucket, Key="hers"),
                    lambda: bobs.create_multipart_upload(Bucket=bucket, Key="his"),
                    lambda: bobs.delete_bucket(Bucket=bucket),
                    lambda: bobs.copy_object(Bucket=bucket, Key="his", CopySource=f"{bucket}/hers")):
        with refused("AccessDenied", 403):
            attempt()
    with refused("403", 403):
        bobs.head_bucket(Bucket=bucket)
    with refused("403", 403):
        bobs.head_object(Bucket=bucket, Key="hers")
    mine = new_name("bobs")
    bobs.create_bucket(Bucket=mine)
    with refused("AccessDenied", 403):
        bobs.copy_object(Bucket=mine, Key="stolen", CopySource=f"{bucket}/hers")


def test_only_an_empty_bucket_can_be_deleted(s3, bucket):
    s3.put_object(Bucket=bucket, Key="last", Body=b"")
    with refused("BucketNotEmpty", 409):
        s3.delete_bucket(Bucket=bucket)
    s3.delete_object(Bucket=bucket, Key="last")
    assert s3.delete_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
    with refused("404", 404):
        s3.head_bucket(Bucket=bucket)
    with refused("NoSuchBucket", 404):
        s3.delete_bucket(Bucket=bucket)


def test_a_bucket_made_anew_inherits_nothing(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"old")
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    with refused("NoSuchUpload", 404):
        s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"x")


@pytest.mark.parametrize("name", ["ab", "a" * 64, "Upper", "under_score", "-begins", "ends-", "two..dots", "dot.-dash", "dash-.dot",
                                  "192.168.5.4", "xn--punycode", "sthree-x", "alias-s3alias", "olap--ol-s3", ".dot", "dot."])
def test_a_bucket_name_against_the_rules_is_refused(send, name):
    assert_error(send(Request("PUT", path_of(name))), 400, "InvalidBucketName")


@pytest.mark.parametrize("name", ["abc", "0starts-with-digit", "dots.in.it", "a" * 60 + "bcd"])
def test_a_bucket_name_within_the_rules_is_taken(s3, name):
    s3.create_bucket(Bucket=name)
    s3.delete_bucket(Bucket=name)


def test_a_location_constraint_is_checked_and_told_back(send, s3):
    def body(region):
        return (f'<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>{region}'
                "</LocationConstraint></CreateBucketConfiguration>").encode()
    name = new_name()
    response = send(Request("PUT", path_of(name), body=body("eu-central-7")))
    assert response.status == 200, str(response)
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] == "eu-central-7"
    assert_error(send(Request("PUT", path_of(new_name()), body=b"<CreateBucketConfiguration><Loc")), 400, "MalformedXML")


def test_the_expected_owner_must_be_the_owner(s3, bucket):
    owner = s3.list_buckets()["Owner"]["ID"]
    s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=owner)
    with refused("403", 403):
        s3.head_bucket(Bucket=bucket, ExpectedBucketOwner="somebody-else")
    with refused("AccessDenied", 403):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", ExpectedBucketOwner="somebody-else")


def test_nobody_reads_without_signing(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    for request in (Request("GET", path_of(bucket)), Request("GET", path_of(bucket, "k")),
                    Request("PUT", path_of(bucket, "new"), headers=[("content-length", "1")], body=b"x"),
                    Request("DELETE", path_of(bucket, "k")), Request("DELETE", path_of(bucket)),
                    Request("POST", path_of(bucket, "k"), "uploads", headers=[("content-length", "0")])):
        request.set("host", "127.0.0.1")
        assert_error(exchange(server.endpoint, request), 403, "AccessDenied")
    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == 1
    # Asked for all buckets, nobody has none.
    response = exchange(server.endpoint, Request("GET", "/", headers=[("host", "127.0.0.1")]))
    assert response.status == 200 and b"<Bucket>" not in response.body


def test_create_bucket_answers_its_location(server, send):
    name = new_name()
    response = send(Request("PUT", path_of(name)))
    assert (response.status, response.header("location")) == (200, f"/{name}"), str(response)


def test_the_dates_of_buckets_are_in_the_form_of_s3(send, bucket):
    root = send(Request("GET", "/")).xml
    namespace = "{http://s3.amazonaws.com/doc/2006-03-01/}"
    assert root.tag == f"{namespace}ListAllMyBucketsResult"
    dates = [element.text for element in root.iter(f"{namespace}CreationDate")]
    assert dates and all(ISO_DATE.fullmatch(date) for date in dates), dates


def test_a_key_of_another_user_does_not_open_the_door(server, bucket):
    signer = Signer(BOB.access_key, "not-bobs-secret")
    request = signer.sign(Request("GET", path_of(bucket)), server.endpoint)
    assert_error(exchange(server.endpoint, request), 403, "SignatureDoesNotMatch")
