use std::collections::BTreeSet;

use http::{HeaderMap, HeaderValue, Uri, header};

use super::*;
use crate::request::Addressing;

fn ask(method: &str, target: &str, copy: bool) -> Result<S3Operation, S3ErrorCode> {
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, HeaderValue::from_static("h"));
    if copy {
        headers.insert("x-amz-copy-source", HeaderValue::from_static("/b/k"));
    }
    let uri: Uri = target.parse().expect("a target");
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    let head = RequestHead::parse(method, &uri, headers, &Addressing::default()).expect("a well-formed target");
    dispatch(&head).map_err(|error| error.code())
}

#[test]
fn requests_of_real_clients_find_their_operation() {
    for (method, target, operation) in [
        ("GET", "/", S3Operation::ListBuckets),
        ("GET", "/?x-id=ListBuckets", S3Operation::ListBuckets),
        ("GET", "/bucket", S3Operation::ListObjects),
        ("GET", "/bucket/?list-type=2&prefix=&delimiter=%2F&encoding-type=url", S3Operation::ListObjectsV2),
        ("GET", "/bucket?versions&max-keys=128", S3Operation::ListObjectVersions),
        ("GET", "/bucket?location", S3Operation::GetBucketLocation),
        ("GET", "/bucket?location=", S3Operation::GetBucketLocation),
        ("PUT", "/bucket", S3Operation::CreateBucket),
        ("HEAD", "/bucket", S3Operation::HeadBucket),
        ("DELETE", "/bucket", S3Operation::DeleteBucket),
        ("POST", "/bucket?delete", S3Operation::DeleteObjects),
        ("POST", "/bucket", S3Operation::PostObject),
        ("GET", "/bucket/key?response-content-type=text%2Fplain&versionId=null", S3Operation::GetObject),
        ("GET", "/bucket/key?X-Amz-Signature=00", S3Operation::GetObject),
        ("GET", "/bucket/key?partNumber=2", S3Operation::GetObject),
        ("PUT", "/bucket/key?x-id=PutObject", S3Operation::PutObject),
        ("DELETE", "/bucket/key?versionId=null", S3Operation::DeleteObject),
        ("POST", "/bucket/key?uploads", S3Operation::CreateMultipartUpload),
        ("PUT", "/bucket/key?partNumber=1&uploadId=x", S3Operation::UploadPart),
        ("POST", "/bucket/key?uploadId=x", S3Operation::CompleteMultipartUpload),
        ("DELETE", "/bucket/key?uploadId=x", S3Operation::AbortMultipartUpload),
        ("GET", "/bucket/key?uploadId=x", S3Operation::ListParts),
        ("GET", "/bucket?inventory", S3Operation::ListBucketInventoryConfigurations),
        ("GET", "/bucket?inventory&id=1", S3Operation::GetBucketInventoryConfiguration),
        ("OPTIONS", "/bucket/key", S3Operation::CorsPreflight),
        ("POST", "/bucket/key?select&select-type=2", S3Operation::SelectObjectContent),
        ("PUT", "/bucket/key?X-Amz-Signature=00&X-Amz-Date=x&x-id=PutObject", S3Operation::PutObject),
        ("GET", "/bucket/key?annotation", S3Operation::ListObjectAnnotations),
        ("GET", "/bucket/key?annotation&annotationName=a", S3Operation::GetObjectAnnotation),
        ("PUT", "/bucket/key?annotation&annotationName=a", S3Operation::PutObjectAnnotation),
        ("DELETE", "/bucket/key?annotation&annotationName=a&versionId=null", S3Operation::DeleteObjectAnnotation),
        ("PUT", "/bucket?metadataAnnotationTable", S3Operation::UpdateBucketMetadataAnnotationTableConfiguration),
    ] {
        assert_eq!(ask(method, target, false), Ok(operation), "{method} {target}");
    }
    assert_eq!(ask("PUT", "/bucket/key", true), Ok(S3Operation::CopyObject));
    assert_eq!(ask("PUT", "/bucket/key?partNumber=1&uploadId=x", true), Ok(S3Operation::UploadPartCopy));
}

#[test]
fn of_s3_control_there_is_the_block_on_public_access() {
    let ask = |method: &str, target: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("123456789012.h"));
        headers.insert("x-amz-account-id", HeaderValue::from_static("123456789012"));
        let uri: Uri = target.parse().expect("a target");
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let head = RequestHead::parse(method, &uri, headers, &Addressing::default()).expect("a well-formed target");
        dispatch(&head).map_err(|error| error.code())
    };
    let block = "/v20180820/configuration/publicAccessBlock";
    assert_eq!(ask("GET", block), Ok(S3Operation::GetAccountPublicAccessBlock));
    assert_eq!(ask("PUT", block), Ok(S3Operation::PutAccountPublicAccessBlock));
    assert_eq!(ask("DELETE", block), Ok(S3Operation::DeleteAccountPublicAccessBlock));
    let other = format!("{block}?futureThing");
    let unbuilt = [("PUT", other.as_str()), ("POST", block), ("DELETE", "/v20180820/bucket/b"), ("PUT", "/v20180820/jobs")];
    for (method, target) in unbuilt {
        assert_eq!(ask(method, target), Err(S3ErrorCode::NotImplemented), "{method} {target}");
    }
}

#[test]
fn a_sub_resource_never_falls_through_to_the_plain_operation() {
    assert_eq!(ask("DELETE", "/bucket?policy", false), Ok(S3Operation::DeleteBucketPolicy));
    for name in SUB_RESOURCES {
        for method in ["GET", "HEAD", "PUT", "POST", "DELETE"] {
            for path in ["/", "/bucket", "/bucket/key"] {
                let plain = ask(method, path, false);
                let asked = ask(method, &format!("{path}?{name}"), false);
                assert!(plain.is_err() || plain != asked, "{method} {path}?{name}");
            }
        }
    }
}

#[test]
fn a_write_with_a_query_that_nobody_knows_is_refused() {
    for (method, target) in [
        ("PUT", "/bucket?futureThing"),
        ("DELETE", "/bucket?futureThing=1"),
        ("PUT", "/bucket/key?futureThing&x-id=PutFutureThing"),
        ("DELETE", "/bucket/key?futureThing&versionId=null"),
        ("POST", "/bucket?delete&futureThing"),
        ("POST", "/bucket/key?uploads&futureThing"),
        ("PUT", "/bucket/key?uploadId=x&partNumber=1&futureThing"),
        ("DELETE", "/bucket/key?partNumber=1"),
    ] {
        assert_eq!(ask(method, target, false), Err(S3ErrorCode::NotImplemented), "{method} {target}");
    }
    assert_eq!(ask("GET", "/bucket/key?futureThing", false), Ok(S3Operation::GetObject));
}

#[test]
fn what_is_not_in_the_table_is_not_allowed() {
    for (method, target) in [
        ("POST", "/"),
        ("DELETE", "/"),
        ("PATCH", "/bucket"),
        ("get", "/bucket"),
        ("TRACE", "/bucket/key"),
        ("POST", "/bucket/key"),
        ("PUT", "/bucket/key?delete"),
        ("POST", "/bucket?acl"),
        ("HEAD", "/bucket/key?acl"),
        ("GET", "/?policy"),
    ] {
        assert_eq!(ask(method, target, false), Err(S3ErrorCode::MethodNotAllowed), "{method} {target}");
    }
}

#[test]
fn two_sub_resources_or_one_sent_twice_are_refused() {
    for (method, target) in [
        ("GET", "/bucket?acl&policy"),
        ("GET", "/bucket?acl&acl"),
        ("DELETE", "/bucket/key?uploadId=1&uploadId=2"),
        ("PUT", "/bucket/key?uploadId=x&partNumber=1&partNumber=2"),
        ("POST", "/bucket/key?uploads&uploadId=x"),
        ("PUT", "/bucket/key?partNumber=1"),
        ("PUT", "/bucket/key?versionId=null"),
        ("GET", "/bucket?list-type=1"),
    ] {
        assert_eq!(ask(method, target, false), Err(S3ErrorCode::InvalidArgument), "{method} {target}");
    }
}

#[test]
fn the_table_reaches_every_operation_and_no_request_has_two_rows() {
    let mut reached: BTreeSet<S3Operation> = TABLE.iter().map(|row| row.operation).collect();
    reached.extend([
        S3Operation::AppendObject,
        S3Operation::GetAccountPublicAccessBlock,
        S3Operation::PutAccountPublicAccessBlock,
        S3Operation::DeleteAccountPublicAccessBlock,
        S3Operation::CorsPreflight,
        S3Operation::CopyObject,
        S3Operation::UploadPartCopy,
        S3Operation::GetObjectAnnotation,
        S3Operation::GetBucketAnalyticsConfiguration,
        S3Operation::GetBucketIntelligentTieringConfiguration,
        S3Operation::GetBucketInventoryConfiguration,
        S3Operation::GetBucketMetricsConfiguration,
    ]);
    assert_eq!(reached.into_iter().collect::<Vec<_>>(), S3Operation::ALL);
    let keys: BTreeSet<_> = TABLE.iter().map(|row| (row.method, format!("{:?}", row.scope), row.sub_resource)).collect();
    assert_eq!(keys.len(), TABLE.len());
    for row in TABLE {
        assert!(row.sub_resource.is_none_or(|name| SUB_RESOURCES.contains(&name)), "{row:?}");
    }
}
