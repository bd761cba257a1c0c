//! Server-side encryption: what headers ask for, and the sealing and opening of bytes.
//!
//! An object's bytes are sealed before they go to datanodes and opened after they came from there. What one write seals is a
//! stream: segments of 64 KiB, each under AES-256-GCM with a tag of its own (`types::sealed` tells how they lie). The key of a stream
//! is derived from the key behind the object and from a salt that no other stream has; the nonce counts the segments and marks the
//! last one. So a segment opens in its own place and nowhere else: bytes that were changed, swapped, moved, cut off or taken from
//! another object do not open, and a range is read without the rest.

mod headers;
mod keys;
mod open;
mod request;
mod seal;

pub use headers::check_headers;
pub use keys::ContentKey;
pub use open::{Damaged, StreamOpener};
pub use request::{CustomerKey, WriteEncryption, source_key};
pub use seal::StreamSealer;

#[cfg(test)]
mod tests;
