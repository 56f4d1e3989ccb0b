//! Room to send: what senders do that may wait for it. What the kernel has no room for they write on by themselves
//! while they wait, so that no I/O thread has to be woken for each piece.

use std::os::fd::AsRawFd;
use std::sync::Arc;

use super::core::Core;
use crate::base::constants::ZMQ_DONTWAIT;
use crate::options::SocketType;
use crate::pipe::Driver;
use crate::sync::handles::Guard;
use crate::sys::PollFd;

/// A socket with more connections than this leaves them to the I/O thread.
const MOST_TAKEN: usize = 16;

/// Much waits behind this socket, and a sender that may wait lets some of it go first. Not where a slow
/// peer must not hold up the others.
#[cold]
pub(super) fn ease(mut core: Guard<'static, Box<Core>>, flags: i32) {
    use SocketType::{Channel, Client, Dealer, Pair, Push, Req, Scatter};
    let connections = core.pipes.take_heavy();
    let patient =
        matches!(core.options.socket_type, Channel | Client | Dealer | Pair | Push | Req | Scatter);
    let waits = patient && flags & ZMQ_DONTWAIT == 0 && core.options.sndtimeo_ms != 0;
    drop(core);
    if waits {
        connections.iter().for_each(|connection| connection.ease());
    }
}

/// Connections that the kernel has no room for at the moment, in the hands of a sender that waits.
#[derive(Default)]
pub(super) struct Blocked {
    /// All that were taken over, to be given back.
    taken: Vec<Arc<dyn Driver>>,
    /// What the next sleep waits for too: of these, with what keeps their descriptors open.
    fds: Vec<PollFd>,
    waiting: Vec<(Arc<dyn Driver>, Arc<dyn AsRawFd + Send + Sync>)>,
}

impl Blocked {
    /// Takes over those there are now: what to wait for.
    pub(super) fn take(&mut self, core: &mut Core) -> &mut [PollFd] {
        self.fds.clear();
        self.waiting.clear();
        if core.pipes.len() > MOST_TAKEN {
            return &mut self.fds;
        }
        for (_, pipe) in core.pipes.iter_mut() {
            let Some(driver) = pipe.driver() else { continue };
            let Some(stream) = driver.attend_room() else { continue };
            if !self.taken.iter().any(|known| Arc::ptr_eq(known, driver)) {
                self.taken.push(driver.clone());
            }
            self.fds.push(PollFd::new(stream.as_raw_fd(), libc::POLLOUT));
            self.waiting.push((driver.clone(), stream));
        }
        &mut self.fds
    }

    /// After a sleep: writes what the kernel takes now.
    pub(super) fn write_on(&self) {
        for (fd, (driver, _)) in self.fds.iter().zip(&self.waiting) {
            if fd.revents() != 0 {
                driver.write_on();
            }
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        self.taken.iter().for_each(|driver| driver.leave_room());
    }
}
