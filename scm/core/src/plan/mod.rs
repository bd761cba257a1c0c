//! What should happen next, as values: pure functions of the rows and the census.
//!
//! A plan is bounded and made anew each time; nothing is remembered from one to the next but [`repairs::Underway`], so that a
//! repair that takes a while is not ordered twice.

pub mod containers;
pub mod deletions;
pub mod leases;
pub mod locate;
pub mod orders;
pub mod pipelines;
pub mod repairs;
pub mod safe_mode;
#[cfg(test)]
pub(crate) mod testing;
pub mod token_keys;
