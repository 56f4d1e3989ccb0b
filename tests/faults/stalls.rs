//! Where one thread stops and another has to go on: reading at the mark, writing for a socket that is closed.

use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use zmq::base::Error;
use zmq::base::constants as c;
use zmq::socket;

use crate::support::alone::{thread_number, wait_until_asleep};
use crate::support::local::{Context, PATIENCE};
use crate::support::raw::{Raw, command, frame};

/// The I/O thread looks at what a connection has to say that rests at its mark, because its peer promised signs of life,
/// and finds that there is room again. Who has asked for ZMQ_FD leaves reading to it.
#[test]
fn a_connection_is_read_on_when_signs_of_life_meet_the_mark() {
    const BURSTS: usize = 2000;
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
            while !over.load(Ordering::Relaxed) {
                read.fetch_add(usize::from(pull.try_recv().is_some()), Ordering::Relaxed);
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
                thread::yield_now();
            }
            read.load(Ordering::Relaxed) < sent
        });
        over.store(true, Ordering::Relaxed);
        drop(peer.0.shutdown(std::net::Shutdown::Both));
        assert_eq!(stalled, None, "{} of {sent}", read.load(Ordering::Relaxed));
    });
}

/// A sender waits at its mark and writes by itself what there is room for. When it has written the last of what a closed
/// socket left, the I/O thread has to hear of it.
#[test]
fn a_socket_ends_that_is_closed_while_a_sender_writes_for_it() {
    const ROUNDS: i32 = 100;
    let body = vec![0; 150_000];
    for round in 0..ROUNDS {
        let context = Context::new();
        let push = context.socket(c::ZMQ_PUSH);
        push.set(c::ZMQ_SNDHWM, 1);
        push.set(c::ZMQ_SNDBUF, 128 * 1024);
        let mut peer = Raw::connect(push.listen());
        peer.greet("PULL");
        let sender = AtomicI32::new(0);
        thread::scope(|scope| {
            let sending = scope.spawn(|| {
                sender.store(thread_number(), Ordering::SeqCst);
                loop {
                    if let Err(error) = push.try_send(&[&body], 0) {
                        return error;
                    }
                }
            });
            while sender.load(Ordering::SeqCst) == 0 {
                thread::yield_now();
            }
            wait_until_asleep(sender.load(Ordering::SeqCst));
            // Somewhat before, or after, the peer begins to read.
            let at = Instant::now() + Duration::from_micros(400);
            scope.spawn(move || {
                while Instant::now() < at {}
                while peer.0.read(&mut [0; 1 << 16]).is_ok_and(|got| got > 0) {}
            });
            let shift = Duration::from_micros((10 * (round * 7 % 41)) as u64);
            while Instant::now() + Duration::from_micros(200) < at + shift {}
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
