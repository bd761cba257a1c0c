use std::collections::VecDeque;

use bytes::Bytes;
use proptest::prelude::*;
use types::sealed::{SEGMENT, STORED_SEGMENT, stored_length};
use types::{Md5, Salt, SealedStream};

use super::{ContentKey, Damaged, StreamOpener, StreamSealer};

fn key(n: u8) -> ContentKey {
    ContentKey::new(&[n; 32])
}

fn salt(n: u8) -> Salt {
    Salt([n; 16])
}

/// Bytes that show where they come from.
fn text(length: u64) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

fn seal(key: &ContentKey, salt: Salt, bytes: &[u8], at_a_time: usize) -> Vec<u8> {
    let mut sealer = StreamSealer::new(key, salt).expect("a key");
    let mut sealed = VecDeque::new();
    for piece in bytes.chunks(at_a_time.max(1)) {
        sealer.push(Bytes::copy_from_slice(piece), &mut sealed).expect("seals");
    }
    sealed.extend(sealer.finish().expect("seals"));
    sealed.into_iter().flatten().collect()
}

fn stream(n: u8, length: u64, behind: Option<&SealedStream>) -> SealedStream {
    let (first, stored_first) = behind.map_or((0, 0), |before| (before.end(), before.stored_end()));
    SealedStream { salt: salt(n), first, stored_first, length }
}

fn open(
    key: &ContentKey,
    streams: &[SealedStream],
    stored: &[u8],
    wanted: std::ops::Range<u64>,
    at_a_time: usize,
) -> Result<Vec<u8>, Damaged> {
    let of = |position: u64| streams.iter().find(|stream| stream.first <= position && position < stream.end()).expect("in it");
    let first = of(wanted.start).segment_start(wanted.start);
    let end = of(wanted.end - 1).segment_end(wanted.end - 1);
    let mut opener = StreamOpener::new(key.clone(), wanted, first);
    opener.expect(streams);
    let mut opened = Vec::new();
    for piece in stored[first as usize..end as usize].chunks(at_a_time.max(1)) {
        opener.push(piece);
        while let Some(bytes) = opener.pull()? {
            opened.extend_from_slice(&bytes);
        }
    }
    Ok(opened)
}

#[test]
fn what_was_sealed_opens_and_is_stored_as_long_as_it_was_said() {
    for length in [1, 2, SEGMENT - 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT, 3 * SEGMENT + 7] {
        let plain = text(length);
        let stored = seal(&key(1), salt(1), &plain, 10_000);
        assert_eq!(stored.len() as u64, stored_length(length));
        assert!(length < 16 || !stored.windows(16).any(|window| window == &plain[..16]));
        assert_eq!(open(&key(1), &[stream(1, length, None)], &stored, 0..length, 7_777).as_ref(), Ok(&plain));
    }
    assert_eq!(seal(&key(1), salt(1), b"", 1), b"");
}

#[test]
fn no_bit_of_what_is_stored_can_change_unnoticed() {
    let stored = seal(&key(1), salt(1), &text(40), 40);
    for at in 0..stored.len() {
        for bit in 0..8 {
            let mut damaged = stored.clone();
            damaged[at] ^= 1 << bit;
            assert_eq!(open(&key(1), &[stream(1, 40, None)], &damaged, 0..40, 100), Err(Damaged));
        }
    }
}

#[test]
fn a_segment_opens_in_its_own_place_alone() {
    let length = 3 * SEGMENT;
    let stored = seal(&key(1), salt(1), &text(length), 100_000);
    let segments: Vec<&[u8]> = stored.chunks(STORED_SEGMENT as usize).collect();
    let of = |order: &[usize]| order.iter().flat_map(|n| segments[*n].to_vec()).collect::<Vec<_>>();
    let whole = |order: &[usize], length: u64| open(&key(1), &[stream(1, length, None)], &of(order), 0..length, 1 << 20);
    assert!(whole(&[0, 1, 2], length).is_ok());
    assert_eq!(whole(&[0, 2, 1], length), Err(Damaged), "swapped");
    assert_eq!(whole(&[0, 0, 2], length), Err(Damaged), "repeated");
    assert_eq!(whole(&[0, 1], 2 * SEGMENT), Err(Damaged), "cut off, whatever is said of its length");
    assert_eq!(whole(&[0, 1, 2, 2], length + SEGMENT), Err(Damaged), "something behind the last one");
    // As it stands it is the last one of a longer stream, and would be the last one of this.
    assert_eq!(open(&key(1), &[stream(1, SEGMENT, None)], &of(&[2]), 0..SEGMENT, 1 << 20), Err(Damaged), "moved");
}

#[test]
fn a_stream_opens_under_its_own_key_and_salt_alone() {
    let stored = seal(&key(1), salt(1), &text(100), 100);
    let with = |n: u8, salt_of: u8| open(&key(n), &[stream(salt_of, 100, None)], &stored, 0..100, 100);
    assert!(with(1, 1).is_ok());
    assert_eq!(with(2, 1), Err(Damaged), "another key");
    assert_eq!(with(1, 2), Err(Damaged), "another object's, or another part's, bytes under the same key");
}

#[test]
fn the_same_bytes_twice_are_not_stored_as_the_same() {
    assert_ne!(seal(&key(1), salt(1), &text(100), 100), seal(&key(1), salt(2), &text(100), 100));
}

#[test]
fn nothing_comes_out_before_its_segment_was_found_right() {
    let stored = seal(&key(1), salt(1), &text(100), 100);
    let mut opener = StreamOpener::new(key(1), 0..100, 0);
    opener.expect(&[stream(1, 100, None)]);
    opener.push(&stored[..115]);
    assert_eq!((opener.pull(), opener.finish()), (Ok(None), Err(Damaged)));
    opener.push(&stored[115..]);
    assert_eq!(opener.pull().map(|bytes| bytes.map(|bytes| bytes.len())), Ok(Some(100)));
    assert_eq!((opener.pull(), opener.finish()), (Ok(None), Ok(())));
    opener.push(b"more than there is");
    assert_eq!(opener.pull(), Err(Damaged));
}

#[test]
fn streams_may_be_named_as_the_reading_goes_on() {
    let first = stream(1, SEGMENT + 5, None);
    let second = stream(2, 10, Some(&first));
    let plain = text(SEGMENT + 15);
    let (a, b) = plain.split_at(SEGMENT as usize + 5);
    let stored = [seal(&key(1), salt(1), a, 1 << 20), seal(&key(1), salt(2), b, 1 << 20)].concat();
    let mut opener = StreamOpener::new(key(1), 0..plain.len() as u64, 0);
    let mut opened = Vec::new();
    for (piece, streams) in [(&stored[..100], vec![first]), (&stored[100..], vec![first, second])] {
        opener.expect(&streams);
        opener.push(piece);
        while let Some(bytes) = opener.pull().expect("its own") {
            opened.extend_from_slice(&bytes);
        }
    }
    assert_eq!(opened, plain);
}

#[test]
fn a_check_and_a_tag_say_the_same_of_the_same_and_are_of_their_key_and_salt() {
    let check = |n, s| key(n).check(salt(s)).expect("a key");
    assert_eq!(check(1, 1), check(1, 1));
    assert!(check(1, 1) != check(2, 1) && check(1, 1) != check(1, 2));
    let tag = |n, s, md5| key(n).tag(salt(s), Md5([md5; 16])).expect("a key");
    assert_eq!(tag(1, 1, 1), tag(1, 1, 1));
    assert!(tag(1, 1, 1) != tag(1, 1, 2) && tag(1, 1, 1) != tag(2, 1, 1) && tag(1, 1, 1) != tag(1, 2, 1));
    assert_ne!(tag(1, 1, 1), Md5([1; 16]), "it is no MD5");
}

/// The format for ever: what is sealed this year opens in ten. HKDF-SHA256 and AES-256-GCM as computed by another implementation.
#[test]
fn a_stream_is_sealed_as_it_always_was() {
    let sealed = seal(&ContentKey::new(&[0x0b; 32]), Salt([0x5a; 16]), b"hello, world", 3);
    assert_eq!(hex::encode(sealed), GOLDEN);
}

const GOLDEN: &str = "e686f8640997b784fbf06e35bcc64491dbca57b209fcfaeb4e83cbf5";

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn every_range_of_an_object_of_parts_reads_as_it_was_written(
        lengths in proptest::collection::vec(1..2 * SEGMENT + 3, 1..4),
        cut in (0.0..1.0, 0.0..1.0),
        written in 1..200_000_usize,
        read in 1..200_000_usize,
    ) {
        let mut streams: Vec<SealedStream> = Vec::new();
        let (mut plain, mut stored) = (Vec::new(), Vec::new());
        for (n, length) in (1..).zip(&lengths) {
            streams.push(stream(n, *length, streams.last()));
            let bytes: Vec<u8> = text(*length).iter().map(|byte| byte ^ n).collect();
            stored.extend(seal(&key(9), salt(n), &bytes, written));
            plain.extend(bytes);
        }
        let size = plain.len() as u64;
        let at = |fraction: f64| (fraction * size as f64) as u64;
        let (start, last) = (at(cut.0).min(at(cut.1)), at(cut.0).max(at(cut.1)).min(size - 1));
        let opened = open(&key(9), &streams, &stored, start..last + 1, read);
        prop_assert_eq!(opened.as_deref(), Ok(&plain[start as usize..=last as usize]));
    }
}
