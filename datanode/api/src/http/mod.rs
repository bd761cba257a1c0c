//! [`BlockAccess`] over HTTP/1.1 on kept connections.
//!
//! | call | request | body | answer |
//! |---|---|---|---|
//! | write | `PUT /v1/blocks/{container}/{local}` | the block's bytes, chunked | [`BlockWritten`](crate::BlockWritten) in CBOR |
//! | put, inline | `POST /v1/blocks/{container}/{local}` | the block's bytes | [`BlockPut`](crate::BlockPut) in CBOR |
//! | put, streamed | the same | its chunk checksums, little-endian `u32`s | the same |
//! | read | `GET /v1/blocks/{container}/{local}` | | the bytes, with their length |
//! | export | `GET /v1/containers/{container}` | | [`CopyRecord`](crate::CopyRecord)s and bytes |
//!
//! Arguments travel in headers (see [`wire`]): `trioxide-token` (base64url), `trioxide-request`, `trioxide-timeout-ms`,
//! `trioxide-pipeline`, `trioxide-offset`, `trioxide-length`, `trioxide-content` (`inline` or `streamed`) and
//! `trioxide-checksums` (base64url of little-endian `u32`s). An answer's `trioxide-outcome` tells what its body is: `done`, or a
//! failure as [`CallError`](rpc::CallError) knows it. A body that ends before its length, or a chunked one without its end, is
//! broken off, in either direction.
//!
//! [`BlockAccess`]: crate::BlockAccess

mod client;
mod dial;
mod pool;
pub mod wire;

pub use client::HttpBlocks;
pub use dial::{BoxedIo, Dial, Io, PlainTcp};
