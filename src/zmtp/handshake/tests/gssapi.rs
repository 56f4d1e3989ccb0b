//! Handshakes of the GSSAPI mechanism, with contexts that keep no secrets.

use super::*;
use crate::base::gssapi::{Context, Library, Name, Refused, Settings, Step};
use crate::zmtp::decoder::Malformed;
use crate::zmtp::mechanism::gssapi::Traffic;

/// One round of tokens, as Kerberos has it. A client called "nobody" has no credentials.
#[derive(Debug)]
struct Pretence;

struct Agreement {
    server: bool,
    complete: bool,
    /// How many were wrapped and unwrapped.
    counts: [u8; 2],
}

impl Library for Pretence {
    fn initiator(&self, own: Option<&Name>, _service: &Name) -> Result<Box<dyn Context>, Refused> {
        match own {
            Some(own) if own.text == b"nobody" => Err(Refused),
            _ => Ok(Box::new(Agreement { server: false, complete: false, counts: [0; 2] })),
        }
    }

    fn acceptor(&self, own: Option<&Name>) -> Result<Box<dyn Context>, Refused> {
        match own {
            Some(own) if own.text == b"nobody" => Err(Refused),
            _ => Ok(Box::new(Agreement { server: true, complete: false, counts: [0; 2] })),
        }
    }
}

impl Context for Agreement {
    fn step(&mut self, token: &[u8]) -> Result<Step, Refused> {
        let (answer, complete): (&[u8], _) = match (self.server, token) {
            (false, b"") => (b"who", false),
            (true, b"who") => (b"me", true),
            (true, b"slow") => (b"go on", false),
            (false, b"me") => (b"", true),
            _ => return Err(Refused),
        };
        self.complete = complete;
        Ok(Step { token: answer.to_vec(), complete })
    }

    fn client(&mut self) -> Result<Vec<u8>, Refused> {
        Ok(b"joe@REALM".to_vec())
    }

    fn wrap(&mut self, plain: &[u8]) -> Result<Vec<u8>, Refused> {
        assert!(self.complete);
        self.counts[0] += 1;
        Ok([&[self.counts[0]], plain, b"!"].concat())
    }

    fn unwrap(&mut self, wrapped: &[u8]) -> Result<Vec<u8>, Refused> {
        assert!(self.complete);
        let [count, plain @ .., b'!'] = wrapped else { return Err(Refused) };
        if *count != self.counts[1] + 1 {
            return Err(Refused);
        }
        self.counts[1] = *count;
        Ok(plain.to_vec())
    }
}

fn end(socket_type: SocketType, as_server: bool, plaintext: bool) -> Config {
    let settings =
        Settings { library: Arc::new(Pretence), own: None, service: Name::default(), plaintext };
    let routing_id = b"id".to_vec();
    let base = config(socket_type);
    Config { mechanism: ZMQ_GSSAPI, as_server, gssapi: Some(settings), routing_id, ..base }
}

fn client(plaintext: bool) -> Config {
    end(SocketType::Dealer, false, plaintext)
}

fn server(plaintext: bool) -> Config {
    end(SocketType::Rep, true, plaintext)
}

const WHO: &[u8] = b"\x04\x10\x08INITIATE\0\0\0\x03who";
const ME: &[u8] = b"\x04\x0f\x08INITIATE\0\0\0\x02me";
const CONTENT: &[u8] = b"\x04\0";

fn hail() -> Vec<u8> {
    greeting(3, 1, b"GSSAPI")
}

/// What a server says to these frames, and how it ends; the handler answers this.
fn served(
    config: Config,
    frames: &[&[u8]],
    answer: ZapAnswer<'_>,
) -> (Vec<u8>, Option<Result<Box<Peer>, HandshakeError>>) {
    let mut handshake = Handshake::new(Arc::new(config)).unwrap();
    let mut out = Vec::new();
    let input = [&hail()[..], &frames.concat()].concat();
    let mut rest = &input[..];
    while !rest.is_empty() {
        let status = handshake.input(rest, Instant::now(), &mut out).and_then(|step| {
            rest = &rest[step.consumed..];
            match step.status {
                Status::Zap(request) => {
                    assert_eq!((request.mechanism, request.credentials.len()), (&b"GSSAPI"[..], 1));
                    assert_eq!(request.credentials[0], b"joe@REALM");
                    handshake.zap_reply(answer, &mut out)
                }
                status => Ok(status),
            }
        });
        match status {
            Ok(Status::Done(peer)) => return (out, Some(Ok(peer))),
            Err(error) => return (out, Some(Err(error))),
            Ok(_) => {}
        }
    }
    (out, None)
}

fn refused(frames: &[&[u8]], answer: ZapAnswer<'_>) -> HandshakeError {
    match served(server(false), frames, answer) {
        (said, Some(Err(error))) => {
            assert!(!said.windows(6).any(|part| part == b"\x05ERROR"), "a refusal is not told");
            error
        }
        other => panic!("{other:?}"),
    }
}

fn protocol_error(code: i32) -> HandshakeError {
    Failure::Protocol(code as u32).into()
}

#[test]
fn golden_conversation() {
    let ready = b"\x05READY\x0BSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\x02id";
    let plain = command(ready);
    let wrapped = command(&[b"\x07MESSAGE\0\0\0\x2e\x01\0", &ready[..], b"!"].concat());
    for (plaintext, theirs) in [(false, &wrapped), (true, &plain)] {
        let (said, end) = served(server(plaintext), &[WHO, CONTENT, theirs], ZapAnswer::NoHandler);
        let peer = end.unwrap().unwrap();
        assert_eq!(peer.socket_type, b"DEALER");
        assert_eq!(matches!(peer.framer, Framer::Gssapi(_)), !plaintext);
        let own = b"\x05READY\x0BSocket-Type\0\0\0\x03REP";
        let own = if plaintext {
            command(own)
        } else {
            command(&[b"\x07MESSAGE\0\0\0\x1c\x01\0", &own[..], b"!"].concat())
        };
        assert_eq!(said.split_at(64 - 10).1, [ME, &own].concat());
    }
}

#[test]
fn two_of_ours_meet_and_talk() {
    for plaintext in [false, true] {
        for cut in [1, 7, usize::MAX] {
            let [client, server] = [client(plaintext), server(plaintext)]
                .map(|config| Handshake::new(Arc::new(config)).unwrap());
            let [a, b] = converse([client, server], cut);
            match (a.framer, b.framer) {
                (Framer::Plain, Framer::Plain) => assert!(plaintext),
                (Framer::Gssapi(a), Framer::Gssapi(b)) => talk(*a, *b),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Lets them talk until both are done.
fn converse(mut ends: [Handshake; 2], cut: usize) -> [Box<Peer>; 2] {
    let mut wires = [Vec::new(), Vec::new()];
    for (end, wire) in ends.iter_mut().zip(&mut wires) {
        end.start(wire);
    }
    let mut peers = [None, None];
    while peers.iter().any(Option::is_none) {
        for from in [0, 1] {
            let to = 1 - from;
            let said = std::mem::take(&mut wires[from]);
            for piece in said.chunks(cut) {
                let mut rest = piece;
                while !rest.is_empty() {
                    let step = ends[to].input(rest, Instant::now(), &mut wires[to]).unwrap();
                    rest = &rest[step.consumed..];
                    let status = match step.status {
                        Status::Zap(_) => {
                            ends[to].zap_reply(ZapAnswer::NoHandler, &mut wires[to]).unwrap()
                        }
                        status => status,
                    };
                    if let Status::Done(peer) = status {
                        peers[to] = Some(peer);
                    }
                }
            }
        }
    }
    peers.map(Option::unwrap)
}

fn talk(mut a: Traffic, mut b: Traffic) {
    use crate::zmtp::frame::{COMMAND, MORE};
    for (flags, inner) in [(0, 0), (MORE, 1), (COMMAND, 2), (COMMAND | MORE, 3)] {
        let mut wire = Vec::new();
        a.sealer.seal(flags, b"\x09SUBSCRIBEtopic", &mut wire).unwrap();
        let header = crate::zmtp::frame::parse(&wire).unwrap();
        assert_eq!((header.flags, wire[header.header_len + 13]), (0, inner));
        let (got, plain) = b.opener.open(&wire[header.header_len..]).unwrap();
        assert_eq!((got, &plain[1..]), (flags, &b"\x09SUBSCRIBEtopic"[..]));
    }
}

#[test]
fn subscriptions_by_flag() {
    let [client, server] =
        [client(false), server(false)].map(|config| Handshake::new(Arc::new(config)).unwrap());
    let [_, server] = converse([client, server], usize::MAX);
    let Framer::Gssapi(mut traffic) = server.framer else { panic!("{:?}", server.framer) };
    // The READY was the first.
    for (count, flags, body, expected) in [
        (2, 4, &b"topic"[..], &b"\x09SUBSCRIBEtopic"[..]),
        (3, 8 | 2, b"topic", b"\x06CANCELtopic"),
        (4, 4 | 2, b"\x09SUBSCRIBEtopic", b"\x09SUBSCRIBEtopic"),
        (5, 4, b"", b"\x09SUBSCRIBE"),
    ] {
        let wrapped = [&[count, flags], body, b"!"].concat();
        let len = (wrapped.len() as u32).to_be_bytes();
        let message = [&b"\x07MESSAGE"[..], &len, &wrapped].concat();
        let (got, plain) = traffic.opener.open(&message).unwrap();
        assert_eq!((got, &plain[1..]), (crate::zmtp::frame::COMMAND, expected));
    }
}

#[test]
fn messages_that_are_none() {
    let [client, server] =
        [client(false), server(false)].map(|config| Handshake::new(Arc::new(config)).unwrap());
    let [_, server] = converse([client, server], usize::MAX);
    let Framer::Gssapi(mut traffic) = server.framer else { panic!("{:?}", server.framer) };
    let mut open = |body: &[u8]| traffic.opener.open(body).unwrap_err();
    let code = |code: i32| Malformed::Refused(code as u32);
    let unexpected = code(ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND);
    let malformed = code(ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_MESSAGE);
    let undecodable = code(ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC);
    for body in [&b""[..], b"\x05READY", b"hello", b"\x07MESSAG"] {
        assert_eq!(open(body), unexpected);
    }
    for body in [&b""[..], b"\0\0\0", b"\0\0\0\x01", b"\0\0\0\x01ab", b"\xff\xff\xff\xffab"] {
        assert_eq!(open(&[b"\x07MESSAGE", body].concat()), malformed, "{body:?}");
    }
    // Not wrapped, wrapped for another time, and nothing in it.
    for body in [&b"\0\0\0\0"[..], b"\0\0\0\x02ab", b"\0\0\0\x03\x01\0!"] {
        assert_eq!(open(&[b"\x07MESSAGE", body].concat()), undecodable, "{body:?}");
    }
    assert_eq!(open(b"\x07MESSAGE\0\0\0\x02\x02!"), malformed);
}

#[test]
fn defects_of_a_client() {
    let none = ZapAnswer::NoHandler;
    let unspecified = protocol_error(ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED);
    let unexpected = protocol_error(ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND);
    let malformed = protocol_error(ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_INITIATE);
    let undecodable = protocol_error(ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC);
    assert_eq!(refused(&[CONTENT], none), unspecified);
    assert_eq!(refused(&[b"\x04\x02\x08I"], none), unspecified);
    assert_eq!(refused(&[b"\x04\x06\x05HELLO"], none), unexpected);
    for token in [&b""[..], b"\0\0\0\x04who", b"\0\0\0\x02who", b"\xff\xff\xff\xff"] {
        assert_eq!(refused(&[&command(&[b"\x08INITIATE", token].concat())], none), malformed);
    }
    assert_eq!(refused(&[&command(b"\x08INITIATE\0\0\0\x02no")], none), undecodable);
    assert_eq!(refused(&[WHO, WHO], none), unexpected);
    assert_eq!(refused(&[WHO, CONTENT, CONTENT], none), unexpected);
    // Rounds have an end.
    let slow = command(b"\x08INITIATE\0\0\0\x04slow");
    assert_eq!(refused(&[&slow[..]; 40], none), undecodable);
    let metadata = command(b"\x07MESSAGE\0\0\0\x0a\x01\0\x05READYx!");
    let invalid = protocol_error(ZMQ_PROTOCOL_ERROR_ZMTP_INVALID_METADATA);
    assert_eq!(refused(&[WHO, CONTENT, &metadata], none), invalid);
    let plain = command(b"\x05READY");
    assert_eq!(refused(&[WHO, CONTENT, &plain], none), unexpected);
}

#[test]
fn every_refusal_of_the_handler_closes() {
    for status in [&b"300"[..], b"400", b"500"] {
        let frames: [&[u8]; 7] = [b"", b"1.0", b"1", status, b"", b"", b""];
        let code = std::str::from_utf8(status).unwrap().parse().unwrap();
        let error = refused(&[WHO, CONTENT], ZapAnswer::Reply(&frames));
        assert_eq!(error, Failure::Auth(code).into());
    }
    let error = refused(&[WHO, CONTENT], ZapAnswer::Reply(&[b""]));
    assert_eq!(error, protocol_error(ZMQ_PROTOCOL_ERROR_ZAP_MALFORMED_REPLY));
    let frames: [&[u8]; 7] = [b"", b"1.0", b"1", b"200", b"", b"joe", b""];
    let (said, end) = served(server(false), &[WHO, CONTENT], ZapAnswer::Reply(&frames));
    assert!(end.is_none() && said.len() > 64 - 10 + ME.len(), "waits for the client's READY");
}

#[test]
fn nobody_says_ready_before_the_handler_has_spoken() {
    let mut handshake = Handshake::new(Arc::new(server(false))).unwrap();
    let mut out = Vec::new();
    let input = [&hail()[..], WHO, CONTENT].concat();
    let step = handshake.input(&input, Instant::now(), &mut out).unwrap();
    assert!(matches!(step.status, Status::Zap(_)));
    assert!(out.ends_with(ME));
    let error = handshake.input(CONTENT, Instant::now(), &mut out).unwrap_err();
    assert_eq!(error, protocol_error(ZMQ_PROTOCOL_ERROR_ZMTP_UNSPECIFIED));
}

#[test]
fn without_credentials() {
    let nobody = |mut config: Config| {
        let own = Name { text: b"nobody".to_vec(), ..Name::default() };
        config.gssapi = config.gssapi.map(|settings| Settings { own: Some(own), ..settings });
        config
    };
    let failure = Failure::NoDetail(libc::EACCES);
    let mut client = Handshake::new(Arc::new(nobody(client(false)))).unwrap();
    let error = client.input(&hail(), Instant::now(), &mut Vec::new()).unwrap_err();
    assert_eq!((error.failure, error.stays_open), (failure, true));
    let (_, end) = served(nobody(server(false)), &[WHO], ZapAnswer::NoHandler);
    assert_eq!(end.unwrap().unwrap_err(), failure.into());
}

#[test]
fn what_a_server_may_not_say() {
    let heard = |frames: &[&[u8]]| {
        let mut client = Handshake::new(Arc::new(client(false))).unwrap();
        let input = [&hail()[..], &frames.concat()].concat();
        client.input(&input, Instant::now(), &mut Vec::new()).map(|step| step.status)
    };
    assert!(matches!(heard(&[ME]), Ok(Status::NeedMore)));
    let unexpected = protocol_error(ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND);
    assert_eq!(heard(&[ME, &command(b"\x05READY")]).unwrap_err(), unexpected);
    let undecodable = protocol_error(ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC);
    assert_eq!(heard(&[&command(b"\x08INITIATE\0\0\0\x02no")]).unwrap_err(), undecodable);
    let denied = heard(&[&command(b"\x05ERROR\x03400")]).unwrap_err();
    assert_eq!(denied, Failure::Auth(400).into());
}
