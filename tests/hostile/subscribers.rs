//! Subscribers that want too much, or the wrong thing.

use std::io::Write;
use std::thread;

use zmq::base::constants as c;

use crate::support::alone::{alone, memory};
use crate::support::local::{Context, Service};
use crate::support::raw::{LONG, MORE, Raw, command, frame, greeting, property};

const MIB: usize = 1 << 20;
const SUB_NUMBER: u8 = 2;

fn subscribe(topic: &[u8]) -> Vec<u8> {
    command("SUBSCRIBE", topic)
}

fn cancel(topic: &[u8]) -> Vec<u8> {
    command("CANCEL", topic)
}

/// Says something while the publisher is at work: it takes in what it is sent when it sends.
fn say(service: &Service, peer: &Raw, bytes: Vec<u8>) {
    let mut writer = peer.0.try_clone().expect("a second handle");
    let writing = thread::spawn(move || writer.write_all(&bytes).expect("an open connection"));
    while !writing.is_finished() {
        service.check();
    }
    writing.join().expect("a writer");
}

/// CVE-2021-20236.
#[test]
fn very_long_topics_come_and_go() {
    let context = Context::new();
    for socket_type in [c::ZMQ_PUB, c::ZMQ_XPUB] {
        let service = Service::start(&context, socket_type, |_| {});
        let mut peer = Raw::connect(service.address);
        peer.greet("SUB");
        for size in [255, 256, 8192, 65_536, MIB, 8 * MIB] {
            let topic = vec![b't'; size];
            peer.send(&subscribe(&topic));
            peer.send(&subscribe(&topic[1..]));
            peer.send(&cancel(&topic[1..]));
            peer.send(&cancel(&topic));
            peer.expect_alive();
            service.check();
        }
        let mut old = Raw::connect(service.address);
        old.greet_v2(SUB_NUMBER);
        for size in [MIB, 8 * MIB] {
            let mut message = vec![b't'; size];
            message[0] = 1;
            old.send(&frame(LONG, &message));
            message[0] = 0;
            old.send(&frame(LONG, &message));
            service.check();
        }
        // One goes without taking its topics back.
        peer.send(&subscribe(&vec![b'u'; 8 * MIB]));
        peer.expect_alive();
        service.check();
        drop((peer, old));
        service.check();
    }
}

/// Each topic the beginning of the next: as deep as a tree of topics can get.
#[test]
fn nested_topics_do_not_exhaust_the_stack() {
    const DEPTH: usize = 4000;
    let context = Context::new();
    let service = Service::start(&context, c::ZMQ_PUB, |_| {});
    let topic = vec![b'n'; DEPTH];
    for takes_back in [true, false] {
        let mut peer = Raw::connect(service.address);
        peer.greet("SUB");
        let topics: Vec<Vec<u8>> = (1..DEPTH).map(|len| subscribe(&topic[..len])).collect();
        say(&service, &peer, topics.concat());
        service.server.send(&[&topic]);
        if takes_back {
            let topics: Vec<Vec<u8>> = (1..DEPTH).map(|len| cancel(&topic[..len])).collect();
            say(&service, &peer, topics.concat());
        }
        service.check();
        drop(peer);
        service.check();
    }
}

#[test]
fn subscriptions_that_make_no_sense_are_harmless() {
    let context = Context::new();
    let service = Service::start(&context, c::ZMQ_XPUB, |_| {});
    let mut peer = Raw::connect(service.address);
    peer.greet("SUB");
    // Less than the receive mark, so that everything is taken in at once.
    for _ in 0..50 {
        peer.send(&cancel(b"never subscribed"));
        peer.send(&cancel(b""));
        peer.send(&subscribe(b"twice"));
        peer.send(&subscribe(b"twice"));
        peer.send(&cancel(b"twice"));
        peer.send(&cancel(b"twice"));
        peer.send(&frame(0, b""));
        peer.send(&frame(0, b"\0"));
        peer.send(&frame(0, b"\0good"));
        peer.send(&frame(0, b"\x02"));
        peer.send(&[frame(MORE, b"\x01amid"), subscribe(b"x"), frame(0, b"\x01end")].concat());
        peer.send(&frame(4, b"\x09SUBSCRIB"));
        peer.send(&frame(4, b"\x0aSUBSCRIBE"));
    }
    peer.expect_alive();
    service.check();
    while service.server.try_recv().is_some() {}
    drop(peer);
    service.check();
}

/// CVE-2021-20237: a publisher that cannot receive gets messages, with properties.
#[test]
fn messages_to_a_publisher_leave_no_memory_behind() {
    alone(|| {
        const ROUNDS: usize = 200;
        let context = Context::new();
        let service = Service::start(&context, c::ZMQ_PUB, |_| {});
        let monitor = service.server.watch(&context);
        let body =
            [property(b"Socket-Type", b"SUB"), property(b"X-padding", &[b'p'; 20_000])].concat();
        let handshake = [greeting(b"NULL"), command("READY", &body)].concat();
        let messages = [frame(MORE, &[b'm'; 1000]), frame(0, &[b'l'; 1000])].concat().repeat(400);
        let mut after_first = None;
        for round in 0..ROUNDS {
            let mut peer = Raw::connect(service.address);
            peer.send(&handshake);
            say(&service, &peer, messages.clone());
            drop(peer);
            while monitor.try_next().is_none_or(|event| event.code != c::ZMQ_EVENT_DISCONNECTED) {
                service.check();
            }
            if round == 20 {
                after_first = Some(memory());
            }
        }
        let grown = memory().saturating_sub(after_first.expect("a measurement"));
        assert!(grown < 8 * MIB, "{grown} bytes");
    });
}

/// The same to one that can, whose application looks at nothing.
#[test]
fn messages_to_a_publisher_that_does_not_read_are_bounded() {
    alone(|| {
        const SENT: usize = 32 * MIB;
        let context = Context::new();
        let service = Service::start(&context, c::ZMQ_XPUB, |server| {
            server.set(c::ZMQ_RCVHWM, 100);
        });
        let before = memory();
        let mut peer = Raw::connect(service.address);
        peer.greet("SUB");
        peer.0.set_nonblocking(true).expect("non-blocking");
        let bytes = frame(0, &[b'm'; 100]).repeat(1000);
        let mut sent = 0;
        let mut refused = 0;
        while sent < SENT && refused < 50 {
            match peer.0.write(&bytes) {
                Ok(n) => sent += n,
                Err(_) => {
                    refused += 1;
                    service.check();
                }
            }
        }
        let grown = memory().saturating_sub(before);
        assert!(grown < 4 * MIB, "{grown} bytes of {sent}");
        drop(peer);
        service.check();
    });
}

/// Topics are the one thing a subscriber may have kept without bound; they go with it.
#[test]
fn the_topics_of_a_subscriber_go_with_it() {
    alone(|| {
        const TOPICS: u32 = 200_000;
        let context = Context::new();
        let service = Service::start(&context, c::ZMQ_PUB, |_| {});
        let monitor = service.server.watch(&context);
        let mut bytes = Vec::new();
        for n in 0..TOPICS {
            bytes.extend(subscribe(format!("topic-{n}").as_bytes()));
        }
        let mut most = 0;
        for round in 0..16 {
            let mut peer = Raw::connect(service.address);
            peer.greet("SUB");
            say(&service, &peer, bytes.clone());
            drop(peer);
            while monitor.try_next().is_none_or(|event| event.code != c::ZMQ_EVENT_DISCONNECTED) {
                service.check();
            }
            service.check();
            if round == 5 {
                most = memory();
            }
        }
        let grown = memory().saturating_sub(most);
        assert!(grown < 8 * MIB, "{grown} bytes");
    });
}
