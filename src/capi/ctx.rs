//! Contexts: creation, options, shutdown, termination.

use std::ffi::{c_int, c_void};
use std::ptr::null_mut;

use super::{guard, ptr};
use crate::base::Error;
use crate::base::constants::ZMQ_IO_THREADS;
use crate::ctx;

/// Creates a context. No thread is started before the first socket.
///
/// Returns the context, or NULL.
///
/// Errors: EMFILE when no more contexts can exist, ENOMEM when memory is exhausted.
///
/// Man page: zmq_ctx_new.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_ctx_new() -> *mut c_void {
    guard::call(null_mut(), || ctx::create().map(ptr::from_handle))
}

/// Ends a context: its sockets answer ETERM from now on, and the call waits until all of them are
/// closed and their lingering messages are delivered or given up. Afterwards the handle is invalid.
///
/// Returns 0, or -1.
///
/// Errors: EFAULT when it is no context, EINTR when a signal came while waiting (call again).
///
/// Man page: zmq_ctx_term.
///
/// # Safety
/// Always safe: `context` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_ctx_term(context: *mut c_void) -> c_int {
    guard::call(-1, || ctx::terminate(ptr::handle(context)).map(|()| 0))
}

/// Makes every call on the context's sockets fail with ETERM, except zmq_close, and wakes those
/// that wait. Does not wait itself; calling it again changes nothing. New sockets are refused.
///
/// Returns 0, or -1.
///
/// Errors: EFAULT when it is no context.
///
/// Man page: zmq_ctx_shutdown.
///
/// # Safety
/// Always safe: `context` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_ctx_shutdown(context: *mut c_void) -> c_int {
    guard::call(-1, || ctx::lookup(ptr::handle(context))?.shutdown().map(|()| 0))
}

/// Sets an option of the context (ZMQ_IO_THREADS and those after it).
///
/// Returns 0, or -1.
///
/// Errors: EFAULT when it is no context, EINVAL for an unknown option or a value out of range.
///
/// Man page: zmq_ctx_set.
///
/// # Safety
/// Always safe: `context` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_ctx_set(context: *mut c_void, option: c_int, optval: c_int) -> c_int {
    guard::call(-1, || {
        ctx::lookup(ptr::handle(context))?.set_option(option, &optval.to_ne_bytes()).map(|()| 0)
    })
}

/// The value of an option of the context.
///
/// Returns the value, or -1. Some options are -1 by default, which cannot be told from an error by
/// the value alone.
///
/// Errors: EFAULT when it is no context, EINVAL for an unknown option.
///
/// Man page: zmq_ctx_get.
///
/// # Safety
/// Always safe: `context` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_ctx_get(context: *mut c_void, option: c_int) -> c_int {
    guard::call(-1, || {
        let mut value = [0; size_of::<c_int>()];
        ctx::lookup(ptr::handle(context))?.option(option, &mut value)?;
        Ok(c_int::from_ne_bytes(value))
    })
}

/// Creates a context with that many I/O threads: zmq_ctx_new and zmq_ctx_set in one. Deprecated.
///
/// Returns the context, or NULL.
///
/// Errors: EINVAL for a negative number, otherwise as zmq_ctx_new.
///
/// Man page: zmq_init.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_init(io_threads: c_int) -> *mut c_void {
    guard::call(null_mut(), || {
        if io_threads < 0 {
            return Err(Error::Invalid);
        }
        let context = ctx::create()?;
        ctx::lookup(context)?.set_option(ZMQ_IO_THREADS, &io_threads.to_ne_bytes())?;
        Ok(ptr::from_handle(context))
    })
}

/// The same as zmq_ctx_term. Deprecated.
///
/// Errors: as zmq_ctx_term.
///
/// Man page: zmq_term.
///
/// # Safety
/// Always safe: `context` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_term(context: *mut c_void) -> c_int {
    // SAFETY: the same function by another name.
    unsafe { zmq_ctx_term(context) }
}

/// The same as zmq_ctx_term. Deprecated.
///
/// Errors: as zmq_ctx_term.
///
/// Man page: zmq_ctx_destroy.
///
/// # Safety
/// Always safe: `context` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_ctx_destroy(context: *mut c_void) -> c_int {
    // SAFETY: the same function by another name.
    unsafe { zmq_ctx_term(context) }
}
