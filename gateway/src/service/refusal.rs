//! Heads that are no request: hyper refuses them without a word, so that the words, the id and the audit line are ours.

use std::net::SocketAddr;

use gateway_core::dates::{format_http_date, format_iso8601};
use gateway_core::error::Answering;
use gateway_core::{S3Error, S3ErrorCode};

use crate::audit::AuditRecord;
use crate::context::{CallIds, Shared};
use crate::front::{MAX_HEAD_BYTES, MAX_HEADERS, Refusal};

/// The whole answer. The connection ends with it, for nobody knows where a next request would begin.
pub(crate) fn refuse(shared: &Shared, remote: SocketAddr, refusal: Refusal<'_>) -> Vec<u8> {
    let now = shared.clock.now();
    let request_id = CallIds::new(shared.entropy.u128()).request().to_string();
    let error = error_of(&refusal);
    let (method, resource) = first_line(refusal.head);
    let xml = error.to_xml(Answering { resource: &resource, request_id: &request_id, host_id: &shared.host_id });
    let record = AuditRecord {
        time: format_iso8601(now),
        request_id: request_id.clone(),
        remote: remote.to_string(),
        method: method.clone(),
        status: error.status().as_u16(),
        error: Some(error.code().as_str()),
        bytes_out: if method == "HEAD" { 0 } else { xml.len() as u64 },
        ..AuditRecord::default()
    };
    metrics::counter!("gateway_requests_total", "operation" => "none", "outcome" => error.code().as_str()).increment(1);
    shared.audit.record(record.to_line());
    let head = format!(
        "HTTP/1.1 {}\r\nserver: Trioxide\r\nx-amz-request-id: {request_id}\r\nx-amz-id-2: {}\r\ncontent-type: application/xml\r\n\
         content-length: {}\r\nconnection: close\r\ndate: {}\r\n\r\n",
        error.status(),
        shared.host_id,
        xml.len(),
        format_http_date(now),
    );
    let body = if method == "HEAD" { "" } else { &xml };
    [head.as_bytes(), body.as_bytes()].concat()
}

/// hyper says "too large" of three things: the head's bytes, the number of its lines, and a length that no number holds.
fn error_of(refusal: &Refusal<'_>) -> S3Error {
    let lines = refusal.head.split(|byte| *byte == b'\n').count();
    match refusal.status {
        414 => S3Error::with_message(S3ErrorCode::InvalidURI, "The request target is too long."),
        431 if refusal.is_whole && refusal.head.len() < MAX_HEAD_BYTES && lines <= MAX_HEADERS => {
            S3ErrorCode::EntityTooLarge.into()
        }
        431 => S3Error::new(S3ErrorCode::RequestHeaderSectionTooLarge).field("MaxSizeAllowed", super::MAX_HEADERS.to_string()),
        _ => S3Error::invalid_request("An error occurred when parsing the HTTP request."),
    }
}

/// Method and path, where there are any; text that came before the signature was looked at, so only what a log may show.
fn first_line(head: &[u8]) -> (String, String) {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let mut word = |most: usize| match words.next() {
        Some(word) if word.len() <= most && word.iter().all(u8::is_ascii_graphic) => String::from_utf8_lossy(word).into_owned(),
        _ => String::new(),
    };
    let (method, target) = (word(16), word(2048));
    (method, target.split('?').next().unwrap_or_default().to_owned())
}
