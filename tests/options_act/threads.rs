//! Options about I/O threads and contexts. Threads are told apart by names no other test gives them.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::RawFd;
use std::path::PathBuf;

use zmq::base::Error;
use zmq::base::constants as c;
use zmq::ctx;
use zmq::socket;

use super::util::{eventually, int};
use crate::support::local::{Context, Socket};
use crate::support::raw::Raw;

/// The folders in /proc of this process's threads with names that begin so.
fn threads(prefix: &str) -> Vec<(String, PathBuf)> {
    let tasks = fs::read_dir("/proc/self/task").expect("threads");
    let mut found: Vec<_> = tasks
        .filter_map(|task| {
            let folder = task.ok()?.path();
            let name = fs::read_to_string(folder.join("comm")).ok()?.trim_end().to_owned();
            name.starts_with(prefix).then_some((name, folder))
        })
        .collect();
    found.sort();
    found
}

/// A thread takes its name on when it runs first, which need not be at once.
fn named_threads(prefix: &str, count: usize) -> Vec<(String, PathBuf)> {
    eventually("threads", || threads(prefix).len() == count);
    threads(prefix)
}

fn set_bytes(context: &Context, option: i32, value: &[u8]) {
    let context = ctx::lookup(context.handle).expect("a context");
    context.set_option(option, value).expect("an option");
}

#[test]
fn threads_are_named_by_prefix_and_number() {
    // The prefix as set, what it becomes, whether the name is cut.
    let table: [(&[u8], &[&str]); 3] = [
        (b"opA", &["opA/ZMQbg/IO/0", "opA/ZMQbg/IO/1"]),
        (b"opBlonger", &["opBlonger/ZMQbg"; 2]),
        (&4321i32.to_ne_bytes(), &["4321/ZMQbg/IO/0", "4321/ZMQbg/IO/1"]),
    ];
    for (prefix, names) in table {
        let context = Context::new();
        set_bytes(&context, c::ZMQ_THREAD_NAME_PREFIX, prefix);
        context.set(c::ZMQ_IO_THREADS, 2);
        let start: String = names[0].chars().take(4).collect();
        assert_eq!(threads(&start), []);
        context.socket(c::ZMQ_PULL).listen();
        let found: Vec<_> =
            named_threads(&start, names.len()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(found, names);
        drop(context);
        assert_eq!(threads(&start), [], "they end with the context");
    }
}

#[test]
fn threads_run_where_and_how_they_are_told() {
    const SCHED_BATCH: i32 = 3;
    let context = Context::new();
    set_bytes(&context, c::ZMQ_THREAD_NAME_PREFIX, b"opC");
    context.set(c::ZMQ_THREAD_AFFINITY_CPU_ADD, 0);
    context.set(c::ZMQ_THREAD_AFFINITY_CPU_ADD, 1);
    context.set(c::ZMQ_THREAD_AFFINITY_CPU_REMOVE, 1);
    context.set(c::ZMQ_THREAD_SCHED_POLICY, SCHED_BATCH);
    context.socket(c::ZMQ_PULL).listen();
    let (_, folder) = named_threads("opC", 1).remove(0);
    let field = |number: usize| {
        let stat = fs::read_to_string(folder.join("stat")).expect("stat");
        // What follows the name begins with the third field.
        let rest = stat.rsplit(") ").next().unwrap_or_default().to_owned();
        rest.split_whitespace().nth(number - 3).and_then(|text| text.parse::<i64>().ok())
    };
    // Set by the thread itself when it begins.
    eventually("the policy", || field(41) == Some(SCHED_BATCH.into()));
    let status = fs::read_to_string(folder.join("status")).expect("status");
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    assert_eq!(allowed.map(str::trim), Some("0"));
}

#[test]
fn a_priority_is_taken_where_the_kernel_allows_it() {
    let context = Context::new();
    set_bytes(&context, c::ZMQ_THREAD_NAME_PREFIX, b"opD");
    context.set(c::ZMQ_THREAD_SCHED_POLICY, libc::SCHED_RR);
    context.set(c::ZMQ_THREAD_PRIORITY, 7);
    let server = context.socket(c::ZMQ_PULL);
    let address = server.listen();
    let client = context.socket(c::ZMQ_PUSH);
    client.connect(address);
    client.send(&[b"works"]);
    assert_eq!(server.recv(), [b"works"], "whether the kernel agrees or not");
    let (_, folder) = named_threads("opD", 1).remove(0);
    let stat = fs::read_to_string(folder.join("stat")).expect("stat");
    let rest: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let (priority, policy) = (rest[40 - 3], rest[41 - 3]);
    let taken = (priority, policy) == ("7", "2");
    let refused = (priority, policy) == ("0", "0");
    assert!(taken || (refused && !may_set_priorities()), "{priority} {policy}");
}

fn may_set_priorities() -> bool {
    let mut param = libc::sched_param { sched_priority: 1 };
    // SAFETY: both calls take plain data; the second puts back what was.
    std::thread::spawn(move || unsafe {
        let granted = libc::sched_setscheduler(0, libc::SCHED_RR, &param) == 0;
        param.sched_priority = 0;
        libc::sched_setscheduler(0, libc::SCHED_OTHER, &param);
        granted
    })
    .join()
    .expect("a thread")
}

/// Which descriptors each poller of this process looks after.
fn pollers() -> Vec<BTreeSet<RawFd>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc/self/fd").expect("descriptors").flatten() {
        let is_poller = fs::read_link(entry.path())
            .is_ok_and(|target| target.to_string_lossy() == "anon_inode:[eventpoll]");
        if !is_poller {
            continue;
        }
        let path = format!("/proc/self/fdinfo/{}", entry.file_name().to_string_lossy());
        let text = fs::read_to_string(path).unwrap_or_default();
        let targets = text
            .lines()
            .filter_map(|line| line.strip_prefix("tfd:"))
            .filter_map(|rest| rest.split_whitespace().next()?.parse().ok());
        found.push(targets.collect());
    }
    found
}

/// The poller, as its descriptors, that serves this one.
fn poller_of(fd: RawFd) -> BTreeSet<RawFd> {
    let find = || pollers().into_iter().find(|set| set.contains(&fd));
    eventually("a descriptor at a poller", || find().is_some());
    find().expect("found before")
}

#[test]
fn affinity_chooses_among_the_threads() {
    let context = Context::new();
    context.set(c::ZMQ_IO_THREADS, 3);
    let mut groups: Vec<Vec<RawFd>> = Vec::new();
    let mut kept: Vec<(Socket, Raw)> = Vec::new();
    for thread in 0..3 {
        let server = context.socket(c::ZMQ_PULL);
        let events = server.watch(&context);
        server.set_bytes(c::ZMQ_AFFINITY, &(1u64 << thread).to_ne_bytes());
        let mut group = Vec::new();
        let address = server.listen();
        group.push(events.until(c::ZMQ_EVENT_LISTENING) as RawFd);
        for _ in 0..4 {
            let mut peer = Raw::connect(address);
            group.push(events.until(c::ZMQ_EVENT_ACCEPTED) as RawFd);
            peer.greet("PUSH");
            kept.push((context.socket(c::ZMQ_PULL), peer));
        }
        let client = context.socket(c::ZMQ_PUSH);
        let events = client.watch(&context);
        client.set_bytes(c::ZMQ_AFFINITY, &(1u64 << thread).to_ne_bytes());
        client.connect(address);
        group.push(events.until(c::ZMQ_EVENT_CONNECTED) as RawFd);
        groups.push(group);
        kept.push((server, Raw::connect(address)));
        kept.push((client, Raw::connect(address)));
    }
    for (n, group) in groups.iter().enumerate() {
        let poller = poller_of(group[0]);
        for fd in group {
            assert!(poller.contains(fd) || poller_of(*fd).contains(&group[0]), "{n}: {group:?}");
        }
        for other in groups.iter().skip(n + 1) {
            assert!(!poller.contains(&other[0]), "{group:?} and {other:?} at one thread");
        }
    }
}

#[test]
fn without_affinity_the_threads_share() {
    let context = Context::new();
    context.set(c::ZMQ_IO_THREADS, 3);
    let mut kept = Vec::new();
    for _ in 0..3 {
        let server = context.socket(c::ZMQ_PULL);
        let events = server.watch(&context);
        server.listen();
        kept.push((server, events.until(c::ZMQ_EVENT_LISTENING) as RawFd));
    }
    for (_, fd) in &kept {
        let poller = poller_of(*fd);
        let others = kept.iter().filter(|(_, other)| other != fd && poller.contains(other));
        assert_eq!(others.count(), 0);
    }
}

#[test]
fn without_a_thread_there_are_no_connections() {
    // Threads, affinity, whether tcp and ipc work.
    let table =
        [(0, 0, false), (1, 0, true), (1, 1, true), (1, 2, false), (2, 2, true), (2, 12, false)];
    for (count, affinity, works) in table {
        let context = Context::new();
        context.set(c::ZMQ_IO_THREADS, count);
        let socket = context.socket(c::ZMQ_DEALER);
        socket.set_bytes(c::ZMQ_AFFINITY, &u64::to_ne_bytes(affinity));
        let expected = if works { Ok(()) } else { Err(Error::NoThread) };
        assert_eq!(socket.api().bind("tcp://127.0.0.1:*"), expected, "{count} {affinity}");
        assert_eq!(socket.api().bind("ipc://*"), expected);
        assert_eq!(socket.api().connect("tcp://127.0.0.1:1"), expected);
        // inproc needs none.
        assert_eq!(socket.api().bind("inproc://a"), Ok(()));
        let other = context.socket(c::ZMQ_DEALER);
        assert_eq!(other.api().connect("inproc://a"), Ok(()));
    }
}

#[test]
fn sockets_are_counted() {
    let context = Context::new();
    context.set(c::ZMQ_MAX_SOCKETS, 3);
    let open =
        |socket_type| ctx::lookup(context.handle).expect("a context").create_socket(socket_type);
    let mut held: Vec<usize> = (0..3).map(|_| open(c::ZMQ_PAIR).expect("a socket")).collect();
    assert_eq!(open(c::ZMQ_PAIR), Err(Error::TooManyOpen));
    assert_eq!(open(99), Err(Error::TooManyOpen), "before the type is looked at");
    // The number was taken when the first socket was made.
    context.set(c::ZMQ_MAX_SOCKETS, 10);
    assert_eq!(open(c::ZMQ_PAIR), Err(Error::TooManyOpen));
    let close = |handle| socket::lookup(handle).and_then(socket::Socket::close).expect("a close");
    close(held.remove(0));
    eventually("a place", || match open(c::ZMQ_PAIR) {
        Ok(handle) => {
            held.push(handle);
            true
        }
        Err(error) => {
            assert_eq!(error, Error::TooManyOpen);
            false
        }
    });
    held.into_iter().for_each(close);
}

#[test]
fn the_context_decides_how_long_sockets_linger_at_first() {
    for (blocky, push, sub) in [(None, -1, 0), (Some(1), -1, 0), (Some(0), 0, 0)] {
        let context = Context::new();
        if let Some(blocky) = blocky {
            context.set(c::ZMQ_BLOCKY, blocky);
        }
        let open = |socket_type| {
            let made = ctx::lookup(context.handle).expect("a context").create_socket(socket_type);
            Socket { handle: made.expect("a socket") }
        };
        assert_eq!(int(&open(c::ZMQ_PUSH), c::ZMQ_LINGER), push, "{blocky:?}");
        assert_eq!(int(&open(c::ZMQ_SUB), c::ZMQ_LINGER), sub);
        assert_eq!(int(&open(c::ZMQ_XSUB), c::ZMQ_LINGER), sub);
    }
}
