//! Whom a request comes from, where proxies stand in front.
//!
//! What a header says of it counts only from proxies that the configuration trusts: anybody can send one.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use types::Network;

use crate::encoding::from_latin1;

/// What a connection is protected by, in the words of policies and access logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tls {
    /// `1.2`, as `s3:TlsVersion` compares it.
    pub version: &'static str,
    /// As OpenSSL calls it.
    pub cipher: Option<&'static str>,
}

/// The other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    pub address: SocketAddr,
    pub tls: Option<Tls>,
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// None: our own proxies do not say whom they were asked by, or not so that it can be read.
    pub address: Option<IpAddr>,
    /// It came over TLS, as far as proxies do.
    pub is_secure: bool,
    /// None also where a proxy ends it: what it has agreed upon with the client is not told.
    pub tls: Option<Tls>,
}

impl Client {
    /// As the connection tells it.
    pub fn direct(peer: Peer) -> Self {
        Self { address: Some(peer.address.ip().to_canonical()), is_secure: peer.tls.is_some(), tls: peer.tls }
    }
}

/// The networks of proxies whose word is taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustedProxies(Vec<Network>);

impl TrustedProxies {
    /// None: one of these is no network, or it is everybody.
    pub fn parse(networks: &[String]) -> Option<Self> {
        let parse = |text: &String| Network::parse(text).filter(|network| !network.is_everything());
        networks.iter().map(parse).collect::<Option<_>>().map(Self)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// Each proxy adds whom it was asked by at the end of `X-Forwarded-For`: from there back, the first that is no proxy of ours is the
    /// client. What stands before it is its own word. Where that cannot be read the client is unknown: it must not have the rights of the
    /// proxy's address.
    pub fn client(&self, peer: Peer, headers: &HeaderMap) -> Client {
        let direct = Client::direct(peer);
        let Some(peer) = direct.address.filter(|address| self.trusts(*address)) else { return direct };
        let mut address = (!headers.contains_key("x-forwarded-for")).then_some(peer);
        // A list may have elements that are empty, which count for nothing.
        for entry in values(headers, "x-forwarded-for").iter().rev().filter(|entry| !entry.is_empty()) {
            address = address_of(entry);
            if !address.is_some_and(|before| self.trusts(before)) {
                break;
            }
        }
        let protocols = values(headers, "x-forwarded-proto");
        // Where one is not TLS, some part of the way was in the clear, or somebody made one up; the last part alone proves nothing.
        let is_secure = !protocols.is_empty() && protocols.iter().all(|protocol| protocol.eq_ignore_ascii_case("https"));
        Client { address, is_secure, tls: None }
    }
}

/// All that a list says, in the order of its lines.
fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
    let lines = headers.get_all(name).iter().map(|value| from_latin1(value.as_bytes()).into_owned());
    lines.flat_map(|line| line.split(',').map(|value| value.trim().to_owned()).collect::<Vec<_>>()).collect()
}

/// Some proxies write the port as well.
fn address_of(entry: &str) -> Option<IpAddr> {
    let bare = entry.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(address, _)| address);
    let without_port = || entry.rsplit_once(':').filter(|(address, _)| !address.contains(':')).map(|(address, _)| address);
    let address: IpAddr = bare.unwrap_or(entry).parse().ok().or_else(|| without_port()?.parse().ok())?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn client(peer: &str, headers: &[(&'static str, &'static str)]) -> (String, bool) {
        let trusted = TrustedProxies::parse(&["10.0.0.0/8".into(), "fd00::/8".into()]).expect("networks");
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let peer = Peer { address: SocketAddr::new(peer.parse().expect("an address"), 4711), tls: None };
        let Client { address, is_secure, .. } = trusted.client(peer, &map);
        (address.map_or("-".to_owned(), |address| address.to_string()), is_secure)
    }

    #[test]
    fn the_last_that_is_no_proxy_of_ours_is_the_client() {
        let forwarded = |peer, list| client(peer, &[("x-forwarded-for", list)]).0;
        for (peer, list, found) in [
            ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
            ("10.0.0.1", "198.51.100.1, 203.0.113.7", "203.0.113.7"),
            ("10.0.0.1", "198.51.100.1, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
            ("10.0.0.1", "10.0.0.3,10.0.0.2", "10.0.0.3"),
            ("10.0.0.1", "203.0.113.7:4711", "203.0.113.7"),
            ("10.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"),
            ("10.0.0.1", "2001:db8::7", "2001:db8::7"),
            ("fd00::1", "203.0.113.7", "203.0.113.7"),
            ("::ffff:10.0.0.1", "203.0.113.7", "203.0.113.7"),
            // Made up by a client, in front of what our proxy says.
            ("10.0.0.1", "unknown, 10.9.9.9, 203.0.113.7", "203.0.113.7"),
            ("10.0.0.1", "198.51.100.1, ", "198.51.100.1"),
            ("10.0.0.1", ",198.51.100.1,,10.0.0.2, ,", "198.51.100.1"),
            // Nobody's, and not the proxy's.
            ("10.0.0.1", "unknown, 10.0.0.2", "-"),
            ("10.0.0.1", "10.0.0.3, unknown", "-"),
            ("10.0.0.1", "_hidden", "-"),
            ("10.0.0.1", "fe80::1%eth0", "-"),
            ("10.0.0.1", "\"198.51.100.1\"", "-"),
            ("10.0.0.1", "198.51.100.1:80:80", "-"),
            ("10.0.0.1", "", "-"),
            ("10.0.0.1", " , ", "-"),
            // By somebody who is no proxy of ours.
            ("203.0.113.9", "10.0.0.1", "203.0.113.9"),
        ] {
            assert_eq!(forwarded(peer, list), found, "{peer}: {list}");
        }
        let lines = [("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "203.0.113.7")];
        assert_eq!(client("10.0.0.1", &lines).0, "203.0.113.7");
        assert_eq!(client("10.0.0.1", &[]).0, "10.0.0.1");
    }

    #[test]
    fn tls_is_what_every_proxy_says_it_is() {
        let is_secure = |peer, protocol| client(peer, &[("x-forwarded-proto", protocol)]).1;
        assert!(is_secure("10.0.0.1", "https") && is_secure("10.0.0.1", "HTTPS, https"));
        assert!(!is_secure("10.0.0.1", "http") && !is_secure("10.0.0.1", "https, http") && !is_secure("10.0.0.1", ""));
        assert!(!is_secure("203.0.113.9", "https") && !client("10.0.0.1", &[]).1);
    }

    #[test]
    fn tls_that_ends_here_is_the_clients_unless_it_comes_from_a_proxy() {
        let trusted = TrustedProxies::parse(&["10.0.0.0/8".into()]).expect("networks");
        let tls = Some(Tls { version: "1.3", cipher: None });
        let seen = |peer: [u8; 4], headers: &[(&'static str, &'static str)]| {
            let named = headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            let client = trusted.client(Peer { address: SocketAddr::from((peer, 4711)), tls }, &named.collect());
            (client.is_secure, client.tls.is_some())
        };
        let (stranger, proxy) = ([203, 0, 113, 9], [10, 0, 0, 1]);
        assert_eq!(seen(stranger, &[]), (true, true));
        assert_eq!(seen(stranger, &[("x-forwarded-proto", "http")]), (true, true));
        assert_eq!(seen(proxy, &[]), (false, false));
        assert_eq!(seen(proxy, &[("x-forwarded-for", "203.0.113.7")]), (false, false));
        assert_eq!(seen(proxy, &[("x-forwarded-for", "203.0.113.7"), ("x-forwarded-proto", "https")]), (true, false));
        assert_eq!(seen(proxy, &[("x-forwarded-proto", "http")]), (false, false));
    }

    #[test]
    fn everybody_is_no_network_to_trust() {
        for wrong in ["0.0.0.0/0", "::/0", "10.0.0.0/33", "proxy.example", ""] {
            assert_eq!(TrustedProxies::parse(&["10.0.0.1".into(), wrong.into()]), None, "{wrong}");
        }
        assert_eq!(TrustedProxies::parse(&[]), Some(TrustedProxies::default()));
    }
}
