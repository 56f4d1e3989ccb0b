//! Socket monitors.

use std::ffi::{c_char, c_int, c_void};

use super::{guard, ptr};
use crate::base::Error;
use crate::base::constants::{ZMQ_CURRENT_EVENT_VERSION, ZMQ_PAIR};
use crate::socket;

/// Reports what happens to the connections of a socket (the ZMQ_EVENT_ bits of `events`) on a PAIR
/// socket that the library binds to the inproc endpoint `addr`. A second call replaces the first;
/// NULL ends the monitor.
///
/// Returns 0, or -1.
///
/// Errors: ENOTSOCK when the handle is no open socket, ETERM when the context was shut down or
/// terminated, EINVAL for a malformed endpoint or unknown events, EPROTONOSUPPORT when it is not
/// inproc, EADDRINUSE when the address is taken, EMFILE when no more can exist.
///
/// Man page: zmq_socket_monitor.
///
/// # Safety
/// `addr` is NULL or a NUL-terminated string; `s` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_socket_monitor(
    s: *mut c_void,
    addr: *const c_char,
    events: c_int,
) -> c_int {
    // The sign is kept: unknown bits must stay visible as such.
    let events = i64::from(events).cast_unsigned();
    // SAFETY: the same promise.
    guard::call(-1, || unsafe { monitor(s, addr, events, ZMQ_CURRENT_EVENT_VERSION, ZMQ_PAIR) })
}

/// What both monitor functions do.
///
/// # Safety
/// As for `zmq_socket_monitor`.
pub(super) unsafe fn monitor(
    s: *mut c_void,
    addr: *const c_char,
    events: u64,
    version: c_int,
    socket_type: c_int,
) -> Result<c_int, Error> {
    let socket = socket::lookup(ptr::handle(s))?;
    // SAFETY: the same promise.
    let addr = if addr.is_null() { None } else { Some(unsafe { ptr::text(addr) }?) };
    socket.monitor(addr, events, version, socket_type).map(|()| 0)
}
