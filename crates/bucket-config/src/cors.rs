//! Which pages of other origins may use the bucket from a browser.

use minicbor::{Decode, Encode};

use crate::{Invalid, Wildcard};

const MAX_RULES: usize = 100;
const MAX_ID: usize = 255;

#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct CorsConfiguration {
    /// The first that fits a request decides.
    #[n(0)]
    pub rules: Vec<CorsRule>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct CorsRule {
    #[n(0)]
    pub id: Option<String>,
    /// Patterns with at most one `*`, compared with case.
    #[n(1)]
    pub allowed_origins: Vec<String>,
    /// In capitals.
    #[n(2)]
    pub allowed_methods: Vec<String>,
    /// Patterns with at most one `*`, compared without case.
    #[n(3)]
    pub allowed_headers: Vec<String>,
    #[n(4)]
    pub expose_headers: Vec<String>,
    /// How long a browser may remember the answer to a preflight.
    #[n(5)]
    pub max_age_seconds: Option<u32>,
}

/// The rule that lets a request in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CorsMatch<'a> {
    pub rule: &'a CorsRule,
    /// The pattern is `*` alone: anybody may, so that the answer names nobody and takes no credentials.
    pub is_for_anybody: bool,
}

impl CorsConfiguration {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        if self.rules.is_empty() || self.rules.len() > MAX_RULES {
            return Err(Invalid::Schema);
        }
        self.rules.iter().try_for_each(CorsRule::check)
    }

    /// The first rule for this origin and method under which all of these headers may be sent. An actual request names no
    /// headers: they were asked for before.
    pub fn matching<'h>(
        &self,
        origin: &str,
        method: &str,
        headers: impl IntoIterator<Item = &'h str> + Clone,
    ) -> Option<CorsMatch<'_>> {
        self.rules.iter().find_map(|rule| {
            let pattern = rule.origin_pattern(origin)?;
            let fits = rule.allowed_methods.iter().any(|allowed| allowed == method)
                && headers.clone().into_iter().all(|header| rule.allows_header(header));
            fits.then_some(CorsMatch { rule, is_for_anybody: pattern == "*" })
        })
    }
}

impl CorsRule {
    fn check(&self) -> Result<(), Invalid> {
        if self.allowed_origins.is_empty() || self.allowed_methods.is_empty() {
            return Err(Invalid::Schema);
        }
        if self.id.as_ref().is_some_and(|id| id.chars().count() > MAX_ID) {
            return Err(Invalid::argument("ID length should not exceed allowed limit of 255"));
        }
        for method in &self.allowed_methods {
            if !matches!(method.as_str(), "GET" | "PUT" | "HEAD" | "POST" | "DELETE") {
                return Err(Invalid::request(format!(
                    "Found unsupported HTTP method in CORS config. Unsupported method is {method}"
                )));
            }
        }
        for (element, patterns) in [("AllowedOrigin", &self.allowed_origins), ("AllowedHeader", &self.allowed_headers)] {
            if let Some(pattern) = patterns.iter().find(|pattern| Wildcard::parse(pattern).is_none()) {
                return Err(Invalid::request(format!("{element} \"{pattern}\" can not have more than one wildcard.")));
            }
        }
        if let Some(header) = self.expose_headers.iter().find(|header| header.contains('*')) {
            return Err(Invalid::request(format!(
                "ExposeHeader \"{header}\" contains wildcard. We currently do not support wildcard for ExposeHeader."
            )));
        }
        Ok(())
    }

    fn origin_pattern(&self, origin: &str) -> Option<&str> {
        let fits = |pattern: &&String| Wildcard::parse(pattern).is_some_and(|pattern| pattern.matches(origin));
        self.allowed_origins.iter().find(fits).map(String::as_str)
    }

    fn allows_header(&self, header: &str) -> bool {
        let fits = |pattern: &String| Wildcard::parse(pattern).is_some_and(|pattern| pattern.matches_ignoring_case(header));
        self.allowed_headers.iter().any(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(origins: &[&str], methods: &[&str], headers: &[&str]) -> CorsRule {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        CorsRule {
            allowed_origins: owned(origins),
            allowed_methods: owned(methods),
            allowed_headers: owned(headers),
            ..CorsRule::default()
        }
    }

    #[test]
    fn the_first_rule_that_fits_in_all_three_decides() {
        let cors = CorsConfiguration {
            rules: vec![
                rule(&["http://*.example.com"], &["PUT"], &["x-amz-*", "Content-Type"]),
                rule(&["http://a.example.com", "*"], &["GET", "HEAD"], &[]),
            ],
        };
        let ask = |origin, method, headers: &[&'static str]| {
            let found = cors.matching(origin, method, headers.iter().copied())?;
            Some((cors.rules.iter().position(|rule| rule == found.rule), found.is_for_anybody))
        };
        assert_eq!(ask("http://a.example.com", "PUT", &[]), Some((Some(0), false)));
        assert_eq!(ask("http://a.example.com", "PUT", &["X-Amz-Meta-A", "content-type"]), Some((Some(0), false)));
        assert_eq!(ask("http://a.example.com", "PUT", &["x-other"]), None);
        assert_eq!(ask("http://A.example.com", "GET", &[]), Some((Some(1), true)));
        assert_eq!(ask("http://a.example.com", "GET", &[]), Some((Some(1), false)));
        assert_eq!(ask("http://a.example.com", "GET", &["content-type"]), None);
        assert_eq!(ask("http://elsewhere", "PUT", &[]), None);
    }

    #[test]
    fn what_browsers_could_not_be_told_is_refused() {
        let good = rule(&["*"], &["GET"], &["*"]);
        let check = |rule: CorsRule| CorsConfiguration { rules: vec![rule] }.check();
        assert_eq!(check(good.clone()), Ok(()));
        assert_eq!(check(CorsRule { allowed_methods: vec![], ..good.clone() }), Err(Invalid::Schema));
        assert_eq!(check(CorsRule { allowed_origins: vec![], ..good.clone() }), Err(Invalid::Schema));
        assert!(matches!(check(rule(&["*"], &["PATCH"], &[])), Err(Invalid::Request(_))));
        assert!(matches!(check(rule(&["*"], &["get"], &[])), Err(Invalid::Request(_))));
        assert!(matches!(check(rule(&["http://*.*"], &["GET"], &[])), Err(Invalid::Request(_))));
        assert!(matches!(check(rule(&["*"], &["GET"], &["*-*"])), Err(Invalid::Request(_))));
        assert!(matches!(check(CorsRule { expose_headers: vec!["*".into()], ..good.clone() }), Err(Invalid::Request(_))));
        assert!(matches!(check(CorsRule { id: Some("x".repeat(256)), ..good.clone() }), Err(Invalid::Argument(_))));
        assert_eq!(CorsConfiguration { rules: vec![] }.check(), Err(Invalid::Schema));
        assert_eq!(CorsConfiguration { rules: vec![good; 101] }.check(), Err(Invalid::Schema));
    }
}
