//! Messages over NORM: one stream out, or the streams of all senders in.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use crate::base::Error;
use crate::message::Msg;
use crate::options::Options;
use crate::pipe::wire::Segment;
use crate::reactor::Source;
use crate::sys::norm::{Event, Got, Session};
use crate::transport::{Part, open_norm};
use crate::zmtp::multicast::{self, Stream};

/// Bytes read at a time.
const PIECE: usize = 16 * 1024;
/// Events taken at a time, so that a flood does not keep others waiting.
const EVENTS: usize = 256;

/// One end of the traffic.
pub(super) struct Norm {
    session: Session,
    descriptor: Arc<Descriptor>,
    part: Part,
    max_size: i64,
    /// The part that is being written, and how much of it was.
    pending: Vec<u8>,
    written: usize,
    amid_message: bool,
    /// The stream is full until the library says otherwise.
    full: bool,
    /// The library has not sent all that was written.
    unsent: bool,
    has_sent: bool,
    streams: HashMap<usize, Hearing>,
    /// Streams that may have something to read.
    ready: VecDeque<usize>,
}

/// A stream that is received.
struct Hearing {
    stream: Stream,
    /// Nothing more will come.
    over: bool,
    /// It is in line to be read.
    in_line: bool,
}

struct Descriptor(OwnedFd);

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Norm {
    /// A session at the text after `://`.
    pub(super) fn open(text: &str, part: Part, options: &Options) -> Result<Norm, Error> {
        let session = open_norm(text, part, options)?;
        let descriptor = Arc::new(Descriptor(session.descriptor()?));
        Ok(Norm {
            session,
            descriptor,
            part,
            max_size: options.maxmsgsize,
            pending: Vec::new(),
            written: 0,
            amid_message: false,
            full: false,
            unsent: false,
            has_sent: false,
            streams: HashMap::new(),
            ready: VecDeque::new(),
        })
    }

    pub(super) fn source(&self) -> Arc<dyn Source> {
        self.descriptor.clone()
    }

    pub(super) fn is_done(&self) -> bool {
        self.pending.is_empty() && !self.unsent
    }

    pub(super) fn has_sent(&self) -> bool {
        self.has_sent
    }

    pub(super) fn send(&mut self, segments: &mut VecDeque<Segment>) -> (usize, usize) {
        let (mut messages, mut bytes) = (0, 0);
        let mut wrote = false;
        while !self.full {
            if self.pending.is_empty() {
                let Some(segment) = segments.pop_front() else { break };
                let Segment::Message(part) = segment else { continue };
                messages += usize::from(!part.more());
                bytes += part.size();
                if self.part == Part::Receiver || part.is_command() {
                    continue;
                }
                multicast::push_norm(&mut self.pending, !self.amid_message, &part);
                self.amid_message = part.more();
            }
            let rest = self.pending.get(self.written..).unwrap_or_default();
            let taken = self.session.write(rest);
            self.full = taken < rest.len();
            self.written += taken;
            (self.unsent, self.has_sent, wrote) = (true, true, true);
            if !self.full {
                self.session.mark();
                self.written = 0;
                self.pending.clear();
                self.pending.shrink_to(PIECE);
            }
        }
        if wrote {
            self.session.flush();
        }
        (messages, bytes)
    }

    pub(super) fn receive(&mut self, room: usize, out: &mut VecDeque<Msg>) -> usize {
        self.take_events();
        let mut messages = 0;
        while messages < room
            && let Some(&id) = self.ready.front()
        {
            match self.read(id, out) {
                Some(came) => messages += came,
                None => {
                    self.ready.pop_front();
                    self.read_out(id);
                }
            }
        }
        messages
    }

    fn take_events(&mut self) {
        for _ in 0..EVENTS {
            let Some(event) = self.session.next_event() else { return };
            match event {
                Event::Room => self.full = false,
                Event::Sent => (self.full, self.unsent) = (false, !self.pending.is_empty()),
                Event::Data(id) => self.line_up(id, false),
                Event::Over(id) => self.line_up(id, true),
                Event::Gone(id) => {
                    self.streams.remove(&id);
                    self.ready.retain(|ready| *ready != id);
                }
                Event::Other => {}
            }
        }
    }

    fn line_up(&mut self, id: usize, over: bool) {
        let max_size = self.max_size;
        let hearing = self.streams.entry(id).or_insert_with(|| Hearing {
            stream: Stream::norm(max_size),
            over: false,
            in_line: false,
        });
        hearing.over |= over;
        if !std::mem::replace(&mut hearing.in_line, true) {
            self.ready.push_back(id);
        }
    }

    /// Reads a piece of a stream: how many messages ended in it, or `None` when there is nothing more.
    fn read(&mut self, id: usize, out: &mut VecDeque<Msg>) -> Option<usize> {
        let hearing = self.streams.get_mut(&id)?;
        if !hearing.stream.is_joined() {
            if !self.session.seek(id) {
                return None;
            }
            hearing.stream.join();
        }
        let mut piece = [0; PIECE];
        match self.session.read(id, &mut piece) {
            Got::Bytes(0) => None,
            Got::Bytes(size) => {
                let mut parts = Vec::new();
                let (messages, end) = hearing.stream.take(piece.get(..size)?, &mut parts);
                if end.is_err() {
                    hearing.stream.lose();
                }
                out.extend(parts);
                Some(messages)
            }
            Got::Gap => {
                hearing.stream.lose();
                Some(0)
            }
        }
    }

    /// A stream has nothing more at present, or ever.
    fn read_out(&mut self, id: usize) {
        let Some(hearing) = self.streams.get_mut(&id) else { return };
        hearing.in_line = false;
        if hearing.over {
            self.streams.remove(&id);
            self.session.let_go(id);
        }
    }
}
