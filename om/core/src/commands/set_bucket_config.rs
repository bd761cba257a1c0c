//! What an owner sets on a bucket, one kind at a time.

use bucket_config::{BucketDocument, ConfigKind};
use minicbor::{Decode, Encode};
use tables::WriteTables;
use types::{BucketId, LogIndex, Timestamp};

use super::Outcome;
use crate::namespace;
use crate::rows::{self, BucketConfigRow, config_key};
use crate::tables::BUCKET_CONFIGS;

/// The last one set is the one that counts; taking away what is not there succeeds.
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

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum SetBucketConfigRejected {
    #[n(0)]
    NoSuchBucket,
}

impl SetBucketConfig {
    pub(super) fn apply(self, _: LogIndex, tables: &mut dyn WriteTables) -> Outcome<(), SetBucketConfigRejected> {
        if namespace::bucket(tables, self.bucket)?.is_none() {
            return Ok(Err(SetBucketConfigRejected::NoSuchBucket));
        }
        match self.change {
            ConfigChange::Put(document) => {
                let key = config_key(self.bucket, document.kind());
                rows::put(tables, BUCKET_CONFIGS, &key, &BucketConfigRow { document: *document, changed: self.now });
            }
            ConfigChange::Delete(kind) => tables.delete(BUCKET_CONFIGS, &config_key(self.bucket, kind)),
        }
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Namespace;
    use bucket_config::tagging::Tag;
    use bucket_config::{BucketTags, CorsConfiguration};

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
}
