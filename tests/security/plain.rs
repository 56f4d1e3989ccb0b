//! PLAIN between sockets of ours.

use zmq::base::constants as c;

use crate::support::Scratch;
use crate::support::local::{Context, Monitor, Socket};
use crate::support::zap::{Handler, answer};

const SUCCEEDED: (i32, u64) = (c::ZMQ_EVENT_HANDSHAKE_SUCCEEDED, 0);

fn server(context: &Context) -> Socket {
    let server = context.socket(c::ZMQ_ROUTER);
    server.set(c::ZMQ_PLAIN_SERVER, 1);
    server.set_bytes(c::ZMQ_ZAP_DOMAIN, b"global");
    server.set_bytes(c::ZMQ_ROUTING_ID, b"srv");
    server
}

fn client(context: &Context, name: &[u8], password: &[u8]) -> Socket {
    let client = context.socket(c::ZMQ_DEALER);
    client.set_bytes(c::ZMQ_PLAIN_USERNAME, name);
    client.set_bytes(c::ZMQ_PLAIN_PASSWORD, password);
    client.set(c::ZMQ_RECONNECT_IVL, 10);
    client
}

/// The codes and values from the next CONNECTED to the next DISCONNECTED.
pub(super) fn dialed(monitor: &Monitor) -> Vec<(i32, u64)> {
    while monitor.next().code != c::ZMQ_EVENT_CONNECTED {}
    let mut story = Vec::new();
    loop {
        let event = monitor.next();
        if event.code == c::ZMQ_EVENT_DISCONNECTED {
            return story;
        }
        story.push((event.code, event.value));
    }
}

#[test]
fn the_right_password_lets_in() {
    let scratch = Scratch::new("plain").expect("a folder");
    let context = Context::new();
    let metadata = b"\x05Group\0\0\0\x05staff";
    let handler = Handler::that_says(&context, answer("200", "joe", metadata));
    let ipc = format!("ipc://{}/s", scratch.path().display());
    for address in ["tcp://127.0.0.1:0", &ipc] {
        let server = server(&context);
        server.api().bind(address).expect("a bind");
        let monitor = server.watch(&context);
        let client = client(&context, b"admin", b"secret");
        client.api().connect(&server.last_endpoint()).expect("a connect");
        client.send(&[b"hello"]);
        let id = server.api().recv(0).expect("an id");
        let part = server.api().recv(0).expect("a part");
        assert_eq!(part.data(), b"hello");
        let property =
            |name: &[u8]| part.metadata().and_then(|all| all.get(name)).map(|v| v.to_bytes());
        assert_eq!(property(b"User-Id"), Some(&b"joe"[..]));
        assert_eq!(property(b"Group"), Some(&b"staff"[..]));
        assert_eq!(property(b"Socket-Type"), Some(&b"DEALER"[..]));
        server.send(&[id.data(), b"welcome"]);
        assert_eq!(client.recv(), [b"welcome"]);

        let request = handler.request();
        assert_eq!((&request.domain[..], &request.routing_id[..]), (&b"global"[..], &b"srv"[..]));
        assert_eq!(request.mechanism, "PLAIN");
        assert_eq!(request.credentials, [&b"admin"[..], b"secret"]);
        if address == ipc {
            assert!(request.address.starts_with("localhost:"), "{}", request.address);
        } else {
            assert_eq!(request.address, "127.0.0.1");
        }
        assert_eq!(monitor.until(c::ZMQ_EVENT_HANDSHAKE_SUCCEEDED), SUCCEEDED.1);
    }
}

#[test]
fn the_wrong_password_is_final() {
    let context = Context::new();
    let handler = Handler::start(&context, |request| {
        let status = if request.credentials[1] == b"secret" { "200" } else { "400" };
        Some(answer(status, "joe", b""))
    });
    let server = server(&context);
    let address = server.listen();
    let monitor = server.watch(&context);
    let mut inside = Vec::new();
    for guess in [b"guess1", b"guess2"] {
        let client = client(&context, b"admin", guess);
        let events = client.watch(&context);
        client.connect(address);
        let refused = (c::ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, 400);
        assert_eq!(dialed(&events), [refused]);
        assert_eq!(monitor.story(), [refused]);
        // It does not come back, so the handler is not asked again.
        assert_eq!(handler.request().mechanism, "PLAIN");
        let good = self::client(&context, b"admin", b"secret");
        good.connect(address);
        good.send(&[b"hello"]);
        assert_eq!(server.recv()[1], b"hello");
        assert_eq!(handler.request().credentials[1], b"secret");
        assert_eq!(handler.unseen(), 0);
        assert!(events.try_next().is_none());
        inside.push(good);
    }
}

#[test]
fn without_a_handler_nobody_is_let_in() {
    let context = Context::new();
    let server = server(&context);
    let address = server.listen();
    let monitor = server.watch(&context);
    let client = client(&context, b"admin", b"secret");
    let events = client.watch(&context);
    client.connect(address);
    client.send(&[b"hello"]);
    for _ in 0..3 {
        let nobody = (c::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, libc::EFAULT as u64);
        assert_eq!(monitor.story(), [nobody]);
        let hung_up = (c::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, libc::EPIPE as u64);
        assert_eq!(dialed(&events), [hung_up]);
    }
    // It comes back until there is one.
    let _handler = Handler::that_says(&context, answer("200", "", b""));
    assert_eq!(server.recv()[1], b"hello");
}

#[test]
fn names_and_passwords_may_be_long_and_of_any_bytes() {
    let context = Context::new();
    let handler = Handler::that_says(&context, answer("200", "", b""));
    let server = server(&context);
    let address = server.listen();
    for (name, password) in [(vec![b'n'; 255], vec![0xff; 255]), (vec![0], vec![1, 0, 2])] {
        let client = client(&context, &name, &password);
        client.connect(address);
        client.send(&[b"hello"]);
        assert_eq!(server.recv()[1], b"hello");
        assert_eq!(handler.request().credentials, [name, password]);
    }
}
