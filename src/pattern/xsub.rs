//! XSUB: messages of all publishers in turn; subscriptions, and other messages, to all of them.

use super::fair_queue::FairQueue;
use super::fan_out::FanOut;
use super::subscriptions::{Interests, Removed};
use super::{Attach, Pattern, switch};
use crate::base::{Error, constants as c};
use crate::message::Msg;
use crate::options::int_value;
use crate::pipe::{Pipe, PipeId, Pipes};

/// First byte of a message that ends a subscription.
pub(super) const UNSUBSCRIBE: u8 = 0;
/// First byte of a message that makes one.
pub(super) const SUBSCRIBE: u8 = 1;

/// The state of an XSUB. A SUB has one inside.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct XSub {
    pub(super) input: FairQueue,
    pub(super) interests: Interests,
    out: FanOut,
    /// A message is sent in part; its later parts are examined for subscriptions.
    sending: Sending,
    only_first: bool,
    verbose_unsubscribe: bool,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Sending {
    #[default]
    Nothing,
    /// The parts to come may be subscriptions.
    Examined,
    /// The parts to come are data.
    Data,
}

impl XSub {
    /// Asks for a topic, and tells all publishers.
    pub(super) fn subscribe(&mut self, pipes: &mut Pipes, topic: &[u8]) -> Result<(), Error> {
        let msg = control(SUBSCRIBE, topic)?;
        self.interests.add(topic)?;
        self.tell_all(pipes, msg);
        Ok(())
    }

    /// Asks for a topic once less, and tells all publishers when that was the last time.
    pub(super) fn unsubscribe(&mut self, pipes: &mut Pipes, topic: &[u8]) -> Result<(), Error> {
        let msg = control(UNSUBSCRIBE, topic)?;
        if self.interests.remove(topic) == Removed::Last || self.verbose_unsubscribe {
            self.tell_all(pipes, msg);
        }
        Ok(())
    }

    /// The number of topics, as an option.
    pub(super) fn count(&self) -> i32 {
        i32::try_from(self.interests.len()).unwrap_or(i32::MAX)
    }

    fn tell_all(&mut self, pipes: &mut Pipes, mut msg: Msg) {
        for (_, pipe) in pipes.iter_mut() {
            if let Ok(copy) = msg.share() {
                pipe.write_control(copy);
                pipe.flush();
            }
        }
    }

    /// Tells one publisher everything.
    fn tell_again(&mut self, pipe: &mut Pipe) {
        self.interests.for_each(|topic| {
            if let Ok(msg) = control(SUBSCRIBE, topic) {
                pipe.write_control(msg);
            }
        });
        pipe.flush();
    }

    /// Sends a part that is a subscription. On the wire it stays what the user made of it, a part of data; only
    /// subscriptions of this side's own making (ZMQ_SUBSCRIBE, and all of them to a new publisher) are commands.
    fn send_subscription(&mut self, pipes: &mut Pipes, msg: &mut Msg) -> Result<(), Error> {
        let (kind, topic) = msg.data().split_first().ok_or(Error::Invalid)?;
        let forward = if *kind == SUBSCRIBE {
            self.interests.add(topic)?;
            true
        } else {
            self.interests.remove(topic) == Removed::Last || self.verbose_unsubscribe
        };
        if self.out.is_amid_message() || msg.more() {
            // It goes as a part of its message. One that is not to be forwarded leaves a gap, unless the message
            // would have no end then.
            if !forward && msg.more() {
                msg.take();
            } else {
                if !forward {
                    *msg = Msg::new();
                }
                self.send_data(pipes, msg);
            }
        } else {
            let msg = msg.take();
            if forward {
                self.tell_all(pipes, msg);
            }
        }
        Ok(())
    }

    fn send_data(&mut self, pipes: &mut Pipes, msg: &mut Msg) {
        if !self.out.is_amid_message() {
            self.out.choose_all();
        }
        self.out.send(pipes, msg);
    }
}

impl Pattern for XSub {
    fn attach(&mut self, pipes: &mut Pipes, id: PipeId, _how: Attach) {
        self.input.attach(id);
        self.out.attach(id);
        if let Some(pipe) = pipes.get(id) {
            self.tell_again(pipe);
        }
    }

    fn readable(&mut self, _pipes: &mut Pipes, id: PipeId) {
        self.input.readable(id);
    }

    fn writable(&mut self, _pipes: &mut Pipes, _id: PipeId) {}

    fn hiccup(&mut self, pipes: &mut Pipes, id: PipeId) {
        self.out.forget_message_of(id);
        if let Some(pipe) = pipes.get(id) {
            pipe.rollback();
            self.tell_again(pipe);
        }
    }

    fn detach(&mut self, _pipes: &mut Pipes, id: PipeId) {
        self.input.detach(id);
        self.out.detach(id);
    }

    fn send(&mut self, pipes: &mut Pipes, msg: &mut Msg) -> Result<(), Error> {
        let more = msg.more();
        let is_subscription = matches!(msg.data().first(), Some(&(SUBSCRIBE | UNSUBSCRIBE)));
        if is_subscription && self.sending != Sending::Data {
            self.send_subscription(pipes, msg)?;
            self.sending = Sending::Examined;
        } else {
            self.send_data(pipes, msg);
            if self.sending == Sending::Nothing {
                self.sending = if self.only_first { Sending::Data } else { Sending::Examined };
            }
        }
        if !more {
            self.sending = Sending::Nothing;
        }
        Ok(())
    }

    fn recv(&mut self, pipes: &mut Pipes) -> Result<Msg, Error> {
        self.input.recv(pipes).map(|(_, msg)| msg)
    }

    fn recv_into(&mut self, pipes: &mut Pipes, msg: &mut Msg) -> Result<(), Error> {
        self.input.recv_into(pipes, msg).map(|_| ())
    }

    fn recv_bytes(&mut self, pipes: &mut Pipes, into: &mut [u8]) -> Option<(usize, bool)> {
        self.input.recv_bytes(pipes, into)
    }

    fn only_input(&self) -> Option<PipeId> {
        self.input.only()
    }

    fn can_recv(&mut self, pipes: &mut Pipes) -> bool {
        self.input.can_recv(pipes)
    }

    fn can_send(&mut self, _pipes: &mut Pipes) -> bool {
        true
    }

    fn set(&mut self, _pipes: &mut Pipes, option: i32, value: &[u8]) -> Result<(), Error> {
        match option {
            c::ZMQ_ONLY_FIRST_SUBSCRIBE => self.only_first = switch(value)?,
            c::ZMQ_XSUB_VERBOSE_UNSUBSCRIBE => self.verbose_unsubscribe = int_value(value)? != 0,
            _ => return Err(Error::Invalid),
        }
        Ok(())
    }

    fn topics_count(&self) -> Result<i32, Error> {
        Ok(self.count())
    }
}

/// A message that makes or ends a subscription.
pub(super) fn control(kind: u8, topic: &[u8]) -> Result<Msg, Error> {
    let mut msg = Msg::with_size(topic.len() + 1)?;
    if let Some((first, rest)) = msg.data_mut().split_first_mut() {
        *first = kind;
        rest.copy_from_slice(topic);
    }
    msg.set_command(true);
    Ok(msg)
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;
    use crate::options::Value;

    const A: &[&[u8]] = &[b"\x01A"];
    const NOT_A: &[&[u8]] = &[b"\x00A"];

    fn xsub(peers: usize) -> World<XSub> {
        let mut world = World::new(XSub::default());
        for _ in 0..peers {
            world.join();
        }
        world
    }

    #[test]
    fn alone_it_accepts_everything() {
        let mut world = xsub(0);
        assert_eq!(world.send_bytes(A), Ok(()));
        assert_eq!(world.send(&["data", "more"]), Ok(()));
        assert_eq!(world.recv(), Err(Error::Again));
        assert_eq!(world.events(), (false, true));
    }

    #[test]
    fn every_subscribe_is_forwarded_but_only_the_last_unsubscribe() {
        let mut world = xsub(2);
        for message in [A, A, NOT_A, NOT_A, NOT_A] {
            assert_eq!(world.send_bytes(message), Ok(()));
        }
        for peer in 0..2 {
            let got = world.peers.received_parts(peer);
            // As the user wrote them: data, not commands.
            assert!(got.iter().all(|parts| !parts[0].is_command() && parts.len() == 1));
            let data: Vec<_> = got.iter().map(|parts| parts[0].data()).collect();
            assert_eq!(data, [b"\x01A", b"\x01A", b"\x00A"]);
        }
    }

    #[test]
    fn verbose_unsubscribes_are_all_forwarded() {
        let mut world = xsub(1);
        assert_eq!(world.set_int(c::ZMQ_XSUB_VERBOSE_UNSUBSCRIBE, -1), Ok(()), "any int");
        for message in [NOT_A, A, A, NOT_A, NOT_A] {
            assert_eq!(world.send_bytes(message), Ok(()));
        }
        assert_eq!(world.received(0), [["\0A"], ["\x01A"], ["\x01A"], ["\0A"], ["\0A"]]);
    }

    #[test]
    fn a_new_publisher_and_a_new_connection_hear_every_topic_once() {
        let mut world = xsub(0);
        for topic in [&b"\x01A"[..], b"\x01A", b"\x01B", b"\x01C", b"\x00C", b"\x01"] {
            assert_eq!(world.send_bytes(&[topic]), Ok(()));
        }
        let id = world.join();
        let all = [["\x01"], ["\x01A"], ["\x01B"]];
        assert_eq!(world.received(0), all);
        world.pattern.hiccup(&mut world.pipes, id);
        assert_eq!(world.received(0), all);
        assert_eq!(world.pattern.topics_count(), Ok(3));
        assert_eq!(world.pattern.option(c::ZMQ_TOPICS_COUNT), Ok(Value::LooseInt(3)));
    }

    #[test]
    fn no_subscription_is_lost_at_the_mark() {
        let mut world = World::with_mark(XSub::default(), 1);
        world.join();
        for n in 0..20 {
            assert_eq!(world.send(&[&format!("\x01{n}")]), Ok(()));
        }
        assert_eq!(world.received(0).len(), 20);
        world.join();
        assert_eq!(world.received(1).len(), 20);
    }

    #[test]
    fn other_messages_go_to_all_publishers_that_have_room() {
        let mut world = World::with_mark(XSub::default(), 1);
        world.join();
        assert_eq!(world.send(&["data", "more"]), Ok(()));
        assert_eq!(world.send(&[""]), Ok(()));
        assert_eq!(world.send(&["lost"]), Ok(()));
        assert_eq!(world.received(0), [vec!["data", "more"], vec![""]]);
    }

    #[test]
    fn each_part_may_be_a_subscription() {
        let mut world = xsub(1);
        assert_eq!(world.send(&["\x01A", "data", "\x01B", "end"]), Ok(()));
        assert_eq!(world.received(0), [["\x01A", "data", "\x01B", "end"]]);
        assert_eq!(world.pattern.topics_count(), Ok(2));
        assert_eq!(world.send(&["\x01C", "\x01D"]), Ok(()));
        assert_eq!(world.received(0), [["\x01C", "\x01D"]]);
        // What is not forwarded leaves no message without an end.
        assert_eq!(world.send(&["data", "\0Z", "\0Z"]), Ok(()));
        assert_eq!(world.send(&["next"]), Ok(()));
        assert_eq!(world.received(0), [vec!["data", ""], vec!["next"]]);
    }

    #[test]
    fn with_only_first_data_is_data_to_its_end() {
        let mut world = xsub(1);
        assert_eq!(world.set_int(c::ZMQ_ONLY_FIRST_SUBSCRIBE, -1), Err(Error::Invalid));
        assert_eq!(world.set_int(c::ZMQ_ONLY_FIRST_SUBSCRIBE, 1), Ok(()));
        assert_eq!(world.send(&["data", "\x01B"]), Ok(()));
        assert_eq!(world.received(0), [["data", "\x01B"]]);
        assert_eq!(world.pattern.topics_count(), Ok(0));
        assert_eq!(world.send(&["\x01A", "\x01B"]), Ok(()));
        assert_eq!(world.received(0), [["\x01A", "\x01B"]]);
        assert_eq!(world.pattern.topics_count(), Ok(2));
    }

    #[test]
    fn what_publishers_send_is_not_filtered() {
        let mut world = xsub(2);
        world.peer_sends(0, &["x", "y"]);
        world.peer_sends(1, &["z"]);
        assert_eq!(world.events(), (true, true));
        assert_eq!(world.recv(), Ok(vec!["x".into(), "y".into()]));
        assert_eq!(world.recv(), Ok(vec!["z".into()]));
    }

    #[test]
    fn a_very_long_topic_comes_and_goes() {
        let mut world = xsub(1);
        let mut topic = vec![b't'; 1_000_000];
        topic[0] = SUBSCRIBE;
        assert_eq!(world.send_bytes(&[&topic]), Ok(()));
        topic[0] = UNSUBSCRIBE;
        assert_eq!(world.send_bytes(&[&topic]), Ok(()));
        assert_eq!(world.peers.received_parts(0).len(), 2);
        assert_eq!(world.pattern.topics_count(), Ok(0));
    }

    #[test]
    fn it_has_no_options_of_publishers() {
        let mut world = xsub(0);
        for option in [c::ZMQ_SUBSCRIBE, c::ZMQ_UNSUBSCRIBE, c::ZMQ_XPUB_VERBOSE] {
            assert_eq!(world.set_int(option, 1), Err(Error::Invalid));
        }
    }
}
