//! How many instructions the operations on a message's path take, held against `benches/instructions.txt`.
//!
//!     cargo bench --bench instructions
//!
//! Counted by callgrind (Debian's package valgrind), so that neither the machine's speed nor its other work matters:
//! only the compiler and this library do. An operation that takes 3 % more than the baseline fails; one that takes less
//! should get a lower baseline. `FERROZMQ_UPDATE_COUNTS=1` writes the baseline anew. With another compiler than the
//! baseline's, or on another processor, the counts are shown and not judged.
//!
//! Each operation runs in batches, between whose counts the median decides: over tcp the I/O thread may take a part
//! of the work in some of them. Spinning is turned off, as it counts time and not work.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::{env, fs};

use zmq::base::constants as c;
use zmq::message::frame;
use zmq::sync::channel;
use zmq::zmtp::Protocol;
use zmq::zmtp::decoder::{Decoder, Framing, Output};

/// Counts may differ from the baseline by so much.
const TOLERANCE: f64 = 0.03;
/// Operations of one batch, and batches.
const OPERATIONS: usize = 64;
const BATCHES: usize = 21;
/// The bodies that are sent: short enough to lie in the message itself.
const BODY: [u8; 16] = *b"sixteen bytes...";
const TOPICS: usize = 1000;

/// What is counted. Each gives the operations of a batch to `counted`, and what has to surround them to nobody.
const SCENARIOS: [(&str, fn(&mut Batch)); 9] = [
    ("zmq_send, inproc", |batch| inproc(batch, true)),
    ("zmq_recv, inproc", |batch| inproc(batch, false)),
    ("zmq_send, tcp", |batch| tcp(batch, true)),
    ("zmq_recv, tcp", |batch| tcp(batch, false)),
    ("encode a frame", encode),
    ("decode a frame", decode),
    ("match a topic", match_topic),
    ("push to the ring", |batch| ring(batch, true)),
    ("pop from the ring", |batch| ring(batch, false)),
];

unsafe extern "C" {
    safe fn zmq_ctx_new() -> *mut c_void;
    safe fn zmq_ctx_term(context: *mut c_void) -> c_int;
    safe fn zmq_socket(context: *mut c_void, kind: c_int) -> *mut c_void;
    safe fn zmq_close(socket: *mut c_void) -> c_int;
    fn zmq_bind(socket: *mut c_void, address: *const c_char) -> c_int;
    fn zmq_connect(socket: *mut c_void, address: *const c_char) -> c_int;
    fn zmq_setsockopt(
        socket: *mut c_void,
        option: c_int,
        value: *const c_void,
        size: usize,
    ) -> c_int;
    fn zmq_getsockopt(
        socket: *mut c_void,
        option: c_int,
        value: *mut c_void,
        size: *mut usize,
    ) -> c_int;
    fn zmq_send(socket: *mut c_void, bytes: *const c_void, size: usize, flags: c_int) -> c_int;
    fn zmq_recv(socket: *mut c_void, bytes: *mut c_void, size: usize, flags: c_int) -> c_int;
}

/// Callgrind counts while this runs, and only then.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C-unwind" fn ferrozmq_counted(work: &mut Work<'_>) {
    (work.0)();
}

/// Callgrind puts down what it counted when this ends.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C-unwind" fn ferrozmq_batch_ends() {
    std::hint::black_box(());
}

struct Work<'a>(&'a mut dyn FnMut());

/// What scenarios count with.
struct Batch;

impl Batch {
    fn counted(&mut self, mut work: impl FnMut()) {
        ferrozmq_counted(&mut Work(&mut work));
    }

    fn counted_if(&mut self, counts: bool, mut work: impl FnMut()) {
        if counts {
            self.counted(work);
        } else {
            work();
        }
    }

    fn end(&mut self) {
        ferrozmq_batch_ends();
    }
}

// ---- the scenarios ----------------------------------------------------------------------------------------------

/// Two sockets of one context.
struct Pair {
    context: *mut c_void,
    one: *mut c_void,
    other: *mut c_void,
}

impl Pair {
    fn new(kinds: [c_int; 2], address: &CStr) -> Pair {
        let context = zmq_ctx_new();
        let [one, other] = kinds.map(|kind| zmq_socket(context, kind));
        for socket in [one, other] {
            set(socket, c::ZMQ_BUSY_POLL, -1);
            set(socket, c::ZMQ_LINGER, 0);
        }
        let mut endpoint = [0u8; 256];
        let mut size = endpoint.len();
        // SAFETY: the texts end with a zero and the buffer is as long as it is said to be.
        unsafe {
            checked(zmq_bind(one, address.as_ptr()));
            checked(zmq_getsockopt(
                one,
                c::ZMQ_LAST_ENDPOINT,
                endpoint.as_mut_ptr().cast(),
                &mut size,
            ));
            checked(zmq_connect(other, endpoint.as_ptr().cast()));
        }
        Pair { context, one, other }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        checked(zmq_close(self.one));
        checked(zmq_close(self.other));
        checked(zmq_ctx_term(self.context));
    }
}

fn checked(result: c_int) {
    assert!(result >= 0, "{}", std::io::Error::last_os_error());
}

fn set(socket: *mut c_void, option: c_int, value: c_int) {
    // SAFETY: the value is an int, as these options want it.
    checked(unsafe {
        zmq_setsockopt(socket, option, (&raw const value).cast(), size_of::<c_int>())
    });
}

fn send(socket: *mut c_void, bytes: &[u8]) {
    // SAFETY: the slice is readable for its length.
    checked(unsafe { zmq_send(socket, bytes.as_ptr().cast(), bytes.len(), 0) });
}

fn receive(socket: *mut c_void) {
    let mut buffer = [0u8; 64];
    // SAFETY: the buffer is writable for its length.
    checked(unsafe { zmq_recv(socket, buffer.as_mut_ptr().cast(), buffer.len(), 0) });
}

fn inproc(batch: &mut Batch, sending: bool) {
    let pair = Pair::new([c::ZMQ_PAIR, c::ZMQ_PAIR], c"inproc://counted");
    for _ in 0..BATCHES {
        batch.counted_if(sending, || (0..OPERATIONS).for_each(|_| send(pair.one, &BODY)));
        batch.counted_if(!sending, || (0..OPERATIONS).for_each(|_| receive(pair.other)));
        batch.end();
    }
}

/// To and fro, so that the link is idle whenever something is sent and its sender writes it by itself.
fn tcp(batch: &mut Batch, sending: bool) {
    let pair = Pair::new([c::ZMQ_DEALER, c::ZMQ_DEALER], c"tcp://127.0.0.1:*");
    for _ in 0..BATCHES {
        for _ in 0..OPERATIONS {
            batch.counted_if(sending, || send(pair.one, &BODY));
            receive(pair.other);
            send(pair.other, &BODY);
            batch.counted_if(!sending, || receive(pair.one));
        }
        batch.end();
    }
}

fn encode(batch: &mut Batch) {
    let mut bytes = Vec::with_capacity(OPERATIONS * (BODY.len() + frame::MAX_HEADER_LEN));
    for _ in 0..BATCHES {
        bytes.clear();
        batch.counted(|| {
            (0..OPERATIONS).for_each(|_| frame::push(&mut bytes, 0, std::hint::black_box(&BODY)))
        });
        batch.end();
    }
    assert_eq!(bytes.len(), OPERATIONS * (BODY.len() + 2));
}

fn decode(batch: &mut Batch) {
    let mut bytes = Vec::new();
    (0..OPERATIONS).for_each(|_| frame::push(&mut bytes, 0, &BODY));
    for _ in 0..BATCHES {
        let framing = Framing::Zmtp { protocol: Protocol::V3 { minor: 1 }, single: false };
        let (mut decoder, mut found) = (Decoder::new(framing, -1), Vec::with_capacity(OPERATIONS));
        decoder.preload(&bytes);
        batch.counted(|| assert!(decoder.decode(usize::MAX, &mut found).is_ok()));
        batch.end();
        let messages = found.iter().map(|output| match output {
            Output::Frames { messages, .. } => *messages,
            _ => 1,
        });
        assert_eq!(messages.sum::<usize>(), OPERATIONS);
    }
}

/// A publisher that finds nobody for its messages among many topics.
fn match_topic(batch: &mut Batch) {
    let pair = Pair::new([c::ZMQ_XPUB, c::ZMQ_SUB], c"inproc://topics");
    for n in 0..TOPICS {
        let topic = format!("weather/{n:04}/");
        // SAFETY: the topic is readable for its length.
        checked(unsafe {
            zmq_setsockopt(pair.other, c::ZMQ_SUBSCRIBE, topic.as_ptr().cast(), topic.len())
        });
        receive(pair.one);
    }
    for _ in 0..BATCHES {
        batch.counted(|| (0..OPERATIONS).for_each(|_| send(pair.one, b"weather/0555-no")));
        batch.end();
    }
}

fn ring(batch: &mut Batch, pushing: bool) {
    let (mut sender, mut receiver) = channel::<[u64; 8]>();
    let mut place = [0; 8];
    for _ in 0..BATCHES {
        batch.counted_if(pushing, || {
            for n in 0..OPERATIONS as u64 {
                sender.push([n; 8]);
                sender.publish();
            }
        });
        batch.counted_if(!pushing, || {
            assert!(receiver.ready());
            for n in 0..OPERATIONS as u64 {
                assert!(receiver.pop_into(&mut place, |_, _, _| true) && place[7] == n);
            }
        });
        batch.end();
    }
}

// ---- counting and judging ---------------------------------------------------------------------------------------

/// Instructions of an operation of the scenario, or why they cannot be told.
fn count(name: &str, folder: &Path) -> Result<f64, String> {
    let program = env::current_exe().map_err(|e| format!("own path: {e}"))?;
    let out = folder.join("callgrind.out");
    let run = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--quiet",
            "--collect-atstart=no",
            "--toggle-collect=ferrozmq_counted",
        ])
        .arg("--dump-after=ferrozmq_batch_ends")
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .env(SCENARIO, name)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("valgrind: {e}"))?;
    if !run.status.success() {
        return Err(format!("{}: {}", run.status, String::from_utf8_lossy(&run.stderr)));
    }
    let mut totals = Vec::new();
    for batch in 1..=BATCHES {
        let path = format!("{}.{batch}", out.display());
        let text = fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
        fs::remove_file(&path).map_err(|e| format!("{path}: {e}"))?;
        let total = text.lines().filter_map(|line| line.strip_prefix("totals:")).next();
        totals.push(
            total
                .and_then(|n| n.trim().parse::<u64>().ok())
                .ok_or_else(|| format!("{path}: no totals"))?,
        );
    }
    if env::var_os("FERROZMQ_COUNTS_VERBOSE").is_some() {
        println!("    {totals:?}");
    }
    totals.sort_unstable();
    Ok(totals[BATCHES / 2] as f64 / OPERATIONS as f64)
}

const SCENARIO: &str = "FERROZMQ_COUNTED";

fn baseline_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.txt")
}

/// What decides over the counts beside this library: the C library copies memory by the processor's means.
fn compiler() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version =
        Command::new(rustc).arg("--version").output().map(|out| out.stdout).unwrap_or_default();
    let machine = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor =
        machine.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let processor = processor.map_or("", |(_, name)| name.trim());
    format!("{}, {}, {processor}", String::from_utf8_lossy(&version).trim(), env::consts::ARCH)
}

fn read_baseline(text: &str) -> (String, BTreeMap<&str, f64>) {
    let entries =
        text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    let compiler =
        text.lines().find_map(|line| line.strip_prefix("# compiler: ")).unwrap_or_default();
    (
        compiler.to_owned(),
        entries.filter_map(|(name, n)| Some((name.trim(), n.parse().ok()?))).collect(),
    )
}

fn judge(folder: &Path) -> Result<(), String> {
    let mut counts = Vec::new();
    for (name, _) in SCENARIOS {
        counts.push((name, count(name, folder).map_err(|why| format!("{name}: {why}"))?));
    }
    let compiler = compiler();
    if env::var_os("FERROZMQ_UPDATE_COUNTS").is_some() {
        let mut text = format!(
            "# Instructions of an operation; see instructions.rs.\n# compiler: {compiler}\n"
        );
        for (name, count) in &counts {
            let _ = writeln!(text, "{name:20} {count:.1}");
        }
        print!("{text}");
        return fs::write(baseline_file(), text).map_err(|e| format!("the baseline: {e}"));
    }
    let text = fs::read_to_string(baseline_file()).map_err(|e| format!("the baseline: {e}"))?;
    let (theirs, baseline) = read_baseline(&text);
    let mut wrong = Vec::new();
    for (name, count) in counts {
        let was = baseline.get(name).copied();
        let change = was.map_or(f64::INFINITY, |was| count / was - 1.0);
        println!(
            "{name:20} {count:9.1}   baseline {:9.1}   {:+.1} %",
            was.unwrap_or(f64::NAN),
            change * 100.0
        );
        if change > TOLERANCE {
            wrong.push(format!("{name} takes {:+.1} %", change * 100.0));
        } else if change < -TOLERANCE {
            println!("    less than before: FERROZMQ_UPDATE_COUNTS=1 lowers the baseline");
        }
    }
    if theirs != compiler {
        println!("the baseline is from {theirs}, this is {compiler}: shown and not judged");
        return Ok(());
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "{}; where that is meant, FERROZMQ_UPDATE_COUNTS=1 raises the baseline",
            wrong.join(", ")
        ))
    }
}

fn main() -> ExitCode {
    if let Ok(name) = env::var(SCENARIO) {
        let Some((_, run)) = SCENARIOS.iter().find(|(known, _)| *known == name) else {
            return ExitCode::FAILURE;
        };
        run(&mut Batch);
        return ExitCode::SUCCESS;
    }
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("skipped: there is no valgrind to count instructions with");
        return ExitCode::SUCCESS;
    }
    let folder = env::temp_dir().join(format!("ferrozmq-counts-{}", std::process::id()));
    let result =
        fs::create_dir_all(&folder).map_err(|e| e.to_string()).and_then(|()| judge(&folder));
    let _ = fs::remove_dir_all(&folder);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
