//! Gets and lists of what cannot be set here, so that no bucket has it: S3's answer for a bucket that has none.

use bucket_config::ConfigKind;
use gateway_core::S3Error;
use gateway_core::xml::configs::Unset;
use http::StatusCode;
use types::BucketPath;

use super::get_document;
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply};

async fn answer(cx: &OpContext, bucket: &BucketPath, question: Unset) -> Result<String, S3Error> {
    // The OM knows whether the bucket is there, and who may ask.
    get_document(cx, bucket, question.kind()).await?;
    question.answer()
}

macro_rules! unset {
    ($($name:ident => $question:ident $kind:ident;)*) => {$(
        pub(crate) struct $name {
            bucket: BucketPath,
        }

        impl Operation for $name {
            type Reply = String;

            fn parse(request: &S3Request) -> Result<Self, S3Error> {
                Ok(Self { bucket: request.bucket()? })
            }

            async fn run(self, cx: &mut OpContext) -> Result<String, S3Error> {
                answer(cx, &self.bucket, Unset::$question(ConfigKind::$kind)).await
            }

            fn render(document: String) -> Reply {
                reply::xml(StatusCode::OK, document)
            }
        }
    )*};
}

unset! {
    GetAnalytics => Get Analytics;
    GetAttributeAccess => Get AttributeAccess;
    GetIntelligentTiering => Get IntelligentTiering;
    GetInventory => Get Inventory;
    GetMetadata => Get Metadata;
    GetMetrics => Get Metrics;
    GetReplication => Get Replication;
    ListAnalytics => List Analytics;
    ListIntelligentTiering => List IntelligentTiering;
    ListInventory => List Inventory;
    ListMetrics => List Metrics;
}
