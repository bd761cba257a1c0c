//! A pattern with at most one `*`, which stands for any text.

/// Borrowed from the document that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wildcard<'a>(&'a str);

impl<'a> Wildcard<'a> {
    /// None if it has more than one `*`.
    pub fn parse(pattern: &'a str) -> Option<Self> {
        (pattern.matches('*').count() <= 1).then_some(Self(pattern))
    }

    pub fn matches(self, text: &str) -> bool {
        self.matches_by(text, |a, b| a == b)
    }

    pub fn matches_ignoring_case(self, text: &str) -> bool {
        self.matches_by(text, |a, b| a.eq_ignore_ascii_case(b))
    }

    fn matches_by(self, text: &str, same: impl Fn(&[u8], &[u8]) -> bool) -> bool {
        let text = text.as_bytes();
        let Some((start, end)) = self.0.split_once('*') else {
            return same(self.0.as_bytes(), text);
        };
        let (start, end) = (start.as_bytes(), end.as_bytes());
        // The two may not overlap: `ab*bc` is not `abc`.
        text.len() >= start.len() + end.len() && same(start, &text[..start.len()]) && same(end, &text[text.len() - end.len()..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_star_stands_for_any_text() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "anything", true),
            ("http://*.example.com", "http://a.example.com", true),
            ("http://*.example.com", "https://a.example.com", false),
            ("start*end", "startend", true),
            ("start*end", "startend2", false),
            ("ab*bc", "abc", false),
            ("*suffix", "suffix", true),
            ("prefix*", "prefi", false),
            ("é*", "éa", true),
            ("*é", "\u{e9}", true),
            ("exact", "Exact", false),
        ] {
            let wildcard = Wildcard::parse(pattern).expect("one star");
            assert_eq!(wildcard.matches(text), expected, "{pattern} {text}");
        }
        assert!(Wildcard::parse("X-Amz-*").is_some_and(|pattern| pattern.matches_ignoring_case("x-amz-meta-a")));
        assert_eq!(Wildcard::parse("*a*"), None);
    }
}
