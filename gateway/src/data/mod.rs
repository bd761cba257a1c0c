//! Bytes between connections and datanodes.

mod download;
mod memory;
mod request_body;
mod upload;
mod uploads;

pub(crate) use download::{Located, ObjectSource, ReadObject, read_object, unreadable};
pub(crate) use memory::UploadMemory;
pub(crate) use request_body::RequestBody;
pub(crate) use upload::{BlockSink, receive};
pub(crate) use uploads::{UploadCache, UploadFacts};
