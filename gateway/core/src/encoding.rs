//! Percent-encoding, base64 and Latin-1: the three ways text travels in an S3 request.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::{S3Error, S3ErrorCode};

/// Whether `/` is kept: it is in a path and in `encoding-type=url`, and is not in a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slash {
    Kept,
    Encoded,
}

/// Percent-encodes as SigV4 asks: all but `A-Z a-z 0-9 - . _ ~`, upper-case digits.
pub fn percent_encode(bytes: &[u8], slash: Slash) -> String {
    let mut out = String::with_capacity(bytes.len() + bytes.len() / 4);
    for &byte in bytes {
        let plain =
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') || (byte == b'/' && slash == Slash::Kept);
        if plain {
            out.push(char::from(byte));
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    out
}

/// What `+` means where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plus {
    /// In a path and in a copy source.
    Plus,
    /// In a query, as in forms.
    Space,
}

/// Decodes once. A broken escape, bytes that are no UTF-8, and NUL are refused.
pub fn percent_decode(text: &str, plus: Plus) -> Result<String, S3Error> {
    let invalid = || S3Error::new(S3ErrorCode::InvalidURI);
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let high = bytes.next().and_then(hex_digit).ok_or_else(invalid)?;
                let low = bytes.next().and_then(hex_digit).ok_or_else(invalid)?;
                high << 4 | low
            }
            b'+' if plus == Plus::Space => b' ',
            other => other,
        });
    }
    if out.contains(&0) {
        return Err(invalid());
    }
    String::from_utf8(out).map_err(|_| invalid())
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

pub fn base64_encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub fn base64_decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// A header's bytes as text, one character a byte, so that [`to_latin1`] gives the same bytes back.
pub fn from_latin1(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => Cow::Borrowed(text),
        _ => Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect()),
    }
}

/// The bytes that [`from_latin1`] made the text of; a character that no byte stands for goes out as its UTF-8.
pub fn to_latin1(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for character in text.chars() {
        match u8::try_from(u32::from(character)) {
            Ok(byte) => out.push(byte),
            Err(_) => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_plus_is_a_plus_in_a_path_and_a_space_in_a_query() {
        assert_eq!(percent_decode("a+b%2Bc%20d", Plus::Plus).expect("valid"), "a+b+c d");
        assert_eq!(percent_decode("a+b%2Bc%20d", Plus::Space).expect("valid"), "a b+c d");
    }

    #[test]
    fn decoding_happens_once_and_refuses_what_is_no_text() {
        assert_eq!(percent_decode("%252e%252e", Plus::Plus).expect("valid"), "%2e%2e");
        for bad in ["%", "%2", "%zz", "%c3%28", "%ff", "a%00b", "%+1", "% 1"] {
            assert_eq!(percent_decode(bad, Plus::Plus).map_err(|e| e.code()), Err(S3ErrorCode::InvalidURI), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(text in "[^\0]{0,40}") {
            for slash in [Slash::Kept, Slash::Encoded] {
                let encoded = percent_encode(text.as_bytes(), slash);
                prop_assert!(encoded.is_ascii());
                for plus in [Plus::Plus, Plus::Space] {
                    prop_assert_eq!(&percent_decode(&encoded, plus).expect("we encoded it"), &text);
                }
            }
        }

        #[test]
        fn latin1_gives_every_byte_back(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(to_latin1(&from_latin1(&bytes)), bytes);
        }
    }
}
