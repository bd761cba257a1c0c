//! Answers to questions for what cannot be set here: what S3 says where it was not set.

use bucket_config::ConfigKind;

use crate::error::{S3Error, S3ErrorCode};
use crate::xml::XmlOut;

/// A question of a kind that no bucket has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unset {
    /// The one of this kind, or one of several by its id.
    Get(ConfigKind),
    /// All of this kind.
    List(ConfigKind),
}

impl Unset {
    pub fn kind(self) -> ConfigKind {
        match self {
            Self::Get(kind) | Self::List(kind) => kind,
        }
    }

    pub fn answer(self) -> Result<String, S3Error> {
        match self {
            Self::Get(ConfigKind::Replication) => Err(S3ErrorCode::ReplicationConfigurationNotFoundError.into()),
            Self::Get(ConfigKind::Metadata) => Err(S3ErrorCode::MetadataConfigurationNotFound.into()),
            // Access by tags is a switch, and off.
            Self::Get(ConfigKind::AttributeAccess) => Ok(XmlOut::with_root("AbacStatus", |out| out.text("Status", "Disabled"))),
            Self::Get(_) => Err(S3ErrorCode::NoSuchConfiguration.into()),
            Self::List(ConfigKind::Analytics) => Ok(empty_list("ListBucketAnalyticsConfigurationResult")),
            Self::List(ConfigKind::Inventory) => Ok(empty_list("ListInventoryConfigurationsResult")),
            Self::List(ConfigKind::Metrics) => Ok(empty_list("ListMetricsConfigurationsResult")),
            Self::List(_) => Ok(empty_list("ListBucketIntelligentTieringConfigurationsOutput")),
        }
    }
}

fn empty_list(root: &str) -> String {
    XmlOut::with_root(root, |out| out.value("IsTruncated", false))
}
