//! One log for many subscribers in the same context: what all of them are to get is laid down once, and each reads it
//! from there.
//!
//! It is to inproc pipes what a [`super::super::feed`] is to connections. Who takes part, and which messages go there, is
//! the pattern's. A pipe that is given anything else ends the broadcast for all.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use super::Direction;
use crate::message::{Msg, frame};
use crate::pipe::Notice;
use crate::sync::{BriefLock, Broadcaster};

/// The log. Its one writer is the thread that has the publisher.
pub struct Broadcast {
    /// None once it is over.
    log: BriefLock<Option<Broadcaster<Weak<Direction>>>>,
    /// Messages so far.
    appended: AtomicU64,
    intact: AtomicBool,
}

impl Default for Broadcast {
    fn default() -> Broadcast {
        Broadcast {
            log: BriefLock::new(Some(Broadcaster::default())),
            appended: AtomicU64::new(0),
            intact: AtomicBool::new(true),
        }
    }
}

impl Broadcast {
    /// A part may have so many bytes: larger ones are better shared than copied.
    pub const PART_MAX: usize = 4096;

    /// Appends a message, if it is not over; no part of it is larger than [`Broadcast::PART_MAX`].
    pub fn append<'a>(&self, parts: impl IntoIterator<Item = &'a Msg>) -> bool {
        self.append_with(|log| {
            for part in parts {
                let flags = if part.more() { frame::MORE } else { 0 };
                log.push(flags, part.data());
            }
        })
    }

    /// As [`Broadcast::append`], a message of one part that is but these bytes.
    #[inline]
    pub fn append_bytes(&self, bytes: &[u8]) -> bool {
        self.append_with(|log| log.push(0, bytes))
    }

    /// As [`Broadcast::append`], a message in whole frames.
    pub fn append_frames(&self, frames: &[u8]) -> bool {
        self.append_with(|log| {
            for (header, body) in frame::walk(frames) {
                log.push(header.flags & frame::MORE, body);
            }
        })
    }

    #[inline]
    fn append_with(&self, write: impl FnOnce(&mut Broadcaster<Weak<Direction>>)) -> bool {
        let mut log = self.log.lock();
        let Some(log) = log.as_mut() else { return false };
        write(log);
        // Only the publisher counts.
        self.appended.store(self.appended.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        log.publish(tell);
        true
    }

    /// Whether all who joined take part still, and have the room that they had then.
    #[inline]
    pub fn is_intact(&self) -> bool {
        self.intact.load(Ordering::Acquire)
    }

    /// A reader has another mark: the room has to be asked for anew.
    pub(super) fn unsettle(&self) {
        self.intact.store(false, Ordering::Release);
    }

    /// How many messages went here.
    #[inline]
    pub(super) fn appended(&self) -> u64 {
        self.appended.load(Ordering::Relaxed)
    }

    /// Nothing more comes: readers go on with their pipes.
    pub(super) fn end(&self) {
        self.unsettle();
        if let Some(log) = self.log.lock().take() {
            log.end(tell);
        }
    }

    /// The reader of this direction takes part. Before anything was appended.
    pub(super) fn join(self: &Arc<Broadcast>, direction: &Arc<Direction>) -> bool {
        let mut log = self.log.lock();
        let Some(log) = log.as_mut() else { return false };
        direction.joined.push(log.listener(Arc::downgrade(direction)), self);
        true
    }
}

fn tell(reader: &Weak<Direction>) {
    if let Some(direction) = reader.upgrade()
        && let Some(reader) = direction.reader.get()
    {
        reader.mailbox.post(Notice::Readable(reader.key));
    }
}
