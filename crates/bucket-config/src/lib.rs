//! What S3 lets an owner set on a bucket: one module a kind, with its document, what makes one valid, and what it means.
//!
//! A document is stored by the OM, carried by its API and read from and written as XML by the gateway: the same type in all
//! three places, since its shape is S3's and not ours (`docs/adr/0005-bucket-documents-have-one-type.md`). Everything here is a
//! function of its arguments. Fields and variants are numbered for ever: a number is never reused, a later field is an `Option`
//! or has a default.
//!
//! To add a kind: a module with the type and its `validate`, and one line in [`kinds!`] below. The compiler then asks for the
//! permissions that guard it (`om-core`'s `authorise.rs`); the gateway adds its XML and its operations.

pub mod access;
pub mod cors;
pub mod encryption;
pub mod lifecycle;
pub mod logging;
pub mod notification;
pub mod service;
pub mod tagging;
pub mod website;
mod wildcard;

pub use access::{BucketAcl, BucketPolicy, OwnershipControls, PublicAccessBlock};
pub use cors::CorsConfiguration;
pub use encryption::EncryptionConfiguration;
pub use lifecycle::LifecycleConfiguration;
pub use logging::LoggingConfiguration;
pub use notification::NotificationConfiguration;
pub use service::{Acceleration, RequestPayment};
pub use tagging::BucketTags;
pub use website::WebsiteConfiguration;
pub use wildcard::Wildcard;

use minicbor::{Decode, Encode};

impl ConfigKind {
    /// Whether it has a say in who may reach the bucket.
    pub fn guards(self) -> bool {
        matches!(self, Self::Policy | Self::Acl | Self::PublicAccessBlock | Self::OwnershipControls | Self::RequestPayment)
    }
}

/// Why a document is none that S3 takes. The text is for whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum Invalid {
    /// It does not have the shape of its schema: something is missing, too many, or no word of it.
    #[n(0)]
    #[error("the document does not have the shape of its schema")]
    Schema,
    /// A value that means nothing.
    #[n(1)]
    #[error("{0}")]
    Argument(#[n(0)] String),
    /// Values that each mean something, and not together.
    #[n(2)]
    #[error("{0}")]
    Request(#[n(0)] String),
    #[n(3)]
    #[error("{0}")]
    Tag(#[n(0)] String),
    #[n(4)]
    #[error("{0}")]
    Policy(#[n(0)] String),
}

impl Invalid {
    pub(crate) fn argument(text: impl Into<String>) -> Self {
        Self::Argument(text.into())
    }

    pub(crate) fn request(text: impl Into<String>) -> Self {
        Self::Request(text.into())
    }
}

/// A document of one kind.
pub trait Document: Into<BucketDocument> {
    const KIND: ConfigKind;

    /// The document, if it is one of this kind.
    fn of(document: BucketDocument) -> Option<Self>;

    /// Whether S3 would take it, as far as the document itself tells.
    fn validate(&self) -> Result<(), Invalid>;
}

macro_rules! kinds {
    (
        documents: $($(#[$doc:meta])* $number:literal $name:ident($document:ty);)*
        never_set: $($(#[$only_doc:meta])* $only_number:literal $only:ident;)*
    ) => {
        /// A kind of configuration that S3 gives a bucket. Its number stands in the keys of rows.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
        #[cbor(index_only)]
        pub enum ConfigKind {
            $($(#[$doc])* #[n($number)] $name,)*
            $($(#[$only_doc])* #[n($only_number)] $only,)*
        }

        impl ConfigKind {
            pub const ALL: &'static [Self] = &[$(Self::$name,)* $(Self::$only,)*];
            /// Those that can be set.
            pub const DOCUMENTS: &'static [Self] = &[$(Self::$name,)*];

            pub fn number(self) -> u8 {
                match self {
                    $(Self::$name => $number,)*
                    $(Self::$only => $only_number,)*
                }
            }
        }

        /// A configuration of any kind that can be set.
        #[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
        pub enum BucketDocument {
            $(#[n($number)] $name(#[n(0)] $document),)*
        }

        impl BucketDocument {
            pub fn kind(&self) -> ConfigKind {
                match self {
                    $(Self::$name(_) => ConfigKind::$name,)*
                }
            }

            pub fn validate(&self) -> Result<(), Invalid> {
                match self {
                    $(Self::$name(document) => document.validate(),)*
                }
            }
        }

        $(
            impl From<$document> for BucketDocument {
                fn from(document: $document) -> Self { Self::$name(document) }
            }

            impl Document for $document {
                const KIND: ConfigKind = ConfigKind::$name;

                fn of(document: BucketDocument) -> Option<Self> {
                    match document {
                        BucketDocument::$name(document) => Some(document),
                        _ => None,
                    }
                }

                fn validate(&self) -> Result<(), Invalid> {
                    self.check()
                }
            }
        )*
    };
}

kinds! {
documents:
    1 Cors(CorsConfiguration);
    2 Lifecycle(LifecycleConfiguration);
    3 Encryption(EncryptionConfiguration);
    4 Website(WebsiteConfiguration);
    5 Notification(NotificationConfiguration);
    6 Logging(LoggingConfiguration);
    7 Tagging(BucketTags);
    8 RequestPayment(RequestPayment);
    9 PublicAccessBlock(PublicAccessBlock);
    10 OwnershipControls(OwnershipControls);
    11 Acceleration(Acceleration);
    12 Policy(BucketPolicy);
    13 Acl(BucketAcl);
// They are asked for all the same, under permissions of their own.
never_set:
    40 Replication;
    41 Analytics;
    42 Inventory;
    43 Metrics;
    44 IntelligentTiering;
    45 Metadata;
    46 AttributeAccess;
    47 PolicyStatus;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn kinds_have_numbers_of_their_own() {
        let numbers: BTreeSet<u8> = ConfigKind::ALL.iter().map(|kind| kind.number()).collect();
        assert_eq!(numbers.len(), ConfigKind::ALL.len());
    }

    #[test]
    fn a_document_is_of_its_kind_and_of_no_other() {
        let document: BucketDocument = CorsConfiguration::default().into();
        assert_eq!(document.kind(), ConfigKind::Cors);
        assert_eq!(BucketTags::of(document.clone()), None);
        assert_eq!(CorsConfiguration::of(document), Some(CorsConfiguration::default()));
    }
}
