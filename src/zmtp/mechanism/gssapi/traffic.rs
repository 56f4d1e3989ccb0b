//! What GSSAPI makes of traffic: every part and every command becomes one MESSAGE.

use super::undecodable;
use crate::base::Error;
use crate::base::constants as c;
use crate::base::gssapi::Context;
use crate::zmtp::decoder::Malformed;
use crate::zmtp::frame;
use crate::zmtp::handshake::Failure;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

const MESSAGE: &[u8] = b"\x07MESSAGE";

/// Flags inside a MESSAGE.
const MORE: u8 = 1;
const COMMAND: u8 = 2;
const SUBSCRIBE: u8 = 4;
const CANCEL: u8 = 8;

/// A context that both directions use; the library does not promise that they may do so at the same time.
type Shared = Arc<Mutex<Box<dyn Context>>>;

/// Both directions of one connection.
#[derive(Debug)]
pub struct Traffic {
    /// Ours to the peer.
    pub sealer: Sealer,
    /// The peer's to us.
    pub opener: Opener,
}

impl Traffic {
    /// With a context that is complete.
    pub(super) fn new(context: Box<dyn Context>) -> Traffic {
        let context = Arc::new(Mutex::new(context));
        Traffic { sealer: Sealer(context.clone()), opener: Opener(context) }
    }
}

/// Encrypts what we send.
pub struct Sealer(Shared);

impl Sealer {
    /// Appends the MESSAGE for one frame: its [`frame::MORE`] and [`frame::COMMAND`] flags, and its body. On
    /// an error nothing was appended.
    pub fn seal(&mut self, flags: u8, body: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let mut context = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let message = wrap(context.as_mut(), flags, body)?;
        out.try_reserve(frame::MAX_HEADER_LEN + message.len()).map_err(|_| Error::NoMemory)?;
        frame::push(out, 0, &message);
        Ok(())
    }
}

/// Decrypts what the peer sends.
pub struct Opener(Shared);

impl Opener {
    /// Takes the body of a MESSAGE: the flags of the frame in it, as [`frame`] has them, and its payload
    /// after one more byte.
    pub fn open(&mut self, body: &[u8]) -> Result<(u8, Vec<u8>), Malformed> {
        let mut context = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut plain = unwrap(context.as_mut(), body)?;
        let flags = plain.first().copied().unwrap_or_default();
        // A flag says what we say by the command's name; the body may be only the topic then.
        let name: &[u8] = match flags {
            _ if flags & SUBSCRIBE != 0 => b"\x09SUBSCRIBE",
            _ if flags & CANCEL != 0 => b"\x06CANCEL",
            _ => b"",
        };
        if !plain.get(1..).is_some_and(|body| body.starts_with(name)) {
            plain.splice(1..1, name.iter().copied());
        }
        let more = if flags & MORE != 0 { frame::MORE } else { 0 };
        let command = flags & (COMMAND | SUBSCRIBE | CANCEL) != 0;
        Ok((more | if command { frame::COMMAND } else { 0 }, plain))
    }
}

/// The body of a MESSAGE.
pub(super) fn wrap(context: &mut dyn Context, flags: u8, body: &[u8]) -> Result<Vec<u8>, Error> {
    let mut plain = Vec::new();
    plain.try_reserve(1 + body.len()).map_err(|_| Error::NoMemory)?;
    plain.push(inner_flags(flags));
    plain.extend_from_slice(body);
    let wrapped = context.wrap(&plain).map_err(|_| Error::NotSupported)?;
    let len = u32::try_from(wrapped.len()).map_err(|_| Error::NotSupported)?;
    Ok([MESSAGE, &len.to_be_bytes(), &wrapped].concat())
}

/// What is in the body of a MESSAGE: flags, then the payload.
pub(super) fn unwrap(context: &mut dyn Context, body: &[u8]) -> Result<Vec<u8>, Malformed> {
    let refused = |code: i32| Malformed::Refused(code as u32);
    let field =
        body.strip_prefix(MESSAGE).ok_or(refused(c::ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND))?;
    let malformed = refused(c::ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_MESSAGE);
    let wrapped = super::counted(field).ok_or(malformed)?;
    let plain = context.unwrap(wrapped).map_err(|error| match undecodable(error).failure {
        Failure::Protocol(code) => Malformed::Refused(code),
        _ => malformed,
    })?;
    if plain.is_empty() { Err(malformed) } else { Ok(plain) }
}

/// Those of RFC 38's implementers: a command goes as a command, whatever its name, which all of them understand.
fn inner_flags(flags: u8) -> u8 {
    let more = if flags & frame::MORE != 0 { MORE } else { 0 };
    more | if flags & frame::COMMAND != 0 { COMMAND } else { 0 }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(..)")
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener(..)")
    }
}
