//! Multicast groups between two of ours, and with Debian's libzmq5 as publisher and as subscriber: epgm, pgm and norm
//! on the loopback of a network namespace that the test makes, where nothing else can be heard.
//!
//! Skipped where the libraries are missing (Debian: libpgm-5.3-0, libnorm1), and where no namespace may be made.

mod support;

use std::env;
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use support::Scratch;
use support::child::{End, run};
use support::peer::{Peers, Side, words};

/// Set in the namespace.
const INSIDE: &str = "FERROZMQ_MULTICAST_INSIDE";

/// Loopback that carries multicast.
const LOOPBACK: &str = "ip link set lo up multicast on && ip route add 224.0.0.0/4 dev lo";

#[test]
fn groups() {
    if env::var_os(INSIDE).is_some() {
        return talk_in_groups();
    }
    let inside = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--net", "--", "sh", "-c", script]);
        command
    };
    let scratch = Scratch::new("multicast").expect("a folder");
    let log = scratch.path().join("log");
    let possible = run(&mut inside(LOOPBACK), std::time::Duration::from_secs(20), &log);
    if !possible.as_ref().is_ok_and(|run| run.end == End::Code(0)) {
        let why = possible.map_or_else(|error| error.to_string(), |run| run.output);
        eprintln!("skipped: no network namespace with multicast can be made: {}", why.trim());
        return;
    }
    let own = env::current_exe().expect("a program");
    let script = format!(
        "{LOOPBACK} && exec '{}' --exact groups --nocapture --test-threads=1",
        own.display()
    );
    let done = run(inside(&script).env(INSIDE, "1"), std::time::Duration::from_secs(300), &log)
        .expect("it was possible before");
    eprintln!("{}", done.output);
    assert_eq!(done.end, End::Code(0));
}

/// A transport, its endpoint, and the largest part that libzmq 4.3.4 can send over it: its norm sends nothing larger.
struct Transport {
    capability: &'static str,
    endpoint: &'static str,
    rate: &'static str,
    largest: [usize; 2],
}

const TRANSPORTS: [Transport; 3] = [
    Transport {
        capability: "pgm",
        endpoint: "epgm://127.0.0.1;239.192.1.1:PORT",
        rate: "20000",
        largest: [40_000, 40_000],
    },
    Transport {
        capability: "pgm",
        endpoint: "pgm://127.0.0.1;239.192.1.2:PORT",
        rate: "20000",
        largest: [40_000, 40_000],
    },
    Transport {
        capability: "norm",
        endpoint: "norm://lo;239.192.1.3:PORT",
        rate: "20000",
        largest: [20_000, 1_900],
    },
];

const PAIRS: [(Side, Side); 3] =
    [(Side::Ours, Side::Ours), (Side::Ours, Side::Genuine), (Side::Genuine, Side::Ours)];

fn talk_in_groups() {
    let peers = Peers::groups().expect("a peer program");
    let mut due = Vec::new();
    for (publisher, subscriber) in PAIRS {
        for transport in &TRANSPORTS {
            let has = |side| peers.has(side, transport.capability).unwrap_or(false);
            if !has(publisher) || !has(subscriber) {
                let (name, one, other) =
                    (transport.capability, publisher.name(), subscriber.name());
                eprintln!("skipped: no {name} in one of {one}, {other}");
                continue;
            }
            // The old types and the new ones, and each of the words that open an endpoint.
            for (types, way) in [(["pub", "sub"], "connect"), (["xpub", "sub"], "bind")] {
                due.push((transport, publisher, subscriber, types, way));
            }
        }
    }
    let ports = 5600_u16..;
    let due = Mutex::new(due.into_iter().zip(ports).collect::<Vec<_>>());
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some((talk, port)) = due.lock().expect("whole").pop() {
                    let (transport, publisher, subscriber, types, way) = talk;
                    if let Err(why) =
                        converse(&peers, transport, [publisher, subscriber], types, way, port)
                    {
                        let (from, to) = (publisher.name(), subscriber.name());
                        let text =
                            format!("{} {types:?} {way} {from} to {to}: {why}", transport.endpoint);
                        failed.lock().expect("whole").push(text);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("whole");
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn converse(
    peers: &Peers,
    transport: &Transport,
    sides: [Side; 2],
    types: [&str; 2],
    way: &str,
    port: u16,
) -> Result<(), String> {
    let folder = Scratch::new("group")?;
    let endpoint = transport.endpoint.replace("PORT", &port.to_string());
    let largest = transport.largest[usize::from(sides[0] == Side::Genuine)];
    let back = format!("ipc://{}/back", folder.path().display());
    let script = |role: &str, ty: &str| {
        words(&format!("{role} {ty} {way} {endpoint} {} {largest} {back}", transport.rate))
    };
    let publisher =
        peers.start(sides[0], "publisher", &script("publish", types[0]), folder.path())?;
    let subscriber =
        peers.start(sides[1], "subscriber", &script("subscribe", types[1]), folder.path())?;
    let ends = [subscriber.finish(), publisher.finish()];
    let failed: Vec<String> = ends.into_iter().filter_map(Result::err).collect();
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
}
