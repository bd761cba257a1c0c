//! What things of IAM may be called, and their ARNs.

use types::{IamError, IamErrorCode};

use crate::rows::{AccountNumber, UserId, UserRow};

fn invalid(what: &str, rule: &str) -> IamError {
    IamError::new(IamErrorCode::ValidationError, format!("{what}: {rule}"))
}

/// `[\w+=,.@-]+`, of at most so many characters.
pub(super) fn check_name(what: &str, name: &str, most: usize) -> Result<(), IamError> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    if name.is_empty() || name.len() > most || !name.bytes().all(is_legal) {
        return Err(invalid(what, &format!("1 to {most} letters, digits or any of _+=,.@-")));
    }
    Ok(())
}

/// `/`, or visible ASCII between two of them.
pub(super) fn check_path(path: &str) -> Result<(), IamError> {
    let is_legal = path.bytes().all(|byte| byte.is_ascii_graphic());
    if path.len() > 512 || !is_legal || !path.starts_with('/') || !path.ends_with('/') {
        return Err(invalid("Path", "begins and ends with /, at most 512 visible ASCII characters"));
    }
    Ok(())
}

/// The characters of tags are those of AWS's; their number is the caller's to check.
pub(super) fn check_tags(tags: &[(String, String)], most: usize) -> Result<(), IamError> {
    if tags.len() > most {
        return Err(IamError::new(IamErrorCode::LimitExceeded, format!("at most {most} tags")));
    }
    for (number, (key, value)) in tags.iter().enumerate() {
        let is_legal = |text: &str| text.chars().all(|char| char.is_alphanumeric() || " _.:/=+-@".contains(char));
        let lengths = (1..=128).contains(&key.chars().count()) && value.chars().count() <= 256;
        if !lengths || !is_legal(key) || !is_legal(value) || key.to_lowercase().starts_with("aws:") {
            return Err(invalid("Tags", "keys of 1 to 128 and values of at most 256 letters, digits, spaces or any of _.:/=+-@"));
        }
        if tags[..number].iter().any(|(earlier, _)| earlier.eq_ignore_ascii_case(key)) {
            return Err(IamError::new(IamErrorCode::InvalidInput, format!("the tag key {key} comes twice")));
        }
    }
    Ok(())
}

/// A kind of thing that has an ARN in an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    User,
    Group,
    Role,
    Policy,
    OidcProvider,
}

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
            Self::Role => "role",
            Self::Policy => "policy",
            Self::OidcProvider => "oidc-provider",
        }
    }
}

/// `path` is `/` of what has none.
pub fn arn(account: &UserRow, kind: Kind, path: &str, name: &str) -> String {
    format!("arn:aws:iam::{}:{}{path}{name}", account.account_id(), kind.word())
}

/// Of an ARN of IAM's: the account as it names it, the path and the name.
pub fn split_arn(arn: &str, kind: Kind) -> Option<(&str, &str, &str)> {
    let rest = arn.strip_prefix("arn:aws:iam::")?;
    let (account, resource) = rest.split_once(':')?;
    let full = resource.strip_prefix(kind.word()).filter(|full| full.starts_with('/'))?;
    let name_at = full.rfind('/')? + 1;
    let (path, name) = full.split_at(name_at);
    (!name.is_empty()).then_some((account, path, name))
}

/// The first number that is tried for an account: always the same for the same name, so that ARNs can be written down before
/// the account exists.
pub(crate) fn preferred_number(account: &UserId) -> AccountNumber {
    let hash = account
        .0
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    AccountNumber(AccountNumber::FIRST + hash % AccountNumber::COUNT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths_are_those_of_iam() {
        assert!(check_name("UserName", "ada.l+x@y=z,_-", 64).is_ok());
        for name in ["", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert!(check_name("UserName", name, 64).is_err(), "{name}");
        }
        assert!(check_path("/").is_ok());
        assert!(check_path("/a/b c/").is_err());
        for path in ["", "a", "/a", "a/", "//\u{7f}/"] {
            assert!(check_path(path).is_err(), "{path}");
        }
    }

    #[test]
    fn an_arn_is_taken_apart_as_it_was_put_together() {
        assert_eq!(split_arn("arn:aws:iam::123456789012:role/a/b/c", Kind::Role), Some(("123456789012", "/a/b/", "c")));
        assert_eq!(split_arn("arn:aws:iam::aws:policy/X", Kind::Policy), Some(("aws", "/", "X")));
        for wrong in ["arn:aws:iam::1:role/", "arn:aws:iam::1:roles/x", "arn:aws:s3:::role/x", "arn:aws:iam::1:user/x"] {
            assert_eq!(split_arn(wrong, Kind::Role), None, "{wrong}");
        }
    }

    #[test]
    fn numbers_have_twelve_digits() {
        for name in ["", "ada", "0123456789abcdef"] {
            let number = preferred_number(&UserId(name.into())).to_string();
            assert_eq!(AccountNumber::parse(&number).map(|number| number.to_string()), Some(number));
        }
    }
}
