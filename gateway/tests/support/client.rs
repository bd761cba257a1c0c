//! A client that signs as the AWS SDK for Rust does.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::NOW;

#[derive(Debug, Clone)]
pub struct Client {
    pub addr: SocketAddr,
    access_key: String,
    secret_key: String,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// The body broke off.
    pub broken: bool,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
    }

    /// The text of the first element of this name.
    pub fn element(&self, name: &str) -> String {
        element(&self.text(), name)
    }

    /// Status and S3's code.
    pub fn error(&self) -> (u16, String) {
        (self.status, self.element("Code"))
    }
}

pub fn element(document: &str, name: &str) -> String {
    let (_, rest) = document.split_once(&format!("<{name}>")).unwrap_or_default();
    rest.split_once(&format!("</{name}>")).unwrap_or_default().0.to_owned()
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Payload {
    Hashed,
    Unsigned,
    UnsignedTrailer,
}

impl Client {
    pub fn new(addr: SocketAddr, access_key: &str, secret_key: &str) -> Self {
        Self { addr, access_key: access_key.to_owned(), secret_key: secret_key.to_owned() }
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.send("GET", target, &[], "").await
    }

    pub async fn put(&self, target: &str, body: impl Into<Bytes>) -> Answer {
        self.send("PUT", target, &[], body).await
    }

    pub async fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        self.send_as(Payload::Hashed, method, target, headers, body).await
    }

    pub async fn send_as(
        &self,
        payload: Payload,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let body = body.into();
        let headers = self.signed(payload, method, target, headers, &body);
        self.send_raw(method, target, headers, body).await
    }

    pub async fn send_raw(&self, method: &str, target: &str, headers: HeaderMap, body: Bytes) -> Answer {
        let stream = TcpStream::connect(self.addr).await.expect("the gateway listens");
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a connection");
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(target).body(Full::new(body)).expect("a request");
        *request.headers_mut() = headers;
        if method == "PUT" && request.body().is_end_stream() {
            // As every S3 client does; hyper leaves it out.
            request.headers_mut().insert("content-length", HeaderValue::from_static("0"));
        }
        let answer = sender.send_request(request).await.expect("an answer");
        let (head, mut incoming) = answer.into_parts();
        let (mut body, mut broken) = (Vec::new(), false);
        while let Some(frame) = incoming.frame().await {
            match frame {
                Ok(frame) => body.extend_from_slice(frame.data_ref().expect("no trailers")),
                Err(_) => {
                    broken = true;
                    break;
                }
            }
        }
        Answer { status: head.status.as_u16(), headers: head.headers, body, broken }
    }

    /// All headers of the request, as they go on the wire.
    pub fn signed(&self, payload: Payload, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> HeaderMap {
        let body = match payload {
            Payload::Hashed => SignableBody::Bytes(body),
            Payload::Unsigned => SignableBody::UnsignedPayload,
            Payload::UnsignedTrailer => SignableBody::StreamingUnsignedPayloadTrailer,
        };
        let (added, _) = self.instructions(SignatureLocation::Headers, method, target, headers, body);
        let mut map = HeaderMap::new();
        map.insert("host", HeaderValue::from_str(&self.addr.to_string()).expect("an address"));
        for (name, value) in headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).chain(added) {
            let name = HeaderName::try_from(name).expect("a name");
            map.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
        }
        map
    }

    /// The target of a URL that is good for a minute.
    pub fn presigned(&self, method: &str, target: &str) -> String {
        let (_, query) = self.instructions(SignatureLocation::QueryParams, method, target, &[], SignableBody::UnsignedPayload);
        let mut signed = target.to_owned();
        for (name, value) in query {
            signed.push(if signed.contains('?') { '&' } else { '?' });
            let encoded = gateway_core::encoding::percent_encode(value.as_bytes(), gateway_core::encoding::Slash::Encoded);
            signed.push_str(&format!("{name}={encoded}"));
        }
        signed
    }

    pub fn host_only(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        map.insert("host", HeaderValue::from_str(&self.addr.to_string()).expect("an address"));
        map
    }

    #[expect(clippy::type_complexity, reason = "names and values of headers, and of parameters")]
    fn instructions(
        &self,
        location: SignatureLocation,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: SignableBody<'_>,
    ) -> (Vec<(String, String)>, Vec<(String, String)>) {
        let identity = Credentials::new(&self.access_key, &self.secret_key, None, None, "test").into();
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.signature_location = location;
        settings.expires_in = (location == SignatureLocation::QueryParams).then_some(Duration::from_secs(60));
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("s3")
            .time(SystemTime::UNIX_EPOCH + Duration::from_millis(NOW.0))
            .settings(settings)
            .build()
            .expect("complete")
            .into();
        let uri = format!("http://{}{target}", self.addr);
        let signable = SignableRequest::new(method, &uri, headers.iter().copied(), body).expect("a signable request");
        let (instructions, _) = sign(signable, &params).expect("signs").into_parts();
        let (headers, query) = instructions.into_parts();
        let headers = headers.iter().map(|header| (header.name().to_owned(), header.value().to_owned())).collect();
        (headers, query.into_iter().map(|(name, value)| (name.to_owned(), value.into_owned())).collect())
    }

    /// A connection on which bytes are written as they are.
    pub async fn raw(&self) -> Raw {
        Raw(TcpStream::connect(self.addr).await.expect("the gateway listens"))
    }
}

pub struct Raw(pub TcpStream);

impl Raw {
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.expect("the connection is open");
    }

    /// All until the gateway closes.
    pub async fn read_to_end(&mut self) -> String {
        let mut text = Vec::new();
        let _ = self.0.read_to_end(&mut text).await;
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Until this has come.
    pub async fn read_until(&mut self, wanted: &str) -> String {
        let mut text = Vec::new();
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&text).contains(wanted) {
            let count = self.0.read(&mut buffer).await.expect("the connection is open");
            assert_ne!(count, 0, "closed after {}", String::from_utf8_lossy(&text));
            text.extend_from_slice(&buffer[..count]);
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// A head as text, with these headers.
pub fn head_text(method: &str, target: &str, headers: &HeaderMap) -> String {
    let mut text = format!("{method} {target} HTTP/1.1\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes())));
    }
    text + "\r\n"
}
