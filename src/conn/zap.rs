//! Asking the authentication handler (RFC 27): a pipe of its own for each connection, written and read
//! by the connection's I/O thread, which never waits for the answer.
//!
//! What is asked and what an answer means is the mechanism's.

use std::sync::Arc;

use super::worker::{Command, Worker};
use crate::hub::{Connecting, Hub};
use crate::message::Msg;
use crate::pipe::{Identity, Notice, Pipe, PipeId, PipeKey, Target, inproc};
use crate::sync::Mailbox;

/// Where the handler listens.
const ENDPOINT: &str = "inproc://zeromq.zap.01";

/// A question on its way, or its answer. Dropping it takes the question back.
pub(super) struct Asking {
    pipe: Pipe,
    mailbox: Arc<Mailbox<Notice>>,
}

impl Asking {
    /// Sends a request of these frames; the session `key` of `worker` is called when there is news. None
    /// when there is no handler.
    pub(super) fn start(
        hub: &Hub,
        worker: &Arc<Worker>,
        key: usize,
        frames: &[Vec<u8>],
    ) -> Option<Asking> {
        let (near, far) = inproc::pair(false);
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
        let mut asking = Asking { pipe, mailbox };
        asking.write(frames);
        Some(asking)
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
                return Some(frames);
            }
        }
        None
    }
}
