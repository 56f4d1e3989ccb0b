//! The connecting side: what to dial, how to resolve it, one attempt at it.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use socket2::{SockAddr, SockRef, Socket};
use zeroize::Zeroizing;

use super::address::{self, Names, os_error};
use super::socks::Socks;
use super::stream::Stream;
use super::tcp::{self, Tuning};
use super::{Scheme, ipc, kernel_endpoint, tipc, tls, vsock, ws};
use crate::base::Error;
use crate::options::Options;
use crate::sys::{self, PollFd};

/// A parsed address to connect to. Nothing in it has been resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dial {
    /// `HOST:PORT`, or `SOURCE:PORT;HOST:PORT`.
    Tcp {
        /// The local address to connect from, as typed.
        source: Option<Box<str>>,
        /// Host as typed, with its brackets.
        host: Box<str>,
        /// Port.
        port: u16,
        /// Who is asked to make the connection instead of us.
        proxy: Option<Box<Proxy>>,
    },
    /// A path, or `@` and an abstract name.
    Ipc {
        /// The text after `ipc://`.
        path: Box<str>,
    },
    /// `HOST:PORT/PATH` of WebSocket.
    Ws {
        /// Host as typed, with its brackets.
        host: Box<str>,
        /// Port.
        port: u16,
        /// From its slash on.
        path: Box<str>,
        /// What is expected of the other end, over TLS.
        tls: Option<Box<tls::Client>>,
    },
    /// The address of tipc, vsock or vmci.
    Kernel {
        /// Which of them.
        scheme: Scheme,
        /// As the kernel takes it.
        address: Box<SockAddr>,
    },
}

/// A SOCKS5 proxy as the options describe it.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// `HOST:PORT` as typed.
    pub address: String,
    /// Empty: do not log in.
    pub username: Vec<u8>,
    /// May be empty.
    pub password: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Proxy {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("address", &self.address).finish_non_exhaustive()
    }
}

/// A connect that was begun.
#[derive(Debug)]
pub struct Started {
    /// The connection, perhaps not yet established.
    pub stream: Stream,
    /// Wait until the descriptor is writable, then call [`Dial::finish`]. If not set, the
    /// connection is established and complete.
    pub pending: bool,
}

/// Why an attempt failed at once.
#[derive(Debug)]
pub struct StartError {
    /// The reason.
    pub error: io::Error,
    /// The descriptor that was open when it failed, now closed: the value of a CLOSED event.
    pub opened_fd: Option<RawFd>,
}

/// Checks the text after `://`, resolving nothing but the hosts of WebSocket, which may block.
pub fn parse_connect(scheme: Scheme, text: &str, options: &Options) -> Result<Dial, Error> {
    match scheme {
        Scheme::Tcp => {
            let (source, host, port) = address::parse_connect(text)?;
            Ok(Dial::Tcp {
                source: source.map(Box::from),
                host: host.into(),
                port,
                proxy: Proxy::of(options),
            })
        }
        Scheme::Ipc => {
            ipc::socket_address(text)?;
            Ok(Dial::Ipc { path: text.into() })
        }
        Scheme::Ws | Scheme::Wss => {
            let (host, port, path) = ws::parse_connect(text)?;
            let tls = (scheme == Scheme::Wss)
                .then(|| tls::Client::of(options, host))
                .transpose()?
                .map(Box::new);
            let dial = Dial::Ws { host: host.into(), port, path: path.into(), tls };
            // Here a name nobody knows is the caller's mistake, and not something to wait for.
            dial.resolve(options).map_err(|_| Error::Invalid)?;
            Ok(dial)
        }
        Scheme::Tipc => {
            let address = Box::new(tipc::parse_connect(text)?);
            Ok(Dial::Kernel { scheme, address })
        }
        Scheme::Vsock | Scheme::Vmci => {
            let address = Box::new(vsock::parse(text)?);
            Ok(Dial::Kernel { scheme, address })
        }
        _ => Err(Error::NotSupported),
    }
}

/// The endpoints under which unbind and disconnect look an address up, best first: the text
/// itself, then for tcp what it means as an address to connect to and as one to bind to.
///
/// Names are resolved, which may block: try the text itself before calling this.
pub fn canonical(scheme: Scheme, text: &str, options: &Options) -> Vec<String> {
    let mut candidates = vec![full_text(scheme, text)];
    if scheme != Scheme::Tcp {
        return candidates;
    }
    let Ok((_, host, port)) = address::parse_connect(text) else {
        return candidates;
    };
    let ipv6 = tcp::wants_ipv6(options);
    // What cannot be connected to (a wildcard, an interface) is found by its resolved text only.
    let Ok(remote) = address::resolve_remote(host, port, ipv6) else {
        return candidates;
    };
    candidates.extend(remote.first().map(address::endpoint_text));
    let local = address::resolve_local(text, ipv6, Names::WithDns);
    candidates.extend(local.ok().as_ref().map(address::endpoint_text));
    candidates.dedup();
    candidates
}

/// The endpoint that `text` stands for, with everything in it that may be left out.
pub fn full_text(scheme: Scheme, text: &str) -> String {
    match scheme {
        Scheme::Ws | Scheme::Wss => format!("{}://{}", scheme.text(), ws::with_path(text)),
        _ => format!("{}://{text}", scheme.text()),
    }
}

impl Dial {
    /// The addresses to try, the proxy's where there is one. Asks the name service: may block.
    pub fn resolve(&self, options: &Options) -> io::Result<Vec<SockAddr>> {
        match self.resolve_now(options) {
            Some(result) => result,
            None => {
                let (host, port) = self.target()?;
                let found = address::resolve_remote(host, port, tcp::wants_ipv6(options))?;
                Ok(found.into_iter().map(SockAddr::from).collect())
            }
        }
    }

    /// As [`Dial::resolve`] where that needs no name service; `None` means it might block.
    pub fn resolve_now(&self, options: &Options) -> Option<io::Result<Vec<SockAddr>>> {
        if let Dial::Ipc { path } = self {
            let address = ipc::socket_address(path).map_err(|error| os_error(error.errno()));
            return Some(address.map(|address| vec![address]));
        }
        if let Dial::Kernel { address, .. } = self {
            return Some(Ok(vec![(**address).clone()]));
        }
        match self.target() {
            Ok((host, port)) => {
                let found = address::resolve_numeric(host, port, tcp::wants_ipv6(options))?;
                Some(found.map(|found| found.into_iter().map(SockAddr::from).collect()))
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// Begins a connect to one of the resolved addresses.
    pub fn start(&self, address: &SockAddr, options: &Options) -> Result<Started, StartError> {
        let remote = address.as_socket();
        let opened = match (self, &remote) {
            (_, Some(remote)) => tcp::open(remote),
            (Dial::Kernel { scheme: Scheme::Tipc, .. }, None) => tipc::open(),
            (Dial::Kernel { .. }, None) => vsock::open(),
            (_, None) => ipc::open(),
        };
        let socket = opened.map_err(|error| StartError { error, opened_fd: None })?;
        let opened_fd = Some(socket.as_raw_fd());
        let pending = self
            .attempt(&socket, address, remote.as_ref(), options)
            .map_err(|error| StartError { error, opened_fd })?;
        let stream = self.stream(socket).map_err(|error| StartError { error, opened_fd })?;
        Ok(Started { stream, pending })
    }

    fn stream(&self, socket: Socket) -> io::Result<Stream> {
        Ok(match self {
            Dial::Tcp { .. } => Stream::Tcp(TcpStream::from(socket)),
            Dial::Ipc { .. } => Stream::Ipc(UnixStream::from(OwnedFd::from(socket))),
            Dial::Ws { tls: None, .. } => Stream::Ws(TcpStream::from(socket)),
            Dial::Ws { tls: Some(tls), .. } => {
                Stream::Wss(Box::new(tls.connect(TcpStream::from(socket))?))
            }
            Dial::Kernel { scheme, .. } => Stream::Kernel(socket, *scheme),
        })
    }

    /// Whether a pending connect has come to its end already: within a machine that takes no longer than the call.
    pub fn is_over(stream: &Stream) -> bool {
        let mut fds = [PollFd::new(stream.as_raw_fd(), libc::POLLOUT)];
        sys::poll(&mut fds, Some(Duration::ZERO)) == Ok(1)
    }

    /// Ends a pending connect once the descriptor is writable.
    pub fn finish(&self, stream: &Stream, options: &Options) -> io::Result<()> {
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        if stream.tcp().is_some() {
            self.tune(&stream.socket(), options);
        }
        Ok(())
    }

    /// The dialogue to hold with the proxy before the connection is the peer's.
    pub fn socks(&self) -> Option<Socks> {
        match self {
            Dial::Tcp { host, port, proxy: Some(proxy), .. } => Some(Socks::new(
                address::strip_brackets(host),
                *port,
                &proxy.username,
                &proxy.password,
            )),
            _ => None,
        }
    }

    /// The remote address that monitors show when it is not the endpoint as given: the proxy's.
    pub fn proxy_endpoint(&self) -> Option<String> {
        match self {
            Dial::Tcp { proxy: Some(proxy), .. } => Some(format!("tcp://{}", proxy.address)),
            _ => None,
        }
    }

    /// Whether CONNECT_TIMEOUT limits an attempt.
    pub fn has_connect_timeout(&self) -> bool {
        matches!(self, Dial::Tcp { proxy: None, .. } | Dial::Ws { .. })
    }

    /// Host and path to ask for where the connection is to become a WebSocket. The port is told as well
    /// unless it is the scheme's own (RFC 6455, section 4.1).
    pub fn request(&self) -> Option<(String, String)> {
        let Dial::Ws { host, port, path, tls } = self else { return None };
        let usual = if tls.is_some() { 443 } else { 80 };
        let host = if *port == usual { host.to_string() } else { format!("{host}:{port}") };
        Some((host, path.to_string()))
    }

    /// Host and port to open a connection to.
    fn target(&self) -> io::Result<(&str, u16)> {
        match self {
            Dial::Tcp { proxy: Some(proxy), .. } => {
                let (_, host, port) = address::parse_connect(&proxy.address)
                    .map_err(|error| os_error(error.errno()))?;
                Ok((host, port))
            }
            Dial::Tcp { host, port, .. } | Dial::Ws { host, port, .. } => Ok((host, *port)),
            Dial::Ipc { .. } | Dial::Kernel { .. } => Err(os_error(libc::EAFNOSUPPORT)),
        }
    }

    /// Sets the options, binds the source and connects; true: the kernel is still at it.
    fn attempt(
        &self,
        socket: &Socket,
        address: &SockAddr,
        remote: Option<&SocketAddr>,
        options: &Options,
    ) -> io::Result<bool> {
        if let Some(remote) = remote {
            tcp::prepare(socket, remote.is_ipv6(), options)?;
            if let Dial::Tcp { source: Some(source), .. } = self {
                let local = address::resolve_local(source, remote.is_ipv6(), Names::LocalOnly)
                    .map_err(|error| os_error(error.errno()))?;
                socket.set_reuse_address(true)?;
                socket.bind(&SockAddr::from(local))?;
            }
        }
        match socket.connect(address) {
            Ok(()) => {
                if remote.is_some() {
                    self.tune(&SockRef::from(socket), options);
                }
                Ok(false)
            }
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(true),
            // Interrupted or not, the kernel goes on connecting.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn tune(&self, socket: &SockRef<'_>, options: &Options) {
        let tuning = match self {
            Dial::Ws { .. } => Tuning::of(options).without_keepalive(),
            _ => Tuning::of(options),
        };
        tuning.apply_connected(socket);
        if !matches!(self, Dial::Tcp { proxy: Some(_), .. }) {
            tuning.limit_retransmit(socket);
        }
    }
}

impl Proxy {
    fn of(options: &Options) -> Option<Box<Proxy>> {
        if options.socks_proxy.is_empty() {
            return None;
        }
        // C programs may have counted the terminating NUL.
        let address =
            String::from_utf8_lossy(&options.socks_proxy).trim_end_matches('\0').to_owned();
        Some(Box::new(Proxy {
            address,
            username: options.socks_username.clone(),
            password: options.socks_password.clone(),
        }))
    }
}

impl Stream {
    /// Our end as monitors show it: `tcp://ip:port`, or `ipc://` and the path if there is one.
    pub fn local_name(&self) -> String {
        self.name(self.socket().local_addr())
    }

    /// The peer's end as monitors show it; empty when it is already gone.
    pub fn peer_name(&self) -> String {
        self.name(self.socket().peer_addr())
    }

    fn name(&self, address: io::Result<SockAddr>) -> String {
        match address {
            Ok(address) => match address.as_socket() {
                Some(ip) => format!("{}://{}", self.scheme().text(), address::authority(&ip)),
                None if self.scheme() == Scheme::Ipc => ipc::endpoint_text(&address),
                None => kernel_endpoint(self.scheme(), &address),
            },
            Err(_) => String::new(),
        }
    }

    /// The `Peer-Address` of messages: numeric IP without port, or `localhost:UID:GID:PID`.
    pub fn peer_address(&self) -> Option<String> {
        match self {
            Stream::Ipc(stream) => ipc::peer_address(stream),
            _ => self.tcp()?.peer_addr().ok().as_ref().map(address::ip_text),
        }
    }

    /// Whether the kernel has joined a TCP connection to itself, which happens when a connect to
    /// a free local port picks that very port as its own.
    pub fn is_self_connection(&self) -> bool {
        let ends = self.tcp().map(|stream| (stream.local_addr(), stream.peer_addr()));
        matches!(ends, Some((Ok(local), Ok(peer))) if local == peer)
    }
}
