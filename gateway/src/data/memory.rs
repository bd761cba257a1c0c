//! The memory that uploads may hold together.
//!
//! Whoever waits for it waits in line, so small uploads have a line of their own: a few slow large ones must not hold up the many
//! that would be done in a moment.

use std::sync::Arc;

use datanode_api::INLINE_BLOCK_MAX;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Config;

/// A semaphore counts in `u32`; bytes would not fit.
const UNIT: usize = 4096;
/// What an upload holds apart from its bytes.
const OVERHEAD: usize = 64 << 10;
/// The small ones' share of the whole.
const SMALL_SHARE: usize = 8;

#[derive(Debug)]
pub(crate) struct UploadMemory {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
    /// The most that one upload holds, however large.
    one: usize,
}

impl UploadMemory {
    pub(crate) fn new(config: &Config) -> Self {
        let one = config.one_upload();
        let small = (config.upload_memory / SMALL_SHARE).max(INLINE_BLOCK_MAX + OVERHEAD);
        // The configuration was valid: one large upload fits at least.
        let large = config.upload_memory.saturating_sub(small).max(one);
        let semaphore = |bytes| Arc::new(Semaphore::new(units(bytes).min(Semaphore::MAX_PERMITS)));
        Self { small: semaphore(small), large: semaphore(large), one }
    }

    /// Waits for room for an upload of this size; an unknown one is taken for large.
    pub(crate) async fn room(&self, size: Option<u64>) -> Option<OwnedSemaphorePermit> {
        let size = size.and_then(|size| usize::try_from(size).ok()).unwrap_or(usize::MAX);
        let (line, bytes) = if size <= INLINE_BLOCK_MAX {
            (&self.small, size + OVERHEAD)
        } else {
            (&self.large, size.saturating_add(OVERHEAD).min(self.one))
        };
        Arc::clone(line).acquire_many_owned(u32::try_from(units(bytes)).ok()?).await.ok()
    }
}

fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn large_uploads_that_wait_do_not_hold_up_small_ones() {
        let memory = UploadMemory::new(&Config::default());
        let now = |size| memory.room(size).now_or_never().flatten();
        let mut held = Vec::new();
        while let Some(room) = now(None) {
            held.push(room);
        }
        assert!(held.len() >= 16, "{}", held.len());
        let small: Vec<_> = std::iter::from_fn(|| now(Some(4096))).collect();
        assert!(small.len() >= 200, "{}", small.len());
        held.pop();
        assert!(now(Some(1 << 30)).is_some());
    }
}
