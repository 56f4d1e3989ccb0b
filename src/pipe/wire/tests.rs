//! The socket's end of a connection's pipe, and what both of them count.

use super::*;
use crate::message::frame;
use crate::pipe::sending::BY_REFERENCE;
use crate::pipe::{PipeId, Pulled};
use crate::sync::Mailbox;
use std::os::fd::AsRawFd;

/// A connection that writes when it is told to.
struct Idle;

impl Driver for Idle {
    fn flush(&self, _urgency: Urgency) {}

    fn pull(&self) -> Pulled {
        Pulled::Nothing
    }

    fn attend(&self) -> Option<Arc<dyn AsRawFd + Send + Sync>> {
        None
    }

    fn give_back(&self) {}

    crate::pipe::nothing_more_to_drive!();
}

fn end(send_mark: i32) -> (End, Arc<Mailbox<Notice>>) {
    let mailbox = Arc::default();
    let mut end = End::new(Wire::new(send_mark, 0, false), Arc::new(Idle));
    let key = PipeKey { id: PipeId(0), generation: 0 };
    end.bind_target(Target { mailbox: Arc::clone(&mailbox), key });
    (end, mailbox)
}

/// Sends in a hurry; what is taken is in the kernel at once.
fn sends(end: &mut End, hurried: bool) -> bool {
    let sent = end.admits(hurried) && end.send(&mut Msg::new(), hurried);
    let mut queue = end.wire.send.lock();
    queue.take();
    let messages = queue.messages;
    end.wire.sent(&mut queue, messages, 0);
    drop(queue);
    sent
}

#[test]
fn a_caller_that_must_not_wait_meets_its_mark_however_fast_the_connection_is() {
    let (mut end, mailbox) = end(4);
    assert!(sends(&mut end, true));
    // As if no time passed.
    end.looked = Some(Instant::now() + Duration::from_secs(3600));
    for _ in 1..4 {
        assert!(sends(&mut end, true));
    }
    assert!(!mailbox.pending());
    assert!(!sends(&mut end, true));
    assert!(mailbox.pending(), "nobody else says that there is room");
    assert!(sends(&mut end, true), "once is enough");
}

#[test]
fn bytes_are_written_down_as_a_message_of_one_part_would_be() {
    let (mut end, _) = end(4);
    let mut send = |size: usize| end.send_bytes(&vec![size as u8; size], Urgency::Auto, false);
    assert!(!send(1), "not before frames are settled");
    let (mut other, _) = self::end(4);
    for end in [&mut end, &mut other] {
        end.wire.send.lock().framing = Framing::Plain;
    }
    for size in [0, 3, 300] {
        assert!(end.send_bytes(&vec![7; size], Urgency::Auto, false));
        assert!(other.send(&mut Msg::copy_of(&vec![7; size]).unwrap(), false));
    }
    assert!(!end.send_bytes(&[0; 100_000], Urgency::Auto, false), "not to be copied");
    assert!(!end.send_bytes(&[1], Urgency::Auto, true), "whoever must not wait looks first");
    assert!(end.admits(true) && end.send_bytes(&[1], Urgency::Auto, true));
    assert!(!end.send_bytes(&[2], Urgency::Auto, false), "the mark");
    assert!(other.send(&mut Msg::copy_of(&[1]).unwrap(), false));
    let [one, two] = [end, other].map(|end| {
        let mut queue = end.wire.send.lock();
        format!("{:?} {} {}", queue.take(), queue.messages, queue.bytes)
    });
    assert_eq!(one, two);
}

#[test]
fn parts_of_a_message_keep_together() {
    let (mut end, _) = end(0);
    end.wire.send.lock().framing = Framing::Plain;
    let mut part = Msg::copy_of(b"begun").unwrap();
    part.set_more(true);
    assert!(end.send(&mut part, false));
    assert!(!end.send_bytes(b"end", Urgency::Auto, false));
    end.rollback();
    assert!(end.send_bytes(b"new", Urgency::Auto, false));
    end.wire.deafen();
    assert!(!end.send_bytes(b"lost", Urgency::Auto, false));
}

#[test]
fn received_bytes_are_read_in_order_whatever_they_came_as() {
    let (mut end, _) = end(0);
    let run = |bodies: &[&[u8]]| {
        let mut bytes = Vec::new();
        bodies.iter().for_each(|body| frame::push(&mut bytes, 0, body));
        let end = bytes.len();
        Item::Batch(Batch { chunk: Arc::new(bytes), at: 0, end })
    };
    let single = Item::Message(Msg::copy_of(b"d").unwrap());
    let mut items = vec![run(&[b"a", b"b"]), run(&[b"c"]), single, run(&[b"e", b"f"])];
    end.wire.received(&mut items, 6, true);
    assert!(!end.receive_bytes(|_, _| panic!("not fetched yet")));
    let mut msg = Msg::new();
    assert!(end.receive(&mut msg) && msg.data() == b"a");
    let take = |end: &mut End, expected: &[u8]| {
        end.receive_bytes(|bytes, more| !more && bytes == expected)
    };
    assert!(!take(&mut end, b"other") && take(&mut end, b"b") && take(&mut end, b"c"));
    assert!(!end.receive_bytes(|_, _| panic!("a part by itself")));
    assert!(end.receive(&mut msg) && msg.data() == b"d");
    assert!(take(&mut end, b"e"));
    assert_eq!(end.counts().incoming, 1);
    assert!(end.receive(&mut msg) && msg.data() == b"f");
    assert!(!end.receive_bytes(|_, _| true) && !end.receive(&mut msg));
}

#[test]
fn room_shows_after_a_while_and_to_who_may_wait_or_asks() {
    for news in ["time", "wait", "ask"] {
        let (mut end, mailbox) = end(2);
        assert!(sends(&mut end, true) && sends(&mut end, true));
        end.looked = Some(Instant::now() + Duration::from_secs(3600));
        match news {
            "time" => end.looked = Instant::now().checked_sub(2 * NEWS_OF_ROOM),
            "wait" => assert!(sends(&mut end, false)),
            _ => assert!(end.check_write(false)),
        }
        assert!(sends(&mut end, true), "{news}");
        assert!(!mailbox.pending());
    }
}

/// A peer that answers everything, never has more than half the mark under way, and still may be quicker than the writer
/// is to count: nothing of it is refused, which a ROUTER would drop.
#[test]
fn what_a_writer_has_in_the_kernel_may_be_gone_before_it_is_counted() {
    for (hurried, gone) in [(false, 2), (true, 2), (false, 0), (true, 0)] {
        let (mut end, _mailbox) = end(2);
        let appends = |end: &mut End| end.admits(hurried) && end.send(&mut Msg::new(), hurried);
        assert!(appends(&mut end) && appends(&mut end));
        end.looked = None;
        let wire = end.wire.clone();
        let taken = {
            let mut queue = wire.send.lock();
            queue.link.writing = true;
            queue.take()
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // It lost its processor on the way back, long enough for the other to look.
                std::thread::sleep(Duration::from_millis(3));
                let mut queue = wire.send.lock();
                queue.give_back(taken);
                wire.sent(&mut queue, gone, 0);
                queue.link.writing = false;
            });
            assert_eq!(end.check_write(hurried), gone > 0);
        });
        end.looked = None;
        assert_eq!(appends(&mut end), gone > 0);
    }
}

#[test]
fn a_full_queue_refuses_and_tells_when_it_has_room() {
    let (mut end, mailbox) = end(2);
    let send = |end: &mut End| end.admits(true) && end.send(&mut Msg::new(), true);
    assert!(send(&mut end) && send(&mut end));
    end.looked = None;
    assert!(!send(&mut end) && !send(&mut end));
    assert!(!mailbox.pending());
    end.wire.sent(&mut end.wire.send.lock(), 2, 0);
    assert!(mailbox.pending());
    assert!(send(&mut end) && send(&mut end));
}

fn parts(bodies: &[(&[u8], bool)]) -> Vec<(Vec<u8>, bool)> {
    bodies.iter().map(|(body, more)| (body.to_vec(), *more)).collect()
}

/// What lies in the queue, as parts.
fn queued(end: &End) -> Vec<(Vec<u8>, bool)> {
    let mut queue = end.wire.send.lock();
    queue.unframe();
    let part = |segment| match segment {
        Segment::Message(msg) => (msg.data().to_vec(), msg.more()),
        other => panic!("not a part: {other:?}"),
    };
    queue.take().into_iter().map(part).collect()
}

#[test]
fn parts_written_as_bytes_become_one_message_once_the_last_is_there() {
    let send =
        |end: &mut End, body: &[u8], more| end.send_part_bytes(body, more, Urgency::Auto, false);
    let begun = || {
        let (mut end, _) = end(2);
        assert!(!send(&mut end, b"a", true), "not before frames are settled");
        end.wire.send.lock().framing = Framing::Plain;
        assert!(send(&mut end, b"a", true) && send(&mut end, b"", true) && end.is_amid_bytes());
        assert!(end.wire.send.lock().is_written(), "nothing of it is in the queue");
        assert!(!end.send_bytes(b"other", Urgency::Auto, false), "nor anything between its parts");
        end
    };
    let whole = parts(&[(b"a", true), (b"", true), (b"z", false)]);

    let mut end = begun();
    assert!(send(&mut end, b"z", false) && !end.is_amid_bytes());
    assert_eq!(end.wire.send.lock().messages, 1);
    assert_eq!(queued(&end), whole);

    // The connection was lost meanwhile: what is sent waits for the next one.
    let mut end = begun();
    end.wire.send.lock().unframe();
    assert!(send(&mut end, b"z", false));
    assert_eq!(end.wire.send.lock().messages, 1);
    assert_eq!(queued(&end), whole);

    // A part that keeps its own memory.
    let mut end = begun();
    let large = vec![7; BY_REFERENCE];
    assert!(!send(&mut end, &large, true));
    let mut part = Msg::copy_of(&large).unwrap();
    part.set_more(true);
    assert!(end.send(&mut part, false));
    assert!(!send(&mut end, b"z", false), "the rest goes the same way");
    assert!(end.send(&mut Msg::copy_of(b"z").unwrap(), false));
    assert_eq!(end.wire.send.lock().messages, 1);
    let mut queue = end.wire.send.lock();
    let bytes: usize = queue
        .take()
        .iter()
        .map(|segment| match segment {
            Segment::Frames { bytes, .. } => bytes.len(),
            Segment::Payload(msg) => msg.size(),
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!(bytes, 3 + 2 + 9 + large.len() + 3);
    drop(queue);

    let mut end = begun();
    end.rollback();
    assert!(end.send_bytes(b"b", Urgency::Auto, false));
    assert!(send(&mut end, b"c", true), "the mark is asked at the beginning");
    assert!(end.send(&mut Msg::copy_of(b"d").unwrap(), false));
    assert!(!send(&mut end, b"e", true), "and is met");
    assert_eq!(queued(&end), parts(&[(b"b", false), (b"c", true), (b"d", false)]));
}

/// An end that may send some messages without further ado, and how many it did.
fn express() -> End {
    let (mut end, _) = end(0);
    end.wire.send.lock().framing = Framing::Plain;
    end.wire.guarded.store(true, Ordering::Relaxed);
    assert!(!end.send_express(b"m", false), "not the first");
    assert!(end.send_bytes(&[b'm'; 100], Urgency::Auto, false));
    end
}

#[test]
fn whole_messages_in_a_row_go_straight_into_the_queue_for_a_while() {
    let mut end = express();
    let sent = (0..1000).take_while(|_| end.send_express(b"m", false)).count();
    assert!((1..GUARDED_STRIDE as usize).contains(&sent), "{sent}");
    assert_eq!(queued(&end).len(), 1 + sent);

    let mut end = express();
    assert!(!end.send_express(b"m", true), "a caller that must not wait goes by what it saw");
    assert!(!std::thread::scope(|s| s.spawn(|| end.send_express(b"m", false)).join().unwrap()));

    // Whatever changes how, when or to whom it is sent takes the permission back.
    let cases: [&dyn Fn(&mut End); 8] = [
        &|end| end.wire.send.lock().end_express(),
        &|end| end.wire.send.lock().unframe(),
        &|end| end.wire.deafen(),
        &|end| end.wire.end(),
        &|end| end.set_marks(1, 1),
        &|end| end.wire.eager.store(true, Ordering::Relaxed),
        &|end| assert!(end.send_part_bytes(b"begun", true, Urgency::Auto, false)),
        &|end| end.close(0),
    ];
    for change in cases {
        let mut end = express();
        change(&mut end);
        assert!(!end.send_express(b"m", false));
    }
    for (guarded, mark) in [(false, 0), (true, GUARDED_STRIDE as i32)] {
        let (mut end, _) = self::end(mark);
        end.wire.send.lock().framing = Framing::Plain;
        end.wire.guarded.store(guarded, Ordering::Relaxed);
        assert!(end.send_bytes(&[b'm'; 100], Urgency::Auto, false));
        assert!(!end.send_express(b"m", false), "nobody writes it, or there is too little room");
    }
}
