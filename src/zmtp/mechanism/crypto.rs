//! The cryptography that CURVE stands on: key pairs, boxes, random bytes.
//!
//! The only place that knows the crate which computes them. Nonces, commands and what is to be kept
//! secret from whom are the mechanism's. What is secret lies on the heap and is wiped when dropped.

use crate::base::Error;
use dryoc::classic::crypto_box;
use dryoc::classic::crypto_core::crypto_scalarmult_base;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Length of keys of every kind.
pub const KEY_LEN: usize = 32;
/// Length of a nonce: a prefix that tells boxes of one purpose from all others, and a number.
pub const NONCE_LEN: usize = 24;
/// How much longer a box is than what is in it; the authenticator goes first.
pub const MAC_LEN: usize = 16;

/// Where a mechanism gets random bytes from: the operating system, or something foreseeable in
/// tests.
#[derive(Clone, Copy)]
pub struct Random(fn(&mut [u8]) -> Result<(), Error>);

impl Random {
    /// The operating system's.
    pub fn of_system() -> Random {
        Random(|bytes| {
            getrandom::fill(bytes)
                .map_err(|error| error.raw_os_error().map_or(Error::NotSupported, Error::Os))
        })
    }

    /// Whatever `fill` writes. For tests.
    pub fn by(fill: fn(&mut [u8]) -> Result<(), Error>) -> Random {
        Random(fill)
    }

    /// This many random bytes.
    pub fn take<const N: usize>(self) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        (self.0)(&mut bytes)?;
        Ok(bytes)
    }
}

/// A secret key of an agreement.
#[derive(Clone)]
pub struct SecretKey(Box<Zeroizing<[u8; KEY_LEN]>>);

impl SecretKey {
    /// These bytes.
    pub fn new(bytes: &[u8; KEY_LEN]) -> SecretKey {
        let mut key = SecretKey(Box::default());
        key.0.copy_from_slice(bytes);
        key
    }

    /// A key nobody knows.
    pub fn generate(random: Random) -> Result<SecretKey, Error> {
        let mut key = SecretKey(Box::default());
        (random.0)(&mut key.0[..])?;
        Ok(key)
    }

    /// The public key that belongs to it.
    pub fn public(&self) -> [u8; KEY_LEN] {
        let mut public = [0; KEY_LEN];
        crypto_scalarmult_base(&mut public, &self.0);
        public
    }

    /// The bytes, to be put into a box or shown to their owner.
    pub fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

/// A key for boxes that both ends of an agreement know.
#[derive(Clone)]
pub struct BoxKey(Arc<Zeroizing<[u8; KEY_LEN]>>);

impl BoxKey {
    /// What our secret key and the other's public key agree on. `None` for the few public keys that
    /// would give everybody the same secret, the one of 32 zeros among them.
    pub fn agree(theirs: &[u8; KEY_LEN], ours: &SecretKey) -> Option<BoxKey> {
        let key = Zeroizing::new(crypto_box::crypto_box_beforenm(theirs, &ours.0).ok()?);
        Some(BoxKey::of(&key))
    }

    /// A key that is shared with nobody.
    pub fn generate(random: Random) -> Result<BoxKey, Error> {
        let mut key = Zeroizing::new([0; KEY_LEN]);
        (random.0)(&mut key[..])?;
        Ok(BoxKey::of(&key))
    }

    fn of(bytes: &[u8; KEY_LEN]) -> BoxKey {
        let mut place = Arc::new(Zeroizing::new([0; KEY_LEN]));
        if let Some(key) = Arc::get_mut(&mut place) {
            key.copy_from_slice(bytes);
        }
        BoxKey(place)
    }

    /// Encrypts `data` in place; the answer is its authenticator. A nonce must never be used twice.
    #[inline]
    pub fn seal(&self, nonce: &[u8; NONCE_LEN], data: &mut [u8]) -> [u8; MAC_LEN] {
        let mut mac = [0; MAC_LEN];
        crypto_box::crypto_box_detached_afternm_inplace(data, &mut mac, nonce, &self.0);
        mac
    }

    /// Decrypts `data` in place; `None`, and `data` unchanged, when it is not what was sealed.
    #[inline]
    pub fn open(
        &self,
        nonce: &[u8; NONCE_LEN],
        mac: &[u8; MAC_LEN],
        data: &mut [u8],
    ) -> Option<()> {
        crypto_box::crypto_box_open_detached_afternm_inplace(data, mac, nonce, &self.0).ok()
    }

    /// Decrypts `data` to `plain`, which has the same length.
    #[inline]
    pub fn open_to(
        &self,
        nonce: &[u8; NONCE_LEN],
        mac: &[u8; MAC_LEN],
        data: &[u8],
        plain: &mut [u8],
    ) -> Option<()> {
        crypto_box::crypto_box_open_detached_afternm(plain, data, mac, nonce, &self.0).ok()
    }

    /// Appends a box of `plain`: its authenticator, then as many bytes as `plain` has.
    pub fn push_box(&self, nonce: &[u8; NONCE_LEN], plain: &[u8], out: &mut Vec<u8>) {
        let mut data = Zeroizing::new(plain.to_vec());
        let mac = self.seal(nonce, &mut data);
        out.extend_from_slice(&mac);
        out.extend_from_slice(&data);
    }

    /// What is in a box that [`BoxKey::push_box`] made.
    pub fn open_box(&self, nonce: &[u8; NONCE_LEN], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (mac, data) = sealed.split_first_chunk::<MAC_LEN>()?;
        let mut plain = Zeroizing::new(data.to_vec());
        self.open(nonce, mac, &mut plain)?;
        Some(plain)
    }
}

/// Whether two keys are equal, in a time that does not tell where they differ.
pub fn same_key(a: &[u8; KEY_LEN], b: &[u8; KEY_LEN]) -> bool {
    let difference = a.iter().zip(b).fold(0, |seen, (a, b)| seen | (a ^ b));
    std::hint::black_box(difference) == 0
}

/// A nonce of a prefix and what tells it from others of the prefix; together they have its length.
pub fn nonce(prefix: &[u8], number: &[u8]) -> [u8; NONCE_LEN] {
    debug_assert_eq!(prefix.len() + number.len(), NONCE_LEN);
    let mut nonce = [0; NONCE_LEN];
    for (place, byte) in nonce.iter_mut().zip(prefix.iter().chain(number)) {
        *place = *byte;
    }
    nonce
}

/// A password; wiped when dropped, and never printed.
#[derive(Clone, Default)]
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// This text.
    pub fn new(text: &[u8]) -> Password {
        Password(Zeroizing::new(text.to_vec()))
    }

    /// The text.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Default for SecretKey {
    fn default() -> Self {
        SecretKey::new(&[0; KEY_LEN])
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

impl fmt::Debug for BoxKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoxKey(..)")
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        let mut bytes = [0; N];
        for (place, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
            *place = u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        }
        bytes
    }

    /// The keys of RFC 7748, section 6.1, and what NaCl makes of what they agree on.
    #[test]
    fn the_published_example() {
        let alice = SecretKey::new(&bytes(
            "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
        ));
        let bob = SecretKey::new(&bytes(
            "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
        ));
        let alice_public =
            bytes("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
        let bob_public = bytes("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
        assert_eq!(bob.public(), bob_public);
        assert_eq!(alice.public(), alice_public);
        let one = BoxKey::agree(&bob_public, &alice).unwrap();
        let other = BoxKey::agree(&alice_public, &bob).unwrap();
        assert_eq!(*one.0, *other.0);
        assert_eq!(
            **one.0,
            bytes::<32>("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389")
        );
    }

    #[test]
    fn a_box_opens_with_its_key_its_nonce_and_its_bytes_only() {
        let key = BoxKey::generate(Random::of_system()).unwrap();
        let other = BoxKey::generate(Random::of_system()).unwrap();
        let (at, later) = (nonce(&[1; 16], &[2; 8]), nonce(&[1; 16], &[3; 8]));
        let mut sealed = Vec::new();
        key.push_box(&at, b"some text", &mut sealed);
        assert_eq!(sealed.len(), 9 + MAC_LEN);
        assert_eq!(key.open_box(&at, &sealed).unwrap()[..], *b"some text");
        assert!(other.open_box(&at, &sealed).is_none());
        assert!(key.open_box(&later, &sealed).is_none());
        assert!(key.open_box(&at, &sealed[..10]).is_none());
        for n in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[n] ^= 1;
            assert!(key.open_box(&at, &damaged).is_none(), "{n}");
        }
    }

    #[test]
    fn keys_that_agree_with_everybody_are_refused() {
        let key = SecretKey::generate(Random::of_system()).unwrap();
        assert!(BoxKey::agree(&[0; 32], &key).is_none());
        let mut one = [0; 32];
        one[0] = 1;
        assert!(BoxKey::agree(&one, &key).is_none());
    }

    #[test]
    fn secrets_are_not_printed() {
        let key = SecretKey::new(&[77; 32]);
        let shared = BoxKey::agree(&key.public(), &key);
        let text = format!("{key:?} {shared:?} {:?}", Password::new(b"MMM"));
        assert!(!text.contains("77") && !text.contains('M'), "{text}");
    }

    #[test]
    fn equal_keys_are_equal() {
        let (a, mut b) = ([5; 32], [5; 32]);
        assert!(same_key(&a, &b));
        b[31] = 4;
        assert!(!same_key(&a, &b));
    }
}
