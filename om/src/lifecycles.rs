//! The lifecycle rules of buckets, kept so that no request parses a document.
//!
//! Kept rules are used only while the bucket's row, read in the same state as everything else of the request, names the entry that
//! set them. A bucket without rules says so in its row and costs nothing more.

use std::collections::BTreeMap;
use std::sync::Arc;

use bucket_config::LifecycleConfiguration;
use bucket_config::lifecycle::{Day, Expiry, StaleUpload};
use om_api as api;
use om_core::lifecycle::facts;
use om_core::namespace;
use om_core::rows::{BucketRow, KeyRow};
use parking_lot::Mutex;
use tables::{ReadTables, StorageFault};
use types::{BucketId, LogIndex, ObjectKey, Timestamp};

/// Beyond so many all are dropped: at the usual handful of rules each this stays below some 10 MiB.
const MOST_KEPT: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Lifecycles {
    kept: Mutex<BTreeMap<BucketId, (LogIndex, Rules)>>,
}

/// What clients are told of rules: in days of the calendar, however short the days are that the rules are carried out by.
#[derive(Debug, Clone)]
pub(crate) struct Rules(Arc<LifecycleConfiguration>);

impl Lifecycles {
    pub(crate) fn of(&self, tables: &dyn ReadTables, bucket: &BucketRow) -> Result<Option<Rules>, StorageFault> {
        let Some(set_by) = bucket.lifecycle else { return Ok(None) };
        if let Some((_, rules)) = self.kept.lock().get(&bucket.id).filter(|(kept, _)| *kept == set_by) {
            return Ok(Some(rules.clone()));
        }
        let Some(document) = namespace::bucket_document(tables, bucket.id)? else { return Ok(None) };
        let rules = Rules(Arc::new(document));
        let mut kept = self.kept.lock();
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.insert(bucket.id, (set_by, rules.clone()));
        Ok(Some(rules))
    }
}

impl Rules {
    /// When an object ends; only a current one does by the rules that are told.
    pub(crate) fn end_of_object(&self, key: &ObjectKey, row: &KeyRow) -> Option<api::LifecycleEnd> {
        let facts = facts(key.as_str(), &row.head, &row.body.attributes.tags);
        let is_current = row.head.noncurrent.is_none();
        is_current.then(|| self.0.expiry(facts, row.head.modified, Day::Calendar)).flatten().map(show)
    }

    pub(crate) fn end_of_upload(&self, key: &ObjectKey, initiated: Timestamp) -> Option<api::LifecycleEnd> {
        self.0.abort_of(StaleUpload { key: key.as_str(), initiated }, Day::Calendar).map(show)
    }
}

fn show(end: Expiry<'_>) -> api::LifecycleEnd {
    api::LifecycleEnd { at: end.at, rule: end.rule.to_owned() }
}
