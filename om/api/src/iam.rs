//! IAM and STS: their calls travel as they came, and are the OM's to understand.

use minicbor::{Decode, Encode};
use types::IamError;

use crate::{Denied, Requester};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum IamService {
    #[n(0)]
    Iam,
    #[n(1)]
    Sts,
    /// Delegation tokens, which AWS does not have.
    #[n(2)]
    Delegation,
    /// Ozone's ACLs.
    #[n(3)]
    NativeAcl,
}

#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct IamCall {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub service: IamService,
    /// As AWS names it: `CreateUser`.
    #[n(2)]
    pub action: String,
    /// In the names of AWS's query protocol.
    #[n(3)]
    pub parameters: Vec<(String, String)>,
}

impl std::fmt::Debug for IamCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A parameter can be a provider's token.
        write!(f, "IamCall({} by {:?}, {} parameters)", self.action, self.by, self.parameters.len())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum IamRejected {
    #[n(0)]
    #[error(transparent)]
    Denied(#[n(0)] Denied),
    #[n(1)]
    #[error(transparent)]
    Error(#[n(0)] IamError),
}
