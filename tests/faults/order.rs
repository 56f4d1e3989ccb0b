//! Who connects first is attached first, and what follows from that is seen after it, also when all of it waits for
//! the I/O thread at once.

use std::ffi::c_void;
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use zmq::base::constants as c;
use zmq::message::Msg;

use crate::support::local::{Context, PATIENCE, Socket};
use crate::support::raw::{Raw, frame, greeting, ready};

/// Everything that a peer says up to the end of its handshake.
fn introduction(socket_type: &str) -> Vec<u8> {
    [greeting(b"NULL"), ready(socket_type)].concat()
}

/// The only I/O thread of a context, in the middle of something. It goes on when this is dropped.
struct Held {
    _go: Sender<()>,
    _used: (Socket, Raw),
}

/// What is sent to keep the I/O thread, and what it waits for when it has sent it.
struct Burden {
    bytes: Vec<u8>,
    reached: Sender<thread::ThreadId>,
    go: Receiver<()>,
}

extern "C" fn wait_here(_data: *mut c_void, hint: *mut c_void) {
    // SAFETY: the hint is a box that `hold` gave away for this one call.
    let burden = unsafe { Box::from_raw(hint.cast::<Burden>()) };
    burden.reached.send(thread::current().id()).expect("somebody waits for it");
    assert_eq!(
        burden.go.recv_timeout(PATIENCE),
        Err(std::sync::mpsc::RecvTimeoutError::Disconnected)
    );
}

/// Makes the I/O thread release a message whose owner does not let go of it. More than the kernel takes, so that the
/// I/O thread sends the rest.
fn hold(context: &Context) -> Held {
    const SIZE: usize = 32 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let push = context.socket(c::ZMQ_PUSH);
    push.connect(listener.local_addr().expect("an address"));
    let mut peer = Raw::accept(&listener);
    peer.greet("PULL");
    let (reached, arrivals) = channel();
    let (release, go) = channel();
    let mut burden = Box::new(Burden { bytes: vec![0; SIZE], reached, go });
    let data = burden.bytes.as_mut_ptr().cast();
    let hint = Box::into_raw(burden).cast();
    // SAFETY: the bytes stay where they are until `wait_here` frees them, and nobody else has them.
    let msg = unsafe { Msg::foreign(data, SIZE, Some(wait_here), hint) };
    push.api().send(&mut msg.expect("a message"), c::ZMQ_DONTWAIT).expect("room");
    assert_eq!(peer.frame().1.len(), SIZE);
    let who = arrivals.recv_timeout(PATIENCE).expect("the I/O thread");
    assert_ne!(who, thread::current().id());
    Held { _go: release, _used: (push, peer) }
}

#[test]
fn who_connects_first_is_attached_first() {
    const PEERS: u8 = 40;
    let context = Context::new();
    let push = context.socket(c::ZMQ_PUSH);
    let address = push.listen();
    let monitor = push.watch(&context);
    let held = hold(&context);
    let mut peers: Vec<Raw> = (0..PEERS)
        .map(|_| {
            let mut peer = Raw::connect(address);
            peer.send(&introduction("PULL"));
            peer
        })
        .collect();
    drop(held);
    for _ in &peers {
        monitor.until(c::ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    }
    // They take turns in the order in which they were attached.
    (0..PEERS).for_each(|n| push.send(&[&[n]]));
    for (n, peer) in (0..).zip(&mut peers) {
        peer.take(64);
        assert!(peer.frame().1.starts_with(b"\x05READY"));
        assert_eq!(peer.frame().1, [n]);
    }
}

#[test]
fn what_an_older_connection_brings_does_not_overtake_a_newer_one() {
    for _ in 0..5 {
        let context = Context::new();
        let (push, pull) = (context.socket(c::ZMQ_PUSH), context.socket(c::ZMQ_PULL));
        let address = push.listen();
        let mut messenger = Raw::connect(pull.listen());
        messenger.greet("PUSH");
        messenger.send(&frame(0, b"here"));
        assert_eq!(pull.recv(), [b"here"]);
        // From now on its callers leave the reading to the I/O thread.
        pull.api().option(c::ZMQ_FD, &mut [0; 4]).expect("a descriptor");
        assert_eq!(pull.try_recv(), None);
        messenger.expect_alive();
        let held = hold(&context);
        let mut worker = Raw::connect(address);
        worker.send(&introduction("PULL"));
        messenger.send(&frame(0, b"a worker has come"));
        drop(held);
        assert_eq!(pull.recv(), [b"a worker has come"]);
        push.try_send(&[b"work"], c::ZMQ_DONTWAIT).expect("the worker");
        worker.take(64);
        assert!(worker.frame().1.starts_with(b"\x05READY"));
        assert_eq!(worker.frame().1, b"work");
    }
}
