//! Listening sockets: the address they really got, the peers they let in, what they leave behind.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use socket2::{SockAddr, SockRef, Socket};

use super::Scheme;
use super::address::{self, Names};
use super::ipc::{self, WildcardPath};
use super::stream::Stream;
use super::tcp::{self, Tuning};
use super::{kernel_endpoint, tipc, tls, vsock, ws};
use crate::base::Error;
use crate::options::{AddressFilter, Options};

/// A listening socket: non-blocking, close-on-exec, closed on drop.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    endpoint: String,
    kind: Kind,
}

/// What a listener needs to judge and tune its peers.
#[derive(Debug)]
enum Kind {
    Tcp { tuning: Tuning, filters: Vec<AddressFilter> },
    Ipc { filters: ipc::Filters, wildcard: Option<WildcardPath> },
    Ws { tuning: Tuning, filters: Vec<AddressFilter>, path: String, tls: Option<tls::Server> },
    Kernel(Scheme),
}

/// Why a listener could not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenError {
    /// The reason.
    pub error: Error,
    /// The descriptor that was open when it failed, now closed: the value of a CLOSED event.
    pub opened_fd: Option<RawFd>,
    /// The address text of that CLOSED event: empty for tcp.
    pub endpoint: String,
}

/// A peer that was let in.
#[derive(Debug)]
pub struct Accepted {
    /// Its connection.
    pub stream: Stream,
    /// Its end of the connection, as monitors show it (`tcp://1.2.3.4:55`, `ipc://`).
    pub peer: String,
    /// The `Peer-Address` of its messages: a numeric IP, or `localhost:UID:GID:PID`.
    pub peer_address: Option<String>,
}

/// Why nobody was let in, although somebody was there.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// An accept filter kept the peer out; its connection is closed.
    #[error("refused by an accept filter")]
    Filtered,
    /// The operating system's reason; the listener goes on.
    #[error(transparent)]
    Os(#[from] io::Error),
}

impl AcceptError {
    /// The value of the ACCEPT_FAILED event.
    pub fn errno(&self) -> i32 {
        match self {
            AcceptError::Filtered => libc::EACCES,
            AcceptError::Os(error) => error.raw_os_error().unwrap_or(libc::EIO),
        }
    }
}

impl Listener {
    /// Starts listening on the text after `://`. Names are resolved, which may block.
    pub fn listen(
        scheme: Scheme,
        address: &str,
        options: &Options,
    ) -> Result<Listener, ListenError> {
        match scheme {
            Scheme::Tcp => Self::listen_tcp(address, options),
            Scheme::Ipc => Self::listen_ipc(address, options),
            Scheme::Ws | Scheme::Wss => Self::listen_ws(scheme, address, options),
            Scheme::Tipc | Scheme::Vsock | Scheme::Vmci => {
                Self::listen_kernel(scheme, address, options)
            }
            _ => Err(ListenError::before_open(Error::NotSupported)),
        }
    }

    /// Takes one waiting peer, `None` when there is none.
    pub fn accept(&self) -> Result<Option<Accepted>, AcceptError> {
        let (socket, peer) = match self.socket.accept() {
            Ok(pair) => pair,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match &self.kind {
            Kind::Tcp { tuning, filters } => {
                let (stream, peer) = accept_tcp(socket, &peer, tuning, filters)?;
                Ok(Some(Accepted::over_tcp(Stream::Tcp(stream), peer, "")))
            }
            Kind::Ipc { filters, .. } => accept_ipc(socket, &peer, filters).map(Some),
            Kind::Ws { tuning, filters, path, tls } => {
                let (stream, peer) = accept_tcp(socket, &peer, tuning, filters)?;
                let stream = match tls {
                    None => Stream::Ws(stream),
                    Some(tls) => Stream::Wss(Box::new(tls.accept(stream)?)),
                };
                Ok(Some(Accepted::over_tcp(stream, peer, path)))
            }
            Kind::Kernel(scheme) => {
                socket.set_nonblocking(true)?;
                let peer = kernel_endpoint(*scheme, &peer);
                let stream = Stream::Kernel(socket, *scheme);
                Ok(Some(Accepted { stream, peer, peer_address: None }))
            }
        }
    }

    /// The endpoint with everything resolved, as LAST_ENDPOINT shows it.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The number of the descriptor.
    pub fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Stops listening. Fails with the reason why a wildcard's file or directory is still there.
    pub fn close(self) -> io::Result<()> {
        drop(self.socket);
        match self.kind {
            Kind::Ipc { wildcard: Some(wildcard), .. } => wildcard.remove(),
            _ => Ok(()),
        }
    }

    fn listen_tcp(text: &str, options: &Options) -> Result<Listener, ListenError> {
        let kind =
            Kind::Tcp { tuning: Tuning::of(options), filters: options.tcp_accept_filters.clone() };
        if options.use_fd >= 0 {
            return Self::adopt(options.use_fd, kind);
        }
        Self::open_tcp(text, Names::WithDns, kind, options)
    }

    fn listen_ws(scheme: Scheme, text: &str, options: &Options) -> Result<Listener, ListenError> {
        let (address, path) = ws::parse_bind(text).map_err(ListenError::before_open)?;
        let tls = (scheme == Scheme::Wss).then(|| tls::Server::of(options)).transpose();
        let kind = Kind::Ws {
            tuning: Tuning::of(options).without_keepalive(),
            filters: options.tcp_accept_filters.clone(),
            path: path.to_owned(),
            tls: tls.map_err(ListenError::before_open)?,
        };
        let mut listener = if options.use_fd >= 0 {
            Self::adopt(options.use_fd, kind)?
        } else {
            Self::open_tcp(address, Names::LocalOnly, kind, options)?
        };
        let bound = listener.endpoint.strip_prefix("tcp://").unwrap_or_default();
        listener.endpoint = format!("{}://{bound}{path}", scheme.text());
        Ok(listener)
    }

    fn listen_kernel(
        scheme: Scheme,
        text: &str,
        options: &Options,
    ) -> Result<Listener, ListenError> {
        let local = match scheme {
            Scheme::Tipc => tipc::parse_bind(text),
            _ => vsock::parse(text).map(Some),
        };
        let local = local.map_err(ListenError::before_open)?;
        let socket = match scheme {
            Scheme::Tipc => tipc::open(),
            _ => vsock::open(),
        };
        let socket = socket.map_err(|error| ListenError::before_open(error.into()))?;
        let started = match &local {
            Some(address) => socket.bind(address),
            // It is known by the address that it has from the beginning.
            None => Ok(()),
        };
        let named = started
            .and_then(|()| socket.listen(options.backlog))
            .and_then(|()| socket.local_addr());
        match named {
            Ok(own) => {
                // A service has no address of its own that could be shown instead.
                let given = scheme == Scheme::Tipc && local.is_some();
                let endpoint = if given {
                    format!("{}://{text}", scheme.text())
                } else {
                    kernel_endpoint(scheme, &own)
                };
                Ok(Listener { socket, endpoint, kind: Kind::Kernel(scheme) })
            }
            Err(error) => Err(ListenError {
                error: error.into(),
                opened_fd: Some(socket.as_raw_fd()),
                endpoint: String::new(),
            }),
        }
    }

    fn open_tcp(
        text: &str,
        names: Names,
        kind: Kind,
        options: &Options,
    ) -> Result<Listener, ListenError> {
        let ipv6 = tcp::wants_ipv6(options);
        let local = address::resolve_local(text, ipv6, names).map_err(ListenError::before_open)?;
        let socket = tcp::open(&local).map_err(|error| ListenError::before_open(error.into()))?;
        match Self::start_tcp(&socket, &local, options) {
            Ok(endpoint) => Ok(Listener { socket, endpoint, kind }),
            Err(error) => Err(ListenError {
                error: error.into(),
                opened_fd: Some(socket.as_raw_fd()),
                endpoint: String::new(),
            }),
        }
    }

    fn start_tcp(socket: &Socket, local: &SocketAddr, options: &Options) -> io::Result<String> {
        tcp::prepare(socket, local.is_ipv6(), options)?;
        socket.set_reuse_address(true)?;
        socket.bind(&SockAddr::from(*local))?;
        socket.listen(options.backlog)?;
        own_endpoint(socket)
    }

    fn listen_ipc(text: &str, options: &Options) -> Result<Listener, ListenError> {
        let filters = ipc::Filters::of(options);
        if options.use_fd >= 0 {
            ipc::socket_address(text).map_err(ListenError::before_open)?;
            let kind = Kind::Ipc { filters, wildcard: None };
            return Self::adopt(options.use_fd, kind);
        }
        let wildcard = if text.starts_with('*') {
            Some(WildcardPath::create().map_err(ListenError::before_open)?)
        } else {
            None
        };
        let path = wildcard.as_ref().map_or(text, WildcardPath::text);
        let local = ipc::socket_address(path).map_err(ListenError::before_open)?;
        let socket = ipc::open().map_err(|error| ListenError::before_open(error.into()))?;
        let endpoint = format!("ipc://{path}");
        if !path.starts_with('@') {
            // A file left by an earlier listener would be in the way, whoever made it.
            let _ = fs::remove_file(path);
        }
        match socket.bind(&local).and_then(|()| socket.listen(options.backlog)) {
            Ok(()) => Ok(Listener { socket, endpoint, kind: Kind::Ipc { filters, wildcard } }),
            Err(error) => Err(ListenError {
                error: error.into(),
                opened_fd: Some(socket.as_raw_fd()),
                endpoint,
            }),
        }
    }

    /// Takes over a descriptor that the application has made a listener (USE_FD).
    fn adopt(fd: RawFd, kind: Kind) -> Result<Listener, ListenError> {
        let socket = Socket::from(crate::sys::adopt(fd));
        let started = own_endpoint(&socket).and_then(|endpoint| {
            socket.set_nonblocking(true)?;
            socket.set_cloexec(true)?;
            Ok(endpoint)
        });
        match started {
            Ok(endpoint) => Ok(Listener { socket, endpoint, kind }),
            Err(error) => {
                // What never became a listener stays the application's.
                let _ = socket.into_raw_fd();
                Err(ListenError::before_open(error.into()))
            }
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl ListenError {
    fn before_open(error: Error) -> ListenError {
        ListenError { error, opened_fd: None, endpoint: String::new() }
    }
}

impl Accepted {
    fn over_tcp(stream: Stream, peer: Option<SocketAddr>, path: &str) -> Accepted {
        let scheme = stream.scheme().text();
        let text = |peer| format!("{scheme}://{}{path}", address::authority(peer));
        Accepted {
            peer: peer.as_ref().map_or_else(String::new, text),
            peer_address: peer.as_ref().map(address::ip_text),
            stream,
        }
    }
}

fn accept_tcp(
    socket: Socket,
    peer: &SockAddr,
    tuning: &Tuning,
    filters: &[AddressFilter],
) -> Result<(TcpStream, Option<SocketAddr>), AcceptError> {
    let peer = peer.as_socket();
    let admitted = filters.is_empty()
        || peer.is_some_and(|peer| filters.iter().any(|filter| filter.matches(peer.ip())));
    if !admitted {
        return Err(AcceptError::Filtered);
    }
    let stream = TcpStream::from(socket);
    stream.set_nonblocking(true)?;
    let reference = SockRef::from(&stream);
    tuning.mark_traffic(&reference, peer.is_some_and(|peer| peer.is_ipv6()))?;
    tuning.apply_connected(&reference);
    tuning.limit_retransmit(&reference);
    Ok((stream, peer))
}

fn accept_ipc(
    socket: Socket,
    peer: &SockAddr,
    filters: &ipc::Filters,
) -> Result<Accepted, AcceptError> {
    let stream = UnixStream::from(OwnedFd::from(socket));
    if !filters.admit(&stream) {
        return Err(AcceptError::Filtered);
    }
    stream.set_nonblocking(true)?;
    Ok(Accepted {
        peer: ipc::endpoint_text(peer),
        peer_address: ipc::peer_address(&stream),
        stream: Stream::Ipc(stream),
    })
}

/// The endpoint text of the address a socket is bound to.
fn own_endpoint(socket: &Socket) -> io::Result<String> {
    let local = socket.local_addr()?;
    match local.as_socket() {
        Some(ip) => Ok(address::endpoint_text(&ip)),
        None => Ok(ipc::endpoint_text(&local)),
    }
}
