//! `x-amz-copy-source`: which object is copied.

use types::{BucketAddress, BucketPath, ObjectKey, VersionId, VolumeName};

use crate::encoding::{Plus, percent_decode};
use crate::error::S3Error;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopySource {
    pub bucket: BucketPath,
    pub key: ObjectKey,
    pub version: Option<VersionId>,
}

impl CopySource {
    /// `[/][[volume]:]bucket/key[?versionId=…]` of somebody at home in this volume, decoded exactly once: a `%` that remains is part
    /// of the key. The `?versionId=` is looked for before decoding, so that an encoded one is part of the key too.
    pub fn parse(header: &str, home: &VolumeName) -> Result<Self, S3Error> {
        let (path, version) = match header.split_once("?versionId=") {
            Some((path, version)) => (path, Some(version)),
            None => (header, None),
        };
        let must_name = || {
            let why = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey";
            S3Error::invalid_argument(why, "x-amz-copy-source", header)
        };
        let path = percent_decode(path, Plus::Plus).map_err(|_| must_name())?;
        let (bucket, key) = path.strip_prefix('/').unwrap_or(&path).split_once('/').ok_or_else(must_name)?;
        let bucket = BucketAddress::parse(bucket).map_err(|_| must_name())?.within(home);
        let key = ObjectKey::parse(key).map_err(|_| must_name())?;
        let version = match version {
            None | Some("") => None,
            Some(text) => {
                let text = percent_decode(text, Plus::Plus).map_err(|_| must_name())?;
                Some(VersionId::parse(&text).ok_or_else(|| invalid_version(&text))?)
            }
        };
        Ok(Self { bucket, key, version })
    }
}

/// `x-amz-rename-source`: a key of the same bucket, with or without a slash before it. The bucket's name is never taken off: in a bucket
/// `b` with keys `k` and `b/k` that would make one object of two names.
pub fn parse_rename_source(header: &str) -> Result<ObjectKey, S3Error> {
    let invalid =
        || S3Error::invalid_argument("The rename source must name an object of the bucket", "x-amz-rename-source", header);
    let path = percent_decode(header, Plus::Plus).map_err(|_| invalid())?;
    ObjectKey::parse(path.strip_prefix('/').unwrap_or(&path)).map_err(|_| invalid())
}

/// A version id that is not of our form names nothing, here or elsewhere.
pub fn invalid_version(text: &str) -> S3Error {
    S3Error::invalid_argument("Invalid version id specified", "versionId", text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::S3ErrorCode;
    use proptest::prelude::*;

    #[test]
    fn a_source_is_decoded_once_and_may_name_a_version() {
        let home = VolumeName::s3v_ref();
        for (header, key, version) in [
            ("bucket/key", "key", None),
            ("/bucket/key", "key", None),
            ("/bucket//key", "/key", None),
            ("bucket/a%2Fb%20c", "a/b c", None),
            ("bucket/a+b", "a+b", None),
            ("bucket/%2525", "%25", None),
            ("bucket/foo%3Fbar?versionId=null", "foo?bar", Some(VersionId::NULL)),
            ("bucket/foo%3FversionId=null", "foo?versionId=null", None),
            ("bucket/..%2f..%2fother", "../../other", None),
            ("bucket%2Fkey", "key", None),
            ("bucket/key?versionId=", "key", None),
        ] {
            let source = CopySource::parse(header, home).expect(header);
            assert_eq!(
                (source.bucket.to_string().as_str(), source.key.as_str(), source.version),
                ("bucket", key, version),
                "{header}"
            );
        }
    }

    #[test]
    fn a_source_is_in_the_volume_that_it_names_or_else_in_the_requester_s() {
        let red = VolumeName::parse("red").expect("legal");
        for (header, bucket) in [
            ("bucket/key", "red:bucket"),
            ("/bucket/key", "red:bucket"),
            ("blue:bucket/key", "blue:bucket"),
            ("/blue%3Abucket/key", "blue:bucket"),
            (":bucket/key", "bucket"),
            ("bucket/a:b", "red:bucket"),
        ] {
            assert_eq!(CopySource::parse(header, &red).expect(header).bucket.to_string(), bucket, "{header}");
        }
        assert_eq!(CopySource::parse("a:b:c/key", &red).expect_err("two volumes").code(), S3ErrorCode::InvalidArgument);
    }

    #[test]
    fn what_is_renamed_is_a_key_and_its_bucket_is_not_named() {
        for (header, key) in
            [("k", "k"), ("/k", "k"), ("bucket/k", "bucket/k"), ("/bucket/k", "bucket/k"), ("//k", "/k"), ("a%20b", "a b")]
        {
            assert_eq!(parse_rename_source(header).map(|key| key.as_str().to_owned()), Ok(key.to_owned()), "{header}");
        }
        for header in ["", "/", "%zz"] {
            assert_eq!(parse_rename_source(header).map_err(|error| error.code()), Err(S3ErrorCode::InvalidArgument), "{header}");
        }
    }

    #[test]
    fn a_source_that_names_no_object_is_refused() {
        for header in [
            "",
            "/",
            "bucket",
            "/bucket",
            "bucket/",
            "../bucket/key",
            "%2e%2e/key",
            "bucket/%zz",
            "bucket/%ff",
            "bucket/a%00",
            "B/k",
            "//key",
        ] {
            assert_eq!(
                CopySource::parse(header, VolumeName::s3v_ref()).expect_err(header).code(),
                S3ErrorCode::InvalidArgument,
                "{header}"
            );
        }
        assert_eq!(
            CopySource::parse("bucket/k?versionId=x", VolumeName::s3v_ref()).expect_err("no version").code(),
            S3ErrorCode::InvalidArgument
        );
    }

    proptest! {
        #[test]
        fn no_header_makes_the_parser_panic(header in "[/a-z%0-9?=+]{0,40}") {
            let _ = CopySource::parse(&header, VolumeName::s3v_ref());
        }
    }
}
