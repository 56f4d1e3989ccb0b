//! Options of ROUTER, DEALER, REQ, REP and STREAM.

use std::io::Read;

use zmq::base::Error;
use zmq::base::constants as c;

use super::util::{DeadPort, events, eventually, fill, greet_as, listener, message};
use crate::support::local::{Context, Socket};
use crate::support::raw::{self, MORE, Raw, frame};

fn strings(parts: &[Vec<u8>]) -> Vec<&str> {
    parts.iter().map(|part| std::str::from_utf8(part).expect("text")).collect()
}

#[test]
fn router_handover_decides_who_keeps_a_name() {
    for handover in [0, 1] {
        let context = Context::new();
        let router = context.socket(c::ZMQ_ROUTER);
        router.set(c::ZMQ_ROUTER_HANDOVER, handover);
        router.set(c::ZMQ_ROUTER_MANDATORY, 1);
        let address = router.listen();
        let mut first = Raw::connect(address);
        greet_as(&mut first, "DEALER", b"name");
        first.send(&frame(0, b"one"));
        assert_eq!(strings(&router.recv()), ["name", "one"]);
        first.send(&frame(0, b"left"));
        first.expect_alive();
        let mut second = Raw::connect(address);
        greet_as(&mut second, "DEALER", b"name");
        second.send(&frame(0, b"two"));
        second.expect_alive();
        if handover == 1 {
            let mut got = [router.recv(), router.recv()];
            got.sort_by(|a, b| a[1].cmp(&b[1]));
            assert_eq!(got[0][1], b"left", "what had come is read");
            assert_eq!(strings(&got[1]), ["name", "two"]);
            router.send(&[b"name", b"answer"]);
            assert_eq!(message(&mut second), [b"answer"]);
            // The old one is not heard any more.
            first.send(&frame(0, b"unheard"));
            first.expect_alive();
            second.send(&frame(0, b"heard"));
            assert_eq!(strings(&router.recv()), ["name", "heard"]);
        } else {
            assert_eq!(strings(&router.recv()), ["name", "left"]);
            router.send(&[b"name", b"answer"]);
            assert_eq!(message(&mut first), [b"answer"]);
            first.send(&frame(0, b"again"));
            assert_eq!(strings(&router.recv()), ["name", "again"]);
            // The second stays nameless, also when the first leaves.
            let monitor = router.watch(&context);
            drop(first);
            monitor.until(c::ZMQ_EVENT_DISCONNECTED);
            eventually("nobody", || {
                router.try_send(&[b"name", b"x"], 0) == Err(Error::HostUnreachable)
            });
            assert_eq!(router.try_recv(), None);
            second.expect_alive();
        }
    }
}

#[test]
fn router_mandatory_tells() {
    let context = Context::new();
    let router = context.socket(c::ZMQ_ROUTER);
    router.set(c::ZMQ_SNDHWM, 2);
    let dead = DeadPort::new();
    router.set_bytes(c::ZMQ_CONNECT_ROUTING_ID, b"full");
    router.connect(dead.address);
    let send = |name: &[u8]| router.try_send(&[name, b"x"], c::ZMQ_DONTWAIT);
    for mandatory in [0, 1, 0] {
        router.set(c::ZMQ_ROUTER_MANDATORY, mandatory);
        let full: Vec<_> = (0..4).map(|_| send(b"full")).collect();
        let unknown = send(b"unknown");
        if mandatory == 0 {
            assert!(full.iter().all(Result::is_ok));
            assert_eq!(unknown, Ok(()));
            assert_ne!(events(&router) & c::ZMQ_POLLOUT, 0);
        } else {
            assert_eq!(full[3], Err(Error::Again));
            assert_eq!(unknown, Err(Error::HostUnreachable));
            assert_eq!(events(&router) & c::ZMQ_POLLOUT, 0);
            router.set(c::ZMQ_SNDTIMEO, 50);
            assert_eq!(router.try_send(&[b"full", b"x"], 0), Err(Error::Again), "after a wait");
        }
    }
}

#[test]
fn connect_routing_id_names_the_next_peer_only() {
    let context = Context::new();
    let (listener, address) = listener();
    let router = context.socket(c::ZMQ_ROUTER);
    router.set(c::ZMQ_ROUTER_MANDATORY, 1);
    router.set_bytes(c::ZMQ_CONNECT_ROUTING_ID, b"mine");
    router.connect(address);
    router.connect(address);
    // It can be written to at once.
    router.send(&[b"mine", b"early"]);
    let mut peers = [Raw::accept(&listener), Raw::accept(&listener)];
    peers.iter_mut().for_each(|peer| greet_as(peer, "DEALER", b"theirs"));
    let [one, two] = &mut peers;
    one.send(&frame(0, b"hello"));
    two.send(&frame(0, b"hello"));
    let mut names = [router.recv().remove(0), router.recv().remove(0)];
    names.sort();
    assert_eq!(strings(&names), ["mine", "theirs"]);
}

#[test]
fn router_raw_speaks_bytes() {
    let context = Context::new();
    let router = context.socket(c::ZMQ_ROUTER);
    router.set(c::ZMQ_ROUTER_RAW, 1);
    let mut peer = Raw::connect(router.listen());
    // As STREAM does, it shows who comes.
    assert_eq!(router.recv()[1], b"");
    peer.send(b"GET /\r\n");
    let got = router.recv();
    assert_eq!(got[1], b"GET /\r\n");
    router.send(&[&got[0], b"OK"]);
    assert_eq!(peer.take(2), b"OK");
    router.send(&[&got[0], b""]);
    // Closing takes another look.
    let _nothing = router.try_recv();
    peer.expect_end();
}

#[test]
fn router_notify_tells_of_coming_and_going() {
    for notify in 0..4 {
        let context = Context::new();
        let router = context.socket(c::ZMQ_ROUTER);
        router.set(c::ZMQ_ROUTER_NOTIFY, notify);
        let address = router.listen();
        let mut peer = Raw::connect(address);
        greet_as(&mut peer, "DEALER", b"a");
        peer.send(&frame(0, b"x"));
        if notify & c::ZMQ_NOTIFY_CONNECT != 0 {
            assert_eq!(strings(&router.recv()), ["a", ""], "{notify}");
        }
        assert_eq!(strings(&router.recv()), ["a", "x"], "{notify}");
        drop(peer);
        if notify & c::ZMQ_NOTIFY_DISCONNECT != 0 {
            assert_eq!(strings(&router.recv()), ["a", ""], "{notify}");
        }
        let mut peer = Raw::connect(address);
        greet_as(&mut peer, "DEALER", b"b");
        peer.send(&frame(0, b"y"));
        if notify & c::ZMQ_NOTIFY_CONNECT != 0 {
            assert_eq!(strings(&router.recv()), ["b", ""], "{notify}");
        }
        assert_eq!(strings(&router.recv()), ["b", "y"], "{notify}");
    }
}

#[test]
fn stream_notify_tells_of_coming_and_going() {
    for notify in [0, 1] {
        let context = Context::new();
        let stream = context.socket(c::ZMQ_STREAM);
        stream.set(c::ZMQ_STREAM_NOTIFY, notify);
        let address = stream.listen();
        for _ in 0..2 {
            let mut peer = Raw::connect(address);
            peer.send(b"x");
            if notify == 1 {
                assert_eq!(stream.recv()[1], b"");
            }
            let got = stream.recv();
            assert_eq!(got[1], b"x");
            drop(peer);
            if notify == 1 {
                assert_eq!(stream.recv(), [&got[0], &b""[..]]);
            }
        }
    }
}

#[test]
fn probe_router_makes_itself_known() {
    for probing in [c::ZMQ_ROUTER, c::ZMQ_DEALER, c::ZMQ_REQ] {
        for probe in [0, 1] {
            let context = Context::new();
            let (listener, address) = listener();
            let socket = context.socket(probing);
            socket.set(c::ZMQ_PROBE_ROUTER, probe);
            socket.set_bytes(c::ZMQ_ROUTING_ID, b"me");
            socket.connect(address);
            let mut peer = Raw::accept(&listener);
            peer.greet("ROUTER");
            if probe == 1 {
                assert_eq!(message(&mut peer), [b""], "{probing}");
            } else {
                // The answer to this comes first, as there is nothing else.
                peer.expect_alive();
            }
            let router = context.socket(c::ZMQ_ROUTER);
            socket.connect(router.listen());
            if probe == 1 {
                assert_eq!(strings(&router.recv()), ["me", ""], "{probing}");
            }
        }
    }
}

#[test]
fn req_correlate_and_relaxed() {
    for (correlate, relaxed) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        let context = Context::new();
        let (listener, address) = listener();
        let req = context.socket(c::ZMQ_REQ);
        req.set(c::ZMQ_REQ_CORRELATE, correlate);
        req.set(c::ZMQ_REQ_RELAXED, relaxed);
        req.connect(address);
        let mut peer = Raw::accept(&listener);
        peer.greet("ROUTER");
        let answer = |peer: &mut Raw, envelope: &[Vec<u8>], body: &[u8]| {
            envelope.iter().for_each(|part| peer.send(&frame(MORE, part)));
            peer.send(&frame(0, body));
        };
        let ask = |peer: &mut Raw, body: &[u8]| {
            req.send(&[body]);
            let mut parts = message(peer);
            assert_eq!(parts.pop().as_deref(), Some(body));
            // The number of the request, if asked for, and the delimiter.
            assert_eq!(parts.len(), 1 + correlate as usize);
            assert_eq!(parts.last(), Some(&vec![]));
            assert!(correlate == 0 || parts[0].len() == 4);
            parts
        };
        let first = ask(&mut peer, b"one");
        if relaxed == 0 {
            assert_eq!(req.try_send(&[b"two"], 0), Err(Error::Fsm));
            answer(&mut peer, &first, b"1");
            assert_eq!(req.recv(), [b"1"]);
        }
        let second = ask(&mut peer, b"two");
        if correlate == 1 {
            assert_ne!(first[0], second[0]);
            // A late answer to the first question does not count.
            answer(&mut peer, &first, b"late");
            answer(&mut peer, &second, b"2");
            assert_eq!(req.recv(), [b"2"], "{relaxed}");
        } else {
            answer(&mut peer, &first, b"late");
            assert_eq!(req.recv(), [b"late"], "it cannot be told apart");
        }
    }
}

#[test]
fn a_routing_id_is_announced() {
    let context = Context::new();
    let (listener, address) = listener();
    for (id, seen) in
        [(None, &b""[..]), (Some(&b"who"[..]), b"who"), (Some(&[0, 255][..]), &[0, 255])]
    {
        let socket = context.socket(c::ZMQ_DEALER);
        if let Some(id) = id {
            socket.set_bytes(c::ZMQ_ROUTING_ID, id);
        }
        socket.connect(address);
        let mut peer = Raw::accept(&listener);
        peer.send(&raw::greeting(b"NULL"));
        peer.take(64);
        let (_, ready) = peer.frame();
        let property = raw::property(b"Identity", seen);
        assert!(ready.windows(property.len()).any(|bytes| bytes == property), "{ready:?}");
    }
}

#[test]
fn metadata_goes_along() {
    let context = Context::new();
    let server = context.socket(c::ZMQ_PULL);
    let address = server.listen();
    let client = context.socket(c::ZMQ_PUSH);
    client.set_bytes(c::ZMQ_METADATA, b"X-Name:value");
    client.set_bytes(c::ZMQ_METADATA, b"X-Other:more");
    client.connect(address);
    client.send(&[b"m"]);
    let message = server.api().recv(0).expect("a message");
    let known = message.metadata().expect("metadata");
    for (name, value) in [("X-Name", "value"), ("X-Other", "more"), ("Socket-Type", "PUSH")] {
        let found = known.get(name.as_bytes()).map(|text| text.to_str().expect("text").to_owned());
        assert_eq!(found.as_deref(), Some(value), "{name}");
    }
    assert!(known.fd() >= 0);
    // On the wire too.
    let (listener, address) = listener();
    client.connect(address);
    let mut peer = Raw::accept(&listener);
    peer.send(&raw::greeting(b"NULL"));
    peer.take(64);
    let (_, ready) = peer.frame();
    let property = raw::property(b"X-Name", b"value");
    assert!(ready.windows(property.len()).any(|bytes| bytes == property), "{ready:?}");
}

#[test]
fn disconnect_hello_and_hiccup_messages() {
    let context = Context::new();
    let router = context.socket(c::ZMQ_ROUTER);
    router.set_bytes(c::ZMQ_HELLO_MSG, b"hello");
    router.set_bytes(c::ZMQ_DISCONNECT_MSG, b"gone");
    let address = router.listen();
    let mut peer = Raw::connect(address);
    greet_as(&mut peer, "DEALER", b"a");
    assert_eq!(message(&mut peer), [b"hello"]);
    drop(peer);
    assert_eq!(strings(&router.recv()), ["a", "gone"]);
}

#[test]
fn rep_has_the_options_of_a_router() {
    let context = Context::new();
    let rep = context.socket(c::ZMQ_REP);
    rep.set(c::ZMQ_ROUTER_HANDOVER, 1);
    let address = rep.listen();
    let mut first = Raw::connect(address);
    greet_as(&mut first, "REQ", b"name");
    first.send(&[frame(MORE, b""), frame(0, b"one")].concat());
    assert_eq!(rep.recv(), [b"one"]);
    rep.send(&[b"1"]);
    assert_eq!(message(&mut first).pop().as_deref(), Some(&b"1"[..]));
    let mut second = Raw::connect(address);
    greet_as(&mut second, "REQ", b"name");
    second.send(&[frame(MORE, b""), frame(0, b"two")].concat());
    assert_eq!(rep.recv(), [b"two"]);
    rep.send(&[b"2"]);
    assert_eq!(message(&mut second).pop().as_deref(), Some(&b"2"[..]));
}

#[test]
fn batch_sizes_change_nothing_but_the_calls() {
    let context = Context::new();
    let pair: Vec<Socket> = [c::ZMQ_PUSH, c::ZMQ_PULL]
        .into_iter()
        .map(|socket_type| {
            let socket = context.socket(socket_type);
            socket.set(c::ZMQ_IN_BATCH_SIZE, 3);
            socket.set(c::ZMQ_OUT_BATCH_SIZE, 3);
            socket
        })
        .collect();
    pair[0].connect(pair[1].listen());
    assert_eq!(fill(&pair[0], 500), 500);
    for n in 0..500u32 {
        assert_eq!(pair[1].recv(), [n.to_be_bytes()]);
    }
    let stream = context.socket(c::ZMQ_STREAM);
    stream.set(c::ZMQ_STREAM_NOTIFY, 0);
    let mut peer = Raw::connect(stream.listen());
    peer.send(&[5; 10_000]);
    let mut count = 0;
    while count < 10_000 {
        let part = stream.recv().remove(1);
        count += part.len();
    }
    let mut rest = Vec::new();
    drop(stream);
    let _may_be_reset = peer.0.read_to_end(&mut rest);
    assert_eq!(rest, []);
}
