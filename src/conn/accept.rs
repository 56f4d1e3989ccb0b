//! Listeners: accepting, and pausing when the process has run out of descriptors.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::session::{Accepted, Session};
use super::worker::{Command, Context, EndpointRef, Workers};
use super::{Event, Shared};
use crate::base::Error;
use crate::base::constants as c;
use crate::reactor::{Interest, Registration};
use crate::transport::{AcceptError, Listener, Scheme};

/// Accepted per readiness, so that a flood of connections does not keep others waiting.
const BATCH: usize = 64;
/// How long accepting rests after the process ran out of descriptors.
const REST: Duration = Duration::from_millis(100);
/// How long it rests for others to make way: they may be another I/O thread's, and no more of them are to go than
/// has to be.
const MOMENT: Duration = Duration::from_millis(1);

/// A bound endpoint.
pub(super) struct Acceptor {
    listener: Arc<Listener>,
    endpoint: Arc<str>,
    shared: Arc<Shared>,
    workers: Arc<Workers>,
    registration: Registration,
    resting_until: Option<Instant>,
}

/// Binds `address` and starts accepting on one of `workers`. Answers the resolved address.
pub fn listen(
    workers: &Arc<Workers>,
    shared: Arc<Shared>,
    scheme: Scheme,
    address: &str,
) -> Result<(EndpointRef, String), Error> {
    let worker = workers.choose(shared.options.affinity).ok_or(Error::NoThread)?;
    let tell = |code, value, local: &str| {
        let event = Event { code, value, local, remote: "", accepting: true };
        shared.owner.observer.event(&event);
    };
    let listener = match Listener::listen(scheme, address, &shared.options) {
        Ok(listener) => listener,
        Err(failure) => {
            if let Some(fd) = failure.opened_fd {
                tell(c::ZMQ_EVENT_CLOSED, fd as u64, &failure.endpoint);
            }
            tell(c::ZMQ_EVENT_BIND_FAILED, failure.error.errno() as u64, address);
            return Err(failure.error);
        }
    };
    let endpoint = Arc::<str>::from(listener.endpoint());
    tell(c::ZMQ_EVENT_LISTENING, listener.fd() as u64, &endpoint);
    let key = worker.next_key();
    let mut registration = worker.registration(key);
    let listener = Arc::new(listener);
    registration.set_source(listener.clone());
    worker.count(1);
    let acceptor = Acceptor {
        listener,
        endpoint: endpoint.clone(),
        shared,
        workers: workers.clone(),
        registration,
        resting_until: None,
    };
    worker.send(Command::Acceptor(key, Box::new(acceptor)));
    Ok((EndpointRef { worker, key }, endpoint.to_string()))
}

impl Acceptor {
    pub(super) fn begin(&mut self, _context: &mut Context<'_>) -> bool {
        self.watch(true);
        true
    }

    fn watch(&mut self, read: bool) {
        // A refusal means the descriptor is beyond use: nobody can connect, and the user's unbind ends it.
        let _unusable = self.registration.set(Interest { read, write: false });
    }

    pub(super) fn ready(&mut self, context: &mut Context<'_>) -> bool {
        for _ in 0..BATCH {
            match self.listener.accept() {
                Ok(Some(accepted)) => {
                    let stream = Arc::new(accepted.stream);
                    let fd = stream.as_raw_fd() as u64;
                    if self.shared.owner.observer.listens() {
                        let local = local_of(&self.endpoint, || stream.local_name());
                        self.tell_at(&local, c::ZMQ_EVENT_ACCEPTED, fd, &accepted.peer);
                    }
                    let Some(worker) = self.workers.choose(self.shared.options.affinity) else {
                        continue;
                    };
                    let key = worker.next_key();
                    let session = Session::accepted(
                        &worker,
                        key,
                        self.shared.clone(),
                        stream,
                        Accepted {
                            endpoint: self.endpoint.clone(),
                            peer: accepted.peer,
                            peer_address: accepted.peer_address,
                        },
                    );
                    worker.count(1);
                    if Arc::ptr_eq(&worker, context.worker) {
                        context.born.push((key, Box::new(session)));
                    } else {
                        worker.send(Command::Session(key, Box::new(session)));
                    }
                }
                Ok(None) => break,
                Err(error) if is_out_of_descriptors(&error) && make_way(context) => {
                    self.rest(MOMENT, context);
                    break;
                }
                Err(error) => {
                    self.tell(c::ZMQ_EVENT_ACCEPT_FAILED, error.errno() as u64, "");
                    if needs_rest(&error) {
                        self.rest(REST, context);
                        break;
                    }
                }
            }
        }
        true
    }

    fn rest(&mut self, time: Duration, context: &mut Context<'_>) {
        self.watch(false);
        let until = context.now + time;
        self.resting_until = Some(until);
        context.timers.schedule(until, self.registration.key());
    }

    pub(super) fn timer(&mut self, context: &mut Context<'_>) -> bool {
        if self.resting_until.is_some_and(|until| until <= context.now) {
            self.resting_until = None;
            self.watch(true);
        }
        true
    }

    /// Stops listening.
    pub(super) fn close(mut self) {
        self.registration.clear();
        let fd = self.listener.fd() as u64;
        let (endpoint, shared) = (self.endpoint, self.shared);
        for worker in self.workers.all() {
            // What it accepted has been sent there before.
            worker.send(Command::Disown(shared.clone()));
        }
        // Nobody else holds the listener once its registration is gone.
        let removed = Arc::try_unwrap(self.listener).map_or(Ok(()), Listener::close);
        let (code, value) = match removed {
            Ok(()) => (c::ZMQ_EVENT_CLOSED, fd),
            Err(error) => {
                (c::ZMQ_EVENT_CLOSE_FAILED, error.raw_os_error().unwrap_or(libc::EIO) as u64)
            }
        };
        let event = Event { code, value, local: &endpoint, remote: "", accepting: true };
        shared.owner.observer.event(&event);
    }

    fn tell(&self, code: i32, value: u64, remote: &str) {
        self.tell_at(&self.endpoint, code, value, remote);
    }

    fn tell_at(&self, local: &str, code: i32, value: u64, remote: &str) {
        let event = Event { code, value, local, remote, accepting: true };
        self.shared.owner.observer.event(&event);
    }
}

/// What monitors are shown as the near end of a connection that came to `endpoint`: where that is any of this machine's
/// addresses, the one that was reached, if it can be told.
pub fn local_of(endpoint: &str, own: impl FnOnce() -> String) -> Cow<'_, str> {
    let bound = endpoint.strip_prefix("tcp://").and_then(|text| text.parse::<SocketAddr>().ok());
    let any = bound.is_some_and(|bound| bound.ip().to_canonical().is_unspecified());
    let own = if any { own() } else { String::new() };
    if own.is_empty() { endpoint.into() } else { own.into() }
}

/// Sends slow strangers away, whichever I/O thread serves them, so that others can be accepted when they are gone.
fn make_way(context: &Context<'_>) -> bool {
    let slow = context.worker.strangers().give_way(BATCH, context.now);
    for (worker, key) in &slow {
        worker.send(Command::Evict(*key));
    }
    !slow.is_empty()
}

fn is_out_of_descriptors(error: &AcceptError) -> bool {
    matches!(error.errno(), libc::EMFILE | libc::ENFILE)
}

/// Whether accepting again at once would only fail again.
fn needs_rest(error: &AcceptError) -> bool {
    matches!(error.errno(), libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
}
