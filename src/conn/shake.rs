//! The handshake of a fresh stream, up to the first byte of its traffic.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::session::{Handshaking, Kind, Phase, Session, fd_value, part, write_some};
use super::worker::{Command, Context};
use super::zap::Asking;
use crate::base::constants as c;
use crate::message::Msg;
use crate::reactor::Interest;
use crate::sys::receive_append;
use crate::transport::Stream;
use crate::zmtp::handshake::{Failure, Handshake, HandshakeError, Peer, Status};
use crate::zmtp::mechanism::zap::{ZapAnswer, ZapRequest};

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
        if matches!(self.kind, Kind::Accepted { .. })
            && let Some(oldest) = context.strangers.enter(self.connection.key(), context.now)
        {
            context.worker.send(Command::Evict(oldest));
        }
        self.phase = Phase::Handshaking(Box::new(Handshaking {
            stream,
            handshake,
            output,
            input: early,
            deadline,
            failed: false,
            asking: None,
        }));
        self.talk_handshake(context)
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
            let Some(frames) = state.asking.as_mut().and_then(Asking::answer) else {
                return Outcome::Waits;
            };
            state.asking = None;
            let frames: Vec<&[u8]> = frames.iter().map(Msg::data).collect();
            let answer = ZapAnswer::Reply(&frames);
            match state.handshake.zap_reply(answer, &mut state.output) {
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
                let write = !state.output.is_empty();
                self.watch(&stream, Interest { read: true, write });
                self.phase = Phase::Handshaking(state);
                true
            }
            Outcome::Done(peer, early) => self.open(stream, *peer, &early, state.output, context),
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
        let mut input = std::mem::take(&mut state.input);
        let (mut reads, mut dry) = (0, false);
        loop {
            // A peer that does not read is found by the time limit.
            if let Err(errno) = write_some(&stream, &mut state.output) {
                return Outcome::Lost(errno);
            }
            if input.is_empty() {
                if reads == MOST_READS || dry {
                    return Outcome::Waits;
                }
                reads += 1;
                input.reserve(4096);
                let room = input.capacity();
                match receive_append(&*stream, &mut input) {
                    Ok(0) => return Outcome::Lost(libc::EPIPE),
                    // With room to spare it was everything there is for now.
                    Ok(got) => dry = got < room,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        return Outcome::Waits;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Outcome::Lost(error.raw_os_error().unwrap_or(libc::EIO)),
                }
            }
            if !state.failed {
                match self.advance(state, &input, context) {
                    Ok(None) => {}
                    Ok(Some((peer, used))) => {
                        return Outcome::Done(peer, input.split_off(used));
                    }
                    Err(error) => return Outcome::Refused(error),
                }
            }
            input.clear();
        }
    }

    /// Gives the handshake its input, answering what it asks for. Done: the peer, and how many bytes it
    /// took.
    fn advance(
        &self,
        state: &mut Handshaking,
        input: &[u8],
        context: &mut Context<'_>,
    ) -> Result<Option<(Box<Peer>, usize)>, HandshakeError> {
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            let step = state.handshake.input(rest, context.now, &mut state.output)?;
            used += step.consumed;
            let status = match step.status {
                Status::Zap(request) => {
                    state.asking = self.ask(&request, &state.stream, context);
                    match &state.asking {
                        Some(_) => Status::NeedMore,
                        None => {
                            state.handshake.zap_reply(ZapAnswer::NoHandler, &mut state.output)?
                        }
                    }
                }
                status => status,
            };
            match status {
                Status::Done(peer) => return Ok(Some((peer, used))),
                _ if used < input.len() && step.consumed > 0 => {}
                _ => return Ok(None),
            }
        }
    }

    fn ask(
        &self,
        request: &ZapRequest,
        stream: &Stream,
        context: &mut Context<'_>,
    ) -> Option<Asking> {
        let address = self.peer_address(stream).unwrap_or_default();
        let frames = request.frames(address.as_bytes());
        Asking::start(&self.shared.hub, context.worker, self.connection.key(), &frames)
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
        let stop = self.shared.options.reconnect_stop & c::ZMQ_RECONNECT_STOP_HANDSHAKE_FAILED;
        self.after_loss(stop != 0, context)
    }
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
