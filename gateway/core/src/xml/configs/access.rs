//! `PublicAccessBlockConfiguration` and `OwnershipControls`.

use bucket_config::access::ObjectOwnership;
use bucket_config::{OwnershipControls, PublicAccessBlock};

use super::super::requests::{boolean, once};
use super::{Absent, ConfigXml, required, word};
use crate::error::{S3Error, S3ErrorCode};
use crate::xml::{MalformedXml, XmlOut, XmlReader};

impl ConfigXml for PublicAccessBlock {
    const ROOT: &'static str = "PublicAccessBlockConfiguration";
    const MAX_ELEMENTS: usize = 8;

    fn read(xml: &mut XmlReader<'_>) -> Result<Option<Self>, S3Error> {
        let (mut block_acls, mut ignore_acls, mut block_policy, mut restrict) = (None, None, None, None);
        while let Some(name) = xml.child()? {
            let slot = match name.as_str() {
                "BlockPublicAcls" => &mut block_acls,
                "IgnorePublicAcls" => &mut ignore_acls,
                "BlockPublicPolicy" => &mut block_policy,
                "RestrictPublicBuckets" => &mut restrict,
                _ => return Err(MalformedXml.into()),
            };
            once(slot, boolean(&xml.text()?)?)?;
        }
        Ok(Some(Self {
            block_public_acls: block_acls.unwrap_or(false),
            ignore_public_acls: ignore_acls.unwrap_or(false),
            block_public_policy: block_policy.unwrap_or(false),
            restrict_public_buckets: restrict.unwrap_or(false),
        }))
    }

    fn write(&self, out: &mut XmlOut) {
        out.value("BlockPublicAcls", self.block_public_acls);
        out.value("IgnorePublicAcls", self.ignore_public_acls);
        out.value("BlockPublicPolicy", self.block_public_policy);
        out.value("RestrictPublicBuckets", self.restrict_public_buckets);
    }

    fn absent() -> Absent<Self> {
        Absent::Error(S3ErrorCode::NoSuchPublicAccessBlockConfiguration)
    }
}

impl ConfigXml for OwnershipControls {
    const ROOT: &'static str = "OwnershipControls";
    const MAX_ELEMENTS: usize = 8;

    fn read(xml: &mut XmlReader<'_>) -> Result<Option<Self>, S3Error> {
        let mut rule = None;
        while let Some(name) = xml.child()? {
            match name.as_str() {
                "Rule" => once(&mut rule, read_rule(xml)?)?,
                _ => return Err(MalformedXml.into()),
            }
        }
        Ok(Some(Self { ownership: required(rule)? }))
    }

    fn write(&self, out: &mut XmlOut) {
        out.element("Rule", |out| out.text("ObjectOwnership", self.ownership.as_str()));
    }

    fn absent() -> Absent<Self> {
        Absent::Error(S3ErrorCode::OwnershipControlsNotFoundError)
    }
}

fn read_rule(xml: &mut XmlReader<'_>) -> Result<ObjectOwnership, MalformedXml> {
    let mut ownership = None;
    while let Some(name) = xml.child()? {
        match name.as_str() {
            "ObjectOwnership" => once(&mut ownership, word(&xml.text()?, ObjectOwnership::parse)?)?,
            _ => return Err(MalformedXml),
        }
    }
    required(ownership)
}
