//! Where a bucket's access log goes.

use minicbor::{Decode, Encode};
use types::BucketAddress;

use crate::Invalid;

const MAX_PREFIX: usize = 800;

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct LoggingConfiguration {
    /// As it was written: a name alone is one of the volume of the bucket that has the log.
    #[n(0)]
    pub target: BucketAddress,
    #[n(1)]
    pub prefix: String,
    #[n(2)]
    pub key_format: LogKeyFormat,
}

/// How the keys of log objects go on behind the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum LogKeyFormat {
    #[n(0)]
    Simple,
    /// With owner, region, bucket and day as folders.
    #[n(1)]
    Partitioned(#[n(0)] PartitionDate),
}

/// Which day a log object is filed under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum PartitionDate {
    #[n(0)]
    EventTime,
    #[n(1)]
    DeliveryTime,
}

impl PartitionDate {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EventTime => "EventTime",
            Self::DeliveryTime => "DeliveryTime",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::EventTime, Self::DeliveryTime].into_iter().find(|date| date.as_str() == text)
    }
}

impl LoggingConfiguration {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        // Behind it stand dates, names and a word of our own, and the whole must be a key.
        if self.prefix.len() > MAX_PREFIX {
            return Err(Invalid::argument(format!("The TargetPrefix must not be longer than {MAX_PREFIX} bytes")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_leaves_room_for_what_stands_behind_it() {
        let with = |prefix: String| {
            let target = BucketAddress::parse("logs").expect("legal");
            LoggingConfiguration { target, prefix, key_format: LogKeyFormat::Simple }.check()
        };
        assert_eq!(with("x".repeat(800)), Ok(()));
        assert!(matches!(with("x".repeat(801)), Err(Invalid::Argument(_))));
    }
}
