//! On whose behalf a request is made, asked of every request before anything else.

use om_api as api;
use rpc::{CallContext, NotApplied, Peer};

/// A request as the check at the door sees it.
pub(super) trait Asks {
    /// None where a request is made on nobody's behalf: the caller's certificate is then all there is to it.
    fn by(&self) -> Option<&api::Requester>;

    /// A step of writing an object: all that whoever delivers access logs asks for.
    const WRITES: bool = false;
}

macro_rules! asks {
    (writes: $($write:ident),* $(,)?; by: $($named:ident),* $(,)?; nobody: $($nobody:ty),* $(,)?) => {
        $(impl Asks for api::$write {
            fn by(&self) -> Option<&api::Requester> { Some(&self.by) }
            const WRITES: bool = true;
        })*
        $(impl Asks for api::$named {
            fn by(&self) -> Option<&api::Requester> { Some(&self.by) }
        })*
        $(impl Asks for $nobody {
            fn by(&self) -> Option<&api::Requester> { None }
        })*
    };
}

asks! {
    writes: OpenKey, AllocateBlocks, CommitKey;
    by: CreateBucket, DeleteBucket, GetBucket, ListBuckets, LookupKey, DeleteKey, DeleteKeys,
        CopyKey, ListKeys, CreateUpload, OpenPart, CommitPart, CopyPart, ListParts, CompleteUpload, AbortUpload, ListUploads,
        CreateSecret, RevokeSecret, ListUsers, CreateAccount, UpdateAccount, DeleteAccount, SetVersioning, SetBucketLock, ListVersions, UpdateVersion, RenameKey, AppendKey, GetBucketConfig,
        SetBucketConfig, CreateKmsKey, ListKmsKeys, ChangeKmsKey, GetAcl, SetAcl, GetUndelivered, IamCall, Explain, GetAccountBlock, SetAccountBlock;
    nobody: (), api::LocateMove, api::FinishMove, api::SigningKeyRequest, api::SignatureV2, api::AbandonKey, api::GetBucketConduct, api::GetLoggedBuckets, api::EnsureUser, api::EnsureIdentities, api::TransferLeadership
}

impl Asks for api::Requester {
    fn by(&self) -> Option<&api::Requester> {
        Some(self)
    }
}

/// Trioxide itself asks within this process alone: whoever calls from outside speaks for a client, whatever the message says.
pub(super) fn check<R: Asks>(cx: &CallContext, request: &R) -> Result<(), NotApplied> {
    match (&cx.peer, request.by()) {
        (_, Some(api::Requester::LogDelivery { .. })) if !R::WRITES => {
            Err(NotApplied::Refused("who delivers an access log writes, and does nothing else".to_owned()))
        }
        (Peer::Node { .. }, Some(api::Requester::System)) => {
            Err(NotApplied::Refused(format!("{:?} may not ask as the system", cx.peer)))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc::PeerRole;
    use std::time::Duration;
    use types::RequestId;

    #[test]
    fn nobody_outside_asks_as_the_system() {
        let local = CallContext::local(RequestId::from_u128(1), Duration::from_secs(1));
        let gateway = Peer::Node { role: PeerRole::Gateway, name: "g1".into() };
        let remote = CallContext { peer: gateway, ..local.clone() };
        assert_eq!(check(&local, &api::Requester::System), Ok(()));
        assert!(matches!(check(&remote, &api::Requester::System), Err(NotApplied::Refused(_))));
        assert_eq!(check(&remote, &api::Requester::anonymous()), Ok(()));
    }

    #[test]
    fn who_delivers_a_log_writes_and_does_nothing_else() {
        let cx = CallContext::local(RequestId::from_u128(1), Duration::from_secs(1));
        let by = || api::Requester::LogDelivery { of: vec![types::BucketId(7)] };
        let session = api::WriteSession {
            object: types::ObjectId(1),
            bucket: types::BucketId(7),
            opened: types::Timestamp(1),
            replication: None,
        };
        assert_eq!(check(&cx, &api::AllocateBlocks { by: by(), session, count: 1, exclude: Vec::new() }), Ok(()));
        let bucket = types::BucketPath::of_s3v(types::BucketName::parse("logs").expect("legal"));
        let refused = check(&cx, &api::DeleteBucket { by: by(), bucket });
        assert!(matches!(refused, Err(NotApplied::Refused(_))));
        assert!(matches!(check(&cx, &by()), Err(NotApplied::Refused(_))));
    }
}
