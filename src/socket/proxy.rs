//! Forwarding between two sockets (zmq_proxy(3), zmq_proxy_steerable(3)).

use super::poll::{PollItem, Target, poll};
use super::{SOCKETS, Socket};
use crate::base::{Error, constants as c};
use crate::message::Msg;
use crate::options::SocketType;

/// Messages per direction and turn.
const BURST: usize = 1000;

#[derive(Default)]
struct Counters {
    received: [u64; 2],
    sent: [u64; 2],
}

/// Forwards until the context ends (ETERM), an error, or a TERMINATE command (Ok).
pub fn proxy(
    frontend: usize,
    backend: usize,
    capture: Option<usize>,
    control: Option<usize>,
) -> Result<(), Error> {
    for handle in [Some(frontend), Some(backend), capture, control].into_iter().flatten() {
        Socket(handle).enter()?;
    }
    let mut proxy = Proxy {
        sides: [Socket(frontend), Socket(backend)],
        capture: capture.map(Socket),
        control: control.map(Socket),
        counters: [Counters::default(), Counters::default()],
        paused: false,
    };
    while proxy.turn()? {}
    Ok(())
}

struct Proxy {
    sides: [Socket; 2],
    capture: Option<Socket>,
    control: Option<Socket>,
    counters: [Counters; 2],
    paused: bool,
}

impl Proxy {
    /// Waits for something to do and does it; false when told to end.
    fn turn(&mut self) -> Result<bool, Error> {
        let [front, back] = self.sides;
        let mut items = Vec::with_capacity(3);
        let input = c::ZMQ_POLLIN as i16;
        if let Some(Socket(control)) = self.control {
            items.push(item(control, input));
        }
        if !self.paused {
            items.push(item(front.0, input));
            if back != front {
                items.push(item(back.0, input));
            }
        }
        poll(&mut items, -1)?;
        let mut ready = items.iter().map(|item| item.revents != 0);
        if self.control.is_some() && ready.next() == Some(true) && !self.steer()? {
            return Ok(false);
        }
        if self.paused {
            return Ok(true);
        }
        let (from_front, from_back) = (ready.next() == Some(true), ready.next() == Some(true));
        // Forwarding needs room on the other side, so that nothing is read that cannot go on.
        let mut stuck = from_front || from_back;
        // A socket that answers itself may have to read first (REP).
        if from_front && (back == front || writable(back)?) {
            self.forward(0)?;
            stuck = false;
        }
        if from_back && writable(front)? {
            self.forward(1)?;
            stuck = false;
        }
        if stuck {
            self.wait_for_room(from_front, from_back)?;
        }
        Ok(true)
    }

    /// Input waits and the other side is full.
    fn wait_for_room(&self, from_front: bool, from_back: bool) -> Result<(), Error> {
        let [front, back] = self.sides;
        let output = c::ZMQ_POLLOUT as i16;
        let mut items = Vec::with_capacity(3);
        if from_front {
            items.push(item(back.0, output));
        } else {
            items.push(item(front.0, c::ZMQ_POLLIN as i16));
        }
        if from_back {
            items.push(item(front.0, output));
        } else {
            items.push(item(back.0, c::ZMQ_POLLIN as i16));
        }
        if let Some(Socket(control)) = self.control {
            items.push(item(control, c::ZMQ_POLLIN as i16));
        }
        poll(&mut items, -1).map(|_| ())
    }

    /// Moves messages from side `from` to the other.
    fn forward(&mut self, from: usize) -> Result<(), Error> {
        let (source, sink) = (self.sides[from], self.sides[1 - from]);
        for _ in 0..BURST {
            let mut more = true;
            while more {
                let mut msg = match source.recv(c::ZMQ_DONTWAIT) {
                    Ok(msg) => msg,
                    Err(Error::Again) => return Ok(()),
                    Err(error) => return Err(error),
                };
                more = msg.more();
                let size = msg.size() as u64;
                let flags = if more { c::ZMQ_SNDMORE } else { 0 };
                if let Some(capture) = self.capture {
                    capture.send(&mut msg.share()?, flags)?;
                }
                sink.send(&mut msg, flags)?;
                self.counters[from].received[0] += 1;
                self.counters[from].received[1] += size;
                self.counters[1 - from].sent[0] += 1;
                self.counters[1 - from].sent[1] += size;
            }
            if source != sink && !writable(sink)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Obeys one control frame; false to end.
    fn steer(&mut self) -> Result<bool, Error> {
        let Some(control) = self.control else { return Ok(true) };
        let command = match control.recv(c::ZMQ_DONTWAIT) {
            Ok(command) => command,
            Err(Error::Again) => return Ok(true),
            Err(error) => return Err(error),
        };
        let replies = is_rep(control)?;
        let mut goes_on = true;
        match command.data() {
            b"PAUSE" => self.paused = true,
            b"RESUME" => self.paused = false,
            b"TERMINATE" => goes_on = false,
            b"STATISTICS" => {
                self.report(control)?;
                return Ok(true);
            }
            _ => {}
        }
        if replies && !command.more() {
            control.send(&mut Msg::new(), 0)?;
        }
        Ok(goes_on)
    }

    /// Eight numbers, host order: received count and bytes, sent count and bytes, of either side.
    fn report(&self, control: Socket) -> Result<(), Error> {
        let numbers: Vec<u64> =
            self.counters.iter().flat_map(|side| [side.received, side.sent]).flatten().collect();
        let last = numbers.len() - 1;
        for (n, number) in numbers.into_iter().enumerate() {
            let flags = if n == last { 0 } else { c::ZMQ_SNDMORE };
            control.send(&mut Msg::copy_of(&number.to_ne_bytes())?, flags)?;
        }
        Ok(())
    }
}

fn item(handle: usize, events: i16) -> PollItem {
    PollItem { target: Target::Socket(handle), events, revents: 0 }
}

fn writable(socket: Socket) -> Result<bool, Error> {
    let mut core = socket.enter()?;
    let found = core.events(c::ZMQ_POLLOUT, 0);
    Ok(found != 0 || core.events_once_written(c::ZMQ_POLLOUT, found) != 0)
}

fn is_rep(socket: Socket) -> Result<bool, Error> {
    let core = SOCKETS.lock(socket.0).map_err(|_| Error::NotSocket)?;
    Ok(core.options.socket_type == SocketType::Rep)
}
