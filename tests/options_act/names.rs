//! Names that stand for several addresses.

use std::ffi::CString;
use std::fs;
use std::net::{TcpListener, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use zmq::base::constants as c;

use crate::support::Scratch;
use crate::support::alone::alone;
use crate::support::local::{Context, PATIENCE, Socket};

const NAME: &str = "several.test";

/// In a view of the file system of this process's own, NAME has these addresses. False where that is not allowed.
fn name_has(addresses: &[&str]) -> bool {
    let lines: Vec<String> =
        addresses.iter().map(|address| format!("{address} {NAME}\n")).collect();
    replaced("/etc/hosts", &lines.concat())
}

/// In a view of the file system of this process's own, a file has this text. False where that is not allowed.
fn replaced(file: &str, content: &str) -> bool {
    let scratch = Scratch::new("file").expect("a folder");
    let own = scratch.path().join("own");
    fs::write(&own, content).expect("a file");
    // What is there may be a link to something that is not there.
    let Ok(there) = fs::canonicalize(file) else { return false };
    let text = |text: &str| CString::new(text).expect("no NUL");
    let [own, there, root] =
        [&own.display().to_string(), &there.display().to_string(), "/"].map(text);
    let none = std::ptr::null();
    // SAFETY: takes a number; this process has one thread that matters.
    let alone = unsafe { libc::unshare(libc::CLONE_NEWNS) } == 0;
    let private = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: texts that end, and no data.
    let apart = || unsafe { libc::mount(none, root.as_ptr(), none, private, none.cast()) } == 0;
    // SAFETY: the same.
    let bound = || unsafe {
        libc::mount(own.as_ptr(), there.as_ptr(), none, libc::MS_BIND, none.cast()) == 0
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

/// How long this process's resolver waits for its name server.
const UNANSWERED: Duration = Duration::from_secs(20);

/// A name server of this process's own that never answers. None where that is not allowed.
fn silent_name_server() -> Option<UdpSocket> {
    const AT: &str = "127.0.0.9";
    let seconds = UNANSWERED.as_secs();
    let configuration = format!("nameserver {AT}\noptions timeout:{seconds} attempts:1\n");
    let server = UdpSocket::bind((AT, 53)).ok()?;
    server.set_read_timeout(Some(PATIENCE)).expect("a limit");
    replaced("/etc/resolv.conf", &configuration).then_some(server)
}

/// The times of round trips, in order of length.
fn round_trips(client: &Socket, server: &Socket) -> Vec<Duration> {
    let trip = |_| {
        let start = Instant::now();
        client.send(&[b"question"]);
        assert_eq!(server.recv(), [b"question"]);
        server.send(&[b"answer"]);
        assert_eq!(client.recv(), [b"answer"]);
        start.elapsed()
    };
    let mut times: Vec<Duration> = (0..2000).map(trip).collect();
    times.sort();
    times
}

/// While names are asked for, the I/O thread that wants to know serves its other connections, new ones too, and who
/// does not want to know any more does not wait for the answer.
#[test]
fn a_silent_name_server_holds_up_nobody() {
    alone(|| {
        let Some(name_server) = silent_name_server() else {
            println!("skipped: this process may not have a name server of its own");
            return;
        };
        let context = Context::new();
        let server = context.socket(c::ZMQ_REP);
        let address = server.listen();
        let client = context.socket(c::ZMQ_REQ);
        client.connect(address);
        let before = round_trips(&client, &server);
        let asking: Vec<Socket> = (0..3)
            .map(|_| {
                let socket = context.socket(c::ZMQ_PUSH);
                // Messages that wait for a peer of that name are worth no wait at the end.
                socket.api().connect("tcp://unknown.example:5555").expect("a connect");
                socket.send(&[b"to whom it may concern"]);
                name_server.recv(&mut [0; 512]).expect("a question");
                socket
            })
            .collect();
        let asked = Instant::now();
        let during = round_trips(&client, &server);
        // A connection made meanwhile is served as well.
        let late = context.socket(c::ZMQ_REQ);
        late.connect(address);
        let _slower = round_trips(&late, &server);
        drop((asking, late, client, server));
        drop(context);
        let took = asked.elapsed();
        assert!(took < UNANSWERED / 2, "{took:?}: the answer was waited for");
        let (middle, last) = (during.len() / 2, during.len() - 1);
        assert!(
            during[middle] < before[middle] * 3,
            "{:?} after {:?}",
            during[middle],
            before[middle]
        );
        assert!(during[last] < Duration::from_secs(2), "{:?}", during[last]);
    });
}
