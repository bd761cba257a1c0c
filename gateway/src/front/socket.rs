//! A client's connection, in the clear or under TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use gateway_core::proxies::Tls;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{CipherSuite, ProtocolVersion};
use tokio_rustls::server::TlsStream;

use super::watched::Watched;

/// How every record of a handshake begins.
const HANDSHAKE: u8 = 0x16;
/// Told to whoever begins otherwise, which is a client that was given `http://`.
const IN_THE_CLEAR: &[u8] = b"HTTP/1.1 400 Bad Request\r\nserver: Trioxide\r\ncontent-type: text/plain\r\ncontent-length: 47\r\n\
    connection: close\r\n\r\nThis port speaks TLS: the address is https://.\n";

const MOST_IN_THE_CLEAR: u64 = 64 << 10;
const LINGER_IN_THE_CLEAR: Duration = Duration::from_secs(2);

#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    #[error("the peer said nothing")]
    Silent,
    #[error("the peer speaks without TLS")]
    InTheClear,
    #[error("the handshake took too long")]
    TooSlow,
    #[error(transparent)]
    Io(#[from] io::Error),
}

pub(super) enum Socket {
    Plain(Watched),
    Secured(Box<TlsStream<Watched>>),
}

impl Socket {
    /// A peer that takes nothing for as long as `idle` has gone.
    pub(super) fn plain(stream: TcpStream, idle: Duration) -> Self {
        Self::Plain(Watched::new(stream, idle))
    }

    /// The same, after a handshake that may take so long.
    pub(super) async fn secured(
        stream: TcpStream,
        tls: &TlsAcceptor,
        within: Duration,
        idle: Duration,
    ) -> Result<Self, HandshakeError> {
        tokio::time::timeout(within, handshake(stream, tls, idle)).await.unwrap_or(Err(HandshakeError::TooSlow))
    }

    /// Something that was written has not left yet: TLS holds it.
    pub(super) fn holds_unsent(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Secured(stream) => stream.get_ref().1.wants_write(),
        }
    }

    pub(super) fn tls(&self) -> Option<Tls> {
        let Self::Secured(stream) = self else { return None };
        let (_, connection) = stream.get_ref();
        let version = match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "1.3",
            _ => "1.2",
        };
        Some(Tls { version, cipher: connection.negotiated_cipher_suite().and_then(|suite| cipher(suite.suite())) })
    }
}

async fn handshake(mut stream: TcpStream, tls: &TlsAcceptor, idle: Duration) -> Result<Socket, HandshakeError> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Err(HandshakeError::Silent);
    }
    if first != [HANDSHAKE] {
        stream.write_all(IN_THE_CLEAR).await?;
        stream.shutdown().await?;
        // Closed with something unread, the kernel would throw the answer away.
        let mut rest = stream.take(MOST_IN_THE_CLEAR);
        let _ = tokio::time::timeout(LINGER_IN_THE_CLEAR, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
        return Err(HandshakeError::InTheClear);
    }
    Ok(Socket::Secured(Box::new(tls.accept(Watched::new(stream, idle)).await?)))
}

/// The name in access logs, which is OpenSSL's.
fn cipher(suite: CipherSuite) -> Option<&'static str> {
    Some(match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-ECDSA-CHACHA20-POLY1305",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "ECDHE-RSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-RSA-CHACHA20-POLY1305",
        _ => return None,
    })
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Secured(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Secured(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Secured(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Secured(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Secured(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Secured(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
