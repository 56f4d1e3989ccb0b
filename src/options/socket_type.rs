//! The socket types: their numbers, names, and which may talk to which.

use crate::base::constants as c;

/// What kind of socket it is; the numbers are those of zmq.h.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(i32)]
pub enum SocketType {
    /// One peer, both ways.
    Pair = c::ZMQ_PAIR,
    /// Sends to all subscribers.
    Pub = c::ZMQ_PUB,
    /// Receives what it subscribed to.
    Sub = c::ZMQ_SUB,
    /// Sends a request, then receives its reply.
    Req = c::ZMQ_REQ,
    /// Receives a request, then sends its reply.
    Rep = c::ZMQ_REP,
    /// Sends and receives, taking peers in turn.
    Dealer = c::ZMQ_DEALER,
    /// Sends to the peer named by the first frame.
    Router = c::ZMQ_ROUTER,
    /// Receives from all its peers in turn.
    Pull = c::ZMQ_PULL,
    /// Sends to its peers in turn.
    Push = c::ZMQ_PUSH,
    /// As `Pub`, and receives subscriptions as messages.
    XPub = c::ZMQ_XPUB,
    /// As `Sub`, and sends subscriptions as messages.
    XSub = c::ZMQ_XSUB,
    /// Raw bytes to and from peers that do not speak ZMTP.
    Stream = c::ZMQ_STREAM,
    /// As `Router`, single frames, peers by number.
    Server = c::ZMQ_SERVER,
    /// As `Dealer`, single frames.
    Client = c::ZMQ_CLIENT,
    /// Sends to all members of a group.
    Radio = c::ZMQ_RADIO,
    /// Receives from the groups it joined.
    Dish = c::ZMQ_DISH,
    /// As `Pull`, single frames.
    Gather = c::ZMQ_GATHER,
    /// As `Push`, single frames.
    Scatter = c::ZMQ_SCATTER,
    /// Raw datagrams.
    Dgram = c::ZMQ_DGRAM,
    /// As `Server`, between equals.
    Peer = c::ZMQ_PEER,
    /// As `Pair`, single frames.
    Channel = c::ZMQ_CHANNEL,
}

use SocketType::{
    Channel, Client, Dealer, Dgram, Dish, Gather, Pair, Peer, Pub, Pull, Push, Radio, Rep, Req,
    Router, Scatter, Server, Stream, Sub, XPub, XSub,
};

/// Every type, its name on the wire, and whom it may talk to; in the order of the numbers.
const TYPES: [(SocketType, &str, &[SocketType]); 21] = [
    (Pair, "PAIR", &[Pair]),
    (Pub, "PUB", &[Sub, XSub]),
    (Sub, "SUB", &[Pub, XPub]),
    (Req, "REQ", &[Rep, Router]),
    (Rep, "REP", &[Req, Dealer]),
    (Dealer, "DEALER", &[Rep, Dealer, Router]),
    (Router, "ROUTER", &[Req, Dealer, Router]),
    (Pull, "PULL", &[Push]),
    (Push, "PUSH", &[Pull]),
    (XPub, "XPUB", &[Sub, XSub]),
    (XSub, "XSUB", &[Pub, XPub]),
    (Stream, "STREAM", &[]),
    (Server, "SERVER", &[Client]),
    (Client, "CLIENT", &[Server]),
    (Radio, "RADIO", &[Dish]),
    (Dish, "DISH", &[Radio]),
    (Gather, "GATHER", &[Scatter]),
    (Scatter, "SCATTER", &[Gather]),
    (Dgram, "DGRAM", &[Dgram]),
    (Peer, "PEER", &[Peer]),
    (Channel, "CHANNEL", &[Channel]),
];

impl SocketType {
    /// The type with this number.
    pub fn try_from_i32(number: i32) -> Option<SocketType> {
        let index = usize::try_from(number).ok()?;
        TYPES.get(index).map(|row| row.0)
    }

    /// The name by which it introduces itself to a peer.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// May several threads use one such socket at a time?
    pub fn is_thread_safe(self) -> bool {
        matches!(self, Server | Client | Radio | Dish | Gather | Scatter | Peer | Channel)
    }

    /// May it talk to a peer that introduced itself by `peer`?
    pub fn compatible_with(self, peer: &[u8]) -> bool {
        self.row().2.iter().any(|other| other.name().as_bytes() == peer)
    }

    /// Does it tell its routing id in the handshake?
    pub fn sends_identity(self) -> bool {
        matches!(self, Req | Dealer | Router)
    }

    /// Has a receive function at all? Subscriptions and the like the others do read.
    pub fn ever_receives(self) -> bool {
        !matches!(self, Push | Pub | Scatter | Radio)
    }

    fn row(self) -> &'static (SocketType, &'static str, &'static [SocketType]) {
        // The numbers are 0..=20 without a gap and the table has a row for each (see the tests).
        &TYPES[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_numbers() {
        for (index, row) in TYPES.iter().enumerate() {
            assert_eq!(row.0 as usize, index);
            assert_eq!(SocketType::try_from_i32(index as i32), Some(row.0));
            assert_eq!(row.1, format!("{:?}", row.0).to_uppercase());
        }
        for bad in [-1, 21, 99, i32::MIN, i32::MAX] {
            assert_eq!(SocketType::try_from_i32(bad), None);
        }
    }

    #[test]
    fn talking_is_mutual() {
        for (one, name, _) in TYPES {
            for (other, other_name, _) in TYPES {
                let there = one.compatible_with(other_name.as_bytes());
                assert_eq!(there, other.compatible_with(name.as_bytes()), "{name} {other_name}");
            }
        }
        assert!(!Stream.compatible_with(b"STREAM"));
        assert!(!Sub.compatible_with(b"pub"));
        assert!(!Sub.compatible_with(b""));
        assert!(Dealer.compatible_with(b"ROUTER"));
        assert!(!Req.compatible_with(b"DEALER"));
    }

    #[test]
    fn eight_types_are_thread_safe() {
        assert_eq!(TYPES.iter().filter(|row| row.0.is_thread_safe()).count(), 8);
        assert!(!Dgram.is_thread_safe());
    }
}
