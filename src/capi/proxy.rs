//! Proxies: shuttling messages between two sockets until the context ends.

use std::ffi::{c_int, c_void};

use super::{guard, ptr};
use crate::base::Error;
use crate::socket;

/// Moves messages between two sockets in both directions, with a copy of each part to `capture`
/// unless that is NULL, until the context ends.
///
/// Returns -1.
///
/// Errors: ETERM when a context was shut down or terminated, EINTR when a signal came, EFAULT when
/// a socket is NULL, ENOTSOCK when one is no open socket.
///
/// Man page: zmq_proxy.
///
/// # Safety
/// Always safe: the sockets are only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_proxy(
    frontend: *mut c_void,
    backend: *mut c_void,
    capture: *mut c_void,
) -> c_int {
    guard::call(-1, || run(frontend, backend, optional(capture), None))
}

/// As zmq_proxy, and obeys PAUSE, RESUME, STATISTICS and TERMINATE, received by the socket
/// `control` unless that is NULL.
///
/// Returns 0 after TERMINATE, otherwise -1.
///
/// Errors: as zmq_proxy.
///
/// Man page: zmq_proxy_steerable.
///
/// # Safety
/// Always safe: the sockets are only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_proxy_steerable(
    frontend: *mut c_void,
    backend: *mut c_void,
    capture: *mut c_void,
    control: *mut c_void,
) -> c_int {
    guard::call(-1, || run(frontend, backend, optional(capture), optional(control)))
}

/// The same as zmq_proxy without a capture socket; the type is ignored. Deprecated.
///
/// Errors: as zmq_proxy.
///
/// Man page: zmq_device.
///
/// # Safety
/// Always safe: the sockets are only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_device(
    r#type: c_int,
    frontend: *mut c_void,
    backend: *mut c_void,
) -> c_int {
    let _ = r#type;
    guard::call(-1, || run(frontend, backend, None, None))
}

fn run(
    frontend: *mut c_void,
    backend: *mut c_void,
    capture: Option<usize>,
    control: Option<usize>,
) -> Result<c_int, Error> {
    let frontend = optional(frontend).ok_or(Error::Fault)?;
    let backend = optional(backend).ok_or(Error::Fault)?;
    socket::proxy(frontend, backend, capture, control).map(|()| 0)
}

fn optional(s: *mut c_void) -> Option<usize> {
    if s.is_null() { None } else { Some(ptr::handle(s)) }
}
