//! Which buckets have an access log, as far as this gateway knows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use om_api::{GetLoggedBuckets, LoggedBucket, LoggedBuckets, Om};
use parking_lot::RwLock;
use rpc::{CallContext, CallError, Never};
use types::{BucketId, BucketPath, LogIndex};

/// A list that changes while it is read is begun anew, not more often than this before the next turn.
const TRIES: usize = 3;

#[derive(Debug, Default)]
pub(super) struct Known {
    /// Whether there is any: what most requests look at, and nothing else.
    has_any: AtomicBool,
    list: RwLock<List>,
}

#[derive(Debug, Default)]
struct List {
    state: Option<LogIndex>,
    by_path: BTreeMap<BucketPath, Arc<LoggedBucket>>,
    by_id: BTreeMap<BucketId, Arc<LoggedBucket>>,
}

impl Known {
    pub(super) fn has_any(&self) -> bool {
        self.has_any.load(Ordering::Acquire)
    }

    pub(super) fn of(&self, bucket: &BucketPath) -> Option<Arc<LoggedBucket>> {
        self.list.read().by_path.get(bucket).cloned()
    }

    pub(super) fn by_id(&self, bucket: BucketId) -> Option<Arc<LoggedBucket>> {
        self.list.read().by_id.get(&bucket).cloned()
    }

    /// Learns what has changed.
    pub(super) async fn refresh(&self, om: &dyn Om, call: impl Fn() -> CallContext) -> Result<(), CallError<Never>> {
        for _ in 0..TRIES {
            let known = self.list.read().state;
            match all(om, known, &call).await? {
                Listed::Unchanged => return Ok(()),
                Listed::Torn => {}
                Listed::Whole(state, buckets) => {
                    self.learn(state, buckets);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn learn(&self, state: Option<LogIndex>, buckets: Vec<LoggedBucket>) {
        let mut list = self.list.write();
        // Of two that asked at the same time the one that knows more may come first.
        if state < list.state {
            return;
        }
        let buckets: Vec<_> = buckets.into_iter().map(Arc::new).collect();
        self.has_any.store(!buckets.is_empty(), Ordering::Release);
        *list = List {
            state,
            by_path: buckets.iter().map(|logged| (logged.path.clone(), Arc::clone(logged))).collect(),
            by_id: buckets.into_iter().map(|logged| (logged.id, logged)).collect(),
        };
    }
}

enum Listed {
    Unchanged,
    /// It changed between two pages.
    Torn,
    Whole(Option<LogIndex>, Vec<LoggedBucket>),
}

async fn all(om: &dyn Om, known: Option<LogIndex>, call: impl Fn() -> CallContext) -> Result<Listed, CallError<Never>> {
    let (mut begun, mut found): (Option<Option<LogIndex>>, Vec<LoggedBucket>) = (None, Vec::new());
    loop {
        let after = found.last().map(|logged| logged.id);
        match om.logged_buckets(call(), GetLoggedBuckets { known, after }).await? {
            LoggedBuckets::Unchanged => return Ok(Listed::Unchanged),
            LoggedBuckets::Page { state, .. } if begun.is_some_and(|begun| begun != state) => return Ok(Listed::Torn),
            LoggedBuckets::Page { state, buckets, more } => {
                let is_last = !more || buckets.is_empty();
                begun = Some(state);
                found.extend(buckets);
                if is_last {
                    return Ok(Listed::Whole(state, found));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bucket_config::LoggingConfiguration;
    use bucket_config::logging::LogKeyFormat;
    use om_api::UserId;
    use types::{BucketAddress, VolumeName};

    fn logged(id: u64, name: &str) -> LoggedBucket {
        let path = BucketAddress::parse(name).expect("legal").within(VolumeName::s3v_ref());
        let logging =
            LoggingConfiguration { target: path.name().clone().into(), prefix: String::new(), key_format: LogKeyFormat::Simple };
        LoggedBucket { id: BucketId(id), path, owner: UserId("ada".into()), location: None, logging }
    }

    #[test]
    fn the_newer_of_two_lists_stays() {
        let known = Known::default();
        let path = |text: &str| BucketAddress::parse(text).expect("legal").within(VolumeName::s3v_ref());
        known.learn(Some(LogIndex(7)), vec![logged(1, "photos"), logged(2, "red:photos")]);
        known.learn(Some(LogIndex(6)), vec![logged(1, "photos")]);
        assert_eq!(known.of(&path("red:photos")).map(|logged| logged.id), Some(BucketId(2)));
        assert_eq!(known.by_id(BucketId(1)).map(|logged| logged.path.clone()), Some(path("photos")));
        known.learn(Some(LogIndex(8)), Vec::new());
        assert_eq!(known.of(&path("red:photos")), None);
    }
}
