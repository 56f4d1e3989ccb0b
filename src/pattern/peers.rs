//! The peers of ROUTER, REP and STREAM: their names, and what they send.
//!
//! What is sent to a peer, and what goes with its name, is the socket type's business.

use std::collections::HashMap;

use super::fair_queue::FairQueue;
use super::hash::KeyedState;
use super::{copy_out, switch};
use crate::base::{Error, constants as c};
use crate::message::Msg;
use crate::options::non_negative;
use crate::pipe::{PipeId, Pipes, Urgency};

/// A peer that announced no name gets one of this length: a zero byte and a counter.
const AUTO_ID_LEN: usize = 5;

/// The named peers of a socket. Pipes without a name are not read.
pub(super) struct Peers {
    by_name: HashMap<Box<[u8]>, PipeId, KeyedState>,
    next_auto_id: u32,
    pub(super) input: FairQueue,
    pub(super) options: RouterOptions,
    /// Who got the last message.
    flushed: Option<PipeId>,
}

/// The options of a ROUTER, which a REP has as well.
#[derive(Default)]
pub(super) struct RouterOptions {
    pub(super) mandatory: bool,
    /// Peers speak plain bytes.
    pub(super) raw: bool,
    /// As `raw`, but once on it stays on: connections go by this.
    pub(super) raw_connections: bool,
    pub(super) notify: i32,
    pub(super) connect_routing_id: Option<Vec<u8>>,
    handover: bool,
    probe: bool,
}

impl Default for Peers {
    fn default() -> Peers {
        Peers {
            by_name: HashMap::default(),
            next_auto_id: fastrand::u32(..),
            input: FairQueue::default(),
            options: RouterOptions::default(),
            flushed: None,
        }
    }
}

impl Peers {
    /// A new pipe. Its peer has no name yet, unless this socket's user chose one.
    pub(super) fn attach(&mut self, pipes: &mut Pipes, id: PipeId, assigned: Option<Vec<u8>>) {
        if self.options.probe && !self.options.raw {
            probe(pipes, id);
        }
        if let Some(name) = assigned
            && !self.is_taken(pipes, &name)
        {
            self.name(pipes, id, name.into());
        }
    }

    /// The peer announced its name; only the first announcement of a pipe counts. A name that another
    /// peer has leaves this one nameless, if the other is not to hand it over.
    pub(super) fn identify(&mut self, pipes: &mut Pipes, id: PipeId, name: &[u8]) {
        if self.has_name(pipes, id) {
            return;
        }
        if name.is_empty() {
            self.identify_auto(pipes, id);
            return;
        }
        if self.is_taken(pipes, name) {
            if !self.options.handover {
                return;
            }
            self.evict(pipes, name);
        }
        self.name(pipes, id, name.into());
    }

    /// Names a peer that announced no name; what it is called now.
    pub(super) fn identify_auto(
        &mut self,
        pipes: &mut Pipes,
        id: PipeId,
    ) -> Option<[u8; AUTO_ID_LEN]> {
        if self.has_name(pipes, id) {
            return None;
        }
        let name = self.fresh_id();
        self.name(pipes, id, name.into());
        Some(name)
    }

    /// Forgets a pipe.
    pub(super) fn detach(&mut self, pipes: &mut Pipes, id: PipeId) {
        if let Some(pipe) = pipes.get(id) {
            // The name may be another's by now.
            if self.by_name.get(pipe.routing_id()) == Some(&id) {
                self.by_name.remove(pipe.routing_id());
            }
        }
        self.input.detach(id);
    }

    /// The peer with this name.
    #[inline]
    pub(super) fn find(&self, name: &[u8]) -> Option<PipeId> {
        self.by_name.get(name).copied()
    }

    /// Whether the pipe's peer has a name, and so is read.
    pub(super) fn has_name(&self, pipes: &mut Pipes, id: PipeId) -> bool {
        pipes.get(id).is_some_and(|pipe| !pipe.routing_id().is_empty())
    }

    /// Whether any peer has room.
    pub(super) fn any_writable(&self, pipes: &mut Pipes) -> bool {
        self.by_name.values().any(|id| pipes.get(*id).is_some_and(|pipe| pipe.check_write()))
    }

    /// Hands on a message that is complete.
    pub(super) fn flush(&mut self, pipes: &mut Pipes, id: PipeId) {
        let urgency = self.urgency(pipes, id);
        if let Some(pipe) = pipes.get(id) {
            pipe.flush_with(urgency);
        }
    }

    /// When the message to a peer that is about to be complete should go out. With more to read the user is not about to
    /// wait, and the next messages may be for others: then writing is left to the I/O thread, which gathers them.
    pub(super) fn urgency(&mut self, pipes: &mut Pipes, id: PipeId) -> Urgency {
        let again = self.flushed.replace(id) == Some(id);
        match self.input.can_recv(pipes) {
            false => Urgency::Auto,
            true if again => Urgency::Soon,
            true => Urgency::Later,
        }
    }

    /// The poll events that sending to a peer is ready for.
    pub(super) fn state(&self, pipes: &mut Pipes, name: &[u8]) -> Result<i32, Error> {
        let id = self.find(name).ok_or(Error::HostUnreachable)?;
        let writable = pipes.get(id).is_some_and(|pipe| pipe.check_write());
        Ok(if writable { c::ZMQ_POLLOUT } else { 0 })
    }

    /// Sets an option of the ROUTER family.
    pub(super) fn set(
        &mut self,
        pipes: &mut Pipes,
        option: i32,
        value: &[u8],
    ) -> Result<(), Error> {
        let options = &mut self.options;
        match option {
            c::ZMQ_ROUTER_MANDATORY => options.mandatory = switch(value)?,
            c::ZMQ_ROUTER_HANDOVER => options.handover = switch(value)?,
            c::ZMQ_PROBE_ROUTER => options.probe = switch(value)?,
            c::ZMQ_ROUTER_RAW => {
                options.raw = switch(value)?;
                options.raw_connections |= options.raw;
            }
            c::ZMQ_ROUTER_NOTIFY => {
                let known = c::ZMQ_NOTIFY_CONNECT | c::ZMQ_NOTIFY_DISCONNECT;
                let bits = non_negative(value)?;
                if bits & !known != 0 {
                    return Err(Error::Invalid);
                }
                options.notify = bits;
            }
            c::ZMQ_CONNECT_ROUTING_ID => self.set_connect_routing_id(pipes, value)?,
            _ => return Err(Error::Invalid),
        }
        Ok(())
    }

    /// Chooses the name of the next peer connected to; one that is taken is refused.
    pub(super) fn set_connect_routing_id(
        &mut self,
        pipes: &mut Pipes,
        name: &[u8],
    ) -> Result<(), Error> {
        if name.is_empty() || self.is_taken(pipes, name) {
            return Err(Error::Invalid);
        }
        self.options.connect_routing_id = Some(name.to_vec());
        Ok(())
    }

    /// Whether a living peer has this name. One that is gone, with messages still to be read, keeps its
    /// name for these but does not stand in the way of its successor.
    fn is_taken(&self, pipes: &mut Pipes, name: &[u8]) -> bool {
        self.find(name).and_then(|id| pipes.get(id)).is_some_and(|pipe| !pipe.ended())
    }

    fn name(&mut self, pipes: &mut Pipes, id: PipeId, name: Box<[u8]>) {
        if let Some(pipe) = pipes.get(id) {
            pipe.set_routing_id(name.clone());
            self.by_name.insert(name, id);
            self.input.attach(id);
        }
    }

    /// The holder of `name` goes under another name from now on, and what it delivered is still read.
    ///
    /// Its connection stays: were it closed, a peer that lives would make it anew, take the name back, and so on
    /// with both of them for ever.
    fn evict(&mut self, pipes: &mut Pipes, name: &[u8]) {
        let Some(id) = self.by_name.remove(name) else { return };
        let fresh = self.fresh_id();
        if let Some(pipe) = pipes.get(id) {
            pipe.set_routing_id(fresh);
            pipe.park();
            self.by_name.insert(fresh.into(), id);
        }
    }

    fn fresh_id(&mut self) -> [u8; AUTO_ID_LEN] {
        loop {
            let [a, b, c, d] = self.next_auto_id.to_be_bytes();
            self.next_auto_id = self.next_auto_id.wrapping_add(1);
            let id = [0, a, b, c, d];
            // A peer may have announced just this, or the counter come round.
            if !self.by_name.contains_key(&id[..]) {
                return id;
            }
        }
    }
}

/// Messages as `[name][parts...]`, for the types that show the names of peers.
#[derive(Default)]
pub(super) struct Named {
    /// The first part of the message whose name was given out, if one is `named`.
    first: Msg,
    named: bool,
}

impl Named {
    /// On an error `msg` is left alone.
    #[inline]
    pub(super) fn recv_into(
        &mut self,
        peers: &mut Peers,
        pipes: &mut Pipes,
        msg: &mut Msg,
    ) -> Result<(), Error> {
        if std::mem::take(&mut self.named) {
            *msg = self.first.take();
            return Ok(());
        }
        if peers.input.is_amid_message() {
            return peers.input.recv_into(pipes, msg).map(drop);
        }
        // Who asks for the name may have no use for metadata, but for the part that is fetched with it.
        pipes.set_bare(false);
        let id = peers.input.recv_into(pipes, &mut self.first)?;
        let name = pipes.get(id).map(|pipe| pipe.routing_id()).unwrap_or_default();
        if let Err(error) = msg.assign(name) {
            peers.input.skip_rest(pipes);
            return Err(error);
        }
        msg.set_more(true);
        if let Some(metadata) = self.first.metadata() {
            msg.set_metadata(Some(metadata.clone()));
        }
        self.named = true;
        Ok(())
    }

    /// As [`Pattern::recv_bytes`](super::Pattern::recv_bytes).
    #[inline]
    pub(super) fn recv_bytes(
        &mut self,
        peers: &mut Peers,
        pipes: &mut Pipes,
        into: &mut [u8],
    ) -> Option<(usize, bool)> {
        if std::mem::take(&mut self.named) {
            let part = (copy_out(self.first.data(), into), self.first.more());
            self.first.clear();
            return Some(part);
        }
        if peers.input.is_amid_message() {
            return peers.input.recv_bytes(pipes, into);
        }
        pipes.set_bare(false);
        let id = peers.input.recv_into(pipes, &mut self.first).ok()?;
        let name = pipes.get(id).map(|pipe| pipe.routing_id()).unwrap_or_default();
        self.named = true;
        Some((copy_out(name, into), true))
    }

    pub(super) fn can_recv(&mut self, peers: &mut Peers, pipes: &mut Pipes) -> bool {
        self.named || peers.input.can_recv(pipes)
    }
}

/// Sends the empty message that makes a ROUTER at the other end aware of this peer.
pub(super) fn probe(pipes: &mut Pipes, id: PipeId) {
    if let Some(pipe) = pipes.get(id) {
        pipe.write_control(Msg::new());
        pipe.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipe::inproc_pair_for_tests;

    #[test]
    fn automatic_names_count_up_and_skip_those_in_use() {
        let mut pipes = Pipes::new();
        let mut peers = Peers { next_auto_id: u32::MAX, ..Peers::default() };
        let mut far_ends = Vec::new();
        let names = [&b""[..], &[0, 0, 0, 0, 0], b""].map(|announced| {
            let (near, far) = inproc_pair_for_tests((0, 0), (0, 0));
            far_ends.push(far);
            let id = pipes.insert(near).id;
            peers.identify(&mut pipes, id, announced);
            pipes.get(id).expect("inserted").routing_id().to_vec()
        });
        assert_eq!(names, [vec![0, 255, 255, 255, 255], vec![0; 5], vec![0, 0, 0, 0, 1]]);
    }
}
