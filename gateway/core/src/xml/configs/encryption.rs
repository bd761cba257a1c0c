//! `ServerSideEncryptionConfiguration`.

use bucket_config::EncryptionConfiguration;
use bucket_config::encryption::SseAlgorithm;

use super::super::requests::{boolean, once};
use super::{Absent, ConfigXml, required};
use crate::error::{S3Error, S3ErrorCode};
use crate::xml::{MalformedXml, XmlOut, XmlReader};

impl ConfigXml for EncryptionConfiguration {
    const ROOT: &'static str = "ServerSideEncryptionConfiguration";
    const MAX_ELEMENTS: usize = 16;

    fn read(xml: &mut XmlReader<'_>) -> Result<Option<Self>, S3Error> {
        let mut rule = None;
        while let Some(name) = xml.child()? {
            match name.as_str() {
                "Rule" => once(&mut rule, read_rule(xml)?)?,
                _ => return Err(MalformedXml.into()),
            }
        }
        Ok(Some(required(rule)?))
    }

    fn write(&self, out: &mut XmlOut) {
        out.element("Rule", |out| {
            out.element("ApplyServerSideEncryptionByDefault", |out| {
                out.text("SSEAlgorithm", self.algorithm.as_str());
                out.text_if("KMSMasterKeyID", self.kms_key.as_deref());
            });
            out.value("BucketKeyEnabled", self.bucket_key);
        });
    }

    fn absent() -> Absent<Self> {
        Absent::Error(S3ErrorCode::ServerSideEncryptionConfigurationNotFoundError)
    }
}

fn read_rule(xml: &mut XmlReader<'_>) -> Result<EncryptionConfiguration, S3Error> {
    let (mut default, mut bucket_key) = (None, None);
    while let Some(name) = xml.child()? {
        match name.as_str() {
            "ApplyServerSideEncryptionByDefault" => once(&mut default, read_default(xml)?)?,
            "BucketKeyEnabled" => once(&mut bucket_key, boolean(&xml.text()?)?)?,
            "BlockedEncryptionTypes" => read_blocked(xml)?,
            _ => return Err(MalformedXml.into()),
        }
    }
    let (algorithm, kms_key) = required(default)?;
    Ok(EncryptionConfiguration { algorithm, kms_key, bucket_key: bucket_key.unwrap_or(false) })
}

fn read_default(xml: &mut XmlReader<'_>) -> Result<(SseAlgorithm, Option<String>), S3Error> {
    let (mut algorithm, mut key) = (None, None);
    while let Some(name) = xml.child()? {
        let text = xml.text()?;
        match (name.as_str(), text.trim()) {
            // It would be encrypted twice.
            ("SSEAlgorithm", "aws:kms:dsse") => return Err(S3Error::not_implemented("aws:kms:dsse")),
            ("SSEAlgorithm", word) => once(&mut algorithm, SseAlgorithm::parse(word).ok_or(MalformedXml)?)?,
            ("KMSMasterKeyID", id) => once(&mut key, id.to_owned())?,
            _ => return Err(MalformedXml.into()),
        }
    }
    Ok((required(algorithm)?, key))
}

/// Which encryptions requests may not ask for. Said to be none, nothing is asked of us.
fn read_blocked(xml: &mut XmlReader<'_>) -> Result<(), S3Error> {
    while let Some(name) = xml.child()? {
        match (name.as_str(), xml.text()?.trim()) {
            ("EncryptionType", "NONE") => {}
            ("EncryptionType", other) => return Err(S3Error::not_implemented(&format!("BlockedEncryptionTypes/{other}"))),
            _ => return Err(MalformedXml.into()),
        }
    }
    Ok(())
}
