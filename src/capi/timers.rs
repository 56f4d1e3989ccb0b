//! Timers that a program drives itself: it asks how long to wait, waits in its own way, and
//! executes what is due.
//!
//! An object may be used by several threads. No lock is held while a handler runs, so handlers may
//! do anything with the same object.

use std::ffi::{c_int, c_long, c_void};
use std::ptr::null_mut;
use std::time::Instant;

use super::timer_list::TimerList;
use super::{TimerFn, guard, kind, ptr};
use crate::base::Error;
use crate::sync::handles::{Guard, Table};

static TIMERS: Table<Timers> = Table::new(kind::TIMERS);

struct Timers(TimerList<Handler>);

#[derive(Clone, Copy)]
struct Handler {
    function: unsafe extern "C" fn(timer_id: c_int, arg: *mut c_void),
    arg: *mut c_void,
}

// SAFETY: the pointer is only kept for the caller, who said in `zmq_timers_add` that the handler
// may be called with it by whatever thread executes the timers.
unsafe impl Send for Handler {}

/// Creates an object that holds timers.
///
/// Returns the object, or NULL.
///
/// Errors: ENOMEM when memory is exhausted, EMFILE when no more can exist.
///
/// Man page: zmq_timers.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_timers_new() -> *mut c_void {
    guard::call(null_mut(), || TIMERS.insert(Timers(TimerList::new())).map(ptr::from_handle))
}

/// Ends the object in `*timers_p` with its timers, and leaves NULL there.
///
/// Returns 0, or -1.
///
/// Errors: EFAULT when there is none.
///
/// Man page: zmq_timers.
///
/// # Safety
/// `timers_p` is NULL or points to a pointer that may be read and written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_timers_destroy(timers_p: *mut *mut c_void) -> c_int {
    guard::call(-1, || {
        // SAFETY: the same promise.
        let timers = unsafe { ptr::take_handle(timers_p) }?;
        TIMERS.remove(timers).map(|_| 0).map_err(|_| Error::Fault)
    })
}

/// Adds a timer that calls `handler(id, arg)` every `interval` milliseconds, from
/// zmq_timers_execute.
///
/// Returns the timer's id, or -1.
///
/// Errors: EFAULT when there is no such object or no handler.
///
/// Man page: zmq_timers.
///
/// # Safety `handler` may be called with `arg` from any thread that calls zmq_timers_execute, until
/// the timer is cancelled or the object destroyed. `timers` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_timers_add(
    timers: *mut c_void,
    interval: usize,
    handler: TimerFn,
    arg: *mut c_void,
) -> c_int {
    guard::call(-1, || {
        let mut timers = lock(timers)?;
        let function = handler.0.ok_or(Error::Fault)?;
        timers.0.add(interval, Handler { function, arg }, Instant::now())
    })
}

/// Ends a timer.
///
/// Returns 0, or -1.
///
/// Errors: EFAULT when there is no such object, EINVAL for an unknown timer or one cancelled
/// before.
///
/// Man page: zmq_timers.
///
/// # Safety
/// Always safe: `timers` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_timers_cancel(timers: *mut c_void, timer_id: c_int) -> c_int {
    guard::call(-1, || lock(timers)?.0.cancel(timer_id).map(|()| 0))
}

/// Changes a timer's interval (milliseconds) and starts it anew.
///
/// Returns 0, or -1.
///
/// Errors: EFAULT when there is no such object, EINVAL for an unknown timer.
///
/// Man page: zmq_timers.
///
/// # Safety
/// Always safe: `timers` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_timers_set_interval(
    timers: *mut c_void,
    timer_id: c_int,
    interval: usize,
) -> c_int {
    guard::call(-1, || lock(timers)?.0.set_interval(timer_id, interval, Instant::now()).map(|()| 0))
}

/// Starts a timer's interval anew.
///
/// Returns 0, or -1.
///
/// Errors: EFAULT when there is no such object, EINVAL for an unknown timer.
///
/// Man page: zmq_timers.
///
/// # Safety
/// Always safe: `timers` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_timers_reset(timers: *mut c_void, timer_id: c_int) -> c_int {
    guard::call(-1, || lock(timers)?.0.reset(timer_id, Instant::now()).map(|()| 0))
}

/// How long to wait until the next timer is due.
///
/// Returns milliseconds, 0 when one is due, -1 when there are no timers.
///
/// Errors: -1 with EFAULT when there is no such object.
///
/// Man page: zmq_timers.
///
/// # Safety
/// Always safe: `timers` is only looked up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_timers_timeout(timers: *mut c_void) -> c_long {
    guard::call(-1, || {
        let wait_ms = lock(timers)?.0.timeout_ms(Instant::now());
        Ok(wait_ms.map_or(-1, |ms| c_long::try_from(ms).unwrap_or(c_long::MAX)))
    })
}

/// Calls the handlers of all timers that are due, once each, in order of time. Handlers may add,
/// change and cancel timers of the same object.
///
/// Returns 0, or -1.
///
/// Errors: EFAULT when there is no such object.
///
/// Man page: zmq_timers.
///
/// # Safety
/// Always safe: `timers` is only looked up. What handlers need was promised to zmq_timers_add.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_timers_execute(timers: *mut c_void) -> c_int {
    guard::call(-1, || {
        let now = Instant::now();
        let due = lock(timers)?.0.due(now);
        for id in due {
            // A handler may have destroyed the object: then nothing more is due.
            let Ok(mut held) = lock(timers) else { break };
            let Some(Handler { function, arg }) = held.0.fire(id, now) else { continue };
            drop(held);
            // SAFETY: promised to `zmq_timers_add` for as long as the timer is in the object.
            unsafe { function(id, arg) };
        }
        Ok(0)
    })
}

fn lock(timers: *mut c_void) -> Result<Guard<'static, Timers>, Error> {
    TIMERS.lock(ptr::handle(timers)).map_err(|_| Error::Fault)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    struct World {
        timers: *mut c_void,
        calls: Cell<u32>,
    }

    fn run(test: impl FnOnce(&World)) {
        let mut timers = zmq_timers_new();
        assert!(!timers.is_null());
        test(&World { timers, calls: Cell::new(0) });
        // SAFETY: the variable outlives the calls.
        unsafe {
            assert_eq!(zmq_timers_destroy(&mut timers), 0);
            assert!(timers.is_null());
            assert_eq!(zmq_timers_destroy(&mut timers), -1);
        }
    }

    fn add(world: &World, handler: unsafe extern "C" fn(c_int, *mut c_void)) -> c_int {
        // SAFETY: the world outlives the timers, and everything runs on this thread.
        unsafe {
            zmq_timers_add(
                world.timers,
                0,
                TimerFn(Some(handler)),
                std::ptr::from_ref(world) as *mut c_void,
            )
        }
    }

    /// # Safety
    /// `arg` is a `World`.
    unsafe fn count<'a>(arg: *mut c_void) -> &'a World {
        // SAFETY: as promised.
        let world = unsafe { &*arg.cast::<World>() };
        world.calls.set(world.calls.get() + 1);
        world
    }

    unsafe extern "C" fn cancel_itself(id: c_int, arg: *mut c_void) {
        // SAFETY: added with a world.
        unsafe { assert_eq!(zmq_timers_cancel(count(arg).timers, id), 0) };
    }

    unsafe extern "C" fn add_another(_: c_int, arg: *mut c_void) {
        // SAFETY: added with a world.
        let world = unsafe { count(arg) };
        assert!(add(world, add_another) > 1);
    }

    unsafe extern "C" fn destroy(_: c_int, arg: *mut c_void) {
        // SAFETY: added with a world.
        let mut timers = unsafe { count(arg).timers };
        // SAFETY: the variable outlives the call.
        unsafe { assert_eq!(zmq_timers_destroy(&mut timers), 0) };
    }

    #[test]
    fn handlers_may_change_the_object_they_are_called_from() {
        run(|world| {
            assert_eq!(add(world, cancel_itself), 1);
            assert_eq!(add(world, add_another), 2);
            // SAFETY: a handle.
            unsafe {
                assert_eq!(zmq_timers_timeout(world.timers), 0);
                assert_eq!(zmq_timers_execute(world.timers), 0);
                assert_eq!(world.calls.get(), 2);
                assert_eq!(zmq_timers_execute(world.timers), 0);
            }
            assert_eq!(world.calls.get(), 4);
        });
    }

    #[test]
    fn a_handler_may_destroy_the_object() {
        let world = World { timers: zmq_timers_new(), calls: Cell::new(0) };
        assert_eq!(add(&world, destroy), 1);
        assert_eq!(add(&world, destroy), 2);
        // SAFETY: a handle.
        unsafe {
            assert_eq!(zmq_timers_execute(world.timers), 0);
            assert_eq!(world.calls.get(), 1);
            assert_eq!(zmq_timers_execute(world.timers), -1);
        }
    }

    #[test]
    fn foreign_pointers_are_refused() {
        let mut here = 0u64;
        for foreign in [null_mut(), (&raw mut here).cast::<c_void>(), ptr::from_handle(1)] {
            // SAFETY: never read through.
            unsafe {
                assert_eq!(zmq_timers_execute(foreign), -1);
                assert_eq!(super::super::errno::current(), libc::EFAULT);
                assert_eq!(zmq_timers_timeout(foreign), -1);
                assert_eq!(zmq_timers_cancel(foreign, 1), -1);
            }
        }
    }
}
