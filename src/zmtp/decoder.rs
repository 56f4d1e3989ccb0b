//! From received bytes to messages, after the handshake.
//!
//! The decoder only walks frame headers: runs of whole messages are passed on as one range of the chunk
//! they arrived in, for the socket to take apart later. Commands are picked out. Frames too large for a
//! chunk are collected in memory of their own, which grows with what has arrived. State of a frame that
//! is not complete lives here, so that whoever reads next goes on where the last reader stopped.

use std::sync::Arc;

use crate::message::Msg;
use crate::zmtp::Protocol;
use crate::zmtp::frame::{self, COMMAND, MORE};
use crate::zmtp::mechanism::Opener;
use crate::zmtp::zws::{Event, Unwrapper};

/// A frame of at least this size that is not complete leaves the chunk for memory of its own.
const LARGE: usize = 8 * 1024;
/// A chunk with at least this much in it is passed on as it is; less is copied out.
const WORTH_SHARING: usize = 16 * 1024;
/// No process has as much memory as this: such a frame can never be completed.
const ADDRESS_SPACE: u64 = 1 << 47;
/// What is read at once where nothing is known of what comes.
const CHUNK: usize = 64 * 1024;
/// What is read at once where the next frame will have memory of its own, and should go there at once.
const TASTE: usize = 8 * 1024;
/// Runs of no more bytes than this become single messages.
const FEW_BYTES: usize = 128;

/// The longest routing id that an old peer may begin with.
const LONGEST_NAME: usize = 255;

/// What came out.
#[derive(Debug)]
pub enum Output {
    /// Frames of whole messages, or of one message that is not complete yet.
    Frames {
        /// The bytes they lie in.
        chunk: Arc<Vec<u8>>,
        /// Where the first begins.
        at: usize,
        /// Where the last one ends.
        end: usize,
        /// How many messages end in this range.
        messages: usize,
    },
    /// One part; it completes a message unless it has MORE.
    Part(Msg),
    /// The body of a command.
    Command(Msg),
    /// Bytes to be sent to the peer as they are.
    Reply(Vec<u8>),
}

/// Why decoding stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Everything is decoded: read on.
    Hungry,
    /// As many messages as were asked for came out; there may be more.
    Full,
}

/// The peer's bytes are no acceptable frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A frame is larger than allowed, or than any memory.
    #[error("frame too large")]
    TooLarge,
    /// There is no memory for the frame.
    #[error("out of memory")]
    NoMemory,
    /// It cannot be decrypted; the code is the monitor's.
    #[error("refused with code {0:#x}")]
    Refused(u32),
    /// It is no frame that a WebSocket may carry.
    #[error("no acceptable WebSocket frame")]
    Frame,
    /// Nothing is wrong: the peer has said that nothing more comes.
    #[error("closed by the peer")]
    Closed,
}

/// How the bytes are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Frames of a ZMTP dialect; with `single` every frame comes out by itself.
    Zmtp {
        /// The dialect.
        protocol: Protocol,
        /// No ranges: each body has to be looked at (ZMTP 1.0, encryption).
        single: bool,
    },
    /// No frames: what a read returns is a message, or several of at most `piece` bytes.
    Raw {
        /// The most bytes in one message.
        piece: usize,
    },
}

/// The state between two reads of one connection.
#[derive(Debug)]
pub struct Decoder {
    framing: Framing,
    max_size: i64,
    buffer: Buffer,
    at: usize,
    large: Option<Large>,
    /// The size of the largest frame that has come whole: memory for as much may be reserved again.
    proven: usize,
    /// No chunk would have held the frame that came last: the next one is likely to be like it.
    tasting: bool,
    /// The message at hand has parts to come.
    open: bool,
    skips_name: bool,
    /// Takes the frames of an encrypted connection apart.
    opener: Option<Box<Opener>>,
    /// What it made of the frames decoded last; empty between calls.
    plain: Vec<u8>,
    /// Takes the frames out of what they are wrapped in, on WebSocket connections.
    unwrapper: Option<Box<Unwrapper>>,
}

#[derive(Debug)]
enum Buffer {
    Own(Vec<u8>),
    Shared(Arc<Vec<u8>>),
}

#[derive(Debug)]
struct Large {
    body: Vec<u8>,
    size: usize,
    flags: u8,
}

impl Decoder {
    /// A decoder for a connection that refuses frames above `max_size` bytes (below 0: none).
    pub fn new(framing: Framing, max_size: i64) -> Decoder {
        Decoder {
            framing,
            max_size,
            buffer: Buffer::Own(Vec::new()),
            at: 0,
            large: None,
            proven: 0,
            tasting: false,
            open: false,
            skips_name: false,
            opener: None,
            plain: Vec::new(),
            unwrapper: None,
        }
    }

    /// From here on what is read is wrapped in WebSocket frames.
    pub fn unwrap(&mut self, unwrapper: Unwrapper) {
        self.unwrapper = Some(Box::new(unwrapper));
    }

    /// From here on every frame is an encrypted one, and what comes out is what is in it.
    pub fn decrypt(&mut self, opener: impl Into<Opener>) {
        self.opener = Some(Box::new(opener.into()));
    }

    /// The next frame is no message but the name of an old peer, which nobody asked for.
    pub fn skip_name(&mut self) {
        self.skips_name = true;
    }

    /// Bytes that came before anything was read through this decoder.
    pub fn preload(&mut self, bytes: &[u8]) {
        self.buffer = Buffer::Own(bytes.to_vec());
        self.at = 0;
    }

    /// Where to read to: memory with spare capacity. `scratch` is taken when a chunk is needed.
    pub fn target(&mut self, scratch: &mut Vec<u8>) -> Result<&mut Vec<u8>, Malformed> {
        /// What came answers for so many times as much.
        const TRUST: usize = 16;
        if self.large.is_none() && self.unwrapper.is_none() {
            return self.chunk_target(scratch, CHUNK);
        }
        match (&mut self.unwrapper, &mut self.large) {
            (Some(unwrapper), _) => unwrapper.target(scratch),
            (None, None) => Err(Malformed::NoMemory),
            (None, Some(large)) => {
                let missing = large.size - large.body.len();
                if large.body.capacity() == large.body.len() {
                    let step = missing.min((large.body.len() * TRUST).max(CHUNK));
                    large.body.try_reserve_exact(step).map_err(|_| Malformed::NoMemory)?;
                }
                Ok(&mut large.body)
            }
        }
    }

    /// How many bytes to read there at once, at most.
    pub fn appetite(&self) -> usize {
        if self.tasting { TASTE } else { usize::MAX }
    }

    fn chunk_target(
        &mut self,
        scratch: &mut Vec<u8>,
        room: usize,
    ) -> Result<&mut Vec<u8>, Malformed> {
        let left = self.bytes().get(self.at..).unwrap_or_default();
        scratch.clear();
        scratch.extend_from_slice(left);
        if scratch.capacity() - scratch.len() < room / 2 {
            scratch.try_reserve(room).map_err(|_| Malformed::NoMemory)?;
        }
        self.at = 0;
        let own = std::mem::take(scratch);
        if let Buffer::Own(old) = std::mem::replace(&mut self.buffer, Buffer::Own(own)) {
            *scratch = old;
        }
        match &mut self.buffer {
            Buffer::Own(own) => Ok(own),
            Buffer::Shared(_) => Err(Malformed::NoMemory),
        }
    }

    /// Gives the chunk back when nothing of it is needed any more; keeps what is, in memory of its size.
    pub fn reclaim(&mut self, scratch: &mut Vec<u8>) {
        const KEPT: usize = 256;
        if self.plain.capacity() > KEPT {
            self.plain = Vec::new();
        }
        if let Some(unwrapper) = &mut self.unwrapper {
            unwrapper.reclaim(scratch);
        }
        let left = self.bytes().get(self.at..).unwrap_or_default().to_vec();
        self.at = 0;
        if let Buffer::Own(own) = std::mem::replace(&mut self.buffer, Buffer::Own(left))
            && own.capacity() > scratch.capacity()
        {
            *scratch = own;
        }
    }

    /// Decodes until `limit` messages have come out or bytes are missing.
    pub fn decode(&mut self, limit: usize, out: &mut Vec<Output>) -> Result<Stop, Malformed> {
        match self.unwrapper.take() {
            None => self.decode_frames_at_hand(limit, out),
            Some(mut unwrapper) => {
                let decoded = self.decode_wrapped(&mut unwrapper, limit, out);
                self.unwrapper = Some(unwrapper);
                decoded
            }
        }
    }

    /// As [`Decoder::decode`] on a WebSocket connection. Frames are taken out of it only when nothing is left
    /// of those taken out before.
    fn decode_wrapped(
        &mut self,
        unwrapper: &mut Unwrapper,
        mut limit: usize,
        out: &mut Vec<Output>,
    ) -> Result<Stop, Malformed> {
        loop {
            let before = out.len();
            if self.decode_frames_at_hand(limit, out)? == Stop::Full {
                return Ok(Stop::Full);
            }
            limit = limit.saturating_sub(ended(out.get(before..).unwrap_or_default()));
            let (target, room) = match &mut self.large {
                Some(large) => (&mut large.body, large.size),
                None => (own(&mut self.buffer, &mut self.at), usize::MAX),
            };
            let had = target.len();
            loop {
                let room = room.saturating_sub(target.len());
                match unwrapper.advance(target, room) {
                    Event::Reply(reply) => out.push(Output::Reply(reply)),
                    Event::Hungry | Event::Full => break,
                }
            }
            if target.len() == had {
                return unwrapper.ending().map_or(Ok(Stop::Hungry), Err);
            }
        }
    }

    fn decode_frames_at_hand(
        &mut self,
        limit: usize,
        out: &mut Vec<Output>,
    ) -> Result<Stop, Malformed> {
        let mut budget = limit;
        self.tasting &= !self.has_input();
        if let Some(large) = &self.large {
            if large.body.len() < large.size {
                return Ok(Stop::Hungry);
            }
            if budget == 0 && !self.open {
                return Ok(Stop::Full);
            }
            if let Some(large) = self.large.take() {
                self.proven = self.proven.max(large.size);
                self.tasting = large.size >= CHUNK && self.unwrapper.is_none();
                let (flags, msg) = self.open_large(large)?;
                self.emit(flags, msg, out);
                budget = budget.saturating_sub(usize::from(flags & (MORE | COMMAND) == 0));
            }
        }
        match self.framing {
            Framing::Raw { piece } => Ok(self.decode_raw(piece.max(1), budget, out)),
            Framing::Zmtp { protocol, .. } if self.opener.is_some() => {
                self.decode_sealed(protocol, budget, out)
            }
            Framing::Zmtp { protocol, single } => self.decode_frames(protocol, single, budget, out),
        }
    }

    /// Whether undecoded bytes are at hand.
    pub fn has_input(&self) -> bool {
        self.at < self.bytes().len()
            || self.large.as_ref().is_some_and(|large| large.body.len() == large.size)
            || self.unwrapper.as_ref().is_some_and(|unwrapper| unwrapper.has_input())
    }

    fn bytes(&self) -> &[u8] {
        match &self.buffer {
            Buffer::Own(own) => own,
            Buffer::Shared(shared) => shared,
        }
    }

    /// Begins a frame in memory of its own, with the bytes from `body` on.
    fn begin_large(&mut self, body: usize, size: usize, flags: u8) -> Result<(), Malformed> {
        let part = self.bytes().get(body..).unwrap_or_default();
        let mut own = Vec::new();
        let room = size.min(self.proven).max(part.len());
        own.try_reserve_exact(room).map_err(|_| Malformed::NoMemory)?;
        own.extend_from_slice(part);
        self.large = Some(Large { body: own, size, flags });
        Ok(())
    }

    /// Flags and payload of a frame that was collected.
    fn open_large(&mut self, large: Large) -> Result<(u8, Msg), Malformed> {
        let Large { body, flags, .. } = large;
        match &mut self.opener {
            None => Ok((flags, Msg::from_vec(body))),
            Some(opener) => opener.open_whole(body),
        }
    }

    fn emit(&mut self, flags: u8, mut msg: Msg, out: &mut Vec<Output>) {
        if flags & COMMAND != 0 {
            out.push(Output::Command(msg));
        } else {
            self.open = flags & MORE != 0;
            msg.set_more(self.open);
            out.push(Output::Part(msg));
        }
    }

    fn decode_raw(&mut self, piece: usize, budget: usize, out: &mut Vec<Output>) -> Stop {
        let bytes = self.bytes().get(self.at..).unwrap_or_default().to_vec();
        if bytes.is_empty() {
            return Stop::Hungry;
        }
        if budget == 0 {
            return Stop::Full;
        }
        for piece in bytes.chunks(piece).take(budget) {
            self.at += piece.len();
            out.push(Output::Part(Msg::from_vec(piece.to_vec())));
        }
        if self.at < self.bytes().len() { Stop::Full } else { Stop::Hungry }
    }

    fn decode_frames(
        &mut self,
        protocol: Protocol,
        single: bool,
        mut budget: usize,
        out: &mut Vec<Output>,
    ) -> Result<Stop, Malformed> {
        /// The largest size that takes one byte.
        const SHORT: i64 = 255;
        let mut run = Run::at(self.at);
        let mut at = self.at;
        let no_short_exceeds = self.max_size < 0 || self.max_size >= SHORT;
        let walks = no_short_exceeds && !single && !protocol.has_v1_frames();
        let stop = loop {
            if walks && !self.skips_name {
                (at, self.open) = run.walk(self.bytes(), at, self.open, &mut budget);
            }
            let bytes = self.bytes();
            let Some(header) = bytes.get(at..).and_then(|rest| protocol.parse(rest)) else {
                break Ok(Stop::Hungry);
            };
            if header.exceeds(self.max_size) || header.body_len >= ADDRESS_SPACE {
                break Err(Malformed::TooLarge);
            }
            let size = header.body_len as usize;
            if self.skips_name && size > LONGEST_NAME {
                break Err(Malformed::TooLarge);
            }
            let command = header.flags & COMMAND != 0;
            if budget == 0 && !self.open && !command {
                break Ok(Stop::Full);
            }
            let body = at + header.header_len;
            let Some(end) = body.checked_add(size).filter(|end| *end <= bytes.len()) else {
                if size >= LARGE {
                    if let Err(error) = self.begin_large(body, size, header.flags) {
                        break Err(error);
                    }
                    self.pass_on(run, at, out);
                    at = self.bytes().len();
                    run = Run::at(at);
                }
                break Ok(Stop::Hungry);
            };
            if self.skips_name {
                self.skips_name = false;
                run = Run::at(end);
            } else if command || single {
                let Ok(msg) = Msg::copy_of(&bytes[body..end]) else {
                    break Err(Malformed::NoMemory);
                };
                self.pass_on(run, at, out);
                self.emit(header.flags, msg, out);
                run = Run::at(end);
                budget = budget.saturating_sub(usize::from(!command && !self.open));
            } else {
                self.open = header.flags & MORE != 0;
                run.frames += 1;
                if !self.open {
                    run.messages += 1;
                    run.whole = (end, run.frames);
                    budget = budget.saturating_sub(1);
                }
            }
            at = end;
        };
        // What came before a malformed frame is in order.
        self.pass_on(run, at, out);
        self.at = at;
        stop
    }

    /// As [`Decoder::decode_frames`] on an encrypted connection. What was decrypted is laid down as
    /// frames in a chunk of its own, so that nothing is allocated for each of them.
    fn decode_sealed(
        &mut self,
        protocol: Protocol,
        mut budget: usize,
        out: &mut Vec<Output>,
    ) -> Result<Stop, Malformed> {
        let Some(mut opener) = self.opener.take() else { return Ok(Stop::Hungry) };
        let mut plain = std::mem::take(&mut self.plain);
        let mut run = Run::at(0);
        let stop = loop {
            let bytes = self.bytes();
            let rest = bytes.get(self.at..).unwrap_or_default();
            let Some(header) = protocol.parse(rest) else {
                break Ok(Stop::Hungry);
            };
            if header.exceeds(self.max_size) || header.body_len >= ADDRESS_SPACE {
                break Err(Malformed::TooLarge);
            }
            let size = header.body_len as usize;
            // Whether it is a command is not known before it is decrypted, and then it is too late.
            if budget == 0 && !self.open {
                break Ok(Stop::Full);
            }
            let body = rest.get(header.header_len..).unwrap_or_default();
            let Some(sealed) = body.get(..size) else {
                if size >= LARGE {
                    let at = self.at + header.header_len;
                    if let Err(error) = self.begin_large(at, size, 0) {
                        break Err(error);
                    }
                    self.at = self.bytes().len();
                }
                break Ok(Stop::Hungry);
            };
            if plain.capacity() == 0 {
                // Nothing is longer decrypted than it is now.
                plain.reserve(rest.len());
            }
            let start = plain.len();
            let flags = match opener.open(sealed, &mut plain) {
                Ok(flags) => flags,
                Err(refused) => break Err(refused),
            };
            self.at += header.header_len + size;
            if flags & COMMAND != 0 {
                let frame = plain.get(start..).unwrap_or_default();
                let header_len = frame::parse(frame).map_or(0, |header| header.header_len);
                let Ok(msg) = Msg::copy_of(frame.get(header_len..).unwrap_or_default()) else {
                    break Err(Malformed::NoMemory);
                };
                plain.truncate(start);
                pass_plain(&mut plain, run, out);
                run = Run::at(0);
                out.push(Output::Command(msg));
            } else {
                self.open = flags & MORE != 0;
                run.frames += 1;
                if !self.open {
                    run.messages += 1;
                    run.whole = (plain.len(), run.frames);
                    budget = budget.saturating_sub(1);
                }
            }
        };
        pass_plain(&mut plain, run, out);
        self.plain = plain;
        self.opener = Some(opener);
        stop
    }

    /// Hands the frames from the start of `run` up to `end` on: whole messages, then what has begun.
    fn pass_on(&mut self, run: Run, end: usize, out: &mut Vec<Output>) {
        let (whole_end, whole_frames) = run.whole;
        self.pass_range(run.start, whole_end, whole_frames, run.messages, out);
        self.pass_range(whole_end, end, run.frames - whole_frames, 0, out);
    }

    fn pass_range(
        &mut self,
        start: usize,
        end: usize,
        frames: usize,
        messages: usize,
        out: &mut Vec<Output>,
    ) {
        if frames == 0 {
            return;
        }
        if end - start <= FEW_BYTES && frames <= 2 {
            pass_parts(&self.bytes()[start..end], out);
            return;
        }
        let (chunk, at) = match &mut self.buffer {
            Buffer::Shared(shared) => (shared.clone(), start),
            Buffer::Own(own) if end - start >= WORTH_SHARING => {
                let shared = Arc::new(std::mem::take(own));
                self.buffer = Buffer::Shared(shared.clone());
                (shared, start)
            }
            Buffer::Own(own) => (Arc::new(own[start..end].to_vec()), 0),
        };
        out.push(Output::Frames { chunk, at, end: at + (end - start), messages });
    }
}

/// The buffer as one that can grow, without what was decoded.
fn own<'a>(buffer: &'a mut Buffer, at: &mut usize) -> &'a mut Vec<u8> {
    loop {
        match buffer {
            Buffer::Own(own) => {
                own.drain(..std::mem::take(at));
                return own;
            }
            Buffer::Shared(shared) => {
                let left = shared.get(std::mem::take(at)..).unwrap_or_default().to_vec();
                *buffer = Buffer::Own(left);
            }
        }
    }
}

/// How many messages end in this.
fn ended(outputs: &[Output]) -> usize {
    let ended = outputs.iter().map(|output| match output {
        Output::Frames { messages, .. } => *messages,
        Output::Part(part) => usize::from(!part.more()),
        Output::Command(_) | Output::Reply(_) => 0,
    });
    ended.sum()
}

/// Hands frames on as single messages.
fn pass_parts(mut frames: &[u8], out: &mut Vec<Output>) {
    while let Some(header) = frame::parse(frames) {
        let stop = header.header_len + header.body_len as usize;
        if let Ok(mut msg) = Msg::copy_of(&frames[header.header_len..stop]) {
            msg.set_more(header.flags & MORE != 0);
            out.push(Output::Part(msg));
        }
        frames = &frames[stop..];
    }
}

/// Hands everything in `plain` on, whole messages first, and empties it. Its memory goes along when
/// there is much in it.
fn pass_plain(plain: &mut Vec<u8>, run: Run, out: &mut Vec<Output>) {
    let (end, (whole_end, whole_frames)) = (plain.len(), run.whole);
    if end <= FEW_BYTES && run.frames <= 2 {
        pass_parts(plain, out);
        plain.clear();
        return;
    }
    let chunk = Arc::new(if end >= WORTH_SHARING {
        std::mem::take(plain)
    } else {
        let copy = plain.clone();
        plain.clear();
        copy
    });
    if whole_frames > 0 {
        let messages = run.messages;
        out.push(Output::Frames { chunk: chunk.clone(), at: 0, end: whole_end, messages });
    }
    if run.frames > whole_frames {
        out.push(Output::Frames { chunk, at: whole_end, end, messages: 0 });
    }
}

#[derive(Clone, Copy)]
struct Run {
    start: usize,
    frames: usize,
    messages: usize,
    /// Where the last whole message ends, and the frames up to there.
    whole: (usize, usize),
}

impl Run {
    fn at(start: usize) -> Run {
        Run { start, frames: 0, messages: 0, whole: (start, 0) }
    }

    /// Passes over short frames of messages, of which most that come in numbers are: where it stopped, and whether
    /// the last message goes on. Anything else is left to who can tell it.
    #[inline]
    fn walk(
        &mut self,
        bytes: &[u8],
        mut at: usize,
        mut open: bool,
        budget: &mut usize,
    ) -> (usize, bool) {
        while let Some(&[flags, size]) = bytes.get(at..).and_then(<[u8]>::first_chunk::<2>) {
            let end = at + 2 + usize::from(size);
            if flags & !MORE != 0 || end > bytes.len() || *budget == 0 && !open {
                break;
            }
            at = end;
            open = flags & MORE != 0;
            self.frames += 1;
            if !open {
                self.messages += 1;
                self.whole = (end, self.frames);
                *budget = budget.saturating_sub(1);
            }
        }
        (at, open)
    }
}

#[cfg(test)]
pub(super) mod tests;
