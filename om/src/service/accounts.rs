//! Accounts come, change and go while the cluster runs; the configuration's are [ensured](super::identities) at starts.
//!
//! All of it is for administrators of the cluster. Who could keep accounts and no more would be one by a detour: a name may be one
//! that policies trust already, or that the configuration makes an administrator at the next start.

use om_api as api;
use om_core::EnsureUser;
use om_core::authorise::AdminAction;
use om_core::iam::account_named;
use om_core::rows::{AccessKeyId, UserId};
use rpc::{CallContext, CallError};

use super::OmService;
use super::calls::{Kind, scoped};
use super::identities::{sealing_failed, show};
use crate::convert::{IntoApi, IntoCore};
use crate::secrets::{new_access_key, new_secret};

type Rejected = api::AccountRejected;

impl OmService {
    pub(super) async fn create_account(
        &self,
        cx: CallContext,
        request: api::CreateAccount,
    ) -> Result<api::CreatedAccount, CallError<Rejected>> {
        let by = &request.by;
        self.log.read(cx.deadline, |tables| self.administer(tables, by, AdminAction::Administer, None).map(drop)).await?;
        request.check().map_err(CallError::Rejected)?;
        let api::CreateAccount { by: _, user, email, is_admin, volume, rolls_pair } = request;
        let pair = if rolls_pair {
            self.settle_seal(&cx).await?;
            let pair = self.sealed(AccessKeyId(new_access_key(&*self.entropy)), &new_secret(&*self.entropy));
            Some(pair.map_err(sealing_failed)?)
        } else {
            None
        };
        let (id, display_name, now) = (user.id.into_core(), user.display_name, self.clock.now());
        let account = EnsureUser { user: id, display_name, email, is_admin, pair, now, origin: None, volume };
        let command = om_core::CreateAccount { account };
        let created = self.log.propose(scoped(&cx, Kind::CreateAccount), command, cx.deadline).await;
        let account = created.map_err(|error| error.map_rejection(IntoApi::into_api))?;
        // A retry has rolled another pair, and must show the first.
        let pair = account.access_keys.first().map(|access_key| self.kept_pair(access_key)).transpose()?;
        Ok(api::CreatedAccount { account: show(account), pair })
    }

    pub(super) async fn update_account(
        &self,
        cx: CallContext,
        request: api::UpdateAccount,
    ) -> Result<api::UserInfo, CallError<Rejected>> {
        let account = self.account_to_change(&cx, &request.by, &request.account).await?;
        request.check().map_err(CallError::Rejected)?;
        let api::UpdateAccount { by: _, account: _, display_name, email, is_admin } = request;
        let command = om_core::UpdateAccount { account, display_name, email, is_admin };
        let updated = self.log.propose(scoped(&cx, Kind::UpdateAccount), command, cx.deadline).await;
        updated.map(show).map_err(|error| error.map_rejection(IntoApi::into_api))
    }

    pub(super) async fn delete_account(&self, cx: CallContext, request: api::DeleteAccount) -> Result<(), CallError<Rejected>> {
        let account = self.account_to_change(&cx, &request.by, &request.account).await?;
        let command = om_core::DeleteAccount { account, now: self.clock.now() };
        let deleted = self.log.propose(scoped(&cx, Kind::DeleteAccount), command, cx.deadline).await;
        deleted.map_err(|error| error.map_rejection(IntoApi::into_api))
    }

    /// By number or id. That it is not there the command finds out: a retry of a deletion is to get the answer of the first.
    async fn account_to_change(&self, cx: &CallContext, by: &api::Requester, named: &str) -> Result<UserId, CallError<Rejected>> {
        self.log
            .read(cx.deadline, |tables| {
                self.administer::<Rejected>(tables, by, AdminAction::Administer, None)?;
                Ok(account_named(tables, named)?)
            })
            .await
    }
}
