//! Setting and reading options: the type's own first, then the common table, then the socket's state.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Socket;
use super::core::{Asked, Core};
use crate::base::{Error, constants as c};
use crate::options::{SocketType, Value};
use crate::pipe::left;
use crate::sys;

impl Socket {
    /// Sets an option (zmq_setsockopt(3)); `None` is a null pointer of length 0.
    pub fn set_option(self, id: i32, value: Option<&[u8]>) -> Result<(), Error> {
        let mut core = self.lock()?;
        core.check_for_options()?;
        core.set_option(id, value)
    }

    /// Reads an option into `buffer` (zmq_getsockopt(3)): the length it has.
    pub fn option(self, id: i32, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut core = self.lock()?;
        if id == c::ZMQ_EVENTS {
            core.check()?;
        }
        core.check_for_options()?;
        core.option(id)?.write(buffer)
    }
}

impl Core {
    fn set_option(&mut self, id: i32, value: Option<&[u8]>) -> Result<(), Error> {
        let own = self.pattern.set(&mut self.pipes, id, value.unwrap_or_default());
        if own != Err(Error::Invalid) {
            return own;
        }
        if (c::ZMQ_NORM_MODE..=c::ZMQ_NORM_PUSH).contains(&id) && sys::norm::norm().is_none() {
            return Err(Error::Invalid);
        }
        // Made of options that no longer hold, secrets among them.
        self.handshake = None;
        Arc::make_mut(&mut self.options).set(id, value)?;
        match id {
            c::ZMQ_SNDHWM | c::ZMQ_RCVHWM => {
                let (send, receive) = (self.options.sndhwm, self.options.rcvhwm);
                self.pipes.iter_mut().for_each(|(_, pipe)| pipe.set_marks(send, receive));
            }
            c::ZMQ_INVERT_MATCHING => {
                self.pattern.set_invert_matching(self.options.invert_matching);
            }
            c::ZMQ_BUSY_POLL => self.spin.set_wish(self.options.busy_poll),
            _ => {}
        }
        Ok(())
    }

    fn option(&mut self, id: i32) -> Result<Value, Error> {
        match id {
            c::ZMQ_RCVMORE => return Ok(Value::LooseInt(i32::from(self.more_to_read))),
            c::ZMQ_EVENTS => {
                let wanted = c::ZMQ_POLLIN | c::ZMQ_POLLOUT;
                let mut events = self.events(wanted, 0);
                // Without input the caller may be about to wait for the descriptor.
                if events & c::ZMQ_POLLIN == 0 && !self.asks_amid_sending(events) {
                    events = self.events_once_written(wanted, events);
                }
                return Ok(Value::LooseInt(events));
            }
            c::ZMQ_FD => return self.descriptor().map(Value::LooseInt),
            c::ZMQ_LAST_ENDPOINT => return Ok(Value::Text(self.about.last_endpoint())),
            c::ZMQ_FERRO_DROPPED_FULL => return Ok(Value::U64(self.about.dropped().full())),
            c::ZMQ_FERRO_DROPPED_UNROUTABLE => {
                return Ok(Value::U64(self.about.dropped().unroutable()));
            }
            c::ZMQ_ROUTING_ID if self.options.socket_type == SocketType::Stream => {
                if let Some(id) = self.pattern.last_peer_id() {
                    return Ok(Value::Blob(id.to_vec()));
                }
            }
            _ => {}
        }
        if (c::ZMQ_NORM_MODE..=c::ZMQ_NORM_PUSH).contains(&id) && sys::norm::norm().is_none() {
            return Err(Error::Invalid);
        }
        match self.pattern.option(id) {
            Err(Error::Invalid) => self.options.get(id),
            own => own,
        }
    }

    /// The poll events among `wanted` that a call now would find. The caller is registered as waiting `own` times. What
    /// was left for later stays so: not everybody who asks is about to wait.
    pub(super) fn events(&mut self, wanted: i32, own: usize) -> i32 {
        self.events_asking(wanted, |core| core.pull(own))
    }

    /// As [`Core::events`], from what is at hand.
    pub(super) fn events_at_hand(&mut self, wanted: i32) -> i32 {
        self.events_asking(wanted, |_| false)
    }

    /// As [`Core::events`], of a caller that has something else to do already: for each of its messages the kernel is not
    /// asked for input of this socket.
    pub(super) fn events_in_passing(&mut self, wanted: i32) -> i32 {
        const OFTEN: Duration = Duration::from_micros(50);
        self.events_asking(wanted, |core| {
            if core.attended.is_empty() {
                return false;
            }
            let now = Instant::now();
            if core.passed.is_some_and(|passed| now.duration_since(passed) < OFTEN) {
                return false;
            }
            core.passed = Some(now);
            core.pull(0)
        })
    }

    /// Writes what was left for later: the `found` events, and others of those `wanted` that this may have brought about.
    pub(super) fn events_once_written(&mut self, wanted: i32, found: i32) -> i32 {
        self.flush_left();
        if wanted & !found & c::ZMQ_POLLOUT == 0 {
            return found;
        }
        // Of all of them: this takes note of news that nobody is told again.
        self.events_at_hand(wanted)
    }

    /// Whether the caller asks for its `events`, no input among them, before each send, and has left something: the last
    /// times it came back at once.
    fn asks_amid_sending(&mut self, events: i32) -> bool {
        const AT_ONCE: Duration = Duration::from_micros(10);
        const TIMES: u8 = 4;
        if !left::any() {
            return false;
        }
        let Asked { at, times } = self.asked;
        let at_once = at.is_some_and(|asked| asked.elapsed() < AT_ONCE);
        let times = if at_once { times.saturating_add(1) } else { 0 };
        let amid = times >= TIMES && events & c::ZMQ_POLLOUT != 0;
        if !amid {
            // What is written now is not time in which the caller was elsewhere.
            left::write_out();
        }
        self.asked = Asked { at: Some(Instant::now()), times };
        amid
    }

    #[inline]
    fn events_asking(&mut self, wanted: i32, pull: impl FnOnce(&mut Core) -> bool) -> i32 {
        self.process();
        let mut events = 0;
        if wanted & c::ZMQ_POLLIN != 0 {
            let mut ready = self.pattern.can_recv(&mut self.pipes);
            if !ready && pull(self) {
                ready = self.pattern.can_recv(&mut self.pipes);
            }
            events |= if ready { c::ZMQ_POLLIN } else { 0 };
        }
        // Who asks sees how it is, and what was seen holds for the next send.
        self.pipes.set_hurried(false);
        if wanted & c::ZMQ_POLLOUT != 0 && self.pattern.can_send(&mut self.pipes) {
            events |= c::ZMQ_POLLOUT;
        }
        self.sweep();
        events
    }

    /// ZMQ_FD. From now on the I/O threads read for this socket, so that the descriptor tells of input.
    fn descriptor(&mut self) -> Result<i32, Error> {
        self.mailbox.descriptor()
    }
}
