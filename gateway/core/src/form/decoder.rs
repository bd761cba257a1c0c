//! The framing of `multipart/form-data`, as the bytes come.
//!
//! What stands in front of the file is held, up to a bound. Of the file nothing is held but what may be the beginning of its end.

use bytes::{Buf, Bytes, BytesMut};

use super::disposition::{PartHead, parse_parameters, parse_part_head};
use super::{Form, LengthRange, malformed};
use crate::error::{S3Error, S3ErrorCode};
use crate::request::RequestHead;

/// All in front of the file's bytes, with its framing. S3 takes 20 KB of fields; the framing of many fields is as much again.
const MAX_IN_FRONT: usize = 64 << 10;
/// Spaces that may follow a boundary.
const MAX_PADDING: usize = 64;
const FILE: &str = "file";

/// Takes the connection's bytes by [`Self::push`] until [`Self::form`] has the fields and the file.
#[derive(Debug)]
pub struct FormDecoder {
    boundary: Boundary,
    buffer: BytesMut,
    /// Up to here the buffer was looked through for what is sought next.
    searched: usize,
    taken: usize,
    state: State,
    form: Form,
}

#[derive(Debug)]
enum State {
    /// In front of the first boundary.
    Preamble,
    /// Behind a boundary, before the part's head.
    Boundary,
    Head,
    Field(PartHead),
}

impl FormDecoder {
    /// Of a request whose body is a form.
    pub fn new(head: &RequestHead) -> Result<Self, S3Error> {
        let content_type = head.header("content-type")?.unwrap_or_default();
        let boundary = Boundary::of(&content_type)?;
        // The line break in front of the first boundary may be missing: it is where the body begins.
        let buffer = BytesMut::from(&b"\r\n"[..]);
        Ok(Self { boundary, buffer, searched: 0, taken: 0, state: State::Preamble, form: Form::default() })
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.taken = self.taken.saturating_add(bytes.len());
        self.buffer.extend_from_slice(bytes);
    }

    /// The fields, and what follows them of the file; gives the decoder back when more must be pushed.
    pub fn form(mut self) -> Result<Result<(Form, FormFile), Self>, S3Error> {
        loop {
            let progress = self.step()?;
            // What was pushed at once may hold much of the file; only what is in front of it counts.
            let in_front = match progress {
                Progress::Wanting => self.taken,
                Progress::Next | Progress::File(_) => self.taken.saturating_sub(self.buffer.len()),
            };
            if in_front > MAX_IN_FRONT {
                let error = S3Error::new(S3ErrorCode::MaxPostPreDataLengthExceededError);
                return Err(error.field("MaxSizeAllowed", MAX_IN_FRONT.to_string()));
            }
            match progress {
                Progress::Next => {}
                Progress::File(filename) => {
                    self.form.set_filename(filename.unwrap_or_default());
                    let file = FormFile::new(self.boundary, self.buffer.freeze());
                    return Ok(Ok((self.form, file)));
                }
                Progress::Wanting => return Ok(Err(self)),
            }
        }
    }

    fn step(&mut self) -> Result<Progress, S3Error> {
        match std::mem::replace(&mut self.state, State::Preamble) {
            State::Preamble => Ok(match self.take_until_boundary() {
                Some(_) => self.enter(State::Boundary),
                None => Progress::Wanting,
            }),
            State::Boundary => match boundary_end(&self.buffer)? {
                BoundaryEnd::Wanting => Ok(self.wait(State::Boundary)),
                BoundaryEnd::Part(length) => {
                    self.buffer.advance(length);
                    Ok(self.enter(State::Head))
                }
                BoundaryEnd::Close => Err(no_file()),
            },
            State::Head => match self.take_head() {
                None => Ok(self.wait(State::Head)),
                Some(lines) => {
                    let head = parse_part_head(&lines)?;
                    if head.name.eq_ignore_ascii_case(FILE) {
                        return Ok(Progress::File(head.filename));
                    }
                    Ok(self.enter(State::Field(head)))
                }
            },
            State::Field(head) => match self.take_until_boundary() {
                None => Ok(self.wait(State::Field(head))),
                Some(value) => {
                    let value = String::from_utf8(value.to_vec()).map_err(|_| malformed("A field is not UTF-8."))?;
                    self.form.add(&head.name, value)?;
                    Ok(self.enter(State::Boundary))
                }
            },
        }
    }

    fn enter(&mut self, state: State) -> Progress {
        self.state = state;
        self.searched = 0;
        Progress::Next
    }

    fn wait(&mut self, state: State) -> Progress {
        self.state = state;
        Progress::Wanting
    }

    /// The bytes in front of the next boundary, which are taken off together with it.
    fn take_until_boundary(&mut self) -> Option<BytesMut> {
        let found = self.boundary.find(self.buffer.get(self.searched..)?);
        match found {
            Some(at) => {
                let value = self.buffer.split_to(self.searched + at);
                self.buffer.advance(self.boundary.length());
                Some(value)
            }
            None => {
                self.searched = self.buffer.len().saturating_sub(self.boundary.length() - 1);
                None
            }
        }
    }

    /// The lines of a part's head, without the empty one that ends them.
    fn take_head(&mut self) -> Option<BytesMut> {
        const END: &[u8] = b"\r\n\r\n";
        if self.buffer.starts_with(b"\r\n") {
            self.buffer.advance(2);
            return Some(BytesMut::new());
        }
        match find(self.buffer.get(self.searched..)?, END) {
            Some(at) => {
                let lines = self.buffer.split_to(self.searched + at);
                self.buffer.advance(END.len());
                Some(lines)
            }
            None => {
                self.searched = self.buffer.len().saturating_sub(END.len() - 1);
                None
            }
        }
    }
}

enum Progress {
    Next,
    Wanting,
    /// Of this name, if it has one.
    File(Option<String>),
}

/// The file of a form: its own bytes, up to its end.
#[derive(Debug)]
pub struct FormFile {
    boundary: Boundary,
    /// The end of what was pushed before, which may be the beginning of the boundary.
    held: Bytes,
    waiting: Bytes,
    ended: bool,
    length: u64,
    allowed: LengthRange,
}

impl FormFile {
    fn new(boundary: Boundary, waiting: Bytes) -> Self {
        Self { boundary, held: Bytes::new(), waiting, ended: false, length: 0, allowed: LengthRange::ANY }
    }

    /// Refuses a file of another length.
    pub fn allow(&mut self, allowed: LengthRange) {
        self.allowed = allowed;
    }

    /// The next bytes from the connection. Everything pushed before must have been pulled.
    pub fn push(&mut self, bytes: Bytes) {
        debug_assert!(self.waiting.is_empty(), "pull until nothing is left before pushing more");
        self.waiting = bytes;
    }

    pub fn is_at_end(&self) -> bool {
        self.ended
    }

    /// The file's next bytes among those pushed; `None` when more must be pushed, or at the end.
    pub fn pull(&mut self) -> Result<Option<Bytes>, S3Error> {
        loop {
            if self.ended || (self.held.is_empty() && self.waiting.is_empty()) {
                return Ok(None);
            }
            let data = if self.held.is_empty() { self.take_waiting() } else { self.take_held() };
            let wants_more = self.waiting.is_empty() && !self.ended;
            self.length += data.len() as u64;
            self.allowed.check_so_far(self.length)?;
            if self.ended {
                self.allowed.check(self.length)?;
            }
            match (data.is_empty(), wants_more) {
                (false, _) => return Ok(Some(data)),
                (true, true) => return Ok(None),
                (true, false) => {}
            }
        }
    }

    /// The connection has ended.
    pub fn finish(&self) -> Result<(), S3Error> {
        if self.ended { Ok(()) } else { Err(malformed("The body ends before the form.")) }
    }

    fn take_waiting(&mut self) -> Bytes {
        match self.boundary.find(&self.waiting) {
            Some(at) => {
                self.ended = true;
                self.waiting.split_to(at)
            }
            None => {
                let data = self.waiting.split_to(self.boundary.begins_in(&self.waiting));
                self.held = std::mem::take(&mut self.waiting);
                data
            }
        }
    }

    /// Looks where what is held and what has come since meet.
    fn take_held(&mut self) -> Bytes {
        let reach = (self.boundary.length() - 1).min(self.waiting.len());
        let seam = [&self.held, self.waiting.get(..reach).unwrap_or_default()].concat();
        if let Some(at) = self.boundary.find(&seam) {
            // It begins in what is held, since less of the rest than a whole one was looked at.
            self.ended = true;
            return self.held.split_to(at);
        }
        let begins = self.boundary.begins_in(&seam);
        if begins >= self.held.len() {
            return std::mem::take(&mut self.held);
        }
        // It may still come; then all that has come since is short, and held as well.
        let data = self.held.split_to(begins);
        self.waiting.advance(reach);
        self.held = Bytes::from(seam).slice(begins..);
        data
    }
}

/// The line that stands between parts.
#[derive(Debug, Clone)]
struct Boundary(Vec<u8>);

impl Boundary {
    fn of(content_type: &str) -> Result<Self, S3Error> {
        let not_a_form = || {
            S3Error::new(S3ErrorCode::PreconditionFailed)
                .field("Condition", "Bucket POST must be of the enclosure-type multipart/form-data")
        };
        let media = content_type.split(';').next().unwrap_or_default();
        if !media.trim().eq_ignore_ascii_case("multipart/form-data") {
            return Err(not_a_form());
        }
        let (_, parameters) = parse_parameters(content_type)?;
        let boundary = parameters.into_iter().find(|(name, _)| name == "boundary").map(|(_, value)| value);
        let boundary = boundary.ok_or_else(|| malformed("The boundary is missing."))?;
        let is_one = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
        if !(1..=70).contains(&boundary.len()) || !boundary.bytes().all(is_one) || boundary.ends_with(' ') {
            return Err(malformed("The boundary is not a valid one."));
        }
        Ok(Self([b"\r\n--", boundary.as_bytes()].concat()))
    }

    fn length(&self) -> usize {
        self.0.len()
    }

    fn find(&self, bytes: &[u8]) -> Option<usize> {
        find(bytes, &self.0)
    }

    /// Where a boundary may begin that goes on in bytes to come; the end if nowhere.
    fn begins_in(&self, bytes: &[u8]) -> usize {
        let from = bytes.len().saturating_sub(self.length() - 1);
        (from..bytes.len()).find(|at| bytes.get(*at..).is_some_and(|tail| self.0.starts_with(tail))).unwrap_or(bytes.len())
    }
}

enum BoundaryEnd {
    Wanting,
    /// So many bytes up to the part's head.
    Part(usize),
    Close,
}

fn boundary_end(bytes: &[u8]) -> Result<BoundaryEnd, S3Error> {
    if bytes.starts_with(b"--") {
        return Ok(BoundaryEnd::Close);
    }
    let padding = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let behind = bytes.get(padding..).unwrap_or_default();
    if padding > MAX_PADDING {
        return Err(malformed("A boundary is followed by too much space."));
    }
    match behind {
        [b'\r', b'\n', ..] => Ok(BoundaryEnd::Part(padding + 2)),
        [] | [b'\r'] => Ok(BoundaryEnd::Wanting),
        [b'-'] if padding == 0 => Ok(BoundaryEnd::Wanting),
        _ => Err(malformed("A boundary is followed by something else.")),
    }
}

fn no_file() -> S3Error {
    S3ErrorCode::IncorrectNumberOfFilesInPostRequest.into()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = wanted.first()?;
    let mut from = 0;
    while let Some(rest) = bytes.get(from..) {
        let at = from + rest.iter().position(|byte| byte == first)?;
        if bytes.get(at..)?.starts_with(wanted) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}
