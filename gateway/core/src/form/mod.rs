//! Uploads by a browser's form: `multipart/form-data`, a policy that its author signed, and the file.
//!
//! In this order: [`FormDecoder`] takes the fields in front of the file off the body, bounded in size, and then gives the file's
//! bytes as they come. [`Form`] is what the fields say. [`FormSignature`] says who signed the policy; [`Policy`] holds the fields
//! and the file's length against it. What is left is a `PutObject`: [`Form::to_put`] makes the head of one, so that a form and a
//! PUT cannot come to mean different things.

mod decoder;
mod disposition;
mod fields;
mod json;
mod policy;
mod signature;
mod success;

pub use decoder::{FormDecoder, FormFile};
pub use fields::Form;
pub use policy::{LengthRange, Policy, Posted};
pub use signature::{FormSignature, PolicyV2, PolicyV4};
pub use success::SuccessAction;

use crate::error::{S3Error, S3ErrorCode};

/// A field that must be there.
fn missing_field(name: &'static str) -> S3Error {
    let why =
        format!("Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields.");
    S3Error::invalid_argument(why, name, "")
}

fn malformed(why: &'static str) -> S3Error {
    S3Error::with_message(S3ErrorCode::MalformedPOSTRequest, why)
}

#[cfg(test)]
mod tests;
