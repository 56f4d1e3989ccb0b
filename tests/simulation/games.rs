//! What the applications of a world do: one small act at a time, none of which waits.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use fastrand::Rng;
use zmq::base::Error;
use zmq::base::constants as c;
use zmq::message::{Metadata, Msg};

use super::ledger::{Contract, Ledger, Shape};
use super::network::{KERNEL, Network};
use crate::support::local::{Context, Socket};

/// What a cut may take along: the kernel's buffers on both sides of a link, and what the link itself holds.
const UNDER_WAY_TCP: usize = 256 * 1024;
const UNDER_WAY_IPC: usize = 1024 * 1024;
/// Messages that have to come through after the weather turned calm.
const ENCORE: u64 = 20;

/// How a world is furnished.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub ipc: bool,
    pub callers: usize,
    pub send_mark: i32,
    pub receive_mark: i32,
    pub shape: Shape,
    /// One act in so many receives.
    pub slowness: u32,
    /// Nothing is ever cut.
    pub whole: bool,
}

impl Setup {
    pub fn random(rng: &mut Rng, whole: bool) -> Setup {
        let marks = [1, 2, 5, 20, 100, 1000, 0];
        Setup {
            ipc: rng.bool(),
            callers: rng.usize(1..4),
            send_mark: marks[rng.usize(..marks.len())],
            receive_mark: marks[rng.usize(..marks.len())],
            shape: Shape {
                largest: [100, 3000, 70_000][rng.usize(..3)],
                parts: [0, 1, 4][rng.usize(..3)],
            },
            slowness: [2, 3, 10][rng.usize(..3)],
            whole,
        }
    }

    fn under_way(&self) -> usize {
        let kernel = if self.ipc { UNDER_WAY_IPC } else { UNDER_WAY_TCP };
        // A message of which anything went out is lost whole, and another may be half received.
        kernel + 2 * (self.shape.largest * self.shape.parts + 1000)
    }

    pub fn socket(&self, context: &Context, socket_type: i32) -> Socket {
        let socket = context.socket(socket_type);
        socket.set(c::ZMQ_SNDHWM, self.send_mark);
        socket.set(c::ZMQ_RCVHWM, self.receive_mark);
        socket.set(c::ZMQ_SNDBUF, KERNEL as i32);
        socket.set(c::ZMQ_RCVBUF, KERNEL as i32);
        socket.set(c::ZMQ_RECONNECT_IVL, 1);
        socket
    }

    /// Binds: the endpoint.
    pub fn bind(&self, socket: &Socket, folder: &Path) -> String {
        let address = if self.ipc {
            format!("ipc://{}", folder.join("s").display())
        } else {
            "tcp://127.0.0.1:0".into()
        };
        socket.api().bind(&address).expect("a bind");
        socket.last_endpoint()
    }
}

pub trait Game {
    /// Something an application does; false when it would have to wait.
    fn act(&mut self, rng: &mut Rng) -> bool;
    /// From now on there are no faults.
    fn finale(&mut self);
    /// What was to come has come.
    fn finished(&self) -> bool;
    /// Looks at all of it; `network` knows the cuts.
    fn settle(&self, network: &Network);
    fn state(&self) -> String;
}

/// One message on its way out, part by part.
#[derive(Default)]
struct Outgoing {
    parts: VecDeque<Vec<u8>>,
    started: bool,
}

impl Outgoing {
    /// Sends a part; true when something happened, and `self.parts` is empty when the message is out.
    fn push(&mut self, socket: &Socket) -> bool {
        let more = if self.parts.len() > 1 { c::ZMQ_SNDMORE } else { 0 };
        let Some(part) = self.parts.front() else { return false };
        let mut msg = Msg::copy_of(part).expect("memory");
        match socket.api().send(&mut msg, c::ZMQ_DONTWAIT | more) {
            Ok(_) => {}
            Err(Error::Again) if !self.started => return false,
            // The pipe died under the message: it is spoilt, and the rest is swallowed.
            Err(Error::Again) => {}
            // A router that is told of unknown peers.
            Err(Error::HostUnreachable) if !self.started => {
                self.parts.clear();
                return true;
            }
            Err(error) => panic!("send: {error}"),
        }
        self.parts.pop_front();
        self.started = !self.parts.is_empty();
        true
    }
}

/// Who sends numbered messages.
struct Sender {
    id: u32,
    socket: Socket,
    next: u64,
    /// In the finale no more than this.
    until: u64,
    /// The first message of the finale.
    encore: Option<u64>,
    outgoing: Outgoing,
}

impl Sender {
    fn new(id: u32, socket: Socket) -> Sender {
        Sender { id, socket, next: 0, until: u64::MAX, encore: None, outgoing: Outgoing::default() }
    }

    fn act(&mut self, shape: Shape, rng: &mut Rng, prefix: Option<&[u8]>) -> bool {
        let mut acted = false;
        if self.outgoing.parts.is_empty() {
            // In the finale the receivers catch up, also where no mark holds the sender.
            let hold_back = self.encore.is_some() && rng.u32(..32) != 0;
            if self.next >= self.until || hold_back {
                return false;
            }
            let message = shape.message(self.id, self.next);
            self.outgoing.parts = prefix.map(<[u8]>::to_vec).into_iter().chain(message).collect();
        }
        while self.outgoing.push(&self.socket) {
            acted = true;
            if self.outgoing.parts.is_empty() {
                self.next += 1;
                break;
            }
            if rng.u32(..8) == 0 {
                break;
            }
        }
        acted
    }

    fn finale(&mut self) {
        self.encore = Some(self.next + 1);
    }

    /// The newest message that came. Once one of the finale has, a few more are enough.
    fn heard(&mut self, number: u64) {
        if self.encore.is_some_and(|first| number >= first) && self.until == u64::MAX {
            self.until = self.next.max(number + 1) + ENCORE;
        }
    }

    fn is_heard_out(&self, highest: Option<u64>) -> bool {
        self.next == self.until && highest.map(|number| number + 1) == Some(self.until)
    }

    fn state(&self) -> String {
        let left = self.outgoing.parts.len();
        format!("sender {} at {} of {}, {left} parts left", self.id, self.next, self.until)
    }
}

/// A whole message and the connection it came by.
pub struct Received {
    pub parts: Vec<Vec<u8>>,
    pub by: Option<Arc<Metadata>>,
}

/// A message, if there is one within the time that the socket waits.
pub fn receive(socket: &Socket, flags: i32) -> Option<Received> {
    let mut parts = Vec::new();
    loop {
        match socket.api().recv(flags) {
            Ok(part) => {
                parts.push(part.data().to_vec());
                if !part.more() {
                    return Some(Received { parts, by: part.metadata().cloned() });
                }
            }
            Err(Error::Again) => {
                assert!(parts.is_empty(), "the rest of a message is missing after {parts:?}");
                return None;
            }
            Err(error) => panic!("recv: {error}"),
        }
    }
}

/// PUSH to PULL; the pushers call.
pub struct Pipeline {
    setup: Setup,
    pushers: Vec<Sender>,
    puller: Socket,
    ledger: Ledger,
}

impl Pipeline {
    pub fn new(setup: Setup, context: &Context, network: &mut Network, folder: &Path) -> Pipeline {
        let puller = setup.socket(context, c::ZMQ_PULL);
        let bound = setup.bind(&puller, folder);
        let pushers = (0..setup.callers).map(|n| {
            let socket = setup.socket(context, c::ZMQ_PUSH);
            socket.api().connect(&network.gate(&bound)).expect("a connect");
            Sender::new(n as u32, socket)
        });
        let pushers = pushers.collect();
        let lost_by_cut = Some(setup.under_way());
        let contract = Contract { complete: true, one_pipe: false, lost_by_cut };
        Pipeline { setup, pushers, puller, ledger: Ledger::new(setup.shape, contract) }
    }

    /// Nothing was ever cut: marks, the kernel, the network and one read bound what is under way.
    fn check_marks(&self, sender: &Sender) {
        let (send, receive) = (self.setup.send_mark as u64, self.setup.receive_mark as u64);
        let often_enough = sender.next.is_multiple_of(64);
        if !often_enough || !self.setup.whole || send == 0 || receive == 0 {
            return;
        }
        let first = self.ledger.highest(sender.id).map_or(0, |number| number + 1);
        if sender.next <= first + send + receive {
            return;
        }
        let between = first + receive..sender.next - send;
        let bytes: usize = between
            .flat_map(|number| self.setup.shape.message(sender.id, number))
            .map(|part| part.len() + 2)
            .sum();
        assert!(bytes <= self.setup.under_way(), "{bytes} bytes beyond the marks");
    }
}

impl Game for Pipeline {
    fn act(&mut self, rng: &mut Rng) -> bool {
        if rng.u32(..self.setup.slowness) == 0 {
            let Some(Received { parts, by }) = receive(&self.puller, c::ZMQ_DONTWAIT) else {
                return false;
            };
            let (sender, number) = self.ledger.take(&parts, by.as_ref());
            self.pushers[sender as usize].heard(number);
            return true;
        }
        let n = rng.usize(..self.pushers.len());
        let acted = self.pushers[n].act(self.setup.shape, rng, None);
        if acted {
            self.check_marks(&self.pushers[n]);
        }
        acted
    }

    fn finale(&mut self) {
        self.pushers.iter_mut().for_each(Sender::finale);
    }

    fn finished(&self) -> bool {
        self.pushers.iter().all(|pusher| pusher.is_heard_out(self.ledger.highest(pusher.id)))
    }

    fn settle(&self, network: &Network) {
        self.ledger.settle(|sender| network.cuts(sender as usize));
    }

    fn state(&self) -> String {
        let pushers = self.pushers.iter().map(|pusher| {
            format!("{}, received up to {:?}", pusher.state(), self.ledger.highest(pusher.id))
        });
        pushers.collect::<Vec<_>>().join("; ")
    }
}

/// PUSH to PULL; the pullers call.
pub struct Fountain {
    setup: Setup,
    pusher: Sender,
    pullers: Vec<(Socket, Ledger, bool)>,
}

impl Fountain {
    pub fn new(setup: Setup, context: &Context, network: &mut Network, folder: &Path) -> Fountain {
        let socket = setup.socket(context, c::ZMQ_PUSH);
        let bound = setup.bind(&socket, folder);
        // With several pullers each gets a share; what waits for one that is cut off goes with it.
        let complete = setup.callers == 1;
        let contract = Contract { complete, one_pipe: true, lost_by_cut: None };
        let pullers = (0..setup.callers).map(|_| {
            let puller = setup.socket(context, c::ZMQ_PULL);
            puller.api().connect(&network.gate(&bound)).expect("a connect");
            (puller, Ledger::new(setup.shape, contract), false)
        });
        let pullers = pullers.collect();
        Fountain { setup, pusher: Sender::new(0, socket), pullers }
    }
}

impl Game for Fountain {
    fn act(&mut self, rng: &mut Rng) -> bool {
        if rng.u32(..self.setup.slowness) == 0 {
            let n = rng.usize(..self.pullers.len());
            let (puller, ledger, heard) = &mut self.pullers[n];
            let Some(Received { parts, by }) = receive(puller, c::ZMQ_DONTWAIT) else {
                return false;
            };
            let (_, number) = ledger.take(&parts, by.as_ref());
            *heard |= self.pusher.encore.is_some_and(|first| number >= first);
            if self.pullers.iter().all(|(_, _, heard)| *heard) {
                self.pusher.heard(number);
            }
            return true;
        }
        self.pusher.act(self.setup.shape, rng, None)
    }

    fn finale(&mut self) {
        self.pusher.finale();
    }

    fn finished(&self) -> bool {
        let highest = self.pullers.iter().filter_map(|(_, ledger, _)| ledger.highest(0)).max();
        self.pusher.is_heard_out(highest)
    }

    fn settle(&self, network: &Network) {
        for (n, (_, ledger, _)) in self.pullers.iter().enumerate() {
            ledger.settle(|_| network.cuts(n));
        }
    }

    fn state(&self) -> String {
        let highest = self.pullers.iter().map(|(_, ledger, _)| ledger.highest(0));
        format!("{}, received up to {:?}", self.pusher.state(), highest.collect::<Vec<_>>())
    }
}

/// DEALERs that ask a ROUTER, which answers everything.
pub struct Dialogue {
    setup: Setup,
    dealers: Vec<(Sender, Ledger)>,
    router: Socket,
    requests: Ledger,
    replies: VecDeque<Outgoing>,
    /// Attempts at the first reply so far.
    attempts: u32,
}

impl Dialogue {
    pub fn new(setup: Setup, context: &Context, network: &mut Network, folder: &Path) -> Dialogue {
        let router = setup.socket(context, c::ZMQ_ROUTER);
        router.set(c::ZMQ_ROUTER_MANDATORY, 1);
        let bound = setup.bind(&router, folder);
        let lost_by_cut = Some(setup.under_way());
        let there = Contract { complete: true, one_pipe: false, lost_by_cut };
        let back = Contract { complete: true, one_pipe: true, lost_by_cut: None };
        let dealers = (0..setup.callers).map(|n| {
            let socket = setup.socket(context, c::ZMQ_DEALER);
            socket.api().connect(&network.gate(&bound)).expect("a connect");
            (Sender::new(n as u32, socket), Ledger::new(setup.shape, back))
        });
        let dealers = dealers.collect();
        let requests = Ledger::new(setup.shape, there);
        Dialogue { setup, dealers, router, requests, replies: VecDeque::new(), attempts: 0 }
    }
}

impl Game for Dialogue {
    fn act(&mut self, rng: &mut Rng) -> bool {
        let n = rng.usize(..self.dealers.len());
        let (dealer, answers) = &mut self.dealers[n];
        match rng.u32(..4) {
            0 => dealer.act(self.setup.shape, rng, None),
            1 => {
                let received = receive(&dealer.socket, c::ZMQ_DONTWAIT);
                let Some(Received { parts, by }) = received else { return false };
                let (sender, number) = answers.take(&parts, by.as_ref());
                assert_eq!(sender, dealer.id, "somebody else's answer");
                dealer.heard(number);
                true
            }
            // A peer may be dead with questions left: only who reads on finds out, and reaches the others.
            2 if self.replies.len() < 100 || self.attempts > 500 => {
                let Some(Received { mut parts, by }) = receive(&self.router, c::ZMQ_DONTWAIT)
                else {
                    return false;
                };
                let id = parts.remove(0);
                self.requests.take(&parts, by.as_ref());
                parts.insert(0, id);
                self.replies.push_back(Outgoing { parts: parts.into(), started: false });
                true
            }
            _ => {
                let Some(reply) = self.replies.front_mut() else { return false };
                let acted = reply.push(&self.router);
                self.attempts = if acted { 0 } else { self.attempts + 1 };
                if reply.parts.is_empty() {
                    self.replies.pop_front();
                }
                acted
            }
        }
    }

    fn finale(&mut self) {
        self.dealers.iter_mut().for_each(|(dealer, _)| dealer.finale());
    }

    fn finished(&self) -> bool {
        self.dealers.iter().all(|(dealer, answers)| dealer.is_heard_out(answers.highest(dealer.id)))
    }

    fn settle(&self, network: &Network) {
        self.requests.settle(|sender| network.cuts(sender as usize));
        for (n, (_, answers)) in self.dealers.iter().enumerate() {
            // A lost request and a lost answer leave a gap each.
            answers.settle(|_| 2 * network.cuts(n));
        }
    }

    fn state(&self) -> String {
        let dealers = self.dealers.iter().map(|(dealer, answers)| {
            let asked = self.requests.highest(dealer.id);
            let answered = answers.highest(dealer.id);
            format!("{}, asked up to {asked:?}, answered up to {answered:?}", dealer.state())
        });
        let replies = self.replies.len();
        format!("{}; {replies} replies waiting", dealers.collect::<Vec<_>>().join("; "))
    }
}

/// A PUB that drops nothing, to SUBs that call.
pub struct Broadcast {
    setup: Setup,
    /// One stream of numbers for each topic; all go out by the same socket.
    publisher: Sender,
    subscribers: Vec<(Socket, Ledger, bool)>,
}

const TOPIC: &[u8] = b"topic";

impl Broadcast {
    pub fn new(setup: Setup, context: &Context, network: &mut Network, folder: &Path) -> Broadcast {
        let socket = setup.socket(context, c::ZMQ_PUB);
        socket.set(c::ZMQ_XPUB_NODROP, 1);
        let bound = setup.bind(&socket, folder);
        let contract = Contract { complete: true, one_pipe: true, lost_by_cut: None };
        let subscribers = (0..setup.callers).map(|_| {
            let subscriber = setup.socket(context, c::ZMQ_SUB);
            subscriber.set_bytes(c::ZMQ_SUBSCRIBE, TOPIC);
            subscriber.api().connect(&network.gate(&bound)).expect("a connect");
            (subscriber, Ledger::new(setup.shape, contract), false)
        });
        let subscribers = subscribers.collect();
        Broadcast { setup, publisher: Sender::new(0, socket), subscribers }
    }
}

impl Game for Broadcast {
    fn act(&mut self, rng: &mut Rng) -> bool {
        if rng.u32(..self.setup.slowness) == 0 {
            let n = rng.usize(..self.subscribers.len());
            let (subscriber, ledger, heard) = &mut self.subscribers[n];
            let Some(Received { mut parts, by }) = receive(subscriber, c::ZMQ_DONTWAIT) else {
                return false;
            };
            assert_eq!(parts.remove(0), TOPIC);
            let (_, number) = ledger.take(&parts, by.as_ref());
            *heard |= self.publisher.encore.is_some_and(|first| number >= first);
            if self.subscribers.iter().all(|(_, _, heard)| *heard) {
                self.publisher.heard(number);
            }
            return true;
        }
        self.publisher.act(self.setup.shape, rng, Some(TOPIC))
    }

    fn finale(&mut self) {
        self.publisher.finale();
    }

    fn finished(&self) -> bool {
        let mut ledgers = self.subscribers.iter().map(|(_, ledger, _)| ledger);
        ledgers.all(|ledger| self.publisher.is_heard_out(ledger.highest(0)))
    }

    fn settle(&self, network: &Network) {
        for (n, (_, ledger, _)) in self.subscribers.iter().enumerate() {
            ledger.settle(|_| network.cuts(n));
        }
    }

    fn state(&self) -> String {
        let highest = self.subscribers.iter().map(|(_, ledger, _)| ledger.highest(0));
        format!("{}, received up to {:?}", self.publisher.state(), highest.collect::<Vec<_>>())
    }
}

/// REQs that ask a REP and ask anew when nothing comes.
pub struct Calls {
    setup: Setup,
    callers: Vec<Caller>,
    replier: Socket,
    requests: Ledger,
    reply: Outgoing,
}

struct Caller {
    sender: Sender,
    /// Acts since the question that is open.
    waiting: Option<u32>,
    answers: Ledger,
}

impl Calls {
    pub fn new(setup: Setup, context: &Context, network: &mut Network, folder: &Path) -> Calls {
        let replier = setup.socket(context, c::ZMQ_REP);
        let bound = setup.bind(&replier, folder);
        let callers = (0..setup.callers).map(|n| {
            let socket = setup.socket(context, c::ZMQ_REQ);
            socket.set(c::ZMQ_REQ_RELAXED, i32::from(!setup.whole));
            socket.set(c::ZMQ_REQ_CORRELATE, i32::from(!setup.whole));
            socket.api().connect(&network.gate(&bound)).expect("a connect");
            let contract = Contract { complete: false, one_pipe: true, lost_by_cut: None };
            let answers = Ledger::new(setup.shape, contract);
            Caller { sender: Sender::new(n as u32, socket), waiting: None, answers }
        });
        let callers = callers.collect();
        let contract = Contract { complete: false, one_pipe: false, lost_by_cut: None };
        let requests = Ledger::new(setup.shape, contract);
        Calls { setup, callers, replier, requests, reply: Outgoing::default() }
    }
}

impl Game for Calls {
    fn act(&mut self, rng: &mut Rng) -> bool {
        const PATIENCE: u32 = 3000;
        if rng.bool() {
            if !self.reply.parts.is_empty() {
                return self.reply.push(&self.replier);
            }
            let received = receive(&self.replier, c::ZMQ_DONTWAIT);
            let Some(Received { parts, by }) = received else { return false };
            self.requests.take(&parts, by.as_ref());
            self.reply = Outgoing { parts: parts.into(), started: false };
            return true;
        }
        let n = rng.usize(..self.callers.len());
        let caller = &mut self.callers[n];
        let sender = &mut caller.sender;
        match &mut caller.waiting {
            Some(acts) => {
                let Some(Received { parts, by }) = receive(&sender.socket, c::ZMQ_DONTWAIT) else {
                    *acts += 1;
                    if !self.setup.whole && *acts >= PATIENCE {
                        caller.waiting = None;
                    }
                    return false;
                };
                let (_, number) = caller.answers.take(&parts, by.as_ref());
                assert_eq!(number + 1, sender.next, "an answer to an older question");
                sender.heard(number);
                caller.waiting = None;
                true
            }
            None => {
                let before = sender.next;
                let acted = sender.act(self.setup.shape, rng, None);
                if sender.next > before {
                    caller.waiting = Some(0);
                }
                acted
            }
        }
    }

    fn finale(&mut self) {
        self.callers.iter_mut().for_each(|caller| caller.sender.finale());
    }

    fn finished(&self) -> bool {
        self.callers
            .iter()
            .all(|caller| caller.sender.is_heard_out(caller.answers.highest(caller.sender.id)))
    }

    fn settle(&self, _network: &Network) {
        self.requests.settle(|_| 0);
    }

    fn state(&self) -> String {
        let callers = self.callers.iter().map(|caller| {
            let asked = self.requests.highest(caller.sender.id);
            let waiting = caller.waiting;
            format!("{}, asked up to {asked:?}, waiting {waiting:?}", caller.sender.state())
        });
        let left = self.reply.parts.len();
        format!("{}; {left} parts of a reply left", callers.collect::<Vec<_>>().join("; "))
    }
}
