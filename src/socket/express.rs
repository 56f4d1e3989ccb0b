//! Short cuts for one message after the other to or from the same pipe: which one that is was asked once.
//!
//! They hold until anything else is done with the socket. What a message takes is in `pattern` and `pipe`, and so is
//! the answer; here it is only remembered.

use super::core::Core;
use crate::base::constants::{ZMQ_DONTWAIT, ZMQ_SNDMORE};
use crate::message::Msg;
use crate::pattern::copy_out;
use crate::pipe::PipeId;

/// So many messages are sent between two looks at what other threads left.
const HEED_EVERY: u32 = 32;

/// The pipes that come next.
#[derive(Debug, Default)]
pub(super) struct Express {
    output: Option<PipeId>,
    /// Messages until the mailbox is looked at.
    left: u32,
    input: Option<PipeId>,
}

impl Express {
    /// Something else is done with the socket.
    #[inline]
    pub(super) fn end(&mut self) {
        (self.output, self.input) = (None, None);
    }

    #[inline]
    pub(super) fn end_output(&mut self) {
        self.output = None;
    }

    #[inline]
    pub(super) fn end_input(&mut self) {
        self.input = None;
    }
}

impl Core {
    /// After [`Pattern::send_bytes`](crate::pattern::Pattern::send_bytes).
    #[inline]
    pub(super) fn begin_express_output(&mut self) {
        self.express.output = self.pattern.only_output();
        self.express.left = HEED_EVERY;
    }

    /// After [`Pattern::recv_bytes`](crate::pattern::Pattern::recv_bytes).
    #[inline]
    pub(super) fn begin_express_input(&mut self) {
        if self.is_swept() {
            self.express.input = self.pattern.only_input();
        }
    }

    /// Sends a message of one part like the one before; false where it is not like it.
    #[inline(always)]
    pub(super) fn send_express(&mut self, bytes: &[u8], flags: i32) -> bool {
        let Some(id) = self.express.output else { return false };
        if flags & ZMQ_SNDMORE != 0 || self.express.left == 0 {
            return false;
        }
        self.express.left -= 1;
        let hurried = flags & ZMQ_DONTWAIT != 0;
        self.pipes.get(id).is_some_and(|pipe| pipe.send_express(bytes, hurried))
    }

    /// Receives a message of one part from where the one before came from: its size; None where there is none at hand.
    #[inline(always)]
    pub(super) fn recv_express(&mut self, into: &mut [u8]) -> Option<usize> {
        let pipe = self.pipes.get(self.express.input?)?;
        let mut size = 0;
        let got = pipe.receive_bytes(|bytes, more| {
            if !more {
                size = copy_out(bytes, into);
            }
            !more
        });
        got.then_some(size)
    }

    /// As [`Core::recv_express`], into a message; false where there is none at hand, or none that is to be copied. Where the
    /// caller has no use for metadata, `bare`.
    #[inline(always)]
    pub(super) fn recv_express_into(&mut self, msg: &mut Msg, bare: bool) -> bool {
        /// Larger ones share the memory that they were received into.
        const COPIED: usize = 1024;
        let pipe = self.express.input.and_then(|id| self.pipes.get(id));
        let Some(pipe) = pipe else { return false };
        let got = pipe.receive_bytes(|bytes, more| {
            !more && bytes.len() < COPIED && msg.assign(bytes).is_ok()
        });
        if got
            && !bare
            && let Some(metadata) = pipe.metadata()
        {
            msg.set_metadata(Some(metadata.clone()));
        }
        got
    }
}
