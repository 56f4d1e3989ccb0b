//! What a thread left for later: connections to which it appended under guard and which it writes out
//! before it waits, whatever socket it then waits on.
//!
//! This only saves time. Whatever is not in a list, or in that of a thread that never waits, is written by
//! the I/O thread that stands guard.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use super::Driver;
use super::feed::Feed;
use crate::sys::process_id;

/// Writing to more connections takes the caller too long: the I/O thread has the others.
pub(super) const MOST: usize = 64;

thread_local! {
    static LEFT: RefCell<Left> = const { RefCell::new(Left { process: 0, list: Vec::new(), feeds: Vec::new() }) };
}

#[derive(Default)]
struct Left {
    process: u32,
    list: Vec<Weak<dyn Driver>>,
    /// All members of these.
    feeds: Vec<Weak<Feed>>,
}

impl Left {
    /// The list of this process.
    fn renew(&mut self) {
        let process = process_id();
        if self.process != process {
            // What the parent of this process left is not ours to write.
            self.list.clear();
            self.feeds.clear();
            self.process = process;
        }
    }
}

/// Notes a connection; false when there are too many, or the thread is at its end.
#[cold]
pub(super) fn note(driver: &Arc<dyn Driver>) -> bool {
    let noted = LEFT.try_with(|left| {
        let mut left = left.borrow_mut();
        left.renew();
        let room = left.list.len() < MOST;
        if room {
            left.list.push(Arc::downgrade(driver));
        }
        room
    });
    noted.unwrap_or(false)
}

/// Notes a feed; false when there are too many, or the thread is at its end.
#[cold]
pub(super) fn note_feed(feed: &Arc<Feed>) -> bool {
    let noted = LEFT.try_with(|left| {
        let mut left = left.borrow_mut();
        left.renew();
        let room = left.feeds.len() < MOST;
        if room {
            left.feeds.push(Arc::downgrade(feed));
        }
        room
    });
    noted.unwrap_or(false)
}

/// Writes out what this thread left: it is about to wait.
#[inline]
pub fn write_out() {
    if any() {
        write_out_all();
    }
}

/// Whether this thread left anything.
#[inline]
pub fn any() -> bool {
    let any = LEFT.try_with(|left| {
        let left = left.borrow();
        !(left.list.is_empty() && left.feeds.is_empty())
    });
    any.unwrap_or(false)
}

/// How many connections this thread has left.
pub fn count() -> u64 {
    LEFT.try_with(|left| left.borrow().list.len()).unwrap_or(0) as u64
}

fn write_out_all() {
    let Ok(mut list) = LEFT.try_with(|left| std::mem::take(&mut *left.borrow_mut())) else {
        return;
    };
    if list.process == process_id() {
        for driver in list.list.drain(..).filter_map(|driver| driver.upgrade()) {
            driver.write_left();
        }
        list.feeds.drain(..).filter_map(|feed| feed.upgrade()).for_each(|feed| feed.write_out());
    }
    list.list.clear();
    list.feeds.clear();
    // The memory serves the next time.
    let _at_its_end = LEFT.try_with(|left| {
        let mut left = left.borrow_mut();
        if left.list.is_empty() && left.feeds.is_empty() {
            *left = list;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::wire::{End, Framing, Wire};
    use super::super::{Pulled, Urgency};
    use super::*;
    use crate::message::Msg;
    use std::os::fd::AsRawFd;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Counts how often it is told to write now.
    struct Line {
        wire: Arc<Wire>,
        written: AtomicUsize,
    }

    impl Driver for Line {
        fn flush(&self, urgency: Urgency) {
            if urgency == Urgency::Now {
                self.written.fetch_add(1, Ordering::Relaxed);
            }
        }

        fn write_left(&self) {
            self.wire.left.store(0, Ordering::Relaxed);
            self.flush(Urgency::Now);
        }

        fn pull(&self) -> Pulled {
            Pulled::Over
        }

        fn attend(&self) -> Option<Arc<dyn AsRawFd + Send + Sync>> {
            None
        }

        fn give_back(&self) {}

        crate::pipe::nothing_more_to_drive!();
    }

    fn line() -> (Arc<Line>, End) {
        let wire = Wire::new(0, 0, false);
        let mut queue = wire.send.lock();
        (queue.framing, queue.link.open) = (Framing::Plain, true);
        drop(queue);
        wire.guarded.store(true, Ordering::Relaxed);
        let line = Arc::new(Line { wire: wire.clone(), written: AtomicUsize::new(0) });
        (line.clone(), End::new(wire, line))
    }

    fn append(end: &mut End) {
        assert!(end.send(&mut Msg::copy_of(b"m").expect("small"), false));
        end.flush(Urgency::Auto, false);
    }

    fn written(line: &Line) -> usize {
        line.written.load(Ordering::Relaxed)
    }

    #[test]
    fn what_a_thread_left_is_written_once_before_it_waits() {
        let ((one, mut to_one), (other, mut to_other)) = (line(), line());
        for round in 1..=2 {
            append(&mut to_one);
            [&mut to_one, &mut to_other].into_iter().for_each(append);
            std::thread::spawn(write_out).join().expect("no panic");
            assert_eq!((written(&one), written(&other)), (round - 1, round - 1), "not by others");
            write_out();
            assert_eq!((written(&one), written(&other)), (round, round));
            write_out();
            assert_eq!((written(&one), written(&other)), (round, round), "nothing is left");
        }
        append(&mut to_one);
        drop((one, to_one));
        write_out();
    }

    #[test]
    fn many_are_left_to_the_guard() {
        let mut lines: Vec<_> = (0..MOST + 5).map(|_| line()).collect();
        lines.iter_mut().for_each(|(_, end)| append(end));
        write_out();
        let count = lines.iter().filter(|(line, _)| written(line) > 0).count();
        assert_eq!(count, MOST);
        // Who found no place is not forgotten for ever.
        lines.iter_mut().rev().take(5).for_each(|(_, end)| append(end));
        write_out();
        assert!(lines.iter().all(|(line, _)| written(line) == 1));
    }

    #[test]
    fn what_lies_in_a_feed_is_written_to_all_members_but_not_to_very_many() {
        for count in [5, MOST + 1] {
            let mut lines: Vec<_> = (0..count).map(|_| line()).collect();
            let feed = Arc::<Feed>::default();
            assert!(lines.iter_mut().all(|(_, end)| end.join(&feed).is_some()));
            for round in 1..=2 {
                (0..3).for_each(|_| assert!(feed.append([&Msg::copy_of(b"m").expect("small")])));
                write_out();
                write_out();
                let wanted = if count <= MOST { round } else { 0 };
                assert!(lines.iter().all(|(line, _)| written(line) == wanted));
            }
        }
    }
}
