//! What can go wrong, by what the caller can do about it.

use std::path::{Path, PathBuf};

use rpc::{CallError, NotApplied};
use tables::StorageFault;
use types::{Endpoint, GroupId, MemberId};

/// Why a log or a state machine cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Bytes that were synced are not what was written. Nothing was changed.
    #[error("{}: damaged at byte {offset}: {what}; look at it with `trioxide repair wal --dir {}`", file.display(), dir.display())]
    Damaged { dir: PathBuf, file: PathBuf, offset: u64, what: String },
    /// A file of the log is gone. What stands behind the gap is newer, so nothing is cut off here.
    #[error("{}: the segment of the log before this one is missing", path.display())]
    MissingSegment { path: PathBuf },
    /// The parts do not belong together: a log without its state, a state without its log, another member's directory.
    #[error("{group} in {}: {what}", dir.display())]
    Mismatch { dir: PathBuf, group: GroupId, what: String },
    #[error("{what} {}: {source}", path.display())]
    Io { what: &'static str, path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Machine(#[from] StorageFault),
    #[error("starting the group: {0}")]
    Raft(String),
    #[error("{0} is already running")]
    AlreadyRunning(GroupId),
    #[error("wrong setting: {0}")]
    Config(String),
}

impl OpenError {
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { what, path, source }
    }
}

/// Why a proposal has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Certainly not applied. Who leads, if known.
    #[error("not the leader; the leader is {0:?}")]
    NotLeader(Option<Endpoint>),
    /// It may have been applied, or may yet be: retry only under the same request id.
    #[error("outcome unknown: {0}")]
    Unknown(String),
    /// Certainly not applied: the deadline passed first.
    #[error("the deadline passed before the command was in the log")]
    TooLate,
    /// Certainly not applied: the group is not running.
    #[error("the group has stopped: {0}")]
    Stopped(String),
    #[error("a command of {bytes} bytes, the most is {most}")]
    TooLarge { bytes: usize, most: usize },
    /// Certainly not applied: the queue is full.
    #[error("the group has all the work it can take")]
    Busy,
}

impl<R> From<ProposeError> for CallError<R> {
    fn from(error: ProposeError) -> Self {
        match error {
            ProposeError::NotLeader(leader) => Self::NotApplied(NotApplied::NotLeader(leader)),
            ProposeError::Unknown(why) => Self::Unknown(why),
            ProposeError::TooLate => Self::NotApplied(NotApplied::TooLate),
            ProposeError::Busy => Self::NotApplied(NotApplied::Busy),
            ProposeError::Stopped(_) => Self::NotApplied(NotApplied::Unavailable(error.to_string())),
            ProposeError::TooLarge { .. } => Self::NotApplied(NotApplied::Refused(error.to_string())),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BootstrapError {
    /// The group has members already; a second bootstrap would make a second group under the same name.
    #[error("the group already has members")]
    AlreadyInitialised,
    #[error("this member is not among the members given")]
    NotAMember,
    #[error("the group has stopped: {0}")]
    Stopped(String),
}

/// Why the members of a group are not as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    #[error(transparent)]
    Propose(#[from] ProposeError),
    #[error("another change of members is under way")]
    Busy,
    #[error("{0} is not in the group")]
    NoSuchMember(MemberId),
    #[error("{0} would leave the group without voters")]
    LastVoter(MemberId),
    #[error("refused: {0}")]
    Refused(String),
}
