//! Multipart uploads over the wire.

#[expect(unreachable_pub, reason = "shared by the files of tests, of which each is a crate")]
mod support;

use gateway_core::payload::ChecksumHasher;
use support::client::Client;
use support::{World, pattern};
use types::ChecksumAlgorithm;

async fn begin(client: &Client, headers: &[(&str, &str)]) -> String {
    let begun = client.send("POST", "/bucket/key?uploads", headers, "").await;
    assert_eq!(begun.status, 200, "{}", begun.text());
    begun.element("UploadId")
}

async fn part(client: &Client, upload: &str, number: u32, body: Vec<u8>) -> String {
    let put = client.put(&format!("/bucket/key?partNumber={number}&uploadId={upload}"), body).await;
    assert_eq!(put.status, 200, "{}", put.text());
    put.header("etag")
}

fn document(parts: &[(u32, &str)]) -> String {
    let list: String =
        parts.iter().map(|(n, tag)| format!("<Part><PartNumber>{n}</PartNumber><ETag>{tag}</ETag></Part>")).collect();
    format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>")
}

#[tokio::test]
async fn parts_become_one_object_and_a_second_completion_is_answered_as_the_first() {
    let (world, client) = World::with_bucket().await;
    let upload = begin(&client, &[("x-amz-meta-k", "v"), ("content-type", "x/y")]).await;
    let (one, two) = (pattern(400_000), pattern(7));
    let first = part(&client, &upload, 1, one.clone()).await;
    part(&client, &upload, 3, b"wrong".to_vec()).await;
    let third = part(&client, &upload, 3, two.clone()).await;
    part(&client, &upload, 9, b"never named".to_vec()).await;
    let listed = client.get(&format!("/bucket/key?uploadId={upload}&max-parts=2")).await;
    assert_eq!((listed.element("IsTruncated"), listed.element("NextPartNumberMarker")), ("true".into(), "3".into()));
    assert_eq!(client.get("/bucket?uploads").await.element("UploadId"), upload);
    let body = document(&[(1, &first), (3, third.trim_matches('"'))]);
    let target = format!("/bucket/key?uploadId={upload}");
    let completed = client.send("POST", &target, &[], body.clone()).await;
    assert_eq!(completed.status, 200, "{}", completed.text());
    assert!(completed.element("ETag").ends_with("-2&quot;"));
    let got = client.get("/bucket/key").await;
    assert_eq!((got.header("x-amz-meta-k"), got.header("content-type")), ("v".into(), "x/y".into()));
    assert!(got.body == [one, two.clone()].concat());
    let again = client.send("POST", &target, &[], body).await;
    assert_eq!((again.status, again.element("ETag")), (200, completed.element("ETag")));
    let other = client.send("POST", &target, &[], document(&[(1, &first)])).await;
    assert_eq!(other.error(), (404, "NoSuchUpload".into()));
    let third_part = client.get("/bucket/key?partNumber=3").await;
    assert_eq!((third_part.status, third_part.body == two, third_part.header("x-amz-mp-parts-count")), (206, true, "2".into()));
    assert_eq!(third_part.header("content-range"), "bytes 400000-400006/400007");
    assert_eq!(client.get("/bucket/key?partNumber=2").await.error(), (416, "InvalidPartNumber".into()));
    assert!(world.om.state().sessions.is_empty());
}

#[tokio::test]
async fn a_completion_that_names_what_is_not_there_changes_nothing() {
    let (_world, client) = World::with_bucket().await;
    let upload = begin(&client, &[]).await;
    let tag = part(&client, &upload, 1, pattern(10)).await;
    let other = "\"00000000000000000000000000000000\"";
    for (body, code) in [
        (document(&[(2, &tag)]), "InvalidPart"),
        (document(&[(1, other)]), "InvalidPart"),
        (document(&[(1, &tag), (1, &tag)]), "InvalidPartOrder"),
        (document(&[(2, &tag), (1, &tag)]), "InvalidPartOrder"),
        (document(&[]), "MalformedXML"),
        ("<CompleteMultipartUpload>".into(), "MalformedXML"),
    ] {
        let refused = client.send("POST", &format!("/bucket/key?uploadId={upload}"), &[], body.clone()).await;
        assert_eq!(refused.error(), (400, code.into()), "{body}");
    }
    assert_eq!(client.get("/bucket/key").await.error(), (404, "NoSuchKey".into()));
    for (method, target) in [
        ("POST", "/bucket/key?uploadId=../../x"),
        ("DELETE", "/bucket/key?uploadId=00000000000000000000000000000000"),
        ("GET", "/bucket/key?uploadId=x"),
        ("PUT", "/bucket/key?uploadId=x&partNumber=1"),
    ] {
        let body = if method == "POST" { document(&[(1, &tag)]) } else { String::new() };
        assert_eq!(client.send(method, target, &[], body).await.error(), (404, "NoSuchUpload".into()), "{method} {target}");
    }
    for number in ["0", "-1", "10001", "1.5", "4294967297", ""] {
        let refused = client.put(&format!("/bucket/key?uploadId={upload}&partNumber={number}"), "x").await;
        assert_eq!(refused.error(), (400, "InvalidArgument".into()), "{number}");
    }
    assert_eq!(client.send("DELETE", &format!("/bucket/key?uploadId={upload}"), &[], "").await.status, 204);
    assert_eq!(
        client.put(&format!("/bucket/key?uploadId={upload}&partNumber=1"), "x").await.error(),
        (404, "NoSuchUpload".into())
    );
}

#[tokio::test]
async fn the_object_has_the_checksum_that_the_upload_asked_for() {
    let (_world, client) = World::with_bucket().await;
    let sum = |bytes: &[u8]| {
        let mut hasher = ChecksumHasher::new(ChecksumAlgorithm::Crc32);
        hasher.update(bytes);
        gateway_core::encoding::base64_encode(hasher.finish().digest())
    };
    let algorithm = ("x-amz-checksum-algorithm", "CRC32");
    let upload = begin(&client, &[algorithm, ("x-amz-checksum-type", "FULL_OBJECT")]).await;
    // Without a checksum of its own, the part gets the upload's.
    let first = part(&client, &upload, 1, b"hello ".to_vec()).await;
    let mismatch = client
        .send(
            "PUT",
            &format!("/bucket/key?partNumber=2&uploadId={upload}"),
            &[("x-amz-checksum-sha1", "qvTGHdzF6KLavt4PO0gs2a6pQ00=")],
            "hello",
        )
        .await;
    assert_eq!(mismatch.error(), (400, "InvalidRequest".into()));
    let source = client.put("/bucket/source", "a world apart").await;
    assert_eq!(source.status, 200);
    let headers = [("x-amz-copy-source", "bucket/source"), ("x-amz-copy-source-range", "bytes=2-6")];
    let copied = client.send("PUT", &format!("/bucket/key?partNumber=2&uploadId={upload}"), &headers, "").await;
    assert_eq!((copied.status, copied.element("ChecksumCRC32")), (200, sum(b"world")), "{}", copied.text());
    let second = copied.element("ETag");
    let body = document(&[(1, &first), (2, &second)]);
    let target = format!("/bucket/key?uploadId={upload}");
    let wrong = client.send("POST", &target, &[("x-amz-checksum-crc32", "AAAAAA==")], body.clone()).await;
    assert_eq!(wrong.error(), (400, "BadDigest".into()));
    let completed = client.send("POST", &target, &[("x-amz-checksum-crc32", &sum(b"hello world"))], body).await;
    assert_eq!((completed.status, completed.element("ChecksumType")), (200, "FULL_OBJECT".into()), "{}", completed.text());
    let got = client.send("GET", "/bucket/key", &[("x-amz-checksum-mode", "ENABLED")], "").await;
    assert_eq!((got.text(), got.header("x-amz-checksum-crc32")), ("hello world".into(), sum(b"hello world")));
    for bad in [("bytes=0-100", 416, "InvalidRange"), ("bytes=5", 400, "InvalidArgument")] {
        let upload = begin(&client, &[algorithm]).await;
        let headers = [("x-amz-copy-source", "bucket/source"), ("x-amz-copy-source-range", bad.0)];
        let refused = client.send("PUT", &format!("/bucket/key?partNumber=1&uploadId={upload}"), &headers, "").await;
        assert_eq!(refused.error(), (bad.1, bad.2.into()));
    }
}
