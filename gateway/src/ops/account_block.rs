//! S3 Control's public access block: how far all buckets of an account may be public.

use bucket_config::PublicAccessBlock;
use gateway_core::payload::PayloadPlan;
use gateway_core::xml::MAX_SMALL_BODY;
use gateway_core::xml::configs::{parse_config, show_config};
use gateway_core::{RequestHead, S3Error, S3ErrorCode};
use http::StatusCode;
use om_api::SetAccountBlock;
use rpc::CallError;

use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::rejections::call_failed;
use crate::reply::{self, Reply};

fn account(head: &RequestHead) -> Result<String, S3Error> {
    let named = head.header("x-amz-account-id")?.filter(|named| !named.is_empty());
    named.map(|named| named.into_owned()).ok_or_else(|| S3Error::invalid_request("AccountId is required but not set"))
}

fn failed(cx: &OpContext, error: CallError<om_api::Denied>) -> S3Error {
    match error {
        CallError::Rejected(why) => cx.denied(why),
        failure => call_failed(&failure),
    }
}

pub(crate) struct GetAccountBlock {
    account: String,
}

impl Operation for GetAccountBlock {
    type Reply = String;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { account: account(request)? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<String, S3Error> {
        let asked = om_api::GetAccountBlock { by: cx.by(), account: self.account };
        let block = cx.om().get_account_block(cx.call(), asked).await.map_err(|error| failed(cx, error))?;
        show_config(block.as_ref())
    }

    fn render(document: String) -> Reply {
        reply::xml(StatusCode::OK, document)
    }
}

pub(crate) struct PutAccountBlock {
    account: String,
    plan: PayloadPlan,
}

impl Operation for PutAccountBlock {
    type Reply = ();

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { account: account(request)?, plan: request.plan()? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<(), S3Error> {
        let body = cx.read_document(self.plan, MAX_SMALL_BODY).await?;
        let block: PublicAccessBlock = parse_config(&body)?.ok_or(S3ErrorCode::MalformedXML)?;
        let asked = SetAccountBlock { by: cx.by(), account: self.account, block: Some(block) };
        cx.om().set_account_block(cx.call(), asked).await.map_err(|error| failed(cx, error))
    }

    fn render((): ()) -> Reply {
        reply::empty(StatusCode::OK)
    }
}

pub(crate) struct DeleteAccountBlock {
    account: String,
}

impl Operation for DeleteAccountBlock {
    type Reply = ();

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self { account: account(request)? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<(), S3Error> {
        let asked = SetAccountBlock { by: cx.by(), account: self.account, block: None };
        cx.om().set_account_block(cx.call(), asked).await.map_err(|error| failed(cx, error))
    }

    fn render((): ()) -> Reply {
        reply::empty(StatusCode::NO_CONTENT)
    }
}
