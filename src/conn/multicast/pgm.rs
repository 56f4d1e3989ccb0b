//! Messages over PGM: datagrams out, or those of all senders in.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::base::Error;
use crate::message::Msg;
use crate::options::Options;
use crate::pipe::wire::Segment;
use crate::reactor;
use crate::sys::EpollSet;
use crate::sys::pgm::{PgmSocket, Received, Sent, Source};
use crate::transport::{Part, open_pgm};
use crate::zmtp::multicast::{Packer, Stream};

/// The largest datagram, put together from its fragments.
const LARGEST: usize = 65_535;
/// Datagrams received at a time, so that a flood does not keep others waiting.
const BATCH: usize = 256;
/// Senders that are heard at a time. One more makes another begin anew.
const SENDERS: usize = 1024;

/// One end of the traffic.
pub(super) struct Pgm {
    // Before the socket, whose descriptors it holds.
    descriptors: Arc<EpollSet>,
    socket: PgmSocket,
    part: Part,
    max_size: i64,
    packer: Packer,
    has_sent: bool,
    streams: HashMap<Source, Stream>,
    buffer: Vec<u8>,
    /// When the next datagram may be sent.
    send_due: Option<Instant>,
    /// When the library has something to do.
    work_due: Option<Instant>,
}

impl Pgm {
    /// A socket at the text after `://`.
    pub(super) fn open(text: &str, udp: bool, part: Part, options: &Options) -> Result<Pgm, Error> {
        let socket = open_pgm(text, udp, part, options)?;
        Ok(Pgm {
            descriptors: Arc::new(socket.descriptors()?),
            packer: Packer::new(socket.largest()),
            has_sent: false,
            socket,
            part,
            max_size: options.maxmsgsize,
            streams: HashMap::new(),
            buffer: vec![0; LARGEST],
            send_due: None,
            work_due: None,
        })
    }

    pub(super) fn source(&self) -> Arc<dyn reactor::Source> {
        self.descriptors.clone()
    }

    pub(super) fn is_done(&self) -> bool {
        self.packer.is_empty()
    }

    pub(super) fn has_sent(&self) -> bool {
        self.has_sent
    }

    pub(super) fn due(&self) -> Option<Instant> {
        [self.send_due, self.work_due].into_iter().flatten().min()
    }

    pub(super) fn send(&mut self, segments: &mut VecDeque<Segment>) -> (usize, usize) {
        let (mut messages, mut bytes) = (0, 0);
        if self.send_due.is_some_and(|due| Instant::now() < due) {
            return (0, 0);
        }
        self.send_due = None;
        loop {
            while self.packer.has_room()
                && let Some(segment) = segments.pop_front()
            {
                let Segment::Message(part) = segment else { continue };
                messages += usize::from(!part.more());
                bytes += part.size();
                if self.part == Part::Sender && !part.is_command() {
                    self.packer.push(&part);
                }
            }
            let Some(datagram) = self.packer.datagram() else { break };
            match self.socket.send(datagram) {
                Sent::Done => {
                    self.packer.sent();
                    self.has_sent = true;
                }
                Sent::After(wait) => {
                    self.send_due = Some(Instant::now() + wait);
                    break;
                }
            }
        }
        (messages, bytes)
    }

    pub(super) fn receive(&mut self, room: usize, out: &mut VecDeque<Msg>) -> usize {
        /// How soon to go on when there may be more.
        const AT_ONCE: Duration = Duration::ZERO;
        let mut messages = 0;
        let mut parts = Vec::new();
        self.work_due = None;
        for _ in 0..BATCH {
            if messages >= room {
                break;
            }
            match self.socket.receive(&mut self.buffer) {
                Received::Datagram(size, from) => {
                    let datagram = self.buffer.get(..size).unwrap_or_default();
                    make_way(&mut self.streams, from);
                    let max_size = self.max_size;
                    let stream = self.streams.entry(from).or_insert_with(|| Stream::pgm(max_size));
                    messages += stream.take_datagram(datagram, &mut parts);
                }
                Received::Lost(Some(from)) => {
                    self.streams.remove(&from);
                }
                Received::Lost(None) => self.streams.clear(),
                Received::Nothing(wait) => {
                    self.work_due = wait.map(|wait| Instant::now() + wait);
                    out.extend(parts);
                    return messages;
                }
            }
        }
        self.work_due = (messages < room).then(|| Instant::now() + AT_ONCE);
        out.extend(parts);
        messages
    }
}

/// Forgets somebody where there is no place for a new sender.
fn make_way(streams: &mut HashMap<Source, Stream>, from: Source) {
    if streams.len() >= SENDERS
        && !streams.contains_key(&from)
        && let Some(other) = streams.keys().next().copied()
    {
        streams.remove(&other);
    }
}
