use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use proptest::prelude::*;
use types::{ChecksumAlgorithm, Md5};

use super::*;
use crate::auth::{AuthRequest, PayloadMode, Scope, SigningKey, Verified, parse};
use crate::dates::parse_iso_basic;
use crate::encoding::base64_encode;
use crate::error::{S3Error, S3ErrorCode};
use crate::request::{Addressing, RequestHead};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

fn head(headers: &[(&str, &str)]) -> RequestHead {
    let mut map = HeaderMap::new();
    map.insert("host", HeaderValue::from_static("s3.amazonaws.com"));
    for (name, value) in headers {
        map.append(HeaderName::try_from(*name).expect("a name"), HeaderValue::from_str(value).expect("a value"));
    }
    let uri: Uri = "/examplebucket/chunkObject.txt".parse().expect("a target");
    RequestHead::parse(Method::PUT, &uri, map, &Addressing::default()).expect("well formed")
}

fn plan(mode: PayloadMode, headers: &[(&str, &str)]) -> Result<PayloadPlan, S3ErrorCode> {
    PayloadPlan::parse(&head(headers), mode).map_err(|error| error.code())
}

/// Runs a body through, pushed in pieces of `step` bytes.
fn run(decoder: Result<BodyDecoder, S3Error>, body: &[u8], step: usize) -> Result<(Vec<u8>, BodySummary), S3ErrorCode> {
    let mut decoder = decoder.map_err(|error| error.code())?;
    let mut out = BytesMut::new();
    for piece in body.chunks(step.max(1)) {
        decoder.push(Bytes::copy_from_slice(piece));
        while let Some(data) = decoder.pull().map_err(|error| error.code())? {
            out.extend_from_slice(&data);
        }
    }
    let summary = decoder.finish().map_err(|error| error.code())?;
    Ok((out.to_vec(), summary))
}

fn run_plain(mode: PayloadMode, headers: &[(&str, &str)], body: &[u8]) -> Result<BodySummary, S3ErrorCode> {
    run(plan(mode, headers)?.start(None, EtagDigest::Wanted, u64::MAX), body, 7).map(|(_, summary)| summary)
}

#[test]
fn a_plain_body_is_hashed_once_for_all_that_is_asked() {
    let sha256: [u8; 32] = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"hello").as_ref().try_into().expect("32 bytes");
    let good = base64_encode(&sha256);
    let md5 = "XUFAKrxLKna5cZ2REBfFkg==";
    let headers = [("content-length", "5"), ("content-md5", md5), ("x-amz-checksum-sha256", good.as_str())];
    let summary = run_plain(PayloadMode::Hash(sha256), &headers, b"hello").expect("all agree");
    assert_eq!(summary.md5.map(|md5| md5.to_string()).as_deref(), Some("5d41402abc4b2a76b9719d911017c592"));
    assert_eq!(summary.checksum.map(|checksum| checksum.digest().to_vec()), Some(sha256.to_vec()));
    assert_eq!(run_plain(PayloadMode::Hash(sha256), &headers, b"hellO"), Err(S3ErrorCode::BadDigest));
    assert_eq!(
        run_plain(PayloadMode::Hash(sha256), &[("content-length", "5")], b"hellO"),
        Err(S3ErrorCode::XAmzContentSHA256Mismatch)
    );
    assert_eq!(run_plain(PayloadMode::Hash(sha256), &[("content-length", "6")], b"hello"), Err(S3ErrorCode::IncompleteBody));
}

#[test]
fn every_checksum_is_held_against_its_header() {
    for algorithm in ChecksumAlgorithm::ALL {
        let mut hasher = ChecksumHasher::new(algorithm);
        hasher.update(b"hello");
        let value = base64_encode(hasher.finish().digest());
        let name = checksum_header(algorithm);
        let summary = run_plain(PayloadMode::Unsigned, &[("content-length", "5"), (name, &value)], b"hello").expect("right");
        assert_eq!(summary.checksum.map(|checksum| checksum.algorithm()), Some(algorithm));
        assert_eq!(
            run_plain(PayloadMode::Unsigned, &[("content-length", "5"), (name, &value)], b"hellO"),
            Err(S3ErrorCode::BadDigest)
        );
        assert_eq!(plan(PayloadMode::Unsigned, &[("content-length", "5"), (name, "bad")]), Err(S3ErrorCode::BadDigest));
    }
}

#[test]
fn headers_about_the_body_that_contradict_or_say_nothing_are_refused() {
    let length = ("content-length", "5");
    for (headers, code) in [
        (&[("content-md5", "YWJyYWNhZGFicmE="), length][..], S3ErrorCode::InvalidDigest),
        (&[("content-md5", ""), length], S3ErrorCode::InvalidDigest),
        (&[("x-amz-checksum-crc32", "AAAAAA=="), ("x-amz-checksum-crc32c", "AAAAAA=="), length], S3ErrorCode::InvalidRequest),
        (&[("x-amz-checksum-crc16", "AAA="), length], S3ErrorCode::InvalidRequest),
        (&[("x-amz-sdk-checksum-algorithm", "CRC16"), length], S3ErrorCode::InvalidRequest),
        (&[("x-amz-sdk-checksum-algorithm", "CRC32"), length], S3ErrorCode::InvalidRequest),
        (&[("x-amz-sdk-checksum-algorithm", "SHA1"), ("x-amz-checksum-crc32", "AAAAAA=="), length], S3ErrorCode::InvalidRequest),
        (&[("x-amz-trailer", "x-amz-checksum-crc32"), length], S3ErrorCode::InvalidRequest),
        (&[], S3ErrorCode::MissingContentLength),
    ] {
        assert_eq!(plan(PayloadMode::Unsigned, headers), Err(code), "{headers:?}");
    }
    assert!(
        plan(PayloadMode::Unsigned, &[("transfer-encoding", "chunked")]).expect("chunks end by themselves").length().is_none()
    );
    for (value, code) in [
        ("-1", S3ErrorCode::InvalidArgument),
        ("x", S3ErrorCode::InvalidArgument),
        ("99999999999999999999", S3ErrorCode::EntityTooLarge),
    ] {
        assert_eq!(plan(PayloadMode::StreamingUnsigned, &[("x-amz-decoded-content-length", value)]), Err(code), "{value}");
    }
    assert_eq!(plan(PayloadMode::StreamingUnsigned, &[length]), Err(S3ErrorCode::MissingContentLength));
    let large =
        plan(PayloadMode::StreamingUnsigned, &[("x-amz-decoded-content-length", "9223372036854775808")]).expect("a number");
    assert_eq!(large.check_length(5 << 30).map_err(|error| error.code()), Err(S3ErrorCode::EntityTooLarge));
}

#[test]
fn a_body_of_unknown_length_ends_at_the_limit() {
    let plan = plan(PayloadMode::Unsigned, &[("transfer-encoding", "chunked")]).expect("no length");
    assert_eq!(run(plan.clone().start(None, EtagDigest::NotWanted, 5), b"hello", 2).map(|(body, _)| body), Ok(b"hello".to_vec()));
    assert_eq!(run(plan.start(None, EtagDigest::NotWanted, 4), b"hello", 2), Err(S3ErrorCode::EntityTooLarge));
}

/// The example of Amazon's documentation: 65 KiB of `a` in chunks of 64 KiB.
fn documented_body() -> Vec<u8> {
    let mut body = Vec::new();
    for (size, signature) in [
        (65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
        (1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
        (0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
    ] {
        body.extend_from_slice(format!("{size:x};chunk-signature={signature}\r\n").as_bytes());
        body.extend(std::iter::repeat_n(b'a', size));
        body.extend_from_slice(b"\r\n");
    }
    body
}

fn documented_verified() -> Verified {
    let headers = [
        ("x-amz-date", "20130524T000000Z"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "66560"),
        ("content-length", "66824"),
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
             SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;\
             x-amz-storage-class,Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        ),
    ];
    let head = head(&headers);
    let AuthRequest::Signed(signed) = parse(&head, crate::auth::Accepts::V4).expect("parses") else { panic!("it is signed") };
    signed.verify(&head, &SigningKey::derive(SECRET, &Scope::s3("20130524", "us-east-1"))).expect("the documentation is right")
}

fn signed(verified: &Verified, body: &[u8], step: usize) -> Result<Vec<u8>, S3ErrorCode> {
    let plan = plan(PayloadMode::StreamingSigned { trailer: false }, &[("x-amz-decoded-content-length", "66560")])?;
    run(plan.start(Some(verified), EtagDigest::Wanted, u64::MAX), body, step).map(|(data, _)| data)
}

#[test]
fn the_documented_chunks_are_accepted_in_whatever_pieces_they_come() {
    let (verified, body) = (documented_verified(), documented_body());
    for step in [1, 2, 3, 89, 90, 1000, 65536, 100_000] {
        assert_eq!(signed(&verified, &body, step), Ok(vec![b'a'; 66560]), "{step}");
    }
}

#[test]
fn a_chain_of_chunks_cannot_be_bent() {
    let (verified, body) = (documented_verified(), documented_body());
    let first = 65536 + 90;
    let second = first + 1024 + 88;
    let mut flipped = body.clone();
    flipped[200] = b'b';
    assert_eq!(signed(&verified, &flipped, 4096), Err(S3ErrorCode::SignatureDoesNotMatch), "a byte of data");
    let mut flipped = body.clone();
    flipped[30] ^= 1;
    assert_eq!(signed(&verified, &flipped, 4096), Err(S3ErrorCode::SignatureDoesNotMatch), "a byte of a signature");
    let swapped = [&body[first..second], &body[..first], &body[second..]].concat();
    assert_eq!(signed(&verified, &swapped, 4096), Err(S3ErrorCode::InvalidChunkSizeError), "a small chunk first");
    let repeated = [&body[..first], &body[..first], &body[second..]].concat();
    assert_eq!(signed(&verified, &repeated, 4096), Err(S3ErrorCode::IncompleteBody), "a chunk twice");
    let dropped = [&body[..first], &body[second..]].concat();
    assert_eq!(signed(&verified, &dropped, 4096), Err(S3ErrorCode::IncompleteBody), "a chunk missing");
    assert_eq!(signed(&verified, &body[..second], 4096), Err(S3ErrorCode::IncompleteBody), "no last chunk");
    let trailing = [&body[..], b"x"].concat();
    assert_eq!(signed(&verified, &trailing, 4096), Err(S3ErrorCode::IncompleteBody), "data behind the end");
    // The seed of another request.
    let other = Verified { seed: crate::auth::Signature::parse(&"0".repeat(64)).expect("digits"), ..documented_verified() };
    assert_eq!(signed(&other, &body, 4096), Err(S3ErrorCode::SignatureDoesNotMatch));
    let plain = String::from_utf8_lossy(&body).replacen(";chunk-signature=", ";x=", 1);
    assert_eq!(signed(&verified, plain.as_bytes(), 4096), Err(S3ErrorCode::SignatureDoesNotMatch), "no signature");
}

const CRC_NAME: &str = "x-amz-checksum-crc32c";

fn unsigned(length: usize, body: &[u8], step: usize) -> Result<(Vec<u8>, BodySummary), S3ErrorCode> {
    let length = length.to_string();
    let plan = plan(PayloadMode::StreamingUnsigned, &[("x-amz-decoded-content-length", &length), ("x-amz-trailer", CRC_NAME)])?;
    run(plan.start(None, EtagDigest::Wanted, u64::MAX), body, step)
}

#[test]
fn an_unsigned_body_ends_with_its_declared_checksum() {
    // CRC32C of `hello`.
    let body = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32c:mnG7TA==\r\n\r\n";
    let (data, summary) = unsigned(5, body, 3).expect("right");
    assert_eq!((data.as_slice(), summary.length), (&b"hello"[..], 5));
    assert_eq!(summary.md5, Some(Md5(hex_md5("5d41402abc4b2a76b9719d911017c592"))));
    for (trailer, code) in [
        ("x-amz-checksum-crc32c:AAAAAA==\r\n\r\n", S3ErrorCode::BadDigest),
        ("x-amz-checksum-crc32c:bad\r\n\r\n", S3ErrorCode::BadDigest),
        ("\r\n", S3ErrorCode::MalformedTrailerError),
        ("x-amz-checksum-crc32:AAAAAA==\r\n\r\n", S3ErrorCode::MalformedTrailerError),
        ("x-amz-acl:public-read\r\n\r\n", S3ErrorCode::MalformedTrailerError),
        ("host:evil\r\n\r\n", S3ErrorCode::MalformedTrailerError),
        ("x-amz-checksum-crc32c:mnG7TA==\r\nx-amz-checksum-crc32c:mnG7TA==\r\n\r\n", S3ErrorCode::MalformedTrailerError),
        ("x-amz-checksum-crc32c\r\n\r\n", S3ErrorCode::MalformedTrailerError),
        ("x-amz-checksum-crc32c:mnG7TA==\n\r\n", S3ErrorCode::MalformedTrailerError),
        ("x-amz-trailer-signature:00\r\n\r\n", S3ErrorCode::MalformedTrailerError),
        ("x-amz-checksum-crc32c:mnG7TA==\r\n", S3ErrorCode::IncompleteBody),
        ("x-amz-checksum-crc32c:mnG7TA==\r\n\r\nmore", S3ErrorCode::IncompleteBody),
    ] {
        assert_eq!(unsigned(5, format!("5\r\nhello\r\n0\r\n{trailer}").as_bytes(), 1000).map(|_| ()), Err(code), "{trailer:?}");
    }
    let long = format!("5\r\nhello\r\n0\r\nx-amz-checksum-crc32c:{}\r\n\r\n", "A".repeat(2000));
    assert_eq!(unsigned(5, long.as_bytes(), 100).map(|_| ()), Err(S3ErrorCode::MalformedTrailerError));
}

fn hex_md5(text: &str) -> [u8; 16] {
    hex::decode(text).expect("digits").try_into().expect("16 bytes")
}

#[test]
fn framing_that_is_not_exact_is_refused() {
    for (body, code) in [
        ("-1\r\n", S3ErrorCode::InvalidChunkSizeError),
        ("0x5\r\nhello\r\n", S3ErrorCode::InvalidChunkSizeError),
        ("+5\r\nhello\r\n", S3ErrorCode::InvalidChunkSizeError),
        ("\r\n", S3ErrorCode::InvalidChunkSizeError),
        ("5\nhello\r\n", S3ErrorCode::InvalidChunkSizeError),
        ("5;chunk-signature=00\r\nhello\r\n", S3ErrorCode::InvalidChunkSizeError),
        ("00000000000000005\r\nhello\r\n", S3ErrorCode::InvalidChunkSizeError),
        ("ffffffffffffffff\r\n", S3ErrorCode::IncompleteBody),
        ("6\r\nhello!\r\n", S3ErrorCode::IncompleteBody),
        ("5\r\nhelloXX0\r\n\r\n", S3ErrorCode::IncompleteBody),
        ("5\r\nhello\n0\r\n\r\n", S3ErrorCode::IncompleteBody),
        ("4\r\nhell\r\n0\r\n\r\n", S3ErrorCode::InvalidChunkSizeError),
        ("0\r\n\r\n", S3ErrorCode::IncompleteBody),
        ("5\r\nhello\r\n", S3ErrorCode::IncompleteBody),
        ("", S3ErrorCode::IncompleteBody),
    ] {
        assert_eq!(unsigned(5, body.as_bytes(), 1000).map(|_| ()), Err(code), "{body:?}");
    }
    for long in ["1".repeat(200), "1".repeat(1 << 20)] {
        assert_eq!(
            unsigned(5, long.as_bytes(), 4096).map(|_| ()),
            if long.len() == 200 { Err(S3ErrorCode::IncompleteBody) } else { Err(S3ErrorCode::InvalidChunkSizeError) }
        );
    }
}

#[test]
fn a_signed_trailer_is_held_against_the_end_of_the_chain() {
    let verified = documented_verified();
    let data = vec![b'a'; 10_000];
    let mut hasher = ChecksumHasher::new(ChecksumAlgorithm::Crc32c);
    hasher.update(&data);
    let checksum = base64_encode(hasher.finish().digest());
    let body = sign_body(&verified, &data, &format!("{CRC_NAME}:{checksum}"));
    let decode = |body: &[u8]| {
        let headers = [("x-amz-decoded-content-length", "10000"), ("x-amz-trailer", CRC_NAME)];
        let plan = plan(PayloadMode::StreamingSigned { trailer: true }, &headers)?;
        run(plan.start(Some(&verified), EtagDigest::Wanted, u64::MAX), body, 777).map(|(data, _)| data)
    };
    assert_eq!(decode(&body), Ok(data.clone()));
    let text = String::from_utf8(body).expect("text");
    let (before, signature) = text.rsplit_once("x-amz-trailer-signature:").expect("a trailer signature");
    let wrong = format!("{before}x-amz-trailer-signature:{}\r\n\r\n", "0".repeat(64));
    assert_eq!(decode(wrong.as_bytes()), Err(S3ErrorCode::SignatureDoesNotMatch));
    assert_eq!(decode(format!("{before}\r\n").as_bytes()), Err(S3ErrorCode::MalformedTrailerError));
    let early = before.replace(CRC_NAME, &format!("x-amz-trailer-signature:{}\r\n{CRC_NAME}", signature.trim()));
    assert_eq!(decode(format!("{early}\r\n").as_bytes()), Err(S3ErrorCode::MalformedTrailerError));
}

/// One chunk, the last chunk and a trailer, signed by the AWS SDK for Rust.
fn sign_body(verified: &Verified, data: &[u8], trailer: &str) -> Vec<u8> {
    use aws_sigv4::sign::v4;
    let identity = aws_credential_types::Credentials::new("AKIAIOSFODNN7EXAMPLE", SECRET, None, None, "test").into();
    let millis = parse_iso_basic("20130524T000000Z").expect("a time").0;
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("s3")
        .time(std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(millis))
        .settings(())
        .build()
        .expect("complete");
    let mut body = Vec::new();
    let mut running = verified.seed.to_hex();
    for chunk in [data, &[]] {
        running = v4::sign_chunk(&Bytes::copy_from_slice(chunk), &running, &params).expect("signs").signature().to_owned();
        body.extend_from_slice(format!("{:x};chunk-signature={running}\r\n", chunk.len()).as_bytes());
        body.extend_from_slice(chunk);
        if !chunk.is_empty() {
            body.extend_from_slice(b"\r\n");
        }
    }
    // The SDK's own `sign_trailer` covers `name:value\n`, as ours does.
    let signature = SigningKey::derive(SECRET, &Scope::s3("20130524", "us-east-1")).sign(&format!(
        "AWS4-HMAC-SHA256-TRAILER\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n{running}\n{}",
        hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("{trailer}\n").as_bytes()))
    ));
    body.extend_from_slice(format!("{trailer}\r\nx-amz-trailer-signature:{}\r\n\r\n", signature.to_hex()).as_bytes());
    body
}

proptest! {
    #[test]
    fn any_split_of_any_bytes_gives_the_same_answer(
        body in prop_oneof![
            Just(b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32c:mnG7TA==\r\n\r\n".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..60),
            "[0-9a-f]{1,3}\r\n[a-z]{0,8}\r\n0\r\n(x-amz-checksum-crc32c:[A-Za-z=]{0,8}\r\n)?\r\n".prop_map(String::into_bytes),
        ],
        step in 1_usize..20,
    ) {
        prop_assert_eq!(unsigned(5, &body, step), unsigned(5, &body, 1000));
    }
}
