//! The client's side of a CURVE handshake: HELLO, WELCOME, INITIATE, READY.

use super::super::crypto::{BoxKey, KEY_LEN, SecretKey};
use super::super::{
    Framer, Input, Mechanism, Outbox, Outcome, Status, accept_properties, protocol,
    push_properties, refused_by_peer,
};
use super::traffic::{Role, Traffic};
use super::{
    COOKIE_LEN, ERROR, HELLO, INITIATE, MIN_READY_LEN, PADDING, READY, SIGNED, VERSION, WELCOME,
    WELCOME_LEN, drawn, numbered, take,
};
use crate::base::Error;
use crate::base::constants as c;
use crate::zmtp::handshake::{Config, Failure, HandshakeError};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The end that knows whom it wants to talk to.
pub(in super::super) struct Client {
    config: Arc<Config>,
    properties: Vec<u8>,
    /// Our key for this connection.
    short_term: SecretKey,
    short_term_public: [u8; KEY_LEN],
    stage: Stage,
}

enum Stage {
    /// With the key that a WELCOME is to be opened with.
    AwaitsWelcome(Option<BoxKey>),
    /// With the key of the traffic.
    AwaitsReady(BoxKey),
    Done,
}

/// The numbers of our boxes: a HELLO is the first, an INITIATE the second.
const HELLO_NUMBER: u64 = 1;
const INITIATE_NUMBER: u64 = 2;

impl Client {
    pub(in super::super) fn new(config: &Arc<Config>) -> Result<Client, Error> {
        let mut properties = Vec::new();
        push_properties(config, &mut properties)?;
        let short_term = SecretKey::generate(config.random)?;
        Ok(Client {
            config: Arc::clone(config),
            properties,
            short_term_public: short_term.public(),
            short_term,
            stage: Stage::AwaitsWelcome(None),
        })
    }

    fn hello(&mut self, out: &mut Outbox<'_>) -> Result<(), HandshakeError> {
        // A server key that nobody can own would give the traffic away.
        let key = BoxKey::agree(&self.config.curve.server, &self.short_term)
            .ok_or(protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC))?;
        let mut body = [HELLO, VERSION, &PADDING, &self.short_term_public].concat();
        body.extend_from_slice(&HELLO_NUMBER.to_be_bytes());
        key.push_box(&numbered(b"CurveZMQHELLO---", HELLO_NUMBER), &SIGNED, &mut body);
        out.command(&body);
        self.stage = Stage::AwaitsWelcome(Some(key));
        Ok(())
    }

    fn welcome(
        &mut self,
        key: &BoxKey,
        mut rest: &[u8],
        out: &mut Outbox<'_>,
    ) -> Result<(), HandshakeError> {
        let undecodable = || protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC);
        if rest.len() + WELCOME.len() != WELCOME_LEN {
            return Err(undecodable());
        }
        let random = take::<16>(&mut rest).ok_or_else(undecodable)?;
        let plain = key.open_box(&drawn(b"WELCOME-", random), rest).ok_or_else(undecodable)?;
        let (server, cookie) = plain.split_first_chunk::<KEY_LEN>().ok_or_else(undecodable)?;
        let traffic = BoxKey::agree(server, &self.short_term).ok_or_else(undecodable)?;
        let body = self.initiate(server, cookie, &traffic)?;
        out.command(&body);
        self.stage = Stage::AwaitsReady(traffic);
        Ok(())
    }

    fn initiate(
        &self,
        server: &[u8; KEY_LEN],
        cookie: &[u8],
        traffic: &BoxKey,
    ) -> Result<Vec<u8>, HandshakeError> {
        let keys = &self.config.curve;
        let random = self.config.random.take::<16>().map_err(no_detail)?;
        let mut plain = Zeroizing::new(keys.public.to_vec());
        plain.extend_from_slice(&random);
        let voucher = BoxKey::agree(server, &keys.secret)
            .ok_or(protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC))?;
        let vouched = [self.short_term_public, keys.server].concat();
        voucher.push_box(&drawn(b"VOUCH---", &random), &vouched, &mut plain);
        plain.extend_from_slice(&self.properties);
        let mut body = [INITIATE, cookie].concat();
        debug_assert_eq!(body.len(), INITIATE.len() + COOKIE_LEN);
        body.extend_from_slice(&INITIATE_NUMBER.to_be_bytes());
        traffic.push_box(&numbered(b"CurveZMQINITIATE", INITIATE_NUMBER), &plain, &mut body);
        Ok(body)
    }

    fn ready(&self, key: BoxKey, mut rest: &[u8]) -> Result<Status, HandshakeError> {
        let malformed = || protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_READY);
        if rest.len() + READY.len() < MIN_READY_LEN {
            return Err(malformed());
        }
        let number = u64::from_be_bytes(*take::<8>(&mut rest).ok_or_else(malformed)?);
        let plain = key
            .open_box(&numbered(b"CurveZMQREADY---", number), rest)
            .ok_or(protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC))?;
        let properties = accept_properties(&self.config, &plain)
            .ok_or(protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_INVALID_METADATA))?;
        let traffic = Traffic::new(Role::Client, key, INITIATE_NUMBER, number);
        let framer = Framer::Curve(Box::new(traffic));
        Ok(Status::Done(Box::new(Outcome { properties, grant: None, framer })))
    }

    fn receive(&mut self, body: &[u8], out: &mut Outbox<'_>) -> Result<Status, HandshakeError> {
        let unexpected = protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND);
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Done => Err(unexpected),
            _ if body.starts_with(ERROR) => {
                Err(refused_by_peer(body.get(ERROR.len()..).unwrap_or_default()).into())
            }
            Stage::AwaitsWelcome(Some(key)) => {
                let rest = body.strip_prefix(WELCOME).ok_or(unexpected)?;
                self.welcome(&key, rest, out)?;
                Ok(Status::NeedMore)
            }
            Stage::AwaitsWelcome(None) => Err(unexpected),
            Stage::AwaitsReady(key) => {
                let rest = body.strip_prefix(READY).ok_or(unexpected)?;
                self.ready(key, rest)
            }
        }
    }
}

impl Mechanism for Client {
    fn handle(&mut self, input: Input<'_>, out: &mut Outbox<'_>) -> Result<Status, HandshakeError> {
        match input {
            Input::Start => self.hello(out)?,
            Input::Command(body, _) => return self.receive(body, out),
            // Nobody was asked.
            Input::Zap(_) => {}
        }
        Ok(Status::NeedMore)
    }
}

fn no_detail(error: Error) -> Failure {
    Failure::NoDetail(error.errno())
}
