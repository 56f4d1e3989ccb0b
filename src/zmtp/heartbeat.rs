//! Heartbeats: when to send a PING, and when to take the peer for dead.
//!
//! A pure state machine: the time is an argument, frames are made by [`super::command`], timers and
//! closing are the connection's. It exists only with ZMTP 3.x peers; old ones know no commands.

use std::time::{Duration, Instant};

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a PING with [`Heartbeat::ttl_tenths`], then ask again.
    SendPing,
    /// The peer has been silent for too long: close the connection.
    Expired,
    /// Nothing before [`Heartbeat::next_deadline`].
    None,
}

/// The timers of one connection.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    interval: Duration,
    timeout: Duration,
    ttl_tenths: u16,
    next_ping: Option<Instant>,
    /// Runs from one of our PINGs until anything arrives.
    reply: Watch,
    /// Runs from the peer's PING, for as long as that said, until anything arrives.
    ttl: Watch,
    paused: bool,
}

impl Heartbeat {
    /// From the three options: `ivl_ms` 0 sends no PING, `ttl_ms` is what they announce,
    /// `timeout_ms` is how long an answer may take (-1: as long as the interval, 0: for ever).
    pub fn new(ivl_ms: i32, ttl_ms: i32, timeout_ms: i32) -> Heartbeat {
        let interval = millis(ivl_ms);
        Heartbeat {
            interval,
            timeout: if timeout_ms < 0 { interval } else { millis(timeout_ms) },
            ttl_tenths: u16::try_from(ttl_ms.max(0) / 100).unwrap_or(u16::MAX),
            next_ping: None,
            reply: Watch::default(),
            ttl: Watch::default(),
            paused: false,
        }
    }

    /// What our PINGs announce.
    pub fn ttl_tenths(&self) -> u16 {
        self.ttl_tenths
    }

    /// The handshake is done: the first PING comes an interval from now.
    pub fn on_established(&mut self, now: Instant) {
        if !self.interval.is_zero() {
            self.next_ping = now.checked_add(self.interval);
        }
    }

    /// Something arrived: the peer lives. Cheap enough for each read; a whole frame is not needed.
    #[inline]
    pub fn on_received(&mut self, _now: Instant) {
        self.reply.stop();
        self.ttl.stop();
    }

    /// A PING arrived; the caller answers it. The peer has promised to be heard again within
    /// `ttl_tenths`.
    pub fn on_ping(&mut self, now: Instant, ttl_tenths: u16) {
        self.on_received(now);
        if ttl_tenths > 0 {
            // In 32 bits: the longest is 6,553,500 ms.
            self.ttl.start(now, Duration::from_millis(u64::from(ttl_tenths) * 100));
        }
    }

    /// What is due at `now`. To be asked again after [`Action::SendPing`] was obeyed.
    ///
    /// Read what has arrived before asking, else a late timer condemns a peer whose answer is
    /// already here.
    pub fn on_timer(&mut self, now: Instant) -> Action {
        if !self.paused && (self.reply.is_due(now) || self.ttl.is_due(now)) {
            return Action::Expired;
        }
        match self.next_ping {
            Some(due) if due <= now => {
                // From now, not from when it was due: a late timer must not make up for lost PINGs.
                self.next_ping = now.checked_add(self.interval);
                if !self.timeout.is_zero() && !self.reply.is_running() {
                    self.reply.start(now, self.timeout);
                }
                Action::SendPing
            }
            _ => Action::None,
        }
    }

    /// When to ask [`Self::on_timer`] next; `None`: not before something happens.
    pub fn next_deadline(&self) -> Option<Instant> {
        let watches =
            if self.paused { [None, None] } else { [self.reply.deadline, self.ttl.deadline] };
        watches.into_iter().chain([self.next_ping]).flatten().min()
    }

    /// Our own application does not take what arrives, so reading has stopped: silence is no longer
    /// the peer's fault, and it is not condemned until [`Self::resume`]. PINGs go on.
    pub fn pause(&mut self, _now: Instant) {
        self.paused = true;
    }

    /// Reading goes on: whatever the peer owed us it owes anew, for the full time from `now`, as
    /// its signs of life may lie unread.
    pub fn resume(&mut self, now: Instant) {
        if std::mem::take(&mut self.paused) {
            self.reply.restart(now);
            self.ttl.restart(now);
        }
    }
}

/// A timer that remembers its length.
#[derive(Clone, Copy, Debug, Default)]
struct Watch {
    deadline: Option<Instant>,
    length: Duration,
}

impl Watch {
    fn start(&mut self, now: Instant, length: Duration) {
        self.length = length;
        self.deadline = now.checked_add(length);
    }

    fn restart(&mut self, now: Instant) {
        if self.is_running() {
            self.start(now, self.length);
        }
    }

    #[inline]
    fn stop(&mut self) {
        self.deadline = None;
    }

    fn is_running(&self) -> bool {
        self.deadline.is_some()
    }

    fn is_due(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }
}

/// Negative values count as 0.
fn millis(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock that moves when told to.
    struct Clock(Instant);

    impl Clock {
        fn at(&self, ms: u64) -> Instant {
            self.0 + Duration::from_millis(ms)
        }
    }

    fn started(ivl_ms: i32, ttl_ms: i32, timeout_ms: i32) -> (Clock, Heartbeat) {
        let clock = Clock(Instant::now());
        let mut heartbeat = Heartbeat::new(ivl_ms, ttl_ms, timeout_ms);
        heartbeat.on_established(clock.at(0));
        (clock, heartbeat)
    }

    #[test]
    fn off_by_default() {
        let (clock, mut heartbeat) = started(0, 0, -1);
        assert_eq!(heartbeat.next_deadline(), None);
        assert_eq!(heartbeat.on_timer(clock.at(1_000_000)), Action::None);
    }

    #[test]
    fn pings_at_each_interval_whatever_arrives() {
        let (clock, mut heartbeat) = started(100, 1234, 0);
        assert_eq!(heartbeat.ttl_tenths(), 12);
        assert_eq!(heartbeat.on_timer(clock.at(99)), Action::None);
        for tick in 1..5 {
            heartbeat.on_received(clock.at(tick * 100 - 1));
            assert_eq!(heartbeat.next_deadline(), Some(clock.at(tick * 100)));
            assert_eq!(heartbeat.on_timer(clock.at(tick * 100)), Action::SendPing);
            assert_eq!(heartbeat.on_timer(clock.at(tick * 100)), Action::None);
        }
        // A late timer does not make up for what it missed.
        assert_eq!(heartbeat.on_timer(clock.at(5000)), Action::SendPing);
        assert_eq!(heartbeat.on_timer(clock.at(5000)), Action::None);
        assert_eq!(heartbeat.next_deadline(), Some(clock.at(5100)));
    }

    #[test]
    fn silence_after_a_ping_expires() {
        // -1 stands for the interval.
        for (timeout_ms, expiry) in [(-1, 200), (30, 130), (250, 350)] {
            let (clock, mut heartbeat) = started(100, 0, timeout_ms);
            assert_eq!(heartbeat.on_timer(clock.at(100)), Action::SendPing);
            // Later PINGs do not move the end.
            while let Some(due) = heartbeat.next_deadline().filter(|due| *due < clock.at(expiry)) {
                assert_eq!(heartbeat.on_timer(due), Action::SendPing, "{timeout_ms}");
            }
            assert_eq!(heartbeat.next_deadline(), Some(clock.at(expiry)));
            assert_eq!(heartbeat.on_timer(clock.at(expiry)), Action::Expired);
        }
    }

    #[test]
    fn anything_received_is_an_answer() {
        let (clock, mut heartbeat) = started(100, 0, 30);
        assert_eq!(heartbeat.on_timer(clock.at(100)), Action::SendPing);
        heartbeat.on_received(clock.at(129));
        assert_eq!(heartbeat.on_timer(clock.at(130)), Action::None);
        assert_eq!(heartbeat.next_deadline(), Some(clock.at(200)));
    }

    #[test]
    fn the_peers_ttl_is_kept() {
        let (clock, mut heartbeat) = started(0, 0, -1);
        heartbeat.on_ping(clock.at(0), 2);
        assert_eq!(heartbeat.next_deadline(), Some(clock.at(200)));
        assert_eq!(heartbeat.on_timer(clock.at(199)), Action::None);
        // A further PING starts it anew, anything else stops it, 0 does not start it.
        heartbeat.on_ping(clock.at(150), 3);
        assert_eq!(heartbeat.next_deadline(), Some(clock.at(450)));
        heartbeat.on_received(clock.at(200));
        assert_eq!(heartbeat.next_deadline(), None);
        heartbeat.on_ping(clock.at(300), 0);
        assert_eq!(heartbeat.next_deadline(), None);
        heartbeat.on_ping(clock.at(300), 1);
        assert_eq!(heartbeat.on_timer(clock.at(400)), Action::Expired);
    }

    #[test]
    fn the_longest_ttl_does_not_wrap() {
        for ttl_tenths in [700_u16, u16::MAX] {
            let (clock, mut heartbeat) = started(0, 0, -1);
            heartbeat.on_ping(clock.at(0), ttl_tenths);
            let end = clock.at(u64::from(ttl_tenths) * 100);
            assert_eq!(heartbeat.next_deadline(), Some(end));
            assert_eq!(heartbeat.on_timer(end - Duration::from_millis(1)), Action::None);
            assert_eq!(heartbeat.on_timer(end), Action::Expired);
        }
        assert_eq!(Heartbeat::new(1, 6_553_599, -1).ttl_tenths(), u16::MAX);
        assert_eq!(Heartbeat::new(1, i32::MAX, -1).ttl_tenths(), u16::MAX);
        assert_eq!(Heartbeat::new(1, -99, -1).ttl_tenths(), 0);
    }

    #[test]
    fn our_own_stall_is_not_the_peers_fault() {
        let (clock, mut heartbeat) = started(100, 0, 30);
        heartbeat.on_ping(clock.at(0), 1);
        assert_eq!(heartbeat.next_deadline(), Some(clock.at(100)));
        heartbeat.pause(clock.at(50));
        // PINGs go on, and none of the watches ends.
        for tick in 1..10 {
            assert_eq!(heartbeat.next_deadline(), Some(clock.at(tick * 100)));
            assert_eq!(heartbeat.on_timer(clock.at(tick * 100)), Action::SendPing);
            assert_eq!(heartbeat.on_timer(clock.at(tick * 100 + 99)), Action::None);
        }
        // Afterwards the peer has the whole time again.
        heartbeat.resume(clock.at(1000));
        assert_eq!(heartbeat.next_deadline(), Some(clock.at(1000)));
        assert_eq!(heartbeat.on_timer(clock.at(1000)), Action::SendPing);
        assert_eq!(heartbeat.next_deadline(), Some(clock.at(1030)));
        assert_eq!(heartbeat.on_timer(clock.at(1029)), Action::None);
        assert_eq!(heartbeat.on_timer(clock.at(1030)), Action::Expired);
        // A resume without a pause changes nothing.
        heartbeat.resume(clock.at(1031));
        assert_eq!(heartbeat.on_timer(clock.at(1031)), Action::Expired);
    }
}
