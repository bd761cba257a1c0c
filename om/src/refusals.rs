//! Why requests were refused, of the latest: for an administrator who is asked about one.
//!
//! Kept in memory, by the member that decided. Whoever is refused learns nothing of it.

use std::collections::VecDeque;

use om_api::Explanation;
use parking_lot::Mutex;
use types::RequestId;

/// Some hundreds of bytes each.
const KEPT: usize = 4_096;

#[derive(Debug, Default)]
pub(crate) struct Refusals {
    latest: Mutex<VecDeque<(RequestId, Explanation)>>,
}

impl Refusals {
    pub(crate) fn note(&self, request: RequestId, explanation: Explanation) {
        let mut latest = self.latest.lock();
        // Of a request that is judged in several steps, or tried again, the last word counts.
        latest.retain(|(known, _)| *known != request);
        if latest.len() >= KEPT {
            latest.pop_front();
        }
        latest.push_back((request, explanation));
    }

    pub(crate) fn of(&self, request: RequestId) -> Option<Explanation> {
        self.latest.lock().iter().find(|(known, _)| *known == request).map(|(_, explanation)| explanation.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Timestamp;

    fn explanation(why: &str) -> Explanation {
        Explanation { at: Timestamp(1), caller: "ada".into(), bucket: None, why: why.into() }
    }

    #[test]
    fn the_latest_are_known_and_the_oldest_forgotten() {
        let refusals = Refusals::default();
        for number in 0..=KEPT {
            refusals.note(RequestId::from_u128(number as u128), explanation("no"));
        }
        assert_eq!(refusals.of(RequestId::from_u128(0)), None);
        refusals.note(RequestId::from_u128(1), explanation("the last word"));
        assert_eq!(refusals.of(RequestId::from_u128(1)), Some(explanation("the last word")));
    }
}
