//! Making an object longer.

use om_api as api;
use om_core::AppendBase;
use rpc::{CallContext, CallError};

use super::OmService;
use super::calls::{Kind, Stop, scoped};
use crate::convert::{IntoApi, IntoCore};

/// As large as an object may become by parts: 5 TiB.
const MAX_OBJECT: u64 = 5 << 40;

impl OmService {
    pub(super) async fn append_key(
        &self,
        cx: CallContext,
        request: api::AppendKey,
    ) -> Result<api::KeyCommitted, CallError<api::AppendRejected>> {
        type Rejected = api::AppendRejected;
        let session = request.session.into_core();
        let found = self
            .log
            .read(cx.deadline, |tables| {
                let entry = match self.open::<Rejected>(tables, &request.by, &request.bucket) {
                    Ok(entry) if entry.bucket.id == session.bucket => entry,
                    Ok(_) | Err(Stop::Rejected(Rejected::NoSuchBucket)) => return Ok(None),
                    Err(stop) => return Err(stop),
                };
                entry.allow_write_if(tables, &request.key, &request.condition)?;
                Ok(Some((self.lifecycles.of(tables, &entry.bucket)?, entry.origin(&cx))))
            })
            .await?;
        let Some((rules, origin)) = found else {
            self.close(&cx, session).await.map_err(|error| error.map_rejection(|never| match never {}))?;
            return Err(CallError::Rejected(Rejected::NoSuchBucket));
        };
        let api::AppendBase { object, etag, size } = request.base;
        let key = request.key.clone();
        let command = om_core::AppendKey {
            session,
            key: request.key,
            base: AppendBase { object, etag, size },
            blocks: request.blocks.into_core(),
            etag: request.etag,
            checksum: request.checksum.into_core(),
            part_checksum: request.part_checksum,
            condition: request.condition.into_core(),
            max_size: MAX_OBJECT,
            now: self.now_after(session.opened),
            origin,
        };
        let appended = self.log.propose(scoped(&cx, Kind::Append), command, cx.deadline).await;
        let appended = appended.map(IntoApi::into_api).map_err(|error| error.map_rejection(IntoApi::into_api))?;
        Ok(self.with_end(rules, (session.bucket, &key), appended))
    }
}
