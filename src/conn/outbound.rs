//! Writing: who does it, and when.
//!
//! A sender on an idle link writes by itself. In a burst it only appends: the I/O thread is asked once to
//! stand guard, and the sender writes when much of the mark or a buffer is full, or when it has not for a while.
//! The kernel is entered without the queue's lock: whoever writes has taken the segments out, and
//! everybody else just appends.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::connection::{Connection, Loss, batch};
use super::web::Web;
use super::worker::Command;
use crate::base::Error;
use crate::message::{Msg, frame};
use crate::pipe::wire::{Framing, Segment, SendQueue};
use crate::pipe::{Urgency, left};
use crate::sync::{BiasedGuard, Lock};
use crate::sys::{PollFd, poll};
use crate::transport::Stream;
use crate::zmtp::mechanism::Sealer;
use crate::zmtp::{Protocol, command};

/// Two sends closer than this, twice running, are a burst.
const DENSE_NS: u64 = 10_000;
/// So many in the same thread, on any connections, are one too.
const DENSE_THREAD: u8 = 8;
/// Under guard a sender writes by itself when the last write is longer ago than this, or when so many eighths of the
/// mark wait: the more at once the better, but who answers leaves the other end nothing to do meanwhile.
const STALE_NS: u64 = 60_000;
/// A thread that writes to several connections in turn lets each wait for as many times as long, but no more than this:
/// the guard is there by then.
const STALE_MOST: u64 = 3;
const STALE_ANSWER_NS: u64 = 30_000;
const FULL_EIGHTHS: usize = 7;
const FULL_EIGHTHS_ANSWER: usize = 4;
/// Under guard a sender writes by itself when this much waits.
const FULL_BYTES: usize = 64 * 1024;
/// Guard rounds without anything to do until the guard is lifted.
const QUIET_ROUNDS: u8 = 10;
/// Payloads from this size are written from where they are.
pub(super) const BY_REFERENCE: usize = 8 * 1024;
/// Pieces per system call.
const PIECES: usize = 64;
/// A connection on which so much is written at once carries bulk.
const BULK: usize = 32 * 1024;
/// Encoded at a time.
pub(super) const ENOUGH: usize = 64 * 1024;

/// How messages become bytes on one connection.
#[derive(Clone, Debug)]
pub(super) enum Encoding {
    /// Frames of a ZMTP dialect.
    Zmtp(Protocol),
    /// The same, each encrypted. The lock is never waited for: only who writes encrypts.
    Sealed(Protocol, Arc<Lock<Sealer>>),
    /// Either, wrapped in WebSocket frames. As for the lock.
    Web(Arc<Lock<Web>>),
    /// The bodies alone.
    Raw,
}

impl Encoding {
    /// Whether the pipe may lay frames down by itself.
    pub(super) fn framing(&self) -> Framing {
        match self {
            Encoding::Zmtp(protocol) if protocol.has_v1_frames() => Framing::Apart,
            Encoding::Zmtp(_) => Framing::Plain,
            Encoding::Sealed(..) | Encoding::Web(_) => Framing::Encoded,
            Encoding::Raw => Framing::Apart,
        }
    }

    fn is_plain(&self) -> bool {
        self.framing() == Framing::Plain
    }

    /// Whether a segment must not be written as it is.
    fn encodes(&self, segment: &Segment) -> bool {
        match segment {
            Segment::Message(_) => true,
            Segment::Frames { opaque, .. } => {
                !opaque && matches!(self, Encoding::Sealed(..) | Encoding::Web(_))
            }
            Segment::Portion(_) => matches!(self, Encoding::Sealed(..) | Encoding::Web(_)),
            Segment::Payload(_) => matches!(self, Encoding::Sealed(..)),
        }
    }

    /// One message of one part, for the kernel.
    pub(super) fn whole(&self, body: &[u8]) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        match self {
            Encoding::Zmtp(protocol) => protocol.push(&mut bytes, 0, body),
            Encoding::Sealed(_, sealer) => sealer.lock().seal(0, body, &mut bytes)?,
            Encoding::Web(web) => web.lock().push(0, body, &mut bytes)?,
            Encoding::Raw => bytes.extend_from_slice(body),
        }
        Ok(bytes)
    }

    /// Encodes what is at the front of `segments`, into `spare` if that will do.
    fn encode(
        &self,
        segments: &mut VecDeque<Segment>,
        spare: &mut Vec<u8>,
    ) -> Result<(), io::Error> {
        match self {
            Encoding::Sealed(protocol, sealer) => {
                seal(*protocol, &mut sealer.lock(), segments, spare)
            }
            Encoding::Web(web) => web.lock().encode(segments, spare).map_err(failed),
            Encoding::Zmtp(_) | Encoding::Raw => {
                self.encode_open(segments);
                Ok(())
            }
        }
    }

    /// Encodes the messages at the front of `segments`; a large payload stays where it is.
    fn encode_open(&self, segments: &mut VecDeque<Segment>) {
        let (mut bytes, mut messages, mut open) = (Vec::new(), 0, false);
        let mut payload = None;
        while let Some(Segment::Message(_)) = segments.front() {
            if bytes.len() >= ENOUGH || payload.is_some() {
                break;
            }
            let Some(Segment::Message(msg)) = segments.pop_front() else { break };
            open = msg.more();
            match self {
                Encoding::Zmtp(protocol) if msg.is_command() => {
                    push_command(&mut bytes, *protocol, &msg);
                }
                Encoding::Zmtp(protocol) => {
                    let flags = if open { frame::MORE } else { 0 };
                    protocol.push_header(&mut bytes, flags, msg.size());
                    if msg.size() >= BY_REFERENCE {
                        payload = Some(msg);
                        continue;
                    }
                    bytes.extend_from_slice(msg.data());
                }
                _ => bytes.extend_from_slice(msg.data()),
            }
            messages += u32::from(!open);
        }
        let opaque = !self.is_plain();
        if let Some(msg) = payload {
            segments.push_front(Segment::Payload(msg));
            open = true;
        }
        segments.push_front(Segment::Frames { bytes, messages, open, opaque });
    }
}

/// Encrypts what is at the front of `segments`, into one buffer. Nothing leaves it in the clear.
fn seal(
    protocol: Protocol,
    sealer: &mut Sealer,
    segments: &mut VecDeque<Segment>,
    spare: &mut Vec<u8>,
) -> Result<(), io::Error> {
    let mut bytes = std::mem::take(spare);
    bytes.clear();
    let (mut messages, mut open) = (0, false);
    while bytes.len() < ENOUGH {
        match segments.front() {
            Some(Segment::Message(msg)) if msg.is_command() => {
                let mut frame = Vec::new();
                push_command(&mut frame, protocol, msg);
                seal_frames(sealer, &frame, &mut bytes).map_err(failed)?;
                messages += 1;
            }
            Some(Segment::Message(msg)) => {
                open = msg.more();
                let flags = if open { frame::MORE } else { 0 };
                sealer.seal(flags, msg.data(), &mut bytes).map_err(failed)?;
                messages += u32::from(!open);
            }
            Some(Segment::Frames {
                bytes: plain,
                opaque: false,
                messages: ended,
                open: goes_on,
            }) => {
                reserve(&mut bytes, plain, *ended)?;
                seal_frames(sealer, plain, &mut bytes).map_err(failed)?;
                messages += ended;
                open = *goes_on;
            }
            Some(Segment::Portion(portion)) => {
                reserve(&mut bytes, &portion.bytes, portion.messages)?;
                seal_frames(sealer, &portion.bytes, &mut bytes).map_err(failed)?;
                messages += portion.messages;
            }
            // The pipe leaves large ones as messages here.
            Some(Segment::Payload(_)) => return Err(failed(Error::NotSupported)),
            Some(Segment::Frames { .. }) | None => break,
        }
        segments.pop_front();
    }
    segments.push_front(Segment::Frames { bytes, messages, open, opaque: true });
    Ok(())
}

/// Makes room for what most frames become at once.
fn reserve(out: &mut Vec<u8>, frames: &[u8], messages: u32) -> Result<(), io::Error> {
    const OVERHEAD: usize = 48;
    let size = frames.len() + messages as usize * OVERHEAD;
    out.try_reserve(size).map_err(|_| failed(Error::NoMemory))
}

fn failed(error: Error) -> io::Error {
    io::Error::from_raw_os_error(error.errno())
}

/// Encrypts whole frames of ZMTP 3.x, one by one.
fn seal_frames(sealer: &mut Sealer, mut frames: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    while let Some(header) = frame::parse(frames) {
        let len = header.frame_len().ok_or(Error::NotSupported)?;
        let (whole, rest) = frames.split_at_checked(len).ok_or(Error::NotSupported)?;
        sealer.seal(header.flags, whole.get(header.header_len..).unwrap_or_default(), out)?;
        frames = rest;
    }
    Ok(())
}

/// A subscription, by its first byte; anything else is the body of a command, which old peers do not
/// understand and never get.
pub(super) fn push_command(bytes: &mut Vec<u8>, protocol: Protocol, msg: &Msg) {
    match msg.data().split_first() {
        Some((first @ (0 | 1), topic)) => {
            command::push_subscription(bytes, protocol, *first == 1, topic);
        }
        Some(_) if protocol.has_commands() => frame::push(bytes, frame::COMMAND, msg.data()),
        _ => {}
    }
}

/// Nanoseconds on a clock of this process.
pub(super) fn clock() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

thread_local! {
    /// When this thread wrote by itself, and how many times in close succession, whatever the connection.
    static LAST_WRITE: Cell<(u64, u8)> = const { Cell::new((0, 0)) };
}

/// Whether this thread writes to one connection after the other, and comes back at once each time.
fn sends_to_many(now: u64) -> bool {
    let (last, dense) = LAST_WRITE.get();
    let dense = if now.saturating_sub(last) < DENSE_NS { dense.saturating_add(1) } else { 0 };
    LAST_WRITE.set((if dense >= DENSE_THREAD { now } else { last }, dense));
    dense >= DENSE_THREAD
}

/// What the I/O thread found where it stands guard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Guarding {
    /// Senders are at work.
    Busy,
    /// Nothing was left to it.
    Idle,
    /// It does so no longer.
    Over,
}

/// What came of an attempt to write everything.
struct Written {
    messages: usize,
    bytes: usize,
    error: Option<io::Error>,
}

impl Connection {
    pub(super) fn flush_out(&self, urgency: Urgency) {
        let mut queue = self.wire.send.lock();
        if urgency == Urgency::Now {
            queue.end_express();
            queue.catch_up(true);
        }
        if queue.is_empty() || !queue.link.open || queue.link.writing || queue.link.blocked {
            return;
        }
        match urgency {
            Urgency::Now => self.drain(queue),
            Urgency::Auto | Urgency::Soon if self.wire.guarded.load(Ordering::Relaxed) => {
                let now = clock();
                let (eighths, stale) = match urgency {
                    Urgency::Soon => (FULL_EIGHTHS_ANSWER, STALE_ANSWER_NS),
                    _ => (FULL_EIGHTHS, STALE_NS * left::count().clamp(1, STALE_MOST)),
                };
                let due = queue.bytes >= FULL_BYTES
                    || queue.messages >= self.wire.send_limit() / 8 * eighths
                    || now.saturating_sub(queue.link.last_flush) >= stale;
                if due {
                    queue.link.last_flush = now;
                    self.wire.flushed.store(true, Ordering::Relaxed);
                    self.drain(queue);
                }
            }
            Urgency::Soon | Urgency::Later => self.stand_guard(&mut queue),
            Urgency::Auto => {
                let now = clock();
                let dense = now.saturating_sub(queue.link.last_send) < DENSE_NS;
                queue.link.dense = if dense { queue.link.dense.saturating_add(1) } else { 0 };
                if queue.link.dense >= 2 || sends_to_many(now) {
                    self.stand_guard(&mut queue);
                } else {
                    self.drain(queue);
                    // From the end of this write, however long it took: what counts is whether the
                    // sender comes back at once.
                    let now = clock();
                    LAST_WRITE.set((now, LAST_WRITE.get().1));
                    self.wire.send.lock().link.last_send = now;
                }
            }
        }
    }

    /// As [`Connection::stand_guard`], of a connection that can be written.
    pub(super) fn stand_guard_if_open(&self) {
        let mut queue = self.wire.send.lock();
        if queue.link.open {
            self.stand_guard(&mut queue);
        }
    }

    /// From now on senders may leave what they append: the I/O thread looks after it.
    fn stand_guard(&self, queue: &mut SendQueue) {
        if !self.wire.guarded.swap(true, Ordering::Relaxed) {
            self.wire.quiet.store(0, Ordering::Relaxed);
            self.wire.flushed.store(false, Ordering::Relaxed);
            queue.link.last_flush = clock();
            // Where others are guarded, what this sender leaves can wait for as long as theirs.
            self.worker.send_shortly(Command::Guard(self.key()));
        }
    }

    /// The I/O thread's look, which counts as `rounds` of them. At its first look (0 rounds) it writes at once.
    pub(super) fn guard(&self, rounds: u8) -> Guarding {
        if self.wire.flushed.load(Ordering::Relaxed) && rounds > 0 {
            // The sender's lock is left to it.
            self.wire.flushed.store(false, Ordering::Relaxed);
            self.wire.quiet.store(0, Ordering::Relaxed);
            return Guarding::Busy;
        }
        // A sender that is in the middle of it may have lost its processor for milliseconds; this thread's other
        // connections must not wait for that, and there is a next look.
        let Some(mut queue) = self.wire.send.try_lock() else { return Guarding::Busy };
        if queue.is_empty() {
            let quiet = self.wire.quiet.load(Ordering::Relaxed).saturating_add(rounds);
            self.wire.quiet.store(quiet, Ordering::Relaxed);
            if quiet >= QUIET_ROUNDS && !queue.link.writing && queue.leave_idle_feed() {
                queue.link.dense = 0;
                queue.shrink();
                queue.end_express();
                self.wire.guarded.store(false, Ordering::Relaxed);
                return Guarding::Over;
            }
            return Guarding::Idle;
        }
        self.wire.quiet.store(0, Ordering::Relaxed);
        if queue.link.open && !queue.link.writing && !queue.link.blocked {
            self.drain(queue);
        } else if !queue.link.open {
            // Nothing can be written for now; whoever opens the link writes first.
            queue.leave_feed();
            queue.end_express();
            self.wire.guarded.store(false, Ordering::Relaxed);
            return Guarding::Over;
        }
        Guarding::Busy
    }

    /// The kernel has room again.
    pub(super) fn unblock(&self) {
        self.write_on();
        // Most often it is full again, and then the kernel need not hear that this is still of interest.
        let mut gate = self.gate.lock();
        if gate.wants_room && !self.wire.send.lock().link.blocked {
            gate.wants_room = false;
            gate.apply();
        }
    }

    fn write_on(&self) {
        let mut queue = self.wire.send.lock();
        queue.link.blocked = false;
        if queue.link.open && !queue.link.writing && !queue.is_empty() {
            self.drain(queue);
        }
    }

    /// Waits until less waits, writing what the kernel takes; not for long when it takes nothing.
    pub(super) fn await_room(&self) {
        const PATIENCE: Duration = Duration::from_millis(5);
        const SHORTLY: Duration = Duration::from_micros(50);
        let mut began = Instant::now();
        let mut before = usize::MAX;
        loop {
            let writing = {
                let mut queue = self.wire.send.lock();
                if !queue.link.open || !queue.is_heavy() {
                    return;
                }
                if queue.bytes < before {
                    (before, began) = (queue.bytes, Instant::now());
                } else if began.elapsed() >= PATIENCE {
                    queue.link.stubborn = true;
                    return;
                }
                queue.link.writing
            };
            let outlet = self.outlet.lock().clone();
            let Some((stream, _)) = outlet else { return };
            let room = if writing {
                poll(&mut [], Some(SHORTLY))
            } else {
                poll(&mut [PollFd::new(stream.as_raw_fd(), libc::POLLOUT)], Some(PATIENCE))
            };
            match room {
                Ok(0) => {}
                Ok(_) => self.write_on(),
                // A signal: the send is done, and its caller may have something to do about it.
                Err(_) => return,
            }
        }
    }

    /// Whether this is the first bulk on the stream, and the user has not said how much the kernel may hold.
    pub(super) fn wants_fit(&self, queue: &mut SendQueue) -> bool {
        let first = queue.bytes >= BULK && !std::mem::replace(&mut queue.link.fitted, true);
        first && self.shared.options.sndbuf < 0
    }

    /// Writes until nothing is left or the kernel is full. The link must be open, idle and not blocked.
    pub(super) fn drain<'a>(&'a self, mut queue: BiasedGuard<'a, SendQueue>) {
        let outlet = self.outlet.lock().clone();
        let Some((stream, encoding)) = outlet else { return };
        queue.link.writing = true;
        let mut fit = self.wants_fit(&mut queue);
        loop {
            let mut segments = queue.take();
            let mut head = (queue.head_offset, queue.head_open);
            let mut spare = if encoding.is_plain() { Vec::new() } else { queue.take_spare() };
            drop(queue);
            if std::mem::take(&mut fit) {
                stream.fit_bulk();
            }
            let most = batch(self.shared.options.out_batch_size);
            let written = write_out(&stream, &encoding, &mut segments, &mut head, &mut spare, most);
            queue = self.wire.send.lock();
            (queue.head_offset, queue.head_open) = head;
            let keep_large = self.wire.guarded.load(Ordering::Relaxed);
            queue.recycle(spare, keep_large);
            queue.give_back(segments);
            self.wire.sent(&mut queue, written.messages, written.bytes);
            match written.error {
                // What came to its feed meanwhile waits for the guard's next round: others are to be written too.
                None if queue.is_written() => break,
                None if !queue.link.open => break,
                None => {}
                Some(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    queue.link.blocked = true;
                    break;
                }
                Some(error) => {
                    // The reading side finds the end by itself, after everything that came before it;
                    // a stream that nobody can read any more is reported from here.
                    queue.link.blocked = true;
                    queue.link.writing = false;
                    drop(queue);
                    self.broken_outlet(stream, &error);
                    return;
                }
            }
        }
        queue.link.writing = false;
        let blocked = queue.link.blocked;
        self.tell_if_over(&queue);
        drop(queue);
        if blocked {
            let mut gate = self.gate.lock();
            gate.wants_room = true;
            gate.apply();
        }
    }

    pub(super) fn broken_outlet(&self, stream: Arc<Stream>, error: &io::Error) {
        {
            // Nobody waits for room any more, unless there is another stream by now.
            let mut gate = self.gate.lock();
            if self.outlet.lock().as_ref().is_some_and(|(now, _)| Arc::ptr_eq(now, &stream)) {
                gate.wants_room = false;
            }
        }
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        self.worker.send(Command::Broken(self.key(), stream, Loss::Broken(errno)));
    }

    /// Tells the I/O thread of the end of what a socket left that let go.
    pub(super) fn tell_if_over(&self, queue: &SendQueue) {
        if queue.link.closing && queue.is_done() {
            self.worker.send(Command::Written(self.key()));
        }
    }

    /// No more writing: waits out a writer that is in the kernel (its descriptor never blocks).
    pub(super) fn close_outlet(&self) {
        self.outlet.lock().take();
        loop {
            let mut queue = self.wire.send.lock();
            queue.link.open = false;
            if !queue.link.writing {
                queue.link.blocked = false;
                return;
            }
            drop(queue);
            std::thread::yield_now();
        }
    }
}

/// Writes segments until they are gone or the kernel refuses. `head` is the offset into the first one and
/// whether it continues a message. No system call gets more than `most` bytes.
fn write_out(
    stream: &Arc<Stream>,
    encoding: &Encoding,
    segments: &mut VecDeque<Segment>,
    head: &mut (usize, bool),
    spare: &mut Vec<u8>,
    most: usize,
) -> Written {
    let mut written = Written { messages: 0, bytes: 0, error: None };
    while !segments.is_empty() {
        let got = match segments.front() {
            Some(segment) if encoding.encodes(segment) => {
                if let Err(error) = encoding.encode(segments, spare) {
                    written.error = Some(error);
                    break;
                }
                continue;
            }
            Some(Segment::Frames { bytes, .. }) if segments.len() == 1 => {
                let rest = &bytes[head.0.min(bytes.len())..];
                stream.write(&rest[..rest.len().min(most)])
            }
            Some(Segment::Portion(portion)) if segments.len() == 1 => {
                let rest = &portion.bytes[head.0.min(portion.bytes.len())..];
                stream.write(&rest[..rest.len().min(most)])
            }
            Some(Segment::Frames { messages: 0, .. })
                if encoding.is_plain()
                    && segments.get(1).is_some_and(|next| encoding.encodes(next)) =>
            {
                // What the handshake left unsent goes together with the first messages.
                let unsent = segments.pop_front();
                encoding.encode_open(segments);
                unsent.into_iter().for_each(|unsent| segments.push_front(unsent));
                continue;
            }
            _ => {
                let mut pieces = [IoSlice::new(&[]); PIECES];
                let count = gather(segments, encoding, head.0, most, &mut pieces);
                stream.write_vectored(&pieces[..count])
            }
        };
        match got {
            Ok(mut n) => {
                written.bytes += n;
                n += head.0;
                head.0 = 0;
                retire(segments, n, head, &mut written, spare);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                written.error = Some(error);
                break;
            }
        }
    }
    written
}

/// Lists the pieces from the front that are bytes already, `most` bytes of them.
fn gather<'a>(
    segments: &'a VecDeque<Segment>,
    encoding: &Encoding,
    offset: usize,
    mut most: usize,
    pieces: &mut [IoSlice<'a>; PIECES],
) -> usize {
    let mut count = 0;
    let ready = segments.iter().take_while(|segment| !encoding.encodes(segment));
    for segment in ready.take(PIECES) {
        let bytes = match segment {
            Segment::Frames { bytes, .. } => &bytes[..],
            Segment::Portion(portion) => &portion.bytes[..],
            Segment::Payload(msg) => msg.data(),
            Segment::Message(_) => break,
        };
        let skip = if count == 0 { offset.min(bytes.len()) } else { 0 };
        let piece = &bytes[skip..];
        pieces[count] = IoSlice::new(&piece[..piece.len().min(most)]);
        count += 1;
        most = most.saturating_sub(piece.len());
        if most == 0 {
            break;
        }
    }
    count
}

/// Takes `n` written bytes off the front.
fn retire(
    segments: &mut VecDeque<Segment>,
    mut n: usize,
    head: &mut (usize, bool),
    written: &mut Written,
    spare: &mut Vec<u8>,
) {
    while let Some(segment) = segments.front() {
        let size = match segment {
            Segment::Frames { bytes, .. } => bytes.len(),
            Segment::Portion(portion) => portion.bytes.len(),
            Segment::Payload(msg) => msg.size(),
            Segment::Message(_) => return,
        };
        if n < size {
            head.0 = n;
            return;
        }
        n -= size;
        match segments.pop_front() {
            Some(Segment::Frames { bytes, messages, open, .. }) => {
                written.messages += messages as usize;
                head.1 = open;
                *spare = bytes;
            }
            Some(Segment::Portion(portion)) => {
                written.messages += portion.messages as usize;
                head.1 = false;
            }
            Some(Segment::Payload(msg)) => {
                written.messages += usize::from(!msg.more());
                head.1 = msg.more();
            }
            _ => {}
        }
    }
}
