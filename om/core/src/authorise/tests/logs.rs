//! Who may deliver access logs.

use bucket_config::LoggingConfiguration;
use bucket_config::logging::LogKeyFormat;
use types::{BucketAddress, BucketId};

use super::*;

fn photos_id() -> BucketId {
    Photos::new().bucket
}

/// Somebody's bucket `films`, whose log goes to `photos`.
fn log_of_films(owner: &str, prefix: &str) -> Identity {
    let mut om = Namespace::with_users([owner]);
    let films = om.create_bucket(owner, "films");
    let films = namespace::bucket(&om.tables, films).expect("memory").expect("it is there");
    let target = BucketAddress::parse("photos").expect("legal");
    let logging = LoggingConfiguration { target, prefix: prefix.into(), key_format: LogKeyFormat::Simple };
    Identity::LogDelivery(vec![LogSource::of(&om.tables, &films, &logging, Some(photos_id())).expect("memory")])
}

fn other_target(log: &Identity, meant: Option<BucketId>) -> Identity {
    let Identity::LogDelivery(sources) = log else { panic!("{log:?}") };
    Identity::LogDelivery(sources.iter().map(|source| LogSource { meant, ..source.clone() }).collect())
}

const TAKE_LOGS: &str = r#"{"Effect":"Allow","Principal":{"Service":"logging.s3.amazonaws.com"},"Action":"s3:PutObject",
    "Resource":"arn:aws:s3:::photos/log/","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:s3:::films"},
    "StringEquals":{"aws:SourceAccount":"bob"}}}"#;

#[test]
fn a_log_is_delivered_where_the_target_lets_the_service_in() {
    let mut photos = Photos::new();
    let takes = |photos: &Photos, log: &Identity| photos.scene(log, &Facts::default(), |scene| scene.takes_logs());
    let log = log_of_films("bob", "log/");
    assert!(!takes(&photos, &log), "nothing is let in by itself, not even the owner's own log");
    photos.policy(TAKE_LOGS);
    assert!(takes(&photos, &log));
    for (other, why) in [
        (log_of_films("eve", "log/"), "another account's bucket"),
        (log_of_films("bob", "elsewhere/"), "another place"),
        (log_of_films("bob", "lo"), "a wider place"),
        (who("bob"), "a user is no service"),
        (Identity::System, "nor is Trioxide"),
    ] {
        assert!(!takes(&photos, &other), "{why}");
    }
    for (from, to) in [
        (r#"{"Service":"logging.s3.amazonaws.com"}"#, r#"{"AWS":"*"}"#),
        ("logging.s3.amazonaws.com", "logging.s3.amazonaws.comm"),
        ("s3:PutObject", "s3:GetObject"),
        ("photos/log/", "photos/kaboom"),
        (":films", ":kaboom"),
    ] {
        assert!(TAKE_LOGS.contains(from));
        photos.policy(&TAKE_LOGS.replace(from, to));
        assert!(!takes(&photos, &log), "{to}");
    }
    let mut photos = Photos::new();
    photos.bucket_acl(CannedAcl::LogDeliveryWrite);
    assert!(takes(&photos, &log_of_films("ada", "log/")));
    assert!(!takes(&photos, &log), "an ACL lets the owner's own logs in");
}

#[test]
fn what_would_let_anybodys_log_in_was_meant_for_the_owners_own() {
    let mut photos = Photos::new();
    let takes = |photos: &Photos, log: &Identity| photos.scene(log, &Facts::default(), |scene| scene.takes_logs());
    let (open, _) = TAKE_LOGS.split_once(",\"Condition\"").expect("a statement with one");
    let policies = [
        "",
        r#","Condition":{"StringLike":{"aws:SourceAccount":"*"}}"#,
        r#","Condition":{"StringLike":{"aws:SourceAccount":"?*"}}"#,
        r#","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:s3:::*"}}"#,
        r#","Condition":{"StringLike":{"aws:SourceArn":"arn:*"}}"#,
        r#","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:s3:::fi*"}}"#,
        r#","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:s3:::*ms"}}"#,
    ];
    let policies = policies.map(|condition| format!("{open}{condition}}}"));
    for policy in &policies {
        photos.policy(policy);
        assert!(takes(&photos, &log_of_films("ada", "log/")), "{policy}");
        assert!(!takes(&photos, &log_of_films("bob", "log/")), "{policy}");
    }
}

#[test]
fn an_account_is_known_to_a_target_by_its_number_and_by_its_id() {
    let mut photos = Photos::new();
    let takes = |photos: &Photos, log: &Identity| photos.scene(log, &Facts::default(), |scene| scene.takes_logs());
    let log = log_of_films("bob", "log/");
    let Identity::LogDelivery(sources) = &log else { panic!("{log:?}") };
    let number = sources[0].account.clone();
    let by_number = TAKE_LOGS.replace(r#""bob""#, &format!("{number:?}"));
    assert_ne!(by_number, TAKE_LOGS);
    photos.policy(&by_number);
    assert!(takes(&photos, &log));
    for name in [number.as_str(), "bob"] {
        let deny = TAKE_LOGS.replace("Allow", "Deny").replace(r#""bob""#, &format!("{name:?}"));
        photos.policy(&format!("{TAKE_LOGS},{deny}"));
        assert!(!takes(&photos, &log), "{name}");
    }
}

#[test]
fn a_target_that_was_made_anew_by_another_takes_no_log_until_it_is_set_again() {
    let mut photos = Photos::new();
    let takes = |photos: &Photos, log: &Identity| photos.scene(log, &Facts::default(), |scene| scene.takes_logs());
    photos.policy(TAKE_LOGS);
    photos.bucket_acl(CannedAcl::LogDeliveryWrite);
    for before in [None, Some(BucketId(photos_id().0 + 1))] {
        assert!(!takes(&photos, &other_target(&log_of_films("bob", "log/"), before)));
        assert!(takes(&photos, &other_target(&log_of_films("ada", "log/"), before)), "its owner's own logs go by the name");
    }
}

#[test]
fn records_of_several_buckets_come_together_only_if_each_may_come() {
    let mut photos = Photos::new();
    let logs = |owners: &[&str]| {
        let sources = owners.iter().flat_map(|owner| match log_of_films(owner, "log/") {
            Identity::LogDelivery(sources) => sources,
            other => panic!("{other:?}"),
        });
        Identity::LogDelivery(sources.collect())
    };
    let may = |photos: &Photos, owners: &[&str]| {
        let key = key("log/x");
        photos.scene(&logs(owners), &Facts::default(), |scene| scene.allow(PutObject, Target::Key(&key)).is_ok())
    };
    photos.policy(TAKE_LOGS);
    assert!(may(&photos, &["bob"]) && may(&photos, &["bob", "bob"]));
    assert!(!may(&photos, &["bob", "eve"]) && !may(&photos, &["eve", "bob"]) && !may(&photos, &[]));
}

#[test]
fn whoever_delivers_a_log_writes_log_objects_and_does_nothing_else() {
    let mut photos = Photos::new();
    photos.policy(TAKE_LOGS);
    let log = log_of_films("bob", "log/");
    let may = |photos: &Photos, action, name: &str| {
        let key = key(name);
        photos.scene(&log, &Facts::default(), |scene| scene.allow(action, Target::Key(&key)).is_ok())
    };
    assert!(may(&photos, PutObject, "log/2026-11-05"));
    assert!(!may(&photos, PutObject, "logs"));
    assert!(!may(&photos, GetObject, "log/2026-11-05") && !may(&photos, DeleteObject, "log/2026-11-05"));
    let target = photos.scene(&log, &Facts::default(), |scene| scene.allow(ListBucket, Target::Bucket).is_ok());
    assert!(!target);
    // With a wildcard, as S3's own examples have it; and what is denied of the very key stays denied.
    let wide = TAKE_LOGS.replace("photos/log/", "photos/log/*");
    photos.policy(&wide);
    assert!(may(&photos, PutObject, "log/2026-11-05"));
    let deny = r#"{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::photos/log/2027*"}"#;
    photos.policy(&format!("{TAKE_LOGS},{deny}"));
    assert!(may(&photos, PutObject, "log/2026-11-05") && !may(&photos, PutObject, "log/2027-01-01"));
    let written = photos.scene(&log, &Facts::default(), |scene| scene.written(&photos.om.tables));
    assert_eq!(written.expect("memory").expect("it may").owner, UserId("ada".into()), "it belongs to the target's owner");
}

#[test]
fn that_an_acl_was_needed_is_told_only_if_nothing_else_would_do() {
    let mut photos = Photos::new();
    photos.bucket_acl(CannedAcl::PublicRead);
    let needs = |photos: &Photos, id: &str| {
        photos.scene(&who(id), &Facts::default(), |scene| scene.needs_acl(ListBucket, Target::Bucket))
    };
    assert!(needs(&photos, "bob") && needs(&photos, "nobody"));
    assert!(!needs(&photos, "ada") && !needs(&photos, "root"));
    photos.policy(r#"{"Effect":"Allow","Principal":"*","Action":"s3:ListBucket","Resource":"arn:aws:s3:::photos"}"#);
    assert!(!needs(&photos, "bob"));
}
