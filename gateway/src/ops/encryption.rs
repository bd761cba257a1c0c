//! Encryption, between headers, what the OM says, and the bytes.

use gateway_core::encryption::{ContentKey, CustomerKey, StreamSealer, WriteEncryption};
use gateway_core::{RequestHead, S3Error, S3ErrorCode, encoding};
use http::HeaderMap;
use om_api::{EncryptionInfo, EncryptionRejected, EncryptionScheme, EncryptionWanted, KeyCheck, KmsKeyId, ObjectRead, SealWith};
use types::{ETag, Md5, Salt};

use crate::context::OpContext;
use crate::data::Located;
use crate::reply::set;

/// What a write asks for. Headers that say nothing usable are an error only for those who may write: the OM is asked first, as S3
/// tells a refusal before anything else.
pub(super) struct Asked(Result<WriteEncryption, S3Error>);

impl Asked {
    pub(super) fn parse(head: &RequestHead) -> Self {
        Self(WriteEncryption::parse(head))
    }

    /// For the OM. Of a client's own key only what tells it from others.
    pub(super) fn wanted(&self, cx: &OpContext) -> Result<Option<EncryptionWanted>, S3Error> {
        Ok(match &self.0 {
            Err(_) => Some(EncryptionWanted::Unusable),
            Ok(WriteEncryption::ByDefault { bucket_key }) => {
                bucket_key.map(|bucket_key| EncryptionWanted::ByDefault { bucket_key })
            }
            Ok(WriteEncryption::Store) => Some(EncryptionWanted::Store),
            Ok(WriteEncryption::Kms { key, context, bucket_key }) => {
                let (key, context) = (key.clone().map(KmsKeyId), context.clone());
                Some(EncryptionWanted::Kms { key, context, bucket_key: *bucket_key })
            }
            Ok(WriteEncryption::Customer(key)) => {
                let salt = Salt(cx.shared.entropy.u128().to_be_bytes());
                let check = KeyCheck(key.content_key().check(salt)?);
                Some(EncryptionWanted::Customer { salt, check })
            }
        })
    }

    /// Whether a write asks for another encryption than an object has. Headers that say nothing usable are an error here.
    pub(super) fn differs_from(&self, has: Option<&EncryptionInfo>) -> Result<bool, S3Error> {
        let scheme = has.map(|info| &info.scheme);
        Ok(match &self.0 {
            Err(error) => return Err(error.clone()),
            Ok(WriteEncryption::ByDefault { .. }) => false,
            Ok(WriteEncryption::Store) => scheme != Some(&EncryptionScheme::Store),
            Ok(WriteEncryption::Kms { key: asked, context: asked_context, .. }) => match scheme {
                Some(EncryptionScheme::Kms { key, context, .. }) => {
                    asked.as_ref().is_some_and(|asked| *asked != key.0) || asked_context.is_some() && asked_context != context
                }
                _ => true,
            },
            Ok(WriteEncryption::Customer(_)) => !matches!(scheme, Some(EncryptionScheme::Customer(_))),
        })
    }

    pub(super) fn customer(&self) -> Option<&CustomerKey> {
        match &self.0 {
            Ok(WriteEncryption::Customer(key)) => Some(key),
            Ok(_) | Err(_) => None,
        }
    }

    /// What to answer when the OM does not encrypt so.
    pub(super) fn rejected(&self, why: &EncryptionRejected) -> S3Error {
        match (&self.0, why) {
            (Err(error), EncryptionRejected::Unusable) => error.clone(),
            (_, why) => rejected(why),
        }
    }
}

/// What S3 says to a key that does not serve.
pub(super) fn rejected(why: &EncryptionRejected) -> S3Error {
    let argument = |message: &'static str| S3Error::with_message(S3ErrorCode::InvalidArgument, message);
    match why {
        EncryptionRejected::Unusable => S3ErrorCode::InternalError.into(),
        EncryptionRejected::NoKeyNamed => argument(
            "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption-aws-kms-key-id",
        ),
        EncryptionRejected::NoSuchKey(key) => {
            S3Error::with_message(S3ErrorCode::KmsNotFound, format!("Key '{key}' does not exist"))
        }
        EncryptionRejected::KeyDisabled(key) => S3Error::with_message(S3ErrorCode::KmsDisabled, format!("{key} is disabled.")),
        EncryptionRejected::NotKms => {
            argument("A bucket key is used with Server Side Encryption with AWS KMS managed keys alone")
        }
        EncryptionRejected::Anonymous => {
            argument("Requests specifying Server Side Encryption with AWS KMS managed keys require AWS Signature Version 4.")
        }
    }
}

/// Whether a request brings the key that an object or upload needs, and none if it needs none.
pub(super) fn check_key(encryption: Option<&EncryptionInfo>, customer: Option<&CustomerKey>) -> Result<(), S3Error> {
    match (encryption, customer) {
        (Some(EncryptionInfo { scheme: EncryptionScheme::Customer(check), salt }), Some(key)) => {
            if key.content_key().check(*salt)? == check.0 {
                return Ok(());
            }
            Err(S3Error::invalid_request(
                "The provided encryption parameters did not match the ones used originally to encrypt the object.",
            ))
        }
        (Some(EncryptionInfo { scheme: EncryptionScheme::Customer(_), .. }), None) => Err(S3Error::invalid_request(
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.",
        )),
        (_, Some(_)) => Err(S3Error::invalid_request("The encryption parameters are not applicable to this object.")),
        (_, None) => Ok(()),
    }
}

/// The bytes that a look-up found, for whoever brings the key that they need.
pub(super) fn located(read: &mut ObjectRead, customer: Option<&CustomerKey>) -> Result<Located, S3Error> {
    check_key(read.info.encryption.as_ref(), customer)?;
    let opening = match read.open_with.take() {
        None => None,
        Some(with) => {
            let key = with.data_key.as_ref().map(|key| ContentKey::new(key.bytes()));
            let key = key.or_else(|| customer.map(CustomerKey::content_key));
            Some((key.ok_or_else(|| S3Error::new(S3ErrorCode::InternalError))?, with))
        }
    };
    Ok(Located { object: read.info.object, pieces: std::mem::take(&mut read.pieces), opening })
}

/// What one write seals its bytes with.
pub(super) struct Sealing {
    info: EncryptionInfo,
    key: ContentKey,
    stream: Salt,
}

impl Sealing {
    /// From the OM's answer and the client's key, if it is by that.
    pub(super) fn of(sealed: Option<SealWith>, customer: Option<&CustomerKey>) -> Result<Option<Self>, S3Error> {
        check_key(sealed.as_ref().map(|sealed| &sealed.info), customer)?;
        let Some(SealWith { info, data_key, stream }) = sealed else { return Ok(None) };
        let key = match (data_key, customer) {
            (Some(data_key), None) => ContentKey::new(data_key.bytes()),
            (None, Some(customer)) => customer.content_key(),
            (Some(_), Some(_)) | (None, None) => return Err(S3ErrorCode::InternalError.into()),
        };
        Ok(Some(Self { info, key, stream }))
    }

    pub(super) fn sealer(&self) -> Result<StreamSealer, S3Error> {
        StreamSealer::new(&self.key, self.stream)
    }

    /// As S3: the MD5 where the store's own key protects it; else it would tell whoever sees it what was encrypted, if they can
    /// guess. A part that is sent again gets the same tag, since it is made with the upload's key and not the stream's.
    pub(super) fn etag(sealing: Option<&Self>, md5: Md5) -> Result<ETag, S3Error> {
        match sealing {
            Some(Self { info, key, .. }) if info.scheme != EncryptionScheme::Store => key.tag(info.salt, md5).map(ETag::whole),
            Some(_) | None => Ok(ETag::whole(md5)),
        }
    }

    pub(super) fn scheme(&self) -> &EncryptionScheme {
        &self.info.scheme
    }
}

/// What an answer tells of an object's encryption.
#[derive(Debug, Default)]
pub(super) struct Shown {
    scheme: Option<EncryptionScheme>,
    /// Of the key that the request brought.
    customer_md5: Option<String>,
}

impl Shown {
    pub(super) fn of(scheme: Option<&EncryptionScheme>, customer: Option<&CustomerKey>) -> Self {
        Self { scheme: scheme.cloned(), customer_md5: customer.map(CustomerKey::md5) }
    }

    pub(super) fn write(&self, headers: &mut HeaderMap) {
        if let Some(md5) = &self.customer_md5 {
            set(headers, "x-amz-server-side-encryption-customer-algorithm", "AES256");
            set(headers, "x-amz-server-side-encryption-customer-key-md5", md5);
        }
        match &self.scheme {
            Some(EncryptionScheme::Store) => set(headers, "x-amz-server-side-encryption", "AES256"),
            Some(EncryptionScheme::Kms { key, bucket_key, .. }) => {
                set(headers, "x-amz-server-side-encryption", "aws:kms");
                set(headers, "x-amz-server-side-encryption-aws-kms-key-id", &key.0);
                if *bucket_key {
                    set(headers, "x-amz-server-side-encryption-bucket-key-enabled", "true");
                }
            }
            Some(EncryptionScheme::Customer(_)) | None => {}
        }
    }

    /// The same with the context, which is told to whoever gave it.
    pub(super) fn write_new(&self, headers: &mut HeaderMap) {
        self.write(headers);
        if let Some(EncryptionScheme::Kms { context: Some(context), .. }) = &self.scheme {
            set(headers, "x-amz-server-side-encryption-context", encoding::base64_encode(context.as_bytes()));
        }
    }
}
