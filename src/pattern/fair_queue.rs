//! Taking messages from many pipes in turn, one whole message each.
//!
//! Which parts make an envelope is the socket type's business, not this file's.

use super::copy_out;
use super::ring::Ring;
use crate::base::Error;
use crate::message::Msg;
use crate::pipe::{PipeId, Pipes};

/// The pipes to read from.
#[derive(Default)]
pub(super) struct FairQueue {
    ring: Ring,
    /// The message whose parts are being read, and where it stands.
    reading: Reading,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// The next part is the first of a message.
    #[default]
    Nothing,
    /// The pipe whose turn it is owes further parts.
    Current,
    /// A pipe that owed further parts is gone.
    Cut,
}

/// Where the end of a message comes from whose pipe is gone.
const NOWHERE: PipeId = PipeId(u32::MAX);

impl FairQueue {
    pub(super) fn attach(&mut self, id: PipeId) {
        self.ring.attach(id);
    }

    /// A pipe has input again.
    pub(super) fn readable(&mut self, id: PipeId) {
        self.ring.activate(id);
    }

    pub(super) fn detach(&mut self, id: PipeId) {
        if self.reading == Reading::Current && self.ring.current() == Some(id) {
            self.reading = Reading::Cut;
        }
        self.ring.detach(id);
    }

    /// A message whose pipe is gone need not be ended, as nobody has seen anything of it; whether there was one.
    pub(super) fn forget_cut(&mut self) -> bool {
        let cut = self.reading == Reading::Cut;
        if cut {
            self.reading = Reading::Nothing;
        }
        cut
    }

    /// Whether the next part belongs to a message already begun.
    #[inline]
    pub(super) fn is_amid_message(&self) -> bool {
        self.reading != Reading::Nothing
    }

    /// Whether that message is one of this pipe.
    pub(super) fn is_amid_message_of(&self, id: PipeId) -> bool {
        self.reading == Reading::Current && self.ring.current() == Some(id)
    }

    /// The next part and the pipe it came from. Every message begun is ended: when its pipe is
    /// terminated in between, by an empty last part.
    #[inline]
    pub(super) fn recv(&mut self, pipes: &mut Pipes) -> Result<(PipeId, Msg), Error> {
        let mut msg = Msg::new();
        let id = self.recv_into(pipes, &mut msg)?;
        Ok((id, msg))
    }

    /// As [`FairQueue::recv`], in place; on an error `msg` is left alone.
    #[inline]
    pub(super) fn recv_into(&mut self, pipes: &mut Pipes, msg: &mut Msg) -> Result<PipeId, Error> {
        if self.reading == Reading::Cut {
            self.reading = Reading::Nothing;
            msg.clear();
            return Ok(NOWHERE);
        }
        while let Some(id) = self.ring.current() {
            if pipes.get(id).is_some_and(|pipe| pipe.receive(msg)) {
                if msg.more() {
                    self.reading = Reading::Current;
                } else {
                    self.reading = Reading::Nothing;
                    self.ring.advance();
                }
                return Ok(id);
            }
            self.ring.deactivate_current();
            if self.reading == Reading::Current {
                self.reading = Reading::Nothing;
                msg.clear();
                return Ok(id);
            }
        }
        Err(Error::Again)
    }

    /// As [`Pattern::recv_bytes`](super::Pattern::recv_bytes).
    #[inline]
    pub(super) fn recv_bytes(
        &mut self,
        pipes: &mut Pipes,
        into: &mut [u8],
    ) -> Option<(usize, bool)> {
        self.recv_bytes_if(pipes, into, |_| true)
    }

    /// As [`FairQueue::recv_bytes`], if the first part of the message is `wanted`.
    #[inline]
    pub(super) fn recv_bytes_if(
        &mut self,
        pipes: &mut Pipes,
        into: &mut [u8],
        wanted: impl FnOnce(&[u8]) -> bool,
    ) -> Option<(usize, bool)> {
        let begins = match self.reading {
            Reading::Nothing => true,
            Reading::Current => false,
            Reading::Cut => return None,
        };
        let mut part = None;
        let pipe = self.ring.current().and_then(|id| pipes.get(id))?;
        pipe.receive_bytes(|bytes, more| {
            if !begins || wanted(bytes) {
                part = Some((copy_out(bytes, into), more));
            }
            part.is_some()
        });
        match part {
            Some((_, true)) => self.reading = Reading::Current,
            Some((_, false)) => {
                self.reading = Reading::Nothing;
                self.ring.advance();
            }
            None => {}
        }
        part
    }

    /// As [`Pattern::only_input`](super::Pattern::only_input).
    pub(super) fn only(&self) -> Option<PipeId> {
        self.ring.only().filter(|_| self.reading == Reading::Nothing)
    }

    /// Whether [`FairQueue::recv`] would give a part.
    pub(super) fn can_recv(&mut self, pipes: &mut Pipes) -> bool {
        if self.is_amid_message() {
            return true;
        }
        while let Some(id) = self.ring.current() {
            if pipes.get(id).is_some_and(|pipe| pipe.check_read()) {
                return true;
            }
            self.ring.deactivate_current();
        }
        false
    }

    /// Reads and drops what is left of the message begun.
    pub(super) fn skip_rest(&mut self, pipes: &mut Pipes) {
        while self.is_amid_message() && self.recv(pipes).is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Peers, parts, text};
    use super::*;

    fn world(count: usize) -> (Pipes, Peers, FairQueue) {
        let mut pipes = Pipes::new();
        let mut peers = Peers::default();
        let mut queue = FairQueue::default();
        for _ in 0..count {
            queue.attach(peers.join(&mut pipes));
        }
        (pipes, peers, queue)
    }

    fn recv(queue: &mut FairQueue, pipes: &mut Pipes) -> Option<(u32, String)> {
        queue.recv(pipes).ok().map(|(id, msg)| (id.0, text(&msg)))
    }

    #[test]
    fn one_message_of_each_pipe_in_turn() {
        let (mut pipes, mut peers, mut queue) = world(3);
        for peer in 0..3 {
            for body in ["a", "b"] {
                peers.send(peer, &[body]);
            }
        }
        let got: Vec<_> = std::iter::from_fn(|| recv(&mut queue, &mut pipes)).collect();
        let expected = [(0, "a"), (1, "a"), (2, "a"), (0, "b"), (1, "b"), (2, "b")];
        assert_eq!(got, expected.map(|(n, body)| (n, body.to_string())));
        assert!(!queue.can_recv(&mut pipes));
    }

    #[test]
    fn a_message_is_read_whole_before_the_turn_passes() {
        let (mut pipes, mut peers, mut queue) = world(2);
        peers.send(0, &["x", "y", "z"]);
        peers.send(1, &["w"]);
        let got: Vec<_> = std::iter::from_fn(|| recv(&mut queue, &mut pipes)).collect();
        assert_eq!(got.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [0, 0, 0, 1]);
    }

    #[test]
    fn an_empty_pipe_returns_when_it_has_input_again() {
        let (mut pipes, mut peers, mut queue) = world(2);
        assert!(recv(&mut queue, &mut pipes).is_none());
        peers.send(1, &["late"]);
        assert!(recv(&mut queue, &mut pipes).is_none(), "nobody said so yet");
        queue.readable(PipeId(1));
        assert!(queue.can_recv(&mut pipes));
        assert_eq!(recv(&mut queue, &mut pipes), Some((1, "late".into())));
    }

    #[test]
    fn a_message_cut_short_still_ends() {
        let (mut pipes, mut peers, mut queue) = world(1);
        peers.send(0, &["begun", "lost"]);
        assert!(queue.recv(&mut pipes).is_ok_and(|(_, msg)| msg.more()));
        queue.detach(PipeId(0));
        pipes.remove(PipeId(0));
        assert!(queue.can_recv(&mut pipes));
        assert!(queue.recv(&mut pipes).is_ok_and(|(_, msg)| msg.is_empty() && !msg.more()));
        assert!(queue.recv(&mut pipes).is_err());
    }

    #[test]
    fn a_message_of_a_terminated_pipe_still_ends() {
        let (mut pipes, mut peers, mut queue) = world(1);
        peers.send(0, &["begun", "lost"]);
        assert!(queue.recv(&mut pipes).is_ok());
        pipes.get(PipeId(0)).expect("attached").terminate(false);
        assert!(queue.recv(&mut pipes).is_ok_and(|(_, msg)| msg.is_empty() && !msg.more()));
        assert!(queue.recv(&mut pipes).is_err());
    }

    #[test]
    fn the_rest_of_a_message_can_be_skipped() {
        let (mut pipes, mut peers, mut queue) = world(1);
        peers.send(0, &["a", "b", "c"]);
        peers.send(0, &["next"]);
        assert!(queue.recv(&mut pipes).is_ok());
        queue.skip_rest(&mut pipes);
        assert_eq!(parts(|| queue.recv(&mut pipes).map(|(_, msg)| msg)), ["next"]);
    }
}
