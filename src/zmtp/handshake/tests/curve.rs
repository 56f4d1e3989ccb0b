//! Handshakes of the CURVE mechanism, also with ends that do something else than they should.

use super::*;
use crate::zmtp::decoder::tests::flatten;
use crate::zmtp::decoder::{Decoder, Framing};
use crate::zmtp::mechanism::crypto::{BoxKey, SecretKey, nonce};
use std::time::Duration;

/// Foreseeable, and different for the two roles.
fn client_random() -> Random {
    Random::by(|bytes| {
        bytes.fill(0x11);
        Ok(())
    })
}

fn server_random() -> Random {
    Random::by(|bytes| {
        bytes.fill(0x22);
        Ok(())
    })
}

fn secret(byte: u8) -> SecretKey {
    SecretKey::new(&[byte; 32])
}

const CLIENT: u8 = 3;
const SERVER: u8 = 4;

fn client() -> Config {
    let keys = Keys {
        public: secret(CLIENT).public(),
        secret: secret(CLIENT),
        server: secret(SERVER).public(),
    };
    let random = client_random();
    Config { mechanism: ZMQ_CURVE, curve: keys, random, ..named(SocketType::Dealer, b"cli") }
}

fn server() -> Config {
    let keys = Keys { secret: secret(SERVER), ..Keys::default() };
    Config {
        mechanism: ZMQ_CURVE,
        as_server: true,
        curve: keys,
        random: server_random(),
        ..named(SocketType::Router, b"srv")
    }
}

/// A server that has had our greeting.
fn greeted_server(config: Config) -> Handshake {
    let mut handshake = Handshake::new(Arc::new(config)).unwrap();
    let bytes = greeting(3, 1, b"CURVE");
    handshake.input(&bytes, Instant::now(), &mut Vec::new()).unwrap();
    handshake
}

/// The body of the one frame in `out`, which is emptied.
fn body(out: &mut Vec<u8>) -> Vec<u8> {
    let header = crate::zmtp::frame::parse(out).unwrap();
    assert_eq!(header.frame_len(), Some(out.len()));
    let body = out.split_off(header.header_len);
    out.clear();
    body
}

/// A client by hand.
struct Tools {
    short_term: SecretKey,
    keys: Keys,
    properties: Vec<u8>,
    /// What the vouch says.
    vouched: Vec<u8>,
}

impl Tools {
    fn new() -> Tools {
        let short_term = secret(9);
        let keys = client().curve;
        let vouched = [short_term.public(), keys.server].concat();
        let mut properties = Vec::new();
        metadata::push(&mut properties, b"Socket-Type", b"DEALER").unwrap();
        Tools { short_term, keys, properties, vouched }
    }

    fn hello(&self) -> Vec<u8> {
        let key = BoxKey::agree(&self.keys.server, &self.short_term).unwrap();
        let mut body = [&b"\x05HELLO\x01\0"[..], &[0; 72], &self.short_term.public()].concat();
        body.extend_from_slice(&1u64.to_be_bytes());
        let at = nonce(b"CurveZMQHELLO---", &1u64.to_be_bytes());
        key.push_box(&at, &[0; 64], &mut body);
        body
    }

    /// The server's short-term key and the cookie in a WELCOME.
    fn open_welcome(&self, welcome: &[u8]) -> ([u8; 32], Vec<u8>) {
        assert_eq!(welcome.len(), 168);
        let key = BoxKey::agree(&self.keys.server, &self.short_term).unwrap();
        let at = nonce(b"WELCOME-", &welcome[8..24]);
        let plain = key.open_box(&at, &welcome[24..]).unwrap();
        (plain[..32].try_into().unwrap(), plain[32..].to_vec())
    }

    fn initiate(&self, server: &[u8; 32], cookie: &[u8]) -> Vec<u8> {
        let key = BoxKey::agree(server, &self.short_term).unwrap();
        let voucher = BoxKey::agree(server, &self.keys.secret).unwrap();
        let mut plain = [&self.keys.public[..], &[7; 16]].concat();
        voucher.push_box(&nonce(b"VOUCH---", &[7; 16]), &self.vouched, &mut plain);
        plain.extend_from_slice(&self.properties);
        let mut body = [&b"\x08INITIATE"[..], cookie, &2u64.to_be_bytes()].concat();
        key.push_box(&nonce(b"CurveZMQINITIATE", &2u64.to_be_bytes()), &plain, &mut body);
        body
    }

    /// Says HELLO: the server's short-term key and the cookie.
    fn begin(&self, server: &mut Handshake) -> ([u8; 32], Vec<u8>) {
        let mut out = Vec::new();
        server.input(&command(&self.hello()), Instant::now(), &mut out).unwrap();
        self.open_welcome(&body(&mut out))
    }
}

fn protocol(code: i32) -> HandshakeError {
    Failure::Protocol(code as u32).into()
}

/// Lets the two talk, `cut` bytes at a time; the server's handler answers `answer`.
fn converse(
    client: Config,
    server: Config,
    cut: usize,
    answer: ZapAnswer<'_>,
) -> [Option<Result<Box<Peer>, HandshakeError>>; 2] {
    let mut ends = [client, server].map(|config| Handshake::new(Arc::new(config)).unwrap());
    let mut wires = [Vec::new(), Vec::new()];
    for (end, wire) in ends.iter_mut().zip(&mut wires) {
        end.start(wire);
    }
    let mut results = [None, None];
    for turn in 0..10_000 {
        let side = turn % 2;
        let take = cut.min(wires[1 - side].len());
        let bytes: Vec<u8> = wires[1 - side].drain(..take).collect();
        let mut rest = &bytes[..];
        while results[side].is_none() {
            let step = ends[side].input(rest, Instant::now(), &mut wires[side]);
            let status = step.and_then(|step| {
                rest = &rest[step.consumed..];
                match step.status {
                    Status::Zap(_) => ends[side].zap_reply(answer, &mut wires[side]),
                    status => Ok(status),
                }
            });
            match status {
                Ok(Status::Done(peer)) => results[side] = Some(Ok(peer)),
                Err(error) => results[side] = Some(Err(error)),
                Ok(_) if rest.is_empty() => break,
                Ok(_) => {}
            }
        }
    }
    results
}

#[test]
fn two_of_ours_agree_and_understand_each_other() {
    for cut in [1, 7, 64, 1000] {
        let [a, b] = converse(client(), server(), cut, ZapAnswer::NoHandler);
        let (a, b) = (a.unwrap().unwrap(), b.unwrap().unwrap());
        assert_eq!((&a.routing_id[..], &a.socket_type[..]), (&b"srv"[..], &b"ROUTER"[..]));
        assert_eq!((&b.routing_id[..], &b.socket_type[..]), (&b"cli"[..], &b"DEALER"[..]));
        let (Framer::Curve(mut a), Framer::Curve(mut b)) = (a.framer, b.framer) else {
            panic!("no encryption")
        };
        for (from, to) in [(&mut a.sealer, &mut b.opener), (&mut b.sealer, &mut a.opener)] {
            let (mut wire, mut plain) = (Vec::new(), Vec::new());
            from.seal(crate::zmtp::frame::MORE, b"some text", &mut wire).unwrap();
            assert!(!wire.windows(4).any(|bytes| bytes == b"text"));
            to.open(&wire[2..], &mut plain).unwrap();
            assert_eq!(plain, b"\x01\x09some text");
        }
    }
}

#[test]
fn commands_have_their_sizes_and_their_fixed_parts() {
    let mut client = Handshake::new(Arc::new(client())).unwrap();
    let mut server = greeted_server(server());
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    let bytes = greeting(3, 1, b"CURVE");
    client.input(&bytes, Instant::now(), &mut to_server).unwrap();
    // What the greeting answers.
    to_server.drain(..54);
    let hello = body(&mut to_server);
    assert_eq!(hello.len(), 200);
    assert_eq!(hello[..8], *b"\x05HELLO\x01\0");
    assert_eq!(hello[8..80], [0; 72]);
    assert_eq!(hello[80..112], SecretKey::new(&[0x11; 32]).public());
    assert_eq!(hello[112..120], [0, 0, 0, 0, 0, 0, 0, 1]);
    server.input(&command(&hello), Instant::now(), &mut to_client).unwrap();
    let welcome = body(&mut to_client);
    assert_eq!(welcome.len(), 168);
    assert_eq!(welcome[..8], *b"\x07WELCOME");
    client.input(&command(&welcome), Instant::now(), &mut to_server).unwrap();
    let initiate = body(&mut to_server);
    let list = b"\x0BSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\x03cli";
    assert_eq!(initiate.len(), 257 + list.len());
    assert_eq!(initiate[..9], *b"\x08INITIATE");
    assert_eq!(initiate[105..113], [0, 0, 0, 0, 0, 0, 0, 2]);
    let step = server.input(&command(&initiate), Instant::now(), &mut to_client).unwrap();
    let Status::Zap(request) = step.status else { panic!("{step:?}") };
    assert_eq!(*request.credentials, [secret(CLIENT).public().to_vec()]);
    assert_eq!((request.mechanism, &request.routing_id[..]), (&b"CURVE"[..], &b"srv"[..]));
    let status = server.zap_reply(ZapAnswer::NoHandler, &mut to_client).unwrap();
    assert!(matches!(status, Status::Done(_)));
    let ready = body(&mut to_client);
    let list = b"\x0BSocket-Type\0\0\0\x06ROUTER\x08Identity\0\0\0\x03srv";
    assert_eq!(ready.len(), 30 + list.len());
    assert_eq!(ready[..14], *b"\x05READY\0\0\0\0\0\0\0\x01");
}

#[test]
fn a_client_by_hand_is_let_in() {
    let tools = Tools::new();
    let mut server = greeted_server(server());
    let (key, cookie) = tools.begin(&mut server);
    let initiate = command(&tools.initiate(&key, &cookie));
    let step = server.input(&initiate, Instant::now(), &mut Vec::new()).unwrap();
    assert!(matches!(step.status, Status::Zap(_)));
}

#[test]
fn malformed_hellos() {
    let hello = Tools::new().hello();
    let with = |at: usize, byte: u8| {
        let mut bytes = hello.clone();
        bytes[at] = byte;
        bytes
    };
    let other_server = {
        let mut tools = Tools::new();
        tools.keys.server = secret(77).public();
        tools.hello()
    };
    let mut zero_key = hello.clone();
    zero_key[80..112].fill(0);
    let bad = ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_HELLO;
    let unspecified = ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED;
    let undecodable = ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC;
    let table = [
        ("empty", Vec::new(), unspecified),
        ("one byte", vec![5], unspecified),
        ("name beyond the body", b"\x06HELLO".to_vec(), unspecified),
        ("another name", with(5, b'X'), ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND),
        ("the name only", b"\x05HELLO".to_vec(), bad),
        ("a byte short", hello[..199].to_vec(), bad),
        ("a byte long", [&hello[..], b"x"].concat(), bad),
        ("version 2", with(6, 2), bad),
        ("version 1.1", with(7, 1), bad),
        ("other key", with(80, !hello[80]), undecodable),
        ("no key", zero_key, undecodable),
        ("other number", with(119, 2), undecodable),
        ("damaged authenticator", with(120, !hello[120]), undecodable),
        ("damaged box", with(199, !hello[199]), undecodable),
        ("for another server", other_server, undecodable),
    ];
    for (name, bytes, code) in table {
        let mut server = greeted_server(server());
        let mut out = Vec::new();
        let error = server.input(&command(&bytes), Instant::now(), &mut out).unwrap_err();
        assert_eq!(error, protocol(code), "{name}");
        assert!(out.is_empty(), "{name}: nothing is said to a stranger");
    }
    let mut server = greeted_server(server());
    let announced = b"\x06\0\0\0\0\0\0\x10\0";
    let error = server.input(announced, Instant::now(), &mut Vec::new()).unwrap_err();
    assert_eq!(error, protocol(bad), "larger ones are not even received");
}

#[test]
fn malformed_initiates() {
    let end = |make: &dyn Fn(&mut Tools, &[u8; 32], &[u8]) -> Vec<u8>| {
        let mut server = greeted_server(server());
        let mut tools = Tools::new();
        let (key, cookie) = tools.begin(&mut server);
        let bytes = make(&mut tools, &key, &cookie);
        let mut out = Vec::new();
        let result = server.input(&command(&bytes), Instant::now(), &mut out);
        assert!(out.is_empty());
        result.map(|_| ()).unwrap_err()
    };
    let with = |at: usize| {
        end(&move |tools, key, cookie| {
            let mut bytes = tools.initiate(key, cookie);
            bytes[at] ^= 1;
            bytes
        })
    };
    let undecodable = protocol(ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC);
    assert_eq!(with(5), protocol(ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND));
    for at in [9, 30, 104, 112, 113, 150, 260] {
        assert_eq!(with(at), undecodable, "byte {at}");
    }
    let short = end(&|tools, key, cookie| tools.initiate(key, cookie)[..256].to_vec());
    assert_eq!(short, protocol(ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_INITIATE));
    let nothing = end(&|_, _, _| Vec::new());
    assert_eq!(nothing, protocol(ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED));
    assert_eq!(
        end(&|tools, _, _| tools.hello()),
        protocol(ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND)
    );
    // Somebody else's key, without its secret.
    let stolen = end(&|tools, key, cookie| {
        tools.keys.public = secret(99).public();
        tools.initiate(key, cookie)
    });
    assert_eq!(stolen, undecodable);
    let no_key = end(&|tools, key, cookie| {
        tools.keys.public = [0; 32];
        tools.initiate(key, cookie)
    });
    assert_eq!(no_key, undecodable);
    let exchange = protocol(ZMQ_PROTOCOL_ERROR_ZMTP_KEY_EXCHANGE);
    let for_another_client = end(&|tools, key, cookie| {
        tools.vouched[0] ^= 1;
        tools.initiate(key, cookie)
    });
    let for_another_server = end(&|tools, key, cookie| {
        tools.vouched[63] ^= 1;
        tools.initiate(key, cookie)
    });
    assert_eq!((for_another_client, for_another_server), (exchange, exchange));
    for list in [&b"\x01a\0\0\0"[..], b"\x0BSocket-Type\0\0\0\x03PUB", &[0xFF; 5000]] {
        let metadata = end(&|tools, key, cookie| {
            tools.properties = list.to_vec();
            tools.initiate(key, cookie)
        });
        assert_eq!(metadata, Failure::Silent.into());
    }
}

#[test]
fn a_cookie_serves_its_own_connection_for_a_while() {
    let tools = Tools::new();
    let undecodable = protocol(ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC);
    for (seconds, expected) in [(0, None), (59, None), (60, Some(undecodable))] {
        let mut server = greeted_server(server());
        let (key, cookie) = tools.begin(&mut server);
        let bytes = command(&tools.initiate(&key, &cookie));
        let later = Instant::now() + Duration::from_secs(seconds);
        let error = server.input(&bytes, later, &mut Vec::new()).err();
        // The clock went on a little between the two.
        assert_eq!(error, expected, "{seconds}");
    }
    // A recorded INITIATE, in a connection that began with the recorded HELLO.
    let mut config = server();
    config.random = Random::of_system();
    let mut first = greeted_server(config.clone());
    let (key, cookie) = tools.begin(&mut first);
    let recorded = command(&tools.initiate(&key, &cookie));
    first.input(&recorded, Instant::now(), &mut Vec::new()).unwrap();
    let mut second = greeted_server(config);
    tools.begin(&mut second);
    let error = second.input(&recorded, Instant::now(), &mut Vec::new()).unwrap_err();
    assert_eq!(error, undecodable);
}

#[test]
fn malformed_commands_to_a_client() {
    // Up to a client that has said HELLO or INITIATE, and what a server would say next.
    let begin = |welcomed: bool| {
        let mut ends = (Handshake::new(Arc::new(client())).unwrap(), greeted_server(server()));
        let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
        ends.0.input(&greeting(3, 1, b"CURVE"), Instant::now(), &mut to_server).unwrap();
        ends.1.input(&to_server[54..], Instant::now(), &mut to_client).unwrap();
        if welcomed {
            let mut to_server = Vec::new();
            ends.0.input(&to_client, Instant::now(), &mut to_server).unwrap();
            to_client.clear();
            ends.1.input(&to_server, Instant::now(), &mut to_client).unwrap();
            ends.1.zap_reply(ZapAnswer::NoHandler, &mut to_client).unwrap();
        }
        (ends.0, body(&mut to_client))
    };
    let end = |welcomed: bool, make: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let (mut client, next) = begin(welcomed);
        let bytes = command(&make(next));
        client.input(&bytes, Instant::now(), &mut Vec::new()).unwrap_err()
    };
    let flip = |welcomed: bool, at: usize| {
        end(welcomed, &move |mut bytes| {
            bytes[at] ^= 1;
            bytes
        })
    };
    let undecodable = protocol(ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC);
    let unexpected = protocol(ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND);
    for at in [8, 24, 167] {
        assert_eq!(flip(false, at), undecodable, "WELCOME byte {at}");
    }
    assert_eq!(end(false, &|bytes| bytes[..167].to_vec()), undecodable);
    assert_eq!(end(false, &|bytes| [&bytes[..], b"x"].concat()), undecodable);
    assert_eq!((flip(false, 1), flip(true, 1)), (unexpected, unexpected));
    assert_eq!(end(false, &|_| Vec::new()), unexpected);
    assert_eq!(end(false, &|_| b"\x05READY".to_vec()), unexpected);
    for at in [13, 14, 40] {
        assert_eq!(flip(true, at), undecodable, "READY byte {at}");
    }
    let bad_ready = protocol(ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_READY);
    assert_eq!(end(true, &|bytes| bytes[..29].to_vec()), bad_ready);
    assert_eq!(end(true, &|_| b"\x07WELCOME".to_vec()), unexpected);
    for welcomed in [false, true] {
        assert_eq!(end(welcomed, &|_| b"\x05ERROR\x03400".to_vec()), Failure::Auth(400).into());
        assert_eq!(
            end(welcomed, &|_| b"\x05ERROR\x05400".to_vec()),
            protocol(ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_ERROR)
        );
    }
}

#[test]
fn a_server_of_a_type_that_does_not_fit() {
    let server = Config { socket_type: SocketType::Pub, ..server() };
    let client = Config { socket_type: SocketType::Sub, ..client() };
    let [a, b] = converse(client.clone(), server, 1000, ZapAnswer::NoHandler);
    assert!(a.unwrap().is_ok() && b.unwrap().is_ok());
    let router = super::curve::server();
    let [a, b] = converse(client, router, 1000, ZapAnswer::NoHandler);
    assert_eq!(b.unwrap().unwrap_err(), Failure::Silent.into(), "the server sees it first");
    assert!(a.is_none());
}

#[test]
fn the_handler_decides() {
    let reply = |status: &'static [u8]| [&b""[..], b"1.0", b"1", status, b"", b"joe", b""];
    let with = |answer: ZapAnswer<'_>, domain: &[u8], enforce| {
        let zap_domain = domain.to_vec();
        let config = Config { zap_domain, zap_enforce_domain: enforce, ..server() };
        converse(client(), config, 1000, answer)
    };
    let [a, b] = with(ZapAnswer::Reply(&reply(b"200")), b"", false);
    assert_eq!(b.unwrap().unwrap().grant.unwrap().user_id, b"joe");
    assert!(a.unwrap().is_ok());
    let [a, b] = with(ZapAnswer::Reply(&reply(b"400")), b"", false);
    let denied: HandshakeError = Failure::Auth(400).into();
    assert_eq!((a.unwrap().unwrap_err(), b.unwrap().unwrap_err()), (denied, denied));
    let [a, b] = with(ZapAnswer::Reply(&reply(b"300")), b"", false);
    assert!(a.is_none() && b.unwrap().unwrap_err().stays_open);
    let [a, b] = with(ZapAnswer::NoHandler, b"global", true);
    assert!(a.is_none() && b.unwrap().unwrap_err().stays_open);
    let [a, b] = with(ZapAnswer::NoHandler, b"global", false);
    assert!(a.unwrap().is_ok() && b.unwrap().is_ok());
    // Without a domain nobody is asked where one is insisted on.
    let [a, b] = with(ZapAnswer::Reply(&reply(b"400")), b"", true);
    assert!(a.unwrap().is_ok() && b.unwrap().unwrap().grant.is_none());
}

#[test]
fn keys_that_do_not_fit() {
    let code = ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC;
    let mut config = client();
    config.curve.server = secret(50).public();
    let [a, b] = converse(config, server(), 1000, ZapAnswer::NoHandler);
    assert!(a.is_none());
    assert_eq!(b.unwrap().unwrap_err(), protocol(code));
    // A server key that everybody could claim to own.
    let mut config = client();
    config.curve.server = [0; 32];
    let [a, _] = converse(config, server(), 1000, ZapAnswer::NoHandler);
    assert_eq!(a.unwrap().unwrap_err(), protocol(code));
    // A client without keys proves nothing.
    let mut config = client();
    (config.curve.public, config.curve.secret) = ([0; 32], SecretKey::default());
    let [_, b] = converse(config, server(), 1000, ZapAnswer::NoHandler);
    assert_eq!(b.unwrap().unwrap_err(), protocol(code));
}

#[test]
fn no_random_bytes_no_handshake() {
    let random = Random::by(|_| Err(Error::Os(libc::ENOSYS)));
    assert!(Handshake::new(Arc::new(Config { random, ..client() })).is_err());
    let mut server = greeted_server(Config { random, ..server() });
    let hello = command(&Tools::new().hello());
    let error = server.input(&hello, Instant::now(), &mut Vec::new()).unwrap_err();
    assert_eq!(error, Failure::NoDetail(libc::ENOSYS).into());
}

#[test]
fn traffic_that_came_with_the_last_command_is_kept() {
    // Two clients of the NULL mechanism with a domain: a frame begins before the handler answers.
    let mut handshake = Handshake::new(Arc::new(in_domain(false))).unwrap();
    let mut out = Vec::new();
    handshake.input(&greeting(3, 1, b"NULL"), Instant::now(), &mut out).unwrap();
    let bytes = [PUSH_READY, b"\0\x05he"].concat();
    let step = handshake.input(&bytes, Instant::now(), &mut out).unwrap();
    assert_eq!(step.consumed, bytes.len());
    let status = handshake.zap_reply(ZapAnswer::NoHandler, &mut out).unwrap();
    assert!(matches!(status, Status::Done(_)));
    assert_eq!(handshake.take_rest(), b"\0\x05he");
}

/// Both directions of one connection, client first.
fn traffic() -> [Box<crate::zmtp::mechanism::curve::Traffic>; 2] {
    converse(client(), server(), 1000, ZapAnswer::NoHandler).map(|end| {
        match end.unwrap().unwrap().framer {
            Framer::Curve(traffic) => traffic,
            Framer::Plain | Framer::Gssapi(_) => panic!("no encryption"),
        }
    })
}

/// What a decoder makes of `wire`, handed over in pieces.
fn decode(
    opener: crate::zmtp::mechanism::curve::Opener,
    mut wire: &[u8],
    cuts: &[usize],
    limit: usize,
) -> (Vec<(u8, Vec<u8>)>, Result<(), crate::zmtp::decoder::Malformed>) {
    use crate::zmtp::decoder::Stop;
    let protocol = Protocol::V3 { minor: 1 };
    let mut decoder = Decoder::new(Framing::Zmtp { protocol, single: false }, -1);
    decoder.decrypt(opener);
    let (mut out, mut scratch) = (Vec::new(), Vec::new());
    for turn in 0.. {
        loop {
            match decoder.decode(limit, &mut out) {
                Ok(Stop::Full) => {}
                Ok(Stop::Hungry) => break,
                Err(malformed) => return (flatten(out), Err(malformed)),
            }
        }
        if wire.is_empty() {
            break;
        }
        let target = decoder.target(&mut scratch).unwrap();
        let room = target.capacity() - target.len();
        let n = cuts[turn % cuts.len()].clamp(1, wire.len()).min(room);
        target.extend_from_slice(&wire[..n]);
        wire = &wire[n..];
        if turn % 3 == 0 {
            // As a reader does that comes to the end of its turn.
            match decoder.decode(limit, &mut out) {
                Ok(_) => decoder.reclaim(&mut scratch),
                Err(malformed) => return (flatten(out), Err(malformed)),
            }
        }
    }
    (flatten(out), Ok(()))
}

proptest! {
    #[test]
    fn any_chopping_gives_the_same_parts(
        parts in prop::collection::vec(
            (0u8..3, prop_oneof![0usize..40, 220usize..300, 8000usize..70_000]), 1..30),
        cuts in prop::collection::vec(1usize..70_000, 1..8),
        limit in 1usize..20,
    ) {
        let [mut from, to] = traffic();
        let (mut wire, mut expected) = (Vec::new(), Vec::new());
        for (kind, size) in parts {
            let flags = [0, crate::zmtp::frame::MORE, crate::zmtp::frame::COMMAND][kind as usize];
            let body = vec![size as u8; size];
            from.sealer.seal(flags, &body, &mut wire).unwrap();
            expected.push((flags, body));
        }
        let (got, end) = decode(to.opener, &wire, &cuts, limit);
        prop_assert_eq!(end, Ok(()));
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn damage_is_noticed_and_nothing_before_it_is_lost(
        sizes in prop::collection::vec(prop_oneof![0usize..40, 200usize..300, 9000usize..20_000], 1..10),
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
        cuts in prop::collection::vec(1usize..20_000, 1..4),
    ) {
        let [mut from, to] = traffic();
        let (mut wire, mut starts) = (Vec::new(), Vec::new());
        for size in &sizes {
            starts.push(wire.len());
            from.sealer.seal(0, &vec![1; *size], &mut wire).unwrap();
        }
        let broken = which.index(sizes.len());
        let header = crate::zmtp::frame::parse(&wire[starts[broken]..]).unwrap();
        let body = starts[broken] + header.header_len;
        wire[body + at.index(header.body_len as usize)] ^= 1 << bit;
        let (got, end) = decode(to.opener, &wire, &cuts, 1000);
        prop_assert!(matches!(end, Err(crate::zmtp::decoder::Malformed::Refused(_))), "{:?}", end);
        prop_assert_eq!(got.len(), broken);
    }

    #[test]
    fn garbage_neither_panics_nor_depends_on_cuts(
        as_server in any::<bool>(),
        begun in any::<bool>(),
        tail in prop::collection::vec(any::<u8>(), 0..400),
        cuts in prop::collection::vec(1..40_usize, 1..12),
    ) {
        let config = || if as_server { server() } else { client() };
        let start = if begun { command(&Tools::new().hello()) } else { Vec::new() };
        let bytes = [&greeting(3, 1, b"CURVE")[..], &start, &tail].concat();
        let whole = run(config(), &[&bytes]);
        prop_assert_eq!(comparable(run(config(), &pieces(&bytes, &cuts))), comparable(whole));
    }
}
