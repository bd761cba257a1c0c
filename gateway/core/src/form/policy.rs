//! The policy: what its author lets whoever holds the form upload.

use serde_json::Value;
use types::{BucketPath, Timestamp, VolumeName};

use super::Form;
use super::json::{names_twice, to_plain_json};
use crate::dates::parse_iso8601;
use crate::encoding::base64_decode;
use crate::error::{S3Error, S3ErrorCode};

/// Fields that need no condition: they are what is judged, or say what the file's bytes must be and so allow nothing.
const FREE: &[&str] = &["policy", "x-amz-signature", "signature", "awsaccesskeyid"];
const FREE_PREFIX: &str = "x-amz-checksum-";
const BUCKET: &str = "bucket";

/// How long a file may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LengthRange {
    least: u64,
    most: u64,
}

impl LengthRange {
    pub const ANY: Self = Self { least: 0, most: u64::MAX };

    pub(super) fn check_so_far(self, length: u64) -> Result<(), S3Error> {
        if length <= self.most {
            return Ok(());
        }
        Err(S3Error::new(S3ErrorCode::EntityTooLarge)
            .field("ProposedSize", length.to_string())
            .field("MaxSizeAllowed", self.most.to_string()))
    }

    pub(super) fn check(self, length: u64) -> Result<(), S3Error> {
        if length >= self.least {
            return Ok(());
        }
        Err(S3Error::new(S3ErrorCode::EntityTooSmall)
            .field("ProposedSize", length.to_string())
            .field("MinSizeAllowed", self.least.to_string()))
    }

    fn and(self, other: Self) -> Self {
        Self { least: self.least.max(other.least), most: self.most.min(other.most) }
    }
}

/// A policy document, well formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    expires_at: Timestamp,
    conditions: Vec<Condition>,
    length: LengthRange,
}

/// About one field, by its lower-case name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    field: String,
    wants: Wants,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wants {
    Exactly(String),
    StartingWith(String),
}

impl Policy {
    pub(super) fn document(text: &str) -> Result<Value, S3Error> {
        // Signers may break the lines of base64; the text is signed as it is.
        let compact: String = text.chars().filter(|character| !character.is_ascii_whitespace()).collect();
        let json = base64_decode(&compact).and_then(|bytes| String::from_utf8(bytes).ok());
        let json = json.ok_or_else(|| invalid("Invalid Policy: it is not base64 of UTF-8."))?;
        let json = to_plain_json(&json);
        let document = serde_json::from_str(&json).map_err(|_| invalid("Invalid Policy: Invalid JSON."))?;
        // Whoever made it may have meant the one that is not read.
        if names_twice(&json, &document) { Err(invalid("Invalid Policy: a name comes twice.")) } else { Ok(document) }
    }

    /// From the field's text, base64 of JSON.
    pub fn parse(text: &str) -> Result<Self, S3Error> {
        let document = Self::document(text)?;
        let expiration = document.get("expiration").ok_or_else(|| invalid("Invalid Policy: Policy missing expiration."))?;
        let expires_at = expiration.as_str().filter(|text| text.contains('T')).and_then(parse_iso8601);
        let expires_at = expires_at.ok_or_else(|| invalid("Invalid Policy: Invalid 'expiration' value."))?;
        let conditions = document.get("conditions").ok_or_else(|| invalid("Invalid Policy: Policy missing conditions."))?;
        let conditions = conditions.as_array().ok_or_else(|| invalid("Invalid Policy: Conditions must be a List."))?;
        let mut policy = Self { expires_at, conditions: Vec::with_capacity(conditions.len()), length: LengthRange::ANY };
        for condition in conditions {
            match condition {
                Value::Object(entries) => policy.add_simple(entries)?,
                Value::Array(words) => policy.add_list(words)?,
                _ => return Err(invalid("Invalid Policy: Invalid Condition: it must be a List or a Map.")),
            }
        }
        Ok(policy)
    }

    fn add_simple(&mut self, entries: &serde_json::Map<String, Value>) -> Result<(), S3Error> {
        const WHY: &str = "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.";
        let mut entries = entries.iter();
        let (Some((field, value)), None) = (entries.next(), entries.next()) else { return Err(invalid(WHY)) };
        let value = value.as_str().ok_or_else(|| invalid("Invalid Simple-Condition: value must be a string."))?;
        self.conditions.push(Condition { field: field.to_ascii_lowercase(), wants: Wants::Exactly(value.to_owned()) });
        Ok(())
    }

    fn add_list(&mut self, words: &[Value]) -> Result<(), S3Error> {
        let [operator, one, other] = words else {
            return Err(invalid("Invalid Policy: Invalid Condition: it has an operator and two arguments."));
        };
        let operator = operator.as_str().unwrap_or_default().to_ascii_lowercase();
        if operator == "content-length-range" {
            let (Some(least), Some(most)) = (number(one), number(other)) else {
                return Err(invalid("Invalid Policy: Invalid content-length-range: its bounds must be numbers from 0 on."));
            };
            self.length = self.length.and(LengthRange { least, most });
            return Ok(());
        }
        let (Some(field), Some(value)) = (one.as_str().and_then(|text| text.strip_prefix('$')), other.as_str()) else {
            return Err(invalid("Invalid Policy: Invalid Condition: it names a $field and a string."));
        };
        let wants = match operator.as_str() {
            "eq" => Wants::Exactly(value.to_owned()),
            "starts-with" => Wants::StartingWith(value.to_owned()),
            _ => return Err(invalid("Invalid Policy: Invalid Condition: unknown operation.")),
        };
        self.conditions.push(Condition { field: field.to_ascii_lowercase(), wants });
        Ok(())
    }

    /// Whether the form is one that the policy's author meant, and how long its file may be.
    pub fn check(&self, form: &Form, bucket: &Posted<'_>, now: Timestamp) -> Result<LengthRange, S3Error> {
        if now > self.expires_at {
            return Err(denied("Policy expired."));
        }
        for condition in &self.conditions {
            // The bucket is the one that the request is sent to, whatever a field says.
            let holds = match condition.field.as_str() {
                BUCKET => bucket.names().iter().any(|name| condition.holds(name) && condition.may_mean(name)),
                field => condition.holds(form.get(field).unwrap_or_default()),
            };
            if !holds {
                return Err(denied(&format!("Policy Condition failed: {}", condition.to_text())));
            }
        }
        let is_free = |name: &str| FREE.contains(&name) || name.starts_with(FREE_PREFIX);
        let is_covered = |name: &str| self.conditions.iter().any(|condition| condition.field == name);
        let fields = form.names().filter(|name| *name != BUCKET && !is_free(name));
        match fields.chain([BUCKET]).find(|name| !is_covered(name)) {
            Some(extra) => Err(denied(&format!("Extra input fields: {extra}"))),
            None => Ok(self.length),
        }
    }
}

/// The bucket that a form is sent to, by somebody whose buckets lie in `home`.
#[derive(Debug, Clone, Copy)]
pub struct Posted<'a> {
    pub bucket: &'a BucketPath,
    pub home: &'a VolumeName,
}

impl Posted<'_> {
    /// As the policy's author may have named it. A name alone is one of their own volume: whoever holds the form does not send it to a
    /// bucket of that name in another.
    fn names(&self) -> Vec<String> {
        let (volume, name) = (self.bucket.volume(), self.bucket.name());
        let mut names = vec![format!("{volume}:{name}")];
        if volume == self.home {
            names.push(name.to_string());
        }
        if volume.is_s3v() {
            names.push(format!(":{name}"));
        }
        names
    }
}

impl Condition {
    fn holds(&self, value: &str) -> bool {
        match &self.wants {
            Wants::Exactly(wanted) => value == wanted,
            // A list of types: each of them must be one that is wanted.
            Wants::StartingWith(wanted) if self.field == "content-type" => {
                value.split(',').all(|one| one.trim_start().starts_with(wanted.as_str()))
            }
            Wants::StartingWith(wanted) => value.starts_with(wanted.as_str()),
        }
    }

    /// Whether whoever wrote it can have meant a bucket so named: the beginning of a name of their own is not that of a volume.
    fn may_mean(&self, bucket: &str) -> bool {
        match &self.wants {
            Wants::StartingWith(wanted) => wanted.contains(':') || !bucket.contains(':'),
            Wants::Exactly(_) => true,
        }
    }

    fn to_text(&self) -> String {
        let (operator, wanted) = match &self.wants {
            Wants::Exactly(wanted) => ("eq", wanted),
            Wants::StartingWith(wanted) => ("starts-with", wanted),
        };
        Value::from(vec![operator, &format!("${}", self.field), wanted]).to_string()
    }
}

/// As a number, or as a text of digits.
fn number(value: &Value) -> Option<u64> {
    let digits = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    value.as_u64().or_else(|| value.as_str().filter(digits)?.parse().ok())
}

fn invalid(why: &'static str) -> S3Error {
    S3Error::with_message(S3ErrorCode::InvalidPolicyDocument, why)
}

fn denied(why: &str) -> S3Error {
    S3Error::with_message(S3ErrorCode::AccessDenied, format!("Invalid according to Policy: {why}"))
}
