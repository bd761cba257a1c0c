//! Cross-origin requests: what a page of another origin may do with a bucket from a browser, and how the browser is told.
//!
//! A preflight is an operation of its own (`ops/cors_preflight.rs`). Every other request that names its origin gets the headers of the
//! rule that fits it, whatever the answer is, errors too: without them a page could not even read why it was refused. Only such
//! a request costs the question what the bucket's rules are.

use bucket_config::cors::CorsMatch;
use bucket_config::{ConfigKind, CorsConfiguration};
use gateway_core::S3Error;
use http::{HeaderMap, HeaderValue, Method, header};
use om_api::{BucketConductRejected, GetBucketConduct};
use rpc::{CallContext, CallError};
use tracing::warn;
use types::BucketPath;

use crate::context::{CallIds, Shared};
use crate::rejections::{call_failed, no_such_bucket};
use crate::reply::set;

/// A request that says which origin it comes from.
#[derive(Debug, Clone)]
pub(crate) struct CrossOrigin {
    pub(crate) origin: String,
    /// The method that a rule must allow: the one of the preflight's request, or the request's own.
    pub(crate) method: Option<String>,
    /// What a preflight asks to send, in the order asked for.
    pub(crate) headers: Vec<String>,
}

impl CrossOrigin {
    pub(crate) fn of(method: &Method, headers: &HeaderMap) -> Option<Self> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let origin = text(header::ORIGIN)?.to_owned();
        let own = (*method != Method::OPTIONS).then_some(method.as_str());
        let method = text(header::ACCESS_CONTROL_REQUEST_METHOD).or(own).map(str::to_owned);
        let asked = text(header::ACCESS_CONTROL_REQUEST_HEADERS).unwrap_or_default();
        let headers = asked.split(',').map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty());
        Some(Self { origin, method, headers: headers.collect() })
    }

    /// The rule under which the request may be made.
    pub(crate) fn allowed_by<'c>(&self, rules: &'c CorsConfiguration) -> Option<CorsMatch<'c>> {
        rules.matching(&self.origin, self.method.as_deref()?, self.headers.iter().map(String::as_str))
    }

    /// What the browser is told of the rule.
    pub(crate) fn write(&self, found: CorsMatch<'_>, headers: &mut HeaderMap) {
        let rule = found.rule;
        if found.is_for_anybody {
            set(headers, "access-control-allow-origin", "*");
        } else {
            set(headers, "access-control-allow-origin", &self.origin);
            set(headers, "access-control-allow-credentials", "true");
        }
        if let Some(method) = &self.method {
            set(headers, "access-control-allow-methods", method);
        }
        if !self.headers.is_empty() {
            set(headers, "access-control-allow-headers", self.headers.join(", "));
        }
        if !rule.expose_headers.is_empty() {
            set(headers, "access-control-expose-headers", rule.expose_headers.join(", "));
        }
        if let Some(seconds) = rule.max_age_seconds {
            set(headers, "access-control-max-age", seconds.to_string());
        }
        let depends = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method";
        headers.insert(header::VARY, HeaderValue::from_static(depends));
    }
}

/// The bucket's rules, if it has any.
pub(crate) async fn rules(shared: &Shared, ids: &CallIds, bucket: &BucketPath) -> Result<Option<CorsConfiguration>, S3Error> {
    let cx = CallContext::local(ids.next(), shared.config.om_timeout);
    let request = GetBucketConduct { bucket: bucket.clone(), kinds: vec![ConfigKind::Cors] };
    match shared.om.bucket_conduct(cx, request).await {
        Ok(conduct) => Ok(conduct.document()),
        Err(CallError::Rejected(BucketConductRejected::NoSuchBucket)) => Err(no_such_bucket(bucket)),
        Err(failure) => Err(call_failed(&failure)),
    }
}

/// The headers for the answer to an actual request. An answer without them is refused by the browser, so that not knowing the
/// rules is safe.
pub(super) async fn headers(shared: &Shared, ids: &CallIds, bucket: &BucketPath, from: &CrossOrigin) -> HeaderMap {
    let mut headers = HeaderMap::new();
    match rules(shared, ids, bucket).await {
        Ok(Some(rules)) => {
            // What was asked for in a preflight is not asked for again.
            let actual = CrossOrigin { headers: Vec::new(), ..from.clone() };
            if let Some(found) = actual.allowed_by(&rules) {
                actual.write(found, &mut headers);
            }
        }
        Ok(None) => {}
        Err(error) if error.status().is_server_error() => warn!(%bucket, "the rules for other origins are not known now"),
        Err(_) => {}
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use bucket_config::cors::CorsRule;

    fn request(method: Method, headers: &[(&'static str, &str)]) -> Option<CrossOrigin> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_str(value).expect("a value"));
        }
        CrossOrigin::of(&method, &map)
    }

    fn shown(from: &CrossOrigin, origin: &str) -> Option<HeaderMap> {
        let rule = CorsRule {
            allowed_origins: vec![origin.into()],
            allowed_methods: vec!["GET".into(), "PUT".into()],
            allowed_headers: vec!["x-amz-*".into()],
            expose_headers: vec!["ETag".into()],
            max_age_seconds: Some(60),
            ..CorsRule::default()
        };
        let rules = CorsConfiguration { rules: vec![rule] };
        let mut headers = HeaderMap::new();
        from.write(from.allowed_by(&rules)?, &mut headers);
        Some(headers)
    }

    #[test]
    fn a_request_without_an_origin_is_of_no_other() {
        assert!(request(Method::GET, &[("access-control-request-method", "PUT")]).is_none());
    }

    #[test]
    fn the_answer_names_the_origin_the_method_and_what_was_asked_for() {
        let asked = [
            ("origin", "http://a.example"),
            ("access-control-request-method", "PUT"),
            ("access-control-request-headers", "X-Amz-Date, x-amz-meta-a"),
        ];
        let from = request(Method::OPTIONS, &asked).expect("an origin");
        let headers = shown(&from, "http://*.example").expect("allowed");
        assert_eq!(headers["access-control-allow-origin"], "http://a.example");
        assert_eq!(headers["access-control-allow-methods"], "PUT");
        assert_eq!(headers["access-control-allow-headers"], "x-amz-date, x-amz-meta-a");
        assert_eq!(headers["access-control-allow-credentials"], "true");
        let headers = shown(&from, "*").expect("allowed");
        assert_eq!(headers["access-control-allow-origin"], "*");
        assert!(!headers.contains_key("access-control-allow-credentials"));
        assert!(shown(&from, "http://b.example").is_none());
    }

    #[test]
    fn a_preflight_is_for_the_method_that_it_names_and_other_requests_for_their_own() {
        let origin = ("origin", "http://a.example");
        assert!(shown(&request(Method::OPTIONS, &[origin]).expect("an origin"), "*").is_none());
        assert!(shown(&request(Method::GET, &[origin]).expect("an origin"), "*").is_some());
        assert!(shown(&request(Method::DELETE, &[origin]).expect("an origin"), "*").is_none());
        let named = request(Method::DELETE, &[origin, ("access-control-request-method", "GET")]).expect("an origin");
        assert!(shown(&named, "*").is_some());
    }
}
