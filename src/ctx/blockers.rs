//! Why a context does not end: which of its sockets are open, and what its closed ones have not sent yet; and when
//! that is told to whom, if somebody wants to know.
//!
//! Off unless the environment variable `FERROZMQ_DIAGNOSE` was set when the context was made. Nothing here keeps a
//! context from ending: no lock is held while something is asked or written, and nobody is waited for long.

use std::env;
use std::fmt::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::Context;
use crate::conn::{Census, Lingering};
use crate::sync::Lock;
use crate::sys;

/// The variable: `stderr`, or a file to append to. Empty or unset: nothing is told.
const VARIABLE: &str = "FERROZMQ_DIAGNOSE";
/// When the first report is due. The next one comes after twice as long, and so on.
const FIRST: Duration = Duration::from_secs(1);
/// The times after which the interval grows no further.
const MOST_DOUBLINGS: u32 = 16;
/// How long I/O threads are waited for, which are alive and hardly ever busy for so long.
const PATIENCE: Duration = Duration::from_millis(500);
/// Sockets that are named one by one.
const MOST_NAMED: usize = 16;
/// Characters of an address that are shown.
const MOST_SHOWN: usize = 120;

/// What a context waits for, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Blockers {
    /// Sockets that the application has not closed, the first few in the order in which they were made.
    pub open: Vec<OpenSocket>,
    /// How many of these there are.
    pub open_count: usize,
    /// Connections of sockets that it has closed.
    pub lingering: Census,
    /// Sockets that it has closed and that are not gone.
    pub closing_count: usize,
}

/// A socket that the application has not closed.
#[derive(Clone, Debug)]
pub struct OpenSocket {
    /// The handle, as C knows it.
    pub handle: usize,
    /// Its type's name.
    pub socket_type: &'static str,
    /// What was bound or connected last; empty: nothing.
    pub last_endpoint: Vec<u8>,
    /// Messages dropped at the mark, and for want of a receiver.
    pub dropped: (u64, u64),
}

impl Context {
    /// What the end of the context waits for. Takes half a second at most, from any thread.
    pub fn blockers(&self) -> Blockers {
        let mut open: Vec<_> = {
            let members = self.sockets.members.lock();
            members
                .iter()
                .map(|(serial, member)| (*serial, member.handle, member.about.clone()))
                .collect()
        };
        let all = open.len();
        open.retain(|(_, _, about)| !about.is_closed());
        open.sort_by_key(|(serial, ..)| *serial);
        let environment = self.environment.lock().clone();
        let workers = environment.and_then(|environment| environment.running_workers());
        Blockers {
            open_count: open.len(),
            closing_count: all - open.len(),
            open: open
                .into_iter()
                .take(MOST_NAMED)
                .map(|(_, handle, about)| OpenSocket {
                    handle,
                    socket_type: about.socket_type().name(),
                    last_endpoint: about.last_endpoint(),
                    dropped: (about.dropped().full(), about.dropped().unroutable()),
                })
                .collect(),
            lingering: workers.map(|workers| workers.census(PATIENCE)).unwrap_or_default(),
        }
    }
}

impl fmt::Display for Blockers {
    /// One line for each, and one for the rest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for socket in &self.open {
            writeln!(f, "  {socket}")?;
        }
        let rest = self.open_count - self.open.len();
        if rest > 0 {
            writeln!(f, "  {rest} more sockets that the application has not closed")?;
        }
        let census = &self.lingering;
        for lingering in &census.named {
            writeln!(f, "  {}", Line(lingering))?;
        }
        if census.connections > census.named.len() {
            let (all, messages, bytes) = (census.connections, census.messages, census.bytes);
            writeln!(
                f,
                "  {all} lingering connections in all: {messages} messages, {bytes} bytes not sent"
            )?;
        }
        if census.silent > 0 {
            writeln!(f, "  {} I/O threads did not answer", census.silent)?;
        }
        if self.closing_count > 0 && census.connections == 0 {
            writeln!(
                f,
                "  {} closed sockets with connections that are about to end",
                self.closing_count
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for OpenSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} socket {:#x}, ", self.socket_type, self.handle)?;
        if self.last_endpoint.is_empty() {
            f.write_str("never bound or connected")?;
        } else {
            f.write_str("last endpoint ")?;
            show(f, &String::from_utf8_lossy(&self.last_endpoint))?;
        }
        f.write_str(": not closed by the application")?;
        let (full, unroutable) = self.dropped;
        if full + unroutable > 0 {
            write!(
                f,
                " (it dropped {full} messages at the mark, {unroutable} without a receiver)"
            )?;
        }
        Ok(())
    }
}

/// One connection.
struct Line<'a>(&'a Lingering);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line(it) = self;
        write!(f, "connection of a closed {}, ", it.socket_type.name())?;
        show(f, &it.endpoint)?;
        write!(f, " ({}", it.state)?;
        if !it.peer.is_empty() {
            f.write_str(", peer ")?;
            show(f, &it.peer)?;
        }
        write!(f, "): {} messages, {} bytes not sent, ", it.messages, it.bytes)?;
        match it.left {
            Some(left) => write!(f, "waits for {:.1} s more", left.as_secs_f64()),
            None => f.write_str("waits for ever (ZMQ_LINGER -1)"),
        }
    }
}

/// An address on one line and not too long, whatever is in it.
fn show(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let mut shown = text.chars().flat_map(char::escape_debug);
    shown.by_ref().take(MOST_SHOWN).try_for_each(|letter| f.write_char(letter))?;
    if shown.next().is_some() { f.write_str("...") } else { Ok(()) }
}

/// To whom it is told, and when next.
pub(super) struct Diagnosis {
    to: Destination,
    waiting: Lock<Option<Waiting>>,
}

enum Destination {
    StandardError,
    File(PathBuf),
}

/// Since when the application has been waiting, and how often it was told why. A signal interrupts this, and it goes
/// on where it was.
struct Waiting {
    since: Instant,
    reports: u32,
}

impl Waiting {
    fn next(&self) -> Instant {
        self.since + FIRST * (1 << self.reports.min(MOST_DOUBLINGS))
    }
}

impl Diagnosis {
    /// As the environment asks, which a process with more rights than its starter does not believe.
    pub(super) fn wanted() -> Option<Diagnosis> {
        let value = env::var_os(VARIABLE).filter(|value| !value.is_empty())?;
        if sys::is_privileged() {
            return None;
        }
        let to = match value.to_str() {
            Some("stderr") => Destination::StandardError,
            _ => Destination::File(value.into()),
        };
        Some(Diagnosis { to, waiting: Lock::default() })
    }

    /// How long until the next report.
    pub(super) fn due_in(&self) -> Duration {
        let now = Instant::now();
        let mut waiting = self.waiting.lock();
        waiting
            .get_or_insert(Waiting { since: now, reports: 0 })
            .next()
            .saturating_duration_since(now)
    }

    /// Tells what the context waits for.
    pub(super) fn report(&self, context: &Context) {
        let waited = {
            let mut waiting = self.waiting.lock();
            let Some(waiting) = waiting.as_mut().filter(|it| it.next() <= Instant::now()) else {
                // Another thread that waits for the same was faster.
                return;
            };
            waiting.reports += 1;
            waiting.since.elapsed()
        };
        let text = told(&context.blockers(), waited);
        match &self.to {
            Destination::StandardError => sys::note(&text),
            Destination::File(path) => sys::note_in(path, &text),
        }
    }
}

/// The report, cut after a line where it would be too long.
fn told(blockers: &Blockers, waited: Duration) -> String {
    const CUT: &str = "  (and more)\n";
    let mut text = format!(
        "ferrozmq: process {}: zmq_ctx_term has waited {:.1} s, and waits for\n{blockers}",
        sys::process_id(),
        waited.as_secs_f64(),
    );
    if text.len() > sys::LONGEST_NOTE {
        let room = sys::LONGEST_NOTE - CUT.len();
        let end = text
            .as_bytes()
            .iter()
            .take(room)
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        text.truncate(end);
        text.push_str(CUT);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::SocketType;

    fn open(endpoint: &str) -> OpenSocket {
        let last_endpoint = endpoint.as_bytes().to_vec();
        OpenSocket { handle: 0x1234, socket_type: "PUSH", last_endpoint, dropped: (0, 0) }
    }

    fn lingering(left: Option<Duration>) -> Lingering {
        Lingering {
            socket_type: SocketType::Push,
            endpoint: "tcp://127.0.0.1:5555".into(),
            peer: "tcp://127.0.0.1:5555".into(),
            state: "connected",
            messages: 3,
            bytes: 300,
            left,
        }
    }

    #[test]
    fn everything_is_named() {
        let mut blockers = Blockers {
            open: vec![open("ipc://a\nb"), OpenSocket { dropped: (2, 1), ..open("") }],
            open_count: 5,
            closing_count: 1,
            ..Blockers::default()
        };
        let census = &mut blockers.lingering;
        census.named = vec![lingering(None), lingering(Some(Duration::from_millis(1500)))];
        (census.connections, census.messages, census.bytes, census.silent) = (9, 10, 11, 1);
        let lines = [
            "  PUSH socket 0x1234, last endpoint ipc://a\\nb: not closed by the application",
            "  PUSH socket 0x1234, never bound or connected: not closed by the application (it dropped 2 messages at \
             the mark, 1 without a receiver)",
            "  3 more sockets that the application has not closed",
            "  connection of a closed PUSH, tcp://127.0.0.1:5555 (connected, peer tcp://127.0.0.1:5555): 3 messages, \
             300 bytes not sent, waits for ever (ZMQ_LINGER -1)",
            "  connection of a closed PUSH, tcp://127.0.0.1:5555 (connected, peer tcp://127.0.0.1:5555): 3 messages, \
             300 bytes not sent, waits for 1.5 s more",
            "  9 lingering connections in all: 10 messages, 11 bytes not sent",
            "  1 I/O threads did not answer",
        ];
        assert_eq!(blockers.to_string().lines().collect::<Vec<_>>(), lines);
    }

    #[test]
    fn a_report_has_a_bound_whatever_is_in_it() {
        let endpoint = "\u{1}".repeat(10_000);
        let open = vec![open(&endpoint); MOST_NAMED];
        let mut blockers = Blockers { open_count: open.len(), open, ..Blockers::default() };
        blockers.lingering.named = vec![Lingering { endpoint, ..lingering(None) }; 16];
        let text = told(&blockers, FIRST);
        assert!(text.len() <= sys::LONGEST_NOTE && text.len() > sys::LONGEST_NOTE / 2);
        assert!(text.ends_with("\n  (and more)\n"));
        assert!(text.lines().all(|line| line.len() < 400));
    }

    #[test]
    fn intervals_grow() {
        let mut waiting = Waiting { since: Instant::now(), reports: 0 };
        for seconds in [1, 2, 4, 8] {
            assert_eq!(waiting.next() - waiting.since, Duration::from_secs(seconds));
            waiting.reports += 1;
        }
        waiting.reports = u32::MAX;
        assert!(waiting.next() > waiting.since);
    }
}
