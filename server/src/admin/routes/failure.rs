//! Failures as JSON: `{"code", "message"}`, with S3's code where S3 has one.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use gateway_core::S3Error;
use om_api::{Denied, SecretRejected};
use rpc::CallError;
use serde_json::json;

#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    code: String,
    message: String,
}

impl Failure {
    fn new(status: StatusCode, code: &str, message: impl ToString) -> Self {
        Self { status, code: code.to_owned(), message: message.to_string() }
    }

    pub(super) fn not_here() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NoSuchRoute", "this process does not answer administrators")
    }

    pub(super) fn method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "the method is not allowed here")
    }

    pub(super) fn unless_post(request: &axum::http::request::Parts) -> Result<(), Self> {
        if request.method == axum::http::Method::POST { Ok(()) } else { Err(Self::method()) }
    }

    pub(super) fn signature(error: S3Error) -> Self {
        Self::new(error.status(), error.code().as_str(), error.message())
    }

    /// A call whose rejection is one for everybody: the signer may not, or the role says no.
    pub(super) fn call<R: std::fmt::Debug>(error: CallError<R>) -> Self {
        match error {
            CallError::Rejected(rejection) => Self::new(StatusCode::FORBIDDEN, "AccessDenied", format!("{rejection:?}")),
            CallError::NotApplied(why) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", why),
            CallError::Unknown(why) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "OutcomeUnknown", why),
        }
    }

    pub(super) fn secret(error: CallError<SecretRejected>) -> Self {
        match error {
            CallError::Rejected(SecretRejected::Denied(Denied::NoSuchAccessKey)) => {
                Self::new(StatusCode::FORBIDDEN, "InvalidAccessKeyId", "no such access key")
            }
            CallError::Rejected(rejection @ SecretRejected::Denied(_)) => {
                Self::new(StatusCode::FORBIDDEN, "AccessDenied", rejection)
            }
            CallError::Rejected(rejection @ (SecretRejected::NoSuchUser | SecretRejected::NoSecret)) => {
                Self::new(StatusCode::NOT_FOUND, "NoSuchEntity", rejection)
            }
            CallError::Rejected(rejection @ SecretRejected::SecretExists) => {
                Self::new(StatusCode::CONFLICT, "EntityAlreadyExists", rejection)
            }
            other => Self::call(other),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(json!({"code": self.code, "message": self.message}))).into_response()
    }
}
