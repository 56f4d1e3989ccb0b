//! What still lingers: connections of closed sockets, asked of the I/O threads that have them.
//!
//! Only counting and telling. Nothing is locked while an I/O thread is waited for, and it is not waited for long.

use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use super::session::{Kind, Linger, Phase, Session};
use super::worker::{Command, Workers};
use crate::options::SocketType;
use crate::pipe::wire::Wire;

/// Connections that are named one by one; of others there are sums.
const MOST_NAMED: usize = 16;

/// A connection that its socket has let go.
#[derive(Clone, Debug)]
pub struct Lingering {
    /// The socket's type.
    pub socket_type: SocketType,
    /// What was bound or connected.
    pub endpoint: String,
    /// The peer's address, where there is a connection.
    pub peer: String,
    /// How far the connection is.
    pub state: &'static str,
    /// Messages that the kernel does not have.
    pub messages: usize,
    /// Bytes of them, roughly.
    pub bytes: usize,
    /// How long they may wait yet; None: for ever.
    pub left: Option<Duration>,
}

/// What lingers with some or all I/O threads.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// The first few.
    pub named: Vec<Lingering>,
    /// How many there are.
    pub connections: usize,
    /// Messages that the kernel does not have, of all of them.
    pub messages: usize,
    /// Bytes of them, roughly.
    pub bytes: usize,
    /// I/O threads that did not answer in time.
    pub silent: usize,
}

impl Workers {
    /// Asks all of them, for so long at most.
    pub fn census(&self, limit: Duration) -> Census {
        let until = Instant::now() + limit;
        let (tell, told) = channel();
        let asked = self.all().iter().map(|worker| worker.send(Command::Count(tell.clone())));
        let asked = asked.count();
        drop(tell);
        let mut total = Census::default();
        for answered in 0..asked {
            let left = until.saturating_duration_since(Instant::now());
            match told.recv_timeout(left) {
                Ok(census) => total.add(census),
                Err(_) => {
                    total.silent = asked - answered;
                    break;
                }
            }
        }
        total
    }
}

impl Census {
    fn add(&mut self, other: Census) {
        let room = MOST_NAMED - self.named.len();
        self.named.extend(other.named.into_iter().take(room));
        self.connections += other.connections;
        self.messages += other.messages;
        self.bytes += other.bytes;
    }

    fn note(&mut self, lingering: Lingering) {
        self.connections += 1;
        self.messages += lingering.messages;
        self.bytes += lingering.bytes;
        if self.named.len() < MOST_NAMED {
            self.named.push(lingering);
        }
    }

    /// What an I/O thread finds with itself, for whoever asked.
    pub(super) fn answer(lingering: impl Iterator<Item = Lingering>, to: &Sender<Census>) {
        let mut census = Census::default();
        lingering.for_each(|one| census.note(one));
        // Who asked may have stopped waiting.
        let _too_late = to.send(census);
    }
}

impl Linger {
    fn left(self, now: Instant) -> Option<Duration> {
        match self {
            Linger::Forever => None,
            Linger::Until(until) => Some(until.saturating_duration_since(now)),
        }
    }

    /// What waits in the pipe of a connection that lingers like this.
    pub(super) fn with(
        self,
        wire: &Wire,
        socket_type: SocketType,
        endpoint: &str,
        now: Instant,
    ) -> Lingering {
        let (messages, bytes) = {
            let queue = wire.send.lock();
            (queue.messages, queue.bytes)
        };
        Lingering {
            socket_type,
            endpoint: endpoint.to_owned(),
            peer: String::new(),
            state: "sending",
            messages,
            bytes,
            left: self.left(now),
        }
    }
}

impl Session {
    /// What is told of it, if its socket has let it go.
    pub(super) fn lingering(&self, now: Instant) -> Option<Lingering> {
        let endpoint = match &self.kind {
            Kind::Accepted(accepted) => &*accepted.endpoint,
            Kind::Dialing(dialing) => &dialing.shown,
        };
        let (wire, socket_type) =
            (&self.connection.wire, self.connection.shared.options.socket_type);
        let mut told = self.linger?.with(wire, socket_type, endpoint, now);
        let (state, stream) = match &self.phase {
            Phase::Waiting(_) => ("waiting to connect again", None),
            Phase::Resolving => ("asking for the name", None),
            Phase::Connecting { .. } => ("connecting", None),
            Phase::Socks(_) => ("talking to the proxy", None),
            Phase::Handshaking(state) => ("shaking hands", Some(&state.stream)),
            Phase::Open { stream, .. } => ("connected", Some(stream)),
            Phase::Over => ("not connected any more", None),
        };
        told.state = state;
        told.peer = match (&self.kind, stream) {
            (Kind::Accepted(accepted), _) => accepted.peer.clone(),
            (_, Some(stream)) => stream.peer_name(),
            _ => String::new(),
        };
        Some(told)
    }
}
