"""What every operation of S3 answers its bucket's owner, one row an operation; what all others get follows by rule.

A row is the request line, what the owner gets, and what the request needs. `{bucket}` is a bucket of the owner's with the
object `k` in it, `{upload}` an open upload of `k` with one part, whose ETag is `{etag}`. The rules are in `expected`.
"""

from dataclasses import dataclass, field

DENIED, MISMATCH = "403 AccessDenied", "403 SignatureDoesNotMatch"


@dataclass(frozen=True)
class Row:
    line: str
    owner: str = "200"
    body: str = ""
    # Besides what authentication brings; all are signed.
    headers: dict = field(default_factory=dict)
    # Operations that the owner does first, so that there is something to show or to take away.
    after: tuple = ()
    # Done once it cannot be done again: each request that is let through gets a bucket of its own.
    once: bool = False
    locked: bool = False
    # An exception to the rules, by identity or by kind of authentication; why stands beside it.
    but: dict = field(default_factory=dict)

    @property
    def method(self):
        return self.line.split(" ")[0]

    @property
    def target(self):
        path, _, query = self.line.split(" ")[1].partition("?")
        return path, query


def expected(row, identity, good):
    """Who cannot sign gets nowhere; who can, and has no right, learns nothing; the owner and the administrator get the row."""
    if not good:
        return MISMATCH
    if identity in row.but:
        return row.but[identity]
    if identity == "anonymous":
        return DENIED
    # What is not built is so for everybody who can sign.
    if identity in ("owner", "root") or row.owner.startswith("501"):
        return row.owner
    return DENIED


NOT_BUILT = "501 NotImplemented"
ENABLED = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
LOCK = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>"
ACL = ("<AccessControlPolicy><Owner><ID>{owner}</ID></Owner><AccessControlList><Grant>"
       '<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>{owner}</ID></Grantee>'
       "<Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>")
CORS = "<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule></CORSConfiguration>"
ENCRYPTION = ("<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>"
              "</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>")
LIFECYCLE = ("<LifecycleConfiguration><Rule><Prefix/><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule>"
             "</LifecycleConfiguration>")
OWNERSHIP = "<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>"
# Tells nobody but the owner anything.
POLICY = ('{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Principal": {{"AWS": "{owner}"}}, "Action": "s3:*", '
          '"Resource": ["arn:aws:s3:::{bucket}", "arn:aws:s3:::{bucket}/*"]}}]}}')
BLOCK = "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>"
TAGS = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
WEBSITE = "<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument></WebsiteConfiguration>"
COMPLETE = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
RETENTION = "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2099-01-01T00:00:00Z</RetainUntilDate></Retention>"
# S3 Control's: an endpoint of its own in AWS, a path and this header here.
ACCOUNT = {"x-amz-account-id": "{account}"}
COPY = {"x-amz-copy-source": "/{bucket}/k"}

ROWS = {
    # --- the service and buckets ---
    # Everybody has buckets, nobody none; a user needs the right to see the account's.
    "ListBuckets": Row("GET /", but={"anonymous": "200", "other": "200"}),
    # A bucket is whoever's account makes it.
    "CreateBucket": Row("PUT /{bucket}-new", once=True, but={"other": "200"}),
    "HeadBucket": Row("HEAD /{bucket}"),
    "DeleteBucket": Row("DELETE /{bucket}-empty", "204", once=True),
    "GetBucketLocation": Row("GET /{bucket}?location"),
    "ListObjects": Row("GET /{bucket}"),
    "ListObjectsV2": Row("GET /{bucket}?list-type=2"),
    "ListObjectVersions": Row("GET /{bucket}?versions"),
    "ListMultipartUploads": Row("GET /{bucket}?uploads"),
    # Decided key by key: the list of what was refused is the answer.
    "DeleteObjects": Row("POST /{bucket}?delete", body="<Delete><Object><Key>k</Key></Object></Delete>", once=True,
                         but={identity: "200 AccessDenied" for identity in ("anonymous", "other", "user")}),
    "CreateSession": Row("GET /{bucket}?session", NOT_BUILT),
    # --- an account as a whole: a block that blocks nothing, so that other tests see nothing of it ---
    "GetAccountPublicAccessBlock": Row("GET /v20180820/configuration/publicAccessBlock", headers=ACCOUNT, after=("PutAccountPublicAccessBlock",)),
    # It would outlast a delegation token.
    "PutAccountPublicAccessBlock": Row("PUT /v20180820/configuration/publicAccessBlock", "200", "<PublicAccessBlockConfiguration/>", ACCOUNT,
                                       but={"delegation token": DENIED}),
    "DeleteAccountPublicAccessBlock": Row("DELETE /v20180820/configuration/publicAccessBlock", "204", headers=ACCOUNT,
                                          after=("PutAccountPublicAccessBlock",), but={"delegation token": DENIED}),
    # --- what is set on buckets ---
    "GetBucketAbac": Row("GET /{bucket}?abac"),
    "PutBucketAbac": Row("PUT /{bucket}?abac", NOT_BUILT, "<x/>"),
    "GetBucketAccelerateConfiguration": Row("GET /{bucket}?accelerate"),
    "PutBucketAccelerateConfiguration": Row("PUT /{bucket}?accelerate", "200", "<AccelerateConfiguration><Status>Suspended</Status></AccelerateConfiguration>"),
    "GetBucketAcl": Row("GET /{bucket}?acl"),
    "PutBucketAcl": Row("PUT /{bucket}?acl", "200", ACL),
    "GetBucketAnalyticsConfiguration": Row("GET /{bucket}?analytics&id=1", "404 NoSuchConfiguration"),
    "ListBucketAnalyticsConfigurations": Row("GET /{bucket}?analytics"),
    "PutBucketAnalyticsConfiguration": Row("PUT /{bucket}?analytics&id=1", NOT_BUILT, "<x/>"),
    "DeleteBucketAnalyticsConfiguration": Row("DELETE /{bucket}?analytics&id=1", NOT_BUILT),
    "GetBucketCors": Row("GET /{bucket}?cors", after=("PutBucketCors",)),
    "PutBucketCors": Row("PUT /{bucket}?cors", "200", CORS),
    "DeleteBucketCors": Row("DELETE /{bucket}?cors", "204", after=("PutBucketCors",)),
    "GetBucketEncryption": Row("GET /{bucket}?encryption", after=("PutBucketEncryption",)),
    "PutBucketEncryption": Row("PUT /{bucket}?encryption", "200", ENCRYPTION),
    "DeleteBucketEncryption": Row("DELETE /{bucket}?encryption", "204", after=("PutBucketEncryption",)),
    "GetBucketIntelligentTieringConfiguration": Row("GET /{bucket}?intelligent-tiering&id=1", "404 NoSuchConfiguration"),
    "ListBucketIntelligentTieringConfigurations": Row("GET /{bucket}?intelligent-tiering"),
    "PutBucketIntelligentTieringConfiguration": Row("PUT /{bucket}?intelligent-tiering&id=1", NOT_BUILT, "<x/>"),
    "DeleteBucketIntelligentTieringConfiguration": Row("DELETE /{bucket}?intelligent-tiering&id=1", NOT_BUILT),
    "GetBucketInventoryConfiguration": Row("GET /{bucket}?inventory&id=1", "404 NoSuchConfiguration"),
    "ListBucketInventoryConfigurations": Row("GET /{bucket}?inventory"),
    "PutBucketInventoryConfiguration": Row("PUT /{bucket}?inventory&id=1", NOT_BUILT, "<x/>"),
    "DeleteBucketInventoryConfiguration": Row("DELETE /{bucket}?inventory&id=1", NOT_BUILT),
    "GetBucketLifecycleConfiguration": Row("GET /{bucket}?lifecycle", after=("PutBucketLifecycleConfiguration",)),
    "PutBucketLifecycleConfiguration": Row("PUT /{bucket}?lifecycle", "200", LIFECYCLE),
    "DeleteBucketLifecycle": Row("DELETE /{bucket}?lifecycle", "204", after=("PutBucketLifecycleConfiguration",)),
    "GetBucketLogging": Row("GET /{bucket}?logging"),
    "PutBucketLogging": Row("PUT /{bucket}?logging", "200", "<BucketLoggingStatus/>"),
    "GetBucketMetadataConfiguration": Row("GET /{bucket}?metadataConfiguration", "404 MetadataConfigurationNotFound"),
    "CreateBucketMetadataConfiguration": Row("POST /{bucket}?metadataConfiguration", NOT_BUILT, "<x/>"),
    "DeleteBucketMetadataConfiguration": Row("DELETE /{bucket}?metadataConfiguration", NOT_BUILT),
    "GetBucketMetadataTableConfiguration": Row("GET /{bucket}?metadataTable", "404 MetadataConfigurationNotFound"),
    "CreateBucketMetadataTableConfiguration": Row("POST /{bucket}?metadataTable", NOT_BUILT, "<x/>"),
    "DeleteBucketMetadataTableConfiguration": Row("DELETE /{bucket}?metadataTable", NOT_BUILT),
    "UpdateBucketMetadataAnnotationTableConfiguration": Row("PUT /{bucket}?metadataAnnotationTable", NOT_BUILT, "<x/>"),
    "UpdateBucketMetadataInventoryTableConfiguration": Row("PUT /{bucket}?metadataInventoryTable", NOT_BUILT, "<x/>"),
    "UpdateBucketMetadataJournalTableConfiguration": Row("PUT /{bucket}?metadataJournalTable", NOT_BUILT, "<x/>"),
    "GetBucketMetricsConfiguration": Row("GET /{bucket}?metrics&id=1", "404 NoSuchConfiguration"),
    "ListBucketMetricsConfigurations": Row("GET /{bucket}?metrics"),
    "PutBucketMetricsConfiguration": Row("PUT /{bucket}?metrics&id=1", NOT_BUILT, "<x/>"),
    "DeleteBucketMetricsConfiguration": Row("DELETE /{bucket}?metrics&id=1", NOT_BUILT),
    "GetBucketNotificationConfiguration": Row("GET /{bucket}?notification"),
    "PutBucketNotificationConfiguration": Row("PUT /{bucket}?notification", "200", "<NotificationConfiguration/>"),
    "GetBucketOwnershipControls": Row("GET /{bucket}?ownershipControls", after=("PutBucketOwnershipControls",)),
    "PutBucketOwnershipControls": Row("PUT /{bucket}?ownershipControls", "200", OWNERSHIP),
    "DeleteBucketOwnershipControls": Row("DELETE /{bucket}?ownershipControls", "204", after=("PutBucketOwnershipControls",)),
    "GetBucketPolicy": Row("GET /{bucket}?policy", after=("PutBucketPolicy",)),
    "PutBucketPolicy": Row("PUT /{bucket}?policy", "204", POLICY),
    "DeleteBucketPolicy": Row("DELETE /{bucket}?policy", "204", after=("PutBucketPolicy",)),
    "GetBucketPolicyStatus": Row("GET /{bucket}?policyStatus", after=("PutBucketPolicy",)),
    "GetPublicAccessBlock": Row("GET /{bucket}?publicAccessBlock", after=("PutPublicAccessBlock",)),
    "PutPublicAccessBlock": Row("PUT /{bucket}?publicAccessBlock", "200", BLOCK),
    "DeletePublicAccessBlock": Row("DELETE /{bucket}?publicAccessBlock", "204", after=("PutPublicAccessBlock",)),
    "GetBucketReplication": Row("GET /{bucket}?replication", "404 ReplicationConfigurationNotFoundError"),
    "PutBucketReplication": Row("PUT /{bucket}?replication", NOT_BUILT, "<x/>"),
    "DeleteBucketReplication": Row("DELETE /{bucket}?replication", NOT_BUILT),
    "GetBucketRequestPayment": Row("GET /{bucket}?requestPayment"),
    "PutBucketRequestPayment": Row("PUT /{bucket}?requestPayment", "200", "<RequestPaymentConfiguration><Payer>Requester</Payer></RequestPaymentConfiguration>"),
    "GetBucketTagging": Row("GET /{bucket}?tagging", after=("PutBucketTagging",)),
    "PutBucketTagging": Row("PUT /{bucket}?tagging", "204", TAGS),
    "DeleteBucketTagging": Row("DELETE /{bucket}?tagging", "204", after=("PutBucketTagging",)),
    "GetBucketVersioning": Row("GET /{bucket}?versioning"),
    "PutBucketVersioning": Row("PUT /{bucket}?versioning", "200", ENABLED),
    "GetBucketWebsite": Row("GET /{bucket}?website", after=("PutBucketWebsite",)),
    "PutBucketWebsite": Row("PUT /{bucket}?website", "200", WEBSITE),
    "DeleteBucketWebsite": Row("DELETE /{bucket}?website", "204", after=("PutBucketWebsite",)),
    "GetObjectLockConfiguration": Row("GET /{bucket}?object-lock", locked=True),
    "PutObjectLockConfiguration": Row("PUT /{bucket}?object-lock", "200", LOCK, locked=True),
    # --- objects ---
    "GetObject": Row("GET /{bucket}/k"),
    "HeadObject": Row("HEAD /{bucket}/k"),
    "PutObject": Row("PUT /{bucket}/k", "200", "other"),
    "AppendObject": Row("PUT /{bucket}/k", "200", "other", {"x-amz-write-offset-bytes": "9"}, once=True),
    "CopyObject": Row("PUT /{bucket}/copy", headers=COPY),
    "DeleteObject": Row("DELETE /{bucket}/k", "204", once=True),
    "RenameObject": Row("PUT /{bucket}/new?renameObject", headers={"x-amz-rename-source": "/k"}, once=True),
    "GetObjectAcl": Row("GET /{bucket}/k?acl"),
    "PutObjectAcl": Row("PUT /{bucket}/k?acl", "200", ACL),
    "GetObjectAttributes": Row("GET /{bucket}/k?attributes", headers={"x-amz-object-attributes": "ETag"}),
    "GetObjectTagging": Row("GET /{bucket}/k?tagging"),
    "PutObjectTagging": Row("PUT /{bucket}/k?tagging", "200", TAGS),
    "DeleteObjectTagging": Row("DELETE /{bucket}/k?tagging", "204", after=("PutObjectTagging",)),
    "GetObjectLegalHold": Row("GET /{bucket}/k?legal-hold", after=("PutObjectLegalHold",), locked=True),
    "PutObjectLegalHold": Row("PUT /{bucket}/k?legal-hold", "200", "<LegalHold><Status>ON</Status></LegalHold>", locked=True),
    "GetObjectRetention": Row("GET /{bucket}/k?retention", after=("PutObjectRetention",), locked=True),
    "PutObjectRetention": Row("PUT /{bucket}/k?retention", "200", RETENTION, locked=True),
    "GetObjectTorrent": Row("GET /{bucket}/k?torrent", "404 NoSuchKey"),
    "GetObjectAnnotation": Row("GET /{bucket}/k?annotation&annotationName=a", NOT_BUILT),
    "ListObjectAnnotations": Row("GET /{bucket}/k?annotation", NOT_BUILT),
    "PutObjectAnnotation": Row("PUT /{bucket}/k?annotation&annotationName=a", NOT_BUILT, "x"),
    "DeleteObjectAnnotation": Row("DELETE /{bucket}/k?annotation&annotationName=a", NOT_BUILT),
    "RestoreObject": Row("POST /{bucket}/k?restore", NOT_BUILT, "<x/>"),
    "SelectObjectContent": Row("POST /{bucket}/k?select&select-type=2", NOT_BUILT, "<x/>"),
    "UpdateObjectEncryption": Row("PUT /{bucket}/k?encryption", NOT_BUILT, "<x/>"),
    # --- uploads in parts ---
    "CreateMultipartUpload": Row("POST /{bucket}/k?uploads"),
    "UploadPart": Row("PUT /{bucket}/k?uploadId={upload}&partNumber=1", "200", "other"),
    "UploadPartCopy": Row("PUT /{bucket}/k?uploadId={upload}&partNumber=1", headers=COPY),
    "ListParts": Row("GET /{bucket}/k?uploadId={upload}"),
    "CompleteMultipartUpload": Row("POST /{bucket}/k?uploadId={upload}", "200", COMPLETE, once=True),
    "AbortMultipartUpload": Row("DELETE /{bucket}/k?uploadId={upload}", "204", once=True),
}

# Names that botocore still has for an operation of another name.
ALIASES = {
    "GetBucketLifecycle": "GetBucketLifecycleConfiguration", "PutBucketLifecycle": "PutBucketLifecycleConfiguration",
    "GetBucketNotification": "GetBucketNotificationConfiguration", "PutBucketNotification": "PutBucketNotificationConfiguration",
}
