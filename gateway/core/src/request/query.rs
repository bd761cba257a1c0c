//! The query: names and values, decoded once, in the order sent.

use crate::encoding::{Plus, percent_decode};
use crate::error::{S3Error, S3ErrorCode};

/// No S3 operation has forty; a thousand keeps every pass over them short.
const MAX_PARAMETERS: usize = 1000;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// `+` is a space, as AWS reads it. `acl` and `acl=` are the same.
    pub fn parse(raw: &str) -> Result<Self, S3Error> {
        let mut pairs = Vec::new();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            if pairs.len() == MAX_PARAMETERS {
                return Err(S3Error::with_message(S3ErrorCode::InvalidURI, "The query has too many parameters."));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((percent_decode(name, Plus::Space)?, percent_decode(value, Plus::Space)?));
        }
        Ok(Self { pairs })
    }

    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// The value; names are case-sensitive. Dispatch has refused names that were sent twice.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Takes the parameters of these names away.
    pub(super) fn forget(&mut self, is_one: impl Fn(&str) -> bool) {
        self.pairs.retain(|(name, _)| !is_one(name));
    }

    /// The first name that occurs more than once: which of its values counts would be a guess.
    pub fn repeated(&self) -> Option<&str> {
        let mut names: Vec<&str> = self.pairs.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.array_windows().find(|[a, b]| a == b).map(|[name, _]| *name)
    }
}
