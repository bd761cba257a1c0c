//! Block tokens, sealed with the SCM's keys.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;
use scm_api::token::{Access, BlockToken, Target, TokenKey, TokenKeys};
use types::{BlockId, Millis, Timestamp};

use super::{SCM_PATIENCE, ScmSide};

#[derive(Clone)]
pub(crate) struct Tokens(Arc<Inner>);

struct Inner {
    side: ScmSide,
    keys: Mutex<Keys>,
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Keys {
    keys: TokenKeys,
    fetched: Timestamp,
    is_fetching: bool,
}

/// Keys rotate over hours; a minute keeps us within the time for which an old one still seals.
const FRESH: Millis = Millis(60_000);

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

/// One key at one time, for the tokens of one answer.
#[derive(Debug)]
pub(crate) struct Sealer {
    key: TokenKey,
    now: Timestamp,
}

impl Sealer {
    /// Ends with its key at the latest: beyond that no datanode could open it.
    pub(crate) fn seal(&self, block: BlockId, access: Access, max_length: u64, lifetime: Millis, caller: &str) -> Bytes {
        let expires = (self.now + lifetime).min(self.key.expires);
        BlockToken { target: Target::Block(block), access, max_length, expires, caller: caller.to_owned() }.seal(&self.key)
    }
}

impl Tokens {
    pub(crate) fn new(side: ScmSide) -> Self {
        Self(Arc::new(Inner { side, keys: Mutex::default(), fetching: tokio::sync::Mutex::default() }))
    }

    /// Waits for the SCM only where no key is at hand.
    pub(crate) async fn sealer(&self, deadline: Instant) -> Result<Sealer, String> {
        if let Some(sealer) = self.sealer_now() {
            return Ok(sealer);
        }
        let _one_at_a_time = self.0.fetching.lock().await;
        if let Some(sealer) = self.sealer_now() {
            return Ok(sealer);
        }
        self.fetch(deadline).await?;
        self.sealer_now().ok_or_else(|| "the SCM has no key to seal block tokens with".to_owned())
    }

    fn sealer_now(&self) -> Option<Sealer> {
        let now = self.0.side.clock.now();
        let mut keys = self.0.keys.lock();
        let sealer = keys.keys.sealing(now).map(|key| Sealer { key: key.clone(), now })?;
        if now.since(keys.fetched) >= FRESH && !keys.is_fetching {
            keys.is_fetching = true;
            let tokens = self.clone();
            self.0.side.shutdown.spawn_until(async move {
                if let Err(error) = tokens.fetch(Instant::now() + SCM_PATIENCE).await {
                    tracing::warn!(%error, "fetching token keys");
                }
                tokens.0.keys.lock().is_fetching = false;
            });
        }
        Some(sealer)
    }

    async fn fetch(&self, deadline: Instant) -> Result<(), String> {
        let fetched = self.0.side.scm.token_keys(self.0.side.call(deadline), ()).await;
        let fetched = fetched.map_err(|error| format!("asking the SCM for token keys: {error}"))?;
        let mut keys = self.0.keys.lock();
        keys.keys = fetched;
        keys.fetched = self.0.side.clock.now();
        Ok(())
    }
}
