//! From WebSocket frames (RFC 6455, section 5) to frames of ZMTP 3.x.
//!
//! A message is passed on as it arrives; only one that comes in fragments is kept until it is complete, as
//! its length is not known before. What is announced reserves nothing.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::wrap::{Masks, apply, push_control};
use super::{COMMAND, MORE};
use crate::base::Error;
use crate::zmtp::decoder::Malformed;
use crate::zmtp::frame;
use crate::zmtp::mechanism::crypto::Random;

/// The longest payload of a control frame.
const MAX_CONTROL_LEN: u64 = 125;
/// No message is longer: no process has as much memory.
const ADDRESS_SPACE: u64 = 1 << 47;

/// Why [`Unwrapper::advance`] stopped.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// More bytes are needed, or nothing more is taken: see [`Unwrapper::ending`].
    Hungry,
    /// As much as was allowed has been appended.
    Full,
    /// This is to be sent to the peer; then go on.
    Reply(Vec<u8>),
}

/// Takes what the peer sends apart. However its bytes are cut, the same comes out.
#[derive(Debug)]
pub struct Unwrapper {
    /// For what we answer; None: the peer is the client, and it has to mask.
    masks: Option<Masks>,
    input: Vec<u8>,
    at: usize,
    /// The data frame that has begun.
    open: Option<Payload>,
    /// What has come of a message in fragments, its flags byte first.
    fragments: Option<Vec<u8>>,
    /// The most bytes of a message in fragments, without the flags byte.
    max_size: u64,
    ending: Option<Malformed>,
}

/// The rest of a data frame's payload.
#[derive(Debug)]
struct Payload {
    missing: u64,
    mask: Option<[u8; 4]>,
    phase: usize,
    /// The frame is a whole message, and its flags byte is still to come.
    flags_due: bool,
    /// It is the last, or only, frame of its message.
    last: bool,
}

impl Unwrapper {
    /// `masks`: we are the client, so we mask and the peer does not.
    pub(super) fn new(masks: bool, random: Random, max_size: u64) -> Result<Unwrapper, Error> {
        Ok(Unwrapper {
            masks: masks.then(|| Masks::new(random)).transpose()?,
            input: Vec::new(),
            at: 0,
            open: None,
            fragments: None,
            max_size,
            ending: None,
        })
    }

    /// Refuses messages in fragments beyond this size; whole ones are judged by who takes the frames.
    pub(super) fn limit(&mut self, max_size: u64) {
        self.max_size = max_size;
    }

    /// Adds input.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.input.drain(..self.at);
        self.at = 0;
        self.input.extend_from_slice(bytes);
    }

    /// Where to read input to: memory with spare capacity. `scratch` is taken when much is needed.
    pub fn target(&mut self, scratch: &mut Vec<u8>) -> Result<&mut Vec<u8>, Malformed> {
        const ROOM: usize = 64 * 1024;
        self.input.drain(..self.at);
        self.at = 0;
        if self.input.capacity() - self.input.len() < ROOM / 2 {
            scratch.clear();
            scratch.try_reserve(self.input.len() + ROOM).map_err(|_| Malformed::NoMemory)?;
            scratch.extend_from_slice(&self.input);
            std::mem::swap(&mut self.input, scratch);
        }
        Ok(&mut self.input)
    }

    /// Gives memory back that only input needed which is gone.
    pub fn reclaim(&mut self, scratch: &mut Vec<u8>) {
        let left = self.input.get(self.at..).unwrap_or_default().to_vec();
        self.at = 0;
        let input = std::mem::replace(&mut self.input, left);
        if input.capacity() > scratch.capacity() {
            *scratch = input;
        }
    }

    /// Whether there is input that was not taken yet, or an end that was not told.
    pub fn has_input(&self) -> bool {
        self.at < self.input.len() || self.ending.is_some()
    }

    /// How the connection has ended, once everything before that was passed on.
    pub fn ending(&self) -> Option<Malformed> {
        self.ending
    }

    /// Appends frames of ZMTP 3.x to `out`. Within a message that has begun no more than `room` bytes are
    /// appended; who sets a bound has to take exactly that message's rest.
    pub fn advance(&mut self, out: &mut Vec<u8>, mut room: usize) -> Event {
        loop {
            if self.ending.is_some() {
                return Event::Hungry;
            }
            if room == 0 {
                return Event::Full;
            }
            let step = match self.open.take() {
                Some(payload) => self.take_payload(payload, out, &mut room),
                None => self.take_header(),
            };
            match step {
                Ok(None) => {}
                Ok(Some(event)) => return event,
                Err(malformed) => self.ending = Some(malformed),
            }
        }
    }

    fn rest(&self) -> &[u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    /// The next frame's header, with its payload where that is a control frame.
    fn take_header(&mut self) -> Result<Option<Event>, Malformed> {
        let mut cursor = Cursor::new(self.rest());
        let parsed = FrameHeader::parse(&mut cursor).map_err(|_| Malformed::Frame)?;
        let Some((header, len)) = parsed else { return Ok(Some(Event::Hungry)) };
        let header_len = cursor.position() as usize;
        // Who connected masks, and nobody else.
        let in_order = header.mask.is_some() == self.masks.is_none()
            && !(header.rsv1 || header.rsv2 || header.rsv3);
        if !in_order {
            return Err(Malformed::Frame);
        }
        match header.opcode {
            OpCode::Control(control) => {
                if !header.is_final || len > MAX_CONTROL_LEN {
                    return Err(Malformed::Frame);
                }
                let end = header_len + len as usize;
                let Some(payload) = self.rest().get(header_len..end) else {
                    return Ok(Some(Event::Hungry));
                };
                let mut payload = payload.to_vec();
                self.at += end;
                if let Some(mask) = header.mask {
                    apply(&mut payload, mask, 0);
                }
                return self.obey(control, &payload);
            }
            OpCode::Data(Data::Binary) if self.fragments.is_none() => {}
            OpCode::Data(Data::Continue) if self.fragments.is_some() => {}
            OpCode::Data(_) => return Err(Malformed::Frame),
        }
        self.at += header_len;
        if len >= ADDRESS_SPACE {
            return Err(Malformed::TooLarge);
        }
        let whole = header.is_final && self.fragments.is_none();
        if whole && len == 0 {
            return Err(Malformed::Frame);
        }
        if !whole {
            let so_far = self.fragments.get_or_insert_default().len() as u64;
            if so_far + len > self.max_size.saturating_add(1) {
                return Err(Malformed::TooLarge);
            }
        }
        self.open = Some(Payload {
            missing: len,
            mask: header.mask,
            phase: 0,
            flags_due: whole,
            last: header.is_final,
        });
        Ok(None)
    }

    fn obey(&mut self, control: Control, payload: &[u8]) -> Result<Option<Event>, Malformed> {
        let mut reply = Vec::new();
        match control {
            Control::Ping => push_control(Control::Pong, payload, &mut self.masks, &mut reply),
            Control::Close => {
                push_control(Control::Close, payload, &mut self.masks, &mut reply);
                self.ending = Some(Malformed::Closed);
            }
            // That something came is all there is to know.
            Control::Pong => return Ok(None),
            Control::Reserved(_) => return Err(Malformed::Frame),
        }
        Ok(Some(Event::Reply(reply)))
    }

    /// Passes on what is here of a data frame.
    fn take_payload(
        &mut self,
        mut payload: Payload,
        out: &mut Vec<u8>,
        room: &mut usize,
    ) -> Result<Option<Event>, Malformed> {
        if payload.flags_due {
            let Some(&first) = self.rest().first() else {
                self.open = Some(payload);
                return Ok(Some(Event::Hungry));
            };
            self.at += 1;
            let flags = first ^ payload.mask.map_or(0, |mask| mask[0]);
            payload.missing -= 1;
            payload.phase = 1;
            payload.flags_due = false;
            frame::push_header(out, frame_flags(flags), payload.missing as usize);
        }
        let missing = usize::try_from(payload.missing).map_err(|_| Malformed::TooLarge)?;
        let fragmented = self.fragments.is_some();
        let here = self.rest().len().min(missing).min(if fragmented { usize::MAX } else { *room });
        let target = self.fragments.as_mut().unwrap_or(out);
        target.try_reserve(here).map_err(|_| Malformed::NoMemory)?;
        let start = target.len();
        target.extend_from_slice(self.input.get(self.at..self.at + here).unwrap_or_default());
        if let Some(mask) = payload.mask {
            apply(target.get_mut(start..).unwrap_or_default(), mask, payload.phase);
        }
        self.at += here;
        payload.phase = (payload.phase + here) % 4;
        payload.missing -= here as u64;
        if !fragmented {
            *room -= here;
        }
        if payload.missing > 0 {
            self.open = Some(payload);
            let full = *room == 0;
            return Ok(Some(if full { Event::Full } else { Event::Hungry }));
        }
        if payload.last
            && let Some(message) = self.fragments.take()
        {
            let (flags, body) = message.split_first().ok_or(Malformed::Frame)?;
            out.try_reserve(frame::MAX_HEADER_LEN + body.len()).map_err(|_| Malformed::NoMemory)?;
            frame::push(out, frame_flags(*flags), body);
        }
        Ok(None)
    }
}

/// The flags of ZMTP for those of ZWS; bits nobody has defined are ignored.
fn frame_flags(flags: u8) -> u8 {
    let more = if flags & MORE != 0 { frame::MORE } else { 0 };
    more | if flags & COMMAND != 0 { frame::COMMAND } else { 0 }
}
