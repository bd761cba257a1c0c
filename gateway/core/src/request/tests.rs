use http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn head(host: &str, target: &str) -> Result<RequestHead, S3Error> {
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, HeaderValue::from_str(host).expect("a header value"));
    let uri: Uri = target.parse().expect("a target that hyper lets through");
    RequestHead::parse(Method::GET, &uri, headers, &Addressing::new(["s3.example.com", "example.com", "localhost"]))
}

/// Bucket and key, empty where there is none.
fn names(host: &str, target: &str) -> Result<(String, String), S3ErrorCode> {
    let target = head(host, target).map_err(|error| error.code())?.target;
    let bucket = target.bucket.map(|bucket| bucket.to_string());
    let key = target.key.map(|key| key.as_str().to_owned());
    Ok((bucket.unwrap_or_default(), key.unwrap_or_default()))
}

#[test]
fn the_bucket_stands_in_the_path_or_in_the_host() {
    for (host, target, bucket, key) in [
        ("127.0.0.1:9878", "/", "", ""),
        ("127.0.0.1:9878", "/bucket", "bucket", ""),
        ("127.0.0.1:9878", "/bucket/", "bucket", ""),
        ("127.0.0.1:9878", "/bucket/a/b", "bucket", "a/b"),
        ("s3.example.com", "/bucket/a", "bucket", "a"),
        ("S3.Example.COM:443", "/bucket/a", "bucket", "a"),
        ("bucket.s3.example.com", "/other/a", "bucket", "other/a"),
        ("bucket.s3.example.com:9878", "/", "bucket", ""),
        ("my.bucket.s3.example.com", "/a", "my.bucket", "a"),
        ("bucket.localhost:9878", "/a", "bucket", "a"),
        ("unknown.org", "/bucket/a", "bucket", "a"),
        ("s3.example.com", "/red:bucket/a:b", "red:bucket", "a:b"),
        ("s3.example.com", "/red%3Abucket/a", "red:bucket", "a"),
        ("s3.example.com", "/red%3abucket", "red:bucket", ""),
        ("s3.example.com", "/:bucket/a", ":bucket", "a"),
        ("s3.example.com", "/s3v:bucket/a", ":bucket", "a"),
        ("bucket.s3.example.com", "/red:other/a", "bucket", "red:other/a"),
        ("[::1]:9878", "/bucket/a", "bucket", "a"),
        ("[::1]", "/bucket", "bucket", ""),
    ] {
        assert_eq!(names(host, target), Ok((bucket.into(), key.into())), "{host} {target}");
    }
}

#[test]
fn a_request_about_an_account_is_about_no_bucket() {
    let control = |host: &str, target: &str, account: Option<&'static str>| {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).expect("a header value"));
        headers.extend(account.map(|number| (HeaderName::from_static("x-amz-account-id"), HeaderValue::from_static(number))));
        let uri: Uri = target.parse().expect("a target");
        let head = RequestHead::parse(Method::GET, &uri, headers, &Addressing::new(["localhost"])).expect("well formed");
        (head.target.control, head.target.bucket.map(|bucket| bucket.to_string()))
    };
    let path = "/v20180820/configuration/publicAccessBlock";
    let is_control = (Some("configuration/publicAccessBlock".to_owned()), None);
    for host in ["123456789012.localhost:9878", "localhost", "123456789012.store.example", "127.0.0.1:9878"] {
        assert_eq!(control(host, path, Some("123456789012")), is_control, "{host}");
    }
    // A bucket may have that name, and an object that key.
    assert_eq!(control("localhost", path, None), (None, Some("v20180820".into())));
    assert_eq!(control("123456789012.localhost", path, None), (None, Some("123456789012".into())));
    assert_eq!(control("localhost", "/v20180820x/k", Some("1")), (None, Some("v20180820x".into())));
}

#[test]
fn a_key_is_decoded_once_and_taken_literally() {
    for (target, key) in [
        ("/bucket/../other/key", "../other/key"),
        ("/bucket/%2e%2e/other/key", "../other/key"),
        ("/bucket/..%2fother/key", "../other/key"),
        ("/bucket/%252e%252e/other", "%2e%2e/other"),
        ("/bucket/..%5cother", "..\\other"),
        ("/bucket//../key", "/../key"),
        ("/bucket/./k", "./k"),
        ("/bucket//", "/"),
        ("/bucket///", "//"),
        ("/bucket/a%2Fb", "a/b"),
        ("/bucket/a+b%20c", "a+b c"),
        ("/bucket/%01%7F%EF%BF%BE", "\u{1}\u{7f}\u{fffe}"),
        ("/bucket/e%CC%81", "e\u{301}"),
        ("/bucket/%C3%A9", "\u{e9}"),
        ("/bucket/CON:x", "CON:x"),
    ] {
        assert_eq!(names("h", target), Ok(("bucket".into(), key.into())), "{target}");
    }
}

#[test]
fn a_target_that_is_no_text_or_too_long_is_refused() {
    let long = format!("/bucket/{}", "k".repeat(1025));
    for (target, code) in [
        ("/bucket/%c3%28", S3ErrorCode::InvalidURI),
        ("/bucket/%ff", S3ErrorCode::InvalidURI),
        ("/bucket/%", S3ErrorCode::InvalidURI),
        ("/bucket/%zz", S3ErrorCode::InvalidURI),
        ("/bucket/a%00b", S3ErrorCode::InvalidURI),
        ("/bucket/k?prefix=%zz", S3ErrorCode::InvalidURI),
        (long.as_str(), S3ErrorCode::KeyTooLongError),
        ("//key", S3ErrorCode::InvalidBucketName),
        ("/bucket%2Fkey", S3ErrorCode::InvalidBucketName),
        ("/..", S3ErrorCode::InvalidBucketName),
        ("/a", S3ErrorCode::InvalidBucketName),
        ("/Bucket/k", S3ErrorCode::InvalidBucketName),
        ("/192.168.5.4/k", S3ErrorCode::InvalidBucketName),
        ("*", S3ErrorCode::InvalidURI),
    ] {
        assert_eq!(names("h", target), Err(code), "{target}");
    }
    assert_eq!(names("h", &format!("/bucket/{}", "k".repeat(1024))).map(|(_, key)| key.len()), Ok(1024));
    let many = format!("/bucket?{}", "a&".repeat(10_000));
    assert_eq!(names("h", &many), Err(S3ErrorCode::InvalidURI));
}

#[test]
fn a_host_that_says_two_things_or_nothing_is_refused() {
    for host in ["a b", "", ":80", "h:80x", "h:123456", "[::1", "[zz]", "[::1]x", "h/b", "h@b"] {
        assert_eq!(names(host, "/bucket"), Err(S3ErrorCode::InvalidRequest), "{host}");
    }
    assert_eq!(names("Bad_Label.s3.example.com", "/k"), Err(S3ErrorCode::InvalidBucketName));
    let uri: Uri = "/bucket".parse().expect("a target");
    let mut twice = HeaderMap::new();
    twice.append(header::HOST, HeaderValue::from_static("a"));
    twice.append(header::HOST, HeaderValue::from_static("b"));
    for headers in [twice, HeaderMap::new()] {
        let refused = RequestHead::parse(Method::GET, &uri, headers, &Addressing::default()).expect_err("refused");
        assert_eq!(refused.code(), S3ErrorCode::InvalidRequest);
    }
    assert_eq!(names("a", "http://b/bucket"), Err(S3ErrorCode::InvalidRequest));
    assert_eq!(names("b", "http://b/bucket/k"), Ok(("bucket".into(), "k".into())));
}

#[test]
fn a_query_keeps_its_order_and_knows_what_is_repeated() {
    let query = Query::parse("uploads&prefix=a%2Bb+c&&x=1=2&=v").expect("well formed");
    assert_eq!(query.get("uploads"), Some(""));
    assert_eq!(query.get("prefix"), Some("a+b c"));
    assert_eq!(query.get("x"), Some("1=2"));
    assert_eq!(query.get("Uploads"), None);
    assert_eq!(query.repeated(), None);
    assert_eq!(Query::parse("a=1&b&a=2").expect("well formed").repeated(), Some("a"));
}

#[test]
fn a_header_that_means_one_thing_may_come_once() {
    let mut head = head("h", "/bucket/k").expect("well formed");
    head.headers.append("content-md5", HeaderValue::from_static("a"));
    assert_eq!(head.header("content-md5").expect("once").as_deref(), Some("a"));
    head.headers.append("content-md5", HeaderValue::from_static("b"));
    assert_eq!(head.header("content-md5").expect_err("twice").code(), S3ErrorCode::InvalidRequest);
    for (text, length) in [
        ("5", Ok(Some(5))),
        ("18446744073709551616", Err(S3ErrorCode::EntityTooLarge)),
        ("-1", Err(S3ErrorCode::InvalidArgument)),
        ("+5", Err(S3ErrorCode::InvalidArgument)),
        ("", Err(S3ErrorCode::InvalidArgument)),
    ] {
        head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static(text));
        assert_eq!(head.content_length().map_err(|error| error.code()), length, "{text}");
    }
}

proptest! {
    #[test]
    fn every_key_comes_back_from_its_encoded_path(key in "[^\0]{1,60}") {
        let path = format!("/bucket/{}", crate::encoding::percent_encode(key.as_bytes(), crate::encoding::Slash::Kept));
        let target = RequestTarget::parse(&path, "", AddressStyle::Path, None).expect("a legal key");
        prop_assert_eq!(target.key.as_ref().map(ObjectKey::as_str), Some(key.as_str()));
        let hosted = RequestTarget::parse(&path["/bucket".len()..], "", AddressStyle::VirtualHost, Some("bucket")).expect("a legal key");
        prop_assert_eq!(hosted.key, target.key);
    }

    #[test]
    fn no_target_makes_the_parser_panic(path in "[/a-z%0-9+.]{0,30}", query in "[&=a-z%0-9+]{0,30}", host in "\\PC{0,20}") {
        let _ = RequestTarget::parse(&path, &query, AddressStyle::Path, None);
        let _ = RequestTarget::parse(&path, &query, AddressStyle::VirtualHost, Some(&host));
        let _ = address::Addressing::default();
    }
}

#[test]
fn parameters_that_stand_for_headers_become_headers_and_contradict_none() {
    let query = "/bucket/key?X-Amz-Signature=00&X-Amz-Date=d&x-amz-acl=private&X-Amz-Checksum-Mode=ENABLED&prefix=p";
    let mut adopted = head("h", query).expect("well formed");
    adopted.adopt_headers_of_query().expect("nothing contradicts");
    let names: Vec<&str> = adopted.headers.keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["host", "x-amz-acl", "x-amz-checksum-mode"]);
    assert_eq!(adopted.headers["x-amz-checksum-mode"], "ENABLED");

    let mut twice = head("h", "/bucket/key?x-amz-acl=private").expect("well formed");
    twice.headers.insert("x-amz-acl", HeaderValue::from_static("public-read"));
    assert_eq!(twice.adopt_headers_of_query().map_err(|e| e.code()), Err(S3ErrorCode::InvalidArgument));
    let mut split = head("h", "/bucket/key?x-amz-acl=a%0Ab").expect("well formed");
    assert_eq!(split.adopt_headers_of_query().map_err(|e| e.code()), Err(S3ErrorCode::InvalidArgument));
}
