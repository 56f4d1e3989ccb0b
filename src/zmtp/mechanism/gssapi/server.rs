//! The server's side of a GSSAPI handshake.

use super::super::zap::{Absent, ZapAnswer, ZapGrant, ZapRequest};
use super::super::{Input, Mechanism, Outbox, Status, check_named, protocol};
use super::{Ending, INITIATE, counted, initiate, settings, undecodable, without_credentials};
use crate::base::Error;
use crate::base::constants as c;
use crate::base::gssapi::{Context, Settings};
use crate::zmtp::handshake::{Config, Failure, HandshakeError};
use std::sync::Arc;

/// Rounds of tokens; Kerberos needs one.
const MOST_ROUNDS: u32 = 16;

/// The end that lets in.
pub(in super::super) struct Server {
    config: Arc<Config>,
    settings: Settings,
    ending: Ending,
    stage: Stage,
}

enum Stage {
    AwaitsToken(Option<Box<dyn Context>>, u32),
    /// The context is complete here; the client says when it is there.
    AwaitsConsent(Box<dyn Context>),
    AwaitsZap(Box<dyn Context>),
    AwaitsReady(Box<dyn Context>, Option<ZapGrant>),
    Done,
}

impl Server {
    pub(in super::super) fn new(config: &Arc<Config>) -> Result<Server, Error> {
        let settings = settings(config)?;
        Ok(Server {
            config: Arc::clone(config),
            ending: Ending::new(config, &settings)?,
            settings,
            stage: Stage::AwaitsToken(None, 0),
        })
    }

    fn token(
        &mut self,
        context: Option<Box<dyn Context>>,
        rounds: u32,
        body: &[u8],
        out: &mut Outbox<'_>,
    ) -> Result<Stage, HandshakeError> {
        let token = counted(check_named(body, INITIATE)?)
            .ok_or(protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_INITIATE))?;
        let mut context = match context {
            Some(context) => context,
            None => self
                .settings
                .library
                .acceptor(self.settings.own.as_ref())
                .map_err(without_credentials)?,
        };
        let step = context.step(token).map_err(undecodable)?;
        if step.complete && step.token.is_empty() {
            out.command(&[]);
        } else {
            out.command(&initiate(&step.token)?);
        }
        match step.complete {
            true => Ok(Stage::AwaitsConsent(context)),
            false if rounds < MOST_ROUNDS => Ok(Stage::AwaitsToken(Some(context), rounds + 1)),
            false => Err(protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC)),
        }
    }

    fn receive(&mut self, body: &[u8], out: &mut Outbox<'_>) -> Result<Status, HandshakeError> {
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::AwaitsToken(context, rounds) => {
                self.stage = self.token(context, rounds, body, out)?;
                Ok(Status::NeedMore)
            }
            Stage::AwaitsConsent(mut context) => {
                if !body.is_empty() {
                    return Err(protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND));
                }
                let principal = context.client().map_err(undecodable)?;
                self.stage = Stage::AwaitsZap(context);
                Ok(Status::Zap(ZapRequest {
                    domain: self.config.zap_domain.clone(),
                    routing_id: self.config.routing_id.clone(),
                    mechanism: b"GSSAPI",
                    credentials: vec![principal].into(),
                }))
            }
            Stage::AwaitsReady(mut context, grant) => {
                let properties = self.ending.read_ready(context.as_mut(), body)?;
                Ok(self.ending.outcome(context, properties, grant))
            }
            Stage::AwaitsZap(_) | Stage::Done => {
                Err(protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_UNSPECIFIED))
            }
        }
    }

    /// No refusal is told, and none of them leaves the connection open.
    fn judge(&self, answer: ZapAnswer<'_>) -> Result<Option<ZapGrant>, HandshakeError> {
        let absent = Absent::of_optional_handler(&self.config);
        answer.judge(absent, &mut Outbox::new(&mut Vec::new())).map_err(|error| {
            match error.failure {
                Failure::Auth(_) => error.failure.into(),
                _ => error,
            }
        })
    }
}

impl Mechanism for Server {
    fn handle(&mut self, input: Input<'_>, out: &mut Outbox<'_>) -> Result<Status, HandshakeError> {
        match input {
            Input::Start => {}
            Input::Command(body, _) => return self.receive(body, out),
            Input::Zap(answer) => match std::mem::replace(&mut self.stage, Stage::Done) {
                Stage::AwaitsZap(mut context) => {
                    let grant = self.judge(answer)?;
                    self.ending.send_ready(context.as_mut(), out)?;
                    self.stage = Stage::AwaitsReady(context, grant);
                }
                // Nobody was asked.
                stage => self.stage = stage,
            },
        }
        Ok(Status::NeedMore)
    }
}
