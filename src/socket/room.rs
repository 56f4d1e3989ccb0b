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
    /// With what keeps their descriptors open.
    taken: Vec<(Arc<dyn Driver>, Arc<dyn AsRawFd + Send + Sync>)>,
    /// What the next sleep waits for too, in the same order.
    fds: Vec<PollFd>,
}

impl Blocked {
    /// Takes over those there are now, and gives back what is none any more, or no longer the socket's: what to wait for.
    pub(super) fn take(&mut self, core: &mut Core) -> &mut [PollFd] {
        self.fds.clear();
        let before = std::mem::take(&mut self.taken);
        if core.pipes.len() <= MOST_TAKEN {
            for (_, pipe) in core.pipes.iter_mut() {
                if let Some(driver) = pipe.driver()
                    && let Some(stream) = driver.attend_room()
                {
                    self.fds.push(PollFd::new(stream.as_raw_fd(), libc::POLLOUT));
                    self.taken.push((driver.clone(), stream));
                }
            }
        }
        for (driver, _) in before {
            if !self.taken.iter().any(|(taken, _)| Arc::ptr_eq(taken, &driver)) {
                driver.leave_room();
            }
        }
        &mut self.fds
    }

    /// After a sleep: writes what the kernel takes now.
    pub(super) fn write_on(&self) {
        for (fd, (driver, _)) in self.fds.iter().zip(&self.taken) {
            if fd.revents() != 0 {
                driver.write_on();
            }
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        self.taken.iter().for_each(|(driver, _)| driver.leave_room());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::testing::{Bytes, socket};

    /// What is taken over and not waited for would be written by nobody.
    #[test]
    fn what_is_not_waited_for_is_given_back() {
        let socket = socket(SocketType::Push);
        let mut core = socket.enter().expect("open");
        let peers = [(); 3].map(|()| Bytes::join(&mut core));
        let _far = [0, 1, 2].map(|n: usize| peers[n].connect());
        let is_taken = || [0, 1, 2].map(|n: usize| peers[n].room.is_taken());
        let mut blocked = Blocked::default();
        assert!(blocked.take(&mut core).is_empty());
        peers[0].room.set_full(true);
        peers[2].room.set_full(true);
        assert_eq!((blocked.take(&mut core).len(), is_taken()), (2, [true, false, true]));
        // An I/O thread is writing to it, and may find it full again.
        peers[0].room.set_full(false);
        assert_eq!((blocked.take(&mut core).len(), is_taken()), (1, [false, false, true]));
        // More connections came.
        let _others: Vec<_> = (0..MOST_TAKEN).map(|_| Bytes::join(&mut core)).collect();
        assert_eq!((blocked.take(&mut core).len(), is_taken()), (0, [false; 3]));
    }

    #[test]
    fn who_leaves_gives_back_and_writes_where_there_is_room() {
        let socket = socket(SocketType::Push);
        let mut core = socket.enter().expect("open");
        let peers = [(); 2].map(|()| Bytes::join(&mut core));
        let _far = [0, 1].map(|n: usize| peers[n].connect());
        peers.iter().for_each(|peer| peer.room.set_full(true));
        let mut blocked = Blocked::default();
        let fds = blocked.take(&mut core);
        // These descriptors have room, but only one is asked for.
        assert_eq!(crate::sys::poll(&mut fds[1..], None), Ok(1));
        blocked.write_on();
        assert_eq!([0, 1].map(|n: usize| peers[n].room.written()), [0, 1]);
        drop(blocked);
        assert!(peers.iter().all(|peer| !peer.room.is_taken()));
    }
}
