//! `Tagging`, of buckets.

use bucket_config::BucketTags;
use bucket_config::tagging::{MAX_BUCKET_TAGS, Tag};

use super::super::requests::once;
use super::{Absent, ConfigXml, required};
use crate::error::{S3Error, S3ErrorCode};
use crate::xml::{MalformedXml, XmlOut, XmlReader};

impl ConfigXml for BucketTags {
    const ROOT: &'static str = "Tagging";
    /// Twice the tags that there may be: more than that many are said to be too many.
    const MAX_ELEMENTS: usize = 2 + 3 * 2 * MAX_BUCKET_TAGS;

    fn read(xml: &mut XmlReader<'_>) -> Result<Option<Self>, S3Error> {
        let mut tags = None;
        while let Some(name) = xml.child()? {
            match name.as_str() {
                "TagSet" => once(&mut tags, read_set(xml)?)?,
                _ => return Err(MalformedXml.into()),
            }
        }
        let tags = required(tags)?;
        Ok((!tags.is_empty()).then(|| Self::new(tags)))
    }

    fn write(&self, out: &mut XmlOut) {
        out.element("TagSet", |out| {
            for tag in &self.tags {
                out.element("Tag", |out| write_tag(tag, out));
            }
        });
    }

    fn absent() -> Absent<Self> {
        Absent::Error(S3ErrorCode::NoSuchTagSet)
    }
}

fn read_set(xml: &mut XmlReader<'_>) -> Result<Vec<Tag>, MalformedXml> {
    let mut tags = Vec::new();
    while let Some(name) = xml.child()? {
        if name != "Tag" {
            return Err(MalformedXml);
        }
        tags.push(read_tag(xml)?);
    }
    Ok(tags)
}

/// Inside a `Tag`.
pub(super) fn read_tag(xml: &mut XmlReader<'_>) -> Result<Tag, MalformedXml> {
    let (mut key, mut value) = (None, None);
    while let Some(name) = xml.child()? {
        match name.as_str() {
            "Key" => once(&mut key, xml.text()?)?,
            "Value" => once(&mut value, xml.text()?)?,
            _ => return Err(MalformedXml),
        }
    }
    Ok(Tag { key: required(key)?, value: required(value)? })
}

pub(super) fn write_tag(tag: &Tag, out: &mut XmlOut) {
    out.text("Key", &tag.key);
    out.text("Value", &tag.value);
}
