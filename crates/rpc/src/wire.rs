//! Frames: what one end of a connection writes and the other reads.
//!
//! ```text
//! frame    = length u32 | kind u8 | rest            length counts everything behind itself; numbers are big-endian
//! 1 hello   = CBOR of Hello                         the first frame each way, and only the first
//! 2 request = call u64 | service u8 | method u8 | request id u128 | remaining milliseconds u32 | body
//! 3 reply   = call u64 | status u8 | body           status: 0 done, 1 rejected, 2 not applied, 3 unknown
//! 4 ping    = nonce u64
//! 5 pong    = nonce u64                             answers the ping of that nonce
//! 6 goodbye =                                       a service's last frame: what it has not answered it has not begun
//! ```
//! Anything else ends the connection. A length above the cap is refused before a byte of it is awaited, so no peer makes
//! us hold more than it has sent.

use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use minicbor::{Decode, Encode};
use types::{Endpoint, RequestId};

use crate::{CallFault, MethodId, NotApplied, Reply};

/// No frame is longer, whatever the configuration says: 64 MiB holds a Raft append of many entries, and bulk bytes do not
/// travel here.
pub(crate) const HARD_CAP: usize = 64 * 1024 * 1024;

/// What both ends must agree on, told apart by number. The numbers are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
pub enum ProtocolVersion {
    /// V1: the first. Frames of the kinds 1 to 6.
    V1 = 1,
}

impl ProtocolVersion {
    const LOWEST: Self = Self::V1;
    const HIGHEST: Self = Self::V1;

    fn from_number(number: u16) -> Option<Self> {
        [Self::V1].into_iter().find(|version| *version as u16 == number)
    }
}

/// What one end can do.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Hello {
    #[n(0)]
    lowest: u16,
    #[n(1)]
    highest: u16,
    /// The longest frame that this end reads.
    #[n(2)]
    max_frame: u32,
}

impl Hello {
    pub(crate) fn ours(max_frame: usize) -> Self {
        let max_frame = u32::try_from(max_frame.min(HARD_CAP)).unwrap_or(u32::MAX);
        Self { lowest: ProtocolVersion::LOWEST as u16, highest: ProtocolVersion::HIGHEST as u16, max_frame }
    }

    /// The highest version that both ends speak.
    pub(crate) fn common_version(&self, theirs: &Self) -> Option<ProtocolVersion> {
        let highest = self.highest.min(theirs.highest);
        let lowest = self.lowest.max(theirs.lowest);
        ProtocolVersion::from_number(highest).filter(|_| highest >= lowest)
    }

    /// The longest frame that this end may be sent.
    pub(crate) fn max_frame(&self) -> usize {
        (self.max_frame as usize).min(HARD_CAP)
    }
}

/// How the other end answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Done = 0,
    Rejected = 1,
    NotApplied = 2,
    Unknown = 3,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    Hello(Hello),
    Request(Request),
    Reply { call: u64, outcome: Result<Reply, CallFault> },
    Ping(u64),
    Pong(u64),
    Goodbye,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) call: u64,
    pub(crate) method: MethodId,
    pub(crate) request_id: RequestId,
    /// Counted from the moment of writing on one end, of reading on the other: no clock is compared with another's.
    pub(crate) deadline: Instant,
    pub(crate) body: Bytes,
}

/// Why a connection cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a frame of {length} bytes, above the cap of {cap}")]
    TooLong { length: usize, cap: usize },
    #[error("a frame that ends before its fields do")]
    Truncated,
    #[error("a frame of unknown kind {0}")]
    UnknownKind(u8),
    #[error("a reply of unknown status {0}")]
    UnknownStatus(u8),
    #[error("a hello that does not decode")]
    BadHello,
}

mod kind {
    pub(super) const HELLO: u8 = 1;
    pub(super) const REQUEST: u8 = 2;
    pub(super) const REPLY: u8 = 3;
    pub(super) const PING: u8 = 4;
    pub(super) const PONG: u8 = 5;
    pub(super) const GOODBYE: u8 = 6;
}

const LENGTH_BYTES: usize = 4;
const REQUEST_HEAD: usize = 1 + 8 + 1 + 1 + 16 + 4;
const REPLY_HEAD: usize = 1 + 8 + 1;

/// The length of a request's frame around a body of this length.
pub(crate) fn request_length(body: usize) -> usize {
    LENGTH_BYTES + REQUEST_HEAD + body
}

/// The length of a reply's frame around a body of this length.
pub(crate) fn reply_length(body: usize) -> usize {
    LENGTH_BYTES + REPLY_HEAD + body
}

impl Frame {
    /// Appends all of the frame but its body to `heads`, and gives the body, which goes behind it uncopied.
    pub(crate) fn put(self, now: Instant, heads: &mut BytesMut) -> Bytes {
        let start = heads.len();
        heads.put_u32(0);
        let body = match self {
            Self::Hello(hello) => {
                heads.put_u8(kind::HELLO);
                heads.put_slice(&encode(&hello));
                Bytes::new()
            }
            Self::Request(request) => {
                heads.put_u8(kind::REQUEST);
                heads.put_u64(request.call);
                heads.put_u8(request.method.service);
                heads.put_u8(request.method.method);
                heads.put_u128(request.request_id.to_u128());
                let remaining = request.deadline.saturating_duration_since(now).as_millis();
                heads.put_u32(u32::try_from(remaining).unwrap_or(u32::MAX));
                request.body
            }
            Self::Reply { call, outcome } => {
                let (status, body) = outcome_to_wire(outcome);
                heads.put_u8(kind::REPLY);
                heads.put_u64(call);
                heads.put_u8(status as u8);
                body
            }
            Self::Ping(nonce) => {
                heads.put_u8(kind::PING);
                heads.put_u64(nonce);
                Bytes::new()
            }
            Self::Pong(nonce) => {
                heads.put_u8(kind::PONG);
                heads.put_u64(nonce);
                Bytes::new()
            }
            Self::Goodbye => {
                heads.put_u8(kind::GOODBYE);
                Bytes::new()
            }
        };
        let length = heads.len() - start - LENGTH_BYTES + body.len();
        // Whoever queues a frame has checked it against the cap, which fits.
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        if let Some(place) = heads.get_mut(start..start + LENGTH_BYTES) {
            place.copy_from_slice(&length.to_be_bytes());
        }
        body
    }

    /// Takes one whole frame off the front of `bytes`, if it is there.
    pub(crate) fn take(bytes: &mut BytesMut, cap: usize, now: Instant) -> Result<Option<Self>, FrameError> {
        let Some(length) = announced_length(bytes, cap)? else {
            return Ok(None);
        };
        if bytes.len() < LENGTH_BYTES + length {
            return Ok(None);
        }
        bytes.advance(LENGTH_BYTES);
        Self::parse(bytes.split_to(length).freeze(), now).map(Some)
    }

    /// How many bytes are still missing from the frame at the front of `bytes`.
    pub(crate) fn missing(bytes: &BytesMut, cap: usize) -> Result<usize, FrameError> {
        let whole = announced_length(bytes, cap)?.map_or(LENGTH_BYTES, |length| LENGTH_BYTES + length);
        Ok(whole.saturating_sub(bytes.len()))
    }

    fn parse(mut rest: Bytes, now: Instant) -> Result<Self, FrameError> {
        let short = |_| FrameError::Truncated;
        match rest.try_get_u8().map_err(short)? {
            kind::HELLO => minicbor::decode(&rest).map(Self::Hello).map_err(|_| FrameError::BadHello),
            kind::REQUEST => {
                let call = rest.try_get_u64().map_err(short)?;
                let service = rest.try_get_u8().map_err(short)?;
                let method = rest.try_get_u8().map_err(short)?;
                let request_id = RequestId::from_u128(rest.try_get_u128().map_err(short)?);
                let remaining = Duration::from_millis(u64::from(rest.try_get_u32().map_err(short)?));
                let deadline = now + remaining;
                let method = MethodId { service, method };
                Ok(Self::Request(Request { call, method, request_id, deadline, body: rest }))
            }
            kind::REPLY => {
                let call = rest.try_get_u64().map_err(short)?;
                let status = rest.try_get_u8().map_err(short)?;
                Ok(Self::Reply { call, outcome: outcome_from_wire(status, rest)? })
            }
            kind::PING => rest.try_get_u64().map(Self::Ping).map_err(short),
            kind::PONG => rest.try_get_u64().map(Self::Pong).map_err(short),
            kind::GOODBYE => Ok(Self::Goodbye),
            other => Err(FrameError::UnknownKind(other)),
        }
    }
}

/// The length at the front, once it is all there; refused if it is above the cap.
fn announced_length(bytes: &BytesMut, cap: usize) -> Result<Option<usize>, FrameError> {
    let Some(length) = bytes.first_chunk::<LENGTH_BYTES>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length) as usize;
    let cap = cap.min(HARD_CAP);
    if LENGTH_BYTES + length > cap { Err(FrameError::TooLong { length, cap }) } else { Ok(Some(length)) }
}

/// [`NotApplied`] as it travels: variants are only ever added.
#[derive(Debug, Encode, Decode)]
enum WireNotApplied {
    #[n(0)]
    NotLeader(#[n(0)] Option<Endpoint>),
    #[n(1)]
    Busy,
    #[n(2)]
    Unreachable(#[n(0)] String),
    #[n(3)]
    TooLate,
    #[n(4)]
    Refused(#[n(0)] String),
    #[n(5)]
    Unavailable(#[n(0)] String),
}

fn outcome_to_wire(outcome: Result<Reply, CallFault>) -> (Status, Bytes) {
    match outcome {
        Ok(Reply::Done(body)) => (Status::Done, body),
        Ok(Reply::Rejected(body)) => (Status::Rejected, body),
        Err(CallFault::NotApplied(why)) => {
            let why = match why {
                NotApplied::NotLeader(leader) => WireNotApplied::NotLeader(leader),
                NotApplied::Busy => WireNotApplied::Busy,
                NotApplied::Unreachable(why) => WireNotApplied::Unreachable(why),
                NotApplied::TooLate => WireNotApplied::TooLate,
                NotApplied::Refused(why) => WireNotApplied::Refused(why),
                NotApplied::Unavailable(why) => WireNotApplied::Unavailable(why),
            };
            (Status::NotApplied, encode(&why).into())
        }
        Err(CallFault::Unknown(why)) => (Status::Unknown, why.into()),
    }
}

fn outcome_from_wire(status: u8, body: Bytes) -> Result<Result<Reply, CallFault>, FrameError> {
    Ok(match status {
        0 => Ok(Reply::Done(body)),
        1 => Ok(Reply::Rejected(body)),
        2 => Err(CallFault::NotApplied(match minicbor::decode(&body) {
            Ok(WireNotApplied::NotLeader(leader)) => NotApplied::NotLeader(leader),
            Ok(WireNotApplied::Busy) => NotApplied::Busy,
            Ok(WireNotApplied::Unreachable(why)) => NotApplied::Unreachable(why),
            Ok(WireNotApplied::TooLate) => NotApplied::TooLate,
            Ok(WireNotApplied::Refused(why)) => NotApplied::Refused(why),
            Ok(WireNotApplied::Unavailable(why)) => NotApplied::Unavailable(why),
            // The status alone says that nothing happened; a reason from the future does not change that.
            Err(_) => NotApplied::Unavailable("for a reason that this version does not know".to_owned()),
        })),
        3 => Err(CallFault::Unknown(String::from_utf8_lossy(&body).into_owned())),
        other => return Err(FrameError::UnknownStatus(other)),
    })
}

fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    #[expect(clippy::expect_used, reason = "a Vec takes every byte")]
    minicbor::encode(value, &mut bytes).expect("a Vec takes every byte");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(frame: Frame, now: Instant) -> BytesMut {
        let mut bytes = BytesMut::new();
        let body = frame.put(now, &mut bytes);
        bytes.put_slice(&body);
        bytes
    }

    fn read(bytes: &[u8], now: Instant) -> Result<Option<Frame>, FrameError> {
        Frame::take(&mut BytesMut::from(bytes), HARD_CAP, now)
    }

    /// Changing one of these needs a new [`ProtocolVersion`].
    #[test]
    fn version_one_is_held_by_these_bytes() {
        let now = Instant::now();
        let request = Frame::Request(Request {
            call: 7,
            method: MethodId { service: 2, method: 9 },
            request_id: RequestId::from_u128(0x0102),
            deadline: now + Duration::from_millis(1500),
            body: Bytes::from_static(b"body"),
        });
        let not_leader = NotApplied::NotLeader(Some(Endpoint("om2:9862".to_owned())));
        let reply = |outcome| Frame::Reply { call: 7, outcome };
        let cases = [
            (Frame::Hello(Hello::ours(1024)), "00000007 01 83 01 01 190400"),
            (request, "00000023 02 0000000000000007 02 09 00000000000000000000000000000102 000005dc 626f6479"),
            (reply(Ok(Reply::Done(Bytes::from_static(b"ok")))), "0000000c 03 0000000000000007 00 6f6b"),
            (reply(Ok(Reply::Rejected(Bytes::from_static(b"no")))), "0000000c 03 0000000000000007 01 6e6f"),
            (reply(Err(CallFault::NotApplied(not_leader))), "00000016 03 0000000000000007 02 82 00 81 68 6f6d323a39383632"),
            (reply(Err(CallFault::NotApplied(NotApplied::Busy))), "0000000d 03 0000000000000007 02 82 01 80"),
            (reply(Err(CallFault::NotApplied(NotApplied::TooLate))), "0000000d 03 0000000000000007 02 82 03 80"),
            (
                reply(Err(CallFault::NotApplied(NotApplied::Refused("r".to_owned())))),
                "0000000f 03 0000000000000007 02 82 04 81 61 72",
            ),
            (reply(Err(CallFault::Unknown("?".to_owned()))), "0000000b 03 0000000000000007 03 3f"),
            (Frame::Ping(1), "00000009 04 0000000000000001"),
            (Frame::Pong(1), "00000009 05 0000000000000001"),
            (Frame::Goodbye, "00000001 06"),
        ];
        for (frame, golden) in cases {
            let bytes = written(frame.clone(), now);
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, golden.replace(' ', ""), "{frame:?}");
            assert_eq!(read(&bytes, now), Ok(Some(frame)));
        }
    }

    #[test]
    fn a_frame_above_the_cap_is_refused_from_its_length_alone() {
        let mut bytes = BytesMut::from(&[0xff; 4][..]);
        let expected = FrameError::TooLong { length: u32::MAX as usize, cap: HARD_CAP };
        assert_eq!(Frame::missing(&bytes, usize::MAX), Err(expected.clone()));
        assert_eq!(Frame::take(&mut bytes, usize::MAX, Instant::now()), Err(expected));
    }

    #[test]
    fn the_common_version_is_one_that_both_speak() {
        let ours = Hello::ours(HARD_CAP);
        let theirs = |lowest, highest| Hello { lowest, highest, max_frame: 100 };
        assert_eq!(ours.common_version(&theirs(1, 1)), Some(ProtocolVersion::V1));
        assert_eq!(ours.common_version(&theirs(1, 9)), Some(ProtocolVersion::V1));
        assert_eq!(ours.common_version(&theirs(2, 9)), None);
        assert_eq!(ours.common_version(&theirs(0, 0)), None);
        assert_eq!(ours.common_version(&theirs(9, 1)), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic_or_take_more_than_is_there(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
            plausible in any::<bool>(),
        ) {
            if plausible && bytes.len() > 5 {
                let length = u32::try_from(bytes.len() - 4).expect("short");
                bytes[..4].copy_from_slice(&length.to_be_bytes());
                bytes[4] %= 8;
            }
            let mut left = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = Frame::take(&mut left, HARD_CAP, Instant::now()) {
                prop_assert!(left.len() < bytes.len());
            }
        }

        #[test]
        fn frames_read_back_however_the_bytes_arrive(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..8),
            cuts in proptest::collection::vec(1usize..64, 1..64),
        ) {
            let now = Instant::now();
            let sent: Vec<Frame> = bodies
                .into_iter()
                .zip(0..)
                .map(|(body, call)| Frame::Reply { call, outcome: Ok(Reply::Done(body.into())) })
                .collect();
            let stream: Vec<u8> = sent.iter().flat_map(|frame| written(frame.clone(), now)).collect();
            let (mut rest, mut buffer, mut got) = (&stream[..], BytesMut::new(), Vec::new());
            for cut in cuts.iter().cycle() {
                let (head, tail) = rest.split_at((*cut).min(rest.len()));
                buffer.extend_from_slice(head);
                rest = tail;
                while let Some(frame) = Frame::take(&mut buffer, HARD_CAP, now).expect("well formed") {
                    got.push(frame);
                }
                if rest.is_empty() { break; }
            }
            prop_assert_eq!(got, sent);
        }
    }
}
