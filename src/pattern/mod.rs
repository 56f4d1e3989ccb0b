//! The socket types: what each does with messages and peers.
//!
//! A [`Pattern`] is given the pipes of its socket for each call and keeps none; it knows no sockets,
//! descriptors, threads or clocks, never waits and never calls back. One file per socket type, and the
//! parts they share: `ring`, `fair_queue`, `singles`, `load_balancer`, `fan_out`, `subscriptions`, `groups`,
//! `peers`.
//!
//! The types that carry much are aligned to two cache lines: sockets of different threads would otherwise take
//! lines from each other.
#![forbid(unsafe_code)]

mod channel;
mod client;
mod dealer;
mod dgram;
mod dish;
mod fair_queue;
mod fan_out;
mod gather;
mod groups;
mod hash;
mod load_balancer;
mod pair;
mod peer;
mod peers;
mod pub_;
mod pull;
mod push;
mod radio;
mod rep;
mod req;
mod ring;
mod router;
mod scatter;
mod server;
mod singles;
mod stream;
mod sub;
mod subscriptions;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod xpub;
mod xsub;

use crate::base::{Error, constants as c};
use crate::message::Msg;
use crate::options::{Options, SocketType, Value};
use crate::pipe::{PipeId, Pipes};

/// How a pipe came to a socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attach {
    /// This socket connected, rather than accepted.
    pub initiator: bool,
    /// The peer cannot subscribe and gets everything (unversioned ZMTP 1.0).
    pub subscribe_to_all: bool,
    /// There is a group at the other end, which gets everything without a word.
    pub to_group: bool,
    /// What to call the peer, from [`Pattern::connect_routing_id`].
    pub assigned_id: Option<Vec<u8>>,
}

/// What makes a socket type. Every call is given the pipes of the socket, and touches no others.
pub trait Pattern: Send {
    /// A new pipe. [`Pattern::readable`] follows when it has input already.
    fn attach(&mut self, pipes: &mut Pipes, id: PipeId, how: Attach);

    /// The peer behind a pipe is known, by the routing id it announced (empty: none). Again after each
    /// reconnect.
    fn identify(&mut self, _pipes: &mut Pipes, _id: PipeId, _routing_id: &[u8]) {}

    /// The peer behind a pipe cannot subscribe and gets everything, as in [`Attach::subscribe_to_all`];
    /// for pipes that existed before their peer was known.
    fn subscribe_to_all(&mut self, _pipes: &mut Pipes, _id: PipeId) {}

    /// A pipe that had nothing to read may have something.
    fn readable(&mut self, pipes: &mut Pipes, id: PipeId);

    /// A pipe that had no room may have some.
    fn writable(&mut self, pipes: &mut Pipes, id: PipeId);

    /// The connection behind a pipe was lost and will be made anew; what was queued for it is gone.
    fn hiccup(&mut self, _pipes: &mut Pipes, _id: PipeId) {}

    /// A pipe is over. It is still there, but not after this call, and its id may be used again.
    fn detach(&mut self, pipes: &mut Pipes, id: PipeId);

    /// Sends one part, of a message that goes on if [`Msg::more`] says so. When it is taken, `msg` is left
    /// empty; otherwise it is unchanged.
    fn send(&mut self, _pipes: &mut Pipes, _msg: &mut Msg) -> Result<(), Error> {
        Err(Error::NotSupported)
    }

    /// Whether the [`Error::Again`] that [`Pattern::send`] just gave came from a message spoilt after its
    /// first part: then waiting is of no use. A sender that would not wait is told [`Error::Again`], for
    /// any other the part counts as sent (and lost). Asking clears it.
    fn take_spoilt(&mut self) -> bool {
        false
    }

    /// Receives one part.
    fn recv(&mut self, _pipes: &mut Pipes) -> Result<Msg, Error> {
        Err(Error::NotSupported)
    }

    /// As [`Pattern::recv`], in place; on an error `msg` is left alone. For types where a part need not be
    /// moved on its way.
    fn recv_into(&mut self, pipes: &mut Pipes, msg: &mut Msg) -> Result<(), Error> {
        *msg = self.recv(pipes)?;
        Ok(())
    }

    /// Sends a part that is but these bytes, as [`Pattern::send`] would; of a message that goes on with `more`. False, and
    /// nothing is changed, where it takes more than writing them down: then that one is to be called.
    fn send_bytes(&mut self, _pipes: &mut Pipes, _bytes: &[u8], _more: bool) -> bool {
        false
    }

    /// Receives a part that is but bytes: copies as many as fit, and tells how many it has and whether more parts follow.
    /// None, and nothing is changed, where the next part is not there in this form: then [`Pattern::recv_into`] is to be
    /// called.
    fn recv_bytes(&mut self, _pipes: &mut Pipes, _into: &mut [u8]) -> Option<(usize, bool)> {
        None
    }

    /// The pipe that takes every message of one part given to [`Pattern::send_bytes`], with nothing else to be done for
    /// it, until anything of this pattern but receiving is called.
    fn only_output(&self) -> Option<PipeId> {
        None
    }

    /// The pipe that every message of one part comes from, with nothing else to be done for it, until anything of this
    /// pattern but [`Pattern::send_bytes`] is called or the pipe has none at hand.
    fn only_input(&self) -> Option<PipeId> {
        None
    }

    /// Whether [`Pattern::recv`] would give a part.
    fn can_recv(&mut self, _pipes: &mut Pipes) -> bool {
        false
    }

    /// Whether [`Pattern::send`] would take a part.
    fn can_send(&mut self, _pipes: &mut Pipes) -> bool {
        false
    }

    /// Whether a pipe whose peer is gone stays until what it holds was read; not so where that will never
    /// be read.
    fn drains_input(&self, _pipes: &mut Pipes, _id: PipeId) -> bool {
        true
    }

    /// Whether a message of this pipe was read in part, in which case the rest is to follow.
    fn is_amid_message_of(&self, _id: PipeId) -> bool {
        false
    }

    /// Sets an option of this type; [`Error::Invalid`] when it is none, or the value is wrong.
    fn set(&mut self, _pipes: &mut Pipes, _option: i32, _value: &[u8]) -> Result<(), Error> {
        Err(Error::Invalid)
    }

    /// An option of this type; [`Error::Invalid`] when it has none such to tell.
    fn option(&self, option: i32) -> Result<Value, Error> {
        match option {
            c::ZMQ_ROUTER_NOTIFY => Ok(Value::Int(0)),
            c::ZMQ_TOPICS_COUNT => self.topics_count().map(Value::LooseInt),
            _ => Err(Error::Invalid),
        }
    }

    /// How many topics are subscribed; [`Error::Invalid`] where there are no topics.
    fn topics_count(&self) -> Result<i32, Error> {
        Err(Error::Invalid)
    }

    /// ZMQ_INVERT_MATCHING has this value from now on.
    fn set_invert_matching(&mut self, _on: bool) {}

    /// What to call the peer of the connect being made, as ZMQ_CONNECT_ROUTING_ID asked. Asking clears it.
    fn connect_routing_id(&mut self) -> Option<Vec<u8>> {
        None
    }

    /// The name given to the newest peer, where ZMQ_ROUTING_ID tells that (STREAM).
    fn last_peer_id(&self) -> Option<&[u8]> {
        None
    }

    /// The poll events that sending to a peer is ready for.
    fn peer_state(&mut self, _pipes: &mut Pipes, _id: &[u8]) -> Result<i32, Error> {
        Err(Error::NotSupported)
    }

    /// Joins a group (DISH); [`Error::Invalid`] for a long name and for one joined before.
    fn join(&mut self, _pipes: &mut Pipes, _group: &[u8]) -> Result<(), Error> {
        Err(Error::NotSupported)
    }

    /// Leaves a group (DISH); [`Error::Invalid`] for one that was not joined.
    fn leave(&mut self, _pipes: &mut Pipes, _group: &[u8]) -> Result<(), Error> {
        Err(Error::NotSupported)
    }

    /// Whether a connect tells its caller what the peer is called (PEER).
    fn names_connects(&self) -> bool {
        false
    }

    /// The number of a pipe's peer, which messages carry (SERVER, PEER).
    fn peer_number(&self, _id: PipeId) -> Option<u32> {
        None
    }

    /// Ends the pipe of the peer with this number (SERVER, PEER); [`Error::HostUnreachable`] when there is
    /// none.
    fn disconnect_peer(&mut self, _pipes: &mut Pipes, _number: u32) -> Result<(), Error> {
        Err(Error::NotSupported)
    }

    /// Whether connections made from now on carry bytes instead of ZMTP.
    fn is_raw(&self) -> bool {
        false
    }

    /// Of what the connection shall tell by an empty message from the peer: `ZMQ_NOTIFY_CONNECT`,
    /// `ZMQ_NOTIFY_DISCONNECT`, or both.
    fn notifies(&self) -> i32 {
        0
    }
}

/// A new socket's pattern.
pub fn create(ty: SocketType, options: &Options) -> Box<dyn Pattern> {
    match ty {
        SocketType::Pair => Box::new(pair::Pair::default()),
        SocketType::Pub => Box::new(pub_::Pub::new(options)),
        SocketType::Sub => Box::new(sub::Sub::new(options)),
        SocketType::Req => Box::new(req::Req::default()),
        SocketType::Rep => Box::new(rep::Rep::default()),
        SocketType::Dealer => Box::new(dealer::Dealer::default()),
        SocketType::Router => Box::new(router::Router::default()),
        SocketType::Pull => Box::new(pull::Pull::default()),
        SocketType::Push => Box::new(push::Push::default()),
        SocketType::XPub => Box::new(xpub::XPub::new(options)),
        SocketType::XSub => Box::new(xsub::XSub::default()),
        SocketType::Stream => Box::new(stream::Stream::default()),
        SocketType::Server => Box::new(server::Server::default()),
        SocketType::Client => Box::new(client::Client::default()),
        SocketType::Radio => Box::new(radio::Radio::default()),
        SocketType::Dish => Box::new(dish::Dish::default()),
        SocketType::Gather => Box::new(gather::Gather::default()),
        SocketType::Scatter => Box::new(scatter::Scatter::default()),
        SocketType::Dgram => Box::new(dgram::Dgram::default()),
        SocketType::Peer => Box::new(peer::Peer::default()),
        SocketType::Channel => Box::new(channel::Channel::default()),
    }
}

/// Messages of the thread-safe types have one part.
fn single(msg: &Msg) -> Result<(), Error> {
    if msg.more() { Err(Error::Invalid) } else { Ok(()) }
}

/// Copies what fits, and tells how much there was.
#[inline(always)]
pub fn copy_out(bytes: &[u8], into: &mut [u8]) -> usize {
    let fits = bytes.len().min(into.len());
    let (from, to) = (&bytes[..fits], &mut into[..fits]);
    // Small ones as two moves that may overlap: a call to memcpy costs more than the copy.
    match fits {
        8..=15 => copy_ends::<8>(from, to),
        16..=32 => copy_ends::<16>(from, to),
        33..=64 => copy_ends::<32>(from, to),
        _ => to.copy_from_slice(from),
    }
    bytes.len()
}

/// Copies the first `N` bytes and the last `N`, which are all where there are at most twice as many.
#[inline(always)]
fn copy_ends<const N: usize>(from: &[u8], to: &mut [u8]) {
    if let (Some(begin), Some(place)) = (from.first_chunk::<N>(), to.first_chunk_mut::<N>()) {
        *place = *begin;
    }
    if let (Some(end), Some(place)) = (from.last_chunk::<N>(), to.last_chunk_mut::<N>()) {
        *place = *end;
    }
}

/// A switch given as an int: 0 is off, above is on, below is wrong.
fn switch(value: &[u8]) -> Result<bool, Error> {
    crate::options::non_negative(value).map(|number| number != 0)
}
