//! Scenes around one bucket, and who may what in them.

mod logs;
mod members;
mod native;
mod payers;
mod tenants;

use std::net::IpAddr;

use bucket_config::access::ObjectOwnership;
use bucket_config::{BucketAcl, BucketDocument, BucketPolicy, OwnershipControls, PublicAccessBlock};
use types::{
    Acl, AclGroup, AclPermission, AclRequest, BucketId, BucketName, BucketPath, CannedAcl, Grant, GrantRequest, Grantee,
    GranteeName, ObjectKey, Timestamp,
};

use super::*;
use crate::namespace;
use crate::policy::Permission;
use crate::rows::{self, AccessKeyRow, BucketRow, KeyRow, UploadRow};
use crate::rows::{UserId, UserRow};
use crate::tables::{ACCESS_KEYS, UPLOADS};
use crate::testing::{Namespace, key};
use crate::{ConfigChange, SetBucketConfig, UpdateVersion, VersionChange};
use Permission::*;

/// Ada's bucket `photos`, in which Bob and the others ask.
struct Photos {
    om: Namespace,
    bucket: BucketId,
}

fn user(id: &str) -> UserRow {
    UserRow {
        id: UserId(id.into()),
        display_name: id.into(),
        email: None,
        is_admin: id == "root",
        created: Timestamp(1),
        number: None,
        is_governed: None,
        block: None,
        volume: None,
    }
}

fn who(id: &str) -> Identity {
    if id == "nobody" { Identity::Anonymous } else { Identity::User(user(id)) }
}

fn canned(acl: CannedAcl) -> AclRequest {
    AclRequest::Canned(acl)
}

impl Photos {
    fn new() -> Self {
        let mut om = Namespace::with_users(["ada", "bob", "root"]);
        let bucket = om.create_bucket("ada", "photos");
        Self { om, bucket }
    }

    fn set(&mut self, document: impl Into<BucketDocument>) -> &mut Self {
        let now = self.om.now();
        let change = ConfigChange::Put(Box::new(document.into()));
        self.om.apply(SetBucketConfig { bucket: self.bucket, change, now }).expect("the bucket is there");
        self
    }

    fn policy(&mut self, statements: &str) -> &mut Self {
        let text = format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#);
        self.set(BucketPolicy { text, binds_owner: false })
    }

    fn bucket_acl(&mut self, acl: CannedAcl) -> &mut Self {
        let owner = UserId("ada".into());
        let acl = bucket_acl(&self.om.tables, Some(&canned(acl)), &owner).expect("memory").expect("it names nobody unknown");
        self.set(BucketAcl { acl: acl.unwrap_or_else(|| Acl::private("ada")) })
    }

    fn block(&mut self, block: PublicAccessBlock) -> &mut Self {
        self.set(block)
    }

    fn ownership(&mut self, ownership: ObjectOwnership) -> &mut Self {
        self.set(OwnershipControls { ownership })
    }

    /// An object of somebody's with an ACL.
    fn object(&mut self, name: &str, owner: &str, acl: Option<CannedAcl>) -> &mut Self {
        let session = self.om.open(self.bucket, [1]);
        let owner = UserId(owner.into());
        let ada = UserId("ada".into());
        let request = acl.map(canned);
        let acl = object_acl(&self.om.tables, request.as_ref(), &owner, &ada).expect("memory").expect("known users");
        let commit = crate::CommitKey { owner: Some(owner), acl, ..self.om.commit_of(session, name, [(1, 10)]) };
        self.om.apply(commit).expect("a good commit");
        self
    }

    fn row(&self) -> BucketRow {
        namespace::bucket(&self.om.tables, self.bucket).expect("memory").expect("it is there")
    }

    fn ask<T>(&self, id: &str, facts: &Facts<'_>, question: impl FnOnce(&Scene<'_>) -> T) -> T {
        self.scene(&who(id), facts, question)
    }

    fn scene<T>(&self, identity: &Identity, facts: &Facts<'_>, question: impl FnOnce(&Scene<'_>) -> T) -> T {
        let bucket = self.row();
        let guard = Guard::load(&self.om.tables, &bucket).expect("it can be read");
        let owner = namespace::user(&self.om.tables, &bucket.owner).expect("memory").expect("there is one");
        let account_block = owner.block.unwrap_or_default();
        question(&Scene { identity, facts, bucket: &bucket, guard: &guard, account_block })
    }

    fn is_public(&self) -> bool {
        self.ask("ada", &Facts::default(), |scene| scene.is_public())
    }

    fn may(&self, id: &str, action: Permission) -> bool {
        self.ask(id, &Facts::default(), |scene| scene.allow(action, Target::Bucket).is_ok())
    }

    fn may_at(&self, id: &str, action: Permission, name: &str) -> bool {
        self.ask(id, &Facts::default(), |scene| scene.allow(action, Target::Key(&key(name))).is_ok())
    }

    fn may_with(&self, id: &str, action: Permission, name: &str) -> bool {
        self.may_knowing(id, action, name, &Facts::default())
    }

    fn may_knowing(&self, id: &str, action: Permission, name: &str, facts: &Facts<'_>) -> bool {
        let row = self.object_row(name);
        self.ask(id, facts, |scene| scene.allow(action, Target::Object(&key(name), &row)).is_ok())
    }

    fn object_row(&self, name: &str) -> KeyRow {
        self.om.current(self.bucket, name).expect("it is there")
    }

    fn written(&self, id: &str, acl: Option<&AclRequest>) -> Result<Written, Denied> {
        let facts = Facts { acl, ..Facts::default() };
        self.ask(id, &facts, |scene| scene.written(&self.om.tables).expect("memory"))
    }
}

const ALLOW_GET: &str = r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"}"#;
const ALLOW_ALL: &str =
    r#"{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::photos","arn:aws:s3:::photos/*"]}"#;
const DENY_ALL: &str =
    r#"{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::photos","arn:aws:s3:::photos/*"]}"#;

#[test]
fn a_bucket_is_for_its_owner_and_for_administrators() {
    let mut photos = Photos::new();
    photos.object("cat", "ada", None);
    for id in ["ada", "root"] {
        assert!(photos.may(id, PutBucketPolicy) && photos.may_at(id, PutObject, "cat") && photos.may_with(id, GetObject, "cat"));
    }
    for id in ["bob", "nobody"] {
        assert!(!photos.may(id, ListBucket) && !photos.may_at(id, PutObject, "cat") && !photos.may_with(id, GetObject, "cat"));
    }
    let system = Identity::System;
    let (bucket, facts, guard) = (photos.row(), Facts::default(), Guard::default());
    let scene =
        Scene { identity: &system, facts: &facts, bucket: &bucket, guard: &guard, account_block: PublicAccessBlock::default() };
    assert_eq!(scene.allow(DeleteBucket, Target::Bucket), Ok(()));
}

#[test]
fn a_bucket_s_acl_is_about_the_bucket_and_an_object_s_about_the_object() {
    let mut photos = Photos::new();
    photos.object("private", "ada", None).object("public", "ada", Some(CannedAcl::PublicRead));
    assert!(photos.may_with("nobody", GetObject, "public") && photos.may_with("bob", GetObjectVersion, "public"));
    assert!(!photos.may("nobody", ListBucket), "a readable object opens no bucket");
    photos.bucket_acl(CannedAcl::PublicReadWrite);
    assert!(
        photos.may("nobody", ListBucket) && photos.may_at("nobody", PutObject, "new") && photos.may_at("bob", DeleteObject, "x")
    );
    assert!(!photos.may_with("nobody", GetObject, "private"), "an open bucket opens no object");
    for action in [GetBucketAcl, PutBucketAcl, GetBucketPolicy, DeleteBucket] {
        assert!(!photos.may("bob", action), "{action}");
    }
    for action in [GetObjectAcl, PutObjectAcl, GetObjectTagging, PutObjectTagging] {
        assert!(!photos.may_with("bob", action, "public"), "{action}");
    }
    assert!(!photos.may_at("bob", DeleteObjectVersion, "public"), "what is kept for good is the owner's to end");
}

#[test]
fn whoever_signs_is_authenticated_and_nobody_is_not() {
    let mut photos = Photos::new();
    photos.bucket_acl(CannedAcl::AuthenticatedRead);
    assert!(photos.may("bob", ListBucket));
    assert!(!photos.may("nobody", ListBucket));
}

#[test]
fn a_grant_is_for_the_permission_that_it_names() {
    let granted = |permission| {
        let mut photos = Photos::new();
        let grant = Grant { grantee: Grantee::User("bob".into()), permission };
        photos.set(BucketAcl { acl: Acl { grants: vec![grant] } });
        [ListBucket, PutObject, GetBucketAcl, PutBucketAcl].map(|action| photos.may("bob", action))
    };
    assert_eq!(granted(AclPermission::Read), [true, false, false, false]);
    assert_eq!(granted(AclPermission::Write), [false, true, false, false]);
    assert_eq!(granted(AclPermission::ReadAcp), [false, false, true, false]);
    assert_eq!(granted(AclPermission::WriteAcp), [false, false, false, true]);
    assert_eq!(granted(AclPermission::FullControl), [true; 4]);
}

#[test]
fn an_owner_is_not_kept_out_by_an_acl_without_grants() {
    let mut photos = Photos::new();
    photos.set(BucketAcl { acl: Acl::default() });
    assert!(photos.may("ada", PutBucketAcl) && photos.may("ada", ListBucket));
    assert!(!photos.may("bob", ListBucket));
}

#[test]
fn an_object_is_its_writer_s_and_its_bucket_s_owner_may_delete_it() {
    let mut photos = Photos::new();
    photos.object("bobs", "bob", None);
    assert!(photos.may_with("bob", GetObject, "bobs") && photos.may_with("bob", PutObjectAcl, "bobs"));
    assert!(!photos.may_with("ada", GetObject, "bobs") && !photos.may_with("ada", GetObjectAcl, "bobs"));
    assert!(photos.may_at("ada", DeleteObject, "bobs") && !photos.may_at("bob", DeleteObject, "bobs"));
    photos.policy(ALLOW_GET);
    assert!(!photos.may_with("nobody", GetObject, "bobs"), "a bucket's policy gives away only what is the bucket owner's");
    photos.policy(DENY_ALL);
    assert!(!photos.may_with("bob", GetObject, "bobs"), "and keeps from everything");
    photos.ownership(ObjectOwnership::BucketOwnerEnforced).policy(ALLOW_GET);
    assert!(
        photos.may_with("ada", GetObject, "bobs") && photos.may_with("nobody", GetObject, "bobs"),
        "it is the bucket owner's now"
    );
}

#[test]
fn a_policy_lets_in_and_keeps_out_the_owner_too() {
    let mut photos = Photos::new();
    photos.object("cat", "ada", Some(CannedAcl::PublicRead)).policy(ALLOW_GET);
    assert!(photos.may_with("nobody", GetObject, "cat") && photos.may_with("bob", GetObject, "cat"));
    photos.policy(DENY_ALL);
    for id in ["ada", "bob", "nobody", "root"] {
        assert!(!photos.may_with(id, GetObject, "cat") && !photos.may(id, ListBucket), "{id}");
    }
    for action in [GetBucketPolicy, PutBucketPolicy, DeleteBucketPolicy] {
        assert!(photos.may("ada", action) && photos.may("root", action), "an owner can change it back: {action}");
        assert!(!photos.may("bob", action));
    }
    let text = format!(r#"{{"Version":"2012-10-17","Statement":[{DENY_ALL}]}}"#);
    photos.set(BucketPolicy { text, binds_owner: true });
    assert!(!photos.may("ada", DeleteBucketPolicy), "who gave that up is kept out");
}

#[test]
fn a_policy_is_asked_with_what_is_known() {
    let mut photos = Photos::new();
    photos.object("cat", "ada", None);
    let tags = vec![("security".to_owned(), "public".to_owned())];
    let now = photos.om.now();
    let change = VersionChange::Tags(tags);
    let tagged = UpdateVersion { origin: None, judged: None, bucket: photos.bucket, key: key("cat"), version: None, change, now };
    photos.om.apply(tagged).expect("it is there");
    let allow = |condition: &str| {
        format!(
            r#"{{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::photos/*","Condition":{condition}}}"#
        )
    };
    let headers =
        [("x-amz-acl", "private"), ("referer", "https://a.example/"), ("x-amz-object-lock-retain-until-date", "1970-01-03")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let query = [("versionId".to_owned(), "null".to_owned())];
    let request_tags = [("team".to_owned(), "x".to_owned())];
    let facts = Facts {
        now: Timestamp(86_400_001),
        source: Some(IpAddr::from([203, 0, 113, 7])),
        is_secure: true,
        tls_version: Some("1.3"),
        region: Some("eu-1"),
        auth_type: Some(AuthType::Query),
        signature_version: Some("AWS4-HMAC-SHA256"),
        signature_age: Some(types::Millis(5000)),
        headers: &headers,
        query: &query,
        tags: &request_tags,
        ..Facts::default()
    };
    for condition in [
        r#"{"StringEquals":{"s3:ExistingObjectTag/security":"public"}}"#,
        r#"{"StringEquals":{"s3:RequestObjectTag/team":"x"}}"#,
        r#"{"ForAllValues:StringEquals":{"s3:RequestObjectTagKeys":"team"}}"#,
        r#"{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}"#,
        r#"{"Bool":{"aws:SecureTransport":"true"}}"#,
        r#"{"NumericGreaterThanEquals":{"s3:TlsVersion":"1.2"}}"#,
        r#"{"StringEquals":{"aws:RequestedRegion":"eu-1"}}"#,
        r#"{"StringEquals":{"s3:authType":"REST-QUERY-STRING"}}"#,
        r#"{"StringEquals":{"s3:signatureversion":"AWS4-HMAC-SHA256"}}"#,
        r#"{"NumericLessThan":{"s3:signatureAge":"5001"}}"#,
        r#"{"StringEquals":{"s3:x-amz-acl":"private"}}"#,
        r#"{"StringLike":{"aws:Referer":"https://a.example/*"}}"#,
        r#"{"StringEquals":{"s3:VersionId":"null"}}"#,
        r#"{"NumericEquals":{"s3:object-lock-remaining-retention-days":"1"}}"#,
        r#"{"DateLessThan":{"aws:CurrentTime":"1970-01-03"}}"#,
        r#"{"NumericEquals":{"aws:EpochTime":"86400"}}"#,
        r#"{"StringEquals":{"aws:PrincipalArn":"arn:aws:iam::bob:root"}}"#,
        r#"{"StringEquals":{"aws:PrincipalAccount":"bob","aws:PrincipalType":"Account","aws:userid":"bob"}}"#,
        r#"{"StringEquals":{"s3:ResourceAccount":"ada","aws:ResourceAccount":"ada"}}"#,
        r#"{"Null":{"aws:username":"true","s3:prefix":"true","aws:TokenIssueTime":"true"}}"#,
    ] {
        photos.policy(&allow(condition));
        assert!(photos.may_knowing("bob", GetObject, "cat", &facts), "{condition}");
    }
    photos.policy(&allow(r#"{"StringEquals":{"aws:PrincipalType":"Anonymous"}}"#));
    assert!(photos.may_knowing("nobody", GetObject, "cat", &facts));
    assert!(!photos.may_knowing("bob", GetObject, "cat", &facts));
}

#[test]
fn no_header_says_who_somebody_is() {
    let mut photos = Photos::new();
    photos.object("cat", "ada", None).policy(
        r#"{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"aws:userid":"ada"}}}"#,
    );
    let headers = [("aws:userid", "ada"), ("userid", "ada"), ("aws:principalarn", "arn:aws:iam::ada:root")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let facts = Facts { headers: &headers, ..Facts::default() };
    assert!(!photos.may_knowing("bob", GetObject, "cat", &facts));
}

#[test]
fn an_absent_key_is_absent_to_those_who_could_list_it() {
    let mut photos = Photos::new();
    let knows = |photos: &Photos, id: &str, name: &str| {
        photos.ask(id, &Facts::default(), |scene| scene.may_know_absence(GetObject, &key(name)))
    };
    assert!(knows(&photos, "ada", "gone") && !knows(&photos, "bob", "gone"));
    photos.policy(
        r#"{"Effect":"Allow","Principal":"*","Action":"s3:ListBucket","Resource":"arn:aws:s3:::photos",
            "Condition":{"StringLike":{"s3:prefix":"public/*"}}}"#,
    );
    assert!(knows(&photos, "bob", "public/gone") && !knows(&photos, "bob", "private/gone"));
    photos.bucket_acl(CannedAcl::PublicRead);
    assert!(knows(&photos, "nobody", "private/gone"));
    photos.policy(r#"{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"*"}"#);
    assert!(!knows(&photos, "nobody", "gone"), "who may not read it at all learns nothing");
}

#[test]
fn a_block_ignores_public_acls_and_bounds_public_policies() {
    let mut photos = Photos::new();
    photos.object("cat", "ada", Some(CannedAcl::PublicRead)).bucket_acl(CannedAcl::PublicReadWrite);
    photos.block(PublicAccessBlock { ignore_public_acls: true, ..PublicAccessBlock::default() });
    assert!(!photos.may("bob", ListBucket) && !photos.may_with("nobody", GetObject, "cat"));
    photos.policy(ALLOW_ALL).block(PublicAccessBlock { restrict_public_buckets: true, ..PublicAccessBlock::default() });
    assert!(!photos.may_with("nobody", GetObject, "cat") && !photos.may("bob", ListBucket), "not even by an ACL");
    assert!(photos.may_with("ada", GetObject, "cat") && photos.may("root", ListBucket));
    photos.policy(r#"{"Effect":"Allow","Principal":{"AWS":"bob"},"Action":"s3:*","Resource":"*"}"#);
    assert!(photos.may("bob", ListBucket), "a policy for somebody is not public");
}

#[test]
fn a_block_refuses_new_public_acls() {
    let mut photos = Photos::new();
    photos.block(PublicAccessBlock { block_public_acls: true, ..PublicAccessBlock::default() });
    for acl in [CannedAcl::PublicRead, CannedAcl::PublicReadWrite, CannedAcl::AuthenticatedRead] {
        assert_eq!(photos.written("ada", Some(&canned(acl))), Err(Denied::AccessDenied));
        let set = photos.ask("ada", &Facts::default(), |scene| {
            scene.new_acl(&photos.om.tables, &canned(acl), &UserId("ada".into())).expect("memory")
        });
        assert_eq!(set, Err(Denied::AccessDenied));
    }
    assert!(photos.written("ada", Some(&canned(CannedAcl::Private))).is_ok());
}

#[test]
fn what_is_written_is_the_writer_s_unless_the_bucket_says_otherwise() {
    let mut photos = Photos::new();
    let full_control = canned(CannedAcl::BucketOwnerFullControl);
    let private = canned(CannedAcl::Private);
    let owner = |written: Result<Written, Denied>| written.map(|written| written.owner.0);
    let both = Acl {
        grants: ["bob", "ada"]
            .map(|id| Grant { grantee: Grantee::User(id.into()), permission: AclPermission::FullControl })
            .to_vec(),
    };
    for ownership in [None, Some(ObjectOwnership::ObjectWriter)] {
        if let Some(ownership) = ownership {
            photos.ownership(ownership);
        }
        assert_eq!(owner(photos.written("bob", None)), Ok("bob".into()));
        let given = photos.written("bob", Some(&full_control)).expect("allowed");
        assert_eq!((given.owner.0.as_str(), given.acl), ("bob", Some(both.clone())));
    }
    assert_eq!(owner(photos.written("nobody", None)), Ok("ada".into()));
    assert_eq!(owner(photos.written("root", None)), Ok("ada".into()), "an administrator writes for the owner");

    photos.ownership(ObjectOwnership::BucketOwnerPreferred);
    assert_eq!(owner(photos.written("bob", None)), Ok("bob".into()));
    assert_eq!(owner(photos.written("bob", Some(&private))), Ok("bob".into()));
    assert_eq!(photos.written("bob", Some(&full_control)), Ok(Written { owner: UserId("ada".into()), acl: None }));

    photos.ownership(ObjectOwnership::BucketOwnerEnforced);
    assert_eq!(owner(photos.written("bob", None)), Ok("ada".into()));
    assert_eq!(owner(photos.written("bob", Some(&full_control))), Ok("ada".into()));
    assert_eq!(photos.written("bob", Some(&private)), Err(Denied::AclNotSupported));
    let by_grant = |id: &str| {
        let grantee = GranteeName::Id(id.into());
        AclRequest::Grants(vec![GrantRequest { grantee, permission: AclPermission::FullControl }])
    };
    assert_eq!(owner(photos.written("bob", Some(&by_grant("ada")))), Ok("ada".into()));
    assert_eq!(photos.written("bob", Some(&by_grant("bob"))), Err(Denied::AclNotSupported));
}

#[test]
fn without_acls_those_that_are_there_say_nothing() {
    let mut photos = Photos::new();
    photos.object("cat", "bob", Some(CannedAcl::PublicRead)).bucket_acl(CannedAcl::PublicRead);
    photos.ownership(ObjectOwnership::BucketOwnerEnforced);
    assert!(!photos.may("bob", ListBucket) && !photos.may_with("bob", GetObject, "cat"));
    let row = photos.object_row("cat");
    let shown = photos.ask("ada", &Facts::default(), |scene| (scene.acl_of(&row), scene.guard.acl(scene.bucket)));
    assert_eq!(shown, ((UserId("ada".into()), Acl::private("ada")), Acl::private("ada")));
}

#[test]
fn a_canned_acl_shows_groups_first_and_the_owner_last() {
    let photos = Photos::new();
    let (ada, bob) = (UserId("ada".into()), UserId("bob".into()));
    let of = |canned: CannedAcl, owner: &UserId| {
        let acl = object_acl(&photos.om.tables, Some(&AclRequest::Canned(canned)), owner, &ada).expect("memory").expect("known");
        acl.map(|acl| {
            let grant = |grant: &Grant| match &grant.grantee {
                Grantee::User(id) => format!("{id} {}", grant.permission.as_str()),
                Grantee::Group(AclGroup::AllUsers) => format!("all {}", grant.permission.as_str()),
                Grantee::Group(AclGroup::AuthenticatedUsers) => format!("signed {}", grant.permission.as_str()),
                Grantee::Group(AclGroup::LogDelivery) => format!("log {}", grant.permission.as_str()),
            };
            acl.grants.iter().map(grant).collect::<Vec<_>>().join(", ")
        })
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(of(CannedAcl::Private, &bob), None);
    assert_eq!(of(CannedAcl::PublicRead, &bob), text("all READ, bob FULL_CONTROL"));
    assert_eq!(of(CannedAcl::PublicReadWrite, &bob), text("all READ, all WRITE, bob FULL_CONTROL"));
    assert_eq!(of(CannedAcl::AuthenticatedRead, &bob), text("signed READ, bob FULL_CONTROL"));
    assert_eq!(of(CannedAcl::BucketOwnerRead, &bob), text("bob FULL_CONTROL, ada READ"));
    assert_eq!(of(CannedAcl::BucketOwnerFullControl, &bob), text("bob FULL_CONTROL, ada FULL_CONTROL"));
    assert_eq!(of(CannedAcl::BucketOwnerFullControl, &ada), None);
    assert_eq!(of(CannedAcl::LogDeliveryWrite, &ada), text("log WRITE, log READ_ACP, ada FULL_CONTROL"));
}

#[test]
fn grantees_have_to_be_there() {
    let mut om = Namespace::with_users(["ada"]);
    let bob = crate::EnsureUser { email: Some("Bob@Example.com".into()), ..om.account("bob") };
    om.apply(bob).expect("a new user");
    let ada = UserId("ada".into());
    let resolve = |grantee| {
        let request = AclRequest::Grants(vec![GrantRequest { grantee, permission: AclPermission::Read }]);
        bucket_acl(&om.tables, Some(&request), &ada)
            .expect("memory")
            .map(|acl| acl.expect("not private").grants.remove(0).grantee)
    };
    assert_eq!(resolve(GranteeName::Id("bob".into())), Ok(Grantee::User("bob".into())));
    assert_eq!(resolve(GranteeName::Email("bob@example.com".into())), Ok(Grantee::User("bob".into())));
    assert_eq!(resolve(GranteeName::Id("eve".into())), Err(Denied::UnknownGrantee));
    assert_eq!(resolve(GranteeName::Email("eve@example.com".into())), Err(Denied::UnknownEmail));
    let nobody = AclRequest::Grants(Vec::new());
    assert_eq!(bucket_acl(&om.tables, Some(&nobody), &ada).expect("memory"), Ok(Some(Acl::default())));
}

#[test]
fn what_a_write_says_besides_its_bytes_is_a_right_of_its_own() {
    let mut photos = Photos::new();
    let put = r#"{"Effect":"Allow","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::photos/*"}"#;
    photos.policy(put);
    let may = |photos: &Photos, facts: &Facts<'_>| photos.ask("bob", facts, |scene| scene.allow_write(&key("new"))).is_ok();
    let (tags, acl) = ([("a".to_owned(), "b".to_owned())], canned(CannedAcl::PublicRead));
    let header = |name: &str| [(name.to_owned(), "x".to_owned())];
    let (mode, hold) = (header("x-amz-object-lock-mode"), header("x-amz-object-lock-legal-hold"));
    let plain = Facts::default();
    let tagged = Facts { tags: &tags, ..Facts::default() };
    let locked = [Facts { headers: &mode, ..Facts::default() }, Facts { headers: &hold, ..Facts::default() }];
    let granting = Facts { acl: Some(&acl), ..Facts::default() };
    assert!(may(&photos, &plain) && !may(&photos, &tagged) && !locked.iter().any(|facts| may(&photos, facts)));
    assert!(may(&photos, &granting), "an ACL goes with the object");
    photos.policy(&format!(
        r#"{put},{{"Effect":"Allow","Principal":"*","Action":["s3:PutObjectTagging","s3:PutObjectRetention","s3:PutObjectLegalHold"],"Resource":"*"}},
        {{"Effect":"Deny","Principal":"*","Action":"s3:PutObjectAcl","Resource":"*"}}"#
    ));
    assert!(may(&photos, &tagged) && locked.iter().all(|facts| may(&photos, facts)));
    assert!(!may(&photos, &granting), "unless that is forbidden");
}

#[test]
fn who_began_an_upload_may_look_at_it_and_give_it_up() {
    let mut photos = Photos::new();
    let at = photos.om.create_upload(photos.bucket, "big");
    let upload: UploadRow = rows::get(&photos.om.tables, UPLOADS, &rows::upload_key(&at)).expect("memory").expect("it is there");
    let upload = UploadRow { initiator: UserId("bob".into()), ..upload };
    let may = |photos: &Photos, id: &str, action| {
        photos.ask(id, &Facts::default(), |scene| scene.allow(action, Target::Upload(&key("big"), &upload)).is_ok())
    };
    for action in [ListMultipartUploadParts, AbortMultipartUpload] {
        assert!(may(&photos, "bob", action) && may(&photos, "ada", action) && !may(&photos, "nobody", action));
    }
    assert!(!may(&photos, "bob", PutObject));
    photos.policy(DENY_ALL);
    assert!(!may(&photos, "bob", AbortMultipartUpload));
}

#[test]
fn a_guard_is_its_bucket_s_until_something_of_it_changes() {
    let mut photos = Photos::new();
    assert_eq!(photos.row().guarded, None);
    assert!(Guard::default().is_of(&photos.row()));
    photos.policy(ALLOW_GET);
    let guard = Guard::load(&photos.om.tables, &photos.row()).expect("it can be read");
    assert!(guard.is_of(&photos.row()) && photos.is_public() && !Guard::default().is_of(&photos.row()));
    photos.set(bucket_config::BucketTags::default());
    assert!(guard.is_of(&photos.row()), "tags let nobody in");
    let now = photos.om.now();
    let change = ConfigChange::Delete(bucket_config::ConfigKind::Policy);
    photos.om.apply(SetBucketConfig { bucket: photos.bucket, change, now }).expect("the bucket is there");
    assert!(!guard.is_of(&photos.row()));
    assert!(!photos.is_public());
}

#[test]
fn a_policy_that_cannot_be_read_opens_nothing() {
    let mut photos = Photos::new();
    photos.set(BucketPolicy { text: "{".into(), binds_owner: false });
    let guard = Guard::load(&photos.om.tables, &photos.row()).expect("it can be read");
    assert!(guard.unreadable().is_some() && !photos.is_public());
    for who in ["ada", "bob", "root", ""] {
        assert!(!photos.may_at(who, GetObject, "k") && !photos.may(who, ListBucket), "{who}");
    }
    assert!(photos.may("ada", PutBucketPolicy) && photos.may("root", DeleteBucketPolicy) && !photos.may("bob", GetBucketPolicy));
}

#[test]
fn a_bucket_is_public_by_its_policy_or_its_acl() {
    let mut photos = Photos::new();
    assert!(!photos.is_public());
    photos.bucket_acl(CannedAcl::AuthenticatedRead);
    assert!(photos.is_public());
    photos.block(PublicAccessBlock { ignore_public_acls: true, ..PublicAccessBlock::default() });
    assert!(!photos.is_public());
    photos.policy(ALLOW_GET);
    assert!(photos.is_public());
}

#[test]
fn what_the_account_blocks_is_blocked_in_all_its_buckets() {
    let mut photos = Photos::new();
    photos.object("cat", "ada", Some(CannedAcl::PublicRead));
    assert!(photos.may_with("nobody", GetObject, "cat"));
    let ada = UserId("ada".into());
    let block = |block| crate::SetAccountBlock { account: ada.clone(), block: Some(block) };
    // Nothing was ever set on the bucket itself.
    photos.om.apply(block(PublicAccessBlock { ignore_public_acls: true, ..PublicAccessBlock::default() })).expect("Ada's");
    assert!(!photos.may_with("nobody", GetObject, "cat") && !photos.may_with("bob", GetObject, "cat"));
    assert!(photos.may_with("ada", GetObject, "cat"));
    photos.om.apply(block(PublicAccessBlock { block_public_acls: true, ..PublicAccessBlock::default() })).expect("Ada's");
    assert!(photos.may_with("nobody", GetObject, "cat"), "what is there stays");
    assert_eq!(photos.written("ada", Some(&canned(CannedAcl::PublicRead))), Err(Denied::AccessDenied));
    photos.policy(ALLOW_GET).block(PublicAccessBlock { ignore_public_acls: true, ..PublicAccessBlock::default() });
    assert!(photos.may_at("bob", GetObject, "cat"));
    photos.om.apply(block(PublicAccessBlock { restrict_public_buckets: true, ..PublicAccessBlock::default() })).expect("Ada's");
    assert!(!photos.may_at("bob", GetObject, "cat") && photos.may_at("ada", GetObject, "cat"));
    let both = photos.ask("ada", &Facts::default(), |scene| scene.block());
    assert!(both.ignore_public_acls && both.restrict_public_buckets && !both.block_public_acls);
}

#[test]
fn a_requester_may_name_the_owner_they_expect() {
    let photos = Photos::new();
    let expects = |expected_owner| {
        let facts = Facts { expected_owner, ..Facts::default() };
        photos.ask("bob", &facts, |scene| scene.is_expected())
    };
    assert!(expects(None) && expects(Some("ada")) && !expects(Some("bob")) && !expects(Some("")));
}

#[test]
fn what_decided_can_be_told() {
    let mut photos = Photos::new();
    photos.policy(r#"{"Sid":"Closed","Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"*"}"#);
    let told = photos.ask("bob", &Facts::default(), |scene| {
        let cat = ObjectKey::parse("cat").expect("legal");
        (scene.explain(GetObject, Target::Key(&cat)), scene.explain(PutObject, Target::Key(&cat)))
    });
    assert_eq!(told.0, "s3:GetObject: explicitly denied by statement 1 (Closed) of the resource policy photos");
    assert_eq!(told.1, "s3:PutObject: no resource policy allows it");
}

#[test]
fn users_reach_their_own_secrets_and_no_list_of_users() {
    let ada = who("ada");
    let name = BucketPath::of_s3v(BucketName::parse("photos").expect("legal"));
    let (own, other) = (UserId("ada".into()), UserId("bob".into()));
    assert_eq!(administer(&ada, AdminAction::RevokeSecret, Some(&own), &Facts::default()), Ok(()));
    assert_eq!(administer(&ada, AdminAction::RevokeSecret, Some(&other), &Facts::default()), Err(Denied::AccessDenied));
    for action in [AdminAction::ListUsers, AdminAction::PlaceBucket(&name), AdminAction::Administer] {
        assert_eq!(administer(&ada, action, None, &Facts::default()), Err(Denied::AccessDenied));
        assert_eq!(administer(&who("root"), action, None, &Facts::default()), Ok(()));
    }
    assert_eq!(administer(&Identity::Anonymous, AdminAction::ListBuckets, None, &Facts::default()), Ok(()));
    assert_eq!(
        administer(&Identity::Anonymous, AdminAction::CreateBucket(&name), None, &Facts::default()),
        Err(Denied::AccessDenied)
    );
}

#[test]
fn what_decided_about_no_bucket_can_be_told() {
    let path = BucketPath::of_s3v(BucketName::parse("photos").expect("legal"));
    let told = |id: &str, action| explain(&who(id), action, &Facts::default());
    assert_eq!(told("ada", AdminAction::ListUsers), "trioxide:ListUsers: it is for administrators of the cluster");
    assert_eq!(
        explain(&Identity::Anonymous, AdminAction::CreateBucket(&path), &Facts::default()),
        "s3:CreateBucket: it is for those who sign"
    );
}

#[test]
fn a_credential_is_good_only_under_the_secret_that_verified_it() {
    let mut om = Namespace::with_users(["ada"]);
    let row = AccessKeyRow {
        user: UserId("ada".into()),
        sealed: vec![1],
        secret_version: 7,
        created: Timestamp(1),
        origin: None,
        holder: None,
        is_inactive: None,
    };
    rows::put(&mut om.tables, ACCESS_KEYS, b"AK", &row);
    let signed = |key: &str, secret_version| Requester::Signed { access_key: AccessKeyId(key.into()), secret_version };
    let identify = |requester| identify(&om.tables, &requester, Timestamp(1), &Unkept).expect("memory");
    assert!(matches!(identify(signed("AK", 7)), Ok(Identity::User(user)) if user.id.0 == "ada"));
    assert_eq!(identify(signed("AK", 6)), Err(Denied::StaleCredential));
    assert_eq!(identify(signed("AX", 7)), Err(Denied::NoSuchAccessKey));
}
