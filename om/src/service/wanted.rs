//! Identities that a configuration names: made and changed until they are as it says.

use om_api as api;
use om_core::iam::{
    ChangeIam, IamChange, NoPlan, Plan, Planned, Unmade, Wanted, WantedGroup, WantedHolding, WantedRole, WantedUser, plan,
};
use om_core::namespace;
use om_core::rows::{AccessKeyRow, IamId, InlinePolicy, UserId};
use rpc::{CallContext, CallError};
use tracing::warn;
use types::IamError;

use super::OmService;
use super::calls::Stop;
use super::iam::new_id;
use super::identities::sealing_failed;
use crate::convert::{IntoApi, IntoCore};

type Rejected = api::EnsureIdentitiesRejected;

impl OmService {
    /// Answers how many changes it took. Each is an entry of its own. One that the account does not admit ends those of the same user,
    /// group, role or policy, and no others: what an account's own people did must not keep the rest of a configuration away.
    pub(super) async fn ensure_identities(
        &self,
        cx: CallContext,
        request: api::EnsureIdentities,
    ) -> Result<u32, CallError<Rejected>> {
        let pairs: Vec<(String, api::KeyPair)> =
            request.users.iter().filter_map(|user| Some((user.name.clone(), user.pair.clone()?))).collect();
        let account = request.account.clone().into_core();
        let wanted = request.into_core();
        let Plan { planned, mut unmade } = self
            .log
            .read(cx.deadline, |tables| {
                let row = namespace::user(tables, &account)?.ok_or(Stop::Rejected(Rejected::NoSuchAccount))?;
                let mut roll = |prefix: &'static str| IamId(new_id(&*self.entropy, prefix));
                plan(tables, &row, &wanted, &mut roll).map_err(|error| match error {
                    NoPlan::Unfit { what, why } => Stop::Rejected(Rejected::Unfit { what, why }),
                    NoPlan::Unmade(one) => Stop::Rejected(Rejected::Incomplete { unmade: vec![one.into_api()], made: 0 }),
                    NoPlan::Fault(fault) => Stop::Fault(fault),
                })
            })
            .await?;
        let mut made = 0;
        for Planned { what, change } in planned {
            if unmade.iter().any(|one| one.what == what) {
                continue;
            }
            match self.make_so(&cx, &account, change).await? {
                Ok(()) => made += 1,
                Err(why) => unmade.push(Unmade { what, why }),
            }
        }
        for (user, pair) in pairs {
            let what = format!("user {user:?}");
            match self.ensure_pair(&cx, &account, user, pair).await? {
                Ok(is_new) => made += u32::from(is_new),
                Err(why) => unmade.push(Unmade { what, why }),
            }
        }
        if unmade.is_empty() {
            return Ok(made);
        }
        Err(CallError::Rejected(Rejected::Incomplete { unmade: unmade.into_iter().map(IntoApi::into_api).collect(), made }))
    }

    async fn make_so(
        &self,
        cx: &CallContext,
        account: &UserId,
        change: IamChange,
    ) -> Result<Result<(), IamError>, CallError<Rejected>> {
        // Without the call's id: it makes many of these, and each is the same when it is done twice.
        let command = ChangeIam { account: account.clone(), change, now: self.clock.now() };
        match self.log.propose(None, command, cx.deadline).await {
            Ok(_) => Ok(Ok(())),
            Err(CallError::Rejected(why)) => Ok(Err(why)),
            Err(CallError::NotApplied(why)) => Err(CallError::NotApplied(why)),
            Err(CallError::Unknown(why)) => Err(CallError::Unknown(why)),
        }
    }

    /// Whether there was something to change.
    async fn ensure_pair(
        &self,
        cx: &CallContext,
        account: &UserId,
        user: String,
        pair: api::KeyPair,
    ) -> Result<Result<bool, IamError>, CallError<Rejected>> {
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
            warn!(?account, user, %pair.access_key, "the configuration names an access key that was revoked or replaced: it stays so, another one is needed");
            return Ok(Ok(false));
        }
        let is_theirs = |row: &AccessKeyRow| {
            row.user == *account && row.holder.as_deref().is_some_and(|holder| holder.eq_ignore_ascii_case(&user))
        };
        if known.is_some_and(|row| is_theirs(&row) && self.holds(&pair, &row)) {
            return Ok(Ok(false));
        }
        self.settle_seal(cx).await?;
        let sealed = self.sealed(access_key, &pair.secret_key.0).map_err(sealing_failed)?;
        let ensured = self.make_so(cx, account, IamChange::EnsureKey { user, pair: sealed }).await?;
        let told = |why: IamError| IamError { message: format!("access key {}: {}", pair.access_key, why.message), ..why };
        Ok(ensured.map(|()| true).map_err(told))
    }
}

impl IntoApi for Unmade {
    type Api = api::Unmade;
    fn into_api(self) -> api::Unmade {
        api::Unmade { what: self.what, why: self.why }
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
