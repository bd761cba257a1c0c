//! Objects over the wire: what was put is what is read, or nothing is.

#[expect(unreachable_pub, reason = "shared by the files of tests, of which each is a crate")]
mod support;

use std::sync::atomic::Ordering;

use support::client::Payload;
use support::{World, pattern, until};

#[tokio::test]
async fn an_object_comes_back_with_its_bytes_and_headers() {
    let (_world, client) = World::with_bucket().await;
    for length in [0, 1, 4096, 131_072, 131_073, 300_000, 300_001, 2_000_000] {
        let body = pattern(length);
        let headers = [("x-amz-meta-name", "value"), ("content-type", "text/plain"), ("cache-control", "no-store")];
        let put = client.send("PUT", "/bucket/a/b%20c", &headers, body.clone()).await;
        assert_eq!(put.status, 200, "{}", put.text());
        let got = client.get("/bucket/a/b%20c").await;
        assert_eq!((got.status, got.body == body, got.header("etag")), (200, true, put.header("etag")), "{length}");
        assert_eq!(got.header("content-length"), length.to_string());
        for (name, value) in headers {
            assert_eq!(got.header(name), value);
        }
        let head = client.send("HEAD", "/bucket/a/b%20c", &[], "").await;
        assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, length.to_string(), 0));
        assert_eq!(head.header("last-modified"), "Wed, 01 Jul 2026 00:00:00 GMT");
    }
}

#[tokio::test]
async fn a_range_is_a_part_of_the_object_across_its_blocks() {
    let (_world, client) = World::with_bucket().await;
    let body = pattern(1_000_000);
    client.put("/bucket/key", body.clone()).await;
    for (range, first, last) in [
        ("bytes=0-0", 0, 0),
        ("bytes=299999-300000", 299_999, 300_000),
        ("bytes=250000-", 250_000, 999_999),
        ("bytes=-400000", 600_000, 999_999),
        ("bytes=10-99999999", 10, 999_999),
    ] {
        let got = client.send("GET", "/bucket/key", &[("range", range)], "").await;
        assert_eq!((got.status, got.header("content-range")), (206, format!("bytes {first}-{last}/1000000")), "{range}");
        assert!(got.body == body[first..=last], "{range}");
    }
    let beyond = client.send("GET", "/bucket/key", &[("range", "bytes=1000000-")], "").await;
    assert_eq!(beyond.error(), (416, "InvalidRange".into()));
    assert_eq!(beyond.header("content-range"), "bytes */1000000");
    let nonsense = client.send("GET", "/bucket/key", &[("range", "bytes=5-2")], "").await;
    assert_eq!((nonsense.status, nonsense.body.len()), (200, 1_000_000));
}

#[tokio::test]
async fn a_body_that_is_not_what_was_signed_never_becomes_an_object() {
    let (world, client) = World::with_bucket().await;
    client.put("/bucket/key", "old").await;
    let headers = client.signed(Payload::Hashed, "PUT", "/bucket/key", &[], &pattern(400_000));
    let mut lie = pattern(400_000);
    lie[399_999] ^= 1;
    let refused = client.send_raw("PUT", "/bucket/key", headers, lie.into()).await;
    assert_eq!(refused.error(), (400, "XAmzContentSHA256Mismatch".into()));
    for (name, value, code) in [
        ("content-md5", "XUFAKrxLKna5cZ2REBfFkg==", "BadDigest"),
        ("x-amz-checksum-crc32", "AAAAAA==", "BadDigest"),
        ("content-md5", "short", "InvalidDigest"),
    ] {
        let refused = client.send("PUT", "/bucket/key", &[(name, value)], "new").await;
        assert_eq!(refused.error(), (400, code.into()), "{name}");
    }
    assert_eq!(client.get("/bucket/key").await.text(), "old");
    until("every session was given up", || world.om.state().sessions.is_empty() && world.om.state().abandoned == 3).await;
}

#[tokio::test]
async fn a_block_that_fails_is_written_elsewhere_and_nobody_notices() {
    let (world, client) = World::with_bucket().await;
    let body = pattern(1_000_000);
    world.blocks.reject_puts.store(3, Ordering::SeqCst);
    assert_eq!(client.put("/bucket/key", body.clone()).await.status, 200);
    assert_eq!(world.blocks.reject_puts.load(Ordering::SeqCst), 0);
    assert!(client.get("/bucket/key").await.body == body);
    world.blocks.reject_puts.store(u64::MAX, Ordering::SeqCst);
    assert_eq!(client.put("/bucket/other", body).await.error(), (503, "ServiceUnavailable".into()));
    world.blocks.reject_puts.store(0, Ordering::SeqCst);
    assert_eq!(client.get("/bucket/other").await.error(), (404, "NoSuchKey".into()));
}

#[tokio::test]
async fn a_read_that_breaks_goes_on_elsewhere_or_ends_the_connection() {
    let (world, client) = World::with_bucket().await;
    let body = pattern(1_000_000);
    client.put("/bucket/key", body.clone()).await;
    world.blocks.break_reads.store(2, Ordering::SeqCst);
    let got = client.get("/bucket/key").await;
    assert!(!got.broken && got.body == body);
    world.blocks.break_reads.store(u64::MAX, Ordering::SeqCst);
    let got = client.get("/bucket/key").await;
    // Some bytes may have come; never all of them, and never as if they were.
    assert!(got.status == 503 || got.broken, "{} {}", got.status, got.body.len());
    let small = client.send("GET", "/bucket/key", &[("range", "bytes=0-50000")], "").await;
    assert_eq!(small.error(), (503, "ServiceUnavailable".into()));
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing_behind() {
    let (world, client) = World::with_bucket().await;
    let headers = client.signed(Payload::Unsigned, "PUT", "/bucket/key", &[("content-length", "1000000")], b"");
    let mut raw = client.raw().await;
    raw.write(support::client::head_text("PUT", "/bucket/key", &headers)).await;
    raw.write(pattern(500_000)).await;
    until("the write is open", || !world.om.state().sessions.is_empty()).await;
    drop(raw);
    until("it was given up", || world.om.state().sessions.is_empty()).await;
    assert_eq!(client.get("/bucket/key").await.error(), (404, "NoSuchKey".into()));
}

#[tokio::test]
async fn bodies_come_in_chunks_with_and_without_a_trailer() {
    let (_world, client) = World::with_bucket().await;
    let data = "hello".repeat(2000);
    let crc = "x-amz-checksum-crc32c";
    let sum = {
        let mut hasher = gateway_core::payload::ChecksumHasher::new(types::ChecksumAlgorithm::Crc32c);
        hasher.update(data.as_bytes());
        gateway_core::encoding::base64_encode(hasher.finish().digest())
    };
    let body = format!("{:x}\r\n{data}\r\n0\r\n{crc}:{sum}\r\n\r\n", data.len());
    let length = data.len().to_string();
    let headers =
        [("x-amz-decoded-content-length", length.as_str()), ("x-amz-trailer", crc), ("content-encoding", "aws-chunked")];
    let put = client.send_as(Payload::UnsignedTrailer, "PUT", "/bucket/key", &headers, body.clone()).await;
    assert_eq!((put.status, put.header(crc)), (200, sum), "{}", put.text());
    let got = client.send("GET", "/bucket/key", &[("x-amz-checksum-mode", "ENABLED")], "").await;
    assert_eq!((got.text(), got.header(crc), got.header("content-encoding")), (data, put.header(crc), String::new()));
    let cut = &body[..body.len() - 4];
    let refused = client.send_as(Payload::UnsignedTrailer, "PUT", "/bucket/key", &headers, cut.to_owned()).await;
    assert_eq!(refused.error(), (400, "IncompleteBody".into()));

    // Chunks of HTTP itself, of unknown length.
    let headers = client.signed(
        Payload::Unsigned,
        "PUT",
        "/bucket/plain",
        &[("transfer-encoding", "chunked"), ("connection", "close")],
        b"",
    );
    let mut raw = client.raw().await;
    raw.write(support::client::head_text("PUT", "/bucket/plain", &headers)).await;
    raw.write("5\r\nhello\r\n0\r\n\r\n").await;
    assert!(raw.read_to_end().await.starts_with("HTTP/1.1 200 "));
    assert_eq!(client.get("/bucket/plain").await.text(), "hello");
}

#[tokio::test]
async fn conditions_are_kept() {
    let (_world, client) = World::with_bucket().await;
    let etag = client.put("/bucket/key", "one").await.header("etag");
    let get = |name: &'static str, value: String| {
        let client = client.clone();
        async move { client.send("GET", "/bucket/key", &[(name, value.as_str())], "").await }
    };
    let unchanged = get("if-none-match", etag.clone()).await;
    assert_eq!((unchanged.status, unchanged.header("etag"), unchanged.body.len()), (304, etag.clone(), 0));
    assert_eq!(get("if-match", "\"x\"".into()).await.error(), (412, "PreconditionFailed".into()));
    assert_eq!(get("if-match", etag.clone()).await.status, 200);
    assert_eq!(get("if-modified-since", "Wed, 01 Jul 2026 00:00:00 GMT".into()).await.status, 304);
    let put = |name: &'static str, value: String| {
        let client = client.clone();
        async move { client.send("PUT", "/bucket/key", &[(name, value.as_str())], "two").await }
    };
    assert_eq!(put("if-none-match", "*".into()).await.error(), (412, "PreconditionFailed".into()));
    assert_eq!(put("if-match", "W/\"x\"".into()).await.error(), (412, "PreconditionFailed".into()));
    assert_eq!(put("if-match", etag).await.status, 200);
    assert_eq!(client.get("/bucket/key").await.text(), "two");
}

#[tokio::test]
async fn a_copy_takes_the_source_and_new_metadata_only_when_told() {
    let (_world, client) = World::with_bucket().await;
    client.send("PUT", "/bucket/a%3Fb", &[("x-amz-meta-k", "old")], "data").await;
    let copy = |target: &'static str, headers: &'static [(&'static str, &'static str)]| {
        let client = client.clone();
        async move { client.send("PUT", target, headers, "").await }
    };
    let copied = copy("/bucket/copy", &[("x-amz-copy-source", "/bucket/a%3Fb"), ("x-amz-meta-k", "new")]).await;
    assert_eq!((copied.status, copied.element("ETag")), (200, "&quot;8d777f385d3dfec8815d20f7496026dc&quot;".into()));
    assert_eq!(client.get("/bucket/copy").await.header("x-amz-meta-k"), "old");
    let replaced = [("x-amz-copy-source", "bucket/copy"), ("x-amz-metadata-directive", "REPLACE"), ("x-amz-meta-k", "new")];
    assert_eq!(copy("/bucket/copy", Box::leak(Box::new(replaced))).await.status, 200);
    assert_eq!(client.get("/bucket/copy").await.header("x-amz-meta-k"), "new");
    assert_eq!(copy("/bucket/copy", &[("x-amz-copy-source", "bucket/copy")]).await.error(), (400, "InvalidRequest".into()));
    assert_eq!(copy("/bucket/x", &[("x-amz-copy-source", "bucket/none")]).await.error(), (404, "NoSuchKey".into()));
    assert_eq!(copy("/bucket/x", &[("x-amz-copy-source", "")]).await.error(), (400, "InvalidArgument".into()));
}

#[tokio::test]
async fn deleting_is_idempotent_and_many_go_at_once() {
    let (_world, client) = World::with_bucket().await;
    for key in ["a", "b&c", "d"] {
        client.put(&format!("/bucket/{}", key.replace('&', "%26")), "x").await;
    }
    assert_eq!(client.send("DELETE", "/bucket/a", &[], "").await.status, 204);
    assert_eq!(client.send("DELETE", "/bucket/a", &[], "").await.status, 204);
    let body = "<Delete><Object><Key>b&amp;c</Key><VersionId>null</VersionId></Object><Object><Key>none</Key></Object></Delete>";
    let bare = client.send("POST", "/bucket?delete", &[], body).await;
    assert_eq!(bare.error(), (400, "InvalidRequest".into()));
    let md5 = gateway_core::encoding::base64_encode(&{
        use md5::Digest;
        md5::Md5::digest(body)
    });
    let deleted = client.send("POST", "/bucket?delete", &[("content-md5", &md5)], body).await;
    assert_eq!((deleted.status, deleted.text().matches("<Deleted>").count()), (200, 2), "{}", deleted.text());
    let left = client.get("/bucket").await;
    assert_eq!((left.element("Key"), left.text().matches("<Contents>").count()), ("d".into(), 1));
    assert_eq!(client.send("DELETE", "/bucket", &[], "").await.error(), (409, "BucketNotEmpty".into()));
}

#[tokio::test]
async fn pages_of_keys_join_without_gap_or_repeat() {
    let (_world, client) = World::with_bucket().await;
    for key in ["a", "b/1", "b/2", "c", "d%20+", "e"] {
        client.put(&format!("/bucket/{key}"), "x").await;
    }
    let (mut names, mut token) = (Vec::new(), String::new());
    loop {
        let token_text = if token.is_empty() { String::new() } else { format!("&continuation-token={token}") };
        let page = client.get(&format!("/bucket?list-type=2&max-keys=2&delimiter=%2F&encoding-type=url{token_text}")).await;
        assert_eq!(page.status, 200, "{}", page.text());
        let text = page.text();
        names.extend(text.split("<Key>").skip(1).map(|rest| rest.split('<').next().unwrap_or_default().to_owned()));
        names.extend(
            text.split("<CommonPrefixes><Prefix>").skip(1).map(|rest| rest.split('<').next().unwrap_or_default().to_owned()),
        );
        token = page.element("NextContinuationToken");
        assert_eq!(page.element("IsTruncated"), (!token.is_empty()).to_string());
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["a", "b/", "c", "d%20%2B", "e"]);
    let v1 = client.get("/bucket?max-keys=0").await;
    assert_eq!((v1.element("IsTruncated"), v1.text().contains("<Marker></Marker>")), ("false".into(), true));
    assert_eq!(client.get("/bucket?max-keys=x").await.error(), (400, "InvalidArgument".into()));
    assert_eq!(client.get("/nobucket").await.error(), (404, "NoSuchBucket".into()));
}
