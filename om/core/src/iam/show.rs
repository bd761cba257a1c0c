//! Things of IAM as its answers show them.

use types::{IamValue, Timestamp};

use super::names::{Kind, arn};
use crate::policy::format_date;
use crate::rows::{AccessKeyId, AccessKeyRow, IamGroupRow, IamUserRow, ManagedPolicyRow, PolicyVersion, RoleRow, UserRow};

/// `2026-01-31T12:00:00Z`.
pub fn date(time: Timestamp) -> String {
    // To the second, as IAM has them.
    format_date(Timestamp(time.0 / 1000 * 1000))
}

pub(super) fn tags(tags: &[(String, String)]) -> IamValue {
    let tag = |(key, value): &(String, String)| IamValue::field("Key", key.as_str()).with("Value", value.as_str());
    IamValue::List(tags.iter().map(tag).collect())
}

fn boundary(arn: &str) -> IamValue {
    IamValue::field("PermissionsBoundaryType", "Policy").with("PermissionsBoundaryArn", arn)
}

/// The account itself, where a user is asked for.
pub(super) fn root(account: &UserRow) -> IamValue {
    IamValue::field("Path", "/")
        .with("UserId", account.account_id())
        .with("Arn", format!("arn:aws:iam::{}:root", account.account_id()))
        .with("CreateDate", date(account.created))
}

pub(super) fn user(account: &UserRow, row: &IamUserRow) -> IamValue {
    let shown = IamValue::field("Path", row.path.as_str())
        .with("UserName", row.name.as_str())
        .with("UserId", row.id.0.as_str())
        .with("Arn", arn(account, Kind::User, &row.path, &row.name))
        .with("CreateDate", date(row.created))
        .with_some("PermissionsBoundary", row.boundary.as_deref().map(boundary));
    if row.tags.is_empty() { shown } else { shown.with("Tags", tags(&row.tags)) }
}

pub(super) fn group(account: &UserRow, row: &IamGroupRow) -> IamValue {
    IamValue::field("Path", row.path.as_str())
        .with("GroupName", row.name.as_str())
        .with("GroupId", row.id.0.as_str())
        .with("Arn", arn(account, Kind::Group, &row.path, &row.name))
        .with("CreateDate", date(row.created))
}

pub(super) fn role(account: &UserRow, row: &RoleRow) -> IamValue {
    let shown = IamValue::field("Path", row.path.as_str())
        .with("RoleName", row.name.as_str())
        .with("RoleId", row.id.0.as_str())
        .with("Arn", arn(account, Kind::Role, &row.path, &row.name))
        .with("CreateDate", date(row.created))
        .with("AssumeRolePolicyDocument", document(&row.trust))
        .with_some("Description", row.description.as_deref())
        .with("MaxSessionDuration", row.max_session.to_string())
        .with_some("PermissionsBoundary", row.boundary.as_deref().map(boundary));
    if row.tags.is_empty() { shown } else { shown.with("Tags", tags(&row.tags)) }
}

pub(super) fn policy(account: &UserRow, row: &ManagedPolicyRow, uses: usize) -> IamValue {
    let shown = IamValue::field("PolicyName", row.name.as_str())
        .with("PolicyId", row.id.0.as_str())
        .with("Arn", arn(account, Kind::Policy, &row.path, &row.name))
        .with("Path", row.path.as_str())
        .with("DefaultVersionId", format!("v{}", row.default))
        .with("AttachmentCount", uses)
        .with("PermissionsBoundaryUsageCount", "0")
        .with("IsAttachable", true)
        .with_some("Description", row.description.as_deref())
        .with("CreateDate", date(row.created))
        .with("UpdateDate", date(row.updated));
    if row.tags.is_empty() { shown } else { shown.with("Tags", tags(&row.tags)) }
}

pub(super) fn version(version: &PolicyVersion, is_default: bool, with_text: bool) -> IamValue {
    let shown = IamValue::empty().with_some("Document", with_text.then(|| document(&version.text)));
    shown
        .with("VersionId", format!("v{}", version.number))
        .with("IsDefaultVersion", is_default)
        .with("CreateDate", date(version.created))
}

pub(super) fn access_key(user: Option<&str>, id: &AccessKeyId, row: &AccessKeyRow) -> IamValue {
    IamValue::empty()
        .with_some("UserName", user)
        .with("AccessKeyId", id.0.as_str())
        .with("Status", if row.is_active() { "Active" } else { "Inactive" })
        .with("CreateDate", date(row.created))
}

/// Policies are shown percent-encoded (RFC 3986), as IAM does: clients decode them.
pub(super) fn document(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
