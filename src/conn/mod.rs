//! Connections: a stream, the protocol on it and the pipe to its socket; listeners, connecters,
//! reconnection, heartbeats, linger.
//!
//! [`Worker`] is an I/O thread and owns the state machines (`session`, `accept`). `Connection` is
//! the part of a connection that the socket's own thread may work as well: reading and writing an
//! established stream. This floor knows no socket types; what it tells the socket goes through the pipe
//! and the [`Owner`]'s mailbox.

mod accept;
mod attempts;
mod connection;
mod datagram;
mod lingering;
mod multicast;
mod outbound;
mod past;
mod session;
mod shake;
mod strangers;
mod traffic;
mod web;
mod worker;
mod zap;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::hub::Hub;
use crate::options::Options;
use crate::pipe::turn::Turn;
use crate::pipe::wire::Wire;
use crate::pipe::{NewPipe, Notice};
use crate::sync::Mailbox;
use crate::zmtp::handshake;

pub use accept::{listen, local_of};
pub use datagram::{Opening, open as open_datagrams};
pub use lingering::{Census, Lingering};
pub use multicast::join;
pub use session::{Dialer, dial};
pub use strangers::Strangers;
pub use worker::{EndpointRef, Worker, Workers};

/// What connections know of the socket they belong to. The last one to go ends the socket for good: it
/// holds its place in the context until then.
pub struct Owner {
    /// Where pipes and endpoint news go.
    pub mailbox: Arc<Mailbox<Notice>>,
    /// Whose turn it is to read.
    pub turn: Arc<Turn>,
    /// Who watches what happens to connections.
    pub observer: Arc<dyn Observer>,
    /// The user gave an endpoint up, and wants refused connects to end after that
    /// (ZMQ_RECONNECT_STOP_AFTER_DISCONNECT).
    pub stops_when_refused: AtomicBool,
    /// The socket is closed: nobody looks into the mailbox any more.
    closed: AtomicBool,
    /// Dropped when nothing of the socket is left.
    _token: Box<dyn std::any::Any + Send + Sync>,
}

impl Owner {
    /// The shared part of a new socket; `token` is dropped with the last trace of it.
    pub fn new(
        mailbox: Arc<Mailbox<Notice>>,
        observer: Arc<dyn Observer>,
        token: Box<dyn std::any::Any + Send + Sync>,
    ) -> Arc<Owner> {
        Arc::new(Owner {
            mailbox,
            turn: Arc::default(),
            observer,
            stops_when_refused: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            _token: token,
        })
    }

    /// The socket closes: pipes that arrive from now on are dropped on the spot.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.discard();
    }

    /// Hands a new pipe to the socket.
    fn attach(&self, new: NewPipe) {
        self.mailbox.post(Notice::Attach(Box::new(new)));
        if self.closed.load(Ordering::SeqCst) {
            self.discard();
        }
    }

    /// Takes a pipe back that ended before the socket took it in, unless that is to be seen: sockets that nobody
    /// uses for long would keep all that ever came and went. Nothing is to be seen of it by one that `forgets`.
    fn withdraw(&self, wire: &Arc<Wire>, forgets: bool) {
        if wire.target().is_some() || !forgets && wire.has_input() {
            return;
        }
        let unseen = self.mailbox.withdraw(|notice| match notice {
            Notice::Attach(new) => {
                let asks = new.identity.as_ref().is_some_and(|who| who.subscribe_to_all);
                (forgets || !asks) && new.pipe.is_end_of(wire)
            }
            _ => false,
        });
        drop(unseen);
    }

    fn discard(&self) {
        let mut left = Vec::new();
        self.mailbox.take(&mut left);
        drop(left);
    }
}

/// Something that happened to a connection or listener, for monitors (zmq_socket_monitor(3)).
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// One of the `ZMQ_EVENT_*` numbers.
    pub code: i32,
    /// A descriptor, errno, interval or protocol code, as the event has it.
    pub value: u64,
    /// Our own address, as far as there is one.
    pub local: &'a str,
    /// The peer's address, as far as it is known.
    pub remote: &'a str,
    /// Whether this side accepts (then monitors of version 1 show the local address).
    pub accepting: bool,
}

/// Who watches events.
pub trait Observer: Send + Sync {
    /// Called from I/O threads and callers alike; must not wait.
    fn event(&self, event: &Event<'_>);
    /// Whether anybody hears of events at the moment.
    fn listens(&self) -> bool;
}

/// What a connection needs to know about its socket's type beyond the options.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// No protocol: bytes as they come (STREAM, raw ROUTER).
    pub raw: bool,
    /// Which of a connection's beginning and end appear as an empty message (`ZMQ_NOTIFY_*`).
    pub notifies: i32,
    /// Subscriptions of peers are for the socket (PUB, XPUB).
    pub publisher: bool,
    /// Peers join and leave groups (RADIO).
    pub has_members: bool,
    /// What waits to be sent is worthless after a lost connection (SUB, XSUB, DISH).
    pub hiccups: bool,
    /// The socket may read its connections itself.
    pub attendable: bool,
    /// What a peer said means nothing to the socket once that is gone.
    pub forgets: bool,
    /// ZMQ_HELLO_MSG opens every connection.
    pub says_hello: bool,
    /// ZMQ_DISCONNECT_MSG is the last message of a peer that connected and was lost.
    pub misses_peers: bool,
    /// ZMQ_HICCUP_MSG appears when a connection this side made is lost.
    pub misses_connections: bool,
    /// The socket goes by its peers' names.
    pub names_peers: bool,
}

/// Everything that connections of one bind or connect share.
pub struct Shared {
    /// The socket.
    pub owner: Arc<Owner>,
    /// Its options at the time of the call.
    pub options: Arc<Options>,
    /// Its type's ways.
    pub style: Style,
    /// The socket's name for the endpoint.
    pub endpoint: u64,
    /// For handshakes; None on raw sockets.
    pub handshake: Option<Arc<handshake::Config>>,
    /// Where an authentication handler would be.
    pub hub: Arc<Hub>,
    /// The endpoint was given up: nothing new comes of it.
    pub ended: AtomicBool,
}
