//! Encryption of traffic, whichever mechanism it comes from.

use super::{curve, gssapi};
use crate::base::Error;
use crate::message::Msg;
use crate::zmtp::decoder::Malformed;
use crate::zmtp::frame;
use std::sync::Arc;

/// Encrypts what we send.
#[derive(Debug)]
pub enum Sealer {
    /// See [`curve::Sealer`].
    Curve(curve::Sealer),
    /// See [`gssapi::Sealer`].
    Gssapi(gssapi::Sealer),
}

impl Sealer {
    /// Appends one frame with what `flags` ([`frame::MORE`], [`frame::COMMAND`]) and `body` become. On an error
    /// nothing was appended.
    #[inline]
    pub fn seal(&mut self, flags: u8, body: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            Sealer::Curve(sealer) => sealer.seal(flags, body, out),
            Sealer::Gssapi(sealer) => sealer.seal(flags, body, out),
        }
    }
}

/// Decrypts what the peer sends.
#[derive(Debug)]
pub enum Opener {
    /// See [`curve::Opener`].
    Curve(curve::Opener),
    /// See [`gssapi::Opener`].
    Gssapi(gssapi::Opener),
}

impl Opener {
    /// Takes a frame's body and appends the frame that is in it: a header of ZMTP 3.x and the payload.
    /// Answers its [`frame::MORE`] and [`frame::COMMAND`].
    #[inline]
    pub fn open(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<u8, Malformed> {
        match self {
            Opener::Curve(opener) => opener.open(body, out),
            Opener::Gssapi(opener) => {
                let (flags, plain) = opener.open(body)?;
                let payload = plain.get(1..).unwrap_or_default();
                out.try_reserve(frame::MAX_HEADER_LEN + payload.len())
                    .map_err(|_| Malformed::NoMemory)?;
                frame::push(out, flags, payload);
                Ok(flags)
            }
        }
    }

    /// As [`Opener::open`], for a body that is in memory of its own: its flags, and its payload as a message.
    pub fn open_whole(&mut self, mut body: Vec<u8>) -> Result<(u8, Msg), Malformed> {
        let (flags, start, plain) = match self {
            Opener::Curve(opener) => {
                (opener.open_in_place(&mut body)?, curve::MESSAGE_OVERHEAD, body)
            }
            Opener::Gssapi(opener) => {
                let (flags, plain) = opener.open(&body)?;
                (flags, 1, plain)
            }
        };
        let end = plain.len();
        Ok((flags, Msg::slice_of(&Arc::new(plain), start.min(end)..end)))
    }
}

impl From<curve::Opener> for Opener {
    fn from(opener: curve::Opener) -> Opener {
        Opener::Curve(opener)
    }
}

impl From<gssapi::Opener> for Opener {
    fn from(opener: gssapi::Opener) -> Opener {
        Opener::Gssapi(opener)
    }
}
