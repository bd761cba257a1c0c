//! Delegation tokens: credentials that are renewed until their last day, and given up before it. They are issued as every
//! temporary credential is ([`super::OpenCredential`]), and end as those do when nobody renews them.

use minicbor::{Decode, Encode};
use tables::{StorageFault, WriteTables};
use types::{IamError, IamErrorCode, LogIndex, Timestamp};

use super::Outcome;
use crate::namespace;
use crate::rows::{self, AccessKeyId, CredentialHolder, CredentialRow, access_key_prefix, delegation_key, expiry_key};
use crate::tables::{DELEGATION_TOKENS, SESSIONS, SESSIONS_BY_EXPIRY};

/// Of an account at a time: their list is shown whole.
pub const MOST_DELEGATION_TOKENS: usize = 1_000;
/// Of one user of it, so that they leave room for the others.
const MOST_OF_ONE_USER: usize = 100;

/// Gives a new token its number and its place in its account's list. Of other credentials nothing is to be done.
pub(super) fn issue(
    log: LogIndex,
    tables: &mut dyn WriteTables,
    access_key: &AccessKeyId,
    row: &mut CredentialRow,
) -> Result<Result<(), IamError>, StorageFault> {
    let Some(delegation) = &mut row.delegation else { return Ok(Ok(())) };
    let (known, _) = rows::keys_under(tables, DELEGATION_TOKENS, &access_key_prefix(&row.account), MOST_DELEGATION_TOKENS)?;
    if known.len() == MOST_DELEGATION_TOKENS {
        let rule = format!("the account has {MOST_DELEGATION_TOKENS} delegation tokens: cancel some, or wait for their end");
        return Ok(Err(IamError::new(IamErrorCode::LimitExceeded, rule)));
    }
    if row.holder != CredentialHolder::Root {
        let mut own = 0;
        for key in &known {
            let Some(access_key) = rows::get::<AccessKeyId>(tables, DELEGATION_TOKENS, key)? else { continue };
            let holder = namespace::credential(tables, &access_key)?.map(|known| known.holder);
            own += usize::from(holder.as_ref() == Some(&row.holder));
        }
        if own >= MOST_OF_ONE_USER {
            let rule = format!("the user has {MOST_OF_ONE_USER} delegation tokens: cancel some, or wait for their end");
            return Ok(Err(IamError::new(IamErrorCode::LimitExceeded, rule)));
        }
    }
    delegation.sequence = log;
    rows::put(tables, DELEGATION_TOKENS, &delegation_key(&row.account, log), access_key);
    Ok(Ok(()))
}

/// The credential ends, and with it its place in the list.
pub(super) fn forget(tables: &mut dyn WriteTables, row: &CredentialRow) {
    if let Some(delegation) = &row.delegation {
        tables.delete(DELEGATION_TOKENS, &delegation_key(&row.account, delegation.sequence));
    }
}

fn no_such_token() -> IamError {
    IamError::new(IamErrorCode::NoSuchEntity, "there is no such delegation token")
}

/// It lasts until `expires`, or to its last day if that comes first. The leader has seen who asks.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RenewToken {
    #[n(0)]
    pub access_key: AccessKeyId,
    #[n(1)]
    pub now: Timestamp,
    #[n(2)]
    pub expires: Timestamp,
}

impl RenewToken {
    pub(super) fn apply(self, _: LogIndex, tables: &mut dyn WriteTables) -> Outcome<Timestamp, IamError> {
        let Some(mut row) = namespace::credential(tables, &self.access_key)? else { return Ok(Err(no_such_token())) };
        let Some(delegation) = &row.delegation else { return Ok(Err(no_such_token())) };
        if row.expires <= self.now {
            return Ok(Err(IamError::new(
                IamErrorCode::ExpiredToken,
                "the delegation token is over: it was not renewed in time",
            )));
        }
        tables.delete(SESSIONS_BY_EXPIRY, &expiry_key(row.expires, &self.access_key));
        row.expires = self.expires.min(delegation.ends);
        tables.put(SESSIONS_BY_EXPIRY, &expiry_key(row.expires, &self.access_key), Vec::new());
        rows::put(tables, SESSIONS, self.access_key.0.as_bytes(), &row);
        Ok(Ok(row.expires))
    }
}

/// The next request that it signs is refused.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CancelToken {
    #[n(0)]
    pub access_key: AccessKeyId,
}

impl CancelToken {
    pub(super) fn apply(self, _: LogIndex, tables: &mut dyn WriteTables) -> Outcome<(), IamError> {
        let row = namespace::credential(tables, &self.access_key)?.filter(|row| row.delegation.is_some());
        let Some(row) = row else { return Ok(Err(no_such_token())) };
        forget(tables, &row);
        tables.delete(SESSIONS, self.access_key.0.as_bytes());
        tables.delete(SESSIONS_BY_EXPIRY, &expiry_key(row.expires, &self.access_key));
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::delegation_tokens;
    use crate::rows::{Delegation, IamId, TokenDigest, UserId};
    use crate::testing::Namespace;
    use crate::{EndCredentials, OpenCredential};

    fn token(access_key: &str, expires: u64, ends: u64) -> OpenCredential {
        let delegation = Delegation { sequence: LogIndex(0), renewer: None, real_user: None, ends: Timestamp(ends) };
        let row = CredentialRow {
            account: UserId("ada".into()),
            holder: CredentialHolder::Root,
            sealed: vec![1],
            secret_version: 7,
            token: TokenDigest([3; 32]),
            created: Timestamp(1),
            expires: Timestamp(expires),
            policies: Vec::new(),
            tags: Vec::new(),
            claims: Vec::new(),
            provider: None,
            parent: None,
            delegation: Some(delegation),
            parent_version: None,
        };
        OpenCredential { access_key: AccessKeyId(access_key.into()), row }
    }

    #[test]
    fn a_user_leaves_room_for_the_tokens_of_the_account() {
        let mut om = Namespace::with_users(["ada"]);
        let of_carol = |number: usize| {
            let mut open = token(&format!("C{number}"), 10, 20);
            open.row.holder = CredentialHolder::User { name: "carol".into(), id: IamId("AIDA1".into()) };
            open
        };
        for number in 0..MOST_OF_ONE_USER {
            om.apply(of_carol(number)).expect("there is room");
        }
        assert_eq!(om.apply(of_carol(100)).map_err(|error| error.code), Err(IamErrorCode::LimitExceeded));
        om.apply(token("A", 10, 20)).expect("the account has room");
        om.check();
    }

    fn listed(om: &Namespace) -> Vec<String> {
        let tokens = delegation_tokens(&om.tables, &UserId("ada".into())).expect("memory");
        tokens.into_iter().map(|(access_key, _)| access_key.0).collect()
    }

    fn renew(access_key: &str, now: u64, expires: u64) -> RenewToken {
        RenewToken { access_key: AccessKeyId(access_key.into()), now: Timestamp(now), expires: Timestamp(expires) }
    }

    #[test]
    fn a_token_is_renewed_to_its_last_day_and_no_further() {
        let mut om = Namespace::with_users(["ada"]);
        om.apply(token("A", 10, 25)).expect("issued");
        assert_eq!(om.apply(renew("A", 5, 15)), Ok(Timestamp(15)));
        assert_eq!(om.apply(EndCredentials { until: Timestamp(14), most: 9 }), Ok(0));
        assert_eq!(om.apply(renew("A", 14, 30)), Ok(Timestamp(25)));
        let late = om.apply(renew("A", 25, 40)).expect_err("over");
        assert_eq!(late.code, IamErrorCode::ExpiredToken);
        assert_eq!(om.apply(EndCredentials { until: Timestamp(25), most: 9 }), Ok(1));
        assert!(listed(&om).is_empty());
        assert_eq!(om.apply(renew("A", 25, 40)).expect_err("gone").code, IamErrorCode::NoSuchEntity);
        om.check();
    }

    #[test]
    fn a_cancelled_token_is_gone_and_others_stay() {
        let mut om = Namespace::with_users(["ada"]);
        for name in ["B", "A"] {
            om.apply(token(name, 10, 20)).expect("issued");
        }
        assert_eq!(listed(&om), ["B", "A"], "in the order in which they were issued");
        assert_eq!(om.apply(CancelToken { access_key: AccessKeyId("B".into()) }), Ok(()));
        assert!(om.apply(CancelToken { access_key: AccessKeyId("B".into()) }).is_err());
        assert_eq!(listed(&om), ["A"]);
        om.check();
    }

    #[test]
    fn what_is_no_token_is_neither_renewed_nor_cancelled() {
        let mut om = Namespace::with_users(["ada"]);
        let mut session = token("S", 10, 20);
        session.row.delegation = None;
        om.apply(session).expect("opened");
        assert!(om.apply(renew("S", 5, 15)).is_err());
        assert!(om.apply(CancelToken { access_key: AccessKeyId("S".into()) }).is_err());
        assert!(listed(&om).is_empty());
    }

    #[test]
    fn an_account_has_only_so_many() {
        let mut om = Namespace::with_users(["ada"]);
        for number in 0..MOST_DELEGATION_TOKENS {
            om.apply(token(&format!("T{number}"), 10, 20)).expect("issued");
        }
        assert_eq!(om.apply(token("one more", 10, 20)).expect_err("too many").code, IamErrorCode::LimitExceeded);
        om.apply(CancelToken { access_key: AccessKeyId("T0".into()) }).expect("cancelled");
        om.apply(token("one more", 10, 20)).expect("issued");
    }
}
