//! Who is who in a cluster: its certificate authority, the certificates of its processes, and TLS between them.
//!
//! - Every connection between processes is mutually authenticated TLS 1.3. A certificate names its holder in one URI:
//!   `trioxide://<cluster id>/<role>/<name>`. Host names and addresses in certificates mean nothing to us.
//! - The authority belongs to the cluster and signs nothing else; a certificate of another cluster is refused by the chain
//!   and by the URI.
//! - A new process needs one secret, the join token ([`enroll`]); a member renews with the certificate that it has.
//! - What clients are shown is a [`ListenerCertificate`], of an authority that they know; nothing of the cluster's own rests on it.
//! - [`Tls`] is asked anew for each connection, so a renewed certificate is in use without a restart.

mod authority;
pub mod enroll;
mod identity;
mod listener;
mod names;
mod tls;
mod token;
mod verify;

pub use authority::{ClusterCa, KeyRequest, SignError};
pub use identity::{IdentityError, Issued, NodeIdentity};
pub use listener::{CertificateError, ListenerCertificate};
pub use names::{InvalidNodeId, NodeId, NodeName, PeerRole};
pub use rustls::ServerConfig;
pub use tls::{AcceptError, Accepted, ConnectError, Protocol, Tls, TlsError};
pub use token::{InvalidJoinToken, JoinToken};
