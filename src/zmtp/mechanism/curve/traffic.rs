//! What CURVE makes of traffic: every part and every command becomes one MESSAGE.
//!
//! The two directions share nothing that changes: whoever holds the write side has the [`Sealer`],
//! whoever holds the read side the [`Opener`].

use super::super::crypto::{BoxKey, MAC_LEN};
use super::numbered;
use crate::base::Error;
use crate::base::constants as c;
use crate::zmtp::decoder::Malformed;
use crate::zmtp::frame;

const MESSAGE: &[u8; 8] = b"\x07MESSAGE";
/// Name, number, authenticator and flags: how much longer a MESSAGE is than its payload.
pub const MESSAGE_OVERHEAD: usize = 8 + 8 + MAC_LEN + 1;

/// Flags inside a MESSAGE; the frame outside has none.
const MORE: u8 = 1;
const COMMAND: u8 = 2;

const BY_CLIENT: &[u8; 16] = b"CurveZMQMESSAGEC";
const BY_SERVER: &[u8; 16] = b"CurveZMQMESSAGES";

/// Who is who.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Client,
    Server,
}

/// Both directions of one connection.
#[derive(Debug)]
pub struct Traffic {
    /// Ours to the peer.
    pub sealer: Sealer,
    /// The peer's to us.
    pub opener: Opener,
}

impl Traffic {
    /// After a handshake in which we last used the number `ours`, and the peer `theirs`.
    pub(super) fn new(role: Role, key: BoxKey, ours: u64, theirs: u64) -> Traffic {
        let (own, peer) = match role {
            Role::Client => (BY_CLIENT, BY_SERVER),
            Role::Server => (BY_SERVER, BY_CLIENT),
        };
        Traffic {
            sealer: Sealer { key: key.clone(), prefix: own, last: ours },
            opener: Opener { key, prefix: peer, last: theirs },
        }
    }
}

/// Encrypts what we send.
#[derive(Debug)]
pub struct Sealer {
    key: BoxKey,
    prefix: &'static [u8; 16],
    last: u64,
}

impl Sealer {
    /// Appends the MESSAGE for one frame: its [`frame::MORE`] and [`frame::COMMAND`] flags, and its
    /// body. Fails when memory or, after 2^64 frames, numbers run out; then nothing was appended.
    #[inline]
    pub fn seal(&mut self, flags: u8, body: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let number = self.last.checked_add(1).ok_or(Error::NotSupported)?;
        let len = MESSAGE_OVERHEAD + body.len();
        out.try_reserve(frame::MAX_HEADER_LEN + len).map_err(|_| Error::NoMemory)?;
        self.last = number;
        frame::push_header(out, 0, len);
        out.extend_from_slice(MESSAGE);
        out.extend_from_slice(&number.to_be_bytes());
        let sealed = out.len();
        out.extend_from_slice(&[0; MAC_LEN]);
        out.push(inner_flags(flags));
        out.extend_from_slice(body);
        let place = out.get_mut(sealed..).and_then(<[u8]>::split_first_chunk_mut::<MAC_LEN>);
        if let Some((mac, data)) = place {
            *mac = self.key.seal(&numbered(self.prefix, number), data);
        }
        Ok(())
    }
}

/// Decrypts what the peer sends.
#[derive(Debug)]
pub struct Opener {
    key: BoxKey,
    prefix: &'static [u8; 16],
    /// Numbers up to this one were used by the peer: none of them is taken again.
    last: u64,
}

impl Opener {
    /// Takes the body of a MESSAGE and appends the frame that is in it: a header of ZMTP 3.x, with
    /// [`frame::MORE`] and [`frame::COMMAND`] as the peer set them, and the payload. Answers these
    /// flags.
    #[inline]
    pub fn open(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<u8, Malformed> {
        let (number, mac, data) = self.check(body)?;
        let payload_len = data.len().saturating_sub(1);
        let header_len = if payload_len <= 255 { 2 } else { frame::MAX_HEADER_LEN };
        let start = out.len();
        out.try_reserve(header_len + payload_len).map_err(|_| Malformed::NoMemory)?;
        out.resize(start + header_len + payload_len, 0);
        // The flags byte is decrypted to where the header's last byte goes.
        let plain = out.get_mut(start + header_len - 1..).unwrap_or_default();
        if self.key.open_to(&numbered(self.prefix, number), mac, data, plain).is_none() {
            out.truncate(start);
            return Err(undecodable());
        }
        self.last = number;
        let flags = outer_flags(plain.first().copied().unwrap_or_default());
        let (header, _) = frame::encode(flags, payload_len);
        for (place, byte) in out.iter_mut().skip(start).zip(header.iter().take(header_len)) {
            *place = *byte;
        }
        Ok(flags)
    }

    /// As [`Opener::open`], in place: afterwards the payload is what follows the first
    /// [`MESSAGE_OVERHEAD`] bytes of `body`.
    pub fn open_in_place(&mut self, body: &mut [u8]) -> Result<u8, Malformed> {
        let (number, mac, _) = self.check(body)?;
        let mac = *mac;
        let data = body.get_mut(MESSAGE_OVERHEAD - 1..).unwrap_or_default();
        let opened = self.key.open(&numbered(self.prefix, number), &mac, data);
        opened.ok_or_else(undecodable)?;
        self.last = number;
        Ok(outer_flags(data.first().copied().unwrap_or_default()))
    }

    /// Number, authenticator and encrypted data of a MESSAGE, data being at least the flags byte.
    #[inline]
    fn check<'a>(&self, body: &'a [u8]) -> Result<(u64, &'a [u8; MAC_LEN], &'a [u8]), Malformed> {
        let refused = |code: i32| Malformed::Refused(code as u32);
        let rest = body
            .strip_prefix(MESSAGE)
            .ok_or(refused(c::ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND))?;
        let parts = rest.split_first_chunk::<8>().and_then(|(number, rest)| {
            let (mac, data) = rest.split_first_chunk::<MAC_LEN>()?;
            (!data.is_empty()).then_some((u64::from_be_bytes(*number), mac, data))
        });
        let (number, mac, data) =
            parts.ok_or(refused(c::ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_MESSAGE))?;
        if number <= self.last {
            return Err(refused(c::ZMQ_PROTOCOL_ERROR_ZMTP_INVALID_SEQUENCE));
        }
        Ok((number, mac, data))
    }
}

fn undecodable() -> Malformed {
    Malformed::Refused(c::ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC as u32)
}

#[inline]
fn inner_flags(flags: u8) -> u8 {
    let more = if flags & frame::MORE != 0 { MORE } else { 0 };
    more | if flags & frame::COMMAND != 0 { COMMAND } else { 0 }
}

#[inline]
fn outer_flags(flags: u8) -> u8 {
    let more = if flags & MORE != 0 { frame::MORE } else { 0 };
    more | if flags & COMMAND != 0 { frame::COMMAND } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::super::super::crypto::Random;
    use super::*;

    fn ends() -> [Traffic; 2] {
        let key = BoxKey::generate(Random::of_system()).unwrap();
        [Traffic::new(Role::Client, key.clone(), 2, 1), Traffic::new(Role::Server, key, 1, 2)]
    }

    fn sealed(from: &mut Traffic, flags: u8, body: &[u8]) -> Vec<u8> {
        let mut wire = Vec::new();
        from.sealer.seal(flags, body, &mut wire).unwrap();
        let header = frame::parse(&wire).unwrap();
        assert_eq!((header.flags & !frame::LONG, header.frame_len()), (0, Some(wire.len())));
        wire.split_off(header.header_len)
    }

    fn refused(code: i32) -> Malformed {
        Malformed::Refused(code as u32)
    }

    #[test]
    fn sizes_numbers_and_flags() {
        let [mut client, mut server] = ends();
        for (n, size) in [0, 1, 222, 223, 255, 256, 70_000].into_iter().enumerate() {
            let body = vec![n as u8; size];
            let message = sealed(&mut client, 0, &body);
            assert_eq!(message.len(), 33 + size);
            assert_eq!(message[..8], *b"\x07MESSAGE");
            assert_eq!(message[8..16], (3 + n as u64).to_be_bytes());
            let mut plain = b"before".to_vec();
            assert_eq!(server.opener.open(&message, &mut plain), Ok(0));
            let mut expected = b"before".to_vec();
            frame::push(&mut expected, 0, &body);
            assert_eq!(plain, expected);
        }
        for flags in [frame::MORE, frame::COMMAND, frame::MORE | frame::COMMAND] {
            let mut message = sealed(&mut server, flags, b"x");
            assert_eq!(client.opener.open_in_place(&mut message), Ok(flags));
            assert_eq!(message[MESSAGE_OVERHEAD..], *b"x");
        }
    }

    #[test]
    fn no_number_is_taken_twice() {
        let [mut client, mut server] = ends();
        let messages = [(); 3].map(|()| sealed(&mut client, 0, b"pay"));
        let again = Err(refused(c::ZMQ_PROTOCOL_ERROR_ZMTP_INVALID_SEQUENCE));
        let mut plain = Vec::new();
        assert_eq!(server.opener.open(&messages[1], &mut plain), Ok(0), "gaps are allowed");
        assert_eq!(server.opener.open(&messages[1], &mut plain), again);
        assert_eq!(server.opener.open(&messages[0], &mut plain), again);
        assert_eq!(server.opener.open_in_place(&mut messages[0].clone()), again);
        assert_eq!(server.opener.open(&messages[2], &mut plain), Ok(0));
        assert_eq!(plain, b"\0\x03pay\0\x03pay");
        // Nor one that was used in the handshake.
        let [mut early, _] = ends();
        early.sealer.last = 1;
        let [_, mut server] = ends();
        assert_eq!(server.opener.open(&sealed(&mut early, 0, b""), &mut plain), again);
    }

    #[test]
    fn a_failed_number_is_not_used_up() {
        let [mut client, mut server] = ends();
        let good = sealed(&mut client, 0, b"pay");
        let mut bad = good.clone();
        bad[40 - 7] ^= 1;
        bad[8..16].copy_from_slice(&u64::MAX.to_be_bytes());
        let undecodable = Err(refused(c::ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC));
        let mut plain = Vec::new();
        assert_eq!(server.opener.open(&bad, &mut plain), undecodable);
        assert_eq!(server.opener.open_in_place(&mut bad), undecodable);
        assert!(plain.is_empty());
        assert_eq!(server.opener.open(&good, &mut plain), Ok(0));
    }

    #[test]
    fn malformed_messages() {
        let [mut client, mut server] = ends();
        let message = sealed(&mut client, 0, b"");
        let mut plain = Vec::new();
        let mut open = |bytes: &[u8]| server.opener.open(bytes, &mut plain).unwrap_err();
        let unexpected = refused(c::ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND);
        let short = refused(c::ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_MESSAGE);
        for bytes in [&b""[..], b"\x05READY", b"hello", b"\x07MESSAGF"] {
            assert_eq!(open(bytes), unexpected);
        }
        for len in [8, 9, 16, 31, 32] {
            assert_eq!(open(&message[..len]), short, "{len}");
        }
        // Our own message come back.
        let mut echo = sealed(&mut client, 0, b"echo");
        let undecodable = refused(c::ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC);
        assert_eq!(client.opener.open_in_place(&mut echo), Err(undecodable));
    }

    #[test]
    fn numbers_end_before_they_begin_anew() {
        let [mut client, _] = ends();
        client.sealer.last = u64::MAX - 1;
        let mut wire = Vec::new();
        assert_eq!(client.sealer.seal(0, b"last", &mut wire), Ok(()));
        let len = wire.len();
        assert_eq!(client.sealer.seal(0, b"one more", &mut wire), Err(Error::NotSupported));
        assert_eq!(wire.len(), len);
    }
}
