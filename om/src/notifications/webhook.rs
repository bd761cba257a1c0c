//! Posting events to a webhook.

use std::io;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Destination;

/// Read of an answer, so that the connection can be used again. Nothing in it is looked at.
const MOST_ANSWER: usize = 64 << 10;

/// Why a destination did not take an event.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotTaken {
    /// It was asked and wants none of this one.
    #[error("the destination answers {0}")]
    Refused(StatusCode),
    /// It may take it later.
    #[error("the destination answers {0}")]
    Busy(StatusCode),
    #[error("no answer in time")]
    TooSlow,
    #[error("{0}")]
    Unreachable(String),
}

/// A connection to one destination, for as long as it is good.
pub(crate) struct Hook<'d> {
    destination: &'d Destination,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl<'d> Hook<'d> {
    pub(crate) fn new(destination: &'d Destination) -> Self {
        Self { destination, connection: None }
    }

    /// Whatever else than a 2xx is no: redirections are not followed, since nobody but an administrator says where events go.
    pub(crate) async fn post(&mut self, body: Bytes) -> Result<(), NotTaken> {
        let answer = timeout(self.destination.timeout, self.exchange(body)).await;
        let status = match answer {
            Ok(Ok(status)) => status,
            Ok(Err(why)) => {
                self.connection = None;
                return Err(why);
            }
            Err(_) => {
                self.connection = None;
                return Err(NotTaken::TooSlow);
            }
        };
        match status {
            status if status.is_success() => Ok(()),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Err(NotTaken::Busy(status)),
            status if status.is_client_error() => Err(NotTaken::Refused(status)),
            status => Err(NotTaken::Busy(status)),
        }
    }

    async fn exchange(&mut self, body: Bytes) -> Result<StatusCode, NotTaken> {
        let unreachable = |why: &dyn std::fmt::Display| NotTaken::Unreachable(why.to_string());
        let mut connection = match self.connection.take() {
            Some(connection) if !connection.is_closed() => connection,
            _ => self.connect().await.map_err(|error| unreachable(&error))?,
        };
        connection.ready().await.map_err(|error| unreachable(&error))?;
        let request = self.request(body).map_err(|error| unreachable(&error))?;
        let answer = connection.send_request(request).await.map_err(|error| unreachable(&error))?;
        let status = answer.status();
        // With more to read than that a new connection is cheaper.
        if Limited::new(answer.into_body(), MOST_ANSWER).collect().await.is_ok() {
            self.connection = Some(connection);
        }
        Ok(status)
    }

    async fn connect(&self) -> io::Result<SendRequest<Full<Bytes>>> {
        let url = &self.destination.url;
        let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
        let stream = TcpStream::connect((host, url.port_u16().unwrap_or(80))).await?;
        stream.set_nodelay(true)?;
        let (connection, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        // Ends with the connection, which ends when it is dropped here or there.
        tokio::spawn(async move { drop(driver.await) });
        Ok(connection)
    }

    fn request(&self, body: Bytes) -> Result<Request<Full<Bytes>>, http::Error> {
        let url = &self.destination.url;
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::post(path)
            .header(HOST, url.authority().map_or("", |authority| authority.as_str()))
            .header(USER_AGENT, "Trioxide")
            .header(CONTENT_TYPE, "application/json");
        if let Some(token) = &self.destination.token {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.as_str()));
        }
        request.body(Full::new(body))
    }
}
