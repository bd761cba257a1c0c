//! What every process needs around its own subject: a clock, dice, shutdown and the reconcile loop.
//!
//! Cores never see these; a role takes them as constructor arguments, so that a simulation can hand it others.

mod clock;
mod entropy;
mod latest;
mod reconcile;
mod shutdown;

pub use clock::{Clock, ManualClock, SystemClock};
pub use entropy::{Entropy, SeededEntropy, SystemEntropy};
pub use latest::Latest;
pub use reconcile::{Pace, PassError, PassStatus, Reconcile, ReconcileStatus, Reconcilers};
pub use shutdown::Shutdown;
