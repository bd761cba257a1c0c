"""Assertions that many tests share."""

import contextlib
import re

import pytest
from botocore.exceptions import ClientError


@contextlib.contextmanager
def refused(code, status=None):
    """The client call inside fails with this S3 code, and this status if given."""
    with pytest.raises(ClientError) as caught:
        yield caught
    error = caught.value.response
    assert error["Error"]["Code"] == code, error
    if status is not None:
        assert error["ResponseMetadata"]["HTTPStatusCode"] == status, error


def assert_error(response, status, code):
    """A raw answer is this error, and its XML is whole: what every error body of S3 has.

    `code` may be several, where S3 leaves it open which of two faults is told.
    """
    codes = (code,) if isinstance(code, str) else code
    assert (response.status, response.code) in [(status, c) for c in codes], f"wanted {status} {code}: {response}"
    assert response.header("content-type") == "application/xml", str(response)
    root = response.xml
    assert root.findtext("Message"), str(response)
    assert root.findtext("RequestId") == response.header("x-amz-request-id"), str(response)
    assert response.body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>'), str(response)
    return root


def keys_in(page):
    return [entry["Key"] for entry in page.get("Contents", [])]


def prefixes_in(page):
    return [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]


def body_of(client, bucket, key, **more):
    return client.get_object(Bucket=bucket, Key=key, **more)["Body"].read()


def absent(client, bucket, key):
    """True if nothing of this key is visible: not by HEAD, not in a listing."""
    with refused("404", 404):
        client.head_object(Bucket=bucket, Key=key)
    return key not in keys_in(client.list_objects_v2(Bucket=bucket, Prefix=key))


HTTP_DATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT")
ISO_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
