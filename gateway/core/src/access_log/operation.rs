//! What operations are called in access logs.

use crate::RequestHead;
use crate::dispatch::{S3Operation, SUB_RESOURCES};

/// After whose manner. Ceph's gateway calls some operations otherwise than S3, and tools made for its logs look for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OperationNames {
    #[default]
    S3,
    Rgw,
}

/// Of the record that a copy leaves in the log of its source.
pub const COPIED_OBJECT: &str = "REST.COPY.OBJECT_GET";
pub const COPIED_PART: &str = "REST.COPY.PART_GET";

/// Of the record that each key of a DeleteObjects leaves.
pub fn deletion_name(names: OperationNames) -> &'static str {
    match names {
        OperationNames::S3 => "BATCH.DELETE.OBJECT",
        OperationNames::Rgw => "REST.POST.DELETE_MULTI_OBJECT",
    }
}

/// `REST.method.resource`. The operation is not known of a request that was refused before that was looked at.
pub fn operation_name(head: &RequestHead, operation: Option<S3Operation>, names: OperationNames) -> String {
    let special = match (operation, names) {
        (Some(S3Operation::CopyObject), OperationNames::S3) => Some("REST.COPY.OBJECT"),
        (Some(S3Operation::UploadPartCopy), OperationNames::S3) => Some("REST.COPY.PART"),
        (Some(S3Operation::UploadPart | S3Operation::UploadPartCopy), _) => Some("REST.PUT.PART"),
        (Some(S3Operation::DeleteObjects), OperationNames::S3) => Some("REST.POST.MULTI_OBJECT_DELETE"),
        (Some(S3Operation::DeleteObjects), OperationNames::Rgw) => Some("REST.POST.DELETE_MULTI_OBJECT"),
        (Some(S3Operation::PostObject), _) => Some("REST.POST.OBJECT"),
        (Some(S3Operation::CorsPreflight), _) => Some("REST.OPTIONS.PREFLIGHT"),
        _ => None,
    };
    special.map_or_else(|| format!("REST.{}.{}", head.method, resource(head)), str::to_owned)
}

/// Of a visit to a bucket as a website.
pub fn website_name(head: &RequestHead) -> String {
    format!("WEBSITE.{}.OBJECT", head.method)
}

fn resource(head: &RequestHead) -> String {
    let sub_resource = SUB_RESOURCES.iter().find(|name| head.query().has(name));
    let whole = match (&head.target.bucket, &head.target.key) {
        (None, _) => "SERVICE",
        (Some(_), None) => "BUCKET",
        (Some(_), Some(_)) => "OBJECT",
    };
    match sub_resource.copied() {
        None | Some("list-type") => whole.to_owned(),
        Some("uploadId") => "UPLOAD".to_owned(),
        Some("versions") => "BUCKETVERSIONS".to_owned(),
        Some("policy") => "BUCKETPOLICY".to_owned(),
        Some("logging") => "LOGGING_STATUS".to_owned(),
        Some("tagging") if whole == "OBJECT" => "OBJECT_TAGGING".to_owned(),
        Some("object-lock") => "OBJECT_LOCK_CONFIGURATION".to_owned(),
        Some(name) => upper_snake(name),
    }
}

/// `publicAccessBlock` and `legal-hold` become `PUBLIC_ACCESS_BLOCK` and `LEGAL_HOLD`.
fn upper_snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 3);
    for c in name.chars() {
        match c {
            '-' => out.push('_'),
            c if c.is_ascii_uppercase() => out.extend(['_', c]),
            c => out.push(c.to_ascii_uppercase()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::dispatch;
    use crate::request::Addressing;
    use http::{HeaderMap, HeaderValue, Method, header};

    fn head(method: Method, target: &str, copies: bool) -> RequestHead {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("h"));
        if copies {
            headers.insert("x-amz-copy-source", HeaderValue::from_static("a/b"));
        }
        RequestHead::parse(method, &target.parse().expect("a target"), headers, &Addressing::default()).expect("well formed")
    }

    #[test]
    fn operations_are_called_as_in_s3() {
        for (method, target, expected) in [
            (Method::GET, "/", "REST.GET.SERVICE"),
            (Method::GET, "/bkt", "REST.GET.BUCKET"),
            (Method::GET, "/bkt?list-type=2", "REST.GET.BUCKET"),
            (Method::GET, "/bkt?versions", "REST.GET.BUCKETVERSIONS"),
            (Method::HEAD, "/bkt", "REST.HEAD.BUCKET"),
            (Method::GET, "/bkt?uploads", "REST.GET.UPLOADS"),
            (Method::PUT, "/bkt?versioning", "REST.PUT.VERSIONING"),
            (Method::PUT, "/bkt?policy", "REST.PUT.BUCKETPOLICY"),
            (Method::GET, "/bkt?logging", "REST.GET.LOGGING_STATUS"),
            (Method::PUT, "/bkt?publicAccessBlock", "REST.PUT.PUBLIC_ACCESS_BLOCK"),
            (Method::GET, "/bkt?tagging", "REST.GET.TAGGING"),
            (Method::POST, "/bkt?delete", "REST.POST.MULTI_OBJECT_DELETE"),
            (Method::POST, "/bkt", "REST.POST.OBJECT"),
            (Method::OPTIONS, "/bkt/k", "REST.OPTIONS.PREFLIGHT"),
            (Method::GET, "/bkt/k", "REST.GET.OBJECT"),
            (Method::HEAD, "/bkt/k?versionId=1", "REST.HEAD.OBJECT"),
            (Method::PUT, "/bkt/k", "REST.PUT.OBJECT"),
            (Method::PUT, "/bkt/k?tagging", "REST.PUT.OBJECT_TAGGING"),
            (Method::PUT, "/bkt/k?legal-hold", "REST.PUT.LEGAL_HOLD"),
            (Method::GET, "/bkt/k?acl", "REST.GET.ACL"),
            (Method::POST, "/bkt/k?uploads", "REST.POST.UPLOADS"),
            (Method::POST, "/bkt/k?uploadId=1", "REST.POST.UPLOAD"),
            (Method::DELETE, "/bkt/k?uploadId=1", "REST.DELETE.UPLOAD"),
            (Method::PUT, "/bkt/k?uploadId=1&partNumber=1", "REST.PUT.PART"),
        ] {
            let head = head(method, target, false);
            let operation = dispatch(&head).expect("S3 has it");
            assert_eq!(operation_name(&head, Some(operation), OperationNames::S3), expected, "{target}");
        }
        let refused = head(Method::PUT, "/bkt/k", false);
        assert_eq!(operation_name(&refused, None, OperationNames::S3), "REST.PUT.OBJECT");
    }

    #[test]
    fn copies_and_lists_of_deletions_are_called_as_in_cephs_gateway_if_that_is_wanted() {
        for (target, s3, rgw) in [
            ("/bkt/k", "REST.COPY.OBJECT", "REST.PUT.OBJECT"),
            ("/bkt/k?uploadId=1&partNumber=1", "REST.COPY.PART", "REST.PUT.PART"),
        ] {
            let head = head(Method::PUT, target, true);
            let operation = dispatch(&head).expect("S3 has it");
            assert_eq!(operation_name(&head, Some(operation), OperationNames::S3), s3);
            assert_eq!(operation_name(&head, Some(operation), OperationNames::Rgw), rgw);
        }
        let head = head(Method::POST, "/bkt?delete", false);
        let operation = Some(S3Operation::DeleteObjects);
        assert_eq!(operation_name(&head, operation, OperationNames::Rgw), "REST.POST.DELETE_MULTI_OBJECT");
    }
}
