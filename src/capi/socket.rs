//! Sockets: life, endpoints, and sending and receiving buffers.

use std::ffi::{c_char, c_int, c_void};
use std::ptr::null_mut;

use super::{guard, ptr};
use crate::base::Error;
use crate::ctx;
use crate::message::Msg;
use crate::socket;

/// Creates a socket of one of the types ZMQ_PAIR and following.
///
/// Returns the socket, or NULL.
///
/// Errors: EFAULT when it is no context, ETERM after zmq_ctx_shutdown, EMFILE when ZMQ_MAX_SOCKETS
/// are open, EINVAL for an unknown type.
///
/// Man page: zmq_socket.
///
/// # Safety
/// Always safe: `context` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_socket(context: *mut c_void, r#type: c_int) -> *mut c_void {
    guard::call(null_mut(), || {
        ctx::lookup(ptr::handle(context))?.create_socket(r#type).map(ptr::from_handle)
    })
}

/// Closes a socket. Returns at once; messages not yet sent are tried for ZMQ_LINGER milliseconds
/// more. The handle is invalid from now on.
///
/// Returns 0, or -1.
///
/// Errors: ENOTSOCK when the handle is no open socket.
///
/// Man page: zmq_close.
///
/// # Safety
/// Always safe: `s` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_close(s: *mut c_void) -> c_int {
    guard::call(-1, || socket::lookup(ptr::handle(s))?.close().map(|()| 0))
}

/// Accepts connections on an endpoint such as "tcp://127.0.0.1:5555", "ipc://name" or
/// "inproc://name".
///
/// Returns 0, or -1.
///
/// Errors: ENOTSOCK when the handle is no open socket, ETERM when the context was shut down or
/// terminated, EINVAL for a malformed endpoint or NULL, EPROTONOSUPPORT when the transport is
/// unknown or absent here, ENOCOMPATPROTO when the transport does not carry this socket type,
/// EADDRINUSE when the address is taken, EADDRNOTAVAIL when the address is not of this machine,
/// ENODEV when there is no such host or interface, EMTHREAD when there is no I/O thread.
///
/// Man page: zmq_bind.
///
/// # Safety
/// `addr` is NULL or a NUL-terminated string; `s` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_bind(s: *mut c_void, addr: *const c_char) -> c_int {
    guard::call(-1, || {
        let socket = socket::lookup(ptr::handle(s))?;
        // SAFETY: the same promise.
        let addr = unsafe { endpoint(addr) };
        socket.bind(addr).map(|()| 0)
    })
}

/// Connects to an endpoint. The connection is made, and made again when it is lost, in the
/// background.
///
/// Returns 0, or -1.
///
/// Errors: ENOTSOCK when the handle is no open socket, ETERM when the context was shut down or
/// terminated, EINVAL for a malformed endpoint or NULL, EPROTONOSUPPORT when the transport is
/// unknown or absent here, ENOCOMPATPROTO when the transport does not carry this socket type,
/// EMTHREAD when there is no I/O thread.
///
/// Man page: zmq_connect.
///
/// # Safety
/// `addr` is NULL or a NUL-terminated string; `s` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_connect(s: *mut c_void, addr: *const c_char) -> c_int {
    guard::call(-1, || {
        let socket = socket::lookup(ptr::handle(s))?;
        // SAFETY: the same promise.
        let addr = unsafe { endpoint(addr) };
        socket.connect(addr).map(|()| 0)
    })
}

/// Stops accepting connections on an endpoint, named as ZMQ_LAST_ENDPOINT told it, and ends those
/// accepted.
///
/// Returns 0, or -1.
///
/// Errors: ENOTSOCK when the handle is no open socket, ETERM when the context was shut down or
/// terminated, EINVAL for a malformed endpoint or NULL, ENOENT when it is not bound.
///
/// Man page: zmq_unbind.
///
/// # Safety
/// `addr` is NULL or a NUL-terminated string; `s` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_unbind(s: *mut c_void, addr: *const c_char) -> c_int {
    guard::call(-1, || {
        let socket = socket::lookup(ptr::handle(s))?;
        // SAFETY: the same promise.
        let addr = unsafe { endpoint(addr) };
        socket.unbind(addr).map(|()| 0)
    })
}

/// Ends the connections made by zmq_connect to an endpoint; messages not yet sent are tried for
/// ZMQ_LINGER milliseconds more.
///
/// Returns 0, or -1.
///
/// Errors: ENOTSOCK when the handle is no open socket, ETERM when the context was shut down or
/// terminated, EINVAL for a malformed endpoint or NULL, ENOENT when it is not connected.
///
/// Man page: zmq_disconnect.
///
/// # Safety
/// `addr` is NULL or a NUL-terminated string; `s` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_disconnect(s: *mut c_void, addr: *const c_char) -> c_int {
    guard::call(-1, || {
        let socket = socket::lookup(ptr::handle(s))?;
        // SAFETY: the same promise.
        let addr = unsafe { endpoint(addr) };
        socket.disconnect(addr).map(|()| 0)
    })
}

/// An endpoint as text. What is none is refused like the empty one: after the socket's context was looked at.
///
/// # Safety
/// `addr` is NULL or points to a NUL-terminated string that nobody changes during the call.
unsafe fn endpoint<'a>(addr: *const c_char) -> &'a str {
    // SAFETY: the same promise.
    unsafe { ptr::text(addr) }.unwrap_or_default()
}

/// Sends a copy of `len` bytes as one part. ZMQ_SNDMORE in `flags` says that more parts follow,
/// ZMQ_DONTWAIT that the call must not wait.
///
/// Returns `len` (INT_MAX for larger ones), or -1.
///
/// Errors: ENOTSOCK when the handle is no open socket, EFAULT for NULL with a length, ENOMEM, and
/// as zmq_msg_send.
///
/// Man page: zmq_send.
///
/// # Safety
/// `buf` is NULL or points to `len` readable bytes; `s` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_send(
    s: *mut c_void,
    buf: *const c_void,
    len: usize,
    flags: c_int,
) -> c_int {
    guard::call(-1, || {
        let socket = socket::unchecked(ptr::handle(s));
        // SAFETY: the same promise.
        let bytes = unsafe { ptr::bytes(buf, len) }?;
        socket.send_bytes(bytes, flags).map(ptr::length)
    })
}

/// Sends `len` bytes as one part, without a copy: they must stay as they are for ever.
///
/// Returns the size of the part in bytes, or -1.
///
/// Errors: as zmq_send.
///
/// Man page: zmq_send_const.
///
/// # Safety `buf` is NULL or points to `len` bytes that stay readable and unchanged for ever; `s`
/// is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_send_const(
    s: *mut c_void,
    buf: *const c_void,
    len: usize,
    flags: c_int,
) -> c_int {
    guard::call(-1, || {
        let socket = socket::lookup(ptr::handle(s))?;
        // SAFETY: the same promise; NULL with a length is refused, and constant data is never
        // written.
        let mut msg = unsafe {
            ptr::bytes(buf, len)?;
            Msg::foreign(buf.cast_mut(), len, None, null_mut())
        }?;
        socket.send(&mut msg, flags).map(ptr::length)
    })
}

/// Receives one part and copies what fits to `buf`; the rest of the part is lost.
///
/// Returns the full size of the part in bytes (INT_MAX for larger ones), or -1.
///
/// Errors: ENOTSOCK when the handle is no open socket, EFAULT when `buf` is NULL while something
/// was to be copied, and as zmq_msg_recv.
///
/// Man page: zmq_recv.
///
/// # Safety
/// `buf` is NULL or points to `len` writable bytes; `s` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_recv(
    s: *mut c_void,
    buf: *mut c_void,
    len: usize,
    flags: c_int,
) -> c_int {
    guard::call(-1, || {
        let socket = socket::unchecked(ptr::handle(s));
        // SAFETY: the same promise.
        if let Some(into) = unsafe { ptr::bytes_mut(buf, len) } {
            return socket.recv_bytes(into, flags).map(ptr::length);
        }
        // There is nowhere to put it, which is wrong once there is something.
        let mut msg = Msg::new();
        match socket.recv_bare(&mut msg, flags)? {
            0 => Ok(0),
            _ => Err(Error::Fault),
        }
    })
}
