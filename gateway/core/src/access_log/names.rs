//! What log objects are called.

use bucket_config::logging::{LogKeyFormat, PartitionDate};
use types::Timestamp;

use crate::dates::civil;

/// Of which bucket a log object is, and when it is delivered. A log object with records of several buckets names none.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    pub prefix: &'a str,
    pub format: LogKeyFormat,
    pub account: &'a str,
    pub region: &'a str,
    pub bucket: &'a str,
    /// Of the records, which are all of one day where the name tells it.
    pub day: Timestamp,
    pub delivered: Timestamp,
    /// So that two of one second are two.
    pub unique: u64,
}

/// `[prefix]YYYY-MM-DD-hh-mm-ss-unique`, with folders in front where they are wanted.
pub fn object_key(delivery: &Delivery<'_>) -> String {
    let Delivery { prefix, account, region, bucket, unique, .. } = delivery;
    let time = match delivery.format {
        // Of the events nothing but the day is told.
        LogKeyFormat::Partitioned(PartitionDate::EventTime) => Timestamp(delivery.day.0 - delivery.day.0 % DAY),
        LogKeyFormat::Partitioned(PartitionDate::DeliveryTime) | LogKeyFormat::Simple => delivery.delivered,
    };
    let [year, month, day, hour, minute, second] = civil(time);
    let folders = match delivery.format {
        LogKeyFormat::Simple => String::new(),
        LogKeyFormat::Partitioned(_) => format!("{account}/{region}/{bucket}/{year:04}/{month:02}/{day:02}/"),
    };
    format!("{prefix}{folders}{year:04}-{month:02}-{day:02}-{hour:02}-{minute:02}-{second:02}-{unique:016X}")
}

const DAY: u64 = 24 * 60 * 60 * 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_object_is_named_by_its_delivery_or_by_the_day_of_its_records() {
        let delivery = Delivery {
            prefix: "log/",
            format: LogKeyFormat::Simple,
            account: "ada-id",
            region: "eu-1",
            bucket: "photos",
            day: Timestamp(1_549_411_238_000),
            delivered: Timestamp(1_549_497_639_000),
            unique: 0xE568_B2D0,
        };
        let key = |format| object_key(&Delivery { format, ..delivery });
        assert_eq!(key(LogKeyFormat::Simple), "log/2019-02-07-00-00-39-00000000E568B2D0");
        assert_eq!(
            key(LogKeyFormat::Partitioned(PartitionDate::DeliveryTime)),
            "log/ada-id/eu-1/photos/2019/02/07/2019-02-07-00-00-39-00000000E568B2D0"
        );
        assert_eq!(
            key(LogKeyFormat::Partitioned(PartitionDate::EventTime)),
            "log/ada-id/eu-1/photos/2019/02/06/2019-02-06-00-00-00-00000000E568B2D0"
        );
    }
}
