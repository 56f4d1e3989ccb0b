//! The series of worlds, each made and stepped by a seed of its own.

use std::env;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::games::{Broadcast, Calls, Dialogue, Fountain, Game, Pipeline, Setup};
use super::network::{Network, Weather};
use crate::support::Scratch;
use crate::support::alone::{alone, memory};
use crate::support::local::Context;

/// Steps that did something, of all worlds together.
const STEPS: u64 = 400_000;
/// Steps of one world before its finale.
const WORLD: u64 = 2500;
/// Nothing takes this long unless it is stuck.
const DEADLINE: Duration = Duration::from_secs(20);
/// Memory that may be in use afterwards beyond what was after the first worlds.
const GROWTH: usize = 48 << 20;

pub fn number(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

#[test]
fn worlds() {
    alone(|| {
        if let Some(seed) = number("FERROZMQ_SIM_SEED") {
            let steps = world(seed);
            println!("world {seed}: {steps} steps");
            return;
        }
        const WARM_UP: u64 = 10;
        let goal = number("FERROZMQ_SIM_STEPS").unwrap_or(STEPS);
        let first = number("FERROZMQ_SIM_FIRST").unwrap_or(1);
        let (mut steps, mut seed, mut start) = (0, first, None);
        while steps < goal || seed < first + WARM_UP + 2 {
            if seed == first + WARM_UP {
                start = Some((descriptors(), memory()));
            }
            steps += guarded(seed);
            seed += 1;
        }
        let (descriptors_before, memory_before) = start.expect("a start");
        assert_eq!(descriptors(), descriptors_before, "descriptors are left");
        let now = memory();
        assert!(now < memory_before + GROWTH, "memory went from {memory_before} to {now}");
        println!("{} worlds, {steps} steps", seed - first);
    });
}

/// Runs a world; if it fails, says which one it was.
fn guarded(seed: u64) -> u64 {
    match panic::catch_unwind(AssertUnwindSafe(|| world(seed))) {
        Ok(steps) => steps,
        Err(reason) => {
            eprintln!("this was the world of FERROZMQ_SIM_SEED={seed}");
            panic::resume_unwind(reason);
        }
    }
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("a list").count()
}

fn world(seed: u64) -> u64 {
    let mut rng = Rng::with_seed(seed);
    let weather = match rng.u32(..4) {
        0 => Weather::CALM,
        1 => Weather { cut: 0, stall: 300, shut: 0 },
        _ => Weather { cut: rng.u32(50..2000), stall: 500, shut: rng.u32(500..5000) },
    };
    let whole = weather.cut == 0 && weather.shut == 0;
    let setup = Setup::random(&mut rng, whole);
    let scratch = Scratch::new("sim").expect("a folder");
    let folder = scratch.path();
    let context = Context::new();
    let mut network = Network::new(rng.u64(..), weather, folder.to_path_buf());
    let kind = rng.u32(..5);
    let mut game: Box<dyn Game> = match kind {
        0 => Box::new(Pipeline::new(setup, &context, &mut network, folder)),
        1 => Box::new(Fountain::new(setup, &context, &mut network, folder)),
        2 => Box::new(Dialogue::new(setup, &context, &mut network, folder)),
        3 => Box::new(Broadcast::new(setup, &context, &mut network, folder)),
        _ => Box::new(Calls::new(setup, &context, &mut network, folder)),
    };
    let what = format!("world {seed}: game {kind}, {weather:?}, {setup:?}");
    let told = panic::catch_unwind(AssertUnwindSafe(|| {
        let mut steps = 0;
        let mut stepper = Stepper { rng, idle: 0, since: Instant::now() };
        while steps < WORLD {
            steps += stepper.step(&mut network, &mut *game);
        }
        network.calm();
        game.finale();
        let began = Instant::now();
        while !game.finished() {
            steps += stepper.step(&mut network, &mut *game);
            assert!(began.elapsed() < DEADLINE, "the finale does not end");
        }
        game.settle(&network);
        steps
    }));
    let steps = told.unwrap_or_else(|reason| {
        let cuts = network.all_cuts();
        eprintln!("{what}\n{}\n{}\n{cuts} cuts", game.state(), network.state());
        panic::resume_unwind(reason);
    });
    if number("FERROZMQ_SIM_SEED").is_some() {
        println!("{what}: {steps} steps, {}, {} cuts", network.state(), network.all_cuts());
    }
    steps
}

struct Stepper {
    rng: Rng,
    idle: u32,
    since: Instant,
}

impl Stepper {
    /// Somebody's turn: 1 when it did something.
    fn step(&mut self, network: &mut Network, game: &mut dyn Game) -> u64 {
        const TRIES: u32 = 60;
        let acted = if self.rng.bool() { network.step() } else { game.act(&mut self.rng) };
        if acted {
            self.idle = 0;
            self.since = Instant::now();
            return 1;
        }
        self.idle += 1;
        if self.idle >= TRIES {
            self.idle = 0;
            network.wait();
            assert!(self.since.elapsed() < DEADLINE, "everybody waits");
        }
        0
    }
}
