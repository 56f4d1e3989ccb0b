//! PUB: an XPUB that tells its user nothing.

use super::xpub::XPub;
use super::{Attach, Pattern};
use crate::base::Error;
use crate::message::Msg;
use crate::options::Options;
use crate::pipe::{PipeId, Pipes};

/// The state of a PUB.
#[repr(align(128))]
pub(super) struct Pub {
    inner: XPub,
}

impl Pub {
    pub(super) fn new(options: &Options) -> Pub {
        Pub { inner: XPub::without_inbox(options) }
    }
}

impl Pattern for Pub {
    fn attach(&mut self, pipes: &mut Pipes, id: PipeId, how: Attach) {
        self.inner.attach(pipes, id, how);
    }

    fn subscribe_to_all(&mut self, pipes: &mut Pipes, id: PipeId) {
        self.inner.subscribe_to_all(pipes, id);
    }

    fn readable(&mut self, pipes: &mut Pipes, id: PipeId) {
        self.inner.readable(pipes, id);
    }

    fn writable(&mut self, pipes: &mut Pipes, id: PipeId) {
        self.inner.writable(pipes, id);
    }

    fn detach(&mut self, pipes: &mut Pipes, id: PipeId) {
        self.inner.detach(pipes, id);
    }

    fn send(&mut self, pipes: &mut Pipes, msg: &mut Msg) -> Result<(), Error> {
        self.inner.send(pipes, msg)
    }

    fn send_bytes(&mut self, pipes: &mut Pipes, bytes: &[u8], more: bool) -> bool {
        self.inner.send_bytes(pipes, bytes, more)
    }

    fn can_send(&mut self, pipes: &mut Pipes) -> bool {
        self.inner.can_send(pipes)
    }

    fn drains_input(&self, _pipes: &mut Pipes, _id: PipeId) -> bool {
        false
    }

    fn set(&mut self, pipes: &mut Pipes, option: i32, value: &[u8]) -> Result<(), Error> {
        self.inner.set(pipes, option, value)
    }

    fn topics_count(&self) -> Result<i32, Error> {
        self.inner.topics_count()
    }

    fn set_invert_matching(&mut self, on: bool) {
        self.inner.set_invert_matching(on);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;
    use crate::base::constants as c;
    use crate::options::{ContextDefaults, SocketType};

    fn pub_(peers: usize) -> World<Pub> {
        let defaults = ContextDefaults { ipv6: false, blocky: true, zero_copy_recv: true };
        let mut world = World::new(Pub::new(&Options::new(SocketType::Pub, defaults)));
        for _ in 0..peers {
            world.join();
        }
        world
    }

    #[test]
    fn it_sends_to_subscribers_and_never_receives() {
        let mut world = pub_(2);
        assert_eq!(world.send(&["dropped"]), Ok(()));
        world.peer_sends(0, &["\x01a"]);
        assert_eq!(world.recv(), Err(Error::NotSupported));
        assert_eq!(world.events(), (false, true));
        assert_eq!(world.send(&["abc"]), Ok(()));
        assert_eq!(world.send(&["x"]), Ok(()));
        assert_eq!(world.received(0), [["abc"]]);
        assert!(world.received(1).is_empty());
        assert_eq!(world.pattern.topics_count(), Ok(1));
        assert!(!world.pattern.drains_input(&mut world.pipes, PipeId(0)));
    }

    #[test]
    fn whatever_else_subscribers_send_is_read_and_dropped() {
        let mut world = World::with_mark(pub_(0).pattern, 1);
        world.join();
        for _ in 0..2_500 {
            world.peer_sends(0, &["data", "more"]);
        }
        world.peer_sends(0, &["\x01"]);
        assert_eq!(world.pattern.topics_count(), Ok(1));
    }

    #[test]
    fn it_has_the_options_of_an_xpub() {
        let mut world = pub_(1);
        assert_eq!(world.set_int(c::ZMQ_SUBSCRIBE, 1), Err(Error::Invalid));
        assert_eq!(world.set_int(c::ZMQ_XPUB_MANUAL, 1), Ok(()));
        assert_eq!(world.set_bytes(c::ZMQ_SUBSCRIBE, b"a"), Ok(()));
        world.peer_sends(0, &["\x01a"]);
        assert_eq!(world.send(&["a"]), Ok(()));
        assert!(world.received(0).is_empty(), "nobody can apply it");
        world.leave(PipeId(0));
        assert_eq!(world.pattern.topics_count(), Ok(0));
    }
}
