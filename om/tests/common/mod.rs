//! An OM of one member in a folder, over an SCM in memory.
#![expect(dead_code, reason = "each test file uses its share")]

mod scm;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use om::{Config, MasterKey, OmMachine, OmService, StartError};
use om_api::*;
use raft_node::{CompactionPolicy, Group, HostConfig, NoPeers, RaftHost, StateMachine};
use rpc::{CallContext, CallError, PeerRole};
use runtime::{Entropy, ManualClock, SeededEntropy, Shutdown, SystemEntropy};
use scm_api::Scm;
use types::*;

pub(crate) use scm::FakeScm;

pub(crate) const START: Timestamp = Timestamp(1_700_000_000_000);
pub(crate) const ROOT: &str = "root";

pub(crate) struct Node {
    pub(crate) om: Arc<OmService>,
    pub(crate) scm: Arc<FakeScm>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) machine: Arc<OmMachine>,
    pub(crate) group: Group,
    shutdown: Shutdown,
}

pub(crate) fn config() -> Config {
    Config {
        block_size: 1 << 20,
        min_part: 5,
        reclaim_every: Duration::from_millis(20),
        cleanup_every: Duration::from_millis(20),
        ..Config::new(MasterKey::new([7; 32]), Replication::One)
    }
}

impl Node {
    pub(crate) async fn start(dir: &Path) -> Self {
        Self::start_with(dir, config(), Arc::new(FakeScm::default())).await
    }

    pub(crate) async fn start_with(dir: &Path, config: Config, scm: Arc<FakeScm>) -> Self {
        Self::try_start(dir, config, scm).await.expect("the service starts")
    }

    pub(crate) async fn try_start(dir: &Path, config: Config, scm: Arc<FakeScm>) -> Result<Self, StartError> {
        let shutdown = Shutdown::default();
        // The machine's own storage is written only at a clean stop, so that a test of a crash is one.
        let compaction = CompactionPolicy { flush_every: Duration::from_secs(3600), ..CompactionPolicy::default() };
        let host_config = HostConfig { compaction, ..HostConfig::new(dir.join("raft"), PeerRole::Om) };
        let host = RaftHost::open(host_config, Arc::new(NoPeers), shutdown.clone()).await.expect("the log opens");
        let machine = om::open_machine(&dir.join("om")).expect("the tables open");
        let me = MemberId(1);
        let running = host.start_group(GroupId(1), me, Arc::clone(&machine) as Arc<dyn StateMachine>).await;
        let group = running.expect("the group runs");
        if !group.is_initialised() {
            let members = [(me, Endpoint("local".to_owned()))].into();
            group.bootstrap(members).await.expect("a new group");
        }
        group.leadership().wait_for(|now| now.is_me).await.expect("a group of one leads");
        let clock = Arc::new(ManualClock::at(START));
        let om = OmService::start(
            config,
            group.clone(),
            Arc::clone(&machine),
            Arc::clone(&scm) as Arc<dyn Scm>,
            Arc::clone(&clock) as Arc<dyn runtime::Clock>,
            Arc::new(SystemEntropy),
            shutdown.clone(),
        );
        Ok(Self { om: om?, scm, clock, machine, group, shutdown })
    }

    pub(crate) async fn stop(self) {
        self.shutdown.start();
        assert!(self.shutdown.drained(Duration::from_secs(20)).await, "everything ends");
    }

    pub(crate) async fn ensure(&self, id: &str, is_admin: bool) -> Requester {
        let secret = format!("secret-of-{id}");
        self.ensure_with(id, is_admin, &secret).await;
        self.signed(id).await
    }

    pub(crate) async fn ensure_with(&self, id: &str, is_admin: bool, secret: &str) -> UserInfo {
        let request = EnsureUser { is_admin, ..wanted(id, secret) };
        self.om.ensure_user(cx(), request).await.expect("a good user")
    }

    /// A requester as a gateway would name them after verifying a signature now.
    pub(crate) async fn signed(&self, id: &str) -> Requester {
        let access_key = AccessKeyId(format!("AK{id}"));
        let key = self.om.signing_key(cx(), signing(&access_key)).await.expect("a known access key");
        Requester::signed(access_key, key.secret_version)
    }

    pub(crate) async fn create_bucket(&self, by: &Requester, name: &str) -> BucketInfo {
        let request = CreateBucket {
            by: by.clone(),
            bucket: bucket(name),
            location: None,
            owner: None,
            object_lock: false,
            ownership: None,
        };
        self.om.create_bucket(cx(), request).await.expect("a new bucket")
    }

    pub(crate) async fn open(&self, by: &Requester, in_bucket: &str, at: &str) -> OpenedKey {
        let request = OpenKey {
            by: by.clone(),
            bucket: bucket(in_bucket),
            key: key(at),
            size: Some(10),
            condition: WriteCondition::Always,
            locks: false,
            encryption: None,
            storage_class: None,
            appends_to: None,
        };
        self.om.open_key(cx(), request).await.expect("may be written")
    }

    pub(crate) async fn put(&self, by: &Requester, in_bucket: &str, at: &str, size: u64) -> KeyCommitted {
        let opened = self.open(by, in_bucket, at).await;
        self.om.commit_key(cx(), commit(by, &opened, in_bucket, at, size)).await.expect("a good commit")
    }

    pub(crate) async fn look_up(
        &self,
        by: &Requester,
        in_bucket: &str,
        at: &str,
    ) -> Result<ObjectRead, CallError<LookupRejected>> {
        self.om.lookup_key(cx(), lookup(by, in_bucket, at)).await
    }

    pub(crate) async fn delete(&self, by: &Requester, in_bucket: &str, at: &str) {
        let deletion = KeyDeletion::of(key(at));
        let request = DeleteKey { by: by.clone(), bucket: bucket(in_bucket), deletion };
        self.om.delete_key(cx(), request).await.expect("may be deleted");
    }

    pub(crate) fn check_invariants(&self) {
        let violations = self.machine.read(|tables, _| om_core::invariants::violations(tables));
        assert_eq!(violations.expect("readable"), Vec::<String>::new());
    }

    /// Waits until the background has brought something about.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..1_000 {
            if holds(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never: {what}");
    }
}

pub(crate) fn cx() -> CallContext {
    CallContext::local(RequestId::from_u128(SystemEntropy.u128()), Duration::from_secs(10))
}

pub(crate) fn seeded(seed: u64) -> Arc<dyn Entropy> {
    Arc::new(SeededEntropy::new(seed))
}

/// In `s3v`, or as `volume:name`.
pub(crate) fn bucket(name: &str) -> BucketPath {
    BucketAddress::parse(name).expect("legal").within(VolumeName::s3v_ref())
}

pub(crate) fn wanted(id: &str, secret: &str) -> EnsureUser {
    EnsureUser {
        user: DisplayUser { id: UserId(id.into()), display_name: format!("{id} of Trioxide") },
        email: None,
        is_admin: false,
        pair: Some(KeyPair { access_key: AccessKeyId(format!("AK{id}")), secret_key: SecretKey(secret.into()) }),
        volume: None,
    }
}

pub(crate) fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).expect("legal")
}

pub(crate) fn etag(n: u8) -> ETag {
    ETag::whole(Md5([n; 16]))
}

pub(crate) fn signing(access_key: &AccessKeyId) -> SigningKeyRequest {
    SigningKeyRequest {
        access_key: access_key.clone(),
        date: "20260101".into(),
        region: "us-east-1".into(),
        service: "s3".into(),
    }
}

/// All of the session's first block.
pub(crate) fn commit(by: &Requester, opened: &OpenedKey, in_bucket: &str, at: &str, size: u64) -> CommitKey {
    let blocks = opened.blocks.first().map(|location| CommittedBlock { block: location.block, length: size });
    CommitKey {
        by: by.clone(),
        session: opened.session.clone(),
        bucket: bucket(in_bucket),
        key: key(at),
        blocks: blocks.into_iter().collect(),
        etag: etag(1),
        checksum: None,
        attributes: ObjectAttributes::default(),
        condition: WriteCondition::Always,
        lock: None,
    }
}

pub(crate) fn lookup(by: &Requester, in_bucket: &str, at: &str) -> LookupKey {
    LookupKey {
        by: by.clone(),
        bucket: bucket(in_bucket),
        key: key(at),
        version: None,
        wanted: BlocksWanted::All,
        pinned: None,
        refresh: false,
        purpose: LookupPurpose::Object,
    }
}

pub(crate) fn list(by: &Requester, in_bucket: &str) -> ListKeys {
    ListKeys {
        by: by.clone(),
        bucket: bucket(in_bucket),
        prefix: String::new(),
        delimiter: None,
        start: ListStart::Beginning,
        limit: 1_000,
    }
}

/// A copy of a member's folder as a crash would leave it.
pub(crate) fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("readable").is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copies");
        }
    }
}
