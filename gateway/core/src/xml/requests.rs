//! The XML bodies that clients send. An element that we do not know is an error: it asked for something.

use types::{Checksum, ChecksumAlgorithm, ETag, ObjectKey, PartNumber, Timestamp, VersionId};

use super::checksum_element;
use super::reader::{MalformedXml, XmlReader};
use crate::encoding::base64_decode;
use crate::error::{S3Error, S3ErrorCode};

/// A thousand keys of 1,024 bytes with room for their escapes.
pub const MAX_DELETE_BODY: usize = 2 << 20;
/// Ten thousand parts with an entity tag and one checksum each take about 2.2 MB.
pub const MAX_COMPLETE_BODY: usize = 4 << 20;
/// Any other body.
pub const MAX_SMALL_BODY: usize = 64 << 10;

/// What one `DeleteObjects` may name.
const MAX_DELETES: usize = 1000;
const MAX_PARTS: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteObjects {
    /// Only failures are reported.
    pub quiet: bool,
    pub objects: Vec<ObjectToDelete>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectToDelete {
    /// As sent: a key that is no key is an error of this entry alone.
    pub key: String,
    pub version_id: Option<String>,
    pub etag: Option<String>,
    pub last_modified: Option<Timestamp>,
    pub size: Option<u64>,
}

impl ObjectToDelete {
    /// The typed key and version, or the error that is reported for this entry.
    pub fn resolve(&self) -> Result<(ObjectKey, Option<VersionId>), S3Error> {
        let key = crate::request::object_key(&self.key)?;
        let version = match self.version_id.as_deref() {
            None | Some("") => None,
            Some(text) => Some(VersionId::parse(text).ok_or_else(|| S3Error::new(S3ErrorCode::NoSuchVersion))?),
        };
        Ok((key, version))
    }
}

impl DeleteObjects {
    pub fn parse(body: &[u8]) -> Result<Self, S3Error> {
        Ok(Self::read(body)?)
    }

    fn read(body: &[u8]) -> Result<Self, MalformedXml> {
        let mut xml = XmlReader::enter(body, "Delete", 2 + MAX_DELETES * 6)?;
        let mut request = Self { quiet: false, objects: Vec::new() };
        while let Some(name) = xml.child()? {
            match name.as_str() {
                "Quiet" => request.quiet = boolean(&xml.text()?)?,
                "Object" if request.objects.len() < MAX_DELETES => request.objects.push(ObjectToDelete::read(&mut xml)?),
                _ => return Err(MalformedXml),
            }
        }
        xml.finish()?;
        if request.objects.is_empty() { Err(MalformedXml) } else { Ok(request) }
    }
}

impl ObjectToDelete {
    fn read(xml: &mut XmlReader<'_>) -> Result<Self, MalformedXml> {
        let mut key = None;
        let (mut version_id, mut etag, mut last_modified, mut size) = (None, None, None, None);
        while let Some(name) = xml.child()? {
            let text = xml.text()?;
            match name.as_str() {
                "Key" => once(&mut key, text)?,
                "VersionId" => once(&mut version_id, text)?,
                "ETag" => once(&mut etag, text)?,
                "LastModifiedTime" => once(&mut last_modified, moment(&text)?)?,
                "Size" => once(&mut size, text.trim().parse().map_err(|_| MalformedXml)?)?,
                _ => return Err(MalformedXml),
            }
        }
        Ok(Self { key: key.ok_or(MalformedXml)?, version_id, etag, last_modified, size })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompleteMultipartUpload {
    /// As listed; the order is judged against the upload, not here.
    pub parts: Vec<CompletedPart>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletedPart {
    pub number: PartNumber,
    /// `None` stands for a tag that none of ours can equal.
    pub etag: Option<ETag>,
    pub checksum: Option<Checksum>,
}

impl CompleteMultipartUpload {
    pub fn parse(body: &[u8]) -> Result<Self, S3Error> {
        let mut xml = XmlReader::enter(body, "CompleteMultipartUpload", 1 + MAX_PARTS * 8)?;
        let mut parts = Vec::new();
        while let Some(name) = xml.child()? {
            if name != "Part" || parts.len() == MAX_PARTS {
                return Err(MalformedXml.into());
            }
            parts.push(CompletedPart::read(&mut xml)?);
        }
        xml.finish()?;
        if parts.is_empty() { Err(MalformedXml.into()) } else { Ok(Self { parts }) }
    }
}

impl CompletedPart {
    fn read(xml: &mut XmlReader<'_>) -> Result<Self, S3Error> {
        let (mut number, mut etag, mut checksum) = (None, None, None);
        while let Some(name) = xml.child()? {
            let text = xml.text()?;
            match name.as_str() {
                "PartNumber" => {
                    let value: u64 = text.trim().parse().map_err(|_| MalformedXml)?;
                    once(&mut number, PartNumber::new(value).ok_or_else(|| part_number_error(&text))?)?;
                }
                "ETag" => once(&mut etag, ETag::parse(text.trim().trim_matches('"')))?,
                other => {
                    let algorithm =
                        ChecksumAlgorithm::ALL.into_iter().find(|a| checksum_element(*a) == other).ok_or(MalformedXml)?;
                    // A value that cannot be one is a wrong one.
                    let digest = base64_decode(text.trim()).ok_or_else(|| S3Error::new(S3ErrorCode::BadDigest))?;
                    let value = Checksum::new(algorithm, &digest).map_err(|_| S3Error::new(S3ErrorCode::BadDigest))?;
                    once(&mut checksum, value)?;
                }
            }
        }
        let number = number.ok_or(MalformedXml)?;
        Ok(Self { number, etag: etag.ok_or(MalformedXml)?, checksum })
    }
}

fn part_number_error(text: &str) -> S3Error {
    S3Error::invalid_argument("Part number must be an integer between 1 and 10000, inclusive", "partNumber", text.trim())
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CreateBucketConfiguration {
    pub location_constraint: Option<String>,
}

impl CreateBucketConfiguration {
    /// An empty body asks for nothing.
    pub fn parse(body: &[u8]) -> Result<Self, S3Error> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        let mut xml = XmlReader::enter(body, "CreateBucketConfiguration", 16)?;
        let mut location_constraint = None;
        while let Some(name) = xml.child()? {
            match name.as_str() {
                "LocationConstraint" => once(&mut location_constraint, xml.text()?)?,
                "Location" | "Bucket" | "Tags" => {
                    return Err(S3Error::not_implemented(&format!("CreateBucketConfiguration/{name}")));
                }
                _ => return Err(MalformedXml.into()),
            }
        }
        xml.finish()?;
        Ok(Self { location_constraint: location_constraint.filter(|text| !text.is_empty()) })
    }
}

pub(super) fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), MalformedXml> {
    if slot.replace(value).is_some() { Err(MalformedXml) } else { Ok(()) }
}

pub(super) fn boolean(text: &str) -> Result<bool, MalformedXml> {
    match text.trim() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(MalformedXml),
    }
}

/// An HTTP date, as botocore sends it, or ISO 8601, as the others do.
fn moment(text: &str) -> Result<Timestamp, MalformedXml> {
    crate::dates::parse_http_date(text).or_else(|| crate::dates::parse_iso8601(text)).ok_or(MalformedXml)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code<T: std::fmt::Debug>(result: Result<T, S3Error>) -> S3ErrorCode {
        result.expect_err("refused").code()
    }

    #[test]
    fn a_delete_as_boto3_sends_it() {
        let body = br#"<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Object><Key>a b&amp;c</Key></Object><Object><Key>k</Key><VersionId>null</VersionId></Object><Quiet>true</Quiet></Delete>"#;
        let request = DeleteObjects::parse(body).expect("as boto3 sends it");
        assert!(request.quiet);
        let resolved: Vec<_> = request.objects.iter().map(|o| o.resolve().expect("good names")).collect();
        assert_eq!(resolved[0], (ObjectKey::parse("a b&c").expect("a key"), None));
        assert_eq!(resolved[1], (ObjectKey::parse("k").expect("a key"), Some(VersionId::NULL)));
    }

    #[test]
    fn a_delete_names_one_to_a_thousand_keys() {
        let with = |n: usize| format!("<Delete>{}</Delete>", "<Object><Key>k</Key></Object>".repeat(n));
        assert_eq!(DeleteObjects::parse(with(1000).as_bytes()).expect("a thousand").objects.len(), 1000);
        for n in [0, 1001] {
            assert_eq!(code(DeleteObjects::parse(with(n).as_bytes())), S3ErrorCode::MalformedXML, "{n}");
        }
        for body in [
            "<Delete><Object><Keys>k</Keys></Object></Delete>",
            "<Delete><Object/></Delete>",
            "<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>",
        ] {
            assert_eq!(code(DeleteObjects::parse(body.as_bytes())), S3ErrorCode::MalformedXML, "{body}");
        }
    }

    #[test]
    fn a_complete_takes_tags_with_and_without_quotes() {
        let body = "<CompleteMultipartUpload>\n<Part><PartNumber>1</PartNumber><ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag></Part>\
                    <Part><ETag>d41d8cd98f00b204e9800998ecf8427e</ETag><PartNumber>2</PartNumber><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part>\
                    </CompleteMultipartUpload>";
        let parts = CompleteMultipartUpload::parse(body.as_bytes()).expect("well formed").parts;
        assert_eq!(parts[0].etag, parts[1].etag);
        assert_eq!(parts[0].etag.map(|tag| tag.to_string()).as_deref(), Some("d41d8cd98f00b204e9800998ecf8427e"));
        assert_eq!(parts[1].checksum.as_ref().map(Checksum::algorithm), Some(ChecksumAlgorithm::Crc32));
    }

    #[test]
    fn a_complete_without_parts_or_with_bad_ones_is_refused() {
        for (body, expected) in [
            ("<CompleteMultipartUpload/>", S3ErrorCode::MalformedXML),
            (
                "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>",
                S3ErrorCode::MalformedXML,
            ),
            (
                "<CompleteMultipartUpload><Part><PartNumber>0</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>",
                S3ErrorCode::InvalidArgument,
            ),
            (
                "<CompleteMultipartUpload><Part><PartNumber>1.5</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>",
                S3ErrorCode::MalformedXML,
            ),
            (
                "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag><ChecksumSHA1>bad</ChecksumSHA1></Part></CompleteMultipartUpload>",
                S3ErrorCode::BadDigest,
            ),
        ] {
            assert_eq!(code(CompleteMultipartUpload::parse(body.as_bytes())), expected, "{body}");
        }
        let many = format!(
            "<CompleteMultipartUpload>{}</CompleteMultipartUpload>",
            "<Part><PartNumber>1</PartNumber><ETag>x</ETag></Part>".repeat(10_001)
        );
        assert_eq!(code(CompleteMultipartUpload::parse(many.as_bytes())), S3ErrorCode::MalformedXML);
    }

    #[test]
    fn a_bucket_configuration_may_be_absent_or_name_a_location() {
        assert_eq!(CreateBucketConfiguration::parse(b"").expect("absent").location_constraint, None);
        let body = b"<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
        assert_eq!(CreateBucketConfiguration::parse(body).expect("named").location_constraint.as_deref(), Some("eu-west-1"));
        assert_eq!(code(CreateBucketConfiguration::parse(b"<CreateBucket/>")), S3ErrorCode::MalformedXML);
    }
}
