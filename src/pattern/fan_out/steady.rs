//! Publishing to the same many peers for one message after the other: each message is framed once, in a feed that all
//! connections among them write from, and in a broadcast that all others read.
//!
//! This saves going through all of them for every message. Peers whose connections cannot take part get theirs one by
//! one, as without a feed; so does everybody from the first message on that goes to others. How much room the peers
//! have is looked at when a feed begins: nobody else takes any of it, so that it lasts for as many messages.

use std::sync::Arc;

use super::full;
use crate::message::Msg;
use crate::pipe::feed::{self, Feed};
use crate::pipe::inproc::broadcast::Broadcast;
use crate::pipe::{self, PipeId, Pipes};

/// A feed for fewer members is not worth it.
const FEWEST: usize = 4;
/// Nor is a broadcast, where there is no feed.
const FEWEST_WITHIN: usize = 2;
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

/// A feed, or a broadcast, or both, and those who take part.
struct Fed {
    /// None without a connection that takes part.
    feed: Option<Arc<Feed>>,
    /// None without anybody else.
    broadcast: Option<Arc<Broadcast>>,
    members: Vec<PipeId>,
    /// The others of the peers.
    apart: Vec<PipeId>,
    /// So many more messages have room with all members.
    room: usize,
    carried: u32,
}

impl Fed {
    fn is_intact(&self) -> bool {
        self.feed.as_ref().is_none_or(|feed| feed.is_intact())
            && self.broadcast.as_ref().is_none_or(|broadcast| broadcast.is_intact())
    }

    #[inline]
    fn append<'a>(&mut self, parts: impl IntoIterator<Item = &'a Msg> + Clone) -> bool {
        let fits = self.broadcast.is_none() || parts.clone().into_iter().all(Broadcast::bears);
        let again = parts.clone();
        fits && self.append_to(|feed| feed.append(parts), |broadcast| broadcast.append(again))
    }

    #[inline]
    fn append_to(
        &mut self,
        feed: impl FnOnce(&Arc<Feed>) -> bool,
        broadcast: impl FnOnce(&Broadcast) -> bool,
    ) -> bool {
        // Only this thread ends a broadcast: what is in the feed comes there, too.
        let intact = self.broadcast.as_ref().is_none_or(|broadcast| broadcast.is_intact());
        let done = intact
            && self.feed.as_ref().is_none_or(feed)
            && self.broadcast.as_deref().is_none_or(broadcast);
        self.room -= usize::from(done);
        self.carried += u32::from(done);
        done
    }
}

impl Steady {
    /// Larger messages are not for a feed: it copies.
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
    /// `for_all`: a message that somebody has no room for is not sent at all.
    #[inline(never)]
    pub(super) fn consider(&mut self, pipes: &mut Pipes, chosen: &mut Vec<PipeId>, for_all: bool) {
        if self.peers != *chosen {
            self.end_feed();
            self.peers.clone_from(chosen);
            self.repeated = 0;
            return;
        }
        let goes_on = self.fed.as_ref().is_some_and(|fed| fed.room > 0 && fed.is_intact());
        if !goes_on {
            self.end_feed();
            self.repeated = self.repeated.saturating_add(1);
            let waits = self.repeated <= self.wait || for_all && full(&self.peers, pipes).is_some();
            if waits || !self.begin_feed(pipes) {
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
        let (feed, broadcast) = (Arc::<Feed>::default(), Arc::<Broadcast>::default());
        let (mut members, mut apart) = (Vec::new(), Vec::new());
        let (mut room, mut wires) = (feed::MOST, 0);
        for id in &self.peers {
            let Some(pipe) = pipes.get(*id) else { continue };
            match pipe.join(&feed, &broadcast) {
                Some(has) => {
                    room = room.min(has);
                    members.push(*id);
                    wires += usize::from(!pipe.is_inproc());
                }
                None => apart.push(*id),
            }
        }
        let fewest = if wires == 0 { FEWEST_WITHIN } else { FEWEST };
        // Marks may have changed at this moment.
        if members.len() < fewest || room == 0 {
            self.weigh(false);
            return false;
        }
        let feed = (wires > 0).then_some(feed);
        let broadcast = (members.len() > wires).then_some(broadcast);
        self.fed = Some(Box::new(Fed { feed, broadcast, members, apart, room, carried: 0 }));
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
        if (size <= Steady::LARGEST || fed.feed.is_none()) && fed.append(&parts) {
            return None;
        }
        fed.room = 0;
        Some(parts)
    }

    /// As [`Steady::feed`], the whole message, which is but these bytes; false where it is for each member by itself.
    #[inline]
    pub(super) fn feed_bytes(&mut self, bytes: &[u8]) -> bool {
        let Some(fed) = &mut self.fed else { return false };
        fed.append_to(|feed| feed.append_bytes(bytes), |broadcast| broadcast.append_bytes(bytes))
    }

    /// As [`Steady::feed`], the whole message in frames; false where it is for each member by itself.
    pub(super) fn feed_frames(&mut self, frames: &[u8]) -> bool {
        let Some(fed) = &mut self.fed else { return false };
        fed.append_to(
            |feed| feed.append_frames(frames),
            |broadcast| broadcast.append_frames(frames),
        )
    }

    /// How large a part of a message in frames may be: whoever is left in the end may have to be sent it.
    pub(super) fn frames_max(&self) -> usize {
        match &self.fed {
            Some(fed) if self.feeding && fed.broadcast.is_some() => {
                pipe::inproc::COPIED_TO_MANY_MAX
            }
            _ => usize::MAX,
        }
    }

    /// Who is in the feed.
    pub(super) fn members(&self) -> Vec<PipeId> {
        self.fed.as_ref().map(|fed| fed.members.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
