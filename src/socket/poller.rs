#![forbid(unsafe_code)]
//! A set of sockets and descriptors to wait for, kept between waits.
//!
//! It knows what to wait for and what its user attached to each; the waiting itself is `poll`'s.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use crate::base::Error;
use crate::base::constants::{ZMQ_POLLERR, ZMQ_POLLIN, ZMQ_POLLOUT, ZMQ_POLLPRI};
use crate::pipe::Notice;
use crate::socket::{self, PollItem, Target};
use crate::sync::{Lock, Mailbox};
use crate::sys::EpollSet;

const EVENTS: i32 = ZMQ_POLLIN | ZMQ_POLLOUT | ZMQ_POLLERR | ZMQ_POLLPRI;

/// The set; `U` is what the user attaches to each member.
#[derive(Clone, Debug)]
pub struct Poller<U> {
    items: Vec<Item<U>>,
    /// A thread-safe socket was in the set once.
    has_descriptor: bool,
    bell: Option<Arc<Bell>>,
}

/// A descriptor that tells of news for the thread-safe sockets of a set.
#[derive(Debug)]
struct Bell {
    set: EpollSet,
    /// Kept while their descriptors are in the set, so that these numbers are nobody else's.
    members: Lock<Vec<(usize, Arc<Mailbox<Notice>>)>>,
}

impl Bell {
    /// Rings for the socket of this handle, if it is thread-safe.
    fn add(&self, handle: usize) -> Result<(), Error> {
        if let Some(mailbox) = thread_safe(handle)? {
            self.set.add(mailbox.descriptor()?)?;
            self.members.lock().push((handle, mailbox));
        }
        Ok(())
    }

    fn remove(&self, handle: usize) {
        self.members.lock().retain(|(member, mailbox)| {
            let stays = *member != handle;
            if !stays && let Ok(fd) = mailbox.descriptor() {
                self.set.remove(fd);
            }
            stays
        });
    }
}

/// A member of the set, or, as the result of a wait, one that is ready.
#[derive(Clone, Copy, Debug)]
pub struct Item<U> {
    /// The socket or descriptor.
    pub target: Target,
    /// The events asked for, or those that hold.
    pub events: i16,
    /// What the user attached.
    pub data: U,
}

impl<U> Default for Poller<U> {
    fn default() -> Poller<U> {
        Poller { items: Vec::new(), has_descriptor: false, bell: None }
    }
}

impl<U: Copy> Poller<U> {
    /// How many members there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Is there no member?
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Adds a member. ENOTSOCK or EBADF when it is neither socket nor descriptor, EINVAL when it is
    /// there already, or for unknown events.
    pub fn add(&mut self, target: Target, events: i16, data: U) -> Result<(), Error> {
        check(target)?;
        check_events(events)?;
        if self.find(target).is_ok() {
            return Err(Error::Invalid);
        }
        self.items.try_reserve(1).map_err(|_| Error::NoMemory)?;
        if let Target::Socket(handle) = target {
            self.has_descriptor |= thread_safe(handle)?.is_some();
            if let Some(bell) = &self.bell {
                bell.add(handle)?;
            }
        }
        self.items.push(Item { target, events, data });
        Ok(())
    }

    /// Changes the events of a member; errors as [`Poller::add`], EINVAL when it is not there.
    pub fn modify(&mut self, target: Target, events: i16) -> Result<(), Error> {
        check(target)?;
        check_events(events)?;
        let at = self.find(target)?;
        if let Some(item) = self.items.get_mut(at) {
            item.events = events;
        }
        Ok(())
    }

    /// Removes a member; errors as [`Poller::modify`].
    pub fn remove(&mut self, target: Target) -> Result<(), Error> {
        check(target)?;
        let at = self.find(target)?;
        self.items.remove(at);
        if let (Some(bell), Target::Socket(handle)) = (&self.bell, target) {
            bell.remove(handle);
        }
        Ok(())
    }

    /// A descriptor that is readable when the thread-safe sockets of the set should be looked at again, as
    /// ZMQ_FD is for one socket; valid as long as the poller. EINVAL before there was such a socket in it.
    pub fn descriptor(&mut self) -> Result<RawFd, Error> {
        if !self.has_descriptor {
            return Err(Error::Invalid);
        }
        if let Some(bell) = &self.bell {
            return Ok(bell.set.as_raw_fd());
        }
        let bell = Bell { set: EpollSet::new()?, members: Lock::default() };
        for item in &self.items {
            if let Target::Socket(handle) = item.target {
                match bell.add(handle) {
                    // It was closed without being removed, and says nothing any more.
                    Ok(()) | Err(Error::NotSocket) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let fd = bell.set.as_raw_fd();
        self.bell = Some(Arc::new(bell));
        Ok(fd)
    }

    /// Waits until members are ready, at most `timeout_ms` (negative: for ever); tells up to
    /// `limit` of them, in the order in which they were added. EAGAIN when the time is over, EFAULT
    /// when nothing could ever end the wait.
    pub fn wait(&self, limit: usize, timeout_ms: i64) -> Result<Vec<Item<U>>, Error> {
        if timeout_ms < 0 && self.items.iter().all(|item| item.events == 0) {
            return Err(Error::Fault);
        }
        if limit == 0 {
            return Err(Error::Again);
        }
        // Of a descriptor of which nothing is wanted not even errors are.
        let asked = |item: &&Item<U>| item.events != 0 || matches!(item.target, Target::Socket(_));
        let wanted =
            |item: &Item<U>| PollItem { target: item.target, events: item.events, revents: 0 };
        let mut polled: Vec<PollItem> = self.items.iter().filter(asked).map(wanted).collect();
        if socket::poll(&mut polled, timeout_ms)? == 0 {
            return Err(Error::Again);
        }
        let items = self.items.iter().filter(asked);
        let seen = items.zip(&polled).filter(|(_, seen)| seen.revents != 0);
        Ok(seen.map(|(item, seen)| Item { events: seen.revents, ..*item }).take(limit).collect())
    }

    fn find(&self, target: Target) -> Result<usize, Error> {
        self.items.iter().position(|item| item.target == target).ok_or(Error::Invalid)
    }
}

/// The mailbox of a socket, if that is thread-safe.
fn thread_safe(handle: usize) -> Result<Option<Arc<Mailbox<Notice>>>, Error> {
    let core = socket::SOCKETS.lock(handle).map_err(|_| Error::NotSocket)?;
    let safe = core.options.socket_type.is_thread_safe();
    Ok(safe.then(|| core.mailbox.clone()))
}

fn check(target: Target) -> Result<(), Error> {
    match target {
        Target::Socket(handle) => match socket::SOCKETS.lock(handle) {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::NotSocket),
        },
        Target::Fd(-1) => Err(Error::Os(libc::EBADF)),
        Target::Fd(_) => Ok(()),
    }
}

fn check_events(events: i16) -> Result<(), Error> {
    if i32::from(events) & !EVENTS == 0 { Ok(()) } else { Err(Error::Invalid) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_known_by_what_they_are() {
        let mut poller = Poller::default();
        assert_eq!(poller.add(Target::Fd(-1), 1, 'a'), Err(Error::Os(libc::EBADF)));
        assert_eq!(poller.add(Target::Socket(0), 1, 'a'), Err(Error::NotSocket));
        assert_eq!(poller.add(Target::Fd(0), 16, 'a'), Err(Error::Invalid));
        assert_eq!(poller.add(Target::Fd(0), 1, 'a'), Ok(()));
        assert_eq!(poller.add(Target::Fd(0), 1, 'b'), Err(Error::Invalid));
        assert_eq!(poller.modify(Target::Fd(1), 1), Err(Error::Invalid));
        assert_eq!(poller.remove(Target::Fd(1)), Err(Error::Invalid));
        assert_eq!(poller.modify(Target::Fd(0), 0), Ok(()));
        assert_eq!(poller.len(), 1);
        assert_eq!(poller.wait(1, -1).err(), Some(Error::Fault));
        assert_eq!(poller.descriptor(), Err(Error::Invalid), "no thread-safe socket");
        assert_eq!(poller.remove(Target::Fd(0)), Ok(()));
        assert!(poller.is_empty());
    }

    #[test]
    fn a_descriptor_of_which_nothing_is_wanted_is_not_told_of() {
        let (near, far) = std::os::unix::net::UnixStream::pair().expect("a pair");
        let mut poller = Poller::default();
        let target = Target::Fd(near.as_raw_fd());
        assert_eq!(poller.add(target, 1, 'a'), Ok(()));
        assert_eq!(poller.add(Target::Fd(far.as_raw_fd()), 2, 'b'), Ok(()));
        near.shutdown(std::net::Shutdown::Both).expect("open");
        let told = |poller: &Poller<char>| {
            let told = poller.wait(2, 1000).expect("in time");
            told.iter().map(|item| item.data).collect::<String>()
        };
        assert_eq!(told(&poller), "ab");
        assert_eq!(poller.modify(target, 0), Ok(()));
        assert_eq!(told(&poller), "b");
    }

    #[test]
    fn a_wait_that_nothing_can_end_is_refused_or_ends_in_time() {
        let poller: Poller<()> = Poller::default();
        assert_eq!(poller.wait(1, -1).err(), Some(Error::Fault));
        assert_eq!(poller.wait(1, 0).err(), Some(Error::Again));
        assert_eq!(poller.wait(0, 0).err(), Some(Error::Again));
    }
}
