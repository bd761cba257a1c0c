//! Secret access keys: sealed at rest, and derived into the keys that sign one day's requests.

mod seal;
mod signing;
mod signing_v2;

pub(crate) use seal::{SealError, SecretSeal};
pub(crate) use signing::{Scope, SigningKeys, derive};
pub(crate) use signing_v2::is_signed_v2;

use runtime::Entropy;
use zeroize::Zeroizing;

/// Both have a power of two of letters, so that no letter is likelier than another.
pub(crate) const ACCESS_KEY_LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const SECRET_LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// 20 letters, as AWS's are: 100 random bits.
pub(crate) fn new_access_key(entropy: &dyn Entropy) -> String {
    letters(entropy, ACCESS_KEY_LETTERS, 20)
}

/// 40 letters, as AWS's are: 240 random bits.
pub(crate) fn new_secret(entropy: &dyn Entropy) -> Zeroizing<String> {
    Zeroizing::new(letters(entropy, SECRET_LETTERS, 40))
}

pub(crate) fn letters(entropy: &dyn Entropy, alphabet: &[u8], count: usize) -> String {
    let mut bytes = Zeroizing::new(vec![0; count]);
    entropy.fill(&mut bytes);
    bytes.iter().map(|byte| char::from(alphabet[usize::from(*byte) % alphabet.len()])).collect()
}
