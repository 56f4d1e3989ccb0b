//! Peers that speak older ZMTP: 1.0 without and with a version, 2.0 and 3.0, byte by byte on plain sockets.
//!
//! The library's side is `ctest/interop/peer.c`; this side is written down as the bytes that go each way.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::{Duration, Instant};

use support::Scratch;
use support::peer::{Peer, Peers, Side, words};

const PATIENCE: Duration = Duration::from_secs(10);

/// Signature without a routing id: FF, eight bytes of length, 7F.
const SIGNATURE: &[u8] = b"\xff\0\0\0\0\0\0\0\x01\x7f";

/// Numbers of the socket types as ZMTP 2.0 and the library's own ABI have them.
const PUB: u8 = 1;
const SUB: u8 = 2;
const REQ: u8 = 3;
const REP: u8 = 4;
const DEALER: u8 = 5;
const ROUTER: u8 = 6;
const PULL: u8 = 7;
const PUSH: u8 = 8;
const XPUB: u8 = 9;

#[test]
fn zmtp_3_0_pull_takes_short_long_and_multipart_frames() {
    let long = "x".repeat(256);
    let limit = "y".repeat(255);
    let script = format!("send hello send {limit} send {long} send a++b");
    let (mut wire, library) = accept_from("socket push", &script);
    wire.greet_3(0, "PULL", "PUSH");
    wire.expect(b"\x00\x05hello");
    wire.expect(&[b"\x00\xff", limit.as_bytes()].concat());
    wire.expect(&[b"\x02\0\0\0\0\0\0\x01\0", long.as_bytes()].concat());
    wire.expect(b"\x01\x01a\x01\x00\x00\x01b");
    library.finish();
}

#[test]
fn zmtp_3_0_push_in_single_bytes() {
    let (mut wire, library) = accept_from("socket pull", "recv hello recv a++b recv long");
    wire.single_bytes = true;
    wire.greet_3(0, "PUSH", "PULL");
    wire.send(b"\x00\x05hello");
    wire.send(b"\x01\x01a\x01\x00\x00\x01b");
    wire.send(b"\x02\0\0\0\0\0\0\0\x04long"); // a long frame may be short
    library.finish();
}

/// A peer need not wait for the library at any step: all of it may arrive at once.
#[test]
fn everything_in_one_write() {
    let mut greeting = SIGNATURE.to_vec();
    greeting.extend(b"\x03\x00NULL");
    greeting.resize(64, 0);
    let hello = b"\x00\x05hello";
    let connected = [greeting.as_slice(), &ready("PUSH", false), hello, hello].concat();
    for _ in 0..20 {
        let (mut wire, library) = accept_from("socket pull", "recv hello recv hello");
        wire.send(&connected);
        library.finish();

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let script = format!("socket pull bind tcp://{address} recv hello recv hello");
        let library = Library::start(Scratch::new("old").unwrap(), &script);
        let mut wire = Wire::new(connect(address));
        wire.send(&connected);
        library.finish();
    }
}

/// The last step of the handshake and the first messages come in one segment.
#[test]
fn ready_and_messages_in_one_write() {
    for _ in 0..20 {
        let (mut wire, library) = accept_from("socket dealer", "recv hello recv hello send answer");
        wire.greet(0);
        wire.expect(&ready("DEALER", true));
        let hello = b"\x00\x05hello";
        wire.send(&[ready("DEALER", true).as_slice(), hello, hello].concat());
        wire.expect(b"\x00\x06answer");
        library.finish();
    }
}

#[test]
fn zmtp_3_0_subscriber_sends_messages_and_3_1_commands() {
    let script = r"recv \x01A send A1 recv \x00A send A2 recv \x01 send x+y";
    for (minor, subscribe, cancel, all) in [
        (0, b"\x00\x02\x01A".as_slice(), b"\x00\x02\x00A".as_slice(), b"\x00\x01\x01".as_slice()),
        (1, b"\x04\x0b\x09SUBSCRIBEA", b"\x04\x08\x06CANCELA", b"\x04\x0a\x09SUBSCRIBE"),
    ] {
        let (mut wire, library) = accept_from("socket xpub", script);
        wire.greet_3(minor, "SUB", "XPUB");
        wire.send(subscribe);
        wire.expect(b"\x00\x02A1");
        wire.send(cancel);
        wire.send(all);
        // Whether A2 is still filtered out depends on when the last subscription is read: both are right.
        if wire.next_frame() == b"A2" {
            assert_eq!(wire.next_frame(), b"x");
        }
        wire.expect(b"\x00\x01y");
        library.finish();
    }
}

#[test]
fn subscriptions_are_sent_as_the_publisher_understands_them() {
    let forms: [(u8, &[u8], &[u8]); 2] = [
        (0, b"\x00\x02\x01A", b"\x00\x02\x00A"),
        (1, b"\x04\x0b\x09SUBSCRIBEA", b"\x04\x08\x06CANCELA"),
    ];
    for (minor, subscribe, cancel) in forms {
        let (mut wire, library) =
            accept_from("socket sub text 6 A", "recv A1 text 7 A text 6 B recv B1");
        wire.greet_3(minor, "PUB", "SUB");
        wire.expect(subscribe);
        wire.send(b"\x00\x02A1");
        wire.expect(cancel);
        let (head, topic) = subscribe.split_at(subscribe.len() - 1);
        assert_eq!(topic, b"A");
        wire.expect(&[head, b"B"].concat());
        wire.send(b"\x00\x02A2\x00\x02B1"); // the first is filtered out by the subscriber
        library.finish();
    }
}

#[test]
fn zmtp_2_0_dealer_talks_to_router() {
    let (mut wire, library) =
        accept_from("socket router text 5 srv", "recv old+hello+there send old+hi+ send old+bye");
    wire.greet_2(4, DEALER, ROUTER); // the signature counts the routing id "srv" and one
    wire.expect(b"\x00\x03srv");
    wire.send(b"\x00\x03old");
    wire.send(b"\x01\x05hello\x00\x05there");
    wire.expect(b"\x01\x02hi\x00\x00\x00\x03bye");
    library.finish();
}

#[test]
fn zmtp_2_0_request_and_reply() {
    let (mut wire, library) = accept_from("socket req", "send question recv answer");
    wire.greet_2(1, REP, REQ);
    wire.expect(b"\x00\x00");
    wire.send(b"\x00\x00");
    wire.expect(b"\x01\x00\x00\x08question");
    wire.send(b"\x01\x00\x00\x06answer");
    library.finish();
}

#[test]
fn zmtp_2_0_publish_and_subscribe() {
    let (mut wire, library) = accept_from("socket xpub", r"recv \x01A send B1 send A1+rest");
    wire.greet_2(1, SUB, XPUB);
    wire.expect(b"\x00\x00");
    wire.send(b"\x00\x00\x00\x02\x01A");
    wire.expect(b"\x01\x02A1\x00\x04rest");
    library.finish();

    let (mut wire, library) = accept_from("socket sub text 6 A", "recv A1");
    wire.greet_2(1, PUB, SUB);
    wire.expect(b"\x00\x00");
    wire.expect(b"\x00\x02\x01A");
    wire.send(b"\x00\x00\x00\x02B1\x00\x02A1");
    library.finish();
}

#[test]
fn zmtp_2_0_long_frames() {
    let long = "x".repeat(300);
    let (mut wire, library) = accept_from("socket push", &format!("send {long}"));
    wire.greet_2(1, PULL, PUSH);
    wire.expect(b"\x00\x00");
    wire.send(b"\x00\x00");
    wire.expect(&[b"\x02\0\0\0\0\0\0\x01\x2c", long.as_bytes()].concat());
    library.finish();

    let (mut wire, library) = accept_from("socket pull", &format!("recv {long}+end"));
    wire.greet_2(1, PUSH, PULL);
    wire.expect(b"\x00\x00");
    wire.send(b"\x00\x00");
    wire.send(&[b"\x03\0\0\0\0\0\0\x01\x2c", long.as_bytes(), b"\x00\x03end"].concat());
    library.finish();
}

#[test]
fn zmtp_1_0_dealer_talks_to_router() {
    let (mut wire, library) =
        accept_from("socket router text 5 srv", "recv old+hello+there send old+hi+ send old+bye");
    // Its routing id is a frame: length with the flags, flags, body. The library's signature is a frame header too,
    // for its own routing id, which follows.
    wire.send(b"\x04\x00old");
    wire.expect(b"\xff\0\0\0\0\0\0\0\x04\x7fsrv");
    wire.send(b"\x06\x01hello\x06\x00there");
    wire.expect(b"\x03\x01hi\x01\x00\x04\x00bye");
    library.finish();
}

#[test]
fn zmtp_1_0_in_single_bytes_with_long_frames() {
    let long = "x".repeat(300);
    let (mut wire, library) = accept_from("socket pair", &format!("recv {long}+end send {long}"));
    wire.single_bytes = true;
    wire.send(b"\x01\x00");
    wire.expect(SIGNATURE);
    wire.send(&[b"\xff\0\0\0\0\0\0\x01\x2d\x01", long.as_bytes(), b"\x04\x00end"].concat());
    wire.expect(&[b"\xff\0\0\0\0\0\0\x01\x2d\x00", long.as_bytes()].concat());
    library.finish();
}

#[test]
fn zmtp_1_0_subscriber_without_a_version_gets_everything() {
    // XPUB tells its user of the subscription that it assumes.
    let (mut wire, library) = accept_from("socket xpub", r"recv \x01 send A1 send B1");
    wire.send(b"\x01\x00");
    wire.expect(SIGNATURE);
    wire.expect(b"\x03\x00A1\x03\x00B1");
    library.finish();
}

#[test]
fn zmtp_1_0_publisher_gets_subscriptions_as_messages() {
    let (mut wire, library) = accept_from("socket sub text 6 A", "recv A1");
    wire.send(b"\x01\x00");
    wire.expect(SIGNATURE);
    wire.expect(b"\x03\x00\x01A");
    wire.send(b"\x03\x00B1\x03\x00A1");
    library.finish();
}

#[test]
fn zmtp_1_0_with_a_signature() {
    let (mut wire, library) = accept_from("socket dealer text 5 abc", "send hello recv world");
    wire.expect(b"\xff\0\0\0\0\0\0\0\x04\x7f");
    wire.send(SIGNATURE);
    wire.expect(b"\x03");
    wire.send(&[0, ROUTER]);
    wire.expect(&[DEALER]);
    wire.send(b"\x01\x00");
    wire.expect(b"\x04\x00abc\x06\x00hello");
    wire.send(b"\x06\x00world");
    library.finish();
}

#[test]
fn reconnecting_to_an_older_peer_over_ipc() {
    let folder = Scratch::new("old").unwrap();
    let path = folder.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let library = Library::start(
        folder,
        &format!("socket pull connect ipc://{} recv new recv old", path.display()),
    );
    let mut wire = Wire::new(listener.accept().unwrap().0);
    wire.greet_3(0, "PUSH", "PULL");
    wire.send(b"\x00\x03new");
    drop(wire);
    let mut wire = Wire::new(listener.accept().unwrap().0);
    wire.send(b"\x01\x00\x04\x00old");
    wire.expect(SIGNATURE);
    library.finish();
}

#[test]
fn all_generations_at_one_socket() {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let connects = listeners
        .each_ref()
        .map(|l| format!("connect tcp://{}", l.local_addr().unwrap()))
        .join(" ");
    let library =
        Library::start(Scratch::new("old").unwrap(), &format!("socket rep {connects} echo 3"));
    let [mut first, mut second, mut third] = listeners.map(|l| Wire::new(l.accept().unwrap().0));
    first.send(b"\x01\x00");
    first.expect(SIGNATURE);
    second.greet_2(1, REQ, REP);
    second.send(b"\x00\x00");
    second.expect(b"\x00\x00");
    third.greet_3(0, "REQ", "REP");
    first.send(b"\x01\x01\x04\x00one");
    first.expect(b"\x01\x01\x04\x00one");
    second.send(b"\x01\x00\x00\x03two");
    second.expect(b"\x01\x00\x00\x03two");
    third.send(b"\x01\x00\x00\x05three");
    third.expect(b"\x01\x00\x00\x05three");
    library.finish();
}

/// Starts the library's side, connecting to a port of ours, and gives the accepted connection.
fn accept_from(socket: &str, script: &str) -> (Wire, Library) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let script = format!("{socket} connect tcp://{address} {script}");
    let library = Library::start(Scratch::new("old").unwrap(), &script);
    (Wire::new(listener.accept().unwrap().0), library)
}

/// Connects to the library's side, which may still be on its way to listening.
fn connect(address: SocketAddr) -> TcpStream {
    let began = Instant::now();
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => return stream,
            Err(e) => assert!(began.elapsed() < PATIENCE, "{address}: {e}"),
        }
        thread::yield_now();
    }
}

/// The process that runs the library.
struct Library {
    peer: Peer,
    _folder: Scratch,
}

impl Library {
    fn start(folder: Scratch, script: &str) -> Library {
        let peer = Peers::new()
            .unwrap()
            .start(Side::Ours, "library", &words(script), folder.path())
            .unwrap();
        Library { peer, _folder: folder }
    }

    fn finish(self) {
        if let Err(why) = self.peer.finish() {
            panic!("{why}");
        }
    }
}

/// What a connection is made of.
trait Stream: Read + Write {}

impl Stream for TcpStream {}
impl Stream for UnixStream {}

/// A connection on which bytes are sent and expected.
struct Wire {
    stream: Box<dyn Stream>,
    single_bytes: bool,
}

impl Wire {
    fn new(stream: impl Into<Wire>) -> Wire {
        stream.into()
    }

    /// The whole greeting and handshake of ZMTP 3 with NULL.
    fn greet_3(&mut self, minor: u8, own_type: &str, its_type: &str) {
        self.greet(minor);
        let identity = ["REQ", "DEALER", "ROUTER"].contains(&its_type);
        self.expect(&ready(its_type, identity));
        self.send(&ready(own_type, false));
    }

    /// The greeting of ZMTP 3, as the library answers it step by step.
    fn greet(&mut self, minor: u8) {
        let mut rest = [0; 53];
        rest[1..5].copy_from_slice(b"NULL");
        self.expect(SIGNATURE);
        self.send(SIGNATURE);
        self.expect(b"\x03");
        rest[0] = 1;
        self.send(b"\x03");
        self.expect(&rest);
        rest[0] = minor;
        self.send(&rest);
    }

    /// The greeting of ZMTP 2.0: `length` is what the library's signature holds, the types are numbers.
    fn greet_2(&mut self, length: u8, own_type: u8, its_type: u8) {
        let mut signature = SIGNATURE.to_vec();
        signature[8] = length;
        self.expect(&signature);
        self.send(SIGNATURE);
        self.expect(b"\x03");
        self.send(&[1]);
        self.expect(&[its_type]);
        self.send(&[own_type]);
    }

    fn send(&mut self, bytes: &[u8]) {
        let size = if self.single_bytes { 1 } else { bytes.len() };
        for piece in bytes.chunks(size) {
            self.stream.write_all(piece).unwrap();
        }
    }

    fn expect(&mut self, bytes: &[u8]) {
        let mut got = vec![0; bytes.len()];
        let mut filled = 0;
        while filled < got.len() {
            match self.stream.read(&mut got[filled..]) {
                Ok(count @ 1..) => filled += count,
                end => panic!(
                    "{end:?} after {:?}, expected {:?}",
                    got[..filled].escape_ascii().to_string(),
                    bytes.escape_ascii().to_string()
                ),
            }
        }
        assert_eq!(got.escape_ascii().to_string(), bytes.escape_ascii().to_string());
    }

    /// The body of the next short frame of ZMTP 2 or 3.
    fn next_frame(&mut self) -> Vec<u8> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).unwrap();
        let mut body = vec![0; usize::from(head[1])];
        self.stream.read_exact(&mut body).unwrap();
        body
    }
}

impl From<TcpStream> for Wire {
    fn from(stream: TcpStream) -> Wire {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap(); // so that single bytes travel one by one
        Wire { stream: Box::new(stream), single_bytes: false }
    }
}

impl From<UnixStream> for Wire {
    fn from(stream: UnixStream) -> Wire {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Wire { stream: Box::new(stream), single_bytes: false }
    }
}

/// A READY command: the socket type, and an empty routing id where the type sends one.
fn ready(socket_type: &str, identity: bool) -> Vec<u8> {
    let mut body = b"\x05READY".to_vec();
    let mut property = |name: &str, value: &str| {
        body.push(u8::try_from(name.len()).unwrap());
        body.extend(name.as_bytes());
        body.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        body.extend(value.as_bytes());
    };
    property("Socket-Type", socket_type);
    if identity {
        property("Identity", "");
    }
    [&[4, u8::try_from(body.len()).unwrap()], body.as_slice()].concat()
}
