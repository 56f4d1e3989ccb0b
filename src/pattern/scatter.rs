//! SCATTER: each message to one of its peers, in turn, of one part each.

use super::load_balancer::LoadBalancer;
use super::{Attach, Pattern, single};
use crate::base::Error;
use crate::message::Msg;
use crate::pipe::{PipeId, Pipes};

/// The state of a SCATTER.
#[derive(Default)]
pub(super) struct Scatter {
    out: LoadBalancer,
}

impl Pattern for Scatter {
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
        single(msg)?;
        self.out.send(pipes, msg).map(drop)
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
        let mut world = World::new(Scatter::default());
        assert_eq!(world.send(&["m"]), Err(Error::Again));
        assert_eq!(world.send_part("m", true), Err(Error::Invalid));
        world.join();
        let second = world.join();
        for n in 0..4 {
            assert_eq!(world.send(&[&n.to_string()]), Ok(()));
        }
        assert_eq!(world.received(1), [["1"], ["3"]]);
        assert_eq!(world.send_part("m", true), Err(Error::Invalid));
        world.peer_sends(0, &["ignored"]);
        assert_eq!(world.recv(), Err(Error::NotSupported));
        assert_eq!(world.events(), (false, true));
        assert!(!world.pattern.drains_input(&mut world.pipes, second));
    }

    #[test]
    fn full_peers_hold_the_sender_up() {
        let mut world = World::with_mark(Scatter::default(), 1);
        world.join();
        assert_eq!((0..5).filter(|_| world.send(&["m"]).is_ok()).count(), 2);
        assert_eq!(world.events(), (false, false));
        assert_eq!(world.received(0).len(), 2);
        assert_eq!(world.events(), (false, true));
    }
}
