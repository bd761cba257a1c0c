//! Tags: words that an owner hangs on a bucket or an object.

use minicbor::{Decode, Encode};

use crate::Invalid;

pub const MAX_BUCKET_TAGS: usize = 50;
pub const MAX_OBJECT_TAGS: usize = 10;
/// In characters.
const MAX_KEY: usize = 128;
const MAX_VALUE: usize = 256;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Tag {
    #[n(0)]
    pub key: String,
    #[n(1)]
    pub value: String,
}

/// In the order of their keys.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct BucketTags {
    #[n(0)]
    pub tags: Vec<Tag>,
}

impl BucketTags {
    pub fn new(mut tags: Vec<Tag>) -> Self {
        tags.sort_unstable();
        Self { tags }
    }

    pub(crate) fn check(&self) -> Result<(), Invalid> {
        if self.tags.len() > MAX_BUCKET_TAGS {
            return Err(Invalid::Tag(format!("Bucket tags cannot be greater than {MAX_BUCKET_TAGS}")));
        }
        check_tags(self.tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str())))
    }
}

/// What tags of buckets and objects alike must be; how many there may be is each one's own.
pub fn check_tags<'t>(tags: impl Iterator<Item = (&'t str, &'t str)>) -> Result<(), Invalid> {
    let mut keys = std::collections::BTreeSet::new();
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > MAX_KEY || !key.chars().all(is_allowed) {
            return Err(Invalid::Tag("The TagKey you have provided is invalid".into()));
        }
        if key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
            return Err(Invalid::Tag("System tags cannot be added/updated by requester".into()));
        }
        if value.chars().count() > MAX_VALUE || !value.chars().all(is_allowed) {
            return Err(Invalid::Tag("The TagValue you have provided is invalid".into()));
        }
        if !keys.insert(key) {
            return Err(Invalid::Tag("Cannot provide multiple Tags with the same key".into()));
        }
    }
    Ok(())
}

/// Letters, digits and space of any script, and `+ - = . _ : / @`.
fn is_allowed(character: char) -> bool {
    character.is_alphanumeric() || character == ' ' || "+-=._:/@".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_short_plain_and_distinct() {
        let ok = |key: &str, value: &str| check_tags([(key, value)].into_iter()).is_ok();
        for (key, value, expected) in [
            ("k", "", true),
            ("", "v", false),
            ("Größe + - = . _ : / @", "1 ö", true),
            ("aws:owner", "x", false),
            ("k", "a&b", false),
            ("k\n", "v", false),
        ] {
            assert_eq!(ok(key, value), expected, "{key:?} {value:?}");
        }
        assert!(ok(&"é".repeat(128), &"é".repeat(256)));
        assert!(!ok(&"é".repeat(129), ""));
        assert!(!ok("k", &"é".repeat(257)));
        assert!(check_tags([("a", "1"), ("a", "2")].into_iter()).is_err());
    }

    #[test]
    fn a_bucket_has_fifty_at_most_in_the_order_of_keys() {
        let tags =
            |n: usize| BucketTags::new((0..n).rev().map(|n| Tag { key: format!("k{n:02}"), value: String::new() }).collect());
        assert_eq!(tags(50).check(), Ok(()));
        assert!(matches!(tags(51).check(), Err(Invalid::Tag(_))));
        assert_eq!(tags(2).tags[0].key, "k00");
    }
}
