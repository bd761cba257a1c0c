//! Networks of addresses: `203.0.113.0/24`, `2001:db8::/32`, or a single address.

use std::net::IpAddr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: u128,
    is_v4: bool,
    /// How many leading bits of an address of its family count.
    bits: u32,
}

impl Network {
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            None => (text, None),
            Some((address, bits)) => (address, Some(bits)),
        };
        let address: IpAddr = address.parse().ok()?;
        let (number, is_v4, width) = number_of(address);
        let bits = match bits {
            None => width,
            Some(bits) if bits.len() <= 3 && bits.bytes().all(|byte| byte.is_ascii_digit()) => bits.parse().ok()?,
            Some(_) => return None,
        };
        (bits <= width).then(|| Self { address: number & mask(bits, width), is_v4, bits })
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        let (number, is_v4, width) = number_of(address.to_canonical());
        is_v4 == self.is_v4 && number & mask(self.bits, width) == self.address
    }

    /// Every address of its family.
    pub fn is_everything(&self) -> bool {
        self.bits == 0
    }

    /// So many addresses that to name it names nobody in particular. The bounds are those by which S3 tells public policies.
    pub fn is_very_broad(&self) -> bool {
        self.bits < if self.is_v4 { 8 } else { 32 }
    }
}

fn number_of(address: IpAddr) -> (u128, bool, u32) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), true, 32),
        IpAddr::V6(address) => (address.to_bits(), false, 128),
    }
}

fn mask(bits: u32, width: u32) -> u128 {
    let low = (1u128 << (width - bits).min(127)) - 1;
    match (bits, width) {
        (0, _) => 0,
        (_, 32) => !low & 0xffff_ffff,
        _ => !low,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_lies_in_its_network() {
        for (network, address, inside) in [
            ("203.0.113.0/24", "203.0.113.7", true),
            ("203.0.113.0/24", "203.0.114.7", false),
            ("203.0.113.9/24", "203.0.113.7", true),
            ("203.0.113.7", "203.0.113.7", true),
            ("203.0.113.7/32", "203.0.113.8", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "::1", true),
            ("2001:db8::/32", "2001:db8:7::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::1/128", "::1", true),
            ("8000::/1", "9000::", true),
            ("8000::/1", "7000::", false),
            ("203.0.113.0/24", "::ffff:203.0.113.7", true),
        ] {
            let parsed = Network::parse(network).expect("a network");
            assert_eq!(parsed.contains(address.parse().expect("an address")), inside, "{address} in {network}");
        }
    }

    #[test]
    fn what_is_no_network_is_none() {
        for text in ["", "a", "1.2.3", "1.2.3.4/33", "1.2.3.4/", "1.2.3.4/-1", "1.2.3.4/+8", "::/129", "1.2.3.4/8/8", "1.2.3.*"] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }
}
