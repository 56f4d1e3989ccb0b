//! GSSAPI, with a library that agrees after one round of tokens and wraps by counting and adding up: enough for
//! the protocol around it, which is what is tested here.

use std::sync::Arc;

use zmq::base::constants::ZMQ_GSSAPI;
use zmq::base::gssapi::{Context, Library, Name, Refused, Settings, Step};
use zmq::zmtp::Protocol;
use zmq::zmtp::decoder::{Decoder, Framing};
use zmq::zmtp::frame::{self, COMMAND, MORE};
use zmq::zmtp::handshake::Config;
use zmq::zmtp::mechanism::Framer;
use zmq::zmtp::mechanism::gssapi::Traffic;

use super::Input;
use super::decoding::feed;
use super::handshakes::{End, Side, base, talk};

#[derive(Debug)]
struct Pretence;

struct Agreement {
    server: bool,
    complete: bool,
    counts: [u8; 2],
}

impl Library for Pretence {
    fn initiator(&self, _own: Option<&Name>, _to: &Name) -> Result<Box<dyn Context>, Refused> {
        Ok(Box::new(Agreement { server: false, complete: false, counts: [0; 2] }))
    }

    fn acceptor(&self, _own: Option<&Name>) -> Result<Box<dyn Context>, Refused> {
        Ok(Box::new(Agreement { server: true, complete: false, counts: [0; 2] }))
    }
}

impl Context for Agreement {
    fn step(&mut self, token: &[u8]) -> Result<Step, Refused> {
        let (answer, complete): (&[u8], _) = match (self.server, token) {
            (false, b"") => (b"who", false),
            (true, b"who") => (b"me", true),
            (_, b"more") => (b"and", false),
            (false, b"me") => (b"", true),
            _ => return Err(Refused),
        };
        self.complete = complete;
        Ok(Step { token: answer.to_vec(), complete })
    }

    fn client(&mut self) -> Result<Vec<u8>, Refused> {
        assert!(self.complete && self.server);
        Ok(b"joe@REALM".to_vec())
    }

    fn wrap(&mut self, plain: &[u8]) -> Result<Vec<u8>, Refused> {
        assert!(self.complete);
        self.counts[0] = self.counts[0].wrapping_add(1);
        let mut wrapped = [&[self.counts[0]], plain].concat();
        wrapped.push(sum(&wrapped));
        Ok(wrapped)
    }

    fn unwrap(&mut self, wrapped: &[u8]) -> Result<Vec<u8>, Refused> {
        assert!(self.complete);
        let (last, rest) = wrapped.split_last().ok_or(Refused)?;
        let (count, plain) = rest.split_first().ok_or(Refused)?;
        if *last != sum(rest) || *count != self.counts[1].wrapping_add(1) {
            return Err(Refused);
        }
        self.counts[1] = *count;
        Ok(plain.to_vec())
    }
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_mul(31).wrapping_add(*byte))
}

fn config(how: u8, as_server: bool, plaintext: bool) -> Config {
    let library = Arc::new(Pretence);
    let settings = Settings { library, own: None, service: Name::default(), plaintext };
    Config { as_server, gssapi: Some(settings), ..base(ZMQ_GSSAPI, how) }
}

pub(crate) fn client(data: &[u8]) {
    let mut input = Input(data);
    let options = input.byte();
    let config = config(input.byte(), false, options & 1 != 0);
    for (_, end, _) in talk(config, "GSSAPI", &mut input) {
        check(&end, options & 1 != 0);
    }
}

pub(crate) fn server(data: &[u8]) {
    let mut input = Input(data);
    let options = input.byte();
    let mut config = config(input.byte(), true, options & 1 != 0);
    config.zap_enforce_domain = options & 2 != 0;
    for (said, end, _) in talk(config, "GSSAPI", &mut input) {
        check(&end, options & 1 != 0);
        if let End::Done(peer) = end {
            assert!(peer.grant.is_some() || options & 2 == 0, "let in without a word");
        }
        assert!(!said.windows(6).any(|part| part == b"\x05ERROR"), "a refusal is told");
    }
}

fn check(end: &End, plaintext: bool) {
    if let End::Done(peer) = end {
        assert!(peer.protocol.has_commands());
        assert_eq!(
            matches!(peer.framer, Framer::Plain),
            plaintext,
            "another protection than asked"
        );
    }
}

/// Two of ours, and somebody between them who changes a byte.
pub(crate) fn traffic(data: &[u8]) {
    let mut input = Input(data);
    let cut = 1 + usize::from(input.byte()) * 7;
    let limit = 1 + usize::from(input.byte() & 7);
    let change = input.byte();
    let place = usize::from(input.byte()) << 8 | usize::from(input.byte());
    let [client, server] = met();
    let (mut sealer, opener) = (client.sealer, server.opener);
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
        sealer.seal(flags, &body, &mut wire).expect("memory enough");
        expected.push((flags, body));
    }
    let mut spoilt = false;
    if change != 0 && !wire.is_empty() {
        let at = place % wire.len();
        wire[at] ^= change;
        let hit = starts.iter().filter(|start| **start <= at).count() - 1;
        if starts[hit] != at || change & frame::LONG != 0 {
            spoilt = true;
            expected.truncate(hit);
        }
    }
    let protocol = Protocol::V3 { minor: 1 };
    let mut decoder = Decoder::new(Framing::Zmtp { protocol, single: false }, -1);
    decoder.decrypt(opener);
    let (frames, refused) = feed(decoder, &wire, cut, limit);
    assert!(!refused || spoilt, "refuses what is in order");
    assert_eq!(frames, expected);
}

/// Both ends of a finished handshake, as they go into traffic.
fn met() -> [Traffic; 2] {
    let now = std::time::Instant::now();
    let mut ends = [config(0, false, false), config(1, true, false)]
        .map(|config| Side::new(Arc::new(config), 5));
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
            Framer::Gssapi(traffic) => *traffic,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    })
}
