//! `GetObjectTorrent`: S3 has given torrents up, and here no object has one.

use gateway_core::{S3Error, S3ErrorCode};
use om_api::{BlocksWanted, LookupPurpose};

use super::versions::NamedVersion;
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::Reply;

pub(crate) struct GetObjectTorrent(NamedVersion);

impl Operation for GetObjectTorrent {
    type Reply = std::convert::Infallible;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        NamedVersion::parse(request).map(Self)
    }

    async fn run(self, cx: &mut OpContext) -> Result<Self::Reply, S3Error> {
        // Whoever may not read the object is told that, and not what there is of it.
        self.0.look_up(cx, LookupPurpose::Object, BlocksWanted::None).await?;
        let why = "The object has no torrent.";
        Err(S3Error::with_message(S3ErrorCode::NoSuchKey, why).field("Key", self.0.key.as_str()))
    }

    fn render(never: Self::Reply) -> Reply {
        match never {}
    }
}
