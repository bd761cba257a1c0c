//! What a listing asks for, and where it goes on.

mod token;

use types::{PartNumber, UploadId, VersionId};

use crate::encoding::{Slash, percent_encode};
use crate::error::{S3Error, S3ErrorCode};
use crate::request::Query;

pub use token::ContinuationToken;

/// The most that one page holds, however much more is asked for.
pub const MAX_PAGE: u32 = 1000;
/// No key is longer, so no prefix or marker needs to be.
const MAX_NAME: usize = 1024;
/// What `ListBuckets` takes as the largest page.
const MAX_BUCKETS: u32 = 10_000;

/// `encoding-type=url`: names travel percent-encoded, because XML cannot hold every character of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameEncoding {
    #[default]
    Plain,
    Url,
}

impl NameEncoding {
    fn parse(query: &Query) -> Result<Self, S3Error> {
        match query.get("encoding-type") {
            None => Ok(Self::Plain),
            Some("url") => Ok(Self::Url),
            Some(other) => Err(S3Error::invalid_argument("Invalid Encoding Method specified in Request", "encoding-type", other)),
        }
    }

    /// `/` stays, a space is `%20`, `+` is `%2B`. The order of a page is that of the bytes before this.
    pub fn encode(self, name: &str) -> String {
        match self {
            Self::Plain => name.to_owned(),
            Self::Url => percent_encode(name.as_bytes(), Slash::Kept),
        }
    }
}

/// Where a page begins. The namespace decides what a marker skips; here it is only carried.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PageStart {
    #[default]
    Beginning,
    /// Behind this text, which need not be a key: what a client names.
    After(String),
    /// At the first name not below this text: how a page of ours goes on.
    At(String),
}

impl PageStart {
    fn marker(marker: &str) -> Self {
        if marker.is_empty() { Self::Beginning } else { Self::After(marker.to_owned()) }
    }
}

/// What all listings of keys share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListScope {
    pub prefix: String,
    /// Never empty.
    pub delimiter: Option<String>,
    pub max_keys: u32,
    pub encoding: NameEncoding,
}

impl ListScope {
    fn parse(query: &Query, max_name: &'static str) -> Result<Self, S3Error> {
        let delimiter = query.get("delimiter").filter(|text| !text.is_empty());
        if let Some(long) = delimiter.filter(|text| text.len() > MAX_NAME) {
            let start: String = long.chars().take(64).collect();
            return Err(S3Error::invalid_argument("The delimiter is too long", "delimiter", start));
        }
        // Ceph's clients let us answer in any order, so in ours too; prefixes cannot be told without one, and it says so.
        if delimiter.is_some() && query.get("allow-unordered") == Some("true") {
            let why = "A listing with a delimiter has an order";
            return Err(S3Error::invalid_argument(why, "allow-unordered", "true"));
        }
        Ok(Self {
            prefix: name(query, "prefix")?.unwrap_or_default(),
            delimiter: delimiter.map(str::to_owned),
            max_keys: page_size(query, max_name, MAX_PAGE)?,
            encoding: NameEncoding::parse(query)?,
        })
    }
}

/// `ListObjects`, the first version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListObjects {
    pub scope: ListScope,
    /// As sent, to be echoed.
    pub marker: String,
}

impl ListObjects {
    pub fn parse(query: &Query) -> Result<Self, S3Error> {
        Ok(Self { scope: ListScope::parse(query, "max-keys")?, marker: name(query, "marker")?.unwrap_or_default() })
    }

    pub fn start(&self) -> PageStart {
        PageStart::marker(&self.marker)
    }
}

/// `ListObjectsV2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListObjectsV2 {
    pub scope: ListScope,
    /// As sent, to be echoed even when it is empty.
    pub continuation_token: Option<String>,
    pub start_after: Option<String>,
    pub fetch_owner: bool,
}

impl ListObjectsV2 {
    pub fn parse(query: &Query) -> Result<Self, S3Error> {
        Ok(Self {
            scope: ListScope::parse(query, "max-keys")?,
            continuation_token: query.get("continuation-token").map(str::to_owned),
            start_after: name(query, "start-after")?,
            fetch_owner: query.get("fetch-owner") == Some("true"),
        })
    }

    /// A token wins over `start-after`: it was made on the way from there.
    pub fn start(&self, bucket: &str) -> Result<PageStart, S3Error> {
        match self.continuation_token.as_deref() {
            Some(token) if !token.is_empty() => ContinuationToken::decode(token, bucket),
            _ => Ok(PageStart::marker(self.start_after.as_deref().unwrap_or_default())),
        }
    }
}

/// `ListObjectVersions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListObjectVersions {
    pub scope: ListScope,
    pub key_marker: String,
    pub version_id_marker: Option<VersionId>,
}

impl ListObjectVersions {
    pub fn parse(query: &Query) -> Result<Self, S3Error> {
        let scope = ListScope::parse(query, "max-keys")?;
        let key_marker = name(query, "key-marker")?.unwrap_or_default();
        let version_id_marker = match query.get("version-id-marker").filter(|text| !text.is_empty()) {
            None => None,
            Some(text) if key_marker.is_empty() => {
                let why = "A version-id marker cannot be specified without a key marker.";
                return Err(S3Error::invalid_argument(why, "version-id-marker", text));
            }
            Some(text) => {
                let invalid = || S3Error::invalid_argument("Invalid version id specified", "version-id-marker", text);
                Some(VersionId::parse(text).ok_or_else(invalid)?)
            }
        };
        Ok(Self { scope, key_marker, version_id_marker })
    }
}

/// `ListMultipartUploads`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListMultipartUploads {
    pub scope: ListScope,
    pub key_marker: String,
    /// Without a key marker it says nothing, and is left out of account.
    pub upload_id_marker: Option<UploadId>,
}

impl ListMultipartUploads {
    pub fn parse(query: &Query) -> Result<Self, S3Error> {
        let scope = ListScope::parse(query, "max-uploads")?;
        let key_marker = name(query, "key-marker")?.unwrap_or_default();
        let upload_id_marker = match query.get("upload-id-marker").filter(|text| !text.is_empty() && !key_marker.is_empty()) {
            None => None,
            Some(text) => {
                let invalid = || S3Error::invalid_argument("Invalid uploadId marker", "upload-id-marker", text);
                Some(UploadId::parse(text).ok_or_else(invalid)?)
            }
        };
        Ok(Self { scope, key_marker, upload_id_marker })
    }

    pub fn start(&self) -> PageStart {
        PageStart::marker(&self.key_marker)
    }
}

/// `ListParts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListParts {
    pub after: Option<PartNumber>,
    pub max_parts: u32,
    pub encoding: NameEncoding,
}

impl ListParts {
    pub fn parse(query: &Query) -> Result<Self, S3Error> {
        let after = match integer(query, "part-number-marker")? {
            None | Some(0) => None,
            // Behind the last part there is none, so every larger marker stands for the last.
            Some(number) => Some(PartNumber::new(number).unwrap_or(PartNumber::MAX)),
        };
        Ok(Self { after, max_parts: page_size(query, "max-parts", MAX_PAGE)?, encoding: NameEncoding::parse(query)? })
    }
}

/// `ListBuckets`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListBuckets {
    pub prefix: Option<String>,
    pub max_buckets: u32,
    pub continuation_token: Option<String>,
    pub region: Option<String>,
}

impl ListBuckets {
    pub fn parse(query: &Query) -> Result<Self, S3Error> {
        let max_buckets = page_size(query, "max-buckets", MAX_BUCKETS)?;
        if query.get("max-buckets").is_some_and(|text| text.parse() == Ok(0_u32)) {
            return Err(S3Error::invalid_argument(
                "Argument max-buckets must be an integer between 1 and 10000",
                "max-buckets",
                "0",
            ));
        }
        Ok(Self {
            prefix: name(query, "prefix")?,
            max_buckets,
            continuation_token: query.get("continuation-token").filter(|text| !text.is_empty()).map(str::to_owned),
            region: query.get("bucket-region").filter(|text| !text.is_empty()).map(str::to_owned),
        })
    }

    /// The last bucket name of the page before.
    pub fn start(&self) -> Result<Option<String>, S3Error> {
        let Some(token) = &self.continuation_token else { return Ok(None) };
        match ContinuationToken::decode(token, "")? {
            PageStart::After(name) => Ok(Some(name)),
            PageStart::Beginning | PageStart::At(_) => Err(token::incorrect(token)),
        }
    }
}

fn name(query: &Query, parameter: &str) -> Result<Option<String>, S3Error> {
    match query.get(parameter) {
        Some(text) if text.len() > MAX_NAME => Err(S3ErrorCode::KeyTooLongError.into()),
        other => Ok(other.map(str::to_owned)),
    }
}

/// Absent means the largest page; a larger one is that too.
fn page_size(query: &Query, parameter: &'static str, largest: u32) -> Result<u32, S3Error> {
    let asked = integer(query, parameter)?;
    Ok(asked.and_then(|n| u32::try_from(n).ok()).unwrap_or(largest).min(largest))
}

/// A non-negative `int` of the service's own making: 0 to 2,147,483,647.
fn integer(query: &Query, parameter: &'static str) -> Result<Option<u64>, S3Error> {
    let Some(text) = query.get(parameter) else { return Ok(None) };
    let number: i64 = text.parse().map_err(|_| {
        S3Error::invalid_argument(format!("Provided {parameter} not an integer or within integer range"), parameter, text)
    })?;
    if !(0..=i64::from(i32::MAX)).contains(&number) || text.starts_with('+') {
        let why = format!("Argument {parameter} must be an integer between 0 and 2147483647");
        return Err(S3Error::invalid_argument(why, parameter, text));
    }
    Ok(u64::try_from(number).ok())
}

#[cfg(test)]
mod tests;
