//! A user is as the operator says.

use minicbor::{Decode, Encode};
use tables::{ReadTables, StorageFault, WriteTables};
use types::{LogIndex, Timestamp, VolumeName};

use super::update_account::move_email;
use super::{Outcome, revoke_secret};
use crate::iam::preferred_number;
use crate::namespace;
use crate::rows::{
    self, AccessKeyId, AccessKeyRow, AccountNumber, PairOrigin, UserId, UserRow, VolumeRow, access_key_of_user,
    access_key_prefix, keys_under, malformed,
};
use crate::tables::{ACCESS_KEYS, ACCOUNT_NUMBERS, USER_ACCESS_KEYS, USERS, VOLUMES};

/// A secret that the leader has sealed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SealedPair {
    #[n(0)]
    pub access_key: AccessKeyId,
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub sealed: Vec<u8>,
    #[n(2)]
    pub secret_version: u64,
}

/// Creates the user or changes names and rights to those given. A pair is added, or replaces the secret of its access key. A pair
/// of the configuration takes the place of the one that the configuration gave before, and does not bring back what was revoked.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct EnsureUser {
    #[n(0)]
    pub user: UserId,
    #[n(1)]
    pub display_name: String,
    #[n(2)]
    pub email: Option<String>,
    #[n(3)]
    pub is_admin: bool,
    #[n(4)]
    pub pair: Option<SealedPair>,
    #[n(5)]
    pub now: Timestamp,
    /// The pair's. In logs of releases that did not keep it there is none.
    #[n(6)]
    pub origin: Option<PairOrigin>,
    /// Where the account's buckets lie. None says nothing of it.
    #[n(7)]
    pub volume: Option<VolumeName>,
}

/// A user with the access keys that sign for them.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct UserAccount {
    #[n(0)]
    pub user: UserRow,
    #[n(1)]
    pub access_keys: Vec<AccessKeyId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum EnsureUserRejected {
    #[n(0)]
    AccessKeyTaken,
    #[n(1)]
    EmailTaken,
    /// It is at home in this one.
    #[n(2)]
    VolumeFixed(#[n(0)] VolumeName),
}

impl EnsureUser {
    pub(super) fn apply(self, _: LogIndex, tables: &mut dyn WriteTables) -> Outcome<UserAccount, EnsureUserRejected> {
        if let Some(pair) = &self.pair
            && namespace::access_key(tables, &pair.access_key)?.is_some_and(|row| row.user != self.user)
        {
            return Ok(Err(EnsureUserRejected::AccessKeyTaken));
        }
        let before = namespace::user(tables, &self.user)?;
        if let Some((before, volume)) = before.as_ref().zip(self.volume.as_ref())
            && before.home() != volume
        {
            return Ok(Err(EnsureUserRejected::VolumeFixed(before.home().clone())));
        }
        let volume = match &before {
            Some(before) => before.volume.clone(),
            None => self.volume.filter(|volume| !volume.is_s3v()),
        };
        let old_email = before.as_ref().and_then(|row| row.email.as_deref());
        if !move_email(tables, &self.user, old_email, self.email.as_deref())? {
            return Ok(Err(EnsureUserRejected::EmailTaken));
        }
        if let Some(volume) = &volume {
            ensure_volume(tables, volume, &self.user, self.now)?;
        }
        let user = UserRow {
            id: self.user.clone(),
            display_name: self.display_name,
            email: self.email,
            is_admin: self.is_admin,
            created: before.as_ref().map_or(self.now, |row| row.created),
            number: Some(match before.as_ref().and_then(|row| row.number) {
                Some(number) => number,
                None => number(tables, &self.user)?,
            }),
            is_governed: before.as_ref().and_then(|row| row.is_governed),
            block: before.and_then(|row| row.block),
            volume,
        };
        rows::put(tables, USERS, user.id.0.as_bytes(), &user);
        if let Some(pair) = self.pair {
            let is_configured = self.origin == Some(PairOrigin::Configuration);
            if is_configured {
                replace_configured(tables, &user.id, &pair.access_key, self.now)?;
            }
            if !(is_configured && namespace::is_revoked(tables, &pair.access_key)?) {
                put_pair(tables, &user.id, pair, self.origin, self.now)?;
            }
        }
        let access_keys = access_keys(tables, &user.id)?;
        Ok(Ok(UserAccount { user, access_keys }))
    }
}

/// Of several accounts that share a volume it belongs to the first.
fn ensure_volume(tables: &mut dyn WriteTables, volume: &VolumeName, owner: &UserId, now: Timestamp) -> Result<(), StorageFault> {
    if namespace::volume(tables, volume)?.is_none() {
        rows::put(tables, VOLUMES, volume.as_str().as_bytes(), &VolumeRow { owner: owner.clone(), created: now });
    }
    Ok(())
}

/// The account's number, which nothing else has: the one that it had if there was an account of this name before.
fn number(tables: &mut dyn WriteTables, account: &UserId) -> Result<AccountNumber, StorageFault> {
    let mut number = preferred_number(account);
    let is_anothers = |tables: &dyn ReadTables, number: AccountNumber| -> Result<bool, StorageFault> {
        let owner: Option<UserId> = rows::get(tables, ACCOUNT_NUMBERS, &number.0.to_be_bytes())?;
        Ok(owner.is_some_and(|owner| owner != *account))
    };
    while is_anothers(tables, number)? {
        number = AccountNumber(AccountNumber::FIRST + (number.0 + 1 - AccountNumber::FIRST) % AccountNumber::COUNT);
    }
    rows::put(tables, ACCOUNT_NUMBERS, &number.0.to_be_bytes(), account);
    Ok(number)
}

/// Ends the pairs that the configuration gave this user before, but for the one that it gives now.
fn replace_configured(
    tables: &mut dyn WriteTables,
    user: &UserId,
    but: &AccessKeyId,
    now: Timestamp,
) -> Result<(), StorageFault> {
    for access_key in access_keys(tables, user)? {
        let origin = namespace::access_key(tables, &access_key)?.and_then(|row| row.origin);
        if origin == Some(PairOrigin::Configuration) && access_key != *but {
            revoke_secret::end(tables, user, &access_key, Some(now));
        }
    }
    Ok(())
}

pub(super) fn put_pair(
    tables: &mut dyn WriteTables,
    user: &UserId,
    pair: SealedPair,
    origin: Option<PairOrigin>,
    now: Timestamp,
) -> Result<(), StorageFault> {
    let SealedPair { access_key, sealed, secret_version } = pair;
    // Who disabled it did not mean one secret of it.
    let is_inactive = namespace::access_key(tables, &access_key)?.and_then(|row| row.is_inactive);
    let row = AccessKeyRow { user: user.clone(), sealed, secret_version, created: now, origin, holder: None, is_inactive };
    rows::put(tables, ACCESS_KEYS, access_key.0.as_bytes(), &row);
    tables.put(USER_ACCESS_KEYS, &access_key_of_user(user, &access_key), Vec::new());
    Ok(())
}

/// The access keys that sign for a user.
pub(crate) fn access_keys(tables: &dyn ReadTables, user: &UserId) -> Result<Vec<AccessKeyId>, StorageFault> {
    let prefix = access_key_prefix(user);
    let (keys, _) = keys_under(tables, USER_ACCESS_KEYS, &prefix, usize::MAX)?;
    let parse = |key: Vec<u8>| {
        let name = std::str::from_utf8(&key[prefix.len()..]).map_err(|_| malformed(USER_ACCESS_KEYS, "a key is not text"))?;
        Ok(AccessKeyId(name.to_owned()))
    };
    keys.into_iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RevokeSecret;
    use crate::iam::{ChangeIam, IamChange};
    use crate::testing::Namespace;

    fn ensure(user: &str, access_key: &str, email: Option<&str>) -> EnsureUser {
        EnsureUser {
            user: UserId(user.into()),
            display_name: format!("{user} of Trioxide"),
            email: email.map(str::to_owned),
            is_admin: false,
            pair: Some(SealedPair { access_key: AccessKeyId(access_key.into()), sealed: vec![1, 2], secret_version: 7 }),
            now: Timestamp(5),
            origin: None,
            volume: None,
        }
    }

    fn configured(user: &str, access_key: &str) -> EnsureUser {
        EnsureUser { origin: Some(PairOrigin::Configuration), ..ensure(user, access_key, None) }
    }

    #[test]
    fn ensuring_twice_is_ensuring_once() {
        let mut om = Namespace::default();
        let first = om.apply(ensure("ada", "AK", Some("ada@example.com"))).expect("free names");
        let rows = om.tables.clone();
        assert_eq!(om.apply(ensure("ada", "AK", Some("ada@example.com"))), Ok(first));
        assert!(om.tables == rows);
        om.check();
    }

    #[test]
    fn access_keys_and_addresses_belong_to_one_user() {
        let mut om = Namespace::default();
        om.apply(ensure("ada", "AK", Some("Ada@example.com"))).expect("free names");
        assert_eq!(om.apply(ensure("bob", "AK", None)), Err(EnsureUserRejected::AccessKeyTaken));
        assert_eq!(om.apply(ensure("bob", "BK", Some("ada@Example.com"))), Err(EnsureUserRejected::EmailTaken));
        om.apply(ensure("ada", "AK", None)).expect("an address may be given up");
        om.apply(ensure("bob", "BK", Some("ada@example.com"))).expect("it is free again");
        om.check();
    }

    #[test]
    fn another_pair_of_the_configuration_takes_the_place_of_its_former_one_alone() {
        let mut om = Namespace::default();
        om.apply(ensure("ada", "OWN", None)).expect("free names");
        om.apply(configured("ada", "AK")).expect("free names");
        om.apply(configured("bob", "BOB")).expect("free names");
        let account = om.apply(configured("ada", "BK")).expect("free names");
        assert_eq!(account.access_keys, [AccessKeyId("BK".into()), AccessKeyId("OWN".into())]);
        assert!(namespace::access_key(&om.tables, &AccessKeyId("AK".into())).expect("memory").is_none());
        assert!(namespace::access_key(&om.tables, &AccessKeyId("BOB".into())).expect("memory").is_some());
        let back = om.apply(configured("ada", "AK")).expect("the user is as the operator says");
        assert_eq!(back.access_keys, [AccessKeyId("OWN".into())], "what was replaced may be known to others");
        om.check();
    }

    #[test]
    fn another_secret_of_a_disabled_pair_does_not_enable_it() {
        let mut om = Namespace::default();
        om.apply(configured("ada", "AK")).expect("free names");
        let key = AccessKeyId("AK".into());
        let disable = IamChange::SetKeyStatus { user: None, key: key.clone(), is_active: false };
        om.apply(ChangeIam { account: UserId("ada".into()), change: disable, now: Timestamp(6) }).expect("there is one");
        om.apply(configured("ada", "AK")).expect("the user is as the operator says");
        assert_eq!(namespace::access_key(&om.tables, &key).expect("memory").expect("there").is_inactive, Some(true));
    }

    #[test]
    fn the_configuration_does_not_bring_back_a_revoked_key() {
        let mut om = Namespace::default();
        om.apply(configured("ada", "AK")).expect("free names");
        om.apply(RevokeSecret { user: UserId("ada".into()), now: Some(Timestamp(6)), access_key: None }).expect("there is one");
        let account = om.apply(configured("ada", "AK")).expect("the user is as the operator says");
        assert_eq!(account.access_keys, []);
        let account = om.apply(configured("ada", "BK")).expect("another pair is no revoked one");
        assert_eq!(account.access_keys, [AccessKeyId("BK".into())]);
        om.check();
    }

    #[test]
    fn a_second_pair_stands_beside_the_first() {
        let mut om = Namespace::default();
        om.apply(ensure("ada", "AK", None)).expect("free names");
        let account = om.apply(ensure("ada", "BK", None)).expect("free names");
        assert_eq!(account.access_keys, [AccessKeyId("AK".into()), AccessKeyId("BK".into())]);
        om.check();
    }
}
