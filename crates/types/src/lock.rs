//! Object lock: what keeps a version from being deleted.

use crate::Timestamp;
use minicbor::{Decode, Encode};

/// The later the stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum RetentionMode {
    /// Who may bypass it can delete the version, or loosen this.
    #[n(0)]
    Governance,
    /// Nobody can, not even root.
    #[n(1)]
    Compliance,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Retention {
    #[n(0)]
    pub mode: RetentionMode,
    #[n(1)]
    pub until: Timestamp,
}

/// Both kinds hold a version independently of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct ObjectLock {
    #[n(0)]
    pub retention: Option<Retention>,
    /// None: never said, which is off, and shown as absent.
    #[n(1)]
    pub legal_hold: Option<bool>,
}

/// Whether the requester asked to bypass governance, and may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(index_only)]
pub enum Bypass {
    #[default]
    #[n(0)]
    No,
    #[n(1)]
    Governance,
}

impl Retention {
    fn holds(&self, now: Timestamp, bypass: Bypass) -> bool {
        self.until > now && !(self.mode == RetentionMode::Governance && bypass == Bypass::Governance)
    }

    /// Whether `next` may take its place. Longer in the same mode, or stricter, is always right; anything looser needs the
    /// right to delete.
    pub fn may_become(&self, next: Option<Retention>, now: Timestamp, bypass: Bypass) -> bool {
        let is_stricter = next.is_some_and(|next| next.until >= self.until && next.mode >= self.mode);
        is_stricter && !self.changes_mode_without_right(next, bypass) || !self.holds(now, bypass)
    }

    /// S3 lets nobody turn governance into compliance without the right to bypass it.
    fn changes_mode_without_right(&self, next: Option<Retention>, bypass: Bypass) -> bool {
        bypass == Bypass::No && next.is_some_and(|next| next.mode != self.mode)
    }
}

impl ObjectLock {
    /// Whether the version must stay.
    pub fn holds(&self, now: Timestamp, bypass: Bypass) -> bool {
        self.legal_hold == Some(true) || self.retention.is_some_and(|retention| retention.holds(now, bypass))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum RetentionPeriod {
    #[n(0)]
    Days(#[n(0)] u32),
    #[n(1)]
    Years(#[n(0)] u32),
}

impl RetentionPeriod {
    const DAY_MS: u64 = 86_400_000;

    /// A year is 365 days, as S3 counts it.
    pub fn after(self, now: Timestamp) -> Timestamp {
        let days = match self {
            Self::Days(days) => u64::from(days),
            Self::Years(years) => u64::from(years) * 365,
        };
        Timestamp(now.0.saturating_add(days.saturating_mul(Self::DAY_MS)))
    }
}

/// What every new version of a bucket gets that says nothing itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct DefaultRetention {
    #[n(0)]
    pub mode: RetentionMode,
    #[n(1)]
    pub period: RetentionPeriod,
}

/// A bucket whose versions can be locked. It stays so for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct BucketLock {
    #[n(0)]
    pub default: Option<DefaultRetention>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use Bypass::{Governance as Bypassed, No};
    use RetentionMode::{Compliance, Governance};

    fn until(mode: RetentionMode, seconds: u64) -> Retention {
        Retention { mode, until: Timestamp(seconds) }
    }

    #[test]
    fn a_hold_and_a_retention_keep_a_version_each_by_itself() {
        let now = Timestamp(100);
        let table = [
            (None, None, No, false),
            (None, Some(false), No, false),
            (None, Some(true), Bypassed, true),
            (Some(until(Governance, 101)), None, No, true),
            (Some(until(Governance, 101)), None, Bypassed, false),
            (Some(until(Governance, 101)), Some(true), Bypassed, true),
            (Some(until(Governance, 100)), None, No, false),
            (Some(until(Compliance, 101)), None, Bypassed, true),
            (Some(until(Compliance, 100)), None, No, false),
        ];
        for (retention, legal_hold, bypass, holds) in table {
            let lock = ObjectLock { retention, legal_hold };
            assert_eq!(lock.holds(now, bypass), holds, "{lock:?} {bypass:?}");
        }
    }

    #[test]
    fn a_retention_may_be_lengthened_by_anybody_and_loosened_by_whoever_may_bypass_it() {
        let now = Timestamp(100);
        let table = [
            (until(Governance, 200), Some(until(Governance, 300)), No, true),
            (until(Governance, 200), Some(until(Governance, 150)), No, false),
            (until(Governance, 200), Some(until(Governance, 150)), Bypassed, true),
            (until(Governance, 200), None, No, false),
            (until(Governance, 200), None, Bypassed, true),
            (until(Governance, 200), Some(until(Compliance, 300)), No, false),
            (until(Governance, 200), Some(until(Compliance, 300)), Bypassed, true),
            (until(Compliance, 200), Some(until(Compliance, 300)), No, true),
            (until(Compliance, 200), Some(until(Compliance, 150)), Bypassed, false),
            (until(Compliance, 200), Some(until(Governance, 300)), Bypassed, false),
            (until(Compliance, 200), None, Bypassed, false),
            (until(Compliance, 99), None, No, true),
            (until(Governance, 99), Some(until(Governance, 150)), No, true),
        ];
        for (from, to, bypass, may) in table {
            assert_eq!(from.may_become(to, now, bypass), may, "{from:?} to {to:?} with {bypass:?}");
        }
    }

    #[test]
    fn a_year_of_retention_has_365_days() {
        let now = Timestamp(5);
        assert_eq!(RetentionPeriod::Years(2).after(now), RetentionPeriod::Days(730).after(now));
        assert!(RetentionPeriod::Years(u32::MAX).after(now) > now);
    }
}
