//! Our boxes against those of libsodium, which the genuine library uses: the same bytes from the same keys, nonces and
//! texts, in both directions, on random vectors.
//!
//! libsodium is loaded at run time; where it is not installed there is nothing to compare with.

use std::ffi::{CStr, c_int, c_uchar, c_ulonglong, c_void};

use zmq::zmtp::mechanism::crypto::{BoxKey, MAC_LEN, NONCE_LEN, Random, SecretKey};

/// Output and secret key.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Base(extern "C" fn(*mut c_uchar, *const c_uchar) -> c_int);

/// Output, public key, secret key.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Before(extern "C" fn(*mut c_uchar, *const c_uchar, *const c_uchar) -> c_int);

/// Output, input and its length, nonce, key.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Crypt(
    extern "C" fn(
        *mut c_uchar,
        *const c_uchar,
        c_ulonglong,
        *const c_uchar,
        *const c_uchar,
    ) -> c_int,
);

/// The functions of libsodium that are compared with.
struct Sodium {
    base: Base,
    beforenm: Before,
    easy: Crypt,
    open_easy: Crypt,
}

impl Sodium {
    fn load() -> Option<Sodium> {
        let names = [c"libsodium.so.23", c"libsodium.so.26", c"libsodium.so"];
        let library = names.iter().find_map(|name| {
            // SAFETY: a NUL-terminated name; libsodium runs nothing of note when loaded.
            let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) };
            (!handle.is_null()).then_some(handle)
        })?;
        let find = |name: &CStr| {
            // SAFETY: an open library and a NUL-terminated name.
            let place = unsafe { libc::dlsym(library, name.as_ptr()) };
            assert!(!place.is_null(), "{name:?}");
            place
        };
        // SAFETY: sodium_init takes nothing and returns an int.
        let init: extern "C" fn() -> c_int = unsafe { std::mem::transmute(find(c"sodium_init")) };
        assert!(init() >= 0);
        // SAFETY: these are the signatures in sodium/crypto_box.h and crypto_scalarmult.h.
        unsafe {
            Some(Sodium {
                base: std::mem::transmute::<*mut c_void, Base>(find(c"crypto_scalarmult_base")),
                beforenm: std::mem::transmute::<*mut c_void, Before>(find(c"crypto_box_beforenm")),
                easy: std::mem::transmute::<*mut c_void, Crypt>(find(c"crypto_box_easy_afternm")),
                open_easy: std::mem::transmute::<*mut c_void, Crypt>(find(
                    c"crypto_box_open_easy_afternm",
                )),
            })
        }
    }

    fn public(&self, secret: &[u8; 32]) -> [u8; 32] {
        let mut public = [0; 32];
        assert_eq!((self.base.0)(public.as_mut_ptr(), secret.as_ptr()), 0);
        public
    }

    /// `None` for public keys that it refuses.
    fn agree(&self, theirs: &[u8; 32], ours: &[u8; 32]) -> Option<[u8; 32]> {
        let mut key = [0; 32];
        let answer = (self.beforenm.0)(key.as_mut_ptr(), theirs.as_ptr(), ours.as_ptr());
        (answer == 0).then_some(key)
    }
}

impl Crypt {
    fn run(
        self,
        input: &[u8],
        out_len: usize,
        nonce: &[u8; NONCE_LEN],
        key: &[u8; 32],
    ) -> Option<Vec<u8>> {
        let mut out = vec![0; out_len];
        let answer = (self.0)(
            out.as_mut_ptr(),
            input.as_ptr(),
            input.len() as u64,
            nonce.as_ptr(),
            key.as_ptr(),
        );
        (answer == 0).then_some(out)
    }
}

/// Sizes around which implementations change their ways, and some between.
fn sizes() -> impl Iterator<Item = usize> {
    let edges =
        [0, 1, 15, 16, 31, 32, 33, 63, 64, 65, 95, 96, 127, 128, 129, 255, 256, 257, 511, 512, 513];
    let large = [671, 672, 673, 1023, 1025, 4095, 4097, 8191, 8193, 65_535, 65_537, 1_000_003];
    edges.into_iter().chain((0..600).step_by(7)).chain(large)
}

#[test]
fn the_same_bytes_both_ways() {
    let Some(sodium) = Sodium::load() else {
        eprintln!("skipped: no libsodium on this machine (Debian: libsodium23)");
        return;
    };
    let random = Random::of_system();
    for size in sizes() {
        let (a, b) = (random.take().expect("random"), random.take().expect("random"));
        let (ours, theirs) = (SecretKey::new(&a), SecretKey::new(&b));
        assert_eq!((ours.public(), theirs.public()), (sodium.public(&a), sodium.public(&b)));
        let key = BoxKey::agree(&theirs.public(), &ours).expect("a good key");
        let same = sodium.agree(&ours.public(), &b).expect("a good key");
        let nonce: [u8; NONCE_LEN] = random.take().expect("random");
        let pattern: [u8; 61] = random.take().expect("random");
        let text: Vec<u8> = pattern.iter().copied().cycle().take(size).collect();

        let mut sealed = Vec::new();
        key.push_box(&nonce, &text, &mut sealed);
        let expected = sodium.easy.run(&text, size + MAC_LEN, &nonce, &same).expect("a box");
        assert_eq!(sealed, expected, "{size} bytes");
        let opened = sodium.open_easy.run(&sealed, size, &nonce, &same);
        assert_eq!(opened.as_deref(), Some(&text[..]), "{size} bytes");
        assert_eq!(key.open_box(&nonce, &expected).as_deref(), Some(&text), "{size} bytes");

        let at = usize::from(nonce[0]) * 7919 % sealed.len();
        sealed[at] ^= 1 << (nonce[1] % 8);
        assert!(key.open_box(&nonce, &sealed).is_none());
        assert!(sodium.open_easy.run(&sealed, size, &nonce, &same).is_none());
    }
}

#[test]
fn the_same_public_keys_are_refused() {
    let Some(sodium) = Sodium::load() else {
        eprintln!("skipped: no libsodium on this machine (Debian: libsodium23)");
        return;
    };
    let secret = Random::of_system().take().expect("random");
    let mut keys = vec![[0u8; 32], [0xff; 32]];
    // Points of small order, and the same with the bit that counts for nothing.
    for low in [1u8, 0xec, 0xed, 0xee] {
        let mut key = if low == 1 { [0; 32] } else { [0xff; 32] };
        key[0] = low;
        if low != 1 {
            key[31] = 0x7f;
        }
        keys.push(key);
        key[31] |= 0x80;
        keys.push(key);
    }
    keys.extend((0..200).map(|_| Random::of_system().take::<32>().expect("random")));
    let mut refused = 0;
    for key in keys {
        let ours = BoxKey::agree(&key, &SecretKey::new(&secret)).is_some();
        assert_eq!(ours, sodium.agree(&key, &secret).is_some(), "{key:x?}");
        refused += usize::from(!ours);
    }
    assert!(refused >= 4, "{refused}");
}
