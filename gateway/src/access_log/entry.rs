//! The record of one request, from its head to the end of its answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway_core::RequestHead;
use gateway_core::access_log::{
    AuthenticationType, COPIED_OBJECT, COPIED_PART, Record, SignatureVersion, deletion_name, operation_name, referer,
    request_line, website_name,
};
use gateway_core::copy_source::CopySource;
use gateway_core::dispatch::S3Operation;
use gateway_core::encoding::{Slash, percent_encode};
use gateway_core::proxies::Client;
use http::Version;
use om_api::{AuthType, LoggedBucket, RequestContext, UserId};
use types::{Millis, ObjectKey, Timestamp};

use super::AccessLogs;

const DAY: u64 = 24 * 60 * 60 * 1000;

/// What an operation finds out that its record tells.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Nothing but an ACL let the request in.
    pub(crate) needed_acl: bool,
    pub(crate) object_size: Option<u64>,
    pub(crate) deletions: Vec<Deletion>,
}

/// A key of a DeleteObjects, which has a record of its own.
#[derive(Debug)]
pub(crate) struct Deletion {
    pub(crate) key: String,
    pub(crate) version: Option<String>,
    pub(crate) error: Option<(&'static str, u16)>,
}

/// How and when a request came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) version: Version,
    pub(crate) client: Client,
    pub(crate) at: Timestamp,
    pub(crate) began: Instant,
}

#[derive(Debug)]
pub(crate) struct Entry {
    logs: Arc<AccessLogs>,
    /// The bucket that the request is about, if that is logged.
    own: Option<Arc<LoggedBucket>>,
    /// The source of a copy, if that is.
    source: Option<(Arc<LoggedBucket>, CopySource)>,
    operation: Option<S3Operation>,
    record: Record,
    told: Told,
    began: Instant,
    received: Option<Instant>,
    answered: Option<Duration>,
}

impl Entry {
    /// None: the request is in no log. To be asked once it is known whose volume the head's names are in.
    pub(crate) fn of(
        logs: &Arc<AccessLogs>,
        head: &RequestHead,
        Arrival { version, client, at, began }: Arrival,
    ) -> Option<Box<Self>> {
        if !logs.known.has_any() {
            return None;
        }
        let own = head.bucket_path().and_then(|bucket| logs.of(&bucket));
        let text = |name: &str| head.header(name).ok().flatten();
        let source = text("x-amz-copy-source").and_then(|text| CopySource::parse(&text, head.home()).ok());
        let source = source.and_then(|source| Some((logs.of(&source.bucket)?, source)));
        if own.is_none() && source.is_none() {
            return None;
        }
        let record = Record {
            time: at,
            remote: client.address,
            tls: client.tls,
            operation: operation_name(head, None, logs.config.names),
            key: head.target.key.as_ref().map(shown_key),
            request_line: Some(request_line(
                head.method.as_str(),
                head.target.raw_path(),
                head.target.raw_query(),
                &format!("{version:?}"),
            )),
            referer: text("referer").map(|text| referer(&text)),
            user_agent: text("user-agent").map(|text| text.into_owned()),
            version: head.query().get("versionId").map(str::to_owned),
            host: text("host").map(|text| text.into_owned()),
            ..Record::default()
        };
        let (logs, told) = (Arc::clone(logs), Told::default());
        Some(Box::new(Self { logs, own, source, operation: None, record, told, began, received: None, answered: None }))
    }

    /// The OM is to tell what let the request in.
    pub(crate) fn asks_for_acl(&self) -> bool {
        self.own.is_some()
    }

    pub(crate) fn set_operation(&mut self, head: &RequestHead, operation: S3Operation) {
        self.operation = Some(operation);
        // To any other the header means nothing.
        if !matches!(operation, S3Operation::CopyObject | S3Operation::UploadPartCopy) {
            self.source = None;
        }
        self.record.operation = operation_name(head, Some(operation), self.logs.config.names);
    }

    /// It is a visit to a website.
    pub(crate) fn set_visit(&mut self, head: &RequestHead) {
        self.source = None;
        self.record.operation = website_name(head);
    }

    /// Whoever's signature was right.
    pub(crate) fn set_requester(&mut self, user: Option<&UserId>) {
        self.record.requester = user.map(|id| id.0.clone());
    }

    pub(crate) fn set_signing(&mut self, known: &RequestContext) {
        let Some(auth_type) = known.auth_type else { return };
        self.record.authentication = match auth_type {
            AuthType::Header => Some(AuthenticationType::Header),
            AuthType::Query => Some(AuthenticationType::Query),
            AuthType::Form => None,
        };
        let is_v2 = known.signature_version.as_deref() == Some("AWS");
        self.record.signature = Some(if is_v2 { SignatureVersion::V2 } else { SignatureVersion::V4 });
    }

    pub(crate) fn set_key(&mut self, key: &ObjectKey) {
        self.record.key = Some(shown_key(key));
    }

    pub(crate) fn set_told(&mut self, told: Told) {
        self.told = told;
    }

    /// The last byte of the request, if it had a body.
    pub(crate) fn set_received(&mut self, at: Option<Instant>) {
        self.received = at;
    }

    /// The head of the answer goes out.
    pub(crate) fn set_answer(&mut self, status: u16, error: Option<&'static str>, request_id: &str, host_id: &str) {
        self.record.status = status;
        self.record.error = error;
        self.record.request_id = request_id.to_owned();
        self.record.host_id = host_id.to_owned();
        self.answered = Some(self.received.unwrap_or(self.began).elapsed());
    }

    /// The last byte of the answer has gone out.
    pub(crate) fn finish(self, bytes_sent: u64) {
        let Self { logs, own, source, operation, record, told, began, answered, .. } = self;
        let record = Record {
            bytes_sent,
            object_size: told.object_size,
            needed_acl: told.needed_acl,
            total_time: millis(began.elapsed()),
            turn_around: answered.map(millis),
            ..record
        };
        if let Some(logged) = &own {
            let record = of_bucket(&record, logged);
            logs.take(logged, &record);
            for Deletion { key, version, error } in told.deletions {
                let (error, status) = error.map_or((None, 204), |(error, status)| (Some(error), status));
                let operation = deletion_name(logs.config.names).to_owned();
                let key = Some(percent_encode(key.as_bytes(), Slash::Kept));
                let own = Record { operation, key, version, error, status, bytes_sent: 0, ..record.clone() };
                logs.take(logged, &own);
            }
        }
        if let Some(((logged, source), operation)) = source.zip(operation) {
            let is_part = operation == S3Operation::UploadPartCopy;
            let operation = if is_part { COPIED_PART } else { COPIED_OBJECT }.to_owned();
            let version = source.version.map(|version| version.to_string());
            let key = Some(shown_key(&source.key));
            let record = Record { operation, key, version, bytes_sent: 0, needed_acl: false, ..record };
            logs.take(&logged, &of_bucket(&record, &logged));
        }
    }
}

impl AccessLogs {
    fn take(&self, logged: &LoggedBucket, record: &Record) {
        self.record(logged, record.time.0 - record.time.0 % DAY, &record.to_line());
    }
}

fn of_bucket(record: &Record, logged: &LoggedBucket) -> Record {
    Record { bucket_owner: logged.owner.0.clone(), bucket: logged.path.name().as_str().to_owned(), ..record.clone() }
}

/// As it would stand in a URL, so that it is one word; the line encodes what it says once more.
fn shown_key(key: &ObjectKey) -> String {
    percent_encode(key.as_str().as_bytes(), Slash::Kept)
}

fn millis(span: Duration) -> Millis {
    Millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}
