//! Where one thread stops and another has to go on: reading at the mark, writing for a socket that is closed.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use zmq::base::Error;
use zmq::base::constants as c;
use zmq::socket;

use crate::support::local::{Context, PATIENCE};
use crate::support::raw::{Raw, command, frame};

/// The I/O thread looks at what a connection has to say that rests at its mark, because its peer promised signs of life,
/// and finds that there is room again. Who has asked for ZMQ_FD leaves reading to it.
#[test]
fn a_connection_is_read_on_when_signs_of_life_meet_the_mark() {
    const BURSTS: usize = 10_000;
    let context = Context::new();
    let pull = context.socket(c::ZMQ_PULL);
    pull.set(c::ZMQ_RCVHWM, 1);
    let mut peer = Raw::connect(pull.listen());
    pull.api().option(c::ZMQ_FD, &mut [0; 4]).expect("a descriptor");
    peer.greet("PUSH");
    let mut answers = peer.0.try_clone().expect("a second handle");
    let (read, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| while answers.read(&mut [0; 4096]).is_ok_and(|got| got > 0) {});
        scope.spawn(|| {
            let socket = pull.api();
            while !over.load(Ordering::Relaxed) {
                let got = socket.recv_bytes(&mut [0; 8], c::ZMQ_DONTWAIT).is_ok();
                read.fetch_add(usize::from(got), Ordering::Relaxed);
            }
        });
        let (message, ping) = (frame(0, b"m"), command("PING", &1000_u16.to_be_bytes()));
        let mut sent = 0;
        let stalled = (0..BURSTS).find(|burst| {
            let count = if burst % 2 == 0 { 1 } else { 10 + burst % 20 };
            let parts = (0..count).map(|n| match (n + burst) % 3 {
                0 => [&message[..], &ping].concat(),
                _ => message.clone(),
            });
            peer.send(&parts.collect::<Vec<_>>().concat());
            sent += count;
            let began = Instant::now();
            while read.load(Ordering::Relaxed) < sent && began.elapsed() < PATIENCE {
                // The I/O thread needs a processor to meet the reader.
                thread::sleep(Duration::from_micros(50));
            }
            read.load(Ordering::Relaxed) < sent
        });
        over.store(true, Ordering::Relaxed);
        drop(peer.0.shutdown(std::net::Shutdown::Both));
        assert_eq!(stalled, None, "{} of {sent}", read.load(Ordering::Relaxed));
    });
}

/// A peer for whom the kernel keeps little.
fn reluctant(to: SocketAddr) -> Raw {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(64 * 1024).expect("a size");
    socket.connect(&to.into()).expect("a connection");
    socket.set_read_timeout(Some(PATIENCE)).expect("a limit");
    Raw(socket.into())
}

/// A sender waits at its mark and writes by itself what there is room for. When it has written the last of what a closed
/// socket left, the I/O thread has to hear of it.
#[test]
fn a_socket_ends_that_is_closed_while_a_sender_writes_for_it() {
    const ROUNDS: u64 = 300;
    let body = vec![0; 150_000];
    for round in 0..ROUNDS {
        let context = Context::new();
        let push = context.socket(c::ZMQ_PUSH);
        push.set(c::ZMQ_SNDHWM, 1);
        push.set(c::ZMQ_SNDBUF, 128 * 1024);
        push.set(c::ZMQ_LINGER, -1);
        let mut peer = reluctant(push.listen());
        peer.greet("PULL");
        let (sent, socket) = (AtomicUsize::new(0), push.api());
        thread::scope(|scope| {
            let sending = scope.spawn(|| {
                loop {
                    if let Err(error) = socket.send_bytes(&body, 0) {
                        return error;
                    }
                    sent.fetch_add(1, Ordering::SeqCst);
                    thread::sleep(Duration::from_micros(300));
                }
            });
            let (mut before, mut since) = (usize::MAX, Instant::now());
            while since.elapsed() < Duration::from_millis(4) {
                let now = sent.load(Ordering::SeqCst);
                if now != std::mem::replace(&mut before, now) {
                    since = Instant::now();
                }
                thread::sleep(Duration::from_micros(200));
            }
            // Somewhat before, or after, the peer begins to read.
            let at = Instant::now() + Duration::from_micros(300);
            scope.spawn(move || {
                while Instant::now() < at {}
                while peer.0.read(&mut [0; 1 << 16]).is_ok_and(|got| got > 0) {}
            });
            let shift = Duration::from_micros(round * 37 % 300);
            while Instant::now() + Duration::from_micros(150) < at + shift {}
            let closed = socket::lookup(push.handle).and_then(socket::Socket::close);
            assert_eq!(closed, Ok(()));
            assert_eq!(sending.join().expect("a sender"), Error::NotSocket);
            let (over, ended) = channel();
            thread::spawn(move || {
                drop(context);
                over.send(()).expect("somebody waits for it");
            });
            assert_eq!(ended.recv_timeout(PATIENCE), Ok(()), "round {round}");
        });
    }
}
