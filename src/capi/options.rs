//! Socket options.

use std::ffi::{c_int, c_void};

use super::{guard, ptr};
use crate::socket;

/// Sets a socket option. The size must be that of the option's type; NULL without a size unsets the
/// few options that can be unset.
///
/// Returns 0, or -1.
///
/// Errors: ENOTSOCK when the handle is no open socket, ETERM when the context was shut down or
/// terminated, EINVAL for an unknown option, or a size or value that does not fit.
///
/// Man page: zmq_setsockopt.
///
/// # Safety
/// `optval` is NULL or points to `optvallen` readable bytes; `s` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_setsockopt(
    s: *mut c_void,
    option: c_int,
    optval: *const c_void,
    optvallen: usize,
) -> c_int {
    guard::call(-1, || {
        let socket = socket::lookup(ptr::handle(s))?;
        // SAFETY: the same promise.
        socket.set_option(option, unsafe { ptr::value(optval, optvallen) }?).map(|()| 0)
    })
}

/// Copies the value of a socket option to `optval` and its size to `*optvallen`, which says how
/// much room there is. Numbers need room of exactly their size, with few exceptions; texts count
/// their final NUL.
///
/// Returns 0, or -1.
///
/// Errors: ENOTSOCK when the handle is no open socket, ETERM when the context was shut down or
/// terminated, EFAULT for NULL, EINVAL for an unknown option or a size that does not fit.
///
/// Man page: zmq_getsockopt.
///
/// # Safety `optvallen` is NULL or may be read and written; `optval` is NULL or points to
/// `*optvallen` writable bytes; `s` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_getsockopt(
    s: *mut c_void,
    option: c_int,
    optval: *mut c_void,
    optvallen: *mut usize,
) -> c_int {
    guard::call(-1, || {
        let socket = socket::lookup(ptr::handle(s))?;
        // SAFETY: the same promise.
        let (room, size) = unsafe { ptr::room(optval, optvallen) }?;
        *size = socket.option(option, room)?;
        Ok(0)
    })
}
