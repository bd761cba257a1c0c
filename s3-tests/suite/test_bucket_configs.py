"""What an owner sets on a bucket: it comes back as it was given, replaces what was there, goes when it is taken away; and a
document that is not right changes nothing.
"""

import datetime

import pytest

from conftest import new_name
from harness.server import ALICE
from harness.sigv4 import content_md5
from harness.wire import Request, path_of
from support import assert_error, refused

MIDNIGHT = datetime.datetime(2031, 5, 1, tzinfo=datetime.timezone.utc)

CORS = {"CORSRules": [
    {"ID": "one", "AllowedMethods": ["GET", "PUT"], "AllowedOrigins": ["http://*.example.com"], "AllowedHeaders": ["x-amz-*"],
     "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 3000},
    {"AllowedMethods": ["HEAD"], "AllowedOrigins": ["*"]},
]}
LIFECYCLE = {"Rules": [
    {"ID": "logs", "Filter": {"Prefix": "logs/"}, "Status": "Enabled", "Expiration": {"Days": 30},
     "NoncurrentVersionExpiration": {"NoncurrentDays": 3, "NewerNoncurrentVersions": 2}},
    {"ID": "all", "Filter": {}, "Status": "Disabled", "Expiration": {"ExpiredObjectDeleteMarker": True},
     "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}},
    {"ID": "large", "Status": "Enabled", "Expiration": {"Date": MIDNIGHT},
     "Filter": {"And": {"Prefix": "a/", "Tags": [{"Key": "k", "Value": "a/b + c"}], "ObjectSizeGreaterThan": 5, "ObjectSizeLessThan": 1 << 33}}},
    {"ID": "old form", "Prefix": "p/", "Status": "Enabled", "Expiration": {"Days": 1}},
]}
SITE = {
    "IndexDocument": {"Suffix": "index.html"}, "ErrorDocument": {"Key": "error.html"},
    "RoutingRules": [{"Condition": {"KeyPrefixEquals": "docs/", "HttpErrorCodeReturnedEquals": "404"},
                      "Redirect": {"HostName": "example.com", "Protocol": "https", "ReplaceKeyPrefixWith": "documents/", "HttpRedirectCode": "302"}}],
}
TAGS = {"TagSet": [{"Key": "colour", "Value": "grün"}, {"Key": "team", "Value": ""}]}


def encryption(algorithm, **more):
    return {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm, **more}, "BucketKeyEnabled": bool(more)}]}


# Put, its argument, get, delete; documents that come back as they are; the answer when it is gone.
KINDS = {
    "cors": ("put_bucket_cors", "CORSConfiguration", "get_bucket_cors", "delete_bucket_cors",
             [CORS, {"CORSRules": CORS["CORSRules"][1:]}], "NoSuchCORSConfiguration"),
    "lifecycle": ("put_bucket_lifecycle_configuration", "LifecycleConfiguration", "get_bucket_lifecycle_configuration", "delete_bucket_lifecycle",
                  [LIFECYCLE, {"Rules": LIFECYCLE["Rules"][:1]}], "NoSuchLifecycleConfiguration"),
    "website": ("put_bucket_website", "WebsiteConfiguration", "get_bucket_website", "delete_bucket_website",
                [SITE, {"RedirectAllRequestsTo": {"HostName": "example.com", "Protocol": "http"}}, {"IndexDocument": {"Suffix": "i"}}],
                "NoSuchWebsiteConfiguration"),
    "tagging": ("put_bucket_tagging", "Tagging", "get_bucket_tagging", "delete_bucket_tagging",
                [TAGS, {"TagSet": TAGS["TagSet"][:1]}], "NoSuchTagSet"),
}


def shown(answer):
    return {key: value for key, value in answer.items() if key not in ("ResponseMetadata", "TransitionDefaultMinimumObjectSize")}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_document_comes_back_is_replaced_and_goes(s3, bucket, kind):
    put, argument, get, delete, documents, absent = KINDS[kind]
    for document in documents:
        getattr(s3, put)(Bucket=bucket, **{argument: document})
        assert shown(getattr(s3, get)(Bucket=bucket)) == document
    for _ in range(2):
        assert getattr(s3, delete)(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
        with refused(absent, 404):
            getattr(s3, get)(Bucket=bucket)


def test_the_default_encryption_comes_back_is_replaced_and_goes(s3, bucket):
    for document in (encryption("aws:kms", KMSMasterKeyID="key-1"), encryption("aws:kms"), encryption("AES256")):
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=document)
        assert s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"] == document
    for _ in range(2):
        assert s3.delete_bucket_encryption(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
        with refused("ServerSideEncryptionConfigurationNotFoundError", 404):
            s3.get_bucket_encryption(Bucket=bucket)


def test_who_pays_comes_back(s3, bucket):
    for payer in ("Requester", "BucketOwner"):
        s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": payer})
        assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == payer


def test_acceleration_can_be_off(s3, bucket):
    s3.put_bucket_accelerate_configuration(Bucket=bucket, AccelerateConfiguration={"Status": "Suspended"})
    assert s3.get_bucket_accelerate_configuration(Bucket=bucket)["Status"] == "Suspended"


def test_a_log_goes_to_another_bucket_that_lets_the_service_in(s3, bobs, bucket):
    target, foreign = new_name("logs"), new_name("logs-of-bob")
    s3.create_bucket(Bucket=target)
    for one in (target, bucket):
        s3.put_bucket_acl(Bucket=one, ACL="log-delivery-write")
    bobs.create_bucket(Bucket=foreign)

    def set_to(to, of=bucket, **more):
        return s3.put_bucket_logging(Bucket=of, BucketLoggingStatus={"LoggingEnabled": {"TargetBucket": to, "TargetPrefix": "log/", **more}})

    by_day = {"PartitionedPrefix": {"PartitionDateSource": "EventTime"}}
    set_to(target, TargetObjectKeyFormat=by_day)
    assert s3.get_bucket_logging(Bucket=bucket)["LoggingEnabled"] == {
        "TargetBucket": target, "TargetPrefix": "log/", "TargetObjectKeyFormat": by_day}
    owner = {"Grantee": {"Type": "CanonicalUser", "ID": ALICE.id}, "Permission": "FULL_CONTROL"}
    set_to(target, TargetGrants=[owner])
    assert s3.get_bucket_logging(Bucket=bucket)["LoggingEnabled"] == {
        "TargetBucket": target, "TargetPrefix": "log/", "TargetObjectKeyFormat": {"SimplePrefix": {}}}

    with refused("NoSuchKey", 404):
        set_to(target + "-absent")
    for unfit in (lambda: set_to(bucket), lambda: set_to(bucket, of=target)):
        with refused("InvalidArgument", 400):
            unfit()
    with refused("AccessDenied", 403):
        set_to(foreign)
    with refused("NotImplemented", 501):
        set_to(target, TargetGrants=[{"Grantee": {"Type": "CanonicalUser", "ID": "somebody"}, "Permission": "READ"}])
    with refused("MalformedXML", 400):
        set_to(target, TargetObjectKeyFormat={"PartitionedPrefix": {"PartitionDateSource": "kaboom"}})
    assert "LoggingEnabled" in s3.get_bucket_logging(Bucket=bucket)
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={})
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)


def test_a_bucket_that_is_encrypted_or_lets_others_pay_takes_no_log(s3, bucket):
    def refuses(target):
        with refused("InvalidArgument", 400):
            s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": {"TargetBucket": target, "TargetPrefix": ""}})

    encrypted, paid = new_name("encrypted"), new_name("paid")
    s3.create_bucket(Bucket=encrypted)
    s3.create_bucket(Bucket=paid)
    for one in (encrypted, paid):
        s3.put_bucket_acl(Bucket=one, ACL="log-delivery-write")
    s3.put_bucket_encryption(Bucket=encrypted, ServerSideEncryptionConfiguration=encryption("AES256"))
    s3.put_bucket_request_payment(Bucket=paid, RequestPaymentConfiguration={"Payer": "Requester"})
    refuses(encrypted)
    refuses(paid)


def test_a_notification_needs_a_destination_that_is_known(s3, bucket):
    target = {"QueueArn": "arn:aws:sqs:us-east-1:1:nobody", "Events": ["s3:ObjectCreated:*"]}
    with refused("InvalidArgument", 400):
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [target]})
    with refused("NotImplemented", 501):
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}})
    with refused("NotImplemented", 501):
        s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [target]}, SkipDestinationValidation=True)
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    assert shown(s3.get_bucket_notification_configuration(Bucket=bucket)) == {}


# --- lifecycle ---

def put_rules(s3, bucket, *rules, **more):
    return s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": list(rules)}, **more)


def rule(**more):
    return {"ID": "r", "Filter": {"Prefix": ""}, "Status": "Enabled", **more}


def test_a_lifecycle_rule_without_a_name_gets_one(s3, bucket):
    put_rules(s3, bucket, {"Prefix": "a", "Status": "Enabled", "Expiration": {"Days": 1}}, {"Prefix": "b", "Status": "Enabled", "Expiration": {"Days": 2}})
    names = [rule["ID"] for rule in s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]]
    assert len(set(names)) == 2 and all(names)


@pytest.mark.parametrize("code, wrong", [
    ("InvalidArgument", rule(Expiration={"Days": 0})),
    ("InvalidArgument", rule(Expiration={"Date": MIDNIGHT + datetime.timedelta(hours=1)})),
    ("InvalidArgument", rule(ID="x" * 256, Expiration={"Days": 1})),
    ("InvalidArgument", rule(NoncurrentVersionExpiration={"NoncurrentDays": 0})),
    ("InvalidArgument", rule(AbortIncompleteMultipartUpload={"DaysAfterInitiation": 0})),
    ("InvalidRequest", rule()),
    ("InvalidRequest", rule(Filter={"Tag": {"Key": "k", "Value": "v"}}, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1})),
    ("MalformedXML", rule(Status="enabled", Expiration={"Days": 1})),
    ("MalformedXML", rule(Expiration={"Days": 1, "Date": MIDNIGHT})),
    ("MalformedXML", rule(Prefix="p", Expiration={"Days": 1})),
    ("InvalidStorageClass", rule(Transitions=[{"Days": 1, "StorageClass": "GLACIER"}])),
])
def test_a_lifecycle_that_is_not_right_changes_nothing(s3, bucket, code, wrong):
    before = rule(ID="before", Expiration={"Days": 9})
    put_rules(s3, bucket, before)
    with refused(code):
        put_rules(s3, bucket, wrong)
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"] == [before]


def test_two_lifecycle_rules_have_two_names(s3, bucket):
    with refused("InvalidArgument", 400):
        put_rules(s3, bucket, rule(Expiration={"Days": 1}), rule(Filter={"Prefix": "x"}, Expiration={"Days": 2}))


def test_the_least_size_to_move_is_kept_beside_the_rules(s3, bucket):
    for given, expected in (({}, "all_storage_classes_128K"),
                            ({"TransitionDefaultMinimumObjectSize": "varies_by_storage_class"}, "varies_by_storage_class")):
        put = put_rules(s3, bucket, rule(Expiration={"Days": 1}), **given)
        get = s3.get_bucket_lifecycle_configuration(Bucket=bucket)
        assert put["TransitionDefaultMinimumObjectSize"] == get["TransitionDefaultMinimumObjectSize"] == expected
    with refused("InvalidArgument", 400):
        put_rules(s3, bucket, rule(Expiration={"Days": 1}), TransitionDefaultMinimumObjectSize="none")


# --- other documents that are not right ---

@pytest.mark.parametrize("code, wrong", [
    ("InvalidRequest", {"AllowedMethods": ["PATCH"], "AllowedOrigins": ["*"]}),
    ("InvalidRequest", {"AllowedMethods": ["GET"], "AllowedOrigins": ["http://*.*"]}),
    ("InvalidRequest", {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "ExposeHeaders": ["*"]}),
    ("MalformedXML", {"AllowedMethods": [], "AllowedOrigins": ["*"]}),
])
def test_cors_that_is_not_right_is_refused(s3, bucket, code, wrong):
    with refused(code, 400):
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [wrong]})


@pytest.mark.parametrize("tags", [
    [("k", "1"), ("k", "2")], [("aws:k", "1")], [("k" * 129, "")], [("k", "v" * 257)], [("k", "a&b")], [(f"k{n}", "") for n in range(51)],
])
def test_bucket_tags_that_are_not_right_are_refused(s3, bucket, tags):
    with refused("InvalidTag", 400):
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": key, "Value": value} for key, value in tags]})


@pytest.mark.parametrize("code, status, document", [
    ("InvalidArgument", 400, encryption("AES256", KMSMasterKeyID="k")),
    ("NotImplemented", 501, encryption("aws:kms:dsse")),
    ("MalformedXML", 400, encryption("aes:kms")),
    ("MalformedXML", 400, {"Rules": encryption("AES256")["Rules"] * 2}),
])
def test_a_default_encryption_that_is_not_right_is_refused(s3, bucket, code, status, document):
    with refused(code, status):
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=document)


@pytest.mark.parametrize("code, document", [
    ("InvalidArgument", {}),
    ("InvalidArgument", {"IndexDocument": {"Suffix": "a/b"}}),
    ("InvalidRequest", {"IndexDocument": {"Suffix": "i"}, "RedirectAllRequestsTo": {"HostName": "h"}}),
    ("InvalidRequest", {"RedirectAllRequestsTo": {"HostName": "h\nSet-Cookie: a=b"}}),
    ("InvalidRequest", {"IndexDocument": {"Suffix": "i"}, "RoutingRules": [{"Redirect": {"HostName": "h é"}}]}),
    ("InvalidRequest", {"IndexDocument": {"Suffix": "i"}, "RoutingRules": [{"Redirect": {"ReplaceKeyWith": "a", "ReplaceKeyPrefixWith": "b"}}]}),
])
def test_a_site_that_is_not_right_is_refused(s3, bucket, code, document):
    with refused(code, 400):
        s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration=document)


# --- bodies ---

TAGGING = b"<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>"


def put(bucket, query, body, *headers):
    return Request("PUT", path_of(bucket), query, headers=list(headers), body=body)


@pytest.mark.parametrize("query, body", [
    ("tagging", TAGGING),
    ("cors", b"<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule></CORSConfiguration>"),
    ("lifecycle", b"<LifecycleConfiguration><Rule><Prefix/><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>"),
])
def test_some_documents_must_be_vouched_for(send, bucket, query, body):
    assert_error(send(put(bucket, query, body)), 400, "InvalidRequest")
    assert send(put(bucket, query, body, ("content-md5", content_md5(body)))).status in (200, 204)


def test_a_body_that_was_changed_on_the_way_changes_nothing(send, s3, bucket):
    other = content_md5(b"other")
    assert_error(send(put(bucket, "tagging", TAGGING, ("content-md5", other))), 400, "BadDigest")
    with refused("NoSuchTagSet", 404):
        s3.get_bucket_tagging(Bucket=bucket)


@pytest.mark.parametrize("body, code", [
    (b"", "MissingRequestBodyError"), (b"<Tagging>", "MalformedXML"), (b"<Tags/>", "MalformedXML"), (b"not xml", "MalformedXML"),
    (TAGGING + b"<!--" + b"x" * (64 << 10) + b"-->", "MaxMessageLengthExceeded"),
    (b"<!DOCTYPE a [<!ENTITY e 'x'>]><Tagging><TagSet><Tag><Key>&e;</Key><Value/></Tag></TagSet></Tagging>", "MalformedXML"),
])
def test_a_body_that_is_no_such_document_is_refused(send, bucket, body, code):
    assert_error(send(put(bucket, "tagging", body, ("content-md5", content_md5(body)))), 400, code)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_only_the_owner_of_a_bucket_that_exists_sets_anything_on_it(s3, bobs, bucket, kind):
    put, argument, get, delete, documents, absent = KINDS[kind]
    document = {argument: documents[0]}
    for attempt in (lambda: getattr(bobs, put)(Bucket=bucket, **document), lambda: getattr(bobs, delete)(Bucket=bucket),
                    lambda: getattr(s3, put)(Bucket=bucket, ExpectedBucketOwner="somebody-else", **document),
                    lambda: getattr(s3, delete)(Bucket=bucket, ExpectedBucketOwner="somebody-else")):
        with refused("AccessDenied", 403):
            attempt()
    for attempt in (lambda: getattr(s3, put)(Bucket=bucket + "-absent", **document), lambda: getattr(s3, delete)(Bucket=bucket + "-absent")):
        with refused("NoSuchBucket", 404):
            attempt()
    with refused(absent, 404):
        getattr(s3, get)(Bucket=bucket)


def test_what_was_set_survives_a_restart(new_server):
    from harness.clients import boto
    server = new_server()
    server.start().wait_ready()
    client = boto(server.endpoint, (ALICE.access_key, ALICE.secret_key))
    client.create_bucket(Bucket="kept")
    client.put_bucket_tagging(Bucket="kept", Tagging=TAGS)
    put_rules(client, "kept", *LIFECYCLE["Rules"])
    server.kill()
    server.start().wait_ready()
    client = boto(server.endpoint, (ALICE.access_key, ALICE.secret_key), retries=5)
    assert client.get_bucket_tagging(Bucket="kept")["TagSet"] == TAGS["TagSet"]
    assert client.get_bucket_lifecycle_configuration(Bucket="kept")["Rules"] == LIFECYCLE["Rules"]
