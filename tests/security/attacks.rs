//! Peers that want in without being let in, on raw sockets.

use std::io::Write;
use std::time::{Duration, Instant};

use zmq::base::constants as c;

use super::curve::serve_curve;
use crate::support::alone::{alone, memory};
use crate::support::curve::{Client, Pair};
use crate::support::local::{Context, Monitor, Socket};
use crate::support::raw::{
    COMMAND, MORE, Raw, SIGNATURE, command, frame, greeting, long_header, property, ready, v1_frame,
};
use crate::support::zap::{Handler, answer};

fn protocol(code: i32) -> (i32, u64) {
    (c::ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL, code as u64)
}

const SUCCEEDED: (i32, u64) = (c::ZMQ_EVENT_HANDSHAKE_SUCCEEDED, 0);

/// A PULL under CURVE, its events, and a PUSH that it serves.
struct Target {
    server: Socket,
    monitor: Monitor,
    good: Socket,
    keys: Pair,
    address: std::net::SocketAddr,
}

impl Target {
    fn new(context: &Context) -> Target {
        let keys = Pair::new();
        let server = context.socket(c::ZMQ_PULL);
        serve_curve(&server, &keys);
        let address = server.listen();
        let own = Pair::new();
        let good = context.socket(c::ZMQ_PUSH);
        good.set_bytes(c::ZMQ_CURVE_SERVERKEY, &keys.public);
        good.set_bytes(c::ZMQ_CURVE_PUBLICKEY, &own.public);
        good.set_bytes(c::ZMQ_CURVE_SECRETKEY, own.secret.bytes());
        good.connect(address);
        let monitor = server.watch(context);
        let target = Target { server, monitor, good, keys, address };
        target.check();
        target
    }

    /// The good client is served, and nothing came from anybody else.
    fn check(&self) {
        self.good.send(&[b"good"]);
        assert_eq!(self.server.recv(), [b"good"]);
        assert!(self.server.try_recv().is_none());
    }

    fn client(&self) -> Client {
        Client::connect(self.address, self.keys.public)
    }

    /// A peer that sends `bytes` and loses its connection, with these events.
    fn refuses(&self, bytes: &[u8], events: &[(i32, u64)]) {
        let shown = &bytes[..bytes.len().min(80)];
        let mut peer = Raw::connect(self.address);
        peer.offer(bytes);
        peer.expect_end();
        assert_eq!(self.monitor.story(), events, "{shown:?}");
        self.check();
    }
}

/// CVE-2014-7202: a peer that asks for less security than the socket has.
#[test]
fn a_weaker_mechanism_is_refused() {
    let context = Context::new();
    let mismatch = protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH);
    let handler = Handler::that_says(&context, answer("200", "", b""));
    let target = Target::new(&context);
    handler.request();
    let names: [&[u8]; 7] =
        [b"NULL", b"PLAIN", b"GSSAPI", b"", b"curve", b"CURVE\0X", b"CURVECURVECURVECURVE"];
    for name in names {
        let hello = command("HELLO", b"\x05admin\x06secret");
        let bytes = [greeting(name), hello, ready("PUSH"), frame(0, b"in")].concat();
        target.refuses(&bytes, &[mismatch]);
        let mut bytes = [greeting(name), ready("PUSH"), frame(0, b"in")].concat();
        // Whatever the server flag, the filler and the minor version say.
        bytes[11] = 0;
        bytes[32..64].fill(1);
        target.refuses(&bytes, &[mismatch]);
    }
    let plain = context.socket(c::ZMQ_PULL);
    plain.set(c::ZMQ_PLAIN_SERVER, 1);
    let address = plain.listen();
    let monitor = plain.watch(&context);
    for name in [&b"NULL"[..], b"CURVE", b""] {
        let mut peer = Raw::connect(address);
        peer.offer(&[greeting(name), ready("PUSH"), frame(0, b"in")].concat());
        peer.expect_end();
        assert_eq!(monitor.story(), [mismatch]);
    }
    assert!(plain.try_recv().is_none());
    assert_eq!(handler.unseen(), 0, "nobody was asked about them");
}

/// CVE-2014-9721: dialects that know no mechanisms.
#[test]
fn an_old_header_is_no_way_around() {
    let context = Context::new();
    let target = Target::new(&context);
    let plain = context.socket(c::ZMQ_PULL);
    plain.set(c::ZMQ_PLAIN_SERVER, 1);
    let plain_address = plain.listen();
    let old = [v1_frame(0, b""), v1_frame(0, b"sneaky")].concat();
    let new = [frame(0, b""), frame(0, b"sneaky")].concat();
    let table: [&[u8]; 6] = [
        &old,
        &[&SIGNATURE[..9], &b"\x7e"[..], &old].concat(),
        &[SIGNATURE, &b"\x00\x08"[..], &old].concat(),
        &[SIGNATURE, &b"\x01\x08"[..], &new].concat(),
        b"\x01\x00",
        &[SIGNATURE, &b"\x01"[..]].concat(),
    ];
    for bytes in table {
        target.refuses(bytes, &[]);
        let mut peer = Raw::connect(plain_address);
        peer.offer(bytes);
        peer.expect_end();
    }
    assert!(plain.try_recv().is_none());
}

/// CVE-2014-7203: messages that were recorded, and numbers that go back.
#[test]
fn a_message_is_taken_once() {
    let context = Context::new();
    let target = Target::new(&context);
    let sequence = protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_INVALID_SEQUENCE);
    let replays: [fn(&mut Client) -> Vec<u8>; 4] = [
        // The same again.
        |client| {
            let message = frame(0, &client.message(0, b"pay"));
            message.repeat(2)
        },
        // An older one.
        |client| {
            let (first, second) = (client.message(0, b"lost"), client.message(0, b"pay"));
            [frame(0, &second), frame(0, &first)].concat()
        },
        // The number before.
        |client| {
            let message = frame(0, &client.message(0, b"pay"));
            client.number -= 1;
            [message, frame(0, &client.message(0, b"pay more"))].concat()
        },
        // A number of the handshake.
        |client| {
            let message = frame(0, &client.message(0, b"pay"));
            client.number = 1;
            [message, frame(0, &client.message(0, b"pay more"))].concat()
        },
    ];
    for replay in replays {
        let mut client = target.client();
        client.shake_hands("PUSH");
        let bytes = replay(&mut client);
        client.raw.offer(&bytes);
        client.raw.expect_end();
        assert_eq!(target.monitor.story(), [SUCCEEDED, sequence]);
        assert_eq!(target.server.recv(), [b"pay"]);
        target.check();
    }
    // Numbers may be left out.
    let mut client = target.client();
    client.shake_hands("PUSH");
    client.number += 1_000_000;
    let message = client.message(0, b"pay");
    client.raw.send(&frame(0, &message));
    assert_eq!(target.server.recv(), [b"pay"]);
    client.number = u64::MAX - 1;
    let message = client.message(0, b"pay");
    client.raw.send(&frame(0, &message));
    assert_eq!(target.server.recv(), [b"pay"]);
}

/// A handshake that was recorded whole.
#[test]
fn a_recorded_handshake_is_worth_nothing() {
    let context = Context::new();
    let target = Target::new(&context);
    let mut client = target.client();
    let hello = client.hello();
    client.number = 1;
    client.begin();
    let initiate = client.initiate(&property(b"Socket-Type", b"PUSH"));
    client.raw.send(&frame(COMMAND, &initiate));
    assert!(client.raw.frame().1.starts_with(b"\x05READY"));
    let message = client.message(0, b"pay");
    client.raw.send(&frame(0, &message));
    assert_eq!(target.server.recv(), [b"pay"]);
    drop(client);
    assert_eq!(target.monitor.story(), [SUCCEEDED]);
    let mut thief = Raw::connect(target.address);
    thief.send(&[greeting(b"CURVE"), frame(COMMAND, &hello)].concat());
    thief.take(64);
    assert!(thief.frame().1.starts_with(b"\x07WELCOME"));
    thief.send(&frame(COMMAND, &initiate));
    thief.offer(&frame(0, &message));
    thief.expect_end();
    let undecodable = protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC);
    assert_eq!(target.monitor.story(), [undecodable]);
    target.check();
}

/// CVE-2019-13132: metadata of any size in an INITIATE, from a peer that nobody has authenticated yet.
#[test]
fn oversized_metadata_overflows_nothing() {
    let context = Context::new();
    let target = Target::new(&context);
    let mut lists: Vec<(Vec<u8>, bool)> = vec![
        (vec![0xff; 300], false),
        (vec![0xff; 60_000], false),
        (vec![0x41; 1000], false),
        (property(b"X-Long", &vec![b'x'; 60_000]), true),
        (property(&[b'n'; 255], &[b'v'; 1000]), true),
        ([property(b"a", b"b").repeat(5000), vec![0]].concat(), false),
        (property(b"a", b"b").repeat(5000), true),
    ];
    for size in [511, 512, 513, 1023, 1024, 8191, 8192] {
        lists.push((property(b"X", &vec![b'v'; size]), true));
    }
    for (list, good) in lists {
        let mut client = target.client();
        client.begin();
        let initiate = client.initiate(&list);
        client.raw.offer(&frame(COMMAND, &initiate));
        if good {
            assert!(client.raw.frame().1.starts_with(b"\x05READY"));
            drop(client);
            assert_eq!(target.monitor.story(), [SUCCEEDED]);
        } else {
            client.raw.expect_end();
            assert_eq!(target.monitor.story(), []);
        }
        target.check();
    }
    // Larger than any handshake may be: not even received.
    let mut client = target.client();
    client.begin();
    client.raw.offer(&long_header(COMMAND, 65_537));
    client.raw.expect_end();
    assert_eq!(target.monitor.story(), []);
    target.check();
}

/// CVE-2020-15166: peers that connect and stay silent, at every stage.
#[test]
fn silent_peers_starve_nobody() {
    const SILENT: usize = 100;
    let context = Context::new();
    let target = Target::new(&context);
    let mut silent = Vec::new();
    for n in 0..SILENT {
        let mut peer = Raw::connect(target.address);
        let bytes = [greeting(b"CURVE"), b"\x04\xc8\x05HELLO".to_vec()].concat();
        peer.send(&bytes[..[0, 1, 10, 11, 63, 64, 66, 70][n % 8]]);
        silent.push(peer);
        if n % 10 == 0 {
            let mut peer = target.client();
            peer.begin();
            silent.push(peer.raw);
            target.check();
        }
    }
    for _ in 0..20 {
        target.check();
    }
    // New ones get in, and a pattern that waits for its turn does not wait for the silent.
    for _ in 0..5 {
        let mut client = target.client();
        client.shake_hands("PUSH");
        let message = client.message(0, b"new");
        client.raw.send(&frame(0, &message));
        assert_eq!(target.server.recv(), [b"new"]);
    }
    drop(silent);
}

/// Before READY nothing is traffic, whatever it looks like.
#[test]
fn nothing_gets_in_before_the_handshake_is_done() {
    let context = Context::new();
    let target = Target::new(&context);
    let unexpected = protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND);
    let bad_hello = protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_HELLO);
    let unspecified = protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED);
    let table = [
        (frame(0, b"\x02in"), unexpected),
        (frame(MORE, b"in"), unspecified),
        (frame(0, b""), unspecified),
        (ready("PUSH"), unexpected),
        (command("MESSAGE", &[0; 40]), unexpected),
        (command("INITIATE", &[0; 240]), bad_hello),
        (frame(0, &[0; 5000]), bad_hello),
        (command("HELLO", b"\x01\0"), bad_hello),
        (command("HELLO", b"\x05admin\x06secret"), bad_hello),
        (long_header(COMMAND, 1 << 63), protocol(0)),
    ];
    for (bytes, event) in table {
        let events = [event];
        let events = if event.1 == 0 { &[][..] } else { &events };
        target.refuses(&[greeting(b"CURVE"), bytes].concat(), events);
    }
    // A MESSAGE where INITIATE is due.
    let mut client = target.client();
    client.begin();
    let message = client.message(0, b"in");
    client.raw.offer(&frame(0, &message));
    client.raw.expect_end();
    assert_eq!(target.monitor.story(), [unexpected]);
    target.check();
}

/// What does not decrypt ends the connection, and what came before it is delivered.
#[test]
fn traffic_that_is_not_what_was_encrypted() {
    let context = Context::new();
    let target = Target::new(&context);
    let undecodable = protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC);
    let unexpected = protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND);
    let short = protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_MESSAGE);
    let flipped = |at: usize| {
        move |client: &mut Client| {
            let mut message = client.message(0, &[7; 20_000]);
            let at = at.min(message.len() - 1);
            message[at] ^= 1;
            frame(0, &message)
        }
    };
    type_of(&target, flipped(16), undecodable);
    type_of(&target, flipped(32), undecodable);
    type_of(&target, flipped(usize::MAX), undecodable);
    // A number that is not the one it was encrypted with.
    type_of(&target, flipped(12), undecodable);
    type_of(&target, |_| frame(0, b"in the clear"), unexpected);
    type_of(&target, |_| frame(0, b""), unexpected);
    type_of(&target, |_| ready("PUSH"), unexpected);
    type_of(&target, |_| command("PING", b"\0\0"), unexpected);
    type_of(&target, |client| frame(0, &client.message(0, b"")[..32]), short);
    type_of(&target, |_| frame(0, b"\x07MESSAGE"), short);
    // A box without even flags.
    type_of(
        &target,
        |client| {
            let mut message = client.message(0, b"");
            message.pop();
            frame(0, &message)
        },
        short,
    );
}

fn type_of(target: &Target, make: impl Fn(&mut Client) -> Vec<u8>, event: (i32, u64)) {
    let mut client = target.client();
    client.shake_hands("PUSH");
    let good = frame(0, &client.message(0, b"before"));
    let bytes = [good, make(&mut client), frame(0, &client.message(0, b"after"))].concat();
    client.raw.offer(&bytes);
    client.raw.expect_end();
    assert_eq!(target.monitor.story(), [SUCCEEDED, event]);
    assert_eq!(target.server.recv(), [b"before"]);
    target.check();
}

/// Heartbeats and parts by hand: flags are inside, and answers come encrypted.
#[test]
fn commands_travel_inside() {
    let context = Context::new();
    let target = Target::new(&context);
    let mut client = target.client();
    client.shake_hands("PUSH");
    let ping = client.message(2, b"\x04PING\0\0ctx");
    // Flags outside count for nothing.
    client.raw.send(&frame(COMMAND | MORE, &ping));
    let (flags, body) = client.raw.frame();
    assert_eq!(flags & (COMMAND | MORE), 0);
    assert_eq!(client.open(&body), (2, b"\x04PONGctx".to_vec()));
    let parts = [client.message(1, b"two"), client.message(0, b"parts")];
    parts.iter().for_each(|part| client.raw.send(&frame(0, part)));
    assert_eq!(target.server.recv(), [&b"two"[..], b"parts"]);
}

/// Subscriptions inside MESSAGEs have the form that the peer's dialect knows, both ways.
#[test]
fn subscriptions_of_either_dialect() {
    let context = Context::new();
    let keys = Pair::new();
    let forms: [(u8, u8, &[u8]); 2] = [(0, 0, b"\x01a"), (1, 2, b"\x09SUBSCRIBEa")];
    for (minor, flags, form) in forms {
        let publisher = context.socket(c::ZMQ_XPUB);
        serve_curve(&publisher, &keys);
        let publisher_at = publisher.listen();
        let subscriber = context.socket(c::ZMQ_SUB);
        serve_curve(&subscriber, &keys);
        subscriber.set_bytes(c::ZMQ_SUBSCRIBE, b"a");
        let subscriber_at = subscriber.listen();

        let mut peer = Client::connect_as(publisher_at, keys.public, minor);
        peer.shake_hands("SUB");
        let message = peer.message(flags, form);
        peer.raw.send(&frame(0, &message));
        assert_eq!(publisher.recv(), [b"\x01a"]);
        publisher.send(&[b"a news"]);
        let (_, body) = peer.raw.frame();
        assert_eq!(peer.open(&body), (0, b"a news".to_vec()));

        let mut peer = Client::connect_as(subscriber_at, keys.public, minor);
        peer.shake_hands("PUB");
        std::thread::scope(|scope| {
            // It subscribes when it looks after its connections, which it does while it waits.
            let waiting = scope.spawn(|| subscriber.recv());
            let (_, body) = peer.raw.frame();
            assert_eq!(peer.open(&body), (flags, form.to_vec()));
            let message = peer.message(0, b"a news");
            peer.raw.send(&frame(0, &message));
            assert_eq!(waiting.join().expect("a subscriber"), [b"a news"]);
        });
    }
}

/// What a peer costs that has not proven anything.
#[test]
fn a_stranger_costs_little() {
    const STRANGERS: usize = 400;
    const MOST: usize = 8 * 1024;
    alone(|| {
        let context = Context::new();
        let target = Target::new(&context);
        let stages: [&[u8]; 3] = [
            b"",
            &greeting(b"CURVE"),
            // As much of a command as it may hold back.
            &[&greeting(b"CURVE")[..], b"\x04\xc8", &[5; 199]].concat(),
        ];
        for bytes in stages {
            let settle = strangers(&target, 20, bytes);
            let before = memory();
            let strangers = strangers(&target, STRANGERS, bytes);
            let each = memory().saturating_sub(before) / STRANGERS;
            println!("a peer that has sent {} bytes: {each} bytes", bytes.len());
            assert!(each < MOST, "{each} bytes each after {} bytes", bytes.len());
            drop((settle, strangers));
        }
    });
}

/// Peers that say this and no more. The server keeps up with them, as a full backlog would cost seconds.
fn strangers(target: &Target, count: usize, bytes: &[u8]) -> Vec<Raw> {
    let mut strangers = Vec::new();
    for n in 1..=count {
        let mut peer = Raw::connect(target.address);
        peer.send(bytes);
        strangers.push(peer);
        if n % 20 == 0 {
            target.check();
        }
    }
    strangers
}

/// Thousands that stay silent or say a byte now and then, while others go about their business.
#[test]
fn slow_peers_by_the_thousand_slow_nobody_down() {
    const SLOW: usize = 5000;
    const GOOD: usize = 100;
    const ROUNDS: usize = 5;
    alone(|| {
        let slow = SLOW.min(descriptors().saturating_sub(1000) / 2);
        let context = Context::new();
        let target = Target::new(&context);
        let mut good: Vec<Client> = (0..GOOD)
            .map(|_| {
                let mut client = target.client();
                client.shake_hands("PUSH");
                client
            })
            .collect();
        let before = (0..ROUNDS).map(|_| latency(&target, &mut good)).min();
        let mut silent = Vec::new();
        let hello = [&greeting(b"CURVE")[..], b"\x04\xc8\x05HELLO\x01\0", &[0; 100]].concat();
        while silent.len() < slow {
            silent.extend(strangers(&target, 20, b""));
            silent.extend(strangers(&target, 20, &hello));
        }
        let during = (0..ROUNDS).map(|_| {
            for peer in silent.iter_mut().step_by(10) {
                peer.offer(b"\0");
            }
            latency(&target, &mut good)
        });
        let (before, during) = (before.unwrap_or_default(), during.min().unwrap_or_default());
        println!("{slow} slow peers: {before:?} before, {during:?} during");
        // The best of several rounds, as this machine has other things to do; and room for those.
        assert!(during < before * 2 + Duration::from_micros(200), "{before:?}, {during:?}");
    });
}

/// The median time from a message of one of these clients to its receipt.
fn latency(target: &Target, clients: &mut [Client]) -> Duration {
    let mut times: Vec<Duration> = clients
        .iter_mut()
        .map(|client| {
            let message = frame(0, &client.message(0, b"tick"));
            let begun = Instant::now();
            client.raw.send(&message);
            assert_eq!(target.server.recv(), [b"tick"]);
            begun.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

/// As many descriptors as this process may have, from now on.
fn descriptors() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid place to write to.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) }, 0);
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: a valid place to read from.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    usize::try_from(limit.rlim_max).unwrap_or(usize::MAX)
}

/// A byte at a time is as good as all at once, and others are served in between.
#[test]
fn a_slow_peer_is_served_slowly() {
    let context = Context::new();
    let target = Target::new(&context);
    let mut client = target.client();
    client.begin();
    let initiate = client.initiate(&property(b"Socket-Type", b"PUSH"));
    for (n, byte) in frame(COMMAND, &initiate).iter().enumerate() {
        client.raw.0.write_all(&[*byte]).expect("an open connection");
        if n % 40 == 0 {
            target.check();
        }
    }
    assert!(client.raw.frame().1.starts_with(b"\x05READY"));
    let message = client.message(0, b"slow");
    client.raw.send(&frame(0, &message));
    assert_eq!(target.server.recv(), [b"slow"]);
}

/// The time limit ends what never ends.
#[test]
fn whoever_never_finishes_is_cut_off() {
    const PATIENCE_MS: i32 = 200;
    let context = Context::new();
    let keys = Pair::new();
    let server = context.socket(c::ZMQ_PULL);
    serve_curve(&server, &keys);
    server.set(c::ZMQ_HANDSHAKE_IVL, PATIENCE_MS);
    let address = server.listen();
    let monitor = server.watch(&context);
    let begun = Instant::now();
    let mut silent = Raw::connect(address);
    let mut welcomed = Client::connect(address, keys.public);
    welcomed.begin();
    silent.expect_end();
    welcomed.raw.expect_end();
    assert!(begun.elapsed() >= Duration::from_millis(PATIENCE_MS as u64));
    let timeout = (c::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, libc::ETIMEDOUT as u64);
    assert_eq!(monitor.stories(2), [[timeout], [timeout]]);
}
