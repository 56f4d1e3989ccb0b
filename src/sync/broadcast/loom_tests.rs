//! The broadcast under every interleaving.

use super::number::Number;
use super::*;
use loom::thread;

fn pop(listener: &mut Listener<Number>) -> Option<u8> {
    let mut got = None;
    listener.pop_bytes(|tag, bytes| {
        assert_eq!(bytes, [tag; 20]);
        got = Some(tag);
        true
    });
    got
}

/// Two records fill a chunk.
#[test]
fn loom_everybody_gets_everything_in_order() {
    loom::model(|| {
        let mut writer = Broadcaster::default();
        let mut listeners = [writer.listener(()), writer.listener(())];
        let writing = thread::spawn(move || {
            for n in 0..3 {
                writer.push(n, &[n; 20]);
                if n > 0 {
                    writer.publish(|()| ());
                }
            }
            writer.end(|()| ());
        });
        let [first, second] = &mut listeners;
        let mut next = 0;
        while first.ready() {
            assert_eq!(pop(first), Some(next));
            next += 1;
        }
        writing.join().unwrap();
        assert!(second.ready());
        for listener in [first, second] {
            while listener.ready() {
                let got = pop(listener);
                assert!(got.is_some());
            }
            assert!(listener.is_over());
            assert_eq!(listener.read, 3 * 32);
        }
    });
}

/// Of two items, and bytes in between, in two chunks. One takes what it finds and leaves, the other stays to the end.
#[test]
fn loom_every_share_is_taken_or_dropped() {
    // Without a bound it takes a minute.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let mut writer = Broadcaster::default();
        let (quick, mut other) = (writer.listener(()), writer.listener(()));
        let numbers = [Number::new(1), Number::new(2)];
        let written = numbers.clone();
        let writing = thread::spawn(move || {
            for number in &written {
                assert!(writer.push_counted(number));
                writer.push(7, &[7; 20]);
                writer.publish(|()| ());
            }
            writer.end(|()| ());
        });
        let leaving = thread::spawn(move || {
            let mut quick = quick;
            if quick.ready() {
                assert_eq!(Number::pop(&mut quick), Some(1));
            }
        });
        let mut got = Vec::new();
        while other.ready() {
            got.extend(Number::pop(&mut other));
            assert_eq!(pop(&mut other), Some(7));
        }
        writing.join().unwrap();
        leaving.join().unwrap();
        while other.ready() {
            got.extend(Number::pop(&mut other));
            assert_eq!(pop(&mut other), Some(7));
        }
        assert!(other.is_over() && got == [1, 2]);
        drop(other);
        assert!(numbers.iter().all(|number| number.users() == 1));
    });
}

/// Each of two sleepers is told, whatever is published in between and however the other one sleeps.
#[test]
fn loom_a_sleeping_listener_is_always_told() {
    // Without a bound it takes six minutes.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let bells: [_; 2] = std::array::from_fn(|_| Arc::new(AtomicBool::new(false)));
        let mut writer = Broadcaster::default();
        let listeners = bells.clone().map(|bell| writer.listener(bell));
        let writing = thread::spawn(move || {
            let ring = |bell: &Arc<AtomicBool>| bell.store(true, Ordering::SeqCst);
            writer.push(7, &[7; 20]);
            writer.publish(ring);
            writer.end(ring);
        });
        let [first, second] = listeners;
        let sleep = |mut listener: Listener<Number>| {
            while listener.ready_or_sleep() {
                assert_eq!(pop(&mut listener), Some(7));
            }
            listener
        };
        let other = thread::spawn(move || sleep(second));
        let asleep = [sleep(first), other.join().unwrap()];
        writing.join().unwrap();
        for (mut listener, bell) in asleep.into_iter().zip(bells) {
            if !listener.is_over() {
                assert!(bell.load(Ordering::SeqCst));
                let news = listener.ready();
                assert!(news || listener.is_over());
            }
        }
    });
}
