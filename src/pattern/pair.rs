//! PAIR: one peer, both ways; further peers are ignored.
//!
//! The connection of a peer that is ignored stays open, for closing it would only make the peer try again,
//! for ever. It may send until its queues are full; nothing of that is read.

use super::{Attach, Pattern, copy_out};
use crate::base::Error;
use crate::message::Msg;
use crate::pipe::{PipeId, Pipes, Urgency};

/// The state of a PAIR.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Pair {
    peer: Option<PipeId>,
    /// The peer owes the rest of a message.
    amid_message: bool,
    /// The peer went before it gave that rest.
    cut: bool,
    /// The rest of a message begun goes nowhere: the peer is another one by now.
    dropping: bool,
    sending: bool,
}

impl Pair {
    /// Whether there is somebody at the other end.
    pub(super) fn has_peer(&self) -> bool {
        self.peer.is_some()
    }
}

impl Pattern for Pair {
    fn attach(&mut self, pipes: &mut Pipes, id: PipeId, _how: Attach) {
        if self.peer.is_none() {
            self.peer = Some(id);
        } else if let Some(pipe) = pipes.get(id).filter(|pipe| pipe.is_inproc()) {
            pipe.terminate(false);
        }
    }

    fn readable(&mut self, _pipes: &mut Pipes, _id: PipeId) {}

    fn writable(&mut self, _pipes: &mut Pipes, _id: PipeId) {}

    fn detach(&mut self, _pipes: &mut Pipes, id: PipeId) {
        if self.peer == Some(id) {
            self.peer = None;
            self.cut |= std::mem::take(&mut self.amid_message);
            self.dropping |= self.sending;
        }
    }

    fn send(&mut self, pipes: &mut Pipes, msg: &mut Msg) -> Result<(), Error> {
        let more = msg.more();
        if self.dropping {
            msg.take();
        } else {
            let pipe = self.peer.and_then(|id| pipes.get(id)).ok_or(Error::Again)?;
            if !self.sending && !pipe.admits() {
                return Err(Error::Again);
            }
            match pipe.write(msg.take()) {
                Ok(()) if more => {}
                Ok(()) => pipe.flush(),
                // The peer went amid the message: the rest of that has nobody to go to.
                Err(_) if self.sending => self.dropping = true,
                Err(back) => {
                    *msg = back;
                    return Err(Error::Again);
                }
            }
        }
        self.sending = more;
        self.dropping &= more;
        Ok(())
    }

    fn recv(&mut self, pipes: &mut Pipes) -> Result<Msg, Error> {
        let mut msg = Msg::new();
        self.recv_into(pipes, &mut msg).map(|()| msg)
    }

    fn recv_into(&mut self, pipes: &mut Pipes, msg: &mut Msg) -> Result<(), Error> {
        if std::mem::take(&mut self.cut) {
            msg.clear();
        } else if self.peer.and_then(|id| pipes.get(id)).is_some_and(|pipe| pipe.receive(msg)) {
            self.amid_message = msg.more();
        } else if std::mem::take(&mut self.amid_message) {
            // Only a pipe that was terminated gives no rest.
            msg.clear();
        } else {
            return Err(Error::Again);
        }
        Ok(())
    }

    fn send_bytes(&mut self, pipes: &mut Pipes, bytes: &[u8], more: bool) -> bool {
        let pipe = self.peer.filter(|_| !self.dropping).and_then(|id| pipes.get(id));
        let sent = pipe.is_some_and(|pipe| pipe.send_bytes_with(bytes, more, Urgency::Auto));
        if sent {
            self.sending = more;
        }
        sent
    }

    fn only_output(&self) -> Option<PipeId> {
        self.peer.filter(|_| !self.sending && !self.dropping)
    }

    fn recv_bytes(&mut self, pipes: &mut Pipes, into: &mut [u8]) -> Option<(usize, bool)> {
        if self.cut {
            return None;
        }
        let mut part = None;
        self.peer.and_then(|id| pipes.get(id))?.receive_bytes(|bytes, more| {
            part = Some((copy_out(bytes, into), more));
            true
        });
        self.amid_message = part.map_or(self.amid_message, |(_, more)| more);
        part
    }

    fn only_input(&self) -> Option<PipeId> {
        self.peer.filter(|_| !self.amid_message && !self.cut)
    }

    fn can_recv(&mut self, pipes: &mut Pipes) -> bool {
        self.cut
            || self.amid_message
            || self.peer.and_then(|id| pipes.get(id)).is_some_and(|pipe| pipe.check_read())
    }

    fn drains_input(&self, _pipes: &mut Pipes, id: PipeId) -> bool {
        self.peer == Some(id)
    }

    fn can_send(&mut self, pipes: &mut Pipes) -> bool {
        self.dropping
            || self.peer.and_then(|id| pipes.get(id)).is_some_and(|pipe| pipe.check_write())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, parts};
    use super::*;

    #[test]
    fn without_a_peer_nothing_goes() {
        let mut world = World::new(Pair::default());
        assert_eq!(world.send(&["m"]), Err(Error::Again));
        assert_eq!(world.send(&["m", "n"]), Err(Error::Again));
        assert_eq!(world.recv(), Err(Error::Again));
        assert_eq!(world.events(), (false, false));
    }

    #[test]
    fn messages_pass_both_ways() {
        let mut world = World::new(Pair::default());
        world.join();
        assert_eq!(world.events(), (false, true));
        assert_eq!(world.send(&["a", "b"]), Ok(()));
        world.peer_sends(0, &["c", "d"]);
        assert_eq!(world.events(), (true, true));
        assert_eq!(world.recv().as_deref(), Ok(&["c".to_string(), "d".to_string()][..]));
        assert_eq!(world.received(0), [["a", "b"]]);
    }

    #[test]
    fn a_second_peer_is_turned_away_and_not_promoted() {
        let mut world = World::new(Pair::default());
        let first = world.join();
        let second = world.join();
        assert!(world.pipes.get(second).is_none_or(|pipe| pipe.ended()));
        assert!(world.pattern.drains_input(&mut world.pipes, first));
        assert!(!world.pattern.drains_input(&mut world.pipes, second));
        world.peer_sends(1, &["ignored"]);
        assert_eq!(world.recv(), Err(Error::Again));
        world.leave(first);
        assert_eq!(world.send(&["m"]), Err(Error::Again));
        world.leave(second);
        let third = world.join();
        assert_eq!(world.send(&["m"]), Ok(()));
        assert_eq!(world.received(2), [["m"]]);
        assert!(world.pipes.get(third).is_some());
    }

    #[test]
    fn the_mark_makes_it_unwritable() {
        let mut world = World::with_mark(Pair::default(), 1);
        world.join();
        assert_eq!((0..5).filter(|_| world.send(&["m"]).is_ok()).count(), 2);
        assert_eq!(world.events(), (false, false));
        assert_eq!(world.received(0).len(), 2);
        assert_eq!(world.events(), (false, true));
    }

    #[test]
    fn the_end_of_a_peer_ends_its_message() {
        let mut world = World::new(Pair::default());
        let id = world.join();
        world.peer_sends(0, &["begun", "lost"]);
        assert!(world.recv_part().is_ok_and(|msg| msg.more()));
        world.leave(id);
        world.join();
        world.peer_sends(1, &["whole"]);
        assert_eq!(parts(|| world.recv_part()), ["", "whole"]);
    }
}
