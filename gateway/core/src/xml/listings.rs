//! The XML answers of listings.

use types::{Checksum, ChecksumAlgorithm, ChecksumType, ETag, PartNumber, Timestamp, UploadId, VersionId};

use super::results::write_etag;
use super::{Owner, XmlOut, algorithm_name, checksum_type_name, write_checksum};
use crate::dates::format_iso8601;
use crate::listing::{ListMultipartUploads, ListObjectVersions, ListObjects, ListObjectsV2, ListParts, ListScope, NameEncoding};

/// The word belongs in every entry, also of what was given none.
fn write_storage_class(out: &mut XmlOut, class: Option<&str>) {
    out.text("StorageClass", class.unwrap_or("STANDARD"));
}

#[derive(Debug, Clone)]
pub struct ListedBucket {
    pub name: String,
    pub created_at: Timestamp,
    pub region: Option<String>,
}

#[derive(Debug, Clone)]
pub struct ListBucketsResult {
    pub owner: Owner,
    pub buckets: Vec<ListedBucket>,
    pub prefix: Option<String>,
    pub next_token: Option<String>,
}

impl ListBucketsResult {
    pub fn to_xml(&self) -> String {
        XmlOut::with_root("ListAllMyBucketsResult", |out| {
            self.owner.write(out, "Owner");
            out.element("Buckets", |out| {
                for bucket in &self.buckets {
                    out.element("Bucket", |out| {
                        out.text("Name", &bucket.name);
                        out.text("CreationDate", &format_iso8601(bucket.created_at));
                        out.text_if("BucketRegion", bucket.region.as_deref());
                    });
                }
            });
            out.text_if("Prefix", self.prefix.as_deref());
            out.text_if("ContinuationToken", self.next_token.as_deref());
        })
    }
}

#[derive(Debug, Clone)]
pub struct ListedObject {
    pub key: String,
    pub last_modified: Timestamp,
    pub etag: ETag,
    pub size: u64,
    pub owner: Option<Owner>,
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
    pub storage_class: Option<String>,
}

impl ListedObject {
    fn write(&self, out: &mut XmlOut, encoding: NameEncoding) {
        out.element("Contents", |out| {
            out.text("Key", &encoding.encode(&self.key));
            self.write_attributes(out);
        });
    }

    fn write_attributes(&self, out: &mut XmlOut) {
        out.text("LastModified", &format_iso8601(self.last_modified));
        write_etag(out, &self.etag);
        if let Some((algorithm, kind)) = self.checksum {
            out.text("ChecksumAlgorithm", algorithm_name(algorithm));
            out.text("ChecksumType", checksum_type_name(kind));
        }
        out.value("Size", self.size);
        if let Some(owner) = &self.owner {
            owner.write(out, "Owner");
        }
        write_storage_class(out, self.storage_class.as_deref());
    }
}

/// What a page holds, in the order of its names; bodies put objects before common prefixes.
#[derive(Debug, Clone)]
pub struct Listed<T> {
    pub entries: Vec<T>,
    pub common_prefixes: Vec<String>,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), common_prefixes: Vec::new() }
    }
}

impl<T> Listed<T> {
    pub fn len(&self) -> usize {
        self.entries.len() + self.common_prefixes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn write_scope(out: &mut XmlOut, scope: &ListScope, max_name: &str) {
    out.value(max_name, scope.max_keys);
    out.text_if("Delimiter", scope.delimiter.as_deref().map(|text| scope.encoding.encode(text)).as_deref());
    if scope.encoding == NameEncoding::Url {
        out.text("EncodingType", "url");
    }
}

fn write_common_prefixes(out: &mut XmlOut, prefixes: &[String], encoding: NameEncoding) {
    for prefix in prefixes {
        out.element("CommonPrefixes", |out| out.text("Prefix", &encoding.encode(prefix)));
    }
}

#[derive(Debug)]
pub struct ListObjectsResult<'a> {
    pub bucket: &'a str,
    pub request: &'a ListObjects,
    pub listed: Listed<ListedObject>,
    /// The last name of a page that has more behind it, key or common prefix.
    pub last: Option<String>,
}

impl ListObjectsResult<'_> {
    pub fn to_xml(&self) -> String {
        let scope = &self.request.scope;
        let encode = |name: &str| scope.encoding.encode(name);
        XmlOut::with_root("ListBucketResult", |out| {
            out.text("Name", self.bucket);
            // The one name that the first version leaves as it is; clients do not decode it there.
            out.text("Prefix", &scope.prefix);
            out.text("Marker", &encode(&self.request.marker));
            // Without a delimiter clients go on from the last key that they saw.
            if let Some(last) = self.last.as_deref().filter(|_| scope.delimiter.is_some()) {
                out.text("NextMarker", &encode(last));
            }
            write_scope(out, scope, "MaxKeys");
            out.value("IsTruncated", self.last.is_some());
            self.listed.entries.iter().for_each(|object| object.write(out, scope.encoding));
            write_common_prefixes(out, &self.listed.common_prefixes, scope.encoding);
        })
    }
}

#[derive(Debug)]
pub struct ListObjectsV2Result<'a> {
    pub bucket: &'a str,
    pub request: &'a ListObjectsV2,
    pub listed: Listed<ListedObject>,
    pub next_token: Option<String>,
}

impl ListObjectsV2Result<'_> {
    pub fn to_xml(&self) -> String {
        let scope = &self.request.scope;
        XmlOut::with_root("ListBucketResult", |out| {
            out.text("Name", self.bucket);
            out.text("Prefix", &scope.encoding.encode(&scope.prefix));
            out.text_if("StartAfter", self.request.start_after.as_deref().map(|text| scope.encoding.encode(text)).as_deref());
            out.text_if("ContinuationToken", self.request.continuation_token.as_deref());
            out.text_if("NextContinuationToken", self.next_token.as_deref());
            out.value("KeyCount", self.listed.len());
            write_scope(out, scope, "MaxKeys");
            out.value("IsTruncated", self.next_token.is_some());
            self.listed.entries.iter().for_each(|object| object.write(out, scope.encoding));
            write_common_prefixes(out, &self.listed.common_prefixes, scope.encoding);
        })
    }
}

/// One version or delete marker in a listing of versions.
#[derive(Debug, Clone)]
pub struct ListedVersion {
    pub kind: VersionKind,
    pub version_id: VersionId,
    pub is_latest: bool,
}

#[derive(Debug, Clone)]
pub enum VersionKind {
    Object(ListedObject),
    DeleteMarker(ListedMarker),
}

#[derive(Debug, Clone)]
pub struct ListedMarker {
    pub key: String,
    pub last_modified: Timestamp,
    pub owner: Owner,
}

impl ListedVersion {
    fn write(&self, out: &mut XmlOut, encoding: NameEncoding) {
        let (element, key) = match &self.kind {
            VersionKind::Object(object) => ("Version", &object.key),
            VersionKind::DeleteMarker(marker) => ("DeleteMarker", &marker.key),
        };
        out.element(element, |out| {
            out.text("Key", &encoding.encode(key));
            out.value("VersionId", self.version_id);
            out.value("IsLatest", self.is_latest);
            match &self.kind {
                VersionKind::Object(object) => object.write_attributes(out),
                VersionKind::DeleteMarker(marker) => {
                    out.text("LastModified", &format_iso8601(marker.last_modified));
                    marker.owner.write(out, "Owner");
                }
            }
        });
    }
}

#[derive(Debug)]
pub struct ListObjectVersionsResult<'a> {
    pub bucket: &'a str,
    pub request: &'a ListObjectVersions,
    pub listed: Listed<ListedVersion>,
    /// The last key or common prefix, and the last version of that key, of a page that has more behind it.
    pub last: Option<(String, Option<VersionId>)>,
}

impl ListObjectVersionsResult<'_> {
    pub fn to_xml(&self) -> String {
        let scope = &self.request.scope;
        let encode = |name: &str| scope.encoding.encode(name);
        XmlOut::with_root("ListVersionsResult", |out| {
            out.text("Name", self.bucket);
            out.text("Prefix", &encode(&scope.prefix));
            out.text("KeyMarker", &encode(&self.request.key_marker));
            out.text("VersionIdMarker", &self.request.version_id_marker.map(|id| id.to_string()).unwrap_or_default());
            if let Some((key, version)) = &self.last {
                out.text("NextKeyMarker", &encode(key));
                if let Some(version) = version {
                    out.value("NextVersionIdMarker", version);
                }
            }
            write_scope(out, scope, "MaxKeys");
            out.value("IsTruncated", self.last.is_some());
            self.listed.entries.iter().for_each(|version| version.write(out, scope.encoding));
            write_common_prefixes(out, &self.listed.common_prefixes, scope.encoding);
        })
    }
}

#[derive(Debug, Clone)]
pub struct ListedUpload {
    pub key: String,
    pub upload: UploadId,
    pub owner: Owner,
    pub initiator: Owner,
    pub initiated_at: Timestamp,
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
    pub storage_class: Option<String>,
}

impl ListedUpload {
    fn write(&self, out: &mut XmlOut, encoding: NameEncoding) {
        out.element("Upload", |out| {
            out.text("Key", &encoding.encode(&self.key));
            out.value("UploadId", self.upload);
            self.initiator.write(out, "Initiator");
            self.owner.write(out, "Owner");
            write_storage_class(out, self.storage_class.as_deref());
            out.text("Initiated", &format_iso8601(self.initiated_at));
            write_algorithm(out, self.checksum);
        });
    }
}

fn write_algorithm(out: &mut XmlOut, checksum: Option<(ChecksumAlgorithm, ChecksumType)>) {
    if let Some((algorithm, kind)) = checksum {
        out.text("ChecksumAlgorithm", algorithm_name(algorithm));
        out.text("ChecksumType", checksum_type_name(kind));
    }
}

#[derive(Debug)]
pub struct ListMultipartUploadsResult<'a> {
    pub bucket: &'a str,
    pub request: &'a ListMultipartUploads,
    pub listed: Listed<ListedUpload>,
    /// The last key or common prefix, and the last upload of that key, of a page that has more behind it.
    pub last: Option<(String, Option<UploadId>)>,
}

impl ListMultipartUploadsResult<'_> {
    pub fn to_xml(&self) -> String {
        let scope = &self.request.scope;
        let encode = |name: &str| scope.encoding.encode(name);
        let id_text = |id: Option<UploadId>| id.map(|id| id.to_string()).unwrap_or_default();
        XmlOut::with_root("ListMultipartUploadsResult", |out| {
            out.text("Bucket", self.bucket);
            out.text("KeyMarker", &encode(&self.request.key_marker));
            out.text("UploadIdMarker", &id_text(self.request.upload_id_marker));
            if let Some((key, upload)) = &self.last {
                out.text("NextKeyMarker", &encode(key));
                out.text("NextUploadIdMarker", &id_text(*upload));
            }
            out.text("Prefix", &encode(&scope.prefix));
            write_scope(out, scope, "MaxUploads");
            out.value("IsTruncated", self.last.is_some());
            self.listed.entries.iter().for_each(|upload| upload.write(out, scope.encoding));
            write_common_prefixes(out, &self.listed.common_prefixes, scope.encoding);
        })
    }
}

#[derive(Debug, Clone)]
pub struct ListedPart {
    pub number: PartNumber,
    pub last_modified: Timestamp,
    pub etag: ETag,
    pub size: u64,
    pub checksum: Option<Checksum>,
}

#[derive(Debug)]
pub struct ListPartsResult<'a> {
    pub bucket: &'a str,
    pub key: &'a str,
    pub upload: UploadId,
    pub request: &'a ListParts,
    pub owner: Owner,
    pub initiator: Owner,
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
    pub storage_class: Option<String>,
    pub parts: Vec<ListedPart>,
    pub is_truncated: bool,
}

impl ListPartsResult<'_> {
    pub fn to_xml(&self) -> String {
        let number = |part: Option<PartNumber>| part.map_or(0, PartNumber::get);
        XmlOut::with_root("ListPartsResult", |out| {
            out.text("Bucket", self.bucket);
            out.text("Key", &self.request.encoding.encode(self.key));
            out.value("UploadId", self.upload);
            self.initiator.write(out, "Initiator");
            self.owner.write(out, "Owner");
            write_storage_class(out, self.storage_class.as_deref());
            write_algorithm(out, self.checksum);
            out.value("PartNumberMarker", number(self.request.after));
            out.value("NextPartNumberMarker", number(self.parts.last().map(|part| part.number).or(self.request.after)));
            out.value("MaxParts", self.request.max_parts);
            out.value("IsTruncated", self.is_truncated);
            for part in &self.parts {
                out.element("Part", |out| {
                    out.value("PartNumber", part.number);
                    out.text("LastModified", &format_iso8601(part.last_modified));
                    write_etag(out, &part.etag);
                    out.value("Size", part.size);
                    write_checksum(out, part.checksum.as_ref());
                });
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Query;
    use types::Md5;

    fn object(key: &str) -> ListedObject {
        let etag = ETag::whole(Md5([0; 16]));
        ListedObject {
            key: key.into(),
            last_modified: Timestamp(0),
            etag,
            size: 3,
            owner: None,
            checksum: None,
            storage_class: None,
        }
    }

    fn body(document: &str) -> &str {
        document.split_once("2006-03-01/\">").expect("a root with the namespace").1
    }

    const ATTRIBUTES: &str = "<LastModified>1970-01-01T00:00:00.000Z</LastModified>\
        <ETag>&quot;00000000000000000000000000000000&quot;</ETag><Size>3</Size><StorageClass>STANDARD</StorageClass>";

    #[test]
    fn the_first_version_always_has_a_marker_and_a_next_marker_only_with_a_delimiter() {
        for (query, delimiter, next) in [("", "", ""), ("delimiter=/", "<Delimiter>/</Delimiter>", "<NextMarker>k</NextMarker>")]
        {
            let request = ListObjects::parse(&Query::parse(query).expect("legal")).expect("legal");
            let listed = Listed { entries: vec![object("k")], common_prefixes: vec![] };
            let result = ListObjectsResult { bucket: "b", request: &request, listed, last: Some("k".into()) };
            assert_eq!(
                body(&result.to_xml()),
                format!(
                    "<Name>b</Name><Prefix></Prefix><Marker></Marker>{next}<MaxKeys>1000</MaxKeys>{delimiter}\
                     <IsTruncated>true</IsTruncated><Contents><Key>k</Key>{ATTRIBUTES}</Contents></ListBucketResult>"
                )
            );
        }
    }

    #[test]
    fn the_first_version_leaves_its_prefix_as_it_is() {
        let query = Query::parse("prefix=%0A%20&marker=%20&encoding-type=url").expect("legal");
        let request = ListObjects::parse(&query).expect("legal");
        let result = ListObjectsResult { bucket: "b", request: &request, listed: Listed::default(), last: None };
        assert!(body(&result.to_xml()).starts_with("<Name>b</Name><Prefix>\n </Prefix><Marker>%20</Marker>"));
    }

    #[test]
    fn the_second_version_echoes_its_token_and_counts_prefixes_and_encodes_names() {
        let query = Query::parse("list-type=2&continuation-token=&start-after=a+b&delimiter=/&encoding-type=url").expect("legal");
        let request = ListObjectsV2::parse(&query).expect("legal");
        let listed = Listed { entries: vec![object("k+ 1")], common_prefixes: vec!["p 1/".into()] };
        let result = ListObjectsV2Result { bucket: "b", request: &request, listed, next_token: None };
        assert_eq!(
            body(&result.to_xml()),
            format!(
                "<Name>b</Name><Prefix></Prefix><StartAfter>a%20b</StartAfter><ContinuationToken></ContinuationToken>\
                 <KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys><Delimiter>/</Delimiter><EncodingType>url</EncodingType>\
                 <IsTruncated>false</IsTruncated><Contents><Key>k%2B%201</Key>{ATTRIBUTES}</Contents>\
                 <CommonPrefixes><Prefix>p%201/</Prefix></CommonPrefixes></ListBucketResult>"
            )
        );
    }

    #[test]
    fn an_unversioned_object_is_listed_as_its_null_version() {
        let request = ListObjectVersions::parse(&Query::parse("versions").expect("legal")).expect("legal");
        let version = ListedVersion { kind: VersionKind::Object(object("k")), version_id: VersionId::NULL, is_latest: true };
        let listed = Listed { entries: vec![version], common_prefixes: vec![] };
        let result = ListObjectVersionsResult { bucket: "b", request: &request, listed, last: None };
        let expected = format!(
            "<Version><Key>k</Key><VersionId>null</VersionId><IsLatest>true</IsLatest>{ATTRIBUTES}</Version></ListVersionsResult>"
        );
        assert!(body(&result.to_xml()).ends_with(&expected), "{}", result.to_xml());
    }
}
