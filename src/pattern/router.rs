//! ROUTER: messages of all peers, with their names; each message to the peer it names.

use super::peers::{Named, Peers};
use super::{Attach, Pattern};
use crate::base::{Error, constants as c};
use crate::message::Msg;
use crate::options::Value;
use crate::pipe::{PipeId, Pipes, Urgency};

/// The state of a ROUTER.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Router {
    peers: Peers,
    input: Named,
    /// The next part is not the name but belongs to a message begun.
    amid_message: bool,
    /// Who gets the rest of the message begun; nobody: it is dropped.
    receiver: Option<PipeId>,
}

impl Router {
    /// Finds the receiver of the parts that follow by its name.
    fn begin(&mut self, pipes: &mut Pipes, name: &[u8]) -> Result<(), Error> {
        self.receiver = None;
        let mut refusal = Error::HostUnreachable;
        if let Some(id) = self.peers.find(name)
            && let Some(pipe) = pipes.get(id).filter(|pipe| !pipe.deaf())
        {
            if (!self.peers.options.mandatory || pipe.admits()) && pipe.check_write() {
                // For the parts that follow.
                pipe.hold_room();
                self.receiver = Some(id);
            } else {
                refusal = Error::Again;
            }
        }
        if self.receiver.is_none() {
            if self.peers.options.mandatory {
                return Err(refusal);
            }
            match refusal {
                Error::Again => pipes.count_full(1),
                _ => pipes.count_unroutable(),
            }
        }
        self.amid_message = true;
        Ok(())
    }
}

impl Pattern for Router {
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
        if self.receiver == Some(id) {
            self.receiver = None;
            if self.amid_message {
                pipes.count_unroutable();
            }
        }
    }

    fn send(&mut self, pipes: &mut Pipes, msg: &mut Msg) -> Result<(), Error> {
        if !self.amid_message {
            // Without more parts there is nothing to send; the name is swallowed.
            if msg.more() {
                self.begin(pipes, msg.data())?;
            } else {
                self.receiver = None;
            }
            msg.clear();
            return Ok(());
        }
        if self.peers.options.raw {
            msg.set_more(false);
        }
        let more = msg.more();
        self.amid_message = more;
        let Some((id, pipe)) = self.receiver.and_then(|id| Some((id, pipes.get(id)?))) else {
            msg.take();
            return Ok(());
        };
        if self.peers.options.raw && msg.is_empty() {
            msg.take();
            pipe.terminate(false);
        } else if !pipe.send(msg) {
            msg.take();
            pipe.rollback();
            self.receiver = None;
            pipes.count_unroutable();
        } else if !more {
            self.peers.flush(pipes, id);
        }
        Ok(())
    }

    fn send_bytes(&mut self, pipes: &mut Pipes, bytes: &[u8], more: bool) -> bool {
        if self.peers.options.raw {
            return false;
        }
        if !self.amid_message {
            // Who may be refused is asked once only.
            return more && !self.peers.options.mandatory && self.begin(pipes, bytes).is_ok();
        }
        let Some(id) = self.receiver else { return false };
        let urgency = if more { Urgency::Auto } else { self.peers.urgency(pipes, id) };
        let pipe = pipes.get(id);
        let sent = pipe.is_some_and(|pipe| pipe.send_bytes_with(bytes, more, urgency));
        if sent {
            self.amid_message = more;
        }
        sent
    }

    fn recv(&mut self, pipes: &mut Pipes) -> Result<Msg, Error> {
        let mut msg = Msg::new();
        self.recv_into(pipes, &mut msg).map(|()| msg)
    }

    fn recv_into(&mut self, pipes: &mut Pipes, msg: &mut Msg) -> Result<(), Error> {
        self.input.recv_into(&mut self.peers, pipes, msg)
    }

    fn recv_bytes(&mut self, pipes: &mut Pipes, into: &mut [u8]) -> Option<(usize, bool)> {
        self.input.recv_bytes(&mut self.peers, pipes, into)
    }

    fn can_recv(&mut self, pipes: &mut Pipes) -> bool {
        self.input.can_recv(&mut self.peers, pipes)
    }

    fn can_send(&mut self, pipes: &mut Pipes) -> bool {
        !self.peers.options.mandatory || self.amid_message || self.peers.any_writable(pipes)
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
        // As a STREAM does, and it cannot be turned off.
        if self.is_raw() {
            c::ZMQ_NOTIFY_CONNECT | c::ZMQ_NOTIFY_DISCONNECT
        } else {
            self.peers.options.notify
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, part, text};
    use super::*;

    fn router() -> World<Router> {
        World::new(Router::default())
    }

    fn join(world: &mut World<Router>, name: &str) -> PipeId {
        world.join_as(name.as_bytes(), Attach::default())
    }

    #[test]
    fn alone_it_drops_what_is_sent() {
        let mut world = router();
        assert_eq!(world.send(&["single"]), Ok(()));
        assert_eq!(world.send(&["who", "a", "b"]), Ok(()));
        assert_eq!(world.recv(), Err(Error::Again));
        assert_eq!(world.events(), (false, true));
        assert_eq!(world.set_int(c::ZMQ_ROUTER_MANDATORY, 1), Ok(()));
        assert_eq!(world.events(), (false, false));
        assert_eq!(world.send(&["single"]), Ok(()));
        assert_eq!(world.send(&["who", "a"]), Err(Error::HostUnreachable));
        assert_eq!(world.send(&["who", "a"]), Err(Error::HostUnreachable), "a first part again");
    }

    #[test]
    fn who_lowers_its_mark_amid_a_message_gets_it_whole() {
        let mut world = World::with_mark(Router::default(), 2);
        join(&mut world, "slow");
        assert_eq!(world.set_int(c::ZMQ_ROUTER_MANDATORY, 1), Ok(()));
        for body in ["1", "2", "3"] {
            assert_eq!(world.send(&["slow", body]), Ok(()));
        }
        assert_eq!(world.pattern.send(&mut world.pipes, &mut part("slow", true)), Ok(()));
        world.peers.set_mark(0, 1);
        for (body, more) in [("4", true), ("end", false)] {
            assert_eq!(world.pattern.send(&mut world.pipes, &mut part(body, more)), Ok(()));
        }
        assert_eq!(world.send(&["slow", "5"]), Err(Error::Again));
        assert_eq!(world.received(0), [vec!["1"], vec!["2"], vec!["3"], vec!["4", "end"]]);
    }

    #[test]
    fn messages_carry_names_both_ways() {
        let mut world = router();
        join(&mut world, "alice");
        join(&mut world, "bob");
        world.peer_sends(1, &["x", "", "y"]);
        world.peer_sends(0, &[""]);
        assert_eq!(world.events(), (true, true));
        let got = [world.recv(), world.recv()].map(|message| message.expect("sent"));
        assert!(got.contains(&["bob", "x", "", "y"].map(String::from).to_vec()));
        assert!(got.contains(&["alice", ""].map(String::from).to_vec()));
        assert_eq!(world.send(&["alice", "1", "2"]), Ok(()));
        assert_eq!(world.send(&["bob", ""]), Ok(()));
        assert_eq!(world.received(0), [["1", "2"]]);
        assert_eq!(world.received(1), [[""]]);
    }

    #[test]
    fn the_nameless_get_names_that_count_up() {
        let mut world = router();
        for _ in 0..3 {
            world.join();
        }
        let ids: Vec<u32> = (0..3)
            .map(|peer| {
                world.peer_sends(peer, &["m"]);
                let id = world.recv_bytes().expect("sent").swap_remove(0);
                assert_eq!((id.len(), id[0]), (5, 0));
                u32::from_be_bytes(id[1..].try_into().expect("four bytes"))
            })
            .collect();
        assert_eq!(ids, [ids[0], ids[0].wrapping_add(1), ids[0].wrapping_add(2)]);
    }

    #[test]
    fn names_may_be_long_and_begin_with_zero() {
        let mut world = router();
        let long = vec![b'n'; 300];
        for (peer, name) in [&long[..], &[0, 1], &[0, 0, 0, 0, 0]].into_iter().enumerate() {
            world.join_as(name, Attach::default());
            assert_eq!(world.send_bytes(&[name, b"m"]), Ok(()));
            assert_eq!(world.received(peer), [["m"]]);
            world.peer_sends(peer, &["r"]);
            assert_eq!(world.recv_bytes(), Ok(vec![name.to_vec(), b"r".to_vec()]));
        }
    }

    #[test]
    fn until_it_says_its_name_a_peer_is_unknown_and_unread() {
        let mut world = router();
        let id = world.peers.join(&mut world.pipes);
        world.pattern.attach(&mut world.pipes, id, Attach::default());
        world.peer_sends(0, &["early"]);
        assert_eq!(world.recv(), Err(Error::Again));
        assert_eq!(
            world.pattern.peer_state(&mut world.pipes, b"alice"),
            Err(Error::HostUnreachable)
        );
        world.pattern.identify(&mut world.pipes, id, b"alice");
        assert_eq!(world.recv(), Ok(vec!["alice".into(), "early".into()]));
        assert_eq!(world.pattern.peer_state(&mut world.pipes, b"alice"), Ok(c::ZMQ_POLLOUT));
    }

    #[test]
    fn a_name_is_kept_across_reconnects() {
        let mut world = router();
        let id = join(&mut world, "alice");
        world.pattern.identify(&mut world.pipes, id, b"other");
        assert_eq!(world.send(&["alice", "m"]), Ok(()));
        assert_eq!(world.received(0), [["m"]]);
    }

    #[test]
    fn a_full_peer_loses_messages_or_holds_up_the_sender() {
        let mut world = World::with_mark(Router::default(), 1);
        join(&mut world, "slow");
        join(&mut world, "fast");
        for _ in 0..5 {
            assert_eq!(world.send(&["slow", "m"]), Ok(()));
        }
        assert_eq!(world.pattern.peer_state(&mut world.pipes, b"slow"), Ok(0));
        assert_eq!(world.set_int(c::ZMQ_ROUTER_MANDATORY, 1), Ok(()));
        assert_eq!(world.send(&["slow", "m"]), Err(Error::Again));
        assert_eq!(world.events(), (false, true));
        assert_eq!(world.send(&["fast", "m"]), Ok(()));
        assert_eq!(world.send(&["fast", "m"]), Ok(()));
        assert_eq!(world.events(), (false, false));
        assert_eq!(world.received(0).len(), 2);
        assert_eq!(world.send(&["slow", "again"]), Ok(()));
        assert_eq!(world.received(0), [["again"]]);
    }

    #[test]
    fn a_peer_on_its_way_out_is_unreachable() {
        let mut world = router();
        let id = join(&mut world, "alice");
        world.peer_sends(0, &["last words"]);
        world.peer_leaves(id);
        assert_eq!(world.send(&["alice", "m"]), Ok(()), "dropped");
        assert_eq!(world.set_int(c::ZMQ_ROUTER_MANDATORY, 1), Ok(()));
        assert_eq!(world.send(&["alice", "m"]), Err(Error::HostUnreachable));
        assert_eq!(world.recv(), Ok(vec!["alice".into(), "last words".into()]));
    }

    #[test]
    fn the_rest_of_a_message_to_a_peer_that_dies_is_dropped() {
        let mut world = router();
        let id = join(&mut world, "alice");
        join(&mut world, "bob");
        assert_eq!(world.send_part("alice", true), Ok(()));
        assert_eq!(world.send_part("a", true), Ok(()));
        world.leave(id);
        assert_eq!(world.send_part("bob", true), Ok(()), "a body part by now");
        assert_eq!(world.send_part("b", false), Ok(()));
        assert_eq!(world.send(&["bob", "m"]), Ok(()));
        assert_eq!(world.received(1), [["m"]]);
        assert!(world.received(0).is_empty());
    }

    #[test]
    fn a_second_peer_of_the_same_name_is_ignored() {
        let mut world = router();
        let first = join(&mut world, "alice");
        let second = join(&mut world, "alice");
        world.peer_sends(1, &["unheard"]);
        assert_eq!(world.recv(), Err(Error::Again));
        assert_eq!(world.send(&["alice", "m"]), Ok(()));
        assert_eq!((world.received(0).len(), world.received(1).len()), (1, 0));
        assert!(world.pattern.drains_input(&mut world.pipes, first));
        assert!(!world.pattern.drains_input(&mut world.pipes, second));
        world.leave(first);
        assert_eq!(world.recv(), Err(Error::Again), "it is not looked at again");
        world.leave(second);
        join(&mut world, "alice");
        assert_eq!(world.send(&["alice", "m"]), Ok(()));
        assert_eq!(world.received(2), [["m"]]);
    }

    #[test]
    fn a_peer_that_is_gone_does_not_block_its_name() {
        let mut world = router();
        let old = join(&mut world, "alice");
        world.peer_sends(0, &["old news"]);
        world.peer_leaves(old);
        join(&mut world, "alice");
        assert_eq!(world.recv(), Ok(vec!["alice".into(), "old news".into()]));
        world.leave(old);
        assert_eq!(world.send(&["alice", "m"]), Ok(()));
        assert_eq!(world.received(1), [["m"]]);
    }

    #[test]
    fn a_name_can_be_handed_over() {
        let mut world = router();
        assert_eq!(world.set_int(c::ZMQ_ROUTER_HANDOVER, 1), Ok(()));
        let old = join(&mut world, "alice");
        world.peer_sends(0, &["a", "b"]);
        world.peer_sends(0, &["c"]);
        assert_eq!(world.recv_part().map(|msg| text(&msg)), Ok("alice".into()));
        join(&mut world, "alice");
        assert_eq!(world.send(&["alice", "m"]), Ok(()));
        assert_eq!(world.received(1), [["m"]]);
        // The message begun goes on, the next one comes under another name, then the pipe is over.
        assert_eq!(world.recv(), Ok(vec!["a".into(), "b".into()]));
        let renamed = world.recv_bytes().expect("delivered before");
        assert_eq!((renamed[0].len(), &renamed[1][..]), (5, &b"c"[..]));
        assert!(world.pipes.get(old).is_some_and(|pipe| pipe.exhausted()));
        world.leave(old);
        assert_eq!(
            world.pattern.peer_state(&mut world.pipes, &renamed[0]),
            Err(Error::HostUnreachable)
        );
        assert_eq!(world.pattern.peer_state(&mut world.pipes, b"alice"), Ok(c::ZMQ_POLLOUT));
    }

    #[test]
    fn the_name_of_the_next_connect_can_be_chosen() {
        let mut world = router();
        assert_eq!(world.set_bytes(c::ZMQ_CONNECT_ROUTING_ID, b""), Err(Error::Invalid));
        assert_eq!(world.set_bytes(c::ZMQ_CONNECT_ROUTING_ID, b"server"), Ok(()));
        let assigned_id = world.pattern.connect_routing_id();
        assert_eq!(
            (assigned_id.as_deref(), world.pattern.connect_routing_id()),
            (Some(&b"server"[..]), None)
        );
        let id = world.peers.join(&mut world.pipes);
        let how = Attach { initiator: true, assigned_id, ..Attach::default() };
        world.pattern.attach(&mut world.pipes, id, how);
        assert_eq!(world.send(&["server", "at once"]), Ok(()));
        assert_eq!(world.received(0), [["at once"]]);
        world.pattern.identify(&mut world.pipes, id, b"its own");
        world.peer_sends(0, &["m"]);
        assert_eq!(world.recv(), Ok(vec!["server".into(), "m".into()]));
        assert_eq!(world.set_bytes(c::ZMQ_CONNECT_ROUTING_ID, b"server"), Err(Error::Invalid));
    }

    #[test]
    fn a_chosen_name_that_was_taken_meanwhile_is_not_used() {
        let mut world = router();
        join(&mut world, "alice");
        let how =
            Attach { initiator: true, assigned_id: Some(b"alice".to_vec()), ..Attach::default() };
        world.join_as(b"bob", how);
        assert_eq!(world.send(&["alice", "a"]), Ok(()));
        assert_eq!(world.send(&["bob", "b"]), Ok(()));
        assert_eq!(
            (world.received(0), world.received(1)),
            (vec![vec!["a".into()]], vec![vec!["b".into()]])
        );
    }

    #[test]
    fn options_take_their_ranges_and_have_no_getters() {
        let mut world = router();
        let switches = [
            c::ZMQ_ROUTER_MANDATORY,
            c::ZMQ_ROUTER_HANDOVER,
            c::ZMQ_PROBE_ROUTER,
            c::ZMQ_ROUTER_RAW,
            c::ZMQ_ROUTER_NOTIFY,
        ];
        for option in switches {
            assert_eq!(world.set_int(option, -1), Err(Error::Invalid));
            assert_eq!(world.set_bytes(option, b"long long"), Err(Error::Invalid));
            assert_eq!(world.set_int(option, 1), Ok(()));
        }
        assert_eq!(world.set_int(c::ZMQ_ROUTER_NOTIFY, 4), Err(Error::Invalid));
        assert_eq!(world.set_int(c::ZMQ_SUBSCRIBE, 1), Err(Error::Invalid));
        assert_eq!(world.pattern.option(c::ZMQ_ROUTER_NOTIFY), Ok(Value::Int(1)));
        assert_eq!(world.pattern.option(c::ZMQ_ROUTER_MANDATORY), Err(Error::Invalid));
    }

    #[test]
    fn a_probe_makes_it_known() {
        let mut world = router();
        assert_eq!(world.set_int(c::ZMQ_PROBE_ROUTER, 1), Ok(()));
        world.join();
        assert_eq!(world.received(0), [[""]]);
    }

    #[test]
    fn raw_peers_have_automatic_names_and_an_empty_part_ends_them() {
        let mut world = router();
        assert_eq!(world.set_int(c::ZMQ_ROUTER_RAW, 1), Ok(()));
        assert!(world.pattern.is_raw());
        assert_eq!(world.pattern.notifies(), 3);
        let id = world.peers.join(&mut world.pipes);
        world.pattern.attach(&mut world.pipes, id, Attach::default());
        world.peer_sends(0, &["GET /"]);
        let got = world.recv_bytes().expect("sent");
        assert_eq!((got[0].len(), &got[1][..]), (5, &b"GET /"[..]));
        assert_eq!(world.send_part(&got[0], true), Ok(()));
        assert_eq!(world.send_part("200", true), Ok(()), "one body part only");
        assert_eq!(world.received(0), [["200"]]);
        assert_eq!(world.send_bytes(&[&got[0], b""]), Ok(()));
        assert!(world.pipes.get(id).is_some_and(|pipe| pipe.ended()));
        assert_eq!(world.set_int(c::ZMQ_ROUTER_RAW, 0), Ok(()));
        assert!(world.pattern.is_raw(), "connections stay raw");
    }

    #[test]
    fn notices_of_connections_are_asked_for() {
        let mut world = router();
        assert_eq!(
            (world.pattern.notifies(), world.pattern.option(c::ZMQ_ROUTER_NOTIFY)),
            (0, Ok(Value::Int(0)))
        );
        assert_eq!(world.set_int(c::ZMQ_ROUTER_NOTIFY, 3), Ok(()));
        assert_eq!(world.pattern.notifies(), 3);
    }
}
