use bytes::Bytes;
use types::{DatanodeId, RequestId};

use crate::fake::{Fake, Mood, PutRejection, content, location};
use crate::{BlockFailed, BlockFailure, INLINE_BLOCK_MAX, PutRejected, Replay};

async fn write(fake: &Fake, replicas: u64, bytes: &Bytes) -> Result<u64, BlockFailed> {
    let mut writer = fake.client().writer(location(replicas), RequestId::from_u128(1));
    for piece in bytes.chunks(70_000) {
        writer.push(&mut bytes.slice_ref(piece)).await?;
    }
    writer.finish().await
}

fn replayed(failed: BlockFailed) -> Option<Vec<u8>> {
    match failed.replay {
        Replay::Whole(pieces) => Some(pieces.concat()),
        Replay::Lost => None,
    }
}

#[tokio::test]
async fn a_small_block_is_one_put_and_a_large_one_goes_to_every_replica_first() {
    for (size, inline) in [(0, 1), (INLINE_BLOCK_MAX, 1), (INLINE_BLOCK_MAX + 1, 0), (3_000_000, 0)] {
        let fake = Fake::led_by(1);
        let bytes = content(size);
        assert_eq!(write(&fake, 3, &bytes).await.expect("written"), size as u64);
        let state = fake.state();
        assert_eq!(state.inline_puts, inline, "{size}");
        assert_eq!(state.committed.as_deref(), Some(&bytes[..]));
        if inline == 0 {
            assert!(state.written.len() == 3 && state.written.values().all(|written| *written == bytes), "{size}");
        }
    }
}

#[tokio::test]
async fn the_writer_follows_the_hint_and_remembers_the_leader() {
    let fake = Fake::led_by(3);
    let client = fake.client();
    for _ in 0..2 {
        let mut writer = client.writer(location(3), RequestId::from_u128(1));
        writer.push(&mut content(100)).await.expect("pushed");
        writer.finish().await.expect("put");
    }
    let calls: Vec<u64> = fake.state().calls.iter().map(|(datanode, _)| datanode.0).collect();
    assert_eq!(calls, [1, 3, 3]);
}

#[tokio::test]
async fn two_blocks_of_one_request_are_two_requests() {
    let fake = Fake::led_by(1);
    let client = fake.client();
    for local in [2, 3] {
        let mut place = location(1);
        place.block.local = local;
        let writer = client.writer(place, RequestId::from_u128(1));
        writer.finish().await.expect("put");
    }
    let requests = fake.state().requests.clone();
    assert_ne!(requests[0], requests[1]);
}

#[tokio::test]
async fn one_replica_that_fails_in_any_way_does_not_fail_the_block() {
    for mood in [Mood::Away, Mood::Stuck, Mood::BreaksAfter(500_000), Mood::SilentAfter(500_000)] {
        let fake = Fake::led_by(1);
        fake.set(2, mood);
        let bytes = content(4_000_000);
        assert_eq!(write(&fake, 3, &bytes).await.expect("two of three are enough"), 4_000_000, "{mood:?}");
        let state = fake.state();
        assert_eq!(state.committed.as_deref(), Some(&bytes[..]));
        assert!(state.written.contains_key(&DatanodeId(1)) && state.written.contains_key(&DatanodeId(3)));
    }
}

#[tokio::test]
async fn without_a_majority_the_block_fails_and_what_was_pushed_can_be_sent_again() {
    let fake = Fake::led_by(1);
    fake.set(2, Mood::Away).set(3, Mood::BreaksAfter(200_000));
    let bytes = content(700_000);
    let failed = write(&fake, 3, &bytes).await.expect_err("one of three is not enough");
    assert!(matches!(failed.cause, BlockFailure::Write(_)), "{failed}");
    let replay = replayed(failed).expect("it is short enough");
    assert!(bytes.starts_with(&replay) && replay.len() >= 200_000);
    assert!(fake.state().committed.is_none());
}

#[tokio::test]
async fn a_block_that_outgrew_its_memory_cannot_be_sent_again() {
    let fake = Fake::led_by(1);
    fake.set(1, Mood::Rejects(PutRejection::Closed));
    let failed = write(&fake, 1, &content(1_500_000)).await.expect_err("closed");
    assert_eq!(failed.cause, BlockFailure::Rejected(PutRejected::Closed));
    assert_eq!(replayed(failed), None);
}

#[tokio::test]
async fn a_rejected_small_block_is_given_back_whole() {
    for (rejection, expected) in [(PutRejection::Closed, PutRejected::Closed), (PutRejection::DiskFull, PutRejected::DiskFull)] {
        let fake = Fake::led_by(1);
        fake.set(1, Mood::Rejects(rejection));
        let bytes = content(100_000);
        let failed = write(&fake, 1, &bytes).await.expect_err("rejected");
        assert_eq!(failed.cause, BlockFailure::Rejected(expected));
        assert_eq!(replayed(failed), Some(bytes.to_vec()));
    }
}

#[tokio::test]
async fn a_put_goes_on_until_there_is_a_leader_and_gives_up_in_time_if_there_is_none() {
    let fake = Fake::default();
    let electing = fake.clone();
    tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        electing.state().leader = Some(DatanodeId(2));
    });
    assert_eq!(write(&fake, 3, &content(10)).await.expect("elected meanwhile"), 10);
    let fake = Fake::default();
    let failed = write(&fake, 3, &content(10)).await.expect_err("nobody leads");
    assert!(matches!(failed.cause, BlockFailure::NoLeader(_)));
    assert_eq!(replayed(failed), Some(content(10).to_vec()));
}

#[tokio::test]
async fn a_block_takes_no_more_than_its_room() {
    let fake = Fake::led_by(1);
    let mut place = location(1);
    place.length = 1000;
    let mut writer = fake.client().writer(place, RequestId::from_u128(1));
    let mut data = content(1500);
    writer.push(&mut data).await.expect("pushed");
    assert_eq!((writer.length(), writer.room(), data.len()), (1000, 0, 500));
    assert_eq!(writer.finish().await.expect("put"), 1000);
    assert_eq!(fake.state().committed.as_deref(), Some(&content(1500)[..1000]));
}

#[tokio::test]
async fn a_writer_that_is_dropped_leaves_no_block() {
    let fake = Fake::led_by(1);
    let mut writer = fake.client().writer(location(3), RequestId::from_u128(1));
    writer.push(&mut content(400_000)).await.expect("pushed");
    drop(writer);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let state = fake.state();
    assert!(state.written.is_empty() && state.committed.is_none());
    assert_eq!(state.calls.len(), 3);
}
