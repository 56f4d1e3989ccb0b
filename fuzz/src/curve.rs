//! CURVE. Random bytes never get past its boxes, so here the peer has keys: it keeps to the protocol up to
//! some point, and from there on says what the input says, sealed properly or not.

use std::sync::Arc;
use std::time::Instant;

use zmq::base::constants::ZMQ_CURVE;
use zmq::zmtp::Protocol;
use zmq::zmtp::decoder::{Decoder, Framing};
use zmq::zmtp::frame::{self, COMMAND, MORE};
use zmq::zmtp::handshake::Config;
use zmq::zmtp::mechanism::Framer;
use zmq::zmtp::mechanism::crypto::{BoxKey, KEY_LEN, SecretKey, nonce};
use zmq::zmtp::mechanism::curve::Keys;
use zmq::zmtp::metadata;

use super::Input;
use super::decoding::feed;
use super::handshakes::{End, Side, base, hail, later, talk};

/// Where a HELLO has filler that nobody looks at.
const PADDING: std::ops::Range<usize> = 8..80;
/// How long a cookie is good, in seconds.
const COOKIE_LIFE: u8 = 60;

pub(crate) fn server(data: &[u8]) {
    let mut input = Input(data);
    let mode = input.byte() & 7;
    let mut config = config(input.byte(), true);
    config.zap_enforce_domain = input.byte() & 1 != 0;
    if mode == 0 {
        for (_, end, _) in talk(config, "CURVE", &mut input) {
            assert!(!matches!(end, End::Done(_)), "let in without a key");
        }
        return;
    }
    let how = input.byte();
    let now = Instant::now();
    config.max_msg_size = -1;
    let mut side = Side::new(Arc::new(config), how);
    side.hear(&hail(how >> 4 & 1, "CURVE"), now);
    let mut peer = Peer::default();
    let mut hello = peer.hello();
    if mode == 1 {
        let (at, change) = (usize::from(input.byte()) % hello.len(), input.byte());
        hello[at] ^= change;
        side.hear(&command(&hello), now);
        let good = change == 0 || PADDING.contains(&at);
        assert_eq!(matches!(side.end, End::Waits), good, "{at} changed by {change:#x}");
        return;
    }
    side.hear(&command(&hello), now);
    assert!(matches!(side.end, End::Waits), "an honest HELLO");
    peer.welcomed(&side.said);
    let properties = b"\x0BSocket-Type\0\0\0\x06DEALER";
    match mode {
        2 => {
            side.hear(&command(&peer.initiate(input.0)), now);
            let well_formed = metadata::parse(input.0).is_some();
            assert!(well_formed || !matches!(side.end, End::Done(_)), "malformed metadata");
        }
        3 => {
            side.hear(&command(&peer.sealed_initiate(input.0)), now);
            assert!(matches!(side.end, End::Failed(_)), "no vouch, and not refused");
        }
        4 => {
            let mut initiate = peer.initiate(properties);
            let at = (usize::from(input.byte()) << 8 | usize::from(input.byte())) % initiate.len();
            let change = input.byte();
            initiate[at] ^= change;
            side.hear(&command(&initiate), now);
            let refused = matches!(side.end, End::Failed(_));
            assert!(refused || change == 0, "{at} changed by {change:#x}");
        }
        5 => {
            let seconds = input.byte();
            let initiate = peer.initiate(properties);
            side.hear(&command(&initiate), later(now, seconds));
            let done = matches!(side.end, End::Done(_));
            assert!(!done || seconds < COOKIE_LIFE, "a cookie from {seconds} seconds ago");
        }
        _ => {
            side.hear(input.0, now);
            assert!(!matches!(side.end, End::Done(_)), "let in without a vouch");
        }
    }
    side.finish(now);
}

pub(crate) fn client(data: &[u8]) {
    let mut input = Input(data);
    let mode = input.byte() & 7;
    let mut config = config(input.byte(), false);
    if mode == 0 {
        for (_, end, _) in talk(config, "CURVE", &mut input) {
            assert!(!matches!(end, End::Done(_)), "believes a server without its key");
        }
        return;
    }
    let how = input.byte();
    let now = Instant::now();
    config.max_msg_size = -1;
    let mut side = Side::new(Arc::new(config), how);
    side.hear(&hail(how >> 4 & 1, "CURVE"), now);
    let host = Host::met(&side.said);
    let honest = [&host.secret.public()[..], &[9; 96]].concat();
    match mode {
        1 => {
            let mut welcome = host.welcome(&honest);
            let (at, change) = (usize::from(input.byte()) % welcome.len(), input.byte());
            welcome[at] ^= change;
            side.hear(&command(&welcome), now);
            let waits = matches!(side.end, End::Waits);
            assert_eq!(waits, change == 0, "{at} changed by {change:#x}");
        }
        2 => {
            side.hear(&command(&host.welcome(input.0)), now);
            let fits = input.0.len() == honest.len();
            assert!(fits || matches!(side.end, End::Failed(_)), "a WELCOME of that size");
        }
        _ => {
            side.hear(&command(&host.welcome(&honest)), now);
            assert!(matches!(side.end, End::Waits), "an honest WELCOME");
        }
    }
    let properties = b"\x0BSocket-Type\0\0\0\x06ROUTER";
    match mode {
        3 => {
            side.hear(&command(&host.ready(input.0)), now);
            let well_formed = metadata::parse(input.0).is_some();
            assert!(well_formed || matches!(side.end, End::Failed(_)), "malformed metadata");
        }
        4 => {
            let mut ready = host.ready(properties);
            let (at, change) = (usize::from(input.byte()) % ready.len(), input.byte());
            ready[at] ^= change;
            side.hear(&command(&ready), now);
            let refused = matches!(side.end, End::Failed(_));
            assert!(refused || change == 0, "{at} changed by {change:#x}");
        }
        5.. => {
            side.hear(input.0, now);
            assert!(!matches!(side.end, End::Done(_)), "believes a READY without its key");
        }
        _ => {}
    }
}

/// Two of ours, and somebody between them who changes a byte.
pub(crate) fn traffic(data: &[u8]) {
    let mut input = Input(data);
    let cut = 1 + usize::from(input.byte()) * 7;
    let limit = 1 + usize::from(input.byte() & 7);
    let change = input.byte();
    let place = usize::from(input.byte()) << 8 | usize::from(input.byte());
    let (mut sealer, opener) = {
        let [client, server] = met();
        (client.sealer, server.opener)
    };
    let (mut wire, mut starts, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    while !input.0.is_empty() {
        let kind = input.byte();
        let mut body = input.chunk().to_vec();
        if kind & 4 != 0 {
            // Large ones take another way through the decoder.
            body.resize(body.len() + usize::from(kind >> 3) * 700, kind);
        }
        let flags = [0, MORE, COMMAND, 0][usize::from(kind & 3)];
        starts.push(wire.len());
        sealer.seal(flags, &body, &mut wire).expect("numbers and memory enough");
        expected.push((flags, body));
    }
    let mut spoilt = false;
    if change != 0 && !wire.is_empty() {
        let at = place % wire.len();
        wire[at] ^= change;
        let hit = starts.iter().filter(|start| **start <= at).count() - 1;
        // Flags of the frame outside mean nothing, but for the one that says how long the length is. A
        // length that was made larger is waited for.
        if starts[hit] != at || change & frame::LONG != 0 {
            spoilt = true;
            expected.truncate(hit);
        }
    }
    if change == 0 && place % 8 == 1 && !starts.is_empty() {
        // Somebody says again what was said before.
        let again = starts[place / 8 % starts.len()];
        spoilt = true;
        wire.extend_from_within(again..);
    }
    let protocol = Protocol::V3 { minor: 1 };
    let mut decoder = Decoder::new(Framing::Zmtp { protocol, single: false }, -1);
    decoder.decrypt(opener);
    let (frames, refused) = feed(decoder, &wire, cut, limit);
    assert!(!refused || spoilt, "refuses what is in order");
    assert!(refused || !spoilt || change != 0, "takes a frame twice");
    assert_eq!(frames, expected);
}

/// Both ends of a finished handshake, as they go into traffic.
fn met() -> [zmq::zmtp::mechanism::curve::Traffic; 2] {
    let now = Instant::now();
    let mut ends = [config(0, false), config(1, true)].map(|config| Side::new(Arc::new(config), 5));
    let mut heard = [0; 2];
    for _ in 0..8 {
        for (from, to) in [(0, 1), (1, 0)] {
            let said = ends[from].said[heard[from]..].to_vec();
            heard[from] += said.len();
            ends[to].hear(&said, now);
        }
    }
    ends.map(|side| match side.end {
        End::Done(peer) => match peer.framer {
            Framer::Curve(traffic) => *traffic,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    })
}

/// Three keys that everybody here knows.
fn secret(number: u8) -> SecretKey {
    SecretKey::new(&[number; KEY_LEN])
}

const SERVER: u8 = 1;
const CLIENT: u8 = 2;
const PEER: u8 = 3;

fn config(how: u8, as_server: bool) -> Config {
    let own = secret(if as_server { SERVER } else { CLIENT });
    let server = secret(SERVER).public();
    let curve = Keys { public: own.public(), secret: own, server };
    Config { as_server, curve, ..base(ZMQ_CURVE, how) }
}

fn command(body: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    frame::push(&mut wire, COMMAND, body);
    wire
}

/// A client that has keys.
#[derive(Default)]
struct Peer {
    /// The server's key for this connection, and the cookie.
    welcome: ([u8; KEY_LEN], Vec<u8>),
}

impl Peer {
    fn hello(&self) -> Vec<u8> {
        let number = 1u64.to_be_bytes();
        let key = BoxKey::agree(&secret(SERVER).public(), &secret(PEER)).expect("a key");
        let public = secret(PEER).public();
        let mut body = [&b"\x05HELLO\x01\0"[..], &[0; 72], &public, &number].concat();
        key.push_box(&nonce(b"CurveZMQHELLO---", &number), &[0; 64], &mut body);
        body
    }

    /// Opens the WELCOME at the end of what the server has said.
    fn welcomed(&mut self, said: &[u8]) {
        let body = &said[said.len() - 168..];
        let key = BoxKey::agree(&secret(SERVER).public(), &secret(PEER)).expect("a key");
        let plain = key.open_box(&nonce(b"WELCOME-", &body[8..24]), &body[24..]).expect("a box");
        let (server, cookie) = plain.split_first_chunk::<KEY_LEN>().expect("a key");
        self.welcome = (*server, cookie.to_vec());
    }

    fn initiate(&self, properties: &[u8]) -> Vec<u8> {
        let vouched = [secret(PEER).public(), secret(SERVER).public()].concat();
        let mut plain = [&secret(CLIENT).public()[..], &[7; 16]].concat();
        let vouch = BoxKey::agree(&self.welcome.0, &secret(CLIENT)).expect("a key");
        vouch.push_box(&nonce(b"VOUCH---", &[7; 16]), &vouched, &mut plain);
        plain.extend_from_slice(properties);
        self.sealed_initiate(&plain)
    }

    fn sealed_initiate(&self, plain: &[u8]) -> Vec<u8> {
        let number = 2u64.to_be_bytes();
        let mut body = [&b"\x08INITIATE"[..], &self.welcome.1, &number].concat();
        let key = BoxKey::agree(&self.welcome.0, &secret(PEER)).expect("a key");
        key.push_box(&nonce(b"CurveZMQINITIATE", &number), plain, &mut body);
        body
    }
}

/// A server that has keys.
struct Host {
    /// Its secret for this connection.
    secret: SecretKey,
    /// The client's key for this connection.
    client: [u8; KEY_LEN],
}

impl Host {
    /// Reads the HELLO at the end of what the client has said.
    fn met(said: &[u8]) -> Host {
        let hello = &said[said.len() - 200..];
        Host { secret: secret(PEER), client: hello[80..112].try_into().expect("a key") }
    }

    fn welcome(&self, plain: &[u8]) -> Vec<u8> {
        let key = BoxKey::agree(&self.client, &secret(SERVER)).expect("a key");
        let mut body = [&b"\x07WELCOME"[..], &[4; 16]].concat();
        key.push_box(&nonce(b"WELCOME-", &[4; 16]), plain, &mut body);
        body
    }

    fn ready(&self, properties: &[u8]) -> Vec<u8> {
        let number = 1u64.to_be_bytes();
        let key = BoxKey::agree(&self.client, &self.secret).expect("a key");
        let mut body = [&b"\x05READY"[..], &number].concat();
        key.push_box(&nonce(b"CurveZMQREADY---", &number), properties, &mut body);
        body
    }
}
