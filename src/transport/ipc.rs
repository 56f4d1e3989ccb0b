//! Unix domain sockets: paths, abstract names, the wildcard directory, peer filters.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::{self, Path, PathBuf};
use std::process;

use nix::sys::socket::{UnixCredentials, getsockopt, sockopt::PeerCredentials};
use nix::unistd::{Gid, Group, Uid, User};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::base::Error;
use crate::options::Options;

/// The longest path or abstract name (with its `@`).
const PATH_MAX: usize = 107;
/// How many directory names the wildcard tries before it gives up.
const WILDCARD_TRIES: u32 = 64;

/// The socket address of the text after `ipc://`.
pub(super) fn socket_address(text: &str) -> Result<SockAddr, Error> {
    if text.len() > PATH_MAX {
        return Err(Error::NameTooLong);
    }
    if text == "@" || text.is_empty() || text.contains('\0') {
        return Err(Error::Invalid);
    }
    let address = match text.strip_prefix('@') {
        Some(name) => SockAddr::unix(OsStr::from_bytes(format!("\0{name}").as_bytes())),
        None => SockAddr::unix(text),
    };
    address.map_err(Error::from)
}

/// A new non-blocking stream socket.
pub(super) fn open() -> io::Result<Socket> {
    Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)
}

/// `ipc://path`, `ipc://@name`, or `ipc://` for an end without a name.
pub(super) fn endpoint_text(address: &SockAddr) -> String {
    if let Some(path) = address.as_pathname() {
        return format!("ipc://{}", path.to_string_lossy());
    }
    match address.as_abstract_namespace() {
        Some(name) if !name.is_empty() => format!("ipc://@{}", String::from_utf8_lossy(name)),
        _ => "ipc://".to_owned(),
    }
}

/// Who is at the other end, as metadata tells it.
pub(super) fn peer_address(stream: &UnixStream) -> Option<String> {
    let peer = getsockopt(stream, PeerCredentials).ok()?;
    Some(format!("localhost:{}:{}:{}", peer.uid(), peer.gid(), peer.pid()))
}

/// A directory of our own with a socket in it, made for `ipc://*`; removed with its listener.
#[derive(Debug)]
pub(super) struct WildcardPath {
    text: String,
    directory: Option<PathBuf>,
    /// The process that made it: a forked child must not take it from its parent.
    maker: u32,
}

impl WildcardPath {
    /// Makes a fresh directory below the place that the environment names.
    pub(super) fn create() -> Result<WildcardPath, Error> {
        Self::create_in(&wildcard_base(|name| env::var_os(name)))
    }

    fn create_in(base: &Path) -> Result<WildcardPath, Error> {
        for _ in 0..WILDCARD_TRIES {
            let suffix: String = (0..6).map(|_| fastrand::alphanumeric()).collect();
            let directory = base.join(format!("tmp{suffix}"));
            match DirBuilder::new().mode(0o700).create(&directory) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error.into()),
            }
            let text = directory.join("socket");
            // The program may change its directory before the listener goes away.
            let absolute = path::absolute(&directory).unwrap_or_else(|_| directory.clone());
            let wildcard = WildcardPath {
                text: text.to_string_lossy().into_owned(),
                directory: Some(absolute),
                maker: process::id(),
            };
            return Ok(wildcard);
        }
        Err(Error::from_errno(libc::EEXIST))
    }

    /// The path of the socket, as an endpoint shows it.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Removes socket and directory; the errno tells what could not be removed.
    pub(super) fn remove(mut self) -> io::Result<()> {
        self.remove_now()
    }

    fn remove_now(&mut self) -> io::Result<()> {
        let Some(directory) = self.directory.take() else {
            return Ok(());
        };
        if self.maker != process::id() {
            return Ok(());
        }
        let file = fs::remove_file(directory.join("socket"));
        fs::remove_dir(directory).and(file)
    }
}

impl Drop for WildcardPath {
    fn drop(&mut self) {
        let _ = self.remove_now();
    }
}

/// The first of three variables that names a directory, else the current one.
fn wildcard_base(variable: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    ["TMPDIR", "TEMPDIR", "TMP"]
        .into_iter()
        .filter_map(variable)
        .map(PathBuf::from)
        .find(|path| path.is_dir())
        .unwrap_or_default()
}

/// Which local processes a listener lets in; empty lets everybody in.
#[derive(Clone, Debug, Default)]
pub(super) struct Filters {
    uids: Vec<u32>,
    gids: Vec<u32>,
    pids: Vec<i32>,
}

impl Filters {
    pub(super) fn of(options: &Options) -> Filters {
        Filters {
            uids: options.ipc_uid_filters.clone(),
            gids: options.ipc_gid_filters.clone(),
            pids: options.ipc_pid_filters.clone(),
        }
    }

    /// Whether the process at the other end may come in.
    pub(super) fn admit(&self, stream: &UnixStream) -> bool {
        if self.uids.is_empty() && self.gids.is_empty() && self.pids.is_empty() {
            return true;
        }
        match getsockopt(stream, PeerCredentials) {
            Ok(peer) => self.admit_peer(&peer),
            Err(_) => false,
        }
    }

    fn admit_peer(&self, peer: &UnixCredentials) -> bool {
        self.uids.contains(&peer.uid())
            || self.gids.contains(&peer.gid())
            || self.pids.contains(&peer.pid())
            || self.is_listed_member(peer.uid())
    }

    /// Whether the group file names the user in one of the groups.
    fn is_listed_member(&self, uid: u32) -> bool {
        if self.gids.is_empty() {
            return false;
        }
        let Ok(Some(user)) = User::from_uid(Uid::from_raw(uid)) else {
            return false;
        };
        self.gids.iter().any(|gid| {
            matches!(
                Group::from_gid(Gid::from_raw(*gid)),
                Ok(Some(group)) if group.mem.contains(&user.name)
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch() -> PathBuf {
        let name = format!("ferrozmq-{}-{:x}", std::process::id(), fastrand::u64(..));
        let path = env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        path
    }

    #[test]
    fn texts() {
        for (text, expected) in [
            ("path", "ipc://path"),
            ("/a/b", "ipc:///a/b"),
            ("@name", "ipc://@name"),
            ("*", "ipc://*"),
        ] {
            let address = socket_address(text).unwrap();
            assert_eq!(endpoint_text(&address), expected);
        }
        for (text, error) in [
            ("@", Error::Invalid),
            ("a\0b", Error::Invalid),
            (&"x".repeat(108), Error::NameTooLong),
            (&format!("@{}", "x".repeat(107)), Error::NameTooLong),
        ] {
            assert_eq!(socket_address(text).err(), Some(error), "{text}");
        }
        assert!(socket_address(&"x".repeat(107)).is_ok());
        assert!(socket_address(&format!("@{}", "x".repeat(106))).is_ok());
    }

    #[test]
    fn the_first_variable_that_names_a_directory_wins() {
        let directory = scratch();
        let answer = |set: &'static [(&'static str, bool)]| {
            let directory = directory.clone();
            wildcard_base(move |name| {
                let (_, good) = set.iter().find(|(known, _)| *known == name)?;
                let path = if *good { directory.clone() } else { directory.join("no") };
                Some(path.into_os_string())
            })
        };
        assert_eq!(answer(&[("TMPDIR", true)]), directory);
        assert_eq!(answer(&[("TMPDIR", false), ("TMP", true)]), directory);
        assert_eq!(answer(&[("TEMPDIR", true), ("TMP", false)]), directory);
        assert_eq!(answer(&[("TMPDIR", false)]), PathBuf::new());
        assert_eq!(answer(&[]), PathBuf::new());
        fs::remove_dir(directory).unwrap();
    }

    #[test]
    fn a_wildcard_leaves_nothing_behind() {
        use std::os::unix::fs::PermissionsExt;

        let base = scratch();
        let wildcard = WildcardPath::create_in(&base).unwrap();
        let path = PathBuf::from(wildcard.text());
        let directory = path.parent().unwrap();
        assert_eq!(path.file_name().unwrap(), "socket");
        assert_eq!(directory.parent().unwrap(), base);
        assert_eq!(fs::metadata(directory).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(&path, "").unwrap();
        wildcard.remove().unwrap();

        // Dropped instead, as when the bind fails.
        let wildcard = WildcardPath::create_in(&base).unwrap();
        fs::write(wildcard.text(), "").unwrap();
        drop(wildcard);
        fs::remove_dir(&base).unwrap();

        let error = WildcardPath::create_in(&base).unwrap_err();
        assert_eq!(error, Error::NoEntry);
    }

    #[test]
    fn a_forked_child_leaves_the_wildcard_alone() {
        let base = scratch();
        let mut wildcard = WildcardPath::create_in(&base).unwrap();
        fs::write(wildcard.text(), "").unwrap();
        let path = PathBuf::from(wildcard.text());
        wildcard.maker = process::id() + 1;
        drop(wildcard);
        assert!(path.exists());
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn a_wildcard_says_what_it_could_not_remove() {
        let base = scratch();
        let wildcard = WildcardPath::create_in(&base).unwrap();
        let directory = PathBuf::from(wildcard.text()).parent().unwrap().to_owned();
        fs::write(wildcard.text(), "").unwrap();
        fs::write(directory.join("other"), "").unwrap();
        let error = wildcard.remove().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTEMPTY));
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn filters_admit_by_any_of_the_three() {
        let (end, _other) = UnixStream::pair().unwrap();
        let own = getsockopt(&end, PeerCredentials).unwrap();
        let (uid, gid, pid) = (own.uid(), own.gid(), own.pid());
        for (uids, gids, pids, admitted) in [
            (vec![], vec![], vec![], true),
            (vec![uid], vec![], vec![], true),
            (vec![], vec![gid], vec![], true),
            (vec![], vec![], vec![pid], true),
            (vec![uid + 1], vec![], vec![], false),
            (vec![], vec![], vec![pid + 1], false),
            (vec![uid + 1], vec![], vec![pid + 1, pid], true),
            (vec![uid + 1], vec![0x7fff_fff0], vec![pid + 1], false),
        ] {
            let filters = Filters { uids, gids, pids };
            assert_eq!(filters.admit(&end), admitted, "{filters:?}");
        }
        let expected = format!("localhost:{uid}:{gid}:{pid}");
        assert_eq!(peer_address(&end), Some(expected));
    }
}
