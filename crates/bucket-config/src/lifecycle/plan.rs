//! What the rules mean for one object, version or upload at one moment.

use types::{Millis, Timestamp};

use super::{Expiration, LifecycleConfiguration, LifecycleRule, RuleConditions, RuleScope, TransitionMinimum, TransitionTime};

const DAY: Millis = Millis(24 * 60 * 60 * 1000);
const SMALL_OBJECT: u64 = 128 << 10;

/// How long a day is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Day {
    /// And what is due becomes so at the midnight (UTC) that follows.
    Calendar,
    /// Shorter, so that a test sees the end of it, and to the millisecond.
    Short(Millis),
}

impl Day {
    /// Whether something may have become due since a moment at which all that was due was done.
    pub fn has_turned(self, since: Timestamp, now: Timestamp) -> bool {
        match self {
            Self::Short(_) => true,
            Self::Calendar => since.0 / DAY.0 < now.0 / DAY.0,
        }
    }

    /// So many days after a moment.
    fn after(self, start: Timestamp, days: u32) -> Timestamp {
        match self {
            Self::Short(day) => start + Millis(day.0.saturating_mul(days.into())),
            Self::Calendar => {
                let due = start + Millis(DAY.0.saturating_mul(days.into()));
                Timestamp(due.0.div_ceil(DAY.0).saturating_mul(DAY.0))
            }
        }
    }
}

/// What rules look at.
#[derive(Debug, Clone, Copy)]
pub struct ObjectFacts<'a> {
    pub key: &'a str,
    pub size: u64,
    pub tags: &'a [(String, String)],
    /// The class that it is in.
    pub storage_class: &'a str,
}

/// When something ends, and by which rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry<'a> {
    pub at: Timestamp,
    pub rule: &'a str,
}

/// What is to be done with something now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate<'a> {
    Stay,
    Expire,
    /// To this storage class.
    Move(&'a str),
}

/// The version that a key shows.
#[derive(Debug, Clone, Copy)]
pub enum Current<'a> {
    Object {
        facts: ObjectFacts<'a>,
        modified: Timestamp,
    },
    /// A delete marker with nothing under it. One that hides versions is what keeps them noncurrent, and stays.
    LoneMarker {
        key: &'a str,
        modified: Timestamp,
    },
}

/// A version that has been replaced or hidden.
#[derive(Debug, Clone, Copy)]
pub struct Noncurrent<'a> {
    pub what: Hidden<'a>,
    /// When the version above it was made.
    pub since: Timestamp,
    /// How many noncurrent objects of the key are newer than this version.
    pub newer: u32,
}

#[derive(Debug, Clone, Copy)]
pub enum Hidden<'a> {
    Object(ObjectFacts<'a>),
    /// The key of a delete marker.
    Marker(&'a str),
}

#[derive(Debug, Clone, Copy)]
pub struct StaleUpload<'a> {
    pub key: &'a str,
    pub initiated: Timestamp,
}

impl LifecycleConfiguration {
    /// When the current version ends: what `x-amz-expiration` tells.
    pub fn expiry(&self, facts: ObjectFacts<'_>, modified: Timestamp, day: Day) -> Option<Expiry<'_>> {
        let ends = self.rules_for(facts).filter_map(|rule| {
            let at = match rule.expiration? {
                Expiration::Days(days) => day.after(modified, days),
                Expiration::Date(date) => date,
                Expiration::ExpiredDeleteMarker(_) => return None,
            };
            Some(Expiry { at, rule: &rule.id })
        });
        ends.min_by_key(|expiry| expiry.at)
    }

    pub fn fate_of_current(&self, current: Current<'_>, now: Timestamp, day: Day) -> Fate<'_> {
        let (facts, modified) = match current {
            Current::Object { facts, modified } => (facts, modified),
            Current::LoneMarker { key, modified } => {
                return if self.ends_marker(key, modified, now, day) { Fate::Expire } else { Fate::Stay };
            }
        };
        if self.expiry(facts, modified, day).is_some_and(|expiry| expiry.at <= now) {
            return Fate::Expire;
        }
        let due = self.rules_for(facts).filter(|rule| self.may_move(facts, rule)).flat_map(|rule| {
            rule.transitions.iter().map(|transition| {
                let at = match transition.after {
                    TransitionTime::Days(days) => day.after(modified, days),
                    TransitionTime::Date(date) => date,
                };
                (at, transition.storage_class.as_str())
            })
        });
        latest(due, now, facts.storage_class)
    }

    /// Whether a version that is not current ends now: none if it stays, else how many newer ones there must be for that.
    pub fn end_of_noncurrent(&self, version: Noncurrent<'_>, now: Timestamp, day: Day) -> Option<u32> {
        let about_it = |rule: &&LifecycleRule| match version.what {
            Hidden::Object(facts) => rule.scope.holds(facts),
            Hidden::Marker(key) => rule.scope.holds_marker(key),
        };
        let keeps = self.enabled().filter(about_it).filter_map(|rule| {
            let expiration = rule.noncurrent_expiration?;
            let keep = expiration.newer_versions.unwrap_or(0);
            (day.after(version.since, expiration.days) <= now && version.newer >= keep).then_some(keep)
        });
        keeps.min()
    }

    pub fn fate_of_noncurrent(&self, version: Noncurrent<'_>, now: Timestamp, day: Day) -> Fate<'_> {
        if self.end_of_noncurrent(version, now, day).is_some() {
            return Fate::Expire;
        }
        let Hidden::Object(facts) = version.what else { return Fate::Stay };
        let due = self.rules_for(facts).filter(|rule| self.may_move(facts, rule)).flat_map(|rule| {
            rule.noncurrent_transitions
                .iter()
                .filter(|transition| transition.newer_versions.is_none_or(|keep| version.newer >= keep))
                .map(|transition| (day.after(version.since, transition.days), transition.storage_class.as_str()))
        });
        latest(due, now, facts.storage_class)
    }

    pub fn aborts(&self, upload: StaleUpload<'_>, now: Timestamp, day: Day) -> bool {
        self.abort_of(upload, day).is_some_and(|expiry| expiry.at <= now)
    }

    /// When an upload will be aborted, and by which rule: what the answer to its creation tells.
    pub fn abort_of(&self, upload: StaleUpload<'_>, day: Day) -> Option<Expiry<'_>> {
        let rules = self.enabled().filter(|rule| rule.scope.holds_prefixes(upload.key));
        let ends =
            rules.filter_map(|rule| Some(Expiry { at: day.after(upload.initiated, rule.abort_uploads_after?), rule: &rule.id }));
        ends.min_by_key(|expiry| expiry.at)
    }

    fn ends_marker(&self, key: &str, modified: Timestamp, now: Timestamp, day: Day) -> bool {
        self.enabled().filter(|rule| rule.scope.holds_marker(key)).any(|rule| match rule.expiration {
            Some(Expiration::ExpiredDeleteMarker(goes)) => goes,
            Some(Expiration::Days(days)) => day.after(modified, days) <= now,
            Some(Expiration::Date(date)) => date <= now,
            None => false,
        })
    }

    fn enabled(&self) -> impl Iterator<Item = &LifecycleRule> {
        self.rules.iter().filter(|rule| rule.is_enabled)
    }

    fn rules_for<'c>(&'c self, facts: ObjectFacts<'_>) -> impl Iterator<Item = &'c LifecycleRule> {
        self.enabled().filter(move |rule| rule.scope.holds(facts))
    }

    /// Small objects stay, unless the rule itself speaks of sizes.
    fn may_move(&self, facts: ObjectFacts<'_>, rule: &LifecycleRule) -> bool {
        let minimum = self.transition_minimum.unwrap_or(TransitionMinimum::AllClasses128K);
        facts.size >= SMALL_OBJECT || minimum == TransitionMinimum::VariesByClass || rule.scope.has_size()
    }
}

impl RuleScope {
    fn holds(&self, facts: ObjectFacts<'_>) -> bool {
        self.holds_prefixes(facts.key) && self.conditions().all(|conditions| conditions.hold(facts))
    }

    /// A marker has no size and no tags: a rule that asks for them is not about it.
    fn holds_marker(&self, key: &str) -> bool {
        self.holds_prefixes(key) && self.tags().next().is_none() && !self.has_size()
    }
}

impl RuleConditions {
    /// But for the prefix.
    fn hold(&self, facts: ObjectFacts<'_>) -> bool {
        let has = |key: &str, value: &str| facts.tags.iter().any(|(k, v)| k == key && v == value);
        self.tags.iter().all(|tag| has(&tag.key, &tag.value))
            && self.size_greater_than.is_none_or(|above| facts.size > above)
            && self.size_less_than.is_none_or(|below| facts.size < below)
    }
}

/// Of the transitions that are due, the last one: an object that should have moved twice moves once.
fn latest<'a>(due: impl Iterator<Item = (Timestamp, &'a str)>, now: Timestamp, in_class: &str) -> Fate<'a> {
    match due.filter(|(at, _)| *at <= now).max_by_key(|(at, _)| *at) {
        Some((_, class)) if class != in_class => Fate::Move(class),
        Some(_) | None => Fate::Stay,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::{NoncurrentExpiration, NoncurrentTransition, RuleFilter, Transition};
    use crate::tagging::Tag;

    const HOUR: u64 = 60 * 60 * 1000;

    fn day(n: u64) -> Timestamp {
        Timestamp(n * DAY.0)
    }

    fn rule(id: &str, prefix: &str) -> LifecycleRule {
        LifecycleRule {
            id: id.into(),
            is_enabled: true,
            scope: RuleScope::Prefix(prefix.into()),
            expiration: None,
            noncurrent_expiration: None,
            transitions: Vec::new(),
            noncurrent_transitions: Vec::new(),
            abort_uploads_after: None,
        }
    }

    fn expiring(id: &str, prefix: &str, days: u32) -> LifecycleRule {
        LifecycleRule { expiration: Some(Expiration::Days(days)), ..rule(id, prefix) }
    }

    fn with(rules: impl Into<Vec<LifecycleRule>>) -> LifecycleConfiguration {
        LifecycleConfiguration { rules: rules.into(), transition_minimum: None }
    }

    fn object(key: &str, size: u64) -> ObjectFacts<'_> {
        ObjectFacts { key, size, tags: &[], storage_class: "STANDARD" }
    }

    #[test]
    fn days_end_at_the_midnight_behind_them_and_short_ones_at_once() {
        assert_eq!(Day::Calendar.after(Timestamp(10 * HOUR), 1), day(2));
        assert_eq!(Day::Calendar.after(day(1), 1), day(2));
        assert_eq!(Day::Short(Millis(4_000)).after(Timestamp(5), 2), Timestamp(8_005));
    }

    #[test]
    fn the_rule_that_ends_an_object_first_is_told() {
        let off = LifecycleRule { is_enabled: false, ..expiring("off", "", 1) };
        let lifecycle = with([expiring("slow", "", 9), expiring("logs", "logs/", 3), off]);
        let expiry = |key| lifecycle.expiry(object(key, 1), day(0), Day::Calendar).map(|expiry| (expiry.at, expiry.rule));
        assert_eq!(expiry("logs/a"), Some((day(3), "logs")));
        assert_eq!(expiry("a"), Some((day(9), "slow")));
        let dated = with([LifecycleRule { expiration: Some(Expiration::Date(day(2))), ..rule("dated", "") }]);
        assert_eq!(dated.expiry(object("a", 1), day(7), Day::Calendar), Some(Expiry { at: day(2), rule: "dated" }));
        assert_eq!(with([rule("none", "")]).expiry(object("a", 1), day(0), Day::Calendar), None);
    }

    #[test]
    fn all_conditions_of_a_filter_must_hold() {
        let tags = |words: &[(&str, &str)]| -> Vec<(String, String)> {
            words.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let tag = |key: &str, value: &str| Tag { key: key.into(), value: value.into() };
        let filter = RuleFilter {
            conditions: RuleConditions { prefix: Some("a/".into()), size_greater_than: Some(10), ..RuleConditions::default() },
            and: Some(RuleConditions {
                tags: vec![tag("k", "1"), tag("l", "2")],
                size_less_than: Some(20),
                ..RuleConditions::default()
            }),
        };
        let lifecycle = with([LifecycleRule { scope: RuleScope::Filter(filter), ..expiring("r", "", 1) }]);
        let (both, one) = (tags(&[("l", "2"), ("m", ""), ("k", "1")]), tags(&[("k", "1"), ("l", "3")]));
        for (key, size, tags, expected) in [
            ("a/x", 11, &both, true),
            ("a/x", 10, &both, false),
            ("a/x", 20, &both, false),
            ("b/x", 11, &both, false),
            ("a/x", 11, &one, false),
        ] {
            let facts = ObjectFacts { key, size, tags, storage_class: "STANDARD" };
            assert_eq!(lifecycle.expiry(facts, day(0), Day::Calendar).is_some(), expected, "{key} {size} {tags:?}");
        }
    }

    #[test]
    fn an_object_is_moved_to_the_last_class_that_is_due_and_then_ends() {
        let to = |days, class: &str| Transition { after: TransitionTime::Days(days), storage_class: class.into() };
        let transitions = vec![to(7, "COLDER"), to(1, "COLD")];
        let lifecycle = with([LifecycleRule { transitions, ..expiring("r", "", 9) }]);
        let fate = |now, storage_class| {
            let facts = ObjectFacts { storage_class, ..object("a", 1 << 20) };
            lifecycle.fate_of_current(Current::Object { facts, modified: day(0) }, day(now), Day::Calendar)
        };
        assert_eq!(fate(0, "STANDARD"), Fate::Stay);
        assert_eq!(fate(1, "STANDARD"), Fate::Move("COLD"));
        assert_eq!(fate(6, "COLD"), Fate::Stay);
        assert_eq!(fate(7, "STANDARD"), Fate::Move("COLDER"));
        assert_eq!(fate(8, "COLDER"), Fate::Stay);
        assert_eq!(fate(9, "COLDER"), Fate::Expire);
    }

    #[test]
    fn small_objects_are_not_moved_unless_somebody_says_so() {
        let transitions = vec![Transition { after: TransitionTime::Days(0), storage_class: "COLD".into() }];
        let moving = LifecycleRule { transitions, ..rule("r", "") };
        let fate = |lifecycle: &LifecycleConfiguration, size| {
            let current = Current::Object { facts: object("a", size), modified: day(0) };
            lifecycle.fate_of_current(current, day(1), Day::Calendar) == Fate::Move("COLD")
        };
        assert!(!fate(&with([moving.clone()]), SMALL_OBJECT - 1));
        assert!(fate(&with([moving.clone()]), SMALL_OBJECT));
        let varies = Some(TransitionMinimum::VariesByClass);
        assert!(fate(&LifecycleConfiguration { transition_minimum: varies, ..with([moving.clone()]) }, 1));
        let sized = RuleConditions { size_greater_than: Some(0), ..RuleConditions::default() };
        let scope = RuleScope::Filter(RuleFilter { conditions: sized, and: None });
        assert!(fate(&with([LifecycleRule { scope, ..moving }]), 1));
    }

    #[test]
    fn noncurrent_versions_go_by_age_but_for_the_newest() {
        let noncurrent_expiration = Some(NoncurrentExpiration { days: 2, newer_versions: Some(5) });
        let noncurrent_transitions = vec![NoncurrentTransition { days: 1, newer_versions: None, storage_class: "COLD".into() }];
        let lifecycle = with([LifecycleRule { noncurrent_expiration, noncurrent_transitions, ..rule("r", "") }]);
        let fate = |now, newer| {
            let version = Noncurrent { what: Hidden::Object(object("a", 1 << 20)), since: day(0), newer };
            lifecycle.fate_of_noncurrent(version, day(now), Day::Calendar)
        };
        assert_eq!(fate(0, 9), Fate::Stay);
        assert_eq!(fate(1, 9), Fate::Move("COLD"));
        assert_eq!(fate(2, 5), Fate::Expire);
        assert_eq!(fate(2, 4), Fate::Move("COLD"));
        let hidden = Noncurrent { what: Hidden::Object(object("a", 1)), since: day(0), newer: 9 };
        assert_eq!(with([expiring("r", "", 1)]).fate_of_noncurrent(hidden, day(9), Day::Calendar), Fate::Stay);
    }

    #[test]
    fn of_the_rules_that_end_a_version_the_one_that_keeps_fewest_counts() {
        let ending = |id, prefix, days, newer_versions| LifecycleRule {
            noncurrent_expiration: Some(NoncurrentExpiration { days, newer_versions }),
            ..rule(id, prefix)
        };
        let lifecycle = with([ending("many", "", 1, Some(5)), ending("few", "", 3, Some(2)), ending("all", "x/", 1, None)]);
        let end =
            |what, newer, now| lifecycle.end_of_noncurrent(Noncurrent { what, since: day(0), newer }, day(now), Day::Calendar);
        let of = |key| Hidden::Object(object(key, 1));
        assert_eq!(end(of("a"), 9, 0), None);
        assert_eq!(end(of("a"), 9, 1), Some(5));
        assert_eq!(end(of("a"), 4, 1), None);
        assert_eq!(end(of("a"), 9, 3), Some(2));
        assert_eq!(end(of("x/a"), 9, 1), Some(0));
        assert_eq!(end(Hidden::Marker("x/a"), 0, 1), Some(0));
        let sized = RuleConditions { size_less_than: Some(9), ..RuleConditions::default() };
        let scope = RuleScope::Filter(RuleFilter { conditions: sized, and: None });
        let lifecycle = with([LifecycleRule { scope, ..ending("small", "", 1, None) }]);
        let ends = |what| {
            let version = Noncurrent { what, since: day(0), newer: 0 };
            lifecycle.end_of_noncurrent(version, day(1), Day::Calendar).is_some()
        };
        assert!(ends(of("a")));
        assert!(!ends(Hidden::Marker("a")));
    }

    #[test]
    fn a_calendar_day_turns_at_midnight_and_a_short_one_at_any_time() {
        assert!(!Day::Calendar.has_turned(day(3), Timestamp(day(4).0 - 1)));
        assert!(Day::Calendar.has_turned(Timestamp(day(4).0 - 1), day(4)));
        assert!(!Day::Calendar.has_turned(day(4), day(3)));
        assert!(Day::Short(Millis(4_000)).has_turned(day(3), day(3)));
    }

    #[test]
    fn a_lone_marker_goes_at_once_or_with_the_days_of_its_rule() {
        let fate = |rule: LifecycleRule, now| {
            with([rule]).fate_of_current(Current::LoneMarker { key: "a", modified: day(0) }, day(now), Day::Calendar)
                == Fate::Expire
        };
        let marker = |goes| LifecycleRule { expiration: Some(Expiration::ExpiredDeleteMarker(goes)), ..rule("r", "") };
        assert!(fate(marker(true), 0));
        assert!(!fate(marker(false), 9));
        assert!(!fate(expiring("r", "", 5), 4));
        assert!(fate(expiring("r", "", 5), 5));
        assert!(!fate(expiring("r", "b", 5), 9));
        let tags = vec![Tag { key: "k".into(), value: String::new() }];
        let scope = RuleScope::Filter(RuleFilter { conditions: RuleConditions { tags, ..Default::default() }, and: None });
        assert!(!fate(LifecycleRule { scope, ..expiring("r", "", 1) }, 9));
    }

    #[test]
    fn uploads_are_aborted_by_prefix_and_age() {
        let lifecycle = with([LifecycleRule { abort_uploads_after: Some(2), ..rule("r", "a/") }]);
        let aborts = |key, now| lifecycle.aborts(StaleUpload { key, initiated: day(0) }, day(now), Day::Calendar);
        assert!(!aborts("a/x", 1));
        assert!(aborts("a/x", 2));
        assert!(!aborts("b/x", 9));
    }
}
