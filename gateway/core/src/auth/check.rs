//! What can be judged without a secret, and then the signature.

use types::{Millis, Timestamp};

use super::canonical::{canonical_request, canonical_variants, string_to_sign};
use super::{AuthSource, MAX_SKEW_MS, SignedRequest, SigningKey, Verified, hide_secrets};
use crate::dates::{format_iso_basic, format_iso8601, format_scope_date};
use crate::error::{S3Error, S3ErrorCode};
use crate::request::RequestHead;

impl SignedRequest {
    /// Time, scope and the set of signed headers. Nothing in it depends on whether the access key exists.
    pub fn check(&self, head: &RequestHead, now: Timestamp, region: &str) -> Result<(), S3Error> {
        self.check_time(now)?;
        self.check_scope(region)?;
        self.check_signed_headers(head)
    }

    fn check_time(&self, now: Timestamp) -> Result<(), S3Error> {
        let skew = Millis(MAX_SKEW_MS);
        match self.source {
            AuthSource::Header => {
                if now > self.signed_at + skew || self.signed_at > now + skew {
                    return Err(S3Error::new(S3ErrorCode::RequestTimeTooSkewed)
                        .field("RequestTime", format_iso_basic(self.signed_at))
                        .field("ServerTime", format_iso8601(now))
                        .field("MaxAllowedSkewMilliseconds", MAX_SKEW_MS.to_string()));
                }
            }
            AuthSource::Query { expires_seconds } => {
                if self.signed_at > now + skew {
                    return Err(S3Error::with_message(S3ErrorCode::AccessDenied, "Request is not valid yet"));
                }
                let expires_at = self.signed_at + Millis(expires_seconds.saturating_mul(1000));
                // A URL that lives for no time has never been valid.
                if now > expires_at || expires_seconds == 0 {
                    return Err(S3Error::with_message(S3ErrorCode::AccessDenied, "Request has expired")
                        .field("X-Amz-Expires", expires_seconds.to_string())
                        .field("Expires", format_iso8601(expires_at))
                        .field("ServerTime", format_iso8601(now)));
                }
            }
        }
        Ok(())
    }

    fn check_scope(&self, region: &str) -> Result<(), S3Error> {
        if self.scope.date != format_scope_date(self.signed_at) {
            let why = format!("Invalid credential date \"{}\". This date is not the same as X-Amz-Date.", self.scope.date);
            return Err(self.scope_error(&why));
        }
        if self.scope.region != region {
            let why = format!("the region '{}' is wrong; expecting '{region}'", self.scope.region);
            return Err(self.scope_error(&why).field("Region", region));
        }
        Ok(())
    }

    fn scope_error(&self, why: &str) -> S3Error {
        match self.source {
            AuthSource::Header => {
                let message = format!("The authorization header is malformed; {why}");
                S3Error::with_message(S3ErrorCode::AuthorizationHeaderMalformed, message)
            }
            AuthSource::Query { .. } => {
                let message = format!("Error parsing the X-Amz-Credential parameter; {why}");
                S3Error::with_message(S3ErrorCode::AuthorizationQueryParametersError, message)
            }
        }
    }

    /// Every header that means something to S3 is under the signature, and every one that is listed is there.
    fn check_signed_headers(&self, head: &RequestHead) -> Result<(), S3Error> {
        let is_signed = |name: &str| self.signed_headers.iter().any(|signed| signed == name);
        let must_be_signed = |name: &str| match name {
            "host" => true,
            // Its value is part of what is signed whether listed or not.
            "x-amz-content-sha256" => self.source != AuthSource::Header,
            other => other.starts_with("x-amz-"),
        };
        let unsigned: Vec<&str> =
            head.headers.keys().map(|name| name.as_str()).filter(|name| must_be_signed(name) && !is_signed(name)).collect();
        if !is_signed("host") || !unsigned.is_empty() {
            let named = if unsigned.is_empty() { "host".to_owned() } else { unsigned.join(", ") };
            let why = "There were headers present in the request which were not signed";
            return Err(S3Error::with_message(S3ErrorCode::AccessDenied, why).field("HeadersNotSigned", named));
        }
        for (index, name) in self.signed_headers.iter().enumerate() {
            let listed_before = self.signed_headers.iter().take(index).any(|other| other == name);
            let mut values = head.headers.get_all(name).iter();
            let first = values.next();
            let has_two_meanings = values.any(|value| Some(value) != first);
            if listed_before || first.is_none() || has_two_meanings {
                return Err(self.mismatch(head));
            }
        }
        Ok(())
    }

    /// Holds the signature against the key. Every form in which honest clients canonicalise is tried; each stands for the same
    /// request, so that none makes a signature good for another.
    pub fn verify(&self, head: &RequestHead, key: &SigningKey) -> Result<Verified, S3Error> {
        let claimed = self.signature.ok_or_else(|| self.mismatch(head))?;
        for canonical in canonical_variants(head, self) {
            let expected = key.sign(&string_to_sign(self, &canonical));
            // `Signature` compares in constant time.
            if expected == claimed {
                return Ok(Verified { key: key.clone(), scope: self.scope.clone(), signed_at: self.signed_at, seed: claimed });
            }
        }
        Err(self.mismatch(head))
    }

    /// With the text that we signed, so that the author of a client can find the difference. It holds nothing that signs, and
    /// not what only the signer may know.
    fn mismatch(&self, head: &RequestHead) -> S3Error {
        let canonical = canonical_request(head, self);
        let shown: Vec<String> = canonical.lines().map(hide_secrets).collect();
        S3Error::new(S3ErrorCode::SignatureDoesNotMatch)
            .field("AWSAccessKeyId", self.access_key.as_str())
            .field("StringToSign", string_to_sign(self, &canonical))
            .field("CanonicalRequest", shown.join("\n"))
    }
}
