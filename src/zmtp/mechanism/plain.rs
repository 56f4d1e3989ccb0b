//! The PLAIN mechanism: a name and a password in the clear, which only the authentication handler
//! can judge.

use super::crypto::Password;
use super::zap::{Absent, ZapGrant, ZapRequest};
use super::{
    Bound, Framer, Input, Mechanism, Outbox, Outcome, Status, accept_properties, check_named,
    protocol, push_properties, refused_by_peer,
};
use crate::base::Error;
use crate::base::constants as c;
use crate::zmtp::handshake::{Config, Failure, HandshakeError};
use std::sync::Arc;
use zeroize::Zeroizing;

const HELLO: &[u8] = b"\x05HELLO";
const WELCOME: &[u8] = b"\x07WELCOME";
const INITIATE: &[u8] = b"\x08INITIATE";
const READY: &[u8] = b"\x05READY";
const ERROR: &[u8] = b"\x05ERROR";
/// What the original library says instead: an escape in its text swallows a letter.
const MISSPELT_ERROR: &[u8] = b"\x5ERROR";

/// Both fields of a HELLO at their longest.
const LONGEST_HELLO: u64 = 6 + 2 * 256;

/// What a client of PLAIN says of itself.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// At most 255 bytes.
    pub username: Vec<u8>,
    /// At most 255 bytes.
    pub password: Password,
}

/// The end that asks to be let in.
pub(super) struct Client {
    config: Arc<Config>,
    initiate: Vec<u8>,
    stage: ClientStage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ClientStage {
    AwaitsWelcome,
    AwaitsReady,
}

impl Client {
    pub(super) fn new(config: &Arc<Config>) -> Result<Client, Error> {
        let mut initiate = INITIATE.to_vec();
        push_properties(config, &mut initiate)?;
        Ok(Client { config: Arc::clone(config), initiate, stage: ClientStage::AwaitsWelcome })
    }

    fn hello(&self) -> Zeroizing<Vec<u8>> {
        let Credentials { username, password } = &self.config.plain;
        // Growing would leave copies behind.
        let mut body = Zeroizing::new(Vec::with_capacity(LONGEST_HELLO as usize));
        body.extend_from_slice(HELLO);
        for text in [username, password.bytes()] {
            let text = text.get(..255).unwrap_or(text);
            body.push(text.len() as u8);
            body.extend_from_slice(text);
        }
        body
    }

    fn receive(&mut self, body: &[u8], out: &mut Outbox<'_>) -> Result<Status, HandshakeError> {
        if let Some(rest) = body.strip_prefix(WELCOME) {
            if self.stage != ClientStage::AwaitsWelcome {
                return Err(protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND));
            }
            if !rest.is_empty() {
                return Err(protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_WELCOME));
            }
            out.command(&std::mem::take(&mut self.initiate));
            self.stage = ClientStage::AwaitsReady;
            return Ok(Status::NeedMore);
        }
        let refusal = body.strip_prefix(ERROR).or_else(|| body.strip_prefix(MISSPELT_ERROR));
        if let Some(field) = refusal {
            return Err(refused_by_peer(field).into());
        }
        let Some(list) = body.strip_prefix(READY) else {
            return Err(protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND));
        };
        if self.stage != ClientStage::AwaitsReady {
            return Err(protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND));
        }
        let properties = accept_properties(&self.config, list)
            .ok_or(protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_INVALID_METADATA))?;
        Ok(Status::Done(Box::new(Outcome { properties, grant: None, framer: Framer::Plain })))
    }
}

impl Mechanism for Client {
    fn handle(&mut self, input: Input<'_>, out: &mut Outbox<'_>) -> Result<Status, HandshakeError> {
        match input {
            Input::Start => out.command(&self.hello()),
            Input::Command(body, _) => return self.receive(body, out),
            // Nobody was asked.
            Input::Zap(_) => {}
        }
        Ok(Status::NeedMore)
    }
}

/// The end that lets in.
pub(super) struct Server {
    config: Arc<Config>,
    ready: Vec<u8>,
    stage: ServerStage,
    grant: Option<ZapGrant>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ServerStage {
    AwaitsHello,
    AwaitsZap,
    AwaitsInitiate,
    Done,
}

impl Server {
    pub(super) fn new(config: &Arc<Config>) -> Result<Server, Error> {
        let mut ready = READY.to_vec();
        push_properties(config, &mut ready)?;
        let stage = ServerStage::AwaitsHello;
        Ok(Server { config: Arc::clone(config), ready, stage, grant: None })
    }

    fn receive(&mut self, body: &[u8], out: &mut Outbox<'_>) -> Result<Status, HandshakeError> {
        match self.stage {
            ServerStage::AwaitsHello => {
                let fields = check_named(body, HELLO)?;
                let credentials = credentials(fields)
                    .ok_or(protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_HELLO))?;
                self.stage = ServerStage::AwaitsZap;
                Ok(Status::Zap(ZapRequest {
                    domain: self.config.zap_domain.clone(),
                    routing_id: self.config.routing_id.clone(),
                    mechanism: b"PLAIN",
                    credentials,
                }))
            }
            ServerStage::AwaitsInitiate => {
                let list = check_named(body, INITIATE)?;
                let properties = accept_properties(&self.config, list).ok_or(Failure::Silent)?;
                out.command(&std::mem::take(&mut self.ready));
                self.stage = ServerStage::Done;
                let grant = self.grant.take();
                Ok(Status::Done(Box::new(Outcome { properties, grant, framer: Framer::Plain })))
            }
            ServerStage::AwaitsZap | ServerStage::Done => {
                Err(protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_UNSPECIFIED))
            }
        }
    }
}

impl Mechanism for Server {
    fn handle(&mut self, input: Input<'_>, out: &mut Outbox<'_>) -> Result<Status, HandshakeError> {
        match input {
            Input::Start => {}
            Input::Command(body, _) => return self.receive(body, out),
            Input::Zap(answer) if self.stage == ServerStage::AwaitsZap => {
                self.grant = answer.judge(Absent::Refuses, out)?;
                out.command(WELCOME);
                self.stage = ServerStage::AwaitsInitiate;
            }
            Input::Zap(_) => {}
        }
        Ok(Status::NeedMore)
    }

    fn bound(&self) -> Option<Bound> {
        (self.stage == ServerStage::AwaitsHello).then_some(Bound {
            len: LONGEST_HELLO,
            failure: protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_HELLO),
        })
    }
}

/// Name and password out of a HELLO; `None` unless they fill it.
fn credentials(fields: &[u8]) -> Option<Zeroizing<Vec<Vec<u8>>>> {
    let (&len, rest) = fields.split_first()?;
    let (username, rest) = rest.split_at_checked(usize::from(len))?;
    let (&len, password) = rest.split_first()?;
    (password.len() == usize::from(len))
        .then(|| Zeroizing::new(vec![username.to_vec(), password.to_vec()]))
}
