//! What a feed does for its members, and when it ends.

use std::ops::DerefMut;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use proptest::prelude::*;

use super::super::FanOut;
use super::*;
use crate::message::frame;
use crate::pattern::testing::part;
use crate::pipe::wire::{End, Framing, Segment, SendQueue, Wire};
use crate::pipe::{Driver, Pipe, PipeKey, Pulled, Urgency, inproc_pair_for_tests};

/// A connection that is worked by hand.
struct Idle;

impl Driver for Idle {
    fn flush(&self, _urgency: Urgency) {}

    fn pull(&self) -> Pulled {
        Pulled::Over
    }

    fn attend(&self) -> Option<Arc<dyn AsRawFd + Send + Sync>> {
        None
    }

    fn give_back(&self) {}

    crate::pipe::nothing_more_to_drive!();
}

/// A subscriber's connection, and what the kernel has of it; or one in the same context, and what it has read.
struct Line {
    far: Far,
    key: PipeKey,
    here: bool,
    written: Vec<u8>,
}

enum Far {
    Wire(Arc<Wire>),
    Inproc(Pipe),
}

impl Far {
    fn wire(&self) -> Option<&Arc<Wire>> {
        match self {
            Far::Wire(wire) => Some(wire),
            Far::Inproc(_) => None,
        }
    }
}

impl Line {
    fn open(&self) {
        let Some(wire) = self.far.wire() else { return };
        let mut queue = wire.send.lock();
        (queue.framing, queue.link.open) = (Framing::Plain, true);
        wire.guarded.store(true, Ordering::Relaxed);
    }

    /// Of a connection.
    fn queue(&self) -> impl DerefMut<Target = SendQueue> {
        self.far.wire().expect("a connection").send.lock()
    }

    /// The kernel takes everything, or so many of the pieces at hand, and the rest of a message begun.
    fn write(&mut self, pieces: usize) {
        let wire = match &mut self.far {
            Far::Wire(wire) => wire,
            Far::Inproc(pipe) => return read(pipe, pieces, &mut self.written),
        };
        let mut queue = wire.send.lock();
        while queue.link.open {
            let mut segments = queue.take();
            let (mut messages, mut bytes) = (0, 0);
            let mut left = pieces;
            let mut open = false;
            while left > 0 || open {
                let Some(segment) = segments.pop_front() else { break };
                left = left.saturating_sub(1);
                open = is_open(&segment);
                let before = self.written.len();
                messages += match segment {
                    Segment::Frames { bytes, messages, .. } => {
                        self.written.extend_from_slice(&bytes);
                        messages as usize
                    }
                    Segment::Portion(portion) => {
                        self.written.extend_from_slice(&portion.bytes);
                        portion.messages as usize
                    }
                    Segment::Message(msg) => {
                        let flags = if msg.more() { frame::MORE } else { 0 };
                        frame::push(&mut self.written, flags, msg.data());
                        usize::from(!msg.more())
                    }
                    Segment::Payload(msg) => {
                        self.written.extend_from_slice(msg.data());
                        usize::from(!msg.more())
                    }
                };
                bytes += self.written.len() - before;
            }
            queue.give_back(segments);
            wire.sent(&mut queue, messages, bytes);
            if queue.is_empty() || pieces < usize::MAX {
                break;
            }
        }
    }

    /// The I/O thread looks after it no longer, if nothing waits.
    fn lift(&self) {
        let Some(wire) = self.far.wire() else { return };
        let mut queue = wire.send.lock();
        if queue.is_empty() && queue.leave_idle_feed() {
            wire.guarded.store(false, Ordering::Relaxed);
        }
    }

    /// The connection is lost and will be made anew.
    fn lose(&self) {
        let Some(wire) = self.far.wire() else { return };
        let mut queue = wire.send.lock();
        queue.link.open = false;
        queue.unframe();
        wire.sent(&mut queue, 0, 0);
    }
}

/// Reads so many messages.
fn read(pipe: &mut Pipe, messages: usize, into: &mut Vec<u8>) {
    let mut left = messages;
    while left > 0 {
        assert_eq!(pipe.check_read(), pipe.check_read());
        let short = pipe.receive_bytes(|bytes, more| {
            frame::push(into, u8::from(more), bytes);
            left -= usize::from(!more);
            true
        });
        if short {
            continue;
        }
        let Some(msg) = pipe.read() else { break };
        frame::push(into, u8::from(msg.more()), msg.data());
        left -= usize::from(!msg.more());
    }
}

/// A publisher and its subscribers.
struct World {
    out: FanOut,
    pipes: Pipes,
    lines: Vec<Line>,
    fed: usize,
    gathers: bool,
}

impl World {
    fn new() -> World {
        World {
            out: FanOut::default(),
            pipes: Pipes::new(),
            lines: Vec::new(),
            fed: 0,
            gathers: true,
        }
    }

    /// One that gives every peer its own copy.
    fn without_feeds() -> World {
        let mut world = World::new();
        world.out.steady.wait = u32::MAX;
        world.gathers = false;
        world
    }

    fn join(&mut self, mark: i32) {
        let wire = Wire::new(mark, 0, false);
        let key = self.pipes.insert(Pipe::wire(End::new(wire.clone(), Arc::new(Idle))));
        self.out.attach(key.id);
        let line = Line { far: Far::Wire(wire), key, here: true, written: Vec::new() };
        line.open();
        self.lines.push(line);
    }

    fn join_within(&mut self, mark: i32) {
        let (near, far) = inproc_pair_for_tests((mark, 1), (1, 9));
        let key = self.pipes.insert(near);
        self.out.attach(key.id);
        self.lines.push(Line { far: Far::Inproc(far), key, here: true, written: Vec::new() });
    }

    fn leave(&mut self, line: usize) {
        let line = &mut self.lines[line];
        if std::mem::take(&mut line.here) {
            self.out.detach(line.key.id);
            self.pipes.remove(line.key.id);
        }
    }

    /// Chooses; false where somebody has no room and nobody must miss it.
    fn begin(&mut self, chosen: u16, size: usize, no_drop: bool) -> bool {
        self.out.begin();
        for (n, line) in self.lines.iter().enumerate() {
            if line.here && chosen >> (n % 16) & 1 == 1 {
                self.out.choose(line.key.id);
            }
        }
        self.out.share_frames(&mut self.pipes, size, no_drop);
        self.fed += usize::from(self.out.steady.is_feeding());
        !no_drop || self.out.full(&mut self.pipes).is_none()
    }

    /// As an XPUB does; the world without feeds sends part by part.
    fn send(&mut self, body: &[u8], more: bool) {
        let first = !self.out.is_amid_message();
        let begins = self.gathers && first && more && self.out.begin_gathering(&mut self.pipes);
        let gathers = begins || self.out.is_gathering();
        if gathers && self.out.gather(&mut self.pipes, body, more) {
            return;
        }
        self.out.send(&mut self.pipes, &mut part(body, more));
    }

    fn send_to_all(&mut self, body: &str) {
        assert!(self.begin(u16::MAX, body.len(), false));
        self.send(body.as_bytes(), false);
    }

    /// What each line's queue counts as waiting.
    fn counts(&mut self) -> Vec<Option<u64>> {
        let World { pipes, lines, .. } = self;
        lines
            .iter()
            .map(|line| {
                let here = line.here.then(|| pipes.get(line.key.id)).flatten();
                here.and_then(Pipe::counts).map(|counts| counts.outgoing)
            })
            .collect()
    }

    fn dropped(&self) -> u64 {
        self.pipes.dropped().full()
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// To these peers, these sizes; what happens between the parts; nobody may miss it.
    Send(u16, Vec<(usize, Option<Change>)>, bool),
    Change(Change),
}

#[derive(Clone, Debug)]
enum Change {
    Join(i32),
    JoinWithin(i32),
    Leave(usize),
    Write(usize, usize),
    Lift(usize),
    Guard(usize),
    Lose(usize),
    Reopen(usize),
    Marks(usize, i32),
    /// Of a subscriber in the same context.
    FarMark(usize, i32),
    Count,
}

fn change(whole: bool) -> impl Strategy<Value = Change> {
    let line = || 0..12usize;
    let marks = || if whole { prop_oneof![Just(0), 1..30i32].boxed() } else { Just(0).boxed() };
    let pieces = if whole { Just(usize::MAX).boxed() } else { (0..4usize).boxed() };
    prop_oneof![
        1 => marks().prop_map(Change::Join),
        1 => marks().prop_map(Change::JoinWithin),
        1 => line().prop_map(Change::Leave),
        8 => (line(), pieces).prop_map(|(line, pieces)| Change::Write(line, pieces)),
        2 => line().prop_map(Change::Lift),
        3 => line().prop_map(Change::Guard),
        1 => line().prop_map(Change::Lose),
        2 => line().prop_map(Change::Reopen),
        1 => (line(), marks()).prop_map(|(line, mark)| Change::Marks(line, mark)),
        1 => (line(), marks()).prop_map(|(line, mark)| Change::FarMark(line, mark)),
        1 => Just(Change::Count),
    ]
}

fn step(whole: bool) -> impl Strategy<Value = Step> {
    let chosen = prop_oneof![9 => Just(u16::MAX), 2 => Just(0xAFF), 1 => any::<u16>()];
    let size = prop_oneof![18 => 0..80usize, 2 => 1_000..5_000usize, 1 => 80..20_000usize];
    let between = proptest::option::weighted(0.2, change(whole));
    let parts = prop_oneof![
        3 => proptest::collection::vec((size.clone(), Just(None)), 1),
        1 => proptest::collection::vec((size, between), 1..4),
    ];
    let no_drop = proptest::bool::weighted(0.2);
    prop_oneof![
        6 => (chosen, parts, no_drop).prop_map(|(chosen, parts, no_drop)| Step::Send(chosen, parts, no_drop)),
        1 => change(whole).prop_map(Step::Change),
    ]
}

fn apply(world: &mut World, change: &Change) {
    let count = world.lines.len();
    match *change {
        Change::Join(mark) if count < 16 => world.join(mark),
        Change::JoinWithin(mark) if count < 16 => world.join_within(mark),
        Change::Leave(line) if line < count => world.leave(line),
        Change::Write(line, pieces) if line < count => world.lines[line].write(pieces),
        Change::Lift(line) if line < count => world.lines[line].lift(),
        Change::Guard(line) if line < count => {
            if let Some(wire) = world.lines[line].far.wire() {
                wire.guarded.store(true, Ordering::Relaxed);
            }
        }
        Change::Lose(line) if line < count => world.lines[line].lose(),
        Change::Reopen(line) if line < count => world.lines[line].open(),
        Change::Marks(line, mark) if line < count && world.lines[line].here => {
            let id = world.lines[line].key.id;
            world.pipes.get(id).expect("it is here").set_marks(mark, 0);
        }
        Change::FarMark(line, mark) if line < count => {
            if let Far::Inproc(pipe) = &mut world.lines[line].far {
                pipe.set_marks(1, mark);
            }
        }
        Change::Count => {
            world.counts();
        }
        _ => {}
    }
}

fn run(world: &mut World, kinds: u16, steps: &[Step]) -> Vec<bool> {
    for n in 0..9 {
        if kinds >> n & 1 == 1 {
            world.join_within(0);
        } else {
            world.join(0);
        }
    }
    let mut accepted = Vec::new();
    for (n, step) in steps.iter().enumerate() {
        match step {
            Step::Change(change) => apply(world, change),
            Step::Send(chosen, parts, no_drop) => {
                let begun = world.begin(*chosen, parts[0].0, *no_drop);
                accepted.push(begun);
                // As an XPUB does.
                if begun && !no_drop && parts.len() == 1 && parts[0].0 <= FanOut::BYTES_MAX {
                    world.out.send_bytes(&mut world.pipes, &vec![n as u8; parts[0].0]);
                    parts[0].1.iter().for_each(|between| apply(world, between));
                    continue;
                }
                for (m, (size, between)) in parts.iter().enumerate().filter(|_| begun) {
                    world.send(&vec![n as u8; *size], m + 1 < parts.len());
                    if let Some(between) = between {
                        apply(world, between);
                    }
                }
            }
        }
    }
    world.lines.iter_mut().for_each(|line| {
        line.open();
        line.write(usize::MAX);
    });
    accepted
}

fn written(world: World) -> Vec<Vec<u8>> {
    world.lines.into_iter().map(|line| line.written).collect()
}

/// Which of the first nine are in the same context.
fn kinds() -> impl Strategy<Value = u16> {
    prop_oneof![2 => Just(0), 2 => Just(u16::MAX), 1 => any::<u16>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whoever writes everything at hand drops, refuses and sends the same as without feeds.
    #[test]
    fn marks_hold_as_without_feeds(kinds in kinds(), steps in proptest::collection::vec(step(true), 0..150)) {
        let (mut with, mut without) = (World::new(), World::without_feeds());
        prop_assert_eq!(run(&mut with, kinds, &steps), run(&mut without, kinds, &steps));
        prop_assert_eq!(with.dropped(), without.dropped());
        prop_assert_eq!(without.fed, 0);
        prop_assert_eq!(written(with), written(without));
    }

    /// However the writing is cut, everybody gets the same bytes.
    #[test]
    fn order_holds_as_without_feeds(kinds in kinds(), steps in proptest::collection::vec(step(false), 0..150)) {
        let (mut with, mut without) = (World::new(), World::without_feeds());
        prop_assert_eq!(run(&mut with, kinds, &steps), run(&mut without, kinds, &steps));
        prop_assert_eq!(written(with), written(without));
    }
}

fn ten(mark: i32) -> World {
    let mut world = World::new();
    (0..10).for_each(|_| world.join(mark));
    world
}

#[test]
fn from_the_second_message_to_the_same_peers_on_it_is_framed_once() {
    let mut world = ten(0);
    (0..5).for_each(|_| world.send_to_all("news"));
    assert_eq!(world.fed, 4);
    // Somebody else's message in between.
    assert!(world.begin(1, 1, false));
    world.send(b"x", false);
    (0..3).for_each(|_| world.send_to_all("news"));
    assert_eq!(world.fed, 6, "one after the other, and one more since the feed had carried little");
    world.lines.iter_mut().for_each(|line| line.write(usize::MAX));
    let lengths: Vec<_> = world.lines.iter().map(|line| line.written.len()).collect();
    assert_eq!(lengths, [51, 48, 48, 48, 48, 48, 48, 48, 48, 48]);
}

/// Nobody reads. What is sent by each step is seen by all that have room.
fn lower_marks(world: &mut World) {
    for line in 0..world.lines.len() {
        apply(world, &Change::Marks(line, 1));
        apply(world, &Change::FarMark(line, 1));
    }
}

#[test]
fn room_that_was_seen_lasts_to_the_end_of_a_message() {
    let sizes = [[2, 3], [2, 300], [2, 5_000], [300, 3], [300, 5_000], [5_000, 5_000]];
    for (within, gathers, [first, last]) in [true, false].into_iter().flat_map(|within| {
        [true, false].into_iter().flat_map(move |gathers| sizes.map(|size| (within, gathers, size)))
    }) {
        let mut world = World { gathers, ..World::new() };
        (0..6).for_each(|_| if within { world.join_within(100) } else { world.join(100) });
        (0..50).for_each(|_| world.send_to_all("m"));
        assert!(world.fed >= 48);
        assert!(world.begin(u16::MAX, first, true));
        world.send(&vec![1; first], true);
        lower_marks(&mut world);
        world.send(&vec![2; last], false);
        assert_eq!(world.dropped(), 0, "{within} {gathers} {first} {last}");
        assert!(!world.begin(u16::MAX, 1, true), "and no longer");
        world.lines.iter_mut().for_each(|line| line.write(usize::MAX));
        for line in &world.lines {
            let mut expected = Vec::new();
            (0..50).for_each(|_| frame::push(&mut expected, 0, b"m"));
            frame::push(&mut expected, frame::MORE, &vec![1; first]);
            frame::push(&mut expected, 0, &vec![2; last]);
            assert!(line.written == expected, "{within} {gathers} {first} {last}");
        }
    }
}

#[test]
fn room_that_was_seen_lasts_until_the_message_is_sent() {
    for (feeds, first, as_bytes, gathers) in [true, false].into_iter().flat_map(|feeds| {
        [
            (1, true, false),
            (1, false, true),
            (300, false, true),
            (300, false, false),
            (5_000, false, true),
        ]
        .map(|(first, as_bytes, gathers)| (feeds, first, as_bytes, gathers))
    }) {
        let mut world =
            World { gathers, ..if feeds { World::new() } else { World::without_feeds() } };
        (0..6).for_each(|_| world.join_within(1));
        (0..6).for_each(|line| apply(&mut world, &Change::FarMark(line, 99)));
        (0..50).for_each(|_| world.send_to_all("m"));
        assert!(world.begin(u16::MAX, first, true));
        assert_eq!(world.out.steady.is_feeding(), feeds);
        // Readers may do so at any moment.
        (0..6).for_each(|line| apply(&mut world, &Change::FarMark(line, 1)));
        if as_bytes {
            world.out.send_bytes(&mut world.pipes, &vec![1; first]);
        } else {
            world.send(&vec![1; first], true);
            world.send(b"m", false);
        }
        assert_eq!(world.dropped(), 0, "{feeds} {first} {as_bytes} {gathers}");
        assert!(!world.begin(u16::MAX, 1, true), "and no longer");
        world.lines.iter_mut().for_each(|line| line.write(usize::MAX));
        let whole = written(world);
        assert!(whole.iter().all(|written| written.len() > 50 * 3 + first && *written == whole[0]));
    }
}

#[test]
fn a_readers_new_mark_holds_from_the_next_message_on() {
    for (no_drop, large) in [(false, 1), (true, 1), (false, 5_000), (true, 5_000)] {
        let run = |mut world: World| {
            (0..3).for_each(|_| world.join_within(100));
            (0..50).for_each(|_| world.send_to_all("m"));
            apply(&mut world, &Change::FarMark(0, 1));
            let mut accepted = 0;
            for n in 0..100 {
                let size = if n % 10 == 9 { large } else { 1 };
                if world.begin(u16::MAX, size, no_drop) {
                    world.send(&vec![7; size], false);
                    accepted += 1;
                }
            }
            world.lines.iter_mut().for_each(|line| line.write(usize::MAX));
            (accepted, world.dropped(), world.fed, written(world))
        };
        let (with, without) = (run(World::new()), run(World::without_feeds()));
        assert!(with.2 > 50 && without.2 == 0);
        assert_eq!((with.0, with.1), (without.0, without.1));
        assert!(with.3 == without.3);
        assert_eq!(with.0, if no_drop { 51 } else { 100 });
    }
}

#[test]
fn what_says_more_than_its_bytes_says_it_to_all() {
    let mut world = World::new();
    (0..3).for_each(|_| world.join_within(0));
    for n in 0..20 {
        assert!(world.begin(u16::MAX, 4, false));
        let mut msg = part("news", false);
        if n % 7 == 5 {
            msg.set_routing_id(n);
        }
        world.out.send(&mut world.pipes, &mut msg);
    }
    assert!(world.fed > 5);
    for line in &mut world.lines {
        let Far::Inproc(pipe) = &mut line.far else { panic!("in the same context") };
        let ids: Vec<_> = std::iter::from_fn(|| pipe.read()).map(|msg| msg.routing_id()).collect();
        assert!(ids.into_iter().eq((0..20).map(|n| if n % 7 == 5 { n } else { 0 })));
    }
}

#[test]
fn memory_is_shared_and_goes_when_the_last_has_written() {
    let mut world = ten(0);
    (0..2_000).for_each(|_| world.send_to_all(&"x".repeat(100)));
    let portions: Vec<Arc<_>> = world.lines[..9]
        .iter_mut()
        .flat_map(|line| {
            let mut queue = line.queue();
            queue.catch_up(true);
            let portions = queue.take().into_iter().filter_map(|segment| match segment {
                Segment::Portion(portion) => Some(portion),
                _ => None,
            });
            portions.collect::<Vec<_>>()
        })
        .collect();
    assert!(portions.len() >= 9 * 12);
    let weak: Vec<_> = portions.iter().map(Arc::downgrade).collect();
    drop(portions);
    assert!(weak.iter().all(|portion| portion.strong_count() == 1), "one line has not taken them");
    world.lines[9].write(usize::MAX);
    assert_eq!(world.lines[9].written.len(), 2_000 * 102);
    assert!(weak.iter().all(|portion| portion.strong_count() == 0));
}

#[test]
fn a_peer_at_its_mark_holds_what_fits_there_and_nobody_up() {
    let mut world = ten(100);
    for n in 0..10_000 {
        world.send_to_all("m");
        if n % 50 == 0 {
            world.lines[1..].iter_mut().for_each(|line| line.write(usize::MAX));
        }
    }
    world.lines[1..].iter_mut().for_each(|line| line.write(usize::MAX));
    assert!(world.lines[1..].iter().all(|line| line.written.len() == 30_000));
    assert_eq!((world.counts()[0], world.dropped()), (Some(100), 9_900));
    assert!(world.fed > 9_000, "{}", world.fed);
    let mut queue = world.lines[0].queue();
    let held: usize = queue.take().iter().map(size).sum();
    assert_eq!((held, queue.bytes), (300, 300));
}

/// Whether the message goes on in the next piece.
fn is_open(segment: &Segment) -> bool {
    match segment {
        Segment::Frames { open, .. } => *open,
        Segment::Portion(_) => false,
        Segment::Payload(msg) | Segment::Message(msg) => msg.more(),
    }
}

/// What a piece keeps in memory.
fn size(segment: &Segment) -> usize {
    match segment {
        Segment::Frames { bytes, .. } => bytes.len(),
        Segment::Portion(portion) => portion.bytes.len(),
        Segment::Payload(msg) | Segment::Message(msg) => msg.size(),
    }
}

#[test]
fn who_is_lost_and_comes_back_has_missed_nothing() {
    let mut world = ten(0);
    for n in 0..30 {
        world.send_to_all(&format!("{n:02}"));
        match n {
            5 => world.lines[3].write(usize::MAX),
            10 => world.lines[3].lose(),
            20 => world.lines[3].open(),
            _ => {}
        }
    }
    world.lines[3].write(usize::MAX);
    let bodies: Vec<_> = world.lines[3].written.chunks(4).map(|frame| &frame[2..]).collect();
    assert!((0..30).map(|n| format!("{n:02}").into_bytes()).eq(bodies));
}
