//! The GSSAPI mechanism (RFC 38, as libzmq speaks it): tokens of security contexts until both ends are sure of
//! each other, then a READY each way, and everything from there on encrypted unless the options say otherwise.
//!
//! What is in the tokens is known to the library alone, which is behind [`crate::base::gssapi`].

mod client;
mod server;
mod traffic;

pub(super) use client::Client;
pub(super) use server::Server;
pub use traffic::{Opener, Sealer, Traffic};

use super::{Framer, HandshakeError, Outbox, Outcome, accept_properties, protocol};
use crate::base::constants as c;
use crate::base::gssapi::{Context, Refused, Settings};
use crate::base::{Error, gssapi};
use crate::zmtp::handshake::{Config, Failure};
use crate::zmtp::mechanism::zap::ZapGrant;
use std::sync::Arc;

const INITIATE: &[u8] = b"\x08INITIATE";
const READY: &[u8] = b"\x05READY";
const ERROR: &[u8] = b"\x05ERROR";

/// The settings of a socket whose mechanism this is; [`Error::NotSupported`] where there is no library.
fn settings(config: &Config) -> Result<Settings, Error> {
    config.gssapi.clone().ok_or(Error::NotSupported)
}

/// We have no credentials, or they are not good for this. They may be later, so a client is to come back.
fn without_credentials(_refused: Refused) -> Failure {
    Failure::NoDetail(libc::EACCES)
}

/// What the peer sent is not what it should be.
fn undecodable(_refused: Refused) -> HandshakeError {
    protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC)
}

/// An INITIATE with a token.
fn initiate(token: &[u8]) -> Result<Vec<u8>, HandshakeError> {
    let len = u32::try_from(token.len()).map_err(|_| Failure::NoDetail(libc::EMSGSIZE))?;
    Ok([INITIATE, &len.to_be_bytes(), token].concat())
}

/// What follows a length of four bytes, which has to be just that.
fn counted(field: &[u8]) -> Option<&[u8]> {
    let (len, rest) = field.split_first_chunk::<4>()?;
    (usize::try_from(u32::from_be_bytes(*len)) == Ok(rest.len())).then_some(rest)
}

/// The end of the handshake, which is the same for both roles: READY and the traffic after it.
struct Ending {
    config: Arc<Config>,
    ready: Vec<u8>,
    plaintext: bool,
}

impl Ending {
    fn new(config: &Arc<Config>, settings: &gssapi::Settings) -> Result<Ending, Error> {
        let mut ready = READY.to_vec();
        super::push_properties(config, &mut ready)?;
        Ok(Ending { config: Arc::clone(config), ready, plaintext: settings.plaintext })
    }

    fn send_ready(
        &self,
        context: &mut dyn Context,
        out: &mut Outbox<'_>,
    ) -> Result<(), HandshakeError> {
        if self.plaintext {
            out.command(&self.ready);
        } else {
            let wrapped = traffic::wrap(context, 0, &self.ready);
            out.command(&wrapped.map_err(|error| Failure::NoDetail(error.errno()))?);
        }
        Ok(())
    }

    /// The properties in the peer's READY.
    fn read_ready(
        &self,
        context: &mut dyn Context,
        body: &[u8],
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, HandshakeError> {
        let unwrapped;
        let body = if self.plaintext {
            body
        } else {
            let code = |malformed| match malformed {
                crate::zmtp::decoder::Malformed::Refused(code) => Failure::Protocol(code),
                _ => Failure::Silent,
            };
            unwrapped = traffic::unwrap(context, body).map_err(code)?;
            unwrapped.get(1..).unwrap_or_default()
        };
        let list = body
            .strip_prefix(READY)
            .ok_or(protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND))?;
        accept_properties(&self.config, list)
            .ok_or(protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_INVALID_METADATA))
    }

    fn outcome(
        &self,
        context: Box<dyn Context>,
        properties: Vec<(Vec<u8>, Vec<u8>)>,
        grant: Option<ZapGrant>,
    ) -> super::Status {
        let framer = if self.plaintext {
            Framer::Plain
        } else {
            Framer::Gssapi(Box::new(Traffic::new(context)))
        };
        super::Status::Done(Box::new(Outcome { properties, grant, framer }))
    }
}
