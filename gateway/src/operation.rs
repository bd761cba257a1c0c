//! What an S3 operation is: a pure parse, a run that waits, a pure render.

use std::future::Future;
use std::ops::Deref;

use gateway_core::auth::PayloadMode;
use gateway_core::payload::PayloadPlan;
use gateway_core::{RequestHead, S3Error};

use crate::context::OpContext;
use crate::reply::Reply;

/// A request's head, and what authentication found out about it.
#[derive(Debug)]
pub(crate) struct S3Request {
    pub(crate) head: RequestHead,
    pub(crate) payload: PayloadMode,
    pub(crate) is_anonymous: bool,
}

impl S3Request {
    pub(crate) fn plan(&self) -> Result<PayloadPlan, S3Error> {
        PayloadPlan::parse(&self.head, self.payload)
    }

    /// Of a body that may be left out together with its length.
    pub(crate) fn bodyless_plan(&self) -> Result<PayloadPlan, S3Error> {
        PayloadPlan::of_optional_body(&self.head, self.payload)
    }
}

impl Deref for S3Request {
    type Target = RequestHead;

    fn deref(&self) -> &RequestHead {
        &self.head
    }
}

pub(crate) trait Operation: Sized + Send {
    type Reply: Send;

    /// Headers and query to typed fields. An error here leaves the body unread and the roles unasked.
    fn parse(request: &S3Request) -> Result<Self, S3Error>;

    /// The only part that waits.
    fn run(self, cx: &mut OpContext) -> impl Future<Output = Result<Self::Reply, S3Error>> + Send;

    fn render(reply: Self::Reply) -> Reply;
}

pub(crate) async fn perform<O: Operation>(request: &S3Request, cx: &mut OpContext) -> Result<Reply, S3Error> {
    Ok(O::render(O::parse(request)?.run(cx).await?))
}
