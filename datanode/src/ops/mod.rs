//! One block operation a file.

pub(crate) mod delete;
pub(crate) mod export;
pub(crate) mod put;
pub(crate) mod read;
pub(crate) mod replicate;
pub(crate) mod write;

use rpc::{CallError, NotApplied};

use crate::disk::DiskError;
use crate::tokens::Refused;

/// What a refused token means to a caller whose rejection for it is `denied`.
fn refused<R>(refused: Refused, denied: R) -> CallError<R> {
    match refused {
        Refused::Denied => CallError::Rejected(denied),
        Refused::NotReady => CallError::unavailable("no token keys yet"),
    }
}

/// What a disk that cannot do it means before anything was done.
fn not_done<R>(error: DiskError, full: R) -> CallError<R> {
    match error {
        DiskError::Full => CallError::Rejected(full),
        DiskError::TooManyFiles => CallError::NotApplied(NotApplied::Busy),
        DiskError::Failed(why) => CallError::unavailable(why),
    }
}
