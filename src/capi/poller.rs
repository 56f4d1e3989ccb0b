//! Pollers: sets of sockets and descriptors to wait for, kept between calls. Draft.
//!
//! No lock is held while waiting: the wait goes over a copy of the set.

use std::ffi::{c_int, c_long, c_short, c_void};
use std::ptr::null_mut;
use std::slice;

use super::{Fd, guard, kind, ptr};
use crate::base::Error;
use crate::socket::Target;
use crate::socket::poller::{Item, Poller};
use crate::sync::handles::{Guard, Table};

static POLLERS: Table<Poller<UserData>> = Table::new(kind::POLLER);

/// What the user attaches to a member, never read through.
#[derive(Clone, Copy, Debug)]
struct UserData(*mut c_void);

// SAFETY: the pointer is only handed back to the caller.
unsafe impl Send for UserData {}

/// What a poller found ready.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct PollerEvent {
    /// The socket, or NULL for a descriptor.
    pub socket: *mut c_void,
    /// The descriptor, or -1 for a socket.
    pub fd: Fd,
    /// What was given when it was added.
    pub user_data: *mut c_void,
    /// Which of the events asked for hold; ZMQ_POLLERR may come unasked on a descriptor.
    pub events: c_short,
}

/// Creates a poller.
///
/// Returns the poller, or NULL.
///
/// Errors: ENOMEM when memory is exhausted, EMFILE when no more can exist.
///
/// Man page: zmq_poller.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_poller_new() -> *mut c_void {
    guard::call(null_mut(), || POLLERS.insert(Poller::default()).map(ptr::from_handle))
}

/// Ends the poller in `*poller_p` and leaves NULL there.
///
/// Returns 0, or -1.
///
/// Errors: EFAULT when there is none.
///
/// Man page: zmq_poller.
///
/// # Safety
/// `poller_p` is NULL or points to a pointer that may be read and written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_poller_destroy(poller_p: *mut *mut c_void) -> c_int {
    guard::call(-1, || {
        // SAFETY: the same promise.
        let poller = unsafe { ptr::take_handle(poller_p) }?;
        POLLERS.remove(poller).map(|_| 0).map_err(|_| Error::Fault)
    })
}

/// How many sockets and descriptors are in a poller.
///
/// Returns the number, or -1.
///
/// Errors: EFAULT when there is no such poller.
///
/// Man page: zmq_poller.
///
/// # Safety
/// Always safe: `poller` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_poller_size(poller: *mut c_void) -> c_int {
    guard::call(-1, || Ok(ptr::length(lock(poller)?.len())))
}

/// Adds a socket, to wait for `events` (ZMQ_POLLIN, ZMQ_POLLOUT, ZMQ_POLLERR, ZMQ_POLLPRI).
///
/// Returns 0, or -1.
///
/// Errors: EFAULT when there is no such poller, ENOTSOCK when the handle is no open socket, EINVAL
/// for unknown events or a socket that is in it already, ENOMEM when memory is exhausted.
///
/// Man page: zmq_poller.
///
/// # Safety
/// Always safe: the handles are only looked up, and `user_data` is only handed back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_poller_add(
    poller: *mut c_void,
    socket: *mut c_void,
    user_data: *mut c_void,
    events: c_short,
) -> c_int {
    guard::call(-1, || {
        lock(poller)?.add(of_socket(socket), events, UserData(user_data)).map(|()| 0)
    })
}

/// Changes the events of a socket.
///
/// Returns 0, or -1.
///
/// Errors: EFAULT when there is no such poller, ENOTSOCK when the handle is no open socket, EINVAL
/// for unknown events or a socket that is not in it.
///
/// Man page: zmq_poller.
///
/// # Safety
/// Always safe: the handles are only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_poller_modify(
    poller: *mut c_void,
    socket: *mut c_void,
    events: c_short,
) -> c_int {
    guard::call(-1, || lock(poller)?.modify(of_socket(socket), events).map(|()| 0))
}

/// Removes a socket, which must still be open.
///
/// Returns 0, or -1.
///
/// Errors: EFAULT when there is no such poller, ENOTSOCK when the handle is no open socket, EINVAL
/// for a socket that is not in it.
///
/// Man page: zmq_poller.
///
/// # Safety
/// Always safe: the handles are only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_poller_remove(poller: *mut c_void, socket: *mut c_void) -> c_int {
    guard::call(-1, || lock(poller)?.remove(of_socket(socket)).map(|()| 0))
}

/// Adds a descriptor, to wait for `events` (ZMQ_POLLIN, ZMQ_POLLOUT, ZMQ_POLLERR, ZMQ_POLLPRI).
///
/// Returns 0, or -1.
///
/// Errors: EFAULT when there is no such poller, EBADF for -1, EINVAL for unknown events or a
/// descriptor that is in it already, ENOMEM when memory is exhausted.
///
/// Man page: zmq_poller.
///
/// # Safety
/// Always safe: `poller` is only looked up, and `user_data` is only handed back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_poller_add_fd(
    poller: *mut c_void,
    fd: Fd,
    user_data: *mut c_void,
    events: c_short,
) -> c_int {
    guard::call(-1, || lock(poller)?.add(Target::Fd(fd.0), events, UserData(user_data)).map(|()| 0))
}

/// Changes the events of a descriptor.
///
/// Returns 0, or -1.
///
/// Errors: EFAULT when there is no such poller, EBADF for -1, EINVAL for unknown events or a
/// descriptor that is not in it.
///
/// Man page: zmq_poller.
///
/// # Safety
/// Always safe: `poller` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_poller_modify_fd(
    poller: *mut c_void,
    fd: Fd,
    events: c_short,
) -> c_int {
    guard::call(-1, || lock(poller)?.modify(Target::Fd(fd.0), events).map(|()| 0))
}

/// Removes a descriptor.
///
/// Returns 0, or -1.
///
/// Errors: EFAULT when there is no such poller, EBADF for -1, EINVAL for a descriptor that is not
/// in it.
///
/// Man page: zmq_poller.
///
/// # Safety
/// Always safe: `poller` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_poller_remove_fd(poller: *mut c_void, fd: Fd) -> c_int {
    guard::call(-1, || lock(poller)?.remove(Target::Fd(fd.0)).map(|()| 0))
}

/// Waits until something is ready, or `timeout` milliseconds have passed (negative: for ever), and
/// tells the first thing that is.
///
/// Returns 0, or -1 with an empty event.
///
/// Errors: EAGAIN when the time is over, EFAULT when there is no such poller or no `event`, or when
/// nothing could ever end the wait, ENOTSOCK when the handle is no open socket, ETERM when the
/// context was shut down or terminated, EINTR when a signal came while waiting.
///
/// Man page: zmq_poller.
///
/// # Safety
/// `event` is NULL or may be written; `poller` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_poller_wait(
    poller: *mut c_void,
    event: *mut PollerEvent,
    timeout: c_long,
) -> c_int {
    // SAFETY: the same promise.
    guard::call(-1, || unsafe { wait(poller, event, 1, timeout) }.map(|_| 0))
}

/// As zmq_poller_wait, telling up to `n_events` things that are ready; the rest of the array is
/// filled with empty events.
///
/// Returns how many are ready, or -1 with empty events.
///
/// Errors: as zmq_poller_wait, EINVAL for a negative `n_events`, EAGAIN for none.
///
/// Man page: zmq_poller.
///
/// # Safety `events` is NULL or points to `n_events` elements that may be written and that nobody
/// else uses meanwhile; `poller` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_poller_wait_all(
    poller: *mut c_void,
    events: *mut PollerEvent,
    n_events: c_int,
    timeout: c_long,
) -> c_int {
    // SAFETY: the same promise.
    guard::call(-1, || unsafe { wait(poller, events, n_events, timeout) })
}

/// A descriptor that becomes readable when there is news for the thread-safe sockets in the poller,
/// which should be asked again then without waiting. Other sockets and descriptors do not show there.
/// It is valid until the poller is destroyed, and must only be polled.
///
/// Returns 0, or -1.
///
/// Errors: EFAULT when there is no such poller or no place for the descriptor, EINVAL as long as no
/// thread-safe socket was added, EMFILE when no more can exist.
///
/// Man page: zmq_poller.
///
/// # Safety
/// `fd` is NULL or may be written; `poller` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_poller_fd(poller: *mut c_void, fd: *mut Fd) -> c_int {
    guard::call(-1, || {
        let mut poller = lock(poller)?;
        // SAFETY: NULL, or the caller promised that it may be written; any bytes are a descriptor.
        let place = unsafe { fd.as_mut() }.ok_or(Error::Fault)?;
        *place = Fd(poller.descriptor()?);
        Ok(0)
    })
}

/// # Safety `events` is NULL or points to `count` elements that may be written and that nobody else
/// uses meanwhile.
unsafe fn wait(
    poller: *mut c_void,
    events: *mut PollerEvent,
    count: c_int,
    timeout: c_long,
) -> Result<c_int, Error> {
    let poller = lock(poller)?.clone();
    if events.is_null() {
        return Err(Error::Fault);
    }
    let count = usize::try_from(count).map_err(|_| Error::Invalid)?;
    // SAFETY: not NULL, so the caller promised that many elements, which are plain data.
    let events = unsafe { slice::from_raw_parts_mut(events, count) };
    let ready = poller.wait(count, timeout);
    let mut seen = ready.iter().flatten().map(PollerEvent::of);
    events.fill_with(|| seen.next().unwrap_or(PollerEvent::NONE));
    ready.map(|ready| ptr::length(ready.len()))
}

fn lock(poller: *mut c_void) -> Result<Guard<'static, Poller<UserData>>, Error> {
    POLLERS.lock(ptr::handle(poller)).map_err(|_| Error::Fault)
}

fn of_socket(socket: *mut c_void) -> Target {
    Target::Socket(ptr::handle(socket))
}

impl PollerEvent {
    const NONE: PollerEvent =
        PollerEvent { socket: null_mut(), fd: Fd(-1), user_data: null_mut(), events: 0 };

    fn of(item: &Item<UserData>) -> PollerEvent {
        let (socket, fd) = match item.target {
            Target::Socket(handle) => (ptr::from_handle(handle), Fd(-1)),
            Target::Fd(fd) => (null_mut(), Fd(fd)),
        };
        PollerEvent { socket, fd, user_data: item.data.0, events: item.events }
    }
}
