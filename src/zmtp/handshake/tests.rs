//! Whole handshakes in memory: both ends ours, or the other end a transcript of bytes.

mod authentication;
mod curve;
mod gssapi;
mod plain;

use super::*;
use crate::base::constants::*;
use proptest::prelude::*;

const SIGNATURE: &[u8] = b"\xFF\0\0\0\0\0\0\0\x01\x7F";
/// What a PUSH says after the greeting.
const PUSH_READY: &[u8] = b"\x04\x1A\x05READY\x0BSocket-Type\0\0\0\x04PUSH";
const TYPES: [SocketType; 21] = {
    use SocketType::*;
    [
        Pair, Pub, Sub, Req, Rep, Dealer, Router, Pull, Push, XPub, XSub, Stream, Server, Client,
        Radio, Dish, Gather, Scatter, Dgram, Peer, Channel,
    ]
};

fn config(socket_type: SocketType) -> Config {
    Config {
        socket_type,
        routing_id: Vec::new(),
        mechanism: ZMQ_NULL,
        as_server: false,
        plain: Credentials::default(),
        curve: Keys::default(),
        random: Random::of_system(),
        gssapi: None,
        zap_domain: Vec::new(),
        zap_enforce_domain: false,
        metadata: Vec::new(),
        max_msg_size: -1,
    }
}

fn named(socket_type: SocketType, routing_id: &[u8]) -> Config {
    Config { routing_id: routing_id.to_vec(), ..config(socket_type) }
}

fn in_domain(enforce: bool) -> Config {
    let zap_domain = b"global".to_vec();
    Config { zap_domain, zap_enforce_domain: enforce, ..named(SocketType::Pull, b"srv") }
}

fn greeting(major: u8, minor: u8, mechanism: &[u8]) -> Vec<u8> {
    let mut bytes = [SIGNATURE, &[major, minor], mechanism].concat();
    bytes.resize(64, 0);
    bytes
}

/// A greeting of ZMTP 3.1 with NULL, and `more`.
fn greeted(more: &[u8]) -> Vec<u8> {
    [&greeting(3, 1, b"NULL"), more].concat()
}

fn command(body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    crate::zmtp::frame::push(&mut frame, crate::zmtp::frame::COMMAND, body);
    frame
}

fn ready(properties: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut body = b"\x05READY".to_vec();
    for (name, value) in properties {
        metadata::push(&mut body, name, value).unwrap();
    }
    command(&body)
}

/// Everything that a run shows to the outside.
#[derive(Debug, PartialEq)]
struct Run {
    sent: Vec<u8>,
    consumed: usize,
    /// `None`: still waiting.
    end: Option<Result<String, HandshakeError>>,
    peer: Option<(Protocol, Vec<u8>, Vec<u8>)>,
}

/// Feeds `pieces`, without any answer to a request for authentication.
fn run(config: Config, pieces: &[&[u8]]) -> Run {
    let mut handshake = Handshake::new(Arc::new(config)).unwrap();
    let mut run = Run { sent: Vec::new(), consumed: 0, end: None, peer: None };
    handshake.start(&mut run.sent);
    for piece in pieces {
        let mut rest = *piece;
        loop {
            match handshake.input(rest, Instant::now(), &mut run.sent) {
                Err(error) => {
                    run.end = Some(Err(error));
                    return run;
                }
                Ok(Step { consumed, status }) => {
                    run.consumed += consumed;
                    rest = &rest[consumed..];
                    match status {
                        Status::NeedMore => {
                            assert!(rest.is_empty(), "waits although bytes are left");
                            break;
                        }
                        Status::Zap(_) => {}
                        Status::Done(peer) => {
                            run.end = Some(Ok(format!("{peer:?}")));
                            run.peer = Some((peer.protocol, peer.routing_id, peer.socket_type));
                            return run;
                        }
                    }
                }
            }
        }
    }
    run
}

fn failure(config: Config, bytes: &[u8]) -> Failure {
    match run(config, &[bytes]).end {
        Some(Err(error)) => {
            assert!(!error.stays_open);
            error.failure
        }
        other => panic!("{bytes:x?}: {other:?}"),
    }
}

fn peer(config: Config, bytes: &[u8]) -> Peer {
    let mut handshake = Handshake::new(Arc::new(config)).unwrap();
    match handshake.input(bytes, Instant::now(), &mut Vec::new()) {
        Ok(Step { status: Status::Done(peer), .. }) => *peer,
        other => panic!("{bytes:x?}: {other:?}"),
    }
}

/// Lets two of ours talk, `cut` bytes at a time; both must come to an end.
fn meet(a: Config, b: Config, cut: usize) -> [Result<Box<Peer>, HandshakeError>; 2] {
    let mut ends = [a, b].map(|config| Handshake::new(Arc::new(config)).unwrap());
    let mut wires = [Vec::new(), Vec::new()];
    for (end, wire) in ends.iter_mut().zip(&mut wires) {
        end.start(wire);
    }
    let mut results = [None, None];
    for _ in 0..10_000 {
        for side in 0..2 {
            let take = cut.min(wires[1 - side].len());
            let bytes: Vec<u8> = wires[1 - side].drain(..take).collect();
            if results[side].is_some() {
                continue;
            }
            match ends[side].input(&bytes, Instant::now(), &mut wires[side]) {
                Ok(Step { consumed, status: Status::Done(peer) }) => {
                    assert_eq!(consumed, bytes.len());
                    results[side] = Some(Ok(peer));
                }
                Ok(Step { consumed, .. }) => assert_eq!(consumed, bytes.len()),
                Err(error) => results[side] = Some(Err(error)),
            }
        }
    }
    results.map(|result| result.expect("the handshake does not end"))
}

#[test]
fn two_of_ours_agree() {
    for cut in [1, 7, 1000] {
        let [a, b] = meet(named(SocketType::Dealer, b"dea"), named(SocketType::Router, b""), cut);
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!(a.protocol, Protocol::V3 { minor: 1 });
        assert_eq!((&a.socket_type[..], &a.routing_id[..]), (&b"ROUTER"[..], &b""[..]));
        assert_eq!((&b.socket_type[..], &b.routing_id[..]), (&b"DEALER"[..], &b"dea"[..]));
        assert_eq!(a.properties[1], (b"Identity".to_vec(), Vec::new()));
        assert!(matches!((a.framer, a.grant), (Framer::Plain, None)));
    }
}

#[test]
fn only_fitting_types_agree() {
    let pairs = [
        "REQ REP",
        "REQ ROUTER",
        "REP DEALER",
        "DEALER DEALER",
        "DEALER ROUTER",
        "ROUTER ROUTER",
        "PUSH PULL",
        "PUB SUB",
        "PUB XSUB",
        "XPUB SUB",
        "XPUB XSUB",
        "PAIR PAIR",
        "SERVER CLIENT",
        "RADIO DISH",
        "GATHER SCATTER",
        "DGRAM DGRAM",
        "PEER PEER",
        "CHANNEL CHANNEL",
    ];
    for a in TYPES {
        for b in TYPES {
            if a == SocketType::Stream || b == SocketType::Stream {
                continue;
            }
            let fits = pairs.contains(&format!("{} {}", a.name(), b.name()).as_str())
                || pairs.contains(&format!("{} {}", b.name(), a.name()).as_str());
            let results = meet(config(a), config(b), 1000);
            for result in results {
                match result {
                    Ok(_) => assert!(fits, "{a:?} {b:?}"),
                    Err(error) => {
                        assert!(!fits, "{a:?} {b:?}");
                        assert_eq!(error.failure, Failure::Silent);
                    }
                }
            }
        }
    }
}

#[test]
fn greeting_and_ready_are_sent_as_expected() {
    let whole = run(config(SocketType::Pull), &[&greeted(PUSH_READY)]);
    let expected = greeted(b"\x04\x1A\x05READY\x0BSocket-Type\0\0\0\x04PULL");
    assert_eq!(whole.sent, expected);
    assert_eq!(whole.consumed, 64 + PUSH_READY.len());
    let end = (Protocol::V3 { minor: 1 }, Vec::new(), b"PUSH".to_vec());
    assert_eq!(whole.peer, Some(end));

    let id = b"\x04\x29\x05READY\x0BSocket-Type\0\0\0\x06ROUTER\x08Identity\0\0\0\0";
    let sent = run(config(SocketType::Router), &[&greeted(b"")]).sent;
    assert_eq!(sent, greeted(id));
    // A REP has a routing id for nobody, but its length is in the signature.
    let sent = run(named(SocketType::Rep, b"abc"), &[&greeted(b"")]).sent;
    assert_eq!(&sent[..11], b"\xFF\0\0\0\0\0\0\0\x04\x7F\x03");
    assert_eq!(&sent[64..], b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03REP");
}

#[test]
fn own_properties_are_sorted_and_the_first_of_a_name_stays() {
    let metadata = [("X-b", "1"), ("X-a", "2"), ("X-b", "3")]
        .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    let with = Config { metadata: metadata.to_vec(), ..named(SocketType::Req, b"i") };
    let sent = run(with, &[&greeted(b"")]).sent;
    let list =
        [(&b"Socket-Type"[..], &b"REQ"[..]), (b"Identity", b"i"), (b"X-a", b"2"), (b"X-b", b"1")];
    assert_eq!(sent[64..], ready(&list));
}

#[test]
fn nothing_is_said_before_its_time() {
    let sent = |bytes: &[u8]| run(named(SocketType::Pull, b"abc"), &[bytes]).sent;
    let new = [&greeted(b"")[..], PUSH_READY].concat();
    let lengths = [(0, 10), (1, 10), (9, 10), (10, 11), (11, 64), (12, 64), (63, 64), (64, 92)];
    for (received, expected) in lengths {
        assert_eq!(sent(&new[..received]).len(), expected, "after {received}");
    }
    // ZMTP 2.0: the type after the version, the routing id after the peer's type.
    let old = [SIGNATURE, b"\x01\x08"].concat();
    assert_eq!(sent(&old[..11])[10..], *b"\x03\x07");
    assert_eq!(sent(&old)[10..], *b"\x03\x07\0\x03abc");
}

#[test]
fn zmtp_3_0_is_told_from_later_ones() {
    for (major, minor, expected) in [(3, 0, 0), (3, 1, 1), (3, 9, 1), (2, 0, 1), (4, 0, 1)] {
        let bytes = [&greeting(major, minor, b"NULL"), PUSH_READY].concat();
        let protocol = peer(config(SocketType::Pull), &bytes).protocol;
        assert_eq!(protocol, Protocol::V3 { minor: expected }, "{major}.{minor}");
    }
}

#[test]
fn zmtp_2_0_exchanges_routing_ids() {
    let bytes = [SIGNATURE, b"\x01\x05\0\x03abc\0\x01x"].concat();
    let run = run(named(SocketType::Router, b"me"), &[&bytes]);
    assert_eq!(run.sent, b"\xFF\0\0\0\0\0\0\0\x03\x7F\x03\x06\0\x02me");
    assert_eq!(run.consumed, bytes.len() - 3, "traffic is left alone");
    assert_eq!(run.peer, Some((Protocol::V2, b"abc".to_vec(), Vec::new())));
    // No check of types among old peers.
    assert_eq!(peer(config(SocketType::Pull), &bytes).protocol, Protocol::V2);
}

#[test]
fn zmtp_1_0_with_a_signature() {
    let bytes = [SIGNATURE, b"\0\x05\x04\0abc\x02\0x"].concat();
    let run = run(named(SocketType::Router, b"me"), &[&bytes]);
    assert_eq!(run.sent, b"\xFF\0\0\0\0\0\0\0\x03\x7F\x03\x06\x03\0me");
    assert_eq!(run.consumed, bytes.len() - 3);
    assert_eq!(run.peer, Some((Protocol::V1 { unversioned: false }, b"abc".to_vec(), Vec::new())));
}

#[test]
fn zmtp_1_0_without_a_signature() {
    // The short and the long form of the first frame; traffic is left alone even where it came
    // within the first ten bytes.
    for bytes in [&b"\x04\0abc\x02\0x"[..], b"\xFF\0\0\0\0\0\0\0\x04\0abc\x02\0x"] {
        let run = run(named(SocketType::Router, b"me"), &[bytes]);
        assert_eq!(run.sent, b"\xFF\0\0\0\0\0\0\0\x03\x7Fme");
        assert_eq!(run.consumed, bytes.len() - 3);
        let expected = (Protocol::V1 { unversioned: true }, b"abc".to_vec(), Vec::new());
        assert_eq!(run.peer, Some(expected));
    }
    assert!(peer(config(SocketType::XPub), b"\x01\0").assume_subscribed_to_all());
    let versioned = [SIGNATURE, b"\0\x02\x01\0"].concat();
    assert!(!peer(config(SocketType::XPub), &versioned).assume_subscribed_to_all());
}

#[test]
fn security_refuses_old_peers() {
    let v2 = [SIGNATURE, b"\x01"].concat();
    let v1 = [SIGNATURE, b"\0"].concat();
    for bytes in [&v2[..], &v1, b"\x01\0", b"G", b"\xFF\0\0\0\0\0\0\0\x01\0"] {
        assert_eq!(failure(in_domain(false), bytes), Failure::Silent, "{bytes:x?}");
    }
}

#[test]
fn what_is_not_there_is_not_pretended() {
    let with = |mechanism| {
        let config = Config { mechanism, ..config(SocketType::Pull) };
        Handshake::new(Arc::new(config)).err()
    };
    assert_eq!(with(ZMQ_GSSAPI), Some(Error::NotSupported));
    assert_eq!(with(4), Some(Error::Invalid));
    assert_eq!(with(-1), Some(Error::Invalid));
    assert!(Handshake::new(Arc::new(config(SocketType::Stream))).is_err());
    let metadata = vec![(vec![b'x'; 256], Vec::new())];
    let long = Config { metadata, ..config(SocketType::Pull) };
    assert_eq!(Handshake::new(Arc::new(long)).err(), Some(Error::Invalid));
}

#[test]
fn malformed_input_fails_as_the_monitor_expects() {
    let protocol = |code: i32| Failure::Protocol(code as u32);
    let unexpected = protocol(ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND);
    let bad_error = protocol(ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_ERROR);
    let type_of = |name: &[u8]| ready(&[(b"Socket-Type", name)]);
    let with_tail = [&b"\x04\x1B\x05READY\x0BSocket-Type\0\0\0\x04PUSH"[..], b"x"].concat();
    let table = [
        ("unknown command", command(b"\x05HELLO"), unexpected),
        ("data", b"\0\x05hello".to_vec(), unexpected),
        ("empty command", command(b""), unexpected),
        ("traffic command", command(b"\x04PING\0\0"), unexpected),
        ("name beyond the body", command(b"\x09READY"), unexpected),
        ("wrong case", command(b"\x05ready"), unexpected),
        ("wrong type", type_of(b"PUB"), Failure::Silent),
        ("no such type", type_of(b"push"), Failure::Silent),
        ("trailing byte", with_tail, Failure::Silent),
        ("name cut", command(b"\x05READY\x09abc"), Failure::Silent),
        ("value length cut", command(b"\x05READY\x01a\0\0\0"), Failure::Silent),
        ("value cut", command(b"\x05READY\x01a\0\0\0\x02b"), Failure::Silent),
        ("value of 4 GiB", command(b"\x05READY\x01a\xFF\xFF\xFF\xFFb"), Failure::Silent),
        ("refused 300", command(b"\x05ERROR\x03300"), Failure::Auth(300)),
        ("refused 400", command(b"\x05ERROR\x03400"), Failure::Auth(400)),
        ("refused 500", command(b"\x05ERROR\x03500"), Failure::Auth(500)),
        ("refused, bytes after the reason", command(b"\x05ERROR\x03400xx"), Failure::Auth(400)),
        ("refused otherwise", command(b"\x05ERROR\x044000"), Failure::Silent),
        ("refused without a reason", command(b"\x05ERROR\0"), Failure::Silent),
        ("no reason field", command(b"\x05ERROR"), bad_error),
        ("reason beyond the body", command(b"\x05ERROR\x09400"), bad_error),
        ("2^63", b"\x06\x80\0\0\0\0\0\0\0".to_vec(), Failure::Silent),
        ("2^64-1", b"\x06\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF".to_vec(), Failure::Silent),
        ("64 KiB and a byte", b"\x06\0\0\0\0\0\x01\0\x01".to_vec(), Failure::Silent),
    ];
    for (name, bytes, expected) in table {
        assert_eq!(failure(config(SocketType::Pull), &greeted(&bytes)), expected, "{name}");
    }
    for mechanism in [&b"PLAIN"[..], b"CURVE", b"", b"NUL", b"NULLX", b"NULL\0\0\0\0\0\0x", b"null"]
    {
        let mismatch = protocol(ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH);
        let bytes = greeting(3, 1, mechanism);
        let run = run(config(SocketType::Pull), &[&bytes]);
        assert_eq!(run.end, Some(Err(mismatch.into())), "{mechanism:?}");
        assert_eq!(run.sent.len(), 64, "the peer is to see the mismatch too");
    }
}

#[test]
fn lenient_where_the_field_is() {
    let as_data = [b"\0", &PUSH_READY[1..]].concat();
    let no_type = ready(&[(b"X-a", b"1")]);
    let other_case = ready(&[(b"socket-type", b"PUB")]);
    let no_name = ready(&[(b"Socket-Type", b"PUSH"), (b"", b"x")]);
    let long = [b"\x06\0\0\0\0\0\0\0", &PUSH_READY[1..]].concat();
    for bytes in [&as_data[..], &no_type, &other_case, &no_name, &long, &command(b"\x05READY")] {
        let run = run(config(SocketType::Pull), &[&greeted(bytes)]);
        assert!(matches!(run.end, Some(Ok(_))), "{bytes:x?}");
    }
    // Signature, server flag and filler are not looked at.
    let mut bytes = greeted(PUSH_READY);
    bytes[1..9].fill(0xAB);
    bytes[9] = 0x01;
    bytes[32..64].fill(0xCD);
    assert_eq!(peer(config(SocketType::Pull), &bytes).socket_type, b"PUSH");

    let twice = ready(&[(b"Socket-Type", b"DEALER"), (b"Identity", b"a"), (b"Identity", b"b")]);
    let peer = peer(config(SocketType::Router), &greeted(&twice));
    assert_eq!(peer.routing_id, b"b");
    assert_eq!(peer.properties.len(), 3);
}

#[test]
fn the_message_limit_holds_for_handshakes_too() {
    let limited = |max_msg_size| Config { max_msg_size, ..config(SocketType::Pull) };
    assert_eq!(failure(limited(25), &greeted(PUSH_READY)), Failure::Silent);
    assert_eq!(failure(limited(0), &greeted(b"\x04\x01")), Failure::Silent);
    assert_eq!(peer(limited(26), &greeted(PUSH_READY)).socket_type, b"PUSH");
    // The name of an old peer belongs to the handshake of those who need it.
    let router = |max_msg_size| Config { max_msg_size, ..config(SocketType::Router) };
    let old = [SIGNATURE, b"\x01\x08\0\x05"].concat();
    assert_eq!(failure(router(3), &old), Failure::Silent);
    // A frame of ZMTP 1.0 counts at least its flags byte.
    assert_eq!(failure(router(-1), &[SIGNATURE, b"\0\x08\0"].concat()), Failure::Silent);
    assert_eq!(failure(limited(-1), b"\0"), Failure::Silent);
    let huge = b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0";
    assert_eq!(failure(limited(-1), huge), Failure::Silent);
}

#[test]
fn memory_grows_with_what_came_only() {
    let mut partial = Partial::default();
    let mut rest: &[u8] = b"\x06\0\0\0\0\0\0\xFF\xFFabc";
    let filled = partial.fill(Protocol::V2, &mut rest, -1, None);
    assert_eq!(filled, Ok(None));
    assert!(rest.is_empty());
    assert!(partial.bytes.capacity() < 64, "{}", partial.bytes.capacity());
    let mut partial = Partial::default();
    let mut rest: &[u8] = b"\x06\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFFabc";
    assert_eq!(partial.fill(Protocol::V2, &mut rest, i64::MAX, None), Err(Failure::Silent.into()));
    assert!(partial.bytes.capacity() < 64);
}

#[test]
fn an_end_is_final() {
    let mut handshake = Handshake::new(Arc::new(config(SocketType::Pull))).unwrap();
    let mut out = Vec::new();
    assert!(!handshake.is_greeting_done());
    assert!(handshake.input(&greeted(b"\x04\0"), Instant::now(), &mut out).is_err());
    assert!(handshake.is_greeting_done());
    assert!(handshake.input(PUSH_READY, Instant::now(), &mut out).is_err());
    assert!(handshake.input(b"", Instant::now(), &mut out).is_err());

    let mut handshake = Handshake::new(Arc::new(config(SocketType::Pull))).unwrap();
    handshake.input(&greeted(PUSH_READY), Instant::now(), &mut out).unwrap();
    let sent = out.len();
    let step = handshake.input(PUSH_READY, Instant::now(), &mut out).unwrap();
    assert!(matches!(step, Step { consumed: 0, status: Status::NeedMore }));
    assert_eq!(out.len(), sent);
}

/// Transcripts of peers of every kind, good and bad, traffic included.
fn transcripts() -> Vec<Vec<u8>> {
    let old = |tail: &[u8]| [SIGNATURE, tail].concat();
    vec![
        greeted(&[PUSH_READY, b"\0\x05hello"].concat()),
        greeted(&[PUSH_READY, PUSH_READY].concat()),
        [&greeting(3, 0, b"NULL"), PUSH_READY, b"\0\0"].concat(),
        [&greeting(3, 1, b"CURVE"), PUSH_READY].concat(),
        greeted(&ready(&[(b"X-long", &[7; 1000]), (b"Identity", b"id")])),
        greeted(b"\x05HELLO"),
        greeted(b"\x06\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"),
        old(b"\x01\x05\0\x03abc\0\x01x"),
        old(b"\x01\x05\x02\0\0\0\0\0\0\x01\0xyz"),
        old(b"\0\x05\x04\0abc\x02\0x"),
        old(b"\0\x05\0\0"),
        b"\x04\0abc\x02\0x".to_vec(),
        b"\x01\0\x02\0x\x02\0y".to_vec(),
        b"\xFF\0\0\0\0\0\0\0\x04\0abc\x02\0x".to_vec(),
        b"\0\0".to_vec(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
    ]
}

/// `bytes` in pieces as long as `cuts` say, over and over.
fn pieces<'a>(mut bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for cut in cuts.iter().cycle() {
        if bytes.is_empty() {
            break;
        }
        let (piece, rest) = bytes.split_at((*cut).clamp(1, bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

/// A failure is seen at the byte that decides, so how many were consumed by then depends on the
/// cut.
fn comparable(mut run: Run) -> Run {
    if matches!(run.end, Some(Err(_))) {
        run.consumed = 0;
    }
    run
}

proptest! {
    #[test]
    fn cutting_changes_nothing(
        which in 0..16_usize,
        cuts in prop::collection::vec(1..40_usize, 1..12),
        secured in any::<bool>(),
    ) {
        let transcript = &transcripts()[which];
        let config = || if secured { in_domain(false) } else { named(SocketType::Pull, b"me") };
        let whole = run(config(), &[transcript]);
        prop_assert_eq!(comparable(run(config(), &pieces(transcript, &cuts))), comparable(whole));
    }

    #[test]
    fn garbage_neither_panics_nor_depends_on_cuts(
        which in 0..4_usize,
        tail in prop::collection::vec(any::<u8>(), 0..400),
        cuts in prop::collection::vec(1..40_usize, 1..12),
    ) {
        let starts = [Vec::new(), SIGNATURE.to_vec(), greeted(b""), greeted(b"\x04\x50\x05READY")];
        let bytes = [&starts[which][..], &tail].concat();
        let whole = run(config(SocketType::Router), &[&bytes]);
        let cut = run(config(SocketType::Router), &pieces(&bytes, &cuts));
        prop_assert_eq!(comparable(cut), comparable(whole));
    }
}
