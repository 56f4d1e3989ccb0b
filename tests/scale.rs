//! What idle connections cost (no wake-up, little memory, nothing on the messages of others), and that large messages
//! are sent from where they lie and copied once at most on the way in.
//!
//! The measuring is done by the cells of `benches/`, with the library under test; their peers are raw connections in
//! processes of their own. Processor time is compared, never the clock, and the best of a few runs counts.

mod support;

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use support::child::{End, run};
use support::{Scratch, library, repository};

const LIMIT: Duration = Duration::from_secs(100);
/// Runs of which the best counts.
const TRIES: usize = 5;

/// The program with the cells, compiled once.
fn cells() -> &'static PathBuf {
    static CELLS: OnceLock<PathBuf> = OnceLock::new();
    CELLS.get_or_init(|| {
        let folder = support::target().join("cells");
        fs::create_dir_all(&folder).expect("a folder");
        let fresh = folder.join(format!("cells.{}", std::process::id()));
        let sources = fs::read_dir(repository().join("benches")).expect("benches");
        let sources = sources.filter_map(|entry| Some(entry.ok()?.path()));
        let mut command = Command::new(env::var_os("CC").unwrap_or_else(|| "cc".into()));
        command.args(["-std=gnu11", "-O2", "-Wall", "-Wextra", "-o"]).arg(&fresh);
        command.args(sources.filter(|path| path.extension() == Some(OsStr::new("c"))));
        let answer = command.args(["-ldl", "-lpthread"]).output().expect("a compiler");
        assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
        let program = folder.join("cells");
        fs::rename(&fresh, &program).expect("to rename");
        program
    })
}

/// The figures of one run of a cell.
fn measure(arguments: &str) -> BTreeMap<String, f64> {
    let scratch = Scratch::new("cell").expect("a folder");
    let mut command = Command::new(cells());
    command.arg(library().expect("a library")).args(arguments.split_whitespace());
    let run = run(&mut command, LIMIT, &scratch.path().join("log")).expect("a process");
    assert_eq!(run.end, End::Code(0), "{arguments}:\n{}", run.tail(20));
    let lines = run.output.lines().filter_map(|line| line.split_once(' '));
    lines.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect()
}

/// Until `good` says so of one run, a few times at most.
fn measure_until(arguments: &str, good: impl Fn(&BTreeMap<String, f64>) -> bool) {
    let mut seen = Vec::new();
    for _ in 0..TRIES {
        let figures = measure(arguments);
        if good(&figures) {
            return;
        }
        seen.push(figures);
    }
    panic!("{arguments}: {seen:#?}");
}

/// Whether a figure is about the same in both: were it to grow with the connections, it would be twenty times as much.
fn about_the_same(few: &str, many: &str, figure: &str) {
    let runs = (0..3).map(|_| measure(few)[figure]);
    let least = runs.fold(f64::INFINITY, f64::min);
    println!("{few}: {least}");
    measure_until(many, |figures| figures[figure] < least * 2.0);
}

/// Neither before the first message nor after the last.
#[test]
fn idle_connections_wake_nobody_and_take_little_memory() {
    for cell in ["scale to=router connections=1000 count=1000", "scale to=pub connections=1000"] {
        measure_until(cell, |figures| {
            figures["wakeups_per_s"] == 0.0
                && figures["wakeups_afterwards_per_s"] == 0.0
                && figures["bytes_per_connection"] < 6_000.0
        });
    }
}

#[test]
fn messages_cost_no_more_among_many_idle_connections() {
    about_the_same(
        "scale to=router connections=100 active=25 count=4000",
        "scale to=router connections=2000 active=25 count=4000",
        "cpu_us_per_trip",
    );
}

#[test]
fn deliveries_cost_no_more_among_many_who_want_something_else() {
    about_the_same(
        "scale to=pub connections=100 active=100 rounds=400",
        "scale to=pub connections=2000 active=100 rounds=400",
        "cpu_ns_per_delivery",
    );
}

#[test]
fn a_large_message_is_not_copied_by_its_sender_and_once_by_its_receiver() {
    for transport in ["tcp", "ipc"] {
        measure_until(&format!("large transport={transport} size=536870912 count=1"), |figures| {
            figures["sender_extra_megabytes"] < 32.0 && figures["receiver_sizes"] < 1.1
        });
    }
}

/// Takes 3 GiB of memory and half a minute: `cargo test --test scale -- --ignored`.
#[test]
#[ignore = "takes 3 GiB of memory"]
fn a_message_of_three_gibibytes_arrives() {
    measure_until("large transport=tcp size=3221225472 count=1", |figures| {
        figures["sender_extra_megabytes"] < 32.0 && figures["receiver_sizes"] < 1.1
    });
}

/// Takes 20,000 connections and as many descriptors in several processes: `cargo test --test scale -- --ignored`.
#[test]
#[ignore = "takes 20,000 descriptors in each of two processes"]
fn twenty_thousand_connections_are_served() {
    let figures = measure("scale to=router connections=20000");
    assert_eq!(figures["wakeups_per_s"], 0.0, "{figures:#?}");
    measure("scale to=pub connections=20000");
}
