//! The grammar of TCP addresses and what names in them mean. Opens no connection.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use dns_lookup::AddrInfoHints;
use nix::net::if_::{if_indextoname, if_nametoindex};

use crate::base::Error;

/// Where a host in a local (bound) address may come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// Numbers, interfaces, the wildcard, then DNS: this may block.
    WithDns,
    /// Numbers, interfaces and the wildcard only.
    LocalOnly,
}

/// A host that needs no name service.
enum Literal {
    /// An address of the family asked for.
    Address(IpAddr, u32),
    /// An IPv6 address while only IPv4 is wanted, or IPv4 with a zone.
    WrongFamily,
    /// A name.
    NotNumeric,
}

/// Checks the text of an address to connect to, without resolving anything, and cuts it into
/// source, host and port.
pub(super) fn parse_connect(text: &str) -> Result<(Option<&str>, &str, u16), Error> {
    let mut characters = text.chars();
    let first_fits = characters
        .next()
        .is_some_and(|first| first.is_ascii_alphanumeric() || matches!(first, '[' | ':'));
    let rest_fits = characters.all(|c| c.is_ascii_alphanumeric() || ".-:%;[]_*".contains(c));
    if !first_fits || !rest_fits {
        return Err(Error::Invalid);
    }
    let (source, target) = match text.rsplit_once(';') {
        Some((source, target)) => (Some(source), target),
        None => (None, text),
    };
    let (host, port) = target.rsplit_once(':').ok_or(Error::Invalid)?;
    // Here, unlike in a bound address, text after the number is tolerated.
    let digits = port.split(|c: char| !c.is_ascii_digit()).next();
    let port = digits.and_then(|digits| digits.parse().ok()).ok_or(Error::Invalid)?;
    Ok((source, host, port))
}

/// Resolves the text of an address to bind to. Syntax: EINVAL; unknown host: ENODEV.
pub(super) fn resolve_local(text: &str, ipv6: bool, names: Names) -> Result<SocketAddr, Error> {
    let text = match text.rsplit_once(';') {
        Some((source, target)) => {
            // A source says nothing about a listener; it only has to make sense.
            resolve_local(source, ipv6, names)?;
            target
        }
        None => text,
    };
    let (host, port) = text.rsplit_once(':').ok_or(Error::Invalid)?;
    let port = local_port(port)?;
    if strip_brackets(host) == "*" {
        return Ok(SocketAddr::new(unspecified(ipv6), port));
    }
    match literal(host, ipv6)? {
        Literal::Address(ip, scope) => return Ok(with_scope(ip, port, scope)),
        Literal::WrongFamily => return Err(Error::NoDevice),
        Literal::NotNumeric => {}
    }
    let host = strip_brackets(host);
    if let Some(address) = interface_address(host, port, ipv6) {
        return Ok(address);
    }
    if names == Names::LocalOnly {
        return Err(Error::NoDevice);
    }
    look_up(host, port, ipv6, 0)
        .ok()
        .and_then(|found| found.into_iter().next())
        .ok_or(Error::NoDevice)
}

/// The address to connect to where no name service is needed to tell; `None` for names.
pub(super) fn resolve_numeric(
    host: &str,
    port: u16,
    ipv6: bool,
) -> Option<io::Result<Vec<SocketAddr>>> {
    match literal(host, ipv6) {
        Ok(Literal::Address(ip, scope)) => Some(Ok(vec![with_scope(ip, port, scope)])),
        Ok(Literal::WrongFamily) => Some(Err(os_error(libc::EAFNOSUPPORT))),
        Ok(Literal::NotNumeric) if host.is_empty() => Some(Err(os_error(libc::ENODEV))),
        Ok(Literal::NotNumeric) => None,
        Err(error) => Some(Err(os_error(error.errno()))),
    }
}

/// The addresses to connect to; asks the name service where needed, so it may block.
pub(super) fn resolve_remote(host: &str, port: u16, ipv6: bool) -> io::Result<Vec<SocketAddr>> {
    match resolve_numeric(host, port, ipv6) {
        Some(result) => result,
        // Of both families: which of them the other end is reached by is not known before.
        None => look_up(strip_brackets(host), port, ipv6, libc::AI_ALL),
    }
}

/// A host as written, without the brackets that keep its colons apart from the port.
pub(super) fn strip_brackets(host: &str) -> &str {
    host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host)
}

/// `tcp://ip:port`, with brackets around IPv6.
pub(super) fn endpoint_text(address: &SocketAddr) -> String {
    format!("tcp://{}", authority(address))
}

/// `ip:port`, with brackets around IPv6.
pub(super) fn authority(address: &SocketAddr) -> String {
    match address {
        SocketAddr::V4(v4) => format!("{}:{}", v4.ip(), v4.port()),
        SocketAddr::V6(v6) => format!("[{}]:{}", ip_text(address), v6.port()),
    }
}

/// The numeric address without its port.
pub(super) fn ip_text(address: &SocketAddr) -> String {
    match address {
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) if v6.scope_id() == 0 => v6.ip().to_string(),
        SocketAddr::V6(v6) => {
            let zone = if_indextoname(v6.scope_id())
                .ok()
                .and_then(|name| name.into_string().ok())
                .unwrap_or_else(|| v6.scope_id().to_string());
            format!("{}%{zone}", v6.ip())
        }
    }
}

/// An error of the operating system by its number.
pub(super) fn os_error(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

/// `*`, or a number that fits a port.
fn local_port(text: &str) -> Result<u16, Error> {
    if text == "*" {
        return Ok(0);
    }
    // The parser of std would take a leading plus sign.
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Error::Invalid);
    }
    text.parse().map_err(|_| Error::Invalid)
}

fn unspecified(ipv6: bool) -> IpAddr {
    if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
}

/// Reads a numeric host, with or without brackets and zone, as an address of the wanted family.
/// An empty or unknown zone: EINVAL.
fn literal(host: &str, ipv6: bool) -> Result<Literal, Error> {
    let (host, scope) = match strip_brackets(host).split_once('%') {
        Some((host, zone)) => (host, zone_index(zone)?),
        None => (strip_brackets(host), 0),
    };
    Ok(match host.parse() {
        // Only IPv6 addresses have zones.
        Ok(IpAddr::V4(_)) if scope != 0 => Literal::WrongFamily,
        Ok(IpAddr::V4(ip)) if ipv6 => Literal::Address(ip.to_ipv6_mapped().into(), scope),
        Ok(IpAddr::V4(ip)) => Literal::Address(ip.into(), scope),
        Ok(IpAddr::V6(ip)) if ipv6 => Literal::Address(ip.into(), scope),
        Ok(IpAddr::V6(_)) => Literal::WrongFamily,
        Err(_) => Literal::NotNumeric,
    })
}

fn zone_index(zone: &str) -> Result<u32, Error> {
    if zone.is_empty() {
        return Err(Error::Invalid);
    }
    if let Ok(index) = if_nametoindex(zone) {
        return Ok(index);
    }
    match zone.parse() {
        Ok(0) | Err(_) => Err(Error::Invalid),
        Ok(index) => Ok(index),
    }
}

fn with_scope(ip: IpAddr, port: u16, scope: u32) -> SocketAddr {
    match ip {
        IpAddr::V4(ip) => SocketAddrV4::new(ip, port).into(),
        IpAddr::V6(ip) => SocketAddrV6::new(ip, port, 0, scope).into(),
    }
}

/// The first address of the wanted family that the named interface has.
fn interface_address(name: &str, port: u16, ipv6: bool) -> Option<SocketAddr> {
    if name.is_empty() {
        return None;
    }
    nix::ifaddrs::getifaddrs()
        .ok()?
        .filter(|entry| entry.interface_name == name)
        .filter_map(|entry| entry.address)
        .find_map(|address| {
            if ipv6 {
                let v6 = address.as_sockaddr_in6()?;
                Some(SocketAddrV6::new(v6.ip(), port, 0, v6.scope_id()).into())
            } else {
                let v4 = address.as_sockaddr_in()?;
                Some(SocketAddrV4::new(v4.ip(), port).into())
            }
        })
}

/// Asks the name service. IPv4-only names come back v4-mapped when IPv6 is wanted.
fn look_up(host: &str, port: u16, ipv6: bool, with: i32) -> io::Result<Vec<SocketAddr>> {
    // No resolver knows such names; do not make one search for them.
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(os_error(libc::ENODEV));
    }
    let hints = AddrInfoHints {
        flags: if ipv6 { libc::AI_V4MAPPED | with } else { 0 },
        address: if ipv6 { libc::AF_INET6 } else { libc::AF_INET },
        socktype: libc::SOCK_STREAM,
        protocol: libc::IPPROTO_TCP,
    };
    let found: Vec<SocketAddr> = dns_lookup::getaddrinfo(Some(host), None, Some(hints))?
        .filter_map(Result::ok)
        .map(|info| {
            let mut address = info.sockaddr;
            address.set_port(port);
            address
        })
        .collect();
    if found.is_empty() {
        return Err(os_error(libc::ENODEV));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(text: &str, ipv6: bool) -> Result<String, Error> {
        resolve_local(text, ipv6, Names::WithDns).map(|address| endpoint_text(&address))
    }

    #[test]
    fn connect_syntax() {
        for (text, source, host, port) in [
            ("127.0.0.1:5555", None, "127.0.0.1", 5555),
            ("127.0.0.1:0", None, "127.0.0.1", 0),
            ("localhost:80", None, "localhost", 80),
            ("lo:5555", None, "lo", 5555),
            ("no-such_host.invalid:1", None, "no-such_host.invalid", 1),
            ("300.1.1.1:1", None, "300.1.1.1", 1),
            (":5555", None, "", 5555),
            ("127.0.0.1:5x", None, "127.0.0.1", 5),
            ("[::1]:7", None, "[::1]", 7),
            ("::1:7", None, "::1", 7),
            ("[fe80::1%lo]:7", None, "[fe80::1%lo]", 7),
            ("[fe80::1%]:7", None, "[fe80::1%]", 7),
            ("lo:*;127.0.0.1:9", Some("lo:*"), "127.0.0.1", 9),
            ("127.0.0.1:0;localhost:1234", Some("127.0.0.1:0"), "localhost", 1234),
            ("[::1]:1;[::1]:2", Some("[::1]:1"), "[::1]", 2),
            ("127.0.0.1:65535", None, "127.0.0.1", 65535),
        ] {
            assert_eq!(parse_connect(text), Ok((source, host, port)), "{text}");
        }
    }

    #[test]
    fn connect_refuses() {
        for text in [
            "",
            "127.0.0.1",
            "localhost",
            "127.0.0.1:",
            "127.0.0.1:*",
            "127.0.0.1:abc",
            "127.0.0.1:-1",
            "127.0.0.1:+1",
            "127.0.0.1:5555/path",
            "127.0.0.1:65536",
            "127.0.0.1:70000",
            "*:5555",
            "*:*",
            "*:0;127.0.0.1:5555",
            "in side:5555",
            " localhost:5555",
            "-host:1",
            "h\u{e9}te:1",
            "a@b:1",
            "127.0.0.1:1;",
            "127.0.0.1:1;host",
            "@:1",
            "_x:1",
        ] {
            assert_eq!(parse_connect(text), Err(Error::Invalid), "{text}");
        }
    }

    #[test]
    fn local_addresses() {
        for (text, ipv6, expected) in [
            ("127.0.0.1:*", false, "tcp://127.0.0.1:0"),
            ("127.0.0.1:0", false, "tcp://127.0.0.1:0"),
            ("127.0.0.1:5555", false, "tcp://127.0.0.1:5555"),
            ("127.0.0.1:65535", false, "tcp://127.0.0.1:65535"),
            ("[127.0.0.1]:5555", false, "tcp://127.0.0.1:5555"),
            ("*:*", false, "tcp://0.0.0.0:0"),
            ("*:5555", false, "tcp://0.0.0.0:5555"),
            ("lo:*", false, "tcp://127.0.0.1:0"),
            ("lo:5555", false, "tcp://127.0.0.1:5555"),
            ("localhost:5555", false, "tcp://127.0.0.1:5555"),
            ("lo:*;127.0.0.1:5", false, "tcp://127.0.0.1:5"),
            ("*:5555", true, "tcp://[::]:5555"),
            ("127.0.0.1:5555", true, "tcp://[::ffff:127.0.0.1]:5555"),
            ("[::1]:*", true, "tcp://[::1]:0"),
            ("::1:*", true, "tcp://[::1]:0"),
            ("::1:5555", true, "tcp://[::1]:5555"),
            ("[fe80::1%lo]:1", true, "tcp://[fe80::1%lo]:1"),
            ("[fe80::1%1]:1", true, "tcp://[fe80::1%lo]:1"),
            ("fe80::1%lo:1", true, "tcp://[fe80::1%lo]:1"),
        ] {
            assert_eq!(local(text, ipv6).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn local_errors() {
        for (text, ipv6, error) in [
            // The port.
            ("127.0.0.1", false, Error::Invalid),
            ("localhost", false, Error::Invalid),
            ("127.0.0.1:", false, Error::Invalid),
            ("127.0.0.1:abc", false, Error::Invalid),
            ("*:*/path", false, Error::Invalid),
            ("*:5555/path", false, Error::Invalid),
            ("*:5x", false, Error::Invalid),
            ("*:-1", false, Error::Invalid),
            ("*:+1", false, Error::Invalid),
            ("*:65536", false, Error::Invalid),
            ("*:70000", false, Error::Invalid),
            ("*:**", false, Error::Invalid),
            ("*: 5", false, Error::Invalid),
            // The host.
            (":5555", false, Error::NoDevice),
            ("[]:5555", false, Error::NoDevice),
            ("300.1.1.1:5555", false, Error::NoDevice),
            ("no such host:5555", false, Error::NoDevice),
            ("no-such-host.invalid:5555", false, Error::NoDevice),
            ("nolo0:5555", false, Error::NoDevice),
            ("[::1]:*", false, Error::NoDevice),
            ("::1:*", false, Error::NoDevice),
            ("[::1:5555", true, Error::NoDevice),
            // The zone.
            ("[::1%]:5555", true, Error::Invalid),
            ("[::1%nolo0]:5555", true, Error::Invalid),
            ("[::1%0]:5555", true, Error::Invalid),
            ("[::1%-1]:5555", true, Error::Invalid),
            ("127.0.0.1%lo:5555", false, Error::NoDevice),
            // The part before a semicolon.
            ("127.0.0.1;127.0.0.1:5555", false, Error::Invalid),
            ("nolo0:1;127.0.0.1:5555", false, Error::NoDevice),
            (";127.0.0.1:5555", false, Error::Invalid),
        ] {
            assert_eq!(local(text, ipv6), Err(error), "{text}");
        }
    }

    #[test]
    fn sources_ask_no_name_service() {
        let found = resolve_local("localhost:1", false, Names::LocalOnly);
        assert_eq!(found, Err(Error::NoDevice));
        assert!(resolve_local("*:*", false, Names::LocalOnly).is_ok());
        assert!(resolve_local("lo:*", false, Names::LocalOnly).is_ok());
    }

    #[test]
    fn numbers_are_told_from_names() {
        for (host, ipv6) in [("127.0.0.1", false), ("127.0.0.1", true), ("[::1]", true)] {
            let found = resolve_numeric(host, 1, ipv6);
            assert!(matches!(found, Some(Ok(addresses)) if addresses.len() == 1));
        }
        for (host, ipv6) in [("[::1]", false), ("", false), ("[::1%]", true)] {
            assert!(matches!(resolve_numeric(host, 1, ipv6), Some(Err(_))));
        }
        for host in ["localhost", "lo", "300.1.1.1"] {
            assert!(resolve_numeric(host, 1, false).is_none());
        }
    }

    #[test]
    fn names_become_mapped_under_ipv6() {
        let found = resolve_remote("localhost", 9, true).unwrap();
        assert!(found.iter().all(SocketAddr::is_ipv6));
        assert!(found.iter().all(|address| address.port() == 9));
    }
}
