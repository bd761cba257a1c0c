//! What answers tell of lifecycle rules.

use types::Timestamp;

use crate::dates::format_http_date;
use crate::encoding::{Slash, percent_encode};

/// `x-amz-expiration`.
pub fn expiration(at: Timestamp, rule: &str) -> String {
    format!("expiry-date=\"{}\", rule-id=\"{}\"", format_http_date(at), rule_id(rule))
}

/// A rule's name as a header can hold it, whatever it is made of.
pub fn rule_id(rule: &str) -> String {
    percent_encode(rule.as_bytes(), Slash::Encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiration_names_the_day_and_the_rule() {
        let at = Timestamp(1_356_220_800_000);
        assert_eq!(expiration(at, "rule1"), r#"expiry-date="Sun, 23 Dec 2012 00:00:00 GMT", rule-id="rule1""#);
        assert!(expiration(at, "a\r\n\"b\" é").ends_with(r#"rule-id="a%0D%0A%22b%22%20%C3%A9""#));
    }
}
