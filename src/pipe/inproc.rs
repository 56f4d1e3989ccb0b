//! The pipe between two sockets of one context: a queue of messages in each direction.
//!
//! The mark of a direction is the writer's send mark plus the reader's receive mark, unlimited when either
//! is 0, and the writer's alone while the other end waits for its socket. The reader announces its
//! progress in steps of the low-water mark; a writer that found the pipe full hears of that.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering, fence};
use std::sync::{Arc, OnceLock, Weak};

use self::broadcast::Broadcast;
use self::input::{Input, Joined};
use self::output::Output;
use super::{Counts, Notice, Target};
use crate::message::{Msg, frame, only_more};
use crate::sync::{Lock, Mailbox, Receiver, Sender, channel};

pub mod broadcast;
mod input;
mod output;

/// Parts of no more bytes may go through the ring as these.
const BYTES_MAX: usize = Sender::<Msg>::BYTES_MAX;

/// A part that has memory of its own leaves it to the other thread where it has more bytes: to copy them twice would
/// cost more than to free what another thread allocated.
const COPIED_MAX: usize = 4096;

/// So many bytes are copied for each of several peers, who would share one copy otherwise.
pub const COPIED_TO_MANY_MAX: usize = 256;

/// A mark of the far side that is not known yet.
const UNKNOWN: i32 = -1;

/// What both ends know of one direction. This and the ends lie on cache lines of their own: else what one
/// thread writes for itself would take the line from the other.
#[repr(align(128))]
pub(super) struct Direction {
    reader: OnceLock<Target>,
    writer: OnceLock<Target>,
    /// Where the reader's end lies until its socket takes it in.
    entrance: OnceLock<Entrance>,
    writer_mark: AtomicI32,
    reader_mark: AtomicI32,
    /// Messages read, as announced.
    progress: AtomicU64,
    /// The writer waits for progress.
    blocked: AtomicBool,
    writer_gone: AtomicBool,
    reader_gone: AtomicBool,
    /// What the writer said before it went is not to be read any more.
    retracted: AtomicBool,
    /// The newest message, where only that counts (ZMQ_CONFLATE).
    latest: Option<Latest>,
    joined: Joined,
}

struct Entrance {
    mailbox: Arc<Mailbox<Notice>>,
    remains: Remains,
}

/// What there is to see of a peer that has gone before the reader's socket took its end in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Remains {
    /// That it was there, if nothing else.
    Everything,
    /// What it said.
    Words,
    /// What it said means nothing without it.
    Nothing,
}

struct Latest {
    message: Lock<Option<Msg>>,
    asleep: AtomicBool,
}

impl Entrance {
    /// Takes the end back that reads `direction`, unless the socket has taken it in. It is looked for among the newest
    /// first: most come and go.
    fn withdraw(&self, direction: &Arc<Direction>) {
        drop(self.mailbox.withdraw(|notice| brings_reader_of(notice, direction)));
    }

    /// As [`Entrance::withdraw`], of one that came long ago.
    fn withdraw_old(&self, direction: &Arc<Direction>) {
        drop(self.mailbox.withdraw_oldest(|notice| brings_reader_of(notice, direction)));
    }
}

fn brings_reader_of(notice: &Notice, direction: &Arc<Direction>) -> bool {
    matches!(notice, Notice::Attach(new) if new.pipe.is_inproc_reader_of(direction))
}

impl Latest {
    #[inline(never)]
    fn take(&self, msg: &mut Msg) -> bool {
        let mut message = self.message.lock();
        self.asleep.store(message.is_none(), Ordering::SeqCst);
        message.take().map(|newest| *msg = newest).is_some()
    }
}

impl Direction {
    fn new(conflate: bool) -> Arc<Direction> {
        Arc::new(Direction {
            reader: OnceLock::new(),
            writer: OnceLock::new(),
            entrance: OnceLock::new(),
            writer_mark: AtomicI32::new(UNKNOWN),
            reader_mark: AtomicI32::new(UNKNOWN),
            progress: AtomicU64::new(0),
            blocked: AtomicBool::new(false),
            writer_gone: AtomicBool::new(false),
            reader_gone: AtomicBool::new(false),
            retracted: AtomicBool::new(false),
            latest: conflate
                .then(|| Latest { message: Lock::new(None), asleep: AtomicBool::new(false) }),
            joined: Joined::default(),
        })
    }

    /// Messages that may be under way, 0 for any number.
    #[inline]
    fn limit(&self) -> u64 {
        let writer = self.writer_mark.load(Ordering::Relaxed);
        let reader = self.reader_mark.load(Ordering::Relaxed);
        match (writer, reader) {
            (0, _) | (_, 0) => 0,
            (writer, reader) => {
                writer.max(0).unsigned_abs() as u64 + reader.max(0).unsigned_abs() as u64
            }
        }
    }
}

/// One socket's end.
#[repr(align(128))]
pub struct End {
    out: Output,
    out_state: Arc<Direction>,
    known_progress: u64,
    /// Parts of a message that is not complete.
    stage: Vec<Msg>,
    input: Input,
    in_state: Arc<Direction>,
    read: u64,
    /// Messages still to read until the next announcement.
    until_announce: u64,
    /// The limit that plan was made for.
    planned_limit: u64,
    /// Messages read since the pipe was last empty.
    streak: u32,
    patience: Patience,
    closed: bool,
    /// After this many messages the next one has room, whatever the marks say.
    held: u64,
}

/// Whether giving the writer a moment paid lately.
#[derive(Default)]
struct Patience {
    credit: i8,
    asked: u8,
}

impl Patience {
    fn allows(&mut self) -> bool {
        /// Without credit, one time in so many is a try.
        const PROBE: u8 = 16;
        self.asked = self.asked.wrapping_add(1);
        self.credit > 0 || self.asked.is_multiple_of(PROBE)
    }

    fn learn(&mut self, paid: bool) {
        self.credit = if paid { (self.credit + 1).min(4) } else { (self.credit - 1).max(-4) };
    }
}

/// A pipe, by its two ends.
pub fn pair(conflate: bool) -> (End, End) {
    let (a_out, b_in) = channel();
    let (b_out, a_in) = channel();
    let (a_to_b, b_to_a) = (Direction::new(conflate), Direction::new(conflate));
    let a = End::new(a_out, a_to_b.clone(), a_in, b_to_a.clone());
    (a, End::new(b_out, b_to_a, b_in, a_to_b))
}

impl End {
    fn new(
        out: Sender<Msg>,
        out_state: Arc<Direction>,
        input: Receiver<Msg>,
        in_state: Arc<Direction>,
    ) -> End {
        End {
            out: Output::new(out),
            out_state,
            known_progress: 0,
            stage: Vec::new(),
            input: Input::new(input),
            in_state,
            read: 0,
            until_announce: 1,
            planned_limit: 0,
            streak: 0,
            patience: Patience::default(),
            closed: false,
            held: u64::MAX,
        }
    }

    pub(super) fn bind_target(&mut self, target: Target) {
        // Both are set by the one socket that owns this end, once.
        let _first = self.in_state.reader.set(target.clone());
        let _first = self.out_state.writer.set(target);
        // Who retracts what it wrote finds the target, or its owner finds that it was retracted.
        fence(Ordering::SeqCst);
    }

    /// This end goes to the owner of `mailbox`, in a notice. If the far side is gone before that is taken, and nothing
    /// that it left `remains`, nobody needs to know of it.
    pub fn set_entrance(&mut self, mailbox: Arc<Mailbox<Notice>>, remains: Remains) {
        // An end is handed over once.
        let _first = self.in_state.entrance.set(Entrance { mailbox, remains });
    }

    /// The marks of the socket that owns this end; the far side sees them at once.
    pub fn set_marks(&mut self, send: i32, receive: i32) {
        // There room was looked at once for many messages.
        self.out.leave();
        self.out_state.writer_mark.store(send, Ordering::Relaxed);
        let before = self.in_state.reader_mark.swap(receive, Ordering::SeqCst);
        self.in_state.joined.unsettle();
        self.plan_announcement();
        // A connecter that met its own mark while it waited for the bind has the sum from now on. A mark
        // that changes later shows at the next announcement, as in libzmq. By the new one that may be far
        // away, so what was read is told now: else the writer could wait for the room of messages that are
        // gone, and no more would come to be announced.
        if before == UNKNOWN || self.in_state.progress.load(Ordering::Relaxed) != self.read {
            self.announce();
        }
        // The far side does the same when its pipe is empty, for which it has to look.
        if let Some(reader) = self.out_state.reader.get() {
            reader.mailbox.post(Notice::Readable(reader.key));
        }
    }

    /// Messages until the total read is a multiple of the low-water mark.
    fn plan_announcement(&mut self) {
        /// Nobody waits for progress in an unlimited pipe, unless the limit changes.
        const UNLIMITED_STEP: u64 = 256;
        self.planned_limit = self.in_state.limit();
        let step = match self.planned_limit {
            0 => UNLIMITED_STEP,
            limit => limit.div_ceil(2),
        };
        self.until_announce = step - self.read % step;
    }

    #[inline(never)]
    pub(super) fn check_read(&mut self) -> bool {
        match &self.in_state.latest {
            None => self.input.at_hand(&self.in_state.joined) || self.look(),
            Some(latest) => {
                let message = latest.message.lock();
                latest.asleep.store(message.is_none(), Ordering::SeqCst);
                message.is_some()
            }
        }
    }

    /// All that was at hand is read. Amid a stream of messages this gives the writer a moment to get several
    /// done, for a look takes the cache lines under its hands: one for every message would cost both most
    /// of their time, and so would a wake-up for each. Tried where it paid before.
    #[cold]
    #[inline(never)]
    fn look(&mut self) -> bool {
        /// So many messages without a pause are a stream.
        const STREAM: u32 = 8;
        const LOOKS: u32 = 8;
        /// Before each; together less than half a microsecond.
        const PAUSES: u32 = 16;
        if self.streak < STREAM || !self.patience.allows() {
            return self.input.ready(&self.in_state.joined) || self.sleep();
        }
        for _ in 0..LOOKS {
            (0..PAUSES).for_each(|_| std::hint::spin_loop());
            if self.input.ready(&self.in_state.joined) {
                self.patience.learn(true);
                return true;
            }
        }
        self.patience.learn(false);
        self.sleep()
    }

    /// Goes to sleep unless something came after all. Where a mark changed since the last announcement
    /// was planned, the writer may wait for one that would never come.
    #[cold]
    fn sleep(&mut self) -> bool {
        self.streak = 0;
        let awaited = self.in_state.blocked.load(Ordering::Relaxed);
        if awaited || self.in_state.limit() != self.planned_limit {
            self.announce();
        }
        self.input.ready_or_sleep(&self.in_state.joined)
    }

    #[inline(always)]
    pub(super) fn receive(&mut self, msg: &mut Msg) -> bool {
        if let Some(latest) = &self.in_state.latest {
            return latest.take(msg);
        }
        let taken = self.take_next(msg) || (self.check_read() && self.take_next(msg));
        if taken && !msg.more() {
            self.count_read();
        }
        taken
    }

    /// Gives the bytes of the next part to `take`, with whether more parts follow, where it is at hand and nothing but
    /// bytes.
    #[inline(always)]
    pub(super) fn receive_bytes(&mut self, take: impl FnOnce(&[u8], bool) -> bool) -> bool {
        let mut last = false;
        let taken = self.input.pop_bytes(|flags, bytes| match only_more(flags) {
            Some(more) => {
                last = !more;
                take(bytes, more)
            }
            None => false,
        });
        if taken && last {
            self.count_read();
        }
        taken
    }

    #[inline(always)]
    fn count_read(&mut self) {
        self.read += 1;
        self.streak = self.streak.saturating_add(1);
        self.until_announce -= 1;
        if self.until_announce == 0 {
            self.announce();
        }
    }

    #[inline(always)]
    fn take_next(&mut self, msg: &mut Msg) -> bool {
        self.input.pop(msg)
    }

    /// A part that is but bytes, and not too many, goes into the ring as these, any other as it is. `msg` is left
    /// empty.
    #[inline(always)]
    fn push(&mut self, msg: &mut Msg) {
        match msg.plain() {
            Some((flags, bytes)) => {
                self.out.push_bytes(flags, bytes);
                msg.clear();
            }
            None => self.push_long(msg),
        }
    }

    #[inline(never)]
    fn push_long(&mut self, msg: &mut Msg) {
        match msg.sole_bytes(COPIED_MAX) {
            Some((flags, bytes)) => {
                self.out.push_bytes(flags, bytes);
                msg.clear();
            }
            None => self.out.push(msg.take()),
        }
    }

    #[cfg(test)]
    fn read(&mut self) -> Option<Msg> {
        let mut msg = Msg::new();
        self.receive(&mut msg).then_some(msg)
    }

    #[cold]
    fn announce(&mut self) {
        self.plan_announcement();
        self.in_state.progress.store(self.read, Ordering::SeqCst);
        self.wake_writer();
    }

    /// Tells a writer that found the pipe full to look again.
    fn wake_writer(&self) {
        fence(Ordering::SeqCst);
        if self.in_state.blocked.swap(false, Ordering::SeqCst)
            && let Some(writer) = self.in_state.writer.get()
        {
            writer.mailbox.post(Notice::Writable(writer.key));
        }
    }

    #[inline]
    pub(super) fn check_write(&mut self) -> bool {
        if self.closed || self.out_state.reader_gone.load(Ordering::Relaxed) {
            return false;
        }
        // Whoever asks is about to write.
        self.out.leave();
        let limit = self.out_state.limit();
        if limit == 0
            || self.out.written - self.known_progress < limit
            || self.out_state.latest.is_some()
        {
            return true;
        }
        self.ask_for_room(limit)
    }

    /// As [`super::Pipe::hold_room`].
    pub(super) fn hold_room(&mut self) {
        self.out.leave();
        self.held = self.out.written;
    }

    /// The next message has room only if there is some.
    pub(super) fn let_room_go(&mut self) {
        self.held = u64::MAX;
    }

    /// Looks how far the reader is by now; where that is not far enough, leaves word that this end waits.
    #[cold]
    #[inline(never)]
    fn ask_for_room(&mut self, limit: u64) -> bool {
        if self.held == self.out.written {
            return true;
        }
        self.known_progress = self.out_state.progress.load(Ordering::SeqCst);
        if self.out.written - self.known_progress < limit {
            return true;
        }
        self.out_state.blocked.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        self.known_progress = self.out_state.progress.load(Ordering::SeqCst);
        let room = self.out.written - self.known_progress < limit;
        if room {
            self.out_state.blocked.store(false, Ordering::SeqCst);
        }
        room
    }

    #[inline(always)]
    pub(super) fn send(&mut self, msg: &mut Msg) -> bool {
        if msg.more() || !self.stage.is_empty() || self.out_state.latest.is_some() {
            return self.send_slowly(msg);
        }
        if !self.check_write() {
            return false;
        }
        self.push(msg);
        self.out.written += 1;
        true
    }

    /// Parts of longer messages, and what replaces the message before it.
    #[inline(never)]
    fn send_slowly(&mut self, msg: &mut Msg) -> bool {
        if let Some(latest) = &self.out_state.latest {
            if self.closed || self.out_state.reader_gone.load(Ordering::Relaxed) {
                return false;
            }
            *latest.message.lock() = Some(msg.take());
            return true;
        }
        if self.stage.is_empty() && !self.check_write() {
            return false;
        }
        let last = !msg.more();
        self.stage.push(msg.take());
        if last {
            self.out.leave();
            let mut stage = std::mem::take(&mut self.stage);
            stage.iter_mut().for_each(|part| self.push(part));
            stage.clear();
            self.stage = stage;
            self.out.written += 1;
        }
        true
    }

    /// As [`End::send`], where only the bytes of a part go into the queue: it stays as it is. None where it
    /// is more than these, or not a message by itself.
    #[inline]
    pub(super) fn send_copy(&mut self, msg: &Msg) -> Option<bool> {
        if msg.more() || !self.stage.is_empty() || self.out_state.latest.is_some() {
            return None;
        }
        let (flags, bytes) = msg.plain().or_else(|| msg.sole_bytes(COPIED_TO_MANY_MAX))?;
        let room = self.check_write();
        if room {
            self.out.push_bytes(flags, bytes);
            self.out.written += 1;
        }
        Some(room)
    }

    /// Sends a message of one part that is but these bytes; false where it takes more than that, or there is
    /// no room.
    #[inline(always)]
    pub(super) fn send_bytes(&mut self, bytes: &[u8]) -> bool {
        let plain = bytes.len() <= BYTES_MAX && self.stage.is_empty();
        if !plain || self.out_state.latest.is_some() || !self.check_write() {
            return false;
        }
        self.out.push_bytes(0, bytes);
        self.out.written += 1;
        self.flush();
        true
    }

    /// As [`super::Pipe::join`].
    pub(super) fn join(&mut self, broadcast: &Arc<Broadcast>) -> Option<usize> {
        /// For fewer messages it is not worth it.
        const FEWEST: u64 = 16;
        let over = self.closed || self.out_state.reader_gone.load(Ordering::Relaxed);
        if over || !self.stage.is_empty() || self.out_state.latest.is_some() {
            return None;
        }
        // With less it would soon have to be asked again, and all others too.
        let least = FEWEST.max(self.out_state.limit() / 8);
        if self.room() < least || !broadcast.join(&self.out_state) {
            return None;
        }
        self.out.join(broadcast);
        self.flush();
        // Again: of a mark that changes from now on the broadcast hears.
        Some(usize::try_from(self.room()).unwrap_or(usize::MAX))
    }

    /// For how many more messages there is room.
    fn room(&mut self) -> u64 {
        self.known_progress = self.out_state.progress.load(Ordering::SeqCst);
        match self.out_state.limit() {
            0 => u64::MAX,
            limit => limit.saturating_sub(self.out.written() - self.known_progress),
        }
    }

    pub(super) fn takes_frames(&self) -> bool {
        self.stage.is_empty() && self.out_state.latest.is_none()
    }

    /// Sends a message in frames, whatever the mark says; no part of it is larger than [`COPIED_TO_MANY_MAX`].
    pub(super) fn send_frames(&mut self, frames: &[u8]) {
        self.out.leave();
        for (header, body) in frame::walk(frames) {
            self.out.push_bytes(header.flags & frame::MORE, body);
        }
        self.out.written += 1;
        self.flush();
    }

    pub(super) fn write_control(&mut self, mut msg: Msg) {
        if self.closed {
            return;
        }
        if let Some(latest) = &self.out_state.latest {
            *latest.message.lock() = Some(msg);
            return;
        }
        self.out.leave();
        self.push(&mut msg);
        self.out.written += 1;
    }

    #[inline]
    pub(super) fn flush(&mut self) {
        let asleep = match &self.out_state.latest {
            None => self.out.publish(),
            Some(latest) => latest.asleep.swap(false, Ordering::SeqCst),
        };
        if asleep && let Some(reader) = self.out_state.reader.get() {
            reader.mailbox.post(Notice::Readable(reader.key));
        }
    }

    /// Messages written that the reader has not acknowledged.
    fn unacknowledged(&self) -> u64 {
        self.out.written() - self.out_state.progress.load(Ordering::SeqCst)
    }

    /// Asks the far side what it has written: only its own thread knows.
    pub(super) fn ask_counts(&self) {
        if let Some(far) = self.out_state.reader.get() {
            far.mailbox.post(Notice::CountsWanted(far.key, self.unacknowledged()));
        }
    }

    /// Answers that question; the far side has written `theirs`.
    pub(super) fn tell_counts(&self, theirs: u64) {
        if let Some(far) = self.out_state.reader.get() {
            let counts = Counts { outgoing: theirs, incoming: self.unacknowledged() };
            far.mailbox.post(Notice::Counts(far.key, counts));
        }
    }

    pub(super) fn rollback(&mut self) {
        self.stage.clear();
    }

    pub(super) fn ended(&self) -> bool {
        self.closed || self.in_state.writer_gone.load(Ordering::Acquire)
    }

    /// Tells the other side that nothing more comes from here and that nothing is read any more.
    pub(super) fn close(&mut self) {
        if self.closed {
            return;
        }
        self.closed = true;
        self.stage.clear();
        self.out.leave();
        self.flush();
        self.in_state.reader_gone.store(true, Ordering::Release);
        self.out_state.writer_gone.store(true, Ordering::Release);
        if let Some(far) = self.out_state.reader.get() {
            far.mailbox.post(Notice::Ended(far.key));
        } else if let Some(entrance) = self.out_state.entrance.get()
            && match entrance.remains {
                Remains::Everything => false,
                Remains::Words => !self.has_spoken(),
                Remains::Nothing => true,
            }
        {
            // Sockets that nobody uses for long would keep all that ever came and went.
            entrance.withdraw(&self.out_state);
        }
    }

    /// What is left of this end for taking back what it wrote.
    pub(super) fn trace(&self) -> Trace {
        Trace(Arc::downgrade(&self.out_state))
    }

    /// Whether what the far side wrote is not to be read any more.
    pub(super) fn retracted(&self) -> bool {
        self.in_state.retracted.load(Ordering::SeqCst)
    }

    fn has_spoken(&self) -> bool {
        let latest = self.out_state.latest.as_ref();
        self.out.written() > 0 || latest.is_some_and(|latest| latest.message.lock().is_some())
    }

    pub(super) fn reads(&self, direction: &Arc<Direction>) -> bool {
        Arc::ptr_eq(&self.in_state, direction)
    }
}

/// What an end that is gone wrote.
pub struct Trace(Weak<Direction>);

impl Trace {
    /// Whether the far side is gone as well.
    pub fn is_lost(&self) -> bool {
        self.0.strong_count() == 0
    }

    /// Takes back what was not read yet: the far side ends without that.
    pub fn retract(self) {
        let Some(direction) = self.0.upgrade() else { return };
        direction.retracted.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        match (direction.reader.get(), direction.entrance.get()) {
            (Some(reader), _) => reader.mailbox.post(Notice::Ended(reader.key)),
            (None, Some(entrance)) => entrance.withdraw_old(&direction),
            (None, None) => {}
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests;
