//! Forks: in the child everything inherited is inert, new things work, and the parent does not notice.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use zmq::base::Error;
use zmq::base::constants as c;
use zmq::ctx;
use zmq::message::Msg;
use zmq::socket;

use crate::support::Scratch;
use crate::support::alone::alone;
use crate::support::local::{Context, Service};

/// A child that is stuck is ended by its own alarm.
const LIMIT_SECONDS: u32 = 60;

/// Runs `body` in a child. The child ends without anything of the parent's being undone in it: by `exit`, which runs
/// what is registered for the end of a process, or at once.
fn fork(by_exit: bool, body: impl FnOnce()) -> libc::pid_t {
    // SAFETY: the child only runs what these tests are to show to work there, and never returns.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork failed");
    if child > 0 {
        return child;
    }
    // SAFETY: sets a timer of the child.
    unsafe { libc::alarm(LIMIT_SECONDS) };
    let fine = catch_unwind(AssertUnwindSafe(body)).is_ok();
    let code = i32::from(!fine);
    if by_exit {
        // SAFETY: ends the child; its other threads stayed in the parent.
        unsafe { libc::exit(code) }
    }
    // SAFETY: as above.
    unsafe { libc::_exit(code) }
}

fn expect_good_end(child: libc::pid_t) {
    let mut status = 0;
    // SAFETY: writes to one integer.
    let ended = unsafe { libc::waitpid(child, &mut status, 0) };
    assert_eq!(ended, child);
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "status {status:x}");
}

/// New contexts work as anywhere.
fn new_things_work() {
    let context = Context::new();
    for socket_type in [c::ZMQ_ROUTER, c::ZMQ_PULL] {
        Service::start(&context, socket_type, |_| {}).check();
    }
    let (one, two) = (context.socket(c::ZMQ_PAIR), context.socket(c::ZMQ_PAIR));
    one.api().bind("inproc://pair").expect("a bind");
    two.api().connect("inproc://pair").expect("a connect");
    one.send(&[b"in the family"]);
    assert_eq!(two.recv(), [b"in the family"]);
}

#[test]
fn inherited_handles_are_inert() {
    alone(|| {
        let context = Context::new();
        let service = Service::start(&context, c::ZMQ_ROUTER, |_| {});
        let handles = [service.server.handle, service.client.handle];
        for by_exit in [true, false] {
            let child = fork(by_exit, || {
                for handle in handles {
                    let on = |call: &dyn Fn(socket::Socket) -> Result<(), Error>| {
                        socket::lookup(handle).and_then(call)
                    };
                    assert!(on(&|s| s.send(&mut Msg::new(), c::ZMQ_DONTWAIT).map(drop)).is_err());
                    assert!(on(&|s| s.recv(0).map(drop)).is_err());
                    assert!(on(&|s| s.bind("tcp://127.0.0.1:0")).is_err());
                    assert!(on(&|s| s.option(c::ZMQ_TYPE, &mut [0; 4]).map(drop)).is_err());
                    // As often as one likes.
                    assert_eq!(on(&|s| s.close()), Ok(()));
                    assert_eq!(on(&|s| s.close()), Ok(()));
                }
                assert!(ctx::lookup(context.handle).is_err());
                assert_eq!(ctx::terminate(context.handle), Ok(()));
                assert_eq!(ctx::terminate(context.handle), Ok(()));
                new_things_work();
            });
            for _ in 0..100 {
                assert!(service.check().is_empty());
            }
            expect_good_end(child);
            assert!(service.check().is_empty());
        }
    });
}

/// A child that ends the context first, or nothing at all, before its sockets.
#[test]
fn a_child_may_end_in_any_order() {
    alone(|| {
        let context = Context::new();
        let service = Service::start(&context, c::ZMQ_PULL, |_| {});
        for order in 0..4 {
            let child = fork(order % 2 == 0, || {
                if order < 2 {
                    assert_eq!(ctx::terminate(context.handle), Ok(()));
                }
                if order > 0 {
                    let closed = socket::lookup(service.client.handle).and_then(|s| s.close());
                    assert_eq!(closed, Ok(()));
                }
            });
            expect_good_end(child);
            assert!(service.check().is_empty());
        }
    });
}

/// Messages that the parent still has to send are the parent's.
#[test]
fn what_lingers_in_the_parent_is_sent_once() {
    alone(|| {
        const MESSAGES: u32 = 200;
        let context = Context::new();
        let reserved = context.socket(c::ZMQ_PULL);
        let address = reserved.listen();
        drop(reserved);
        let sender = context.socket(c::ZMQ_PUSH);
        sender.set(c::ZMQ_LINGER, -1);
        sender.set(c::ZMQ_RECONNECT_IVL, 1);
        sender.connect(address);
        for n in 0..MESSAGES {
            sender.send(&[&n.to_ne_bytes()]);
        }
        let handle = sender.handle;
        let child = fork(true, || {
            let closed = socket::lookup(handle).and_then(|s| s.close());
            assert_eq!(closed, Ok(()));
            assert_eq!(ctx::terminate(context.handle), Ok(()));
        });
        expect_good_end(child);
        drop(sender);
        let receiver = context.socket(c::ZMQ_PULL);
        let endpoint = format!("tcp://{address}");
        while receiver.api().bind(&endpoint).is_err() {
            thread::yield_now();
        }
        for n in 0..MESSAGES {
            assert_eq!(receiver.recv(), [n.to_ne_bytes()]);
        }
        assert!(receiver.try_recv().is_none());
    });
}

/// Forks at any moment of a busy parent: no lock of its threads may be needed in the child.
#[test]
fn children_of_a_busy_parent_are_not_stuck() {
    alone(|| {
        const FORKS: usize = 60;
        let context = Context::new();
        let over = AtomicBool::new(false);
        let handle = context.handle;
        thread::scope(|scope| {
            for socket_type in [c::ZMQ_ROUTER, c::ZMQ_PULL] {
                let (over, context) = (&over, &context);
                scope.spawn(move || {
                    let service = Service::start(context, socket_type, |_| {});
                    while !over.load(Ordering::SeqCst) {
                        service.check();
                        // Tables and pools are in use too.
                        drop(context.socket(c::ZMQ_PAIR));
                    }
                });
            }
            for _ in 0..FORKS {
                let child = fork(false, || {
                    assert_eq!(ctx::terminate(handle), Ok(()));
                    new_things_work();
                });
                expect_good_end(child);
            }
            over.store(true, Ordering::SeqCst);
        });
    });
}

/// The receiver sits at its mark while the sender delivers, closes, ends its context and leaves.
#[test]
fn what_a_process_sent_before_it_left_is_all_read() {
    const MESSAGES: u32 = 500;
    alone(|| {
        let scratch = Scratch::new("tail").expect("a folder");
        let path = format!("ipc://{}", scratch.path().join("s").display());
        for (round, endpoint) in
            [&path, "tcp://127.0.0.1:*"].into_iter().cycle().take(20).enumerate()
        {
            let context = Context::new();
            let receiver = context.socket(c::ZMQ_PULL);
            receiver.set(c::ZMQ_RCVHWM, 3);
            receiver.api().bind(endpoint).expect("a free endpoint");
            let address = receiver.last_endpoint();
            let child = fork(round % 4 < 2, || {
                let context = Context::new();
                let sender = context.socket(c::ZMQ_PUSH);
                sender.set(c::ZMQ_LINGER, -1);
                sender.set(c::ZMQ_SNDHWM, 0);
                sender.api().connect(&address).expect("a connect");
                for n in 0..MESSAGES {
                    sender.send(&[&n.to_be_bytes(), &[b'm'; 60]]);
                }
                drop((sender, context));
            });
            // All of it is in the kernel by then, and hardly any was read.
            expect_good_end(child);
            for n in 0..MESSAGES {
                assert_eq!(receiver.recv()[0], n.to_be_bytes(), "{endpoint}");
            }
        }
    });
}

/// A process that ends with everything open ends all the same.
#[test]
fn an_exit_amid_everything_is_clean() {
    alone(|| {
        for round in 0..20 {
            let child = fork(true, || {
                let context = Context::new();
                let service = Service::start(&context, c::ZMQ_ROUTER, |_| {});
                let waiting = context.socket(c::ZMQ_PULL);
                let queued = context.socket(c::ZMQ_PUSH);
                queued.set(c::ZMQ_LINGER, -1);
                queued.api().connect("tcp://127.0.0.1:9").expect("a connect");
                queued.send(&[b"never sent"]);
                if round % 2 == 0 {
                    thread::spawn(move || drop(waiting.recv_with(0)));
                }
                service.check();
                // None of them is closed.
                std::mem::forget((service, queued, context));
            });
            expect_good_end(child);
        }
    });
}
