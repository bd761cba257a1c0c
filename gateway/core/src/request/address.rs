//! Which bucket the `Host` header names, if it names one.

use http::{HeaderMap, Uri, header};

use crate::error::{S3Error, S3ErrorCode};

/// Where the bucket stands in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressStyle {
    /// `http://host/bucket/key`
    Path,
    /// `http://bucket.domain/key`
    VirtualHost,
}

/// The domains under which a label in front is a bucket. Every other host, an address among them, is path style.
#[derive(Debug, Clone, Default)]
pub struct Addressing {
    /// Lower-case, longest first.
    domains: Vec<String>,
}

impl Addressing {
    pub fn new(domains: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut domains: Vec<String> = domains.into_iter().map(|domain| domain.as_ref().to_ascii_lowercase()).collect();
        // The longest first, so that with `example.com` and `s3.example.com` the latter is not taken for a bucket `s3`.
        domains.sort_by_key(|domain| std::cmp::Reverse(domain.len()));
        Self { domains }
    }

    /// On a listener where every host is a bucket: by the label in front of one of the domains, else by its whole name.
    pub(super) fn bucket_of<'h>(&self, host: &'h Host) -> &'h str {
        let under = |domain: &String| host.0.strip_suffix(domain.as_str())?.strip_suffix('.');
        self.domains.iter().find_map(under).unwrap_or(&host.0)
    }

    pub(super) fn resolve<'h>(&self, host: &'h Host) -> Result<(AddressStyle, Option<&'h str>), S3Error> {
        if self.domains.contains(&host.0) {
            return Ok((AddressStyle::Path, None));
        }
        let bucket = self.domains.iter().find_map(|domain| host.0.strip_suffix(domain.as_str())?.strip_suffix('.'));
        match bucket {
            Some(bucket) => Ok((AddressStyle::VirtualHost, Some(bucket))),
            None => Ok((AddressStyle::Path, None)),
        }
    }
}

/// A host name or address without its port, lower-case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host(String);

/// The one host that a request names. An absolute target must name the same: a proxy and we must not differ on it.
pub(super) fn host(uri: &Uri, headers: &HeaderMap) -> Result<Host, S3Error> {
    let mut values = headers.get_all(header::HOST).iter();
    let from_header = match (values.next(), values.next()) {
        (Some(value), None) => Some(value.to_str().map_err(|_| invalid_host())?),
        (None, _) => None,
        (Some(_), Some(_)) => return Err(invalid_host()),
    };
    let from_target = uri.authority().map(|authority| authority.as_str());
    match (from_header, from_target) {
        (Some(header), Some(target)) if !header.eq_ignore_ascii_case(target) => Err(invalid_host()),
        (Some(text), _) | (None, Some(text)) => parse_host(text),
        (None, None) => Err(S3Error::invalid_request("The request has no Host header.")),
    }
}

fn invalid_host() -> S3Error {
    S3Error::with_message(S3ErrorCode::InvalidRequest, "The Host header is not valid.")
}

fn parse_host(text: &str) -> Result<Host, S3Error> {
    let (name, port) = match text.strip_prefix('[') {
        // An IPv6 literal keeps its colons to itself.
        Some(rest) => {
            let (address, after) = rest.split_once(']').ok_or_else(invalid_host)?;
            let well_formed =
                !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.' | b'%'));
            if !well_formed {
                return Err(invalid_host());
            }
            match after {
                "" => (address, None),
                _ => (address, Some(after.strip_prefix(':').ok_or_else(invalid_host)?)),
            }
        }
        None => match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        },
    };
    let port_is_good = port.is_none_or(|port| port.is_empty() || (port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit())));
    // Underscores are no part of host names, yet container networks use them.
    let name_is_good = text.starts_with('[')
        || (!name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')));
    if port_is_good && name_is_good { Ok(Host(name.trim_end_matches('.').to_ascii_lowercase())) } else { Err(invalid_host()) }
}
