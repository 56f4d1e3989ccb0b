//! SUB: those messages of all publishers that begin with a topic it subscribed to.

use super::xsub::XSub;
use super::{Attach, Pattern};
use crate::base::{Error, constants as c};
use crate::message::Msg;
use crate::options::Options;
use crate::pipe::{PipeId, Pipes};

/// The state of a SUB.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Sub {
    inner: XSub,
    /// The first part of a message that was found to be wanted.
    first: Option<Msg>,
    invert: bool,
}

impl Sub {
    pub(super) fn new(options: &Options) -> Sub {
        Sub { invert: options.invert_matching, ..Sub::default() }
    }

    /// The next part; what nobody subscribed to is dropped. On an error there may be some of that in `msg`.
    #[inline]
    fn next(&mut self, pipes: &mut Pipes, msg: &mut Msg) -> Result<(), Error> {
        if self.first.is_some()
            && let Some(first) = self.first.take()
        {
            *msg = first;
            return Ok(());
        }
        loop {
            let begins = !self.inner.input.is_amid_message();
            self.inner.input.recv_into(pipes, msg)?;
            if !begins || self.inner.interests.wants(msg.data()) != self.invert {
                return Ok(());
            }
            self.inner.input.skip_rest(pipes);
        }
    }
}

impl Pattern for Sub {
    fn attach(&mut self, pipes: &mut Pipes, id: PipeId, how: Attach) {
        self.inner.attach(pipes, id, how);
    }

    fn readable(&mut self, pipes: &mut Pipes, id: PipeId) {
        self.inner.readable(pipes, id);
    }

    fn writable(&mut self, pipes: &mut Pipes, id: PipeId) {
        self.inner.writable(pipes, id);
    }

    fn hiccup(&mut self, pipes: &mut Pipes, id: PipeId) {
        self.inner.hiccup(pipes, id);
    }

    fn detach(&mut self, pipes: &mut Pipes, id: PipeId) {
        self.inner.detach(pipes, id);
    }

    fn recv(&mut self, pipes: &mut Pipes) -> Result<Msg, Error> {
        let mut msg = Msg::new();
        self.next(pipes, &mut msg).map(|()| msg)
    }

    fn recv_into(&mut self, pipes: &mut Pipes, msg: &mut Msg) -> Result<(), Error> {
        if msg.plain().is_none_or(|(flags, bytes)| flags != 0 || !bytes.is_empty()) {
            *msg = self.recv(pipes)?;
            return Ok(());
        }
        // As good as new, so that it can be made as it was.
        let received = self.next(pipes, msg);
        if received.is_err() {
            msg.clear();
        }
        received
    }

    fn recv_bytes(&mut self, pipes: &mut Pipes, into: &mut [u8]) -> Option<(usize, bool)> {
        if self.first.is_some() {
            return None;
        }
        let XSub { input, interests, .. } = &mut self.inner;
        input.recv_bytes_if(pipes, into, |bytes| interests.wants(bytes) != self.invert)
    }

    fn only_input(&self) -> Option<PipeId> {
        let wanted = self.first.is_none() && !self.invert && self.inner.interests.wants(b"");
        self.inner.input.only().filter(|_| wanted)
    }

    fn can_recv(&mut self, pipes: &mut Pipes) -> bool {
        if self.first.is_none() && !self.inner.input.is_amid_message() {
            self.first = self.recv(pipes).ok();
            return self.first.is_some();
        }
        true
    }

    fn set(&mut self, pipes: &mut Pipes, option: i32, value: &[u8]) -> Result<(), Error> {
        match option {
            c::ZMQ_SUBSCRIBE => self.inner.subscribe(pipes, value),
            c::ZMQ_UNSUBSCRIBE => self.inner.unsubscribe(pipes, value),
            _ => Err(Error::Invalid),
        }
    }

    fn topics_count(&self) -> Result<i32, Error> {
        Ok(self.inner.count())
    }

    fn set_invert_matching(&mut self, on: bool) {
        self.invert = on;
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    fn sub(topics: &[&str], peers: usize) -> World<Sub> {
        let mut world = World::new(Sub::default());
        for topic in topics {
            assert_eq!(world.set_bytes(c::ZMQ_SUBSCRIBE, topic.as_bytes()), Ok(()));
        }
        for _ in 0..peers {
            world.join();
        }
        world
    }

    fn received(world: &mut World<Sub>) -> Vec<Vec<String>> {
        std::iter::from_fn(|| world.recv().ok()).collect()
    }

    #[test]
    fn it_never_sends() {
        let mut world = sub(&[], 1);
        assert_eq!(world.send(&["\x01A"]), Err(Error::NotSupported));
        assert_eq!(world.send(&["m", "n"]), Err(Error::NotSupported));
        assert_eq!(world.recv(), Err(Error::Again));
        assert_eq!(world.events(), (false, false));
    }

    #[test]
    fn only_what_begins_with_a_topic_is_received() {
        let mut world = sub(&["ab", "x"], 2);
        world.peer_sends(0, &["a", "ab"]);
        assert_eq!(world.events(), (false, false));
        world.peer_sends(0, &["abc", "not looked at"]);
        world.peer_sends(1, &["no"]);
        world.peer_sends(1, &["x"]);
        assert_eq!(world.events(), (true, false));
        assert_eq!(received(&mut world), [vec!["abc", "not looked at"], vec!["x"]]);
    }

    #[test]
    fn the_empty_topic_is_everything_and_no_topic_is_nothing() {
        let mut world = sub(&[], 1);
        world.peer_sends(0, &["m"]);
        assert_eq!(world.events(), (false, false));
        assert_eq!(world.set_bytes(c::ZMQ_SUBSCRIBE, b""), Ok(()));
        world.peer_sends(0, &["n"]);
        world.peer_sends(0, &[""]);
        assert_eq!(received(&mut world), [["n"], [""]]);
    }

    #[test]
    fn subscriptions_are_counted_and_told() {
        let mut world = sub(&["a", "a"], 1);
        assert_eq!(world.received(0), [["\x01a"]], "each topic once to a new publisher");
        for (left, told) in [(1, 0), (0, 1), (0, 0)] {
            assert_eq!(world.set_bytes(c::ZMQ_UNSUBSCRIBE, b"a"), Ok(()));
            assert_eq!(world.pattern.topics_count(), Ok(left));
            assert_eq!(world.received(0).len(), told);
        }
        assert_eq!(world.set_bytes(c::ZMQ_SUBSCRIBE, b"b"), Ok(()));
        assert_eq!(world.set_bytes(c::ZMQ_SUBSCRIBE, b"b"), Ok(()));
        assert_eq!(world.received(0), [["\x01b"], ["\x01b"]]);
    }

    #[test]
    fn matching_can_be_inverted() {
        let mut world = sub(&["a"], 1);
        world.pattern.set_invert_matching(true);
        world.peer_sends(0, &["abc", "x"]);
        world.peer_sends(0, &["b"]);
        assert_eq!(received(&mut world), [["b"]]);
    }

    #[test]
    fn a_message_cut_short_ends_and_the_next_is_filtered() {
        let mut world = sub(&["a"], 2);
        world.peer_sends(0, &["a", "lost"]);
        assert!(world.recv_part().is_ok_and(|msg| msg.more()));
        world.leave(PipeId(0));
        world.peer_sends(1, &["unwanted"]);
        world.peer_sends(1, &["apple"]);
        assert_eq!(received(&mut world), [[""], ["apple"]]);
    }

    #[test]
    fn it_has_no_options_of_xsubs() {
        let mut world = sub(&[], 0);
        for option in
            [c::ZMQ_ONLY_FIRST_SUBSCRIBE, c::ZMQ_XSUB_VERBOSE_UNSUBSCRIBE, c::ZMQ_XPUB_VERBOSE]
        {
            assert_eq!(world.set_int(option, 1), Err(Error::Invalid));
        }
    }
}
