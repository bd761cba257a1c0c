//! JSON as a policy is written in it: small, shallow, and without the liberties that let two readers see two documents.
//!
//! A name that occurs twice in an object is refused, since one reader would take the first and another the last; so are control
//! characters in texts, lone surrogates, and whatever follows the document.

/// Deeper than any policy is: statement list, statement, condition, operator, key, values.
const MAX_DEPTH: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// As it was written: a number of a policy is compared exactly or is part of a text.
    Number(String),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// Where a document ceases to be JSON, and what is wrong there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct NotJson {
    pub at: usize,
    pub what: &'static str,
}

impl Json {
    pub(super) fn parse(text: &str) -> Result<Self, NotJson> {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(0)?;
        reader.skip_space();
        if reader.at < text.len() { Err(reader.wrong("something behind the end")) } else { Ok(value) }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn wrong(&self, what: &'static str) -> NotJson {
        NotJson { at: self.at, what }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, NotJson> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(self.wrong("not a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn value(&mut self, depth: usize) -> Result<Json, NotJson> {
        self.skip_space();
        match self.peek() {
            Some(b'{' | b'[') if depth == MAX_DEPTH => Err(self.wrong("nested too deeply")),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Json::Text(self.string()?)),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => Err(self.wrong("not a value")),
            None => Err(self.wrong("the end, too early")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, NotJson> {
        self.at += 1;
        let mut members: Vec<(String, Json)> = Vec::new();
        self.skip_space();
        if self.eat(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_space();
            let name = self.string()?;
            if members.iter().any(|(known, _)| *known == name) {
                return Err(self.wrong("a name for the second time"));
            }
            self.skip_space();
            if !self.eat(b':') {
                return Err(self.wrong("no colon"));
            }
            members.push((name, self.value(depth + 1)?));
            self.skip_space();
            if self.eat(b'}') {
                return Ok(Json::Object(members));
            }
            if !self.eat(b',') {
                return Err(self.wrong("neither a comma nor the end of the object"));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, NotJson> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_space();
        if self.eat(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_space();
            if self.eat(b']') {
                return Ok(Json::Array(items));
            }
            if !self.eat(b',') {
                return Err(self.wrong("neither a comma nor the end of the array"));
            }
        }
    }

    fn digits(&mut self) -> Result<(), NotJson> {
        let from = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == from { Err(self.wrong("no digit")) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<Json, NotJson> {
        let from = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _sign = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        Ok(Json::Number(self.text.get(from..self.at).unwrap_or_default().to_owned()))
    }

    fn string(&mut self) -> Result<String, NotJson> {
        if !self.eat(b'"') {
            return Err(self.wrong("no text"));
        }
        let mut out = String::new();
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let plain = rest.bytes().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)).count();
            out.push_str(rest.get(..plain).unwrap_or_default());
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    self.at += 1;
                    out.push(self.escaped()?);
                }
                Some(_) => return Err(self.wrong("a control character")),
                None => return Err(self.wrong("the end within a text")),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, NotJson> {
        let letter = self.peek().ok_or_else(|| self.wrong("the end within a text"))?;
        self.at += 1;
        Ok(match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err(self.wrong("an unknown escape")),
        })
    }

    fn unicode(&mut self) -> Result<char, NotJson> {
        let first = self.four_digits()?;
        let code = match first {
            0xd800..=0xdbff if self.eat(b'\\') && self.eat(b'u') => {
                let second = self.four_digits()?;
                if !(0xdc00..=0xdfff).contains(&second) {
                    return Err(self.wrong("half a character"));
                }
                0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            other => other,
        };
        char::from_u32(code).ok_or_else(|| self.wrong("half a character"))
    }

    fn four_digits(&mut self) -> Result<u32, NotJson> {
        let digits = self.text.get(self.at..self.at + 4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let code = code.ok_or_else(|| self.wrong("not four hexadecimal digits"))?;
        self.at += 4;
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_value_is_read_as_written() {
        let text = r#" {"a": [null, true, false, -12.5e+3, 0], "b\n\u00e9\ud83d\ude00\/": {} , "c":[]} "#;
        let number = |text: &str| Json::Number(text.to_owned());
        let wanted = Json::Object(vec![
            ("a".into(), Json::Array(vec![Json::Null, Json::Bool(true), Json::Bool(false), number("-12.5e+3"), number("0")])),
            ("b\né😀/".into(), Json::Object(Vec::new())),
            ("c".into(), Json::Array(Vec::new())),
        ]);
        assert_eq!(Json::parse(text), Ok(wanted));
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_place() {
        for (text, what, at) in [
            ("", "the end, too early", 0),
            ("{", "no text", 1),
            (r#"{"a":1,"a":2}"#, "a name for the second time", 10),
            (r#"{"a":1,}"#, "no text", 7),
            (r#"{"a" 1}"#, "no colon", 5),
            (r#"{"a":1 "b":2}"#, "neither a comma nor the end of the object", 7),
            ("[1 2]", "neither a comma nor the end of the array", 3),
            ("[1,]", "not a value", 3),
            ("nul", "not a value", 0),
            ("NaN", "not a value", 0),
            ("01", "something behind the end", 1),
            ("-", "no digit", 1),
            ("1.", "no digit", 2),
            ("+1", "not a value", 0),
            ("{} {}", "something behind the end", 3),
            ("\"a", "the end within a text", 2),
            ("\"a\u{1}\"", "a control character", 2),
            (r#""\x""#, "an unknown escape", 3),
            (r#""\u12"#, "not four hexadecimal digits", 3),
            (r#""\u+123""#, "not four hexadecimal digits", 3),
            (r#""\ud800""#, "half a character", 7),
            (r#""\ud800\u0041""#, "half a character", 13),
            (r#""\udc00""#, "half a character", 7),
            ("\u{feff}{}", "not a value", 0),
        ] {
            assert_eq!(Json::parse(text), Err(NotJson { at, what }), "{text}");
        }
    }

    #[test]
    fn nesting_ends_before_the_stack_does() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Json::parse(&nested(MAX_DEPTH)).is_ok());
        let too_deep = Err(NotJson { at: MAX_DEPTH, what: "nested too deeply" });
        assert_eq!(Json::parse(&nested(MAX_DEPTH + 1)), too_deep);
        assert_eq!(Json::parse(&"[".repeat(100_000)), too_deep);
    }
}
