//! Reading XML that a stranger sent: bounded depth, bounded elements, no document type, no entities of their own.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::error::{S3Error, S3ErrorCode};

/// Deeper than any S3 body; the bodies we read here have three levels.
const MAX_DEPTH: usize = 16;
/// `xmlns`, `xmlns:xsi` and `xsi:type` are what occurs.
const MAX_ATTRIBUTES: usize = 8;

/// Not an XML document of the shape asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed XML")]
pub struct MalformedXml;

impl From<MalformedXml> for S3Error {
    fn from(_: MalformedXml) -> Self {
        S3ErrorCode::MalformedXML.into()
    }
}

/// Walks a document from the root down: [`Self::child`] enters the next child of the element one is in, [`Self::text`]
/// takes the text of a leaf and leaves it. Names are compared without their prefix.
pub struct XmlReader<'a> {
    reader: Reader<&'a [u8]>,
    depth: usize,
    elements_left: usize,
}

impl std::fmt::Debug for XmlReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "XmlReader at depth {}", self.depth)
    }
}

impl<'a> XmlReader<'a> {
    /// Enters the root, which must have this name. `max_elements` bounds the work whatever the size.
    pub fn enter(bytes: &'a [u8], root: &str, max_elements: usize) -> Result<Self, MalformedXml> {
        let text = std::str::from_utf8(bytes).map_err(|_| MalformedXml)?;
        // The parser would skip the mark silently; S3's clients send none, and other encodings announce themselves by theirs. NUL is
        // in no document, not even by a reference: it would come in and not go out.
        if text.starts_with('\u{feff}') || text.contains('\0') {
            return Err(MalformedXml);
        }
        let mut reader = Reader::from_str(text);
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.check_end_names = true;
        let mut this = Self { reader, depth: 0, elements_left: max_elements };
        match this.child()? {
            Some(name) if name == root => Ok(this),
            _ => Err(MalformedXml),
        }
    }

    /// The name of the next child, entered; `None` when the element one is in has ended, which leaves it.
    pub fn child(&mut self) -> Result<Option<String>, MalformedXml> {
        loop {
            match self.event()? {
                Event::Start(start) => {
                    let name = name_of(&start)?;
                    self.depth += 1;
                    self.elements_left = self.elements_left.checked_sub(1).ok_or(MalformedXml)?;
                    return if self.depth > MAX_DEPTH { Err(MalformedXml) } else { Ok(Some(name)) };
                }
                Event::End(_) => {
                    self.depth = self.depth.checked_sub(1).ok_or(MalformedXml)?;
                    return Ok(None);
                }
                Event::Text(text) if !is_space(&text) => return Err(MalformedXml),
                Event::Text(_) | Event::Comment(_) => {}
                // Only in front of the root.
                Event::Decl(decl) if self.depth == 0 => {
                    if let Some(encoding) = decl.encoding()
                        && !encoding.map_err(|_| MalformedXml)?.eq_ignore_ascii_case("utf-8")
                    {
                        return Err(MalformedXml);
                    }
                }
                Event::Decl(_) | Event::CData(_) | Event::PI(_) | Event::DocType(_) | Event::GeneralRef(_) => {
                    return Err(MalformedXml);
                }
                Event::Empty(_) | Event::Eof => return Err(MalformedXml),
            }
        }
    }

    /// The text of the element one is in, which is left; a child in it is an error.
    pub fn text(&mut self) -> Result<String, MalformedXml> {
        let mut out = String::new();
        loop {
            match self.event()? {
                Event::Text(text) => out.push_str(&text.xml10_content()),
                Event::CData(data) => out.push_str(&data.xml10_content()),
                Event::GeneralRef(reference) => {
                    let character = match reference.resolve_char_ref().map_err(|_| MalformedXml)? {
                        Some(character) => character,
                        None => predefined(&reference)?,
                    };
                    out.push(character);
                }
                Event::End(_) => {
                    self.depth = self.depth.checked_sub(1).ok_or(MalformedXml)?;
                    return Ok(out);
                }
                Event::Comment(_) => {}
                _ => return Err(MalformedXml),
            }
        }
    }

    /// After the root has been left: nothing but space and comments may follow.
    pub fn finish(mut self) -> Result<(), MalformedXml> {
        loop {
            match self.event()? {
                Event::Eof => return if self.depth == 0 { Ok(()) } else { Err(MalformedXml) },
                Event::Comment(_) => {}
                Event::Text(text) if is_space(&text) => {}
                _ => return Err(MalformedXml),
            }
        }
    }

    fn event(&mut self) -> Result<Event<'a>, MalformedXml> {
        self.reader.read_event().map_err(|_| MalformedXml)
    }
}

fn is_space(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_whitespace())
}

fn name_of(start: &BytesStart<'_>) -> Result<String, MalformedXml> {
    // Looking at each attribute finds broken ones; they say nothing that S3 listens to. The check for repeated names is
    // quadratic, so the cap comes first.
    for (index, attribute) in start.attributes().enumerate() {
        attribute.map_err(|_| MalformedXml)?;
        if index >= MAX_ATTRIBUTES {
            return Err(MalformedXml);
        }
    }
    Ok(start.local_name().as_ref().to_owned())
}

/// The five entities that every XML document has; there are no others without a document type.
fn predefined(name: &str) -> Result<char, MalformedXml> {
    match name {
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "amp" => Ok('&'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => Err(MalformedXml),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leaf(document: &[u8]) -> Result<String, MalformedXml> {
        let mut reader = XmlReader::enter(document, "R", 10)?;
        if reader.child()?.as_deref() != Some("K") {
            return Err(MalformedXml);
        }
        let text = reader.text()?;
        if reader.child()?.is_some() {
            return Err(MalformedXml);
        }
        reader.finish()?;
        Ok(text)
    }

    #[test]
    fn text_is_unescaped_and_keeps_its_space() {
        for (document, text) in [
            ("<R><K> a&amp;b&#x1;c&#13; </K></R>", " a&b\u{1}c\r "),
            ("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<R xmlns=\"http://s3\">\n <K>x</K>\n</R>\n", "x"),
            ("<s3:R xmlns:s3=\"http://s3\"><s3:K><![CDATA[<&>]]></s3:K></s3:R>", "<&>"),
            ("<R><K/></R>", ""),
        ] {
            assert_eq!(leaf(document.as_bytes()).as_deref(), Ok(text), "{document}");
        }
    }

    #[test]
    fn documents_that_ask_for_more_than_text_are_malformed() {
        let deep = format!("<R>{}", "<K>".repeat(100_000));
        let attributes = format!("<R><K {}>x</K></R>", (0..10_000).map(|n| format!("a{n}=\"\" ")).collect::<String>());
        for document in [
            "",
            "x",
            "<Q><K>x</K></Q>",
            "<R><K>x</K>",
            "<R><K>x</R></K>",
            "<R><K>x</K></R><R/>",
            "<R><K>x</K></R>x",
            "<R><K>x</K>x</R>",
            "<R><K>&unknown;</K></R>",
            "<R><K>&#0;</K></R>",
            "<R><K>\0</K></R>",
            "<!DOCTYPE R [<!ENTITY a \"b\">]><R><K>&a;</K></R>",
            "<!DOCTYPE R SYSTEM \"file:///etc/passwd\"><R><K>x</K></R>",
            "\u{feff}<R><K>x</K></R>",
            "<?xml version=\"1.0\" encoding=\"UTF-16\"?><R><K>x</K></R>",
            "<R><K a=\"1\" a=\"2\">x</K></R>",
            "<R><K><J/></K></R>",
            &deep,
            &attributes,
        ] {
            assert_eq!(leaf(document.as_bytes()), Err(MalformedXml), "{}", document.chars().take(80).collect::<String>());
        }
        assert_eq!(leaf(b"\xff\xfe<\0R\0>\0"), Err(MalformedXml));
    }

    #[test]
    fn elements_are_counted() {
        let mut reader = XmlReader::enter(b"<R><A/><A/><A/></R>", "R", 3).expect("the root is the first");
        assert_eq!(reader.child().map(|_| reader.text()), Ok(Ok(String::new())));
        assert_eq!(reader.child().map(|_| reader.text()), Ok(Ok(String::new())));
        assert_eq!(reader.child(), Err(MalformedXml));
    }

    proptest! {
        #[test]
        fn every_string_survives_our_writer_and_reader(text in "[^\r\0]{0,30}") {
            let mut out = crate::xml::XmlOut::document();
            out.element("R", |r| r.text("K", &text));
            prop_assert_eq!(leaf(out.finish().as_bytes()), Ok(text));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60), text in "[<>/RK&;#x!\\[ ]{0,40}") {
            let _ = leaf(&bytes);
            let _ = leaf(text.as_bytes());
            let _ = leaf(format!("<R>{text}</R>").as_bytes());
        }
    }
}
