//! What waits to be written on a connection: frames ready for the kernel, and frames and messages that the connection
//! encodes.
//!
//! It knows nothing of marks, threads or descriptors: `wire` counts, the connection writes. What was framed
//! can be taken apart again, for the next connection.

use std::collections::VecDeque;
use std::sync::Arc;

use super::feed::{Member, Portion};
use crate::message::{Msg, frame};

/// Payloads from this size go to the kernel from where they are.
pub(super) const BY_REFERENCE: usize = 8 * 1024;
/// A buffer of frames is closed when it has grown to this.
pub(super) const SEGMENT: usize = 64 * 1024;
/// With more bytes than this waiting a sender that may wait does: memory that is used again costs less
/// than memory that is fresh.
pub(super) const HEAVY: usize = 8 * 1024 * 1024;

/// What waits to be written.
#[derive(Default)]
pub struct SendQueue {
    segments: VecDeque<Segment>,
    /// What was framed behind them.
    tail: Tail,
    /// Its sender may append whole messages of one part to `tail`, some more of them, and nothing else is to be done
    /// for each; whoever changes anything of that takes this back.
    pub(super) express: bool,
    /// Where more of it lies.
    pub(super) feed: Option<Member>,
    /// Whether messages become bytes at once.
    pub framing: Framing,
    /// Messages not yet in the kernel.
    pub messages: usize,
    /// Messages in the kernel that do not count as gone: that they do in steps of the low-water mark, as
    /// within a context.
    pub(super) unacknowledged: usize,
    /// Bytes not yet in the kernel, roughly.
    pub bytes: usize,
    /// The socket waits for room.
    pub(super) full: bool,
    /// Bytes of the first segment that the kernel has already.
    pub head_offset: usize,
    /// The first segment continues a message that went out in part.
    pub head_open: bool,
    spare: Vec<u8>,
    /// The connection's notes on how it writes.
    pub link: Link,
}

/// Whether the pipe may lay messages down as frames of ZMTP 2.0 and 3.x.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// No: the connection is not there yet, or it speaks otherwise.
    #[default]
    Apart,
    /// Yes, and they are written as they are.
    Plain,
    /// Yes, and the connection encodes frame by frame: encrypts, or wraps in frames of its own.
    Encoded,
}

/// How a connection writes at present; kept here to share the queue's lock.
#[derive(Debug, Default)]
pub struct Link {
    /// There is an established stream to write to.
    pub open: bool,
    /// Some thread is in the kernel with segments it took.
    pub writing: bool,
    /// So many of the messages it has there: the peer may have answered them before they are counted as gone.
    pub taken: usize,
    /// Much was written at once, so that the kernel was told how much it may hold.
    pub fitted: bool,
    /// The kernel's buffer is full; the I/O thread waits for room.
    pub blocked: bool,
    /// The socket let go: the I/O thread has to hear when everything is written, whoever does that.
    pub closing: bool,
    /// When something was last sent, in nanoseconds of the connection's clock.
    pub last_send: u64,
    /// When the queue was last written out.
    pub last_flush: u64,
    /// Sends in close succession.
    pub dense: u8,
    /// Waiting for the kernel to take some of it was in vain.
    pub stubborn: bool,
}

/// Frames that grow: as [`Segment::Frames`], not opaque.
#[derive(Debug, Default)]
struct Tail {
    bytes: Vec<u8>,
    messages: u32,
    open: bool,
}

/// A piece of the send queue.
#[derive(Debug)]
pub enum Segment {
    /// Whole frames, or the header of the payload that follows.
    Frames {
        /// The bytes.
        bytes: Vec<u8>,
        /// Messages that end in them.
        messages: u32,
        /// The last frame has parts, or its payload, still to follow.
        open: bool,
        /// In an encoding that cannot be taken apart again.
        opaque: bool,
    },
    /// Whole frames that other queues have too.
    Portion(Arc<Portion>),
    /// The body of a frame whose header came before.
    Payload(Msg),
    /// A part that the connection has to encode.
    Message(Msg),
}

impl Segment {
    fn control(bytes: Vec<u8>) -> Segment {
        Segment::Frames { bytes, messages: 0, open: false, opaque: false }
    }
}

impl SendQueue {
    /// What the mark is compared with.
    #[inline]
    pub(super) fn pending(&self) -> usize {
        self.messages + self.unacknowledged
    }

    #[inline]
    pub(super) fn is_framed(&self) -> bool {
        self.framing != Framing::Apart
    }

    /// Appends a part, and takes it.
    #[inline]
    pub(super) fn push(&mut self, msg: &mut Msg) {
        debug_assert!(self.feed.is_none(), "what lies there comes before");
        let last = !msg.more();
        let size = msg.size();
        self.messages += usize::from(last);
        if !self.is_framed() || size >= BY_REFERENCE || msg.is_command() {
            self.push_whole(msg);
            return;
        }
        let flags = if last { 0 } else { frame::MORE };
        let tail = self.room_at_tail();
        let before = tail.bytes.len();
        frame::push(&mut tail.bytes, flags, msg.data());
        tail.messages += u32::from(last);
        tail.open = !last;
        self.bytes += self.tail.bytes.len() - before;
        msg.clear();
    }

    /// Appends a message of one part that is but these bytes; false where that takes more than writing a frame down
    /// behind others.
    #[inline]
    pub(super) fn push_bytes(&mut self, body: &[u8]) -> bool {
        let large = body.len() >= BY_REFERENCE || self.bytes > HEAVY;
        if !self.is_framed() || large || self.tail.open {
            return false;
        }
        let tail = self.room_at_tail();
        let before = tail.bytes.len();
        frame::push(&mut tail.bytes, 0, body);
        tail.messages += 1;
        self.bytes += self.tail.bytes.len() - before;
        self.messages += 1;
        true
    }

    /// Appends a message in whole frames.
    pub(super) fn push_framed(&mut self, frames: &[u8]) {
        if !self.is_framed() {
            unframed(frames).iter_mut().for_each(|part| self.push(part));
            return;
        }
        debug_assert!(!self.tail.open, "messages are appended whole");
        let tail = self.room_at_tail();
        tail.bytes.extend_from_slice(frames);
        tail.messages += 1;
        self.bytes += frames.len();
        self.messages += 1;
    }

    /// As [`SendQueue::push_bytes`], by a sender that may ([`SendQueue::express`]); false where there is no memory yet.
    #[inline(always)]
    pub(super) fn push_express(&mut self, body: &[u8]) -> bool {
        if !self.express || !self.push_at_tail(body) {
            return false;
        }
        self.tail.messages += 1;
        self.messages += 1;
        true
    }

    /// Frames a message in the memory that is there.
    #[inline(always)]
    fn push_at_tail(&mut self, body: &[u8]) -> bool {
        let bytes = &mut self.tail.bytes;
        let before = bytes.len();
        if body.len() > usize::from(u8::MAX) {
            if bytes.capacity() - before < frame::MAX_HEADER_LEN + body.len() {
                return false;
            }
            frame::push(bytes, 0, body);
        } else if !frame::push_within(bytes, 0, body) {
            return false;
        }
        self.bytes += bytes.len() - before;
        true
    }

    /// The next message is to be looked at again: how it is sent, or when it is written.
    pub fn end_express(&mut self) {
        self.express = false;
    }

    /// Memory to append frames to.
    #[inline]
    fn room_at_tail(&mut self) -> &mut Tail {
        if self.tail.bytes.len() >= SEGMENT {
            self.close_tail();
        }
        if self.tail.bytes.capacity() == 0 {
            self.tail.bytes = std::mem::take(&mut self.spare);
        }
        &mut self.tail
    }

    fn close_tail(&mut self) {
        if !self.tail.bytes.is_empty() {
            let Tail { bytes, messages, open } = std::mem::take(&mut self.tail);
            self.make_room();
            self.segments.push_back(Segment::Frames { bytes, messages, open, opaque: false });
        }
    }

    /// Appends a part that keeps its own memory: large ones, and those the connection encodes.
    fn push_whole(&mut self, msg: &mut Msg) {
        self.bytes += msg.size();
        if self.framing == Framing::Plain && !msg.is_command() {
            let flags = if msg.more() { frame::MORE } else { 0 };
            let mut bytes = std::mem::take(&mut self.spare);
            frame::push_header(&mut bytes, flags, msg.size());
            self.bytes += bytes.len();
            let header = Segment::Frames { bytes, messages: 0, open: true, opaque: false };
            self.append(header);
            self.append(Segment::Payload(msg.take()));
        } else {
            self.append(Segment::Message(msg.take()));
        }
    }

    /// Appends bytes that are no message: protocol commands.
    pub fn push_raw(&mut self, raw: Vec<u8>) {
        self.bytes += raw.len();
        if self.tail.open || self.tail.bytes.is_empty() || self.tail.bytes.len() >= SEGMENT {
            self.append(Segment::control(raw));
        } else {
            self.tail.bytes.extend_from_slice(&raw);
        }
    }

    /// Appends frames that other queues have too.
    pub(super) fn push_portion(&mut self, portion: &Arc<Portion>) {
        /// Less than this is copied into a queue that holds something already: a slow peer's should not become a list of
        /// crumbs.
        const CRUMB: usize = 512;
        self.messages += portion.messages as usize;
        self.bytes += portion.bytes.len();
        if portion.bytes.len() >= CRUMB || self.is_written() || self.tail.open {
            self.append(Segment::Portion(portion.clone()));
        } else {
            let tail = self.room_at_tail();
            tail.bytes.extend_from_slice(&portion.bytes);
            tail.messages += portion.messages;
        }
    }

    /// Appends bytes to be sent as they are, whatever the encoding.
    pub fn push_opaque(&mut self, raw: Vec<u8>) {
        self.bytes += raw.len();
        let back = Segment::Frames { bytes: raw, messages: 0, open: false, opaque: true };
        self.append(back);
    }

    /// Puts bytes in front of everything, to be sent as they are: what the handshake still has to say.
    pub fn push_raw_front(&mut self, raw: Vec<u8>) {
        self.bytes += raw.len();
        let front = Segment::Frames { bytes: raw, messages: 0, open: false, opaque: true };
        self.make_room();
        self.segments.push_front(front);
    }

    fn append(&mut self, segment: Segment) {
        self.close_tail();
        self.make_room();
        self.segments.push_back(segment);
    }

    /// The first segment is alone as often as not: room for more is made when there are more.
    fn make_room(&mut self) {
        if self.segments.capacity() == 0 {
            self.segments.reserve_exact(1);
        }
    }

    /// Everything, for the kernel; of what lies in a feed only what is at hand.
    pub fn take(&mut self) -> VecDeque<Segment> {
        self.catch_up(false);
        self.close_tail();
        self.link.taken = self.messages;
        std::mem::take(&mut self.segments)
    }

    /// Begins to write a message of so many bytes past the queue: nothing may be in front of it, and below `limit` there
    /// is room. False, with nothing done, where that is not so.
    pub fn begin_past(&mut self, limit: usize, bytes: usize) -> bool {
        let link = &self.link;
        let ready = link.open && !link.writing && !link.blocked && self.framing == Framing::Plain;
        if !ready || !self.is_empty() || self.pending() >= limit {
            return false;
        }
        self.express = false;
        self.messages += 1;
        self.bytes += bytes;
        self.link.taken = self.messages;
        self.link.writing = true;
        true
    }

    /// None of it went out, and it counts no more.
    pub fn undo_past(&mut self, bytes: usize) {
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
        self.link.taken = 0;
        self.link.writing = false;
    }

    /// What the kernel did not take, in front of what came since.
    pub fn give_back(&mut self, mut rest: VecDeque<Segment>) {
        self.link.taken = 0;
        if self.segments.capacity() == 0 {
            // As nearly always. There is nothing to drop, which the compiler cannot know.
            std::mem::forget(std::mem::replace(&mut self.segments, rest));
        } else if self.segments.is_empty() {
            self.segments = rest;
        } else {
            while let Some(segment) = rest.pop_back() {
                self.segments.push_front(segment);
            }
        }
    }

    /// Whether more waits than should for long.
    pub fn is_heavy(&self) -> bool {
        self.bytes > HEAVY / 2
    }

    /// A buffer for whoever encodes.
    pub fn take_spare(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.spare)
    }

    /// An emptied buffer for use again.
    pub fn recycle(&mut self, mut buffer: Vec<u8>, keep_large: bool) {
        const SMALL: usize = 512;
        if buffer.capacity() > self.spare.capacity() && (keep_large || buffer.capacity() <= SMALL) {
            buffer.clear();
            self.spare = buffer;
        }
    }

    /// Gives memory back that only a burst needed.
    pub fn shrink(&mut self) {
        self.spare = Vec::new();
        if self.is_written() {
            (self.segments, self.tail) = Default::default();
        }
    }

    /// Whether everything is in the kernel.
    pub fn is_done(&self) -> bool {
        self.is_empty() && !self.link.writing
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.is_written() && !self.lags()
    }

    /// Whether nothing waits but what may lie in a feed.
    pub fn is_written(&self) -> bool {
        self.segments.is_empty() && self.tail.bytes.is_empty()
    }

    /// Turns frames back into messages, for the next connection. A message of which anything went out
    /// already is dropped as a whole.
    pub fn unframe(&mut self) {
        let mut messages: VecDeque<Segment> = VecDeque::new();
        let mut skipping = std::mem::take(&mut self.head_open);
        let mut gone = std::mem::take(&mut self.head_offset);
        self.leave_feed();
        for segment in self.take() {
            match segment {
                // What was encoded is lost, and with it the message that ends after it.
                Segment::Frames { opaque: true, open, .. } => skipping = open,
                Segment::Message(msg) | Segment::Payload(msg) => {
                    let more = msg.more();
                    if skipping {
                        skipping = more;
                    } else {
                        messages.push_back(Segment::Message(msg));
                    }
                }
                Segment::Frames { bytes, .. } => {
                    skipping = unframe_segment(&bytes, gone, skipping, &mut messages);
                }
                Segment::Portion(portion) => {
                    skipping = unframe_segment(&portion.bytes, gone, skipping, &mut messages);
                }
            }
            gone = 0;
        }
        self.segments = messages;
        self.framing = Framing::Apart;
        self.express = false;
        self.recount();
    }

    /// Forgets everything that waits.
    pub fn clear(&mut self) {
        self.feed = None;
        self.segments.clear();
        self.tail = Tail::default();
        self.express = false;
        self.recount();
    }

    /// Forgets every message that waits but the one that the kernel may have in part. What the connection itself
    /// has to say stays: the peer waits for it, and TLS may have been offered it with what is in front of it.
    pub(super) fn clear_unbegun(&mut self) {
        self.close_tail();
        let begun = self.link.blocked || self.head_offset > 0 || self.head_open;
        let end = self.segments.iter().filter(|_| begun).position(|segment| match segment {
            Segment::Frames { open, .. } => !open,
            Segment::Portion(_) => true,
            Segment::Payload(msg) | Segment::Message(msg) => !msg.more(),
        });
        let mut begun = end.map_or(0, |end| end + 1);
        self.segments.retain(|segment| {
            let kept = begun > 0;
            begun = begun.saturating_sub(1);
            kept || matches!(
                segment,
                Segment::Frames { messages: 0, open: false, opaque: true, .. }
            )
        });
        self.recount();
    }

    /// The connection is gone: nothing of it matters to the next one.
    pub fn reset_head(&mut self) {
        self.head_offset = 0;
        self.head_open = false;
    }

    /// With nothing in `tail`.
    fn recount(&mut self) {
        (self.messages, self.bytes) = (0, 0);
        for segment in &self.segments {
            let (messages, bytes) = match segment {
                Segment::Message(msg) | Segment::Payload(msg) => {
                    (usize::from(!msg.more()), msg.size())
                }
                Segment::Frames { bytes, messages, .. } => (*messages as usize, bytes.len()),
                Segment::Portion(portion) => (portion.messages as usize, portion.bytes.len()),
            };
            self.messages += messages;
            self.bytes += bytes;
        }
    }
}

/// The parts that whole frames hold.
pub fn unframed(frames: &[u8]) -> Vec<Msg> {
    let mut parts = VecDeque::new();
    unframe_segment(frames, 0, false, &mut parts);
    let part = |segment| if let Segment::Message(part) = segment { Some(part) } else { None };
    parts.into_iter().filter_map(part).collect()
}

/// Takes one buffer of frames apart, of which the first `gone` bytes went out. `skipping` says, on the way
/// in and out, whether the message at that point is dropped.
fn unframe_segment(
    bytes: &[u8],
    gone: usize,
    mut skipping: bool,
    messages: &mut VecDeque<Segment>,
) -> bool {
    let mut at = 0;
    while let Some(header) = bytes.get(at..).and_then(frame::parse) {
        let more = header.flags & frame::MORE != 0;
        let body = at + header.header_len;
        let end = body + header.body_len as usize;
        if bytes.len() < end {
            // Only the header is here; its payload is the next segment.
            return skipping || at < gone;
        }
        if header.flags & frame::COMMAND == 0 {
            if at < gone || skipping {
                skipping = more;
            } else if let Ok(mut msg) = Msg::copy_of(&bytes[body..end]) {
                msg.set_more(more);
                messages.push_back(Segment::Message(msg));
            }
        }
        at = end;
    }
    skipping
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(queue: &mut SendQueue) -> Vec<&[u8]> {
        queue.close_tail();
        let bytes = queue.segments.iter().map(|segment| match segment {
            Segment::Frames { bytes, .. } => bytes.as_slice(),
            Segment::Portion(portion) => portion.bytes.as_slice(),
            Segment::Payload(msg) | Segment::Message(msg) => msg.data(),
        });
        bytes.collect()
    }

    /// A socket that keeps the newest message only sends while its connection has not said everything of the
    /// handshake: the peer would wait for the rest for ever.
    #[test]
    fn conflation_leaves_what_the_handshake_has_to_say() {
        let mut queue = SendQueue::default();
        queue.push(&mut Msg::copy_of(b"old").unwrap());
        queue.push_raw_front(b"READY".to_vec());
        queue.clear_unbegun();
        queue.push(&mut Msg::copy_of(b"new").unwrap());
        assert_eq!(whole(&mut queue), [&b"READY"[..], b"new"]);
        // Begun: a message goes out to its end, and what came after it is forgotten.
        queue.head_offset = 1;
        queue.clear_unbegun();
        assert_eq!(whole(&mut queue), [b"READY"]);
        assert_eq!((queue.messages, queue.bytes), (0, 5));
    }

    /// Behind the message begun, too: TLS may have been offered both, and reckons with being offered them again.
    #[test]
    fn conflation_leaves_what_the_connection_has_to_say() {
        let mut queue = SendQueue { framing: Framing::Encoded, ..SendQueue::default() };
        queue.push(&mut Msg::copy_of(b"begun").unwrap());
        queue.link.blocked = true;
        queue.push_opaque(b"PONG".to_vec());
        queue.push(&mut Msg::copy_of(b"old").unwrap());
        let before = whole(&mut queue).len();
        queue.clear_unbegun();
        queue.push(&mut Msg::copy_of(b"new").unwrap());
        let waiting = whole(&mut queue);
        assert_eq!(waiting.len(), before);
        assert!(waiting[0].ends_with(b"begun") && waiting[before - 1].ends_with(b"new"));
        assert_eq!(waiting[1], b"PONG");
    }

    #[test]
    fn a_message_passes_the_queue_only_where_nothing_is_before_it() {
        let mut queue = SendQueue { framing: Framing::Plain, ..SendQueue::default() };
        assert!(!queue.begin_past(2, 10), "no stream yet");
        queue.link.open = true;
        assert!(!queue.begin_past(0, 10), "no room");
        assert!(queue.begin_past(1, 10));
        assert_eq!((queue.pending(), queue.bytes, queue.link.taken), (1, 10, 1));
        assert!(!queue.begin_past(2, 10), "one is on its way");
        queue.undo_past(10);
        assert_eq!((queue.pending(), queue.bytes, queue.link.taken), (0, 0, 0));
        queue.link.blocked = true;
        assert!(!queue.begin_past(1, 10));
        queue.link.blocked = false;
        queue.push(&mut Msg::copy_of(b"first").unwrap());
        assert!(!queue.begin_past(9, 10));
        queue.framing = Framing::Encoded;
        queue.clear();
        assert!(!queue.begin_past(9, 10), "it is to be encrypted");
    }

    /// Part of it went out on a connection that broke: the next one must not get the rest.
    #[test]
    fn what_is_left_of_a_message_that_passed_goes_with_its_connection() {
        let mut queue = SendQueue { framing: Framing::Plain, ..SendQueue::default() };
        queue.link.open = true;
        assert!(queue.begin_past(9, 10));
        queue.push(&mut Msg::copy_of(b"next").unwrap());
        queue.give_back([Segment::Payload(Msg::copy_of(b"rest").unwrap())].into());
        queue.head_open = true;
        queue.unframe();
        assert_eq!(queue.messages, 1);
        assert_eq!(whole(&mut queue), [b"next"]);
    }
}
