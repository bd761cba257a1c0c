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
    pub(crate) async fn post(&self, body: Bytes) -> Result<(), NotTaken> {
        let limits = Limits { timeout: self.timeout, most_bytes: MOST_ANSWER };
        judge(self.web.send(self.request(body)?, limits).await?.status())
    }

    fn request(&self, body: Bytes) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = Request::post(self.url.clone()).header(USER_AGENT, "Trioxide").header(CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.as_str()));
        }
        request.body(Full::new(body))
    }
}

/// Whatever else than a 2xx is no: redirections are not followed, since nobody but an administrator says where events go.
fn judge(status: StatusCode) -> Result<(), NotTaken> {
    match status {
        status if status.is_success() => Ok(()),
        // A wrong address or token, as a rule: nothing is wrong with the event, and somebody can mend it in the time that it waits.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            Err(NotTaken::Busy(status))
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Err(NotTaken::Busy(status)),
        status if status.is_client_error() => Err(NotTaken::Refused(status)),
        status => Err(NotTaken::Busy(status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_the_fault_of_the_configuration_is_not_the_event_s() {
        let judged = |code: u16| judge(StatusCode::from_u16(code).expect("a status"));
        for code in [200, 201, 202, 204] {
            assert!(judged(code).is_ok(), "{code}");
        }
        for code in [301, 302, 401, 403, 404, 405, 408, 429, 500, 502, 503] {
            assert!(matches!(judged(code), Err(NotTaken::Busy(_))), "{code}");
        }
        for code in [400, 409, 410, 413, 415, 422] {
            assert!(matches!(judged(code), Err(NotTaken::Refused(_))), "{code}");
        }
    }
}
