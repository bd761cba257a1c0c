use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use proptest::prelude::*;

use super::*;
use crate::dates::parse_iso_basic;
use crate::error::{S3Error, S3ErrorCode};
use crate::request::{Addressing, RequestHead};

const ACCESS: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const REGION: &str = "us-east-1";
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

pub(super) fn at(text: &str) -> Timestamp {
    parse_iso_basic(text).expect("a time")
}

pub(super) fn head(method: &str, target: &str, headers: &[(&str, &str)]) -> RequestHead {
    let bytes: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    head_bytes(method, target, &bytes)
}

pub(super) fn head_bytes(method: &str, target: &str, headers: &[(&str, &[u8])]) -> RequestHead {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::try_from(*name).expect("a name"), HeaderValue::from_bytes(value).expect("a value"));
    }
    let uri: Uri = target.parse().expect("a target");
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    RequestHead::parse(method, &uri, map, &Addressing::new(["s3.amazonaws.com"])).expect("well formed")
}

/// All steps, as the gateway takes them.
fn authenticate(head: &RequestHead, now: Timestamp) -> Result<Verified, S3Error> {
    match parse(head, Accepts::V4)? {
        AuthRequest::Anonymous(_) => Err(S3ErrorCode::AccessDenied.into()),
        AuthRequest::SignedV2(_) => Err(S3ErrorCode::InternalError.into()),
        AuthRequest::Signed(signed) => {
            signed.check(head, now, REGION)?;
            signed.verify(head, &SigningKey::derive(SECRET, &signed.scope))
        }
    }
}

fn refusal(head: &RequestHead, now: Timestamp) -> S3ErrorCode {
    authenticate(head, now).expect_err("refused").code()
}

const DOC_DATE: &str = "20130524T000000Z";

fn documented_get() -> RequestHead {
    head(
        "GET",
        "/test.txt",
        &[
            ("host", "examplebucket.s3.amazonaws.com"),
            ("range", "bytes=0-9"),
            ("x-amz-content-sha256", EMPTY),
            ("x-amz-date", DOC_DATE),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
                 SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
                 Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
        ],
    )
}

fn with_header(mut head: RequestHead, name: &str, value: &str) -> RequestHead {
    head.headers.insert(HeaderName::try_from(name).expect("a name"), HeaderValue::from_str(value).expect("a value"));
    head
}

fn with_authorization(change: impl Fn(&str) -> String) -> RequestHead {
    let head = documented_get();
    let value = change(head.headers["authorization"].to_str().expect("text"));
    with_header(head, "authorization", &value)
}

#[test]
fn the_documented_requests_are_accepted() {
    assert!(authenticate(&documented_get(), at(DOC_DATE)).is_ok());
    let presigned = head(
        "GET",
        "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
         &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
         &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
        &[("host", "examplebucket.s3.amazonaws.com")],
    );
    assert!(authenticate(&presigned, at("20130524T235959Z")).is_ok());
    assert_eq!(refusal(&presigned, at("20130525T000001Z")), S3ErrorCode::AccessDenied);
}

#[test]
fn a_signature_is_good_for_its_request_alone() {
    let mut other = documented_get();
    other.method = Method::DELETE;
    assert_eq!(refusal(&other, at(DOC_DATE)), S3ErrorCode::SignatureDoesNotMatch);
    assert_eq!(refusal(&with_header(documented_get(), "range", "bytes=0-8"), at(DOC_DATE)), S3ErrorCode::SignatureDoesNotMatch);
    let mut other = documented_get();
    other.target = head("GET", "/other.txt", &[("host", "examplebucket.s3.amazonaws.com")]).target;
    assert_eq!(refusal(&other, at(DOC_DATE)), S3ErrorCode::SignatureDoesNotMatch);
    let mut other = documented_get();
    other.target = head("GET", "/test.txt?acl", &[("host", "examplebucket.s3.amazonaws.com")]).target;
    assert_eq!(refusal(&other, at(DOC_DATE)), S3ErrorCode::SignatureDoesNotMatch);
    for bad in ["0", "", &"0".repeat(64), &"zz".repeat(32)] {
        let head = with_authorization(|value| format!("{}Signature={bad}", value.split("Signature=").next().unwrap_or_default()));
        assert_eq!(refusal(&head, at(DOC_DATE)), S3ErrorCode::SignatureDoesNotMatch, "{bad}");
    }
}

#[test]
fn a_mismatch_shows_what_was_signed_but_no_signature() {
    let head = with_header(documented_get(), "range", "bytes=0-8");
    let error = authenticate(&head, at(DOC_DATE)).expect_err("another range");
    let shown = format!("{error:?}");
    assert!(shown.contains("AWS4-HMAC-SHA256\\n20130524T000000Z\\n20130524/us-east-1/s3/aws4_request\\n"), "{shown}");
    assert!(!shown.contains("f0e8bdb87c96"), "{shown}");
}

#[test]
fn an_authorization_header_that_says_something_else_is_refused_by_what_it_says() {
    for (value, code) in [
        ("", S3ErrorCode::AccessDenied),
        ("Bearer x", S3ErrorCode::InvalidArgument),
        ("HAHAHA", S3ErrorCode::InvalidArgument),
        ("AWS AKIAIOSFODNN7EXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg=", S3ErrorCode::InvalidRequest),
        ("AWS4-HMAC-SHA1 Credential=x", S3ErrorCode::InvalidRequest),
        ("AWS4-ECDSA-P256-SHA256 Credential=x", S3ErrorCode::InvalidRequest),
        ("AWS4-HMAC-SHA256", S3ErrorCode::AuthorizationHeaderMalformed),
        ("AWS4-HMAC-SHA256 Credential=a/20130524/us-east-1/s3/aws4_request", S3ErrorCode::AuthorizationHeaderMalformed),
    ] {
        assert_eq!(refusal(&with_header(documented_get(), "authorization", value), at(DOC_DATE)), code, "{value}");
    }
    for (from, to, code) in [
        ("Credential=", "Credentials=", S3ErrorCode::AuthorizationHeaderMalformed),
        ("/aws4_request", "/aws5_request", S3ErrorCode::AuthorizationHeaderMalformed),
        ("/s3/", "/iam/", S3ErrorCode::AuthorizationHeaderMalformed),
        ("us-east-1", "us-west-1", S3ErrorCode::AuthorizationHeaderMalformed),
        ("/20130524/", "/20130525/", S3ErrorCode::AuthorizationHeaderMalformed),
        ("/20130524/", "/2013-05-24/", S3ErrorCode::AuthorizationHeaderMalformed),
        ("AKIAIOSFODNN7EXAMPLE/", "/", S3ErrorCode::AuthorizationHeaderMalformed),
        ("host;range;x-amz-content-sha256;x-amz-date", "", S3ErrorCode::AuthorizationHeaderMalformed),
        (",Signature=", ",Signature=00,Signature=", S3ErrorCode::AuthorizationHeaderMalformed),
        ("host;", "", S3ErrorCode::AccessDenied),
        (";x-amz-date", "", S3ErrorCode::AccessDenied),
        ("host;", "host;host;", S3ErrorCode::SignatureDoesNotMatch),
        ("host;", "host;if-match;", S3ErrorCode::SignatureDoesNotMatch),
    ] {
        let head = with_authorization(|value| value.replace(from, to));
        assert_eq!(refusal(&head, at(DOC_DATE)), code, "{from} to {to}");
    }
    let error = authenticate(&with_authorization(|value| value.replace("us-east-1", "eu")), at(DOC_DATE)).expect_err("refused");
    assert_eq!(error.fields(), [("Region", REGION.to_owned())]);
}

#[test]
fn every_amz_header_is_under_the_signature() {
    for name in
        ["x-amz-copy-source", "x-amz-tagging", "x-amz-acl", "x-amz-object-lock-mode", "x-amz-meta-a", "x-amz-security-token"]
    {
        let error = authenticate(&with_header(documented_get(), name, "v"), at(DOC_DATE)).expect_err("not signed");
        assert_eq!((error.code(), error.fields()), (S3ErrorCode::AccessDenied, &[("HeadersNotSigned", name.to_owned())][..]));
    }
    // A header that S3 gives no meaning may be added on the way.
    assert!(authenticate(&with_header(documented_get(), "x-forwarded-for", "::1"), at(DOC_DATE)).is_ok());
}

#[test]
fn a_signed_header_that_comes_twice_with_two_meanings_is_refused() {
    let mut head = documented_get();
    head.headers.append("range", HeaderValue::from_static("bytes=5-6"));
    assert_eq!(refusal(&head, at(DOC_DATE)), S3ErrorCode::SignatureDoesNotMatch);
}

#[test]
fn a_request_is_good_for_a_quarter_of_an_hour_either_way() {
    for (now, good) in
        [("20130524T001500Z", true), ("20130523T234500Z", true), ("20130524T001501Z", false), ("20130523T234459Z", false)]
    {
        let outcome = authenticate(&documented_get(), at(now)).map_err(|error| error.code());
        assert_eq!(outcome.is_ok(), good, "{now}");
        if !good {
            assert_eq!(outcome.expect_err("skewed"), S3ErrorCode::RequestTimeTooSkewed);
        }
    }
    let mut undated = documented_get();
    undated.headers.remove("x-amz-date");
    assert_eq!(refusal(&undated, at(DOC_DATE)), S3ErrorCode::AccessDenied);
    for bad in ["", "now", "2013-05-24T00:00:00Z"] {
        assert_eq!(refusal(&with_header(documented_get(), "x-amz-date", bad), at(DOC_DATE)), S3ErrorCode::AccessDenied, "{bad}");
    }
}

#[test]
fn the_payload_mode_is_a_known_word_or_a_hash() {
    let mut absent = documented_get();
    absent.headers.remove("x-amz-content-sha256");
    assert_eq!(refusal(&absent, at(DOC_DATE)), S3ErrorCode::InvalidRequest);
    for bad in ["", "STREAMING", "unsigned-payload", "00", &"g".repeat(64)] {
        let head = with_header(documented_get(), "x-amz-content-sha256", bad);
        assert_eq!(refusal(&head, at(DOC_DATE)), S3ErrorCode::InvalidArgument, "{bad}");
    }
    // CVE-2025-31489: a known word does not make the signature optional.
    for word in ["UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"] {
        let head = with_header(documented_get(), "x-amz-content-sha256", word);
        assert_eq!(refusal(&head, at(DOC_DATE)), S3ErrorCode::SignatureDoesNotMatch, "{word}");
    }
    let host = ("host", "examplebucket.s3.amazonaws.com");
    let anonymous =
        |value: &str| parse(&head("PUT", "/k", &[host, ("x-amz-content-sha256", value)]), Accepts::V4).map_err(|e| e.code());
    assert_eq!(anonymous("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), Err(S3ErrorCode::InvalidRequest));
    assert_eq!(anonymous("STREAMING-UNSIGNED-PAYLOAD-TRAILER"), Ok(AuthRequest::Anonymous(PayloadMode::StreamingUnsigned)));
    assert_eq!(parse(&head("PUT", "/k", &[host]), Accepts::V4).expect("anonymous").payload(), PayloadMode::Unsigned);
}

fn presigned(parameters: &str, headers: &[(&str, &str)]) -> RequestHead {
    let mut all = vec![("host", "examplebucket.s3.amazonaws.com")];
    all.extend_from_slice(headers);
    head("PUT", &format!("/k?{parameters}"), &all)
}

const PRESIGNED: &str = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&\
                         X-Amz-Date=20130524T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00";

#[test]
fn presigned_parameters_are_all_there_once_and_well_formed() {
    for (from, to) in [
        ("X-Amz-Expires=60", "X-Amz-Expires="),
        ("X-Amz-Expires=60", "X-Amz-Expires=text"),
        ("X-Amz-Expires=60", "X-Amz-Expires=-7"),
        ("X-Amz-Expires=60", "X-Amz-Expires=604801"),
        ("X-Amz-Expires=60", "X-Amz-Expires=2147483648"),
        ("X-Amz-Expires=60", "X-Amz-Expires=9223372036854775808"),
        ("X-Amz-Expires=60", "X-Amz-Expires=1e9"),
        ("X-Amz-Expires=60", "X-Amz-Expires=%2B10"),
        ("X-Amz-Expires=60&", ""),
        ("X-Amz-Date=20130524T000000Z", "X-Amz-Date=yesterday"),
        ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"),
        ("aws4_request", "aws5_request"),
        ("us-east-1", "us-west-1"),
        ("%2F20130524", "%2F20130525"),
        ("X-Amz-Signature=00", "X-Amz-Signature=00&X-Amz-Signature=00"),
        ("X-Amz-Signature=00", "X-Amz-Signature=00&x-amz-signature=00"),
        ("X-Amz-Date=", "X-Amz-Expires=1&X-Amz-Date="),
        ("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders="),
    ] {
        let head = presigned(&PRESIGNED.replace(from, to), &[]);
        assert_eq!(refusal(&head, at(DOC_DATE)), S3ErrorCode::AuthorizationQueryParametersError, "{from} to {to}");
    }
}

#[test]
fn presigned_urls_have_their_time_and_cannot_be_bent() {
    for (now, message) in [("20130524T000101Z", "Request has expired"), ("20130523T234459Z", "Request is not valid yet")] {
        let error = authenticate(&presigned(PRESIGNED, &[]), at(now)).expect_err("out of time");
        assert_eq!((error.code(), error.message()), (S3ErrorCode::AccessDenied, message));
    }
    let no_time = presigned(&PRESIGNED.replace("Expires=60", "Expires=0"), &[]);
    assert_eq!(refusal(&no_time, at(DOC_DATE)), S3ErrorCode::AccessDenied);
    // A header that would make the PUT a copy, or anything else than it was signed for.
    for name in ["x-amz-copy-source", "x-amz-tagging", "x-amz-acl", "x-amz-object-lock-mode", "x-amz-content-sha256"] {
        let value = if name == "x-amz-content-sha256" { EMPTY } else { "v" };
        let error = authenticate(&presigned(PRESIGNED, &[(name, value)]), at(DOC_DATE)).expect_err("not signed");
        assert_eq!((error.code(), error.fields()), (S3ErrorCode::AccessDenied, &[("HeadersNotSigned", name.to_owned())][..]));
    }
    // CVE-2026-40344, CVE-2026-41145.
    let chunked = presigned(PRESIGNED, &[("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")]);
    assert_eq!(refusal(&chunked, at(DOC_DATE)), S3ErrorCode::InvalidRequest);
    assert_eq!(
        refusal(&presigned(PRESIGNED, &[("authorization", "AWS4-HMAC-SHA256 x")]), at(DOC_DATE)),
        S3ErrorCode::InvalidArgument
    );
    let v2 = presigned("AWSAccessKeyId=a&Signature=b&Expires=1", &[]);
    assert_eq!(refusal(&v2, at(DOC_DATE)), S3ErrorCode::InvalidRequest);
}

/// Signs as the AWS SDK for Rust does and gives back what it puts on the wire.
fn sdk_signed(method: &str, target: &str, headers: &[(&str, &str)], location: SignatureLocation) -> RequestHead {
    let identity = Credentials::new(ACCESS, SECRET, None, None, "test").into();
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings.signature_location = location;
    settings.expires_in = (location == SignatureLocation::QueryParams).then_some(Duration::from_secs(60));
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(at(DOC_DATE).0);
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(REGION)
        .name("s3")
        .time(time)
        .settings(settings)
        .build()
        .expect("complete")
        .into();
    let uri = format!("http://bucket.s3.amazonaws.com{target}");
    let request =
        SignableRequest::new(method, &uri, headers.iter().copied(), SignableBody::UnsignedPayload).expect("a signable request");
    let (instructions, _) = sign(request, &params).expect("signs").into_parts();
    let (signed_headers, query) = instructions.into_parts();
    let mut all: Vec<(String, String)> = vec![("host".into(), "bucket.s3.amazonaws.com".into())];
    all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    all.extend(signed_headers.iter().map(|header| (header.name().to_owned(), header.value().to_owned())));
    let mut target = target.to_owned();
    for (name, value) in query {
        target.push(if target.contains('?') { '&' } else { '?' });
        let value = crate::encoding::percent_encode(value.as_bytes(), crate::encoding::Slash::Encoded);
        target.push_str(&format!("{name}={value}"));
    }
    let all: Vec<(&str, &str)> = all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    head(method, &target, &all)
}

#[test]
fn a_lone_rfc_1123_date_is_enough() {
    let scope = Scope::s3("20130524", REGION);
    let host = ("host", "bucket.s3.amazonaws.com");
    for date in ["Fri, 24 May 2013 00:00:00 -0000", "Fri, 24 May 2013 00:00:00 GMT", DOC_DATE] {
        let unsigned = |signature: &str| {
            let value = format!(
                "AWS4-HMAC-SHA256 Credential={ACCESS}/{scope}, SignedHeaders=date;host;x-amz-content-sha256, Signature={signature}"
            );
            head("GET", "/k", &[host, ("date", date), ("x-amz-content-sha256", EMPTY), ("authorization", &value)])
        };
        let AuthRequest::Signed(claim) = parse(&unsigned(""), Accepts::V4).expect("parses") else { panic!("signed") };
        let text = string_to_sign(&claim, canonical_request(&unsigned(""), &claim));
        let signature = SigningKey::derive(SECRET, &scope).sign(&text).to_hex();
        assert!(authenticate(&unsigned(&signature), at(DOC_DATE)).is_ok(), "{date}");
    }
}

#[test]
fn latin1_bytes_count_raw_or_as_the_text_that_they_are() {
    let key = SigningKey::derive(SECRET, &Scope::s3("20130524", REGION));
    let build = |signature: &str, value: &[u8]| {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={ACCESS}/20130524/us-east-1/s3/aws4_request, \
             SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-meta-name, Signature={signature}"
        );
        let headers: &[(&str, &[u8])] = &[
            ("host", b"bucket.s3.amazonaws.com"),
            ("x-amz-content-sha256", EMPTY.as_bytes()),
            ("x-amz-date", DOC_DATE.as_bytes()),
            ("x-amz-meta-name", value),
            ("authorization", authorization.as_bytes()),
        ];
        head_bytes("PUT", "/k", headers)
    };
    let AuthRequest::Signed(claim) = parse(&build("", b"\xe9"), Accepts::V4).expect("parses") else { panic!("signed") };
    for signed_as in [&b"\xe9"[..], "é".as_bytes()] {
        let mut canonical = b"PUT\n/k\n\nhost:bucket.s3.amazonaws.com\nx-amz-content-sha256:".to_vec();
        canonical.extend_from_slice(format!("{EMPTY}\nx-amz-date:{DOC_DATE}\nx-amz-meta-name:").as_bytes());
        canonical.extend_from_slice(signed_as);
        canonical.extend_from_slice(format!("\n\nhost;x-amz-content-sha256;x-amz-date;x-amz-meta-name\n{EMPTY}").as_bytes());
        let signature = key.sign(&string_to_sign(&claim, canonical)).to_hex();
        assert!(authenticate(&build(&signature, b"\xe9"), at(DOC_DATE)).is_ok());
        assert_eq!(refusal(&build(&signature, b"\xe8"), at(DOC_DATE)), S3ErrorCode::SignatureDoesNotMatch);
    }
}

#[test]
fn our_keys_are_those_of_the_sdk() {
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(at(DOC_DATE).0);
    let theirs = v4::generate_signing_key(SECRET, time, REGION, "s3");
    assert_eq!(SigningKey::derive(SECRET, &Scope::s3("20130524", REGION)).as_bytes(), theirs.as_ref());
}

proptest! {
    #[test]
    fn what_the_sdk_signs_is_accepted(
        key in "[a-zA-Z0-9 _.~/()!*'+&=%é-]{1,20}",
        parameter in "[a-zA-Z0-9 /+&=%é~-]{0,10}",
        value in "[a-zA-Z0-9 ;,=]{0,12}",
        in_query: bool,
    ) {
        let encode = |text: &str, slash| crate::encoding::percent_encode(text.as_bytes(), slash);
        let path = encode(&key, crate::encoding::Slash::Kept);
        let target = format!("/{path}?prefix={}&acl", encode(&parameter, crate::encoding::Slash::Encoded));
        let location = if in_query { SignatureLocation::QueryParams } else { SignatureLocation::Headers };
        let headers = [("x-amz-meta-a", value.trim())];
        let head = sdk_signed("PUT", &target, &headers, location);
        prop_assert!(authenticate(&head, at(DOC_DATE)).is_ok(), "{:?}", authenticate(&head, at(DOC_DATE)));
    }

    #[test]
    fn no_header_or_query_makes_the_parser_panic(authorization in "(AWS4-HMAC-SHA256 |AWS )?[ -~]{0,60}", query in "((X-Amz-[A-Z][a-z]{0,8}|AWSAccessKeyId|Expires|Signature)=[ -~&&[^#<>\"`{}\\\\^| ]]{0,9}&){0,6}") {
        let host = ("host", "h");
        let _ = parse(&head("GET", "/bucket/k", &[host, ("authorization", &authorization), ("x-amz-date", &authorization)]), Accepts::V4AndV2);
        if let Ok(uri) = format!("/bucket/k?{query}").parse::<Uri>() {
            let mut headers = HeaderMap::new();
            headers.insert("host", HeaderValue::from_static("h"));
            if let Ok(head) = RequestHead::parse(Method::GET, &uri, headers, &Addressing::default()) {
                let _ = parse(&head, Accepts::V4AndV2);
            }
        }
    }
}
