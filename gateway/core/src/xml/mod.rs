//! XML, both ways: the writer and reader, the bodies that clients send, and those they get.

mod acl;
mod attributes;
pub mod configs;
mod listings;
mod out;
mod reader;
mod requests;
mod results;
mod versioning;

pub use acl::{AccessControlPolicy, ListedGrantee, access_control_policy};
pub use attributes::{AttributesWanted, ObjectAttributesResult, ObjectParts, PartAttributes};
pub use listings::{
    ListBucketsResult, ListMultipartUploadsResult, ListObjectVersionsResult, ListObjectsResult, ListObjectsV2Result,
    ListPartsResult, Listed, ListedBucket, ListedMarker, ListedObject, ListedPart, ListedUpload, ListedVersion, VersionKind,
};
pub use out::{NAMESPACE, XmlOut};
pub use reader::{MalformedXml, XmlReader};
pub use requests::{
    CompleteMultipartUpload, CompletedPart, CreateBucketConfiguration, DeleteObjects, MAX_COMPLETE_BODY, MAX_DELETE_BODY,
    MAX_SMALL_BODY, ObjectToDelete,
};
pub use results::{
    CompleteMultipartUploadResult, CopyResult, DeleteFailed, DeleteResult, Deleted, copy_object_result, copy_part_result,
    initiate_multipart_upload_result, location_constraint, post_response,
};
pub use versioning::{parse_versioning, versioning_xml};

use types::{Checksum, ChecksumAlgorithm, ChecksumType};

use crate::encoding::base64_encode;

/// Who owns or began a thing, as XML names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub id: String,
    pub display_name: String,
}

impl Owner {
    fn write(&self, out: &mut XmlOut, name: &str) {
        out.element(name, |owner| {
            owner.text("ID", &self.id);
            owner.text("DisplayName", &self.display_name);
        });
    }
}

/// The algorithm as headers and XML name it.
pub fn algorithm_name(algorithm: ChecksumAlgorithm) -> &'static str {
    match algorithm {
        ChecksumAlgorithm::Crc32 => "CRC32",
        ChecksumAlgorithm::Crc32c => "CRC32C",
        ChecksumAlgorithm::Crc64Nvme => "CRC64NVME",
        ChecksumAlgorithm::Sha1 => "SHA1",
        ChecksumAlgorithm::Sha256 => "SHA256",
    }
}

pub fn checksum_type_name(kind: ChecksumType) -> &'static str {
    match kind {
        ChecksumType::FullObject => "FULL_OBJECT",
        ChecksumType::Composite => "COMPOSITE",
    }
}

/// The element that carries a checksum of this algorithm.
fn checksum_element(algorithm: ChecksumAlgorithm) -> &'static str {
    match algorithm {
        ChecksumAlgorithm::Crc32 => "ChecksumCRC32",
        ChecksumAlgorithm::Crc32c => "ChecksumCRC32C",
        ChecksumAlgorithm::Crc64Nvme => "ChecksumCRC64NVME",
        ChecksumAlgorithm::Sha1 => "ChecksumSHA1",
        ChecksumAlgorithm::Sha256 => "ChecksumSHA256",
    }
}

fn write_checksum(out: &mut XmlOut, checksum: Option<&Checksum>) {
    if let Some(checksum) = checksum {
        out.text(checksum_element(checksum.algorithm()), &base64_encode(checksum.digest()));
    }
}
