"""All of S3 as botocore's model tells it: every operation and every header of one is answered as itself or refused.

A new botocore brings what S3 has got since. What is not in the server's table then fails here, before a client finds out that
its request was taken for another one: an unknown name in a query must not make `PUT /key?name` the key's bytes.
"""

import botocore.session
import pytest

from harness.server import ALICE
from harness.sigv4 import content_md5
from harness.wire import Request, path_of
from support import body_of

MODEL = botocore.session.get_session().get_service_model("s3")

# They have an endpoint of their own, which no request to this one can mean.
ELSEWHERE = {"WriteGetObjectResponse", "ListDirectoryBuckets"}


def split(name):
    """Method, whether it is about an object, and the fixed query of an operation."""
    http = MODEL.operation_model(name).http
    path, _, query = http["requestUri"].partition("?")
    return http["method"], "{Key+}" in path, query


WITH_SUBRESOURCE = [name for name in MODEL.operation_names if name not in ELSEWHERE and split(name)[2]]
BUILT_SUBRESOURCES = {
    "CreateMultipartUpload",
    "DeleteBucketCors",
    "DeleteBucketEncryption",
    "DeleteBucketLifecycle",
    "DeleteBucketOwnershipControls",
    "DeleteBucketPolicy",
    "DeleteBucketTagging",
    "DeleteBucketWebsite",
    "DeleteObjectTagging",
    "DeleteObjects",
    "DeletePublicAccessBlock",
    "GetBucketAbac",
    "GetBucketAccelerateConfiguration",
    "GetBucketAcl",
    "GetBucketAnalyticsConfiguration",
    "GetBucketCors",
    "GetBucketEncryption",
    "GetBucketIntelligentTieringConfiguration",
    "GetBucketInventoryConfiguration",
    "GetBucketLifecycle",
    "GetBucketLifecycleConfiguration",
    "GetBucketLocation",
    "GetBucketLogging",
    "GetBucketMetadataConfiguration",
    "GetBucketMetadataTableConfiguration",
    "GetBucketMetricsConfiguration",
    "GetBucketNotification",
    "GetBucketNotificationConfiguration",
    "GetBucketOwnershipControls",
    "GetBucketPolicy",
    "GetBucketPolicyStatus",
    "GetBucketReplication",
    "GetBucketRequestPayment",
    "GetBucketTagging",
    "GetBucketVersioning",
    "GetBucketWebsite",
    "GetObjectAcl",
    "GetObjectAttributes",
    "GetObjectLegalHold",
    "GetObjectLockConfiguration",
    "GetObjectRetention",
    "GetObjectTagging",
    "GetPublicAccessBlock",
    "ListBucketAnalyticsConfigurations",
    "ListBucketIntelligentTieringConfigurations",
    "ListBucketInventoryConfigurations",
    "ListBucketMetricsConfigurations",
    "GetObjectTorrent",
    "ListMultipartUploads",
    "ListObjectVersions",
    "ListObjectsV2",
    "PutBucketAccelerateConfiguration",
    "PutBucketAcl",
    "PutBucketCors",
    "PutBucketEncryption",
    "PutBucketLifecycle",
    "PutBucketLifecycleConfiguration",
    "PutBucketLogging",
    "PutBucketNotification",
    "PutBucketNotificationConfiguration",
    "PutBucketOwnershipControls",
    "PutBucketPolicy",
    "PutBucketRequestPayment",
    "PutBucketTagging",
    "PutBucketVersioning",
    "PutBucketWebsite",
    "PutObjectAcl",
    "PutObjectLegalHold",
    "PutObjectLockConfiguration",
    "PutObjectRetention",
    "PutObjectTagging",
    "PutPublicAccessBlock",
    "RenameObject",
}


def is_built(method, of_object, query):
    """Whether the same sub-resource under another method is a built operation of its own."""
    return any(split(name) == (method, of_object, query) for name in BUILT_SUBRESOURCES)


@pytest.mark.parametrize("name", WITH_SUBRESOURCE)
def test_an_operation_with_a_subresource_is_never_taken_for_another(send, s3, bucket, name):
    s3.put_object(Bucket=bucket, Key="k", Body=b"untouched")
    _, of_object, query = split(name)
    path = path_of(bucket, "k") if of_object else path_of(bucket)
    for method in ("GET", "PUT", "POST", "DELETE"):
        response = send(Request(method, path, query, body=b"<x/>" if method in ("PUT", "POST") else b""))
        own = method == MODEL.operation_model(name).http["method"]
        if own and name not in BUILT_SUBRESOURCES:
            assert (response.status, response.code) == (501, "NotImplemented"), f"{method} {query}: {response}"
        elif method in ("PUT", "POST", "DELETE") and not own:
            assert response.status >= 400 or is_built(method, of_object, query), f"{method} {query}: {response}"
        if not of_object and method == "GET" and own and name not in BUILT_SUBRESOURCES:
            assert b"<Contents>" not in response.body, f"{query} was answered as a listing"
    assert body_of(s3, bucket, "k") == b"untouched"
    # A bucket without objects would go, if its deletion were what this is taken for.
    s3.delete_object(Bucket=bucket, Key="k")
    send(Request("DELETE", path_of(bucket), query))
    s3.head_bucket(Bucket=bucket)


@pytest.mark.parametrize("method, scope", [("PUT", "bucket"), ("DELETE", "bucket"), ("PUT", "object"), ("DELETE", "object"), ("POST", "object")])
def test_a_write_with_a_query_that_nobody_knows_does_nothing(send, s3, bucket, method, scope):
    if scope == "object":
        s3.put_object(Bucket=bucket, Key="k", Body=b"untouched")
    path = path_of(bucket, "k") if scope == "object" else path_of(bucket)
    response = send(Request(method, path, "thingOfTheFuture&x-id=DoThing", body=b"other" if method == "PUT" and scope == "object" else b""))
    assert (response.status, response.code) in ((501, "NotImplemented"), (405, "MethodNotAllowed")), str(response)
    s3.head_bucket(Bucket=bucket)
    if scope == "object":
        assert body_of(s3, bucket, "k") == b"untouched"


def test_annotations_do_not_touch_the_object(s3, bucket):
    """What boto3 does by its own methods, if this one has them."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"untouched")
    if not hasattr(s3, "put_object_annotation"):
        pytest.skip("this boto3 knows no annotations")
    for call in (lambda: s3.put_object_annotation(Bucket=bucket, Key="k", AnnotationName="a", AnnotationPayload=b"text"),
                 lambda: s3.get_object_annotation(Bucket=bucket, Key="k", AnnotationName="a"),
                 lambda: s3.delete_object_annotation(Bucket=bucket, Key="k", AnnotationName="a")):
        with pytest.raises(s3.exceptions.ClientError) as caught:
            call()
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert body_of(s3, bucket, "k") == b"untouched"


# --- headers ---

BUILT = {
    "AbortMultipartUpload": ("DELETE", "k", "uploadId={upload}"), "CompleteMultipartUpload": ("POST", "k", "uploadId={upload}"),
    "CopyObject": ("PUT", "copy", ""), "CreateBucket": ("PUT", None, ""), "CreateMultipartUpload": ("POST", "k", "uploads"),
    "DeleteBucket": ("DELETE", None, ""), "DeleteObject": ("DELETE", "k", ""), "DeleteObjects": ("POST", None, "delete"),
    "GetBucketLocation": ("GET", None, "location"), "GetObject": ("GET", "k", ""), "HeadBucket": ("HEAD", None, ""), "HeadObject": ("HEAD", "k", ""),
    "ListBuckets": ("GET", None, ""), "ListMultipartUploads": ("GET", None, "uploads"), "ListObjectVersions": ("GET", None, "versions"),
    "ListObjects": ("GET", None, ""), "ListObjectsV2": ("GET", None, "list-type=2"), "ListParts": ("GET", "k", "uploadId={upload}"),
    "GetBucketAcl": ("GET", None, "acl"), "GetObjectAcl": ("GET", "k", "acl"), "PutBucketAcl": ("PUT", None, "acl"), "PutObjectAcl": ("PUT", "k", "acl"),
    "PutBucketPolicy": ("PUT", None, "policy"), "DeleteBucketPolicy": ("DELETE", None, "policy"),
    "PutBucketLifecycleConfiguration": ("PUT", None, "lifecycle"), "PutBucketNotificationConfiguration": ("PUT", None, "notification"),
    "PutObject": ("PUT", "k", ""), "UploadPart": ("PUT", "k", "uploadId={upload}&partNumber=1"),
    "UploadPartCopy": ("PUT", "k", "uploadId={upload}&partNumber=1"),
}

# Obeyed, each with tests of its own.
OBEYED = {
    "x-amz-acl",
    "x-amz-bucket-object-lock-enabled",
    "x-amz-bypass-governance-retention",
    "x-amz-checksum-algorithm",
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-mode",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
    "x-amz-checksum-type",
    "x-amz-confirm-remove-self-bucket-access",
    "x-amz-copy-source",
    "x-amz-copy-source-if-match",
    "x-amz-copy-source-if-modified-since",
    "x-amz-copy-source-if-none-match",
    "x-amz-copy-source-if-unmodified-since",
    "x-amz-copy-source-range",
    "x-amz-copy-source-server-side-encryption-customer-algorithm",
    "x-amz-copy-source-server-side-encryption-customer-key",
    "x-amz-copy-source-server-side-encryption-customer-key-md5",
    "x-amz-expected-bucket-owner",
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write",
    "x-amz-grant-write-acp",
    "x-amz-if-match-last-modified-time",
    "x-amz-if-match-size",
    "x-amz-metadata-directive",
    "x-amz-mp-object-size",
    "x-amz-object-lock-legal-hold",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
    "x-amz-object-ownership",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-bucket-key-enabled",
    "x-amz-request-payer",
    "x-amz-server-side-encryption-context",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-server-side-encryption-customer-key-md5",
    "x-amz-source-expected-bucket-owner",
    "x-amz-storage-class",
    "x-amz-tagging",
    "x-amz-tagging-directive",
    "x-amz-transition-default-minimum-object-size",
    "x-amz-website-redirect-location",
    "x-amz-write-offset-bytes",
}
# Nothing to obey: nothing is restored, so that what it asks for is so.
MOOT = {"x-amz-optional-object-attributes"}


def unobeyed():
    for name in sorted(BUILT):
        shape = MODEL.operation_model(name).input_shape
        for member in (shape.members.values() if shape else ()):
            header = member.serialization.get("name", "").lower()
            if member.serialization.get("location") == "header" and header.startswith("x-amz-") and header not in OBEYED | MOOT:
                value = (getattr(member, "enum", None) or ["1"])[-1]
                yield name, header, value


@pytest.fixture
def ask(send, s3, bucket):
    """Sends a whole and valid request of a built operation, with one more header if given."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"untouched")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    etag = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"other")["ETag"]
    acl = f"<AccessControlPolicy><Owner><ID>{ALICE.id}</ID></Owner><AccessControlList/></AccessControlPolicy>".encode()
    bodies = {
        "PutObject": b"other", "UploadPart": b"other", "DeleteObjects": b"<Delete><Object><Key>k</Key></Object></Delete>",
        "CompleteMultipartUpload": f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>".encode(),
        "PutBucketLifecycleConfiguration": b"<LifecycleConfiguration><Rule><Prefix/><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule>"
                                           b"</LifecycleConfiguration>",
        "PutBucketNotificationConfiguration": b"<NotificationConfiguration/>",
        "PutBucketAcl": acl, "PutObjectAcl": acl,
        "PutBucketPolicy": f"""{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Principal": {{"AWS": "{ALICE.id}"}},
                               "Action": "s3:*", "Resource": "arn:aws:s3:::{bucket}"}}]}}""".encode(),
    }

    def ask(name, *headers):
        method, key, query = BUILT[name]
        if name in ("CreateBucket", "DeleteBucket"):
            path = path_of(bucket + "-other")
        else:
            path = path_of(bucket, key) if key else "/" if name == "ListBuckets" else path_of(bucket)
        body, headers = bodies.get(name, b""), list(headers)
        if "Copy" in name:
            headers.append(("x-amz-copy-source", path_of(bucket, "k")))
        if name in ("DeleteObjects", "PutBucketLifecycleConfiguration"):
            headers.append(("content-md5", content_md5(body)))
        return send(Request(method, path, query.format(upload=upload), headers=headers, body=body))
    if not s3.list_buckets(Prefix=bucket + "-other")["Buckets"]:
        s3.create_bucket(Bucket=bucket + "-other")
    return ask


@pytest.mark.parametrize("name", sorted(BUILT))
def test_a_built_operation_is_answered(ask, name):
    """So that what the next test sees refused is refused for its header."""
    assert ask(name).status < 300


@pytest.mark.parametrize("name, header, value", list(unobeyed()))
def test_a_header_is_obeyed_or_refused(ask, s3, bucket, name, header, value):
    response = ask(name, (header, value))
    assert response.status in (400, 501), f"{name} took {header}: {value} and did nothing of it: {response}"
    assert body_of(s3, bucket, "k") == b"untouched"
