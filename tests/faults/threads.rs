//! Sockets used by several threads at once: nobody should, and nothing breaks.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use zmq::base::Error;
use zmq::base::constants as c;
use zmq::message::Msg;
use zmq::socket::{self, PollItem, Target};

use crate::support::local::{Context, Service, Socket};

const THREADS: usize = 4;

/// Calls are made one after the other: nothing is lost, doubled, or out of a thread's own order.
#[test]
fn sends_from_many_threads_arrive_once_and_in_order() {
    const EACH: u32 = 20_000;
    let context = Context::new();
    for address in ["inproc://many", "tcp://127.0.0.1:0"] {
        let (push, pull) = (context.socket(c::ZMQ_PUSH), context.socket(c::ZMQ_PULL));
        pull.api().bind(address).expect("a bind");
        push.api().connect(&pull.last_endpoint()).expect("a connect");
        thread::scope(|scope| {
            for sender in 0..THREADS as u32 {
                let push = &push;
                scope.spawn(move || {
                    for n in 0..EACH {
                        push.send(&[&[sender.to_ne_bytes(), n.to_ne_bytes()].concat()]);
                    }
                });
            }
            let mut next = [0; THREADS];
            for _ in 0..EACH * THREADS as u32 {
                let parts = pull.recv();
                let (sender, n) = parts[0].split_at(4);
                let sender = u32::from_ne_bytes(*sender.first_chunk().expect("a number"));
                let n = u32::from_ne_bytes(*n.first_chunk().expect("a number"));
                assert_eq!(n, next[sender as usize]);
                next[sender as usize] += 1;
            }
        });
        assert!(pull.try_recv().is_none());
    }
}

#[test]
fn many_threads_receive_everything_between_them() {
    const EACH: usize = 10_000;
    let context = Context::new();
    for address in ["inproc://shared", "tcp://127.0.0.1:0"] {
        let (push, pull) = (context.socket(c::ZMQ_PUSH), context.socket(c::ZMQ_PULL));
        pull.api().bind(address).expect("a bind");
        push.api().connect(&pull.last_endpoint()).expect("a connect");
        let got = thread::scope(|scope| {
            let readers: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(|| {
                        let mut got = Vec::new();
                        loop {
                            match pull.recv().concat() {
                                end if end.is_empty() => return got,
                                part => got.push(part),
                            }
                        }
                    })
                })
                .collect();
            for n in 0..EACH {
                push.send(&[&n.to_ne_bytes()]);
            }
            for _ in 0..THREADS {
                push.send(&[b""]);
            }
            let mut got = Vec::new();
            for reader in readers {
                got.extend(reader.join().expect("a reader"));
            }
            got
        });
        let mut got: Vec<usize> = got
            .iter()
            .map(|bytes| usize::from_ne_bytes(*bytes.first_chunk().expect("a number")))
            .collect();
        got.sort_unstable();
        assert!(got.into_iter().eq(0..EACH));
    }
}

/// Whoever looks whether there is input must not take in what another thread sleeps for without telling it.
#[test]
fn a_look_at_the_events_wakes_the_thread_that_waits() {
    const ROUNDS: usize = 1000;
    let context = Context::new();
    let (push, pull) = (context.socket(c::ZMQ_PUSH), context.socket(c::ZMQ_PULL));
    pull.api().bind("tcp://127.0.0.1:0").expect("a bind");
    push.api().connect(&pull.last_endpoint()).expect("a connect");
    let received = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                pull.recv();
                received.fetch_add(1, Ordering::SeqCst);
            }
        });
        for round in 0..ROUNDS {
            push.send(&[b"message"]);
            let limit = Instant::now() + Duration::from_secs(10);
            while received.load(Ordering::SeqCst) == round {
                assert!(Instant::now() < limit, "asleep with a message there, round {round}");
                let mut item =
                    [PollItem { target: Target::Socket(pull.handle), events: 1, revents: 0 }];
                socket::poll(&mut item, 0).expect("a poll");
            }
        }
    });
}

/// Any call at any time from any thread answers something.
#[test]
fn all_calls_at_once_leave_the_socket_whole() {
    const EACH: usize = 2500;
    let types = [
        c::ZMQ_PAIR,
        c::ZMQ_PUB,
        c::ZMQ_SUB,
        c::ZMQ_REQ,
        c::ZMQ_REP,
        c::ZMQ_DEALER,
        c::ZMQ_ROUTER,
        c::ZMQ_PULL,
        c::ZMQ_PUSH,
        c::ZMQ_XPUB,
        c::ZMQ_XSUB,
        c::ZMQ_STREAM,
    ];
    for socket_type in types {
        let context = Context::new();
        let service = Service::start(&context, c::ZMQ_ROUTER, |_| {});
        let shared = context.socket(socket_type);
        shared.set(c::ZMQ_RCVTIMEO, 1);
        shared.set(c::ZMQ_SNDTIMEO, 1);
        shared.set(c::ZMQ_RECONNECT_IVL, 1);
        let partner = context.socket(match socket_type {
            c::ZMQ_PUB | c::ZMQ_XPUB => c::ZMQ_SUB,
            c::ZMQ_SUB | c::ZMQ_XSUB => c::ZMQ_PUB,
            c::ZMQ_PULL => c::ZMQ_PUSH,
            c::ZMQ_PUSH => c::ZMQ_PULL,
            c::ZMQ_PAIR => c::ZMQ_PAIR,
            c::ZMQ_REP => c::ZMQ_REQ,
            _ => c::ZMQ_ROUTER,
        });
        let address = format!("tcp://{}", partner.listen());
        let barrier = Barrier::new(THREADS);
        thread::scope(|scope| {
            for seed in 0..THREADS as u64 {
                let (barrier, shared, partner, address) = (&barrier, &shared, &partner, &address);
                scope.spawn(move || {
                    barrier.wait();
                    let mut random = fastrand::Rng::with_seed(seed);
                    for _ in 0..EACH {
                        let call = any_call(shared, address, &mut random);
                        let outrage = matches!(
                            call,
                            Err(Error::NotSocket | Error::Fault | Error::Term | Error::NoMemory)
                        );
                        assert!(!outrage, "{call:?}");
                        // Whatever may come of it.
                        let _answer = partner.try_send(&[b"answer"], c::ZMQ_DONTWAIT);
                        let _question = partner.recv_with(c::ZMQ_DONTWAIT);
                    }
                });
            }
        });
        service.check();
    }
}

fn any_call(socket: &Socket, address: &str, random: &mut fastrand::Rng) -> Result<(), Error> {
    let api = socket.api();
    let quick = c::ZMQ_DONTWAIT;
    match random.u8(..18) {
        0 | 1 => api.send(&mut Msg::copy_of(b"\x01question")?, quick).map(drop),
        2 => api.send(&mut Msg::copy_of(&[b'x'; 5000])?, quick | c::ZMQ_SNDMORE).map(drop),
        3 => api.send(&mut Msg::new(), 0).map(drop),
        4 | 5 => api.recv(quick).map(drop),
        6 => api.recv(0).map(drop),
        7 => api.connect(address),
        8 => api.disconnect(address),
        9 => api.bind("tcp://127.0.0.1:0"),
        10 => {
            let endpoint = socket.last_endpoint();
            api.unbind(&endpoint)
        }
        11 => api.option(c::ZMQ_EVENTS, &mut [0; 4]).map(drop),
        12 => api.option(c::ZMQ_RCVMORE, &mut [0; 4]).map(drop),
        13 => api.option(c::ZMQ_FD, &mut [0; 4]).map(drop),
        14 => api.set_option(c::ZMQ_SUBSCRIBE, Some(b"topic")),
        15 => api.set_option(c::ZMQ_SNDHWM, Some(&random.i32(0..5).to_ne_bytes())),
        16 => {
            let name = format!("inproc://any-{}-{}", socket.handle, random.u8(..));
            api.monitor(Some(&name), c::ZMQ_EVENT_ALL as u64, 2, c::ZMQ_PUB)
        }
        _ => {
            let target = Target::Socket(socket.handle);
            let events = (c::ZMQ_POLLIN | c::ZMQ_POLLOUT) as i16;
            socket::poll(&mut [PollItem { target, events, revents: 0 }], 1).map(drop)
        }
    }
}
