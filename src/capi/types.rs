//! What zmq.h declares beside functions and constants. The declarations in C are in cbindgen.toml
//! where they depend on compilers or systems.

use std::ffi::{c_int, c_void};

/// A descriptor of the operating system (`zmq_fd_t`).
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fd(pub c_int);

/// Gives back the memory of a message (`zmq_free_fn`): called with its data and the caller's hint.
#[repr(transparent)]
#[derive(Clone, Copy, Debug)]
pub struct FreeFn(pub Option<unsafe extern "C" fn(data: *mut c_void, hint: *mut c_void)>);

/// What a timer calls (`zmq_timer_fn`): its id and the caller's argument.
#[repr(transparent)]
#[derive(Clone, Copy, Debug)]
pub struct TimerFn(pub Option<unsafe extern "C" fn(timer_id: c_int, arg: *mut c_void)>);

/// What a thread runs (`zmq_thread_fn`).
#[repr(transparent)]
#[derive(Clone, Copy, Debug)]
pub struct ThreadFn(pub Option<unsafe extern "C" fn(arg: *mut c_void)>);
