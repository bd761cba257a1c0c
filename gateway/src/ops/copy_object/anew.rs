//! A copy whose bytes are not stored as its source's are: they are read, and written as any object's.

use gateway_core::S3Error;
use gateway_core::range::RangeRequest;
use om_api::{BlocksWanted, CommitKey, CopyAttributes, KeyCopied, ObjectAttributes, ObjectChecksum, OpenKey, SystemHeader};
use types::{ChecksumAlgorithm, ChecksumType};

use super::{Copied, CopyObject};
use crate::context::OpContext;
use crate::data::{BlockSink, ObjectSource, ReadObject};
use crate::ops::attributes::to_core_conditions;
use crate::ops::encryption::{Sealing, Shown, located};
use crate::ops::put_object::{MAX_PUT, commit_key, open_key};
use crate::ops::source::{Moved, look_up_source, move_bytes, source_too_large};

impl CopyObject {
    pub(super) async fn write_anew(self, cx: &OpContext) -> Result<Copied, S3Error> {
        let mut read = look_up_source(cx, &self.source, BlocksWanted::All).await?;
        let located = located(&mut read, self.source_customer.as_ref())?;
        let info = read.info;
        to_core_conditions(&self.source_conditions).check_copy_source(info.etag, info.last_modified)?;
        if info.size > MAX_PUT {
            return Err(source_too_large());
        }
        let _room = cx.upload_room(Some(info.size)).await?;
        let request = OpenKey {
            by: cx.by(),
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            size: Some(info.size),
            condition: self.condition.clone(),
            locks: self.lock.is_some(),
            encryption: self.encryption.wanted(cx)?,
            storage_class: self.storage_class,
            appends_to: None,
        };
        let mut opened = open_key(cx, request, &self.encryption).await?;
        let sealed = opened.encryption.take();
        let mut sink = BlockSink::new(cx, opened);
        let sealing = Sealing::of(sealed, self.encryption.customer())?;
        if let Some(sealing) = &sealing {
            sink.seal_with(sealing.sealer()?);
        }
        let range = RangeRequest::From { first: 0, last: None }.resolve(info.size).ok();
        let source =
            ObjectSource { bucket: self.source.bucket.clone(), key: self.source.key.clone(), version: self.source.version };
        let known = info.checksum.as_ref().map(|checksum| checksum.checksum.algorithm());
        let algorithm = self.algorithm.or(known).unwrap_or(ChecksumAlgorithm::Crc64Nvme);
        let Moved { blocks, md5, checksum } =
            move_bytes(ReadObject::new(cx, source, located, range), &mut sink, Some(algorithm)).await?;
        let etag = Sealing::etag(sealing.as_ref(), md5)?;
        let commit = CommitKey {
            by: cx.by(),
            session: sink.settle(),
            bucket: self.bucket,
            key: self.key,
            blocks,
            etag,
            checksum: checksum.map(|checksum| ObjectChecksum { checksum, kind: ChecksumType::FullObject }),
            attributes: attributes(self.attributes, self.tags, self.website_redirect, info.attributes),
            condition: self.condition,
            lock: self.lock,
        };
        let committed = commit_key(cx, commit).await?;
        let encryption = Shown::of(sealing.as_ref().map(Sealing::scheme), self.encryption.customer());
        Ok(Copied { copied: KeyCopied { committed, source_version: info.version, encryption: None }, encryption })
    }
}

/// As where bytes are shared: what was not replaced is the source's. The storage class stands with the session.
fn attributes(
    asked: CopyAttributes,
    tags: Option<Vec<(String, String)>>,
    website_redirect: Option<String>,
    source: ObjectAttributes,
) -> ObjectAttributes {
    let tags = tags.unwrap_or_else(|| source.tags.clone());
    let own = match asked {
        CopyAttributes::Source => {
            let mut own = source;
            own.headers.retain(|(name, _)| *name != SystemHeader::WebsiteRedirectLocation);
            own.headers.extend(website_redirect.map(|target| (SystemHeader::WebsiteRedirectLocation, target)));
            own
        }
        CopyAttributes::Replace(attributes) => attributes,
    };
    ObjectAttributes { tags, storage_class: None, ..own }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_takes_of_its_source_what_was_not_replaced() {
        let of = |word: &str| ObjectAttributes {
            metadata: vec![("m".into(), word.into())],
            tags: vec![("t".into(), word.into())],
            storage_class: Some(word.into()),
            ..ObjectAttributes::default()
        };
        let source = ObjectAttributes { storage_class: None, ..of("source") };
        assert_eq!(attributes(CopyAttributes::Source, None, None, of("source")), source);
        let replaced = attributes(CopyAttributes::Replace(of("own")), None, None, of("source"));
        assert_eq!((replaced.metadata, replaced.tags), (of("own").metadata, of("source").tags));
        let tagged = attributes(CopyAttributes::Source, Some(Vec::new()), None, of("source"));
        assert_eq!((tagged.metadata, tagged.tags), (of("source").metadata, Vec::new()));
    }
}
