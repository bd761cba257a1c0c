//! The data listener and its client, over real sockets.

use std::sync::Arc;

use datanode_api::{
    BlockAccess, BlockClient, ChunkChecksums, ClientConfig, ContainerAccess, Dial, ExportContainer, HttpBlocks, PlainTcp,
    PutBlock, PutContent, PutRejected, ReadBlock, ReadRejected, WriteBlock, WriteRejected,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use rpc::{CallContext, CallError, NotApplied};
use scm_api::token::{Access, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use types::{Endpoint, Replica, RequestId};

use super::rig::*;
use crate::{PlainAccept, serve};

async fn served(node: &Node) -> Replica {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = Endpoint(listener.local_addr().expect("bound").to_string());
    let (datanode, shutdown) = (Arc::clone(&node.datanode), node.shutdown.clone());
    node.shutdown.spawn(serve(datanode, listener, Arc::new(PlainAccept), shutdown));
    Replica { datanode: node.id, endpoint }
}

fn put(local: u64, bytes: &bytes::Bytes) -> PutBlock {
    PutBlock {
        block: block(local),
        pipeline: PIPELINE,
        token: seal(Target::Block(block(local)), Access::Write, 1 << 30),
        length: bytes.len() as u64,
        checksums: ChunkChecksums::of(bytes),
        content: PutContent::Inline(bytes.clone()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_are_written_and_read_over_http() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let node = world.start("dn1", dir.path()).await;
    world.pipeline(&[&node]).await;
    let at = served(&node).await;
    let http = HttpBlocks::new(Arc::new(PlainTcp));
    let client = BlockClient::new(Arc::new(http.clone()), ClientConfig::default());
    for (local, size) in (0..).zip([0, 1, 131_072, 131_073, 7_000_000]) {
        let bytes = content(local, size);
        let mut location = location(local, &[], Access::Write, 1 << 30);
        location.replicas = vec![at.clone()];
        let mut writer = client.writer(location, RequestId::from_u128(5));
        writer.push(&mut bytes.clone()).await.expect("pushed");
        assert_eq!(writer.finish().await.expect("put"), size as u64);
        let token = seal(Target::Block(block(local)), Access::Read, size as u64);
        for (offset, length) in [(0, size), (size / 3, size / 2)] {
            let request = ReadBlock { block: block(local), token: token.clone(), offset: offset as u64, length: length as u64 };
            let data = http.read(&at, cx(), request).await.expect("reads");
            assert_eq!(data.length, length as u64);
            let read: Vec<_> = data.stream.try_collect().await.expect("reads");
            assert_eq!(read.concat(), bytes[offset..offset + length]);
        }
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejections_keep_their_types_over_http() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let node = world.start("dn1", dir.path()).await;
    world.pipeline(&[&node]).await;
    let at = served(&node).await;
    let http = HttpBlocks::new(Arc::new(PlainTcp));
    let bytes = content(1, 1000);
    let denied = PutBlock { token: bytes::Bytes::new(), ..put(1, &bytes) };
    assert_eq!(http.put(&at, cx(), denied).await, Err(CallError::Rejected(PutRejected::PermissionDenied)));
    http.put(&at, cx(), put(1, &bytes)).await.expect("put");
    let other = content(2, 1000);
    assert_eq!(http.put(&at, cx(), put(1, &other)).await, Err(CallError::Rejected(PutRejected::Exists)));
    let write = WriteBlock { block: block(1), pipeline: PIPELINE, token: seal(Target::Block(block(1)), Access::Write, 1 << 20) };
    let outcome = http.write(&at, cx(), write.clone(), stream::iter([Ok(other.clone())]).boxed()).await;
    assert_eq!(outcome, Err(CallError::Rejected(WriteRejected::Exists)));
    let read = |local, offset| ReadBlock {
        block: block(local),
        token: seal(Target::Block(block(local)), Access::Read, 1 << 20),
        offset,
        length: 10,
    };
    let outcome = http.read(&at, cx(), read(9, 0)).await.map(|data| data.length);
    assert_eq!(outcome, Err(CallError::Rejected(ReadRejected::NoSuchBlock)));
    let outcome = http.read(&at, cx(), read(1, 995)).await.map(|data| data.length);
    assert_eq!(outcome, Err(CallError::Rejected(ReadRejected::OutOfRange)));
    let export = ExportContainer { container: CONTAINER, token: seal(Target::Container(CONTAINER), Access::Read, 0) };
    assert!(matches!(http.export(&at, cx(), export).await.map(|_| ()), Err(CallError::Rejected(_))), "still open");
    // A stream that its sender gives up is no block.
    let broken = WriteBlock { block: block(5), pipeline: PIPELINE, token: seal(Target::Block(block(5)), Access::Write, 1 << 20) };
    let pieces = [Ok(other), Err(std::io::Error::other("gone"))];
    assert!(http.write(&at, cx(), broken, stream::iter(pieces).boxed()).await.is_err());
    until("its space is given up", async || {
        let container = node.datanode.inner().store.get(CONTAINER).expect("there");
        container.lookup(5).expect("reads").is_none()
    })
    .await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_listening_is_not_applied_and_a_lost_answer_is_unknown() {
    let http = HttpBlocks::new(Arc::new(PlainTcp));
    let bytes = content(1, 10);
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound");
    let nobody = Replica { datanode: types::DatanodeId(1), endpoint: Endpoint(closed.to_string()) };
    let outcome = http.put(&nobody, cx(), put(1, &bytes)).await;
    assert!(matches!(outcome, Err(CallError::NotApplied(NotApplied::Unreachable(_)))), "{outcome:?}");
    let late = CallContext::local(RequestId::from_u128(1), std::time::Duration::ZERO);
    assert_eq!(http.put(&nobody, late, put(1, &bytes)).await, Err(CallError::NotApplied(NotApplied::TooLate)));

    // Takes the request and hangs up.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let rude = Replica { datanode: types::DatanodeId(1), endpoint: Endpoint(listener.local_addr().expect("bound").to_string()) };
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 65536];
            let _ = stream.read(&mut buffer).await;
        }
    });
    let outcome = http.put(&rude, cx(), put(1, &bytes)).await;
    assert!(matches!(outcome, Err(CallError::Unknown(_))), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_not_ours_is_refused_and_harms_nobody() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let node = world.start("dn1", dir.path()).await;
    world.pipeline(&[&node]).await;
    let at = served(&node).await;
    for request in [
        "GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /v1/blocks/3/../../etc/passwd HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /v1/blocks/3/1 HTTP/1.1\r\nhost: x\r\n\r\n",
        "DELETE /v1/blocks/3/1 HTTP/1.1\r\nhost: x\r\n\r\n",
        "POST /v1/blocks/3/1 HTTP/1.1\r\nhost: x\r\ntrioxide-content: nonsense\r\ncontent-length: 0\r\n\r\n",
        "\u{1}\u{2}\u{3}\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(&at.endpoint.0).await.expect("connects");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.expect("answered");
        assert!(answer.starts_with(b"HTTP/1.1 4"), "{request:?}: {}", String::from_utf8_lossy(&answer));
    }
    let http = HttpBlocks::new(Arc::new(PlainTcp));
    http.put(&at, cx(), put(1, &content(1, 100))).await.expect("still serves");
    node.stop().await;
}

/// Counts the connections that are made.
struct Counting(Arc<std::sync::atomic::AtomicUsize>);

#[async_trait::async_trait]
impl Dial for Counting {
    async fn dial(&self, endpoint: &Endpoint) -> std::io::Result<datanode_api::http::BoxedIo> {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        PlainTcp.dial(endpoint).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_one_after_another_share_a_connection() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let node = world.start("dn1", dir.path()).await;
    world.pipeline(&[&node]).await;
    let at = served(&node).await;
    let dials = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let http = HttpBlocks::new(Arc::new(Counting(Arc::clone(&dials))));
    for local in 0..50 {
        let bytes = content(local, 20_000);
        http.put(&at, cx(), put(local, &bytes)).await.expect("put");
        let token = seal(Target::Block(block(local)), Access::Read, 20_000);
        let data =
            http.read(&at, cx(), ReadBlock { block: block(local), token, offset: 0, length: 20_000 }).await.expect("reads");
        let read: Vec<_> = data.stream.try_collect().await.expect("reads");
        assert_eq!(read.concat(), bytes);
    }
    let dials = dials.load(std::sync::atomic::Ordering::SeqCst);
    assert!(dials < 10, "{dials} connections for 100 calls in a row");
    node.stop().await;
}
