use proptest::prelude::*;

use super::*;

fn query(text: &str) -> Query {
    Query::parse(text).expect("a well-formed query")
}

fn code<T: std::fmt::Debug>(result: Result<T, S3Error>) -> S3ErrorCode {
    result.expect_err("refused").code()
}

#[test]
fn a_page_is_a_thousand_keys_unless_fewer_are_asked_for() {
    for (text, keys) in [("", 1000), ("max-keys=5", 5), ("max-keys=0", 0), ("max-keys=2147483647", 1000)] {
        assert_eq!(ListObjects::parse(&query(text)).expect("legal").scope.max_keys, keys, "{text}");
    }
    for bad in [
        "max-keys=-1",
        "max-keys=2147483648",
        "max-keys=9223372036854775808",
        "max-keys=blah",
        "max-keys=",
        "max-keys=+1",
        "max-keys=1.5",
    ] {
        assert_eq!(code(ListObjects::parse(&query(bad))), S3ErrorCode::InvalidArgument, "{bad}");
    }
}

#[test]
fn an_empty_delimiter_is_none_and_any_other_is_taken_as_it_is() {
    assert_eq!(ListObjects::parse(&query("delimiter=")).expect("legal").scope.delimiter, None);
    for (text, delimiter) in [("delimiter=%0A", "\n"), ("delimiter=%20", " "), ("delimiter=%25", "%"), ("delimiter=ab", "ab")] {
        assert_eq!(ListObjects::parse(&query(text)).expect("legal").scope.delimiter.as_deref(), Some(delimiter));
    }
    assert_eq!(code(ListObjects::parse(&query(&format!("delimiter={}", "x".repeat(1025))))), S3ErrorCode::InvalidArgument);
}

#[test]
fn a_listing_without_an_order_has_no_prefixes() {
    for (text, good) in [
        ("allow-unordered=true", true),
        ("allow-unordered=true&delimiter=", true),
        ("allow-unordered=false&delimiter=/", true),
        ("allow-unordered=true&delimiter=/", false),
    ] {
        let outcomes = [ListObjects::parse(&query(text)).map(|_| ()), ListObjectsV2::parse(&query(text)).map(|_| ())];
        for outcome in outcomes {
            let expected = if good { Ok(()) } else { Err(S3ErrorCode::InvalidArgument) };
            assert_eq!(outcome.map_err(|error| error.code()), expected, "{text}");
        }
    }
}

#[test]
fn a_marker_is_a_text_to_go_on_behind() {
    let start = |text: &str| ListObjects::parse(&query(text)).expect("legal").start();
    assert_eq!(start("marker=a/&delimiter=/"), PageStart::After("a/".into()));
    assert_eq!(start("marker="), PageStart::Beginning);
    let long = format!("marker={}", "x".repeat(1025));
    assert_eq!(code(ListObjects::parse(&query(&long))), S3ErrorCode::KeyTooLongError);
}

#[test]
fn an_empty_token_is_legal_and_a_token_wins_over_start_after() {
    let list = ListObjectsV2::parse(&query("continuation-token=&start-after=c")).expect("legal");
    assert_eq!(list.continuation_token.as_deref(), Some(""));
    assert_eq!(list.start("b").expect("legal"), PageStart::After("c".into()));
    let token = ContinuationToken::encode(&PageStart::After("m".into()), "b").expect("a position");
    let list = ListObjectsV2::parse(&query(&format!("continuation-token={token}&start-after=c"))).expect("legal");
    assert_eq!(list.start("b").expect("our own"), PageStart::After("m".into()));
}

#[test]
fn a_token_that_is_not_ours_or_of_another_bucket_is_refused() {
    let token = ContinuationToken::encode(&PageStart::At("a/".into()), "one").expect("a position");
    assert_eq!(ContinuationToken::decode(&token, "one").expect("our own"), PageStart::At("a/".into()));
    for bad in ["x", "AWsAAAAAAAAAAAA", "é", &"A".repeat(1 << 20)] {
        assert_eq!(code(ContinuationToken::decode(bad, "one")), S3ErrorCode::InvalidArgument);
    }
    assert_eq!(code(ContinuationToken::decode(&token, "two")), S3ErrorCode::InvalidArgument);
}

#[test]
fn names_are_encoded_with_their_slashes_kept() {
    assert_eq!(NameEncoding::Url.encode("a b+c/d\u{1}é"), "a%20b%2Bc/d%01%C3%A9");
    assert_eq!(NameEncoding::Plain.encode("a b+c"), "a b+c");
    assert_eq!(code(ListObjects::parse(&query("encoding-type=xml"))), S3ErrorCode::InvalidArgument);
}

#[test]
fn markers_of_uploads_and_parts_are_typed() {
    assert_eq!(ListParts::parse(&query("part-number-marker=0")).expect("legal").after, None);
    assert_eq!(ListParts::parse(&query("part-number-marker=20000")).expect("legal").after, Some(PartNumber::MAX));
    assert_eq!(code(ListParts::parse(&query("part-number-marker=x"))), S3ErrorCode::InvalidArgument);
    assert_eq!(code(ListMultipartUploads::parse(&query("key-marker=a&upload-id-marker=../x"))), S3ErrorCode::InvalidArgument);
    assert_eq!(ListMultipartUploads::parse(&query("upload-id-marker=../x")).expect("ignored").upload_id_marker, None);
    assert_eq!(code(ListObjectVersions::parse(&query("version-id-marker=null"))), S3ErrorCode::InvalidArgument);
}

#[test]
fn buckets_are_paged_by_at_least_one() {
    assert_eq!(code(ListBuckets::parse(&query("max-buckets=0"))), S3ErrorCode::InvalidArgument);
    assert_eq!(ListBuckets::parse(&query("max-buckets=1")).expect("legal").max_buckets, 1);
    assert_eq!(ListBuckets::parse(&query("")).expect("legal").max_buckets, 10_000);
}

proptest! {
    #[test]
    fn a_position_survives_its_token(name in "\\PC{0,20}", is_at: bool, bucket in "[a-z]{3,8}") {
        let start = if is_at { PageStart::At(name) } else { PageStart::After(name) };
        let token = ContinuationToken::encode(&start, &bucket).expect("a position");
        prop_assert_eq!(ContinuationToken::decode(&token, &bucket).expect("our own"), start);
    }

    #[test]
    fn no_token_makes_the_decoder_panic(token in "[A-Za-z0-9_-]{0,60}") {
        let _ = ContinuationToken::decode(&token, "b");
    }
}
