//! What a reader takes its messages from: the ring of its pipe and, where a record there says so, a broadcast until that
//! is over.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use super::broadcast::Broadcast;
use crate::message::Msg;
use crate::sync::{Listener, Lock, Receiver};

/// The tag of the record in a ring that says that what follows is in a broadcast. No message has it.
pub(super) const JOINED: u8 = 1 << 7;

/// Broadcasts that the writer has joined.
#[derive(Default)]
pub(super) struct Joined(Lock<Broadcasts>);

#[derive(Default)]
struct Broadcasts {
    /// Those that the reader has not come to, in order.
    ahead: VecDeque<Box<Listener<Msg>>>,
    /// The others are over.
    newest: Weak<Broadcast>,
}

impl Joined {
    pub(super) fn push(&self, listener: Listener<Msg>, broadcast: &Arc<Broadcast>) {
        let mut broadcasts = self.0.lock();
        broadcasts.ahead.push_back(Box::new(listener));
        broadcasts.newest = Arc::downgrade(broadcast);
    }

    /// The reader has another mark.
    pub(super) fn unsettle(&self) {
        let newest = self.0.lock().newest.upgrade();
        newest.iter().for_each(|broadcast| broadcast.unsettle());
    }
}

/// The reading half.
pub(super) struct Input {
    ring: Receiver<Msg>,
    broadcast: Option<Box<Listener<Msg>>>,
}

impl Input {
    pub(super) fn new(ring: Receiver<Msg>) -> Input {
        Input { ring, broadcast: None }
    }

    /// Whether the last look saw more than was taken since.
    #[inline]
    pub(super) fn at_hand(&mut self, joined: &Joined) -> bool {
        match &self.broadcast {
            None => {
                self.ring.at_hand() && (self.ring.next_tag() != Some(JOINED) || self.go_on(joined))
            }
            Some(listener) => listener.at_hand() || self.go_on(joined),
        }
    }

    /// As [`Input::at_hand`], after going from one to the other where that is due.
    #[cold]
    fn go_on(&mut self, joined: &Joined) -> bool {
        loop {
            match &self.broadcast {
                Some(listener) if listener.is_over() => self.broadcast = None,
                Some(listener) => return listener.at_hand(),
                None if self.ring.next_tag() == Some(JOINED) => {
                    self.ring.pop_bytes(|_, _| true);
                    self.broadcast = joined.0.lock().ahead.pop_front();
                }
                None => return self.ring.at_hand(),
            }
        }
    }

    /// Whether a part is there: looks unless one is at hand. Does not go to sleep.
    #[inline]
    pub(super) fn ready(&mut self, joined: &Joined) -> bool {
        self.look(joined, Receiver::ready, Listener::ready)
    }

    /// As [`Input::ready`], but where nothing is there leaves word for the writer.
    pub(super) fn ready_or_sleep(&mut self, joined: &Joined) -> bool {
        self.look(joined, Receiver::ready_or_sleep, Listener::ready_or_sleep)
    }

    #[inline]
    fn look(
        &mut self,
        joined: &Joined,
        ring: impl Fn(&mut Receiver<Msg>) -> bool,
        broadcast: impl Fn(&mut Listener<Msg>) -> bool,
    ) -> bool {
        while !self.at_hand(joined) {
            let news = match &mut self.broadcast {
                None => ring(&mut self.ring),
                // Behind its end the ring goes on.
                Some(listener) => broadcast(listener) || listener.is_over(),
            };
            if !news {
                return false;
            }
        }
        true
    }

    /// Takes the next part, if the last look saw one and this is no time to go from one to the other.
    #[inline(always)]
    pub(super) fn pop(&mut self, msg: &mut Msg) -> bool {
        let assign = |msg: &mut Msg, flags, bytes: &[u8]| {
            msg.assign_plain(flags, bytes);
            true
        };
        match &mut self.broadcast {
            // Whoever looks next goes on.
            None => self
                .ring
                .pop_into(msg, |msg, flags, bytes| flags != JOINED && assign(msg, flags, bytes)),
            Some(listener) => listener.pop_into(msg, assign),
        }
    }

    /// Gives the flags and the bytes of the next part to `take`, as [`Receiver::pop_bytes`] does; that refuses what is
    /// [`JOINED`].
    #[inline(always)]
    pub(super) fn pop_bytes(&mut self, take: impl FnOnce(u8, &[u8]) -> bool) -> bool {
        match &mut self.broadcast {
            None => self.ring.pop_bytes(take),
            Some(listener) => listener.pop_bytes(take),
        }
    }
}
