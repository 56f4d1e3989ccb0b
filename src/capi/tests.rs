//! The C functions called as C calls them: what they return, and that nothing wrong gets through.

use std::ffi::{CStr, c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;

use super::*;
use crate::base::constants::*;
use crate::message::Msg;

/// The call failed, and said why.
fn assert_errno(result: c_int, errno: c_int) {
    assert_eq!((result, zmq_errno()), (-1, errno));
}

/// Memory as C has it: with a message, until that is closed.
fn init(size: usize) -> MaybeUninit<Msg> {
    let mut msg = MaybeUninit::uninit();
    // SAFETY: the memory may be written.
    unsafe { assert_eq!(zmq_msg_init_size(msg.as_mut_ptr(), size), 0) };
    msg
}

#[test]
fn messages_that_are_none_are_refused() {
    let (mut closed, mut good, mut zeros) = (init(50), init(0), MaybeUninit::zeroed());
    let good = good.as_mut_ptr();
    // SAFETY: pointers are NULL or lead to memory of messages.
    unsafe {
        assert_eq!(zmq_msg_close(closed.as_mut_ptr()), 0);
        for bad in [null_mut(), closed.as_mut_ptr(), zeros.as_mut_ptr()] {
            assert_errno(zmq_msg_close(bad), libc::EFAULT);
            assert_errno(zmq_msg_move(good, bad), libc::EFAULT);
            assert_errno(zmq_msg_move(bad, good), libc::EFAULT);
            assert_errno(zmq_msg_copy(good, bad), libc::EFAULT);
            assert_errno(zmq_msg_copy(bad, good), libc::EFAULT);
            assert_errno(zmq_msg_get(bad, ZMQ_MORE), libc::EFAULT);
            assert_errno(zmq_msg_set(bad, ZMQ_MORE, 1), libc::EFAULT);
            assert_errno(zmq_msg_set_group(bad, c"g".as_ptr()), libc::EFAULT);
            assert_errno(zmq_msg_set_routing_id(bad, 1), libc::EFAULT);
            assert!(zmq_msg_data(bad).is_null() && zmq_msg_size(bad) == 0);
            assert!(zmq_msg_more(bad) == 0 && zmq_msg_routing_id(bad) == 0);
            assert!(zmq_msg_group(bad).is_null());
            assert!(zmq_msg_gets(bad, c"Identity".as_ptr()).is_null());
        }
        assert_eq!(zmq_msg_close(good), 0);
        assert_errno(zmq_msg_init(null_mut()), libc::EFAULT);
        assert_errno(zmq_msg_init_size(null_mut(), 1), libc::EFAULT);
    }
}

#[test]
fn a_failed_init_leaves_no_message() {
    let mut msg = init(0);
    let place = msg.as_mut_ptr();
    let none = FreeFn(None);
    // SAFETY: the pointer leads to memory of a message.
    unsafe {
        assert_errno(zmq_msg_init_size(place, usize::MAX), libc::ENOMEM);
        assert_errno(zmq_msg_close(place), libc::EFAULT);
        assert_eq!(zmq_msg_init(place), 0);
        assert_errno(zmq_msg_init_data(place, null_mut(), 1, none, null_mut()), libc::EFAULT);
        assert_errno(zmq_msg_close(place), libc::EFAULT);
    }
}

#[test]
fn properties_are_read_and_never_set() {
    let mut msg = init(3);
    let msg = msg.as_mut_ptr();
    // SAFETY: the pointers lead to a message and texts.
    unsafe {
        assert_eq!(zmq_msg_get(msg, ZMQ_MORE), 0);
        assert_eq!(zmq_msg_get(msg, ZMQ_SHARED), 0);
        assert_errno(zmq_msg_get(msg, ZMQ_SRCFD), libc::EINVAL);
        assert_errno(zmq_msg_get(msg, 99), libc::EINVAL);
        assert_errno(zmq_msg_set(msg, ZMQ_MORE, 1), libc::EINVAL);
        assert!(zmq_msg_gets(msg, c"Identity".as_ptr()).is_null());
        assert!(zmq_msg_gets(msg, null()).is_null());
        assert_errno(zmq_msg_set_routing_id(msg, 0), libc::EINVAL);
    }
}

#[test]
fn moving_a_message_to_itself_keeps_it() {
    let mut msg = init(100);
    let msg = msg.as_mut_ptr();
    // SAFETY: the pointer leads to a message.
    unsafe {
        assert_eq!(zmq_msg_move(msg, msg), 0);
        assert_eq!(zmq_msg_size(msg), 100);
        assert_eq!(zmq_msg_copy(msg, msg), 0);
        assert_eq!(zmq_msg_size(msg), 100);
        assert_eq!(zmq_msg_close(msg), 0);
    }
}

#[test]
fn handles_are_good_for_their_kind_and_their_life_only() {
    let context = zmq_ctx_new();
    let mut here = 0u64;
    // SAFETY: handles are never read through; the buffers are as long as said.
    unsafe {
        let socket = zmq_socket(context, ZMQ_PAIR);
        assert!(!context.is_null() && !socket.is_null());
        let foreign = (&raw mut here).cast::<c_void>();
        for other in [null_mut(), foreign, socket, ptr::from_handle(1)] {
            assert_errno(zmq_ctx_term(other), libc::EFAULT);
            assert_errno(zmq_ctx_shutdown(other), libc::EFAULT);
            assert_errno(zmq_ctx_set(other, ZMQ_IO_THREADS, 1), libc::EFAULT);
            assert_errno(zmq_ctx_get(other, ZMQ_IO_THREADS), libc::EFAULT);
            assert!(zmq_socket(other, ZMQ_PAIR).is_null());
            assert_eq!(zmq_errno(), libc::EFAULT);
        }
        for other in [null_mut(), foreign, context, ptr::from_handle(1)] {
            refused(other);
        }
        assert_eq!(zmq_close(socket), 0);
        refused(socket);
        assert_eq!(zmq_ctx_term(context), 0);
        assert_errno(zmq_ctx_term(context), libc::EFAULT);
        refused(socket);
    }
}

/// Every function of sockets says ENOTSOCK.
///
/// # Safety
/// Always safe.
unsafe fn refused(socket: *mut c_void) {
    let mut msg = init(0);
    let mut buffer = [0u8; 8];
    let mut size = 4;
    let room = buffer.as_mut_ptr().cast::<c_void>();
    let addr = c"inproc://refused".as_ptr();
    // SAFETY: handles are never read through; the buffers are as long as said.
    unsafe {
        assert_errno(zmq_close(socket), libc::ENOTSOCK);
        assert_errno(zmq_bind(socket, addr), libc::ENOTSOCK);
        assert_errno(zmq_connect(socket, addr), libc::ENOTSOCK);
        assert_errno(zmq_unbind(socket, addr), libc::ENOTSOCK);
        assert_errno(zmq_disconnect(socket, addr), libc::ENOTSOCK);
        assert_errno(zmq_send(socket, room, 4, ZMQ_DONTWAIT), libc::ENOTSOCK);
        assert_errno(zmq_send_const(socket, room, 4, ZMQ_DONTWAIT), libc::ENOTSOCK);
        assert_errno(zmq_recv(socket, room, 4, ZMQ_DONTWAIT), libc::ENOTSOCK);
        assert_errno(zmq_msg_send(msg.as_mut_ptr(), socket, ZMQ_DONTWAIT), libc::ENOTSOCK);
        assert_errno(zmq_msg_recv(msg.as_mut_ptr(), socket, ZMQ_DONTWAIT), libc::ENOTSOCK);
        assert_errno(zmq_setsockopt(socket, ZMQ_LINGER, room, 4), libc::ENOTSOCK);
        assert_errno(zmq_getsockopt(socket, ZMQ_LINGER, room, &mut size), libc::ENOTSOCK);
        assert_errno(zmq_socket_monitor(socket, addr, ZMQ_EVENT_ALL), libc::ENOTSOCK);
        if !socket.is_null() {
            let mut item = PollItem { socket, fd: Fd(0), events: 1, revents: 0 };
            assert_errno(zmq_poll(&mut item, 1, 0), libc::ENOTSOCK);
        }
    }
}

#[test]
fn poll_checks_its_arguments() {
    // SAFETY: NULL is refused or not looked at.
    unsafe {
        assert_errno(zmq_poll(null_mut(), 1, 0), libc::EFAULT);
        assert_errno(zmq_poll(null_mut(), -1, 0), libc::EINVAL);
        assert_eq!(zmq_poll(null_mut(), 0, 0), 0);
    }
}

#[test]
fn pollers_check_their_arguments() {
    let mut poller = zmq_poller_new();
    let mut event = PollerEvent { socket: null_mut(), fd: Fd(5), user_data: null_mut(), events: 1 };
    // SAFETY: handles are never read through; the event may be written.
    unsafe {
        assert_eq!(zmq_poller_size(poller), 0);
        assert_errno(zmq_poller_wait(poller, &mut event, 0), libc::EAGAIN);
        assert_eq!((event.fd, event.events), (Fd(-1), 0));
        assert_errno(zmq_poller_wait(poller, &mut event, -1), libc::EFAULT);
        assert_errno(zmq_poller_wait(poller, null_mut(), 0), libc::EFAULT);
        assert_errno(zmq_poller_wait_all(poller, &mut event, -1, 0), libc::EINVAL);
        assert_errno(zmq_poller_add(poller, null_mut(), null_mut(), 1), libc::ENOTSOCK);
        assert_errno(zmq_poller_add_fd(poller, Fd(-1), null_mut(), 1), libc::EBADF);
        assert_errno(zmq_poller_add_fd(poller, Fd(0), null_mut(), 16), libc::EINVAL);
        assert_eq!(zmq_poller_destroy(&mut poller), 0);
        assert!(poller.is_null());
        assert_errno(zmq_poller_destroy(&mut poller), libc::EFAULT);
        assert_errno(zmq_poller_size(poller), libc::EFAULT);
    }
}

#[test]
fn counters_count_and_tell_when_they_reach_zero() {
    let mut counter = zmq_atomic_counter_new();
    // SAFETY: handles are never read through.
    unsafe {
        assert_eq!(zmq_atomic_counter_inc(counter), 0);
        assert_eq!(zmq_atomic_counter_inc(counter), 1);
        assert_eq!(zmq_atomic_counter_dec(counter), 1);
        assert_eq!(zmq_atomic_counter_dec(counter), 0);
        zmq_atomic_counter_set(counter, 7);
        assert_eq!(zmq_atomic_counter_value(counter), 7);
        let stale = counter;
        zmq_atomic_counter_destroy(&mut counter);
        assert!(counter.is_null());
        assert_errno(zmq_atomic_counter_inc(stale), libc::EFAULT);
        zmq_atomic_counter_destroy(&mut counter);
        zmq_atomic_counter_destroy(null_mut());
    }
}

#[test]
fn a_stopwatch_runs_until_it_is_stopped() {
    let watch = zmq_stopwatch_start();
    // SAFETY: handles are never read through.
    unsafe {
        let before = zmq_stopwatch_intermediate(watch);
        assert!(zmq_stopwatch_stop(watch) >= before);
        assert_eq!(zmq_stopwatch_stop(watch), 0);
        assert_eq!(zmq_errno(), libc::EFAULT);
    }
}

#[test]
fn threads_have_their_name_and_no_signals() {
    struct Seen {
        name: String,
        blocked: bool,
    }
    unsafe extern "C" fn look(arg: *mut c_void) {
        let mut name = [0; 16];
        let mut mask = MaybeUninit::uninit();
        // SAFETY: the buffers are large enough; the argument is the sender below.
        unsafe {
            libc::pthread_getname_np(libc::pthread_self(), name.as_mut_ptr(), name.len());
            libc::pthread_sigmask(libc::SIG_SETMASK, null(), mask.as_mut_ptr());
            let seen = Seen {
                name: CStr::from_ptr(name.as_ptr()).to_string_lossy().into_owned(),
                blocked: libc::sigismember(mask.as_ptr(), libc::SIGUSR1) == 1,
            };
            let _ = (*arg.cast::<mpsc::Sender<Seen>>()).send(seen);
        }
    }
    let (mut tell, told) = mpsc::channel();
    // SAFETY: the sender outlives the thread, which is joined.
    unsafe {
        let thread = zmq_threadstart(ThreadFn(Some(look)), (&raw mut tell).cast());
        assert!(!thread.is_null());
        zmq_threadclose(thread);
        zmq_threadclose(thread);
        assert!(zmq_threadstart(ThreadFn(None), null_mut()).is_null());
    }
    let seen: Seen = told.recv().expect("the thread ran");
    assert!(seen.name == "ZMQapp" && seen.blocked);
}

#[test]
fn texts_for_errors_capabilities_and_keys() {
    // SAFETY: texts are NUL-terminated, buffers large enough.
    unsafe {
        assert_eq!(CStr::from_ptr(zmq_strerror(ETERM)), c"Context was terminated");
        assert_eq!(CStr::from_ptr(zmq_strerror(libc::EHOSTUNREACH)), c"Host unreachable");
        assert_eq!(CStr::from_ptr(zmq_strerror(libc::EINVAL)), c"Invalid argument");
        assert_eq!(
            (zmq_has(c"ipc".as_ptr()), zmq_has(c"tcp".as_ptr()), zmq_has(null())),
            (1, 0, 0)
        );
        let mut text = [1; 11];
        let bytes = [0x86, 0x4F, 0xD2, 0x6F, 0xB5, 0x59, 0xF7, 0x5B];
        assert_eq!(zmq_z85_encode(text.as_mut_ptr(), bytes.as_ptr(), 8), text.as_mut_ptr());
        assert_eq!(CStr::from_ptr(text.as_ptr()), c"HelloWorld");
        let mut back = [0; 8];
        assert_eq!(zmq_z85_decode(back.as_mut_ptr(), text.as_ptr()), back.as_mut_ptr());
        assert_eq!(back, bytes);
        assert!(zmq_z85_encode(text.as_mut_ptr(), bytes.as_ptr(), 7).is_null());
        assert_eq!(zmq_errno(), libc::EINVAL);
        assert!(zmq_z85_decode(back.as_mut_ptr(), c"####".as_ptr()).is_null());
        assert!(zmq_z85_decode(null_mut(), text.as_ptr()).is_null());
        zmq_version(null_mut(), null_mut(), null_mut());
    }
}

/// Measured on libzmq 4.3.4, and on 4.3.5 for draft types.
#[test]
fn what_a_message_held_goes_when_there_is_none_to_receive() {
    static FREED: AtomicU32 = AtomicU32::new(0);
    unsafe extern "C" fn count(_: *mut c_void, _: *mut c_void) {
        FREED.fetch_add(1, Ordering::Relaxed);
    }
    let mut bytes = [0u8; 100];
    // SAFETY: handles are only looked up, the other pointers lead to what they should, and outlive the messages.
    unsafe {
        let context = zmq_ctx_new();
        for (kind, waits, error, keeps) in [
            (ZMQ_PULL, false, libc::EAGAIN, false),
            (ZMQ_PULL, true, libc::EAGAIN, false),
            (ZMQ_PAIR, false, libc::EAGAIN, false),
            (ZMQ_SUB, false, libc::EAGAIN, false),
            (ZMQ_ROUTER, true, libc::EAGAIN, false),
            (ZMQ_GATHER, false, libc::EAGAIN, false),
            (ZMQ_XPUB, false, libc::EAGAIN, true),
            (ZMQ_STREAM, true, libc::EAGAIN, true),
            (ZMQ_REQ, false, EFSM, true),
            (ZMQ_PUSH, false, libc::ENOTSUP, true),
        ] {
            let socket = zmq_socket(context, kind);
            let timeout: c_int = 5;
            let (value, size) = ((&raw const timeout).cast(), size_of::<c_int>());
            assert_eq!(zmq_setsockopt(socket, ZMQ_RCVTIMEO, value, size), 0);
            let (mut msg, data) = (MaybeUninit::uninit(), bytes.as_mut_ptr().cast());
            let msg = msg.as_mut_ptr();
            FREED.store(0, Ordering::Relaxed);
            assert_eq!(zmq_msg_init_data(msg, data, 100, FreeFn(Some(count)), null_mut()), 0);
            assert_errno(zmq_msg_recv(msg, socket, if waits { 0 } else { ZMQ_DONTWAIT }), error);
            let left = if keeps { (100, 0) } else { (0, 1) };
            assert_eq!((zmq_msg_size(msg), FREED.load(Ordering::Relaxed)), left, "type {kind}");
            assert_eq!(zmq_msg_close(msg), 0);
            assert_eq!(zmq_close(socket), 0);
        }
        assert_eq!(zmq_ctx_term(context), 0);
    }
}
