//! The ACL that headers ask for.

use types::{Acl, AclGroup, AclPermission, AclRequest, CannedAcl, GrantRequest, GranteeName};

use crate::error::{S3Error, S3ErrorCode};
use crate::request::RequestHead;

const CANNED: &str = "x-amz-acl";

fn grant_header(permission: AclPermission) -> &'static str {
    match permission {
        AclPermission::Read => "x-amz-grant-read",
        AclPermission::Write => "x-amz-grant-write",
        AclPermission::ReadAcp => "x-amz-grant-read-acp",
        AclPermission::WriteAcp => "x-amz-grant-write-acp",
        AclPermission::FullControl => "x-amz-grant-full-control",
    }
}

/// `x-amz-acl`, or the `x-amz-grant-…` headers in the order of [`AclPermission::ALL`]. Not both.
pub fn parse_headers(head: &RequestHead) -> Result<Option<AclRequest>, S3Error> {
    let canned = head.header(CANNED)?.filter(|text| !text.is_empty());
    let mut grants = Vec::new();
    let mut is_granting = false;
    for permission in AclPermission::ALL {
        let name = grant_header(permission);
        if let Some(text) = head.header(name)? {
            is_granting = true;
            for grantee in grantees(&text, name)? {
                grants.push(GrantRequest { grantee, permission });
            }
        }
    }
    match canned {
        Some(_) if is_granting => Err(S3Error::invalid_request("Specifying both Canned ACLs and Header Grants is not allowed")),
        Some(text) => parse_canned(&text).map(|canned| Some(AclRequest::Canned(canned))),
        None if grants.len() > Acl::MAX_GRANTS => Err(S3Error::invalid_argument("Too many grants", "x-amz-grant", "")),
        None => Ok(is_granting.then_some(AclRequest::Grants(grants))),
    }
}

pub fn parse_canned(text: &str) -> Result<CannedAcl, S3Error> {
    match CannedAcl::parse(text) {
        Some(canned) => Ok(canned),
        // Amazon's own machines are not here to be granted anything.
        None if text == "aws-exec-read" => Err(S3Error::not_implemented("The ACL aws-exec-read")),
        None => Err(S3Error::invalid_argument("The canned ACL is not valid", CANNED, text)),
    }
}

/// `id="…", emailAddress="…", uri="…"`, with or without the quotes.
fn grantees(text: &str, header: &'static str) -> Result<Vec<GranteeName>, S3Error> {
    let wrong = || S3Error::invalid_argument("Argument format not recognized", header, text);
    text.split(',')
        .map(|part| {
            let (kind, value) = part.split_once('=').ok_or_else(wrong)?;
            let value = value.trim();
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
            match kind.trim().to_ascii_lowercase().as_str() {
                _ if value.is_empty() => Err(wrong()),
                "id" => Ok(GranteeName::Id(value.to_owned())),
                "emailaddress" => Ok(GranteeName::Email(value.to_owned())),
                "uri" => group(value).map(GranteeName::Group),
                _ => Err(wrong()),
            }
        })
        .collect()
}

pub(crate) fn group(uri: &str) -> Result<AclGroup, S3Error> {
    AclGroup::parse(uri).ok_or_else(|| S3Error::invalid_argument("Invalid group uri", "uri", uri))
}

/// Neither a header nor a body says which ACL to set.
pub fn none_given() -> S3Error {
    S3Error::with_message(S3ErrorCode::MissingSecurityHeader, "Your request was missing a required header: x-amz-acl")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Addressing;
    use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

    fn parse(headers: &[(&str, &str)]) -> Result<Option<AclRequest>, S3ErrorCode> {
        let mut map = HeaderMap::new();
        map.insert(header::HOST, HeaderValue::from_static("h"));
        for (name, value) in headers {
            map.append(HeaderName::try_from(*name).expect("a name"), HeaderValue::from_str(value).expect("a value"));
        }
        let uri = "/bucket/key".parse().expect("a target");
        let head = RequestHead::parse(Method::PUT, &uri, map, &Addressing::default()).expect("well formed");
        parse_headers(&head).map_err(|error| error.code())
    }

    #[test]
    fn a_canned_acl_is_one_of_those_that_there_are() {
        assert_eq!(parse(&[]), Ok(None));
        assert_eq!(parse(&[("x-amz-acl", "")]), Ok(None));
        for canned in CannedAcl::ALL {
            assert_eq!(parse(&[("x-amz-acl", canned.as_str())]), Ok(Some(AclRequest::Canned(canned))));
        }
        assert_eq!(parse(&[("x-amz-acl", "public")]), Err(S3ErrorCode::InvalidArgument));
        assert_eq!(parse(&[("x-amz-acl", "aws-exec-read")]), Err(S3ErrorCode::NotImplemented));
    }

    #[test]
    fn grants_keep_the_order_of_permissions() {
        let grant = |grantee, permission| GrantRequest { grantee, permission };
        let id = |id: &str| GranteeName::Id(id.to_owned());
        let wanted = AclRequest::Grants(vec![
            grant(id("a"), AclPermission::Read),
            grant(GranteeName::Email("b@example.com".into()), AclPermission::Read),
            grant(GranteeName::Group(AclGroup::AllUsers), AclPermission::WriteAcp),
            grant(id("c=d"), AclPermission::FullControl),
        ]);
        let given = parse(&[
            ("x-amz-grant-full-control", "id=c=d"),
            ("x-amz-grant-write-acp", "uri=\"http://acs.amazonaws.com/groups/global/AllUsers\""),
            ("x-amz-grant-read", "id=\"a\", emailAddress=\"b@example.com\""),
        ]);
        assert_eq!(given, Ok(Some(wanted)));
    }

    #[test]
    fn what_names_nobody_is_refused() {
        for text in ["", "a", "id=", "id=\"\"", "name=a", "uri=http://example.com/group", "id=a,", "id=a b=c,d"] {
            assert_eq!(parse(&[("x-amz-grant-read", text)]), Err(S3ErrorCode::InvalidArgument), "{text}");
        }
        let both = parse(&[("x-amz-grant-read", "id=a"), ("x-amz-acl", "private")]);
        assert_eq!(both, Err(S3ErrorCode::InvalidRequest));
        let many = vec!["id=a"; Acl::MAX_GRANTS + 1].join(",");
        assert_eq!(parse(&[("x-amz-grant-read", &many)]), Err(S3ErrorCode::InvalidArgument));
    }
}
