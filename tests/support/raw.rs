//! Peers on plain sockets that say whatever a test wants, byte by byte.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use super::local::PATIENCE;

pub const MORE: u8 = 1;
pub const LONG: u8 = 2;
pub const COMMAND: u8 = 4;

/// What every versioned peer begins with.
pub const SIGNATURE: &[u8; 10] = b"\xff\0\0\0\0\0\0\0\x01\x7f";

/// A greeting of ZMTP 3.1.
pub fn greeting(mechanism: &[u8]) -> Vec<u8> {
    let mut bytes = [SIGNATURE, &b"\x03\x01"[..], mechanism].concat();
    bytes.resize(64, 0);
    bytes
}

/// A frame of ZMTP 2.0 and 3.x.
pub fn frame(flags: u8, body: &[u8]) -> Vec<u8> {
    match u8::try_from(body.len()) {
        Ok(len) => [&[flags, len], body].concat(),
        Err(_) => [&long_header(flags, body.len() as u64), body].concat(),
    }
}

/// The header of a frame of ZMTP 2.0 and 3.x, with whatever length.
pub fn long_header(flags: u8, len: u64) -> Vec<u8> {
    [&[flags | LONG], &len.to_be_bytes()[..]].concat()
}

/// A frame of ZMTP 1.0.
pub fn v1_frame(flags: u8, body: &[u8]) -> Vec<u8> {
    match u8::try_from(body.len() + 1) {
        Ok(len) if len < 255 => [&[len, flags], body].concat(),
        _ => [&v1_long_header(flags, body.len() as u64 + 1), body].concat(),
    }
}

/// The header of a frame of ZMTP 1.0; its length counts the flags byte as well.
pub fn v1_long_header(flags: u8, len: u64) -> Vec<u8> {
    [&[0xff], &len.to_be_bytes()[..], &[flags]].concat()
}

/// A command frame.
pub fn command(name: &str, data: &[u8]) -> Vec<u8> {
    frame(COMMAND, &command_body(name, data))
}

pub fn command_body(name: &str, data: &[u8]) -> Vec<u8> {
    [&[name.len() as u8], name.as_bytes(), data].concat()
}

/// One property of a READY.
pub fn property(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&[name.len() as u8], name, &(value.len() as u32).to_be_bytes(), value].concat()
}

/// The READY of a socket type.
pub fn ready(socket_type: &str) -> Vec<u8> {
    command("READY", &property(b"Socket-Type", socket_type.as_bytes()))
}

/// One connection.
#[derive(Debug)]
pub struct Raw(pub TcpStream);

impl Raw {
    pub fn connect(to: SocketAddr) -> Raw {
        Raw::new(TcpStream::connect(to).expect("a connection"))
    }

    pub fn accept(listener: &TcpListener) -> Raw {
        Raw::new(listener.accept().expect("a connection").0)
    }

    fn new(stream: TcpStream) -> Raw {
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        stream.set_write_timeout(Some(PATIENCE)).expect("a limit");
        stream.set_nodelay(true).expect("no delay");
        Raw(stream)
    }

    /// Says something that has to arrive.
    pub fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("an open connection");
    }

    /// Says something to somebody who may have hung up.
    pub fn offer(&mut self, bytes: &[u8]) {
        match self.0.write_all(bytes) {
            Ok(()) => {}
            Err(error) if is_end(&error) => {}
            Err(error) => panic!("write: {error}"),
        }
    }

    /// A whole handshake of ZMTP 3.1 without security.
    pub fn greet(&mut self, socket_type: &str) {
        self.send(&greeting(b"NULL"));
        self.send(&ready(socket_type));
        self.take(64);
        let (flags, body) = self.frame();
        assert_eq!(flags & COMMAND, COMMAND);
        assert!(body.starts_with(b"\x05READY"));
    }

    /// A handshake of ZMTP 2.0 with an empty routing id; `number` is that of the socket type.
    pub fn greet_v2(&mut self, number: u8) {
        self.send(&[SIGNATURE, &[1, number][..]].concat());
        self.take(12);
        self.send(b"\0\0");
        assert_eq!(self.frame().0, 0);
    }

    /// A handshake of ZMTP 1.0 without a version and with an empty routing id.
    pub fn greet_v1(&mut self) {
        self.send(b"\x01\0");
        assert_eq!(self.take(10)[0], 0xff);
    }

    pub fn take(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.read_exact(&mut bytes).expect("more bytes");
        bytes
    }

    /// The next frame of ZMTP 2.0 and 3.x.
    pub fn frame(&mut self) -> (u8, Vec<u8>) {
        let flags = self.take(1)[0];
        let len = if flags & LONG == 0 {
            usize::from(self.take(1)[0])
        } else {
            let bytes = self.take(8);
            u64::from_be_bytes(*bytes.first_chunk().expect("eight bytes")) as usize
        };
        (flags, self.take(len))
    }

    /// Fails unless the other side hangs up. What it says before is passed over.
    pub fn expect_end(&mut self) {
        let mut waste = [0; 4096];
        loop {
            match self.0.read(&mut waste) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if is_end(&error) => return,
                Err(error) => panic!("the connection did not end: {error}"),
            }
        }
    }

    /// Fails unless the other side answers: it has taken in everything sent before. For ZMTP 3.x.
    pub fn expect_alive(&mut self) {
        self.send(&command("PING", b"\0\0alive?"));
        loop {
            let (flags, body) = self.frame();
            if flags & COMMAND != 0 && body == b"\x04PONGalive?" {
                return;
            }
        }
    }
}

fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe
    )
}
