//! `ListBuckets`: the requester's own.

use gateway_core::listing::{self, ContinuationToken, PageStart};
use gateway_core::xml::{ListBucketsResult, ListedBucket, Owner};
use gateway_core::{S3Error, listing::ListBuckets as Asked};
use http::StatusCode;
use om_api::ListBucketsRejected;
use rpc::CallError;

use super::attributes::owner;
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::rejections::call_failed;
use crate::reply::{self, Reply};

pub(crate) struct ListBuckets(Asked);

impl Operation for ListBuckets {
    type Reply = ListBucketsResult;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        listing::ListBuckets::parse(request.query()).map(Self)
    }

    async fn run(self, cx: &mut OpContext) -> Result<ListBucketsResult, S3Error> {
        let Asked { prefix, max_buckets, region, .. } = &self.0;
        let request = om_api::ListBuckets {
            by: cx.by(),
            prefix: prefix.clone().unwrap_or_default(),
            after: self.0.start()?,
            limit: *max_buckets,
        };
        let page = match cx.om().list_buckets(cx.call(), request).await {
            Ok(page) => page,
            Err(CallError::Rejected(ListBucketsRejected::Denied(why))) => return Err(cx.denied(why)),
            Err(failure) => return Err(call_failed(&failure)),
        };
        let last = page.buckets.last().filter(|_| page.more).map(|bucket| bucket.name.as_str().to_owned());
        let listed = page.buckets.into_iter().map(|bucket| ListedBucket {
            name: bucket.name.as_str().to_owned(),
            created_at: bucket.created,
            region: Some(bucket.location.unwrap_or_else(|| cx.region().to_owned())),
        });
        // A page may be filtered to nothing and still have more behind it.
        let listed = listed.filter(|bucket| region.is_none() || bucket.region == *region);
        let nobody = || Owner { id: String::new(), display_name: String::new() };
        Ok(ListBucketsResult {
            owner: page.owner.as_ref().or_else(|| cx.user()).map_or_else(nobody, owner),
            buckets: listed.collect(),
            prefix: prefix.clone(),
            next_token: last.and_then(|name| ContinuationToken::encode(&PageStart::After(name), "")),
        })
    }

    fn render(result: ListBucketsResult) -> Reply {
        reply::xml(StatusCode::OK, result.to_xml())
    }
}
