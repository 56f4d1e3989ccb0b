//! From frames of ZMTP 3.x to WebSocket frames (RFC 6455, section 5).

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::{COMMAND, MORE};
use crate::base::Error;
use crate::zmtp::command::{self, Command};
use crate::zmtp::frame;
use crate::zmtp::mechanism::crypto::Random;

/// The longest header of a WebSocket frame, and our flags byte.
const MAX_HEADER_LEN: usize = 14 + 1;

/// Wraps what we send.
#[derive(Debug)]
pub struct Wrapper {
    masks: Option<Masks>,
}

impl Wrapper {
    /// `masks`: as clients must.
    pub(super) fn new(masks: bool, random: Random) -> Result<Wrapper, Error> {
        Ok(Wrapper { masks: masks.then(|| Masks::new(random)).transpose()? })
    }

    /// Whether payloads change on their way, and so cannot be sent from where they are.
    pub fn masks(&self) -> bool {
        self.masks.is_some()
    }

    /// Appends a frame, given its flags in ZMTP and its body.
    pub fn push(&mut self, flags: u8, body: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        out.try_reserve(MAX_HEADER_LEN + body.len()).map_err(|_| Error::NoMemory)?;
        let mask = self.push_header(flags, body.len(), out);
        append_masked(out, body, mask, 1);
        Ok(())
    }

    /// Appends what goes before a body of `len` bytes that is sent from where it is; not for who masks.
    pub fn push_start(&mut self, flags: u8, len: usize, out: &mut Vec<u8>) {
        self.push_header(flags, len, out);
    }

    /// Appends whole frames of ZMTP 3.x. A PING of ZMTP becomes one of WebSocket, which every peer answers.
    pub fn frames(&mut self, mut frames: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        while let Some(header) = frame::parse(frames) {
            let len = header.frame_len().ok_or(Error::NotSupported)?;
            let (whole, rest) = frames.split_at_checked(len).ok_or(Error::NotSupported)?;
            let body = whole.get(header.header_len..).unwrap_or_default();
            if is_ping(header.flags, body) {
                self.ping(out);
            } else {
                self.push(header.flags, body, out)?;
            }
            frames = rest;
        }
        Ok(())
    }

    /// Appends a PING of WebSocket.
    pub fn ping(&mut self, out: &mut Vec<u8>) {
        push_control(Control::Ping, &[], &mut self.masks, out);
    }

    /// Appends the end of the connection in due form: nothing more comes, and nothing is wrong.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        const NORMAL: u16 = 1000;
        push_control(Control::Close, &NORMAL.to_be_bytes(), &mut self.masks, out);
    }

    /// Header and flags byte; answers the mask for what follows.
    fn push_header(&mut self, flags: u8, len: usize, out: &mut Vec<u8>) -> Option<[u8; 4]> {
        let mask = self.masks.as_mut().map(Masks::next);
        push_header(OpCode::Data(Data::Binary), mask, len as u64 + 1, out);
        let more = if flags & frame::MORE != 0 { MORE } else { 0 };
        let flags = more | if flags & frame::COMMAND != 0 { COMMAND } else { 0 };
        append_masked(out, &[flags], mask, 0);
        mask
    }
}

/// Whether this frame of ZMTP is a heartbeat.
pub fn is_ping(flags: u8, body: &[u8]) -> bool {
    flags & frame::COMMAND != 0 && matches!(command::parse(body), Command::Ping { .. })
}

/// Appends a control frame.
pub(super) fn push_control(
    control: Control,
    payload: &[u8],
    masks: &mut Option<Masks>,
    out: &mut Vec<u8>,
) {
    let mask = masks.as_mut().map(Masks::next);
    push_header(OpCode::Control(control), mask, payload.len() as u64, out);
    append_masked(out, payload, mask, 0);
}

fn push_header(opcode: OpCode, mask: Option<[u8; 4]>, len: u64, out: &mut Vec<u8>) {
    let header =
        FrameHeader { is_final: true, rsv1: false, rsv2: false, rsv3: false, opcode, mask };
    // It only fails where writing does, and nothing written to memory fails.
    let _written = header.format(len, out);
}

/// Appends `bytes`, masked as those from number `phase` of their payload on.
fn append_masked(out: &mut Vec<u8>, bytes: &[u8], mask: Option<[u8; 4]>, phase: usize) {
    let start = out.len();
    out.extend_from_slice(bytes);
    if let Some(mask) = mask {
        apply(out.get_mut(start..).unwrap_or_default(), mask, phase);
    }
}

/// Masks `bytes`, or takes the mask off: those from number `phase` of their payload on.
pub(super) fn apply(bytes: &mut [u8], mut mask: [u8; 4], phase: usize) {
    mask.rotate_left(phase % 4);
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

/// Masks that whoever writes our messages cannot foresee.
#[derive(Debug)]
pub(super) struct Masks(fastrand::Rng);

impl Masks {
    pub(super) fn new(random: Random) -> Result<Masks, Error> {
        Ok(Masks(fastrand::Rng::with_seed(u64::from_ne_bytes(random.take()?))))
    }

    fn next(&mut self) -> [u8; 4] {
        self.0.u32(..).to_ne_bytes()
    }
}
