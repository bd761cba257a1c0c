//! What the fields of a form say, by their names in whatever case.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use types::ObjectKey;

use super::{malformed, missing_field};
use crate::dispatch::{S3Operation, dispatch};
use crate::encoding::{Slash, percent_encode};
use crate::error::S3Error;
use crate::request::{RequestHead, object_key};
use crate::tagging::TagSet;

/// More are no form of S3's, and each takes room of its own.
const MAX_FIELDS: usize = 100;
const FILENAME: &str = "${filename}";
/// Their text is under the signature: nothing is put into it.
const LITERAL: [&str; 3] = ["policy", "signature", "x-amz-signature"];
/// What a form's author adds for other readers than us.
const IGNORED: &str = "x-ignore-";

/// Headers of a PUT that a form gives by a field of the same name.
const SAME_NAME: &[&str] =
    &["cache-control", "content-disposition", "content-encoding", "content-language", "content-md5", "content-type", "expires"];
/// Fields of ours that sign the form.
const SIGNING: &[&str] = &["x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-security-token", "x-amz-signature"];
/// Headers that say what a form does not do, or says in another way.
const FOREIGN: &[&str] =
    &["if-", "x-amz-copy-source", "x-amz-metadata-directive", "x-amz-tagging", "x-amz-acl", "x-amz-content-sha256"];

/// The fields in front of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Form {
    /// By lower-case name.
    fields: BTreeMap<String, String>,
}

impl Form {
    pub(super) fn add(&mut self, name: &str, value: String) -> Result<(), S3Error> {
        let name = name.to_ascii_lowercase();
        if name.starts_with(IGNORED) {
            return Ok(());
        }
        if self.fields.len() >= MAX_FIELDS {
            return Err(malformed("The form has too many fields."));
        }
        if self.fields.contains_key(&name) {
            // Which of them counts would be a guess.
            return Err(S3Error::invalid_argument("A field must not be repeated.", name, value));
        }
        self.fields.insert(name, value);
        Ok(())
    }

    /// Puts the file's name where fields ask for it. Of a path only what is behind its last slash is a name.
    pub(super) fn set_filename(&mut self, filename: String) {
        let name = filename.rsplit(['/', '\\']).next().unwrap_or_default();
        for (field, value) in &mut self.fields {
            if value.contains(FILENAME) && !LITERAL.contains(&field.as_str()) {
                *value = value.replace(FILENAME, name);
            }
        }
    }

    /// By the lower-case name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(String::as_str)
    }

    pub(super) fn required(&self, name: &'static str) -> Result<&str, S3Error> {
        self.get(name).ok_or_else(|| missing_field(name))
    }

    /// Where the object goes.
    pub fn key(&self) -> Result<ObjectKey, S3Error> {
        match self.required("key")? {
            "" => Err(S3Error::invalid_argument("User key must have a length greater than 0.", "key", "")),
            key => object_key(key),
        }
    }

    /// The head of the PUT that this form stands for. Nothing but the form's own fields is in it: what stands in the head of the
    /// request itself is under no policy.
    pub fn to_put(&self, posted: &RequestHead) -> Result<RequestHead, S3Error> {
        let mut headers = HeaderMap::new();
        if let Some(host) = posted.headers.get(header::HOST) {
            headers.insert(header::HOST, host.clone());
        }
        // The file ends where its boundary stands, and is of no length that is known before.
        headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        for (field, value) in &self.fields {
            let (name, value) = match field.as_str() {
                "acl" => ("x-amz-acl", value.clone()),
                "tagging" => ("x-amz-tagging", tagging_header(value)?),
                name if SAME_NAME.contains(&name) => (name, value.clone()),
                name if FOREIGN.iter().any(|foreign| name.starts_with(foreign)) => {
                    return Err(S3Error::not_implemented(&format!("The field {name}")));
                }
                name if SIGNING.contains(&name) || !name.starts_with("x-amz-") => continue,
                name => (name, value.clone()),
            };
            let invalid = || S3Error::invalid_argument("The value cannot stand in a header.", field.as_str(), value.as_str());
            let header_value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| invalid())?;
            headers.insert(HeaderName::try_from(name).map_err(|_| invalid())?, header_value);
        }
        let mut target = posted.target.clone();
        target.key = Some(self.key()?);
        let put = RequestHead { method: Method::PUT, target, headers, home: posted.home.clone() };
        match dispatch(&put)? {
            S3Operation::PutObject => Ok(put),
            // A field that makes another operation of a PUT.
            other => Err(S3Error::not_implemented(&format!("{other} by a form"))),
        }
    }
}

/// The tags of a `Tagging` document, as `x-amz-tagging` carries them.
fn tagging_header(document: &str) -> Result<String, S3Error> {
    let encode = |text: &str| percent_encode(text.as_bytes(), Slash::Encoded);
    let tags = TagSet::parse_xml(document.as_bytes())?.into_inner();
    Ok(tags.iter().map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect::<Vec<_>>().join("&"))
}
