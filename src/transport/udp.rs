//! Datagram sockets: their addresses, `HOST:PORT` or `INTERFACE;GROUP:PORT`, and what the kernel has to
//! know about multicast.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use nix::net::if_::if_nametoindex;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::address::{self, Names};
use super::tcp;
use crate::base::Error;
use crate::options::Options;

/// A datagram socket: non-blocking, close-on-exec, never connected in the kernel's sense.
#[derive(Debug)]
pub struct Datagrams {
    socket: UdpSocket,
    is_ipv6: bool,
    /// Where everything goes, where that is fixed.
    target: Option<SocketAddr>,
    endpoint: String,
}

/// What an address text means.
#[derive(Debug, PartialEq, Eq)]
struct Meaning {
    address: SocketAddr,
    interface: Interface,
}

/// Where multicast comes from or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interface {
    /// The kernel chooses.
    Any,
    V4(Ipv4Addr),
    V6(u32),
}

impl Meaning {
    /// What to bind to. For multicast that is the group itself where it can be: what is sent to others at
    /// this port is not ours.
    fn bound(&self) -> SocketAddr {
        let (SocketAddr::V6(mut address), true) = (self.address, self.address.ip().is_multicast())
        else {
            return self.address;
        };
        if let Interface::V6(index) = self.interface
            && address.scope_id() == 0
        {
            address.set_scope_id(index);
        }
        /// Groups within a link and within this machine need to know on which interface.
        const LINK_LOCAL: u16 = 2;
        let reach = address.ip().segments()[0] & 0xf;
        if reach <= LINK_LOCAL && address.scope_id() == 0 {
            return SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), address.port());
        }
        address.into()
    }
}

impl Datagrams {
    /// Takes what comes in at the text after `://`. Names are resolved, which may block.
    pub fn bind(text: &str, options: &Options) -> Result<Datagrams, Error> {
        let ipv6 = tcp::wants_ipv6(options);
        let meaning =
            read(text, ipv6, |target| address::resolve_local(target, ipv6, Names::WithDns))?;
        let address = meaning.address;
        let multicast = address.ip().is_multicast();
        let socket = open(&meaning, options)?;
        socket.set_reuse_address(true)?;
        if multicast {
            socket.set_reuse_port(true)?;
        } else if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.bind(&SockAddr::from(meaning.bound()))?;
        match (address.ip(), meaning.interface) {
            (IpAddr::V4(group), Interface::V4(at)) if multicast => {
                socket.join_multicast_v4(&group, &at)?;
            }
            (IpAddr::V4(group), _) if multicast => {
                socket.join_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED)?;
            }
            (IpAddr::V6(group), Interface::V6(index)) if multicast => {
                socket.join_multicast_v6(&group, index)?;
            }
            (IpAddr::V6(group), _) if multicast => socket.join_multicast_v6(&group, 0)?,
            _ => {}
        }
        let port = socket.local_addr()?.as_socket().map_or(0, |bound| bound.port());
        // Everything but the port stays as it was typed.
        let (before, _) = text.rsplit_once(':').ok_or(Error::Invalid)?;
        let endpoint = format!("udp://{before}:{port}");
        let is_ipv6 = address.is_ipv6();
        Ok(Datagrams { socket: socket.into(), is_ipv6, target: None, endpoint })
    }

    /// Sends everything to the text after `://`. Names are resolved, which may block.
    pub fn connect(text: &str, options: &Options) -> Result<Datagrams, Error> {
        let ipv6 = tcp::wants_ipv6(options);
        let meaning = read(text, ipv6, |target| resolve_remote(target, ipv6))?;
        let socket = open(&meaning, options)?;
        let address = meaning.address;
        let (is_ipv6, endpoint) = (address.is_ipv6(), format!("udp://{text}"));
        Ok(Datagrams { socket: socket.into(), is_ipv6, target: Some(address), endpoint })
    }

    /// The endpoint as LAST_ENDPOINT shows it: with the port that a wildcard got.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Sends to where it is connected.
    pub fn send(&self, datagram: &[u8]) -> io::Result<()> {
        match self.target {
            Some(target) => self.socket.send_to(datagram, target).map(drop),
            None => Err(ErrorKind::NotConnected.into()),
        }
    }

    /// Sends to an address. One of another family than the socket's cannot be reached.
    pub fn send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        let to = match to.ip() {
            IpAddr::V4(ip) if self.is_ipv6 => {
                SocketAddr::new(ip.to_ipv6_mapped().into(), to.port())
            }
            _ => to,
        };
        self.socket.send_to(datagram, to).map(drop)
    }

    /// Takes one datagram, cut to the size of `buffer`: its size, and who sent it.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (size, from) = self.socket.recv_from(buffer)?;
        Ok((size, SocketAddr::new(from.ip().to_canonical(), from.port())))
    }
}

impl AsFd for Datagrams {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Reads `HOST:PORT`, by `resolve`, or `INTERFACE;GROUP:PORT`. An interface without a group, and one of
/// another family, is EINVAL; one that does not exist ENODEV.
fn read(
    text: &str,
    ipv6: bool,
    resolve: impl FnOnce(&str) -> Result<SocketAddr, Error>,
) -> Result<Meaning, Error> {
    let Some((interface, target)) = text.split_once(';') else {
        let address = unmapped(resolve(text)?);
        return Ok(Meaning { address, interface: Interface::Any });
    };
    let interface = read_interface(interface, ipv6)?;
    let address = resolve(target)?;
    let fits = match (address, interface) {
        // A mapped address is of the wrong family here, as everywhere where interfaces count.
        (SocketAddr::V4(_), Interface::V4(_)) => !ipv6,
        (SocketAddr::V6(v6), Interface::V6(_)) => v6.ip().to_ipv4_mapped().is_none(),
        _ => false,
    };
    if !fits || !address.ip().is_multicast() {
        return Err(Error::Invalid);
    }
    Ok(Meaning { address, interface })
}

fn read_interface(text: &str, ipv6: bool) -> Result<Interface, Error> {
    if ipv6 {
        // IPv6 knows interfaces by number, which an address has not.
        return match text {
            "*" => Ok(Interface::V6(0)),
            v4 if v4.parse::<Ipv4Addr>().is_ok() => Err(Error::Invalid),
            name => if_nametoindex(name).map(Interface::V6).map_err(|_| Error::NoDevice),
        };
    }
    let local = address::resolve_local(&format!("{text}:0"), false, Names::LocalOnly)?;
    match local.ip() {
        IpAddr::V4(ip) if ip.is_multicast() => Err(Error::Invalid),
        IpAddr::V4(ip) => Ok(Interface::V4(ip)),
        IpAddr::V6(_) => Err(Error::NoDevice),
    }
}

/// Host and port to send to; EINVAL for whatever does not name one.
fn resolve_remote(text: &str, ipv6: bool) -> Result<SocketAddr, Error> {
    let (host, port) = text.rsplit_once(':').ok_or(Error::Invalid)?;
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let port = port.parse().ok().filter(|_| digits && host != "*").ok_or(Error::Invalid)?;
    let found = address::resolve_remote(host, port, ipv6).map_err(|_| Error::Invalid)?;
    found.into_iter().next().ok_or(Error::Invalid)
}

/// An IPv4 address as itself, which multicast needs.
fn unmapped(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

/// A socket of the family, that sends multicast as the options have it.
fn open(meaning: &Meaning, options: &Options) -> io::Result<Socket> {
    let domain = Domain::for_address(meaning.address);
    let socket = Socket::new(domain, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    if !options.bind_to_device.is_empty() {
        socket.bind_device(Some(&options.bind_to_device))?;
    }
    let hops = u32::try_from(options.multicast_hops).unwrap_or(1).min(255);
    if meaning.address.is_ipv6() {
        socket.set_multicast_hops_v6(hops)?;
        socket.set_multicast_loop_v6(options.multicast_loop)?;
    } else {
        socket.set_multicast_ttl_v4(hops)?;
        socket.set_multicast_loop_v4(options.multicast_loop)?;
    }
    match meaning.interface {
        Interface::Any => {}
        Interface::V4(at) => socket.set_multicast_if_v4(&at)?,
        Interface::V6(index) => socket.set_multicast_if_v6(index)?,
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::constants as c;
    use crate::options::{ContextDefaults, SocketType};
    use crate::sys::{PollFd, poll};
    use std::os::fd::AsRawFd;
    use std::time::Duration;

    fn options(ipv6: bool) -> Options {
        let context = ContextDefaults { ipv6, blocky: true, zero_copy_recv: true };
        Options::new(SocketType::Dish, context)
    }

    fn bind_error(text: &str, ipv6: bool) -> Option<Error> {
        Datagrams::bind(text, &options(ipv6)).err()
    }

    fn connect_error(text: &str, ipv6: bool) -> Option<Error> {
        Datagrams::connect(text, &options(ipv6)).err()
    }

    #[test]
    fn what_may_be_bound() {
        for text in ["*:*", "127.0.0.1:*", "127.0.0.1:0", "lo:*", "localhost:*"] {
            let bound = Datagrams::bind(text, &options(false)).expect(text);
            let (before, port) = bound.endpoint().rsplit_once(':').expect("a port");
            assert!(port.parse::<u16>().is_ok_and(|port| port > 0), "{port}");
            assert_eq!(before.strip_prefix("udp://"), text.rsplit_once(':').map(|(host, _)| host));
        }
        for text in [
            "lo;127.0.0.1:*",
            "239.0.0.2;239.0.0.1:*",
            "127.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:abc",
            "127.0.0.1:70000",
            "127.0.0.1:5599x",
        ] {
            assert_eq!(bind_error(text, false), Some(Error::Invalid), "{text}");
        }
        for text in ["[::1]:*", "nosuch:*", "300.1.1.1:5", ":*", "nosuch;239.0.0.1:*"] {
            assert_eq!(bind_error(text, false), Some(Error::NoDevice), "{text}");
        }
        assert_eq!(bind_error("1.2.3.4:*", false), Some(Error::Os(libc::EADDRNOTAVAIL)));
    }

    #[test]
    fn where_may_be_sent() {
        for text in ["127.0.0.1:5599", "localhost:5599", "239.0.0.1:5599", "lo;239.0.0.1:5599"] {
            let sender = Datagrams::connect(text, &options(false)).expect(text);
            assert_eq!(sender.endpoint(), format!("udp://{text}"));
        }
        for text in [
            "*:5599",
            "127.0.0.1:*",
            "lo;127.0.0.1:5599",
            "239.0.0.2;239.0.0.1:5599",
            "[::1]:5599",
            "127.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:abc",
            "127.0.0.1:70000",
            "300.1.1.1:5",
            ":5599",
        ] {
            assert_eq!(connect_error(text, false), Some(Error::Invalid), "{text}");
        }
        assert_eq!(connect_error("nosuch;239.0.0.1:5599", false), Some(Error::NoDevice));
    }

    #[test]
    fn interfaces_of_the_other_family_are_refused() {
        for text in [
            "lo;239.0.0.1:5599",
            "*;239.0.0.1:5599",
            "127.0.0.1;239.0.0.1:5599",
            "lo;127.0.0.1:5599",
        ] {
            assert_eq!(connect_error(text, true), Some(Error::Invalid), "{text}");
        }
        assert_eq!(connect_error("[::1];[ff02::1]:5599", true), Some(Error::NoDevice));
        assert_eq!(connect_error("lo;[ff02::1]:5599", false), Some(Error::Invalid));
    }

    #[test]
    fn datagrams_go_there_and_back() {
        let here = Datagrams::bind("127.0.0.1:*", &options(false)).expect("loopback");
        let there = here.endpoint().strip_prefix("udp://").expect("udp").to_owned();
        let sender = Datagrams::connect(&there, &options(false)).expect("loopback");
        let arrives = |at: &Datagrams| {
            let mut fds = [PollFd::new(at.as_fd().as_raw_fd(), libc::POLLIN)];
            assert_eq!(poll(&mut fds, Some(Duration::from_secs(5))), Ok(1));
        };
        sender.send(b"there").expect("sent");
        arrives(&here);
        let mut buffer = [0; 16];
        let (size, from) = here.receive(&mut buffer).expect("arrived");
        assert_eq!(&buffer[..size], b"there");
        here.send_to(b"and back", from).expect("sent");
        arrives(&sender);
        let (size, _) = sender.receive(&mut buffer).expect("arrived");
        assert_eq!(&buffer[..size], b"and back");
        assert!(here.send(b"nowhere").is_err());
        assert!(here.send_to(b"wrong family", "[::1]:9".parse().expect("address")).is_err());
        assert_eq!(here.receive(&mut buffer).map_err(|e| e.kind()), Err(ErrorKind::WouldBlock));
    }

    #[test]
    fn a_group_is_bound_where_its_interface_is_known() {
        let bound = |text: &str| {
            read(text, true, |target| address::resolve_local(target, true, Names::LocalOnly))
                .map(|meaning| meaning.bound().ip().to_string())
        };
        assert_eq!(bound("[ff05::1]:5599"), Ok("ff05::1".into()));
        assert_eq!(bound("[ff02::1]:5599"), Ok("::".into()));
        assert_eq!(bound("lo;[ff02::1]:5599"), Ok("ff02::1".into()));
        assert_eq!(bound("[ff02::1%lo]:5599"), Ok("ff02::1".into()));
        assert_eq!(bound("239.0.0.1:5599"), Ok("239.0.0.1".into()));
        assert_eq!(bound("[::1]:5599"), Ok("::1".into()));
    }

    #[test]
    fn multicast_options_reach_the_kernel() {
        let mut options = options(false);
        options.set(c::ZMQ_MULTICAST_HOPS, Some(&7i32.to_ne_bytes())).expect("valid");
        options.set(c::ZMQ_MULTICAST_LOOP, Some(&0i32.to_ne_bytes())).expect("valid");
        let sender = Datagrams::connect("127.0.0.1;239.0.0.1:5599", &options).expect("loopback");
        let socket = socket2::SockRef::from(&sender);
        assert_eq!(socket.multicast_ttl_v4().ok(), Some(7));
        assert_eq!(socket.multicast_loop_v4().ok(), Some(false));
        assert_eq!(socket.multicast_if_v4().ok(), Some(Ipv4Addr::LOCALHOST));
    }
}
