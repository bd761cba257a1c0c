//! STS: temporary credentials, and who a credential is.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use om_api as api;
use om_core::OpenCredential;
use om_core::authorise::{Denied, Identity, Sts, may_assume};
use om_core::iam::{self, Kind as Named, Query, account_by_id, arn, split_arn};
use om_core::policy::{Policy, PolicyKind};
use om_core::rows::{AccessKeyId, CredentialHolder, CredentialRow, Delegation, Principal, RoleRow, TokenDigest, UserId, UserRow};
use rpc::{CallContext, CallError};
use sha2::{Digest, Sha256};
use tables::ReadTables;
use types::{IamErrorCode, IamValue, LogIndex, Millis};
use zeroize::Zeroizing;

use super::OmService;
use super::calls::{Stop, denied, facts};
use super::iam::{Rejected, check_parameters, new_id, refuse};
use crate::convert::IntoCore;
use crate::secrets::new_secret;

const SHORTEST_SECONDS: u32 = 900;
/// Of a session that a session opens.
const LONGEST_CHAINED_SECONDS: u32 = 3_600;
const LONGEST_TOKEN_SECONDS: u32 = 129_600;
const MOST_SESSION_POLICIES: usize = 10;
const MOST_POLICY_TEXT: usize = 2_048;

/// A session to be opened.
pub(super) struct Session {
    pub(super) account: UserRow,
    pub(super) holder: CredentialHolder,
    pub(super) lasts: Millis,
    pub(super) policies: Vec<String>,
    pub(super) tags: Vec<(String, String)>,
    pub(super) claims: Vec<(String, Vec<String>)>,
    pub(super) provider: Option<String>,
    /// The key that asks for it, if it is to last no longer than that, and the version of its secret.
    pub(super) parent: Option<(AccessKeyId, u64)>,
    /// Of a delegation token.
    pub(super) delegated: Option<Delegated>,
    /// What the answer tells besides the credential.
    pub(super) told: IamValue,
}

/// What makes a session a delegation token.
pub(super) struct Delegated {
    pub(super) renewer: Option<Principal>,
    pub(super) real_user: Option<UserId>,
    /// However often it is renewed.
    pub(super) lasts: Millis,
}

pub(super) fn token_digest(token: &str) -> TokenDigest {
    TokenDigest(Sha256::digest(token.as_bytes()).into())
}

impl OmService {
    pub(super) async fn sts_call(&self, cx: CallContext, request: api::IamCall) -> Result<IamValue, CallError<Rejected>> {
        check_parameters(&request.parameters)?;
        let session = match request.action.as_str() {
            "GetCallerIdentity" => {
                return self.log.read(cx.deadline, |tables| self.caller_identity(tables, &request.by)).await;
            }
            "AssumeRole" => self.log.read(cx.deadline, |tables| self.assumed(tables, &request)).await?,
            "GetSessionToken" => self.log.read(cx.deadline, |tables| self.session_token(tables, &request)).await?,
            "AssumeRoleWithWebIdentity" => self.assumed_with_web_identity(&cx, &request).await?,
            other => {
                return Err(refuse(IamErrorCode::InvalidAction, format!("{other} is not built")).into());
            }
        };
        self.open_credential(&cx, session).await
    }

    fn caller_identity(&self, tables: &dyn ReadTables, by: &api::Requester) -> Result<IamValue, Stop<Rejected>> {
        match self.identity::<Rejected>(tables, by)? {
            Identity::User(account) => Ok(IamValue::field("UserId", account.account_id())
                .with("Account", account.account_id())
                .with("Arn", format!("arn:aws:iam::{}:root", account.account_id()))),
            Identity::Member(member) => Ok(IamValue::field("UserId", member.unique_id())
                .with("Account", member.account.account_id())
                .with("Arn", member.arn())),
            Identity::Anonymous | Identity::System | Identity::LogDelivery(_) => Err(denied(Denied::AccessDenied)),
        }
    }

    pub(super) async fn open_credential(&self, cx: &CallContext, session: Session) -> Result<IamValue, CallError<Rejected>> {
        self.settle_seal(cx).await?;
        let access_key = AccessKeyId(new_id(&*self.entropy, "ASIA"));
        let secret = new_secret(&*self.entropy);
        let pair = self.sealed(access_key, &secret).map_err(super::identities::sealing_failed)?;
        let mut random = Zeroizing::new([0; 96]);
        self.entropy.fill(&mut random[..]);
        let token = STANDARD.encode(&random[..]);
        let now = self.clock.now();
        let expires = now + session.lasts;
        let delegation = session.delegated.map(|delegated| Delegation {
            // The entry itself says which it is.
            sequence: LogIndex(0),
            renewer: delegated.renewer,
            real_user: delegated.real_user,
            ends: now + delegated.lasts,
        });
        let (parent, parent_version) = session.parent.unzip();
        let row = CredentialRow {
            account: session.account.id,
            holder: session.holder,
            sealed: pair.sealed,
            secret_version: pair.secret_version,
            token: token_digest(&token),
            created: now,
            expires,
            policies: session.policies,
            tags: session.tags,
            claims: session.claims,
            provider: session.provider,
            parent,
            delegation,
            parent_version,
        };
        // Under no request's id: the token is kept nowhere, so that a retry has to open another session.
        let command = OpenCredential { access_key: pair.access_key, row };
        let opened = self.log.propose(None, command, cx.deadline).await;
        let access_key = opened.map_err(|error| error.map_rejection(Rejected::Error))?;
        let credentials = IamValue::field("AccessKeyId", access_key.0)
            .with("SecretAccessKey", IamValue::Secret(secret.to_string()))
            .with("SessionToken", IamValue::Secret(token))
            .with("Expiration", iam::date(expires));
        let mut answer = IamValue::field("Credentials", credentials);
        if let IamValue::Fields(told) = session.told {
            for (name, value) in told {
                answer = answer.with(&name, value);
            }
        }
        Ok(answer)
    }

    fn session_token(&self, tables: &dyn ReadTables, request: &api::IamCall) -> Result<Session, Stop<Rejected>> {
        let identity = self.identity::<Rejected>(tables, &request.by)?;
        let query = Query(&request.parameters);
        if matches!(&identity, Identity::Member(member) if member.is_temporary()) {
            return Err(refuse(IamErrorCode::AccessDenied, "Cannot call GetSessionToken with session credentials"));
        }
        let (account, holder) = holder_of(tables, &identity)?.ok_or_else(|| denied(Denied::AccessDenied))?;
        refuse_device(query)?;
        // Of an account's root no longer than AWS lets its own be.
        let (usual, longest) = match holder {
            CredentialHolder::Root => (3_600, 3_600),
            CredentialHolder::User { .. } | CredentialHolder::Role { .. } => (43_200, LONGEST_TOKEN_SECONDS),
        };
        let seconds = duration(query, usual, longest)?;
        Ok(Session {
            account,
            holder,
            lasts: in_seconds(seconds),
            policies: Vec::new(),
            tags: Vec::new(),
            claims: Vec::new(),
            provider: None,
            parent: signing_key_of(&request.by),
            delegated: None,
            told: IamValue::empty(),
        })
    }

    fn assumed(&self, tables: &dyn ReadTables, request: &api::IamCall) -> Result<Session, Stop<Rejected>> {
        let identity = self.identity::<Rejected>(tables, &request.by)?;
        if matches!(&identity, Identity::Member(member) if member.is_delegated()) {
            return Err(refuse(IamErrorCode::AccessDenied, "a delegation token takes no role"));
        }
        let asked = Asked::read(tables, Query(&request.parameters))?;
        let facts = facts(&request.by, self.clock.now());
        let allowed =
            may_assume(&asked.role, &asked.account, &asked.arn, Sts::Assume(&identity), &asked.tags, &asked.more, &facts);
        allowed.map_err(|why| {
            self.refused(&request.by, &identity, || {
                format!("sts:AssumeRole on {}: its trust policy or their own do not let them", asked.arn)
            });
            denied(why)
        })?;
        let query = Query(&request.parameters);
        refuse_device(query)?;
        let is_chained = matches!(&identity, Identity::Member(member) if member.is_temporary());
        asked.session(tables, query, is_chained, Vec::new(), None)
    }
}

/// A role as a call asks for it.
pub(super) struct Asked {
    pub(super) account: UserRow,
    pub(super) role: RoleRow,
    pub(super) arn: String,
    name: String,
    pub(super) tags: Vec<(String, String)>,
    /// Conditions on the call itself.
    pub(super) more: Vec<(String, Vec<String>)>,
}

impl Asked {
    pub(super) fn read(tables: &dyn ReadTables, query: Query<'_>) -> Result<Self, Stop<Rejected>> {
        let invalid = |error| Stop::Rejected(Rejected::Error(error));
        let named = query.required("RoleArn").map_err(invalid)?;
        let name = query.required("RoleSessionName").map_err(invalid)?;
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
        if !(2..=64).contains(&name.len()) || !name.bytes().all(is_legal) {
            return Err(refuse(IamErrorCode::ValidationError, "RoleSessionName: 2 to 64 letters, digits or any of _+=,.@-"));
        }
        // A role that is not there is like one that nobody may take.
        let Some((of, path, role_name)) = split_arn(named, Named::Role) else {
            return Err(refuse(IamErrorCode::ValidationError, format!("{named} is invalid")));
        };
        let Some(account) = account_by_id(tables, of)? else { return Err(denied(Denied::AccessDenied)) };
        let role = iam::role(tables, &account.id, role_name)?.filter(|role| role.path == path);
        let Some(role) = role else { return Err(denied(Denied::AccessDenied)) };
        let tags = query.tags().map_err(invalid)?;
        let foreign = [
            ("sts:ExternalId", "ExternalId"),
            ("sts:RoleSessionName", "RoleSessionName"),
            ("sts:SourceIdentity", "SourceIdentity"),
        ];
        let more = foreign.into_iter().filter_map(|(key, field)| Some((key.to_owned(), vec![query.text(field)?.to_owned()])));
        let arn = arn(&account, Named::Role, &role.path, &role.name);
        Ok(Self { name: name.to_owned(), tags, more: more.collect(), arn, role, account })
    }

    /// Only for whoever may take the role: what is said of policies tells which there are.
    pub(super) fn session(
        self,
        tables: &dyn ReadTables,
        query: Query<'_>,
        is_chained: bool,
        claims: Vec<(String, Vec<String>)>,
        provider: Option<String>,
    ) -> Result<Session, Stop<Rejected>> {
        let longest = if is_chained { LONGEST_CHAINED_SECONDS.min(self.role.max_session) } else { self.role.max_session };
        let seconds = duration(query, longest.min(3_600), longest)?;
        let account_id = self.account.account_id();
        let session_arn = format!("arn:aws:sts::{account_id}:assumed-role/{}/{}", self.role.name, self.name);
        let user = IamValue::field("AssumedRoleId", format!("{}:{}", self.role.id.0, self.name)).with("Arn", session_arn);
        let policies = session_policies(tables, &self.account, query)?;
        let room: usize = policies.iter().map(String::len).sum();
        let told = IamValue::field("AssumedRoleUser", user).with("PackedPolicySize", (room * 100).div_ceil(MOST_POLICY_TEXT * 2));
        let holder = CredentialHolder::Role { name: self.role.name, id: self.role.id, session: self.name };
        let (account, tags) = (self.account, self.tags);
        let lasts = in_seconds(seconds);
        Ok(Session { account, holder, lasts, policies, tags, claims, provider, parent: None, delegated: None, told })
    }
}

/// Somebody of an account as what acts for them is written down; nobody of those who are of none.
pub(super) fn holder_of(
    tables: &dyn ReadTables,
    identity: &Identity,
) -> Result<Option<(UserRow, CredentialHolder)>, Stop<Rejected>> {
    Ok(match identity {
        Identity::User(account) => Some((account.clone(), CredentialHolder::Root)),
        Identity::Member(member) => {
            let user = member.user_name().map(|name| iam::user(tables, &member.account.id, name)).transpose()?.flatten();
            let holder = match user {
                Some(row) => Some(CredentialHolder::User { name: row.name, id: row.id }),
                None => member.is_root().then_some(CredentialHolder::Root),
            };
            holder.map(|holder| (member.account.clone(), holder))
        }
        Identity::Anonymous | Identity::System | Identity::LogDelivery(_) => None,
    })
}

/// What lasts as long as the key that asked for it has this for its parent.
pub(super) fn signing_key_of(by: &api::Requester) -> Option<(AccessKeyId, u64)> {
    match by {
        api::Requester::Signed { access_key, secret_version, .. } => Some((access_key.clone().into_core(), *secret_version)),
        api::Requester::Anonymous { .. } | api::Requester::System | api::Requester::LogDelivery { .. } => None,
    }
}

/// There are no devices that show codes: whoever brings one learns that it proved nothing.
fn refuse_device(query: Query<'_>) -> Result<(), Stop<Rejected>> {
    let names_device = ["SerialNumber", "TokenCode"].iter().any(|name| query.unless_empty(name) != Ok(None));
    if !names_device {
        return Ok(());
    }
    let why = "MultiFactorAuthentication failed, unable to validate MFA code. \
               Please verify your MFA serial number is valid and associated with this user.";
    Err(refuse(IamErrorCode::AccessDenied, why))
}

fn in_seconds(seconds: u32) -> Millis {
    Millis(u64::from(seconds) * 1000)
}

fn duration(query: Query<'_>, usual: u32, longest: u32) -> Result<u32, Stop<Rejected>> {
    let seconds = query.number("DurationSeconds").map_err(|error| Stop::Rejected(Rejected::Error(error)))?.unwrap_or(usual);
    if (SHORTEST_SECONDS..=longest).contains(&seconds) {
        Ok(seconds)
    } else {
        let rule = format!("DurationSeconds: {SHORTEST_SECONDS} to {longest}");
        Err(refuse(IamErrorCode::ValidationError, rule))
    }
}

fn session_policies(tables: &dyn ReadTables, account: &UserRow, query: Query<'_>) -> Result<Vec<String>, Stop<Rejected>> {
    let invalid = |error| Stop::Rejected(Rejected::Error(error));
    let mut policies = Vec::new();
    if let Some(text) = query.unless_empty("Policy").map_err(invalid)? {
        if text.len() > MOST_POLICY_TEXT {
            return Err(refuse(IamErrorCode::PackedPolicyTooLarge, format!("Policy: at most {MOST_POLICY_TEXT} bytes")));
        }
        Policy::parse(text, PolicyKind::Identity)
            .map_err(|why| refuse(IamErrorCode::MalformedPolicyDocument, why.to_string()))?;
        policies.push(text.to_owned());
    }
    let named = query.members("PolicyArns").map(|number| query.required(&format!("PolicyArns.member.{number}.arn")));
    let arns: Vec<&str> = named.collect::<Result<_, _>>().map_err(invalid)?;
    if arns.len() > MOST_SESSION_POLICIES {
        return Err(refuse(IamErrorCode::ValidationError, format!("PolicyArns: at most {MOST_SESSION_POLICIES}")));
    }
    if arns.is_empty() {
        return Ok(policies);
    }
    // Together they are one policy: what any of them allows, unless one denies it.
    let mut texts = policies;
    for arn in arns {
        match iam::managed_text(tables, account, arn)? {
            Some(text) => texts.push(text),
            None => return Err(refuse(IamErrorCode::NoSuchEntity, format!("Policy {arn} does not exist."))),
        }
    }
    Ok(texts)
}

impl OmService {
    pub(super) async fn assumed_with_web_identity(
        &self,
        cx: &CallContext,
        request: &api::IamCall,
    ) -> Result<Session, CallError<Rejected>> {
        let query = Query(&request.parameters);
        let failed = |error| CallError::Rejected(Rejected::Error(error));
        let token = query.required("WebIdentityToken").map_err(failed)?;
        let who = self.oidc.verify(token).await.map_err(failed)?;
        let tags = who.tags();
        iam::check_session_tags(&tags).map_err(failed)?;
        self.log
            .read(cx.deadline, |tables| {
                let asked = Asked::read(tables, query)?;
                let provider = iam::provider(tables, &asked.account.id, &who.issuer)?;
                let unknown =
                    || refuse(IamErrorCode::InvalidIdentityToken, "no provider of the role's account has issued the token");
                let provider = provider.ok_or_else(unknown)?;
                if !who.audiences.iter().any(|audience| provider.clients.contains(audience)) {
                    return Err(refuse(IamErrorCode::InvalidIdentityToken, "Incorrect token audience"));
                }
                let arn = arn(&asked.account, Named::OidcProvider, "/", &provider.url);
                let claims = who.condition_keys();
                let how = Sts::WebIdentity { provider: &arn, claims: &claims };
                let facts = facts(&request.by, self.clock.now());
                may_assume(&asked.role, &asked.account, &asked.arn, how, &tags, &asked.more, &facts).map_err(denied)?;
                let audience = who.audiences.first().cloned().unwrap_or_default();
                let mut session = asked.session(tables, query, false, claims, Some(arn.clone()))?;
                session.tags = tags;
                session.told = session
                    .told
                    .with("SubjectFromWebIdentityToken", who.subject.as_str())
                    .with("Provider", arn)
                    .with("Audience", audience);
                Ok(session)
            })
            .await
    }
}
