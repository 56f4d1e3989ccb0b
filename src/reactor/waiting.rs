//! The wait itself, on the descriptor of the poller's set (epoll): one system call, however it ends. Commands are
//! announced by an eventfd of our own, which tells of every notice without being read or watched anew.

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use polling::Poller;

use super::Ready;
use crate::base::Error;
use crate::sys::{EpollEvents, EventFd, epoll_add_edge, epoll_wait};

/// The poller has this for its own notices and lets nobody register it; it never gives any here.
const BELL: u64 = u64::MAX;

/// Wakes the thread that waits.
pub(super) struct Bell(EventFd);

impl Bell {
    pub(super) fn new(poller: &Poller) -> Result<Bell, Error> {
        let bell = EventFd::new()?;
        epoll_add_edge(poller.as_fd(), bell.as_raw_fd(), BELL)?;
        Ok(Bell(bell))
    }

    pub(super) fn ring(&self, _poller: &Poller) {
        self.0.notify();
    }
}

/// Room for what a wait finds.
#[derive(Default)]
pub struct Events(EpollEvents);

impl Events {
    pub(super) fn wait(
        &mut self,
        poller: &Poller,
        limit: Option<Duration>,
        ready: &mut Vec<Ready>,
    ) -> Result<(), Error> {
        const INPUT: u32 = (libc::EPOLLIN | libc::EPOLLPRI) as u32;
        const OUTPUT: u32 = libc::EPOLLOUT as u32;
        const BROKEN: u32 = (libc::EPOLLHUP | libc::EPOLLERR) as u32;
        epoll_wait(poller.as_fd(), &mut self.0, limit)?;
        let registered = self.0.iter().filter(|(key, _)| *key != BELL);
        ready.extend(registered.map(|(key, found)| Ready {
            key: key as usize,
            readable: found & (INPUT | BROKEN) != 0,
            writable: found & (OUTPUT | BROKEN) != 0,
        }));
        Ok(())
    }
}
