//! The parameters of a call, as AWS's query protocol has them: flat names, lists as `Name.member.N`.

use types::{IamError, IamErrorCode};

#[derive(Debug, Clone, Copy)]
pub struct Query<'a>(pub &'a [(String, String)]);

impl<'a> Query<'a> {
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
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
        let pairs = (1..).map_while(|number| {
            let key = self.text(&format!("Tags.member.{number}.Key"))?;
            Some((key.to_owned(), self.text(&format!("Tags.member.{number}.Value")).unwrap_or_default().to_owned()))
        });
        let tags: Vec<_> = pairs.collect();
        super::names::check_tags(&tags, 50)?;
        Ok(tags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
