//! The broadcast by one thread, and by several.

use super::*;
use std::thread;

fn all(listener: &mut Listener) -> Vec<Vec<u8>> {
    let mut got = Vec::new();
    while listener.ready() {
        assert!(!listener.pop(|_, _| false));
        assert!(listener.pop(|tag, bytes| {
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
            let mut listener = writer.listener(ring);
            thread::spawn(move || {
                let mut next = 0_u64;
                while !listener.is_over() {
                    if !listener.ready_or_sleep() {
                        if !listener.is_over() {
                            bell.recv().expect("told");
                        }
                        continue;
                    }
                    assert!(listener.pop(|_, bytes| {
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
