//! TIPC: services of a cluster by number, and single sockets by node and reference (zmq_tipc(7)).

use std::io;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::base::Error;
use crate::sys::{tipc_address, tipc_parts};

/// Kinds of addresses, and how far a name is known.
const SERVICE_RANGE: u8 = 1;
const SERVICE: u8 = 2;
const SOCKET: u8 = 3;
const CLUSTER_SCOPE: i8 = 2;

/// What the text after `tipc://` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parsed {
    /// `{type,instance}` or `{type,lower,upper}`, and `@z.c.n`.
    Service { kind: u32, first: u32, last: Option<u32>, node: Option<u32> },
    /// `<z.c.n:reference>`.
    Socket { node: u32, reference: u32 },
    /// `<*>`.
    Any,
}

/// The address to bind to; None: the one that every socket has by itself.
pub(super) fn parse_bind(text: &str) -> Result<Option<SockAddr>, Error> {
    match parse(text) {
        Some(Parsed::Any) => Ok(None),
        Some(Parsed::Service { kind, first, last, .. }) if first <= last.unwrap_or(first) => {
            let words = [kind, first, last.unwrap_or(first)];
            Ok(Some(tipc_address(SERVICE_RANGE, CLUSTER_SCOPE, words)))
        }
        Some(Parsed::Service { .. } | Parsed::Socket { .. }) | None => Err(Error::Invalid),
    }
}

/// The address to connect to.
pub(super) fn parse_connect(text: &str) -> Result<SockAddr, Error> {
    match parse(text) {
        // The third number is where to look, as LAST_ENDPOINT of the genuine library writes it.
        Some(Parsed::Service { kind, first, last, node }) => {
            Ok(tipc_address(SERVICE, 0, [kind, first, node.or(last).unwrap_or(0)]))
        }
        Some(Parsed::Socket { node, reference }) => {
            Ok(tipc_address(SOCKET, 0, [reference, node, 0]))
        }
        Some(Parsed::Any) | None => Err(Error::Invalid),
    }
}

/// A new non-blocking stream socket. EAFNOSUPPORT where the kernel has no TIPC.
pub(super) fn open() -> io::Result<Socket> {
    Socket::new(Domain::from(libc::AF_TIPC), Type::STREAM.nonblocking(), None)
}

/// `tipc://<z.c.n:reference>` for the address of a socket.
pub(super) fn endpoint_text(address: &SockAddr) -> String {
    match tipc_parts(address) {
        Some((SOCKET, [reference, node, _])) => {
            format!("tipc://<{}.{}.{}:{reference}>", node >> 24, node >> 12 & 0xFFF, node & 0xFFF)
        }
        _ => String::new(),
    }
}

fn parse(text: &str) -> Option<Parsed> {
    if text == "<*>" {
        return Some(Parsed::Any);
    }
    if let Some(inner) = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) {
        let (node_text, reference) = inner.split_once(':')?;
        return Some(Parsed::Socket { node: node(node_text)?, reference: number(reference)? });
    }
    let (inner, rest) = text.strip_prefix('{')?.split_once('}')?;
    let node = match rest.strip_prefix('@') {
        Some(text) => Some(node(text)?),
        None if rest.is_empty() => None,
        None => return None,
    };
    let mut numbers = inner.split(',').map(|part| number(part.trim_matches(' ')));
    let (kind, first) = (numbers.next()??, numbers.next()??);
    let last = match numbers.next() {
        Some(last) => Some(last?),
        None => None,
    };
    numbers.next().is_none().then_some(Parsed::Service { kind, first, last, node })
}

/// `zone.cluster.node`: eight, twelve and twelve bits.
fn node(text: &str) -> Option<u32> {
    let mut parts = text.split('.').map(number);
    let (zone, cluster, node) = (parts.next()??, parts.next()??, parts.next()??);
    let fits = zone <= 0xFF && cluster <= 0xFFF && node <= 0xFFF && parts.next().is_none();
    fits.then_some(zone << 24 | cluster << 12 | node)
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_to_bind_to() {
        let bound = |text| parse_bind(text).map(|address| address.and_then(|a| tipc_parts(&a)));
        assert_eq!(bound("{5560,0,0}"), Ok(Some((SERVICE_RANGE, [5560, 0, 0]))));
        assert_eq!(bound("{5560, 3, 7}"), Ok(Some((SERVICE_RANGE, [5560, 3, 7]))));
        assert_eq!(bound("{5560,4}"), Ok(Some((SERVICE_RANGE, [5560, 4, 4]))));
        assert_eq!(bound("<*>"), Ok(None));
        for text in [
            "",
            "x",
            "*",
            "{5560}",
            "{1,2,3,4}",
            "{a,b}",
            "{-1,0}",
            "{+1,0}",
            "{1,2",
            "1,2}",
            "{,}",
            "{1,2}x",
            "{4294967296,0}",
            "{1,7,3}",
            "<1.2.3:123>",
            "{1,2}@1.1",
            "{ 1,2}@",
        ] {
            assert_eq!(bound(text), Err(Error::Invalid), "{text}");
        }
    }

    #[test]
    fn addresses_to_connect_to() {
        let peer = |text| parse_connect(text).map(|address| tipc_parts(&address));
        assert_eq!(peer("{5560,50}"), Ok(Some((SERVICE, [5560, 50, 0]))));
        assert_eq!(peer("{5560,0}@0.0.0"), Ok(Some((SERVICE, [5560, 0, 0]))));
        assert_eq!(peer("{5560,0}@1.2.3"), Ok(Some((SERVICE, [5560, 0, 0x0100_2003]))));
        assert_eq!(peer("{5560, 0, 16785411}"), Ok(Some((SERVICE, [5560, 0, 0x0100_2003]))));
        assert_eq!(peer("<1.2.3:123>"), Ok(Some((SOCKET, [123, 0x0100_2003, 0]))));
        for text in [
            "<*>",
            "x",
            "{5560}",
            "{5560,0}@",
            "{5560,0}@1.2",
            "{1,2}@256.0.0",
            "<1.2.3>",
            "<1.4096.3:1>",
            "<1.2.3:x>",
            "<1.2.3.4:1>",
        ] {
            assert_eq!(peer(text), Err(Error::Invalid), "{text}");
        }
    }

    #[test]
    fn the_address_of_a_socket_can_be_connected_to() {
        let address = tipc_address(SOCKET, 0, [4711, 0x0100_2003, 0]);
        let text = endpoint_text(&address);
        assert_eq!(text, "tipc://<1.2.3:4711>");
        assert_eq!(parse_connect("<1.2.3:4711>").unwrap(), address);
        assert_eq!(endpoint_text(&tipc_address(SERVICE, 0, [1, 2, 3])), "");
    }
}
