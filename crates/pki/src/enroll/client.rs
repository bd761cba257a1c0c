//! The newcomer's and the renewing member's side.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tracing::{debug, info, warn};
use types::Endpoint;

use super::message::{Answer, Application, Proven, Renewal, Verdict, decode, encode, exporter, receive, send};
use crate::authority::KeyRequest;
use crate::identity::IdentityError;
use crate::tls::{ConnectError, connect_to_anyone};
use crate::token::Direction;
use crate::{JoinToken, NodeIdentity, NodeName, PeerRole, Protocol, Tls};

/// One address gets this long before the next is tried.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(8);
/// Between rounds over all addresses: authorities start too.
const PAUSE: Duration = Duration::from_millis(500);
/// Longer than the processes of a cluster take to start beside each other.
const QUIET: Duration = Duration::from_secs(20);

#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    #[error("making a key")]
    Key(#[source] IdentityError),
    #[error("no address to enrol at")]
    NoAddress,
    #[error("{at} does not accept the join token")]
    WrongToken { at: Endpoint },
    /// Whoever answers does not know the token: the wrong address, or someone in between.
    #[error("{at} did not prove that it knows the join token")]
    Impostor { at: Endpoint },
    #[error("{at} refused: {why}")]
    Refused { at: Endpoint, why: String },
    #[error("{at} cannot sign now: {why}")]
    Later { at: Endpoint, why: String },
    #[error("the answer of {at} is no identity of ours")]
    BadAnswer {
        at: Endpoint,
        #[source]
        source: IdentityError,
    },
    #[error("connecting to {at}")]
    Connect {
        at: Endpoint,
        #[source]
        source: ConnectError,
    },
    #[error("talking to {at}")]
    Io {
        at: Endpoint,
        #[source]
        source: io::Error,
    },
}

impl EnrollError {
    /// Whether asking again can end otherwise.
    fn may_pass(&self) -> bool {
        match self {
            Self::Later { .. } | Self::Connect { .. } | Self::Io { .. } | Self::Impostor { .. } => true,
            // One address of another cluster among ours would refuse; the others still deserve their turn, once.
            Self::WrongToken { .. } | Self::Refused { .. } => false,
            Self::Key(_) | Self::NoAddress | Self::BadAnswer { .. } => false,
        }
    }
}

/// Becomes a member as `role`/`name`: asks each of `addresses` in turn, over and over for at most `patience`, until one
/// signs. The identity is not stored yet.
pub async fn client(
    addresses: &[Endpoint],
    token: &JoinToken,
    role: PeerRole,
    name: &NodeName,
    patience: Duration,
) -> Result<NodeIdentity, EnrollError> {
    let began = Instant::now();
    let give_up_at = began + patience;
    loop {
        let mut last = EnrollError::NoAddress;
        let mut hopeless = true;
        for at in addresses {
            let request = KeyRequest::generate().map_err(EnrollError::Key)?;
            match within_attempt(at, ask(at, token, role, name, request)).await {
                Ok(identity) => {
                    info!(node = %identity.node(), %at, "enrolled");
                    return Ok(identity);
                }
                Err(error) => {
                    let cause = &error as &dyn std::error::Error;
                    // A cluster that is started as a whole waits for its first members; that is no news before it takes long.
                    if error.may_pass() && began.elapsed() < QUIET {
                        debug!(%at, error = cause, "enrolment has to wait");
                    } else {
                        warn!(%at, error = cause, "enrolment failed");
                    }
                    hopeless &= !error.may_pass();
                    last = error;
                }
            }
        }
        if hopeless || Instant::now() + PAUSE >= give_up_at {
            return Err(last);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn ask(
    at: &Endpoint,
    token: &JoinToken,
    role: PeerRole,
    name: &NodeName,
    request: KeyRequest,
) -> Result<NodeIdentity, EnrollError> {
    let failed = |source| EnrollError::Io { at: at.clone(), source };
    let tcp = TcpStream::connect(&at.0).await.map_err(failed)?;
    enroll_over(tcp, at, token, role, name, request).await
}

/// The exchange itself, over any connection.
pub(crate) async fn enroll_over<IO>(
    io: IO,
    at: &Endpoint,
    token: &JoinToken,
    role: PeerRole,
    name: &NodeName,
    request: KeyRequest,
) -> Result<NodeIdentity, EnrollError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let failed = |source| EnrollError::Io { at: at.clone(), source };
    let mut stream = connect_to_anyone(io).await.map_err(|source| EnrollError::Connect { at: at.clone(), source })?;
    let exporter = exporter(stream.get_ref().1).map_err(|error| failed(io::Error::other(error)))?;
    let application = Application { role, name: name.to_string(), csr: request.csr().to_vec().into() };
    let message = encode(&application);
    let proof = token.prove(Direction::ToServer, &exporter, &message).into();
    send(&mut stream, &Proven { message: message.into(), proof }).await.map_err(failed)?;

    let answer = match receive(&mut stream).await.map_err(failed)? {
        Verdict::Unproven => return Err(EnrollError::WrongToken { at: at.clone() }),
        Verdict::Proven(answer) => answer,
    };
    if !token.proves(Direction::ToClient, &exporter, &answer.message, &answer.proof[..]) {
        return Err(EnrollError::Impostor { at: at.clone() });
    }
    let identity = take(decode(&answer.message).map_err(failed)?, at, request)?;
    // The authority answers for the names that it signs; a slip there must not make us someone else.
    if (identity.node().role, &identity.node().name) != (role, name) {
        let source = IdentityError::Malformed("another name than was asked for");
        return Err(EnrollError::BadAnswer { at: at.clone(), source });
    }
    Ok(identity)
}

/// Gets another certificate for a fresh key, under the name that `tls` shows. The caller stores it, then hands it to
/// [`Tls::replace`].
pub async fn renew(addresses: &[Endpoint], tls: &Tls) -> Result<NodeIdentity, EnrollError> {
    let mut last = EnrollError::NoAddress;
    for at in addresses {
        match within_attempt(at, renew_at(at, tls)).await {
            Ok(identity) => return Ok(identity),
            Err(error) => {
                warn!(%at, error = &error as &dyn std::error::Error, "renewal failed");
                last = error;
            }
        }
    }
    Err(last)
}

async fn renew_at(at: &Endpoint, tls: &Tls) -> Result<NodeIdentity, EnrollError> {
    let failed = |source| EnrollError::Io { at: at.clone(), source };
    let request = KeyRequest::generate().map_err(EnrollError::Key)?;
    let tcp = TcpStream::connect(&at.0).await.map_err(failed)?;
    let (mut stream, _) = tls
        .connect(tcp, Protocol::Renew, Some(PeerRole::Scm))
        .await
        .map_err(|source| EnrollError::Connect { at: at.clone(), source })?;
    send(&mut stream, &Renewal { csr: request.csr().to_vec().into() }).await.map_err(failed)?;
    let identity = take(receive(&mut stream).await.map_err(failed)?, at, request)?;
    let before = tls.identity();
    if identity.node() != before.node() || identity.authority() != before.authority() {
        let source = IdentityError::Malformed("another name or authority than before");
        return Err(EnrollError::BadAnswer { at: at.clone(), source });
    }
    Ok(identity)
}

fn take(answer: Answer, at: &Endpoint, request: KeyRequest) -> Result<NodeIdentity, EnrollError> {
    match answer {
        Answer::Issued(issued) => request.accept(&issued).map_err(|source| EnrollError::BadAnswer { at: at.clone(), source }),
        Answer::Refused(why) => Err(EnrollError::Refused { at: at.clone(), why }),
        Answer::Later(why) => Err(EnrollError::Later { at: at.clone(), why }),
    }
}

async fn within_attempt<T>(at: &Endpoint, attempt: impl Future<Output = Result<T, EnrollError>>) -> Result<T, EnrollError> {
    tokio::time::timeout(ATTEMPT_TIMEOUT, attempt).await.unwrap_or_else(|_| {
        let source = io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
        Err(EnrollError::Io { at: at.clone(), source })
    })
}
