//! poll(2) with a timeout finer than a millisecond.

use std::os::fd::RawFd;
use std::time::Duration;

use crate::base::Error;

/// One descriptor to watch; layout of `struct pollfd`.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct PollFd(libc::pollfd);

impl PollFd {
    /// Watches `fd` for `events` (POLLIN, POLLOUT, POLLPRI of poll(2)).
    pub fn new(fd: RawFd, events: i16) -> PollFd {
        PollFd(libc::pollfd { fd, events, revents: 0 })
    }

    /// What happened, after [`poll`].
    pub fn revents(&self) -> i16 {
        self.0.revents
    }
}

/// The signals that are blocked while a call waits.
#[derive(Clone, Copy)]
pub struct SignalMask(libc::sigset_t);

impl SignalMask {
    /// The mask as C has it.
    pub fn new(set: libc::sigset_t) -> SignalMask {
        SignalMask(set)
    }
}

impl std::fmt::Debug for SignalMask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SignalMask").finish_non_exhaustive()
    }
}

/// Waits for any of `fds`; `None` waits for ever. Returns how many have something to say.
pub fn poll(fds: &mut [PollFd], timeout: Option<Duration>) -> Result<usize, Error> {
    poll_masked(fds, timeout, None)
}

/// As [`poll`]; while it waits the thread's signal mask is `mask`, set and restored in one step with the
/// wait.
pub fn poll_masked(
    fds: &mut [PollFd],
    timeout: Option<Duration>,
    mask: Option<&SignalMask>,
) -> Result<usize, Error> {
    let limit = timeout.map(|t| libc::timespec {
        tv_sec: t.as_secs().min(i64::MAX as u64) as libc::time_t,
        tv_nsec: libc::c_long::from(t.subsec_nanos() as i32),
    });
    let limit_ptr = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let mask_ptr = mask.map_or(std::ptr::null(), |SignalMask(set)| std::ptr::from_ref(set));
    // SAFETY: PollFd is a transparent pollfd; pointer and length come from one slice; the timespec and the
    // mask live.
    let rc = unsafe {
        libc::ppoll(fds.as_mut_ptr().cast(), fds.len() as libc::nfds_t, limit_ptr, mask_ptr)
    };
    usize::try_from(rc).map_err(|_| std::io::Error::last_os_error().into())
}
