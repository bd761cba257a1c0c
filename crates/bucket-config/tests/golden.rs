//! The bytes of documents, as logs, tables and messages hold them. A line that changes is a document that no longer reads: a new
//! field gets a new number and a default, and a line of its own behind the old ones.

use bucket_config::access::ObjectOwnership;
use bucket_config::cors::CorsRule;
use bucket_config::encryption::SseAlgorithm;
use bucket_config::lifecycle::*;
use bucket_config::logging::{LogKeyFormat, PartitionDate};
use bucket_config::notification::{NotificationTarget, TargetKind};
use bucket_config::service::Payer;
use bucket_config::tagging::Tag;
use bucket_config::website::*;
use bucket_config::*;
use types::{Acl, AclGroup, AclPermission, BucketAddress, Grant, Grantee, Timestamp};

const DOCUMENTS: &str = include_str!("../testdata/documents.hex");

fn text(word: &str) -> Option<String> {
    Some(word.to_owned())
}

fn tag() -> Tag {
    Tag { key: "k".into(), value: "v".into() }
}

fn lifecycle() -> LifecycleConfiguration {
    let conditions =
        RuleConditions { prefix: text("p/"), tags: vec![tag()], size_greater_than: Some(1), size_less_than: Some(5 << 40) };
    let rule = LifecycleRule {
        id: "whole".into(),
        is_enabled: true,
        scope: RuleScope::Filter(RuleFilter { conditions: RuleConditions::default(), and: Some(conditions) }),
        expiration: Some(Expiration::Days(30)),
        noncurrent_expiration: Some(NoncurrentExpiration { days: 9, newer_versions: Some(2) }),
        transitions: vec![Transition { after: TransitionTime::Days(1), storage_class: "COLD".into() }],
        noncurrent_transitions: vec![NoncurrentTransition { days: 3, newer_versions: Some(1), storage_class: "COLD".into() }],
        abort_uploads_after: Some(7),
    };
    let day = Timestamp(1_893_456_000_000);
    let dated = LifecycleRule {
        id: "dated".into(),
        is_enabled: false,
        scope: RuleScope::Prefix("q".into()),
        expiration: Some(Expiration::Date(day)),
        noncurrent_expiration: None,
        transitions: vec![Transition { after: TransitionTime::Date(day), storage_class: "COLD".into() }],
        noncurrent_transitions: vec![],
        abort_uploads_after: None,
    };
    let marker = LifecycleRule {
        id: "marker".into(),
        expiration: Some(Expiration::ExpiredDeleteMarker(true)),
        transitions: vec![],
        ..dated.clone()
    };
    LifecycleConfiguration { rules: vec![rule, dated, marker], transition_minimum: Some(TransitionMinimum::VariesByClass) }
}

fn site() -> WebsiteConfiguration {
    let rule = |replace| RoutingRule {
        condition: Some(RoutingCondition { key_prefix: text("a/"), error_code: Some(404) }),
        redirect: Redirect { host: text("h"), protocol: Some(Protocol::Https), status: Some(302), replace: Some(replace) },
    };
    WebsiteConfiguration::Site(Site {
        index_suffix: "index.html".into(),
        error_key: text("error.html"),
        rules: vec![rule(KeyReplacement::Prefix("b/".into())), rule(KeyReplacement::Key("k".into()))],
    })
}

fn notification() -> NotificationConfiguration {
    let target = |kind| NotificationTarget {
        id: "n".into(),
        kind,
        arn: "arn:aws:sqs:us-east-1:1:q".into(),
        events: vec!["s3:ObjectCreated:*".into()],
        prefix: text("in/"),
        suffix: text(".jpg"),
    };
    NotificationConfiguration {
        targets: vec![target(TargetKind::Topic), target(TargetKind::Queue), target(TargetKind::Function)],
    }
}

fn logging(key_format: LogKeyFormat) -> LoggingConfiguration {
    LoggingConfiguration { target: BucketAddress::parse("logs").expect("legal"), prefix: "log/".into(), key_format }
}

fn documents() -> Vec<BucketDocument> {
    let cors = CorsRule {
        id: text("a"),
        allowed_origins: vec!["*".into()],
        allowed_methods: vec!["GET".into()],
        allowed_headers: vec!["x-*".into()],
        expose_headers: vec!["etag".into()],
        max_age_seconds: Some(3000),
    };
    let block = PublicAccessBlock {
        block_public_acls: true,
        ignore_public_acls: false,
        block_public_policy: true,
        restrict_public_buckets: false,
    };
    vec![
        CorsConfiguration { rules: vec![cors] }.into(),
        lifecycle().into(),
        EncryptionConfiguration { algorithm: SseAlgorithm::Aes256, kms_key: None, bucket_key: false }.into(),
        EncryptionConfiguration { algorithm: SseAlgorithm::Kms, kms_key: text("k"), bucket_key: true }.into(),
        site().into(),
        WebsiteConfiguration::RedirectAll(HostRedirect { host: "h".into(), protocol: Some(Protocol::Http) }).into(),
        notification().into(),
        logging(LogKeyFormat::Simple).into(),
        logging(LogKeyFormat::Partitioned(PartitionDate::EventTime)).into(),
        logging(LogKeyFormat::Partitioned(PartitionDate::DeliveryTime)).into(),
        BucketTags::new(vec![tag()]).into(),
        RequestPayment { payer: Payer::BucketOwner }.into(),
        RequestPayment { payer: Payer::Requester }.into(),
        block.into(),
        OwnershipControls { ownership: ObjectOwnership::BucketOwnerEnforced }.into(),
        OwnershipControls { ownership: ObjectOwnership::BucketOwnerPreferred }.into(),
        OwnershipControls { ownership: ObjectOwnership::ObjectWriter }.into(),
        Acceleration { is_enabled: false }.into(),
        BucketPolicy { text: "{}".into(), binds_owner: true }.into(),
        BucketAcl { acl: Acl::private("ada") }.into(),
        BucketPolicy { text: "{}".into(), binds_owner: false }.into(),
        acl().into(),
    ]
}

fn acl() -> BucketAcl {
    let grant = |grantee, permission| Grant { grantee, permission };
    let groups = [AclGroup::AllUsers, AclGroup::AuthenticatedUsers, AclGroup::LogDelivery].map(Grantee::Group);
    let permissions = [AclPermission::Read, AclPermission::Write, AclPermission::ReadAcp];
    let mut grants: Vec<Grant> =
        groups.into_iter().zip(permissions).map(|(group, permission)| grant(group, permission)).collect();
    grants.extend([AclPermission::WriteAcp, AclPermission::FullControl].map(|more| grant(Grantee::User("u".into()), more)));
    BucketAcl { acl: Acl { grants } }
}

fn lines() -> Vec<&'static str> {
    DOCUMENTS.lines().collect()
}

#[test]
fn documents_are_the_bytes_that_are_kept() {
    let encode = |document: &BucketDocument| {
        let bytes = minicbor::to_vec(document).expect("memory does not fail");
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{:?} {digits}", document.kind())
    };
    assert_eq!(documents().iter().map(encode).collect::<Vec<_>>(), lines());
}

#[test]
fn documents_that_were_kept_read_back() {
    let decode = |line: &str| {
        let digits = line.split(' ').nth(1).expect("a name and digits");
        let bytes: Vec<u8> =
            (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal")).collect();
        minicbor::decode::<BucketDocument>(&bytes).expect("a document of an earlier release")
    };
    assert_eq!(lines().into_iter().map(decode).collect::<Vec<_>>(), documents());
}

#[test]
fn every_document_that_can_be_kept_has_its_bytes_here() {
    let here: std::collections::BTreeSet<ConfigKind> = documents().iter().map(BucketDocument::kind).collect();
    assert_eq!(here.len(), ConfigKind::DOCUMENTS.len());
}
