"""Requester pays: others than the owner must say that they pay, and are told that they do."""

import json
import urllib.error
import urllib.request

import pytest

from conftest import keys_of, new_name
from harness.clients import boto
from harness.server import ALICE, BOB
from harness.sigv4 import Signer
from harness.wire import Request, exchange, path_of
from support import keys_in, refused

PAYS = {"RequestPayer": "requester"}


@pytest.fixture
def paid(s3):
    """A bucket of Alice's that lets everybody do everything, if they pay for it."""
    name = new_name("paid")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]}]}))
    s3.put_object(Bucket=name, Key="k", Body=b"x" * 100)
    s3.put_bucket_request_payment(Bucket=name, RequestPaymentConfiguration={"Payer": "Requester"})
    return name


def operations(client, bucket, own):
    """Of every kind, with what each needs."""
    upload = {}
    return [
        lambda more: client.get_object(Bucket=bucket, Key="k", **more),
        lambda more: client.get_object(Bucket=bucket, Key="k", Range="bytes=0-1", **more),
        lambda more: client.head_object(Bucket=bucket, Key="k", **more),
        lambda more: client.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ETag"], **more),
        lambda more: client.get_object_tagging(Bucket=bucket, Key="k", **more),
        lambda more: client.list_objects(Bucket=bucket, **more),
        lambda more: client.list_objects_v2(Bucket=bucket, **more),
        lambda more: client.list_object_versions(Bucket=bucket, **more),
        lambda more: client.put_object(Bucket=bucket, Key="new", Body=b"y", **more),
        lambda more: client.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "k"}, **more),
        lambda more: client.copy_object(Bucket=own, Key="copy", CopySource={"Bucket": bucket, "Key": "k"}, **more),
        lambda more: upload.update(client.create_multipart_upload(Bucket=bucket, Key="parts", **more)) or upload,
        lambda more: client.upload_part(Bucket=bucket, Key="parts", UploadId=upload.get("UploadId", "none"), PartNumber=1, Body=b"z", **more),
        lambda more: client.list_parts(Bucket=bucket, Key="parts", UploadId=upload.get("UploadId", "none"), **more),
        lambda more: client.abort_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload.get("UploadId", "none"), **more),
        lambda more: client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "copy"}]}, **more),
        lambda more: client.delete_object(Bucket=bucket, Key="new", **more),
    ]


def charged(answer):
    return answer.get("RequestCharged") or answer["ResponseMetadata"]["HTTPHeaders"].get("x-amz-request-charged")


def test_others_pay_or_are_refused_whatever_they_ask_for(bobs, paid):
    own = new_name("own")
    bobs.create_bucket(Bucket=own)
    for number, operation in enumerate(operations(bobs, paid, own)):
        with pytest.raises(bobs.exceptions.ClientError) as caught:
            operation({})
        error = caught.value.response
        assert error["ResponseMetadata"]["HTTPStatusCode"] == 403, (number, error)
        assert charged(error) is None, number
        assert charged(operation(PAYS)) == "requester", number


def test_the_owner_pays_for_their_own_requests_and_is_charged_nothing(s3, paid):
    own = new_name("own")
    s3.create_bucket(Bucket=own)
    for more in ({}, PAYS):
        for operation in operations(s3, paid, own):
            assert charged(operation(more)) is None


def test_nobody_in_particular_cannot_pay(server, paid):
    for headers in ({}, {"x-amz-request-payer": "requester"}):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(urllib.request.Request(f"{server.endpoint}/{paid}/k", headers=headers))
        assert caught.value.code == 403


def test_another_word_is_no_promise(bobs, paid):
    with refused("AccessDenied", 403):
        bobs.list_objects_v2(Bucket=paid, RequestPayer="nobody")


def test_a_presigned_url_says_it_too(server, paid):
    bobs = boto(server.endpoint, keys_of(BOB), signature_version="s3v4")
    silent = bobs.generate_presigned_url("get_object", Params={"Bucket": paid, "Key": "k"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(silent)
    assert caught.value.code == 403
    url = bobs.generate_presigned_url("get_object", Params={"Bucket": paid, "Key": "k", **PAYS})
    with urllib.request.urlopen(urllib.request.Request(url, headers={"x-amz-request-payer": "requester"})) as answer:
        assert (answer.read(), answer.headers["x-amz-request-charged"]) == (b"x" * 100, "requester")
    in_query = Request("GET", path_of(paid, "k"), "x-amz-request-payer=requester")
    answer = exchange(server.endpoint, Signer(BOB.access_key, BOB.secret_key).presign(in_query, server.endpoint))
    assert (answer.status, answer.header("x-amz-request-charged")) == (200, "requester"), str(answer)


def test_it_counts_from_the_moment_that_it_is_set_and_until_it_is_taken_back(s3, bobs, paid):
    with refused("AccessDenied", 403):
        bobs.list_objects_v2(Bucket=paid)
    s3.put_bucket_request_payment(Bucket=paid, RequestPaymentConfiguration={"Payer": "BucketOwner"})
    answer = bobs.list_objects_v2(Bucket=paid, **PAYS)
    assert keys_in(answer) == ["k"] and charged(answer) is None
    s3.put_bucket_request_payment(Bucket=paid, RequestPaymentConfiguration={"Payer": "Requester"})
    with refused("AccessDenied", 403):
        bobs.list_objects_v2(Bucket=paid)


def test_who_may_not_pays_in_vain(s3, bobs, bucket):
    s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "Requester"})
    with refused("AccessDenied", 403):
        bobs.list_objects_v2(Bucket=bucket, **PAYS)
    assert s3.get_bucket_acl(Bucket=bucket)["Owner"]["ID"] == ALICE.id
