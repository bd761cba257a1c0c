//! Where bytes go in a container's file, and how the space of deleted ones is given back.

use crate::rows::CHUNK_BYTES;

/// The unit in which file systems give space back.
pub const PAGE: u64 = 4096;

/// A stretch of a file, `start` included, `end` not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    pub start: u64,
    pub end: u64,
}

impl Span {
    pub fn bytes(&self) -> u64 {
        self.end - self.start
    }

    /// Its whole pages, if it has any.
    pub fn pages(&self) -> Option<Self> {
        let pages = Self { start: self.start.next_multiple_of(PAGE), end: self.end / PAGE * PAGE };
        (pages.start < pages.end).then_some(pages)
    }
}

/// What comes of freeing a span next to others that are free already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freed {
    pub merged: Span,
    /// Pages that became wholly free by this, to be punched out.
    pub punch: Option<Span>,
}

/// Merges `freed` with the free spans before and behind it, where they touch. Small blocks share pages: a page can only be
/// given back when its last block goes, so free spans are kept until then.
pub fn free(before: Option<Span>, freed: Span, behind: Option<Span>) -> Freed {
    let before = before.filter(|before| before.end >= freed.start);
    let behind = behind.filter(|behind| behind.start <= freed.end);
    let start = before.map_or(freed.start, |before| before.start.min(freed.start));
    let end = behind.map_or(freed.end, |behind| behind.end.max(freed.end));
    let merged = Span { start, end };
    // Pages that freed does not touch were punched before, or are not free.
    let touched = Span { start: freed.start / PAGE * PAGE, end: freed.end.next_multiple_of(PAGE) };
    let punch = merged.pages().and_then(|pages| {
        let punch = Span { start: pages.start.max(touched.start), end: pages.end.min(touched.end) };
        (punch.start < punch.end).then_some(punch)
    });
    Freed { merged, punch }
}

const FIRST_EXTENT: u64 = 1 << 20;
const EXTENT_MAX: u64 = 4 << 20;

/// Room to reserve for a streamed block that has this many bytes already: little at first, as most blocks are short, then
/// enough to keep a block's bytes together between those of others. A multiple of the chunk size.
pub fn next_extent(written: u64, at_most: u64) -> u64 {
    let wanted = if written == 0 { FIRST_EXTENT } else { EXTENT_MAX };
    wanted.min(at_most.next_multiple_of(CHUNK_BYTES)).max(CHUNK_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn span(start: u64, end: u64) -> Span {
        Span { start, end }
    }

    #[test]
    fn a_page_is_punched_when_its_last_part_is_freed() {
        assert_eq!(free(None, span(0, 4000), None), Freed { merged: span(0, 4000), punch: None });
        assert_eq!(
            free(Some(span(0, 4000)), span(4000, 4096), None),
            Freed { merged: span(0, 4096), punch: Some(span(0, 4096)) }
        );
        assert_eq!(
            free(Some(span(0, 5000)), span(5000, 6000), Some(span(6000, 9000))),
            Freed { merged: span(0, 9000), punch: Some(span(4096, 8192)) }
        );
    }

    #[test]
    fn spans_that_do_not_touch_stay_apart() {
        assert_eq!(free(Some(span(0, 10)), span(20, 30), Some(span(40, 50))).merged, span(20, 30));
    }

    #[test]
    fn an_extent_is_a_whole_number_of_chunks_and_never_none() {
        for written in [0, 1, CHUNK_BYTES, 1 << 30] {
            for at_most in [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 1 << 40] {
                let extent = next_extent(written, at_most);
                assert!(extent >= CHUNK_BYTES && extent.is_multiple_of(CHUNK_BYTES) && extent <= EXTENT_MAX);
            }
        }
    }

    proptest! {
        /// Freed one by one in any order, exactly the pages without a live byte are punched, each once.
        #[test]
        fn pages_are_punched_exactly_when_nothing_in_them_lives(
            cuts in proptest::collection::btree_set(1..40_000u64, 2..30),
            order in proptest::collection::vec(any::<u16>(), 30),
        ) {
            let cuts: Vec<u64> = cuts.into_iter().collect();
            let mut live: Vec<Span> = cuts.windows(2).map(|pair| span(pair[0], pair[1])).collect();
            let mut dead = BTreeMap::new();
            let mut punched = BTreeSet::new();
            let mut freed = Vec::new();
            for pick in order {
                if live.is_empty() { break; }
                let one = live.remove(pick as usize % live.len());
                freed.push(one);
                let before = dead.range(..=one.start).next_back().map(|(s, e)| span(*s, *e));
                let behind = dead.range(one.start..).next().map(|(s, e)| span(*s, *e));
                let result = free(before, one, behind);
                dead.retain(|s, e| *e < result.merged.start || *s > result.merged.end);
                dead.insert(result.merged.start, result.merged.end);
                if let Some(punch) = result.punch {
                    for page in (punch.start..punch.end).step_by(PAGE as usize) {
                        prop_assert!(punched.insert(page), "page {page} punched twice");
                    }
                }
                let is_free = |byte: u64| freed.iter().any(|s| s.start <= byte && byte < s.end);
                for page in (0..40_960).step_by(PAGE as usize) {
                    let all_free = (page..page + PAGE).all(is_free);
                    prop_assert_eq!(punched.contains(&page), all_free, "page {}", page);
                }
            }
        }
    }
}
