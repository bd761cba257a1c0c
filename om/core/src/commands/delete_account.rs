//! An account that has nothing any more ends.

use minicbor::{Decode, Encode};
use tables::{ReadTables, StorageFault, Table, WriteTables};
use types::{LogIndex, Timestamp, VolumeName};

use super::update_account::{has_other_administrator, move_email};
use super::{Outcome, delegation, revoke_secret};
use crate::accounts;
use crate::namespace;
use crate::rows::{self, UserId, UserRow, VolumeRow, expiry_key, in_account, is_empty_under, volume_acl_key};
use crate::tables::{
    BUCKET_NAMES, GROUPS, IAM_ACCOUNTS, IAM_USERS, KEY_USES, OIDC_PROVIDERS, POLICIES, ROLES, SESSIONS, SESSIONS_BY_EXPIRY,
    USER_BUCKETS, USERS, VOLUME_ACLS, VOLUMES,
};

/// Its keys, sessions and tokens end with it. Its number is never another's: policies name accounts by it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DeleteAccount {
    #[n(0)]
    pub account: UserId,
    #[n(1)]
    pub now: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum DeleteAccountRejected {
    #[n(0)]
    NoSuchAccount,
    #[n(1)]
    LastAdministrator,
    #[n(2)]
    Has(#[n(0)] Belongings),
}

/// What an account may still have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Belongings {
    #[n(0)]
    Buckets,
    #[n(1)]
    Users,
    #[n(2)]
    Groups,
    #[n(3)]
    Roles,
    #[n(4)]
    Policies,
    #[n(5)]
    Providers,
    /// A volume of its own, in which others have buckets.
    #[n(6)]
    Volume,
}

/// Where what lies, by keys that begin with the account.
const BELONGINGS: [(Table, Belongings); 6] = [
    (USER_BUCKETS, Belongings::Buckets),
    (IAM_USERS, Belongings::Users),
    (GROUPS, Belongings::Groups),
    (ROLES, Belongings::Roles),
    (POLICIES, Belongings::Policies),
    (OIDC_PROVIDERS, Belongings::Providers),
];

impl DeleteAccount {
    pub(super) fn apply(self, _: LogIndex, tables: &mut dyn WriteTables) -> Outcome<(), DeleteAccountRejected> {
        let Some(user) = namespace::user(tables, &self.account)? else {
            return Ok(Err(DeleteAccountRejected::NoSuchAccount));
        };
        for (table, belongings) in BELONGINGS {
            if !is_empty_under(tables, table, &in_account(&user.id))? {
                return Ok(Err(DeleteAccountRejected::Has(belongings)));
            }
        }
        if user.is_admin && !has_other_administrator(tables, &user.id)? {
            return Ok(Err(DeleteAccountRejected::LastAdministrator));
        }
        if let Some(volume) = &user.volume
            && !leave_volume(tables, &user, volume)?
        {
            return Ok(Err(DeleteAccountRejected::Has(Belongings::Volume)));
        }
        for access_key in accounts::access_keys(tables, &user.id)? {
            revoke_secret::end(tables, &user.id, &access_key, Some(self.now));
            tables.delete(KEY_USES, access_key.0.as_bytes());
        }
        for (access_key, row) in accounts::delegation_tokens(tables, &user.id)? {
            delegation::forget(tables, &row);
            tables.delete(SESSIONS, access_key.0.as_bytes());
            tables.delete(SESSIONS_BY_EXPIRY, &expiry_key(row.expires, &access_key));
        }
        move_email(tables, &user.id, user.email.as_deref(), None)?;
        tables.delete(IAM_ACCOUNTS, user.id.0.as_bytes());
        tables.delete(USERS, user.id.0.as_bytes());
        Ok(Ok(()))
    }
}

/// Its volume goes with it, or to the next who is at home there, whom the former owner's ACL is not for. False: others have buckets in
/// a volume that would be nobody's.
fn leave_volume(tables: &mut dyn WriteTables, user: &UserRow, volume: &VolumeName) -> Result<bool, StorageFault> {
    let heir = next_at_home(tables, user, volume)?;
    let row = namespace::volume(tables, volume)?;
    match (heir, row) {
        // Whoever owns it goes on doing so.
        (_, Some(row)) if row.owner != user.id => {}
        (Some(owner), Some(row)) => {
            rows::put(tables, VOLUMES, volume.as_str().as_bytes(), &VolumeRow { owner, ..row });
            tables.delete(VOLUME_ACLS, &volume_acl_key(volume));
        }
        (None, Some(_)) => {
            if !is_empty_under(tables, BUCKET_NAMES, &[volume.as_str().as_bytes(), b"\0"].concat())? {
                return Ok(false);
            }
            tables.delete(VOLUMES, volume.as_str().as_bytes());
            tables.delete(VOLUME_ACLS, &volume_acl_key(volume));
        }
        (_, None) => {}
    }
    Ok(true)
}

fn next_at_home(tables: &dyn ReadTables, but: &UserRow, volume: &VolumeName) -> Result<Option<UserId>, StorageFault> {
    let accounts = accounts::accounts(tables)?.into_iter().map(|account| account.user);
    Ok(accounts.filter(|user| user.id != but.id).find(|user| user.home() == volume).map(|user| user.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iam::{ChangeIam, IamChange, NewEntity};
    use crate::rows::{
        AccessKeyId, CredentialHolder, CredentialRow, Delegation, IamId, NativeAcl, NativeEntry, NativeRights, NativeScope,
        NativeWho, TokenDigest,
    };
    use crate::testing::Namespace;
    use crate::{CreateBucket, CreateBucketRejected, DeleteBucket, EnsureUser, OpenCredential, PurgeBucket, SealedPair};

    fn delete(account: &str) -> DeleteAccount {
        DeleteAccount { account: UserId(account.into()), now: Timestamp(9) }
    }

    fn pair(access_key: &str) -> Option<SealedPair> {
        Some(SealedPair { access_key: AccessKeyId(access_key.into()), sealed: vec![1], secret_version: 7 })
    }

    fn volume(name: &str) -> VolumeName {
        VolumeName::parse(name).expect("legal")
    }

    fn tenant(om: &mut Namespace, id: &str, home: &str) {
        om.apply(EnsureUser { volume: Some(volume(home)), ..om.account(id) }).expect("free names");
    }

    fn token(account: &str, parent: &str) -> OpenCredential {
        let delegation = Delegation { sequence: LogIndex(0), renewer: None, real_user: None, ends: Timestamp(90) };
        let row = CredentialRow {
            account: UserId(account.into()),
            holder: CredentialHolder::Root,
            sealed: vec![1],
            secret_version: 7,
            token: TokenDigest([3; 32]),
            created: Timestamp(1),
            expires: Timestamp(80),
            policies: Vec::new(),
            tags: Vec::new(),
            claims: Vec::new(),
            provider: None,
            parent: Some(AccessKeyId(parent.into())),
            delegation: Some(delegation),
            parent_version: Some(7),
        };
        OpenCredential { access_key: AccessKeyId(format!("ASIA{account}")), row }
    }

    #[test]
    fn what_an_account_was_ends_with_it_but_for_its_number() {
        let mut om = Namespace::with_users(["ada"]);
        let rows = om.tables.clone();
        let email = Some("bob@example.com".to_owned());
        let bob = EnsureUser { pair: pair("BK"), email: email.clone(), ..om.account("bob") };
        let number = om.apply(bob.clone()).expect("free names").user.number;
        om.apply(token("bob", "BK")).expect("bob's");
        om.apply(delete("bob")).expect("bob has nothing");
        om.check();
        assert_eq!(om.apply(delete("bob")), Err(DeleteAccountRejected::NoSuchAccount));
        assert!(namespace::is_revoked(&om.tables, &AccessKeyId("BK".into())).expect("memory"));
        // All else is as if bob had never been.
        let mut left = om.tables.clone();
        left.delete(crate::tables::ACCOUNT_NUMBERS, &number.expect("given").0.to_be_bytes());
        left.delete(crate::tables::REVOKED_KEYS, b"BK");
        assert!(left == rows);
        om.apply(EnsureUser { email, ..om.account("eve") }).expect("the address is free");
        let again = om.apply(EnsureUser { email: None, pair: None, ..bob }).expect("the name is free");
        assert_eq!((again.user.number, again.access_keys.len()), (number, 0));
        om.check();
    }

    #[test]
    fn who_has_something_stays() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        assert_eq!(om.apply(delete("ada")), Err(DeleteAccountRejected::Has(Belongings::Buckets)));
        om.apply(DeleteBucket { bucket }).expect("it is empty");
        om.apply(PurgeBucket { bucket, limit: 10, now: Timestamp(5) }).expect("it ends");
        let new = NewEntity {
            name: "carol".into(),
            path: "/".into(),
            id: IamId("AIDA1".into()),
            tags: Vec::new(),
            boundary: None,
            description: None,
        };
        let ada = || UserId("ada".into());
        let change = |change| ChangeIam { account: ada(), change, now: Timestamp(6) };
        om.apply(change(IamChange::CreateUser(new.clone()))).expect("a new one");
        assert_eq!(om.apply(delete("ada")), Err(DeleteAccountRejected::Has(Belongings::Users)));
        om.apply(change(IamChange::DeleteUser("carol".into()))).expect("there");
        let policy = IamChange::CreatePolicy { new, text: r#"{"Version": "2012-10-17", "Statement": []}"#.into() };
        om.apply(change(policy)).expect("a new one");
        assert_eq!(om.apply(delete("ada")), Err(DeleteAccountRejected::Has(Belongings::Policies)));
        om.check();
    }

    #[test]
    fn the_last_administrator_stays() {
        let mut om = Namespace::default();
        for id in ["root", "chief"] {
            om.apply(EnsureUser { is_admin: true, pair: pair(id), ..om.account(id) }).expect("free names");
        }
        om.apply(delete("root")).expect("there is another");
        assert_eq!(om.apply(delete("chief")), Err(DeleteAccountRejected::LastAdministrator));
        om.check();
    }

    #[test]
    fn a_volume_ends_with_the_last_who_is_at_home_there() {
        let mut om = Namespace::with_users(["ada"]);
        for id in ["blue", "red"] {
            tenant(&mut om, id, "colours");
        }
        let colours = volume("colours");
        let entry = NativeEntry { who: NativeWho::World, rights: NativeRights::ALL, scope: NativeScope::Access };
        let acl = NativeAcl { entries: vec![entry] };
        rows::put(&mut om.tables, VOLUME_ACLS, &volume_acl_key(&colours), &acl);
        om.apply(delete("blue")).expect("blue has nothing");
        let owner = |om: &Namespace| namespace::volume(&om.tables, &colours).expect("memory").map(|row| row.owner.0);
        assert_eq!(owner(&om), Some("red".into()));
        assert!(om.tables.get(VOLUME_ACLS, &volume_acl_key(&colours)).expect("memory").is_none());
        let placed = CreateBucket { volume: colours.clone(), ..om.bucket("ada", "placed") };
        let placed = om.apply(placed).expect("a new bucket").id;
        assert_eq!(om.apply(delete("red")), Err(DeleteAccountRejected::Has(Belongings::Volume)));
        om.check();
        om.apply(DeleteBucket { bucket: placed }).expect("it is empty");
        om.apply(delete("red")).expect("nobody else is there");
        assert_eq!(owner(&om), None);
        let late = CreateBucket { volume: colours.clone(), ..om.bucket("ada", "late") };
        assert_eq!(om.apply(late), Err(CreateBucketRejected::NoSuchVolume), "a volume is made with an account");
        // Whoever comes later under the same name may live elsewhere.
        tenant(&mut om, "red", "scarlet");
        om.check();
    }
}
