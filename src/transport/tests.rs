//! The transports on real sockets of this machine.

use std::fs;
use std::io::IoSlice;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::*;
use crate::options::{AddressFilter, ContextDefaults, Options};
use crate::sys::{PollFd, poll};

fn options() -> Options {
    let defaults = ContextDefaults { ipv6: false, blocky: true, zero_copy_recv: true };
    Options::new(SocketType::Dealer, defaults)
}

fn options_v6() -> Options {
    Options { ipv6: true, ..options() }
}

fn wait(fd: i32, events: i16) {
    poll(&mut [PollFd::new(fd, events)], None).unwrap();
}

fn listen(scheme: Scheme, text: &str, options: &Options) -> Listener {
    Listener::listen(scheme, text, options).unwrap()
}

fn accept(listener: &Listener) -> Result<Accepted, AcceptError> {
    wait(listener.fd(), libc::POLLIN);
    listener.accept().map(Option::unwrap)
}

/// The text after `://`.
fn rest(endpoint: &str) -> &str {
    crate::base::endpoint::split(endpoint).unwrap().1
}

/// Dials with everything done on this thread.
fn dial(scheme: Scheme, text: &str, options: &Options) -> std::io::Result<Stream> {
    let dial = parse_connect(scheme, text, options).unwrap();
    let addresses = dial.resolve(options)?;
    let started = dial.start(&addresses[0], options).map_err(|error| error.error)?;
    if started.pending {
        wait(started.stream.as_raw_fd(), libc::POLLOUT);
        dial.finish(&started.stream, options)?;
    }
    Ok(started.stream)
}

fn connect(listener: &Listener, scheme: Scheme, options: &Options) -> (Stream, Accepted) {
    let stream = dial(scheme, rest(listener.endpoint()), options).unwrap();
    (stream, accept(listener).unwrap())
}

/// Both ends carry bytes, and tell the end of the stream.
fn exercise(a: &Stream, b: &Stream) {
    let mut buffer = Vec::with_capacity(16);
    let error = b.receive(&mut buffer).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(a.write(b"one").unwrap(), 3);
    let parts = [IoSlice::new(b"two"), IoSlice::new(b"three")];
    assert_eq!(a.write_vectored(&parts).unwrap(), 8);
    a.shutdown_write().unwrap();
    loop {
        wait(b.as_raw_fd(), libc::POLLIN);
        if b.receive(&mut buffer).unwrap() == 0 {
            break;
        }
    }
    assert_eq!(buffer, b"onetwothree");
    assert!(a.take_error().unwrap().is_none());
}

fn scratch(name: &str) -> PathBuf {
    let unique = format!("ferrozmq-{}-{:x}-{name}", std::process::id(), fastrand::u64(..));
    std::env::temp_dir().join(unique)
}

/// An address nobody listens on, kept from others while the socket lives.
fn silent_port() -> (Socket, String) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address.to_string())
}

#[test]
fn schemes() {
    for (text, scheme) in [
        ("tcp", Scheme::Tcp),
        ("ipc", Scheme::Ipc),
        ("inproc", Scheme::Inproc),
        ("udp", Scheme::Udp),
        ("tipc", Scheme::Tipc),
        ("ws", Scheme::Ws),
        ("wss", Scheme::Wss),
        ("vsock", Scheme::Vsock),
    ] {
        assert_eq!(scheme_of(text), Ok(scheme));
        assert_eq!(scheme.text(), text);
    }
    for text in ["TCP", "foo", "", "tcp "] {
        assert_eq!(scheme_of(text), Err(Error::ProtoNotSupported), "{text}");
    }
    assert_eq!(scheme_of("vmci").is_ok(), has_vmci());
    // By libraries that a machine may have or not.
    for text in ["pgm", "epgm"] {
        assert_eq!(scheme_of(text).is_ok(), crate::sys::pgm::pgm().is_some(), "{text}");
    }
    assert_eq!(scheme_of("norm").is_ok(), crate::sys::norm::norm().is_some());
}

#[test]
fn socket_types_and_schemes() {
    use Direction::{Bind, Connect};
    use SocketType as T;
    for (scheme, socket_type, direction, expected) in [
        (Scheme::Tcp, T::Stream, Bind, Ok(())),
        (Scheme::Ipc, T::Stream, Connect, Ok(())),
        (Scheme::Inproc, T::Radio, Bind, Ok(())),
        (Scheme::Udp, T::Push, Bind, Err(Error::NoCompatProto)),
        (Scheme::Udp, T::Radio, Bind, Err(Error::NoCompatProto)),
        (Scheme::Udp, T::Dish, Connect, Err(Error::NoCompatProto)),
        (Scheme::Udp, T::Dgram, Connect, Err(Error::NoCompatProto)),
        (Scheme::Udp, T::Radio, Connect, Ok(())),
        (Scheme::Udp, T::Dish, Bind, Ok(())),
        (Scheme::Udp, T::Dgram, Bind, Ok(())),
        (Scheme::Ws, T::Pair, Bind, Ok(())),
        (Scheme::Ws, T::Stream, Connect, Err(Error::NoCompatProto)),
        (Scheme::Wss, T::Pair, Connect, Ok(())),
        (Scheme::Tipc, T::Pair, Connect, Ok(())),
        (Scheme::Vsock, T::Stream, Bind, Ok(())),
        (Scheme::Pgm, T::Push, Bind, Err(Error::NoCompatProto)),
        (Scheme::Epgm, T::XSub, Connect, Ok(())),
        (Scheme::Norm, T::Dealer, Connect, Err(Error::NoCompatProto)),
        (Scheme::Norm, T::Pub, Bind, Ok(())),
    ] {
        assert_eq!(check(scheme, socket_type, direction), expected, "{scheme:?}");
    }
}

#[test]
fn tcp_v4() {
    let listener = listen(Scheme::Tcp, "127.0.0.1:*", &options());
    assert!(listener.endpoint().starts_with("tcp://127.0.0.1:"));
    assert!(!listener.endpoint().ends_with(":0"));
    assert!(listener.accept().unwrap().is_none());
    let (stream, accepted) = connect(&listener, Scheme::Tcp, &options());
    assert_eq!(accepted.peer, stream.local_name());
    assert_eq!(accepted.peer_address.as_deref(), Some("127.0.0.1"));
    assert_eq!(stream.peer_name(), listener.endpoint());
    assert_eq!(accepted.stream.local_name(), listener.endpoint());
    assert_eq!(stream.peer_address().as_deref(), Some("127.0.0.1"));
    assert!(!stream.is_self_connection());
    assert!(stream.socket().tcp_nodelay().unwrap());
    assert!(accepted.stream.socket().tcp_nodelay().unwrap());
    exercise(&stream, &accepted.stream);
    exercise(&accepted.stream, &stream);
    listener.close().unwrap();
}

#[test]
fn tcp_v6() {
    let options = options_v6();
    for text in ["[::1]:*", "::1:0"] {
        let listener = listen(Scheme::Tcp, text, &options);
        assert!(listener.endpoint().starts_with("tcp://[::1]:"));
        let (stream, accepted) = connect(&listener, Scheme::Tcp, &options);
        assert!(accepted.peer.starts_with("tcp://[::1]:"));
        assert_eq!(accepted.peer_address.as_deref(), Some("::1"));
        exercise(&stream, &accepted.stream);
    }
}

#[test]
fn tcp_dual_stack() {
    let wildcard = listen(Scheme::Tcp, "*:*", &options_v6());
    let port = wildcard.endpoint().strip_prefix("tcp://[::]:").unwrap();
    for (target, options, peer) in [
        (format!("127.0.0.1:{port}"), options(), "::ffff:127.0.0.1"),
        (format!("127.0.0.1:{port}"), options_v6(), "::ffff:127.0.0.1"),
        (format!("[::1]:{port}"), options_v6(), "::1"),
    ] {
        let stream = dial(Scheme::Tcp, &target, &options).unwrap();
        let accepted = accept(&wildcard).unwrap();
        assert_eq!(accepted.peer_address.as_deref(), Some(peer));
        exercise(&stream, &accepted.stream);
    }
    let mapped = listen(Scheme::Tcp, "127.0.0.1:*", &options_v6());
    assert!(mapped.endpoint().starts_with("tcp://[::ffff:127.0.0.1]:"));
}

#[test]
fn tcp_names_and_interfaces() {
    for text in ["lo:*", "localhost:*", "127.0.0.1:0", "lo:0;127.0.0.1:*"] {
        let listener = listen(Scheme::Tcp, text, &options());
        assert!(listener.endpoint().starts_with("tcp://127.0.0.1:"), "{text}");
        let port = listener.endpoint().rsplit(':').next().unwrap().to_owned();
        let stream = dial(Scheme::Tcp, &format!("localhost:{port}"), &options()).unwrap();
        exercise(&stream, &accept(&listener).unwrap().stream);
    }
    let any = listen(Scheme::Tcp, "*:*", &options());
    assert!(any.endpoint().starts_with("tcp://0.0.0.0:"));
}

#[test]
fn tcp_bind_failures() {
    let first = listen(Scheme::Tcp, "127.0.0.1:*", &options());
    let failure = |text: &str| Listener::listen(Scheme::Tcp, text, &options()).unwrap_err();
    let in_use = failure(rest(first.endpoint()));
    assert_eq!(in_use.error, Error::AddrInUse);
    assert!(in_use.opened_fd.is_some());
    assert_eq!(in_use.endpoint, "");
    let not_here = failure("192.0.2.77:*");
    assert_eq!(not_here.error.errno(), libc::EADDRNOTAVAIL);
    assert!(not_here.opened_fd.is_some());
    for (text, error) in [("nolo0:1", Error::NoDevice), ("*:x", Error::Invalid)] {
        let failed = failure(text);
        assert_eq!((failed.error, failed.opened_fd), (error, None));
    }
}

#[test]
fn tcp_port_is_free_again_at_once() {
    let listener = listen(Scheme::Tcp, "127.0.0.1:*", &options());
    let endpoint = listener.endpoint().to_owned();
    let (stream, accepted) = connect(&listener, Scheme::Tcp, &options());
    drop(accepted);
    listener.close().unwrap();
    let again = listen(Scheme::Tcp, rest(&endpoint), &options());
    assert_eq!(again.endpoint(), endpoint);
    drop(stream);
}

#[test]
fn tcp_refused() {
    let (_reserved, silent) = silent_port();
    let error = dial(Scheme::Tcp, &silent, &options()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
    assert!(dial(Scheme::Tcp, "127.0.0.1:0", &options()).is_err());
    assert!(dial(Scheme::Tcp, "[::1]:1", &options()).is_err());
    assert!(dial(Scheme::Tcp, "[::1%]:1", &options_v6()).is_err());
}

#[test]
fn tcp_source_address() {
    let listener = listen(Scheme::Tcp, "127.0.0.1:*", &options());
    let target = rest(listener.endpoint()).to_owned();
    for source in ["127.0.0.2:0", "127.0.0.2:*", "lo:*", "127.0.0.2:1"] {
        let text = format!("{source};{target}");
        let result = dial(Scheme::Tcp, &text, &options());
        if source.ends_with(":1") && result.is_err() {
            continue; // Low ports are not for everybody.
        }
        let stream = result.unwrap();
        let accepted = accept(&listener).unwrap();
        assert_eq!(accepted.peer, stream.local_name());
        let expected = if source.starts_with("lo") { "127.0.0.1" } else { "127.0.0.2" };
        assert_eq!(accepted.peer_address.as_deref(), Some(expected));
    }
    for bad in ["localhost:0", "127.0.0.1", "nolo0:0", "[::1]:0", "192.0.2.77:0"] {
        let text = format!("{bad};{target}");
        let parsed = parse_connect(Scheme::Tcp, &text, &options()).unwrap();
        let addresses = parsed.resolve(&options()).unwrap();
        let error = parsed.start(&addresses[0], &options()).unwrap_err();
        assert!(error.opened_fd.is_some(), "{bad}");
    }
}

#[test]
fn tcp_connected_to_itself() {
    let (_reserved, own) = silent_port();
    let stream = dial(Scheme::Tcp, &format!("{own};{own}"), &options()).unwrap();
    assert!(stream.is_self_connection());
}

#[test]
fn between_two_ends_on_this_machine_as_much_lies_in_the_kernel_as_bulk_needs() {
    let path = scratch("bulk");
    let listener = listen(Scheme::Ipc, path.to_str().unwrap(), &options());
    let (stream, accepted) = connect(&listener, Scheme::Ipc, &options());
    let before = accepted.stream.socket().send_buffer_size().unwrap();
    stream.fit_bulk();
    assert!(stream.socket().send_buffer_size().unwrap() > before);

    let listener = listen(Scheme::Tcp, "127.0.0.1:*", &options());
    let (stream, accepted) = connect(&listener, Scheme::Tcp, &options());
    let before = accepted.stream.socket().send_buffer_size().unwrap();
    // Not every kernel has it, nor lets everybody choose it.
    let paced = stream.socket().set_tcp_congestion(b"bbr").is_ok();
    stream.fit_bulk();
    let control = stream.socket().tcp_congestion().unwrap();
    assert!(!control.starts_with(b"bbr"), "{paced}: {control:?}");
    let after = stream.socket().send_buffer_size().unwrap();
    assert!(after <= 640 * 1024 && after < before, "{before}, then {after}");
    assert_eq!(accepted.stream.socket().send_buffer_size().unwrap(), before, "its own affair");
    // Enough for the bytes to flow without acknowledgements that are delayed.
    let bytes = vec![7; 1 << 20];
    let (mut sent, mut got) = (0, Vec::new());
    let began = Instant::now();
    while got.len() < bytes.len() {
        sent += stream.write(&bytes[sent..]).unwrap_or(0);
        got.reserve(1 << 16);
        let _nothing_yet = accepted.stream.receive(&mut got);
    }
    assert!(got == bytes && began.elapsed() < Duration::from_secs(1));
}

#[test]
fn tcp_options_reach_the_kernel() {
    let options = Options {
        sndbuf: 50_000,
        rcvbuf: 60_000,
        tos: 0x28,
        priority: 3,
        tcp_keepalive: 1,
        tcp_keepalive_cnt: 4,
        tcp_keepalive_idle_s: 77,
        tcp_keepalive_intvl_s: 11,
        tcp_maxrt_ms: 4321,
        ..options()
    };
    let listener = listen(Scheme::Tcp, "127.0.0.1:*", &options);
    let (stream, accepted) = connect(&listener, Scheme::Tcp, &options);
    for end in [&stream, &accepted.stream] {
        let socket = end.socket();
        // The kernel keeps twice what it is asked for.
        assert_eq!(socket.send_buffer_size().unwrap(), 100_000);
        assert_eq!(socket.recv_buffer_size().unwrap(), 120_000);
        assert_eq!(socket.tos_v4().unwrap(), 0x28);
        assert_eq!(socket.priority().unwrap(), 3);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap().as_secs(), 77);
        assert_eq!(socket.tcp_keepalive_interval().unwrap().as_secs(), 11);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 4);
        let timeout = socket.tcp_user_timeout().unwrap().unwrap();
        assert_eq!(timeout.as_millis(), 4321);
    }
    let v6 = Options { ipv6: true, ..options };
    let listener = listen(Scheme::Tcp, "[::1]:*", &v6);
    let (stream, accepted) = connect(&listener, Scheme::Tcp, &v6);
    for end in [&stream, &accepted.stream] {
        assert_eq!(end.socket().tclass_v6().unwrap(), 0x28);
    }
}

#[test]
fn tcp_device_that_is_not_there() {
    let options = Options { bind_to_device: b"nolo0".to_vec(), ..options() };
    let failed = Listener::listen(Scheme::Tcp, "127.0.0.1:*", &options).unwrap_err();
    assert!(matches!(failed.error.errno(), libc::ENODEV | libc::EPERM));
    assert!(dial(Scheme::Tcp, "127.0.0.1:1", &options).is_err());
}

#[test]
fn tcp_accept_filters() {
    for (filters, admitted) in [
        (vec!["127.0.0.0/8"], true),
        (vec!["127.0.0.1/32"], true),
        (vec!["10.0.0.0/8"], false),
        (vec!["10.0.0.0/8", "127.0.0.0/30"], true),
        (vec!["10.0.0.1"], false),
        (vec!["0.0.0.0/0"], true),
    ] {
        for base in [options(), options_v6()] {
            let parse = |text: &&str| AddressFilter::parse(text, base.ipv6).unwrap();
            let tcp_accept_filters = filters.iter().map(parse).collect();
            let options = Options { tcp_accept_filters, ..base };
            let listener = listen(Scheme::Tcp, "127.0.0.1:*", &options);
            let stream = dial(Scheme::Tcp, rest(listener.endpoint()), &options).unwrap();
            match accept(&listener) {
                Ok(accepted) => {
                    assert!(admitted, "{filters:?}");
                    exercise(&stream, &accepted.stream);
                }
                Err(AcceptError::Filtered) => {
                    assert!(!admitted, "{filters:?}");
                    wait(stream.as_raw_fd(), libc::POLLIN);
                    assert_eq!(stream.discard().unwrap(), 0);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn ipc_path_stays_and_can_be_taken_over() {
    let path = scratch("path");
    let text = path.to_str().unwrap();
    fs::write(&path, "an old file in the way").unwrap();
    let listener = listen(Scheme::Ipc, text, &options());
    assert_eq!(listener.endpoint(), format!("ipc://{text}"));
    let (stream, accepted) = connect(&listener, Scheme::Ipc, &options());
    assert_eq!(accepted.peer, "ipc://");
    assert_eq!(stream.local_name(), "ipc://");
    assert_eq!(stream.peer_name(), listener.endpoint());
    assert_eq!(accepted.stream.local_name(), listener.endpoint());
    let process = format!(":{}", std::process::id());
    let peer = accepted.peer_address.as_deref().unwrap();
    assert!(peer.starts_with("localhost:") && peer.ends_with(&process));
    assert_eq!(stream.peer_address(), accepted.peer_address);
    assert!(!stream.is_self_connection());
    exercise(&stream, &accepted.stream);
    exercise(&accepted.stream, &stream);

    // A second listener gets all new peers.
    let thief = listen(Scheme::Ipc, text, &options());
    let (stream, accepted) = connect(&thief, Scheme::Ipc, &options());
    exercise(&stream, &accepted.stream);
    assert!(listener.accept().unwrap().is_none());
    listener.close().unwrap();
    thief.close().unwrap();
    assert!(path.exists());
    let error = dial(Scheme::Ipc, text, &options()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
    fs::remove_file(&path).unwrap();
    let error = dial(Scheme::Ipc, text, &options()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
}

#[test]
fn ipc_abstract() {
    let name = format!("@ferrozmq-{:x}", fastrand::u64(..));
    let listener = listen(Scheme::Ipc, &name, &options());
    assert_eq!(listener.endpoint(), format!("ipc://{name}"));
    let (stream, accepted) = connect(&listener, Scheme::Ipc, &options());
    assert_eq!(stream.peer_name(), listener.endpoint());
    exercise(&stream, &accepted.stream);
    let taken = Listener::listen(Scheme::Ipc, &name, &options()).unwrap_err();
    assert_eq!(taken.error, Error::AddrInUse);
    assert_eq!(taken.endpoint, format!("ipc://{name}"));
    listener.close().unwrap();
    listen(Scheme::Ipc, &name, &options()).close().unwrap();
}

#[test]
fn ipc_wildcard() {
    let listener = listen(Scheme::Ipc, "*", &options());
    let path = PathBuf::from(rest(listener.endpoint()));
    assert_eq!(path.file_name().unwrap(), "socket");
    assert!(path.exists());
    let (stream, accepted) = connect(&listener, Scheme::Ipc, &options());
    exercise(&stream, &accepted.stream);
    listener.close().unwrap();
    assert!(!path.exists());
    assert!(!path.parent().unwrap().exists());
    // Only the first character counts.
    let listener = listen(Scheme::Ipc, "*.sock", &options());
    assert!(listener.endpoint().ends_with("/socket"));
    let path = PathBuf::from(rest(listener.endpoint()));
    drop(listener);
    assert!(!path.exists());
}

#[test]
fn ipc_errors() {
    let long = "x".repeat(108);
    let missing = scratch("none").join("socket");
    let missing = missing.to_str().unwrap();
    for (text, bind, connect) in [
        ("@", Some(Error::Invalid), Some(Error::Invalid)),
        (&long, Some(Error::NameTooLong), Some(Error::NameTooLong)),
        (missing, Some(Error::NoEntry), None),
    ] {
        let bound = Listener::listen(Scheme::Ipc, text, &options());
        assert_eq!(bound.err().map(|failed| failed.error), bind, "{text}");
        let parsed = parse_connect(Scheme::Ipc, text, &options());
        assert_eq!(parsed.err(), connect, "{text}");
    }
    let failed = Listener::listen(Scheme::Ipc, missing, &options()).unwrap_err();
    assert!(failed.opened_fd.is_some());
    assert_eq!(failed.endpoint, format!("ipc://{missing}"));
    let wildcard = parse_connect(Scheme::Ipc, "*", &options()).unwrap();
    let addresses = wildcard.resolve_now(&options()).unwrap().unwrap();
    let error = wildcard.start(&addresses[0], &options()).unwrap_err();
    assert!(error.opened_fd.is_some());
}

#[test]
fn ipc_filters() {
    let process = i32::try_from(std::process::id()).unwrap();
    for (pid, admitted) in [(process, true), (process + 1, false)] {
        let options = Options { ipc_pid_filters: vec![pid], ..options() };
        let listener = listen(Scheme::Ipc, "*", &options);
        let stream = dial(Scheme::Ipc, rest(listener.endpoint()), &options).unwrap();
        match accept(&listener) {
            Ok(accepted) => {
                assert!(admitted);
                exercise(&stream, &accepted.stream);
            }
            Err(error) => {
                assert!(!admitted);
                assert_eq!(error.errno(), libc::EACCES);
                wait(stream.as_raw_fd(), libc::POLLIN);
                assert_eq!(stream.discard().unwrap(), 0);
            }
        }
    }
}

#[test]
fn listeners_made_by_the_application() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let expected = format!("tcp://{}", socket.local_addr().unwrap());
    let use_tcp = Options { use_fd: socket.into_raw_fd(), ..options() };
    let listener = listen(Scheme::Tcp, "ignored", &use_tcp);
    assert_eq!(listener.fd(), use_tcp.use_fd);
    assert_eq!(listener.endpoint(), expected);
    assert!(listener.accept().unwrap().is_none());
    let (stream, accepted) = connect(&listener, Scheme::Tcp, &use_tcp);
    exercise(&stream, &accepted.stream);

    let path = scratch("fd");
    let socket = UnixListener::bind(&path).unwrap();
    let use_ipc = Options { use_fd: socket.into_raw_fd(), ..options() };
    let failed = Listener::listen(Scheme::Ipc, "@", &use_ipc).unwrap_err();
    assert_eq!(failed.error, Error::Invalid);
    let listener = listen(Scheme::Ipc, "*", &use_ipc);
    assert_eq!(listener.endpoint(), format!("ipc://{}", path.display()));
    let (stream, accepted) = connect(&listener, Scheme::Ipc, &use_ipc);
    exercise(&stream, &accepted.stream);
    listener.close().unwrap();
    fs::remove_file(path).unwrap();

    let file = fs::File::open("/dev/null").unwrap();
    let use_file = Options { use_fd: file.as_raw_fd(), ..options() };
    let failed = Listener::listen(Scheme::Tcp, "*:*", &use_file).unwrap_err();
    assert_eq!(failed.error.errno(), libc::ENOTSOCK);
    assert!(file.metadata().is_ok(), "the application's file is closed");
}

#[test]
fn names_for_unbind_and_disconnect() {
    for (text, ipv6, expected) in [
        ("127.0.0.1:5", false, vec!["tcp://127.0.0.1:5"]),
        ("localhost:5", false, vec!["tcp://localhost:5", "tcp://127.0.0.1:5"]),
        ("*:5", false, vec!["tcp://*:5"]),
        ("lo:5", false, vec!["tcp://lo:5"]),
        ("0.0.0.0:5", false, vec!["tcp://0.0.0.0:5"]),
        ("127.0.0.1:5", true, vec!["tcp://127.0.0.1:5", "tcp://[::ffff:127.0.0.1]:5"]),
        ("::1:5", true, vec!["tcp://::1:5", "tcp://[::1]:5"]),
        ("bad", false, vec!["tcp://bad"]),
    ] {
        let base = if ipv6 { options_v6() } else { options() };
        assert_eq!(canonical(Scheme::Tcp, text, &base), expected, "{text}");
    }
    assert_eq!(canonical(Scheme::Ipc, "a", &options()), ["ipc://a"]);
}

#[test]
fn proxies() {
    let listener = listen(Scheme::Tcp, "127.0.0.1:*", &options());
    let proxied = Options { socks_proxy: rest(listener.endpoint()).into(), ..options() };
    let parsed = parse_connect(Scheme::Tcp, "no.such.host:99", &proxied).unwrap();
    assert_eq!(parsed.proxy_endpoint().as_deref(), Some(listener.endpoint()));
    assert!(!parsed.has_connect_timeout());
    assert!(parsed.resolve_now(&proxied).unwrap().is_ok());
    let stream = dial(Scheme::Tcp, "no.such.host:99", &proxied).unwrap();
    let accepted = accept(&listener).unwrap();
    let mut output = Vec::new();
    let mut socks = parsed.socks().unwrap();
    socks.start(&mut output);
    assert_eq!(output, [5, 1, 0]);
    exercise(&stream, &accepted.stream);

    let bad = Options { socks_proxy: "no port".into(), ..options() };
    let parsed = parse_connect(Scheme::Tcp, "127.0.0.1:1", &bad).unwrap();
    assert!(parsed.resolve(&bad).is_err());
    let plain = parse_connect(Scheme::Tcp, "127.0.0.1:1", &options()).unwrap();
    assert!(plain.socks().is_none() && plain.proxy_endpoint().is_none());
    assert!(plain.has_connect_timeout());
}

#[test]
fn streams_without_an_address() {
    let (a, b) = Stream::connected_pair().unwrap();
    exercise(&a, &b);
}

/// Families that not every kernel has: where one is there it works, else it says so.
#[test]
fn families_of_the_kernel() {
    for (scheme, bind, shown) in [
        (Scheme::Tipc, "{5560,0,0}", "tipc://{5560,0,0}"),
        (Scheme::Tipc, "<*>", "tipc://<"),
        (Scheme::Vsock, "1:*", "vsock://1:"),
        (Scheme::Vsock, "*:*", "vsock://*:"),
    ] {
        let listener = match Listener::listen(scheme, bind, &options()) {
            Ok(listener) => listener,
            Err(failure) => {
                let errno = failure.error.errno();
                let absent = [libc::EAFNOSUPPORT, libc::EADDRNOTAVAIL, libc::ENODEV];
                assert!(absent.contains(&errno), "{bind}: {}", failure.error);
                eprintln!("skipped: {}://{bind}: {}", scheme.text(), failure.error);
                continue;
            }
        };
        assert!(listener.endpoint().starts_with(shown), "{}", listener.endpoint());
        if bind == "*:*" {
            assert_ne!(listener.endpoint(), "vsock://*:4294967295");
            continue;
        }
        let target = if bind.starts_with('{') { "{5560,0}" } else { rest(listener.endpoint()) };
        let stream = dial(scheme, target, &options()).unwrap();
        let accepted = accept(&listener).unwrap();
        assert_eq!(accepted.peer_address, None);
        exercise(&stream, &accepted.stream);
        exercise(&accepted.stream, &stream);
    }
}
