//! What is written on WebSocket connections.
//!
//! The pipe keeps messages as messages there; whoever writes wraps them, after encryption where there is any.
//! How a WebSocket frame looks is `zmtp::zws`'s.

use std::collections::VecDeque;

use super::connection::Connection;
use super::outbound::{BY_REFERENCE, ENOUGH, Encoding, push_command};
use crate::base::Error;
use crate::message::{Msg, frame};
use crate::pipe::Urgency;
use crate::pipe::wire::Segment;
use crate::zmtp::Protocol;
use crate::zmtp::mechanism::Sealer;
use crate::zmtp::zws::{Wrapper, is_ping};

impl Connection {
    /// Ends a WebSocket in due form, where nothing is left that would have to go before.
    pub(super) fn say_goodbye(&self) {
        let Some((_, Encoding::Web(web))) = self.outlet.lock().clone() else { return };
        let mut queue = self.wire.send.lock();
        if queue.is_done() && queue.link.open {
            queue.push_opaque(web.lock().close());
            drop(queue);
            self.flush_out(Urgency::Now);
        }
    }
}

/// The writing side of one connection.
#[derive(Debug)]
pub(super) struct Web {
    protocol: Protocol,
    wrapper: Wrapper,
    sealer: Option<Sealer>,
    /// For what is encrypted; empty between calls.
    sealed: Vec<u8>,
}

impl Web {
    pub(super) fn new(protocol: Protocol, wrapper: Wrapper, sealer: Option<Sealer>) -> Web {
        Web { protocol, wrapper, sealer, sealed: Vec::new() }
    }

    /// Encodes what is at the front of `segments`, into `spare` if that will do. A large payload that nothing
    /// has to be done to stays where it is.
    pub(super) fn encode(
        &mut self,
        segments: &mut VecDeque<Segment>,
        spare: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let mut bytes = std::mem::take(spare);
        bytes.clear();
        let (mut messages, mut open, mut payload) = (0, false, None);
        while bytes.len() < ENOUGH && payload.is_none() {
            match segments.front_mut() {
                Some(Segment::Message(msg)) => {
                    open = msg.more();
                    payload = self.message(msg, &mut bytes)?;
                    messages += u32::from(!open && payload.is_none());
                }
                Some(Segment::Frames {
                    bytes: frames,
                    opaque: false,
                    messages: ended,
                    open: goes_on,
                }) => {
                    self.frames(frames, &mut bytes)?;
                    messages += *ended;
                    open = *goes_on;
                }
                Some(Segment::Portion(portion)) => {
                    self.frames(&portion.bytes, &mut bytes)?;
                    messages += portion.messages;
                }
                // What is encoded already, and its payload.
                _ => break,
            }
            segments.pop_front();
        }
        if let Some(msg) = payload {
            segments.push_front(Segment::Payload(msg));
            open = true;
        }
        segments.push_front(Segment::Frames { bytes, messages, open, opaque: true });
        Ok(())
    }

    /// Appends a message, or what goes before a payload that is answered.
    fn message(&mut self, msg: &mut Msg, out: &mut Vec<u8>) -> Result<Option<Msg>, Error> {
        if msg.is_command() {
            let mut frames = Vec::new();
            push_command(&mut frames, self.protocol, msg);
            self.frames(&frames, out)?;
            return Ok(None);
        }
        let flags = if msg.more() { frame::MORE } else { 0 };
        if msg.size() >= BY_REFERENCE && self.sealer.is_none() && !self.wrapper.masks() {
            self.wrapper.push_start(flags, msg.size(), out);
            return Ok(Some(msg.take()));
        }
        self.push(flags, msg.data(), out)?;
        Ok(None)
    }

    /// Appends whole frames of ZMTP. Heartbeats are WebSocket's own, so that every peer answers them.
    fn frames(&mut self, mut frames: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        while let Some(header) = frame::parse(frames) {
            let len = header.frame_len().ok_or(Error::NotSupported)?;
            let (whole, rest) = frames.split_at_checked(len).ok_or(Error::NotSupported)?;
            let body = whole.get(header.header_len..).unwrap_or_default();
            if is_ping(header.flags, body) {
                self.wrapper.ping(out);
            } else {
                self.push(header.flags, body, out)?;
            }
            frames = rest;
        }
        Ok(())
    }

    /// The frame that ends the connection in due form.
    fn close(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.wrapper.close(&mut bytes);
        bytes
    }

    /// Appends one frame of ZMTP.
    pub(super) fn push(&mut self, flags: u8, body: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let Some(sealer) = &mut self.sealer else { return self.wrapper.push(flags, body, out) };
        self.sealed.clear();
        sealer.seal(flags, body, &mut self.sealed)?;
        let pushed = self.wrapper.frames(&self.sealed, out);
        // Nobody's memory is kept for one large message.
        if self.sealed.capacity() > ENOUGH {
            self.sealed = Vec::new();
        }
        pushed
    }
}
