//! What is set on an account as a whole.

use bucket_config::PublicAccessBlock;
use om_api as api;
use om_core::authorise::{AdminAction, Denied};
use om_core::iam::account_by_id;
use om_core::rows::UserRow;
use rpc::{CallContext, CallError};
use tables::ReadTables;

use super::OmService;
use super::calls::{Kind, Stop, denied, scoped};

impl OmService {
    pub(super) async fn get_account_block(
        &self,
        cx: CallContext,
        request: api::GetAccountBlock,
    ) -> Result<Option<PublicAccessBlock>, CallError<api::Denied>> {
        let api::GetAccountBlock { by, account } = request;
        let action = AdminAction::GetAccountBlock;
        self.log.read(cx.deadline, |tables| Ok(self.account_for(tables, &by, &account, action)?.block)).await
    }

    pub(super) async fn set_account_block(
        &self,
        cx: CallContext,
        request: api::SetAccountBlock,
    ) -> Result<(), CallError<api::Denied>> {
        let api::SetAccountBlock { by, account, block } = request;
        let action = AdminAction::PutAccountBlock;
        let account = self.log.read(cx.deadline, |tables| self.account_for(tables, &by, &account, action)).await?;
        let command = om_core::SetAccountBlock { account: account.id, block };
        let set = self.log.propose(scoped(&cx, Kind::SetAccountBlock), command, cx.deadline).await;
        set.map_err(|error| {
            error.map_rejection(|rejected| match rejected {
                om_core::SetAccountBlockRejected::NoSuchAccount => api::Denied::AccessDenied,
            })
        })
    }

    /// An account, if the requester may do that with it. Whether there is one of another name nobody learns.
    fn account_for(
        &self,
        tables: &dyn ReadTables,
        by: &api::Requester,
        named: &str,
        action: AdminAction<'_>,
    ) -> Result<UserRow, Stop<api::Denied>> {
        let account = account_by_id(tables, named)?;
        self.administer::<api::Denied>(tables, by, action, account.as_ref().map(|account| &account.id))?;
        account.ok_or_else(|| denied(Denied::AccessDenied))
    }
}
