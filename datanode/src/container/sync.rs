//! One fdatasync for everybody who waits for one.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::file::DataFile;

/// Coalesces the syncs of one file: who asks while one is running shares the next.
#[derive(Debug)]
pub(crate) struct Syncer {
    state: Mutex<State>,
    /// The last request whose bytes are on the disk, or how a sync failed. A failed one is the last.
    done: watch::Sender<Result<u64, Arc<str>>>,
}

#[derive(Debug, Default)]
struct State {
    requested: u64,
    is_running: bool,
}

impl Default for Syncer {
    fn default() -> Self {
        Self { state: Mutex::default(), done: watch::Sender::new(Ok(0)) }
    }
}

impl Syncer {
    /// Everything written to the file before the call is on the disk when it returns well.
    pub(crate) async fn sync(self: &Arc<Self>, file: &Arc<DataFile>) -> Result<(), Arc<str>> {
        let (mine, must_run) = {
            let mut state = self.state.lock();
            state.requested += 1;
            (state.requested, !std::mem::replace(&mut state.is_running, true))
        };
        if must_run {
            // Apart from this call: the sync must go on for the others if this one is given up.
            let (syncer, file) = (Arc::clone(self), Arc::clone(file));
            tokio::task::spawn_blocking(move || syncer.run(&file));
        }
        let mut done = self.done.subscribe();
        let outcome = done.wait_for(|done| done.as_ref().map_or(true, |done| *done >= mine)).await;
        match outcome.as_deref() {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(why)) => Err(Arc::clone(why)),
            Err(_) => Err("the syncer has gone".into()),
        }
    }

    /// The same for a thread that may block.
    pub(crate) fn sync_blocking(&self, file: &DataFile) -> Result<(), Arc<str>> {
        if let Err(why) = &*self.done.borrow() {
            return Err(Arc::clone(why));
        }
        sync(file).map_err(|why| self.fail(&why))
    }

    fn run(&self, file: &DataFile) {
        loop {
            let upto = self.state.lock().requested;
            match sync(file) {
                // The kernel may have dropped the pages that it could not write: a second sync would succeed and mean nothing.
                Err(why) => {
                    self.fail(&why);
                    return;
                }
                Ok(()) => {
                    self.done.send_modify(|done| {
                        if let Ok(done) = done {
                            *done = upto;
                        }
                    });
                }
            }
            let mut state = self.state.lock();
            if state.requested == upto {
                state.is_running = false;
                return;
            }
        }
    }

    fn fail(&self, why: &str) -> Arc<str> {
        let why: Arc<str> = why.into();
        let _ = self.done.send_replace(Err(Arc::clone(&why)));
        why
    }
}

fn sync(file: &DataFile) -> Result<(), String> {
    metrics::counter!("datanode_container_syncs").increment(1);
    file.sync().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Need;
    use std::fs::File;

    fn file(dir: &tempfile::TempDir) -> Arc<DataFile> {
        Arc::new(DataFile::create(&dir.path().join("f"), &Arc::default(), Need::Data).expect("a file"))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_callers_share_few_syncs_and_all_are_answered() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = file(&dir);
        let syncer = Arc::new(Syncer::default());
        let calls: Vec<_> = (0..64)
            .map(|i| {
                let (syncer, file) = (Arc::clone(&syncer), Arc::clone(&file));
                tokio::spawn(async move {
                    file.write_at(Need::Data, &[i], u64::from(i)).expect("written");
                    syncer.sync(&file).await
                })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.expect("no panic"), Ok(()));
        }
        assert!(!syncer.state.lock().is_running);
    }

    #[tokio::test]
    async fn after_a_failed_sync_none_succeeds() {
        // A pipe cannot be synced.
        let (reader, _writer) = std::io::pipe().expect("a pipe");
        let broken = File::from(std::os::fd::OwnedFd::from(reader));
        let broken = Arc::new(DataFile::over(broken, Arc::default()));
        let syncer = Arc::new(Syncer::default());
        assert!(syncer.sync(&broken).await.is_err());
        let dir = tempfile::tempdir().expect("a directory");
        let good = file(&dir);
        assert!(syncer.sync(&good).await.is_err());
        assert!(syncer.sync_blocking(&good).is_err());
    }
}
