//! The queue under every interleaving.

use super::*;
use loom::sync::Arc as LoomArc;
use loom::sync::atomic::AtomicBool;
use loom::thread;

/// The next item, a whole one or one of bytes.
fn pop(rx: &mut Receiver<[usize; 4]>) -> Option<usize> {
    let mut place = [0; 4];
    rx.ready();
    rx.pop_into(&mut place, |place, tag, bytes| {
        assert_eq!(bytes, [tag; 12]);
        place[0] = tag.into();
        true
    })
    .then_some(place[0])
}

/// Two whole items fill a chunk; with one of bytes between them a chunk ends before its last words.
#[test]
fn loom_items_arrive_in_order_across_chunks() {
    loom::model(|| {
        let (mut tx, mut rx) = channel();
        let writer = thread::spawn(move || {
            for n in 0..3 {
                if n == 1 {
                    tx.push_bytes(1, &[1; 12]);
                } else {
                    tx.push([n; 4]);
                }
                tx.publish();
            }
        });
        let mut next = 0;
        while let Some(n) = pop(&mut rx) {
            assert_eq!(n, next);
            next += 1;
        }
        writer.join().unwrap();
        while let Some(n) = pop(&mut rx) {
            assert_eq!(n, next);
            next += 1;
        }
        assert_eq!(next, 3);
    });
}

#[test]
fn loom_a_sleeping_reader_is_always_told() {
    loom::model(|| {
        let (mut tx, mut rx) = channel();
        let told = LoomArc::new(AtomicBool::new(false));
        let bell = told.clone();
        let writer = thread::spawn(move || {
            for n in 0..2 {
                tx.push(n);
                if tx.publish() {
                    bell.store(true, std::sync::atomic::Ordering::SeqCst);
                }
            }
        });
        let mut got = 0;
        while rx.ready_or_sleep() {
            rx.pop();
            got += 1;
        }
        // The reader sleeps now. Whatever is missing, the writer must have said so.
        writer.join().unwrap();
        if got < 2 {
            assert!(told.load(std::sync::atomic::Ordering::SeqCst));
        }
    });
}
