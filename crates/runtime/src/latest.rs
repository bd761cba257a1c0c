//! What is known of the latest requests, and of no others: for whoever is asked about one of them later.

use std::collections::VecDeque;

use parking_lot::Mutex;
use types::RequestId;

/// Keeps something of so many requests at most.
#[derive(Debug)]
pub struct Latest<T> {
    latest: Mutex<VecDeque<(RequestId, T)>>,
    most: usize,
}

impl<T: Clone> Latest<T> {
    pub fn new(most: usize) -> Self {
        Self { latest: Mutex::default(), most }
    }

    pub fn note(&self, request: RequestId, known: T) {
        let mut latest = self.latest.lock();
        // Of a request that is judged in several steps, or tried again, the last word counts.
        latest.retain(|(id, _)| *id != request);
        if latest.len() >= self.most {
            latest.pop_front();
        }
        latest.push_back((request, known));
    }

    pub fn of(&self, request: RequestId) -> Option<T> {
        self.latest.lock().iter().find(|(id, _)| *id == request).map(|(_, known)| known.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_known_and_the_oldest_forgotten() {
        let latest = Latest::new(2);
        let id = RequestId::from_u128;
        for number in 0..3 {
            latest.note(id(number), "first");
        }
        assert_eq!(latest.of(id(0)), None);
        latest.note(id(1), "last word");
        assert_eq!((latest.of(id(1)), latest.of(id(2))), (Some("last word"), Some("first")));
        latest.note(id(3), "next");
        assert_eq!(latest.of(id(2)), None);
    }
}
