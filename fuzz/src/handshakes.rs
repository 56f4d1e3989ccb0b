//! The greeting and the handshakes of NULL and PLAIN: however the bytes are cut the outcome is the same,
//! nobody is let in who must not be, and nothing grows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use zmq::base::Error;
use zmq::base::constants::{ZMQ_NULL, ZMQ_PLAIN};
use zmq::options::SocketType;
use zmq::zmtp::greeting::{Greeting, Local, Progress};
use zmq::zmtp::handshake::{Config, Handshake, HandshakeError, Peer, Status};
use zmq::zmtp::mechanism::crypto::{Password, Random};
use zmq::zmtp::mechanism::curve::Keys;
use zmq::zmtp::mechanism::plain::Credentials;
use zmq::zmtp::mechanism::zap::ZapAnswer;

use super::Input;

/// Nothing that is said before the traffic is longer, with the options used here.
const MOST_SAID: usize = 2048;

const TYPES: [SocketType; 8] = [
    SocketType::Dealer,
    SocketType::Router,
    SocketType::Pull,
    SocketType::Push,
    SocketType::Pub,
    SocketType::Sub,
    SocketType::Req,
    SocketType::Rep,
];

pub(crate) fn greeting(data: &[u8]) {
    let mut input = Input(data);
    let how = input.byte();
    let cut = usize::from(input.byte()).max(1);
    let local = Local {
        socket_type: TYPES[usize::from(how & 7)],
        routing_id_len: usize::from(how >> 3 & 7) * 36,
        mechanism: b"CURVE",
        accepts_old_peers: how & 64 != 0,
    };
    let run = |cut: usize| {
        let (mut greeting, mut said, mut taken) = (Greeting::new(), Vec::new(), 0);
        Greeting::start(&local, &mut said);
        let mut progress = Progress::NeedMore;
        for piece in input.0.chunks(cut) {
            let (n, now) = greeting.input(piece, &local, &mut said);
            assert!(n <= piece.len());
            taken += n;
            progress = now;
            if now != Progress::NeedMore {
                break;
            }
            assert_eq!(n, piece.len(), "waits although bytes are left");
        }
        assert!(said.len() <= 64 && greeting.received().len() <= 64);
        let old = matches!(progress, Progress::Done(protocol) if !protocol.has_commands());
        assert!(!old || local.accepts_old_peers);
        (said, taken, progress, greeting.mechanism().copied())
    };
    assert_eq!(run(cut), run(usize::MAX));
}

pub(crate) fn null(data: &[u8]) {
    let mut input = Input(data);
    let options = input.byte();
    let mut config = base(ZMQ_NULL, input.byte());
    config.zap_enforce_domain = options & 1 != 0;
    if options & 2 != 0 {
        config.zap_domain = b"global".to_vec();
    }
    let asks = !config.zap_domain.is_empty();
    for (_, end, _) in talk(config, "NULL", &mut input) {
        match end {
            End::Waits => {}
            End::Failed(error) => assert!(asks || !error.stays_open, "{error:?}"),
            End::Done(peer) => {
                assert!(!asks || peer.protocol.has_commands(), "an old peer got past the domain");
                assert!(!asks || options & 1 == 0 || peer.grant.is_some(), "nobody allowed this");
            }
        }
    }
}

pub(crate) fn plain_client(data: &[u8]) {
    let mut input = Input(data);
    let options = input.byte();
    let mut config = base(ZMQ_PLAIN, input.byte());
    let text = vec![b'u'; usize::from(options)];
    config.plain = Credentials { username: text.clone(), password: Password::new(&text) };
    for (_, end, _) in talk(config, "PLAIN", &mut input) {
        assert!(!matches!(end, End::Done(peer) if !peer.protocol.has_commands()));
    }
}

pub(crate) fn plain_server(data: &[u8]) {
    let mut input = Input(data);
    let options = input.byte();
    let mut config = base(ZMQ_PLAIN, input.byte());
    config.as_server = true;
    config.zap_enforce_domain = options & 1 != 0;
    for (_, end, _) in talk(config, "PLAIN", &mut input) {
        if let End::Done(peer) = end {
            assert!(peer.grant.is_some(), "let in although the handler did not say so");
        }
    }
}

/// A configuration of this mechanism; `how` chooses the rest.
pub(crate) fn base(mechanism: i32, how: u8) -> Config {
    Config {
        socket_type: TYPES[usize::from(how & 7)],
        routing_id: vec![b'r'; usize::from(how >> 3 & 3) * 85],
        mechanism,
        as_server: false,
        plain: Credentials::default(),
        curve: Keys::default(),
        random: Random::by(foreseeable),
        gssapi: None,
        zap_domain: Vec::new(),
        zap_enforce_domain: false,
        metadata: vec![(b"X-key".to_vec(), b"value".to_vec())],
        max_msg_size: [-1, 0, 100, 1 << 40][usize::from(how >> 5 & 3)],
    }
}

/// How a handshake ended, or did not.
#[derive(Debug)]
pub(crate) enum End {
    Waits,
    Done(Box<Peer>),
    Failed(HandshakeError),
}

/// Lets a peer say what is left of the input, byte by byte, in pieces and at once; all must come to the
/// same. Answers what was said to the peer, the end, and the bytes that were left to the traffic.
pub(crate) fn talk(
    config: Config,
    mechanism: &str,
    input: &mut Input<'_>,
) -> Vec<(Vec<u8>, End, Vec<u8>)> {
    let how = input.byte();
    let cut = usize::from(input.byte()).max(1);
    let mut wire = Vec::new();
    if how & 128 != 0 {
        wire.extend_from_slice(&hail(how >> 6 & 1, mechanism));
    }
    wire.extend_from_slice(input.0);
    let config = Arc::new(config);
    let now = Instant::now();
    let runs: Vec<_> =
        [1, cut, usize::MAX].into_iter().map(|cut| one(&config, &wire, cut, how, now)).collect();
    for run in &runs {
        assert_eq!(format!("{run:?}"), format!("{:?}", runs[0]));
    }
    runs
}

/// The greeting of a peer of ZMTP 3.`minor`.
pub(crate) fn hail(minor: u8, mechanism: &str) -> Vec<u8> {
    let mut hail = b"\xFF\0\0\0\0\0\0\0\x01\x7F\x03".to_vec();
    hail.push(minor);
    hail.extend_from_slice(mechanism.as_bytes());
    hail.resize(64, 0);
    hail
}

/// One of ours meets `wire`, `cut` bytes at a time.
fn one(
    config: &Arc<Config>,
    wire: &[u8],
    cut: usize,
    how: u8,
    now: Instant,
) -> (Vec<u8>, End, Vec<u8>) {
    let mut side = Side::new(config.clone(), how);
    for piece in wire.chunks(cut) {
        side.hear(piece, now);
    }
    side.finish(now);
    (side.said, side.end, side.rest)
}

/// One of ours, and what the authentication handler would tell it.
pub(crate) struct Side {
    handshake: Handshake,
    how: u8,
    asked: bool,
    /// All that was said to the peer.
    pub(crate) said: Vec<u8>,
    pub(crate) end: End,
    /// Traffic that came along.
    pub(crate) rest: Vec<u8>,
}

impl Side {
    /// `how` chooses what the handler says, and whether it says so at once or when everything has
    /// arrived.
    pub(crate) fn new(config: Arc<Config>, how: u8) -> Side {
        let mut handshake = Handshake::new(config).expect("a configuration");
        let mut said = Vec::new();
        handshake.start(&mut said);
        Side { handshake, how, asked: false, said, end: End::Waits, rest: Vec::new() }
    }

    /// The peer says this; nobody hears it after the end.
    pub(crate) fn hear(&mut self, bytes: &[u8], now: Instant) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if matches!(self.end, End::Done(_)) {
                self.rest.extend_from_slice(rest);
            }
            if !matches!(self.end, End::Waits) {
                return;
            }
            let step = match self.handshake.input(rest, now, &mut self.said) {
                Ok(step) => step,
                Err(error) => return self.fail(error, now),
            };
            rest = rest.get(step.consumed..).expect("took more than there was");
            match step.status {
                Status::NeedMore => assert!(rest.is_empty(), "waits although bytes are left"),
                Status::Done(peer) => self.end = End::Done(peer),
                Status::Zap(_) => {
                    assert!(!self.asked, "asks twice");
                    self.asked = true;
                    if self.how & 8 == 0 {
                        self.answer(now);
                    }
                }
            }
        }
        assert!(self.said.len() <= MOST_SAID, "said {} bytes", self.said.len());
    }

    /// Nothing more comes from the peer.
    pub(crate) fn finish(&mut self, now: Instant) {
        if matches!(self.end, End::Waits) && self.asked && self.how & 8 != 0 {
            self.answer(now);
        }
    }

    fn answer(&mut self, now: Instant) {
        let status: &[u8] = match self.how & 7 {
            0 => b"",
            1 => b"300",
            2 => b"400",
            3 => b"500",
            4 => b"999",
            _ => b"200",
        };
        let frames: [&[u8]; 7] = [b"", b"1.0", b"1", status, b"text", b"user", b"\x01a\0\0\0\x01b"];
        let answer =
            if status.is_empty() { ZapAnswer::NoHandler } else { ZapAnswer::Reply(&frames) };
        match self.handshake.zap_reply(answer, &mut self.said) {
            Err(error) => self.fail(error, now),
            Ok(Status::Done(peer)) => {
                self.rest = self.handshake.take_rest();
                self.end = End::Done(peer);
            }
            Ok(_) => {}
        }
    }

    /// Once failed always failed.
    fn fail(&mut self, error: HandshakeError, now: Instant) {
        let said = self.said.len();
        match self.handshake.input(b"more", now, &mut self.said) {
            Err(again) => assert_eq!((again, error.stays_open), (error, false)),
            Ok(step) => {
                assert!(error.stays_open && step.consumed == 4, "{error:?}");
                assert!(matches!(step.status, Status::NeedMore));
            }
        }
        assert_eq!(self.said.len(), said, "speaks on after a failure");
        self.end = End::Failed(error);
    }
}

/// The same bytes for every call, so that two runs can be compared. No key may be all zeros.
pub(crate) fn foreseeable(bytes: &mut [u8]) -> Result<(), Error> {
    for (n, byte) in bytes.iter_mut().enumerate() {
        *byte = 0x51 ^ n as u8;
    }
    Ok(())
}

/// A moment later than this one.
pub(crate) fn later(now: Instant, seconds: u8) -> Instant {
    now + Duration::from_secs(u64::from(seconds))
}
