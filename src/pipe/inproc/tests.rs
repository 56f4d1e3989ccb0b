//! The pipe by its two ends.

use super::*;

fn numbered(n: u8) -> Msg {
    Msg::copy_of(&[n]).expect("small")
}

fn fill(end: &mut End) -> usize {
    let mut count = 0;
    while end.send(&mut numbered(count as u8)) {
        end.flush();
        count += 1;
    }
    count
}

#[test]
fn what_was_written_can_be_taken_back_when_its_writer_is_gone() {
    use crate::pipe::{NewPipe, Pipe, PipeId, PipeKey};
    for taken_in in [false, true] {
        let (mut near, mut far) = pair(false);
        let mailbox: Arc<Mailbox<Notice>> = Arc::default();
        far.set_entrance(mailbox.clone(), Remains::Words);
        let pipe = Pipe::inproc(far);
        let new = NewPipe { pipe, identity: None, endpoint: 0, initiator: false };
        mailbox.post(Notice::Attach(Box::new(new)));
        assert!(near.send(&mut numbered(1)));
        near.flush();
        let trace = near.trace();
        let mut notices = Vec::new();
        if taken_in {
            mailbox.take(&mut notices);
        }
        if let Some(Notice::Attach(new)) = notices.first_mut() {
            let key = PipeKey { id: PipeId(0), generation: 0 };
            new.pipe.bind_target(Target { mailbox: mailbox.clone(), key });
        }
        drop(near);
        assert!(mailbox.pending(), "what it said is still there, and that it went");
        if taken_in {
            mailbox.take(&mut Vec::new());
        }
        assert!(!trace.is_lost());
        trace.retract();
        // Who has taken the pipe in is told to look again.
        assert_eq!(mailbox.pending(), taken_in);
        if let Some(Notice::Attach(new)) = notices.first() {
            assert!(new.pipe.retracted());
        }
    }
}

#[test]
fn the_mark_is_the_sum_of_both_sides() {
    for (send, receive, expected) in [(3, 4, 7), (1, 1, 2)] {
        let (mut a, mut b) = pair(false);
        a.set_marks(send, 1);
        b.set_marks(1, receive);
        assert_eq!(fill(&mut a), expected);
    }
}

#[test]
fn before_the_bind_only_the_connecters_mark_counts() {
    let (mut a, mut b) = pair(false);
    a.set_marks(3, 1);
    assert_eq!(fill(&mut a), 3);
    b.set_marks(1, 4);
    assert_eq!(fill(&mut a), 4);
}

#[test]
fn room_comes_in_steps_of_the_low_water_mark() {
    for (mark, step) in [(20, 10), (7, 4), (2, 1)] {
        let (mut a, mut b) = pair(false);
        a.set_marks(mark - 1, 1);
        b.set_marks(1, 1);
        assert_eq!(fill(&mut a), mark as usize);
        for n in 1..=step {
            assert!(!a.check_write(), "mark {mark} after {n} reads");
            assert!(b.read().is_some());
        }
        assert!(a.check_write(), "mark {mark}");
    }
}

#[test]
fn parts_appear_together_and_a_rolled_back_message_never_does() {
    let (mut a, mut b) = pair(false);
    a.set_marks(10, 10);
    b.set_marks(10, 10);
    let mut first = numbered(1);
    first.set_more(true);
    assert!(a.send(&mut first.share().expect("small")));
    a.flush();
    assert!(!b.check_read());
    a.rollback();
    assert!(a.send(&mut first) && a.send(&mut numbered(2)));
    a.flush();
    assert!(b.check_read());
    assert_eq!(b.read().map(|m| m.data().to_vec()), Some(vec![1]));
    assert_eq!(b.read().map(|m| m.data().to_vec()), Some(vec![2]));
    assert!(b.read().is_none());
}

#[test]
fn parts_of_every_size_arrive_as_they_were() {
    let (mut a, mut b) = pair(false);
    a.set_marks(100, 100);
    b.set_marks(100, 100);
    let bytes: Vec<u8> = (0..9000).map(|n| (n % 251) as u8).collect();
    let mut got = Msg::new();
    for size in [0, 1, 33, 34, 256, 257, 1024, 1024, 2000, 4096, 4097, 9000] {
        let expected = &bytes[..size];
        let mut part = Msg::copy_of(expected).expect("memory");
        assert!(size > COPIED_TO_MANY_MAX || a.send_copy(&part) == Some(true));
        part.set_more(true);
        assert!(a.send(&mut part) && part.is_empty());
        let mut shared = Msg::copy_of(expected).expect("memory");
        let mut kept = shared.share().expect("memory");
        assert!(a.send(&mut shared));
        assert_eq!(a.send_bytes(expected), size <= BYTES_MAX);
        a.flush();
        assert!(b.check_read());
        if size <= COPIED_TO_MANY_MAX {
            assert!(b.receive(&mut got) && !got.more());
            assert_eq!(got.data(), expected);
        }
        assert!(!b.receive_bytes(|bytes, more| {
            assert!(more && bytes == expected);
            false
        }));
        assert!(b.receive(&mut got) && got.more());
        assert_eq!(got.data(), expected);
        assert!(b.receive(&mut got) && !got.more());
        assert_eq!(got.data(), kept.data_mut());
        if size <= BYTES_MAX {
            assert!(!b.receive_bytes(|_, _| false));
            assert!(b.receive_bytes(|bytes, more| !more && bytes == expected));
        }
        assert!(!b.check_read());
    }
}

#[test]
fn what_was_sent_before_the_end_stays_readable() {
    let (mut a, mut b) = pair(false);
    a.set_marks(10, 10);
    b.set_marks(10, 10);
    assert!(a.send(&mut numbered(9)));
    drop(a);
    assert!(b.ended() && b.check_read());
    assert!(b.read().is_some() && !b.check_read());
    assert!(!b.send(&mut numbered(1)));
}

#[test]
fn a_conflating_pipe_keeps_the_newest() {
    let (mut a, mut b) = pair(true);
    a.set_marks(1, 1);
    b.set_marks(1, 1);
    for n in 0..5 {
        assert!(a.send(&mut numbered(n)));
        a.flush();
    }
    assert_eq!(b.read().map(|m| m.data().to_vec()), Some(vec![4]));
    assert!(!b.check_read());
}

/// A writer's ends and those of its readers, in a broadcast.
fn in_broadcast(count: usize) -> (Vec<End>, Vec<End>, Arc<Broadcast>) {
    let broadcast = Arc::default();
    let (mut near, far): (Vec<_>, Vec<_>) = (0..count).map(|_| pair(false)).unzip();
    for end in &mut near {
        end.set_marks(100, 100);
        assert_eq!(end.join(&broadcast), Some(100));
    }
    (near, far, broadcast)
}

#[test]
fn what_a_broadcast_bears_arrives_as_it_was() {
    let (near, mut far, broadcast) = in_broadcast(3);
    let bytes: Vec<u8> = (0..90_000).map(|n| (n % 251) as u8).collect();
    let mut got = Msg::new();
    for size in [0, 33, 34, 1024, 1025, 4096, 4097, 90_000] {
        let mut first = Msg::copy_of(&bytes[..size]).expect("memory");
        first.set_more(true);
        let second = Msg::from_vec(bytes[..size.min(4096)].to_vec());
        assert!(Broadcast::bears(&first) && Broadcast::bears(&second));
        assert!(broadcast.append([&first, &second]));
        let user = first.data().as_ptr();
        let counted = size > Broadcast::COPIED_MAX;
        for end in &mut far {
            assert!(end.check_read());
            assert!(!end.receive_bytes(|bytes, more| {
                assert!(!counted && more && bytes == first.data());
                false
            }));
            assert!(end.receive(&mut got) && got.more());
            assert_eq!((got.data(), got.data().as_ptr() == user), (first.data(), counted));
            assert!(end.receive(&mut got) && !got.more());
            assert_eq!(got.data(), second.data());
            assert!(!end.check_read());
        }
        first.data_mut();
        assert_eq!(first.data().as_ptr(), user, "nobody else has it any more");
    }
    let mut addressed = numbered(1);
    addressed.set_routing_id(1);
    for part in [addressed, Msg::from_vec(bytes[..4097].to_vec())] {
        assert!(!Broadcast::bears(&part));
    }
    drop(near);
}

#[test]
fn what_has_more_users_than_can_be_counted_is_copied_for_a_broadcast() {
    let (_near, mut far, broadcast) = in_broadcast(2);
    let bytes = vec![7; 5000];
    let mut part = Msg::copy_of(&bytes).expect("memory");
    let users: Vec<_> = (0..3)
        .map(|_| part.share().ok().and_then(|part| part.into_shares((u32::MAX / 4) as usize).ok()))
        .collect();
    assert!(users.iter().any(Option::is_none) && part.share().is_err());
    assert!(broadcast.append([&part]));
    for end in &mut far {
        assert!(end.check_read());
        assert_eq!(end.read().map(|part| part.data() == bytes), Some(true));
    }
}
