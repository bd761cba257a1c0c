//! How new objects are encrypted, and what old ones open with.

use bucket_config::EncryptionConfiguration;
use bucket_config::encryption::SseAlgorithm;
use om_api as api;
use om_core::authorise::Identity;
use om_core::namespace::{self, PlacedPiece, Span};
use om_core::rows::{BucketRow, Encryption, KeyCheck, KmsKeyId, KmsSealed, Scheme, SessionEncryption};
use om_core::sealed::Sealed;
use om_core::{CopyEncryption, CopyScheme};
use rpc::{CallContext, CallError};
use tables::ReadTables;
use types::{ObjectId, Salt};

use super::OmService;
use super::calls::Stop;
use crate::convert::{IntoApi, IntoCore};
use crate::keys::{KeyServiceError, NewDataKey, WrapError};

/// A rejection that can say that something cannot be encrypted, or opened, as it should be.
pub(super) trait EncryptionRefusal {
    fn encryption(rejected: api::EncryptionRejected) -> Self;
}

macro_rules! refusals {
    ($($name:ident),* $(,)?) => {$(
        impl EncryptionRefusal for api::$name {
            fn encryption(rejected: api::EncryptionRejected) -> Self { Self::Encryption(rejected) }
        }
    )*};
}

refusals!(OpenKeyRejected, LookupRejected, CopyRejected, CreateUploadRejected, OpenPartRejected);

/// How an object will be encrypted, once what the request left open has been filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    Store,
    Kms { key: KmsKeyId, context: Option<String>, bucket_key: bool },
    Customer { salt: Salt, check: KeyCheck },
}

/// What the bytes of one write are sealed with: for the log, and for the gateway that seals them.
pub(super) struct Sealing {
    pub(super) noted: SessionEncryption,
    pub(super) seal_with: api::SealWith,
}

fn refuse<R: EncryptionRefusal>(rejected: api::EncryptionRejected) -> Stop<R> {
    Stop::Rejected(R::encryption(rejected))
}

fn failed<R>(error: WrapError) -> CallError<R> {
    tracing::error!(%error, "sealing or opening a data key");
    CallError::unavailable(error)
}

/// The keys of a key service serve those who have a name there.
pub(super) fn named<R: EncryptionRefusal>(identity: &Identity) -> Result<(), Stop<R>> {
    match identity {
        Identity::Anonymous => Err(refuse(api::EncryptionRejected::Anonymous)),
        Identity::User(_) | Identity::Member(_) | Identity::System | Identity::LogDelivery(_) => Ok(()),
    }
}

impl OmService {
    /// What a write that may be done is to be encrypted with: what it asks for, else what its bucket says; else nothing.
    pub(super) fn wanted_encryption<R: EncryptionRefusal>(
        &self,
        tables: &dyn ReadTables,
        identity: &Identity,
        bucket: &BucketRow,
        asked: Option<&api::EncryptionWanted>,
    ) -> Result<Option<Wanted>, Stop<R>> {
        use api::EncryptionWanted as Asked;
        let (key, context, bucket_key) = match asked {
            Some(Asked::Unusable) => return Err(refuse(api::EncryptionRejected::Unusable)),
            Some(Asked::Store) => return Ok(Some(Wanted::Store)),
            Some(Asked::Customer { salt, check }) => {
                return Ok(Some(Wanted::Customer { salt: *salt, check: check.into_core() }));
            }
            Some(Asked::Kms { key, context, bucket_key }) => (key.clone().into_core(), context.clone(), *bucket_key),
            None | Some(Asked::ByDefault { .. }) => {
                let bucket_key = match asked {
                    Some(Asked::ByDefault { bucket_key }) => Some(*bucket_key),
                    _ => None,
                };
                match namespace::bucket_document::<EncryptionConfiguration>(tables, bucket.id)? {
                    Some(EncryptionConfiguration { algorithm: SseAlgorithm::Kms, kms_key, bucket_key: by_default }) => {
                        (kms_key.map(KmsKeyId), None, bucket_key.unwrap_or(by_default))
                    }
                    _ if bucket_key == Some(true) => return Err(refuse(api::EncryptionRejected::NotKms)),
                    Some(EncryptionConfiguration { algorithm: SseAlgorithm::Aes256, .. }) => return Ok(Some(Wanted::Store)),
                    None => return Ok(None),
                }
            }
        };
        named(identity)?;
        let key = key.or_else(|| self.config.default_kms_key.clone().map(KmsKeyId));
        let key = key.ok_or_else(|| refuse(api::EncryptionRejected::NoKeyNamed))?;
        Ok(Some(Wanted::Kms { key, context, bucket_key }))
    }

    /// A data key for a new object or upload.
    pub(super) async fn new_encryption<R: EncryptionRefusal>(
        &self,
        wanted: Option<Wanted>,
        cx: &CallContext,
    ) -> Result<Option<(Encryption, Option<api::DataKey>)>, CallError<R>> {
        let Some(wanted) = wanted else { return Ok(None) };
        let mut salt = self.new_salt();
        let (scheme, data_key) = match wanted {
            Wanted::Store => {
                self.settle_seal(cx).await?;
                let NewDataKey { key, sealed } = self.store_key.new_data_key().map_err(failed)?;
                (Scheme::Store(sealed), Some(key))
            }
            Wanted::Kms { key, context, bucket_key } => {
                let made = self.key_service.new_data_key(&key, context.as_deref()).await;
                let NewDataKey { key: data_key, sealed } = made.map_err(|error| key_failed(error, &key))?;
                (Scheme::Kms(KmsSealed { key, sealed, context, bucket_key }), Some(data_key))
            }
            Wanted::Customer { salt: brought, check } => {
                // Its check was made with it.
                salt = brought;
                (Scheme::Customer(check), None)
            }
        };
        Ok(Some((Encryption { scheme, salt }, data_key)))
    }

    /// The same, for an object that is put whole: its encryption and its one stream have one salt.
    pub(super) async fn object_sealing<R: EncryptionRefusal>(
        &self,
        wanted: Option<Wanted>,
        cx: &CallContext,
    ) -> Result<Option<Sealing>, CallError<R>> {
        let made = self.new_encryption(wanted, cx).await?;
        Ok(made.map(|(encryption, data_key)| Sealing {
            seal_with: api::SealWith { info: encryption.clone().into_api(), data_key, stream: encryption.salt },
            noted: SessionEncryption::Object(encryption),
        }))
    }

    /// Of a part, or of what follows an object's bytes: the data key that is there, under a salt of its own, so that one that is sent
    /// again is sealed under another key.
    pub(super) async fn stream_sealing<R: EncryptionRefusal>(
        &self,
        whole: Option<Encryption>,
        noted: impl FnOnce(Salt) -> SessionEncryption,
    ) -> Result<Option<Sealing>, CallError<R>> {
        let Some(encryption) = whole else { return Ok(None) };
        let data_key = self.data_key(&encryption).await?;
        let stream = self.new_salt();
        let seal_with = api::SealWith { info: encryption.into_api(), data_key, stream };
        Ok(Some(Sealing { noted: noted(stream), seal_with }))
    }

    fn new_salt(&self) -> Salt {
        Salt(self.entropy.u128().to_be_bytes())
    }

    /// None if it is the client's own.
    pub(super) async fn data_key<R: EncryptionRefusal>(
        &self,
        encryption: &Encryption,
    ) -> Result<Option<api::DataKey>, CallError<R>> {
        match &encryption.scheme {
            Scheme::Customer(_) => Ok(None),
            Scheme::Store(sealed) => self.store_key.open_data_key(sealed).map(Some).map_err(failed),
            Scheme::Kms(KmsSealed { key, sealed, context, .. }) => {
                let opened = self.key_service.open_data_key(key, context.as_deref(), sealed).await;
                opened.map(Some).map_err(|error| key_failed(error, key))
            }
        }
    }

    /// How a copy is to be encrypted. A key that it would be sealed with must be there, even if it will share its source's bytes.
    pub(super) async fn copy_encryption<R: EncryptionRefusal>(
        &self,
        wanted: Option<Wanted>,
        is_asked_for: bool,
        same_key_as: Option<ObjectId>,
    ) -> Result<Option<CopyEncryption>, CallError<R>> {
        let Some(wanted) = wanted else { return Ok(None) };
        if let Wanted::Kms { key, .. } = &wanted {
            self.key_service.check(key).await.map_err(|error| key_failed(error, key))?;
        }
        let scheme = match wanted {
            Wanted::Store => CopyScheme::Store,
            Wanted::Kms { key, context, bucket_key } => CopyScheme::Kms { key, context, bucket_key },
            Wanted::Customer { .. } => CopyScheme::Customer(same_key_as),
        };
        Ok(Some(CopyEncryption { scheme, is_asked_for }))
    }
}

fn key_failed<R: EncryptionRefusal>(error: KeyServiceError, key: &KmsKeyId) -> CallError<R> {
    let rejected = |rejected| CallError::Rejected(R::encryption(rejected));
    match error {
        KeyServiceError::NoSuchKey => rejected(api::EncryptionRejected::NoSuchKey(key.clone().into_api())),
        KeyServiceError::Disabled => rejected(api::EncryptionRejected::KeyDisabled(key.clone().into_api())),
        KeyServiceError::Failed(_) => {
            tracing::error!(%error, %key, "the key service fails");
            CallError::unavailable(error)
        }
    }
}

/// What a read of an encrypted object needs besides its pieces.
pub(super) struct Opening {
    encryption: Encryption,
    stored: Span,
    streams: Vec<types::SealedStream>,
}

impl Opening {
    /// Of bytes that are there to be read. `pieces` are those that this answer locates.
    pub(super) fn of<R: EncryptionRefusal>(
        identity: &Identity,
        encryption: Option<&Encryption>,
        sealed: Option<&Sealed>,
        stored: Option<Span>,
        pieces: &[PlacedPiece],
    ) -> Result<Option<Self>, Stop<R>> {
        let (Some(encryption), Some(sealed), Some(stored), Some(first), Some(last)) =
            (encryption, sealed, stored, pieces.first(), pieces.last())
        else {
            return Ok(None);
        };
        if matches!(encryption.scheme, Scheme::Kms(_)) {
            named(identity)?;
        }
        let located = Span { start: first.object_offset, end: last.object_offset + last.piece.length };
        Ok(Some(Self { encryption: encryption.clone(), stored, streams: sealed.streams_under(located).to_vec() }))
    }

    pub(super) async fn open_with(self, om: &OmService) -> Result<api::OpenWith, CallError<api::LookupRejected>> {
        let Self { encryption, stored, streams } = self;
        let data_key = om.data_key(&encryption).await?;
        Ok(api::OpenWith { data_key, stored_first: stored.start, stored_end: stored.end, streams })
    }
}
