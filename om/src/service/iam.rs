//! IAM: identities asked for and changed, each call authorised within its account.

use om_api as api;
use om_core::authorise::{AdminAction, Facts, Identity, administer, explain_iam, may_iam};
use om_core::iam::{self, Call, Caller, ChangeIam, IamChange, Own, Query, Trouble, Work};
use om_core::namespace;
use om_core::rows::{AccessKeyId, IamId, UserRow};
use rpc::{CallContext, CallError};
use runtime::Entropy;
use tables::ReadTables;
use types::{IamError, IamErrorCode, IamValue};

use super::OmService;
use super::calls::{Kind, Refusal, Stop, denied, facts, scoped};
use crate::secrets::{letters, new_secret};

pub(super) type Rejected = api::IamRejected;

impl Refusal for Rejected {
    fn denied(denied: api::Denied) -> Self {
        Self::Denied(denied)
    }
}

pub(super) fn refuse(code: IamErrorCode, message: impl Into<String>) -> Stop<Rejected> {
    Stop::Rejected(Rejected::Error(IamError::new(code, message)))
}

pub(super) fn troubled(trouble: Trouble) -> Stop<Rejected> {
    match trouble {
        Trouble::Iam(error) => Stop::Rejected(Rejected::Error(error)),
        Trouble::Fault(fault) => Stop::Fault(fault),
    }
}

/// As AWS rolls them: sixteen letters behind four that tell the kind.
pub(super) fn new_id(entropy: &dyn Entropy, prefix: &str) -> String {
    format!("{prefix}{}", letters(entropy, crate::secrets::ACCESS_KEY_LETTERS, 16))
}

/// A call that may be made, and in which account.
struct Allowed {
    account: UserRow,
    call: Call,
}

impl OmService {
    pub(super) async fn iam(&self, cx: CallContext, request: api::IamCall) -> Result<IamValue, CallError<Rejected>> {
        match request.service {
            api::IamService::Iam => self.iam_call(cx, request).await,
            api::IamService::Sts => self.sts_call(cx, request).await,
            api::IamService::Delegation => self.delegation_call(cx, request).await,
            api::IamService::NativeAcl => self.native_acl_call(cx, request).await,
        }
    }

    async fn iam_call(&self, cx: CallContext, request: api::IamCall) -> Result<IamValue, CallError<Rejected>> {
        let (account, change) = {
            let answered = self
                .log
                .read(cx.deadline, |tables| {
                    let Allowed { account, call } = self.allowed(tables, &request)?;
                    Ok(match call.work {
                        Work::View(view) => Err(view.answer(tables, &account).map_err(troubled)?),
                        Work::Simulate(simulation) => Err(iam::simulate(tables, &account, &simulation).map_err(troubled)?),
                        Work::Change(change) => Ok((account, Some(change), None)),
                        Work::NewKey { user } => Ok((account, None, Some(user))),
                    })
                })
                .await?;
            match answered {
                Err(answer) => return Ok(answer),
                Ok((account, Some(change), _)) => (account, change),
                Ok((account, None, user)) => {
                    self.settle_seal(&cx).await?;
                    let access_key = AccessKeyId(new_id(&*self.entropy, "AKIA"));
                    let pair = self.sealed(access_key, &new_secret(&*self.entropy)).map_err(super::identities::sealing_failed)?;
                    (account, IamChange::CreateKey { user: user.flatten(), pair })
                }
            }
        };
        let makes_key = matches!(change, IamChange::CreateKey { .. });
        let command = ChangeIam { account: account.id, change, now: self.clock.now() };
        let changed = self.log.propose(scoped(&cx, Kind::Iam), command, cx.deadline).await;
        let answer = changed.map_err(|error| error.map_rejection(Rejected::Error))?;
        if makes_key { self.with_secret(answer) } else { Ok(answer) }
    }

    /// Tells the secret from what is kept: a retry has rolled another pair, and must show the first.
    fn with_secret(&self, mut answer: IamValue) -> Result<IamValue, CallError<Rejected>> {
        let gone = || CallError::Unknown("the access key was deleted as it was made".to_owned());
        let shown = answer.get_mut("AccessKey").ok_or_else(gone)?;
        let access_key = shown.get("AccessKeyId").and_then(IamValue::as_text).map(|id| AccessKeyId(id.to_owned()));
        let access_key = access_key.ok_or_else(gone)?;
        let row = self.log.machine().read(|tables, _| namespace::access_key(tables, &access_key));
        let row = row.map_err(|fault| CallError::Unknown(fault.to_string()))?.ok_or_else(gone)?;
        let secret = self.seal.open(&access_key, row.secret_version, &row.sealed).map_err(super::identities::sealing_failed)?;
        *shown = shown.clone().with("SecretAccessKey", IamValue::Secret(secret.to_string()));
        Ok(answer)
    }

    fn allowed(&self, tables: &dyn ReadTables, request: &api::IamCall) -> Result<Allowed, Stop<Rejected>> {
        let identity = self.identity::<Rejected>(tables, &request.by)?;
        let facts = facts(&request.by, self.clock.now());
        let query = Query(&request.parameters);
        let own = match &identity {
            Identity::User(account) => Some(account.clone()),
            Identity::Member(member) => Some(member.account.clone()),
            Identity::System => None,
            Identity::Anonymous | Identity::LogDelivery(_) => return Err(denied(om_core::authorise::Denied::AccessDenied)),
        };
        // As in AWS: what GetSessionToken gives opens S3, and is not to make itself permanent.
        if matches!(&identity, Identity::Member(member) if member.is_temporary() && !member.has_role()) {
            self.refused(&request.by, &identity, || format!("iam:{}: a credential of this kind opens no IAM", request.action));
            return Err(denied(om_core::authorise::Denied::AccessDenied));
        }
        check_parameters(&request.parameters)?;
        let is_elsewhere = administer(&identity, AdminAction::Administer, None, &facts).is_ok();
        let named = self.named_account(tables, own.as_ref(), &request.action, query, is_elsewhere)?;
        let (account, means_account) = match (named, own) {
            (Some(named), _) => named,
            (None, Some(own)) => (own, false),
            (None, None) => return Err(refuse(IamErrorCode::ValidationError, "AccountId is missing")),
        };
        let own = match &identity {
            Identity::Member(member) if member.account.id == account.id && !member.is_root() => {
                member.user_name().map_or(Own::Nobody, Own::User)
            }
            _ => Own::Root,
        };
        let mut roll = |prefix: &'static str| IamId(new_id(&*self.entropy, prefix));
        let caller = Caller { own, means_account };
        let call = iam::read(&request.action, query, caller, &mut roll);
        // Who may nothing is told so first, whatever is wrong with what they ask.
        let subject = call.as_ref().map_or(iam::Subject::Account, |call| call.subject.clone());
        let also = call.as_ref().ok().and_then(|call| call.also.clone());
        let tags = query.tags().unwrap_or_default();
        let facts = Facts { tags: &tags, ..facts };
        let mut more = conditions(query);
        if let Some((_, known)) = more.iter_mut().find(|(key, _)| key == "iam:PolicyARN") {
            // As it is written, whatever the case in which it is asked for.
            for arn in known {
                *arn = iam::Subject::Arn(arn.clone()).arn(tables, &account)?;
            }
        }
        let action = format!("iam:{}", request.action);
        for subject in [Some(subject), also].into_iter().flatten() {
            let arn = subject.arn(tables, &account)?;
            may_iam(&identity, &action, &arn, &more, &facts).map_err(|why| {
                self.refused(&request.by, &identity, || explain_iam(&identity, &action, &arn, &more, &facts));
                denied(why)
            })?;
        }
        let call = call.map_err(|error| Stop::Rejected(Rejected::Error(error)))?;
        Ok(Allowed { account, call })
    }

    /// Another account that the call is about, and whether it means that account itself: named outright by administrators, and
    /// then by its own id in the place of a user's; or, where the configuration lets it, by that alone, as Ceph has it.
    fn named_account(
        &self,
        tables: &dyn ReadTables,
        own: Option<&UserRow>,
        action: &str,
        query: Query<'_>,
        administers: bool,
    ) -> Result<Option<(UserRow, bool)>, Stop<Rejected>> {
        let user = query.text("UserName").filter(|_| action.contains("UserPolic"));
        if let Some(id) = query.text("AccountId") {
            // Who may not look there does not learn what is there.
            if !administers {
                return Err(denied(om_core::authorise::Denied::AccessDenied));
            }
            let found = iam::account_by_id(tables, id)?;
            let account = found.ok_or_else(|| refuse(IamErrorCode::NoSuchEntity, format!("there is no account {id}")))?;
            let means_account = user.is_some_and(|name| name == account.id.0);
            return Ok(Some((account, means_account)));
        }
        let Some(name) = user.filter(|_| administers && self.config.accounts_as_users) else { return Ok(None) };
        if let Some(own) = own
            && iam::user(tables, &own.id, name)?.is_some()
        {
            return Ok(None);
        }
        Ok(iam::account_by_id(tables, name)?.map(|account| (account, true)))
    }
}

/// That nothing of them would be lost: lists are whole, and answers can show what they name, since XML has no form for all characters.
pub(super) fn check_parameters(parameters: &[(String, String)]) -> Result<(), Stop<Rejected>> {
    Query(parameters).check_lists().map_err(|error| Stop::Rejected(Rejected::Error(error)))?;
    let is_legal =
        |char: char| matches!(char, '\t' | '\n' | '\r') || (!char.is_control() && !matches!(char, '\u{fffe}' | '\u{ffff}'));
    let wrong = parameters.iter().find(|(name, value)| !name.chars().chain(value.chars()).all(is_legal));
    match wrong {
        Some((name, _)) => Err(refuse(IamErrorCode::ValidationError, format!("{name:?} holds control characters"))),
        None => Ok(()),
    }
}

/// IAM's own condition keys, as far as calls have them.
fn conditions(query: Query<'_>) -> Vec<(String, Vec<String>)> {
    const KEYS: [(&str, &str); 2] = [("iam:PolicyARN", "PolicyArn"), ("iam:PermissionsBoundary", "PermissionsBoundary")];
    let of = |(key, field): (&str, &str)| Some((key.to_owned(), vec![query.text(field)?.to_owned()]));
    KEYS.into_iter().filter_map(of).collect()
}
