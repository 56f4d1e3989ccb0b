//! Groups: who is in which, and the commands by which a DISH says so to a RADIO.
//!
//! A group's name is compared as a whole, and has at most 255 bytes.

use std::collections::{HashMap, HashSet};

use super::hash::KeyedState;
use crate::base::{Error, constants as c};
use crate::message::Msg;
use crate::pipe::PipeId;

/// The longest name of a group.
pub(super) const LONGEST: usize = c::ZMQ_GROUP_MAX_LENGTH as usize;

/// Bodies of ZMTP commands (RFC 48), up to the group's name.
const JOIN: &[u8] = b"\x04JOIN";
const LEAVE: &[u8] = b"\x05LEAVE";

/// What a DISH tells a RADIO.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change<'a> {
    Join(&'a [u8]),
    Leave(&'a [u8]),
}

impl<'a> Change<'a> {
    /// What a message from a DISH says, if it is a command about groups.
    pub(super) fn read(msg: &'a Msg) -> Option<Change<'a>> {
        let body = if msg.is_command() { msg.data() } else { return None };
        let change = match body.strip_prefix(JOIN) {
            Some(group) => Change::Join(group),
            None => Change::Leave(body.strip_prefix(LEAVE)?),
        };
        let (Change::Join(group) | Change::Leave(group)) = change;
        (group.len() <= LONGEST).then_some(change)
    }

    /// The message that says it.
    pub(super) fn write(&self) -> Result<Msg, Error> {
        let (name, group) = match self {
            Change::Join(group) => (JOIN, group),
            Change::Leave(group) => (LEAVE, group),
        };
        let mut msg = Msg::copy_of(&[name, group].concat())?;
        msg.set_command(true);
        Ok(msg)
    }
}

/// Which pipes get which groups.
#[derive(Default)]
pub(super) struct Members {
    by_group: HashMap<Box<[u8]>, Vec<PipeId>, KeyedState>,
    by_pipe: HashMap<PipeId, HashSet<Box<[u8]>, KeyedState>>,
}

impl Members {
    /// A peer joins a group; again changes nothing.
    pub(super) fn join(&mut self, group: &[u8], id: PipeId) {
        if self.by_pipe.entry(id).or_default().insert(group.into()) {
            self.by_group.entry(group.into()).or_default().push(id);
        }
    }

    /// A peer leaves a group, if it was in it.
    pub(super) fn leave(&mut self, group: &[u8], id: PipeId) {
        let Some(groups) = self.by_pipe.get_mut(&id) else { return };
        if groups.remove(group) {
            remove(&mut self.by_group, group, id);
        }
    }

    /// A peer is gone.
    pub(super) fn forget(&mut self, id: PipeId) {
        for group in self.by_pipe.remove(&id).unwrap_or_default() {
            remove(&mut self.by_group, &group, id);
        }
    }

    /// Who is in a group.
    pub(super) fn of(&self, group: &[u8]) -> &[PipeId] {
        self.by_group.get(group).map(Vec::as_slice).unwrap_or_default()
    }
}

fn remove(groups: &mut HashMap<Box<[u8]>, Vec<PipeId>, KeyedState>, group: &[u8], id: PipeId) {
    if let Some(members) = groups.get_mut(group) {
        members.retain(|member| *member != id);
        if members.is_empty() {
            groups.remove(group);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_as_they_are_written() {
        for change in [Change::Join(b"g"), Change::Leave(b"g"), Change::Join(b"")] {
            assert_eq!(Change::read(&change.write().expect("small")), Some(change));
        }
        let longest = [b'x'; LONGEST + 1];
        assert!(Change::read(&Change::Join(&longest[1..]).write().expect("memory")).is_some());
        assert!(Change::read(&Change::Join(&longest).write().expect("memory")).is_none());
        let mut data = Change::Join(b"g").write().expect("small");
        data.set_command(false);
        assert_eq!(Change::read(&data), None);
        let mut other = Msg::copy_of(b"\x04PING").expect("small");
        other.set_command(true);
        assert_eq!(Change::read(&other), None);
    }

    #[test]
    fn members_come_and_go() {
        let (one, two) = (PipeId(1), PipeId(2));
        let mut members = Members::default();
        members.join(b"a", one);
        members.join(b"a", one);
        members.join(b"a", two);
        members.join(b"b", two);
        assert_eq!(members.of(b"a"), [one, two]);
        assert!(members.of(b"ab").is_empty());
        members.leave(b"a", one);
        members.leave(b"a", one);
        members.leave(b"b", one);
        assert_eq!((members.of(b"a"), members.of(b"b")), (&[two][..], &[two][..]));
        members.forget(two);
        assert!(members.by_group.is_empty() && members.of(b"a").is_empty());
    }
}
