//! The keys of the built-in key service, as administrators see them.

use om_api as api;
use om_core::authorise::AdminAction;
use om_core::kms;
use om_core::rows::{KmsKeyId, KmsKeyRow, KmsKeyState};
use om_core::{ChangeKmsKey, CreateKmsKey, KmsKeyChange};
use rpc::{CallContext, CallError};

use super::OmService;
use super::calls::{Kind, Stop, scoped};
use crate::convert::{IntoApi, IntoCore};

type Rejected = api::KmsRejected;

fn show(row: KmsKeyRow) -> api::KmsKeyInfo {
    api::KmsKeyInfo {
        versions: row.latest(),
        rotated: row.versions.last().map_or(row.created, |version| version.created),
        created: row.created,
        is_enabled: row.state == KmsKeyState::Enabled,
        key: row.id.into_api(),
    }
}

impl OmService {
    pub(super) async fn create_kms_key(
        &self,
        cx: CallContext,
        request: api::CreateKmsKey,
    ) -> Result<api::KmsKeyInfo, CallError<Rejected>> {
        if !request.key.is_usable() {
            return Err(CallError::Rejected(Rejected::BadName));
        }
        let id = request.key.into_core();
        self.log
            .read(cx.deadline, |tables| {
                self.administer::<Rejected>(tables, &request.by, AdminAction::Administer, None)?;
                match kms::key(tables, &id)? {
                    // Spares the log an entry at every start: the configuration names its keys each time.
                    Some(_) => Err(Stop::Rejected(Rejected::Exists)),
                    None => Ok(()),
                }
            })
            .await?;
        self.settle_seal(&cx).await?;
        let sealed = self.named_keys.new_material(&id, 1).map_err(CallError::unavailable)?;
        let command = CreateKmsKey { id, sealed, now: self.clock.now() };
        let created = self.log.propose(scoped(&cx, Kind::CreateKmsKey), command, cx.deadline).await;
        created.map(show).map_err(|error| error.map_rejection(IntoApi::into_api))
    }

    pub(super) async fn list_kms_keys(
        &self,
        cx: CallContext,
        request: api::ListKmsKeys,
    ) -> Result<Vec<api::KmsKeyInfo>, CallError<Rejected>> {
        self.log
            .read(cx.deadline, |tables| {
                self.administer::<Rejected>(tables, &request.by, AdminAction::Administer, None)?;
                Ok(kms::keys(tables)?.into_iter().map(show).collect())
            })
            .await
    }

    pub(super) async fn change_kms_key(
        &self,
        cx: CallContext,
        request: api::ChangeKmsKey,
    ) -> Result<api::KmsKeyInfo, CallError<Rejected>> {
        let id: KmsKeyId = request.key.into_core();
        let latest = self
            .log
            .read(cx.deadline, |tables| {
                self.administer::<Rejected>(tables, &request.by, AdminAction::Administer, None)?;
                let row = kms::key(tables, &id)?.ok_or(Stop::Rejected(Rejected::NoSuchKey))?;
                Ok(row.latest())
            })
            .await?;
        let change = match request.change {
            api::KmsKeyChange::Enable => KmsKeyChange::State(KmsKeyState::Enabled),
            api::KmsKeyChange::Disable => KmsKeyChange::State(KmsKeyState::Disabled),
            api::KmsKeyChange::Rotate => {
                self.settle_seal(&cx).await?;
                let sealed = self.named_keys.new_material(&id, latest.saturating_add(1)).map_err(CallError::unavailable)?;
                KmsKeyChange::Rotate(sealed)
            }
        };
        let command = ChangeKmsKey { id, change, now: self.clock.now() };
        let changed = self.log.propose(scoped(&cx, Kind::ChangeKmsKey), command, cx.deadline).await;
        changed.map(show).map_err(|error| error.map_rejection(IntoApi::into_api))
    }
}
