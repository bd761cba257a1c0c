//! How the members of a replicated role find together, once, without a manual step.
//!
//! A member's id is its log's identity: a member whose disk was wiped must come back under a new id, or it could vote against
//! what it once acknowledged. So an id is written down before its log is, and there are two ways to get one:
//!
//! - *Founding.* The first in the configuration founds the group, and only if every other configured member answers that it
//!   has no log. It hands out ids; each member writes its own down before it accepts; then the founder bootstraps.
//! - *Joining.* A member without an id that finds the group founded asks the leader, which gives it an id that was never
//!   used, admits it as a learner, makes it a voter once it has caught up, and removes the id that had its endpoint before.
//!
//! A founder that was wiped finds the others with a log, and joins like anybody else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use minicbor::{Decode, Encode};
use parking_lot::Mutex;
use raft_node::{Group, MembershipError, RaftHost, StateMachine};
use rpc::{CallContext, CallError, Connect, Never};
use runtime::{Entropy, Shutdown};
use tokio::sync::Notify;
use tracing::{info, warn};
use types::{Endpoint, GroupId, MemberId, RequestId};

/// Ids of founders; every later id is a log index above them.
const FOUNDING_IDS: u64 = 64;

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Standing {
    #[n(0)]
    pub member: Option<MemberId>,
    /// It has a log: the group was founded.
    #[n(1)]
    pub has_log: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Invitation {
    #[n(0)]
    pub member: MemberId,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum InvitationRejected {
    #[n(0)]
    #[error("a member already")]
    IsMember(#[n(0)] MemberId),
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Admission {
    #[n(0)]
    pub member: MemberId,
    #[n(1)]
    pub endpoint: Endpoint,
}

rpc::service! {
    /// Between the members of one role.
    pub trait Formation = 3, client FormationClient, server FormationServer {
        1 standing(()) -> Standing, rejects Never, from [Om, Scm];
        2 invite(Invitation) -> (), rejects InvitationRejected, from [Om, Scm];
        /// The leader's: an id that was never used.
        3 new_id(()) -> MemberId, rejects Never, from [Om, Scm];
        /// The leader's: the member with this id runs at this endpoint; whoever was there before is gone.
        4 admit(Admission) -> (), rejects Never, from [Om, Scm];
    }
}

/// What is on disk about this process's membership.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
struct Membership {
    #[n(0)]
    member: MemberId,
    /// The founder's list, until the group is bootstrapped.
    #[n(1)]
    founding: Option<Vec<(MemberId, Endpoint)>>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum FormationError {
    #[error("membership file {}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("membership file {} is damaged", .0.display())]
    Damaged(PathBuf),
    #[error("starting the Raft member: {0}")]
    Start(#[from] raft_node::OpenError),
    #[error("shut down before the group was formed")]
    Shutdown,
}

/// The configured members of a role, and which of them this is.
#[derive(Debug, Clone)]
pub(crate) struct Roster {
    pub(crate) me: Endpoint,
    /// In the order of their names; the first founds the group.
    pub(crate) all: Vec<Endpoint>,
}

impl Roster {
    pub(crate) fn is_founder(&self) -> bool {
        self.all.first() == Some(&self.me)
    }

    pub(crate) fn others(&self) -> impl Iterator<Item = &Endpoint> {
        self.all.iter().filter(|endpoint| **endpoint != self.me)
    }
}

/// One role's membership on this process: answers the other members, and brings this one in.
pub(crate) struct Forming {
    path: PathBuf,
    state: Mutex<State>,
    invited: Notify,
    entropy: Arc<dyn Entropy>,
}

#[derive(Default)]
struct State {
    membership: Option<Membership>,
    group: Option<Group>,
}

impl Forming {
    pub(crate) fn open(data: &Path, entropy: Arc<dyn Entropy>) -> Result<Arc<Self>, FormationError> {
        let path = data.join("member");
        let membership = match std::fs::read(&path) {
            Ok(bytes) => Some(minicbor::decode(&bytes).map_err(|_| FormationError::Damaged(path.clone()))?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(source) => return Err(FormationError::File { path, source }),
        };
        let state = Mutex::new(State { membership, group: None });
        Ok(Arc::new(Self { path, state, invited: Notify::new(), entropy }))
    }

    /// Runs until this process is a member with a running Raft group.
    pub(crate) async fn run(
        &self,
        roster: &Roster,
        group: GroupId,
        host: &RaftHost,
        machine: Arc<dyn StateMachine>,
        connect: &dyn Connect,
        shutdown: &Shutdown,
    ) -> Result<Group, FormationError> {
        let mut joined = false;
        while self.member().is_none() {
            if shutdown.has_started() {
                return Err(FormationError::Shutdown);
            }
            match self.find_a_way_in(roster, connect).await? {
                WayIn::Member => {}
                WayIn::Joined => joined = true,
                WayIn::Wait => {
                    let _ = tokio::time::timeout(Duration::from_millis(300), self.invited.notified()).await;
                }
            }
        }
        let Some(membership) = self.state.lock().membership.clone() else { return Err(FormationError::Shutdown) };
        let running = host.start_group(group, membership.member, machine).await?;
        self.state.lock().group = Some(running.clone());
        if let Some(founding) = &membership.founding
            && !running.is_initialised()
        {
            self.bootstrap(&running, founding, shutdown).await?;
        }
        if joined || !running.is_initialised() {
            self.ask_admission(&running, membership.member, roster, connect, shutdown).await?;
        }
        Ok(running)
    }

    fn member(&self) -> Option<MemberId> {
        self.state.lock().membership.as_ref().map(|m| m.member)
    }

    /// Durable before it is answered: an id in use is on its disk.
    fn write_down(&self, membership: Membership) -> Result<(), FormationError> {
        let fail = |source| FormationError::File { path: self.path.clone(), source };
        let bytes = encode(&membership);
        crate::files::write_durably(&self.path, &bytes).map_err(fail)?;
        info!(member = %membership.member, "membership written down");
        self.state.lock().membership = Some(membership);
        Ok(())
    }

    async fn find_a_way_in(&self, roster: &Roster, connect: &dyn Connect) -> Result<WayIn, FormationError> {
        let mut standings = BTreeMap::new();
        let mut unreachable = 0;
        for other in roster.others() {
            match self.client(connect, other).standing(self.cx(Duration::from_secs(2)), ()).await {
                Ok(standing) => {
                    standings.insert(other.clone(), standing);
                }
                Err(error) => {
                    info!(%other, %error, "a member does not answer yet");
                    unreachable += 1;
                }
            }
        }
        if standings.values().any(|s| s.has_log) {
            return self.take_new_id(roster, connect).await;
        }
        if !roster.is_founder() || unreachable > 0 {
            return Ok(WayIn::Wait);
        }
        self.found(roster, &standings, connect).await
    }

    /// Ids for all, kept where one was accepted in an earlier try of ours.
    async fn found(
        &self,
        roster: &Roster,
        standings: &BTreeMap<Endpoint, Standing>,
        connect: &dyn Connect,
    ) -> Result<WayIn, FormationError> {
        let mut used: Vec<u64> = standings.values().filter_map(|s| s.member.map(|m| m.0)).collect();
        let mut next_free = || {
            let id = (1..FOUNDING_IDS).find(|id| !used.contains(id)).unwrap_or(FOUNDING_IDS);
            used.push(id);
            MemberId(id)
        };
        let mut founding = vec![(next_free(), roster.me.clone())];
        for (endpoint, standing) in standings {
            let member = standing.member.unwrap_or_else(&mut next_free);
            if standing.member.is_none() {
                let invitation = Invitation { member };
                if let Err(error) = self.client(connect, endpoint).invite(self.cx(Duration::from_secs(2)), invitation).await {
                    warn!(%endpoint, %error, "an invitation was not accepted; trying again");
                    return Ok(WayIn::Wait);
                }
            }
            founding.push((member, endpoint.clone()));
        }
        self.write_down(Membership { member: founding[0].0, founding: Some(founding) })?;
        Ok(WayIn::Member)
    }

    async fn bootstrap(
        &self,
        group: &Group,
        founding: &[(MemberId, Endpoint)],
        shutdown: &Shutdown,
    ) -> Result<(), FormationError> {
        // Between our own start and now nobody else can have founded: only this process may, and its id is on its disk.
        let members: BTreeMap<MemberId, Endpoint> = founding.iter().cloned().collect();
        loop {
            match group.bootstrap(members.clone()).await {
                Ok(()) => break,
                Err(raft_node::BootstrapError::AlreadyInitialised) => break,
                Err(error) => warn!(%error, "bootstrapping failed; trying again"),
            }
            if shutdown.has_started() {
                return Err(FormationError::Shutdown);
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        info!(members = members.len(), "founded the Raft group");
        Ok(())
    }

    async fn take_new_id(&self, roster: &Roster, connect: &dyn Connect) -> Result<WayIn, FormationError> {
        for other in roster.others() {
            match self.client(connect, other).new_id(self.cx(Duration::from_secs(5)), ()).await {
                Ok(member) => {
                    self.write_down(Membership { member, founding: None })?;
                    return Ok(WayIn::Joined);
                }
                Err(error) => info!(%other, %error, "no new id from here"),
            }
        }
        Ok(WayIn::Wait)
    }

    /// Until the leader has us among its members: a joiner, or a member that was invited and is waiting for its first entry.
    async fn ask_admission(
        &self,
        group: &Group,
        member: MemberId,
        roster: &Roster,
        connect: &dyn Connect,
        shutdown: &Shutdown,
    ) -> Result<(), FormationError> {
        let admission = Admission { member, endpoint: roster.me.clone() };
        let is_in = |group: &Group| group.status().members.iter().any(|m| m.id == member);
        while !is_in(group) {
            if shutdown.has_started() {
                return Err(FormationError::Shutdown);
            }
            let founders = member.0 <= FOUNDING_IDS;
            if !founders {
                for other in roster.others() {
                    match self.client(connect, other).admit(self.cx(Duration::from_secs(20)), admission.clone()).await {
                        Ok(()) => break,
                        Err(error) => info!(%other, %error, "not admitted from here"),
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    fn client(&self, connect: &dyn Connect, endpoint: &Endpoint) -> FormationClient<Arc<dyn rpc::Caller>> {
        FormationClient(connect.caller(endpoint))
    }

    fn cx(&self, timeout: Duration) -> CallContext {
        CallContext::local(RequestId::from_u128(self.entropy.u128()), timeout)
    }

    fn leading(&self) -> Result<Group, CallError<Never>> {
        let group = self.state.lock().group.clone().ok_or_else(|| CallError::unavailable("not started yet"))?;
        if group.is_leader() { Ok(group) } else { Err(CallError::not_leader(group.leader().map(|(_, endpoint)| endpoint))) }
    }
}

enum WayIn {
    Member,
    Joined,
    Wait,
}

#[rpc::async_trait]
impl Formation for Forming {
    async fn standing(&self, _: CallContext, (): ()) -> Result<Standing, CallError<Never>> {
        let state = self.state.lock();
        Ok(Standing {
            member: state.membership.as_ref().map(|m| m.member),
            has_log: state.group.as_ref().is_some_and(Group::is_initialised),
        })
    }

    async fn invite(&self, _: CallContext, invitation: Invitation) -> Result<(), CallError<InvitationRejected>> {
        match self.member() {
            Some(member) if member == invitation.member => Ok(()),
            Some(member) => Err(CallError::Rejected(InvitationRejected::IsMember(member))),
            None => {
                self.write_down(Membership { member: invitation.member, founding: None }).map_err(CallError::unavailable)?;
                self.invited.notify_one();
                Ok(())
            }
        }
    }

    async fn new_id(&self, cx: CallContext, (): ()) -> Result<MemberId, CallError<Never>> {
        let group = self.leading()?;
        loop {
            let id = group.allocate_member_id(cx.deadline).await?;
            if id.0 > FOUNDING_IDS {
                return Ok(id);
            }
        }
    }

    async fn admit(&self, cx: CallContext, admission: Admission) -> Result<(), CallError<Never>> {
        let group = self.leading()?;
        let members = group.status().members;
        if !members.iter().any(|m| m.id == admission.member) {
            group.add_learner(admission.member, admission.endpoint.clone(), cx.deadline).await.map_err(unchanged)?;
        }
        // Who had this endpoint before lost its disk: its id must never vote again.
        for former in members.iter().filter(|m| m.endpoint == admission.endpoint && m.id != admission.member) {
            warn!(former = %former.id, now = %admission.member, "a wiped member comes back under a new id");
            group.remove(former.id, cx.deadline).await.map_err(unchanged)?;
        }
        group.promote(admission.member, cx.deadline).await.map_err(unchanged)?;
        info!(member = %admission.member, "a new member votes");
        Ok(())
    }
}

/// Admission is asked for until it is done, so what is left of a try that failed does no harm.
fn unchanged(error: MembershipError) -> CallError<Never> {
    match error {
        MembershipError::Propose(error) => error.into(),
        other => CallError::unavailable(other),
    }
}

fn encode(membership: &Membership) -> Vec<u8> {
    let mut bytes = Vec::new();
    #[expect(clippy::expect_used, reason = "a Vec takes every byte")]
    minicbor::encode(membership, &mut bytes).expect("a Vec takes every byte");
    bytes
}
