//! Options of PUB, XPUB, SUB and XSUB. The subscribers are raw peers where their own doings matter.

use std::collections::BTreeSet;

use zmq::base::Error;
use zmq::base::constants as c;

use super::util::{eventually, int, message, until_heard};
use crate::support::local::{Context, Socket};
use crate::support::raw::{self, Raw, command, frame};

/// A subscriber that says what it is told to.
struct Subscriber(Raw);

impl Subscriber {
    fn connect(xpub: &Socket) -> Subscriber {
        let address = xpub.last_endpoint();
        let address = address.trim_start_matches("tcp://").parse().expect("an address");
        let mut peer = Raw::connect(address);
        peer.greet("SUB");
        Subscriber(peer)
    }

    fn subscribe(&mut self, topic: &str) {
        self.0.send(&command("SUBSCRIBE", topic.as_bytes()));
        self.0.expect_alive();
    }

    fn cancel(&mut self, topic: &str) {
        self.0.send(&command("CANCEL", topic.as_bytes()));
        self.0.expect_alive();
    }

    fn next(&mut self) -> String {
        String::from_utf8(message(&mut self.0).concat()).expect("text")
    }
}

fn xpub(context: &Context, options: &[(i32, i32)]) -> Socket {
    let xpub = context.socket(c::ZMQ_XPUB);
    options.iter().for_each(|&(option, value)| xpub.set(option, value));
    xpub.listen();
    xpub
}

/// What the XPUB was told, as `+topic` and `-topic`.
fn told(xpub: &Socket) -> Vec<String> {
    std::iter::from_fn(|| xpub.try_recv()).map(|parts| shown(&parts)).collect()
}

fn shown(parts: &[Vec<u8>]) -> String {
    let (sign, topic) = parts[0].split_first().expect("a subscription");
    let sign = if *sign == 1 { '+' } else { '-' };
    format!("{sign}{}", String::from_utf8_lossy(topic))
}

/// Options, what is heard when a topic is subscribed to thrice, and when it is given up twice.
struct Row {
    options: &'static [(i32, i32)],
    joining: &'static [&'static str],
    leaving: &'static [&'static str],
}

const TABLE: &[Row] = &[
    Row { options: &[], joining: &["+a"], leaving: &["-a"] },
    Row { options: &[(c::ZMQ_XPUB_VERBOSE, 1)], joining: &["+a", "+a", "+a"], leaving: &["-a"] },
    Row {
        options: &[(c::ZMQ_XPUB_VERBOSER, 1)],
        joining: &["+a", "+a", "+a"],
        leaving: &["-a", "-a"],
    },
    // The last one set decides about unsubscriptions.
    Row {
        options: &[(c::ZMQ_XPUB_VERBOSER, 1), (c::ZMQ_XPUB_VERBOSE, 1)],
        joining: &["+a", "+a", "+a"],
        leaving: &["-a"],
    },
    Row {
        options: &[(c::ZMQ_XPUB_VERBOSE, 1), (c::ZMQ_XPUB_VERBOSE, 0)],
        joining: &["+a"],
        leaving: &["-a"],
    },
];

#[test]
fn what_an_xpub_hears_of() {
    for row in TABLE {
        let context = Context::new();
        let xpub = xpub(&context, row.options);
        let mut one = Subscriber::connect(&xpub);
        let mut two = Subscriber::connect(&xpub);
        one.subscribe("a");
        two.subscribe("a");
        two.subscribe("a");
        assert_eq!(told(&xpub), row.joining, "{:?}", row.options);
        one.cancel("a");
        two.cancel("a");
        assert_eq!(told(&xpub), row.leaving, "{:?}", row.options);
    }
}

#[test]
fn a_manual_xpub_subscribes_peers_itself() {
    let context = Context::new();
    let xpub = xpub(&context, &[(c::ZMQ_XPUB_MANUAL, 1)]);
    let mut one = Subscriber::connect(&xpub);
    let mut two = Subscriber::connect(&xpub);
    one.subscribe("a");
    two.subscribe("a");
    xpub.send(&[b"a nobody"]);
    assert_eq!(shown(&xpub.recv()), "+a");
    xpub.set_bytes(c::ZMQ_SUBSCRIBE, b"x");
    assert_eq!(shown(&xpub.recv()), "+a");
    xpub.set_bytes(c::ZMQ_SUBSCRIBE, b"y");
    for text in ["a none", "x one", "y two"] {
        xpub.send(&[text.as_bytes()]);
    }
    // Whose request came first is not said.
    let mut got = [one.next(), two.next()];
    got.sort();
    assert_eq!(got, ["x one", "y two"]);
    one.cancel("a");
    assert_eq!(shown(&xpub.recv()), "-a");
    xpub.set_bytes(c::ZMQ_UNSUBSCRIBE, b"x");
    xpub.set_bytes(c::ZMQ_UNSUBSCRIBE, b"y");
    two.subscribe("b");
    assert_eq!(shown(&xpub.recv()), "+b");
    xpub.set_bytes(c::ZMQ_SUBSCRIBE, b"b");
    xpub.send(&[b"x"]);
    xpub.send(&[b"y"]);
    xpub.send(&[b"b"]);
    let next = two.next();
    let next = if next == "b" { next } else { two.next() };
    assert_eq!(next, "b");
    one.0.expect_alive();
}

#[test]
fn the_last_value_goes_to_the_newest_only() {
    let context = Context::new();
    let xpub = xpub(&context, &[(c::ZMQ_XPUB_MANUAL_LAST_VALUE, 1)]);
    let mut one = Subscriber::connect(&xpub);
    one.subscribe("a");
    xpub.recv();
    xpub.set_bytes(c::ZMQ_SUBSCRIBE, b"a");
    xpub.send(&[b"a1"]);
    assert_eq!(one.next(), "a1");
    let mut two = Subscriber::connect(&xpub);
    two.subscribe("a");
    xpub.recv();
    xpub.set_bytes(c::ZMQ_SUBSCRIBE, b"a");
    xpub.send(&[b"a2"]);
    xpub.send(&[b"a3"]);
    assert_eq!([two.next(), two.next()], ["a2", "a3"]);
    assert_eq!(one.next(), "a3");
}

#[test]
fn a_welcome_comes_first() {
    let context = Context::new();
    let xpub = xpub(&context, &[]);
    let mut before = Subscriber::connect(&xpub);
    before.subscribe("");
    xpub.recv();
    xpub.set_bytes(c::ZMQ_XPUB_WELCOME_MSG, b"welcome");
    let mut one = Subscriber::connect(&xpub);
    until_heard(&xpub, &one.0);
    assert_eq!(one.next(), "welcome", "subscribed or not");
    xpub.set_bytes(c::ZMQ_XPUB_WELCOME_MSG, b"");
    let mut two = Subscriber::connect(&xpub);
    two.subscribe("two");
    assert_eq!(shown(&xpub.recv()), "+two");
    xpub.send(&[b"two"]);
    assert_eq!([two.next(), before.next()], ["two", "two"], "no welcome");
}

#[test]
fn nodrop_makes_publishers_wait() {
    for nodrop in [0, 1] {
        let context = Context::new();
        let publisher = context.socket(c::ZMQ_PUB);
        publisher.set(c::ZMQ_XPUB_NODROP, nodrop);
        publisher.set(c::ZMQ_SNDHWM, 2);
        let subscriber = context.socket(c::ZMQ_SUB);
        subscriber.set(c::ZMQ_RCVHWM, 2);
        subscriber.set_bytes(c::ZMQ_SUBSCRIBE, b"a");
        publisher.api().bind("inproc://n").expect("a bind");
        subscriber.api().connect("inproc://n").expect("a connect");
        let sent: Vec<_> = (0..6)
            .map(|n| publisher.try_send(&[&[b'a', n]], c::ZMQ_DONTWAIT))
            .map(|sent| sent.is_ok())
            .collect();
        assert_eq!(sent[..4], [true; 4]);
        assert_eq!(sent[4..], [nodrop == 0; 2]);
        // What does not concern the full subscriber passes.
        assert_eq!(publisher.try_send(&[b"b"], c::ZMQ_DONTWAIT), Ok(()));
        for n in 0..4 {
            assert_eq!(subscriber.recv(), [[b'a', n]], "the oldest are kept");
        }
        assert_eq!(subscriber.try_recv(), None);
        publisher.set(c::ZMQ_SNDTIMEO, 50);
        let answers: Vec<_> = (0..6).map(|_| publisher.try_send(&[b"a"], 0)).collect();
        let expected = if nodrop == 1 { Err(Error::Again) } else { Ok(()) };
        assert_eq!(answers[5], expected);
    }
}

#[test]
fn inverted_matching_is_the_rest() {
    let context = Context::new();
    let xpub = xpub(&context, &[(c::ZMQ_INVERT_MATCHING, 1)]);
    let mut peer = Subscriber::connect(&xpub);
    peer.subscribe("a");
    xpub.recv();
    for text in ["a1", "b1", "a2", "c1"] {
        xpub.send(&[text.as_bytes()]);
    }
    assert_eq!([peer.next(), peer.next()], ["b1", "c1"]);
    // It acts at once, on sockets that are connected.
    xpub.set(c::ZMQ_INVERT_MATCHING, 0);
    xpub.send(&[b"b2"]);
    xpub.send(&[b"a3"]);
    assert_eq!(peer.next(), "a3");
    // A SUB's own filter turns round too.
    let subscriber = context.socket(c::ZMQ_SUB);
    subscriber.set(c::ZMQ_INVERT_MATCHING, 1);
    subscriber.set_bytes(c::ZMQ_SUBSCRIBE, b"a");
    let mut publisher = Raw::connect(subscriber.listen());
    publisher.greet("PUB");
    for text in ["a1", "b1"] {
        publisher.send(&frame(0, text.as_bytes()));
    }
    assert_eq!(subscriber.recv(), [b"b1"]);
}

/// Whatever the marks say, and whether the publisher is there, reads, or neither.
#[test]
fn no_mark_drops_a_subscription() {
    const TOPICS: usize = 5_000;
    const LENGTH: usize = 300;
    let context = Context::new();
    let subscribe = |subscriber: &Socket, kind: char| {
        for n in 0..TOPICS {
            let topic = format!("{kind}{n:0LENGTH$}");
            subscriber.set_bytes(c::ZMQ_SUBSCRIBE, topic.as_bytes());
        }
    };
    let subscriber = context.socket(c::ZMQ_SUB);
    subscriber.set(c::ZMQ_SNDHWM, 2);
    subscriber.set(c::ZMQ_SNDBUF, 4096);
    subscribe(&subscriber, 'a');
    let mut publisher = Raw::connect(subscriber.listen());
    publisher.greet("XPUB");
    until_heard(&subscriber, &publisher);
    // More than the kernel takes, and nobody reads.
    subscribe(&subscriber, 'b');
    let mut missing: BTreeSet<String> = ['a', 'b']
        .into_iter()
        .flat_map(|kind| (0..TOPICS).map(move |n| format!("{kind}{n:0LENGTH$}")))
        .collect();
    while !missing.is_empty() {
        let (flags, body) = publisher.frame();
        assert_eq!(flags & raw::COMMAND, raw::COMMAND);
        let text = String::from_utf8_lossy(&body[1..]).into_owned();
        assert!(missing.remove(text.strip_prefix("SUBSCRIBE").expect("a subscription")), "{text}");
    }

    let publisher = xpub(&context, &[(c::ZMQ_RCVHWM, 2)]);
    publisher.api().bind("inproc://marks").expect("a free name");
    let subscriber = context.socket(c::ZMQ_SUB);
    subscriber.set(c::ZMQ_SNDHWM, 2);
    subscriber.api().connect("inproc://marks").expect("a connect");
    subscribe(&subscriber, 'c');
    (0..TOPICS)
        .for_each(|n| assert_eq!(publisher.recv()[0][1..], *format!("c{n:0LENGTH$}").as_bytes()));
}

#[test]
fn subscriptions_are_counted_and_sent() {
    let context = Context::new();
    let subscriber = context.socket(c::ZMQ_SUB);
    subscriber.set_bytes(c::ZMQ_SUBSCRIBE, b"early");
    let mut publisher = Raw::connect(subscriber.listen());
    publisher.greet("XPUB");
    let next = |publisher: &mut Raw| {
        let (flags, body) = publisher.frame();
        assert_eq!(flags & raw::COMMAND, raw::COMMAND);
        String::from_utf8_lossy(&body[1..]).into_owned()
    };
    until_heard(&subscriber, &publisher);
    assert_eq!(next(&mut publisher), "SUBSCRIBEearly");
    for _ in 0..2 {
        subscriber.set_bytes(c::ZMQ_SUBSCRIBE, b"a");
        assert_eq!(next(&mut publisher), "SUBSCRIBEa");
    }
    subscriber.set_bytes(c::ZMQ_UNSUBSCRIBE, b"a");
    subscriber.set_bytes(c::ZMQ_UNSUBSCRIBE, b"unknown");
    subscriber.set_bytes(c::ZMQ_UNSUBSCRIBE, b"a");
    assert_eq!(next(&mut publisher), "CANCELa", "only the last of two");
    publisher.send(&[frame(0, b"a"), frame(0, b"early bird")].concat());
    assert_eq!(subscriber.recv(), [b"early bird"]);
    eventually("the count", || int(&subscriber, c::ZMQ_TOPICS_COUNT) == 1);
}

#[test]
fn only_the_first_part_subscribes() {
    for only_first in [0, 1] {
        let context = Context::new();
        let xpub = xpub(&context, &[(c::ZMQ_ONLY_FIRST_SUBSCRIBE, only_first)]);
        let mut peer = Subscriber::connect(&xpub);
        let parts = [frame(raw::MORE, b"data"), frame(0, b"\x01a")];
        peer.0.send(&parts.concat());
        peer.0.expect_alive();
        let first = xpub.recv_with(0).expect("a message");
        if only_first == 1 {
            assert_eq!(first, [&b"data"[..], b"\x01a"]);
        }
        assert_eq!(int(&xpub, c::ZMQ_TOPICS_COUNT), 1 - only_first);
    }
}

#[test]
fn an_xsub_may_cancel_without_counting() {
    for verbose in [0, 1] {
        let context = Context::new();
        let xsub = context.socket(c::ZMQ_XSUB);
        xsub.set(c::ZMQ_XSUB_VERBOSE_UNSUBSCRIBE, verbose);
        let mut publisher = Raw::connect(xsub.listen());
        publisher.greet("XPUB");
        // The pipe is there once something went through it.
        publisher.send(&frame(0, b"hello"));
        assert_eq!(xsub.recv(), [b"hello"]);
        for text in [&b"\x01a"[..], b"\x01a", b"\x00a", b"\x00a", b"\x00z", b"\x01end"] {
            xsub.send(&[text]);
        }
        let mut cancels = 0;
        loop {
            let (_, body) = publisher.frame();
            if body.ends_with(b"end") {
                break;
            }
            // As the user wrote it.
            cancels += usize::from(body.starts_with(b"\x00"));
        }
        assert_eq!(cancels, if verbose == 1 { 3 } else { 1 });
    }
}
