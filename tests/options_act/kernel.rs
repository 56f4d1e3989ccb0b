//! Options that end up at the kernel's sockets, read back from there. The descriptors are those of monitor events.

use std::os::fd::{BorrowedFd, RawFd};
use std::time::Duration;

use socket2::SockRef;
use zmq::base::constants as c;

use super::util::{listener, ms};
use crate::support::local::{Context, Monitor, Socket};
use crate::support::raw::Raw;

/// Where an option acts: the listener's, the accepted and the connecting side's descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Listener,
    Accepted,
    Connecter,
}

use Place::{Accepted, Connecter, Listener};

struct Row {
    name: &'static str,
    options: &'static [(i32, i32)],
    places: &'static [Place],
    /// What is to be seen there.
    seen: fn(SockRef<'_>) -> bool,
}

/// The kernel doubles what is asked for, and has a least of its own.
const TABLE: &[Row] = &[
    Row {
        name: "SNDBUF",
        options: &[(c::ZMQ_SNDBUF, 30_000)],
        places: &[Listener, Accepted, Connecter],
        seen: |socket| socket.send_buffer_size().expect("a size") == 60_000,
    },
    Row {
        name: "RCVBUF",
        options: &[(c::ZMQ_RCVBUF, 20_000)],
        places: &[Listener, Accepted, Connecter],
        seen: |socket| socket.recv_buffer_size().expect("a size") == 40_000,
    },
    Row {
        name: "SNDBUF of 0 is set too",
        options: &[(c::ZMQ_SNDBUF, 0)],
        places: &[Listener, Connecter],
        seen: |socket| socket.send_buffer_size().expect("a size") < 8192,
    },
    Row {
        name: "TOS",
        options: &[(c::ZMQ_TOS, 0x28)],
        places: &[Listener, Accepted, Connecter],
        seen: |socket| socket.tos_v4().expect("a tos") == 0x28,
    },
    Row {
        name: "PRIORITY",
        options: &[(c::ZMQ_PRIORITY, 5)],
        places: &[Listener, Accepted, Connecter],
        seen: |socket| socket.priority().expect("a priority") == 5,
    },
    Row {
        name: "TCP_MAXRT",
        options: &[(c::ZMQ_TCP_MAXRT, 12_345)],
        places: &[Accepted, Connecter],
        seen: |socket| socket.tcp_user_timeout().expect("a time") == Some(ms(12_345)),
    },
    Row {
        name: "no TCP_MAXRT",
        options: &[(c::ZMQ_TCP_MAXRT, 0)],
        places: &[Accepted, Connecter],
        seen: |socket| socket.tcp_user_timeout().expect("a time").is_none_or(|time| time.is_zero()),
    },
    Row {
        name: "TCP_KEEPALIVE with its times",
        options: &[
            (c::ZMQ_TCP_KEEPALIVE, 1),
            (c::ZMQ_TCP_KEEPALIVE_IDLE, 77),
            (c::ZMQ_TCP_KEEPALIVE_INTVL, 7),
            (c::ZMQ_TCP_KEEPALIVE_CNT, 3),
        ],
        places: &[Accepted, Connecter],
        seen: |socket| {
            socket.keepalive().expect("an answer")
                && socket.tcp_keepalive_time().expect("a time") == Duration::from_secs(77)
                && socket.tcp_keepalive_interval().expect("a time") == Duration::from_secs(7)
                && socket.tcp_keepalive_retries().expect("a count") == 3
        },
    },
    Row {
        name: "TCP_KEEPALIVE off",
        options: &[(c::ZMQ_TCP_KEEPALIVE, 0), (c::ZMQ_TCP_KEEPALIVE_IDLE, 77)],
        places: &[Accepted, Connecter],
        seen: |socket| {
            !socket.keepalive().expect("an answer")
                && socket.tcp_keepalive_time().expect("a time") != Duration::from_secs(77)
        },
    },
    Row {
        name: "keepalive times without TCP_KEEPALIVE",
        options: &[(c::ZMQ_TCP_KEEPALIVE_IDLE, 77)],
        places: &[Accepted, Connecter],
        seen: |socket| {
            !socket.keepalive().expect("an answer")
                && socket.tcp_keepalive_time().expect("a time") != Duration::from_secs(77)
        },
    },
    Row {
        name: "no delay, always",
        options: &[],
        places: &[Accepted, Connecter],
        seen: |socket| socket.tcp_nodelay().expect("an answer"),
    },
];

fn prepare(socket: &Socket, options: &[(i32, i32)]) {
    options.iter().for_each(|&(option, value)| socket.set(option, value));
}

/// The value of the next event of this kind as a descriptor that is open now.
fn descriptor(monitor: &Monitor, event: i32) -> BorrowedFd<'static> {
    let fd = monitor.until(event) as RawFd;
    // SAFETY: the library keeps the descriptor open until the test closes the socket that owns it.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

#[test]
fn options_reach_the_kernels_sockets() {
    for row in TABLE {
        let context = Context::new();
        let server = context.socket(c::ZMQ_PULL);
        let server_events = server.watch(&context);
        prepare(&server, row.options);
        let address = server.listen();
        let client = context.socket(c::ZMQ_PUSH);
        let client_events = client.watch(&context);
        prepare(&client, row.options);
        client.connect(address);
        let found = [
            (Listener, descriptor(&server_events, c::ZMQ_EVENT_LISTENING)),
            (Accepted, descriptor(&server_events, c::ZMQ_EVENT_ACCEPTED)),
            (Connecter, descriptor(&client_events, c::ZMQ_EVENT_CONNECTED)),
        ];
        for (place, fd) in found.iter().filter(|(place, _)| row.places.contains(place)) {
            assert!((row.seen)(SockRef::from(fd)), "{} at the {place:?}", row.name);
        }
        // And the connection works.
        client.send(&[b"works"]);
        assert_eq!(server.recv(), [b"works"], "{}", row.name);
    }
}

#[test]
fn the_options_are_those_at_the_time_of_bind_and_connect() {
    let context = Context::new();
    let server = context.socket(c::ZMQ_PULL);
    let events = server.watch(&context);
    server.set(c::ZMQ_TOS, 0x20);
    let address = server.listen();
    server.set(c::ZMQ_TOS, 0x40);
    let (listener, other) = listener();
    let client = context.socket(c::ZMQ_PUSH);
    let client_events = client.watch(&context);
    client.set(c::ZMQ_TOS, 0x10);
    client.set(c::ZMQ_RECONNECT_IVL, 1);
    client.connect(other);
    client.set(c::ZMQ_TOS, 0x18);
    for _ in 0..2 {
        // Also after a reconnection.
        let fd = descriptor(&client_events, c::ZMQ_EVENT_CONNECTED);
        assert_eq!(SockRef::from(&fd).tos_v4().expect("a tos"), 0x10);
        drop(Raw::accept(&listener));
    }
    let _peer = Raw::connect(address);
    let fd = descriptor(&events, c::ZMQ_EVENT_ACCEPTED);
    assert_eq!(
        SockRef::from(&fd).tos_v4().expect("a tos"),
        0x20,
        "the listener's, when it was made"
    );
}

#[test]
fn both_families_are_marked() {
    let context = Context::new();
    let server = context.socket(c::ZMQ_PULL);
    let events = server.watch(&context);
    server.set(c::ZMQ_IPV6, 1);
    server.set(c::ZMQ_TOS, 0x28);
    if server.api().bind("tcp://[::1]:*").is_err() {
        eprintln!("skipped: no IPv6 on this machine");
        return;
    }
    let client = context.socket(c::ZMQ_PUSH);
    let client_events = client.watch(&context);
    client.set(c::ZMQ_IPV6, 1);
    client.set(c::ZMQ_TOS, 0x30);
    client.api().connect(&server.last_endpoint()).expect("a connect");
    let fd = descriptor(&events, c::ZMQ_EVENT_LISTENING);
    assert_eq!(SockRef::from(&fd).tclass_v6().expect("a class"), 0x28);
    let fd = descriptor(&events, c::ZMQ_EVENT_ACCEPTED);
    assert_eq!(SockRef::from(&fd).tclass_v6().expect("a class"), 0x28);
    let fd = descriptor(&client_events, c::ZMQ_EVENT_CONNECTED);
    assert_eq!(SockRef::from(&fd).tclass_v6().expect("a class"), 0x30);
}

#[test]
fn without_ipv6_only_the_one_family_is_served() {
    // Context default, socket option, whether ::1 can be bound and reached.
    let table = [(0, None, false), (0, Some(1), true), (1, None, true), (1, Some(0), false)];
    for (default, own, works) in table {
        let context = Context::new();
        context.set(c::ZMQ_IPV6, default);
        let server = context.socket(c::ZMQ_PULL);
        let client = context.socket(c::ZMQ_PUSH);
        if let Some(own) = own {
            server.set(c::ZMQ_IPV6, own);
            client.set(c::ZMQ_IPV6, own);
        }
        let bound = server.api().bind("tcp://[::1]:*");
        if std::net::TcpListener::bind("[::1]:0").is_err() {
            eprintln!("skipped: no IPv6 on this machine");
            return;
        }
        assert_eq!(bound.is_ok(), works, "{default} {own:?}");
        // A wildcard is for both families, or for the old one alone.
        server.api().bind("tcp://*:*").expect("a bind");
        let endpoint = server.last_endpoint();
        assert_eq!(endpoint.starts_with("tcp://[::]:"), works, "{endpoint}");
        let port = endpoint.rsplit(':').next().expect("a port");
        client.api().connect(&format!("tcp://127.0.0.1:{port}")).expect("a connect");
        client.send(&[b"old"]);
        assert_eq!(server.recv(), [b"old"]);
        if works {
            client.api().connect(&format!("tcp://[::1]:{port}")).expect("a connect");
            client.send(&[b"either"]);
            client.send(&[b"either"]);
            assert_eq!([server.recv(), server.recv()], [[b"either"], [b"either"]]);
        }
    }
}

#[test]
fn ipv4only_is_ipv6_turned_round() {
    let context = Context::new();
    let socket = context.socket(c::ZMQ_PULL);
    socket.set(c::ZMQ_IPV4ONLY, 0);
    assert_eq!(super::util::int(&socket, c::ZMQ_IPV6), 1);
}
