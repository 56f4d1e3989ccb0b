//! Publishing to the same many peers for one message after the other: each message is framed once, in a feed that all
//! of them write from.
//!
//! This saves going through all of them for every message. Peers whose connections cannot take part get theirs one by
//! one, as without a feed; so does everybody from the first message on that goes to others. How much room the peers
//! have is looked at when a feed begins: nobody else takes any of it, so that it lasts for as many messages.

use std::sync::Arc;

use crate::message::Msg;
use crate::pipe::feed::{self, Feed};
use crate::pipe::{PipeId, Pipes};

/// A feed for fewer members is not worth it.
const FEWEST: usize = 4;
/// One that has carried so many messages was worth beginning.
const WORTH: u32 = 16;
/// Where feeds end early the next one is begun after up to so many messages to the same peers.
const LONGEST_WAIT: u32 = 32;

/// What is known of the peers that messages go to.
#[derive(Default)]
pub(super) struct Steady {
    /// Who was chosen for the last message that went to many.
    peers: Vec<PipeId>,
    /// How many messages before that went to the same.
    repeated: u32,
    /// A feed is begun after one more than this.
    wait: u32,
    fed: Option<Box<Fed>>,
    /// The message under way is for the feed, too.
    feeding: bool,
    /// Its parts so far, where it has several.
    parts: Vec<Msg>,
}

/// A feed and those who take part.
struct Fed {
    feed: Arc<Feed>,
    members: Vec<PipeId>,
    /// The others of the peers.
    apart: Vec<PipeId>,
    /// So many more messages have room with all members.
    room: usize,
    carried: u32,
}

impl Fed {
    #[inline]
    fn append<'a>(&mut self, parts: impl IntoIterator<Item = &'a Msg>) -> bool {
        let done = self.feed.append(parts);
        self.count(done)
    }

    #[inline]
    fn count(&mut self, done: bool) -> bool {
        self.room -= usize::from(done);
        self.carried += u32::from(done);
        done
    }
}

impl Steady {
    /// Larger messages are not copied.
    pub(super) const LARGEST: usize = 8 * 1024 - 1;

    /// This pipe is gone, or its part of the message under way.
    pub(super) fn forget(&mut self, id: PipeId) {
        // Whoever comes in its place is no member.
        self.peers.clear();
        if let Some(fed) = &mut self.fed {
            fed.members.retain(|member| *member != id);
            fed.apart.retain(|other| *other != id);
        }
    }

    /// Whether the message under way is for the feed.
    #[inline]
    pub(super) fn is_feeding(&self) -> bool {
        self.feeding
    }

    /// The next message is another one.
    #[inline]
    pub(super) fn end_message(&mut self) {
        self.feeding = false;
        self.parts.clear();
    }

    /// Many are chosen for a message: those who get it by the feed are taken out of `chosen`.
    pub(super) fn consider(&mut self, pipes: &mut Pipes, chosen: &mut Vec<PipeId>) {
        if self.peers != *chosen {
            self.end_feed();
            self.peers.clone_from(chosen);
            self.repeated = 0;
            return;
        }
        let goes_on = self.fed.as_ref().is_some_and(|fed| fed.room > 0 && fed.feed.is_intact());
        if !goes_on {
            self.end_feed();
            self.repeated += 1;
            if self.repeated <= self.wait || !self.begin_feed(pipes) {
                return;
            }
        }
        if let Some(fed) = &self.fed {
            chosen.clone_from(&fed.apart);
            self.feeding = true;
        }
    }

    fn end_feed(&mut self) {
        if let Some(fed) = self.fed.take() {
            self.weigh(fed.carried >= WORTH);
        }
    }

    fn weigh(&mut self, worth: bool) {
        self.wait = if worth { 0 } else { (2 * self.wait + 1).min(LONGEST_WAIT) };
        self.repeated = 0;
    }

    fn begin_feed(&mut self, pipes: &mut Pipes) -> bool {
        let feed = Arc::<Feed>::default();
        let (mut members, mut apart) = (Vec::new(), Vec::new());
        let mut room = feed::MOST;
        for id in &self.peers {
            match pipes.get(*id).and_then(|pipe| pipe.join(&feed)) {
                Some(has) => {
                    room = room.min(has);
                    members.push(*id);
                }
                None => apart.push(*id),
            }
        }
        if members.len() < FEWEST {
            self.weigh(false);
            return false;
        }
        self.fed = Some(Box::new(Fed { feed, members, apart, room, carried: 0 }));
        true
    }

    /// Takes a part of the message under way into the feed. Where the message is for each of [`Steady::members`] by
    /// itself after all, its parts are given back: one of them has left, or it has become too large.
    pub(super) fn feed(&mut self, msg: &mut Msg) -> Option<Vec<Msg>> {
        let fed = self.fed.as_mut()?;
        if self.parts.is_empty() && !msg.more() && fed.append([&*msg]) {
            return None;
        }
        let more = msg.more();
        match msg.share() {
            Ok(part) => self.parts.push(part),
            // Without memory for it members miss the message.
            Err(_) => {
                self.end_message();
                return None;
            }
        }
        if more {
            return None;
        }
        let parts = std::mem::take(&mut self.parts);
        let size: usize = parts.iter().map(Msg::size).sum();
        if size <= Steady::LARGEST && fed.append(&parts) {
            return None;
        }
        fed.room = 0;
        Some(parts)
    }

    /// As [`Steady::feed`], the whole message, which is but these bytes; false where it is for each member by itself.
    #[inline]
    pub(super) fn feed_bytes(&mut self, bytes: &[u8]) -> bool {
        let Some(fed) = &mut self.fed else { return false };
        let done = fed.feed.append_bytes(bytes);
        fed.count(done)
    }

    /// As [`Steady::feed`], the whole message in frames; false where it is for each member by itself.
    pub(super) fn feed_frames(&mut self, frames: &[u8]) -> bool {
        let Some(fed) = &mut self.fed else { return false };
        let done = fed.feed.append_frames(frames);
        fed.count(done)
    }

    /// Who is in the feed.
    pub(super) fn members(&self) -> Vec<PipeId> {
        self.fed.as_ref().map(|fed| fed.members.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
