//! `RequestPaymentConfiguration` and `AccelerateConfiguration`.

use bucket_config::service::Payer;
use bucket_config::{Acceleration, RequestPayment};

use super::super::requests::once;
use super::{Absent, ConfigXml, required, word};
use crate::error::S3Error;
use crate::xml::{MalformedXml, XmlOut, XmlReader};

impl ConfigXml for RequestPayment {
    const ROOT: &'static str = "RequestPaymentConfiguration";
    const MAX_ELEMENTS: usize = 4;

    fn read(xml: &mut XmlReader<'_>) -> Result<Option<Self>, S3Error> {
        let mut payer = None;
        while let Some(name) = xml.child()? {
            match name.as_str() {
                "Payer" => once(&mut payer, word(&xml.text()?, Payer::parse)?)?,
                _ => return Err(MalformedXml.into()),
            }
        }
        Ok(Some(Self { payer: required(payer)? }))
    }

    fn write(&self, out: &mut XmlOut) {
        out.text("Payer", self.payer.as_str());
    }

    fn absent() -> Absent<Self> {
        Absent::Default(Self { payer: Payer::BucketOwner })
    }
}

impl ConfigXml for Acceleration {
    const ROOT: &'static str = "AccelerateConfiguration";
    const MAX_ELEMENTS: usize = 4;

    fn read(xml: &mut XmlReader<'_>) -> Result<Option<Self>, S3Error> {
        let mut is_enabled = None;
        while let Some(name) = xml.child()? {
            match name.as_str() {
                "Status" => once(&mut is_enabled, word(&xml.text()?, parse_status)?)?,
                _ => return Err(MalformedXml.into()),
            }
        }
        Ok(Some(Self { is_enabled: required(is_enabled)? }))
    }

    fn write(&self, out: &mut XmlOut) {
        out.text("Status", if self.is_enabled { "Enabled" } else { "Suspended" });
    }

    fn absent() -> Absent<Self> {
        Absent::Empty
    }
}

fn parse_status(text: &str) -> Option<bool> {
    match text {
        "Enabled" => Some(true),
        "Suspended" => Some(false),
        _ => None,
    }
}
