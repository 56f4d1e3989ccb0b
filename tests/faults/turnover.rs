//! Connections that come and go, are made anew, or are stuck while nobody looks.

use std::ffi::CStr;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use zmq::base::Error;
use zmq::base::constants as c;
use zmq::message::Msg;
use zmq::socket::{self, PollItem, Target};

use crate::support::alone::{alone, memory, thread_number, wait_until_asleep};
use crate::support::local::{Context, Socket};
use crate::support::raw::{Raw, command, frame, greeting, property};

/// Whether these events come within the time.
fn waits_for(socket: &Socket, events: i32, timeout_ms: i64) -> bool {
    let target = Target::Socket(socket.handle);
    let mut items = [PollItem { target, events: events as i16, revents: 0 }];
    socket::poll(&mut items, timeout_ms) == Ok(1)
}

/// Waits for input for a moment in which none comes, so that the calling thread takes the connections over.
fn wait_in_vain(socket: &Socket, moment_ms: i64) {
    assert!(!waits_for(socket, c::ZMQ_POLLIN, moment_ms));
}

/// A handshake that announces one property more.
fn greet_with(peer: &mut Raw, socket_type: &str, name: &[u8], value: &[u8]) {
    let properties = [property(b"Socket-Type", socket_type.as_bytes()), property(name, value)];
    peer.send(&[greeting(b"NULL"), command("READY", &properties.concat())].concat());
    peer.take(64);
    assert!(peer.frame().1.starts_with(b"\x05READY"));
}

/// Leaves, and waits for the other side to have seen it.
fn leave(mut peer: Raw) {
    peer.0.shutdown(Shutdown::Write).expect("an open connection");
    peer.expect_end();
}

#[test]
fn a_refused_peer_hears_of_its_end_although_nobody_waits_any_more() {
    let context = Context::new();
    let pull = context.socket(c::ZMQ_PULL);
    pull.set_bytes(c::ZMQ_MAXMSGSIZE, &200i64.to_ne_bytes());
    let mut peer = Raw::connect(pull.listen());
    peer.greet("PUSH");
    peer.send(&frame(0, b"hello"));
    assert_eq!(pull.recv(), [b"hello"]);
    wait_in_vain(&pull, 20);
    peer.send(&frame(0, &[0; 201]));
    peer.expect_end();
}

/// Peers that come and go while the application does not call its socket: how much memory they leave behind.
fn left_behind_by(count: u32, come_and_go: &mut dyn FnMut()) -> usize {
    const FIRST: u32 = 200;
    (0..FIRST).for_each(|_| come_and_go());
    let before = memory();
    (FIRST..count).for_each(|_| come_and_go());
    memory().saturating_sub(before)
}

#[test]
fn peers_that_left_nothing_to_read_leave_nothing_behind() {
    alone(|| {
        const COUNT: u32 = 4000;
        // Each would take some two kilobytes.
        const MOST: usize = 2 << 20;
        for socket_type in [c::ZMQ_PULL, c::ZMQ_ROUTER, c::ZMQ_XPUB] {
            let context = Context::new();
            let socket = context.socket(socket_type);
            let peer_type = match socket_type {
                c::ZMQ_PULL => "PUSH",
                c::ZMQ_ROUTER => "DEALER",
                _ => "SUB",
            };
            let address = socket.listen();
            let left = left_behind_by(COUNT, &mut || {
                let mut peer = Raw::connect(address);
                peer.greet(peer_type);
                leave(peer);
            });
            assert!(left < MOST, "{peer_type}: {left} bytes");
            // Those who had something to say before they left are heard, and so are those who stay.
            let said: &[u8] = if socket_type == c::ZMQ_XPUB { b"\x01topic" } else { b"last words" };
            for _ in 0..3 {
                let mut peer = Raw::connect(address);
                peer.greet(peer_type);
                peer.send(&frame(0, said));
                leave(peer);
            }
            for _ in 0..3 {
                assert_eq!(socket.recv().last().map(Vec::as_slice), Some(said));
                if socket_type == c::ZMQ_XPUB {
                    assert_eq!(socket.recv(), [b"\0topic"]);
                }
            }
            assert_eq!(socket.try_recv(), None);
        }
    });
}

#[test]
fn neither_do_peers_within_the_context() {
    alone(|| {
        const COUNT: u32 = 4000;
        // Each would take more than a kilobyte.
        const MOST: usize = 2 << 20;
        let connect = |peer: &Socket| peer.api().connect("inproc://idle").expect("a binder");
        for (socket_type, peer_type) in [
            (c::ZMQ_PULL, c::ZMQ_PUSH),
            (c::ZMQ_ROUTER, c::ZMQ_DEALER),
            (c::ZMQ_PAIR, c::ZMQ_PAIR),
            (c::ZMQ_XPUB, c::ZMQ_SUB),
        ] {
            let context = Context::new();
            let socket = context.socket(socket_type);
            socket.api().bind("inproc://idle").expect("a free name");
            let left = left_behind_by(COUNT, &mut || connect(&context.socket(peer_type)));
            assert!(left < MOST, "type {socket_type}: {left} bytes");
            // Who had something to say before it left is heard.
            let peer = context.socket(peer_type);
            connect(&peer);
            if peer_type == c::ZMQ_SUB {
                peer.set_bytes(c::ZMQ_SUBSCRIBE, b"topic");
            } else {
                peer.send(&[b"last words"]);
            }
            drop(peer);
            let said: &[u8] = if peer_type == c::ZMQ_SUB { b"\x01topic" } else { b"last words" };
            assert_eq!(socket.recv().last().map(Vec::as_slice), Some(said));
        }
    });
}

/// What somebody asked of a publisher means nothing when it is gone.
#[test]
fn who_never_receives_keeps_nothing_of_peers_whatever_they_said() {
    alone(|| {
        const COUNT: u32 = 4000;
        // Each would take more than two kilobytes.
        const MOST: usize = 2 << 20;
        for (socket_type, peer_type, said) in [
            (c::ZMQ_PUB, "SUB", frame(0, b"\x01topic")),
            (c::ZMQ_PUSH, "PULL", frame(0, b"what nobody asked for")),
            (c::ZMQ_RADIO, "DISH", command("JOIN", b"group")),
        ] {
            let context = Context::new();
            let socket = context.socket(socket_type);
            let address = socket.listen();
            let left = left_behind_by(COUNT, &mut || {
                let mut peer = Raw::connect(address);
                peer.greet(peer_type);
                peer.send(&said);
                leave(peer);
            });
            assert!(left < MOST, "{peer_type}: {left} bytes");
        }
        for (socket_type, peer_type) in [(c::ZMQ_PUB, c::ZMQ_SUB), (c::ZMQ_PUSH, c::ZMQ_PAIR)] {
            let context = Context::new();
            let socket = context.socket(socket_type);
            socket.api().bind("inproc://idle").expect("a free name");
            let connect = || {
                let peer = context.socket(peer_type);
                peer.api().connect("inproc://idle").expect("a binder");
                if peer_type == c::ZMQ_SUB {
                    peer.set_bytes(c::ZMQ_SUBSCRIBE, b"topic");
                } else {
                    peer.send(&[b"what nobody asked for"]);
                }
                peer
            };
            let left = left_behind_by(COUNT, &mut || drop(connect()));
            assert!(left < MOST, "type {socket_type}: {left} bytes");
            // Who stays is heard.
            let peer = connect();
            socket.send(&[b"topic"]);
            assert_eq!(peer.recv(), [b"topic"]);
        }
    });
}

/// Connections that ask an authentication handler, which never reads, and do not wait for it.
#[test]
fn questions_that_nobody_waits_for_are_bounded() {
    const NAME: &str = "inproc://zeromq.zap.01";
    // So many of them are kept.
    const KEPT: u32 = 1000;
    alone(|| {
        const COUNT: u32 = 3000;
        // Each would take some four kilobytes, twelve million bytes together. The timers of their handshakes stay for half
        // a minute, and the allocator has gaps.
        const MOST: usize = 4 << 20;
        // Whether the handler's owner calls the socket at all; what was taken in lies elsewhere.
        for looks in [false, true] {
            let context = Context::new();
            let handler = context.socket(c::ZMQ_REP);
            handler.api().bind(NAME).expect("a free name");
            let server = context.socket(c::ZMQ_PULL);
            server.set_bytes(c::ZMQ_ZAP_DOMAIN, b"global");
            let monitor = server.watch(&context);
            let address = server.listen();
            let mut ask = |_| {
                let mut peer = Raw::connect(address);
                peer.send(&greeting(b"NULL"));
                peer.take(64);
                peer.send(&command("READY", &property(b"Socket-Type", b"PUSH")));
                leave(peer);
                monitor.until(c::ZMQ_EVENT_DISCONNECTED);
                if looks {
                    assert!(waits_for(&handler, c::ZMQ_POLLIN, 10_000));
                }
            };
            (0..KEPT + 100).for_each(&mut ask);
            let before = memory();
            (0..COUNT).for_each(&mut ask);
            let left = memory().saturating_sub(before);
            assert!(left < MOST, "looks {looks}: {left} bytes");
            // The newest are there, and so is who waits now.
            let mut waiting = Raw::connect(address);
            waiting.send(&greeting(b"NULL"));
            waiting.take(64);
            waiting.send(&command("READY", &property(b"Socket-Type", b"PUSH")));
            let mut asked = 0;
            // Of one the handler has read the beginning, where it looked: so that is not taken back.
            let expected = KEPT + 1 + u32::from(looks);
            while waits_for(&handler, c::ZMQ_POLLIN, if asked < expected { 10_000 } else { 200 }) {
                let question = handler.recv();
                assert_eq!(question[..3], [&b"1.0"[..], b"1", b"global"]);
                handler.send(&[b"1.0", b"1", b"200", b"", b"joe", b""]);
                asked += 1;
            }
            assert_eq!(asked, expected, "looks {looks}");
            assert!(waiting.frame().1.starts_with(b"\x05READY"));
            waiting.send(&frame(0, b"let in"));
            assert_eq!(server.recv(), [b"let in"]);
        }
    });
}

#[test]
fn who_said_nothing_within_the_context_is_seen_to_go_where_that_is_asked_for() {
    let context = Context::new();
    let router = context.socket(c::ZMQ_ROUTER);
    router.set_bytes(c::ZMQ_DISCONNECT_MSG, b"gone");
    router.api().bind("inproc://watchful").expect("a free name");
    for name in [b"a", b"b"] {
        let peer = context.socket(c::ZMQ_DEALER);
        peer.set_bytes(c::ZMQ_ROUTING_ID, name);
        peer.api().connect("inproc://watchful").expect("a binder");
    }
    assert_eq!(router.recv(), [&b"a"[..], b"gone"]);
    assert_eq!(router.recv(), [&b"b"[..], b"gone"]);
    // What counts is what was set at the bind, as of every endpoint: whoever came and when.
    for (later, expected) in [(&b""[..], Some(&b"gone"[..])), (b"late", None)] {
        let router = context.socket(c::ZMQ_ROUTER);
        router.set_bytes(c::ZMQ_DISCONNECT_MSG, expected.unwrap_or_default());
        router.api().bind("inproc://later").expect("a free name");
        let early = context.socket(c::ZMQ_DEALER);
        early.api().connect("inproc://later").expect("a binder");
        router.set_bytes(c::ZMQ_DISCONNECT_MSG, later);
        let late = context.socket(c::ZMQ_DEALER);
        late.api().connect("inproc://later").expect("a binder");
        late.send(&[b"hello"]);
        drop(early);
        drop(late);
        let mut seen: Vec<_> = std::iter::from_fn(|| router.try_recv()).collect();
        seen.iter_mut().for_each(|message| drop(message.remove(0)));
        seen.sort();
        let mut all: Vec<_> =
            expected.iter().chain(&expected).map(|last| vec![last.to_vec()]).collect();
        all.push(vec![b"hello".to_vec()]);
        assert_eq!(seen, all);
    }
}

#[test]
fn a_connecter_keeps_nothing_of_the_connections_it_lost() {
    alone(|| {
        const COUNT: u32 = 1500;
        const MOST: usize = 256 << 10;
        for immediate in [0, 1] {
            let context = Context::new();
            let sub = context.socket(c::ZMQ_SUB);
            sub.set(c::ZMQ_RECONNECT_IVL, 1);
            sub.set(c::ZMQ_IMMEDIATE, immediate);
            sub.set_bytes(c::ZMQ_SUBSCRIBE, b"");
            let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
            sub.connect(listener.local_addr().expect("an address"));
            let left = left_behind_by(COUNT, &mut || {
                let mut peer = Raw::accept(&listener);
                peer.greet("PUB");
            });
            assert!(left < MOST, "immediate {immediate}: {left} bytes");
            let mut peer = Raw::accept(&listener);
            peer.greet("PUB");
            peer.send(&frame(0, b"news"));
            assert_eq!(sub.recv(), [b"news"]);
        }
    });
}

#[test]
fn messages_carry_what_the_connection_announced_that_brought_them() {
    let name: &CStr = c"X-which";
    for conflate in [0, 1] {
        let context = Context::new();
        let pull = context.socket(c::ZMQ_PULL);
        pull.set(c::ZMQ_RECONNECT_IVL, 1);
        pull.set(c::ZMQ_CONFLATE, conflate);
        let monitor = pull.watch(&context);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        pull.connect(listener.local_addr().expect("an address"));
        let mut expected = Vec::new();
        for n in 0..5u8 {
            let mut peer = Raw::accept(&listener);
            greet_with(&mut peer, "PUSH", name.to_bytes(), &[b'a' + n]);
            // The third has nothing to say.
            for m in (0..3).filter(|_| n != 2) {
                peer.send(&frame(0, &[n, m]));
                expected.push(vec![n, m]);
            }
            leave(peer);
            monitor.until(c::ZMQ_EVENT_DISCONNECTED);
        }
        let mut peer = Raw::accept(&listener);
        greet_with(&mut peer, "PUSH", name.to_bytes(), b"z");
        monitor.until(c::ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
        let expected = expected.split_off(if conflate == 1 { expected.len() - 1 } else { 0 });
        for body in expected {
            let msg = pull.api().recv(0).expect("a message");
            assert_eq!(msg.data(), body);
            let which = msg.metadata().and_then(|metadata| metadata.get(name.to_bytes()));
            assert_eq!(which.map(CStr::to_bytes), Some(&[b'a' + body[0]][..]), "{body:?}");
        }
        assert_eq!(pull.try_recv(), None);
        peer.send(&frame(0, b"at last"));
        let msg = pull.api().recv(0).expect("a message");
        let which = msg.metadata().and_then(|metadata| metadata.get(name.to_bytes()));
        assert_eq!(which.map(CStr::to_bytes), Some(&b"z"[..]));
    }
}

#[test]
fn a_name_that_was_handed_over_stays_with_the_newest_peer() {
    let context = Context::new();
    let router = context.socket(c::ZMQ_ROUTER);
    router.set(c::ZMQ_ROUTER_HANDOVER, 1);
    router.set(c::ZMQ_ROUTER_MANDATORY, 1);
    let address = router.listen();
    let client = |first: &[u8]| {
        let client = context.socket(c::ZMQ_DEALER);
        client.set_bytes(c::ZMQ_ROUTING_ID, b"name");
        client.set(c::ZMQ_RECONNECT_IVL, 1);
        client.connect(address);
        client.send(&[first]);
        assert_eq!(router.recv(), [&b"name"[..], first]);
        client
    };
    let monitor = router.watch(&context);
    let old = client(b"old");
    let new = client(b"new");
    // Nobody comes back to take the name again: not now, and not when the old one has more to say.
    old.send(&[b"unheard"]);
    for n in 0..50u8 {
        wait_in_vain(&router, 2);
        router.send(&[b"name", &[n]]);
        assert_eq!(new.recv(), [[n]]);
    }
    assert_eq!(old.try_recv(), None);
    new.send(&[b"still here"]);
    assert_eq!(router.recv(), [&b"name"[..], b"still here"]);
    let events: Vec<i32> =
        std::iter::from_fn(|| monitor.try_next()).map(|event| event.code).collect();
    assert!(!events.contains(&c::ZMQ_EVENT_DISCONNECTED), "{events:?}");
    // The old connection ends when its peer wants that.
    drop(old);
    monitor.until(c::ZMQ_EVENT_DISCONNECTED);
    router.send(&[b"name", b"on"]);
    assert_eq!(new.recv(), [b"on"]);
    drop(new);
    monitor.until(c::ZMQ_EVENT_DISCONNECTED);
    wait_in_vain(&router, 2);
    assert_eq!(router.try_send(&[b"name", b"gone"], 0), Err(Error::HostUnreachable));
}

#[test]
fn a_peer_that_was_replaced_is_seen_to_go_however_much_it_had_to_say() {
    let context = Context::new();
    let router = context.socket(c::ZMQ_ROUTER);
    router.set(c::ZMQ_ROUTER_HANDOVER, 1);
    router.set(c::ZMQ_RCVHWM, 2);
    let address = router.listen();
    let monitor = router.watch(&context);
    let join = |first: u8| {
        let mut peer = Raw::connect(address);
        greet_with(&mut peer, "DEALER", b"Identity", b"name");
        peer.send(&frame(0, &[first; 4000]));
        peer
    };
    let mut old = join(0);
    assert_eq!(router.recv(), [b"name".to_vec(), vec![0; 4000]]);
    // Beyond the mark, where reading stops; what was delivered is still read.
    (1..5u8).for_each(|n| old.send(&frame(0, &[n; 4000])));
    assert!(waits_for(&router, c::ZMQ_POLLIN, 10_000));
    let mut new = join(9);
    let mut heard = Vec::new();
    while heard.last() != Some(&9) {
        heard.push(router.recv()[1][0]);
    }
    assert_eq!(heard[0], 1);
    // More than the kernel holds.
    let much = frame(0, &[7; 60_000]);
    (0..500).for_each(|_| old.send(&much));
    drop(old);
    monitor.until(c::ZMQ_EVENT_DISCONNECTED);
    new.send(&frame(0, b"still here"));
    assert_eq!(router.recv(), [&b"name"[..], b"still here"]);
}

/// Closes so that the other side is told of a broken connection.
fn reset(peer: Raw) {
    let socket = socket2::Socket::from(peer.0);
    socket.set_linger(Some(Duration::ZERO)).expect("a way to close");
}

#[test]
fn a_sender_at_the_mark_is_helped_by_a_new_connection_although_nobody_reads() {
    const RECEIVED: u8 = 25;
    let context = Context::new();
    let router = context.socket(c::ZMQ_ROUTER);
    router.set(c::ZMQ_RECONNECT_IVL, 1);
    router.set(c::ZMQ_ROUTER_MANDATORY, 1);
    router.set(c::ZMQ_RCVHWM, 2);
    router.set(c::ZMQ_SNDHWM, 2);
    router.set(c::ZMQ_SNDBUF, 4096);
    let monitor = router.watch(&context);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    router.set_bytes(c::ZMQ_CONNECT_ROUTING_ID, b"peer");
    let address: SocketAddr = listener.local_addr().expect("an address");
    router.connect(address);
    let mut peer = Raw::accept(&listener);
    peer.greet("DEALER");
    for n in 0..RECEIVED {
        // Together more than is read ahead, and no more than the kernel holds.
        peer.send(&frame(0, &[n; 4000]));
    }
    let body = vec![b's'; 100_000];
    // The kernel may make more room than it had at first.
    while waits_for(&router, c::ZMQ_POLLOUT, 100) {
        match router.try_send(&[b"peer", &body], c::ZMQ_DONTWAIT) {
            Ok(()) | Err(Error::Again) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let (announce, announced) = mpsc::channel();
    let handle = router.handle;
    let sender = thread::spawn(move || {
        announce.send(thread_number()).expect("somebody listens");
        let socket = socket::lookup(handle)?;
        let mut name = Msg::copy_of(b"peer")?;
        socket.send(&mut name, c::ZMQ_SNDMORE)?;
        socket.send(&mut Msg::copy_of(b"at last")?, 0)
    });
    wait_until_asleep(announced.recv().expect("a thread"));
    reset(peer);
    let mut peer = Raw::accept(&listener);
    peer.greet("DEALER");
    loop {
        let (flags, body) = peer.frame();
        assert_eq!(flags & 1, 0);
        if body == b"at last" {
            break;
        }
        assert_eq!(body[0], b's');
    }
    assert_eq!(sender.join().expect("a thread"), Ok(7));
    monitor.until(c::ZMQ_EVENT_DISCONNECTED);
    // What the old connection brought is all there.
    for n in 0..RECEIVED {
        assert_eq!(router.recv(), [b"peer".to_vec(), vec![n; 4000]]);
    }
    peer.send(&frame(0, b"new"));
    assert_eq!(router.recv(), [b"peer", &b"new"[..]]);
}
