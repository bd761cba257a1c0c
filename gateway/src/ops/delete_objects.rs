//! `DeleteObjects`: up to a thousand keys, each with an outcome of its own.

use gateway_core::conditions::{ETagCondition, WriteCondition};
use gateway_core::payload::PayloadPlan;
use gateway_core::xml::{DeleteFailed, DeleteObjects as Document, DeleteResult, Deleted, MAX_DELETE_BODY, ObjectToDelete};
use gateway_core::{S3Error, S3ErrorCode};
use http::StatusCode;
use om_api::{DeleteKeyRejected, DeleteKeys, DeleteKeysRejected, DeletedKey, KeyDeletion};
use rpc::CallError;
use types::{BucketPath, Bypass};

use super::attributes::write_condition;
use super::delete_object::bypass;
use super::versions::locked;
use crate::access_log::Deletion;
use crate::context::OpContext;
use crate::operation::{Operation, S3Request};
use crate::rejections::{call_failed, no_such_bucket, precondition_failed};
use crate::reply::{self, Reply};

pub(crate) struct DeleteObjects {
    bucket: BucketPath,
    plan: PayloadPlan,
    bypass: Bypass,
}

pub(crate) struct Outcome {
    result: DeleteResult,
    quiet: bool,
}

impl Operation for DeleteObjects {
    type Reply = Outcome;

    fn parse(request: &S3Request) -> Result<Self, S3Error> {
        let plan = request.plan()?;
        if !plan.has_integrity() {
            // A list that was cut or changed on the way deletes what was not meant.
            return Err(S3Error::invalid_request("Missing required header for this request: Content-MD5 OR x-amz-checksum-*"));
        }
        Ok(Self { bucket: request.bucket()?, plan, bypass: bypass(request)? })
    }

    async fn run(self, cx: &mut OpContext) -> Result<Outcome, S3Error> {
        let body = cx.read_document(self.plan, MAX_DELETE_BODY).await?;
        let Document { quiet, objects } = Document::parse(&body)?;
        let mut result = DeleteResult::default();
        let mut asked = Vec::with_capacity(objects.len());
        let mut deletions = Vec::with_capacity(objects.len());
        for object in objects {
            match to_deletion(&object, self.bypass) {
                Ok(deletion) => {
                    deletions.push(deletion);
                    asked.push(object);
                }
                Err(error) => result.failed.push(failed(object, error)),
            }
        }
        let outcomes = delete(cx, &self.bucket, deletions).await?;
        for (object, outcome) in asked.into_iter().zip(outcomes) {
            match outcome {
                Ok(deleted) => result.deleted.push(to_deleted(object, &deleted)),
                Err(DeleteKeyRejected::Denied(why)) => result.failed.push(failed(object, cx.denied(why))),
                Err(DeleteKeyRejected::NoSuchBucket) => {
                    result.failed.push(failed(object, S3ErrorCode::NoSuchBucket.into()));
                }
                Err(DeleteKeyRejected::PreconditionFailed(which)) => {
                    result.failed.push(failed(object, precondition_failed(which)));
                }
                Err(DeleteKeyRejected::Locked) => result.failed.push(failed(object, locked())),
            }
        }
        cx.tell(|told| told.deletions = for_the_log(&result));
        Ok(Outcome { result, quiet })
    }

    fn render(outcome: Outcome) -> Reply {
        reply::xml(StatusCode::OK, outcome.result.to_xml(outcome.quiet))
    }
}

async fn delete(
    cx: &OpContext,
    bucket: &BucketPath,
    deletions: Vec<KeyDeletion>,
) -> Result<Vec<Result<DeletedKey, DeleteKeyRejected>>, S3Error> {
    let request = DeleteKeys { by: cx.by(), bucket: bucket.clone(), deletions };
    match cx.om().delete_keys(cx.call(), request).await {
        Ok(outcomes) => Ok(outcomes),
        Err(CallError::Rejected(DeleteKeysRejected::Denied(why))) => Err(cx.denied(why)),
        Err(CallError::Rejected(DeleteKeysRejected::NoSuchBucket)) => Err(no_such_bucket(bucket)),
        Err(failure) => Err(call_failed(&failure)),
    }
}

fn to_deletion(object: &ObjectToDelete, bypass: Bypass) -> Result<KeyDeletion, S3Error> {
    let (key, version) = object.resolve()?;
    let (if_modified, if_size) = (object.last_modified, object.size);
    let condition = object.etag.as_deref().map(|text| WriteCondition::if_match(&ETagCondition::parse(text)));
    let condition = write_condition(condition.unwrap_or_default());
    Ok(KeyDeletion { key, version, condition, if_modified, if_size, bypass })
}

fn to_deleted(object: ObjectToDelete, outcome: &DeletedKey) -> Deleted {
    let asked = object.version_id.as_deref().and_then(types::VersionId::parse);
    Deleted { key: object.key, version_id: asked, delete_marker: outcome.version.filter(|_| outcome.delete_marker) }
}

fn for_the_log(result: &DeleteResult) -> Vec<Deletion> {
    let version = |version: Option<types::VersionId>| version.map(|version| version.to_string());
    let deleted = result.deleted.iter().map(|deleted| Deletion {
        key: deleted.key.clone(),
        version: version(deleted.version_id),
        error: None,
    });
    let failed = result.failed.iter().map(|failed| Deletion {
        key: failed.key.clone(),
        version: failed.version_id.clone(),
        error: Some((failed.error.code().as_str(), failed.error.status().as_u16())),
    });
    deleted.chain(failed).collect()
}

fn failed(object: ObjectToDelete, error: S3Error) -> DeleteFailed {
    DeleteFailed { key: object.key, version_id: object.version_id, error }
}
