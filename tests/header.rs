//! The C header: fresh, accepted by every dialect of C and C++, and equal to the tables in `abi/`.
//!
//! `FERROZMQ_UPDATE_HEADER=1 cargo test --test header` writes `include/zmq.h` anew.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use support::repository;
use zmq::base::constants as c;

const FUNCTIONS: &str = include_str!("abi/functions.tsv");
const CONSTANTS: &str = include_str!("abi/constants.tsv");
const GENERATED: &str = concat!(env!("OUT_DIR"), "/zmq.h");

/// Macros of the header that are no constants.
const HELPERS: [&str; 5] = [
    "ZMQ_MAKE_VERSION",
    "ZMQ_VERSION",
    "ZMQ_HAVE_TIMERS",
    "ZMQ_HAVE_POLLER",
    "ZMQ_BUILD_DRAFT_API",
];

#[test]
fn the_committed_header_is_the_generated_one() {
    let path = repository().join("include/zmq.h");
    let generated = fs::read_to_string(GENERATED).expect("build.rs writes the header");
    if env::var_os("FERROZMQ_UPDATE_HEADER").is_some() {
        fs::write(&path, &generated).expect("writable");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == generated, "include/zmq.h is stale; see tests/header.rs");
}

#[test]
fn the_tables_are_those_that_were_given() {
    let given = repository().join("../shared/abi");
    for (name, copy) in [("functions.tsv", FUNCTIONS), ("constants.tsv", CONSTANTS)] {
        if let Ok(original) = fs::read_to_string(given.join(name)) {
            assert!(original == copy, "tests/abi/{name} differs from its original");
        }
    }
}

#[test]
fn every_dialect_accepts_it_without_a_warning() {
    let source = "#include <zmq.h>\n#include <zmq_utils.h>\n#include <ferrozmq.h>\n";
    let c = ["c89", "gnu89", "c99", "c11", "gnu11"];
    let cxx = ["c++98", "c++11", "c++14", "c++17", "c++20"];
    for (compiler, language, dialects) in
        [("cc", "c", c), ("clang", "c", c), ("c++", "c++", cxx), ("clang++", "c++", cxx)]
    {
        if Command::new(compiler).arg("--version").output().is_err() {
            // Only the second opinion may be absent.
            assert!(compiler.starts_with("clang"), "{compiler} is needed");
            continue;
        }
        for dialect in dialects {
            for draft in [None, Some("-DZMQ_BUILD_DRAFT_API")] {
                let strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"];
                let mut command = Command::new(compiler);
                command.args(strict).args(draft).args(["-x", language, &format!("-std={dialect}")]);
                compile(&mut command, &format!("dialect-{compiler}-{dialect}"), source);
            }
        }
    }
}

/// The compiler's own notation of what it saw declared makes the header and the table comparable,
/// whatever their spelling; parameter names are not part of it.
#[test]
fn prototypes_equal_the_table() {
    let stable: String =
        table(FUNCTIONS).filter(|row| row[1] == "stable").map(|row| prototype(&row)).collect();
    let all: String = table(FUNCTIONS).map(|row| prototype(&row)).collect();
    let types = "#include <signal.h>\n#include <zmq.h>\n";
    for (draft, wanted) in [(None, stable), (Some("-DZMQ_BUILD_DRAFT_API"), all)] {
        let seen = declarations(draft, "header", "#include <zmq.h>\n", "zmq.h:");
        let expected = declarations(draft, "table", &format!("{types}{wanted}"), "table.c:");
        assert_eq!(seen, expected);
    }
}

/// A second declaration of the same function must agree to the letter of the language, in C and in
/// C++.
/// The reference of each function: what it is for, what it returns, when it fails and where to read on.
#[test]
fn every_function_says_how_it_fails() {
    let header = fs::read_to_string(GENERATED).expect("build.rs writes the header");
    let mut wrong = Vec::new();
    for row in table(FUNCTIONS) {
        let name = &row[0];
        let declares = |at: usize| {
            header[at..].split(';').next().is_some_and(|text| text.contains(&format!("{name}(")))
        };
        let at = header.match_indices("ZMQ_EXPORT ").map(|(at, _)| at).find(|at| declares(*at));
        let before = header.get(..at.unwrap_or_default()).unwrap_or_default();
        let comment = match (before.rfind("/**"), before.rfind("*/")) {
            // Nothing but the start of the declaration may stand between.
            (Some(start), Some(end)) if start < end && !before[end..].contains(';') => {
                &before[start..end]
            }
            _ => "",
        };
        let fails = comment.contains("Errors: ") || comment.contains("Cannot fail.");
        if !fails || !comment.contains("Man page: ") {
            wrong.push(name.clone());
        }
    }
    assert!(wrong.is_empty(), "without errors or a man page: {}", wrong.join(", "));
}

#[test]
fn the_table_may_be_declared_beside_the_header() {
    let all: String = table(FUNCTIONS).map(|row| prototype(&row)).collect();
    let source = format!(
        "#define ZMQ_BUILD_DRAFT_API\n#include <zmq.h>\n#ifdef __cplusplus\nextern \"C\" {{\n#endif\n{all}\n\
         #ifdef __cplusplus\n}}\n#endif\n"
    );
    for (compiler, language) in [("cc", "c"), ("c++", "c++")] {
        let mut command = Command::new(compiler);
        command.args(["-Wall", "-Werror", "-fsyntax-only", "-x", language]);
        compile(&mut command, &format!("again-{compiler}"), &source);
    }
}

#[test]
fn macros_equal_the_table() {
    let names: BTreeSet<String> = table(CONSTANTS).map(|row| row[0].clone()).collect();
    for (draft, kinds) in
        [(None, &["stable"][..]), (Some("-DZMQ_BUILD_DRAFT_API"), &["stable", "draft"][..])]
    {
        let wanted: BTreeMap<String, String> = table(CONSTANTS)
            .filter(|row| kinds.contains(&row[2].as_str()))
            .map(|row| (row[0].clone(), row[1].clone()))
            .collect();
        let mut command = Command::new("cc");
        command.args(["-dM", "-E", "-x", "c"]).args(draft);
        let output = compile(&mut command, "macros", "#include <zmq.h>\n");
        let seen: BTreeMap<String, String> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| line.strip_prefix("#define ")?.split_once(' '))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .filter(|(name, _)| name.starts_with("ZMQ_") || names.contains(name))
            .filter(|(name, _)| !HELPERS.contains(&name.split('(').next().unwrap_or_default()))
            .collect();
        assert_eq!(seen, wanted);
    }
}

/// What is ours and not libzmq's stays out of libzmq's header and number range.
#[test]
fn own_macros_are_in_a_header_of_their_own() {
    let wanted = [
        ("ZMQ_FERRO_DROPPED_FULL", c::ZMQ_FERRO_DROPPED_FULL),
        ("ZMQ_FERRO_DROPPED_UNROUTABLE", c::ZMQ_FERRO_DROPPED_UNROUTABLE),
    ];
    let mut command = Command::new("cc");
    command.args(["-dM", "-E", "-x", "c"]);
    let output = compile(&mut command, "own", "#include <ferrozmq.h>\n");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let seen: BTreeSet<&str> = text.lines().filter(|line| line.contains(" ZMQ_")).collect();
    let lines = wanted.map(|(name, value)| format!("#define {name} {value:#x}"));
    assert_eq!(seen, lines.iter().map(String::as_str).collect());
    assert!(wanted.iter().all(|(_, value)| *value > 1_000_000));
    let libzmqs = fs::read_to_string(GENERATED).expect("build.rs writes the header");
    assert!(!libzmqs.contains("FERRO"));
}

#[test]
fn layouts_and_versions_are_those_of_the_abi() {
    let checks = [
        "sizeof(zmq_msg_t) == 64",
        "offsetof(struct { char c; zmq_msg_t m; }, m) == sizeof(void *)",
        "sizeof(zmq_fd_t) == sizeof(int)",
        "sizeof(zmq_pollitem_t) == 16",
        "offsetof(zmq_pollitem_t, fd) == 8 && offsetof(zmq_pollitem_t, events) == 12",
        "offsetof(zmq_pollitem_t, revents) == 14",
        "sizeof(zmq_poller_event_t) == 32",
        "offsetof(zmq_poller_event_t, fd) == 8 && offsetof(zmq_poller_event_t, user_data) == 16",
        "offsetof(zmq_poller_event_t, events) == 24",
        "ZMQ_VERSION == 40306 && ZMQ_MAKE_VERSION(1, 2, 3) == 10203",
    ];
    let mut source = String::from("#define ZMQ_BUILD_DRAFT_API\n#include <zmq.h>\n");
    for check in checks {
        source.push_str(&format!("_Static_assert({check}, \"layout\");\n"));
    }
    compile(Command::new("cc").args(["-std=c11", "-fsyntax-only", "-x", "c"]), "layouts", &source);
}

fn table(text: &str) -> impl Iterator<Item = Vec<String>> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').map(str::to_owned).collect())
}

fn prototype(row: &[String]) -> String {
    format!("{} {} ({});\n", row[2], row[0], row[3])
}

/// What a source declares, in the compiler's notation, taken from the lines about the file `place`.
fn declarations(draft: Option<&str>, name: &str, source: &str, place: &str) -> BTreeSet<String> {
    let list = scratch().join(format!("{name}.aux"));
    let mut command = Command::new("gcc");
    command.args(["-fsyntax-only", "-aux-info"]).arg(&list).args(draft);
    compile(&mut command, name, source);
    let text = fs::read_to_string(list).expect("gcc writes it");
    text.lines()
        .filter_map(|line| line.strip_prefix("/* ")?.split_once(" */ "))
        .filter(|(origin, _)| origin.contains(place))
        .map(|(_, declaration)| declaration.to_owned())
        .collect()
}

/// Runs a compiler on `source`; it must succeed.
fn compile(command: &mut Command, name: &str, source: &str) -> Output {
    let file = scratch().join(format!("{name}.c"));
    fs::write(&file, source).expect("writable");
    let output = command
        .arg("-I")
        .arg(repository().join("include"))
        .arg(&file)
        .output()
        .expect("a compiler");
    assert!(output.status.success(), "{name}:\n{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// A folder of this process.
fn scratch() -> PathBuf {
    let folder =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("header-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("writable");
    folder
}
