//! What background threads set on themselves, and how many processors there are for all.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

thread_local! {
    static BACKGROUND: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread is one of the library's own.
pub fn is_background() -> bool {
    BACKGROUND.try_with(Cell::get).unwrap_or(false)
}

/// The calling thread is one of the library's own. Blocks every signal for it: handlers belong to the application's threads.
pub fn begin_background() {
    BACKGROUND.set(true);
    // SAFETY: the set is initialised by sigfillset before it is used.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut set);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
    }
}

/// Runs `make` with every signal blocked, for the sake of threads that it starts.
pub fn without_signals<T>(make: impl FnOnce() -> T) -> T {
    // SAFETY: the sets are plain data; the one that is set again was filled by the kernel.
    let before = unsafe {
        let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &all, &mut before);
        before
    };
    let made = make();
    // SAFETY: as above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut()) };
    made
}

/// Pins the calling thread to `cpus`; false when the kernel refuses.
pub fn set_affinity(cpus: &[usize]) -> bool {
    // SAFETY: cpu_set_t is plain data; CPU_SET checks nothing, so the index is bounded here.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        for &cpu in cpus.iter().filter(|c| **c < libc::CPU_SETSIZE as usize) {
            libc::CPU_SET(cpu, &mut set);
        }
        libc::sched_setaffinity(0, std::mem::size_of::<libc::cpu_set_t>(), &set) == 0
    }
}

/// Scheduling policy and priority of the calling thread (pthread_setschedparam); a policy below 0 keeps
/// the current one. Other policies than FIFO and RR take no priority: a positive one means nice(-20).
/// False when the kernel refuses.
pub fn set_scheduling(policy: i32, priority: i32) -> bool {
    // SAFETY: the parameter block is plain data, filled by the kernel before it is read.
    unsafe {
        let me = libc::pthread_self();
        let mut now = 0;
        let mut param: libc::sched_param = std::mem::zeroed();
        if libc::pthread_getschedparam(me, &mut now, &mut param) != 0 {
            return false;
        }
        let policy = if policy < 0 { now } else { policy };
        let real_time = policy == libc::SCHED_FIFO || policy == libc::SCHED_RR;
        param.sched_priority = if real_time { priority.max(0) } else { 0 };
        let mut kept = libc::pthread_setschedparam(me, policy, &param) == 0;
        if !real_time && priority > 0 {
            kept &= libc::setpriority(libc::PRIO_PROCESS, libc::gettid() as libc::id_t, -20) == 0;
        }
        kept
    }
}

/// How many processors the threads that asked of late may run on, all together. Threads pinned to one
/// processor each count as many as they are on; a process that has been confined since counts as confined.
pub fn processors() -> usize {
    /// In seconds: a thread counts for as long as this after it asked, and for twice that at most.
    const PERIOD: u64 = 10;
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    static LATELY: Lately = Lately::new();
    let mut mine = 0;
    // SAFETY: cpu_set_t is plain data, filled by the kernel before it is read; the index is in range.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, std::mem::size_of::<libc::cpu_set_t>(), &mut set) == 0 {
            for cpu in 0..libc::CPU_SETSIZE as usize {
                mine |= u64::from(libc::CPU_ISSET(cpu, &set)) << (cpu % 64);
            }
        }
    }
    let period = BEGINNING.get_or_init(Instant::now).elapsed().as_secs() / PERIOD;
    // What the parent of a fork saw says nothing about the child.
    LATELY.note(mine, u64::from(std::process::id()) << 32 | period).count_ones().max(1) as usize
}

/// Processors that somebody was seen on in this period and in the one before. Bit n stands for processor n and
/// those that have the same number modulo 64.
struct Lately {
    period: AtomicU64,
    now: AtomicU64,
    before: AtomicU64,
}

impl Lately {
    const fn new() -> Lately {
        Lately { period: AtomicU64::new(0), now: AtomicU64::new(0), before: AtomicU64::new(0) }
    }

    /// Threads that get here at once may lose each other's bits: they ask again soon.
    fn note(&self, mine: u64, period: u64) -> u64 {
        let known = self.period.swap(period, Ordering::Relaxed);
        if known != period {
            let seen = self.now.swap(0, Ordering::Relaxed);
            let lasts = if known + 1 == period { seen } else { 0 };
            self.before.store(lasts, Ordering::Relaxed);
        }
        (self.now.fetch_or(mine, Ordering::Relaxed) | mine) | self.before.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_forgotten_after_a_while() {
        let lately = Lately::new();
        assert_eq!(lately.note(0b01, 0), 0b01);
        assert_eq!(lately.note(0b10, 0), 0b11);
        assert_eq!(lately.note(0b10, 1), 0b11);
        assert_eq!(lately.note(0b10, 2), 0b10);
        assert_eq!(lately.note(0b01, 9), 0b01);
    }
}
