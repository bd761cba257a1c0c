//! Whether S3 would take a lifecycle document.

use std::collections::BTreeSet;

use types::Timestamp;

use super::{Expiration, LifecycleConfiguration, LifecycleRule, RuleConditions, TransitionTime};
use crate::Invalid;
use crate::tagging::check_tags;

const MAX_RULES: usize = 1000;
const MAX_ID: usize = 255;
const MAX_PREFIX: usize = 1024;
const MAX_NEWER_VERSIONS: u32 = 100;
const DAY: u64 = 24 * 60 * 60 * 1000;

impl LifecycleConfiguration {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        if self.rules.is_empty() || self.rules.len() > MAX_RULES {
            return Err(Invalid::Schema);
        }
        let mut ids = BTreeSet::new();
        for rule in &self.rules {
            rule.check()?;
            if !ids.insert(&rule.id) {
                return Err(Invalid::argument("Rule ID must be unique. Found same ID for more than one rule"));
            }
        }
        Ok(())
    }
}

impl LifecycleRule {
    fn check(&self) -> Result<(), Invalid> {
        if self.id.chars().count() > MAX_ID {
            return Err(Invalid::argument("ID length should not exceed allowed limit of 255"));
        }
        self.check_scope()?;
        if self.expiration.is_none()
            && self.noncurrent_expiration.is_none()
            && self.transitions.is_empty()
            && self.noncurrent_transitions.is_empty()
            && self.abort_uploads_after.is_none()
        {
            return Err(Invalid::request("At least one action needs to be specified in a rule"));
        }
        self.check_current()?;
        self.check_noncurrent()?;
        let has_more_than_prefix = self.scope.tags().next().is_some() || self.scope.has_size();
        if let Some(days) = self.abort_uploads_after {
            positive(days, "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action")?;
            // An upload has neither size nor tags yet.
            if has_more_than_prefix {
                return Err(Invalid::request("AbortIncompleteMultipartUpload cannot be specified with Tags or object sizes."));
            }
        }
        if matches!(self.expiration, Some(Expiration::ExpiredDeleteMarker(_))) && has_more_than_prefix {
            return Err(Invalid::request("ExpiredObjectDeleteMarker cannot be specified with Tags or object sizes."));
        }
        Ok(())
    }

    fn check_scope(&self) -> Result<(), Invalid> {
        if self.scope.prefixes().any(|prefix| prefix.len() > MAX_PREFIX) {
            return Err(Invalid::request("The maximum size of a prefix is 1024."));
        }
        self.scope.conditions().try_for_each(RuleConditions::check)
    }

    fn check_current(&self) -> Result<(), Invalid> {
        match self.expiration {
            Some(Expiration::Days(days)) => positive(days, "'Days' for Expiration action")?,
            Some(Expiration::Date(date)) => at_midnight(date)?,
            Some(Expiration::ExpiredDeleteMarker(_)) | None => {}
        }
        distinct(self.transitions.iter().map(|transition| transition.storage_class.as_str()))?;
        for transition in &self.transitions {
            if let TransitionTime::Date(date) = transition.after {
                at_midnight(date)?;
            }
            match (transition.after, self.expiration) {
                (TransitionTime::Days(days), Some(Expiration::Days(end))) if days >= end => {
                    return Err(Invalid::argument(
                        "'Days' in the Expiration action must be greater than 'Days' in the Transition action",
                    ));
                }
                (TransitionTime::Date(date), Some(Expiration::Date(end))) if date >= end => {
                    return Err(Invalid::argument(
                        "'Date' in the Expiration action must be later than 'Date' in the Transition action",
                    ));
                }
                (TransitionTime::Days(_), Some(Expiration::Date(_))) | (TransitionTime::Date(_), Some(Expiration::Days(_))) => {
                    return Err(mixed_times());
                }
                _ => {}
            }
        }
        let dated = self.transitions.iter().filter(|transition| matches!(transition.after, TransitionTime::Date(_))).count();
        if dated != 0 && dated != self.transitions.len() { Err(mixed_times()) } else { Ok(()) }
    }

    fn check_noncurrent(&self) -> Result<(), Invalid> {
        if let Some(expiration) = self.noncurrent_expiration {
            positive(expiration.days, "'NoncurrentDays' for NoncurrentVersionExpiration action")?;
            newer_versions(expiration.newer_versions, "NoncurrentVersionExpiration")?;
        }
        distinct(self.noncurrent_transitions.iter().map(|transition| transition.storage_class.as_str()))?;
        for transition in &self.noncurrent_transitions {
            newer_versions(transition.newer_versions, "NoncurrentVersionTransition")?;
            if self.noncurrent_expiration.is_some_and(|expiration| transition.days >= expiration.days) {
                return Err(Invalid::argument(
                    "'NoncurrentDays' in the NoncurrentVersionExpiration action must be greater than 'NoncurrentDays' in the \
                     NoncurrentVersionTransition action",
                ));
            }
        }
        Ok(())
    }
}

impl RuleConditions {
    fn check(&self) -> Result<(), Invalid> {
        check_tags(self.tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str()))).map_err(|why| match why {
            Invalid::Tag(text) => Invalid::Request(text),
            other => other,
        })?;
        match (self.size_greater_than, self.size_less_than) {
            (Some(above), Some(below)) if below <= above.saturating_add(1) => {
                Err(Invalid::request("'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'"))
            }
            _ => Ok(()),
        }
    }
}

fn positive(days: u32, what: &str) -> Result<(), Invalid> {
    if days == 0 { Err(Invalid::argument(format!("{what} must be a positive integer"))) } else { Ok(()) }
}

fn at_midnight(date: Timestamp) -> Result<(), Invalid> {
    if date.0.is_multiple_of(DAY) { Ok(()) } else { Err(Invalid::argument("'Date' must be at midnight GMT")) }
}

fn newer_versions(count: Option<u32>, action: &str) -> Result<(), Invalid> {
    match count {
        Some(0) => Err(Invalid::argument(format!("'NewerNoncurrentVersions' for {action} action must be a positive integer"))),
        Some(count) if count > MAX_NEWER_VERSIONS => Err(Invalid::argument(format!(
            "'NewerNoncurrentVersions' for {action} action must be less than or equal to {MAX_NEWER_VERSIONS}"
        ))),
        Some(_) | None => Ok(()),
    }
}

fn distinct<'c>(mut classes: impl Iterator<Item = &'c str>) -> Result<(), Invalid> {
    let mut seen = BTreeSet::new();
    if classes.all(|class| seen.insert(class)) {
        Ok(())
    } else {
        Err(Invalid::request("'StorageClass' must be different for the transitions of one rule"))
    }
}

fn mixed_times() -> Invalid {
    Invalid::request("Found mixed 'Date' and 'Days' based Expiration and Transition actions in one lifecycle rule")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::{NoncurrentExpiration, NoncurrentTransition, RuleFilter, RuleScope, Transition};
    use crate::tagging::Tag;

    fn rule(id: &str) -> LifecycleRule {
        LifecycleRule {
            id: id.into(),
            is_enabled: true,
            scope: RuleScope::Prefix(String::new()),
            expiration: Some(Expiration::Days(3)),
            noncurrent_expiration: None,
            transitions: Vec::new(),
            noncurrent_transitions: Vec::new(),
            abort_uploads_after: None,
        }
    }

    fn check(rules: impl Into<Vec<LifecycleRule>>) -> Result<(), Invalid> {
        LifecycleConfiguration { rules: rules.into(), transition_minimum: None }.check()
    }

    fn to(after: TransitionTime, class: &str) -> Transition {
        Transition { after, storage_class: class.into() }
    }

    #[test]
    fn rules_have_distinct_and_short_names() {
        assert_eq!(check([rule("a"), rule("b")]), Ok(()));
        assert!(matches!(check([rule("a"), rule("a")]), Err(Invalid::Argument(_))));
        assert_eq!(check([rule(&"a".repeat(255))]), Ok(()));
        assert!(matches!(check([rule(&"a".repeat(256))]), Err(Invalid::Argument(_))));
        assert_eq!(check([]), Err(Invalid::Schema));
        let many = |n: usize| (0..n).map(|n| rule(&n.to_string())).collect::<Vec<_>>();
        assert_eq!(check(many(1000)), Ok(()));
        assert_eq!(check(many(1001)), Err(Invalid::Schema));
    }

    #[test]
    fn times_are_whole_days_and_at_least_one() {
        let expiring = |expiration| check([LifecycleRule { expiration: Some(expiration), ..rule("a") }]);
        assert!(matches!(expiring(Expiration::Days(0)), Err(Invalid::Argument(_))));
        assert_eq!(expiring(Expiration::Date(Timestamp(3 * DAY))), Ok(()));
        assert!(matches!(expiring(Expiration::Date(Timestamp(3 * DAY + 1))), Err(Invalid::Argument(_))));
        assert_eq!(expiring(Expiration::ExpiredDeleteMarker(true)), Ok(()));
        let noncurrent = |days, newer_versions| {
            let noncurrent_expiration = Some(NoncurrentExpiration { days, newer_versions });
            check([LifecycleRule { noncurrent_expiration, ..rule("a") }])
        };
        assert_eq!(noncurrent(1, Some(100)), Ok(()));
        for (days, newer) in [(0, None), (1, Some(0)), (1, Some(101))] {
            assert!(matches!(noncurrent(days, newer), Err(Invalid::Argument(_))), "{days} {newer:?}");
        }
        assert!(matches!(check([LifecycleRule { abort_uploads_after: Some(0), ..rule("a") }]), Err(Invalid::Argument(_))));
    }

    #[test]
    fn an_object_moves_before_it_goes_and_to_each_class_once() {
        let moving = |transitions: &[Transition]| check([LifecycleRule { transitions: transitions.to_vec(), ..rule("a") }]);
        let (days, date) = (TransitionTime::Days, |n: u64| TransitionTime::Date(Timestamp(n * DAY)));
        assert_eq!(moving(&[to(days(0), "COLD"), to(days(2), "COLDER")]), Ok(()));
        assert!(matches!(moving(&[to(days(3), "COLD")]), Err(Invalid::Argument(_))));
        assert!(matches!(moving(&[to(days(0), "COLD"), to(days(1), "COLD")]), Err(Invalid::Request(_))));
        assert!(matches!(moving(&[to(date(1), "COLD")]), Err(Invalid::Request(_))));
        let undated = |transitions: &[Transition]| {
            check([LifecycleRule { transitions: transitions.to_vec(), expiration: None, ..rule("a") }])
        };
        assert!(matches!(undated(&[to(days(0), "COLD"), to(date(1), "COLDER")]), Err(Invalid::Request(_))));
        let noncurrent = |days| {
            let noncurrent_transitions = vec![NoncurrentTransition { days, newer_versions: None, storage_class: "COLD".into() }];
            let noncurrent_expiration = Some(NoncurrentExpiration { days: 6, newer_versions: None });
            check([LifecycleRule { noncurrent_transitions, noncurrent_expiration, ..rule("a") }])
        };
        assert_eq!(noncurrent(0), Ok(()));
        assert!(matches!(noncurrent(6), Err(Invalid::Argument(_))));
    }

    #[test]
    fn a_rule_does_something_and_says_what_about() {
        assert!(matches!(check([LifecycleRule { expiration: None, ..rule("a") }]), Err(Invalid::Request(_))));
        let about = |conditions: RuleConditions, change: fn(&mut LifecycleRule)| {
            let scope = RuleScope::Filter(RuleFilter { conditions: RuleConditions::default(), and: Some(conditions) });
            let mut rule = LifecycleRule { scope, ..rule("a") };
            change(&mut rule);
            check([rule])
        };
        let tag = |key: &str| Tag { key: key.into(), value: String::new() };
        let tagged = RuleConditions { tags: vec![tag("a"), tag("b")], ..RuleConditions::default() };
        let sized = |above, below| RuleConditions {
            size_greater_than: Some(above),
            size_less_than: Some(below),
            ..RuleConditions::default()
        };
        let long = RuleConditions { prefix: Some("x".repeat(1025)), ..RuleConditions::default() };
        let twice = RuleConditions { tags: vec![tag("a"), tag("a")], ..RuleConditions::default() };
        assert_eq!(about(tagged.clone(), |_| ()), Ok(()));
        assert_eq!(about(sized(1, 3), |_| ()), Ok(()));
        for nothing in [long, twice, sized(1, 2), sized(5, 4)] {
            assert!(matches!(about(nothing.clone(), |_| ()), Err(Invalid::Request(_))), "{nothing:?}");
        }
        for conditions in [tagged, sized(1, 3)] {
            let aborting = about(conditions.clone(), |rule| rule.abort_uploads_after = Some(1));
            assert!(matches!(aborting, Err(Invalid::Request(_))));
            let marking = about(conditions, |rule| rule.expiration = Some(Expiration::ExpiredDeleteMarker(true)));
            assert!(matches!(marking, Err(Invalid::Request(_))));
        }
    }

    #[test]
    fn a_rule_without_a_name_gets_one_that_is_free() {
        let mut lifecycle = LifecycleConfiguration { rules: vec![rule(""), rule("rule-1"), rule("")], transition_minimum: None };
        lifecycle.name_rules();
        let names: Vec<&str> = lifecycle.rules.iter().map(|rule| rule.id.as_str()).collect();
        assert_eq!(names, ["rule-2", "rule-1", "rule-3"]);
        assert_eq!(lifecycle.check(), Ok(()));
    }
}
