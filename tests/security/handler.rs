//! The authentication handler: what it is asked, what it may answer, and what comes of answers that are none.

use zmq::base::constants as c;

use super::curve::serve_curve;
use super::plain::dialed;
use crate::support::curve::Pair;
use crate::support::local::{Context, Service, Socket};
use crate::support::zap::{Handler, answer};

/// A server of NULL with a domain.
fn guarded(context: &Context) -> Socket {
    let server = context.socket(c::ZMQ_PULL);
    server.set_bytes(c::ZMQ_ZAP_DOMAIN, b"global");
    server
}

fn client(context: &Context) -> Socket {
    let client = context.socket(c::ZMQ_PUSH);
    client.set(c::ZMQ_RECONNECT_IVL, 10);
    client
}

#[test]
fn both_sides_of_null_ask_where_they_have_a_domain() {
    let context = Context::new();
    let handler = Handler::that_says(&context, answer("200", "joe", b""));
    let server = guarded(&context);
    server.set_bytes(c::ZMQ_ROUTING_ID, b"srv");
    let address = server.listen();
    let client = client(&context);
    client.set_bytes(c::ZMQ_ZAP_DOMAIN, b"abroad");
    client.connect(address);
    client.send(&[b"hello"]);
    let part = server.api().recv(0).expect("a part");
    let user = part.metadata().and_then(|all| all.get(b"User-Id"));
    assert_eq!(user, Some(c"joe"));
    let mut requests = [handler.request(), handler.request()];
    requests.sort_by(|a, b| a.domain.cmp(&b.domain));
    let seen = requests.map(|request| {
        assert_eq!((request.mechanism.as_str(), request.address.as_str()), ("NULL", "127.0.0.1"));
        assert!(request.credentials.is_empty());
        (request.domain, request.routing_id)
    });
    let expected = [(&b"abroad"[..], &b""[..]), (b"global", b"srv")];
    assert_eq!(seen, expected.map(|(domain, id)| (domain.to_vec(), id.to_vec())));
}

#[test]
fn a_router_may_be_the_handler() {
    let context = Context::new();
    let handler = Handler::of_type(&context, c::ZMQ_ROUTER, |_| Some(answer("200", "joe", b"")));
    let server = guarded(&context);
    let address = server.listen();
    for _ in 0..3 {
        let client = client(&context);
        client.connect(address);
        client.send(&[b"hello"]);
        assert_eq!(server.recv(), [b"hello"]);
        assert_eq!(handler.request().mechanism, "NULL");
    }
}

#[test]
fn defects_of_an_answer() {
    let bad = |code: i32| (c::ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL, code as u64);
    let with = |at: usize, field: &[u8]| {
        let mut frames = answer("200", "joe", b"");
        frames[at] = field.to_vec();
        frames
    };
    let good = answer("200", "joe", b"");
    let table = [
        (with(0, b"1.1"), bad(c::ZMQ_PROTOCOL_ERROR_ZAP_BAD_VERSION)),
        (with(1, b"2"), bad(c::ZMQ_PROTOCOL_ERROR_ZAP_BAD_REQUEST_ID)),
        (with(1, b""), bad(c::ZMQ_PROTOCOL_ERROR_ZAP_BAD_REQUEST_ID)),
        (with(2, b"210"), bad(c::ZMQ_PROTOCOL_ERROR_ZAP_INVALID_STATUS_CODE)),
        (with(2, b"2000"), bad(c::ZMQ_PROTOCOL_ERROR_ZAP_INVALID_STATUS_CODE)),
        (with(2, b""), bad(c::ZMQ_PROTOCOL_ERROR_ZAP_INVALID_STATUS_CODE)),
        (with(5, b"\x05Group"), bad(c::ZMQ_PROTOCOL_ERROR_ZAP_INVALID_METADATA)),
        (with(5, &[0xff; 1000]), bad(c::ZMQ_PROTOCOL_ERROR_ZAP_INVALID_METADATA)),
        (good[..5].to_vec(), bad(c::ZMQ_PROTOCOL_ERROR_ZAP_MALFORMED_REPLY)),
        (good[..1].to_vec(), bad(c::ZMQ_PROTOCOL_ERROR_ZAP_MALFORMED_REPLY)),
        ([&good[..], &[Vec::new()]].concat(), bad(c::ZMQ_PROTOCOL_ERROR_ZAP_MALFORMED_REPLY)),
    ];
    for (frames, expected) in table {
        let context = Context::new();
        let handler = Handler::that_says(&context, frames.clone());
        let server = guarded(&context);
        let address = server.listen();
        let monitor = server.watch(&context);
        let client = client(&context);
        let events = client.watch(&context);
        client.connect(address);
        // It hears nothing of the reason, and comes back.
        for _ in 0..2 {
            assert_eq!(monitor.story(), [expected], "{frames:?}");
            let hung_up = (c::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, libc::EPIPE as u64);
            assert_eq!(dialed(&events), [hung_up]);
            handler.request();
        }
    }
}

#[test]
fn a_delimiter_that_is_none() {
    let context = Context::new();
    // The way back ends with it, so a ROUTER can spoil it.
    let router = context.socket(c::ZMQ_ROUTER);
    router.api().bind("inproc://zeromq.zap.01").expect("a free name");
    let server = guarded(&context);
    let address = server.listen();
    let monitor = server.watch(&context);
    let client = client(&context);
    client.connect(address);
    let request = router.recv();
    router.send(&[&request[0], b"x", b"1.0", b"1", b"200", b"", b"", b""]);
    let code = c::ZMQ_PROTOCOL_ERROR_ZAP_UNSPECIFIED as u64;
    assert_eq!(monitor.story(), [(c::ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL, code)]);
}

#[test]
fn internal_errors_are_final_and_temporary_ones_keep_waiting() {
    let context = Context::new();
    let handler = Handler::start(&context, |request| {
        let status = if request.domain == b"later" { "300" } else { "500" };
        Some(answer(status, "", b""))
    });
    let server = guarded(&context);
    let address = server.listen();
    let monitor = server.watch(&context);
    let client = client(&context);
    let events = client.watch(&context);
    client.connect(address);
    let failed = (c::ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, 500);
    assert_eq!(monitor.story(), [failed]);
    assert_eq!(dialed(&events), [failed]);
    handler.request();

    const PATIENCE_MS: i32 = 400;
    let server = context.socket(c::ZMQ_PULL);
    server.set_bytes(c::ZMQ_ZAP_DOMAIN, b"later");
    server.set(c::ZMQ_HANDSHAKE_IVL, PATIENCE_MS);
    let address = server.listen();
    let monitor = server.watch(&context);
    let client = self::client(&context);
    let events = client.watch(&context);
    client.connect(address);
    assert_eq!(monitor.until(c::ZMQ_EVENT_HANDSHAKE_FAILED_AUTH), 300);
    events.until(c::ZMQ_EVENT_CONNECTED);
    // Only the time limit ends it, and nothing is said about that.
    assert_eq!(monitor.next().code, c::ZMQ_EVENT_DISCONNECTED);
    let event = events.next();
    assert_eq!(
        (event.code, event.value),
        (c::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, libc::EPIPE as u64,)
    );
}

#[test]
fn a_handler_that_dies_leaves_the_rest_to_the_time_limit() {
    const PATIENCE_MS: i32 = 300;
    let context = Context::new();
    // It takes the first question and is gone.
    let handler = Handler::start(&context, |_| None);
    let server = guarded(&context);
    server.set(c::ZMQ_HANDSHAKE_IVL, PATIENCE_MS);
    let address = server.listen();
    let monitor = server.watch(&context);
    let client = client(&context);
    client.connect(address);
    client.send(&[b"hello"]);
    handler.request();
    let story = monitor.story();
    assert_eq!(story[0], (c::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, libc::ETIMEDOUT as u64));
    // Without a handler the domain alone bars nobody, so the client gets in when it comes back.
    assert_eq!(server.recv(), [b"hello"]);
}

#[test]
fn others_are_served_while_the_handler_thinks() {
    let context = Context::new();
    let router = context.socket(c::ZMQ_ROUTER);
    router.api().bind("inproc://zeromq.zap.01").expect("a free name");
    let service = Service::start(&context, c::ZMQ_ROUTER, |_| {});
    let server = guarded(&context);
    let address = server.listen();
    let clients: Vec<Socket> = (0..20)
        .map(|_| {
            let client = client(&context);
            client.connect(address);
            client.send(&[b"hello"]);
            client
        })
        .collect();
    let requests: Vec<_> = clients.iter().map(|_| router.recv()).collect();
    for _ in 0..10 {
        assert!(service.check().is_empty());
    }
    assert!(server.try_recv().is_none());
    // The answers may come in any order.
    for request in requests.iter().rev() {
        router.send(&[&request[0], b"", b"1.0", b"1", b"200", b"", b"joe", b""]);
    }
    for _ in &clients {
        assert_eq!(server.recv(), [b"hello"]);
    }
}

#[test]
fn an_enforced_domain() {
    let context = Context::new();
    let keys = Pair::new();
    // CURVE without a domain: nobody is asked, everybody with a key gets in.
    let server = context.socket(c::ZMQ_PULL);
    serve_curve(&server, &keys);
    server.set(c::ZMQ_ZAP_ENFORCE_DOMAIN, 1);
    let address = server.listen();
    let handler = Handler::that_says(&context, answer("400", "", b""));
    let curve_client = || {
        let own = Pair::new();
        let client = client(&context);
        client.set_bytes(c::ZMQ_CURVE_SERVERKEY, &keys.public);
        client.set_bytes(c::ZMQ_CURVE_PUBLICKEY, &own.public);
        client.set_bytes(c::ZMQ_CURVE_SECRETKEY, own.secret.bytes());
        client
    };
    let client = curve_client();
    client.connect(address);
    client.send(&[b"hello"]);
    assert_eq!(server.recv(), [b"hello"]);
    assert_eq!(handler.unseen(), 0);
    drop(handler);

    // With one, and no handler: nobody gets in, and the connection is left alone.
    const PATIENCE_MS: i32 = 300;
    let server = context.socket(c::ZMQ_PULL);
    serve_curve(&server, &keys);
    server.set_bytes(c::ZMQ_ZAP_DOMAIN, b"global");
    server.set(c::ZMQ_ZAP_ENFORCE_DOMAIN, 1);
    server.set(c::ZMQ_HANDSHAKE_IVL, PATIENCE_MS);
    let address = server.listen();
    let monitor = server.watch(&context);
    let client = curve_client();
    client.connect(address);
    let nobody = (c::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, libc::EFAULT as u64);
    assert_eq!(monitor.story(), [nobody]);
    assert!(server.try_recv().is_none());
}

/// Questions whose sockets go away while the handler thinks.
#[test]
fn closing_while_the_handler_thinks() {
    let context = Context::new();
    let router = context.socket(c::ZMQ_ROUTER);
    router.api().bind("inproc://zeromq.zap.01").expect("a free name");
    for _ in 0..20 {
        let server = guarded(&context);
        let address = server.listen();
        let client = client(&context);
        client.connect(address);
        let request = router.recv();
        drop(server);
        drop(client);
        // Nobody is there any more; a ROUTER drops it.
        let parts: [&[u8]; 8] = [&request[0], b"", b"1.0", b"1", b"200", b"", b"", b""];
        let _dropped = router.try_send(&parts, 0);
    }
}
