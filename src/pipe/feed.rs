//! One log for many connections: what all of them are to send is framed once, into memory that their send queues
//! share.
//!
//! A publisher appends; each connection takes what it has not had yet when it writes, and the last one to take a
//! portion frees its place in the log. Who is in a feed, and which messages go there, is the pattern's. A queue that
//! is given anything else, or counted, or closed, takes the rest first, so that order, marks and linger see what they
//! would see without a feed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use super::sending::SendQueue;
use super::{Driver, Urgency, left};
use crate::message::{Msg, frame};
use crate::sync::{BriefLock, Lock};

/// A portion is closed when it has grown to this. Writers free them whole, and count their messages as gone.
const PORTION: usize = 16 * 1024;
/// So many messages go into one feed at most, whatever the room: then who could not take part may be able to.
pub const MOST: usize = 1 << 16;

/// The log.
#[derive(Default)]
pub struct Feed {
    log: BriefLock<Log>,
    /// Messages appended so far. These two change under the lock, and are looked at without it.
    appended: AtomicU32,
    /// A member has left: nothing is appended any more.
    broken: AtomicBool,
    /// Who writes for the members, of the first that joined; one more than are written to by a thread that waits.
    drivers: Lock<Vec<Weak<dyn Driver>>>,
    /// Some thread writes it out before it waits, or no thread does.
    left: AtomicBool,
}

#[derive(Debug, Default)]
struct Log {
    /// What some member has not taken yet, oldest first.
    closed: VecDeque<Closed>,
    /// The number of the oldest.
    first: u32,
    /// What was appended since.
    tail: Vec<u8>,
    tail_messages: u32,
    members: u32,
}

#[derive(Debug)]
struct Closed {
    portion: Arc<Portion>,
    /// Members that have not taken it.
    awaited: u32,
}

/// Frames of whole messages that lie in several send queues.
#[derive(Debug)]
pub struct Portion {
    /// The frames.
    pub bytes: Vec<u8>,
    /// How many messages they are.
    pub messages: u32,
}

/// A send queue's part in a feed. Dropped, it leaves, and what it had not taken is lost to its queue.
pub(super) struct Member {
    feed: Arc<Feed>,
    /// The portion to take next.
    next: u32,
    /// Messages taken.
    taken: u32,
}

impl Feed {
    /// Appends a message for all members; false, with nothing appended, when one of them has left: then it is for the
    /// caller to send it to each that is still there.
    pub fn append<'a>(self: &Arc<Feed>, parts: impl IntoIterator<Item = &'a Msg>) -> bool {
        self.append_with(|tail| {
            for part in parts {
                let flags = if part.more() { frame::MORE } else { 0 };
                frame::push(tail, flags, part.data());
            }
        })
    }

    /// As [`Feed::append`], a message of one part that is but these bytes.
    #[inline]
    pub fn append_bytes(self: &Arc<Feed>, bytes: &[u8]) -> bool {
        self.append_with(|tail| frame::push(tail, 0, bytes))
    }

    /// As [`Feed::append`], a message in whole frames.
    pub fn append_frames(self: &Arc<Feed>, frames: &[u8]) -> bool {
        self.append_with(|tail| tail.extend_from_slice(frames))
    }

    #[inline]
    fn append_with(self: &Arc<Feed>, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut log = self.log.lock();
        if !self.is_intact() {
            return false;
        }
        write(&mut log.tail);
        log.tail_messages += 1;
        if log.tail.len() >= PORTION {
            log.close_tail();
        }
        // Only the publisher writes it.
        self.appended.store(self.appended.load(Ordering::Relaxed) + 1, Ordering::Release);
        drop(log);
        if !self.left.load(Ordering::Relaxed) {
            self.leave();
        }
        true
    }

    /// This thread writes it out before it waits, if it has not too many members: then the guard alone does.
    #[cold]
    fn leave(self: &Arc<Feed>) {
        let few = self.drivers.lock().len() <= left::MOST;
        // Said first: when it is written out later this is taken back.
        self.left.store(true, Ordering::Relaxed);
        if few && !left::note_feed(self) {
            self.left.store(false, Ordering::Relaxed);
        }
    }

    /// Writes for all members what is appended so far.
    pub(super) fn write_out(&self) {
        self.left.store(false, Ordering::Relaxed);
        let drivers: Vec<_> = self.drivers.lock().iter().filter_map(Weak::upgrade).collect();
        drivers.iter().for_each(|driver| driver.flush(Urgency::Now));
    }

    /// Whether all who joined are members still.
    #[inline]
    pub fn is_intact(&self) -> bool {
        !self.broken.load(Ordering::Relaxed)
    }

    /// A new member. Before anything was appended.
    fn join(self: &Arc<Feed>, driver: &Arc<dyn Driver>) -> Member {
        self.log.lock().members += 1;
        let mut drivers = self.drivers.lock();
        if drivers.len() <= left::MOST {
            drivers.push(Arc::downgrade(driver));
        }
        drop(drivers);
        Member { feed: self.clone(), next: 0, taken: 0 }
    }
}

impl Log {
    fn close_tail(&mut self) {
        if self.tail.is_empty() {
            return;
        }
        // The next one is likely to become as large.
        let fresh = Vec::with_capacity(self.tail.len());
        let mut bytes = std::mem::replace(&mut self.tail, fresh);
        let messages = std::mem::take(&mut self.tail_messages);
        if bytes.capacity() / 2 > bytes.len() {
            bytes.shrink_to_fit();
        }
        let portion = Arc::new(Portion { bytes, messages });
        self.closed.push_back(Closed { portion, awaited: self.members });
    }

    /// Hands out what is closed from the portion `next` on.
    fn take(&mut self, next: u32, mut give: impl FnMut(&Arc<Portion>)) {
        let from = next.wrapping_sub(self.first) as usize;
        for closed in self.closed.iter_mut().skip(from) {
            closed.awaited = closed.awaited.saturating_sub(1);
            give(&closed.portion);
        }
        while self.closed.front().is_some_and(|closed| closed.awaited == 0) {
            self.closed.pop_front();
            self.first = self.first.wrapping_add(1);
        }
    }

    fn end(&self) -> u32 {
        self.first.wrapping_add(self.closed.len() as u32)
    }
}

impl Member {
    #[inline]
    fn lags(&self) -> bool {
        self.feed.appended.load(Ordering::Acquire) != self.taken
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut log = self.feed.log.lock();
        log.take(self.next, |_| {});
        log.members = log.members.saturating_sub(1);
        self.feed.broken.store(true, Ordering::Relaxed);
    }
}

impl SendQueue {
    /// Whether there is something in its feed that it has not taken.
    #[inline]
    pub(super) fn lags(&self) -> bool {
        self.feed.as_ref().is_some_and(Member::lags)
    }

    /// Takes what its feed has for it: `all`, or only what is at hand.
    #[inline]
    pub fn catch_up(&mut self, all: bool) {
        if self.lags() {
            self.take_portions(all);
        }
    }

    /// Takes the rest, and no more of this feed.
    #[inline]
    pub fn leave_feed(&mut self) {
        if self.feed.is_some() {
            self.take_portions(true);
            self.feed = None;
        }
    }

    /// Leaves its feed if nothing waits there; whatever comes later is sent to it by itself.
    pub fn leave_idle_feed(&mut self) -> bool {
        if let Some(member) = &self.feed {
            let log = member.feed.log.lock();
            if !log.tail.is_empty() || log.end() != member.next {
                return false;
            }
            // From here on nothing is appended.
            member.feed.broken.store(true, Ordering::Relaxed);
        }
        self.feed = None;
        true
    }

    /// From now on it sends what is appended to this feed; `driver` writes it.
    pub(super) fn join_feed(&mut self, feed: &Arc<Feed>, driver: &Arc<dyn Driver>) {
        self.leave_feed();
        self.feed = Some(feed.join(driver));
    }

    fn take_portions(&mut self, all: bool) {
        let Some(mut member) = self.feed.take() else { return };
        let feed = member.feed.clone();
        let log = if all { Some(feed.log.lock()) } else { feed.log.try_lock() };
        // Its publisher may have lost the processor there, and who writes has others to write too.
        let Some(mut log) = log else {
            self.feed = Some(member);
            return;
        };
        if all || log.end() == member.next || log.tail.len() >= PORTION / 4 {
            log.close_tail();
        }
        log.take(member.next, |portion| {
            member.taken = member.taken.wrapping_add(portion.messages);
            self.push_portion(portion);
        });
        member.next = log.end();
        drop(log);
        self.feed = Some(member);
    }
}
