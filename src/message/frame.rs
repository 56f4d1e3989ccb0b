//! The frame header of ZMTP 2.0 and 3.x: a flags byte, then a length of one or eight bytes.
//!
//! Only headers are dealt with here; what a body means, and how large it may be, is for the callers
//! to say.

use super::append::append;

/// Further parts of the same message follow.
pub const MORE: u8 = 1;
/// The length takes eight bytes instead of one.
pub const LONG: u8 = 2;
/// The frame is a command, not a part of a message.
pub const COMMAND: u8 = 4;

/// The longest header there is.
pub const MAX_HEADER_LEN: usize = 9;

/// What a frame's first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// [`MORE`], [`LONG`] and [`COMMAND`]; bits nobody has defined are cleared.
    pub flags: u8,
    /// How many bytes the header itself takes.
    pub header_len: usize,
    /// How many bytes the peer announces after it. Any value: nothing may be reserved on the
    /// strength of it.
    pub body_len: u64,
}

impl Header {
    /// Header and body together, or `None` when no buffer of this machine could hold them.
    ///
    /// The answer for the lengths near 2^63 and 2^64 that hostile peers like to announce.
    #[inline]
    pub fn frame_len(&self) -> Option<usize> {
        match usize::try_from(self.body_len) {
            Ok(body) if body <= isize::MAX as usize - 16 => Some(self.header_len + body),
            _ => None,
        }
    }

    /// Whether the body is longer than `max_msg_size` (negative: no limit) or than any buffer could
    /// be.
    #[inline]
    pub fn exceeds(&self, max_msg_size: i64) -> bool {
        self.body_len > (max_msg_size as u64).min(isize::MAX as u64 - 16)
    }
}

/// Reads the header at the start of `buf`; `None` while bytes of it are missing.
#[inline]
pub fn parse(buf: &[u8]) -> Option<Header> {
    // Both forms have at least two bytes, so one length check serves the short form altogether.
    let [first, second, ..] = *buf else {
        return None;
    };
    let flags = first & (MORE | LONG | COMMAND);
    if flags & LONG == 0 {
        return Some(Header { flags, header_len: 2, body_len: u64::from(second) });
    }
    let length = buf.get(1..)?.first_chunk::<8>()?;
    Some(Header { flags, header_len: 9, body_len: u64::from_be_bytes(*length) })
}

/// The frames in `bytes`, headers and bodies, up to the first that is not whole.
pub fn walk(mut bytes: &[u8]) -> impl Iterator<Item = (Header, &[u8])> {
    std::iter::from_fn(move || {
        let header = parse(bytes)?;
        let (frame, rest) = bytes.split_at_checked(header.frame_len()?)?;
        bytes = rest;
        Some((header, frame.get(header.header_len..)?))
    })
}

/// The header for a body of `body_len` bytes, and how many of the nine bytes it takes (2 or 9).
///
/// [`LONG`] is set here and only here, by the length; the caller's is ignored.
#[inline]
pub fn encode(flags: u8, body_len: usize) -> ([u8; MAX_HEADER_LEN], usize) {
    let mut header = [0; MAX_HEADER_LEN];
    if body_len <= 255 {
        header[0] = flags & !LONG;
        header[1] = body_len as u8;
        (header, 2)
    } else {
        header[0] = flags | LONG;
        header[1..].copy_from_slice(&(body_len as u64).to_be_bytes());
        (header, MAX_HEADER_LEN)
    }
}

/// Appends only the header for a body of `body_len` bytes that the caller appends itself.
#[inline]
pub fn push_header(out: &mut Vec<u8>, flags: u8, body_len: usize) {
    // Constant-sized copies in both arms: they become plain stores.
    if body_len <= 255 {
        out.extend_from_slice(&[flags & !LONG, body_len as u8]);
    } else {
        let (header, _) = encode(flags, body_len);
        out.extend_from_slice(&header);
    }
}

/// Appends a whole frame.
#[inline]
pub fn push(out: &mut Vec<u8>, flags: u8, body: &[u8]) {
    out.reserve(MAX_HEADER_LEN + body.len());
    if !push_within(out, flags, body) {
        push_header(out, flags, body.len());
        out.extend_from_slice(body);
    }
}

/// As [`push`], of a short frame for which there is memory; false for any other.
#[inline(always)]
pub fn push_within(out: &mut Vec<u8>, flags: u8, body: &[u8]) -> bool {
    match u8::try_from(body.len()) {
        Ok(length) => append(out, [flags & !LONG, length], body),
        Err(_) => false,
    }
}
