//! Random histories of one disk against a plain model: what was acknowledged is there after any crash, what was deleted or never
//! committed is not, and the file alone tells the same as the index.
//!
//! The log is a list here; after a crash it comes again from the disk's last progress on, as Raft would have it. Two crashes are
//! tried: a killed process, which loses its memory, and a power cut, which loses of the file whatever was not synced, or some pages
//! of that.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use datanode_api::ChunkChecksums;
use datanode_core::command::{CommandAnswer, PipelineCommand, PutBlock};
use datanode_core::record::ContainerState;
use datanode_core::rows::{BlockState, GroupRow};
use proptest::prelude::*;
use runtime::{Reconcilers, SeededEntropy, Shutdown, SystemClock};
use tokio::sync::Semaphore;
use types::{ClusterId, DatanodeId, Endpoint, GroupId, LogIndex, MemberId};

use super::rig::{CONTAINER, PIPELINE, content};
use crate::container::{Container, Incoming};
use crate::disk::{DiskError, EIO, ENOSPC, Index, Need, Step};
use crate::ops::read::Reading;
use crate::pipeline::PipelineMachine;
use crate::store::Store;
use crate::{Config, rebuild_index};

#[derive(Debug, Clone)]
enum Op {
    /// A small block inside its entry.
    Put(u8, u32),
    /// A large block's bytes, and whether its commit follows.
    Stream(u8, u32, bool),
    /// A stream that breaks off.
    Break(u8, u32),
    /// A commit of bytes that were sent to the other replicas only.
    Missing(u8),
    Delete(u8),
    Flush,
    Close,
    Kill,
    PowerCut(Pages),
    /// A large block's bytes and the record that they are whole, and the power goes before the sync. Its commit comes all the
    /// same, from the other replicas.
    Torn(u8, u32, Pages),
    /// A flush in which one step of the disk finds no space, or breaks; then the process ends.
    FailingFlush(Step, usize, Failure),
    /// An entry with its bytes on a disk without space for them.
    NoSpace(u8, u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    Full,
    Broken,
}

/// Which of the pages that were not synced reach the disk all the same.
#[derive(Debug, Clone, Copy)]
enum Pages {
    None,
    Some(u64),
}

impl Pages {
    const BYTES: usize = 4096;

    fn choose(self, synced: &[u8], written: &[u8]) -> Vec<u8> {
        let Self::Some(seed) = self else { return synced.to_vec() };
        let mut bytes = synced.to_vec();
        bytes.resize(written.len().max(synced.len()), 0);
        for (i, page) in written.chunks(Self::BYTES).enumerate() {
            if (seed ^ i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 1 {
                bytes[i * Self::BYTES..][..page.len()].copy_from_slice(page);
            }
        }
        bytes
    }
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let local = 0..12u8;
    let small = prop_oneof![Just(0), Just(1), Just(65_536), 0..131_072u32];
    let large = prop_oneof![Just(131_073), Just(1 << 20), Just((1 << 20) + 1), 131_073..3_000_000u32];
    let pages = || prop_oneof![Just(Pages::None), any::<u64>().prop_map(Pages::Some)];
    let torn = (local.clone(), large.clone(), pages()).prop_map(|(local, size, pages)| Op::Torn(local, size, pages));
    let step = prop_oneof![Just(Step::Write), Just(Step::Sync), Just(Step::IndexWrite), Just(Step::IndexSync)];
    let failure = prop_oneof![Just(Failure::Full), Just(Failure::Broken)];
    let failing = (step, 0..6usize, failure).prop_map(|(step, before, failure)| Op::FailingFlush(step, before, failure));
    let no_space = (local.clone(), small.clone()).prop_map(|(local, size)| Op::NoSpace(local, size));
    let op = prop_oneof![
        2 => failing,
        1 => no_space,
        6 => (local.clone(), small).prop_map(|(local, size)| Op::Put(local, size)),
        3 => (local.clone(), large.clone(), any::<bool>()).prop_map(|(local, size, is_put)| Op::Stream(local, size, is_put)),
        1 => (local.clone(), large).prop_map(|(local, size)| Op::Break(local, size)),
        1 => local.clone().prop_map(Op::Missing),
        3 => local.prop_map(Op::Delete),
        2 => Just(Op::Flush),
        1 => Just(Op::Close),
        2 => Just(Op::Kill),
        2 => pages().prop_map(Op::PowerCut),
        1 => torn,
    ];
    proptest::collection::vec(op, 1..40)
}

/// A log entry with content of its own.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    Put { local: u64, content: Bytes, is_inline: bool },
    Close,
}

#[derive(Debug, Default)]
pub(super) struct Model {
    log: Vec<Entry>,
    committed: BTreeMap<u64, Bytes>,
    missing: BTreeSet<u64>,
    /// Of the missing, those whose bytes are in the log: after a crash they may find room.
    unspaced: BTreeSet<u64>,
    deleted: BTreeSet<u64>,
    is_closed: bool,
}

pub(super) struct Disk<'a> {
    dir: &'a Path,
    pub(super) store: Arc<Store>,
    pub(super) machine: PipelineMachine,
    /// The file's bytes as of the last sync.
    synced: Vec<u8>,
}

impl<'a> Disk<'a> {
    pub(super) fn open(dir: &'a Path, log: &[Entry]) -> Self {
        Self::open_with(dir, log, |_| {})
    }

    pub(super) fn open_with(dir: &'a Path, log: &[Entry], configure: impl FnOnce(&mut Config)) -> Self {
        let endpoint = Endpoint("here:1".into());
        let mut config = Config::new("dn", vec![dir.to_path_buf()], endpoint.clone(), endpoint);
        config.reserve_bytes = Some(0);
        config.ballast_bytes = Some(0);
        configure(&mut config);
        let store = Arc::new(Store::open(&config, Arc::new(SeededEntropy::new(1))).expect("opens"));
        store.set_owner(ClusterId::from_u128(1), DatanodeId(1)).expect("written");
        let disk = Arc::clone(&store.disks[0]);
        let fresh = GroupRow { group: GroupId(7), me: MemberId(1), members: vec![], progress: vec![], index: 0 };
        let row = disk.index.groups().expect("reads").remove(&PIPELINE).unwrap_or(fresh);
        let services = Reconcilers::new(Arc::new(SystemClock), Shutdown::default());
        let replay_from = row.index;
        let row = GroupRow { progress: vec![], ..row };
        let machine = PipelineMachine::new(PIPELINE, disk, Arc::clone(&store), row, services).expect("a machine");
        let mut opened = Self { dir, store, machine, synced: Vec::new() };
        opened.synced = opened.file_bytes();
        for (index, entry) in (1..).zip(log).filter(|(index, _)| *index > replay_from) {
            opened.apply(index, entry);
        }
        opened
    }

    fn file_bytes(&self) -> Vec<u8> {
        std::fs::read(self.dir.join("containers/3.data")).unwrap_or_default()
    }

    pub(super) fn container(&self) -> Arc<Container> {
        self.store.get_or_create(&self.store.disks[0], Need::Data, CONTAINER, PIPELINE).expect("made")
    }

    pub(super) fn apply(&self, index: u64, entry: &Entry) -> CommandAnswer {
        self.try_apply(index, entry).expect("applies")
    }

    pub(super) fn try_apply(&self, index: u64, entry: &Entry) -> Result<CommandAnswer, DiskError> {
        let sums;
        let command = match entry {
            Entry::Put { local, content, is_inline } => {
                sums = ChunkChecksums::of(content).to_le_bytes();
                PipelineCommand::PutBlock(PutBlock {
                    container: CONTAINER,
                    local: *local,
                    length: content.len() as u64,
                    sums: sums.as_slice().into(),
                    content: is_inline.then(|| (&content[..]).into()),
                })
            }
            Entry::Close => PipelineCommand::CloseContainer(CONTAINER),
        };
        self.machine.apply_commands(&[(LogIndex(index), Some(command))]).map(|answers| answers[0])
    }

    /// The power goes when the file is `written` in memory, and comes back.
    fn cut(mut self, pages: Pages, written: &[u8], model: &Model) -> Self {
        let synced = std::mem::take(&mut self.synced);
        let dir = self.dir;
        drop(self);
        if !synced.is_empty() {
            std::fs::write(dir.join("containers/3.data"), pages.choose(&synced, written)).expect("written");
        }
        Self::open(dir, &model.log)
    }

    fn flush(&mut self, model: &Model) {
        self.machine.flush_to(Vec::new(), model.log.len() as u64).expect("flushes");
        self.synced = self.file_bytes();
    }

    async fn stream(&mut self, local: u64, bytes: &Bytes) {
        let mut incoming = Incoming::begin(&self.container(), local, 64 << 20);
        for piece in bytes.chunks(300_000) {
            incoming.write(vec![bytes.slice_ref(piece)]).expect("written");
        }
        incoming.finish().await.expect("synced");
        self.synced = self.file_bytes();
    }

    pub(super) async fn read(&self, local: u64) -> Result<Option<Vec<u8>>, String> {
        let Some(container) = self.store.get(CONTAINER) else { return Ok(None) };
        let row = container.lookup(local).expect("reads");
        let Some(row) = row.filter(|row| row.state == BlockState::Stored) else { return Ok(None) };
        let end = row.length;
        let reading = Reading::new(container, local, row, 0, end, Arc::new(Semaphore::new(1)));
        let mut reading = reading.map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        while let Some(piece) = reading.next().await.map_err(|error| error.to_string())? {
            bytes.extend_from_slice(&piece);
        }
        Ok(Some(bytes))
    }

    async fn check(&self, model: &Model) {
        for local in 0..12 {
            let expected = model.committed.get(&local).filter(|_| !model.missing.contains(&local));
            let read = self.read(local).await.unwrap_or_else(|error| panic!("block {local}: {error}"));
            let length = |bytes: Option<&[u8]>| bytes.map(<[u8]>::len);
            let (read, expected) = (read.as_deref(), expected.map(|bytes| &bytes[..]));
            assert!(read == expected, "block {local}: {:?} bytes read, {:?} expected", length(read), length(expected));
        }
        if let Some(container) = self.store.get(CONTAINER) {
            let row = container.row();
            assert_eq!(row.blocks, model.committed.len() as u64);
            assert_eq!(row.used, model.committed.values().map(|bytes| bytes.len() as u64).sum::<u64>());
            assert_eq!(row.missing, model.missing.len() as u64);
            assert_eq!(row.state == ContainerState::Closed, model.is_closed);
        }
    }

    fn commit(&self, model: &mut Model, entry: Entry) {
        model.log.push(entry.clone());
        let answer = self.apply(model.log.len() as u64, &entry);
        match entry {
            Entry::Close => model.is_closed = true,
            Entry::Put { local, .. } if model.deleted.contains(&local) => assert!(answer != CommandAnswer::Done),
            Entry::Put { local, .. } if model.committed.contains_key(&local) => {
                assert!(matches!(answer, CommandAnswer::Done | CommandAnswer::Exists));
            }
            Entry::Put { .. } if model.is_closed => assert_eq!(answer, CommandAnswer::Closed),
            Entry::Put { local, content, .. } => {
                assert_eq!(answer, CommandAnswer::Done);
                model.committed.insert(local, content);
            }
        }
    }
}

async fn run(dir: &Path, ops: Vec<Op>) {
    let mut model = Model::default();
    let mut disk = Disk::open(dir, &[]);
    for (step, op) in ops.into_iter().enumerate() {
        // A block number is used once; what a gateway gave up under it may come again, with the same or other bytes.
        let bytes = |local: u8, size: u32| content(u64::from(local) + 100 * step as u64, size as usize);
        match op {
            Op::Put(local, size) => {
                let entry = Entry::Put { local: local.into(), content: bytes(local, size), is_inline: true };
                disk.commit(&mut model, entry);
            }
            Op::Stream(local, size, is_put) => {
                let (local, content) = (u64::from(local), bytes(local, size));
                if model.committed.contains_key(&local) || model.deleted.contains(&local) || model.is_closed {
                    continue;
                }
                disk.stream(local, &content).await;
                if is_put {
                    disk.commit(&mut model, Entry::Put { local, content, is_inline: false });
                }
            }
            Op::Break(local, size) => {
                let mut incoming = Incoming::begin(&disk.container(), local.into(), 64 << 20);
                incoming.write(vec![bytes(local, size)]).expect("written");
            }
            Op::Missing(local) => {
                let local = u64::from(local);
                if model.committed.contains_key(&local) || model.deleted.contains(&local) || model.is_closed {
                    continue;
                }
                disk.commit(&mut model, Entry::Put { local, content: bytes(local as u8, 200_000), is_inline: false });
                model.missing.insert(local);
            }
            Op::Delete(local) => {
                let local = u64::from(local);
                disk.container().turn().delete(&[local]).expect("deleted");
                disk.store.flush(&disk.store.disks[0], None).expect("flushed");
                disk.synced = disk.file_bytes();
                model.committed.remove(&local);
                model.missing.remove(&local);
                model.unspaced.remove(&local);
                model.deleted.insert(local);
            }
            Op::Flush => disk.flush(&model),
            Op::Close => disk.commit(&mut model, Entry::Close),
            Op::Kill => {
                drop(disk);
                disk = Disk::open(dir, &model.log);
            }
            Op::PowerCut(pages) => {
                let written = disk.file_bytes();
                disk = disk.cut(pages, &written, &model);
            }
            Op::FailingFlush(step, before, failure) => {
                let served = Arc::clone(&disk.store.disks[0]);
                served.room.faults.one(step, before, if failure == Failure::Full { ENOSPC } else { EIO });
                let flushed = disk.machine.flush_to(Vec::new(), model.log.len() as u64);
                served.room.faults.clear();
                if flushed.is_ok() {
                    disk.synced = disk.file_bytes();
                }
                if served.failure().is_some() {
                    assert!(flushed.is_err());
                    drop((served, disk));
                    disk = Disk::open(dir, &model.log);
                }
            }
            Op::NoSpace(local, size) => {
                let local = u64::from(local);
                if model.committed.contains_key(&local) || model.deleted.contains(&local) || model.is_closed {
                    continue;
                }
                let content = bytes(local as u8, size);
                disk.container();
                let served = Arc::clone(&disk.store.disks[0]);
                served.room.faults.one(Step::Write, 0, ENOSPC);
                model.log.push(Entry::Put { local, content: content.clone(), is_inline: true });
                let answer = disk.try_apply(model.log.len() as u64, &model.log[model.log.len() - 1]);
                served.room.faults.clear();
                assert_eq!(answer.expect("carried out, without the content"), CommandAnswer::DiskFull);
                model.committed.insert(local, content);
                model.missing.insert(local);
                model.unspaced.insert(local);
            }
            Op::Torn(local, size, pages) => {
                let (local, content) = (u64::from(local), bytes(local, size));
                if model.committed.contains_key(&local) || model.deleted.contains(&local) || model.is_closed {
                    continue;
                }
                let written = {
                    let mut incoming = Incoming::begin(&disk.container(), local, 64 << 20);
                    incoming.write(vec![content.clone()]).expect("written");
                    incoming.complete().expect("written");
                    disk.file_bytes()
                };
                disk = disk.cut(pages, &written, &model);
                disk.commit(&mut model, Entry::Put { local, content, is_inline: false });
                let row = disk.container().lookup(local).expect("reads").expect("committed");
                if row.state == BlockState::Missing {
                    model.missing.insert(local);
                }
            }
        }
        let is_stored = |local: &u64| {
            let row = disk.container().lookup(*local).expect("reads");
            row.is_some_and(|row| row.state == BlockState::Stored)
        };
        let found: Vec<u64> = model.unspaced.iter().copied().filter(is_stored).collect();
        for local in found {
            model.unspaced.remove(&local);
            model.missing.remove(&local);
        }
        disk.check(&model).await;
    }
    disk.flush(&model);
    disk.check(&model).await;
    drop(disk);
    let dump = || Index::open(&dir.join("index.redb"), 1 << 20, &Arc::default()).expect("opens").dump();
    let before = dump();
    rebuild_index(dir).expect("rebuilt");
    let rows = |rows: Vec<(&'static str, Vec<u8>, Vec<u8>)>| -> Vec<_> {
        rows.into_iter().filter(|(table, ..)| *table == "blocks").collect()
    };
    assert!(rows(dump()) == rows(before), "the file alone tells the same as the index");
    Disk::open(dir, &model.log).check(&model).await;
}

/// Histories that once went wrong.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn known_histories_keep_what_was_acknowledged_and_nothing_else() {
    let histories = [
        // The bytes sent before came out of the tail in place of the committed ones.
        vec![Op::Stream(7, 131_073, false), Op::Put(7, 0), Op::Kill],
        // A durable block came back with a second commit.
        vec![Op::Put(7, 0), Op::Flush, Op::Delete(7), Op::Put(7, 0)],
        // Bytes that were acknowledged after a flush gave way to those the index knew.
        vec![Op::Stream(1, 131_073, false), Op::Flush, Op::Stream(1, 200_000, true), Op::Kill, Op::PowerCut(Pages::None)],
    ];
    // A streamed block's records reached the disk, and its bytes did not.
    let torn = (0..16).map(|seed| vec![Op::Put(1, 100), Op::Flush, Op::Torn(2, 200_000, Pages::Some(seed))]);
    for history in histories.into_iter().chain(torn) {
        let dir = tempfile::tempdir().expect("a directory");
        run(dir.path(), history).await;
    }
}

/// Enough for every change; set the variable for a night's worth.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_keeps_what_was_acknowledged_and_nothing_else(ops in ops()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let dir = tempfile::tempdir().expect("a directory");
        runtime.block_on(run(dir.path(), ops));
    }
}
