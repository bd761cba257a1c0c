//! Who asks: signatures verified with keys that the OM derives.
//!
//! A derived key is good for its day and is kept for it; the OM holds every later call against the secret's version, so that a
//! key that is kept too long opens nothing. The secret itself never comes here: what Version 2 signs with it, the OM verifies.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use gateway_core::auth::{self, Accepts, AuthRequest, AuthSource, PayloadMode, Scope, SignedV2, SigningKey, Verified};
use gateway_core::dates::format_iso8601;
use gateway_core::form::{Form, FormSignature};
use gateway_core::iam::Service;
use gateway_core::{RequestHead, S3Error, S3ErrorCode};
use http::{HeaderMap, Method, Uri};
use om_api::{
    AccessKeyId, DisplayUser, Explanation, Om, Requester, SignatureV2, SignatureV2Rejected, SignerV2, SigningKeyRejected,
    SigningKeyRequest, UserId,
};
use parking_lot::Mutex;
use rpc::{CallContext, CallError};
use runtime::{Clock, Latest};
use subtle::ConstantTimeEq;
use types::{Millis, RequestId, Timestamp, VolumeName};

use crate::config::Config;
use crate::rejections::call_failed;

/// Beyond so many the whole cache is dropped: it is far above what one gateway sees of active users, and stays below a few MiB.
const KEPT_KEYS: usize = 10_000;
/// A signature that a kept key does not verify is tried with a fresh one, in case the secret has changed; not more often than
/// this, so that bad signatures do not become load on the OM.
const REFRESH_EVERY: Millis = Millis(1000);

/// Not any: each has keys of its own, of which only so many are kept.
const REGIONS_OF_IAM: [&str; 3] = ["", "us-east-1", "aws-global"];
/// Up to some kilobytes each.
const KEPT_MISMATCHES: usize = 256;
/// The fields of an error that tell what should have been signed, and what people call that.
const CANONICAL_REQUEST: (&str, &str) = ("CanonicalRequest", "canonical request");
const STRING_TO_SIGN: (&str, &str) = ("StringToSign", "string to sign");

/// What is known of whoever asks.
#[derive(Debug, Clone)]
pub(crate) struct Authentication {
    pub(crate) by: Requester,
    pub(crate) user: Option<DisplayUser>,
    pub(crate) payload: PayloadMode,
    /// For the signatures of a chunked body, which only Version 4 has.
    pub(crate) verified: Option<Verified>,
    /// Where the buckets lie that they name without a volume. None: in `s3v`.
    pub(crate) home: Option<VolumeName>,
}

impl Authentication {
    /// Of a request that nobody signs.
    pub(crate) fn of_nobody() -> Self {
        Self { by: Requester::anonymous(), user: None, payload: PayloadMode::Unsigned, verified: None, home: None }
    }

    pub(crate) fn is_anonymous(&self) -> bool {
        matches!(self.by, Requester::Anonymous { .. })
    }
}

/// Whoever signed a request of a listener that is not S3's.
#[derive(Debug, Clone)]
pub struct Signer {
    pub by: Requester,
    pub user: UserId,
}

#[derive(Clone)]
struct KeptKey {
    key: SigningKey,
    secret_version: u64,
    user: DisplayUser,
    /// Of a temporary credential: SHA-256 of the token that has to come along.
    token: Option<[u8; 32]>,
    home: Option<VolumeName>,
    fetched: Timestamp,
}

/// Whom the OM found to have signed by Version 2.
struct FoundV2 {
    by: Requester,
    user: DisplayUser,
    home: Option<VolumeName>,
}

/// A claim that needs the key of its scope.
#[derive(Clone, Copy)]
struct Asked<'a> {
    access_key: &'a str,
    scope: &'a Scope,
    token: Option<&'a str>,
    now: Timestamp,
    request: RequestId,
}

/// Verifies signatures. Shared by all listeners of a process.
pub struct Authenticator {
    region: String,
    /// By S3's listener. The others take Version 4 alone.
    accepts: Accepts,
    om: Arc<dyn Om>,
    om_timeout: Duration,
    clock: Arc<dyn Clock>,
    /// By access key and scope.
    kept: Mutex<BTreeMap<(String, String), KeptKey>>,
    mismatches: Latest<Explanation>,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authenticator for {}", self.region)
    }
}

/// Whether the body is the one whose hash was signed. A request that was signed without one has none.
pub fn is_body_of(headers: &HeaderMap, body: &[u8]) -> bool {
    let hash = hex::encode(digest(&SHA256, body));
    headers.get("x-amz-content-sha256").is_some_and(|signed| signed.as_bytes().ct_eq(hash.as_bytes()).into())
}

impl Authenticator {
    pub(crate) fn new(config: &Config, om: Arc<dyn Om>, clock: Arc<dyn Clock>) -> Self {
        let (region, accepts, om_timeout) = (config.region.clone(), config.accepts, config.om_timeout);
        Self { region, accepts, om, om_timeout, clock, kept: Mutex::default(), mismatches: Latest::new(KEPT_MISMATCHES) }
    }

    /// Who signed this request of a listener that is not S3's: by header, never anonymous, its path taken as it is. The body
    /// is not looked at: where one is read, hold it against [`is_body_of`].
    pub async fn signer(&self, method: &Method, uri: &Uri, headers: &HeaderMap, request: RequestId) -> Result<Signer, S3Error> {
        let head = RequestHead::without_address(method.clone(), uri, headers.clone())?;
        let parsed = auth::parse(&head, Accepts::V4)?;
        let by_url = matches!(&parsed, AuthRequest::Signed(signed) if signed.source != AuthSource::Header);
        let found = self.judge(&head, parsed, request).await?;
        // A URL is passed on, logged and kept; it must not open what only its owner may do.
        match (found.by, found.user) {
            (by @ Requester::Signed { .. }, Some(user)) if !by_url => Ok(Signer { by, user: user.id }),
            _ => Err(S3ErrorCode::AccessDenied.into()),
        }
    }

    /// Who signed a call of IAM's or STS's, and of which of them; nobody signs for none.
    pub(crate) async fn authenticate_iam(
        &self,
        head: &RequestHead,
        request: RequestId,
    ) -> Result<(Authentication, Option<Service>), S3Error> {
        let parsed = auth::parse(head, Accepts::Iam)?;
        let service = match &parsed {
            AuthRequest::Signed(signed) if signed.source != AuthSource::Header => return Err(S3ErrorCode::AccessDenied.into()),
            AuthRequest::Signed(signed) => Service::parse(&signed.scope.service),
            AuthRequest::Anonymous(_) | AuthRequest::SignedV2(_) => None,
        };
        Ok((self.judge(head, parsed, request).await?, service))
    }

    pub(crate) async fn authenticate(&self, head: &RequestHead, request: RequestId) -> Result<Authentication, S3Error> {
        self.judge(head, auth::parse(head, self.accepts)?, request).await
    }

    async fn judge(&self, head: &RequestHead, parsed: AuthRequest, request: RequestId) -> Result<Authentication, S3Error> {
        let signed = match parsed {
            AuthRequest::Anonymous(payload) => {
                return Ok(Authentication { payload, ..Authentication::of_nobody() });
            }
            AuthRequest::SignedV2(signed) => return self.judge_v2(head, &signed, request).await,
            AuthRequest::Signed(signed) => signed,
        };
        let now = self.clock.now();
        // Clients of IAM and STS know no regions, or the one that AWS has them in.
        let is_s3 = signed.scope.service == auth::SERVICE;
        let named = signed.scope.region.as_str();
        let region = if !is_s3 && REGIONS_OF_IAM.contains(&named) { named } else { &self.region };
        let checked = signed.check(head, now, region);
        checked.inspect_err(|error| self.note_mismatch(error, CANONICAL_REQUEST, request))?;
        let token = signed.session_token.as_deref();
        let asked = Asked { access_key: &signed.access_key, scope: &signed.scope, token, now, request };
        let verified = self.verify(asked, |key| signed.verify(head, key)).await;
        let (key, verified) = verified.inspect_err(|error| self.note_mismatch(error, CANONICAL_REQUEST, request))?;
        let access_key = AccessKeyId(signed.access_key.clone());
        Ok(Authentication {
            by: Requester::signed(access_key, key.secret_version),
            user: Some(key.user),
            payload: signed.payload,
            verified: Some(verified),
            home: key.home,
        })
    }

    /// Keeps what was verified here, to be held against what the client signed: a proxy that changes a host, a port or a path
    /// shows in it. The client is answered the same, which hides what only its signer may know.
    fn note_mismatch(&self, error: &S3Error, (shown_by, name): (&str, &str), request: RequestId) {
        if error.code() != S3ErrorCode::SignatureDoesNotMatch {
            return;
        }
        let field = |wanted| error.fields().iter().find(|(name, _)| *name == wanted).map(|(_, text)| text.as_str());
        let shown = field(shown_by).unwrap_or("(hidden: a session's token is part of it)");
        let why = format!(
            "the signature does not match. If the client is not wrong about its secret, then something between it and here has \
             changed the request; this is the {name} as it came:\n{shown}"
        );
        let caller = field("AWSAccessKeyId").unwrap_or_default().to_owned();
        self.mismatches.note(base_of(request), Explanation { at: self.clock.now(), caller, bucket: None, why });
    }

    /// Why a signature was refused here, if it was lately.
    pub fn explain(&self, request: RequestId) -> Option<Explanation> {
        self.mismatches.of(base_of(request))
    }

    async fn judge_v2(&self, head: &RequestHead, signed: &SignedV2, request: RequestId) -> Result<Authentication, S3Error> {
        signed.check(self.clock.now())?;
        let texts = signed.strings_to_sign(head)?;
        let mismatch = || {
            let error = signed.mismatch(head);
            self.note_mismatch(&error, STRING_TO_SIGN, request);
            error
        };
        let signature = signed.signature.ok_or_else(mismatch)?;
        let token = signed.session_token.as_deref();
        let signer = self.signer_v2(&signed.access_key, texts, &signature, token, request).await?;
        let FoundV2 { by, user, home } = signer.ok_or_else(mismatch)?;
        Ok(Authentication { by, user: Some(user), payload: signed.payload, verified: None, home })
    }

    /// Who signed one of these texts by Version 2, if anybody did. Nothing of it is kept: each request asks the OM.
    async fn signer_v2(
        &self,
        access_key: &str,
        texts: Vec<Vec<u8>>,
        signature: &auth::SignatureV2,
        token: Option<&str>,
        request: RequestId,
    ) -> Result<Option<FoundV2>, S3Error> {
        let cx = CallContext::local(request, self.om_timeout);
        let access_key = AccessKeyId(access_key.to_owned());
        let texts = texts.into_iter().map(Into::into).collect();
        let asked = SignatureV2 { access_key: access_key.clone(), texts, signature: *signature.as_bytes() };
        match self.om.verify_v2(cx, asked).await {
            Ok(SignerV2 { secret_version, user, token: expected, volume: home }) => {
                check_token(expected.as_ref(), token)?;
                Ok(Some(FoundV2 { by: Requester::signed(access_key, secret_version), user, home }))
            }
            Err(CallError::Rejected(SignatureV2Rejected::Mismatch)) => Ok(None),
            Err(CallError::Rejected(SignatureV2Rejected::NoSuchAccessKey)) => Err(no_such_access_key(&access_key.0)),
            Err(failure) => Err(call_failed(&failure)),
        }
    }

    /// Where the buckets lie of whoever a request says that it is from, whether or not it is: so that a name in it is taken for the one
    /// that was meant, in logs and in what a browser is told. It opens nothing. Outside: nobody can tell now.
    pub(crate) async fn claimed_home(&self, head: &RequestHead, request: RequestId) -> Option<Option<VolumeName>> {
        let access_key = match auth::parse(head, self.accepts) {
            Ok(AuthRequest::Signed(signed)) => signed.access_key,
            Ok(AuthRequest::SignedV2(signed)) => signed.access_key,
            // Nobody, or nobody who can be made out.
            Ok(AuthRequest::Anonymous(_)) | Err(_) => return Some(None),
        };
        self.home_of(access_key, request).await
    }

    /// The same of a form's signer.
    pub(crate) async fn claimed_home_of_form(&self, form: &Form, request: RequestId) -> Option<Option<VolumeName>> {
        let access_key = match FormSignature::parse(form, self.accepts) {
            Ok(FormSignature::V4(signed)) => signed.access_key,
            Ok(FormSignature::V2(signed)) => signed.access_key,
            Ok(FormSignature::Anonymous) | Err(_) => return Some(None),
        };
        self.home_of(access_key, request).await
    }

    async fn home_of(&self, access_key: String, request: RequestId) -> Option<Option<VolumeName>> {
        let now = self.clock.now();
        // One scope, so that who asks fills no room with others.
        let date = format_iso8601(now).chars().filter(char::is_ascii_digit).take(8).collect();
        let scope = Scope { date, region: self.region.clone(), service: auth::SERVICE.to_owned() };
        let place = (access_key.clone(), scope.to_string());
        if let Some(kept) = self.kept.lock().get(&place) {
            return Some(kept.home.clone());
        }
        let asked = Asked { access_key: &access_key, scope: &scope, token: None, now, request };
        let Some(fresh) = self.fetch(asked).await.ok()? else { return Some(None) };
        let home = fresh.home.clone();
        self.keep(place, fresh);
        Some(home)
    }

    /// The OM said that the access key or its secret is another now.
    pub(crate) fn forget(&self, access_key: &AccessKeyId) {
        self.kept.lock().retain(|(key, _), _| *key != access_key.0);
    }

    /// Who signed a form's policy. What the policy says is not looked at here.
    pub(crate) async fn authenticate_form(&self, form: &Form, request: RequestId) -> Result<Authentication, S3Error> {
        let judged = self.judge_form(form, request).await;
        judged.inspect_err(|error| self.note_mismatch(error, STRING_TO_SIGN, request))
    }

    async fn judge_form(&self, form: &Form, request: RequestId) -> Result<Authentication, S3Error> {
        let (by, user, home) = match FormSignature::parse(form, self.accepts)? {
            FormSignature::Anonymous => (Requester::anonymous(), None, None),
            FormSignature::V4(signed) => {
                let now = self.clock.now();
                signed.check(now, &self.region)?;
                let token = signed.session_token.as_deref();
                let asked = Asked { access_key: &signed.access_key, scope: &signed.scope, token, now, request };
                let (key, ()) = self.verify(asked, |key| signed.verify(key)).await?;
                let access_key = AccessKeyId(signed.access_key.clone());
                (Requester::signed(access_key, key.secret_version), Some(key.user), key.home)
            }
            FormSignature::V2(signed) => {
                let signature = signed.signature.ok_or_else(|| signed.mismatch())?;
                let texts = vec![signed.policy.clone().into_bytes()];
                let token = signed.session_token.as_deref();
                let signer = self.signer_v2(&signed.access_key, texts, &signature, token, request).await?;
                let FoundV2 { by, user, home } = signer.ok_or_else(|| signed.mismatch())?;
                (by, Some(user), home)
            }
        };
        Ok(Authentication { by, user, payload: PayloadMode::Unsigned, verified: None, home })
    }

    /// Holds a signature against the key of its scope: the one that is kept, or else a fresh one.
    async fn verify<V>(
        &self,
        asked: Asked<'_>,
        judge: impl Fn(&SigningKey) -> Result<V, S3Error>,
    ) -> Result<(KeptKey, V), S3Error> {
        let place = (asked.access_key.to_owned(), asked.scope.to_string());
        let kept = self.kept.lock().get(&place).cloned();
        if let Some(kept) = kept {
            match judge(&kept.key) {
                Ok(verified) => {
                    check_token(kept.token.as_ref(), asked.token)?;
                    return Ok((kept, verified));
                }
                Err(mismatch) if asked.now.since(kept.fetched) < REFRESH_EVERY => return Err(mismatch),
                Err(_) => {}
            }
        }
        let fresh = match self.fetch(asked).await? {
            Some(fresh) => fresh,
            None => {
                // The same work as for a key that exists, so that the time says nothing that the answer does not.
                let _ = judge(&SigningKey::from_bytes([0; 32]));
                return Err(no_such_access_key(asked.access_key));
            }
        };
        self.keep(place, fresh.clone());
        let verified = judge(&fresh.key)?;
        check_token(fresh.token.as_ref(), asked.token)?;
        Ok((fresh, verified))
    }

    fn keep(&self, place: (String, String), key: KeptKey) {
        let mut kept = self.kept.lock();
        if kept.len() >= KEPT_KEYS {
            kept.clear();
        }
        kept.insert(place, key);
    }

    async fn fetch(&self, asked: Asked<'_>) -> Result<Option<KeptKey>, S3Error> {
        let cx = CallContext::local(asked.request, self.om_timeout);
        let access_key = AccessKeyId(asked.access_key.to_owned());
        let Scope { date, region, service } = asked.scope.clone();
        let question = SigningKeyRequest { access_key: access_key.clone(), date, region, service };
        match self.om.signing_key(cx, question).await {
            Ok(om_api::SigningKey { key, secret_version, user, token, volume: home }) => {
                let (key, fetched) = (SigningKey::from_bytes(key), asked.now);
                Ok(Some(KeptKey { key, secret_version, user, token, home, fetched }))
            }
            Err(CallError::Rejected(SigningKeyRejected::NoSuchAccessKey)) => {
                self.forget(&access_key);
                Ok(None)
            }
            Err(CallError::NotApplied(why)) => Err(call_failed(&CallError::<()>::NotApplied(why))),
            Err(CallError::Unknown(why)) => Err(call_failed(&CallError::<()>::Unknown(why))),
        }
    }
}

/// A temporary credential's token comes along with every request, another credential's with none.
fn check_token(expected: Option<&[u8; 32]>, sent: Option<&str>) -> Result<(), S3Error> {
    let is_right = match (expected, sent) {
        (None, None) => true,
        (Some(expected), Some(sent)) => digest(&SHA256, sent.as_bytes()).as_ref().ct_eq(expected).into(),
        (None, Some(_)) | (Some(_), None) => false,
    };
    if is_right { Ok(()) } else { Err(S3ErrorCode::InvalidToken.into()) }
}

/// The calls that one request makes have ids that begin with its own.
fn base_of(request: RequestId) -> RequestId {
    RequestId::from_u128(request.to_u128() & !0xff_ffff)
}

fn no_such_access_key(access_key: &str) -> S3Error {
    S3Error::new(S3ErrorCode::InvalidAccessKeyId).field("AWSAccessKeyId", access_key)
}
