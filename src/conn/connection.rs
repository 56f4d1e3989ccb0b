//! The part of a connection that both its I/O thread and its socket's thread work: reading an
//! established stream into the pipe. Writing is in `outbound`.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::Shared;
use super::outbound::Encoding;
use super::web::Web;
use super::worker::{Command, Worker};
use crate::base::Error;
use crate::message::Msg;
use crate::pipe::turn::Turn;
use crate::pipe::wire::{Batch, Item, SendQueue, Wire};
use crate::pipe::{Driver, Pulled, Urgency};
use crate::reactor::{Interest, Registration};
use crate::sync::Lock;
use crate::sys::PerProcess;
use crate::transport::Stream;
use crate::zmtp::Protocol;
use crate::zmtp::command::{self, Command as Zmtp};
use crate::zmtp::decoder::{Decoder, Framing, Malformed, Output, Stop};
use crate::zmtp::mechanism::{Framer, Sealer};
use crate::zmtp::zws::Link;

/// How much the I/O thread reads from one connection before it looks at the others.
const ROUNDS: usize = 4;
/// While the kernel's buffer is full, heartbeats and their answers are dropped once this many bytes wait:
/// a peer that does not read has signs of life enough to come.
const MOST_UNREAD: usize = 64 * 1024;

/// Why an established stream is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The peer closed it, or the network broke it (errno).
    Broken(i32),
    /// The peer broke the protocol: it is not connected to again.
    Protocol,
    /// The same, by something that does not decrypt; with the monitor's code for it.
    Refused(u32),
}

impl Loss {
    /// Whether the peer is to blame, so that there is no point in connecting to it again.
    pub fn is_final(self) -> bool {
        !matches!(self, Loss::Broken(_))
    }
}

impl From<Malformed> for Loss {
    fn from(malformed: Malformed) -> Loss {
        match malformed {
            Malformed::Refused(code) => Loss::Refused(code),
            Malformed::TooLarge | Malformed::NoMemory | Malformed::Frame => Loss::Protocol,
            Malformed::Closed => Loss::Broken(libc::EPIPE),
        }
    }
}

/// Both directions of an established stream, as the handshake left them.
pub(super) struct Codec {
    decoder: Decoder,
    encoding: Encoding,
}

impl Codec {
    /// Bytes as they come, either way.
    pub(super) fn raw(piece: usize, max_size: i64) -> Codec {
        Codec { decoder: Decoder::new(Framing::Raw { piece }, max_size), encoding: Encoding::Raw }
    }

    /// Frames of a dialect, wrapped as the mechanism has it, and in WebSocket frames where the connection is
    /// one. `early` came with the handshake's last bytes.
    pub(super) fn zmtp(
        protocol: Protocol,
        framer: Framer,
        link: Option<Link>,
        max_size: i64,
        early: &[u8],
    ) -> Codec {
        let framing = Framing::Zmtp { protocol, single: protocol.has_v1_frames() };
        let mut decoder = Decoder::new(framing, max_size);
        decoder.preload(early);
        let sealer = match framer {
            Framer::Plain => None,
            Framer::Curve(traffic) => {
                decoder.decrypt(traffic.opener);
                Some(Sealer::Curve(traffic.sealer))
            }
            Framer::Gssapi(traffic) => {
                decoder.decrypt(traffic.opener);
                Some(Sealer::Gssapi(traffic.sealer))
            }
        };
        let encoding = match (link, sealer) {
            (None, None) => Encoding::Zmtp(protocol),
            (None, Some(sealer)) => Encoding::Sealed(protocol, Arc::new(Lock::new(sealer))),
            (Some(link), sealer) => {
                let (wrapper, unwrapper) = link.split(max_size);
                decoder.unwrap(unwrapper);
                Encoding::Web(Arc::new(Lock::new(Web::new(protocol, wrapper, sealer))))
            }
        };
        Codec { decoder, encoding }
    }

    /// Whether traffic may have come with the handshake's last bytes.
    pub(super) fn has_input(&self) -> bool {
        self.decoder.has_input() || matches!(self.encoding, Encoding::Web(_))
    }

    /// A whole message of one part as the peer is to get it.
    pub(super) fn whole(&self, body: &[u8]) -> Result<Vec<u8>, Error> {
        self.encoding.whole(body)
    }

    /// See [`Decoder::skip_name`].
    pub(super) fn skip_name(&mut self) {
        self.decoder.skip_name();
    }
}

/// One connection, or one connect endpoint through all its reconnections.
pub struct Connection {
    pub(super) wire: Arc<Wire>,
    pub(super) worker: Arc<Worker>,
    /// The key in the worker's table, set before anybody else sees the connection.
    pub(super) key: AtomicUsize,
    pub(super) shared: Arc<Shared>,
    pub(super) turn: Arc<Turn>,
    pub(super) reader: Lock<Reader>,
    /// The established stream and how to write to it.
    pub(super) outlet: Lock<Option<(Arc<Stream>, Encoding)>>,
    pub(super) gate: Lock<Gate>,
    /// Something came from the peer since the I/O thread last asked (heartbeats).
    pub(super) heard: AtomicBool,
    /// The time to live of the peer's last PING in tenths of a second; 0 when none is new.
    pub(super) ping_ttl: AtomicU64,
}

/// The receiving state; whoever holds its lock may read.
#[derive(Default)]
pub struct Reader {
    stream: Option<Arc<Stream>>,
    decoder: Option<Decoder>,
    /// Parts of a message that is not complete.
    held: Vec<Item>,
}

/// Which events of the stream the I/O thread is told about.
pub struct Gate {
    pub(super) registration: Registration,
    /// Reading is up to callers at the moment.
    pub(super) taken: bool,
    /// Reading stopped at the receive mark.
    pub(super) paused: bool,
    /// The kernel's buffer is full.
    pub(super) wants_room: bool,
    /// Writing on is up to callers at the moment.
    pub(super) room_taken: bool,
    /// The stream is established (before, the session sets interests itself).
    pub(super) open: bool,
}

impl Gate {
    pub(super) fn new(registration: Registration) -> Gate {
        Gate {
            registration,
            taken: false,
            paused: false,
            wants_room: false,
            room_taken: false,
            open: false,
        }
    }

    pub(super) fn apply(&mut self) {
        if self.open {
            let read = !self.taken && !self.paused;
            // A refusal by the kernel means the descriptor is beyond use; reading it says so.
            let write = self.wants_room && !self.room_taken;
            let _unusable = self.registration.set(Interest { read, write });
        }
    }
}

impl Connection {
    pub(super) fn new(worker: Arc<Worker>, shared: Arc<Shared>, key: usize) -> Arc<Connection> {
        let options = &shared.options;
        let wire = Wire::new(options.sndhwm, options.rcvhwm, options.conflates());
        let gate = Gate::new(worker.registration(key));
        Arc::new(Connection {
            wire,
            worker,
            key: AtomicUsize::new(key),
            turn: shared.owner.turn.clone(),
            shared,
            reader: Lock::default(),
            outlet: Lock::default(),
            gate: Lock::new(gate),
            heard: AtomicBool::new(false),
            ping_ttl: AtomicU64::new(0),
        })
    }

    pub(super) fn key(&self) -> usize {
        self.key.load(Ordering::Relaxed)
    }

    /// The handshake is done: traffic begins.
    pub(super) fn open(&self, stream: &Arc<Stream>, codec: Codec) {
        let Codec { decoder, encoding } = codec;
        let framing = encoding.framing();
        *self.outlet.lock() = Some((stream.clone(), encoding));
        {
            let mut reader = self.reader.lock();
            reader.held.clear();
            reader.decoder = Some(decoder);
            reader.stream = Some(stream.clone());
        }
        self.wire.heed_mark(true);
        {
            let mut queue = self.wire.send.lock();
            queue.framing = framing;
            queue.reset_head();
            queue.link.open = true;
            queue.link.fitted = false;
            queue.link.blocked = false;
        }
        let mut gate = self.gate.lock();
        gate.open = true;
        gate.taken = false;
        gate.paused = false;
        gate.wants_room = false;
        gate.room_taken = false;
        gate.apply();
    }

    /// The stream is over: nobody reads or writes it any more after this.
    pub(super) fn shut(&self) {
        {
            let mut gate = self.gate.lock();
            gate.open = false;
            gate.taken = false;
            gate.registration.clear();
        }
        {
            let mut reader = self.reader.lock();
            reader.stream = None;
            reader.decoder = None;
            reader.held.clear();
        }
        self.close_outlet();
    }

    /// Reads and publishes. True when messages were published.
    pub(super) fn read(&self, by_caller: bool) -> bool {
        let mut reader = if by_caller {
            // Where the I/O thread is at it, it will tell.
            match self.reader.try_lock() {
                Some(reader) => reader,
                None => return false,
            }
        } else {
            self.reader.lock()
        };
        let Some(stream) = reader.stream.clone() else { return false };
        let mut scratch = pool().take();
        let mut published = false;
        let mut resumed = false;
        let rounds = if by_caller { 1 } else { ROUNDS };
        let mut round = 0;
        let loss = loop {
            match self.decode(&mut reader, &mut scratch, by_caller, &mut published) {
                Err(malformed) => break Some(malformed.into()),
                Ok(Stop::Full) => {
                    if self.pause() {
                        resumed = false;
                        break None;
                    }
                    continue;
                }
                Ok(Stop::Hungry) => resumed = true,
            }
            if round == rounds || (by_caller && published) {
                break None;
            }
            let Some(decoder) = &mut reader.decoder else { break None };
            let most = batch(self.shared.options.in_batch_size).min(decoder.appetite());
            // A taste is not worth another wait.
            round += usize::from(decoder.appetite() == usize::MAX);
            let Ok(target) = decoder.target(&mut scratch.bytes) else { break Some(Loss::Protocol) };
            let space = (target.capacity() - target.len()).min(most);
            match stream.receive_at_most(target, most) {
                Ok(0) => break Some(Loss::Broken(libc::EPIPE)),
                Ok(got) => {
                    self.heard.store(true, Ordering::Relaxed);
                    // Less than there was room for: the kernel has no more at the moment.
                    if stream.is_dry(got, space) {
                        round = rounds;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Some(Loss::Broken(error.raw_os_error().unwrap_or(libc::EIO))),
            }
        };
        if let Some(decoder) = &mut reader.decoder {
            decoder.reclaim(&mut scratch.bytes);
        }
        pool().put(scratch);
        if loss.is_some() {
            // Whatever is left in the kernel is never read again, so nobody may try.
            reader.stream = None;
        }
        drop(reader);
        if let Some(loss) = loss {
            self.worker.send(Command::Lost(self.key(), stream, loss));
        } else if resumed {
            let mut gate = self.gate.lock();
            if gate.paused {
                gate.paused = false;
                gate.apply();
            }
        }
        published
    }

    /// Decodes what is at hand, up to the receive mark, and publishes whole messages.
    fn decode(
        &self,
        reader: &mut Reader,
        scratch: &mut Scratch,
        by_caller: bool,
        published: &mut bool,
    ) -> Result<Stop, Malformed> {
        let Some(decoder) = &mut reader.decoder else { return Ok(Stop::Hungry) };
        if !decoder.has_input() {
            return Ok(Stop::Hungry);
        }
        let decoded = decoder.decode(self.wire.room(), &mut scratch.outputs);
        if reader.held.is_empty() {
            std::mem::swap(&mut reader.held, &mut scratch.items);
        }
        // Complete messages at the end of `held`, so far.
        let (mut complete, mut messages) = (0, 0);
        let (mut answers, mut replies, mut asked) = (Vec::new(), Vec::new(), false);
        for output in scratch.outputs.drain(..) {
            match output {
                Output::Frames { chunk, at, end, messages: ended } => {
                    reader.held.push(Item::Batch(Batch { chunk, at, end }));
                    messages += ended;
                    if ended > 0 {
                        complete = reader.held.len();
                    }
                }
                Output::Part(msg) => {
                    let last = !msg.more();
                    reader.held.push(Item::Message(msg));
                    if last {
                        messages += 1;
                        complete = reader.held.len();
                    }
                }
                Output::Command(body) => {
                    if let Some(msg) = self.obey(body, &mut answers) {
                        reader.held.push(Item::Message(msg));
                        messages += 1;
                        complete = reader.held.len();
                        asked = true;
                    }
                }
                Output::Reply(mut reply) => replies.append(&mut reply),
            }
        }
        if self.wire.is_parked() {
            reader.held.clear();
            complete = 0;
        }
        if complete > 0 {
            if complete == reader.held.len() {
                self.wire.received(&mut reader.held, messages, by_caller);
            } else {
                let rest = reader.held.split_off(complete);
                self.wire.received(&mut reader.held, messages, by_caller);
                reader.held = rest;
            }
            *published = true;
            let alone = messages == 1 && !decoder.has_input();
            self.wire.eager.store(by_caller && alone, Ordering::Relaxed);
        }
        if reader.held.is_empty() {
            scratch.items = std::mem::take(&mut reader.held);
        }
        // Whoever gets an answer may rely on it that everything before the question has arrived.
        if !answers.is_empty() {
            self.send_heartbeat(answers);
        }
        if !replies.is_empty() {
            self.send_unless_unread(|queue| queue.push_opaque(replies));
        }
        // Commands pass at the mark, but the messages they become count.
        if asked && decoded == Ok(Stop::Hungry) && self.wire.room() == 0 {
            return Ok(Stop::Full);
        }
        decoded
    }

    /// Sends a PING or PONGs, unless the peer does not read.
    pub(super) fn send_heartbeat(&self, frames: Vec<u8>) {
        self.send_unless_unread(|queue| queue.push_raw(frames));
    }

    fn send_unless_unread(&self, push: impl FnOnce(&mut SendQueue)) {
        let mut queue = self.wire.send.lock();
        if queue.link.blocked && queue.bytes >= MOST_UNREAD {
            return;
        }
        push(&mut queue);
        drop(queue);
        self.flush(Urgency::Now);
    }

    /// Acts on a command; subscriptions become messages for the socket, heartbeats are answered.
    fn obey(&self, body: Msg, answers: &mut Vec<u8>) -> Option<Msg> {
        let (first, topic) = match command::parse(body.data()) {
            Zmtp::Ping { ttl_tenths, context } => {
                command::push_pong(answers, context);
                let promise = u64::from(ttl_tenths);
                if promise > 0 && self.ping_ttl.swap(promise, Ordering::Relaxed) == 0 {
                    self.worker.send(Command::Promised(self.key()));
                }
                return None;
            }
            Zmtp::Subscribe(topic) => (1, topic),
            Zmtp::Cancel(topic) => (0, topic),
            Zmtp::Join(_) | Zmtp::Leave(_) if self.shared.style.has_members => {
                let mut msg = Msg::copy_of(body.data()).ok()?;
                msg.set_command(true);
                return Some(msg);
            }
            _ => return None,
        };
        if !self.shared.style.publisher {
            // The genuine library delivers the command's body where nobody can subscribe.
            return Msg::copy_of(body.data()).ok();
        }
        let mut msg = Msg::with_size(topic.len() + 1).ok()?;
        let data = msg.data_mut();
        if let Some((head, rest)) = data.split_first_mut() {
            *head = first;
            rest.copy_from_slice(topic);
        }
        msg.set_command(true);
        Some(msg)
    }

    /// Whether reading stopped at the receive mark. Then what the kernel has is not to be waited for, and the I/O
    /// thread takes over when the socket has read.
    fn rests(&self, gate: &mut Gate) -> bool {
        if gate.paused {
            gate.taken = false;
            gate.apply();
        }
        gate.paused
    }

    /// Stops reading at the receive mark; false when there is room after all. It may have stopped before: heartbeats are
    /// looked for all the same.
    fn pause(&self) -> bool {
        let mut gate = self.gate.lock();
        gate.paused = true;
        gate.paused = self.wire.pause();
        gate.apply();
        gate.paused
    }
}

impl Driver for Connection {
    fn flush(&self, urgency: Urgency) {
        self.flush_out(urgency);
    }

    fn write_left(&self) {
        // What is appended from here on has to be left anew; what was before is written below.
        self.wire.left.store(0, Ordering::Relaxed);
        self.flush_out(Urgency::Now);
    }

    fn guard(&self) {
        self.stand_guard_if_open();
    }

    fn pull(&self) -> Pulled {
        if !self.gate.lock().taken {
            return Pulled::Over;
        }
        if self.read(true) {
            return Pulled::Messages;
        }
        if self.rests(&mut self.gate.lock()) {
            return Pulled::Over;
        }
        let over = self.reader.try_lock().is_some_and(|reader| reader.stream.is_none());
        if over { Pulled::Over } else { Pulled::Nothing }
    }

    fn resume(&self) -> bool {
        // Whoever paused holds the lock until its pause is complete; then reading may begin anew.
        drop(self.reader.lock());
        self.read(true)
    }

    fn attend(&self) -> Option<Arc<dyn AsRawFd + Send + Sync>> {
        let over = || self.reader.try_lock().is_some_and(|reader| reader.stream.is_none());
        if !self.shared.style.attendable || over() {
            return None;
        }
        let mut gate = self.gate.lock();
        if !gate.open || self.rests(&mut gate) {
            return None;
        }
        if !gate.taken {
            gate.taken = true;
            gate.apply();
            drop(gate);
            self.worker.send_soon(Command::Watch(self.key()));
        }
        let outlet = self.outlet.lock();
        outlet.as_ref().map(|(stream, _)| stream.clone() as Arc<dyn AsRawFd + Send + Sync>)
    }

    fn give_back(&self) {
        let mut gate = self.gate.lock();
        if gate.taken {
            gate.taken = false;
            gate.apply();
        }
    }

    fn rewatch(&self) {
        self.worker.send(Command::Watch(self.key()));
    }

    fn ease(&self) {
        self.await_room();
    }

    fn write_past(&self, frames: &[u8], body: &[u8]) -> bool {
        self.write_message_past(frames, body)
    }

    fn attend_room(&self) -> Option<Arc<dyn AsRawFd + Send + Sync>> {
        let stream = self.outlet.lock().as_ref().map(|(stream, _)| stream.clone())?;
        let mut gate = self.gate.lock();
        if !gate.open || !gate.wants_room || !stream.wants_room(true) {
            return None;
        }
        if !gate.room_taken {
            gate.room_taken = true;
            gate.apply();
        }
        Some(stream)
    }

    fn write_on(&self) {
        self.unblock();
    }

    fn leave_room(&self) {
        let mut gate = self.gate.lock();
        if gate.room_taken {
            gate.room_taken = false;
            gate.apply();
        }
    }

    fn addresses(&self) -> (String, String) {
        match &*self.outlet.lock() {
            Some((stream, _)) => (stream.local_name(), stream.peer_name()),
            None => Default::default(),
        }
    }

    fn close(&self, linger_ms: i32) {
        self.worker.send(Command::Close(self.key(), linger_ms));
    }

    fn fail(&self) {
        if let Some((stream, _)) = self.outlet.lock().clone() {
            self.worker.send(Command::Lost(self.key(), stream, Loss::Protocol));
        }
        self.worker.send(Command::Close(self.key(), 0));
    }
}

/// The most bytes for one system call, by ZMQ_IN_BATCH_SIZE or ZMQ_OUT_BATCH_SIZE. Whoever left that as it
/// is at first gets what is best here, which is more.
pub(super) fn batch(option: i32) -> usize {
    const DEFAULT: i32 = 8192;
    usize::try_from(option).ok().filter(|_| option != DEFAULT).unwrap_or(usize::MAX)
}

/// Where a thread that reads works: what a connection keeps between two reads is its own.
#[derive(Default)]
struct Scratch {
    /// What is read into.
    bytes: Vec<u8>,
    outputs: Vec<Output>,
    items: Vec<Item>,
}

/// Some of them, shared by all threads: only as many exist as threads read at once.
#[derive(Default)]
struct Pool(Lock<Vec<Scratch>>);

/// The pool of the process.
fn pool() -> &'static Pool {
    static POOL: PerProcess<Pool> = PerProcess::new();
    POOL.get()
}

impl Pool {
    fn take(&self) -> Scratch {
        self.0.lock().pop().unwrap_or_default()
    }

    fn put(&self, scratch: Scratch) {
        const KEPT: usize = 8;
        let mut pool = self.0.lock();
        if pool.len() < KEPT && scratch.bytes.capacity() > 0 {
            pool.push(scratch);
        }
    }
}
