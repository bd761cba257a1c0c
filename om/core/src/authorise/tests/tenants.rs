//! Accounts whose buckets lie in volumes of their own.

use types::{BucketAddress, VolumeName};

use super::*;
use crate::rows::VolumeRow;
use crate::{CreateBucket, EnsureUser, EnsureUserRejected};

fn volume(name: &str) -> VolumeName {
    VolumeName::parse(name).expect("legal")
}

fn tenant(om: &Namespace, id: &str, volume: Option<&str>) -> EnsureUser {
    EnsureUser { volume: volume.map(|name| VolumeName::parse(name).expect("legal")), ..om.account(id) }
}

fn account(om: &Namespace, id: &str) -> UserRow {
    namespace::user(&om.tables, &UserId(id.into())).expect("memory").expect("there is one")
}

#[test]
fn an_account_s_volume_is_set_once_and_made_with_it() {
    let mut om = Namespace::with_users(["ada"]);
    let red = tenant(&om, "red", Some("crimson"));
    om.apply(red.clone()).expect("a new account");
    let made = namespace::volume(&om.tables, &volume("crimson")).expect("memory");
    assert_eq!(made.map(|row: VolumeRow| row.owner), Some(UserId("red".into())));
    om.apply(red).expect("it is so already");
    om.apply(tenant(&om, "red", None)).expect("nothing is said of it");
    assert_eq!(account(&om, "red").home(), &volume("crimson"));
    for other in ["blue", "s3v"] {
        let refused = om.apply(tenant(&om, "red", Some(other)));
        assert_eq!(refused, Err(EnsureUserRejected::VolumeFixed(volume("crimson"))));
    }
    assert_eq!(om.apply(tenant(&om, "ada", Some("crimson"))), Err(EnsureUserRejected::VolumeFixed(VolumeName::s3v())));
    om.apply(tenant(&om, "ada", Some("s3v"))).expect("there it is");
    assert_eq!(account(&om, "ada").volume, None);
    om.check();
}

#[test]
fn accounts_may_share_a_volume_which_stays_the_first_one_s() {
    let mut om = Namespace::default();
    for id in ["red", "scarlet"] {
        om.apply(tenant(&om, id, Some("crimson"))).expect("a new account");
        assert_eq!(account(&om, id).home(), &volume("crimson"));
    }
    let made = namespace::volume(&om.tables, &volume("crimson")).expect("memory");
    assert_eq!(made.map(|row: VolumeRow| row.owner), Some(UserId("red".into())));
}

#[test]
fn a_name_is_taken_in_its_volume_alone() {
    let mut om = Namespace::with_users(["ada"]);
    om.apply(tenant(&om, "red", Some("crimson"))).expect("a new account");
    let of_ada = om.create_bucket("ada", "data");
    let create = CreateBucket { volume: volume("crimson"), ..om.bucket("red", "data") };
    let of_red = om.apply(create).expect("free there").id;
    let found = |address: &str, home: &str| {
        let path = BucketAddress::parse(address).expect("legal").within(&volume(home));
        namespace::bucket_by_path(&om.tables, &path).expect("memory").map(|row| row.id)
    };
    assert_eq!((found("data", "s3v"), found("data", "crimson")), (Some(of_ada), Some(of_red)));
    assert_eq!((found("crimson:data", "s3v"), found(":data", "crimson")), (Some(of_red), Some(of_ada)));
    assert_eq!(found("blue:data", "s3v"), None);
    om.check();
}

/// A log of a bucket of this volume, which goes to Ada's `photos`.
fn log_from(volume_name: &str) -> Identity {
    let mut om = Namespace::default();
    om.apply(tenant(&om, "bob", Some(volume_name))).expect("a new account");
    let create = CreateBucket { volume: volume(volume_name), ..om.bucket("bob", "films") };
    let films = om.apply(create).expect("a new bucket");
    let target = BucketAddress::parse(":photos").expect("legal");
    let key_format = bucket_config::logging::LogKeyFormat::Simple;
    let logging = bucket_config::LoggingConfiguration { target, prefix: "log/".into(), key_format };
    let meant = Some(Photos::new().bucket);
    Identity::LogDelivery(vec![LogSource::of(&om.tables, &films, &logging, meant).expect("memory")])
}

#[test]
fn a_log_comes_from_a_bucket_of_one_volume() {
    let statement = |arn: &str| {
        format!(
            r#"{{"Effect":"Allow","Principal":{{"Service":"logging.s3.amazonaws.com"}},"Action":"s3:PutObject",
            "Resource":"arn:aws:s3:::photos/log/*","Condition":{{"ArnLike":{{"aws:SourceArn":"{arn}"}}}}}}"#
        )
    };
    let (of_s3v, of_red) = (log_from("s3v"), log_from("red"));
    let takes = |photos: &Photos, log: &Identity| photos.scene(log, &Facts::default(), |scene| scene.takes_logs());
    for (arn, wanted) in [
        ("arn:aws:s3:::films", [true, false]),
        ("arn:aws:s3::red:films", [false, true]),
        // Whoever has a volume could make one of this name.
        ("arn:aws:s3::*:films", [false, false]),
    ] {
        let mut photos = Photos::new();
        photos.policy(&statement(arn));
        assert_eq!([takes(&photos, &of_s3v), takes(&photos, &of_red)], wanted, "{arn}");
    }
}

#[test]
fn a_log_is_delivered_to_no_bucket_of_the_name_in_another_volume() {
    let Identity::LogDelivery(sources) = log_from("red") else { panic!("a log") };
    let elsewhere = |source: &LogSource| LogSource {
        target: BucketPath::new(volume("red"), BucketName::parse("photos").expect("legal")),
        ..source.clone()
    };
    let log = Identity::LogDelivery(sources.iter().map(elsewhere).collect());
    let mut photos = Photos::new();
    photos.policy(
        r#"{"Effect":"Allow","Principal":{"Service":"logging.s3.amazonaws.com"},"Action":"s3:PutObject",
        "Resource":"arn:aws:s3:::photos/log/*","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:s3::red:films"}}}"#,
    );
    let takes = |log: &Identity| photos.scene(log, &Facts::default(), |scene| scene.takes_logs());
    assert!(takes(&Identity::LogDelivery(sources)));
    assert!(!takes(&log));
}
