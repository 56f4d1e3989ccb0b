//! GSSAPI on a machine without a realm: nobody has credentials, and nobody gets in. What a realm is needed for is in
//! `tests/interop_gssapi.rs`.

use zmq::base::constants as c;

use super::plain::dialed;
use crate::support::local::{Context, Socket};
use crate::support::raw::{COMMAND, Raw, command, frame, greeting};

const NO_CREDENTIALS: (i32, u64) = (c::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, libc::EACCES as u64);

/// Somebody of whom no keytab and no cache has ever heard.
const NOBODY: &[u8] = b"nobody/nowhere.invalid@NOWHERE.INVALID";

/// Whether the library is there; without it the options are kept, and nothing runs unprotected.
fn is_there(context: &Context) -> bool {
    let socket = context.socket(c::ZMQ_DEALER);
    socket.set(c::ZMQ_GSSAPI_SERVER, 1);
    match socket.api().bind("tcp://127.0.0.1:0") {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error, zmq::base::Error::NotSupported);
            eprintln!("skipped: no libgssapi_krb5.so.2 on this machine (Debian: libgssapi-krb5-2)");
            false
        }
    }
}

fn named(context: &Context, socket_type: i32) -> Socket {
    let socket = context.socket(socket_type);
    socket.set_bytes(c::ZMQ_GSSAPI_PRINCIPAL, NOBODY);
    socket.set(c::ZMQ_GSSAPI_PRINCIPAL_NAMETYPE, c::ZMQ_GSSAPI_NT_KRB5_PRINCIPAL);
    socket
}

#[test]
fn a_client_without_credentials_says_so_and_tries_again() {
    const PATIENCE_MS: i32 = 100;
    let context = Context::new();
    if !is_there(&context) {
        return;
    }
    let server = context.socket(c::ZMQ_ROUTER);
    server.set(c::ZMQ_GSSAPI_SERVER, 1);
    let address = server.listen();
    let client = named(&context, c::ZMQ_DEALER);
    client.set_bytes(c::ZMQ_GSSAPI_SERVICE_PRINCIPAL, b"zmq@localhost");
    client.set(c::ZMQ_HANDSHAKE_IVL, PATIENCE_MS);
    client.set(c::ZMQ_RECONNECT_IVL, 10);
    let events = client.watch(&context);
    client.connect(address);
    for _ in 0..3 {
        assert_eq!(dialed(&events), [NO_CREDENTIALS]);
    }
    assert!(server.try_recv().is_none());
}

#[test]
fn a_server_without_its_key_lets_nobody_in() {
    let context = Context::new();
    if !is_there(&context) {
        return;
    }
    let server = named(&context, c::ZMQ_PULL);
    server.set(c::ZMQ_GSSAPI_SERVER, 1);
    let address = server.listen();
    let monitor = server.watch(&context);
    let mut peer = Raw::connect(address);
    peer.send(&greeting(b"GSSAPI"));
    peer.send(&command("INITIATE", b"\0\0\0\x05token"));
    peer.expect_end();
    assert_eq!(monitor.story(), [NO_CREDENTIALS]);
}

/// No way around it: other mechanisms, old protocols, commands out of turn.
#[test]
fn who_says_something_else_is_refused() {
    let context = Context::new();
    if !is_there(&context) {
        return;
    }
    let server = named(&context, c::ZMQ_PULL);
    server.set(c::ZMQ_GSSAPI_SERVER, 1);
    let address = server.listen();
    let monitor = server.watch(&context);
    let failed = |code: i32| vec![(c::ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL, code as u64)];
    let ready = [&greeting(b"GSSAPI")[..], &command("READY", b"")].concat();
    let consent = [&greeting(b"GSSAPI")[..], &frame(COMMAND, b"")].concat();
    let message = [&greeting(b"GSSAPI")[..], &frame(0, b"\x07MESSAGE\0\0\0\x01a")].concat();
    let cut = [&greeting(b"GSSAPI")[..], &command("INITIATE", b"\0\0\0\x09token")].concat();
    let old = b"\xff\0\0\0\0\0\0\0\x01\x7f\x01\x08\0\0\0\x05hello".to_vec();
    for (bytes, story) in [
        (greeting(b"NULL"), failed(c::ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)),
        (greeting(b"GSSAPIX"), failed(c::ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)),
        (ready, failed(c::ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND)),
        (message, failed(c::ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND)),
        (consent, failed(c::ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED)),
        (cut, failed(c::ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_INITIATE)),
        (old, Vec::new()),
        (b"\x01\0\x06\0hello".to_vec(), Vec::new()),
    ] {
        let mut peer = Raw::connect(address);
        peer.offer(&bytes);
        peer.expect_end();
        assert_eq!(monitor.story(), story, "{}", bytes.escape_ascii());
    }
    assert!(server.try_recv().is_none());
}
