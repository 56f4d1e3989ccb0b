//! Processes that run a program of `ctest/interop` on our library or on the genuine one.

use std::env;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use super::Scratch;
use super::child::{End, Running};

/// No conversation takes longer than this; the programs themselves give up earlier and say why.
const LIMIT: Duration = Duration::from_secs(60);

/// Which library a process runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Ours,
    Genuine,
}

impl Side {
    pub fn name(self) -> &'static str {
        match self {
            Side::Ours => "ours",
            Side::Genuine => "genuine",
        }
    }
}

/// The built program and the folders that lead it to either library.
#[derive(Clone, Debug)]
pub struct Peers {
    program: PathBuf,
    ours: PathBuf,
    genuine: Option<PathBuf>,
}

impl Peers {
    /// Those that run `peer.c`, built against the genuine header where there is one, and the genuine library as
    /// the system has it.
    pub fn new() -> Result<Peers, String> {
        let system = Path::new("/usr/include/zmq.h").exists();
        Peers::of("peer", "genuine", genuine_library(), !system)
    }

    /// As [`Peers::new`], where the genuine library has to have WebSocket with TLS: the system's if it has, else the one that
    /// `ctest/test.sh` has built.
    pub fn web() -> Result<Peers, String> {
        let peers = Peers::new()?;
        match built_library() {
            Some(built) if !peers.has(Side::Genuine, "WSS")? => {
                let system = Path::new("/usr/include/zmq.h").exists();
                Peers::of("peer", "genuine-web", Some(built), !system)
            }
            _ => Ok(peers),
        }
    }

    /// Those that run `drafts.c`, and a genuine library that has the draft interface: `FERROZMQ_GENUINE_DRAFTS`, or
    /// what `ctest/test.sh` has built.
    pub fn drafts() -> Result<Peers, String> {
        Peers::of("drafts", "genuine-drafts", built_library(), true)
    }

    /// Those that run `groups.c`, with the genuine library of [`Peers::new`].
    pub fn groups() -> Result<Peers, String> {
        Peers::of("groups", "genuine", genuine_library(), false)
    }

    fn of(
        source: &str,
        links: &str,
        genuine: Option<PathBuf>,
        our_header: bool,
    ) -> Result<Peers, String> {
        let work = super::target().join("interop");
        let library = super::library()?;
        let ours = super::link_folder(&library, &work.join("ours"))?;
        let genuine = match genuine {
            Some(path) => Some((super::link_folder(&path, &work.join(links))?, path)),
            None => None,
        };
        let folder = super::repository().join("ctest/interop");
        let (source, shared) = (folder.join(format!("{source}.c")), folder.join("end.h"));
        let program = super::compile::compile(&source, &[&shared], our_header, &work, &ours)?;
        super::check_loaded(&program, &ours, &library)?;
        if let Some((folder, path)) = &genuine {
            super::check_loaded(&program, folder, path)?;
        }
        Ok(Peers { program, ours, genuine: genuine.map(|(folder, _)| folder) })
    }

    /// Whether this machine has the genuine library.
    pub fn has_genuine(&self) -> bool {
        self.genuine.is_some()
    }

    /// Whether the library of this side has a capability of zmq_has(3); false where there is no library.
    pub fn has(&self, side: Side, capability: &str) -> Result<bool, String> {
        if side == Side::Genuine && !self.has_genuine() {
            return Ok(false);
        }
        let folder = Scratch::new("has")?;
        let script = words(&format!("has {capability}"));
        Ok(self.start(side, "has", &script, folder.path())?.finish().is_ok())
    }

    /// Starts a process that follows `script`; what it prints goes to a file in `folder`, which is its working folder.
    pub fn start(
        &self,
        side: Side,
        name: &str,
        script: &[String],
        folder: &Path,
    ) -> Result<Peer, String> {
        self.start_in(side, name, script, folder, &[])
    }

    /// As [`Peers::start`], with these variables; in their values `FOLDER` stands for `folder` and the name.
    pub fn start_in(
        &self,
        side: Side,
        name: &str,
        script: &[String],
        folder: &Path,
        environment: &[(String, String)],
    ) -> Result<Peer, String> {
        let links = match side {
            Side::Ours => &self.ours,
            Side::Genuine => self.genuine.as_ref().ok_or("no genuine library on this machine")?,
        };
        let log = folder.join(format!("{name}.log"));
        let mut command = Command::new(&self.program);
        command
            .args(script)
            .current_dir(folder)
            .env("LD_LIBRARY_PATH", links)
            .env("TMPDIR", folder);
        let own = folder.join(name).display().to_string();
        for (variable, value) in environment {
            command.env(variable, value.replace("FOLDER", &own));
        }
        let running = Running::start(&mut command, &log)
            .map_err(|e| format!("{}: {e}", self.program.display()))?;
        Ok(Peer { name: format!("{name} ({})", side.name()), log, running })
    }
}

/// One process on its way.
pub struct Peer {
    name: String,
    log: PathBuf,
    running: Running,
}

impl Peer {
    /// Waits for a good end.
    pub fn finish(self) -> Result<(), String> {
        let end = self.running.wait(LIMIT).map_err(|e| format!("{}: {e}", self.name))?;
        if end == End::Code(0) {
            return Ok(());
        }
        let output = fs::read_to_string(&self.log).unwrap_or_default();
        Err(format!("{}: {end:?}\n{output}", self.name))
    }
}

/// A script as words; `EMPTY` stands for an empty one.
pub fn words(script: &str) -> Vec<String> {
    script
        .split_whitespace()
        .map(|word| if word == "EMPTY" { String::new() } else { word.to_owned() })
        .collect()
}

/// The genuine library: `FERROZMQ_GENUINE`, or what the loader finds by itself.
pub fn genuine_library() -> Option<PathBuf> {
    if let Some(given) = env::var_os("FERROZMQ_GENUINE") {
        return PathBuf::from(given).canonicalize().ok();
    }
    let path = format!("{}:/usr/sbin:/sbin", env::var("PATH").unwrap_or_default());
    let answer = Command::new("ldconfig").arg("-p").env("PATH", path).output().ok()?;
    String::from_utf8_lossy(&answer.stdout)
        .lines()
        .filter(|line| line.trim_start().starts_with("libzmq.so.5 "))
        .filter_map(|line| line.rsplit(' ').next())
        .find_map(|path| Path::new(path).canonicalize().ok())
}

/// A genuine library with drafts and WebSocket: `FERROZMQ_GENUINE_DRAFTS`, or what `ctest/test.sh` has built.
fn built_library() -> Option<PathBuf> {
    let built = super::target().join("ctest/genuine-drafts/lib/libzmq.so.5");
    env::var_os("FERROZMQ_GENUINE_DRAFTS").map_or(built, PathBuf::from).canonicalize().ok()
}

/// A port below those that the kernel gives to outgoing connections, each only once in this process: between this
/// check and the binding nobody else is likely to take it.
pub fn free_port() -> Result<u16, String> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = std::process::id() % 1_000 * 20; // a process for each test is possible
    for _ in 0..1000 {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(10_000 + (base + step) % 20_000).map_err(|e| e.to_string())?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err("no free port".to_owned())
}
