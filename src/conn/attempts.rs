//! How a connecter gets its stream: resolving, connecting, the proxy, waiting for the next attempt.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use socket2::SockAddr;
use zeroize::Zeroizing;

use super::session::{Kind, Phase, Proxied, Session, fd_value, write_some};
use super::worker::{Command, Context};
use crate::base::constants as c;
use crate::reactor::Interest;
use crate::transport::{Dial, Progress, Stream};

impl Session {
    pub(super) fn attempt(&mut self, context: &mut Context<'_>) -> bool {
        let Kind::Dialing(dialing) = &self.kind else { return false };
        match dialing.dial.resolve_now(&self.connection.shared.options) {
            Some(addresses) => self.start(addresses, context),
            None => {
                self.phase = Phase::Resolving;
                let (dial, options) =
                    (dialing.dial.clone(), self.connection.shared.options.clone());
                let (worker, key) = (context.worker.clone(), self.connection.key());
                let asked = std::thread::Builder::new().name("ZMQbg/DNS".into()).spawn(move || {
                    crate::sys::thread::begin_background();
                    worker.send(Command::Resolved(key, dial.resolve(&options)));
                });
                match asked {
                    Ok(_) => true,
                    Err(error) => self.start(Err(error), context),
                }
            }
        }
    }

    pub(super) fn start(
        &mut self,
        addresses: io::Result<Vec<SockAddr>>,
        context: &mut Context<'_>,
    ) -> bool {
        let Kind::Dialing(dialing) = &mut self.kind else { return false };
        dialing.untried = in_turn(addresses.unwrap_or_default()).into();
        self.go_on(None, context)
    }

    /// Tries the next address; without one the attempt has failed, with `errno` at the last.
    fn go_on(&mut self, mut errno: Option<i32>, context: &mut Context<'_>) -> bool {
        let started = loop {
            let Kind::Dialing(dialing) = &mut self.kind else { return false };
            let mut untried = std::mem::take(&mut dialing.untried).into_vec();
            let Some(address) = untried.pop() else {
                return self.refused(errno, context);
            };
            dialing.untried = untried.into();
            match dialing.dial.start(&address, &self.connection.shared.options) {
                Ok(started) => break started,
                Err(failure) => {
                    if let Some(fd) = failure.opened_fd {
                        self.tell(c::ZMQ_EVENT_CLOSED, fd as u64, None);
                    }
                    errno = failure.error.raw_os_error();
                }
            }
        };
        let stream = Arc::new(started.stream);
        if !started.pending {
            return self.reached(stream, context);
        }
        self.tell(c::ZMQ_EVENT_CONNECT_DELAYED, libc::EINPROGRESS as u64, None);
        let limit = u64::try_from(self.connection.shared.options.connect_timeout_ms).unwrap_or(0);
        let is_limited = match &self.kind {
            Kind::Dialing(dialing) => limit > 0 && dialing.dial.has_connect_timeout(),
            Kind::Accepted(_) => false,
        };
        let deadline = is_limited.then(|| context.now + Duration::from_millis(limit));
        if let Some(deadline) = deadline {
            context.timers.schedule(deadline, self.connection.key());
        }
        let over = Dial::is_over(&stream);
        if !over {
            self.watch(&stream, Interest { read: false, write: true });
        }
        self.phase = Phase::Connecting { stream, deadline };
        !over || self.connected(context)
    }

    pub(super) fn connected(&mut self, context: &mut Context<'_>) -> bool {
        let Phase::Connecting { stream, .. } = &self.phase else { return true };
        let stream = stream.clone();
        let Kind::Dialing(dialing) = &self.kind else { return true };
        match dialing.dial.finish(&stream, &self.connection.shared.options) {
            Ok(()) => self.reached(stream, context),
            Err(error) => {
                drop(stream);
                self.attempt_failed(error.raw_os_error().unwrap_or(libc::EIO), context)
            }
        }
    }

    /// One address has failed before there was a connection.
    pub(super) fn attempt_failed(&mut self, errno: i32, context: &mut Context<'_>) -> bool {
        self.connection.gate.lock().registration.clear();
        let fd = match &self.phase {
            Phase::Connecting { stream, .. } => Some(fd_value(stream)),
            Phase::Socks(proxied) => Some(fd_value(&proxied.stream)),
            _ => None,
        };
        if let Some(fd) = fd {
            self.phase = Phase::Over;
            self.tell(c::ZMQ_EVENT_CLOSED, fd, None);
        }
        self.go_on(Some(errno), context)
    }

    fn refused(&mut self, errno: Option<i32>, context: &mut Context<'_>) -> bool {
        let stops = match &self.kind {
            Kind::Dialing(dialing) => match dialing.dial {
                Dial::Tcp { proxy: None, .. } => {
                    let bit = c::ZMQ_RECONNECT_STOP_CONN_REFUSED;
                    self.connection.shared.options.reconnect_stop & bit != 0
                }
                Dial::Ipc { .. } => {
                    self.connection.shared.owner.stops_when_refused.load(Ordering::Relaxed)
                }
                Dial::Tcp { .. } | Dial::Ws { .. } | Dial::Kernel { .. } => false,
            },
            Kind::Accepted(_) => false,
        };
        if stops && errno == Some(libc::ECONNREFUSED) {
            return self.give_up();
        }
        self.retry(context)
    }

    /// The stream to the peer, or to the proxy, stands.
    pub(super) fn reached(&mut self, stream: Arc<Stream>, context: &mut Context<'_>) -> bool {
        let socks = match &self.kind {
            Kind::Dialing(dialing) => dialing.dial.socks(),
            Kind::Accepted(_) => None,
        };
        let Some(mut socks) = socks else { return self.established(stream, Vec::new(), context) };
        let mut output = Zeroizing::new(Vec::new());
        socks.start(&mut output);
        self.watch(&stream, Interest { read: true, write: false });
        let proxied = Proxied { stream, socks, output, input: Vec::new() };
        self.phase = Phase::Socks(Box::new(proxied));
        self.talk_socks(context)
    }

    pub(super) fn talk_socks(&mut self, context: &mut Context<'_>) -> bool {
        let Phase::Socks(proxied) = &mut self.phase else { return true };
        let Proxied { stream, socks, output, input } = &mut **proxied;
        let stream = stream.clone();
        let progress = loop {
            if let Err(errno) = write_some(&stream, output) {
                break Err(errno);
            }
            input.reserve(512);
            match stream.receive(input) {
                Ok(0) => break Err(libc::EPIPE),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Ok(None),
                Err(error) => break Err(error.raw_os_error().unwrap_or(libc::EIO)),
            }
            match socks.input(input, output) {
                Ok(Progress::NeedMore) => input.clear(),
                // The peer behind the proxy may have spoken already.
                Ok(Progress::Done { consumed }) => break Ok(Some(input.split_off(consumed))),
                Err(_) => break Err(libc::EPROTO),
            }
        };
        match progress {
            Ok(Some(early)) => self.established(stream, early, context),
            Ok(None) => {
                let write = !output.is_empty();
                self.watch(&stream, Interest { read: true, write });
                true
            }
            Err(errno) => self.attempt_failed(errno, context),
        }
    }

    /// Waits and tries again, unless the options forbid it.
    pub(super) fn retry(&mut self, context: &mut Context<'_>) -> bool {
        let Kind::Dialing(dialing) = &mut self.kind else { return false };
        let (base, max) = (
            u64::try_from(self.connection.shared.options.reconnect_ivl_ms).unwrap_or(0),
            u64::try_from(self.connection.shared.options.reconnect_ivl_max_ms).unwrap_or(0),
        );
        if base == 0 {
            // Never again; the endpoint stays until the socket gives it up.
            self.phase = Phase::Over;
            return true;
        }
        let interval = if max == 0 {
            base + fastrand::u64(..base)
        } else {
            let grown = match dialing.last_interval_ms {
                0 => base,
                last => last.saturating_mul(2),
            };
            grown.min(max)
        };
        dialing.last_interval_ms = interval;
        let until = context.now + Duration::from_millis(interval);
        self.phase = Phase::Waiting(until);
        context.timers.schedule(until, self.connection.key());
        self.tell(c::ZMQ_EVENT_CONNECT_RETRIED, interval, None);
        true
    }
}

/// More than this no name has for a reason.
const MOST_ADDRESSES: usize = 16;

/// Addresses in the order in which they are tried: the two families by turns, the first one's first (RFC 8305,
/// section 4), the first of all at the end. One after the other, though: the next when one has failed.
fn in_turn(addresses: Vec<SockAddr>) -> Vec<SockAddr> {
    if addresses.len() < 2 {
        return addresses;
    }
    let is_v6 = |address: &SockAddr| {
        address.as_socket_ipv6().is_some_and(|v6| v6.ip().to_ipv4_mapped().is_none())
    };
    let first = addresses.first().is_some_and(is_v6);
    let (one, other): (VecDeque<_>, VecDeque<_>) =
        addresses.into_iter().partition(|address| is_v6(address) == first);
    let mut families = [one, other];
    let mut order = Vec::new();
    while families.iter().any(|family| !family.is_empty()) {
        order.extend(families.iter_mut().filter_map(VecDeque::pop_front));
    }
    order.truncate(MOST_ADDRESSES);
    order.reverse();
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn order(texts: &[&str]) -> Vec<String> {
        let address = |text: &&str| SockAddr::from(text.parse::<SocketAddr>().unwrap());
        let order = in_turn(texts.iter().map(address).collect());
        order.iter().rev().map(|address| address.as_socket().unwrap().ip().to_string()).collect()
    }

    #[test]
    fn the_families_take_turns() {
        assert_eq!(order(&[]), [""; 0]);
        assert_eq!(order(&["1.1.1.1:1"]), ["1.1.1.1"]);
        assert_eq!(order(&["1.1.1.1:1", "2.2.2.2:1"]), ["1.1.1.1", "2.2.2.2"]);
        let mixed = ["[::1]:1", "[::2]:1", "[::ffff:1.1.1.1]:1", "[::3]:1", "[::ffff:2.2.2.2]:1"];
        assert_eq!(order(&mixed), ["::1", "::ffff:1.1.1.1", "::2", "::ffff:2.2.2.2", "::3"]);
        assert_eq!(order(&["1.1.1.1:1", "[::1]:1", "2.2.2.2:1"]), ["1.1.1.1", "::1", "2.2.2.2"]);
        assert_eq!(order(&["1.1.1.1:1"; 40]).len(), MOST_ADDRESSES);
    }
}
