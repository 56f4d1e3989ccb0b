//! What the tests of this folder share: a pattern with pipes, and the far ends of these.

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Attach, Pattern};
use crate::base::Error;
use crate::message::{Metadata, Msg};
use crate::pipe::wire::{self, Item, Wire};
use crate::pipe::{Driver, Identity, Pipe, PipeId, Pipes, Pulled, Urgency, inproc_pair_for_tests};

/// A message part.
pub(super) fn part(body: impl AsRef<[u8]>, more: bool) -> Msg {
    let mut msg = Msg::copy_of(body.as_ref()).expect("memory");
    msg.set_more(more);
    msg
}

/// What a part says.
pub(super) fn text(msg: &Msg) -> String {
    String::from_utf8_lossy(msg.data()).into_owned()
}

/// All parts that `next` gives.
pub(super) fn parts(mut next: impl FnMut() -> Result<Msg, Error>) -> Vec<String> {
    std::iter::from_fn(|| next().ok()).map(|msg| text(&msg)).collect()
}

/// The far ends of pipes.
#[derive(Default)]
pub(super) struct Peers {
    ends: Vec<Option<Pipe>>,
    mark: i32,
}

impl Peers {
    /// Peers whose pipes take twice `mark` messages; 0 is unlimited.
    pub(super) fn with_mark(mark: i32) -> Peers {
        Peers { ends: Vec::new(), mark }
    }

    /// A new pipe, whose far end gets the next number.
    pub(super) fn join(&mut self, pipes: &mut Pipes) -> PipeId {
        let marks = (self.mark, self.mark);
        let (near, far) = inproc_pair_for_tests(marks, marks);
        self.ends.push(Some(far));
        pipes.insert(near).id
    }

    /// A peer takes so many messages beyond those that its far side has room for.
    pub(super) fn set_mark(&mut self, peer: usize, mark: i32) {
        let (sends, pipe) = (self.mark, self.ends[peer].as_mut());
        pipe.into_iter().for_each(|pipe| pipe.set_marks(sends, mark));
    }

    /// A peer goes.
    pub(super) fn part_from(&mut self, peer: usize) {
        self.ends[peer] = None;
    }

    /// A peer sends a message.
    pub(super) fn send(&mut self, peer: usize, body: &[&str]) {
        let bodies: Vec<&[u8]> = body.iter().map(|part| part.as_bytes()).collect();
        self.send_bytes(peer, &bodies);
    }

    /// A peer sends a message.
    pub(super) fn send_bytes(&mut self, peer: usize, body: &[&[u8]]) {
        let Some(pipe) = &mut self.ends[peer] else { return };
        for (n, bytes) in (1..).zip(body) {
            // A pipe that was terminated may refuse it.
            let _refused = pipe.write(part(bytes, n < body.len()));
        }
        pipe.flush();
    }

    /// A peer sends a message of one part, which may be more than its bytes.
    pub(super) fn send_msg(&mut self, peer: usize, msg: Msg) {
        let pipe = self.ends[peer].as_mut().expect("still there");
        assert!(pipe.write(msg).is_ok());
        pipe.flush();
    }

    /// The messages that a peer got since it was last asked.
    pub(super) fn received_parts(&mut self, peer: usize) -> Vec<Vec<Msg>> {
        let mut messages = vec![Vec::new()];
        while let Some(msg) = self.ends[peer].as_mut().and_then(Pipe::read) {
            let last = !msg.more();
            messages.last_mut().expect("never empty").push(msg);
            if last {
                messages.push(Vec::new());
            }
        }
        assert!(messages.pop().expect("never empty").is_empty(), "an incomplete message");
        messages
    }

    /// As [`Peers::received_parts`], as text.
    pub(super) fn received(&mut self, peer: usize) -> Vec<Vec<String>> {
        let messages = self.received_parts(peer);
        messages.iter().map(|message| message.iter().map(text).collect()).collect()
    }
}

/// A connection that does nothing but note that it was told to fail.
#[derive(Default)]
pub(super) struct Connection {
    failed: AtomicBool,
}

impl Driver for Connection {
    fn flush(&self, _urgency: Urgency) {}

    fn pull(&self) -> Pulled {
        Pulled::Over
    }

    fn resume(&self) -> bool {
        false
    }

    fn attend(&self) -> Option<Arc<dyn AsRawFd + Send + Sync>> {
        None
    }

    fn give_back(&self) {}

    fn rewatch(&self) {}

    fn ease(&self) {}
    fn addresses(&self) -> (String, String) {
        Default::default()
    }

    fn close(&self, _linger_ms: i32) {}

    fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }
}

/// The far end of a pipe to a connection.
pub(super) struct WirePeer {
    wire: Arc<Wire>,
    connection: Arc<Connection>,
}

impl WirePeer {
    /// A new pipe.
    pub(super) fn join(pipes: &mut Pipes) -> (WirePeer, PipeId) {
        let wire = Wire::new(0, 0, false);
        let connection = Arc::new(Connection::default());
        let end = wire::End::new(wire.clone(), connection.clone());
        let id = pipes.insert(Pipe::wire(end)).id;
        (WirePeer { wire, connection }, id)
    }

    /// A message arrives.
    pub(super) fn send(&self, body: &[&str]) {
        let parts = (1..).zip(body).map(|(n, text)| part(text, n < body.len()));
        self.wire.received(&mut parts.map(Item::Message).collect(), 1, true);
    }

    /// It becomes known who the peer is; the socket is told, but need not have looked.
    pub(super) fn is(&self, address: &str) {
        let mut metadata = Metadata::new(-1);
        metadata.push(b"Peer-Address", address.as_bytes());
        let metadata = Some(Arc::new(metadata));
        self.wire.identified(Identity { metadata, ..Identity::default() }, true);
    }

    /// The parts that were written to the connection.
    pub(super) fn sent(&self) -> Vec<String> {
        let segments = self.wire.send.lock().take();
        segments
            .iter()
            .filter_map(|segment| match segment {
                wire::Segment::Message(msg) => Some(text(msg)),
                _ => None,
            })
            .collect()
    }

    /// Whether the peer was found to break the rules.
    pub(super) fn failed(&self) -> bool {
        self.connection.failed.load(Ordering::Relaxed)
    }
}

/// A pattern of any type.
pub(super) struct Any(pub(super) Box<dyn Pattern>);

impl Pattern for Any {
    fn attach(&mut self, pipes: &mut Pipes, id: PipeId, how: Attach) {
        self.0.attach(pipes, id, how);
    }

    fn identify(&mut self, pipes: &mut Pipes, id: PipeId, routing_id: &[u8]) {
        self.0.identify(pipes, id, routing_id);
    }

    fn readable(&mut self, pipes: &mut Pipes, id: PipeId) {
        self.0.readable(pipes, id);
    }

    fn writable(&mut self, pipes: &mut Pipes, id: PipeId) {
        self.0.writable(pipes, id);
    }

    fn hiccup(&mut self, pipes: &mut Pipes, id: PipeId) {
        self.0.hiccup(pipes, id);
    }

    fn detach(&mut self, pipes: &mut Pipes, id: PipeId) {
        self.0.detach(pipes, id);
    }

    fn send(&mut self, pipes: &mut Pipes, msg: &mut Msg) -> Result<(), Error> {
        self.0.send(pipes, msg)
    }

    fn take_spoilt(&mut self) -> bool {
        self.0.take_spoilt()
    }

    fn recv(&mut self, pipes: &mut Pipes) -> Result<Msg, Error> {
        self.0.recv(pipes)
    }

    fn can_recv(&mut self, pipes: &mut Pipes) -> bool {
        self.0.can_recv(pipes)
    }

    fn can_send(&mut self, pipes: &mut Pipes) -> bool {
        self.0.can_send(pipes)
    }

    fn set(&mut self, pipes: &mut Pipes, option: i32, value: &[u8]) -> Result<(), Error> {
        self.0.set(pipes, option, value)
    }

    fn join(&mut self, pipes: &mut Pipes, group: &[u8]) -> Result<(), Error> {
        self.0.join(pipes, group)
    }

    fn peer_number(&self, id: PipeId) -> Option<u32> {
        self.0.peer_number(id)
    }
}

/// A pattern, its pipes and its peers, which are numbered in the order they joined.
pub(super) struct World<P> {
    pub(super) pattern: P,
    pub(super) pipes: Pipes,
    pub(super) peers: Peers,
}

impl<P: Pattern> World<P> {
    /// A pattern without peers.
    pub(super) fn new(pattern: P) -> World<P> {
        World::with_mark(pattern, 0)
    }

    /// As [`World::new`]; the pipes take twice `mark` messages.
    pub(super) fn with_mark(pattern: P, mark: i32) -> World<P> {
        World { pattern, pipes: Pipes::new(), peers: Peers::with_mark(mark) }
    }

    /// A nameless peer joins.
    pub(super) fn join(&mut self) -> PipeId {
        self.join_as(b"", Attach::default())
    }

    /// A peer joins and says its name.
    pub(super) fn join_as(&mut self, routing_id: &[u8], how: Attach) -> PipeId {
        let id = self.peers.join(&mut self.pipes);
        self.pattern.attach(&mut self.pipes, id, how);
        self.pattern.identify(&mut self.pipes, id, routing_id);
        id
    }

    /// A peer is gone, and its pipe is taken away.
    pub(super) fn leave(&mut self, id: PipeId) {
        self.pattern.detach(&mut self.pipes, id);
        self.pipes.remove(id);
    }

    /// A peer (whose number is that of its pipe) is gone; what it sent can still be read.
    pub(super) fn peer_leaves(&mut self, id: PipeId) {
        self.peers.part_from(id.0 as usize);
    }

    /// A peer sends a message, and the pattern is told.
    pub(super) fn peer_sends(&mut self, peer: usize, body: &[&str]) {
        self.peers.send(peer, body);
        self.nudge();
    }

    /// As [`World::peer_sends`], with any bytes.
    pub(super) fn peer_sends_bytes(&mut self, peer: usize, body: &[&[u8]]) {
        self.peers.send_bytes(peer, body);
        self.nudge();
    }

    /// The messages that a peer got since it was last asked; it made room by that.
    pub(super) fn received(&mut self, peer: usize) -> Vec<Vec<String>> {
        let messages = self.peers.received(peer);
        self.nudge();
        messages
    }

    /// Tells the pattern that every pipe may have changed.
    pub(super) fn nudge(&mut self) {
        for id in self.pipes.ids() {
            self.pattern.readable(&mut self.pipes, id);
            self.pattern.writable(&mut self.pipes, id);
        }
    }

    /// Sends a message; the first error ends that.
    pub(super) fn send(&mut self, body: &[&str]) -> Result<(), Error> {
        let bodies: Vec<&[u8]> = body.iter().map(|part| part.as_bytes()).collect();
        self.send_bytes(&bodies)
    }

    /// As [`World::send`], with any bytes.
    pub(super) fn send_bytes(&mut self, body: &[&[u8]]) -> Result<(), Error> {
        (1..).zip(body).try_for_each(|(n, bytes)| self.send_part(bytes, n < body.len()))
    }

    /// Sends one part. A part that is taken is emptied, one that is not is unchanged.
    pub(super) fn send_part(&mut self, body: impl AsRef<[u8]>, more: bool) -> Result<(), Error> {
        let mut msg = part(body.as_ref(), more);
        let sent = self.pattern.send(&mut self.pipes, &mut msg);
        if sent.is_ok() {
            assert!(msg.is_empty() && !msg.more());
        } else {
            assert_eq!((msg.data(), msg.more()), (body.as_ref(), more));
        }
        sent
    }

    /// Receives one part.
    pub(super) fn recv_part(&mut self) -> Result<Msg, Error> {
        self.pattern.recv(&mut self.pipes)
    }

    /// Receives a whole message.
    pub(super) fn recv(&mut self) -> Result<Vec<String>, Error> {
        Ok(self.recv_msgs()?.iter().map(text).collect())
    }

    /// Receives a whole message.
    pub(super) fn recv_bytes(&mut self) -> Result<Vec<Vec<u8>>, Error> {
        Ok(self.recv_msgs()?.iter().map(|msg| msg.data().to_vec()).collect())
    }

    fn recv_msgs(&mut self) -> Result<Vec<Msg>, Error> {
        let mut message = vec![self.recv_part()?];
        while message.last().is_some_and(Msg::more) {
            message.push(self.recv_part().expect("the rest of a message is there"));
        }
        Ok(message)
    }

    /// Whether it can receive, and whether it can send.
    pub(super) fn events(&mut self) -> (bool, bool) {
        (self.pattern.can_recv(&mut self.pipes), self.pattern.can_send(&mut self.pipes))
    }

    /// Sets an int option.
    pub(super) fn set_int(&mut self, option: i32, value: i32) -> Result<(), Error> {
        self.pattern.set(&mut self.pipes, option, &value.to_ne_bytes())
    }

    /// Sets an option of bytes.
    pub(super) fn set_bytes(&mut self, option: i32, value: &[u8]) -> Result<(), Error> {
        self.pattern.set(&mut self.pipes, option, value)
    }
}
