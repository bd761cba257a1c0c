//! The parameters of a call, as AWS's query protocol has them: flat names, lists as `Name.member.N`.

use std::collections::{BTreeMap, BTreeSet};

use types::{IamError, IamErrorCode};

#[derive(Debug, Clone, Copy)]
pub struct Query<'a>(pub &'a [(String, String)]);

impl<'a> Query<'a> {
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// What must not be taken for not being there when it is empty: without it the call would give more.
    pub fn unless_empty(&self, name: &str) -> Result<Option<&'a str>, IamError> {
        match (self.text(name), self.0.iter().any(|(known, _)| known == name)) {
            (None, true) => Err(IamError::new(IamErrorCode::ValidationError, format!("{name} is empty"))),
            (text, _) => Ok(text),
        }
    }

    /// Lists count from 1 without gaps, and none of their texts is empty: so that nothing of a list goes unread.
    pub fn check_lists(&self) -> Result<(), IamError> {
        let mut lists: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for (name, value) in self.0 {
            for (at, _) in name.match_indices(MEMBER) {
                let (list, rest) = (&name[..at], &name[at + MEMBER.len()..]);
                let digits = rest.split('.').next().unwrap_or_default();
                let number = digits.parse().ok().filter(|number: &usize| number.to_string() == digits);
                let is_item = digits.len() == rest.len();
                let number = number.filter(|_| !(is_item && value.is_empty())).ok_or_else(|| not_a_list(list))?;
                lists.entry(list).or_default().insert(number);
            }
        }
        let gap = lists.iter().find(|(_, numbers)| !numbers.contains(&1) || numbers.last() != Some(&numbers.len()));
        gap.map_or(Ok(()), |(list, _)| Err(not_a_list(list)))
    }

    /// The numbers of a list's members.
    pub fn members(&self, list: &str) -> impl Iterator<Item = usize> {
        let number = |name: &str| name.strip_prefix(list)?.strip_prefix(MEMBER)?.split('.').next()?.parse::<usize>().ok();
        let numbers: BTreeSet<usize> = self.0.iter().filter_map(|(name, _)| number(name)).collect();
        numbers.into_iter()
    }

    pub fn required(&self, name: &str) -> Result<&'a str, IamError> {
        self.text(name).ok_or_else(|| IamError::new(IamErrorCode::ValidationError, format!("{name} is missing")))
    }

    pub fn number(&self, name: &str) -> Result<Option<u32>, IamError> {
        let wrong = |_| IamError::new(IamErrorCode::ValidationError, format!("{name} is no number"));
        self.text(name).map(|text| text.parse().map_err(wrong)).transpose()
    }

    pub fn is_true(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    /// `Name.member.1`, `Name.member.2`, up to the first that is not there.
    pub fn list(&self, name: &str) -> Vec<&'a str> {
        (1..).map_while(|number| self.text(&format!("{name}.member.{number}"))).collect()
    }

    /// `Tags.member.1.Key` with its `Value`.
    pub fn tags(&self) -> Result<Vec<(String, String)>, IamError> {
        let pair = |number| {
            let key = self.required(&format!("Tags.member.{number}.Key"))?;
            Ok((key.to_owned(), self.text(&format!("Tags.member.{number}.Value")).unwrap_or_default().to_owned()))
        };
        let tags: Vec<_> = self.members("Tags").map(pair).collect::<Result<_, IamError>>()?;
        super::names::check_tags(&tags, 50)?;
        Ok(tags)
    }
}

const MEMBER: &str = ".member.";

fn not_a_list(name: &str) -> IamError {
    let rule = format!("{name}: its members count from 1 without gaps, and none is empty");
    IamError::new(IamErrorCode::ValidationError, rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_neither_gaps_nor_empty_members() {
        let pairs = |names: &[&str]| -> Vec<(String, String)> {
            names
                .iter()
                .map(|text| text.split_once('=').expect("a pair"))
                .map(|(name, value)| (name.into(), value.into()))
                .collect()
        };
        for names in [
            &[][..],
            &["A="],
            &["A.member.2=y", "A.member.1=x"],
            &["Tags.member.1.Key=k", "Tags.member.1.Value="],
            &["C.member.1.V.member.1=x", "C.member.1.V.member.2=y", "C.member.2.V.member.1=z"],
        ] {
            assert_eq!(Query(&pairs(names)).check_lists(), Ok(()), "{names:?}");
        }
        for names in [
            &["A.member.2=x"][..],
            &["A.member.1=x", "A.member.3=z"],
            &["A.member.0=x", "A.member.1=y"],
            &["A.member.1="],
            &["A.member.01=x"],
            &["A.member.=x"],
            &["A.member.x=x"],
            &["P.member.2.arn=x"],
            &["C.member.1.V.member.2=x"],
        ] {
            assert_eq!(
                Query(&pairs(names)).check_lists().map_err(|error| error.code),
                Err(IamErrorCode::ValidationError),
                "{names:?}"
            );
        }
    }

    #[test]
    fn what_is_empty_is_not_what_is_not_there() {
        let pairs = [("Policy".to_owned(), String::new()), ("Tags.member.1.Value".to_owned(), "x".to_owned())];
        let query = Query(&pairs);
        assert!(query.unless_empty("Policy").is_err() && query.tags().is_err());
        assert_eq!(query.unless_empty("Path"), Ok(None));
    }

    #[test]
    fn lists_end_where_a_number_is_missing() {
        let pairs: Vec<(String, String)> = [("A.member.1", "x"), ("A.member.2", "y"), ("A.member.4", "z"), ("N", "7"), ("E", "")]
            .map(|(name, value)| (name.into(), value.into()))
            .into();
        let query = Query(&pairs);
        assert_eq!(query.list("A"), ["x", "y"]);
        assert_eq!(query.number("N"), Ok(Some(7)));
        assert_eq!(query.text("E"), None);
        assert!(query.required("E").is_err());
    }
}
