//! The continuation token: where the next page begins, in a form that no client takes for a key.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::PageStart;
use crate::error::S3Error;

/// Base64 of a format byte, a kind byte, the name, and eight bytes of SHA-256 over all that and the bucket: a token that was
/// damaged, made up or taken to another bucket is refused instead of listing from a wrong place. It holds nothing secret and
/// grants nothing.
#[derive(Debug)]
pub struct ContinuationToken;

const FORMAT: u8 = 1;
const AFTER: u8 = b'>';
const AT: u8 = b'=';
const CHECK: usize = 8;
/// The longest name is 1,024 bytes.
const MAX_TOKEN: usize = 1500;

impl ContinuationToken {
    /// `None` for the beginning, which needs no token.
    pub fn encode(start: &PageStart, bucket: &str) -> Option<String> {
        let (kind, name) = match start {
            PageStart::Beginning => return None,
            PageStart::After(name) => (AFTER, name),
            PageStart::At(name) => (AT, name),
        };
        let mut bytes = vec![FORMAT, kind];
        bytes.extend_from_slice(name.as_bytes());
        let check = check(&bytes, bucket);
        bytes.extend_from_slice(&check);
        Some(URL_SAFE_NO_PAD.encode(bytes))
    }

    pub fn decode(token: &str, bucket: &str) -> Result<PageStart, S3Error> {
        Self::read(token, bucket).ok_or_else(|| incorrect(token))
    }

    fn read(token: &str, bucket: &str) -> Option<PageStart> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (content, sum) = bytes.split_last_chunk::<CHECK>()?;
        if *sum != check(content, bucket) {
            return None;
        }
        let (&[format, kind], name) = content.split_first_chunk::<2>()?;
        let name = String::from_utf8(name.to_vec()).ok()?;
        match (format, kind) {
            (FORMAT, AFTER) => Some(PageStart::After(name)),
            (FORMAT, AT) => Some(PageStart::At(name)),
            _ => None,
        }
    }
}

pub(super) fn incorrect(token: &str) -> S3Error {
    let shown: String = token.chars().take(64).collect();
    S3Error::invalid_argument("The continuation token provided is incorrect", "continuation-token", shown)
}

fn check(content: &[u8], bucket: &str) -> [u8; CHECK] {
    // No bucket name holds NUL, so the two cannot run into each other.
    let sum = digest(&SHA256, &[bucket.as_bytes(), &[0], content].concat());
    let mut check = [0; CHECK];
    check.iter_mut().zip(sum.as_ref()).for_each(|(to, from)| *to = *from);
    check
}
