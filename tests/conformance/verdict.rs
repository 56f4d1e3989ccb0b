//! What a program's end means, and what the list of those that must pass makes of it.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;

use crate::support::child::{End, Run};

/// How a test program came out by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    Failed(String),
    /// It says itself that it cannot run here, or it was not built.
    Skipped(String),
}

impl Outcome {
    /// Reads the end of a program that uses Unity: 77 and "every case ignored" both mean skipped.
    pub fn of(run: &Run) -> Outcome {
        match run.end {
            End::Code(0) if all_ignored(&run.output) => {
                Outcome::Skipped("every case ignored".to_owned())
            }
            End::Code(0) => Outcome::Passed,
            End::Code(77) => Outcome::Skipped("not possible here, says the program".to_owned()),
            End::Code(code) => Outcome::Failed(format!("exit code {code}")),
            End::Signal(signal) => Outcome::Failed(format!("signal {signal}")),
            End::TimedOut => {
                Outcome::Failed(format!("still running after {} s", run.took.as_secs()))
            }
        }
    }
}

/// The names of the programs that must pass; none when the list is not applied (see [`MustPass::read`]).
#[derive(Debug)]
pub struct MustPass(Option<BTreeSet<String>>);

/// What the run as a whole makes of an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Good,
    Bad(String),
    /// Neither: reported, but the run goes on to succeed.
    Noted(String),
}

impl MustPass {
    /// One name a line; `#` begins a comment. With `FERROZMQ_CONFORMANCE_LIST` set to `none` or `add` every
    /// program is judged by itself.
    pub fn read(file: &Path) -> Result<MustPass, String> {
        if env::var_os("FERROZMQ_CONFORMANCE_LIST")
            .is_some_and(|list| list == "none" || list == "add")
        {
            return Ok(MustPass(None));
        }
        Ok(MustPass(Some(names(&read(file)?).map(str::to_owned).collect())))
    }

    /// With `FERROZMQ_CONFORMANCE_LIST=add`: puts the names of those that passed into the file.
    pub fn add(file: &Path, passed: &[&str]) -> Result<(), String> {
        if env::var_os("FERROZMQ_CONFORMANCE_LIST").is_none_or(|list| list != "add") {
            return Ok(());
        }
        let text = read(file)?;
        let head = text.lines().filter(|line| line.starts_with('#'));
        let all: BTreeSet<&str> = names(&text).chain(passed.iter().copied()).collect();
        let lines: String = head.chain(all).map(|line| format!("{line}\n")).collect();
        fs::write(file, lines).map_err(|e| format!("{}: {e}", file.display()))
    }

    /// The listed names that `known` does not hold.
    pub fn unknown<'a>(&'a self, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
        let known: BTreeSet<&str> = known.collect();
        self.0.iter().flatten().map(String::as_str).filter(|name| !known.contains(name)).collect()
    }

    /// Whether a failure of this program would be a failure of the run.
    pub fn expects(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|names| names.contains(name))
    }

    /// The list only grows: what is on it passes, and what passes is on it.
    pub fn judge(&self, name: &str, outcome: &Outcome) -> Verdict {
        let listed = self.0.as_ref().map(|names| names.contains(name));
        match (outcome, listed) {
            (Outcome::Passed, Some(true) | None) => Verdict::Good,
            (Outcome::Passed, Some(false)) => {
                Verdict::Bad("passes, but is not listed in must-pass.txt: add it".to_owned())
            }
            (Outcome::Failed(why), Some(true) | None) => Verdict::Bad(why.clone()),
            (Outcome::Failed(why), Some(false)) => {
                Verdict::Noted(format!("expected failure: {why}"))
            }
            (Outcome::Skipped(why), Some(true)) => {
                Verdict::Bad(format!("listed, but skipped: {why}"))
            }
            (Outcome::Skipped(why), _) => Verdict::Noted(format!("skipped: {why}")),
        }
    }
}

/// A program that fails by right must go on to do so: an exception that is none any more is to be struck off.
pub fn judge_exception(why: &str, outcome: &Outcome) -> Verdict {
    match outcome {
        Outcome::Failed(how) => Verdict::Noted(format!("expected failure: {why} ({how})")),
        Outcome::Passed => Verdict::Bad(format!("passes, though it is listed as: {why}")),
        Outcome::Skipped(how) => Verdict::Noted(format!("skipped: {how}")),
    }
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))
}

fn names(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|name| !name.is_empty())
}

/// Unity's last summary line: `3 Tests 0 Failures 3 Ignored`.
fn all_ignored(output: &str) -> bool {
    let summary = output.lines().rev().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [tests, "Tests", _, "Failures", ignored, "Ignored"] => {
                Some((tests.parse::<u32>().ok()?, ignored.parse::<u32>().ok()?))
            }
            _ => None,
        }
    });
    summary.is_some_and(|(tests, ignored)| tests > 0 && tests == ignored)
}
