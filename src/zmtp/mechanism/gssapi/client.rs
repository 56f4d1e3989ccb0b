//! The client's side of a GSSAPI handshake.

use super::super::{Input, Mechanism, Outbox, Status, check_named, protocol, refused_by_peer};
use super::{
    ERROR, Ending, INITIATE, counted, initiate, settings, undecodable, without_credentials,
};
use crate::base::Error;
use crate::base::constants as c;
use crate::base::gssapi::{Context, Settings};
use crate::zmtp::handshake::{Config, HandshakeError};
use std::sync::Arc;

/// The end that asks for a service.
pub(in super::super) struct Client {
    settings: Settings,
    ending: Ending,
    stage: Stage,
}

enum Stage {
    Fresh,
    AwaitsToken(Box<dyn Context>),
    AwaitsReady(Box<dyn Context>),
    Done,
}

impl Client {
    pub(in super::super) fn new(config: &Arc<Config>) -> Result<Client, Error> {
        let settings = settings(config)?;
        Ok(Client { ending: Ending::new(config, &settings)?, settings, stage: Stage::Fresh })
    }

    fn start(&mut self, out: &mut Outbox<'_>) -> Result<(), HandshakeError> {
        let Settings { library, own, service, .. } = &self.settings;
        // Left alone until the time is up: a connecter then tries again, as tickets come and go.
        let refused = |refused| HandshakeError::staying_open(without_credentials(refused));
        let mut context = library.initiator(own.as_ref(), service).map_err(refused)?;
        let step = context.step(&[]).map_err(refused)?;
        out.command(&initiate(&step.token)?);
        self.stage =
            if step.complete { Stage::AwaitsReady(context) } else { Stage::AwaitsToken(context) };
        Ok(())
    }

    fn token(
        &mut self,
        mut context: Box<dyn Context>,
        body: &[u8],
        out: &mut Outbox<'_>,
    ) -> Result<(), HandshakeError> {
        let token = counted(check_named(body, INITIATE)?)
            .ok_or(protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_INITIATE))?;
        let step = context.step(token).map_err(undecodable)?;
        if step.complete && step.token.is_empty() {
            // There is nothing left to say, but the server waits for us to say that we are content.
            out.command(&[]);
        } else {
            out.command(&initiate(&step.token)?);
        }
        self.stage =
            if step.complete { Stage::AwaitsReady(context) } else { Stage::AwaitsToken(context) };
        Ok(())
    }

    fn receive(&mut self, body: &[u8], out: &mut Outbox<'_>) -> Result<Status, HandshakeError> {
        if let Some(field) = body.strip_prefix(ERROR) {
            return Err(refused_by_peer(field).into());
        }
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::AwaitsToken(context) => {
                self.token(context, body, out)?;
                Ok(Status::NeedMore)
            }
            Stage::AwaitsReady(mut context) => {
                let properties = self.ending.read_ready(context.as_mut(), body)?;
                self.ending.send_ready(context.as_mut(), out)?;
                Ok(self.ending.outcome(context, properties, None))
            }
            Stage::Fresh | Stage::Done => {
                Err(protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND))
            }
        }
    }
}

impl Mechanism for Client {
    fn handle(&mut self, input: Input<'_>, out: &mut Outbox<'_>) -> Result<Status, HandshakeError> {
        match input {
            Input::Start => self.start(out)?,
            Input::Command(body, _) => return self.receive(body, out),
            // Nobody was asked.
            Input::Zap(_) => {}
        }
        Ok(Status::NeedMore)
    }
}
