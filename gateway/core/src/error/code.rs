//! The error codes of S3, each with its status and a default text.

use http::StatusCode;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $(as $told:literal)? = $status:ident, $message:literal;)*) => {
        /// A code that S3 clients know. The text that goes with it can be replaced; the status cannot.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum S3ErrorCode {
            $($(#[$doc])* $name,)*
        }

        impl S3ErrorCode {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As clients see it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => codes!(@told $name $($told)?),)* }
            }

            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            pub fn default_message(self) -> &'static str {
                match self { $(Self::$name => $message,)* }
            }
        }
    };
    (@told $name:ident) => { stringify!($name) };
    (@told $name:ident $told:literal) => { $told };
}

codes! {
    AccessControlListNotSupported = BAD_REQUEST, "The bucket does not allow ACLs.";
    AccessForbidden = FORBIDDEN,
        "CORSResponse: This CORS request is not allowed. No rule of the bucket allows its origin, method and headers.";
    AccessDenied = FORBIDDEN, "Access Denied";
    AuthorizationHeaderMalformed = BAD_REQUEST, "The authorization header that you provided is not valid.";
    AuthorizationQueryParametersError = BAD_REQUEST, "The authorization query parameters that you provided are not valid.";
    BadDigest = BAD_REQUEST, "The Content-MD5 or checksum value that you specified did not match what the server received.";
    BadRequest = BAD_REQUEST, "Bad Request";
    BucketAlreadyExists = CONFLICT,
        "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.";
    BucketAlreadyOwnedByYou = CONFLICT, "The bucket you tried to create already exists, and you own it.";
    BucketNotEmpty = CONFLICT, "The bucket you tried to delete is not empty.";
    ConditionalRequestConflict = CONFLICT,
        "A conflicting operation occurred during this request. You can retry the request.";
    EntityTooLarge = BAD_REQUEST, "Your proposed upload exceeds the maximum allowed object size.";
    EntityTooSmall = BAD_REQUEST, "Your proposed upload is smaller than the minimum allowed object size.";
    ExpiredToken = BAD_REQUEST, "The provided token has expired.";
    IdempotencyParameterMismatch = BAD_REQUEST,
        "The parameters of the request are not those that the client token was used with before.";
    IllegalVersioningConfigurationException = BAD_REQUEST,
        "The versioning configuration specified in the request is invalid.";
    IllegalLocationConstraintException = BAD_REQUEST,
        "The specified location constraint is incompatible for the region-specific endpoint this request was sent to.";
    IncorrectNumberOfFilesInPostRequest = BAD_REQUEST, "POST requires exactly one file upload per request.";
    IncompleteBody = BAD_REQUEST, "You did not provide the number of bytes specified by the Content-Length HTTP header.";
    InternalError = INTERNAL_SERVER_ERROR, "We encountered an internal error. Please try again.";
    InvalidAccessKeyId = FORBIDDEN, "The AWS Access Key Id you provided does not exist in our records.";
    InvalidArgument = BAD_REQUEST, "Invalid Argument";
    InvalidBucketAclWithObjectOwnership = BAD_REQUEST, "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting";
    InvalidBucketName = BAD_REQUEST, "The specified bucket is not valid.";
    InvalidBucketState = CONFLICT, "The request is not valid for the current state of the bucket.";
    InvalidChunkSizeError = BAD_REQUEST, "Only the last chunk is allowed to have a size less than 8192 bytes";
    InvalidDigest = BAD_REQUEST, "The Content-MD5 you specified was invalid.";
    InvalidEncryptionAlgorithmError = BAD_REQUEST, "The encryption request that you specified is not valid.";
    InvalidLocationConstraint = BAD_REQUEST, "The specified location-constraint is not valid";
    InvalidObjectState = FORBIDDEN, "The operation is not valid for the current state of the object.";
    InvalidPart = BAD_REQUEST,
        "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.";
    InvalidPartNumber = RANGE_NOT_SATISFIABLE, "The requested partnumber is not satisfiable";
    InvalidPartOrder = BAD_REQUEST,
        "The list of parts was not in ascending order. The parts list must be specified in order by part number.";
    InvalidPolicyDocument = BAD_REQUEST,
        "The content of the form does not meet the conditions specified in the policy document.";
    InvalidRange = RANGE_NOT_SATISFIABLE, "The requested range is not satisfiable";
    InvalidRedirectLocation = BAD_REQUEST,
        "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.";
    InvalidRequest = BAD_REQUEST, "Invalid Request";
    InvalidRetentionPeriod = BAD_REQUEST, "The retention period is invalid.";
    InvalidSecurity = FORBIDDEN, "The provided security credentials are not valid.";
    InvalidStorageClass = BAD_REQUEST, "The storage class you specified is not valid";
    InvalidTag = BAD_REQUEST, "The tag provided was not a valid tag.";
    InvalidToken = BAD_REQUEST, "The provided token is malformed or otherwise invalid.";
    InvalidURI = BAD_REQUEST, "Couldn't parse the specified URI.";
    KeyTooLongError = BAD_REQUEST, "Your key is too long";
    InvalidWriteOffset = BAD_REQUEST, "The write offset value that you specified does not match the current object size.";
    KmsDisabled as "KMS.DisabledException" = BAD_REQUEST, "The KMS key is disabled.";
    KmsNotFound as "KMS.NotFoundException" = BAD_REQUEST, "The KMS key does not exist.";
    MalformedACLError = BAD_REQUEST,
        "The XML you provided was not well-formed or did not validate against our published schema";
    MalformedPOSTRequest = BAD_REQUEST, "The body of your POST request is not well-formed multipart/form-data.";
    MalformedPolicy = BAD_REQUEST, "Policies must be valid JSON.";
    MalformedTrailerError = BAD_REQUEST, "The request contained trailing data that was not well-formed or did not conform to our published schema.";
    MalformedXML = BAD_REQUEST,
        "The XML you provided was not well-formed or did not validate against our published schema";
    MaxMessageLengthExceeded = BAD_REQUEST, "Your request was too big.";
    MaxPostPreDataLengthExceededError = BAD_REQUEST, "Your POST request fields preceding the upload file were too large.";
    MetadataTooLarge = BAD_REQUEST, "Your metadata headers exceed the maximum allowed metadata size";
    MetadataConfigurationNotFound = NOT_FOUND, "The metadata configuration does not exist";
    MethodNotAllowed = METHOD_NOT_ALLOWED, "The specified method is not allowed against this resource.";
    MissingContentLength = LENGTH_REQUIRED, "You must provide the Content-Length HTTP header.";
    MissingRequestBodyError = BAD_REQUEST, "Request body is empty.";
    MissingSecurityHeader = BAD_REQUEST, "Your request was missing a required header";
    NoSuchBucket = NOT_FOUND, "The specified bucket does not exist";
    NoSuchBucketPolicy = NOT_FOUND, "The bucket policy does not exist";
    NoSuchCORSConfiguration = NOT_FOUND, "The CORS configuration does not exist";
    NoSuchConfiguration = NOT_FOUND, "The specified configuration does not exist.";
    NoSuchKey = NOT_FOUND, "The specified key does not exist.";
    NoSuchLifecycleConfiguration = NOT_FOUND, "The lifecycle configuration does not exist";
    NoSuchObjectLockConfiguration = NOT_FOUND, "The specified object does not have a ObjectLock configuration";
    NoSuchPublicAccessBlockConfiguration = NOT_FOUND, "The public access block configuration was not found";
    NoSuchTagSet = NOT_FOUND, "The TagSet does not exist";
    NoSuchUpload = NOT_FOUND,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.";
    NoSuchVersion = NOT_FOUND, "The specified version does not exist.";
    NoSuchWebsiteConfiguration = NOT_FOUND, "The specified bucket does not have a website configuration";
    NotImplemented = NOT_IMPLEMENTED, "A header or query you provided implies functionality that is not implemented.";
    /// Has no body: only the status and the validators go out.
    NotModified = NOT_MODIFIED, "Not Modified";
    ObjectLockConfigurationNotFoundError = NOT_FOUND, "Object Lock configuration does not exist for this bucket";
    OperationAborted = CONFLICT, "A conflicting conditional operation is currently in progress against this resource. Please try again.";
    OwnershipControlsNotFoundError = NOT_FOUND, "The bucket ownership controls were not found";
    PreconditionFailed = PRECONDITION_FAILED, "At least one of the pre-conditions you specified did not hold";
    QuotaExceeded = FORBIDDEN, "The quota of the bucket or volume is used up.";
    ReplicationConfigurationNotFoundError = NOT_FOUND, "The replication configuration was not found";
    RequestHeaderSectionTooLarge = BAD_REQUEST, "Your request header section exceeds the maximum allowed request header section size.";
    RequestTimeTooSkewed = FORBIDDEN, "The difference between the request time and the current time is too large.";
    RequestTimeout = BAD_REQUEST,
        "Your socket connection to the server was not read from or written to within the timeout period.";
    ServerSideEncryptionConfigurationNotFoundError = NOT_FOUND,
        "The server side encryption configuration was not found";
    ServiceUnavailable = SERVICE_UNAVAILABLE, "Service is unable to handle request.";
    SignatureDoesNotMatch = FORBIDDEN,
        "The request signature we calculated does not match the signature you provided. Check your key and signing method.";
    SlowDown = SERVICE_UNAVAILABLE, "Please reduce your request rate.";
    TooManyBuckets = BAD_REQUEST, "You have attempted to create more buckets than allowed.";
    TooManyParts = BAD_REQUEST,
        "You have attempted to add more parts than the maximum of 10000 that are allowed for this object.";
    UnexpectedContent = BAD_REQUEST, "This request does not support content";
    UnresolvableGrantByEmailAddress = BAD_REQUEST,
        "The e-mail address you provided does not match any account on record.";
    UnsupportedArgument = BAD_REQUEST, "The request contained an unsupported argument.";
    XAmzContentSHA256Mismatch = BAD_REQUEST, "The provided 'x-amz-content-sha256' header does not match what was computed.";
}
