//! What the two ends say: one message each way, a length before it.

use std::io;

use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{Issued, PeerRole};

/// A request and a chain are a few kilobytes; strangers may not make us hold more.
const MAX_BYTES: usize = 16 * 1024;

/// Who someone wants to be, for which key.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Application {
    #[n(0)]
    pub(crate) role: PeerRole,
    #[n(1)]
    pub(crate) name: String,
    #[n(2)]
    pub(crate) csr: ByteVec,
}

/// A member asks for another certificate under the name that its connection shows.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Renewal {
    #[n(0)]
    pub(crate) csr: ByteVec,
}

/// A message as it was encoded, and the proof over those very bytes: what is checked is what is read.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Proven {
    #[n(0)]
    pub(crate) message: ByteVec,
    #[n(1)]
    pub(crate) proof: ByteArray<32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Answer {
    #[n(0)]
    Issued(#[n(0)] Issued),
    #[n(1)]
    Refused(#[n(0)] String),
    /// This server cannot sign now; another, or a later try, may.
    #[n(2)]
    Later(#[n(0)] String),
}

/// To a newcomer: nothing, or something proven.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Verdict {
    /// The proof is wrong, or there were too many wrong ones; which of the two is nobody's business.
    #[n(0)]
    Unproven,
    #[n(1)]
    Proven(#[n(0)] Proven),
}

pub(crate) fn encode<T: Encode<()>>(message: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    #[expect(clippy::expect_used, reason = "a Vec takes every byte")]
    minicbor::encode(message, &mut bytes).expect("a Vec takes every byte");
    bytes
}

pub(crate) fn decode<T: for<'b> Decode<'b, ()>>(bytes: &[u8]) -> io::Result<T> {
    minicbor::decode(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

pub(crate) async fn send<T: Encode<()>>(io: &mut (impl AsyncWrite + Unpin), message: &T) -> io::Result<()> {
    let bytes = encode(message);
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    io.write_all(&[&length.to_be_bytes()[..], &bytes].concat()).await?;
    io.flush().await
}

pub(crate) async fn receive<T: for<'b> Decode<'b, ()>>(io: &mut (impl AsyncRead + Unpin)) -> io::Result<T> {
    let length = io.read_u32().await? as usize;
    if length > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a longer message than there is"));
    }
    let mut bytes = vec![0; length];
    io.read_exact(&mut bytes).await?;
    decode(&bytes)
}

/// The secret that the two ends of one TLS connection share, and nobody between them.
pub(crate) fn exporter<D>(connection: &rustls::ConnectionCommon<D>) -> Result<[u8; 32], rustls::Error> {
    connection.export_keying_material([0; 32], b"trioxide enroll", None)
}
