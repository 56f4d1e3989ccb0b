//! Between the greeting and the traffic: commands that are none, metadata that is none, refusals.

use zmq::base::constants as c;

use crate::support::local::{Context, Service};
use crate::support::raw::{
    COMMAND, MORE, Raw, SIGNATURE, command, command_body, frame, greeting, long_header, property,
    ready, v1_long_header,
};

const UNEXPECTED: (i32, u64) =
    (c::ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL, c::ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND as u64);
const MALFORMED_ERROR: (i32, u64) = (
    c::ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL,
    c::ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_ERROR as u64,
);
const SUCCEEDED: (i32, u64) = (c::ZMQ_EVENT_HANDSHAKE_SUCCEEDED, 0);

/// Sends this after the greeting and expects the connection to end, with these events before.
fn refused(table: &[(&[u8], &[(i32, u64)])]) {
    let context = Context::new();
    let service = Service::start(&context, c::ZMQ_PULL, |_| {});
    let monitor = service.server.watch(&context);
    for (bytes, events) in table {
        let shown = &bytes[..bytes.len().min(40)];
        let mut peer = Raw::connect(service.address);
        peer.send(&greeting(b"NULL"));
        peer.offer(bytes);
        peer.expect_end();
        assert_eq!(monitor.story(), *events, "{shown:?}");
        assert!(service.check().is_empty(), "{shown:?}");
    }
}

#[test]
fn metadata_that_does_not_add_up_ends_the_connection() {
    let good = property(b"Socket-Type", b"PUSH");
    let mut bodies: Vec<Vec<u8>> = vec![
        [&good[..], b"x"].concat(),
        [&good[..], b"\0\0\0\0"].concat(),
        [&good[..], b"\xff"].concat(),
        b"\x0bSocket-Type\xff\xff\xff\xffPUSH".to_vec(),
        b"\x0bSocket-Type\x7f\xff\xff\xffPUSH".to_vec(),
        b"\x0bSocket-Type\x80\0\0\0PUSH".to_vec(),
        b"\x0bSocket-Type\0\0\0\x05PUSH".to_vec(),
        b"\xffSocket-Type\0\0\0\x04PUSH".to_vec(),
        property(b"Socket-Type", b""),
        property(b"Socket-Type", b"PUSHY"),
        property(b"Socket-Type", b"PUB"),
        property(b"Socket-Type", b"push"),
        property(b"Socket-Type", b"STREAM"),
        property(b"Socket-Type", &[b'P'; 5000]),
        [&good[..], &property(b"Socket-Type", b"PULL")].concat(),
    ];
    bodies.extend((1..good.len()).map(|cut| good[..cut].to_vec()));
    let frames: Vec<Vec<u8>> = bodies.iter().map(|body| command("READY", body)).collect();
    let table: Vec<(&[u8], &[(i32, u64)])> =
        frames.iter().map(|bytes| (bytes.as_slice(), [].as_slice())).collect();
    refused(&table);
}

#[test]
fn what_is_no_command_ends_the_connection() {
    let frames: [Vec<u8>; 15] = [
        frame(0, b""),
        frame(COMMAND, b""),
        frame(0, b"hello"),
        frame(MORE, b"hello"),
        frame(COMMAND, b"\x05"),
        frame(COMMAND, b"\xffREADY"),
        frame(COMMAND, b"\0READY"),
        command("ready", b""),
        command("READ", b""),
        command("READYY", b""),
        command("PING", b"\0\0"),
        command("SUBSCRIBE", b""),
        command("HELLO", &[0; 194]),
        command("INITIATE", &[0; 300]),
        command("MESSAGE", b"\0\0\0\0\0\0\0\x01"),
    ];
    let table: Vec<(&[u8], &[(i32, u64)])> =
        frames.iter().map(|bytes| (bytes.as_slice(), [UNEXPECTED].as_slice())).collect();
    refused(&table);
}

#[test]
fn refusals_of_the_peer_are_told_apart() {
    let auth = |status| [(c::ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, status)];
    refused(&[
        (&command("ERROR", b"\x03300"), &auth(300)),
        (&command("ERROR", b"\x03400"), &auth(400)),
        (&command("ERROR", b"\x03500"), &auth(500)),
        (&command("ERROR", b"\x03200"), &[]),
        (&command("ERROR", b"\x03999"), &[]),
        (&command("ERROR", b"\0"), &[]),
        (&command("ERROR", b"\x04nope"), &[]),
        (&command("ERROR", b""), &[MALFORMED_ERROR]),
        (&command("ERROR", b"\xff400"), &[MALFORMED_ERROR]),
        (&command("ERROR", b"\x04400"), &[MALFORMED_ERROR]),
    ]);
}

/// Sizes that no handshake has, in every dialect: refused before anything of the body has come.
#[test]
fn announced_sizes_are_judged_at_once() {
    let context = Context::new();
    let service = Service::start(&context, c::ZMQ_PULL, |_| {});
    let monitor = service.server.watch(&context);
    let sizes = [
        64 * 1024 + 2,
        1 << 31,
        1 << 32,
        (1 << 63) - 1,
        1 << 63,
        (1 << 63) + 1,
        u64::MAX - 64,
        u64::MAX - 1,
        u64::MAX,
    ];
    for size in sizes {
        let talks = [
            [greeting(b"NULL"), long_header(COMMAND, size)].concat(),
            [SIGNATURE, &b"\x01\x08"[..], &long_header(0, size)].concat(),
            [SIGNATURE, &b"\x00\x08"[..], &v1_long_header(0, size)].concat(),
        ];
        for talk in talks {
            let mut peer = Raw::connect(service.address);
            peer.offer(&talk);
            peer.expect_end();
            assert_eq!(monitor.story(), [], "{size}");
        }
    }
    assert!(service.check().is_empty());
}

/// A READY may be as long as a handshake allows, with as many properties as fit: that costs neither much time nor
/// much memory.
#[test]
fn very_many_properties_are_only_bytes() {
    const PEERS: usize = 20;
    let context = Context::new();
    let service = Service::start(&context, c::ZMQ_PULL, |_| {});
    let mut body = property(b"Socket-Type", b"PUSH");
    let mut number = 0_u32;
    while body.len() < 65_000 {
        number += 1;
        body.extend(property(&number.to_be_bytes()[1..], b""));
    }
    let handshake = [greeting(b"NULL"), command("READY", &body)].concat();
    let started = std::time::Instant::now();
    for _ in 0..PEERS {
        let mut peer = Raw::connect(service.address);
        peer.send(&handshake);
        peer.send(&frame(0, b"in"));
        assert_eq!(service.server.recv(), [b"in"]);
        assert!(service.check().is_empty());
    }
    let each = started.elapsed() / PEERS as u32;
    assert!(each.as_millis() < 50, "each took {each:?}");
}

/// What would have been allowed before is dropped afterwards, however often it comes.
#[test]
fn commands_after_the_handshake_do_nothing() {
    let context = Context::new();
    let service = Service::start(&context, c::ZMQ_PULL, |_| {});
    let monitor = service.server.watch(&context);
    let mut peer = Raw::connect(service.address);
    peer.greet("PUSH");
    let commands = [
        ready("PUB"),
        command("READY", b"\xff"),
        command("ERROR", b"\x03400"),
        command("ERROR", b""),
        command("HELLO", b""),
        command("JOIN", b"group"),
        command("LEAVE", b""),
        command("PONG", b""),
        command("PING", b""),
        command("PING", b"\0"),
        frame(COMMAND, b""),
        frame(COMMAND, b"\xff"),
        frame(COMMAND, b"\0"),
        frame(COMMAND | MORE, &command_body("PONG", b"")),
        frame(COMMAND, &command_body("NOSUCHTHING", &[0; 10_000])),
    ];
    peer.send(&commands.concat().repeat(100));
    peer.expect_alive();
    assert!(service.check().is_empty());
    // In the middle of a message too.
    peer.send(&[frame(MORE, b"a"), commands.concat(), frame(0, b"b")].concat());
    assert_eq!(service.server.recv(), [b"a", b"b"]);
    drop(peer);
    assert_eq!(monitor.story(), [SUCCEEDED]);
}

/// Unknown bits of the flags mean nothing, and a READY need not be marked as a command.
#[test]
fn flags_nobody_has_defined_are_ignored() {
    let context = Context::new();
    let service = Service::start(&context, c::ZMQ_PULL, |_| {});
    let body = command_body("READY", &property(b"Socket-Type", b"PUSH"));
    for flags in [0, MORE, COMMAND, 0xfc, 0xf8, 0xfd] {
        let mut peer = Raw::connect(service.address);
        peer.send(&[greeting(b"NULL"), frame(flags, &body), frame(0xf8, b"in")].concat());
        assert_eq!(service.server.recv(), [b"in"], "{flags:x}");
        assert!(service.check().is_empty());
    }
}

/// A peer may call itself anything.
#[test]
fn absurd_routing_ids_harm_nobody() {
    let context = Context::new();
    let service = Service::start(&context, c::ZMQ_ROUTER, |_| {});
    let ids: [&[u8]; 7] =
        [b"", b"\0", b"\0\0\0\0\x01", b"twin", b"twin", &[b'i'; 255], &[b'i'; 60_000]];
    let mut peers = Vec::new();
    for id in ids {
        let mut peer = Raw::connect(service.address);
        let body = [property(b"Socket-Type", b"DEALER"), property(b"Identity", id)].concat();
        peer.offer(&[greeting(b"NULL"), command("READY", &body)].concat());
        peer.offer(&frame(0, b"in"));
        service.check();
        peers.push(peer);
    }
    for old in [SIGNATURE.to_vec(), vec![]] {
        let mut peer = Raw::connect(service.address);
        let id =
            if old.is_empty() { b"\x05\0twin".to_vec() } else { b"\x01\x05\0\x04twin".to_vec() };
        peer.offer(&[old, id].concat());
        service.check();
        peers.push(peer);
    }
    drop(peers);
    service.check();
}
