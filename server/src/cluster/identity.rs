//! How a process gets the certificate that the rest of the cluster knows it by.
//!
//! A certificate that is on disk is used; otherwise the process enrols at the SCMs with the join token. The very first SCM has
//! nobody to ask: it makes the cluster's authority, but only once every other configured SCM has answered, with proof of the
//! join token, that it knows of none either. So a wiped first SCM enrols at the cluster that exists instead of making another.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use pki::enroll::{self, EnrollError, Refused, Signer};
use pki::{ClusterCa, IdentityError, Issued, JoinToken, NodeId, NodeIdentity, NodeName, PeerRole, SignError};
use rpc::async_trait;
use runtime::{Clock, Entropy, Shutdown};
use tokio::net::TcpListener;
use tracing::{info, warn};
use types::{ClusterId, Endpoint};

use crate::files;

/// Long enough for a whole cluster to be started by hand.
const PATIENCE: Duration = Duration::from_secs(600);
const PAUSE: Duration = Duration::from_millis(300);
const NO_AUTHORITY: &str = "this scm knows of no authority yet";
const AUTHORITY_FILE: &str = "authority.pem";

#[derive(Debug, thiserror::Error)]
pub(crate) enum EnterError {
    #[error("the node name {0:?} is not usable: a-z, 0-9, '-', '_' and '.', at most 63")]
    Name(String),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("enrolling at the scm: {0}")]
    Enroll(#[from] EnrollError),
    #[error("making the authority: {0}")]
    Authority(#[from] SignError),
    #[error("listening on {at}: {source}")]
    Listen { at: SocketAddr, source: std::io::Error },
    #[error("{what}: {source}")]
    Io { what: &'static str, source: std::io::Error },
    #[error("tls: {0}")]
    Tls(#[from] pki::TlsError),
    #[error("shut down before there was a certificate")]
    Shutdown,
}

pub(crate) fn node_name(name: &str) -> Result<NodeName, EnterError> {
    NodeName::parse(name).map_err(|_| EnterError::Name(name.to_owned()))
}

/// The identity of any process but an SCM.
pub(crate) async fn enter(
    folder: &Path,
    role: PeerRole,
    name: &NodeName,
    token: &JoinToken,
    scms: &[Endpoint],
) -> Result<NodeIdentity, EnterError> {
    if let Some(identity) = NodeIdentity::load(folder)? {
        return Ok(identity);
    }
    let identity = enroll::client(scms, token, role, name, PATIENCE).await?;
    identity.store(folder)?;
    Ok(identity)
}

/// What an SCM starts with.
pub(crate) struct ScmIdentity {
    pub(crate) identity: NodeIdentity,
    /// Held by the SCM that made it, until the replicated state holds it for all.
    pub(crate) authority: Option<String>,
}

pub(crate) struct FirstContact<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) name: &'a NodeName,
    pub(crate) token: &'a JoinToken,
    pub(crate) listen: SocketAddr,
    pub(crate) others: Vec<Endpoint>,
    pub(crate) may_found: bool,
}

/// The identity of an SCM, making the authority if this is the beginning of the cluster.
pub(crate) async fn enter_as_scm(
    contact: FirstContact<'_>,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
    shutdown: &Shutdown,
) -> Result<ScmIdentity, EnterError> {
    let authority_path = contact.folder.join(AUTHORITY_FILE);
    let authority = match files::read_secret(&authority_path) {
        Ok(pem) => Some(
            String::from_utf8(pem)
                .map_err(|_| EnterError::Io { what: "reading the authority", source: std::io::ErrorKind::InvalidData.into() })?,
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(source) => return Err(EnterError::Io { what: "reading the authority", source }),
    };
    if let Some(identity) = NodeIdentity::load(contact.folder)? {
        return Ok(ScmIdentity { identity, authority });
    }
    // Until there is an authority the others must be able to hear that there is none.
    let waiting = shutdown.child();
    let answering = answer_that_there_is_none(&contact, clock, entropy, &waiting).await?;
    let found = look_around(&contact, shutdown).await;
    waiting.start();
    let _ = answering.await;
    match found? {
        Some(identity) => {
            identity.store(contact.folder)?;
            Ok(ScmIdentity { identity, authority: None })
        }
        None => {
            let ca = ClusterCa::generate(ClusterId::from_u128(entropy.u128()), clock.now())?;
            let io = |source| EnterError::Io { what: "keeping the authority", source };
            files::private_folder(contact.folder).map_err(io)?;
            files::write_durably(&authority_path, ca.to_pem().as_bytes()).map_err(io)?;
            let identity = ca.issue(PeerRole::Scm, contact.name, clock.now(), ClusterCa::MEMBER_VALIDITY)?;
            identity.store(contact.folder)?;
            info!(cluster = %ca.cluster(), "made the cluster's authority");
            Ok(ScmIdentity { identity, authority: Some(ca.to_pem().to_string()) })
        }
    }
}

/// An identity signed by another SCM; none if all others know of no authority and this one may make it.
async fn look_around(contact: &FirstContact<'_>, shutdown: &Shutdown) -> Result<Option<NodeIdentity>, EnterError> {
    loop {
        let mut without_authority = 0;
        for other in &contact.others {
            let asked = enroll::client(std::slice::from_ref(other), contact.token, PeerRole::Scm, contact.name, Duration::ZERO);
            match asked.await {
                Ok(identity) => return Ok(Some(identity)),
                Err(EnrollError::Later { why, .. }) if why == NO_AUTHORITY => without_authority += 1,
                Err(error @ (EnrollError::WrongToken { .. } | EnrollError::Refused { .. })) => return Err(error.into()),
                Err(error) => info!(%other, %error, "an scm does not sign yet"),
            }
        }
        if contact.may_found && without_authority == contact.others.len() {
            return Ok(None);
        }
        if shutdown.has_started() {
            return Err(EnterError::Shutdown);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn answer_that_there_is_none(
    contact: &FirstContact<'_>,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
    waiting: &Shutdown,
) -> Result<tokio::task::JoinHandle<()>, EnterError> {
    // A certificate that nobody trusts: enrolment does not look at it.
    let nobody = ClusterCa::generate(ClusterId::from_u128(entropy.u128()), clock.now())?;
    let tls = pki::Tls::new(nobody.issue(PeerRole::Scm, contact.name, clock.now(), ClusterCa::MEMBER_VALIDITY)?)?;
    let at = contact.listen;
    let listener = TcpListener::bind(at).await.map_err(|source| EnterError::Listen { at, source })?;
    let signer = Arc::new(enroll::Server::new(Arc::new(NotYet(contact.token.clone()))));
    let stop = waiting.clone();
    Ok(waiting.spawn(async move {
        loop {
            let (stream, from) = tokio::select! {
                () = stop.started() => return,
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => { warn!(%error, "accepting"); tokio::time::sleep(PAUSE).await; continue }
                },
            };
            let (tls, signer) = (tls.clone(), Arc::clone(&signer));
            stop.spawn_until(async move {
                if let Ok(pki::Accepted::Stranger(stream)) = tls.accept(stream).await {
                    signer.enroll(stream, from.ip()).await;
                }
            });
        }
    }))
}

struct NotYet(JoinToken);

#[async_trait]
impl Signer for NotYet {
    async fn join_tokens(&self) -> Vec<JoinToken> {
        vec![self.0.clone()]
    }
    async fn sign(&self, _: PeerRole, _: &NodeName, _: &[u8]) -> Result<Issued, Refused> {
        Err(Refused::Later(NO_AUTHORITY.to_owned()))
    }
    async fn renew(&self, _: &NodeId, _: &[u8]) -> Result<Issued, Refused> {
        Err(Refused::Later(NO_AUTHORITY.to_owned()))
    }
}

/// Signs for the SCM: with the authority that it made itself while its Raft group is forming, through the service afterwards.
pub(crate) struct ScmSigner {
    token: JoinToken,
    made_here: Option<ClusterCa>,
    service: RwLock<Option<Arc<dyn Signer>>>,
    clock: Arc<dyn Clock>,
}

impl ScmSigner {
    pub(crate) fn new(token: JoinToken, authority: Option<&str>, clock: Arc<dyn Clock>) -> Result<Self, IdentityError> {
        let made_here = authority.map(ClusterCa::from_pem).transpose()?;
        Ok(Self { token, made_here, service: RwLock::new(None), clock })
    }

    pub(crate) fn hand_over(&self, service: Arc<dyn Signer>) {
        *self.service.write() = Some(service);
    }

    fn service(&self) -> Option<Arc<dyn Signer>> {
        self.service.read().clone()
    }
}

#[async_trait]
impl Signer for ScmSigner {
    async fn join_tokens(&self) -> Vec<JoinToken> {
        vec![self.token.clone()]
    }

    async fn sign(&self, role: PeerRole, name: &NodeName, csr: &[u8]) -> Result<Issued, Refused> {
        if let Some(service) = self.service() {
            return service.sign(role, name, csr).await;
        }
        match (&self.made_here, role) {
            // Only the members of the group that is to hold the authority; everybody else waits for it.
            (Some(ca), PeerRole::Scm) => ca
                .sign(csr, role, name, self.clock.now(), ClusterCa::MEMBER_VALIDITY)
                .map_err(|error| Refused::No(error.to_string())),
            _ => Err(Refused::Later("the scm is starting".to_owned())),
        }
    }

    async fn renew(&self, member: &NodeId, csr: &[u8]) -> Result<Issued, Refused> {
        match self.service() {
            Some(service) => service.renew(member, csr).await,
            None => Err(Refused::Later("the scm is starting".to_owned())),
        }
    }
}
