//! What never changes about a multipart upload, kept to spare the OM a question for each part.

use std::collections::BTreeMap;

use om_api::EncryptionInfo;
use parking_lot::Mutex;
use types::{ChecksumAlgorithm, ChecksumType, UploadId};

/// Uploads in flight through one gateway are far fewer; beyond it all are forgotten and asked for again.
const KEPT: usize = 10_000;

/// What an upload was begun with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UploadFacts {
    pub(crate) checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
    pub(crate) encryption: Option<EncryptionInfo>,
}

#[derive(Debug, Default)]
pub(crate) struct UploadCache(Mutex<BTreeMap<UploadId, UploadFacts>>);

impl UploadCache {
    pub(crate) fn get(&self, upload: UploadId) -> Option<UploadFacts> {
        self.0.lock().get(&upload).cloned()
    }

    pub(crate) fn put(&self, upload: UploadId, facts: UploadFacts) {
        let mut kept = self.0.lock();
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(upload, facts);
    }

    pub(crate) fn forget(&self, upload: UploadId) {
        self.0.lock().remove(&upload);
    }
}
