//! A connected byte stream: one closed enum, so the hot path has no virtual call.

use std::io::{self, IoSlice, Read};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;

use socket2::SockRef;

use super::Scheme;
use crate::sys::receive_append;

/// A connection's descriptor: non-blocking, close-on-exec, closed on drop.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix domain socket.
    Ipc(UnixStream),
    /// Over TCP, for WebSocket.
    Ws(TcpStream),
}

impl Stream {
    /// Receives into `buffer` with one system call; 0 is the end of the stream.
    #[inline]
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        // Through socket2 both kinds use recv(2), which is cheaper on sockets than read(2).
        (&*self.socket()).read(buffer)
    }

    /// Receives into the spare capacity of `buffer`, which grows by what came; 0 is the end of the stream.
    #[inline]
    pub fn receive(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        receive_append(self, buffer)
    }

    /// Gets a fresh stream to where bytes can go over it; false while the peer has to say something first.
    #[inline]
    pub fn secure(&self) -> io::Result<bool> {
        Ok(true)
    }

    /// Whether to wait for room in the kernel, if something of the caller's waits to be written.
    #[inline]
    pub fn wants_room(&self, waiting: bool) -> bool {
        waiting
    }

    /// Sends from `bytes` with one system call, never raising SIGPIPE.
    #[inline]
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.socket().send_with_flags(bytes, libc::MSG_NOSIGNAL)
    }

    /// Sends from several buffers with one system call, never raising SIGPIPE.
    #[inline]
    pub fn write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket().send_vectored_with_flags(buffers, libc::MSG_NOSIGNAL)
    }

    /// Tells the peer that nothing more will come.
    pub fn shutdown_write(&self) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) | Stream::Ws(stream) => stream.shutdown(Shutdown::Write),
            Stream::Ipc(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    /// Fetches and clears the error the kernel keeps for this descriptor.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket().take_error()
    }

    /// Whether the other end speaks WebSocket.
    #[inline]
    pub fn is_web(&self) -> bool {
        matches!(self, Stream::Ws(_))
    }

    /// The TCP connection below.
    pub(super) fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Stream::Tcp(stream) | Stream::Ws(stream) => Some(stream),
            Stream::Ipc(_) => None,
        }
    }

    /// What stands before its addresses.
    pub(super) fn scheme(&self) -> Scheme {
        match self {
            Stream::Tcp(_) => Scheme::Tcp,
            Stream::Ipc(_) => Scheme::Ipc,
            Stream::Ws(_) => Scheme::Ws,
        }
    }

    /// Two connected ends without any address, for tests and simulations.
    pub fn connected_pair() -> io::Result<(Stream, Stream)> {
        let (a, b) = UnixStream::pair()?;
        a.set_nonblocking(true)?;
        b.set_nonblocking(true)?;
        Ok((Stream::Ipc(a), Stream::Ipc(b)))
    }

    #[inline]
    pub(super) fn socket(&self) -> SockRef<'_> {
        match self {
            Stream::Tcp(stream) | Stream::Ws(stream) => SockRef::from(stream),
            Stream::Ipc(stream) => SockRef::from(stream),
        }
    }
}

impl AsFd for Stream {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(stream) | Stream::Ws(stream) => stream.as_fd(),
            Stream::Ipc(stream) => stream.as_fd(),
        }
    }
}

impl AsRawFd for Stream {
    #[inline]
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Stream::Tcp(stream) | Stream::Ws(stream) => stream.as_raw_fd(),
            Stream::Ipc(stream) => stream.as_raw_fd(),
        }
    }
}
