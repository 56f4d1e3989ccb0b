//! Sending and receiving.

use std::ops::RangeInclusive;

use super::Socket;
use super::core::Core;
use super::room::ease;
use super::wait::{Attempt, deadline};
use crate::base::Error;
use crate::base::constants::{ZMQ_DONTWAIT, ZMQ_SNDMORE};
use crate::message::Msg;
use crate::options::SocketType;
use crate::pipe::wire::PAST;
use crate::sync::handles::Guard;

/// Receives that find data between two looks at what other threads left.
const HEED_EVERY: u32 = 100;
/// So many bytes may be copied under a socket's lock.
const SMALL: usize = 8192;
/// A part with so many is sent as its bytes, where it is nothing else.
const COPIED: usize = 4096;
/// A connection may write so many from where they lie; of more the kernel takes but a part at once.
const LARGE: RangeInclusive<usize> = PAST..=1024 * 1024;

impl Socket {
    /// Sends a part (zmq_msg_send(3)): its size, `msg` left empty; on failure `msg` is as it was.
    #[inline]
    pub fn send(self, msg: &mut Msg, flags: i32) -> Result<usize, Error> {
        let mut guard = self.enter_express()?;
        if msg.metadata().is_some() {
            msg.set_metadata(None);
        }
        match msg.bare_bytes(COPIED) {
            Some(bytes) if guard.send_plain(bytes, flags) => {
                let size = bytes.len();
                msg.clear();
                return Ok(size);
            }
            Some(_) => {}
            None => {
                guard.process();
                guard.express.end_output();
                if msg.is_foreign() {
                    return self.send_foreign(guard, msg, flags);
                }
            }
        }
        self.send_in(guard, msg, flags)
    }

    /// Sends bytes with a function of the user's to free them.
    #[cold]
    fn send_foreign(
        self,
        mut guard: Guard<'static, Box<Core>>,
        msg: &mut Msg,
        flags: i32,
    ) -> Result<usize, Error> {
        use SocketType::{Pub, Radio, Rep, Router, Server, Stream, XPub};
        guard.see_to_return(msg);
        let drops = matches!(
            guard.options.socket_type,
            Pub | XPub | Router | Rep | Radio | Server | Stream
        );
        if !drops || !guard.pipes.is_empty() {
            return self.send_in(guard, msg, flags);
        }
        // There is nobody: it is dropped within this call, and the user may count on that.
        let kept = msg.share()?;
        let sent = self.send_in(guard, msg, flags);
        kept.close();
        sent
    }

    /// Sends a copy of `bytes` as a part (zmq_send(3)): its size.
    #[inline]
    pub fn send_bytes(self, bytes: &[u8], flags: i32) -> Result<usize, Error> {
        if bytes.len() > SMALL {
            if LARGE.contains(&bytes.len()) && self.enter_express()?.send_plain(bytes, flags) {
                return Ok(bytes.len());
            }
            // Copied before the lock is taken.
            return self.send(&mut Msg::copy_of(bytes)?, flags);
        }
        let mut guard = self.enter_express()?;
        if guard.send_plain(bytes, flags) {
            return Ok(bytes.len());
        }
        self.send_in(guard, &mut Msg::copy_of(bytes)?, flags)
    }

    fn send_in(
        self,
        mut guard: Guard<'static, Box<Core>>,
        msg: &mut Msg,
        flags: i32,
    ) -> Result<usize, Error> {
        let core: &mut Core = &mut guard;
        let size = msg.size();
        msg.set_more(flags & ZMQ_SNDMORE != 0);
        core.pipes.set_hurried(flags & ZMQ_DONTWAIT != 0);
        match core.send(msg) {
            Ok(()) => {
                if core.pipes.is_heavy() {
                    ease(guard, flags);
                }
                Ok(size)
            }
            Err(Error::Again) => self.send_later(guard, msg, flags).map(|()| size),
            Err(error) => Err(error),
        }
    }

    #[cold]
    fn send_later(
        self,
        mut core: Guard<'static, Box<Core>>,
        msg: &mut Msg,
        flags: i32,
    ) -> Result<(), Error> {
        let timeout_ms = core.options.sndtimeo_ms;
        let waits = flags & ZMQ_DONTWAIT == 0 && timeout_ms != 0;
        if core.pattern.take_spoilt() {
            if waits {
                *msg = Msg::new();
                return Ok(());
            }
            return Err(Error::Again);
        }
        if !waits {
            return Err(Error::Again);
        }
        drop(core);
        let until = deadline(i64::from(timeout_ms));
        self.wait_for(false, until, |core| match core.send(msg) {
            Ok(()) => Ok(Attempt::Done(())),
            Err(Error::Again) if core.pattern.take_spoilt() => {
                *msg = Msg::new();
                Ok(Attempt::Done(()))
            }
            Err(Error::Again) => Ok(Attempt::Later),
            Err(error) => Err(error),
        })
    }

    /// Receives a part (zmq_msg_recv(3)).
    pub fn recv(self, flags: i32) -> Result<Msg, Error> {
        let mut msg = Msg::new();
        self.recv_into(&mut msg, flags)?;
        Ok(msg)
    }

    /// As [`Socket::recv`], into a message of the caller's: its size. Where none is there [`Error::Again`] comes with
    /// `msg` left empty, as in libzmq; on other errors it is as it was, if the call did not wait.
    #[inline]
    pub fn recv_into(self, msg: &mut Msg, flags: i32) -> Result<usize, Error> {
        if msg.is_foreign() {
            return self.receive_over(msg, flags);
        }
        self.receive(msg, flags, false)
    }

    /// What was in the message is the user's, whose function is called when no lock is held any more: at the end of the
    /// call, also where that waits.
    #[cold]
    fn receive_over(self, msg: &mut Msg, flags: i32) -> Result<usize, Error> {
        let old = msg.share()?;
        let received = self.receive(msg, flags, false);
        old.close();
        received
    }

    /// As [`Socket::recv_into`], for callers that only want the bytes: the message has no metadata.
    #[inline]
    pub fn recv_bare(self, msg: &mut Msg, flags: i32) -> Result<usize, Error> {
        self.receive(msg, flags, true)
    }

    /// Receives a part (zmq_recv(3)): copies as many of its bytes as fit, and tells how many it has.
    #[inline]
    pub fn recv_bytes(self, into: &mut [u8], flags: i32) -> Result<usize, Error> {
        let mut guard = self.enter_express()?;
        let core: &mut Core = &mut guard;
        core.begin_receive();
        if let Some(size) = core.recv_express(into) {
            core.more_to_read = false;
            return Ok(size);
        }
        if let Some((size, more)) = core.pattern.recv_bytes(&mut core.pipes, into) {
            core.more_to_read = more;
            core.sweep();
            if more {
                core.express.end_input();
            } else {
                core.begin_express_input();
            }
            return Ok(size);
        }
        // Received in place: a message that comes as part of a result is moved once more.
        let mut msg = Msg::new();
        let size = self.receive_in(guard, &mut msg, flags, true)?;
        let fits = size.min(into.len());
        into[..fits].copy_from_slice(&msg.data()[..fits]);
        msg.close();
        Ok(size)
    }

    #[inline]
    fn receive(self, msg: &mut Msg, flags: i32, bare: bool) -> Result<usize, Error> {
        let mut guard = self.enter_express()?;
        let core: &mut Core = &mut guard;
        core.begin_receive();
        if core.recv_express_into(msg, bare) {
            core.more_to_read = false;
            return Ok(msg.size());
        }
        self.receive_in(guard, msg, flags, bare)
    }

    #[inline]
    fn receive_in(
        self,
        mut guard: Guard<'static, Box<Core>>,
        msg: &mut Msg,
        flags: i32,
        bare: bool,
    ) -> Result<usize, Error> {
        let core: &mut Core = &mut guard;
        core.express.end_input();
        match core.recv_in_mood(msg, bare) {
            Ok(()) => {
                if !core.more_to_read {
                    core.begin_express_input();
                }
                Ok(msg.size())
            }
            Err(Error::Again) => self.recv_later(guard, msg, flags, bare),
            Err(error) => Err(error),
        }
    }

    #[cold]
    fn recv_later(
        self,
        mut core: Guard<'static, Box<Core>>,
        msg: &mut Msg,
        flags: i32,
        bare: bool,
    ) -> Result<usize, Error> {
        core.process();
        core.pull(0);
        match core.recv_in_mood(msg, bare) {
            Ok(()) => return Ok(msg.size()),
            Err(Error::Again) => {}
            Err(error) => return Err(error),
        }
        // What was there goes before the wait, so that it is not kept beside what comes; but in libzmq not with
        // these types. Given back without the lock, for that may call a function of the user's.
        let keeps = matches!(core.options.socket_type, SocketType::XPub | SocketType::Stream);
        let old = (!keeps).then(|| msg.take());
        let timeout_ms = core.options.rcvtimeo_ms;
        let waits = flags & ZMQ_DONTWAIT == 0 && timeout_ms != 0;
        if !waits {
            core.flush_left();
        }
        drop(core);
        old.into_iter().for_each(Msg::close);
        if !waits {
            return Err(Error::Again);
        }
        let until = deadline(i64::from(timeout_ms));
        self.wait_for(true, until, |core| match core.recv_in_mood(msg, bare) {
            Ok(()) => Ok(Attempt::Done(msg.size())),
            Err(Error::Again) => Ok(Attempt::Later),
            Err(error) => Err(error),
        })
    }
}

impl Core {
    /// Sends a part that is but these bytes; false, with nothing done, where it takes more than that.
    #[inline(always)]
    fn send_plain(&mut self, bytes: &[u8], flags: i32) -> bool {
        self.send_express(bytes, flags) || self.send_plain_anew(bytes, flags)
    }

    /// As [`Core::send_plain`], where it is not like the one before.
    #[inline]
    fn send_plain_anew(&mut self, bytes: &[u8], flags: i32) -> bool {
        self.process();
        self.pipes.set_hurried(flags & ZMQ_DONTWAIT != 0);
        let more = flags & ZMQ_SNDMORE != 0;
        let sent = self.pattern.send_bytes(&mut self.pipes, bytes, more);
        if sent && !more {
            self.begin_express_output();
        } else {
            self.express.end_output();
        }
        sent
    }

    /// Receives a part, whose metadata nobody has a use for if `bare`. What is fetched ahead keeps its own: the next
    /// call may have.
    #[inline]
    fn recv_in_mood(&mut self, msg: &mut Msg, bare: bool) -> Result<(), Error> {
        self.pipes.set_bare(bare);
        let received = self.recv(msg);
        self.pipes.set_bare(false);
        received
    }

    /// Now and then looks at what other threads left.
    #[inline]
    fn begin_receive(&mut self) {
        self.unheeded += 1;
        if self.unheeded >= HEED_EVERY {
            self.process();
        }
    }

    /// Has an I/O thread give the memory of a message back: its function may wait for what this caller holds, or this
    /// one for a lock under which the message is dropped. Where a context has no such thread nobody else can.
    #[cold]
    fn see_to_return(&mut self, msg: &Msg) {
        if self.returns.is_none() {
            let workers = self.environment.workers();
            let worker = workers.ok().and_then(|workers| workers.choose(self.options.affinity));
            self.returns = worker.map(|worker| worker.returns().clone());
        }
        if let Some(returns) = &self.returns {
            msg.give_back_by(returns);
        }
    }

    #[inline]
    fn send(&mut self, msg: &mut Msg) -> Result<(), Error> {
        self.pattern.send(&mut self.pipes, msg)
    }

    #[inline]
    fn recv(&mut self, msg: &mut Msg) -> Result<(), Error> {
        self.pattern.recv_into(&mut self.pipes, msg)?;
        self.more_to_read = msg.more();
        self.sweep();
        Ok(())
    }
}
