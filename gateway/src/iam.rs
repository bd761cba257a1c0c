//! IAM and STS: a call is taken off the wire, its signature verified, and given to the OM, which alone understands it.
//!
//! Both listeners serve it: S3's, where clients have one endpoint for everything, and the administrators'.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use gateway_core::iam::{self, Call, Service};
use gateway_core::proxies::Client;
use gateway_core::{RequestHead, S3Error, S3ErrorCode};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, header};
use om_api::{AuthType, Denied, IamCall, IamRejected, IamService, Om, RequestContext, Requester, UserId};
use rpc::{CallContext, CallError};
use types::{IamError, IamErrorCode, IamValue, RequestId};

use crate::authenticator::{Authentication, Authenticator};
use crate::rejections::call_failed;

pub use gateway_core::iam::MOST_BYTES;

/// STS may have to ask an identity provider first.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The one call that nobody signs: its token is what vouches for it.
const UNSIGNED: &str = "AssumeRoleWithWebIdentity";

/// Answers calls. Shared by the listeners of a process.
#[derive(Clone)]
pub struct IamEndpoint {
    om: Arc<dyn Om>,
    authenticator: Arc<Authenticator>,
}

impl std::fmt::Debug for IamEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IamEndpoint")
    }
}

/// What came of a call, for whoever writes audits.
#[derive(Debug, Default)]
pub struct IamRecord {
    /// `iam:CreateUser`.
    pub action: Option<String>,
    pub user: Option<UserId>,
    pub access_key: Option<String>,
    pub error: Option<&'static str>,
}

/// The request's id, as the client is told it, and those of its calls to the OM.
#[derive(Debug, Clone, Copy)]
pub struct IamIds {
    pub request: RequestId,
    pub first_call: RequestId,
    pub second_call: RequestId,
}

enum Failure {
    Iam(IamError),
    Wire(S3Error),
}

impl From<S3Error> for Failure {
    fn from(error: S3Error) -> Self {
        Self::Wire(error)
    }
}

/// Whether a request is a call of IAM's or STS's: no request of S3's brings a form of this kind to the root.
pub fn is_call(method: &Method, path: &str, headers: &http::HeaderMap) -> bool {
    let is_form = headers.get(header::CONTENT_TYPE).is_some_and(|value| {
        let kind = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        kind.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
    });
    *method == Method::POST && path == "/" && is_form
}

impl IamEndpoint {
    pub fn new(om: Arc<dyn Om>, authenticator: Arc<Authenticator>) -> Self {
        Self { om, authenticator }
    }

    /// Answers one call, its body read whole.
    pub async fn answer(&self, head: &Parts, body: &[u8], ids: IamIds, client: Client) -> (Response<Bytes>, IamRecord) {
        let mut record = IamRecord::default();
        let mut service = Service::Iam;
        let id = ids.request.to_string();
        let (status, xml) = match self.call(head, body, ids, client, &mut service, &mut record).await {
            Ok((action, value)) => (200, iam::answer(service, &action, &value, &id)),
            Err(Failure::Iam(error)) => {
                record.error = Some(error.code.as_str());
                (error.code.status(), iam::error(service, &error, &id))
            }
            Err(Failure::Wire(error)) => {
                let (code, status) = in_their_words(&error);
                record.error = Some(code);
                (status, iam::refusal(service, code, status, error.message(), &id))
            }
        };
        let mut response = Response::new(Bytes::from(xml));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/xml"));
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert("x-amzn-requestid", id);
        }
        (response, record)
    }

    async fn call(
        &self,
        head: &Parts,
        body: &[u8],
        ids: IamIds,
        client: Client,
        service: &mut Service,
        record: &mut IamRecord,
    ) -> Result<(String, IamValue), Failure> {
        let mut request = RequestHead::without_address(head.method.clone(), &head.uri, head.headers.clone())?;
        let hash = hex::encode(digest(&SHA256, body));
        // Clients of these services sign the body's hash and do not send it; one that does must send the right one.
        match request.headers.get("x-amz-content-sha256") {
            Some(said) if said.as_bytes() != hash.as_bytes() => {
                return Err(S3Error::from(S3ErrorCode::XAmzContentSHA256Mismatch).into());
            }
            Some(_) => {}
            None => {
                let value = HeaderValue::from_str(&hash).map_err(|_| S3Error::from(S3ErrorCode::InternalError))?;
                request.headers.insert("x-amz-content-sha256", value);
            }
        }
        let (who, of) = self.authenticator.authenticate_iam(&request, ids.first_call).await?;
        // What nobody signs says no service; the one such call is STS's.
        *service = of.unwrap_or(Service::Sts);
        let call = Call::parse(body)?;
        let prefix = match service {
            Service::Iam => "iam",
            Service::Sts => "sts",
        };
        record.action = Some(format!("{prefix}:{}", call.action));
        if who.is_anonymous() && call.action != UNSIGNED {
            let message = "Request is missing Authentication Token";
            return Err(Failure::Wire(S3Error::with_message(S3ErrorCode::AccessDenied, message)));
        }
        note(record, &who);
        let value = self.ask(&who, *service, &call, ids, client, head).await?;
        Ok((call.action, value))
    }

    async fn ask(
        &self,
        who: &Authentication,
        service: Service,
        call: &Call,
        ids: IamIds,
        client: Client,
        head: &Parts,
    ) -> Result<IamValue, Failure> {
        let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let headers = ["user-agent", "referer"].into_iter().filter_map(|name| Some((name.to_owned(), text(name)?)));
        let is_signed = !who.is_anonymous();
        let context = RequestContext {
            source: client.address,
            is_secure: client.is_secure,
            tls_version: client.tls.map(|tls| tls.version.to_owned()),
            auth_type: is_signed.then_some(AuthType::Header),
            signature_version: is_signed.then(|| "AWS4-HMAC-SHA256".to_owned()),
            headers: headers.collect(),
            request: Some(ids.request),
            ..RequestContext::default()
        };
        let service = match service {
            Service::Iam => IamService::Iam,
            Service::Sts => IamService::Sts,
        };
        let by = who.by.clone().with_context(context);
        let asked = IamCall { by, service, action: call.action.clone(), parameters: call.parameters.clone() };
        let cx = CallContext::local(ids.second_call, TIMEOUT);
        self.om.iam(cx, asked).await.map_err(|error| match error {
            CallError::Rejected(IamRejected::Error(error)) => Failure::Iam(error),
            CallError::Rejected(IamRejected::Denied(denied)) => self.refused(denied, &who.by, call),
            CallError::NotApplied(why) => call_failed(&CallError::<()>::NotApplied(why)).into(),
            CallError::Unknown(why) => call_failed(&CallError::<()>::Unknown(why)).into(),
        })
    }

    fn refused(&self, denied: Denied, by: &Requester, call: &Call) -> Failure {
        if let (Denied::NoSuchAccessKey | Denied::StaleCredential, Requester::Signed { access_key, .. }) = (denied, by) {
            self.authenticator.forget(access_key);
        }
        let (code, message) = match denied {
            Denied::NoSuchAccessKey => {
                (IamErrorCode::InvalidClientTokenId, "The security token included in the request is invalid.".to_owned())
            }
            Denied::ExpiredToken => {
                (IamErrorCode::ExpiredToken, "The security token included in the request is expired".to_owned())
            }
            // The signature was made with a secret that is no longer the one.
            Denied::StaleCredential => return Failure::Wire(S3ErrorCode::SignatureDoesNotMatch.into()),
            Denied::AccessDenied | Denied::AclNotSupported | Denied::UnknownGrantee | Denied::UnknownEmail => {
                (IamErrorCode::AccessDenied, format!("You are not authorized to perform {}", call.action))
            }
        };
        Failure::Iam(IamError::new(code, message))
    }
}

fn note(record: &mut IamRecord, who: &Authentication) {
    if let Requester::Signed { access_key, .. } = &who.by {
        record.access_key = Some(access_key.0.clone());
        record.user = who.user.as_ref().map(|user| user.id.clone());
    }
}

/// What S3 calls so, in the words of IAM.
fn in_their_words(error: &S3Error) -> (&'static str, u16) {
    match error.code() {
        S3ErrorCode::InvalidAccessKeyId | S3ErrorCode::InvalidToken => ("InvalidClientTokenId", 403),
        S3ErrorCode::AccessDenied => ("MissingAuthenticationToken", 403),
        S3ErrorCode::AuthorizationHeaderMalformed => ("IncompleteSignature", 400),
        S3ErrorCode::RequestTimeTooSkewed => ("SignatureDoesNotMatch", 403),
        S3ErrorCode::SlowDown => ("Throttling", 400),
        S3ErrorCode::InvalidRequest | S3ErrorCode::InvalidArgument | S3ErrorCode::InvalidURI => ("ValidationError", 400),
        code => (code.as_str(), error.status().as_u16()),
    }
}
