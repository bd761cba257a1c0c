//! Where events go: destinations that an administrator named, and nobody else. What a client sets on a bucket can only choose among them,
//! so that it makes nobody call what it likes.

mod document;
mod webhook;

use std::fmt;
use std::time::Duration;

use http::Uri;
use zeroize::Zeroizing;

pub(crate) use document::document;
pub(crate) use webhook::{Hook, NotTaken};

/// A webhook: events are posted to it, one by one and in their order.
#[derive(Clone)]
pub struct Destination {
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

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadDestination {
    #[error("the URL must be http://host[:port][/path], without a user in it")]
    Url,
    #[error("the token must be printable ASCII")]
    Token,
}

impl Destination {
    pub fn new(url: &str, token: Option<String>) -> Result<Self, BadDestination> {
        let url: Uri = url.parse().map_err(|_| BadDestination::Url)?;
        let is_plain = url.scheme_str() == Some("http") && url.authority().is_some_and(|at| !at.as_str().contains('@'));
        if !is_plain || url.host().is_none_or(str::is_empty) {
            return Err(BadDestination::Url);
        }
        if token.as_ref().is_some_and(|token| token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(BadDestination::Token);
        }
        Ok(Self {
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
        let good = Destination::new("http://hooks.example:8080/s3?x=1", Some("secret".into())).expect("good");
        assert!(!format!("{good:?}").contains("secret"));
        for bad in
            ["", "hooks.example", "https://hooks.example/", "ftp://hooks.example/", "http://me:pw@hooks.example/", "http:///x"]
        {
            assert_eq!(Destination::new(bad, None).expect_err(bad), BadDestination::Url);
        }
        assert_eq!(Destination::new("http://h/", Some("a\nb".into())).expect_err("two lines"), BadDestination::Token);
    }
}
