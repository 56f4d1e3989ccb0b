//! Messages within reliable multicast: streams of frames that a receiver may join at any time, and that may have
//! gaps.
//!
//! PGM (zmq_pgm(7)): the stream consists of ZMTP 1.0 frames, cut into datagrams that begin with the offset at which
//! the first message begins in them (16 bits, network order; 0xFFFF: none does). NORM: the stream consists of
//! ZMTP 2.0 frames, each after a byte that says whether a message begins with it (0) or goes on (0xFF); where such a
//! pair begins the library has its own mark.

use std::collections::VecDeque;

use super::frame::{self, COMMAND, Header, MORE};
use super::v1;
use crate::message::Msg;

/// No message begins in this datagram.
const NONE: usize = 0xFFFF;
/// Length of the offset before a datagram's piece of the stream.
pub const OFFSET_LEN: usize = 2;

/// Before the first frame of a message in a NORM stream.
const BEGINS: u8 = 0;
/// Before every other one.
const GOES_ON: u8 = 0xFF;

/// A part as it goes into a NORM stream; `begins`: it is the first of its message.
pub fn push_norm(out: &mut Vec<u8>, begins: bool, part: &Msg) {
    out.push(if begins { BEGINS } else { GOES_ON });
    frame::push(out, flags(part), part.data());
}

fn flags(part: &Msg) -> u8 {
    if part.more() { MORE } else { 0 }
}

/// Cuts messages into PGM datagrams.
#[derive(Debug)]
pub struct Packer {
    /// The most bytes of a datagram.
    limit: usize,
    stream: VecDeque<u8>,
    /// Where messages begin in it.
    begins: VecDeque<usize>,
    amid_message: bool,
    datagram: Vec<u8>,
}

impl Packer {
    /// One for datagrams of at most `limit` bytes.
    pub fn new(limit: usize) -> Packer {
        Packer {
            limit: limit.clamp(OFFSET_LEN + 1, NONE),
            stream: VecDeque::new(),
            begins: VecDeque::new(),
            amid_message: false,
            datagram: Vec::new(),
        }
    }

    /// Whether the next datagram has room for more.
    pub fn has_room(&self) -> bool {
        self.stream.len() < self.limit - OFFSET_LEN
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.stream.is_empty() && self.datagram.is_empty()
    }

    /// Appends a part.
    pub fn push(&mut self, part: &Msg) {
        if !self.amid_message {
            self.begins.push_back(self.stream.len());
        }
        self.amid_message = part.more();
        let (header, len) = v1::encode(flags(part), part.size());
        self.stream.extend(header.iter().take(len));
        self.stream.extend(part.data());
    }

    /// The next datagram; the same again until it is reported as sent.
    pub fn datagram(&mut self) -> Option<&[u8]> {
        if self.datagram.is_empty() && !self.stream.is_empty() {
            let size = self.stream.len().min(self.limit - OFFSET_LEN);
            let first = self.begins.front().copied().filter(|at| *at < size).unwrap_or(NONE);
            self.datagram.extend_from_slice(&(first as u16).to_be_bytes());
            self.datagram.extend(self.stream.drain(..size));
            while self.begins.front().is_some_and(|at| *at < size) {
                self.begins.pop_front();
            }
            self.begins.iter_mut().for_each(|at| *at -= size);
        }
        (!self.datagram.is_empty()).then_some(&*self.datagram)
    }

    /// The datagram at hand was sent.
    pub fn sent(&mut self) {
        self.datagram.clear();
        const KEPT: usize = 64 * 1024;
        if self.stream.capacity() > KEPT && self.stream.is_empty() {
            self.stream = VecDeque::new();
        }
    }
}

/// What a stream's frames look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Pgm,
    Norm,
}

/// A stream as it is received: what has come of the frame and of the message at hand.
#[derive(Debug)]
pub struct Stream {
    dialect: Dialect,
    max_size: i64,
    /// It is known where frames begin.
    joined: bool,
    /// The start of a frame, or all of a small one.
    head: Vec<u8>,
    body: Option<Body>,
    /// Parts of a message that is not complete.
    held: Vec<Msg>,
    /// The frames at hand belong to a message whose beginning was not seen.
    skipping: bool,
}

#[derive(Debug)]
struct Body {
    bytes: Vec<u8>,
    size: usize,
    more: bool,
}

/// Bytes that cannot be part of a stream: another beginning has to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no acceptable frame")]
pub struct Malformed;

impl Stream {
    /// A PGM stream whose frames have at most `max_size` bytes (below 0: any number).
    pub fn pgm(max_size: i64) -> Stream {
        Stream::new(Dialect::Pgm, max_size)
    }

    /// A NORM stream.
    pub fn norm(max_size: i64) -> Stream {
        Stream::new(Dialect::Norm, max_size)
    }

    fn new(dialect: Dialect, max_size: i64) -> Stream {
        Stream {
            dialect,
            max_size,
            joined: false,
            head: Vec::new(),
            body: None,
            held: Vec::new(),
            skipping: false,
        }
    }

    /// Something was lost: what was begun is forgotten.
    pub fn lose(&mut self) {
        *self = Stream::new(self.dialect, self.max_size);
    }

    /// Whether it is known where frames begin.
    pub fn is_joined(&self) -> bool {
        self.joined
    }

    /// What comes next is the beginning of a frame.
    pub fn join(&mut self) {
        self.lose();
        self.joined = true;
        // In PGM the offset says where a message begins; in NORM every frame does.
        self.skipping = self.dialect == Dialect::Norm;
    }

    /// Takes a PGM datagram: the parts of whole messages that are complete with it, and how many messages.
    pub fn take_datagram(&mut self, datagram: &[u8], out: &mut Vec<Msg>) -> usize {
        let Some((offset, mut piece)) = datagram.split_first_chunk::<OFFSET_LEN>() else {
            return 0;
        };
        if !self.joined {
            let offset = usize::from(u16::from_be_bytes(*offset));
            let Some(rest) = piece.get(offset..).filter(|_| offset != NONE) else { return 0 };
            piece = rest;
            self.join();
        }
        let (messages, end) = self.take(piece, out);
        if end.is_err() {
            self.lose();
        }
        messages
    }

    /// Takes bytes of the stream: as above. After an error the stream is to be joined anew.
    pub fn take(&mut self, mut bytes: &[u8], out: &mut Vec<Msg>) -> (usize, Result<(), Malformed>) {
        let mut messages = 0;
        while !bytes.is_empty() {
            match self.step(&mut bytes, out) {
                Ok(ended) => messages += usize::from(ended),
                Err(error) => return (messages, Err(error)),
            }
        }
        (messages, Ok(()))
    }

    /// Takes a piece of a frame from the front of `bytes`, which must not be empty; whether that ended a message.
    fn step(&mut self, bytes: &mut &[u8], out: &mut Vec<Msg>) -> Result<bool, Malformed> {
        if self.body.is_none() {
            // Byte by byte, as headers are of different lengths and may be cut anywhere.
            let Some((first, rest)) = bytes.split_first() else { return Ok(false) };
            self.head.push(*first);
            *bytes = rest;
            let Some(header) = self.header()? else { return Ok(false) };
            self.head.clear();
            let size = header.frame_len().ok_or(Malformed)? - header.header_len;
            let more = header.flags & MORE != 0;
            self.body = Some(Body { bytes: Vec::new(), size, more });
        }
        let Some(body) = &mut self.body else { return Ok(false) };
        let missing = body.size - body.bytes.len();
        let (piece, rest) = bytes.split_at(missing.min(bytes.len()));
        *bytes = rest;
        if body.bytes.is_empty() && piece.len() == body.size {
            let part = Msg::copy_of(piece).map_err(|_| Malformed)?;
            let more = body.more;
            return Ok(self.finish(part, more, out));
        }
        body.bytes.try_reserve(piece.len()).map_err(|_| Malformed)?;
        body.bytes.extend_from_slice(piece);
        if body.bytes.len() < body.size {
            return Ok(false);
        }
        let (part, more) = (Msg::from_vec(std::mem::take(&mut body.bytes)), body.more);
        Ok(self.finish(part, more, out))
    }

    /// The header at hand, once it is whole.
    fn header(&mut self) -> Result<Option<Header>, Malformed> {
        let header = match self.dialect {
            Dialect::Pgm => v1::parse(&self.head),
            Dialect::Norm => {
                match self.head.first() {
                    Some(&BEGINS) if self.head.len() == 1 => {
                        self.held.clear();
                        self.skipping = false;
                    }
                    Some(&GOES_ON) if self.head.len() == 1 && self.held.is_empty() => {
                        self.skipping = true;
                    }
                    Some(&(BEGINS | GOES_ON)) => {}
                    _ => return Err(Malformed),
                }
                frame::parse(self.head.get(1..).unwrap_or_default())
            }
        };
        match header {
            Some(header) if header.exceeds(self.max_size) || header.flags & COMMAND != 0 => {
                Err(Malformed)
            }
            header => Ok(header),
        }
    }

    /// A part is complete.
    fn finish(&mut self, mut part: Msg, more: bool, out: &mut Vec<Msg>) -> bool {
        self.body = None;
        if self.skipping {
            return false;
        }
        part.set_more(more);
        self.held.push(part);
        if !more {
            out.append(&mut self.held);
        }
        !more
    }
}

#[cfg(test)]
mod tests;
