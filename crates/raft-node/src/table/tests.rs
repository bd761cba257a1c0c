use std::collections::BTreeMap;

use proptest::prelude::*;
use tables::{MemoryTables, Table, Visit, WriteTables};
use tempfile::TempDir;
use types::RequestId;

use super::*;
use crate::progress::LogPosition;

const LETTERS: Table = Table { id: 1, name: "letters" };
const OTHERS: Table = Table { id: 2, name: "others" };

/// `put TABLE KEY VALUE`, `del TABLE KEY`, one a line; the answer is how many rows table 1 then has.
struct Lines;

impl Core for Lines {
    fn apply(&self, _: LogIndex, command: &[u8], tables: &mut dyn WriteTables) -> Result<Vec<u8>, StorageFault> {
        for line in std::str::from_utf8(command).expect("text").lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let table = if words[1] == "1" { LETTERS } else { OTHERS };
            match words[0] {
                "put" => tables.put(table, words[2].as_bytes(), words[3].as_bytes().to_vec()),
                _ => tables.delete(table, words[2].as_bytes()),
            }
        }
        let mut rows = 0_u32;
        tables.scan(LETTERS, b"", &mut |_, _| {
            rows += 1;
            Ok(Visit::Next)
        })?;
        Ok(rows.to_be_bytes().to_vec())
    }
}

type Machine = Arc<TableMachine<Lines>>;

fn open(dir: &TempDir) -> Machine {
    let options = TableOptions { cache_bytes: 1 << 20, ..TableOptions::default() };
    TableMachine::open(&dir.path().join("rows.redb"), Lines, options).expect("the tables open")
}

fn progress(index: u64) -> Progress {
    Progress { applied: Some(LogPosition { term: 1, leader: 1, index }), ..Progress::default() }
}

fn apply(machine: &Machine, index: u64, request: Option<u128>, lines: &str) -> Bytes {
    let request = request.map(RequestId::from_u128);
    let command = Some(Command { request, bytes: lines.as_bytes() });
    let answers = machine.apply(&[Entry { index: LogIndex(index), command }], progress(index)).expect("applies");
    answers.into_iter().next().expect("one answer")
}

fn letters(tables: &dyn ReadTables) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    let scanned = tables.scan(LETTERS, b"", &mut |key, value| {
        rows.push((text(key), text(value)));
        Ok(Visit::Next)
    });
    scanned.expect("readable");
    rows
}

fn rows(machine: &Machine) -> Vec<(String, String)> {
    machine.read(|tables, _| letters(tables))
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

#[test]
fn a_reader_sees_applied_rows_over_flushed_ones_and_not_the_deleted() {
    let dir = TempDir::new().expect("a folder");
    let machine = open(&dir);
    apply(&machine, 1, None, "put 1 a old\nput 1 b old\nput 1 c old\nput 2 a other");
    machine.flush().expect("flushes");
    apply(&machine, 2, None, "put 1 b new\ndel 1 c\nput 1 d new\nput 1 aa new");
    let expected = [pair("a", "old"), pair("aa", "new"), pair("b", "new"), pair("d", "new")];
    assert_eq!(rows(&machine), expected);
    machine.flush().expect("flushes");
    assert_eq!(rows(&machine), expected);
}

#[test]
fn what_was_not_flushed_is_gone_after_a_crash_and_progress_says_so() {
    let dir = TempDir::new().expect("a folder");
    let machine = open(&dir);
    apply(&machine, 1, None, "put 1 a 1");
    assert_eq!(machine.flush().expect("flushes"), LogIndex(1));
    apply(&machine, 2, None, "put 1 b 2");
    drop(machine);
    let machine = open(&dir);
    assert_eq!(machine.progress().expect("readable"), progress(1));
    assert_eq!(rows(&machine), [pair("a", "1")]);
}

#[test]
fn a_request_that_comes_again_gets_its_first_answer_and_changes_nothing_even_after_a_restart() {
    let dir = TempDir::new().expect("a folder");
    let machine = open(&dir);
    let first = apply(&machine, 1, Some(7), "put 1 a 1");
    apply(&machine, 2, Some(8), "put 1 b 1");
    assert_eq!(apply(&machine, 3, Some(7), "put 1 a 2"), first);
    machine.flush().expect("flushes");
    drop(machine);
    let machine = open(&dir);
    assert_eq!(apply(&machine, 4, Some(7), "put 1 a 3"), first);
    assert_eq!(rows(&machine), [pair("a", "1"), pair("b", "1")]);
}

#[test]
fn a_request_is_forgotten_when_its_place_is_taken_and_not_before() {
    let dir = TempDir::new().expect("a folder");
    let machine = open(&dir);
    apply(&machine, 5, Some(7), "put 1 a 1");
    apply(&machine, 4 + answers::SLOTS, Some(8), "put 1 b 1");
    apply(&machine, 4 + answers::SLOTS, Some(7), "put 1 a 2");
    assert_eq!(rows(&machine)[0], pair("a", "1"), "remembered until then");
    apply(&machine, 5 + answers::SLOTS, Some(9), "put 1 c 1");
    apply(&machine, 6 + answers::SLOTS, Some(7), "put 1 a 3");
    assert_eq!(rows(&machine)[0], pair("a", "3"));
}

fn transfer(from: &Machine, to: &Machine) {
    let (progress, mut source) = from.snapshot().expect("pins");
    let mut sink = to.install().expect("begins");
    while let Some(frame) = source.next_frame().expect("reads") {
        sink.frame(&frame).expect("takes");
    }
    sink.finish(progress).expect("installs");
}

#[test]
fn a_snapshot_replaces_the_state_and_is_equal_byte_for_byte_answers_included() {
    let (here, there) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    let source = open(&here);
    for index in 0..3000 {
        apply(&source, index + 1, Some(u128::from(index)), &format!("put 1 key-{index:05} {}", "v".repeat(500)));
    }
    let target = open(&there);
    apply(&target, 1, Some(1), "put 1 other 1");
    transfer(&source, &target);
    assert_eq!(source.digest().expect("hashes"), target.digest().expect("hashes"));
    assert_eq!(target.digest().expect("hashes").index, LogIndex(3000));
    let again = apply(&target, 3001, Some(2999), "put 1 twice 1");
    assert_eq!(again.as_ref(), 3000_u32.to_be_bytes(), "the first answer travelled along");
    drop(target);
    assert_eq!(open(&there).progress().expect("readable"), progress(3000), "it is on disk");
}

#[test]
fn an_abandoned_snapshot_leaves_the_state_and_no_file() {
    let (here, there) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    let source = open(&here);
    apply(&source, 9, None, "put 1 theirs 1");
    let target = open(&there);
    apply(&target, 1, None, "put 1 ours 1");
    target.flush().expect("flushes");
    let (_, mut frames) = source.snapshot().expect("pins");
    let mut sink = target.install().expect("begins");
    sink.frame(&frames.next_frame().expect("reads").expect("one")).expect("takes");
    drop(sink);
    assert_eq!(rows(&target), [pair("ours", "1")]);
    drop(target);
    assert_eq!(rows(&open(&there)), [pair("ours", "1")]);
    let files: Vec<_> =
        std::fs::read_dir(there.path()).expect("a folder").map(|file| file.expect("a file").file_name()).collect();
    assert_eq!(files, ["rows.redb"]);
}

#[test]
fn a_snapshot_that_is_put_in_place_while_the_next_arrives_keeps_its_own_file() {
    let (here, there) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    let source = open(&here);
    apply(&source, 9, None, "put 1 theirs 1");
    let target = open(&there);
    let begin = || {
        let (progress, mut frames) = source.snapshot().expect("pins");
        let mut sink = target.install().expect("begins");
        sink.frame(&frames.next_frame().expect("reads").expect("one")).expect("takes");
        (progress, sink)
    };
    let (progress, first) = begin();
    let (_, second) = begin();
    first.finish(progress).expect("is put in place");
    drop(second);
    apply(&target, 10, None, "put 1 later 1");
    target.flush().expect("flushes");
    drop(target);
    assert_eq!(rows(&open(&there)), [pair("later", "1"), pair("theirs", "1")]);
}

#[test]
fn a_frame_with_a_changed_bit_is_refused() {
    let (here, there) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    let source = open(&here);
    apply(&source, 1, None, "put 1 a value");
    let (_, mut frames) = source.snapshot().expect("pins");
    let frame = frames.next_frame().expect("reads").expect("one").to_vec();
    let target = open(&there);
    for at in 0..frame.len() {
        let mut changed = frame.clone();
        changed[at] ^= 4;
        assert!(target.install().expect("begins").frame(&changed).is_err(), "byte {at}");
    }
}

#[test]
fn a_scan_seeks_the_disk_once_and_again_only_where_it_jumps_far() {
    let dir = TempDir::new().expect("a folder");
    let machine = open(&dir);
    let keys: Vec<String> = (0..10).flat_map(|p| (0..100).map(move |i| format!("put 1 {p}/{i:03} v"))).collect();
    apply(&machine, 1, None, &keys.join("\n"));
    machine.flush().expect("flushes");
    let before = machine.scan_stats();
    assert_eq!(rows(&machine).len(), 1000);
    let walked = machine.scan_stats();
    assert_eq!(walked.seeks - before.seeks, 1, "a walk over 1,000 rows");
    let mut prefixes = Vec::new();
    let scanned = machine.read(|tables, _| {
        tables.scan(LETTERS, b"", &mut |key, _| {
            prefixes.push(key[0]);
            Ok(Visit::SeekTo(vec![key[0], b'0']))
        })
    });
    scanned.expect("readable");
    assert_eq!(prefixes, b"0123456789");
    let skipped = machine.scan_stats();
    assert_eq!(skipped.seeks - walked.seeks, 11, "one a prefix and one to begin with");
    assert!(skipped.rows - walked.rows <= 10 * 10, "{} rows", skipped.rows - walked.rows);
}

#[test]
fn a_changed_bit_in_the_file_is_never_read_as_a_value() {
    let dir = TempDir::new().expect("a folder");
    let machine = open(&dir);
    let lines: Vec<String> = (0..200).map(|i| format!("put 1 key-{i:03} {}", "x".repeat(100))).collect();
    apply(&machine, 1, None, &lines.join("\n"));
    machine.flush().expect("flushes");
    let good: BTreeMap<_, _> = rows(&machine).into_iter().collect();
    drop(machine);
    let path = dir.path().join("rows.redb");
    let bytes = std::fs::read(&path).expect("reads");
    let needle = b"xxxxxxxx";
    let at = bytes.windows(needle.len()).position(|window| window == needle).expect("a value");
    let mut changed = bytes;
    changed[at] ^= 1;
    std::fs::write(&path, changed).expect("writes");

    let machine = open(&dir);
    let outcome = machine.read(|tables, _| {
        tables.scan(LETTERS, b"", &mut |key, value| {
            let key = String::from_utf8(key.to_vec()).expect("text");
            assert_eq!(good[&key].as_bytes(), value, "{key}");
            Ok(Visit::Next)
        })
    });
    assert!(outcome.is_err(), "the row with the changed bit is a fault");
    assert!(machine.health().is_err(), "and the machine says so to its host");
    assert!(machine.flush().is_err());
}

#[test]
fn a_core_that_faults_stops_the_machine() {
    struct Faulty;
    impl Core for Faulty {
        fn apply(&self, _: LogIndex, _: &[u8], _: &mut dyn WriteTables) -> Result<Vec<u8>, StorageFault> {
            Err(StorageFault("cannot be".to_owned()))
        }
    }
    let dir = TempDir::new().expect("a folder");
    let machine = TableMachine::open(&dir.path().join("rows.redb"), Faulty, TableOptions::default()).expect("opens");
    let entry = Entry { index: LogIndex(1), command: Some(Command { request: None, bytes: b"" }) };
    assert!(machine.apply(&[entry], progress(1)).is_err());
    assert!(machine.apply(&[], progress(1)).is_err());
    assert!(machine.flush().is_err());
}

#[derive(Debug, Clone)]
enum Step {
    Put(u8, u8),
    Delete(u8),
    Flush,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..40_u8, any::<u8>()).prop_map(|(key, value)| Step::Put(key, value)),
        3 => (0..40_u8).prop_map(Step::Delete),
        1 => Just(Step::Flush),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever lies in which layer, scans with jumps show what plain tables show.
    #[test]
    fn layers_read_like_plain_tables(steps in steps(), jump in 1..6_u8) {
        let dir = TempDir::new().expect("a folder");
        let mut machine = open(&dir);
        let mut model = MemoryTables::default();
        for (index, step) in steps.into_iter().enumerate() {
            let index = index as u64 + 1;
            match step {
                Step::Put(key, value) => {
                    apply(&machine, index, None, &format!("put 1 k{key:03} {value}"));
                    model.put(LETTERS, format!("k{key:03}").as_bytes(), value.to_string().into_bytes());
                }
                Step::Delete(key) => {
                    apply(&machine, index, None, &format!("del 1 k{key:03}"));
                    model.delete(LETTERS, format!("k{key:03}").as_bytes());
                }
                Step::Flush => { machine.flush().expect("flushes"); }
                Step::Reopen => {
                    machine.flush().expect("flushes");
                    drop(machine);
                    machine = open(&dir);
                }
            }
            prop_assert_eq!(rows(&machine), letters(&model));
            let jumps = |tables: &dyn ReadTables| {
                let mut seen = Vec::new();
                tables.scan(LETTERS, b"k002", &mut |key, _| {
                    seen.push(key.to_vec());
                    let number: u16 = std::str::from_utf8(&key[1..]).expect("text").parse().expect("a number");
                    Ok(Visit::SeekTo(format!("k{:03}", number + u16::from(jump)).into_bytes()))
                }).expect("readable");
                seen
            };
            prop_assert_eq!(machine.read(|tables, _| jumps(tables)), jumps(&model));
        }
    }
}
