//! Giving messages to many pipes in turn, one whole message each, only to those with room.

use super::ring::Ring;
use crate::base::Error;
use crate::message::Msg;
use crate::pipe::{PipeId, Pipes, Urgency};

/// The pipes to write to.
#[derive(Default)]
pub(super) struct LoadBalancer {
    ring: Ring,
    writing: Writing,
    spoilt: bool,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Writing {
    /// The next part is the first of a message.
    #[default]
    Nothing,
    /// The pipe whose turn it is has the first parts of a message.
    Current,
    /// The pipe that had the first parts is gone: the others go nowhere.
    Dropping,
}

impl LoadBalancer {
    pub(super) fn attach(&mut self, id: PipeId) {
        self.ring.attach(id);
    }

    /// A pipe has room again.
    pub(super) fn writable(&mut self, id: PipeId) {
        self.ring.activate(id);
    }

    pub(super) fn detach(&mut self, id: PipeId) {
        if self.writing == Writing::Current && self.ring.current() == Some(id) {
            self.writing = Writing::Dropping;
        }
        self.ring.detach(id);
    }

    /// Sends one part; tells the pipe that took it, None when it was dropped with the rest of a message
    /// whose pipe is gone. On [`Error::Again`] the part is unchanged; see [`LoadBalancer::take_spoilt`].
    #[inline]
    pub(super) fn send(
        &mut self,
        pipes: &mut Pipes,
        msg: &mut Msg,
    ) -> Result<Option<PipeId>, Error> {
        self.send_with(pipes, msg, Urgency::Auto)
    }

    /// As [`LoadBalancer::send`], where the socket type knows how urgent the message is.
    #[inline]
    pub(super) fn send_with(
        &mut self,
        pipes: &mut Pipes,
        msg: &mut Msg,
        urgency: Urgency,
    ) -> Result<Option<PipeId>, Error> {
        let more = msg.more();
        if self.writing != Writing::Nothing {
            return self.send_further(pipes, msg, urgency);
        }
        while let Some(id) = self.ring.current() {
            if let Some(pipe) = pipes.get(id)
                && pipe.admits()
                && pipe.send(msg)
            {
                if more {
                    self.writing = Writing::Current;
                } else {
                    pipe.flush_with(urgency);
                    self.ring.advance();
                }
                return Ok(Some(id));
            }
            self.ring.deactivate_current();
        }
        Err(Error::Again)
    }

    /// Sends a part that is but these bytes; false where that takes more.
    #[inline]
    pub(super) fn send_bytes(
        &mut self,
        pipes: &mut Pipes,
        bytes: &[u8],
        more: bool,
        urgency: Urgency,
    ) -> bool {
        if self.writing == Writing::Dropping {
            return false;
        }
        let pipe = self.ring.current().and_then(|id| pipes.get(id));
        let sent = pipe.is_some_and(|pipe| pipe.send_bytes_with(bytes, more, urgency));
        if sent && more {
            self.writing = Writing::Current;
        } else if sent {
            self.writing = Writing::Nothing;
            self.ring.advance();
        }
        sent
    }

    /// As [`Pattern::only_output`](super::Pattern::only_output).
    pub(super) fn only(&self) -> Option<PipeId> {
        self.ring.only().filter(|_| self.writing == Writing::Nothing)
    }

    fn send_further(
        &mut self,
        pipes: &mut Pipes,
        msg: &mut Msg,
        urgency: Urgency,
    ) -> Result<Option<PipeId>, Error> {
        let more = msg.more();
        let current = self.ring.current().filter(|_| self.writing == Writing::Current);
        let after = |writing| if more { writing } else { Writing::Nothing };
        let Some((id, pipe)) = current.and_then(|id| pipes.get(id).map(|pipe| (id, pipe))) else {
            self.writing = after(Writing::Dropping);
            msg.take();
            return Ok(None);
        };
        if let Err(back) = pipe.write(msg.take()) {
            *msg = back;
            pipe.rollback();
            self.ring.deactivate_current();
            self.writing = after(Writing::Dropping);
            self.spoilt = true;
            return Err(Error::Again);
        }
        if !more {
            pipe.flush_with(urgency);
            self.ring.advance();
        }
        self.writing = after(Writing::Current);
        Ok(Some(id))
    }

    /// Whether the last failure spoilt a message begun: nothing will take the refused part any more.
    /// Asking clears it.
    pub(super) fn take_spoilt(&mut self) -> bool {
        std::mem::take(&mut self.spoilt)
    }

    /// Forgets a message that was spoilt, so that the next part begins a new one.
    pub(super) fn start_over(&mut self) {
        self.writing = Writing::Nothing;
        self.spoilt = false;
    }

    /// Whether [`LoadBalancer::send`] would take a part.
    pub(super) fn can_send(&mut self, pipes: &mut Pipes) -> bool {
        if self.writing != Writing::Nothing {
            return true;
        }
        while let Some(id) = self.ring.current() {
            if pipes.get(id).is_some_and(|pipe| pipe.check_write()) {
                return true;
            }
            self.ring.deactivate_current();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Peers, part};
    use super::*;

    fn world(count: usize, mark: i32) -> (Pipes, Peers, LoadBalancer) {
        let mut pipes = Pipes::new();
        let mut peers = Peers::with_mark(mark);
        let mut balancer = LoadBalancer::default();
        for _ in 0..count {
            balancer.attach(peers.join(&mut pipes));
        }
        (pipes, peers, balancer)
    }

    fn send(balancer: &mut LoadBalancer, pipes: &mut Pipes, body: &str, more: bool) -> Option<u32> {
        let mut msg = part(body, more);
        balancer.send(pipes, &mut msg).ok().flatten().map(|id| id.0)
    }

    #[test]
    fn pipes_take_turns_in_the_order_they_came() {
        let (mut pipes, mut peers, mut balancer) = world(3, 0);
        for n in 0..6 {
            assert_eq!(send(&mut balancer, &mut pipes, &n.to_string(), false), Some(n % 3));
        }
        assert_eq!(peers.received(1), [["1"], ["4"]]);
    }

    #[test]
    fn all_parts_go_to_one_pipe() {
        let (mut pipes, mut peers, mut balancer) = world(2, 0);
        for more in [true, true, false] {
            assert_eq!(send(&mut balancer, &mut pipes, "p", more), Some(0));
            assert!(balancer.can_send(&mut pipes));
        }
        assert_eq!(send(&mut balancer, &mut pipes, "q", false), Some(1));
        assert_eq!(peers.received(0), [["p", "p", "p"]]);
    }

    #[test]
    fn a_full_pipe_is_left_out_until_it_has_room() {
        // A mark of 2 on each side makes 4 in the pipe.
        let (mut pipes, mut peers, mut balancer) = world(2, 2);
        let taken =
            (0..10).filter(|_| send(&mut balancer, &mut pipes, "m", false).is_some()).count();
        assert_eq!(taken, 8);
        assert!(!balancer.can_send(&mut pipes));
        let mut msg = part("kept", false);
        assert_eq!(balancer.send(&mut pipes, &mut msg), Err(Error::Again));
        assert_eq!(msg.data(), b"kept");
        assert!(!balancer.take_spoilt());
        assert_eq!(peers.received(1).len(), 4);
        balancer.writable(PipeId(1));
        assert!(balancer.can_send(&mut pipes));
        assert_eq!(send(&mut balancer, &mut pipes, "m", false), Some(1));
    }

    #[test]
    fn the_rest_of_a_message_whose_pipe_died_is_taken_and_dropped() {
        let (mut pipes, mut peers, mut balancer) = world(2, 0);
        assert_eq!(send(&mut balancer, &mut pipes, "a", true), Some(0));
        balancer.detach(PipeId(0));
        pipes.remove(PipeId(0));
        for more in [true, false] {
            let mut msg = part("b", more);
            assert!(balancer.can_send(&mut pipes));
            assert_eq!(balancer.send(&mut pipes, &mut msg), Ok(None));
            assert!(msg.is_empty());
        }
        assert_eq!(send(&mut balancer, &mut pipes, "new", false), Some(1));
        assert_eq!(peers.received(1), [["new"]]);
        assert!(peers.received(0).is_empty());
    }

    #[test]
    fn a_pipe_found_closing_spoils_the_message() {
        let (mut pipes, mut peers, mut balancer) = world(2, 0);
        assert_eq!(send(&mut balancer, &mut pipes, "a", true), Some(0));
        pipes.get(PipeId(0)).expect("attached").terminate(false);
        let mut msg = part("b", true);
        assert_eq!(balancer.send(&mut pipes, &mut msg), Err(Error::Again));
        assert_eq!(msg.data(), b"b");
        assert!(balancer.take_spoilt() && !balancer.take_spoilt());
        assert_eq!(balancer.send(&mut pipes, &mut part("c", false)), Ok(None));
        assert_eq!(send(&mut balancer, &mut pipes, "new", false), Some(1));
        assert_eq!(peers.received(1), [["new"]]);
    }

    #[test]
    fn a_message_spoilt_at_its_last_part_is_over() {
        let (mut pipes, mut peers, mut balancer) = world(2, 0);
        assert_eq!(send(&mut balancer, &mut pipes, "a", true), Some(0));
        pipes.get(PipeId(0)).expect("attached").terminate(false);
        assert!(balancer.send(&mut pipes, &mut part("b", false)).is_err());
        assert!(balancer.take_spoilt());
        assert_eq!(send(&mut balancer, &mut pipes, "new", false), Some(1));
        assert_eq!(peers.received(1), [["new"]]);
    }
}
