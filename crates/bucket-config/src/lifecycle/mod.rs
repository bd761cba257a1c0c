//! What becomes of objects, versions and uploads with time.
//!
//! The document says it ([`LifecycleConfiguration`]), [`mod@check`] tells whether S3 would take it, [`mod@plan`] what it means for one
//! object, version or upload at one moment.

mod check;
mod plan;

use minicbor::{Decode, Encode};
use types::Timestamp;

pub use plan::{Current, Day, Expiry, Fate, Hidden, Noncurrent, ObjectFacts, StaleUpload};

use crate::tagging::Tag;

#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct LifecycleConfiguration {
    #[n(0)]
    pub rules: Vec<LifecycleRule>,
    /// How small an object stays where it is although a rule would move it; said beside the document, in a header.
    #[n(1)]
    pub transition_minimum: Option<TransitionMinimum>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum TransitionMinimum {
    /// 128 KiB, whatever the class.
    #[n(0)]
    AllClasses128K,
    /// Some classes of S3 take anything; here all do.
    #[n(1)]
    VariesByClass,
}

impl TransitionMinimum {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AllClasses128K => "all_storage_classes_128K",
            Self::VariesByClass => "varies_by_storage_class",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::AllClasses128K, Self::VariesByClass].into_iter().find(|minimum| minimum.as_str() == text)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct LifecycleRule {
    /// Distinct among the rules; made up where the owner gave none.
    #[n(0)]
    pub id: String,
    #[n(1)]
    pub is_enabled: bool,
    #[n(2)]
    pub scope: RuleScope,
    #[n(3)]
    pub expiration: Option<Expiration>,
    #[n(4)]
    pub noncurrent_expiration: Option<NoncurrentExpiration>,
    #[n(5)]
    pub transitions: Vec<Transition>,
    #[n(6)]
    pub noncurrent_transitions: Vec<NoncurrentTransition>,
    /// In days after the upload began.
    #[n(7)]
    pub abort_uploads_after: Option<u32>,
}

/// What a rule is about, in the form in which its owner said it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum RuleScope {
    /// The form of S3's first years.
    #[n(0)]
    Prefix(#[n(0)] String),
    #[n(1)]
    Filter(#[n(0)] RuleFilter),
}

/// All of it must hold. S3 wants one condition or an `And` of several; both together mean what they say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct RuleFilter {
    #[n(0)]
    pub conditions: RuleConditions,
    #[n(1)]
    pub and: Option<RuleConditions>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct RuleConditions {
    #[n(0)]
    pub prefix: Option<String>,
    #[n(1)]
    pub tags: Vec<Tag>,
    #[n(2)]
    pub size_greater_than: Option<u64>,
    #[n(3)]
    pub size_less_than: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Expiration {
    /// After the object was made.
    #[n(0)]
    Days(#[n(0)] u32),
    #[n(1)]
    Date(#[n(0)] Timestamp),
    /// Whether a delete marker goes that has no version under it any more.
    #[n(2)]
    ExpiredDeleteMarker(#[n(0)] bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct NoncurrentExpiration {
    /// After the version was replaced.
    #[n(0)]
    pub days: u32,
    /// So many newer noncurrent versions stay whatever their age.
    #[n(1)]
    pub newer_versions: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Transition {
    #[n(0)]
    pub after: TransitionTime,
    #[n(1)]
    pub storage_class: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum TransitionTime {
    #[n(0)]
    Days(#[n(0)] u32),
    #[n(1)]
    Date(#[n(0)] Timestamp),
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct NoncurrentTransition {
    #[n(0)]
    pub days: u32,
    #[n(1)]
    pub newer_versions: Option<u32>,
    #[n(2)]
    pub storage_class: String,
}

impl RuleScope {
    /// Every set of conditions; all of them must hold.
    fn conditions(&self) -> impl Iterator<Item = &RuleConditions> {
        let filter = match self {
            Self::Prefix(_) => None,
            Self::Filter(filter) => Some(filter),
        };
        filter.into_iter().flat_map(|filter| std::iter::once(&filter.conditions).chain(&filter.and))
    }

    fn prefixes(&self) -> impl Iterator<Item = &str> {
        let legacy = match self {
            Self::Prefix(prefix) => Some(prefix.as_str()),
            Self::Filter(_) => None,
        };
        legacy.into_iter().chain(self.conditions().filter_map(|conditions| conditions.prefix.as_deref()))
    }

    /// What every key that the rule can be about begins with: where to look.
    pub fn prefix(&self) -> &str {
        self.prefixes().max_by_key(|prefix| prefix.len()).unwrap_or("")
    }

    fn tags(&self) -> impl Iterator<Item = &Tag> {
        self.conditions().flat_map(|conditions| &conditions.tags)
    }

    fn has_size(&self) -> bool {
        self.conditions().any(|conditions| conditions.size_greater_than.is_some() || conditions.size_less_than.is_some())
    }

    fn holds_prefixes(&self, key: &str) -> bool {
        self.prefixes().all(|prefix| key.starts_with(prefix))
    }
}

/// What of a bucket a rule has to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Realm {
    /// The objects that keys show.
    Current,
    /// What they do not show: older versions and delete markers.
    Hidden,
    Uploads,
}

impl LifecycleRule {
    fn reaches(&self, realm: Realm) -> bool {
        match realm {
            Realm::Current => {
                matches!(self.expiration, Some(Expiration::Days(_) | Expiration::Date(_))) || !self.transitions.is_empty()
            }
            Realm::Hidden => {
                let ends_markers = self.expiration.is_some_and(|expiration| expiration != Expiration::ExpiredDeleteMarker(false));
                ends_markers || self.noncurrent_expiration.is_some() || !self.noncurrent_transitions.is_empty()
            }
            Realm::Uploads => self.abort_uploads_after.is_some(),
        }
    }
}

impl LifecycleConfiguration {
    /// Where to look: what every key begins with that a rule can be about, in order, and none of them within another.
    pub fn prefixes(&self, realm: Realm) -> Vec<&str> {
        let rules = self.rules.iter().filter(|rule| rule.is_enabled && rule.reaches(realm));
        let mut prefixes: Vec<&str> = rules.map(|rule| rule.scope.prefix()).collect();
        prefixes.sort_unstable();
        prefixes.dedup_by(|next, before| next.starts_with(*before));
        prefixes
    }

    /// Whether what becomes of an object depends on its tags.
    pub fn asks_for_tags(&self) -> bool {
        self.rules.iter().any(|rule| rule.is_enabled && rule.scope.tags().next().is_some())
    }

    /// Gives each rule that has no name one that no other has.
    pub fn name_rules(&mut self) {
        let taken: std::collections::BTreeSet<String> = self.rules.iter().map(|rule| rule.id.clone()).collect();
        let mut free = (1..).map(|n: u64| format!("rule-{n}")).filter(|name| !taken.contains(name));
        for rule in self.rules.iter_mut().filter(|rule| rule.id.is_empty()) {
            rule.id = free.next().unwrap_or_default();
        }
    }

    /// Classes that rules move objects to.
    pub fn storage_classes(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().flat_map(|rule| {
            let transitions = rule.transitions.iter().map(|transition| transition.storage_class.as_str());
            transitions.chain(rule.noncurrent_transitions.iter().map(|transition| transition.storage_class.as_str()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(prefix: &str, expiration: Option<Expiration>) -> LifecycleRule {
        LifecycleRule {
            id: prefix.into(),
            is_enabled: true,
            scope: RuleScope::Prefix(prefix.into()),
            expiration,
            noncurrent_expiration: None,
            transitions: Vec::new(),
            noncurrent_transitions: Vec::new(),
            abort_uploads_after: None,
        }
    }

    #[test]
    fn a_walk_goes_where_a_rule_reaches_and_nowhere_twice() {
        let days = |prefix| rule(prefix, Some(Expiration::Days(1)));
        let marker = |prefix, goes| rule(prefix, Some(Expiration::ExpiredDeleteMarker(goes)));
        let off = LifecycleRule { is_enabled: false, ..days("off/") };
        let aborting = LifecycleRule { abort_uploads_after: Some(1), ..rule("up/", None) };
        let noncurrent_expiration = Some(NoncurrentExpiration { days: 1, newer_versions: None });
        let noncurrent = LifecycleRule { noncurrent_expiration, ..rule("old/", None) };
        let rules = vec![
            days("b/"),
            days("a/1/"),
            days("a/"),
            days("a/"),
            off,
            aborting,
            noncurrent,
            marker("m/", true),
            marker("n/", false),
        ];
        let lifecycle = LifecycleConfiguration { rules, transition_minimum: None };
        assert_eq!(lifecycle.prefixes(Realm::Current), ["a/", "b/"]);
        assert_eq!(lifecycle.prefixes(Realm::Hidden), ["a/", "b/", "m/", "old/"]);
        assert_eq!(lifecycle.prefixes(Realm::Uploads), ["up/"]);
        let everywhere = LifecycleConfiguration { rules: vec![days("a/"), days("")], transition_minimum: None };
        assert_eq!(everywhere.prefixes(Realm::Current), [""]);
        assert_eq!(everywhere.prefixes(Realm::Uploads), Vec::<&str>::new());
    }
}
