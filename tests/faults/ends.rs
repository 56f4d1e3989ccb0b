//! Handles that are closed, and calls that are under way when it happens.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use zmq::base::Error;
use zmq::base::constants as c;
use zmq::ctx;
use zmq::message::Msg;
use zmq::socket::{self, PollItem, Target};

use crate::support::Scratch;
use crate::support::alone::{alone, descriptors, thread_number, threads, wait_until_asleep};
use crate::support::local::{Context, PATIENCE, Service, Socket};
use crate::support::raw::{Raw, frame};

/// Every call on a handle that is no socket any more.
fn expect_not_socket(handle: usize) {
    let gone = Err(Error::NotSocket);
    let on =
        |call: &dyn Fn(socket::Socket) -> Result<(), Error>| socket::lookup(handle).and_then(call);
    assert_eq!(on(&|s| s.close()), gone);
    assert_eq!(on(&|s| s.bind("inproc://x")), gone);
    assert_eq!(on(&|s| s.connect("inproc://x")), gone);
    assert_eq!(on(&|s| s.unbind("inproc://x")), gone);
    assert_eq!(on(&|s| s.disconnect("inproc://x")), gone);
    assert_eq!(on(&|s| s.send(&mut Msg::new(), 0).map(drop)), gone);
    assert_eq!(on(&|s| s.recv(0).map(drop)), gone);
    assert_eq!(on(&|s| s.set_option(c::ZMQ_LINGER, Some(&[0; 4]))), gone);
    assert_eq!(on(&|s| s.option(c::ZMQ_TYPE, &mut [0; 4]).map(drop)), gone);
    assert_eq!(on(&|s| s.monitor(None, 0, 1, c::ZMQ_PAIR)), gone);
    let mut items = [PollItem { target: Target::Socket(handle), events: 1, revents: 0 }];
    assert_eq!(socket::poll(&mut items, 0).map(drop), gone);
}

#[test]
fn a_closed_socket_is_none_for_ever() {
    let context = Context::new();
    let first = context.socket(c::ZMQ_PAIR).handle;
    expect_not_socket(first);
    let mut closed = vec![first];
    for n in 0..3000 {
        let socket = context.socket(c::ZMQ_PAIR);
        assert!(!closed.contains(&socket.handle));
        if n % 100 == 0 {
            closed.iter().for_each(|handle| expect_not_socket(*handle));
        }
        closed.push(socket.handle);
    }
    for foreign in [0, 1, usize::MAX, context.handle, &raw const context as usize] {
        expect_not_socket(foreign);
    }
}

#[test]
fn an_ended_context_is_none_for_ever() {
    let mut ended = Vec::new();
    for _ in 0..1000 {
        let handle = ctx::create().expect("a context");
        assert!(!ended.contains(&handle));
        assert_eq!(ctx::terminate(handle), Ok(()));
        assert_eq!(ctx::terminate(handle), Err(Error::Fault));
        assert!(ctx::lookup(handle).is_err());
        ended.push(handle);
    }
    assert!(ended.iter().all(|handle| ctx::terminate(*handle) == Err(Error::Fault)));
}

#[test]
fn many_may_end_a_context() {
    const THREADS: usize = 3;
    for round in 0..200 {
        let handle = ctx::create().expect("a context");
        let context = ctx::lookup(handle).expect("a live context");
        let socket = context.create_socket(c::ZMQ_ROUTER).expect("a socket");
        if round % 2 == 0 {
            let bound = socket::lookup(socket).and_then(|s| s.bind("tcp://127.0.0.1:0"));
            assert_eq!(bound, Ok(()));
        }
        drop(context);
        let barrier = Barrier::new(THREADS + 1);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    barrier.wait();
                    let ended = ctx::terminate(handle);
                    assert!(matches!(ended, Ok(()) | Err(Error::Fault)), "{ended:?}");
                });
            }
            barrier.wait();
            assert_eq!(socket::lookup(socket).and_then(socket::Socket::close), Ok(()));
        });
        assert_eq!(ctx::terminate(handle), Err(Error::Fault));
    }
}

#[test]
fn of_many_who_close_a_socket_one_does() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 2000;
    let context = Context::new();
    let sockets: Vec<Socket> =
        (0..ROUNDS).map(|_| context.socket(c::ZMQ_DEALER)).take(500).collect();
    let barrier = Barrier::new(THREADS);
    let closed = AtomicI32::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                barrier.wait();
                for socket in &sockets {
                    let result = socket::lookup(socket.handle).and_then(socket::Socket::close);
                    match result {
                        Ok(()) => drop(closed.fetch_add(1, Ordering::SeqCst)),
                        Err(error) => assert_eq!(error, Error::NotSocket),
                    }
                }
            });
        }
    });
    assert_eq!(closed.into_inner() as usize, sockets.len());
}

/// Lets `call` fall asleep in a thread of its own, does `disturb`, and answers what came of the call.
fn disturbed<T: Send>(call: impl FnOnce() -> T + Send, disturb: impl FnOnce()) -> T {
    let number = AtomicI32::new(0);
    thread::scope(|scope| {
        let calling = scope.spawn(|| {
            number.store(thread_number(), Ordering::SeqCst);
            call()
        });
        while number.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        wait_until_asleep(number.load(Ordering::SeqCst));
        disturb();
        calling.join().expect("an answer")
    })
}

#[test]
fn a_socket_closed_under_a_waiting_call_is_none() {
    const ROUNDS: usize = 50;
    let context = Context::new();
    let service = Service::start(&context, c::ZMQ_ROUTER, |_| {});
    let close =
        |handle: usize| socket::lookup(handle).and_then(socket::Socket::close).expect("a close");
    for round in 0..ROUNDS {
        let waiting = context.socket([c::ZMQ_DEALER, c::ZMQ_PAIR, c::ZMQ_PULL][round % 3]);
        if round % 3 == 0 {
            waiting.connect(service.address);
        } else if round % 2 == 0 {
            waiting.api().bind(&format!("inproc://{round}")).expect("a bind");
        }
        let api = waiting.api();
        let got = disturbed(|| api.recv(0).map(drop), || close(waiting.handle));
        assert_eq!(got, Err(Error::NotSocket));

        let stuck = context.socket(c::ZMQ_PUSH);
        let api = stuck.api();
        let got = disturbed(|| api.send(&mut Msg::new(), 0).map(drop), || close(stuck.handle));
        assert_eq!(got, Err(Error::NotSocket));

        let watched = context.socket(c::ZMQ_PULL);
        let other = context.socket(c::ZMQ_PULL);
        let item = |socket: &Socket| PollItem {
            target: Target::Socket(socket.handle),
            events: c::ZMQ_POLLIN as i16,
            revents: 0,
        };
        let mut items = [item(&other), item(&watched)];
        let got =
            disturbed(|| socket::poll(&mut items, 60_000).map(drop), || close(watched.handle));
        assert_eq!(got, Err(Error::NotSocket));
        service.check();
    }
}

#[test]
fn a_context_shut_down_under_waiting_calls_ends_them() {
    for round in 0..50 {
        let context = Context::new();
        let waiting = context.socket([c::ZMQ_DEALER, c::ZMQ_PAIR, c::ZMQ_PULL][round % 3]);
        let api = waiting.api();
        if round % 2 == 0 {
            waiting.listen();
        }
        let shut_down = || {
            ctx::lookup(context.handle).and_then(|context| context.shutdown()).expect("a shutdown");
        };
        assert_eq!(disturbed(|| api.recv(0).map(drop), shut_down), Err(Error::Term));
        assert_eq!(api.send(&mut Msg::new(), 0), Err(Error::Term));
        assert_eq!(api.bind("inproc://late"), Err(Error::Term));
        let late =
            ctx::lookup(context.handle).and_then(|context| context.create_socket(c::ZMQ_PAIR));
        assert_eq!(late, Err(Error::Term));
    }
}

/// Contexts that end at any moment, while two threads use their sockets.
#[test]
fn contexts_end_at_any_moment() {
    alone(|| {
        const EACH: Duration = Duration::from_secs(6);
        const MOST_ROUNDS: usize = 2000;
        let scratch = Scratch::new("ends").expect("a folder");
        let ipc = format!("ipc://{}/s", scratch.path().display());
        let mut random = fastrand::Rng::with_seed(3);
        let mut before = None;
        for address in ["inproc://ends", "tcp://127.0.0.1:0", &ipc] {
            let until = Instant::now() + EACH;
            for _ in 0..MOST_ROUNDS {
                if Instant::now() > until {
                    break;
                }
                end_at_some_moment(address, &mut random);
            }
            before.get_or_insert_with(|| (threads(), descriptors()));
        }
        let (threads_before, descriptors_before) = before.expect("rounds");
        assert_eq!(threads(), threads_before);
        // The process keeps what its two threads woke each other by; over inproc that needs no descriptor.
        let left = descriptors() - descriptors_before;
        assert!(left <= 2, "{left} descriptors");
    });
}

fn end_at_some_moment(address: &str, random: &mut fastrand::Rng) {
    let types = [
        (c::ZMQ_PUSH, c::ZMQ_PULL),
        (c::ZMQ_DEALER, c::ZMQ_ROUTER),
        (c::ZMQ_PUB, c::ZMQ_SUB),
        (c::ZMQ_PAIR, c::ZMQ_PAIR),
    ];
    let (sender_type, receiver_type) = types[random.usize(..types.len())];
    let handle = ctx::create().expect("a context");
    let context = ctx::lookup(handle).expect("a live context");
    let moment = random.u32(..20_000);
    let by_shutdown = random.bool();
    let binds_late = random.bool();
    let start = Barrier::new(3);
    thread::scope(|scope| {
        let (start, context) = (&start, &context);
        let receiver = move || -> Result<(), Error> {
            let made = context.create_socket(receiver_type);
            start.wait();
            let handle = made?;
            let result = receive_until_the_end(handle, address, binds_late);
            socket::lookup(handle)?.close()?;
            result
        };
        let sender = move || -> Result<(), Error> {
            let made = context.create_socket(sender_type);
            start.wait();
            let handle = made?;
            let result = send_until_the_end(handle, address, !binds_late);
            socket::lookup(handle)?.close()?;
            result
        };
        let (receiver, sender) = (scope.spawn(receiver), scope.spawn(sender));
        start.wait();
        for _ in 0..moment {
            std::hint::spin_loop();
        }
        if by_shutdown {
            assert_eq!(context.shutdown(), Ok(()));
        } else {
            assert_eq!(ctx::terminate(handle), Ok(()));
        }
        for ended in [receiver.join(), sender.join()] {
            assert_eq!(ended.expect("an end"), Err(Error::Term));
        }
    });
    assert_eq!(ctx::terminate(handle), if by_shutdown { Ok(()) } else { Err(Error::Fault) });
}

/// One binds and the other connects; a port is only known to the one who bound it.
fn join(handle: usize, address: &str, binds: bool) -> Result<socket::Socket, Error> {
    let socket = socket::lookup(handle)?;
    socket.set_option(c::ZMQ_LINGER, Some(&0_i32.to_ne_bytes()))?;
    socket.set_option(c::ZMQ_RECONNECT_IVL, Some(&1_i32.to_ne_bytes()))?;
    if binds {
        socket.bind(address)?;
    } else {
        socket.connect(if address.ends_with(":0") { "tcp://127.0.0.1:9" } else { address })?;
    }
    Ok(socket)
}

fn receive_until_the_end(handle: usize, address: &str, binds: bool) -> Result<(), Error> {
    let socket = join(handle, address, binds)?;
    // On a type that has no topics this is an error, and no matter.
    let _no_topics = socket.set_option(c::ZMQ_SUBSCRIBE, Some(b""));
    loop {
        socket.recv(0)?;
    }
}

fn send_until_the_end(handle: usize, address: &str, binds: bool) -> Result<(), Error> {
    let socket = join(handle, address, binds)?;
    loop {
        socket.send(&mut Msg::copy_of(b"message")?, 0)?;
    }
}

/// Disconnecting at every stage of connecting anew.
#[test]
fn disconnecting_meets_reconnecting() {
    alone(|| {
        const ROUNDS: usize = 2000;
        let fickle = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("tcp://{}", fickle.local_addr().expect("an address"));
        let over = Arc::new(AtomicBool::new(false));
        let hangs_up = over.clone();
        let stop_at = fickle.local_addr().expect("an address");
        let hanging_up = thread::spawn(move || {
            while !hangs_up.load(Ordering::SeqCst) {
                drop(fickle.accept());
            }
        });
        let before = descriptors();
        {
            let context = Context::new();
            let service = Service::start(&context, c::ZMQ_ROUTER, |_| {});
            let client = context.socket(c::ZMQ_DEALER);
            client.set(c::ZMQ_RECONNECT_IVL, 1);
            let steady = format!("tcp://{}", service.address);
            let mut random = fastrand::Rng::with_seed(5);
            for round in 0..ROUNDS {
                let api = client.api();
                client.set(c::ZMQ_LINGER, [0, 1, 10][round % 3]);
                let to = if round % 2 == 0 { &address } else { &steady };
                assert_eq!(api.connect(to), Ok(()));
                let _full_or_not = client.try_send(&[b"to whom it may concern"], c::ZMQ_DONTWAIT);
                for _ in 0..random.u32(..50_000) {
                    std::hint::spin_loop();
                }
                let gone = api.disconnect(to);
                assert!(matches!(gone, Ok(()) | Err(Error::NoEntry)), "{gone:?}");
                while service.server.try_recv().is_some() {}
                if round % 20 == 0 {
                    service.check();
                }
            }
            service.check();
            over.store(true, Ordering::SeqCst);
            drop(std::net::TcpStream::connect(stop_at));
            client.set(c::ZMQ_LINGER, 0);
            hanging_up.join().expect("an end");
        }
        // The listener is gone too; a waiting thread's descriptor may have been kept for the next.
        assert!(descriptors() <= before, "{} of {before}", descriptors());
    });
}

/// Unbinding at every stage of being connected to.
#[test]
fn unbinding_meets_connecting() {
    alone(|| {
        const ROUNDS: usize = 500;
        let context = Context::new();
        let server = context.socket(c::ZMQ_ROUTER);
        let client = context.socket(c::ZMQ_DEALER);
        client.set(c::ZMQ_RECONNECT_IVL, 1);
        let mut random = fastrand::Rng::with_seed(9);
        let address = server.listen();
        let endpoint = format!("tcp://{address}");
        client.connect(address);
        for _ in 0..ROUNDS {
            let _full_or_not = client.try_send(&[b"again"], c::ZMQ_DONTWAIT);
            for _ in 0..random.u32(..100_000) {
                std::hint::spin_loop();
            }
            assert_eq!(server.api().unbind(&endpoint), Ok(()));
            // The listener is closed in the background.
            loop {
                match server.api().bind(&endpoint) {
                    Err(Error::AddrInUse) => thread::yield_now(),
                    bound => break assert_eq!(bound, Ok(())),
                }
            }
            while server.try_recv().is_some() {}
        }
        // All quiet again. What went to a connection that was ending is lost, so it is said until it is heard.
        const ROUND_MS: i32 = 20;
        server.set(c::ZMQ_RCVTIMEO, ROUND_MS);
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            client.send(&[b"final"]);
            match server.recv_with(0) {
                Ok(parts) if parts[1] == b"final" => return,
                Ok(_) | Err(Error::Again) => {}
                Err(error) => panic!("{error}"),
            }
        }
        panic!("the client did not come back");
    });
}

/// The peer is gone, and what it sent is not read: whoever waits for room to send to it need not wait for that.
#[test]
fn a_sender_that_waits_hears_of_the_end_though_nobody_reads() {
    let context = Context::new();
    let router = context.socket(c::ZMQ_ROUTER);
    router.set(c::ZMQ_ROUTER_MANDATORY, 1);
    router.set(c::ZMQ_RCVHWM, 1);
    router.set(c::ZMQ_SNDHWM, 1);
    let mut peer = Raw::connect(router.listen());
    peer.greet("DEALER");
    peer.send(&[frame(0, b"first"), frame(0, b"second"), frame(0, b"third")].concat());
    let name = router.recv().swap_remove(0);
    // Until the kernel takes no more either.
    let body = vec![0; 100_000];
    let full = |router: &Socket| router.try_send(&[&name, &body], c::ZMQ_DONTWAIT).is_err();
    let mut refused = 0;
    while refused < 20 {
        if full(&router) {
            refused += 1;
            thread::sleep(Duration::from_millis(5));
        } else {
            refused = 0;
        }
    }
    let sender = AtomicI32::new(0);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            sender.store(thread_number(), Ordering::SeqCst);
            router.set(c::ZMQ_SNDTIMEO, 20_000);
            let started = Instant::now();
            (router.try_send(&[&name, &body], 0), started.elapsed())
        });
        while sender.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        wait_until_asleep(sender.load(Ordering::SeqCst));
        // With unread input, so that the connection is reset.
        drop(peer);
        let (result, took) = waiting.join().expect("a sender");
        assert_eq!(result, Err(Error::HostUnreachable));
        assert!(took < Duration::from_secs(15), "{took:?}");
    });
    assert_eq!(router.recv()[1], b"second", "what it sent is still there");
}
