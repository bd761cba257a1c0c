//! From an address to something that can be called.

use std::sync::Arc;

use types::Endpoint;

use crate::Caller;

/// Gives the way to each endpoint. Asking for a caller opens no connection; the first call does.
pub trait Connect: Send + Sync + 'static {
    fn caller(&self, endpoint: &Endpoint) -> Arc<dyn Caller>;
}
