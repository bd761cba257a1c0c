use bucket_config::{
    Acceleration, BucketTags, CorsConfiguration, EncryptionConfiguration, LifecycleConfiguration, LoggingConfiguration,
    NotificationConfiguration, OwnershipControls, PublicAccessBlock, RequestPayment, WebsiteConfiguration,
};
use proptest::prelude::*;

use super::*;

fn document<D: ConfigXml>(children: &str) -> String {
    format!("<{0} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{children}</{0}>", D::ROOT)
}

/// What was sent is what is shown.
#[track_caller]
fn comes_back<D: ConfigXml>(children: &str) {
    shows::<D>(children, children);
}

#[track_caller]
fn shows<D: ConfigXml>(children: &str, shown: &str) {
    let parsed: D = parse_config(document::<D>(children).as_bytes()).expect("well formed").expect("something is set");
    let expected = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", document::<D>(shown));
    assert_eq!(show_config(Some(&parsed)).expect("is set"), expected);
}

#[track_caller]
fn refused<D: ConfigXml + std::fmt::Debug>(code: S3ErrorCode, children: &str) {
    let error = parse_config::<D>(document::<D>(children).as_bytes()).expect_err(children);
    assert_eq!(error.code(), code, "{children}: {error}");
}

const MALFORMED: S3ErrorCode = S3ErrorCode::MalformedXML;
const ARGUMENT: S3ErrorCode = S3ErrorCode::InvalidArgument;
const REQUEST: S3ErrorCode = S3ErrorCode::InvalidRequest;

#[test]
fn cors_comes_back_as_it_was_sent() {
    comes_back::<CorsConfiguration>(
        "<CORSRule><ID>a</ID><AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod>\
         <AllowedOrigin>http://*.e&amp;m</AllowedOrigin><AllowedHeader>x-*</AllowedHeader><ExposeHeader>ETag</ExposeHeader>\
         <MaxAgeSeconds>3000</MaxAgeSeconds></CORSRule>\
         <CORSRule><AllowedMethod>HEAD</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule>",
    );
    refused::<CorsConfiguration>(MALFORMED, "");
    refused::<CorsConfiguration>(MALFORMED, "<Rule/>");
    refused::<CorsConfiguration>(MALFORMED, "<CORSRule><AllowedMethod>GET</AllowedMethod></CORSRule>");
    let with =
        |more: &str| format!("<CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin>{more}</CORSRule>");
    refused::<CorsConfiguration>(MALFORMED, &with("<MaxAgeSeconds>soon</MaxAgeSeconds>"));
    refused::<CorsConfiguration>(ARGUMENT, &with("<MaxAgeSeconds>-1</MaxAgeSeconds>"));
    refused::<CorsConfiguration>(REQUEST, &with("<AllowedMethod>PATCH</AllowedMethod>"));
}

#[test]
fn lifecycle_comes_back_as_it_was_sent() {
    comes_back::<LifecycleConfiguration>(
        "<Rule><ID>a</ID><Prefix>p/</Prefix><Status>Enabled</Status><Expiration><Days>31</Days></Expiration></Rule>\
         <Rule><ID>b</ID><Filter></Filter><Status>Disabled</Status>\
         <Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration></Rule>\
         <Rule><ID>c</ID><Filter><And><Prefix></Prefix><Tag><Key>k</Key><Value>v</Value></Tag>\
         <ObjectSizeGreaterThan>1</ObjectSizeGreaterThan><ObjectSizeLessThan>9000000000</ObjectSizeLessThan></And></Filter>\
         <Status>Enabled</Status><Expiration><Date>2030-01-01T00:00:00.000Z</Date></Expiration>\
         <Transition><Date>2029-01-01T00:00:00.000Z</Date><StorageClass>COLD</StorageClass></Transition>\
         <NoncurrentVersionTransition><NoncurrentDays>2</NoncurrentDays><NewerNoncurrentVersions>3</NewerNoncurrentVersions>\
         <StorageClass>COLD</StorageClass></NoncurrentVersionTransition>\
         <NoncurrentVersionExpiration><NoncurrentDays>6</NoncurrentDays></NoncurrentVersionExpiration></Rule>\
         <Rule><ID>d</ID><Filter><Prefix>q</Prefix></Filter><Status>Enabled</Status>\
         <AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>",
    );
}

#[test]
fn a_lifecycle_rule_gets_a_name_and_a_day_its_midnight() {
    shows::<LifecycleConfiguration>(
        "<Rule><Prefix/><Status>Enabled</Status><Expiration><Date>2017-09-27</Date></Expiration></Rule>",
        "<Rule><ID>rule-1</ID><Prefix></Prefix><Status>Enabled</Status>\
         <Expiration><Date>2017-09-27T00:00:00.000Z</Date></Expiration></Rule>",
    );
}

#[test]
fn lifecycle_rules_that_say_nothing_or_too_much_are_refused() {
    let days = "<Expiration><Days>1</Days></Expiration>";
    let rule = |inside: &str| format!("<Rule>{inside}</Rule>");
    for (code, inside) in [
        (MALFORMED, format!("<Prefix/><Status>enabled</Status>{days}")),
        (MALFORMED, format!("<Prefix/>{days}")),
        (MALFORMED, format!("<Status>Enabled</Status>{days}")),
        (MALFORMED, format!("<Prefix/><Filter/><Status>Enabled</Status>{days}")),
        (MALFORMED, "<Prefix/><Status>Enabled</Status><Expiration/>".to_owned()),
        (MALFORMED, "<Prefix/><Status>Enabled</Status><Expiration><Date>20200101</Date></Expiration>".to_owned()),
        (
            MALFORMED,
            "<Prefix/><Status>Enabled</Status><Expiration><Days>1</Days><Date>2030-01-01T00:00:00Z</Date></Expiration>"
                .to_owned(),
        ),
        (ARGUMENT, "<Prefix/><Status>Enabled</Status><Expiration><Days>0</Days></Expiration>".to_owned()),
        (ARGUMENT, "<Prefix/><Status>Enabled</Status><Expiration><Days>-1</Days></Expiration>".to_owned()),
        (
            MALFORMED,
            "<Prefix/><Status>Enabled</Status><NoncurrentVersionExpiration><NewerNoncurrentVersions>1</NewerNoncurrentVersions>\
             </NoncurrentVersionExpiration>"
                .to_owned(),
        ),
        (MALFORMED, format!("<Prefix/><Status>Enabled</Status>{days}<Unknown/>")),
        (REQUEST, "<Prefix/><Status>Enabled</Status>".to_owned()),
    ] {
        refused::<LifecycleConfiguration>(code, &rule(&inside));
    }
    refused::<LifecycleConfiguration>(MALFORMED, "");
}

#[test]
fn the_default_encryption_comes_back_as_it_was_sent() {
    comes_back::<EncryptionConfiguration>(
        "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>k</KMSMasterKeyID>\
         </ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled></Rule>",
    );
    let plain = "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>";
    shows::<EncryptionConfiguration>(
        &format!("<Rule>{plain}<BlockedEncryptionTypes><EncryptionType>NONE</EncryptionType></BlockedEncryptionTypes></Rule>"),
        &format!("<Rule>{plain}<BucketKeyEnabled>false</BucketKeyEnabled></Rule>"),
    );
    let of = |algorithm: &str| {
        format!(
            "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>{algorithm}</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>"
        )
    };
    refused::<EncryptionConfiguration>(S3ErrorCode::NotImplemented, &of("aws:kms:dsse"));
    refused::<EncryptionConfiguration>(MALFORMED, &of("DES"));
    refused::<EncryptionConfiguration>(MALFORMED, "<Rule/>");
    refused::<EncryptionConfiguration>(MALFORMED, &format!("{0}{0}", of("AES256")));
    let blocked = "<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>";
    refused::<EncryptionConfiguration>(S3ErrorCode::NotImplemented, &format!("<Rule>{plain}{blocked}</Rule>"));
}

#[test]
fn a_site_comes_back_as_it_was_sent() {
    comes_back::<WebsiteConfiguration>(
        "<IndexDocument><Suffix>index.html</Suffix></IndexDocument><ErrorDocument><Key>e.html</Key></ErrorDocument>\
         <RoutingRules><RoutingRule><Condition><KeyPrefixEquals>a/</KeyPrefixEquals>\
         <HttpErrorCodeReturnedEquals>404</HttpErrorCodeReturnedEquals></Condition>\
         <Redirect><Protocol>https</Protocol><HostName>h</HostName><ReplaceKeyPrefixWith>b/</ReplaceKeyPrefixWith>\
         <HttpRedirectCode>302</HttpRedirectCode></Redirect></RoutingRule>\
         <RoutingRule><Redirect><ReplaceKeyWith>k</ReplaceKeyWith></Redirect></RoutingRule></RoutingRules>",
    );
    comes_back::<WebsiteConfiguration>(
        "<RedirectAllRequestsTo><HostName>h</HostName><Protocol>http</Protocol></RedirectAllRequestsTo>",
    );
    let index = "<IndexDocument><Suffix>i</Suffix></IndexDocument>";
    refused::<WebsiteConfiguration>(ARGUMENT, "");
    refused::<WebsiteConfiguration>(
        REQUEST,
        &format!("<RedirectAllRequestsTo><HostName>h</HostName></RedirectAllRequestsTo>{index}"),
    );
    refused::<WebsiteConfiguration>(MALFORMED, "<RedirectAllRequestsTo/>");
    refused::<WebsiteConfiguration>(ARGUMENT, "<IndexDocument><Suffix>a/b</Suffix></IndexDocument>");
    let rule = |redirect: &str| {
        format!("{index}<RoutingRules><RoutingRule><Redirect>{redirect}</Redirect></RoutingRule></RoutingRules>")
    };
    refused::<WebsiteConfiguration>(MALFORMED, &rule("<Protocol>ftp</Protocol>"));
    refused::<WebsiteConfiguration>(
        REQUEST,
        &rule("<ReplaceKeyPrefixWith>a</ReplaceKeyPrefixWith><ReplaceKeyWith>b</ReplaceKeyWith>"),
    );
}

#[test]
fn notifications_come_back_as_they_were_sent() {
    let filter = "<Filter><S3Key><FilterRule><Name>Prefix</Name><Value>in/</Value></FilterRule>\
                  <FilterRule><Name>Suffix</Name><Value>.jpg</Value></FilterRule></S3Key></Filter>";
    comes_back::<NotificationConfiguration>(&format!(
        "<TopicConfiguration><Id>t</Id><Topic>arn:aws:sns:us-east-1:1:t</Topic><Event>s3:ObjectCreated:*</Event>{filter}\
         </TopicConfiguration>\
         <QueueConfiguration><Id>q</Id><Queue>arn:aws:sqs:us-east-1:1:q</Queue><Event>s3:ObjectRemoved:Delete</Event>\
         </QueueConfiguration>\
         <CloudFunctionConfiguration><Id>f</Id><CloudFunction>arn:aws:lambda:us-east-1:1:function:f</CloudFunction>\
         <Event>s3:ObjectTagging:*</Event></CloudFunctionConfiguration>"
    ));
    let queue = |inside: &str| format!("<QueueConfiguration><Queue>arn:q</Queue>{inside}</QueueConfiguration>");
    refused::<NotificationConfiguration>(MALFORMED, &queue(""));
    refused::<NotificationConfiguration>(MALFORMED, &queue("<Event>s3:ObjectEaten</Event>"));
    refused::<NotificationConfiguration>(
        ARGUMENT,
        &queue(
            "<Event>s3:ObjectCreated:*</Event><Filter><S3Key><FilterRule><Name>infix</Name><Value>x</Value></FilterRule></S3Key></Filter>",
        ),
    );
    refused::<NotificationConfiguration>(S3ErrorCode::NotImplemented, "<EventBridgeConfiguration/>");
    let none: Option<NotificationConfiguration> =
        parse_config(document::<NotificationConfiguration>("").as_bytes()).expect("takes all away");
    assert_eq!(none, None);
}

#[test]
fn logging_comes_back_with_its_key_format_and_without_its_grants() {
    let to = "<TargetBucket>logs</TargetBucket><TargetPrefix>log/</TargetPrefix>";
    let simple = "<TargetObjectKeyFormat><SimplePrefix></SimplePrefix></TargetObjectKeyFormat>";
    let enabled = |inside: &str| format!("<LoggingEnabled>{inside}</LoggingEnabled>");
    let partitioned = |date: &str| {
        enabled(&format!(
            "{to}<TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>{date}</PartitionDateSource></PartitionedPrefix>\
             </TargetObjectKeyFormat>"
        ))
    };
    let grants = "<TargetGrants><Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"CanonicalUser\">\
                  <ID>ada</ID><DisplayName>Ada</DisplayName></Grantee><Permission>FULL_CONTROL</Permission></Grant></TargetGrants>";
    shows::<LoggingConfiguration>(&enabled(to), &enabled(&format!("{to}{simple}")));
    shows::<LoggingConfiguration>(&enabled(&format!("{to}{grants}")), &enabled(&format!("{to}{simple}")));
    comes_back::<LoggingConfiguration>(&partitioned("EventTime"));
    refused::<LoggingConfiguration>(MALFORMED, &partitioned("kaboom"));
    refused::<LoggingConfiguration>(MALFORMED, &enabled("<TargetBucket>logs</TargetBucket>"));
    refused::<LoggingConfiguration>(S3ErrorCode::InvalidBucketName, &enabled("<TargetBucket>L</TargetBucket><TargetPrefix/>"));
    let body = document::<LoggingConfiguration>(&enabled(&format!("{to}{grants}")));
    assert_eq!(log_grantees(body.as_bytes()), Ok(vec![LogGrantee::User("ada".into())]));
    let none: Option<LoggingConfiguration> =
        parse_config(document::<LoggingConfiguration>("").as_bytes()).expect("switches it off");
    assert_eq!(none, None);
}

#[test]
fn bucket_tags_come_back_in_the_order_of_their_keys() {
    let tag = |key: &str| format!("<Tag><Key>{key}</Key><Value>v</Value></Tag>");
    let set = |tags: &str| format!("<TagSet>{tags}</TagSet>");
    shows::<BucketTags>(&set(&(tag("b") + &tag("a"))), &set(&(tag("a") + &tag("b"))));
    refused::<BucketTags>(S3ErrorCode::InvalidTag, &set(&(tag("a") + &tag("a"))));
    refused::<BucketTags>(S3ErrorCode::InvalidTag, &set(&(0..51).map(|n| tag(&n.to_string())).collect::<String>()));
    refused::<BucketTags>(MALFORMED, "<TagSet><Tag><Key>a</Key></Tag></TagSet>");
    refused::<BucketTags>(MALFORMED, "");
}

#[test]
fn the_small_ones_come_back_as_they_were_sent() {
    comes_back::<RequestPayment>("<Payer>Requester</Payer>");
    refused::<RequestPayment>(MALFORMED, "<Payer>Nobody</Payer>");
    comes_back::<PublicAccessBlock>(
        "<BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>false</IgnorePublicAcls>\
         <BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>false</RestrictPublicBuckets>",
    );
    refused::<PublicAccessBlock>(MALFORMED, "<BlockPublicAcls>yes</BlockPublicAcls>");
    comes_back::<OwnershipControls>("<Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>");
    refused::<OwnershipControls>(MALFORMED, "<Rule><ObjectOwnership>Nobody</ObjectOwnership></Rule>");
    comes_back::<Acceleration>("<Status>Suspended</Status>");
    refused::<Acceleration>(MALFORMED, "<Status>Fast</Status>");
}

#[test]
fn a_body_must_be_there() {
    let error = parse_config::<CorsConfiguration>(b"").expect_err("nothing");
    assert_eq!(error.code(), S3ErrorCode::MissingRequestBodyError);
}

#[test]
fn what_is_not_set_is_an_error_an_empty_document_or_a_default() {
    assert_eq!(show_config::<CorsConfiguration>(None).expect_err("none").code(), S3ErrorCode::NoSuchCORSConfiguration);
    assert!(show_config::<LoggingConfiguration>(None).expect("empty").ends_with("\"></BucketLoggingStatus>"));
    assert!(show_config::<RequestPayment>(None).expect("a default").contains("<Payer>BucketOwner</Payer>"));
}

proptest! {
    #[test]
    fn no_document_makes_a_reader_panic(text in "(<(/?)(Rule|ID|Filter|And|Tag|Key|Days|Expiration|LoggingEnabled|TagSet)>|[a-z0-9&;-]{0,3}){0,20}") {
        let _ = parse_config::<LifecycleConfiguration>(document::<LifecycleConfiguration>(&text).as_bytes());
        let _ = parse_config::<LoggingConfiguration>(document::<LoggingConfiguration>(&text).as_bytes());
        let _ = parse_config::<BucketTags>(document::<BucketTags>(&text).as_bytes());
        let _ = parse_config::<WebsiteConfiguration>(document::<WebsiteConfiguration>(&text).as_bytes());
    }
}
