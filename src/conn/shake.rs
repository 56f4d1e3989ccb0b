//! The handshake of a fresh stream, up to the first byte of its traffic.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::session::{Handshaking, Kind, Phase, Session, fd_value, part, write_some};
use super::worker::{Command, Context};
use super::zap::Asking;
use crate::base::Error;
use crate::base::constants as c;
use crate::message::Msg;
use crate::reactor::Interest;
use crate::transport::Stream;
use crate::zmtp::handshake::{Config, Failure, Handshake, HandshakeError, Peer, Status};
use crate::zmtp::mechanism::zap::{ZapAnswer, ZapRequest};
use crate::zmtp::zws::{Broken, Link, Role};

/// Reads per turn: however much a peer has to say, others wait.
const MOST_READS: u32 = 16;

impl Session {
    pub(super) fn established(
        &mut self,
        stream: Arc<Stream>,
        early: Vec<u8>,
        context: &mut Context<'_>,
    ) -> bool {
        if let Kind::Dialing(dialing) = &mut self.kind {
            dialing.last_interval_ms = 0;
            self.tell(c::ZMQ_EVENT_CONNECTED, fd_value(&stream), Some(&stream));
        }
        let Some(config) = self.connection.shared.handshake.clone() else {
            return self.open_raw(stream, context);
        };
        let mut output = Vec::new();
        let (handshake, link) = match self.prepare(config, &stream, &mut output) {
            Ok(prepared) => prepared,
            Err(error) => {
                let errno = error.errno() as u64;
                self.tell(c::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, errno, Some(&stream));
                self.tell(c::ZMQ_EVENT_DISCONNECTED, fd_value(&stream), Some(&stream));
                return self.after_loss(true, context);
            }
        };
        let limit = u64::try_from(self.connection.shared.options.handshake_ivl_ms).unwrap_or(0);
        let deadline = (limit > 0).then(|| context.now + Duration::from_millis(limit));
        if let Some(deadline) = deadline {
            context.timers.schedule(deadline, self.connection.key());
        }
        let place = matches!(self.kind, Kind::Accepted(_)).then(|| {
            let worker = context.worker;
            let (place, displaced) =
                worker.strangers().enter(worker, self.connection.key(), context.now);
            if let Some((worker, key)) = displaced {
                worker.send(Command::Evict(key));
            }
            place
        });
        self.phase = Phase::Handshaking(Box::new(Handshaking {
            stream,
            handshake,
            link,
            output,
            fresh: true,
            input: early,
            deadline,
            failed: false,
            asking: None,
            _place: place,
        }));
        self.talk_handshake(context)
    }

    /// The handshake, and what it is wrapped in on a WebSocket connection, with what is said first.
    fn prepare(
        &self,
        config: Arc<Config>,
        stream: &Stream,
        output: &mut Vec<u8>,
    ) -> Result<(Handshake, Option<Box<Link>>), Error> {
        let role = match &self.kind {
            Kind::Accepted(_) => stream.is_web().then_some(Role::Server),
            Kind::Dialing(dialing) => {
                dialing.dial.request().map(|(host, path)| Role::Client { host, path })
            }
        };
        let link = match &role {
            Some(role) => Some(Box::new(Link::new(&config, role, output)?)),
            None => None,
        };
        let mut handshake = Handshake::new(config)?;
        if link.is_none() {
            handshake.start(output);
        }
        Ok((handshake, link))
    }

    pub(super) fn talk_handshake(&mut self, context: &mut Context<'_>) -> bool {
        self.with_handshake(context, |session, state, context| session.exchange(state, context))
    }

    /// Others need the place more.
    pub(super) fn evicted(&mut self, context: &mut Context<'_>) -> bool {
        self.handshake_lost(libc::ECONNABORTED, context)
    }

    /// The authentication handler has answered, or has gone; then the time limit ends the wait.
    pub(super) fn answered(&mut self, context: &mut Context<'_>) -> bool {
        self.with_handshake(context, |session, state, context| {
            let Some(frames) = state.asking.as_mut().and_then(|asking| asking.answer()) else {
                return Outcome::Waits;
            };
            state.asking = None;
            let frames: Vec<&[u8]> = frames.iter().map(Msg::data).collect();
            let answer = ZapAnswer::Reply(&frames);
            match state.say(|handshake, out| handshake.zap_reply(answer, out)) {
                Ok(Status::Done(peer)) => Outcome::Done(peer, state.handshake.take_rest()),
                Ok(_) => session.exchange(state, context),
                Err(error) => Outcome::Refused(error),
            }
        })
    }

    /// Lets `step` work on the handshake, and obeys what comes of it.
    fn with_handshake(
        &mut self,
        context: &mut Context<'_>,
        step: impl FnOnce(&Session, &mut Handshaking, &mut Context<'_>) -> Outcome,
    ) -> bool {
        let mut state = match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Handshaking(state) => state,
            other => {
                self.phase = other;
                return true;
            }
        };
        let outcome = step(self, &mut state, context);
        let stream = state.stream.clone();
        match outcome {
            Outcome::Waits => {
                let write = stream.wants_room(!state.output.is_empty());
                self.watch(&stream, Interest { read: true, write });
                self.phase = Phase::Handshaking(state);
                true
            }
            Outcome::Done(peer, early) => {
                let Handshaking { link, output, .. } = *state;
                self.open(stream, *peer, link.map(|link| *link), &early, output, context)
            }
            Outcome::Refused(error) => {
                let _undeliverable = write_some(&stream, &mut state.output);
                if !self.handshake_failed(&stream, error) {
                    state.failed = true;
                    let write = !state.output.is_empty();
                    self.watch(&stream, Interest { read: true, write });
                    self.phase = Phase::Handshaking(state);
                    return true;
                }
                drop(state);
                // What it was told is to reach it.
                part(&stream);
                self.connection.gate.lock().registration.clear();
                self.tell(c::ZMQ_EVENT_DISCONNECTED, fd_value(&stream), Some(&stream));
                drop(stream);
                self.after_loss(true, context)
            }
            Outcome::Lost(errno) => {
                self.phase = Phase::Handshaking(state);
                drop(stream);
                self.handshake_lost(errno, context)
            }
        }
    }

    /// Writes and reads for as long as the peer has something to say.
    fn exchange(&self, state: &mut Handshaking, context: &mut Context<'_>) -> Outcome {
        let stream = state.stream.clone();
        // Passwords come this way.
        let mut input = Zeroizing::new(std::mem::take(&mut state.input));
        let mut reads = 0;
        match stream.secure() {
            Ok(true) => {}
            Ok(false) => return Outcome::Waits,
            Err(error) => return Outcome::Lost(error.raw_os_error().unwrap_or(libc::EPROTO)),
        }
        let fresh = std::mem::take(&mut state.fresh);
        let accepted = matches!(self.kind, Kind::Accepted(_));
        // What a caller has said by now is answered together with our own first words; who was called has yet to hear of us.
        let mut listens = fresh && accepted;
        let mut dry = fresh && !accepted && input.is_empty();
        loop {
            if !input.is_empty() {
                listens = false;
                if !state.failed {
                    match self.advance(state, &input, context) {
                        Ok(None) => {}
                        Ok(Some((peer, early))) => return Outcome::Done(peer, early),
                        Err(end) => return end,
                    }
                }
                input.clear();
            }
            // A peer that does not read is found by the time limit.
            if !listens && let Err(errno) = write_some(&stream, &mut state.output) {
                return Outcome::Lost(errno);
            }
            if reads == MOST_READS || dry {
                return Outcome::Waits;
            }
            reads += 1;
            input.reserve(4096);
            let room = input.capacity();
            match stream.receive(&mut input) {
                Ok(0) => return Outcome::Lost(libc::EPIPE),
                // With room to spare it was everything there is for now.
                Ok(got) => dry = stream.is_dry(got, room),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !std::mem::take(&mut listens) {
                        return Outcome::Waits;
                    }
                    dry = true;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Outcome::Lost(error.raw_os_error().unwrap_or(libc::EIO)),
            }
        }
    }

    /// Gives the handshake its input, answering what it asks for. Done: the peer, and what it did not take.
    fn advance(
        &self,
        state: &mut Handshaking,
        input: &[u8],
        context: &mut Context<'_>,
    ) -> Result<Option<(Box<Peer>, Vec<u8>)>, Outcome> {
        let mut unwrapped = Vec::new();
        let mut agreed = None;
        if let Some(link) = &mut state.link {
            agreed = link
                .input(input, &mut unwrapped, &mut state.output)
                .map_err(|_| Outcome::Refused(no_websocket()))?;
        }
        let input = if state.link.is_some() { &unwrapped } else { input };
        let mut next = match agreed {
            Some(kind) => Some(state.say(|handshake, out| handshake.start_upgraded(kind, out))?),
            None => None,
        };
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            let (consumed, status) = match next.take() {
                Some(status) => (0, status),
                None => {
                    let now = context.now;
                    let step = state.say(|handshake, out| handshake.input(rest, now, out))?;
                    (step.consumed, step.status)
                }
            };
            used += consumed;
            let status = match status {
                Status::Zap(request) => {
                    state.asking = self.ask(&request, &state.stream, context);
                    match &state.asking {
                        Some(_) => Status::NeedMore,
                        None => state
                            .say(|handshake, out| handshake.zap_reply(ZapAnswer::NoHandler, out))?,
                    }
                }
                status => status,
            };
            match status {
                Status::Done(peer) => {
                    let early = input.get(used..).unwrap_or_default().to_vec();
                    return Ok(Some((peer, early)));
                }
                _ if used < input.len() && (consumed > 0 || agreed.take().is_some()) => {}
                _ => break,
            }
        }
        match state.link.as_ref().and_then(|link| link.ending()) {
            None => Ok(None),
            Some(Broken::Closed) => Err(Outcome::Lost(libc::EPIPE)),
            Some(Broken::Violation) => Err(Outcome::Refused(no_websocket())),
        }
    }

    fn ask(
        &self,
        request: &ZapRequest,
        stream: &Stream,
        context: &mut Context<'_>,
    ) -> Option<Box<Asking>> {
        let address = self.peer_address(stream).unwrap_or_default();
        let frames = request.frames(address.as_bytes());
        Asking::start(&self.connection.shared.hub, context.worker, self.connection.key(), &frames)
    }

    /// Tells of a failed handshake; true when the connection is to be closed now.
    pub(super) fn handshake_failed(&self, stream: &Arc<Stream>, error: HandshakeError) -> bool {
        match error.failure {
            Failure::Protocol(code) => {
                self.tell(c::ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL, u64::from(code), Some(stream))
            }
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
    pub(super) fn handshake_lost(&mut self, errno: i32, context: &mut Context<'_>) -> bool {
        let state = match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Handshaking(state) => state,
            other => {
                self.phase = other;
                return true;
            }
        };
        self.connection.gate.lock().registration.clear();
        let stream = state.stream;
        if !state.failed {
            self.tell(c::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, errno as u64, Some(&stream));
        }
        self.tell(c::ZMQ_EVENT_DISCONNECTED, fd_value(&stream), Some(&stream));
        drop(stream);
        let stop =
            self.connection.shared.options.reconnect_stop & c::ZMQ_RECONNECT_STOP_HANDSHAKE_FAILED;
        self.after_loss(stop != 0, context)
    }
}

impl Handshaking {
    /// Lets the handshake speak, wrapped where the connection wants that.
    fn say<T>(
        &mut self,
        speak: impl FnOnce(&mut Handshake, &mut Vec<u8>) -> Result<T, HandshakeError>,
    ) -> Result<T, HandshakeError> {
        let Some(link) = &mut self.link else {
            return speak(&mut self.handshake, &mut self.output);
        };
        let mut frames = Vec::new();
        let said = speak(&mut self.handshake, &mut frames);
        match link.wrap(&frames, &mut self.output) {
            Ok(()) => said,
            Err(error) => Err(Failure::NoDetail(error.errno()).into()),
        }
    }
}

/// The peer does not keep to WebSocket, or knows no sub-protocol of ours.
fn no_websocket() -> HandshakeError {
    Failure::Protocol(c::ZMQ_PROTOCOL_ERROR_WS_UNSPECIFIED as u32).into()
}

/// What a stretch of a handshake came to.
enum Outcome {
    /// More is needed, from the peer or from the handler.
    Waits,
    /// It succeeded; with bytes that are traffic already.
    Done(Box<Peer>, Vec<u8>),
    Refused(HandshakeError),
    /// The stream ended, with this errno.
    Lost(i32),
}

impl From<HandshakeError> for Outcome {
    fn from(error: HandshakeError) -> Outcome {
        Outcome::Refused(error)
    }
}
