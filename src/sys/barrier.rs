//! A memory barrier that one thread runs on behalf of all others of the process (membarrier(2)): what is done often can do
//! without one where what is done seldom pays for both.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{process_id, thread};

/// The process that asked the kernel for it; a child of a fork asks anew.
static ASKED: AtomicU32 = AtomicU32::new(0);
/// The process that has it.
static READY: AtomicU32 = AtomicU32::new(0);

/// A number that no other running thread has, never 0.
#[inline(always)]
pub fn this_thread() -> usize {
    #[cfg(target_arch = "x86_64")]
    {
        let own: usize;
        // SAFETY: reads the word at the start of the thread's control block, which the ABI makes its own address.
        unsafe {
            std::arch::asm!("mov {}, fs:[0]", out(reg) own, options(nostack, readonly, preserves_flags, pure));
        }
        own
    }
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: takes nothing and cannot fail.
    unsafe {
        libc::pthread_self() as usize
    }
}

/// Whether [`barrier_everywhere`] is available. The first to ask gets no for an answer and makes it so: the kernel takes
/// milliseconds to see to that where there are several threads, which are those of a thread made for it.
#[cold]
pub fn has_barrier_everywhere() -> bool {
    let here = process_id();
    if READY.load(Ordering::Acquire) == here {
        return true;
    }
    if ASKED.swap(here, Ordering::Relaxed) != here {
        let ask = move || {
            if membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) {
                READY.store(here, Ordering::Release);
            }
        };
        // Where there is no thread to be had all stays as it is: correct, if slower.
        let _refused = thread::without_signals(|| {
            std::thread::Builder::new().name("ZMQbg/Barrier".into()).stack_size(1 << 16).spawn(ask)
        });
    }
    false
}

/// Runs a full barrier on every thread of the process. Only after [`has_barrier_everywhere`] said yes.
pub fn barrier_everywhere() {
    /// Far longer than any processor keeps a store to itself.
    const SETTLED: Duration = Duration::from_millis(10);
    std::sync::atomic::fence(Ordering::SeqCst);
    if !membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED) {
        // A sandbox was put up since.
        std::thread::sleep(SETTLED);
    }
    std::sync::atomic::fence(Ordering::SeqCst);
}

fn membarrier(command: libc::c_int) -> bool {
    // SAFETY: the call takes numbers only.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_threads_have_numbers_of_their_own() {
        let here = this_thread();
        let there = std::thread::spawn(this_thread).join().expect("no panic");
        assert!(here != 0 && there != 0 && here != there);
        assert_eq!(here, this_thread());
    }

    #[test]
    fn the_barrier_is_there_after_a_while() {
        // SAFETY: the call takes numbers only.
        if unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_QUERY, 0, 0) } < 0 {
            eprintln!("this kernel has no membarrier(2)");
            return;
        }
        let began = std::time::Instant::now();
        while !has_barrier_everywhere() {
            assert!(began.elapsed() < Duration::from_secs(30));
            std::thread::yield_now();
        }
        barrier_everywhere();
    }
}
