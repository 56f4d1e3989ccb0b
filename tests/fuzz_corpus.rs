//! The fuzz targets on an ordinary toolchain: every committed seed, then mutations of them for a while.
//!
//! `fuzz/README.md` tells how libFuzzer runs the same functions. `FERROZMQ_FUZZ_SECONDS` says how long each
//! target is given (2 unless set), `FERROZMQ_FUZZ_SEED` where the mutations start; both are printed when a
//! target fails, with the input.

mod support;
#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};
use std::{env, fs};

use fastrand::Rng;
use support::repository;

/// Inputs that seeds grow to at most.
const MOST: usize = 40_000;

macro_rules! tests {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            holds(stringify!($name));
        })*

        #[test]
        fn every_target_is_run() {
            let names = [$(stringify!($name)),*];
            assert_eq!(targets::TARGETS.map(|(name, _)| name), names);
        }
    };
}

tests! {
    greeting frames_v1 frames_v2 frames_v3 handshake_null handshake_plain_client handshake_plain_server
    handshake_curve_client handshake_curve_server curve_traffic
    handshake_gssapi_client handshake_gssapi_server gssapi_traffic commands metadata zap_reply z85 endpoint
    address_filter option_values socks websocket_client websocket_server multicast_stream multicast_loss
}

#[test]
fn seeds_are_text() {
    for (name, _) in targets::TARGETS {
        for seed in seeds(name) {
            let line = targets::escape(&seed);
            assert_eq!(targets::unescape(&line), Ok(vec![seed]), "{name}: {line}");
        }
    }
    assert_eq!(
        targets::unescape("a\\{3}\\x00\\\\\n# no\n\nb"),
        Ok(vec![b"aaa\0\\".to_vec(), b"b".to_vec()])
    );
    for bad in ["\\", "\\q", "\\{2}", "a\\{0}", "a\\{", "\\x", "\\xg0", "ä€"] {
        assert!(targets::unescape(bad).is_err(), "{bad}");
    }
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let path = repository().join(format!("fuzz/seeds/{target}.txt"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    targets::unescape(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|e| panic!("{name}={text}: {e}")))
}

fn holds(target: &str) {
    let seeds = seeds(target);
    assert!(!seeds.is_empty());
    for data in &seeds {
        attempt(target, data, "a seed");
    }
    let start = number("FERROZMQ_FUZZ_SEED").unwrap_or_else(|| fastrand::u64(..));
    let time = Duration::from_secs(number("FERROZMQ_FUZZ_SECONDS").unwrap_or(2));
    let from = format!("FERROZMQ_FUZZ_SEED={start}");
    let mut random = Rng::with_seed(start);
    let (began, mut runs) = (Instant::now(), 0u64);
    while began.elapsed() < time {
        let mut data = random.choice(&seeds).cloned().unwrap_or_default();
        for _ in 0..1 + random.usize(..6) {
            mutate(&mut data, &seeds, &mut random);
        }
        data.truncate(MOST);
        attempt(target, &data, &from);
        runs += 1;
    }
    println!("{target}: {} seeds, {runs} mutations of them", seeds.len());
}

fn attempt(target: &str, data: &[u8], origin: &str) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| targets::run(target, data))) {
        eprintln!("{target} fails ({origin}) with\n{}", targets::escape(data));
        resume_unwind(panic);
    }
}

/// One small change.
fn mutate(data: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Rng) {
    const TELLING: [u8; 12] = [0, 1, 2, 3, 4, 5, 7, 8, 127, 128, 254, 255];
    let at = random.usize(..=data.len());
    let span = at..data.len().min(at + random.usize(..16));
    match random.u8(..10) {
        0 => data.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << random.u8(..8)),
        1 => data.get_mut(at).into_iter().for_each(|byte| *byte = random.u8(..)),
        2 => data
            .get_mut(at)
            .into_iter()
            .for_each(|byte| *byte = TELLING[random.usize(..TELLING.len())]),
        3 => data.get_mut(at).into_iter().for_each(|byte| {
            *byte = byte.wrapping_add(1 + random.u8(..3)).wrapping_sub(2);
        }),
        4 => drop(data.drain(span)),
        5 => {
            let again = data[span].to_vec();
            data.splice(at..at, again);
        }
        6 => drop(data.splice(at..at, [TELLING[random.usize(..TELLING.len())]])),
        7 => {
            let many = vec![random.u8(..); 1 << random.u8(..14)];
            data.splice(at..at, many);
        }
        8 => {
            // A length somewhere.
            let value = [0, 255, 256, 8192, 1 << 31, 1 << 47, 1 << 63, u64::MAX][random.usize(..8)]
                .wrapping_sub(random.u64(..3));
            let bytes = value.to_be_bytes();
            let bytes = &bytes[8 - [2, 4, 8][random.usize(..3)]..];
            for (place, byte) in data.iter_mut().skip(at).zip(bytes) {
                *place = *byte;
            }
        }
        _ => {
            let Some(other) = random.choice(seeds) else { return };
            let tail = other.get(random.usize(..=other.len())..).unwrap_or_default();
            data.truncate(at);
            data.extend_from_slice(tail);
        }
    }
}
