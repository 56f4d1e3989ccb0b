//! Both ends against each other and against bytes written by hand.

use super::*;
use crate::options::SocketType;
use crate::zmtp::decoder::{Decoder, Framing, Output, Stop};
use crate::zmtp::frame;
use crate::zmtp::mechanism::crypto::{Password, Random};
use crate::zmtp::mechanism::curve::Keys;
use crate::zmtp::mechanism::plain::Credentials;
use crate::zmtp::{Protocol, command};
use proptest::prelude::*;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const MASK: [u8; 4] = *b"abcd";

fn config(mechanism: i32, zap_domain: &[u8]) -> Config {
    Config {
        socket_type: SocketType::Dealer,
        routing_id: Vec::new(),
        mechanism,
        as_server: false,
        plain: Credentials { username: Vec::new(), password: Password::new(b"") },
        curve: Keys::default(),
        gssapi: None,
        random: Random::of_system(),
        zap_domain: zap_domain.to_vec(),
        zap_enforce_domain: false,
        metadata: Vec::new(),
        max_msg_size: -1,
    }
}

fn client() -> Role {
    Role::Client { host: "h:1".into(), path: "/p?q".into() }
}

/// A frame as the standard has it, made without the code under test.
fn ws(first: u8, masked: bool, payload: &[u8]) -> Vec<u8> {
    let mark = if masked { 0x80 } else { 0 };
    let mut out = vec![first];
    match payload.len() {
        len @ 0..=125 => out.push(mark | len as u8),
        len @ 126..=0xFFFF => {
            out.push(mark | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(mark | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    if masked {
        out.extend_from_slice(&MASK);
        out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    } else {
        out.extend_from_slice(payload);
    }
    out
}

fn unwrapper(as_client: bool) -> Unwrapper {
    Unwrapper::new(as_client, Random::of_system(), u64::MAX).expect("random bytes")
}

/// Everything that comes of `bytes`: frames, replies, and how it ended.
fn unwrap(as_client: bool, bytes: &[u8]) -> (Vec<u8>, Vec<u8>, Option<Malformed>) {
    let mut unwrapper = unwrapper(as_client);
    unwrapper.feed(bytes);
    let (mut frames, mut replies) = (Vec::new(), Vec::new());
    while let Event::Reply(reply) = unwrapper.advance(&mut frames, usize::MAX) {
        replies.extend(reply);
    }
    (frames, replies, unwrapper.ending())
}

fn zmtp(flags: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::push(&mut out, flags, body);
    out
}

fn request(protocols: &str) -> String {
    format!(
        "GET /any HTTP/1.1\r\nHost: x\r\nuPGRADE: WebSocket\r\nconnection: keep-alive, Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {protocols}\r\n\r\n"
    )
}

fn served(config: &Config, request: &str) -> (Result<Option<Subprotocol>, Refused>, String) {
    let mut out = Vec::new();
    let mut link = Link::new(config, &Role::Server, &mut out).expect("a link");
    let agreed = link.input(request.as_bytes(), &mut Vec::new(), &mut out);
    (agreed, String::from_utf8(out).expect("text"))
}

#[test]
fn both_ends_agree() {
    for (mechanism, domain, offered, expected) in [
        (0, &b""[..], "ZWS2.0/NULL,ZWS2.0", Subprotocol::Mechanism),
        (0, b"domain", "ZWS2.0/NULL", Subprotocol::Mechanism),
        (1, b"", "ZWS2.0/PLAIN", Subprotocol::Mechanism),
        (2, b"", "ZWS2.0/CURVE", Subprotocol::Mechanism),
    ] {
        let config = config(mechanism, domain);
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        let mut client = Link::new(&config, &client(), &mut asked).expect("a link");
        let mut server = Link::new(&config, &Role::Server, &mut answered).expect("a link");
        let text = String::from_utf8(asked.clone()).expect("text");
        assert!(text.starts_with("GET /p?q HTTP/1.1\r\nHost: h:1\r\n"), "{text}");
        assert!(text.contains(&format!("Sec-WebSocket-Protocol: {offered}\r\n")), "{text}");
        let (mut frames, mut none) = (Vec::new(), Vec::new());
        let agreed = server.input(&asked, &mut frames, &mut answered);
        assert_eq!(agreed, Ok(Some(expected)));
        // Traffic may follow at once.
        server.wrap(&zmtp(frame::COMMAND, b"\x05READY"), &mut answered).expect("memory");
        let agreed = client.input(&answered, &mut frames, &mut none);
        assert_eq!(agreed, Ok(Some(expected)));
        assert_eq!(frames, zmtp(frame::COMMAND, b"\x05READY"));
        assert!(none.is_empty());
        // And back, masked.
        let mut back = Vec::new();
        client.wrap(&zmtp(frame::MORE, b"body"), &mut back).expect("memory");
        assert_eq!(back[..2], [0x82, 0x85]);
        frames.clear();
        assert_eq!(server.input(&back, &mut frames, &mut none), Ok(None));
        assert_eq!(frames, zmtp(frame::MORE, b"body"));
        assert_eq!(server.ending(), None);
    }
}

#[test]
fn the_first_offer_that_fits_is_taken() {
    let open = config(0, b"");
    for (protocols, expected) in [
        ("ZWS2.0", Subprotocol::Bare),
        ("foo, ZWS2.0/PLAIN , ZWS2.0 ,ZWS2.0/NULL", Subprotocol::Bare),
        ("ZWS2.0/NULL,ZWS2.0", Subprotocol::Mechanism),
        ("foo\r\nSec-WebSocket-Protocol: ZWS2.0/NULL", Subprotocol::Mechanism),
    ] {
        let (agreed, answer) = served(&open, &request(protocols));
        assert_eq!(agreed, Ok(Some(expected)), "{protocols}");
        assert!(answer.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{answer}");
        // The example of RFC 6455.
        assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
    }
    // No way around security.
    for (config, protocols) in [
        (open, "zws2.0/null"),
        (config(0, b"domain"), "ZWS2.0"),
        (config(1, b""), "ZWS2.0/NULL,ZWS2.0"),
        (config(2, b""), "ZWS2.0/PLAIN,ZWS2.0/NULL,ZWS2.0"),
    ] {
        let (agreed, answer) = served(&config, &request(protocols));
        assert_eq!(agreed, Err(Refused), "{protocols}");
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    }
}

#[test]
fn bad_requests_are_refused_at_once() {
    let good = request("ZWS2.0");
    for bad in [
        good.replace("GET", "POST"),
        good.replace("HTTP/1.1", "HTTP/1.0"),
        good.replace("uPGRADE", "Downgrade"),
        good.replace("WebSocket\r", "h2c\r"),
        good.replace("connection", "confection"),
        good.replace("13", "12"),
        good.replace(KEY, "short"),
        good.replace("Sec-WebSocket-Key", "Sec-WebSocket-Kay"),
        good.replace("Sec-WebSocket-Protocol: ZWS2.0\r\n", ""),
        good.replace("Host: x", "Host x"),
        "\u{16}\u{3}\u{1}".into(),
        "GET".to_owned() + " /\u{0} HTTP/1.1\r\n",
        "G\n".into(),
        format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(200)),
    ] {
        assert_eq!(served(&config(0, b""), &bad).0, Err(Refused), "{bad}");
    }
}

#[test]
fn heads_are_bounded_and_may_come_byte_by_byte() {
    let config = config(0, b"");
    let mut out = Vec::new();
    let mut link = Link::new(&config, &Role::Server, &mut out).expect("a link");
    let endless = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(8 * 1024));
    let mut fed = 0;
    for byte in endless.as_bytes() {
        fed += 1;
        if link.input(&[*byte], &mut Vec::new(), &mut out) == Err(Refused) {
            break;
        }
    }
    assert_eq!(fed, 8 * 1024);
    let mut link = Link::new(&config, &Role::Server, &mut Vec::new()).expect("a link");
    let mut agreed = Ok(None);
    let request = request("ZWS2.0/NULL");
    for byte in request.as_bytes() {
        assert_eq!(agreed, Ok(None));
        agreed = link.input(&[*byte], &mut Vec::new(), &mut Vec::new());
    }
    assert_eq!(agreed, Ok(Some(Subprotocol::Mechanism)));
}

/// What a link makes of these pieces: whether it agrees, refuses or waits, how much it says, and what it passes on.
fn story(role: &Role, pieces: &[&[u8]]) -> (String, usize, Vec<u8>) {
    let mut out = Vec::new();
    let mut link = Link::new(&config(0, b""), role, &mut out).expect("a link");
    let (mut frames, mut state) = (Vec::new(), "waits".to_owned());
    out.clear();
    for piece in pieces {
        match link.input(piece, &mut frames, &mut out) {
            Ok(Some(agreed)) => state = format!("{agreed:?}"),
            Ok(None) => {}
            Err(Refused) => {
                state = "refused".into();
                break;
            }
        }
    }
    (format!("{state} {:?}", link.ending()), out.len(), frames)
}

/// However a request or an answer was cut into segments: it is agreed to, refused or waited for all the same, and
/// what follows it is not lost.
#[test]
fn segments_do_not_matter() {
    let good = request("ZWS2.0/NULL");
    let traffic = [ws(0x82, true, b"\0a\nb"), ws(0x89, true, b"\n"), vec![0x82]].concat();
    let mut heads: Vec<Vec<u8>> = vec![
        [good.as_bytes(), &traffic].concat(),
        [good.replace("\r\n", "\n").as_bytes(), &traffic].concat(),
        good.replace("Host: x", "Host x").into(),
        good.replace("Host: x", "Ho st: x").into(),
        good.replace("Host: x", "Host: \u{1}").into(),
        good.replace("Host: x", "Host: x\r\n folded").into(),
        good.replace("Host: x", "Host: x\r\r\n").into(),
        good.replace("GET /any", "GET  /any").into(),
        good.replace("GET", "GOT").into(),
        good.replace("HTTP/1.1", "HTTP/1.9").into(),
        good.replace(KEY, "short").into(),
        // Wrong, and then never finished.
        b"GET / HTTP/1.1\r\nno colon\r\nX: y".into(),
        b"GET / HTTP/1.1\r\nno colon".into(),
        b"GET / HTTP/1.1\r\n\x00: z\nX: y\r\n".into(),
        b"GET /\x00 HTTP/1.1\r\nX".into(),
        b"GET / HTTP/1.1\nX: y\n\r".into(),
        b"GET \r\n\r\n".into(),
        // Only too many.
        [b"GET / HTTP/1.1\r\n".to_vec(), b"a: b\r\n".repeat(130), b"X".to_vec()].concat(),
    ];
    // Every request that ends early.
    heads.extend((0..good.len()).map(|end| good.as_bytes()[..end].to_vec()));
    for head in &heads {
        let whole = story(&Role::Server, &[head]);
        let bytes: Vec<&[u8]> = head.chunks(1).collect();
        assert_eq!(story(&Role::Server, &bytes), whole, "{:?}", head.escape_ascii().to_string());
        for at in 0..=head.len() {
            let (one, other) = head.split_at(at);
            let cut = story(&Role::Server, &[one, other]);
            assert_eq!(cut, whole, "{} | {}", one.escape_ascii(), other.escape_ascii());
        }
    }
    assert_eq!(story(&Role::Server, &[&heads[0]]).0, "Mechanism None");
    let waits = story(&Role::Server, &[&good.as_bytes()[..good.len() - 1]]);
    assert_eq!(waits, ("waits None".to_owned(), 0, Vec::new()));
    for answer in [
        "HTTP/1.1 101 Switching\r\nno colon\r\nX: y",
        "HTTP/1.1 101 Switching\r\nX: y\r\n\r\nmore",
        "HTTP/1.1 x\r\nX",
        "HTTP/1.1 200 OK\r\nX: y\r\n",
        "HTTP/2 200",
    ] {
        let whole = story(&client(), &[answer.as_bytes()]);
        let bytes: Vec<&[u8]> = answer.as_bytes().chunks(1).collect();
        assert_eq!(story(&client(), &bytes), whole, "{answer:?}");
        for at in 0..=answer.len() {
            let (one, other) = answer.as_bytes().split_at(at);
            assert_eq!(story(&client(), &[one, other]), whole, "{answer:?} at {at}");
        }
    }
}

/// The bound on a head is the same wherever it was cut.
#[test]
fn long_heads_end_at_one_place() {
    for len in [8 * 1024 - 1, 8 * 1024, 8 * 1024 + 1, 9000] {
        let good = request("ZWS2.0");
        let filler = "x".repeat(len - good.len() - "X: \r\n".len());
        let head = good.replace("Host: x\r\n", &format!("Host: x\r\nX: {filler}\r\n"));
        assert_eq!(head.len(), len);
        let whole = story(&Role::Server, &[head.as_bytes()]);
        assert_eq!(whole.0.starts_with("Bare"), len <= 8 * 1024, "{len}: {whole:?}");
        for at in (0..=len).step_by(61).chain(len.saturating_sub(4)..=len) {
            let (one, other) = head.as_bytes().split_at(at);
            assert_eq!(story(&Role::Server, &[one, other]), whole, "{len} at {at}");
        }
    }
}

#[test]
fn answers_are_checked() {
    let config = config(0, b"");
    let answer = |change: &dyn Fn(String) -> String| {
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        let mut asking = Link::new(&config, &client(), &mut asked).expect("a link");
        let mut server = Link::new(&config, &Role::Server, &mut Vec::new()).expect("a link");
        server.input(&asked, &mut Vec::new(), &mut answered).expect("agreement");
        let text = change(String::from_utf8(answered).expect("text"));
        asking.input(text.as_bytes(), &mut Vec::new(), &mut Vec::new())
    };
    assert_eq!(answer(&|text| text), Ok(Some(Subprotocol::Mechanism)));
    assert_eq!(
        answer(&|text| text.to_uppercase().replace("HTTP/1.1 101 SWITCHING PROTOCOLS", "x")),
        Err(Refused)
    );
    let bare = answer(&|text| text.replace("ZWS2.0/NULL", "ZWS2.0"));
    assert_eq!(bare, Ok(Some(Subprotocol::Bare)));
    for (from, to) in [
        ("101", "200"),
        ("101", "503"),
        ("websocket", "h2c"),
        ("pgrade: ", "pgraded: "),
        ("connection", "confection"),
        ("accept: ", "accept: x"),
        ("sec-websocket-accept", "x"),
        ("ZWS2.0/NULL", "ZWS2.0/PLAIN"),
        ("sec-websocket-protocol", "x"),
        ("HTTP/1.1", "HTTP/1.0"),
    ] {
        assert_eq!(answer(&|text| text.replace(from, to)), Err(Refused), "{from} {to}");
    }
}

#[test]
fn what_cannot_stand_in_a_request() {
    for (host, path) in [("h\r\nX: y", "/"), ("h", "/a b"), ("h", "")] {
        let role = Role::Client { host: host.into(), path: path.into() };
        let link = Link::new(&config(0, b""), &role, &mut Vec::new());
        assert_eq!(link.err(), Some(Error::Invalid), "{host} {path}");
    }
}

#[test]
fn golden_frames() {
    let mut server = Wrapper::new(false, Random::of_system()).expect("random bytes");
    let mut out = Vec::new();
    server.push(frame::MORE, b"a", &mut out).expect("memory");
    server.push(frame::COMMAND, &[b'x'; 125], &mut out).expect("memory");
    server.push(0, &[], &mut out).expect("memory");
    server.ping(&mut out);
    let expected = [
        ws(0x82, false, b"\x01a"),
        ws(0x82, false, &[&[2][..], &[b'x'; 125]].concat()),
        ws(0x82, false, b"\0"),
        vec![0x89, 0],
    ];
    assert_eq!(out, expected.concat());
    // A heartbeat of ZMTP becomes one of WebSocket.
    let mut ping = Vec::new();
    command::push_ping(&mut ping, 7);
    out.clear();
    server.frames(&ping, &mut out).expect("memory");
    assert_eq!(out, [0x89, 0]);
    // Masks differ from frame to frame.
    let mut client = Wrapper::new(true, Random::of_system()).expect("random bytes");
    let (mut one, mut two) = (Vec::new(), Vec::new());
    client.push(0, b"body", &mut one).expect("memory");
    client.push(0, b"body", &mut two).expect("memory");
    assert_eq!(one[..2], two[..2]);
    assert_ne!(one[2..6], two[2..6]);
    assert_eq!(unwrap(false, &one), (zmtp(0, b"body"), vec![], None));
}

#[test]
fn control_frames() {
    let long = [b'p'; 125];
    let bytes = [
        ws(0x02, true, b"\x01fi"),
        ws(0x89, true, &long),
        ws(0x00, true, b"r"),
        ws(0x8A, true, b"unasked"),
        ws(0x80, true, b"st"),
        ws(0x82, true, b"\x04bits"),
        ws(0x88, true, b"\x03\xE8bye"),
        ws(0x82, true, b"\0too late"),
    ];
    let (frames, replies, ending) = unwrap(false, &bytes.concat());
    assert_eq!(frames, [zmtp(frame::MORE, b"first"), zmtp(0, b"bits")].concat());
    assert_eq!(replies, [ws(0x8A, false, &long), ws(0x88, false, b"\x03\xE8bye")].concat());
    assert_eq!(ending, Some(Malformed::Closed));
    // The client's answers are masked.
    let (_, replies, _) = unwrap(true, &ws(0x89, false, b"ping"));
    assert_eq!(replies[..2], [0x8A, 0x84]);
    assert_ne!(replies[6..], *b"ping");
}

#[test]
fn violations() {
    for (what, as_client, bytes) in [
        ("unmasked by a client", false, ws(0x82, false, b"\0a")),
        ("masked by a server", true, ws(0x82, true, b"\0a")),
        ("text", false, ws(0x81, true, b"\0a")),
        ("no flags", false, ws(0x82, true, b"")),
        ("no flags in fragments", false, [ws(0x02, true, b""), ws(0x80, true, b"")].concat()),
        ("reserved bit", false, ws(0xC2, true, b"\0a")),
        ("reserved opcode", false, ws(0x83, true, b"\0a")),
        ("reserved control", false, ws(0x8B, true, b"")),
        ("control in fragments", false, ws(0x09, true, b"")),
        ("long control", false, ws(0x89, true, &[0; 126])),
        ("nothing to continue", false, ws(0x80, true, b"a")),
        ("one within another", false, [ws(0x02, true, b"\0a"), ws(0x82, true, b"\0b")].concat()),
    ] {
        let bytes = [ws(0x82, !as_client, b"\0ok"), bytes].concat();
        let (frames, replies, ending) = unwrap(as_client, &bytes);
        assert_eq!(ending, Some(Malformed::Frame), "{what}");
        assert_eq!(frames, zmtp(0, b"ok"), "{what}");
        assert!(replies.is_empty(), "{what}");
    }
}

#[test]
fn announced_sizes_reserve_nothing() {
    for len in [1u64 << 63, u64::MAX, 1 << 47] {
        let mut bytes = vec![0x82, 0xFF];
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.extend_from_slice(&MASK);
        assert_eq!(unwrap(false, &bytes).2, Some(Malformed::TooLarge), "{len:x}");
    }
    let mut bytes = vec![0x82, 0xFF];
    bytes.extend_from_slice(&(1u64 << 40).to_be_bytes());
    bytes.extend_from_slice(&MASK);
    bytes.push(MASK[0]);
    let (frames, _, ending) = unwrap(false, &bytes);
    assert_eq!((frames.len(), ending), (frame::MAX_HEADER_LEN, None));
    assert!(frames.capacity() < 1 << 10);
}

#[test]
fn fragments_are_limited_together() {
    for (limit, expected) in [(5, None), (4, Some(Malformed::TooLarge))] {
        let mut unwrapper = unwrapper(false);
        unwrapper.limit(limit);
        unwrapper
            .feed(&[ws(0x02, true, b"\0ab"), ws(0x00, true, b"cd"), ws(0x80, true, b"e")].concat());
        let mut frames = Vec::new();
        assert_eq!(unwrapper.advance(&mut frames, usize::MAX), Event::Hungry);
        assert_eq!(unwrapper.ending(), expected);
        assert_eq!(frames.is_empty(), expected.is_some());
    }
}

/// What a peer sends: a message (flags, body, where it is cut into frames), or a control frame.
#[derive(Clone, Debug)]
enum Sent {
    Message(u8, Vec<u8>, Vec<usize>),
    Ping(Vec<u8>),
}

fn sent() -> impl Strategy<Value = Sent> {
    let size = prop_oneof![0usize..40, 120usize..300, 8000usize..70_000];
    let cuts = prop_oneof![3 => Just(vec![]), 1 => prop::collection::vec(0usize..70_000, 1..4)];
    prop_oneof![
        5 => (0u8..3, size, cuts).prop_map(|(kind, size, cuts)| {
            Sent::Message(kind, (0..size).map(|n| (n % 251) as u8).collect(), cuts)
        }),
        1 => prop::collection::vec(any::<u8>(), 0..126).prop_map(Sent::Ping),
    ]
}

proptest! {
    /// However the bytes are cut, the same parts, commands and replies come out of the decoder.
    #[test]
    fn any_chopping_gives_the_same(
        sent in prop::collection::vec(sent(), 1..20),
        chops in prop::collection::vec(1usize..70_000, 1..8),
        limit in 1usize..20,
    ) {
        let (mut wire, mut parts, mut replies) = (Vec::new(), Vec::new(), Vec::new());
        for item in &sent {
            match item {
                Sent::Ping(payload) => {
                    wire.extend(ws(0x89, true, payload));
                    replies.extend(ws(0x8A, false, payload));
                }
                Sent::Message(flags, body, cuts) => {
                    let payload = [&[*flags][..], body].concat();
                    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (payload.len() + 1)).collect();
                    cuts.sort_unstable();
                    let (mut at, mut opcode) = (0, 2);
                    for cut in cuts {
                        wire.extend(ws(opcode, true, &payload[at..cut]));
                        (at, opcode) = (cut, 0);
                    }
                    wire.extend(ws(0x80 | opcode, true, &payload[at..]));
                    parts.push((*flags, body.clone()));
                }
            }
        }
        let framing = Framing::Zmtp { protocol: Protocol::V3 { minor: 0 }, single: false };
        let mut decoder = Decoder::new(framing, -1);
        decoder.unwrap(unwrapper(false));
        let (mut out, mut scratch, mut at, mut turn) = (Vec::new(), Vec::new(), 0, 0);
        loop {
            while decoder.decode(limit, &mut out) == Ok(Stop::Full) {}
            if at == wire.len() {
                break;
            }
            let target = decoder.target(&mut scratch).expect("memory");
            let room = target.capacity() - target.len();
            let n = chops[turn % chops.len()].min(wire.len() - at).min(room);
            target.extend_from_slice(&wire[at..at + n]);
            at += n;
            turn += 1;
            if turn % 3 == 0 {
                while decoder.decode(limit, &mut out) == Ok(Stop::Full) {}
                decoder.reclaim(&mut scratch);
            }
        }
        let (mut got, mut replied) = (Vec::new(), Vec::new());
        for output in out {
            match output {
                Output::Part(msg) => got.push((u8::from(msg.more()), msg.data().to_vec())),
                Output::Command(msg) => got.push((2, msg.data().to_vec())),
                Output::Reply(reply) => replied.extend(reply),
                Output::Frames { chunk, at, end, .. } => {
                    let mut rest = &chunk[at..end];
                    while let Some(header) = frame::parse(rest) {
                        let stop = header.header_len + header.body_len as usize;
                        got.push((header.flags & frame::MORE, rest[header.header_len..stop].to_vec()));
                        rest = &rest[stop..];
                    }
                    prop_assert!(rest.is_empty());
                }
            }
        }
        prop_assert_eq!(got, parts);
        prop_assert_eq!(replied, replies);
    }

    /// Nothing that is fed makes it panic or take memory out of proportion.
    #[test]
    fn noise_is_harmless(bytes in prop::collection::vec(any::<u8>(), 0..2000), as_client: bool) {
        let (frames, replies, _) = unwrap(as_client, &bytes);
        prop_assert!(frames.len() <= bytes.len() * 5 && replies.len() <= bytes.len() * 5);
    }

    #[test]
    fn masks_come_off_wherever_one_begins(bytes in prop::collection::vec(any::<u8>(), 0..100), mask: [u8; 4], cut in 0usize..100) {
        let mut masked = bytes.clone();
        wrap::apply(&mut masked, mask, 0);
        for (n, byte) in masked.iter().enumerate() {
            prop_assert_eq!(*byte, bytes[n] ^ mask[n % 4]);
        }
        let (head, tail) = masked.split_at_mut(cut.min(bytes.len()));
        wrap::apply(head, mask, 0);
        wrap::apply(tail, mask, head.len());
        prop_assert_eq!(masked, bytes);
    }
}
