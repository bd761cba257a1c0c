//! Accounts with a volume of their own: what they see, and what nobody else learns of it.

mod common;

use common::{Node, bucket, cx, signing, wanted};
use om_api::{
    AccessKeyId, BucketInfo, BucketPurpose, BucketRejected, CreateBucket, CreateBucketRejected, Denied, EnsureUser,
    EnsureUserRejected, GetBucket, ListBuckets, Om, Requester,
};
use rpc::CallError;
use types::VolumeName;

async fn tenant(node: &Node, id: &str) -> Requester {
    let volume = Some(VolumeName::parse(id).expect("legal"));
    node.om.ensure_user(cx(), EnsureUser { volume, ..wanted(id, "long-enough") }).await.expect("a new account");
    node.signed(id).await
}

async fn create(node: &Node, by: &Requester, path: &str) -> Result<BucketInfo, CallError<CreateBucketRejected>> {
    let bucket = bucket(path);
    let request = CreateBucket { by: by.clone(), bucket, location: None, owner: None, object_lock: false, ownership: None };
    node.om.create_bucket(cx(), request).await
}

async fn listed(node: &Node, by: &Requester) -> Vec<String> {
    let request = ListBuckets { by: by.clone(), prefix: String::new(), after: None, limit: 100 };
    let page = node.om.list_buckets(cx(), request).await.expect("anybody may");
    page.buckets.iter().map(|bucket| format!("{}:{}", bucket.volume, bucket.name)).collect()
}

#[tokio::test]
async fn a_key_tells_where_its_account_is_at_home() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    tenant(&node, "red").await;
    node.ensure("ada", false).await;
    let volume_of = async |id: &str| {
        let key = AccessKeyId(format!("AK{id}"));
        node.om.signing_key(cx(), signing(&key)).await.expect("a known key").volume
    };
    assert_eq!(volume_of("red").await, Some(VolumeName::parse("red").expect("legal")));
    assert_eq!(volume_of("ada").await, None);
    // As a configuration does that says another thing than before.
    let elsewhere = EnsureUser { volume: Some(VolumeName::s3v()), ..wanted("red", "long-enough") };
    let refused = node.om.ensure_user(cx(), elsewhere).await;
    assert!(matches!(refused, Err(CallError::Rejected(EnsureUserRejected::VolumeFixed(volume))) if volume.as_str() == "red"));
    let numbered = EnsureUser { volume: VolumeName::parse("123456789012").ok(), ..wanted("blue", "long-enough") };
    let refused = node.om.ensure_user(cx(), numbered).await;
    assert!(matches!(refused, Err(CallError::Rejected(EnsureUserRejected::Invalid(_)))));
    node.stop().await;
}

#[tokio::test]
async fn names_are_free_in_every_volume_and_only_administrators_place_buckets_elsewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(folder.path()).await;
    let (red, blue) = (tenant(&node, "red").await, tenant(&node, "blue").await);
    let (ada, root) = (node.ensure("ada", false).await, node.ensure("root", true).await);
    for (by, path) in [(&ada, "data"), (&red, "red:data"), (&blue, "blue:data")] {
        create(&node, by, path).await.expect(path);
    }
    let denied = |made: Result<BucketInfo, _>| matches!(made, Err(CallError::Rejected(CreateBucketRejected::Denied(_))));
    // Whether or not it is there: the answer is the same.
    for (by, path) in [(&red, "blue:data"), (&red, "blue:new"), (&red, "data"), (&ada, "red:data"), (&ada, "red:new")] {
        assert!(denied(create(&node, by, path).await), "{path}");
    }
    let nowhere = create(&node, &root, "green:new").await;
    assert!(matches!(nowhere, Err(CallError::Rejected(CreateBucketRejected::NoSuchVolume))));
    create(&node, &root, "red:placed").await.expect("an administrator may");
    assert_eq!(listed(&node, &red).await, ["red:data"]);
    assert_eq!(listed(&node, &blue).await, ["blue:data"]);
    assert_eq!(listed(&node, &ada).await, ["s3v:data"]);
    let get = async |by: &Requester, path| {
        let request = GetBucket { by: by.clone(), bucket: bucket(path), purpose: BucketPurpose::Head };
        node.om.get_bucket(cx(), request).await.map(|found| found.owner.id.0)
    };
    assert_eq!(get(&red, "red:data").await, Ok("red".to_owned()));
    assert_eq!(get(&root, "blue:data").await, Ok("blue".to_owned()));
    for (by, path) in [(&red, "data"), (&red, "blue:data"), (&ada, "red:data"), (&red, "red:placed")] {
        assert_eq!(get(by, path).await, Err(CallError::Rejected(BucketRejected::Denied(Denied::AccessDenied))), "{path}");
    }
    assert_eq!(get(&red, "red:absent").await, Err(CallError::Rejected(BucketRejected::NoSuchBucket)));
    node.check_invariants();
    node.stop().await;
}
