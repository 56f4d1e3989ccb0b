//! Tests that need a process of their own: because they measure it, take its descriptors away, or fork it.

use std::any;
use std::env;
use std::fs;
use std::process::Command;
use std::time::Duration;

use super::Scratch;
use super::child::{End, run};

const MARK: &str = "FERROZMQ_TEST_ALONE";
/// Far more than any of them takes.
const LIMIT: Duration = Duration::from_secs(180);

/// Runs the test that calls this once more, by itself in a new process, and there `body`. It has to be a closure
/// written in that test.
pub fn alone<F: FnOnce()>(body: F) {
    let path = any::type_name::<F>();
    let inside = path.split_once("::").map_or(path, |(_, rest)| rest);
    let name = inside.strip_suffix("::{{closure}}").expect("a closure in a test");
    if env::var_os(MARK).is_some_and(|mark| mark == *name) {
        body();
        return;
    }
    let scratch = Scratch::new("alone").expect("a folder");
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(MARK, name);
    // What it leaves behind, should it come to a bad end, goes with the folder.
    command.current_dir(scratch.path()).env("TMPDIR", scratch.path());
    let run = run(&mut command, LIMIT, &scratch.path().join("log")).expect("a process");
    let fine = run.end == End::Code(0)
        && run.output.contains("1 passed")
        && !run.output.contains("panicked at");
    assert!(fine, "{name}: {:?} after {:?}\n{}", run.end, run.took, run.tail(40));
}

/// Bytes of memory this process has at present.
pub fn memory() -> usize {
    let page = 4096;
    let text = fs::read_to_string("/proc/self/statm").expect("statm");
    let pages = text.split_whitespace().nth(1).and_then(|word| word.parse::<usize>().ok());
    pages.expect("a number") * page
}

/// Time the processor has spent on this process.
pub fn processor_time() -> Duration {
    // SAFETY: an all-zero timespec is valid, and the call writes to nothing else.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let answer = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    assert_eq!(answer, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Descriptors this process has open, the one that counts them aside.
pub fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("descriptors").count() - 1
}

/// Threads this process has. One that has ended is listed for a moment after it was joined, and is none.
pub fn threads() -> usize {
    /// Of the flags in the kernel's account of a thread (PF_EXITING).
    const EXITING: u64 = 4;
    let tasks = fs::read_dir("/proc/self/task").expect("threads").flatten();
    let lives = |text: &String| {
        // After the name, which is in parentheses and may contain anything.
        let rest = text.rsplit_once(") ").map(|(_, rest)| rest);
        let flags =
            rest.and_then(|rest| rest.split(' ').nth(6)).and_then(|flags| flags.parse().ok());
        flags.is_some_and(|flags: u64| flags & EXITING == 0)
    };
    tasks.filter_map(|task| fs::read_to_string(task.path().join("stat")).ok()).filter(lives).count()
}

/// Returns once this thread of the process sleeps in the kernel.
pub fn wait_until_asleep(thread: libc::pid_t) {
    loop {
        let text = fs::read_to_string(format!("/proc/self/task/{thread}/stat")).expect("a thread");
        // After the name, which is in parentheses and may contain anything.
        let state = text.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        if state == Some('S') {
            return;
        }
        std::thread::yield_now();
    }
}

/// The number of the calling thread.
pub fn thread_number() -> libc::pid_t {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::gettid() }
}
