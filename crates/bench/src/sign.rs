//! SigV4 for requests whose path and query are already in canonical form, which ours are: what signing costs the client is
//! CPU that the server on the same machine does not get.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::error::BenchError;

#[derive(Debug, Clone)]
pub(crate) struct Keys {
    pub(crate) access: String,
    pub(crate) secret: String,
    pub(crate) region: String,
}

/// The SHA-256 of a body, in hex, computed once for all requests that carry it.
pub(crate) fn payload_hash(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body))
}

/// What is signed, apart from the day and the keys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Canonical<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) host: &'a str,
    pub(crate) payload_hash: &'a str,
}

/// The headers that make a request a signed one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) date: String,
    pub(crate) authorization: String,
}

/// Signs for one client; remembers the moment and the key derived for its day.
#[derive(Debug)]
pub(crate) struct Signer {
    keys: Keys,
    second: u64,
    date: String,
    day: String,
    key: Vec<u8>,
}

impl Signer {
    pub(crate) fn new(keys: Keys) -> Self {
        Self { keys, second: u64::MAX, date: String::new(), day: String::new(), key: Vec::new() }
    }

    pub(crate) fn sign(&mut self, request: Canonical<'_>, now: SystemTime) -> Result<Signed, BenchError> {
        self.move_to(now)?;
        let Canonical { method, path, query, host, payload_hash } = request;
        let (date, day, region) = (&self.date, &self.day, &self.keys.region);
        const NAMES: &str = "host;x-amz-content-sha256;x-amz-date";
        let canonical = format!(
            "{method}\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:{payload_hash}\nx-amz-date:{date}\n\n{NAMES}\n{payload_hash}"
        );
        let scope = format!("{day}/{region}/s3/aws4_request");
        let hash = hex::encode(Sha256::digest(canonical.as_bytes()));
        let signature = calculate_signature(&self.key, format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hash}").as_bytes());
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={NAMES}, Signature={signature}", self.keys.access);
        Ok(Signed { date: date.clone(), authorization })
    }

    fn move_to(&mut self, now: SystemTime) -> Result<(), BenchError> {
        let second = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if second == self.second {
            return Ok(());
        }
        let at = OffsetDateTime::from(UNIX_EPOCH + Duration::from_secs(second));
        let format = format_description!("[year][month][day]T[hour][minute][second]Z");
        self.date = at.format(format).map_err(|error| BenchError::Unexpected(error.to_string()))?;
        self.second = second;
        let day = self.date.get(..8).unwrap_or_default();
        if day != self.day {
            self.key = generate_signing_key(&self.keys.secret, now, &self.keys.region, "s3").as_ref().to_vec();
            self.day = day.to_owned();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sigv4::http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode, sign,
    };
    use aws_sigv4::sign::v4::SigningParams;

    /// The library signs the same request: the two must agree on every character.
    #[test]
    fn a_signature_is_the_one_that_the_aws_library_makes() {
        let keys = Keys { access: "AKID".to_owned(), secret: "secret".to_owned(), region: "us-east-1".to_owned() };
        let now = UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let body = b"some body";
        let (path, query) = ("/bench/a%20b/c", "list-type=2&max-keys=1000&prefix=p%2F");
        let hash = payload_hash(body);
        let ours = Signer::new(keys)
            .sign(Canonical { method: "PUT", path, query, host: "localhost:9878", payload_hash: &hash }, now)
            .expect("signs");

        let credentials = aws_credential_types::Credentials::new("AKID", "secret", None, None, "test").into();
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let params = SigningParams::builder()
            .identity(&credentials)
            .region("us-east-1")
            .name("s3")
            .time(now)
            .settings(settings)
            .build()
            .expect("complete")
            .into();
        let uri = format!("http://localhost:9878{path}?{query}");
        let request = SignableRequest::new("PUT", uri, std::iter::empty(), SignableBody::Bytes(body)).expect("legal");
        let (instructions, _) = sign(request, &params).expect("signs").into_parts();
        let header = |name: &str| {
            instructions.headers().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
        };
        assert_eq!(header("authorization"), Some(ours.authorization));
        assert_eq!(header("x-amz-date"), Some(ours.date));
    }
}
