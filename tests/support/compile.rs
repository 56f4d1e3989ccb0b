//! C programs for both libraries: compiled once per content, against the genuine header where there is one.

use std::collections::hash_map::DefaultHasher;
use std::env;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

static WRITING: Mutex<()> = Mutex::new(());

/// Compiles `source`, which includes `headers`, against the system's zmq.h if there is one, or `our_header`, unless that
/// was done before; gives the program's path.
pub fn compile(
    source: &Path,
    headers: &[&Path],
    our_header: bool,
    work: &Path,
    library: &Path,
) -> Result<PathBuf, String> {
    let mut hasher = DefaultHasher::new();
    for path in [source].iter().chain(headers) {
        let text = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        text.hash(&mut hasher);
    }
    let name = source.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
    let program = work.join(format!("{name}-{:016x}", hasher.finish()));
    // The name before it is complete is the process's: of its tests one at a time writes there.
    let _alone = WRITING.lock().map_err(|_| "another test failed here")?;
    if program.exists() {
        return Ok(program);
    }
    let fresh = work.join(format!("{name}.{}", std::process::id()));
    let mut command = Command::new(env::var_os("CC").unwrap_or_else(|| "cc".into()));
    if our_header || !Path::new("/usr/include/zmq.h").exists() {
        command.arg("-I").arg(super::repository().join("include"));
    }
    command.args(["-std=gnu99", "-O1", "-Wall", "-Wextra", "-pthread"]);
    command.arg(source).arg("-o").arg(&fresh).arg("-L").arg(library).arg("-lzmq");
    let answer = command.output().map_err(|e| format!("cc: {e}"))?;
    if !answer.status.success() {
        return Err(format!("{}:\n{}", source.display(), String::from_utf8_lossy(&answer.stderr)));
    }
    fs::rename(&fresh, &program).map_err(|e| format!("{}: {e}", program.display()))?;
    Ok(program)
}
