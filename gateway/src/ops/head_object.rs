//! `HeadObject`: GetObject's head without its bytes.

use gateway_core::S3Error;

use super::object_reading::{Blocks, Found, Reading};
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{Reply, ReplyBody};

pub(crate) struct HeadObject(Reading);

impl Operation for HeadObject {
    type Reply = Found;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Reading::parse(request).map(Self)
    }

    async fn run(self, cx: &mut OpContext) -> Result<Found, S3Error> {
        self.0.look_up(cx, Blocks::NotNeeded).await
    }

    fn render(found: Found) -> Reply {
        found.into_reply(ReplyBody::empty())
    }
}
