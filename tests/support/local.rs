//! Sockets of the library under test in the test's own process, through its Rust interface.
//!
//! Everything that waits has a limit, so that a test that is stuck fails instead of hanging. A panic in one of the
//! library's threads fails the test that owns the context.

use std::cell::Cell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use zmq::base::Error;
use zmq::base::constants as c;
use zmq::ctx;
use zmq::message::Msg;
use zmq::socket;

/// Longer than anything takes, also on a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(60);

const PATIENCE_MS: i32 = 60_000;

/// Panics seen in threads of the library.
static PANICS: AtomicU32 = AtomicU32::new(0);

/// A context; it ends when dropped, for which its sockets must be gone.
#[derive(Debug)]
pub struct Context {
    pub handle: usize,
}

impl Context {
    pub fn new() -> Context {
        count_panics();
        Context { handle: ctx::create().expect("a context") }
    }

    pub fn set(&self, option: i32, value: i32) {
        let context = ctx::lookup(self.handle).expect("a live context");
        context.set_option(option, &value.to_ne_bytes()).expect("a context option");
    }

    /// A socket that waits for nothing when it is closed, and no longer than [`PATIENCE`] otherwise.
    pub fn socket(&self, socket_type: i32) -> Socket {
        let context = ctx::lookup(self.handle).expect("a live context");
        let socket = Socket { handle: context.create_socket(socket_type).expect("a socket") };
        socket.set(c::ZMQ_LINGER, 0);
        socket.set(c::ZMQ_RCVTIMEO, PATIENCE_MS);
        socket.set(c::ZMQ_SNDTIMEO, PATIENCE_MS);
        socket
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if thread::panicking() {
            // Sockets may be left, and the reason is on its way already.
            return;
        }
        ctx::terminate(self.handle).expect("an end of the context");
        assert_eq!(PANICS.load(Ordering::SeqCst), 0, "a thread of the library panicked");
    }
}

fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if thread::current().name().is_some_and(|name| name.starts_with("ZMQ")) {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            before(info);
        }));
    });
}

/// A socket, closed when dropped.
#[derive(Debug)]
pub struct Socket {
    pub handle: usize,
}

impl Socket {
    pub fn api(&self) -> socket::Socket {
        socket::lookup(self.handle).expect("a live socket")
    }

    pub fn set(&self, option: i32, value: i32) {
        self.set_bytes(option, &value.to_ne_bytes());
    }

    pub fn set_bytes(&self, option: i32, value: &[u8]) {
        self.api().set_option(option, Some(value)).expect("a socket option");
    }

    /// Binds to a free port of this machine.
    pub fn listen(&self) -> SocketAddr {
        self.api().bind("tcp://127.0.0.1:0").expect("a free port");
        let text = self.last_endpoint();
        text.strip_prefix("tcp://").and_then(|rest| rest.parse().ok()).expect("an address")
    }

    pub fn last_endpoint(&self) -> String {
        let mut buffer = [0; 256];
        let len = self.api().option(c::ZMQ_LAST_ENDPOINT, &mut buffer).expect("an endpoint");
        let text = buffer[..len].split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8(text.to_vec()).expect("text")
    }

    pub fn connect(&self, to: SocketAddr) {
        self.api().connect(&format!("tcp://{to}")).expect("a connect");
    }

    pub fn send(&self, parts: &[&[u8]]) {
        self.try_send(parts, 0).expect("a send");
    }

    pub fn try_send(&self, parts: &[&[u8]], flags: i32) -> Result<(), Error> {
        for (n, part) in parts.iter().enumerate() {
            let more = if n + 1 < parts.len() { c::ZMQ_SNDMORE } else { 0 };
            self.api().send(&mut Msg::copy_of(part)?, flags | more)?;
        }
        Ok(())
    }

    /// A whole message.
    pub fn recv(&self) -> Vec<Vec<u8>> {
        self.recv_with(0).expect("a message")
    }

    /// A whole message, if there is one.
    pub fn try_recv(&self) -> Option<Vec<Vec<u8>>> {
        match self.recv_with(c::ZMQ_DONTWAIT) {
            Ok(parts) => Some(parts),
            Err(Error::Again) => None,
            Err(error) => panic!("recv: {error}"),
        }
    }

    pub fn recv_with(&self, flags: i32) -> Result<Vec<Vec<u8>>, Error> {
        let mut parts = Vec::new();
        loop {
            let part = self.api().recv(flags)?;
            parts.push(part.data().to_vec());
            if !part.more() {
                return Ok(parts);
            }
        }
    }

    /// Everything that happens to this socket's connections from now on.
    pub fn watch(&self, context: &Context) -> Monitor {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("inproc://monitor-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let all = c::ZMQ_EVENT_ALL as u64;
        self.api().monitor(Some(&name), all, 2, c::ZMQ_PAIR).expect("a monitor");
        let events = context.socket(c::ZMQ_PAIR);
        events.api().connect(&name).expect("a connect");
        Monitor { events }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A test may have closed it already.
        let _closed = socket::lookup(self.handle).and_then(socket::Socket::close);
    }
}

/// One entry of a monitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub code: i32,
    pub value: u64,
    pub local: String,
    pub remote: String,
}

/// The listening end of a monitor.
#[derive(Debug)]
pub struct Monitor {
    events: Socket,
}

impl Monitor {
    pub fn next(&self) -> Event {
        decode(self.events.recv())
    }

    pub fn try_next(&self) -> Option<Event> {
        self.events.try_recv().map(decode)
    }

    /// The value of the next event of this kind; others are passed over.
    pub fn until(&self, code: i32) -> u64 {
        loop {
            let event = self.next();
            if event.code == code {
                return event.value;
            }
        }
    }

    /// What happened to the next accepted connection that ends, between its ACCEPTED and its DISCONNECTED: codes and
    /// values.
    pub fn story(&self) -> Vec<(i32, u64)> {
        let mut stories: HashMap<String, Vec<(i32, u64)>> = HashMap::new();
        self.stories_into(&mut stories)
    }

    /// The stories of the next `count` accepted connections that end, in the order of their ends.
    pub fn stories(&self, count: usize) -> Vec<Vec<(i32, u64)>> {
        let mut stories = HashMap::new();
        (0..count).map(|_| self.stories_into(&mut stories)).collect()
    }

    fn stories_into(&self, stories: &mut HashMap<String, Vec<(i32, u64)>>) -> Vec<(i32, u64)> {
        loop {
            let event = self.next();
            let story = stories.entry(event.remote.clone()).or_default();
            match event.code {
                c::ZMQ_EVENT_ACCEPTED => story.clear(),
                c::ZMQ_EVENT_DISCONNECTED => {
                    return stories.remove(&event.remote).unwrap_or_default();
                }
                code => story.push((code, event.value)),
            }
        }
    }
}

fn decode(frames: Vec<Vec<u8>>) -> Event {
    let number = |n: usize| {
        let bytes = frames.get(n).and_then(|frame| frame.first_chunk());
        u64::from_ne_bytes(*bytes.expect("a number"))
    };
    let text = |n: usize| String::from_utf8_lossy(frames.get(n).expect("a text")).into_owned();
    Event { code: number(0) as i32, value: number(2), local: text(3), remote: text(4) }
}

/// A socket with a well-behaved peer, whose service is to go on whatever happens to the socket.
#[derive(Debug)]
pub struct Service {
    pub server: Socket,
    pub client: Socket,
    pub address: SocketAddr,
    socket_type: i32,
    count: Cell<u32>,
}

impl Service {
    /// A listening socket of this type and one that fits it. `prepare` sets options before the bind.
    pub fn start(context: &Context, socket_type: i32, prepare: impl FnOnce(&Socket)) -> Service {
        let server = context.socket(socket_type);
        prepare(&server);
        let address = server.listen();
        let client = context.socket(match socket_type {
            c::ZMQ_PULL => c::ZMQ_PUSH,
            c::ZMQ_XPUB | c::ZMQ_PUB => c::ZMQ_SUB,
            c::ZMQ_ROUTER | c::ZMQ_REP | c::ZMQ_DEALER => c::ZMQ_REQ,
            c::ZMQ_PAIR => c::ZMQ_PAIR,
            other => panic!("no service for type {other}"),
        });
        if socket_type == c::ZMQ_XPUB || socket_type == c::ZMQ_PUB {
            client.set_bytes(c::ZMQ_SUBSCRIBE, b"good");
        }
        client.connect(address);
        let service = Service { server, client, address, socket_type, count: Cell::new(0) };
        service.check();
        service
    }

    /// The good peer is served. Answers what the server received from others meanwhile.
    pub fn check(&self) -> Vec<Vec<Vec<u8>>> {
        self.count.set(self.count.get() + 1);
        let token = format!("good-{}", self.count.get()).into_bytes();
        let mut strangers = Vec::new();
        match self.socket_type {
            c::ZMQ_XPUB | c::ZMQ_PUB => self.publish(&token),
            c::ZMQ_PULL | c::ZMQ_PAIR => {
                self.client.send(&[&token]);
                loop {
                    let parts = self.server.recv();
                    if parts == [token.as_slice()] {
                        break;
                    }
                    strangers.push(parts);
                }
                // The peers are read in turn, so others' messages may come after.
                strangers.extend(std::iter::from_fn(|| self.server.try_recv()));
            }
            _ => {
                self.client.send(&[&token]);
                loop {
                    let parts = self.server.recv();
                    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
                    if parts.last() == Some(&&*token) {
                        self.server.send(&parts);
                        assert_eq!(self.client.recv(), [token]);
                        return strangers;
                    }
                    if self.socket_type == c::ZMQ_REP {
                        self.server.send(&[b"no"]);
                    }
                    strangers.push(parts.iter().map(|part| part.to_vec()).collect());
                }
            }
        }
        strangers
    }

    /// A publisher may not know its subscriber yet, so it says the same until it is heard.
    fn publish(&self, token: &[u8]) {
        const ROUND_MS: i32 = 5;
        self.client.set(c::ZMQ_RCVTIMEO, ROUND_MS);
        for _ in 0..PATIENCE_MS / ROUND_MS {
            self.server.send(&[token]);
            loop {
                match self.client.recv_with(0) {
                    Ok(parts) if parts == [token] => return,
                    Ok(_) => {}
                    Err(Error::Again) => break,
                    Err(error) => panic!("subscriber: {error}"),
                }
            }
        }
        panic!("the subscriber got nothing");
    }
}
