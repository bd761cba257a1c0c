//! Where events go: destinations that an administrator named, and nobody else. What a client sets on a bucket can only choose among them,
//! so that it makes nobody call what it likes.

mod document;
mod turns;
mod webhook;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use web_client::{KeptConnections, WebClient, WebError, check_address};
use zeroize::Zeroizing;

pub(crate) use document::document;
pub(crate) use turns::{Held, Turns};
pub(crate) use webhook::NotTaken;

/// A webhook: events are posted to it, each by itself, those of one key in their order.
#[derive(Clone)]
pub struct Destination {
    web: KeptConnections,
    url: Uri,
    /// Sent as `Authorization: Bearer …`.
    token: Option<Zeroizing<String>>,
    /// An answer that takes longer is none.
    pub timeout: Duration,
    /// An event that has waited for so long is put aside.
    pub give_up_after: Duration,
    /// With more waiting the oldest are put aside.
    pub max_waiting: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum BadDestination {
    #[error(transparent)]
    Web(#[from] WebError),
    #[error("the URL must not hold a user: a token goes into a file of its own")]
    User,
    #[error("the token must be printable ASCII")]
    Token,
}

impl Destination {
    /// Over TLS it is trusted if one of the machine's authorities vouches for it, or one in this file.
    pub fn new(url: &str, token: Option<String>, authorities: Option<PathBuf>) -> Result<Self, BadDestination> {
        let url = check_address(url)?;
        if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(BadDestination::User);
        }
        if token.as_ref().is_some_and(|token| token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(BadDestination::Token);
        }
        Ok(Self {
            web: KeptConnections::new(WebClient::new(authorities.as_slice())?),
            url,
            token: token.map(Zeroizing::new),
            timeout: Duration::from_secs(10),
            give_up_after: Duration::from_secs(24 * 3600),
            max_waiting: 100_000,
        })
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Destination({})", self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_a_plain_address_and_hides_its_token() {
        let good = Destination::new("http://hooks.example:8080/s3?x=1", Some("secret".into()), None).expect("good");
        assert!(!format!("{good:?}").contains("secret"));
        assert!(Destination::new("https://hooks.example/", None, None).is_ok());
        for bad in ["", "hooks.example", "ftp://hooks.example/", "http:///x"] {
            assert!(matches!(Destination::new(bad, None, None), Err(BadDestination::Web(_))), "{bad}");
        }
        assert!(matches!(Destination::new("http://me:pw@hooks.example/", None, None), Err(BadDestination::User)));
        assert!(matches!(Destination::new("http://h/", Some("a\nb".into()), None), Err(BadDestination::Token)));
        let absent = Some("/nowhere/authorities.pem".into());
        assert!(matches!(Destination::new("https://h/", None, absent), Err(BadDestination::Web(_))));
    }
}
