//! Monitors: what happens to a socket's connections, as messages on an inproc name.
//!
//! Events come from any thread and must not wait, so there is no socket behind the name: its pipes are
//! written to directly. What happens before anybody listens is kept, up to a bound.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use crate::base::{Error, constants as c, endpoint};
use crate::conn::{Event, Observer};
use crate::hub::{Bound, Hub};
use crate::message::Msg;
use crate::pipe::{Counts, Identity, Notice, Pipe};
use crate::sync::{Lock, Mailbox};
use crate::transport::{Scheme, scheme_of};

/// Events kept for a listener that is not there yet, and the send mark afterwards.
const MARK: i32 = 1000;

/// The monitor of one socket, active or not.
pub(super) struct Monitor {
    hub: Arc<Hub>,
    serial: u64,
    active: Lock<Option<Active>>,
    myself: Weak<Monitor>,
}

struct Active {
    events: u64,
    version: i32,
    name: String,
    mailbox: Arc<Mailbox<Notice>>,
    pipes: Vec<Pipe>,
    /// Every listener gets everything, and nothing is kept (PUB).
    spreads: bool,
    backlog: VecDeque<Vec<Msg>>,
}

impl Monitor {
    pub(super) fn new(hub: Arc<Hub>, serial: u64) -> Arc<Monitor> {
        Arc::new_cyclic(|myself| Monitor {
            hub,
            serial,
            active: Lock::new(None),
            myself: myself.clone(),
        })
    }

    /// See [`super::Socket::monitor`].
    pub(super) fn set_up(
        &self,
        address: Option<&str>,
        events: u64,
        version: i32,
        socket_type: i32,
    ) -> Result<(), Error> {
        const V1_EVENTS: u64 = 0xffff;
        if version == 1 && events & !V1_EVENTS != 0 {
            return Err(Error::Invalid);
        }
        let Some(address) = address else {
            self.stop();
            return Ok(());
        };
        let (protocol, _) = endpoint::split(address)?;
        if scheme_of(protocol)? != Scheme::Inproc {
            return Err(Error::ProtoNotSupported);
        }
        self.stop();
        if ![c::ZMQ_PAIR, c::ZMQ_PUB, c::ZMQ_PUSH].contains(&socket_type) {
            return Err(Error::Invalid);
        }
        let mailbox: Arc<Mailbox<Notice>> = Arc::default();
        let myself = self.myself.clone();
        let bound = Bound {
            owner: self.serial,
            mailbox: mailbox.clone(),
            marks: (MARK, MARK),
            identity: Identity::default(),
            endpoint: 0,
            hello: Vec::new(),
            last_words: Vec::new(),
            forgets: false,
            on_attach: Some(Arc::new(move || {
                if let Some(monitor) = myself.upgrade() {
                    monitor.catch_up();
                }
            })),
        };
        let mut active = self.active.lock();
        *active = Some(Active {
            events,
            version,
            name: address.to_owned(),
            mailbox,
            pipes: Vec::new(),
            spreads: socket_type == c::ZMQ_PUB,
            backlog: VecDeque::new(),
        });
        drop(active);
        let bound = self.hub.bind(address, bound);
        if bound.is_err() {
            self.active.lock().take();
        } else {
            // Who connected before the bind is waiting already.
            self.catch_up();
        }
        bound
    }

    /// Whether somebody listens to pipe statistics.
    pub(super) fn wants_stats(&self) -> bool {
        let wanted = u64::from(c::ZMQ_EVENT_PIPES_STATS.unsigned_abs());
        self.active.lock().as_ref().is_some_and(|active| active.events & wanted != 0)
    }

    /// Tells what waits in one pipe.
    pub(super) fn tell_counts(&self, counts: Counts, local: &str, remote: &str) {
        if let Some(active) = &mut *self.active.lock() {
            let code = c::ZMQ_EVENT_PIPES_STATS;
            let event = Event { code, value: 0, local, remote, accepting: false };
            active.tell_values(&event, &[counts.outgoing, counts.incoming]);
        }
    }

    /// Ends the monitor with a last event.
    pub(super) fn stop(&self) {
        let Some(mut active) = self.active.lock().take() else { return };
        let last = Event {
            code: c::ZMQ_EVENT_MONITOR_STOPPED,
            value: 0,
            local: "",
            remote: "",
            accepting: true,
        };
        active.tell(&last);
        // The name is ours, or the monitor would not be active.
        let _freed = self.hub.unbind(&active.name, self.serial);
    }

    fn catch_up(&self) {
        if let Some(active) = &mut *self.active.lock() {
            active.take_listeners();
            active.work_off();
        }
    }
}

impl Observer for Monitor {
    fn event(&self, event: &Event<'_>) {
        if let Some(active) = &mut *self.active.lock() {
            active.tell(event);
        }
    }

    fn listens(&self) -> bool {
        self.active.lock().is_some()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Active {
    fn tell(&mut self, event: &Event<'_>) {
        self.tell_values(event, &[event.value]);
    }

    /// Tells an event that has these values (in version 1 there is only room for the first).
    fn tell_values(&mut self, event: &Event<'_>, values: &[u64]) {
        if self.events & u64::from(event.code.unsigned_abs()) == 0 {
            return;
        }
        let Some(frames) = self.frames(event, values) else { return };
        self.take_listeners();
        if self.backlog.len() < MARK as usize {
            self.backlog.push_back(frames);
        }
        self.work_off();
    }

    fn frames(&self, event: &Event<'_>, values: &[u64]) -> Option<Vec<Msg>> {
        let frames: Vec<Vec<u8>> = match self.version {
            1 => {
                let mut head = (event.code as u16).to_ne_bytes().to_vec();
                head.extend_from_slice(&(event.value as u32).to_ne_bytes());
                let shown = if event.accepting { event.local } else { event.remote };
                vec![head, shown.as_bytes().to_vec()]
            }
            2 => {
                let head = [event.code as u64, values.len() as u64];
                let numbers = head.iter().chain(values).map(|n| n.to_ne_bytes().to_vec());
                let addresses = [event.local, event.remote].map(|text| text.as_bytes().to_vec());
                numbers.chain(addresses).collect()
            }
            // Other versions are accepted and deliver nothing, as with the genuine library.
            _ => return None,
        };
        let last = frames.len() - 1;
        let mut parts = Vec::with_capacity(frames.len());
        for (n, frame) in frames.into_iter().enumerate() {
            let mut msg = Msg::copy_of(&frame).ok()?;
            msg.set_more(n != last);
            parts.push(msg);
        }
        Some(parts)
    }

    fn take_listeners(&mut self) {
        if self.mailbox.pending() {
            let mut notices = Vec::new();
            self.mailbox.take(&mut notices);
            for notice in notices {
                if let Notice::Attach(new) = notice {
                    self.pipes.push(new.pipe);
                }
            }
        }
        self.pipes.retain(|pipe| !pipe.ended());
    }

    /// Writes what waits: to everybody, or to the first who takes it.
    fn work_off(&mut self) {
        if self.pipes.is_empty() && self.spreads {
            self.backlog.clear();
        }
        while let Some(parts) = self.backlog.front_mut() {
            let mut taken = false;
            for pipe in &mut self.pipes {
                if !pipe.check_write() {
                    continue;
                }
                for part in parts.iter_mut() {
                    // Only the first part can be refused, and room for it was just seen.
                    if let Ok(copy) = part.share() {
                        let _written = pipe.write(copy);
                    }
                }
                pipe.flush();
                taken = true;
                if !self.spreads {
                    break;
                }
            }
            if !taken && !self.spreads {
                return;
            }
            self.backlog.pop_front();
        }
    }
}
