//! Identities: the commands that change them, and their rows.

use bucket_config::PublicAccessBlock;
use om_core::iam::{ChangeIam, Holder, IamChange, NewEntity, Renaming, Tagged};
use om_core::rows::*;
use om_core::*;
use types::{Acl, BucketId, BucketPath, LogIndex, ObjectKey, Timestamp, VersionId, VolumeName};

use super::values::{event, user};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn tags() -> Tags {
    vec![("team".into(), "x".into())]
}

fn inline() -> InlinePolicy {
    InlinePolicy { name: "p".into(), text: "{}".into() }
}

fn new() -> NewEntity {
    NewEntity {
        name: "carol".into(),
        path: "/dev/".into(),
        id: IamId("AIDA1".into()),
        tags: tags(),
        boundary: Some("arn:b".into()),
        description: Some("d".into()),
    }
}

fn pair() -> SealedPair {
    SealedPair { access_key: AccessKeyId("AK".into()), sealed: vec![9, 8], secret_version: 5 }
}

fn changes() -> Vec<IamChange> {
    let name = || "carol".to_owned();
    let arn = || "arn:p".to_owned();
    let renaming = || Renaming { name: Some("dora".into()), path: Some("/".into()) };
    let key = || AccessKeyId("AK".into());
    vec![
        IamChange::CreateUser(new()),
        IamChange::UpdateUser(name(), renaming()),
        IamChange::DeleteUser(name()),
        IamChange::CreateGroup(new()),
        IamChange::UpdateGroup(name(), renaming()),
        IamChange::DeleteGroup(name()),
        IamChange::AddToGroup { group: "staff".into(), user: name() },
        IamChange::RemoveFromGroup { group: "staff".into(), user: name() },
        IamChange::CreateRole { new: new(), trust: "{}".into(), max_session: 3600 },
        IamChange::UpdateRole { name: name(), description: Some("d".into()), max_session: Some(7200) },
        IamChange::SetTrust { name: name(), trust: "{}".into() },
        IamChange::DeleteRole(name()),
        IamChange::PutInline(Holder::User(name()), inline()),
        IamChange::DeleteInline(Holder::Group(name()), "p".into()),
        IamChange::Attach(Holder::Role(name()), arn()),
        IamChange::Detach(Holder::Account, arn()),
        IamChange::SetBoundary(Holder::User(name()), Some(arn())),
        IamChange::CreatePolicy { new: new(), text: "{}".into() },
        IamChange::CreatePolicyVersion { arn: arn(), text: "{}".into(), is_default: true },
        IamChange::DeletePolicyVersion { arn: arn(), version: "v1".into() },
        IamChange::SetDefaultVersion { arn: arn(), version: "v1".into() },
        IamChange::DeletePolicy(arn()),
        IamChange::SetTags { on: Tagged::User(name()), set: tags(), removed: vec!["k".into()] },
        IamChange::SetTags { on: Tagged::Policy(arn()), set: Vec::new(), removed: Vec::new() },
        IamChange::CreateKey { user: Some(name()), pair: pair() },
        IamChange::SetKeyStatus { user: None, key: key(), is_active: false },
        IamChange::DeleteKey { user: Some(name()), key: key() },
        IamChange::CreateProvider { url: "idp".into(), clients: vec!["c".into()], thumbprints: vec!["t".into()] },
        IamChange::DeleteProvider(arn()),
        IamChange::SetClient { arn: arn(), client: "c".into(), is_there: true },
        IamChange::EnsureKey { user: name(), pair: pair() },
        IamChange::SetThumbprints { arn: arn(), thumbprints: vec!["t".into()] },
    ]
}

fn credential() -> CredentialRow {
    CredentialRow {
        account: user(),
        holder: CredentialHolder::Role { name: "r".into(), id: IamId("AROA1".into()), session: "s".into() },
        sealed: vec![9, 8, 7],
        secret_version: 5,
        token: TokenDigest([3; 32]),
        created: NOW,
        expires: NOW,
        policies: vec!["{}".into()],
        tags: tags(),
        claims: vec![("idp:sub".into(), vec!["ada".into()])],
        provider: Some("arn:idp".into()),
        parent: Some(AccessKeyId("AK".into())),
        delegation: None,
        parent_version: None,
    }
}

fn token() -> CredentialRow {
    let renewer = Principal { account: user(), holder: CredentialHolder::User { name: "c".into(), id: IamId("AIDA1".into()) } };
    let delegation = Delegation { sequence: LogIndex(9), renewer: Some(renewer), real_user: Some(user()), ends: NOW };
    CredentialRow { delegation: Some(delegation), ..credential() }
}

fn red() -> VolumeName {
    VolumeName::parse("red").expect("legal")
}

/// Of an object that rights hang on in every way, and of none.
fn judged() -> [Command; 2] {
    let object = Judged::Object {
        sequence: Sequence(7),
        tags: tags(),
        acl: Some(Acl { grants: Vec::new() }),
        native_acl: Some(native_acl()),
    };
    let key = || ObjectKey::parse("k").expect("legal");
    let (bucket, origin, change) = (BucketId(7), None, VersionChange::Tags(tags()));
    let update = UpdateVersion { bucket, key: key(), version: None, change, now: NOW, origin, judged: Some(Box::new(object)) };
    let rename = RenameKey {
        bucket,
        source: key(),
        source_conditions: ReadConditions::default(),
        key: key(),
        condition: WriteCondition::Always,
        conditions: ReadConditions::default(),
        owner: None,
        now: NOW,
        origin: None,
        judged: Some(Box::new(Judged::Nothing)),
    };
    [update.into(), rename.into()]
}

fn accounts() -> [Command; 6] {
    let tenant = EnsureUser {
        user: user(),
        display_name: "Ada".into(),
        email: None,
        is_admin: false,
        pair: None,
        now: NOW,
        origin: None,
        volume: Some(red()),
    };
    let nothing = UpdateAccount { account: user(), display_name: None, email: None, is_admin: None };
    let (display_name, email) = (Some("Ada".into()), Some("ada@example.com".into()));
    [
        tenant.clone().into(),
        CreateAccount { account: tenant }.into(),
        UpdateAccount { display_name, email, ..nothing.clone() }.into(),
        UpdateAccount { is_admin: Some(false), ..nothing.clone() }.into(),
        nothing.into(),
        DeleteAccount { account: user(), now: NOW }.into(),
    ]
}

pub(super) fn native_acl() -> NativeAcl {
    let bob = Principal { account: user(), holder: CredentialHolder::Root };
    let staff = NativeWho::Group { account: user(), name: "staff".into(), id: IamId("AGPA1".into()) };
    let who = [NativeWho::User(bob), staff, NativeWho::World, NativeWho::Anonymous];
    let scopes = [NativeScope::Access, NativeScope::Default].into_iter().cycle();
    let entry = |(who, scope)| NativeEntry { who, rights: NativeRights::ALL, scope };
    NativeAcl { entries: who.into_iter().zip(scopes).map(entry).collect() }
}

fn native_changes() -> [ChangeNativeAcl; 3] {
    let entries = || native_acl().entries;
    let (bucket, key) = (BucketId(7), ObjectKey::parse("k").expect("legal"));
    [
        ChangeNativeAcl { on: NativePlace::Volume(VolumeName::s3v()), change: NativeChange::Add(entries()) },
        ChangeNativeAcl { on: NativePlace::Prefix { bucket, prefix: "a/".into() }, change: NativeChange::Remove(entries()) },
        ChangeNativeAcl { on: NativePlace::Key { bucket, key, version: VersionId(4096) }, change: NativeChange::Set(entries()) },
    ]
}

pub(super) fn commands() -> Vec<Command> {
    let change = |change| ChangeIam { account: user(), change, now: NOW }.into();
    let mut commands: Vec<Command> = changes().into_iter().map(change).collect();
    commands.push(OpenCredential { access_key: AccessKeyId("ASIA".into()), row: credential() }.into());
    commands.push(OpenCredential { access_key: AccessKeyId("ASIA".into()), row: token() }.into());
    commands.push(
        OpenCredential { access_key: AccessKeyId("ASIA".into()), row: CredentialRow { parent_version: Some(7), ..token() } }
            .into(),
    );
    commands.push(RenewToken { access_key: AccessKeyId("ASIA".into()), now: NOW, expires: NOW }.into());
    commands.push(CancelToken { access_key: AccessKeyId("ASIA".into()) }.into());
    commands.extend(native_changes().map(Command::from));
    commands.push(EndCredentials { until: NOW, most: 7 }.into());
    commands.push(SetAccountBlock { account: user(), block: Some(PublicAccessBlock::default()) }.into());
    commands.push(SetAccountBlock { account: user(), block: None }.into());
    commands.extend(accounts());
    commands.extend(judged());
    commands.push(RecordKeyUses { uses: vec![(AccessKeyId("AK".into()), NOW)] }.into());
    commands
}

pub(super) fn rows() -> Vec<(&'static str, Vec<u8>)> {
    let holding = || Holding { inline: vec![inline()], attached: vec!["arn:p".into()] };
    let account = UserRow {
        id: user(),
        display_name: "Ada".into(),
        email: None,
        is_admin: false,
        created: NOW,
        number: Some(AccountNumber(123_456_789_012)),
        is_governed: Some(true),
        block: None,
        volume: None,
    };
    let block = PublicAccessBlock { block_public_policy: true, ..PublicAccessBlock::default() };
    let blocked = UserRow { block: Some(block), ..account.clone() };
    let tenant = UserRow { volume: Some(red()), ..account.clone() };
    let key = AccessKeyRow {
        user: user(),
        sealed: vec![9],
        secret_version: 5,
        created: NOW,
        origin: None,
        holder: Some("carol".into()),
        is_inactive: Some(true),
    };
    let member = IamUserRow {
        name: "Carol".into(),
        path: "/dev/".into(),
        id: IamId("AIDA1".into()),
        created: NOW,
        tags: tags(),
        groups: vec!["staff".into()],
        holding: holding(),
        boundary: Some("arn:b".into()),
    };
    let group =
        IamGroupRow { name: "Staff".into(), path: "/".into(), id: IamId("AGPA1".into()), created: NOW, holding: holding() };
    let role = RoleRow {
        name: "r".into(),
        path: "/".into(),
        id: IamId("AROA1".into()),
        created: NOW,
        tags: tags(),
        holding: holding(),
        boundary: None,
        trust: "{}".into(),
        description: Some("d".into()),
        max_session: 3600,
    };
    let policy = ManagedPolicyRow {
        name: "p".into(),
        path: "/".into(),
        id: IamId("ANPA1".into()),
        created: NOW,
        updated: NOW,
        description: None,
        tags: tags(),
        versions: vec![PolicyVersion { number: 2, text: "{}".into(), created: NOW }],
        default: 2,
        last: 2,
    };
    let provider = OidcProviderRow { url: "idp".into(), clients: vec!["c".into()], thumbprints: vec!["t".into()], created: NOW };
    vec![
        ("user", ::tables::encode(&account)),
        ("user", ::tables::encode(&blocked)),
        ("user", ::tables::encode(&tenant)),
        ("event", ::tables::encode(&EventRow { bucket: BucketPath::new(red(), event().bucket.into_name()), ..event() })),
        ("access-key", ::tables::encode(&key)),
        ("iam-user", ::tables::encode(&member)),
        ("iam-group", ::tables::encode(&group)),
        ("role", ::tables::encode(&role)),
        ("managed-policy", ::tables::encode(&policy)),
        ("oidc-provider", ::tables::encode(&provider)),
        ("iam-account", ::tables::encode(&AccountRow { changed: Some(LogIndex(9)), holding: holding() })),
        ("credential", ::tables::encode(&credential())),
        ("credential", ::tables::encode(&token())),
        ("native-acl", ::tables::encode(&native_acl())),
        ("credential-holder", ::tables::encode(&CredentialHolder::Root)),
        ("credential-holder", ::tables::encode(&CredentialHolder::User { name: "c".into(), id: IamId("AIDA1".into()) })),
        ("key-use", ::tables::encode(&KeyUseRow { last: NOW })),
    ]
}
