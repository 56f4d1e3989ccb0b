//! Connections that end in the middle of something.

use std::net::Shutdown;

use zmq::base::constants as c;

use crate::support::alone::{alone, memory};
use crate::support::local::{Context, Service};
use crate::support::raw::{
    MORE, Raw, SIGNATURE, command, frame, greeting, long_header, ready, v1_frame,
};

const MIB: usize = 1 << 20;

/// A conversation: the bytes of its handshake, and its messages.
struct Talk {
    handshake: Vec<u8>,
    /// The routing id of an old peer, which a PULL does not wait for.
    name: &'static [u8],
    messages: Vec<Vec<u8>>,
    succeeds: bool,
}

fn talks() -> [Talk; 4] {
    let new = vec![
        frame(0, b"one"),
        [frame(MORE, b"two"), command("PING", b"\0\0"), frame(0, b"parts")].concat(),
        frame(0, &[b'l'; 300]),
    ];
    let v2 = vec![
        frame(0, b"one"),
        [frame(MORE, b"two"), frame(0, b"parts")].concat(),
        frame(0, &[b'l'; 300]),
    ];
    let v1 = vec![
        v1_frame(0, b"one"),
        [v1_frame(MORE, b"two"), v1_frame(0, b"parts")].concat(),
        v1_frame(0, &[b'l'; 300]),
    ];
    [
        Talk {
            handshake: [greeting(b"NULL"), ready("PUSH")].concat(),
            name: b"",
            messages: new,
            succeeds: true,
        },
        Talk {
            handshake: [SIGNATURE, &b"\x01\x08"[..]].concat(),
            name: b"\0\x02id",
            messages: v2,
            succeeds: false,
        },
        Talk {
            handshake: [SIGNATURE, &b"\x00\x08"[..]].concat(),
            name: b"\x03\0id",
            messages: v1.clone(),
            succeeds: false,
        },
        Talk { handshake: b"\x03\0id".to_vec(), name: b"", messages: v1, succeeds: false },
    ]
}

#[test]
fn a_conversation_may_end_after_any_byte() {
    let context = Context::new();
    let service = Service::start(&context, c::ZMQ_PULL, |_| {});
    let monitor = service.server.watch(&context);
    for talk in talks() {
        let all = [&talk.handshake[..], talk.name, &talk.messages.concat()].concat();
        for cut in 0..=all.len() {
            let mut peer = Raw::connect(service.address);
            peer.send(&all[..cut]);
            peer.0.shutdown(Shutdown::Write).expect("an open connection");
            peer.expect_end();
            let story = monitor.story();
            let shaken = cut >= talk.handshake.len();
            match story[..] {
                [] => assert!(shaken && !talk.succeeds, "{cut}"),
                [(c::ZMQ_EVENT_HANDSHAKE_SUCCEEDED, 0)] => {
                    assert!(shaken && talk.succeeds, "{cut}")
                }
                [(c::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, errno)] => {
                    assert!(!shaken, "{cut}");
                    assert!([libc::EPIPE as u64, libc::ECONNRESET as u64].contains(&errno));
                }
                ref other => panic!("{cut}: {other:?}"),
            }
            // What was complete came in, and nothing else.
            let mut complete = 0;
            let mut end = talk.handshake.len() + talk.name.len();
            for message in &talk.messages {
                end += message.len();
                complete += usize::from(cut >= end);
            }
            assert_eq!(service.check().len(), complete, "{cut}");
        }
    }
}

/// What a peer has begun goes with it, however often it comes back.
#[test]
fn messages_begun_and_never_finished_leave_no_memory_behind() {
    alone(|| {
        const ROUNDS: usize = 300;
        let context = Context::new();
        let service = Service::start(&context, c::ZMQ_PULL, |_| {});
        let monitor = service.server.watch(&context);
        let parts = frame(MORE, &[b'p'; 50_000]).repeat(10);
        let begun = [long_header(0, 10 * MIB as u64), vec![b'x'; MIB / 2]].concat();
        let mut after_first = None;
        for round in 0..ROUNDS {
            let mut peer = Raw::connect(service.address);
            peer.greet("PUSH");
            peer.send(if round % 2 == 0 { &parts } else { &begun });
            if round % 4 == 0 {
                // A reset instead of an end.
                let gone = socket2::SockRef::from(&peer.0).set_linger(Some(Default::default()));
                gone.expect("linger");
            }
            drop(peer);
            assert_eq!(monitor.story(), [(c::ZMQ_EVENT_HANDSHAKE_SUCCEEDED, 0)]);
            assert!(service.check().is_empty());
            if round == 20 {
                after_first = Some(memory());
            }
        }
        let grown = memory().saturating_sub(after_first.expect("a measurement"));
        assert!(grown < 8 * MIB, "{grown} bytes");
    });
}

/// Peers that come and go by the thousand, at every stage.
#[test]
fn coming_and_going_leaves_no_memory_behind() {
    alone(|| {
        const ROUNDS: usize = 6000;
        let context = Context::new();
        let service = Service::start(&context, c::ZMQ_ROUTER, |_| {});
        let stages: [Vec<u8>; 5] = [
            Vec::new(),
            greeting(b"NULL"),
            [greeting(b"NULL"), ready("DEALER")].concat(),
            [greeting(b"NULL"), ready("DEALER"), frame(MORE, b"half")].concat(),
            [greeting(b"CURVE"), ready("DEALER")].concat(),
        ];
        let mut after_first = None;
        for round in 0..ROUNDS {
            let mut peer = Raw::connect(service.address);
            peer.offer(&stages[round % stages.len()]);
            if round % 3 == 0 {
                drop(peer);
            } else {
                peer.0.shutdown(Shutdown::Write).expect("an open connection");
                peer.expect_end();
            }
            if round % 50 == 0 {
                service.check();
            }
            if round == 1000 {
                after_first = Some(memory());
            }
        }
        service.check();
        let grown = memory().saturating_sub(after_first.expect("a measurement"));
        assert!(grown < 4 * MIB, "{grown} bytes");
    });
}

/// A message is complete although its sender is gone before anybody reads.
#[test]
fn what_was_complete_outlives_its_sender() {
    let context = Context::new();
    let service = Service::start(&context, c::ZMQ_PULL, |_| {});
    let monitor = service.server.watch(&context);
    for size in [0, 1, 100, 10_000, 1_000_000] {
        let mut peer = Raw::connect(service.address);
        peer.greet("PUSH");
        peer.send(&[frame(MORE, &vec![b'a'; size]), frame(0, &vec![b'b'; size])].concat());
        drop(peer);
        monitor.story();
        assert!(service.server.recv() == [vec![b'a'; size], vec![b'b'; size]]);
    }
    assert!(service.check().is_empty());
}
