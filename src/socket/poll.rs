//! Waiting for many sockets and descriptors at once (zmq_poll(3), zmq_ppoll).

use super::Socket;
use super::spin::Turn;
use super::wait::{Wait, deadline};
use crate::base::{Error, constants as c};
use crate::sys::{self, PollFd, SignalMask};
use std::time::Duration;

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The socket of this handle.
    Socket(usize),
    /// A descriptor of any kind; below 0 it is ignored.
    Fd(i32),
}

/// One thing to wait for, in the terms of `zmq_pollitem_t`.
#[derive(Clone, Copy, Debug)]
pub struct PollItem {
    /// Socket or descriptor.
    pub target: Target,
    /// `ZMQ_POLLIN`, `ZMQ_POLLOUT`, `ZMQ_POLLPRI`.
    pub events: i16,
    /// What was found.
    pub revents: i16,
}

/// Waits until any item is ready, for `timeout_ms` (below 0: for ever); how many are.
pub fn poll(items: &mut [PollItem], timeout_ms: i64) -> Result<usize, Error> {
    poll_masked(items, timeout_ms, None)
}

/// As [`poll`]; while it sleeps the thread's signal mask is `mask`.
pub fn poll_masked(
    items: &mut [PollItem],
    timeout_ms: i64,
    mask: Option<SignalMask>,
) -> Result<usize, Error> {
    let mut fds: Vec<PollFd> = items.iter().filter_map(PollItem::watched).collect();
    let ready = look(items, &mut fds, true, 0)?;
    if ready > 0 {
        return Ok(ready);
    }
    if timeout_ms == 0 {
        if mask.is_some() {
            // A signal that waited for this mask comes now, and ends the call.
            sys::poll_masked(&mut [], Some(Duration::ZERO), mask.as_ref())?;
        }
        return Ok(0);
    }
    let until = deadline(timeout_ms);
    let mut wait = Wait::new();
    wait.set_mask(mask);
    let mut looking = Looking::begin(items, mask.is_some())?;
    let mut first = true;
    loop {
        if first {
            join(items, &mut wait)?;
            first = false;
        }
        let ready = look(items, &mut fds, !looking.is_over(), 1)?;
        if ready > 0 {
            looking.end();
            return Ok(ready);
        }
        if looking.again()? {
            continue;
        }
        match wait.sleep(&mut fds, until) {
            Ok(()) => {}
            // Time is up: what came in the last moment still counts.
            Err(Error::Again) => return look(items, &mut fds, true, 1),
            Err(error) => return Err(error),
        }
        wait.rearm();
        let (ready, over) = look_after_sleep(items, &fds, 1)?;
        if ready > 0 {
            return Ok(ready);
        }
        if over {
            // What is left of the connections has to be waited for anew.
            wait = Wait::new();
            wait.set_mask(mask);
            first = true;
        }
    }
}

/// Looking again before sleeping, as the experience of the first socket that is waited for to read from says.
struct Looking(Option<(Socket, Turn)>);

impl Looking {
    fn begin(items: &[PollItem], masked: bool) -> Result<Looking, Error> {
        /// To look at more takes longer than to wake up.
        const FEW: usize = 4;
        let reads = |item: &PollItem| match item.target {
            Target::Socket(handle) if i32::from(item.events) & c::ZMQ_POLLIN != 0 => Some(handle),
            _ => None,
        };
        let socket = items.iter().find_map(reads).filter(|_| items.len() <= FEW && !masked);
        let turn = |handle| {
            let turn = Socket(handle).enter()?.spin.begin();
            Ok((Socket(handle), turn))
        };
        socket.map(turn).transpose().map(Looking)
    }

    /// Whether the next thing to do is to sleep.
    fn is_over(&self) -> bool {
        self.0.as_ref().is_none_or(|(_, turn)| turn.sleeps())
    }

    fn again(&mut self) -> Result<bool, Error> {
        match &mut self.0 {
            Some((socket, turn)) if !turn.sleeps() => Ok(socket.enter()?.spin.again(turn)),
            _ => Ok(false),
        }
    }

    /// Something was found.
    fn end(self) {
        if let Some((socket, turn)) = self.0
            && !turn.sleeps()
            && let Ok(mut core) = socket.enter()
        {
            core.spin.end(&turn);
        }
    }
}

impl PollItem {
    fn watched(&self) -> Option<PollFd> {
        match self.target {
            Target::Socket(_) => None,
            Target::Fd(fd) => {
                let pairs = [
                    (c::ZMQ_POLLIN, libc::POLLIN),
                    (c::ZMQ_POLLOUT, libc::POLLOUT),
                    (c::ZMQ_POLLPRI, libc::POLLPRI),
                ];
                let wanted = i32::from(self.events);
                let mut bits = 0;
                for (ours, theirs) in pairs {
                    bits |= if wanted & ours != 0 { theirs } else { 0 };
                }
                Some(PollFd::new(fd, bits))
            }
        }
    }

    fn found(&mut self, revents: i16) {
        let mut events = 0;
        if revents & libc::POLLIN != 0 {
            events |= c::ZMQ_POLLIN;
        }
        if revents & libc::POLLOUT != 0 {
            events |= c::ZMQ_POLLOUT;
        }
        if revents & libc::POLLPRI != 0 {
            events |= c::ZMQ_POLLPRI;
        }
        if revents & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0 {
            events |= c::ZMQ_POLLERR;
        }
        self.revents = events as i16;
    }
}

/// Looks at every item without waiting. The caller is registered with each socket `own` times.
fn look(
    items: &mut [PollItem],
    fds: &mut [PollFd],
    ask_kernel: bool,
    own: usize,
) -> Result<usize, Error> {
    if ask_kernel && !fds.is_empty() {
        sys::poll(fds, Some(Duration::ZERO))?;
    }
    look_after_sleep(items, fds, own).map(|(ready, _)| ready)
}

/// How many items are ready, and whether a connection was waited for that is over.
fn look_after_sleep(
    items: &mut [PollItem],
    fds: &[PollFd],
    own: usize,
) -> Result<(usize, bool), Error> {
    let mut fds = fds.iter();
    let (mut ready, mut over) = (0, false);
    for item in items.iter_mut() {
        match item.target {
            Target::Fd(_) => item.found(fds.next().map_or(0, PollFd::revents)),
            Target::Socket(handle) => {
                let mut core = Socket(handle).enter()?;
                item.revents = core.events(i32::from(item.events), own) as i16;
                over |= core.attended_over;
            }
        }
        ready += usize::from(item.revents != 0);
    }
    Ok((ready, over))
}

/// Registers with every socket once, however often it is listed.
fn join(items: &[PollItem], wait: &mut Wait) -> Result<(), Error> {
    let mut seen: Vec<usize> = Vec::new();
    for item in items {
        let Target::Socket(handle) = item.target else { continue };
        if seen.contains(&handle) {
            continue;
        }
        seen.push(handle);
        let mut core = Socket(handle).enter()?;
        core.flush_left();
        let reading = i32::from(item.events) & c::ZMQ_POLLIN != 0;
        wait.join(&mut core, reading);
    }
    Ok(())
}
