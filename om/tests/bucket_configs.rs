//! What is set on a bucket: for whom, and what of it the gateway is told.

mod common;

use bucket_config::service::Payer;
use bucket_config::{BucketDocument, BucketTags, ConfigKind, CorsConfiguration, Invalid, RequestPayment};
use common::*;
use om_api::*;
use rpc::CallError;
use tempfile::TempDir;

async fn node() -> (TempDir, Node, Requester) {
    let dir = TempDir::new().expect("a folder");
    let node = Node::start(dir.path()).await;
    let ada = node.ensure("ada", false).await;
    node.create_bucket(&ada, "photos").await;
    (dir, node, ada)
}

async fn set(node: &Node, by: &Requester, name: &str, change: ConfigChange) -> Result<(), CallError<SetBucketConfigRejected>> {
    node.om.set_bucket_config(cx(), SetBucketConfig { by: by.clone(), bucket: bucket(name), change }).await
}

async fn get(
    node: &Node,
    by: &Requester,
    name: &str,
    kind: ConfigKind,
) -> Result<Option<BucketDocument>, CallError<BucketRejected>> {
    let request = GetBucketConfig { by: by.clone(), bucket: bucket(name), kind };
    node.om.get_bucket_config(cx(), request).await.map(|config| config.document)
}

fn put(document: impl Into<BucketDocument>) -> ConfigChange {
    ConfigChange::Put(Box::new(document.into()))
}

fn requester_pays() -> RequestPayment {
    RequestPayment { payer: Payer::Requester }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_and_administrators_set_and_see_it() {
    let (_dir, node, ada) = node().await;
    let bob = node.ensure("bob", false).await;
    let root = node.ensure(ROOT, true).await;
    for stranger in [&bob, &Requester::anonymous()] {
        let denied = set(&node, stranger, "photos", put(requester_pays())).await;
        assert!(matches!(denied, Err(CallError::Rejected(SetBucketConfigRejected::Denied(Denied::AccessDenied)))), "{denied:?}");
        let denied = set(&node, stranger, "photos", ConfigChange::Delete(ConfigKind::Tagging)).await;
        assert!(matches!(denied, Err(CallError::Rejected(SetBucketConfigRejected::Denied(Denied::AccessDenied)))), "{denied:?}");
        for kind in ConfigKind::ALL {
            let denied = get(&node, stranger, "photos", *kind).await;
            assert!(matches!(denied, Err(CallError::Rejected(BucketRejected::Denied(Denied::AccessDenied)))), "{denied:?}");
        }
    }
    for one_who_may in [&ada, &root] {
        set(&node, one_who_may, "photos", put(requester_pays())).await.expect("may be set");
        let document = get(&node, one_who_may, "photos", ConfigKind::RequestPayment).await.expect("may be seen");
        assert_eq!(document, Some(requester_pays().into()));
        set(&node, one_who_may, "photos", ConfigChange::Delete(ConfigKind::RequestPayment)).await.expect("may be taken away");
        assert_eq!(get(&node, one_who_may, "photos", ConfigKind::RequestPayment).await.expect("may be seen"), None);
    }
    let absent = set(&node, &ada, "nowhere", put(requester_pays())).await;
    assert!(matches!(absent, Err(CallError::Rejected(SetBucketConfigRejected::NoSuchBucket))), "{absent:?}");
    let absent = get(&node, &ada, "nowhere", ConfigKind::Cors).await;
    assert!(matches!(absent, Err(CallError::Rejected(BucketRejected::NoSuchBucket))), "{absent:?}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_s3_would_not_take_is_not_kept_whoever_sends_it() {
    let (_dir, node, ada) = node().await;
    let refused = set(&node, &ada, "photos", put(CorsConfiguration::default())).await;
    assert!(matches!(refused, Err(CallError::Rejected(SetBucketConfigRejected::Invalid(Invalid::Schema)))), "{refused:?}");
    assert_eq!(get(&node, &ada, "photos", ConfigKind::Cors).await.expect("may be seen"), None);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_is_told_what_it_asks_for_and_no_more() {
    let (_dir, node, ada) = node().await;
    set(&node, &ada, "photos", put(requester_pays())).await.expect("may be set");
    set(&node, &ada, "photos", put(BucketTags::default())).await.expect("may be set");
    let kinds = vec![ConfigKind::Cors, ConfigKind::RequestPayment];
    let request = GetBucketConduct { bucket: bucket("photos"), kinds };
    let conduct = node.om.bucket_conduct(cx(), request.clone()).await.expect("the bucket exists");
    assert_eq!(conduct.owner, UserId("ada".into()));
    assert_eq!(conduct.documents, [requester_pays().into()]);
    assert_eq!(conduct.document(), Some(requester_pays()));
    assert_eq!(conduct.document::<CorsConfiguration>(), None);
    let absent = node.om.bucket_conduct(cx(), GetBucketConduct { bucket: bucket("nowhere"), ..request }).await;
    assert!(matches!(absent, Err(CallError::Rejected(BucketConductRejected::NoSuchBucket))), "{absent:?}");
    node.stop().await;
}
