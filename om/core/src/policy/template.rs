//! Texts of a policy with what is special in them: `*` and `?`, where the element takes wildcards, and `${…}`, where the policy's
//! version has variables.
//!
//! A variable stands for its value letter by letter: a `*` in a user's name is no wildcard. Without a value, and without a
//! default, the text it is part of is like no text at all.

use std::borrow::Cow;

use super::MalformedPolicy;
use super::context::{Context, Found};
use super::glob::{Glob, Token, tokens};
use super::key::Key;

/// How a text of the policy is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) has_variables: bool,
    pub(super) has_wildcards: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    One,
    Many,
    Variable { key: Key, default: Option<String> },
}

impl Piece {
    fn token(&self) -> Option<Token<'_>> {
        match self {
            Self::Text(text) => Some(Token::Text(text)),
            Self::One => Some(Token::One),
            Self::Many => Some(Token::Many),
            Self::Variable { .. } => None,
        }
    }

    /// The value of a variable, or its default.
    fn value<'c>(key: &Key, default: Option<&'c String>, context: &'c Context<'_>) -> Option<Cow<'c, str>> {
        let value = match context.find(key) {
            Found::One(Cow::Borrowed(fact)) => Some(fact.text()),
            Found::One(Cow::Owned(fact)) => Some(Cow::Owned(fact.text().into_owned())),
            // Which of several would it be?
            Found::Absent | Found::Many(_) => None,
        };
        value.filter(|value| !value.is_empty()).or_else(|| default.map(|text| Cow::Borrowed(text.as_str())))
    }
}

pub(super) fn parse(text: &str, reading: Reading) -> Result<Vec<Piece>, MalformedPolicy> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while reading.has_variables
        && let Some((before, inside)) = rest.split_once("${")
    {
        plain(&mut pieces, before, reading);
        let wrong = || MalformedPolicy::Variable(text.to_owned());
        let (inside, behind) = inside.split_once('}').ok_or_else(wrong)?;
        pieces.push(variable(inside).ok_or_else(wrong)?);
        rest = behind;
    }
    plain(&mut pieces, rest, reading);
    Ok(pieces)
}

fn plain(pieces: &mut Vec<Piece>, text: &str, reading: Reading) {
    if reading.has_wildcards {
        pieces.extend(tokens(text).map(|token| match token {
            Token::Text(text) => Piece::Text(text.to_owned()),
            Token::One => Piece::One,
            Token::Many => Piece::Many,
        }));
    } else if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
}

/// What stands between the braces: a character that would be special without them, or a key with or without a default.
fn variable(inside: &str) -> Option<Piece> {
    if matches!(inside, "*" | "?" | "$") {
        return Some(Piece::Text(inside.to_owned()));
    }
    let (name, default) = match inside.split_once(',') {
        None => (inside, None),
        Some((name, default)) => (name, Some(default.trim().strip_prefix('\'')?.strip_suffix('\'')?.to_owned())),
    };
    let is_name = !name.is_empty() && !name.contains([' ', '$', '{']);
    let key = if is_name { Key::parse(name)? } else { return None };
    Some(Piece::Variable { key, default })
}

/// A text to be compared with as a whole: its wildcards, if it has any, are letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

impl Template {
    pub(super) fn parse(text: &str, has_variables: bool) -> Result<Self, MalformedPolicy> {
        parse(text, Reading { has_variables, has_wildcards: false }).map(Self)
    }

    /// None where a variable has no value.
    pub(super) fn resolve<'c>(&'c self, context: &'c Context<'_>) -> Option<Cow<'c, str>> {
        if let [Piece::Text(text)] = self.0.as_slice() {
            return Some(Cow::Borrowed(text));
        }
        let mut resolved = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => resolved.push_str(text),
                Piece::Variable { key, default } => resolved.push_str(&Piece::value(key, default.as_ref(), context)?),
                Piece::One => resolved.push('?'),
                Piece::Many => resolved.push('*'),
            }
        }
        Some(Cow::Owned(resolved))
    }

    /// The text, if it is the same for every request.
    pub(super) fn fixed(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }
}

/// A text with wildcards, made ready once unless it depends on the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    Fixed(Glob),
    Open(Vec<Piece>),
}

/// What a pattern says of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Matches,
    Differs,
    /// A variable has no value.
    Unknown,
}

impl Verdict {
    /// Of two that both have to match. The other is asked only where it can still say something.
    pub(super) fn and(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::Differs => Self::Differs,
            Self::Matches => other(),
            Self::Unknown if other() == Self::Differs => Self::Differs,
            Self::Unknown => Self::Unknown,
        }
    }
}

impl Pattern {
    pub(super) fn new(pieces: Vec<Piece>) -> Self {
        match pieces.iter().map(Piece::token).collect::<Option<Vec<_>>>() {
            Some(tokens) => Self::Fixed(Glob::new(tokens)),
            None => Self::Open(pieces),
        }
    }

    pub(super) fn parse(text: &str, has_variables: bool) -> Result<Self, MalformedPolicy> {
        parse(text, Reading { has_variables, has_wildcards: true }).map(Self::new)
    }

    pub(super) fn verdict(&self, text: &str, context: &Context<'_>) -> Verdict {
        let matches = match self {
            Self::Fixed(glob) => glob.matches(text),
            Self::Open(pieces) => match resolve(pieces, context) {
                Some(glob) => glob.matches(text),
                None => return Verdict::Unknown,
            },
        };
        if matches { Verdict::Matches } else { Verdict::Differs }
    }

    pub(super) fn matches(&self, text: &str, context: &Context<'_>) -> bool {
        self.verdict(text, context) == Verdict::Matches
    }

    pub(super) fn fixed(&self) -> Option<&str> {
        match self {
            Self::Fixed(glob) => glob.literal(),
            Self::Open(_) => None,
        }
    }

    /// `AROA…:*`: whoever takes one role, under whichever name.
    pub(super) fn is_sessions_of_one_role(&self) -> bool {
        match self {
            Self::Fixed(glob) => glob.literal().is_some() || glob.start_of_anything().is_some_and(|start| start.ends_with(':')),
            Self::Open(_) => false,
        }
    }
}

fn resolve(pieces: &[Piece], context: &Context<'_>) -> Option<Glob> {
    let mut values = Vec::new();
    for piece in pieces {
        if let Piece::Variable { key, default } = piece {
            values.push(Piece::value(key, default.as_ref(), context)?);
        }
    }
    let mut values = values.iter();
    let tokens = pieces.iter().map(|piece| piece.token().or_else(|| values.next().map(|value| Token::Text(value))));
    tokens.collect::<Option<Vec<_>>>().map(Glob::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::key::KeyName;

    fn ada() -> Context<'static> {
        let mut context = Context::default();
        context.set(KeyName::UserName, "ada*");
        context.set(KeyName::SourceIdentity, "");
        context.set_many(KeyName::TagKeys, ["a", "b"]);
        context
    }

    #[test]
    fn variables_stand_for_their_values_letter_by_letter() {
        for (text, resolved) in [
            ("home/${aws:username}/", Some("home/ada*/")),
            ("${AWS:UserName}", Some("ada*")),
            ("${aws:username, 'nobody'}", Some("ada*")),
            ("${aws:userid, 'nobody'}", Some("nobody")),
            ("${aws:userid,''}", Some("")),
            ("${aws:userid}", None),
            ("${aws:SourceIdentity}", None),
            ("${aws:SourceIdentity, 'none'}", Some("none")),
            ("${aws:TagKeys}", None),
            ("${*}${?}${$}{x}", Some("*?${x}")),
            ("a*b?", Some("a*b?")),
            ("$aws:username", Some("$aws:username")),
        ] {
            let template = Template::parse(text, true).expect("well formed");
            assert_eq!(template.resolve(&ada()).as_deref(), resolved, "{text}");
        }
        let plain = Template::parse("${aws:username}", false).expect("no variable in this version");
        assert_eq!(plain.resolve(&ada()).as_deref(), Some("${aws:username}"));
    }

    #[test]
    fn a_star_is_a_wildcard_in_the_policy_and_a_letter_in_a_value() {
        let matches = |pattern: &str, text: &str| Pattern::parse(pattern, true).expect("well formed").verdict(text, &ada());
        assert_eq!(matches("${aws:username}/*", "ada*/x"), Verdict::Matches);
        assert_eq!(matches("${aws:username}/*", "adam/x"), Verdict::Differs);
        assert_eq!(matches("${*}/*", "x/y"), Verdict::Differs);
        assert_eq!(matches("${*}/*", "*/y"), Verdict::Matches);
        assert_eq!(matches("${aws:userid}*", "anything"), Verdict::Unknown);
    }

    #[test]
    fn braces_close_and_hold_a_key() {
        for text in
            ["${aws:username", "${}", "${ aws:username}", "${nothing}", "${aws:username, nobody}", "${aws:nothing}", "${**}"]
        {
            assert_eq!(Template::parse(text, true), Err(MalformedPolicy::Variable(text.to_owned())), "{text}");
        }
    }
}
