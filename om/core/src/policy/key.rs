//! Condition keys: what a policy may ask of a request.
//!
//! All keys of AWS's that a bucket policy may name are here, also those that no request to Trioxide ever has (`aws:SourceVpc`): a
//! condition on one is answered as AWS answers when the key is absent. A key that nobody knows is refused in a bucket policy,
//! since a denial that looks at a misspelt key denies nothing.

use std::fmt;

macro_rules! keys {
    (
        plain { $($(#[$doc:meta])* $name:ident $text:literal;)* }
        tagged { $($(#[$tagged_doc:meta])* $tagged:ident $tagged_text:literal;)* }
    ) => {
        /// A key by its name; of those that go on with the key of a tag, the part up to the slash.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum KeyName {
            $($(#[$doc])* $name,)*
            $($(#[$tagged_doc])* $tagged,)*
        }

        impl KeyName {
            pub const ALL: &'static [Self] = &[$(Self::$name,)* $(Self::$tagged,)*];

            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                    $(Self::$tagged => $tagged_text,)*
                }
            }

            fn is_tagged(self) -> bool {
                matches!(self, $(Self::$tagged)|*)
            }
        }
    };
}

keys! {
    plain {
        CalledVia "aws:CalledVia";
        CalledViaFirst "aws:CalledViaFirst";
        CalledViaLast "aws:CalledViaLast";
        CurrentTime "aws:CurrentTime";
        EpochTime "aws:EpochTime";
        FederatedProvider "aws:FederatedProvider";
        MultiFactorAuthAge "aws:MultiFactorAuthAge";
        MultiFactorAuthPresent "aws:MultiFactorAuthPresent";
        PrincipalAccount "aws:PrincipalAccount";
        PrincipalArn "aws:PrincipalArn";
        PrincipalIsAwsService "aws:PrincipalIsAWSService";
        PrincipalOrgId "aws:PrincipalOrgID";
        PrincipalOrgPaths "aws:PrincipalOrgPaths";
        PrincipalServiceName "aws:PrincipalServiceName";
        PrincipalServiceNamesList "aws:PrincipalServiceNamesList";
        PrincipalType "aws:PrincipalType";
        Referer "aws:Referer";
        RequestedRegion "aws:RequestedRegion";
        ResourceAccount "aws:ResourceAccount";
        ResourceOrgId "aws:ResourceOrgID";
        ResourceOrgPaths "aws:ResourceOrgPaths";
        SecureTransport "aws:SecureTransport";
        SourceAccount "aws:SourceAccount";
        SourceArn "aws:SourceArn";
        SourceIdentity "aws:SourceIdentity";
        SourceIp "aws:SourceIp";
        SourceOrgId "aws:SourceOrgID";
        SourceOrgPaths "aws:SourceOrgPaths";
        SourceOwner "aws:SourceOwner";
        SourceVpc "aws:SourceVpc";
        SourceVpcArn "aws:SourceVpcArn";
        SourceVpce "aws:SourceVpce";
        TagKeys "aws:TagKeys";
        TokenIssueTime "aws:TokenIssueTime";
        UserAgent "aws:UserAgent";
        UserId "aws:userid";
        UserName "aws:username";
        ViaAwsService "aws:ViaAWSService";
        VpceAccount "aws:VpceAccount";
        VpceOrgId "aws:VpceOrgID";
        VpceOrgPaths "aws:VpceOrgPaths";
        VpcSourceIp "aws:VpcSourceIp";

        AccessGrantsInstanceArn "s3:AccessGrantsInstanceArn";
        AccessPointNetworkOrigin "s3:AccessPointNetworkOrigin";
        AuthType "s3:authType";
        DataAccessPointAccount "s3:DataAccessPointAccount";
        DataAccessPointArn "s3:DataAccessPointArn";
        Delimiter "s3:delimiter";
        ExistingJobOperation "s3:ExistingJobOperation";
        ExistingJobPriority "s3:ExistingJobPriority";
        IfMatch "s3:if-match";
        IfNoneMatch "s3:if-none-match";
        InventoryAccessibleOptionalFields "s3:InventoryAccessibleOptionalFields";
        JobSuspendedCause "s3:JobSuspendedCause";
        LocationConstraint "s3:LocationConstraint";
        MaxKeys "s3:max-keys";
        ObjectCreationOperation "s3:ObjectCreationOperation";
        ObjectLockLegalHold "s3:object-lock-legal-hold";
        ObjectLockMode "s3:object-lock-mode";
        ObjectLockRemainingRetentionDays "s3:object-lock-remaining-retention-days";
        ObjectLockRetainUntilDate "s3:object-lock-retain-until-date";
        Prefix "s3:prefix";
        RequestJobOperation "s3:RequestJobOperation";
        RequestJobPriority "s3:RequestJobPriority";
        /// The keys of the tags that the request sets.
        RequestObjectTagKeys "s3:RequestObjectTagKeys";
        S3ResourceAccount "s3:ResourceAccount";
        SignatureAge "s3:signatureAge";
        SignatureVersion "s3:signatureversion";
        TlsVersion "s3:TlsVersion";
        VersionId "s3:VersionId";
        Acl "s3:x-amz-acl";
        ContentSha256 "s3:x-amz-content-sha256";
        CopySource "s3:x-amz-copy-source";
        GrantFullControl "s3:x-amz-grant-full-control";
        GrantRead "s3:x-amz-grant-read";
        GrantReadAcp "s3:x-amz-grant-read-acp";
        GrantWrite "s3:x-amz-grant-write";
        GrantWriteAcp "s3:x-amz-grant-write-acp";
        MetadataDirective "s3:x-amz-metadata-directive";
        ObjectOwnership "s3:x-amz-object-ownership";
        ServerSideEncryption "s3:x-amz-server-side-encryption";
        ServerSideEncryptionKmsKeyId "s3:x-amz-server-side-encryption-aws-kms-key-id";
        ServerSideEncryptionCustomerAlgorithm "s3:x-amz-server-side-encryption-customer-algorithm";
        StorageClass "s3:x-amz-storage-class";
        WebsiteRedirectLocation "s3:x-amz-website-redirect-location";
    }
    tagged {
        PrincipalTag "aws:PrincipalTag";
        RequestTag "aws:RequestTag";
        ResourceTag "aws:ResourceTag";
        /// A tag of the bucket.
        BucketTag "s3:BucketTag";
        /// A tag that the object has before the request.
        ExistingObjectTag "s3:ExistingObjectTag";
        /// A tag that the request gives the object.
        RequestObjectTag "s3:RequestObjectTag";
        S3ResourceTag "s3:ResourceTag";
    }
}

/// A key as a policy names it. Names are compared without their case, the keys of tags with it, as S3 keeps them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Plain(KeyName),
    Tag(KeyName, String),
    /// Of another service, or of an identity provider: in lower case.
    Foreign(String),
}

impl Key {
    /// None: the key is none of ours, though it says so, or it is no key at all.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (name, tag) = text.split_once('/').map_or((text, None), |(name, tag)| (name, Some(tag)));
        let known = KeyName::ALL.iter().copied().find(|known| known.as_str().eq_ignore_ascii_case(name));
        match (known, tag) {
            (Some(name), None) if !name.is_tagged() => Some(Self::Plain(name)),
            (Some(name), Some(tag)) if name.is_tagged() && !tag.is_empty() => Some(Self::Tag(name, tag.to_owned())),
            (Some(_), _) => None,
            (None, _) => Self::foreign(text),
        }
    }

    /// The host and path of an identity provider may hold colons and slashes; a service's prefix ends at the first colon.
    fn foreign(text: &str) -> Option<Self> {
        let lower = text.to_lowercase();
        let (service, rest) = lower.split_once(':')?;
        let is_ours = matches!(service, "aws" | "s3");
        (!is_ours && !service.is_empty() && !rest.is_empty()).then_some(Self::Foreign(lower))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(name) => f.write_str(name.as_str()),
            Self::Tag(name, tag) => write!(f, "{}/{tag}", name.as_str()),
            Self::Foreign(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_known_without_their_case_and_tags_with_it() {
        let tag = |name, tag: &str| Some(Key::Tag(name, tag.to_owned()));
        assert_eq!(Key::parse("AWS:sourceip"), Some(Key::Plain(KeyName::SourceIp)));
        assert_eq!(Key::parse("s3:X-Amz-ACL"), Some(Key::Plain(KeyName::Acl)));
        assert_eq!(Key::parse("s3:existingobjecttag/Owner/Team"), tag(KeyName::ExistingObjectTag, "Owner/Team"));
        for unknown in
            ["aws:SourceIP4", "s3:ExistingObjectTag", "s3:ExistingObjectTag/", "s3:prefix/a", "prefix", "", ":a", "sts:"]
        {
            assert_eq!(Key::parse(unknown), None, "{unknown}");
        }
        let foreign = "localhost:8080/auth/realms/Demo:app_id";
        assert_eq!(Key::parse(foreign), Some(Key::Foreign(foreign.to_lowercase())));
    }

    #[test]
    fn no_name_stands_for_two_keys() {
        let mut names: Vec<_> = KeyName::ALL.iter().map(|name| name.as_str().to_lowercase()).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
