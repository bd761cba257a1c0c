//! The names that certificates carry.

use std::fmt;

use minicbor::{Decode, Encode};
use types::ClusterId;

/// A process's place in the cluster, as its certificate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum PeerRole {
    #[n(0)]
    Gateway,
    #[n(1)]
    Om,
    #[n(2)]
    Scm,
    #[n(3)]
    Datanode,
    /// An operator's tool on a machine of the cluster.
    #[n(4)]
    Admin,
}

impl PeerRole {
    pub const ALL: [Self; 5] = [Self::Gateway, Self::Om, Self::Scm, Self::Datanode, Self::Admin];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Om => "om",
            Self::Scm => "scm",
            Self::Datanode => "datanode",
            Self::Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

impl fmt::Display for PeerRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNodeId {
    #[error("a node name is 1 to 63 of a-z, 0-9, '-', '_' and '.', and begins with a letter or digit")]
    Name,
    #[error("not a node's URI")]
    Uri,
}

/// A process's name, unique among those of its role: what a person writes into a configuration.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(String);

impl NodeName {
    pub fn parse(text: &str) -> Result<Self, InvalidNodeId> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
        let starts_well = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if starts_well && text.len() <= 63 && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidNodeId::Name)
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// All that a certificate says about its holder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    pub cluster: ClusterId,
    pub role: PeerRole,
    pub name: NodeName,
}

impl NodeId {
    const SCHEME: &str = "trioxide://";

    pub fn uri(&self) -> String {
        format!("{}{}/{}/{}", Self::SCHEME, self.cluster, self.role, self.name)
    }

    pub fn parse_uri(uri: &str) -> Result<Self, InvalidNodeId> {
        let mut parts = uri.strip_prefix(Self::SCHEME).ok_or(InvalidNodeId::Uri)?.split('/');
        let (Some(cluster), Some(role), Some(name), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(InvalidNodeId::Uri);
        };
        Ok(Self {
            cluster: ClusterId::parse(cluster).ok_or(InvalidNodeId::Uri)?,
            role: PeerRole::parse(role).ok_or(InvalidNodeId::Uri)?,
            name: NodeName::parse(name)?,
        })
    }

    /// The URI of the cluster itself, which its authority's own certificate carries.
    pub(crate) fn cluster_uri(cluster: ClusterId) -> String {
        format!("{}{cluster}", Self::SCHEME)
    }

    pub(crate) fn parse_cluster_uri(uri: &str) -> Option<ClusterId> {
        uri.strip_prefix(Self::SCHEME).and_then(ClusterId::parse)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.role, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_id_reads_back_from_its_uri() {
        for role in PeerRole::ALL {
            let id = NodeId { cluster: ClusterId::from_u128(7), role, name: NodeName::parse("node-1").expect("legal") };
            assert_eq!(NodeId::parse_uri(&id.uri()), Ok(id));
        }
    }

    #[test]
    fn what_is_not_exactly_a_nodes_uri_is_refused() {
        let cluster = ClusterId::from_u128(7);
        for bad in [
            String::new(),
            format!("trioxide://{cluster}"),
            format!("trioxide://{cluster}/om"),
            format!("trioxide://{cluster}/om/"),
            format!("trioxide://{cluster}/om/a/b"),
            format!("trioxide://{cluster}/OM/a"),
            format!("trioxide://{cluster}/root/a"),
            format!("trioxide://{cluster}/om/../scm/a"),
            format!("trioxide://{cluster}/om/a%2fb"),
            format!("https://{cluster}/om/a"),
            "trioxide://7/om/a".to_owned(),
        ] {
            assert!(NodeId::parse_uri(&bad).is_err(), "{bad}");
        }
    }
}
