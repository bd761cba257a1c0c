//! `GetObjectTagging`.

use gateway_core::S3Error;
use gateway_core::tagging::TagSet;
use http::StatusCode;
use om_api::{BlocksWanted, LookupPurpose, ObjectInfo};

use super::versions::{NamedVersion, set_version};
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply};

pub(crate) struct GetObjectTagging(NamedVersion);

impl Operation for GetObjectTagging {
    type Reply = ObjectInfo;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        NamedVersion::parse(request).map(Self)
    }

    async fn run(self, cx: &mut OpContext) -> Result<ObjectInfo, S3Error> {
        Ok(self.0.look_up(cx, LookupPurpose::Tagging, BlocksWanted::None).await?.info)
    }

    fn render(info: ObjectInfo) -> Reply {
        let mut reply = reply::xml(StatusCode::OK, TagSet::stored(info.attributes.tags).to_xml());
        set_version(&mut reply, info.version);
        reply
    }
}
