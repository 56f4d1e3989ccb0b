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
pub use socks::{Progress, Socks, SocksError};
pub use stream::Stream;
pub use udp::Datagrams;
pub use vsock::has_vmci;

use socket2::SockAddr;

use crate::base::Error;
use crate::options::SocketType;
use crate::sys::norm::norm;

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

/// What this build makes of a scheme.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Support {
    /// Works.
    Built,
    /// Answers like an unknown scheme.
    Absent,
}

/// One row per scheme: its text and what this build makes of it.
const SCHEMES: [(&str, Scheme, Support); 12] = [
    ("tcp", Scheme::Tcp, Support::Built),
    ("ipc", Scheme::Ipc, Support::Built),
    ("inproc", Scheme::Inproc, Support::Built),
    ("udp", Scheme::Udp, Support::Built),
    ("tipc", Scheme::Tipc, Support::Built),
    ("ws", Scheme::Ws, Support::Built),
    ("wss", Scheme::Wss, Support::Built),
    ("vsock", Scheme::Vsock, Support::Built),
    ("pgm", Scheme::Pgm, Support::Absent),
    ("epgm", Scheme::Epgm, Support::Absent),
    ("norm", Scheme::Norm, Support::Built),
    ("vmci", Scheme::Vmci, Support::Built),
];

/// The scheme a protocol text names; case matters. Unknown and absent ones: EPROTONOSUPPORT.
pub fn scheme_of(protocol: &str) -> Result<Scheme, Error> {
    SCHEMES
        .iter()
        .find(|(text, _, support)| *text == protocol && *support != Support::Absent)
        .map(|(_, scheme, _)| *scheme)
        .filter(|scheme| match scheme {
            Scheme::Vmci => has_vmci(),
            Scheme::Norm => norm().is_some(),
            _ => true,
        })
        .ok_or(Error::ProtoNotSupported)
}

/// Whether a socket type may use a scheme in a direction (ENOCOMPATPROTO if not), and whether the
/// scheme is built (EPROTONOSUPPORT if not). To be called for every bind and connect.
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
    if !fits {
        return Err(Error::NoCompatProto);
    }
    match scheme.support() {
        Support::Built => Ok(()),
        Support::Absent => Err(Error::ProtoNotSupported),
    }
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
        SCHEMES.iter().find(|(_, scheme, _)| *scheme == self).map_or("", |(text, _, _)| text)
    }

    fn support(self) -> Support {
        SCHEMES
            .iter()
            .find(|(_, scheme, _)| *scheme == self)
            .map_or(Support::Absent, |(_, _, support)| *support)
    }
}
