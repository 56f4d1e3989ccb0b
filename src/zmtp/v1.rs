//! The frames of ZMTP 1.0: a length that counts the flags byte as well, then that flags byte, then
//! the body.
//!
//! Same shape as [`super::frame`], so that both are used alike. The length is one byte up to 254;
//! 255 announces eight further bytes.

use super::frame::{Header, MORE};

/// The longest header there is.
pub const MAX_HEADER_LEN: usize = 10;

/// Reads the header at the start of `buf`; `None` while bytes of it are missing.
///
/// Flags hold [`MORE`] at most. A length of 0 cannot be, as it must count the flags byte; it is
/// reported as a body of `u64::MAX` bytes, which [`Header::frame_len`] and [`Header::exceeds`]
/// refuse.
#[inline]
pub fn parse(buf: &[u8]) -> Option<Header> {
    let [first, second, ..] = *buf else {
        // A length of 0 is wrong whatever follows, so it is not waited for.
        return match *buf {
            [0] => Some(Header { flags: 0, header_len: 1, body_len: u64::MAX }),
            _ => None,
        };
    };
    if first != 0xFF {
        let body_len = u64::from(first).wrapping_sub(1);
        return Some(Header { flags: second & MORE, header_len: 2, body_len });
    }
    let rest = buf.get(1..)?.first_chunk::<9>()?;
    let [length @ .., flags] = *rest;
    let body_len = u64::from_be_bytes(length).wrapping_sub(1);
    Some(Header { flags: flags & MORE, header_len: 10, body_len })
}

/// The header for a body of `body_len` bytes, and how many of the ten bytes it takes (2 or 10).
#[inline]
pub fn encode(flags: u8, body_len: usize) -> ([u8; MAX_HEADER_LEN], usize) {
    let mut header = [0; MAX_HEADER_LEN];
    if body_len < 254 {
        header[0] = body_len as u8 + 1;
        header[1] = flags & MORE;
        (header, 2)
    } else {
        header[0] = 0xFF;
        header[1..9].copy_from_slice(&(body_len as u64).wrapping_add(1).to_be_bytes());
        header[9] = flags & MORE;
        (header, MAX_HEADER_LEN)
    }
}

/// Appends only the header for a body of `body_len` bytes that the caller appends itself.
#[inline]
pub fn push_header(out: &mut Vec<u8>, flags: u8, body_len: usize) {
    let (header, len) = encode(flags, body_len);
    out.extend_from_slice(header.get(..len).unwrap_or(&header));
}

/// Appends a whole frame.
#[inline]
pub fn push(out: &mut Vec<u8>, flags: u8, body: &[u8]) {
    out.reserve(MAX_HEADER_LEN + body.len());
    push_header(out, flags, body.len());
    out.extend_from_slice(body);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(flags: u8, header_len: usize, body_len: u64) -> Option<Header> {
        Some(Header { flags, header_len, body_len })
    }

    #[test]
    fn golden_headers() {
        let table: &[(&[u8], Option<Header>)] = &[
            (b"", None),
            (b"\x01", None),
            (b"\x01\0", header(0, 2, 0)),
            (b"\xFE\x01", header(MORE, 2, 253)),
            (b"\x02\xFEa", header(0, 2, 1)),
            (b"\xFF\0\0\0\0\0\0\0\xFF\x01", header(MORE, 10, 254)),
            // The long form of a small length.
            (b"\xFF\0\0\0\0\0\0\0\x01\0", header(0, 10, 0)),
            (b"\xFF\0\0\0\0\0\0\0\x01", None),
            // The flags byte is not counted.
            (b"\0", header(0, 1, u64::MAX)),
            (b"\0\0", header(0, 2, u64::MAX)),
            (b"\xFF\0\0\0\0\0\0\0\0\0", header(0, 10, u64::MAX)),
            (b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0", header(0, 10, u64::MAX - 1)),
        ];
        for (bytes, expected) in table {
            assert_eq!(parse(bytes), *expected, "{bytes:x?}");
        }
        for impossible in [&b"\0"[..], b"\0\0", b"\xFF\0\0\0\0\0\0\0\0\0"] {
            let header = parse(impossible).unwrap();
            assert!(header.exceeds(-1) && header.frame_len().is_none());
        }
    }

    #[test]
    fn the_long_form_begins_at_254() {
        assert_eq!(encode(MORE, 253).0[..2], [254, 1]);
        assert_eq!(encode(0, 254), ([255, 0, 0, 0, 0, 0, 0, 0, 255, 0], 10));
        let mut out = Vec::new();
        push(&mut out, MORE | 4, b"abc");
        push(&mut out, 0, b"");
        assert_eq!(out, b"\x04\x01abc\x01\0");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            flags: u8,
            body_len in prop_oneof![0..600_usize, 0..usize::MAX],
        ) {
            let (bytes, len) = encode(flags, body_len);
            let header = parse(&bytes[..len]).unwrap();
            prop_assert_eq!(header.flags, flags & MORE);
            prop_assert_eq!((header.header_len, header.body_len), (len, body_len as u64));
            for cut in 0..len {
                prop_assert_eq!(parse(&bytes[..cut]), None);
            }
        }
    }
}
