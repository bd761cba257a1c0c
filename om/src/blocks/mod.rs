//! Blocks as the OM deals with them: a pool of leases, a cache of locations, and the tokens that open them.

mod locations;
mod pool;
mod tokens;

pub(crate) use locations::Locations;
pub(crate) use pool::{BlockPool, HandedOut, NoBlocks};
pub(crate) use tokens::Tokens;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rpc::CallContext;
use runtime::{Clock, Entropy, Shutdown};
use scm_api::Scm;
use types::RequestId;

/// A call to the SCM takes no longer than this, however patient the client is: leases and locations are small.
const SCM_PATIENCE: Duration = Duration::from_secs(5);

/// The SCM, and what a call to it needs.
#[derive(Clone)]
pub(crate) struct ScmSide {
    pub(crate) scm: Arc<dyn Scm>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// Ends what is asked beside an answer.
    pub(crate) shutdown: Shutdown,
}

impl fmt::Debug for ScmSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScmSide")
    }
}

impl ScmSide {
    pub(crate) fn call(&self, deadline: Instant) -> CallContext {
        let mut cx = CallContext::local(RequestId::from_u128(self.entropy.u128()), SCM_PATIENCE);
        cx.deadline = cx.deadline.min(deadline);
        cx
    }
}
