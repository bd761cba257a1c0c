//! What GetObject and HeadObject share: the look-up, the conditions, the range, the headers.

use gateway_core::conditions::{IfRange, ReadConditions, ReadVerdict};
use gateway_core::dates::{format_http_date, format_iso8601};
use gateway_core::encryption::CustomerKey;
use gateway_core::metadata::ResponseOverrides;
use gateway_core::range::{ByteRange, RangeRequest};
use gateway_core::{S3Error, S3ErrorCode, lock};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use om_api::{BlocksWanted, LookupKey, LookupPurpose, LookupRejected, ObjectChecksum, ObjectInfo, ObjectRead};
use rpc::CallError;
use types::{ChecksumType, ObjectKey, ObjectLock, PartNumber, VersionId};

use super::attributes::{set_checksum, set_expiration, to_metadata};
use super::encryption::{Shown, check_key};
use super::versions::NamedVersion;
use crate::context::OpContext;
use crate::data::ObjectSource;
use crate::operation::S3Request;
use crate::rejections::{call_failed, no_such_key, precondition_failed};
use crate::reply::{self, Reply, ReplyBody, set};

/// Which bytes a read wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Whole,
    Range(RangeRequest),
    Part(PartNumber),
}

/// A GET or HEAD, parsed.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) source: ObjectSource,
    wanted: Wanted,
    if_range: Option<IfRange>,
    conditions: ReadConditions,
    overrides: ResponseOverrides,
    shows_checksum: bool,
    pub(super) customer: Option<CustomerKey>,
}

/// What was found, ready to be rendered.
pub(crate) struct Found {
    pub(super) read: ObjectRead,
    /// The bytes of the answer; none if there are none to send.
    pub(super) range: Option<ByteRange>,
    wanted: Wanted,
    overrides: ResponseOverrides,
    shows_checksum: bool,
    /// The key that the object is encrypted with, if the client has it.
    pub(super) customer: Option<CustomerKey>,
}

impl Reading {
    pub(super) fn parse(request: &S3Request) -> Result<Self, S3Error> {
        let range = request.header(header::RANGE.as_str())?.and_then(|text| RangeRequest::parse(&text));
        let part = request.query().get("partNumber").map(part_number).transpose()?;
        let wanted = match (range, part) {
            (Some(_), Some(_)) => {
                return Err(S3Error::invalid_request("Cannot specify both Range header and partNumber query parameter"));
            }
            (Some(range), None) => Wanted::Range(range),
            (None, Some(part)) => Wanted::Part(part),
            (None, None) => Wanted::Whole,
        };
        let checksum_mode = request.header("x-amz-checksum-mode")?;
        Ok(Self {
            source: ObjectSource { bucket: request.bucket()?, key: request.key()?, version: request.version()? },
            wanted,
            if_range: IfRange::of_read(request)?,
            conditions: ReadConditions::of_read(request)?,
            overrides: ResponseOverrides::parse(request, request.is_anonymous)?,
            shows_checksum: checksum_mode.is_some_and(|mode| mode.eq_ignore_ascii_case("ENABLED")),
            customer: CustomerKey::of_object(request)?,
        })
    }

    /// Asks the OM for the object, and holds what it is against the conditions and the range. `blocks` says where its bytes
    /// are, if they are wanted.
    pub(super) async fn look_up(self, cx: &OpContext, blocks: Blocks) -> Result<Found, S3Error> {
        let read = self.ask(cx, blocks).await?;
        self.judge(cx, blocks, read).await
    }

    /// The second half of [`Reading::look_up`].
    pub(super) async fn judge(mut self, cx: &OpContext, blocks: Blocks, mut read: ObjectRead) -> Result<Found, S3Error> {
        if let (Wanted::Range(_), Some(state)) = (self.wanted, self.if_range)
            && !state.matches(read.info.etag, read.info.last_modified)
        {
            // A piece of another object than the one whose other pieces the client has: it gets the whole.
            self.wanted = Wanted::Whole;
            if blocks == Blocks::Needed {
                read = self.ask(cx, blocks).await?;
            }
        }
        let info = &read.info;
        check_key(info.encryption.as_ref(), self.customer.as_ref())?;
        match self.conditions.evaluate(info.etag, info.last_modified) {
            ReadVerdict::Send => {}
            ReadVerdict::NotModified => return Err(not_modified(info)),
            ReadVerdict::PreconditionFailed(which) => return Err(precondition_failed(Some(which))),
        }
        let range = match self.wanted {
            Wanted::Whole => RangeRequest::From { first: 0, last: None }.resolve(info.size).ok(),
            Wanted::Range(range) => Some(range.resolve(info.size)?),
            Wanted::Part(part) => part_range(info, part)?,
        };
        let Self { wanted, overrides, shows_checksum, customer, .. } = self;
        Ok(Found { range, wanted, overrides, shows_checksum, customer, read })
    }

    pub(super) async fn ask(&self, cx: &OpContext, blocks: Blocks) -> Result<ObjectRead, S3Error> {
        let ObjectSource { bucket, key, version } = self.source.clone();
        let wanted = self.wanted.blocks(blocks);
        let purpose = LookupPurpose::Object;
        let request = LookupKey { by: cx.by(), bucket, key, version, wanted, pinned: None, refresh: false, purpose };
        match cx.om().lookup_key(cx.call(), request).await {
            Ok(read) => {
                cx.tell(|told| {
                    told.needed_acl = read.needed_acl;
                    told.object_size = Some(read.info.size);
                });
                Ok(read)
            }
            Err(CallError::Rejected(rejection)) => Err(self.rejected(cx, rejection)),
            Err(failure) => Err(call_failed(&failure)),
        }
    }

    fn rejected(&self, cx: &OpContext, rejection: LookupRejected) -> S3Error {
        let ObjectSource { bucket, key, version } = self.source.clone();
        NamedVersion { bucket, key, version }.rejected(cx, rejection)
    }
}

/// Named by its version, a marker is there and cannot be read; as the current version it hides the key.
pub(super) fn unreadable_version(key: &ObjectKey, asked: Option<VersionId>, marker: VersionId) -> S3Error {
    let error = if asked.is_some() { S3ErrorCode::MethodNotAllowed.into() } else { no_such_key(key) };
    let error = error.header(HeaderName::from_static("x-amz-delete-marker"), HeaderValue::from_static("true"));
    match HeaderValue::from_str(&marker.to_string()) {
        Ok(version) => error.header(HeaderName::from_static("x-amz-version-id"), version),
        Err(_) => error,
    }
}

/// Whether the answer will have a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blocks {
    Needed,
    NotNeeded,
}

impl Wanted {
    fn blocks(self, blocks: Blocks) -> BlocksWanted {
        match self {
            // A part's size is known only with its blocks.
            Self::Part(part) => BlocksWanted::Part(part),
            Self::Whole | Self::Range(_) if blocks == Blocks::NotNeeded => BlocksWanted::None,
            Self::Whole => BlocksWanted::All,
            Self::Range(range) => BlocksWanted::Range(match range {
                RangeRequest::From { first, last: Some(last) } => om_api::ByteRange::Span(first, last),
                RangeRequest::From { first, last: None } => om_api::ByteRange::From(first),
                RangeRequest::Suffix(length) => om_api::ByteRange::Suffix(length),
            }),
        }
    }
}

/// The bytes of a part. An object that was put whole is its own first part.
fn part_range(info: &ObjectInfo, part: PartNumber) -> Result<Option<ByteRange>, S3Error> {
    let (offset, size) = match (&info.part, info.part_offset) {
        (Some(found), Some(offset)) => (offset, found.size),
        (Some(_), None) | (None, _) if info.parts.is_none() && part.get() == 1 => (0, info.size),
        (Some(_), None) | (None, _) => return Err(S3ErrorCode::InvalidPartNumber.into()),
    };
    let Some(last) = size.checked_sub(1).and_then(|last| offset.checked_add(last)) else { return Ok(None) };
    RangeRequest::From { first: offset, last: Some(last) }.resolve(info.size).map(Some)
}

fn part_number(text: &str) -> Result<PartNumber, S3Error> {
    text.parse().ok().and_then(PartNumber::new).ok_or_else(|| {
        S3Error::invalid_argument("Part number must be an integer between 1 and 10000, inclusive", "partNumber", text)
    })
}

/// With the validators, so that a cache can go on with what it has.
fn not_modified(info: &ObjectInfo) -> S3Error {
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    for (name, value) in
        [(header::ETAG, format!("\"{}\"", info.etag)), (header::LAST_MODIFIED, format_http_date(info.last_modified))]
    {
        if let Ok(value) = HeaderValue::from_str(&value) {
            error = error.header(name, value);
        }
    }
    error
}

fn write_lock(headers: &mut HeaderMap, lock: ObjectLock) {
    if let Some(retention) = lock.retention {
        set(headers, "x-amz-object-lock-mode", lock::mode_name(retention.mode));
        set(headers, "x-amz-object-lock-retain-until-date", format_iso8601(retention.until));
    }
    if let Some(hold) = lock.legal_hold {
        set(headers, "x-amz-object-lock-legal-hold", lock::hold_name(hold));
    }
}

impl Found {
    /// The answer, with the body that goes with it: empty for HEAD, whose headers are the same.
    pub(super) fn into_reply(self, body: ReplyBody) -> Reply {
        let info = &self.read.info;
        let is_part = self.wanted != Wanted::Whole;
        let status = if is_part && self.range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        let mut reply = reply::with_body(status, body);
        let headers = reply.headers_mut();
        to_metadata(&info.attributes).write(headers);
        self.overrides.write(headers);
        set(headers, "accept-ranges", "bytes");
        set(headers, "last-modified", format_http_date(info.last_modified));
        reply::set_etag(headers, info.etag);
        set(headers, "content-length", self.range.map_or(0, ByteRange::length).to_string());
        if let Some(range) = self.range.filter(|_| is_part) {
            set(headers, "content-range", range.content_range(info.size));
        }
        if let Some(version) = info.version {
            set(headers, "x-amz-version-id", version.to_string());
        }
        if let Some(class) = info.attributes.storage_class.as_deref().filter(|class| *class != "STANDARD") {
            set(headers, "x-amz-storage-class", class);
        }
        if let (Wanted::Part(_), Some(parts)) = (self.wanted, info.parts) {
            set(headers, "x-amz-mp-parts-count", parts.to_string());
        }
        set_expiration(headers, info.ends.as_ref());
        let tags = info.attributes.tags.len();
        if tags > 0 {
            set(headers, "x-amz-tagging-count", tags.to_string());
        }
        if let Some(lock) = info.lock {
            write_lock(headers, lock);
        }
        let scheme = info.encryption.as_ref().map(|encryption| &encryption.scheme);
        Shown::of(scheme, self.customer.as_ref()).write(headers);
        if self.shows_checksum {
            self.write_checksum(headers);
        }
        reply
    }

    /// Of what the answer holds: a checksum of the whole beside a range of it would fail every client that compares.
    fn write_checksum(&self, headers: &mut HeaderMap) {
        let info = &self.read.info;
        let of_part = info.part.as_ref().and_then(|part| part.checksum.clone());
        let checksum = match self.wanted {
            Wanted::Whole => info.checksum.clone().map(|checksum| (checksum, info.parts)),
            Wanted::Range(_) => None,
            Wanted::Part(_) => of_part.map(|checksum| {
                let kind = info.checksum.as_ref().map_or(ChecksumType::FullObject, |whole| whole.kind);
                (ObjectChecksum { checksum, kind }, None)
            }),
        };
        if let Some((checksum, parts)) = checksum {
            set_checksum(headers, &checksum, parts);
        }
    }
}
