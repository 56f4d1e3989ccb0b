//! A message of several parts for few peers: small parts are gathered in frames, which each peer gets at once when the
//! message is complete.
//!
//! Room is looked at when the message begins, as for any other.

use super::{FEW, FanOut, grant};
use crate::message::frame;
use crate::pipe::{Pipes, Urgency, unframed};

/// The message under way.
#[derive(Default)]
pub(super) struct Gathering {
    frames: Vec<u8>,
    /// How large a part may be; 0 while nothing is gathered.
    largest: usize,
}

impl Gathering {
    /// A message with more than this is sent part by part.
    const MOST: usize = 8 * 1024 - 1;

    /// What there is of the message is not to be sent.
    #[inline]
    pub(super) fn forget(&mut self) {
        self.largest = 0;
        self.frames.clear();
    }
}

impl FanOut {
    /// Whether the message under way is gathered.
    #[inline]
    pub(in crate::pattern) fn is_gathering(&self) -> bool {
        self.gathering.largest > 0
    }

    /// To be called when all are chosen: begins to gather a message of several parts; false, with nothing done, where
    /// somebody cannot get it like that.
    pub(in crate::pattern) fn begin_gathering(&mut self, pipes: &mut Pipes) -> bool {
        let maximum = |id| pipes.get(id).map_or(Gathering::MOST, |pipe| pipe.frames_max());
        let maxima = self.chosen.iter().copied().map(maximum);
        let largest = maxima.min().unwrap_or(Gathering::MOST);
        self.gathering.largest = largest.min(self.steady.frames_max());
        if self.gathering.largest == 0 {
            return false;
        }
        let mut full = 0;
        self.chosen.retain(|id| {
            let Some(pipe) = pipes.get(*id) else { return false };
            let room = pipe.admits_frames();
            // Who is gone has missed nothing.
            full += u64::from(!room && !pipe.deaf());
            room
        });
        if full > 0 {
            pipes.count_full(full);
        }
        self.amid_message = true;
        true
    }

    /// Takes a part of the message that is gathered, and sends that with the last one; false, with nothing done, where
    /// this part is too large: then it is for [`FanOut::send`].
    pub(in crate::pattern) fn gather(
        &mut self,
        pipes: &mut Pipes,
        bytes: &[u8],
        more: bool,
    ) -> bool {
        let gathering = &mut self.gathering;
        let size = gathering.frames.len() + bytes.len();
        if bytes.len() > gathering.largest || size > Gathering::MOST {
            return false;
        }
        if !self.chosen.is_empty() || self.steady.is_feeding() {
            frame::push(&mut gathering.frames, if more { frame::MORE } else { 0 }, bytes);
        }
        if !more {
            self.send_gathered(pipes);
        }
        true
    }

    fn send_gathered(&mut self, pipes: &mut Pipes) {
        let frames = &self.gathering.frames;
        let feeding = self.steady.is_feeding();
        if feeding && !self.steady.feed_frames(frames) {
            // Each gets its own.
            self.chosen.extend(self.steady.members());
        }
        let many = self.chosen.len() > FEW || feeding;
        let urgency = if many { Urgency::Later } else { Urgency::Auto };
        for id in self.chosen.drain(..) {
            if let Some(pipe) = pipes.get(id) {
                pipe.send_frames(frames, urgency);
            }
        }
        self.gathering.forget();
        self.amid_message = false;
    }

    /// Sends what was gathered part by part: the next one cannot be.
    #[cold]
    pub(super) fn scatter(&mut self, pipes: &mut Pipes) {
        let parts = unframed(&self.gathering.frames);
        let none = self.gathering.frames.is_empty();
        self.gathering.forget();
        if none {
            return;
        }
        let chosen = self.chosen.clone();
        grant(pipes, &chosen, true);
        for mut part in parts {
            self.send(pipes, &mut part);
        }
        grant(pipes, &chosen, false);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::part;
    use super::super::tests::world;
    use super::*;

    fn begin(fan_out: &mut FanOut, pipes: &mut Pipes, body: &[u8]) {
        fan_out.choose_all();
        assert!(fan_out.begin_gathering(pipes) && fan_out.gather(pipes, body, true));
        assert!(fan_out.is_amid_message() && fan_out.is_gathering());
    }

    #[test]
    fn peers_get_the_parts_when_the_last_one_is_there() {
        let (mut pipes, mut peers, mut fan_out) = world(2, 0);
        for _ in 0..2 {
            begin(&mut fan_out, &mut pipes, b"a");
            assert!(fan_out.gather(&mut pipes, b"", true));
            assert!(peers.received(0).is_empty());
            assert!(fan_out.gather(&mut pipes, &[b'c'; 256], false));
            let last = "c".repeat(256);
            for peer in 0..2 {
                assert_eq!(peers.received(peer), [["a", "", last.as_str()]]);
            }
            assert!(!fan_out.is_amid_message() && !fan_out.is_gathering());
        }
    }

    #[test]
    fn with_a_part_that_is_too_large_the_message_goes_part_by_part() {
        let (mut pipes, mut peers, mut fan_out) = world(2, 0);
        begin(&mut fan_out, &mut pipes, b"a");
        let body = "b".repeat(5000);
        assert!(!fan_out.gather(&mut pipes, body.as_bytes(), true));
        fan_out.send(&mut pipes, &mut part(&body, true));
        assert!(fan_out.is_amid_message() && !fan_out.is_gathering());
        fan_out.send(&mut pipes, &mut part("c", false));
        assert_eq!(peers.received(0), [["a", body.as_str(), "c"]]);
        assert_eq!(peers.received(1), [["a", body.as_str(), "c"]]);
    }

    #[test]
    fn who_has_no_room_at_the_first_part_misses_the_message() {
        // A mark of 1 on each side makes 2 in the pipe.
        let (mut pipes, mut peers, mut fan_out) = world(2, 1);
        for body in ["1", "2"] {
            fan_out.choose_all();
            fan_out.send(&mut pipes, &mut part(body, false));
        }
        assert_eq!(peers.received(1), [["1"], ["2"]]);
        begin(&mut fan_out, &mut pipes, b"3");
        assert_eq!(peers.received(0), [["1"], ["2"]], "room that comes now is for the next one");
        assert!(fan_out.gather(&mut pipes, b"end", false));
        assert!(peers.received(0).is_empty());
        assert_eq!(peers.received(1), [["3", "end"]]);
    }

    #[test]
    fn who_goes_amid_a_message_does_no_harm_and_who_comes_misses_it() {
        let (mut pipes, mut peers, mut fan_out) = world(2, 0);
        begin(&mut fan_out, &mut pipes, b"a");
        let gone = crate::pipe::PipeId(0);
        fan_out.detach(gone);
        pipes.remove(gone);
        let again = peers.join(&mut pipes);
        fan_out.attach(again);
        assert_eq!(again, gone, "the place is used again");
        assert!(fan_out.gather(&mut pipes, b"b", false));
        assert_eq!(peers.received(1), [["a", "b"]]);
        assert!(peers.received(0).is_empty() && peers.received(2).is_empty());
        // A message that is never ended is not sent.
        begin(&mut fan_out, &mut pipes, b"c");
        begin(&mut fan_out, &mut pipes, b"d");
        assert!(fan_out.gather(&mut pipes, b"e", false));
        assert_eq!(peers.received(1), [["d", "e"]]);
    }
}
