//! `GetObjectAttributes`.

use gateway_core::S3Error;
use gateway_core::dates::format_http_date;
use gateway_core::encryption::CustomerKey;
use gateway_core::xml::{AttributesWanted, ObjectAttributesResult, ObjectParts, PartAttributes};
use http::StatusCode;
use om_api::{BlocksWanted, LookupPurpose, ObjectRead};

use super::encryption::check_key;
use super::versions::{NamedVersion, set_version};
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply};

const MAX_PARTS: u16 = 1_000;

pub(crate) struct GetObjectAttributes {
    named: NamedVersion,
    wanted: AttributesWanted,
    after: u16,
    limit: u16,
    customer: Option<CustomerKey>,
}

pub(crate) struct Found {
    read: ObjectRead,
    wanted: AttributesWanted,
    after: u16,
    limit: u16,
}

impl Operation for GetObjectAttributes {
    type Reply = Found;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        Ok(Self {
            named: NamedVersion::parse(request)?,
            wanted: AttributesWanted::parse(request)?,
            after: number(request, "x-amz-part-number-marker")?.unwrap_or(0),
            limit: number(request, "x-amz-max-parts")?.unwrap_or(MAX_PARTS).min(MAX_PARTS),
            customer: CustomerKey::of_object(request)?,
        })
    }

    async fn run(self, cx: &mut OpContext) -> Result<Found, S3Error> {
        let Self { named, wanted, after, limit, customer } = self;
        // One more tells whether there are more.
        let parts =
            if wanted.parts { BlocksWanted::PartList { after, limit: limit.saturating_add(1) } } else { BlocksWanted::None };
        let read = named.look_up(cx, LookupPurpose::Attributes, parts).await?;
        check_key(read.info.encryption.as_ref(), customer.as_ref())?;
        Ok(Found { read, wanted, after, limit })
    }

    fn render(found: Found) -> Reply {
        let Found { read, wanted, after, limit } = found;
        let info = read.info;
        let limit_parts = usize::from(limit);
        let parts = info.parts.filter(|_| wanted.parts).map(|total| ObjectParts {
            total,
            after,
            limit,
            is_truncated: read.parts.len() > limit_parts,
            parts: read
                .parts
                .into_iter()
                .take(limit_parts)
                .map(|part| PartAttributes { number: part.number, size: part.size, checksum: part.checksum })
                .collect(),
        });
        let class = info.attributes.storage_class.unwrap_or_else(|| "STANDARD".to_owned());
        let result = ObjectAttributesResult {
            etag: wanted.etag.then_some(info.etag),
            checksum: info.checksum.filter(|_| wanted.checksum).map(|sum| (sum.checksum, sum.kind, info.parts)),
            parts,
            storage_class: wanted.storage_class.then_some(class),
            size: wanted.size.then_some(info.size),
        };
        let mut reply = reply::xml(StatusCode::OK, result.to_xml());
        reply::set(reply.headers_mut(), "last-modified", format_http_date(info.last_modified));
        set_version(&mut reply, info.version);
        reply
    }
}

/// More than S3 counts parts to is as good as that.
fn number(request: &S3Request, name: &'static str) -> Result<Option<u16>, S3Error> {
    let Some(text) = request.header(name)? else { return Ok(None) };
    let number: u32 = text.trim().parse().map_err(|_| S3Error::invalid_argument("The value must be a number", name, &*text))?;
    Ok(Some(u16::try_from(number).unwrap_or(u16::MAX)))
}
