//! Users and sessions: what their policies take away holds for what comes along with a call, too.

use std::sync::Arc;

use types::VolumeName;

use super::*;
use crate::iam::{Caller as IamCaller, ChangeIam, HolderRef, Own, Powers, Query, Work, read};
use crate::policy::{Policy, PolicyKind};
use crate::rows::{CredentialHolder, IamId, NativeAcl, NativeEntry, NativeRights as Right, NativeScope, NativeWho, Principal};
use crate::{ChangeNativeAcl, NativeChange, NativePlace};

fn document(statements: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#)
}

fn allow(actions: &str) -> String {
    format!(r#"{{"Effect":"Allow","Action":[{actions}],"Resource":"*"}}"#)
}

fn deny(actions: &str) -> String {
    format!(r#"{{"Effect":"Deny","Action":[{actions}],"Resource":"*"}}"#)
}

impl Photos {
    fn iam(&mut self, account: &str, action: &str, fields: &[(&str, &str)]) {
        let pairs: Vec<(String, String)> = fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let caller = IamCaller { own: Own::Root, means_account: false };
        let call = read(action, Query(&pairs), caller, &mut |prefix| IamId(format!("{prefix}{account}"))).expect("a good call");
        let Work::Change(change) = call.work else { panic!("a change") };
        self.om.apply(ChangeIam { account: UserId(account.into()), change, now: Timestamp(5_000) }).expect("taken");
    }

    /// The account's user `carol` under these statements, by a session of its own if those of one are given.
    fn carol(&mut self, account: &str, statements: &str, session: Option<&str>) -> Identity {
        let id = UserId(account.into());
        if crate::iam::user(&self.om.tables, &id, "carol").expect("memory").is_none() {
            self.iam(account, "CreateUser", &[("UserName", "carol")]);
        }
        let policy = document(statements);
        self.iam(account, "PutUserPolicy", &[("UserName", "carol"), ("PolicyName", "p"), ("PolicyDocument", &policy)]);
        let account = namespace::user(&self.om.tables, &id).expect("memory").expect("there is one");
        let powers = Powers::load(&self.om.tables, &account, HolderRef::User("carol")).expect("memory");
        let caller = crate::policy::Caller::User {
            account: crate::policy::Account { id: account.account_id(), canonical: account.id.0.clone() },
            name: powers.full_name.clone(),
        };
        let unique_id = powers.id.clone().expect("a user").0;
        let session = session.map(|statements| Session {
            policies: Arc::new(vec![Policy::parse(&document(statements), PolicyKind::Identity).expect("a policy")]),
            tags: Vec::new(),
            claims: Vec::new(),
            provider: None,
            created: Timestamp(5_000),
            is_delegated: false,
        });
        Identity::Member(Box::new(Member { account, caller, powers: Arc::new(powers), unique_id, session }))
    }
}

#[test]
fn an_acl_that_comes_along_is_for_those_whose_own_policies_let_them_set_it() {
    let mut photos = Photos::new();
    let (public, private) = (canned(CannedAcl::PublicRead), canned(CannedAcl::Private));
    let [plain, public, private] = [None, Some(&public), Some(&private)].map(|acl| Facts { acl, ..Facts::default() });
    let may =
        |photos: &Photos, who: &Identity, facts: &Facts<'_>| photos.scene(who, facts, |scene| scene.allow_write(&key("new")));
    let (put, both) = (allow(r#""s3:PutObject""#), allow(r#""s3:PutObject","s3:PutObjectAcl""#));
    let no_acl = deny(r#""s3:PutObjectAcl""#);
    for (own, session, is_let, keeps_private) in [
        (put.clone(), None, false, true),
        (both.clone(), None, true, true),
        (format!("{both},{no_acl}"), None, false, false),
        (both.clone(), Some(put.as_str()), false, true),
        (both.clone(), Some(both.as_str()), true, true),
        (allow(r#""s3:*""#), Some(&*format!("{both},{no_acl}")), false, false),
    ] {
        let carol = photos.carol("ada", &own, session);
        assert_eq!(may(&photos, &carol, &plain), Ok(()), "{own} {session:?}");
        assert_eq!(may(&photos, &carol, &public).is_ok(), is_let, "{own} {session:?}");
        assert_eq!(may(&photos, &carol, &private).is_ok(), keeps_private, "{own} {session:?}");
    }
    // Across accounts the bucket lets them write, and so say who reads; their own account has to let them as well.
    photos.policy(r#"{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::photos/*"}"#);
    for (own, wanted) in [(put, Err(PutObjectAcl)), (both, Ok(()))] {
        let carol = photos.carol("bob", &own, None);
        assert_eq!((may(&photos, &carol, &plain), may(&photos, &carol, &public)), (Ok(()), wanted), "{own}");
    }
}

#[test]
fn tags_come_along_by_an_acl_where_nothing_of_their_own_denies_them() {
    let mut photos = Photos::new();
    photos.bucket_acl(CannedAcl::PublicReadWrite);
    let tags = [("a".to_owned(), "b".to_owned())];
    let tagged = Facts { tags: &tags, ..Facts::default() };
    let may = |photos: &Photos, who: &Identity| photos.scene(who, &tagged, |scene| scene.allow_write(&key("new")));
    let both = allow(r#""s3:PutObject","s3:PutObjectTagging""#);
    let carol = photos.carol("bob", &both, None);
    assert_eq!(may(&photos, &carol), Ok(()));
    let carol = photos.carol("bob", &format!("{both},{}", deny(r#""s3:PutObjectTagging""#)), None);
    assert_eq!(may(&photos, &carol), Err(PutObjectTagging));
    assert_eq!(may(&photos, &who("nobody")), Ok(()));
}

#[test]
fn a_denial_of_one_s_own_keeps_the_absence_of_a_key_from_them() {
    let mut photos = Photos::new();
    let knows = |photos: &Photos, who: &Identity| {
        photos.scene(who, &Facts::default(), |scene| scene.may_know_absence(GetObject, &key("gone")))
    };
    let list = allow(r#""s3:ListBucket""#);
    let carol = photos.carol("ada", &list, None);
    assert!(knows(&photos, &carol));
    let carol = photos.carol("ada", &format!("{list},{}", deny(r#""s3:GetObject""#)), None);
    assert!(!knows(&photos, &carol));
}

fn entry(who: NativeWho, rights: Right) -> NativeAcl {
    NativeAcl { entries: vec![NativeEntry { who, rights, scope: NativeScope::Access }] }
}

fn account(id: &str) -> NativeWho {
    NativeWho::User(Principal { account: UserId(id.into()), holder: CredentialHolder::Root })
}

fn carol_of(id: &str) -> NativeWho {
    let holder = CredentialHolder::User { name: "carol".into(), id: IamId(format!("AIDA{id}")) };
    NativeWho::User(Principal { account: UserId(id.into()), holder })
}

const NOTHING: &str = r#"{"Effect":"Allow","Action":"s3:ListAllMyBuckets","Resource":"*"}"#;

#[test]
fn an_account_s_right_to_a_native_acl_is_its_users_where_their_policies_let_them() {
    let mut photos = Photos::new();
    let may = |photos: &Photos, who: &Identity| {
        photos.scene(who, &Facts::default(), |scene| scene.has_native_right(PutObjectAcl, Target::Key(&key("dir/"))))
    };
    let (put, shut) = (allow(r#""s3:PutObjectAcl""#), deny(r#""*""#));
    let without = photos.carol("ada", &put, None);
    assert!(!may(&photos, &without), "policies alone give none");
    for (given, of, own, session, is_let) in [
        (account("bob"), "bob", NOTHING, None, false),
        (account("bob"), "bob", &put, None, true),
        (account("bob"), "bob", &put, Some(NOTHING), false),
        (account("ada"), "ada", NOTHING, None, false),
        (account("ada"), "ada", &put, None, true),
        (carol_of("ada"), "ada", NOTHING, None, true),
        (carol_of("ada"), "ada", &shut, None, false),
        (carol_of("bob"), "bob", NOTHING, None, false),
        (NativeWho::World, "ada", NOTHING, Some(NOTHING), false),
    ] {
        let on = NativePlace::Prefix { bucket: photos.bucket, prefix: "dir/".into() };
        let change = NativeChange::Set(entry(given.clone(), Right::WRITE_ACL).entries);
        photos.om.apply(ChangeNativeAcl { on, change }).expect("few entries");
        let carol = photos.carol(of, own, session);
        assert_eq!(may(&photos, &carol), is_let, "{given:?} {own} {session:?}");
    }
}

#[test]
fn a_right_to_a_volume_s_acl_is_weighed_like_any_other() {
    let mut photos = Photos::new();
    let put = allow(r#""trioxide:PutVolumeAcl""#);
    let (shut, every) = (deny(r#""*""#), allow(r#""*""#));
    for (given, owner, own, session, is_let) in [
        (account("bob"), None, NOTHING, None, false),
        (account("bob"), None, &*put, None, true),
        (account("bob"), None, &put, Some(NOTHING), false),
        (carol_of("bob"), None, NOTHING, None, true),
        (carol_of("bob"), None, &shut, None, false),
        (carol_of("bob"), Some("ada"), NOTHING, None, false),
        (carol_of("bob"), Some("ada"), &put, None, true),
        (account("ada"), None, &every, None, false),
        (account("ada"), Some("bob"), &every, None, false),
    ] {
        let carol = photos.carol("bob", own, session);
        let owner = owner.map(|id| UserId(id.into()));
        let acl = entry(given.clone(), Right::WRITE_ACL);
        let may = may_with_volume(&carol, OfVolumeAcl::Put, owner.as_ref(), &acl, &Facts::default());
        assert_eq!(may.is_ok(), is_let, "{given:?} {owner:?} {own} {session:?}");
    }
}

#[test]
fn what_is_set_on_a_bucket_as_it_is_made_wants_the_right_to_set_it() {
    let mut photos = Photos::new();
    let path = BucketPath::new(VolumeName::s3v(), BucketName::parse("films").expect("legal"));
    let create = allow(r#""s3:CreateBucket","s3:PutBucketAcl""#);
    let may = |who: &Identity, action| administer(who, action, None, &Facts::default()).is_ok();
    let set = AdminAction::BeginBucket(PutBucketAcl, &path);
    let carol = photos.carol("ada", &create, None);
    assert!(may(&carol, set) && !may(&carol, AdminAction::BeginBucket(PutBucketOwnershipControls, &path)));
    let carol = photos.carol("ada", &format!("{create},{}", deny(r#""s3:PutBucketAcl""#)), None);
    assert!(may(&carol, AdminAction::CreateBucket(&path)) && !may(&carol, set));
    assert!(may(&who("ada"), set) && !may(&who("nobody"), set));
}

#[test]
fn a_delegation_token_changes_nothing_that_outlasts_it() {
    let mut photos = Photos::new();
    let every = allow(r#""*""#);
    let Identity::Member(mut member) = photos.carol("ada", &every, Some(&every)) else { panic!("a member") };
    let id = member.account.id.clone();
    let may = |member: &Member| {
        let who = Identity::Member(Box::new(member.clone()));
        let block = |action| administer(&who, action, Some(&id), &Facts::default()).is_ok();
        let acl = entry(carol_of("ada"), Right::ALL);
        let volume = may_with_volume(&who, OfVolumeAcl::Put, None, &acl, &Facts::default()).is_ok();
        [block(AdminAction::GetAccountBlock), block(AdminAction::PutAccountBlock), volume]
    };
    assert_eq!(may(&member), [true; 3]);
    member.session.as_mut().expect("one").is_delegated = true;
    assert_eq!(may(&member), [true, false, false]);
}

#[test]
fn a_session_is_known_to_have_shown_no_device_and_a_key_says_nothing_of_it() {
    let mut photos = Photos::new();
    let condition = r#"{"Bool":{"aws:MultiFactorAuthPresent":"false"}}"#;
    let own = format!(r#"{},{{"Effect":"Deny","Action":"*","Resource":"*","Condition":{condition}}}"#, allow(r#""s3:*""#));
    let lists = |photos: &Photos, who: &Identity| {
        photos.scene(who, &Facts::default(), |scene| scene.allow(ListBucket, Target::Bucket).is_ok())
    };
    let (by_key, by_session) = (photos.carol("ada", &own, None), photos.carol("ada", &own, Some(&allow(r#""s3:*""#))));
    assert!(lists(&photos, &by_key) && !lists(&photos, &by_session));
}
