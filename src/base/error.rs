//! One error enum and its errno table.

use std::io;

/// Codes of ZeroMQ's own start here (`ZMQ_HAUSNUMERO` of zmq.h).
const HAUSNUMERO: i32 = 156_384_712;

/// Why a call failed; [`Error::errno`] is what the C caller sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing to receive, or no room to send, within the time allowed.
    #[error("resource temporarily unavailable")]
    Again,
    /// The context was shut down or terminated.
    #[error("context was terminated")]
    Term,
    /// The operation does not fit the socket's state (REQ/REP lock step).
    #[error("operation cannot be accomplished in current state")]
    Fsm,
    /// The transport cannot carry this socket type.
    #[error("the protocol is not compatible with the socket type")]
    NoCompatProto,
    /// No I/O thread is available.
    #[error("no thread available")]
    NoThread,
    /// A malformed argument.
    #[error("invalid argument")]
    Invalid,
    /// The operation does not exist for this socket type, or is not built.
    #[error("operation not supported")]
    NotSupported,
    /// The handle is no open socket.
    #[error("not a socket")]
    NotSocket,
    /// The handle or pointer is not usable.
    #[error("bad address")]
    Fault,
    /// A signal interrupted the wait.
    #[error("interrupted")]
    Interrupted,
    /// Every socket slot or descriptor is in use.
    #[error("too many open sockets")]
    TooManyOpen,
    /// Memory is exhausted.
    #[error("out of memory")]
    NoMemory,
    /// The address is taken.
    #[error("address in use")]
    AddrInUse,
    /// The host or interface does not exist here.
    #[error("no such device")]
    NoDevice,
    /// The endpoint's protocol is unknown or not built.
    #[error("protocol not supported")]
    ProtoNotSupported,
    /// The path is too long for its transport.
    #[error("name too long")]
    NameTooLong,
    /// No such endpoint, file or entry.
    #[error("no such entry")]
    NoEntry,
    /// No route to the peer that was asked for.
    #[error("host unreachable")]
    HostUnreachable,
    /// Any other code of the operating system.
    #[error("os error {0}")]
    Os(i32),
}

impl Error {
    /// The errno of this error, as `zmq_errno` reports it.
    pub fn errno(self) -> i32 {
        match self {
            Error::Again => libc::EAGAIN,
            Error::Term => HAUSNUMERO + 53,
            Error::Fsm => HAUSNUMERO + 51,
            Error::NoCompatProto => HAUSNUMERO + 52,
            Error::NoThread => HAUSNUMERO + 54,
            Error::Invalid => libc::EINVAL,
            Error::NotSupported => libc::ENOTSUP,
            Error::NotSocket => libc::ENOTSOCK,
            Error::Fault => libc::EFAULT,
            Error::Interrupted => libc::EINTR,
            Error::TooManyOpen => libc::EMFILE,
            Error::NoMemory => libc::ENOMEM,
            Error::AddrInUse => libc::EADDRINUSE,
            Error::NoDevice => libc::ENODEV,
            Error::ProtoNotSupported => libc::EPROTONOSUPPORT,
            Error::NameTooLong => libc::ENAMETOOLONG,
            Error::NoEntry => libc::ENOENT,
            Error::HostUnreachable => libc::EHOSTUNREACH,
            Error::Os(code) => code,
        }
    }

    /// The error for an errno of the operating system.
    pub fn from_errno(code: i32) -> Error {
        match code {
            libc::EAGAIN => Error::Again,
            libc::EINVAL => Error::Invalid,
            libc::ENOTSUP => Error::NotSupported,
            libc::EINTR => Error::Interrupted,
            libc::EMFILE => Error::TooManyOpen,
            libc::ENOMEM => Error::NoMemory,
            libc::EADDRINUSE => Error::AddrInUse,
            libc::ENODEV => Error::NoDevice,
            libc::EPROTONOSUPPORT => Error::ProtoNotSupported,
            libc::ENAMETOOLONG => Error::NameTooLong,
            libc::ENOENT => Error::NoEntry,
            libc::EHOSTUNREACH => Error::HostUnreachable,
            other => Error::Os(other),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        match error.raw_os_error() {
            Some(code) => Error::from_errno(code),
            None if error.kind() == io::ErrorKind::WouldBlock => Error::Again,
            None if error.kind() == io::ErrorKind::OutOfMemory => Error::NoMemory,
            None => Error::Os(libc::EIO),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_codes_follow_zmq_h() {
        assert_eq!(Error::Fsm.errno(), 156_384_763);
        assert_eq!(Error::NoCompatProto.errno(), 156_384_764);
        assert_eq!(Error::Term.errno(), 156_384_765);
        assert_eq!(Error::NoThread.errno(), 156_384_766);
    }

    #[test]
    fn every_errno_survives_the_round_trip() {
        for code in 1..134 {
            assert_eq!(Error::from_errno(code).errno(), code);
        }
    }
}
