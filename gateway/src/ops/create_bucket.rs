//! `CreateBucket`.

use bucket_config::access::ObjectOwnership;
use gateway_core::payload::PayloadPlan;
use gateway_core::xml::{CreateBucketConfiguration, MAX_SMALL_BODY};
use gateway_core::{S3Error, S3ErrorCode};
use http::StatusCode;
use om_api::CreateBucketRejected;
use rpc::CallError;
use types::BucketPath;

use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::rejections::call_failed;
use crate::reply::{self, Reply};

/// A location is a label that is given back; it is no place.
const MAX_LOCATION: usize = 64;
const OWNERSHIP: &str = "x-amz-object-ownership";

fn wrong_ownership(text: &str) -> S3Error {
    S3Error::invalid_argument("Invalid x-amz-object-ownership header", OWNERSHIP, text)
}

pub(crate) struct CreateBucket {
    bucket: BucketPath,
    /// As the client wrote it.
    address: String,
    plan: PayloadPlan,
    object_lock: bool,
    ownership: Option<ObjectOwnership>,
}

impl Operation for CreateBucket {
    type Reply = String;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        let object_lock = match request.header("x-amz-bucket-object-lock-enabled")?.as_deref() {
            None => false,
            Some(text) if text.eq_ignore_ascii_case("true") => true,
            Some(text) if text.eq_ignore_ascii_case("false") => false,
            Some(other) => {
                let why = "The value must be true or false";
                return Err(S3Error::invalid_argument(why, "x-amz-bucket-object-lock-enabled", other));
            }
        };
        let ownership =
            request.header(OWNERSHIP)?.map(|text| ObjectOwnership::parse(&text).ok_or_else(|| wrong_ownership(&text)));
        let address = request.target.bucket.as_ref().map(ToString::to_string).unwrap_or_default();
        let (bucket, plan) = (request.bucket()?, request.bodyless_plan()?);
        Ok(Self { bucket, address, plan, object_lock, ownership: ownership.transpose()? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<String, S3Error> {
        let body = cx.read_document(self.plan, MAX_SMALL_BODY).await?;
        let location = CreateBucketConfiguration::parse(&body)?.location_constraint;
        if let Some(location) = location.as_deref()
            && (location.len() > MAX_LOCATION || !location.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
        {
            return Err(S3ErrorCode::InvalidLocationConstraint.into());
        }
        let request = om_api::CreateBucket {
            by: cx.by(),
            bucket: self.bucket.clone(),
            location,
            owner: None,
            object_lock: self.object_lock,
            ownership: self.ownership,
        };
        match cx.om().create_bucket(cx.call(), request).await {
            // Made again by its owner it is as it was; S3 has answered so since its first region.
            Ok(_) | Err(CallError::Rejected(CreateBucketRejected::OwnedByYou(_))) => Ok(self.address),
            Err(CallError::Rejected(CreateBucketRejected::Denied(why))) => Err(cx.denied(why)),
            Err(CallError::Rejected(CreateBucketRejected::Exists)) => {
                Err(S3Error::new(S3ErrorCode::BucketAlreadyExists).field("BucketName", self.bucket.name().as_str()))
            }
            Err(CallError::Rejected(CreateBucketRejected::NoSuchVolume)) => {
                let why = "The specified bucket is not valid: there is no such volume.";
                Err(S3Error::with_message(S3ErrorCode::InvalidBucketName, why).field("BucketName", self.bucket.to_string()))
            }
            Err(CallError::Rejected(CreateBucketRejected::AclWithoutAcls)) => {
                Err(S3ErrorCode::InvalidBucketAclWithObjectOwnership.into())
            }
            Err(CallError::Rejected(CreateBucketRejected::TooMany)) => Err(S3ErrorCode::TooManyBuckets.into()),
            Err(failure) => Err(call_failed(&failure)),
        }
    }

    fn render(address: String) -> Reply {
        let mut reply = reply::empty(StatusCode::OK);
        reply::set(reply.headers_mut(), "location", format!("/{address}"));
        reply
    }
}
