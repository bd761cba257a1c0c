//! What is known of a client's request besides who makes it: facts that policies may ask for. They travel with the requester, so
//! that no call is made without them.

use std::net::IpAddr;

use minicbor::{Decode, Encode};
use types::{AclRequest, Millis, RequestId};

/// How a request was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum AuthType {
    #[n(0)]
    Header,
    /// A presigned URL.
    #[n(1)]
    Query,
    /// A form's policy.
    #[n(2)]
    Form,
}

/// Facts, not conclusions: the OM alone decides what they mean.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct RequestContext {
    /// Of the client, as far as the gateway can tell.
    #[n(0)]
    pub source: Option<IpAddr>,
    /// The client came over TLS.
    #[n(1)]
    pub is_secure: bool,
    #[n(2)]
    pub tls_version: Option<String>,
    #[n(3)]
    pub region: Option<String>,
    #[n(4)]
    pub auth_type: Option<AuthType>,
    /// `AWS4-HMAC-SHA256` or `AWS`.
    #[n(5)]
    pub signature_version: Option<String>,
    #[n(6)]
    pub signature_age: Option<Millis>,
    /// Those of [`RequestContext::HEADERS`] that came, by their names in lower case; of a form, the fields of these names.
    #[n(7)]
    pub headers: Vec<(String, String)>,
    /// Those of [`RequestContext::QUERY`] that came.
    #[n(8)]
    pub query: Vec<(String, String)>,
    /// The tags that the request gives.
    #[n(9)]
    pub tags: Vec<(String, String)>,
    /// `x-amz-expected-bucket-owner`.
    #[n(10)]
    pub expected_owner: Option<String>,
    /// `x-amz-source-expected-bucket-owner`, of a copy.
    #[n(11)]
    pub expected_source_owner: Option<String>,
    /// The ACL of what the request makes, or the one that it sets.
    #[n(12)]
    pub acl: Option<AclRequest>,
    /// The request goes into an access log, which tells whether it needed an ACL.
    #[n(13)]
    pub is_logged: bool,
    /// `x-amz-request-payer: requester`.
    #[n(14)]
    pub pays: bool,
    /// A browser's form.
    #[n(15)]
    pub is_form: bool,
    /// As the client is told it.
    #[n(16)]
    pub request: Option<RequestId>,
}

impl RequestContext {
    /// What policies may ask for.
    pub const HEADERS: &'static [&'static str] = &[
        "user-agent",
        "referer",
        "if-match",
        "if-none-match",
        "x-amz-acl",
        "x-amz-content-sha256",
        "x-amz-copy-source",
        "x-amz-grant-full-control",
        "x-amz-grant-read",
        "x-amz-grant-read-acp",
        "x-amz-grant-write",
        "x-amz-grant-write-acp",
        "x-amz-metadata-directive",
        "x-amz-object-lock-legal-hold",
        "x-amz-object-lock-mode",
        "x-amz-object-lock-retain-until-date",
        "x-amz-object-ownership",
        "x-amz-server-side-encryption",
        "x-amz-server-side-encryption-aws-kms-key-id",
        "x-amz-server-side-encryption-customer-algorithm",
        "x-amz-storage-class",
        "x-amz-website-redirect-location",
    ];
    pub const QUERY: &'static [&'static str] = &["delimiter", "max-keys", "prefix", "versionId"];
}
