//! The broadcast by one thread, and by several.

use super::number::Number;
use super::*;
use std::thread;

fn all(listener: &mut Listener<Number>) -> Vec<Vec<u8>> {
    let mut got = Vec::new();
    while listener.ready() {
        assert!(!listener.pop_bytes(|_, _| false));
        assert!(listener.pop_bytes(|tag, bytes| {
            assert_eq!(usize::from(tag), bytes.len() % 7);
            got.push(bytes.to_vec());
            true
        }));
    }
    got
}

#[test]
fn every_listener_gets_every_length_as_it_was() {
    let mut writer = Broadcaster::default();
    let mut listeners: Vec<_> = (0..3).map(|_| writer.listener(())).collect();
    let bytes: Vec<u8> = (0..4096).map(|n| (n % 251) as u8).collect();
    let lengths = || (0..=64).chain([65, 127, 1000, 1008, 1016, 4095, 4096]);
    for round in 0..40 {
        for length in lengths() {
            writer.push((length % 7) as u8, &bytes[..length]);
            assert!(round > 0 || !listeners[0].ready(), "not published");
        }
        writer.publish(|()| panic!("nobody sleeps"));
    }
    for listener in &mut listeners {
        let got = all(listener);
        assert!(
            got.iter().map(Vec::as_slice).eq((0..40).flat_map(|_| lengths().map(|n| &bytes[..n])))
        );
        assert!(!listener.is_over());
    }
    writer.end(|()| panic!("nobody sleeps"));
    assert!(listeners.iter_mut().all(|listener| !listener.ready() && listener.is_over()));
}

#[test]
fn memory_goes_with_the_last_that_passes_it() {
    let mut writer = Broadcaster::default();
    let (mut quick, slow) = (writer.listener(0), writer.listener(1));
    let first = Arc::downgrade(&slow.stretch);
    for _ in 0..100_000 {
        writer.push(6, b"thirteen byte");
        writer.publish(|_| ());
    }
    let last = Arc::downgrade(&writer.stretch);
    assert_eq!(all(&mut quick).len(), 100_000);
    drop(writer);
    assert_eq!((first.strong_count(), last.strong_count()), (1, 2));
    // The whole row, which is long.
    drop(slow);
    assert_eq!((first.strong_count(), last.strong_count()), (0, 1));
    drop(quick);
    assert_eq!(last.strong_count(), 0);
}

#[test]
fn a_counted_item_is_taken_by_each_or_dropped_with_the_chunk() {
    const ITEMS: usize = 1000;
    // After how many items each leaves.
    for leaves in [[0; 3], [0, 3, ITEMS], [300, 301, 999], [ITEMS, 7, ITEMS], [ITEMS; 3]] {
        let mut writer = Broadcaster::default();
        let mut listeners = leaves.map(|leaves| (leaves, Some(writer.listener(()))));
        let numbers: Vec<_> = (1..=ITEMS as u64).map(Number::new).collect();
        for (taken, number) in numbers.iter().enumerate() {
            writer.push(0, b"in between");
            assert!(writer.push_counted(number));
            writer.publish(|()| ());
            for (leaves, place) in &mut listeners {
                if *leaves == taken {
                    *place = None;
                }
                let Some(listener) = place else { continue };
                assert!(listener.ready() && Number::pop(listener).is_none());
                assert!(!listener.pop_bytes(|_, _| panic!("not bytes")));
                assert_eq!(Number::pop(listener), Some(*number.0));
            }
        }
        writer.end(|()| ());
        let stay = listeners.iter_mut().filter_map(|(_, listener)| listener.as_mut());
        stay.for_each(|listener| assert!(!listener.ready() && listener.is_over()));
        let users = |number: &Number| number.users();
        assert!(
            numbers[..ITEMS / 2].iter().all(|number| number.users() == 1),
            "their chunks are gone"
        );
        drop(listeners);
        assert_eq!(numbers.iter().map(users).max(), Some(1));
    }
}

#[test]
fn shares_of_who_never_read_go_with_the_rest() {
    let mut writer = Broadcaster::default();
    let numbers: Vec<_> = (1..=500).map(Number::new).collect();
    let (mut quick, slow) = (writer.listener(()), writer.listener(()));
    numbers.iter().for_each(|number| assert!(writer.push_counted(number)));
    writer.publish(|()| ());
    assert!(quick.ready());
    numbers.iter().for_each(|number| assert_eq!(Number::pop(&mut quick), Some(*number.0)));
    assert!(numbers.iter().all(|number| number.users() == 2));
    drop(slow);
    drop(writer);
    drop(quick);
    assert!(numbers.iter().all(|number| number.users() == 1));
}

#[test]
fn who_sleeps_is_told_once_and_nobody_else() {
    let mut writer = Broadcaster::default();
    let mut listeners: Vec<_> = (0..3).map(|n| writer.listener(n)).collect();
    let mut told = Vec::new();
    assert!(!listeners[1].ready_or_sleep() && !listeners[1].ready_or_sleep());
    writer.push(0, b"");
    writer.publish(|n| told.push(*n));
    writer.push(0, b"");
    writer.publish(|n| told.push(*n));
    assert!(listeners[0].ready_or_sleep());
    assert_eq!(all(&mut listeners[2]).len(), 2);
    assert!(!listeners[2].ready_or_sleep());
    writer.end(|n| told.push(*n));
    assert_eq!(told, [1, 2]);
    assert!(!listeners[2].ready_or_sleep() && listeners[2].is_over());
}

#[test]
fn threads_get_everything_and_sleep_in_between() {
    const MESSAGES: u64 = 200_000;
    let mut writer = Broadcaster::default();
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let (ring, bell) = std::sync::mpsc::channel();
            let mut listener: Listener<Number> = writer.listener(ring);
            thread::spawn(move || {
                let mut next = 0_u64;
                while !listener.is_over() {
                    if !listener.ready_or_sleep() {
                        if !listener.is_over() {
                            bell.recv().expect("told");
                        }
                        continue;
                    }
                    assert!(listener.pop_bytes(|_, bytes| {
                        assert_eq!(bytes, next.to_ne_bytes());
                        next += 1;
                        true
                    }));
                }
                next
            })
        })
        .collect();
    for n in 0..MESSAGES {
        writer.push(0, &n.to_ne_bytes());
        writer.publish(|ring| ring.send(()).expect("listens"));
    }
    writer.end(|ring| ring.send(()).expect("listens"));
    threads.into_iter().for_each(|thread| assert_eq!(thread.join().expect("no panic"), MESSAGES));
}
