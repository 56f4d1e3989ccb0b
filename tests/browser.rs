//! The WebSocket of browsers, as Node.js has it, talks to our sockets.
//!
//! Skipped, with a word on it, where there is no `node` that knows WebSocket (22, or 20 with a flag).

mod support;

use std::process::{Command, Stdio};

use support::local::Context;
use zmq::base::Error;
use zmq::base::constants as c;

/// Node with whatever makes it know WebSocket.
fn node() -> Option<Command> {
    [&[][..], &["--experimental-websocket"]].into_iter().find_map(|flags| {
        let known = Command::new("node")
            .args(flags)
            .args(["-e", "process.exit(typeof WebSocket === 'function' ? 0 : 1)"])
            .stderr(Stdio::null())
            .status();
        known.is_ok_and(|status| status.success()).then(|| {
            let mut node = Command::new("node");
            node.args(flags);
            node
        })
    })
}

#[test]
fn a_page_talks_to_router_and_publisher() {
    let Some(mut node) = node() else {
        eprintln!("skipped: no node with WebSocket on this machine (Node.js 20.10 or newer)");
        return;
    };
    let context = Context::new();
    let [router, publisher] = [c::ZMQ_ROUTER, c::ZMQ_XPUB].map(|kind| {
        let socket = context.socket(kind);
        socket.api().bind("ws://127.0.0.1:*/page").expect("a free port");
        socket.set(c::ZMQ_RCVTIMEO, 10);
        socket
    });
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/client.mjs");
    let mut page = node
        .args([script, &router.last_endpoint(), &publisher.last_endpoint()])
        .stdout(Stdio::null())
        .spawn()
        .expect("node");
    let mut known = Vec::new();
    let status = loop {
        match router.recv_with(0) {
            Ok(message) => {
                known.push(message[0].clone());
                let parts: Vec<&[u8]> = message.iter().map(Vec::as_slice).collect();
                router.send(&parts);
            }
            Err(Error::Again) => {}
            Err(error) => panic!("router: {error}"),
        }
        if let Some(subscription) = publisher.try_recv()
            && let Some(topic) = subscription[0].strip_prefix(b"\x01")
        {
            publisher.send(&[b"nobody asked for this"]);
            publisher.send(&[&[topic, b" and more"].concat()]);
        }
        if let Some(status) = page.try_wait().expect("a child") {
            break status;
        }
    };
    assert!(status.success(), "the page's complaint is above");
    known.dedup();
    assert_eq!(known.len(), 2);
    assert_eq!(known[0], b"page");
    assert_eq!(known[1][0], 0, "a name of our making");
}
