//! Ozone's native ACLs: what they give whom, and what stands above them.

use super::*;
use crate::rows::{CredentialHolder, NativeAcl, NativeEntry, NativeRights as Right, NativeScope, NativeWho, Principal};
use crate::{ChangeNativeAcl, NativeChange, NativePlace};

fn account(id: &str) -> NativeWho {
    NativeWho::User(Principal { account: UserId(id.into()), holder: CredentialHolder::Root })
}

impl Photos {
    fn give(&mut self, prefix: &str, who: NativeWho, rights: Right) -> &mut Self {
        let on = NativePlace::Prefix { bucket: self.bucket, prefix: prefix.into() };
        self.give_on(on, who, rights)
    }

    fn give_on(&mut self, on: NativePlace, who: NativeWho, rights: Right) -> &mut Self {
        let entries = vec![NativeEntry { who, rights, scope: NativeScope::Access }];
        self.om.apply(ChangeNativeAcl { on, change: NativeChange::Set(entries) }).expect("few entries");
        self
    }

    fn may_list(&self, id: &str, prefix: &str) -> bool {
        let query = [("prefix".to_owned(), prefix.to_owned())];
        let facts = Facts { query: &query, ..Facts::default() };
        self.ask(id, &facts, |scene| scene.allow(Permission::ListBucket, Target::Bucket).is_ok())
    }
}

/// Each right by itself, and what it gives of all that there is: nothing else.
#[test]
fn a_right_gives_what_it_says_and_nothing_else() {
    let of_bucket = |action: Permission| !matches!(action.scope(), crate::policy::Scope::Object);
    for (right, on_bucket, on_prefix) in [
        (Right::READ, 19, 10),
        (Right::WRITE, 12, 6),
        (Right::CREATE, 0, 0),
        (Right::LIST, 3, 0),
        (Right::DELETE, 1, 2),
        (Right::READ_ACL, 5, 2),
        (Right::WRITE_ACL, 5, 2),
        (Right::NONE, 0, 0),
    ] {
        let mut stage = Photos::new();
        stage.object("dir/cat", "ada", None);
        let count = |stage: &Photos| {
            let may = |action: &&Permission| {
                if of_bucket(**action) { stage.may("bob", **action) } else { stage.may_with("bob", **action, "dir/cat") }
            };
            let (bucket, object): (Vec<Permission>, Vec<Permission>) =
                Permission::ALL.iter().filter(may).partition(|action| of_bucket(**action));
            (bucket.len(), object.len())
        };
        assert_eq!(count(&stage), (0, 0));
        stage.give("", account("bob"), right);
        assert_eq!(count(&stage), (on_bucket, 0), "{right:?} on the bucket");
        stage.give("", account("ada"), right).give("dir/", account("bob"), right);
        assert_eq!(count(&stage), (0, on_prefix), "{right:?} on the prefix");
    }
}

#[test]
fn to_write_a_key_takes_the_right_to_make_and_the_right_to_replace() {
    let mut stage = Photos::new();
    let may = |stage: &Photos, name: &str| stage.may_at("bob", Permission::PutObject, name);
    for half in [Right::CREATE, Right::WRITE] {
        stage.give("", account("bob"), half);
        assert!(!may(&stage, "cat"));
    }
    stage.give("", account("bob"), Right::CREATE.and(Right::WRITE));
    assert!(may(&stage, "cat") && stage.may_at("bob", Permission::PutObjectTagging, "cat"));
    stage.give("", account("bob"), Right::CREATE).give("dir/", account("bob"), Right::WRITE);
    assert!(may(&stage, "dir/cat") && !may(&stage, "cat"), "the bucket and the prefix count together");
}

#[test]
fn the_longest_prefix_counts() {
    let mut stage = Photos::new();
    for (prefix, who) in [("a/", "bob"), ("a/b/c/", "cyd"), ("a/b0/", "cyd"), ("a0/", "cyd")] {
        stage.give(prefix, account(who), Right::DELETE);
    }
    let may = |name: &str| stage.may_at("bob", Permission::DeleteObject, name);
    for name in ["a/x", "a/b", "a/b/", "a/b/x", "a/b/c", "a/z/z"] {
        assert!(may(name), "{name}");
    }
    for name in ["a/b/c/", "a/b/c/d/e", "a/b0/x", "a", "b/x", "a0/x", ""] {
        assert!(name.is_empty() || !may(name), "{name}");
    }
}

#[test]
fn a_listing_takes_the_right_on_the_bucket_or_on_the_prefix_that_is_listed() {
    let mut stage = Photos::new();
    stage.give("dir/", account("bob"), Right::LIST);
    for (prefix, may) in [("dir/", true), ("dir/sub/", true), ("dir", false), ("", false)] {
        assert_eq!(stage.may_list("bob", prefix), may, "{prefix}");
    }
    stage.give("", account("bob"), Right::LIST);
    assert!(stage.may_list("bob", ""));
}

#[test]
fn everybody_is_everybody_unless_public_access_is_blocked() {
    for (who, anonymous) in [(NativeWho::World, false), (NativeWho::Anonymous, true)] {
        let mut stage = Photos::new();
        stage.give("", who, Right::LIST);
        assert!(stage.may("bob", Permission::ListBucket) && stage.is_public());
        assert_eq!(stage.may("nobody", Permission::ListBucket), anonymous);
        stage.block(PublicAccessBlock { ignore_public_acls: true, ..PublicAccessBlock::default() });
        assert!(!stage.may("bob", Permission::ListBucket) && !stage.may("nobody", Permission::ListBucket) && !stage.is_public());
    }
}

#[test]
fn a_policy_s_denial_stands_above_what_an_acl_gives() {
    let mut stage = Photos::new();
    stage.give("", account("bob"), Right::ALL);
    assert!(stage.may("bob", Permission::ListBucket));
    stage.policy(r#"{"Effect":"Deny","Principal":"*","Action":"s3:ListBucket","Resource":"arn:aws:s3:::photos"}"#);
    assert!(!stage.may("bob", Permission::ListBucket) && stage.may("bob", Permission::GetBucketTagging));
}

#[test]
fn what_another_wrote_is_not_the_bucket_s_to_give() {
    let mut stage = Photos::new();
    stage.give("", account("cyd"), Right::ALL).give("dir/", account("cyd"), Right::ALL);
    stage.object("dir/hers", "ada", None).object("dir/his", "bob", None);
    let may = |stage: &Photos, name| stage.may_with("cyd", Permission::GetObject, name);
    assert!(may(&stage, "dir/hers") && !may(&stage, "dir/his"));
    stage.ownership(ObjectOwnership::BucketOwnerEnforced);
    assert!(may(&stage, "dir/his"));
}

#[test]
fn an_object_s_own_acl_is_its_own() {
    let mut stage = Photos::new();
    stage.object("cat", "ada", None).object("dog", "ada", None);
    let on = NativePlace::Key { bucket: stage.bucket, key: key("cat"), version: types::VersionId::NULL };
    stage.give_on(on, account("bob"), Right::READ.and(Right::DELETE));
    let may = |action, name| stage.may_with("bob", action, name);
    assert!(may(Permission::GetObject, "cat") && !may(Permission::GetObject, "dog") && !may(Permission::PutObjectTagging, "cat"));
    let row = stage.object_row("cat");
    let (name, facts) = (key("cat"), Facts::default());
    let deletes = |target| stage.ask("bob", &facts, |scene| scene.allow(Permission::DeleteObject, target).is_ok());
    assert!(!deletes(Target::Key(&name)) && deletes(Target::Replaced(&name, &row)));
}

#[test]
fn an_acl_of_a_volume_gives_its_rights_to_whom_it_names() {
    let acl = |who, rights| NativeAcl { entries: vec![NativeEntry { who, rights, scope: NativeScope::Access }] };
    let may = |action, owner: Option<&str>, acl: &NativeAcl| {
        let owner = owner.map(|id| UserId(id.into()));
        may_with_volume(&who("bob"), action, owner.as_ref(), acl, &Facts::default()).is_ok()
    };
    let (get, put) = (OfVolumeAcl::Get, OfVolumeAcl::Put);
    let may_set = acl(account("bob"), Right::WRITE_ACL);
    assert!(may(put, None, &may_set) && may(get, Some("ada"), &may_set));
    let may_see = acl(account("bob"), Right::READ_ACL);
    assert!(may(get, None, &may_see) && !may(put, None, &may_see));
    let of_another = acl(account("ada"), Right::ALL);
    assert!(!may(get, None, &of_another) && !may(get, Some("ada"), &of_another) && may(put, Some("bob"), &of_another));
}
