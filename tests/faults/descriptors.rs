//! Out of descriptors: calls say so, what runs goes on, what waits is made up for later.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use zmq::base::Error;
use zmq::base::constants as c;
use zmq::socket::{PollItem, Target};

use crate::support::Scratch;
use crate::support::alone::{alone, descriptors, processor_time, threads};
use crate::support::local::{Context, Service};
use crate::support::raw::{LONG, Raw, frame, greeting, ready};

/// Every descriptor this process may have beyond those in use; given back when dropped.
struct Hoard(Vec<File>);

impl Hoard {
    /// Takes all but `left`.
    fn take(left: usize) -> Hoard {
        const MOST: libc::rlim_t = 200;
        let limit = libc::rlimit { rlim_cur: MOST, rlim_max: MOST };
        // SAFETY: reads one valid struct.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
        let mut held = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            held.push(file);
        }
        held.truncate(held.len().saturating_sub(left));
        Hoard(held)
    }

    /// Gives all back but this many.
    fn keep(&mut self, count: usize) {
        self.0.truncate(count);
    }
}

#[test]
fn sockets_of_one_process_need_no_descriptors() {
    alone(|| {
        let hoard = Hoard::take(0);
        let context = Context::new();
        let (one, two) = (context.socket(c::ZMQ_PAIR), context.socket(c::ZMQ_PAIR));
        one.api().bind("inproc://pair").expect("a bind");
        two.api().connect("inproc://pair").expect("a connect");
        let echo = thread::spawn(move || {
            for _ in 0..1000 {
                let parts = two.recv();
                two.send(&[&parts[0]]);
            }
        });
        for n in 0..1000_u32 {
            one.send(&[&n.to_ne_bytes()]);
            assert_eq!(one.recv(), [n.to_ne_bytes()]);
        }
        echo.join().expect("an echo");
        drop(hoard);
    });
}

#[test]
fn a_context_that_cannot_start_its_threads_says_so_and_leaves_nothing_behind() {
    alone(|| {
        const IO_THREADS: i32 = 8;
        let context = Context::new();
        context.set(c::ZMQ_IO_THREADS, IO_THREADS);
        let socket = context.socket(c::ZMQ_DEALER);
        let (threads_before, open_before) = (threads(), descriptors());
        let mut hoard = Hoard::take(0);
        let all = hoard.0.len();
        // With every number of descriptors that is not enough for all of them.
        for left in 0..6 {
            hoard.keep(all - left);
            for _ in 0..20 {
                let bound = socket.api().bind("tcp://127.0.0.1:0");
                assert_eq!(bound, Err(Error::TooManyOpen), "{left}");
                let connected = socket.api().connect("tcp://127.0.0.1:1");
                assert_eq!(connected, Err(Error::TooManyOpen), "{left}");
            }
        }
        drop(hoard);
        let settled = Instant::now() + Duration::from_secs(20);
        while threads() > threads_before && Instant::now() < settled {
            thread::yield_now();
        }
        assert_eq!((threads(), descriptors()), (threads_before, open_before));
        let service = Service::start(&context, c::ZMQ_ROUTER, |_| {});
        service.check();
        assert_eq!(socket.api().bind("tcp://127.0.0.1:0"), Ok(()));
    });
}

#[test]
fn binds_fail_and_succeed_later() {
    alone(|| {
        let context = Context::new();
        let service = Service::start(&context, c::ZMQ_ROUTER, |_| {});
        let scratch = Scratch::new("bind").expect("a folder");
        let ipc = format!("ipc://{}/s", scratch.path().display());
        let socket = context.socket(c::ZMQ_PULL);
        let monitor = socket.watch(&context);
        let hoard = Hoard::take(0);
        for address in ["tcp://127.0.0.1:0", &ipc, "ipc://*"] {
            for _ in 0..10 {
                assert_eq!(socket.api().bind(address), Err(Error::TooManyOpen), "{address}");
                let errno = monitor.until(c::ZMQ_EVENT_BIND_FAILED);
                assert_eq!(errno, libc::EMFILE as u64);
            }
            service.check();
        }
        drop(hoard);
        for address in ["tcp://127.0.0.1:0", &ipc, "ipc://*"] {
            assert_eq!(socket.api().bind(address), Ok(()), "{address}");
        }
    });
}

#[test]
fn connects_are_retried_until_there_are_descriptors() {
    alone(|| {
        for host in ["127.0.0.1", "localhost"] {
            // One of its own, so that no descriptor of the last one is still on its way out.
            let context = Context::new();
            let service = Service::start(&context, c::ZMQ_ROUTER, |_| {});
            let client = context.socket(c::ZMQ_DEALER);
            client.set(c::ZMQ_RECONNECT_IVL, 10);
            let monitor = client.watch(&context);
            let hoard = Hoard::take(0);
            let address = format!("tcp://{host}:{}", service.address.port());
            assert_eq!(client.api().connect(&address), Ok(()));
            client.send(&[b"patience"]);
            for _ in 0..5 {
                monitor.until(c::ZMQ_EVENT_CONNECT_RETRIED);
                assert!(service.check().is_empty());
            }
            drop(hoard);
            assert_eq!(service.server.recv()[1], b"patience");
        }
    });
}

/// Accepting rests, says so once each time, costs next to nothing meanwhile, and goes on by itself.
#[test]
fn accepting_pauses_and_resumes() {
    alone(|| {
        let context = Context::new();
        let service = Service::start(&context, c::ZMQ_PULL, |_| {});
        let to = service.address.into();
        pause_and_resume(&context, &service, socket2::Domain::IPV4, &to);
    });
}

#[test]
fn accepting_local_peers_pauses_and_resumes() {
    alone(|| {
        let context = Context::new();
        let scratch = Scratch::new("pause").expect("a folder");
        let path = scratch.path().join("s");
        let service = Service::start(&context, c::ZMQ_PULL, |server| {
            server.api().bind(&format!("ipc://{}", path.display())).expect("a bind");
        });
        let to = socket2::SockAddr::unix(&path).expect("an address");
        pause_and_resume(&context, &service, socket2::Domain::UNIX, &to);
    });
}

fn pause_and_resume(
    context: &Context,
    service: &Service,
    domain: socket2::Domain,
    to: &socket2::SockAddr,
) {
    const PAUSES: u32 = 6;
    const WAITING: usize = 3;
    let monitor = service.server.watch(context);
    let stream = socket2::Type::STREAM;
    let peers: Vec<socket2::Socket> = (0..WAITING)
        .map(|_| socket2::Socket::new(domain, stream, None).expect("a socket"))
        .collect();
    let hoard = Hoard::take(0);
    for peer in &peers {
        peer.connect(to).expect("the kernel takes it in");
    }
    assert_eq!(monitor.until(c::ZMQ_EVENT_ACCEPT_FAILED), libc::EMFILE as u64);
    let (started, busy) = (Instant::now(), processor_time());
    for _ in 1..PAUSES {
        let next = monitor.next();
        assert_eq!(next.code, c::ZMQ_EVENT_ACCEPT_FAILED);
        assert_eq!(next.value, libc::EMFILE as u64);
    }
    let (took, busy) = (started.elapsed(), processor_time() - busy);
    assert!(took >= Duration::from_millis(50) * (PAUSES - 1), "{took:?}");
    assert!(busy < took / 4, "{busy:?} of {took:?}");
    // Those who are connected do not notice.
    for _ in 0..100 {
        assert!(service.check().is_empty());
    }
    drop(hoard);
    let talk = [greeting(b"NULL"), ready("PUSH"), frame(0, b"in")].concat();
    for peer in &peers {
        assert_eq!(peer.send(&talk).expect("an open connection"), talk.len());
    }
    for _ in 0..WAITING {
        monitor.until(c::ZMQ_EVENT_ACCEPTED);
        assert_eq!(service.server.recv(), [b"in"]);
    }
}

#[test]
fn what_is_connected_stays_so() {
    alone(|| {
        let context = Context::new();
        let scratch = Scratch::new("stay").expect("a folder");
        let ipc = format!("ipc://{}/s", scratch.path().display());
        let service = Service::start(&context, c::ZMQ_ROUTER, |server| {
            server.api().bind(&ipc).expect("a bind");
        });
        let near = context.socket(c::ZMQ_REQ);
        near.api().connect(&ipc).expect("a connect");
        near.send(&[b"before"]);
        let parts = service.server.recv();
        service.server.send(&[&parts[0], b"", b"answer"]);
        near.recv();
        let _hoard = Hoard::take(0);
        // In a thread that has never waited before, so that it cannot have what it needs for waiting.
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..500 {
                    near.send(&[b"question"]);
                    assert_eq!(near.recv(), [b"answer"]);
                }
            });
            for _ in 0..500 {
                let parts = service.server.recv();
                service.server.send(&[&parts[0], b"", b"answer"]);
            }
        });
        for _ in 0..100 {
            service.check();
        }
    });
}

/// What needs a descriptor of its own says that there is none.
#[test]
fn polling_without_descriptors_is_an_error_at_worst() {
    alone(|| {
        let context = Context::new();
        let socket = context.socket(c::ZMQ_PULL);
        let other = context.socket(c::ZMQ_PUSH);
        socket.api().bind("inproc://poll").expect("a bind");
        other.api().connect("inproc://poll").expect("a connect");
        let pipe = TcpListener::bind("127.0.0.1:0").expect("a descriptor");
        let fd = std::os::fd::AsRawFd::as_raw_fd(&pipe);
        let hoard = Hoard::take(0);
        let mut buffer = [0; 4];
        assert_eq!(socket.api().option(c::ZMQ_FD, &mut buffer), Err(Error::TooManyOpen));
        let item = |target| PollItem { target, events: c::ZMQ_POLLIN as i16, revents: 0 };
        let mut items = [item(Target::Socket(socket.handle)), item(Target::Fd(fd))];
        assert_eq!(zmq::socket::poll(&mut items, 0), Ok(0));
        let waited = zmq::socket::poll(&mut items, 10);
        assert!(matches!(waited, Ok(0) | Err(Error::TooManyOpen)), "{waited:?}");
        assert_eq!(zmq::socket::poll(&mut items[..1], 10), Ok(0));
        other.send(&[b"in"]);
        assert_eq!(zmq::socket::poll(&mut items, 10), Ok(1));
        drop(hoard);
        assert_eq!(socket.api().option(c::ZMQ_FD, &mut buffer), Ok(4));
        assert_eq!(socket.recv(), [b"in"]);
        assert_eq!(zmq::socket::poll(&mut items, 10), Ok(0));
    });
}

/// Without a descriptor to be called by, a thread that waits for descriptors looks now and then.
#[test]
fn polling_needs_no_descriptor_of_its_own() {
    alone(|| {
        let context = Context::new();
        let (one, two) = (context.socket(c::ZMQ_PAIR), context.socket(c::ZMQ_PAIR));
        one.api().bind("inproc://polled").expect("a bind");
        two.api().connect("inproc://polled").expect("a connect");
        let hoard = Hoard::take(0);
        let silent = PollItem { target: Target::Fd(hoard.0[0].as_raw_fd()), events: 0, revents: 0 };
        let input = c::ZMQ_POLLIN as i16;
        let socket = PollItem { target: Target::Socket(one.handle), events: input, revents: 0 };
        thread::scope(|scope| {
            let polling = scope.spawn(move || {
                let in_time = zmq::socket::poll(&mut [socket, silent], 30);
                let alone = zmq::socket::poll(&mut [silent], 1);
                (in_time, alone, zmq::socket::poll(&mut [socket, silent], -1))
            });
            thread::sleep(Duration::from_millis(100));
            two.send(&[b"wake up"]);
            assert_eq!(polling.join().expect("an answer"), (Ok(0), Ok(0), Ok(1)));
        });
        drop(hoard);
    });
}

/// Who waits at the mark writes on by itself only if there is a descriptor to wait with.
#[test]
fn a_sender_at_its_mark_does_without_a_descriptor() {
    alone(|| {
        const COUNT: usize = 100;
        let context = Context::new();
        let push = context.socket(c::ZMQ_PUSH);
        push.set(c::ZMQ_SNDHWM, 2);
        let mut peer = Raw::connect(push.listen());
        peer.greet("PULL");
        push.send(&[b"first"]);
        assert_eq!(peer.frame().1, b"first");
        let hoard = Hoard::take(0);
        let sending = thread::spawn(move || {
            let body = vec![7; 300_000];
            (0..COUNT).try_for_each(|_| push.try_send(&[&body], 0)).map(|()| push)
        });
        for _ in 0..COUNT {
            let (flags, body) = peer.frame();
            assert!(flags == LONG && body.len() == 300_000 && body.iter().all(|byte| *byte == 7));
        }
        sending.join().expect("a sender").expect("every message was taken");
        drop(hoard);
    });
}

/// Contexts and sockets by the hundred, and not one descriptor or thread left over.
#[test]
fn nothing_is_left_open() {
    alone(|| {
        let round = |to: Option<SocketAddr>| {
            let context = Context::new();
            let service = Service::start(&context, c::ZMQ_ROUTER, |_| {});
            let monitor = service.server.watch(&context);
            let client = context.socket(c::ZMQ_DEALER);
            to.into_iter().for_each(|to| client.connect(to));
            let mut buffer = [0; 4];
            service.server.api().option(c::ZMQ_FD, &mut buffer).expect("a descriptor");
            let mut peer = Raw::connect(service.address);
            peer.greet("DEALER");
            service.check();
            drop(monitor);
        };
        let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let to = silent.local_addr().ok();
        round(to);
        let before = (threads(), descriptors());
        for n in 0..100 {
            round(to.filter(|_| n % 2 == 0));
            // Nobody accepts there; what waits at the door is not ours.
            silent.set_nonblocking(true).expect("non-blocking");
            while silent.accept().is_ok() {}
        }
        assert_eq!((threads(), descriptors()), before);
    });
}
