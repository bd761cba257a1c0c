//! Delegation tokens: what somebody gives a job to act for them, renewed by whom they named for it until its last day.
//!
//! A token is a temporary credential like others, so that every client can sign with it. It ends when nobody renews it, when its
//! owner or its renewer gives it up, and with the key that asked for it. It is got, renewed and given up with keys that last:
//! what a token signs gets no other one.

use om_api as api;
use om_core::authorise::{AdminAction, Denied, Identity, administer, is_alive};
use om_core::iam::{self, Kind as Named, Query, Subject, account_by_id, split_arn};
use om_core::rows::{AccessKeyId, CredentialHolder, CredentialRow, Delegation, Principal, UserId, UserRow};
use om_core::{CancelToken, RenewToken, accounts, namespace};
use rpc::{CallContext, CallError};
use tables::{ReadTables, StorageFault};
use types::{IamErrorCode, IamValue, Millis, Timestamp};

use super::OmService;
use super::calls::{Kind, Stop, denied, facts, scoped};
use super::iam::{Rejected, check_parameters, refuse};
use super::sts::{Delegated, Session, holder_of, signing_key_of};

type Call = api::IamCall;

impl OmService {
    pub(super) async fn delegation_call(&self, cx: CallContext, request: Call) -> Result<IamValue, CallError<Rejected>> {
        match request.action.as_str() {
            "GetDelegationToken" => self.get_token(&cx, &request).await,
            "RenewDelegationToken" => self.renew_token(&cx, &request).await,
            "CancelDelegationToken" => self.cancel_token(&cx, &request).await,
            "ListDelegationTokens" => self.log.read(cx.deadline, |tables| self.tokens(tables, &request)).await,
            other => Err(refuse(IamErrorCode::InvalidAction, format!("{other} is not built")).into()),
        }
    }

    async fn get_token(&self, cx: &CallContext, request: &Call) -> Result<IamValue, CallError<Rejected>> {
        let session = self.log.read(cx.deadline, |tables| self.asked_token(tables, request)).await?;
        let answer = self.open_credential(cx, session).await?;
        let unknown = |why: &dyn std::fmt::Display| CallError::Unknown(why.to_string());
        let credentials = answer.get("Credentials").and_then(|credentials| credentials.get("AccessKeyId"));
        let access_key = AccessKeyId(credentials.and_then(IamValue::as_text).unwrap_or_default().to_owned());
        let shown = self.log.machine().read(|tables, _| match namespace::credential(tables, &access_key)? {
            Some(row) => show(tables, &access_key, &row),
            None => Ok(IamValue::empty()),
        });
        Ok(answer.with("Token", shown.map_err(|fault| unknown(&fault))?))
    }

    fn asked_token(&self, tables: &dyn ReadTables, request: &Call) -> Result<Session, Stop<Rejected>> {
        let identity = self.lasting(tables, request)?;
        let query = Query(&request.parameters);
        let (own, own_holder) = holder_of(tables, &identity)?.ok_or_else(|| denied(Denied::AccessDenied))?;
        let (account, holder, real_user) = match self.named_account_of_token(tables, request, &identity)? {
            Some(named) if named.id != own.id => (named, CredentialHolder::Root, Some(own.id.clone())),
            _ => (own.clone(), own_holder, None),
        };
        let renewer = query.text("Renewer").map(|name| renewer(tables, &own, name)).transpose()?;
        let longest = Millis::from(self.config.token_max_lifetime);
        let lasts = match query.number("MaxLifetime").map_err(|error| Stop::Rejected(Rejected::Error(error)))? {
            None => longest,
            Some(seconds) => {
                Some(Millis(u64::from(seconds) * 1000)).filter(|asked| (1..=longest.0).contains(&asked.0)).ok_or_else(|| {
                    refuse(IamErrorCode::ValidationError, format!("MaxLifetime: 1 to {} seconds", longest.0 / 1000))
                })?
            }
        };
        Ok(Session {
            account,
            holder,
            lasts: lasts.min(self.config.token_renew_interval.into()),
            policies: Vec::new(),
            tags: Vec::new(),
            claims: Vec::new(),
            provider: None,
            parent: signing_key_of(&request.by),
            delegated: Some(Delegated { renewer, real_user, lasts }),
            told: IamValue::empty(),
        })
    }

    async fn renew_token(&self, cx: &CallContext, request: &Call) -> Result<IamValue, CallError<Rejected>> {
        let access_key = self
            .log
            .read(cx.deadline, |tables| {
                let identity = self.lasting(tables, request)?;
                let (access_key, row, delegation) = named_token(tables, request)?;
                if !is_alive(tables, &row)? {
                    return Err(refuse(
                        IamErrorCode::NoSuchEntity,
                        "the delegation token's owner, or the key that asked for it, is gone",
                    ));
                }
                let may = delegation.renewer.as_ref().is_some_and(|renewer| identity.is(&renewer.account, &renewer.holder));
                if may { Ok(access_key) } else { Err(self.not_theirs(request, &identity, "only its renewer renews a token")) }
            })
            .await?;
        let now = self.clock.now();
        let command = RenewToken { access_key, now, expires: now + self.config.token_renew_interval.into() };
        let renewed = self.log.propose(scoped(cx, Kind::RenewToken), command, cx.deadline).await;
        let expires: Timestamp = renewed.map_err(|error| error.map_rejection(Rejected::Error))?;
        Ok(IamValue::field("Expiration", iam::date(expires)))
    }

    async fn cancel_token(&self, cx: &CallContext, request: &Call) -> Result<IamValue, CallError<Rejected>> {
        let access_key = self
            .log
            .read(cx.deadline, |tables| {
                let identity = self.lasting(tables, request)?;
                let (access_key, row, delegation) = named_token(tables, request)?;
                let renews = delegation.renewer.as_ref().is_some_and(|renewer| identity.is(&renewer.account, &renewer.holder));
                let may = renews || is_owner(&identity, &row) || self.administers(request, &identity);
                if may { Ok(access_key) } else { Err(self.not_theirs(request, &identity, "the token is another's")) }
            })
            .await?;
        let cancelled = self.log.propose(scoped(cx, Kind::CancelToken), CancelToken { access_key }, cx.deadline).await;
        cancelled.map_err(|error| error.map_rejection(Rejected::Error))?;
        Ok(IamValue::empty())
    }

    /// A user's own; an account's root sees all of the account's, an administrator those of any account that they name.
    fn tokens(&self, tables: &dyn ReadTables, request: &Call) -> Result<IamValue, Stop<Rejected>> {
        let identity = self.lasting(tables, request)?;
        let named = self.named_account_of_token(tables, request, &identity)?;
        let is_elsewhere = named.is_some();
        let account = named.map(|account| account.id).or_else(|| identity.user_id().cloned());
        let account: UserId = account.ok_or_else(|| denied(Denied::AccessDenied))?;
        let now = self.clock.now();
        let mut shown = Vec::new();
        for (access_key, row) in accounts::delegation_tokens(tables, &account)? {
            if row.expires > now && (is_elsewhere || is_owner(&identity, &row)) {
                shown.push(show(tables, &access_key, &row)?);
            }
        }
        Ok(IamValue::field("Tokens", IamValue::List(shown)))
    }

    /// Who asks, with a key that lasts.
    fn lasting(&self, tables: &dyn ReadTables, request: &Call) -> Result<Identity, Stop<Rejected>> {
        let identity = self.identity::<Rejected>(tables, &request.by)?;
        check_parameters(&request.parameters)?;
        if identity.is_lasting() {
            return Ok(identity);
        }
        Err(refuse(
            IamErrorCode::AccessDenied,
            "delegation tokens are for keys that last: a temporary credential gets, renews and cancels none",
        ))
    }

    fn administers(&self, request: &Call, identity: &Identity) -> bool {
        let facts = facts(&request.by, self.clock.now());
        administer(identity, AdminAction::Administer, None, &facts).is_ok()
    }

    /// The account that an administrator's root acts for.
    fn named_account_of_token(
        &self,
        tables: &dyn ReadTables,
        request: &Call,
        identity: &Identity,
    ) -> Result<Option<UserRow>, Stop<Rejected>> {
        let Some(id) = Query(&request.parameters).text("AccountId") else { return Ok(None) };
        // Who may not look there does not learn what is there.
        if !identity.is_root() || !self.administers(request, identity) {
            return Err(denied(Denied::AccessDenied));
        }
        let found = account_by_id(tables, id)?;
        found.map(Some).ok_or_else(|| refuse(IamErrorCode::NoSuchEntity, format!("there is no account {id}")))
    }

    fn not_theirs(&self, request: &Call, identity: &Identity, why: &str) -> Stop<Rejected> {
        self.refused(&request.by, identity, || format!("{}: {why}", request.action));
        refuse(IamErrorCode::AccessDenied, why)
    }
}

/// It is theirs, or their account's.
fn is_owner(identity: &Identity, row: &CredentialRow) -> bool {
    identity.is(&row.account, &row.holder) || identity.is(&row.account, &CredentialHolder::Root)
}

fn named_token(tables: &dyn ReadTables, request: &Call) -> Result<(AccessKeyId, CredentialRow, Delegation), Stop<Rejected>> {
    let name = Query(&request.parameters).required("AccessKeyId").map_err(|error| Stop::Rejected(Rejected::Error(error)))?;
    let access_key = AccessKeyId(name.to_owned());
    let found = namespace::credential(tables, &access_key)?.and_then(|row| Some((row.delegation.clone()?, row)));
    let (delegation, row) = found.ok_or_else(|| refuse(IamErrorCode::NoSuchEntity, "there is no such delegation token"))?;
    Ok((access_key, row, delegation))
}

fn renewer(tables: &dyn ReadTables, own: &UserRow, name: &str) -> Result<Principal, Stop<Rejected>> {
    let unknown = || refuse(IamErrorCode::NoSuchEntity, format!("Renewer: there is nobody of the name {name}"));
    principal(tables, own, name)?.ok_or_else(unknown)
}

/// Somebody by name: a user of the own account, an account by its number or id, or either by ARN.
pub(super) fn principal(tables: &dyn ReadTables, own: &UserRow, name: &str) -> Result<Option<Principal>, StorageFault> {
    let of_user = |account: UserRow, user: &str, path: Option<&str>| {
        let found = iam::user(tables, &account.id, user)?.filter(|row| path.is_none_or(|path| path == row.path));
        let holder = found.map(|row| CredentialHolder::User { name: row.name, id: row.id });
        Ok::<_, StorageFault>(holder.map(|holder| Principal { account: account.id, holder }))
    };
    let of_root = |id: &str| {
        let found = account_by_id(tables, id)?;
        Ok::<_, StorageFault>(found.map(|account| Principal { account: account.id, holder: CredentialHolder::Root }))
    };
    if let Some((of, path, user)) = split_arn(name, Named::User) {
        let Some(account) = account_by_id(tables, of)? else { return Ok(None) };
        return of_user(account, user, Some(path));
    }
    if let Some(of) = name.strip_prefix("arn:aws:iam::").and_then(|rest| rest.strip_suffix(":root")) {
        return of_root(of);
    }
    match of_user(own.clone(), name, None)? {
        Some(user) => Ok(Some(user)),
        None => of_root(name),
    }
}

/// A token as its owner sees it: without what it signs with.
fn show(tables: &dyn ReadTables, access_key: &AccessKeyId, row: &CredentialRow) -> Result<IamValue, StorageFault> {
    let Some(delegation) = &row.delegation else { return Ok(IamValue::empty()) };
    let renewer = delegation.renewer.as_ref();
    let renewer = renewer.map(|renewer| arn(tables, &renewer.account, &renewer.holder)).transpose()?;
    let real_user = delegation.real_user.as_ref().map(|user| arn(tables, user, &CredentialHolder::Root)).transpose()?;
    Ok(IamValue::field("AccessKeyId", access_key.0.as_str())
        .with("Owner", arn(tables, &row.account, &row.holder)?)
        .with_some("Renewer", renewer)
        .with_some("RealUser", real_user)
        .with("SequenceNumber", delegation.sequence.0.to_string())
        .with("IssueDate", iam::date(row.created))
        .with("MaxDate", iam::date(delegation.ends))
        .with("Expiration", iam::date(row.expires)))
}

pub(super) fn arn(tables: &dyn ReadTables, account: &UserId, holder: &CredentialHolder) -> Result<String, StorageFault> {
    let Some(account) = namespace::user(tables, account)? else { return Ok(account.0.clone()) };
    match holder {
        CredentialHolder::Root => Ok(format!("arn:aws:iam::{}:root", account.account_id())),
        CredentialHolder::User { name, .. } => Subject::Named(Named::User, name.clone()).arn(tables, &account),
        CredentialHolder::Role { name, .. } => Subject::Named(Named::Role, name.clone()).arn(tables, &account),
    }
}
