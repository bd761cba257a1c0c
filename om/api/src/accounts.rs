//! Accounts while the cluster runs, and what is set on one as a whole.

use bucket_config::PublicAccessBlock;
use minicbor::{Decode, Encode};
use types::VolumeName;

use crate::{Denied, DisplayUser, EnsureUserRejected, KeyPair, Requester, UserInfo};

/// An account that is not there yet.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CreateAccount {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub user: DisplayUser,
    #[n(2)]
    pub email: Option<String>,
    #[n(3)]
    pub is_admin: bool,
    /// Where its buckets lie, for good. None: `s3v`.
    #[n(4)]
    pub volume: Option<VolumeName>,
    /// With a pair of its own. Whoever brings one along imports it afterwards.
    #[n(5)]
    pub rolls_pair: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CreatedAccount {
    #[n(0)]
    pub account: UserInfo,
    /// Shown once.
    #[n(1)]
    pub pair: Option<KeyPair>,
}

/// What is absent stays.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct UpdateAccount {
    #[n(0)]
    pub by: Requester,
    /// By its number, or by its id.
    #[n(1)]
    pub account: String,
    #[n(2)]
    pub display_name: Option<String>,
    /// An empty one takes it away.
    #[n(3)]
    pub email: Option<String>,
    #[n(4)]
    pub is_admin: Option<bool>,
}

/// Of an account that has nothing any more. Its keys, sessions and tokens end with it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DeleteAccount {
    #[n(0)]
    pub by: Requester,
    /// By its number, or by its id.
    #[n(1)]
    pub account: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum AccountRejected {
    #[n(0)]
    #[error(transparent)]
    Denied(#[n(0)] Denied),
    #[n(1)]
    #[error("no such account")]
    NoSuchAccount,
    /// It can't be as it was to be.
    #[n(2)]
    #[error(transparent)]
    Unfit(#[n(0)] EnsureUserRejected),
    #[n(3)]
    #[error("nobody else who has a key administers the cluster")]
    LastAdministrator,
    #[n(4)]
    #[error("the account still has {0}")]
    Has(#[n(0)] Belongings),
    #[n(5)]
    #[error("there is an account of this name")]
    Exists,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum Belongings {
    #[n(0)]
    #[error("buckets")]
    Buckets,
    #[n(1)]
    #[error("users")]
    Users,
    #[n(2)]
    #[error("groups")]
    Groups,
    #[n(3)]
    #[error("roles")]
    Roles,
    #[n(4)]
    #[error("managed policies")]
    Policies,
    #[n(5)]
    #[error("identity providers")]
    Providers,
    #[n(6)]
    #[error("a volume in which others have buckets")]
    Volume,
}

/// What an account is called.
pub(crate) struct AccountNames<'a> {
    pub(crate) user: &'a DisplayUser,
    pub(crate) email: Option<&'a str>,
    pub(crate) volume: Option<&'a VolumeName>,
}

impl AccountNames<'_> {
    /// Ids end at NUL in the OM's tables and are shown in logs.
    pub(crate) fn check(&self) -> Result<(), EnsureUserRejected> {
        let is_graphic = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let is_number = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        let id = &self.user.id.0;
        if !is_text(id, 255) || !is_graphic(id) {
            return invalid("user id: 1 to 255 visible characters");
        }
        // So are accounts numbered: one must not be another's name.
        if is_number(id) {
            return invalid("user id: twelve digits are the number of an account");
        }
        check_display_name(&self.user.display_name)?;
        self.email.map_or(Ok(()), check_email)?;
        // ARNs have the volume where others have an account's number.
        if self.volume.is_some_and(|volume| is_number(volume.as_str())) {
            return invalid("volume: twelve digits are the number of an account");
        }
        Ok(())
    }
}

fn is_text(text: &str, most: usize) -> bool {
    !text.is_empty() && text.len() <= most && !text.chars().any(char::is_control)
}

fn invalid(what: &str) -> Result<(), EnsureUserRejected> {
    Err(EnsureUserRejected::Invalid(what.to_owned()))
}

fn check_display_name(name: &str) -> Result<(), EnsureUserRejected> {
    if is_text(name, 255) { Ok(()) } else { invalid("display name: 1 to 255 characters") }
}

fn check_email(email: &str) -> Result<(), EnsureUserRejected> {
    if is_text(email, 254) && email.contains('@') { Ok(()) } else { invalid("e-mail address") }
}

/// As audits name callers that are no accounts.
const RESERVED: [&str; 3] = ["anonymous", "system", "log-delivery"];

impl CreateAccount {
    /// As for those of a configuration, and fit to be written in policies and paths.
    pub fn check(&self) -> Result<(), AccountRejected> {
        let id = &self.user.id.0;
        let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.@+=,".contains(&byte));
        if !is_plain || RESERVED.contains(&id.to_ascii_lowercase().as_str()) {
            let what = "account id: letters, digits and - _ . @ + = , and none that means somebody without an account";
            return Err(AccountRejected::Unfit(EnsureUserRejected::Invalid(what.to_owned())));
        }
        let names = AccountNames { user: &self.user, email: self.email.as_deref(), volume: self.volume.as_ref() };
        names.check().map_err(AccountRejected::Unfit)
    }
}

impl UpdateAccount {
    pub fn check(&self) -> Result<(), AccountRejected> {
        let email = self.email.as_deref().filter(|email| !email.is_empty());
        let display_name = self.display_name.as_deref().map_or(Ok(()), check_display_name);
        let checked = display_name.and_then(|()| email.map_or(Ok(()), check_email));
        checked.map_err(AccountRejected::Unfit)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct GetAccountBlock {
    #[n(0)]
    pub by: Requester,
    /// By its number, or by its id.
    #[n(1)]
    pub account: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SetAccountBlock {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub account: String,
    /// None takes it away.
    #[n(2)]
    pub block: Option<PublicAccessBlock>,
}
