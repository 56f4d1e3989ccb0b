//! Servers that a client of ours connects to, and raw sockets.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use zmq::base::Error;
use zmq::base::constants as c;

use crate::support::alone::{alone, memory};
use crate::support::local::{Context, Monitor, Service, Socket};
use crate::support::raw::{
    MORE, Raw, SIGNATURE, command, frame, greeting, long_header, property, ready,
};

const MIB: usize = 1 << 20;

/// A client that comes back soon, and the listener it connects to.
fn client(context: &Context, socket_type: i32) -> (Socket, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let client = context.socket(socket_type);
    client.set(c::ZMQ_RECONNECT_IVL, 1);
    client.connect(listener.local_addr().expect("an address"));
    (client, listener)
}

/// Fails if the client tries again within a time in which it would have many times.
fn expect_no_return(listener: &TcpListener, monitor: &Monitor) {
    monitor.until(c::ZMQ_EVENT_DISCONNECTED);
    let mut watched = libc::pollfd {
        fd: std::os::fd::AsRawFd::as_raw_fd(listener),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one valid entry.
    let ready = unsafe { libc::poll(&mut watched, 1, 100) };
    assert_eq!(ready, 0, "it came back");
}

/// CVE-2021-20234.
#[test]
fn a_server_that_cuts_messages_off_again_and_again() {
    alone(|| {
        const ROUNDS: usize = 300;
        let context = Context::new();
        for (socket_type, server_type) in [(c::ZMQ_DEALER, "ROUTER"), (c::ZMQ_SUB, "PUB")] {
            let (client, listener) = client(&context, socket_type);
            if socket_type == c::ZMQ_SUB {
                client.set_bytes(c::ZMQ_SUBSCRIBE, b"");
            }
            let parts = frame(MORE, &[b'p'; 40_000]).repeat(8);
            let begun = [long_header(0, 1 << 30), vec![b'x'; 300_000]].concat();
            let mut after_first = None;
            for round in 0..ROUNDS {
                let mut server = Raw::accept(&listener);
                server.greet(server_type);
                server.send(if round % 2 == 0 { &parts } else { &begun });
                if round % 4 == 0 {
                    server.send(b"\x01");
                }
                if round % 2 == 0 && round % 4 != 0 {
                    server.expect_alive();
                }
                drop(server);
                assert!(client.try_recv().is_none());
                if round == 20 {
                    after_first = Some(memory());
                }
            }
            let grown = memory().saturating_sub(after_first.expect("a measurement"));
            assert!(grown < 8 * MIB, "{grown} bytes");
            let mut server = Raw::accept(&listener);
            server.greet(server_type);
            server.send(&frame(0, b"whole"));
            assert_eq!(client.recv(), [b"whole"]);
        }
    });
}

#[test]
fn a_server_that_breaks_the_protocol_is_not_asked_again() {
    let wrong: [Vec<u8>; 6] = [
        [greeting(b"CURVE"), ready("ROUTER")].concat(),
        [greeting(b"NULL"), ready("PUB")].concat(),
        [greeting(b"NULL"), command("READY", b"\x05oops")].concat(),
        [greeting(b"NULL"), command("ERROR", b"\x03400")].concat(),
        [greeting(b"NULL"), ready("ROUTER"), long_header(0, u64::MAX)].concat(),
        [SIGNATURE, &b"\x01\x06"[..], &long_header(0, u64::MAX)].concat(),
    ];
    let context = Context::new();
    for bytes in wrong {
        let service = Service::start(&context, c::ZMQ_ROUTER, |_| {});
        let (client, listener) = client(&context, c::ZMQ_DEALER);
        let monitor = client.watch(&context);
        let mut server = Raw::accept(&listener);
        server.offer(&bytes);
        server.expect_end();
        expect_no_return(&listener, &monitor);
        // Its other connections do not mind.
        client.connect(service.address);
        client.send(&[b"hello"]);
        assert_eq!(service.server.recv()[1], b"hello");
        service.check();
    }
}

#[test]
fn a_server_that_hangs_up_at_once_is_asked_again_and_again() {
    const ROUNDS: u32 = 40;
    const INTERVAL_MS: i32 = 5;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let context = Context::new();
    let client = context.socket(c::ZMQ_DEALER);
    client.set(c::ZMQ_RECONNECT_IVL, INTERVAL_MS);
    client.connect(listener.local_addr().expect("an address"));
    client.send(&[b"patience"]);
    let started = Instant::now();
    for round in 0..ROUNDS {
        let mut server = Raw::accept(&listener);
        match round % 4 {
            0 => {}
            1 => server.offer(&SIGNATURE[..5]),
            2 => server.offer(&greeting(b"NULL")),
            _ => server.offer(&greeting(b"NULL")[..63]),
        }
    }
    let least = Duration::from_millis(INTERVAL_MS as u64) * (ROUNDS - 1);
    assert!(started.elapsed() >= least, "{:?}", started.elapsed());
    let mut server = Raw::accept(&listener);
    server.greet("ROUTER");
    assert_eq!(server.frame(), (0, b"patience".to_vec()));
}

/// A client's handshake has its time too.
#[test]
fn a_server_that_says_nothing_is_given_up_and_asked_again() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let context = Context::new();
    let client = context.socket(c::ZMQ_DEALER);
    client.set(c::ZMQ_RECONNECT_IVL, 1);
    client.set(c::ZMQ_HANDSHAKE_IVL, 200);
    client.connect(listener.local_addr().expect("an address"));
    for _ in 0..3 {
        Raw::accept(&listener).expect_end();
    }
    let mut server = Raw::accept(&listener);
    server.greet("ROUTER");
    client.send(&[b"at last"]);
    assert_eq!(server.frame(), (0, b"at last".to_vec()));
}

/// What is no reply does not become one.
#[test]
fn replies_without_form_never_reach_a_requester() {
    let context = Context::new();
    let malformed: [Vec<u8>; 5] = [
        frame(0, b"no delimiter"),
        frame(0, b""),
        [frame(MORE, b"no delimiter"), frame(0, b"body")].concat(),
        [frame(MORE, b"a"), frame(MORE, b""), frame(0, b"body")].concat(),
        frame(MORE, b"x").repeat(10_000),
    ];
    for bytes in malformed {
        let (client, listener) = client(&context, c::ZMQ_REQ);
        client.set(c::ZMQ_RCVTIMEO, 50);
        let mut server = Raw::accept(&listener);
        server.greet("REP");
        // Before anything was asked.
        server.send(&[frame(MORE, b""), frame(0, b"unasked")].concat());
        server.expect_alive();
        client.send(&[b"question"]);
        assert_eq!(server.frame(), (MORE, Vec::new()));
        assert_eq!(server.frame(), (0, b"question".to_vec()));
        server.offer(&bytes);
        let got = client.recv_with(0);
        assert!(
            matches!(got, Err(Error::Again)),
            "{got:?} for {:?}",
            &bytes[..bytes.len().min(30)]
        );
    }
}

/// Requests that are none, with and without end.
#[test]
fn requests_without_form_do_not_stop_a_replier() {
    let context = Context::new();
    let service = Service::start(&context, c::ZMQ_REP, |_| {});
    let malformed: [Vec<u8>; 6] = [
        frame(0, b"no delimiter"),
        frame(0, b""),
        [frame(MORE, b"a"), frame(0, b"b")].concat(),
        [frame(MORE, b"id").repeat(1000), frame(0, b"no delimiter")].concat(),
        [frame(MORE, b""), frame(0, b"")].concat(),
        frame(MORE, b"").repeat(10_000),
    ];
    let mut peers = Vec::new();
    for _ in 0..20 {
        for bytes in &malformed {
            let mut peer = Raw::connect(service.address);
            peer.greet("DEALER");
            peer.offer(bytes);
            peers.push(peer);
        }
        service.check();
    }
    drop(peers);
    service.check();
}

/// A publisher that sends what nobody subscribed to, and talks like a subscriber.
#[test]
fn a_publisher_out_of_its_mind_does_not_confuse_a_subscriber() {
    let context = Context::new();
    let (client, listener) = client(&context, c::ZMQ_SUB);
    client.set_bytes(c::ZMQ_SUBSCRIBE, b"topic");
    let mut server = Raw::accept(&listener);
    server.greet("PUB");
    server.send(&frame(0, b"other").repeat(5000));
    server.send(&frame(0, b"").repeat(5000));
    server.send(&[frame(MORE, b"other"), frame(0, b"topic")].concat().repeat(500));
    server.send(&command("SUBSCRIBE", b"topic"));
    server.send(&command("CANCEL", b""));
    server.send(&frame(0, b"\x01topic"));
    server.send(&frame(0, b"topic and news"));
    assert_eq!(client.recv(), [b"topic and news"]);
}

/// Peers of a raw socket say what they like anyway.
#[test]
fn a_raw_socket_takes_whatever_comes() {
    const PEERS: usize = 50;
    let context = Context::new();
    let server = context.socket(c::ZMQ_STREAM);
    let address = server.listen();
    let samples: [Vec<u8>; 5] = [
        b"GET / HTTP/1.0\r\n\r\n".to_vec(),
        [greeting(b"NULL"), ready("STREAM")].concat(),
        long_header(0, u64::MAX),
        vec![0xff; 100_000],
        property(b"", b""),
    ];
    for n in 0..PEERS {
        let bytes = &samples[n % samples.len()];
        let mut peer = Raw::connect(address);
        peer.send(bytes);
        let id = {
            let mut notice = server.recv();
            assert_eq!(notice.pop(), Some(Vec::new()), "a connection is announced");
            notice.pop().expect("an id")
        };
        let mut got = Vec::new();
        while got.len() < bytes.len() {
            let parts = server.recv();
            assert_eq!(parts[0], id);
            got.extend_from_slice(&parts[1]);
        }
        assert!(got == *bytes);
        if n % 2 == 0 {
            // We end it.
            server.send(&[&id, b"bye"]);
            assert_eq!(peer.take(3), b"bye");
            server.send(&[&id, b""]);
            peer.expect_end();
        } else {
            drop(peer);
            assert_eq!(server.recv(), [id.clone(), Vec::new()], "so is its end");
        }
        // Either way it is gone. Until the socket has seen that, what is sent is lost or has to wait.
        let sent = server.try_send(&[&id, b"ghost"], c::ZMQ_DONTWAIT);
        let allowed = matches!(sent, Ok(()) | Err(Error::HostUnreachable | Error::Again));
        assert!(allowed, "{sent:?}");
    }
}
