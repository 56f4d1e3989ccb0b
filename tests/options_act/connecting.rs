//! Options of the connecting side and of live connections: reconnection, time limits, heartbeats, the SOCKS proxy.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::Instant;

use zmq::base::Error;
use zmq::base::constants as c;

use super::util::{DeadPort, listener, message, ms};

use crate::support::Scratch;
use crate::support::local::{Context, PATIENCE};
use crate::support::raw::{self, COMMAND, Raw, command, frame};

#[test]
fn intervals_between_attempts() {
    // RECONNECT_IVL, RECONNECT_IVL_MAX, the least and the most of each delay.
    let table: &[(i32, i32, &[(u64, u64)])] = &[
        (10, 0, &[(10, 19); 6]),
        (1, 0, &[(1, 1); 4]),
        (2, 20, &[(2, 2), (4, 4), (8, 8), (16, 16), (20, 20), (20, 20)]),
        (20, 5, &[(5, 5); 3]),
        (7, 7, &[(7, 7); 3]),
    ];
    for &(interval, most, delays) in table {
        let context = Context::new();
        let socket = context.socket(c::ZMQ_PUSH);
        let events = socket.watch(&context);
        socket.set(c::ZMQ_RECONNECT_IVL, interval);
        socket.set(c::ZMQ_RECONNECT_IVL_MAX, most);
        let dead = DeadPort::new();
        let began = Instant::now();
        socket.connect(dead.address);
        let mut total = 0;
        for &(least, most) in delays {
            let delay = events.until(c::ZMQ_EVENT_CONNECT_RETRIED);
            assert!((least..=most).contains(&delay), "{interval}: {delay}");
            assert!(began.elapsed() >= ms(total), "{interval}: sooner than said");
            total += delay;
        }
        // An established connection begins the series anew.
        if most > interval {
            let listener = dead.listen();
            drop(Raw::accept(&listener));
            drop(listener);
            events.until(c::ZMQ_EVENT_DISCONNECTED);
            assert_eq!(events.until(c::ZMQ_EVENT_CONNECT_RETRIED), interval as u64);
        }
    }
}

#[test]
fn without_an_interval_there_is_one_attempt() {
    for interval in [0, -1] {
        let context = Context::new();
        let socket = context.socket(c::ZMQ_PUSH);
        socket.set(c::ZMQ_RECONNECT_IVL, interval);
        // Refused: the endpoint stays.
        let events = socket.watch(&context);
        let dead = DeadPort::new();
        socket.connect(dead.address);
        let refused = socket.last_endpoint();
        events.until(c::ZMQ_EVENT_CLOSED);
        assert_eq!(socket.api().disconnect(&refused), Ok(()));
        // Lost: the endpoint goes.
        let (listener, address) = listener();
        socket.connect(address);
        let lost = socket.last_endpoint();
        drop(Raw::accept(&listener));
        events.until(c::ZMQ_EVENT_DISCONNECTED);
        super::util::eventually("the end of the endpoint", || {
            super::util::events(&socket);
            socket.api().disconnect(&lost) == Err(Error::NoEntry)
        });
        while let Some(event) = events.try_next() {
            assert_ne!(event.code, c::ZMQ_EVENT_CONNECT_RETRIED);
        }
    }
}

#[test]
fn reconnect_stop_on_refusal() {
    let context = Context::new();
    let socket = context.socket(c::ZMQ_PUSH);
    let events = socket.watch(&context);
    socket.set(c::ZMQ_RECONNECT_IVL, 1);
    socket.set(c::ZMQ_RECONNECT_STOP, c::ZMQ_RECONNECT_STOP_CONN_REFUSED);
    let dead = DeadPort::new();
    socket.connect(dead.address);
    let endpoint = socket.last_endpoint();
    events.until(c::ZMQ_EVENT_CLOSED);
    super::util::eventually("the end of the endpoint", || {
        super::util::events(&socket);
        socket.api().disconnect(&endpoint) == Err(Error::NoEntry)
    });
}

#[test]
fn reconnect_stop_after_a_disconnect() {
    let context = Context::new();
    let socket = context.socket(c::ZMQ_PUSH);
    let events = socket.watch(&context);
    socket.set(c::ZMQ_RECONNECT_IVL, 1);
    // A file that nobody listens at any more.
    let folder = Scratch::new("refused").expect("a folder");
    let path = folder.path().join("socket");
    drop(UnixListener::bind(&path).expect("a new file"));
    socket.api().connect(&format!("ipc://{}", path.display())).expect("an address");
    events.until(c::ZMQ_EVENT_CONNECT_RETRIED);
    socket.api().connect("inproc://other").expect("an address");
    socket.set(c::ZMQ_RECONNECT_STOP, c::ZMQ_RECONNECT_STOP_AFTER_DISCONNECT);
    socket.api().disconnect("inproc://other").expect("connected");
    super::util::eventually("the end of the endpoint", || {
        socket.try_send(&[b"m"], c::ZMQ_DONTWAIT) == Err(Error::Again)
    });
    let endpoint = format!("ipc://{}", path.display());
    super::util::eventually("its leaving the table", || {
        super::util::events(&socket);
        socket.api().disconnect(&endpoint) == Err(Error::NoEntry)
    });
}

#[test]
fn reconnect_stop_on_a_failed_handshake() {
    for stop in [0, c::ZMQ_RECONNECT_STOP_HANDSHAKE_FAILED] {
        let context = Context::new();
        let (listener, address) = listener();
        let socket = context.socket(c::ZMQ_PUSH);
        let events = socket.watch(&context);
        socket.set(c::ZMQ_RECONNECT_IVL, 1);
        socket.set(c::ZMQ_RECONNECT_STOP, stop);
        socket.connect(address);
        drop(Raw::accept(&listener));
        events.until(c::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL);
        events.until(c::ZMQ_EVENT_DISCONNECTED);
        if stop == 0 {
            events.until(c::ZMQ_EVENT_CONNECT_RETRIED);
        } else {
            // The endpoint stays, and nothing comes of it: the next attempt would be the first thing seen.
            let (second, address) = super::util::listener();
            socket.connect(address);
            let mut peer = Raw::accept(&second);
            peer.greet("PULL");
            loop {
                let event = events.next();
                assert_ne!(event.code, c::ZMQ_EVENT_CONNECT_RETRIED);
                if event.code == c::ZMQ_EVENT_HANDSHAKE_SUCCEEDED {
                    break;
                }
            }
        }
    }
}

/// A listener whose queue is full, so that the kernel answers no more connects.
fn full_listener() -> (socket2::Socket, SocketAddr, Vec<socket2::Socket>) {
    let socket = super::util::tcp_socket();
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    socket.bind(&any.into()).expect("a bind");
    socket.listen(0).expect("a listen");
    let address = socket.local_addr().ok().and_then(|own| own.as_socket()).expect("an address");
    let mut callers = Vec::new();
    loop {
        let caller = super::util::tcp_socket();
        let done = caller.connect_timeout(&address.into(), ms(200));
        callers.push(caller);
        if done.is_err() {
            return (socket, address, callers);
        }
    }
}

#[test]
fn connect_timeout_ends_an_attempt() {
    const LIMIT: u64 = 120;
    let (_listener, address, _callers) = full_listener();
    let context = Context::new();
    let socket = context.socket(c::ZMQ_PUSH);
    let events = socket.watch(&context);
    socket.set(c::ZMQ_CONNECT_TIMEOUT, LIMIT as i32);
    socket.set(c::ZMQ_RECONNECT_IVL, 1);
    let began = Instant::now();
    socket.connect(address);
    for round in 1..3 {
        events.until(c::ZMQ_EVENT_CONNECT_DELAYED);
        events.until(c::ZMQ_EVENT_CLOSED);
        events.until(c::ZMQ_EVENT_CONNECT_RETRIED);
        let took = began.elapsed();
        assert!(took >= ms(LIMIT * round) && took < PATIENCE, "{round}: {took:?}");
    }
}

#[test]
fn handshake_ivl_limits_the_silence() {
    const LIMIT: u64 = 120;
    // What a peer says before it falls silent.
    let words = [vec![], raw::greeting(b"NULL"), raw::greeting(b"NULL")[..11].to_vec()];
    for words in words {
        let context = Context::new();
        let (listener, address) = listener();
        let socket = context.socket(c::ZMQ_DEALER);
        let events = socket.watch(&context);
        socket.set(c::ZMQ_HANDSHAKE_IVL, LIMIT as i32);
        socket.set(c::ZMQ_RECONNECT_IVL, 1);
        // Accepting.
        let began = Instant::now();
        let mut caller = Raw::connect(socket.listen());
        caller.send(&words);
        caller.expect_end();
        assert!(began.elapsed() >= ms(LIMIT), "{words:?}");
        events.until(c::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL);
        events.until(c::ZMQ_EVENT_DISCONNECTED);
        // Connecting: it tries again.
        socket.connect(address);
        let mut called = Raw::accept(&listener);
        called.send(&words);
        called.expect_end();
        events.until(c::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL);
        events.until(c::ZMQ_EVENT_DISCONNECTED);
        events.until(c::ZMQ_EVENT_CONNECT_RETRIED);
        let mut called = Raw::accept(&listener);
        called.greet("DEALER");
    }
}

#[test]
fn without_handshake_ivl_silence_is_allowed() {
    let context = Context::new();
    let socket = context.socket(c::ZMQ_PULL);
    socket.set(c::ZMQ_HANDSHAKE_IVL, 0);
    let silent = socket.listen();
    let mut silent = Raw::connect(silent);
    // Another socket's limit passes meanwhile.
    let limited = context.socket(c::ZMQ_PULL);
    limited.set(c::ZMQ_HANDSHAKE_IVL, 100);
    Raw::connect(limited.listen()).expect_end();
    silent.greet("PUSH");
    silent.expect_alive();
}

#[test]
fn heartbeats_are_sent_as_set() {
    // IVL, TTL, the TTL on the wire.
    for (interval, ttl, tenths) in [(50, 0, [0, 0]), (30, 1234, [0, 12]), (30, 199, [0, 1])] {
        let context = Context::new();
        let (listener, address) = listener();
        let socket = context.socket(c::ZMQ_DEALER);
        socket.set(c::ZMQ_HEARTBEAT_IVL, interval);
        socket.set(c::ZMQ_HEARTBEAT_TTL, ttl);
        socket.set(c::ZMQ_HEARTBEAT_TIMEOUT, 60_000);
        socket.connect(address);
        let mut peer = Raw::accept(&listener);
        peer.greet("DEALER");
        let began = Instant::now();
        for _ in 0..3 {
            let (flags, body) = peer.frame();
            assert_eq!(flags, COMMAND);
            assert_eq!(body, [b"\x04PING", &tenths[..]].concat());
            peer.send(&command("PONG", b""));
        }
        assert!(began.elapsed() >= ms(2 * interval as u64), "{interval}");
    }
}

#[test]
fn heartbeats_end_a_silent_connection() {
    // IVL, TIMEOUT, after how long.
    for (interval, timeout, least) in [(40, None, 40), (40, Some(200), 200), (100, Some(30), 30)] {
        let context = Context::new();
        let (listener, address) = listener();
        let socket = context.socket(c::ZMQ_DEALER);
        let events = socket.watch(&context);
        socket.set(c::ZMQ_HEARTBEAT_IVL, interval);
        if let Some(timeout) = timeout {
            socket.set(c::ZMQ_HEARTBEAT_TIMEOUT, timeout);
        }
        socket.set(c::ZMQ_RECONNECT_IVL, 1);
        socket.connect(address);
        let mut peer = Raw::accept(&listener);
        peer.greet("DEALER");
        // A sign of life, of whatever kind, is enough for now.
        assert!(peer.frame().1.starts_with(b"\x04PING"));
        peer.send(&frame(0, b"alive"));
        assert!(peer.frame().1.starts_with(b"\x04PING"));
        let began = Instant::now();
        peer.expect_end();
        // The time runs from the last PING that nothing came after, which was sent before it was read.
        assert!(began.elapsed() + ms(20) >= ms(least), "{interval} {timeout:?}");
        events.until(c::ZMQ_EVENT_DISCONNECTED);
        events.until(c::ZMQ_EVENT_CONNECT_RETRIED);
        Raw::accept(&listener).greet("DEALER");
        assert_eq!(socket.recv(), [b"alive"]);
    }
}

#[test]
fn a_peers_promise_to_be_heard_is_taken_at_its_word() {
    let context = Context::new();
    let socket = context.socket(c::ZMQ_DEALER);
    let events = socket.watch(&context);
    let address = socket.listen();
    let mut peer = Raw::connect(address);
    peer.greet("DEALER");
    let began = Instant::now();
    peer.send(&command("PING", b"\x00\x02context"));
    assert_eq!(peer.frame(), (COMMAND, b"\x04PONGcontext".to_vec()));
    peer.expect_end();
    assert!(began.elapsed() >= ms(200));
    events.until(c::ZMQ_EVENT_DISCONNECTED);
    // Without a promise nothing ends.
    let mut peer = Raw::connect(address);
    peer.greet("DEALER");
    peer.expect_alive();
    // And with one that is kept neither.
    let began = Instant::now();
    while began.elapsed() < ms(400) {
        peer.send(&command("PING", b"\x00\x02"));
        assert_eq!(peer.frame(), (COMMAND, b"\x04PONG".to_vec()));
    }
    peer.send(&frame(0, b"alive"));
    peer.expect_alive();
}

/// What a caller asked of the proxy, and who is served.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    method: u8,
    login: Option<(Vec<u8>, Vec<u8>)>,
    address: Vec<u8>,
}

/// Serves one caller of a SOCKS5 proxy and then passes bytes on to `to`.
fn serve(listener: &TcpListener, to: SocketAddr) -> Asked {
    let (mut caller, _) = listener.accept().expect("a caller");
    let take = |caller: &mut TcpStream, len: usize| {
        let mut bytes = vec![0; len];
        caller.read_exact(&mut bytes).expect("bytes");
        bytes
    };
    let hello = take(&mut caller, 3);
    assert_eq!(hello[..2], [5, 1]);
    let method = hello[2];
    caller.write_all(&[5, method]).expect("a write");
    let login = (method == 2).then(|| {
        assert_eq!(take(&mut caller, 1), [1]);
        let mut text = || {
            let len = take(&mut caller, 1)[0];
            take(&mut caller, len.into())
        };
        let login = (text(), text());
        caller.write_all(&[1, 0]).expect("a write");
        login
    });
    assert_eq!(take(&mut caller, 3), [5, 1, 0]);
    let mut address = take(&mut caller, 1);
    let len = match address[0] {
        1 => 4,
        4 => 16,
        3 => {
            address.extend(take(&mut caller, 1));
            address[1].into()
        }
        other => panic!("address type {other}"),
    };
    address.extend(take(&mut caller, len + 2));
    // The reply in two pieces.
    caller.write_all(&[5, 0, 0, 1, 127]).expect("a write");
    caller.write_all(&[0, 0, 1, 9, 9]).expect("a write");
    let onward = TcpStream::connect(to).expect("the server");
    for (from, to) in [(&caller, &onward), (&onward, &caller)] {
        let (mut from, mut to) =
            (from.try_clone().expect("a copy"), to.try_clone().expect("a copy"));
        thread::spawn(move || {
            // Either side may end it.
            let _bytes = std::io::copy(&mut from, &mut to);
            let _gone = to.shutdown(std::net::Shutdown::Write);
        });
    }
    Asked { method, login, address }
}

#[test]
fn a_socks_proxy_makes_the_connection() {
    // The host, user and password, what the proxy is asked for.
    let table: [(&str, Option<[&str; 2]>, &[u8]); 4] = [
        ("127.0.0.1", None, &[1, 127, 0, 0, 1]),
        ("some.host.example", None, b"\x03\x11some.host.example"),
        ("127.0.0.1", Some(["user", "secret"]), &[1, 127, 0, 0, 1]),
        ("127.0.0.1", Some(["user", ""]), &[1, 127, 0, 0, 1]),
    ];
    for (host, login, address) in table {
        let context = Context::new();
        let server = context.socket(c::ZMQ_PULL);
        let to = server.listen();
        let (proxy, proxy_address) = listener();
        let client = context.socket(c::ZMQ_PUSH);
        let events = client.watch(&context);
        client.set_bytes(c::ZMQ_SOCKS_PROXY, proxy_address.to_string().as_bytes());
        if let Some([user, password]) = login {
            client.set_bytes(c::ZMQ_SOCKS_USERNAME, user.as_bytes());
            client.set_bytes(c::ZMQ_SOCKS_PASSWORD, password.as_bytes());
        }
        client.api().connect(&format!("tcp://{host}:4242")).expect("a connect");
        client.send(&[b"through"]);
        let asked = serve(&proxy, to);
        assert_eq!(asked.method, if login.is_some() { 2 } else { 0 });
        let login = login.map(|[user, password]| (user.into(), password.into()));
        assert_eq!(asked.login, login);
        assert_eq!(asked.address, [address, &4242u16.to_be_bytes()].concat());
        assert_eq!(server.recv(), [b"through"]);
        // The proxy is the remote end as monitors see it.
        let connected = std::iter::from_fn(|| Some(events.next()))
            .find(|event| event.code == c::ZMQ_EVENT_CONNECTED)
            .expect("an event");
        assert_eq!(connected.remote, format!("tcp://{proxy_address}"));
    }
}

#[test]
fn a_proxy_that_refuses_is_asked_again() {
    let context = Context::new();
    let server = context.socket(c::ZMQ_PULL);
    let to = server.listen();
    let (proxy, proxy_address) = listener();
    let client = context.socket(c::ZMQ_PUSH);
    let events = client.watch(&context);
    client.set(c::ZMQ_RECONNECT_IVL, 1);
    client.set_bytes(c::ZMQ_SOCKS_PROXY, proxy_address.to_string().as_bytes());
    client.connect(to);
    for refusal in [&[5, 0xff][..], &[4, 0], &[5, 0, 5, 5, 0, 1, 0, 0, 0, 0, 0, 0], &[]] {
        let (mut caller, _) = proxy.accept().expect("a caller");
        let mut hello = [0; 3];
        caller.read_exact(&mut hello).expect("a greeting");
        caller.write_all(refusal).expect("a write");
        if refusal.is_empty() {
            drop(caller);
        } else {
            let _reset_or_over = caller.read_to_end(&mut Vec::new());
        }
        events.until(c::ZMQ_EVENT_CLOSED);
        events.until(c::ZMQ_EVENT_CONNECT_RETRIED);
    }
    client.send(&[b"at last"]);
    serve(&proxy, to);
    assert_eq!(server.recv(), [b"at last"]);
}

#[test]
fn the_proxy_is_that_of_the_time_of_connect() {
    let context = Context::new();
    let (proxy, proxy_address) = listener();
    let (direct, direct_address) = listener();
    let client = context.socket(c::ZMQ_PUSH);
    client.set_bytes(c::ZMQ_SOCKS_PROXY, proxy_address.to_string().as_bytes());
    client.api().set_option(c::ZMQ_SOCKS_PROXY, None).expect("cleared");
    client.connect(direct_address);
    client.set_bytes(c::ZMQ_SOCKS_PROXY, proxy_address.to_string().as_bytes());
    let mut peer = Raw::accept(&direct);
    peer.greet("PULL");
    client.send(&[b"direct"]);
    assert_eq!(message(&mut peer), [b"direct"]);
    drop(proxy);
}
