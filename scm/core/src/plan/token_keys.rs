//! When the next token key is due, and who may know which.

use types::{Millis, Timestamp};

use crate::rows::TokenKeyRow;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPolicy {
    /// How long a key seals.
    pub seal_for: Millis,
    /// How long after it was made its tokens are opened; longer than `seal_for` by at least a token's life.
    pub expire_after: Millis,
    /// A new key is known for this long before anybody seals with it: some heartbeats at least.
    pub settle: Millis,
}

impl KeyPolicy {
    /// A key that seals from `from` on.
    pub fn key(&self, secret: [u8; 32], from: Timestamp) -> TokenKeyRow {
        TokenKeyRow { secret, seals_from: from, seals_until: from + self.seal_for, expires: from + self.expire_after }
    }

    /// When the key after `newest` starts to seal, if it is time to make it: early enough to settle before `newest` ends, at
    /// once where that time has been missed.
    pub fn rotation_due(&self, newest: Option<&TokenKeyRow>, now: Timestamp) -> Option<Timestamp> {
        let Some(newest) = newest else {
            return Some(now);
        };
        // Twice the time to settle: one for the leader to get around to it.
        let due = newest.seals_until - self.settle - self.settle;
        if now < due {
            return None;
        }
        // Nothing is sealed while the old key has ended and the new one is not known everywhere; better than tokens that
        // some datanodes refuse.
        Some(now + self.settle)
    }
}

/// Datanodes open tokens of every key that has not expired.
pub fn opening(key: &TokenKeyRow, now: Timestamp) -> bool {
    now < key.expires
}

/// The OM seals with a key only once datanodes know it.
pub fn sealing(key: &TokenKeyRow, now: Timestamp) -> bool {
    opening(key, now) && key.seals_from <= now
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: KeyPolicy = KeyPolicy { seal_for: Millis(1000), expire_after: Millis(2000), settle: Millis(60) };

    #[test]
    fn the_next_key_is_made_before_the_last_one_ends_and_seals_after_it_has_settled() {
        let first = POLICY.key([1; 32], Timestamp(0));
        assert_eq!(POLICY.rotation_due(None, Timestamp(0)), Some(Timestamp(0)));
        assert_eq!(POLICY.rotation_due(Some(&first), Timestamp(879)), None);
        let from = POLICY.rotation_due(Some(&first), Timestamp(880)).expect("due");
        assert_eq!(from, Timestamp(940));
        let second = POLICY.key([2; 32], from);
        assert!(!sealing(&second, Timestamp(939)) && opening(&second, Timestamp(939)));
        assert!(sealing(&second, Timestamp(940)) && sealing(&first, Timestamp(940)));
        assert!(opening(&first, Timestamp(1999)) && !opening(&first, Timestamp(2000)));
    }
}
