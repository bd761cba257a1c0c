use aws_lc_rs::hmac;

use super::*;
use crate::auth::tests::{at, head, head_bytes};
use crate::auth::{Accepts, AuthRequest, parse};
use crate::dates::parse_http_date;
use crate::encoding::{Slash, base64_encode, percent_encode};
use crate::error::{S3Error, S3ErrorCode};
use crate::request::RequestHead;

const ACCESS: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

fn sign(text: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET.as_bytes());
    base64_encode(hmac::sign(&key, text).as_ref())
}

/// All steps, as the gateway and the OM take them.
fn authenticate(head: &RequestHead, now: Timestamp) -> Result<(), S3Error> {
    let AuthRequest::SignedV2(signed) = parse(head, Accepts::V4AndV2)? else { return Err(S3ErrorCode::AccessDenied.into()) };
    signed.check(now)?;
    let texts = signed.strings_to_sign(head)?;
    let is_right = texts.iter().any(|text| signed.signature == SignatureV2::parse(&sign(text)));
    if is_right { Ok(()) } else { Err(signed.mismatch(head)) }
}

fn refusal(head: &RequestHead, now: Timestamp) -> S3ErrorCode {
    authenticate(head, now).expect_err("refused").code()
}

/// Signs a text that was written down by hand, and sends it with these headers.
fn signed_by_hand(method: &str, target: &str, headers: &[(&str, &str)], text: &str) -> RequestHead {
    let authorization = format!("AWS {ACCESS}:{}", sign(text.as_bytes()));
    let mut all = headers.to_vec();
    all.push(("authorization", &authorization));
    head(method, target, &all)
}

const DATE: &str = "Tue, 27 Mar 2007 21:20:26 +0000";

fn on(date: &str) -> Timestamp {
    parse_http_date(date).expect("a date")
}

#[test]
fn the_documented_requests_are_accepted() {
    let hosted = "johnsmith.s3.amazonaws.com";
    for (method, target, host, date, more, signature) in [
        ("GET", "/photos/puppy.jpg", hosted, "Tue, 27 Mar 2007 19:36:42 +0000", &[][..], "bWq2s1WEIj+Ydj0vQ697zp+IXMU="),
        (
            "PUT",
            "/photos/puppy.jpg",
            hosted,
            "Tue, 27 Mar 2007 21:15:45 +0000",
            &[("content-type", "image/jpeg"), ("content-length", "94328")],
            "MyyxeRY7whkBe+bq8fHCL/2kKUg=",
        ),
        (
            "GET",
            "/?prefix=photos&max-keys=50&marker=puppy",
            hosted,
            "Tue, 27 Mar 2007 19:42:41 +0000",
            &[],
            "htDYFYduRNen8P9ZfE/s9SuKy0U=",
        ),
        ("GET", "/?acl", hosted, "Tue, 27 Mar 2007 19:44:46 +0000", &[], "c2WLPFtWHVgbEmeEG93a4cG37dM="),
        (
            "PUT",
            "/static.johnsmith.net/db-backup.dat.gz",
            "s3.amazonaws.com:8080",
            "Tue, 27 Mar 2007 21:06:08 +0000",
            &[
                ("x-amz-acl", "public-read"),
                ("content-type", "application/x-download"),
                ("content-md5", "4gJE4saaMU4BqNR0kLY+lw=="),
                ("X-Amz-Meta-ReviewedBy", "joe@johnsmith.net"),
                ("X-Amz-Meta-ReviewedBy", "jane@johnsmith.net"),
                ("X-Amz-Meta-FileChecksum", "0x02661779"),
                ("X-Amz-Meta-ChecksumAlgorithm", "crc32"),
                ("content-encoding", "gzip"),
            ],
            "ilyl83RwaSoYIEdixDQcA4OnAnc=",
        ),
        ("GET", "/", "s3.amazonaws.com", "Wed, 28 Mar 2007 01:29:59 +0000", &[], "qGdzdERIC03wnaRNKh6OqZehG9s="),
        (
            "GET",
            "/dictionary/fran%C3%A7ais/pr%c3%a9f%c3%a8re",
            "s3.amazonaws.com",
            "Wed, 28 Mar 2007 01:49:49 +0000",
            &[],
            "DNEZGsoieTZ92F3bUfSPQcbGmlM=",
        ),
    ] {
        let authorization = format!("AWS {ACCESS}:{signature}");
        let mut headers = vec![("host", host), ("date", date), ("authorization", &authorization)];
        headers.extend_from_slice(more);
        assert_eq!(authenticate(&head(method, target, &headers), on(date)), Ok(()), "{method} {target}");
        let other = if method == "GET" { "HEAD" } else { "GET" };
        assert_eq!(refusal(&head(other, target, &headers), on(date)), S3ErrorCode::SignatureDoesNotMatch, "{method} {target}");
    }
    let url =
        "/photos/puppy.jpg?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&Expires=1175139620";
    let presigned = head("GET", url, &[("host", hosted)]);
    assert_eq!(authenticate(&presigned, Timestamp(1_175_139_620_000)), Ok(()));
    assert_eq!(refusal(&presigned, Timestamp(1_175_139_621_000)), S3ErrorCode::AccessDenied);
}

#[test]
fn a_date_of_ours_stands_for_the_date() {
    let headers = [("host", "h"), ("date", "Tue, 27 Mar 2007 23:59:59 +0000"), ("x-amz-date", DATE)];
    let text = format!("DELETE\n\n\n\nx-amz-date:{DATE}\n/bkt/k");
    assert_eq!(authenticate(&signed_by_hand("DELETE", "/bkt/k", &headers, &text), on(DATE)), Ok(()));
}

#[test]
fn a_lone_bucket_may_be_signed_with_a_slash_behind_it() {
    let headers = [("host", "h"), ("date", DATE)];
    for resource in ["/bucket", "/bucket/"] {
        let text = format!("PUT\n\n\n{DATE}\n{resource}");
        assert_eq!(authenticate(&signed_by_hand("PUT", "/bucket", &headers, &text), on(DATE)), Ok(()), "{resource}");
        let of_key = signed_by_hand("PUT", "/bucket/k", &headers, &text);
        assert_eq!(refusal(&of_key, on(DATE)), S3ErrorCode::SignatureDoesNotMatch);
    }
}

#[test]
fn what_chooses_the_operation_is_signed_in_the_order_of_names() {
    let headers = [("host", "h"), ("date", DATE)];
    for (target, signed) in [
        ("/bkt/k?uploadId=u&partNumber=1&x-id=UploadPart", "/bkt/k?partNumber=1&uploadId=u"),
        ("/bkt/k?response-content-type=text%2Fplain&acl", "/bkt/k?acl&response-content-type=text/plain"),
        ("/bkt/k?response-content-type=text%2Fplain&acl", "/bkt/k?acl&response-content-type=text%2Fplain"),
        ("/bkt?delete=", "/bkt/?delete="),
        ("/bkt?list-type=2&prefix=a", "/bkt"),
        ("/bkt?encryption", "/bkt?encryption"),
    ] {
        let text = format!("GET\n\n\n{DATE}\n{signed}");
        assert_eq!(authenticate(&signed_by_hand("GET", target, &headers, &text), on(DATE)), Ok(()), "{target}");
    }
    // What was not signed, in whatever way it is written, or another value of it.
    for target in ["/bkt/k?acl", "/bkt/k?%61cl", "/bkt/k?tagging=", "/bkt/k?versionId=1", "/bkt/k?x-amz-acl=public-read"] {
        let text = format!("GET\n\n\n{DATE}\n/bkt/k");
        let added = signed_by_hand("GET", target, &headers, &text);
        assert_eq!(refusal(&added, on(DATE)), S3ErrorCode::SignatureDoesNotMatch, "{target}");
    }
}

#[test]
fn every_amz_header_is_under_the_signature() {
    let text = format!("PUT\n\n\n{DATE}\nx-amz-meta-a:b\n/bkt/k");
    let headers = [("host", "h"), ("date", DATE), ("x-amz-meta-a", " b ")];
    assert_eq!(authenticate(&signed_by_hand("PUT", "/bkt/k", &headers, &text), on(DATE)), Ok(()));
    for more in [("x-amz-acl", "public-read"), ("x-amz-meta-a", "c"), ("content-type", "text/html")] {
        let added = [&headers[..], &[more]].concat();
        assert_eq!(refusal(&signed_by_hand("PUT", "/bkt/k", &added, &text), on(DATE)), S3ErrorCode::SignatureDoesNotMatch);
    }
}

#[test]
fn latin1_bytes_count_raw_or_as_the_text_that_they_are() {
    for signed_as in [&b"\xe9"[..], "é".as_bytes()] {
        let text = [format!("PUT\n\n\n{DATE}\nx-amz-meta-name:").as_bytes(), signed_as, b"\n/bkt/k"].concat();
        let authorization = format!("AWS {ACCESS}:{}", sign(&text));
        let sent = |value: &'static [u8]| {
            let headers: [(&str, &[u8]); 4] = [
                ("host", b"h"),
                ("date", DATE.as_bytes()),
                ("x-amz-meta-name", value),
                ("authorization", authorization.as_bytes()),
            ];
            head_bytes("PUT", "/bkt/k", &headers)
        };
        assert_eq!(authenticate(&sent(b"\xe9"), on(DATE)), Ok(()));
        assert_eq!(refusal(&sent(b"\xe8"), on(DATE)), S3ErrorCode::SignatureDoesNotMatch);
    }
}

/// As botocore presigns: what it has headers for goes into the URL.
fn presigned(method: &str, parameters: &str, text: &str) -> RequestHead {
    let signature = percent_encode(sign(text.as_bytes()).as_bytes(), Slash::Encoded);
    let target = format!("/bkt/k?{parameters}AWSAccessKeyId={ACCESS}&Signature={signature}&Expires=1175139620");
    head(method, &target, &[("host", "h")])
}

const BEFORE: Timestamp = Timestamp(1_175_139_000_000);

#[test]
fn a_url_carries_headers_that_count_once_it_is_verified() {
    let parameters = "content-type=text%2Fplain&x-amz-acl=private&versionId=7&";
    let mut url = presigned("PUT", parameters, "PUT\n\ntext/plain\n1175139620\nx-amz-acl:private\n/bkt/k?versionId=7");
    assert_eq!(authenticate(&url, BEFORE), Ok(()));
    url.adopt_headers_of_query().expect("good headers");
    assert_eq!(
        (&url.headers["content-type"], &url.headers["x-amz-acl"]),
        (&"text/plain".parse().expect("text"), &"private".parse().expect("text"))
    );
    let left: Vec<&str> = url.query().pairs().iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(left, ["x-amz-acl", "versionId"]);

    let mut bent = presigned("PUT", parameters, "PUT\n\ntext/html\n1175139620\nx-amz-acl:private\n/bkt/k?versionId=7");
    bent.headers.insert("content-type", "text/html".parse().expect("text"));
    assert_eq!(authenticate(&bent, BEFORE), Ok(()), "the header is what was signed");
    assert_eq!(
        bent.adopt_headers_of_query().map_err(|e| e.code()),
        Err(S3ErrorCode::InvalidArgument),
        "and the URL says another"
    );
}

#[test]
fn a_url_has_its_three_parameters_once_and_a_time_in_seconds() {
    let good = "AWSAccessKeyId=a&Signature=AAAAAAAAAAAAAAAAAAAAAAAAAAA%3D&Expires=1175139620";
    let code = |query: &str| refusal(&head("GET", &format!("/bkt/k?{query}"), &[("host", "h")]), BEFORE);
    assert_eq!(code(good), S3ErrorCode::SignatureDoesNotMatch);
    for (from, to) in [
        ("&Expires=1175139620", ""),
        ("Expires=1175139620", "Expires="),
        ("Expires=1175139620", "Expires=soon"),
        ("Expires=1175139620", "Expires=%2B1175139620"),
        ("Expires=1175139620", "Expires=18446744073709551615"),
        ("Expires=1175139620", "Expires=1175139620&Expires=1175139620"),
        ("AWSAccessKeyId=a&", ""),
        ("Signature=", "signature="),
        ("Expires=1175139620", "Expires=1175138999"),
    ] {
        assert_eq!(code(&good.replace(from, to)), S3ErrorCode::AccessDenied, "{from} to {to}");
    }
    assert_eq!(code(&good.replace("AAAA", "A")), S3ErrorCode::SignatureDoesNotMatch);
    assert_eq!(code(&format!("{good}&X-Amz-Signature=00")), S3ErrorCode::InvalidArgument);
}

#[test]
fn a_header_without_a_signature_or_a_time_is_refused() {
    let with = |authorization: &str, headers: &[(&str, &str)]| {
        let all = [&[("host", "h"), ("authorization", authorization)], headers].concat();
        refusal(&head("PUT", "/bkt/k", &all), on(DATE))
    };
    for bad in ["AWS HAHAHA", "AWS :AAAA", "AWS ", "AWS"] {
        assert_eq!(with(bad, &[("date", DATE)]), S3ErrorCode::InvalidArgument, "{bad}");
    }
    for date in ["Bad Date", "", "Tue, 07 Jul 1950 21:53:04 GMT"] {
        assert_eq!(with("AWS a:AAAA", &[("date", DATE), ("x-amz-date", date)]), S3ErrorCode::AccessDenied, "{date}");
    }
    assert_eq!(with("AWS a:AAAA", &[]), S3ErrorCode::AccessDenied);
    for date in ["Tue, 07 Jul 2010 21:53:04 GMT", "Tue, 07 Jul 9999 21:53:04 GMT", "Tue, 27 Mar 2007 21:35:27 +0000"] {
        assert_eq!(with("AWS a:AAAA", &[("date", DATE), ("x-amz-date", date)]), S3ErrorCode::RequestTimeTooSkewed, "{date}");
    }
    assert_eq!(with("AWS a:not base64", &[("date", DATE)]), S3ErrorCode::SignatureDoesNotMatch);
}

#[test]
fn a_body_under_version_2_has_no_signed_chunks() {
    let parsed = |payload: &str| {
        let headers = [("host", "h"), ("date", DATE), ("authorization", "AWS a:AAAA"), ("x-amz-content-sha256", payload)];
        parse(&head("PUT", "/bkt/k", &headers), Accepts::V4AndV2).map(|found| found.payload()).map_err(|error| error.code())
    };
    assert_eq!(parsed("STREAMING-UNSIGNED-PAYLOAD-TRAILER"), Ok(PayloadMode::StreamingUnsigned));
    assert_eq!(parsed("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), Err(S3ErrorCode::InvalidRequest));
}

#[test]
fn a_key_with_a_colon_is_cut_at_the_last() {
    let found =
        parse(&head("GET", "/bkt/k", &[("host", "h"), ("date", DATE), ("authorization", "AWS a:b:AAAA")]), Accepts::V4AndV2);
    let Ok(AuthRequest::SignedV2(signed)) = found else { panic!("signed by version 2") };
    assert_eq!(signed.access_key, "a:b");
    assert_eq!(signed.source, SourceV2::Header { at: on(DATE), text: DATE.to_owned() });
}

#[test]
fn where_it_is_not_taken_it_is_refused_by_name() {
    let url = "/bkt/k?AWSAccessKeyId=a&Signature=b&Expires=1";
    for head in [head("GET", url, &[("host", "h")]), head("GET", "/bkt/k", &[("host", "h"), ("authorization", "AWS a:b")])] {
        assert_eq!(parse(&head, Accepts::V4).map_err(|error| error.code()), Err(S3ErrorCode::InvalidRequest));
    }
    assert_eq!(at("20070327T212026Z"), on(DATE));
}
