//! Multi-part messages as arrays of `struct iovec`. Deprecated, and kept for old programs.

use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use std::slice;

use super::{guard, ptr};
use crate::base::Error;
use crate::base::constants::ZMQ_SNDMORE;
use crate::message::Msg;
use crate::socket::{self, Socket};

/// Sends each element as one part. All but the last are sent with `flags` as they are, so without
/// ZMQ_SNDMORE each is a message of its own; the last is sent without ZMQ_SNDMORE.
///
/// Returns the size of the last part, or -1. Parts before the one that failed have been sent.
///
/// Errors: ENOTSOCK when the handle is no open socket, EINVAL for NULL or no elements, EFAULT for
/// an element that is NULL with a length, and as zmq_msg_send.
///
/// Man page: zmq_sendiov.
///
/// # Safety `iov` is NULL or points to `count` elements, each NULL or pointing to as many readable
/// bytes as it says; `s` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_sendiov(
    s: *mut c_void,
    iov: *mut libc::iovec,
    count: usize,
    flags: c_int,
) -> c_int {
    guard::call(-1, || {
        let socket = socket::lookup(ptr::handle(s))?;
        if iov.is_null() || count > isize::MAX as usize / size_of::<libc::iovec>() {
            return Err(Error::Invalid);
        }
        // SAFETY: not NULL, so the caller promised `count` elements.
        let parts = unsafe { slice::from_raw_parts(iov, count) };
        let (last, others) = parts.split_last().ok_or(Error::Invalid)?;
        for part in others {
            // SAFETY: the same promise.
            unsafe { send_part(socket, part, flags) }?;
        }
        // SAFETY: the same promise.
        unsafe { send_part(socket, last, flags & !ZMQ_SNDMORE) }.map(ptr::length)
    })
}

/// # Safety
/// The base of `part` is NULL or points to as many readable bytes as it says.
unsafe fn send_part(socket: Socket, part: &libc::iovec, flags: c_int) -> Result<usize, Error> {
    // SAFETY: the same promise.
    let mut msg = Msg::copy_of(unsafe { ptr::bytes(part.iov_base, part.iov_len) }?)?;
    socket.send(&mut msg, flags)
}

/// Receives the parts of one message into memory of malloc, one element each, up to `*count` of
/// them. The caller frees each `iov_base`.
///
/// Returns the number of parts, which is also in `*count`, or -1. After a failure no element holds
/// memory and `*count` is 0.
///
/// Errors: ENOTSOCK when the handle is no open socket, EINVAL for NULL or no elements, ENOMEM when
/// memory is exhausted, and as zmq_msg_recv.
///
/// Man page: zmq_recviov.
///
/// # Safety `count` is NULL or may be read and written; `iov` is NULL or points to `*count`
/// elements that may be written and that nobody else uses meanwhile; `s` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_recviov(
    s: *mut c_void,
    iov: *mut libc::iovec,
    count: *mut usize,
    flags: c_int,
) -> c_int {
    guard::call(-1, || {
        let socket = socket::lookup(ptr::handle(s))?;
        // SAFETY: NULL, or the caller promised that it can be read and written.
        let count = unsafe { count.as_mut() }.ok_or(Error::Invalid)?;
        if iov.is_null() || *count == 0 || *count > isize::MAX as usize / size_of::<libc::iovec>() {
            return Err(Error::Invalid);
        }
        // SAFETY: not NULL, so the caller promised `*count` elements, which are plain data.
        let parts = unsafe { slice::from_raw_parts_mut(iov, *count) };
        let mut filled = 0;
        let received = receive_parts(socket, parts, flags, &mut filled);
        if received.is_err() {
            for part in parts.iter_mut().take(filled) {
                // SAFETY: this call allocated it, and nobody has seen it yet.
                unsafe { libc::free(part.iov_base) };
                *part = libc::iovec { iov_base: null_mut(), iov_len: 0 };
            }
            filled = 0;
        }
        *count = filled;
        received.map(|()| ptr::length(filled))
    })
}

/// Fills elements until the message ends; `filled` counts them, also when a later one fails.
fn receive_parts(
    socket: Socket,
    parts: &mut [libc::iovec],
    flags: c_int,
    filled: &mut usize,
) -> Result<(), Error> {
    for part in parts {
        let msg = socket.recv(flags)?;
        // SAFETY: one byte at least, so that NULL always means that there is no memory.
        let memory = unsafe { libc::malloc(msg.size().max(1)) };
        if memory.is_null() {
            return Err(Error::NoMemory);
        }
        *part = libc::iovec { iov_base: memory, iov_len: msg.size() };
        *filled += 1;
        // SAFETY: fresh memory of that size.
        unsafe { ptr::copy_out(msg.data(), memory, msg.size()) }?;
        if !msg.more() {
            break;
        }
    }
    Ok(())
}
