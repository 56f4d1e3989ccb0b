//! RADIO: each message to all who are in its group, of one part each.
//!
//! On a connection a message travels as `[group][body]`, within a context as one part that has the group
//! with it.

use super::fan_out::{self, FanOut};
use super::groups::{Change, Members};
use super::{Attach, Pattern, single, switch};
use crate::base::{Error, constants as c};
use crate::message::Msg;
use crate::pipe::{Pipe, PipeId, Pipes};

/// The state of a RADIO.
#[derive(Default)]
pub(super) struct Radio {
    out: FanOut,
    members: Members,
    /// Who gets every message, whatever its group: nobody says on datagrams what they want.
    all: Vec<PipeId>,
    no_drop: bool,
    /// A full pipe because of which a message was refused.
    blocked_by: Option<PipeId>,
}

impl Radio {
    /// Chooses who gets a message of this group.
    fn choose(&mut self, pipes: &mut Pipes, group: &[u8]) -> Result<(), Error> {
        self.out.begin();
        for id in self.all.iter().chain(self.members.of(group)) {
            self.out.choose(*id);
        }
        if self.no_drop {
            self.blocked_by = self.out.full(pipes);
            if self.blocked_by.is_some() {
                return Err(Error::Again);
            }
        }
        Ok(())
    }
}

/// Writes a message to one peer; false when it does not take it.
fn write(pipe: &mut Pipe, msg: &mut Msg, last: bool) -> bool {
    if !pipe.is_inproc() {
        let Ok(mut group) = Msg::copy_of(msg.group().to_bytes()) else { return false };
        group.set_more(true);
        if pipe.write(group).is_err() {
            return false;
        }
    }
    fan_out::give(pipe, msg, last)
}

impl Pattern for Radio {
    fn attach(&mut self, pipes: &mut Pipes, id: PipeId, how: Attach) {
        self.out.attach(id);
        if how.subscribe_to_all {
            self.all.push(id);
        }
        self.readable(pipes, id);
    }

    /// Members say which groups they want; nothing else they send is of interest.
    fn readable(&mut self, pipes: &mut Pipes, id: PipeId) {
        let Some(pipe) = pipes.get(id) else { return };
        while let Some(msg) = pipe.read() {
            match Change::read(&msg) {
                Some(Change::Join(group)) => self.members.join(group, id),
                Some(Change::Leave(group)) => self.members.leave(group, id),
                None => {}
            }
        }
    }

    fn writable(&mut self, _pipes: &mut Pipes, _id: PipeId) {}

    fn detach(&mut self, _pipes: &mut Pipes, id: PipeId) {
        self.out.detach(id);
        self.members.forget(id);
        self.all.retain(|other| *other != id);
        self.blocked_by = self.blocked_by.filter(|other| *other != id);
    }

    fn send(&mut self, pipes: &mut Pipes, msg: &mut Msg) -> Result<(), Error> {
        single(msg)?;
        self.choose(pipes, msg.group().to_bytes())?;
        self.out.send_by(pipes, msg, write);
        Ok(())
    }

    /// With ZMQ_XPUB_NODROP, not before the peer that made the last attempt fail has room.
    fn can_send(&mut self, pipes: &mut Pipes) -> bool {
        let blocking = self.blocked_by.and_then(|id| pipes.get(id));
        if blocking.is_none_or(|pipe| pipe.check_write() || pipe.ended()) {
            self.blocked_by = None;
        }
        self.blocked_by.is_none() || !self.no_drop
    }

    fn drains_input(&self, _pipes: &mut Pipes, _id: PipeId) -> bool {
        false
    }

    fn set(&mut self, _pipes: &mut Pipes, option: i32, value: &[u8]) -> Result<(), Error> {
        match option {
            c::ZMQ_XPUB_NODROP => self.no_drop = switch(value)?,
            _ => return Err(Error::Invalid),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{WirePeer, World};
    use super::*;

    fn to_group(world: &mut World<Radio>, group: &str, body: &str) -> Result<(), Error> {
        let mut msg = Msg::copy_of(body.as_bytes()).expect("small");
        msg.set_group(group.as_bytes()).expect("short");
        world.pattern.send(&mut world.pipes, &mut msg)
    }

    fn says(world: &mut World<Radio>, peer: usize, change: &Change<'_>) {
        world.peers.send_msg(peer, change.write().expect("small"));
        world.nudge();
    }

    #[test]
    fn alone_it_drops_what_is_sent() {
        let mut world = World::new(Radio::default());
        assert_eq!(world.send(&["m"]), Ok(()));
        assert_eq!(world.send_part("m", true), Err(Error::Invalid));
        assert_eq!(world.recv(), Err(Error::NotSupported));
        assert_eq!(world.events(), (false, true));
    }

    #[test]
    fn only_members_of_just_this_group_get_a_message() {
        let mut world = World::new(Radio::default());
        world.join();
        world.join();
        says(&mut world, 0, &Change::Join(b"ab"));
        says(&mut world, 0, &Change::Join(b"ab"));
        says(&mut world, 1, &Change::Join(b""));
        world.peer_sends(1, &["\x04JOINab"]);
        for group in ["ab", "a", "abc", ""] {
            assert_eq!(to_group(&mut world, group, group), Ok(()));
        }
        assert_eq!(
            (world.received(0), world.received(1)),
            (vec![vec!["ab".into()]], vec![vec!["".into()]])
        );
        says(&mut world, 0, &Change::Leave(b"ab"));
        assert_eq!(to_group(&mut world, "ab", "late"), Ok(()));
        assert!(world.received(0).is_empty());
    }

    #[test]
    fn the_group_goes_with_the_message_as_the_pipe_has_it() {
        let mut world = World::new(Radio::default());
        world.join();
        let (wire, id) = WirePeer::join(&mut world.pipes);
        let everything = Attach { subscribe_to_all: true, ..Attach::default() };
        world.pattern.attach(&mut world.pipes, id, everything);
        says(&mut world, 0, &Change::Join(b"g"));
        assert_eq!(to_group(&mut world, "g", "m"), Ok(()));
        let got = world.peers.received_parts(0);
        assert_eq!(got.len(), 1);
        assert_eq!((got[0][0].group().to_bytes(), got[0][0].data()), (&b"g"[..], &b"m"[..]));
        assert_eq!(to_group(&mut world, "other", "n"), Ok(()));
        assert_eq!(wire.sent(), ["g", "m", "other", "n"]);
    }

    #[test]
    fn a_full_member_misses_messages_or_holds_up_the_sender() {
        let mut world = World::with_mark(Radio::default(), 1);
        for peer in 0..2 {
            world.join();
            says(&mut world, peer, &Change::Join(b"g"));
        }
        for _ in 0..5 {
            assert_eq!(to_group(&mut world, "g", "m"), Ok(()));
        }
        assert_eq!(world.received(0).len(), 2);
        assert_eq!(world.set_int(c::ZMQ_XPUB_NODROP, 1), Ok(()));
        assert_eq!(to_group(&mut world, "g", "m"), Err(Error::Again));
        assert_eq!(world.events(), (false, false));
        assert_eq!(world.received(1).len(), 2);
        assert!(world.received(0).is_empty());
        assert_eq!(world.events(), (false, true));
        assert_eq!(to_group(&mut world, "g", "m"), Ok(()));
        assert_eq!((world.received(0).len(), world.received(1).len()), (1, 1));
    }

    #[test]
    fn who_is_gone_is_in_no_group() {
        let mut world = World::new(Radio::default());
        let id = world.join();
        says(&mut world, 0, &Change::Join(b"g"));
        world.leave(id);
        world.join();
        assert_eq!(to_group(&mut world, "g", "m"), Ok(()));
        assert!(world.received(1).is_empty());
    }
}
