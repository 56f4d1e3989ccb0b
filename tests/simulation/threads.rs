//! The same network under applications that wait: each socket has a thread of its own, which sends and receives
//! without a flag. Whoever is not woken when it should be runs into its time limit.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use fastrand::Rng;
use zmq::base::Error;
use zmq::base::constants as c;

use super::games::{Received, Setup, receive};
use super::ledger::{Contract, Ledger};
use super::network::{Network, Weather};
use super::series::number;
use crate::support::Scratch;
use crate::support::local::{Context, Socket};

const WORLDS: u64 = 12;
/// Messages of each sender before the network turns calm.
const MESSAGES: u64 = 300;
/// And from then on until its receiver has seen enough.
const ENCORE: u64 = 20;
/// Nothing takes this long unless it is stuck.
const DEADLINE_MS: i32 = 20_000;

#[test]
fn waiting_applications_get_on() {
    let first = number("FERROZMQ_SIM_FIRST").unwrap_or(1);
    let worlds = number("FERROZMQ_SIM_WORLDS").unwrap_or(WORLDS);
    let seeds = match number("FERROZMQ_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => first..first + worlds,
    };
    for seed in seeds {
        eprintln!("world of FERROZMQ_SIM_SEED={seed}");
        world(seed);
    }
}

fn world(seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let whole = rng.bool();
    let cut = if whole { 0 } else { rng.u32(100..2000) };
    let weather = Weather { cut, stall: rng.u32(200..2000), shut: cut * 3 };
    let setup = Setup::random(&mut rng, whole);
    let scratch = Scratch::new("wait").expect("a folder");
    let folder = scratch.path();
    let context = Context::new();
    let network = Network::new(rng.u64(..), weather, folder.to_path_buf());
    match rng.u32(..3) {
        0 => pipeline(setup, &context, network, folder),
        1 => questions(setup, (c::ZMQ_REQ, c::ZMQ_REP), &context, network, folder),
        _ => questions(setup, (c::ZMQ_DEALER, c::ZMQ_ROUTER), &context, network, folder),
    }
}

fn waiting_socket(setup: Setup, context: &Context, socket_type: i32) -> Socket {
    let socket = setup.socket(context, socket_type);
    socket.set(c::ZMQ_SNDTIMEO, DEADLINE_MS);
    socket.set(c::ZMQ_RCVTIMEO, DEADLINE_MS);
    socket
}

/// Counts itself out when its thread ends, however it ends.
struct Alive<'a>(&'a AtomicUsize);

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Steps the network until the threads are through; it turns calm when `through` of them are with their part.
fn run(
    mut network: Network,
    alive: &AtomicUsize,
    through: &AtomicUsize,
    callers: usize,
) -> Network {
    let mut calm = false;
    let mut idle = 0;
    while alive.load(Ordering::SeqCst) > 0 {
        if !calm && through.load(Ordering::SeqCst) == callers {
            calm = true;
            network.calm();
        }
        if network.step() {
            idle = 0;
        } else {
            idle += 1;
        }
        if idle > 30 {
            idle = 0;
            network.wait();
        }
    }
    network
}

/// A moment's work, of a length that varies.
fn dawdle(rng: &mut Rng) {
    if rng.u32(..4) == 0 {
        (0..rng.u32(..2000)).for_each(|_| std::hint::spin_loop());
    }
    if rng.u32(..50) == 0 {
        thread::yield_now();
    }
}

/// PUSHes that wait for room, a PULL that waits for messages.
fn pipeline(setup: Setup, context: &Context, mut network: Network, folder: &Path) {
    let puller = waiting_socket(setup, context, c::ZMQ_PULL);
    let bound = setup.bind(&puller, folder);
    let pushers: Vec<Socket> = (0..setup.callers)
        .map(|_| {
            let socket = waiting_socket(setup, context, c::ZMQ_PUSH);
            socket.api().connect(&network.gate(&bound)).expect("a connect");
            socket
        })
        .collect();
    let (alive, through) = (AtomicUsize::new(setup.callers), AtomicUsize::new(0));
    let enough: Vec<AtomicBool> = pushers.iter().map(|_| AtomicBool::new(false)).collect();
    let contract = Contract { complete: true, one_pipe: false, lost_by_cut: None };
    let mut ledger = Ledger::new(setup.shape, contract);
    let network = thread::scope(|scope| {
        for (n, (pusher, enough)) in pushers.iter().zip(&enough).enumerate() {
            let (alive, through) = (&alive, &through);
            scope.spawn(move || {
                let _alive = Alive(alive);
                let mut rng = Rng::with_seed(n as u64);
                for number in 0.. {
                    if number == MESSAGES {
                        through.fetch_add(1, Ordering::SeqCst);
                    }
                    if enough.load(Ordering::SeqCst) {
                        return;
                    }
                    let message = setup.shape.message(n as u32, number);
                    let parts: Vec<&[u8]> = message.iter().map(Vec::as_slice).collect();
                    pusher.send(&parts);
                    dawdle(&mut rng);
                }
            });
        }
        let reader = scope.spawn(|| {
            let mut rng = Rng::with_seed(99);
            while !enough.iter().all(|enough| enough.load(Ordering::SeqCst)) {
                let Received { parts, by } = receive(&puller, 0).expect("a message in time");
                let (sender, number) = ledger.take(&parts, by.as_ref());
                if number >= MESSAGES + ENCORE {
                    enough[sender as usize].store(true, Ordering::SeqCst);
                }
                dawdle(&mut rng);
            }
            // The last ones may wait for room.
            puller.set(c::ZMQ_RCVTIMEO, 1);
            while alive.load(Ordering::SeqCst) > 0 {
                let _dropped = puller.recv_with(0);
            }
        });
        let network = run(network, &alive, &through, setup.callers);
        reader.join().expect("a reader");
        network
    });
    ledger.settle(|sender| network.cuts(sender as usize));
}

/// Questions one at a time, each answered. Where connections are cut an answer may never come; then the question is
/// put again, by a new number.
fn questions(
    setup: Setup,
    types: (i32, i32),
    context: &Context,
    mut network: Network,
    folder: &Path,
) {
    const AGAIN_MS: i32 = 100;
    let server = waiting_socket(setup, context, types.1);
    let bound = setup.bind(&server, folder);
    let askers: Vec<Socket> = (0..setup.callers)
        .map(|_| {
            let socket = waiting_socket(setup, context, types.0);
            if types.0 == c::ZMQ_REQ && !setup.whole {
                socket.set(c::ZMQ_REQ_RELAXED, 1);
                socket.set(c::ZMQ_REQ_CORRELATE, 1);
            }
            if !setup.whole {
                socket.set(c::ZMQ_RCVTIMEO, AGAIN_MS);
            }
            socket.api().connect(&network.gate(&bound)).expect("a connect");
            socket
        })
        .collect();
    let (alive, through) = (AtomicUsize::new(setup.callers), AtomicUsize::new(0));
    let contract = Contract { complete: false, one_pipe: false, lost_by_cut: None };
    let mut ledger = Ledger::new(setup.shape, contract);
    thread::scope(|scope| {
        for (n, asker) in askers.iter().enumerate() {
            let (alive, through) = (&alive, &through);
            scope.spawn(move || {
                let _alive = Alive(alive);
                let mut rng = Rng::with_seed(n as u64);
                let mut answered = 0;
                for number in 0.. {
                    if number == MESSAGES {
                        through.fetch_add(1, Ordering::SeqCst);
                    }
                    if number >= MESSAGES && answered == ENCORE {
                        return;
                    }
                    let message = setup.shape.message(n as u32, number);
                    let parts: Vec<&[u8]> = message.iter().map(Vec::as_slice).collect();
                    asker.send(&parts);
                    loop {
                        match asker.recv_with(0) {
                            Ok(answer) if answer == message => {
                                answered += u64::from(number >= MESSAGES);
                                break;
                            }
                            // An answer to an older question, given up meanwhile.
                            Ok(answer) => {
                                let (sender, older) = setup.shape.check(&answer);
                                let late = sender == n as u32 && older < number && !setup.whole;
                                assert!(late, "{older} of {sender} for an answer to {number}");
                            }
                            Err(Error::Again) if !setup.whole => break,
                            Err(error) => panic!("{n} waits for an answer to {number}: {error}"),
                        }
                    }
                    dawdle(&mut rng);
                }
            });
        }
        let alive = &alive;
        let server = &server;
        let ledger = &mut ledger;
        let answering = scope.spawn(move || {
            let mut rng = Rng::with_seed(98);
            loop {
                // In a storm nobody may come for a while; in fair weather somebody is there until all are through.
                let Some(Received { parts, by }) = receive(server, 0) else {
                    assert_eq!(alive.load(Ordering::SeqCst), 0, "no question in time");
                    return;
                };
                let envelope = usize::from(types.1 == c::ZMQ_ROUTER);
                ledger.take(&parts[envelope..], by.as_ref());
                let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
                server.send(&parts);
                dawdle(&mut rng);
                if alive.load(Ordering::SeqCst) == 0 {
                    return;
                }
            }
        });
        run(network, alive, &through, setup.callers);
        // Whether it waits or not, one more question lets it see that all are gone.
        let asker = waiting_socket(setup, context, types.0);
        asker.api().connect(&bound).expect("a connect");
        let message = setup.shape.message(u32::MAX, 0);
        asker.send(&message.iter().map(Vec::as_slice).collect::<Vec<_>>());
        answering.join().expect("a server");
    });
}
