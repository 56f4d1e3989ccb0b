//! Helpers that have little to do with messages: threads, atomic counters, stopwatches, sleep.

use std::ffi::{c_int, c_uint, c_ulong, c_void};
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};
use std::time::Instant;

use super::{ThreadFn, guard, kind, ptr};
use crate::base::Error;
use crate::sync::handles::Table;

static THREADS: Table<Thread> = Table::new(kind::THREAD);
static COUNTERS: Table<c_int> = Table::new(kind::COUNTER);
static STOPWATCHES: Table<Instant> = Table::new(kind::STOPWATCH);

/// Runs `func(arg)` on a new thread, named ZMQapp, with all signals blocked.
///
/// Returns a handle for zmq_threadclose, or NULL.
///
/// Errors: EFAULT without a function, EAGAIN when it would have to wait and may not, or the time is
/// over, ENOMEM when memory is exhausted, EMFILE when no more can exist.
///
/// Man page: none; used by test programs and bindings.
///
/// # Safety
/// `func` may be called with `arg` on another thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_threadstart(func: ThreadFn, arg: *mut c_void) -> *mut c_void {
    guard::call(null_mut(), || {
        let start = Start { function: func.0.ok_or(Error::Fault)?, arg };
        let thread = Thread::start(start)?;
        THREADS.insert(thread).map(ptr::from_handle)
    })
}

/// Waits until a thread of zmq_threadstart ends, and gives up its handle. With anything else it
/// does nothing (EFAULT).
///
/// Errors: EFAULT when there is no such thread.
///
/// Man page: none; used by test programs and bindings.
///
/// # Safety
/// Always safe: `thread` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_threadclose(thread: *mut c_void) {
    guard::call((), || {
        let thread = THREADS.remove(ptr::handle(thread)).map_err(|_| Error::Fault)?;
        thread.join()
    });
}

/// Sleeps for whole seconds, or until a signal comes.
///
/// Cannot fail.
///
/// Man page: none; used by test programs and bindings.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_sleep(seconds: c_int) {
    // SAFETY: sleep touches no memory.
    unsafe { libc::sleep(c_uint::try_from(seconds).unwrap_or(0)) };
}

/// Creates a counter that several threads may use at once; it begins at 0.
///
/// Returns the counter, or NULL.
///
/// Errors: ENOMEM when memory is exhausted, EMFILE when no more can exist.
///
/// Man page: zmq_atomic_counter_new.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_atomic_counter_new() -> *mut c_void {
    guard::call(null_mut(), || COUNTERS.insert(0).map(ptr::from_handle))
}

/// Sets a counter. Without a counter it does nothing (EFAULT).
///
/// Errors: EFAULT when there is no such counter.
///
/// Man page: zmq_atomic_counter_set.
///
/// # Safety
/// Always safe: `counter` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_atomic_counter_set(counter: *mut c_void, value: c_int) {
    guard::call((), || with_counter(counter, |count| *count = value));
}

/// Adds one to a counter.
///
/// Returns the value before, or -1.
///
/// Errors: EFAULT when there is no such counter.
///
/// Man page: zmq_atomic_counter_inc.
///
/// # Safety
/// Always safe: `counter` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_atomic_counter_inc(counter: *mut c_void) -> c_int {
    guard::call(-1, || {
        with_counter(counter, |count| {
            let before = *count;
            *count = before.wrapping_add(1);
            before
        })
    })
}

/// Takes one from a counter.
///
/// Returns 1, or 0 when the counter has reached 0 by that, or -1.
///
/// Errors: EFAULT when there is no such counter.
///
/// Man page: zmq_atomic_counter_dec.
///
/// # Safety
/// Always safe: `counter` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_atomic_counter_dec(counter: *mut c_void) -> c_int {
    guard::call(-1, || {
        with_counter(counter, |count| {
            *count = count.wrapping_sub(1);
            c_int::from(*count != 0)
        })
    })
}

/// The value of a counter.
///
/// Returns the value, or -1.
///
/// Errors: EFAULT when there is no such counter.
///
/// Man page: zmq_atomic_counter_value.
///
/// # Safety
/// Always safe: `counter` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_atomic_counter_value(counter: *mut c_void) -> c_int {
    guard::call(-1, || with_counter(counter, |count| *count))
}

/// Ends the counter in `*counter_p` and leaves NULL there. Without a counter it does nothing
/// (EFAULT).
///
/// Errors: EFAULT when there is no such counter.
///
/// Man page: zmq_atomic_counter_destroy.
///
/// # Safety
/// `counter_p` is NULL or points to a pointer that may be read and written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_atomic_counter_destroy(counter_p: *mut *mut c_void) {
    guard::call((), || {
        // SAFETY: the same promise.
        let counter = unsafe { ptr::take_handle(counter_p) }?;
        COUNTERS.remove(counter).map(|_| ()).map_err(|_| Error::Fault)
    });
}

fn with_counter<T>(counter: *mut c_void, act: impl FnOnce(&mut c_int) -> T) -> Result<T, Error> {
    let mut count = COUNTERS.lock(ptr::handle(counter)).map_err(|_| Error::Fault)?;
    Ok(act(&mut count))
}

/// Starts a stopwatch.
///
/// Returns the stopwatch, or NULL.
///
/// Errors: ENOMEM when memory is exhausted, EMFILE when no more can exist.
///
/// Man page: none; used by test programs and bindings.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_stopwatch_start() -> *mut c_void {
    guard::call(null_mut(), || STOPWATCHES.insert(Instant::now()).map(ptr::from_handle))
}

/// The time since the start, without stopping.
///
/// Returns microseconds.
///
/// Errors: 0 with EFAULT when there is no such stopwatch.
///
/// Man page: none; used by test programs and bindings.
///
/// # Safety
/// Always safe: `watch` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_stopwatch_intermediate(watch: *mut c_void) -> c_ulong {
    guard::call(0, || {
        let started = STOPWATCHES.lock(ptr::handle(watch)).map_err(|_| Error::Fault)?;
        Ok(microseconds_since(*started))
    })
}

/// Stops and ends a stopwatch.
///
/// Returns the microseconds since its start.
///
/// Errors: 0 with EFAULT when there is no such stopwatch.
///
/// Man page: none; used by test programs and bindings.
///
/// # Safety
/// Always safe: `watch` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_stopwatch_stop(watch: *mut c_void) -> c_ulong {
    guard::call(0, || {
        let started = STOPWATCHES.remove(ptr::handle(watch)).map_err(|_| Error::Fault)?;
        Ok(microseconds_since(started))
    })
}

fn microseconds_since(started: Instant) -> c_ulong {
    c_ulong::try_from(started.elapsed().as_micros()).unwrap_or(c_ulong::MAX)
}

/// A thread that runs code of C. Not one of std's: code of C expects the stack that the system
/// gives to threads, and may end its thread from inside.
struct Thread(libc::pthread_t);

struct Start {
    function: unsafe extern "C" fn(arg: *mut c_void),
    arg: *mut c_void,
}

impl Thread {
    fn start(start: Start) -> Result<Thread, Error> {
        let start = Box::into_raw(Box::new(start));
        let mut thread = 0;
        let code = with_signals_blocked(|| {
            // SAFETY: the routine takes over the box, and the caller of `zmq_threadstart` promised
            // the rest.
            unsafe { libc::pthread_create(&mut thread, null(), run, start.cast()) }
        });
        if code == 0 {
            return Ok(Thread(thread));
        }
        // SAFETY: no thread was started, so the box is still ours.
        drop(unsafe { Box::from_raw(start) });
        Err(Error::from_errno(code))
    }

    fn join(self) -> Result<(), Error> {
        // SAFETY: nobody joined it before: it was taken out of the table for this.
        match unsafe { libc::pthread_join(self.0, null_mut()) } {
            0 => Ok(()),
            code => Err(Error::from_errno(code)),
        }
    }
}

/// What the new thread runs. Nothing with a destructor is alive while it runs code of C.
extern "C" fn run(start: *mut c_void) -> *mut c_void {
    // SAFETY: `Thread::start` gave the box away to this thread.
    let Start { function, arg } = *unsafe { Box::from_raw(start.cast::<Start>()) };
    // SAFETY: the name is short enough and ends with a NUL; for the call, see `Thread::start`.
    unsafe {
        libc::pthread_setname_np(libc::pthread_self(), c"ZMQapp".as_ptr());
        function(arg);
    }
    null_mut()
}

/// Blocks all signals meanwhile, so that a thread that `act` creates has them blocked from its
/// beginning.
fn with_signals_blocked<T>(act: impl FnOnce() -> T) -> T {
    let mut all = MaybeUninit::uninit();
    let mut before = MaybeUninit::uninit();
    // SAFETY: both sets live on this stack, and are filled before they are read.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let result = act();
    // SAFETY: as above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), null_mut()) };
    result
}
