use bytes::Bytes;
use futures_util::TryStreamExt;
use types::RequestId;

use super::Piece;
use crate::fake::{Fake, Mood, content, location};

const SIZE: usize = 100_000;

fn stored() -> Fake {
    let fake = Fake::led_by(1);
    fake.state().committed = Some(content(SIZE).to_vec());
    fake
}

fn piece(offset: u64, length: u64) -> Piece {
    Piece { location: location(3), offset, length }
}

async fn read(fake: &Fake, pieces: Vec<Piece>) -> Result<Vec<u8>, String> {
    let stream = fake.client().read(pieces, RequestId::from_u128(1)).await.map_err(|error| error.to_string())?;
    let bytes: Vec<Bytes> = stream.try_collect().await.map_err(|error| error.to_string())?;
    Ok(bytes.concat())
}

#[tokio::test]
async fn pieces_come_in_order_and_each_byte_once() {
    let fake = stored();
    let pieces = vec![piece(10, 50_000), piece(0, 0), piece(90_000, 10_000), piece(0, 1)];
    let whole = content(SIZE);
    let expected = [&whole[10..50_010], &whole[90_000..], &whole[..1]].concat();
    assert_eq!(read(&fake, pieces).await, Ok(expected));
    assert_eq!(read(&fake, vec![]).await, Ok(vec![]));
}

#[tokio::test]
async fn a_replica_that_fails_anywhere_is_replaced_at_the_exact_byte() {
    let ways = [
        Mood::Away,
        Mood::Stuck,
        Mood::BreaksAfter(0),
        Mood::BreaksAfter(33_333),
        Mood::SilentAfter(0),
        Mood::SilentAfter(77_777),
        Mood::ShortBy(1),
    ];
    for first in ways {
        for second in ways {
            let fake = stored();
            fake.set(1, first).set(2, second);
            assert_eq!(read(&fake, vec![piece(0, SIZE as u64)]).await, Ok(content(SIZE).to_vec()), "{first:?} {second:?}");
        }
    }
}

#[tokio::test]
async fn when_no_replica_can_give_the_bytes_the_stream_ends_in_an_error() {
    let fake = stored();
    for datanode in 1..=3 {
        fake.set(datanode, Mood::BreaksAfter(10_000));
    }
    let mut stream = fake.client().read(vec![piece(0, SIZE as u64)], RequestId::from_u128(1)).await.expect("it begins");
    let mut got = 0;
    let error = loop {
        match stream.try_next().await {
            Ok(Some(bytes)) => got += bytes.len(),
            Ok(None) => panic!("a short read that looks whole"),
            Err(error) => break error,
        }
    };
    assert!(got < SIZE && error.to_string().contains("block-1-2"), "{got} {error}");
}

#[tokio::test]
async fn a_block_that_cannot_be_opened_is_an_error_before_any_byte() {
    let fake = stored();
    for datanode in 1..=3 {
        fake.set(datanode, Mood::Away);
    }
    assert!(fake.client().read(vec![piece(0, 10)], RequestId::from_u128(1)).await.is_err());
    let mut nowhere = piece(0, 10);
    nowhere.location.replicas.clear();
    assert!(fake.client().read(vec![nowhere], RequestId::from_u128(1)).await.is_err());
}

#[tokio::test]
async fn a_replica_that_failed_is_asked_last_the_next_time() {
    let fake = stored();
    fake.set(1, Mood::Away);
    let client = fake.client();
    for _ in 0..3 {
        let stream = client.read(vec![piece(0, 10)], RequestId::from_u128(1)).await;
        drop(stream.expect("another has it"));
    }
    let asked: Vec<u64> = fake.state().calls.iter().map(|(datanode, _)| datanode.0).collect();
    assert_eq!(asked, [1, 2, 2, 2]);
}
