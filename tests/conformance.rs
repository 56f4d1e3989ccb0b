//! libzmq's own test programs, compiled against our header and run on our library: one test per program.
//!
//! `cargo test --test conformance` runs them all and prints a table; `cargo test --test conformance -- reqrep` those
//! with that word in the name. `conformance/must-pass.txt` names the programs that must pass; one that passes without
//! being named fails the run as well, so that the list only grows.
//!
//! | variable | meaning |
//! |---|---|
//! | `FERROZMQ_LIB` | the library to test instead of the one cargo built |
//! | `FERROZMQ_CONFORMANCE_HEADER` | `genuine`: compile against the zmq.h that comes with the programs (the ABI, not the source) |
//! | `FERROZMQ_CONFORMANCE_INCLUDE` | the folder of zmq.h to compile against instead of `include` |
//! | `FERROZMQ_CONFORMANCE_SRC` | the folder `vendor` of zeromq-src instead of the one cargo fetched |
//! | `FERROZMQ_CONFORMANCE_LIST` | `none`: judge every program by itself; `add`: so, and list what passes |

#[path = "conformance/compile.rs"]
mod compile;
#[path = "conformance/suite.rs"]
mod suite;
mod support;
#[path = "conformance/verdict.rs"]
mod verdict;

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use compile::Compiler;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use suite::Program;
use support::{Scratch, child};
use verdict::{MustPass, Outcome, Verdict};

/// The time limit of a program that is not expected to pass: it may well hang.
const IMPATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    match Bench::new() {
        Ok(bench) => bench.run(&arguments),
        Err(why) => {
            eprintln!("conformance: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Everything a program needs to be built, run and judged.
struct Bench {
    programs: Vec<Program>,
    header: Header,
    compiler: Compiler,
    library: PathBuf,
    library_folder: PathBuf,
    must_pass: MustPass,
    /// Held by a program whose port numbers are written into it.
    fixed_ports: Mutex<()>,
    /// Programs may have a network of their own, where nobody else's ports are in their way.
    networks: bool,
    table: Mutex<BTreeMap<String, (Outcome, Verdict, f64)>>,
}

impl Bench {
    fn new() -> Result<Bench, String> {
        let here = support::repository().join("tests/conformance");
        let cache = support::target().join("conformance");
        let vendor = suite::vendor()?;
        let programs = suite::programs(&vendor)?;
        let library = support::library()?;
        let library_folder = support::link_folder(&library, &cache.join(folder_name(&library)))?;
        let header = Header::chosen(&vendor)?;
        let include = match &header {
            Header::Ours => support::repository().join("include"),
            Header::Genuine(folder) | Header::Given(folder) => folder.clone(),
        };
        let compiler =
            Compiler::new(&vendor, &include, &here.join("shim"), &library_folder, &cache)?;
        let must_pass = MustPass::read(&list_file())?;
        let unknown = must_pass.unknown(programs.iter().map(|program| program.name.as_str()));
        if !unknown.is_empty() {
            return Err(format!(
                "must-pass.txt names programs that do not exist: {}",
                unknown.join(" ")
            ));
        }
        let (fixed_ports, table) = Default::default();
        let networks = networks_possible();
        Ok(Bench {
            programs,
            header,
            compiler,
            library,
            library_folder,
            must_pass,
            fixed_ports,
            networks,
            table,
        })
    }

    fn run(self, arguments: &Arguments) -> ExitCode {
        let bench = Arc::new(self);
        let trials = bench.programs.iter().cloned().map(|program| {
            let bench = Arc::clone(&bench);
            Trial::ignorable_test(program.name.clone(), move || bench.trial(&program))
        });
        let conclusion = libtest_mimic::run(arguments, trials.collect());
        if arguments.list {
            return conclusion.exit_code();
        }
        bench.print_table();
        match bench.add_to_list() {
            Ok(()) => conclusion.exit_code(),
            Err(why) => {
                eprintln!("conformance: {why}");
                ExitCode::FAILURE
            }
        }
    }

    /// Builds, runs and judges one program.
    fn trial(&self, program: &Program) -> Result<Completion, Failed> {
        if program.multicast
            && let Err(why) = multicast_possible()
        {
            return Ok(Completion::ignored_with(why));
        }
        let (outcome, seconds, output) = match program.unbuildable {
            Some(why) => (Outcome::Skipped(why.to_owned()), 0.0, String::new()),
            None => self.run_listed(program),
        };
        let excepted = match self.header {
            Header::Genuine(_) => program.older_header,
            Header::Ours | Header::Given(_) => None,
        };
        let verdict = match excepted {
            Some(why) => verdict::judge_exception(why, &outcome),
            None => self.must_pass.judge(&program.name, &outcome),
        };
        if let Ok(mut table) = self.table.lock() {
            table.insert(program.name.clone(), (outcome, verdict.clone(), seconds));
        }
        match verdict {
            Verdict::Good => Ok(Completion::Completed),
            Verdict::Noted(why) => Ok(Completion::ignored_with(first_line(&why))),
            Verdict::Bad(why) => Err(format!("{why}\n{output}").into()),
        }
    }

    /// Runs a program. Where a race is its own and not the library's it gets a second chance, and the log says so.
    fn run_listed(&self, program: &Program) -> (Outcome, f64, String) {
        let once = || {
            self.try_run(program).unwrap_or_else(|why| (Outcome::Failed(why), 0.0, String::new()))
        };
        let first = once();
        match program.race {
            Some(race) if matches!(first.0, Outcome::Failed(_)) => {
                eprintln!("{}: failed, second try, as it {race}\n{}", program.name, first.2);
                once()
            }
            _ => first,
        }
    }

    fn try_run(&self, program: &Program) -> Result<(Outcome, f64, String), String> {
        let executable = self.compiler.program(&program.name, &program.source)?;
        support::check_loaded(&executable, &self.library_folder, &self.library)?;
        let _alone = program.fixed_ports.then(|| self.fixed_ports.lock());
        let scratch = Scratch::new(&program.name)?;
        let apart =
            program.multicast || (program.fixed_ports && !program.datagrams && self.networks);
        let mut command = if apart { own_network(&executable) } else { Command::new(&executable) };
        command
            .current_dir(scratch.path())
            .env("TMPDIR", scratch.path())
            .env("LD_LIBRARY_PATH", &self.library_folder)
            .env("LD_BIND_NOW", "1");
        let log = scratch.path().join("output.log");
        let limit = if self.must_pass.expects(&program.name) {
            program.limit
        } else {
            program.limit.min(IMPATIENCE)
        };
        let run = child::run(&mut command, limit, &log)
            .map_err(|e| format!("{}: {e}", executable.display()))?;
        Ok((Outcome::of(&run), run.took.as_secs_f64(), run.tail(40)))
    }

    fn add_to_list(&self) -> Result<(), String> {
        let table = self.table.lock().map_err(|e| e.to_string())?;
        let passed = table.iter().filter(|(_, (outcome, ..))| *outcome == Outcome::Passed);
        let names: Vec<&str> = passed.map(|(name, _)| name.as_str()).collect();
        MustPass::add(&list_file(), &names)
    }

    fn print_table(&self) {
        let Ok(table) = self.table.lock() else { return };
        if table.is_empty() {
            return;
        }
        println!("conformance on {}, {}", self.library.display(), self.header);
        let mut counts = [0; 3];
        for (name, (outcome, verdict, seconds)) in table.iter() {
            let (column, word, why) = match outcome {
                Outcome::Passed => (0, "passed", ""),
                Outcome::Failed(why) => (1, "failed", why.as_str()),
                Outcome::Skipped(why) => (2, "skipped", why.as_str()),
            };
            counts[column] += 1;
            let note = match (outcome, verdict) {
                (Outcome::Passed, Verdict::Bad(_)) => " <- not in must-pass.txt",
                (_, Verdict::Bad(_)) => " <- must pass",
                _ => "",
            };
            println!("  {word:8} {name:36} {seconds:6.1} s  {}{note}", first_line(why));
        }
        println!(
            "conformance: {} passed, {} failed, {} skipped of {} programs",
            counts[0],
            counts[1],
            counts[2],
            table.len()
        );
    }
}

/// Which zmq.h the programs include.
#[derive(Debug)]
enum Header {
    Ours,
    /// The one they were written for, of libzmq 4.3.5: programs built with it must run on our library as they are.
    Genuine(PathBuf),
    Given(PathBuf),
}

impl Header {
    fn chosen(vendor: &Path) -> Result<Header, String> {
        let genuine = match env::var("FERROZMQ_CONFORMANCE_HEADER") {
            Ok(word) if word == "genuine" => true,
            Ok(word) => return Err(format!("FERROZMQ_CONFORMANCE_HEADER is {word}: not genuine")),
            Err(_) => false,
        };
        match env::var_os("FERROZMQ_CONFORMANCE_INCLUDE") {
            Some(_) if genuine => Err("two headers to compile against".to_owned()),
            Some(folder) => Ok(Header::Given(PathBuf::from(folder))),
            None if genuine => Ok(Header::Genuine(vendor.join("include"))),
            None => Ok(Header::Ours),
        }
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Header::Ours => write!(f, "built with our header"),
            Header::Genuine(_) => write!(f, "built with the genuine header"),
            Header::Given(folder) => write!(f, "built with {}", folder.display()),
        }
    }
}

fn multicast_possible() -> Result<(), &'static str> {
    if zmq::sys::norm::norm().is_none() {
        return Err("libnorm is not installed");
    }
    if networks_possible() { Ok(()) } else { Err("a network of its own is not allowed here") }
}

fn networks_possible() -> bool {
    own_network("true").output().is_ok_and(|end| end.status.success())
}

/// Runs `program` in a network that has nothing but a loopback with multicast.
fn own_network(program: impl AsRef<OsStr>) -> Command {
    let script = "PATH=$PATH:/sbin:/usr/sbin; ip link set lo up multicast on && ip route add 224.0.0.0/4 dev lo \
                  && exec \"$0\"";
    let mut command = Command::new("unshare");
    command.args(["-n", "sh", "-c", script]).arg(program);
    command
}

fn list_file() -> PathBuf {
    support::repository().join("tests/conformance/must-pass.txt")
}

/// Runs on different libraries at the same time must not share a link.
fn folder_name(library: &Path) -> String {
    let text: String = library
        .display()
        .to_string()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    format!("lib{text}")
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
