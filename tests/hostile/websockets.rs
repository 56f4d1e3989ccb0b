//! WebSocket peers that break its rules, and those that speak no WebSocket at all.

use std::io::Write;
use std::net::SocketAddr;

use zmq::base::constants as c;

use crate::support::alone::{alone, memory};
use crate::support::local::{Context, Monitor, Socket};
use crate::support::raw::{Raw, ready};

const MIB: usize = 1 << 20;
const REFUSED: (i32, u64) =
    (c::ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL, c::ZMQ_PROTOCOL_ERROR_WS_UNSPECIFIED as u64);
const MASK: [u8; 4] = *b"mask";
/// First bytes of frames: whole binary messages, and the parts of fragmented ones.
const WHOLE: u8 = 0x82;
const BEGINNING: u8 = 0x02;
const MIDDLE: u8 = 0x00;

/// A PULL that listens, and a PUSH of ours that it has to go on serving.
struct Service {
    server: Socket,
    client: Socket,
    address: SocketAddr,
}

impl Service {
    fn start(context: &Context, scheme: &str, prepare: impl Fn(&Socket)) -> Service {
        let [server, client] = [c::ZMQ_PULL, c::ZMQ_PUSH].map(|kind| {
            let socket = context.socket(kind);
            for (option, text) in [
                (c::ZMQ_WSS_KEY_PEM, include_str!("../certificates/key.pem")),
                (c::ZMQ_WSS_CERT_PEM, include_str!("../certificates/certificate.pem")),
                (c::ZMQ_WSS_TRUST_PEM, include_str!("../certificates/certificate.pem")),
                (c::ZMQ_WSS_HOSTNAME, "ferrozmq.test"),
            ] {
                socket.set_bytes(option, text.as_bytes());
            }
            socket
        });
        prepare(&server);
        server.api().bind(&format!("{scheme}://127.0.0.1:*/")).expect("a free port");
        let endpoint = server.last_endpoint();
        client.api().connect(&endpoint).expect("a connect");
        let authority = endpoint.split('/').nth(2).expect("an authority");
        let service = Service { server, client, address: authority.parse().expect("an address") };
        assert!(service.check().is_empty());
        service
    }

    /// The good peer is served. Answers what came from others meanwhile.
    fn check(&self) -> Vec<Vec<Vec<u8>>> {
        self.client.send(&[b"good"]);
        let mut strangers = Vec::new();
        loop {
            match self.server.recv() {
                parts if parts == [b"good"] => break,
                parts => strangers.push(parts),
            }
        }
        strangers.extend(std::iter::from_fn(|| self.server.try_recv()));
        strangers
    }

    /// A peer whose upgrade was granted.
    fn upgraded(&self) -> Raw {
        let mut peer = Raw::connect(self.address);
        peer.send(request("ZWS2.0/NULL").as_bytes());
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.extend(peer.take(1));
        }
        assert!(answer.starts_with(b"HTTP/1.1 101 "));
        peer
    }

    /// A peer whose handshake is done.
    fn greeted(&self, monitor: &Monitor) -> Raw {
        let mut peer = self.upgraded();
        let ready = ready("PUSH");
        peer.send(&frame(WHOLE, &[&[2], &ready[2..]].concat()));
        monitor.until(c::ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
        peer
    }
}

fn request(protocol: &str) -> String {
    format!(
        "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n"
    )
}

fn header(first: u8, len: u64) -> Vec<u8> {
    match len {
        0..=125 => [&[first, 0x80 | len as u8], &MASK[..]].concat(),
        126..=0xFFFF => [&[first, 0xFE], &(len as u16).to_be_bytes()[..], &MASK].concat(),
        _ => [&[first, 0xFF], &len.to_be_bytes()[..], &MASK].concat(),
    }
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(first, payload.len() as u64);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

#[test]
fn requests_that_cannot_be_granted() {
    let context = Context::new();
    let service = Service::start(&context, "ws", |_| {});
    let monitor = service.server.watch(&context);
    let good = request("ZWS2.0/NULL");
    for bad in [
        request("ZWS2.0/PLAIN"),
        request("ZWS2.0/CURVE,mqtt"),
        request(""),
        good.replace("GET", "PUT"),
        good.replace("HTTP/1.1", "HTTP/1.0"),
        good.replace("13", "8"),
        good.replace("Sec-WebSocket-Key", "Key"),
        good.replace("Upgrade: websocket\r\n", ""),
        good.replace("Host", "Ho st"),
        good.replace('\r', "\0"),
        "\u{1}\u{2}\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\n{}", "X: y\r\n".repeat(2000)),
        format!("GET /{} HTTP/1.1\r\n", "x".repeat(MIB)),
        format!("{}X: {}", &good[..good.len() - 2], "y".repeat(MIB)),
    ] {
        let mut peer = Raw::connect(service.address);
        peer.offer(bad.as_bytes());
        peer.expect_end();
        assert_eq!(monitor.story(), [REFUSED], "{:.80}", bad);
        assert!(service.check().is_empty());
    }
    // A peer of ZMTP has come to the wrong door.
    let mut peer = Raw::connect(service.address);
    peer.offer(b"\xff\0\0\0\0\0\0\0\x01\x7f");
    peer.expect_end();
    assert_eq!(monitor.story(), [REFUSED]);
    assert!(service.check().is_empty());
}

/// Before and after the handshake.
#[test]
fn frames_against_the_rules_end_the_connection() {
    let context = Context::new();
    let service = Service::start(&context, "ws", |_| {});
    let monitor = service.server.watch(&context);
    let unmasked = [&[WHOLE, 2][..], b"\0x"].concat();
    for (what, bytes) in [
        ("not masked", unmasked),
        ("text", frame(0x81, b"\0x")),
        ("reserved opcode", frame(0x85, b"\0x")),
        ("reserved bit", frame(0xA2, b"\0x")),
        ("no flags", frame(WHOLE, b"")),
        ("long control", frame(0x89, &[0; 126])),
        ("longer control", header(0x8A, u64::MAX)),
        ("control in fragments", frame(0x08, b"")),
        ("a continuation of nothing", frame(0x80, b"x")),
        ("a message within another", [frame(BEGINNING, b"\0x"), frame(WHOLE, b"\0x")].concat()),
        ("no such length", header(WHOLE, 1 << 63)),
        ("no such memory", header(WHOLE, 1 << 50)),
        ("no such memory in fragments", header(BEGINNING, (1 << 47) - 1)),
    ] {
        let mut peer = service.upgraded();
        peer.offer(&bytes);
        peer.expect_end();
        let story = monitor.story();
        // A length is the mechanism's affair, and says nothing.
        assert!(
            story == [REFUSED] || story.is_empty() && what.contains("no such"),
            "{what}: {story:?}"
        );
        if what == "no such memory in fragments" {
            continue;
        }
        let mut peer = service.greeted(&monitor);
        peer.offer(&[frame(WHOLE, b"\0before"), bytes].concat());
        peer.expect_end();
        assert_eq!(service.check(), [[b"before"]], "{what}");
        monitor.until(c::ZMQ_EVENT_DISCONNECTED);
    }
}

#[test]
fn connections_that_end_in_the_middle() {
    let context = Context::new();
    let service = Service::start(&context, "ws", |_| {});
    let monitor = service.server.watch(&context);
    let whole = request("ZWS2.0/NULL");
    for cut in [0, 1, 4, 30, whole.len() - 1] {
        let mut peer = Raw::connect(service.address);
        peer.send(&whole.as_bytes()[..cut]);
        drop(peer);
        assert!(matches!(monitor.story()[..], [(c::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, _)]));
    }
    let message = frame(WHOLE, &[b'x'; 70_000]);
    for cut in [1, 5, 13, 14, 15, 60_000, message.len() - 1] {
        let mut peer = service.greeted(&monitor);
        peer.send(&message[..cut]);
        drop(peer);
        monitor.until(c::ZMQ_EVENT_DISCONNECTED);
    }
    // Parts of a message that never ends.
    let mut peer = service.greeted(&monitor);
    peer.send(&[frame(WHOLE, b"\x01part"), frame(BEGINNING, b"\0la")].concat());
    drop(peer);
    monitor.until(c::ZMQ_EVENT_DISCONNECTED);
    assert!(service.check().is_empty());
}

#[test]
fn a_close_is_answered_and_then_obeyed() {
    let context = Context::new();
    let service = Service::start(&context, "ws", |_| {});
    let monitor = service.server.watch(&context);
    let mut peer = service.greeted(&monitor);
    let _ready = peer.take(2).last().map(|len| peer.take(usize::from(*len)));
    peer.send(&[frame(0x89, b"ping"), frame(WHOLE, b"\0last"), frame(0x88, b"\x03\xE8")].concat());
    assert_eq!(peer.take(6), b"\x8A\x04ping");
    assert_eq!(peer.take(4), b"\x88\x02\x03\xE8");
    peer.expect_end();
    assert_eq!(service.check(), [[b"last"]]);
    // In the handshake too.
    let mut peer = service.upgraded();
    peer.send(&frame(0x88, b""));
    peer.expect_end();
}

#[test]
fn our_own_end_is_told() {
    let context = Context::new();
    let service = Service::start(&context, "ws", |_| {});
    let monitor = service.server.watch(&context);
    let mut peer = service.greeted(&monitor);
    let _ready = peer.take(2).last().map(|len| peer.take(usize::from(*len)));
    drop(service);
    assert_eq!(peer.take(4), b"\x88\x02\x03\xE8");
    peer.expect_end();
}

#[test]
fn what_is_announced_takes_no_memory() {
    alone(|| {
        let context = Context::new();
        let service = Service::start(&context, "ws", |_| {});
        let monitor = service.server.watch(&context);
        let before = memory();
        let mut peers = Vec::new();
        for first in [WHOLE, BEGINNING] {
            for _ in 0..20 {
                let mut peer = service.greeted(&monitor);
                peer.send(&header(first, 1 << 40));
                peer.send(&[0; 100]);
                peers.push(peer);
            }
        }
        assert!(service.check().is_empty());
        let grown = memory().saturating_sub(before);
        assert!(grown < 8 * MIB, "{grown} bytes");
    });
}

#[test]
fn fragments_count_together_against_the_limit() {
    let context = Context::new();
    let service = Service::start(&context, "ws", |server| {
        server.set_bytes(c::ZMQ_MAXMSGSIZE, &100i64.to_ne_bytes());
    });
    let monitor = service.server.watch(&context);
    let mut peer = service.greeted(&monitor);
    peer.send(&[frame(BEGINNING, &[0; 51]), frame(0x80, &[0; 50])].concat());
    assert_eq!(service.server.recv(), [[0; 100]]);
    peer.offer(&[frame(BEGINNING, &[0; 51]), frame(MIDDLE, &[0; 51])].concat());
    peer.expect_end();
    // And a handshake has a limit of its own.
    let mut peer = service.upgraded();
    let piece = frame(MIDDLE, &[b'x'; 1000]);
    peer.offer(&frame(BEGINNING, &[2]));
    for _ in 0..1000 {
        peer.offer(&piece);
    }
    peer.expect_end();
    assert!(service.check().is_empty());
}

/// Pings whose answers nobody reads, before the handshake is done and afterwards.
#[test]
fn pings_whose_answers_are_not_read_take_no_memory() {
    alone(|| {
        let context = Context::new();
        let service = Service::start(&context, "ws", |_| {});
        let monitor = service.server.watch(&context);
        for mut peer in [service.upgraded(), service.greeted(&monitor)] {
            let before = memory();
            let pings = frame(0x89, &[b'p'; 125]).repeat(1000);
            let stall = std::time::Duration::from_millis(500);
            peer.0.set_write_timeout(Some(stall)).expect("a limit");
            let mut poured = 0;
            while poured < 32 * MIB {
                match peer.0.write(&pings[poured % pings.len()..]) {
                    Ok(n) => poured += n,
                    Err(_) => break,
                }
            }
            let grown = memory().saturating_sub(before);
            assert!(grown < 4 * MIB, "{grown} bytes for {poured} of pings");
            assert!(service.check().is_empty());
        }
    });
}

#[test]
fn tls_that_is_none() {
    const PATIENCE_MS: i32 = 300;
    let context = Context::new();
    let service = Service::start(&context, "wss", |server| {
        server.set(c::ZMQ_HANDSHAKE_IVL, PATIENCE_MS);
    });
    let monitor = service.server.watch(&context);
    let hello = [&[0x16, 3, 1, 0, 200][..], &[1, 0, 0, 196], &[0; 100]].concat();
    for garbage in [
        request("ZWS2.0/NULL").into_bytes(),
        vec![0; 1000],
        vec![0xFF; MIB],
        b"\x16\x03\x01\xff\xff".repeat(100),
        b"\x15\x03\x01\x00\x02\x02\x28".to_vec(),
        b"\x17\x03\x03\x00\x01\x00".to_vec(),
        // Half of a hello, and then silence.
        hello,
        Vec::new(),
    ] {
        let mut peer = Raw::connect(service.address);
        peer.offer(&garbage);
        peer.expect_end();
        let story = monitor.story();
        assert!(
            matches!(story[..], [(c::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, _)]),
            "{garbage:.20x?}: {story:?}"
        );
        assert!(service.check().is_empty());
    }
}
