//! The commands of ZMTP 3.x: their bodies as read, and whole frames as written.
//!
//! A body is a 1-byte name length, the name, and data whose layout the name decides. What a command
//! brings about is for the connection and the handshake to say.

use super::Protocol;
use super::frame;

/// The longest context a PONG gives back.
pub const MAX_CONTEXT_LEN: usize = 16;

/// A command's body, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// A heartbeat that wants a [`push_pong`] with the same context.
    Ping {
        /// How long the sender may stay silent, in tenths of a second; 0: for ever.
        ttl_tenths: u16,
        /// What the answer is to contain.
        context: &'a [u8],
    },
    /// The answer to a heartbeat.
    Pong,
    /// Interest in a topic.
    Subscribe(&'a [u8]),
    /// The end of interest in a topic.
    Cancel(&'a [u8]),
    /// Membership of a group.
    Join(&'a [u8]),
    /// The end of membership of a group.
    Leave(&'a [u8]),
    /// The end of a handshake: a list of properties.
    Ready(&'a [u8]),
    /// A refusal: the reason field, length byte included (see [`error_reason`]).
    Error(&'a [u8]),
    /// A well-formed command of another name.
    Other,
    /// No name, a name longer than the body, or a PING without its two bytes.
    Malformed,
}

/// Takes a command's body apart.
pub fn parse(body: &[u8]) -> Command<'_> {
    let Some((name, data)) = split_name(body) else {
        return Command::Malformed;
    };
    match name {
        b"PING" => match data.split_first_chunk::<2>() {
            Some((ttl, context)) => Command::Ping { ttl_tenths: u16::from_be_bytes(*ttl), context },
            None => Command::Malformed,
        },
        b"PONG" => Command::Pong,
        b"SUBSCRIBE" => Command::Subscribe(data),
        b"CANCEL" => Command::Cancel(data),
        b"JOIN" => Command::Join(data),
        b"LEAVE" => Command::Leave(data),
        b"READY" => Command::Ready(data),
        b"ERROR" => Command::Error(data),
        b"" => Command::Malformed,
        _ => Command::Other,
    }
}

/// The reason inside an ERROR's data; `None` when its length byte is missing or counts more than
/// there is.
pub fn error_reason(field: &[u8]) -> Option<&[u8]> {
    split_name(field).map(|(reason, _)| reason)
}

/// Appends a PING; it carries no context.
pub fn push_ping(out: &mut Vec<u8>, ttl_tenths: u16) {
    let [high, low] = ttl_tenths.to_be_bytes();
    push(out, b"\x04PING", &[high, low]);
}

/// Appends a PONG with the context of the PING it answers, cut at [`MAX_CONTEXT_LEN`].
pub fn push_pong(out: &mut Vec<u8>, context: &[u8]) {
    push(out, b"\x04PONG", context.get(..MAX_CONTEXT_LEN).unwrap_or(context));
}

/// Appends a subscription, or its end, in the form the peer's dialect understands: a command from
/// 3.1 on, before that a message whose first byte is 1 or 0.
pub fn push_subscription(out: &mut Vec<u8>, protocol: Protocol, subscribe: bool, topic: &[u8]) {
    if protocol.has_subscribe_command() {
        push(out, if subscribe { b"\x09SUBSCRIBE" } else { b"\x06CANCEL" }, topic);
    } else {
        out.reserve(frame::MAX_HEADER_LEN + 2 + topic.len());
        protocol.push_header(out, 0, 1 + topic.len());
        out.push(u8::from(subscribe));
        out.extend_from_slice(topic);
    }
}

/// Appends a JOIN.
pub fn push_join(out: &mut Vec<u8>, group: &[u8]) {
    push(out, b"\x04JOIN", group);
}

/// Appends a LEAVE.
pub fn push_leave(out: &mut Vec<u8>, group: &[u8]) {
    push(out, b"\x05LEAVE", group);
}

/// Appends an ERROR; a reason beyond 255 bytes is cut.
pub fn push_error(out: &mut Vec<u8>, reason: &[u8]) {
    let reason = reason.get(..255).unwrap_or(reason);
    let body_len = 7 + reason.len();
    frame::push_header(out, frame::COMMAND, body_len);
    out.extend_from_slice(b"\x05ERROR");
    out.push(reason.len() as u8);
    out.extend_from_slice(reason);
}

/// Appends a command frame; `name` comes with its length byte.
fn push(out: &mut Vec<u8>, name: &[u8], data: &[u8]) {
    let body_len = name.len() + data.len();
    out.reserve(frame::MAX_HEADER_LEN + body_len);
    frame::push_header(out, frame::COMMAND, body_len);
    out.extend_from_slice(name);
    out.extend_from_slice(data);
}

/// Splits what follows a length byte; `None` when it counts more than there is.
fn split_name(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&len, rest) = body.split_first()?;
    rest.split_at_checked(usize::from(len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const V3_1: Protocol = Protocol::V3 { minor: 1 };
    const OLD: [Protocol; 4] = [
        Protocol::V3 { minor: 0 },
        Protocol::V2,
        Protocol::V1 { unversioned: false },
        Protocol::V1 { unversioned: true },
    ];

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        out
    }

    #[test]
    fn golden_frames() {
        // A TTL option of 1234 ms.
        assert_eq!(written(|out| push_ping(out, 12)), b"\x04\x07\x04PING\0\x0C");
        assert_eq!(written(|out| push_pong(out, b"")), b"\x04\x05\x04PONG");
        let long = b"0123456789abcdefXYZ";
        assert_eq!(written(|out| push_pong(out, long)), b"\x04\x15\x04PONG0123456789abcdef");
        assert_eq!(written(|out| push_join(out, b"g")), b"\x04\x06\x04JOINg");
        assert_eq!(written(|out| push_leave(out, b"g")), b"\x04\x07\x05LEAVEg");
        assert_eq!(written(|out| push_error(out, b"400")), b"\x04\x0A\x05ERROR\x03400");
        let cut = written(|out| push_error(out, &[b'x'; 300]));
        assert_eq!(cut[..17], *b"\x06\0\0\0\0\0\0\x01\x06\x05ERROR\xFFx");
        assert_eq!(cut.len(), 9 + 7 + 255);
    }

    #[test]
    fn subscriptions_follow_the_dialect() {
        let on =
            |protocol, topic: &[u8]| written(|out| push_subscription(out, protocol, true, topic));
        let off =
            |protocol, topic: &[u8]| written(|out| push_subscription(out, protocol, false, topic));
        assert_eq!(on(V3_1, b"ab"), b"\x04\x0C\x09SUBSCRIBEab");
        assert_eq!(off(V3_1, b"ab"), b"\x04\x09\x06CANCELab");
        for protocol in &OLD[..2] {
            assert_eq!(on(*protocol, b"ab"), b"\0\x03\x01ab");
            assert_eq!(off(*protocol, b""), b"\0\x01\0");
        }
        for protocol in &OLD[2..] {
            assert_eq!(on(*protocol, b"ab"), b"\x04\0\x01ab");
            assert_eq!(off(*protocol, b""), b"\x02\0\0");
        }
    }

    #[test]
    fn long_topics_take_the_long_form() {
        for len in 240..260 {
            let topic = vec![b't'; len];
            for protocol in [V3_1, OLD[0], OLD[1], OLD[2]] {
                for subscribe in [true, false] {
                    let frame = written(|out| push_subscription(out, protocol, subscribe, &topic));
                    let header = protocol.parse(&frame).unwrap();
                    assert_eq!(header.frame_len(), Some(frame.len()));
                    assert!(frame.ends_with(&topic));
                }
            }
        }
    }

    #[test]
    fn bodies_are_taken_apart() {
        let table: &[(&[u8], Command<'_>)] = &[
            (b"\x04PING\x02\xBC", Command::Ping { ttl_tenths: 700, context: b"" }),
            (b"\x04PING\0\0ctx", Command::Ping { ttl_tenths: 0, context: b"ctx" }),
            (b"\x04PING\0", Command::Malformed),
            (b"\x04PING", Command::Malformed),
            (b"\x04PONGx", Command::Pong),
            (b"\x09SUBSCRIBE", Command::Subscribe(b"")),
            (b"\x09SUBSCRIBEtopic", Command::Subscribe(b"topic")),
            (b"\x06CANCEL\0", Command::Cancel(b"\0")),
            (b"\x04JOINg", Command::Join(b"g")),
            (b"\x05LEAVEg", Command::Leave(b"g")),
            (b"\x05READYabc", Command::Ready(b"abc")),
            (b"\x05ERROR\x03400", Command::Error(b"\x03400")),
            (b"\x05ERROR", Command::Error(b"")),
            (b"\x04ping\0\0", Command::Other),
            (b"\x05PINGX\0\0", Command::Other),
            (b"\x05HELLO", Command::Other),
            (b"\x05PING", Command::Malformed),
            (b"\xFFPING", Command::Malformed),
            (b"\0PING", Command::Malformed),
            (b"", Command::Malformed),
        ];
        for (body, expected) in table {
            assert_eq!(parse(body), *expected, "{body:x?}");
        }
        assert_eq!(error_reason(b"\x03400"), Some(&b"400"[..]));
        assert_eq!(error_reason(b"\x03400more"), Some(&b"400"[..]));
        assert_eq!(error_reason(b"\0"), Some(&b""[..]));
        assert_eq!(error_reason(b"\x0440"), None);
        assert_eq!(error_reason(b""), None);
    }

    proptest! {
        #[test]
        fn garbage_does_not_panic(body in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Command::Error(field) = parse(&body) {
                error_reason(field);
            }
        }
    }
}
