//! LINGER: what happens to queued messages at close, disconnect and unbind, and how long that takes.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::{Duration, Instant};

use zmq::base::constants as c;

use super::util::{DeadPort, fill, ms};
use crate::support::Scratch;
use crate::support::local::{Context, PATIENCE, Socket};
use crate::support::raw::Raw;

/// What "at once" is on a machine that is busy with other things.
const AT_ONCE: Duration = Duration::from_secs(10);

/// Where the queued messages are to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A peer took the connection and does not read.
    Connected,
    /// Such a peer came to us.
    Accepted,
    /// Nobody answers.
    Nobody,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Tcp,
    Ipc,
}

/// A pusher with more in its queue than the kernel takes, where there is a peer; and what keeps it so.
struct Stuck {
    socket: Option<Socket>,
    peer: Peer,
    sent: usize,
    /// Last, as it waits for the sockets.
    context: Context,
}

enum Peer {
    Tcp(Raw),
    DeadTcp(DeadPort),
    /// The genuine article, as nothing raw speaks ipc here: a puller at its mark in another context.
    Ours(Socket, Context),
    DeadIpc(String),
}

const BODY: usize = 4096;

fn stuck(transport: Transport, state: State, scratch: &Scratch) -> Stuck {
    let context = Context::new();
    let socket = context.socket(c::ZMQ_PUSH);
    socket.set(c::ZMQ_SNDHWM, 100);
    socket.set(c::ZMQ_SNDBUF, 4096);
    socket.set(c::ZMQ_RECONNECT_IVL, 1);
    let path = format!("ipc://{}", scratch.path().join("x").display());
    let peer = match (transport, state) {
        (Transport::Tcp, State::Connected) => {
            let (listener, address) = small_listener();
            socket.connect(address);
            let mut peer = Raw::accept(&listener);
            peer.greet("PULL");
            Peer::Tcp(peer)
        }
        (Transport::Tcp, State::Accepted) => {
            let mut peer = Raw::connect(socket.listen());
            peer.greet("PULL");
            Peer::Tcp(peer)
        }
        (Transport::Tcp, State::Nobody) => {
            let dead = DeadPort::new();
            socket.connect(dead.address);
            Peer::DeadTcp(dead)
        }
        (Transport::Ipc, State::Nobody) => {
            socket.api().connect(&path).expect("a connect");
            Peer::DeadIpc(path)
        }
        (Transport::Ipc, _) => {
            let other = Context::new();
            let puller = other.socket(c::ZMQ_PULL);
            puller.set(c::ZMQ_RCVHWM, 1);
            let (binds, connects) =
                if state == State::Accepted { (&socket, &puller) } else { (&puller, &socket) };
            binds.api().bind(&path).expect("a bind");
            connects.api().connect(&path).expect("a connect");
            Peer::Ours(puller, other)
        }
    };
    let mut sent = 0;
    if state == State::Nobody {
        sent = fill(&socket, 50);
        assert_eq!(sent, 50);
    } else {
        // Until neither the kernel nor the queue takes any more.
        let body = [7; BODY];
        socket.set(c::ZMQ_SNDTIMEO, 300);
        while socket.try_send(&[&body], 0).is_ok() {
            sent += 1;
        }
        assert!(sent >= 100);
    }
    Stuck { socket: Some(socket), peer, sent, context }
}

fn small_listener() -> (TcpListener, std::net::SocketAddr) {
    let dead = DeadPort::new();
    let address = dead.address;
    (dead.listen(), address)
}

impl Peer {
    /// Reads until the other side hangs up: how many messages there were.
    fn drain(self) -> usize {
        match self {
            Peer::Tcp(peer) => whole_frames(peer),
            Peer::DeadTcp(dead) => {
                let listener = dead.listen();
                let mut peer = Raw::accept(&listener);
                peer.greet("PULL");
                whole_frames(peer)
            }
            Peer::Ours(puller, context) => {
                let count = until_quiet(&puller);
                drop((puller, context));
                count
            }
            Peer::DeadIpc(path) => {
                // As a file whose name the caller tries again and again.
                let listener =
                    UnixListener::bind(path.trim_start_matches("ipc://")).expect("a bind");
                drop(listener);
                let context = Context::new();
                let puller = context.socket(c::ZMQ_PULL);
                puller.api().bind(&path).expect("a bind");
                let count = (0..50).filter(|_| puller.recv_with(0).is_ok()).count();
                drop(puller);
                count
            }
        }
    }
}

fn whole_frames(mut peer: Raw) -> usize {
    let mut count = 0;
    loop {
        let mut first = [0];
        match std::io::Read::read(&mut peer.0, &mut first) {
            Ok(0) => return count,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return count,
            Err(error) => panic!("read: {error}"),
        }
        let len = if first[0] & 2 == 0 {
            usize::from(peer.take(1)[0])
        } else {
            u64::from_be_bytes(*peer.take(8).first_chunk().expect("eight bytes")) as usize
        };
        peer.take(len);
        count += 1;
    }
}

fn until_quiet(puller: &Socket) -> usize {
    puller.set(c::ZMQ_RCVTIMEO, 1000);
    let mut count = 0;
    while puller.recv_with(0).is_ok() {
        count += 1;
    }
    count
}

fn each(check: impl Fn(Transport, State, Stuck)) {
    for transport in [Transport::Tcp, Transport::Ipc] {
        for state in [State::Connected, State::Accepted, State::Nobody] {
            let scratch = Scratch::new("li").expect("a folder");
            check(transport, state, stuck(transport, state, &scratch));
        }
    }
}

#[test]
fn with_0_everything_is_dropped_at_once() {
    each(|transport, state, mut stuck| {
        let began = Instant::now();
        stuck.socket.as_ref().expect("a socket").set(c::ZMQ_LINGER, 0);
        stuck.socket = None;
        drop(stuck.context);
        assert!(began.elapsed() < AT_ONCE, "{transport:?} {state:?}");
        if let Peer::Tcp(peer) = stuck.peer {
            assert!(whole_frames_or_cut(peer) < stuck.sent, "{state:?}");
        }
    });
}

/// As [`whole_frames`], where the last one may be cut off.
fn whole_frames_or_cut(mut peer: Raw) -> usize {
    let mut bytes = Vec::new();
    let _may_be_reset = std::io::Read::read_to_end(&mut peer.0, &mut bytes);
    bytes.len() / (BODY + 9)
}

#[test]
fn with_a_time_it_takes_that_time() {
    const LINGER: i32 = 250;
    each(|transport, state, mut stuck| {
        stuck.socket.as_ref().expect("a socket").set(c::ZMQ_LINGER, LINGER);
        let began = Instant::now();
        stuck.socket = None;
        drop(stuck.context);
        let took = began.elapsed();
        assert!(took >= ms(LINGER as u64) && took < AT_ONCE, "{transport:?} {state:?}: {took:?}");
    });
}

#[test]
fn with_a_time_that_suffices_everything_arrives() {
    each(|transport, state, mut stuck| {
        let linger = i32::try_from(PATIENCE.as_millis()).expect("a time");
        stuck.socket.as_ref().expect("a socket").set(c::ZMQ_LINGER, linger);
        stuck.socket = None;
        let sent = stuck.sent;
        let ending = thread::spawn(move || drop(stuck.context));
        assert_eq!(stuck.peer.drain(), sent, "{transport:?} {state:?}");
        let began = Instant::now();
        ending.join().expect("an end");
        assert!(began.elapsed() < PATIENCE / 2, "{transport:?} {state:?}: it waits on");
    });
}

#[test]
fn with_minus_1_everything_arrives_however_long_it_takes() {
    each(|transport, state, mut stuck| {
        stuck.socket.as_ref().expect("a socket").set(c::ZMQ_LINGER, -1);
        stuck.socket = None;
        let sent = stuck.sent;
        let ending = thread::spawn(move || drop(stuck.context));
        assert_eq!(stuck.peer.drain(), sent, "{transport:?} {state:?}");
        ending.join().expect("an end");
    });
}

#[test]
fn with_nothing_queued_nobody_waits() {
    let scratch = Scratch::new("li").expect("a folder");
    let nowhere = format!("ipc://{}", scratch.path().join("x").display());
    for linger in [-1, 60_000, 0] {
        let began = Instant::now();
        let context = Context::new();
        let socket = context.socket(c::ZMQ_PUSH);
        socket.set(c::ZMQ_LINGER, linger);
        let dead = DeadPort::new();
        socket.connect(dead.address);
        socket.api().connect(&nowhere).expect("a connect");
        let mut peer = Raw::connect(socket.listen());
        peer.greet("PULL");
        drop(socket);
        drop(context);
        assert!(began.elapsed() < AT_ONCE, "{linger}");
    }
}

#[test]
fn inproc_ignores_it() {
    for linger in [0, 100, -1] {
        let began = Instant::now();
        let context = Context::new();
        let puller = context.socket(c::ZMQ_PULL);
        puller.api().bind("inproc://a").expect("a bind");
        let pusher = context.socket(c::ZMQ_PUSH);
        pusher.set(c::ZMQ_LINGER, linger);
        pusher.api().connect("inproc://a").expect("a connect");
        pusher.send(&[b"stays"]);
        drop(pusher);
        assert_eq!(puller.recv(), [b"stays"], "{linger}");
        // Nobody ever bound this name.
        let lost = context.socket(c::ZMQ_PUSH);
        lost.set(c::ZMQ_LINGER, linger);
        lost.api().connect("inproc://nowhere").expect("a connect");
        lost.send(&[b"lost"]);
        drop(lost);
        drop(puller);
        drop(context);
        assert!(began.elapsed() < AT_ONCE, "{linger}");
    }
}

#[test]
fn disconnect_and_unbind_go_by_the_value_of_that_moment() {
    // LINGER when bound or connected, when let go; whether the messages arrive.
    for (before, then, arrive) in [(0, -1, true), (-1, 0, false)] {
        for state in [State::Connected, State::Accepted] {
            let scratch = Scratch::new("li").expect("a folder");
            let stuck = stuck(Transport::Tcp, state, &scratch);
            let socket = stuck.socket.as_ref().expect("a socket");
            socket.set(c::ZMQ_LINGER, before);
            socket.set(c::ZMQ_LINGER, then);
            let endpoint = socket.last_endpoint();
            match state {
                State::Accepted => socket.api().unbind(&endpoint).expect("an unbind"),
                _ => socket.api().disconnect(&endpoint).expect("a disconnect"),
            }
            let Peer::Tcp(peer) = stuck.peer else { panic!("a raw peer") };
            if arrive {
                assert_eq!(whole_frames(peer), stuck.sent, "{state:?}");
            } else {
                assert!(whole_frames_or_cut(peer) < stuck.sent, "{state:?}");
            }
            socket.set(c::ZMQ_LINGER, 0);
        }
    }
}
