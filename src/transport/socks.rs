//! The client's side of SOCKS5 (RFC 1928, RFC 1929). Bytes in, bytes out: no descriptor, no name
//! resolution; the proxy gets the host as typed.
#![forbid(unsafe_code)]

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use zeroize::Zeroizing;

const VERSION: u8 = 5;
const LOGIN_VERSION: u8 = 1;
const NO_LOGIN: u8 = 0;
const USER_PASSWORD: u8 = 2;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const DOMAIN: u8 = 3;
const IPV6: u8 = 4;

/// The longest log-in, with a method and a request before and after it.
const MOST_OUTPUT: usize = 3 + (3 + 2 * 255) + (4 + 1 + 255 + 2);

/// A dialogue with a proxy, from the established connection to the moment it is the peer's.
pub struct Socks {
    host: String,
    port: u16,
    username: Vec<u8>,
    password: Zeroizing<Vec<u8>>,
    stage: Stage,
    /// The bytes of the reply that has not come completely; bounded by the longest reply.
    reply: Vec<u8>,
}

impl fmt::Debug for Socks {
    /// Without what it logs in with.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socks").field("stage", &self.stage).finish_non_exhaustive()
    }
}

/// Which reply is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Method,
    Login,
    Connect,
    Done,
}

/// How far the dialogue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All input is used up; the proxy has more to say.
    NeedMore,
    /// The connection is the peer's. Input after this many bytes is already the peer's.
    Done {
        /// How much of the input belonged to the dialogue.
        consumed: usize,
    },
}

/// Why the dialogue failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SocksError {
    /// The proxy speaks something else.
    #[error("not a SOCKS5 reply")]
    Malformed,
    /// The proxy wants a way to log in that was not offered.
    #[error("no acceptable way to log in")]
    NoMethod,
    /// User name or password are wrong.
    #[error("log-in refused")]
    LoginRefused,
    /// The proxy cannot or will not connect; its reply code.
    #[error("connection refused by the proxy with code {0}")]
    Refused(u8),
    /// Host, user name or password exceed 255 bytes.
    #[error("text too long for the protocol")]
    TooLong,
}

impl Socks {
    /// A dialogue asking for a connection to `host` (numeric or a name, without brackets).
    pub fn new(host: &str, port: u16, username: &[u8], password: &[u8]) -> Socks {
        Socks {
            host: host.to_owned(),
            port,
            username: username.to_vec(),
            password: Zeroizing::new(password.to_vec()),
            stage: Stage::Method,
            reply: Vec::new(),
        }
    }

    /// Appends what to send as soon as the connection to the proxy stands.
    pub fn start(&mut self, output: &mut Vec<u8>) {
        // All that is ever appended fits: a buffer that grew would leave the password where it was.
        output.reserve(MOST_OUTPUT);
        let method = if self.username.is_empty() { NO_LOGIN } else { USER_PASSWORD };
        output.extend([VERSION, 1, method]);
    }

    /// Takes what the proxy sent, in any pieces, and appends what to send next.
    pub fn input(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> Result<Progress, SocksError> {
        for (index, byte) in bytes.iter().enumerate() {
            if self.stage == Stage::Done {
                return Ok(Progress::Done { consumed: index });
            }
            self.reply.push(*byte);
            if self.is_complete()? {
                self.advance(output)?;
                self.reply.clear();
            }
        }
        if self.stage == Stage::Done {
            return Ok(Progress::Done { consumed: bytes.len() });
        }
        Ok(Progress::NeedMore)
    }

    /// Whether the reply that is due has come completely; wrong bytes are told as they come.
    fn is_complete(&self) -> Result<bool, SocksError> {
        let version = match self.stage {
            Stage::Login => LOGIN_VERSION,
            _ => VERSION,
        };
        if self.reply.first().is_some_and(|first| *first != version) {
            return Err(SocksError::Malformed);
        }
        if self.stage != Stage::Connect {
            return Ok(self.reply.len() == 2);
        }
        if let Some(code @ 1..) = self.reply.get(1) {
            return Err(SocksError::Refused(*code));
        }
        let address = match (self.reply.get(3), self.reply.get(4)) {
            (None, _) => return Ok(false),
            (Some(&IPV4), _) => 4,
            (Some(&IPV6), _) => 16,
            (Some(&DOMAIN), None) => return Ok(false),
            (Some(&DOMAIN), Some(length)) => 1 + usize::from(*length),
            _ => return Err(SocksError::Malformed),
        };
        Ok(self.reply.len() == 4 + address + 2)
    }

    /// Acts on a complete reply.
    fn advance(&mut self, output: &mut Vec<u8>) -> Result<(), SocksError> {
        let code = self.reply.get(1).copied();
        self.stage = match (self.stage, code) {
            (Stage::Method, Some(NO_LOGIN)) => self.request(output)?,
            // Also obeyed when it was not offered: some proxies insist, with empty texts.
            (Stage::Method, Some(USER_PASSWORD)) => self.log_in(output)?,
            (Stage::Method, _) => return Err(SocksError::NoMethod),
            (Stage::Login, Some(0)) => self.request(output)?,
            (Stage::Login, _) => return Err(SocksError::LoginRefused),
            (Stage::Connect | Stage::Done, _) => Stage::Done,
        };
        Ok(())
    }

    fn log_in(&self, output: &mut Vec<u8>) -> Result<Stage, SocksError> {
        output.push(LOGIN_VERSION);
        push_text(output, &self.username)?;
        push_text(output, &self.password)?;
        Ok(Stage::Login)
    }

    fn request(&self, output: &mut Vec<u8>) -> Result<Stage, SocksError> {
        output.extend([VERSION, CONNECT, 0]);
        if let Ok(ip) = self.host.parse::<Ipv4Addr>() {
            output.push(IPV4);
            output.extend(ip.octets());
        } else if let Ok(ip) = self.host.parse::<Ipv6Addr>() {
            output.push(IPV6);
            output.extend(ip.octets());
        } else {
            output.push(DOMAIN);
            push_text(output, self.host.as_bytes())?;
        }
        output.extend(self.port.to_be_bytes());
        Ok(Stage::Connect)
    }
}

/// A text behind its one-byte length.
fn push_text(output: &mut Vec<u8>, text: &[u8]) -> Result<(), SocksError> {
    output.push(u8::try_from(text.len()).map_err(|_| SocksError::TooLong)?);
    output.extend_from_slice(text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `replies` in pieces of `size` bytes; gives all that was sent and what was left over.
    fn converse(
        socks: &mut Socks,
        replies: &[u8],
        size: usize,
    ) -> Result<(Vec<u8>, Option<usize>), SocksError> {
        let mut output = Vec::new();
        socks.start(&mut output);
        let mut read = 0;
        for piece in replies.chunks(size) {
            match socks.input(piece, &mut output)? {
                Progress::NeedMore => read += piece.len(),
                Progress::Done { consumed } => {
                    let left = replies.len() - read - consumed;
                    return Ok((output, Some(left)));
                }
            }
        }
        Ok((output, None))
    }

    /// The same result however the replies are cut.
    fn whole(
        host: &str,
        login: (&str, &str),
        replies: &[u8],
    ) -> Result<(Vec<u8>, Option<usize>), SocksError> {
        let run = |size| {
            let mut socks = Socks::new(host, 0x1234, login.0.as_bytes(), login.1.as_bytes());
            converse(&mut socks, replies, size)
        };
        let expected = run(replies.len().max(1));
        for size in 1..replies.len() {
            let (left, right) = (run(size), &expected);
            // Pieces end where the peer's bytes begin, so only the sent bytes are comparable
            // between cuts, and that the dialogue ended.
            match (left, right) {
                (Ok((sent, end)), Ok((all, whole_end))) => {
                    assert_eq!(&sent, all);
                    assert_eq!(end, *whole_end);
                }
                (left, right) => assert_eq!(&left, right),
            }
        }
        expected
    }

    #[test]
    fn plain_requests() {
        let reply = [5, 0, 5, 0, 0, 1, 9, 9, 9, 9, 8, 8];
        for (host, request) in [
            ("127.0.0.1", [&[1u8][..], &[127, 0, 0, 1]].concat()),
            ("example", [&[3u8, 7][..], b"example"].concat()),
            ("::1", [&[4u8][..], &[0; 15], &[1]].concat()),
        ] {
            let expected = [&[5, 1, 0][..], &[5, 1, 0], &request, &[0x12, 0x34]].concat();
            assert_eq!(whole(host, ("", ""), &reply), Ok((expected, Some(0))), "{host}");
        }
    }

    #[test]
    fn log_in() {
        let reply = [5, 2, 1, 0, 5, 0, 0, 3, 2, b'x', b'y', 8, 8];
        let (sent, left) = whole("h", ("me", "secret"), &reply).unwrap();
        let expected =
            [&[5, 1, 2][..], &[1, 2], b"me", &[6], b"secret", &[5, 1, 0, 3, 1, b'h', 0x12, 0x34]];
        assert_eq!((sent, left), (expected.concat(), Some(0)));
        // A password without a user offers nothing, yet a proxy may insist.
        let (sent, _) = whole("h", ("", ""), &reply).unwrap();
        assert_eq!(sent, [5, 1, 0, 1, 0, 0, 5, 1, 0, 3, 1, b'h', 0x12, 0x34]);
        // An empty password is one.
        let (sent, _) = whole("h", ("me", ""), &reply).unwrap();
        assert_eq!(sent[3..8], [1, 2, b'm', b'e', 0]);
    }

    #[test]
    fn what_follows_is_the_peers() {
        let mut reply = vec![5, 0, 5, 0, 0, 4];
        reply.extend([0; 18]);
        reply.extend(b"greeting");
        assert_eq!(whole("h", ("", ""), &reply).unwrap().1, Some(8));
        // Asked again, it takes nothing more.
        let mut socks = Socks::new("h", 1, b"", b"");
        converse(&mut socks, &reply, reply.len()).unwrap();
        let again = socks.input(b"more", &mut Vec::new());
        assert_eq!(again, Ok(Progress::Done { consumed: 0 }));
    }

    #[test]
    fn incomplete_replies_wait() {
        let reply = [5, 0, 5, 0, 0, 3, 255, 1, 2, 3];
        assert_eq!(whole("h", ("", ""), &reply).unwrap().1, None);
    }

    #[test]
    fn failures() {
        for (replies, error) in [
            (&[4u8, 0][..], SocksError::Malformed),
            (&[5, 255], SocksError::NoMethod),
            (&[5, 1], SocksError::NoMethod),
            (&[5, 2, 5], SocksError::Malformed),
            (&[5, 2, 1, 1], SocksError::LoginRefused),
            (&[5, 0, 4], SocksError::Malformed),
            (&[5, 0, 5, 5], SocksError::Refused(5)),
            (&[5, 0, 5, 0, 0, 9], SocksError::Malformed),
        ] {
            // The type of address is judged once its first byte could be there.
            let mut bytes = replies.to_vec();
            bytes.push(0);
            assert_eq!(whole("h", ("", ""), &bytes), Err(error), "{replies:?}");
        }
        let long = "h".repeat(256);
        assert_eq!(whole(&long, ("", ""), &[5, 0]), Err(SocksError::TooLong));
        assert_eq!(whole("h", (&long, ""), &[5, 2]), Err(SocksError::TooLong));
        assert!(whole(&long[1..], ("", ""), &[5, 0]).is_ok());
    }
}
