//! What the OM is told of a request besides what it asks for: the facts that policies may look at. What they mean is not decided
//! here.

use gateway_core::copy_source::CopySource;
use gateway_core::dates::{parse_http_date, parse_iso_basic};
use gateway_core::form::Form;
use gateway_core::proxies::Client;
use gateway_core::tagging::TagSet;
use gateway_core::{RequestHead, S3Error, acl};
use om_api::{AuthType, RequestContext};
use types::Timestamp;

/// How a request that is known to be signed was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signing {
    auth_type: AuthType,
    version: &'static str,
    at: Option<Timestamp>,
}

const V4: &str = "AWS4-HMAC-SHA256";
const V2: &str = "AWS";

impl Signing {
    /// Of a head as it came: what a presigned URL carries may stand elsewhere afterwards.
    pub(crate) fn of(head: &RequestHead) -> Option<Self> {
        let query = head.query();
        if query.has("X-Amz-Signature") {
            let at = query.get("X-Amz-Date").and_then(parse_iso_basic);
            return Some(Self { auth_type: AuthType::Query, version: V4, at });
        }
        if query.has("Signature") && query.has("AWSAccessKeyId") {
            return Some(Self { auth_type: AuthType::Query, version: V2, at: None });
        }
        let text = |name: &str| head.header(name).ok().flatten();
        let version = if text("authorization")?.starts_with(V4) { V4 } else { V2 };
        let date = |text: &str| parse_iso_basic(text).or_else(|| parse_http_date(text));
        let at = text("x-amz-date").or_else(|| text("date")).and_then(|text| date(&text));
        Some(Self { auth_type: AuthType::Header, version, at })
    }

    fn of_form(form: &Form) -> Option<Self> {
        form.get("policy")?;
        let version = if form.get("x-amz-algorithm").is_some() { V4 } else { V2 };
        Some(Self { auth_type: AuthType::Form, version, at: form.get("x-amz-date").and_then(parse_iso_basic) })
    }
}

/// Of a request's head. An ACL that is none is an error here, since whatever the request is, it asked for one.
pub(crate) fn of(
    head: &RequestHead,
    client: Client,
    region: &str,
    signing: Option<Signing>,
    now: Timestamp,
) -> Result<RequestContext, S3Error> {
    let context = RequestContext {
        source: client.address,
        is_secure: client.is_secure,
        tls_version: client.tls.map(|tls| tls.version.to_owned()),
        region: Some(region.to_owned()),
        ..asked(head)?
    };
    Ok(signed(context, signing, now))
}

/// Of an upload by a form: what its fields ask for, and who sends it as the request `around` it says.
pub(crate) fn of_form(form: &Form, put: &RequestHead, around: RequestContext, now: Timestamp) -> Result<RequestContext, S3Error> {
    let mut context = asked(put)?;
    context.headers.extend(around.headers.into_iter().filter(|(name, _)| matches!(name.as_str(), "user-agent" | "referer")));
    let context = RequestContext {
        source: around.source,
        region: around.region,
        is_secure: around.is_secure,
        tls_version: around.tls_version,
        expected_owner: around.expected_owner.or(context.expected_owner),
        pays: around.pays || context.pays,
        is_form: true,
        request: around.request,
        ..context
    };
    Ok(signed(context, Signing::of_form(form), now))
}

fn signed(context: RequestContext, signing: Option<Signing>, now: Timestamp) -> RequestContext {
    RequestContext {
        auth_type: signing.as_ref().map(|signing| signing.auth_type),
        signature_version: signing.as_ref().map(|signing| signing.version.to_owned()),
        signature_age: signing.and_then(|signing| signing.at).map(|at| now.since(at)),
        ..context
    }
}

/// What a head asks for, besides its operation.
fn asked(head: &RequestHead) -> Result<RequestContext, S3Error> {
    let header = |name: &str| head.header(name).ok().flatten().map(|text| text.into_owned());
    let headers = RequestContext::HEADERS.iter().filter_map(|name| {
        let text = header(name)?;
        let text = if *name == "x-amz-copy-source" { plain_source(text, head) } else { text };
        Some(((*name).to_owned(), text))
    });
    let query = RequestContext::QUERY.iter().filter_map(|name| {
        let text = head.query().get(name)?;
        Some(((*name).to_owned(), text.to_owned()))
    });
    Ok(RequestContext {
        headers: headers.collect(),
        query: query.collect(),
        // Whoever stores them looks whether they are tags.
        tags: TagSet::of_header(head).ok().flatten().map(TagSet::into_inner).unwrap_or_default(),
        expected_owner: header("x-amz-expected-bucket-owner"),
        expected_source_owner: header("x-amz-source-expected-bucket-owner"),
        acl: acl::parse_headers(head)?,
        pays: pays(head),
        ..RequestContext::default()
    })
}

/// Whether the requester is ready to pay for the request.
pub(crate) fn pays(head: &RequestHead) -> bool {
    head.header("x-amz-request-payer").ok().flatten().is_some_and(|text| text == "requester")
}

/// The object as policies name it, however the header wrote it: a condition must not be passed by a slash or a percent sign.
fn plain_source(text: String, head: &RequestHead) -> String {
    let Ok(source) = CopySource::parse(&text, head.home()) else { return text };
    // As the policy of the bucket that is written means it: a name alone is one of its own volume, and no other tenant's.
    let (volume, name) = (source.bucket.volume(), source.bucket.name());
    let is_beside = head.bucket().is_ok_and(|written| written.volume() == volume);
    if is_beside { format!("{name}/{}", source.key.as_str()) } else { format!("{volume}:{name}/{}", source.key.as_str()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::proxies::Peer;
    use gateway_core::request::Addressing;
    use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
    use std::net::{IpAddr, SocketAddr};
    use types::{AclRequest, CannedAcl, Millis};

    fn facts(target: &str, headers: &[(&str, &str)], is_signed: bool) -> RequestContext {
        let mut map = HeaderMap::new();
        map.insert(header::HOST, HeaderValue::from_static("h"));
        for (name, value) in headers {
            map.append(HeaderName::try_from(*name).expect("a name"), HeaderValue::from_str(value).expect("a value"));
        }
        let uri = target.parse().expect("a target");
        let head = RequestHead::parse(Method::GET, &uri, map, &Addressing::default()).expect("well formed");
        let now = parse_iso_basic("20261105T123010Z").expect("a date");
        let signing = is_signed.then(|| Signing::of(&head)).flatten();
        of(&head, Client::direct(Peer { address: SocketAddr::from(([203, 0, 113, 7], 4711)), tls: None }), "eu-1", signing, now)
            .expect("legal")
    }

    fn value<'f>(pairs: &'f [(String, String)], name: &str) -> Option<&'f str> {
        pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn how_a_request_was_signed_and_when_is_told() {
        let authorization = ("authorization", "AWS4-HMAC-SHA256 Credential=…");
        let by_header = facts("/bkt/k", &[("authorization", "AWS4-HMAC-SHA256 …"), ("x-amz-date", "20261105T123000Z")], true);
        assert_eq!((by_header.auth_type, by_header.signature_version.as_deref()), (Some(AuthType::Header), Some(V4)));
        assert_eq!(by_header.signature_age, Some(Millis(10_000)));
        let by_old_header = facts("/bkt/k", &[("authorization", "AWS a:b"), ("date", "Thu, 05 Nov 2026 12:30:09 GMT")], true);
        assert_eq!((by_old_header.signature_version.as_deref(), by_old_header.signature_age), (Some(V2), Some(Millis(1000))));
        let by_url = facts("/bkt/k?X-Amz-Signature=a&X-Amz-Date=20261105T122010Z", &[], true);
        assert_eq!((by_url.auth_type, by_url.signature_age), (Some(AuthType::Query), Some(Millis(600_000))));
        let anonymous = facts("/bkt/k", &[authorization], false);
        assert_eq!((anonymous.auth_type, anonymous.signature_version), (None, None));
    }

    #[test]
    fn only_what_policies_may_ask_for_is_passed_on() {
        let facts = facts(
            "/bkt?prefix=a%2Fb&max-keys=5&list-type=2",
            &[
                ("user-agent", "cli"),
                ("cookie", "secret"),
                ("x-amz-server-side-encryption-customer-key", "secret"),
                ("x-amz-acl", "public-read"),
                ("x-amz-tagging", "a=b"),
                ("x-amz-expected-bucket-owner", "ada"),
            ],
            false,
        );
        assert_eq!((value(&facts.headers, "user-agent"), value(&facts.headers, "x-amz-acl")), (Some("cli"), Some("public-read")));
        assert!(!format!("{facts:?}").contains("secret"));
        assert_eq!((value(&facts.query, "prefix"), value(&facts.query, "max-keys")), (Some("a/b"), Some("5")));
        assert_eq!(facts.query.len(), 2);
        assert_eq!(facts.tags, [("a".to_owned(), "b".to_owned())]);
        assert_eq!(facts.acl, Some(AclRequest::Canned(CannedAcl::PublicRead)));
        assert_eq!(facts.expected_owner.as_deref(), Some("ada"));
        assert_eq!(facts.source, Some(IpAddr::from([203, 0, 113, 7])));
    }

    #[test]
    fn a_copy_s_source_has_one_spelling() {
        for text in ["/src/a%20b", "src/a b", "/src/a%20b?versionId=null", "src/%61%20b"] {
            let facts = facts("/bkt/k", &[("x-amz-copy-source", text)], false);
            assert_eq!(value(&facts.headers, "x-amz-copy-source"), Some("src/a b"), "{text}");
        }
    }
}
