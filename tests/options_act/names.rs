//! Names that stand for several addresses.

use std::ffi::CString;
use std::fs;
use std::net::{TcpListener, ToSocketAddrs};

use zmq::base::constants as c;

use crate::support::Scratch;
use crate::support::alone::alone;
use crate::support::local::Context;

const NAME: &str = "several.test";

/// In a view of the file system of this process's own, NAME has these addresses. False where that is not allowed.
fn name_has(addresses: &[&str]) -> bool {
    let scratch = Scratch::new("hosts").expect("a folder");
    let file = scratch.path().join("hosts");
    let lines: Vec<String> =
        addresses.iter().map(|address| format!("{address} {NAME}\n")).collect();
    fs::write(&file, lines.concat()).expect("a file");
    let text = |text: &str| CString::new(text).expect("no NUL");
    let [own, hosts, root] = [&file.display().to_string(), "/etc/hosts", "/"].map(text);
    let none = std::ptr::null();
    // SAFETY: takes a number; this process has one thread that matters.
    let alone = unsafe { libc::unshare(libc::CLONE_NEWNS) } == 0;
    let private = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: texts that end, and no data.
    let apart = || unsafe { libc::mount(none, root.as_ptr(), none, private, none.cast()) } == 0;
    // SAFETY: the same.
    let bound = || unsafe {
        libc::mount(own.as_ptr(), hosts.as_ptr(), none, libc::MS_BIND, none.cast()) == 0
    };
    alone && apart() && bound()
}

/// One after the other, without waiting in between: the next attempt begins when all have failed.
#[test]
fn every_address_of_a_name_is_tried() {
    alone(|| {
        if !name_has(&["127.0.0.2", "127.0.0.3", "127.0.0.4"]) {
            println!("skipped: this process may not have a hosts file of its own");
            return;
        }
        let order: Vec<_> = (NAME, 9).to_socket_addrs().expect("addresses").collect();
        assert_eq!(order.len(), 3, "{order:?}");
        // The last one answers; the others refuse.
        let listener = TcpListener::bind((order[2].ip(), 0)).expect("a port");
        let port = listener.local_addr().expect("its address").port();
        for (reaches, endings) in [(true, 2), (false, 3)] {
            let context = Context::new();
            let socket = context.socket(c::ZMQ_PUSH);
            let events = socket.watch(&context);
            // An attempt that waits would not be seen again in this test.
            socket.set(c::ZMQ_RECONNECT_IVL, 1_000_000);
            let port = if reaches { port } else { 1 };
            socket.api().connect(&format!("tcp://{NAME}:{port}")).expect("a connect");
            let mut codes = Vec::new();
            let end = [c::ZMQ_EVENT_CONNECTED, c::ZMQ_EVENT_CONNECT_RETRIED];
            while codes.last().is_none_or(|last| !end.contains(last)) {
                codes.push(events.next().code);
            }
            let mut due = [c::ZMQ_EVENT_CONNECT_DELAYED, c::ZMQ_EVENT_CLOSED].repeat(endings);
            due.extend(if reaches {
                vec![c::ZMQ_EVENT_CONNECT_DELAYED, c::ZMQ_EVENT_CONNECTED]
            } else {
                vec![c::ZMQ_EVENT_CONNECT_RETRIED]
            });
            assert_eq!(codes, due);
        }
    });
}

/// Giving up when refused means by all of them.
#[test]
fn one_refusal_is_not_the_end_of_a_name() {
    alone(|| {
        if !name_has(&["127.0.0.2", "127.0.0.3"]) {
            println!("skipped: this process may not have a hosts file of its own");
            return;
        }
        let order: Vec<_> = (NAME, 9).to_socket_addrs().expect("addresses").collect();
        let listener = TcpListener::bind((order[1].ip(), 0)).expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let context = Context::new();
        let socket = context.socket(c::ZMQ_PUSH);
        let events = socket.watch(&context);
        socket.set(c::ZMQ_RECONNECT_STOP, c::ZMQ_RECONNECT_STOP_CONN_REFUSED);
        socket.api().connect(&format!("tcp://{NAME}:{port}")).expect("a connect");
        events.until(c::ZMQ_EVENT_CONNECTED);
    });
}
