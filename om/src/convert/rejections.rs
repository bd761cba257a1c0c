//! Rejections of commands, as the calls that proposed them report them.

use om_api as api;
use om_core as core;

use super::IntoApi;

macro_rules! rejections {
    ($($core:ident => $api:ident { $($variant:ident $(($field:ident))?),* $(,)? })*) => {$(
        impl IntoApi for core::$core {
            type Api = api::$api;
            fn into_api(self) -> api::$api {
                match self {
                    $(Self::$variant $(($field))? => api::$api::$variant $(($field))?,)*
                }
            }
        }
    )*};
}

rejections! {
    DeleteBucketRejected => DeleteBucketRejected { NoSuchBucket, NotEmpty }
    SetVersioningRejected => SetVersioningRejected { NoSuchBucket, HasObjectLock }
    SetBucketLockRejected => SetBucketLockRejected { NoSuchBucket, NotVersioned }
    AppendKeyRejected => AppendRejected {
        NoSuchBucket, NoSuchSession, NoSuchKey, PreconditionFailed(which), ForeignBlock, BaseChanged, TooManyParts, TooLarge,
        Encrypted,
    }
    RenameKeyRejected => RenameRejected { NoSuchBucket, NoSuchSource, PreconditionFailed(which), NoSuchKey, OntoItself, Changed }
    UpdateVersionRejected => UpdateVersionRejected {
        NoSuchBucket, NoSuchKey, NoSuchVersion, DeleteMarker(version), NoObjectLock, Locked, Changed,
    }
    CommitKeyRejected => CommitRejected {
        NoSuchBucket, NoSuchSession, PreconditionFailed(which), NoSuchKey, ForeignBlock, NoObjectLock,
    }
    DeleteKeyRejected => DeleteKeyRejected { NoSuchBucket, PreconditionFailed(which), Locked }
    DeleteKeysRejected => DeleteKeysRejected { NoSuchBucket }
    CopyKeyRejected => CopyRejected {
        NoSuchSourceBucket, NoSuchSourceKey, NoSuchSourceVersion, SourceIsDeleteMarker, PreconditionFailed(which), NoSuchBucket,
        NoSuchKey, OntoItself, TooLarge, NeedsBytes, NoObjectLock, Changed,
    }
    CreateUploadRejected => CreateUploadRejected { NoSuchBucket, NoObjectLock }
    CommitPartRejected => CommitPartRejected { NoSuchBucket, NoSuchUpload, NoSuchSession, ForeignBlock }
    CopyPartRejected => CopyPartRejected {
        NoSuchSourceBucket, NoSuchSourceKey, NoSuchSourceVersion, SourceIsDeleteMarker, PreconditionFailed(which), NoSuchBucket,
        NoSuchUpload, InvalidRange, TooLarge, NeedsBytes, Changed,
    }
    CompleteUploadRejected => CompleteUploadRejected {
        NoSuchBucket, NoSuchUpload, InvalidPart(part), InvalidPartOrder, PartTooSmall(part), PartChanged(part),
        PreconditionFailed(which), NoSuchKey, TooLarge,
    }
    AbortUploadRejected => AbortUploadRejected { NoSuchBucket, NoSuchUpload }
    EnsureUserRejected => EnsureUserRejected { AccessKeyTaken, EmailTaken, VolumeFixed(volume) }
    Belongings => Belongings { Buckets, Users, Groups, Roles, Policies, Providers, Volume }
    CreateSecretRejected => SecretRejected { NoSuchUser, SecretExists, TooMany, AccessKeyTaken }
    RevokeSecretRejected => SecretRejected { NoSuchUser, NoSecret }
}

impl IntoApi for core::MoveBytesRejected {
    type Api = api::MoveRejected;
    fn into_api(self) -> api::MoveRejected {
        match self {
            Self::NoSuchSession | Self::NotAsPlanned => api::MoveRejected::Gone,
            Self::ForeignBlock => api::MoveRejected::ForeignBlock,
        }
    }
}

impl IntoApi for core::CreateAccountRejected {
    type Api = api::AccountRejected;
    fn into_api(self) -> api::AccountRejected {
        match self {
            Self::Exists => api::AccountRejected::Exists,
            Self::Unfit(why) => api::AccountRejected::Unfit(why.into_api()),
        }
    }
}

impl IntoApi for core::UpdateAccountRejected {
    type Api = api::AccountRejected;
    fn into_api(self) -> api::AccountRejected {
        match self {
            Self::NoSuchAccount => api::AccountRejected::NoSuchAccount,
            Self::EmailTaken => api::AccountRejected::Unfit(api::EnsureUserRejected::EmailTaken),
            Self::LastAdministrator => api::AccountRejected::LastAdministrator,
        }
    }
}

impl IntoApi for core::DeleteAccountRejected {
    type Api = api::AccountRejected;
    fn into_api(self) -> api::AccountRejected {
        match self {
            Self::NoSuchAccount => api::AccountRejected::NoSuchAccount,
            Self::LastAdministrator => api::AccountRejected::LastAdministrator,
            Self::Has(belongings) => api::AccountRejected::Has(belongings.into_api()),
        }
    }
}
