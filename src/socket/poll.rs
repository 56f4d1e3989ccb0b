//! Waiting for many sockets and descriptors at once (zmq_poll(3), zmq_ppoll).

use super::Socket;
use super::spin::Turn;
use super::wait::{Wait, deadline};
use crate::base::{Error, constants as c};
use crate::pipe::left;
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
    let ready = look_first(items, &mut fds)?;
    if ready > 0 {
        return Ok(ready);
    }
    if timeout_ms == 0 {
        left::write_out();
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
        let ready = look(items, &mut fds, 1)?;
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
            Err(Error::Again) => return look(items, &mut fds, 1),
            Err(error) => return Err(error),
        }
        wait.rearm();
        let (ready, over) = look_asked(items, &fds, 1)?;
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

/// Looks at every item, for one that is ready by now.
///
/// One that forwards messages one by one asks like this for each: if the first one is at hand, the others' connections
/// are not read every time.
fn look_first(items: &mut [PollItem], fds: &mut [PollFd]) -> Result<usize, Error> {
    if items.len() == 1 {
        return look(items, fds, 0);
    }
    ask_kernel(fds)?;
    if !at_hand(items)? {
        return look_asked(items, fds, 0).map(|(ready, _)| ready);
    }
    let mut fds = fds.iter();
    for item in items.iter_mut() {
        match item.target {
            Target::Fd(_) => item.found(fds.next().map_or(0, PollFd::revents)),
            Target::Socket(handle) => {
                let lacking = i32::from(item.events & !item.revents);
                if lacking & c::ZMQ_POLLIN != 0 {
                    let mut core = Socket(handle).enter()?;
                    item.revents = core.events_in_passing(i32::from(item.events)) as i16;
                }
            }
        }
    }
    Ok(items.iter().filter(|item| item.revents != 0).count())
}

/// Notes what the sockets have at hand; whether it is anything.
fn at_hand(items: &mut [PollItem]) -> Result<bool, Error> {
    let mut any = false;
    for item in items.iter_mut() {
        let Target::Socket(handle) = item.target else { continue };
        let mut core = Socket(handle).enter()?;
        item.revents = core.events_at_hand(i32::from(item.events)) as i16;
        any |= item.revents != 0;
    }
    Ok(any)
}

/// Looks at every item without waiting. The caller is registered with each socket `own` times.
fn look(items: &mut [PollItem], fds: &mut [PollFd], own: usize) -> Result<usize, Error> {
    ask_kernel(fds)?;
    look_asked(items, fds, own).map(|(ready, _)| ready)
}

/// Comes before sockets are looked at: one of the descriptors may be a socket's own, which says that there is something
/// to look at until somebody does.
fn ask_kernel(fds: &mut [PollFd]) -> Result<(), Error> {
    if !fds.is_empty() {
        sys::poll(fds, Some(Duration::ZERO))?;
    }
    Ok(())
}

/// How many items are ready by what the kernel has said of descriptors, and whether a connection was waited for that is
/// over.
fn look_asked(items: &mut [PollItem], fds: &[PollFd], own: usize) -> Result<(usize, bool), Error> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Msg;
    use crate::options::SocketType;
    use crate::pipe::wire::{Framing, Item};
    use crate::socket::testing::{Bytes, socket};
    use std::io::Write;
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::time::Instant;

    fn input(socket: Socket) -> PollItem {
        PollItem { target: Target::Socket(socket.0), events: c::ZMQ_POLLIN as i16, revents: 0 }
    }

    /// A socket with a connection under guard, which its callers read.
    fn guarded() -> (Socket, Arc<Bytes>, std::os::unix::net::UnixStream) {
        let socket = socket(SocketType::Dealer);
        let bytes = Bytes::join(&mut socket.enter().expect("open"));
        let far = bytes.connect();
        let mut queue = bytes.wire.send.lock();
        (queue.framing, queue.link.open) = (Framing::Plain, true);
        drop(queue);
        bytes.wire.guarded.store(true, Ordering::Relaxed);
        assert_eq!(poll(&mut [input(socket)], 1), Ok(0));
        assert!(bytes.is_taken());
        (socket, bytes, far)
    }

    #[test]
    fn who_forwards_messages_one_by_one_reads_and_writes_the_other_side_but_now_and_then() {
        const MESSAGES: usize = 200;
        let from = socket(SocketType::Pull);
        let source = Bytes::join(&mut from.enter().expect("open"));
        let (to, sink, _peer) = guarded();
        let message = |_| Item::Message(Msg::copy_of(b"m").expect("small"));
        source.wire.received(&mut (0..MESSAGES).map(message).collect(), MESSAGES, false);
        let began = Instant::now();
        let before = sink.read.load(Ordering::Relaxed);
        for _ in 0..MESSAGES {
            let mut items = [input(from), input(to)];
            assert_eq!(poll(&mut items, -1), Ok(1));
            to.send(&mut from.recv(c::ZMQ_DONTWAIT).expect("ready"), 0).expect("room");
        }
        assert_eq!(sink.written.load(Ordering::Relaxed), 0, "there was always something to do");
        assert_eq!(poll(&mut [input(from), input(to)], 0), Ok(0));
        assert_eq!(sink.written.load(Ordering::Relaxed), 1);
        let passed = began.elapsed().as_micros() as usize / 50;
        let read = sink.read.load(Ordering::Relaxed) - before;
        assert!(read <= passed + 2, "{read} times in {passed} times 50 us");
    }

    #[test]
    fn input_is_found_beside_what_is_always_ready() {
        let (one, _connection, mut peer) = guarded();
        let (other, _idle, _its_peer) = guarded();
        peer.write_all(b"x").expect("written");
        let both = |socket| {
            let events = (c::ZMQ_POLLIN | c::ZMQ_POLLOUT) as i16;
            PollItem { events, ..input(socket) }
        };
        let began = Instant::now();
        loop {
            let mut items = [both(one), both(other)];
            assert_eq!(poll(&mut items, 0), Ok(2));
            if i32::from(items[0].revents) & c::ZMQ_POLLIN != 0 {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(10));
        }
    }

    #[test]
    fn who_asks_for_events_before_each_message_does_not_write_each() {
        const MESSAGES: usize = 1000;
        let (socket, connection, _peer) = guarded();
        for _ in 0..MESSAGES {
            let mut events = [0; 4];
            socket.option(c::ZMQ_EVENTS, &mut events).expect("an option");
            assert_eq!(i32::from_ne_bytes(events), c::ZMQ_POLLOUT);
            socket.send_bytes(b"m", 0).expect("room");
        }
        let written = connection.written.load(Ordering::Relaxed);
        assert!(written < MESSAGES / 2, "{written}");
    }
}
