//! Sockets between a virtual machine and its host: vsock, and vmci, which is what VMware calls them.
//!
//! On Linux both are the family AF_VSOCK; vmci is there when VMware's device is.

use std::io;
use std::path::Path;

use libc::{VMADDR_CID_ANY, VMADDR_CID_HOST, VMADDR_PORT_ANY};
use socket2::{Domain, SockAddr, Socket, Type};

use super::Scheme;
use crate::base::Error;

/// Whether this machine has VMware's sockets.
pub fn has_vmci() -> bool {
    Path::new("/dev/vmci").exists()
}

/// The address after `vsock://` or `vmci://`: `CID:PORT`. `*` and `-1` are any of either; `@` is the host.
pub(super) fn parse(text: &str) -> Result<SockAddr, Error> {
    let (cid, port) = text.rsplit_once(':').ok_or(Error::Invalid)?;
    let cid = match cid {
        "*" | "-1" => VMADDR_CID_ANY,
        "@" => VMADDR_CID_HOST,
        number => parse_number(number)?,
    };
    let port = match port {
        "*" | "-1" => VMADDR_PORT_ANY,
        number => parse_number(number)?,
    };
    Ok(SockAddr::vsock(cid, port))
}

/// A new non-blocking stream socket. EAFNOSUPPORT where the kernel has none.
pub(super) fn open() -> io::Result<Socket> {
    Socket::new(Domain::VSOCK, Type::STREAM.nonblocking(), None)
}

/// `vsock://CID:PORT`.
pub(super) fn endpoint_text(scheme: Scheme, address: &SockAddr) -> String {
    match address.as_vsock_address() {
        Some((VMADDR_CID_ANY, port)) => format!("{}://*:{port}", scheme.text()),
        Some((cid, port)) => format!("{}://{cid}:{port}", scheme.text()),
        None => String::new(),
    }
}

fn parse_number(text: &str) -> Result<u32, Error> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Error::Invalid);
    }
    text.parse().map_err(|_| Error::Invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, expected, shown) in [
            ("1:5555", (1, 5555), "vsock://1:5555"),
            ("*:*", (VMADDR_CID_ANY, VMADDR_PORT_ANY), "vsock://*:4294967295"),
            ("-1:7", (VMADDR_CID_ANY, 7), "vsock://*:7"),
            ("@:-1", (VMADDR_CID_HOST, VMADDR_PORT_ANY), "vsock://2:4294967295"),
            ("4294967294:0", (4_294_967_294, 0), "vsock://4294967294:0"),
        ] {
            let address = parse(text).unwrap();
            assert_eq!(address.as_vsock_address(), Some(expected), "{text}");
            assert_eq!(endpoint_text(Scheme::Vsock, &address), shown);
        }
        for text in [
            "",
            ":",
            "1",
            "1:",
            ":1",
            "x:1",
            "1:x",
            "-2:1",
            "+1:1",
            "1:4294967296",
            "1:1/a",
            "localhost:1",
        ] {
            assert_eq!(parse(text).err(), Some(Error::Invalid), "{text}");
        }
    }
}
