//! The state machine of one connection, or of one connect endpoint through all its attempts. It runs in
//! an I/O thread; the established stream is worked through [`Connection`].

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::SockAddr;

use zeroize::{Zeroize, Zeroizing};

use super::accept::local_of;
use super::connection::{Connection, Loss};
use super::strangers::Place;
use super::worker::{Command, Context, EndpointRef, Worker, Workers};
use super::zap::Asking;
use super::{Event, Shared};
use crate::base::Error;
use crate::base::constants as c;
use crate::pipe::wire::End;
use crate::pipe::{Driver, Notice, Pipe, Urgency};
use crate::reactor::{Interest, Ready};
use crate::transport::{Dial, Socks, Stream};
use crate::zmtp::handshake::Handshake;
use crate::zmtp::heartbeat::Heartbeat;
use crate::zmtp::zws::Link;

/// One connection's life.
pub(super) struct Session {
    pub(super) connection: Arc<Connection>,
    pub(super) kind: Kind,
    pub(super) phase: Phase,
    /// The socket has the other end of the pipe.
    pub(super) attached: bool,
    /// The socket let go: only what is queued matters, until then.
    pub(super) linger: Option<Linger>,
    /// When heartbeats are looked at next.
    pub(super) next_look: Option<Instant>,
}

pub(super) enum Kind {
    Accepted(Box<Accepted>),
    Dialing(Box<Dialing>),
}

pub(super) struct Accepted {
    /// The listener's.
    pub(super) endpoint: Arc<str>,
    /// The peer's, as monitors show it, and as messages do.
    pub(super) peer: String,
    pub(super) peer_address: Option<String>,
}

pub(super) struct Dialing {
    pub(super) dial: Dial,
    /// What monitors call the other end: the endpoint as given to connect, or the proxy's.
    pub(super) shown: Arc<str>,
    /// Addresses of the name that this attempt has not come to yet, the next one last.
    pub(super) untried: Box<[SockAddr]>,
    /// The interval of the last reconnection, for growing ones; 0 after a success.
    pub(super) last_interval_ms: u64,
}

pub(super) enum Phase {
    /// Until the next attempt.
    Waiting(Instant),
    /// A thread asks the name service.
    Resolving,
    Connecting {
        stream: Arc<Stream>,
        deadline: Option<Instant>,
    },
    Socks(Box<Proxied>),
    Handshaking(Box<Handshaking>),
    Open {
        stream: Arc<Stream>,
        /// There once either end wishes for it.
        heartbeat: Option<Box<Heartbeat>>,
    },
    /// Nothing will happen any more.
    Over,
}

/// What is being said to a proxy.
pub(super) struct Proxied {
    pub(super) stream: Arc<Stream>,
    pub(super) socks: Socks,
    pub(super) output: Zeroizing<Vec<u8>>,
    pub(super) input: Vec<u8>,
}

pub(super) struct Handshaking {
    pub(super) stream: Arc<Stream>,
    pub(super) handshake: Handshake,
    /// What its frames are wrapped in, on a WebSocket connection.
    pub(super) link: Option<Box<Link>>,
    pub(super) output: Vec<u8>,
    /// Nothing was said yet.
    pub(super) fresh: bool,
    /// What came before the handshake began.
    pub(super) input: Vec<u8>,
    pub(super) deadline: Option<Instant>,
    /// It failed, and the peer is left waiting on purpose.
    pub(super) failed: bool,
    /// The authentication handler has been asked.
    pub(super) asking: Option<Box<Asking>>,
    /// Among those who have proven nothing; None for those we connected to.
    pub(super) _place: Option<Place>,
}

#[derive(Clone, Copy)]
pub(super) enum Linger {
    Forever,
    Until(Instant),
}

impl Linger {
    /// From now on for so many milliseconds (below 0: for ever), at whose end the timer of `key` is called.
    pub(super) fn begin(linger_ms: i32, key: usize, context: &mut Context<'_>) -> Linger {
        let Ok(ms) = u64::try_from(linger_ms) else { return Linger::Forever };
        let until = context.now + Duration::from_millis(ms);
        context.timers.schedule(until, key);
        Linger::Until(until)
    }
}

/// A connecter that was not started yet: its pipe has to report to the socket first.
pub struct Dialer {
    place: EndpointRef,
    session: Box<Session>,
    pipe: Option<Pipe>,
}

impl Dialer {
    /// The socket's pipe, to be taken in before the start; with IMMEDIATE it comes later, by itself.
    pub fn take_pipe(&mut self) -> Option<Pipe> {
        self.pipe.take()
    }

    /// Starts connecting in the background.
    pub fn start(self) -> EndpointRef {
        let Dialer { place, session, .. } = self;
        place.worker.send(Command::Session(place.key, session));
        place
    }
}

/// Prepares a connecter to `endpoint`.
pub fn dial(
    workers: &Arc<Workers>,
    shared: Arc<Shared>,
    dial: Dial,
    endpoint: &Arc<str>,
) -> Result<Dialer, Error> {
    let worker = workers.choose(shared.options.affinity).ok_or(Error::NoThread)?;
    let key = worker.next_key();
    let early = !shared.options.immediate;
    let connection = Connection::new(worker.clone(), shared, key);
    let pipe = early.then(|| pipe_of(&connection));
    // Where there is a proxy, it is the other end as far as anybody can see.
    let shown = dial.proxy_endpoint().map_or_else(|| endpoint.clone(), Arc::from);
    let dialing = Dialing { dial, shown, untried: Box::default(), last_interval_ms: 0 };
    let session = Session {
        connection,
        kind: Kind::Dialing(Box::new(dialing)),
        phase: Phase::Over,
        attached: early,
        linger: None,
        next_look: None,
    };
    worker.count(1);
    Ok(Dialer { place: EndpointRef { worker, key }, session: Box::new(session), pipe })
}

pub(super) fn pipe_of(connection: &Arc<Connection>) -> Pipe {
    Pipe::wire(End::new(connection.wire.clone(), connection.clone() as Arc<dyn Driver>))
}

pub(super) fn fd_value(stream: &Stream) -> u64 {
    stream.as_raw_fd() as u64
}

impl Session {
    /// A session for a stream that a listener took in.
    pub(super) fn accepted(
        worker: &Arc<Worker>,
        key: usize,
        shared: Arc<Shared>,
        stream: Arc<Stream>,
        accepted: Accepted,
    ) -> Session {
        Session {
            connection: Connection::new(worker.clone(), shared, key),
            kind: Kind::Accepted(Box::new(accepted)),
            phase: Phase::Connecting { stream, deadline: None },
            attached: false,
            linger: None,
            next_look: None,
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
            Phase::Socks(_) => self.talk_socks(context),
            Phase::Handshaking(_) => self.talk_handshake(context),
            Phase::Open { .. } => {
                if ready.writable {
                    self.connection.unblock();
                }
                // An event from before a caller took the connection over is the caller's.
                if ready.readable && !self.connection.gate.lock().taken {
                    self.connection.read(false);
                }
                self.settle(context)
            }
            Phase::Waiting(_) | Phase::Resolving | Phase::Over => true,
        }
    }

    /// A deadline may have come.
    pub(super) fn timer(&mut self, context: &mut Context<'_>) -> bool {
        if let Some(Linger::Until(until)) = self.linger
            && until <= context.now
        {
            return self.finish();
        }
        match &mut self.phase {
            Phase::Waiting(until) if *until <= context.now => self.attempt(context),
            Phase::Connecting { deadline: Some(deadline), .. } if *deadline <= context.now => {
                self.attempt_failed(libc::ETIMEDOUT, context)
            }
            Phase::Handshaking(state) if state.deadline.is_some_and(|at| at <= context.now) => {
                self.handshake_lost(libc::ETIMEDOUT, context)
            }
            Phase::Open { .. } => self.beat(context),
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
        let done = {
            let mut queue = self.connection.wire.send.lock();
            queue.link.closing = true;
            queue.is_done()
        };
        if linger_ms == 0 || done {
            return self.finish();
        }
        self.linger = Some(Linger::begin(linger_ms, self.connection.key(), context));
        // What comes in is of no interest any more, but a lost peer is.
        self.connection.gate.lock().taken = false;
        true
    }

    /// Whether it was accepted by the listener that has this, and its socket has heard nothing of it yet.
    pub(super) fn came_through(&self, listener: &Arc<Shared>) -> bool {
        let accepted = matches!(self.kind, Kind::Accepted(_));
        accepted && !self.attached && Arc::ptr_eq(&self.connection.shared, listener)
    }

    /// Its listener is gone before the handshake was done. It would hold its socket's place in the context for as long
    /// as the peer cares to take over that.
    pub(super) fn disowned(&mut self, _context: &mut Context<'_>) -> bool {
        self.finish()
    }

    /// Whether this is its established stream.
    pub(super) fn is_on(&self, of: &Arc<Stream>) -> bool {
        matches!(&self.phase, Phase::Open { stream, .. } if Arc::ptr_eq(stream, of))
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
                    match self.kind {
                        Kind::Accepted(_) if !self.connection.wire.is_parked() => {
                            drop(gate);
                            // The socket reads first; the end of the stream comes after that. What it sends
                            // meanwhile has nobody to go to.
                            self.connection.wire.deafen();
                            return true;
                        }
                        _ => {
                            // What it sends is kept for the next connection, and its sender may be waiting for that;
                            // or nobody is going to read. So the rest is taken past the mark: no more can come than
                            // the kernel holds.
                            self.connection.wire.heed_mark(false);
                            gate.paused = false;
                            gate.apply();
                        }
                    }
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
        if self.connection.shared.style.raw {
            let errno = match loss {
                Loss::Broken(errno) => errno,
                Loss::Protocol | Loss::Refused(_) => libc::EPROTO,
            };
            self.tell(c::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, errno as u64, Some(&stream));
        }
        if let Loss::Refused(code) = loss {
            self.tell(c::ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL, u64::from(code), Some(&stream));
        }
        self.notify(c::ZMQ_NOTIFY_DISCONNECT);
        self.show_loss(loss.is_final());
        self.tell(c::ZMQ_EVENT_DISCONNECTED, fd_value(&stream), Some(&stream));
        self.phase = Phase::Over;
        if Arc::strong_count(&stream) > 1 {
            // Callers keep it in their lists until their next wait, and the peer is to hear of the end now.
            let _gone_already = stream.cut();
        }
        drop(stream);
        self.after_loss(loss.is_final(), context)
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

    /// What follows the end of a stream. With `for_good` there is no reconnection.
    pub(super) fn after_loss(&mut self, for_good: bool, context: &mut Context<'_>) -> bool {
        let dialing = matches!(self.kind, Kind::Dialing(_));
        if !dialing || for_good {
            self.connection.wire.send.lock().clear();
            self.end_pipe();
            return false;
        }
        if self.connection.shared.options.reconnect_ivl_ms <= 0 {
            return self.give_up();
        }
        if self.connection.shared.options.immediate && self.attached {
            if self.linger.is_some() {
                return self.finish();
            }
            self.end_pipe();
            let (worker, key) = (context.worker.clone(), self.connection.key());
            self.connection = Connection::new(worker, self.connection.shared.clone(), key);
            self.attached = false;
        } else {
            let mut queue = self.connection.wire.send.lock();
            queue.unframe();
            let hiccups = self.connection.shared.style.hiccups;
            if hiccups {
                queue.clear();
            }
            // What is lost makes room, and nothing else may be left whose departure would tell.
            self.connection.wire.sent(&mut queue, 0, 0);
            drop(queue);
            if hiccups {
                self.connection.wire.hiccup();
            }
        }
        if self.linger.is_some() && self.connection.wire.send.lock().is_done() {
            return self.finish();
        }
        self.retry(context)
    }

    /// The endpoint ends by itself.
    pub(super) fn give_up(&mut self) -> bool {
        self.phase = Phase::Over;
        self.end_pipe();
        self.connection
            .shared
            .owner
            .mailbox
            .post(Notice::EndpointGone(self.connection.shared.endpoint));
        false
    }

    /// The end that the socket asked for.
    pub(super) fn finish(&mut self) -> bool {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Connecting { stream, .. } => self.abandon(&stream),
            Phase::Socks(proxied) => self.abandon(&proxied.stream),
            Phase::Open { stream, .. } => {
                self.connection.say_goodbye();
                self.connection.shut();
                part(&stream);
            }
            Phase::Handshaking(_) => self.connection.gate.lock().registration.clear(),
            Phase::Waiting(_) | Phase::Resolving | Phase::Over => {}
        }
        self.connection.wire.send.lock().clear();
        self.end_pipe();
        false
    }

    /// It never came to a handshake.
    fn abandon(&self, stream: &Stream) {
        self.connection.gate.lock().registration.clear();
        self.tell(c::ZMQ_EVENT_CLOSED, fd_value(stream), None);
    }

    /// Nothing comes through this connection's pipe any more.
    fn end_pipe(&self) {
        self.connection.wire.end();
        self.connection
            .shared
            .owner
            .withdraw(&self.connection.wire, self.connection.shared.style.forgets);
    }

    pub(super) fn watch(&self, stream: &Arc<Stream>, interest: Interest) {
        let mut gate = self.connection.gate.lock();
        if !gate.registration.has_source() {
            gate.registration.set_source(stream.clone());
        }
        // A refusal means the descriptor is beyond use; the time limits end such an attempt.
        let _unusable = gate.registration.set(interest);
    }

    pub(super) fn tell(&self, code: i32, value: u64, stream: Option<&Arc<Stream>>) {
        if !self.connection.shared.owner.observer.listens() {
            return;
        }
        let (local, remote, accepting) = match &self.kind {
            Kind::Accepted(accepted) => {
                let endpoint = &*accepted.endpoint;
                let local = stream
                    .map_or(endpoint.into(), |stream| local_of(endpoint, || stream.local_name()));
                (local, accepted.peer.as_str(), true)
            }
            Kind::Dialing(dialing) => {
                let own = stream.map(|stream| stream.local_name()).unwrap_or_default();
                (own.into(), &*dialing.shown, false)
            }
        };
        let local = &*local;
        self.connection.shared.owner.observer.event(&Event {
            code,
            value,
            local,
            remote,
            accepting,
        });
    }
}

/// Writes what the kernel takes off the front of `output`.
pub(super) fn write_some(stream: &Stream, output: &mut Vec<u8>) -> Result<(), i32> {
    while !output.is_empty() {
        match stream.write(output) {
            Ok(n) => drop(output.drain(..n)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.raw_os_error().unwrap_or(libc::EIO)),
        }
    }
    if output.is_empty() {
        // A password may have been in it. Nor is its memory needed while the peer is waited for.
        output.zeroize();
        *output = Vec::new();
    }
    Ok(())
}

/// Closes so that the peer can read everything: with unread input a close would reset the connection and
/// take the sent tail with it.
pub(super) fn part(stream: &Stream) {
    const MOST: usize = 64;
    let _gone_already = stream.shutdown_write();
    for _ in 0..MOST {
        match stream.discard() {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::receive_append;

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
