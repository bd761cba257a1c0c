//! What travels with a call, and what is known when it fails.

use std::fmt;
use std::time::{Duration, Instant};

use minicbor::{Decode, Encode};
use pki::PeerRole;
use types::{Endpoint, RequestId};

/// The direct caller: never taken from the message, always from the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// Another part of this very process.
    Local,
    /// The holder of a certificate of this cluster.
    Node { role: PeerRole, name: String },
}

impl Peer {
    pub fn is_one_of(&self, roles: &[PeerRole]) -> bool {
        match self {
            Self::Local => true,
            Self::Node { role, .. } => roles.contains(role),
        }
    }
}

#[derive(Debug, Clone)]
pub struct CallContext {
    /// The same for every try of one request: a retry gets the first try's answer.
    pub request_id: RequestId,
    /// Nobody waits for the answer after this.
    pub deadline: Instant,
    pub peer: Peer,
}

impl CallContext {
    /// A call that begins in this process.
    pub fn local(request_id: RequestId, timeout: Duration) -> Self {
        Self { request_id, deadline: Instant::now() + timeout, peer: Peer::Local }
    }

    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    pub fn is_over(&self) -> bool {
        self.remaining().is_zero()
    }
}

/// Why a call certainly changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotApplied {
    #[error("not the leader; the leader is {0:?}")]
    NotLeader(Option<Endpoint>),
    #[error("the service has all the work it can take")]
    Busy,
    #[error("unreachable: {0}")]
    Unreachable(String),
    #[error("the deadline passed before the work began")]
    TooLate,
    /// The caller's role may not use this method, or the method does not exist.
    #[error("refused: {0}")]
    Refused(String),
    /// The service cannot do this now, by its own state: safe mode, a failed disk, start-up.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

/// How a call can fail, with the service's own typed answer apart from what is known about the remote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError<R> {
    /// The service decided: report it.
    #[error("rejected: {0:?}")]
    Rejected(R),
    /// It certainly did not happen: retry freely.
    #[error("not applied: {0}")]
    NotApplied(#[source] NotApplied),
    /// It may have happened: retry only under the same request id.
    #[error("outcome unknown: {0}")]
    Unknown(String),
}

impl<R> CallError<R> {
    pub fn not_leader(leader: Option<Endpoint>) -> Self {
        Self::NotApplied(NotApplied::NotLeader(leader))
    }

    pub fn unavailable(why: impl fmt::Display) -> Self {
        Self::NotApplied(NotApplied::Unavailable(why.to_string()))
    }

    pub fn map_rejection<S>(self, to: impl FnOnce(R) -> S) -> CallError<S> {
        match self {
            Self::Rejected(rejection) => CallError::Rejected(to(rejection)),
            Self::NotApplied(why) => CallError::NotApplied(why),
            Self::Unknown(why) => CallError::Unknown(why),
        }
    }
}

/// A failure below the service: what a [`crate::Caller`] reports before there is a typed rejection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallFault {
    #[error(transparent)]
    NotApplied(NotApplied),
    #[error("outcome unknown: {0}")]
    Unknown(String),
}

impl<R> From<CallFault> for CallError<R> {
    fn from(fault: CallFault) -> Self {
        match fault {
            CallFault::NotApplied(why) => Self::NotApplied(why),
            CallFault::Unknown(why) => Self::Unknown(why),
        }
    }
}

/// The rejection of a method that has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Never {}

impl<C> Encode<C> for Never {
    fn encode<W: minicbor::encode::Write>(
        &self,
        _: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match *self {}
    }
}

impl<'b, C> Decode<'b, C> for Never {
    fn decode(_: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Err(minicbor::decode::Error::message("a method without rejections was rejected"))
    }
}
