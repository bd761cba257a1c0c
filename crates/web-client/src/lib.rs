//! Requests to web servers that the operator named: identity providers, receivers of notifications.
//!
//! Nothing that a client of Trioxide says becomes an address here; whoever calls takes addresses from the configuration alone. No
//! redirect is followed, an answer has a length and a time that it may take, and TLS is verified always.

mod kept;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, InvalidMessage, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub use kept::KeptConnections;
pub use rustls::CertificateError;

#[derive(Debug, thiserror::Error)]
pub enum WebError {
    #[error("{0} is no address of a web server")]
    Address(String),
    #[error("reading the certificates in {0}: {1}")]
    Certificates(PathBuf, String),
    #[error("no answer in time")]
    TimedOut,
    #[error("connecting: {0}")]
    Connect(std::io::Error),
    #[error("the server does not speak TLS")]
    NotTls,
    #[error("the server's certificate does not serve: {0}")]
    Certificate(CertificateError),
    #[error("asking: {0}")]
    Exchange(hyper::Error),
    #[error("the answer is longer than {0} bytes, or breaks off")]
    Body(usize),
}

/// What one exchange may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub timeout: Duration,
    pub most_bytes: usize,
}

#[derive(Clone)]
pub struct WebClient {
    tls: Arc<ClientConfig>,
}

impl std::fmt::Debug for WebClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebClient")
    }
}

/// Whether an address of the configuration can be called at all.
pub fn check_address(address: &str) -> Result<Uri, WebError> {
    let wrong = || WebError::Address(address.to_owned());
    let uri: Uri = address.parse().map_err(|_| wrong())?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    if is_web && uri.host().is_some_and(|host| !host.is_empty()) { Ok(uri) } else { Err(wrong()) }
}

impl WebClient {
    /// Trusts what the machine trusts, and the authorities in these files.
    pub fn new(authorities: &[PathBuf]) -> Result<Self, WebError> {
        let mut roots = RootCertStore::empty();
        for certificate in rustls_native_certs::load_native_certs().certs {
            // One that this machine has and nobody can read is no reason to trust less.
            let _ = roots.add(certificate);
        }
        for path in authorities {
            let failed = |why: String| WebError::Certificates(path.clone(), why);
            let before = roots.len();
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))? {
                let certificate = certificate.map_err(|error| failed(error.to_string()))?;
                roots.add(certificate).map_err(|error| failed(error.to_string()))?;
            }
            if roots.len() == before {
                return Err(failed("there is none".to_owned()));
            }
        }
        let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Ok(Self { tls: Arc::new(tls) })
    }

    /// One request over a connection of its own. `Host` is set here.
    pub async fn send(&self, request: Request<Full<Bytes>>, limits: Limits) -> Result<Response<Bytes>, WebError> {
        tokio::time::timeout(limits.timeout, self.exchange(request, limits)).await.unwrap_or(Err(WebError::TimedOut))
    }

    pub async fn get(&self, address: &Uri, limits: Limits) -> Result<Response<Bytes>, WebError> {
        let request = Request::get(address.clone()).body(Full::default());
        self.send(request.map_err(|_| WebError::Address(address.to_string()))?, limits).await
    }

    async fn exchange(&self, request: Request<Full<Bytes>>, limits: Limits) -> Result<Response<Bytes>, WebError> {
        let (server, request) = addressed(request)?;
        let mut connection = self.connect(&server).await?;
        ask(&mut connection, request, limits).await
    }

    /// It lives for as long as the sender does.
    async fn connect(&self, server: &Server) -> Result<Sender, WebError> {
        let stream = TcpStream::connect((server.host.as_str(), server.port)).await.map_err(WebError::Connect)?;
        // A head and a body are two writes; the second would wait for an answer to the first.
        stream.set_nodelay(true).map_err(WebError::Connect)?;
        let Some(name) = &server.tls else { return handshake(stream).await };
        let stream = TlsConnector::from(Arc::clone(&self.tls)).connect(name.clone(), stream).await.map_err(not_secured)?;
        handshake(stream).await
    }
}

fn not_secured(error: std::io::Error) -> WebError {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        // What came is no record of TLS.
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => WebError::NotTls,
        Some(rustls::Error::InvalidCertificate(why)) => WebError::Certificate(why.clone()),
        _ => WebError::Connect(error),
    }
}

type Sender = SendRequest<Full<Bytes>>;

/// Where a request goes.
struct Server {
    host: String,
    port: u16,
    tls: Option<ServerName<'static>>,
}

/// The request as it is sent there, with its `Host`.
fn addressed(mut request: Request<Full<Bytes>>) -> Result<(Server, Request<Full<Bytes>>), WebError> {
    let uri = request.uri().clone();
    let wrong = || WebError::Address(uri.to_string());
    let authority = uri.authority().ok_or_else(wrong)?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let tls = match uri.scheme_str() {
        Some("https") => Some(ServerName::try_from(host.clone()).map_err(|_| wrong())?),
        Some("http") => None,
        _ => return Err(wrong()),
    };
    let port = authority.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 });
    let header = http::HeaderValue::from_str(authority.as_str()).map_err(|_| wrong())?;
    request.headers_mut().insert(http::header::HOST, header);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse().map_err(|_| wrong())?;
    Ok((Server { host, port, tls }, request))
}

async fn handshake<S>(stream: S) -> Result<Sender, WebError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(WebError::Exchange)?;
    // What it fails with, whoever waits for an answer is told. It ends with its sender.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(sender)
}

/// The answer is read to its end.
async fn ask(sender: &mut Sender, request: Request<Full<Bytes>>, limits: Limits) -> Result<Response<Bytes>, WebError> {
    let answer = sender.send_request(request).await.map_err(WebError::Exchange)?;
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, limits.most_bytes).collect().await.map_err(|_| WebError::Body(limits.most_bytes))?;
    Ok(Response::from_parts(head, body.to_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    const LIMITS: Limits = Limits { timeout: Duration::from_secs(10), most_bytes: 8 };

    async fn answered(answer: &'static str) -> (Result<Response<Bytes>, WebError>, String) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut asked = vec![0; 4096];
            let length = stream.read(&mut asked).await.expect("a request");
            stream.write_all(answer.as_bytes()).await.expect("taken");
            String::from_utf8_lossy(&asked[..length]).into_owned()
        });
        let client = WebClient::new(&[]).expect("a client");
        let address = check_address(&format!("http://127.0.0.1:{port}/a?b")).expect("an address");
        let got = client.get(&address, LIMITS).await;
        (got, server.await.expect("served"))
    }

    #[tokio::test]
    async fn an_answer_is_read_to_its_end_and_no_further_than_allowed() {
        let (got, asked) = answered("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await;
        assert_eq!(got.expect("an answer").into_body(), "hello");
        assert!(asked.starts_with("GET /a?b HTTP/1.1\r\nhost: 127.0.0.1:"), "{asked}");
        let (got, _) = answered("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello you").await;
        assert!(matches!(got, Err(WebError::Body(8))));
        let (got, _) = answered("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n").await;
        assert_eq!(got.expect("an answer").status(), 302);
        let (got, _) = answered("").await;
        assert!(matches!(got, Err(WebError::Exchange(_))));
    }

    #[tokio::test]
    async fn a_server_without_tls_is_told_from_one_that_is_not_there() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = format!("https://{}/", listener.local_addr().expect("bound"));
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("taken");
        });
        let client = WebClient::new(&[]).expect("a client");
        let address = check_address(&address).expect("an address");
        assert!(matches!(client.get(&address, LIMITS).await, Err(WebError::NotTls)));
        server.await.expect("served");
        assert!(matches!(client.get(&address, LIMITS).await, Err(WebError::Connect(_))));
    }

    #[test]
    fn only_web_servers_are_called() {
        for wrong in ["", "file:///etc/passwd", "/path", "ftp://host/", "http://"] {
            assert!(check_address(wrong).is_err(), "{wrong}");
        }
        assert!(check_address("https://host:8443/path").is_ok());
    }
}
