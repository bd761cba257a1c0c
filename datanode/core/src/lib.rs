//! What is true on a datanode: the container file's records, the index's rows, the pipeline's commands and what they decide.
//!
//! Nothing here reads a file, a clock or the network.

pub mod command;
pub mod record;
pub mod replay;
pub mod report;
pub mod rows;
pub mod space;

#[cfg(test)]
mod fixtures;
