//! Users, secrets, and what becomes of signatures when they change.

mod common;

use std::sync::Arc;

use common::*;
use om::{MasterKey, StartError};
use om_api::*;
use rpc::CallError;
use tempfile::TempDir;

#[tokio::test]
async fn a_revoked_key_is_unknown_at_the_next_call() {
    let dir = TempDir::new().expect("a folder");
    let node = Node::start(dir.path()).await;
    let root = node.ensure(ROOT, true).await;
    let ada = node.ensure("ada", false).await;
    node.create_bucket(&ada, "photos").await;
    let revoke = RevokeSecret { by: root, user: Some(UserId("ada".into())), access_key: None };
    node.om.revoke_secret(cx(), revoke).await.expect("an administrator may");
    let refused = node.look_up(&ada, "photos", "cat.jpg").await;
    assert_eq!(refused, Err(CallError::Rejected(LookupRejected::Denied(Denied::NoSuchAccessKey))));
    let unknown = node.om.signing_key(cx(), signing(&AccessKeyId("AKada".into()))).await;
    assert_eq!(unknown, Err(CallError::Rejected(SigningKeyRejected::NoSuchAccessKey)));
    node.check_invariants();
    node.stop().await;
}

#[tokio::test]
async fn a_signature_of_before_a_new_secret_is_stale() {
    let dir = TempDir::new().expect("a folder");
    let node = Node::start(dir.path()).await;
    let before = node.ensure("ada", false).await;
    node.create_bucket(&before, "photos").await;
    node.put(&before, "photos", "cat.jpg", 10).await;
    let key_before = node.om.signing_key(cx(), signing(&AccessKeyId("AKada".into()))).await.expect("known");

    node.ensure_with("ada", false, "another-secret").await;
    let stale = node.look_up(&before, "photos", "cat.jpg").await;
    assert_eq!(stale, Err(CallError::Rejected(LookupRejected::Denied(Denied::StaleCredential))));
    let key_after = node.om.signing_key(cx(), signing(&AccessKeyId("AKada".into()))).await.expect("known");
    assert_ne!(key_before.key, key_after.key);
    let after = node.signed("ada").await;
    assert!(node.look_up(&after, "photos", "cat.jpg").await.is_ok());
    node.stop().await;
}

#[tokio::test]
async fn ensuring_what_is_so_writes_nothing() {
    let dir = TempDir::new().expect("a folder");
    let node = Node::start(dir.path()).await;
    let ada = node.ensure("ada", false).await;
    let before = node.group.status().last_log;
    node.ensure_with("ada", false, "secret-of-ada").await;
    assert_eq!(node.group.status().last_log, before);
    assert_eq!(node.signed("ada").await, ada, "the secret's version stays, so signatures stay good");
    node.stop().await;
}

#[tokio::test]
async fn a_user_makes_their_own_secret_and_an_administrator_anybodys() {
    let dir = TempDir::new().expect("a folder");
    let node = Node::start(dir.path()).await;
    let root = node.ensure(ROOT, true).await;
    let bob = node.ensure("bob", false).await;
    let user = DisplayUser { id: UserId("eve".into()), display_name: "eve".into() };
    let eve = EnsureUser { user, email: None, is_admin: false, pair: None, volume: None };
    node.om.ensure_user(cx(), eve).await.expect("a good user");

    let for_eve = |by: &Requester| CreateSecret { by: by.clone(), user: Some(UserId("eve".into())), rotates: None, pair: None };
    let denied = node.om.create_secret(cx(), for_eve(&bob)).await;
    assert_eq!(denied, Err(CallError::Rejected(SecretRejected::Denied(Denied::AccessDenied))));
    let cx = cx();
    let issued = node.om.create_secret(cx.clone(), for_eve(&root)).await.expect("an administrator may");
    let again = node.om.create_secret(cx, for_eve(&root)).await.expect("a retry shows the first");
    assert_eq!(issued, again);
    let second = node.om.create_secret(common::cx(), for_eve(&root)).await;
    assert_eq!(second, Err(CallError::Rejected(SecretRejected::SecretExists)));

    let key = node.om.signing_key(common::cx(), signing(&issued.pair.access_key)).await.expect("known");
    let eve = Requester::signed(issued.pair.access_key, key.secret_version);
    let own = RevokeSecret { by: eve, user: None, access_key: None };
    node.om.revoke_secret(common::cx(), own).await.expect("one's own");
    assert_eq!(node.om.authorise_admin(common::cx(), root).await, Ok(()));
    let refused = node.om.authorise_admin(common::cx(), bob).await;
    assert_eq!(refused, Err(CallError::Rejected(Denied::AccessDenied)));
    node.stop().await;
}

#[tokio::test]
async fn a_configuration_neither_brings_back_a_revoked_key_nor_leaves_a_replaced_one() {
    let dir = TempDir::new().expect("a folder");
    let node = Node::start(dir.path()).await;
    let root = node.ensure(ROOT, true).await;
    let configured = |access_key: &str| EnsureUser {
        user: DisplayUser { id: UserId("eve".into()), display_name: "eve".into() },
        email: None,
        is_admin: false,
        pair: Some(KeyPair { access_key: AccessKeyId(access_key.into()), secret_key: SecretKey("long-enough".into()) }),
        volume: None,
    };
    let keys = async |access_key: &str| {
        let eve = node.om.ensure_user(cx(), configured(access_key)).await.expect("a good user");
        eve.access_keys.into_iter().map(|key| key.0).collect::<Vec<_>>()
    };
    assert_eq!(keys("FIRST").await, ["FIRST"]);
    assert_eq!(keys("SECOND").await, ["SECOND"]);
    assert!(node.om.signing_key(cx(), signing(&AccessKeyId("FIRST".into()))).await.is_err());

    let revoke = RevokeSecret { by: root, user: Some(UserId("eve".into())), access_key: None };
    node.om.revoke_secret(cx(), revoke).await.expect("there is one");
    let before = node.group.status().last_log;
    assert!(keys("SECOND").await.is_empty());
    assert_eq!(node.group.status().last_log, before, "nothing to change, nothing to write");
    assert!(node.om.signing_key(cx(), signing(&AccessKeyId("SECOND".into()))).await.is_err());
    assert_eq!(keys("THIRD").await, ["THIRD"]);
    node.stop().await;
}

#[tokio::test]
async fn names_that_would_break_a_key_or_a_log_line_are_refused() {
    let dir = TempDir::new().expect("a folder");
    let node = Node::start(dir.path()).await;
    let good = EnsureUser {
        user: DisplayUser { id: UserId("ada".into()), display_name: "Ada".into() },
        email: Some("ada@example.com".into()),
        is_admin: false,
        pair: Some(KeyPair { access_key: AccessKeyId("AKada".into()), secret_key: SecretKey("long-enough".into()) }),
        volume: None,
    };
    let with_id = |id: &str| EnsureUser { user: DisplayUser { id: UserId(id.into()), ..good.user.clone() }, ..good.clone() };
    let with_pair = |access_key: &str, secret: &str| EnsureUser {
        pair: Some(KeyPair { access_key: AccessKeyId(access_key.into()), secret_key: SecretKey(secret.into()) }),
        ..good.clone()
    };
    let email = EnsureUser { email: Some("nobody".into()), ..good.clone() };
    let bad = [with_id(""), with_id("a\0b"), with_id("a\nb"), with_pair("A/B", "long-enough"), with_pair("AKx", "short"), email];
    for request in bad {
        let outcome = node.om.ensure_user(cx(), request.clone()).await;
        assert!(matches!(outcome, Err(CallError::Rejected(EnsureUserRejected::Invalid(_)))), "{request:?}");
    }
    assert!(node.om.ensure_user(cx(), good).await.is_ok());
    node.stop().await;
}

#[tokio::test]
async fn secrets_lie_sealed_in_the_tables_and_another_master_key_is_noticed_at_the_start() {
    let dir = TempDir::new().expect("a folder");
    let node = Node::start(dir.path()).await;
    node.ensure_with("ada", false, "canary-secret-canary").await;
    node.stop().await;
    let mut found = Vec::new();
    search(dir.path(), b"canary-secret", &mut found);
    assert_eq!(found, Vec::<std::path::PathBuf>::new());

    let machine = om::open_machine(&dir.path().join("om")).expect("the tables open");
    drop(machine);
    let other = om::Config { master_key: MasterKey::new([8; 32]), ..config() };
    let outcome = Node::try_start(dir.path(), other, Arc::new(FakeScm::default())).await;
    assert!(matches!(outcome, Err(StartError::WrongMasterKey)));
}

fn search(dir: &std::path::Path, needle: &[u8], found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            search(&path, needle, found);
        } else if std::fs::read(&path).expect("readable").windows(needle.len()).any(|window| window == needle) {
            found.push(path);
        }
    }
}

#[tokio::test]
async fn a_signature_by_version_2_is_judged_where_the_secret_is() {
    use aws_lc_rs::hmac;
    let dir = TempDir::new().expect("a folder");
    let node = Node::start(dir.path()).await;
    let root = node.ensure(ROOT, true).await;
    let ada = node.ensure("ada", false).await;
    let claim = |access_key: &str, text: &str, secret: &str| {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
        let signature = hmac::sign(&key, b"GET\n\n\ndate\n/b/k").as_ref().try_into().expect("twenty bytes");
        let texts = vec![b"another form".to_vec().into(), text.as_bytes().to_vec().into()];
        SignatureV2 { access_key: AccessKeyId(access_key.into()), texts, signature }
    };
    let good = claim("AKada", "GET\n\n\ndate\n/b/k", "secret-of-ada");
    let signer = node.om.verify_v2(cx(), good.clone()).await.expect("the right secret");
    assert_eq!(signer.user.id, UserId("ada".into()));
    let by = Requester::signed(AccessKeyId("AKada".into()), signer.secret_version);
    assert_eq!(by, ada);
    for (bad, why) in [
        (claim("AKada", "GET\n\n\ndate\n/b/other", "secret-of-ada"), SignatureV2Rejected::Mismatch),
        (claim("AKada", "GET\n\n\ndate\n/b/k", "secret-of-eve"), SignatureV2Rejected::Mismatch),
        (claim("AKeve", "GET\n\n\ndate\n/b/k", "secret-of-eve"), SignatureV2Rejected::NoSuchAccessKey),
    ] {
        assert_eq!(node.om.verify_v2(cx(), bad).await, Err(CallError::Rejected(why)));
    }
    let revoke = RevokeSecret { by: root, user: Some(UserId("ada".into())), access_key: None };
    node.om.revoke_secret(cx(), revoke).await.expect("an administrator may");
    let revoked = node.om.verify_v2(cx(), good).await;
    assert_eq!(revoked, Err(CallError::Rejected(SignatureV2Rejected::NoSuchAccessKey)));
    node.stop().await;
}
