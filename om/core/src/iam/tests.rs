use tables::MemoryTables;
use types::{BucketName, BucketPath, IamError, IamErrorCode, IamValue, Timestamp};

use super::*;
use crate::SealedPair;
use crate::authorise::{
    AdminAction, Denied, Facts, Identity, Requester, Unkept, administer, explain, explain_iam, identify, may_iam,
};
use crate::namespace;
use crate::rows::{AccessKeyId, IamId, UserId};
use crate::testing::Namespace;

const ALL_OF_S3: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;
const READ_IAM: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:Get*","Resource":"*"}]}"#;
const TRUST: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"ada"},"Action":"sts:AssumeRole"}]}"#;

/// An account, and calls of its root's to IAM.
struct Account {
    om: Namespace,
    ids: u32,
}

impl Account {
    fn new() -> Self {
        Self { om: Namespace::with_users(["ada", "bob"]), ids: 0 }
    }

    fn row(&self) -> crate::rows::UserRow {
        namespace::user(&self.om.tables, &UserId("ada".into())).expect("memory").expect("there")
    }

    fn tables(&self) -> &MemoryTables {
        &self.om.tables
    }

    fn call(&mut self, action: &str, fields: &[(&str, &str)]) -> Result<IamValue, IamError> {
        let pairs: Vec<(String, String)> = fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        self.ids += 1;
        let number = self.ids;
        let mut new_id = |prefix: &'static str| IamId(format!("{prefix}{number:016}"));
        let caller = Caller { own: Own::Root, means_account: false };
        let account = UserId("ada".into());
        let call = read(action, Query(&pairs), caller, &mut new_id)?;
        let change = match call.work {
            Work::View(view) => {
                return view.answer(self.tables(), &self.row()).map_err(|trouble| match trouble {
                    Trouble::Iam(error) => error,
                    Trouble::Fault(fault) => panic!("{fault}"),
                });
            }
            Work::Change(change) => change,
            Work::NewKey { user } => {
                let access_key = AccessKeyId(format!("AKIA{number:016}"));
                IamChange::CreateKey { user, pair: SealedPair { access_key, sealed: vec![1], secret_version: 7 } }
            }
            Work::Simulate(simulation) => {
                return simulate(self.tables(), &self.row(), &simulation).map_err(|_| panic!("a simulation fails"));
            }
        };
        let answer = self.om.apply(ChangeIam { account, change, now: Timestamp(5_000) });
        self.om.check();
        answer
    }

    fn code(&mut self, action: &str, fields: &[(&str, &str)]) -> IamErrorCode {
        self.call(action, fields).expect_err("refused").code
    }

    fn ok(&mut self, action: &str, fields: &[(&str, &str)]) -> IamValue {
        self.call(action, fields).expect("taken")
    }

    fn key_of(&mut self, user: &str) -> AccessKeyId {
        let answer = self.ok("CreateAccessKey", &[("UserName", user)]);
        let id = answer.get("AccessKey").and_then(|key| key.get("AccessKeyId")).and_then(IamValue::as_text);
        AccessKeyId(id.expect("an id").to_owned())
    }

    fn identity(&self, key: &AccessKeyId) -> Result<Identity, crate::authorise::Denied> {
        let by = Requester::Signed { access_key: key.clone(), secret_version: 7 };
        identify(self.tables(), &by, Timestamp(9_000), &Unkept).expect("memory")
    }
}

fn names(answer: &IamValue, list: &str, field: &str) -> Vec<String> {
    let Some(IamValue::List(values)) = answer.get(list) else { panic!("no list {list}: {answer:?}") };
    values.iter().filter_map(|value| value.get(field).and_then(IamValue::as_text)).map(str::to_owned).collect()
}

#[test]
fn a_name_means_one_user_whatever_its_case() {
    let mut ada = Account::new();
    ada.ok("CreateUser", &[("UserName", "Carol"), ("Path", "/dev/")]);
    assert_eq!(ada.code("CreateUser", &[("UserName", "cAROL")]), IamErrorCode::EntityAlreadyExists);
    let user = ada.ok("GetUser", &[("UserName", "carol")]);
    let arn = user.get("User").and_then(|user| user.get("Arn")).and_then(IamValue::as_text).map(str::to_owned);
    assert_eq!(arn, Some(format!("arn:aws:iam::{}:user/dev/Carol", ada.row().account_id())));
    assert_eq!(ada.code("GetUser", &[("UserName", "dora")]), IamErrorCode::NoSuchEntity);
    assert_eq!(ada.code("CreateUser", &[("UserName", "a b")]), IamErrorCode::ValidationError);
}

#[test]
fn a_page_goes_on_where_the_last_one_ended() {
    let mut ada = Account::new();
    for name in ["c", "A", "b"] {
        ada.ok("CreateUser", &[("UserName", name), ("Path", "/x/")]);
    }
    let first = ada.ok("ListUsers", &[("PathPrefix", "/x/"), ("MaxItems", "2")]);
    assert_eq!(names(&first, "Users", "UserName"), ["A", "b"]);
    let marker = first.get("Marker").and_then(IamValue::as_text).expect("a marker").to_owned();
    let second = ada.ok("ListUsers", &[("MaxItems", "2"), ("Marker", &marker)]);
    assert_eq!(names(&second, "Users", "UserName"), ["c"]);
    assert_eq!(second.get("IsTruncated").and_then(IamValue::as_text), Some("false"));
    assert_eq!(names(&ada.ok("ListUsers", &[("PathPrefix", "/y/")]), "Users", "UserName"), [""; 0]);
}

#[test]
fn a_user_goes_only_when_nothing_hangs_on_it() {
    let mut ada = Account::new();
    ada.ok("CreateUser", &[("UserName", "carol")]);
    ada.ok("CreateGroup", &[("GroupName", "staff")]);
    ada.ok("AddUserToGroup", &[("GroupName", "staff"), ("UserName", "carol")]);
    ada.ok("PutUserPolicy", &[("UserName", "carol"), ("PolicyName", "p"), ("PolicyDocument", ALL_OF_S3)]);
    let arn = "arn:aws:iam::aws:policy/AmazonS3FullAccess";
    ada.ok("AttachUserPolicy", &[("UserName", "carol"), ("PolicyArn", arn)]);
    let key = ada.key_of("carol");
    let delete = [("UserName", "carol")];
    assert_eq!(ada.code("DeleteUser", &delete), IamErrorCode::DeleteConflict);
    ada.ok("DetachUserPolicy", &[("UserName", "carol"), ("PolicyArn", arn)]);
    assert_eq!(ada.code("DeleteUser", &delete), IamErrorCode::DeleteConflict);
    ada.ok("DeleteUserPolicy", &[("UserName", "carol"), ("PolicyName", "p")]);
    assert_eq!(ada.code("DeleteUser", &delete), IamErrorCode::DeleteConflict);
    ada.ok("DeleteAccessKey", &[("UserName", "carol"), ("AccessKeyId", &key.0)]);
    assert_eq!(ada.code("DeleteUser", &delete), IamErrorCode::DeleteConflict);
    assert_eq!(ada.code("DeleteGroup", &[("GroupName", "staff")]), IamErrorCode::DeleteConflict);
    ada.ok("RemoveUserFromGroup", &[("GroupName", "staff"), ("UserName", "carol")]);
    ada.ok("DeleteUser", &delete);
    ada.ok("DeleteGroup", &[("GroupName", "staff")]);
    assert_eq!(ada.code("DeleteUser", &delete), IamErrorCode::NoSuchEntity);
}

#[test]
fn a_key_signs_for_its_user_until_it_is_inactive_or_gone_and_never_again() {
    let mut ada = Account::new();
    ada.ok("CreateUser", &[("UserName", "carol"), ("Path", "/dev/")]);
    let key = ada.key_of("carol");
    let second = ada.key_of("carol");
    assert_eq!(ada.code("CreateAccessKey", &[("UserName", "carol")]), IamErrorCode::LimitExceeded);
    let carol = ada.identity(&key).expect("good");
    assert!(matches!(&carol, Identity::Member(member) if member.user_name() == Some("carol") && member.account.id.0 == "ada"));
    ada.ok("UpdateUser", &[("UserName", "carol"), ("NewUserName", "Dora")]);
    assert!(matches!(ada.identity(&key), Ok(Identity::Member(member)) if member.user_name() == Some("Dora")));
    ada.ok("UpdateAccessKey", &[("UserName", "dora"), ("AccessKeyId", &key.0), ("Status", "Inactive")]);
    assert_eq!(ada.identity(&key), Err(crate::authorise::Denied::NoSuchAccessKey));
    ada.ok("UpdateAccessKey", &[("UserName", "dora"), ("AccessKeyId", &key.0), ("Status", "Active")]);
    assert!(ada.identity(&key).is_ok());
    ada.ok("DeleteAccessKey", &[("UserName", "dora"), ("AccessKeyId", &key.0)]);
    assert_eq!(ada.identity(&key), Err(crate::authorise::Denied::NoSuchAccessKey));
    assert_eq!(names(&ada.ok("ListAccessKeys", &[("UserName", "dora")]), "AccessKeyMetadata", "AccessKeyId"), [second.0]);
    let pair = SealedPair { access_key: key, sealed: vec![1], secret_version: 8 };
    let change = IamChange::CreateKey { user: Some("dora".into()), pair };
    let again = ada.om.apply(ChangeIam { account: UserId("ada".into()), change, now: Timestamp(6) });
    assert_eq!(again.map_err(|error| error.code), Err(IamErrorCode::EntityAlreadyExists));
}

#[test]
fn a_refusal_about_no_bucket_names_what_decided() {
    let mut ada = Account::new();
    ada.ok("CreateUser", &[("UserName", "carol")]);
    let key = ada.key_of("carol");
    let path = BucketPath::of_s3v(BucketName::parse("photos").expect("legal"));
    let told = |ada: &Account| {
        let (carol, facts) = (ada.identity(&key).expect("good"), Facts::default());
        let create = AdminAction::CreateBucket(&path);
        assert_eq!(administer(&carol, create, None, &facts), Err(Denied::AccessDenied));
        let arn = "arn:aws:iam::1:user/x";
        assert_eq!(may_iam(&carol, "iam:GetUser", arn, &[], &facts), Err(Denied::AccessDenied));
        [explain(&carol, create, &facts), explain_iam(&carol, "iam:GetUser", arn, &[], &facts)]
    };
    assert_eq!(
        told(&ada),
        ["s3:CreateBucket: no identity policy allows it", "iam:GetUser on arn:aws:iam::1:user/x: no identity policy allows it"]
    );
    let closed = r#"{"Version":"2012-10-17","Statement":[{"Sid":"Closed","Effect":"Deny","Action":"*","Resource":"*"}]}"#;
    ada.ok("PutUserPolicy", &[("UserName", "carol"), ("PolicyName", "shut"), ("PolicyDocument", closed)]);
    assert!(told(&ada).iter().all(|why| why.contains(": explicitly denied by statement 1 (Closed) of the ")), "{:?}", told(&ada));
    ada.ok(
        "PutUserPolicy",
        &[("UserName", "carol"), ("PolicyName", "shut"), ("PolicyDocument", &closed.replace("Deny", "Allow"))],
    );
    let carol = ada.identity(&key).expect("good");
    let why = explain(&carol, AdminAction::ListUsers, &Facts::default());
    assert!(why.starts_with("trioxide:ListUsers: policies let them, but"), "{why}");
}

#[test]
fn policies_count_from_wherever_they_hang_and_a_boundary_narrows_them() {
    let mut ada = Account::new();
    ada.ok("CreateUser", &[("UserName", "carol")]);
    let key = ada.key_of("carol");
    let may = |ada: &Account| {
        let identity = ada.identity(&key).expect("good");
        may_iam(&identity, "iam:GetUser", "arn:aws:iam::1:user/x", &[], &Facts::default()).is_ok()
    };
    assert!(!may(&ada));
    ada.ok("CreateGroup", &[("GroupName", "Staff")]);
    ada.ok("PutGroupPolicy", &[("GroupName", "staff"), ("PolicyName", "read"), ("PolicyDocument", READ_IAM)]);
    assert!(!may(&ada));
    ada.ok("AddUserToGroup", &[("GroupName", "staff"), ("UserName", "carol")]);
    assert!(may(&ada));
    ada.ok("UpdateGroup", &[("GroupName", "staff"), ("NewGroupName", "Crew")]);
    assert!(may(&ada));
    let arn = format!("arn:aws:iam::{}:policy/edge", ada.row().account_id());
    ada.ok("CreatePolicy", &[("PolicyName", "edge"), ("PolicyDocument", ALL_OF_S3)]);
    ada.ok("PutUserPermissionsBoundary", &[("UserName", "carol"), ("PermissionsBoundary", &arn)]);
    assert!(!may(&ada));
    ada.ok("CreatePolicyVersion", &[("PolicyArn", &arn), ("PolicyDocument", READ_IAM), ("SetAsDefault", "true")]);
    assert!(may(&ada));
    assert_eq!(ada.code("DeletePolicy", &[("PolicyArn", &arn)]), IamErrorCode::DeleteConflict);
    assert_eq!(ada.code("DeletePolicyVersion", &[("PolicyArn", &arn), ("VersionId", "v2")]), IamErrorCode::DeleteConflict);
    ada.ok("DeletePolicyVersion", &[("PolicyArn", &arn), ("VersionId", "v1")]);
    ada.ok("DeleteUserPermissionsBoundary", &[("UserName", "carol")]);
    ada.ok("DeletePolicy", &[("PolicyArn", &arn)]);
    assert!(may(&ada));
}

#[test]
fn what_is_no_policy_or_too_much_of_one_is_refused() {
    let mut ada = Account::new();
    ada.ok("CreateUser", &[("UserName", "carol")]);
    let put = |text: &str| [("UserName", "carol".to_owned()), ("PolicyName", "p".into()), ("PolicyDocument", text.to_owned())];
    let mut code = |text: &str| {
        let fields = put(text);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        ada.code("PutUserPolicy", &fields)
    };
    assert_eq!(code("{"), IamErrorCode::MalformedPolicyDocument);
    assert_eq!(
        code(&ALL_OF_S3.replace("\"Resource\"", "\"Principal\":\"*\",\"Resource\"")),
        IamErrorCode::MalformedPolicyDocument
    );
    let long = ALL_OF_S3.replace("\"*\"", &format!("\"arn:aws:s3:::{}\"", "x".repeat(2000)));
    assert_eq!(code(&long), IamErrorCode::LimitExceeded);
    assert_eq!(
        ada.code("CreateRole", &[("RoleName", "r"), ("AssumeRolePolicyDocument", ALL_OF_S3)]),
        IamErrorCode::MalformedPolicyDocument
    );
    ada.ok("CreateRole", &[("RoleName", "r"), ("AssumeRolePolicyDocument", TRUST)]);
    assert_eq!(ada.code("Frobnicate", &[]), IamErrorCode::InvalidAction);
}

#[test]
fn a_simulation_tells_what_would_be_decided() {
    let mut ada = Account::new();
    ada.ok("CreateUser", &[("UserName", "carol")]);
    ada.ok("PutUserPolicy", &[("UserName", "carol"), ("PolicyName", "p"), ("PolicyDocument", ALL_OF_S3)]);
    let arn = format!("arn:aws:iam::{}:user/carol", ada.row().account_id());
    let answer = ada.ok(
        "SimulatePrincipalPolicy",
        &[("PolicySourceArn", &arn), ("ActionNames.member.1", "s3:GetObject"), ("ActionNames.member.2", "iam:GetUser")],
    );
    assert_eq!(names(&answer, "EvaluationResults", "EvalDecision"), ["allowed", "implicitDeny"]);
}

#[test]
fn accounts_have_numbers_of_their_own() {
    let ada = Account::new();
    let number = |id: &str| namespace::user(ada.tables(), &UserId(id.into())).expect("memory").and_then(|row| row.number);
    assert!(number("ada").is_some() && number("ada") != number("bob"));
    let found = account_by_id(ada.tables(), &ada.row().account_id()).expect("memory");
    assert_eq!(found.map(|row| row.id.0), Some("ada".to_owned()));
}

#[test]
fn what_governs_an_account_is_no_policy_of_its_own() {
    let mut ada = Account::new();
    ada.ok("CreatePolicy", &[("PolicyName", "own"), ("PolicyDocument", ALL_OF_S3)]);
    let own = format!("arn:aws:iam::{}:policy/own", ada.row().account_id());
    let mut attach = |arn: &str| {
        let change = IamChange::Attach(Holder::Account, arn.to_owned());
        let answer = ada.om.apply(ChangeIam { account: UserId("ada".into()), change, now: Timestamp(6) });
        answer.map(drop).map_err(|error| error.code)
    };
    assert_eq!(attach(&own), Err(IamErrorCode::InvalidInput));
    assert_eq!(attach("arn:aws:iam::aws:policy/IAMReadOnlyAccess"), Ok(()));
    assert_eq!(ada.row().is_governed, Some(true));
}

#[test]
fn a_policy_is_held_by_its_name_as_it_is_written() {
    let mut ada = Account::new();
    ada.ok("CreateUser", &[("UserName", "carol")]);
    ada.ok("CreatePolicy", &[("PolicyName", "Own"), ("PolicyDocument", ALL_OF_S3)]);
    let written = format!("arn:aws:iam::{}:policy/Own", ada.row().account_id());
    ada.ok("AttachUserPolicy", &[("UserName", "carol"), ("PolicyArn", &written.replace("Own", "OWN"))]);
    assert_eq!(
        names(&ada.ok("ListAttachedUserPolicies", &[("UserName", "carol")]), "AttachedPolicies", "PolicyArn"),
        [written.as_str()]
    );
    assert_eq!(ada.code("DeletePolicy", &[("PolicyArn", &written.replace("Own", "own"))]), IamErrorCode::DeleteConflict);
}
