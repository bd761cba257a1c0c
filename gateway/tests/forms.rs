//! Uploads by forms, signed by either version.

#[expect(unreachable_pub, reason = "shared by the files of tests, of which each is a crate")]
mod support;

use aws_lc_rs::hmac;
use bytes::Bytes;
use gateway::{Accepts, Config};
use gateway_core::auth::{Scope, SigningKey};
use gateway_core::encoding::base64_encode;
use http::{HeaderMap, HeaderValue};
use support::client::{Answer, Client, head_text};
use support::om::{ACCESS_KEY, SECRET_KEY};
use support::{World, pattern, until};

const BOUNDARY: &str = "boundary-of-a-form";
/// The world's day.
const DATE: &str = "20260701T000000Z";

fn form(fields: &[(&str, &str)], file: &[u8]) -> Vec<u8> {
    let part = |name: &str| format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"");
    let mut body: Vec<u8> = Vec::new();
    for (name, value) in fields {
        body.extend_from_slice(format!("{}\r\n\r\n{value}\r\n", part(name)).as_bytes());
    }
    body.extend_from_slice(format!("{}; filename=\"photo.jpg\"\r\n\r\n", part("file")).as_bytes());
    body.extend_from_slice(file);
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    body
}

fn headers(client: &Client) -> HeaderMap {
    let mut headers = client.host_only();
    let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
    headers.insert("content-type", HeaderValue::from_str(&content_type).expect("text"));
    headers
}

async fn post(client: &Client, fields: &[(&str, &str)], file: &[u8]) -> Answer {
    client.send_raw("POST", "/bucket", headers(client), Bytes::from(form(fields, file))).await
}

fn policy(conditions: &str) -> String {
    let text = format!(
        r#"{{"expiration": "2026-07-01T01:00:00Z", "conditions": [{{"bucket": "bucket"}}, ["starts-with", "$key", "in/"]{conditions}]}}"#
    );
    base64_encode(text.as_bytes())
}

struct SignedV4 {
    credential: String,
    policy: String,
    signature: String,
}

impl SignedV4 {
    fn new(conditions: &str) -> Self {
        let scope = Scope::s3("20260701", "us-east-1");
        let credential = format!("{ACCESS_KEY}/{scope}");
        let policy = policy(&format!(
            r#", {{"x-amz-credential": "{credential}"}}, {{"x-amz-algorithm": "AWS4-HMAC-SHA256"}}, {{"x-amz-date": "{DATE}"}}{conditions}"#
        ));
        let key = hmac::Key::new(hmac::HMAC_SHA256, SigningKey::derive(SECRET_KEY, &scope).as_bytes());
        let signature = hmac::sign(&key, policy.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { credential, policy, signature }
    }

    fn fields<'f>(&'f self, more: &[(&'f str, &'f str)]) -> Vec<(&'f str, &'f str)> {
        let own = [
            ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
            ("x-amz-credential", self.credential.as_str()),
            ("x-amz-date", DATE),
            ("policy", &self.policy),
            ("x-amz-signature", &self.signature),
        ];
        [more, &own].concat()
    }
}

#[tokio::test]
async fn a_form_stores_its_file_as_a_put_would() {
    let (world, client) = World::with_bucket().await;
    let signed = SignedV4::new(
        r#", ["starts-with", "$x-amz-meta-a", ""], ["starts-with", "$content-type", "image/"], {"success_action_status": "201"}"#,
    );
    let fields = signed.fields(&[
        ("key", "in/${filename}"),
        ("X-Amz-Meta-A", "b"),
        ("Content-Type", "image/jpeg"),
        ("success_action_status", "201"),
    ]);
    let file = pattern(1_000_000);
    let answer = post(&client, &fields, &file).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let stored = client.get("/bucket/in/photo.jpg").await;
    assert!(stored.body == file);
    assert_eq!((stored.header("content-type"), stored.header("x-amz-meta-a")), ("image/jpeg".to_owned(), "b".to_owned()));
    let location = format!("http://{}/bucket/in/photo.jpg", world.addr);
    assert_eq!((answer.header("location"), answer.element("Location")), (location.clone(), location));
    assert_eq!((answer.element("Key"), answer.header("etag")), ("in/photo.jpg".to_owned(), stored.header("etag")));
    let line = world.audit.all().into_iter().find(|line| line.contains("PostObject")).expect("an audit line");
    assert!(line.contains("in/photo.jpg") && line.contains(ACCESS_KEY) && line.contains("owner-id"), "{line}");
}

#[tokio::test]
async fn a_form_that_is_not_whole_or_not_allowed_stores_nothing() {
    let (world, client) = World::with_bucket().await;
    let plain = SignedV4::new("");
    let small = SignedV4::new(r#", ["content-length-range", 3, 300000]"#);
    let wrong = SignedV4 { signature: "0".repeat(64), ..SignedV4::new("") };
    for (fields, file, status, code) in [
        (plain.fields(&[("key", "out/k")]), 10, 403, "AccessDenied"),
        (plain.fields(&[("key", "in/k"), ("acl", "private")]), 10, 403, "AccessDenied"),
        (plain.fields(&[]), 10, 400, "InvalidArgument"),
        (wrong.fields(&[("key", "in/k")]), 10, 403, "SignatureDoesNotMatch"),
        (small.fields(&[("key", "in/k")]), 2, 400, "EntityTooSmall"),
        (small.fields(&[("key", "in/k")]), 300_001, 400, "EntityTooLarge"),
        (vec![("key", "in/k")], 10, 403, "AccessDenied"),
        (plain.fields(&[("key", "in/k"), ("x-amz-checksum-crc32", "AAAAAA==")]), 10, 400, "BadDigest"),
        (plain.fields(&[("key", "in/k"), ("x-amz-copy-source", "/bucket/x")]), 10, 403, "AccessDenied"),
        (vec![("key", "in/k"), ("x-amz-copy-source", "/bucket/x")], 10, 501, "NotImplemented"),
        (
            vec![("key", "in/k"), ("AWSAccessKeyId", ACCESS_KEY), ("policy", "e30="), ("signature", "A")],
            10,
            400,
            "InvalidRequest",
        ),
    ] {
        let answer = post(&client, &fields, &pattern(file)).await;
        assert_eq!(answer.error(), (status, code.to_owned()), "{fields:?}");
    }
    let mut cut = form(&plain.fields(&[("key", "in/k")]), &pattern(400_000));
    cut.truncate(300_000);
    let answer = client.send_raw("POST", "/bucket", headers(&client), Bytes::from(cut)).await;
    assert_eq!(answer.error(), (400, "MalformedPOSTRequest".to_owned()));
    assert_eq!(client.get("/bucket/in/k").await.status, 404);
    until("every session is given up", || world.om.state().sessions.is_empty()).await;
}

#[tokio::test]
async fn what_is_outside_the_form_means_nothing() {
    let (_world, client) = World::with_bucket().await;
    let signed = SignedV4::new("");
    let body = || Bytes::from(form(&signed.fields(&[("key", "in/k")]), b"x"));
    let with = |name: &'static str, value: &'static str| {
        let mut headers = headers(&client);
        headers.insert(name, HeaderValue::from_static(value));
        client.send_raw("POST", "/bucket", headers, body())
    };
    assert_eq!(with("x-amz-meta-a", "b").await.error(), (501, "NotImplemented".to_owned()));
    assert_eq!(with("x-amz-acl", "private").await.error(), (501, "NotImplemented".to_owned()));
    assert_eq!(with("content-type", "text/plain").await.error(), (412, "PreconditionFailed".to_owned()));
    let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
    let signed_head = client.send("POST", "/bucket", &[("content-type", &content_type)], body()).await;
    assert_eq!(signed_head.error(), (400, "InvalidArgument".to_owned()));
    assert_eq!(client.get("/bucket/in/k").await.status, 404);
}

#[tokio::test]
async fn the_connection_lives_on_after_a_form() {
    let (_world, client) = World::with_bucket().await;
    let signed = SignedV4::new("");
    let body = form(&signed.fields(&[("key", "in/k")]), &pattern(200_000));
    let mut headers = headers(&client);
    headers.insert("content-length", HeaderValue::from_str(&body.len().to_string()).expect("a number"));
    let mut raw = client.raw().await;
    for _ in 0..2 {
        raw.write(head_text("POST", "/bucket", &headers)).await;
        raw.write(&body).await;
        let answer = raw.read_until("\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    }
}

#[tokio::test]
async fn version_2_is_one_question_where_it_is_taken() {
    let world = World::with(Config { accepts: Accepts::V4AndV2, ..Config::default() }).await;
    let client = world.client();
    assert_eq!(client.put("/bucket", "").await.status, 200);
    let sign = |text: &str| {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET_KEY.as_bytes());
        base64_encode(hmac::sign(&key, text.as_bytes()).as_ref())
    };
    let policy = policy("");
    let signature = sign(&policy);
    let fields = [("key", "in/k"), ("AWSAccessKeyId", ACCESS_KEY), ("policy", policy.as_str()), ("signature", &signature)];
    let before = world.om.state().request_ids.len();
    assert_eq!(post(&client, &fields, b"by version 2").await.status, 204);
    assert_eq!(world.om.state().request_ids.len() - before, 3, "the signature, the opening, the commit");

    let date = "Wed, 01 Jul 2026 00:00:00 GMT";
    let get = |authorization: String| {
        let mut headers = client.host_only();
        headers.insert("date", HeaderValue::from_static(date));
        headers.insert("authorization", HeaderValue::from_str(&authorization).expect("text"));
        client.send_raw("GET", "/bucket/in/k", headers, Bytes::new())
    };
    let signature = sign(&format!("GET\n\n\n{date}\n/bucket/in/k"));
    let before = world.om.state().request_ids.len();
    assert_eq!(get(format!("AWS {ACCESS_KEY}:{signature}")).await.body, b"by version 2");
    assert_eq!(world.om.state().request_ids.len() - before, 2, "the signature, the look-up");
    assert_eq!(get(format!("AWS {ACCESS_KEY}:AAAA")).await.error(), (403, "SignatureDoesNotMatch".to_owned()));
    assert_eq!(get(format!("AWS nobody:{signature}")).await.error(), (403, "InvalidAccessKeyId".to_owned()));
    world.om.state().secret = ("another".to_owned(), 2);
    assert_eq!(get(format!("AWS {ACCESS_KEY}:{signature}")).await.error(), (403, "SignatureDoesNotMatch".to_owned()));
}
