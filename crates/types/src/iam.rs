//! What IAM and STS answer: a tree of named values, and errors by AWS's names.

use std::fmt;

use minicbor::{Decode, Encode};

/// AWS's errors of IAM and STS, each with its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum IamErrorCode {
    #[n(0)]
    NoSuchEntity,
    #[n(1)]
    EntityAlreadyExists,
    #[n(2)]
    LimitExceeded,
    #[n(3)]
    DeleteConflict,
    #[n(4)]
    MalformedPolicyDocument,
    #[n(5)]
    InvalidInput,
    #[n(6)]
    ValidationError,
    #[n(7)]
    UnmodifiableEntity,
    #[n(8)]
    AccessDenied,
    /// No such action, or one that is not built.
    #[n(9)]
    InvalidAction,
    #[n(10)]
    InvalidIdentityToken,
    #[n(11)]
    ExpiredToken,
    #[n(12)]
    IdpRejectedClaim,
    #[n(13)]
    IdpCommunicationError,
    #[n(14)]
    InvalidClientTokenId,
    #[n(15)]
    PackedPolicyTooLarge,
    #[n(16)]
    NotImplemented,
}

impl IamErrorCode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSuchEntity => "NoSuchEntity",
            Self::EntityAlreadyExists => "EntityAlreadyExists",
            Self::LimitExceeded => "LimitExceeded",
            Self::DeleteConflict => "DeleteConflict",
            Self::MalformedPolicyDocument => "MalformedPolicyDocument",
            Self::InvalidInput => "InvalidInput",
            Self::ValidationError => "ValidationError",
            Self::UnmodifiableEntity => "UnmodifiableEntity",
            Self::AccessDenied => "AccessDenied",
            Self::InvalidAction => "InvalidAction",
            Self::InvalidIdentityToken => "InvalidIdentityToken",
            Self::ExpiredToken => "ExpiredTokenException",
            Self::IdpRejectedClaim => "IDPRejectedClaim",
            Self::IdpCommunicationError => "IDPCommunicationError",
            Self::InvalidClientTokenId => "InvalidClientTokenId",
            Self::PackedPolicyTooLarge => "PackedPolicyTooLarge",
            Self::NotImplemented => "NotImplemented",
        }
    }

    /// Of HTTP.
    pub fn status(self) -> u16 {
        match self {
            Self::NoSuchEntity => 404,
            Self::EntityAlreadyExists | Self::LimitExceeded | Self::DeleteConflict => 409,
            Self::AccessDenied | Self::IdpRejectedClaim | Self::InvalidClientTokenId => 403,
            Self::NotImplemented => 501,
            Self::MalformedPolicyDocument
            | Self::InvalidInput
            | Self::ValidationError
            | Self::UnmodifiableEntity
            | Self::InvalidAction
            | Self::InvalidIdentityToken
            | Self::ExpiredToken
            | Self::IdpCommunicationError
            | Self::PackedPolicyTooLarge => 400,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct IamError {
    #[n(0)]
    pub code: IamErrorCode,
    #[n(1)]
    pub message: String,
}

impl IamError {
    pub fn new(code: IamErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl fmt::Display for IamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for IamError {}

/// What an action of IAM's answers, before it is XML or JSON.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub enum IamValue {
    #[n(0)]
    Text(#[n(0)] String),
    /// Shown to whoever asked, and to nobody else.
    #[n(1)]
    Secret(#[n(0)] String),
    #[n(2)]
    Fields(#[n(0)] Vec<(String, IamValue)>),
    #[n(3)]
    List(#[n(0)] Vec<IamValue>),
    /// Entries of a `key` and a `value`.
    #[n(4)]
    Map(#[n(0)] Vec<IamValue>),
}

impl IamValue {
    pub fn empty() -> Self {
        Self::Fields(Vec::new())
    }

    pub fn field(name: &str, value: impl Into<Self>) -> Self {
        Self::empty().with(name, value)
    }

    /// The same with one more field.
    pub fn with(mut self, name: &str, value: impl Into<Self>) -> Self {
        if let Self::Fields(fields) = &mut self {
            fields.push((name.to_owned(), value.into()));
        }
        self
    }

    pub fn with_some(self, name: &str, value: Option<impl Into<Self>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// A field of this value.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Fields(fields) => fields.iter().find(|(known, _)| known == name).map(|(_, value)| value),
            Self::Text(_) | Self::Secret(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    pub fn get_mut(&mut self, name: &str) -> Option<&mut Self> {
        match self {
            Self::Fields(fields) => fields.iter_mut().find(|(known, _)| known == name).map(|(_, value)| value),
            Self::Text(_) | Self::Secret(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Secret(text) => Some(text),
            Self::Fields(_) | Self::List(_) | Self::Map(_) => None,
        }
    }
}

impl From<&str> for IamValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for IamValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<IamValue>> for IamValue {
    fn from(values: Vec<IamValue>) -> Self {
        Self::List(values)
    }
}

impl From<bool> for IamValue {
    fn from(is_so: bool) -> Self {
        Self::Text(is_so.to_string())
    }
}

impl From<usize> for IamValue {
    fn from(number: usize) -> Self {
        Self::Text(number.to_string())
    }
}

impl fmt::Debug for IamValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => text.fmt(f),
            Self::Secret(_) => f.write_str("(secret)"),
            Self::Fields(fields) => f.debug_map().entries(fields.iter().map(|(name, value)| (name, value))).finish(),
            Self::List(values) | Self::Map(values) => f.debug_list().entries(values).finish(),
        }
    }
}
