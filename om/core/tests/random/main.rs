//! Random commands against a plain model: after every step the namespace shows what the model shows, every block that was ever
//! handed out is live or freed as the model says, and the invariants hold.

mod model;
mod ops;

use ::tables::{MemoryTables, ReadTables, Visit, WriteTables};
use model::Model;
use om_core::listing::{ListEntry, ListStart, VersionEntry, VersionStart, list_keys, list_parts, list_uploads, list_versions};
use om_core::namespace::Missing;
use om_core::{Command, Proposal, invariants, namespace, pending};
use ops::{Op, Seal, op};
use proptest::collection::vec;
use proptest::prelude::*;
use types::{BucketId, LogIndex, Timestamp, VersionId};

/// The real namespace, behind encoded commands as in a log.
pub(crate) struct Real {
    pub(crate) tables: MemoryTables,
    log: u64,
}

impl Real {
    pub(crate) fn apply<C: Proposal>(&mut self, command: C) -> Result<C::Reply, C::Rejected> {
        self.log += 1;
        let bytes = tables::encode(&command.into());
        let command: Command = tables::decode(&bytes, "command").expect("what was encoded");
        let answer = command.apply(LogIndex(self.log), &mut self.tables).expect("memory does not fail");
        C::answer(&answer).expect("what was encoded")
    }

    /// Time goes with the log.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp(1_000 * (self.log + 1))
    }
}

fn compare(real: &Real, model: &Model) {
    let tables = &real.tables;
    assert_eq!(invariants::violations(tables).expect("memory"), Vec::<String>::new());
    for (name, id) in &model.buckets {
        compare_bucket(tables, model, name, *id);
    }
    let waiting = pending::reclaim(tables, Timestamp(u64::MAX), usize::MAX).expect("memory").blocks;
    let mut freed: Vec<u64> = waiting.iter().map(|block| block.local).chain(model.reclaimed.iter().copied()).collect();
    freed.sort_unstable();
    assert_eq!(freed, model.freed(), "every block that is not live is freed, once");
}

fn compare_bucket(tables: &dyn ReadTables, model: &Model, name: &str, id: BucketId) {
    let listed = list_keys(tables, id, "", None, &ListStart::Beginning, 100).expect("memory");
    let shown: Vec<(String, u64)> = listed
        .entries
        .iter()
        .map(|entry| match entry {
            ListEntry::Key(key, head) => (key.as_str().to_owned(), head.size),
            ListEntry::CommonPrefix(prefix) => (prefix.clone(), u64::MAX),
        })
        .collect();
    let expected: Vec<(String, u64)> = model
        .stacks
        .iter()
        .filter(|((bucket, _), _)| *bucket == id)
        .filter_map(|(place, _)| Some((place.1.clone(), model.current(place)?.size())))
        .collect();
    assert_eq!(shown, expected, "keys of {name}");
    compare_versions(tables, model, name, id);
    let uploads = list_uploads(tables, id, "", None, None, 100).expect("memory").uploads;
    let shown: Vec<_> = uploads.iter().map(|listed| (listed.key.as_str().to_owned(), listed.upload)).collect();
    let expected: Vec<_> = model.uploads.keys().filter(|at| at.bucket == id).map(|at| (at.key.clone(), at.upload)).collect();
    assert_eq!(shown, expected, "uploads of {name}");
    for (at, parts) in model.uploads.iter().filter(|(at, _)| at.bucket == id) {
        let page = list_parts(tables, &at.to_core(), 0, 100).expect("memory");
        let shown: Vec<(u16, u64)> = page.parts.iter().map(|(number, row)| (number.get(), row.size)).collect();
        let expected: Vec<(u16, u64)> = parts.iter().map(|(number, part)| (*number, part.object.size())).collect();
        assert_eq!(shown, expected, "parts of {at:?}");
    }
}

fn compare_versions(tables: &dyn ReadTables, model: &Model, name: &str, id: BucketId) {
    let page = list_versions(tables, id, "", None, &VersionStart::Beginning, 1000).expect("memory");
    let shown: Vec<(String, VersionId, bool)> = page
        .entries
        .iter()
        .map(|entry| match entry {
            VersionEntry::Version { key, head, is_latest } => (key.as_str().to_owned(), head.version(), *is_latest),
            VersionEntry::CommonPrefix(prefix) => (prefix.clone(), VersionId::NULL, false),
        })
        .collect();
    let stacks = || model.stacks.iter().filter(|((bucket, _), _)| *bucket == id);
    let expected: Vec<(String, VersionId, bool)> = stacks()
        .flat_map(|((_, key), stack)| stack.iter().enumerate().map(move |(n, version)| (key.clone(), version.id, n == 0)))
        .collect();
    assert_eq!(shown, expected, "versions of {name}");
    for ((_, key), stack) in stacks() {
        for version in stack {
            let found = namespace::version(tables, id, &ops::key(key), Some(version.id)).expect("memory");
            let Some(object) = &version.object else {
                assert_eq!(found, Err(Missing::DeleteMarker(version.id)));
                continue;
            };
            let row = found.expect("it is listed");
            let pieces: Vec<(u64, u64, u64)> =
                row.body.pieces.iter().map(|piece| (piece.block.local, piece.offset, piece.length)).collect();
            assert_eq!(pieces, object.pieces, "bytes of {name}/{key}");
            assert_eq!(row.head.etag, object.etag);
        }
    }
}

fn run(ops: &[Op]) -> Real {
    let mut real = Real { tables: MemoryTables::default(), log: 0 };
    let mut model = Model::with_users(&mut real);
    for (step, op) in ops.iter().enumerate() {
        model.step(&mut real, op, step);
        compare(&real, &model);
    }
    real
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_namespace_does_what_a_plain_model_does(ops in vec(op(), 1..80)) {
        run(&ops);
    }

    #[test]
    fn the_same_commands_leave_the_same_bytes(ops in vec(op(), 1..40)) {
        prop_assert!(run(&ops).tables == run(&ops).tables);
    }
}

#[test]
#[should_panic(expected = "every block that is not live is freed, once")]
fn the_comparison_notices_a_session_that_is_lost() {
    let mut real = Real { tables: MemoryTables::default(), log: 0 };
    let mut model = Model::with_users(&mut real);
    model.step(&mut real, &Op::CreateBucket(0), 0);
    model.step(&mut real, &Op::Open { bucket: 0, blocks: 2, seal: Seal::Nothing }, 1);
    compare(&real, &model);
    let mut session = None;
    let find = &mut |key: &[u8], _: &[u8]| {
        session = Some(key.to_vec());
        Ok(Visit::Stop)
    };
    real.tables.scan(om_core::tables::OPEN_KEYS, b"", find).expect("memory");
    real.tables.delete(om_core::tables::OPEN_KEYS, &session.expect("a session"));
    // The model forgets it too, so that its blocks should be freed.
    model.forget_sessions();
    compare(&real, &model);
}
