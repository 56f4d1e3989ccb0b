//! The state machine of one connection, or of one connect endpoint through all its attempts. It runs in
//! an I/O thread; the established stream is worked through [`Connection`].

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use socket2::SockAddr;

use super::connection::{Connection, Loss};
use super::worker::{Command, Context, EndpointRef, Worker, Workers};
use super::{Event, Shared};
use crate::base::Error;
use crate::base::constants as c;
use crate::message::{Metadata, Msg};
use crate::pipe::wire::{End, Item};
use crate::pipe::{Driver, Identity, NewPipe, Notice, Pipe, Urgency};
use crate::reactor::{Interest, Ready};
use crate::sys::receive_append;
use crate::transport::{Dial, Progress, Socks, Stream};
use crate::zmtp::command;
use crate::zmtp::decoder::Framing;
use crate::zmtp::handshake::{Failure, Handshake, HandshakeError, Peer, Status};
use crate::zmtp::heartbeat::{Action, Heartbeat};
use crate::zmtp::mechanism::zap::ZapAnswer;

/// Where an authentication handler listens (RFC 27).
const ZAP_ENDPOINT: &str = "inproc://zeromq.zap.01";

/// One connection's life.
pub(super) struct Session {
    connection: Arc<Connection>,
    shared: Arc<Shared>,
    kind: Kind,
    phase: Phase,
    /// The socket has the other end of the pipe.
    attached: bool,
    /// The socket let go: only what is queued matters, until then.
    linger: Option<Linger>,
}

enum Kind {
    Accepted { endpoint: String, peer: String, peer_address: Option<String> },
    Dialing(Box<Dialing>),
}

struct Dialing {
    dial: Dial,
    /// As given to connect, for monitors and lookups.
    endpoint: String,
    /// The interval of the last reconnection, for growing ones; 0 after a success.
    last_interval_ms: u64,
}

enum Phase {
    /// Until the next attempt.
    Waiting(Instant),
    /// A thread asks the name service.
    Resolving,
    Connecting { stream: Arc<Stream>, deadline: Option<Instant> },
    Socks { stream: Arc<Stream>, socks: Box<Socks>, output: Vec<u8>, input: Vec<u8> },
    Handshaking(Box<Handshaking>),
    Open { stream: Arc<Stream>, heartbeat: Option<Heartbeat> },
    /// Nothing will happen any more.
    Over,
}

struct Handshaking {
    stream: Arc<Stream>,
    handshake: Handshake,
    output: Vec<u8>,
    /// What came before the handshake began.
    input: Vec<u8>,
    deadline: Option<Instant>,
    /// It failed, and the peer is left waiting on purpose.
    failed: bool,
}

#[derive(Clone, Copy)]
enum Linger {
    Forever,
    Until(Instant),
}

/// Starts connecting to `address` in the background. With IMMEDIATE off the pipe is there at once.
pub fn dial(
    workers: &Arc<Workers>,
    shared: Arc<Shared>,
    dial: Dial,
    endpoint: &str,
) -> Result<(EndpointRef, Option<Pipe>), Error> {
    let worker = workers.choose(shared.options.affinity).ok_or(Error::NoThread)?;
    let key = worker.next_key();
    let connection = Connection::new(worker.clone(), shared.clone(), key);
    let early = !shared.options.immediate;
    let pipe = early.then(|| pipe_of(&connection));
    let dialing = Dialing { dial, endpoint: endpoint.to_owned(), last_interval_ms: 0 };
    let session = Session {
        connection,
        shared,
        kind: Kind::Dialing(Box::new(dialing)),
        phase: Phase::Over,
        attached: early,
        linger: None,
    };
    worker.count(1);
    worker.send(Command::Session(key, Box::new(session)));
    Ok((EndpointRef { worker, key }, pipe))
}

fn pipe_of(connection: &Arc<Connection>) -> Pipe {
    Pipe::wire(End::new(connection.wire.clone(), connection.clone() as Arc<dyn Driver>))
}

fn fd_value(stream: &Stream) -> u64 {
    stream.as_raw_fd() as u64
}

impl Session {
    /// A session for a stream that a listener took in.
    pub(super) fn accepted(
        worker: &Arc<Worker>,
        key: usize,
        shared: Arc<Shared>,
        stream: Arc<Stream>,
        endpoint: String,
        peer: String,
        peer_address: Option<String>,
    ) -> Session {
        Session {
            connection: Connection::new(worker.clone(), shared.clone(), key),
            shared,
            kind: Kind::Accepted { endpoint, peer, peer_address },
            phase: Phase::Connecting { stream, deadline: None },
            attached: false,
            linger: None,
        }
    }

    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// The I/O thread has taken the session in. Like all calls, answers whether it lives on.
    pub(super) fn begin(&mut self, context: &mut Context<'_>) -> bool {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Connecting { stream, .. } => self.established(stream, Vec::new(), context),
            _ => self.attempt(context),
        }
    }

    /// The descriptor has something to say.
    pub(super) fn ready(&mut self, ready: Ready, context: &mut Context<'_>) -> bool {
        match &self.phase {
            Phase::Connecting { .. } => self.connected(context),
            Phase::Socks { .. } => self.talk_socks(context),
            Phase::Handshaking(_) => self.talk_handshake(context),
            Phase::Open { .. } => {
                if ready.writable {
                    self.connection.unblock();
                }
                if ready.readable {
                    self.connection.read(false);
                }
                self.settle(context)
            }
            Phase::Waiting(_) | Phase::Resolving | Phase::Over => true,
        }
    }

    /// A deadline may have come.
    pub(super) fn timer(&mut self, context: &mut Context<'_>) -> bool {
        if let Some(Linger::Until(until)) = self.linger {
            if until <= context.now {
                return self.finish();
            }
        }
        match &mut self.phase {
            Phase::Waiting(until) if *until <= context.now => self.attempt(context),
            Phase::Connecting { deadline: Some(deadline), .. } if *deadline <= context.now => {
                self.attempt_failed(libc::ETIMEDOUT, context)
            }
            Phase::Handshaking(state) if state.deadline.is_some_and(|at| at <= context.now) => {
                self.handshake_lost(libc::ETIMEDOUT, context)
            }
            Phase::Open { heartbeat: Some(_), .. } => self.beat(context),
            _ => true,
        }
    }

    /// Lets go of what the socket no longer owns; called after anything may have been written.
    pub(super) fn settle(&mut self, _context: &mut Context<'_>) -> bool {
        if self.linger.is_some() && self.connection.wire.send.lock().is_done() {
            return self.finish();
        }
        true
    }

    /// The socket let go.
    pub(super) fn close(&mut self, linger_ms: i32, context: &mut Context<'_>) -> bool {
        if self.linger.is_some() {
            return true;
        }
        if matches!(self.phase, Phase::Open { .. }) {
            self.connection.flush_out(Urgency::Now);
        }
        if linger_ms == 0 || self.connection.wire.send.lock().is_done() {
            return self.finish();
        }
        self.linger = Some(match u64::try_from(linger_ms) {
            Err(_) => Linger::Forever,
            Ok(ms) => {
                let until = context.now + Duration::from_millis(ms);
                context.timers.schedule(until, self.connection.key());
                Linger::Until(until)
            }
        });
        // What comes in is of no interest any more, but a lost peer is.
        self.connection.gate.lock().taken = false;
        true
    }

    /// Writing failed. What the peer sent before is still read; its end then ends the connection.
    pub(super) fn broken(&mut self, loss: Loss, context: &mut Context<'_>) -> bool {
        if !matches!(self.phase, Phase::Open { .. }) {
            return true;
        }
        if self.linger.is_none() {
            {
                let mut gate = self.connection.gate.lock();
                gate.wants_room = false;
                gate.taken = false;
                gate.apply();
                if gate.paused {
                    // The socket reads first; the end of the stream comes after that.
                    return true;
                }
            }
            self.connection.read(false);
            return true;
        }
        self.lost(loss, context)
    }

    /// The established stream is over.
    pub(super) fn lost(&mut self, loss: Loss, context: &mut Context<'_>) -> bool {
        let Phase::Open { stream, .. } = &self.phase else { return true };
        let stream = stream.clone();
        self.connection.shut();
        if self.shared.style.raw {
            let errno = match loss {
                Loss::Broken(errno) => errno,
                Loss::Protocol => libc::EPROTO,
            };
            self.tell(c::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, errno as u64, Some(&stream));
        }
        self.notify(c::ZMQ_NOTIFY_DISCONNECT);
        self.tell(c::ZMQ_EVENT_DISCONNECTED, fd_value(&stream), Some(&stream));
        self.phase = Phase::Over;
        drop(stream);
        self.after_loss(loss == Loss::Protocol, context)
    }

    /// A name was resolved.
    pub(super) fn resolved(
        &mut self,
        addresses: io::Result<Vec<SockAddr>>,
        context: &mut Context<'_>,
    ) -> bool {
        match self.phase {
            Phase::Resolving => self.start(addresses, context),
            _ => true,
        }
    }

    // ---- attempts -----------------------------------------------------------------------------

    fn attempt(&mut self, context: &mut Context<'_>) -> bool {
        let Kind::Dialing(dialing) = &self.kind else { return false };
        match dialing.dial.resolve_now(&self.shared.options) {
            Some(addresses) => self.start(addresses, context),
            None => {
                self.phase = Phase::Resolving;
                let (dial, options) = (dialing.dial.clone(), self.shared.options.clone());
                let (worker, key) = (context.worker.clone(), self.connection.key());
                let asked = std::thread::Builder::new().name("ZMQbg/DNS".into()).spawn(move || {
                    crate::sys::thread::block_all_signals();
                    worker.send(Command::Resolved(key, dial.resolve(&options)));
                });
                match asked {
                    Ok(_) => true,
                    Err(error) => self.start(Err(error), context),
                }
            }
        }
    }

    fn start(&mut self, addresses: io::Result<Vec<SockAddr>>, context: &mut Context<'_>) -> bool {
        let Kind::Dialing(dialing) = &self.kind else { return false };
        let first = match addresses.map(|list| list.into_iter().next()) {
            Ok(Some(first)) => first,
            Ok(None) | Err(_) => return self.retry(context),
        };
        match dialing.dial.start(&first, &self.shared.options) {
            Err(failure) => {
                if let Some(fd) = failure.opened_fd {
                    self.tell(c::ZMQ_EVENT_CLOSED, fd as u64, None);
                }
                self.refused(failure.error.raw_os_error(), context)
            }
            Ok(started) => {
                let stream = Arc::new(started.stream);
                if !started.pending {
                    return self.reached(stream, context);
                }
                self.tell(c::ZMQ_EVENT_CONNECT_DELAYED, libc::EINPROGRESS as u64, None);
                let limit = u64::try_from(self.shared.options.connect_timeout_ms).unwrap_or(0);
                let deadline = (limit > 0 && dialing.dial.has_connect_timeout())
                    .then(|| context.now + Duration::from_millis(limit));
                if let Some(deadline) = deadline {
                    context.timers.schedule(deadline, self.connection.key());
                }
                self.watch(&stream, Interest { read: false, write: true });
                self.phase = Phase::Connecting { stream, deadline };
                true
            }
        }
    }

    fn connected(&mut self, context: &mut Context<'_>) -> bool {
        let Phase::Connecting { stream, .. } = &self.phase else { return true };
        let stream = stream.clone();
        let Kind::Dialing(dialing) = &self.kind else { return true };
        match dialing.dial.finish(&stream, &self.shared.options) {
            Ok(()) => self.reached(stream, context),
            Err(error) => {
                drop(stream);
                self.attempt_failed(error.raw_os_error().unwrap_or(libc::EIO), context)
            }
        }
    }

    /// The attempt under way has failed before there was a connection.
    fn attempt_failed(&mut self, errno: i32, context: &mut Context<'_>) -> bool {
        self.connection.gate.lock().registration.clear();
        if let Phase::Connecting { stream, .. } | Phase::Socks { stream, .. } = &self.phase {
            let fd = fd_value(stream);
            self.phase = Phase::Over;
            self.tell(c::ZMQ_EVENT_CLOSED, fd, None);
        }
        self.refused(Some(errno), context)
    }

    fn refused(&mut self, errno: Option<i32>, context: &mut Context<'_>) -> bool {
        let stop = self.shared.options.reconnect_stop & c::ZMQ_RECONNECT_STOP_CONN_REFUSED != 0;
        let tcp = matches!(&self.kind, Kind::Dialing(d) if matches!(d.dial, Dial::Tcp { proxy: None, .. }));
        if stop && tcp && errno == Some(libc::ECONNREFUSED) {
            return self.give_up();
        }
        self.retry(context)
    }

    /// The stream to the peer, or to the proxy, stands.
    fn reached(&mut self, stream: Arc<Stream>, context: &mut Context<'_>) -> bool {
        let socks = match &self.kind {
            Kind::Dialing(dialing) => dialing.dial.socks(),
            Kind::Accepted { .. } => None,
        };
        let Some(mut socks) = socks else { return self.established(stream, Vec::new(), context) };
        let mut output = Vec::new();
        socks.start(&mut output);
        self.watch(&stream, Interest { read: true, write: false });
        self.phase = Phase::Socks { stream, socks: Box::new(socks), output, input: Vec::new() };
        self.talk_socks(context)
    }

    fn talk_socks(&mut self, context: &mut Context<'_>) -> bool {
        let Phase::Socks { stream, socks, output, input } = &mut self.phase else { return true };
        let stream = stream.clone();
        let progress = loop {
            if let Err(errno) = write_some(&stream, output) {
                break Err(errno);
            }
            input.reserve(512);
            match receive_append(&*stream, input) {
                Ok(0) => break Err(libc::EPIPE),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Ok(None),
                Err(error) => break Err(error.raw_os_error().unwrap_or(libc::EIO)),
            }
            match socks.input(input, output) {
                Ok(Progress::NeedMore) => input.clear(),
                // The peer behind the proxy may have spoken already.
                Ok(Progress::Done { consumed }) => break Ok(Some(input.split_off(consumed))),
                Err(_) => break Err(libc::EPROTO),
            }
        };
        match progress {
            Ok(Some(early)) => self.established(stream, early, context),
            Ok(None) => {
                let write = !output.is_empty();
                self.watch(&stream, Interest { read: true, write });
                true
            }
            Err(errno) => self.attempt_failed(errno, context),
        }
    }

    /// Waits and tries again, unless the options forbid it.
    fn retry(&mut self, context: &mut Context<'_>) -> bool {
        let Kind::Dialing(dialing) = &mut self.kind else { return false };
        let (base, max) = (
            u64::try_from(self.shared.options.reconnect_ivl_ms).unwrap_or(0),
            u64::try_from(self.shared.options.reconnect_ivl_max_ms).unwrap_or(0),
        );
        if base == 0 {
            // Never again; the endpoint stays until the socket gives it up.
            self.phase = Phase::Over;
            return true;
        }
        let interval = if max == 0 {
            base + fastrand::u64(..base)
        } else {
            let grown = match dialing.last_interval_ms {
                0 => base,
                last => last.saturating_mul(2),
            };
            grown.min(max)
        };
        dialing.last_interval_ms = interval;
        let until = context.now + Duration::from_millis(interval);
        self.phase = Phase::Waiting(until);
        context.timers.schedule(until, self.connection.key());
        self.tell(c::ZMQ_EVENT_CONNECT_RETRIED, interval, None);
        true
    }

    // ---- handshake ----------------------------------------------------------------------------

    fn established(
        &mut self,
        stream: Arc<Stream>,
        early: Vec<u8>,
        context: &mut Context<'_>,
    ) -> bool {
        if let Kind::Dialing(dialing) = &mut self.kind {
            dialing.last_interval_ms = 0;
            self.tell(c::ZMQ_EVENT_CONNECTED, fd_value(&stream), Some(&stream));
        }
        let Some(config) = self.shared.handshake.clone() else {
            return self.open_raw(stream, context);
        };
        let mut handshake = match Handshake::new(config) {
            Ok(handshake) => handshake,
            Err(error) => {
                let errno = error.errno() as u64;
                self.tell(c::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, errno, Some(&stream));
                self.tell(c::ZMQ_EVENT_DISCONNECTED, fd_value(&stream), Some(&stream));
                return self.after_loss(true, context);
            }
        };
        let mut output = Vec::new();
        handshake.start(&mut output);
        let limit = u64::try_from(self.shared.options.handshake_ivl_ms).unwrap_or(0);
        let deadline = (limit > 0).then(|| context.now + Duration::from_millis(limit));
        if let Some(deadline) = deadline {
            context.timers.schedule(deadline, self.connection.key());
        }
        self.phase = Phase::Handshaking(Box::new(Handshaking {
            stream,
            handshake,
            output,
            input: early,
            deadline,
            failed: false,
        }));
        self.talk_handshake(context)
    }

    fn talk_handshake(&mut self, context: &mut Context<'_>) -> bool {
        let hub = self.shared.hub.clone();
        let Phase::Handshaking(state) = &mut self.phase else { return true };
        let stream = state.stream.clone();
        let mut input = std::mem::take(&mut state.input);
        let outcome = loop {
            // A peer that does not read is found by the time limit.
            if let Err(errno) = write_some(&stream, &mut state.output) {
                break Err(errno);
            }
            if input.is_empty() {
                input.reserve(4096);
                match receive_append(&*stream, &mut input) {
                    Ok(0) => break Err(libc::EPIPE),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Ok(None),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => break Err(error.raw_os_error().unwrap_or(libc::EIO)),
                }
            }
            if state.failed {
                input.clear();
                continue;
            }
            match advance(state, &input, &hub) {
                Ok(None) => input.clear(),
                Ok(Some((peer, used))) => break Ok(Some((peer, input.split_off(used)))),
                Err(error) => {
                    let _undeliverable = write_some(&stream, &mut state.output);
                    if !self.handshake_failed(&stream, error) {
                        continue_failed(&mut self.phase);
                        return true;
                    }
                    self.phase = Phase::Over;
                    self.connection.gate.lock().registration.clear();
                    self.tell(c::ZMQ_EVENT_DISCONNECTED, fd_value(&stream), Some(&stream));
                    drop(stream);
                    return self.after_loss(true, context);
                }
            }
        };
        match outcome {
            Ok(None) => {
                let write = !state.output.is_empty();
                self.watch(&stream, Interest { read: true, write });
                true
            }
            Ok(Some((peer, early))) => {
                let unsent = std::mem::take(&mut state.output);
                self.open(stream, *peer, &early, unsent, context)
            }
            Err(errno) => self.handshake_lost(errno, context),
        }
    }

    /// Tells of a failed handshake; true when the connection is to be closed now.
    fn handshake_failed(&self, stream: &Arc<Stream>, error: HandshakeError) -> bool {
        match error.failure {
            Failure::Protocol(code) => self.tell(
                c::ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL,
                u64::from(code),
                Some(stream),
            ),
            Failure::Auth(status) => {
                self.tell(c::ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, u64::from(status), Some(stream));
            }
            Failure::NoDetail(errno) => {
                self.tell(c::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, errno as u64, Some(stream));
            }
            Failure::Silent => {}
        }
        !error.stays_open
    }

    /// The stream ended, or time was up, before the handshake was done.
    fn handshake_lost(&mut self, errno: i32, context: &mut Context<'_>) -> bool {
        let Phase::Handshaking(state) = std::mem::replace(&mut self.phase, Phase::Over) else {
            return true;
        };
        self.connection.gate.lock().registration.clear();
        let stream = state.stream;
        if !state.failed {
            self.tell(c::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, errno as u64, Some(&stream));
        }
        self.tell(c::ZMQ_EVENT_DISCONNECTED, fd_value(&stream), Some(&stream));
        drop(stream);
        let stop = self.shared.options.reconnect_stop & c::ZMQ_RECONNECT_STOP_HANDSHAKE_FAILED;
        self.after_loss(stop != 0, context)
    }

    // ---- traffic ------------------------------------------------------------------------------

    fn open(
        &mut self,
        stream: Arc<Stream>,
        peer: Peer,
        early: &[u8],
        unsent: Vec<u8>,
        context: &mut Context<'_>,
    ) -> bool {
        let protocol = peer.protocol;
        let identity = Identity {
            metadata: Some(self.metadata(&stream, &peer)),
            subscribe_to_all: peer.assume_subscribed_to_all(),
            routing_id: peer.routing_id,
        };
        let framing = Framing::Zmtp { protocol, single: protocol.has_v1_frames() };
        let mut heartbeat = None;
        if protocol.has_commands() {
            self.tell(c::ZMQ_EVENT_HANDSHAKE_SUCCEEDED, 0, Some(&stream));
            let o = &self.shared.options;
            let ttl_ms = i32::from(o.heartbeat_ttl_ds) * 100;
            let mut beats = Heartbeat::new(o.heartbeat_ivl_ms, ttl_ms, o.heartbeat_timeout_ms);
            beats.on_established(context.now);
            heartbeat = Some(beats);
        }
        if !unsent.is_empty() {
            self.connection.wire.send.lock().push_raw_front(unsent);
        }
        self.go(stream, framing, early, identity, heartbeat, context)
    }

    fn open_raw(&mut self, stream: Arc<Stream>, context: &mut Context<'_>) -> bool {
        let mut metadata = Metadata::new(stream.as_raw_fd());
        if let Some(address) = self.peer_address(&stream) {
            metadata.push(b"Peer-Address", address.as_bytes());
        }
        let identity =
            Identity { metadata: Some(Arc::new(metadata)), ..Identity::default() };
        self.go(stream, Framing::Raw, &[], identity, None, context)
    }

    fn go(
        &mut self,
        stream: Arc<Stream>,
        framing: Framing,
        early: &[u8],
        identity: Identity,
        heartbeat: Option<Heartbeat>,
        context: &mut Context<'_>,
    ) -> bool {
        if self.shared.ended.load(Ordering::SeqCst) && !self.attached {
            return self.finish();
        }
        self.connection.gate.lock().registration.set_source(stream.clone());
        // The socket hears who the peer is before it can read anything from it.
        if self.attached {
            self.connection.wire.identified(identity);
        } else {
            self.attached = true;
            self.shared.owner.attach(NewPipe {
                pipe: pipe_of(&self.connection),
                identity: Some(identity),
                endpoint: self.shared.endpoint,
                initiator: matches!(self.kind, Kind::Dialing(_)),
            });
        }
        self.notify(c::ZMQ_NOTIFY_CONNECT);
        self.phase = Phase::Open { stream: stream.clone(), heartbeat };
        self.connection.open(&stream, framing, early);
        self.connection.read(false);
        self.connection.flush_out(Urgency::Now);
        self.plan_heartbeat(context);
        self.settle(context)
    }

    /// Shows the socket the beginning or end of the connection, where its type wants to see it.
    fn notify(&self, what: i32) {
        if self.shared.style.notifies & what != 0 {
            let mut empty = vec![Item::Message(Msg::new())];
            self.connection.wire.received(&mut empty, 1, false);
        }
    }

    fn metadata(&self, stream: &Stream, peer: &Peer) -> Arc<Metadata> {
        let mut metadata = Metadata::new(stream.as_raw_fd());
        if let Some(address) = self.peer_address(stream) {
            metadata.push(b"Peer-Address", address.as_bytes());
        }
        if let Some(grant) = &peer.grant {
            metadata.push(b"User-Id", &grant.user_id);
            for (name, value) in &grant.properties {
                metadata.push(name, value);
            }
        }
        for (name, value) in &peer.properties {
            metadata.push(name, value);
        }
        Arc::new(metadata)
    }

    fn peer_address(&self, stream: &Stream) -> Option<String> {
        match &self.kind {
            Kind::Accepted { peer_address, .. } => peer_address.clone(),
            Kind::Dialing(_) => stream.peer_address(),
        }
    }

    fn plan_heartbeat(&self, context: &mut Context<'_>) {
        if let Phase::Open { heartbeat: Some(heartbeat), .. } = &self.phase {
            if let Some(deadline) = heartbeat.next_deadline() {
                context.timers.schedule(deadline, self.connection.key());
            }
        }
    }

    fn beat(&mut self, context: &mut Context<'_>) -> bool {
        let Phase::Open { heartbeat: Some(heartbeat), .. } = &mut self.phase else { return true };
        let connection = &self.connection;
        // What the kernel holds counts as heard; while our own application does not read, nothing can
        // be said about the peer.
        connection.read(false);
        if connection.heard.swap(false, Ordering::Relaxed) {
            heartbeat.on_received(context.now);
        }
        match connection.ping_ttl.swap(0, Ordering::Relaxed) {
            0 => {}
            ttl => heartbeat.on_ping(context.now, u16::try_from(ttl - 1).unwrap_or(u16::MAX)),
        }
        if connection.gate.lock().paused {
            heartbeat.pause(context.now);
        } else {
            heartbeat.resume(context.now);
        }
        match heartbeat.on_timer(context.now) {
            Action::Expired => return self.lost(Loss::Broken(libc::ETIMEDOUT), context),
            Action::SendPing => {
                let mut ping = Vec::new();
                command::push_ping(&mut ping, heartbeat.ttl_tenths());
                connection.wire.send.lock().push_raw(ping);
                connection.flush_out(Urgency::Now);
            }
            Action::None => {}
        }
        self.plan_heartbeat(context);
        true
    }

    // ---- endings ------------------------------------------------------------------------------

    /// What follows the end of a stream. With `for_good` there is no reconnection.
    fn after_loss(&mut self, for_good: bool, context: &mut Context<'_>) -> bool {
        let dialing = matches!(self.kind, Kind::Dialing(_));
        if !dialing || for_good {
            self.connection.wire.send.lock().clear();
            self.connection.wire.end();
            return false;
        }
        if self.shared.options.reconnect_ivl_ms <= 0 {
            return self.give_up();
        }
        if self.shared.options.immediate && self.attached {
            if self.linger.is_some() {
                return self.finish();
            }
            self.connection.wire.end();
            let (worker, key) = (context.worker.clone(), self.connection.key());
            self.connection = Connection::new(worker, self.shared.clone(), key);
            self.attached = false;
        } else {
            let mut queue = self.connection.wire.send.lock();
            queue.unframe();
            if self.shared.style.hiccups {
                queue.clear();
                drop(queue);
                self.connection.wire.hiccup();
            }
        }
        if self.linger.is_some() && self.connection.wire.send.lock().is_done() {
            return self.finish();
        }
        self.retry(context)
    }

    /// The endpoint ends by itself.
    fn give_up(&mut self) -> bool {
        self.phase = Phase::Over;
        self.connection.wire.end();
        self.shared.owner.mailbox.post(Notice::EndpointGone(self.shared.endpoint));
        false
    }

    /// The end that the socket asked for.
    fn finish(&mut self) -> bool {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Connecting { stream, .. } | Phase::Socks { stream, .. } => {
                self.connection.gate.lock().registration.clear();
                self.tell(c::ZMQ_EVENT_CLOSED, fd_value(&stream), None);
            }
            Phase::Open { stream, .. } => {
                self.connection.shut();
                part(&stream);
            }
            Phase::Handshaking(_) => self.connection.gate.lock().registration.clear(),
            Phase::Waiting(_) | Phase::Resolving | Phase::Over => {}
        }
        self.connection.wire.send.lock().clear();
        self.connection.wire.end();
        false
    }

    fn watch(&self, stream: &Arc<Stream>, interest: Interest) {
        let mut gate = self.connection.gate.lock();
        if !gate.registration.has_source() {
            gate.registration.set_source(stream.clone());
        }
        // A refusal means the descriptor is beyond use; the time limits end such an attempt.
        let _unusable = gate.registration.set(interest);
    }

    fn tell(&self, code: i32, value: u64, stream: Option<&Arc<Stream>>) {
        let own = stream.map(|stream| stream.local_name()).unwrap_or_default();
        let (local, remote, accepting) = match &self.kind {
            Kind::Accepted { endpoint, peer, .. } => (endpoint.as_str(), peer.as_str(), true),
            Kind::Dialing(dialing) => (own.as_str(), dialing.shown(), false),
        };
        self.shared.owner.observer.event(&Event { code, value, local, remote, accepting });
    }
}

impl Dialing {
    /// What monitors call the other end.
    fn shown(&self) -> &str {
        &self.endpoint
    }
}

/// Gives the handshake its input, answering what it asks for. Done: the peer, and how many bytes it took.
fn advance(
    state: &mut Handshaking,
    input: &[u8],
    hub: &crate::hub::Hub,
) -> Result<Option<(Box<Peer>, usize)>, HandshakeError> {
    let mut used = 0;
    loop {
        let step = state.handshake.input(&input[used..], &mut state.output)?;
        used += step.consumed;
        let mut status = step.status;
        if let Status::Zap(_) = status {
            if hub.is_bound(ZAP_ENDPOINT) {
                // Asking the handler is not built yet; letting the peer in unasked would be worse.
                return Err(Failure::NoDetail(libc::ENOTSUP).into());
            }
            status = state.handshake.zap_reply(ZapAnswer::NoHandler, &mut state.output)?;
            if !matches!(status, Status::Done(_)) && used < input.len() {
                continue;
            }
        }
        return match status {
            Status::Done(peer) => Ok(Some((peer, used))),
            _ => Ok(None),
        };
    }
}

fn continue_failed(phase: &mut Phase) {
    if let Phase::Handshaking(state) = phase {
        state.failed = true;
    }
}

/// Writes what the kernel takes off the front of `output`.
fn write_some(stream: &Stream, output: &mut Vec<u8>) -> Result<(), i32> {
    while !output.is_empty() {
        match stream.write(output) {
            Ok(n) => drop(output.drain(..n)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.raw_os_error().unwrap_or(libc::EIO)),
        }
    }
    Ok(())
}

/// Closes so that the peer can read everything: with unread input a close would reset the connection and
/// take the sent tail with it.
fn part(stream: &Stream) {
    const MOST: usize = 64;
    let _gone_already = stream.shutdown_write();
    let mut waste = [0; 16 * 1024];
    for _ in 0..MOST {
        match stream.read(&mut waste) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_written_in_order_until_the_kernel_is_full() {
        let (a, b) = Stream::connected_pair().expect("pair");
        let mut output: Vec<u8> = (0..=255).cycle().take(4 << 20).collect();
        let all = output.clone();
        assert_eq!(write_some(&a, &mut output), Ok(()));
        assert!(!output.is_empty(), "the kernel takes no four megabytes");
        let mut got = Vec::new();
        while got.len() < all.len() {
            got.reserve(1 << 16);
            if receive_append(&b, &mut got).is_err() {
                assert_eq!(write_some(&a, &mut output), Ok(()));
            }
        }
        assert_eq!(got, all);
    }
}
