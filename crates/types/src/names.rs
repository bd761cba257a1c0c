//! Names that users choose, checked once. A [`BucketName`] or an [`ObjectKey`] in hand is proof that S3 would accept it.

use std::fmt;
use std::sync::LazyLock;

use minicbor::{Decode, Encode};

/// Why a name is not one, for the person who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    #[error("the name is shorter or longer than allowed")]
    Length,
    #[error("the name has a character that is not allowed, or in the wrong place")]
    Form,
    #[error("the name is reserved")]
    Reserved,
}

macro_rules! checked_name {
    ($(#[$doc:meta])* $name:ident, $check:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode)]
        #[cbor(transparent)]
        pub struct $name(String);

        impl $name {
            pub fn parse(text: &str) -> Result<Self, InvalidName> {
                $check(text)?;
                Ok(Self(text.to_owned()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                Self::parse(d.str()?).map_err(minicbor::decode::Error::message)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{:?}", self.0) }
        }
    };
}

checked_name! {
    /// A bucket name that S3 would accept: 3 to 63 of `a-z 0-9 . -`, each label beginning and ending with a letter or
    /// digit, not an IPv4 address, none of the prefixes and suffixes that S3 keeps for itself
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>).
    BucketName, check_bucket
}
checked_name! {
    /// A volume, which holds buckets: S3's live in `s3v`, each tenant's in one of its own. Same form as a bucket name.
    VolumeName, check_label_form
}

static S3V: LazyLock<VolumeName> = LazyLock::new(|| VolumeName("s3v".to_owned()));

impl VolumeName {
    /// The volume of every S3 bucket that belongs to no tenant.
    pub fn s3v() -> Self {
        S3V.clone()
    }

    pub fn s3v_ref() -> &'static Self {
        &S3V
    }

    pub fn is_s3v(&self) -> bool {
        *self == *S3V
    }
}

fn check_bucket(text: &str) -> Result<(), InvalidName> {
    check_label_form(text)?;
    let is_ipv4 = text.split('.').count() == 4 && text.split('.').all(|part| part.bytes().all(|b| b.is_ascii_digit()));
    if is_ipv4 {
        return Err(InvalidName::Form);
    }
    let reserved_start = ["xn--", "sthree-", "amzn-s3-demo-"].iter().any(|p| text.starts_with(p));
    let reserved_end = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"].iter().any(|s| text.ends_with(s));
    if reserved_start || reserved_end { Err(InvalidName::Reserved) } else { Ok(()) }
}

fn check_label_form(text: &str) -> Result<(), InvalidName> {
    if !(3..=63).contains(&text.len()) {
        return Err(InvalidName::Length);
    }
    let label_is_good = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.split('.').all(label_is_good) { Ok(()) } else { Err(InvalidName::Form) }
}

checked_name! {
    /// An object's key: 1 to 1,024 bytes of UTF-8 without NUL, compared byte by byte, never normalised, never a path.
    ObjectKey, check_key
}

impl ObjectKey {
    pub const MAX_BYTES: usize = 1024;

    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

fn check_key(text: &str) -> Result<(), InvalidName> {
    if text.is_empty() || text.len() > ObjectKey::MAX_BYTES {
        return Err(InvalidName::Length);
    }
    if text.contains('\0') { Err(InvalidName::Form) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names_follow_the_rules_of_s3() {
        for good in ["abc", "a-b", "foo.bar", "1bucket", "0.0.0", "my.long.name-2", &"a".repeat(63)] {
            assert!(BucketName::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            "aa",
            &"a".repeat(64),
            "Abc",
            "a_b",
            "_abc",
            "abc-",
            "-abc",
            "a..b",
            "a.-b",
            "a-.b",
            ".abc",
            "abc.",
            "192.168.5.4",
            "xn--abc",
            "sthree-abc",
            "abc-s3alias",
            "abc--ol-s3",
            "..",
            "a/b",
            "a b",
            "käse",
        ] {
            assert!(BucketName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_are_bytes_and_not_paths() {
        for good in ["/", "//", "a/../b", ".", "..", " ", "a\u{1}b", "é", "e\u{301}", &"k".repeat(1024)] {
            assert_eq!(ObjectKey::parse(good).expect("legal").as_str(), good);
        }
        assert_eq!(ObjectKey::parse(&"k".repeat(1025)), Err(InvalidName::Length));
        assert_eq!(ObjectKey::parse("a\0b"), Err(InvalidName::Form));
        assert_ne!(ObjectKey::parse("\u{e9}"), ObjectKey::parse("e\u{301}"));
    }
}
