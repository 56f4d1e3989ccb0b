//! Authentication requests and replies (RFC 27) as values.
//!
//! Who carries them to the handler and back is the connection's affair.

use zeroize::Zeroizing;

use super::Outbox;
use crate::base::Error;
use crate::base::constants::{
    ZMQ_PROTOCOL_ERROR_ZAP_BAD_REQUEST_ID, ZMQ_PROTOCOL_ERROR_ZAP_BAD_VERSION,
    ZMQ_PROTOCOL_ERROR_ZAP_INVALID_METADATA, ZMQ_PROTOCOL_ERROR_ZAP_INVALID_STATUS_CODE,
    ZMQ_PROTOCOL_ERROR_ZAP_MALFORMED_REPLY, ZMQ_PROTOCOL_ERROR_ZAP_UNSPECIFIED,
};
use crate::zmtp::handshake::{Config, Failure, HandshakeError};
use crate::zmtp::metadata;

/// The protocol's version, in requests and replies.
const VERSION: &[u8] = b"1.0";
/// One request per connection, so one id does for all.
const REQUEST_ID: &[u8] = b"1";

/// What a mechanism wants to be authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZapRequest {
    /// The socket's domain.
    pub domain: Vec<u8>,
    /// Our own routing id.
    pub routing_id: Vec<u8>,
    /// The mechanism's name.
    pub mechanism: &'static [u8],
    /// As many as the mechanism has; they may be secret.
    pub credentials: Zeroizing<Vec<Vec<u8>>>,
}

impl ZapRequest {
    /// The frames to send, empty delimiter first. `address` is the peer's, which is not known here.
    pub fn frames(&self, address: &[u8]) -> Zeroizing<Vec<Vec<u8>>> {
        let head: [&[u8]; 7] =
            [b"", VERSION, REQUEST_ID, &self.domain, address, &self.routing_id, self.mechanism];
        let head = head.into_iter().map(<[u8]>::to_vec);
        Zeroizing::new(head.chain(self.credentials.iter().cloned()).collect())
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug)]
pub enum ZapAnswer<'a> {
    /// Nobody is bound to the handler's endpoint.
    NoHandler,
    /// The frames of the reply, delimiter included.
    Reply(&'a [&'a [u8]]),
}

/// What it means that nobody is bound to the handler's endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// Everybody is let in.
    Admits,
    /// Nobody is, and the connection is left alone.
    Waits,
    /// Nobody is.
    Refuses,
}

impl Absent {
    /// For mechanisms that can do without a handler, unless the options say that one is needed.
    pub fn of_optional_handler(config: &Config) -> Absent {
        if config.zap_enforce_domain { Absent::Waits } else { Absent::Admits }
    }
}

impl ZapAnswer<'_> {
    /// Lets the peer in, or says why not: to the peer as well, where the refusal is final.
    pub fn judge(
        self,
        absent: Absent,
        out: &mut Outbox<'_>,
    ) -> Result<Option<ZapGrant>, HandshakeError> {
        let nobody = Failure::NoDetail(Error::Fault.errno());
        let frames = match (self, absent) {
            (ZapAnswer::Reply(frames), _) => frames,
            (ZapAnswer::NoHandler, Absent::Admits) => return Ok(None),
            (ZapAnswer::NoHandler, Absent::Waits) => {
                return Err(HandshakeError::staying_open(nobody));
            }
            (ZapAnswer::NoHandler, Absent::Refuses) => return Err(nobody.into()),
        };
        match ZapReply::parse(frames).map_err(Failure::Protocol)? {
            ZapReply::Granted(grant) => Ok(Some(grant)),
            // Temporary: the peer hears nothing, so that it neither gives up nor comes back at once.
            ZapReply::Denied(300) => Err(HandshakeError::staying_open(Failure::Auth(300))),
            ZapReply::Denied(code) => {
                out.error(code.to_string().as_bytes());
                Err(Failure::Auth(code).into())
            }
        }
    }
}

/// A well-formed reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZapReply {
    /// Status 200.
    Granted(ZapGrant),
    /// Status 300, 400 or 500.
    Denied(u32),
}

/// What a handler says of a peer it lets in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZapGrant {
    /// Who the peer is; may be empty.
    pub user_id: Vec<u8>,
    /// Further properties; on equal names they go before the peer's own.
    pub properties: Vec<(Vec<u8>, Vec<u8>)>,
}

impl ZapReply {
    /// Checks the frames of a reply; the error is the code for the monitor.
    pub fn parse(frames: &[&[u8]]) -> Result<ZapReply, u32> {
        let &[delimiter, version, request_id, status, _text, user_id, list] = frames else {
            return Err(ZMQ_PROTOCOL_ERROR_ZAP_MALFORMED_REPLY as u32);
        };
        if !delimiter.is_empty() {
            return Err(ZMQ_PROTOCOL_ERROR_ZAP_UNSPECIFIED as u32);
        }
        if version != VERSION {
            return Err(ZMQ_PROTOCOL_ERROR_ZAP_BAD_VERSION as u32);
        }
        if request_id != REQUEST_ID {
            return Err(ZMQ_PROTOCOL_ERROR_ZAP_BAD_REQUEST_ID as u32);
        }
        let denied = match status {
            b"200" => None,
            b"300" => Some(300),
            b"400" => Some(400),
            b"500" => Some(500),
            _ => return Err(ZMQ_PROTOCOL_ERROR_ZAP_INVALID_STATUS_CODE as u32),
        };
        let properties =
            metadata::parse(list).ok_or(ZMQ_PROTOCOL_ERROR_ZAP_INVALID_METADATA as u32)?;
        Ok(match denied {
            Some(code) => ZapReply::Denied(code),
            None => ZapReply::Granted(ZapGrant { user_id: user_id.to_vec(), properties }),
        })
    }
}
