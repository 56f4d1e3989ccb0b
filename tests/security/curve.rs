//! CURVE between sockets of ours.

use zmq::base::constants as c;

use super::plain::dialed;
use crate::support::Scratch;
use crate::support::curve::Pair;
use crate::support::local::{Context, Socket};
use crate::support::zap::{Handler, answer};

const CRYPTOGRAPHIC: (i32, u64) =
    (c::ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL, c::ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC as u64);

pub(super) fn serve_curve(socket: &Socket, keys: &Pair) {
    socket.set(c::ZMQ_CURVE_SERVER, 1);
    socket.set_bytes(c::ZMQ_CURVE_SECRETKEY, keys.secret.bytes());
}

fn use_curve(socket: &Socket, keys: &Pair, server: &[u8; 32]) {
    socket.set_bytes(c::ZMQ_CURVE_SERVERKEY, server);
    socket.set_bytes(c::ZMQ_CURVE_PUBLICKEY, &keys.public);
    socket.set_bytes(c::ZMQ_CURVE_SECRETKEY, keys.secret.bytes());
    socket.set(c::ZMQ_RECONNECT_IVL, 10);
}

/// A server and a client of these types, joined at `address`.
fn joined(context: &Context, types: [i32; 2], address: &str) -> [Socket; 2] {
    let keys = Pair::new();
    let [server, client] = types.map(|socket_type| context.socket(socket_type));
    serve_curve(&server, &keys);
    server.api().bind(address).expect("a bind");
    use_curve(&client, &Pair::new(), &keys.public);
    client.api().connect(&server.last_endpoint()).expect("a connect");
    [server, client]
}

const TCP: &str = "tcp://127.0.0.1:0";

#[test]
fn messages_of_every_size_and_shape() {
    let scratch = Scratch::new("curve").expect("a folder");
    let context = Context::new();
    let ipc = format!("ipc://{}/s", scratch.path().display());
    for address in [TCP, &ipc] {
        let [server, client] = joined(&context, [c::ZMQ_DEALER, c::ZMQ_DEALER], address);
        for (from, to) in [(&client, &server), (&server, &client)] {
            let sizes = [0, 1, 33, 222, 223, 255, 256, 8191, 8192, 65_536, 3 << 20];
            for (n, size) in sizes.into_iter().enumerate() {
                let body: Vec<u8> = (0..size).map(|at| (at * 31 + n) as u8).collect();
                from.send(&[&body]);
                from.send(&[b"", &body, b"end"]);
                assert!(to.recv() == [&body[..]], "{size} bytes");
                assert!(to.recv() == [b"", &body[..], b"end"], "{size} bytes in a part");
            }
        }
    }
}

#[test]
fn many_messages_in_order() {
    const COUNT: u64 = 20_000;
    let context = Context::new();
    let [server, client] = joined(&context, [c::ZMQ_PULL, c::ZMQ_PUSH], TCP);
    let sending = std::thread::spawn(move || {
        for n in 0..COUNT {
            let tail = vec![n as u8; (n % 300) as usize];
            client.send(&[&n.to_ne_bytes(), &tail]);
        }
        client
    });
    for n in 0..COUNT {
        let parts = server.recv();
        assert_eq!(parts[0], n.to_ne_bytes());
        assert_eq!(parts[1], vec![n as u8; (n % 300) as usize]);
    }
    drop(sending.join().expect("a sender"));
}

#[test]
fn subscriptions_are_encrypted_too() {
    let context = Context::new();
    let [publisher, subscriber] = joined(&context, [c::ZMQ_XPUB, c::ZMQ_SUB], TCP);
    let long = vec![b't'; 300];
    for topic in [&b"a"[..], b"", &long] {
        subscriber.set_bytes(c::ZMQ_SUBSCRIBE, topic);
        assert_eq!(publisher.recv(), [[b"\x01", topic].concat()]);
        publisher.send(&[topic, b"news"]);
        assert_eq!(subscriber.recv(), [topic, b"news"]);
        subscriber.set_bytes(c::ZMQ_UNSUBSCRIBE, topic);
        assert_eq!(publisher.recv(), [[b"\x00", topic].concat()]);
    }
}

#[test]
fn heartbeats_keep_a_silent_connection() {
    const INTERVAL_MS: i32 = 20;
    let context = Context::new();
    let keys = Pair::new();
    let server = context.socket(c::ZMQ_REP);
    serve_curve(&server, &keys);
    let address = server.listen();
    let monitor = server.watch(&context);
    let client = context.socket(c::ZMQ_REQ);
    use_curve(&client, &Pair::new(), &keys.public);
    client.set(c::ZMQ_HEARTBEAT_IVL, INTERVAL_MS);
    client.set(c::ZMQ_HEARTBEAT_TIMEOUT, 2000);
    client.connect(address);
    assert_eq!(monitor.until(c::ZMQ_EVENT_HANDSHAKE_SUCCEEDED), 0);
    // Nothing arrives for many intervals.
    server.set(c::ZMQ_RCVTIMEO, 20 * INTERVAL_MS);
    assert!(server.recv_with(0).is_err());
    assert!(monitor.try_next().is_none(), "the connection stands");
    client.send(&[b"still there?"]);
    assert_eq!(server.recv(), [b"still there?"]);
}

#[test]
fn the_handler_sees_the_key() {
    let context = Context::new();
    let good = Pair::new();
    let known = good.public;
    let handler = Handler::start(&context, move |request| {
        let status = if request.credentials == [known] { "200" } else { "400" };
        Some(answer(status, "joe", b""))
    });
    let keys = Pair::new();
    let server = context.socket(c::ZMQ_PULL);
    serve_curve(&server, &keys);
    server.set_bytes(c::ZMQ_ROUTING_ID, b"srv");
    let address = server.listen();
    let monitor = server.watch(&context);

    let stranger = context.socket(c::ZMQ_PUSH);
    use_curve(&stranger, &Pair::new(), &keys.public);
    let events = stranger.watch(&context);
    stranger.connect(address);
    let refused = (c::ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, 400);
    assert_eq!(dialed(&events), [refused]);
    assert_eq!(monitor.story(), [refused]);
    assert_ne!(handler.request().credentials, [known]);

    let client = context.socket(c::ZMQ_PUSH);
    use_curve(&client, &good, &keys.public);
    client.connect(address);
    client.send(&[b"hello"]);
    let part = server.api().recv(0).expect("a part");
    let user = part.metadata().and_then(|all| all.get(b"User-Id"));
    assert_eq!((part.data(), user), (&b"hello"[..], Some(c"joe")));
    let request = handler.request();
    assert_eq!((request.mechanism.as_str(), &request.domain[..]), ("CURVE", &b""[..]));
    assert_eq!((&request.routing_id[..], request.credentials), (&b"srv"[..], vec![known.to_vec()]));
}

#[test]
fn another_servers_key_gets_nowhere() {
    let context = Context::new();
    let server = context.socket(c::ZMQ_PULL);
    serve_curve(&server, &Pair::new());
    let address = server.listen();
    let monitor = server.watch(&context);
    let client = context.socket(c::ZMQ_PUSH);
    use_curve(&client, &Pair::new(), &Pair::new().public);
    let events = client.watch(&context);
    client.connect(address);
    for _ in 0..2 {
        assert_eq!(monitor.story(), [CRYPTOGRAPHIC]);
        let hung_up = (c::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, libc::EPIPE as u64);
        assert_eq!(dialed(&events), [hung_up]);
    }
    assert!(server.try_recv().is_none());
}

#[test]
fn keys_of_zeros_prove_nothing() {
    let context = Context::new();
    let keys = Pair::new();
    let server = context.socket(c::ZMQ_PULL);
    serve_curve(&server, &keys);
    let address = server.listen();
    let monitor = server.watch(&context);
    // A client that never set its own.
    let client = context.socket(c::ZMQ_PUSH);
    client.set_bytes(c::ZMQ_CURVE_SERVERKEY, &keys.public);
    client.connect(address);
    assert_eq!(monitor.story(), [CRYPTOGRAPHIC]);
    // One that would talk to whoever claims to own the key that nobody can own.
    let client = context.socket(c::ZMQ_PUSH);
    use_curve(&client, &Pair::new(), &[0; 32]);
    let events = client.watch(&context);
    client.connect(address);
    assert_eq!(dialed(&events), [CRYPTOGRAPHIC]);
    assert!(server.try_recv().is_none());
}

#[test]
fn mechanisms_that_differ_do_not_meet() {
    let context = Context::new();
    let keys = Pair::new();
    let server = context.socket(c::ZMQ_PULL);
    serve_curve(&server, &keys);
    let address = server.listen();
    let monitor = server.watch(&context);
    for prepare in
        [(|_| {}) as fn(&Socket), |client| client.set_bytes(c::ZMQ_PLAIN_USERNAME, b"joe")]
    {
        let client = context.socket(c::ZMQ_PUSH);
        prepare(&client);
        let events = client.watch(&context);
        client.connect(address);
        let mismatch = (
            c::ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL,
            c::ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH as u64,
        );
        assert_eq!(monitor.story(), [mismatch]);
        assert_eq!(dialed(&events), [mismatch]);
    }
}

/// What was queued, and parts of it that were encrypted, reach the server that comes back with the same key.
#[test]
fn a_server_that_comes_back_gets_what_waits() {
    let context = Context::new();
    let keys = Pair::new();
    let client = context.socket(c::ZMQ_DEALER);
    use_curve(&client, &Pair::new(), &keys.public);
    client.set(c::ZMQ_LINGER, -1);
    let mut address = None;
    for round in 0..5u8 {
        let server = context.socket(c::ZMQ_DEALER);
        serve_curve(&server, &keys);
        match address {
            None => {
                let at = server.listen();
                client.connect(at);
                address = Some(at);
            }
            Some(at) => server.api().bind(&format!("tcp://{at}")).expect("the same port"),
        }
        client.send(&[b"round", &[round]]);
        assert_eq!(server.recv(), [&b"round"[..], &[round]]);
        server.send(&[b"seen"]);
        assert_eq!(client.recv(), [b"seen"]);
        let events = client.watch(&context);
        server.api().close().expect("an open socket");
        events.until(c::ZMQ_EVENT_DISCONNECTED);
    }
}

/// Both roles are independent of who binds.
#[test]
fn a_server_may_connect() {
    let context = Context::new();
    let keys = Pair::new();
    let client = context.socket(c::ZMQ_REQ);
    use_curve(&client, &Pair::new(), &keys.public);
    let address = client.listen();
    let server = context.socket(c::ZMQ_REP);
    serve_curve(&server, &keys);
    server.connect(address);
    client.send(&[b"question"]);
    assert_eq!(server.recv(), [b"question"]);
    server.send(&[b"answer"]);
    assert_eq!(client.recv(), [b"answer"]);
}
