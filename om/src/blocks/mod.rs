//! Blocks as the OM deals with them: a pool of leases, a cache of locations, and the tokens that open them.

mod locations;
mod pool;
mod tokens;

pub(crate) use locations::Locations;
pub(crate) use pool::{BlockPool, HandedOut, NoBlocks};
pub(crate) use tokens::Tokens;

use std::time::{Duration, Instant};

use rpc::CallContext;
use runtime::Entropy;
use types::RequestId;

/// A call to the SCM takes no longer than this, however patient the client is: leases and locations are small.
const SCM_PATIENCE: Duration = Duration::from_secs(5);

fn scm_call(entropy: &dyn Entropy, deadline: Instant) -> CallContext {
    let mut cx = CallContext::local(RequestId::from_u128(entropy.u128()), SCM_PATIENCE);
    cx.deadline = cx.deadline.min(deadline);
    cx
}
