//! PUSH: each message to one of its peers, in turn.

use super::load_balancer::LoadBalancer;
use super::{Attach, Pattern};
use crate::base::Error;
use crate::message::Msg;
use crate::pipe::{PipeId, Pipes, Urgency};

/// The state of a PUSH.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Push {
    out: LoadBalancer,
}

impl Pattern for Push {
    fn attach(&mut self, _pipes: &mut Pipes, id: PipeId, _how: Attach) {
        self.out.attach(id);
    }

    /// What peers send is never read.
    fn readable(&mut self, _pipes: &mut Pipes, _id: PipeId) {}

    fn writable(&mut self, _pipes: &mut Pipes, id: PipeId) {
        self.out.writable(id);
    }

    fn detach(&mut self, _pipes: &mut Pipes, id: PipeId) {
        self.out.detach(id);
    }

    fn send(&mut self, pipes: &mut Pipes, msg: &mut Msg) -> Result<(), Error> {
        self.out.send(pipes, msg).map(drop)
    }

    fn send_bytes(&mut self, pipes: &mut Pipes, bytes: &[u8], more: bool) -> bool {
        self.out.send_bytes(pipes, bytes, more, Urgency::Auto)
    }

    fn only_output(&self) -> Option<PipeId> {
        self.out.only()
    }

    fn take_spoilt(&mut self) -> bool {
        self.out.take_spoilt()
    }

    fn can_send(&mut self, pipes: &mut Pipes) -> bool {
        self.out.can_send(pipes)
    }

    fn drains_input(&self, _pipes: &mut Pipes, _id: PipeId) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    #[test]
    fn it_sends_in_turn_and_never_receives() {
        let mut world = World::new(Push::default());
        assert_eq!(world.send(&["m"]), Err(Error::Again));
        assert_eq!(world.events(), (false, false));
        world.join();
        let second = world.join();
        for n in 0..4 {
            assert_eq!(world.send(&[&n.to_string(), "end"]), Ok(()));
        }
        assert_eq!(world.received(1), [["1", "end"], ["3", "end"]]);
        world.peer_sends(0, &["ignored"]);
        assert_eq!(world.recv(), Err(Error::NotSupported));
        assert_eq!(world.events(), (false, true));
        assert!(!world.pattern.drains_input(&mut world.pipes, second));
    }
}
