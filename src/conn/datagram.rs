//! Datagram endpoints: a pipe to a socket that neither connects nor shakes hands, and is never lost.
//!
//! What is sent goes out in the sender's own thread, which the kernel hardly ever holds up; what comes in
//! is read by the I/O thread. A datagram that cannot be sent, or makes no sense, is dropped.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Instant;

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
use crate::reactor::Ready;
use crate::sync::Lock;
use crate::transport::Datagrams;
use crate::zmtp::datagram::{self, LARGEST};

/// Datagrams read per readiness, so that a flood does not keep others waiting.
const BATCH: usize = 64;

/// An endpoint as its I/O thread has it.
pub(super) struct Mouth {
    link: Arc<Link>,
    linger: Option<Linger>,
}

/// What the socket's thread works as well.
struct Link {
    wire: Arc<Wire>,
    worker: Arc<Worker>,
    key: usize,
    datagrams: Arc<Datagrams>,
    framing: Framing,
    gate: Lock<Gate>,
    shared: Arc<Shared>,
}

/// What the two parts of a message are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// Group and body, both in the datagram (RADIO, DISH).
    Groups,
    /// The other end's address and the datagram (DGRAM).
    Addresses,
}

/// An endpoint that was not started yet: its pipe has to report to the socket first.
pub struct Opening {
    place: EndpointRef,
    mouth: Box<Mouth>,
}

impl Opening {
    /// The socket's pipe.
    pub fn pipe(&self) -> NewPipe {
        let link = &self.mouth.link;
        NewPipe {
            pipe: Pipe::wire(End::new(link.wire.clone(), link.clone() as Arc<dyn Driver>)),
            // There is nobody to say which groups are wanted.
            identity: Some(Identity { subscribe_to_all: true, ..Identity::default() }),
            endpoint: link.shared.endpoint,
            initiator: true,
        }
    }

    /// Starts receiving.
    pub fn start(self) -> EndpointRef {
        let Opening { place, mouth } = self;
        place.worker.send(Command::Mouth(place.key, mouth));
        place
    }
}

/// Prepares an endpoint over a datagram socket.
pub fn open(
    workers: &Arc<Workers>,
    shared: Arc<Shared>,
    datagrams: Datagrams,
) -> Result<Opening, Error> {
    let worker = workers.choose(shared.options.affinity).ok_or(Error::NoThread)?;
    let key = worker.next_key();
    let options = &shared.options;
    let framing = match options.socket_type {
        SocketType::Dgram => Framing::Addresses,
        _ => Framing::Groups,
    };
    let link = Arc::new(Link {
        wire: Wire::new(options.sndhwm, options.rcvhwm, false),
        worker: worker.clone(),
        key,
        datagrams: Arc::new(datagrams),
        framing,
        gate: Lock::new(Gate::new(worker.registration(key))),
        shared,
    });
    link.wire.send.lock().link.open = true;
    worker.count(1);
    let mouth = Box::new(Mouth { link, linger: None });
    Ok(Opening { place: EndpointRef { worker, key }, mouth })
}

impl Mouth {
    /// The I/O thread has taken the endpoint in. Like all calls, answers whether it lives on.
    pub(super) fn begin(&mut self) -> bool {
        let mut gate = self.link.gate.lock();
        gate.registration.set_source(self.link.datagrams.clone());
        gate.open = true;
        gate.apply();
        true
    }

    /// The descriptor has something to say.
    pub(super) fn ready(&mut self, ready: Ready) -> bool {
        if ready.writable {
            self.link.unblock();
        }
        if ready.readable {
            self.link.read();
        }
        self.settle()
    }

    /// A deadline may have come.
    pub(super) fn timer(&mut self, now: Instant) -> bool {
        match self.linger {
            Some(Linger::Until(until)) if until <= now => self.finish(),
            _ => true,
        }
    }

    /// The socket let go.
    pub(super) fn close(&mut self, linger_ms: i32, context: &mut Context<'_>) -> bool {
        if self.linger.is_some() {
            return true;
        }
        self.link.flush(Urgency::Now);
        if linger_ms == 0 {
            return self.finish();
        }
        self.linger = Some(Linger::begin(linger_ms, self.link.key, context));
        self.settle()
    }

    /// What is told of it, if its socket has let it go.
    pub(super) fn lingering(&self, now: Instant) -> Option<Lingering> {
        let socket_type = self.link.shared.options.socket_type;
        let endpoint = self.link.datagrams.endpoint();
        Some(self.linger?.with(&self.link.wire, socket_type, endpoint, now))
    }

    fn settle(&mut self) -> bool {
        if self.linger.is_some() && self.link.wire.send.lock().is_done() {
            return self.finish();
        }
        true
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
}

impl Link {
    /// Reads and publishes, up to the receive mark.
    fn read(&self) {
        // One more than is accepted shows what was cut.
        let mut buffer = [0; LARGEST + 1];
        let mut items = Vec::new();
        let mut messages = 0;
        for _ in 0..BATCH {
            if self.wire.room() <= messages {
                self.publish(&mut items, messages);
                messages = 0;
                if self.pause() {
                    return;
                }
            }
            match self.datagrams.receive(&mut buffer) {
                Ok((size, from)) => {
                    let datagram = buffer.get(..size).unwrap_or_default();
                    if let Some(parts) = self.unwrap(datagram, from) {
                        items.extend(parts.map(Item::Message));
                        messages += 1;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // What the kernel reports of datagrams sent earlier is over with that.
                Err(_) => break,
            }
        }
        self.publish(&mut items, messages);
    }

    fn publish(&self, items: &mut Vec<Item>, messages: usize) {
        if messages > 0 {
            self.wire.received(items, messages, false);
        }
    }

    /// The two parts of what came in.
    fn unwrap(&self, datagram: &[u8], from: SocketAddr) -> Option<[Msg; 2]> {
        let (head, body) = match self.framing {
            Framing::Groups => {
                let (group, body) = datagram::decode(datagram)?;
                (Msg::copy_of(group), body)
            }
            Framing::Addresses if datagram.len() <= LARGEST => {
                // The NUL that ends it counts, as C programs expect.
                (Msg::copy_of(format!("{from}\0").as_bytes()), datagram)
            }
            Framing::Addresses => return None,
        };
        let mut head = head.ok()?;
        head.set_more(true);
        Some([head, Msg::copy_of(body).ok()?])
    }

    /// Sends a message; false when the kernel has no room for it.
    fn send(&self, parts: &[Msg]) -> bool {
        let [head, body] = parts else { return true };
        let sent = match self.framing {
            Framing::Groups => match datagram::encode(head.data(), body.data()) {
                Some(datagram) => self.datagrams.send(&datagram),
                None => return true,
            },
            Framing::Addresses => match address(head.data()) {
                Some(to) if body.size() <= LARGEST => self.datagrams.send_to(body.data(), to),
                _ => return true,
            },
        };
        !matches!(sent, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Sends what is in `segments`, as far as the kernel takes it: how many messages, and how many bytes.
    fn send_all(&self, segments: &mut VecDeque<Segment>) -> (usize, usize) {
        let (mut messages, mut bytes) = (0, 0);
        while let Some(parts) = take_message(segments) {
            if !self.send(&parts) {
                for part in parts.into_iter().rev() {
                    segments.push_front(Segment::Message(part));
                }
                break;
            }
            messages += 1;
            bytes += parts.iter().map(Msg::size).sum::<usize>();
        }
        (messages, bytes)
    }

    /// The kernel has room again.
    fn unblock(&self) {
        {
            let mut gate = self.gate.lock();
            gate.wants_room = false;
            gate.apply();
        }
        self.wire.send.lock().link.blocked = false;
        self.flush(Urgency::Now);
    }

    /// Stops at the receive mark; false when there is room after all.
    fn pause(&self) -> bool {
        let mut gate = self.gate.lock();
        gate.paused = self.wire.pause();
        if gate.paused {
            gate.apply();
        }
        gate.paused
    }
}

/// The parts of the first message. Commands are none: nobody could understand them.
fn take_message(segments: &mut VecDeque<Segment>) -> Option<Vec<Msg>> {
    let mut parts = Vec::with_capacity(2);
    while let Some(segment) = segments.pop_front() {
        let Segment::Message(part) = segment else { continue };
        let last = !part.more();
        parts.push(part);
        if last {
            return Some(parts);
        }
    }
    None
}

/// The address in a part, which may end in a NUL.
fn address(part: &[u8]) -> Option<SocketAddr> {
    let text = part.strip_suffix(b"\0").unwrap_or(part);
    std::str::from_utf8(text).ok()?.parse().ok()
}

impl Driver for Link {
    fn flush(&self, _urgency: Urgency) {
        let mut queue = self.wire.send.lock();
        if !queue.link.open || queue.link.writing || queue.link.blocked {
            return;
        }
        queue.link.writing = true;
        while !queue.is_empty() && !queue.link.blocked {
            let mut segments = queue.take();
            drop(queue);
            let (messages, bytes) = self.send_all(&mut segments);
            queue = self.wire.send.lock();
            queue.link.blocked = !segments.is_empty();
            queue.give_back(segments);
            self.wire.sent(&mut queue, messages, bytes);
        }
        queue.link.writing = false;
        let blocked = queue.link.blocked;
        drop(queue);
        if blocked {
            let mut gate = self.gate.lock();
            gate.wants_room = true;
            gate.apply();
        }
    }

    fn pull(&self) -> Pulled {
        Pulled::Over
    }

    fn resume(&self) -> bool {
        // Only the I/O thread reads: it goes on, and tells.
        let mut gate = self.gate.lock();
        gate.paused = false;
        gate.apply();
        false
    }

    fn attend(&self) -> Option<Arc<dyn AsRawFd + Send + Sync>> {
        None
    }

    fn give_back(&self) {}

    fn rewatch(&self) {}

    fn ease(&self) {}

    fn addresses(&self) -> (String, String) {
        (self.datagrams.endpoint().to_owned(), String::new())
    }

    fn close(&self, linger_ms: i32) {
        self.worker.send(Command::Close(self.key, linger_ms));
    }

    fn fail(&self) {
        self.close(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_may_end_in_a_nul() {
        for text in [&b"1.2.3.4:5678"[..], b"1.2.3.4:5678\0"] {
            assert_eq!(address(text), "1.2.3.4:5678".parse().ok());
        }
        for text in [&b""[..], b"\0", b"1.2.3.4", b"name:1", b"1.2.3.4:5\0\0", b"\xff:1"] {
            assert_eq!(address(text), None, "{text:?}");
        }
    }

    #[test]
    fn messages_are_taken_whole() {
        let part = |text: &str, more| {
            let mut msg = Msg::copy_of(text.as_bytes()).expect("small");
            msg.set_more(more);
            Segment::Message(msg)
        };
        let mut segments = VecDeque::from([
            part("command", false),
            part("head", true),
            part("body", false),
            part("unfinished", true),
        ]);
        let sizes = |parts: Vec<Msg>| parts.iter().map(Msg::size).collect::<Vec<_>>();
        assert_eq!(take_message(&mut segments).map(sizes), Some(vec![7]));
        assert_eq!(take_message(&mut segments).map(sizes), Some(vec![4, 4]));
        assert_eq!(take_message(&mut segments).map(sizes), None);
    }
}
