//! Which buckets have an access log, for those who write it: the gateways.

use bucket_config::LoggingConfiguration;
use tables::{ReadTables, StorageFault, Visit};
use types::{BucketId, LogIndex};

use crate::namespace;
use crate::rows::{self, BucketRow, LOGS_CHANGED, be64, bucket_key};
use crate::tables::{LOGGED_BUCKETS, META};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedBucket {
    pub bucket: BucketRow,
    pub logging: LoggingConfiguration,
}

/// The last entry that changed which buckets there are, or where their logs go.
pub fn changed(tables: &dyn ReadTables) -> Result<Option<LogIndex>, StorageFault> {
    rows::get(tables, META, LOGS_CHANGED)
}

/// The bucket that a log was to go to when it was set up. None of a log that was set up before that was noted.
pub(crate) fn target_meant(tables: &dyn ReadTables, source: BucketId) -> Result<Option<BucketId>, StorageFault> {
    let noted = tables.get(LOGGED_BUCKETS, &bucket_key(source))?;
    noted.filter(|id| !id.is_empty()).map(|id| be64(LOGGED_BUCKETS, &id, 0).map(BucketId)).transpose()
}

/// Up to `limit` of them behind one, in the order of their ids.
pub fn logged_buckets(tables: &dyn ReadTables, after: Option<BucketId>, limit: usize) -> Result<Vec<LoggedBucket>, StorageFault> {
    let mut ids = Vec::new();
    let from = after.map_or(Vec::new(), |BucketId(id)| bucket_key(BucketId(id.saturating_add(1))).to_vec());
    tables.scan(LOGGED_BUCKETS, &from, &mut |key, _| {
        if ids.len() == limit {
            return Ok(Visit::Stop);
        }
        ids.push(BucketId(be64(LOGGED_BUCKETS, key, 0)?));
        Ok(Visit::Next)
    })?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let logging = namespace::bucket_document(tables, id)?;
        found.extend(namespace::bucket(tables, id)?.zip(logging).map(|(bucket, logging)| LoggedBucket { bucket, logging }));
    }
    Ok(found)
}
