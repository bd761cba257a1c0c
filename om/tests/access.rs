//! Who is let in, as it changes: what was set a moment ago counts in the next call.

mod common;

use bucket_config::access::ObjectOwnership;
use bucket_config::{BucketPolicy, ConfigKind, OwnershipControls, PublicAccessBlock};
use common::*;
use om_api::*;
use rpc::CallError;
use tempfile::TempDir;
use types::{AclRequest, CannedAcl};

const READ: &str =
    r#"{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::photos/*"}]}"#;

struct Photos {
    node: Node,
    ada: Requester,
    bob: Requester,
    dir: TempDir,
}

impl Photos {
    async fn new() -> Self {
        let dir = TempDir::new().expect("a folder");
        let node = Node::start(dir.path()).await;
        let (ada, bob) = (node.ensure("ada", false).await, node.ensure("bob", false).await);
        node.create_bucket(&ada, "photos").await;
        node.put(&ada, "photos", "cat", 10).await;
        Self { node, ada, bob, dir }
    }

    async fn set(&self, by: &Requester, change: ConfigChange) -> Result<(), CallError<SetBucketConfigRejected>> {
        let request = SetBucketConfig { by: by.clone(), bucket: bucket("photos"), change };
        self.node.om.set_bucket_config(cx(), request).await
    }

    async fn policy(&self, text: &str) {
        let policy = BucketPolicy { text: text.into(), binds_owner: false };
        self.set(&self.ada, ConfigChange::Put(Box::new(policy.into()))).await.expect("a good policy");
    }

    async fn take_away(&self, kind: ConfigKind) {
        self.set(&self.ada, ConfigChange::Delete(kind)).await.expect("the owner may");
    }

    async fn acl(&self, of: AclOf, canned: CannedAcl) {
        let (by, acl) = (self.ada.clone(), AclRequest::Canned(canned));
        let request = SetAcl { by, bucket: bucket("photos"), of, acl, owner: None };
        self.node.om.set_acl(cx(), request).await.expect("the owner may");
    }

    async fn reads(&self, who: &Requester) -> bool {
        match self.node.look_up(who, "photos", "cat").await {
            Ok(_) => true,
            Err(CallError::Rejected(LookupRejected::Denied(Denied::AccessDenied))) => false,
            other => panic!("{other:?}"),
        }
    }

    async fn lists(&self, who: &Requester) -> bool {
        match self.node.om.list_keys(cx(), list(who, "photos")).await {
            Ok(_) => true,
            Err(CallError::Rejected(ListRejected::Denied(Denied::AccessDenied))) => false,
            other => panic!("{other:?}"),
        }
    }
}

fn of_cat() -> AclOf {
    AclOf::Object { key: key("cat"), version: None }
}

fn denied<T>(outcome: &Result<T, CallError<impl std::fmt::Debug>>) -> bool {
    matches!(outcome, Err(CallError::Rejected(why)) if format!("{why:?}") == "Denied(AccessDenied)")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_counts_in_the_next_call_and_no_longer_when_it_is_gone() {
    let photos = Photos::new().await;
    for _ in 0..20 {
        assert!(!photos.reads(&photos.bob).await);
        photos.policy(READ).await;
        assert!(photos.reads(&photos.bob).await && photos.reads(&Requester::anonymous()).await);
        photos.policy(&READ.replace("Allow", "Deny")).await;
        assert!(!photos.reads(&photos.bob).await && !photos.reads(&photos.ada).await);
        photos.take_away(ConfigKind::Policy).await;
        assert!(photos.reads(&photos.ada).await);
    }
    photos.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acls_ownership_and_the_block_count_at_once() {
    let photos = Photos::new().await;
    photos.acl(of_cat(), CannedAcl::PublicRead).await;
    assert!(photos.reads(&photos.bob).await && !photos.lists(&photos.bob).await);
    photos.acl(AclOf::Bucket, CannedAcl::PublicRead).await;
    assert!(photos.lists(&photos.bob).await);

    let block = PublicAccessBlock { ignore_public_acls: true, ..PublicAccessBlock::default() };
    photos.set(&photos.ada, ConfigChange::Put(Box::new(block.into()))).await.expect("the owner may");
    assert!(!photos.reads(&photos.bob).await && !photos.lists(&photos.bob).await);
    photos.take_away(ConfigKind::PublicAccessBlock).await;
    assert!(photos.reads(&photos.bob).await && photos.lists(&photos.bob).await);

    photos.acl(AclOf::Bucket, CannedAcl::Private).await;
    let enforced = OwnershipControls { ownership: ObjectOwnership::BucketOwnerEnforced };
    photos.set(&photos.ada, ConfigChange::Put(Box::new(enforced.into()))).await.expect("the bucket's ACL is private");
    assert!(!photos.reads(&photos.bob).await);
    photos.take_away(ConfigKind::OwnershipControls).await;
    assert!(photos.reads(&photos.bob).await);
    photos.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_set_is_there_after_a_restart() {
    let photos = Photos::new().await;
    photos.policy(READ).await;
    photos.acl(AclOf::Bucket, CannedAcl::PublicRead).await;
    let Photos { node, ada, bob, dir } = photos;
    node.stop().await;
    let photos = Photos { node: Node::start(dir.path()).await, ada, bob, dir };
    assert!(photos.reads(&photos.bob).await && photos.lists(&photos.bob).await);
    photos.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_to_write_ends_between_opening_and_committing() {
    let photos = Photos::new().await;
    let put = READ.replace("GetObject", "PutObject");
    photos.policy(&put).await;
    let opened = photos.node.open(&photos.bob, "photos", "dog").await;
    photos.take_away(ConfigKind::Policy).await;
    let late = photos.node.om.commit_key(cx(), commit(&photos.bob, &opened, "photos", "dog", 10)).await;
    assert!(denied(&late), "{late:?}");
    photos.policy(&put).await;
    let committed = photos.node.om.commit_key(cx(), commit(&photos.bob, &opened, "photos", "dog", 10)).await;
    committed.expect("the session is still his");
    photos.node.check_invariants();
    photos.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn to_try_etags_is_to_read() {
    let photos = Photos::new().await;
    photos.policy(&READ.replace(r#""s3:GetObject""#, r#"["s3:PutObject", "s3:DeleteObject"]"#)).await;
    let open = |condition: WriteCondition, at: &'static str| {
        let (by, bucket) = (photos.bob.clone(), bucket("photos"));
        let request = OpenKey {
            by,
            bucket,
            key: key(at),
            size: Some(1),
            condition,
            locks: false,
            encryption: None,
            storage_class: None,
            appends_to: None,
        };
        photos.node.om.open_key(cx(), request)
    };
    for condition in [WriteCondition::IfMatch(etag(1)), WriteCondition::IfMatch(etag(9)), WriteCondition::IfNoneMatch(etag(9))] {
        let refused = open(condition, "cat").await;
        assert!(denied(&refused), "{refused:?}");
    }
    open(WriteCondition::IfPresent, "cat").await.expect("says no more than whether it is there");
    let absent = open(WriteCondition::IfMatch(etag(1)), "absent").await;
    assert!(matches!(absent, Err(CallError::Rejected(OpenKeyRejected::NoSuchKey))), "{absent:?}");

    let conditional = KeyDeletion { if_size: Some(10), ..KeyDeletion::of(key("cat")) };
    let deletions = vec![conditional.clone(), KeyDeletion::of(key("absent"))];
    let request = DeleteKeys { by: photos.bob.clone(), bucket: bucket("photos"), deletions };
    let outcomes = photos.node.om.delete_keys(cx(), request).await.expect("the bucket is there");
    assert!(matches!(outcomes[..], [Err(DeleteKeyRejected::Denied(_)), Ok(_)]), "{outcomes:?}");
    let request = DeleteKey { by: photos.bob.clone(), bucket: bucket("photos"), deletion: conditional };
    let refused = photos.node.om.delete_key(cx(), request).await;
    assert!(denied(&refused), "{refused:?}");

    photos.acl(of_cat(), CannedAcl::PublicRead).await;
    open(WriteCondition::IfMatch(etag(1)), "cat").await.expect("he may read it");
    photos.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_says_of_itself_decides_and_is_never_taken_from_another() {
    let photos = Photos::new().await;
    let from_home = r#"{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::photos/*",
        "Condition": {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}, "StringEquals": {"aws:Referer": "home"}}}]}"#;
    photos.policy(from_home).await;
    let context = |source: &str, referer: &str| RequestContext {
        source: Some(source.parse().expect("an address")),
        headers: vec![("referer".into(), referer.into())],
        ..RequestContext::default()
    };
    let as_bob = |context| photos.bob.clone().with_context(context);
    assert!(photos.reads(&as_bob(context("203.0.113.7", "home"))).await);
    assert!(!photos.reads(&as_bob(context("198.51.100.7", "home"))).await);
    assert!(!photos.reads(&as_bob(context("203.0.113.7", "elsewhere"))).await);
    assert!(!photos.reads(&photos.bob).await, "nothing is known of it");
    let expecting = RequestContext { expected_owner: Some("bob".into()), ..RequestContext::default() };
    assert!(!photos.reads(&photos.ada.clone().with_context(expecting)).await, "the bucket is ada's");
    photos.node.stop().await;
}
