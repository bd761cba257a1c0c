//! A bucket as a web site: which document answers for a path, and which requests are sent elsewhere.

use minicbor::{Decode, Encode};

use crate::Invalid;

const MAX_RULES: usize = 50;

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum WebsiteConfiguration {
    /// Every request is sent to another host, its path unchanged.
    #[n(0)]
    RedirectAll(#[n(0)] HostRedirect),
    #[n(1)]
    Site(#[n(0)] Site),
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct HostRedirect {
    #[n(0)]
    pub host: String,
    /// That of the request if absent.
    #[n(1)]
    pub protocol: Option<Protocol>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Protocol {
    #[n(0)]
    Http,
    #[n(1)]
    Https,
}

impl Protocol {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Http, Self::Https].into_iter().find(|protocol| protocol.as_str() == text)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Site {
    /// Put behind a path that ends with `/`.
    #[n(0)]
    pub index_suffix: String,
    /// Shown in place of an error of the client's.
    #[n(1)]
    pub error_key: Option<String>,
    /// The first that fits decides.
    #[n(2)]
    pub rules: Vec<RoutingRule>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RoutingRule {
    /// Fits every request if absent.
    #[n(0)]
    pub condition: Option<RoutingCondition>,
    #[n(1)]
    pub redirect: Redirect,
}

/// All of it must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct RoutingCondition {
    #[n(0)]
    pub key_prefix: Option<String>,
    /// The status that the request would be answered with.
    #[n(1)]
    pub error_code: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct Redirect {
    #[n(0)]
    pub host: Option<String>,
    #[n(1)]
    pub protocol: Option<Protocol>,
    /// 301 if absent.
    #[n(2)]
    pub status: Option<u16>,
    #[n(3)]
    pub replace: Option<KeyReplacement>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum KeyReplacement {
    /// Of what the condition's prefix matched.
    #[n(0)]
    Prefix(#[n(0)] String),
    #[n(1)]
    Key(#[n(0)] String),
}

/// Where a request is sent. What is absent is the request's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirection {
    pub protocol: Option<Protocol>,
    pub host: Option<String>,
    pub key: String,
    /// So many bytes at the beginning of the key are as the bucket's owner wrote them, perhaps with a query or a fragment; what follows
    /// is the request's.
    pub given: usize,
    pub status: u16,
}

impl WebsiteConfiguration {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        match self {
            Self::RedirectAll(redirect) if redirect.host.is_empty() => {
                Err(Invalid::argument("A host name must be provided to redirect all requests (e.g. \"example.com\")."))
            }
            Self::RedirectAll(redirect) => check_host(&redirect.host),
            Self::Site(site) => site.check(),
        }
    }

    /// Where a request for this key is sent before anything is looked up.
    pub fn redirection(&self, key: &str) -> Option<Redirection> {
        match self {
            Self::RedirectAll(HostRedirect { host, protocol }) => {
                Some(Redirection { protocol: *protocol, host: Some(host.clone()), key: key.to_owned(), given: 0, status: 301 })
            }
            Self::Site(site) => site.redirection(key, None),
        }
    }

    /// Where a request is sent that would be answered with this error.
    pub fn redirection_of_error(&self, key: &str, status: u16) -> Option<Redirection> {
        match self {
            Self::RedirectAll(_) => None,
            Self::Site(site) => site.redirection(key, Some(status)),
        }
    }
}

/// `host[:port][/path]`: what can stand in a `Location`, and is no one else's part of it.
fn check_host(text: &str) -> Result<(), Invalid> {
    let (authority, path) = text.split_once('/').unwrap_or((text, ""));
    let is_in_brackets = |host: &str| host.starts_with('[') && host.ends_with(']');
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !is_in_brackets(authority) => (host, Some(port)),
        Some(_) | None => (authority, None),
    };
    let is_host = if is_in_brackets(host) {
        host[1..host.len() - 1].parse::<std::net::Ipv6Addr>().is_ok()
    } else {
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte))
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    if is_host && port.is_none_or(is_port) && path.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(Invalid::request("The HostName is not valid: it must be a host, perhaps with a port and a path."))
    }
}

impl Site {
    fn check(&self) -> Result<(), Invalid> {
        if self.index_suffix.is_empty() || self.index_suffix.contains('/') {
            return Err(Invalid::argument("The IndexDocument Suffix is not well formed"));
        }
        if self.error_key.as_ref().is_some_and(String::is_empty) {
            return Err(Invalid::argument("The ErrorDocument Key is not well formed"));
        }
        if self.rules.len() > MAX_RULES {
            return Err(Invalid::request(format!(
                "{} routing rules provided, the number of routing rules is limited to 50.",
                self.rules.len()
            )));
        }
        self.rules.iter().try_for_each(RoutingRule::check)
    }

    /// The object that answers for a path: itself, or the index document of what looks like a folder.
    pub fn document(&self, path: &str) -> String {
        if path.is_empty() || path.ends_with('/') { format!("{path}{}", self.index_suffix) } else { path.to_owned() }
    }

    fn redirection(&self, key: &str, error: Option<u16>) -> Option<Redirection> {
        self.rules.iter().find_map(|rule| rule.redirection(key, error))
    }
}

impl RoutingRule {
    fn check(&self) -> Result<(), Invalid> {
        if let Some(RoutingCondition { key_prefix, error_code }) = &self.condition {
            if key_prefix.is_none() && error_code.is_none() {
                return Err(Invalid::request(
                    "Condition cannot be empty. To redirect all requests without a condition, the condition element shouldn't be present.",
                ));
            }
            if error_code.is_some_and(|code| !(400..600).contains(&code)) {
                return Err(Invalid::argument("The provided HTTP error code is not valid. Valid codes are 4XX or 5XX."));
            }
        }
        let Redirect { host, protocol, status, replace } = &self.redirect;
        if host.is_none() && protocol.is_none() && status.is_none() && replace.is_none() {
            return Err(Invalid::request("Redirect cannot be empty."));
        }
        if host.as_ref().is_some_and(String::is_empty) {
            return Err(Invalid::argument("The HostName of a Redirect cannot be empty."));
        }
        host.as_deref().map_or(Ok(()), check_host)?;
        if status.is_some_and(|status| !(301..400).contains(&status)) {
            return Err(Invalid::argument("The provided HTTP redirect code is not valid. Valid codes are 3XX except 300."));
        }
        Ok(())
    }

    fn redirection(&self, key: &str, error: Option<u16>) -> Option<Redirection> {
        let condition = self.condition.as_ref();
        let prefix = condition.and_then(|condition| condition.key_prefix.as_deref()).unwrap_or("");
        let rest = key.strip_prefix(prefix)?;
        // A rule for an error waits for it; any other is asked before the object is looked for.
        if condition.and_then(|condition| condition.error_code) != error {
            return None;
        }
        let (key, given) = match &self.redirect.replace {
            None => (key.to_owned(), 0),
            Some(KeyReplacement::Key(key)) => (key.clone(), key.len()),
            Some(KeyReplacement::Prefix(replacement)) => (format!("{replacement}{rest}"), replacement.len()),
        };
        let Redirect { host, protocol, status, .. } = &self.redirect;
        Some(Redirection { protocol: *protocol, host: host.clone(), key, given, status: status.unwrap_or(301) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(prefix: Option<&str>, error: Option<u16>, replace: Option<KeyReplacement>) -> RoutingRule {
        let condition = RoutingCondition { key_prefix: prefix.map(str::to_owned), error_code: error };
        RoutingRule {
            condition: (prefix.is_some() || error.is_some()).then_some(condition),
            redirect: Redirect { host: Some("h".into()), replace, ..Redirect::default() },
        }
    }

    fn site(rules: Vec<RoutingRule>) -> WebsiteConfiguration {
        WebsiteConfiguration::Site(Site { index_suffix: "index.html".into(), error_key: None, rules })
    }

    #[test]
    fn a_folder_is_answered_by_its_index() {
        let WebsiteConfiguration::Site(site) = site(vec![]) else { unreachable!() };
        assert_eq!(site.document(""), "index.html");
        assert_eq!(site.document("a/"), "a/index.html");
        assert_eq!(site.document("a"), "a");
    }

    #[test]
    fn the_first_rule_that_fits_sends_elsewhere() {
        let site = site(vec![
            rule(Some("docs/"), None, Some(KeyReplacement::Prefix("documents/".into()))),
            rule(Some("gone/"), Some(404), Some(KeyReplacement::Key("report".into()))),
            rule(None, Some(404), None),
        ]);
        let key = |redirection: Option<Redirection>| redirection.map(|redirection| redirection.key);
        assert_eq!(key(site.redirection("docs/a")), Some("documents/a".into()));
        assert_eq!(key(site.redirection("gone/a")), None);
        assert_eq!(key(site.redirection_of_error("gone/a", 404)), Some("report".into()));
        assert_eq!(key(site.redirection_of_error("a", 404)), Some("a".into()));
        assert_eq!(key(site.redirection_of_error("a", 403)), None);
    }

    #[test]
    fn everything_may_be_sent_to_another_host() {
        let all = WebsiteConfiguration::RedirectAll(HostRedirect { host: "h".into(), protocol: Some(Protocol::Https) });
        let sent =
            Redirection { protocol: Some(Protocol::Https), host: Some("h".into()), key: "a/b".into(), given: 0, status: 301 };
        assert_eq!(all.redirection("a/b"), Some(sent));
        assert_eq!(all.redirection_of_error("a/b", 404), None);
    }

    #[test]
    fn what_leads_nowhere_is_refused() {
        let with = |change: fn(&mut Site)| {
            let mut site = Site { index_suffix: "index.html".into(), error_key: None, rules: vec![rule(Some("a"), None, None)] };
            change(&mut site);
            site.check()
        };
        assert_eq!(with(|_| ()), Ok(()));
        assert!(matches!(with(|site| site.index_suffix = "a/b".into()), Err(Invalid::Argument(_))));
        assert!(matches!(with(|site| site.index_suffix.clear()), Err(Invalid::Argument(_))));
        assert!(matches!(with(|site| site.error_key = Some(String::new())), Err(Invalid::Argument(_))));
        assert!(matches!(with(|site| site.rules[0].redirect = Redirect::default()), Err(Invalid::Request(_))));
        assert!(matches!(with(|site| site.rules[0].redirect.status = Some(300)), Err(Invalid::Argument(_))));
        assert!(matches!(with(|site| site.rules[0].condition = Some(RoutingCondition::default())), Err(Invalid::Request(_))));
        assert!(matches!(with(|site| site.rules = vec![rule(None, Some(200), None)]), Err(Invalid::Argument(_))));
        assert!(matches!(with(|site| site.rules = vec![site.rules[0].clone(); 51]), Err(Invalid::Request(_))));
        let nowhere = HostRedirect { host: String::new(), protocol: None };
        assert!(matches!(WebsiteConfiguration::RedirectAll(nowhere).check(), Err(Invalid::Argument(_))));
    }

    #[test]
    fn a_redirection_goes_to_a_host_and_nowhere_else() {
        let check = |host: &str| {
            let all = WebsiteConfiguration::RedirectAll(HostRedirect { host: host.into(), protocol: None });
            let mut by_rule = rule(None, None, None);
            by_rule.redirect.host = Some(host.into());
            let by_rule = site(vec![by_rule]).check();
            assert_eq!(all.check(), by_rule, "{host:?}");
            by_rule.is_ok()
        };
        for host in ["example.com", "a_b.example:8080", "10.0.0.1", "[::1]", "[2001:db8::1]:443", "example.com/a/b?c#d"] {
            assert!(check(host), "{host}");
        }
        for host in [
            "h\r\nSet-Cookie: a=b",
            "h é",
            "h i",
            "h/\r\n",
            "h/é",
            "/h",
            ":80",
            "h:",
            "h:0",
            "h:65536",
            "h:+1",
            "h:1:2",
            "::1",
            "[::1",
            "[]",
            "[h]",
            "user@h",
            "h?x",
            "h\\x",
            "<h>",
        ] {
            assert!(!check(host), "{host:?}");
        }
    }
}
