//! STREAM: bytes to and from peers that speak no ZMTP, each with a name.

use super::peers::{Named, Peers};
use super::{Attach, Pattern};
use crate::base::{Error, constants as c};
use crate::message::Msg;
use crate::options::flag;
use crate::pipe::{PipeId, Pipes};

/// The state of a STREAM.
pub(super) struct Stream {
    peers: Peers,
    input: Named,
    /// The next part is not the name but what to send.
    amid_message: bool,
    receiver: Option<PipeId>,
    notify: bool,
    last_peer_id: Option<Vec<u8>>,
}

impl Default for Stream {
    fn default() -> Stream {
        Stream {
            peers: Peers::default(),
            input: Named::default(),
            amid_message: false,
            receiver: None,
            notify: true,
            last_peer_id: None,
        }
    }
}

impl Stream {
    /// Finds the receiver by its name, which the part is.
    fn begin(&mut self, pipes: &mut Pipes, msg: &mut Msg) -> Result<(), Error> {
        // Without more parts there is nothing to send; the name is swallowed.
        if msg.more() {
            let id = self.peers.find(msg.data()).ok_or(Error::HostUnreachable)?;
            if !pipes.get(id).is_some_and(|pipe| pipe.admits() && pipe.check_write()) {
                return Err(Error::Again);
            }
            self.receiver = Some(id);
            self.amid_message = true;
        }
        msg.take();
        Ok(())
    }
}

impl Pattern for Stream {
    fn attach(&mut self, pipes: &mut Pipes, id: PipeId, how: Attach) {
        self.peers.attach(pipes, id, how.assigned_id);
        if let Some(name) = self.peers.identify_auto(pipes, id) {
            self.last_peer_id = Some(name.to_vec());
        }
    }

    fn readable(&mut self, _pipes: &mut Pipes, id: PipeId) {
        self.peers.input.readable(id);
    }

    fn writable(&mut self, _pipes: &mut Pipes, _id: PipeId) {}

    fn detach(&mut self, pipes: &mut Pipes, id: PipeId) {
        self.peers.detach(pipes, id);
        if self.receiver == Some(id) {
            self.receiver = None;
        }
    }

    fn send(&mut self, pipes: &mut Pipes, msg: &mut Msg) -> Result<(), Error> {
        if !self.amid_message {
            return self.begin(pipes, msg);
        }
        self.amid_message = false;
        let mut msg = msg.take();
        msg.set_more(false);
        if let Some(pipe) = self.receiver.take().and_then(|id| pipes.get(id)) {
            if msg.is_empty() {
                pipe.terminate(false);
            } else if pipe.write(msg).is_ok() {
                pipe.flush();
            }
        }
        Ok(())
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

    fn can_send(&mut self, _pipes: &mut Pipes) -> bool {
        true
    }

    fn set(&mut self, pipes: &mut Pipes, option: i32, value: &[u8]) -> Result<(), Error> {
        match option {
            c::ZMQ_STREAM_NOTIFY => self.notify = flag(value)?,
            c::ZMQ_CONNECT_ROUTING_ID => self.peers.set_connect_routing_id(pipes, value)?,
            _ => return Err(Error::Invalid),
        }
        Ok(())
    }

    fn connect_routing_id(&mut self) -> Option<Vec<u8>> {
        self.peers.options.connect_routing_id.take()
    }

    fn last_peer_id(&self) -> Option<&[u8]> {
        self.last_peer_id.as_deref()
    }

    fn is_raw(&self) -> bool {
        true
    }

    fn notifies(&self) -> i32 {
        if self.notify { c::ZMQ_NOTIFY_CONNECT | c::ZMQ_NOTIFY_DISCONNECT } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    fn stream() -> World<Stream> {
        World::new(Stream::default())
    }

    fn attach(world: &mut World<Stream>, how: Attach) -> (PipeId, Vec<u8>) {
        let id = world.peers.join(&mut world.pipes);
        world.pattern.attach(&mut world.pipes, id, how);
        let name = world.pipes.get(id).expect("attached").routing_id().to_vec();
        (id, name)
    }

    #[test]
    fn alone_it_swallows_a_single_part_and_knows_nobody() {
        let mut world = stream();
        assert_eq!(world.send(&["single"]), Ok(()));
        assert_eq!(world.send(&["who", "body"]), Err(Error::HostUnreachable));
        assert_eq!(world.recv(), Err(Error::Again));
        assert_eq!(world.events(), (false, true));
    }

    #[test]
    fn bytes_pass_with_names() {
        let mut world = stream();
        let (_, name) = attach(&mut world, Attach::default());
        assert_eq!((name.len(), name[0]), (5, 0));
        assert_eq!(world.pattern.last_peer_id(), Some(&name[..]));
        world.peer_sends(0, &[""]);
        world.peer_sends(0, &["bytes"]);
        assert_eq!(world.recv_bytes(), Ok(vec![name.clone(), vec![]]));
        assert_eq!(world.recv_bytes(), Ok(vec![name.clone(), b"bytes".to_vec()]));
        // MORE on the body means nothing: what follows is a name again.
        assert_eq!(world.send_part(&name, true), Ok(()));
        assert_eq!(world.send_part("1", true), Ok(()));
        assert_eq!(world.send_bytes(&[&name, b"2"]), Ok(()));
        assert_eq!(world.received(0), [["1"], ["2"]]);
    }

    #[test]
    fn an_empty_part_closes_the_connection_after_what_was_sent() {
        let mut world = stream();
        let (id, name) = attach(&mut world, Attach::default());
        assert_eq!(world.send_bytes(&[&name, b"bye"]), Ok(()));
        assert_eq!(world.send_bytes(&[&name, b""]), Ok(()));
        assert_eq!(world.received(0), [["bye"]]);
        assert!(world.pipes.get(id).is_some_and(|pipe| pipe.exhausted()));
        assert_eq!(world.send_bytes(&[&name, b"m"]), Err(Error::Again), "not processed yet");
        world.leave(id);
        assert_eq!(world.send_bytes(&[&name, b"m"]), Err(Error::HostUnreachable));
    }

    #[test]
    fn a_full_peer_holds_up_the_sender() {
        let mut world = World::with_mark(Stream::default(), 1);
        let (id, name) = attach(&mut world, Attach::default());
        assert_eq!(world.send_bytes(&[&name, b"1"]), Ok(()));
        assert_eq!(world.send_bytes(&[&name, b"2"]), Ok(()));
        assert_eq!(world.send_bytes(&[&name, b"3"]), Err(Error::Again));
        world.peer_leaves(id);
        assert_eq!(world.send_bytes(&[&name, b"3"]), Err(Error::Again), "just disconnected");
    }

    #[test]
    fn a_body_for_a_peer_that_left_is_dropped() {
        let mut world = stream();
        let (id, name) = attach(&mut world, Attach::default());
        assert_eq!(world.send_part(&name, true), Ok(()));
        world.leave(id);
        assert_eq!(world.send_part("late", false), Ok(()));
        assert_eq!(world.send(&["single"]), Ok(()));
    }

    #[test]
    fn names_can_be_chosen_for_connects_and_are_kept() {
        let mut world = stream();
        assert_eq!(world.set_bytes(c::ZMQ_CONNECT_ROUTING_ID, b"web"), Ok(()));
        let assigned_id = world.pattern.connect_routing_id();
        let how = Attach { initiator: true, assigned_id, ..Attach::default() };
        let (id, name) = attach(&mut world, how);
        assert_eq!(name, b"web");
        assert_eq!(world.pattern.last_peer_id(), None);
        world.pattern.identify(&mut world.pipes, id, b"");
        assert_eq!(world.send(&["web", "m"]), Ok(()));
        assert_eq!(world.received(0), [["m"]]);
    }

    #[test]
    fn notices_are_a_switch() {
        let mut world = stream();
        assert_eq!((world.pattern.is_raw(), world.pattern.notifies()), (true, 3));
        assert_eq!(world.set_int(c::ZMQ_STREAM_NOTIFY, 2), Err(Error::Invalid));
        assert_eq!(world.set_int(c::ZMQ_STREAM_NOTIFY, 0), Ok(()));
        assert_eq!(world.pattern.notifies(), 0);
        assert_eq!(world.set_int(c::ZMQ_ROUTER_MANDATORY, 1), Err(Error::Invalid));
    }
}
