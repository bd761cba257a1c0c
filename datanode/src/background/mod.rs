//! What goes on without being asked: fetching blocks that are missing here, verifying those that are here, telling the SCM.

pub(crate) mod fetch;
pub(crate) mod heartbeat;
pub(crate) mod orders;
pub(crate) mod scrub;
