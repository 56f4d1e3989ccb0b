//! DGRAM: datagrams to and from anybody, each as `[address][body]`.
//!
//! The datagram socket it is bound to is its one peer; further binds are given up at once.

use super::pair::Pair;
use super::{Attach, Pattern};
use crate::base::Error;
use crate::message::Msg;
use crate::pipe::{PipeId, Pipes};

/// The state of a DGRAM.
#[derive(Default)]
pub(super) struct Dgram {
    inner: Pair,
    /// The address was sent, the body is to come.
    amid_message: bool,
}

impl Pattern for Dgram {
    fn attach(&mut self, pipes: &mut Pipes, id: PipeId, how: Attach) {
        if self.inner.has_peer() {
            if let Some(pipe) = pipes.get(id) {
                pipe.terminate(false);
            }
        } else {
            self.inner.attach(pipes, id, how);
        }
    }

    fn readable(&mut self, _pipes: &mut Pipes, _id: PipeId) {}

    fn writable(&mut self, _pipes: &mut Pipes, _id: PipeId) {}

    fn detach(&mut self, pipes: &mut Pipes, id: PipeId) {
        self.inner.detach(pipes, id);
    }

    fn send(&mut self, pipes: &mut Pipes, msg: &mut Msg) -> Result<(), Error> {
        if msg.more() == self.amid_message {
            return Err(Error::Invalid);
        }
        if !self.amid_message && !self.inner.has_peer() {
            // Unlike other peers, this one comes by the caller's own bind and by nothing else.
            return Err(Error::Os(libc::ENOTCONN));
        }
        self.inner.send(pipes, msg)?;
        self.amid_message = !self.amid_message;
        Ok(())
    }

    fn recv(&mut self, pipes: &mut Pipes) -> Result<Msg, Error> {
        self.inner.recv(pipes)
    }

    fn can_recv(&mut self, pipes: &mut Pipes) -> bool {
        self.inner.can_recv(pipes)
    }

    fn can_send(&mut self, pipes: &mut Pipes) -> bool {
        self.inner.can_send(pipes)
    }

    fn drains_input(&self, pipes: &mut Pipes, id: PipeId) -> bool {
        self.inner.drains_input(pipes, id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    #[test]
    fn a_message_is_an_address_and_a_body() {
        let mut world = World::new(Dgram::default());
        world.join();
        assert_eq!(world.send_part("alone", false), Err(Error::Invalid));
        assert_eq!(world.send_part("to", true), Ok(()));
        assert_eq!(world.send_part("more", true), Err(Error::Invalid));
        assert_eq!(world.send_part("body", false), Ok(()));
        assert_eq!(world.received(0), [["to", "body"]]);
        world.peer_sends(0, &["from", "body"]);
        assert_eq!(world.events(), (true, true));
        assert_eq!(world.recv(), Ok(vec!["from".into(), "body".into()]));
    }

    #[test]
    fn before_the_bind_nothing_can_be_sent() {
        let mut world = World::new(Dgram::default());
        assert_eq!(world.send_part("alone", false), Err(Error::Invalid));
        assert_eq!(world.send_part("to", true), Err(Error::Os(libc::ENOTCONN)));
        assert_eq!(world.recv(), Err(Error::Again));
        assert_eq!(world.events(), (false, false));
    }

    #[test]
    fn the_first_bind_is_the_one_that_counts() {
        let mut world = World::new(Dgram::default());
        let first = world.join();
        let second = world.join();
        assert!(world.pipes.get(second).is_some_and(|pipe| pipe.dropping()));
        world.leave(second);
        assert_eq!(world.send_part("to", true), Ok(()));
        world.leave(first);
        assert_eq!(world.send_part("nobody", false), Ok(()), "the rest is dropped");
        assert_eq!(world.send_part("to", true), Err(Error::Os(libc::ENOTCONN)));
    }
}
