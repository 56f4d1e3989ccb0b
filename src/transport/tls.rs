//! TLS between a TCP connection and who uses it (the wss transport), and what the WSS options say about it.
//!
//! Records and handshakes are `rustls`'s, which never touches the descriptor: bytes are carried between the
//! two here. Whose certificates are believed is decided in `trust`.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection, Connection, InconsistentKeys, ServerConfig};
use rustls::{RootCertStore, ServerConnection};
use socket2::SockRef;

use super::address::{os_error, strip_brackets};
use super::pem::{self, Kind};
use super::trust::Trust;
use crate::base::Error;
use crate::options::Options;

/// The longest record, and how much of it is its header. The genuine library takes 8 KiB out of a record and
/// forgets the rest of a longer one until something else comes.
const RECORD: usize = 8 * 1024 + 5;
/// Bytes per system call when receiving.
const CHUNK: usize = 16 * 1024;

/// What a listener shows to those who connect.
#[derive(Clone, Debug)]
pub(super) struct Server(Arc<ServerConfig>);

/// What a connecter expects of the other end.
#[derive(Clone, Debug)]
pub struct Client {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl PartialEq for Client {
    fn eq(&self, other: &Client) -> bool {
        Arc::ptr_eq(&self.config, &other.config) && self.name == other.name
    }
}

impl Eq for Client {}

impl Server {
    /// From WSS_CERT_PEM and WSS_KEY_PEM: EINVAL where one is missing, cannot be read, or is not the other's.
    pub(super) fn of(options: &Options) -> Result<Server, Error> {
        let chain = certificates(&options.wss_cert_pem)?;
        let (kind, key) = pem::private_key(&options.wss_key_pem).ok_or(Error::Invalid)?;
        let key = match kind {
            Kind::Pkcs8 => PrivateKeyDer::Pkcs8(key.as_slice().into()),
            Kind::Pkcs1 => PrivateKeyDer::Pkcs1(key.as_slice().into()),
            Kind::Sec1 => PrivateKeyDer::Sec1(key.as_slice().into()),
        };
        // Borrowed: what is given to the provider for good is not wiped.
        let key = ring::sign::any_supported_type(&key).map_err(|_| Error::Invalid)?;
        let provider = Arc::new(ring::default_provider());
        let own = CertifiedKey::new(chain, key);
        let another = rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch);
        // Certificates that cannot be compared may be fine for who trusts them.
        if own.end_entity_cert().is_err() || own.keys_match() == Err(another) {
            return Err(Error::Invalid);
        }
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| Error::NotSupported)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
        // Connections last; what would make their next beginning faster is not worth its memory.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_fragment_size = Some(RECORD);
        Ok(Server(Arc::new(config)))
    }

    /// The beginning of a connection that was accepted.
    pub(super) fn accept(&self, tcp: TcpStream) -> io::Result<Tls> {
        let session = ServerConnection::new(self.0.clone()).map_err(broken)?;
        Ok(Tls::new(tcp, session.into()))
    }
}

impl Client {
    /// From WSS_TRUST_PEM, WSS_TRUST_SYSTEM and WSS_HOSTNAME, to connect to `host`. EINVAL where they cannot
    /// be read.
    pub(super) fn of(options: &Options, host: &str) -> Result<Client, Error> {
        let provider = Arc::new(ring::default_provider());
        let trusted = match options.wss_trust_pem.is_empty() {
            true => Vec::new(),
            false => certificates(&options.wss_trust_pem)?,
        };
        let mut roots = RootCertStore::empty();
        // What cannot vouch for others can still be what the other end shows.
        roots.add_parsable_certificates(trusted.iter().cloned());
        if options.wss_trust_system {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        let expected = std::str::from_utf8(&options.wss_hostname)
            .map_err(|_| Error::Invalid)?
            .trim_end_matches('\0');
        let name = if expected.is_empty() { strip_brackets(host) } else { expected };
        let name = ServerName::try_from(name.to_owned()).map_err(|_| Error::Invalid)?;
        let checked = (!expected.is_empty()).then(|| name.clone());
        let trust = Trust::new(trusted, roots, checked, provider.clone());
        Ok(Client { config: Arc::new(config(provider, trust)?), name })
    }

    /// The beginning of a connection that is being made.
    pub(super) fn connect(&self, tcp: TcpStream) -> io::Result<Tls> {
        let session =
            ClientConnection::new(self.config.clone(), self.name.clone()).map_err(broken)?;
        Ok(Tls::new(tcp, session.into()))
    }
}

fn config(provider: Arc<CryptoProvider>, trust: Trust) -> Result<ClientConfig, Error> {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| Error::NotSupported)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.max_fragment_size = Some(RECORD);
    Ok(config)
}

/// All certificates of a text, at least one.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or(Error::Invalid)
}

/// What the peer did wrong is of no interest beyond that it did.
fn broken(_: rustls::Error) -> io::Error {
    os_error(libc::EPROTO)
}

/// A TCP connection with TLS on it; non-blocking, like all streams.
#[derive(Debug)]
pub struct Tls {
    tcp: TcpStream,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    session: Connection,
    /// Bytes of the writer that are encrypted, but not all in the kernel. They count as written only when
    /// they are: then who writes knows what is left to wait for, and brings them again until then.
    owed: usize,
    /// The peer has said that nothing more comes.
    ended: bool,
    /// What came together with the end of the handshake.
    early: Vec<u8>,
}

impl Tls {
    fn new(tcp: TcpStream, session: Connection) -> Tls {
        Tls { tcp, state: Mutex::new(State { session, owed: 0, ended: false, early: Vec::new() }) }
    }

    pub(super) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Goes on with the handshake; true once it is done and bytes can be sent.
    pub(super) fn secure(&self) -> io::Result<bool> {
        let mut state = self.lock();
        loop {
            match state.flush(&self.tcp) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
            if !state.session.is_handshaking() {
                return Ok(true);
            }
            let mut early = std::mem::take(&mut state.early);
            let filled = state.fill(&self.tcp, &mut early);
            state.early = early;
            match filled {
                Ok(0) => return Err(os_error(libc::EPIPE)),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether to wait for room in the kernel, if something of the user's waits to be written: that has to
    /// wait for the handshake.
    pub(super) fn wants_room(&self, waiting: bool) -> bool {
        let state = self.lock();
        state.session.wants_write() || (waiting && !state.session.is_handshaking())
    }

    /// Receives. From the end of the handshake on it has to be called until nothing is there; after that
    /// nothing that has arrived is kept back, so that waiting for the descriptor is enough.
    pub(super) fn receive(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let mut state = self.lock();
        let had = buffer.len();
        buffer.append(&mut state.early);
        if buffer.len() > had {
            return Ok(buffer.len() - had);
        }
        loop {
            match state.fill(&self.tcp, buffer) {
                Ok(0) => return Ok(0),
                Ok(_) if buffer.len() > had => return Ok(buffer.len() - had),
                Ok(_) => {}
                Err(_) if buffer.len() > had => return Ok(buffer.len() - had),
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().write(&self.tcp, |session| session.writer().write(bytes))
    }

    pub(super) fn write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.lock().write(&self.tcp, |session| session.writer().write_vectored(buffers))
    }

    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.session.send_close_notify();
        // A peer that does not read does not read this either.
        let _unread = state.flush(&self.tcp);
        self.tcp.shutdown(Shutdown::Write)
    }

    /// A panic of another thread has left nothing half done that matters here.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn write(
        &mut self,
        tcp: &TcpStream,
        take: impl FnOnce(&mut Connection) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if self.owed == 0 {
            self.flush(tcp)?;
            self.owed = take(&mut self.session)?;
        }
        self.flush(tcp)?;
        Ok(std::mem::take(&mut self.owed))
    }

    /// Hands the kernel everything that is encrypted.
    fn flush(&mut self, tcp: &TcpStream) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut Silent(tcp)) {
                Ok(0) => return Err(os_error(libc::EPIPE)),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// One system call's worth of input, what was in it appended to `plain`; 0 at the end of the stream,
    /// else how many bytes came in.
    fn fill(&mut self, tcp: &TcpStream, plain: &mut Vec<u8>) -> io::Result<usize> {
        if self.ended {
            return Ok(0);
        }
        let mut bytes = [0; CHUNK];
        let came = match (&mut &*tcp).read(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            read => match read? {
                0 => return Ok(0),
                came => came,
            },
        };
        let mut rest = bytes.get(..came).unwrap_or_default();
        while !rest.is_empty() {
            if self.session.read_tls(&mut rest)? == 0 {
                return Err(os_error(libc::EPROTO));
            }
            let processed = self.session.process_new_packets();
            // The peer is told what is wrong, and gets what else the protocol owes it.
            let flushed = self.flush(tcp);
            let state = processed.map_err(broken)?;
            if let Err(error) = flushed
                && error.kind() != io::ErrorKind::WouldBlock
            {
                return Err(error);
            }
            let start = plain.len();
            let ready = state.plaintext_bytes_to_read();
            plain.try_reserve(ready).map_err(|_| os_error(libc::ENOMEM))?;
            plain.resize(start + ready, 0);
            self.session.reader().read_exact(plain.get_mut(start..).unwrap_or_default())?;
            self.ended |= state.peer_has_closed();
        }
        Ok(came.max(1))
    }
}

/// A socket that raises no SIGPIPE.
struct Silent<'a>(&'a TcpStream);

impl Write for Silent<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        SockRef::from(self.0).send_with_flags(bytes, libc::MSG_NOSIGNAL)
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        SockRef::from(self.0).send_vectored_with_flags(buffers, libc::MSG_NOSIGNAL)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{ContextDefaults, SocketType};
    use crate::sys::{PollFd, poll};
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;

    const CERTIFICATE: &[u8] = include_bytes!("../../tests/certificates/certificate.pem");
    const KEY: &[u8] = include_bytes!("../../tests/certificates/key.pem");

    fn options() -> Options {
        let defaults = ContextDefaults { ipv6: false, blocky: true, zero_copy_recv: true };
        Options {
            wss_cert_pem: CERTIFICATE.to_vec(),
            wss_key_pem: KEY.to_vec().into(),
            wss_trust_pem: CERTIFICATE.to_vec(),
            wss_hostname: b"ferrozmq.test".to_vec(),
            ..Options::new(SocketType::Dealer, defaults)
        }
    }

    fn ends(client: &Client, server: &Server) -> (Tls, Tls) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let a = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (b, _) = listener.accept().unwrap();
        a.set_nonblocking(true).unwrap();
        b.set_nonblocking(true).unwrap();
        (client.connect(a).unwrap(), server.accept(b).unwrap())
    }

    fn readable(end: &Tls) {
        poll(&mut [PollFd::new(end.tcp.as_raw_fd(), libc::POLLIN)], None).unwrap();
    }

    /// Shakes hands; who fails first, if anybody does.
    fn shake(a: &Tls, b: &Tls) -> Result<(), &'static str> {
        let mut done = [false, false];
        while done != [true, true] {
            done[0] = a.secure().map_err(|_| "client")?;
            done[1] = b.secure().map_err(|_| "server")?;
        }
        Ok(())
    }

    #[test]
    fn pem_that_cannot_be_used() {
        let other = include_bytes!("../../tests/certificates/other-key.pem");
        let good = options();
        assert!(Server::of(&good).is_ok());
        for (certificate, key) in [
            (&b""[..], KEY),
            (CERTIFICATE, b""),
            (b"junk", KEY),
            (CERTIFICATE, b"junk"),
            (KEY, KEY),
            (CERTIFICATE, other),
            (b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n", KEY),
        ] {
            let bad = Options {
                wss_cert_pem: certificate.to_vec(),
                wss_key_pem: key.to_vec().into(),
                ..options()
            };
            assert_eq!(Server::of(&bad).err(), Some(Error::Invalid));
        }
        assert!(Client::of(&good, "127.0.0.1").is_ok());
        for (trust, name) in
            [(&b"junk"[..], &b"a"[..]), (KEY, b"a"), (CERTIFICATE, b"a b"), (CERTIFICATE, b"\xFF")]
        {
            let bad =
                Options { wss_trust_pem: trust.to_vec(), wss_hostname: name.to_vec(), ..options() };
            assert_eq!(Client::of(&bad, "127.0.0.1").err(), Some(Error::Invalid));
        }
        let none = Options { wss_trust_pem: Vec::new(), wss_hostname: Vec::new(), ..options() };
        assert!(Client::of(&none, "[::1]").is_ok());
    }

    #[test]
    fn bytes_go_over_and_the_end_is_told() {
        let options = options();
        let (a, b) =
            ends(&Client::of(&options, "127.0.0.1").unwrap(), &Server::of(&options).unwrap());
        assert!(!b.secure().unwrap());
        assert!(!b.wants_room(true), "there is nothing that could be written yet");
        shake(&a, &b).unwrap();
        assert!(b.wants_room(true) && !b.wants_room(false));
        for (from, to) in [(&a, &b), (&b, &a)] {
            let mut got = Vec::new();
            let error = to.receive(&mut got).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            assert_eq!(from.write(b"one").unwrap(), 3);
            let parts = [IoSlice::new(b"two"), IoSlice::new(b"three")];
            let n = from.write_vectored(&parts).unwrap();
            from.shutdown_write().unwrap();
            loop {
                readable(to);
                if to.receive(&mut got).unwrap() == 0 {
                    break;
                }
            }
            assert_eq!(got, b"onetwothree"[..3 + n]);
            assert_eq!(to.receive(&mut got).unwrap(), 0, "the end stays the end");
        }
    }

    /// A client may speak as soon as its own part of the handshake is done.
    #[test]
    fn what_comes_with_the_end_of_the_handshake_is_not_lost() {
        let options = options();
        let (a, b) =
            ends(&Client::of(&options, "127.0.0.1").unwrap(), &Server::of(&options).unwrap());
        assert!(!a.secure().unwrap());
        readable(&b);
        assert!(!b.secure().unwrap());
        while !a.secure().unwrap() {
            readable(&a);
        }
        assert_eq!(a.write(b"early").unwrap(), 5);
        while !b.secure().unwrap() {
            readable(&b);
        }
        let mut got = Vec::new();
        // The end of the handshake may have come alone after all.
        while let Err(error) = b.receive(&mut got) {
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            readable(&b);
        }
        assert_eq!(got, b"early");
    }

    /// What does not fit is not counted as written, and goes over once it does.
    #[test]
    fn what_the_kernel_did_not_take_comes_again() {
        let options = options();
        let (a, b) =
            ends(&Client::of(&options, "127.0.0.1").unwrap(), &Server::of(&options).unwrap());
        shake(&a, &b).unwrap();
        let all: Vec<u8> = (0..8u32 << 20).map(|n| (n % 251) as u8).collect();
        let (mut sent, mut got, mut refusals) = (0, Vec::new(), 0);
        while got.len() < all.len() {
            while sent < all.len() {
                match a.write(&all[sent..]) {
                    Ok(n) => sent += n,
                    Err(error) => {
                        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                        assert!(a.wants_room(false));
                        refusals += 1;
                        break;
                    }
                }
            }
            readable(&b);
            assert!(b.receive(&mut got).unwrap() > 0);
        }
        assert!(refusals > 0, "the kernel takes no eight megabytes");
        assert_eq!((got == all, sent), (true, all.len()));
    }

    #[test]
    fn who_is_believed() {
        let pem = |name: &str| {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificates/");
            std::fs::read(format!("{folder}{name}.pem")).unwrap()
        };
        for (shown, trusted, name, believed) in [
            ("certificate", "certificate", "ferrozmq.test", true),
            ("certificate", "certificate", "", true),
            ("certificate", "certificate", "other.test", false),
            ("certificate", "authority", "ferrozmq.test", false),
            ("certificate", "", "ferrozmq.test", false),
            // An authority that shows its own certificate, with nothing but a common name.
            ("selfsigned-ca", "selfsigned-ca", "ca.example.org", true),
            ("selfsigned-ca", "selfsigned-ca", "CA.EXAMPLE.ORG", true),
            ("selfsigned-ca", "selfsigned-ca", "b.example.org", false),
            ("version1", "version1", "old.example.org", true),
            ("version1", "version1", "example.org", false),
            ("version1", "certificate", "old.example.org", false),
            ("issued", "authority", "a.example.org", true),
            ("issued", "authority", "127.0.0.1", true),
            ("issued", "authority", "", true),
            ("issued", "authority", "a.b.example.org", false),
            ("issued", "authority", "leaf", false),
            ("issued", "issued", "a.example.org", true),
            ("issued", "certificate", "a.example.org", false),
        ] {
            let trusted = if trusted.is_empty() { Vec::new() } else { pem(trusted) };
            let options = Options {
                wss_cert_pem: pem(shown),
                wss_trust_pem: trusted,
                wss_hostname: name.as_bytes().to_vec(),
                ..options()
            };
            let server = Server::of(&options).unwrap();
            let (a, b) = ends(&Client::of(&options, "127.0.0.1").unwrap(), &server);
            let expected = if believed { Ok(()) } else { Err("client") };
            assert_eq!(shake(&a, &b), expected, "{shown} {name}");
        }
    }

    #[test]
    fn garbage_ends_it() {
        let options = options();
        for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x16, 3, 1, 0xFF, 0xFF], &[0; 64]] {
            let (a, b) =
                ends(&Client::of(&options, "127.0.0.1").unwrap(), &Server::of(&options).unwrap());
            (&a.tcp).write_all(garbage).unwrap();
            drop(a);
            let end = loop {
                readable(&b);
                match b.secure() {
                    Ok(_) => {}
                    Err(error) => break error,
                }
            };
            assert!(matches!(end.raw_os_error(), Some(libc::EPROTO | libc::EPIPE)), "{end}");
        }
    }
}
