//! DEALER: each message to one of its peers, messages from all of them, both in turn.

use super::fair_queue::FairQueue;
use super::load_balancer::LoadBalancer;
use super::{Attach, Pattern, switch};
use crate::base::{Error, constants as c};
use crate::message::Msg;
use crate::pipe::{PipeId, Pipes, Urgency};

/// The state of a DEALER. A REQ has one inside, and works on its halves.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Dealer {
    pub(super) input: FairQueue,
    pub(super) out: LoadBalancer,
    probe: bool,
}

impl Dealer {
    /// With more input at hand the answer to it can wait for the other answers.
    #[inline]
    fn urgency(&mut self, pipes: &mut Pipes) -> Urgency {
        if self.input.can_recv(pipes) { Urgency::Soon } else { Urgency::Auto }
    }
}

impl Pattern for Dealer {
    fn attach(&mut self, pipes: &mut Pipes, id: PipeId, _how: Attach) {
        if self.probe {
            super::peers::probe(pipes, id);
        }
        self.input.attach(id);
        self.out.attach(id);
    }

    fn readable(&mut self, _pipes: &mut Pipes, id: PipeId) {
        self.input.readable(id);
    }

    fn writable(&mut self, _pipes: &mut Pipes, id: PipeId) {
        self.out.writable(id);
    }

    fn detach(&mut self, _pipes: &mut Pipes, id: PipeId) {
        self.input.detach(id);
        self.out.detach(id);
    }

    fn send(&mut self, pipes: &mut Pipes, msg: &mut Msg) -> Result<(), Error> {
        let urgency = self.urgency(pipes);
        self.out.send_with(pipes, msg, urgency).map(drop)
    }

    fn send_bytes(&mut self, pipes: &mut Pipes, bytes: &[u8], more: bool) -> bool {
        let urgency = self.urgency(pipes);
        self.out.send_bytes(pipes, bytes, more, urgency)
    }

    fn only_output(&self) -> Option<PipeId> {
        self.out.only()
    }

    fn take_spoilt(&mut self) -> bool {
        self.out.take_spoilt()
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

    fn can_send(&mut self, pipes: &mut Pipes) -> bool {
        self.out.can_send(pipes)
    }

    fn set(&mut self, _pipes: &mut Pipes, option: i32, value: &[u8]) -> Result<(), Error> {
        match option {
            c::ZMQ_PROBE_ROUTER => self.probe = switch(value)?,
            _ => return Err(Error::Invalid),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    #[test]
    fn both_directions_take_turns() {
        let mut world = World::new(Dealer::default());
        assert_eq!((world.send(&["m"]), world.recv()), (Err(Error::Again), Err(Error::Again)));
        assert_eq!(world.events(), (false, false));
        world.join();
        world.join();
        for n in ["1", "2", "3"] {
            assert_eq!(world.send(&[n]), Ok(()));
        }
        assert_eq!(
            (world.received(0), world.received(1)),
            (vec![vec!["1".into()], vec!["3".into()]], vec![vec!["2".into()]])
        );
        world.peer_sends(1, &["x", "y"]);
        world.peer_sends(0, &["z"]);
        assert_eq!(world.events(), (true, true));
        let got: Vec<_> = (0..2).filter_map(|_| world.recv().ok()).collect();
        assert!(got.contains(&vec!["x".into(), "y".into()]) && got.contains(&vec!["z".into()]));
    }

    #[test]
    fn a_probe_goes_to_each_new_peer_only() {
        let mut world = World::new(Dealer::default());
        world.join();
        assert_eq!(world.set_int(c::ZMQ_PROBE_ROUTER, -1), Err(Error::Invalid));
        assert_eq!(world.set_int(c::ZMQ_PROBE_ROUTER, 1), Ok(()));
        let id = world.join();
        world.pattern.hiccup(&mut world.pipes, id);
        assert!(world.received(0).is_empty());
        assert_eq!(world.received(1), [[""]]);
    }

    #[test]
    fn it_has_no_other_options() {
        let mut world = World::new(Dealer::default());
        for option in [c::ZMQ_SUBSCRIBE, c::ZMQ_REQ_CORRELATE, c::ZMQ_ROUTER_MANDATORY] {
            assert_eq!(world.set_int(option, 1), Err(Error::Invalid));
        }
        assert_eq!(world.pattern.option(c::ZMQ_PROBE_ROUTER), Err(Error::Invalid));
        assert_eq!(world.pattern.option(c::ZMQ_TOPICS_COUNT), Err(Error::Invalid));
    }
}
