//! The I/O thread: one poller, its sessions and listeners, and the small rounds that only run while
//! something is hot.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::SockAddr;

use super::Shared;
use super::accept::Acceptor;
use super::connection::Loss;
use super::datagram::Mouth;
use super::lingering::Census;
use super::multicast::Member;
use super::outbound::Guarding;
use super::session::Session;
use super::strangers::Strangers;
use super::zap::Abandoned;
use crate::base::Error;
use crate::message::Returns;
use crate::pipe::turn::{Seen, Verdict};
use crate::reactor::{Events, Reactor, Ready, Registration, Timers};
use crate::sync::Lock;
use crate::transport::Stream;

/// While a caller reads a socket's connections, the I/O thread looks this often whether it still does.
const WATCH_ROUND: Duration = Duration::from_millis(1);
/// While senders leave their messages to the I/O thread, it looks this often.
const GUARD_ROUND: Duration = Duration::from_micros(100);
/// With more connections than this in vain, the next look is later: by a round for each so many, up to a bound. Then
/// fewer looks in vain are enough to end the guard, after a longer time.
const IN_VAIN: usize = 128;
const LATEST_ROUND: u32 = 4;

/// How soon an I/O thread looks around at the latest: when something happens, in a [`WATCH_ROUND`], in a [`GUARD_ROUND`].
const RESTING: u8 = 0;
const WATCHING: u8 = 1;
const GUARDING: u8 = 2;

/// What other threads ask of an I/O thread. Keys of things that are gone are ignored.
pub(super) enum Command {
    /// A new session.
    Session(usize, Box<Session>),
    /// A new listener.
    Acceptor(usize, Box<Acceptor>),
    /// A new datagram endpoint.
    Mouth(usize, Box<Mouth>),
    /// A new member of a multicast group.
    Member(usize, Box<Member>),
    /// There is something to send to a group, or room for what comes from it.
    Attend(usize),
    /// A name was resolved.
    Resolved(usize, std::io::Result<Vec<SockAddr>>),
    /// The established stream of a session is over. By the time that is read it may have another one.
    Lost(usize, Arc<Stream>, Loss),
    /// Writing failed; what can be read is still read.
    Broken(usize, Arc<Stream>, Loss),
    /// A caller wrote the last of what a socket left that let go.
    Written(usize),
    /// A caller reads this connection: look after it.
    Watch(usize),
    /// Senders leave messages here: look after them.
    Guard(usize),
    /// The peer has promised to be heard again before long: see to it.
    Promised(usize),
    /// The authentication handler has news for a session.
    Answered(usize),
    /// Too many peers have not proven themselves, and this session's has been at it the longest.
    Evict(usize),
    /// The socket let go, with this linger time.
    Close(usize, i32),
    /// A listener is gone: whoever came through it and has not shaken hands goes too.
    Disown(Arc<Shared>),
    /// Somebody wants to know what still lingers.
    Count(Sender<Census>),
    /// Memory of users' waits to be given back.
    GiveBack,
    /// The context ends: leave once nothing is left.
    Exit,
}

/// The handle of an I/O thread.
pub struct Worker {
    reactor: Reactor<Command>,
    strangers: Arc<Strangers>,
    abandoned: Arc<Abandoned>,
    keys: AtomicUsize,
    load: AtomicUsize,
    /// Users' memory that it gives back.
    returns: Arc<Returns>,
    /// How soon the thread looks around at the latest.
    pace: AtomicU8,
    thread: Lock<Option<JoinHandle<()>>>,
}

/// A listener or connecter as the socket holds it.
#[derive(Clone)]
pub struct EndpointRef {
    pub(super) worker: Arc<Worker>,
    pub(super) key: usize,
}

impl EndpointRef {
    /// Ends it, giving what is queued `linger_ms` (-1 for ever).
    pub fn stop(&self, linger_ms: i32) {
        self.worker.send(Command::Close(self.key, linger_ms));
    }
}

impl Worker {
    /// Starts an I/O thread, one of those that share `strangers`; `prepare` runs in it first (name, affinity,
    /// priority).
    pub fn start(
        name: String,
        strangers: Arc<Strangers>,
        prepare: impl FnOnce() + Send + 'static,
    ) -> Result<Arc<Worker>, Error> {
        let reactor = Reactor::new()?;
        let worker = Arc::new_cyclic(|this: &Weak<Worker>| Worker {
            reactor,
            returns: Arc::new(Worker::returns_to(this.clone())),
            strangers,
            abandoned: Arc::default(),
            keys: AtomicUsize::new(1),
            load: AtomicUsize::new(0),
            pace: AtomicU8::new(RESTING),
            thread: Lock::new(None),
        });
        let inner = worker.clone();
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            crate::sys::thread::begin_background();
            prepare();
            Thread::new(inner).run();
        })?;
        *worker.thread.lock() = Some(thread);
        Ok(worker)
    }

    /// Descriptors served at present.
    pub fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Asks the thread to end and waits for it. Everything it served must have been closed before.
    pub fn stop(&self) {
        self.send(Command::Exit);
        if let Some(thread) = self.thread.lock().take() {
            // A panic in the thread has already been printed; there is nothing to add.
            let _panicked = thread.join();
        }
        self.returns.close();
    }

    /// Where users' memory is left for this thread to give it back.
    pub fn returns(&self) -> &Arc<Returns> {
        &self.returns
    }

    fn returns_to(this: Weak<Worker>) -> Returns {
        Returns::new(Box::new(move || {
            if let Some(worker) = this.upgrade() {
                worker.send_shortly(Command::GiveBack);
            }
        }))
    }

    pub(super) fn send(&self, command: Command) {
        self.reactor.send(command);
    }

    /// As [`Worker::send`], of what has a millisecond's time.
    pub(super) fn send_soon(&self, command: Command) {
        self.send_within(WATCHING, command);
    }

    /// As [`Worker::send`], of what has the time until senders who leave their messages are looked after again.
    pub(super) fn send_shortly(&self, command: Command) {
        self.send_within(GUARDING, command);
    }

    fn send_within(&self, pace: u8, command: Command) {
        self.reactor.leave(command);
        // The thread says first that it will sleep for longer, and then looks for what was left.
        if self.pace.load(Ordering::Relaxed) < pace {
            self.reactor.wake();
        }
    }

    pub(super) fn next_key(&self) -> usize {
        self.keys.fetch_add(1, Ordering::Relaxed)
    }

    /// Who has connected to any I/O thread of the context and proven nothing.
    pub(super) fn strangers(&self) -> &Arc<Strangers> {
        &self.strangers
    }

    /// Questions to the authentication handler whose answer nobody waits for.
    pub(super) fn abandoned(&self) -> &Arc<Abandoned> {
        &self.abandoned
    }

    pub(super) fn registration(&self, key: usize) -> Registration {
        self.reactor.registration(key)
    }

    pub(super) fn count(&self, change: isize) {
        self.load.fetch_add(change as usize, Ordering::Relaxed);
    }
}

/// The I/O threads of a context.
pub struct Workers(Vec<Arc<Worker>>);

impl Workers {
    /// These threads.
    pub fn new(list: Vec<Arc<Worker>>) -> Workers {
        Workers(list)
    }

    /// The least loaded of those that `affinity` allows (bit per thread, 0 for all).
    pub fn choose(&self, affinity: u64) -> Option<Arc<Worker>> {
        self.0
            .iter()
            .enumerate()
            .filter(|(n, _)| affinity == 0 || (*n < 64 && affinity >> n & 1 == 1))
            .min_by_key(|(_, worker)| worker.load())
            .map(|(_, worker)| worker.clone())
    }

    pub(super) fn all(&self) -> &[Arc<Worker>] {
        &self.0
    }

    /// Ends all of them.
    pub fn stop(&self) {
        self.0.iter().for_each(|worker| worker.stop());
    }
}

enum Source {
    Session(Box<Session>),
    Acceptor(Box<Acceptor>),
    Mouth(Box<Mouth>),
    Member(Box<Member>),
}

/// What a session or listener may use while it is called.
pub(super) struct Context<'a> {
    pub(super) worker: &'a Arc<Worker>,
    pub(super) timers: &'a mut Timers,
    /// Sessions that this I/O thread is to begin next.
    pub(super) born: &'a mut Vec<(usize, Box<Session>)>,
    pub(super) now: Instant,
}

struct Thread {
    worker: Arc<Worker>,
    sources: HashMap<usize, Source>,
    timers: Timers,
    /// Accepted, and not begun yet.
    born: Vec<(usize, Box<Session>)>,
    /// Connections that callers read, with what the last look saw.
    watched: HashMap<usize, Option<Seen>>,
    guarded: HashSet<usize>,
    next_watch: Instant,
    next_guard: Instant,
    /// How many rounds the next one stands for.
    guard_rounds: u32,
    exiting: bool,
}

impl Thread {
    fn new(worker: Arc<Worker>) -> Thread {
        let now = Instant::now();
        Thread {
            worker,
            sources: HashMap::new(),
            timers: Timers::default(),
            born: Vec::new(),
            watched: HashMap::new(),
            guarded: HashSet::new(),
            next_watch: now,
            next_guard: now,
            guard_rounds: 1,
            exiting: false,
        }
    }

    fn run(mut self) {
        let mut events = Events::default();
        let mut ready: Vec<Ready> = Vec::new();
        while !(self.exiting && self.sources.is_empty()) {
            let limit = self.time_limit();
            let limit = self.settle_down(limit);
            if self.worker.reactor.wait(&mut events, limit, &mut ready).is_err() {
                // A poller that cannot wait any more serves nobody; spinning on it would be worse.
                break;
            }
            for command in self.worker.reactor.commands() {
                self.obey(command);
            }
            let now = Instant::now();
            for event in ready.drain(..) {
                self.with_source(event.key, now, |source, context| match source {
                    Source::Session(session) => session.ready(event, context),
                    Source::Acceptor(acceptor) => acceptor.ready(context),
                    Source::Mouth(mouth) => mouth.ready(event),
                    Source::Member(member) => member.attend(context),
                });
                self.begin_born();
            }
            let now = Instant::now();
            while let Some(key) = self.timers.pop_due(now) {
                self.with_source(key, now, |source, context| match source {
                    Source::Session(session) => session.timer(context),
                    Source::Acceptor(acceptor) => acceptor.timer(context),
                    Source::Mouth(mouth) => mouth.timer(context.now),
                    Source::Member(member) => member.attend(context),
                });
            }
            self.look_after_watched(now);
            self.look_after_guarded(now);
        }
    }

    /// Says how soon the next look around comes; where it is later than before, nothing may have been left for it.
    fn settle_down(&self, limit: Option<Duration>) -> Option<Duration> {
        let pace = match (self.watched.is_empty(), self.guarded.is_empty()) {
            (_, false) if self.guard_rounds == 1 => GUARDING,
            (true, true) => RESTING,
            _ => WATCHING,
        };
        let before = self.worker.pace.load(Ordering::Relaxed);
        if pace != before {
            self.worker.pace.store(pace, Ordering::Relaxed);
        }
        if pace >= before || !self.worker.reactor.has_commands() {
            limit
        } else {
            Some(Duration::ZERO)
        }
    }

    fn time_limit(&self) -> Option<Duration> {
        let now = Instant::now();
        let rounds = [
            (!self.watched.is_empty()).then_some(self.next_watch),
            (!self.guarded.is_empty()).then_some(self.next_guard),
        ];
        let next_round = rounds.into_iter().flatten().min();
        let round = next_round.map(|at| at.saturating_duration_since(now));
        match (self.timers.until_next(now), round) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn with_source(
        &mut self,
        key: usize,
        now: Instant,
        call: impl FnOnce(&mut Source, &mut Context<'_>) -> bool,
    ) {
        let Some(source) = self.sources.get_mut(&key) else { return };
        let mut context =
            Context { worker: &self.worker, timers: &mut self.timers, born: &mut self.born, now };
        if !call(source, &mut context) {
            self.sources.remove(&key);
            self.watched.remove(&key);
            self.guarded.remove(&key);
            self.worker.count(-1);
        }
    }

    /// Whether the session is still on this stream. Let go of here: at its end a session looks who else holds it.
    fn is_on(&self, key: usize, stream: Arc<Stream>) -> bool {
        let session = self.sources.get(&key);
        matches!(session, Some(Source::Session(session)) if session.is_on(&stream))
    }

    fn with_session(
        &mut self,
        key: usize,
        call: impl FnOnce(&mut Session, &mut Context<'_>) -> bool,
    ) {
        let now = Instant::now();
        self.with_source(key, now, |source, context| match source {
            Source::Session(session) => call(session, context),
            _ => true,
        });
    }

    fn with_mouth(&mut self, key: usize, call: impl FnOnce(&mut Mouth, &mut Context<'_>) -> bool) {
        self.with_source(key, Instant::now(), |source, context| match source {
            Source::Mouth(mouth) => call(mouth, context),
            _ => true,
        });
    }

    fn with_member(
        &mut self,
        key: usize,
        call: impl FnOnce(&mut Member, &mut Context<'_>) -> bool,
    ) {
        self.with_source(key, Instant::now(), |source, context| match source {
            Source::Member(member) => call(member, context),
            _ => true,
        });
    }

    fn begin(&mut self, key: usize, session: Box<Session>) {
        self.sources.insert(key, Source::Session(session));
        self.with_session(key, Session::begin);
    }

    /// At once, before the peers that connected after these get a word in: who connects first is attached first.
    fn begin_born(&mut self) {
        for (key, session) in std::mem::take(&mut self.born) {
            self.begin(key, session);
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Session(key, session) => self.begin(key, session),
            Command::Acceptor(key, acceptor) => {
                self.sources.insert(key, Source::Acceptor(acceptor));
                self.with_source(key, Instant::now(), |source, context| match source {
                    Source::Acceptor(acceptor) => acceptor.begin(context),
                    _ => true,
                });
            }
            Command::Mouth(key, mouth) => {
                self.sources.insert(key, Source::Mouth(mouth));
                self.with_mouth(key, |mouth, _| mouth.begin());
            }
            Command::Member(key, member) => {
                self.sources.insert(key, Source::Member(member));
                self.with_member(key, Member::begin);
            }
            Command::Attend(key) => self.with_member(key, Member::attend),
            Command::Resolved(key, addresses) => {
                self.with_session(key, |session, context| session.resolved(addresses, context));
            }
            Command::Lost(key, stream, loss) => {
                if self.is_on(key, stream) {
                    self.watched.remove(&key);
                    self.with_session(key, |session, context| session.lost(loss, context));
                }
            }
            Command::Broken(key, stream, loss) => {
                if self.is_on(key, stream) {
                    self.with_session(key, |session, context| session.broken(loss, context));
                }
            }
            Command::Written(key) => self.with_session(key, Session::settle),
            Command::Promised(key) => self.with_session(key, Session::beat),
            Command::Watch(key) => {
                if self.sources.contains_key(&key) {
                    if self.watched.is_empty() {
                        self.next_watch = Instant::now() + WATCH_ROUND;
                    }
                    self.watched.entry(key).or_insert(None);
                }
            }
            Command::Guard(key) => {
                if self.guarded.is_empty() {
                    self.next_guard = Instant::now() + GUARD_ROUND;
                }
                self.guarded.insert(key);
                if self.guard(key, 0) == Guarding::Over {
                    self.guarded.remove(&key);
                }
            }
            Command::Close(key, linger_ms) => {
                self.with_session(key, |session, context| session.close(linger_ms, context));
                self.with_mouth(key, |mouth, context| mouth.close(linger_ms, context));
                self.with_member(key, |member, context| member.close(linger_ms, context));
                if matches!(self.sources.get(&key), Some(Source::Acceptor(_)))
                    && let Some(Source::Acceptor(acceptor)) = self.sources.remove(&key)
                {
                    acceptor.close();
                    self.worker.count(-1);
                }
            }
            Command::Answered(key) => self.with_session(key, Session::answered),
            Command::Evict(key) => self.with_session(key, Session::evicted),
            Command::Disown(shared) => {
                let sources = self.sources.iter();
                let disowned = sources.filter_map(|(key, source)| match source {
                    Source::Session(session) if session.came_through(&shared) => Some(*key),
                    _ => None,
                });
                for key in disowned.collect::<Vec<_>>() {
                    self.with_session(key, Session::disowned);
                }
            }
            Command::Count(to) => {
                let now = Instant::now();
                let lingering = self.sources.values().filter_map(|source| match source {
                    Source::Session(session) => session.lingering(now),
                    Source::Mouth(mouth) => mouth.lingering(now),
                    Source::Member(member) => member.lingering(now),
                    Source::Acceptor(_) => None,
                });
                Census::answer(lingering, &to);
            }
            Command::GiveBack => self.worker.returns.give_back(),
            Command::Exit => self.exiting = true,
        }
    }

    fn look_after_watched(&mut self, now: Instant) {
        if self.watched.is_empty() || now < self.next_watch {
            return;
        }
        self.next_watch = now + WATCH_ROUND;
        let sources = &self.sources;
        self.watched.retain(|key, seen| {
            let Some(Source::Session(session)) = sources.get(key) else { return false };
            let connection = session.connection();
            match connection.turn.look(*seen) {
                Verdict::Keep(now) => {
                    *seen = Some(now);
                    true
                }
                Verdict::Sleep => false,
                Verdict::Reclaim => {
                    let mut gate = connection.gate.lock();
                    gate.taken = false;
                    gate.apply();
                    false
                }
            }
        });
    }

    fn look_after_guarded(&mut self, now: Instant) {
        if self.guarded.is_empty() || now < self.next_guard {
            return;
        }
        // Of ten looks in vain, which end it, the longest rounds are four.
        let rounds = if self.guard_rounds == 1 { 1 } else { 3 };
        let keys: Vec<usize> = self.guarded.iter().copied().collect();
        let mut in_vain = 0;
        for key in keys {
            match self.guard(key, rounds) {
                Guarding::Busy => {}
                Guarding::Idle => in_vain += 1,
                Guarding::Over => {
                    self.guarded.remove(&key);
                }
            }
        }
        self.guard_rounds = 1 + u32::try_from(in_vain / IN_VAIN).unwrap_or(u32::MAX - 1);
        self.guard_rounds = self.guard_rounds.min(LATEST_ROUND);
        self.next_guard = now + GUARD_ROUND * self.guard_rounds;
    }

    fn guard(&mut self, key: usize, rounds: u8) -> Guarding {
        let mut found = Guarding::Over;
        self.with_session(key, |session, context| {
            found = session.connection().guard(rounds);
            session.settle(context)
        });
        found
    }
}
