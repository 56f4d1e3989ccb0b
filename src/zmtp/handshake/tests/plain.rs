//! Handshakes of the PLAIN mechanism.

use super::*;
use crate::zmtp::mechanism::crypto::Password;

fn client(username: &[u8], password: &[u8]) -> Config {
    let plain = Credentials { username: username.to_vec(), password: Password::new(password) };
    Config { mechanism: ZMQ_PLAIN, plain, ..named(SocketType::Dealer, b"cli") }
}

fn server() -> Config {
    let zap_domain = b"global".to_vec();
    Config {
        mechanism: ZMQ_PLAIN,
        as_server: true,
        zap_domain,
        ..named(SocketType::Router, b"srv")
    }
}

fn reply(status: &[u8]) -> [&[u8]; 7] {
    [b"", b"1.0", b"1", status, b"text", b"joe", b""]
}

/// After the greeting: what this end says to each of `commands`, up to its end.
fn talk(
    config: Config,
    commands: &[Vec<u8>],
    answer: &ZapAnswer<'_>,
) -> (Vec<u8>, Option<Result<Box<Peer>, HandshakeError>>) {
    let mut handshake = Handshake::new(Arc::new(config)).unwrap();
    let mut out = Vec::new();
    let mut input = greeting(3, 1, b"PLAIN");
    commands.iter().for_each(|command| input.extend_from_slice(command));
    let mut rest = &input[..];
    loop {
        let step = handshake.input(rest, Instant::now(), &mut out);
        let status = step.and_then(|step| {
            rest = &rest[step.consumed..];
            match step.status {
                Status::Zap(_) => handshake.zap_reply(*answer, &mut out),
                status => Ok(status),
            }
        });
        match status {
            Ok(Status::Done(peer)) => return (out, Some(Ok(peer))),
            Err(error) => return (out, Some(Err(error))),
            Ok(_) if rest.is_empty() => return (out, None),
            Ok(_) => {}
        }
    }
}

const HELLO: &[u8] = b"\x04\x10\x05HELLO\x04user\x04pass";
const WELCOME: &[u8] = b"\x04\x08\x07WELCOME";

fn initiate() -> Vec<u8> {
    let mut body = b"\x08INITIATE".to_vec();
    metadata::push(&mut body, b"Socket-Type", b"DEALER").unwrap();
    command(&body)
}

#[test]
fn both_sides_say_what_the_rfc_has_them_say() {
    let granted = reply(b"200");
    let granted = ZapAnswer::Reply(&granted);
    let (sent, end) = talk(server(), &[HELLO.to_vec(), initiate()], &granted);
    let ready = ready(&[(b"Socket-Type", b"ROUTER"), (b"Identity", b"srv")]);
    assert_eq!(sent, [&greeting(3, 1, b"PLAIN")[10..], WELCOME, &ready].concat());
    let peer = end.unwrap().unwrap();
    assert_eq!(peer.grant.unwrap().user_id, b"joe");
    assert_eq!(peer.socket_type, b"DEALER");

    let (sent, end) = talk(client(b"user", b"pass"), &[WELCOME.to_vec(), ready], &granted);
    let list = b"\x0BSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\x03cli";
    let initiate = command(&[&b"\x08INITIATE"[..], list].concat());
    assert_eq!(sent, [&greeting(3, 1, b"PLAIN")[10..], HELLO, &initiate].concat());
    let peer = end.unwrap().unwrap();
    assert_eq!((&peer.routing_id[..], peer.grant), (&b"srv"[..], None));
}

#[test]
fn the_handler_sees_name_and_password() {
    for (name, password) in [(&b"user"[..], &b"pass"[..]), (b"", b""), (&[b'u'; 255], &[0; 255])] {
        let (hello, _) = talk(client(name, password), &[], &ZapAnswer::NoHandler);
        let mut handshake = Handshake::new(Arc::new(server())).unwrap();
        let mut out = Vec::new();
        handshake.input(&greeting(3, 1, b"PLAIN"), Instant::now(), &mut out).unwrap();
        let step = handshake.input(&hello[54..], Instant::now(), &mut out).unwrap();
        let Status::Zap(request) = step.status else { panic!("{step:?}") };
        let frames = request.frames(b"::1");
        let expected: [&[u8]; 9] =
            [b"", b"1.0", b"1", b"global", b"::1", b"srv", b"PLAIN", name, password];
        assert_eq!(*frames, expected);
    }
}

#[test]
fn somebody_has_to_say_yes() {
    let commands = [HELLO.to_vec(), initiate()];
    let (sent, end) = talk(server(), &commands, &ZapAnswer::NoHandler);
    assert_eq!(end.unwrap().unwrap_err(), Failure::NoDetail(Error::Fault.errno()).into());
    assert_eq!(sent.len(), 54);
    for (status, stays_open, said) in
        [(b"300", true, &b""[..]), (b"400", false, b"\x04\x0A\x05ERROR\x03400")]
    {
        let frames = reply(status);
        let (sent, end) = talk(server(), &commands, &ZapAnswer::Reply(&frames));
        let code = std::str::from_utf8(status).unwrap().parse().unwrap();
        let expected = HandshakeError { failure: Failure::Auth(code), stays_open };
        assert_eq!(end.unwrap().unwrap_err(), expected);
        assert_eq!(&sent[54..], said);
    }
}

#[test]
fn malformed_commands_fail_as_the_monitor_expects() {
    let protocol = |code: i32| Failure::Protocol(code as u32);
    let unexpected = protocol(ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND);
    let unspecified = protocol(ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED);
    let bad_hello = protocol(ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_HELLO);
    let bad_metadata = protocol(ZMQ_PROTOCOL_ERROR_ZMTP_INVALID_METADATA);
    let hello = |fields: &[u8]| command(&[&b"\x05HELLO"[..], fields].concat());
    let to_server: &[(&str, Vec<u8>, Failure)] = &[
        ("nothing", command(b""), unspecified),
        ("one byte", command(b"\x05"), unspecified),
        ("name beyond the body", command(b"\x09HELLO"), unspecified),
        ("another first", initiate(), unexpected),
        ("data", b"\0\x05\x04abcd".to_vec(), unexpected),
        ("no fields", hello(b""), bad_hello),
        ("name cut", hello(b"\x05user"), bad_hello),
        ("no password", hello(b"\x04user"), bad_hello),
        ("password cut", hello(b"\x04user\x05pass"), bad_hello),
        ("trailing byte", hello(b"\x04user\x04passx"), bad_hello),
        ("larger than any", command(&[5; 519]), bad_hello),
        ("announced larger", b"\x06\0\0\0\0\0\0\xFF\xFF".to_vec(), bad_hello),
    ];
    let granted = reply(b"200");
    let granted = ZapAnswer::Reply(&granted);
    for (name, bytes, expected) in to_server {
        let (_, end) = talk(server(), std::slice::from_ref(bytes), &granted);
        assert_eq!(end.unwrap().unwrap_err(), (*expected).into(), "{name}");
    }
    let list = |bytes: &[u8]| command(&[&b"\x08INITIATE"[..], bytes].concat());
    let second: &[(&str, Vec<u8>, Failure)] = &[
        ("a second HELLO", HELLO.to_vec(), unexpected),
        ("list cut", list(b"\x01a\0\0\0"), Failure::Silent),
        ("wrong type", list(b"\x0BSocket-Type\0\0\0\x03PUB"), Failure::Silent),
        ("nothing", command(b""), unspecified),
    ];
    for (name, bytes, expected) in second {
        let (_, end) = talk(server(), &[HELLO.to_vec(), bytes.clone()], &granted);
        assert_eq!(end.unwrap().unwrap_err(), (*expected).into(), "{name}");
    }
    let to_client: &[(&str, Vec<Vec<u8>>, Failure)] = &[
        ("nothing", vec![command(b"")], unexpected),
        ("READY first", vec![ready(&[])], unexpected),
        (
            "long WELCOME",
            vec![command(b"\x07WELCOMEx")],
            protocol(ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_WELCOME),
        ),
        ("two WELCOMEs", vec![WELCOME.to_vec(), WELCOME.to_vec()], unexpected),
        ("list cut", vec![WELCOME.to_vec(), command(b"\x05READY\x01a")], bad_metadata),
        ("wrong type", vec![WELCOME.to_vec(), ready(&[(b"Socket-Type", b"PUB")])], bad_metadata),
        ("refused at once", vec![command(b"\x05ERROR\x03400")], Failure::Auth(400)),
        ("refused by the original", vec![command(b"^RROR\x03400")], Failure::Auth(400)),
        ("refused", vec![WELCOME.to_vec(), command(b"\x05ERROR\x03500")], Failure::Auth(500)),
        (
            "no reason",
            vec![command(b"\x05ERROR\x09400")],
            protocol(ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_ERROR),
        ),
        ("another server's text", vec![command(b"\x05ERROR\x02no")], Failure::Silent),
    ];
    for (name, commands, expected) in to_client {
        let (_, end) = talk(client(b"u", b"p"), commands, &granted);
        assert_eq!(end.unwrap().unwrap_err(), (*expected).into(), "{name}");
    }
}

#[test]
fn nothing_may_come_while_the_handler_thinks() {
    let mut handshake = Handshake::new(Arc::new(server())).unwrap();
    let mut out = Vec::new();
    let bytes = [&greeting(3, 1, b"PLAIN"), HELLO].concat();
    handshake.input(&bytes[..64], Instant::now(), &mut out).unwrap();
    handshake.input(&bytes[64..], Instant::now(), &mut out).unwrap();
    let error = handshake.input(&initiate(), Instant::now(), &mut out).unwrap_err();
    let code = ZMQ_PROTOCOL_ERROR_ZMTP_UNSPECIFIED as u32;
    assert_eq!(error, Failure::Protocol(code).into());
}

#[test]
fn two_of_the_same_role_do_not_agree() {
    let (hello, _) = talk(client(b"u", b"p"), &[], &ZapAnswer::NoHandler);
    let (_, end) = talk(client(b"u", b"p"), &[hello[54..].to_vec()], &ZapAnswer::NoHandler);
    let code = ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND as u32;
    assert_eq!(end.unwrap().unwrap_err(), Failure::Protocol(code).into());
    let (sent, end) = talk(server(), &[], &ZapAnswer::NoHandler);
    assert!(end.is_none() && sent.len() == 54, "two servers wait for each other");
}

proptest! {
    #[test]
    fn garbage_neither_panics_nor_depends_on_cuts(
        as_server in any::<bool>(),
        begun in any::<bool>(),
        tail in prop::collection::vec(any::<u8>(), 0..300),
        cuts in prop::collection::vec(1..40_usize, 1..12),
    ) {
        let config = || if as_server { server() } else { client(b"u", b"p") };
        let start = match (begun, as_server) {
            (false, _) => &b""[..],
            (true, true) => HELLO,
            (true, false) => WELCOME,
        };
        let bytes = [&greeting(3, 1, b"PLAIN"), start, &tail].concat();
        let whole = run(config(), &[&bytes]);
        prop_assert_eq!(comparable(run(config(), &pieces(&bytes, &cuts))), comparable(whole));
    }
}
