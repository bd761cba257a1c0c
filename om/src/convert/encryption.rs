//! How objects are encrypted, between what travels and what is kept. Sealed keys are kept and never travel.

use om_api as api;
use om_core as core;
use om_core::rows::{Encryption, KeyCheck, KmsKeyId, Scheme};
use om_core::{ChangeKmsKeyRejected, CopyEncryption, CopyScheme};

use super::{IntoApi, IntoCore};

impl IntoCore for api::KmsKeyId {
    type Core = KmsKeyId;
    fn into_core(self) -> KmsKeyId {
        KmsKeyId(self.0)
    }
}

impl IntoApi for KmsKeyId {
    type Api = api::KmsKeyId;
    fn into_api(self) -> api::KmsKeyId {
        api::KmsKeyId(self.0)
    }
}

impl IntoCore for api::KeyCheck {
    type Core = KeyCheck;
    fn into_core(self) -> KeyCheck {
        KeyCheck(self.0)
    }
}

impl IntoApi for Encryption {
    type Api = api::EncryptionInfo;
    fn into_api(self) -> api::EncryptionInfo {
        let scheme = match self.scheme {
            Scheme::Store(_) => api::EncryptionScheme::Store,
            Scheme::Kms(kms) => {
                let (key, context) = (kms.key.into_api(), kms.context);
                api::EncryptionScheme::Kms { key, context, bucket_key: kms.bucket_key }
            }
            Scheme::Customer(KeyCheck(check)) => api::EncryptionScheme::Customer(api::KeyCheck(check)),
        };
        api::EncryptionInfo { scheme, salt: self.salt }
    }
}

/// What the answer to a copy shows. Of a client's own key there is nothing to show: the gateway has it.
pub(crate) fn shown(copy: &CopyEncryption) -> Option<api::EncryptionScheme> {
    match &copy.scheme {
        CopyScheme::Store => Some(api::EncryptionScheme::Store),
        CopyScheme::Kms { key, context, bucket_key } => {
            let (key, context) = (key.clone().into_api(), context.clone());
            Some(api::EncryptionScheme::Kms { key, context, bucket_key: *bucket_key })
        }
        CopyScheme::Customer(_) => None,
    }
}

impl IntoApi for core::CreateKmsKeyRejected {
    type Api = api::KmsRejected;
    fn into_api(self) -> api::KmsRejected {
        match self {
            Self::Exists => api::KmsRejected::Exists,
        }
    }
}

impl IntoApi for ChangeKmsKeyRejected {
    type Api = api::KmsRejected;
    fn into_api(self) -> api::KmsRejected {
        match self {
            Self::NoSuchKey => api::KmsRejected::NoSuchKey,
            Self::NotTheNextVersion => api::KmsRejected::Conflict,
            Self::TooManyVersions => api::KmsRejected::TooManyVersions,
        }
    }
}
