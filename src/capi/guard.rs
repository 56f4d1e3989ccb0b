//! The boundary that no panic crosses, and where a `Result` becomes a return value and `errno`.
//!
//! A panic is a defect of the library. The call in which it happens fails with ENOTRECOVERABLE,
//! whatever the function; std has printed the message to stderr by then. Locks are left usable, so
//! that other calls go on.

use std::mem;
use std::panic::{self, AssertUnwindSafe};

use super::errno;
use crate::base::Error;

/// Runs `body`; an error, or a panic, sets `errno` and gives `failed`.
#[inline(always)]
pub(super) fn call<T>(failed: T, body: impl FnOnce() -> Result<T, Error>) -> T {
    match panic::catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => value,
        Ok(Err(error)) => {
            errno::set(error);
            failed
        }
        Err(payload) => {
            // Dropping what was thrown could panic again.
            mem::forget(payload);
            errno::set(errno::DEFECT);
            failed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_fixed_errno() {
        assert_eq!(call(-1, || panic!("on purpose")), -1);
        assert_eq!(errno::current(), libc::ENOTRECOVERABLE);
        assert_eq!(call(-1, || Err(Error::NotSocket)), -1);
        assert_eq!(errno::current(), libc::ENOTSOCK);
        assert_eq!(call(-1, || Ok(7)), 7);
    }
}
