//! What is known of a request, and how policies see it.

use std::net::IpAddr;

use types::{AclRequest, Millis, ObjectKey, Timestamp};

use super::Identity;
use crate::policy::{Caller, Context, Fact, KeyName, parse_date};
use crate::rows::{BucketRow, KeyRow, NativeAcl};

/// How a request was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthType {
    Header,
    /// A presigned URL.
    Query,
    /// A form's policy.
    Form,
}

/// The facts that do not depend on what the request is about. Nothing of it is the requester's word for who they are: that is
/// [`Identity`].
#[derive(Debug, Clone, Default)]
pub struct Facts<'a> {
    pub now: Timestamp,
    /// Of the client, as far as whoever spoke to it can tell.
    pub source: Option<IpAddr>,
    pub is_secure: bool,
    pub tls_version: Option<&'a str>,
    pub region: Option<&'a str>,
    pub auth_type: Option<AuthType>,
    pub signature_version: Option<&'a str>,
    pub signature_age: Option<Millis>,
    /// Of the headers those that policies may ask for, in lower case. A form's fields count as headers.
    pub headers: &'a [(String, String)],
    /// Of the query likewise.
    pub query: &'a [(String, String)],
    /// That the request gives to what it is about.
    pub tags: &'a [(String, String)],
    /// The number of the account that owns the bucket, where a policy may ask for it.
    pub resource_account: Option<String>,
    /// The account that the requester believes to own the bucket.
    pub expected_owner: Option<&'a str>,
    /// The requester is ready to pay for the request, where that is asked for.
    pub pays: bool,
    /// The ACL of what is made, or the one to set.
    pub acl: Option<&'a AclRequest>,
    /// The native ACL of the volume that the request is about, where it is about no bucket of it.
    pub volume: Option<&'a NativeAcl>,
    /// What the request says in its body.
    pub more: Vec<(KeyName, Fact<'a>)>,
}

/// Headers that are keys of policies. Whoever takes requests apart passes these on.
pub const PASSED_HEADERS: &[(&str, KeyName)] = &[
    ("user-agent", KeyName::UserAgent),
    ("referer", KeyName::Referer),
    ("if-match", KeyName::IfMatch),
    ("if-none-match", KeyName::IfNoneMatch),
    ("x-amz-acl", KeyName::Acl),
    ("x-amz-content-sha256", KeyName::ContentSha256),
    ("x-amz-copy-source", KeyName::CopySource),
    ("x-amz-grant-full-control", KeyName::GrantFullControl),
    ("x-amz-grant-read", KeyName::GrantRead),
    ("x-amz-grant-read-acp", KeyName::GrantReadAcp),
    ("x-amz-grant-write", KeyName::GrantWrite),
    ("x-amz-grant-write-acp", KeyName::GrantWriteAcp),
    ("x-amz-metadata-directive", KeyName::MetadataDirective),
    ("x-amz-object-lock-legal-hold", KeyName::ObjectLockLegalHold),
    ("x-amz-object-lock-mode", KeyName::ObjectLockMode),
    ("x-amz-object-lock-retain-until-date", KeyName::ObjectLockRetainUntilDate),
    ("x-amz-object-ownership", KeyName::ObjectOwnership),
    ("x-amz-server-side-encryption", KeyName::ServerSideEncryption),
    ("x-amz-server-side-encryption-aws-kms-key-id", KeyName::ServerSideEncryptionKmsKeyId),
    ("x-amz-server-side-encryption-customer-algorithm", KeyName::ServerSideEncryptionCustomerAlgorithm),
    ("x-amz-storage-class", KeyName::StorageClass),
    ("x-amz-website-redirect-location", KeyName::WebsiteRedirectLocation),
];

const QUERY: &[(&str, KeyName)] = &[
    ("delimiter", KeyName::Delimiter),
    ("max-keys", KeyName::MaxKeys),
    ("prefix", KeyName::Prefix),
    ("versionId", KeyName::VersionId),
];

fn value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

impl Facts<'_> {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        value(self.headers, name)
    }

    /// That a listing is of.
    pub(super) fn prefix(&self) -> Option<&str> {
        value(self.query, "prefix")
    }

    /// Begun ones count, as in S3.
    fn days_to_retain(&self) -> Option<i64> {
        const DAY: i64 = 86_400_000;
        let said = self.more.iter().find(|(name, _)| *name == KeyName::ObjectLockRetainUntilDate);
        let until = match said {
            Some((_, Fact::Time(until))) => i64::try_from(until.0).ok(),
            _ => self.header("x-amz-object-lock-retain-until-date").and_then(parse_date),
        };
        let left = until?.saturating_sub(i64::try_from(self.now.0).ok()?);
        Some(left.max(0).saturating_add(DAY - 1) / DAY)
    }

    /// Everything that a condition may look at. `listed` is the key that a request for a single object would have listed.
    pub(super) fn context<'c>(
        &'c self,
        identity: &'c Identity,
        caller: &'c Caller,
        bucket: Option<&'c BucketRow>,
        object: Option<&'c KeyRow>,
        listed: Option<&'c ObjectKey>,
    ) -> Context<'c> {
        let mut context = Context::default();
        context.set(KeyName::CurrentTime, self.now);
        context.set(KeyName::EpochTime, i64::try_from(self.now.seconds()).unwrap_or(i64::MAX));
        context.set_some(KeyName::SourceIp, self.source);
        context.set(KeyName::SecureTransport, self.is_secure);
        context.set_some(KeyName::TlsVersion, self.tls_version);
        context.set_some(KeyName::RequestedRegion, self.region);
        context.set_some(KeyName::AuthType, self.auth_type.map(auth_type));
        context.set_some(KeyName::SignatureVersion, self.signature_version);
        context.set_some(KeyName::SignatureAge, self.signature_age.and_then(|age| i64::try_from(age.0).ok()));
        if let Some(bucket) = bucket {
            let owner = self.resource_account.as_deref().unwrap_or(&bucket.owner.0);
            context.set(KeyName::ResourceAccount, owner);
            context.set(KeyName::S3ResourceAccount, owner);
        }
        set_caller(&mut context, identity, caller);
        for (name, key) in PASSED_HEADERS {
            context.set_some(*key, self.header(name));
        }
        for (name, key) in QUERY {
            match (listed, *key) {
                (Some(listed), KeyName::Prefix) => context.set(*key, listed.as_str()),
                _ => context.set_some(*key, value(self.query, name)),
            }
        }
        if !self.tags.is_empty() {
            context.set_tags(KeyName::RequestObjectTag, self.tags);
            context.set_many(KeyName::RequestObjectTagKeys, self.tags.iter().map(|(key, _)| key.as_str()));
        }
        for (name, fact) in &self.more {
            context.set(*name, fact.clone());
        }
        context.set_some(KeyName::ObjectLockRemainingRetentionDays, self.days_to_retain());
        if let Some(object) = object {
            context.set_tags(KeyName::ExistingObjectTag, &object.body.attributes.tags);
        }
        context
    }
}

fn auth_type(auth_type: AuthType) -> &'static str {
    match auth_type {
        AuthType::Header => "REST-HEADER",
        AuthType::Query => "REST-QUERY-STRING",
        AuthType::Form => "POST",
    }
}

fn set_caller<'c>(context: &mut Context<'c>, identity: &'c Identity, caller: &'c Caller) {
    context.set_some(KeyName::PrincipalArn, caller.principal_arn());
    context.set(KeyName::PrincipalIsAwsService, matches!(caller, Caller::Service(_)));
    match caller {
        Caller::Anonymous | Caller::Federated(_) => {
            context.set(KeyName::PrincipalType, "Anonymous");
            context.set(KeyName::UserId, "anonymous");
        }
        Caller::Root(account) => {
            context.set(KeyName::PrincipalType, "Account");
            context.set(KeyName::PrincipalAccount, account.id.as_str());
            if let Identity::User(user) = identity {
                context.set(KeyName::UserId, user.id.0.as_str());
            }
        }
        Caller::User { account, name } => {
            context.set(KeyName::PrincipalType, "User");
            context.set(KeyName::PrincipalAccount, account.id.as_str());
            context.set(KeyName::UserName, name.rsplit('/').next().unwrap_or(name));
        }
        Caller::Session { account, .. } => {
            context.set(KeyName::PrincipalType, "AssumedRole");
            context.set(KeyName::PrincipalAccount, account.id.as_str());
        }
        Caller::Service(name) => context.set(KeyName::PrincipalServiceName, name.as_str()),
    }
    if let Identity::Member(member) = identity {
        context.set(KeyName::UserId, member.unique_id());
        context.set_foreign("sts:authentication", [member.is_temporary()]);
        context.set_tag_list(KeyName::PrincipalTag, member.tags());
        if let Some(session) = &member.session {
            context.set(KeyName::TokenIssueTime, session.created);
            // There are no devices; a key that lasts says nothing of them.
            context.set(KeyName::MultiFactorAuthPresent, false);
            context.set_some(KeyName::FederatedProvider, session.provider.as_deref());
            for (key, values) in &session.claims {
                context.set_foreign(key, values.iter().map(String::as_str));
            }
        }
    }
    if let Identity::LogDelivery(sources) = identity
        && let [source] = sources.as_slice()
    {
        context.set(KeyName::SourceArn, source.arn.as_str());
        // Its number, or the id that S3 shows of it.
        context.set_many(KeyName::SourceAccount, [source.account.as_str(), source.owner.0.as_str()]);
    }
}
