//! Peers that never stop, and never read.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use zmq::base::constants as c;

use crate::support::alone::{alone, memory};
use crate::support::local::{Context, Service};
use crate::support::raw::{COMMAND, Raw, command, frame, greeting, ready};

const MIB: usize = 1 << 20;

/// Writes `bytes` over and over, `most` in all, or until the other side stops taking them in. Answers how much.
fn pour(peer: &mut Raw, bytes: &[u8], most: usize) -> usize {
    const STALL: Duration = Duration::from_millis(500);
    peer.0.set_write_timeout(Some(STALL)).expect("a limit");
    let mut poured = 0;
    while poured < most {
        // Always from where the last write ended, so that the frames stay whole.
        match peer.0.write(&bytes[poured % bytes.len()..]) {
            Ok(n) => poured += n,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                break;
            }
            Err(error) => panic!("write: {error}"),
        }
    }
    poured
}

/// Heartbeats whose answers nobody reads.
#[test]
fn pings_whose_answers_are_not_read_take_no_memory() {
    alone(|| {
        let context = Context::new();
        let service = Service::start(&context, c::ZMQ_PULL, |_| {});
        for ping in [command("PING", b"\0\0"), command("PING", b"\0\0sixteen bytes ctx")] {
            let before = memory();
            let mut peer = Raw::connect(service.address);
            peer.greet("PUSH");
            let poured = pour(&mut peer, &ping.repeat(5000), 16 * MIB);
            let grown = memory().saturating_sub(before);
            assert!(grown < 4 * MIB, "{grown} bytes for {poured} of pings");
            assert!(service.check().is_empty());
            // Who comes to reason again is served again.
            peer.0.set_nonblocking(true).expect("non-blocking");
            let mut waste = vec![0; MIB];
            while peer.0.read(&mut waste).is_ok_and(|n| n > 0) {}
            assert!(service.check().is_empty());
        }
    });
}

/// A flood of heartbeats whose answers are read does not keep others waiting.
#[test]
fn pings_without_end_leave_time_for_others() {
    let context = Context::new();
    let service = Service::start(&context, c::ZMQ_ROUTER, |_| {});
    let mut peer = Raw::connect(service.address);
    peer.greet("DEALER");
    let mut reader = peer.0.try_clone().expect("a second handle");
    let reading = thread::spawn(move || {
        let mut waste = vec![0; MIB];
        while reader.read(&mut waste).is_ok_and(|n| n > 0) {}
    });
    serve_during(&service, peer, command("PING", b"\0\0"));
    reading.join().expect("a reader");
}

/// Serves the good peer a number of times while the other one says the same over and over.
fn serve_during(service: &Service, peer: Raw, bytes: Vec<u8>) {
    const TIMES: usize = 50;
    let mut writer = peer.0.try_clone().expect("a second handle");
    let flood = bytes.repeat(10_000);
    let writing = thread::spawn(move || while writer.write_all(&flood).is_ok() {});
    for _ in 0..TIMES {
        assert!(service.check().is_empty());
    }
    assert!(!writing.is_finished(), "it goes on");
    peer.0.shutdown(Shutdown::Both).expect("an open connection");
    writing.join().expect("a writer");
}

/// Commands that become messages count like messages: nobody reads them here.
#[test]
fn subscriptions_that_nobody_looks_at_are_bounded() {
    alone(|| {
        for (socket_type, peer_type) in
            [(c::ZMQ_XPUB, "SUB"), (c::ZMQ_PUB, "SUB"), (c::ZMQ_PULL, "PUSH")]
        {
            let context = Context::new();
            let service = Service::start(&context, socket_type, |_| {});
            let before = memory();
            let mut peer = Raw::connect(service.address);
            peer.greet(peer_type);
            let mut topics = Vec::new();
            for n in 0..20_000 {
                topics.extend(command("SUBSCRIBE", format!("{n}").as_bytes()));
                topics.extend(command("CANCEL", format!("{n}").as_bytes()));
            }
            let poured = pour(&mut peer, &topics, 48 * MIB);
            let grown = memory().saturating_sub(before);
            assert!(poured < 48 * MIB, "type {socket_type}: everything was taken in");
            assert!(grown < 8 * MIB, "type {socket_type}: {grown} bytes for {poured}");
            // The good peer is still served, and the other goes on when it is looked at.
            service.check();
            drop(peer);
            service.check();
        }
    });
}

/// What an application does not read stays with the sender.
#[test]
fn messages_that_nobody_reads_are_bounded() {
    alone(|| {
        let context = Context::new();
        let service = Service::start(&context, c::ZMQ_PULL, |server| {
            server.set(c::ZMQ_RCVHWM, 100);
        });
        let before = memory();
        let mut peers = Vec::new();
        for body in [&b""[..], &[b'x'; 100], &[b'x'; 1000], &[b'x'; 50_000]] {
            let mut peer = Raw::connect(service.address);
            peer.greet("PUSH");
            let poured = pour(&mut peer, &frame(0, body).repeat(1000), 64 * MIB);
            assert!(poured < 64 * MIB, "everything was taken in");
            peers.push(peer);
        }
        let grown = memory().saturating_sub(before);
        assert!(grown < 16 * MIB, "{grown} bytes");
        let mut got = service.check().len();
        while got < 4 * 100 {
            service.server.recv();
            got += 1;
        }
        drop(peers);
        service.check();
    });
}

/// Empty commands: the most work for the fewest bytes.
#[test]
fn tiny_frames_leave_time_for_others() {
    let context = Context::new();
    let service = Service::start(&context, c::ZMQ_ROUTER, |_| {});
    for bytes in [frame(COMMAND, b""), frame(COMMAND, b"\x04PONG"), command("READY", b"")] {
        let mut peer = Raw::connect(service.address);
        peer.greet("DEALER");
        serve_during(&service, peer, bytes);
    }
}

/// A peer that has promised to be heard again and is not.
#[test]
fn a_promise_to_be_heard_again_is_kept_or_the_connection_ends() {
    let context = Context::new();
    let service = Service::start(&context, c::ZMQ_PULL, |_| {});
    let monitor = service.server.watch(&context);
    // In tenths of a second; the peer is silent afterwards.
    let mut peer = Raw::connect(service.address);
    peer.greet("PUSH");
    let started = std::time::Instant::now();
    peer.send(&command("PING", b"\0\x03"));
    peer.expect_end();
    assert!(started.elapsed() >= Duration::from_millis(290));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(monitor.story(), [(c::ZMQ_EVENT_HANDSHAKE_SUCCEEDED, 0)]);
    // One that never stops promising a long time.
    let mut peer = Raw::connect(service.address);
    peer.greet("PUSH");
    peer.send(&command("PING", b"\xff\xff").repeat(20_000));
    peer.send(&command("PING", b"\0\x01"));
    peer.expect_end();
    assert!(service.check().is_empty());
}

/// Connections opened faster than they are accepted.
#[test]
fn a_crowd_at_the_door_is_let_in() {
    const PEERS: usize = 400;
    let context = Context::new();
    let service = Service::start(&context, c::ZMQ_PULL, |server| {
        server.set(c::ZMQ_BACKLOG, 4096);
    });
    let talk = [greeting(b"NULL"), ready("PUSH"), frame(0, b"in")].concat();
    let mut crowd: Vec<Raw> = (0..PEERS).map(|_| Raw::connect(service.address)).collect();
    crowd.iter_mut().for_each(|peer| peer.send(&talk));
    let mut strangers = service.check();
    while strangers.len() < PEERS {
        strangers.push(service.server.recv());
    }
    assert!(strangers.iter().all(|parts| *parts == [b"in"]));
    drop(crowd);
    assert!(service.check().is_empty());
}
