//! A connected byte stream: one closed enum, so the hot path has no virtual call.

use std::io::{self, IoSlice, Read};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;

use socket2::{SockRef, Socket};

use super::Scheme;
use super::tls::Tls;
use crate::sys::{receive_append, receive_at_most};

/// A connection's descriptor: non-blocking, close-on-exec, closed on drop.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix domain socket.
    Ipc(UnixStream),
    /// Over TCP, for WebSocket.
    Ws(TcpStream),
    /// Over TLS over TCP, for WebSocket.
    Wss(Box<Tls>),
    /// Over tipc, vsock or vmci.
    Kernel(Socket, Scheme),
}

impl Stream {
    /// Receives into the spare capacity of `buffer`, which grows by what came; 0 is the end of the stream.
    #[inline]
    pub fn receive(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            Stream::Wss(tls) => tls.receive(buffer),
            _ => receive_append(self, buffer),
        }
    }

    /// Whether a receive of `got` bytes, with `room` for them, has left nothing in the kernel.
    #[inline]
    pub fn is_dry(&self, got: usize, room: usize) -> bool {
        // Encrypted bytes are taken a piece at a time, and are more than what comes of them.
        got < room && !matches!(self, Stream::Wss(_))
    }

    /// Receives what may be thrown away, with one system call; 0 is the end of the stream.
    pub fn discard(&self) -> io::Result<usize> {
        let mut waste = [0; 16 * 1024];
        (&*self.socket()).read(&mut waste)
    }

    /// As [`Stream::receive`], of no more than `most` bytes.
    #[inline]
    pub fn receive_at_most(&self, buffer: &mut Vec<u8>, most: usize) -> io::Result<usize> {
        match self {
            Stream::Wss(tls) => tls.receive(buffer),
            _ => receive_at_most(self, buffer, most),
        }
    }

    /// Gets a fresh stream to where bytes can go over it; false while the peer has to say something first.
    #[inline]
    pub fn secure(&self) -> io::Result<bool> {
        match self {
            Stream::Wss(tls) => tls.secure(),
            _ => Ok(true),
        }
    }

    /// Whether to wait for room in the kernel, if something of the caller's waits to be written.
    #[inline]
    pub fn wants_room(&self, waiting: bool) -> bool {
        match self {
            Stream::Wss(tls) => tls.wants_room(waiting),
            _ => waiting,
        }
    }

    /// Sends from `bytes`, never raising SIGPIPE. What was not taken has to come again at the start of the
    /// next call's.
    #[inline]
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Wss(tls) => tls.write(bytes),
            _ => self.socket().send_with_flags(bytes, libc::MSG_NOSIGNAL),
        }
    }

    /// As [`Stream::write`], from several buffers.
    #[inline]
    pub fn write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Stream::Wss(tls) => tls.write_vectored(buffers),
            _ => self.socket().send_vectored_with_flags(buffers, libc::MSG_NOSIGNAL),
        }
    }

    /// Where both ends are on this machine: lets as much lie in the kernel on its way as bulk needs, and no more. With
    /// little the ends wait for each other; what goes through the processor's cache takes half the time of what goes
    /// through memory. And there is no congestion, but the congestion control may pace what is sent all the same: bbr
    /// does, with a timer for each piece, by what it measured when one of the ends slept.
    pub fn fit_bulk(&self) {
        /// The kernel takes twice this, of which its own structures are a small part.
        const BULK: usize = 320 * 1024;
        let near = match self {
            Stream::Ipc(_) => true,
            _ => self.tcp().is_some_and(|stream| match (stream.local_addr(), stream.peer_addr()) {
                (Ok(own), Ok(peer)) => {
                    own.ip() == peer.ip() || peer.ip().to_canonical().is_loopback()
                }
                _ => false,
            }),
        };
        if near {
            let socket = self.socket();
            // It is as good as before if the kernel refuses.
            let _refused = socket.set_send_buffer_size(BULK);
            if socket.tcp_congestion().is_ok_and(|name| name.starts_with(b"bbr")) {
                let _refused = socket.set_tcp_congestion(b"reno");
            }
        }
    }

    /// Tells the peer that nothing more will come.
    pub fn shutdown_write(&self) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) | Stream::Ws(stream) => stream.shutdown(Shutdown::Write),
            Stream::Ipc(stream) => stream.shutdown(Shutdown::Write),
            Stream::Wss(tls) => tls.shutdown_write(),
            Stream::Kernel(socket, _) => socket.shutdown(Shutdown::Write),
        }
    }

    /// Ends both directions at once, for whoever else holds this stream.
    pub fn cut(&self) -> io::Result<()> {
        self.socket().shutdown(Shutdown::Both)
    }

    /// Fetches and clears the error the kernel keeps for this descriptor.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket().take_error()
    }

    /// Whether the other end speaks WebSocket.
    #[inline]
    pub fn is_web(&self) -> bool {
        matches!(self, Stream::Ws(_) | Stream::Wss(_))
    }

    /// The TCP connection below.
    pub(super) fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Stream::Tcp(stream) | Stream::Ws(stream) => Some(stream),
            Stream::Wss(tls) => Some(tls.tcp()),
            Stream::Ipc(_) | Stream::Kernel(..) => None,
        }
    }

    /// What stands before its addresses.
    pub(super) fn scheme(&self) -> Scheme {
        match self {
            Stream::Tcp(_) => Scheme::Tcp,
            Stream::Ipc(_) => Scheme::Ipc,
            Stream::Ws(_) => Scheme::Ws,
            Stream::Wss(_) => Scheme::Wss,
            Stream::Kernel(_, scheme) => *scheme,
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
            Stream::Wss(tls) => SockRef::from(tls.tcp()),
            Stream::Kernel(socket, _) => SockRef::from(socket),
        }
    }
}

impl AsFd for Stream {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(stream) | Stream::Ws(stream) => stream.as_fd(),
            Stream::Ipc(stream) => stream.as_fd(),
            Stream::Wss(tls) => tls.tcp().as_fd(),
            Stream::Kernel(socket, _) => socket.as_fd(),
        }
    }
}

impl AsRawFd for Stream {
    #[inline]
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Stream::Tcp(stream) | Stream::Ws(stream) => stream.as_raw_fd(),
            Stream::Ipc(stream) => stream.as_raw_fd(),
            Stream::Wss(tls) => tls.tcp().as_raw_fd(),
            Stream::Kernel(socket, _) => socket.as_raw_fd(),
        }
    }
}
