//! Blocks and where they are.

use std::fmt;

use bytes::Bytes;
use minicbor::{Decode, Encode};

use crate::{ContainerId, DatanodeId, PipelineId};

/// One block: the unit that the OM hands out and a datanode opens. `local` is unique in its container for ever.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct BlockId {
    #[n(0)]
    pub container: ContainerId,
    #[n(1)]
    pub local: u64,
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block-{}-{}", self.container.0, self.local)
    }
}

impl fmt::Debug for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How many copies, and by which means. Erasure coding gets its own variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Replication {
    /// One copy: a single node.
    #[n(0)]
    One,
    /// Three copies, by a Raft pipeline.
    #[n(1)]
    Three,
}

impl Replication {
    pub fn copies(self) -> usize {
        match self {
            Self::One => 1,
            Self::Three => 3,
        }
    }
}

/// `host:port` of a listener.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Endpoint(pub String);

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A datanode that holds, or is to hold, a copy.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Replica {
    #[n(0)]
    pub datanode: DatanodeId,
    /// Where its data listener answers.
    #[n(1)]
    pub endpoint: Endpoint,
}

/// A block, who holds it, and the token that opens it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct BlockLocation {
    #[n(0)]
    pub block: BlockId,
    /// The pipeline that takes its writes; a reader has no use for it.
    #[n(1)]
    pub pipeline: PipelineId,
    #[n(2)]
    pub replicas: Vec<Replica>,
    /// For a read: the bytes of the object that this block holds. For a write: the most it may hold.
    #[n(3)]
    pub length: u64,
    /// Opaque to all but its issuer and the datanodes.
    #[n(4)]
    #[cbor(with = "crate::block::token_bytes")]
    pub token: Bytes,
}

/// `Bytes` as a CBOR byte string.
pub(crate) mod token_bytes {
    use bytes::Bytes;
    use minicbor::decode::{Decoder, Error as DecodeError};
    use minicbor::encode::{Encoder, Error as EncodeError, Write};

    pub(crate) fn encode<C, W: Write>(bytes: &Bytes, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.bytes(bytes)?.ok()
    }

    pub(crate) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Bytes, DecodeError> {
        Ok(Bytes::copy_from_slice(d.bytes()?))
    }
}
