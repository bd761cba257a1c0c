//! Whom `trioxide admin` asks; and, if it is not who should be asked, what it is and what to give in its place.

use bytes::Bytes;
use http::{Response, StatusCode, Uri, header};
use web_client::{CertificateError, WebError};

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum EndpointError {
    #[error("the endpoint {0} is not http://host:port or https://host:port")]
    Malformed(String),
    #[error("{endpoint} speaks TLS: give --endpoint https://{authority}")]
    Tls { endpoint: String, authority: String },
    #[error("{endpoint} does not speak TLS: give --endpoint http://{authority}")]
    NoTls { endpoint: String, authority: String },
    #[error("{0} shows a certificate of an authority that this machine does not know: give that authority's with --ca-file FILE")]
    UnknownAuthority(String),
    #[error(
        "{0} is not an admin listener but speaks S3: administrators have a port of their own, 19878 unless [admin] addr says otherwise"
    )]
    S3(String),
    #[error(
        "{endpoint} is not an admin listener: its answer ({status}) is not what one says; the port is 19878 unless [admin] addr says otherwise"
    )]
    Stranger { endpoint: String, status: u16 },
    #[error("reaching {endpoint}: {why}")]
    Unreached { endpoint: String, why: String },
}

pub(super) struct Endpoint<'a> {
    given: &'a str,
    pub(super) address: Uri,
}

impl<'a> Endpoint<'a> {
    pub(super) fn parse(given: &'a str) -> Result<Self, EndpointError> {
        web_client::check_address(given)
            .ok()
            .filter(|address| address.path_and_query().is_none_or(|path| path == "/"))
            .map(|address| Self { given, address })
            .ok_or_else(|| EndpointError::Malformed(given.to_owned()))
    }

    fn authority(&self) -> String {
        self.address.authority().map(ToString::to_string).unwrap_or_default()
    }

    pub(super) fn unreached(&self, error: WebError) -> EndpointError {
        let endpoint = self.given.to_owned();
        match error {
            WebError::NotTls => EndpointError::NoTls { endpoint, authority: self.authority() },
            WebError::Certificate(CertificateError::UnknownIssuer) => EndpointError::UnknownAuthority(endpoint),
            other => EndpointError::Unreached { endpoint, why: other.to_string() },
        }
    }

    /// Of an answer that no admin listener gives.
    pub(super) fn strange(&self, answer: &Response<Bytes>) -> EndpointError {
        let endpoint = self.given.to_owned();
        if speaks_tls(answer) && self.address.scheme_str() == Some("http") {
            EndpointError::Tls { endpoint, authority: self.authority() }
        } else if speaks_s3(answer) {
            EndpointError::S3(endpoint)
        } else {
            EndpointError::Stranger { endpoint, status: answer.status().as_u16() }
        }
    }
}

/// Ours, nginx, Apache and Go answer the first words of HTTP so, all of them naming what they would rather have heard.
fn speaks_tls(answer: &Response<Bytes>) -> bool {
    let text = String::from_utf8_lossy(answer.body()).to_ascii_lowercase();
    answer.status() == StatusCode::BAD_REQUEST && !speaks_s3(answer) && text.contains("https")
}

/// Its answers have the header that ours have too, but are XML or nothing.
fn speaks_s3(answer: &Response<Bytes>) -> bool {
    let is_json = answer.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    answer.headers().contains_key("x-amz-request-id") && !is_json
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strange(given: &str, status: u16, headers: &[(&str, &str)], body: &'static str) -> String {
        let head = headers.iter().fold(Response::builder().status(status), |head, (name, value)| head.header(*name, *value));
        let answer = head.body(Bytes::from(body)).expect("an answer");
        Endpoint::parse(given).expect("an address").strange(&answer).to_string()
    }

    #[test]
    fn whoever_answers_is_told_by_the_answer() {
        let (xml, json) = (("content-type", "application/xml"), ("content-type", "application/json"));
        let id = ("x-amz-request-id", "7");
        let own = "This port speaks TLS: the address is https://.\n";
        let nginx = "<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>";
        for (given, status, headers, body, told) in [
            ("http://h:1", 400, [].as_slice(), own, "http://h:1 speaks TLS: give --endpoint https://h:1"),
            ("http://h:1/", 400, &[], nginx, "http://h:1/ speaks TLS: give --endpoint https://h:1"),
            ("https://h:1", 400, &[], nginx, "https://h:1 is not an admin listener: its answer (400)"),
            ("http://h:1", 400, &[], "hello", "http://h:1 is not an admin listener: its answer (400)"),
            ("http://h:1", 404, &[xml, id], "<Error/>", "http://h:1 is not an admin listener but speaks S3: "),
            (
                "http://h:1",
                400,
                &[xml, id],
                "<Error><Message>https</Message></Error>",
                "http://h:1 is not an admin listener but speaks S3: ",
            ),
            ("https://h:1", 200, &[id], "", "https://h:1 is not an admin listener but speaks S3: "),
            ("http://h:1", 200, &[json, id], "{\"other\":1}", "http://h:1 is not an admin listener: its answer (200)"),
            ("http://h:1", 200, &[xml], "<a/>", "http://h:1 is not an admin listener: its answer (200)"),
        ] {
            let text = strange(given, status, headers, body);
            assert!(text.starts_with(told) && !text.contains('\n'), "{text}");
        }
    }

    #[test]
    fn an_endpoint_is_a_server_and_no_more() {
        for given in ["http://h", "http://h:1/", "https://[::1]:1"] {
            assert!(Endpoint::parse(given).is_ok(), "{given}");
        }
        for given in ["", "h:1", "ftp://h", "http://h/path", "http://h?query"] {
            assert_eq!(Endpoint::parse(given).err(), Some(EndpointError::Malformed(given.to_owned())));
        }
    }
}
