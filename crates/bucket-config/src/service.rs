//! Who pays for requests, and whether they come by a faster way: of meaning where somebody bills or owns such ways.

use minicbor::{Decode, Encode};

use crate::Invalid;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct RequestPayment {
    #[n(0)]
    pub payer: Payer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Payer {
    #[n(0)]
    BucketOwner,
    #[n(1)]
    Requester,
}

impl Payer {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BucketOwner => "BucketOwner",
            Self::Requester => "Requester",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::BucketOwner, Self::Requester].into_iter().find(|payer| payer.as_str() == text)
    }
}

impl RequestPayment {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }
}

/// Transfer acceleration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Acceleration {
    #[n(0)]
    pub is_enabled: bool,
}

impl Acceleration {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }
}
