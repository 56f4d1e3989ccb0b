//! PULL: messages of all its peers, in turn.

use super::fair_queue::FairQueue;
use super::{Attach, Pattern};
use crate::base::Error;
use crate::message::Msg;
use crate::pipe::{PipeId, Pipes};

/// The state of a PULL.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Pull {
    input: FairQueue,
}

impl Pattern for Pull {
    fn attach(&mut self, _pipes: &mut Pipes, id: PipeId, _how: Attach) {
        self.input.attach(id);
    }

    fn readable(&mut self, _pipes: &mut Pipes, id: PipeId) {
        self.input.readable(id);
    }

    fn writable(&mut self, _pipes: &mut Pipes, _id: PipeId) {}

    fn detach(&mut self, _pipes: &mut Pipes, id: PipeId) {
        self.input.detach(id);
    }

    fn recv(&mut self, pipes: &mut Pipes) -> Result<Msg, Error> {
        self.input.recv(pipes).map(|(_, msg)| msg)
    }

    fn recv_into(&mut self, pipes: &mut Pipes, msg: &mut Msg) -> Result<(), Error> {
        self.input.recv_into(pipes, msg).map(|_| ())
    }

    fn recv_bytes(&mut self, pipes: &mut Pipes, into: &mut [u8]) -> Option<(usize, bool)> {
        self.input.recv_bytes(pipes, into)
    }

    fn only_input(&self) -> Option<PipeId> {
        self.input.only()
    }

    fn can_recv(&mut self, pipes: &mut Pipes) -> bool {
        self.input.can_recv(pipes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    #[test]
    fn it_receives_in_turn_and_never_sends() {
        let mut world = World::new(Pull::default());
        assert_eq!(world.recv(), Err(Error::Again));
        world.join();
        let second = world.join();
        assert_eq!(world.send(&["m"]), Err(Error::NotSupported));
        assert_eq!(world.events(), (false, false));
        world.peer_sends(0, &["a"]);
        world.peer_sends(0, &["b"]);
        world.peer_sends(1, &["c"]);
        // What a peer delivered before it left is still read.
        world.peer_leaves(second);
        let mut got: Vec<_> = (0..3).map(|_| world.recv().expect("sent")).collect();
        assert_eq!(got[2], ["b"]);
        got.sort();
        assert_eq!(got, [["a"], ["b"], ["c"]]);
        assert_eq!(world.recv(), Err(Error::Again));
    }
}
