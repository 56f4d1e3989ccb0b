//! Sending parts that are but bytes, without a message around them: most are, and most follow one like them.
//!
//! Each way says when it does not serve; then the part is sent as a message.

use std::sync::atomic::Ordering;

use super::{End, GUARDED_STRIDE};
use crate::message::frame;
use crate::pipe::Urgency;
use crate::pipe::sending::{BY_REFERENCE, HEAVY};
use crate::sys::this_thread;

/// Parts from this size may be written from where they lie.
pub const PAST: usize = 32 * 1024;

impl End {
    /// Sends a message of one part that is but these bytes; false, and nothing is changed, where that takes more than
    /// writing it down: room, or another encoding.
    #[inline(always)]
    pub(in crate::pipe) fn send_bytes(
        &mut self,
        bytes: &[u8],
        urgency: Urgency,
        hurried: bool,
    ) -> bool {
        if bytes.len() >= PAST {
            return self.send_past(bytes, hurried);
        }
        let wire = &*self.wire;
        if self.closed
            || !(self.stage.is_empty() && self.framed.is_empty())
            || wire.gone.load(Ordering::Relaxed)
            || wire.deaf.load(Ordering::Relaxed)
            || wire.conflate
            || hurried && self.credit == 0
        {
            return false;
        }
        let limit = wire.send_limit();
        let mut queue = wire.send.lock();
        queue.leave_feed();
        if queue.pending() >= limit || !queue.push_bytes(bytes) {
            return false;
        }
        let guarded = wire.guarded.load(Ordering::Relaxed);
        // Again, for whoever says so takes the permission back after it.
        let there = !wire.gone.load(Ordering::Relaxed) && !wire.deaf.load(Ordering::Relaxed);
        let room = limit.saturating_sub(queue.pending()) >= GUARDED_STRIDE as usize;
        queue.express = guarded && there && room;
        self.express = if queue.express { this_thread() } else { 0 };
        self.express_hurried = hurried;
        drop(queue);
        if hurried {
            self.credit -= 1;
        } else {
            // As [`End::admits`] does; what was seen of the room is looked up anew by who needs it.
            (self.credit, self.looked) = (0, None);
        }
        self.unflushed_bytes += bytes.len();
        self.flush(urgency, hurried);
        self.express_end = match u32::try_from(self.credit) {
            Ok(credit) if hurried => self.unflushed.saturating_add(credit.min(GUARDED_STRIDE)),
            _ => GUARDED_STRIDE,
        };
        true
    }

    /// As [`End::send_bytes`], where that thread has done the same a moment ago and nothing came between: for some more
    /// messages under guard.
    #[inline(always)]
    pub(in crate::pipe) fn send_express(&mut self, bytes: &[u8], hurried: bool) -> bool {
        if self.express != this_thread()
            || self.express_hurried != hurried
            || self.unflushed >= self.express_end
            || bytes.len() >= BY_REFERENCE
            || self.wire.eager.load(Ordering::Relaxed)
            || !self.wire.send.lock().push_express(bytes)
        {
            return false;
        }
        self.unflushed += 1;
        if hurried {
            self.credit -= 1;
        }
        self.unflushed_bytes += bytes.len();
        true
    }

    /// As [`End::send_bytes`], a large message or the large last part of one, written from where it lies. Where the guard
    /// writes for a caller that must not wait, it stays so.
    #[cold]
    fn send_past(&mut self, bytes: &[u8], hurried: bool) -> bool {
        let wire = &*self.wire;
        let gone = wire.gone.load(Ordering::Relaxed) || wire.deaf.load(Ordering::Relaxed);
        let left = hurried && (self.credit == 0 || wire.guarded.load(Ordering::Relaxed));
        if self.closed || gone || wire.conflate || left || !self.stage.is_empty() {
            return false;
        }
        if !self.driver.write_past(&self.framed, bytes) {
            return false;
        }
        self.framed.clear();
        wire.eager.store(false, Ordering::Relaxed);
        self.express = 0;
        if hurried {
            self.credit -= 1;
        } else {
            (self.credit, self.looked) = (0, None);
        }
        true
    }

    /// Whether [`End::send_part_bytes`] took parts of a message that is not complete.
    #[inline]
    pub(in crate::pipe) fn is_amid_bytes(&self) -> bool {
        !self.framed.is_empty()
    }

    /// As [`End::send_bytes`], a part of a longer message. Nothing of that is in the queue before it is complete.
    #[inline]
    pub(in crate::pipe) fn send_part_bytes(
        &mut self,
        bytes: &[u8],
        more: bool,
        urgency: Urgency,
        hurried: bool,
    ) -> bool {
        if bytes.len() >= PAST && !more {
            return self.send_past(bytes, hurried);
        }
        let wire = &*self.wire;
        let gone = wire.gone.load(Ordering::Relaxed) || wire.deaf.load(Ordering::Relaxed);
        if self.closed || gone || !self.stage.is_empty() || bytes.len() >= BY_REFERENCE {
            return false;
        }
        if self.framed.is_empty() {
            if wire.conflate || hurried && self.credit == 0 {
                return false;
            }
            let limit = wire.send_limit();
            let mut queue = wire.send.lock();
            queue.leave_feed();
            if !queue.is_framed() || queue.bytes > HEAVY || queue.pending() >= limit {
                return false;
            }
            self.express = 0;
        }
        frame::push(&mut self.framed, if more { frame::MORE } else { 0 }, bytes);
        if more {
            return true;
        }
        let mut framed = std::mem::take(&mut self.framed);
        self.append_frames(&framed, urgency, hurried);
        if framed.capacity() <= BY_REFERENCE {
            framed.clear();
            self.framed = framed;
        }
        true
    }

    /// Whether messages can come in frames.
    pub(in crate::pipe) fn takes_frames(&self) -> bool {
        !self.wire.conflate && self.stage.is_empty() && self.framed.is_empty()
    }

    /// Whether there is room for a message that [`End::send_frames`] is given later.
    pub(in crate::pipe) fn admits_frames(&mut self, hurried: bool) -> bool {
        let wire = &*self.wire;
        let gone = wire.gone.load(Ordering::Relaxed) || wire.deaf.load(Ordering::Relaxed);
        if self.closed || gone || !self.admits(hurried) {
            return false;
        }
        self.express = 0;
        let limit = self.wire.send_limit();
        let mut queue = self.wire.send.lock();
        queue.leave_feed();
        let room = queue.pending() < limit;
        drop(queue);
        room || self.make_room(hurried)
    }

    /// Sends a message in whole frames, whatever the mark says; nothing where there is nobody to get it.
    pub(in crate::pipe) fn send_frames(&mut self, frames: &[u8], urgency: Urgency, hurried: bool) {
        let wire = &*self.wire;
        let gone = wire.gone.load(Ordering::Relaxed) || wire.deaf.load(Ordering::Relaxed);
        if !(self.closed || gone) {
            self.append_frames(frames, urgency, hurried);
        }
    }

    fn append_frames(&mut self, frames: &[u8], urgency: Urgency, hurried: bool) {
        let mut queue = self.wire.send.lock();
        queue.leave_feed();
        queue.push_framed(frames);
        drop(queue);
        if !hurried {
            self.looked = None;
        }
        self.credit = self.credit.saturating_sub(1);
        self.unflushed_bytes += frames.len();
        self.flush(urgency, hurried);
    }
}
