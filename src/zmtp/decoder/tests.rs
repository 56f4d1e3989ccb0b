//! Frames decoded whatever pieces they come in, and what is refused.

use super::*;
use crate::zmtp::frame;
use proptest::prelude::*;

const V3: Framing = Framing::Zmtp { protocol: Protocol::V3 { minor: 1 }, single: false };

/// Parts and commands as (flags, body), however they were packed.
pub(in crate::zmtp) fn flatten(out: Vec<Output>) -> Vec<(u8, Vec<u8>)> {
    let mut flat = Vec::new();
    for output in out {
        match output {
            Output::Part(m) => flat.push((u8::from(m.more()) * MORE, m.data().to_vec())),
            Output::Command(m) => flat.push((COMMAND, m.data().to_vec())),
            Output::Reply(_) => {}
            Output::Frames { chunk, at, end, messages } => {
                let mut rest = &chunk[at..end];
                let mut ended = 0;
                while let Some(h) = frame::parse(rest) {
                    let stop = h.header_len + h.body_len as usize;
                    flat.push((h.flags & MORE, rest[h.header_len..stop].to_vec()));
                    ended += usize::from(h.flags & MORE == 0);
                    rest = &rest[stop..];
                }
                assert!(rest.is_empty());
                assert_eq!(ended, messages);
            }
        }
    }
    flat
}

fn feed(
    decoder: &mut Decoder,
    mut bytes: &[u8],
    cuts: &[usize],
    limit: usize,
) -> Vec<(u8, Vec<u8>)> {
    let (mut out, mut scratch, mut turn) = (Vec::new(), Vec::new(), 0);
    loop {
        while decoder.decode(limit, &mut out) == Ok(Stop::Full) {}
        if bytes.is_empty() {
            return flatten(out);
        }
        let cut = cuts[turn % cuts.len()].clamp(1, bytes.len());
        turn += 1;
        let target = decoder.target(&mut scratch).expect("memory");
        let n = cut.min(target.capacity() - target.len());
        target.extend_from_slice(&bytes[..n]);
        bytes = &bytes[n..];
        if turn % 3 == 0 {
            while decoder.decode(limit, &mut out) == Ok(Stop::Full) {}
            decoder.reclaim(&mut scratch);
        }
    }
}

proptest! {
    #[test]
    fn any_chopping_gives_the_same_parts(
        parts in prop::collection::vec((0u8..3, prop_oneof![0usize..40, 200usize..300, 8000usize..70_000]), 1..30),
        cuts in prop::collection::vec(1usize..70_000, 1..8),
        limit in 1usize..20,
    ) {
        let mut wire = Vec::new();
        let mut expected = Vec::new();
        for (kind, size) in parts {
            let flags = [0, MORE, COMMAND][kind as usize];
            let body = vec![size as u8; size];
            frame::push(&mut wire, flags, &body);
            expected.push((flags, body));
        }
        let mut decoder = Decoder::new(V3, -1);
        prop_assert_eq!(feed(&mut decoder, &wire, &cuts, limit), expected);
    }
}

#[test]
fn a_limit_holds_messages_back() {
    let mut wire = Vec::new();
    (0..10).for_each(|n| frame::push(&mut wire, 0, &[n; 300]));
    let mut decoder = Decoder::new(V3, -1);
    decoder.preload(&wire);
    let mut out = Vec::new();
    assert_eq!(decoder.decode(4, &mut out), Ok(Stop::Full));
    assert_eq!(flatten(out).len(), 4);
    assert!(decoder.has_input());
    let mut rest = Vec::new();
    assert_eq!(decoder.decode(100, &mut rest), Ok(Stop::Hungry));
    assert_eq!(flatten(rest).len(), 6);
}

#[test]
fn announced_sizes_reserve_nothing() {
    for size in [u64::MAX, 1 << 63, i64::MAX as u64] {
        let mut decoder = Decoder::new(V3, -1);
        let mut wire = vec![frame::LONG];
        wire.extend_from_slice(&size.to_be_bytes());
        decoder.preload(&wire);
        assert_eq!(decoder.decode(1, &mut Vec::new()), Err(Malformed::TooLarge), "{size}");
    }
    let mut decoder = Decoder::new(V3, -1);
    let mut wire = vec![frame::LONG];
    wire.extend_from_slice(&(1u64 << 40).to_be_bytes());
    decoder.preload(&wire);
    assert_eq!(decoder.decode(1, &mut Vec::new()), Ok(Stop::Hungry));
    let target = decoder.target(&mut Vec::new()).expect("a first piece");
    assert!(target.capacity() < 1 << 20);
}

#[test]
fn memory_is_reserved_for_as_much_as_came_before() {
    let size = 3 * CHUNK;
    let mut wire = Vec::new();
    frame::push(&mut wire, 0, &vec![7; size]);
    let mut decoder = Decoder::new(V3, -1);
    assert_eq!(feed(&mut decoder, &wire, &[1000], 10), [(0, vec![7; size])]);
    // No more than a taste is read of what comes next, and its memory is there at once.
    assert_eq!(decoder.appetite(), TASTE);
    let reserved = |decoder: &mut Decoder, wire: &[u8]| {
        decoder.preload(wire);
        assert_eq!(decoder.decode(1, &mut Vec::new()), Ok(Stop::Hungry));
        assert_eq!(decoder.appetite(), usize::MAX);
        decoder.large.take().map_or(0, |large| large.body.capacity())
    };
    assert_eq!(reserved(&mut decoder, &wire[..TASTE]), size);
    let mut huge = vec![frame::LONG];
    huge.extend_from_slice(&(1u64 << 40).to_be_bytes());
    assert_eq!(reserved(&mut decoder, &huge), size);
    // A frame that a chunk holds changes nothing.
    let mut small = Vec::new();
    frame::push(&mut small, 0, &[7; 2 * LARGE]);
    assert_eq!(feed(&mut decoder, &small, &[1000], 10).len(), 1);
    assert_eq!(decoder.appetite(), usize::MAX);
}

#[test]
fn a_name_that_comes_first_is_no_message() {
    let mut wire = Vec::new();
    frame::push(&mut wire, 0, b"name");
    frame::push(&mut wire, 0, b"hello");
    let mut decoder = Decoder::new(V3, -1);
    decoder.skip_name();
    let got = feed(&mut decoder, &wire, &[1], 10);
    assert_eq!(got, [(0, b"hello".to_vec())]);
}

#[test]
fn the_size_limit_counts_bodies() {
    for (size, ok) in [(3, true), (4, false)] {
        let mut wire = Vec::new();
        frame::push(&mut wire, 0, &vec![0; size]);
        let mut decoder = Decoder::new(V3, 3);
        decoder.preload(&wire);
        assert_eq!(decoder.decode(1, &mut Vec::new()).is_ok(), ok);
    }
}
