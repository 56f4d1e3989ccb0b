//! The floors of the house: who may import whom, who may use unsafe code, and how long a file may
//! be.
//!
//! Reads the sources as text, without their comments. A new folder of `src/` needs a row here.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use support::repository;

/// Where unsafe code may be.
enum Unsafe {
    Anywhere,
    /// In these files of the folder.
    In(&'static [&'static str]),
    /// Nowhere, said by the compiler too: the folder opens with `#![forbid(unsafe_code)]`.
    Forbidden,
    Nowhere,
}

/// One folder (or file) of `src/`, from the ground up. Imports may only go to earlier rows.
struct Room {
    name: &'static str,
    /// What may be imported beside `base`; empty means nothing else, `["*"]` every earlier row.
    may: &'static [&'static str],
    code: Unsafe,
}

const HOUSE: [Room; 15] = [
    Room { name: "base", may: &[], code: Unsafe::Forbidden },
    Room { name: "sys", may: &[], code: Unsafe::Anywhere },
    Room {
        name: "sync",
        may: &["sys"],
        code: Unsafe::In(&[
            "chunk.rs",
            "spsc.rs",
            "broadcast.rs",
            "broadcast/number.rs",
            "handles.rs",
            "brief.rs",
            "biased.rs",
        ]),
    },
    Room { name: "options", may: &[], code: Unsafe::Forbidden },
    Room {
        name: "message",
        may: &["sync"],
        code: Unsafe::In(&["append.rs", "raw.rs", "memory.rs", "tests.rs"]),
    },
    Room { name: "reactor", may: &["sync", "sys"], code: Unsafe::In(&["registration.rs"]) },
    Room { name: "pipe", may: &["sync", "sys", "message"], code: Unsafe::Nowhere },
    Room { name: "hub", may: &["pipe", "sync", "message"], code: Unsafe::Nowhere },
    Room { name: "transport", may: &["reactor", "sys", "options"], code: Unsafe::Nowhere },
    Room { name: "zmtp", may: &["message", "options"], code: Unsafe::Forbidden },
    Room { name: "conn", may: &["*"], code: Unsafe::Nowhere },
    Room { name: "pattern", may: &["pipe", "message", "options"], code: Unsafe::Nowhere },
    Room { name: "socket", may: &["*"], code: Unsafe::Nowhere },
    Room { name: "ctx", may: &["*"], code: Unsafe::Nowhere },
    Room { name: "capi", may: &["*"], code: Unsafe::Anywhere },
];

const LINES: usize = 800;

#[test]
fn imports_only_go_down() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let Some(at) = room(&path) else { continue };
        let here = &HOUSE[at];
        for target in imports(&text) {
            let allowed = HOUSE.iter().position(|room| room.name == target).is_some_and(|to| {
                to == at
                    || to < at
                        && (target == "base"
                            || here.may.contains(&"*")
                            || here.may.contains(&&*target))
            });
            if !allowed {
                wrong.push(format!("{}: {} may not import {target}", path.display(), here.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_source_belongs_to_a_room() {
    let strangers: Vec<_> = sources().into_keys().filter(|path| room(path).is_none()).collect();
    assert_eq!(strangers, [PathBuf::from("lib.rs")]);
}

#[test]
fn unsafe_code_stays_where_it_may_be() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let inside = path.iter().skip(1).collect::<PathBuf>();
        let allowed = match room(&path).map(|at| &HOUSE[at].code) {
            Some(Unsafe::Anywhere) => true,
            Some(Unsafe::In(files)) => files.iter().any(|file| inside == Path::new(file)),
            Some(Unsafe::Forbidden | Unsafe::Nowhere) | None => false,
        };
        let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        if !allowed && words.into_iter().any(|word| word == "unsafe") {
            wrong.push(path.display().to_string());
        }
    }
    assert!(wrong.is_empty(), "unsafe code in {}", wrong.join(", "));
}

#[test]
fn rooms_without_unsafe_code_say_so_to_the_compiler() {
    let sources = sources();
    for room in HOUSE.iter().filter(|room| matches!(room.code, Unsafe::Forbidden)) {
        let text = sources.get(&Path::new(room.name).join("mod.rs")).map_or("", String::as_str);
        assert!(text.contains("#![forbid(unsafe_code)]"), "src/{}/mod.rs", room.name);
    }
}

#[test]
fn files_stay_short_and_open_with_their_purpose() {
    let mut wrong = Vec::new();
    let folder = repository().join("src");
    for path in sources().into_keys() {
        let text = fs::read_to_string(folder.join(&path)).expect("readable");
        let lines = text.lines().count();
        if lines > LINES {
            wrong.push(format!("{}: {lines} lines", path.display()));
        }
        let opening = text
            .lines()
            .find(|line| !line.starts_with("#![") && !line.is_empty())
            .unwrap_or_default();
        if !opening.starts_with("//!") {
            wrong.push(format!("{}: does not say what lives there", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// All files of `src/`, by path inside it, without comments.
fn sources() -> BTreeMap<PathBuf, String> {
    let folder = repository().join("src");
    let mut found = BTreeMap::new();
    let mut open = vec![folder.clone()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("readable");
                let inside = path.strip_prefix(&folder).expect("inside").to_path_buf();
                found.insert(inside, without_comments(&text));
            }
        }
    }
    assert!(!found.is_empty());
    found
}

/// Cuts line comments. A `//` inside a string cuts too, which loses nothing that is looked for
/// here.
fn without_comments(text: &str) -> String {
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Which room a file is in.
fn room(path: &Path) -> Option<usize> {
    let first = Path::new(path.iter().next()?);
    HOUSE.iter().position(|room| first.file_stem().is_some_and(|stem| stem == room.name))
}

/// The rooms named after `crate::`, also inside braces.
fn imports(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (_, rest) in text.match_indices("crate::").map(|(at, word)| text.split_at(at + word.len()))
    {
        match rest.strip_prefix('{') {
            None => found.insert(first_word(rest)),
            Some(group) => {
                found.extend(top_level(group).into_iter().map(first_word));
                true
            }
        };
    }
    found
}

/// The parts of a brace group, up to its end, split at the commas that are not in inner groups.
fn top_level(group: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&group[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect()
}

fn first_word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn import_paths_are_read_in_every_form() {
    let text = "use crate::base::Error;\nuse crate::{message::Msg, options::{a, b},\n pipe};\nfn f() { crate::sys::x() }";
    let found: Vec<_> = imports(text).into_iter().collect();
    assert_eq!(found, ["base", "message", "options", "pipe", "sys"]);
}
