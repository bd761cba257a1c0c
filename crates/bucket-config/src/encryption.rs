//! How new objects are encrypted when the request says nothing.

use minicbor::{Decode, Encode};

use crate::Invalid;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum SseAlgorithm {
    /// Under keys of Trioxide's own: SSE-S3.
    #[n(0)]
    Aes256,
    /// Under a named key of a key service: SSE-KMS.
    #[n(1)]
    Kms,
}

impl SseAlgorithm {
    /// As headers and XML name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aes256 => "AES256",
            Self::Kms => "aws:kms",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Aes256, Self::Kms].into_iter().find(|algorithm| algorithm.as_str() == text)
    }
}

/// S3's list of rules has exactly one.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct EncryptionConfiguration {
    #[n(0)]
    pub algorithm: SseAlgorithm,
    /// The key's name as given; the key service's own if absent.
    #[n(1)]
    pub kms_key: Option<String>,
    /// Whether one data key of the key service may serve many objects of the bucket.
    #[n(2)]
    pub bucket_key: bool,
}

impl EncryptionConfiguration {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        if self.algorithm != SseAlgorithm::Kms && self.kms_key.is_some() {
            return Err(Invalid::argument(
                "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
            ));
        }
        if self.kms_key.as_ref().is_some_and(String::is_empty) {
            return Err(Invalid::Schema);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_only_where_a_key_service_is_used() {
        let with = |algorithm, key: Option<&str>| {
            EncryptionConfiguration { algorithm, kms_key: key.map(str::to_owned), bucket_key: false }.check()
        };
        assert_eq!(with(SseAlgorithm::Kms, Some("k")), Ok(()));
        assert_eq!(with(SseAlgorithm::Kms, None), Ok(()));
        assert_eq!(with(SseAlgorithm::Aes256, None), Ok(()));
        assert!(matches!(with(SseAlgorithm::Aes256, Some("k")), Err(Invalid::Argument(_))));
        assert_eq!(with(SseAlgorithm::Kms, Some("")), Err(Invalid::Schema));
    }
}
