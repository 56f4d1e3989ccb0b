//! What tests of this layer share: sockets without a context, and a connection that is a pair of descriptors.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::core::Core;
use super::{Environment, Socket, open};
use crate::base::Error;
use crate::message::Msg;
use crate::options::{ContextDefaults, SocketType};
use crate::pipe::wire::{End, Item, Wire};
use crate::pipe::{Driver, Identity, NewPipe, Pipe, Pulled, Urgency};
use crate::sync::Lock;

type Stream = Arc<dyn std::os::fd::AsRawFd + Send + Sync>;

/// A connection on which every byte is a message.
pub(super) struct Bytes {
    pub(super) wire: Arc<Wire>,
    stream: Lock<Option<Arc<UnixStream>>>,
    taken: AtomicBool,
    /// How many times it was read, and told to write at once.
    pub(super) read: AtomicUsize,
    pub(super) written: AtomicUsize,
    pub(super) room: Room,
}

/// Whether the kernel is taken for full, and who writes on when it is not.
#[derive(Default)]
pub(super) struct Room {
    full: AtomicBool,
    taken: AtomicBool,
    written: AtomicUsize,
}

impl Room {
    pub(super) fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::Relaxed);
    }

    pub(super) fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Relaxed)
    }

    pub(super) fn written(&self) -> usize {
        self.written.load(Ordering::Relaxed)
    }
}

impl Bytes {
    /// In the socket's hands, but not connected.
    pub(super) fn join(core: &mut Core) -> Arc<Bytes> {
        let wire = Wire::new(0, 0, false);
        let (stream, taken) = (Lock::new(None), AtomicBool::new(false));
        let (read, written) = Default::default();
        let room = Room::default();
        let bytes = Arc::new(Bytes { wire: wire.clone(), stream, taken, read, written, room });
        let pipe = Pipe::wire(End::new(wire, bytes.clone()));
        let identity = Some(Identity::default());
        core.attach(NewPipe { pipe, identity, endpoint: 0, initiator: false }, None);
        bytes
    }

    /// A new connection; the far end of it.
    pub(super) fn connect(&self) -> UnixStream {
        let (near, far) = UnixStream::pair().expect("a pair");
        near.set_nonblocking(true).expect("a mode");
        *self.stream.lock() = Some(Arc::new(near));
        self.taken.store(false, Ordering::Relaxed);
        far
    }

    pub(super) fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Driver for Bytes {
    fn flush(&self, urgency: Urgency) {
        if urgency == Urgency::Now {
            self.written.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn write_left(&self) {
        self.wire.left.store(0, Ordering::Relaxed);
        self.flush(Urgency::Now);
    }

    fn pull(&self) -> Pulled {
        self.read.fetch_add(1, Ordering::Relaxed);
        let stream = self.stream.lock().clone().filter(|_| self.is_taken());
        let Some(stream) = stream else { return Pulled::Over };
        let mut byte = [0];
        match (&*stream).read(&mut byte) {
            Ok(1) => {
                let msg = Msg::copy_of(&byte).expect("a message");
                self.wire.received(&mut vec![Item::Message(msg)], 1, true);
                Pulled::Messages
            }
            _ => Pulled::Nothing,
        }
    }

    fn attend(&self) -> Option<Stream> {
        let stream = self.stream.lock().clone()?;
        self.taken.store(true, Ordering::Relaxed);
        Some(stream)
    }

    fn give_back(&self) {
        self.taken.store(false, Ordering::Relaxed);
    }

    fn attend_room(&self) -> Option<Stream> {
        let stream =
            self.stream.lock().clone().filter(|_| self.room.full.load(Ordering::Relaxed))?;
        self.room.taken.store(true, Ordering::Relaxed);
        Some(stream)
    }

    fn write_on(&self) {
        self.room.written.fetch_add(1, Ordering::Relaxed);
    }

    fn leave_room(&self) {
        self.room.taken.store(false, Ordering::Relaxed);
    }

    crate::pipe::nothing_more_to_drive!();
}

/// A socket of a context without I/O threads.
pub(super) fn socket(of: SocketType) -> Socket {
    let environment = Environment::new(Box::new(|| Err(Error::NoThread)));
    let defaults = ContextDefaults { ipv6: false, blocky: true, zero_copy_recv: true };
    let opened = open(Arc::new(environment), of, defaults, Box::new(()));
    Socket(opened.expect("a socket").handle)
}
