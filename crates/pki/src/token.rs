//! The one secret that a new process needs.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use runtime::Entropy;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// 256 random bits. An enrolling process shows a MAC under it to a server that it cannot yet trust, so it must not be
/// guessable at leisure: only the full length is accepted.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct JoinToken([u8; 32]);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a join token is `{}` and 64 hexadecimal digits", JoinToken::PREFIX)]
pub struct InvalidJoinToken;

impl JoinToken {
    /// Tells people, and scanners for leaked secrets, what they have found.
    const PREFIX: &str = "trioxide-join-";

    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut secret = [0; 32];
        entropy.fill(&mut secret);
        Self(secret)
    }

    pub fn from_bytes(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub fn parse(text: &str) -> Result<Self, InvalidJoinToken> {
        let digits = text.trim().strip_prefix(Self::PREFIX).ok_or(InvalidJoinToken)?.as_bytes();
        let mut secret = [0; 32];
        if digits.len() != 2 * secret.len() {
            return Err(InvalidJoinToken);
        }
        for (byte, pair) in secret.iter_mut().zip(digits.chunks_exact(2)) {
            let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
            let [high, low] = pair else { return Err(InvalidJoinToken) };
            *byte = value(*high).zip(value(*low)).map(|(high, low)| high << 4 | low).ok_or(InvalidJoinToken)?;
        }
        Ok(Self(secret))
    }

    /// What a person copies; the only way the secret comes out as text.
    pub fn reveal(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(Self::PREFIX.len() + 64));
        text.push_str(Self::PREFIX);
        for byte in self.0 {
            for digit in [byte >> 4, byte & 0xf] {
                text.extend(char::from_digit(u32::from(digit), 16));
            }
        }
        text
    }

    /// Says "I know the token" to the other end of this very TLS connection: `exporter` is known to its two ends alone.
    pub(crate) fn prove(&self, direction: Direction, exporter: &[u8; 32], message: &[u8]) -> [u8; 32] {
        self.mac(direction, exporter, message).finalize().into_bytes().into()
    }

    /// In a time that tells nothing about where the proof is wrong.
    pub(crate) fn proves(&self, direction: Direction, exporter: &[u8; 32], message: &[u8], proof: &[u8]) -> bool {
        self.mac(direction, exporter, message).verify_slice(proof).is_ok()
    }

    fn mac(&self, direction: Direction, exporter: &[u8; 32], message: &[u8]) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        // The first two parts have fixed lengths, so no two inputs read the same.
        mac.update(direction.label());
        mac.update(exporter);
        mac.update(message);
        mac
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinToken(…)")
    }
}

/// Who proves: a proof of one direction is none in the other, so nothing can be reflected.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Direction {
    ToServer,
    ToClient,
}

impl Direction {
    fn label(self) -> &'static [u8; 6] {
        match self {
            Self::ToServer => b"client",
            Self::ToClient => b"server",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::SeededEntropy;

    #[test]
    fn a_token_reads_back_from_its_text_and_only_from_all_of_it() {
        let token = JoinToken::generate(&SeededEntropy::new(1));
        let text = token.reveal();
        assert_eq!(JoinToken::parse(&text).expect("reads back").as_bytes(), token.as_bytes());
        assert!(JoinToken::parse(&format!(" {}\n", *text)).is_ok(), "a pasted line end does not matter");
        for bad in ["", "trioxide-join-", &text[..text.len() - 2], &text.replace("join", "JOIN"), &format!("{}00", *text)] {
            assert_eq!(JoinToken::parse(bad).err(), Some(InvalidJoinToken), "{bad}");
        }
        assert_eq!(JoinToken::parse(&format!("trioxide-join-{}", "g".repeat(64))).err(), Some(InvalidJoinToken));
    }

    #[test]
    fn a_proof_holds_for_its_direction_connection_and_message_alone() {
        let token = JoinToken::from_bytes([1; 32]);
        let proof = token.prove(Direction::ToServer, &[2; 32], b"message");
        assert!(token.proves(Direction::ToServer, &[2; 32], b"message", &proof));
        assert!(!token.proves(Direction::ToClient, &[2; 32], b"message", &proof));
        assert!(!token.proves(Direction::ToServer, &[3; 32], b"message", &proof));
        assert!(!token.proves(Direction::ToServer, &[2; 32], b"massage", &proof));
        assert!(!token.proves(Direction::ToServer, &[2; 32], b"message", &proof[..16]));
        assert!(!JoinToken::from_bytes([9; 32]).proves(Direction::ToServer, &[2; 32], b"message", &proof));
    }

    #[test]
    fn a_token_does_not_show_in_debug_output() {
        assert_eq!(format!("{:?}", JoinToken::from_bytes([0xab; 32])), "JoinToken(…)");
    }
}
