//! Texts with `*` for any run of characters and `?` for any one.
//!
//! Matching takes time in proportion to the text, however the pattern is made: what stands between two stars is looked for
//! once, from left to right, and the first place found is the right one. Nothing is ever tried again.

use std::collections::BTreeMap;

/// A part of a pattern, as a template gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Text(&'a str),
    One,
    Many,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob {
    head: Run,
    /// What follows the first star. None: there is no star, and the head is all.
    rest: Option<Rest>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rest {
    middle: Vec<Sought>,
    tail: Run,
}

/// What stands between two stars.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Run(Vec<Item>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Text(String),
    /// So many characters, whichever.
    Any(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Sought {
    Text(String),
    Any(usize),
    Mixed(Mixed),
}

impl Glob {
    pub(super) fn new<'a>(tokens: impl IntoIterator<Item = Token<'a>>) -> Self {
        let mut runs = vec![Run::default()];
        for token in tokens {
            match (token, runs.last_mut()) {
                (Token::Many, _) => runs.push(Run::default()),
                (Token::One, Some(run)) => run.any(),
                (Token::Text(text), Some(run)) => run.text(text),
                (Token::One | Token::Text(_), None) => {}
            }
        }
        let mut runs = runs.into_iter();
        let head = runs.next().unwrap_or_default();
        let rest = runs.next_back().map(|tail| {
            let middle = runs.filter(|run| !run.0.is_empty()).map(Run::sought).collect();
            Rest { middle, tail }
        });
        Self { head, rest }
    }

    /// Of a text in which only `*` and `?` are special.
    pub(super) fn parse(text: &str) -> Self {
        Self::new(tokens(text))
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        let Some(text) = self.head.strip_prefix(text) else { return false };
        let Some(rest) = &self.rest else { return text.is_empty() };
        // The tail first: what the middle is looked for in must not reach into it.
        let Some(mut text) = rest.tail.strip_suffix(text) else { return false };
        for sought in &rest.middle {
            let Some(behind) = sought.find(text) else { return false };
            text = behind;
        }
        true
    }

    /// Whether it matches some text that begins so.
    pub(super) fn may_begin_with(&self, start: &str) -> bool {
        let mut left = start;
        for item in &self.head.0 {
            let rest = match item {
                Item::Text(text) => match left.strip_prefix(text.as_str()) {
                    Some(rest) => Some(rest),
                    None if text.starts_with(left) => None,
                    None => return false,
                },
                Item::Any(count) => skip(left, *count),
            };
            // The pattern goes on where the start ends.
            let Some(rest) = rest else { return true };
            left = rest;
        }
        self.rest.is_some() || left.is_empty()
    }

    /// What stands before the star, if there is one star and it is the end.
    pub(super) fn start_of_anything(&self) -> Option<&str> {
        match (self.head.0.as_slice(), &self.rest) {
            ([Item::Text(text)], Some(rest)) if rest.middle.is_empty() && rest.tail.0.is_empty() => Some(text),
            _ => None,
        }
    }

    /// The one text that it matches, if it is a single one.
    pub(super) fn literal(&self) -> Option<&str> {
        match (self.head.0.as_slice(), &self.rest) {
            ([], None) => Some(""),
            ([Item::Text(text)], None) => Some(text),
            _ => None,
        }
    }
}

pub(super) fn tokens(text: &str) -> impl Iterator<Item = Token<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let plain = rest.find(['*', '?']).unwrap_or(rest.len());
        let (token, length) = match rest.as_bytes().first()? {
            b'*' => (Token::Many, 1),
            b'?' => (Token::One, 1),
            _ => (Token::Text(&rest[..plain]), plain),
        };
        rest = &rest[length..];
        Some(token)
    })
}

impl Run {
    fn any(&mut self) {
        match self.0.last_mut() {
            Some(Item::Any(count)) => *count += 1,
            _ => self.0.push(Item::Any(1)),
        }
    }

    fn text(&mut self, text: &str) {
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(Item::Text(known)) => known.push_str(text),
            _ => self.0.push(Item::Text(text.to_owned())),
        }
    }

    fn strip_prefix<'t>(&self, text: &'t str) -> Option<&'t str> {
        self.0.iter().try_fold(text, |text, item| match item {
            Item::Text(start) => text.strip_prefix(start.as_str()),
            Item::Any(count) => skip(text, *count),
        })
    }

    fn strip_suffix<'t>(&self, text: &'t str) -> Option<&'t str> {
        self.0.iter().rev().try_fold(text, |text, item| match item {
            Item::Text(end) => text.strip_suffix(end.as_str()),
            Item::Any(count) => {
                let mut chars = text.chars();
                chars.nth_back(count.checked_sub(1)?)?;
                Some(chars.as_str())
            }
        })
    }

    fn sought(self) -> Sought {
        match self.0.as_slice() {
            [Item::Text(text)] => Sought::Text(text.clone()),
            [Item::Any(count)] => Sought::Any(*count),
            _ => Sought::Mixed(Mixed::new(&self.0)),
        }
    }
}

fn skip(text: &str, count: usize) -> Option<&str> {
    let mut chars = text.chars();
    chars.nth(count.checked_sub(1)?)?;
    Some(chars.as_str())
}

impl Sought {
    /// What lies behind the first place where it is found.
    fn find<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self {
            Self::Text(sought) => text.split_once(sought.as_str()).map(|(_, behind)| behind),
            Self::Any(count) => skip(text, *count),
            Self::Mixed(mixed) => mixed.find(text),
        }
    }
}

/// Characters and question marks to be looked for: one bit for each place of the pattern, set while the text so far ends in the
/// pattern up to there. A character moves all of them on at once, 64 places a step.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mixed {
    length: usize,
    /// The places of `?`.
    any: Vec<u64>,
    /// The places of each character that the pattern has, `?` included.
    places: BTreeMap<char, Vec<u64>>,
}

impl Mixed {
    fn new(items: &[Item]) -> Self {
        let flat: Vec<Option<char>> = items
            .iter()
            .flat_map(|item| match item {
                Item::Text(text) => text.chars().map(Some).collect(),
                Item::Any(count) => vec![None; *count],
            })
            .collect();
        let mut any = vec![0; flat.len().div_ceil(64)];
        let at = |places: &mut Vec<u64>, place: usize| places[place / 64] |= 1 << (place % 64);
        flat.iter().enumerate().filter(|(_, char)| char.is_none()).for_each(|(place, _)| at(&mut any, place));
        let mut places = BTreeMap::new();
        for (place, char) in flat.iter().enumerate().filter_map(|(place, char)| Some((place, (*char)?))) {
            at(places.entry(char).or_insert_with(|| any.clone()), place);
        }
        Self { length: flat.len(), any, places }
    }

    fn find<'t>(&self, text: &'t str) -> Option<&'t str> {
        let last = self.length - 1;
        let mut state = vec![0u64; self.any.len()];
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            let places = self.places.get(&char).unwrap_or(&self.any);
            let mut carry = 1;
            for (word, places) in state.iter_mut().zip(places) {
                (*word, carry) = (((*word << 1) | carry) & places, *word >> 63);
            }
            if state[last / 64] >> (last % 64) & 1 == 1 {
                return Some(chars.as_str());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_match_as_a_person_reads_them() {
        for (pattern, text, matches) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything/at all", true),
            ("a*", "a", true),
            ("a*", "ba", false),
            ("*a", "ba", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("?", "", false),
            ("?", "é", true),
            ("??", "é", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*?", "", false),
            ("*?", "x", true),
            ("*??*", "x", false),
            ("*??*", "xy", true),
            ("*a?c*", "zzabczz", true),
            ("*a?c*", "zzacczz", true),
            ("*a?c*", "zzaczz", false),
            ("*?b*b", "ab", false),
            ("*?b*b", "abb", true),
            ("x*ab?*yz", "xababyz", true),
            ("x*ab?*yz", "xabyz", false),
            ("*é?*", "caféx", true),
            ("***", "", true),
            ("a**b", "ab", true),
        ] {
            assert_eq!(Glob::parse(pattern).matches(text), matches, "{pattern} on {text}");
        }
    }

    #[test]
    fn a_pattern_may_begin_with_what_some_match_of_it_begins_with() {
        for (pattern, start, may) in [
            ("*", "a/", true),
            ("a/*", "a/", true),
            ("a*", "a/", true),
            ("a/b", "a/", true),
            ("a", "a/", false),
            ("ab/*", "a/", false),
            ("?/x", "a/", true),
            ("??x", "a/", true),
            ("b?x", "a/", false),
            ("a/", "a/", true),
        ] {
            assert_eq!(Glob::parse(pattern).may_begin_with(start), may, "{pattern} from {start}");
        }
    }

    #[test]
    fn only_what_matches_one_text_is_literal() {
        assert_eq!(Glob::parse("photos").literal(), Some("photos"));
        assert_eq!(Glob::parse("").literal(), Some(""));
        assert_eq!(Glob::parse("photos*").literal(), None);
        assert_eq!(Glob::parse("photo?").literal(), None);
    }

    /// The definition, tried every way: exponential, and therefore only for short ones.
    fn slow(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, _) => text.is_empty(),
            (Some(('*', rest)), _) => slow(rest, text) || text.split_first().is_some_and(|(_, text)| slow(pattern, text)),
            (Some(('?', rest)), Some((_, text))) => slow(rest, text),
            (Some((char, rest)), Some((first, text))) => char == first && slow(rest, text),
            (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_definition(pattern in "[ab*?é]{0,9}", text in "[abé]{0,9}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(Glob::parse(&pattern).matches(&text), slow(&chars(&pattern), &chars(&text)));
        }

        #[test]
        fn long_runs_of_question_marks_are_found(before in 0usize..200, run in 60usize..200, after in 0usize..50) {
            let pattern = format!("*b{}b*", "?".repeat(run));
            let inside = "a".repeat(run);
            let text = format!("{}b{inside}b{}", "a".repeat(before), "a".repeat(after));
            prop_assert!(Glob::parse(&pattern).matches(&text));
            let short = format!("{}b{}b{}", "a".repeat(before), &inside[1..], "a".repeat(after));
            prop_assert!(!Glob::parse(&pattern).matches(&short));
        }
    }
}
