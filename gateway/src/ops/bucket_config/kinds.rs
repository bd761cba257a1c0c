//! The kinds of which a document is all there is to say.

use bucket_config::{
    BucketTags, CorsConfiguration, EncryptionConfiguration, OwnershipControls, PublicAccessBlock, RequestPayment,
};
use http::StatusCode;

use super::{Integrity, PlainConfig};

impl PlainConfig for CorsConfiguration {
    const INTEGRITY: Integrity = Integrity::Required;
}

impl PlainConfig for BucketTags {
    const INTEGRITY: Integrity = Integrity::Required;
    const PUT_STATUS: StatusCode = StatusCode::NO_CONTENT;
}

impl PlainConfig for EncryptionConfiguration {}

impl PlainConfig for OwnershipControls {}

impl PlainConfig for PublicAccessBlock {}

impl PlainConfig for RequestPayment {}
