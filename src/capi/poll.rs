//! Waiting for several sockets and descriptors.

use std::ffi::{c_int, c_long, c_short, c_void};
use std::ptr::null_mut;
use std::slice;

use super::{Fd, guard, ptr};
use crate::base::Error;
use crate::socket::{self, SignalMask, Target};

/// One thing to wait for: a socket, or, when that is NULL, a descriptor.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct PollItem {
    /// The socket, or NULL.
    pub socket: *mut c_void,
    /// The descriptor; ignored when there is a socket.
    pub fd: Fd,
    /// What to wait for: ZMQ_POLLIN, ZMQ_POLLOUT, ZMQ_POLLERR, ZMQ_POLLPRI.
    pub events: c_short,
    /// Which of them hold; written by the call.
    pub revents: c_short,
}

/// Waits until an item is ready, or `timeout` milliseconds have passed (negative: for ever), and
/// writes the `revents` of every item. Without items it only waits.
///
/// Returns how many items are ready, or -1 with the items unchanged.
///
/// Errors: EINVAL for a negative number of items, EFAULT for NULL items, ENOTSOCK when the handle
/// is no open socket, ETERM when the context was shut down or terminated, EINTR when a signal came
/// while waiting, ENOMEM when memory is exhausted.
///
/// Man page: zmq_poll.
///
/// # Safety `items` is NULL or points to `nitems` elements that may be written and that nobody else
/// uses meanwhile; the sockets in them are only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_poll(items: *mut PollItem, nitems: c_int, timeout: c_long) -> c_int {
    guard::call(-1, || {
        // SAFETY: the same promise.
        let items = unsafe { borrow_items(items, nitems) }?;
        // Most programs wait for a few things, and wait often: those go without the allocator.
        match items.len() {
            0..=4 => poll_few::<4>(items, timeout),
            5..=16 => poll_few::<16>(items, timeout),
            _ => poll_many(items, timeout, None),
        }
    })
}

/// What zmq_ppoll does.
///
/// # Safety
/// `items` as for `zmq_poll`.
pub(super) unsafe fn poll_masked(
    items: *mut PollItem,
    nitems: c_int,
    timeout: c_long,
    mask: Option<SignalMask>,
) -> Result<c_int, Error> {
    // SAFETY: the same promise.
    let items = unsafe { borrow_items(items, nitems) }?;
    poll_many(items, timeout, mask)
}

/// # Safety
/// As for `zmq_poll`.
pub(super) unsafe fn borrow_items<'a>(
    items: *mut PollItem,
    nitems: c_int,
) -> Result<&'a mut [PollItem], Error> {
    let count = usize::try_from(nitems).map_err(|_| Error::Invalid)?;
    match (items.is_null(), count) {
        (_, 0) => Ok(&mut []),
        (true, _) => Err(Error::Fault),
        // SAFETY: not NULL, so the caller promised `nitems` elements; an int is too small to
        // overflow.
        (false, _) => Ok(unsafe { slice::from_raw_parts_mut(items, count) }),
    }
}

fn poll_few<const ROOM: usize>(items: &mut [PollItem], timeout: c_long) -> Result<c_int, Error> {
    let none = PollItem { socket: null_mut(), fd: Fd(-1), events: 0, revents: 0 };
    let mut all: [socket::PollItem; ROOM] =
        std::array::from_fn(|i| items.get(i).unwrap_or(&none).wanted());
    let (wanted, _) = all.split_at_mut_checked(items.len()).ok_or(Error::Invalid)?;
    poll_into(items, wanted, timeout, None)
}

fn poll_many(
    items: &mut [PollItem],
    timeout: c_long,
    mask: Option<SignalMask>,
) -> Result<c_int, Error> {
    let mut wanted = Vec::new();
    wanted.try_reserve_exact(items.len()).map_err(|_| Error::NoMemory)?;
    wanted.extend(items.iter().map(PollItem::wanted));
    poll_into(items, &mut wanted, timeout, mask)
}

fn poll_into(
    items: &mut [PollItem],
    wanted: &mut [socket::PollItem],
    timeout: c_long,
    mask: Option<SignalMask>,
) -> Result<c_int, Error> {
    let ready = socket::poll_masked(wanted, timeout, mask)?;
    for (item, seen) in items.iter_mut().zip(wanted) {
        item.revents = seen.revents;
    }
    Ok(ptr::length(ready))
}

impl PollItem {
    #[inline(always)]
    fn wanted(&self) -> socket::PollItem {
        let target = if self.socket.is_null() {
            Target::Fd(self.fd.0)
        } else {
            Target::Socket(ptr::handle(self.socket))
        };
        socket::PollItem { target, events: self.events, revents: 0 }
    }
}
