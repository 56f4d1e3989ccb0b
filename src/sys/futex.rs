//! Waiting on a word of memory. Unlike std's parking this tells of signals, as EINTR is part of the C contract.

use std::sync::atomic::AtomicU32;
use std::time::Duration;

use crate::base::Error;

/// Sleeps while `word` holds `expected`; `Again` after `timeout`, `Interrupted` on a signal.
/// May return early for no reason.
pub fn futex_wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>) -> Result<(), Error> {
    let limit = timeout.map(|t| libc::timespec {
        tv_sec: t.as_secs().min(i64::MAX as u64) as libc::time_t,
        tv_nsec: libc::c_long::from(t.subsec_nanos() as i32),
    });
    let limit_ptr = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: `word` outlives the call and `limit_ptr` is null or points to a live timespec.
    let rc = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            expected,
            limit_ptr,
        )
    };
    if rc == 0 {
        return Ok(());
    }
    match std::io::Error::last_os_error().raw_os_error() {
        Some(libc::ETIMEDOUT) => Err(Error::Again),
        Some(libc::EINTR) => Err(Error::Interrupted),
        _ => Ok(()),
    }
}

/// Wakes every thread that sleeps on `word`.
pub fn futex_wake(word: &AtomicU32) {
    // SAFETY: the kernel only uses the address as a key.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
            i32::MAX,
        );
    }
}
