//! What is kept, as it is shown.

use om_api::*;

use super::*;

pub(super) fn bucket_info(name: &str, bucket: &Bucket) -> BucketInfo {
    BucketInfo {
        id: BucketId(1),
        name: BucketName::parse(name).expect("legal"),
        volume: VolumeName::s3v(),
        owner: user(),
        created: AT,
        location: bucket.location.clone(),
        layout: BucketLayout::ObjectStore,
        replication: Replication::One,
        versioning: Versioning::Unversioned,
        object_lock: None,
    }
}

pub(super) fn pieces(object: &Object, first: u64, length: u64) -> Vec<BlockPiece> {
    let (mut offset, mut found) = (0, Vec::new());
    for block in &object.blocks {
        let from = first.max(offset);
        let to = (first + length).min(offset + block.length);
        if from < to {
            let location = location(block.block, block.length, PipelineId(1));
            found.push(BlockPiece { object_offset: from, block_offset: from - offset, length: to - from, location });
        }
        offset += block.length;
    }
    found
}

pub(super) fn upload_info(upload: &Upload) -> UploadInfo {
    UploadInfo {
        initiator: user(),
        owner: user(),
        initiated: AT,
        storage_class: None,
        checksum: upload.checksum,
        completed: upload.completed.clone(),
        encryption: upload.encryption.clone(),
        ends: None,
    }
}

/// Where the bucket is kept.
pub(super) fn at(bucket: &BucketPath) -> String {
    bucket.to_string()
}
