//! `GetObjectAttributesResponse`.

use types::{Checksum, ChecksumType, ETag, PartNumber};

use super::{XmlOut, checksum_element, checksum_type_name, write_checksum};
use crate::checksum::object_checksum_text;
use crate::error::S3Error;
use crate::request::RequestHead;

/// What `x-amz-object-attributes` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AttributesWanted {
    pub etag: bool,
    pub checksum: bool,
    pub parts: bool,
    pub storage_class: bool,
    pub size: bool,
}

impl AttributesWanted {
    pub fn parse(head: &RequestHead) -> Result<Self, S3Error> {
        const NAME: &str = "x-amz-object-attributes";
        let values: Vec<_> = head.headers.get_all(NAME).iter().map(|value| value.to_str().unwrap_or_default()).collect();
        let mut wanted = Self::default();
        for name in values.iter().flat_map(|value| value.split(',')).map(str::trim) {
            let slot = match name {
                "ETag" => &mut wanted.etag,
                "Checksum" => &mut wanted.checksum,
                "ObjectParts" => &mut wanted.parts,
                "StorageClass" => &mut wanted.storage_class,
                "ObjectSize" => &mut wanted.size,
                other => return Err(S3Error::invalid_argument("Invalid attribute name specified.", NAME, other)),
            };
            *slot = true;
        }
        Ok(wanted)
    }
}

#[derive(Debug, Clone)]
pub struct PartAttributes {
    pub number: PartNumber,
    pub size: u64,
    pub checksum: Option<Checksum>,
}

/// A page of an object's parts.
#[derive(Debug, Clone)]
pub struct ObjectParts {
    pub total: u16,
    pub after: u16,
    pub limit: u16,
    pub parts: Vec<PartAttributes>,
    pub is_truncated: bool,
}

/// Only what was asked for and is there.
#[derive(Debug, Clone, Default)]
pub struct ObjectAttributesResult {
    pub etag: Option<ETag>,
    /// The parts are those of a composite one.
    pub checksum: Option<(Checksum, ChecksumType, Option<u16>)>,
    pub parts: Option<ObjectParts>,
    pub storage_class: Option<String>,
    pub size: Option<u64>,
}

impl ObjectAttributesResult {
    pub fn to_xml(&self) -> String {
        XmlOut::with_root("GetObjectAttributesResponse", |out| {
            if let Some(etag) = self.etag {
                // Alone among S3's answers without its quotes.
                out.value("ETag", etag);
            }
            if let Some((checksum, kind, parts)) = &self.checksum {
                out.element("Checksum", |out| {
                    let text = object_checksum_text(checksum, *kind, *parts);
                    out.text(checksum_element(checksum.algorithm()), &text);
                    out.value("ChecksumType", checksum_type_name(*kind));
                });
            }
            if let Some(parts) = &self.parts {
                parts.write(out);
            }
            out.text_if("StorageClass", self.storage_class.as_deref());
            if let Some(size) = self.size {
                out.value("ObjectSize", size);
            }
        })
    }
}

impl ObjectParts {
    fn write(&self, out: &mut XmlOut) {
        let last = self.parts.last().map(|part| part.number.get());
        out.element("ObjectParts", |out| {
            // The schema calls it so where the SDKs say TotalPartsCount.
            out.value("PartsCount", self.total);
            out.value("PartNumberMarker", self.after);
            out.value("NextPartNumberMarker", last.unwrap_or(self.after));
            out.value("MaxParts", self.limit);
            out.value("IsTruncated", self.is_truncated);
            for part in &self.parts {
                out.element("Part", |out| {
                    write_checksum(out, part.checksum.as_ref());
                    out.value("PartNumber", part.number.get());
                    out.value("Size", part.size);
                });
            }
        });
    }
}
