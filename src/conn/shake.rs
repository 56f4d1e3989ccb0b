//! The handshake of a fresh stream, up to the first byte of its traffic.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::session::{Handshaking, Kind, Phase, Session, fd_value, write_some};
use super::worker::Context;
use crate::base::constants as c;
use crate::reactor::Interest;
use crate::sys::receive_append;
use crate::transport::Stream;
use crate::zmtp::handshake::{Failure, Handshake, HandshakeError, Peer, Status};
use crate::zmtp::mechanism::zap::ZapAnswer;

/// Reads per turn from a peer that is not listened to any more.
const MOST_WASTED: u32 = 16;
/// Where an authentication handler listens (RFC 27).
const ZAP_ENDPOINT: &str = "inproc://zeromq.zap.01";

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

    pub(super) fn talk_handshake(&mut self, context: &mut Context<'_>) -> bool {
        let hub = self.shared.hub.clone();
        let Phase::Handshaking(state) = &mut self.phase else { return true };
        let stream = state.stream.clone();
        let mut input = std::mem::take(&mut state.input);
        let mut wasted = 0;
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
                // However much it has to say, others wait.
                wasted += 1;
                if wasted == MOST_WASTED {
                    break Ok(None);
                }
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
