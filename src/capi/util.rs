//! Errors, version, capabilities, and texts for binary data.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::null_mut;

use zeroize::Zeroizing;

use super::{errno, guard, ptr};
use crate::base::constants::{
    EFSM, EMTHREAD, ENOCOMPATPROTO, ETERM, ZMQ_VERSION_MAJOR, ZMQ_VERSION_MINOR, ZMQ_VERSION_PATCH,
};
use crate::base::{Error, z85};
use crate::zmtp::mechanism::crypto::{KEY_LEN, Random, SecretKey};
use crate::{sys, transport};

/// What `zmq_has` affirms, beside "vmci", "gssapi", "pgm" and "norm" where the machine has them.
const CAPABILITIES: [&CStr; 7] = [c"ipc", c"tipc", c"vsock", c"curve", c"draft", c"WS", c"WSS"];

/// The errno of the calling thread.
///
/// Returns a code of the system or of the library (ZMQ_HAUSNUMERO and above).
///
/// Cannot fail.
///
/// Man page: zmq_errno.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_errno() -> c_int {
    errno::current()
}

/// A text for an errno, the library's own codes included.
///
/// Returns a text that is never to be freed; for codes of the system it may change with the next
/// call.
///
/// Cannot fail.
///
/// Man page: zmq_strerror.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_strerror(errnum: c_int) -> *const c_char {
    let text = match errnum {
        EFSM => c"Operation cannot be accomplished in current state",
        ENOCOMPATPROTO => c"The protocol is not compatible with the socket type",
        ETERM => c"Context was terminated",
        EMTHREAD => c"No thread available",
        libc::EHOSTUNREACH => c"Host unreachable",
        // SAFETY: takes any number; the C library keeps the text.
        _ => return unsafe { libc::strerror(errnum) },
    };
    text.as_ptr()
}

/// The version of the library.
///
/// Cannot fail.
///
/// Man page: zmq_version.
///
/// # Safety
/// Each pointer is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_version(major: *mut c_int, minor: *mut c_int, patch: *mut c_int) {
    let places =
        [(major, ZMQ_VERSION_MAJOR), (minor, ZMQ_VERSION_MINOR), (patch, ZMQ_VERSION_PATCH)];
    for (place, number) in places {
        if !place.is_null() {
            // SAFETY: not NULL, so the caller promised that it can be written.
            unsafe { place.write(number) };
        }
    }
}

/// Was the library built with a capability, such as "ipc" or "curve"? Names are case-sensitive.
///
/// Returns 1 or 0; 0 also for NULL.
///
/// Cannot fail.
///
/// Man page: zmq_has.
///
/// # Safety
/// `capability` is NULL or a NUL-terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_has(capability: *const c_char) -> c_int {
    // SAFETY: the same promise.
    let asked = unsafe { ptr::c_str(capability) };
    c_int::from(asked.is_ok_and(|asked| {
        CAPABILITIES.contains(&asked)
            || asked == c"gssapi" && sys::gssapi().is_some()
            || asked == c"vmci" && transport::has_vmci()
            || asked == c"pgm" && sys::pgm::pgm().is_some()
            || asked == c"norm" && sys::norm::norm().is_some()
    }))
}

/// Writes bytes as Z85 text: five characters for four bytes, and a NUL.
///
/// Returns `dest`, or NULL.
///
/// Errors: EINVAL when the size is not a multiple of 4, or for NULL.
///
/// Man page: zmq_z85_encode.
///
/// # Safety `data` is NULL or points to `size` readable bytes; `dest` is NULL or has room for size
/// * 5 / 4 + 1 characters.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_z85_encode(
    dest: *mut c_char,
    data: *const u8,
    size: usize,
) -> *mut c_char {
    guard::call(null_mut(), || {
        // SAFETY: the same promise.
        let bytes = unsafe { ptr::value(data.cast(), size) }?.unwrap_or_default();
        let mut text = z85::encode(bytes).ok_or(Error::Invalid)?.into_bytes();
        text.push(0);
        // SAFETY: the caller promised room for this many characters.
        unsafe { write_all(dest.cast(), &text) }?;
        Ok(dest)
    })
}

/// Reads Z85 text: four bytes for five characters.
///
/// Returns `dest`, or NULL with nothing written.
///
/// Errors: EINVAL when the length is not a multiple of 5 or is 0, when the text is no Z85, or for
/// NULL.
///
/// Man page: zmq_z85_decode.
///
/// # Safety `string` is NULL or a NUL-terminated string; `dest` is NULL or has room for four bytes
/// for every five characters.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_z85_decode(dest: *mut u8, string: *const c_char) -> *mut u8 {
    guard::call(null_mut(), || {
        // SAFETY: the same promise.
        let text = unsafe { ptr::c_str(string) }?;
        let bytes = z85::decode(text.to_bytes()).ok_or(Error::Invalid)?;
        // SAFETY: the caller promised room for this many bytes.
        unsafe { write_all(dest.cast(), &bytes) }?;
        Ok(dest)
    })
}

/// # Safety
/// `dest` is NULL or has room for all of `bytes`.
unsafe fn write_all(dest: *mut c_void, bytes: &[u8]) -> Result<(), Error> {
    // SAFETY: the same promise.
    unsafe { ptr::copy_out(bytes, dest, bytes.len()) }.map_err(|_| Error::Invalid)
}

/// Makes a CURVE key pair, as two Z85 texts of 40 characters and a NUL.
///
/// Returns 0, or -1.
///
/// Errors: EINVAL for NULL, or what the system says when it has no random bytes.
///
/// Man page: zmq_curve_keypair.
///
/// # Safety
/// Each pointer is NULL or has room for 41 characters.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_curve_keypair(
    z85_public_key: *mut c_char,
    z85_secret_key: *mut c_char,
) -> c_int {
    guard::call(-1, || {
        let secret = SecretKey::generate(Random::of_system())?;
        // SAFETY: the same promise.
        unsafe { write_key(z85_public_key, &secret.public()) }?;
        // SAFETY: the same promise.
        unsafe { write_key(z85_secret_key, secret.bytes()) }?;
        Ok(0)
    })
}

/// Derives the public key of a CURVE secret key, both as Z85 texts of 40 characters and a NUL.
///
/// Returns 0, or -1 with nothing written.
///
/// Errors: EINVAL when the secret key is no Z85 text of 40 characters, or for NULL.
///
/// Man page: zmq_curve_public.
///
/// # Safety `z85_public_key` is NULL or has room for 41 characters; `z85_secret_key` is NULL or a
/// NUL-terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_curve_public(
    z85_public_key: *mut c_char,
    z85_secret_key: *const c_char,
) -> c_int {
    guard::call(-1, || {
        // SAFETY: the same promise.
        let text = unsafe { ptr::c_str(z85_secret_key) }?;
        let bytes = Zeroizing::new(z85::decode(text.to_bytes()).ok_or(Error::Invalid)?);
        let bytes: &[u8; KEY_LEN] = bytes[..].try_into().map_err(|_| Error::Invalid)?;
        // SAFETY: the same promise.
        unsafe { write_key(z85_public_key, &SecretKey::new(bytes).public()) }?;
        Ok(0)
    })
}

/// Writes a key as text and a NUL.
///
/// # Safety
/// `dest` is NULL or has room for 41 characters.
unsafe fn write_key(dest: *mut c_char, key: &[u8; KEY_LEN]) -> Result<(), Error> {
    let mut text = Zeroizing::new(z85::encode(key).ok_or(Error::Invalid)?.into_bytes());
    text.push(0);
    // SAFETY: the same promise.
    unsafe { write_all(dest.cast(), &text) }
}
