//! Posting events to a webhook.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::Full;
use web_client::{Limits, WebError};

use super::Destination;

/// Read of an answer. Nothing in it is looked at.
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
    #[error(transparent)]
    Web(#[from] WebError),
    #[error("no request can be made: {0}")]
    Request(#[from] http::Error),
}

impl Destination {
    /// Whatever else than a 2xx is no: redirections are not followed, since nobody but an administrator says where events go.
    pub(crate) async fn post(&self, body: Bytes) -> Result<(), NotTaken> {
        let limits = Limits { timeout: self.timeout, most_bytes: MOST_ANSWER };
        let status = self.web.send(self.request(body)?, limits).await?.status();
        match status {
            status if status.is_success() => Ok(()),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Err(NotTaken::Busy(status)),
            status if status.is_client_error() => Err(NotTaken::Refused(status)),
            status => Err(NotTaken::Busy(status)),
        }
    }

    fn request(&self, body: Bytes) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = Request::post(self.url.clone()).header(USER_AGENT, "Trioxide").header(CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.as_str()));
        }
        request.body(Full::new(body))
    }
}
