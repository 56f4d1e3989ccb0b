//! XPUB: each message to all who subscribed to a topic it begins with; subscriptions as messages.

use std::collections::VecDeque;

use super::fan_out::FanOut;
use super::subscriptions::{Added, Removed, Subscribers};
use super::xsub::{SUBSCRIBE, UNSUBSCRIBE, control};
use super::{Attach, Pattern, switch};
use crate::base::{Error, constants as c};
use crate::message::Msg;
use crate::options::Options;
use crate::pipe::{PipeId, Pipes};

/// Parts read from subscribers in one go. The rest waits for the next call, so that a peer which never
/// stops sending does not keep the caller here; but what any honest number of subscribers asked for before
/// a send counts for that send.
const MOST_READ: usize = 1_000_000;

/// Subscriptions and their ends that are kept for the user to read, and bytes of them; beyond that the oldest are
/// forgotten. They have been applied, and who reads at all never comes near this.
const MOST_TOLD: usize = 1_000_000;
const MOST_TOLD_BYTES: usize = 64 << 20;

/// The state of an XPUB. A PUB has one inside.
#[repr(align(128))]
pub(super) struct XPub {
    out: FanOut,
    subscribers: Subscribers,
    /// What peers asked for while that is applied by hand.
    requests: Subscribers,
    inbox: Inbox,
    options: XPubOptions,
    /// Whose subscription was received last, while they are applied by hand.
    answering: Option<PipeId>,
    /// Who alone gets the next message (ZMQ_XPUB_MANUAL_LAST_VALUE).
    only_to: Option<PipeId>,
    /// A full pipe because of which a message was refused.
    blocked_by: Option<PipeId>,
    /// [`Pattern::send_bytes`] found no room. That is asked once for each message, as who was refused and asks again is
    /// told what has changed: [`Pattern::send`], which follows, refuses without asking.
    refused: bool,
    most_read: usize,
}

#[derive(Default)]
struct XPubOptions {
    verbose_subscribe: bool,
    verbose_unsubscribe: bool,
    no_drop: bool,
    manual: bool,
    manual_last_value: bool,
    only_first: bool,
    welcome: Vec<u8>,
    invert: bool,
}

/// What was read from subscribers, for the user.
///
/// Subscriptions are applied whether or not the user reads of them, so they do not hold up their senders; of a user
/// who does not read, the oldest are forgotten at a bound. Other messages do: beyond theirs their senders are not read
/// until the user has caught up.
struct Inbox {
    /// Nobody will read: a PUB.
    closed: bool,
    entries: VecDeque<Entry>,
    /// How many of the entries are parts of other messages.
    data_parts: usize,
    data_bound: usize,
    /// How many bytes the others have.
    told_bytes: usize,
    told_bound: usize,
    /// Pipes that may have input.
    unread: VecDeque<PipeId>,
    /// Pipes that are not read before the user has caught up.
    stalled: Vec<PipeId>,
}

struct Entry {
    msg: Msg,
    /// The peer, if it is still there.
    from: Option<PipeId>,
    is_data: bool,
}

impl XPub {
    pub(super) fn new(options: &Options) -> XPub {
        XPub {
            out: FanOut::default(),
            subscribers: Subscribers::default(),
            requests: Subscribers::default(),
            inbox: Inbox {
                closed: false,
                entries: VecDeque::new(),
                data_parts: 0,
                data_bound: match usize::try_from(options.rcvhwm) {
                    Ok(0) | Err(_) => usize::MAX,
                    Ok(bound) => bound,
                },
                told_bytes: 0,
                told_bound: MOST_TOLD,
                unread: VecDeque::new(),
                stalled: Vec::new(),
            },
            options: XPubOptions { invert: options.invert_matching, ..XPubOptions::default() },
            answering: None,
            only_to: None,
            blocked_by: None,
            refused: false,
            most_read: MOST_READ,
        }
    }

    /// One whose user cannot receive.
    pub(super) fn without_inbox(options: &Options) -> XPub {
        let mut xpub = XPub::new(options);
        xpub.inbox.closed = true;
        xpub
    }

    /// Reads what subscribers sent.
    fn catch_up(&mut self, pipes: &mut Pipes) {
        let mut left = self.most_read;
        while let Some(id) = self.inbox.unread.pop_front() {
            if !self.read_pipe(pipes, id, &mut left) {
                self.inbox.unread.push_back(id);
                return;
            }
        }
    }

    /// Reads one pipe; false when it is to be continued.
    fn read_pipe(&mut self, pipes: &mut Pipes, id: PipeId, left: &mut usize) -> bool {
        // Whether the parts to come may be subscriptions; decided by the first one.
        let mut examined = None;
        while let Some(msg) = pipes.get(id).and_then(|pipe| pipe.read()) {
            let more = msg.more();
            let is_subscription = examined != Some(false)
                && matches!(msg.data().first(), Some(&(SUBSCRIBE | UNSUBSCRIBE)));
            examined.get_or_insert(is_subscription || !self.options.only_first);
            if is_subscription {
                self.take_subscription(id, msg);
            } else {
                self.inbox.push(msg, Some(id), true);
            }
            *left = left.saturating_sub(1);
            if more {
                continue;
            }
            examined = None;
            if !is_subscription && self.inbox.data_parts >= self.inbox.data_bound {
                self.inbox.stalled.push(id);
                return true;
            }
            if *left == 0 {
                return false;
            }
        }
        true
    }

    fn take_subscription(&mut self, id: PipeId, mut msg: Msg) {
        let Some((kind, topic)) = msg.data().split_first() else { return };
        let subscribes = *kind == SUBSCRIBE;
        let tell = if self.options.manual {
            // Without memory the request is forgotten, and the peer's end will not undo it.
            if subscribes {
                self.requests.add(topic, id).ok();
            } else {
                self.requests.remove(topic, id);
            }
            true
        } else if subscribes {
            match self.subscribers.add(topic, id) {
                Ok(added) => added == Added::First || self.options.verbose_subscribe,
                Err(_) => false,
            }
        } else {
            let removed = self.subscribers.remove(topic, id);
            removed != Removed::StillWanted || self.options.verbose_unsubscribe
        };
        if tell {
            msg.set_more(false);
            msg.set_command(false);
            self.inbox.push(msg, Some(id), false);
        }
    }

    /// Chooses who gets the message that begins with `data`.
    fn choose(&mut self, pipes: &mut Pipes, data: &[u8]) -> Result<(), Error> {
        self.out.begin();
        let out = &mut self.out;
        match self.only_to.filter(|_| self.options.manual_last_value) {
            Some(only) => self.subscribers.matching(data, |id| {
                if id == only {
                    out.choose(id);
                }
            }),
            None => self.subscribers.matching(data, |id| out.choose(id)),
        }
        if self.options.invert {
            self.out.invert();
        }
        // Who must neither wait nor drop meets the mark by what it last saw of the room, pipe by pipe.
        if !(self.options.no_drop && pipes.is_hurried()) {
            self.out.share_frames(pipes, data.len(), self.options.no_drop);
        }
        if self.options.no_drop {
            self.blocked_by = self.out.full(pipes);
            if self.blocked_by.is_some() {
                return Err(Error::Again);
            }
        }
        Ok(())
    }
}

impl Inbox {
    fn push(&mut self, msg: Msg, from: Option<PipeId>, is_data: bool) {
        if self.closed {
            return;
        }
        if is_data {
            self.data_parts += 1;
        } else {
            self.told_bytes += msg.size();
        }
        self.entries.push_back(Entry { msg, from, is_data });
        if !is_data {
            self.forget_oldest();
        }
    }

    /// Forgets subscriptions beyond the bound, but for the last.
    fn forget_oldest(&mut self) {
        loop {
            let told = self.entries.len() - self.data_parts;
            let fits = told <= self.told_bound && self.told_bytes <= MOST_TOLD_BYTES;
            if fits || told <= 1 {
                return;
            }
            // The data parts before it have a bound of their own.
            let oldest = self.entries.iter().position(|entry| !entry.is_data);
            let Some(entry) = oldest.and_then(|at| self.entries.remove(at)) else { return };
            self.told_bytes -= entry.msg.size();
        }
    }

    fn pop(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        if entry.is_data {
            self.data_parts -= 1;
        } else {
            self.told_bytes -= entry.msg.size();
        }
        if self.data_parts <= self.data_bound / 2 {
            self.unread.extend(self.stalled.drain(..));
        }
        Some(entry)
    }

    /// Nothing is to be read from this pipe any more, nor does it answer to what it sent.
    fn forget(&mut self, id: PipeId) {
        self.unread.retain(|other| *other != id);
        self.stalled.retain(|other| *other != id);
        for entry in &mut self.entries {
            if entry.from == Some(id) {
                entry.from = None;
            }
        }
    }
}

impl Pattern for XPub {
    fn attach(&mut self, pipes: &mut Pipes, id: PipeId, how: Attach) {
        self.out.attach(id);
        if how.subscribe_to_all {
            self.subscribe_to_all(pipes, id);
        }
        if how.to_group {
            // Nobody asked for it, so that the user is not told. Without memory for it the group hears nothing.
            self.subscribers.add(b"", id).ok();
        }
        if !self.options.welcome.is_empty()
            && let (Some(pipe), Ok(msg)) = (pipes.get(id), Msg::copy_of(&self.options.welcome))
        {
            pipe.write_control(msg);
            pipe.flush();
        }
        self.readable(pipes, id);
    }

    fn subscribe_to_all(&mut self, _pipes: &mut Pipes, id: PipeId) {
        // As if the peer had asked. Without memory for it the peer gets nothing, as with any other
        // subscription.
        if let Ok(everything) = Msg::copy_of(&[SUBSCRIBE]) {
            self.take_subscription(id, everything);
        }
    }

    fn readable(&mut self, pipes: &mut Pipes, id: PipeId) {
        if !self.inbox.stalled.contains(&id) && !self.inbox.unread.contains(&id) {
            self.inbox.unread.push_back(id);
        }
        self.catch_up(pipes);
    }

    fn writable(&mut self, _pipes: &mut Pipes, _id: PipeId) {}

    fn detach(&mut self, _pipes: &mut Pipes, id: PipeId) {
        self.out.detach(id);
        self.inbox.forget(id);
        for place in [&mut self.answering, &mut self.only_to, &mut self.blocked_by] {
            if *place == Some(id) {
                *place = None;
            }
        }
        let (manual, all) = (self.options.manual, self.options.verbose_unsubscribe);
        let inbox = &mut self.inbox;
        let mut tell = |topic: &[u8]| {
            if let Some(Ok(mut msg)) = (!inbox.closed).then(|| control(UNSUBSCRIBE, topic)) {
                msg.set_command(false);
                inbox.push(msg, None, false);
            }
        };
        self.requests.remove_peer(id, |topic, _| {
            if manual {
                tell(topic);
            }
        });
        self.subscribers.remove_peer(id, |topic, last| {
            if !manual && (last || all) {
                tell(topic);
            }
        });
    }

    fn send(&mut self, pipes: &mut Pipes, msg: &mut Msg) -> Result<(), Error> {
        if std::mem::take(&mut self.refused) {
            return Err(Error::Again);
        }
        if !self.inbox.unread.is_empty() {
            self.catch_up(pipes);
        }
        if !self.out.is_amid_message() {
            self.choose(pipes, msg.data())?;
        }
        self.out.send(pipes, msg);
        if !self.out.is_amid_message() {
            self.only_to = None;
        }
        Ok(())
    }

    fn send_bytes(&mut self, pipes: &mut Pipes, bytes: &[u8], more: bool) -> bool {
        self.refused = false;
        if self.out.is_amid_message() {
            let taken = self.out.is_gathering() && self.out.gather(pipes, bytes, more);
            if taken && !more {
                self.only_to = None;
            }
            return taken;
        }
        if !more && bytes.len() > FanOut::BYTES_MAX {
            return false;
        }
        if !self.inbox.unread.is_empty() {
            self.catch_up(pipes);
        }
        self.refused = self.choose(pipes, bytes).is_err();
        if self.refused {
            return false;
        }
        if more {
            // What does not fit is sent by the way for all parts, and so is what follows.
            return self.out.begin_gathering(pipes) && self.out.gather(pipes, bytes, true);
        }
        self.out.send_bytes(pipes, bytes);
        self.only_to = None;
        true
    }

    fn recv(&mut self, pipes: &mut Pipes) -> Result<Msg, Error> {
        if !self.can_recv(pipes) {
            return Err(Error::Again);
        }
        let entry = self.inbox.pop().ok_or(Error::Again)?;
        if self.options.manual {
            self.answering = entry.from.filter(|_| !entry.is_data);
            self.only_to = self.answering;
        }
        Ok(entry.msg)
    }

    fn can_recv(&mut self, pipes: &mut Pipes) -> bool {
        while self.inbox.entries.is_empty() && !self.inbox.unread.is_empty() {
            self.catch_up(pipes);
        }
        !self.inbox.entries.is_empty()
    }

    /// With ZMQ_XPUB_NODROP, not before the peer that made the last attempt fail has room.
    fn can_send(&mut self, pipes: &mut Pipes) -> bool {
        let blocking = self.blocked_by.and_then(|id| pipes.get(id));
        if blocking.is_none_or(|pipe| pipe.check_write() || pipe.ended()) {
            self.blocked_by = None;
        }
        self.blocked_by.is_none() || !self.options.no_drop
    }

    fn set(&mut self, _pipes: &mut Pipes, option: i32, value: &[u8]) -> Result<(), Error> {
        let options = &mut self.options;
        match option {
            c::ZMQ_XPUB_VERBOSE => {
                options.verbose_subscribe = switch(value)?;
                options.verbose_unsubscribe = false;
            }
            c::ZMQ_XPUB_VERBOSER => {
                options.verbose_subscribe = switch(value)?;
                options.verbose_unsubscribe = options.verbose_subscribe;
            }
            c::ZMQ_XPUB_NODROP => options.no_drop = switch(value)?,
            c::ZMQ_XPUB_MANUAL => options.manual = switch(value)?,
            c::ZMQ_XPUB_MANUAL_LAST_VALUE => {
                options.manual = switch(value)?;
                options.manual_last_value = options.manual;
            }
            c::ZMQ_ONLY_FIRST_SUBSCRIBE => options.only_first = switch(value)?,
            c::ZMQ_XPUB_WELCOME_MSG => options.welcome = value.to_vec(),
            c::ZMQ_SUBSCRIBE if options.manual => {
                if let Some(id) = self.answering {
                    self.subscribers.add(value, id)?;
                }
            }
            c::ZMQ_UNSUBSCRIBE if options.manual => {
                if let Some(id) = self.answering {
                    self.subscribers.remove(value, id);
                }
            }
            _ => return Err(Error::Invalid),
        }
        Ok(())
    }

    fn topics_count(&self) -> Result<i32, Error> {
        Ok(i32::try_from(self.subscribers.len()).unwrap_or(i32::MAX))
    }

    fn set_invert_matching(&mut self, on: bool) {
        self.options.invert = on;
    }
}

#[cfg(test)]
mod tests;
