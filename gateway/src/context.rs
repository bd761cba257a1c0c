//! What an operation has at hand: its requester, the roles behind us, and the body.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datanode_api::BlockClient;
use gateway_core::payload::{BodyDecoder, EtagDigest, PayloadPlan};
use gateway_core::{S3Error, S3ErrorCode};
use om_api::{Denied, DisplayUser, Om, Requester};
use parking_lot::Mutex;
use rpc::CallContext;
use runtime::{Clock, Entropy};
use tokio::sync::OwnedSemaphorePermit;
use types::{BucketPath, ObjectKey, RequestId};

use crate::access_log::{AccessLogs, Told};
use crate::audit::AuditSink;
use crate::authenticator::{Authentication, Authenticator};
use crate::config::Config;
use crate::data::{RequestBody, UploadCache, UploadMemory};
use crate::iam::IamEndpoint;

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) om: Arc<dyn Om>,
    pub(crate) blocks: BlockClient,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) iam: IamEndpoint,
    pub(crate) addressing: gateway_core::request::Addressing,
    /// Of the listener that serves websites.
    pub(crate) website_domains: gateway_core::request::Addressing,
    pub(crate) upload_memory: UploadMemory,
    pub(crate) uploads: UploadCache,
    pub(crate) audit: Arc<dyn AuditSink>,
    pub(crate) access_logs: Arc<AccessLogs>,
    /// Names this gateway in `x-amz-id-2`.
    pub(crate) host_id: String,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The ids of the calls that one request makes. Each call has its own, since a role answers a repeated id from memory; all
/// begin with the digits that the client and the log see.
#[derive(Debug, Clone)]
pub(crate) struct CallIds {
    base: u128,
    next: Arc<AtomicU64>,
}

impl CallIds {
    pub(crate) fn new(random: u128) -> Self {
        // A request makes a few calls a block: the largest object in the smallest blocks stays far below 2^24.
        Self { base: RequestId::from_u128(random).of_client().to_u128(), next: Arc::new(AtomicU64::new(1)) }
    }

    /// The request's own id, as the client is told.
    pub(crate) fn request(&self) -> RequestId {
        RequestId::from_u128(self.base)
    }

    pub(crate) fn next(&self) -> RequestId {
        RequestId::from_u128(self.base.wrapping_add(u128::from(self.next.fetch_add(1, Ordering::Relaxed))))
    }
}

/// One request's.
#[derive(Debug)]
pub(crate) struct OpContext {
    pub(crate) shared: Arc<Shared>,
    pub(crate) who: Authentication,
    pub(crate) ids: CallIds,
    pub(crate) body: RequestBody,
    /// Where it is the body that names it.
    pub(crate) key: Option<ObjectKey>,
    /// Where it is the body that tells who asks, and so in which volume it lies.
    pub(crate) bucket: Option<BucketPath>,
    /// Of a request that goes into an access log.
    pub(crate) told: Option<Mutex<Told>>,
}

impl OpContext {
    pub(crate) fn om(&self) -> &dyn Om {
        self.shared.om.as_ref()
    }

    pub(crate) fn by(&self) -> Requester {
        self.who.by.clone()
    }

    /// Tells the access log, if there is one.
    pub(crate) fn tell(&self, tell: impl FnOnce(&mut Told)) {
        if let Some(told) = &self.told {
            tell(&mut told.lock());
        }
    }

    pub(crate) fn region(&self) -> &str {
        &self.shared.config.region
    }

    /// What the client wrote before the host.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.who.by.context().is_some_and(|context| context.is_secure) { "https" } else { "http" }
    }

    /// For the next call of the OM.
    pub(crate) fn call(&self) -> CallContext {
        CallContext::local(self.ids.next(), self.shared.config.om_timeout)
    }

    /// Whoever asks, as S3 shows owners. Anonymous callers have no name.
    pub(crate) fn user(&self) -> Option<&DisplayUser> {
        self.who.user.as_ref()
    }

    /// The OM refuses this requester.
    pub(crate) fn denied(&self, why: Denied) -> S3Error {
        let access_key = match &self.who.by {
            Requester::Signed { access_key, .. } => Some(access_key),
            Requester::Anonymous { .. } | Requester::System | Requester::LogDelivery { .. } => None,
        };
        match (why, access_key) {
            (Denied::AclNotSupported, _) => S3ErrorCode::AccessControlListNotSupported.into(),
            (Denied::UnknownGrantee, _) => S3Error::with_message(S3ErrorCode::InvalidArgument, "Invalid id"),
            (Denied::UnknownEmail, _) => S3ErrorCode::UnresolvableGrantByEmailAddress.into(),
            (Denied::ExpiredToken, _) => S3ErrorCode::ExpiredToken.into(),
            (Denied::AccessDenied, _) | (_, None) => S3ErrorCode::AccessDenied.into(),
            (Denied::NoSuchAccessKey, Some(key)) => {
                self.shared.authenticator.forget(key);
                S3Error::new(S3ErrorCode::InvalidAccessKeyId).field("AWSAccessKeyId", key.0.as_str())
            }
            // The signature was made with a secret that is no longer the one.
            (Denied::StaleCredential, Some(key)) => {
                self.shared.authenticator.forget(key);
                S3Error::new(S3ErrorCode::SignatureDoesNotMatch).field("AWSAccessKeyId", key.0.as_str())
            }
        }
    }

    /// Memory for an upload of this size, waited for as long as the client's body may stand still.
    pub(crate) async fn upload_room(&self, size: Option<u64>) -> Result<OwnedSemaphorePermit, S3Error> {
        let room = self.shared.upload_memory.room(size);
        match tokio::time::timeout(self.shared.config.idle_timeout, room).await {
            Ok(Some(permit)) => Ok(permit),
            Ok(None) | Err(_) => Err(S3ErrorCode::SlowDown.into()),
        }
    }

    /// The decoder of this request's body.
    pub(crate) fn decoder(&self, plan: PayloadPlan, etag: EtagDigest, limit: u64) -> Result<BodyDecoder, S3Error> {
        plan.start(self.who.verified.as_ref(), etag, limit)
    }

    /// The whole of a small body, verified.
    pub(crate) async fn read_document(&mut self, plan: PayloadPlan, limit: usize) -> Result<Vec<u8>, S3Error> {
        let too_long = |error: S3Error| match error.code() {
            S3ErrorCode::EntityTooLarge => {
                S3Error::new(S3ErrorCode::MaxMessageLengthExceeded).field("MaxMessageLengthBytes", limit.to_string())
            }
            _ => error,
        };
        let mut decoder = self.decoder(plan, EtagDigest::NotWanted, limit as u64).map_err(too_long)?;
        let mut document = Vec::new();
        while let Some(bytes) = self.body.next().await? {
            decoder.push(bytes);
            while let Some(data) = decoder.pull().map_err(too_long)? {
                document.extend_from_slice(&data);
            }
        }
        decoder.finish()?;
        Ok(document)
    }
}
