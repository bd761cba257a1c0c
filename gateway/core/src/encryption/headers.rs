//! Which operations take which headers of encryption.

use crate::dispatch::S3Operation;
use crate::error::{S3Error, S3ErrorCode};
use crate::request::RequestHead;

/// SSE-C's headers, behind one of the two prefixes below.
const CUSTOMER: &str = "x-amz-server-side-encryption-customer-";
const SOURCE: &str = "x-amz-copy-source-server-side-encryption-customer-";
/// Whatever else is said about encryption: how a new object is to be encrypted.
const WRITE: &str = "x-amz-server-side-encryption";

/// What an operation does with the headers that say how a new object is to be encrypted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Write {
    Obeys,
    /// Of parts: their upload has said it, and SDKs say it again.
    Ignores,
    Refuses,
}

struct Takes {
    write: Write,
    customer: bool,
    source: bool,
}

fn takes(operation: S3Operation) -> Takes {
    use S3Operation as S3;
    let (write, customer, source) = match operation {
        S3::PutObject | S3::AppendObject | S3::CreateMultipartUpload => (Write::Obeys, true, false),
        S3::CopyObject => (Write::Obeys, true, true),
        S3::UploadPart | S3::CompleteMultipartUpload => (Write::Ignores, true, false),
        S3::UploadPartCopy => (Write::Ignores, true, true),
        S3::GetObject | S3::HeadObject | S3::GetObjectAttributes | S3::ListParts => (Write::Refuses, true, false),
        _ => (Write::Refuses, false, false),
    };
    Takes { write, customer, source }
}

/// Refuses headers that the operation does not obey. What their values are worth is judged later, when it is known whether the
/// requester may do this at all.
pub fn check_headers(operation: S3Operation, head: &RequestHead) -> Result<(), S3Error> {
    let takes = takes(operation);
    for name in head.headers.keys().map(|name| name.as_str()) {
        let is_taken = if name.starts_with(SOURCE) {
            takes.source
        } else if name.starts_with(CUSTOMER) {
            takes.customer
        } else if name.starts_with(WRITE) {
            takes.write != Write::Refuses
        } else {
            continue;
        };
        if !is_taken {
            let message = format!("{name} header is not supported for this operation.");
            return Err(S3Error::with_message(S3ErrorCode::InvalidArgument, message).field("ArgumentName", name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Addressing;
    use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

    fn head(name: &'static str) -> RequestHead {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("h"));
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static("x"));
        RequestHead::parse(Method::PUT, &"/bucket/key".parse().expect("a target"), headers, &Addressing::default())
            .expect("well formed")
    }

    #[test]
    fn an_operation_takes_the_headers_that_it_obeys_and_no_others() {
        const SSE: &str = "x-amz-server-side-encryption";
        const KMS: &str = "x-amz-server-side-encryption-aws-kms-key-id";
        const OWN: &str = "x-amz-server-side-encryption-customer-algorithm";
        const OF_SOURCE: &str = "x-amz-copy-source-server-side-encryption-customer-key";
        use S3Operation as S3;
        for (operation, taken) in [
            (S3::PutObject, &[SSE, KMS, OWN][..]),
            (S3::CreateMultipartUpload, &[SSE, KMS, OWN]),
            (S3::CopyObject, &[SSE, KMS, OWN, OF_SOURCE]),
            (S3::UploadPart, &[SSE, KMS, OWN]),
            (S3::UploadPartCopy, &[SSE, KMS, OWN, OF_SOURCE]),
            (S3::CompleteMultipartUpload, &[SSE, KMS, OWN]),
            (S3::GetObject, &[OWN]),
            (S3::HeadObject, &[OWN]),
            (S3::GetObjectAttributes, &[OWN]),
            (S3::DeleteObject, &[]),
            (S3::PutBucketPolicy, &[]),
            (S3::ListObjectsV2, &[]),
        ] {
            for name in [SSE, KMS, OWN, OF_SOURCE, "x-amz-server-side-encryption-context"] {
                let expected = taken.contains(&name) || (name.ends_with("-context") && taken.contains(&SSE));
                let outcome = check_headers(operation, &head(name));
                assert_eq!(
                    outcome.as_ref().map_err(S3Error::code),
                    if expected { Ok(&()) } else { Err(S3ErrorCode::InvalidArgument) },
                    "{operation} {name}"
                );
            }
        }
        assert!(check_headers(S3::DeleteObject, &head("x-amz-meta-a")).is_ok());
    }
}
