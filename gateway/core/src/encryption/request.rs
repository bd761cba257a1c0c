//! What a request's headers ask for.

use std::borrow::Cow;
use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::ContentKey;
use crate::encoding::{base64_decode, base64_encode};
use crate::error::{S3Error, S3ErrorCode};
use crate::payload::Md5Hasher;
use crate::request::RequestHead;

const AES256: &str = "AES256";
const KMS: &str = "aws:kms";
const ENCRYPTION: &str = "x-amz-server-side-encryption";
const KMS_KEY: &str = "x-amz-server-side-encryption-aws-kms-key-id";
const CONTEXT: &str = "x-amz-server-side-encryption-context";
const BUCKET_KEY: &str = "x-amz-server-side-encryption-bucket-key-enabled";
const MAX_KMS_KEY: usize = 2048;
const MAX_CONTEXT: usize = 4096;

/// A key that the client brings with each request, and that is kept nowhere.
#[derive(Clone)]
pub struct CustomerKey {
    key: Zeroizing<[u8; 32]>,
    md5: [u8; 16],
}

impl fmt::Debug for CustomerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomerKey(…)")
    }
}

impl CustomerKey {
    /// The object's own, from `x-amz-server-side-encryption-customer-…`.
    pub fn of_object(head: &RequestHead) -> Result<Option<Self>, S3Error> {
        const NAMES: [&str; 3] = [
            "x-amz-server-side-encryption-customer-algorithm",
            "x-amz-server-side-encryption-customer-key",
            "x-amz-server-side-encryption-customer-key-md5",
        ];
        Self::parse(head, NAMES)
    }

    fn parse(head: &RequestHead, [algorithm, key, md5]: [&str; 3]) -> Result<Option<Self>, S3Error> {
        let [algorithm, key, md5] = [given(head, algorithm)?, given(head, key)?, given(head, md5)?];
        if algorithm.is_none() && key.is_none() && md5.is_none() {
            return Ok(None);
        }
        // None of these tells what was sent: it may be the key.
        let wrong = |message: &'static str| S3Error::with_message(S3ErrorCode::InvalidArgument, message);
        match algorithm.as_deref() {
            Some(AES256) => {}
            Some(_) => return Err(S3ErrorCode::InvalidEncryptionAlgorithmError.into()),
            None => {
                return Err(wrong(
                    "Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption algorithm.",
                ));
            }
        }
        let key = key.ok_or_else(|| {
            wrong(
                "Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate secret key.",
            )
        })?;
        let md5 = md5.ok_or_else(|| {
            wrong("Requests specifying Server Side Encryption with Customer provided keys must provide the client calculated MD5 of the secret key.")
        })?;
        let bytes = Zeroizing::new(base64_decode(&key).unwrap_or_default());
        let bytes: &[u8; 32] =
            bytes.as_slice().try_into().map_err(|_| wrong("The secret key was invalid for the specified algorithm."))?;
        let key = Zeroizing::new(*bytes);
        let mut hasher = Md5Hasher::default();
        hasher.update(key.as_slice());
        let computed = hasher.finish().0;
        let agrees = base64_decode(&md5).is_some_and(|told| told.as_slice().ct_eq(&computed).into());
        if !agrees {
            return Err(wrong("The calculated MD5 hash of the key did not match the hash that was provided."));
        }
        Ok(Some(Self { key, md5: computed }))
    }

    pub fn content_key(&self) -> ContentKey {
        ContentKey::new(&self.key)
    }

    pub fn is(&self, other: &Self) -> bool {
        self.key.as_slice().ct_eq(other.key.as_slice()).into()
    }

    /// As answers tell it.
    pub fn md5(&self) -> String {
        base64_encode(&self.md5)
    }
}

/// Of a copy's source, from `x-amz-copy-source-server-side-encryption-customer-…`.
pub fn source_key(head: &RequestHead) -> Result<Option<CustomerKey>, S3Error> {
    const NAMES: [&str; 3] = [
        "x-amz-copy-source-server-side-encryption-customer-algorithm",
        "x-amz-copy-source-server-side-encryption-customer-key",
        "x-amz-copy-source-server-side-encryption-customer-key-md5",
    ];
    CustomerKey::parse(head, NAMES)
}

/// How a request wants what it writes to be encrypted.
#[derive(Debug, Clone)]
pub enum WriteEncryption {
    /// As its bucket says, but for the bucket key if that is spoken of.
    ByDefault {
        bucket_key: Option<bool>,
    },
    Store,
    Kms {
        key: Option<String>,
        context: Option<String>,
        bucket_key: bool,
    },
    Customer(CustomerKey),
}

impl WriteEncryption {
    pub fn parse(head: &RequestHead) -> Result<Self, S3Error> {
        let customer = CustomerKey::of_object(head)?;
        let [method, kms_key, context] = [given(head, ENCRYPTION)?, given(head, KMS_KEY)?, given(head, CONTEXT)?];
        let bucket_key = given(head, BUCKET_KEY)?.map(|text| boolean(&text)).transpose()?;
        let of_kms = kms_key.is_some() || context.is_some();
        let wrong = |message: &'static str, value: &str| S3Error::invalid_argument(message, ENCRYPTION, value);
        match (method.as_deref(), customer) {
            (None, Some(key)) if !of_kms && bucket_key.is_none() => Ok(Self::Customer(key)),
            (method, Some(_)) => Err(wrong(
                "Server Side Encryption with Customer provided key is incompatible with the encryption method specified",
                method.unwrap_or_default(),
            )),
            (None, None) if of_kms => Err(wrong(
                "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms",
                "",
            )),
            (None, None) => Ok(Self::ByDefault { bucket_key }),
            (Some(AES256), None) if of_kms => Err(wrong(
                "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms",
                AES256,
            )),
            (Some(AES256), None) if bucket_key == Some(true) => {
                Err(wrong("A bucket key is used with Server Side Encryption with AWS KMS managed keys alone", AES256))
            }
            (Some(AES256), None) => Ok(Self::Store),
            (Some(KMS), None) => Ok(Self::Kms {
                key: kms_key.map(kms_key_id).transpose()?,
                context: context.map(|text| parse_context(&text)).transpose()?,
                bucket_key: bucket_key.unwrap_or(false),
            }),
            (Some(method @ "aws:kms:dsse"), None) => Err(S3Error::not_implemented(&format!("The encryption method {method}"))),
            (Some(other), None) => Err(wrong("The encryption method specified is not supported", other)),
        }
    }
}

/// A header's value; an empty one says nothing.
fn given<'h>(head: &'h RequestHead, name: &str) -> Result<Option<Cow<'h, str>>, S3Error> {
    Ok(head.header(name)?.filter(|text| !text.is_empty()))
}

fn boolean(text: &str) -> Result<bool, S3Error> {
    if text.eq_ignore_ascii_case("true") {
        Ok(true)
    } else if text.eq_ignore_ascii_case("false") {
        Ok(false)
    } else {
        Err(S3Error::invalid_argument("The value must be true or false", BUCKET_KEY, text))
    }
}

fn kms_key_id(text: Cow<'_, str>) -> Result<String, S3Error> {
    if text.len() > MAX_KMS_KEY {
        let shown: String = text.chars().take(64).collect();
        return Err(S3Error::invalid_argument("Invalid KMS key id", KMS_KEY, shown));
    }
    Ok(text.into_owned())
}

/// A map of text to text, told in one way whatever way it was written in: the key is bound to it.
fn parse_context(text: &str) -> Result<String, S3Error> {
    let wrong = || {
        S3Error::with_message(
            S3ErrorCode::InvalidArgument,
            "The header x-amz-server-side-encryption-context shall be Base64-encoded UTF-8 string holding JSON which represents a string-string map.",
        )
        .field("ArgumentName", CONTEXT)
    };
    if text.len() > MAX_CONTEXT {
        return Err(wrong());
    }
    let json = base64_decode(text).ok_or_else(wrong)?;
    let map: std::collections::BTreeMap<String, String> = serde_json::from_slice(&json).map_err(|_| wrong())?;
    serde_json::to_string(&map).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Addressing;
    use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

    const KEY: &str = "pO3upElrwuEXSoFwCfnZPdSsmt/xWeFa0N9KgDijwVs=";
    const KEY_MD5: &str = "DWygnHRtgiJ77HCm+1rvHw==";

    fn head(headers: &[(&str, &str)]) -> RequestHead {
        let mut map = HeaderMap::new();
        map.insert(header::HOST, HeaderValue::from_static("h"));
        for (name, value) in headers {
            map.append(HeaderName::try_from(*name).expect("a name"), HeaderValue::from_str(value).expect("a value"));
        }
        RequestHead::parse(Method::PUT, &"/bucket/key".parse().expect("a target"), map, &Addressing::default())
            .expect("well formed")
    }

    fn customer<'a>(algorithm: &'a str, key: &'a str, md5: &'a str) -> Vec<(&'static str, &'a str)> {
        let all = [
            ("x-amz-server-side-encryption-customer-algorithm", algorithm),
            ("x-amz-server-side-encryption-customer-key", key),
            ("x-amz-server-side-encryption-customer-key-md5", md5),
        ];
        all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
    }

    fn parse(headers: &[(&str, &str)]) -> Result<WriteEncryption, S3ErrorCode> {
        WriteEncryption::parse(&head(headers)).map_err(|error| error.code())
    }

    #[test]
    fn a_clients_key_comes_whole_and_right_or_not_at_all() {
        let good = CustomerKey::of_object(&head(&customer("AES256", KEY, KEY_MD5))).expect("right").expect("there");
        assert_eq!(good.md5(), KEY_MD5);
        assert_eq!(CustomerKey::of_object(&head(&[])).expect("none is fine").map(|key| key.md5()), None);
        use S3ErrorCode::{InvalidArgument, InvalidEncryptionAlgorithmError};
        for (algorithm, key, md5, code) in [
            ("", KEY, KEY_MD5, InvalidArgument),
            ("AES256", "", KEY_MD5, InvalidArgument),
            ("AES256", KEY, "", InvalidArgument),
            ("AES256", "", "", InvalidArgument),
            ("AES192", "", "", InvalidEncryptionAlgorithmError),
            ("AES256", KEY, "AAAAAAAAAAAAAAAAAAAAAA==", InvalidArgument),
            ("AES256", KEY, "no base64", InvalidArgument),
            ("AES256", "c2hvcnQ=", "iCoIwF9HT3MXvIYGCB1sHA==", InvalidArgument),
            ("AES256", "no base64", KEY_MD5, InvalidArgument),
        ] {
            let error = CustomerKey::of_object(&head(&customer(algorithm, key, md5))).expect_err("refused");
            assert_eq!(error.code(), code, "{algorithm} {key} {md5}");
            assert!(!format!("{error:?}").contains(KEY), "an error tells no key");
        }
        assert!(!format!("{good:?}").contains(KEY));
        let shown = format!("{:?}", head(&customer("AES256", KEY, KEY_MD5)));
        assert!(shown.contains(KEY_MD5) && !shown.contains(KEY), "nor does a head that is printed");
    }

    #[test]
    fn a_request_asks_for_one_way_of_encryption() {
        let kms_key = (KMS_KEY, "k");
        let with_customer = |more: &[(&'static str, &'static str)]| {
            let mut all = customer("AES256", KEY, KEY_MD5);
            all.extend(more);
            all
        };
        assert!(matches!(parse(&[]), Ok(WriteEncryption::ByDefault { bucket_key: None })));
        assert!(matches!(parse(&[(BUCKET_KEY, "TRUE")]), Ok(WriteEncryption::ByDefault { bucket_key: Some(true) })));
        assert!(matches!(parse(&[(ENCRYPTION, "AES256")]), Ok(WriteEncryption::Store)));
        assert!(matches!(parse(&[(ENCRYPTION, "AES256"), (BUCKET_KEY, "false")]), Ok(WriteEncryption::Store)));
        assert!(matches!(parse(&with_customer(&[])), Ok(WriteEncryption::Customer(_))));
        assert!(matches!(
            parse(&[(ENCRYPTION, "aws:kms"), kms_key]),
            Ok(WriteEncryption::Kms { key: Some(key), context: None, bucket_key: false }) if key == "k"
        ));
        assert!(matches!(parse(&[(ENCRYPTION, "aws:kms")]), Ok(WriteEncryption::Kms { key: None, .. })));
        let long = "k".repeat(MAX_KMS_KEY + 1);
        for refused in [
            with_customer(&[(ENCRYPTION, "AES256")]),
            with_customer(&[(ENCRYPTION, "aws:kms"), kms_key]),
            with_customer(&[kms_key]),
            vec![(ENCRYPTION, "AES256"), kms_key],
            vec![(ENCRYPTION, "AES256"), (BUCKET_KEY, "true")],
            vec![(ENCRYPTION, "aes:kms")],
            vec![(ENCRYPTION, "AES192")],
            vec![kms_key],
            vec![(CONTEXT, "e30=")],
            vec![(ENCRYPTION, "aws:kms"), (KMS_KEY, &long)],
            vec![(ENCRYPTION, "aws:kms"), kms_key, (BUCKET_KEY, "maybe")],
        ] {
            assert_eq!(parse(&refused).err(), Some(S3ErrorCode::InvalidArgument), "{refused:?}");
        }
        assert_eq!(parse(&[(ENCRYPTION, "aws:kms:dsse")]).err(), Some(S3ErrorCode::NotImplemented));
    }

    #[test]
    fn a_context_is_a_map_of_text_in_whatever_way_it_is_written() {
        let context = |json: &str| {
            let encoded = base64_encode(json.as_bytes());
            match parse(&[(ENCRYPTION, "aws:kms"), (KMS_KEY, "k"), (CONTEXT, &encoded)]) {
                Ok(WriteEncryption::Kms { context, .. }) => context,
                other => panic!("{json}: {other:?}"),
            }
        };
        assert_eq!(context("{\"b\": \"2\", \"a\": \"1\"}"), context("{\"a\":\"1\",\"b\":\"2\"}"));
        assert_ne!(context("{\"a\":\"1\"}"), context("{\"a\":\"2\"}"));
        for wrong in ["[]", "{\"a\":1}", "{\"a\":{}}", "\"a\"", "{", "\u{1}"] {
            let encoded = base64_encode(wrong.as_bytes());
            let outcome = parse(&[(ENCRYPTION, "aws:kms"), (KMS_KEY, "k"), (CONTEXT, &encoded)]);
            assert_eq!(outcome.err(), Some(S3ErrorCode::InvalidArgument), "{wrong}");
        }
        let not_base64 = parse(&[(ENCRYPTION, "aws:kms"), (KMS_KEY, "k"), (CONTEXT, "{\"a\":\"1\"}")]);
        assert_eq!(not_base64.err(), Some(S3ErrorCode::InvalidArgument));
    }
}
