//! Writing XML: elements and text, escaped so that every string stays well-formed.

use std::fmt::{Display, Write as _};

/// The namespace of all S3 bodies but errors.
pub const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// An XML document in the making. Names are ours and need no check; text is anybody's.
#[derive(Debug)]
pub struct XmlOut(String);

impl XmlOut {
    /// A document, with its declaration.
    pub fn document() -> Self {
        Self("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned())
    }

    /// A document whose root carries the namespace of S3.
    pub fn with_root(name: &str, children: impl FnOnce(&mut Self)) -> String {
        let mut out = Self::document();
        out.0.push('<');
        out.0.push_str(name);
        out.0.push_str(" xmlns=\"");
        out.0.push_str(NAMESPACE);
        out.0.push_str("\">");
        children(&mut out);
        out.close(name);
        out.finish()
    }

    pub fn finish(self) -> String {
        self.0
    }

    pub fn element(&mut self, name: &str, children: impl FnOnce(&mut Self)) {
        self.open(name);
        children(self);
        self.close(name);
    }

    /// An element with attributes, whose values need no escape.
    pub fn element_with(&mut self, name: &str, attributes: &[(&str, &str)], children: impl FnOnce(&mut Self)) {
        self.0.push('<');
        self.0.push_str(name);
        for (attribute, value) in attributes {
            // Writing to a String does not fail.
            let _ = write!(self.0, " {attribute}=\"{value}\"");
        }
        self.0.push('>');
        children(self);
        self.close(name);
    }

    pub fn text(&mut self, name: &str, text: &str) {
        self.open(name);
        escape_into(&mut self.0, text);
        self.close(name);
    }

    /// A number, a boolean, an ETag: what needs no escape.
    pub fn value(&mut self, name: &str, value: impl Display) {
        self.open(name);
        // Writing to a String does not fail.
        let _ = write!(self.0, "{value}");
        self.close(name);
    }

    /// An element that is left out when there is nothing to say.
    pub fn text_if(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    /// The text of an element that holds nothing else, between its tags.
    pub(super) fn raw_text(&mut self, text: &str) {
        escape_into(&mut self.0, text);
    }

    fn open(&mut self, name: &str) {
        self.0.push('<');
        self.0.push_str(name);
        self.0.push('>');
    }

    fn close(&mut self, name: &str) {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }
}

/// Control characters go out as references, as S3 does: raw ones would make the whole document ill-formed, and a key may
/// hold them.
fn escape_into(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' => out.push(character),
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(out, "&#x{:x};", u32::from(character));
            }
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_break_out_of_its_element() {
        let mut out = XmlOut::document();
        out.text("Key", "</Key>&\"]]>\r\n\u{1}\u{fffe}é");
        assert!(out.finish().ends_with("<Key>&lt;/Key&gt;&amp;&quot;]]&gt;&#xd;\n&#x1;&#xfffe;é</Key>"));
    }

    #[test]
    fn the_root_carries_the_namespace() {
        let document = XmlOut::with_root("R", |r| r.value("N", 7));
        assert_eq!(
            document,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<R xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><N>7</N></R>"
        );
    }
}
