//! What holds for every socket type: messages stay whole, whatever peers and users do.

use proptest::prelude::*;

use super::testing::{Any, WirePeer, World, part};
use super::*;
use crate::options::ContextDefaults;

fn options(ty: SocketType) -> Options {
    Options::new(ty, ContextDefaults { ipv6: false, blocky: true, zero_copy_recv: true })
}

#[test]
fn every_type_tells_router_notify_and_only_publishers_and_subscribers_their_topics() {
    for number in 0..=c::ZMQ_CHANNEL {
        let ty = SocketType::try_from_i32(number).expect("a type");
        let pattern = create(ty, &options(ty));
        assert_eq!(pattern.option(c::ZMQ_ROUTER_NOTIFY), Ok(Value::Int(0)), "{ty:?}");
        let has_topics =
            matches!(ty, SocketType::Pub | SocketType::XPub | SocketType::Sub | SocketType::XSub);
        let expected = if has_topics { Ok(Value::LooseInt(0)) } else { Err(Error::Invalid) };
        assert_eq!(pattern.option(c::ZMQ_TOPICS_COUNT), expected, "{ty:?}");
    }
}

#[test]
fn messages_carry_what_their_own_peer_announced() {
    let mut pipes = Pipes::default();
    let (peer, id) = WirePeer::join(&mut pipes);
    let mut address = || {
        let part = pipes.get(id)?.read()?;
        Some(part.metadata()?.get(b"Peer-Address")?.to_owned())
    };
    peer.is("here");
    peer.send(&["first"]);
    peer.send(&["second"]);
    assert_eq!(address().as_deref(), Some(c"here"), "although no notice was looked at");
    // Fetched together with the first.
    peer.is("there");
    peer.send(&["third"]);
    assert_eq!(address().as_deref(), Some(c"here"));
    assert_eq!(address().as_deref(), Some(c"there"));
}

#[test]
fn options_of_other_types_and_unknown_ones_are_refused() {
    let own: [(i32, &[SocketType]); 8] = [
        (c::ZMQ_SUBSCRIBE, &[SocketType::Sub]),
        (c::ZMQ_ROUTER_MANDATORY, &[SocketType::Router, SocketType::Rep]),
        (
            c::ZMQ_PROBE_ROUTER,
            &[SocketType::Router, SocketType::Rep, SocketType::Dealer, SocketType::Req],
        ),
        (c::ZMQ_REQ_CORRELATE, &[SocketType::Req]),
        (c::ZMQ_XPUB_VERBOSE, &[SocketType::Pub, SocketType::XPub]),
        (c::ZMQ_ONLY_FIRST_SUBSCRIBE, &[SocketType::Pub, SocketType::XPub, SocketType::XSub]),
        (c::ZMQ_CONNECT_ROUTING_ID, &[SocketType::Router, SocketType::Rep, SocketType::Stream]),
        (c::ZMQ_STREAM_NOTIFY, &[SocketType::Stream]),
    ];
    for number in 0..=c::ZMQ_CHANNEL {
        let ty = SocketType::try_from_i32(number).expect("a type");
        let mut pattern = create(ty, &options(ty));
        for (option, types) in own {
            let set = pattern.set(&mut Pipes::new(), option, &1i32.to_ne_bytes());
            assert_eq!(set.is_ok(), types.contains(&ty), "{ty:?} {option}");
        }
        for option in [0, 9999, c::ZMQ_SNDHWM, c::ZMQ_LINGER] {
            let set = pattern.set(&mut Pipes::new(), option, &1i32.to_ne_bytes());
            assert_eq!(set, Err(Error::Invalid), "{ty:?} {option}");
        }
    }
}

/// A step of users, peers, or the world.
#[derive(Clone, Debug)]
enum Step {
    Join,
    /// A peer (taken round the number of peers) leaves, noticed or not yet.
    Leave(usize, bool),
    /// This side ends a pipe.
    Terminate(usize),
    Hiccup(usize),
    /// A peer sends this many parts.
    PeerSends(usize, usize),
    /// A peer reads everything.
    PeerReads(usize),
    /// The user sends one part, which is the last or not.
    Send(usize, bool),
    Recv,
    Poll,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Join),
        1 => (0usize..8, any::<bool>()).prop_map(|(n, seen)| Step::Leave(n, seen)),
        1 => (0usize..8).prop_map(Step::Terminate),
        1 => (0usize..8).prop_map(Step::Hiccup),
        6 => (0usize..8, 1usize..4).prop_map(|(n, parts)| Step::PeerSends(n, parts)),
        3 => (0usize..8).prop_map(Step::PeerReads),
        8 => (0usize..8, any::<bool>()).prop_map(|(n, more)| Step::Send(n, more)),
        8 => Just(Step::Recv),
        2 => Just(Step::Poll),
    ]
}

/// What a part of message `n` says: which part it is, and whether it is the last.
fn label(n: usize, index: usize, last: bool) -> String {
    format!("{n}:{index}:{}", if last { "end" } else { "" })
}

/// Whether the labels among these parts are those of one message, from the first to the last. A message
/// whose peer was lost may end early, by an empty part.
fn is_whole(parts: &[String], may_be_cut: bool) -> bool {
    let labels: Vec<Vec<&str>> = parts
        .iter()
        .map(|part| part.split(':').collect())
        .filter(|part: &Vec<_>| part.len() == 3)
        .collect();
    let consistent = labels
        .iter()
        .enumerate()
        .all(|(index, label)| label[0] == labels[0][0] && label[1] == index.to_string());
    let ended = labels.last().is_none_or(|label| label[2] == "end");
    consistent && (ended || may_be_cut && parts.last().is_some_and(String::is_empty))
}

struct Storm {
    world: World<Any>,
    ty: SocketType,
    pipes: Vec<PipeId>,
    sent: usize,
    /// The message the user is sending, and its next part.
    sending: Option<(usize, usize)>,
    receiving: Vec<String>,
    count: usize,
}

impl Storm {
    fn new(ty: SocketType) -> Storm {
        let mut world = World::with_mark(Any(create(ty, &options(ty))), 2);
        if ty == SocketType::Sub {
            world.set_bytes(c::ZMQ_SUBSCRIBE, b"").expect("memory");
        }
        if ty == SocketType::Dish {
            // What has no group.
            world.pattern.join(&mut world.pipes, b"").expect("memory");
        }
        Storm {
            world,
            ty,
            pipes: Vec::new(),
            sent: 0,
            sending: None,
            receiving: Vec::new(),
            count: 0,
        }
    }

    fn live(&mut self, n: usize) -> Option<(usize, PipeId)> {
        let peer = n.checked_rem(self.pipes.len())?;
        let id = self.pipes[peer];
        // A place used again belongs to the newest.
        let newest = self.pipes.iter().rposition(|other| *other == id) == Some(peer);
        (newest && self.world.pipes.get(id).is_some()).then_some((peer, id))
    }

    fn join(&mut self) {
        let name = format!("peer {}", self.pipes.len() % 5);
        let assigned_id = (self.ty == SocketType::Stream).then(|| name.clone().into());
        let how = Attach { assigned_id, ..Attach::default() };
        let id = self.world.join_as(name.as_bytes(), how);
        let peer = self.pipes.len();
        self.pipes.push(id);
        if matches!(self.ty, SocketType::Pub | SocketType::XPub) {
            self.world.peer_sends(peer, &["\x01"]);
        }
    }

    fn peer_sends(&mut self, peer: usize, parts: usize) {
        self.count += 1;
        let parts = if self.ty == SocketType::Stream { 1 } else { parts };
        let mut body: Vec<String> =
            (0..parts).map(|index| label(self.count, index, index + 1 == parts)).collect();
        if matches!(self.ty, SocketType::Req | SocketType::Rep) {
            body.insert(0, String::new());
        }
        let body: Vec<&str> = body.iter().map(String::as_str).collect();
        self.world.peer_sends(peer, &body);
    }

    fn peer_reads(&mut self, peer: usize) -> Result<(), TestCaseError> {
        for message in self.world.peers.received(peer) {
            prop_assert!(is_whole(&message, false), "{message:?}");
        }
        self.world.nudge();
        Ok(())
    }

    fn send(&mut self, n: usize, more: bool) -> Result<(), TestCaseError> {
        use SocketType::{Dgram, Pair, Peer, Router, Server, Stream};
        let named = matches!(self.ty, Router | Stream | Dgram);
        let by_number = matches!(self.ty, Server | Peer);
        let more = more && !matches!(self.ty, Stream | Dgram) && !self.ty.is_thread_safe();
        let (message, index, body, more) = match self.sending {
            None if named => (self.sent, 0, format!("peer {}", n % 5), true),
            None => (self.sent, 1, label(self.sent, 0, !more), more),
            Some((message, index)) => (message, index + 1, label(message, index, !more), more),
        };
        let mut msg = part(&body, more);
        if by_number && let Some((_, id)) = self.live(n) {
            msg.set_routing_id(self.world.pattern.peer_number(id).unwrap_or(0));
        }
        let ready = self.world.pattern.can_send(&mut self.world.pipes);
        match self.world.pattern.send(&mut self.world.pipes, &mut msg) {
            Ok(()) => {
                prop_assert!(msg.is_empty());
                self.sending = more.then_some((message, index));
                self.sent += 1;
            }
            Err(error) => {
                prop_assert!(msg.data() == body.as_bytes() && msg.more() == more);
                if self.world.pattern.take_spoilt() {
                    // The part counts as lost; the message goes on if it was not the last.
                    self.sending = more.then_some((message, index));
                    self.sent += 1;
                } else {
                    // Who refuses amid a message would leave half of one behind.
                    prop_assert!(self.sending.is_none() || matches!(self.ty, Pair | Dgram));
                    let picky = named || by_number || self.ty == SocketType::Dish;
                    prop_assert!(!ready || picky, "{error:?} though it was ready");
                }
            }
        }
        Ok(())
    }

    fn recv(&mut self) -> Result<(), TestCaseError> {
        let ready = self.world.pattern.can_recv(&mut self.world.pipes);
        match self.world.recv_part() {
            Ok(msg) => {
                prop_assert!(ready);
                prop_assert!(!(self.ty.is_thread_safe() && msg.more()));
                self.receiving.push(super::testing::text(&msg));
                if !msg.more() {
                    let mut message = std::mem::take(&mut self.receiving);
                    if matches!(self.ty, SocketType::Router | SocketType::Stream) {
                        // The name of the peer, which may be any bytes.
                        message.remove(0);
                    }
                    let may_be_cut = !self.ty.is_thread_safe();
                    prop_assert!(is_whole(&message, may_be_cut), "{message:?}");
                }
            }
            Err(_) => {
                prop_assert!(!ready);
                prop_assert!(self.receiving.is_empty(), "{:?} has no end", self.receiving);
            }
        }
        Ok(())
    }

    fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Join => self.join(),
            Step::Leave(n, noticed) => {
                if let Some((peer, id)) = self.live(n) {
                    self.peer_reads(peer)?;
                    self.world.peers.part_from(peer);
                    if noticed {
                        self.world.leave(id);
                    }
                }
            }
            Step::Terminate(n) => {
                if let Some((_, id)) = self.live(n) {
                    self.world.pipes.get(id).expect("live").terminate(n % 2 == 0);
                }
            }
            Step::Hiccup(n) => {
                if let Some((_, id)) = self.live(n) {
                    self.world.pattern.hiccup(&mut self.world.pipes, id);
                }
            }
            Step::PeerSends(n, parts) => {
                if let Some((peer, _)) = self.live(n) {
                    self.peer_sends(peer, parts);
                }
            }
            Step::PeerReads(n) => {
                if !self.pipes.is_empty() {
                    self.peer_reads(n % self.pipes.len())?;
                }
            }
            Step::Send(n, more) => self.send(n, more)?,
            Step::Recv => self.recv()?,
            Step::Poll => {
                let first = self.world.events();
                prop_assert_eq!(self.world.events(), first, "looking changes nothing");
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn messages_stay_whole(steps in proptest::collection::vec(step(), 0..150)) {
        for number in 0..=c::ZMQ_CHANNEL {
            let ty = SocketType::try_from_i32(number).expect("a type");
            let mut storm = Storm::new(ty);
            for (n, step) in steps.iter().enumerate() {
                storm.take(step).map_err(|error| {
                    TestCaseError::fail(format!("{ty:?}, step {n} {step:?}: {error}"))
                })?;
            }
        }
    }
}
