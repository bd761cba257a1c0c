//! `GetObject`.

use gateway_core::S3Error;

use super::encryption::located;
use super::object_reading::{Blocks, Found, Reading};
use crate::context::OpContext;
use crate::data::read_object;
use crate::operation::{Operation, S3Request};
use crate::reply::{Reply, ReplyBody};

pub(crate) struct GetObject(Reading);

impl Operation for GetObject {
    type Reply = (Found, ReplyBody);

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Reading::parse(request).map(Self)
    }

    async fn run(self, cx: &mut OpContext) -> Result<(Found, ReplyBody), S3Error> {
        let source = self.0.source.clone();
        let mut found = self.0.look_up(cx, Blocks::Needed).await?;
        let located = located(&mut found.read, found.customer.as_ref())?;
        let body = read_object(cx, source, located, found.range).await?;
        Ok((found, body))
    }

    fn render((found, body): (Found, ReplyBody)) -> Reply {
        found.into_reply(body)
    }
}
