//! `AccessControlPolicy`: an owner and what is granted to whom.

use types::{Acl, AclGroup, AclPermission, AclRequest, GrantRequest, GranteeName};

use super::requests::once;
use super::{MalformedXml, Owner, XmlOut, XmlReader};
use crate::acl::group;
use crate::error::{S3Error, S3ErrorCode};

/// A document that a client sets: grantees by name, and whom it takes for the owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessControlPolicy {
    pub owner: Option<String>,
    pub acl: AclRequest,
}

/// A grantee as an answer shows one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListedGrantee {
    User(Owner),
    Group(AclGroup),
}

impl AccessControlPolicy {
    pub fn parse(body: &[u8]) -> Result<Self, S3Error> {
        // Three elements a grant at most five levels down, and the owner.
        let mut xml = XmlReader::enter(body, "AccessControlPolicy", 8 * (Acl::MAX_GRANTS + 1)).map_err(malformed)?;
        let (mut owner, mut grants) = (None, None);
        while let Some(name) = xml.child().map_err(malformed)? {
            match name.as_str() {
                "Owner" => once(&mut owner, read_owner(&mut xml).map_err(malformed)?).map_err(malformed)?,
                "AccessControlList" => once(&mut grants, read_grants(&mut xml)?).map_err(malformed)?,
                _ => return Err(malformed(MalformedXml)),
            }
        }
        xml.finish().map_err(malformed)?;
        let grants = grants.ok_or(MalformedXml).map_err(malformed)?;
        if grants.len() > Acl::MAX_GRANTS {
            return Err(malformed(MalformedXml));
        }
        Ok(Self { owner: owner.flatten(), acl: AclRequest::Grants(grants) })
    }
}

fn malformed(_: MalformedXml) -> S3Error {
    S3ErrorCode::MalformedACLError.into()
}

fn read_owner(xml: &mut XmlReader<'_>) -> Result<Option<String>, MalformedXml> {
    let mut id = None;
    while let Some(name) = xml.child()? {
        let text = xml.text()?;
        match name.as_str() {
            "ID" => once(&mut id, text)?,
            "DisplayName" => {}
            _ => return Err(MalformedXml),
        }
    }
    Ok(id)
}

fn read_grants(xml: &mut XmlReader<'_>) -> Result<Vec<GrantRequest>, S3Error> {
    let mut grants = Vec::new();
    while let Some(name) = xml.child().map_err(malformed)? {
        if name != "Grant" {
            return Err(malformed(MalformedXml));
        }
        let (mut grantee, mut permission) = (None, None);
        while let Some(name) = xml.child().map_err(malformed)? {
            match name.as_str() {
                "Grantee" => once(&mut grantee, read_grantee(xml)?).map_err(malformed)?,
                "Permission" => {
                    let text = xml.text().map_err(malformed)?;
                    let known = AclPermission::parse(text.trim()).ok_or(MalformedXml).map_err(malformed)?;
                    once(&mut permission, known).map_err(malformed)?;
                }
                _ => return Err(malformed(MalformedXml)),
            }
        }
        match (grantee, permission) {
            (Some(grantee), Some(permission)) => grants.push(GrantRequest { grantee, permission }),
            (_, _) => return Err(malformed(MalformedXml)),
        }
    }
    Ok(grants)
}

/// Of which kind a grantee is, the one element says that names it.
fn read_grantee(xml: &mut XmlReader<'_>) -> Result<GranteeName, S3Error> {
    let mut grantee = None;
    while let Some(name) = xml.child().map_err(malformed)? {
        let text = xml.text().map_err(malformed)?;
        let named = match name.as_str() {
            "ID" => GranteeName::Id(text),
            "EmailAddress" => GranteeName::Email(text),
            "URI" => GranteeName::Group(group(&text)?),
            // What a get showed besides.
            "DisplayName" | "Type" => continue,
            _ => return Err(malformed(MalformedXml)),
        };
        once(&mut grantee, named).map_err(malformed)?;
    }
    grantee.ok_or(MalformedXml).map_err(malformed)
}

pub fn access_control_policy(owner: &Owner, grants: &[(ListedGrantee, AclPermission)]) -> String {
    XmlOut::with_root("AccessControlPolicy", |out| {
        owner.write(out, "Owner");
        out.element("AccessControlList", |out| {
            for (grantee, permission) in grants {
                out.element("Grant", |out| {
                    write_grantee(out, grantee);
                    out.text("Permission", permission.as_str());
                });
            }
        });
    })
}

fn write_grantee(out: &mut XmlOut, grantee: &ListedGrantee) {
    let kind = match grantee {
        ListedGrantee::User(_) => "CanonicalUser",
        ListedGrantee::Group(_) => "Group",
    };
    let attributes = [("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance"), ("xsi:type", kind)];
    out.element_with("Grantee", &attributes, |out| match grantee {
        ListedGrantee::User(user) => {
            out.text("ID", &user.id);
            out.text("DisplayName", &user.display_name);
        }
        ListedGrantee::Group(group) => out.text("URI", group.uri()),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str) -> Owner {
        Owner { id: id.to_owned(), display_name: format!("{id}'s name") }
    }

    #[test]
    fn what_is_shown_can_be_set_again() {
        let grants = [
            (ListedGrantee::Group(AclGroup::AllUsers), AclPermission::Read),
            (ListedGrantee::User(user("ada")), AclPermission::FullControl),
        ];
        let document = access_control_policy(&user("ada"), &grants);
        let wanted = AclRequest::Grants(vec![
            GrantRequest { grantee: GranteeName::Group(AclGroup::AllUsers), permission: AclPermission::Read },
            GrantRequest { grantee: GranteeName::Id("ada".into()), permission: AclPermission::FullControl },
        ]);
        let parsed = AccessControlPolicy::parse(document.as_bytes()).expect("ours");
        assert_eq!(parsed, AccessControlPolicy { owner: Some("ada".into()), acl: wanted });
        assert!(document.contains(r#"xsi:type="Group"><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee>"#));
    }

    #[test]
    fn nobody_may_be_granted_anything() {
        let empty = "<AccessControlPolicy><Owner><ID>a</ID></Owner><AccessControlList/></AccessControlPolicy>";
        let parsed = AccessControlPolicy::parse(empty.as_bytes()).expect("well formed");
        assert_eq!(parsed.acl, AclRequest::Grants(Vec::new()));
    }

    #[test]
    fn a_document_of_another_shape_is_malformed() {
        let grant = |inner: &str| {
            format!("<AccessControlPolicy><AccessControlList><Grant>{inner}</Grant></AccessControlList></AccessControlPolicy>")
        };
        let read = "<Permission>READ</Permission>";
        for (document, code) in [
            ("<AccessControlPolicy/>".to_owned(), S3ErrorCode::MalformedACLError),
            ("<Acl/>".to_owned(), S3ErrorCode::MalformedACLError),
            (grant(read), S3ErrorCode::MalformedACLError),
            (grant("<Grantee><ID>a</ID></Grantee>"), S3ErrorCode::MalformedACLError),
            (grant(&format!("<Grantee/>{read}")), S3ErrorCode::MalformedACLError),
            (grant(&format!("<Grantee><ID>a</ID><URI>b</URI></Grantee>{read}")), S3ErrorCode::InvalidArgument),
            (
                grant(&format!("<Grantee><ID>a</ID><EmailAddress>b</EmailAddress></Grantee>{read}")),
                S3ErrorCode::MalformedACLError,
            ),
            (grant("<Grantee><ID>a</ID></Grantee><Permission>read</Permission>"), S3ErrorCode::MalformedACLError),
            (grant(&format!("<Grantee><URI>http://example.com/</URI></Grantee>{read}")), S3ErrorCode::InvalidArgument),
        ] {
            let error = AccessControlPolicy::parse(document.as_bytes()).expect_err("refused");
            assert_eq!(error.code(), code, "{document}");
        }
    }
}
