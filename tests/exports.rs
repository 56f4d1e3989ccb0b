//! What the shared object shows to the loader: the functions of `abi/functions.tsv`, no more and no
//! less, under the name that programs were linked with.

mod support;

use std::collections::BTreeSet;
use std::process::Command;

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

fn output(tool: &str, arguments: &[&str]) -> String {
    let library = support::library().expect("built");
    let output = Command::new(tool).args(arguments).arg(library).output().expect("binutils");
    assert!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
