//! Encryption over the wire: what datanodes get is sealed, and what clients get is what they sent, or nothing.

#[expect(unreachable_pub, reason = "shared by the files of tests, of which each is a crate")]
mod support;

use support::client::Client;
use support::{World, pattern};

const STORE: [(&str, &str); 1] = [("x-amz-server-side-encryption", "AES256")];
const KEY: &str = "pO3upElrwuEXSoFwCfnZPdSsmt/xWeFa0N9KgDijwVs=";
const KEY_MD5: &str = "DWygnHRtgiJ77HCm+1rvHw==";
const CUSTOMER: [(&str, &str); 3] = [
    ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
    ("x-amz-server-side-encryption-customer-key", KEY),
    ("x-amz-server-side-encryption-customer-key-md5", KEY_MD5),
];
const OTHER: [(&str, &str); 3] = [
    ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
    ("x-amz-server-side-encryption-customer-key", "6b+WOZ1T3cqZMxgThRcXAQBrS5mXKdDUphvpxptl9/4="),
    ("x-amz-server-side-encryption-customer-key-md5", "arxBvwY2V4SiOne6yppVPQ=="),
];
const KMS: [(&str, &str); 2] =
    [("x-amz-server-side-encryption", "aws:kms"), ("x-amz-server-side-encryption-aws-kms-key-id", "k")];

fn contains(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn what_datanodes_get_is_sealed_and_what_clients_get_is_what_they_sent() {
    for (headers, reads_with) in [(&STORE[..], &[][..]), (&KMS, &[]), (&CUSTOMER, &CUSTOMER)] {
        for length in [0, 1, 65_535, 65_536, 65_537, 131_072, 300_000, 1_000_000] {
            let (world, client) = World::with_bucket().await;
            let body = pattern(length);
            let put = client.send("PUT", "/bucket/key", headers, body.clone()).await;
            assert_eq!(put.status, 200, "{}", put.text());
            let stored = world.blocks.stored();
            assert_eq!(stored.len(), length + length.div_ceil(65_536) * 16);
            assert!(length < 16 || !contains(&stored, &body[..16]), "the bytes lie there as they are");
            let got = client.send("GET", "/bucket/key", reads_with, "").await;
            assert_eq!((got.status, got.body == body, got.header("etag")), (200, true, put.header("etag")), "{length}");
            assert_eq!(got.header("content-length"), length.to_string());
            let (shown, expected) = if reads_with.is_empty() { headers[0] } else { headers[2] };
            for answer in [&put, &got, &client.send("HEAD", "/bucket/key", reads_with, "").await] {
                assert_eq!(answer.header(shown), expected);
            }
        }
    }
}

async fn ranges_read_as_they_were_written(client: &Client, body: &[u8], reads_with: &[(&str, &str)]) {
    let last = body.len() - 1;
    for (first, last) in
        [(0, 0), (65_535, 65_536), (65_536, 65_536), (1, last), (299_990, 300_010), (599_999, 655_360), (last, last)]
    {
        let range = format!("bytes={first}-{last}");
        let headers = [reads_with, &[("range", range.as_str())]].concat();
        let got = client.send("GET", "/bucket/key", &headers, "").await;
        assert_eq!((got.status, got.header("content-range")), (206, format!("bytes {first}-{last}/{}", body.len())));
        assert!(got.body == body[first..=last], "{range}");
    }
}

/// The namespace tells two blocks at a time, so that a read goes on in the middle of segments and parts.
#[tokio::test]
async fn a_range_is_read_over_the_borders_of_segments_blocks_and_parts() {
    let (_world, client) = World::with_bucket().await;
    let body = pattern(1_500_000);
    client.send("PUT", "/bucket/key", &STORE, body.clone()).await;
    ranges_read_as_they_were_written(&client, &body, &[]).await;

    let created = client.send("POST", "/bucket/key?uploads", &CUSTOMER, "").await;
    let upload = created.element("UploadId");
    let mut document = String::from("<CompleteMultipartUpload>");
    for (number, piece) in (1..).zip(body.chunks(600_000)) {
        let path = format!("/bucket/key?partNumber={number}&uploadId={upload}");
        let part = client.send("PUT", &path, &CUSTOMER, piece.to_vec()).await;
        assert_eq!((part.status, part.header(CUSTOMER[2].0)), (200, KEY_MD5.to_owned()), "{}", part.text());
        let again = client.send("PUT", &path, &CUSTOMER, piece.to_vec()).await;
        assert_eq!(again.header("etag"), part.header("etag"), "the same bytes sent again are the same part");
        document += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag></Part>", part.header("etag"));
    }
    document += "</CompleteMultipartUpload>";
    let path = format!("/bucket/key?uploadId={upload}");
    assert_eq!(client.send("POST", &path, &[], document.clone()).await.error(), (400, "InvalidRequest".into()));
    assert_eq!(client.send("POST", &path, &OTHER, document.clone()).await.error(), (400, "InvalidRequest".into()));
    let completed = client.send("POST", &path, &CUSTOMER, document).await;
    assert_eq!((completed.status, completed.header(CUSTOMER[2].0)), (200, KEY_MD5.to_owned()), "{}", completed.text());
    assert!(client.send("GET", "/bucket/key", &CUSTOMER, "").await.body == body);
    ranges_read_as_they_were_written(&client, &body, &CUSTOMER).await;
}

#[tokio::test]
async fn a_clients_key_is_asked_for_and_held_against_the_one_before() {
    let (_world, client) = World::with_bucket().await;
    client.send("PUT", "/bucket/key", &CUSTOMER, "secret").await;
    client.put("/bucket/plain", "open").await;
    let attributes = [("x-amz-object-attributes", "ObjectSize")];
    for (method, path, more) in
        [("GET", "/bucket/key", &[][..]), ("HEAD", "/bucket/key", &[]), ("GET", "/bucket/key?attributes", &attributes)]
    {
        for (key, status) in [(&[][..], 400), (&OTHER, 400), (&CUSTOMER, 200)] {
            let got = client.send(method, path, &[key, more].concat(), "").await;
            assert_eq!(got.status, status, "{method} {path} {key:?}: {}", got.text());
        }
    }
    let unneeded = client.send("GET", "/bucket/plain", &CUSTOMER, "").await;
    assert_eq!(unneeded.error(), (400, "InvalidRequest".into()));
    let created = client.send("POST", "/bucket/big?uploads", &CUSTOMER, "").await;
    let path = format!("/bucket/big?partNumber=1&uploadId={}", created.element("UploadId"));
    for key in [&[][..], &OTHER] {
        assert_eq!(client.send("PUT", &path, key, "x").await.error(), (400, "InvalidRequest".into()));
    }
}

#[tokio::test]
async fn an_entity_tag_is_an_md5_only_where_that_gives_nothing_away() {
    let (_world, client) = World::with_bucket().await;
    let plain = client.put("/bucket/key", "hello").await.header("etag");
    let tag = |headers: &'static [(&str, &str)]| {
        let client = &client;
        async move { client.send("PUT", "/bucket/key", headers, "hello").await.header("etag") }
    };
    assert_eq!(plain, "\"5d41402abc4b2a76b9719d911017c592\"");
    assert_eq!(tag(&STORE).await, plain);
    let (by_kms, by_client, again) = (tag(&KMS).await, tag(&CUSTOMER).await, tag(&CUSTOMER).await);
    assert!(by_kms != plain && by_client != plain && by_client != again);
}

#[tokio::test]
async fn bytes_that_were_tampered_with_are_an_error_and_nothing_else() {
    for at in [0, 100, 65_551] {
        let (world, client) = World::with_bucket().await;
        client.send("PUT", "/bucket/key", &STORE, pattern(100_000)).await;
        world.blocks.flip_a_bit(at);
        assert_eq!(client.get("/bucket/key").await.error(), (500, "InternalError".into()), "byte {at}");
    }
    // Segments that were not touched can be read.
    let (world, client) = World::with_bucket().await;
    let body = pattern(100_000);
    client.send("PUT", "/bucket/key", &STORE, body.clone()).await;
    world.blocks.flip_a_bit(70_000);
    let got = client.send("GET", "/bucket/key", &[("range", "bytes=10-20")], "").await;
    assert_eq!((got.status, got.body == body[10..=20]), (206, true));
}

#[tokio::test]
async fn a_copy_is_encrypted_as_it_says_and_opens_its_source_as_that_says() {
    let (world, client) = World::with_bucket().await;
    let body = pattern(400_000);
    let of_source = [
        ("x-amz-copy-source-server-side-encryption-customer-algorithm", "AES256"),
        ("x-amz-copy-source-server-side-encryption-customer-key", KEY),
        ("x-amz-copy-source-server-side-encryption-customer-key-md5", KEY_MD5),
    ];
    let meta = [("x-amz-meta-a", "b"), ("content-type", "text/plain")];
    for (source, opens) in [(&[][..], &[][..]), (&STORE, &[]), (&CUSTOMER, &of_source)] {
        client.send("PUT", "/bucket/source", &[source, &meta].concat(), body.clone()).await;
        for (copy, reads_with) in [(&[][..], &[][..]), (&STORE, &[]), (&KMS, &[]), (&OTHER, &OTHER)] {
            let headers = [&[("x-amz-copy-source", "/bucket/source")], opens, copy].concat();
            let copied = client.send("PUT", "/bucket/copy", &headers, "").await;
            assert_eq!(copied.status, 200, "{source:?} to {copy:?}: {}", copied.text());
            let got = client.send("GET", "/bucket/copy", reads_with, "").await;
            assert_eq!((got.status, got.body == body), (200, true), "{source:?} to {copy:?}");
            assert_eq!((got.header("x-amz-meta-a"), got.header("content-type")), ("b".into(), "text/plain".into()));
            for (name, value) in copy.iter().filter(|(name, _)| !name.ends_with("customer-key")) {
                assert_eq!((copied.header(name), got.header(name)), (value.to_string(), value.to_string()));
            }
        }
    }
    let without = client.send("PUT", "/bucket/copy", &[("x-amz-copy-source", "/bucket/source")], "").await;
    assert_eq!(without.error(), (400, "InvalidRequest".into()));
    assert!(world.audit.all().iter().all(|line| !line.contains(KEY)), "a client's key is in no audit line");
}

#[tokio::test]
async fn headers_that_an_operation_does_not_obey_are_refused() {
    let (_world, client) = World::with_bucket().await;
    client.put("/bucket/key", "x").await;
    for (method, path, headers) in [
        ("GET", "/bucket/key", &STORE[..]),
        ("GET", "/bucket/key", &KMS),
        ("DELETE", "/bucket/key", &CUSTOMER),
        ("PUT", "/bucket/key", &[("x-amz-server-side-encryption", "aes:kms")]),
        ("PUT", "/bucket/key", &[STORE[0], CUSTOMER[0], CUSTOMER[1], CUSTOMER[2]]),
        ("PUT", "/bucket/key", &[KMS[1]]),
        ("PUT", "/bucket/key", &[CUSTOMER[0], CUSTOMER[1]]),
    ] {
        let refused = client.send(method, path, headers, "").await;
        assert_eq!(refused.status, 400, "{method} {headers:?}");
        assert!(!refused.text().contains(KEY));
    }
    assert_eq!(client.get("/bucket/key").await.text(), "x");
}
