//! One signal that ends everything a process runs, and the wait until all of it has ended.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Clone it freely: all clones speak of one shutdown.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tasks: TaskTracker,
}

impl Shutdown {
    /// A part that can be stopped by itself and stops with its parent.
    pub fn child(&self) -> Self {
        Self { token: self.token.child_token(), tasks: TaskTracker::new() }
    }

    pub fn start(&self) {
        self.token.cancel();
    }

    pub fn has_started(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Resolves once shutdown has started.
    pub async fn started(&self) {
        self.token.cancelled().await;
    }

    /// A task that [`Self::drained`] waits for. It must watch [`Self::started`] itself.
    pub fn spawn<F>(&self, task: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tasks.spawn(task)
    }

    /// A task that is dropped at its next wait once shutdown starts.
    pub fn spawn_until<F>(&self, task: F) -> tokio::task::JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let token = self.token.clone();
        self.tasks.spawn(async move { token.run_until_cancelled(task).await })
    }

    /// Waits for every task, at most this long; false if some are left.
    pub async fn drained(&self, at_most: Duration) -> bool {
        self.tasks.close();
        tokio::time::timeout(at_most, self.tasks.wait()).await.is_ok()
    }
}
