//! The server's side of a CURVE handshake.
//!
//! Between WELCOME and INITIATE it remembers one key, that of the cookie: everything else about the
//! peer comes back in the cookie. That key is drawn for each connection, used once, and worthless
//! after [`COOKIE_LIFE`].

use super::super::crypto::{BoxKey, KEY_LEN, SecretKey, same_key};
use super::super::zap::{Absent, ZapGrant, ZapRequest};
use super::super::{
    Bound, Framer, Input, Mechanism, Outbox, Outcome, Status, accept_properties, check_named,
    protocol, push_properties,
};
use super::traffic::{Role, Traffic};
use super::{
    COOKIE_LEN, HELLO, HELLO_LEN, INITIATE, MIN_INITIATE_LEN, PADDING, READY, VERSION, VOUCH_LEN,
    WELCOME, WELCOME_LEN, drawn, numbered, take,
};
use crate::base::Error;
use crate::base::constants as c;
use crate::zmtp::handshake::{Config, Failure, HandshakeError};
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long a peer may take from WELCOME to INITIATE.
pub(super) const COOKIE_LIFE: Duration = Duration::from_secs(60);

/// The end that lets in.
pub(in super::super) struct Server {
    config: Arc<Config>,
    properties: Vec<u8>,
    stage: Stage,
}

enum Stage {
    AwaitsHello,
    AwaitsInitiate { cookie: BoxKey, until: Option<Instant> },
    AwaitsZap(Box<Proven>),
    Done,
}

/// A peer that has proven its key.
struct Proven {
    key: BoxKey,
    /// Of its last box.
    number: u64,
    properties: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The number of our first box.
const READY_NUMBER: u64 = 1;

fn undecodable() -> HandshakeError {
    protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC)
}

impl Server {
    pub(in super::super) fn new(config: &Arc<Config>) -> Result<Server, Error> {
        let mut properties = Vec::new();
        push_properties(config, &mut properties)?;
        Ok(Server { config: Arc::clone(config), properties, stage: Stage::AwaitsHello })
    }

    /// Answers a HELLO with the WELCOME and the key of its cookie.
    fn hello(&self, body: &[u8]) -> Result<(Vec<u8>, BoxKey), HandshakeError> {
        let malformed = || protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_HELLO);
        let rest = check_named(body, HELLO)?;
        if body.len() != HELLO_LEN {
            return Err(malformed());
        }
        let mut rest = rest
            .strip_prefix(VERSION)
            .and_then(|rest| rest.get(PADDING.len()..))
            .ok_or_else(malformed)?;
        let client = take::<KEY_LEN>(&mut rest).ok_or_else(malformed)?;
        let number = u64::from_be_bytes(*take::<8>(&mut rest).ok_or_else(malformed)?);
        let keys = &self.config.curve;
        let key = BoxKey::agree(client, &keys.secret).ok_or_else(undecodable)?;
        key.open_box(&numbered(b"CurveZMQHELLO---", number), rest).ok_or_else(undecodable)?;
        self.welcome(client, &key).map_err(|error| Failure::NoDetail(error.errno()).into())
    }

    fn welcome(&self, client: &[u8; KEY_LEN], key: &BoxKey) -> Result<(Vec<u8>, BoxKey), Error> {
        let random = self.config.random;
        let short_term = SecretKey::generate(random)?;
        let cookie = BoxKey::generate(random)?;
        let (outer, inner) = (random.take::<16>()?, random.take::<16>()?);
        let mut plain = Zeroizing::new(short_term.public().to_vec());
        plain.extend_from_slice(&inner);
        let remembered = Zeroizing::new([*client, *short_term.bytes()].concat());
        cookie.push_box(&drawn(b"COOKIE--", &inner), &remembered, &mut plain);
        let mut body = [WELCOME, &outer].concat();
        key.push_box(&drawn(b"WELCOME-", &outer), &plain, &mut body);
        debug_assert_eq!(body.len(), WELCOME_LEN);
        Ok((body, cookie))
    }

    /// Checks an INITIATE: who the peer is, and its long-term key.
    fn initiate(
        &self,
        body: &[u8],
        cookie_key: &BoxKey,
    ) -> Result<(Proven, [u8; KEY_LEN]), HandshakeError> {
        let malformed = || protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_INITIATE);
        let mut rest = check_named(body, INITIATE)?;
        if body.len() < MIN_INITIATE_LEN {
            return Err(malformed());
        }
        let mut cookie = &take::<COOKIE_LEN>(&mut rest).ok_or_else(malformed)?[..];
        let random = take::<16>(&mut cookie).ok_or_else(malformed)?;
        let remembered =
            cookie_key.open_box(&drawn(b"COOKIE--", random), cookie).ok_or_else(undecodable)?;
        let mut remembered = &remembered[..];
        let client = take::<KEY_LEN>(&mut remembered).ok_or_else(undecodable)?;
        let short_term = SecretKey::new(take::<KEY_LEN>(&mut remembered).ok_or_else(undecodable)?);

        let number = u64::from_be_bytes(*take::<8>(&mut rest).ok_or_else(malformed)?);
        let key = BoxKey::agree(client, &short_term).ok_or_else(undecodable)?;
        let plain =
            key.open_box(&numbered(b"CurveZMQINITIATE", number), rest).ok_or_else(undecodable)?;
        let mut plain = &plain[..];
        let long_term = take::<KEY_LEN>(&mut plain).ok_or_else(malformed)?;
        let vouch = take::<VOUCH_LEN>(&mut plain).ok_or_else(malformed)?;
        self.check_vouch(vouch, client, long_term, &short_term)?;
        let properties = accept_properties(&self.config, plain).ok_or(Failure::Silent)?;
        Ok((Proven { key, number, properties }, *long_term))
    }

    /// The owner of the long-term key must have meant this connection to us.
    fn check_vouch(
        &self,
        vouch: &[u8; VOUCH_LEN],
        client: &[u8; KEY_LEN],
        long_term: &[u8; KEY_LEN],
        short_term: &SecretKey,
    ) -> Result<(), HandshakeError> {
        let mut vouch = &vouch[..];
        let random = take::<16>(&mut vouch).ok_or_else(undecodable)?;
        let key = BoxKey::agree(long_term, short_term).ok_or_else(undecodable)?;
        let vouched = key.open_box(&drawn(b"VOUCH---", random), vouch).ok_or_else(undecodable)?;
        let mut vouched = &vouched[..];
        let for_client = take::<KEY_LEN>(&mut vouched).ok_or_else(undecodable)?;
        let for_server = take::<KEY_LEN>(&mut vouched).ok_or_else(undecodable)?;
        if same_key(for_client, client) && same_key(for_server, &self.config.curve.secret.public())
        {
            Ok(())
        } else {
            Err(protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_KEY_EXCHANGE))
        }
    }

    /// Everything is in order: says so, and is done.
    fn finish(&self, proven: Proven, grant: Option<ZapGrant>, out: &mut Outbox<'_>) -> Status {
        let Proven { key, number, properties } = proven;
        let mut body = [READY, &READY_NUMBER.to_be_bytes()].concat();
        key.push_box(&numbered(b"CurveZMQREADY---", READY_NUMBER), &self.properties, &mut body);
        out.command(&body);
        let traffic = Traffic::new(Role::Server, key, READY_NUMBER, number);
        let framer = Framer::Curve(Box::new(traffic));
        Status::Done(Box::new(Outcome { properties, grant, framer }))
    }

    fn receive(
        &mut self,
        body: &[u8],
        now: Instant,
        out: &mut Outbox<'_>,
    ) -> Result<Status, HandshakeError> {
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::AwaitsHello => {
                let (welcome, cookie) = self.hello(body)?;
                out.command(&welcome);
                self.stage = Stage::AwaitsInitiate { cookie, until: now.checked_add(COOKIE_LIFE) };
                Ok(Status::NeedMore)
            }
            Stage::AwaitsInitiate { until: Some(until), .. } if until <= now => Err(undecodable()),
            Stage::AwaitsInitiate { cookie, .. } => {
                let (proven, long_term) = self.initiate(body, &cookie)?;
                let config = &self.config;
                if config.zap_enforce_domain && config.zap_domain.is_empty() {
                    return Ok(self.finish(proven, None, out));
                }
                self.stage = Stage::AwaitsZap(Box::new(proven));
                Ok(Status::Zap(ZapRequest {
                    domain: self.config.zap_domain.clone(),
                    routing_id: self.config.routing_id.clone(),
                    mechanism: b"CURVE",
                    credentials: vec![long_term.to_vec()].into(),
                }))
            }
            Stage::AwaitsZap(_) | Stage::Done => {
                Err(protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_UNSPECIFIED))
            }
        }
    }
}

impl Mechanism for Server {
    fn handle(&mut self, input: Input<'_>, out: &mut Outbox<'_>) -> Result<Status, HandshakeError> {
        match input {
            Input::Start => Ok(Status::NeedMore),
            Input::Command(body, now) => self.receive(body, now, out),
            Input::Zap(answer) => match std::mem::replace(&mut self.stage, Stage::Done) {
                Stage::AwaitsZap(proven) => {
                    let absent = Absent::of_optional_handler(&self.config);
                    let grant = answer.judge(absent, out)?;
                    Ok(self.finish(*proven, grant, out))
                }
                // Nobody was asked.
                other => {
                    self.stage = other;
                    Ok(Status::NeedMore)
                }
            },
        }
    }

    fn bound(&self) -> Option<Bound> {
        matches!(self.stage, Stage::AwaitsHello).then_some(Bound {
            len: HELLO_LEN as u64,
            failure: protocol(c::ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_HELLO),
        })
    }
}
