//! High-water marks, CONFLATE, IMMEDIATE, time limits of send and receive, MAXMSGSIZE.

use std::io::{ErrorKind, Write};
use std::thread;
use std::time::Instant;

use zmq::base::Error;
use zmq::base::constants as c;

use super::util::{DeadPort, events, eventually, fill, listener, message, ms};
use crate::support::local::{Context, Socket};
use crate::support::raw::{Raw, frame};

/// More than any mark here.
const PLENTY: usize = 3000;

fn inproc_pair(context: &Context, types: (i32, i32), marks: (i32, i32)) -> (Socket, Socket) {
    let (sender, receiver) = (context.socket(types.0), context.socket(types.1));
    sender.set(c::ZMQ_SNDHWM, marks.0);
    receiver.set(c::ZMQ_RCVHWM, marks.1);
    let name = format!("inproc://m{}", receiver.handle);
    receiver.api().bind(&name).expect("a bind");
    sender.api().connect(&name).expect("a connect");
    (sender, receiver)
}

#[test]
fn inproc_adds_both_sides_marks() {
    // Send mark, receive mark, what fits.
    let table =
        [(3, 4, 7), (1, 1, 2), (0, 5, PLENTY), (5, 0, PLENTY), (0, 0, PLENTY), (1000, 1000, 2000)];
    for (send, receive, fits) in table {
        let context = Context::new();
        let (sender, receiver) = inproc_pair(&context, (c::ZMQ_PUSH, c::ZMQ_PULL), (send, receive));
        assert_eq!(fill(&sender, PLENTY), fits, "{send} + {receive}");
        // After half of it was read there is room, and not before.
        if fits < PLENTY {
            let low = fits.div_ceil(2);
            for n in 0..low {
                assert_eq!(fill(&sender, 1), 0, "{send} + {receive} after {n}");
                receiver.recv();
            }
            assert_eq!(fill(&sender, PLENTY), low, "{send} + {receive}");
        }
    }
}

#[test]
fn parts_and_sizes_do_not_count() {
    let context = Context::new();
    let (sender, receiver) = inproc_pair(&context, (c::ZMQ_DEALER, c::ZMQ_ROUTER), (2, 2));
    let large = [0; 100_000];
    for n in 0..4 {
        assert_eq!(sender.try_send(&[b"a", &large, b"c"], c::ZMQ_DONTWAIT), Ok(()), "{n}");
    }
    assert_eq!(sender.try_send(&[b""], c::ZMQ_DONTWAIT), Err(Error::Again));
    assert_eq!(receiver.recv().len(), 4);
}

#[test]
fn an_inproc_change_counts_from_the_next_announcement() {
    let context = Context::new();
    let (sender, receiver) = inproc_pair(&context, (c::ZMQ_PUSH, c::ZMQ_PULL), (1, 1));
    assert_eq!(fill(&sender, PLENTY), 2);
    sender.set(c::ZMQ_SNDHWM, 9);
    assert_eq!(fill(&sender, PLENTY), 0, "still full");
    // The receiver tells when it has reached the new low-water mark, or finds the pipe empty.
    receiver.recv();
    receiver.recv();
    assert_eq!(receiver.try_recv(), None);
    assert_eq!(fill(&sender, PLENTY), 10);
    sender.set(c::ZMQ_SNDHWM, 1);
    assert_eq!(fill(&sender, 1), 0);
}

#[test]
fn a_lowered_mark_does_not_stop_an_empty_inproc_pipe() {
    // Who lowers its mark, when ten messages were read and none of them had to be announced.
    for lowered in [c::ZMQ_SNDHWM, c::ZMQ_RCVHWM] {
        let context = Context::new();
        let (sender, receiver) = inproc_pair(&context, (c::ZMQ_PUSH, c::ZMQ_PULL), (1000, 1000));
        assert_eq!(fill(&sender, 10), 10);
        for _ in 0..10 {
            receiver.recv();
        }
        assert_eq!(receiver.try_recv(), None);
        for socket in [&sender, &receiver] {
            socket.set(lowered, 1);
            socket.set(if lowered == c::ZMQ_SNDHWM { c::ZMQ_RCVHWM } else { c::ZMQ_SNDHWM }, 1);
        }
        // The receiver has to look, as one does that waits.
        eventually("room", || {
            assert_eq!(receiver.try_recv(), None);
            fill(&sender, 1) == 1
        });
        assert_eq!(fill(&sender, PLENTY), 1, "the sum of 1 and 1");
        assert_eq!([receiver.recv(), receiver.recv()], [[0u32.to_be_bytes()]; 2]);
    }
}

#[test]
fn a_mark_holds_on_a_connection_that_is_not_there_yet() {
    for mark in [1, 2, 10, 1000] {
        let context = Context::new();
        let dead = DeadPort::new();
        let sender = context.socket(c::ZMQ_PUSH);
        sender.set(c::ZMQ_SNDHWM, mark);
        sender.set(c::ZMQ_RECONNECT_IVL, 1);
        sender.connect(dead.address);
        assert_eq!(fill(&sender, PLENTY), mark as usize);
        assert_eq!(events(&sender) & c::ZMQ_POLLOUT, 0);
        // Live changes: raised, lowered below what waits, raised again.
        sender.set(c::ZMQ_SNDHWM, mark + 5);
        assert_eq!(fill(&sender, PLENTY), 5);
        sender.set(c::ZMQ_SNDHWM, 1);
        assert_eq!(fill(&sender, PLENTY), 0);
        sender.set(c::ZMQ_SNDHWM, mark + 6);
        assert_eq!(fill(&sender, PLENTY), 1);
        // None of it is lost.
        let mut peer = Raw::accept(&dead.listen());
        peer.greet("PULL");
        let expected = (0..mark as u32).chain(0..5).chain(0..1);
        for n in expected {
            assert_eq!(message(&mut peer), [n.to_be_bytes()]);
        }
        // And a waiting sender would be woken.
        eventually("room", || events(&sender) & c::ZMQ_POLLOUT != 0);
    }
}

#[test]
fn a_message_cut_in_two_makes_room() {
    let context = Context::new();
    let (listener, address) = listener();
    let sender = context.socket(c::ZMQ_PUSH);
    sender.set(c::ZMQ_SNDHWM, 1);
    sender.set(c::ZMQ_RECONNECT_IVL, 1);
    sender.connect(address);
    let mut peer = Raw::accept(&listener);
    peer.greet("PULL");
    // More than any kernel takes, so part of it stays behind and goes down with the connection.
    sender.send(&[&vec![1; 16 << 20]]);
    peer.take(1000);
    assert_eq!(fill(&sender, 1), 0);
    drop(peer);
    let mut peer = Raw::accept(&listener);
    peer.greet("PULL");
    sender.send(&[b"next"]);
    assert_eq!(message(&mut peer), [b"next"]);
}

#[test]
fn raising_the_mark_wakes_a_waiting_sender() {
    let context = Context::new();
    let dead = DeadPort::new();
    let sender = context.socket(c::ZMQ_PUSH);
    sender.set(c::ZMQ_SNDHWM, 3);
    sender.connect(dead.address);
    assert_eq!(fill(&sender, PLENTY), 3);
    let handle = sender.handle;
    let waiting = thread::spawn(move || {
        let mut msg = zmq::message::Msg::copy_of(b"late").expect("memory");
        let socket = zmq::socket::lookup(handle).expect("a socket");
        socket.send(&mut msg, 0).map(|_| ())
    });
    sender.set(c::ZMQ_SNDHWM, 4);
    assert_eq!(waiting.join().expect("a thread"), Ok(()));
}

#[test]
fn the_senders_mark_bounds_what_a_silent_peer_holds_up() {
    for (mark, bounded) in [(10, true), (0, false)] {
        let context = Context::new();
        let sender = context.socket(c::ZMQ_PUSH);
        sender.set(c::ZMQ_SNDHWM, mark);
        sender.set(c::ZMQ_SNDBUF, 4096);
        let mut peer = Raw::connect(sender.listen());
        peer.greet("PULL");
        sender.set(c::ZMQ_SNDTIMEO, 200);
        let body = [1; 10_000];
        let most = 2000;
        let count = (0..most).take_while(|_| sender.try_send(&[&body], 0).is_ok()).count();
        // The peer's kernel may take some six megabytes.
        assert_eq!(count < most, bounded, "{mark}: {count}");
        for _ in 0..count {
            assert_eq!(message(&mut peer)[0].len(), body.len());
        }
    }
}

#[test]
fn the_receivers_mark_stops_the_peer() {
    for (mark, bounded) in [(5, true), (0, false)] {
        let context = Context::new();
        let receiver = context.socket(c::ZMQ_PULL);
        receiver.set(c::ZMQ_RCVHWM, mark);
        receiver.set(c::ZMQ_RCVBUF, 8192);
        let mut peer = Raw::connect(receiver.listen());
        peer.greet("PUSH");
        let message = frame(0, &[9; 200]);
        let most = 20_000;
        peer.0.set_write_timeout(Some(ms(300))).expect("an option");
        let mut whole = 0;
        let mut at = 0;
        while whole < most {
            match peer.0.write(&message[at..]) {
                Ok(n) => at += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("write: {error}"),
            }
            if at == message.len() {
                (whole, at) = (whole + 1, 0);
            }
        }
        assert_eq!(whole < most, bounded, "{mark}: {whole}");
        peer.0.set_nonblocking(true).expect("an option");
        for n in 0..whole {
            assert_eq!(receiver.recv()[0].len(), 200, "{n}");
        }
    }
}

/// What the kernel has in part goes out whole; what is newest comes last.
#[test]
fn conflation_cuts_no_message() {
    const SIZE: usize = 200_000;
    let context = Context::new();
    for endpoint in ["tcp://127.0.0.1:*", "ws://127.0.0.1:*"] {
        let receiver = context.socket(c::ZMQ_PULL);
        receiver.set(c::ZMQ_RCVHWM, 1);
        receiver.api().bind(endpoint).expect("a free port");
        let sender = context.socket(c::ZMQ_PUSH);
        sender.set(c::ZMQ_CONFLATE, 1);
        sender.api().connect(&receiver.last_endpoint()).expect("a connect");
        for n in 0..200 {
            sender.send(&[&[n; SIZE]]);
        }
        loop {
            let message = receiver.recv();
            let first = message[0][0];
            assert!(message == [[first; SIZE]], "{endpoint}");
            if first == 199 {
                break;
            }
        }
    }
}

#[test]
fn conflate_keeps_the_newest() {
    let context = Context::new();
    // At the receiver.
    let receiver = context.socket(c::ZMQ_PULL);
    receiver.set(c::ZMQ_CONFLATE, 1);
    let mut peer = Raw::connect(receiver.listen());
    peer.greet("PUSH");
    for n in 0..100u32 {
        peer.send(&frame(0, &n.to_be_bytes()));
    }
    peer.expect_alive();
    assert_eq!(receiver.recv(), [99u32.to_be_bytes()]);
    assert_eq!(receiver.try_recv(), None);
    // At the sender.
    let dead = DeadPort::new();
    let sender = context.socket(c::ZMQ_PUSH);
    sender.set(c::ZMQ_CONFLATE, 1);
    sender.set(c::ZMQ_SNDHWM, 1);
    sender.set(c::ZMQ_RECONNECT_IVL, 1);
    sender.connect(dead.address);
    assert_eq!(fill(&sender, PLENTY), PLENTY);
    let mut peer = Raw::accept(&dead.listen());
    peer.greet("PULL");
    assert_eq!(message(&mut peer), [(PLENTY as u32 - 1).to_be_bytes()]);
    sender.send(&[b"next"]);
    assert_eq!(message(&mut peer), [b"next"]);
    // On inproc the connecter decides for both.
    for (connecter, binder, kept) in [(1, 0, 1), (0, 1, 10)] {
        let sender = context.socket(c::ZMQ_PUSH);
        let receiver = context.socket(c::ZMQ_PULL);
        sender.set(c::ZMQ_CONFLATE, connecter);
        receiver.set(c::ZMQ_CONFLATE, binder);
        let name = format!("inproc://c{connecter}");
        receiver.api().bind(&name).expect("a bind");
        sender.api().connect(&name).expect("a connect");
        assert_eq!(fill(&sender, 10), 10);
        let got: Vec<_> = std::iter::from_fn(|| receiver.try_recv()).collect();
        assert_eq!(got.len(), kept, "{connecter} {binder}");
        assert_eq!(got.last(), Some(&vec![9u32.to_be_bytes().to_vec()]));
    }
}

#[test]
fn immediate_waits_for_a_peer() {
    let context = Context::new();
    let dead = DeadPort::new();
    let (listener, address) = listener();
    for immediate in [0, 1] {
        let sender = context.socket(c::ZMQ_PUSH);
        sender.set(c::ZMQ_IMMEDIATE, immediate);
        sender.set(c::ZMQ_RECONNECT_IVL, 1);
        sender.connect(dead.address);
        assert_eq!(fill(&sender, 2), if immediate == 1 { 0 } else { 2 });
        assert_eq!(events(&sender) & c::ZMQ_POLLOUT == 0, immediate == 1);
        let monitor = sender.watch(&context);
        sender.connect(address);
        let mut peer = Raw::accept(&listener);
        peer.greet("PULL");
        monitor.until(c::ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
        eventually("a peer", || events(&sender) & c::ZMQ_POLLOUT != 0);
        for n in 0..10u8 {
            sender.send(&[&[n]]);
        }
        // All of it, or every other one.
        let step = if immediate == 1 { 1 } else { 2 };
        let first = message(&mut peer)[0][0];
        assert!(first < step);
        for n in 1..10 / step {
            assert_eq!(message(&mut peer), [[first + n * step]], "{immediate}");
        }
        if immediate == 1 {
            // When the peer has gone there is nobody again.
            drop(listener.set_nonblocking(true));
            drop(peer);
            monitor.until(c::ZMQ_EVENT_DISCONNECTED);
            eventually("no peer", || events(&sender) & c::ZMQ_POLLOUT == 0);
            assert_eq!(fill(&sender, 1), 0);
        }
    }
}

#[test]
fn time_limits_are_kept() {
    const LIMIT: i32 = 120;
    let context = Context::new();
    let socket = context.socket(c::ZMQ_DEALER);
    socket.set(c::ZMQ_SNDTIMEO, LIMIT);
    socket.set(c::ZMQ_RCVTIMEO, LIMIT);
    let began = Instant::now();
    assert_eq!(socket.try_send(&[b""], 0), Err(Error::Again));
    assert!(began.elapsed() >= ms(LIMIT as u64));
    let began = Instant::now();
    assert_eq!(socket.recv_with(0), Err(Error::Again));
    assert!(began.elapsed() >= ms(LIMIT as u64));
    // With 0 nobody waits; a flag does the same.
    for (timeout, flags) in [(0, 0), (-1, c::ZMQ_DONTWAIT)] {
        socket.set(c::ZMQ_SNDTIMEO, timeout);
        socket.set(c::ZMQ_RCVTIMEO, timeout);
        assert_eq!(socket.try_send(&[b""], flags), Err(Error::Again));
        assert_eq!(socket.recv_with(flags), Err(Error::Again));
    }
}

#[test]
fn maxmsgsize_is_for_each_frame() {
    // The limit, a frame's size, whether it passes.
    let table = [(-1, 100_000, true), (100, 100, true), (100, 101, false), (50, 51, false)];
    for (limit, size, passes) in table {
        let context = Context::new();
        let receiver = context.socket(c::ZMQ_PULL);
        let events = receiver.watch(&context);
        receiver.set_bytes(c::ZMQ_MAXMSGSIZE, &i64::to_ne_bytes(limit));
        let mut peer = Raw::connect(receiver.listen());
        peer.greet("PUSH");
        peer.send(&frame(crate::support::raw::MORE, b"first"));
        peer.offer(&frame(0, &vec![1; size]));
        if passes {
            assert_eq!(receiver.recv()[1].len(), size);
        } else {
            peer.expect_end();
            events.until(c::ZMQ_EVENT_DISCONNECTED);
            assert_eq!(receiver.try_recv(), None);
        }
    }
    // Not on inproc.
    let context = Context::new();
    let (sender, receiver) = inproc_pair(&context, (c::ZMQ_PUSH, c::ZMQ_PULL), (1, 1));
    receiver.set_bytes(c::ZMQ_MAXMSGSIZE, &3i64.to_ne_bytes());
    sender.send(&[b"four"]);
    assert_eq!(receiver.recv(), [b"four"]);
}
