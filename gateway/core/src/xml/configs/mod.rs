//! What is set on a bucket, as XML: one file a kind, each read as strictly as it is written.
//!
//! An element that a document should not have is an error, as in every body: it asked for something. What a document means, and
//! whether it is valid, is said in `bucket-config`.

mod access;
mod cors;
mod encryption;
mod lifecycle;
mod logging;
mod notification;
mod service;
mod tagging;
#[cfg(test)]
mod tests;
mod unset;
mod website;

pub use logging::{LogGrantee, log_grantees};
pub use unset::Unset;

use bucket_config::{Document, Invalid};

use super::{MalformedXml, XmlOut, XmlReader};
use crate::error::{S3Error, S3ErrorCode};

/// A kind of document with its XML.
pub trait ConfigXml: Document {
    /// The name of the root.
    const ROOT: &'static str;
    /// What a valid document can have at most, the root included.
    const MAX_ELEMENTS: usize;

    /// Reads what stands in the root and leaves it. None: the document says that nothing is set.
    fn read(xml: &mut XmlReader<'_>) -> Result<Option<Self>, S3Error>;

    /// Writes what stands in the root.
    fn write(&self, out: &mut XmlOut);

    /// What S3 answers where nothing is set.
    fn absent() -> Absent<Self>;
}

/// What a bucket shows that has no such configuration.
#[derive(Debug)]
pub enum Absent<D> {
    Error(S3ErrorCode),
    /// The root with nothing in it.
    Empty,
    /// As if this had been set.
    Default(D),
}

/// The document in a body, valid as far as it tells itself.
pub fn parse_config<D: ConfigXml>(body: &[u8]) -> Result<Option<D>, S3Error> {
    if body.is_empty() {
        return Err(S3ErrorCode::MissingRequestBodyError.into());
    }
    let mut xml = XmlReader::enter(body, D::ROOT, D::MAX_ELEMENTS)?;
    let document = D::read(&mut xml)?;
    xml.finish()?;
    if let Some(document) = &document {
        document.validate()?;
    }
    Ok(document)
}

/// What the bucket's owner is shown.
pub fn show_config<D: ConfigXml>(document: Option<&D>) -> Result<String, S3Error> {
    let write = |document: &D| XmlOut::with_root(D::ROOT, |out| document.write(out));
    match (document, D::absent()) {
        (Some(document), _) => Ok(write(document)),
        (None, Absent::Default(document)) => Ok(write(&document)),
        (None, Absent::Empty) => Ok(XmlOut::with_root(D::ROOT, |_| ())),
        (None, Absent::Error(code)) => Err(code.into()),
    }
}

impl From<Invalid> for S3Error {
    fn from(invalid: Invalid) -> Self {
        match invalid {
            Invalid::Schema => S3ErrorCode::MalformedXML.into(),
            Invalid::Argument(text) => Self::with_message(S3ErrorCode::InvalidArgument, text),
            Invalid::Request(text) => Self::with_message(S3ErrorCode::InvalidRequest, text),
            Invalid::Tag(text) => Self::with_message(S3ErrorCode::InvalidTag, text),
            Invalid::Policy(text) => Self::with_message(S3ErrorCode::MalformedPolicy, text),
        }
    }
}

/// A count of days, of versions, of seconds: a number below zero is no mistake of form.
fn count(text: &str, name: &str) -> Result<u32, S3Error> {
    let text = text.trim();
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(MalformedXml.into());
    }
    text.parse().map_err(|_| S3Error::invalid_argument(format!("'{name}' is out of range"), name, text))
}

/// A word out of a list of the schema's.
fn word<T>(text: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, MalformedXml> {
    parse(text.trim()).ok_or(MalformedXml)
}

/// What a schema demands.
fn required<T>(value: Option<T>) -> Result<T, MalformedXml> {
    value.ok_or(MalformedXml)
}
