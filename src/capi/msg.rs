//! Messages: the `zmq_msg_t` in the caller's memory, and sending and receiving it.
//!
//! The functions that cannot panic do without the guard.

use std::ffi::{c_char, c_int, c_void};
use std::ptr::{null, null_mut};

use super::{FreeFn, errno, guard, ptr};
use crate::base::Error;
use crate::base::constants::{ZMQ_MORE, ZMQ_SHARED, ZMQ_SRCFD};
use crate::message::Msg;
use crate::socket;

/// Makes an empty message. The memory must not hold an open message: that one would leak.
///
/// Returns 0, or -1.
///
/// Errors: EFAULT for NULL.
///
/// Man page: zmq_msg_init.
///
/// # Safety
/// `msg` is NULL or points to a writable zmq_msg_t that nobody else uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_init(msg: *mut Msg) -> c_int {
    if msg.is_null() {
        errno::set(Error::Fault);
        return -1;
    }
    // SAFETY: not NULL, so the caller promised that it can be written.
    unsafe { msg.write(Msg::new()) };
    0
}

/// Makes a message of `size` bytes, to be filled through zmq_msg_data. Small messages are kept in
/// the zmq_msg_t itself.
///
/// Returns 0, or -1 (the message is not valid then).
///
/// Errors: ENOMEM when memory is exhausted, EFAULT for NULL.
///
/// Man page: zmq_msg_init_size.
///
/// # Safety
/// `msg` is NULL or points to a writable zmq_msg_t that nobody else uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_init_size(msg: *mut Msg, size: usize) -> c_int {
    // SAFETY: the same promise.
    guard::call(-1, || unsafe { ptr::init_msg(msg, || Msg::with_size(size)) })
}

/// Makes a message out of the caller's memory, without a copy. When the library needs the memory no
/// longer, which may be before the message was sent and may be on another thread, it calls
/// `ffn(data, hint)` exactly once. Without `ffn` the memory must stay as it is for ever.
///
/// Returns 0, or -1 (the message is not valid then, `ffn` is not called).
///
/// Errors: ENOMEM when memory is exhausted, EFAULT for NULL data with a size and for a NULL
/// message.
///
/// Man page: zmq_msg_init_data.
///
/// # Safety `msg` is NULL or points to a writable zmq_msg_t that nobody else uses meanwhile. `data`
/// points to `size` bytes that stay readable and unchanged until `ffn` is called (then writable
/// too), or for ever without it; `ffn` may be called from any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_init_data(
    msg: *mut Msg,
    data: *mut c_void,
    size: usize,
    ffn: FreeFn,
    hint: *mut c_void,
) -> c_int {
    guard::call(-1, || {
        // SAFETY: the caller promised the same; NULL with a size is refused.
        unsafe {
            ptr::init_msg(msg, || {
                ptr::bytes(data, size)?;
                Msg::foreign(data, size, ffn.0, hint)
            })
        }
    })
}

/// Sends a message. Afterwards it is empty and valid, and owned by the caller again; closing it is
/// optional. ZMQ_SNDMORE in `flags` says that more parts follow, ZMQ_DONTWAIT that the call must
/// not wait.
///
/// Returns the size of the part in bytes (INT_MAX for larger ones), or -1 with the message
/// unchanged.
///
/// Errors: ENOTSOCK when the handle is no open socket, EFAULT when it is no valid message, ETERM
/// when the context was shut down or terminated, EAGAIN when it would have to wait and may not, or
/// the time is over, EINTR when a signal came while waiting, EFSM when it is not the turn of this
/// call (REQ, REP), ENOTSUP when sockets of this type cannot do it, EHOSTUNREACH when the peer that
/// is named cannot be reached, EINVAL for an argument out of range.
///
/// Man page: zmq_msg_send.
///
/// # Safety
/// `msg` is NULL or points to a zmq_msg_t that nobody else uses meanwhile; `s` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_send(msg: *mut Msg, s: *mut c_void, flags: c_int) -> c_int {
    guard::call(-1, || {
        // SAFETY: the same promise.
        let Ok(msg) = (unsafe { ptr::msg_mut(msg) }) else {
            return socket::lookup(ptr::handle(s)).and(Err(Error::Fault));
        };
        socket::unchecked(ptr::handle(s)).send(msg, flags).map(ptr::length)
    })
}

/// Receives a message into an initialised one, whose old contents are released: also where there is none to
/// receive (EAGAIN), but with ZMQ_XPUB and ZMQ_STREAM, as in libzmq.
///
/// Returns the size of the part in bytes (INT_MAX for larger ones), or -1. On errors other than those after
/// waiting the message is unchanged.
///
/// Errors: ENOTSOCK when the handle is no open socket, EFAULT when it is no valid message, ETERM
/// when the context was shut down or terminated, EAGAIN when it would have to wait and may not, or
/// the time is over, EINTR when a signal came while waiting, EFSM when it is not the turn of this
/// call (REQ, REP), ENOTSUP when sockets of this type cannot do it.
///
/// Man page: zmq_msg_recv.
///
/// # Safety
/// `msg` is NULL or points to a zmq_msg_t that nobody else uses meanwhile; `s` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_recv(msg: *mut Msg, s: *mut c_void, flags: c_int) -> c_int {
    guard::call(-1, || {
        // SAFETY: the same promise.
        let Ok(msg) = (unsafe { ptr::msg_mut(msg) }) else {
            return socket::lookup(ptr::handle(s)).and(Err(Error::Fault));
        };
        socket::unchecked(ptr::handle(s)).recv_into(msg, flags).map(ptr::length)
    })
}

/// The same as zmq_msg_send, with the arguments in another order. Deprecated.
///
/// Errors: as zmq_msg_send.
///
/// Man page: zmq_sendmsg.
///
/// # Safety
/// As for zmq_msg_send.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_sendmsg(s: *mut c_void, msg: *mut Msg, flags: c_int) -> c_int {
    // SAFETY: the same promise.
    unsafe { zmq_msg_send(msg, s, flags) }
}

/// The same as zmq_msg_recv, with the arguments in another order. Deprecated.
///
/// Errors: as zmq_msg_recv.
///
/// Man page: zmq_recvmsg.
///
/// # Safety
/// As for zmq_msg_recv.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_recvmsg(s: *mut c_void, msg: *mut Msg, flags: c_int) -> c_int {
    // SAFETY: the same promise.
    unsafe { zmq_msg_recv(msg, s, flags) }
}

/// Releases a message. The memory may then be initialised again.
///
/// Returns 0, or -1.
///
/// Errors: EFAULT when it is no valid message (NULL, closed before).
///
/// Man page: zmq_msg_close.
///
/// # Safety
/// `msg` is NULL or points to a zmq_msg_t that nobody else uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_close(msg: *mut Msg) -> c_int {
    // SAFETY: the same promise.
    guard::call(-1, || unsafe { Msg::close_raw(msg) }.map(|()| 0))
}

/// Moves the contents of `src` to `dest`: what `dest` held is released, `src` is empty afterwards.
///
/// Returns 0, or -1.
///
/// Errors: EFAULT when either is no valid message.
///
/// Man page: zmq_msg_move.
///
/// # Safety
/// Each is NULL or points to a zmq_msg_t that nobody else uses meanwhile. They may be the same.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_move(dest: *mut Msg, src: *mut Msg) -> c_int {
    guard::call(-1, || {
        // SAFETY: the same promise; the two borrows are never alive together.
        unsafe {
            ptr::msg(dest)?;
            let moved = ptr::msg_mut(src)?.take();
            dest.replace(moved).close();
        }
        Ok(0)
    })
}

/// Makes `dest` a second message with the contents of `src`; what `dest` held is released. Large
/// contents are shared by both and must not be changed afterwards, small ones are copied.
///
/// Returns 0, or -1.
///
/// Errors: EFAULT when either is no valid message, ENOMEM when memory is exhausted.
///
/// Man page: zmq_msg_copy.
///
/// # Safety
/// Each is NULL or points to a zmq_msg_t that nobody else uses meanwhile. They may be the same.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_copy(dest: *mut Msg, src: *mut Msg) -> c_int {
    guard::call(-1, || {
        // SAFETY: the same promise; the two borrows are never alive together.
        unsafe {
            ptr::msg(dest)?;
            let shared = ptr::msg_mut(src)?.share()?;
            dest.replace(shared).close();
        }
        Ok(0)
    })
}

/// Where the bytes of a message are; valid until the message is changed or moved.
///
/// Returns the address, or NULL.
///
/// Errors: EFAULT when it is no valid message.
///
/// Man page: zmq_msg_data.
///
/// # Safety `msg` is NULL or points to a zmq_msg_t that nobody else uses meanwhile. The bytes of a
/// message of zmq_msg_init_size are to be written before they are read or sent; those of a shared
/// message must not be written at all.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_data(msg: *mut Msg) -> *mut c_void {
    // SAFETY: the same promises, which are what the callee asks for.
    match unsafe { ptr::msg(msg).map(|msg| msg.raw_data_ptr()) } {
        Ok(data) => data.cast(),
        Err(error) => {
            errno::set(error);
            null_mut()
        }
    }
}

/// The size of a message in bytes.
///
/// Returns the size, or 0.
///
/// Errors: EFAULT when it is no valid message.
///
/// Man page: zmq_msg_size.
///
/// # Safety
/// `msg` is NULL or points to a zmq_msg_t that nobody changes meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_size(msg: *const Msg) -> usize {
    // SAFETY: the same promise.
    match unsafe { ptr::msg(msg) } {
        Ok(msg) => msg.size(),
        Err(error) => {
            errno::set(error);
            0
        }
    }
}

/// Do more parts of the same multi-part message follow this one?
///
/// Returns 1 or 0.
///
/// Errors: 0 with EFAULT when it is no valid message.
///
/// Man page: zmq_msg_more.
///
/// # Safety
/// `msg` is NULL or points to a zmq_msg_t that nobody changes meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_more(msg: *const Msg) -> c_int {
    // SAFETY: the same promise.
    match unsafe { ptr::msg(msg) } {
        Ok(msg) => c_int::from(msg.more()),
        Err(error) => {
            errno::set(error);
            0
        }
    }
}

/// A property of a message: ZMQ_MORE, ZMQ_SRCFD (the descriptor of the connection it came by) or
/// ZMQ_SHARED (its bytes may be in use by other messages).
///
/// Returns the value, or -1.
///
/// Errors: EINVAL for any other property, and for ZMQ_SRCFD when there is no connection; EFAULT
/// when it is no valid message.
///
/// Man page: zmq_msg_get.
///
/// # Safety
/// `msg` is NULL or points to a zmq_msg_t that nobody changes meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_get(msg: *const Msg, property: c_int) -> c_int {
    guard::call(-1, || {
        // SAFETY: the same promise.
        let msg = unsafe { ptr::msg(msg) }?;
        match property {
            ZMQ_MORE => Ok(c_int::from(msg.more())),
            ZMQ_SHARED => Ok(c_int::from(msg.is_shared())),
            ZMQ_SRCFD => msg
                .metadata()
                .map(|metadata| metadata.fd())
                .filter(|&fd| fd >= 0)
                .ok_or(Error::Invalid),
            _ => Err(Error::Invalid),
        }
    })
}

/// Sets a property of a message. No property can be set today.
///
/// Returns -1.
///
/// Errors: EINVAL always, EFAULT when it is no valid message.
///
/// Man page: zmq_msg_set.
///
/// # Safety
/// `msg` is NULL or points to a zmq_msg_t that nobody else uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_set(msg: *mut Msg, property: c_int, optval: c_int) -> c_int {
    let _ = (property, optval);
    // SAFETY: the same promise.
    guard::call(-1, || unsafe { ptr::msg(msg) }.and(Err(Error::Invalid)))
}

/// A named property of the connection that a message came by, such as "Peer-Address" or
/// "Socket-Type". Names are case-sensitive. Messages that came over inproc have none.
///
/// Returns a text that lives as long as the message, or NULL.
///
/// Errors: EINVAL when there is no such property or no name, EFAULT when it is no valid message.
///
/// Man page: zmq_msg_gets.
///
/// # Safety `msg` is NULL or points to a zmq_msg_t that nobody changes meanwhile; `property` is
/// NULL or a NUL-terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_gets(msg: *const Msg, property: *const c_char) -> *const c_char {
    guard::call(null(), || {
        // SAFETY: the same promises.
        let (msg, name) = unsafe { (ptr::msg(msg)?, ptr::c_str(property)?) };
        let value = msg.metadata().and_then(|metadata| metadata.get(name.to_bytes()));
        value.map(|text| text.as_ptr()).ok_or(Error::Invalid)
    })
}
