//! The door: who comes in, what is refused before anything is read, and how it closes.

#[expect(unreachable_pub, reason = "shared by the files of tests, of which each is a crate")]
mod support;

use std::time::Duration;

use bytes::Bytes;
use gateway::Config;
use http::HeaderValue;
use support::client::{Client, Payload, element, head_text};
use support::{World, om, until};

#[tokio::test]
async fn nobody_comes_in_without_a_good_signature() {
    let (world, client) = World::with_bucket().await;
    client.put("/bucket/key", "secret").await;
    let anonymous = client.host_only();
    for (method, target) in [
        ("GET", "/"),
        ("GET", "/bucket"),
        ("GET", "/bucket/key"),
        ("PUT", "/bucket/key"),
        ("DELETE", "/bucket/key"),
        ("DELETE", "/bucket"),
        ("POST", "/bucket/key?uploads"),
        ("GET", "/bucket?policy"),
    ] {
        let refused = client.send_raw(method, target, anonymous.clone(), "body".into()).await;
        assert_eq!(refused.error(), (403, "AccessDenied".into()), "{method} {target}");
    }
    let wrong = Client::new(world.addr, om::ACCESS_KEY, "another secret");
    assert_eq!(wrong.get("/bucket/key").await.error(), (403, "SignatureDoesNotMatch".into()));
    let unknown = Client::new(world.addr, "NOSUCHKEY", om::SECRET_KEY);
    assert_eq!(unknown.get("/bucket/key").await.error(), (403, "InvalidAccessKeyId".into()));
    let mut headers = client.signed(Payload::Hashed, "GET", "/bucket/key", &[("x-amz-security-token", "made-up")], b"");
    let refused = client.send_raw("GET", "/bucket/key", headers.clone(), Bytes::new()).await;
    assert_eq!(refused.error(), (400, "InvalidToken".into()));
    headers.insert("x-amz-copy-source", HeaderValue::from_static("/bucket/other"));
    assert_eq!(client.send_raw("GET", "/bucket/key", headers, Bytes::new()).await.error(), (403, "AccessDenied".into()));
    world.clock.advance(types::Millis(16 * 60 * 1000));
    assert_eq!(client.get("/bucket/key").await.error(), (403, "RequestTimeTooSkewed".into()));
}

#[tokio::test]
async fn a_new_secret_counts_at_once_and_the_old_one_no_more() {
    let (world, client) = World::with_bucket().await;
    assert_eq!(client.get("/bucket").await.status, 200);
    world.om.state().secret = ("a new secret".into(), 2);
    assert_eq!(client.get("/bucket").await.error(), (403, "SignatureDoesNotMatch".into()));
    let renewed = Client::new(world.addr, om::ACCESS_KEY, "a new secret");
    assert_eq!(renewed.get("/bucket").await.status, 200);
}

#[tokio::test]
async fn a_url_is_good_for_what_it_was_signed_for() {
    let (world, client) = World::with_bucket().await;
    let url = client.presigned("PUT", "/bucket/key?x-id=PutObject");
    assert_eq!(client.send_raw("PUT", &url, client.host_only(), "by url".into()).await.status, 200);
    let url = client.presigned("GET", "/bucket/key?response-content-type=text%2Fcss");
    let got = client.send_raw("GET", &url, client.host_only(), Bytes::new()).await;
    assert_eq!((got.text(), got.header("content-type")), ("by url".into(), "text/css".into()));
    for bent in [url.replace("/bucket/key", "/bucket/other"), format!("{url}&versionId=null")] {
        let refused = client.send_raw("GET", &bent, client.host_only(), Bytes::new()).await;
        assert_eq!(refused.error(), (403, "SignatureDoesNotMatch".into()));
    }
    assert_eq!(client.send_raw("DELETE", &url, client.host_only(), Bytes::new()).await.error().0, 403);
    world.clock.advance(types::Millis(61_000));
    assert_eq!(client.send_raw("GET", &url, client.host_only(), Bytes::new()).await.error(), (403, "AccessDenied".into()));
    let signature = url.split("X-Amz-Signature=").nth(1).expect("signed");
    assert!(world.audit.all().iter().all(|line| !line.contains(signature)));
}

#[tokio::test]
async fn what_is_not_built_answers_so_and_does_nothing_else() {
    let (_world, client) = World::with_bucket().await;
    for (method, target) in [
        ("DELETE", "/bucket?replication"),
        ("DELETE", "/bucket?inventory&id=1"),
        ("PUT", "/bucket?analytics&id=1"),
        ("PUT", "/bucket/key?annotation&annotationName=a"),
        ("POST", "/bucket/key?select&select-type=2"),
    ] {
        let answer = client.send(method, target, &[], "").await;
        assert_eq!(answer.error(), (501, "NotImplemented".into()), "{method} {target}");
        assert!(!answer.element("Message").is_empty());
    }
    let annotated = client.send("PUT", "/bucket/key", &[("x-amz-object-annotation-directive", "COPY")], "x").await;
    assert_eq!(annotated.error(), (501, "NotImplemented".into()));
    assert_eq!(client.send("HEAD", "/bucket", &[], "").await.status, 200);
    assert_eq!(client.get("/bucket/key").await.error(), (404, "NoSuchKey".into()));
    assert_eq!(client.send("PATCH", "/bucket", &[], "").await.error(), (405, "MethodNotAllowed".into()));
    assert_eq!(client.get("/bucket?acl&policy").await.error(), (400, "InvalidArgument".into()));
}

#[tokio::test]
async fn every_answer_and_audit_line_carries_the_request_id() {
    let (world, client) = World::with_bucket().await;
    let answer = client.get("/bucket/none").await;
    assert_eq!(answer.element("RequestId"), answer.header("x-amz-request-id"));
    assert_eq!(answer.element("HostId"), answer.header("x-amz-id-2"));
    assert_eq!(answer.element("Resource"), "/bucket/none");
    let lines =
        || world.audit.all().into_iter().filter(|line| line.contains(&answer.header("x-amz-request-id"))).collect::<Vec<_>>();
    until("its line is written", || lines().len() == 1).await;
    let line: serde_json::Value = serde_json::from_str(&lines()[0]).expect("JSON");
    for (field, value) in [
        ("operation", "GetObject"),
        ("bucket", "bucket"),
        ("key", "none"),
        ("error", "NoSuchKey"),
        ("access_key", om::ACCESS_KEY),
        ("user", "owner-id"),
    ] {
        assert_eq!(line[field], value, "{line}");
    }
    assert_eq!(line["status"], 404);
}

#[tokio::test]
async fn a_body_is_not_asked_for_before_the_write_is_allowed() {
    let (_world, client) = World::with_bucket().await;
    let with_expect = |target: &str, client: &Client| {
        let mut headers = client.signed(Payload::Unsigned, "PUT", target, &[("content-length", "5368709120")], b"");
        headers.insert("expect", HeaderValue::from_static("100-continue"));
        headers
    };
    let wrong = Client::new(client.addr, om::ACCESS_KEY, "wrong");
    for (signer, target, code) in [(&wrong, "/bucket/key", "SignatureDoesNotMatch"), (&client, "/nobucket/key", "NoSuchBucket")] {
        let mut raw = client.raw().await;
        raw.write(head_text("PUT", target, &with_expect(target, signer))).await;
        let answer = raw.read_to_end().await;
        assert!(!answer.contains("100 Continue") && answer.contains(code), "{answer}");
    }
    let mut headers = with_expect("/bucket/key", &client);
    let mut small = client.signed(Payload::Unsigned, "PUT", "/bucket/key", &[("content-length", "5")], b"");
    small.insert("expect", headers.remove("expect").expect("set"));
    let mut raw = client.raw().await;
    raw.write(head_text("PUT", "/bucket/key", &small)).await;
    raw.read_until("HTTP/1.1 100 Continue\r\n\r\n").await;
    raw.write("hello").await;
    assert!(raw.read_until("\r\n\r\n").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn lengths_and_heads_are_judged_before_the_body() {
    let (_world, client) = World::with_bucket().await;
    let large = ("content-length", "5368709121");
    let headers = client.signed(Payload::Unsigned, "PUT", "/bucket/key", &[large, ("connection", "close")], b"");
    let mut raw = client.raw().await;
    raw.write(head_text("PUT", "/bucket/key", &headers)).await;
    assert!(raw.read_until("</Error>").await.contains("<Code>EntityTooLarge</Code>"));
    let headers = client.signed(Payload::Unsigned, "PUT", "/bucket/key", &[("connection", "close")], b"");
    let mut raw = client.raw().await;
    raw.write(head_text("PUT", "/bucket/key", &headers)).await;
    let answer = raw.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 411 ") && answer.contains("MissingContentLength"), "{answer}");
    let long = "v".repeat(20_000);
    let answer = client.send("GET", "/bucket", &[("x-amz-meta-long", &long)], "").await;
    assert_eq!(answer.error(), (400, "RequestHeaderSectionTooLarge".into()));
    let meta = "v".repeat(2049);
    let answer = client.send("PUT", "/bucket/key", &[("x-amz-meta-k", &meta)], "x").await;
    assert_eq!(answer.error(), (400, "MetadataTooLarge".into()));
    let document = "<Delete>".repeat(300_000);
    let answer = client.send("POST", "/bucket?delete", &[("x-amz-checksum-crc32", "AAAAAA==")], document).await;
    assert_eq!(answer.error(), (400, "MaxMessageLengthExceeded".into()));
}

#[tokio::test]
async fn a_head_or_a_body_that_stands_still_is_ended() {
    let config =
        Config { header_timeout: Duration::from_millis(100), idle_timeout: Duration::from_millis(100), ..Config::default() };
    let world = World::with(config).await;
    let client = world.client();
    client.put("/bucket", "").await;
    let mut raw = client.raw().await;
    raw.write("GET /bucket HTTP/1.1\r\nHo").await;
    raw.read_to_end().await;
    let headers = client.signed(Payload::Unsigned, "PUT", "/bucket/key", &[("content-length", "10")], b"");
    let mut raw = client.raw().await;
    raw.write(head_text("PUT", "/bucket/key", &headers)).await;
    raw.write("half").await;
    assert!(raw.read_to_end().await.contains("<Code>RequestTimeout</Code>"));
    until("the write was given up", || world.om.state().sessions.is_empty()).await;
}

#[tokio::test]
async fn buckets_are_found_by_their_host_too() {
    let (_world, client) = World::with_bucket().await;
    client.put("/bucket/key", "x").await;
    let mut headers = client.host_only();
    headers.insert("host", HeaderValue::from_static("bucket.s3.test:9878"));
    // The bucket of the host and the whole path as the key: unsigned, so only the audit tells.
    client.send_raw("GET", "/bucket/key", headers, Bytes::new()).await;
    let line = _world.audit.all().into_iter().next_back().expect("a line");
    assert!(line.contains(r#""bucket":"bucket","key":"bucket/key""#), "{line}");
    for host in ["bucket .s3.test", "a@b"] {
        let mut raw = client.raw().await;
        raw.write(format!("GET /bucket HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
        assert!(raw.read_to_end().await.contains("HTTP/1.1 400 "), "{host}");
    }
}

#[tokio::test]
async fn shutdown_lets_a_request_under_way_end() {
    let (world, client) = World::with_bucket().await;
    let headers = client.signed(Payload::Unsigned, "PUT", "/bucket/key", &[("content-length", "10")], b"");
    let mut raw = client.raw().await;
    raw.write(head_text("PUT", "/bucket/key", &headers)).await;
    raw.write("hello").await;
    until("the write is open", || !world.om.state().sessions.is_empty()).await;
    world.shutdown.start();
    raw.write("world").await;
    assert!(raw.read_to_end().await.starts_with("HTTP/1.1 200 "));
    world.served.await.expect("no panic").expect("served");
    assert!(world.om.state().buckets["bucket"].keys.contains_key("key"));
    assert!(tokio::net::TcpStream::connect(world.addr).await.is_err());
}

#[tokio::test]
async fn shutdown_ends_connections_without_a_request_at_once() {
    let (world, client) = World::with_bucket().await;
    let (mut half, idle) = (client.raw().await, client.raw().await);
    half.write("GET /bucket HTTP/1.1\r\nHost: h\r\nx-half: ").await;
    // Both have been accepted: a request on a later connection was answered.
    client.get("/bucket").await;
    world.shutdown.start();
    tokio::time::timeout(Duration::from_secs(5), world.served).await.expect("at once").expect("no panic").expect("served");
    drop(idle);
}

#[tokio::test]
async fn shutdown_lets_an_answer_on_its_way_arrive() {
    let (world, client) = World::with_bucket().await;
    let body = vec![b'x'; 12 << 20];
    assert_eq!(client.put("/bucket/large", body.clone()).await.status, 200);
    let headers = client.signed(Payload::Unsigned, "GET", "/bucket/large", &[], b"");
    let mut raw = client.raw().await;
    raw.write(head_text("GET", "/bucket/large", &headers)).await;
    let begun = raw.read_until("\r\n\r\n").await;
    world.shutdown.start();
    until("nobody is let in any more", || std::net::TcpStream::connect(world.addr).is_err()).await;
    let (_, first) = begun.split_once("\r\n\r\n").expect("a head");
    assert_eq!(first.len() + raw.read_to_end().await.len(), body.len());
}

#[tokio::test]
async fn heads_that_are_no_requests_are_told_why_in_xml() {
    let (world, client) = World::with_bucket().await;
    let many: String = (0..300).map(|n| format!("x-h-{n}: 1\r\n")).collect();
    let long = format!("x-long: {}\r\n", "v".repeat(70_000));
    for (head, status, code) in [
        (format!("GET /bucket HTTP/1.1\r\nHost: h\r\n{many}\r\n"), 400, "RequestHeaderSectionTooLarge"),
        (format!("GET /bucket HTTP/1.1\r\nHost: h\r\n{long}\r\n"), 400, "RequestHeaderSectionTooLarge"),
        ("PUT /bucket/key HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551615\r\n\r\n".into(), 400, "EntityTooLarge"),
        ("PUT /bucket/key HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n".into(), 400, "InvalidRequest"),
        ("PUT /bucket/key HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".into(), 400, "InvalidRequest"),
        ("GET /bucket HTTP/1.1\r\nHo st: h\r\n\r\n".into(), 400, "InvalidRequest"),
    ] {
        let mut raw = client.raw().await;
        raw.write(head.clone()).await;
        let answer = raw.read_to_end().await;
        let shown = &head[..head.len().min(90)];
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(&format!("<Code>{code}</Code>")),
            "{shown}: {answer}"
        );
        let id = element(&answer, "RequestId");
        assert!(answer.contains(&format!("x-amz-request-id: {id}\r\n")), "{answer}");
        let lines: Vec<String> = world.audit.all().into_iter().filter(|line| line.contains(&id)).collect();
        assert!(lines.len() == 1 && lines[0].contains(&format!(r#""error":"{code}""#)), "{lines:?}");
    }
}

#[tokio::test]
async fn a_body_whose_end_is_told_in_two_ways_is_refused() {
    let (world, client) = World::with_bucket().await;
    for framing in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 3",
        "transfer-encoding: chunked\r\nTransfer-Encoding: chunked",
    ] {
        let signed = client.signed(Payload::Unsigned, "PUT", "/bucket/key", &[], b"");
        let head = head_text("PUT", "/bucket/key", &signed);
        let head = head.replacen("\r\n\r\n", &format!("\r\n{framing}\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), 1);
        // In pieces, too, as a network may bring it.
        for size in [1, 50, head.len()] {
            let mut raw = client.raw().await;
            for piece in head.as_bytes().chunks(size) {
                raw.write(String::from_utf8_lossy(piece).into_owned()).await;
            }
            let answer = raw.read_to_end().await;
            assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("<Code>InvalidRequest</Code>"), "{framing}: {answer}");
        }
    }
    assert!(!world.om.state().buckets["bucket"].keys.contains_key("key"));
}
