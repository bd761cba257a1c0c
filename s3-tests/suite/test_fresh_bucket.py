"""What a bucket shows on which nothing was set: the answers of AWS, one for each sub-resource, so that tools which look at all of
them before they change anything (Terraform's `plan`) find what they expect.
"""

import botocore.session
import pytest

from conftest import new_name
from harness.clients import boto
from harness.server import ALICE
from harness.wire import Request, path_of
from support import assert_error, refused

OWNER = {"ID": ALICE.id, "DisplayName": ALICE.display_name}

# Each operation of botocore's model with what a fresh bucket answers: a document, or an error of status 404 by its code.
DOCUMENTS = {
    "GetBucketAbac": {"AbacStatus": {"Status": "Disabled"}},
    "GetBucketAccelerateConfiguration": {},
    "GetBucketAcl": {"Owner": OWNER, "Grants": [{"Grantee": {**OWNER, "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}]},
    "GetBucketLocation": {"LocationConstraint": None},
    "GetBucketLogging": {},
    "GetBucketNotificationConfiguration": {},
    "GetBucketPolicyStatus": {"PolicyStatus": {"IsPublic": False}},
    "GetBucketRequestPayment": {"Payer": "BucketOwner"},
    "GetBucketVersioning": {},
    "ListBucketAnalyticsConfigurations": {"IsTruncated": False},
    "ListBucketIntelligentTieringConfigurations": {"IsTruncated": False},
    "ListBucketInventoryConfigurations": {"IsTruncated": False},
    "ListBucketMetricsConfigurations": {"IsTruncated": False},
}
ERRORS = {
    "GetBucketAnalyticsConfiguration": "NoSuchConfiguration",
    "GetBucketCors": "NoSuchCORSConfiguration",
    "GetBucketEncryption": "ServerSideEncryptionConfigurationNotFoundError",
    "GetBucketIntelligentTieringConfiguration": "NoSuchConfiguration",
    "GetBucketInventoryConfiguration": "NoSuchConfiguration",
    "GetBucketLifecycleConfiguration": "NoSuchLifecycleConfiguration",
    "GetBucketMetadataConfiguration": "MetadataConfigurationNotFound",
    "GetBucketMetadataTableConfiguration": "MetadataConfigurationNotFound",
    "GetBucketMetricsConfiguration": "NoSuchConfiguration",
    "GetBucketOwnershipControls": "OwnershipControlsNotFoundError",
    "GetBucketPolicy": "NoSuchBucketPolicy",
    "GetBucketReplication": "ReplicationConfigurationNotFoundError",
    "GetBucketTagging": "NoSuchTagSet",
    "GetBucketWebsite": "NoSuchWebsiteConfiguration",
    "GetObjectLockConfiguration": "ObjectLockConfigurationNotFoundError",
    "GetPublicAccessBlock": "NoSuchPublicAccessBlockConfiguration",
}
# Old names of what is in the tables, with the same request.
DEPRECATED = {"GetBucketLifecycle", "GetBucketNotification"}
NEEDS_ID = {"GetBucketAnalyticsConfiguration", "GetBucketIntelligentTieringConfiguration", "GetBucketInventoryConfiguration",
            "GetBucketMetricsConfiguration"}
MODEL = botocore.session.get_session().get_service_model("s3")


def ask(client, operation, bucket, **more):
    arguments = {"Bucket": bucket, **({"Id": "any"} if operation in NEEDS_ID else {}), **more}
    answer = client._make_api_call(operation, arguments)
    assert answer.pop("ResponseMetadata")["HTTPStatusCode"] == 200
    return answer


def test_every_question_about_a_bucket_is_in_the_tables():
    def is_about_a_bucket(name):
        members = MODEL.operation_model(name).input_shape.members if MODEL.operation_model(name).input_shape else {}
        reads = MODEL.operation_model(name).http["method"] == "GET"
        return reads and "Bucket" in members and "Key" not in members and "?" in MODEL.operation_model(name).http["requestUri"]

    lists = {"ListObjectsV2", "ListObjectVersions", "ListMultipartUploads"}
    wanted = {name for name in MODEL.operation_names if is_about_a_bucket(name)} - DEPRECATED - lists - {"CreateSession"}
    assert wanted == DOCUMENTS.keys() | ERRORS.keys()


@pytest.mark.parametrize("operation", sorted(DOCUMENTS))
def test_a_fresh_bucket_answers_with_a_document(s3, bucket, operation):
    assert ask(s3, operation, bucket) == DOCUMENTS[operation]


@pytest.mark.parametrize("operation", sorted(ERRORS))
def test_a_fresh_bucket_answers_with_an_error(s3, bucket, operation):
    with refused(ERRORS[operation], 404):
        ask(s3, operation, bucket)


@pytest.mark.parametrize("operation", sorted(DOCUMENTS.keys() | ERRORS.keys()))
def test_questions_are_for_the_owner_of_a_bucket_that_exists(s3, bobs, bucket, operation):
    with refused("AccessDenied", 403):
        ask(bobs, operation, bucket)
    with refused("NoSuchBucket", 404):
        ask(s3, operation, bucket + "-absent")
    with refused("AccessDenied", 403):
        ask(s3, operation, bucket, ExpectedBucketOwner="somebody-else")


def test_an_administrator_asks_too(root, bucket):
    assert ask(root, "GetBucketRequestPayment", bucket) == {"Payer": "BucketOwner"}


@pytest.mark.parametrize("query, root", [
    ("analytics", "ListBucketAnalyticsConfigurationResult"), ("inventory", "ListInventoryConfigurationsResult"),
    ("metrics", "ListMetricsConfigurationsResult"), ("intelligent-tiering", "ListBucketIntelligentTieringConfigurationsOutput"),
    ("logging", "BucketLoggingStatus"), ("notification", "NotificationConfiguration"), ("accelerate", "AccelerateConfiguration"),
    ("requestPayment", "RequestPaymentConfiguration"), ("acl", "AccessControlPolicy"),
])
def test_documents_have_their_roots(send, bucket, query, root):
    """Clients that read XML by its names look at this one, too."""
    assert send(Request("GET", path_of(bucket), query)).xml.tag == "{http://s3.amazonaws.com/doc/2006-03-01/}" + root


# What has no effect here is refused, never stored.
REFUSED = [
    ("PUT", "abac", b"<AbacStatus><Status>Enabled</Status></AbacStatus>"),
    ("PUT", "analytics&id=a", b"<AnalyticsConfiguration/>"),
    ("PUT", "intelligent-tiering&id=a", b"<IntelligentTieringConfiguration/>"),
    ("PUT", "inventory&id=a", b"<InventoryConfiguration/>"),
    ("PUT", "metrics&id=a", b"<MetricsConfiguration/>"),
    ("PUT", "replication", b"<ReplicationConfiguration/>"),
    ("POST", "metadataConfiguration", b"<MetadataConfiguration/>"),
    ("POST", "metadataTable", b"<MetadataTableConfiguration/>"),
    ("PUT", "accelerate", b"<AccelerateConfiguration><Status>Enabled</Status></AccelerateConfiguration>"),
]


@pytest.mark.parametrize("method, query, body", REFUSED)
def test_what_would_have_no_effect_is_not_taken(send, bucket, method, query, body):
    assert_error(send(Request(method, path_of(bucket), query, body=body)), 501, "NotImplemented")


def test_a_bucket_made_again_is_fresh(server):
    """Nothing set on a bucket outlives it."""
    client = boto(server.endpoint, (ALICE.access_key, ALICE.secret_key))
    name = new_name("again")
    client.create_bucket(Bucket=name)
    client.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    client.put_bucket_request_payment(Bucket=name, RequestPaymentConfiguration={"Payer": "Requester"})
    client.delete_bucket(Bucket=name)
    client.create_bucket(Bucket=name)
    with refused("NoSuchTagSet", 404):
        client.get_bucket_tagging(Bucket=name)
    assert client.get_bucket_request_payment(Bucket=name)["Payer"] == "BucketOwner"
