//! ZWS 2.0 (RFC 45): ZMTP inside WebSocket messages.
//!
//! The rest of the engine speaks frames of ZMTP 3.x. Between them and the stream each frame becomes one
//! binary WebSocket message that opens with a flags byte, and back: [`Wrapper`] and [`Unwrapper`]. There is
//! no greeting; the mechanism is agreed on in the HTTP upgrade, which [`Link`] goes through first.
//!
//! What HTTP and RFC 6455 prescribe is computed by the crate `tungstenite`, as far as it offers that without
//! a stream: requests, answers and their checks, and frame headers. Sockets, TLS and timers are not known
//! here, and mechanisms only by name.

mod unwrap;
mod upgrade;
mod wrap;

#[cfg(test)]
mod tests;

pub use unwrap::{Event, Unwrapper};
pub use upgrade::{Refused, Subprotocol};
pub use wrap::{Wrapper, is_ping};

use super::decoder::Malformed;
use super::handshake::{Config, MAX_BODY_LEN};
use crate::base::Error;
use upgrade::Offer;

/// Flags of a ZWS message: further parts follow.
const MORE: u8 = 1;
/// It is a command.
const COMMAND: u8 = 2;

/// A peer that does not read is not answered any more once this many bytes wait for it.
const MOST_UNREAD: usize = 64 * 1024;

/// Which end of the HTTP upgrade we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Asks for the upgrade, and masks what it sends.
    Client {
        /// The value of the Host header.
        host: String,
        /// The path, from its slash on.
        path: String,
    },
    /// Grants it.
    Server,
}

/// Why a connection cannot go on as WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The peer does not keep to WebSocket or ZWS.
    Violation,
    /// The peer has closed it in due form.
    Closed,
}

/// One end of a WebSocket connection until its traffic begins.
#[derive(Debug)]
pub struct Link {
    offers: Vec<Offer>,
    stage: Stage,
    /// Bytes of the upgrade that do not yet make a whole.
    received: Vec<u8>,
    wrapper: Wrapper,
    unwrapper: Unwrapper,
}

#[derive(Debug)]
enum Stage {
    Asking(upgrade::Asked),
    Listening,
    Upgraded,
}

impl Link {
    /// Before the first byte; appends what we have to say first. [`Error::Invalid`] for a host or path that
    /// cannot stand in a request.
    pub fn new(config: &Config, role: &Role, out: &mut Vec<u8>) -> Result<Link, Error> {
        let offers = upgrade::offers(config);
        let (stage, masks) = match role {
            Role::Client { host, path } => {
                let asked = upgrade::ask(host, path, &offers, out)?;
                (Stage::Asking(asked), true)
            }
            Role::Server => (Stage::Listening, false),
        };
        Ok(Link {
            offers,
            stage,
            received: Vec::new(),
            wrapper: Wrapper::new(masks, config.random)?,
            unwrapper: Unwrapper::new(masks, config.random, MAX_BODY_LEN)?,
        })
    }

    /// Takes all of `bytes`. Appends frames that came to `frames`, and what is to be sent at once, as it is, to
    /// `out`, also where it fails. Answers the sub-protocol once, when the upgrade is done: the handshake
    /// begins with that, and the frames are for it. Afterwards see [`Self::ending`].
    pub fn input(
        &mut self,
        bytes: &[u8],
        frames: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Subprotocol>, Refused> {
        let mut agreed = None;
        if matches!(self.stage, Stage::Upgraded) {
            self.unwrapper.feed(bytes);
        } else {
            let Some(subprotocol) = self.upgrade(bytes, out)? else { return Ok(None) };
            agreed = Some(subprotocol);
        }
        while let Event::Reply(reply) = self.unwrapper.advance(frames, usize::MAX) {
            if out.len() < MOST_UNREAD {
                out.extend_from_slice(&reply);
            }
        }
        Ok(agreed)
    }

    /// Whether the connection is over once the frames that came out have been heeded.
    pub fn ending(&self) -> Option<Broken> {
        self.unwrapper.ending().map(|ending| match ending {
            Malformed::Closed => Broken::Closed,
            _ => Broken::Violation,
        })
    }

    /// Wraps whole frames of ZMTP 3.x.
    pub fn wrap(&mut self, frames: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        self.wrapper.frames(frames, out)
    }

    /// Both directions, for the traffic, of frames of at most `max_size` bytes (negative: any).
    pub fn split(mut self, max_size: i64) -> (Wrapper, Unwrapper) {
        self.unwrapper.limit(u64::try_from(max_size).unwrap_or(u64::MAX));
        (self.wrapper, self.unwrapper)
    }

    fn upgrade(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Option<Subprotocol>, Refused> {
        let known = self.received.len();
        self.received.extend_from_slice(bytes);
        let read = match &self.stage {
            Stage::Asking(asked) => asked.answered(&self.received, known, &self.offers),
            _ => upgrade::answer(&self.received, known, &self.offers, out),
        };
        let Some((used, subprotocol)) = read? else { return Ok(None) };
        self.stage = Stage::Upgraded;
        self.unwrapper.feed(self.received.get(used..).unwrap_or_default());
        self.received = Vec::new();
        Ok(Some(subprotocol))
    }
}
