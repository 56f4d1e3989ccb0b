//! Giving one message to many pipes: a copy to each that is chosen, whole messages only.
//!
//! Who is chosen is decided elsewhere (by [`super::subscriptions`]); pipes that are full at the first part
//! miss the whole message.

mod gathering;
mod steady;

use self::gathering::Gathering;
use self::steady::Steady;
use crate::base::Error;
use crate::message::Msg;
use crate::pipe::{self, Pipe, PipeId, Pipes, Urgency};

/// A message for more connections than these is written by the I/O thread: the system calls for all of
/// them take the caller longer than it takes to wake that thread, which gathers what comes meanwhile.
const FEW: usize = 4;
/// A pipe that is not attached.
const ABSENT: u64 = 0;
/// A pipe that was not chosen for any message so far.
const NEVER: u64 = 1;

/// The pipes to write to.
pub(super) struct FanOut {
    /// By pipe: the last message it was chosen for.
    chosen_for: Vec<u64>,
    /// Counts messages.
    message: u64,
    /// Who gets the message under way.
    chosen: Vec<PipeId>,
    amid_message: bool,
    gathering: Gathering,
    /// Where the same ones are chosen time and again.
    steady: Steady,
}

impl Default for FanOut {
    fn default() -> FanOut {
        FanOut {
            chosen_for: Vec::new(),
            message: NEVER,
            chosen: Vec::new(),
            amid_message: false,
            gathering: Gathering::default(),
            steady: Steady::default(),
        }
    }
}

impl FanOut {
    pub(super) fn attach(&mut self, id: PipeId) {
        let slot = id.0 as usize;
        if slot >= self.chosen_for.len() {
            self.chosen_for.resize(slot + 1, ABSENT);
        }
        if let Some(mark) = self.chosen_for.get_mut(slot) {
            *mark = NEVER;
        }
    }

    pub(super) fn detach(&mut self, id: PipeId) {
        self.forget_message_of(id);
        if let Some(mark) = self.chosen_for.get_mut(id.0 as usize) {
            *mark = ABSENT;
        }
    }

    /// This pipe gets nothing more of the message under way: what it had of it is gone.
    pub(super) fn forget_message_of(&mut self, id: PipeId) {
        self.chosen.retain(|chosen| *chosen != id);
        self.steady.forget(id);
    }

    /// Whether the next part belongs to a message already begun.
    #[inline]
    pub(super) fn is_amid_message(&self) -> bool {
        self.amid_message
    }

    /// A new message: nobody is chosen yet.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.message += 1;
        self.chosen.clear();
        self.amid_message = false;
        self.gathering.forget();
        self.steady.end_message();
    }

    /// Chooses a pipe; again does no harm.
    #[inline]
    pub(super) fn choose(&mut self, id: PipeId) {
        if let Some(mark) = self.chosen_for.get_mut(id.0 as usize)
            && *mark != self.message
            && *mark != ABSENT
        {
            *mark = self.message;
            self.chosen.push(id);
        }
    }

    /// Chooses those that are not chosen, instead of those that are.
    pub(super) fn invert(&mut self) {
        self.chosen.clear();
        for (slot, mark) in (0u32..).zip(&self.chosen_for) {
            if *mark != ABSENT && *mark != self.message {
                self.chosen.push(PipeId(slot));
            }
        }
    }

    /// Chooses all.
    pub(super) fn choose_all(&mut self) {
        self.begin();
        self.invert();
    }

    /// To be called when all are chosen: where they are those who were chosen before, and a message of this size is to be
    /// framed for them, that is done once for all. The message has no parts but bytes for the peer. `for_all`: if
    /// [`FanOut::full`] finds anybody it is not sent.
    #[inline]
    pub(super) fn share_frames(&mut self, pipes: &mut Pipes, size: usize, for_all: bool) {
        let chosen = self.chosen.len();
        // Within a context two are many, and nothing is too large.
        let worth = |pipes: &Pipes| !pipes.any_wire() || chosen > FEW && size <= Steady::LARGEST;
        if chosen > 1 && worth(pipes) {
            self.steady.consider(pipes, &mut self.chosen, for_all);
        }
    }

    /// A chosen pipe that has no room. If there is none, the message has room with all of them until it is sent.
    pub(super) fn full(&self, pipes: &mut Pipes) -> Option<PipeId> {
        let full = full(&self.chosen, pipes);
        if full.is_none() {
            for id in &self.chosen {
                pipes.get(*id).into_iter().for_each(Pipe::hold_room);
            }
        }
        full
    }

    /// Sends a part to those chosen at the beginning of its message, and takes it.
    #[inline]
    pub(super) fn send(&mut self, pipes: &mut Pipes, msg: &mut Msg) {
        if self.is_gathering() {
            self.scatter(pipes);
        }
        if self.steady.is_feeding() {
            return self.send_steadily(pipes, msg);
        }
        self.send_each(pipes, msg);
    }

    /// What is in the feed is done with; the others get theirs one by one.
    fn send_steadily(&mut self, pipes: &mut Pipes, msg: &mut Msg) {
        if let Some(parts) = self.steady.feed(msg) {
            // Each gets its own.
            let members = self.steady.members();
            let apart = std::mem::replace(&mut self.chosen, members.clone());
            grant(pipes, &members, true);
            for mut part in parts {
                self.send_each(pipes, &mut part);
            }
            grant(pipes, &members, false);
            self.chosen = apart;
        }
        self.send_each(pipes, msg);
    }

    fn send_each(&mut self, pipes: &mut Pipes, msg: &mut Msg) {
        if self.chosen.len() > 1 && msg.size() > FanOut::BYTES_MAX {
            self.send_shares(pipes, msg);
        } else {
            self.send_by(pipes, msg, give);
        }
    }

    fn send_shares(&mut self, pipes: &mut Pipes, msg: &mut Msg) {
        let more = msg.more();
        let mut shares = match msg.take().into_shares(self.chosen.len()) {
            Ok(shares) => shares,
            Err(original) => {
                *msg = original;
                return self.send_by(pipes, msg, give);
            }
        };
        msg.set_more(more);
        self.send_by(pipes, msg, |pipe, _, _| {
            shares.next().is_some_and(|mut share| pipe.send(&mut share))
        });
    }

    /// So many bytes [`FanOut::send_bytes`] should be given at most: peers may share larger messages.
    pub(super) const BYTES_MAX: usize = pipe::inproc::COPIED_TO_MANY_MAX;

    /// As [`FanOut::send`], a message of one part that is but these bytes.
    #[inline]
    pub(super) fn send_bytes(&mut self, pipes: &mut Pipes, bytes: &[u8]) {
        let feeding = self.steady.is_feeding();
        if feeding && !self.steady.feed_bytes(bytes) {
            self.send_bytes_alone(pipes, bytes);
        }
        let many = self.chosen.len() > FEW || feeding;
        let urgency = if many { Urgency::Later } else { Urgency::Auto };
        give_bytes(pipes, self.chosen.drain(..), bytes, urgency);
        self.amid_message = false;
    }

    /// Somebody has left: each of those who took part gets its own.
    #[cold]
    #[inline(never)]
    fn send_bytes_alone(&mut self, pipes: &mut Pipes, bytes: &[u8]) {
        let members = self.steady.members();
        grant(pipes, &members, true);
        give_bytes(pipes, members.iter().copied(), bytes, Urgency::Later);
        grant(pipes, &members, false);
    }

    /// As [`FanOut::send`], where `write` gives a pipe its copy, or the last of them the original, and tells
    /// whether the pipe took it.
    #[inline]
    pub(super) fn send_by(
        &mut self,
        pipes: &mut Pipes,
        msg: &mut Msg,
        mut write: impl FnMut(&mut Pipe, &mut Msg, bool) -> bool,
    ) {
        let more = msg.more();
        let mut left = self.chosen.len();
        let urgency =
            if left > FEW || self.steady.is_feeding() { Urgency::Later } else { Urgency::Auto };
        let mut full = 0;
        self.chosen.retain(|id| {
            left -= 1;
            let Some(pipe) = pipes.get(*id) else { return false };
            let taken = write(pipe, msg, left == 0);
            if !taken {
                pipe.rollback();
                // Who is gone has missed nothing.
                full += u64::from(!pipe.deaf());
            } else if !more {
                pipe.flush_with(urgency);
            }
            taken
        });
        if full > 0 {
            pipes.count_full(full);
        }
        msg.clear();
        self.amid_message = more;
        if !more {
            self.chosen.clear();
        }
    }
}

/// Sends a message that is but these bytes to each of these.
#[inline(always)]
fn give_bytes(
    pipes: &mut Pipes,
    peers: impl Iterator<Item = PipeId>,
    bytes: &[u8],
    urgency: Urgency,
) {
    // For those who need one. Without memory for it they miss the message.
    let mut msg = None;
    let mut full = 0;
    for id in peers {
        let Some(pipe) = pipes.get(id) else { continue };
        if !pipe.send_bytes(bytes) && !send_otherwise(pipe, bytes, &mut msg, urgency) {
            // Who is gone has missed nothing.
            full += u64::from(!pipe.deaf());
        }
    }
    if full > 0 {
        pipes.count_full(full);
    }
}

/// Sends bytes where the short way within a context does not serve; false where there is no room, or nobody.
#[inline(never)]
fn send_otherwise(
    pipe: &mut Pipe,
    bytes: &[u8],
    msg: &mut Option<Result<Msg, Error>>,
    urgency: Urgency,
) -> bool {
    if pipe.send_bytes_with(bytes, false, urgency) {
        return true;
    }
    let msg = msg.get_or_insert_with(|| Msg::copy_of(bytes));
    let sent = msg.as_mut().is_ok_and(|msg| pipe.send_copy(msg));
    if sent {
        pipe.flush_with(urgency);
    } else {
        pipe.rollback();
    }
    sent
}

/// These had room when the message began, or take that back.
fn grant(pipes: &mut Pipes, peers: &[PipeId], granted: bool) {
    for id in peers {
        if let Some(pipe) = pipes.get(*id) {
            pipe.grant(granted);
        }
    }
}

/// One of these that has no room.
fn full(peers: &[PipeId], pipes: &mut Pipes) -> Option<PipeId> {
    let is_full = |pipe: &mut Pipe| !has_room(pipe) && !pipe.ended();
    peers.iter().copied().find(|id| pipes.get(*id).is_some_and(is_full))
}

fn has_room(pipe: &mut Pipe) -> bool {
    pipe.admits() && pipe.check_write()
}

/// Gives a pipe its copy. The last one gets the original, which saves the only copy where there is one peer.
#[inline]
pub(super) fn give(pipe: &mut Pipe, part: &mut Msg, last: bool) -> bool {
    if last { pipe.send(part) } else { pipe.send_copy(part) }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Peers, part};
    use super::*;

    pub(super) fn world(count: usize, mark: i32) -> (Pipes, Peers, FanOut) {
        let mut pipes = Pipes::new();
        let mut peers = Peers::with_mark(mark);
        let mut fan_out = FanOut::default();
        for _ in 0..count {
            fan_out.attach(peers.join(&mut pipes));
        }
        (pipes, peers, fan_out)
    }

    #[test]
    fn each_chosen_pipe_gets_one_copy() {
        let (mut pipes, mut peers, mut fan_out) = world(3, 0);
        for length in [1, 100, 300, 5000] {
            let body = "x".repeat(length);
            fan_out.begin();
            for id in [2, 0, 2, 9] {
                fan_out.choose(PipeId(id));
            }
            fan_out.send(&mut pipes, &mut part(&body, false));
            assert_eq!(peers.received(0), [[body.as_str()]]);
            assert_eq!(peers.received(2), [[body.as_str()]]);
            assert!(peers.received(1).is_empty());
        }
    }

    #[test]
    fn the_choice_can_be_inverted() {
        let (mut pipes, mut peers, mut fan_out) = world(3, 0);
        fan_out.begin();
        fan_out.choose(PipeId(1));
        fan_out.invert();
        fan_out.send(&mut pipes, &mut part("m", false));
        assert_eq!((0..3).map(|n| peers.received(n).len()).collect::<Vec<_>>(), [1, 0, 1]);
        fan_out.choose_all();
        fan_out.send(&mut pipes, &mut part("m", false));
        assert_eq!((0..3).map(|n| peers.received(n).len()).collect::<Vec<_>>(), [1, 1, 1]);
    }

    #[test]
    fn a_full_pipe_misses_the_whole_message_and_only_that() {
        // A mark of 1 on each side makes 2 in the pipe.
        let (mut pipes, mut peers, mut fan_out) = world(2, 1);
        let send = |fan_out: &mut FanOut, pipes: &mut Pipes, body: &str, more: bool| {
            if !fan_out.is_amid_message() {
                fan_out.choose_all();
            }
            fan_out.send(pipes, &mut part(body, more));
        };
        for body in ["1", "2"] {
            assert_eq!(fan_out.full(&mut pipes), None);
            send(&mut fan_out, &mut pipes, body, false);
            fan_out.choose_all();
        }
        assert_eq!(fan_out.full(&mut pipes), Some(PipeId(0)));
        assert_eq!(peers.received(1), [["1"], ["2"]]);
        send(&mut fan_out, &mut pipes, "3", true);
        assert!(fan_out.is_amid_message());
        // Room that comes amid a message is for the next one.
        assert_eq!(peers.received(0), [["1"], ["2"]]);
        send(&mut fan_out, &mut pipes, "end", false);
        assert!(!fan_out.is_amid_message() && peers.received(0).is_empty());
        assert_eq!(peers.received(1), [["3", "end"]]);
        send(&mut fan_out, &mut pipes, "4", false);
        assert_eq!(peers.received(0), [["4"]]);
    }

    #[test]
    fn a_pipe_that_comes_amid_a_message_misses_it_and_one_that_goes_does_no_harm() {
        let (mut pipes, mut peers, mut fan_out) = world(2, 0);
        fan_out.choose_all();
        fan_out.send(&mut pipes, &mut part("a", true));
        fan_out.detach(PipeId(0));
        pipes.remove(PipeId(0));
        let again = peers.join(&mut pipes);
        fan_out.attach(again);
        assert_eq!(again, PipeId(0), "the place is used again");
        fan_out.send(&mut pipes, &mut part("b", false));
        assert_eq!(peers.received(1), [["a", "b"]]);
        assert!(peers.received(0).is_empty() && peers.received(2).is_empty());
    }
}
