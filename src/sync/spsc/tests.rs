//! The queue against a deque, and by two threads.

use super::*;
use std::collections::VecDeque;
use std::sync::Arc as StdArc;

fn pop_boxed(rx: &mut Receiver<Box<usize>>) -> Option<usize> {
    let mut place = Box::new(0);
    rx.ready();
    let popped = rx.pop_into(&mut place, |place, tag, bytes| {
        assert_eq!(tag, 7);
        let (number, rest) = bytes.split_first_chunk().expect("at least a number");
        assert!(rest.iter().all(|byte| *byte == 1));
        **place = usize::from_ne_bytes(*number);
        true
    });
    popped.then_some(*place)
}

#[test]
fn bytes_of_every_length_arrive_as_they_were() {
    const LONGER: [usize; 7] = [65, 127, 128, 1000, 1024, 4095, 4096];
    let (mut tx, mut rx) = channel::<Vec<u8>>();
    let bytes: Vec<u8> = (0..4096).map(|n| (n % 251) as u8).collect();
    for round in 0..100 {
        for length in (0..=64).chain(LONGER) {
            tx.push_bytes(round, &bytes[..length]);
        }
        tx.push(vec![round]);
        tx.publish();
        assert!(rx.ready());
        let mut got = Vec::new();
        for length in (0..=64).chain(LONGER) {
            assert!(!rx.pop_bytes(|tag, found| {
                assert_eq!((tag, found), (round, &bytes[..length]));
                false
            }));
            if round % 2 == 0 {
                assert!(rx.pop_bytes(|_, _| true));
                continue;
            }
            assert!(!rx.pop_into(&mut got, |_, _, _| false));
            assert!(rx.pop_into(&mut got, |place, tag, bytes| {
                assert_eq!(tag, round);
                *place = bytes.to_vec();
                true
            }));
            assert_eq!(got, &bytes[..length]);
        }
        assert!(!rx.pop_bytes(|_, _| true), "whole");
        assert!(rx.pop_into(&mut got, |_, _, _| panic!("whole")));
        assert_eq!(got, [round]);
        assert!(!rx.ready());
    }
}

#[test]
fn random_operations_agree_with_a_deque() {
    let mut rng = fastrand::Rng::with_seed(7);
    for _ in 0..200 {
        let (mut tx, mut rx) = channel();
        let (mut oracle, mut hidden) = (VecDeque::new(), VecDeque::new());
        let mut asleep = false;
        for step in 0..rng.usize(..2000) {
            match rng.u8(..5) {
                0 | 1 => {
                    if rng.bool() {
                        tx.push(Box::new(step));
                    } else {
                        let bytes = step.to_ne_bytes();
                        let most = [57, 57, 1000, 4089][rng.usize(..4)];
                        let rest = vec![1; rng.usize(..most)];
                        tx.push_bytes(7, &[&bytes[..], &rest].concat());
                    }
                    hidden.push_back(step);
                }
                2 => {
                    let news = !hidden.is_empty();
                    assert_eq!(tx.publish(), asleep && news);
                    asleep &= !news;
                    oracle.append(&mut hidden);
                }
                3 => assert_eq!(pop_boxed(&mut rx), oracle.pop_front()),
                _ => {
                    assert_eq!(rx.ready_or_sleep(), !oracle.is_empty());
                    asleep |= oracle.is_empty();
                }
            }
        }
    }
}

#[test]
fn every_item_is_dropped_once_whoever_leaves_first() {
    for reader_first in [true, false] {
        let token = StdArc::new(());
        let (mut tx, mut rx) = channel();
        for n in 0..500 {
            tx.push(token.clone());
            if n % 3 == 0 {
                tx.publish();
            }
            if n % 7 == 0 {
                rx.pop();
            }
        }
        if reader_first {
            drop(rx);
            tx.push(token.clone());
            drop(tx);
        } else {
            drop(tx);
            rx.pop();
            drop(rx);
        }
        assert_eq!(StdArc::strong_count(&token), 1);
    }
}

#[test]
fn two_threads_keep_order_and_never_miss_a_wake_up() {
    let (mut tx, mut rx) = channel();
    let bell = StdArc::new(super::super::Waker::new());
    let heard = bell.clone();
    let writer = std::thread::spawn(move || {
        for n in 0..200_000u32 {
            tx.push(n);
            if tx.publish() {
                heard.wake();
            }
        }
    });
    let mut expected = 0;
    while expected < 200_000 {
        bell.arm();
        if rx.ready_or_sleep() {
            assert_eq!(rx.pop(), Some(expected));
            expected += 1;
        } else {
            bell.wait(None).ok();
        }
    }
    writer.join().expect("writer");
}
