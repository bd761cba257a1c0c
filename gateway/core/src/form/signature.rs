//! Who signed a form's policy, in either version.

use types::{Millis, Timestamp};

use super::{Form, Policy};
use crate::auth::parse::{NOT_SUPPORTED, parse_credential};
use crate::auth::{ALGORITHM, Accepts, MAX_SKEW_MS, Scope, Signature, SignatureV2, SigningKey, names_secret};
use crate::dates::{format_scope_date, parse_iso_basic};
use crate::error::{S3Error, S3ErrorCode};

/// A claim, not yet held against a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormSignature {
    /// No policy, so nobody's: the bucket must let anybody write.
    Anonymous,
    V4(Box<PolicyV4>),
    V2(Box<PolicyV2>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyV4 {
    pub access_key: String,
    pub scope: Scope,
    pub session_token: Option<String>,
    signed_at: Timestamp,
    signature: Option<Signature>,
    /// What was signed: the policy as it was sent.
    policy: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyV2 {
    pub access_key: String,
    pub session_token: Option<String>,
    /// `None` for text that no signature has.
    pub signature: Option<SignatureV2>,
    pub policy: String,
}

impl FormSignature {
    pub fn parse(form: &Form, accepts: Accepts) -> Result<Self, S3Error> {
        let has = |names: &[&str]| names.iter().any(|name| form.get(name).is_some());
        let is_v4 = has(&["x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"]);
        let is_v2 = has(&["awsaccesskeyid", "signature"]);
        if !is_v4 && !is_v2 && form.get("policy").is_none() {
            return Ok(Self::Anonymous);
        }
        if is_v4 && is_v2 {
            let why = "Only one auth mechanism allowed";
            return Err(S3Error::invalid_argument(why, "AWSAccessKeyId", form.get("awsaccesskeyid").unwrap_or_default()));
        }
        let session_token = form.get("x-amz-security-token").map(str::to_owned);
        if is_v2 {
            if accepts == Accepts::V4 {
                return Err(S3Error::invalid_request(NOT_SUPPORTED));
            }
            return Ok(Self::V2(Box::new(PolicyV2 {
                policy: form.required("policy")?.to_owned(),
                access_key: form.required("awsaccesskeyid")?.to_owned(),
                signature: SignatureV2::parse(form.required("signature")?),
                session_token,
            })));
        }
        let policy = form.required("policy")?.to_owned();
        let algorithm = form.required("x-amz-algorithm")?;
        if algorithm != ALGORITHM {
            let why = "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"";
            return Err(S3Error::invalid_argument(why, "x-amz-algorithm", algorithm));
        }
        let credential = form.required("x-amz-credential")?;
        let in_credential = |why: &str| {
            let why = format!("Error parsing the X-Amz-Credential parameter; {why}.");
            S3Error::invalid_argument(why, "x-amz-credential", credential)
        };
        let (access_key, scope) = parse_credential(credential, Accepts::V4).map_err(in_credential)?;
        let date = form.required("x-amz-date")?;
        let signed_at = parse_iso_basic(date).ok_or_else(|| {
            let why = "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"";
            S3Error::invalid_argument(why, "x-amz-date", date)
        })?;
        let signature = Signature::parse(form.required("x-amz-signature")?);
        Ok(Self::V4(Box::new(PolicyV4 { access_key, scope, session_token, signed_at, signature, policy })))
    }
}

impl PolicyV4 {
    /// Time and scope, which need no secret. How long the form is good for is the policy's own to say.
    pub fn check(&self, now: Timestamp, region: &str) -> Result<(), S3Error> {
        if self.signed_at > now + Millis(MAX_SKEW_MS) {
            return Err(S3Error::with_message(S3ErrorCode::AccessDenied, "Request is not valid yet"));
        }
        if self.scope.date != format_scope_date(self.signed_at) {
            let why = "The date of the X-Amz-Credential field is not the same as X-Amz-Date.";
            return Err(S3Error::invalid_argument(why, "x-amz-credential", self.scope.to_string()));
        }
        if self.scope.region != region {
            let why = format!("The region '{}' of the X-Amz-Credential field is wrong; expecting '{region}'", self.scope.region);
            return Err(S3Error::invalid_argument(why, "x-amz-credential", self.scope.to_string()).field("Region", region));
        }
        Ok(())
    }

    /// Holds the signature against the key. `Signature` compares in constant time.
    pub fn verify(&self, key: &SigningKey) -> Result<(), S3Error> {
        if self.signature == Some(key.sign(&self.policy)) { Ok(()) } else { Err(mismatch(&self.access_key, &self.policy)) }
    }
}

impl PolicyV2 {
    pub fn mismatch(&self) -> S3Error {
        mismatch(&self.access_key, &self.policy)
    }
}

/// With what we would have signed, unless it may hold what only the client may know: a session's token stands in its policy.
fn mismatch(access_key: &str, policy: &str) -> S3Error {
    let error = S3Error::new(S3ErrorCode::SignatureDoesNotMatch).field("AWSAccessKeyId", access_key);
    // Read as it would be obeyed: lines may be broken, and letters escaped.
    let holds_secret = Policy::document(policy).map_or(true, |document| names_secret(&document.to_string()));
    if holds_secret { error } else { error.field("StringToSign", policy) }
}
