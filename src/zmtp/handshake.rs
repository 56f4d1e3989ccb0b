//! From the first byte of a connection to the first byte of its traffic, whatever dialect the peer
//! speaks.
//!
//! The order of things is kept here; the greeting's stages, the mechanism's commands and frame
//! layouts have files of their own. Timers and events are the connection's.

use zeroize::Zeroizing;

use super::greeting::{Greeting, Local, Progress};
use super::mechanism::crypto::Random;
use super::mechanism::curve::Keys;
use super::mechanism::plain::Credentials;
use super::mechanism::zap::{ZapAnswer, ZapGrant, ZapRequest};
use super::mechanism::{self, Bound, Framer, Input, Mechanism, Outbox};
use super::metadata;
use super::protocol::Protocol;
use super::zws::Subprotocol;
use crate::base::constants::{ZMQ_NULL, ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH};
use crate::base::{Error, gssapi};
use crate::options::SocketType;
use std::sync::Arc;
use std::time::Instant;

/// The largest body of a frame that belongs to a handshake, also where messages may be larger: a
/// peer that has proven nothing yet makes us hold no more than this.
pub const MAX_BODY_LEN: u64 = 64 * 1024;

/// What a socket's options say about handshakes; shared by its connections.
#[derive(Clone, Debug)]
pub struct Config {
    /// Announced to the peer, and what the peer's type is checked against.
    pub socket_type: SocketType,
    /// Announced by the types that have one, and to every old peer.
    pub routing_id: Vec<u8>,
    /// A number of `ZMQ_MECHANISM`.
    pub mechanism: i32,
    /// Whether we let in or ask to be let in, where the mechanism makes that difference. Not a
    /// matter of who connected.
    pub as_server: bool,
    /// For clients of PLAIN.
    pub plain: Credentials,
    /// For CURVE.
    pub curve: Keys,
    /// For CURVE.
    pub random: Random,
    /// For GSSAPI.
    pub gssapi: Option<gssapi::Settings>,
    /// Not empty: the peer is authenticated, and old peers are refused.
    pub zap_domain: Vec<u8>,
    /// Without a handler nobody is let in; matters with a domain only.
    pub zap_enforce_domain: bool,
    /// The application's own properties.
    pub metadata: Vec<(Vec<u8>, Vec<u8>)>,
    /// Limit of a frame's body, as for messages; negative: none but [`MAX_BODY_LEN`].
    pub max_msg_size: i64,
}

/// The other end, once the handshake is done.
#[derive(Debug)]
pub struct Peer {
    /// The dialect of the traffic.
    pub protocol: Protocol,
    /// What the peer calls itself; empty: nothing.
    pub routing_id: Vec<u8>,
    /// The name of its type; empty where it did not tell, as old peers do.
    pub socket_type: Vec<u8>,
    /// All properties it sent (type and routing id among them), in its order, repeated names
    /// included.
    pub properties: Vec<(Vec<u8>, Vec<u8>)>,
    /// What the authentication handler said, if asked; its properties go before the peer's.
    pub grant: Option<ZapGrant>,
    /// The first frame of the traffic is the peer's routing id, and no message.
    pub name_follows: bool,
    /// How traffic is wrapped.
    pub framer: Framer,
}

impl Peer {
    /// Whether a publisher must send it everything: peers of that age filter for themselves and
    /// subscribe to nothing.
    pub fn assume_subscribed_to_all(&self) -> bool {
        self.protocol == Protocol::V1 { unversioned: true }
    }
}

/// How a handshake stands.
#[derive(Debug)]
pub enum Status {
    /// Everything was consumed and more is needed, from the peer or from [`Handshake::zap_reply`].
    NeedMore,
    /// This is to be authenticated. Go on with the bytes not consumed; the answer may come at any
    /// time.
    Zap(ZapRequest),
    /// Bytes not consumed are traffic.
    Done(Box<Peer>),
}

/// What one call to [`Handshake::input`] came to.
#[derive(Debug)]
pub struct Step {
    /// How many bytes were taken.
    pub consumed: usize,
    /// How the handshake stands after them.
    pub status: Status,
}

/// What the monitor says of a failed handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// `HANDSHAKE_FAILED_PROTOCOL` with this code.
    Protocol(u32),
    /// `HANDSHAKE_FAILED_AUTH` with this status.
    Auth(u32),
    /// `HANDSHAKE_FAILED_NO_DETAIL` with this errno.
    NoDetail(i32),
    /// No event but the disconnection.
    Silent,
}

/// A handshake that has come to nothing. What it appended to `out` is to be sent all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("handshake failed: {failure:?}")]
pub struct HandshakeError {
    /// For the monitor.
    pub failure: Failure,
    /// The connection is left alone until the handshake's time is up: the peer is not to know, nor
    /// to retry at once.
    pub stays_open: bool,
}

impl HandshakeError {
    pub(super) fn staying_open(failure: Failure) -> Self {
        HandshakeError { failure, stays_open: true }
    }
}

impl From<Failure> for HandshakeError {
    fn from(failure: Failure) -> Self {
        HandshakeError { failure, stays_open: false }
    }
}

/// One end of a connection that is being set up.
///
/// Call [`Self::start`] once, then [`Self::input`] with whatever arrives until it is done or fails.
/// It may be given a byte at a time: how the bytes were cut makes no difference.
pub struct Handshake {
    config: Arc<Config>,
    mechanism: Box<dyn Mechanism>,
    stage: Stage,
    /// What came of a frame of the traffic before the handshake was done.
    rest: Vec<u8>,
}

enum Stage {
    Greeting(Greeting),
    /// An old peer's first frame, which is its routing id.
    RoutingId(Protocol, Partial),
    /// The mechanism's commands.
    Commands(Protocol, Partial),
    Done,
    Failed(HandshakeError),
}

impl Handshake {
    /// Before the first byte. [`Error::NotSupported`] for a mechanism that is not built,
    /// [`Error::Invalid`] for a configuration that cannot be put on the wire.
    pub fn new(config: Arc<Config>) -> Result<Handshake, Error> {
        if config.socket_type == SocketType::Stream {
            return Err(Error::Invalid);
        }
        let mechanism = mechanism::create(&config)?;
        Ok(Handshake {
            config,
            mechanism,
            stage: Stage::Greeting(Greeting::new()),
            rest: Vec::new(),
        })
    }

    /// Appends what is sent before anything was received.
    pub fn start(&mut self, out: &mut Vec<u8>) {
        Greeting::start(&local(&self.config), out);
    }

    /// Begins behind an HTTP upgrade, in place of [`Self::start`]: there is no greeting then.
    pub fn start_upgraded(
        &mut self,
        subprotocol: Subprotocol,
        out: &mut Vec<u8>,
    ) -> Result<Status, HandshakeError> {
        let protocol = match subprotocol {
            Subprotocol::Bare => Protocol::V2,
            // Subscriptions have the older form on WebSocket (RFC 45).
            Subprotocol::Mechanism => Protocol::V3 { minor: 0 },
        };
        self.settled(protocol, out).map_err(|error| self.fail(error))
    }

    /// Takes what has arrived off the front of `bytes` and appends what it calls for to `out`.
    ///
    /// Once done it takes nothing more; once failed it fails again in the same way.
    pub fn input(
        &mut self,
        bytes: &[u8],
        now: Instant,
        out: &mut Vec<u8>,
    ) -> Result<Step, HandshakeError> {
        let mut rest = bytes;
        let status = self.run(&mut rest, now, out).map_err(|error| self.fail(error))?;
        Ok(Step { consumed: bytes.len() - rest.len(), status })
    }

    /// Delivers the answer to [`Status::Zap`].
    pub fn zap_reply(
        &mut self,
        answer: ZapAnswer<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Status, HandshakeError> {
        let Stage::Commands(protocol, _) = self.stage else {
            return Ok(Status::NeedMore);
        };
        self.drive(protocol, Input::Zap(answer), out).map_err(|error| self.fail(error))
    }

    /// Whether the peer's greeting is complete, and with it the dialect known.
    pub fn is_greeting_done(&self) -> bool {
        !matches!(self.stage, Stage::Greeting(_))
    }

    /// Once done by [`Self::zap_reply`]: bytes that [`Self::input`] took although they are traffic.
    pub fn take_rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.rest)
    }

    fn run(
        &mut self,
        rest: &mut &[u8],
        now: Instant,
        out: &mut Vec<u8>,
    ) -> Result<Status, HandshakeError> {
        let max_msg_size = self.config.max_msg_size;
        loop {
            let status = match &mut self.stage {
                Stage::Greeting(greeting) => {
                    let (taken, progress) = greeting.input(rest, &local(&self.config), out);
                    *rest = rest.get(taken..).unwrap_or(&[]);
                    match progress {
                        Progress::NeedMore => return Ok(Status::NeedMore),
                        Progress::Refused => return Err(Failure::Silent.into()),
                        Progress::Done(protocol) => self.after_greeting(protocol, out)?,
                    }
                }
                Stage::RoutingId(protocol, partial) => {
                    let protocol = *protocol;
                    let Some(routing_id) = partial.fill(protocol, rest, max_msg_size, None)? else {
                        return Ok(Status::NeedMore);
                    };
                    self.stage = Stage::Done;
                    Status::Done(Box::new(old_peer(protocol, routing_id)))
                }
                Stage::Commands(protocol, partial) => {
                    let protocol = *protocol;
                    let bound = self.mechanism.bound();
                    let Some(body) = partial.fill(protocol, rest, max_msg_size, bound)? else {
                        return Ok(Status::NeedMore);
                    };
                    // Passwords come this way.
                    let body = Zeroizing::new(body);
                    self.drive(protocol, Input::Command(&body, now), out)?
                }
                Stage::Done => return Ok(Status::NeedMore),
                // Whatever still comes is not looked at.
                Stage::Failed(error) if error.stays_open => {
                    *rest = &[];
                    return Ok(Status::NeedMore);
                }
                Stage::Failed(error) => return Err(*error),
            };
            match status {
                Status::NeedMore => {}
                status => return Ok(status),
            }
        }
    }

    /// The dialect is known: says what comes next in it.
    fn after_greeting(
        &mut self,
        protocol: Protocol,
        out: &mut Vec<u8>,
    ) -> Result<Status, HandshakeError> {
        let Stage::Greeting(greeting) = &self.stage else {
            return Ok(Status::NeedMore);
        };
        if matches!(protocol, Protocol::V3 { .. }) {
            let ours = local(&self.config).padded_mechanism();
            if greeting.mechanism() != Some(&ours) {
                let code = ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH as u32;
                return Err(Failure::Protocol(code).into());
            }
        }
        self.settled(protocol, out)
    }

    /// Dialect and mechanism are agreed on.
    fn settled(&mut self, protocol: Protocol, out: &mut Vec<u8>) -> Result<Status, HandshakeError> {
        let Stage::Greeting(greeting) = &self.stage else {
            return Ok(Status::NeedMore);
        };
        let routing_id = &self.config.routing_id;
        match protocol {
            Protocol::V1 { unversioned: true } => {
                // Our signature was the header of this frame, and what passed for the peer's begins
                // its own.
                out.extend_from_slice(routing_id);
                self.stage =
                    Stage::RoutingId(protocol, Partial { bytes: greeting.received().to_vec() });
            }
            Protocol::V1 { .. } | Protocol::V2 => {
                protocol.push(out, 0, routing_id);
                let named = [SocketType::Router, SocketType::Rep];
                if !named.contains(&self.config.socket_type) {
                    // Nobody here needs the peer's name, so nobody waits for it.
                    self.stage = Stage::Done;
                    let peer = Peer { name_follows: true, ..old_peer(protocol, Vec::new()) };
                    return Ok(Status::Done(Box::new(peer)));
                }
                self.stage = Stage::RoutingId(protocol, Partial::default());
            }
            Protocol::V3 { .. } => {
                self.stage = Stage::Commands(protocol, Partial::default());
                return self.drive(protocol, Input::Start, out);
            }
        }
        Ok(Status::NeedMore)
    }

    /// Hands one event to the mechanism.
    fn drive(
        &mut self,
        protocol: Protocol,
        input: Input<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Status, HandshakeError> {
        Ok(match self.mechanism.handle(input, &mut Outbox::new(out))? {
            mechanism::Status::NeedMore => Status::NeedMore,
            mechanism::Status::Zap(request) => Status::Zap(request),
            mechanism::Status::Done(outcome) => {
                if let Stage::Commands(_, partial) = &mut self.stage {
                    self.rest = std::mem::take(&mut partial.bytes);
                }
                self.stage = Stage::Done;
                Status::Done(Box::new(new_peer(protocol, *outcome)))
            }
        })
    }

    fn fail(&mut self, error: HandshakeError) -> HandshakeError {
        self.stage = Stage::Failed(error);
        error
    }
}

/// A frame of which bytes are missing.
#[derive(Default)]
struct Partial {
    bytes: Vec<u8>,
}

impl Partial {
    /// Takes what belongs to the frame off the front of `rest`. The body, once complete; then it
    /// starts over.
    ///
    /// The announced length is judged as soon as it is known, and never reserved.
    fn fill(
        &mut self,
        protocol: Protocol,
        rest: &mut &[u8],
        max_msg_size: i64,
        bound: Option<Bound>,
    ) -> Result<Option<Vec<u8>>, HandshakeError> {
        let limit =
            u64::try_from(max_msg_size).map_or(MAX_BODY_LEN, |limit| limit.min(MAX_BODY_LEN));
        loop {
            let Some(header) = protocol.parse(&self.bytes) else {
                let Some((&byte, after)) = rest.split_first() else {
                    return Ok(None);
                };
                self.bytes.push(byte);
                *rest = after;
                continue;
            };
            if header.body_len > limit {
                return Err(Failure::Silent.into());
            }
            if let Some(bound) = bound.filter(|bound| header.body_len > bound.len) {
                return Err(bound.failure);
            }
            let frame_len = header.frame_len().ok_or(Failure::Silent)?;
            let missing = frame_len.saturating_sub(self.bytes.len());
            let (taken, after) = rest.split_at_checked(missing).unwrap_or((rest, &[]));
            self.bytes.extend_from_slice(taken);
            *rest = after;
            if self.bytes.len() < frame_len {
                return Ok(None);
            }
            let mut body = std::mem::take(&mut self.bytes);
            body.drain(..header.header_len);
            return Ok(Some(body));
        }
    }
}

fn local(config: &Config) -> Local<'_> {
    Local {
        socket_type: config.socket_type,
        routing_id_len: config.routing_id.len(),
        mechanism: mechanism::name(config.mechanism).unwrap_or_default(),
        // Old dialects know no security, so they are no way around it.
        accepts_old_peers: config.mechanism == ZMQ_NULL && config.zap_domain.is_empty(),
    }
}

fn old_peer(protocol: Protocol, routing_id: Vec<u8>) -> Peer {
    Peer {
        protocol,
        routing_id,
        socket_type: Vec::new(),
        properties: Vec::new(),
        grant: None,
        name_follows: false,
        framer: Framer::Plain,
    }
}

fn new_peer(protocol: Protocol, outcome: mechanism::Outcome) -> Peer {
    let value = |found: Option<&(Vec<u8>, Vec<u8>)>| {
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let properties = outcome.properties;
    Peer {
        protocol,
        // Of several the last counts, as it always has on the wire; what applications are shown
        // is the first of each name.
        routing_id: value(properties.iter().rfind(|(name, _)| name == metadata::IDENTITY)),
        socket_type: value(properties.iter().find(|(name, _)| name == metadata::SOCKET_TYPE)),
        properties,
        grant: outcome.grant,
        name_follows: false,
        framer: outcome.framer,
    }
}

#[cfg(test)]
mod tests;
