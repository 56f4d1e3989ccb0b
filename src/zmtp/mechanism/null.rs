//! The NULL mechanism: a READY each way, and authentication by address when a domain is set.

use super::zap::{Absent, ZapGrant, ZapRequest};
use super::{
    Framer, Input, Mechanism, Outbox, Outcome, Status, accept_properties, check_properties,
    protocol, push_properties, refused_by_peer,
};
use crate::base::Error;
use crate::base::constants::ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND;
use crate::zmtp::command::{self, Command};
use crate::zmtp::handshake::{Config, Failure, HandshakeError};
use std::sync::Arc;
use zeroize::Zeroizing;

/// One end of a NULL handshake.
pub(super) struct Null {
    config: Arc<Config>,
    /// Our READY is sent.
    is_ready: bool,
    awaits_zap: bool,
    grant: Option<Box<ZapGrant>>,
    /// From the peer's READY.
    properties: Option<Vec<(Vec<u8>, Vec<u8>)>>,
}

impl Mechanism for Null {
    fn handle(&mut self, input: Input<'_>, out: &mut Outbox<'_>) -> Result<Status, HandshakeError> {
        match input {
            Input::Start if self.config.zap_domain.is_empty() => self.send_ready(out)?,
            Input::Start => {
                self.awaits_zap = true;
                return Ok(Status::Zap(ZapRequest {
                    domain: self.config.zap_domain.clone(),
                    routing_id: self.config.routing_id.clone(),
                    mechanism: b"NULL",
                    credentials: Zeroizing::default(),
                }));
            }
            Input::Command(body, _) => self.receive(body)?,
            Input::Zap(answer) if std::mem::take(&mut self.awaits_zap) => {
                let absent = Absent::of_optional_handler(&self.config);
                self.grant = answer.judge(absent, out)?.map(Box::new);
                self.send_ready(out)?;
            }
            // Nobody was asked.
            Input::Zap(_) => {}
        }
        Ok(self.status())
    }
}

impl Null {
    pub(super) fn new(config: &Arc<Config>) -> Result<Null, Error> {
        check_properties(config)?;
        Ok(Null {
            config: Arc::clone(config),
            is_ready: false,
            awaits_zap: false,
            grant: None,
            properties: None,
        })
    }

    fn send_ready(&mut self, out: &mut Outbox<'_>) -> Result<(), HandshakeError> {
        const USUAL: usize = 64;
        if !std::mem::replace(&mut self.is_ready, true) {
            let mut body = Vec::with_capacity(USUAL);
            body.extend_from_slice(b"\x05READY");
            push_properties(&self.config, &mut body)
                .map_err(|error| Failure::NoDetail(error.errno()))?;
            out.command(&body);
        }
        Ok(())
    }

    /// The peer has one command to send. It may come while our own still waits for the
    /// authentication.
    fn receive(&mut self, body: &[u8]) -> Result<(), HandshakeError> {
        match command::parse(body) {
            Command::Ready(list) if self.properties.is_none() => {
                let properties = accept_properties(&self.config, list).ok_or(Failure::Silent)?;
                self.properties = Some(properties);
                Ok(())
            }
            Command::Error(field) => Err(refused_by_peer(field).into()),
            _ => Err(protocol(ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND)),
        }
    }

    fn status(&mut self) -> Status {
        if !self.is_ready {
            return Status::NeedMore;
        }
        let Some(properties) = self.properties.take() else {
            return Status::NeedMore;
        };
        Status::Done(Box::new(Outcome {
            properties,
            grant: self.grant.take().map(|grant| *grant),
            framer: Framer::Plain,
        }))
    }
}
