//! Conditions of a statement: an operator, a key, and values of which one has to fit.
//!
//! As AWS documents them: a key that is absent fits no value, so that an operator holds exactly if it is one that denies
//! (`StringNotEquals`) or one with `IfExists`. `ForAllValues` holds of nothing, `ForAnyValue` does not; both look at one value at a time,
//! so that `IfExists` behind them says nothing.

use std::borrow::Cow;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use types::Network;

use super::context::{Context, Fact, Found};
use super::dates;
use super::json::Json;
use super::key::{Key, KeyName};
use super::resource::ArnPattern;
use super::template::{Pattern, Template};
use super::{MalformedPolicy, PolicyKind};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantifier {
    None,
    ForAllValues,
    ForAnyValue,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    fn holds<T: Ord>(self, is: T, wanted: T) -> bool {
        match self {
            Self::Equal => is == wanted,
            Self::Less => is < wanted,
            Self::LessOrEqual => is <= wanted,
            Self::Greater => is > wanted,
            Self::GreaterOrEqual => is >= wanted,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    StringEquals,
    StringEqualsIgnoreCase,
    StringLike,
    Numeric(Order),
    Date(Order),
    Bool,
    Binary,
    IpAddress,
    Arn,
    Null,
}

/// The values of a condition, read as its operator reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Equal(Vec<Template>),
    EqualIgnoreCase(Vec<Template>),
    Like(Vec<Pattern>),
    Number(Order, Vec<Decimal>),
    Date(Order, Vec<i64>),
    Bool(Vec<bool>),
    Binary(Vec<Vec<u8>>),
    Address(Vec<Network>),
    Arn(Vec<ArnPattern>),
    /// Whether the key has to be absent.
    Null(Vec<bool>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    key: Key,
    wanted: Wanted,
    is_negated: bool,
    if_exists: bool,
    quantifier: Quantifier,
}

fn operator(text: &str) -> Option<(Quantifier, Operator, bool, bool)> {
    let (quantifier, text) = match text.split_once(':') {
        None => (Quantifier::None, text),
        Some(("ForAllValues", rest)) => (Quantifier::ForAllValues, rest),
        Some(("ForAnyValue", rest)) => (Quantifier::ForAnyValue, rest),
        Some(_) => return None,
    };
    let (base, if_exists) = text.strip_suffix("IfExists").map_or((text, false), |base| (base, true));
    let (operator, is_negated) = match base {
        "StringEquals" => (Operator::StringEquals, false),
        "StringNotEquals" => (Operator::StringEquals, true),
        "StringEqualsIgnoreCase" => (Operator::StringEqualsIgnoreCase, false),
        "StringNotEqualsIgnoreCase" => (Operator::StringEqualsIgnoreCase, true),
        "StringLike" => (Operator::StringLike, false),
        "StringNotLike" => (Operator::StringLike, true),
        "NumericEquals" => (Operator::Numeric(Order::Equal), false),
        "NumericNotEquals" => (Operator::Numeric(Order::Equal), true),
        "NumericLessThan" => (Operator::Numeric(Order::Less), false),
        "NumericLessThanEquals" => (Operator::Numeric(Order::LessOrEqual), false),
        "NumericGreaterThan" => (Operator::Numeric(Order::Greater), false),
        "NumericGreaterThanEquals" => (Operator::Numeric(Order::GreaterOrEqual), false),
        "DateEquals" => (Operator::Date(Order::Equal), false),
        "DateNotEquals" => (Operator::Date(Order::Equal), true),
        "DateLessThan" => (Operator::Date(Order::Less), false),
        "DateLessThanEquals" => (Operator::Date(Order::LessOrEqual), false),
        "DateGreaterThan" => (Operator::Date(Order::Greater), false),
        "DateGreaterThanEquals" => (Operator::Date(Order::GreaterOrEqual), false),
        "Bool" => (Operator::Bool, false),
        "BinaryEquals" => (Operator::Binary, false),
        "IpAddress" => (Operator::IpAddress, false),
        "NotIpAddress" => (Operator::IpAddress, true),
        "ArnEquals" | "ArnLike" => (Operator::Arn, false),
        "ArnNotEquals" | "ArnNotLike" => (Operator::Arn, true),
        "Null" if !if_exists && quantifier == Quantifier::None => (Operator::Null, false),
        _ => return None,
    };
    Some((quantifier, operator, is_negated, if_exists))
}

/// All conditions of a statement: each has to hold.
pub(super) fn parse(value: &Json, has_variables: bool, kind: PolicyKind) -> Result<Vec<Condition>, MalformedPolicy> {
    let Json::Object(operators) = value else { return Err(MalformedPolicy::Form("Condition")) };
    let mut conditions = Vec::new();
    for (name, keys) in operators {
        let (quantifier, operator, is_negated, if_exists) =
            operator(name).ok_or_else(|| MalformedPolicy::Operator(name.clone()))?;
        let Json::Object(keys) = keys else { return Err(MalformedPolicy::Form("Condition")) };
        let from = conditions.len();
        for (key_text, values) in keys {
            let key = Key::parse(key_text).filter(|key| kind.knows(key));
            let key = key.ok_or_else(|| MalformedPolicy::ConditionKey(key_text.clone()))?;
            // In two spellings it would be asked twice, and only one of them read by a person.
            let is_repeated = conditions.iter().skip(from).any(|known: &Condition| known.key == key);
            if is_repeated {
                return Err(MalformedPolicy::ConditionKey(key_text.clone()));
            }
            let wanted = Wanted::parse(operator, &super::parse::texts(values, "Condition")?, has_variables)?;
            conditions.push(Condition { key, wanted, is_negated, if_exists, quantifier });
        }
    }
    Ok(conditions)
}

impl Wanted {
    fn parse(operator: Operator, values: &[String], has_variables: bool) -> Result<Self, MalformedPolicy> {
        fn each<T>(values: &[String], read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, MalformedPolicy> {
            values.iter().map(|value| read(value).ok_or_else(|| MalformedPolicy::Value(value.clone()))).collect()
        }
        let templates = || values.iter().map(|value| Template::parse(value, has_variables)).collect::<Result<_, _>>();
        Ok(match operator {
            Operator::StringEquals => Self::Equal(templates()?),
            Operator::StringEqualsIgnoreCase => Self::EqualIgnoreCase(templates()?),
            Operator::StringLike => {
                Self::Like(values.iter().map(|value| Pattern::parse(value, has_variables)).collect::<Result<_, _>>()?)
            }
            Operator::Numeric(order) => Self::Number(order, each(values, Decimal::parse)?),
            Operator::Date(order) => Self::Date(order, each(values, dates::parse)?),
            Operator::Bool => Self::Bool(each(values, truth)?),
            Operator::Binary => Self::Binary(each(values, |value| STANDARD.decode(value).ok())?),
            Operator::IpAddress => Self::Address(each(values, Network::parse)?),
            Operator::Arn => {
                Self::Arn(values.iter().map(|value| ArnPattern::parse(value, has_variables)).collect::<Result<_, _>>()?)
            }
            Operator::Null => Self::Null(each(values, truth)?),
        })
    }

    /// One of the values fits.
    fn fits(&self, fact: &Fact<'_>, context: &Context<'_>) -> bool {
        match self {
            Self::Equal(values) => {
                let text = fact.text();
                values.iter().any(|value| value.resolve(context).is_some_and(|value| value == text))
            }
            Self::EqualIgnoreCase(values) => {
                let text = fact.text().to_lowercase();
                values.iter().any(|value| value.resolve(context).is_some_and(|value| value.to_lowercase() == text))
            }
            Self::Like(patterns) => {
                let text = fact.text();
                patterns.iter().any(|pattern| pattern.matches(&text, context))
            }
            Self::Number(order, values) => {
                number(fact).is_some_and(|number| values.iter().any(|wanted| order.holds(number, *wanted)))
            }
            Self::Date(order, values) => date(fact).is_some_and(|date| values.iter().any(|wanted| order.holds(date, *wanted))),
            Self::Bool(values) => match fact {
                Fact::Bool(is_so) => values.contains(is_so),
                _ => truth(&fact.text()).is_some_and(|is_so| values.contains(&is_so)),
            },
            Self::Binary(values) => STANDARD.decode(fact.text().as_bytes()).is_ok_and(|bytes| values.contains(&bytes)),
            Self::Address(networks) => {
                address(fact).is_some_and(|address| networks.iter().any(|network| network.contains(address)))
            }
            Self::Arn(patterns) => {
                let text = fact.text();
                patterns.iter().any(|pattern| pattern.matches(&text, context))
            }
            // Asked of the key, not of its values.
            Self::Null(_) => false,
        }
    }
}

fn truth(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn number(fact: &Fact<'_>) -> Option<Decimal> {
    match fact {
        Fact::Number(number) => Some(Decimal::from(*number)),
        Fact::Text(text) => Decimal::parse(text),
        Fact::Bool(_) | Fact::Time(_) | Fact::Address(_) => None,
    }
}

fn date(fact: &Fact<'_>) -> Option<i64> {
    match fact {
        Fact::Time(time) => i64::try_from(time.0).ok(),
        Fact::Number(seconds) => seconds.checked_mul(1000),
        Fact::Text(text) => dates::parse(text),
        Fact::Bool(_) | Fact::Address(_) => None,
    }
}

fn address(fact: &Fact<'_>) -> Option<IpAddr> {
    match fact {
        Fact::Address(address) => Some(*address),
        Fact::Text(text) => text.parse().ok(),
        Fact::Number(_) | Fact::Bool(_) | Fact::Time(_) => None,
    }
}

impl Condition {
    pub(super) fn holds(&self, context: &Context<'_>) -> bool {
        let found = context.find(&self.key);
        if let Wanted::Null(values) = &self.wanted {
            let is_absent = match &found {
                Found::Absent => true,
                Found::Many(facts) => facts.is_empty(),
                Found::One(_) => false,
            };
            return values.contains(&is_absent);
        }
        let facts: &[Fact<'_>] = match &found {
            Found::Absent => &[],
            Found::One(Cow::Borrowed(fact)) => std::slice::from_ref(*fact),
            Found::One(Cow::Owned(fact)) => std::slice::from_ref(fact),
            Found::Many(facts) => facts,
        };
        let fits = |fact: &Fact<'_>| self.wanted.fits(fact, context);
        match self.quantifier {
            Quantifier::ForAllValues => facts.iter().all(|fact| fits(fact) != self.is_negated),
            Quantifier::ForAnyValue => facts.iter().any(|fact| fits(fact) != self.is_negated),
            Quantifier::None if facts.is_empty() => self.if_exists || self.is_negated,
            // Several values without a quantifier are as one that is any of them.
            Quantifier::None => facts.iter().any(fits) != self.is_negated,
        }
    }

    pub(super) fn looks_at(&self, name: KeyName) -> bool {
        match &self.key {
            Key::Plain(known) | Key::Tag(known, _) => *known == name,
            Key::Foreign(_) => false,
        }
    }

    /// Only callers from a fixed set meet it, as S3 sees that when it tells public policies from others: by one of the keys
    /// that say where a request comes from, compared with values that leave nothing open.
    pub(super) fn narrows_to_a_fixed_set(&self) -> bool {
        let Key::Plain(name) = &self.key else { return false };
        let tells_where_from = matches!(
            name,
            KeyName::SourceArn
                | KeyName::SourceVpc
                | KeyName::SourceVpce
                | KeyName::SourceOwner
                | KeyName::SourceAccount
                | KeyName::SourceIp
                | KeyName::PrincipalArn
                | KeyName::PrincipalAccount
                | KeyName::PrincipalOrgId
                | KeyName::UserId
                | KeyName::ServerSideEncryptionKmsKeyId
                | KeyName::DataAccessPointArn
                | KeyName::DataAccessPointAccount
        );
        if !tells_where_from || self.is_negated || self.if_exists || self.quantifier == Quantifier::ForAllValues {
            return false;
        }
        match &self.wanted {
            Wanted::Equal(values) | Wanted::EqualIgnoreCase(values) => values.iter().all(|value| value.fixed().is_some()),
            // A role's sessions are of one role, whatever they call themselves.
            Wanted::Like(patterns) if *name == KeyName::UserId => patterns.iter().all(Pattern::is_sessions_of_one_role),
            Wanted::Like(patterns) => patterns.iter().all(|pattern| pattern.fixed().is_some()),
            Wanted::Arn(patterns) => patterns.iter().all(ArnPattern::is_fixed),
            Wanted::Address(networks) => networks.iter().all(|network| !network.is_very_broad()),
            Wanted::Number(..) | Wanted::Date(..) | Wanted::Bool(_) | Wanted::Binary(_) | Wanted::Null(_) => false,
        }
    }
}

/// A number as policies write it, in billionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Decimal(i128);

const BILLION: i128 = 1_000_000_000;

impl From<i64> for Decimal {
    fn from(number: i64) -> Self {
        Self(i128::from(number) * BILLION)
    }
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
        let (whole, fraction) = digits.split_once('.').map_or((digits, "0"), |(whole, fraction)| (whole, fraction));
        let is_number =
            |text: &str, most: usize| !text.is_empty() && text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole, 20) || !is_number(fraction, 9) {
            return None;
        }
        let billionths: i128 = format!("{fraction:0<9}").parse().ok()?;
        Some(Self(sign * (whole.parse::<i128>().ok()? * BILLION + billionths)))
    }
}
