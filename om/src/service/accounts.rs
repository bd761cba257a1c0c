//! Accounts come, change and go while the cluster runs; the configuration's are [ensured](super::identities) at starts.

use om_api as api;
use om_core::EnsureUser;
use om_core::authorise::AdminAction;
use om_core::iam::account_by_id;
use om_core::rows::{AccessKeyId, UserRow};
use rpc::{CallContext, CallError};
use tables::ReadTables;

use super::OmService;
use super::calls::{Kind, Stop, scoped};
use super::identities::{sealing_failed, show};
use crate::convert::{IntoApi, IntoCore};
use crate::secrets::{new_access_key, new_secret};

type Rejected = api::AccountRejected;

/// What somebody does with an account, and whether that makes or ends an administrator.
#[derive(Debug, Clone, Copy)]
struct Deed<'a> {
    action: AdminAction<'a>,
    is_about_admin: bool,
}

impl OmService {
    pub(super) async fn create_account(
        &self,
        cx: CallContext,
        request: api::CreateAccount,
    ) -> Result<api::CreatedAccount, CallError<Rejected>> {
        let deed = Deed { action: AdminAction::CreateAccount, is_about_admin: request.is_admin };
        self.log.read(cx.deadline, |tables| self.may(tables, &request.by, deed)).await?;
        request.check().map_err(CallError::Rejected)?;
        let api::CreateAccount { by: _, user, email, is_admin, volume, rolls_pair } = request;
        let pair = if rolls_pair {
            self.settle_seal(&cx).await?;
            let pair = self.sealed(AccessKeyId(new_access_key(&*self.entropy)), &new_secret(&*self.entropy));
            Some(pair.map_err(sealing_failed)?)
        } else {
            None
        };
        let (display_name, now) = (user.display_name, self.clock.now());
        let command = EnsureUser {
            user: user.id.into_core(),
            display_name,
            email,
            is_admin,
            pair,
            now,
            origin: None,
            volume,
            is_new: Some(true),
        };
        let created = self.log.propose(scoped(&cx, Kind::CreateAccount), command, cx.deadline).await;
        let account = created.map_err(|error| error.map_rejection(|rejected| Rejected::Unfit(rejected.into_api())))?;
        // A retry has rolled another pair, and must show the first.
        let pair = account.access_keys.first().map(|access_key| self.kept_pair(access_key)).transpose()?;
        Ok(api::CreatedAccount { account: show(account), pair })
    }

    pub(super) async fn update_account(
        &self,
        cx: CallContext,
        request: api::UpdateAccount,
    ) -> Result<api::UserInfo, CallError<Rejected>> {
        let deed = Deed { action: AdminAction::UpdateAccount, is_about_admin: request.is_admin.is_some() };
        let account = self.log.read(cx.deadline, |tables| self.account_of(tables, &request.by, &request.account, deed)).await?;
        request.check().map_err(CallError::Rejected)?;
        let api::UpdateAccount { by: _, account: _, display_name, email, is_admin } = request;
        let command = om_core::UpdateAccount { account: account.id, display_name, email, is_admin };
        let updated = self.log.propose(scoped(&cx, Kind::UpdateAccount), command, cx.deadline).await;
        updated.map(show).map_err(|error| error.map_rejection(IntoApi::into_api))
    }

    pub(super) async fn delete_account(&self, cx: CallContext, request: api::DeleteAccount) -> Result<(), CallError<Rejected>> {
        let deed = Deed { action: AdminAction::DeleteAccount, is_about_admin: false };
        let account = self.log.read(cx.deadline, |tables| self.account_of(tables, &request.by, &request.account, deed)).await?;
        let command = om_core::DeleteAccount { account: account.id, now: self.clock.now() };
        let deleted = self.log.propose(scoped(&cx, Kind::DeleteAccount), command, cx.deadline).await;
        deleted.map_err(|error| error.map_rejection(IntoApi::into_api))
    }

    /// An account by number or id, if the requester may do that with it.
    fn account_of(
        &self,
        tables: &dyn ReadTables,
        by: &api::Requester,
        named: &str,
        deed: Deed<'_>,
    ) -> Result<UserRow, Stop<Rejected>> {
        let account = account_by_id(tables, named)?;
        let is_admin = account.as_ref().is_some_and(|account| account.is_admin);
        self.may(tables, by, Deed { is_about_admin: deed.is_about_admin || is_admin, ..deed })?;
        account.ok_or(Stop::Rejected(Rejected::NoSuchAccount))
    }

    /// Who keeps accounts does not thereby make administrators of the cluster, nor ends them.
    fn may(&self, tables: &dyn ReadTables, by: &api::Requester, deed: Deed<'_>) -> Result<(), Stop<Rejected>> {
        self.administer::<Rejected>(tables, by, deed.action, None)?;
        if deed.is_about_admin {
            self.administer::<Rejected>(tables, by, AdminAction::Administer, None)?;
        }
        Ok(())
    }
}
