//! Tags of objects: as a header, as XML, and what may be one.

use bucket_config::Invalid;
use bucket_config::tagging::{MAX_OBJECT_TAGS, check_tags};

use crate::encoding::{Plus, percent_decode};
use crate::error::{S3Error, S3ErrorCode};
use crate::request::RequestHead;
use crate::xml::{MalformedXml, XmlOut, XmlReader};

/// In the order of their keys, which is how S3 gives them back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TagSet(Vec<(String, String)>);

impl TagSet {
    /// Of an object.
    pub fn new(mut tags: Vec<(String, String)>) -> Result<Self, S3Error> {
        if tags.len() > MAX_OBJECT_TAGS {
            let why = format!("Object tags cannot be greater than {MAX_OBJECT_TAGS}");
            return Err(S3Error::with_message(S3ErrorCode::InvalidTag, why));
        }
        check_tags(tags.iter().map(|(key, value)| (key.as_str(), value.as_str()))).map_err(invalid)?;
        tags.sort_unstable();
        Ok(Self(tags))
    }

    pub fn into_inner(self) -> Vec<(String, String)> {
        self.0
    }

    /// `x-amz-tagging`: a query string.
    pub fn of_header(head: &RequestHead) -> Result<Option<Self>, S3Error> {
        head.header("x-amz-tagging")?.map(|text| Self::parse_header(&text)).transpose()
    }

    fn parse_header(text: &str) -> Result<Self, S3Error> {
        let malformed = || {
            S3Error::invalid_argument(
                "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
                "x-amz-tagging",
                text,
            )
        };
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decode = |text| percent_decode(text, Plus::Space).ok();
            Some((decode(key)?, decode(value)?))
        });
        Self::new(pairs.collect::<Option<Vec<_>>>().ok_or_else(malformed)?)
    }

    pub fn parse_xml(body: &[u8]) -> Result<Self, S3Error> {
        Self::new(read(body)?)
    }

    pub fn to_xml(&self) -> String {
        XmlOut::with_root("Tagging", |out| {
            out.element("TagSet", |set| {
                for (key, value) in &self.0 {
                    set.element("Tag", |tag| {
                        tag.text("Key", key);
                        tag.text("Value", value);
                    });
                }
            });
        })
    }

    /// As they were stored, which was checked then.
    pub fn stored(tags: Vec<(String, String)>) -> Self {
        Self(tags)
    }
}

fn invalid(invalid: Invalid) -> S3Error {
    S3Error::with_message(S3ErrorCode::InvalidTag, invalid.to_string())
}

/// More than can be right, to tell too many from malformed.
const MOST_READ: usize = 1_000;

fn read(body: &[u8]) -> Result<Vec<(String, String)>, MalformedXml> {
    let mut xml = XmlReader::enter(body, "Tagging", 2 + 3 * MOST_READ)?;
    let mut tags = None;
    while let Some(name) = xml.child()? {
        if name != "TagSet" || tags.is_some() {
            return Err(MalformedXml);
        }
        let mut set = Vec::new();
        while let Some(name) = xml.child()? {
            if name != "Tag" {
                return Err(MalformedXml);
            }
            let (mut key, mut value) = (None, None);
            while let Some(name) = xml.child()? {
                let slot = match name.as_str() {
                    "Key" => &mut key,
                    "Value" => &mut value,
                    _ => return Err(MalformedXml),
                };
                if slot.replace(xml.text()?).is_some() {
                    return Err(MalformedXml);
                }
            }
            set.push((key.ok_or(MalformedXml)?, value.ok_or(MalformedXml)?));
        }
        tags = Some(set);
    }
    xml.finish()?;
    tags.ok_or(MalformedXml)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(set: &TagSet) -> Vec<(&str, &str)> {
        set.0.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }

    #[test]
    fn a_header_is_a_query_of_tags() {
        let set = TagSet::parse_header("foo=bar&bar&a%20b=c%2Bd+e").expect("well formed");
        assert_eq!(pairs(&set), [("a b", "c+d e"), ("bar", ""), ("foo", "bar")]);
        assert_eq!(pairs(&TagSet::parse_header("").expect("none")), []);
        for (text, code) in [
            ("a=b&a=c", S3ErrorCode::InvalidTag),
            ("=x", S3ErrorCode::InvalidTag),
            ("a=%ff", S3ErrorCode::InvalidArgument),
            ("a=b%", S3ErrorCode::InvalidArgument),
        ] {
            assert_eq!(TagSet::parse_header(text).expect_err("refused").code(), code, "{text}");
        }
    }

    #[test]
    fn a_document_reads_back_as_it_was_written() {
        let set = TagSet::new(vec![("b".into(), "2 ö".into()), ("a".into(), String::new())]).expect("legal");
        assert_eq!(TagSet::parse_xml(set.to_xml().as_bytes()).expect("ours"), set);
        for document in ["<Tagging/>", "<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>", "<TagSet/>"] {
            assert_eq!(TagSet::parse_xml(document.as_bytes()).expect_err("refused").code(), S3ErrorCode::MalformedXML);
        }
    }

    #[test]
    fn eleven_tags_are_too_many() {
        let tags = |n: usize| (0..n).map(|n| (n.to_string(), String::new())).collect();
        assert!(TagSet::new(tags(10)).is_ok());
        assert_eq!(TagSet::new(tags(11)).expect_err("too many").code(), S3ErrorCode::InvalidTag);
    }
}
