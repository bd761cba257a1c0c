//! Identity providers: whether a web identity token is what it says (OpenID Connect Core 1.0, RFC 7519, RFC 7517).
//!
//! Only issuers that the configuration names are ever asked for their keys: an account may register any provider, and no more
//! comes of it. Keys are kept for a while, and asked for again when a token names one that is not known.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use parking_lot::Mutex;
use runtime::Clock;
use serde::Deserialize;
use serde_json::Value;
use types::{IamError, IamErrorCode, Millis, Timestamp};
use web_client::{Limits, WebClient, WebError, check_address};

/// As the configuration has it: whose tokens are taken.
#[derive(Debug, Clone, Default)]
pub struct OidcConfig {
    /// Issuers by their URL, as their tokens name themselves.
    pub issuers: Vec<String>,
    /// Certificates of authorities that the machine does not know.
    pub authorities: Vec<PathBuf>,
}

const LONGEST_TOKEN: usize = 20_000;
const LIMITS: Limits = Limits { timeout: Duration::from_secs(5), most_bytes: 1 << 20 };
/// Keys older than this are asked for again.
const KEPT_FOR: Millis = Millis(10 * 60 * 1000);
/// A token that names an unknown key has them asked for again, not more often than this.
const AGAIN_AFTER: Millis = Millis(10 * 1000);
const CLOCK_SKEW_SECONDS: u64 = 60;
/// No algorithm of a shared secret: whoever knows the public key would know the secret.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

#[derive(Debug, Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

#[derive(Clone)]
struct KeptKeys {
    keys: Arc<JwkSet>,
    fetched: Timestamp,
}

pub(crate) struct Oidc {
    issuers: Vec<String>,
    client: Option<WebClient>,
    clock: Arc<dyn Clock>,
    /// By issuer.
    kept: Mutex<BTreeMap<String, KeptKeys>>,
    /// Whoever asks an issuer holds this, so that a crowd of tokens asks once; and when it failed last.
    failed: tokio::sync::Mutex<BTreeMap<String, Timestamp>>,
}

/// A token that is what it says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WebIdentity {
    /// Without the scheme: as ARNs of providers name it.
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) audiences: Vec<String>,
    claims: BTreeMap<String, Value>,
}

fn invalid(why: &str) -> IamError {
    IamError::new(IamErrorCode::InvalidIdentityToken, why)
}

/// An issuer without its scheme and its last slash.
pub(crate) fn bare(issuer: &str) -> &str {
    let bare = issuer.strip_prefix("https://").or_else(|| issuer.strip_prefix("http://")).unwrap_or(issuer);
    bare.trim_end_matches('/')
}

impl Oidc {
    pub(crate) fn new(config: &OidcConfig, clock: Arc<dyn Clock>) -> Result<Self, WebError> {
        for issuer in &config.issuers {
            check_address(issuer)?;
        }
        // Without issuers nobody is ever asked.
        let client = if config.issuers.is_empty() { None } else { Some(WebClient::new(&config.authorities)?) };
        Ok(Self { issuers: config.issuers.clone(), client, clock, kept: Mutex::default(), failed: tokio::sync::Mutex::default() })
    }

    /// Whose token it is. Whether they may do anything is not asked here, but for the audience: that is for the provider's row.
    pub(crate) async fn verify(&self, token: &str) -> Result<WebIdentity, IamError> {
        if token.len() > LONGEST_TOKEN {
            return Err(invalid("the token is too long"));
        }
        let header = decode_header(token).map_err(|_| invalid("the token is no JWT"))?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(invalid("the token's algorithm is not taken"));
        }
        // The issuer is taken from the token to find its key, and believed only when that has verified it.
        let claimed: BTreeMap<String, Value> =
            jsonwebtoken::dangerous::insecure_decode_claims(token).map_err(|_| invalid("the token is no JWT"))?;
        let issuer = claimed.get("iss").and_then(Value::as_str).unwrap_or_default();
        let Some(issuer) = self.issuers.iter().find(|known| bare(known) == bare(issuer)) else {
            return Err(invalid("the token's issuer is not one that the cluster's configuration names"));
        };
        let keys = self.keys(issuer, header.kid.as_deref()).await?;
        let key = match &header.kid {
            Some(kid) => keys.find(kid),
            None => match keys.keys.as_slice() {
                [only] => Some(only),
                _ => None,
            },
        };
        let key = key.ok_or_else(|| invalid("the token's key is not one of its issuer's"))?;
        let key = DecodingKey::from_jwk(key).map_err(|_| invalid("the token's key cannot be used"))?;
        let mut validation = Validation::new(header.alg);
        validation.leeway = CLOCK_SKEW_SECONDS;
        validation.validate_nbf = true;
        validation.validate_aud = false;
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        validation.set_issuer(&[issuer.as_str(), issuer.trim_end_matches('/')]);
        let decoded = decode::<BTreeMap<String, Value>>(token, &key, &validation).map_err(|error| match error.kind() {
            jsonwebtoken::errors::ErrorKind::ExpiredSignature => {
                IamError::new(IamErrorCode::ExpiredToken, "the token has expired")
            }
            _ => invalid("the token is not signed by its issuer, or not valid now"),
        })?;
        identity(issuer, decoded.claims)
    }

    async fn keys(&self, issuer: &str, kid: Option<&str>) -> Result<Arc<JwkSet>, IamError> {
        let now = self.clock.now();
        if let Some(keys) = self.kept_keys(issuer, kid, now) {
            return Ok(keys);
        }
        let unreachable =
            || IamError::new(IamErrorCode::IdpCommunicationError, "the identity provider could not be asked for its keys");
        let mut failed = self.failed.lock().await;
        if let Some(keys) = self.kept_keys(issuer, kid, now) {
            return Ok(keys);
        }
        if failed.get(issuer).is_some_and(|at| now.since(*at) < AGAIN_AFTER) {
            return Err(unreachable());
        }
        let keys = self.fetch(issuer).await.map_err(|why| {
            tracing::warn!(issuer, why, "asking an identity provider for its keys");
            failed.insert(issuer.to_owned(), now);
            unreachable()
        })?;
        let keys = Arc::new(keys);
        self.kept.lock().insert(issuer.to_owned(), KeptKeys { keys: Arc::clone(&keys), fetched: now });
        Ok(keys)
    }

    fn kept_keys(&self, issuer: &str, kid: Option<&str>, now: Timestamp) -> Option<Arc<JwkSet>> {
        let KeptKeys { keys, fetched } = self.kept.lock().get(issuer).cloned()?;
        let age = now.since(fetched);
        let is_known = kid.is_none_or(|kid| keys.find(kid).is_some());
        ((is_known && age < KEPT_FOR) || (!is_known && age < AGAIN_AFTER)).then_some(keys)
    }

    async fn fetch(&self, issuer: &str) -> Result<JwkSet, String> {
        let found: Discovery =
            self.document(&format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))).await?;
        if bare(&found.issuer) != bare(issuer) {
            return Err(format!("it says that it is {}", found.issuer));
        }
        self.document(&found.jwks_uri).await
    }

    async fn document<T: for<'d> Deserialize<'d>>(&self, address: &str) -> Result<T, String> {
        let client = self.client.as_ref().ok_or("no issuers are configured")?;
        let uri = check_address(address).map_err(|error| error.to_string())?;
        // What an issuer says of where its keys are is believed as far as its own host.
        let is_issuers = self.issuers.iter().any(|issuer| {
            issuer.parse::<http::Uri>().is_ok_and(|known| known.authority() == uri.authority() && known.scheme() == uri.scheme())
        });
        if !is_issuers {
            return Err(format!("{address} is not on an issuer's host"));
        }
        let answer = client.get(&uri, LIMITS).await.map_err(|error| error.to_string())?;
        if !answer.status().is_success() {
            return Err(format!("{address} answers {}", answer.status()));
        }
        serde_json::from_slice(answer.body()).map_err(|error| format!("{address}: {error}"))
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Number(number) => vec![number.to_string()],
        Value::Bool(is_so) => vec![is_so.to_string()],
        Value::Null | Value::Object(_) => Vec::new(),
    }
}

fn identity(issuer: &str, claims: BTreeMap<String, Value>) -> Result<WebIdentity, IamError> {
    let subject = claims.get("sub").and_then(Value::as_str).filter(|subject| !subject.is_empty());
    let subject = subject.ok_or_else(|| invalid("the token has no subject"))?.to_owned();
    let mut audiences = claims.get("aud").map(texts).unwrap_or_default();
    audiences.extend(claims.get("azp").or_else(|| claims.get("client_id")).map(texts).unwrap_or_default());
    Ok(WebIdentity { issuer: bare(issuer).to_owned(), subject, audiences, claims })
}

impl WebIdentity {
    /// What policies may ask of it: `host/path:sub` and the others.
    pub(crate) fn condition_keys(&self) -> Vec<(String, Vec<String>)> {
        const ASKED: [&str; 7] = ["sub", "aud", "azp", "amr", "email", "groups", "preferred_username"];
        let of = |name: &&str| {
            let values = texts(self.claims.get(*name)?);
            (!values.is_empty()).then(|| (format!("{}:{name}", self.issuer), values))
        };
        let mut keys: Vec<_> = ASKED.iter().filter_map(of).collect();
        // As AWS has it: who asked for the token, if it says so, stands for its audience.
        if let Some(by) = self.claims.get("azp").map(texts).filter(|by| !by.is_empty()) {
            keys.retain(|(key, _)| *key != format!("{}:aud", self.issuer));
            keys.push((format!("{}:aud", self.issuer), by));
        }
        keys
    }

    /// Tags of the principal that the token carries (`https://aws.amazon.com/tags`).
    pub(crate) fn tags(&self) -> Vec<(String, String)> {
        let tags = self.claims.get("https://aws.amazon.com/tags").and_then(|tags| match tags {
            Value::Array(all) => all.first(),
            one => Some(one),
        });
        let Some(Value::Object(pairs)) = tags.and_then(|tags| tags.get("principal_tags")) else { return Vec::new() };
        let first = |(key, value): (&String, &Value)| Some((key.clone(), texts(value).into_iter().next()?));
        pairs.iter().filter_map(first).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(claims: &str) -> Result<WebIdentity, IamError> {
        identity("https://idp.example/realm/", serde_json::from_str(claims).expect("json"))
    }

    #[test]
    fn claims_become_condition_keys_of_their_issuer() {
        let who = of(
            r#"{"sub":"ada","aud":["store","other"],"groups":["a","b"],"https://aws.amazon.com/tags":{"principal_tags":{"team":["x"]}}}"#,
        );
        let who = who.expect("an identity");
        assert_eq!(who.audiences, ["store", "other"]);
        let keys = who.condition_keys();
        assert!(keys.contains(&("idp.example/realm:sub".into(), vec!["ada".into()])));
        assert!(keys.contains(&("idp.example/realm:groups".into(), vec!["a".into(), "b".into()])));
        assert_eq!(who.tags(), [("team".to_owned(), "x".to_owned())]);
        assert!(of(r#"{"aud":"store"}"#).is_err());
        assert!(of(r#"{"sub":""}"#).is_err());
    }
}
