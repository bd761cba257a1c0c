//! Records of a container file: what each says, and how it is recognised among bytes that are not ours.
//!
//! ```text
//! record, at a multiple of 64 bytes
//! 0   magic        "TXR1"
//! 4   kind         u8
//! 5   version      u8, zero
//! 6   zero         u16
//! 8   at           u64   where in the file this record begins
//! 16  body         u32   bytes of CBOR behind the header
//! 20  payload_at   u32   from the record's begin to its payload
//! 24  payload      u32   bytes of payload
//! 28  checksum     u32   CRC32C over the file's salt, the header up to here, and the body
//! 32  body, then zeros up to payload_at, then the payload
//! ```
//!
//! All numbers are little-endian. The salt and the position make a header that a client stored as data worthless: it does not
//! know the salt. So a reader may look for the next record at every multiple of 64, past damage, holes and unfinished writes.

use minicbor::{Decode, Encode};
use tables::StorageFault;
use types::{ClusterId, ContainerId, PipelineId};

pub const RECORD_ALIGN: u64 = 64;
pub const HEADER_BYTES: usize = 32;
/// The file's own record has the first page for itself; the others begin here.
pub const FIRST_RECORD_AT: u64 = 4096;
pub const MAGIC: [u8; 4] = *b"TXR1";
/// No body is longer: a `Delete` of a whole order, or the checksums of an extent, are far below.
pub const BODY_MAX: u32 = 1 << 20;

/// Rolled for each file when it is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt(pub [u8; 16]);

impl Salt {
    /// Of the file's own record, which has to be read before the salt is known.
    pub const NONE: Self = Self([0; 16]);
}

impl std::fmt::Debug for Salt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Salt")
    }
}

/// What a record says. Kinds and field numbers are never reused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    File(FileBody),
    Extent(ExtentBody),
    Inline(InlineBody),
    Written(WrittenBody),
    Commit(CommitBody),
    Missing(MissingBody),
    Delete(DeleteBody),
    State(StateBody),
    Progress(ProgressBody),
    Free(FreeBody),
}

/// The first record of a file: whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct FileBody {
    #[n(0)]
    pub format: u32,
    #[n(1)]
    pub cluster: ClusterId,
    #[n(2)]
    pub container: ContainerId,
    #[n(3)]
    pub pipeline: PipelineId,
    #[n(4)]
    #[cbor(with = "minicbor::bytes")]
    pub salt: [u8; 16],
}

/// Some bytes of a streamed block; a multiple of the chunk size, but for the block's last extent.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ExtentBody {
    #[n(0)]
    pub local: u64,
    /// Where in the block they belong.
    #[n(1)]
    pub offset: u64,
    /// CRC32C of each chunk, little-endian.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub sums: Vec<u8>,
}

/// A whole committed block, small enough to have come inside the log entry.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct InlineBody {
    #[n(0)]
    pub local: u64,
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub sums: Vec<u8>,
    /// The log index of its commit.
    #[n(2)]
    pub index: u64,
}

/// A streamed block is whole: these extents are it. Not committed by this alone.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct WrittenBody {
    #[n(0)]
    pub local: u64,
    #[n(1)]
    pub length: u64,
    /// Where the extents' records begin.
    #[n(2)]
    pub extents: Vec<u64>,
}

/// The block last written under this number is committed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CommitBody {
    #[n(0)]
    pub local: u64,
    #[n(1)]
    pub index: u64,
}

/// The block is committed, and its bytes are not here.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct MissingBody {
    #[n(0)]
    pub local: u64,
    #[n(1)]
    pub length: u64,
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub sums: Vec<u8>,
    #[n(3)]
    pub index: u64,
}

/// These blocks are gone.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DeleteBody {
    #[n(0)]
    pub locals: Vec<u64>,
    /// Their commits may come (again) later and must then be refused.
    #[n(1)]
    pub leaves_tombstones: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum ContainerState {
    #[n(0)]
    Open,
    /// Through the pipeline's log.
    #[n(1)]
    Closed,
    /// By this replica alone.
    #[n(2)]
    QuasiClosed,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct StateBody {
    #[n(0)]
    pub state: ContainerState,
    #[n(1)]
    pub commit_index: u64,
    #[n(2)]
    pub is_damaged: bool,
}

/// Everything up to this point of the pipeline's log stands in the disk's container files.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ProgressBody {
    #[n(0)]
    pub pipeline: PipelineId,
    /// As the pipeline's row in the index.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub row: Vec<u8>,
    #[n(2)]
    pub index: u64,
}

/// Nothing lives in these stretches any more. Their records may have been punched out, so that only this tells of them.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct FreeBody {
    /// Begin and end of each.
    #[n(0)]
    pub spans: Vec<(u64, u64)>,
}

impl Body {
    fn kind(&self) -> u8 {
        match self {
            Self::File(_) => 0,
            Self::Extent(_) => 1,
            Self::Inline(_) => 2,
            Self::Written(_) => 3,
            Self::Commit(_) => 4,
            Self::Missing(_) => 5,
            Self::Delete(_) => 6,
            Self::State(_) => 7,
            Self::Progress(_) => 8,
            Self::Free(_) => 9,
        }
    }

    fn to_cbor(&self) -> Vec<u8> {
        match self {
            Self::File(body) => tables::encode(body),
            Self::Extent(body) => tables::encode(body),
            Self::Inline(body) => tables::encode(body),
            Self::Written(body) => tables::encode(body),
            Self::Commit(body) => tables::encode(body),
            Self::Missing(body) => tables::encode(body),
            Self::Delete(body) => tables::encode(body),
            Self::State(body) => tables::encode(body),
            Self::Progress(body) => tables::encode(body),
            Self::Free(body) => tables::encode(body),
        }
    }

    fn from_cbor(kind: u8, bytes: &[u8]) -> Result<Self, StorageFault> {
        let what = "a container file's record";
        Ok(match kind {
            0 => Self::File(tables::decode(bytes, what)?),
            1 => Self::Extent(tables::decode(bytes, what)?),
            2 => Self::Inline(tables::decode(bytes, what)?),
            3 => Self::Written(tables::decode(bytes, what)?),
            4 => Self::Commit(tables::decode(bytes, what)?),
            5 => Self::Missing(tables::decode(bytes, what)?),
            6 => Self::Delete(tables::decode(bytes, what)?),
            7 => Self::State(tables::decode(bytes, what)?),
            8 => Self::Progress(tables::decode(bytes, what)?),
            9 => Self::Free(tables::decode(bytes, what)?),
            other => return Err(StorageFault(format!("a container file's record of unknown kind {other}"))),
        })
    }
}

/// Where a record and its payload lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    pub at: u64,
    pub body: u32,
    pub payload_at: u32,
    pub payload: u32,
}

impl Layout {
    /// Where the next record may begin.
    pub fn end(&self) -> u64 {
        align_record(self.at + u64::from(self.payload_at) + u64::from(self.payload))
    }
}

pub fn align_record(offset: u64) -> u64 {
    offset.next_multiple_of(RECORD_ALIGN)
}

/// A record that is still to be given its place.
#[derive(Debug, Clone)]
pub struct Draft {
    kind: u8,
    body: Vec<u8>,
    payload_at: u32,
    payload: u32,
}

impl Draft {
    /// With its payload right behind the body.
    pub fn new(body: &Body, payload: u32) -> Self {
        let kind = body.kind();
        let body = body.to_cbor();
        let payload_at = align_record((HEADER_BYTES + body.len()) as u64) as u32;
        Self { kind, body, payload_at, payload }
    }

    /// For a payload that was written before the body was known, into room that was kept for the body.
    ///
    /// # Panics
    /// If the body does not fit the room: [`extent_payload_at`] is how much to keep.
    pub fn with_payload_at(body: &Body, payload_at: u32, payload: u32) -> Self {
        let kind = body.kind();
        let body = body.to_cbor();
        assert!(HEADER_BYTES + body.len() <= payload_at as usize, "a record's body runs into its payload");
        Self { kind, body, payload_at, payload }
    }

    pub fn layout(&self, at: u64) -> Layout {
        Layout { at, body: self.body.len() as u32, payload_at: self.payload_at, payload: self.payload }
    }

    /// Bytes from this record's begin to the next one's.
    pub fn span(&self) -> u64 {
        self.layout(0).end()
    }

    /// Appends header, body and padding up to the payload.
    pub fn encode(&self, salt: Salt, at: u64, into: &mut Vec<u8>) {
        assert!(at.is_multiple_of(RECORD_ALIGN), "records begin at multiples of their alignment");
        let start = into.len();
        into.extend_from_slice(&MAGIC);
        into.extend_from_slice(&[self.kind, 0, 0, 0]);
        into.extend_from_slice(&at.to_le_bytes());
        into.extend_from_slice(&(self.body.len() as u32).to_le_bytes());
        into.extend_from_slice(&self.payload_at.to_le_bytes());
        into.extend_from_slice(&self.payload.to_le_bytes());
        let sum = checksum(salt, &into[start..], &self.body);
        into.extend_from_slice(&sum.to_le_bytes());
        into.extend_from_slice(&self.body);
        into.resize(start + self.payload_at as usize, 0);
    }
}

/// Room that an extent of `chunks` chunks needs in front of its payload.
pub fn extent_payload_at(chunks: u32) -> u32 {
    // Two numbers of at most nine bytes each, and the lengths of the array and the byte string.
    const BODY_HEAD_MAX: u64 = 9 + 9 + 1 + 5;
    align_record(HEADER_BYTES as u64 + BODY_HEAD_MAX + u64::from(chunks) * 4) as u32
}

/// A header that looks like one; whether it is, its checksum over the body tells.
#[derive(Debug, Clone, Copy)]
pub struct Header {
    bytes: [u8; HEADER_BYTES],
    pub layout: Layout,
}

impl Header {
    /// The header at `at`, if the bytes there could be one.
    pub fn parse(bytes: &[u8; HEADER_BYTES], at: u64) -> Option<Self> {
        let u32_at = |i: usize| u32::from_le_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
        let own_at = u64::from(u32_at(8)) | (u64::from(u32_at(12)) << 32);
        let layout = Layout { at, body: u32_at(16), payload_at: u32_at(20), payload: u32_at(24) };
        let fits = layout.body <= BODY_MAX && u64::from(layout.payload_at) >= HEADER_BYTES as u64 + u64::from(layout.body);
        (bytes[..4] == MAGIC && bytes[5..8] == [0; 3] && own_at == at && fits).then_some(Self { bytes: *bytes, layout })
    }

    /// What the record says, if its checksum holds.
    pub fn body(&self, salt: Salt, body: &[u8]) -> Option<Body> {
        let stored = u32::from_le_bytes([self.bytes[28], self.bytes[29], self.bytes[30], self.bytes[31]]);
        if checksum(salt, &self.bytes[..28], body) != stored {
            return None;
        }
        Body::from_cbor(self.bytes[4], body).ok()
    }
}

fn checksum(salt: Salt, header: &[u8], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(&salt.0), header), body)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: Salt = Salt([7; 16]);

    fn every_body() -> Vec<Body> {
        vec![
            Body::File(FileBody {
                format: 1,
                cluster: ClusterId::from_u128(5),
                container: ContainerId(9),
                pipeline: PipelineId(2),
                salt: [3; 16],
            }),
            Body::Extent(ExtentBody { local: u64::MAX, offset: u64::MAX, sums: vec![1; 256] }),
            Body::Inline(InlineBody { local: 1, sums: vec![1, 2, 3, 4], index: 77 }),
            Body::Written(WrittenBody { local: 1, length: 5, extents: vec![4096, 8192] }),
            Body::Commit(CommitBody { local: 1, index: 2 }),
            Body::Missing(MissingBody { local: 1, length: 4, sums: vec![9; 4], index: 2 }),
            Body::Delete(DeleteBody { locals: vec![1, 2], leaves_tombstones: true }),
            Body::State(StateBody { state: ContainerState::QuasiClosed, commit_index: 5, is_damaged: true }),
            Body::Progress(ProgressBody { pipeline: PipelineId(2), row: vec![1], index: 3 }),
            Body::Free(FreeBody { spans: vec![(4096, 8192), (u64::MAX - 1, u64::MAX)] }),
        ]
    }

    fn read_back(bytes: &[u8], at: u64, salt: Salt) -> Option<Body> {
        let header = Header::parse(bytes.first_chunk()?, at)?;
        header.body(salt, bytes.get(HEADER_BYTES..HEADER_BYTES + header.layout.body as usize)?)
    }

    #[test]
    fn every_record_reads_back_at_its_own_place_under_its_own_salt_only() {
        for body in every_body() {
            let mut bytes = Vec::new();
            Draft::new(&body, 10).encode(SALT, 8192, &mut bytes);
            assert_eq!(read_back(&bytes, 8192, SALT), Some(body.clone()));
            assert_eq!(read_back(&bytes, 8192 + 64, SALT), None, "moved: {body:?}");
            assert_eq!(read_back(&bytes, 8192, Salt([8; 16])), None, "another file's: {body:?}");
        }
    }

    #[test]
    fn a_flipped_bit_in_header_or_body_makes_it_no_record() {
        for body in every_body() {
            let mut bytes = Vec::new();
            let draft = Draft::new(&body, 10);
            draft.encode(SALT, 4096, &mut bytes);
            for bit in 0..(HEADER_BYTES + draft.body.len()) * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(read_back(&flipped, 4096, SALT), None, "bit {bit} of {body:?}");
            }
        }
    }

    #[test]
    fn the_room_kept_for_an_extents_body_holds_the_largest() {
        for chunks in [1, 16, 64, 1000] {
            let body = Body::Extent(ExtentBody { local: u64::MAX, offset: u64::MAX, sums: vec![255; chunks as usize * 4] });
            Draft::with_payload_at(&body, extent_payload_at(chunks), 1);
        }
    }

    /// The first releases' bytes: a change here is a change of the format.
    #[test]
    fn a_commit_record_has_these_bytes() {
        let mut bytes = Vec::new();
        Draft::new(&Body::Commit(CommitBody { local: 3, index: 500 }), 0).encode(Salt::NONE, 4096, &mut bytes);
        let expected = [
            b"TXR1\x04\0\0\0".as_slice(),
            &4096u64.to_le_bytes(),
            &5u32.to_le_bytes(),
            &64u32.to_le_bytes(),
            &0u32.to_le_bytes(),
        ]
        .concat();
        assert_eq!(bytes[..28], expected);
        assert_eq!(bytes[32..37], [0x82, 0x03, 0x19, 0x01, 0xf4]);
        assert_eq!(bytes.len(), 64);
    }
}
