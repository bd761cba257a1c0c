//! One S3 client: one kept connection, one request at a time.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::error::BenchError;
use crate::sign::{Canonical, Keys, Signer, payload_hash};

/// Where requests go, and as whom.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) bucket: String,
    pub(crate) keys: Keys,
}

impl Target {
    /// The path of a key. Ours are of characters that no encoding touches.
    pub(crate) fn path(&self, key: &str) -> String {
        format!("/{}/{key}", self.bucket)
    }
}

/// A body, with its hash.
#[derive(Debug, Clone)]
pub(crate) struct Payload {
    bytes: Bytes,
    hash: Arc<str>,
}

impl Payload {
    pub(crate) fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let hash = payload_hash(&bytes).into();
        Self { bytes, hash }
    }

    pub(crate) fn empty() -> Self {
        Self::new(Bytes::new())
    }

    /// So many bytes that no layer can squeeze; the same ones every time.
    pub(crate) fn noise(length: u64) -> Self {
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 8);
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        while (bytes.len() as u64) < length {
            // xorshift64: even, quick, and the same on every machine.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend_from_slice(&state.to_le_bytes());
        }
        bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        Self::new(bytes)
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub(crate) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }
}

/// A request; path and query are in SigV4's canonical form.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) payload: Payload,
}

/// An answer whose body has been read and dropped.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body_bytes: u64,
}

#[derive(Debug)]
pub(crate) struct Client {
    target: Arc<Target>,
    signer: Signer,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    pub(crate) fn new(target: Arc<Target>) -> Self {
        let signer = Signer::new(target.keys.clone());
        Self { target, signer, connection: None }
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// Sends, and reads the answer through to its end. Anything but success is an error.
    pub(crate) async fn send(&mut self, ask: &Ask) -> Result<Answer, BenchError> {
        let response = self.start(ask).await?;
        let headers = response.headers().clone();
        let mut body = response.into_body();
        let mut body_bytes = 0;
        while let Some(frame) = body.frame().await {
            body_bytes += frame?.data_ref().map_or(0, |data| data.len() as u64);
        }
        Ok(Answer { headers, body_bytes })
    }

    /// Sends, and keeps the answer's body.
    pub(crate) async fn fetch(&mut self, ask: &Ask) -> Result<Bytes, BenchError> {
        Ok(self.start(ask).await?.into_body().collect().await?.to_bytes())
    }

    async fn start(&mut self, ask: &Ask) -> Result<http::Response<Incoming>, BenchError> {
        let request = self.signed(ask)?;
        let connection = self.ready().await?;
        let response = connection.send_request(request).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.into_body().collect().await?.to_bytes();
        let body = String::from_utf8_lossy(&body).chars().take(500).collect();
        Err(BenchError::Status { method: ask.method.clone(), path: ask.path.clone(), status, body })
    }

    fn signed(&mut self, ask: &Ask) -> Result<Request<Full<Bytes>>, BenchError> {
        let canonical = Canonical {
            method: ask.method.as_str(),
            path: &ask.path,
            query: &ask.query,
            host: &self.target.host,
            payload_hash: &ask.payload.hash,
        };
        let signed = self.signer.sign(canonical, SystemTime::now())?;
        let uri = if ask.query.is_empty() { ask.path.clone() } else { format!("{}?{}", ask.path, ask.query) };
        Ok(Request::builder()
            .method(ask.method.clone())
            .uri(uri)
            .header(HOST, &self.target.host)
            .header("x-amz-content-sha256", &*ask.payload.hash)
            .header("x-amz-date", signed.date)
            .header(AUTHORIZATION, signed.authorization)
            .body(Full::new(ask.payload.bytes.clone()))?)
    }

    async fn ready(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, BenchError> {
        let usable = match &mut self.connection {
            Some(connection) => connection.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            self.connection = None;
        }
        match &mut self.connection {
            Some(connection) => Ok(connection),
            none => Ok(none.insert(connect(&self.target.host).await?)),
        }
    }

    /// Makes the bucket unless it is there.
    pub(crate) async fn ensure_bucket(&mut self) -> Result<(), BenchError> {
        let path = format!("/{}", self.target.bucket);
        let create = Ask { method: Method::PUT, path, query: String::new(), payload: Payload::empty() };
        match self.send(&create).await {
            Ok(_) | Err(BenchError::Status { status: StatusCode::CONFLICT, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// A kept connection to a plain HTTP endpoint.
pub(crate) async fn connect(host: &str) -> Result<SendRequest<Full<Bytes>>, BenchError> {
    let tcp = TcpStream::connect(host).await.map_err(BenchError::io(format!("connecting to {host}")))?;
    tcp.set_nodelay(true).map_err(BenchError::io("setting nodelay"))?;
    let (sender, connection) = http1::handshake(TokioIo::new(tcp)).await?;
    // Ends with the sender; how, the sender hears.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(sender)
}
