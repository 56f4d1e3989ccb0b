//! What was received and waits to be read: runs of frames in chunks, and parts by themselves.
//!
//! Who receives and who reads is `wire`'s business; what the frames of a run look like was checked by the connection.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::message::{Metadata, Msg, frame};
use crate::sync::expect;

/// Received payloads from this size share the chunk they came in; smaller ones are copied, so that a
/// message that is kept does not keep a chunk many times its size.
const SHARE_CHUNK: usize = 1024;
/// Memory comes in so many bytes.
const LINE: usize = 64;

/// A piece of the receive queue.
#[derive(Debug)]
pub enum Item {
    /// Frames of whole messages in one chunk.
    Batch(Batch),
    /// One part.
    Message(Msg),
    /// The peer's messages carry this from here on.
    Peer(Arc<Metadata>),
}

/// Consecutive frames in a chunk.
#[derive(Debug)]
pub struct Batch {
    /// The bytes as they were received.
    pub chunk: Arc<Vec<u8>>,
    /// Where the next frame begins.
    pub at: usize,
    /// Where the last one ends.
    pub end: usize,
}

impl Batch {
    /// Takes the next part out into `msg`; false at the end.
    #[inline]
    pub(super) fn next(&mut self, msg: &mut Msg) -> bool {
        let Some(header) = self.chunk.get(self.at..self.end).and_then(frame::parse) else {
            return false;
        };
        let start = self.at + header.header_len;
        let stop = start + header.body_len as usize;
        let Some(body) = self.chunk.get(start..stop) else { return false };
        expect(&self.chunk, stop + LINE);
        if body.len() >= SHARE_CHUNK {
            *msg = Msg::slice_of(&self.chunk, start..stop);
        } else if msg.assign(body).is_err() {
            return false;
        }
        if header.flags & frame::MORE != 0 {
            msg.set_more(true);
        }
        self.at = stop;
        true
    }

    /// The body of the next part, where it ends, and whether another part of the same message follows.
    #[inline(always)]
    pub(super) fn part(&self) -> Option<(&[u8], usize, bool)> {
        let header = self.chunk.get(self.at..self.end).and_then(frame::parse)?;
        let start = self.at + header.header_len;
        let stop = start + header.body_len as usize;
        let body = self.chunk.get(start..stop)?;
        // What follows is in another processor's cache, or in none. Who reads many sockets in turn finds it here when
        // it comes back.
        expect(&self.chunk, stop + LINE);
        Some((body, stop, header.flags & frame::MORE != 0))
    }
}

/// Of everything that waits only the last part remains, and whom it is from.
pub(super) fn keep_newest(queue: &mut VecDeque<Item>, fresh: &mut Vec<Item>) {
    let Some(last) = fresh.pop() else { return };
    fresh.clear();
    let peer = queue.drain(..).rev().find(|item| matches!(item, Item::Peer(_)));
    queue.extend(peer);
    match last {
        Item::Message(_) | Item::Peer(_) => queue.push_back(last),
        Item::Batch(mut batch) => {
            let mut newest = Msg::new();
            while batch.next(&mut newest) {}
            queue.push_back(Item::Message(newest));
        }
    }
}

/// Takes note of whom the next message is from, so that what is left begins with one.
#[inline]
pub(super) fn meet(items: &mut VecDeque<Item>, metadata: &mut Option<Arc<Metadata>>) {
    while let Some(Item::Peer(_)) = items.front()
        && let Some(Item::Peer(peer)) = items.pop_front()
    {
        *metadata = Some(peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_read_where_it_lies() {
        let mut bytes = Vec::new();
        frame::push(&mut bytes, 0, b"short");
        frame::push(&mut bytes, 0, &[7; 2000]);
        frame::push(&mut bytes, frame::MORE, b"first of two");
        frame::push(&mut bytes, 0, b"");
        let end = bytes.len();
        frame::push(&mut bytes, 0, b"not of this run");
        let mut batch = Batch { chunk: Arc::new(bytes), at: 0, end };
        for expected in [&b"short"[..], &[7; 2000]] {
            let (body, stop, more) = batch.part().expect("one part");
            assert_eq!((body, more), (expected, false));
            batch.at = stop;
        }
        assert!(batch.part().is_some_and(|(body, _, more)| more && body == b"first of two"));
        let mut msg = Msg::new();
        assert!(batch.next(&mut msg) && msg.more());
        assert_eq!(batch.part(), Some((&b""[..], end, false)));
        batch.at = end;
        assert!(batch.part().is_none() && !batch.next(&mut msg));
    }
}
