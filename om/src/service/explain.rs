//! Why a request was refused, for an administrator.

use om_api as api;
use om_core::authorise::AdminAction;
use rpc::{CallContext, CallError};

use super::OmService;
use super::calls::Refusal;

impl Refusal for api::Denied {
    fn denied(denied: api::Denied) -> Self {
        denied
    }
}

impl OmService {
    pub(super) async fn explain(
        &self,
        cx: CallContext,
        request: api::Explain,
    ) -> Result<Option<api::Explanation>, CallError<api::Denied>> {
        self.log
            .read(cx.deadline, |tables| {
                self.administer::<api::Denied>(tables, &request.by, AdminAction::Administer, None)?;
                Ok(self.refusals.of(request.request))
            })
            .await
    }
}
