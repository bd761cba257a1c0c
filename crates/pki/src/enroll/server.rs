//! The SCM's side.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio_rustls::server::TlsStream;
use tracing::{debug, info, warn};

use super::limit::WrongProofs;
use super::message::{Answer, Application, Proven, Renewal, Verdict, decode, encode, exporter, receive, send};
use crate::token::Direction;
use crate::{Issued, JoinToken, NodeId, NodeName, PeerRole};

/// One exchange, from the end of the handshake to the answer.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(20);
/// Exchanges at once; more are closed unheard. A whole cluster starting together stays below it.
const EXCHANGES: usize = 64;

/// Why nothing was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Asking again will not help: the name is taken, the role may not join.
    No(String),
    /// Another server, or this one later, may sign.
    Later(String),
}

/// Decides who becomes a member, and signs.
#[async_trait]
pub trait Signer: Send + Sync + 'static {
    /// The tokens that admit now. More than one while an old one is being replaced.
    async fn join_tokens(&self) -> Vec<JoinToken>;

    /// Certifies the key in `csr` as `role`/`name`. The asker has proved to know a join token.
    async fn sign(&self, role: PeerRole, name: &NodeName, csr: &[u8]) -> Result<Issued, Refused>;

    /// Certifies another key of a member that showed a certificate that is still good.
    async fn renew(&self, member: &NodeId, csr: &[u8]) -> Result<Issued, Refused>;
}

/// Hears newcomers and renewing members.
pub struct Server {
    signer: Arc<dyn Signer>,
    wrong_proofs: WrongProofs,
    exchanges: Semaphore,
}

impl Server {
    pub fn new(signer: Arc<dyn Signer>) -> Self {
        Self { signer, wrong_proofs: WrongProofs::default(), exchanges: Semaphore::new(EXCHANGES) }
    }

    /// One newcomer, on a connection that [`crate::Tls::accept`] gave out as a stranger's.
    pub async fn enroll<IO>(&self, mut stream: TlsStream<IO>, from: IpAddr)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let Ok(_permit) = self.exchanges.try_acquire() else {
            return;
        };
        match tokio::time::timeout(EXCHANGE_TIMEOUT, self.hear_newcomer(&mut stream, from)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%from, %error, "enrolment broke off"),
            Err(_) => warn!(%from, "enrolment took too long"),
        }
    }

    async fn hear_newcomer<IO>(&self, stream: &mut TlsStream<IO>, from: IpAddr) -> io::Result<()>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let exporter = exporter(stream.get_ref().1).map_err(io::Error::other)?;
        let request: Proven = receive(stream).await?;
        let verdict = match self.token_behind(&request, &exporter, from).await {
            None => Verdict::Unproven,
            Some(token) => {
                let answer = self.judge(&decode(&request.message)?, from).await;
                let message = encode(&answer);
                let proof = token.prove(Direction::ToClient, &exporter, &message).into();
                Verdict::Proven(Proven { message: message.into(), proof })
            }
        };
        send(stream, &verdict).await?;
        stream.shutdown().await
    }

    /// The token under which the request is proven.
    async fn token_behind(&self, request: &Proven, exporter: &[u8; 32], from: IpAddr) -> Option<JoinToken> {
        let now = Instant::now();
        if self.wrong_proofs.too_many_from(from, now) {
            return None;
        }
        let proven = |token: &JoinToken| token.proves(Direction::ToServer, exporter, &request.message, &request.proof[..]);
        let found = self.signer.join_tokens().await.into_iter().find(proven);
        if found.is_none() {
            self.wrong_proofs.note(from, now);
            warn!(%from, "enrolment refused: wrong join token");
        }
        found
    }

    async fn judge(&self, application: &Application, from: IpAddr) -> Answer {
        let Application { role, name, csr } = application;
        let name = match NodeName::parse(name) {
            Ok(name) => name,
            Err(error) => return Answer::Refused(error.to_string()),
        };
        let outcome = self.signer.sign(*role, &name, csr).await;
        match &outcome {
            Ok(_) => info!(%from, %role, %name, "enrolled"),
            // It asks again, and tells if that goes on for long.
            Err(Refused::Later(why)) => debug!(%from, %role, %name, why, "enrolment put off"),
            Err(why) => warn!(%from, %role, %name, ?why, "enrolment refused"),
        }
        outcome.into()
    }

    /// One member's renewal, on a connection for [`crate::Protocol::Renew`].
    pub async fn renew<IO>(&self, mut stream: TlsStream<IO>, member: &NodeId)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let exchange = async {
            let Renewal { csr } = receive(&mut stream).await?;
            let outcome = self.signer.renew(member, &csr).await;
            match &outcome {
                Ok(_) => info!(%member, "renewed a certificate"),
                Err(why) => warn!(%member, ?why, "renewal refused"),
            }
            send(&mut stream, &Answer::from(outcome)).await?;
            stream.shutdown().await
        };
        match tokio::time::timeout(EXCHANGE_TIMEOUT, exchange).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%member, %error, "renewal broke off"),
            Err(_) => warn!(%member, "renewal took too long"),
        }
    }
}

impl From<Result<Issued, Refused>> for Answer {
    fn from(outcome: Result<Issued, Refused>) -> Self {
        match outcome {
            Ok(issued) => Self::Issued(issued),
            Err(Refused::No(why)) => Self::Refused(why),
            Err(Refused::Later(why)) => Self::Later(why),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}
