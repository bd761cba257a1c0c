//! Rows and commands as bytes: CBOR with numbered fields, so that tomorrow's release reads today's.

use minicbor::{Decode, Encode};

use crate::StorageFault;

/// # Panics
/// Never: writing to memory cannot fail.
pub fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    #[expect(clippy::expect_used, reason = "a Vec takes every byte")]
    minicbor::encode(value, &mut bytes).expect("a Vec takes every byte");
    bytes
}

/// Bytes that we wrote ourselves; what does not decode is damage.
pub fn decode<'b, T: Decode<'b, ()>>(bytes: &'b [u8], what: &'static str) -> Result<T, StorageFault> {
    minicbor::decode(bytes).map_err(|error| StorageFault(format!("decoding {what}: {error}")))
}
