//! A connected byte stream: one closed enum, so the hot path has no virtual call.

use std::io::{self, IoSlice, Read};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;

use socket2::SockRef;

/// A connection's descriptor: non-blocking, close-on-exec, closed on drop.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix domain socket.
    Ipc(UnixStream),
}

impl Stream {
    /// Receives into `buffer` with one system call; 0 is the end of the stream.
    #[inline]
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        // Through socket2 both kinds use recv(2), which is cheaper on sockets than read(2).
        (&*self.socket()).read(buffer)
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
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Ipc(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    /// Fetches and clears the error the kernel keeps for this descriptor.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket().take_error()
    }

    /// Whether this is a TCP stream.
    #[inline]
    pub fn is_tcp(&self) -> bool {
        matches!(self, Stream::Tcp(_))
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
            Stream::Tcp(stream) => SockRef::from(stream),
            Stream::Ipc(stream) => SockRef::from(stream),
        }
    }
}

impl AsFd for Stream {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Ipc(stream) => stream.as_fd(),
        }
    }
}

impl AsRawFd for Stream {
    #[inline]
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Stream::Tcp(stream) => stream.as_raw_fd(),
            Stream::Ipc(stream) => stream.as_raw_fd(),
        }
    }
}
