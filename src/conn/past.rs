//! Writing a large message past the send queue, from the caller's memory: what the kernel takes at once is copied by
//! nobody else. How messages wait and are written otherwise is in `outbound`.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use super::connection::{Connection, batch};
use super::outbound::Encoding;
use crate::message::{Msg, frame};
use crate::pipe::wire::Segment;

impl Connection {
    /// See [`crate::pipe::Driver::write_past`].
    pub(super) fn write_message_past(&self, frames: &[u8], body: &[u8]) -> bool {
        let outlet = self.outlet.lock().clone();
        let Some((stream, Encoding::Zmtp(_))) = outlet else { return false };
        // Where the user bounds system calls there are others to make.
        if batch(self.shared.options.out_batch_size) != usize::MAX {
            return false;
        }
        let mut header = Vec::with_capacity(frames.len() + frame::MAX_HEADER_LEN);
        header.extend_from_slice(frames);
        frame::push_header(&mut header, 0, body.len());
        let total = header.len() + body.len();
        let mut queue = self.wire.send.lock();
        if !queue.begin_past(self.wire.send_limit(), total) {
            return false;
        }
        let fit = self.wants_fit(&mut queue);
        drop(queue);
        if fit {
            stream.fit_bulk();
        }
        let written = stream.write_vectored(&[IoSlice::new(&header), IoSlice::new(body)]);
        let rest = written.as_ref().map_or(Ok(None), |n| rest(&header, body, *n));
        let mut queue = self.wire.send.lock();
        let done = match (written, rest) {
            // The usual way finds out by itself what is the matter.
            (Err(_) | Ok(0), _) => {
                queue.undo_past(total);
                false
            }
            (Ok(n), Ok(rest)) => {
                let whole = rest.is_none();
                let (head, segments) = rest.unwrap_or_default();
                (queue.head_offset, queue.head_open) = head;
                queue.give_back(segments);
                self.wire.sent(&mut queue, usize::from(whole), n);
                queue.link.writing = false;
                true
            }
            (Ok(_), Err(error)) => {
                // There is no memory for what has to follow: the connection cannot go on, and as with any that breaks
                // the message that went out in part goes with it.
                queue.give_back(VecDeque::new());
                self.wire.sent(&mut queue, 1, total);
                queue.link.blocked = true;
                queue.link.writing = false;
                drop(queue);
                self.broken_outlet(stream, &io::Error::from_raw_os_error(error.errno()));
                return true;
            }
        };
        if queue.link.open && !queue.is_empty() {
            self.drain(queue);
        } else {
            self.tell_if_over(&queue);
        }
        done
    }
}

/// How much of the first segment is gone and whether it continues a message; and what is to be written.
type Rest = ((usize, bool), VecDeque<Segment>);

/// What of a message is left after `n` bytes; None: nothing.
fn rest(header: &[u8], body: &[u8], n: usize) -> Result<Option<Rest>, crate::base::Error> {
    match n.checked_sub(header.len()) {
        Some(gone) if gone >= body.len() => Ok(None),
        Some(gone) => {
            let payload = Segment::Payload(Msg::copy_of(&body[gone..])?);
            Ok(Some(((0, true), [payload].into())))
        }
        None => {
            let payload = Segment::Payload(Msg::copy_of(body)?);
            let bytes = header.to_vec();
            let header = Segment::Frames { bytes, messages: 0, open: true, opaque: false };
            Ok(Some(((n, false), [header, payload].into())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_did_not_take_is_left() {
        let (header, body) = ([1, 2, 3], [4, 5, 6, 7]);
        assert!(rest(&header, &body, 7).expect("memory").is_none());
        for n in 0..7 {
            let (head, segments) = rest(&header, &body, n).expect("memory").expect("a rest");
            let mut bytes: Vec<u8> = Vec::new();
            for segment in &segments {
                match segment {
                    Segment::Frames { bytes: frames, open: true, .. } => bytes.extend(frames),
                    Segment::Payload(msg) => bytes.extend(msg.data()),
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(bytes[head.0..], [&header[..], &body].concat()[n..], "after {n}");
            assert_eq!(head.1, n >= header.len(), "after {n}");
        }
    }
}
