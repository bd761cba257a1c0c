//! Requester pays: whoever says that they pay is told whether they do.
//!
//! Who must say so is decided in the OM, with everything else. Only a request that says it costs the question whether its bucket, or
//! the one that it copies from, lets its requester pay.

use bucket_config::service::Payer;
use bucket_config::{ConfigKind, RequestPayment};
use gateway_core::RequestHead;
use gateway_core::copy_source::CopySource;
use om_api::{DisplayUser, GetBucketConduct};
use rpc::CallContext;
use tracing::debug;
use types::BucketPath;

use crate::context::{CallIds, Shared};
use crate::facts::pays;

/// Buckets of whose requests somebody may be charged, if it is asked for at all.
pub(super) fn buckets(head: &RequestHead) -> Vec<BucketPath> {
    if !pays(head) {
        return Vec::new();
    }
    let source = head.header("x-amz-copy-source").ok().flatten().and_then(|text| CopySource::parse(&text, head.home()).ok());
    head.bucket_path().into_iter().chain(source.map(|source| source.bucket)).collect()
}

/// Whether any of them charges this user. Nobody is charged for what the answer does not tell, so that not knowing is safe.
pub(super) async fn is_charged(shared: &Shared, ids: &CallIds, buckets: Vec<BucketPath>, user: Option<&DisplayUser>) -> bool {
    for bucket in buckets {
        let cx = CallContext::local(ids.next(), shared.config.om_timeout);
        let request = GetBucketConduct { bucket, kinds: vec![ConfigKind::RequestPayment] };
        match shared.om.bucket_conduct(cx, request).await {
            Ok(conduct) => {
                let charges = conduct.document::<RequestPayment>().is_some_and(|payment| payment.payer == Payer::Requester);
                if charges && user.is_some_and(|user| user.id != conduct.owner) {
                    return true;
                }
            }
            Err(error) => debug!(%error, "who pays is not known now"),
        }
    }
    false
}
