//! Options of the listening side.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::process;

use zmq::base::Error;
use zmq::base::constants as c;

use super::util::{listener, ms, tcp_socket};
use crate::support::Scratch;
use crate::support::local::{Context, Socket};
use crate::support::raw::Raw;

#[test]
fn backlog_is_how_many_may_wait() {
    // The kernel lets one more in than it was told. While the I/O thread accepts nobody waits, so the number is read
    // from the kernel: the Send-Q of a listening socket.
    for backlog in [0, 1, 7, 100] {
        let context = Context::new();
        let socket = context.socket(c::ZMQ_PULL);
        socket.set(c::ZMQ_BACKLOG, backlog);
        let events = socket.watch(&context);
        socket.listen();
        let fd = events.until(c::ZMQ_EVENT_LISTENING) as i32;
        assert_eq!(most_waiting(fd), backlog as u32, "{backlog}");
    }
}

/// The limit of a listening socket's queue, which TCP_INFO has where a connection has its unacknowledged segments.
fn most_waiting(fd: i32) -> u32 {
    // SAFETY: an all-zero tcp_info is valid; the call writes no more than the length it is given.
    unsafe {
        let mut info: libc::tcp_info = std::mem::zeroed();
        let mut len = size_of::<libc::tcp_info>() as libc::socklen_t;
        let info_ptr = std::ptr::from_mut(&mut info).cast();
        let answer = libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, info_ptr, &mut len);
        assert_eq!(answer, 0);
        info.tcpi_sacked
    }
}

#[test]
fn bindtodevice_ties_a_listener_to_an_interface() {
    let context = Context::new();
    let server = context.socket(c::ZMQ_PULL);
    let client = context.socket(c::ZMQ_PUSH);
    server.set_bytes(c::ZMQ_BINDTODEVICE, b"lo");
    client.set_bytes(c::ZMQ_BINDTODEVICE, b"lo");
    let events = server.watch(&context);
    match server.api().bind("tcp://127.0.0.1:*") {
        Ok(()) => {}
        Err(Error::Os(libc::EPERM)) => {
            eprintln!("skipped: not allowed here");
            return;
        }
        Err(error) => panic!("bind: {error}"),
    }
    let fd = events.until(c::ZMQ_EVENT_LISTENING) as i32;
    assert_eq!(device(fd), b"lo");
    client.api().connect(&server.last_endpoint()).expect("a connect");
    client.send(&[b"works"]);
    assert_eq!(server.recv(), [b"works"]);
    // An interface that is not there: an error at bind, another attempt at connect.
    server.set_bytes(c::ZMQ_BINDTODEVICE, b"nosuch0");
    assert_eq!(server.api().bind("tcp://127.0.0.1:*"), Err(Error::NoDevice));
    let lost = context.socket(c::ZMQ_PUSH);
    let events = lost.watch(&context);
    lost.set(c::ZMQ_RECONNECT_IVL, 1);
    lost.set_bytes(c::ZMQ_BINDTODEVICE, b"nosuch0");
    lost.api().connect(&server.last_endpoint()).expect("a connect");
    events.until(c::ZMQ_EVENT_CLOSED);
    events.until(c::ZMQ_EVENT_CONNECT_RETRIED);
    // Cleared.
    server.api().set_option(c::ZMQ_BINDTODEVICE, None).expect("cleared");
    server.listen();
}

fn device(fd: i32) -> Vec<u8> {
    let mut name = [0u8; 16];
    let mut len = name.len() as libc::socklen_t;
    // SAFETY: the buffer is as long as it says.
    let answer = unsafe {
        let buffer = name.as_mut_ptr().cast();
        libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, buffer, &mut len)
    };
    assert_eq!(answer, 0);
    name[..len as usize].split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
}

#[test]
fn use_fd_takes_a_listener_over() {
    let context = Context::new();
    // tcp: the address is not looked at.
    let (listener, address) = listener();
    let server = context.socket(c::ZMQ_PULL);
    let events = server.watch(&context);
    let fd = listener.into_raw_fd();
    server.set(c::ZMQ_USE_FD, fd);
    server.api().bind("tcp://127.0.0.1:9").expect("a bind");
    assert_eq!(server.last_endpoint(), format!("tcp://{address}"));
    assert_eq!(events.until(c::ZMQ_EVENT_LISTENING), fd as u64);
    let client = context.socket(c::ZMQ_PUSH);
    client.set(c::ZMQ_USE_FD, fd);
    client.connect(address);
    client.send(&[b"works"]);
    assert_eq!(server.recv(), [b"works"]);
    server.api().unbind(&format!("tcp://{address}")).expect("an unbind");
    events.until(c::ZMQ_EVENT_CLOSED);
    // It was the library's and is closed: nobody listens.
    assert!(std::net::TcpStream::connect(address).is_err());
    // ipc: the file is left alone.
    let scratch = Scratch::new("fd").expect("a folder");
    let path = scratch.path().join("x");
    let listener = std::os::unix::net::UnixListener::bind(&path).expect("a bind");
    let server = context.socket(c::ZMQ_PULL);
    server.set(c::ZMQ_USE_FD, listener.into_raw_fd());
    let endpoint = format!("ipc://{}", path.display());
    server.api().bind(&endpoint).expect("a bind");
    let client = context.socket(c::ZMQ_PUSH);
    client.api().connect(&endpoint).expect("a connect");
    client.send(&[b"works"]);
    assert_eq!(server.recv(), [b"works"]);
    drop(server);
    assert!(path.exists());
    // Something else than a listener is refused and stays the application's.
    let server = context.socket(c::ZMQ_PULL);
    let file = std::fs::File::open("/dev/null").expect("a file");
    server.set(c::ZMQ_USE_FD, file.as_raw_fd());
    assert!(server.api().bind("tcp://127.0.0.1:*").is_err());
    assert!(file.metadata().is_ok());
}

/// Connects and tells whether the listener talks to us.
fn is_let_in(address: SocketAddr, from: Option<&str>) -> bool {
    let socket = tcp_socket();
    if let Some(from) = from {
        let from: SocketAddr = from.parse().expect("an address");
        socket.bind(&from.into()).expect("a bind");
    }
    socket.connect(&address.into()).expect("a connection");
    socket.set_read_timeout(Some(ms(60_000))).expect("an option");
    let mut peer = Raw(socket.into());
    peer.offer(&crate::support::raw::greeting(b"NULL"));
    let mut byte = [0];
    match std::io::Read::read(&mut peer.0, &mut byte) {
        Ok(n) => n == 1,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
        Err(error) => panic!("read: {error}"),
    }
}

#[test]
fn accept_filters_let_some_in() {
    // The filters, the caller's address, whether it is let in.
    let table: &[(&[&str], &str, bool)] = &[
        (&[], "127.0.0.1:0", true),
        (&["127.0.0.1"], "127.0.0.1:0", true),
        (&["127.0.0.1"], "127.0.0.2:0", false),
        (&["127.0.0.2/31"], "127.0.0.3:0", true),
        (&["127.0.0.2/31"], "127.0.0.4:0", false),
        (&["10.0.0.0/8", "127.0.0.9"], "127.0.0.9:0", true),
        (&["10.0.0.0/8", "192.168.0.0/16"], "127.0.0.1:0", false),
        (&["0.0.0.0/0"], "127.0.0.77:0", true),
    ];
    for (filters, from, let_in) in table {
        let context = Context::new();
        let server = context.socket(c::ZMQ_PULL);
        let events = server.watch(&context);
        for filter in *filters {
            server.set_bytes(c::ZMQ_TCP_ACCEPT_FILTER, filter.as_bytes());
        }
        server.api().bind("tcp://0.0.0.0:*").expect("a bind");
        let endpoint = server.last_endpoint();
        let port = endpoint.rsplit(':').next().expect("a port");
        let address = format!("127.0.0.1:{port}").parse().expect("an address");
        assert_eq!(is_let_in(address, Some(from)), *let_in, "{filters:?} {from}");
        if *let_in {
            events.until(c::ZMQ_EVENT_ACCEPTED);
        } else {
            assert_eq!(events.until(c::ZMQ_EVENT_ACCEPT_FAILED), libc::EACCES as u64);
        }
        // Cleared, for the next bind; the old listener keeps them.
        server.api().set_option(c::ZMQ_TCP_ACCEPT_FILTER, None).expect("cleared");
        assert!(is_let_in(server.listen(), Some(from)));
        assert_eq!(is_let_in(address, Some(from)), *let_in, "{filters:?} {from}");
    }
}

#[test]
fn ipc_filters_let_some_in() {
    // SAFETY: these read the process's own identity.
    let (uid, gid) = unsafe { (libc::getuid() as i32, libc::getgid() as i32) };
    let pid = process::id() as i32;
    let (a, b, d) = (c::ZMQ_IPC_FILTER_PID, c::ZMQ_IPC_FILTER_UID, c::ZMQ_IPC_FILTER_GID);
    let nobody = 54_321;
    let table: &[(&[(i32, i32)], bool)] = &[
        (&[], true),
        (&[(a, pid)], true),
        (&[(a, nobody)], false),
        (&[(b, uid)], true),
        (&[(b, nobody)], false),
        (&[(d, gid)], true),
        (&[(d, nobody)], false),
        // One that fits is enough, of whatever kind.
        (&[(a, nobody), (b, uid)], true),
        (&[(a, nobody), (a, pid)], true),
        (&[(a, nobody), (b, nobody), (d, nobody)], false),
    ];
    for (filters, let_in) in table {
        let context = Context::new();
        let server = context.socket(c::ZMQ_PULL);
        let events = server.watch(&context);
        filters.iter().for_each(|&(filter, value)| server.set(filter, value));
        server.api().bind("ipc://*").expect("a bind");
        let client = context.socket(c::ZMQ_PUSH);
        client.api().connect(&server.last_endpoint()).expect("a connect");
        if *let_in {
            events.until(c::ZMQ_EVENT_ACCEPTED);
            client.send(&[b"in"]);
            assert_eq!(server.recv(), [b"in"]);
        } else {
            assert_eq!(events.until(c::ZMQ_EVENT_ACCEPT_FAILED), libc::EACCES as u64);
        }
        clear(&server);
        server.api().bind("ipc://*").expect("a bind");
        let client = context.socket(c::ZMQ_PUSH);
        client.api().connect(&server.last_endpoint()).expect("a connect");
        client.send(&[b"in"]);
        assert_eq!(server.recv(), [b"in"]);
    }
}

fn clear(server: &Socket) {
    for filter in [c::ZMQ_IPC_FILTER_PID, c::ZMQ_IPC_FILTER_UID, c::ZMQ_IPC_FILTER_GID] {
        server.api().set_option(filter, None).expect("cleared");
    }
}
