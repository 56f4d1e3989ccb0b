//! Frames of traffic: the decoder against one that is written as plainly as can be.

use zmq::zmtp::Protocol;
use zmq::zmtp::decoder::{Decoder, Framing, Malformed, Output, Stop};
use zmq::zmtp::frame::{self, COMMAND, LONG, MORE};

use super::Input;

/// Above this no frame can be allocated, so it is refused at once.
const ADDRESS_SPACE: u64 = 1 << 47;
/// The decoder may reserve this much before anything has arrived, and never more than 17 times what has.
const FIRST_PIECE: usize = 128 * 1024;

pub(crate) fn frames_v1(data: &[u8]) {
    check(data, Protocol::V1 { unversioned: data.first().is_some_and(|first| first & 128 != 0) });
}

pub(crate) fn frames_v2(data: &[u8]) {
    check(data, Protocol::V2);
}

pub(crate) fn frames_v3(data: &[u8]) {
    check(data, Protocol::V3 { minor: data.first().map_or(0, |first| first >> 7) });
}

/// Flags ([`MORE`], [`COMMAND`]) and body of each frame, and whether the bytes end in one that is refused.
pub(crate) type Decoded = (Vec<(u8, Vec<u8>)>, bool);

fn check(data: &[u8], protocol: Protocol) {
    let mut input = Input(data);
    let how = input.byte();
    let max_size = [-1, 0, 1, 100, 255, 256, 70_000, i64::MAX][usize::from(how & 7)];
    let skips_name = how & 8 != 0;
    let limit = 1 + usize::from(how >> 4 & 7);
    let cut = 1 + usize::from(input.byte());
    let wire = input.0;

    let mut expected = naive(wire, protocol, max_size);
    if skips_name {
        expected = without_name(expected, wire, protocol);
    }
    for cut in [cut, wire.len().max(1)] {
        let framing = Framing::Zmtp { protocol, single: protocol.has_v1_frames() };
        let mut decoder = Decoder::new(framing, max_size);
        if skips_name {
            decoder.skip_name();
        }
        assert_eq!(feed(decoder, wire, cut, limit), expected, "cut {cut} limit {limit}");
    }
}

/// Everything that comes out when `wire` arrives `cut` bytes at a time.
pub(crate) fn feed(mut decoder: Decoder, wire: &[u8], cut: usize, limit: usize) -> Decoded {
    let (mut rest, mut out, mut scratch) = (wire, Vec::new(), Vec::new());
    for turn in 0.. {
        loop {
            let before = out.len();
            match decoder.decode(limit, &mut out) {
                Ok(Stop::Full) => assert!(out.len() > before, "no progress"),
                Ok(Stop::Hungry) => break,
                Err(Malformed::NoMemory) => panic!("ran out of memory for {} bytes", wire.len()),
                Err(Malformed::TooLarge | Malformed::Refused(_)) => return (flatten(out), true),
                Err(Malformed::Frame | Malformed::Closed) => panic!("a WebSocket's answer"),
            }
        }
        if rest.is_empty() {
            break;
        }
        let target = decoder.target(&mut scratch).expect("memory");
        let most = FIRST_PIECE.max(17 * wire.len());
        assert!(target.capacity() <= most, "{} bytes reserved", target.capacity());
        let n = cut.min(rest.len()).min(target.capacity() - target.len());
        assert!(n > 0, "no room to read to");
        let (now, later) = rest.split_at(n);
        target.extend_from_slice(now);
        rest = later;
        if turn % 3 == 0 {
            decoder.reclaim(&mut scratch);
        }
    }
    (flatten(out), false)
}

fn flatten(out: Vec<Output>) -> Vec<(u8, Vec<u8>)> {
    let mut flat = Vec::new();
    for output in out {
        match output {
            Output::Part(msg) => flat.push((u8::from(msg.more()) * MORE, msg.data().to_vec())),
            Output::Reply(_) => panic!("a WebSocket's answer"),
            Output::Command(msg) => flat.push((COMMAND, msg.data().to_vec())),
            Output::Frames { chunk, at, end, messages } => {
                let mut rest = &chunk[at..end];
                let mut ended = 0;
                while let Some(header) = frame::parse(rest) {
                    let stop = header.frame_len().expect("a length");
                    flat.push((header.flags & MORE, rest[header.header_len..stop].to_vec()));
                    ended += usize::from(header.flags & MORE == 0);
                    rest = &rest[stop..];
                }
                assert!(rest.is_empty(), "half a frame was passed on");
                assert_eq!(ended, messages);
            }
        }
    }
    flat
}

/// Header length, flags and body length of the frame that `wire` begins with; `None`: more is needed.
fn naive_header(wire: &[u8], protocol: Protocol) -> Option<(usize, u8, u64)> {
    let long = |at: usize| {
        wire.get(at..at + 8).map(|bytes| u64::from_be_bytes(bytes.try_into().expect("eight")))
    };
    if !protocol.has_v1_frames() {
        let flags = *wire.first()?;
        let short = u64::from(*wire.get(1)?);
        return Some(if flags & LONG == 0 { (2, flags, short) } else { (9, flags, long(1)?) });
    }
    match *wire.first()? {
        0 => Some((1, 0, u64::MAX)),
        255 => {
            let flags = *wire.get(9)? & MORE;
            // The length counts the flags byte: 0 is as wrong as one beyond all memory.
            Some((10, flags, long(1)?.checked_sub(1).unwrap_or(u64::MAX)))
        }
        len => Some((2, *wire.get(1)? & MORE, u64::from(len) - 1)),
    }
}

fn naive(wire: &[u8], protocol: Protocol, max_size: i64) -> Decoded {
    let (mut frames, mut rest) = (Vec::new(), wire);
    while let Some((header, flags, size)) = naive_header(rest, protocol) {
        let limit = u64::try_from(max_size).unwrap_or(u64::MAX);
        if size > limit || size >= ADDRESS_SPACE {
            return (frames, true);
        }
        let Some(end) = usize::try_from(size).ok().map(|size| header + size) else { break };
        let Some(body) = rest.get(header..end) else { break };
        let kind = if flags & COMMAND != 0 { COMMAND } else { flags & MORE };
        frames.push((kind, body.to_vec()));
        rest = &rest[end..];
    }
    (frames, false)
}

/// The first frame is a name: no message, and refused where it is longer than names may be.
fn without_name(decoded: Decoded, wire: &[u8], protocol: Protocol) -> Decoded {
    let (mut frames, refused) = decoded;
    if naive_header(wire, protocol).is_some_and(|(_, _, size)| size > 255) {
        return (Vec::new(), true);
    }
    if !frames.is_empty() {
        frames.remove(0);
    }
    (frames, refused)
}
