//! Messages of one part each, from many pipes in turn: what the thread-safe types receive.
//!
//! Those types cannot tell the parts of a message apart, so a longer one, which only a peer of another kind
//! can send, is dropped as a whole.

use super::fair_queue::FairQueue;
use crate::base::Error;
use crate::message::Msg;
use crate::pipe::{PipeId, Pipes};

/// The pipes to read from.
#[derive(Default)]
pub(super) struct Singles {
    queue: FairQueue,
    /// A message that was found while looking whether there is one.
    ahead: Option<(PipeId, Msg)>,
}

impl Singles {
    pub(super) fn attach(&mut self, id: PipeId) {
        self.queue.attach(id);
    }

    /// A pipe has input again.
    pub(super) fn readable(&mut self, id: PipeId) {
        self.queue.readable(id);
    }

    pub(super) fn detach(&mut self, id: PipeId) {
        self.queue.detach(id);
    }

    /// The next message and the pipe it came from, which may be gone by now.
    #[inline]
    pub(super) fn recv(&mut self, pipes: &mut Pipes) -> Result<(PipeId, Msg), Error> {
        match self.ahead.take() {
            Some(found) => Ok(found),
            None => self.next(pipes),
        }
    }

    /// Whether [`Singles::recv`] would give a message.
    pub(super) fn can_recv(&mut self, pipes: &mut Pipes) -> bool {
        if self.ahead.is_none() {
            self.ahead = self.next(pipes).ok();
        }
        self.ahead.is_some()
    }

    #[inline]
    fn next(&mut self, pipes: &mut Pipes) -> Result<(PipeId, Msg), Error> {
        loop {
            // What is left of a message whose pipe went amid it is no message.
            self.queue.skip_rest(pipes);
            let (id, msg) = self.queue.recv(pipes)?;
            if !msg.more() {
                return Ok((id, msg));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Peers, text};
    use super::*;

    #[test]
    fn messages_of_several_parts_are_dropped_whole() {
        let mut pipes = Pipes::new();
        let mut peers = Peers::default();
        let mut singles = Singles::default();
        for _ in 0..2 {
            singles.attach(peers.join(&mut pipes));
        }
        peers.send(0, &["a", "b", "c"]);
        peers.send(0, &["one"]);
        peers.send(1, &["d", "e"]);
        peers.send(1, &["two"]);
        peers.send(1, &["f", "g"]);
        assert!(singles.can_recv(&mut pipes) && singles.can_recv(&mut pipes));
        let got: Vec<_> = std::iter::from_fn(|| singles.recv(&mut pipes).ok())
            .map(|(id, msg)| (id.0, text(&msg)))
            .collect();
        assert_eq!(got, [(0, "one".into()), (1, "two".into())]);
        assert!(!singles.can_recv(&mut pipes));
    }

    #[test]
    fn a_message_found_ahead_outlives_its_pipe() {
        let mut pipes = Pipes::new();
        let mut peers = Peers::default();
        let mut singles = Singles::default();
        let id = peers.join(&mut pipes);
        singles.attach(id);
        peers.send(0, &["last"]);
        assert!(singles.can_recv(&mut pipes));
        singles.detach(id);
        pipes.remove(id);
        assert_eq!(singles.recv(&mut pipes).map(|(_, msg)| text(&msg)), Ok("last".into()));
        assert!(singles.recv(&mut pipes).is_err());
    }
}
