//! Addresses of WebSocket: `HOST:PORT`, and a path behind it.
//!
//! The connections are TCP's; what goes over them is no matter of this floor.

use super::address;
use crate::base::Error;

/// The path of an address that names none.
const ROOT: &str = "/";

/// What follows `ws://`, cut in two: host and port, and the path from its slash on, which may be missing.
fn split(text: &str) -> (&str, Option<&str>) {
    match text.find('/').and_then(|at| text.split_at_checked(at)) {
        Some((address, path)) => (address, Some(path)),
        None => (text, None),
    }
}

/// Cuts an address to bind to. Its path may have one level only; nobody checks it, it is there to be read.
pub(super) fn parse_bind(text: &str) -> Result<(&str, &str), Error> {
    let (address, path) = split(text);
    let path = path.unwrap_or(ROOT);
    let deep = path.strip_prefix('/').is_none_or(|level| level.contains('/'));
    if deep || !is_path(path) {
        return Err(Error::Invalid);
    }
    Ok((address, path))
}

/// Checks an address to connect to and cuts it into host, port and path.
pub(super) fn parse_connect(text: &str) -> Result<(&str, u16, &str), Error> {
    let (address, path) = split(text);
    let path = path.unwrap_or(ROOT);
    let (source, host, port) = address::parse_connect(address)?;
    let plain =
        address.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    if source.is_some() || !plain || !is_path(path) {
        return Err(Error::Invalid);
    }
    Ok((host, port, path))
}

/// The address with its path written out, as LAST_ENDPOINT shows it.
pub(super) fn with_path(text: &str) -> String {
    let missing = if split(text).1.is_none() { ROOT } else { "" };
    format!("{text}{missing}")
}

/// Whether a request line can carry it as it is (RFC 3986, path and query).
fn is_path(path: &str) -> bool {
    path.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%/?".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_to_bind_to() {
        for (text, address, path) in [
            ("127.0.0.1:*", "127.0.0.1:*", "/"),
            ("*:80/", "*:80", "/"),
            ("[::1]:80/a", "[::1]:80", "/a"),
            ("lo:0/q?x=1", "lo:0", "/q?x=1"),
        ] {
            assert_eq!(parse_bind(text), Ok((address, path)), "{text}");
        }
        for text in ["127.0.0.1:*/a/b", "127.0.0.1:80//", "127.0.0.1:80/a b", "127.0.0.1:80/a\r\nb"]
        {
            assert_eq!(parse_bind(text), Err(Error::Invalid), "{text}");
        }
    }

    #[test]
    fn addresses_to_connect_to() {
        for (text, host, port, path) in [
            ("127.0.0.1:80", "127.0.0.1", 80, "/"),
            ("localhost:8080/a/b?c=d", "localhost", 8080, "/a/b?c=d"),
            ("[::1]:1/", "[::1]", 1, "/"),
        ] {
            assert_eq!(parse_connect(text), Ok((host, port, path)), "{text}");
        }
        for text in [
            "",
            "/",
            "127.0.0.1",
            "127.0.0.1/",
            "127.0.0.1:*",
            "127.0.0.1:x/",
            "127.0.0.1:5x",
            "*:80/",
            "127.0.0.1:1;127.0.0.1:2",
            "127.0.0.1:80/a b",
            "127.0.0.1:80/\u{e9}",
            "127.0.0.1:80/a#b",
        ] {
            assert_eq!(parse_connect(text), Err(Error::Invalid), "{text}");
        }
    }

    #[test]
    fn a_path_is_always_shown() {
        assert_eq!(with_path("h:1"), "h:1/");
        assert_eq!(with_path("h:1/"), "h:1/");
        assert_eq!(with_path("h:1/a"), "h:1/a");
    }
}
