//! Security mechanisms: the commands between the greeting and the traffic.
//!
//! A mechanism is a state machine over command bodies. It asks for authentication by answering
//! [`Status::Zap`] and is told the outcome by [`Input::Zap`]; it knows neither the connection nor
//! the handler. What it leaves behind is a [`Framer`], so that traffic meets no dynamic call.

pub mod crypto;
pub mod curve;
pub mod gssapi;
mod null;
pub mod plain;
mod sealing;
pub mod zap;

pub use sealing::{Opener, Sealer};

use super::handshake::{Config, Failure, HandshakeError};
use super::{command, frame};
use crate::base::Error;
use crate::base::constants::{
    ZMQ_CURVE, ZMQ_GSSAPI, ZMQ_NULL, ZMQ_PLAIN, ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_ERROR,
    ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED,
    ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND,
};
use std::sync::Arc;
use std::time::Instant;
use zap::{ZapAnswer, ZapGrant, ZapRequest};

/// One end of a security handshake.
pub trait Mechanism: Send {
    /// Takes one event, appends what is to be sent, and says how things stand.
    ///
    /// What was appended is to be sent even when an error is returned: it may tell the peer why.
    fn handle(&mut self, input: Input<'_>, out: &mut Outbox<'_>) -> Result<Status, HandshakeError>;

    /// The longest body that can be of use at this point, where that is known; longer ones fail
    /// before they are received, so that a peer unknown to us makes us hold less.
    fn bound(&self) -> Option<Bound> {
        None
    }
}

/// A limit for the next body.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// In bytes.
    pub len: u64,
    /// What comes of a longer one.
    pub failure: HandshakeError,
}

/// What happens to a mechanism.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// The greetings are exchanged.
    Start,
    /// The body of a frame that the peer sent, and when. Whether it was marked as a command does not
    /// matter.
    Command(&'a [u8], Instant),
    /// What became of a [`Status::Zap`].
    Zap(ZapAnswer<'a>),
}

/// How a mechanism stands.
#[derive(Debug)]
pub enum Status {
    /// It waits, for the peer or for the outcome of an authentication.
    NeedMore,
    /// It wants this authenticated; answered once.
    Zap(ZapRequest),
    /// It is done in both directions.
    Done(Box<Outcome>),
}

/// What a successful mechanism knows of the peer.
#[derive(Debug)]
pub struct Outcome {
    /// The properties the peer sent, in its order.
    pub properties: Vec<(Vec<u8>, Vec<u8>)>,
    /// What the authentication handler granted, if one was asked.
    pub grant: Option<ZapGrant>,
    /// How traffic is wrapped from here on.
    pub framer: Framer,
}

/// How traffic is wrapped, once a mechanism is done.
#[derive(Debug)]
pub enum Framer {
    /// Not at all.
    Plain,
    /// Every frame becomes a MESSAGE of CURVE.
    Curve(Box<curve::Traffic>),
    /// Every frame becomes a MESSAGE of GSSAPI.
    Gssapi(Box<gssapi::Traffic>),
}

/// Where a mechanism puts what is to be sent: it frames bodies, so that mechanisms deal in bodies
/// only.
#[derive(Debug)]
pub struct Outbox<'a> {
    bytes: &'a mut Vec<u8>,
}

impl<'a> Outbox<'a> {
    /// Frames are appended to `bytes`.
    pub fn new(bytes: &'a mut Vec<u8>) -> Self {
        Outbox { bytes }
    }

    /// Sends a command by its whole body.
    pub fn command(&mut self, body: &[u8]) {
        frame::push(self.bytes, frame::COMMAND, body);
    }

    /// Sends an ERROR.
    pub fn error(&mut self, reason: &[u8]) {
        command::push_error(self.bytes, reason);
    }
}

/// The name that stands for a mechanism in the greeting and in authentication requests; `None`: no
/// such number.
pub fn name(mechanism: i32) -> Option<&'static [u8]> {
    match mechanism {
        ZMQ_NULL => Some(b"NULL"),
        ZMQ_PLAIN => Some(b"PLAIN"),
        ZMQ_CURVE => Some(b"CURVE"),
        ZMQ_GSSAPI => Some(b"GSSAPI"),
        _ => None,
    }
}

/// The mechanism that `config` asks for: [`Error::NotSupported`] when the library it needs is not there,
/// [`Error::Invalid`] when there is none of that number or its properties cannot be encoded.
pub fn create(config: &Arc<Config>) -> Result<Box<dyn Mechanism>, Error> {
    match config.mechanism {
        ZMQ_NULL => Ok(Box::new(null::Null::new(config)?)),
        ZMQ_PLAIN if config.as_server => Ok(Box::new(plain::Server::new(config)?)),
        ZMQ_PLAIN => Ok(Box::new(plain::Client::new(config)?)),
        ZMQ_CURVE if config.as_server => Ok(Box::new(curve::Server::new(config)?)),
        ZMQ_CURVE => Ok(Box::new(curve::Client::new(config)?)),
        ZMQ_GSSAPI if config.as_server => Ok(Box::new(gssapi::Server::new(config)?)),
        ZMQ_GSSAPI => Ok(Box::new(gssapi::Client::new(config)?)),
        _ => Err(Error::Invalid),
    }
}

/// The properties we announce: socket type, routing id where the type has one, then the
/// application's, by name.
fn push_properties(config: &Config, out: &mut Vec<u8>) -> Result<(), Error> {
    use super::metadata::{IDENTITY, SOCKET_TYPE, push};
    push(out, SOCKET_TYPE, config.socket_type.name().as_bytes())?;
    if config.socket_type.sends_identity() {
        push(out, IDENTITY, &config.routing_id)?;
    }
    let mut own: Vec<_> = config.metadata.iter().collect();
    // A stable sort: of two with one name the one set first is kept.
    own.sort_by(|a, b| a.0.cmp(&b.0));
    own.dedup_by(|later, earlier| later.0 == earlier.0);
    own.into_iter().try_for_each(|(name, value)| push(out, name, value))
}

/// Whether [`push_properties`] can do it, without doing it: thousands of handshakes may be under way.
fn check_properties(config: &Config) -> Result<(), Error> {
    config.metadata.iter().try_for_each(|(name, value)| super::metadata::check(name, value))
}

/// Takes the peer's properties apart and checks that its type may talk to ours. `None`: malformed,
/// or it may not.
///
/// A peer that does not name its type is let in.
fn accept_properties(config: &Config, list: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let properties = super::metadata::parse(list)?;
    let fits = properties
        .iter()
        .filter(|(name, _)| name == super::metadata::SOCKET_TYPE)
        .all(|(_, value)| config.socket_type.compatible_with(value));
    fits.then_some(properties)
}

fn protocol(code: i32) -> HandshakeError {
    Failure::Protocol(code as u32).into()
}

/// What follows the name of a command that has to be the one of this name, length byte included.
fn check_named<'a>(body: &'a [u8], name: &[u8]) -> Result<&'a [u8], HandshakeError> {
    match body {
        [] | [_] => Err(protocol(ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED)),
        [len, rest @ ..] if rest.len() < usize::from(*len) => {
            Err(protocol(ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED))
        }
        _ => body.strip_prefix(name).ok_or(protocol(ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND)),
    }
}

/// What the data of an ERROR amount to: the monitor hears of it when it carries a status of the
/// authentication protocol.
fn refused_by_peer(field: &[u8]) -> Failure {
    match command::error_reason(field) {
        Some(b"300") => Failure::Auth(300),
        Some(b"400") => Failure::Auth(400),
        Some(b"500") => Failure::Auth(500),
        Some(_) => Failure::Silent,
        None => Failure::Protocol(ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_ERROR as u32),
    }
}
