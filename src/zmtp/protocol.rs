//! Which dialect of ZMTP a connection speaks, and what follows from it.

use super::{frame, v1};

/// The dialect both ends have settled on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// ZMTP 1.0.
    V1 {
        /// The peer sent no signature at all: it is older than the greeting.
        unversioned: bool,
    },
    /// ZMTP 2.0.
    V2,
    /// ZMTP 3.x.
    V3 {
        /// 0 for 3.0; 1 for 3.1 and for every version we have not heard of.
        minor: u8,
    },
}

impl Protocol {
    /// Whether frames have the layout of [`v1`] (else that of [`frame`]).
    #[inline]
    pub fn has_v1_frames(self) -> bool {
        matches!(self, Protocol::V1 { .. })
    }

    /// Whether commands, and with them heartbeats, exist.
    #[inline]
    pub fn has_commands(self) -> bool {
        matches!(self, Protocol::V3 { .. })
    }

    /// Whether subscriptions travel as commands; older peers get them as messages.
    #[inline]
    pub fn has_subscribe_command(self) -> bool {
        matches!(self, Protocol::V3 { minor: 1.. })
    }

    /// Reads a frame header of this dialect; `None` while bytes of it are missing.
    #[inline]
    pub fn parse(self, buf: &[u8]) -> Option<frame::Header> {
        if self.has_v1_frames() { v1::parse(buf) } else { frame::parse(buf) }
    }

    /// Appends a frame header of this dialect for a body of `body_len` bytes.
    #[inline]
    pub fn push_header(self, out: &mut Vec<u8>, flags: u8, body_len: usize) {
        if self.has_v1_frames() {
            v1::push_header(out, flags, body_len);
        } else {
            frame::push_header(out, flags, body_len);
        }
    }

    /// Appends a whole frame of this dialect.
    #[inline]
    pub fn push(self, out: &mut Vec<u8>, flags: u8, body: &[u8]) {
        if self.has_v1_frames() {
            v1::push(out, flags, body)
        } else {
            frame::push(out, flags, body)
        }
    }
}
