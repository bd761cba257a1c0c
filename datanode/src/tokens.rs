//! The gate in front of every block: no token, no block, whoever asks and in whatever mode.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;
use runtime::Clock;
use scm_api::token::{Access, BlockToken, Target, TokenKeys};
use tracing::debug;
use types::Millis;

pub(crate) struct TokenGate {
    keys: RwLock<TokenKeys>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for TokenGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenGate")
    }
}

/// The caller learns no more than this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Denied,
    /// No key has come from the SCM yet.
    NotReady,
}

/// A token that we seal for a peer is used at once.
const OWN_TOKEN_FOR: Millis = Millis(5 * 60 * 1000);

impl TokenGate {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { keys: RwLock::default(), clock }
    }

    pub(crate) fn set_keys(&self, keys: TokenKeys) {
        *self.keys.write() = keys;
    }

    pub(crate) fn has_keys(&self) -> bool {
        !self.keys.read().keys.is_empty()
    }

    /// The token, if it opens `length` bytes of `target` for `access`.
    pub(crate) fn check(&self, sealed: &Bytes, target: Target, access: Access, length: u64) -> Result<BlockToken, Refused> {
        let keys = self.keys.read();
        if keys.keys.is_empty() {
            return Err(Refused::NotReady);
        }
        let opened = keys.open(sealed, self.clock.now());
        let allowed = opened.and_then(|token| token.allows(target, access, length).map(|()| token));
        allowed.map_err(|why| {
            metrics::counter!("datanode_tokens_refused").increment(1);
            debug!(?target, ?access, length, %why, "refused a token");
            Refused::Denied
        })
    }

    /// A token for ourselves at a peer, to fetch a replica with.
    pub(crate) fn seal_read(&self, target: Target, length: u64, caller: &str) -> Option<Bytes> {
        let now = self.clock.now();
        let keys = self.keys.read();
        let key = keys.sealing(now)?;
        let expires = now + OWN_TOKEN_FOR;
        Some(BlockToken { target, access: Access::Read, max_length: length, expires, caller: caller.to_owned() }.seal(key))
    }
}
