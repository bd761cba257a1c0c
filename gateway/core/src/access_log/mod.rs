//! Server access logs in S3's format: what a record says, what operations are called in it, and what log objects are called.

mod names;
mod operation;

use std::net::IpAddr;

use types::{Millis, Timestamp};

use crate::auth::redacted_query;
use crate::dates::format_log_time;
use crate::proxies::Tls;

pub use names::{Delivery, object_key};
pub use operation::{COPIED_OBJECT, COPIED_PART, OperationNames, deletion_name, operation_name, website_name};

/// Each of a request's thousand deletions tells them again.
const MOST_OF_A_LINE: usize = 4096;
const MOST_OF_A_HEADER: usize = 512;

/// One line of a log. What is not known, or of no meaning for the request, is a hyphen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    pub bucket_owner: String,
    pub bucket: String,
    pub time: Timestamp,
    pub remote: Option<IpAddr>,
    /// Their canonical id; none of an anonymous request.
    pub requester: Option<String>,
    pub request_id: String,
    pub operation: String,
    pub key: Option<String>,
    /// The first line of the request.
    pub request_line: Option<String>,
    pub status: u16,
    pub error: Option<&'static str>,
    pub bytes_sent: u64,
    pub object_size: Option<u64>,
    pub total_time: Millis,
    /// From the last byte of the request to the first of the answer.
    pub turn_around: Option<Millis>,
    pub referer: Option<String>,
    pub user_agent: Option<String>,
    /// As the request named it.
    pub version: Option<String>,
    pub host_id: String,
    pub signature: Option<SignatureVersion>,
    pub authentication: Option<AuthenticationType>,
    pub host: Option<String>,
    pub tls: Option<Tls>,
    /// The request would have been refused without an ACL.
    pub needed_acl: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureVersion {
    V2,
    V4,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthenticationType {
    Header,
    /// A presigned URL.
    Query,
}

impl Record {
    /// The line, with its end. Whatever a client sent stays within its field: nothing of it ends the line or a quotation.
    pub fn to_line(&self) -> String {
        let mut line = String::with_capacity(512);
        let mut fields = Fields(&mut line);
        fields.word(Some(&self.bucket_owner));
        fields.word(Some(&self.bucket));
        fields.raw(&format!("[{}]", format_log_time(self.time)));
        fields.word(self.remote.map(|ip| ip.to_string()).as_deref());
        fields.word(self.requester.as_deref());
        fields.word(Some(&self.request_id));
        fields.word(Some(&self.operation));
        fields.word(self.key.as_deref());
        fields.quoted(self.request_line.as_deref(), MOST_OF_A_LINE);
        fields.raw(&self.status.to_string());
        fields.word(self.error);
        fields.number(Some(self.bytes_sent).filter(|sent| *sent > 0));
        fields.number(self.object_size);
        fields.number(Some(self.total_time.0));
        fields.number(self.turn_around.map(|span| span.0));
        fields.quoted(self.referer.as_deref(), MOST_OF_A_HEADER);
        fields.quoted(self.user_agent.as_deref(), MOST_OF_A_HEADER);
        fields.word(self.version.as_deref());
        fields.word(Some(&self.host_id));
        fields.word(self.signature.map(|version| match version {
            SignatureVersion::V2 => "SigV2",
            SignatureVersion::V4 => "SigV4",
        }));
        fields.word(self.tls.and_then(|tls| tls.cipher));
        fields.word(self.authentication.map(|kind| match kind {
            AuthenticationType::Header => "AuthHeader",
            AuthenticationType::Query => "QueryString",
        }));
        fields.word(self.host.as_deref());
        fields.word(self.tls.map(|tls| format!("TLSv{}", tls.version)).as_deref());
        // There are no access points.
        fields.word(None);
        fields.word(self.needed_acl.then_some("Yes"));
        line.push('\n');
        line
    }
}

struct Fields<'l>(&'l mut String);

impl Fields<'_> {
    fn raw(&mut self, text: &str) {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        self.0.push_str(text);
    }

    fn word(&mut self, text: Option<&str>) {
        self.raw(&text.filter(|text| !text.is_empty()).map_or("-".to_owned(), |text| escape(text, b"\"'[]% ")));
    }

    /// What is longer is cut.
    fn quoted(&mut self, text: Option<&str>, most: usize) {
        let text = text.filter(|text| !text.is_empty()).map(|text| text.get(..text.floor_char_boundary(most)).unwrap_or(text));
        self.raw(&format!("\"{}\"", text.map_or("-".to_owned(), |text| escape(text, b"\""))));
    }

    fn number(&mut self, number: Option<u64>) {
        self.raw(&number.map_or("-".to_owned(), |number| number.to_string()));
    }
}

/// Percent-encodes what is no printable ASCII, the backslash, and these.
fn escape(text: &str, also: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if (b' '..=b'~').contains(&byte) && byte != b'\\' && !also.contains(&byte) {
            out.push(char::from(byte));
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    out
}

/// The first line of a request as a log shows it: without what would let its reader make the request again.
pub fn request_line(method: &str, path: &str, query: &str, version: &str) -> String {
    let separator = if query.is_empty() { "" } else { "?" };
    format!("{method} {path}{separator}{} {version}", redacted_query(query))
}

/// Where a browser came from, which may be a URL that is signed.
pub fn referer(text: &str) -> String {
    match text.split_once('?') {
        Some((path, query)) => format!("{path}?{}", redacted_query(query)),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            bucket_owner: "ada-id".into(),
            bucket: "photos".into(),
            time: Timestamp(1_549_411_238_000),
            remote: Some(IpAddr::from([192, 0, 2, 3])),
            requester: Some("bob-id".into()),
            request_id: "3E57427F3EXAMPLE".into(),
            operation: "REST.GET.OBJECT".into(),
            key: Some("a%20cat.jpg".into()),
            request_line: Some(request_line("GET", "/photos/a%20cat.jpg", "versionId=7", "HTTP/1.1")),
            status: 200,
            bytes_sent: 2662992,
            object_size: Some(3462992),
            total_time: Millis(70),
            turn_around: Some(Millis(10)),
            user_agent: Some("curl/7.15.1".into()),
            version: Some("7".into()),
            host_id: "s9lz".into(),
            signature: Some(SignatureVersion::V4),
            authentication: Some(AuthenticationType::Query),
            host: Some("s3.example.com".into()),
            ..Record::default()
        }
    }

    #[test]
    fn a_line_has_the_fields_of_s3_in_their_order() {
        let expected = "ada-id photos [06/Feb/2019:00:00:38 +0000] 192.0.2.3 bob-id 3E57427F3EXAMPLE REST.GET.OBJECT a%2520cat.jpg \
                        \"GET /photos/a%20cat.jpg?versionId=7 HTTP/1.1\" 200 - 2662992 3462992 70 10 \"-\" \"curl/7.15.1\" 7 s9lz \
                        SigV4 - QueryString s3.example.com - - -\n";
        assert_eq!(record().to_line(), expected);
        let refused = Record {
            requester: None,
            key: None,
            status: 403,
            error: Some("AccessDenied"),
            needed_acl: true,
            ..Record::default()
        };
        assert_eq!(
            refused.to_line(),
            "- - [01/Jan/1970:00:00:00 +0000] - - - - - \"-\" 403 AccessDenied - - 0 - \"-\" \"-\" - - - - - - - - Yes\n"
        );
    }

    #[test]
    fn what_a_client_sends_makes_no_field_of_its_own() {
        let sly = "x\" 200\r\n[evil] \\ é".to_owned();
        let line = Record {
            key: Some(sly.clone()),
            request_line: Some(sly.clone()),
            referer: Some(sly.clone()),
            user_agent: Some(sly.clone()),
            version: Some(sly.clone()),
            host: Some(sly),
            ..record()
        }
        .to_line();
        assert_eq!(line.matches('\n').count(), 1);
        assert_eq!(line.matches('"').count(), 6, "{line}");
        assert!(!line.contains(['\r', '\\', 'é']), "{line}");
        let outside: String = line.split('"').step_by(2).collect();
        assert_eq!(outside.split_whitespace().count(), 26 + 1 - 3, "the time is two words, three fields are quoted: {line}");
    }

    #[test]
    fn a_presigned_request_cannot_be_made_again_from_the_log() {
        let signed = "X-Amz-Date=1&X-Amz-Signature=abc&x-amz-security-token=t&Signature=s&versionId=2";
        let shown = "X-Amz-Date=1&X-Amz-Signature=REDACTED&x-amz-security-token=REDACTED&Signature=REDACTED&versionId=2";
        assert_eq!(request_line("GET", "/b/k", signed, "HTTP/1.1"), format!("GET /b/k?{shown} HTTP/1.1"));
        assert_eq!(request_line("PUT", "/b", "", "HTTP/2.0"), "PUT /b HTTP/2.0");
        assert_eq!(referer(&format!("https://h/p?{signed}")), format!("https://h/p?{shown}"));
        assert_eq!(referer("https://h/p"), "https://h/p");
        for name in [
            "X-Amz-%53ignature",
            "x-amz-server-side-encryption-customer-key",
            "X-Amz-Copy-Source-Server-Side-Encryption-Customer-%4bey",
        ] {
            assert_eq!(
                request_line("GET", "/b/k", &format!("{name}=abc&a"), "HTTP/1.1"),
                format!("GET /b/k?{name}=REDACTED&a HTTP/1.1")
            );
        }
    }

    #[test]
    fn what_is_long_is_cut() {
        let line = Record { user_agent: Some("é".repeat(5_000)), referer: Some("x".repeat(5_000)), ..record() }.to_line();
        assert!(line.contains(&format!(" \"{}\" \"{}\" ", "x".repeat(512), "%C3%A9".repeat(256))), "{line}");
    }
}
