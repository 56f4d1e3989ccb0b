//! Descriptors that the application hands over by number.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Takes over a descriptor that the application declared to be open and gave away (ZMQ_USE_FD); it is
/// closed with the value.
pub fn adopt(fd: RawFd) -> OwnedFd {
    // SAFETY: callers pass numbers of 0 and above that the application gave away; a number that is not open
    // only makes the calls on it fail.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
