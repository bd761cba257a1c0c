//! Makes any deterministic core a replicated service: the log, the state machine's storage, snapshots, membership and the
//! messages between members.
//!
//! A process has one [`RaftHost`]: one write-ahead log ([`mod@wal`]) and one transport for all its [`Group`]s. A group replicates
//! opaque commands into a [`StateMachine`]; [`TableMachine`] is the one for a [`Core`] over tables, a role with storage of its
//! own implements the trait itself.
//!
//! What always holds:
//! - An answer leaves only when its entry is synced in the logs of a majority and applied here in memory.
//! - What the machine's own storage holds is behind that by at most one flush; the log keeps every entry above it.
//! - One thread writes the log; a failed write or sync ends the process ([`RaftHost::failed`]), nobody retries it.
//! - A request id is applied once; a second arrival gets the first answer.

mod errors;
mod group;
mod host;
mod machine;
mod progress;
mod raft;
mod status;
mod table;
mod transport;
mod wal;

pub use errors::{BootstrapError, MembershipError, OpenError, ProposeError};
pub use group::{Group, Proposed};
pub use host::{CompactionPolicy, HostConfig, RaftHost, Timings};
pub use machine::{Command, Core, Entry, SnapshotSink, SnapshotSource, StateMachine};
pub use progress::{LogPosition, Progress};
pub use status::{GroupStatus, Leadership, MemberStatus};
pub use table::{ScanStats, StateDigest, TableMachine, TableOptions};
pub use transport::{ConnectTransport, LocalNetwork, NoPeers, RaftTransport};
pub use wal::{WalOptions, WalRepair, repair_wal};
