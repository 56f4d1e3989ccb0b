//! Where libzmq's own test programs are and what is known about them.
//!
//! They come with the crate `zeromq-src`, which cargo fetches as a dev-dependency: nothing of it is committed here.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const CRATE: &str = "zeromq-src-0.3.6";

/// Programs that take longer than [`Program::DEFAULT_LIMIT`] by design, in seconds.
const SLOW: &[(&str, u64)] = &[
    ("test_heartbeats", 120),
    ("test_proxy", 120),
    ("test_proxy_steerable", 120),
    ("test_security_curve", 120),
    ("test_security_zap", 120),
    ("test_shutdown_stress", 180),
    ("test_socks", 120),
];

/// Programs that cannot be built from outside the library, and why.
const UNBUILDABLE: &[(&str, &str)] = &[
    ("test_pair_vmci", "needs VMware's vmci_sockets.h"),
    ("test_reqrep_vmci", "needs VMware's vmci_sockets.h"),
];

/// Programs that rely on how fast threads get their turn, and on a busy machine fail as often with the genuine library.
const RACES: &[(&str, &str)] = &[(
    "test_mock_pub_sub",
    "sleeps a millisecond for a handshake to be done, and then waits for ever for what comes of it",
)];

/// Programs that fail when built with the genuine header, because that is older than our library, and why.
const OLDER_HEADER: &[(&str, &str)] = &[(
    "test_ancillaries",
    "asks zmq_version for the header's version, 4.3.5, and the library tells its own, 4.3.6",
)];

/// Port numbers written into the programs are named so in their common header.
const FIXED_PORT_NAMES: &[&str] =
    &["ENDPOINT_0", "ENDPOINT_1", "ENDPOINT_2", "ENDPOINT_3", "ENDPOINT_4", "ENDPOINT_5", "PORT_6"];

/// One test program.
#[derive(Clone, Debug)]
pub struct Program {
    pub name: String,
    pub source: PathBuf,
    pub limit: Duration,
    /// Why it is not even compiled.
    pub unbuildable: Option<&'static str>,
    /// What it does wrong if it fails by chance.
    pub race: Option<&'static str>,
    /// Why it fails by right when it was built with the genuine header.
    pub older_header: Option<&'static str>,
    /// Two programs of this kind must not run at the same time in one network.
    pub fixed_ports: bool,
    /// It speaks of datagrams, whose groups want the interfaces of this machine: it runs in no other network.
    pub datagrams: bool,
    /// It sends to multicast groups, which must not leave the machine: it runs in a network of its own.
    pub multicast: bool,
}

impl Program {
    const DEFAULT_LIMIT: Duration = Duration::from_secs(60);
}

/// The folder `vendor` of the crate: `FERROZMQ_CONFORMANCE_SRC`, or wherever cargo keeps it.
pub fn vendor() -> Result<PathBuf, String> {
    if let Some(given) = env::var_os("FERROZMQ_CONFORMANCE_SRC") {
        return Ok(PathBuf::from(given));
    }
    // Without the network first: cargo has the crate already, it built this test with it.
    let manifest = manifest_path(&["--offline"]).or_else(|_| manifest_path(&[]))?;
    let folder = manifest.parent().ok_or("a manifest without a folder")?.join("vendor");
    if folder.join("tests").is_dir() {
        Ok(folder)
    } else {
        Err(format!("{}: no tests in it", folder.display()))
    }
}

/// All programs of the suite, by name.
pub fn programs(vendor: &Path) -> Result<Vec<Program>, String> {
    let folder = vendor.join("tests");
    let entries = fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let source = entry.map_err(|e| e.to_string())?.path();
        let name = source.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        if !name.starts_with("test_") || source.extension().is_none_or(|e| e != "cpp") {
            continue;
        }
        let text = fs::read_to_string(&source).map_err(|e| format!("{}: {e}", source.display()))?;
        let fixed_ports =
            FIXED_PORT_NAMES.iter().any(|port| text.contains(port)) || text.contains(":55");
        let limit = SLOW.iter().find(|(slow, _)| *slow == name);
        found.push(Program {
            limit: limit
                .map_or(Program::DEFAULT_LIMIT, |(_, seconds)| Duration::from_secs(*seconds)),
            unbuildable: UNBUILDABLE.iter().find(|(not, _)| *not == name).map(|(_, why)| *why),
            race: RACES.iter().find(|(racing, _)| *racing == name).map(|(_, race)| *race),
            older_header: OLDER_HEADER
                .iter()
                .find(|(older, _)| *older == name)
                .map(|(_, why)| *why),
            fixed_ports,
            datagrams: text.contains("udp://"),
            multicast: text.contains("norm://"),
            name,
            source,
        });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Asks cargo for the crate's Cargo.toml.
fn manifest_path(extra: &[&str]) -> Result<PathBuf, String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let answer = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--filter-platform", &host()?])
        .args(extra)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .map_err(|e| format!("cargo metadata: {e}"))?;
    if !answer.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&answer.stderr)));
    }
    let text = String::from_utf8_lossy(&answer.stdout);
    // One field of a machine-written document: no JSON parser is needed for it.
    text.split("\"manifest_path\":\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .find(|path| path.contains(CRATE))
        .map(PathBuf::from)
        .ok_or_else(|| format!("cargo knows no crate {CRATE}"))
}

/// The target triple of this machine, as rustc names it.
fn host() -> Result<String, String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let answer = Command::new(rustc).arg("-vV").output().map_err(|e| format!("rustc -vV: {e}"))?;
    String::from_utf8_lossy(&answer.stdout)
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or_else(|| "rustc -vV names no host".to_owned())
}
