//! CURVE on a plain socket: a client that keeps to the protocol as far as a test wants it to.

use std::net::SocketAddr;

use zmq::zmtp::mechanism::crypto::{BoxKey, Random, SecretKey, nonce};

use super::raw::{COMMAND, Raw, frame, greeting, property};

/// Keys of a server or client, as options and as bytes.
#[derive(Clone, Debug)]
pub struct Pair {
    pub secret: SecretKey,
    pub public: [u8; 32],
}

impl Pair {
    pub fn new() -> Pair {
        let secret = SecretKey::generate(Random::of_system()).expect("random bytes");
        Pair { public: secret.public(), secret }
    }
}

/// A client and what it knows.
pub struct Client {
    pub raw: Raw,
    pub keys: Pair,
    pub server: [u8; 32],
    short_term: Pair,
    /// The keys of the traffic and of the vouch, once welcomed.
    traffic: Option<BoxKey>,
    vouch: Option<BoxKey>,
    cookie: Vec<u8>,
    /// The number of the next box.
    pub number: u64,
}

impl Client {
    /// Connects and greets.
    pub fn connect(to: SocketAddr, server: [u8; 32]) -> Client {
        Client::connect_as(to, server, 1)
    }

    /// The same with ZMTP 3.`minor`.
    pub fn connect_as(to: SocketAddr, server: [u8; 32], minor: u8) -> Client {
        let mut raw = Raw::connect(to);
        let mut hail = greeting(b"CURVE");
        hail[11] = minor;
        raw.send(&hail);
        raw.take(64);
        Client {
            raw,
            keys: Pair::new(),
            server,
            short_term: Pair::new(),
            traffic: None,
            vouch: None,
            cookie: Vec::new(),
            number: 1,
        }
    }

    fn number(&mut self) -> [u8; 8] {
        self.number += 1;
        (self.number - 1).to_be_bytes()
    }

    /// The body of a HELLO.
    pub fn hello(&mut self) -> Vec<u8> {
        let number = self.number();
        let key = BoxKey::agree(&self.server, &self.short_term.secret).expect("a good key");
        let public = self.short_term.public;
        let mut body = [&b"\x05HELLO\x01\0"[..], &[0; 72], &public, &number].concat();
        key.push_box(&nonce(b"CurveZMQHELLO---", &number), &[0; 64], &mut body);
        body
    }

    /// Says HELLO and opens the WELCOME.
    pub fn begin(&mut self) {
        let hello = self.hello();
        self.raw.send(&frame(COMMAND, &hello));
        let (flags, body) = self.raw.frame();
        assert_eq!((flags, body.len(), &body[..8]), (COMMAND, 168, &b"\x07WELCOME"[..]));
        let key = BoxKey::agree(&self.server, &self.short_term.secret).expect("a good key");
        let plain = key.open_box(&nonce(b"WELCOME-", &body[8..24]), &body[24..]).expect("a box");
        let theirs = plain[..32].try_into().expect("32 bytes");
        self.traffic = BoxKey::agree(theirs, &self.short_term.secret);
        self.cookie = plain[32..].to_vec();
        self.vouch = BoxKey::agree(theirs, &self.keys.secret);
    }

    /// The body of an INITIATE with these properties.
    pub fn initiate(&mut self, properties: &[u8]) -> Vec<u8> {
        let number = self.number();
        let vouched = [self.short_term.public, self.server].concat();
        let mut plain = [&self.keys.public[..], &[7; 16]].concat();
        let vouch = self.vouch.as_ref().expect("a welcomed client");
        vouch.push_box(&nonce(b"VOUCH---", &[7; 16]), &vouched, &mut plain);
        plain.extend_from_slice(properties);
        let mut body = [&b"\x08INITIATE"[..], &self.cookie, &number].concat();
        let key = self.traffic.as_ref().expect("a welcomed client");
        key.push_box(&nonce(b"CurveZMQINITIATE", &number), &plain, &mut body);
        body
    }

    /// A whole handshake.
    pub fn shake_hands(&mut self, socket_type: &str) {
        self.begin();
        let properties = property(b"Socket-Type", socket_type.as_bytes());
        let initiate = self.initiate(&properties);
        self.raw.send(&frame(COMMAND, &initiate));
        let (flags, body) = self.raw.frame();
        assert_eq!((flags, &body[..6]), (COMMAND, &b"\x05READY"[..]));
        let key = self.traffic.as_ref().expect("a welcomed client");
        key.open_box(&nonce(b"CurveZMQREADY---", &body[6..14]), &body[14..]).expect("a box");
    }

    /// The body of a MESSAGE; `flags` are those inside.
    pub fn message(&mut self, flags: u8, payload: &[u8]) -> Vec<u8> {
        let number = self.number();
        let mut body = [&b"\x07MESSAGE"[..], &number].concat();
        let key = self.traffic.as_ref().expect("a welcomed client");
        let plain = [&[flags], payload].concat();
        key.push_box(&nonce(b"CurveZMQMESSAGEC", &number), &plain, &mut body);
        body
    }

    /// What is in a MESSAGE of the server: flags and payload.
    pub fn open(&self, body: &[u8]) -> (u8, Vec<u8>) {
        assert_eq!(&body[..8], b"\x07MESSAGE");
        let key = self.traffic.as_ref().expect("a welcomed client");
        let plain = key.open_box(&nonce(b"CurveZMQMESSAGES", &body[8..16]), &body[16..]);
        let plain = plain.expect("a box");
        (plain[0], plain[1..].to_vec())
    }
}
