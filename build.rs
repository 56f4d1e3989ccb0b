//! Builds what cargo does not: the C header, and the names and flags of the shared object.
//!
//! The header goes to `OUT_DIR`, never into the source tree; `tests/header.rs` compares it with the
//! committed `include/zmq.h`, and writes that file when `FERROZMQ_UPDATE_HEADER` is set.

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;

/// Where the public items of the header are, in its order.
const STABLE: [&str; 12] = [
    "src/base/constants/stable.rs",
    "src/capi/util.rs",
    "src/capi/ctx.rs",
    "src/capi/msg.rs",
    "src/capi/socket.rs",
    "src/capi/options.rs",
    "src/capi/monitor.rs",
    "src/capi/poll.rs",
    "src/capi/proxy.rs",
    "src/capi/iov.rs",
    "src/capi/timers.rs",
    "src/capi/threads.rs",
];
const DRAFT: [&str; 3] = ["src/base/constants/draft.rs", "src/capi/draft.rs", "src/capi/poller.rs"];

const CONFIGURATION: &str = "cbindgen.toml";

/// POSIX has sigset_t in sys/select.h too, where glibc shows it even to programs in strict ISO C.
const DRAFT_OPENING: &str = "
#ifdef ZMQ_BUILD_DRAFT_API

#if !defined _WIN32
#include <sys/select.h>
#endif

/** The pollers API is there. */
#define ZMQ_HAVE_POLLER
";

const FOOTER: &str = "
#undef ZMQ_EXPORT

#ifdef __cplusplus
}
#endif

#endif
";

fn main() {
    link_arguments();
    for source in STABLE.iter().chain(&DRAFT).chain([&CONFIGURATION, &"build.rs"]) {
        println!("cargo::rerun-if-changed={source}");
    }
    // Broken sources are better explained by the compiler, and a missing header is noticed by its
    // test.
    if let Err(error) = write_header() {
        println!("cargo::warning=no header: {error}");
    }
}

/// The name that programs ask the loader for, and: the object must never be unloaded, its threads
/// may run on.
fn link_arguments() {
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libzmq.so.5");
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}

fn write_header() -> Result<(), Box<dyn Error>> {
    let whole = cbindgen::Config::from_file(CONFIGURATION)?;
    let mut body = whole.clone();
    body.header = None;
    body.after_includes = None;
    let mut text = bindings(whole, STABLE.iter())?;
    text.push_str(DRAFT_OPENING);
    text.push_str(&text_constants(DRAFT[0])?);
    text.push_str(&bindings(body, DRAFT.iter())?);
    text.push_str("\n#endif\n");
    text.push_str(FOOTER);
    // Function types are renamed with their star, which cbindgen sets apart; it also writes tags
    // where the names of types would do, and double-spaces constants.
    let text = text
        .replace("_fn * ", "_fn *")
        .replace("(struct zmq_", "(zmq_")
        .replace(", struct zmq_", ", zmq_");
    let text = text.split("\n\n#define ZMQ_").collect::<Vec<_>>().join("\n#define ZMQ_");
    let folder = env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?;
    Ok(fs::write(Path::new(&folder).join("zmq.h"), text)?)
}

fn bindings<'a>(
    config: cbindgen::Config,
    sources: impl Iterator<Item = &'a &'a str>,
) -> Result<String, Box<dyn Error>> {
    let builder = cbindgen::Builder::new().with_config(config);
    let mut text = Vec::new();
    sources.fold(builder, |builder, source| builder.with_src(source)).generate()?.write(&mut text);
    Ok(String::from_utf8(text)?)
}

/// Constants that are texts, which cbindgen leaves out.
fn text_constants(source: &str) -> Result<String, Box<dyn Error>> {
    let mut macros = String::from("\n");
    for line in fs::read_to_string(source)?.lines() {
        let Some((name, value)) =
            line.strip_prefix("pub const ").and_then(|rest| rest.split_once(": &str = "))
        else {
            continue;
        };
        macros.push_str(&format!("#define {name} {}\n", value.trim_end_matches(';')));
    }
    Ok(macros)
}
