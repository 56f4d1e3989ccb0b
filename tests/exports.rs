//! What the shared object shows to the loader: the functions of `abi/functions.tsv`, no more and no
//! less, under the name that programs were linked with; and that it leaves nothing to be done at exit.

mod support;

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use support::child::{End, run};
use support::compile::compile;
use support::{Scratch, check_loaded, link_folder, repository};

/// Far more than it takes.
const LIMIT: Duration = Duration::from_secs(120);

const FUNCTIONS: &str = include_str!("abi/functions.tsv");

#[test]
fn exactly_the_functions_of_the_table_are_exported() {
    let wanted: BTreeSet<&str> = FUNCTIONS
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split('\t').next())
        .collect();
    assert_eq!(wanted.len(), 97);
    let listing = output("nm", &["-D", "--defined-only", "-P"]);
    let seen: BTreeSet<&str> =
        listing.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(seen, wanted);
    // Programs linked with the original ask for symbols without a version.
    assert!(!listing.contains('@'), "{listing}");
}

#[test]
fn the_object_has_the_original_s_name_and_is_never_unloaded() {
    let entries = output("readelf", &["-d"]);
    assert!(entries.contains("[libzmq.so.5]"), "{entries}");
    assert!(entries.contains("NODELETE"), "{entries}");
}

/// What a library does at exit runs in a process that is half gone: in front of threads that run on, and after the
/// program gave its environment back.
#[test]
fn nothing_is_to_run_at_exit() {
    let wanted = output("nm", &["-D", "--undefined-only", "-P"]);
    let names = || wanted.lines().filter_map(|line| line.split([' ', '@']).next());
    for registers in ["atexit", "on_exit", "at_quick_exit", "__cxa_atexit", "__cxa_at_quick_exit"] {
        assert!(!names().any(|name| name == registers), "{registers}");
    }
    // One destructor is the compiler's own, of which every shared object has it.
    let entries = output("readelf", &["-d"]);
    let size = entries.lines().find(|line| line.contains("(FINI_ARRAYSZ)")).unwrap_or(" 0 ");
    assert!(size.contains(" 8 ") || size.contains(" 0 "), "{size}");
}

#[test]
fn a_process_may_leave_with_everything_open() {
    let library = support::library().expect("built");
    let scratch = Scratch::new("leaving").expect("a folder");
    let links = link_folder(&library, &scratch.path().join("links")).expect("a folder");
    let folder = repository().join("ctest");
    let (source, checks) = (folder.join("leaving.c"), folder.join("check.h"));
    let program = compile(&source, &[&checks], true, scratch.path(), &links).expect("a program");
    check_loaded(&program, &links, &library).expect("the library under test");
    let mut command = Command::new(program);
    command.env("LD_LIBRARY_PATH", &links).current_dir(scratch.path());
    let run = run(&mut command, LIMIT, &scratch.path().join("log")).expect("a process");
    assert_eq!(run.end, End::Code(0), "{}", run.tail(20));
}

fn output(tool: &str, arguments: &[&str]) -> String {
    let library = support::library().expect("built");
    let output = Command::new(tool).args(arguments).arg(library).output().expect("binutils");
    assert!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
