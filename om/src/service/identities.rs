//! Users, their secrets, and the keys derived from them.

use std::sync::atomic::Ordering;

use om_api as api;
use om_core::accounts;
use om_core::authorise::AdminAction;
use om_core::rows::{AccessKeyId, AccessKeyRow, PairOrigin, SealCheck, TokenDigest, UserId, UserRow};
use om_core::{EnsureUser, SealedPair, SetSealCheck, UserAccount, namespace};
use rpc::{CallContext, CallError};
use tables::{ReadTables, StorageFault};
use tracing::warn;
use types::VolumeName;

use super::OmService;
use super::buckets::Names;
use super::calls::{Kind, Stop, scoped};
use crate::convert::{IntoApi, IntoCore};
use crate::secrets::{Scope, SealError, derive, is_signed_v2, new_access_key, new_secret};

/// A user as a call shows them.
pub(super) fn show(account: UserAccount) -> api::UserInfo {
    let UserAccount { user, access_keys } = account;
    let account_id = Some(user.account_id());
    let UserRow { id, display_name, email, is_admin, volume, .. } = user;
    api::UserInfo {
        account_id,
        user: api::DisplayUser { id: id.into_api(), display_name },
        email,
        is_admin,
        access_keys: access_keys.into_iter().map(IntoApi::into_api).collect(),
        volume,
    }
}

/// What is there of a user who is to be as the configuration says.
struct Known {
    account: Option<UserAccount>,
    /// Of the access key that the configuration names.
    key_row: Option<AccessKeyRow>,
    is_revoked: bool,
    /// That key is the configuration's, and the user has no other one from there.
    is_only_configured: bool,
}

impl Known {
    fn look_up(tables: &dyn ReadTables, user: &UserId, pair: Option<&AccessKeyId>) -> Result<Self, StorageFault> {
        let account = accounts::account(tables, user)?;
        let mut configured = Vec::new();
        for key in account.iter().flat_map(|account| &account.access_keys) {
            let origin = namespace::access_key(tables, key)?.and_then(|row| row.origin);
            configured.extend((origin == Some(PairOrigin::Configuration)).then_some(key));
        }
        let is_only_configured = pair.is_some_and(|pair| configured == [pair]);
        let Some(pair) = pair else { return Ok(Self { account, key_row: None, is_revoked: false, is_only_configured }) };
        let (key_row, is_revoked) = (namespace::access_key(tables, pair)?, namespace::is_revoked(tables, pair)?);
        Ok(Self { account, key_row, is_revoked, is_only_configured })
    }
}

/// Whose a secret is, and where their buckets lie.
struct Owner {
    user: api::DisplayUser,
    volume: Option<VolumeName>,
}

/// A secret as it lies in a row, whichever kind of credential it is of.
struct SealedSecret {
    account: UserId,
    bytes: Vec<u8>,
    secret_version: u64,
    token: Option<TokenDigest>,
}

impl SealedSecret {
    /// Of an access key that signs. One that is inactive signs nothing.
    fn of(tables: &dyn ReadTables, access_key: &AccessKeyId) -> Result<Option<Self>, StorageFault> {
        if let Some(row) = namespace::access_key(tables, access_key)?.filter(AccessKeyRow::is_active) {
            let AccessKeyRow { user: account, sealed: bytes, secret_version, .. } = row;
            return Ok(Some(Self { account, bytes, secret_version, token: None }));
        }
        let row = namespace::credential(tables, access_key)?;
        Ok(row.map(|row| Self {
            account: row.account,
            bytes: row.sealed,
            secret_version: row.secret_version,
            token: Some(row.token),
        }))
    }
}

pub(super) fn sealing_failed<R>(error: SealError) -> CallError<R> {
    tracing::error!(%error, "sealing or opening a secret");
    CallError::unavailable(error)
}

impl OmService {
    pub(super) async fn signing_key(
        &self,
        cx: CallContext,
        request: api::SigningKeyRequest,
    ) -> Result<api::SigningKey, CallError<api::SigningKeyRejected>> {
        let access_key = request.access_key.into_core();
        let scope = Scope::parse(request.date, request.region, request.service);
        let (Some((sealed, owner)), Some(scope)) = (self.key_and_user(&cx, &access_key).await?, scope) else {
            self.derive_for_nobody();
            return Err(CallError::Rejected(api::SigningKeyRejected::NoSuchAccessKey));
        };
        let key = self.derived(&access_key, &sealed, &scope).map_err(sealing_failed)?;
        let (secret_version, token) = (sealed.secret_version, sealed.token.map(|token| token.0));
        Ok(api::SigningKey { key, secret_version, user: owner.user, token, volume: owner.volume })
    }

    /// The secret that signs for an access key, and for whom.
    async fn key_and_user<R>(
        &self,
        cx: &CallContext,
        access_key: &AccessKeyId,
    ) -> Result<Option<(SealedSecret, Owner)>, CallError<R>> {
        self.log
            .read(cx.deadline, |tables| {
                let Some(sealed) = SealedSecret::of(tables, access_key)? else { return Ok(None) };
                let volume = namespace::user(tables, &sealed.account)?.and_then(|account| account.volume);
                let user = Names::new(tables).show(&sealed.account)?;
                Ok::<_, Stop<R>>(Some((sealed, Owner { user, volume })))
            })
            .await
    }

    pub(super) async fn verify_v2(
        &self,
        cx: CallContext,
        request: api::SignatureV2,
    ) -> Result<api::SignerV2, CallError<api::SignatureV2Rejected>> {
        type Rejected = api::SignatureV2Rejected;
        let access_key = request.access_key.into_core();
        let is_signed = |secret: &str| is_signed_v2(secret, request.texts.iter().map(|text| text.as_slice()), &request.signature);
        let Some((sealed, owner)) = self.key_and_user(&cx, &access_key).await? else {
            self.with_nobodys_secret(|secret| is_signed(secret));
            return Err(CallError::Rejected(Rejected::NoSuchAccessKey));
        };
        let secret = self.seal.open(&access_key, sealed.secret_version, &sealed.bytes).map_err(sealing_failed)?;
        if !is_signed(&secret) {
            return Err(CallError::Rejected(Rejected::Mismatch));
        }
        let (secret_version, token) = (sealed.secret_version, sealed.token.map(|token| token.0));
        Ok(api::SignerV2 { secret_version, user: owner.user, token, volume: owner.volume })
    }

    fn derived(&self, access_key: &AccessKeyId, row: &SealedSecret, scope: &Scope) -> Result<[u8; 32], SealError> {
        if let Some(key) = self.signing_keys.get(access_key, row.secret_version, scope) {
            return Ok(key);
        }
        let secret = self.seal.open(access_key, row.secret_version, &row.bytes)?;
        let key = derive(&secret, scope);
        self.signing_keys.put(access_key, row.secret_version, scope, key);
        Ok(key)
    }

    /// The work that a known access key costs at its first use, so that time does not tell which exist.
    fn derive_for_nobody(&self) {
        let scope = Scope { date: "20000101".into(), region: "us-east-1".into(), service: "s3".into() };
        self.with_nobodys_secret(|secret| derive(secret, &scope));
    }

    fn with_nobodys_secret<T>(&self, work: impl FnOnce(&str) -> T) {
        let nobody = AccessKeyId("nobody".into());
        let secret = self.seal.seal(&nobody, 0, "0123456789012345678901234567890123456789");
        if let Ok(secret) = secret.and_then(|sealed| self.seal.open(&nobody, 0, &sealed)) {
            std::hint::black_box(work(&secret));
        }
    }

    pub(super) async fn authorise_admin(&self, cx: CallContext, by: api::Requester) -> Result<(), CallError<api::Denied>> {
        self.log.read(cx.deadline, |tables| self.administer(tables, &by, AdminAction::Administer, None).map(drop)).await
    }

    /// Whose secret a request is about, if the requester may.
    async fn secret_owner(
        &self,
        cx: &CallContext,
        by: &api::Requester,
        named: Option<api::UserId>,
        action: AdminAction<'_>,
    ) -> Result<UserId, CallError<api::SecretRejected>> {
        let named = named.map(IntoCore::into_core);
        self.log
            .read(cx.deadline, |tables| {
                let identity = self.identity::<api::SecretRejected>(tables, by)?;
                let nobody = || Stop::Rejected(api::SecretRejected::Denied(api::Denied::AccessDenied));
                let user = named.or_else(|| identity.user_id().cloned()).ok_or_else(nobody)?;
                self.administer::<api::SecretRejected>(tables, by, action, Some(&user))?;
                // Who has the secret of an administrator of the cluster is one.
                let is_admins = namespace::user(tables, &user)?.is_some_and(|account| account.is_admin);
                if is_admins && !identity.is_root() {
                    self.administer::<api::SecretRejected>(tables, by, AdminAction::Administer, None)?;
                }
                Ok(user)
            })
            .await
    }

    pub(super) async fn create_secret(
        &self,
        cx: CallContext,
        request: api::CreateSecret,
    ) -> Result<api::IssuedSecret, CallError<api::SecretRejected>> {
        let api::CreateSecret { by, user, rotates, pair } = request;
        let action = if pair.is_some() { AdminAction::ImportSecret } else { AdminAction::CreateSecret };
        let user = self.secret_owner(&cx, &by, user, action).await?;
        pair.as_ref().map_or(Ok(()), api::KeyPair::check_strength).map_err(CallError::Rejected)?;
        self.settle_seal(&cx).await?;
        let pair = match pair {
            Some(api::KeyPair { access_key, secret_key }) => self.sealed(access_key.into_core(), &secret_key.0),
            None => self.sealed(AccessKeyId(new_access_key(&*self.entropy)), &new_secret(&*self.entropy)),
        };
        let pair = pair.map_err(sealing_failed)?;
        let command = om_core::CreateSecret { user: user.clone(), pair, now: self.clock.now(), rotates };
        let created = self.log.propose(scoped(&cx, Kind::CreateSecret), command, cx.deadline).await;
        let access_key = created.map_err(|error| error.map_rejection(IntoApi::into_api))?;
        // A retry has rolled another pair, and must show the first.
        Ok(api::IssuedSecret { user: user.into_api(), pair: self.kept_pair(&access_key)? })
    }

    /// A pair that was made just now, as it is kept.
    pub(super) fn kept_pair<R>(&self, access_key: &AccessKeyId) -> Result<api::KeyPair, CallError<R>> {
        let row = self
            .log
            .machine()
            .read(|tables, _| namespace::access_key(tables, access_key))
            .map_err(|fault| CallError::Unknown(fault.to_string()))?
            .ok_or_else(|| CallError::Unknown("the secret was revoked as it was made".to_owned()))?;
        let secret = self.seal.open(access_key, row.secret_version, &row.sealed).map_err(sealing_failed)?;
        Ok(api::KeyPair { access_key: access_key.clone().into_api(), secret_key: api::SecretKey(secret.to_string()) })
    }

    pub(super) async fn revoke_secret(
        &self,
        cx: CallContext,
        request: api::RevokeSecret,
    ) -> Result<(), CallError<api::SecretRejected>> {
        let user = self.secret_owner(&cx, &request.by, request.user, AdminAction::RevokeSecret).await?;
        let access_key = request.access_key.map(IntoCore::into_core);
        let command = om_core::RevokeSecret { user, now: Some(self.clock.now()), access_key };
        let revoked = self.log.propose(scoped(&cx, Kind::RevokeSecret), command, cx.deadline).await;
        revoked.map_err(|error| error.map_rejection(IntoApi::into_api))
    }

    pub(super) async fn list_users(
        &self,
        cx: CallContext,
        request: api::ListUsers,
    ) -> Result<Vec<api::UserInfo>, CallError<api::SecretRejected>> {
        self.log
            .read(cx.deadline, |tables| {
                self.administer::<api::SecretRejected>(tables, &request.by, AdminAction::ListUsers, None)?;
                Ok(accounts::accounts(tables)?.into_iter().map(show).collect())
            })
            .await
    }

    pub(super) async fn ensure_user(
        &self,
        cx: CallContext,
        request: api::EnsureUser,
    ) -> Result<api::UserInfo, CallError<api::EnsureUserRejected>> {
        type Rejected = api::EnsureUserRejected;
        request.check().map_err(CallError::Rejected)?;
        let api::EnsureUser { user, email, is_admin, pair, volume } = request;
        let id = user.id.into_core();
        let pair_id = pair.as_ref().map(|pair| pair.access_key.clone().into_core());
        let known = self
            .log
            .read(cx.deadline, |tables| Known::look_up(tables, &id, pair_id.as_ref()).map_err(Stop::<Rejected>::from))
            .await?;
        let pair = match pair {
            Some(pair) if known.is_revoked => {
                warn!(user = ?id, access_key = %pair.access_key, "the configuration names an access key that was revoked or replaced: it stays so, another one is needed");
                None
            }
            pair => pair,
        };
        let has_pair = match &pair {
            None => true,
            Some(pair) => known.key_row.as_ref().is_some_and(|row| row.user == id && self.holds(pair, row)),
        };
        // Nothing to change, nothing to write: a restart ensures every user that a configuration names.
        let is_settled = has_pair && (pair.is_none() || known.is_only_configured);
        if let Some(account) = known.account.filter(|_| is_settled) {
            let UserRow { display_name, email: known_email, is_admin: was_admin, .. } = &account.user;
            let is_settled = account.user.number.is_some() && volume.as_ref().is_none_or(|volume| account.user.home() == volume);
            if is_settled && *display_name == user.display_name && *known_email == email && *was_admin == is_admin {
                return Ok(show(account));
            }
        }
        self.settle_seal(&cx).await?;
        let pair = match pair.filter(|_| !is_settled) {
            Some(pair) => {
                let sealed = self.sealed(pair.access_key.into_core(), &pair.secret_key.0);
                Some(sealed.map_err(sealing_failed)?)
            }
            None => None,
        };
        let origin = Some(PairOrigin::Configuration);
        let (display_name, now) = (user.display_name, self.clock.now());
        let command = EnsureUser { user: id, display_name, email, is_admin, pair, now, origin, volume };
        let ensured = self.log.propose(scoped(&cx, Kind::EnsureUser), command, cx.deadline).await;
        ensured.map(show).map_err(|error| error.map_rejection(IntoApi::into_api))
    }

    /// Whether the row keeps this very secret.
    pub(super) fn holds(&self, pair: &api::KeyPair, row: &AccessKeyRow) -> bool {
        let opened = self.seal.open(&pair.access_key.clone().into_core(), row.secret_version, &row.sealed);
        opened.is_ok_and(|secret| *secret == pair.secret_key.0)
    }

    pub(super) fn sealed(&self, access_key: AccessKeyId, secret: &str) -> Result<SealedPair, SealError> {
        let secret_version = self.entropy.u64();
        let sealed = self.seal.seal(&access_key, secret_version, secret)?;
        Ok(SealedPair { access_key, sealed, secret_version })
    }

    /// Before the first secret is sealed, agrees on the key that seals them all; later, checks that this member has it.
    pub(super) async fn settle_seal<R>(&self, cx: &CallContext) -> Result<(), CallError<R>> {
        // A check that was agreed on never changes.
        if self.is_seal_settled.load(Ordering::Acquire) {
            return Ok(());
        }
        let known = self.log.machine().read(|tables, _| accounts::seal_check(tables)).map_err(CallError::unavailable)?;
        let check = match known {
            Some(check) => check,
            None => {
                let check = SealCheck { sealed: self.seal.new_check().map_err(sealing_failed)? };
                let settled = self.log.propose(None, SetSealCheck { check }, cx.deadline).await;
                settled.map_err(|error| error.map_rejection(|never| match never {}))?
            }
        };
        self.seal.verify_check(&check.sealed).map_err(sealing_failed)?;
        self.is_seal_settled.store(true, Ordering::Release);
        Ok(())
    }
}
