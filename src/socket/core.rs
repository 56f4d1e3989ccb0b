//! The state of a socket and its dealings with pipes coming and going.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::Environment;
use super::about::About;
use super::endpoints::Endpoint;
use super::express::Express;
use super::monitor::Monitor;
use super::spin::Spin;
use super::wait::Attended;
use crate::base::Error;
use crate::conn::Owner;
use crate::message::Returns;
use crate::options::{Options, SocketType};
use crate::pattern::{Attach, Pattern};
use crate::pipe::{NewPipe, Notice, PipeId, Pipes, Target};
use crate::sync::Mailbox;
use crate::sys::PollFd;
use crate::zmtp::handshake;

/// When a caller was last told of no input by ZMQ_EVENTS, and how many times running it was back at once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    pub(super) at: Option<Instant>,
    pub(super) times: u8,
}

/// One open socket. Apart from what other threads use, so that no call takes a cache line from them.
#[repr(align(128))]
pub(super) struct Core {
    pub(super) environment: Arc<Environment>,
    pub(super) serial: u64,
    pub(super) options: Arc<Options>,
    pub(super) pattern: Box<dyn Pattern>,
    pub(super) pipes: Pipes,
    pub(super) mailbox: Arc<Mailbox<Notice>>,
    pub(super) owner: Arc<Owner>,
    pub(super) monitor: Arc<Monitor>,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) next_endpoint: u64,
    /// What handshakes go by, and the options that it was made of: many connections share it.
    pub(super) handshake: Option<(Arc<Options>, Arc<handshake::Config>)>,
    pub(super) about: Arc<About>,
    pub(super) express: Express,
    /// The last part received has more after it.
    pub(super) more_to_read: bool,
    /// Receives since other threads' news were last looked at.
    pub(super) unheeded: u32,
    /// Connections of this socket that its callers may have to read.
    pub(super) attended: Arc<Vec<Attended>>,
    /// One of them turned out not to be in their hands any more.
    pub(super) attended_over: bool,
    /// When a caller that had something else to do last asked the kernel for what they have.
    pub(super) passed: Option<Instant>,
    pub(super) asked: Asked,
    pub(super) fds: Vec<PollFd>,
    pub(super) spin: Spin,
    /// Pipes whose far side is gone and that still hold something to read.
    ending: Vec<PipeId>,
    notices: Vec<Notice>,
    /// Where memory of its user's is left to be given back, once some was sent.
    pub(super) returns: Option<Arc<Returns>>,
    /// A call has said that the context ends.
    told_of_end: Cell<bool>,
}

impl Core {
    pub(super) fn new(
        environment: Arc<Environment>,
        options: Options,
        pattern: Box<dyn Pattern>,
        token: Box<dyn std::any::Any + Send + Sync>,
    ) -> Core {
        let mailbox: Arc<Mailbox<Notice>> = Arc::default();
        let monitor = Monitor::new(environment.hub.clone(), environment.next_serial());
        let owner = Owner::new(mailbox.clone(), monitor.clone(), token);
        let pipes = Pipes::new();
        Core {
            serial: environment.next_serial(),
            environment,
            about: Arc::new(About::new(options.socket_type, pipes.dropped().clone())),
            options: Arc::new(options),
            pattern,
            pipes,
            mailbox,
            owner,
            monitor,
            endpoints: Vec::new(),
            next_endpoint: 1,
            handshake: None,
            express: Express::default(),
            more_to_read: false,
            unheeded: 0,
            attended: Arc::default(),
            attended_over: false,
            passed: None,
            asked: Asked::default(),
            fds: Vec::new(),
            spin: Spin::default(),
            ending: Vec::new(),
            notices: Vec::new(),
            returns: None,
            told_of_end: Cell::new(false),
        }
    }

    /// ETERM once the context ends.
    #[inline]
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.environment.stopping.load(Ordering::Relaxed) {
            self.told_of_end.set(true);
            return Err(Error::Term);
        }
        Ok(())
    }

    /// As [`Core::check`], for options: ETERM once another call said so. LINGER can still be set in time by who learns from
    /// elsewhere that the context ends.
    pub(super) fn check_for_options(&self) -> Result<(), Error> {
        if self.told_of_end.get() { self.check() } else { Ok(()) }
    }

    /// Heeds what other threads left.
    #[inline]
    pub(super) fn process(&mut self) {
        self.unheeded = 0;
        if self.mailbox.pending() {
            self.process_notices();
        }
        self.sweep();
    }

    #[cold]
    fn process_notices(&mut self) {
        self.express.end();
        let mut notices = std::mem::take(&mut self.notices);
        self.mailbox.take(&mut notices);
        for notice in notices.drain(..) {
            self.heed(notice);
        }
        self.notices = notices;
    }

    fn heed(&mut self, notice: Notice) {
        match notice {
            Notice::Readable(key) => {
                if let Some(id) = self.pipes.resolve(key) {
                    self.pattern.readable(&mut self.pipes, id);
                }
            }
            Notice::Writable(key) => {
                if let Some(id) = self.pipes.resolve(key) {
                    self.pattern.writable(&mut self.pipes, id);
                }
            }
            Notice::Ended(key) => {
                if let Some(id) = self.pipes.resolve(key) {
                    self.ended(id);
                }
            }
            Notice::Identified(key, identity) => {
                let Some(id) = self.pipes.resolve(key) else { return };
                if identity.subscribe_to_all {
                    self.pattern.subscribe_to_all(&mut self.pipes, id);
                }
                self.pattern.identify(&mut self.pipes, id, &identity.routing_id);
            }
            Notice::Hiccup(key) => {
                if let Some(id) = self.pipes.resolve(key) {
                    self.pattern.hiccup(&mut self.pipes, id);
                }
            }
            // Accepted, but its endpoint was given up while it was on its way here.
            Notice::Attach(new)
                if !new.initiator
                    && !new.pipe.is_inproc()
                    && self.endpoints.iter().all(|known| known.id != new.endpoint) => {}
            Notice::Attach(new) => {
                self.attach(*new, None);
            }
            Notice::CountsWanted(key, theirs) => {
                if let Some(pipe) = self.pipes.resolve(key).and_then(|id| self.pipes.get(id)) {
                    pipe.tell_counts(theirs);
                }
            }
            Notice::Counts(key, counts) => {
                if let Some(id) = self.pipes.resolve(key) {
                    self.tell_counts(id, counts);
                }
            }
            Notice::EndpointGone(endpoint) => {
                self.endpoints.retain(|known| known.id != endpoint);
            }
            Notice::Nudge => {}
        }
    }

    /// Takes a new pipe in.
    pub(super) fn attach(&mut self, new: NewPipe, assigned_id: Option<Vec<u8>>) -> PipeId {
        let NewPipe { mut pipe, identity, endpoint, initiator } = new;
        pipe.set_endpoint(endpoint);
        pipe.set_initiator(initiator);
        if pipe.is_inproc() {
            pipe.set_marks(self.options.sndhwm, self.options.rcvhwm);
            // Who binds has left its greeting with the name.
            let hello = self.hello_inproc();
            if initiator && !hello.is_empty() {
                pipe.greet(hello);
            }
        }
        let key = self.pipes.insert(pipe);
        let id = key.id;
        if let Some(pipe) = self.pipes.get(id) {
            pipe.bind_target(Target { mailbox: self.mailbox.clone(), key });
            if let Some(identity) = &identity {
                pipe.set_metadata(identity.metadata.clone());
            }
        }
        let subscribe_to_all = identity.as_ref().is_some_and(|who| who.subscribe_to_all);
        let to_group = identity.as_ref().is_some_and(|who| who.is_group);
        let how = Attach { initiator, subscribe_to_all, to_group, assigned_id };
        self.pattern.attach(&mut self.pipes, id, how);
        if let Some(identity) = identity {
            self.pattern.identify(&mut self.pipes, id, &identity.routing_id);
        }
        self.wake_pipe(id);
        id
    }

    /// What ZMQ_HELLO_MSG makes this socket say to its peers within the context.
    pub(super) fn hello_inproc(&self) -> &[u8] {
        use SocketType::{Client, Dealer, Peer, Rep, Req, Router, Server};
        match self.options.socket_type {
            Router | Rep | Dealer | Req | Server | Client | Peer => &self.options.hello_msg,
            _ => &[],
        }
    }

    /// What ZMQ_DISCONNECT_MSG makes this socket see at the end of its peers within the context.
    pub(super) fn last_words_inproc(&self) -> &[u8] {
        use SocketType::{Peer, Rep, Router, Server};
        match self.options.socket_type {
            Router | Rep | Server | Peer => &self.options.disconnect_msg,
            _ => &[],
        }
    }

    /// Tells the pattern about a pipe's input and end, if there is either: they may have come before the
    /// pipe had a place to report to.
    fn wake_pipe(&mut self, id: PipeId) {
        if self.pipes.get(id).is_some_and(|pipe| pipe.check_read()) {
            self.pattern.readable(&mut self.pipes, id);
        }
        if self.pipes.get(id).is_some_and(|pipe| pipe.ended()) {
            self.ended(id);
        }
    }

    /// The far side of a pipe is gone: the pipe goes too, once what it holds was read.
    pub(super) fn ended(&mut self, id: PipeId) {
        self.express.end();
        let over = self.pipes.get(id).is_none_or(|pipe| {
            pipe.exhausted() || pipe.retracted() && !self.pattern.is_amid_message_of(id)
        });
        if over || !self.pattern.drains_input(&mut self.pipes, id) {
            self.remove(id);
        } else if !self.ending.contains(&id) {
            self.ending.push(id);
            self.pattern.readable(&mut self.pipes, id);
        }
    }

    /// Lets a pipe go.
    pub(super) fn remove(&mut self, id: PipeId) {
        self.express.end();
        self.ending.retain(|ending| *ending != id);
        if self.pipes.get(id).is_some() {
            self.pattern.detach(&mut self.pipes, id);
            self.pipes.remove(id);
        }
    }

    /// Whether no pipe is on its way out.
    #[inline]
    pub(super) fn is_swept(&self) -> bool {
        self.ending.is_empty()
    }

    /// Lets go of pipes that are over: exhausted ones, and those the pattern ended.
    #[inline(always)]
    pub(super) fn sweep(&mut self) {
        if !self.ending.is_empty() {
            self.sweep_ending();
        }
        if self.pipes.take_sweep() {
            self.sweep_dropping();
        }
    }

    #[cold]
    fn sweep_dropping(&mut self) {
        for id in self.pipes.ids() {
            if self.pipes.get(id).is_some_and(|pipe| pipe.dropping()) {
                self.ended(id);
            }
        }
    }

    #[cold]
    fn sweep_ending(&mut self) {
        for id in self.ending.clone() {
            if self.pipes.get(id).is_none_or(|pipe| pipe.exhausted()) {
                self.remove(id);
            }
        }
    }

    /// Closes: queued messages go on within LINGER, everything else ends.
    pub(super) fn close(mut self: Box<Self>) {
        self.process();
        self.about.close();
        let linger_ms = self.options.linger_ms;
        self.environment.hub.unbind_all(self.serial);
        for endpoint in &self.endpoints {
            endpoint.stop(linger_ms);
        }
        for (_, pipe) in self.pipes.iter_mut() {
            pipe.close(linger_ms);
        }
        self.owner.close();
        // Whoever waits on this socket finds that it is gone.
        self.mailbox.ring();
    }
}
