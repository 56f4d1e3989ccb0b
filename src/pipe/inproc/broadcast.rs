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
    log: BriefLock<Option<Broadcaster<Msg, Weak<Direction>>>>,
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
    /// Parts up to this size are copied.
    pub(super) const COPIED_MAX: usize = 1024;
    /// So are up to this size those that cannot be counted.
    const BYTES_MAX: usize = 4096;

    /// Whether this part may go here: with its bytes alone, or as it is, counted for all who read.
    #[inline]
    pub fn bears(part: &Msg) -> bool {
        (part.size() <= Broadcast::BYTES_MAX || part.is_plain_block()) && !part.is_addressed()
    }

    /// Appends a message, if it is not over. It bears all of its parts ([`Broadcast::bears`]).
    pub fn append<'a>(&self, parts: impl IntoIterator<Item = &'a Msg>) -> bool {
        self.append_with(|log| parts.into_iter().for_each(|part| push(log, part)))
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
    fn append_with(&self, write: impl FnOnce(&mut Broadcaster<Msg, Weak<Direction>>)) -> bool {
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

fn push(log: &mut Broadcaster<Msg, Weak<Direction>>, part: &Msg) {
    if part.size() > Broadcast::COPIED_MAX && log.push_counted(part) {
        return;
    }
    let flags = if part.more() { frame::MORE } else { 0 };
    if part.size() > Broadcast::BYTES_MAX {
        // It has more users than can be counted.
        let mut copy = Msg::new();
        copy.assign_plain(flags, part.data());
        log.push_counted(&copy);
        return;
    }
    log.push(flags, part.data());
}

fn tell(reader: &Weak<Direction>) {
    if let Some(direction) = reader.upgrade()
        && let Some(reader) = direction.reader.get()
    {
        reader.mailbox.post(Notice::Readable(reader.key));
    }
}
