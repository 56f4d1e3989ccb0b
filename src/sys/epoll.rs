//! A set of descriptors that is a descriptor itself: readable while any member is.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use crate::base::Error;

/// An epoll(7) set that nobody waits on here: it is handed out to be polled.
#[derive(Debug)]
pub struct EpollSet(OwnedFd);

impl EpollSet {
    /// An empty one, close-on-exec.
    pub fn new() -> Result<EpollSet, Error> {
        // SAFETY: epoll_create1 takes no pointers.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(std::io::Error::last_os_error().into());
        }
        // SAFETY: the descriptor was just made and belongs to nobody else.
        Ok(EpollSet(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Takes a descriptor in, to be watched for input.
    pub fn add(&self, fd: RawFd) -> Result<(), Error> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
        // SAFETY: the event lives through the call; a descriptor that is not open is an error.
        let rc = unsafe { libc::epoll_ctl(self.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event) };
        if rc < 0 { Err(std::io::Error::last_os_error().into()) } else { Ok(()) }
    }

    /// Lets a descriptor go; one that was closed has left by itself.
    pub fn remove(&self, fd: RawFd) {
        // SAFETY: deleting takes no event; the only failure is that it is not in the set.
        unsafe {
            libc::epoll_ctl(self.as_raw_fd(), libc::EPOLL_CTL_DEL, fd, std::ptr::null_mut());
        }
    }
}

impl AsFd for EpollSet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for EpollSet {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{EventFd, PollFd, poll};
    use std::time::Duration;

    #[test]
    fn it_is_readable_while_a_member_is() {
        let set = EpollSet::new().expect("descriptor");
        let member = EventFd::new().expect("descriptor");
        let readable = || {
            let mut fds = [PollFd::new(set.as_raw_fd(), libc::POLLIN)];
            poll(&mut fds, Some(Duration::ZERO)).expect("poll") == 1
        };
        set.add(member.as_raw_fd()).expect("open");
        assert!(set.add(member.as_raw_fd()).is_err(), "once is enough");
        assert!(!readable());
        member.notify();
        assert!(readable());
        set.remove(member.as_raw_fd());
        assert!(!readable());
        set.add(member.as_raw_fd()).expect("open");
        drop(member);
        assert!(!readable());
    }
}
