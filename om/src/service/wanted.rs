//! Identities that a configuration names: made and changed until they are as it says.

use om_api as api;
use om_core::iam::{ChangeIam, IamChange, NoPlan, Planned, Wanted, WantedGroup, WantedHolding, WantedRole, WantedUser, plan};
use om_core::namespace;
use om_core::rows::{AccessKeyRow, IamId, InlinePolicy, UserId};
use rpc::{CallContext, CallError};
use tracing::warn;

use super::OmService;
use super::calls::Stop;
use super::iam::new_id;
use super::identities::sealing_failed;
use crate::convert::IntoCore;

type Rejected = api::EnsureIdentitiesRejected;

impl OmService {
    /// Answers how many changes it took. Each is an entry of its own: what was done before one that cannot be done stays.
    pub(super) async fn ensure_identities(
        &self,
        cx: CallContext,
        request: api::EnsureIdentities,
    ) -> Result<u32, CallError<Rejected>> {
        let pairs: Vec<(String, api::KeyPair)> =
            request.users.iter().filter_map(|user| Some((user.name.clone(), user.pair.clone()?))).collect();
        let account = request.account.clone().into_core();
        let wanted = request.into_core();
        let planned = self
            .log
            .read(cx.deadline, |tables| {
                let row = namespace::user(tables, &account)?.ok_or(Stop::Rejected(Rejected::NoSuchAccount))?;
                let mut roll = |prefix: &'static str| IamId(new_id(&*self.entropy, prefix));
                plan(tables, &row, &wanted, &mut roll).map_err(|error| match error {
                    NoPlan::Unfit { what, why } => Stop::Rejected(Rejected::Unfit { what, why }),
                    NoPlan::Fault(fault) => Stop::Fault(fault),
                })
            })
            .await?;
        let mut made = 0;
        for change in planned {
            self.make_so(&cx, &account, change).await?;
            made += 1;
        }
        for (user, pair) in pairs {
            made += u32::from(self.ensure_pair(&cx, &account, user, pair).await?);
        }
        Ok(made)
    }

    async fn make_so(&self, cx: &CallContext, account: &UserId, planned: Planned) -> Result<(), CallError<Rejected>> {
        let Planned { what, change } = planned;
        // Without the call's id: it makes many of these, and each is the same when it is done twice.
        let command = ChangeIam { account: account.clone(), change, now: self.clock.now() };
        let changed = self.log.propose(None, command, cx.deadline).await;
        changed.map(drop).map_err(|error| error.map_rejection(|why| Rejected::Unfit { what, why }))
    }

    /// Whether there was something to change.
    async fn ensure_pair(
        &self,
        cx: &CallContext,
        account: &UserId,
        user: String,
        pair: api::KeyPair,
    ) -> Result<bool, CallError<Rejected>> {
        let access_key = pair.access_key.clone().into_core();
        let (known, is_revoked) = self
            .log
            .read(cx.deadline, |tables| {
                let (row, is_revoked) =
                    (namespace::access_key(tables, &access_key)?, namespace::is_revoked(tables, &access_key)?);
                Ok::<_, Stop<Rejected>>((row, is_revoked))
            })
            .await?;
        if is_revoked {
            warn!(?account, user, %pair.access_key, "the configuration names an access key that was revoked: it stays so");
            return Ok(false);
        }
        let is_theirs = |row: &AccessKeyRow| {
            row.user == *account && row.holder.as_deref().is_some_and(|holder| holder.eq_ignore_ascii_case(&user))
        };
        if known.is_some_and(|row| is_theirs(&row) && self.holds(&pair, &row)) {
            return Ok(false);
        }
        self.settle_seal(cx).await?;
        let sealed = self.sealed(access_key, &pair.secret_key.0).map_err(sealing_failed)?;
        let what = format!("user {user:?}: access key {}", pair.access_key);
        self.make_so(cx, account, Planned { what, change: IamChange::EnsureKey { user, pair: sealed } }).await?;
        Ok(true)
    }
}

impl IntoCore for api::NamedPolicy {
    type Core = InlinePolicy;
    fn into_core(self) -> InlinePolicy {
        InlinePolicy { name: self.name, text: self.text }
    }
}

impl IntoCore for api::WantedHolding {
    type Core = WantedHolding;
    fn into_core(self) -> WantedHolding {
        WantedHolding { policies: self.policies, inline: self.inline.into_core() }
    }
}

impl IntoCore for api::WantedGroup {
    type Core = WantedGroup;
    fn into_core(self) -> WantedGroup {
        WantedGroup { name: self.name, holding: self.holding.into_core() }
    }
}

impl IntoCore for api::WantedUser {
    type Core = WantedUser;
    fn into_core(self) -> WantedUser {
        let Self { name, groups, holding, boundary, pair: _ } = self;
        WantedUser { name, groups, holding: holding.into_core(), boundary }
    }
}

impl IntoCore for api::WantedRole {
    type Core = WantedRole;
    fn into_core(self) -> WantedRole {
        let Self { name, trust, holding, boundary, max_session } = self;
        WantedRole { name, trust, holding: holding.into_core(), boundary, max_session }
    }
}

impl IntoCore for api::EnsureIdentities {
    type Core = Wanted;
    fn into_core(self) -> Wanted {
        let Self { account: _, policies, groups, users, roles } = self;
        Wanted { policies: policies.into_core(), groups: groups.into_core(), users: users.into_core(), roles: roles.into_core() }
    }
}
