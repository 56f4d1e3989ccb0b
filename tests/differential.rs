//! Two libraries side by side: the small C programs of `ctest/differential/` run on the genuine library and on ours,
//! and what they print has to be the same, line by line.
//!
//! Lines that differ on purpose stand in `differences.rs`, each with a sentence of QUIRKS.md as its reason. A row there
//! that no longer differs fails as well.

#[path = "differential/differences.rs"]
mod differences;
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use differences::{DIFFERENCES, Difference};
use libtest_mimic::{Arguments, Completion, Trial};
use support::Scratch;
use support::child::{self, End, Run};
use support::compile::compile;
use support::peer::genuine_library;

/// More than the programs give themselves.
const LIMIT: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let bench = match Bench::new() {
        Ok(bench) => Arc::new(bench),
        Err(why) => {
            eprintln!("differential: {why}");
            return ExitCode::FAILURE;
        }
    };
    let mut trials = vec![Trial::test("reasons_stand_in_quirks", reasons)];
    for (name, file) in &bench.programs {
        let (bench, name, file) = (Arc::clone(&bench), name.clone(), file.clone());
        trials.push(Trial::ignorable_test(name.clone(), move || {
            let Some(genuine) = &bench.genuine else {
                return Ok(Completion::ignored_with(
                    "no genuine libzmq.so.5 on this machine (Debian: libzmq5)",
                ));
            };
            bench.compare(&name, &file, genuine)?;
            Ok(Completion::Completed)
        }));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The built files and the folders that lead them to either library.
struct Bench {
    ours: PathBuf,
    genuine: Option<PathBuf>,
    /// Each program's name, and the file that holds it.
    programs: BTreeMap<String, PathBuf>,
}

impl Bench {
    fn new() -> Result<Bench, String> {
        let work = support::target().join("differential");
        fs::create_dir_all(&work).map_err(|e| format!("{}: {e}", work.display()))?;
        let library = support::library()?;
        let ours = support::link_folder(&library, &work.join("ours"))?;
        let genuine = match genuine_library() {
            Some(path) => {
                let folder = support::link_folder(&path, &work.join("genuine"))?;
                Some((folder, path))
            }
            None => None,
        };
        let files = build(&work, &ours)?;
        let mut programs = BTreeMap::new();
        for file in &files {
            support::check_loaded(file, &ours, &library)?;
            if let Some((folder, path)) = &genuine {
                support::check_loaded(file, folder, path)?;
            }
            for name in listing(file, &ours)? {
                if programs.insert(name.clone(), file.clone()).is_some() {
                    return Err(format!("two programs are called {name}"));
                }
            }
        }
        for row in DIFFERENCES {
            if !programs.contains_key(row.program) {
                return Err(format!("differences.rs: there is no program {}", row.program));
            }
        }
        Ok(Bench { ours, genuine: genuine.map(|(folder, _)| folder), programs })
    }

    /// Runs a program on both libraries, as independent processes and where these cannot meet at once, and compares what
    /// they print.
    fn compare(&self, name: &str, file: &Path, genuine: &Path) -> Result<(), String> {
        /// Programs with a port written into them.
        const ONE_BY_ONE: [&str; 1] = ["address_grammar_tcp"];
        let (theirs, ours) = thread::scope(|scope| {
            let theirs = scope.spawn(|| start(file, name, genuine));
            let join = |theirs: ScopedJoinHandle<'_, _>| {
                theirs.join().unwrap_or_else(|_| Err("the thread panicked".to_owned()))
            };
            if ONE_BY_ONE.contains(&name) {
                return (join(theirs), start(file, name, &self.ours));
            }
            let ours = start(file, name, &self.ours);
            (join(theirs), ours)
        });
        let (theirs, ours) = (theirs?, ours?);
        let rows: Vec<&Difference> = DIFFERENCES.iter().filter(|row| row.program == name).collect();
        let wrong = differ(&theirs, &ours, &rows);
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}

/// Every file of the folder, compiled (two at a time).
fn build(work: &Path, library: &Path) -> Result<Vec<PathBuf>, String> {
    let folder = support::repository().join("ctest/differential");
    let header = folder.join("record.h");
    let mut sources: Vec<PathBuf> = fs::read_dir(&folder)
        .map_err(|e| format!("{}: {e}", folder.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
        .collect();
    sources.sort();
    let built = thread::scope(|scope| {
        let halves: Vec<_> = sources
            .chunks(sources.len().div_ceil(2).max(1))
            .map(|part| {
                let header = &header;
                scope.spawn(move || -> Result<Vec<PathBuf>, String> {
                    part.iter()
                        .map(|source| compile(source, &[header], false, work, library))
                        .collect()
                })
            })
            .collect();
        halves
            .into_iter()
            .map(|half| {
                half.join().unwrap_or_else(|_| Err("a compiling thread panicked".to_owned()))
            })
            .collect::<Result<Vec<_>, String>>()
    })?;
    Ok(built.into_iter().flatten().collect())
}

fn listing(file: &Path, library: &Path) -> Result<Vec<String>, String> {
    let answer = Command::new(file)
        .env("LD_LIBRARY_PATH", library)
        .output()
        .map_err(|e| format!("{}: {e}", file.display()))?;
    Ok(String::from_utf8_lossy(&answer.stdout).lines().map(str::to_owned).collect())
}

fn start(file: &Path, name: &str, library: &Path) -> Result<Run, String> {
    let scratch = Scratch::new("two")?;
    let mut command = Command::new(file);
    command
        .arg(name)
        .current_dir(scratch.path())
        .env("LD_LIBRARY_PATH", library)
        .env("TMPDIR", scratch.path());
    let log = scratch.path().join("printed");
    child::run(&mut command, LIMIT, &log).map_err(|e| format!("{}: {e}", file.display()))
}

/// What is wrong: lines that differ and are no row of the table, and rows that did not come about.
fn differ(theirs: &Run, ours: &Run, rows: &[&Difference]) -> String {
    let mut wrong = String::new();
    for (whose, run) in [("genuine", theirs), ("ours", ours)] {
        let expected = rows.iter().any(|row| row.theirs.starts_with("the program ended"))
            && whose == "genuine";
        if run.end != End::Code(0) && !expected {
            wrong += &format!("{whose}: ended with {:?} after {:?}\n", run.end, run.took);
        }
    }
    let mut met = vec![false; rows.len()];
    let lines = |run: &Run| -> Vec<String> { run.output.lines().map(str::to_owned).collect() };
    let (left, right) = (lines(theirs), lines(ours));
    for (a, b) in pairs(&left, &right) {
        if a == b {
            continue;
        }
        let row = rows.iter().position(|row| {
            fits(row.theirs, a.as_deref().unwrap_or(""))
                && fits(row.ours, b.as_deref().unwrap_or(""))
        });
        match row {
            Some(at) => met[at] = true,
            None => {
                wrong += &format!(
                    "  genuine: {}\n     ours: {}\n",
                    a.as_deref().unwrap_or("(no line)"),
                    b.as_deref().unwrap_or("(no line)")
                );
            }
        }
    }
    for (row, met) in rows.iter().zip(met) {
        if !met {
            wrong += &format!("differences.rs: not seen: {} / {}\n", row.theirs, row.ours);
        }
    }
    wrong
}

/// Lines side by side, those that one side lacks opposite nothing: along a longest common subsequence.
fn pairs(left: &[String], right: &[String]) -> Vec<(Option<String>, Option<String>)> {
    let mut longest = vec![vec![0_usize; right.len() + 1]; left.len() + 1];
    for i in (0..left.len()).rev() {
        for j in (0..right.len()).rev() {
            longest[i][j] = if left[i] == right[j] {
                longest[i + 1][j + 1] + 1
            } else {
                longest[i + 1][j].max(longest[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut found = Vec::new();
    while i < left.len() || j < right.len() {
        // Up to the next common line both sides have lines of their own, put side by side.
        let (from_left, from_right) = (i, j);
        while i < left.len() || j < right.len() {
            let same = i < left.len() && j < right.len() && left[i] == right[j];
            if same {
                break;
            }
            if j >= right.len() || (i < left.len() && longest[i + 1][j] >= longest[i][j + 1]) {
                i += 1;
            } else {
                j += 1;
            }
        }
        let (a, b) = (&left[from_left..i], &right[from_right..j]);
        for at in 0..a.len().max(b.len()) {
            found.push((a.get(at).cloned(), b.get(at).cloned()));
        }
        if i < left.len() && j < right.len() {
            found.push((Some(left[i].clone()), Some(right[j].clone())));
            i += 1;
            j += 1;
        }
    }
    found
}

/// Whether a line is what a row says: word for word, or up to a star at its end.
fn fits(row: &str, line: &str) -> bool {
    match row.strip_suffix('*') {
        Some(start) => line.starts_with(start),
        None => row == line,
    }
}

/// Every reason is a sentence that QUIRKS.md has.
fn reasons() -> Result<(), libtest_mimic::Failed> {
    let path = support::repository().join("QUIRKS.md");
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let quirks = flat(&text);
    let missing: Vec<&str> = DIFFERENCES
        .iter()
        .map(|row| row.reason)
        .filter(|reason| !quirks.contains(&flat(reason)))
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!("QUIRKS.md does not say: {missing:#?}").into())
    }
}
