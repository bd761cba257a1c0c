//! Nothing opens a block but a token for it, whoever asks and however.

use bytes::Bytes;
use datanode_api::{
    BlockAccess, ChunkChecksums, ContainerAccess, ExportContainer, ExportRejected, PutBlock, PutContent, PutRejected, ReadBlock,
    ReadRejected, WriteBlock, WriteRejected,
};
use futures_util::{StreamExt, stream};
use rpc::CallError;
use scm_api::token::{Access, BlockToken, Target, TokenKey};
use types::Millis;

use super::rig::*;

const SIZE: u64 = 1000;

fn token(target: Target, access: Access, max_length: u64) -> BlockToken {
    BlockToken { target, access, max_length, expires: NOW + Millis(1000), caller: "test".into() }
}

/// Every way to be wrong, for a call that needs `access` to `SIZE` bytes of block 1.
fn wrong_tokens(access: Access) -> Vec<(&'static str, Bytes)> {
    let own = Target::Block(block(1));
    let other_access = match access {
        Access::Read => Access::Write,
        Access::Write => Access::Read,
    };
    let good = token(own, access, SIZE);
    let mut forged = good.seal(&key()).to_vec();
    if let Some(last) = forged.last_mut() {
        *last ^= 1;
    }
    vec![
        ("none", Bytes::new()),
        ("garbage", Bytes::from_static(b"open sesame")),
        ("forged", forged.into()),
        ("another cluster's", good.seal(&TokenKey { secret: [6; 32], ..key() })),
        ("an unknown key's", good.seal(&TokenKey { id: 2, ..key() })),
        ("expired", BlockToken { expires: NOW, ..good.clone() }.seal(&key())),
        ("for the other access", BlockToken { access: other_access, ..good.clone() }.seal(&key())),
        ("for another block", BlockToken { target: Target::Block(block(2)), ..good.clone() }.seal(&key())),
        ("for the container", BlockToken { target: Target::Container(CONTAINER), ..good }.seal(&key())),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_is_refused_by_every_call_and_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let node = world.start("dn1", dir.path()).await;
    world.pipeline(&[&node]).await;
    let bytes = content(1, SIZE as usize);
    let put = |token, local| PutBlock {
        block: block(local),
        pipeline: PIPELINE,
        token,
        length: SIZE,
        checksums: ChunkChecksums::of(&bytes),
        content: PutContent::Inline(bytes.clone()),
    };
    let too_short = ("too short", token(Target::Block(block(1)), Access::Write, SIZE - 1).seal(&key()));
    for (what, token) in wrong_tokens(Access::Write).into_iter().chain([too_short]) {
        let denied = Err(CallError::Rejected(PutRejected::PermissionDenied));
        assert_eq!(node.datanode.put(&node.replica(), cx(), put(token.clone(), 1)).await, denied, "put: {what}");
        let request = WriteBlock { block: block(1), pipeline: PIPELINE, token };
        let data = stream::iter([Ok(bytes.clone())]).boxed();
        let outcome = node.datanode.write(&node.replica(), cx(), request, data).await;
        let rejection = if what == "too short" { WriteRejected::TooLong } else { WriteRejected::PermissionDenied };
        assert_eq!(outcome, Err(CallError::Rejected(rejection)), "write: {what}");
    }
    assert!(node.read(1, 0, 1).await.is_err(), "nothing was written");

    node.datanode.put(&node.replica(), cx(), put(seal(Target::Block(block(1)), Access::Write, SIZE), 1)).await.expect("allowed");
    let too_short = ("too short", token(Target::Block(block(1)), Access::Read, SIZE - 1).seal(&key()));
    for (what, token) in wrong_tokens(Access::Read).into_iter().chain([too_short]) {
        let request = ReadBlock { block: block(1), token: token.clone(), offset: 0, length: SIZE };
        let outcome = node.datanode.read(&node.replica(), cx(), request).await;
        assert!(matches!(outcome, Err(CallError::Rejected(ReadRejected::PermissionDenied))), "read: {what}");
        if what != "for the container" {
            let export = ExportContainer { container: CONTAINER, token };
            let outcome = node.datanode.export(&node.replica(), cx(), export).await;
            assert!(matches!(outcome, Err(CallError::Rejected(ExportRejected::PermissionDenied))), "export: {what}");
        }
    }
    // The length is counted from the block's begin: the end of a stretch must be allowed too.
    let token = seal(Target::Block(block(1)), Access::Read, 500);
    let request = |offset, length| ReadBlock { block: block(1), token: token.clone(), offset, length };
    assert!(node.datanode.read(&node.replica(), cx(), request(400, 100)).await.is_ok());
    for (offset, length) in [(400, 101), (u64::MAX, 2)] {
        assert!(node.datanode.read(&node.replica(), cx(), request(offset, length)).await.is_err());
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_stops_opening_when_it_expires() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let node = world.start("dn1", dir.path()).await;
    world.pipeline(&[&node]).await;
    write(&world.client(), &[&node], 1, &content(1, 100)).await.expect("written");
    let token = BlockToken { expires: NOW + Millis(1000), ..token(Target::Block(block(1)), Access::Read, 100) }.seal(&key());
    let request = || ReadBlock { block: block(1), token: token.clone(), offset: 0, length: 100 };
    world.clock.advance(Millis(999));
    assert!(node.datanode.read(&node.replica(), cx(), request()).await.is_ok());
    world.clock.advance(Millis(1));
    assert!(node.datanode.read(&node.replica(), cx(), request()).await.is_err());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_not_what_their_checksums_say_are_not_committed() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let node = world.start("dn1", dir.path()).await;
    world.pipeline(&[&node]).await;
    let bytes = content(1, 1000);
    let good = PutBlock {
        block: block(1),
        pipeline: PIPELINE,
        token: seal(Target::Block(block(1)), Access::Write, 1 << 20),
        length: 1000,
        checksums: ChunkChecksums::of(&bytes),
        content: PutContent::Inline(bytes.clone()),
    };
    let wrong = [
        (PutBlock { checksums: ChunkChecksums(vec![1]), ..good.clone() }, PutRejected::ChecksumMismatch),
        (PutBlock { checksums: ChunkChecksums(vec![]), ..good.clone() }, PutRejected::ChecksumMismatch),
        (PutBlock { length: 999, ..good.clone() }, PutRejected::ChecksumMismatch),
        (PutBlock { content: PutContent::Inline(bytes.slice(1..)), ..good.clone() }, PutRejected::ChecksumMismatch),
        (PutBlock { content: PutContent::Streamed, ..good.clone() }, PutRejected::NotWritten),
        (PutBlock { pipeline: types::PipelineId(99), ..good.clone() }, PutRejected::Closed),
    ];
    for (put, rejection) in wrong {
        assert_eq!(node.datanode.put(&node.replica(), cx(), put).await, Err(CallError::Rejected(rejection)));
    }
    assert!(node.read(1, 0, 1).await.is_err());
    node.datanode.put(&node.replica(), cx(), good.clone()).await.expect("good");
    // The same again is the same; other content under the same number is not.
    node.datanode.put(&node.replica(), cx(), good.clone()).await.expect("done before");
    let other = content(2, 1000);
    let put = PutBlock { checksums: ChunkChecksums::of(&other), content: PutContent::Inline(other), ..good };
    assert_eq!(node.datanode.put(&node.replica(), cx(), put).await, Err(CallError::Rejected(PutRejected::Exists)));
    assert_eq!(node.read(1, 0, 1000).await, Ok(bytes.to_vec()));
    node.stop().await;
}
