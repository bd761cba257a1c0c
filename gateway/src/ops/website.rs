//! A bucket as a website: what its owner set answers for paths, under the rights of somebody who gives no name.

use bucket_config::website::{Redirection, Site};
use bucket_config::{ConfigKind, WebsiteConfiguration};
use gateway_core::{RequestHead, S3Error, S3ErrorCode, website};
use http::{HeaderMap, Method, StatusCode, header};
use om_api::{BucketConductRejected, GetBucketConduct, ObjectInfo, SystemHeader};
use rpc::CallError;
use types::{BucketPath, ObjectKey};

use super::encryption::{check_key, located};
use super::object_reading::{Blocks, Reading};
use crate::context::OpContext;
use crate::data::read_object;
use crate::operation::S3Request;
use crate::rejections::{call_failed, no_such_bucket};
use crate::reply::{self, Reply, ReplyBody};

/// What a website answers with where it has nothing to show.
pub(crate) struct Refused {
    pub(crate) error: S3Error,
    /// Why the page is not shown that the owner has for it.
    pub(crate) own_page: Option<S3Error>,
}

impl From<S3Error> for Refused {
    fn from(error: S3Error) -> Self {
        Self { error, own_page: None }
    }
}

pub(crate) async fn serve(request: &S3Request, cx: &OpContext) -> Result<Reply, Refused> {
    if !matches!(request.head.method, Method::GET | Method::HEAD) {
        return Err(website::method_not_allowed(&request.head.method).into());
    }
    let bucket = request.bucket()?;
    let website = configuration(cx, &bucket).await?;
    let key = request.head.target.key.as_ref().map_or("", |key| key.as_str());
    if let Some(to) = website.redirection(key) {
        return Ok(redirect(request, cx, &to));
    }
    match &website {
        WebsiteConfiguration::Site(site) => page(request, cx, &website, site, key).await,
        // It has sent everything elsewhere.
        WebsiteConfiguration::RedirectAll(_) => Err(S3Error::new(S3ErrorCode::InternalError).into()),
    }
}

async fn page(
    request: &S3Request,
    cx: &OpContext,
    website: &WebsiteConfiguration,
    site: &Site,
    key: &str,
) -> Result<Reply, Refused> {
    let error = match read(cx, &request.head, &site.document(key), Followed::Yes).await {
        Ok(reply) => return Ok(reply),
        Err(error) if error.status() == StatusCode::NOT_MODIFIED => return Err(error.into()),
        Err(error) => error,
    };
    if !error.status().is_client_error() {
        return Err(error.into());
    }
    if is_folder(request, cx, site, key, &error).await {
        return Ok(moved(StatusCode::FOUND, &website::folder_location(key)));
    }
    if let Some(to) = website.redirection_of_error(key, error.status().as_u16()) {
        return Ok(redirect(request, cx, &to));
    }
    let Some(own) = &site.error_key else { return Err(error.into()) };
    // Whole, whatever part of what is not there was asked for; a page that tells an error sends nobody elsewhere.
    let head = RequestHead { headers: HeaderMap::new(), ..request.head.clone() };
    match read(cx, &head, own, Followed::No).await {
        Ok(mut reply) => {
            *reply.status_mut() = error.status();
            Ok(reply)
        }
        Err(own_page) => Err(Refused { error, own_page: Some(own_page) }),
    }
}

async fn configuration(cx: &OpContext, bucket: &BucketPath) -> Result<WebsiteConfiguration, S3Error> {
    let request = GetBucketConduct { bucket: bucket.clone(), kinds: vec![ConfigKind::Website] };
    match cx.om().bucket_conduct(cx.call(), request).await {
        Ok(conduct) => conduct
            .document()
            .ok_or_else(|| S3Error::new(S3ErrorCode::NoSuchWebsiteConfiguration).field("BucketName", bucket.name().as_str())),
        Err(CallError::Rejected(BucketConductRejected::NoSuchBucket)) => Err(no_such_bucket(bucket)),
        Err(failure) => Err(call_failed(&failure)),
    }
}

/// Whether what is not there has an index that may be read: then its last slash was forgotten. Who may not list learns of no key that
/// it is absent, and of an index no more than they could read.
async fn is_folder(request: &S3Request, cx: &OpContext, site: &Site, key: &str, error: &S3Error) -> bool {
    let may_be = matches!(error.code(), S3ErrorCode::NoSuchKey | S3ErrorCode::AccessDenied);
    if !may_be || key.is_empty() || key.ends_with('/') {
        return false;
    }
    let head = RequestHead { method: Method::HEAD, headers: HeaderMap::new(), ..request.head.clone() };
    read(cx, &head, &site.document(&format!("{key}/")), Followed::Yes).await.is_ok()
}

/// Whether an object's own redirection is what is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Followed {
    Yes,
    No,
}

/// An object as it answers a request: its bytes, or where it sends whoever reads it.
async fn read(cx: &OpContext, head: &RequestHead, key: &str, followed: Followed) -> Result<Reply, S3Error> {
    let mut head = head.clone();
    let is_head = head.method == Method::HEAD;
    head.target.key = Some(ObjectKey::parse(key).map_err(|_| S3Error::new(S3ErrorCode::NoSuchKey).field("Key", key))?);
    let request = S3Request { head, payload: cx.who.payload, is_anonymous: true };
    let reading = Reading::parse(&request)?;
    let source = reading.source.clone();
    let blocks = if is_head { Blocks::NotNeeded } else { Blocks::Needed };
    let found = reading.ask(cx, blocks).await?;
    // Its bytes are not what is answered, so neither a range of them nor a condition on them is asked about.
    if let Some(target) = redirection_of(&found.info).filter(|_| followed == Followed::Yes) {
        check_key(found.info.encryption.as_ref(), reading.customer.as_ref())?;
        return Ok(moved(StatusCode::MOVED_PERMANENTLY, target));
    }
    let mut found = reading.judge(cx, blocks, found).await?;
    if is_head {
        return Ok(found.into_reply(ReplyBody::empty()));
    }
    let located = located(&mut found.read, found.customer.as_ref())?;
    let body = read_object(cx, source, located, found.range).await?;
    Ok(found.into_reply(body))
}

fn redirection_of(info: &ObjectInfo) -> Option<&str> {
    let headers = &info.attributes.headers;
    headers.iter().find(|(name, _)| *name == SystemHeader::WebsiteRedirectLocation).map(|(_, target)| target.as_str())
}

fn redirect(request: &S3Request, cx: &OpContext, to: &Redirection) -> Reply {
    let host = request.head.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let status = StatusCode::from_u16(to.status).unwrap_or(StatusCode::MOVED_PERMANENTLY);
    moved(status, &website::location(to, cx.scheme(), host))
}

fn moved(status: StatusCode, location: &str) -> Reply {
    let mut reply = reply::empty(status);
    reply::set(reply.headers_mut(), "location", location);
    reply
}
