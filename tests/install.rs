//! Installing, and building a program against what was installed, as a user does: with pkg-config
//! and with CMake.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::repository;

/// The prefix, and the folder of libraries below it.
struct Installed {
    prefix: PathBuf,
    lib: PathBuf,
}

#[test]
fn every_file_is_where_programs_look_for_it() {
    let Installed { prefix, lib } = install("files", "lib");
    for file in ["libzmq.a", "pkgconfig/libzmq.pc", "cmake/ZeroMQ/ZeroMQConfig.cmake"] {
        assert!(lib.join(file).is_file(), "{file}");
    }
    for file in ["zmq.h", "zmq_utils.h", "ferrozmq.h"] {
        assert!(prefix.join("include").join(file).is_file(), "{file}");
    }
    let links = [("libzmq.so", "libzmq.so.5"), ("libzmq.so.5", "libzmq.so.5.2.6")];
    for (link, target) in links {
        assert_eq!(fs::read_link(lib.join(link)).expect("a link"), Path::new(target));
    }
    assert!(fs::symlink_metadata(lib.join("libzmq.so.5.2.6")).expect("there").is_file());
}

#[test]
fn a_program_builds_with_pkg_config() {
    if absent("pkg-config") {
        return;
    }
    let Installed { lib, .. } = install("pkg-config", "lib/some-machine");
    let program = lib.join("quickstart");
    let settings = |arguments: &[&str]| {
        let mut command = Command::new("pkg-config");
        command.args(arguments).arg("libzmq").env("PKG_CONFIG_PATH", lib.join("pkgconfig"));
        run(&mut command)
    };
    assert_eq!(settings(&["--modversion"]).trim(), "4.3.6");
    build(&program, settings(&["--cflags", "--libs"]).split_whitespace());
    assert_eq!(run(Command::new(&program).env("LD_LIBRARY_PATH", &lib)), "4.3.6\n");
    support::check_loaded(&program, &lib, &lib.join("libzmq.so.5.2.6"))
        .expect("loads what was installed");

    // With the archive only, the program carries the library itself.
    let program = lib.join("quickstart-static");
    let settings = settings(&["--cflags", "--libs", "--static"]);
    build(
        &program,
        settings.split_whitespace().map(|word| if word == "-lzmq" { "-l:libzmq.a" } else { word }),
    );
    assert_eq!(run(&mut Command::new(&program)), "4.3.6\n");
}

#[test]
fn a_program_builds_with_cmake() {
    if absent("cmake") {
        return;
    }
    let Installed { prefix, .. } = install("cmake", "lib/some-machine");
    // Moved after the installation: the package finds its files from its own place.
    let moved = prefix.with_file_name("moved");
    fs::rename(prefix, &moved).expect("moves");
    let lib = moved.join("lib/some-machine");
    let out = moved.join("build");
    run(Command::new("cmake")
        .arg("-S")
        .arg(repository().join("tests/install"))
        .arg("-B")
        .arg(&out)
        .arg(format!("-DZeroMQ_DIR={}", lib.join("cmake/ZeroMQ").display())));
    run(Command::new("cmake").arg("--build").arg(&out));
    for program in ["shared", "static", "variables"] {
        let mut command = Command::new(out.join(program));
        assert_eq!(run(command.env("LD_LIBRARY_PATH", &lib)), "4.3.6\n", "{program}");
    }
}

/// Installs what cargo built for this test under a fresh prefix.
fn install(name: &str, libdir: &str) -> Installed {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("install-{name}"));
    let _ = fs::remove_dir_all(&folder);
    let prefix = folder.join("prefix");
    let library = support::library().expect("built");
    run(Command::new("sh")
        .arg(repository().join("cmake/install.sh"))
        .arg("--prefix")
        .arg(&prefix)
        .args(["--libdir", libdir])
        .arg("--from")
        .arg(library.parent().expect("in a folder"))
        .env_remove("DESTDIR"));
    Installed { lib: prefix.join(libdir), prefix }
}

fn build<'a>(program: &Path, settings: impl Iterator<Item = &'a str>) {
    let source = repository().join("tests/install/quickstart.c");
    run(Command::new("cc").arg(source).arg("-o").arg(program).args(settings));
}

/// What the command prints; it must succeed.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{text}{complaint}", output.status);
    text
}

/// Where the tool is absent the test has nothing to say.
fn absent(tool: &str) -> bool {
    let absent = Command::new(tool).arg("--version").output().is_err();
    if absent {
        println!("skipped: no {tool}");
    }
    absent
}
