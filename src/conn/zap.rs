//! Asking the authentication handler (RFC 27): a pipe of its own for each connection, written and read
//! by the connection's I/O thread, which never waits for the answer.
//!
//! What is asked and what an answer means is the mechanism's.

use std::collections::VecDeque;
use std::sync::Arc;

use super::worker::{Command, Worker};
use crate::hub::{Connecting, Hub};
use crate::message::Msg;
use crate::pipe::inproc::{self, Trace};
use crate::pipe::{Identity, Notice, Pipe, PipeId, PipeKey, Target};
use crate::sync::{Lock, Mailbox};

/// Where the handler listens.
const ENDPOINT: &str = "inproc://zeromq.zap.01";

/// Questions of connections that did not wait for the answer, of one I/O thread: so many a handler may still find.
/// Beyond that the oldest are taken back, for one that reads no more would collect them for ever.
const MOST_ABANDONED: usize = 1000;

/// A question on its way, or its answer. Dropping it abandons the question.
pub(super) struct Asking {
    pipe: Pipe,
    mailbox: Arc<Mailbox<Notice>>,
    answered: bool,
    abandoned: Arc<Abandoned>,
}

/// Questions whose answer nobody waits for, oldest first.
#[derive(Default)]
pub(super) struct Abandoned(Lock<VecDeque<Trace>>);

impl Abandoned {
    fn add(&self, question: Trace) {
        let oldest = {
            let mut questions = self.0.lock();
            while questions.front().is_some_and(Trace::is_lost) {
                questions.pop_front();
            }
            questions.push_back(question);
            (questions.len() > MOST_ABANDONED).then(|| questions.pop_front()).flatten()
        };
        if let Some(oldest) = oldest {
            oldest.retract();
        }
    }
}

impl Asking {
    /// Sends a request of these frames; the session `key` of `worker` is called when there is news. None
    /// when there is no handler.
    pub(super) fn start(
        hub: &Hub,
        worker: &Arc<Worker>,
        key: usize,
        frames: &[Vec<u8>],
    ) -> Option<Box<Asking>> {
        let (near, far) = inproc::pair(false);
        let abandoned = worker.abandoned().clone();
        let worker = worker.clone();
        let mailbox = Arc::new(Mailbox::with_bell(move || worker.send(Command::Answered(key))));
        // There is only this pipe, so its key never matters.
        let place = PipeKey { id: PipeId(0), generation: 0 };
        let target = Target { mailbox: mailbox.clone(), key: place };
        let mut pipe = Pipe::inproc(near);
        pipe.set_marks(0, 0);
        pipe.bind_target(target.clone());
        // Asleep before anything can be answered, so that the bell rings for the answer.
        let _nothing_yet = pipe.check_read();
        let identity = Identity::default();
        let connecting = Connecting { far, identity, near: target, token: Arc::new(()) };
        if !hub.connect_to_bound(ENDPOINT, connecting) {
            return None;
        }
        let mut asking = Asking { pipe, mailbox, answered: false, abandoned };
        asking.write(frames);
        Some(Box::new(asking))
    }

    /// Where memory does not suffice for the request nothing is asked, and the time limit ends it. Of what may
    /// be a password nothing stays behind.
    fn write(&mut self, frames: &[Vec<u8>]) {
        let last = frames.len().saturating_sub(1);
        for (n, frame) in frames.iter().enumerate() {
            let written = Msg::wiped(frame).ok().and_then(|mut part| {
                part.set_more(n != last);
                self.pipe.write(part).ok()
            });
            if written.is_none() {
                return self.pipe.rollback();
            }
        }
        self.pipe.flush();
    }

    /// The frames of the answer, once it is here.
    pub(super) fn answer(&mut self) -> Option<Vec<Msg>> {
        let mut heard = Vec::new();
        self.mailbox.take(&mut heard);
        if !self.pipe.check_read() {
            return None;
        }
        let mut frames = Vec::new();
        while let Some(part) = self.pipe.read() {
            let more = part.more();
            frames.push(part);
            if !more {
                self.answered = true;
                return Some(frames);
            }
        }
        None
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if !self.answered
            && let Some(question) = self.pipe.trace()
        {
            self.abandoned.add(question);
        }
    }
}
