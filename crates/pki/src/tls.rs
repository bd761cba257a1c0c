//! TLS between members, and the way in for those who want to become one.
//!
//! TLS 1.3 only. Sessions are not resumed: a resumed session would outlive the certificate that opened it. What a
//! connection may carry is its ALPN protocol; a listener refuses what it does not serve before the handshake.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{Acceptor, NoServerSessionStorage};
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{LazyConfigAcceptor, TlsConnector, client, server};

use crate::identity::{IdentityError, NodeIdentity};
use crate::verify::{self, Anyone, MembersOnly};
use crate::{NodeId, PeerRole};

/// Generous for a handshake, tight enough that a silent stranger does not hold a slot for long.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// What a connection carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Calls between members.
    Rpc,
    /// A member asks for a new certificate.
    Renew,
    /// A stranger with the join token asks to become a member. The one protocol without a client certificate.
    Enroll,
    /// Block bytes between members, as HTTP.
    Data,
}

impl Protocol {
    pub fn alpn(self) -> &'static [u8] {
        match self {
            Self::Rpc => b"trioxide-rpc/1",
            Self::Renew => b"trioxide-renew/1",
            Self::Enroll => b"trioxide-enroll/1",
            Self::Data => b"http/1.1",
        }
    }

    const BETWEEN_MEMBERS: [Self; 3] = [Self::Rpc, Self::Renew, Self::Data];
}

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("the identity does not make a TLS configuration")]
    Identity(#[from] IdentityError),
    #[error("the identity does not make a TLS configuration")]
    Rustls(#[from] rustls::Error),
}

#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    #[error("tls handshake")]
    Handshake(#[source] io::Error),
    #[error("tls handshake took too long")]
    TooSlow,
    #[error("the peer speaks no protocol of this listener")]
    NoCommonProtocol,
    #[error("the peer's certificate names nobody")]
    Nameless,
}

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("tls handshake: {0}")]
    Handshake(#[source] io::Error),
    #[error("tls handshake took too long")]
    TooSlow,
    #[error("the peer does not speak the protocol")]
    NoCommonProtocol,
    #[error("the peer's certificate names nobody")]
    Nameless,
    #[error("the peer is {found}, not of role {wanted}")]
    WrongRole { wanted: PeerRole, found: NodeId },
}

/// Who came through a listener.
#[derive(Debug)]
pub enum Accepted<IO> {
    Member {
        peer: NodeId,
        protocol: Protocol,
        stream: server::TlsStream<IO>,
    },
    /// Nobody that is known: all that may be spoken is [`crate::enroll`].
    Stranger(server::TlsStream<IO>),
}

/// This process's way of showing itself and of judging others. Clones share one identity.
#[derive(Debug, Clone)]
pub struct Tls(Arc<RwLock<Arc<Configs>>>);

#[derive(Debug)]
struct Configs {
    identity: Arc<NodeIdentity>,
    servers: Vec<(Protocol, Arc<ServerConfig>)>,
    clients: Vec<(Protocol, Arc<ClientConfig>)>,
}

impl Tls {
    pub fn new(identity: NodeIdentity) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(RwLock::new(Arc::new(Configs::new(identity)?)))))
    }

    /// Connections from now on show and judge by this identity; those that stand are left alone.
    pub fn replace(&self, identity: NodeIdentity) -> Result<(), TlsError> {
        let configs = Arc::new(Configs::new(identity)?);
        *self.0.write() = configs;
        Ok(())
    }

    pub fn identity(&self) -> Arc<NodeIdentity> {
        Arc::clone(&self.current().identity)
    }

    /// Takes a connection for calls: from a member, or from a stranger who wants to enrol.
    pub async fn accept<IO>(&self, io: IO) -> Result<Accepted<IO>, AcceptError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        self.accept_one_of(io, &[Protocol::Rpc, Protocol::Renew, Protocol::Enroll]).await
    }

    /// Takes a connection for block bytes from a member.
    pub async fn accept_data<IO>(&self, io: IO) -> Result<(server::TlsStream<IO>, NodeId), AcceptError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        match self.accept_one_of(io, &[Protocol::Data]).await? {
            Accepted::Member { peer, stream, .. } => Ok((stream, peer)),
            Accepted::Stranger(_) => Err(AcceptError::Nameless),
        }
    }

    async fn accept_one_of<IO>(&self, io: IO, served: &[Protocol]) -> Result<Accepted<IO>, AcceptError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        tokio::time::timeout(HANDSHAKE_TIMEOUT, self.handshake(io, served)).await.unwrap_or(Err(AcceptError::TooSlow))
    }

    async fn handshake<IO>(&self, io: IO, served: &[Protocol]) -> Result<Accepted<IO>, AcceptError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let hello = LazyConfigAcceptor::new(Acceptor::default(), io).await.map_err(AcceptError::Handshake)?;
        let offered = |protocol: &Protocol| {
            hello.client_hello().alpn().is_some_and(|mut offers| offers.any(|offer| offer == protocol.alpn()))
        };
        let protocol = served.iter().copied().find(offered).ok_or(AcceptError::NoCommonProtocol)?;
        let config = self.current().server(protocol).ok_or(AcceptError::NoCommonProtocol)?;
        let stream = hello.into_stream(config).await.map_err(AcceptError::Handshake)?;
        if protocol == Protocol::Enroll {
            return Ok(Accepted::Stranger(stream));
        }
        let peer = peer_of(stream.get_ref().1.peer_certificates()).ok_or(AcceptError::Nameless)?;
        Ok(Accepted::Member { peer, protocol, stream })
    }

    /// Opens a connection to a member; nothing has been sent over it but the handshake. With `role`, to a member of that
    /// role or not at all.
    pub async fn connect<IO>(
        &self,
        io: IO,
        protocol: Protocol,
        role: Option<PeerRole>,
    ) -> Result<(client::TlsStream<IO>, NodeId), ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let config = self.current().client(protocol).ok_or(ConnectError::NoCommonProtocol)?;
        let stream = connect_with(config, io).await?;
        if stream.get_ref().1.alpn_protocol() != Some(protocol.alpn()) {
            return Err(ConnectError::NoCommonProtocol);
        }
        let found = peer_of(stream.get_ref().1.peer_certificates()).ok_or(ConnectError::Nameless)?;
        match role {
            Some(wanted) if wanted != found.role => Err(ConnectError::WrongRole { wanted, found }),
            _ => Ok((stream, found)),
        }
    }

    fn current(&self) -> Arc<Configs> {
        Arc::clone(&self.0.read())
    }
}

/// Opens a connection to whoever answers, for enrolment alone.
pub(crate) async fn connect_to_anyone<IO>(io: IO) -> Result<client::TlsStream<IO>, ConnectError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let provider = verify::provider();
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| ConnectError::Handshake(io::Error::other(error)))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone { provider }))
        .with_no_client_auth();
    let stream = connect_with(Arc::new(client_manners(config, Protocol::Enroll)), io).await?;
    match stream.get_ref().1.alpn_protocol() == Some(Protocol::Enroll.alpn()) {
        true => Ok(stream),
        false => Err(ConnectError::NoCommonProtocol),
    }
}

async fn connect_with<IO>(config: Arc<ClientConfig>, io: IO) -> Result<client::TlsStream<IO>, ConnectError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    // Names are not checked and not sent; the interface wants one.
    let name = ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into());
    tokio::time::timeout(HANDSHAKE_TIMEOUT, TlsConnector::from(config).connect(name, io))
        .await
        .map_err(|_| ConnectError::TooSlow)?
        .map_err(ConnectError::Handshake)
}

fn peer_of(certificates: Option<&[CertificateDer<'_>]>) -> Option<NodeId> {
    certificates.and_then(<[_]>::first).and_then(|own| verify::node_of(own).ok())
}

impl Configs {
    fn new(identity: NodeIdentity) -> Result<Self, TlsError> {
        let provider = verify::provider();
        let node = identity.node();
        let members = Arc::new(MembersOnly::new(node.cluster, identity.authority(), Arc::clone(&provider))?);
        let chain = identity.chain().to_vec();
        let key = || PrivateKeyDer::Pkcs8(identity.key());

        let mut servers = Vec::new();
        for protocol in Protocol::BETWEEN_MEMBERS {
            let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_protocol_versions(&[&TLS13])?
                .with_client_cert_verifier(Arc::clone(&members) as _)
                .with_single_cert(chain.clone(), key())?;
            servers.push((protocol, Arc::new(server_manners(config, protocol))));
        }
        let open = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])?
            .with_no_client_auth()
            .with_single_cert(chain.clone(), key())?;
        servers.push((Protocol::Enroll, Arc::new(server_manners(open, Protocol::Enroll))));

        let mut clients = Vec::new();
        for protocol in Protocol::BETWEEN_MEMBERS {
            let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
                .with_protocol_versions(&[&TLS13])?
                .dangerous()
                .with_custom_certificate_verifier(Arc::clone(&members) as _)
                .with_client_auth_cert(chain.clone(), key())?;
            clients.push((protocol, Arc::new(client_manners(config, protocol))));
        }
        Ok(Self { identity: Arc::new(identity), servers, clients })
    }

    fn server(&self, protocol: Protocol) -> Option<Arc<ServerConfig>> {
        self.servers.iter().find(|(served, _)| *served == protocol).map(|(_, config)| Arc::clone(config))
    }

    fn client(&self, protocol: Protocol) -> Option<Arc<ClientConfig>> {
        self.clients.iter().find(|(spoken, _)| *spoken == protocol).map(|(_, config)| Arc::clone(config))
    }
}

fn server_manners(mut config: ServerConfig, protocol: Protocol) -> ServerConfig {
    config.alpn_protocols = vec![protocol.alpn().to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config
}

fn client_manners(mut config: ClientConfig, protocol: Protocol) -> ClientConfig {
    config.alpn_protocols = vec![protocol.alpn().to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    config
}
