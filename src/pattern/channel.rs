//! CHANNEL: one peer, both ways, messages of one part each; further peers are ignored, as by PAIR.

use super::pair::Pair;
use super::{Attach, Pattern, single};
use crate::base::Error;
use crate::message::Msg;
use crate::pipe::{PipeId, Pipes};

/// The state of a CHANNEL.
#[derive(Default)]
pub(super) struct Channel {
    inner: Pair,
    /// A message that was found while looking whether there is one.
    ahead: Option<Msg>,
}

impl Channel {
    /// The next message; longer ones are dropped.
    fn next(&mut self, pipes: &mut Pipes) -> Result<Msg, Error> {
        loop {
            let msg = self.inner.recv(pipes)?;
            if !msg.more() {
                return Ok(msg);
            }
            while self.inner.recv(pipes)?.more() {}
        }
    }
}

impl Pattern for Channel {
    fn attach(&mut self, pipes: &mut Pipes, id: PipeId, how: Attach) {
        self.inner.attach(pipes, id, how);
    }

    fn readable(&mut self, _pipes: &mut Pipes, _id: PipeId) {}

    fn writable(&mut self, _pipes: &mut Pipes, _id: PipeId) {}

    fn detach(&mut self, pipes: &mut Pipes, id: PipeId) {
        self.inner.detach(pipes, id);
    }

    fn send(&mut self, pipes: &mut Pipes, msg: &mut Msg) -> Result<(), Error> {
        single(msg)?;
        self.inner.send(pipes, msg)
    }

    fn recv(&mut self, pipes: &mut Pipes) -> Result<Msg, Error> {
        match self.ahead.take() {
            Some(msg) => Ok(msg),
            None => self.next(pipes),
        }
    }

    fn can_recv(&mut self, pipes: &mut Pipes) -> bool {
        if self.ahead.is_none() {
            self.ahead = self.next(pipes).ok();
        }
        self.ahead.is_some()
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
    fn single_parts_pass_both_ways_and_longer_messages_do_not() {
        let mut world = World::new(Channel::default());
        assert_eq!((world.send(&["m"]), world.recv()), (Err(Error::Again), Err(Error::Again)));
        assert_eq!(world.send_part("m", true), Err(Error::Invalid));
        assert_eq!(world.events(), (false, false));
        world.join();
        assert_eq!(world.events(), (false, true));
        assert_eq!(world.send(&["a"]), Ok(()));
        assert_eq!(world.send_part("m", true), Err(Error::Invalid));
        world.peer_sends(0, &["b", "c", "d"]);
        assert_eq!(world.events(), (false, true));
        world.peer_sends(0, &["e"]);
        assert_eq!(world.events(), (true, true));
        assert_eq!(world.recv().as_deref(), Ok(&["e".to_string()][..]));
        assert_eq!(world.received(0), [["a"]]);
    }

    #[test]
    fn a_second_peer_is_not_heard() {
        let mut world = World::new(Channel::default());
        let first = world.join();
        world.join();
        world.peer_sends(1, &["ignored"]);
        world.peer_sends(0, &["heard"]);
        assert_eq!(world.recv().as_deref(), Ok(&["heard".to_string()][..]));
        assert_eq!(world.recv(), Err(Error::Again));
        world.leave(first);
        assert_eq!(world.send(&["m"]), Err(Error::Again), "nobody is promoted");
    }
}
