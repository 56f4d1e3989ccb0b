//! Waiting on a word of memory. Unlike std's parking this tells of signals, as EINTR is part of the C contract.

use std::sync::atomic::AtomicU32;
use std::time::Duration;

use crate::base::Error;

/// Sleeps while `word` holds `expected`; `Again` after `timeout`, `Interrupted` on a signal.
/// May return early for no reason.
pub fn futex_wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>) -> Result<(), Error> {
    /// Without a time limit the kernel goes on waiting after a handler that was installed with SA_RESTART, as signal(3)
    /// does. With one it answers EINTR after any handler, as poll(2) does.
    const AGES: Duration = Duration::from_secs(1 << 30);
    let time = timeout.unwrap_or(AGES);
    let limit = libc::timespec {
        tv_sec: time.as_secs().min(i64::MAX as u64) as libc::time_t,
        tv_nsec: libc::c_long::from(time.subsec_nanos() as i32),
    };
    // SAFETY: `word` and `limit` outlive the call.
    let rc = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            expected,
            &raw const limit,
        )
    };
    if rc == 0 {
        return Ok(());
    }
    match std::io::Error::last_os_error().raw_os_error() {
        Some(libc::ETIMEDOUT) if timeout.is_some() => Err(Error::Again),
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
