//! Streams cut in every way, joined late and with gaps.

use super::*;
use proptest::prelude::*;

fn parts(texts: &[&[u8]]) -> Vec<Msg> {
    let last = texts.len() - 1;
    let part = |(n, text): (usize, &&[u8])| {
        let mut msg = Msg::copy_of(text).expect("small");
        msg.set_more(n != last);
        msg
    };
    texts.iter().enumerate().map(part).collect()
}

/// Messages as lists of parts.
fn messages(parts: &[Msg]) -> Vec<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    let mut one = Vec::new();
    for part in parts {
        one.push(part.data().to_vec());
        if !part.more() {
            all.push(std::mem::take(&mut one));
        }
    }
    assert!(one.is_empty(), "whole messages only");
    all
}

fn pack(limit: usize, sent: &[Vec<Msg>]) -> Vec<Vec<u8>> {
    let mut packer = Packer::new(limit);
    let mut datagrams = Vec::new();
    for part in sent.iter().flatten() {
        packer.push(part);
        while !packer.has_room() {
            datagrams.push(packer.datagram().expect("it is full").to_vec());
            packer.sent();
        }
    }
    while let Some(datagram) = packer.datagram() {
        datagrams.push(datagram.to_vec());
        packer.sent();
    }
    assert!(packer.is_empty());
    datagrams
}

fn norm_stream(sent: &[Vec<Msg>]) -> (Vec<u8>, Vec<usize>) {
    let (mut bytes, mut marks) = (Vec::new(), Vec::new());
    for message in sent {
        for (n, part) in message.iter().enumerate() {
            marks.push(bytes.len());
            push_norm(&mut bytes, n == 0, part);
        }
    }
    (bytes, marks)
}

/// Datagrams recorded from libzmq 4.3.4.
#[test]
fn pgm_datagrams_are_those_of_libzmq() {
    let sent = [parts(&[b"msg0"]), parts(&[b"multi", b"", b"end"])];
    assert_eq!(pack(1428, &sent[..1]), [b"\0\0\x05\0msg0"]);
    assert_eq!(pack(1428, &sent[1..]), [b"\0\0\x06\x01multi\x01\x01\x04\0end"]);
    let long = parts(&[&[b'b'; 400]]);
    let datagrams = pack(228, &[long, parts(&[b"x"])]);
    assert_eq!(datagrams[0][..4], *b"\0\0\xFF\0");
    assert_eq!(datagrams[1][..2], 184u16.to_be_bytes(), "the rest of the first, then the next");
    assert_eq!(datagrams[1][186..], *b"\x02\0x");
}

/// Streams recorded from libzmq 4.3.4.
#[test]
fn norm_streams_are_those_of_libzmq() {
    let (bytes, _) = norm_stream(&[parts(&[b"msg0"]), parts(&[b"multi", b"", b"end"])]);
    assert_eq!(bytes, b"\0\0\x04msg0\0\x01\x05multi\xFF\x01\0\xFF\0\x03end");
    let (bytes, _) = norm_stream(&[parts(&[&[7; 1300]])]);
    assert_eq!(bytes[..10], *b"\0\x02\0\0\0\0\0\0\x05\x14");
}

#[test]
fn offsets_name_messages_and_not_parts() {
    let sent = [parts(&[&[1; 30], &[2; 30], &[3; 10]]), parts(&[b"next"])];
    let offsets: Vec<_> = pack(34, &sent).iter().map(|datagram| datagram[..2].to_vec()).collect();
    assert_eq!(offsets, [[0, 0], [0xFF, 0xFF], [0, 12]]);
}

#[test]
fn who_comes_late_begins_with_the_first_whole_message() {
    let sent = [parts(&[&[1; 30], &[2; 30], &[3; 10]]), parts(&[b"next"])];
    let datagrams = pack(34, &sent);
    let (mut stream, mut out) = (Stream::pgm(-1), Vec::new());
    assert_eq!(stream.take_datagram(&datagrams[1], &mut out), 0);
    assert!(!stream.is_joined());
    // In PGM the offset leads to a message's first part at once.
    assert_eq!(stream.take_datagram(&datagrams[2], &mut out), 1);
    assert_eq!(messages(&out), [[b"next"]]);
    let (bytes, marks) = norm_stream(&sent);
    for (from, whole) in [(0, 2), (1, 1), (2, 1), (3, 1)] {
        let (mut stream, mut out) = (Stream::norm(-1), Vec::new());
        stream.join();
        assert_eq!(stream.take(&bytes[marks[from]..], &mut out), (whole, Ok(())));
        assert_eq!(messages(&out).last(), Some(&vec![b"next".to_vec()]));
    }
}

#[test]
fn a_gap_takes_the_whole_message_away() {
    let sent = [parts(&[b"one", &[2; 60]]), parts(&[b"next"])];
    let datagrams = pack(34, &sent);
    let (mut stream, mut out) = (Stream::pgm(-1), Vec::new());
    assert_eq!(stream.take_datagram(&datagrams[0], &mut out), 0);
    stream.lose();
    assert_eq!(stream.take_datagram(&datagrams[2], &mut out), 1);
    assert_eq!(messages(&out), [[b"next"]]);
}

#[test]
fn hostile_bytes_end_the_stream_and_take_no_memory() {
    let huge: &[&[u8]] =
        &[b"\0\0\0", b"\0\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0", b"\0\x09\x05\0"];
    for datagram in huge {
        let (mut stream, mut out) = (Stream::pgm(-1), Vec::new());
        assert_eq!(stream.take_datagram(datagram, &mut out), 0);
        assert!(!stream.is_joined() && out.is_empty(), "{datagram:x?}");
    }
    let announced = b"\0\0\xFF\0\0\x7F\xFF\xFF\xFF\xFF\xFF\0";
    let (mut stream, mut out) = (Stream::pgm(-1), Vec::new());
    assert_eq!(stream.take_datagram(announced, &mut out), 0);
    assert!(stream.is_joined(), "it may come");
    assert_eq!(stream.body.as_ref().map(|body| body.bytes.capacity()), Some(0));
    let (mut stream, mut out) = (Stream::pgm(10), Vec::new());
    assert_eq!(stream.take_datagram(b"\0\0\x0C\0eleven byte", &mut out), 0);
    assert!(!stream.is_joined(), "more than allowed");
    for bytes in [&b"\x01\0\x01a"[..], b"\0\x04\x01a", b"\0\x02\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"] {
        let (mut stream, mut out) = (Stream::norm(-1), Vec::new());
        stream.join();
        assert_eq!(stream.take(bytes, &mut out), (0, Err(Malformed)), "{bytes:x?}");
    }
}

#[test]
fn a_norm_message_that_is_not_ended_is_dropped() {
    let (mut stream, mut out) = (Stream::norm(-1), Vec::new());
    stream.join();
    let bytes = b"\0\x01\x01a\0\0\x01b\xFF\0\x01c\0\0\x01d";
    assert_eq!(stream.take(bytes, &mut out), (2, Ok(())));
    assert_eq!(messages(&out), [[b"b"], [b"d"]]);
}

fn any_messages() -> impl Strategy<Value = Vec<Vec<Vec<u8>>>> {
    let part = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        prop::collection::vec(any::<u8>(), 240..600)
    ];
    prop::collection::vec(prop::collection::vec(part, 1..4), 1..12)
}

fn build(all: &[Vec<Vec<u8>>]) -> Vec<Vec<Msg>> {
    all.iter().map(|one| parts(&one.iter().map(Vec::as_slice).collect::<Vec<_>>())).collect()
}

proptest! {
    #[test]
    fn what_is_packed_comes_out(all in any_messages(), limit in 3_usize..700) {
        let (mut stream, mut out) = (Stream::pgm(-1), Vec::new());
        let mut whole = 0;
        for datagram in pack(limit, &build(&all)) {
            prop_assert!(datagram.len() <= limit);
            whole += stream.take_datagram(&datagram, &mut out);
        }
        prop_assert_eq!(whole, all.len());
        prop_assert_eq!(messages(&out), all);
    }

    #[test]
    fn whoever_joins_anywhere_hears_the_end(all in any_messages(), limit in 3_usize..700, from: prop::sample::Index) {
        let datagrams = pack(limit, &build(&all));
        let (mut stream, mut out) = (Stream::pgm(-1), Vec::new());
        for datagram in &datagrams[from.index(datagrams.len())..] {
            stream.take_datagram(datagram, &mut out);
        }
        let heard = messages(&out);
        prop_assert!(all.ends_with(&heard));
    }

    #[test]
    fn a_norm_stream_may_be_cut_anywhere(all in any_messages(), cuts in prop::collection::vec(1_usize..300, 1..30)) {
        let (bytes, _) = norm_stream(&build(&all));
        let (mut stream, mut out) = (Stream::norm(-1), Vec::new());
        stream.join();
        let (mut at, mut whole) = (0, 0);
        for cut in cuts.iter().cycle() {
            let piece = &bytes[at..(at + cut).min(bytes.len())];
            let (messages, end) = stream.take(piece, &mut out);
            prop_assert_eq!(end, Ok(()));
            whole += messages;
            at += piece.len();
            if at == bytes.len() {
                break;
            }
        }
        prop_assert_eq!(whole, all.len());
        prop_assert_eq!(messages(&out), all);
    }

    #[test]
    fn garbage_does_no_harm(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..20), limit in -1_i64..100) {
        for mut stream in [Stream::pgm(limit), Stream::norm(limit)] {
            let mut out = Vec::new();
            for piece in &pieces {
                if stream.dialect == Dialect::Pgm {
                    stream.take_datagram(piece, &mut out);
                } else if stream.take(piece, &mut out).1.is_err() {
                    stream.join();
                }
            }
            prop_assert!(out.iter().map(Msg::size).sum::<usize>() <= 60 * 20);
        }
    }
}
