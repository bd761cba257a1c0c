//! `VersioningConfiguration`.

use super::{MalformedXml, XmlOut, XmlReader};
use crate::error::{S3Error, S3ErrorCode};

/// What a client asks for: whether versions are kept, else their keeping is suspended.
pub fn parse_versioning(body: &[u8]) -> Result<bool, S3Error> {
    let mut xml = XmlReader::enter(body, "VersioningConfiguration", 8)?;
    let mut enabled = None;
    while let Some(name) = xml.child()? {
        let text = xml.text()?;
        match (name.as_str(), text.as_str()) {
            ("Status", "Enabled") => enabled = Some(true),
            ("Status", "Suspended") => enabled = Some(false),
            ("MfaDelete" | "MFADelete", "Disabled") => {}
            // Accepted and not kept, it would protect nothing.
            ("MfaDelete" | "MFADelete", "Enabled") => return Err(S3Error::not_implemented("MFA delete")),
            _ => return Err(MalformedXml.into()),
        }
    }
    xml.finish()?;
    enabled.ok_or_else(|| {
        S3Error::with_message(S3ErrorCode::IllegalVersioningConfigurationException, "The Versioning element must be specified")
    })
}

/// A bucket that never kept versions says nothing at all.
pub fn versioning_xml(enabled: Option<bool>) -> String {
    XmlOut::with_root("VersioningConfiguration", |out| {
        if let Some(enabled) = enabled {
            out.value("Status", if enabled { "Enabled" } else { "Suspended" });
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_reads_back_as_it_was_written() {
        for enabled in [true, false] {
            assert_eq!(parse_versioning(versioning_xml(Some(enabled)).as_bytes()).expect("ours"), enabled);
        }
        for (inside, code) in [
            ("", S3ErrorCode::IllegalVersioningConfigurationException),
            ("<Status>enabled</Status>", S3ErrorCode::MalformedXML),
            ("<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>", S3ErrorCode::NotImplemented),
        ] {
            let document = format!("<VersioningConfiguration>{inside}</VersioningConfiguration>");
            assert_eq!(parse_versioning(document.as_bytes()).expect_err("refused").code(), code, "{inside}");
        }
    }
}
