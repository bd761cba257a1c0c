//! Failures as JSON: `{"code", "message"}`, with S3's code where S3 has one.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use gateway_core::S3Error;
use om_api::{AccountRejected, Denied, EnsureUserRejected, KmsRejected, SecretRejected};
use rpc::{CallError, Never};
use serde_json::json;

#[derive(Debug, Clone)]
pub(super) struct Failure {
    status: StatusCode,
    code: &'static str,
    message: String,
}

/// Rejections that administrators may meet.
pub(super) trait Rejection {
    fn failure(self) -> Failure;
}

impl Rejection for Never {
    fn failure(self) -> Failure {
        match self {}
    }
}

impl Rejection for Denied {
    fn failure(self) -> Failure {
        let code = match self {
            Self::NoSuchAccessKey => "InvalidAccessKeyId",
            Self::ExpiredToken => "ExpiredToken",
            Self::AccessDenied | Self::StaleCredential | Self::AclNotSupported | Self::UnknownGrantee | Self::UnknownEmail => {
                "AccessDenied"
            }
        };
        Failure::new(StatusCode::FORBIDDEN, code, self)
    }
}

impl Rejection for SecretRejected {
    fn failure(self) -> Failure {
        match self {
            Self::Denied(denied) => denied.failure(),
            Self::NoSuchUser | Self::NoSecret => Failure::new(StatusCode::NOT_FOUND, "NoSuchEntity", self),
            Self::SecretExists | Self::AccessKeyTaken => Failure::new(StatusCode::CONFLICT, "EntityAlreadyExists", self),
            Self::TooMany => Failure::new(StatusCode::CONFLICT, "LimitExceeded", self),
            Self::Unfit(_) => Failure::new(StatusCode::BAD_REQUEST, "InvalidArgument", self),
        }
    }
}

impl Rejection for AccountRejected {
    fn failure(self) -> Failure {
        match self {
            Self::Denied(denied) => denied.failure(),
            Self::NoSuchAccount => Failure::new(StatusCode::NOT_FOUND, "NoSuchEntity", self),
            Self::Unfit(EnsureUserRejected::Invalid(_)) => Failure::new(StatusCode::BAD_REQUEST, "InvalidArgument", self),
            Self::Unfit(_) | Self::Exists => Failure::new(StatusCode::CONFLICT, "EntityAlreadyExists", self),
            Self::Has(_) => Failure::new(StatusCode::CONFLICT, "DeleteConflict", self),
            Self::LastAdministrator => Failure::new(StatusCode::CONFLICT, "InvalidRequest", self),
        }
    }
}

impl Rejection for KmsRejected {
    fn failure(self) -> Failure {
        match self {
            Self::Denied(denied) => denied.failure(),
            Self::NoSuchKey => Failure::new(StatusCode::NOT_FOUND, "NoSuchEntity", self),
            Self::Exists => Failure::new(StatusCode::CONFLICT, "EntityAlreadyExists", self),
            Self::BadName => Failure::new(StatusCode::BAD_REQUEST, "InvalidArgument", self),
            Self::TooManyVersions => Failure::new(StatusCode::CONFLICT, "LimitExceeded", self),
            Self::Conflict => Failure::new(StatusCode::CONFLICT, "OperationAborted", self),
        }
    }
}

impl Rejection for om_api::TransferRejected {
    fn failure(self) -> Failure {
        match self {
            Self::NotAVoter => Failure::new(StatusCode::BAD_REQUEST, "InvalidArgument", self),
        }
    }
}

impl Rejection for scm_api::TransferRejected {
    fn failure(self) -> Failure {
        match self {
            Self::NotAVoter => Failure::new(StatusCode::BAD_REQUEST, "InvalidArgument", self),
        }
    }
}

impl Failure {
    fn new(status: StatusCode, code: &'static str, message: impl ToString) -> Self {
        Self { status, code, message: message.to_string() }
    }

    pub(super) fn code(&self) -> &'static str {
        self.code
    }

    pub(super) fn not_here() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NoSuchRoute",
            "this process does not answer administrators: ask a gateway, or trioxide server",
        )
    }

    pub(super) fn no_such_request() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NoSuchRequest", "nothing is known of such a request: it was not refused, or long ago")
    }

    pub(super) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "EntityTooLarge", "the body is longer than any call")
    }

    pub(super) fn iam(error: &types::IamError) -> Self {
        let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(status, error.code.as_str(), &error.message)
    }

    pub(super) fn method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "the method is not allowed here")
    }

    pub(super) fn argument(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidArgument", message)
    }

    /// Of an answer that no route of ours gave.
    pub(super) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::new(status, "NoSuchRoute", "there is nothing here"),
            StatusCode::METHOD_NOT_ALLOWED => Self::method(),
            StatusCode::BAD_REQUEST => Self::new(status, "InvalidArgument", "the path or a parameter is not valid"),
            other => Self::new(other, "InternalError", "the request was not answered"),
        }
    }

    pub(super) fn unless_post(request: &axum::http::request::Parts) -> Result<(), Self> {
        if request.method == axum::http::Method::POST { Ok(()) } else { Err(Self::method()) }
    }

    pub(super) fn of_s3() -> Self {
        Self::new(StatusCode::FORBIDDEN, "AccessDenied", "the host that was signed is that of S3, not of this listener")
    }

    pub(super) fn signature(error: S3Error) -> Self {
        Self::new(error.status(), error.code().as_str(), error.message())
    }

    pub(super) fn call<R: Rejection>(error: CallError<R>) -> Self {
        match error {
            CallError::Rejected(rejection) => rejection.failure(),
            CallError::NotApplied(why) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", why),
            CallError::Unknown(why) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "OutcomeUnknown", why),
        }
    }

    /// The answer that names the request.
    pub(super) fn answer(&self, request_id: &str) -> Response {
        (self.status, Json(json!({"code": self.code, "message": self.message, "request_id": request_id}))).into_response()
    }
}

impl IntoResponse for Failure {
    /// Without a body: the listener writes it, with the request's id.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
