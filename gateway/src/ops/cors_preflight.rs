//! The preflight of a browser (`OPTIONS`): whether a page may make the request that it is about to make. Nobody signs it.

use gateway_core::{S3Error, S3ErrorCode};
use http::{HeaderMap, StatusCode};
use types::BucketPath;

use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply};
use crate::service::cors::{CrossOrigin, rules};

pub(crate) struct CorsPreflight {
    bucket: BucketPath,
    from: CrossOrigin,
}

impl Operation for CorsPreflight {
    type Reply = HeaderMap;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        let insufficient = |what: &str| {
            let why = format!("Insufficient information. {what} request header needed.");
            S3Error::with_message(S3ErrorCode::BadRequest, why)
        };
        let from = CrossOrigin::of(&request.method, &request.headers).ok_or_else(|| insufficient("Origin"))?;
        if from.method.is_none() {
            return Err(insufficient("Access-Control-Request-Method"));
        }
        Ok(Self { bucket: request.bucket()?, from })
    }

    async fn run(self, cx: &mut OpContext) -> Result<HeaderMap, S3Error> {
        let Some(rules) = rules(&cx.shared, &cx.ids, &self.bucket).await? else {
            return Err(S3Error::with_message(S3ErrorCode::BadRequest, "CORSResponse: CORS is not enabled for this bucket."));
        };
        let found = self.from.allowed_by(&rules).ok_or_else(|| S3Error::new(S3ErrorCode::AccessForbidden))?;
        let mut headers = HeaderMap::new();
        self.from.write(found, &mut headers);
        Ok(headers)
    }

    fn render(headers: HeaderMap) -> Reply {
        let mut reply = reply::empty(StatusCode::OK);
        reply.headers_mut().extend(headers);
        reply
    }
}
