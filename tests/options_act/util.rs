//! Small things that several files here need.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use zmq::base::Error;
use zmq::base::constants as c;

use crate::support::local::{PATIENCE, Socket};
use crate::support::raw::{self, Raw};

/// A port where nobody listens and nobody else will: bound, but not listening.
pub struct DeadPort {
    _socket: socket2::Socket,
    pub address: SocketAddr,
}

impl DeadPort {
    pub fn new() -> DeadPort {
        let socket = tcp_socket();
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        socket.bind(&any.into()).expect("a bind");
        let address = socket.local_addr().ok().and_then(|own| own.as_socket());
        DeadPort { _socket: socket, address: address.expect("an address") }
    }

    /// From now on somebody listens.
    pub fn listen(self) -> TcpListener {
        self._socket.listen(64).expect("a listen");
        self._socket.into()
    }
}

pub fn tcp_socket() -> socket2::Socket {
    socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket")
}

/// A listener of the test's own.
pub fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// A peer with a routing id, through the handshake.
pub fn greet_as(peer: &mut Raw, socket_type: &str, id: &[u8]) {
    peer.send(&raw::greeting(b"NULL"));
    let body =
        [raw::property(b"Socket-Type", socket_type.as_bytes()), raw::property(b"Identity", id)];
    peer.send(&raw::command("READY", &body.concat()));
    peer.take(64);
    assert!(peer.frame().1.starts_with(b"\x05READY"));
}

/// The parts of the next message on the wire.
pub fn message(peer: &mut Raw) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    loop {
        let (flags, body) = peer.frame();
        if flags & raw::COMMAND != 0 {
            continue;
        }
        parts.push(body);
        if flags & raw::MORE == 0 {
            return parts;
        }
    }
}

/// How many messages a socket takes without waiting, at most `most`.
pub fn fill(socket: &Socket, most: usize) -> usize {
    for n in 0..most {
        match socket.try_send(&[&(n as u32).to_be_bytes()], c::ZMQ_DONTWAIT) {
            Ok(()) => {}
            Err(Error::Again) => return n,
            Err(error) => panic!("send: {error}"),
        }
    }
    most
}

/// Waits until the library's threads have brought something about.
pub fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !happened() {
        assert!(Instant::now() < until, "{what}: not in time");
        std::thread::yield_now();
    }
}

/// What `zmq_poll` would say at once.
pub fn events(socket: &Socket) -> i32 {
    let mut buffer = [0; 4];
    socket.api().option(c::ZMQ_EVENTS, &mut buffer).expect("events");
    i32::from_ne_bytes(buffer)
}

/// Reads an int option.
pub fn int(socket: &Socket, option: i32) -> i32 {
    let mut buffer = [0; 4];
    socket.api().option(option, &mut buffer).expect("an option");
    i32::from_ne_bytes(buffer)
}

pub fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Lets the socket look after its business until the peer hears from it.
pub fn until_heard(socket: &Socket, peer: &Raw) {
    peer.0.set_nonblocking(true).expect("an option");
    eventually("a word", || {
        events(socket);
        peer.0.peek(&mut [0]).is_ok()
    });
    peer.0.set_nonblocking(false).expect("an option");
}
