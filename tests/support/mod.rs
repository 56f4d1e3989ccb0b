//! What the test programs of this folder share: where things are, how a child process is run, and peers of
//! all kinds.
//!
//! No test lives here.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod alone;
pub mod child;
pub mod compile;
pub mod conversation;
pub mod curve;
pub mod kdc;
pub mod local;
pub mod peer;
pub mod raw;
pub mod relay;
pub mod zap;

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The folder of Cargo.toml.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Where built things go: beside the profile folder that this test binary stands in, so that `CARGO_TARGET_DIR` is
/// followed without asking for it.
pub fn target() -> PathBuf {
    let binary = env::current_exe().unwrap_or_default();
    binary.ancestors().nth(3).map_or_else(|| repository().join("target"), Path::to_path_buf)
}

/// The shared library under test: `FERROZMQ_LIB`, or the one cargo built together with this test binary.
pub fn library() -> Result<PathBuf, String> {
    if let Some(given) = env::var_os("FERROZMQ_LIB") {
        let path = PathBuf::from(given);
        return path.canonicalize().map_err(|e| format!("FERROZMQ_LIB={}: {e}", path.display()));
    }
    let binary = env::current_exe().map_err(|e| format!("own path: {e}"))?;
    let beside = binary.parent().map(|dir| dir.join("libzmq.so"));
    let above = binary.ancestors().nth(2).map(|dir| dir.join("libzmq.so"));
    [beside, above].into_iter().flatten().find(|path| path.is_file()).ok_or_else(|| {
        format!("no libzmq.so near {}; build it or set FERROZMQ_LIB", binary.display())
    })
}

/// A working folder of its own for one run, gone afterwards. Its path is short, as ipc paths are limited to 107 bytes.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Result<Scratch, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("fz{}-{number}-{name}", std::process::id()));
        fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        Ok(Scratch(folder))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A folder that holds nothing but links to `library` under the names a linker (`libzmq.so`) and a loader
/// (`libzmq.so.5`) look for, to be given as `-L` and as `LD_LIBRARY_PATH`.
pub fn link_folder(library: &Path, folder: &Path) -> Result<PathBuf, String> {
    let made = || -> io::Result<()> {
        fs::create_dir_all(folder)?;
        for name in ["libzmq.so", "libzmq.so.5"] {
            let link = folder.join(name);
            if fs::read_link(&link).is_ok_and(|now| now == library) {
                continue;
            }
            // Made under another name and moved, so that a run in parallel never sees the link missing.
            let fresh = folder.join(format!("{name}.{}", std::process::id()));
            symlink(library, &fresh)?;
            fs::rename(&fresh, &link)?;
        }
        Ok(())
    };
    made().map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok(folder.to_path_buf())
}

/// Fails unless the loader would give `program` the very file `library` as its libzmq.
pub fn check_loaded(program: &Path, folder: &Path, library: &Path) -> Result<(), String> {
    let listing = std::process::Command::new(program)
        .env("LD_TRACE_LOADED_OBJECTS", "1")
        .env("LD_LIBRARY_PATH", folder)
        .output()
        .map_err(|e| format!("{}: {e}", program.display()))?;
    let text = String::from_utf8_lossy(&listing.stdout);
    let resolved = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("libzmq.so.5 => "))
        .filter_map(|rest| rest.split_whitespace().next())
        .next()
        .ok_or_else(|| format!("{} does not load libzmq.so.5:\n{text}", program.display()))?;
    let same = |a: &Path, b: &Path| a.canonicalize().ok() == b.canonicalize().ok();
    if same(Path::new(resolved), library) {
        Ok(())
    } else {
        Err(format!("{} would load {resolved}, not {}", program.display(), library.display()))
    }
}
