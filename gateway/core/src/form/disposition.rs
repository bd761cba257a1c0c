//! `Content-Type: multipart/form-data; boundary=…` and `Content-Disposition: form-data; name="…"; filename="…"`.

use super::malformed;
use crate::error::S3Error;

/// What a part says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PartHead {
    pub(super) name: String,
    pub(super) filename: Option<String>,
}

/// From the lines in front of a part's bytes.
pub(super) fn parse_part_head(lines: &[u8]) -> Result<PartHead, S3Error> {
    let text = std::str::from_utf8(lines).map_err(|_| malformed("The head of a part is not UTF-8."))?;
    let mut disposition = None;
    for line in text.split("\r\n").filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or_else(|| malformed("A line in the head of a part has no colon."))?;
        if name.eq_ignore_ascii_case("content-disposition") && disposition.replace(value).is_some() {
            return Err(malformed("A part has several dispositions."));
        }
        let is_coded = !["7bit", "8bit", "binary"].iter().any(|plain| value.trim().eq_ignore_ascii_case(plain));
        if name.eq_ignore_ascii_case("content-transfer-encoding") && is_coded {
            return Err(S3Error::not_implemented("A part that is not sent as it is"));
        }
    }
    let disposition = disposition.ok_or_else(|| malformed("A part has no disposition."))?;
    let (kind, parameters) = parse_parameters(disposition)?;
    if !kind.eq_ignore_ascii_case("form-data") {
        return Err(malformed("A part is not form-data."));
    }
    let mut head = PartHead { name: String::new(), filename: None };
    let mut named = false;
    for (name, value) in parameters {
        let is_first = match name.as_str() {
            "name" => {
                head.name = value;
                !std::mem::replace(&mut named, true)
            }
            "filename" => head.filename.replace(value).is_none(),
            _ => true,
        };
        if !is_first {
            return Err(malformed("A part is named twice."));
        }
    }
    if named { Ok(head) } else { Err(malformed("A part has no name.")) }
}

/// By their lower-case names.
pub(super) type Parameters = Vec<(String, String)>;

/// The word in front, and the parameters behind it.
pub(super) fn parse_parameters(text: &str) -> Result<(&str, Parameters), S3Error> {
    let (word, mut rest) = text.split_once(';').unwrap_or((text, ""));
    let mut parameters = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ';']);
        if rest.is_empty() {
            return Ok((word.trim(), parameters));
        }
        let (name, after) = rest.split_once('=').ok_or_else(|| malformed("A parameter has no value."))?;
        let (value, after) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let (value, after) = after.split_at(after.find(';').unwrap_or(after.len()));
                (value.trim().to_owned(), after)
            }
        };
        parameters.push((name.trim().to_ascii_lowercase(), value));
        rest = after.trim_start();
        if !rest.is_empty() && !rest.starts_with(';') {
            return Err(malformed("A parameter goes on behind its quotes."));
        }
    }
}

/// The text up to the closing quote, and what follows it. Only quotes are written with a backslash: in the path of a Windows file
/// it is a backslash.
fn unquote(text: &str) -> Result<(String, &str), S3Error> {
    let mut value = String::new();
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, text.get(at + 1..).unwrap_or_default())),
            '\\' if characters.peek().is_some_and(|(_, next)| *next == '"') && has_quote(text, at + 2) => {
                value.push('"');
                characters.next();
            }
            other => value.push(other),
        }
    }
    Err(malformed("A quoted text has no end."))
}

/// Whether another quote follows: else the one behind the backslash is the end, as in `"C:\"`.
fn has_quote(text: &str, from: usize) -> bool {
    text.get(from..).is_some_and(|rest| rest.contains('"'))
}
