//! What is true about datanodes, pipelines, containers, block ids, token keys and deletions, and what should follow from it.
//!
//! Two kinds of state, never mixed:
//! - **Rows** are agreed on through the Raft log. Only a [`Command`] changes them, and its `apply` sees nothing else.
//! - The **[`census`]** is what datanodes have told this leader since it began to lead: health, pipelines served, replicas
//!   held. It is never stored; a new leader asks everybody to report in full.
//!
//! [`plan`] joins the two into decisions, as values: the role carries them out. Nothing here reads a clock, rolls dice or
//! waits. Whatever removes something for ever (a replica, a pipeline's log) is planned only from a census that is complete.

pub mod census;
pub mod command;
pub mod invariants;
pub mod plan;
pub mod rows;

pub use command::{Command, apply, outcome};
