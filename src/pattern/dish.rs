//! DISH: messages of the groups it joined, from all its peers in turn, of one part each.

use std::collections::HashSet;

use super::fair_queue::FairQueue;
use super::groups::{Change, LONGEST};
use super::hash::KeyedState;
use super::{Attach, Pattern};
use crate::base::Error;
use crate::message::Msg;
use crate::pipe::{Pipe, PipeId, Pipes};

/// The state of a DISH.
#[derive(Default)]
pub(super) struct Dish {
    input: FairQueue,
    groups: HashSet<Box<[u8]>, KeyedState>,
    /// A message that was found to be wanted.
    ahead: Option<Msg>,
}

impl Dish {
    /// The next message of a group that was joined; all others are dropped.
    fn next(&mut self, pipes: &mut Pipes) -> Result<Msg, Error> {
        loop {
            self.input.skip_rest(pipes);
            let (id, first) = self.input.recv(pipes)?;
            let Some(pipe) = pipes.get(id) else { continue };
            let msg = if pipe.is_inproc() {
                Some(first).filter(|msg| !msg.more())
            } else {
                self.unwrap(pipes, id, first)?
            };
            if let Some(msg) = msg
                && self.groups.contains(msg.group().to_bytes())
            {
                return Ok(msg);
            }
        }
    }

    /// The message whose first part, the group, came over a connection. None when what came is no message:
    /// then the connection is ended.
    fn unwrap(&mut self, pipes: &mut Pipes, id: PipeId, group: Msg) -> Result<Option<Msg>, Error> {
        if group.more() && group.size() <= LONGEST {
            let (_, mut body) = self.input.recv(pipes)?;
            if !body.more() {
                body.set_group(group.data())?;
                return Ok(Some(body));
            }
        }
        self.input.skip_rest(pipes);
        if let Some(pipe) = pipes.get(id) {
            pipe.protocol_error();
        }
        Ok(None)
    }

    /// Tells one peer about all groups.
    fn tell_again(&self, pipe: &mut Pipe) {
        for group in &self.groups {
            // Without memory the peer does not hear of this group.
            if let Ok(msg) = Change::Join(group).write() {
                pipe.write_control(msg);
            }
        }
        pipe.flush();
    }
}

fn tell_all(pipes: &mut Pipes, mut msg: Msg) {
    for (_, pipe) in pipes.iter_mut() {
        if let Ok(copy) = msg.share() {
            pipe.write_control(copy);
            pipe.flush();
        }
    }
}

impl Pattern for Dish {
    fn attach(&mut self, pipes: &mut Pipes, id: PipeId, _how: Attach) {
        self.input.attach(id);
        if let Some(pipe) = pipes.get(id) {
            self.tell_again(pipe);
        }
    }

    fn readable(&mut self, _pipes: &mut Pipes, id: PipeId) {
        self.input.readable(id);
    }

    fn writable(&mut self, _pipes: &mut Pipes, _id: PipeId) {}

    fn hiccup(&mut self, pipes: &mut Pipes, id: PipeId) {
        if let Some(pipe) = pipes.get(id) {
            self.tell_again(pipe);
        }
    }

    fn detach(&mut self, _pipes: &mut Pipes, id: PipeId) {
        self.input.detach(id);
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

    /// Polls as writable like the other subscribers, although there is nothing to send but joins.
    fn can_send(&mut self, _pipes: &mut Pipes) -> bool {
        true
    }

    fn join(&mut self, pipes: &mut Pipes, group: &[u8]) -> Result<(), Error> {
        if group.len() > LONGEST || self.groups.contains(group) {
            return Err(Error::Invalid);
        }
        let msg = Change::Join(group).write()?;
        self.groups.insert(group.into());
        tell_all(pipes, msg);
        Ok(())
    }

    fn leave(&mut self, pipes: &mut Pipes, group: &[u8]) -> Result<(), Error> {
        if !self.groups.contains(group) {
            return Err(Error::Invalid);
        }
        let msg = Change::Leave(group).write()?;
        self.groups.remove(group);
        tell_all(pipes, msg);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{WirePeer, World, text};
    use super::*;

    fn dish(groups: &[&str]) -> World<Dish> {
        let mut world = World::new(Dish::default());
        for group in groups {
            assert_eq!(world.pattern.join(&mut world.pipes, group.as_bytes()), Ok(()));
        }
        world
    }

    fn radio_sends(world: &mut World<Dish>, peer: usize, group: &str, body: &str) {
        let mut msg = Msg::copy_of(body.as_bytes()).expect("small");
        msg.set_group(group.as_bytes()).expect("short");
        world.peers.send_msg(peer, msg);
        world.nudge();
    }

    fn recv(world: &mut World<Dish>) -> Option<(String, String)> {
        let msg = world.recv_part().ok()?;
        Some((String::from_utf8_lossy(msg.group().to_bytes()).into_owned(), text(&msg)))
    }

    #[test]
    fn groups_are_joined_and_left_once() {
        let mut world = dish(&["a", ""]);
        let long = [b'x'; LONGEST + 1];
        let pipes = &mut world.pipes;
        assert_eq!(world.pattern.join(pipes, b"a"), Err(Error::Invalid));
        assert_eq!(world.pattern.join(pipes, &long), Err(Error::Invalid));
        assert_eq!(world.pattern.join(pipes, &long[1..]), Ok(()));
        assert_eq!(world.pattern.leave(pipes, b"b"), Err(Error::Invalid));
        assert_eq!(world.pattern.leave(pipes, b"a"), Ok(()));
        assert_eq!(world.pattern.leave(pipes, b"a"), Err(Error::Invalid));
        assert_eq!(world.send(&["m"]), Err(Error::NotSupported));
        assert_eq!(world.events(), (false, true));
    }

    #[test]
    fn peers_are_told_when_they_come_and_when_something_changes() {
        let mut world = dish(&["a"]);
        let id = world.join();
        let told = |world: &mut World<Dish>| -> Vec<String> {
            let messages = world.peers.received_parts(0);
            assert!(messages.iter().all(|parts| parts[0].is_command()));
            messages.iter().map(|parts| text(&parts[0])).collect()
        };
        assert_eq!(told(&mut world), ["\x04JOINa"]);
        assert_eq!(world.pattern.join(&mut world.pipes, b"b"), Ok(()));
        assert_eq!(world.pattern.leave(&mut world.pipes, b"a"), Ok(()));
        assert_eq!(told(&mut world), ["\x04JOINb", "\x05LEAVEa"]);
        world.pattern.hiccup(&mut world.pipes, id);
        assert_eq!(told(&mut world), ["\x04JOINb"]);
    }

    #[test]
    fn what_was_not_asked_for_is_dropped() {
        let mut world = dish(&["a"]);
        world.join();
        radio_sends(&mut world, 0, "b", "unwanted");
        world.peer_sends(0, &["a", "of several parts"]);
        assert_eq!(world.events(), (false, true));
        radio_sends(&mut world, 0, "a", "wanted");
        assert_eq!(world.events(), (true, true));
        assert_eq!(recv(&mut world), Some(("a".into(), "wanted".into())));
        assert_eq!(recv(&mut world), None);
    }

    #[test]
    fn over_a_connection_the_group_comes_first() {
        let mut world = dish(&["a"]);
        let (wire, id) = WirePeer::join(&mut world.pipes);
        world.pattern.attach(&mut world.pipes, id, Attach::default());
        wire.send(&["b", "unwanted"]);
        wire.send(&["a", "wanted"]);
        wire.send(&["a", ""]);
        world.nudge();
        assert_eq!(recv(&mut world), Some(("a".into(), "wanted".into())));
        assert_eq!(recv(&mut world), Some(("a".into(), String::new())));
        assert_eq!(recv(&mut world), None);
        assert!(!wire.failed());
    }

    #[test]
    fn a_breach_of_the_framing_ends_the_connection() {
        let long = "x".repeat(LONGEST + 1);
        for breach in [&["single"][..], &["a", "b", "c"], &[&long, "b"]] {
            let mut world = dish(&["a"]);
            let (wire, id) = WirePeer::join(&mut world.pipes);
            world.pattern.attach(&mut world.pipes, id, Attach::default());
            wire.send(breach);
            wire.send(&["a", "never read"]);
            world.nudge();
            assert_eq!(recv(&mut world), None, "{breach:?}");
            assert!(wire.failed(), "{breach:?}");
        }
    }
}
