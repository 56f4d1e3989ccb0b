//! What a writer puts its messages into: the ring of its pipe, or a broadcast that several of its pipes share. Who puts
//! anything into the ring leaves the broadcast first, so that the order holds.

use std::sync::Arc;

use super::broadcast::Broadcast;
use super::input::JOINED;
use crate::message::Msg;
use crate::sync::Sender;

/// The writing half.
pub(super) struct Output {
    ring: Sender<Msg>,
    broadcast: Option<Arc<Broadcast>>,
    /// Messages written into the ring, and into broadcasts that were left.
    pub(super) written: u64,
}

impl Output {
    pub(super) fn new(ring: Sender<Msg>) -> Output {
        Output { ring, broadcast: None, written: 0 }
    }

    /// Messages written.
    #[inline]
    pub(super) fn written(&self) -> u64 {
        self.written + self.broadcast.as_ref().map_or(0, |broadcast| broadcast.appended())
    }

    #[inline]
    pub(super) fn push(&mut self, msg: Msg) {
        debug_assert!(self.broadcast.is_none());
        self.ring.push(msg);
    }

    #[inline(always)]
    pub(super) fn push_bytes(&mut self, flags: u8, bytes: &[u8]) {
        debug_assert!(self.broadcast.is_none());
        self.ring.push_bytes(flags, bytes);
    }

    /// As [`Sender::publish`]. What is in a broadcast was published there.
    #[inline]
    pub(super) fn publish(&mut self) -> bool {
        self.ring.publish()
    }

    /// What follows is in this broadcast.
    pub(super) fn join(&mut self, broadcast: &Arc<Broadcast>) {
        self.leave();
        self.push_bytes(JOINED, &[]);
        self.broadcast = Some(broadcast.clone());
    }

    /// What follows is in the ring. For all who take part the broadcast is over.
    #[inline(always)]
    pub(super) fn leave(&mut self) {
        if self.broadcast.is_some() {
            self.end_broadcast();
        }
    }

    #[cold]
    #[inline(never)]
    fn end_broadcast(&mut self) {
        if let Some(broadcast) = self.broadcast.take() {
            broadcast.end();
            self.written += broadcast.appended();
        }
    }
}
