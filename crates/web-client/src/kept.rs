//! Connections that are kept for the next request to the same server.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;

use crate::{Limits, Sender, WebClient, WebError, addressed, ask};

/// Of one server: every request must be to the same.
#[derive(Clone)]
pub struct KeptConnections {
    client: WebClient,
    /// The last one used is the first to be used again, and those that a busy time has left are closed by their server.
    idle: Arc<Mutex<Vec<Sender>>>,
}

impl std::fmt::Debug for KeptConnections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeptConnections")
    }
}

impl KeptConnections {
    pub fn new(client: WebClient) -> Self {
        Self { client, idle: Arc::default() }
    }

    /// A request that may be repeated: where a kept connection breaks before it is answered it is sent again over a new one, since a
    /// server may close a connection that nobody uses at any moment.
    pub async fn send(&self, request: Request<Full<Bytes>>, limits: Limits) -> Result<Response<Bytes>, WebError> {
        tokio::time::timeout(limits.timeout, self.exchange(request, limits)).await.unwrap_or(Err(WebError::TimedOut))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>, limits: Limits) -> Result<Response<Bytes>, WebError> {
        let (server, request) = addressed(request)?;
        while let Some(mut kept) = self.take() {
            if kept.ready().await.is_err() {
                continue;
            }
            match ask(&mut kept, request.clone(), limits).await {
                Err(WebError::Exchange(_)) => break,
                answered => return self.keep(kept, answered),
            }
        }
        let mut new = self.client.connect(&server).await?;
        let answered = ask(&mut new, request, limits).await;
        self.keep(new, answered)
    }

    fn take(&self) -> Option<Sender> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Only one whose answer was read to its end can be used again.
    fn keep(&self, sender: Sender, answered: Result<Response<Bytes>, WebError>) -> Result<Response<Bytes>, WebError> {
        if answered.is_ok() && !sender.is_closed() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        }
        answered
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check_address;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    const LIMITS: Limits = Limits { timeout: Duration::from_secs(10), most_bytes: 8 };

    /// Answers so many requests, then closes.
    async fn serve(stream: &mut TcpStream, requests: usize, answer: &str) {
        for _ in 0..requests {
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\nbody") {
                let mut some = [0; 1024];
                let length = stream.read(&mut some).await.expect("a request");
                assert_ne!(length, 0, "closed in the middle of a request");
                asked.extend_from_slice(&some[..length]);
            }
            stream.write_all(answer.as_bytes()).await.expect("taken");
        }
    }

    async fn post(to: &KeptConnections, port: u16) -> Result<Response<Bytes>, WebError> {
        let address = check_address(&format!("http://127.0.0.1:{port}/")).expect("an address");
        to.send(Request::post(address).body(Full::from("body")).expect("a request"), LIMITS).await
    }

    #[tokio::test]
    async fn a_connection_is_used_again_and_one_that_was_closed_is_made_anew() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let server = tokio::spawn(async move {
            const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            let (mut first, _) = listener.accept().await.expect("a client");
            serve(&mut first, 2, OK).await;
            drop(first);
            let (mut second, _) = listener.accept().await.expect("a client");
            serve(&mut second, 1, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await;
            drop(second);
            let (mut third, _) = listener.accept().await.expect("a client");
            serve(&mut third, 1, OK).await;
        });
        let kept = KeptConnections::new(WebClient::new(&[]).expect("a client"));
        for _ in 0..4 {
            assert_eq!(post(&kept, port).await.expect("an answer").status(), 200);
        }
        server.await.expect("three connections for four requests");
    }

    #[tokio::test]
    async fn a_connection_with_an_answer_that_was_not_read_is_not_used_again() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let server = tokio::spawn(async move {
            for answer in ["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello you", "HTTP/1.1 204 No Content\r\n\r\n"] {
                let (mut stream, _) = listener.accept().await.expect("a client");
                serve(&mut stream, 1, answer).await;
            }
        });
        let kept = KeptConnections::new(WebClient::new(&[]).expect("a client"));
        assert!(matches!(post(&kept, port).await, Err(WebError::Body(8))));
        assert_eq!(post(&kept, port).await.expect("an answer").status(), 204);
        server.await.expect("two connections");
    }
}
