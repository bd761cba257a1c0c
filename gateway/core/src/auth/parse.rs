//! From headers and query to a typed claim.

use types::Timestamp;

use super::{ALGORITHM, Accepts, AuthRequest, AuthSource, MAX_EXPIRES_SECONDS, PayloadMode, Scope, Signature, SignedRequest, v2};
use crate::dates::{parse_http_date, parse_iso_basic};
use crate::error::{S3Error, S3ErrorCode};
use crate::request::RequestHead;

/// Longer than any access key that was ever issued.
const MAX_ACCESS_KEY: usize = 128;
/// As many as a request may have headers.
const MAX_SIGNED_HEADERS: usize = 256;

pub(crate) const NOT_SUPPORTED: &str =
    "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.";

/// Who says they ask. Two ways at once are refused: which of them counts would be a guess.
pub fn parse(head: &RequestHead, accepts: Accepts) -> Result<AuthRequest, S3Error> {
    let in_header = head.header("authorization")?;
    let (in_query, in_query_v2) = (is_presigned(head), v2::is_presigned(head));
    if [in_header.is_some(), in_query, in_query_v2].into_iter().filter(|way| *way).count() > 1 {
        let why = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter \
                   or the Authorization header should be specified";
        return Err(S3Error::invalid_argument(why, "Authorization", "[Authorization]"));
    }
    match in_header.as_deref() {
        Some(value) => parse_header(head, value, accepts),
        None if in_query => parse_query(head, accepts).map(|signed| AuthRequest::Signed(Box::new(signed))),
        None if in_query_v2 => match accepts {
            Accepts::V4AndV2 => v2::parse_query(head).map(|signed| AuthRequest::SignedV2(Box::new(signed))),
            Accepts::V4 | Accepts::Iam => Err(S3Error::invalid_request(NOT_SUPPORTED)),
        },
        None => anonymous_payload(head).map(AuthRequest::Anonymous),
    }
}

fn is_presigned(head: &RequestHead) -> bool {
    let marks = ["x-amz-algorithm", "x-amz-credential", "x-amz-signature"];
    head.query().pairs().iter().any(|(name, _)| marks.iter().any(|mark| name.eq_ignore_ascii_case(mark)))
}

fn parse_header(head: &RequestHead, value: &str, accepts: Accepts) -> Result<AuthRequest, S3Error> {
    if value.trim().is_empty() {
        return Err(S3ErrorCode::AccessDenied.into());
    }
    let (scheme, components) = value.trim_start().split_once(' ').unwrap_or((value, ""));
    match (scheme, accepts) {
        (ALGORITHM, _) => parse_components(head, components, accepts).map(|signed| AuthRequest::Signed(Box::new(signed))),
        ("AWS", Accepts::V4AndV2) => v2::parse_header(head, components).map(|signed| AuthRequest::SignedV2(Box::new(signed))),
        ("AWS", Accepts::V4 | Accepts::Iam) => Err(S3Error::invalid_request(NOT_SUPPORTED)),
        (other, _) if other.starts_with("AWS4-") => Err(S3Error::invalid_request(NOT_SUPPORTED)),
        (other, _) => Err(S3Error::invalid_argument("Unsupported Authorization Type", "Authorization", other)),
    }
}

fn parse_components(head: &RequestHead, components: &str, accepts: Accepts) -> Result<SignedRequest, S3Error> {
    let (mut credential, mut signed_headers, mut signature) = (None, None, None);
    for component in components.split(',') {
        let (name, value) = component.trim().split_once('=').ok_or_else(|| malformed("a component has no value"))?;
        let slot = match name {
            "Credential" => &mut credential,
            "SignedHeaders" => &mut signed_headers,
            "Signature" => &mut signature,
            _ => return Err(malformed("a component is not known")),
        };
        if slot.replace(value).is_some() {
            return Err(malformed("a component is repeated"));
        }
    }
    let credential = credential.ok_or_else(|| malformed("the Credential is missing"))?;
    let signed_headers = signed_headers.ok_or_else(|| malformed("the SignedHeaders are missing"))?;
    let signature = signature.ok_or_else(|| malformed("the Signature is missing"))?;
    let (access_key, scope) = parse_credential(credential, accepts).map_err(malformed)?;
    Ok(SignedRequest {
        access_key,
        scope,
        signed_headers: parse_signed_headers(signed_headers).map_err(malformed)?,
        signature: Signature::parse(signature),
        signed_at: header_time(head)?.0,
        source: AuthSource::Header,
        payload: required_payload(head)?,
        session_token: head.header("x-amz-security-token")?.map(|token| token.into_owned()),
    })
}

fn malformed(why: &str) -> S3Error {
    S3Error::with_message(S3ErrorCode::AuthorizationHeaderMalformed, format!("The authorization header is malformed; {why}."))
}

/// `access key/date/region/service/aws4_request`. Date, region and service are judged later; the form is judged here.
pub(crate) fn parse_credential(text: &str, accepts: Accepts) -> Result<(String, Scope), &'static str> {
    // From the right: an access key may hold slashes, the scope cannot.
    let mut parts = text.rsplitn(5, '/');
    let mut next =
        || parts.next().ok_or("the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\"");
    let (terminal, service, region, date, access_key) = (next()?, next()?, next()?, next()?, next()?);
    if terminal != "aws4_request" {
        return Err("incorrect terminal; this endpoint uses \"aws4_request\"");
    }
    if access_key.is_empty() || access_key.len() > MAX_ACCESS_KEY {
        return Err("the access key is empty or too long");
    }
    if date.len() != 8 || !date.bytes().all(|b| b.is_ascii_digit()) {
        return Err("incorrect date format; this date in the credential must be in the format \"yyyyMMdd\"");
    }
    if !accepts.services().contains(&service) {
        return Err(match accepts {
            Accepts::V4 | Accepts::V4AndV2 => "incorrect service; this endpoint belongs to \"s3\"",
            Accepts::Iam => "incorrect service; a form at the root is for \"iam\" or \"sts\"",
        });
    }
    Ok((access_key.to_owned(), Scope { service: service.to_owned(), ..Scope::s3(date, region) }))
}

fn parse_signed_headers(text: &str) -> Result<Vec<String>, &'static str> {
    let names: Vec<String> = text.split(';').map(str::to_ascii_lowercase).collect();
    if names.iter().any(String::is_empty) || names.len() > MAX_SIGNED_HEADERS {
        return Err("the SignedHeaders are empty or too many");
    }
    Ok(names)
}

/// `x-amz-date`, or a plain `Date` in either form, and its text.
pub(super) fn header_time(head: &RequestHead) -> Result<(Timestamp, String), S3Error> {
    let invalid =
        || S3Error::with_message(S3ErrorCode::AccessDenied, "AWS authentication requires a valid Date or x-amz-date header");
    let text = match head.header("x-amz-date")? {
        Some(text) => text,
        None => head.header("date")?.ok_or_else(invalid)?,
    };
    let at = parse_iso_basic(text.trim()).or_else(|| parse_http_date(&text)).ok_or_else(invalid)?;
    Ok((at, text.trim().to_owned()))
}

fn required_payload(head: &RequestHead) -> Result<PayloadMode, S3Error> {
    match head.header("x-amz-content-sha256")? {
        Some(value) => parse_payload(&value),
        None => Err(S3Error::invalid_request("Missing required header for this request: x-amz-content-sha256")),
    }
}

fn parse_payload(value: &str) -> Result<PayloadMode, S3Error> {
    match value {
        "UNSIGNED-PAYLOAD" => return Ok(PayloadMode::Unsigned),
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => return Ok(PayloadMode::StreamingSigned { trailer: false }),
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => return Ok(PayloadMode::StreamingSigned { trailer: true }),
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => return Ok(PayloadMode::StreamingUnsigned),
        _ => {}
    }
    let mut hash = [0; 32];
    match hex::decode_to_slice(value, &mut hash) {
        Ok(()) => Ok(PayloadMode::Hash(hash)),
        Err(_) => {
            let why = "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, \
                       STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.";
            Err(S3Error::invalid_argument(why, "x-amz-content-sha256", value))
        }
    }
}

/// Of a request under whose signature no signed chunks can stand.
pub(super) fn anonymous_payload(head: &RequestHead) -> Result<PayloadMode, S3Error> {
    match head.header("x-amz-content-sha256")? {
        None => Ok(PayloadMode::Unsigned),
        Some(value) => match parse_payload(&value)? {
            PayloadMode::StreamingSigned { .. } => {
                Err(S3Error::invalid_request("A body with signed chunks needs a signed request."))
            }
            other => Ok(other),
        },
    }
}

fn parse_query(head: &RequestHead, accepts: Accepts) -> Result<SignedRequest, S3Error> {
    let value = |name: &str| presigned_value(head, name);
    if value("X-Amz-Algorithm")? != ALGORITHM {
        return Err(query_error("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
    }
    let in_credential = |why: &str| query_error(&format!("Error parsing the X-Amz-Credential parameter; {why}."));
    let (access_key, scope) = parse_credential(value("X-Amz-Credential")?, accepts).map_err(in_credential)?;
    let signed_at = parse_iso_basic(value("X-Amz-Date")?)
        .ok_or_else(|| query_error("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""))?;
    let expires_seconds = parse_expires(value("X-Amz-Expires")?)?;
    let signed_headers = parse_signed_headers(value("X-Amz-SignedHeaders")?).map_err(query_error)?;
    let signature = Signature::parse(value("X-Amz-Signature")?);
    let session_token = presigned_optional(head, "X-Amz-Security-Token")?.map(str::to_owned);
    let payload = match head.header("x-amz-content-sha256")? {
        None => PayloadMode::Unsigned,
        Some(text) => match parse_payload(&text)? {
            // The chunks' signatures continue a signature in a header; a URL has none.
            mode if mode.is_chunked() => {
                return Err(S3Error::invalid_request("A presigned request cannot have a chunked payload."));
            }
            mode => mode,
        },
    };
    let source = AuthSource::Query { expires_seconds };
    Ok(SignedRequest { access_key, scope, signed_headers, signature, signed_at, source, payload, session_token })
}

fn query_error(why: &str) -> S3Error {
    S3Error::with_message(S3ErrorCode::AuthorizationQueryParametersError, why.to_owned())
}

fn presigned_value<'h>(head: &'h RequestHead, name: &str) -> Result<&'h str, S3Error> {
    presigned_optional(head, name)?.ok_or_else(|| {
        query_error(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, \
             X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
        )
    })
}

/// The one value of a parameter. A second one, in whatever case, could be the one that somebody else reads.
fn presigned_optional<'h>(head: &'h RequestHead, name: &str) -> Result<Option<&'h str>, S3Error> {
    let mut found = head.query().pairs().iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
    match (found.next(), found.next()) {
        (None, _) => Ok(None),
        (Some((exact, value)), None) if exact == name => Ok(Some(value)),
        (Some(_), _) => Err(query_error(&format!("{name} must be given once, and written so"))),
    }
}

fn parse_expires(text: &str) -> Result<u64, S3Error> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(query_error("X-Amz-Expires should be a number"));
    }
    if negative {
        return Err(query_error("X-Amz-Expires must be non-negative"));
    }
    match digits.parse() {
        Ok(seconds) if seconds <= MAX_EXPIRES_SECONDS => Ok(seconds),
        _ => Err(query_error(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds",
        )),
    }
}
