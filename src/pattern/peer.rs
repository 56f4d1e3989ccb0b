//! PEER: as SERVER, with others of its kind; it also connects, and knows whom it connected to by number.

use super::server::Server;
use super::{Attach, Pattern};
use crate::base::Error;
use crate::message::Msg;
use crate::pipe::{PipeId, Pipes};

/// The state of a PEER.
#[derive(Default)]
pub(super) struct Peer {
    inner: Server,
}

impl Pattern for Peer {
    fn attach(&mut self, pipes: &mut Pipes, id: PipeId, how: Attach) {
        self.inner.attach(pipes, id, how);
    }

    fn readable(&mut self, pipes: &mut Pipes, id: PipeId) {
        self.inner.readable(pipes, id);
    }

    fn writable(&mut self, pipes: &mut Pipes, id: PipeId) {
        self.inner.writable(pipes, id);
    }

    fn detach(&mut self, pipes: &mut Pipes, id: PipeId) {
        self.inner.detach(pipes, id);
    }

    fn send(&mut self, pipes: &mut Pipes, msg: &mut Msg) -> Result<(), Error> {
        self.inner.send(pipes, msg)
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

    fn names_connects(&self) -> bool {
        true
    }

    fn peer_number(&self, id: PipeId) -> Option<u32> {
        self.inner.peer_number(id)
    }

    fn disconnect_peer(&mut self, pipes: &mut Pipes, number: u32) -> Result<(), Error> {
        self.inner.disconnect_peer(pipes, number)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    #[test]
    fn whom_it_connects_to_has_a_number_at_once() {
        let mut world = World::new(Peer::default());
        assert!(world.pattern.names_connects());
        let how = Attach { initiator: true, ..Attach::default() };
        let id = world.join_as(b"", how);
        let number = world.pattern.peer_number(id).expect("attached");
        let mut msg = Msg::copy_of(b"m").expect("small");
        msg.set_routing_id(number);
        assert_eq!(world.pattern.send(&mut world.pipes, &mut msg), Ok(()));
        assert_eq!(world.received(0), [["m"]]);
        world.peer_sends(0, &["r"]);
        assert_eq!(world.recv_part().map(|msg| msg.routing_id()), Ok(number));
        assert_eq!(world.pattern.disconnect_peer(&mut world.pipes, number), Ok(()));
    }
}
