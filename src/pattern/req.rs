//! REQ: a request to one of its peers, then the reply to it, in lock step.
//!
//! A request travels as `[id][empty][body...]`, the id only with ZMQ_REQ_CORRELATE; so does its reply.

use super::dealer::Dealer;
use super::{Attach, Pattern, switch};
use crate::base::{Error, constants as c};
use crate::message::Msg;
use crate::pipe::{PipeId, Pipes};

/// Size of the id in front of a request.
const REQUEST_ID_LEN: usize = 4;
/// How many parts of late replies are dropped at the start of a request; a bound, lest a peer that never
/// stops sending keep the sender there.
const MOST_DROPPED: usize = 100_000;

/// The state of a REQ.
#[repr(align(128))]
pub(super) struct Req {
    dealer: Dealer,
    state: State,
    /// Who got the request, as long as it is there. Otherwise anybody may reply.
    asked: Option<PipeId>,
    request_id: u32,
    correlate: bool,
    relaxed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// A request may be sent.
    Idle,
    /// A request is sent in part.
    Asking,
    /// The reply is to come.
    Waiting,
    /// The reply's envelope was read, and the user has not begun its body.
    Found,
    /// The body is read in part.
    Reading,
}

impl Default for Req {
    fn default() -> Req {
        Req {
            dealer: Dealer::default(),
            state: State::Idle,
            asked: None,
            request_id: fastrand::u32(..),
            correlate: false,
            relaxed: false,
        }
    }
}

impl Req {
    fn awaits_reply(&self) -> bool {
        matches!(self.state, State::Waiting | State::Found | State::Reading)
    }

    /// Sends the envelope of a new request.
    fn begin(&mut self, pipes: &mut Pipes) -> Result<(), Error> {
        self.asked = None;
        self.drop_late_replies(pipes);
        loop {
            if self.correlate {
                self.request_id = self.request_id.wrapping_add(1);
                let mut id = Msg::copy_of(&self.request_id.to_ne_bytes())?;
                id.set_more(true);
                self.dealer.out.send(pipes, &mut id)?;
            }
            let mut delimiter = Msg::new();
            delimiter.set_more(true);
            match self.dealer.out.send(pipes, &mut delimiter) {
                Ok(asked) => {
                    self.asked = asked;
                    return Ok(());
                }
                // The peer went between the two parts: another one may take the request.
                Err(_) if self.dealer.out.take_spoilt() => self.dealer.out.start_over(),
                Err(error) => return Err(error),
            }
        }
    }

    fn drop_late_replies(&mut self, pipes: &mut Pipes) {
        for _ in 0..MOST_DROPPED {
            if self.dealer.input.recv(pipes).is_err() {
                return;
            }
        }
        self.dealer.input.skip_rest(pipes);
    }

    /// Reads up to the body of the reply; drops everything else.
    fn find_reply(&mut self, pipes: &mut Pipes) -> Result<(), Error> {
        loop {
            let (from, mut part) = self.dealer.input.recv(pipes)?;
            let mut id = None;
            if part.more() && part.size() == REQUEST_ID_LEN {
                id = part.data().first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
                part = self.dealer.input.recv(pipes)?.1;
            }
            if !(part.more() && part.is_empty()) {
                self.dealer.input.skip_rest(pipes);
                if let Some(pipe) = pipes.get(from).filter(|pipe| !pipe.is_inproc()) {
                    pipe.protocol_error();
                }
                continue;
            }
            let expected = self.correlate.then_some(self.request_id);
            if id == expected && self.asked.is_none_or(|asked| asked == from) {
                self.state = State::Found;
                return Ok(());
            }
            self.dealer.input.skip_rest(pipes);
        }
    }
}

impl Pattern for Req {
    fn attach(&mut self, pipes: &mut Pipes, id: PipeId, how: Attach) {
        self.dealer.attach(pipes, id, how);
    }

    fn readable(&mut self, pipes: &mut Pipes, id: PipeId) {
        self.dealer.readable(pipes, id);
    }

    fn writable(&mut self, pipes: &mut Pipes, id: PipeId) {
        self.dealer.writable(pipes, id);
    }

    fn detach(&mut self, pipes: &mut Pipes, id: PipeId) {
        self.dealer.detach(pipes, id);
        if self.asked == Some(id) {
            self.asked = None;
        }
        if self.state == State::Found && self.dealer.input.forget_cut() {
            self.state = State::Waiting;
        }
    }

    fn send(&mut self, pipes: &mut Pipes, msg: &mut Msg) -> Result<(), Error> {
        if self.awaits_reply() {
            if !self.relaxed {
                return Err(Error::Fsm);
            }
            self.state = State::Idle;
        }
        if self.state == State::Idle {
            self.begin(pipes)?;
            self.state = State::Asking;
        }
        let more = msg.more();
        if self.dealer.out.send(pipes, msg).is_err() {
            // The envelope is out, so this can only be a peer that just went: the request is lost as one
            // that reached it would be.
            msg.take();
        }
        if !more {
            self.dealer.out.start_over();
            self.state = State::Waiting;
        }
        Ok(())
    }

    fn recv(&mut self, pipes: &mut Pipes) -> Result<Msg, Error> {
        match self.state {
            State::Idle | State::Asking => return Err(Error::Fsm),
            State::Waiting => self.find_reply(pipes)?,
            State::Found | State::Reading => {}
        }
        let (_, msg) = self.dealer.input.recv(pipes)?;
        self.state = if msg.more() { State::Reading } else { State::Idle };
        Ok(msg)
    }

    fn can_recv(&mut self, pipes: &mut Pipes) -> bool {
        match self.state {
            State::Idle | State::Asking => false,
            State::Waiting => self.find_reply(pipes).is_ok(),
            State::Found | State::Reading => true,
        }
    }

    fn can_send(&mut self, pipes: &mut Pipes) -> bool {
        (self.relaxed || !self.awaits_reply()) && self.dealer.can_send(pipes)
    }

    fn set(&mut self, pipes: &mut Pipes, option: i32, value: &[u8]) -> Result<(), Error> {
        match option {
            c::ZMQ_REQ_CORRELATE => self.correlate = switch(value)?,
            c::ZMQ_REQ_RELAXED => self.relaxed = switch(value)?,
            _ => return self.dealer.set(pipes, option, value),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{WirePeer, World};
    use super::*;

    fn req(peers: usize) -> World<Req> {
        let mut world = World::new(Req::default());
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
        let mut world = req(0);
        assert_eq!(world.send(&["m"]), Err(Error::Again));
        assert_eq!(world.send(&["m", "n"]), Err(Error::Again));
        assert_eq!(world.recv(), Err(Error::Fsm));
        assert_eq!(world.events(), (false, false));
    }

    #[test]
    fn request_and_reply_in_lock_step() {
        let mut world = req(1);
        for _ in 0..2 {
            assert_eq!(world.events(), (false, true));
            assert_eq!(world.recv(), Err(Error::Fsm));
            assert_eq!(world.send_part("a", true), Ok(()));
            assert_eq!(world.recv(), Err(Error::Fsm));
            assert_eq!(world.send_part("b", false), Ok(()));
            assert_eq!(world.received(0), [["", "a", "b"]]);
            assert_eq!(world.send(&["c"]), Err(Error::Fsm));
            assert_eq!(world.recv(), Err(Error::Again));
            assert_eq!(world.events(), (false, false));
            world.peer_sends(0, &["", "c", "d"]);
            assert_eq!(world.events(), (true, false));
            assert_eq!(world.send(&["e"]), Err(Error::Fsm));
            assert_eq!(world.recv(), Ok(strings(&["c", "d"])));
        }
    }

    #[test]
    fn requests_go_to_the_peers_in_turn_and_only_the_one_asked_may_reply() {
        let mut world = req(2);
        for turn in [0, 1, 0] {
            assert_eq!(world.send(&["?"]), Ok(()));
            assert_eq!(world.received(turn).len(), 1);
            world.peer_sends(1 - turn, &["", "not asked"]);
            assert_eq!(world.events(), (false, false));
            assert_eq!(world.recv(), Err(Error::Again));
            world.peer_sends(turn, &["", "reply"]);
            assert_eq!(world.recv(), Ok(strings(&["reply"])));
        }
    }

    #[test]
    fn when_the_one_asked_dies_anybody_may_reply() {
        let mut world = req(2);
        assert_eq!(world.send(&["?"]), Ok(()));
        world.leave(PipeId(0));
        assert_eq!(world.send(&["?"]), Err(Error::Fsm), "the state is kept");
        world.peer_sends(1, &["", "reply"]);
        assert_eq!(world.recv(), Ok(strings(&["reply"])));
    }

    #[test]
    fn malformed_replies_are_skipped() {
        let mut world = req(1);
        assert_eq!(world.send(&["?"]), Ok(()));
        for bad in [&["no delimiter"][..], &[""], &["x", ""], &["x", "", "y"], &["four", "", "y"]] {
            world.peer_sends(0, bad);
            assert_eq!(world.recv(), Err(Error::Again), "{bad:?}");
        }
        world.peer_sends(0, &["", ""]);
        assert_eq!(world.recv(), Ok(strings(&[""])));
    }

    #[test]
    fn a_connection_is_closed_for_a_reply_without_an_envelope() {
        let wrong: [&[&str]; 6] =
            [&["body"], &[""], &["three", "", "x"], &["four"], &["four", "x"], &["four", ""]];
        let right: [&[&str]; 3] = [&["", "not asked"], &["four", "", "x"], &["", ""]];
        for (message, breaks) in wrong
            .map(|message| (message, true))
            .into_iter()
            .chain(right.map(|message| (message, false)))
        {
            let mut world = req(1);
            let (peer, id) = WirePeer::join(&mut world.pipes);
            world.pattern.attach(&mut world.pipes, id, Attach::default());
            assert_eq!(world.send(&["?"]), Ok(()));
            peer.send(message);
            peer.send(&["", "more"]);
            world.nudge();
            assert_eq!(world.recv(), Err(Error::Again), "{message:?}");
            assert_eq!(peer.failed(), breaks, "{message:?}");
            world.peer_sends(0, &["", "reply"]);
            assert_eq!(world.recv(), Ok(strings(&["reply"])), "others are served");
        }
    }

    #[test]
    fn what_lies_there_when_a_request_starts_is_dropped() {
        let mut world = req(2);
        world.peer_sends(0, &["", "early"]);
        world.peer_sends(1, &["", "early", "too"]);
        assert_eq!(world.send(&["?"]), Ok(()));
        assert_eq!(world.recv(), Err(Error::Again));
        world.peer_sends(0, &["", "reply"]);
        assert_eq!(world.recv(), Ok(strings(&["reply"])));
    }

    #[test]
    fn correlated_requests_carry_an_id_that_counts_up() {
        let mut world = req(1);
        assert_eq!(world.set_int(c::ZMQ_REQ_CORRELATE, 1), Ok(()));
        let mut last = None;
        for _ in 0..2 {
            assert_eq!(world.send(&["?"]), Ok(()));
            let request = world.peers.received_parts(0).swap_remove(0);
            assert_eq!((request.len(), request[1].size()), (3, 0));
            let id: [u8; 4] = request[0].data().try_into().expect("four bytes");
            let number = u32::from_ne_bytes(id);
            assert!(last.is_none_or(|last: u32| last.wrapping_add(1) == number));
            last = Some(number);
            let other = number.wrapping_sub(1).to_ne_bytes();
            let bad: [&[&[u8]]; 4] = [
                &[b"", b"no id"],
                &[&other, b"", b"other"],
                &[&id, b"x"],
                &[&id[..3], b"", b"short"],
            ];
            for bad in bad {
                world.peer_sends_bytes(0, bad);
                assert_eq!(world.recv(), Err(Error::Again), "{bad:?}");
            }
            world.peer_sends_bytes(0, &[&id, b"", b"reply"]);
            assert_eq!(world.recv(), Ok(strings(&["reply"])));
        }
    }

    #[test]
    fn a_failed_correlated_request_uses_up_its_id() {
        let mut world = req(0);
        assert_eq!(world.set_int(c::ZMQ_REQ_CORRELATE, 1), Ok(()));
        let before = world.pattern.request_id;
        assert_eq!(world.send(&["?"]), Err(Error::Again));
        assert_eq!(world.pattern.request_id, before.wrapping_add(1));
    }

    #[test]
    fn relaxed_requests_may_be_abandoned() {
        let mut world = req(1);
        assert_eq!(world.set_int(c::ZMQ_REQ_RELAXED, 1), Ok(()));
        assert_eq!(world.send(&["1"]), Ok(()));
        assert_eq!(world.events(), (false, true));
        world.peer_sends(0, &["", "1"]);
        assert_eq!(world.events(), (true, true), "the envelope is read by that");
        assert_eq!(world.send(&["2"]), Ok(()));
        assert_eq!(world.recv(), Err(Error::Again), "the reply to the first one was dropped");
        // One that comes late is taken for the answer; only an id tells them apart.
        world.peer_sends(0, &["", "late"]);
        assert_eq!(world.recv(), Ok(strings(&["late"])));
        assert_eq!(world.set_int(c::ZMQ_REQ_CORRELATE, 1), Ok(()));
        assert_eq!(world.send(&["3"]), Ok(()));
        let old = world.pattern.request_id.to_ne_bytes();
        assert_eq!(world.send(&["4"]), Ok(()));
        world.peer_sends_bytes(0, &[&old, b"", b"late"]);
        assert_eq!(world.recv(), Err(Error::Again));
        let new = world.pattern.request_id.to_ne_bytes();
        world.peer_sends_bytes(0, &[&new, b"", b"reply"]);
        assert_eq!(world.recv(), Ok(strings(&["reply"])));
    }

    #[test]
    fn a_relaxed_request_in_the_middle_of_a_reply_drops_its_rest() {
        let mut world = req(1);
        assert_eq!(world.set_int(c::ZMQ_REQ_RELAXED, 1), Ok(()));
        assert_eq!(world.send(&["1"]), Ok(()));
        world.peer_sends(0, &["", "a", "b"]);
        assert!(world.recv_part().is_ok_and(|msg| msg.more()));
        assert_eq!(world.send(&["2"]), Ok(()));
        world.peer_sends(0, &["", "reply"]);
        assert_eq!(world.recv(), Ok(strings(&["reply"])));
    }

    #[test]
    fn a_request_whose_peer_dies_amid_it_counts_as_sent() {
        for told in [false, true] {
            let mut world = req(2);
            assert_eq!(world.send_part("a", true), Ok(()));
            world.pipes.get(PipeId(0)).expect("attached").terminate(false);
            if told {
                world.leave(PipeId(0));
            }
            assert_eq!(world.send_part("b", true), Ok(()));
            assert_eq!(world.send_part("c", false), Ok(()));
            assert_eq!(world.send(&["?"]), Err(Error::Fsm));
            if !told {
                world.leave(PipeId(0));
            }
            world.peer_sends(1, &["", "reply"]);
            assert_eq!(world.recv(), Ok(strings(&["reply"])));
            assert_eq!(world.send(&["next"]), Ok(()));
            assert_eq!(world.received(1), [["", "next"]]);
        }
    }

    #[test]
    fn a_reply_that_was_only_found_goes_with_its_peer() {
        let mut world = req(2);
        assert_eq!(world.send(&["?"]), Ok(()));
        world.peer_sends(0, &["", "a", "b"]);
        assert_eq!(world.events(), (true, false));
        world.leave(PipeId(0));
        assert_eq!(world.events(), (false, false));
        assert_eq!(world.recv(), Err(Error::Again), "still to come");
        world.peer_sends(1, &["", "anybody's"]);
        assert_eq!(world.recv(), Ok(strings(&["anybody's"])));
    }

    #[test]
    fn a_reply_cut_short_ends() {
        let mut world = req(1);
        assert_eq!(world.send(&["?"]), Ok(()));
        world.peer_sends(0, &["", "a", "b"]);
        assert!(world.recv_part().is_ok_and(|msg| msg.more()));
        world.leave(PipeId(0));
        assert_eq!(world.events(), (true, false));
        assert_eq!(world.recv(), Ok(strings(&[""])));
        assert_eq!(world.recv(), Err(Error::Fsm));
    }

    #[test]
    fn options_of_its_own_and_of_dealers() {
        let mut world = req(0);
        for option in [c::ZMQ_REQ_CORRELATE, c::ZMQ_REQ_RELAXED, c::ZMQ_PROBE_ROUTER] {
            assert_eq!(world.set_int(option, -1), Err(Error::Invalid));
            assert_eq!(world.set_bytes(option, b""), Err(Error::Invalid));
            assert_eq!(world.set_int(option, 5), Ok(()));
        }
        assert_eq!(world.set_int(c::ZMQ_ROUTER_MANDATORY, 1), Err(Error::Invalid));
    }
}
