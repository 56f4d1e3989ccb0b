//! The network: gates that callers connect to and links that lead on from there, moved by one step at a time.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::Duration;

use fastrand::Rng;
use socket2::{Domain, SockAddr, Socket, Type};

/// How much one direction of a link holds at most.
const HOLDS: usize = 32 * 1024;
/// What the kernel is asked to hold per socket: little, so that marks are felt.
pub const KERNEL: usize = 4096;

/// How bad the network is. Each number stands for one step in so many; 0 for never.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    pub cut: u32,
    pub stall: u32,
    pub shut: u32,
}

impl Weather {
    pub const CALM: Weather = Weather { cut: 0, stall: 0, shut: 0 };
}

pub struct Network {
    rng: Rng,
    weather: Weather,
    gates: Vec<Gate>,
    links: Vec<Link>,
    clock: u64,
    folder: PathBuf,
    pub bytes: u64,
}

struct Gate {
    listener: Socket,
    to: SockAddr,
    shut_until: u64,
    /// How often a link through this gate was cut, or a caller turned away.
    cuts: usize,
}

struct Link {
    gate: usize,
    ends: [Socket; 2],
    ways: [Way; 2],
}

/// One direction: what comes out of one end and goes into the other.
#[derive(Default)]
struct Way {
    held: VecDeque<u8>,
    stalled_until: u64,
    /// Nothing more comes.
    dry: bool,
    /// The other end was told.
    told: bool,
}

impl Network {
    pub fn new(seed: u64, weather: Weather, folder: PathBuf) -> Network {
        let rng = Rng::with_seed(seed);
        let (gates, links) = (Vec::new(), Vec::new());
        Network { rng, weather, gates, links, clock: 0, folder, bytes: 0 }
    }

    /// A gate that leads to a bound endpoint: its own endpoint.
    pub fn gate(&mut self, to: &str) -> String {
        let (listener, text, to) = if let Some(path) = to.strip_prefix("ipc://") {
            let own = self.folder.join(format!("g{}", self.gates.len()));
            let listener = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
            listener.bind(&SockAddr::unix(&own).expect("a path")).expect("a bind");
            (listener, format!("ipc://{}", own.display()), SockAddr::unix(path).expect("a path"))
        } else {
            let address: std::net::SocketAddr =
                to.strip_prefix("tcp://").and_then(|rest| rest.parse().ok()).expect("an address");
            let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            let any: std::net::SocketAddr = "127.0.0.1:0".parse().expect("an address");
            listener.set_recv_buffer_size(KERNEL).expect("a size");
            listener.set_send_buffer_size(KERNEL).expect("a size");
            listener.bind(&any.into()).expect("a bind");
            let own = listener.local_addr().ok().and_then(|own| own.as_socket());
            (listener, format!("tcp://{}", own.expect("an address")), address.into())
        };
        listener.listen(64).expect("a listen");
        listener.set_nonblocking(true).expect("an option");
        self.gates.push(Gate { listener, to, shut_until: 0, cuts: 0 });
        text
    }

    /// How often what came through the gate numbered `gate` was broken off.
    pub fn cuts(&self, gate: usize) -> usize {
        self.gates[gate].cuts
    }

    pub fn all_cuts(&self) -> usize {
        self.gates.iter().map(|gate| gate.cuts).sum()
    }

    /// From now on nothing bad happens.
    pub fn calm(&mut self) {
        self.weather = Weather::CALM;
        self.gates.iter_mut().for_each(|gate| gate.shut_until = 0);
        self.links.iter_mut().flat_map(|link| &mut link.ways).for_each(|way| way.stalled_until = 0);
    }

    /// One step; false when it found nothing to do.
    pub fn step(&mut self) -> bool {
        self.clock += 1;
        if self.chance(self.weather.shut) && !self.gates.is_empty() {
            let gate = self.rng.usize(..self.gates.len());
            self.gates[gate].shut_until = self.clock + self.rng.u64(10..500);
        }
        if self.links.is_empty() || self.rng.u32(..16) == 0 {
            return self.accept();
        }
        let index = self.rng.usize(..self.links.len());
        if self.chance(self.weather.cut) {
            self.cut(index);
            return true;
        }
        let from = self.rng.usize(..2);
        let link = &mut self.links[index];
        if self.clock < link.ways[from].stalled_until {
            return false;
        }
        if self.weather.stall > 0 && self.rng.u32(..self.weather.stall) == 0 {
            link.ways[from].stalled_until = self.clock + self.rng.u64(10..2000);
            return true;
        }
        let piece = match self.rng.u32(..4) {
            0 => self.rng.usize(1..8),
            1 => self.rng.usize(1..256),
            _ => self.rng.usize(1..16 * 1024),
        };
        let moved = if self.rng.bool() { link.fill(from, piece) } else { link.empty(from, piece) };
        self.bytes += moved.unwrap_or(0) as u64;
        if link.is_over() {
            self.links.swap_remove(index);
        }
        moved.is_some()
    }

    fn chance(&mut self, one_in: u32) -> bool {
        one_in > 0 && self.rng.u32(..one_in) == 0
    }

    fn accept(&mut self) -> bool {
        if self.gates.is_empty() {
            return false;
        }
        let number = self.rng.usize(..self.gates.len());
        let gate = &mut self.gates[number];
        let caller = match gate.listener.accept() {
            Ok((caller, _)) => caller,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(error) => panic!("accept: {error}"),
        };
        if self.clock < gate.shut_until {
            gate.cuts += 1;
            return true;
        }
        let domain = gate.to.domain();
        let onward = Socket::new(domain, Type::STREAM, None).expect("a socket");
        if domain == Domain::IPV4 {
            caller.set_tcp_nodelay(true).expect("an option");
            onward.set_recv_buffer_size(KERNEL).expect("a size");
            onward.set_send_buffer_size(KERNEL).expect("a size");
            onward.set_tcp_nodelay(true).expect("an option");
        }
        if onward.connect(&gate.to).is_err() {
            gate.cuts += 1;
            return true;
        }
        caller.set_nonblocking(true).expect("an option");
        onward.set_nonblocking(true).expect("an option");
        let ways = Default::default();
        self.links.push(Link { gate: number, ends: [caller, onward], ways });
        true
    }

    fn cut(&mut self, index: usize) {
        let link = self.links.swap_remove(index);
        self.gates[link.gate].cuts += 1;
        let kind = self.rng.u32(..4);
        for (n, end) in link.ends.iter().enumerate() {
            // Either or both ends may be reset; the others see an end of the stream.
            if kind & (1 << n) != 0 {
                let _may_be_gone = end.set_linger(Some(Duration::ZERO));
            }
        }
    }

    /// Waits a moment for something to do.
    pub fn wait(&self) {
        let mut items = Vec::new();
        for gate in &self.gates {
            items.push(poll_item(&gate.listener, libc::POLLIN));
        }
        for link in &self.links {
            for from in 0..2 {
                let way = &link.ways[from];
                if self.clock < way.stalled_until {
                    continue;
                }
                if !way.dry && way.held.len() < HOLDS {
                    items.push(poll_item(&link.ends[from], libc::POLLIN));
                }
                if !way.held.is_empty() {
                    items.push(poll_item(&link.ends[1 - from], libc::POLLOUT));
                }
            }
        }
        // SAFETY: the array is as long as it says, and outlives the call.
        let _woken = unsafe { libc::poll(items.as_mut_ptr(), items.len() as libc::nfds_t, 1) };
    }

    pub fn state(&self) -> String {
        let links = self.links.iter().map(|link| {
            let way = |n: usize| {
                let way: &Way = &link.ways[n];
                format!("{}{}", way.held.len(), if way.dry { " dry" } else { "" })
            };
            format!("[gate {}: {} out, {} back]", link.gate, way(0), way(1))
        });
        let links: Vec<String> = links.collect();
        format!("clock {}, {} bytes, links {}", self.clock, self.bytes, links.join(" "))
    }
}

impl Link {
    /// Takes bytes from one end; `None` when there was nothing to do.
    fn fill(&mut self, from: usize, piece: usize) -> Option<usize> {
        let way = &mut self.ways[from];
        let room = HOLDS.saturating_sub(way.held.len()).min(piece);
        if way.dry || room == 0 {
            return None;
        }
        let mut buffer = vec![0; room];
        match (&self.ends[from]).read(&mut buffer) {
            Ok(0) => way.dry = true,
            Ok(n) => {
                way.held.extend(&buffer[..n]);
                return Some(n);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(_) => way.dry = true,
        }
        Some(0)
    }

    /// Gives bytes to the other end.
    fn empty(&mut self, from: usize, piece: usize) -> Option<usize> {
        let (way, other) = (&mut self.ways[from], &self.ends[1 - from]);
        if way.held.is_empty() {
            if !way.dry || way.told {
                return None;
            }
            way.told = true;
            let _may_be_gone = other.shutdown(std::net::Shutdown::Write);
            return Some(0);
        }
        let (front, _) = way.held.as_slices();
        match (&mut &*other).write(&front[..front.len().min(piece)]) {
            Ok(n) => {
                way.held.drain(..n);
                Some(n)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(_) => {
                way.dry = true;
                way.held.clear();
                Some(0)
            }
        }
    }

    fn is_over(&self) -> bool {
        self.ways.iter().all(|way| way.dry && way.told)
    }
}

fn poll_item(socket: &Socket, events: i16) -> libc::pollfd {
    libc::pollfd { fd: socket.as_raw_fd(), events, revents: 0 }
}
