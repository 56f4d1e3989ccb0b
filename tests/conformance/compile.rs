//! Compiling a test program against a header and a shared library, with a cache.
//!
//! The programs include `../include/zmq.h` and `../src/stdint.hpp`, so they are compiled out of a tree of links in
//! which those names lead to the header under test and to the shims.

use std::collections::hash_map::DefaultHasher;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::hash::{Hash, Hasher};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

const FLAGS: &[&str] = &[
    "-O0",
    "-w",
    "-pthread",
    "-DZMQ_BUILD_DRAFT_API=1",
    "-DUNITY_USE_COMMAND_LINE_ARGS",
    "-DUNITY_EXCLUDE_FLOAT",
];

/// What depends on the machine: libraries that are loaded when needed.
fn machine_flags() -> Vec<&'static str> {
    let libraries = [
        (zmq::sys::gssapi().is_some(), "-DHAVE_LIBGSSAPI_KRB5"),
        (zmq::sys::norm::norm().is_some(), "-DZMQ_HAVE_NORM"),
        (zmq::sys::pgm::pgm().is_some(), "-DZMQ_HAVE_OPENPGM"),
    ];
    libraries.into_iter().filter(|(here, _)| *here).map(|(_, flag)| flag).collect()
}

/// Files that every program is linked with.
const COMMON: &[&str] = &[
    "external/unity/unity.c",
    "tests/testutil.cpp",
    "tests/testutil_monitoring.cpp",
    "tests/testutil_security.cpp",
    "tests/testutil_unity.cpp",
];

/// A compiler set up for one header and one library.
#[derive(Debug)]
pub struct Compiler {
    tree: PathBuf,
    cache: PathBuf,
    library_folder: PathBuf,
    /// Of everything that a program may include.
    environment: u64,
    common: Mutex<Option<Result<Vec<PathBuf>, String>>>,
}

impl Compiler {
    /// `include` is the folder of zmq.h, `library_folder` one with `libzmq.so` in it.
    pub fn new(
        vendor: &Path,
        include: &Path,
        shim: &Path,
        library_folder: &Path,
        cache: &Path,
    ) -> Result<Self, String> {
        let environment = environment(vendor, include, shim)?;
        let tree = cache.join(format!("tree-{environment:016x}"));
        plant(&tree, vendor, include, shim).map_err(|e| format!("{}: {e}", tree.display()))?;
        let common = Mutex::new(None);
        Ok(Compiler {
            tree,
            cache: cache.to_path_buf(),
            library_folder: library_folder.to_path_buf(),
            environment,
            common,
        })
    }

    /// The executable of one program, built unless it is there already.
    pub fn program(&self, name: &str, source: &Path) -> Result<PathBuf, String> {
        let mut objects = vec![self.object(&format!("tests/{name}.cpp"), source)?];
        objects.extend(self.common_objects()?);
        let mut hasher = DefaultHasher::new();
        objects.hash(&mut hasher);
        let program = self.cache.join(format!("{name}-{:016x}", hasher.finish()));
        self.produce(&program, |command| {
            command.arg("-pthread").args(&objects).arg("-L").arg(&self.library_folder).arg("-lzmq");
        })?;
        Ok(program)
    }

    fn common_objects(&self) -> Result<Vec<PathBuf>, String> {
        let mut common = self.common.lock().map_err(|_| "another thread failed here")?;
        common
            .get_or_insert_with(|| {
                COMMON.iter().map(|file| self.object(file, &self.tree.join(file))).collect()
            })
            .clone()
    }

    /// `file` within the tree, compiled; `source` is the same file anywhere.
    fn object(&self, file: &str, source: &Path) -> Result<PathBuf, String> {
        let mut hasher = DefaultHasher::new();
        self.environment.hash(&mut hasher);
        content(source)?.hash(&mut hasher);
        let stem = Path::new(file).file_stem().and_then(|stem| stem.to_str()).unwrap_or("object");
        let object = self.cache.join(format!("{stem}-{:016x}.o", hasher.finish()));
        self.produce(&object, |command| {
            command
                .args(FLAGS)
                .args(machine_flags())
                .arg("-I")
                .arg(self.tree.join("external/unity"))
                .arg("-c")
                .arg(self.tree.join(file));
            if !file.ends_with(".c") {
                command.arg("-std=gnu++11");
            }
        })?;
        Ok(object)
    }

    /// Runs the compiler unless `output` exists; it appears under its name only when complete.
    fn produce(&self, output: &Path, arguments: impl FnOnce(&mut Command)) -> Result<(), String> {
        if output.exists() {
            return Ok(());
        }
        let fresh = output.with_extension(format!("{}.new", std::process::id()));
        let compiler = tool(output);
        let mut command = Command::new(&compiler);
        arguments(&mut command);
        let answer = command.arg("-o").arg(&fresh).output().map_err(|e| {
            format!("{}: {e} (a C++ compiler is needed)", compiler.to_string_lossy())
        })?;
        if !answer.status.success() {
            return Err(format!("does not build:\n{}", String::from_utf8_lossy(&answer.stderr)));
        }
        fs::rename(&fresh, output).map_err(|e| format!("{}: {e}", output.display()))
    }
}

/// Unity is C, everything else and linking is C++.
fn tool(output: &Path) -> OsString {
    let unity = output.file_name().is_some_and(|name| name.to_string_lossy().starts_with("unity-"));
    let (variable, usual) = if unity { ("CC", "cc") } else { ("CXX", "c++") };
    env::var_os(variable).unwrap_or_else(|| usual.into())
}

/// A number that changes with every file a program may include.
fn environment(vendor: &Path, include: &Path, shim: &Path) -> Result<u64, String> {
    let mut hasher = DefaultHasher::new();
    FLAGS.hash(&mut hasher);
    machine_flags().hash(&mut hasher);
    for folder in [include, shim, &vendor.join("tests"), &vendor.join("external/unity")] {
        for file in files(folder)? {
            if file.extension().is_some_and(|e| e == "h" || e == "hpp") {
                content(&file)?.hash(&mut hasher);
            }
        }
    }
    Ok(hasher.finish())
}

/// Makes the tree of links. Its folders are real: `..` must lead back into the tree.
fn plant(tree: &Path, vendor: &Path, include: &Path, shim: &Path) -> Result<(), String> {
    let branches = [
        ("tests", vendor.join("tests")),
        ("external/unity", vendor.join("external/unity")),
        ("include", include.to_path_buf()),
        ("src", shim.to_path_buf()),
    ];
    for (branch, from) in branches {
        let folder = tree.join(branch);
        fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
        for file in files(&from)? {
            let link = folder.join(file.file_name().unwrap_or_default());
            if fs::read_link(&link).is_ok_and(|now| now == file) {
                continue;
            }
            let fresh = folder.join(format!("link.{}", std::process::id()));
            symlink(&file, &fresh)
                .and_then(|()| fs::rename(&fresh, &link))
                .map_err(|e| e.to_string())?;
        }
    }
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let folder = folder.canonicalize().map_err(|e| format!("{}: {e}", folder.display()))?;
    let entries = fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    Ok(files)
}

fn content(file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|e| format!("{}: {e}", file.display()))
}
