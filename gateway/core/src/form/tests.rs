use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;
use types::{BucketAddress, BucketPath, ETag, Md5, ObjectKey, Timestamp, VolumeName};

use super::*;
use crate::auth::{Accepts, SigningKey};
use crate::dates::{parse_iso_basic, parse_iso8601};
use crate::encoding::base64_encode;
use crate::request::{Addressing, RequestHead};

const BOUNDARY: &str = "----WebKitFormBoundary7MA4YWxkTrZu0gW";

fn posted(content_type: &str) -> RequestHead {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("h"));
    if !content_type.is_empty() {
        headers.insert("content-type", HeaderValue::from_str(content_type).expect("text"));
    }
    let uri = "/bucket".parse().expect("a target");
    RequestHead::parse(Method::POST, &uri, headers, &Addressing::default()).expect("well formed")
}

fn decoder() -> FormDecoder {
    FormDecoder::new(&posted(&format!("multipart/form-data; boundary={BOUNDARY}"))).expect("a form")
}

/// As browsers write them; the last is the file.
fn body(fields: &[(&str, &str)], file: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        let part = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    let head = "Content-Disposition: form-data; name=\"file\"; filename=\"photo.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n";
    body.extend_from_slice(format!("--{BOUNDARY}\r\n{head}").as_bytes());
    body.extend_from_slice(file);
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    body
}

/// All steps over a body that comes in these pieces.
fn decode<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> Result<(Form, Vec<u8>), S3Error> {
    let mut decoder = Some(decoder());
    let mut found: Option<(Form, FormFile)> = None;
    let mut file_bytes = Vec::new();
    for piece in pieces {
        if let Some((_, file)) = &mut found {
            if !file.is_at_end() {
                file.push(Bytes::copy_from_slice(piece));
            }
        } else if let Some(mut waiting) = decoder.take() {
            waiting.push(piece);
            match waiting.form()? {
                Ok(form) => found = Some(form),
                Err(again) => decoder = Some(again),
            }
        }
        if let Some((_, file)) = &mut found {
            while let Some(data) = file.pull()? {
                file_bytes.extend_from_slice(&data);
            }
        }
    }
    let Some((form, file)) = found else { return Err(malformed("no file came")) };
    file.finish()?;
    Ok((form, file_bytes))
}

fn form(fields: &[(&str, &str)]) -> Form {
    decode([body(fields, b"x").as_slice()]).expect("a form").0
}

fn code<T: std::fmt::Debug>(result: Result<T, S3Error>) -> S3ErrorCode {
    result.expect_err("refused").code()
}

#[test]
fn a_form_of_a_browser_is_taken_apart() {
    let (form, file) = decode([body(&[("kEy", "a/b"), ("x-ignore-me", "1"), ("x-ignore-me", "2")], b"\0\r\n--bytes").as_slice()])
        .expect("a form");
    assert_eq!(form.get("key"), Some("a/b"));
    assert_eq!(form.names().collect::<Vec<_>>(), ["key"]);
    assert_eq!(file, b"\0\r\n--bytes");
}

#[test]
fn a_form_of_a_library_is_taken_apart() {
    // Every field with a filename, a head of several lines, space behind a boundary, a preamble and an epilogue.
    let text = format!(
        "preamble\r\n--{BOUNDARY} \t\r\nContent-Disposition: form-data; name=\"key\"; filename=\"key\"\r\nContent-Type: text/plain\r\n\r\n\
         \r\nk\r\n\r\n--{BOUNDARY}\r\ncontent-disposition:form-data; filename=f.txt; name=file\r\n\r\n\r\n--{BOUNDARY}--\r\nepilogue"
    );
    let (form, file) = decode([text.as_bytes()]).expect("a form");
    assert_eq!((form.get("key"), file.as_slice()), (Some("\r\nk\r\n"), &b""[..]));
}

#[test]
fn the_name_of_the_file_goes_where_it_is_asked_for() {
    for (sent, name) in [
        ("\"photo.jpg\"", "photo.jpg"),
        ("\"C:\\\\photos\\photo.jpg\"", "photo.jpg"),
        ("\"/home/ada/photo.jpg\"", "photo.jpg"),
        ("\"a \\\"b\\\"; c.jpg\"", "a \"b\"; c.jpg"),
        ("\"photos\\\"", ""),
        ("photo.jpg", "photo.jpg"),
        ("\"é.jpg\"", "é.jpg"),
    ] {
        let text = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=key\r\n\r\nuser/${{filename}}\r\n\
             --{BOUNDARY}\r\nContent-Disposition: form-data; name=policy\r\n\r\n${{filename}}\r\n\
             --{BOUNDARY}\r\nContent-Disposition: form-data; name=file; filename={sent}\r\n\r\n\r\n--{BOUNDARY}--"
        );
        let (form, _) = decode([text.as_bytes()]).expect("a form");
        assert_eq!(form.get("key"), Some(format!("user/{name}").as_str()), "{sent}");
        assert_eq!(form.get("policy"), Some("${filename}"));
    }
}

#[test]
fn what_is_no_form_is_refused() {
    for content_type in ["", "text/plain", "multipart/mixed; boundary=b", "application/x-www-form-urlencoded"] {
        assert_eq!(code(FormDecoder::new(&posted(content_type))), S3ErrorCode::PreconditionFailed, "{content_type}");
    }
    let long = format!("multipart/form-data; boundary={}", "b".repeat(71));
    for content_type in [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"a",
        "multipart/form-data; boundary=a@b",
        &long,
    ] {
        assert_eq!(code(FormDecoder::new(&posted(content_type))), S3ErrorCode::MalformedPOSTRequest, "{content_type}");
    }
    assert!(FormDecoder::new(&posted("Multipart/Form-Data; charset=utf-8; Boundary=\"a b:c\"")).is_ok());
}

#[test]
fn a_broken_form_is_refused() {
    let disposition = "Content-Disposition: form-data; name=";
    for (text, expected) in [
        (format!("--{BOUNDARY}--\r\n"), S3ErrorCode::IncorrectNumberOfFilesInPostRequest),
        (
            format!("--{BOUNDARY}\r\n{disposition}key\r\n\r\nk\r\n--{BOUNDARY}--"),
            S3ErrorCode::IncorrectNumberOfFilesInPostRequest,
        ),
        (format!("--{BOUNDARY}x\r\n"), S3ErrorCode::MalformedPOSTRequest),
        (format!("--{BOUNDARY}\r\n\r\nk"), S3ErrorCode::MalformedPOSTRequest),
        (format!("--{BOUNDARY}\r\nno colon\r\n\r\nk"), S3ErrorCode::MalformedPOSTRequest),
        (format!("--{BOUNDARY}\r\nContent-Disposition: attachment; name=key\r\n\r\nk"), S3ErrorCode::MalformedPOSTRequest),
        (format!("--{BOUNDARY}\r\nContent-Disposition: form-data\r\n\r\nk"), S3ErrorCode::MalformedPOSTRequest),
        (format!("--{BOUNDARY}\r\n{disposition}a; name=b\r\n\r\nk"), S3ErrorCode::MalformedPOSTRequest),
        (format!("--{BOUNDARY}\r\n{disposition}\"a\"b\r\n\r\nk"), S3ErrorCode::MalformedPOSTRequest),
        (format!("--{BOUNDARY}\r\n{disposition}a\r\nContent-Transfer-Encoding: base64\r\n\r\nk"), S3ErrorCode::NotImplemented),
        (
            format!("--{BOUNDARY}\r\n{disposition}a\r\n\r\n1\r\n--{BOUNDARY}\r\n{disposition}A\r\n\r\n2\r\n--{BOUNDARY}"),
            S3ErrorCode::InvalidArgument,
        ),
        (format!("--{BOUNDARY}\r\n{disposition}file\r\n\r\nbytes"), S3ErrorCode::MalformedPOSTRequest),
        (format!("--{BOUNDARY}\r\n{disposition}key\r\n\r\nbytes"), S3ErrorCode::MalformedPOSTRequest),
    ] {
        assert_eq!(code(decode([text.as_bytes()])), expected, "{text}");
    }
    let not_text = [format!("--{BOUNDARY}\r\n{disposition}key\r\n\r\n").as_bytes(), b"\xff\r\n--", BOUNDARY.as_bytes()].concat();
    assert_eq!(code(decode([not_text.as_slice()])), S3ErrorCode::MalformedPOSTRequest);
}

#[test]
fn what_stands_in_front_of_the_file_is_bounded_however_it_comes() {
    let large = "v".repeat(65 << 10);
    let in_field = body(&[("key", &large)], b"");
    let many: Vec<(String, &str)> = (0..101).map(|number| (format!("f{number}"), "v")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let endless = [format!("--{BOUNDARY}\r\nA: ").as_bytes(), large.as_bytes()].concat();
    for bytes in [&in_field, &endless, &large.clone().into_bytes()] {
        assert_eq!(code(decode([bytes.as_slice()])), S3ErrorCode::MaxPostPreDataLengthExceededError);
        assert_eq!(code(decode(bytes.chunks(1000))), S3ErrorCode::MaxPostPreDataLengthExceededError);
    }
    assert_eq!(code(decode([body(&many, b"").as_slice()])), S3ErrorCode::MalformedPOSTRequest);
    let large_file = vec![7; 1 << 20];
    let (_, file) = decode([body(&[("key", "k")], &large_file).as_slice()]).expect("the file is not in front of itself");
    assert_eq!(file.len(), 1 << 20);
}

#[test]
fn a_file_has_the_length_that_it_may_have() {
    for (least, most, expected) in
        [(0, 3, None), (3, 3, None), (0, 2, Some(S3ErrorCode::EntityTooLarge)), (4, 9, Some(S3ErrorCode::EntityTooSmall))]
    {
        let policy = Policy::parse(&policy(&format!("[\"content-length-range\", {least}, \"{most}\"]"))).expect("well formed");
        let allowed = policy.check(&form(&[("key", "k")]), &to(&bucket()), NOW).expect("it allows this");
        let mut waiting = decoder();
        waiting.push(&body(&[("key", "k")], b"abc"));
        let Ok((_, mut file)) = waiting.form().expect("a form") else { panic!("all of it came") };
        file.allow(allowed);
        let outcome = std::iter::from_fn(|| file.pull().transpose()).collect::<Result<Vec<_>, _>>();
        assert_eq!(outcome.err().map(|error| error.code()), expected, "{least}..={most}");
    }
}

const NOW: Timestamp = Timestamp(1_782_864_000_000);

fn bucket() -> BucketPath {
    path("bucket")
}

fn path(text: &str) -> BucketPath {
    BucketAddress::parse(text).expect("a name").within(VolumeName::s3v_ref())
}

fn to(bucket: &BucketPath) -> Posted<'_> {
    Posted { bucket, home: VolumeName::s3v_ref() }
}

/// A policy for any key of the bucket, with these conditions besides.
fn policy(more: &str) -> String {
    let more = if more.is_empty() { String::new() } else { format!(", {more}") };
    let text = format!(
        r#"{{"expiration": "2026-07-02T00:00:00Z", "conditions": [{{"bucket": "bucket"}}, ["starts-with", "$key", ""]{more}]}}"#
    );
    base64_encode(text.as_bytes())
}

fn check(policy: &str, fields: &[(&str, &str)]) -> Result<LengthRange, S3Error> {
    Policy::parse(policy).and_then(|policy| policy.check(&form(fields), &to(&bucket()), NOW))
}

#[test]
fn a_form_must_be_what_its_policy_says() {
    for (conditions, fields, good) in [
        ("", &[("key", "k")][..], true),
        (r#"{"acl": "private"}"#, &[("key", "k"), ("acl", "private")], true),
        (r#"{"AcL": "private"}"#, &[("kEy", "k"), ("aCl", "private")], true),
        (r#"{"acl": "private"}"#, &[("key", "k"), ("acl", "public-read")], false),
        (r#"{"acl": "private"}"#, &[("key", "k")], false),
        (r#"["eq", "$key", "k"]"#, &[("key", "k")], true),
        (r#"["eq", "$key", "K"]"#, &[("key", "k")], false),
        (r#"["StArTs-WiTh", "$x-amz-meta-a", "b"]"#, &[("key", "k"), ("x-amz-meta-a", "bc")], true),
        (r#"["starts-with", "$x-amz-meta-a", "b"]"#, &[("key", "k"), ("x-amz-meta-a", "cb")], false),
        (r#"["starts-with", "$x-amz-meta-a", "b"]"#, &[("key", "k")], false),
        (r#"["starts-with", "$x-amz-meta-a", ""]"#, &[("key", "k")], true),
        (r#"["starts-with", "$x-amz-meta-a", ""], {"x-amz-meta-a": "c"}"#, &[("key", "k"), ("x-amz-meta-a", "b")], false),
        (r#"["starts-with", "$Content-Type", "image/"]"#, &[("key", "k"), ("content-type", "image/jpeg")], true),
        (r#"["starts-with", "$Content-Type", "image/"]"#, &[("key", "k"), ("content-type", "image/jpeg, image/png")], true),
        (r#"["starts-with", "$Content-Type", "image/"]"#, &[("key", "k"), ("content-type", "image/jpeg,text/html")], false),
        ("", &[("key", "k"), ("acl", "private")], false),
        ("", &[("key", "k"), ("submit", "Upload")], false),
        ("", &[("key", "k"), ("x-amz-meta-a", "")], false),
        ("", &[("key", "k"), ("x-amz-credential", "c")], false),
        ("", &[("key", "k"), ("x-ignore-a", "b"), ("policy", "p"), ("signature", "s"), ("AWSAccessKeyId", "a")], true),
        ("", &[("key", "k"), ("x-amz-checksum-sha256", "AAAA"), ("bucket", "another")], true),
        (r#"{"x-amz-checksum-sha256": "B"}"#, &[("key", "k"), ("x-amz-checksum-sha256", "A")], false),
    ] {
        let outcome = check(&policy(conditions), fields).map_err(|error| error.code());
        assert_eq!(outcome.is_ok(), good, "{conditions} {fields:?}");
        assert!(good || outcome == Err(S3ErrorCode::AccessDenied), "{conditions} {fields:?} {outcome:?}");
    }
    let text = |conditions: &str| {
        base64_encode(format!(r#"{{"expiration": "2026-07-02T00:00:00Z", "conditions": [{conditions}]}}"#).as_bytes())
    };
    let refusal = |policy: &str| check(policy, &[("key", "k")]).expect_err("refused").message().to_owned();
    assert_eq!(refusal(&text(r#"{"key": "k"}"#)), "Invalid according to Policy: Extra input fields: bucket");
    assert_eq!(refusal(&text(r#"{"bucket": "bucket"}"#)), "Invalid according to Policy: Extra input fields: key");
    let wrong = refusal(&text(r#"{"bucket": "another"}, {"key": "k"}"#));
    assert_eq!(wrong, "Invalid according to Policy: Policy Condition failed: [\"eq\",\"$bucket\",\"another\"]");
    let expired =
        base64_encode(br#"{"expiration": "2026-06-30T23:59:59.999Z", "conditions": [{"bucket": "bucket"}, {"key": "k"}]}"#);
    assert_eq!(refusal(&expired), "Invalid according to Policy: Policy expired.");
}

#[test]
fn a_policy_must_be_well_formed() {
    let conditions = r#""conditions": [{"bucket": "bucket"}]"#;
    let date = r#""expiration": "2026-07-02T00:00:00.000Z""#;
    for text in [
        String::new(),
        "no".into(),
        "[]".into(),
        format!("{{{conditions}}}"),
        format!("{{{date}}}"),
        format!(r#"{{{date}, "CONDITIONS": []}}"#),
        format!(r#"{{"EXPIRATION": "2026-07-02T00:00:00Z", {conditions}}}"#),
        format!(r#"{{"expiration": "2026-07-02 00:00:00", {conditions}}}"#),
        format!(r#"{{"expiration": "2026-07-02 00:00:00.123456+00:00", {conditions}}}"#),
        format!(r#"{{"expiration": "2026-07-02T00:00:00", {conditions}}}"#),
        format!(r#"{{"expiration": 1782864000, {conditions}}}"#),
        format!(r#"{{{date}, "conditions": {{}}}}"#),
        format!(r#"{{{date}, "conditions": [{{}}]}}"#),
        format!(r#"{{{date}, "conditions": [{{"a": "b", "c": "d"}}]}}"#),
        format!(r#"{{{date}, "conditions": [{{"a": 1}}]}}"#),
        format!(r#"{{{date}, "conditions": ["a"]}}"#),
        format!(r#"{{{date}, "conditions": [["eq", "$a"]]}}"#),
        format!(r#"{{{date}, "conditions": [["eq", "a", "b"]]}}"#),
        format!(r#"{{{date}, "conditions": [["eq", "$a", 1]]}}"#),
        format!(r#"{{{date}, "conditions": [["ends-with", "$a", "b"]]}}"#),
        format!(r#"{{{date}, "conditions": [["content-length-range", 0]]}}"#),
        format!(r#"{{{date}, "conditions": [["content-length-range", -1, 0]]}}"#),
        format!(r#"{{{date}, "conditions": [["content-length-range", "", 0]]}}"#),
        format!(r#"{{{date}, "conditions": [["content-length-range", 0.5, 1]]}}"#),
        format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)),
    ] {
        let outcome = Policy::parse(&base64_encode(text.as_bytes()));
        assert_eq!(code(outcome), S3ErrorCode::InvalidPolicyDocument, "{}", text.chars().take(90).collect::<String>());
    }
    assert_eq!(code(Policy::parse("not base64!")), S3ErrorCode::InvalidPolicyDocument);
    assert!(Policy::parse(&base64_encode(format!("{{{date}, {conditions}}}").as_bytes())).is_ok());
}

const DOCUMENTED_V4: &str = "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9";

fn documented_v4() -> Vec<(&'static str, &'static str)> {
    vec![
        ("key", "user/user1/${filename}"),
        ("acl", "public-read"),
        ("success_action_redirect", "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"),
        ("Content-Type", "image/jpeg"),
        ("x-amz-meta-uuid", "14365123651274"),
        ("x-amz-server-side-encryption", "AES256"),
        ("X-Amz-Credential", "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"),
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Date", "20151229T000000Z"),
        ("x-amz-meta-tag", ""),
        ("Policy", DOCUMENTED_V4),
        ("X-Amz-Signature", "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"),
    ]
}

fn with<'f>(fields: &[(&'f str, &'f str)], name: &'f str, value: &'f str) -> Vec<(&'f str, &'f str)> {
    let others = fields.iter().filter(|(other, _)| !other.eq_ignore_ascii_case(name)).copied();
    others.chain((!value.is_empty()).then_some((name, value))).collect()
}

fn sign_v4(fields: &[(&str, &str)], now: Timestamp) -> Result<(), S3Error> {
    match FormSignature::parse(&form(fields), Accepts::V4)? {
        FormSignature::V4(signed) => {
            signed.check(now, "us-east-1")?;
            signed.verify(&SigningKey::derive("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", &signed.scope))
        }
        FormSignature::V2(_) | FormSignature::Anonymous => Err(S3ErrorCode::AccessDenied.into()),
    }
}

#[test]
fn a_form_goes_to_no_bucket_of_the_name_in_another_volume() {
    let red = VolumeName::parse("red").expect("a volume");
    let policy = |condition: &str| {
        let text =
            format!(r#"{{"expiration": "2026-07-02T00:00:00Z", "conditions": [{condition}, ["starts-with", "$key", ""]]}}"#);
        Policy::parse(&base64_encode(text.as_bytes())).expect("well formed")
    };
    for (condition, taken) in [
        (r#"{"bucket": "photos"}"#, ["red:photos"].as_slice()),
        (r#"["starts-with", "$bucket", "ph"]"#, &["red:photos"]),
        (r#"{"bucket": "red:photos"}"#, &["red:photos"]),
        (r#"{"bucket": "blue:photos"}"#, &["blue:photos"]),
        (r#"{"bucket": ":photos"}"#, &["photos"]),
        (r#"{"bucket": "s3v:photos"}"#, &["photos"]),
        (r#"["starts-with", "$bucket", ""]"#, &["red:photos", "red:films"]),
        (r#"["starts-with", "$bucket", "blue"]"#, &[]),
        (r#"["starts-with", "$bucket", "blue:"]"#, &["blue:photos"]),
    ] {
        for asked in ["red:photos", "blue:photos", "photos", "red:films"] {
            let posted = Posted { bucket: &path(asked), home: &red };
            let is_taken = policy(condition).check(&form(&[("key", "k")]), &posted, NOW).is_ok();
            assert_eq!(is_taken, taken.contains(&asked), "{condition}: {asked}");
        }
    }
}

#[test]
fn the_documented_form_of_version_4_is_accepted() {
    let fields = documented_v4();
    let now = parse_iso_basic("20151229T120000Z").expect("a time");
    assert_eq!(sign_v4(&fields, now), Ok(()));
    let policy = Policy::parse(DOCUMENTED_V4).expect("well formed");
    let its_bucket = path("sigv4examplebucket");
    let form = form(&fields);
    assert_eq!(policy.check(&form, &to(&its_bucket), now), Ok(LengthRange::ANY));
    assert_eq!(code(policy.check(&form, &to(&bucket()), now)), S3ErrorCode::AccessDenied);
    let after = parse_iso8601("2015-12-30T12:00:00.001Z").expect("a time");
    assert_eq!(code(policy.check(&form, &to(&its_bucket), after)), S3ErrorCode::AccessDenied);
    assert_eq!(form.key(), Ok(ObjectKey::parse("user/user1/photo.jpg").expect("a key")));

    for (name, value, expected) in [
        (
            "X-Amz-Signature",
            "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699f",
            S3ErrorCode::SignatureDoesNotMatch,
        ),
        ("X-Amz-Signature", "no", S3ErrorCode::SignatureDoesNotMatch),
        ("X-Amz-Signature", "", S3ErrorCode::InvalidArgument),
        ("Policy", "e30=", S3ErrorCode::SignatureDoesNotMatch),
        ("Policy", "", S3ErrorCode::InvalidArgument),
        ("X-Amz-Date", "", S3ErrorCode::InvalidArgument),
        ("X-Amz-Date", "yesterday", S3ErrorCode::InvalidArgument),
        ("X-Amz-Date", "20151228T000000Z", S3ErrorCode::InvalidArgument),
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA1", S3ErrorCode::InvalidArgument),
        ("X-Amz-Credential", "AKIA", S3ErrorCode::InvalidArgument),
        ("X-Amz-Credential", "AKIAIOSFODNN7EXAMPLE/20151229/eu-west-1/s3/aws4_request", S3ErrorCode::InvalidArgument),
        ("signature", "AAAA", S3ErrorCode::InvalidArgument),
    ] {
        assert_eq!(code(sign_v4(&with(&fields, name, value), now)), expected, "{name}: {value}");
    }
    assert_eq!(code(sign_v4(&fields, parse_iso_basic("20151228T234459Z").expect("a time"))), S3ErrorCode::AccessDenied);
}

const DOCUMENTED_V2: &str = "eyAiZXhwaXJhdGlvbiI6ICIyMDA3LTEyLTAxVDEyOjAwOjAwLjAwMFoiLAogICJjb25kaXRpb25zIjogWwogICAgeyJidWNrZXQiOiAiam9obnNtaXRoIn0sCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci9lcmljLyJdLAogICAgeyJhY2wiOiAicHVibGljLXJlYWQifSwKICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL2pvaG5zbWl0aC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwKICAgIFsic3RhcnRzLXdpdGgiLCAiJENvbnRlbnQtVHlwZSIsICJpbWFnZS8iXSwKICAgIHsieC1hbXotbWV0YS11dWlkIjogIjE0MzY1MTIzNjUxMjc0In0sCiAgICBbInN0YXJ0cy13aXRoIiwgIiR4LWFtei1tZXRhLXRhZyIsICIiXQogIF0KfQo=";

#[test]
fn the_documented_form_of_version_2_is_accepted_where_it_is_taken() {
    use aws_lc_rs::hmac;
    let fields = [
        ("key", "user/eric/${filename}"),
        ("acl", "public-read"),
        ("success_action_redirect", "http://johnsmith.s3.amazonaws.com/successful_upload.html"),
        ("Content-Type", "image/jpeg"),
        ("x-amz-meta-uuid", "14365123651274"),
        ("x-amz-meta-tag", "Some,Tag,For,Picture"),
        ("AWSAccessKeyId", "AKIAIOSFODNN7EXAMPLE"),
        ("Policy", DOCUMENTED_V2),
        ("Signature", "0RavWzkygo6QX9caELEqKi9kDbU="),
    ];
    let parsed = |fields: &[(&str, &str)], accepts| FormSignature::parse(&form(fields), accepts);
    let Ok(FormSignature::V2(signed)) = parsed(&fields, Accepts::V4AndV2) else { panic!("signed by version 2") };
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"uV3F3YluFJax1cknvbcGwgjvx4QpvB+leU8dUj2o");
    let signature = signed.signature.expect("a signature");
    assert!(hmac::verify(&key, signed.policy.as_bytes(), signature.as_bytes()).is_ok());
    let its_bucket = path("johnsmith");
    let policy = Policy::parse(&signed.policy).expect("well formed");
    let now = parse_iso8601("2007-12-01T00:00:00Z").expect("a time");
    assert_eq!(policy.check(&form(&fields), &to(&its_bucket), now), Ok(LengthRange::ANY));

    assert_eq!(code(parsed(&fields, Accepts::V4)), S3ErrorCode::InvalidRequest);
    for name in ["Signature", "Policy", "AWSAccessKeyId"] {
        assert_eq!(code(parsed(&with(&fields, name, ""), Accepts::V4AndV2)), S3ErrorCode::InvalidArgument, "{name}");
    }
    assert_eq!(parsed(&[("key", "k")], Accepts::V4), Ok(FormSignature::Anonymous));
    assert_eq!(code(parsed(&[("key", "k"), ("policy", "e30=")], Accepts::V4)), S3ErrorCode::InvalidArgument);
}

#[test]
fn a_form_becomes_the_put_that_it_stands_for() {
    let put = |fields: &[(&str, &str)]| form(fields).to_put(&posted("multipart/form-data; boundary=b"));
    let head = put(&[
        ("key", "a b/${filename}"),
        ("acl", "private"),
        ("Cache-Control", "no-store"),
        ("X-Amz-Meta-A", "é"),
        ("x-amz-storage-class", "STANDARD"),
        (
            "tagging",
            "<Tagging><TagSet><Tag><Key>a b</Key><Value>1+2</Value></Tag><Tag><Key>c</Key><Value/></Tag></TagSet></Tagging>",
        ),
        ("x-amz-date", "20151229T000000Z"),
        ("submit", "Upload"),
        ("success_action_status", "201"),
    ])
    .expect("a put");
    assert_eq!((head.method.as_str(), head.key()), ("PUT", Ok(ObjectKey::parse("a b/photo.jpg").expect("a key"))));
    let names: Vec<&str> = head.headers.keys().map(HeaderName::as_str).collect();
    let expected =
        ["cache-control", "host", "transfer-encoding", "x-amz-acl", "x-amz-meta-a", "x-amz-storage-class", "x-amz-tagging"];
    assert_eq!(names.into_iter().collect::<std::collections::BTreeSet<_>>(), expected.into_iter().collect());
    assert_eq!(head.headers["x-amz-meta-a"].as_bytes(), "é".as_bytes());
    assert_eq!(head.headers["x-amz-tagging"], "a%20b=1%2B2&c=");

    for (name, value, expected) in [
        ("key", "", S3ErrorCode::InvalidArgument),
        ("x-amz-meta-a", "two\r\nlines", S3ErrorCode::InvalidArgument),
        ("x-amz-copy-source", "/bucket/other", S3ErrorCode::NotImplemented),
        ("x-amz-copy-source-range", "bytes=0-1", S3ErrorCode::NotImplemented),
        ("x-amz-write-offset-bytes", "0", S3ErrorCode::NotImplemented),
        ("If-None-Match", "*", S3ErrorCode::NotImplemented),
        ("x-amz-meta-\u{e9}", "v", S3ErrorCode::InvalidArgument),
        ("tagging", "a=b", S3ErrorCode::MalformedXML),
        ("tagging", "<Tagging><TagSet><Tag><Key>aws:a</Key><Value/></Tag></TagSet></Tagging>", S3ErrorCode::InvalidTag),
        ("tagging", "<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>", S3ErrorCode::MalformedXML),
    ] {
        let fields: &[(&str, &str)] = if name == "key" { &[(name, value)] } else { &[("key", "k"), (name, value)] };
        assert_eq!(code(put(fields)), expected, "{name}: {value}");
    }
    assert_eq!(code(put(&[("acl", "private")])), S3ErrorCode::InvalidArgument);
    assert_eq!(code(put(&[("key", &"k".repeat(1025))])), S3ErrorCode::KeyTooLongError);
}

#[test]
fn the_browser_is_answered_as_the_form_says() {
    let status = |value: &str| SuccessAction::of(&form(&[("success_action_status", value)]));
    for (text, code) in [("200", 200), ("201", 201), ("204", 204), ("404", 204), ("", 204), ("0201", 204)] {
        assert_eq!(status(text), SuccessAction::Status(http::StatusCode::from_u16(code).expect("a status")), "{text}");
    }
    let redirect = |field, target: &str| SuccessAction::of(&form(&[(field, target), ("success_action_status", "200")]));
    for field in ["success_action_redirect", "redirect"] {
        for target in ["http://h/done", "https://h:8443/done?a=b#c"] {
            assert_eq!(redirect(field, target), SuccessAction::Redirect(target.to_owned()));
        }
        for target in ["", "/done", "javascript:alert(1)", "http://", "http://h/\r\nset-cookie: a", "ftp://h/"] {
            assert_eq!(redirect(field, target), SuccessAction::Status(http::StatusCode::OK), "{target}");
        }
    }
    let (key, etag) = (ObjectKey::parse("a/b c").expect("a key"), ETag::whole(Md5([0; 16])));
    let location = |target| SuccessAction::location(target, bucket().name(), &key, etag);
    let told = "bucket=bucket&key=a%2Fb%20c&etag=%2200000000000000000000000000000000%22";
    assert_eq!(location("http://h/done"), format!("http://h/done?{told}"));
    assert_eq!(location("http://h/done?a=b#c"), format!("http://h/done?a=b&{told}#c"));
}

proptest! {
    #[test]
    fn a_form_is_the_same_however_it_is_cut(
        key in "[ -~]{1,30}",
        // With much of what ends it, and pieces of that.
        file in proptest::collection::vec(prop_oneof![
            Just(b"\r\n--".to_vec()),
            Just(b"\r\n------WebKitFormBoundary7MA4YWxkTrZu0g".to_vec()),
            Just(b"\r".to_vec()),
            Just(b"-".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..40),
        ], 0..8),
        cuts in proptest::collection::vec(1_usize..70, 1..40),
    ) {
        let file = file.concat();
        prop_assume!(!file.windows(BOUNDARY.len() + 4).any(|window| window == format!("\r\n--{BOUNDARY}").as_bytes()));
        prop_assume!(!key.contains("${filename}"));
        let whole = body(&[("key", &key)], &file);
        let mut rest = whole.as_slice();
        let mut pieces = Vec::new();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        let (form, decoded) = decode(pieces).expect("a form");
        prop_assert_eq!(form.get("key"), Some(key.as_str()));
        prop_assert_eq!(decoded, file);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..100),
        text in "(------WebKitFormBoundary7MA4YWxkTrZu0gW|\r\n|--|Content-Disposition: form-data; |name=|filename=|file|key|\"|\\\\|;| |:|x){0,30}",
        content_type in "multipart/form-data;? ?(boundary=)?[ -~]{0,20}",
    ) {
        for body in [&bytes[..], text.as_bytes()] {
            let _ = decode([body]);
            let _ = decode(body.chunks(3));
        }
        let _ = FormDecoder::new(&posted(&content_type));
    }

    #[test]
    fn no_text_makes_the_policy_panic(text in "\\PC{0,60}", json in "[\\[\\]{}\",:$\\\\ a-z0-9]{0,60}") {
        for text in [&text, &json] {
            let _ = Policy::parse(text);
            let _ = Policy::parse(&base64_encode(text.as_bytes()));
        }
    }
}
