//! The XML answers of single operations.

use types::{Checksum, ChecksumType, ETag, Timestamp, UploadId, VersionId};

use super::{XmlOut, checksum_type_name};
use crate::checksum::object_checksum_text;
use crate::dates::format_iso8601;
use crate::error::S3Error;

/// A tag as bodies carry it: in quotes, escaped.
pub(super) fn write_etag(out: &mut XmlOut, etag: &ETag) {
    out.value("ETag", format_args!("&quot;{etag}&quot;"));
}

/// `GetBucketLocation`: what the bucket was made with. Made with nothing it is where the service is, and for us-east-1, the
/// oldest region, that is written as nothing.
pub fn location_constraint(asked: Option<&str>, region: &str) -> String {
    let location = asked.unwrap_or(if region == "us-east-1" { "" } else { region });
    XmlOut::with_root("LocationConstraint", |out| out.raw_text(location))
}

pub fn initiate_multipart_upload_result(bucket: &str, key: &str, upload: UploadId) -> String {
    XmlOut::with_root("InitiateMultipartUploadResult", |out| {
        out.text("Bucket", bucket);
        out.text("Key", key);
        out.value("UploadId", upload);
    })
}

/// `PostObject`, where the form asks for a document. It has no namespace.
pub fn post_response(location: &str, bucket: &str, key: &str, etag: &ETag) -> String {
    let mut out = XmlOut::document();
    out.element("PostResponse", |out| {
        out.text("Location", location);
        out.text("Bucket", bucket);
        out.text("Key", key);
        write_etag(out, etag);
    });
    out.finish()
}

#[derive(Debug, Clone)]
pub struct CompleteMultipartUploadResult<'a> {
    pub location: &'a str,
    pub bucket: &'a str,
    pub key: &'a str,
    pub etag: ETag,
    pub checksum: Option<(Checksum, ChecksumType, u16)>,
}

impl CompleteMultipartUploadResult<'_> {
    pub fn to_xml(&self) -> String {
        XmlOut::with_root("CompleteMultipartUploadResult", |out| {
            out.text("Location", self.location);
            out.text("Bucket", self.bucket);
            out.text("Key", self.key);
            write_etag(out, &self.etag);
            if let Some((checksum, kind, parts)) = &self.checksum {
                let text = object_checksum_text(checksum, *kind, Some(*parts));
                out.text(super::checksum_element(checksum.algorithm()), &text);
                out.text("ChecksumType", checksum_type_name(*kind));
            }
        })
    }
}

/// What a copy made, for the object and for the part form alike.
#[derive(Debug, Clone)]
pub struct CopyResult {
    pub etag: ETag,
    pub last_modified: Timestamp,
    /// The parts are those of a composite one.
    pub checksum: Option<(Checksum, ChecksumType, Option<u16>)>,
}

pub fn copy_object_result(result: &CopyResult) -> String {
    copy_result("CopyObjectResult", result)
}

pub fn copy_part_result(result: &CopyResult) -> String {
    copy_result("CopyPartResult", result)
}

fn copy_result(root: &str, result: &CopyResult) -> String {
    XmlOut::with_root(root, |out| {
        out.text("LastModified", &format_iso8601(result.last_modified));
        write_etag(out, &result.etag);
        if let Some((checksum, kind, parts)) = &result.checksum {
            out.text(super::checksum_element(checksum.algorithm()), &object_checksum_text(checksum, *kind, *parts));
            // A part's has no type of its own.
            if root == "CopyObjectResult" {
                out.text("ChecksumType", checksum_type_name(*kind));
            }
        }
    })
}

#[derive(Debug, Clone, Default)]
pub struct DeleteResult {
    pub deleted: Vec<Deleted>,
    pub failed: Vec<DeleteFailed>,
}

#[derive(Debug, Clone, Default)]
pub struct Deleted {
    pub key: String,
    /// The version that was asked for by name.
    pub version_id: Option<VersionId>,
    /// The delete marker that was made or removed.
    pub delete_marker: Option<VersionId>,
}

#[derive(Debug, Clone)]
pub struct DeleteFailed {
    pub key: String,
    pub version_id: Option<String>,
    pub error: S3Error,
}

impl DeleteResult {
    /// With `quiet`, only what failed is told.
    pub fn to_xml(&self, quiet: bool) -> String {
        XmlOut::with_root("DeleteResult", |out| {
            if !quiet {
                for deleted in &self.deleted {
                    deleted.write(out);
                }
            }
            for failed in &self.failed {
                out.element("Error", |out| {
                    out.text("Key", &failed.key);
                    out.text_if("VersionId", failed.version_id.as_deref());
                    out.text("Code", failed.error.code().as_str());
                    out.text("Message", failed.error.message());
                });
            }
        })
    }
}

impl Deleted {
    fn write(&self, out: &mut XmlOut) {
        out.element("Deleted", |out| {
            out.text("Key", &self.key);
            if let Some(version) = self.version_id {
                out.value("VersionId", version);
            }
            if let Some(marker) = self.delete_marker {
                out.value("DeleteMarker", true);
                out.value("DeleteMarkerVersionId", marker);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::S3ErrorCode;
    use types::{ChecksumAlgorithm, Md5};

    fn body(document: &str) -> &str {
        document.split_once("2006-03-01/\">").expect("a root with the namespace").1
    }

    #[test]
    fn a_quiet_delete_tells_only_failures() {
        let result = DeleteResult {
            deleted: vec![Deleted { key: "a&b".into(), version_id: Some(VersionId::NULL), delete_marker: None }],
            failed: vec![DeleteFailed { key: "c".into(), version_id: None, error: S3ErrorCode::AccessDenied.into() }],
        };
        let error = "<Error><Key>c</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error></DeleteResult>";
        assert_eq!(body(&result.to_xml(true)), error);
        let deleted = "<Deleted><Key>a&amp;b</Key><VersionId>null</VersionId></Deleted>";
        assert_eq!(body(&result.to_xml(false)), format!("{deleted}{error}"));
    }

    #[test]
    fn a_location_is_given_back_and_the_oldest_region_is_no_word() {
        for (asked, region, text) in [
            (None, "us-east-1", ""),
            (None, "eu-west-1", "eu-west-1"),
            (Some("us-east-1"), "us-east-1", "us-east-1"),
            (Some("label"), "us-east-1", "label"),
        ] {
            assert_eq!(body(&location_constraint(asked, region)), format!("{text}</LocationConstraint>"));
        }
    }

    #[test]
    fn a_completed_upload_shows_its_tag_in_quotes_and_a_composite_checksum_with_its_parts() {
        let result = CompleteMultipartUploadResult {
            location: "http://h/b/k",
            bucket: "b",
            key: "k",
            etag: ETag { md5: Md5([0; 16]), parts: Some(2) },
            checksum: Some((Checksum::new(ChecksumAlgorithm::Crc32, &[0; 4]).expect("four bytes"), ChecksumType::Composite, 2)),
        };
        assert_eq!(
            body(&result.to_xml()),
            "<Location>http://h/b/k</Location><Bucket>b</Bucket><Key>k</Key>\
             <ETag>&quot;00000000000000000000000000000000-2&quot;</ETag><ChecksumCRC32>AAAAAA==-2</ChecksumCRC32>\
             <ChecksumType>COMPOSITE</ChecksumType></CompleteMultipartUploadResult>"
        );
    }
}
