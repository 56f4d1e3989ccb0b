//! Multicast: streams that are joined late or have gaps, and bytes that are no stream at all.

use zmq::message::Msg;
use zmq::zmtp::frame::{self, COMMAND, MORE};
use zmq::zmtp::multicast::{Packer, Stream, push_norm};

use super::Input;

type Message = Vec<Vec<u8>>;

/// Any bytes, as a NORM stream in pieces and as PGM datagrams.
pub(crate) fn stream(data: &[u8]) {
    let mut input = Input(data);
    let how = input.byte();
    let max_size = [-1, 0, 1, 100, 255, 256, 70_000, i64::MAX][usize::from(how & 7)];
    let cut = 1 + usize::from(input.byte());
    let wire = input.0;

    let expected = naive_norm(wire, max_size);
    for cut in [cut, wire.len().max(1)] {
        let (mut stream, mut out, mut said) = (Stream::norm(max_size), Vec::new(), 0);
        stream.join();
        let refused = wire.chunks(cut).any(|piece| {
            let (messages, end) = stream.take(piece, &mut out);
            said += messages;
            end.is_err()
        });
        assert_eq!((messages(&out), refused), expected, "cut {cut}");
        assert_eq!(said, expected.0.len());
    }

    let (mut stream, mut out, mut said) = (Stream::pgm(max_size), Vec::new(), 0);
    while !input.0.is_empty() {
        said += stream.take_datagram(input.chunk(), &mut out);
    }
    let got = messages(&out);
    assert_eq!(got.len(), said);
    assert!(got.concat().concat().len() <= wire.len(), "more came out than went in");
    for part in got.concat() {
        assert!(i64::try_from(part.len()).is_ok_and(|len| max_size < 0 || len <= max_size));
    }
}

/// Messages of any parts, of which some datagrams or frames never arrive: what comes is whole and in order.
pub(crate) fn loss(data: &[u8]) {
    let mut input = Input(data);
    let limit = 3 + usize::from(input.byte());
    let mut lost = Vec::new();
    for byte in input.chunk() {
        lost.extend((0..8).map(|bit| byte >> bit & 1 != 0));
    }
    let is_lost = |n: usize| lost.get(n).copied().unwrap_or(false);
    let mut parts = Vec::new();
    while !input.0.is_empty() {
        let more = input.byte() & 1 != 0;
        let mut part = Msg::copy_of(input.chunk()).expect("memory");
        part.set_more(more && !input.0.is_empty());
        parts.push(part);
    }
    let sent = messages(&parts);

    let (mut packer, mut stream, mut out) = (Packer::new(limit), Stream::pgm(-1), Vec::new());
    let (mut number, mut whole) = (0, true);
    let mut pushed = parts.iter();
    loop {
        let part = pushed.next();
        part.into_iter().for_each(|part| packer.push(part));
        while !packer.is_empty() && (part.is_none() || !packer.has_room()) {
            let datagram = packer.datagram().expect("something to send");
            assert!(datagram.len() <= limit.max(3));
            if is_lost(number) {
                stream.lose();
                whole = false;
            } else {
                stream.take_datagram(datagram, &mut out);
            }
            packer.sent();
            number += 1;
        }
        if part.is_none() {
            break;
        }
    }
    check(&sent, &messages(&out), whole);

    let (mut stream, mut out, mut begins) = (Stream::norm(-1), Vec::new(), true);
    stream.join();
    let mut whole = true;
    for (number, part) in parts.iter().enumerate() {
        let mut frame = Vec::new();
        push_norm(&mut frame, begins, part);
        begins = !part.more();
        if is_lost(number) {
            stream.join();
            whole = false;
        } else {
            let (_, end) = stream.take(&frame, &mut out);
            assert_eq!(end, Ok(()));
        }
    }
    check(&sent, &messages(&out), whole);
}

/// What came is of what was sent, in its order, and all of it if nothing was lost.
fn check(sent: &[Message], got: &[Message], whole: bool) {
    let mut left = sent.iter();
    for message in got {
        assert!(left.any(|other| other == message), "{message:?} was not sent, or not then");
    }
    assert!(!whole || got.len() == sent.len());
}

fn messages(parts: &[Msg]) -> Vec<Message> {
    let mut all = Vec::new();
    let mut one = Vec::new();
    for part in parts {
        one.push(part.data().to_vec());
        if !part.more() {
            all.push(std::mem::take(&mut one));
        }
    }
    assert!(one.is_empty(), "a message without its end");
    all
}

/// The messages of a NORM stream that is joined at its beginning, and whether it ends in what is refused.
fn naive_norm(mut wire: &[u8], max_size: i64) -> (Vec<Message>, bool) {
    let mut all = Vec::new();
    let mut one: Option<Message> = None;
    while let Some((mark, rest)) = wire.split_first() {
        match mark {
            0 => one = Some(Vec::new()),
            0xFF => {}
            _ => return (all, true),
        }
        let Some(header) = frame::parse(rest) else { break };
        if header.flags & COMMAND != 0 || header.exceeds(max_size) {
            return (all, true);
        }
        let Some(len) = header.frame_len() else { return (all, true) };
        let Some(body) = rest.get(header.header_len..len) else { break };
        if let Some(parts) = &mut one {
            parts.push(body.to_vec());
            if header.flags & MORE == 0 {
                all.extend(one.take());
            }
        }
        wire = &rest[len..];
    }
    (all, false)
}
