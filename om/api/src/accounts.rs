//! What is set on an account as a whole.

use bucket_config::PublicAccessBlock;
use minicbor::{Decode, Encode};

use crate::Requester;

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct GetAccountBlock {
    #[n(0)]
    pub by: Requester,
    /// By its number, or by its id.
    #[n(1)]
    pub account: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SetAccountBlock {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub account: String,
    /// None takes it away.
    #[n(2)]
    pub block: Option<PublicAccessBlock>,
}
