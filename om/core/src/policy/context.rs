//! What is known of a request when its policies are asked: the facts, as the operation supplies them.

use std::borrow::Cow;
use std::net::IpAddr;

use types::Timestamp;

use super::key::{Key, KeyName};

/// A single fact. Which operators can compare it follows from its kind; each has a text that the `String…` operators see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact<'a> {
    Text(Cow<'a, str>),
    Number(i64),
    Bool(bool),
    Time(Timestamp),
    Address(IpAddr),
}

impl<'a> From<&'a str> for Fact<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Fact<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<bool> for Fact<'_> {
    fn from(is_so: bool) -> Self {
        Self::Bool(is_so)
    }
}

impl From<i64> for Fact<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<Timestamp> for Fact<'_> {
    fn from(time: Timestamp) -> Self {
        Self::Time(time)
    }
}

impl From<IpAddr> for Fact<'_> {
    fn from(address: IpAddr) -> Self {
        // A client that came over a socket for both families is the same client.
        Self::Address(address.to_canonical())
    }
}

impl<'a> Fact<'a> {
    fn read(text: &'a str) -> Self {
        if let Ok(number) = text.parse::<i64>() {
            Self::Number(number)
        } else if let Ok(address) = text.parse::<IpAddr>() {
            address.into()
        } else if let Ok(is_so) = text.parse::<bool>() {
            Self::Bool(is_so)
        } else {
            text.into()
        }
    }

    pub(super) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Number(number) => Cow::Owned(number.to_string()),
            Self::Bool(is_so) => Cow::Borrowed(if *is_so { "true" } else { "false" }),
            Self::Time(time) => Cow::Owned(super::dates::format(*time)),
            Self::Address(address) => Cow::Owned(address.to_string()),
        }
    }
}

/// What a key stands for in one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Facts<'a> {
    One(Fact<'a>),
    /// Of a key that has several values by its nature.
    Many(Vec<Fact<'a>>),
    /// All tags; a key names one of them.
    Tags(Vec<&'a (String, String)>),
}

/// The facts of one request. A key that is not set is absent, which conditions tell from empty.
#[derive(Debug, Clone, Default)]
pub struct Context<'a> {
    facts: Vec<(KeyName, Facts<'a>)>,
    foreign: Vec<(String, Vec<Fact<'a>>)>,
}

/// What a key was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found<'c> {
    Absent,
    One(Cow<'c, Fact<'c>>),
    Many(&'c [Fact<'c>]),
}

impl<'a> Context<'a> {
    pub fn set(&mut self, name: KeyName, fact: impl Into<Fact<'a>>) {
        self.facts.push((name, Facts::One(fact.into())));
    }

    /// Nothing of nothing: a header that is not there is no key.
    pub fn set_some(&mut self, name: KeyName, fact: Option<impl Into<Fact<'a>>>) {
        if let Some(fact) = fact {
            self.set(name, fact);
        }
    }

    pub fn set_many(&mut self, name: KeyName, facts: impl IntoIterator<Item = impl Into<Fact<'a>>>) {
        self.facts.push((name, Facts::Many(facts.into_iter().map(Into::into).collect())));
    }

    /// As somebody wrote them who asks what would be: what kinds they are follows from how they read.
    pub fn set_texts(&mut self, name: KeyName, texts: &'a [String]) {
        match texts {
            [text] => self.set(name, Fact::read(text)),
            texts => self.set_many(name, texts.iter().map(|text| Fact::read(text))),
        }
    }

    pub fn set_tags(&mut self, name: KeyName, tags: &'a [(String, String)]) {
        self.set_tag_list(name, tags.iter().collect());
    }

    pub fn set_tag_list(&mut self, name: KeyName, tags: Vec<&'a (String, String)>) {
        self.facts.push((name, Facts::Tags(tags)));
    }

    /// A key of another service or of an identity provider.
    pub fn set_foreign(&mut self, name: &str, facts: impl IntoIterator<Item = impl Into<Fact<'a>>>) {
        self.foreign.push((name.to_lowercase(), facts.into_iter().map(Into::into).collect()));
    }

    fn named(&self, name: KeyName) -> Option<&Facts<'a>> {
        self.facts.iter().find(|(known, _)| *known == name).map(|(_, facts)| facts)
    }

    pub(super) fn find(&self, key: &Key) -> Found<'_> {
        match key {
            Key::Plain(name) => match self.named(*name) {
                Some(Facts::One(fact)) => Found::One(Cow::Borrowed(fact)),
                Some(Facts::Many(facts)) => Found::Many(facts),
                Some(Facts::Tags(_)) | None => Found::Absent,
            },
            Key::Tag(name, tag) => match self.named(*name) {
                Some(Facts::Tags(tags)) => {
                    let value = tags.iter().find(|(key, _)| key == tag).map(|(_, value)| value.as_str());
                    value.map_or(Found::Absent, |value| Found::One(Cow::Owned(value.into())))
                }
                Some(_) | None => Found::Absent,
            },
            Key::Foreign(name) => match self.foreign.iter().find(|(known, _)| known == name).map(|(_, facts)| facts.as_slice()) {
                Some([fact]) => Found::One(Cow::Borrowed(fact)),
                Some(facts) => Found::Many(facts),
                None => Found::Absent,
            },
        }
    }
}
