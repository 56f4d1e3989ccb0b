//! The pipe between a socket and a connection.
//!
//! Towards the peer it holds frames, ready for the kernel or for the connection to encode (once the framing is settled),
//! or whole messages (before, and large ones that are to be encoded). From the peer it holds chunks of complete
//! messages, which the socket takes apart as it reads. What a frame header looks like comes from
//! `message::frame`; commands, handshakes and encryption are the connection's.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::feed::Feed;
use super::received::{keep_newest, meet};
use super::sending::{HEAVY, SEGMENT, unframed};
use super::{Counts, Driver, Notice, PipeKey, Target, Urgency, left};
use crate::message::{Metadata, Msg};
use crate::sync::{BiasedLock, Lock};
use crate::sys::this_thread;

pub use super::received::{Batch, Item};
pub use super::sending::{Framing, Link, Segment, SendQueue};

/// A caller that must not wait is shown the room that came about while it sent at most this often.
const NEWS_OF_ROOM: Duration = Duration::from_millis(1);
/// Under guard the sender looks at the clock this often, in messages.
const GUARDED_STRIDE: u32 = 32;

/// What the socket's end and the connection share.
pub struct Wire {
    /// Towards the peer.
    pub send: BiasedLock<SendQueue>,
    /// From the peer.
    pub receive: Lock<ReceiveQueue>,
    target: OnceLock<Target>,
    send_mark: AtomicI32,
    receive_mark: AtomicI32,
    conflate: bool,
    /// The I/O thread sees to it that nothing stays behind: senders may leave what they appended.
    pub guarded: AtomicBool,
    /// A sender wrote it out by itself since the guard last looked.
    pub flushed: AtomicBool,
    /// So many times the guard found that nothing was appended since it last looked.
    pub quiet: AtomicU8,
    /// The thread that has it in its list, see [`super::left`]; 0 for none.
    pub left: AtomicUsize,
    /// The socket's thread just waited for what it read: its answer should not wait.
    pub eager: AtomicBool,
    gone: AtomicBool,
    /// Nothing that is sent reaches the peer any more, though there is still something of it to read.
    deaf: AtomicBool,
    /// The socket reads no more than it has fetched; what comes now is for nobody.
    parked: AtomicBool,
}

/// What was received and not yet handed to the socket's end.
#[derive(Default)]
pub struct ReceiveQueue {
    /// Whom all items are from that have no other in front of them; None where the socket knows.
    peer: Option<Arc<Metadata>>,
    items: VecDeque<Item>,
    /// Messages handed over and not yet reported as read.
    unread: usize,
    /// The socket knows that there is something.
    announced: bool,
    /// The connection stopped reading at the mark.
    pub paused: bool,
    /// The connection is past saving, and what is left of it is taken in whatever the mark says.
    boundless: bool,
}

impl Wire {
    /// A pipe with the marks of its socket. Where only the newest message counts, `conflate`.
    pub fn new(send_mark: i32, receive_mark: i32, conflate: bool) -> Arc<Wire> {
        Arc::new(Wire {
            send: BiasedLock::default(),
            receive: Lock::default(),
            target: OnceLock::new(),
            send_mark: AtomicI32::new(send_mark),
            receive_mark: AtomicI32::new(receive_mark),
            conflate,
            guarded: AtomicBool::new(false),
            flushed: AtomicBool::new(false),
            quiet: AtomicU8::new(0),
            left: AtomicUsize::new(0),
            eager: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            deaf: AtomicBool::new(false),
            parked: AtomicBool::new(false),
        })
    }

    /// Where notices of this pipe go, once a socket owns its other end.
    pub fn target(&self) -> Option<&Target> {
        self.target.get()
    }

    fn post(&self, notice: impl FnOnce(&Target) -> Notice) {
        if let Some(target) = self.target.get() {
            target.mailbox.post(notice(target));
        }
    }

    /// Tells the socket about its peer, or only that there is one where it does not go by names. What messages carry
    /// goes the way of the messages: a notice may lie unread while they are taken.
    pub fn identified(&self, mut identity: super::Identity, named: bool) {
        if let Some(metadata) = identity.metadata.take() {
            let queue = &mut *self.receive.lock();
            // Whoever said nothing since has left no trace.
            if let Some(Item::Peer(_)) = queue.items.back() {
                queue.items.pop_back();
            }
            if queue.items.is_empty() {
                queue.peer = Some(metadata);
            } else {
                queue.items.push_back(Item::Peer(metadata));
            }
        }
        if !named && !identity.subscribe_to_all {
            // ZMQ_FD says that something happened all the same.
            return self
                .post_instead(|notice, _| matches!(notice, Notice::Nudge), |_| Notice::Nudge);
        }
        self.post_instead(
            |notice, key| matches!(notice, Notice::Identified(of, _) if *of == key),
            |target| Notice::Identified(target.key, Box::new(identity)),
        );
    }

    /// Tells the socket that what it queued is gone and a new connection will be made.
    pub fn hiccup(&self) {
        self.post_instead(
            |notice, key| matches!(notice, Notice::Hiccup(of) if *of == key),
            |target| Notice::Hiccup(target.key),
        );
    }

    /// As [`Wire::post`], in place of a notice of this pipe that the socket has not seen and that says no more:
    /// connections can come and go for long while nobody looks.
    fn post_instead(
        &self,
        older: impl Fn(&Notice, PipeKey) -> bool,
        notice: impl FnOnce(&Target) -> Notice,
    ) {
        if let Some(target) = self.target.get() {
            let outdated = target.mailbox.withdraw(|unseen| older(unseen, target.key));
            target.mailbox.post(notice(target));
            drop(outdated);
        }
    }

    /// The connection is over for good.
    pub fn end(&self) {
        if !self.gone.swap(true, Ordering::AcqRel) {
            self.send.lock().express = false;
            self.post(|target| Notice::Ended(target.key));
        }
    }

    /// The peer hears nothing any more, but not everything of it was read: what waits is dropped, and senders that
    /// wait for room learn that there will be none.
    pub fn deafen(&self) {
        self.deaf.store(true, Ordering::Release);
        self.send.lock().clear();
        self.post(|target| Notice::Writable(target.key));
    }

    /// Whether the socket reads no more than it has fetched.
    pub fn is_parked(&self) -> bool {
        self.parked.load(Ordering::Relaxed)
    }

    /// What the send mark is compared with.
    fn pending(&self) -> usize {
        let mut queue = self.send.lock();
        queue.catch_up(true);
        queue.pending()
    }

    /// The send mark, as a number to compare with.
    #[inline]
    pub fn send_limit(&self) -> usize {
        limit(self.send_mark.load(Ordering::Relaxed))
    }

    /// Messages that the receive queue may still take.
    pub fn room(&self) -> usize {
        if self.conflate || self.is_parked() {
            return usize::MAX;
        }
        let queue = self.receive.lock();
        if queue.boundless {
            return usize::MAX;
        }
        limit(self.receive_mark.load(Ordering::Relaxed)).saturating_sub(queue.unread)
    }

    /// Whether the receive mark holds. Not for what is left of a connection that is over: no more can come of it
    /// than the kernel has.
    pub fn heed_mark(&self, heed: bool) {
        self.receive.lock().boundless = !heed;
    }

    /// Whether anything waits for the socket's end to read it.
    pub fn has_input(&self) -> bool {
        !self.receive.lock().items.iter().all(|item| matches!(item, Item::Peer(_)))
    }

    /// Stops at the receive mark: the socket resumes reading when it has read. False when there is room.
    pub fn pause(&self) -> bool {
        let mut queue = self.receive.lock();
        let full = !queue.boundless
            && !self.is_parked()
            && queue.unread >= limit(self.receive_mark.load(Ordering::Relaxed));
        queue.paused = full;
        full
    }

    /// Notes that `messages` messages and `bytes` bytes went into the kernel.
    pub fn sent(&self, queue: &mut SendQueue, messages: usize, bytes: usize) {
        queue.messages = queue.messages.saturating_sub(messages);
        let step = self.low_water_mark();
        let passed = queue.unacknowledged + messages >= step;
        queue.unacknowledged = (queue.unacknowledged + messages) % step;
        // Headers that the connection made were never counted, so the count can run low: an empty queue
        // sets it right.
        let empty = queue.is_written();
        queue.bytes = if empty { 0 } else { queue.bytes.saturating_sub(bytes) };
        queue.link.stubborn &= queue.is_heavy();
        let half_empty = queue.messages == 0 || queue.messages <= self.send_limit() / 2;
        if queue.full && (passed || half_empty) && queue.pending() < self.send_limit() {
            queue.full = false;
            self.post(|target| Notice::Writable(target.key));
        }
    }

    /// The step in which what goes out is acknowledged.
    fn low_water_mark(&self) -> usize {
        match self.send_limit() {
            usize::MAX => 1,
            limit => limit.div_ceil(2),
        }
    }

    /// Publishes received messages, `messages` of them. The socket is told unless `by_caller`: then its
    /// own thread is the one that reads.
    pub fn received(&self, items: &mut Vec<Item>, messages: usize, by_caller: bool) {
        let mut queue = self.receive.lock();
        if self.is_parked() {
            drop(queue);
            items.clear();
            return;
        }
        if self.conflate {
            keep_newest(&mut queue.items, items);
        } else {
            // Idle connections are many: what they keep is what they needed.
            if queue.items.is_empty() {
                queue.items.reserve_exact(items.len());
            }
            queue.items.extend(items.drain(..));
            queue.unread += messages;
        }
        if !queue.announced {
            queue.announced = true;
            drop(queue);
            if !by_caller {
                self.post(|target| Notice::Readable(target.key));
            }
        }
    }
}

fn limit(mark: i32) -> usize {
    match usize::try_from(mark) {
        Ok(0) | Err(_) => usize::MAX,
        Ok(mark) => mark,
    }
}

/// The socket's end.
pub struct End {
    wire: Arc<Wire>,
    driver: Arc<dyn Driver>,
    /// Parts of a message that is not complete: these, or frames of them.
    stage: Vec<Msg>,
    framed: Vec<u8>,
    batch: Option<Batch>,
    items: VecDeque<Item>,
    /// What the messages in them carry.
    pub(super) metadata: Option<Arc<Metadata>>,
    /// Messages read since the last report.
    consumed: usize,
    /// Messages and bytes appended under guard since the connection was last asked.
    unflushed: u32,
    unflushed_bytes: usize,
    /// The thread that may append without further ado while [`SendQueue::express`] holds too, and whether it is one
    /// that must not wait; 0 for none. Then there is no part of a message in `stage`, and nothing counts as seen of the
    /// room for those that may wait.
    express: usize,
    express_hurried: bool,
    /// Until `unflushed` has come to this.
    express_end: u32,
    /// Messages that a caller that must not wait may append by what was last seen of the queue, and when that was;
    /// None: the next one sees how it is by then.
    credit: usize,
    looked: Option<Instant>,
    /// More waits than should for long.
    pub(super) heavy: bool,
    closed: bool,
    /// As [`super::Pipe::grant`] has it.
    pub(super) granted: bool,
}

impl End {
    /// The socket's end of `wire`, whose other end `driver` works.
    pub fn new(wire: Arc<Wire>, driver: Arc<dyn Driver>) -> End {
        End {
            wire,
            driver,
            stage: Vec::new(),
            framed: Vec::new(),
            batch: None,
            items: VecDeque::new(),
            metadata: None,
            consumed: 0,
            unflushed: 0,
            unflushed_bytes: 0,
            express: 0,
            express_hurried: false,
            express_end: 0,
            credit: 0,
            looked: None,
            heavy: false,
            closed: false,
            granted: false,
        }
    }

    pub(super) fn driver(&self) -> &Arc<dyn Driver> {
        &self.driver
    }

    pub(super) fn bind_target(&mut self, target: Target) {
        // One socket owns this end and binds it once.
        let _first = self.wire.target.set(target);
    }

    pub(super) fn set_marks(&mut self, send: i32, receive: i32) {
        self.wire.send_mark.store(send, Ordering::Relaxed);
        self.wire.receive_mark.store(receive, Ordering::Relaxed);
        (self.credit, self.looked) = (0, None);
        self.express = 0;
        let mut queue = self.wire.send.lock();
        // Whoever appends there goes by the old marks.
        queue.leave_feed();
        queue.unacknowledged %= self.wire.low_water_mark();
        if queue.full && queue.pending() < self.wire.send_limit() {
            queue.full = false;
            self.wire.post(|target| Notice::Writable(target.key));
        }
    }

    #[inline]
    pub(super) fn check_read(&mut self) -> bool {
        if let Some(batch) = &self.batch
            && batch.at < batch.end
        {
            return true;
        }
        meet(&mut self.items, &mut self.metadata);
        !self.items.is_empty() || self.refill()
    }

    /// Reads a part into `msg`; false, with `msg` left alone, when there is none.
    #[inline]
    pub(super) fn receive(&mut self, msg: &mut Msg) -> bool {
        loop {
            if let Some(batch) = &mut self.batch {
                if batch.next(msg) {
                    self.consumed += usize::from(!msg.more());
                    return true;
                }
                self.batch = None;
            }
            match self.items.pop_front() {
                Some(Item::Batch(batch)) => self.batch = Some(batch),
                Some(Item::Message(part)) => {
                    *msg = part;
                    self.consumed += usize::from(!msg.more());
                    return true;
                }
                Some(Item::Peer(metadata)) => self.metadata = Some(metadata),
                None if self.refill() => {}
                None => return false,
            }
        }
    }

    /// Gives the bytes of the next part to `take`, with whether more parts follow; that says whether it takes them. False
    /// where it does not, and where the next part has not been fetched yet.
    #[inline(always)]
    pub(super) fn receive_bytes(&mut self, take: impl FnOnce(&[u8], bool) -> bool) -> bool {
        if self.batch.as_ref().is_none_or(|batch| batch.at >= batch.end) && !self.next_batch() {
            return false;
        }
        let Some(batch) = &mut self.batch else { return false };
        let Some((body, stop, more)) = batch.part() else { return false };
        if !take(body, more) {
            return false;
        }
        batch.at = stop;
        self.consumed += usize::from(!more);
        true
    }

    /// Goes on with the next run of frames that was fetched; false when something else comes first.
    fn next_batch(&mut self) -> bool {
        self.batch = None;
        meet(&mut self.items, &mut self.metadata);
        let Some(Item::Batch(_)) = self.items.front() else { return false };
        if let Some(Item::Batch(batch)) = self.items.pop_front() {
            self.batch = Some(batch);
        }
        true
    }

    /// Fetches what the connection has published; where it stopped at the mark, lets it go on.
    fn refill(&mut self) -> bool {
        self.batch = None;
        if self.wire.is_parked() {
            return false;
        }
        for _ in 0..2 {
            let resume = {
                let mut queue = self.wire.receive.lock();
                queue.unread = queue.unread.saturating_sub(std::mem::take(&mut self.consumed));
                if let Some(peer) = queue.peer.take() {
                    self.metadata = Some(peer);
                }
                std::mem::swap(&mut self.items, &mut queue.items);
                meet(&mut self.items, &mut self.metadata);
                let resume = self.items.is_empty() && std::mem::take(&mut queue.paused);
                if self.items.is_empty() {
                    queue.announced = false;
                }
                resume
            };
            if !self.items.is_empty() {
                return true;
            }
            if !resume || !self.driver.resume() {
                return false;
            }
        }
        false
    }

    pub(super) fn check_write(&mut self, hurried: bool) -> bool {
        if self.closed || self.wire.gone.load(Ordering::Relaxed) || self.deaf() {
            return false;
        }
        if !hurried {
            self.looked = None;
        }
        self.wire.conflate
            || self.wire.pending() < self.wire.send_limit()
            || self.make_room(hurried)
    }

    /// Whether the caller may begin a message by what it knows of the room. One that must not wait meets its mark
    /// after as many messages as there was room for, and not only when it outruns who writes them out: it sees
    /// what that achieved meanwhile after a millisecond, or once it was refused.
    #[inline]
    pub(super) fn admits(&mut self, hurried: bool) -> bool {
        if !hurried {
            self.looked = None;
            return true;
        }
        self.credit > 0 || self.wire.conflate || self.look_for_room()
    }

    /// All the room that was seen is used up.
    #[cold]
    fn look_for_room(&mut self) -> bool {
        if self.ended() || self.deaf() {
            return false;
        }
        let now = Instant::now();
        let early = self.looked.take().is_some_and(|then| now.duration_since(then) < NEWS_OF_ROOM);
        let limit = self.wire.send_limit();
        let pending = self.wire.pending();
        if pending >= limit && !self.make_room(true) {
            return false;
        }
        if early {
            // Nobody else would tell.
            self.wire.post(|target| Notice::Writable(target.key));
            return false;
        }
        self.credit = limit.saturating_sub(pending).max(1);
        self.looked = Some(now);
        true
    }

    /// The queue is at its mark: writes it out if the kernel takes it, else asks to be told. Where the
    /// caller must not wait the I/O thread writes.
    #[cold]
    fn make_room(&mut self, hurried: bool) -> bool {
        /// Gives way so often, and then sleeps, while a writer is in the kernel; no longer than this together.
        const YIELDS: u32 = 8;
        const NAP: Duration = Duration::from_micros(50);
        const PATIENCE: Duration = Duration::from_millis(20);
        if self.granted {
            return true;
        }
        self.driver.flush(if hurried { Urgency::Later } else { Urgency::Now });
        let limit = self.wire.send_limit();
        let (mut turn, mut began) = (0, None);
        loop {
            let mut queue = self.wire.send.lock();
            let room = queue.pending() < limit;
            // What a writer has just handed to the kernel may have been answered before that writer gets to count it:
            // whoever drops what it finds no room for must not do so for that. It cannot be taken for gone either, as
            // room that was promised must not go away again.
            let unsettled = !room
                && queue.link.writing
                && queue.pending().saturating_sub(queue.link.taken) < limit;
            if !unsettled || began.get_or_insert_with(Instant::now).elapsed() >= PATIENCE {
                queue.full = !room;
                return room;
            }
            drop(queue);
            turn += 1;
            if turn <= YIELDS { std::thread::yield_now() } else { std::thread::sleep(NAP) }
        }
    }

    /// Appends a part and takes it; false, with the part left alone, when there is no room or no peer.
    #[inline]
    pub(super) fn send(&mut self, msg: &mut Msg, hurried: bool) -> bool {
        if self.closed || self.wire.gone.load(Ordering::Relaxed) || self.deaf() {
            return false;
        }
        if !self.framed.is_empty() {
            self.stage = unframed(&std::mem::take(&mut self.framed));
        }
        if !self.stage.is_empty() {
            self.send_staged(msg);
            return true;
        }
        let size = msg.size();
        let mut queue = self.wire.send.lock();
        queue.leave_feed();
        if self.wire.conflate {
            queue.clear_unbegun();
        } else if queue.pending() >= self.wire.send_limit() {
            drop(queue);
            if !self.make_room(hurried) {
                return false;
            }
            queue = self.wire.send.lock();
        }
        if msg.more() {
            drop(queue);
            self.express = 0;
            self.stage.push(msg.take());
        } else {
            queue.push(msg);
            self.heavy |= queue.bytes > HEAVY && !queue.link.stubborn;
            drop(queue);
            self.credit = self.credit.saturating_sub(1);
            self.unflushed_bytes += size;
        }
        true
    }

    /// As [`super::Pipe::join`].
    pub(super) fn join(&mut self, feed: &Arc<Feed>) -> Option<usize> {
        let over = self.closed || self.wire.gone.load(Ordering::Relaxed) || self.deaf();
        let amid = !(self.stage.is_empty() && self.framed.is_empty());
        if over || self.wire.conflate || amid {
            return None;
        }
        // Who is not guarded would have to be flushed.
        if !self.wire.guarded.load(Ordering::Relaxed) {
            self.driver.guard();
        }
        let limit = self.wire.send_limit();
        let mut queue = self.wire.send.lock();
        queue.leave_feed();
        if !queue.is_framed() || !queue.link.open || !self.wire.guarded.load(Ordering::Relaxed) {
            return None;
        }
        let room = limit.saturating_sub(queue.pending());
        // With less it would soon have to be asked again, and all others too.
        if room <= limit / 8 {
            return None;
        }
        queue.join_feed(feed, &self.driver);
        self.express = 0;
        (self.credit, self.looked) = (0, None);
        Some(room)
    }

    /// A further part. If the pipe ends in between, the whole message goes with it.
    fn send_staged(&mut self, msg: &mut Msg) {
        let last = !msg.more();
        self.stage.push(msg.take());
        if last {
            let mut queue = self.wire.send.lock();
            queue.leave_feed();
            for mut part in self.stage.drain(..) {
                self.unflushed_bytes += part.size();
                queue.push(&mut part);
            }
            drop(queue);
            self.credit = self.credit.saturating_sub(1);
        }
    }

    pub(super) fn write_control(&mut self, mut msg: Msg) {
        if !self.closed && !self.wire.gone.load(Ordering::Relaxed) {
            let mut queue = self.wire.send.lock();
            queue.leave_feed();
            queue.push(&mut msg);
            drop(queue);
            self.credit = self.credit.saturating_sub(1);
        }
    }

    #[inline]
    pub(super) fn flush(&mut self, mut urgency: Urgency, hurried: bool) {
        if self.wire.eager.load(Ordering::Relaxed) {
            self.wire.eager.store(false, Ordering::Relaxed);
            urgency = Urgency::Now;
        } else if self.wire.guarded.load(Ordering::Relaxed) {
            self.unflushed += 1;
            if self.wire.left.load(Ordering::Relaxed) != this_thread() {
                self.leave();
            }
            let few = self.unflushed < GUARDED_STRIDE && self.unflushed_bytes < SEGMENT;
            if few || hurried {
                return;
            }
        }
        self.unflushed = 0;
        self.unflushed_bytes = 0;
        self.driver.flush(urgency);
        let left = self.wire.guarded.load(Ordering::Relaxed) && urgency != Urgency::Now;
        if left && self.wire.left.load(Ordering::Relaxed) != this_thread() {
            self.leave();
        }
    }

    /// This thread writes it out before it waits, if it has not too many already: then the guard alone does.
    #[cold]
    fn leave(&self) {
        // Said first: when it is written out later this is taken back.
        self.wire.left.store(this_thread(), Ordering::Relaxed);
        if !left::note(&self.driver) {
            self.wire.left.store(0, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(super) fn flush_left(&mut self) {
        if self.wire.left.load(Ordering::Relaxed) != 0 {
            self.unflushed = 0;
            self.unflushed_bytes = 0;
            self.driver.flush(Urgency::Now);
        }
    }

    /// What waits either way, as the marks count it.
    pub(super) fn counts(&self) -> Counts {
        let outgoing = self.wire.pending() as u64;
        let unread = self.wire.receive.lock().unread;
        Counts { outgoing, incoming: unread.saturating_sub(self.consumed) as u64 }
    }

    pub(super) fn rollback(&mut self) {
        self.stage.clear();
        self.framed.clear();
    }

    pub(super) fn ended(&self) -> bool {
        self.closed || self.wire.gone.load(Ordering::Acquire)
    }

    pub(super) fn deaf(&self) -> bool {
        self.wire.deaf.load(Ordering::Relaxed)
    }

    /// Fetches what is there, and no more from then on: what comes is dropped, so that the end of the peer is seen
    /// whatever it had to say before. Nothing is sent any more beyond what is queued.
    pub(super) fn park(&mut self) {
        if self.wire.parked.swap(true, Ordering::Relaxed) {
            return;
        }
        self.wire.deaf.store(true, Ordering::Release);
        self.express = 0;
        self.rollback();
        let mut queue = self.wire.receive.lock();
        self.items.extend(queue.peer.take().map(Item::Peer));
        self.items.append(&mut queue.items);
        if std::mem::take(&mut queue.paused) {
            drop(queue);
            self.driver.resume();
        }
    }

    pub(super) fn is_of(&self, wire: &Arc<Wire>) -> bool {
        Arc::ptr_eq(&self.wire, wire)
    }

    pub(super) fn close(&mut self, linger_ms: i32) {
        if !self.closed {
            self.closed = true;
            self.express = 0;
            self.rollback();
            self.wire.send.lock().leave_feed();
            if !self.wire.gone.load(Ordering::Acquire) {
                self.driver.close(linger_ms);
            }
        }
    }

    pub(super) fn fail(&mut self) {
        self.closed = true;
        self.express = 0;
        self.wire.send.lock().leave_feed();
        self.driver.fail();
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.close(-1);
    }
}

mod bytes;
pub use bytes::PAST;
#[cfg(test)]
mod tests;
