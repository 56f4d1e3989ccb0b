//! The draft functions: what programs see after defining `ZMQ_BUILD_DRAFT_API`. They are always
//! exported.

use std::ffi::{c_char, c_int, c_long, c_void};
use std::ptr::null;

use super::{PollItem, guard, monitor, poll, ptr};
use crate::base::Error;
use crate::ctx;
use crate::message::Msg;
use crate::socket::{self, SignalMask};

/// Sets an option of the context from bytes, for options that are no numbers.
///
/// Returns 0, or -1.
///
/// Errors: EFAULT when it is no context, EINVAL for an unknown option, or a size or value that does
/// not fit.
///
/// Man page: zmq_ctx_set_ext.
///
/// # Safety
/// `optval` is NULL or points to `optvallen` readable bytes; `context` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_ctx_set_ext(
    context: *mut c_void,
    option: c_int,
    optval: *const c_void,
    optvallen: usize,
) -> c_int {
    guard::call(-1, || {
        let context = ctx::lookup(ptr::handle(context))?;
        // SAFETY: the same promise.
        let value = unsafe { ptr::value(optval, optvallen) }?.unwrap_or_default();
        context.set_option(option, value).map(|()| 0)
    })
}

/// Copies the value of a context option to `optval` and its size to `*optvallen`, which says how
/// much room there is.
///
/// Returns 0, or -1.
///
/// Errors: EFAULT when it is no context or for NULL, EINVAL for an unknown option or a size that
/// does not fit.
///
/// Man page: zmq_ctx_get_ext.
///
/// # Safety `optvallen` is NULL or may be read and written; `optval` is NULL or points to
/// `*optvallen` writable bytes; `context` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_ctx_get_ext(
    context: *mut c_void,
    option: c_int,
    optval: *mut c_void,
    optvallen: *mut usize,
) -> c_int {
    guard::call(-1, || {
        let context = ctx::lookup(ptr::handle(context))?;
        // SAFETY: the same promise.
        let (room, size) = unsafe { ptr::room(optval, optvallen) }?;
        *size = context.option(option, room)?;
        Ok(0)
    })
}

/// Makes a message with a copy of `size` bytes.
///
/// Returns 0, or -1 (the message is not valid then).
///
/// Errors: ENOMEM when memory is exhausted, EFAULT for NULL with a size and for a NULL message.
///
/// Man page: zmq_msg_init_buffer.
///
/// # Safety `msg` is NULL or points to a writable zmq_msg_t that nobody else uses meanwhile; `buf`
/// is NULL or points to `size` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_init_buffer(
    msg: *mut Msg,
    buf: *const c_void,
    size: usize,
) -> c_int {
    // SAFETY: the same promises.
    guard::call(-1, || unsafe { ptr::init_msg(msg, || Msg::copy_of(ptr::bytes(buf, size)?)) })
}

/// The routing id of a message: which peer it came from or goes to, on SERVER and PEER sockets.
///
/// Returns the id, or 0.
///
/// Errors: EFAULT when it is no valid message.
///
/// Man page: zmq_msg_routing_id.
///
/// # Safety
/// `msg` is NULL or points to a zmq_msg_t that nobody changes meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_routing_id(msg: *mut Msg) -> u32 {
    // SAFETY: the same promise.
    guard::call(0, || unsafe { ptr::msg(msg) }.map(Msg::routing_id))
}

/// Sets which peer a message goes to.
///
/// Returns 0, or -1.
///
/// Errors: EINVAL for 0, EFAULT when it is no valid message.
///
/// Man page: zmq_msg_set_routing_id.
///
/// # Safety
/// `msg` is NULL or points to a zmq_msg_t that nobody else uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_set_routing_id(msg: *mut Msg, routing_id: u32) -> c_int {
    guard::call(-1, || {
        // SAFETY: the same promise.
        let msg = unsafe { ptr::msg_mut(msg) }?;
        if routing_id == 0 {
            return Err(Error::Invalid);
        }
        msg.set_routing_id(routing_id);
        Ok(0)
    })
}

/// The group of a message, on RADIO and DISH sockets.
///
/// Returns a text that lives until the group or the message changes ("" without a group), or NULL.
///
/// Errors: EFAULT when it is no valid message.
///
/// Man page: zmq_msg_group.
///
/// # Safety
/// `msg` is NULL or points to a zmq_msg_t that nobody changes meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_group(msg: *mut Msg) -> *const c_char {
    // SAFETY: the same promise.
    guard::call(null(), || unsafe { ptr::msg(msg) }.map(|msg| msg.group().as_ptr()))
}

/// Sets the group of a message, at most 255 characters.
///
/// Returns 0, or -1.
///
/// Errors: EINVAL for a longer name or NULL, EFAULT when it is no valid message.
///
/// Man page: zmq_msg_set_group.
///
/// # Safety `msg` is NULL or points to a zmq_msg_t that nobody else uses meanwhile; `group` is NULL
/// or a NUL-terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_set_group(msg: *mut Msg, group: *const c_char) -> c_int {
    guard::call(-1, || {
        // SAFETY: the same promises.
        let (msg, group) = unsafe { (ptr::msg_mut(msg)?, ptr::c_str(group)?) };
        msg.set_group(group.to_bytes()).map(|()| 0)
    })
}

/// Joins a group, at most 255 characters, on a DISH socket.
///
/// Returns 0, or -1.
///
/// Errors: ENOTSOCK when the handle is no open socket, ETERM when the context was shut down or
/// terminated, EINVAL for a longer name, NULL, or a group joined before, ENOTSUP on other types.
///
/// Man page: zmq_join.
///
/// # Safety
/// `group` is NULL or a NUL-terminated string; `s` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_join(s: *mut c_void, group: *const c_char) -> c_int {
    guard::call(-1, || {
        let socket = socket::lookup(ptr::handle(s))?;
        // SAFETY: the same promise.
        let group = unsafe { ptr::c_str(group) }?;
        socket.join(group.to_bytes()).map(|()| 0)
    })
}

/// Leaves a group on a DISH socket.
///
/// Returns 0, or -1.
///
/// Errors: ENOTSOCK when the handle is no open socket, ETERM when the context was shut down or
/// terminated, EINVAL for a long name, NULL, or a group that was not joined, ENOTSUP on other
/// types.
///
/// Man page: zmq_leave.
///
/// # Safety
/// `group` is NULL or a NUL-terminated string; `s` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_leave(s: *mut c_void, group: *const c_char) -> c_int {
    guard::call(-1, || {
        let socket = socket::lookup(ptr::handle(s))?;
        // SAFETY: the same promise.
        let group = unsafe { ptr::c_str(group) }?;
        socket.leave(group.to_bytes()).map(|()| 0)
    })
}

/// Connects a PEER socket, and tells the routing id of the new peer.
///
/// Returns the id, or 0.
///
/// Errors: ENOTSOCK when the handle is no open socket, ENOTSUP on other types, and as zmq_connect.
///
/// Man page: zmq_connect_peer.
///
/// # Safety
/// `addr` is NULL or a NUL-terminated string; `s` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_connect_peer(s: *mut c_void, addr: *const c_char) -> u32 {
    // SAFETY: the same promise.
    guard::call(0, || socket::lookup(ptr::handle(s))?.connect_peer(unsafe { ptr::text(addr) }?))
}

/// Ends the connection to one peer of a SERVER or PEER socket.
///
/// Returns 0, or -1.
///
/// Errors: ENOTSOCK when the handle is no open socket, ETERM when the context was shut down or
/// terminated, EHOSTUNREACH for an unknown peer, ENOTSUP on other types.
///
/// Man page: zmq_disconnect_peer.
///
/// # Safety
/// Always safe: `s` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_disconnect_peer(s: *mut c_void, routing_id: u32) -> c_int {
    guard::call(-1, || socket::lookup(ptr::handle(s))?.disconnect_peer(routing_id).map(|()| 0))
}

/// Could a ROUTER socket send to, and receive from, one of its peers now?
///
/// Returns ZMQ_POLLIN and ZMQ_POLLOUT bits, or -1.
///
/// Errors: ENOTSOCK when the handle is no open socket, EHOSTUNREACH for an unknown peer, EFAULT for
/// NULL with a size, ENOTSUP on other types.
///
/// Man page: zmq_socket_get_peer_state.
///
/// # Safety
/// `routing_id` is NULL or points to `routing_id_size` readable bytes; `socket` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_socket_get_peer_state(
    socket: *mut c_void,
    routing_id: *const c_void,
    routing_id_size: usize,
) -> c_int {
    guard::call(-1, || {
        let socket = socket::lookup(ptr::handle(socket))?;
        // SAFETY: the same promise.
        socket.peer_state(unsafe { ptr::bytes(routing_id, routing_id_size) }?)
    })
}

/// As zmq_socket_monitor, with 64 bits of events, a version of the event format (1 or 2), and the
/// type of the monitor's socket: PAIR, PUB or PUSH.
///
/// Returns 0, or -1.
///
/// Errors: as zmq_socket_monitor, EINVAL for another type.
///
/// Man page: zmq_socket_monitor_versioned.
///
/// # Safety
/// `addr` is NULL or a NUL-terminated string; `s` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_socket_monitor_versioned(
    s: *mut c_void,
    addr: *const c_char,
    events: u64,
    event_version: c_int,
    r#type: c_int,
) -> c_int {
    // SAFETY: the same promise.
    guard::call(-1, || unsafe { monitor::monitor(s, addr, events, event_version, r#type) })
}

/// Asks for ZMQ_EVENT_PIPES_STATS events, one per connection, on the socket's monitor.
///
/// Returns 0, or -1.
///
/// Errors: ENOTSOCK when the handle is no open socket, ETERM when the context was shut down or
/// terminated, EINVAL without a monitor for them, EAGAIN without connections.
///
/// Man page: zmq_socket_monitor_versioned.
///
/// # Safety
/// Always safe: `s` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_socket_monitor_pipes_stats(s: *mut c_void) -> c_int {
    guard::call(-1, || socket::lookup(ptr::handle(s))?.pipes_stats().map(|()| 0))
}

/// As zmq_poll; while the call waits the signals in `sigmask` are blocked and no others, from the
/// moment it begins to wait to the moment it ends (ppoll of the operating system). NULL leaves the
/// signals as they are.
///
/// Returns how many items are ready, or -1.
///
/// Errors: as zmq_poll, so EINTR when a signal was handled.
///
/// Man page: zmq_ppoll.
///
/// # Safety
/// `items` as for zmq_poll; `sigmask` is NULL or points to a readable sigset_t.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_ppoll(
    items: *mut PollItem,
    nitems: c_int,
    timeout: c_long,
    sigmask: *const libc::sigset_t,
) -> c_int {
    guard::call(-1, || {
        // SAFETY: NULL, or the caller promised that it can be read.
        let mask = unsafe { sigmask.as_ref() }.copied().map(SignalMask::new);
        // SAFETY: the same promise.
        unsafe { poll::poll_masked(items, nitems, timeout, mask) }
    })
}
