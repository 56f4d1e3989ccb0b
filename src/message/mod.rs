//! `Msg`, one message part: the 64 bytes that C programs hold as `zmq_msg_t`.
//!
//! This file is the safe face; all unsafe code is in `raw` and `memory`, and with it the layout, and in `append`. Nothing
//! here knows sockets, pipes or the wire.
//!
//! A part keeps up to [`Msg::INLINE_MAX`] bytes in itself. Larger ones are held by a counted
//! block, a counted slice of a receive chunk, or memory of the caller's with a function to free
//! it. Whatever the kind, a `Msg` can be moved by copying its bytes; only the address of inline
//! data changes by that.
#![deny(unsafe_code)]

#[allow(unsafe_code, reason = "memory that is reserved and then written")]
mod append;
pub mod frame;
#[allow(unsafe_code, reason = "memory that is allocated and counted by hand")]
mod memory;
mod metadata;
#[allow(unsafe_code, reason = "what lies where in the 64 bytes")]
mod raw;
mod returns;
#[cfg(test)]
mod tests;

use std::fmt;

pub use metadata::Metadata;
pub use raw::{Msg, Shares};
pub use returns::Returns;

/// More parts of the same message follow.
const MORE: u8 = 1;
/// The part is a protocol command, not data.
const COMMAND: u8 = 2;
/// The part names a peer and was put in front by a socket.
const ROUTING_ID_FRAME: u8 = 4;

/// Of flags as [`Msg::plain`] tells them: whether more parts follow. None where they say anything else as well.
#[inline]
pub fn only_more(flags: u8) -> Option<bool> {
    (flags & !MORE == 0).then_some(flags & MORE != 0)
}

impl Msg {
    /// Does it say more than its bytes and whether parts follow: whom it is for, or of which group?
    pub fn is_addressed(&self) -> bool {
        self.routing_id() != 0 || !self.group().is_empty()
    }

    /// Are there no bytes in this part?
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.size() == 0
    }

    /// Do more parts of the same message follow?
    #[inline]
    pub fn more(&self) -> bool {
        self.flag(MORE)
    }

    /// Says whether more parts of the same message follow.
    #[inline]
    pub fn set_more(&mut self, on: bool) {
        self.set_flag(MORE, on);
    }

    /// Is this a protocol command?
    #[inline]
    pub fn is_command(&self) -> bool {
        self.flag(COMMAND)
    }

    /// Marks the part as a protocol command.
    #[inline]
    pub fn set_command(&mut self, on: bool) {
        self.set_flag(COMMAND, on);
    }

    /// Is this part a peer's routing id put in front of a message?
    #[inline]
    pub fn is_routing_id(&self) -> bool {
        self.flag(ROUTING_ID_FRAME)
    }

    /// Marks the part as a peer's routing id put in front of a message.
    #[inline]
    pub fn set_routing_id_frame(&mut self, on: bool) {
        self.set_flag(ROUTING_ID_FRAME, on);
    }

    /// Empties the part.
    #[inline]
    pub fn clear(&mut self) {
        *self = Msg::new();
    }

    /// Takes the part out and leaves an empty one.
    #[inline]
    pub fn take(&mut self) -> Msg {
        std::mem::take(self)
    }
}

impl Default for Msg {
    #[inline]
    fn default() -> Msg {
        Msg::new()
    }
}

impl fmt::Debug for Msg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Payloads may be secret or huge: only their size is shown.
        f.debug_struct("Msg")
            .field("size", &self.size())
            .field("more", &self.more())
            .field("command", &self.is_command())
            .field("shared", &self.is_shared())
            .field("routing_id", &self.routing_id())
            .field("group", &self.group())
            .finish_non_exhaustive()
    }
}
