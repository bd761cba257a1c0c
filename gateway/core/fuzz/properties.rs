//! What must hold for any bytes that a stranger sends: nothing panics, and what was understood is understood alike when it is
//! written anew or comes in other pieces.
#![allow(dead_code, reason = "each fuzz target runs one of them")]

use bucket_config as config;
use bytes::Bytes;
use gateway_core::auth::{self, Accepts, AuthRequest, PayloadMode, Scope, SigningKey, Verified};
use gateway_core::dispatch::dispatch;
use gateway_core::encoding::{Slash, percent_encode};
use gateway_core::form::{Form, FormDecoder, FormSignature, Policy, Posted, SuccessAction};
use gateway_core::payload::{EtagDigest, PayloadPlan};
use gateway_core::request::{AddressStyle, Addressing, Query, RequestTarget};
use gateway_core::tagging::TagSet;
use gateway_core::xml::configs::{ConfigXml, parse_config, show_config};
use gateway_core::xml::{CompleteMultipartUpload, CreateBucketConfiguration, DeleteObjects, parse_versioning};
use gateway_core::{RequestHead, S3Error, S3ErrorCode, lock};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use types::{BucketName, BucketPath, Timestamp, VolumeName};

const NOW: Timestamp = Timestamp(1_782_864_000_000);

fn head(method: Method, target: &Uri, headers: &[(&str, &[u8])]) -> Option<RequestHead> {
    let mut map = HeaderMap::new();
    map.insert("host", HeaderValue::from_static("h"));
    for (name, value) in headers {
        map.insert(HeaderName::try_from(*name).ok()?, HeaderValue::from_bytes(value).ok()?);
    }
    RequestHead::parse(method, target, map, &Addressing::default()).ok()
}

/// A target as it stands in a request line, and behind a line break the value of an `Authorization` header.
pub(crate) fn uri_query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (target, authorization) = text.split_once('\n').unwrap_or((text, ""));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    for (style, host) in [(AddressStyle::Path, None), (AddressStyle::VirtualHost, Some("bucket"))] {
        if let Ok(parsed) = RequestTarget::parse(path, query, style, host) {
            a_target_written_anew_is_the_same(&parsed);
        }
    }
    let Ok(uri) = target.parse::<Uri>() else { return };
    for method in [Method::GET, Method::PUT, Method::POST, Method::DELETE] {
        let signed = [("authorization", authorization.as_bytes()), ("date", b"Wed, 01 Jul 2026 00:00:00 GMT")];
        let headers = if authorization.is_empty() { &signed[..0] } else { &signed[..] };
        let Some(mut head) = head(method, &uri, headers) else { return };
        match auth::parse(&head, Accepts::V4AndV2) {
            Ok(AuthRequest::Signed(signed)) => {
                let _ = signed.check(&head, NOW, "us-east-1");
                let _ = signed.verify(&head, &SigningKey::from_bytes([7; 32]));
            }
            Ok(AuthRequest::SignedV2(signed)) => {
                let _ = signed.check(NOW);
                if let Ok(texts) = signed.strings_to_sign(&head) {
                    assert!((1..=16).contains(&texts.len()), "{} texts", texts.len());
                }
            }
            Ok(AuthRequest::Anonymous(_)) | Err(_) => {}
        }
        let _ = head.adopt_headers_of_query();
        let _ = dispatch(&head);
    }
}

fn a_target_written_anew_is_the_same(parsed: &RequestTarget) {
    if let Some(key) = &parsed.key {
        let path = format!("/bucket/{}", percent_encode(key.as_str().as_bytes(), Slash::Kept));
        let again = RequestTarget::parse(&path, "", AddressStyle::Path, None).expect("a key is a legal path");
        assert_eq!(again.key.as_ref(), Some(key));
    }
    let encode = |text: &str| percent_encode(text.as_bytes(), Slash::Encoded);
    let pairs = parsed.query.pairs().iter().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    let again = Query::parse(&pairs.collect::<Vec<_>>().join("&")).expect("a query is a legal one");
    assert_eq!(again, parsed.query);
}

/// Bytes as they come from a connection.
type Pieces<'d> = Vec<&'d [u8]>;

/// A number, and the bytes behind the first two: at once, and in pieces of the length that the first of them says.
fn pieces(data: &[u8]) -> Option<(u8, [Pieces<'_>; 2])> {
    let [step, number, body @ ..] = data else { return None };
    Some((*number, [vec![body], body.chunks(usize::from(*step).max(1)).collect()]))
}

/// The number says how the body is signed.
pub(crate) fn chunk_decoder(data: &[u8]) {
    let Some((number, ways)) = pieces(data) else { return };
    let [at_once, in_pieces] = ways.map(|pieces| match number % 3 {
        0 => decoded(PayloadMode::StreamingUnsigned, None, &pieces),
        1 => decoded(PayloadMode::StreamingUnsigned, Some("x-amz-checksum-crc32c"), &pieces),
        _ => decoded(PayloadMode::StreamingSigned { trailer: false }, None, &pieces),
    });
    assert_eq!(at_once, in_pieces);
}

fn decoded(
    mode: PayloadMode,
    trailer: Option<&str>,
    pieces: &[&[u8]],
) -> Result<(Vec<u8>, Option<types::Checksum>), S3ErrorCode> {
    let length = if matches!(mode, PayloadMode::StreamingSigned { .. }) { "66560" } else { "5" };
    let mut headers = vec![("x-amz-decoded-content-length", length.as_bytes()), ("transfer-encoding", b"chunked")];
    headers.extend(trailer.map(|name| ("x-amz-trailer", name.as_bytes())));
    let head = head(Method::PUT, &Uri::from_static("/bucket/key"), &headers).expect("a good head");
    let plan = PayloadPlan::parse(&head, mode).expect("a good plan");
    let mut decoder = plan.start(Some(&documented()), EtagDigest::Wanted, u64::MAX).expect("a good start");
    let mut out = Vec::new();
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        decoder.push(Bytes::copy_from_slice(piece));
        while let Some(data) = decoder.pull().map_err(|error| error.code())? {
            out.extend_from_slice(&data);
            assert!(out.len() <= 66560, "more than was announced");
        }
    }
    decoder.finish().map(|summary| (out, summary.checksum)).map_err(|error| error.code())
}

/// The request that S3's documentation signs for chunks.
fn documented() -> Verified {
    let authorization = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
         SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;\
         x-amz-storage-class,Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("host", "s3.amazonaws.com"),
        ("x-amz-date", "20130524T000000Z"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "66560"),
        ("content-length", "66824"),
        ("authorization", authorization),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let uri = Uri::from_static("/examplebucket/chunkObject.txt");
    let head = RequestHead::parse(Method::PUT, &uri, headers, &Addressing::default()).expect("well formed");
    let Ok(AuthRequest::Signed(signed)) = auth::parse(&head, Accepts::V4) else { panic!("it is signed") };
    let key = SigningKey::derive("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", &Scope::s3("20130524", "us-east-1"));
    signed.verify(&head, &key).expect("the documentation is right")
}

pub(crate) fn xml_bodies(data: &[u8]) {
    if let Ok(request) = DeleteObjects::parse(data) {
        assert!((1..=1000).contains(&request.objects.len()));
        request.objects.iter().for_each(|object| {
            let _ = object.resolve();
        });
    }
    let _ = CompleteMultipartUpload::parse(data);
    let _ = CreateBucketConfiguration::parse(data);
    let _ = parse_versioning(data);
    let _ = lock::parse_configuration(data);
    let _ = lock::parse_retention(data);
    let _ = lock::parse_legal_hold(data);
    if let Ok(tags) = TagSet::parse_xml(data) {
        assert_eq!(TagSet::parse_xml(tags.to_xml().as_bytes()), Ok(tags));
    }
    a_document_shown_is_the_same::<config::CorsConfiguration>(data);
    a_document_shown_is_the_same::<config::LifecycleConfiguration>(data);
    a_document_shown_is_the_same::<config::EncryptionConfiguration>(data);
    a_document_shown_is_the_same::<config::WebsiteConfiguration>(data);
    a_document_shown_is_the_same::<config::NotificationConfiguration>(data);
    a_document_shown_is_the_same::<config::LoggingConfiguration>(data);
    a_document_shown_is_the_same::<config::BucketTags>(data);
    a_document_shown_is_the_same::<config::RequestPayment>(data);
    a_document_shown_is_the_same::<config::PublicAccessBlock>(data);
    a_document_shown_is_the_same::<config::OwnershipControls>(data);
    a_document_shown_is_the_same::<config::Acceleration>(data);
}

fn a_document_shown_is_the_same<D: ConfigXml + PartialEq + std::fmt::Debug>(data: &[u8]) {
    let Ok(Some(document)) = parse_config::<D>(data) else { return };
    let shown = show_config(Some(&document)).expect("what is set can be shown");
    assert_eq!(parse_config::<D>(shown.as_bytes()), Ok(Some(document)), "{shown}");
}

/// A form whose boundary is `b`.
pub(crate) fn post_form(data: &[u8]) {
    let Some((_, ways)) = pieces(data) else { return };
    let [at_once, piece_by_piece] = ways.map(|pieces| taken_apart(&pieces).map_err(|error| error.code()));
    match (&at_once, &piece_by_piece) {
        (Ok(one), Ok(other)) => assert_eq!(one, other),
        // Which of two faults is met first may depend on the pieces; that there is one may not.
        (Err(_), Err(_)) => {}
        _ => panic!("{at_once:?} at once, {piece_by_piece:?} in pieces"),
    }
    let Ok((form, _)) = at_once else { return };
    let bucket = BucketPath::of_s3v(BucketName::parse("bucket").expect("a name"));
    let posted_to = Posted { bucket: &bucket, home: VolumeName::s3v_ref() };
    for accepts in [Accepts::V4, Accepts::V4AndV2] {
        if let Ok(FormSignature::V4(signed)) = FormSignature::parse(&form, accepts) {
            let _ = signed.check(NOW, "us-east-1");
            let _ = signed.verify(&SigningKey::from_bytes([7; 32]));
        }
    }
    if let Some(policy) = form.get("policy")
        && let Ok(policy) = Policy::parse(policy)
    {
        let _ = policy.check(&form, &posted_to, NOW);
    }
    let _ = SuccessAction::of(&form);
    let posted = form_head();
    if let Ok(put) = form.to_put(&posted) {
        assert_eq!(put.key(), form.key());
        assert!(!put.has_header("authorization"));
    }
}

fn form_head() -> RequestHead {
    head(Method::POST, &Uri::from_static("/bucket"), &[("content-type", b"multipart/form-data; boundary=b")])
        .expect("a good head")
}

/// The fields and the file.
fn taken_apart(pieces: &[&[u8]]) -> Result<(Form, Vec<u8>), S3Error> {
    let malformed = || S3Error::new(S3ErrorCode::MalformedPOSTRequest);
    let mut decoder = FormDecoder::new(&form_head())?;
    let mut pieces = pieces.iter();
    let (form, mut file) = loop {
        decoder.push(pieces.next().ok_or_else(malformed)?);
        decoder = match decoder.form()? {
            Ok(complete) => break complete,
            Err(again) => again,
        };
    };
    let mut bytes = Vec::new();
    loop {
        while let Some(data) = file.pull()? {
            bytes.extend_from_slice(&data);
        }
        match pieces.next() {
            Some(piece) if !file.is_at_end() => file.push(Bytes::copy_from_slice(piece)),
            _ => return file.finish().map(|()| (form, bytes)),
        }
    }
}
