//! Members of multicast groups: a pipe to everybody who hears, or from everybody who speaks, at an address.
//!
//! There is nobody to connect to and nobody to lose, and what subscribers want stays with them. All of the traffic is
//! the I/O thread's: rates are limited far below what a second thread could be needed for. What a message looks like
//! on the way, and what the libraries that carry it want, is in `norm` and `pgm`.

mod norm;
mod pgm;

use std::collections::VecDeque;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Shared;
use super::connection::Gate;
use super::lingering::Lingering;
use super::session::Linger;
use super::worker::{Command, Context, EndpointRef, Worker, Workers};
use crate::base::Error;
use crate::message::Msg;
use crate::options::SocketType;
use crate::pipe::wire::{End, Item, Segment, Wire};
use crate::pipe::{Driver, Identity, NewPipe, Pipe, Pulled, Urgency};
use crate::reactor::Source;
use crate::sync::Lock;
use crate::transport::{Part, Scheme};

/// A member as its I/O thread has it.
pub(super) struct Member {
    link: Arc<Link>,
    carrier: Carrier,
    /// Parts of messages that came beyond the receive mark.
    surplus: VecDeque<Msg>,
    linger: Option<Linger>,
    /// Everything is sent, and until then receivers may ask for it again.
    repairs_until: Option<Instant>,
    /// When to look again next.
    due: Option<Instant>,
}

/// What the socket's thread knows of it.
struct Link {
    wire: Arc<Wire>,
    worker: Arc<Worker>,
    key: usize,
    endpoint: String,
    gate: Lock<Gate>,
    /// The I/O thread was asked to attend and has not yet.
    asked: AtomicBool,
    shared: Arc<Shared>,
}

/// Who carries the traffic.
enum Carrier {
    Norm(norm::Norm),
    Pgm(pgm::Pgm),
}

/// A member that was not started yet: its pipe has to report to the socket first.
pub struct Joining {
    place: EndpointRef,
    member: Box<Member>,
}

impl Joining {
    /// The socket's pipe.
    pub fn pipe(&self) -> NewPipe {
        let link = &self.member.link;
        NewPipe {
            pipe: Pipe::wire(End::new(link.wire.clone(), link.clone() as Arc<dyn Driver>)),
            identity: Some(Identity { is_group: true, ..Identity::default() }),
            endpoint: link.shared.endpoint,
            initiator: true,
        }
    }

    /// Starts the traffic.
    pub fn start(self) -> EndpointRef {
        let Joining { place, member } = self;
        place.worker.send(Command::Member(place.key, member));
        place
    }
}

/// Prepares a member of the group at the text after `://`. Names are resolved, which may block.
pub fn join(
    workers: &Arc<Workers>,
    shared: Arc<Shared>,
    scheme: Scheme,
    text: &str,
) -> Result<Joining, Error> {
    let worker = workers.choose(shared.options.affinity).ok_or(Error::NoThread)?;
    let options = &shared.options;
    let part = match options.socket_type {
        SocketType::Pub | SocketType::XPub => Part::Sender,
        _ => Part::Receiver,
    };
    let carrier = match scheme {
        Scheme::Norm => Carrier::Norm(norm::Norm::open(text, part, options)?),
        Scheme::Pgm | Scheme::Epgm => {
            Carrier::Pgm(pgm::Pgm::open(text, scheme == Scheme::Epgm, part, options)?)
        }
        _ => return Err(Error::ProtoNotSupported),
    };
    let key = worker.next_key();
    let link = Arc::new(Link {
        wire: Wire::new(options.sndhwm, options.rcvhwm, options.conflates()),
        worker: worker.clone(),
        key,
        endpoint: format!("{}://{text}", scheme.text()),
        gate: Lock::new(Gate::new(worker.registration(key))),
        asked: AtomicBool::new(false),
        shared,
    });
    link.wire.send.lock().link.open = true;
    worker.count(1);
    let member = Box::new(Member {
        link,
        carrier,
        surplus: VecDeque::new(),
        linger: None,
        repairs_until: None,
        due: None,
    });
    Ok(Joining { place: EndpointRef { worker, key }, member })
}

impl Carrier {
    fn source(&self) -> Arc<dyn Source> {
        match self {
            Carrier::Norm(norm) => norm.source(),
            Carrier::Pgm(pgm) => pgm.source(),
        }
    }

    /// Sends of `segments` what can be sent now, and drops what receivers have to say: how many messages went, and
    /// how many bytes.
    fn send(&mut self, segments: &mut VecDeque<Segment>) -> (usize, usize) {
        match self {
            Carrier::Norm(norm) => norm.send(segments),
            Carrier::Pgm(pgm) => pgm.send(segments),
        }
    }

    /// Whether everything that was taken went out.
    fn is_done(&self) -> bool {
        match self {
            Carrier::Norm(norm) => norm.is_done(),
            Carrier::Pgm(pgm) => pgm.is_done(),
        }
    }

    /// Does what the library has to do, and receives about `room` messages: how many came.
    fn receive(&mut self, room: usize, out: &mut VecDeque<Msg>) -> usize {
        match self {
            Carrier::Norm(norm) => norm.receive(room, out),
            Carrier::Pgm(pgm) => pgm.receive(room, out),
        }
    }

    /// How long to stay for those who miss something of what was sent last.
    fn repair_time(&self) -> Duration {
        /// Long enough for a receiver to wait whether others ask, to ask, and to be answered.
        const REPAIRS: Duration = Duration::from_millis(250);
        let sent = match self {
            Carrier::Norm(norm) => norm.has_sent(),
            Carrier::Pgm(pgm) => pgm.has_sent(),
        };
        if sent { REPAIRS } else { Duration::ZERO }
    }

    /// When there is something to do though no descriptor tells.
    fn due(&self) -> Option<Instant> {
        match self {
            Carrier::Norm(_) => None,
            Carrier::Pgm(pgm) => pgm.due(),
        }
    }

    /// Whether the descriptors tell of input for as long as it is not read.
    fn insists(&self) -> bool {
        match self {
            Carrier::Norm(_) => false,
            Carrier::Pgm(_) => true,
        }
    }
}

impl Member {
    /// The I/O thread has taken it in. Like all calls, answers whether it lives on.
    pub(super) fn begin(&mut self, context: &mut Context<'_>) -> bool {
        {
            let mut gate = self.link.gate.lock();
            gate.registration.set_source(self.carrier.source());
            gate.open = true;
            gate.apply();
        }
        self.attend(context)
    }

    /// Does what there is to do.
    pub(super) fn attend(&mut self, context: &mut Context<'_>) -> bool {
        self.link.asked.store(false, Ordering::SeqCst);
        self.receive();
        self.send();
        if let Some(Linger::Until(until)) = self.linger
            && until <= context.now
        {
            return self.finish();
        }
        if self.linger.is_some() && self.link.wire.send.lock().is_done() && self.carrier.is_done() {
            let until = self.repairs_until.get_or_insert_with(|| {
                let until = context.now + self.carrier.repair_time();
                context.timers.schedule(until, self.link.key);
                until
            });
            if *until <= context.now {
                return self.finish();
            }
        }
        let due = self.carrier.due();
        if let Some(when) = due
            && self.due.is_none_or(|due| due <= context.now || when < due)
        {
            context.timers.schedule(when, self.link.key);
            self.due = due;
        }
        true
    }

    /// What is told of it, if its socket has let it go.
    pub(super) fn lingering(&self, now: Instant) -> Option<Lingering> {
        let Link { wire, endpoint, shared, .. } = &*self.link;
        Some(self.linger?.with(wire, shared.options.socket_type, endpoint, now))
    }

    /// The socket let go.
    pub(super) fn close(&mut self, linger_ms: i32, context: &mut Context<'_>) -> bool {
        if self.linger.is_some() {
            return true;
        }
        if linger_ms == 0 {
            return self.finish();
        }
        self.linger = Some(Linger::begin(linger_ms, self.link.key, context));
        self.attend(context)
    }

    fn finish(&mut self) -> bool {
        {
            let mut queue = self.link.wire.send.lock();
            queue.link.open = false;
            queue.clear();
        }
        let mut gate = self.link.gate.lock();
        gate.open = false;
        gate.registration.clear();
        drop(gate);
        self.link.wire.end();
        false
    }

    fn send(&mut self) {
        let wire = &self.link.wire;
        let mut queue = wire.send.lock();
        if !queue.link.open {
            return;
        }
        loop {
            let mut segments = queue.take();
            let offered = segments.len();
            queue.link.writing = true;
            drop(queue);
            let (messages, bytes) = self.carrier.send(&mut segments);
            queue = wire.send.lock();
            let took = segments.len() < offered;
            queue.give_back(segments);
            wire.sent(&mut queue, messages, bytes);
            queue.link.writing = false;
            if !took || queue.is_empty() {
                return;
            }
        }
    }

    /// Receives up to the receive mark, and stops there.
    fn receive(&mut self) {
        let wire = self.link.wire.clone();
        let paused = loop {
            let room = wire.room();
            if room == 0 {
                // The library has its work to do also where nobody listens.
                if !self.carrier.insists() {
                    self.carrier.receive(0, &mut self.surplus);
                }
                if wire.pause() {
                    break true;
                }
                continue;
            }
            if self.surplus.is_empty() && self.carrier.receive(room, &mut self.surplus) == 0 {
                break false;
            }
            self.publish(room);
        };
        if self.carrier.insists() {
            let mut gate = self.link.gate.lock();
            gate.paused = paused;
            gate.apply();
        }
    }

    /// Hands `room` messages to the socket, or all there are.
    fn publish(&mut self, room: usize) {
        let (mut items, mut messages) = (Vec::new(), 0);
        while messages < room
            && let Some(part) = self.surplus.pop_front()
        {
            messages += usize::from(!part.more());
            items.push(Item::Message(part));
        }
        if messages > 0 {
            self.link.wire.received(&mut items, messages, false);
        }
    }
}

impl Link {
    /// Has the I/O thread attend.
    fn ask(&self) {
        if !self.asked.swap(true, Ordering::SeqCst) {
            self.worker.send(Command::Attend(self.key));
        }
    }
}

impl Driver for Link {
    fn flush(&self, _urgency: Urgency) {
        self.ask();
    }

    fn pull(&self) -> Pulled {
        Pulled::Over
    }

    fn resume(&self) -> bool {
        self.ask();
        false
    }

    fn attend(&self) -> Option<Arc<dyn AsRawFd + Send + Sync>> {
        None
    }

    fn give_back(&self) {}

    fn rewatch(&self) {}

    fn ease(&self) {}

    fn addresses(&self) -> (String, String) {
        (self.endpoint.clone(), String::new())
    }

    fn close(&self, linger_ms: i32) {
        self.worker.send(Command::Close(self.key, linger_ms));
    }

    fn fail(&self) {
        self.close(0);
    }
}
