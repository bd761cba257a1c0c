//! For which of the two listeners a request was signed.
//!
//! A signature covers the host, and S3's requests are signed for the same service as administrators'. So `DELETE /secret` for S3, where
//! it is a bucket, must not be `DELETE /secret` here, where it ends somebody's pairs.

use axum::http::uri::Authority;
use axum::http::{header, request};

/// How S3's endpoint is called, as far as this process knows: a proxy in front of it may have other names.
#[derive(Debug, Clone)]
pub(crate) struct S3Hosts {
    /// Of S3 and of its buckets, in lower case.
    domains: Vec<String>,
    s3_port: u16,
    admin_port: u16,
}

impl S3Hosts {
    pub(crate) fn new(domains: &[String], s3_port: u16, admin_port: u16) -> Self {
        Self { domains: domains.iter().map(|domain| domain.to_ascii_lowercase()).collect(), s3_port, admin_port }
    }

    /// Whether the request was signed for S3's endpoint: what names neither is a name of this listener's that we do not know.
    pub(super) fn are_of(&self, request: &request::Parts) -> bool {
        let named = request.headers.get(header::HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
        named.as_ref().or(request.uri.authority()).is_none_or(|host| self.include(host))
    }

    fn include(&self, host: &Authority) -> bool {
        let port = host.port_u16();
        if port == Some(self.admin_port) {
            return false;
        }
        let name = host.host().trim_end_matches('.').to_ascii_lowercase();
        let is_under =
            |domain: &String| name.strip_suffix(domain.as_str()).is_some_and(|label| label.is_empty() || label.ends_with('.'));
        port == Some(self.s3_port) || self.domains.iter().any(is_under)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_s3_s_by_its_domain_or_by_its_port() {
        let hosts = S3Hosts::new(&["S3.Example".to_owned()], 9878, 9879);
        let is_s3_s = |host: &str| hosts.include(&host.parse().expect("a host"));
        for host in ["s3.example", "bucket.S3.example:80", "s3.example.", "127.0.0.1:9878", "[::1]:9878", "s3.example:9878"] {
            assert!(is_s3_s(host), "{host}");
        }
        for host in ["s3.example:9879", "127.0.0.1:9879", "[::1]:9879", "admin.example", "nots3.example:443", "127.0.0.1"] {
            assert!(!is_s3_s(host), "{host}");
        }
    }
}
