//! Conversations over the draft socket types between two processes, one on our library and one on the genuine one (and
//! both on ours), over tcp, ipc and udp, with either side binding.
//!
//! The genuine library of a distribution has no drafts. `ctest/test.sh` builds one that has, from the crate
//! `zeromq-src`; without it only ours talks to ours. Both ends of every scenario are in `ctest/interop/drafts.c`.

mod support;

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use support::Scratch;
use support::peer::{Peers, Side};

const STREAMS: [&str; 5] = ["client_server", "scatter_gather", "channel", "peer", "radio_dish"];

const PAIRS: [(Side, Side); 3] =
    [(Side::Ours, Side::Ours), (Side::Ours, Side::Genuine), (Side::Genuine, Side::Ours)];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let peers = match Peers::drafts() {
        Ok(peers) => Arc::new(peers),
        Err(why) => {
            eprintln!("interop_drafts: {why}");
            return ExitCode::FAILURE;
        }
    };
    let mut trials = Vec::new();
    for (left, right) in PAIRS {
        for scenario in STREAMS {
            for transport in ["tcp", "ipc"] {
                for left_binds in [true, false] {
                    let talk = Talk { scenario, transport, left, right, left_binds };
                    trials.push(talk.trial(&peers));
                }
            }
        }
        for scenario in ["udp_radio_dish", "dgram"] {
            let talk = Talk { scenario, transport: "udp", left, right, left_binds: false };
            trials.push(talk.trial(&peers));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Who talks how with whom.
#[derive(Clone, Copy)]
struct Talk {
    scenario: &'static str,
    transport: &'static str,
    left: Side,
    right: Side,
    left_binds: bool,
}

impl Talk {
    fn trial(self, peers: &Arc<Peers>) -> Trial {
        let peers = Arc::clone(peers);
        let binder = if self.left_binds { "left" } else { "right" };
        let sides = format!("{}_{}", self.left.name(), self.right.name());
        let name = format!("{}::{}::{sides}::{binder}_binds", self.scenario, self.transport);
        Trial::ignorable_test(name, move || {
            if [self.left, self.right].contains(&Side::Genuine) && !peers.has_genuine() {
                return Ok(Completion::ignored_with(
                    "no genuine library with drafts (ctest/test.sh interop builds one)",
                ));
            }
            self.hold(&peers).map_err(Failed::from)?;
            Ok(Completion::Completed)
        })
    }

    fn hold(self, peers: &Peers) -> Result<(), String> {
        let folder = Scratch::new("drafts")?;
        let [one, other] = self.endpoints(folder.path())?;
        let start = |side, name: &str, binds: bool| {
            // Each DGRAM is told its own address first.
            let swapped = self.scenario == "dgram" && name == "right";
            let (first, second) = if swapped { (&other, &one) } else { (&one, &other) };
            let way = if binds { "bind" } else { "connect" };
            let words = [name, self.scenario, way, first, second].map(str::to_owned);
            peers.start(side, name, &words, folder.path())
        };
        let left = start(self.left, "left", self.left_binds)?;
        let right = start(self.right, "right", !self.left_binds)?;
        match (left.finish(), right.finish()) {
            (Ok(()), Ok(())) => Ok(()),
            (left, right) => {
                let all = [left.err(), right.err()].into_iter().flatten().collect::<Vec<_>>();
                Err(all.join("\n"))
            }
        }
    }

    /// Two endpoints that nobody uses.
    fn endpoints(self, folder: &Path) -> Result<[String; 2], String> {
        let failed = |error: std::io::Error| error.to_string();
        if self.transport == "ipc" {
            return Ok(
                ["one", "other"].map(|name| format!("ipc://{}", folder.join(name).display()))
            );
        }
        // Kept open together, so that they differ.
        let streams = [TcpListener::bind("127.0.0.1:0"), TcpListener::bind("127.0.0.1:0")];
        let datagrams = [UdpSocket::bind("127.0.0.1:0"), UdpSocket::bind("127.0.0.1:0")];
        let mut tcp = Vec::new();
        for listener in streams {
            tcp.push(format!("tcp://{}", listener.and_then(|l| l.local_addr()).map_err(failed)?));
        }
        let mut udp = Vec::new();
        for socket in datagrams {
            udp.push(format!("udp://{}", socket.and_then(|s| s.local_addr()).map_err(failed)?));
        }
        let (Some(tcp_one), Some(tcp_other)) = (tcp.pop(), tcp.pop()) else {
            return Err("no ports".to_owned());
        };
        let (Some(udp_one), Some(udp_other)) = (udp.pop(), udp.pop()) else {
            return Err("no ports".to_owned());
        };
        Ok(match self.scenario {
            "dgram" => [udp_one, udp_other],
            "udp_radio_dish" => [udp_one, tcp_one],
            _ => [tcp_one, tcp_other],
        })
    }
}
