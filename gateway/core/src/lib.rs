//! The S3 protocol as pure functions: bytes and headers in, typed values and XML out.
//!
//! Nothing here waits, reads a clock or touches a file; `now` is always an argument. A request is taken apart once, in this
//! order, and nothing behind a step looks at what the step before it has already decided:
//!
//! 1. [`request`]: the raw target and the `Host` header become bucket, key and query, decoded exactly once.
//! 2. [`auth`]: who says they ask, and under which payload mode. Checks that need no secret come before those that do.
//! 3. [`dispatch`]: method, scope and sub-resource become one [`dispatch::S3Operation`], or an error that names why not.
//! 4. [`payload`]: the body's framing, signatures and checksums, incrementally.
//!
//! The other modules are the vocabulary of single operations. Parsers take what a stranger sends: they bound what they
//! hold and never panic.

pub mod access_log;
pub mod acl;
pub mod auth;
pub mod checksum;
pub mod conditions;
pub mod copy_source;
pub mod dates;
pub mod dispatch;
pub mod encoding;
pub mod encryption;
pub mod error;
pub mod form;
pub mod iam;
pub mod lifecycle;
pub mod listing;
pub mod lock;
pub mod metadata;
pub mod payload;
pub mod proxies;
pub mod range;
pub mod request;
pub mod tagging;
pub mod website;
pub mod xml;

pub use error::{S3Error, S3ErrorCode};
pub use request::RequestHead;
