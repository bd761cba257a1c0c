use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::mpsc;

use bytes::Bytes;
use proptest::prelude::*;
use tempfile::TempDir;

use super::segment::FIRST_FRAME;
use super::*;

const GROUP: GroupId = GroupId(1);
const OTHER: GroupId = GroupId(2);

fn small() -> WalOptions {
    WalOptions {
        first_segment_bytes: 160 << 10,
        segment_bytes: 160 << 10,
        cache_bytes: 4 << 10,
        segments_kept: 4,
        max_command_bytes: 16 << 10,
    }
}

fn open(dir: &TempDir) -> Wal {
    Wal::open(dir.path(), small()).expect("the log opens")
}

fn at(index: u64) -> LogPosition {
    LogPosition { term: 1, leader: 1, index }
}

fn payload(index: u64) -> Bytes {
    Bytes::from(format!("entry {index} {}", "x".repeat((index % 90) as usize)))
}

fn synced(queue: impl FnOnce(Done)) {
    let (done, waiting) = mpsc::channel();
    queue(Box::new(move |outcome| done.send(outcome).expect("somebody waits")));
    waiting.recv().expect("called").expect("synced");
}

fn append(wal: &Wal, group: GroupId, indexes: std::ops::Range<u64>) {
    let entries = indexes.map(|index| (at(index), payload(index))).collect();
    synced(|done| wal.append(group, entries, done));
}

fn start(wal: &Wal, group: GroupId) {
    synced(|done| wal.start_group(group, group.0, done));
}

fn indexes(wal: &Wal, group: GroupId) -> Vec<u64> {
    let entries = wal.read(group, 0, u64::MAX).expect("readable");
    for (position, bytes) in &entries {
        assert_eq!(*bytes, payload(position.index));
    }
    entries.into_iter().map(|(position, _)| position.index).collect()
}

fn segments(dir: &TempDir) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(dir.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .collect();
    paths.sort();
    paths
}

#[test]
fn entries_votes_and_marks_come_back_after_a_restart() {
    let dir = TempDir::new().expect("a folder");
    let wal = open(&dir);
    start(&wal, GROUP);
    append(&wal, GROUP, 0..20);
    synced(|done| wal.truncate_after(GROUP, Some(14), done));
    append(&wal, GROUP, 15..18);
    synced(|done| wal.purge(GROUP, at(4), done));
    wal.save_committed(GROUP, at(12));
    let vote = StoredVote { term: 3, leader: 1, committed: true };
    synced(|done| wal.save_vote(GROUP, vote, done));
    let before = (wal.head(GROUP), wal.extent(GROUP));
    drop(wal);

    let wal = open(&dir);
    assert_eq!(indexes(&wal, GROUP), (5..18).collect::<Vec<_>>());
    assert_eq!((wal.head(GROUP), wal.extent(GROUP)), before);
    let head = wal.head(GROUP).expect("known");
    assert_eq!((head.me, head.vote, head.purged, head.committed), (1, Some(vote), Some(at(4)), Some(at(12))));
}

#[test]
fn an_entry_can_be_read_before_it_is_on_disk() {
    let dir = TempDir::new().expect("a folder");
    let wal = open(&dir);
    start(&wal, GROUP);
    let (done, waiting) = mpsc::channel();
    wal.append(GROUP, vec![(at(0), payload(0))], Box::new(move |_| done.send(()).expect("somebody waits")));
    assert_eq!(indexes(&wal, GROUP), [0]);
    waiting.recv().expect("called");
}

#[test]
fn appends_that_meet_share_a_sync() {
    let dir = TempDir::new().expect("a folder");
    let wal = open(&dir);
    start(&wal, GROUP);
    start(&wal, OTHER);
    let before = wal.syncs();
    let (done, waiting) = mpsc::channel();
    {
        // While this is held the writing thread cannot take anything, so all of it is taken at once.
        let mut state = wal.0.shared.state.lock();
        for index in 0..50 {
            for group in [GROUP, OTHER] {
                let entries = vec![(at(index), payload(index))];
                state.index.append(group, &entries).expect("follows");
                let done = done.clone();
                let done: Done = Box::new(move |outcome| done.send(outcome).expect("somebody waits"));
                state.queue.push_back(Operation { group, change: Change::Append(entries), done: Some(done) });
            }
        }
    }
    wal.0.shared.queued.notify_one();
    for _ in 0..100 {
        waiting.recv().expect("called").expect("synced");
    }
    assert_eq!(wal.syncs() - before, 1);
}

#[test]
fn a_second_process_is_kept_out() {
    let dir = TempDir::new().expect("a folder");
    let _wal = open(&dir);
    assert!(matches!(Wal::open(dir.path(), small()), Err(OpenError::Config(_))));
}

#[test]
fn segments_are_used_again_once_nothing_in_them_matters() {
    let dir = TempDir::new().expect("a folder");
    let wal = open(&dir);
    start(&wal, GROUP);
    start(&wal, OTHER);
    append(&wal, OTHER, 0..3);
    let vote = StoredVote { term: 9, leader: 2, committed: false };
    synced(|done| wal.save_vote(OTHER, vote, done));
    for round in 0..100 {
        append(&wal, GROUP, round * 100..(round + 1) * 100);
        synced(|done| wal.purge(GROUP, at(round * 100 + 90), done));
    }
    let kept = segments(&dir).len();
    assert!(kept <= small().segments_kept + 3, "{kept} segments");
    drop(wal);

    // The idle group's entries were carried along, and its vote with them.
    let wal = open(&dir);
    assert_eq!(indexes(&wal, OTHER), [0, 1, 2]);
    assert_eq!(wal.head(OTHER).expect("known").vote, Some(vote));
    assert_eq!(indexes(&wal, GROUP), (9991..10000).collect::<Vec<_>>());
    append(&wal, GROUP, 10000..10100);
    assert_eq!(indexes(&wal, GROUP).len(), 109);
}

#[test]
fn whatever_is_freed_at_once_the_segments_left_have_no_gap() {
    let dir = TempDir::new().expect("a folder");
    let mut next = 0;
    for freed in [2, 5, 3, 1, 4] {
        let wal = open(&dir);
        if next == 0 {
            start(&wal, GROUP);
        }
        let before = segments(&dir).len();
        while segments(&dir).len() < before + freed {
            append(&wal, GROUP, next..next + 20);
            next += 20;
        }
        synced(|done| wal.purge(GROUP, at(next - 2), done));
        // The one behind writes nothing more than its note, so no spare is used up.
        synced(|done| wal.purge(GROUP, at(next - 2), done));
        let left = segments(&dir);
        assert!(left.len() <= 4, "{left:?}");
        drop(wal);
        assert_eq!(indexes(&open(&dir), GROUP), [next - 1], "after {freed}");
    }
}

#[test]
fn a_missing_segment_is_told_and_no_repair_takes_what_is_behind_it() {
    let dir = TempDir::new().expect("a folder");
    let wal = open(&dir);
    start(&wal, GROUP);
    let mut next = 0;
    while segments(&dir).len() < 4 {
        append(&wal, GROUP, next..next + 20);
        next += 20;
    }
    drop(wal);
    let all = segments(&dir);
    std::fs::remove_file(&all[1]).expect("there");
    assert!(matches!(Wal::open(dir.path(), small()), Err(OpenError::MissingSegment { .. })));
    assert!(matches!(repair_wal(dir.path(), true), Err(OpenError::MissingSegment { .. })));
    assert_eq!(segments(&dir).len(), all.len() - 1);
}

#[test]
fn a_removed_group_leaves_nothing_and_may_come_back_empty() {
    let dir = TempDir::new().expect("a folder");
    let wal = open(&dir);
    start(&wal, GROUP);
    append(&wal, GROUP, 0..5);
    synced(|done| wal.remove_group(GROUP, done));
    drop(wal);
    let wal = open(&dir);
    assert_eq!(wal.groups(), []);
    start(&wal, GROUP);
    assert_eq!(indexes(&wal, GROUP), [] as [u64; 0]);
    append(&wal, GROUP, 0..2);
    drop(wal);
    assert_eq!(indexes(&open(&dir), GROUP), [0, 1]);
}

#[test]
fn notes_about_a_group_without_a_log_are_refused_and_not_written() {
    let dir = TempDir::new().expect("a folder");
    let wal = open(&dir);
    let (done, waiting) = mpsc::channel();
    wal.purge(GROUP, at(3), Box::new(move |outcome| done.send(outcome).expect("somebody waits")));
    assert!(waiting.recv().expect("called").is_err());
    drop(wal);
    assert_eq!(open(&dir).groups(), []);
}

/// A log of several batches in one segment, closed, with where its frames end.
fn written(batches: u64) -> (TempDir, PathBuf, usize) {
    let dir = TempDir::new().expect("a folder");
    let wal = open(&dir);
    start(&wal, GROUP);
    for batch in 0..batches {
        append(&wal, GROUP, batch * 3..batch * 3 + 3);
    }
    drop(wal);
    let path = segments(&dir).remove(0);
    let bytes = std::fs::read(&path).expect("reads");
    let end = bytes.iter().rposition(|byte| *byte != 0).expect("frames") + 1;
    (dir, path, end)
}

fn change(path: &PathBuf, at: u64, with: impl FnOnce(u8) -> u8) {
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).expect("opens");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("reads");
    byte[0] = with(byte[0]);
    file.write_all_at(&byte, at).expect("writes");
}

fn zero_from(path: &PathBuf, from: u64) {
    let file = std::fs::OpenOptions::new().write(true).open(path).expect("opens");
    let length = file.metadata().expect("metadata").len() - from;
    file.write_all_at(&vec![0; length as usize], from).expect("writes");
}

/// What a crash may leave: a run of entries from the first, and a log that goes on behind it.
fn goes_on(dir: &TempDir) -> u64 {
    let wal = open(dir);
    let left = indexes(&wal, GROUP);
    let next = left.len() as u64;
    assert_eq!(left, (0..next).collect::<Vec<_>>());
    if wal.groups().is_empty() {
        return 0;
    }
    append(&wal, GROUP, next..next + 2);
    drop(wal);
    assert_eq!(indexes(&open(dir), GROUP), (0..next + 2).collect::<Vec<_>>());
    next
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// A log that ends anywhere, within a frame or between two, ends with the last whole frame.
    #[test]
    fn a_tail_cut_at_any_byte_is_absorbed(cut in 0.0..1.0_f64) {
        let (dir, path, end) = written(6);
        let first = FIRST_FRAME as usize;
        let cut = first + ((end - first) as f64 * cut) as usize;
        zero_from(&path, cut as u64);
        goes_on(&dir);
    }

    /// A changed bit in a batch that others were synced behind is damage, and the log stays as it is.
    #[test]
    fn a_changed_bit_inside_is_refused(at in 0.0..1.0_f64, bit in 0..8_u32) {
        let (dir, path, end) = written(8);
        let first = FIRST_FRAME as usize;
        // The last two batches may be torn, as far as the bytes can tell.
        let inside = first + ((end - first) as f64 * 0.6 * at) as usize;
        change(&path, inside as u64, |byte| byte ^ (1 << bit));
        let before = std::fs::read(&path).expect("reads");
        match Wal::open(dir.path(), small()) {
            Err(error @ OpenError::Damaged { .. }) => {
                prop_assert!(error.to_string().contains("trioxide repair wal"), "{error}");
                prop_assert_eq!(std::fs::read(&path).expect("reads"), before);
            }
            // Padding between frames is not covered by a checksum, and says nothing.
            Ok(wal) => prop_assert_eq!(indexes(&wal, GROUP), (0..24).collect::<Vec<_>>()),
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    /// A batch of which any part reached the disk, in any order, is absorbed: nobody was told that it was synced.
    #[test]
    fn a_last_batch_with_holes_is_absorbed(holes in prop::collection::vec(0.0..1.0_f64, 1..6)) {
        let dir = TempDir::new().expect("a folder");
        let wal = open(&dir);
        start(&wal, GROUP);
        append(&wal, GROUP, 0..4);
        let path = segments(&dir).remove(0);
        let synced_end = std::fs::read(&path).expect("reads").iter().rposition(|byte| *byte != 0).expect("frames") + 1;
        append(&wal, GROUP, 4..40);
        drop(wal);
        let end = std::fs::read(&path).expect("reads").iter().rposition(|byte| *byte != 0).expect("frames") + 1;
        for hole in holes {
            let from = synced_end.next_multiple_of(8) + ((end - synced_end) as f64 * hole) as usize;
            for at in from..(from + 64).min(end) {
                change(&path, at as u64, |_| 0);
            }
        }
        let left = goes_on(&dir);
        prop_assert!(left >= 4, "{left} left");
    }
}

#[test]
fn what_a_torn_batch_left_behind_the_tail_does_not_come_back() {
    let dir = TempDir::new().expect("a folder");
    let wal = open(&dir);
    start(&wal, GROUP);
    append(&wal, GROUP, 0..2);
    append(&wal, GROUP, 2..30);
    drop(wal);
    let path = segments(&dir).remove(0);
    let bytes = std::fs::read(&path).expect("reads");
    let third = bytes.windows(8).position(|window| window == b"entry 2 ").expect("the third entry");
    change(&path, third as u64, |byte| byte ^ 1);

    let wal = open(&dir);
    assert_eq!(indexes(&wal, GROUP), [0, 1]);
    // Of the same length as what was torn, so that the frames behind it begin where one could look for them.
    synced(|done| wal.append(GROUP, vec![(at(2), payload(2))], done));
    drop(wal);
    assert_eq!(indexes(&open(&dir), GROUP), [0, 1, 2]);
}

#[test]
fn damage_in_an_earlier_segment_and_a_missing_one_are_refused() {
    let dir = TempDir::new().expect("a folder");
    let wal = open(&dir);
    start(&wal, GROUP);
    for round in 0..30 {
        append(&wal, GROUP, round * 100..(round + 1) * 100);
    }
    drop(wal);
    let paths = segments(&dir);
    assert!(paths.len() >= 3, "{} segments", paths.len());
    let whole = std::fs::read(&paths[0]).expect("reads");
    let last_frame = whole.iter().rposition(|byte| *byte != 0).expect("frames");
    change(&paths[0], last_frame as u64 - 3, |byte| byte ^ 1);
    assert!(matches!(Wal::open(dir.path(), small()), Err(OpenError::Damaged { .. })), "its seal");
    std::fs::write(&paths[0], &whole).expect("writes");
    assert_eq!(indexes(&open(&dir), GROUP).len(), 3000);

    let second = std::fs::read(&paths[1]).expect("reads");
    std::fs::remove_file(&paths[1]).expect("removes");
    assert!(matches!(Wal::open(dir.path(), small()), Err(OpenError::MissingSegment { .. })), "a missing segment");
    std::fs::write(&paths[1], second).expect("writes");

    change(&paths[1], 13, |byte| byte ^ 1);
    assert!(matches!(Wal::open(dir.path(), small()), Err(OpenError::Damaged { .. })), "a header");
}

#[test]
fn a_log_that_lost_its_first_segment_is_refused() {
    let dir = TempDir::new().expect("a folder");
    let wal = open(&dir);
    start(&wal, GROUP);
    for round in 0..30 {
        append(&wal, GROUP, round * 100..(round + 1) * 100);
    }
    drop(wal);
    std::fs::remove_file(&segments(&dir)[0]).expect("removes");
    assert!(matches!(Wal::open(dir.path(), small()), Err(OpenError::Mismatch { .. })));
}

#[test]
fn after_a_failed_write_every_operation_fails_and_the_log_says_so() {
    let dir = TempDir::new().expect("a folder");
    let wal = open(&dir);
    start(&wal, GROUP);
    let failure = wal.failure();
    assert!(failure.borrow().is_none());
    // Larger than any segment: the writer has nowhere to put it.
    let huge = Bytes::from(vec![1; 1 << 20]);
    let (done, waiting) = mpsc::channel();
    let again = done.clone();
    wal.append(GROUP, vec![(at(0), huge)], Box::new(move |outcome| done.send(outcome).expect("somebody waits")));
    assert!(waiting.recv().expect("called").is_err());
    wal.append(GROUP, vec![(at(1), payload(1))], Box::new(move |outcome| again.send(outcome).expect("somebody waits")));
    assert!(waiting.recv().expect("called").is_err());
    assert!(failure.borrow().is_some());
}

#[test]
fn a_repair_shows_the_damage_first_and_then_cuts_the_log_off_there() {
    let (dir, path, _) = written(8);
    let bytes = std::fs::read(&path).expect("reads");
    let entry = bytes.windows(8).position(|window| window == b"entry 7 ").expect("an entry");
    change(&path, entry as u64, |byte| byte ^ 1);
    let before = std::fs::read(&path).expect("reads");

    let shown = repair_wal(dir.path(), false).expect("looks");
    assert_eq!(shown.damages.len(), 1);
    assert_eq!((shown.kept_in, shown.groups), (None, Vec::new()));
    assert_eq!(std::fs::read(&path).expect("reads"), before, "only looked at");

    let done = repair_wal(dir.path(), true).expect("repairs");
    assert_eq!(done.groups, [(GROUP, types::LogIndex(6))]);
    let kept = done.kept_in.expect("kept").join(path.file_name().expect("a name"));
    assert_eq!(std::fs::read(kept).expect("reads"), before);
    assert_eq!(indexes(&open(&dir), GROUP), (0..7).collect::<Vec<_>>());
    assert_eq!(repair_wal(dir.path(), true).expect("looks").damages, []);
}

#[test]
fn a_repair_of_an_earlier_segment_takes_the_later_ones_along() {
    let dir = TempDir::new().expect("a folder");
    let wal = open(&dir);
    start(&wal, GROUP);
    for round in 0..30 {
        append(&wal, GROUP, round * 100..(round + 1) * 100);
    }
    drop(wal);
    let second = segments(&dir).remove(1);
    change(&second, 13, |byte| byte ^ 1);
    let done = repair_wal(dir.path(), true).expect("repairs");
    let (_, last) = done.groups[0];
    let wal = open(&dir);
    assert_eq!(indexes(&wal, GROUP), (0..=last.0).collect::<Vec<_>>());
    append(&wal, GROUP, last.0 + 1..last.0 + 10);
}
