//! CLIENT: each message to one of its servers, messages from all of them, both in turn, of one part each.

use super::load_balancer::LoadBalancer;
use super::singles::Singles;
use super::{Attach, Pattern, single};
use crate::base::Error;
use crate::message::Msg;
use crate::pipe::{PipeId, Pipes};

/// The state of a CLIENT.
#[derive(Default)]
pub(super) struct Client {
    input: Singles,
    out: LoadBalancer,
}

impl Pattern for Client {
    fn attach(&mut self, _pipes: &mut Pipes, id: PipeId, _how: Attach) {
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
        single(msg)?;
        self.out.send(pipes, msg).map(drop)
    }

    fn recv(&mut self, pipes: &mut Pipes) -> Result<Msg, Error> {
        self.input.recv(pipes).map(|(_, msg)| msg)
    }

    fn can_recv(&mut self, pipes: &mut Pipes) -> bool {
        self.input.can_recv(pipes)
    }

    fn can_send(&mut self, pipes: &mut Pipes) -> bool {
        self.out.can_send(pipes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    #[test]
    fn both_directions_take_turns() {
        let mut world = World::new(Client::default());
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
        world.peer_sends(1, &["x", "dropped"]);
        world.peer_sends(1, &["y"]);
        world.peer_sends(0, &["z"]);
        assert_eq!(world.events(), (true, true));
        let mut got: Vec<_> = std::iter::from_fn(|| world.recv().ok()).collect();
        got.sort();
        assert_eq!(got, [["y"], ["z"]]);
        assert_eq!(world.send_part("m", true), Err(Error::Invalid));
    }
}
