//! SERVER: messages of all its clients, each with the client's number; each message to the client whose
//! number it has.

use std::collections::HashMap;

use super::hash::KeyedState;
use super::singles::Singles;
use super::{Attach, Pattern, single};
use crate::base::Error;
use crate::message::Msg;
use crate::pipe::{PipeId, Pipes};

/// The state of a SERVER. A PEER has one inside.
pub(super) struct Server {
    by_number: HashMap<u32, PipeId, KeyedState>,
    /// By pipe: its peer's number, 0 for none.
    numbers: Vec<u32>,
    next_number: u32,
    input: Singles,
    /// A message that was found while looking whether there is one, with its peer's number.
    ahead: Option<Msg>,
}

impl Default for Server {
    fn default() -> Server {
        Server {
            by_number: HashMap::default(),
            numbers: Vec::new(),
            next_number: fastrand::u32(..),
            input: Singles::default(),
            ahead: None,
        }
    }
}

impl Server {
    fn fresh_number(&mut self) -> u32 {
        loop {
            let number = self.next_number;
            self.next_number = number.wrapping_add(1);
            // 0 means "no peer", and a counter that came round may meet an old peer.
            if number != 0 && !self.by_number.contains_key(&number) {
                return number;
            }
        }
    }

    fn number(&self, id: PipeId) -> u32 {
        self.numbers.get(id.0 as usize).copied().unwrap_or(0)
    }

    /// The next message. Its number is that of the peer at this moment: the pipe's place may be another's
    /// later.
    fn next(&mut self, pipes: &mut Pipes) -> Result<Msg, Error> {
        let (id, mut msg) = self.input.recv(pipes)?;
        msg.set_routing_id(self.number(id));
        Ok(msg)
    }
}

impl Pattern for Server {
    fn attach(&mut self, _pipes: &mut Pipes, id: PipeId, _how: Attach) {
        let slot = id.0 as usize;
        if slot >= self.numbers.len() {
            self.numbers.resize(slot + 1, 0);
        }
        let number = self.fresh_number();
        if let Some(place) = self.numbers.get_mut(slot) {
            *place = number;
        }
        self.by_number.insert(number, id);
        self.input.attach(id);
    }

    fn readable(&mut self, _pipes: &mut Pipes, id: PipeId) {
        self.input.readable(id);
    }

    fn writable(&mut self, _pipes: &mut Pipes, _id: PipeId) {}

    fn detach(&mut self, _pipes: &mut Pipes, id: PipeId) {
        if let Some(number) = self.numbers.get_mut(id.0 as usize) {
            self.by_number.remove(&std::mem::take(number));
        }
        self.input.detach(id);
    }

    fn send(&mut self, pipes: &mut Pipes, msg: &mut Msg) -> Result<(), Error> {
        single(msg)?;
        let number = msg.routing_id();
        let id = self.by_number.get(&number).copied().ok_or(Error::HostUnreachable)?;
        let pipe = pipes.get(id).filter(|pipe| !pipe.ended()).ok_or(Error::HostUnreachable)?;
        msg.set_routing_id(0);
        if !(pipe.admits() && pipe.send(msg)) {
            msg.set_routing_id(number);
            // Full, unless it ended just now.
            return Err(if pipe.ended() { Error::HostUnreachable } else { Error::Again });
        }
        pipe.flush();
        Ok(())
    }

    fn recv(&mut self, pipes: &mut Pipes) -> Result<Msg, Error> {
        match self.ahead.take() {
            Some(msg) => Ok(msg),
            None => self.next(pipes),
        }
    }

    fn can_recv(&mut self, pipes: &mut Pipes) -> bool {
        if self.ahead.is_none() {
            self.ahead = self.next(pipes).ok();
        }
        self.ahead.is_some()
    }

    fn can_send(&mut self, _pipes: &mut Pipes) -> bool {
        true
    }

    fn peer_number(&self, id: PipeId) -> Option<u32> {
        Some(self.number(id)).filter(|number| *number != 0)
    }

    fn disconnect_peer(&mut self, pipes: &mut Pipes, number: u32) -> Result<(), Error> {
        let id = self.by_number.remove(&number).ok_or(Error::HostUnreachable)?;
        if let Some(pipe) = pipes.get(id) {
            pipe.terminate(false);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    fn send_to(world: &mut World<Server>, number: u32, body: &str) -> Result<(), Error> {
        let mut msg = Msg::copy_of(body.as_bytes()).expect("small");
        msg.set_routing_id(number);
        let sent = world.pattern.send(&mut world.pipes, &mut msg);
        assert_eq!(msg.routing_id(), if sent.is_ok() { 0 } else { number });
        assert_eq!(msg.is_empty(), sent.is_ok());
        sent
    }

    #[test]
    fn alone_it_reaches_nobody() {
        let mut world = World::new(Server::default());
        assert_eq!(world.recv(), Err(Error::Again));
        assert_eq!(world.send(&["m"]), Err(Error::HostUnreachable));
        assert_eq!(world.send_part("m", true), Err(Error::Invalid));
        assert_eq!(world.events(), (false, true));
    }

    #[test]
    fn numbers_count_up_past_zero_and_lead_back_to_the_peer() {
        let mut world = World::new(Server { next_number: u32::MAX, ..Server::default() });
        let mut numbers = Vec::new();
        for peer in 0..3 {
            world.join();
            world.peer_sends(peer, &["dropped", "whole"]);
            world.peer_sends(peer, &["hello"]);
            let msg = world.recv_part().expect("sent");
            numbers.push(msg.routing_id());
            assert_eq!(send_to(&mut world, msg.routing_id(), "hi"), Ok(()));
            assert_eq!(world.received(peer), [["hi"]]);
        }
        assert_eq!(numbers, [u32::MAX, 1, 2]);
        assert_eq!(send_to(&mut world, 7, "m"), Err(Error::HostUnreachable));
    }

    #[test]
    fn a_message_found_ahead_keeps_its_number_when_another_peer_takes_the_place() {
        let mut world = World::new(Server::default());
        let first = world.join();
        let number = world.pattern.peer_number(first);
        world.peer_sends(0, &["last words"]);
        assert_eq!(world.events(), (true, true));
        world.leave(first);
        assert_eq!(world.join(), first, "the place is used again");
        assert_eq!(world.recv_part().ok().map(|msg| msg.routing_id()), number);
    }

    #[test]
    fn a_full_peer_holds_up_the_sender_and_a_gone_one_is_unreachable() {
        let mut world = World::with_mark(Server::default(), 1);
        let id = world.join();
        let number = world.pattern.peer_number(id).expect("attached");
        assert_eq!((0..5).filter(|_| send_to(&mut world, number, "m").is_ok()).count(), 2);
        assert_eq!(send_to(&mut world, number, "m"), Err(Error::Again));
        assert_eq!(world.received(0).len(), 2);
        assert_eq!(send_to(&mut world, number, "m"), Ok(()));
        world.peer_leaves(id);
        assert_eq!(send_to(&mut world, number, "m"), Err(Error::HostUnreachable));
    }

    #[test]
    fn a_peer_can_be_sent_away() {
        let mut world = World::new(Server::default());
        let id = world.join();
        let number = world.pattern.peer_number(id).expect("attached");
        world.peer_sends(0, &["unread"]);
        let mut away = |number| world.pattern.disconnect_peer(&mut world.pipes, number);
        assert_eq!(away(number.wrapping_add(1)), Err(Error::HostUnreachable));
        assert_eq!(away(number), Ok(()));
        assert_eq!(away(number), Err(Error::HostUnreachable));
        assert_eq!(send_to(&mut world, number, "m"), Err(Error::HostUnreachable));
        assert_eq!(world.recv(), Err(Error::Again));
        assert!(world.pipes.get(id).is_some_and(|pipe| pipe.exhausted()));
        world.leave(id);
    }
}
