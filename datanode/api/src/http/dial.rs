//! How a connection is made: plain for tests, through the cluster's TLS in earnest.

use std::io;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use types::Endpoint;

/// A connection's two directions.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

pub type BoxedIo = Box<dyn Io>;

/// Opens connections to datanodes. An implementation that authenticates must refuse a peer that is not a datanode of this
/// cluster.
#[async_trait]
pub trait Dial: Send + Sync + 'static {
    async fn dial(&self, endpoint: &Endpoint) -> io::Result<BoxedIo>;
}

/// Without encryption or authentication of the peer: for tests, and as the lower half of a TLS dialler.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlainTcp;

#[async_trait]
impl Dial for PlainTcp {
    async fn dial(&self, endpoint: &Endpoint) -> io::Result<BoxedIo> {
        let stream = TcpStream::connect(&endpoint.0).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }
}
