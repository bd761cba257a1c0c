//! Requests applied once: the answers given to the last of them, as rows, so that every member and every snapshot has the same.
//!
//! Reserved table 255: slot (log index mod [`SLOTS`], 2 bytes, big-endian) → request id, index, answer. A slot taken again
//! forgets its former request; one that is retried after [`SLOTS`] later entries would be applied again, so callers end their
//! retries soon ([`rpc::RETRY_WITHIN`]).

use std::collections::HashMap;

use bytes::Bytes;
use minicbor::{Decode, Encode};
use tables::{ReadTables, StorageFault, Table, Visit, WriteTables};
use types::{LogIndex, RequestId};

pub(super) const ANSWERS: Table = Table { id: 255, name: "answers" };

/// What a group can take within [`rpc::RETRY_WITHIN`] at 8,000 commands a second; some ten megabytes of rows when full.
pub(super) const SLOTS: u64 = 1 << 16;

#[derive(Encode, Decode)]
struct AnswerRow {
    #[n(0)]
    request: RequestId,
    #[n(1)]
    index: LogIndex,
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    answer: Vec<u8>,
}

/// The rows of [`ANSWERS`], found by request id. Only looked up, never walked: the order of a `HashMap` shows nowhere.
#[derive(Debug, Default)]
pub(super) struct Answers {
    by_request: HashMap<RequestId, (LogIndex, Bytes)>,
    by_slot: HashMap<u64, RequestId>,
}

impl Answers {
    pub(super) fn load(tables: &impl ReadTables) -> Result<Self, StorageFault> {
        let mut answers = Self::default();
        tables.scan(ANSWERS, &[], &mut |_, value| {
            let row: AnswerRow = tables::decode(value, "answer row")?;
            answers.remember(row.request, row.index, Bytes::from(row.answer));
            Ok(Visit::Next)
        })?;
        Ok(answers)
    }

    pub(super) fn of(&self, request: RequestId) -> Option<Bytes> {
        self.by_request.get(&request).map(|(_, answer)| answer.clone())
    }

    pub(super) fn store(&mut self, request: RequestId, index: LogIndex, answer: &Bytes, tables: &mut impl WriteTables) {
        let slot = ((index.0 % SLOTS) as u16).to_be_bytes();
        let row = AnswerRow { request, index, answer: answer.to_vec() };
        tables.put(ANSWERS, &slot, tables::encode(&row));
        self.remember(request, index, answer.clone());
    }

    fn remember(&mut self, request: RequestId, index: LogIndex, answer: Bytes) {
        if let Some(former) = self.by_slot.insert(index.0 % SLOTS, request) {
            self.by_request.remove(&former);
        }
        self.by_request.insert(request, (index, answer));
    }
}
