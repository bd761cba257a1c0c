//! Which bucket: its name within a volume. A name alone is not enough, since every volume may have a bucket of it.

use std::fmt;

use minicbor::encode::{Error, Write};
use minicbor::{Decode, Decoder, Encode, Encoder};

use crate::{BucketName, InvalidName, VolumeName};

/// A bucket's place: a volume and a name in it. Whoever holds one need not ask who wrote it.
///
/// As text, and so on the wire and in rows, it is `volume:name`, and the name alone in `s3v`: what was written before there were other
/// volumes reads as it did.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketPath {
    /// None: `s3v`. Never that by its name.
    volume: Option<VolumeName>,
    name: BucketName,
}

impl BucketPath {
    pub fn new(volume: VolumeName, name: BucketName) -> Self {
        Self { volume: Some(volume).filter(|volume| !volume.is_s3v()), name }
    }

    pub fn of_s3v(name: BucketName) -> Self {
        Self { volume: None, name }
    }

    pub fn volume(&self) -> &VolumeName {
        self.volume.as_ref().unwrap_or(VolumeName::s3v_ref())
    }

    pub fn name(&self) -> &BucketName {
        &self.name
    }

    /// As S3's ARNs name it. Theirs have no account, since names are one space there; a volume other than `s3v` takes its place.
    pub fn arn(&self) -> String {
        let volume = self.volume.as_ref().map_or("", VolumeName::as_str);
        format!("arn:aws:s3::{volume}:{}", self.name)
    }

    /// The name alone: what S3's answers tell.
    pub fn into_name(self) -> BucketName {
        self.name
    }
}

impl fmt::Display for BucketPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_address(f, self.volume.as_ref().map(VolumeName::as_str), &self.name)
    }
}

impl fmt::Debug for BucketPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl<C> Encode<C> for BucketPath {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), Error<W::Error>> {
        match &self.volume {
            None => e.str(self.name.as_str())?.ok(),
            Some(_) => e.str(&self.to_string())?.ok(),
        }
    }
}

impl<'b, C> Decode<'b, C> for BucketPath {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let address = BucketAddress::parse(d.str()?).map_err(minicbor::decode::Error::message)?;
        Ok(address.within(VolumeName::s3v_ref()))
    }
}

/// A bucket as a client names it: `name`, which is in the volume of whoever writes it; `volume:name`; or `:name`, which is in `s3v`
/// whoever writes it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BucketAddress {
    volume: Option<VolumeName>,
    name: BucketName,
}

impl BucketAddress {
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let (volume, name) = match text.split_once(':') {
            None => (None, text),
            Some(("", name)) => (Some(VolumeName::s3v()), name),
            Some((volume, name)) => (Some(VolumeName::parse(volume)?), name),
        };
        Ok(Self { volume, name: BucketName::parse(name)? })
    }

    pub fn name(&self) -> &BucketName {
        &self.name
    }

    /// The bucket that it names for somebody at home in this volume.
    pub fn within(&self, home: &VolumeName) -> BucketPath {
        let volume = self.volume.as_ref().unwrap_or(home);
        BucketPath { volume: Some(volume).filter(|volume| !volume.is_s3v()).cloned(), name: self.name.clone() }
    }
}

impl From<BucketName> for BucketAddress {
    fn from(name: BucketName) -> Self {
        Self { volume: None, name }
    }
}

impl fmt::Display for BucketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let volume = self.volume.as_ref().map(|volume| if volume.is_s3v() { "" } else { volume.as_str() });
        write_address(f, volume, &self.name)
    }
}

impl fmt::Debug for BucketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl<C> Encode<C> for BucketAddress {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), Error<W::Error>> {
        e.str(&self.to_string())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for BucketAddress {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::parse(d.str()?).map_err(minicbor::decode::Error::message)
    }
}

fn write_address(f: &mut fmt::Formatter<'_>, volume: Option<&str>, name: &BucketName) -> fmt::Result {
    match volume {
        None => f.write_str(name.as_str()),
        Some(volume) => write!(f, "{volume}:{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(name: &str) -> VolumeName {
        VolumeName::parse(name).expect("legal")
    }

    #[test]
    fn a_name_alone_is_at_home_and_a_qualified_one_is_where_it_says() {
        for (text, of_tenant, of_others) in [
            ("photos", "red:photos", "photos"),
            ("red:photos", "red:photos", "red:photos"),
            ("blue:photos", "blue:photos", "blue:photos"),
            (":photos", "photos", "photos"),
            ("s3v:photos", "photos", "photos"),
        ] {
            let address = BucketAddress::parse(text).expect(text);
            assert_eq!(address.within(&volume("red")).to_string(), of_tenant, "{text}");
            assert_eq!(address.within(VolumeName::s3v_ref()).to_string(), of_others, "{text}");
        }
    }

    #[test]
    fn what_names_no_volume_or_no_bucket_is_no_address() {
        for text in
            ["", ":", "red:", "::photos", "red::photos", "red:photos:x", "Red:photos", "r:photos", "red:Photos", "red/x:photos"]
        {
            assert!(BucketAddress::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_path_is_encoded_as_its_text_and_in_s3v_as_the_name_alone() {
        for text in ["photos", "red:photos"] {
            let path = BucketAddress::parse(text).expect(text).within(VolumeName::s3v_ref());
            let bytes = minicbor::to_vec(&path).expect("memory");
            assert_eq!(bytes, minicbor::to_vec(text).expect("memory"));
            assert_eq!(minicbor::decode::<BucketPath>(&bytes).expect("our own"), path);
        }
        let explicit = BucketPath::new(VolumeName::s3v(), BucketName::parse("photos").expect("legal"));
        assert_eq!(explicit, BucketPath::of_s3v(BucketName::parse("photos").expect("legal")));
    }

    #[test]
    fn an_address_is_kept_as_it_was_meant() {
        for text in ["photos", "red:photos", ":photos"] {
            let address = BucketAddress::parse(text).expect(text);
            let bytes = minicbor::to_vec(&address).expect("memory");
            assert_eq!(minicbor::decode::<BucketAddress>(&bytes).expect("our own"), address);
            assert_eq!(address.to_string(), text);
        }
    }
}
