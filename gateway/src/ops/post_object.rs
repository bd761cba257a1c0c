//! `PostObject`: an upload by a browser's form.
//!
//! The fields come first, are held against the policy that whoever signed the form gave it, and become a `PutObject` whose body is
//! the form's file. What a PUT does and refuses, a form does and refuses.

use gateway_core::auth::PayloadMode;
use gateway_core::dispatch::S3Operation;
use gateway_core::encryption::check_headers;
use gateway_core::form::{Form, FormDecoder, FormFile, Policy, Posted, SuccessAction};
use gateway_core::metadata::refuse_unbuilt_headers;
use gateway_core::xml::post_response;
use gateway_core::{RequestHead, S3Error, S3ErrorCode};
use http::StatusCode;
use types::{BucketName, ETag, ObjectKey};

use super::put_object::{PutObject, Stored};
use crate::context::OpContext;
use crate::facts;
use crate::operation::{Operation, S3Request};
use crate::reply::{self, Reply, ReplyBody};

pub(crate) struct PostObject {
    decoder: FormDecoder,
    head: RequestHead,
}

pub(crate) struct Uploaded {
    stored: Stored,
    bucket: BucketName,
    key: ObjectKey,
    location: String,
    action: SuccessAction,
}

impl Operation for PostObject {
    type Reply = Uploaded;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        let decoder = FormDecoder::new(request)?;
        if !request.is_anonymous {
            // It would say nothing of the fields, which are what must be under a signature.
            return Err(S3Error::invalid_argument(
                "Only one auth mechanism allowed; a form is signed by its policy",
                "Authorization",
                "[Authorization]",
            ));
        }
        refuse_meaning_outside(request)?;
        Ok(Self { decoder, head: request.head.clone() })
    }

    async fn run(self, cx: &mut OpContext) -> Result<Uploaded, S3Error> {
        let Self { decoder, mut head } = self;
        let (form, mut file) = read_form(decoder, cx).await?;
        let key = form.key()?;
        cx.key = Some(key.clone());
        let around = cx.who.by.context().cloned().unwrap_or_default();
        let who = cx.shared.authenticator.authenticate_form(&form, cx.ids.next()).await;
        cx.who.home = match &who {
            Ok(who) => who.home.clone(),
            // Whoever it is meant a bucket of their own: a stranger's log must not tell of it.
            Err(_) => cx.shared.authenticator.claimed_home_of_form(&form, cx.ids.next()).await.flatten(),
        };
        // Only now it is known whose the bucket's name is.
        head.home = cx.who.home.clone();
        let bucket = head.bucket()?;
        cx.bucket = Some(bucket.clone());
        cx.who = who?;
        if let Some(policy) = form.get("policy") {
            let posted = Posted { bucket: &bucket, home: head.home() };
            file.allow(Policy::parse(policy)?.check(&form, &posted, cx.shared.clock.now())?);
        }
        let put_head = form.to_put(&head)?;
        let mut facts = facts::of_form(&form, &put_head, around, cx.shared.clock.now())?;
        facts.is_logged = cx.shared.access_logs.logs(&bucket);
        cx.who.by = cx.who.by.clone().with_context(facts);
        let put = S3Request { head: put_head, payload: PayloadMode::Unsigned, is_anonymous: cx.who.is_anonymous() };
        refuse_unbuilt_headers(&put)?;
        check_headers(S3Operation::PutObject, &put)?;
        let put = PutObject::parse(&put)?;
        cx.body.enter(file);
        let stored = put.run(cx).await?;
        let (location, action) = (location(cx.scheme(), &head, &key), SuccessAction::of(&form));
        Ok(Uploaded { location, action, stored, bucket: bucket.into_name(), key })
    }

    fn render(posted: Uploaded) -> Reply {
        let Uploaded { stored, bucket, key, location, action } = posted;
        let etag = stored.committed.etag;
        let mut reply = PutObject::render(stored);
        let page = match action {
            SuccessAction::Redirect(target) => {
                *reply.status_mut() = StatusCode::SEE_OTHER;
                SuccessAction::location(&target, &bucket, &key, etag)
            }
            SuccessAction::Status(status) => {
                if status == StatusCode::CREATED {
                    reply = with_document(reply, &location, &bucket, &key, etag);
                }
                *reply.status_mut() = status;
                location
            }
        };
        reply::set(reply.headers_mut(), "location", page);
        reply
    }
}

async fn read_form(mut decoder: FormDecoder, cx: &mut OpContext) -> Result<(Form, FormFile), S3Error> {
    loop {
        decoder = match decoder.form()? {
            Ok(found) => return Ok(found),
            Err(decoder) => decoder,
        };
        match cx.body.next().await? {
            Some(bytes) => decoder.push(&bytes),
            None => return Err(S3ErrorCode::MalformedPOSTRequest.into()),
        }
    }
}

/// What stands in the head of the request is under no policy, so that it must not mean anything.
fn refuse_meaning_outside(head: &RequestHead) -> Result<(), S3Error> {
    const HARMLESS: &[&str] = &["x-amz-content-sha256", "x-amz-date", "x-amz-expected-bucket-owner", "x-amz-user-agent"];
    let mut names = head.headers.keys().map(|name| name.as_str());
    match names.find(|name| name.starts_with("x-amz-") && !HARMLESS.contains(name)) {
        Some(name) => Err(S3Error::not_implemented(&format!("The header {name} of a form"))),
        None => Ok(()),
    }
}

/// Where the object can be read.
fn location(scheme: &str, head: &RequestHead, key: &ObjectKey) -> String {
    let host = head.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    let key = gateway_core::encoding::percent_encode(key.as_str().as_bytes(), gateway_core::encoding::Slash::Kept);
    format!("{scheme}://{host}{}/{key}", head.target.raw_path().trim_end_matches('/'))
}

fn with_document(reply: Reply, location: &str, bucket: &BucketName, key: &ObjectKey, etag: ETag) -> Reply {
    let document = post_response(location, bucket.as_str(), key.as_str(), &etag);
    let mut reply = reply.map(|_| ReplyBody::Whole(document.into()));
    reply::set(reply.headers_mut(), "content-type", "application/xml");
    reply
}
