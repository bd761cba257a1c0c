//! Every table of the namespace: its number, which stored files carry and which is never reused, and what its keys are.
//!
//! The tables that no command writes yet stand here with the rest, so that versions, directories and identities find their
//! place in the key layout when they come and nothing has to move.

use tables::Table;

macro_rules! tables {
    ($($(#[$doc:meta])* $constant:ident = $id:literal $name:literal;)*) => {
        $($(#[$doc])* pub const $constant: Table = Table { id: $id, name: $name };)*

        /// All of them, in the order of their numbers.
        pub const ALL: &[Table] = &[$($constant),*];
    };
}

tables! {
    /// `volume` → [`VolumeRow`](crate::rows::VolumeRow).
    VOLUMES = 1 "volumes";
    /// `volume \0 bucket` → bucket id: what a name means now.
    BUCKET_NAMES = 2 "bucket names";
    /// `bucket id be64` → [`BucketRow`](crate::rows::BucketRow).
    BUCKETS = 3 "buckets";
    /// `owner \0 volume \0 bucket` → bucket id: ListBuckets.
    USER_BUCKETS = 4 "user buckets";
    /// `bucket id be64 · key` → [`KeyRow`](crate::rows::KeyRow), the current version. A key under a delete marker has no row
    /// here (its stack in [`VERSIONS`] begins with the marker), so that a listing meets only what it shows.
    KEYS = 5 "keys";
    /// `bucket id be64 · key \0 · !sequence be64` → [`VersionRow`](crate::rows::VersionRow): older versions and delete markers,
    /// newest first.
    VERSIONS = 6 "versions";
    /// `object id be64` → [`SessionRow`](crate::rows::SessionRow): blocks handed out, not yet committed.
    OPEN_KEYS = 7 "open keys";
    /// `bucket id be64 · key \0 · upload id be128` → [`UploadRow`](crate::rows::UploadRow).
    UPLOADS = 8 "uploads";
    /// `bucket id be64 · key \0 · upload id be128 · part be16` → [`PartRow`](crate::rows::PartRow).
    PARTS = 9 "parts";
    /// As [`UPLOADS`] → [`CompletedRow`](crate::rows::CompletedRow), for about a day.
    COMPLETED_UPLOADS = 10 "completed uploads";
    /// `time be64 · log index be64 · ordinal be32` → [`ReclaimRow`](crate::rows::ReclaimRow): blocks to reclaim from datanodes.
    DELETED = 11 "deleted";
    /// `container be64 · local be64` → how many references a block has besides the first. Absent means exactly one.
    BLOCK_REFS = 12 "block references";
    /// `bucket id be64 · parent id be64 · name`: directories of file-system buckets. Reserved.
    DIRECTORIES = 13 "directories";
    /// `bucket id be64 · parent id be64 · name`: files of file-system buckets. Reserved.
    FILES = 14 "files";
    /// `bucket id be64 · prefix` → [`NativeAcl`](crate::rows::NativeAcl), the bucket's own under the empty prefix.
    PREFIXES = 15 "prefixes";
    /// `user` → [`UserRow`](crate::rows::UserRow).
    USERS = 16 "users";
    /// `access key` → [`AccessKeyRow`](crate::rows::AccessKeyRow).
    ACCESS_KEYS = 17 "access keys";
    /// `user \0 access key` → nothing: a user's access keys.
    USER_ACCESS_KEYS = 18 "user access keys";
    /// `address in lower case` → user.
    EMAILS = 19 "e-mail addresses";
    /// `account \0 name in lower case` → [`IamGroupRow`](crate::rows::IamGroupRow).
    GROUPS = 20 "groups";
    /// `account \0 name in lower case` → [`RoleRow`](crate::rows::RoleRow).
    ROLES = 21 "roles";
    /// `account \0 name in lower case` → [`ManagedPolicyRow`](crate::rows::ManagedPolicyRow).
    POLICIES = 22 "policies";
    /// `account \0 sequence be64` → access key, of the credentials that are delegation tokens.
    DELEGATION_TOKENS = 23 "delegation tokens";
    /// `access key of a temporary credential` → [`CredentialRow`](crate::rows::CredentialRow).
    SESSIONS = 24 "sessions";
    /// `name` → single values: the seal check, later the cluster's version.
    META = 25 "meta";
    /// `bucket id be64` → nothing: buckets that are gone and whose uploads are still to be freed.
    ENDING_BUCKETS = 26 "ending buckets";
    /// `time be64 · key of COMPLETED_UPLOADS` → nothing: which completions to forget first.
    COMPLETED_BY_TIME = 27 "completed uploads by time";
    /// `user \0 volume` → nothing. Reserved.
    USER_VOLUMES = 28 "user volumes";
    /// `bucket id be64 · key` → sequence of the key's null version where that lies in [`VERSIONS`].
    NULL_VERSIONS = 29 "null versions";
    /// `access key` → [`RevokedKeyRow`](crate::rows::RevokedKeyRow): access keys that no configuration brings back.
    REVOKED_KEYS = 30 "revoked access keys";
    /// `bucket id be64 · kind` → [`BucketConfigRow`](crate::rows::BucketConfigRow): what the owner set on the bucket.
    BUCKET_CONFIGS = 31 "bucket configurations";
    /// `bucket id be64` → the entry that set its lifecycle rules: the buckets that have some.
    LIFECYCLE_BUCKETS = 32 "buckets with a lifecycle";
    /// `bucket id be64` → `bucket id be64`: the buckets that have an access log, and which bucket it was to go to when that was set.
    LOGGED_BUCKETS = 33 "logged buckets";
    /// `destination \0 sequence be64` → [`EventRow`](crate::rows::EventRow): what others are still to be told.
    EVENTS = 34 "events";
    /// As [`EVENTS`] → [`DeadEventRow`](crate::rows::DeadEventRow): what they could not be told.
    DEAD_EVENTS = 35 "dead events";
    /// `name` → [`KmsKeyRow`](crate::rows::KmsKeyRow): the keys of the built-in key service.
    KMS_KEYS = 40 "kms keys";
    /// `account \0 name in lower case` → [`IamUserRow`](crate::rows::IamUserRow).
    IAM_USERS = 50 "iam users";
    /// `account \0 name in lower case \0 access key` → nothing: the access keys of an account's users.
    IAM_ACCESS_KEYS = 51 "access keys of iam users";
    /// `number be64` → account.
    ACCOUNT_NUMBERS = 52 "account numbers";
    /// `account` → [`AccountRow`](crate::rows::AccountRow): what of IAM is set on the account as a whole.
    IAM_ACCOUNTS = 53 "iam accounts";
    /// `account \0 host and path` → [`OidcProviderRow`](crate::rows::OidcProviderRow).
    OIDC_PROVIDERS = 54 "oidc providers";
    /// `expiry be64 · access key` → nothing: which temporary credentials end first.
    SESSIONS_BY_EXPIRY = 55 "sessions by expiry";
    /// `access key` → [`KeyUseRow`](crate::rows::KeyUseRow).
    KEY_USES = 56 "uses of access keys";
    /// `volume` → [`NativeAcl`](crate::rows::NativeAcl).
    VOLUME_ACLS = 61 "acls of volumes";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_numbers_are_distinct_and_ascend() {
        assert!(ALL.windows(2).all(|pair| pair[0].id < pair[1].id));
    }
}
