//! REP: requests of all peers in turn, each answered before the next.
//!
//! A request is `[envelope...][empty][body...]`; its envelope, up to and with the empty part, goes in front
//! of the reply.

use super::peers::Peers;
use super::{Attach, Pattern};
use crate::base::{Error, constants as c};
use crate::message::Msg;
use crate::options::Value;
use crate::pipe::{PipeId, Pipes};

/// The state of a REP.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Rep {
    peers: Peers,
    state: State,
    /// Who is to get the reply; nobody: it is dropped.
    asker: Option<PipeId>,
    /// What goes in front of the reply.
    envelope: Vec<Msg>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A request is to come.
    #[default]
    Idle,
    /// The envelope of a request was read, whose body the user has not begun.
    Found,
    /// The body is read in part.
    Reading,
    /// The reply is due.
    Due,
    /// The reply is sent in part.
    Replying,
}

impl Rep {
    /// Reads up to the body of a request; drops what is none.
    fn find_request(&mut self, pipes: &mut Pipes) -> Result<(), Error> {
        let input = &mut self.peers.input;
        loop {
            self.envelope.clear();
            loop {
                let (from, part) = input.recv(pipes)?;
                if !part.more() {
                    break;
                }
                let complete = part.is_empty();
                self.envelope.push(part);
                if complete {
                    self.asker = Some(from);
                    self.state = State::Found;
                    return Ok(());
                }
            }
        }
    }

    /// Sends the envelope of the reply, if its receiver is there and has room.
    fn begin(&mut self, pipes: &mut Pipes) {
        let pipe = self.asker.and_then(|id| pipes.get(id));
        let sent =
            pipe.is_some_and(|pipe| self.envelope.drain(..).all(|part| pipe.write(part).is_ok()));
        if !sent {
            match self.asker.and_then(|id| pipes.get(id)).filter(|pipe| !pipe.deaf()) {
                Some(_) => pipes.count_full(1),
                None => pipes.count_unroutable(),
            }
            self.drop_reply(pipes);
        }
        self.envelope.clear();
    }

    /// Nobody gets the rest of the reply.
    fn drop_reply(&mut self, pipes: &mut Pipes) {
        if let Some(pipe) = self.asker.take().and_then(|id| pipes.get(id)) {
            pipe.rollback();
        }
    }
}

impl Pattern for Rep {
    fn attach(&mut self, pipes: &mut Pipes, id: PipeId, how: Attach) {
        self.peers.attach(pipes, id, how.assigned_id);
        if self.peers.options.raw {
            self.peers.identify_auto(pipes, id);
        }
    }

    fn identify(&mut self, pipes: &mut Pipes, id: PipeId, routing_id: &[u8]) {
        self.peers.identify(pipes, id, routing_id);
    }

    fn readable(&mut self, _pipes: &mut Pipes, id: PipeId) {
        self.peers.input.readable(id);
    }

    fn writable(&mut self, _pipes: &mut Pipes, _id: PipeId) {}

    fn detach(&mut self, pipes: &mut Pipes, id: PipeId) {
        self.peers.detach(pipes, id);
        if self.asker == Some(id) {
            self.asker = None;
            match self.state {
                State::Replying => pipes.count_unroutable(),
                // Nobody has seen anything of it.
                State::Found => {
                    self.peers.input.forget_cut();
                    self.state = State::Idle;
                }
                State::Idle | State::Reading | State::Due => {}
            }
        }
    }

    fn send(&mut self, pipes: &mut Pipes, msg: &mut Msg) -> Result<(), Error> {
        match self.state {
            State::Idle | State::Found | State::Reading => return Err(Error::Fsm),
            State::Due => self.begin(pipes),
            State::Replying => {}
        }
        let more = msg.more();
        let msg = msg.take();
        self.state = if more { State::Replying } else { State::Idle };
        let Some(id) = self.asker else { return Ok(()) };
        if pipes.get(id).is_none_or(|pipe| pipe.write(msg).is_err()) {
            pipes.count_unroutable();
            self.drop_reply(pipes);
        } else if !more {
            self.peers.flush(pipes, id);
        }
        Ok(())
    }

    fn recv(&mut self, pipes: &mut Pipes) -> Result<Msg, Error> {
        match self.state {
            State::Due | State::Replying => return Err(Error::Fsm),
            State::Idle => self.find_request(pipes)?,
            State::Found | State::Reading => {}
        }
        let (_, msg) = self.peers.input.recv(pipes)?;
        self.state = if msg.more() { State::Reading } else { State::Due };
        Ok(msg)
    }

    fn can_recv(&mut self, pipes: &mut Pipes) -> bool {
        match self.state {
            State::Due | State::Replying => false,
            State::Idle => self.find_request(pipes).is_ok(),
            State::Found | State::Reading => true,
        }
    }

    fn can_send(&mut self, _pipes: &mut Pipes) -> bool {
        matches!(self.state, State::Due | State::Replying)
    }

    fn drains_input(&self, pipes: &mut Pipes, id: PipeId) -> bool {
        self.peers.has_name(pipes, id)
    }

    fn is_amid_message_of(&self, id: PipeId) -> bool {
        self.peers.input.is_amid_message_of(id)
    }

    fn set(&mut self, pipes: &mut Pipes, option: i32, value: &[u8]) -> Result<(), Error> {
        self.peers.set(pipes, option, value)
    }

    fn option(&self, option: i32) -> Result<Value, Error> {
        match option {
            c::ZMQ_ROUTER_NOTIFY => Ok(Value::Int(self.peers.options.notify)),
            _ => Err(Error::Invalid),
        }
    }

    fn connect_routing_id(&mut self) -> Option<Vec<u8>> {
        self.peers.options.connect_routing_id.take()
    }

    fn peer_state(&mut self, pipes: &mut Pipes, id: &[u8]) -> Result<i32, Error> {
        self.peers.state(pipes, id)
    }

    fn is_raw(&self) -> bool {
        self.peers.options.raw_connections
    }

    fn notifies(&self) -> i32 {
        if self.is_raw() { 0 } else { self.peers.options.notify }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    fn rep(peers: usize) -> World<Rep> {
        let mut world = World::new(Rep::default());
        for _ in 0..peers {
            world.join();
        }
        world
    }

    fn strings(parts: &[&str]) -> Vec<String> {
        parts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn without_a_peer() {
        let mut world = rep(0);
        assert_eq!(world.send(&["m"]), Err(Error::Fsm));
        assert_eq!(world.recv(), Err(Error::Again));
        assert_eq!(world.events(), (false, false));
    }

    #[test]
    fn request_and_reply_in_lock_step() {
        let mut world = rep(1);
        for envelope in [&[""][..], &["id", ""], &["far", "near", ""]] {
            world.peer_sends(0, &[envelope, &["a", "b"]].concat());
            assert_eq!(world.events(), (true, false));
            assert_eq!(world.send(&["early"]), Err(Error::Fsm));
            assert!(world.recv_part().is_ok_and(|msg| msg.data() == b"a" && msg.more()));
            assert_eq!(world.send(&["early"]), Err(Error::Fsm), "not read completely");
            assert!(world.recv_part().is_ok_and(|msg| msg.data() == b"b" && !msg.more()));
            assert_eq!(world.events(), (false, true));
            assert_eq!(world.recv(), Err(Error::Fsm));
            assert_eq!(world.send_part("x", true), Ok(()));
            assert_eq!(world.recv(), Err(Error::Fsm));
            assert_eq!(world.send_part("y", false), Ok(()));
            assert_eq!(world.received(0), [strings(&[envelope, &["x", "y"]].concat())]);
            assert_eq!(world.events(), (false, false));
        }
    }

    #[test]
    fn requests_without_a_delimiter_are_dropped() {
        let mut world = rep(1);
        for bad in [&["body"][..], &[""], &["a", "b"], &["a", ""]] {
            world.peer_sends(0, bad);
            assert_eq!(world.events(), (false, false), "{bad:?}");
            assert_eq!(world.recv(), Err(Error::Again));
        }
        world.peer_sends(0, &["", "", "x"]);
        assert_eq!(world.recv(), Ok(strings(&["", "x"])));
        assert_eq!(world.send(&["y"]), Ok(()));
        assert_eq!(world.received(0), [["", "y"]]);
    }

    #[test]
    fn peers_are_served_in_turn_and_each_gets_its_reply() {
        let mut world = rep(2);
        for peer in [0, 0, 1] {
            world.peer_sends(peer, &["", &peer.to_string()]);
        }
        for peer in [0, 1, 0] {
            assert_eq!(world.recv(), Ok(strings(&[&peer.to_string()])));
            assert_eq!(world.send(&["reply"]), Ok(()));
            assert_eq!(world.received(peer), [["", "reply"]]);
            assert!(world.received(1 - peer).is_empty());
        }
    }

    #[test]
    fn a_reply_to_a_peer_that_is_gone_is_dropped() {
        for told in [false, true] {
            let mut world = rep(2);
            world.peer_sends(0, &["", "?"]);
            assert!(world.recv().is_ok());
            world.peer_leaves(PipeId(0));
            if told {
                world.leave(PipeId(0));
            }
            assert_eq!(world.events(), (false, true));
            assert_eq!(world.send(&["a", "b"]), Ok(()));
            world.peer_sends(1, &["", "next"]);
            assert_eq!(world.recv(), Ok(strings(&["next"])));
        }
    }

    #[test]
    fn a_reply_is_dropped_with_its_peer_in_between() {
        let mut world = rep(1);
        world.peer_sends(0, &["", "?"]);
        assert!(world.recv().is_ok());
        assert_eq!(world.send_part("a", true), Ok(()));
        world.leave(PipeId(0));
        assert_eq!(world.join(), PipeId(0), "the place is used again");
        assert_eq!(world.send_part("b", false), Ok(()));
        assert!(world.received(0).is_empty() && world.received(1).is_empty());
    }

    #[test]
    fn a_full_peer_loses_its_reply_even_if_the_router_is_mandatory() {
        let mut world = World::with_mark(Rep::default(), 1);
        assert_eq!(world.set_int(c::ZMQ_ROUTER_MANDATORY, 1), Ok(()));
        world.join();
        for _ in 0..4 {
            world.peer_sends(0, &["", "?"]);
            assert!(world.recv().is_ok());
            assert_eq!(world.send(&["reply"]), Ok(()));
        }
        assert_eq!(world.received(0).len(), 2);
    }

    #[test]
    fn a_request_cut_short_ends() {
        let mut world = rep(1);
        world.peer_sends(0, &["", "a", "b"]);
        assert!(world.recv_part().is_ok_and(|msg| msg.more()));
        world.leave(PipeId(0));
        assert_eq!(world.recv(), Ok(strings(&[""])));
        assert_eq!(world.send(&["nobody hears"]), Ok(()));
        assert_eq!(world.recv(), Err(Error::Again));
    }

    #[test]
    fn a_request_that_was_only_found_goes_with_its_peer() {
        let mut world = rep(2);
        world.peer_sends(0, &["", "a", "b"]);
        assert_eq!(world.events(), (true, false));
        world.leave(PipeId(0));
        assert_eq!(world.events(), (false, false));
        assert_eq!(world.recv(), Err(Error::Again));
        world.peer_sends(1, &["", "next"]);
        assert_eq!(world.recv(), Ok(strings(&["next"])));
    }

    #[test]
    fn it_has_the_options_of_a_router() {
        let mut world = rep(0);
        assert_eq!(world.set_int(c::ZMQ_ROUTER_NOTIFY, 2), Ok(()));
        assert_eq!(world.pattern.option(c::ZMQ_ROUTER_NOTIFY), Ok(Value::Int(2)));
        assert_eq!(world.pattern.notifies(), 2);
        assert_eq!(world.set_bytes(c::ZMQ_CONNECT_ROUTING_ID, b"x"), Ok(()));
        assert_eq!(world.pattern.connect_routing_id().as_deref(), Some(&b"x"[..]));
        assert_eq!(world.set_int(c::ZMQ_REQ_RELAXED, 1), Err(Error::Invalid));
        let id = world.join_as(b"alice", Attach::default());
        assert_eq!(world.pattern.peer_state(&mut world.pipes, b"alice"), Ok(c::ZMQ_POLLOUT));
        world.leave(id);
        assert_eq!(
            world.pattern.peer_state(&mut world.pipes, b"alice"),
            Err(Error::HostUnreachable)
        );
    }
}
