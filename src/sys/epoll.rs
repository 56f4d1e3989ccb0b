//! Sets of descriptors that are descriptors themselves: one to hand out, readable while any member is; and the wait
//! for a set that somebody else keeps.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

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

/// What one wait found.
pub struct EpollEvents(Vec<libc::epoll_event>);

impl EpollEvents {
    /// So many are told at a time; the kernel begins with the others the next time.
    const MOST: usize = 1024;

    /// Of each ready descriptor what it was registered with, and the EPOLL bits.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u32)> {
        self.0.iter().map(|event| (event.u64, event.events))
    }
}

impl Default for EpollEvents {
    /// Room for one wait.
    fn default() -> EpollEvents {
        EpollEvents(Vec::with_capacity(EpollEvents::MOST))
    }
}

/// Adds `fd` to the set `epoll`, to be told under `data` each time something is written to it; nobody needs to read
/// it for that.
pub fn epoll_add_edge(epoll: BorrowedFd<'_>, fd: RawFd, data: u64) -> Result<(), Error> {
    let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLET) as u32, u64: data };
    // SAFETY: the event lives through the call; a descriptor that is not open is an error.
    let rc = unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event) };
    if rc < 0 { Err(std::io::Error::last_os_error().into()) } else { Ok(()) }
}

/// Waits until a member of `epoll` has something to say, at most `limit` (None: for ever), in one system call. On an
/// error `events` is empty.
pub fn epoll_wait(
    epoll: BorrowedFd<'_>,
    events: &mut EpollEvents,
    limit: Option<Duration>,
) -> Result<(), Error> {
    /// Linux before 5.11 knows no time limit finer than a millisecond; and where words are short, what it would read as
    /// one is not the C library's.
    static COARSE: AtomicBool = AtomicBool::new(cfg!(not(target_pointer_width = "64")));
    let list = &mut events.0;
    list.clear();
    let (fd, room, most) = (epoll.as_raw_fd(), list.as_mut_ptr(), EpollEvents::MOST as i32);
    let limit_ms = limit.map_or(-1, |limit| {
        i32::try_from(limit.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
    });
    let exact = limit.is_some_and(|limit| !limit.is_zero()) && !COARSE.load(Ordering::Relaxed);
    let mut found = -1;
    if exact {
        let limit = limit.map(|limit| libc::timespec {
            tv_sec: limit.as_secs().min(i64::MAX as u64) as libc::time_t,
            tv_nsec: libc::c_long::from(limit.subsec_nanos() as i32),
        });
        let limit = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        let no_mask = std::ptr::null::<libc::sigset_t>();
        // SAFETY: `room` has place for `most` events, which stay valid while the vector is not grown; the timespec
        // lives, and no mask is given.
        found = unsafe {
            libc::syscall(libc::SYS_epoll_pwait2, fd, room, most, limit, no_mask, 0usize) as i32
        };
        if found < 0 {
            match std::io::Error::last_os_error() {
                // Old filters of system calls say EPERM.
                error if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                    COARSE.store(true, Ordering::Relaxed);
                }
                error => return Err(error.into()),
            }
        }
    }
    if found < 0 {
        // SAFETY: as above.
        found = unsafe { libc::epoll_wait(fd, room, most, limit_ms) };
    }
    let found = usize::try_from(found).map_err(|_| Error::from(std::io::Error::last_os_error()))?;
    // SAFETY: the kernel has written so many, and no more than there is room for.
    unsafe { list.set_len(found) };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{EventFd, PollFd, poll};
    use std::time::Duration;

    #[test]
    fn a_wait_tells_of_every_notice_once_and_of_none_in_time() {
        let (set, member) = (EpollSet::new().expect("one"), EventFd::new().expect("one"));
        epoll_add_edge(set.as_fd(), member.as_raw_fd(), 7).expect("open");
        let mut events = EpollEvents::default();
        let mut wait = |limit| {
            epoll_wait(set.as_fd(), &mut events, limit).expect("a set");
            events.iter().map(|(data, _)| data).collect::<Vec<_>>()
        };
        for limit in [Some(Duration::ZERO), Some(Duration::from_micros(10))] {
            assert_eq!(wait(limit), []);
            for _ in 0..2 {
                member.notify();
                assert_eq!(wait(limit), [7], "without having been read");
                assert_eq!(wait(limit), []);
            }
        }
        member.notify();
        member.notify();
        assert_eq!(wait(None), [7]);
        let began = std::time::Instant::now();
        assert_eq!(wait(Some(Duration::from_micros(1500))), []);
        assert!(began.elapsed() >= Duration::from_micros(1500));
    }

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
