//! What XPUB and PUB promise, on pipes whose far ends the tests hold.

use super::super::testing::World;
use super::*;
use crate::options::{ContextDefaults, SocketType, Value};

fn options() -> Options {
    let defaults = ContextDefaults { ipv6: false, blocky: true, zero_copy_recv: true };
    Options::new(SocketType::XPub, defaults)
}

fn xpub(peers: usize) -> World<XPub> {
    let mut world = World::new(XPub::new(&options()));
    for _ in 0..peers {
        world.join();
    }
    world
}

/// One with options, before its peers join.
fn with(settings: &[i32], peers: usize) -> World<XPub> {
    let mut world = xpub(0);
    for option in settings {
        assert_eq!(world.set_int(*option, 1), Ok(()));
    }
    for _ in 0..peers {
        world.join();
    }
    world
}

fn told(world: &mut World<XPub>) -> Vec<String> {
    std::iter::from_fn(|| world.recv().ok()).map(|message| message.concat()).collect()
}

#[test]
fn alone_it_drops_what_is_sent() {
    let mut world = xpub(0);
    assert_eq!(world.send(&["m"]), Ok(()));
    assert_eq!(world.send(&["m", "n"]), Ok(()));
    assert_eq!(world.recv(), Err(Error::Again));
    assert_eq!(world.events(), (false, true));
}

#[test]
fn messages_go_to_those_who_subscribed_to_a_prefix() {
    let mut world = xpub(3);
    world.peer_sends(0, &["\x01a"]);
    world.peer_sends(1, &["\x01ab"]);
    world.peer_sends(1, &["\x01a"]);
    world.peer_sends(2, &["\x01"]);
    for message in [&["abc", "more"][..], &["ax"], &["x"]] {
        assert_eq!(world.send(message), Ok(()));
    }
    assert_eq!(world.received(0), [vec!["abc", "more"], vec!["ax"]]);
    assert_eq!(world.received(1), [vec!["abc", "more"], vec!["ax"]], "once each");
    assert_eq!(world.received(2), [vec!["abc", "more"], vec!["ax"], vec!["x"]]);
    world.peer_sends(1, &["\0a"]);
    assert_eq!(world.send(&["ax"]), Ok(()));
    assert_eq!(world.send(&["ab"]), Ok(()));
    assert_eq!(world.received(1), [["ab"]]);
}

#[test]
fn the_later_parts_go_where_the_first_went() {
    let mut world = xpub(2);
    world.peer_sends(0, &["\x01a"]);
    world.peer_sends(1, &["\x01b"]);
    assert_eq!(world.send_part("a", true), Ok(()));
    world.peer_sends(1, &["\x01a"]);
    world.peer_sends(0, &["\0a"]);
    assert_eq!(world.send_part("b", false), Ok(()));
    assert_eq!(world.received(0), [["a", "b"]]);
    assert!(world.received(1).is_empty());
}

#[test]
fn by_default_only_the_first_and_the_last_are_told() {
    let mut world = xpub(2);
    for peer in [0, 0, 1] {
        world.peer_sends(peer, &["\x01a"]);
    }
    assert_eq!(told(&mut world), ["\x01a"]);
    // No counts: one unsubscribe takes back two subscribes.
    world.peer_sends(0, &["\0a"]);
    assert!(told(&mut world).is_empty());
    world.peer_sends(1, &["\0a"]);
    assert_eq!(told(&mut world), ["\0a"]);
    // What a peer does not hold is told nevertheless.
    world.peer_sends(0, &["\x01b"]);
    world.peer_sends(1, &["\0b"]);
    world.peer_sends(1, &["\0c"]);
    assert_eq!(told(&mut world), ["\x01b", "\0b", "\0c"]);
    assert_eq!(world.pattern.topics_count(), Ok(1));
    assert_eq!(world.pattern.option(c::ZMQ_TOPICS_COUNT), Ok(Value::LooseInt(1)));
}

#[test]
fn verbose_tells_every_subscribe_and_verboser_everything() {
    for (option, expected) in [
        (c::ZMQ_XPUB_VERBOSE, &["\x01a", "\x01a", "\x01a", "\0a"][..]),
        (c::ZMQ_XPUB_VERBOSER, &["\x01a", "\x01a", "\x01a", "\0a", "\0a"]),
    ] {
        let mut world = with(&[option], 2);
        for peer in [0, 0, 1] {
            world.peer_sends(peer, &["\x01a"]);
        }
        world.peer_sends(0, &["\0a"]);
        world.peer_sends(1, &["\0a"]);
        assert_eq!(told(&mut world), expected);
    }
    // VERBOSE takes back the second half of VERBOSER.
    let mut world = with(&[c::ZMQ_XPUB_VERBOSER, c::ZMQ_XPUB_VERBOSE], 2);
    world.peer_sends(0, &["\x01a"]);
    world.peer_sends(1, &["\x01a"]);
    world.peer_sends(1, &["\0a"]);
    assert_eq!(told(&mut world), ["\x01a", "\x01a"]);
}

#[test]
fn the_end_of_a_peer_unsubscribes_it() {
    for (settings, expected) in
        [(&[][..], &["\0b"][..]), (&[c::ZMQ_XPUB_VERBOSER], &["\0a", "\0b"])]
    {
        let mut world = with(settings, 2);
        for topic in ["\x01a", "\x01b"] {
            world.peer_sends(0, &[topic]);
        }
        world.peer_sends(1, &["\x01a"]);
        told(&mut world);
        world.leave(PipeId(0));
        assert_eq!(told(&mut world), expected);
        assert_eq!(world.pattern.topics_count(), Ok(1));
        // The next peer in its place has no part in that.
        assert_eq!(world.join(), PipeId(0));
        assert_eq!(world.send(&["b"]), Ok(()));
        assert!(world.received(2).is_empty());
    }
}

#[test]
fn other_messages_of_subscribers_are_delivered() {
    let mut world = xpub(1);
    world.peer_sends(0, &["data", "more"]);
    world.peer_sends(0, &[""]);
    assert_eq!(world.recv(), Ok(vec!["data".into(), "more".into()]));
    assert_eq!(world.recv(), Ok(vec![String::new()]));
}

#[test]
fn each_part_may_be_a_subscription_unless_only_the_first_counts() {
    let messages = [&["data", "\x01a"][..], &["\x01b", "\x01c", "data"]];
    let mut world = xpub(1);
    messages.iter().for_each(|message| world.peer_sends(0, message));
    let parts: Vec<_> = std::iter::from_fn(|| world.recv_part().ok())
        .map(|msg| (msg.data().to_vec(), msg.more()))
        .collect();
    let expected: [(&[u8], bool); 5] = [
        (b"data", true),
        (b"\x01a", false),
        (b"\x01b", false),
        (b"\x01c", false),
        (b"data", false),
    ];
    assert_eq!(parts, expected.map(|(data, more)| (data.to_vec(), more)));
    assert_eq!(world.pattern.topics_count(), Ok(3));

    let mut world = with(&[c::ZMQ_ONLY_FIRST_SUBSCRIBE], 1);
    messages.iter().for_each(|message| world.peer_sends(0, message));
    assert_eq!(told(&mut world), ["data\x01a", "\x01b", "\x01c", "data"]);
    assert_eq!(world.pattern.topics_count(), Ok(2));
}

#[test]
fn a_full_subscriber_misses_the_newest() {
    let mut world = World::with_mark(XPub::new(&options()), 1);
    world.join();
    world.join();
    for peer in [0, 1] {
        world.peer_sends(peer, &["\x01"]);
    }
    for n in 0..4 {
        assert_eq!(world.send(&[&n.to_string(), "end"]), Ok(()));
        if n > 0 {
            assert_eq!(world.received(1).len(), if n == 1 { 2 } else { 1 });
        }
    }
    assert_eq!(world.received(0), [["0", "end"], ["1", "end"]]);
    assert!(world.events().1);
}

#[test]
fn without_drops_a_full_subscriber_holds_up_the_sender() {
    let mut world = World::with_mark(XPub::new(&options()), 1);
    assert_eq!(world.set_int(c::ZMQ_XPUB_NODROP, 1), Ok(()));
    world.join();
    world.join();
    world.peer_sends(0, &["\x01a"]);
    world.peer_sends(1, &["\x01"]);
    assert_eq!(world.send(&["a1"]), Ok(()));
    assert_eq!(world.send(&["a2"]), Ok(()));
    assert_eq!(world.received(1).len(), 2);
    assert!(world.events().1, "nothing was refused yet");
    assert_eq!(world.send(&["a3"]), Err(Error::Again));
    assert!(!world.events().1);
    assert!(world.received(1).is_empty(), "nobody gets it");
    assert_eq!(world.send(&["b"]), Ok(()), "it is not for the full one");
    assert_eq!(world.received(0).len(), 2);
    assert!(world.events().1);
    assert_eq!(world.send(&["a3"]), Ok(()));
    assert_eq!(world.received(1), [["b"], ["a3"]]);
    // A subscriber that is gone holds up nobody.
    assert_eq!(world.send(&["a4"]), Ok(()));
    assert_eq!(world.send(&["a5"]), Err(Error::Again));
    world.peer_leaves(PipeId(0));
    assert!(world.events().1);
    assert_eq!(world.send(&["a5"]), Ok(()));
}

#[test]
fn by_hand_subscriptions_are_told_and_not_applied() {
    let mut world = with(&[c::ZMQ_XPUB_MANUAL], 2);
    assert_eq!(world.set_bytes(c::ZMQ_SUBSCRIBE, b"early"), Ok(()), "before any recv: nothing");
    world.peer_sends(0, &["\x01a"]);
    world.peer_sends(0, &["\x01a"]);
    world.peer_sends(1, &["\x01a"]);
    assert_eq!(world.pattern.topics_count(), Ok(0));
    assert_eq!(world.recv(), Ok(vec!["\x01a".into()]));
    assert_eq!(world.set_bytes(c::ZMQ_SUBSCRIBE, b"b"), Ok(()));
    assert_eq!(world.set_bytes(c::ZMQ_SUBSCRIBE, b"c"), Ok(()));
    for topic in ["a", "b", "c"] {
        assert_eq!(world.send(&[topic]), Ok(()));
    }
    assert_eq!(world.received(0), [["b"], ["c"]]);
    assert!(world.received(1).is_empty());
    assert_eq!(world.set_bytes(c::ZMQ_UNSUBSCRIBE, b"c"), Ok(()));
    assert_eq!(told(&mut world), ["\x01a", "\x01a"], "all, and as often as asked");
    assert_eq!(world.set_bytes(c::ZMQ_SUBSCRIBE, b"x"), Ok(()));
    for topic in ["c", "x"] {
        assert_eq!(world.send(&[topic]), Ok(()));
    }
    assert_eq!(world.received(1), [["x"]]);
    assert!(world.received(0).is_empty());
    // At the end of a peer what it asked for is told, not what it was given.
    world.leave(PipeId(0));
    assert_eq!(told(&mut world), ["\0a"]);
    assert_eq!(world.set_bytes(c::ZMQ_SUBSCRIBE, b"z"), Ok(()), "nobody is behind that");
    assert_eq!(world.pattern.topics_count(), Ok(1));
}

#[test]
fn by_hand_the_subscription_of_a_peer_that_left_goes_nowhere() {
    let mut world = with(&[c::ZMQ_XPUB_MANUAL], 1);
    world.peer_sends(0, &["\x01a"]);
    world.leave(PipeId(0));
    assert_eq!(world.join(), PipeId(0), "its place is used again");
    assert_eq!(world.recv(), Ok(vec!["\x01a".into()]));
    assert_eq!(world.set_bytes(c::ZMQ_SUBSCRIBE, b"a"), Ok(()));
    assert_eq!(world.pattern.topics_count(), Ok(0));
}

#[test]
fn the_last_value_goes_to_the_last_subscriber_only() {
    let mut world = with(&[c::ZMQ_XPUB_MANUAL_LAST_VALUE], 2);
    for peer in [0, 1] {
        world.peer_sends(peer, &["\x01a"]);
        assert_eq!(world.recv(), Ok(vec!["\x01a".into()]));
        assert_eq!(world.set_bytes(c::ZMQ_SUBSCRIBE, b"a"), Ok(()));
    }
    assert_eq!(world.send(&["a", "last"]), Ok(()));
    assert_eq!(world.send(&["a", "next"]), Ok(()));
    assert_eq!(world.received(0), [["a", "next"]]);
    assert_eq!(world.received(1), [["a", "last"], ["a", "next"]]);
    // Only if it matches; and the subscriber may still be answered afterwards.
    world.peer_sends(0, &["\x01b"]);
    assert!(world.recv().is_ok());
    assert_eq!(world.send(&["b"]), Ok(()));
    assert_eq!(world.set_bytes(c::ZMQ_SUBSCRIBE, b"b"), Ok(()));
    assert_eq!(world.send(&["b"]), Ok(()));
    assert_eq!(world.received(0), [["b"]]);
}

#[test]
fn a_welcome_greets_every_new_peer() {
    let mut world = xpub(1);
    assert_eq!(world.set_bytes(c::ZMQ_XPUB_WELCOME_MSG, b"hello"), Ok(()));
    world.join();
    assert!(world.received(0).is_empty());
    assert_eq!(world.received(1), [["hello"]]);
    assert_eq!(world.set_bytes(c::ZMQ_XPUB_WELCOME_MSG, b""), Ok(()));
    world.join();
    assert!(world.received(2).is_empty());
}

#[test]
fn a_peer_that_cannot_subscribe_gets_everything() {
    let mut world = xpub(0);
    world.join_as(b"", Attach { subscribe_to_all: true, ..Attach::default() });
    let later = world.join();
    assert_eq!(world.send(&["a"]), Ok(()));
    world.pattern.subscribe_to_all(&mut world.pipes, later);
    assert_eq!(world.send(&["b"]), Ok(()));
    assert_eq!((world.received(0).len(), world.received(1).len()), (2, 1));
}

#[test]
fn matching_can_be_inverted() {
    let mut world = xpub(3);
    world.pattern.set_invert_matching(true);
    world.peer_sends(0, &["\x01a"]);
    world.peer_sends(1, &["\x01b"]);
    assert_eq!(world.send(&["abc"]), Ok(()));
    assert_eq!((0..3).map(|peer| world.received(peer).len()).collect::<Vec<_>>(), [0, 1, 1]);
}

#[test]
fn data_that_is_not_read_holds_up_its_sender_alone() {
    let mut few = options();
    few.rcvhwm = 4;
    let mut world = World::new(XPub::new(&few));
    world.join();
    world.join();
    for n in 0..20 {
        world.peer_sends(0, &[&n.to_string()]);
    }
    assert_eq!(world.pattern.inbox.entries.len(), 4);
    world.peer_sends(1, &["\x01a"]);
    assert_eq!(world.pattern.topics_count(), Ok(1), "others are heard");
    let all = told(&mut world);
    assert_eq!(all.len(), 21);
    assert_eq!(
        all.iter().filter(|text| *text != "\x01a").cloned().collect::<Vec<_>>(),
        (0..20).map(|n| n.to_string()).collect::<Vec<_>>()
    );
}

#[test]
fn a_flood_of_subscriptions_is_taken_in_pieces() {
    let mut world = xpub(1);
    world.pattern.most_read = 10;
    for n in 0..25 {
        world.peers.send(0, &[&format!("\x01{n}")]);
    }
    world.pattern.readable(&mut world.pipes, PipeId(0));
    assert_eq!(world.pattern.topics_count(), Ok(10));
    assert_eq!(world.send(&["x"]), Ok(()));
    assert_eq!(world.pattern.topics_count(), Ok(20));
    assert_eq!(told(&mut world).len(), 25, "a receiver misses nothing");
}

#[test]
fn a_very_long_topic_comes_and_goes() {
    let mut world = xpub(1);
    let mut topic = vec![b't'; 1_000_000];
    for kind in [SUBSCRIBE, UNSUBSCRIBE] {
        topic[0] = kind;
        world.peer_sends_bytes(0, &[&topic]);
        assert!(world.recv_part().is_ok_and(|msg| msg.data() == topic && !msg.is_command()));
    }
    assert_eq!(world.pattern.topics_count(), Ok(0));
}

#[test]
fn options_take_their_ranges() {
    let mut world = xpub(0);
    for option in [
        c::ZMQ_XPUB_VERBOSE,
        c::ZMQ_XPUB_VERBOSER,
        c::ZMQ_XPUB_NODROP,
        c::ZMQ_XPUB_MANUAL,
        c::ZMQ_XPUB_MANUAL_LAST_VALUE,
        c::ZMQ_ONLY_FIRST_SUBSCRIBE,
    ] {
        assert_eq!(world.set_int(option, -1), Err(Error::Invalid));
        assert_eq!(world.set_bytes(option, b"abc"), Err(Error::Invalid));
    }
    for option in [c::ZMQ_SUBSCRIBE, c::ZMQ_UNSUBSCRIBE, c::ZMQ_XSUB_VERBOSE_UNSUBSCRIBE] {
        assert_eq!(world.set_int(option, 1), Err(Error::Invalid), "only by hand");
    }
}

#[test]
fn a_user_who_never_reads_keeps_only_the_newest_subscriptions() {
    let mut world = xpub(0);
    world.pattern.inbox.told_bound = 3;
    world.join();
    world.peer_sends(0, &["data"]);
    for n in 0..10 {
        world.peer_sends(0, &[&format!("\x01{n}")]);
    }
    assert_eq!(world.send(&["0"]), Ok(()));
    assert_eq!(world.received(0), [["0"]], "it was applied all the same");
    let told: Vec<_> = std::iter::from_fn(|| world.recv().ok()).collect();
    assert_eq!(told, [["data"], ["\x017"], ["\x018"], ["\x019"]]);
    assert_eq!(world.pattern.inbox.told_bytes, 0);
}
