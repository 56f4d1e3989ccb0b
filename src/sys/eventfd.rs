//! A counter that a descriptor wait can see.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::base::Error;

/// An eventfd: readable while notified.
#[derive(Debug)]
pub struct EventFd(File);

impl EventFd {
    /// A new one, not notified, non-blocking and close-on-exec.
    pub fn new() -> Result<EventFd, Error> {
        // SAFETY: eventfd takes no pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(std::io::Error::last_os_error().into());
        }
        // SAFETY: the descriptor was just made and belongs to nobody else.
        let owned = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(EventFd(File::from(owned)))
    }

    /// Makes the descriptor readable.
    pub fn notify(&self) {
        // The only failure is a full counter, which is readable already.
        let _full = (&self.0).write(&1u64.to_ne_bytes());
    }

    /// Makes the descriptor unreadable until the next `notify`.
    pub fn drain(&self) {
        // The only failure is an empty counter.
        let _empty = (&self.0).read(&mut [0u8; 8]);
    }
}

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
