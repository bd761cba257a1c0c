//! Signature Version 2: HMAC-SHA1 under the secret itself.

use aws_lc_rs::hmac;

/// One request has a few forms at most; more is nobody's honest question.
const MOST_TEXTS: usize = 16;

/// Whether the signature is of one of the texts. Compares in constant time.
pub(crate) fn is_signed_v2<'t>(secret: &str, texts: impl ExactSizeIterator<Item = &'t [u8]>, signature: &[u8; 20]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    let mut texts = texts.take(MOST_TEXTS);
    texts.any(|text| hmac::verify(&key, text, signature).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    const TEXT: &[u8] = b"GET\n\n\nTue, 27 Mar 2007 19:36:42 +0000\n/johnsmith/photos/puppy.jpg";
    /// `bWq2s1WEIj+Ydj0vQ697zp+IXMU=`, as S3's documentation gives it.
    const SIGNATURE: [u8; 20] =
        [0x6d, 0x6a, 0xb6, 0xb3, 0x55, 0x84, 0x22, 0x3f, 0x98, 0x76, 0x3d, 0x2f, 0x43, 0xaf, 0x7b, 0xce, 0x9f, 0x88, 0x5c, 0xc5];

    #[test]
    fn the_documented_signature_is_of_its_text_and_secret_alone() {
        let signed = |secret, texts: &[&[u8]]| is_signed_v2(secret, texts.iter().copied(), &SIGNATURE);
        assert!(signed(SECRET, &[TEXT]));
        assert!(signed(SECRET, &[b"another form", TEXT]));
        assert!(!signed(SECRET, &[]));
        assert!(!signed(SECRET, &[&TEXT[1..]]));
        assert!(!signed("another", &[TEXT]));
        let many = [[&b"no"[..]; MOST_TEXTS].as_slice(), &[TEXT]].concat();
        assert!(!signed(SECRET, &many));
    }
}
