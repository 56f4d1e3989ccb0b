//! Transports: which schemes exist, how their addresses are written, and the streams they give.
//!
//! Everything here works on addresses and descriptors alone. No ZMTP, no timers, no reconnect
//! policy and no callbacks upward: those belong to `conn`.
#![deny(unsafe_code)]

mod address;
mod dial;
mod ipc;
mod listen;
mod norm;
mod pem;
mod pgm;
mod socks;
mod stream;
mod tcp;
mod tipc;
mod tls;
mod trust;
mod udp;
mod vsock;
mod ws;

#[cfg(test)]
mod tests;

pub use dial::{Dial, Proxy, StartError, Started, canonical, full_text, parse_connect};
pub use listen::{AcceptError, Accepted, ListenError, Listener};
pub use norm::{Part, open_norm};
pub use pgm::open_pgm;
pub use socks::{Progress, Socks, SocksError};
pub use stream::Stream;
pub use udp::Datagrams;
pub use vsock::has_vmci;

use socket2::SockAddr;

use crate::base::Error;
use crate::options::SocketType;
use crate::sys::norm::norm;
use crate::sys::pgm::pgm;

/// The part of an endpoint before `://`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// TCP over IPv4 or IPv6.
    Tcp,
    /// Unix domain stream sockets, by path or abstract name.
    Ipc,
    /// Within one context, without any descriptor.
    Inproc,
    /// Datagrams.
    Udp,
    /// The cluster protocol of the Linux kernel.
    Tipc,
    /// Between a virtual machine and its host.
    Vsock,
    /// WebSocket.
    Ws,
    /// WebSocket over TLS.
    Wss,
    /// Reliable multicast straight over IP.
    Pgm,
    /// Reliable multicast encapsulated in UDP.
    Epgm,
    /// NACK-oriented reliable multicast.
    Norm,
    /// VMware's inter-machine sockets.
    Vmci,
}

/// Which side of an endpoint a call wants to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Waits for peers.
    Bind,
    /// Goes to a peer.
    Connect,
}

/// One row per scheme.
const SCHEMES: [(&str, Scheme); 12] = [
    ("tcp", Scheme::Tcp),
    ("ipc", Scheme::Ipc),
    ("inproc", Scheme::Inproc),
    ("udp", Scheme::Udp),
    ("tipc", Scheme::Tipc),
    ("ws", Scheme::Ws),
    ("wss", Scheme::Wss),
    ("vsock", Scheme::Vsock),
    ("pgm", Scheme::Pgm),
    ("epgm", Scheme::Epgm),
    ("norm", Scheme::Norm),
    ("vmci", Scheme::Vmci),
];

/// The scheme a protocol text names; case matters. EPROTONOSUPPORT for unknown ones and those for which the machine
/// has no library or driver.
pub fn scheme_of(protocol: &str) -> Result<Scheme, Error> {
    SCHEMES
        .iter()
        .find(|(text, _)| *text == protocol)
        .map(|(_, scheme)| *scheme)
        .filter(|scheme| match scheme {
            Scheme::Vmci => has_vmci(),
            Scheme::Norm => norm().is_some(),
            Scheme::Pgm | Scheme::Epgm => pgm().is_some(),
            _ => true,
        })
        .ok_or(Error::ProtoNotSupported)
}

/// Whether a socket type may use a scheme in a direction (ENOCOMPATPROTO if not). To be called for every
/// bind and connect.
pub fn check(scheme: Scheme, socket_type: SocketType, direction: Direction) -> Result<(), Error> {
    let fits = match scheme {
        Scheme::Udp => matches!(
            (socket_type, direction),
            (SocketType::Dish | SocketType::Dgram, Direction::Bind)
                | (SocketType::Radio, Direction::Connect)
        ),
        // There is nothing of a stream of bytes left to be seen there.
        Scheme::Ws | Scheme::Wss => socket_type != SocketType::Stream,
        Scheme::Pgm | Scheme::Epgm | Scheme::Norm => matches!(
            socket_type,
            SocketType::Pub | SocketType::Sub | SocketType::XPub | SocketType::XSub
        ),
        _ => true,
    };
    if fits { Ok(()) } else { Err(Error::NoCompatProto) }
}

/// The endpoint text of an address of tipc, vsock or vmci.
fn kernel_endpoint(scheme: Scheme, address: &SockAddr) -> String {
    match scheme {
        Scheme::Tipc => tipc::endpoint_text(address),
        _ => vsock::endpoint_text(scheme, address),
    }
}

impl Scheme {
    /// Whether it has groups that sockets send to or hear, rather than peers.
    pub fn is_multicast(self) -> bool {
        matches!(self, Scheme::Pgm | Scheme::Epgm | Scheme::Norm)
    }

    /// The text of this scheme in an endpoint.
    pub fn text(self) -> &'static str {
        SCHEMES.iter().find(|(_, scheme)| *scheme == self).map_or("", |(text, _)| text)
    }
}
