//! What an owner sets on a bucket, one kind at a time.

use bucket_config::service::Payer;
use bucket_config::{BucketDocument, ConfigKind, LoggingConfiguration, RequestPayment};
use minicbor::{Decode, Encode};
use tables::{StorageFault, WriteTables};
use types::{BucketId, LogIndex, Timestamp};

use super::Outcome;
use crate::access_logs;
use crate::namespace;
use crate::notifications;
use crate::rows::{self, BucketConfigRow, BucketRow, LOGS_CHANGED, Sequence, bucket_key, config_key};
use crate::tables::{BUCKET_CONFIGS, BUCKETS, LIFECYCLE_BUCKETS, LOGGED_BUCKETS, META};

/// The last one set is the one that counts; setting what is set already changes nothing, and taking away what is not there succeeds.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SetBucketConfig {
    #[n(0)]
    pub bucket: BucketId,
    #[n(1)]
    pub change: ConfigChange,
    #[n(2)]
    pub now: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum ConfigChange {
    #[n(0)]
    Put(#[n(0)] Box<BucketDocument>),
    #[n(1)]
    Delete(#[n(0)] ConfigKind),
}

impl ConfigChange {
    fn kind(&self) -> ConfigKind {
        match self {
            Self::Put(document) => document.kind(),
            Self::Delete(kind) => *kind,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum SetBucketConfigRejected {
    #[n(0)]
    NoSuchBucket,
    #[n(1)]
    NoSuchLogTarget,
    #[n(2)]
    UnfitLogTarget(#[n(0)] UnfitLogTarget),
}

/// Why a bucket cannot take another's access log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum UnfitLogTarget {
    /// It is the same bucket: each record would cause another.
    #[n(0)]
    Itself,
    /// It has a log of its own: likewise, around a corner.
    #[n(1)]
    HasLog,
    #[n(2)]
    IsEncrypted,
    #[n(3)]
    RequesterPays,
}

impl SetBucketConfig {
    pub(super) fn apply(self, log: LogIndex, tables: &mut dyn WriteTables) -> Outcome<(), SetBucketConfigRejected> {
        let Some(mut bucket) = namespace::bucket(tables, self.bucket)? else {
            return Ok(Err(SetBucketConfigRejected::NoSuchBucket));
        };
        let is_put = matches!(self.change, ConfigChange::Put(_));
        let mut log_target = None;
        if let ConfigChange::Put(document) = &self.change {
            if let BucketDocument::Logging(logging) = document.as_ref() {
                match find_log_target(tables, &bucket, logging)? {
                    Ok(target) => log_target = Some(target),
                    Err(rejected) => return Ok(Err(rejected)),
                }
            }
            // The same name may be another bucket's by now.
            let means_the_same = log_target.is_none() || log_target == access_logs::target_meant(tables, bucket.id)?;
            let is_there =
                namespace::bucket_config(tables, bucket.id, document.kind())?.is_some_and(|row| row.document == **document);
            if means_the_same && is_there {
                return Ok(Ok(()));
            }
        }
        if self.change.kind().guards() {
            bucket.guarded = Some(log);
            rows::put(tables, BUCKETS, &bucket_key(bucket.id), &bucket);
        }
        match self.change.kind() {
            ConfigKind::Lifecycle => {
                bucket.lifecycle = is_put.then_some(log);
                note_lifecycle(tables, &bucket);
            }
            ConfigKind::Logging => note_logging(tables, &bucket, log_target, log),
            ConfigKind::Notification => {
                bucket.notifies = is_put.then_some(log);
                rows::put(tables, BUCKETS, &bucket_key(bucket.id), &bucket);
            }
            _ => {}
        }
        match self.change {
            ConfigChange::Put(document) => {
                if let BucketDocument::Notification(configuration) = document.as_ref() {
                    notifications::test(tables, &bucket, configuration, Sequence::new(log, 0), self.now);
                }
                let key = config_key(self.bucket, document.kind());
                rows::put(tables, BUCKET_CONFIGS, &key, &BucketConfigRow { document: *document, changed: self.now });
            }
            ConfigChange::Delete(kind) => tables.delete(BUCKET_CONFIGS, &config_key(self.bucket, kind)),
        }
        Ok(Ok(()))
    }
}

/// So that requests and the lifecycle service know the bucket by it, without looking for a document.
fn note_lifecycle(tables: &mut dyn WriteTables, bucket: &BucketRow) {
    let key = bucket_key(bucket.id);
    rows::put(tables, BUCKETS, &key, bucket);
    match bucket.lifecycle {
        Some(rules) => rows::put(tables, LIFECYCLE_BUCKETS, &key, &rules),
        None => tables.delete(LIFECYCLE_BUCKETS, &key),
    }
}

/// So that gateways know which buckets have a log, and whether they know it still.
fn note_logging(tables: &mut dyn WriteTables, bucket: &BucketRow, target: Option<BucketId>, log: LogIndex) {
    let key = bucket_key(bucket.id);
    match target {
        Some(target) => tables.put(LOGGED_BUCKETS, &key, bucket_key(target).to_vec()),
        None => tables.delete(LOGGED_BUCKETS, &key),
    }
    rows::put(tables, META, LOGS_CHANGED, &log);
}

fn find_log_target(
    tables: &dyn WriteTables,
    source: &BucketRow,
    logging: &LoggingConfiguration,
) -> Result<Result<BucketId, SetBucketConfigRejected>, StorageFault> {
    let Some(target) = namespace::bucket_by_path(tables, &logging.target.within(&source.volume))? else {
        return Ok(Err(SetBucketConfigRejected::NoSuchLogTarget));
    };
    let has = |kind| namespace::bucket_config(tables, target.id, kind).map(|row| row.is_some());
    let payment: Option<RequestPayment> = namespace::bucket_document(tables, target.id)?;
    let unfit = if target.id == source.id {
        UnfitLogTarget::Itself
    } else if has(ConfigKind::Logging)? {
        UnfitLogTarget::HasLog
    } else if has(ConfigKind::Encryption)? {
        UnfitLogTarget::IsEncrypted
    } else if payment.is_some_and(|payment| payment.payer == Payer::Requester) {
        UnfitLogTarget::RequesterPays
    } else {
        return Ok(Ok(target.id));
    };
    Ok(Err(SetBucketConfigRejected::UnfitLogTarget(unfit)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Namespace;
    use bucket_config::encryption::SseAlgorithm;
    use bucket_config::logging::LogKeyFormat;
    use bucket_config::tagging::Tag;
    use bucket_config::{BucketTags, CorsConfiguration, EncryptionConfiguration};
    use types::BucketAddress;

    fn tags(word: &str) -> BucketTags {
        BucketTags::new(vec![Tag { key: "k".into(), value: word.into() }])
    }

    fn set(om: &mut Namespace, bucket: BucketId, change: ConfigChange) -> Result<(), SetBucketConfigRejected> {
        let now = om.now();
        om.apply(SetBucketConfig { bucket, change, now })
    }

    fn put(document: impl Into<BucketDocument>) -> ConfigChange {
        ConfigChange::Put(Box::new(document.into()))
    }

    fn tags_of(om: &Namespace, bucket: BucketId) -> Option<BucketTags> {
        namespace::bucket_document(&om.tables, bucket).expect("memory")
    }

    #[test]
    fn the_last_document_of_a_kind_counts_and_the_others_stay() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let cors = CorsConfiguration::default();
        for document in [tags("one").into(), BucketDocument::from(cors.clone()), tags("two").into()] {
            set(&mut om, bucket, put(document)).expect("the bucket exists");
        }
        assert_eq!(tags_of(&om, bucket), Some(tags("two")));
        for _ in 0..2 {
            set(&mut om, bucket, ConfigChange::Delete(ConfigKind::Tagging)).expect("the bucket exists");
            assert_eq!(tags_of(&om, bucket), None);
        }
        assert_eq!(namespace::bucket_document(&om.tables, bucket).expect("memory"), Some(cors));
        om.check();
    }

    #[test]
    fn a_bucket_made_again_has_nothing_of_the_one_before() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let beside = om.create_bucket("ada", "photos-beside");
        set(&mut om, bucket, put(tags("old"))).expect("the bucket exists");
        set(&mut om, beside, put(tags("beside"))).expect("the bucket exists");
        om.apply(crate::DeleteBucket { bucket }).expect("it is empty");
        om.check();
        let again = om.create_bucket("ada", "photos");
        assert_eq!(tags_of(&om, again), None);
        assert_eq!(tags_of(&om, beside), Some(tags("beside")));
        assert_eq!(set(&mut om, bucket, put(tags("late"))), Err(SetBucketConfigRejected::NoSuchBucket));
    }

    #[test]
    fn who_writes_access_logs_sees_which_there_are_and_when_that_changes() {
        let mut om = Namespace::with_users(["ada"]);
        let [first, second, _] = ["photos", "films", "logs"].map(|name| om.create_bucket("ada", name));
        let to = |prefix: &str| {
            let target = BucketAddress::parse("logs").expect("legal");
            put(LoggingConfiguration { target, prefix: prefix.into(), key_format: LogKeyFormat::Simple })
        };
        let seen = |om: &Namespace, after, limit| -> Vec<(BucketId, String)> {
            let found = crate::access_logs::logged_buckets(&om.tables, after, limit).expect("memory");
            found.into_iter().map(|logged| (logged.bucket.id, logged.logging.prefix)).collect()
        };
        let changed = |om: &Namespace| crate::access_logs::changed(&om.tables).expect("memory");
        assert_eq!((seen(&om, None, 9), changed(&om)), (vec![], None));
        set(&mut om, first, to("a/")).expect("a fit target");
        set(&mut om, second, to("b/")).expect("a fit target");
        let both = changed(&om);
        assert_eq!(seen(&om, None, 9), [(first, "a/".into()), (second, "b/".into())]);
        assert_eq!(seen(&om, None, 1), [(first, "a/".into())]);
        assert_eq!(seen(&om, Some(first), 9), [(second, "b/".into())]);
        set(&mut om, second, to("b/")).expect("a fit target");
        assert_eq!(changed(&om), both);
        set(&mut om, second, ConfigChange::Delete(ConfigKind::Logging)).expect("the bucket exists");
        assert!(changed(&om) > both);
        let one = changed(&om);
        om.apply(crate::DeleteBucket { bucket: first }).expect("it is empty");
        assert!(changed(&om) > one);
        assert_eq!(seen(&om, None, 9), []);
        om.check();
    }

    #[test]
    fn a_log_means_the_bucket_that_had_the_name_when_it_was_set() {
        let mut om = Namespace::with_users(["ada", "eve"]);
        let source = om.create_bucket("ada", "photos");
        let to_logs = || {
            let target = BucketAddress::parse("logs").expect("legal");
            put(LoggingConfiguration { target, prefix: String::new(), key_format: LogKeyFormat::Simple })
        };
        let meant = |om: &Namespace| access_logs::target_meant(&om.tables, source).expect("memory");
        let first = om.create_bucket("ada", "logs");
        set(&mut om, source, to_logs()).expect("a fit target");
        assert_eq!(meant(&om), Some(first));
        om.apply(crate::DeleteBucket { bucket: first }).expect("it is empty");
        let second = om.create_bucket("eve", "logs");
        assert_eq!(meant(&om), Some(first));
        set(&mut om, source, to_logs()).expect("a fit target");
        assert_eq!(meant(&om), Some(second), "to set the same again means the bucket that there is now");
        om.check();
    }

    #[test]
    fn a_bucket_with_lifecycle_rules_is_known_by_the_entry_that_set_them() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let rules = |om: &Namespace| {
            let row = namespace::bucket(&om.tables, bucket).expect("memory");
            let found = crate::lifecycle::buckets(&om.tables, None, 9).expect("memory");
            assert_eq!(found.first().map(|(_, rules)| *rules), row.and_then(|row| row.lifecycle));
            found
        };
        assert_eq!(rules(&om), []);
        set(&mut om, bucket, put(bucket_config::LifecycleConfiguration::default())).expect("the bucket exists");
        let first = rules(&om);
        set(&mut om, bucket, put(bucket_config::LifecycleConfiguration::default())).expect("the bucket exists");
        assert_eq!(first, rules(&om), "the same rules are no new ones");
        om.set_lifecycle(bucket, [crate::testing::lifecycle_rule("")]);
        assert!(first < rules(&om));
        om.check();
        set(&mut om, bucket, ConfigChange::Delete(ConfigKind::Lifecycle)).expect("the bucket exists");
        assert_eq!(rules(&om), []);
        om.check();
        set(&mut om, bucket, put(bucket_config::LifecycleConfiguration::default())).expect("the bucket exists");
        om.apply(crate::DeleteBucket { bucket }).expect("it is empty");
        om.check();
        assert_eq!(crate::lifecycle::buckets(&om.tables, None, 9).expect("memory"), []);
    }

    #[test]
    fn a_log_goes_to_another_bucket_that_has_none_itself() {
        let mut om = Namespace::with_users(["ada"]);
        let source = om.create_bucket("ada", "photos");
        let logs = om.create_bucket("ada", "logs");
        let second = om.create_bucket("ada", "logs-2");
        let to = |name: &str| {
            let target = BucketAddress::parse(name).expect("legal");
            put(LoggingConfiguration { target, prefix: "log/".into(), key_format: LogKeyFormat::Simple })
        };
        let unfit = |why| Err(SetBucketConfigRejected::UnfitLogTarget(why));
        assert_eq!(set(&mut om, source, to("nowhere")), Err(SetBucketConfigRejected::NoSuchLogTarget));
        assert_eq!(set(&mut om, source, to("photos")), unfit(UnfitLogTarget::Itself));
        assert_eq!(set(&mut om, source, to("logs")), Ok(()));
        assert_eq!(set(&mut om, second, to("photos")), unfit(UnfitLogTarget::HasLog));
        let encryption = EncryptionConfiguration { algorithm: SseAlgorithm::Aes256, kms_key: None, bucket_key: false };
        set(&mut om, second, put(encryption)).expect("the bucket exists");
        assert_eq!(set(&mut om, source, to("logs-2")), unfit(UnfitLogTarget::IsEncrypted));
        set(&mut om, logs, put(RequestPayment { payer: Payer::BucketOwner })).expect("the bucket exists");
        assert_eq!(set(&mut om, source, to("logs")), Ok(()));
        set(&mut om, logs, put(RequestPayment { payer: Payer::Requester })).expect("the bucket exists");
        assert_eq!(set(&mut om, source, to("logs")), unfit(UnfitLogTarget::RequesterPays));
        om.check();
    }
}
