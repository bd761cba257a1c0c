//! `HeadObject`: GetObject's head without its bytes.

use gateway_core::S3Error;
use om_api::BlocksWanted;

use super::object_reading::{Found, Reading, Wanted};
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
        // A part's size is known only with its blocks.
        let blocks = match self.0.wanted {
            Wanted::Part(part) => BlocksWanted::Part(part),
            Wanted::Whole | Wanted::Range(_) => BlocksWanted::None,
        };
        self.0.look_up(cx, blocks).await
    }

    fn render(found: Found) -> Reply {
        found.into_reply(ReplyBody::empty())
    }
}
