//! What background threads set on themselves, and how many processors there are for all.

use std::sync::atomic::{AtomicU64, Ordering};

/// Blocks every signal for the calling thread: handlers belong to the application's threads.
pub fn block_all_signals() {
    // SAFETY: the set is initialised by sigfillset before it is used.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut set);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
    }
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

/// How many processors the threads that ever asked may run on, all together. Threads pinned to one
/// processor each count as many as they are on.
pub fn processors() -> usize {
    /// Bit n stands for processor n and those that have the same number modulo 64.
    static SEEN: AtomicU64 = AtomicU64::new(0);
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
    (SEEN.fetch_or(mine, Ordering::Relaxed) | mine).count_ones().max(1) as usize
}
