//! Conversations between two processes that run `ctest/interop/peer.c`, one on our library and one on the genuine one
//! (and both on ours), with either side binding, in ZMTP 3.1 and in 3.0.
//!
//! In the scripts `OPEN` and `SIDE` stand for "bind" or "connect" with an endpoint of the conversation, the words in
//! capitals for keys, as Z85 text. Numbers after `int` and `text` are options of zmq.h.

use std::sync::Mutex;
use std::thread;

use zmq::base::z85;

use super::Scratch;
use super::curve::Pair;
use super::peer::{Peers, Side, free_port, words};
use super::relay::relay;

/// Two scripts that fit each other.
#[derive(Clone, Copy)]
pub struct Conversation {
    pub name: &'static str,
    pub client: &'static str,
    pub server: &'static str,
}

/// Text for a [`Conversation`] that is made at run time.
pub fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// Client and server.
pub const PAIRS: &[(Side, Side)] =
    &[(Side::Ours, Side::Ours), (Side::Ours, Side::Genuine), (Side::Genuine, Side::Ours)];

/// Every conversation between these, with either side binding, in either version. The processes get these variables;
/// in their values `FOLDER` stands for the working folder of the conversation.
pub fn all(talks: &[Conversation], pairs: &[(Side, Side)], environment: &[(String, String)]) {
    over(&[Link::Ipc, Link::Old], talks, pairs, environment);
}

/// As [`all`], in WebSockets, where both libraries have them.
pub fn all_over_ws(talks: &[Conversation], pairs: &[(Side, Side)]) {
    over(&[Link::Ws], talks, pairs, &[]);
}

fn over(
    links: &[Link],
    talks: &[Conversation],
    pairs: &[(Side, Side)],
    environment: &[(String, String)],
) {
    let peers = if links.contains(&Link::Ws) { Peers::web() } else { Peers::new() };
    let peers = peers.expect("a peer program");
    let web = !links.contains(&Link::Ws) || peers.has(Side::Genuine, "WS").unwrap_or(false);
    let mut due = Vec::new();
    for &(client, server) in pairs {
        if (client, server) != (Side::Ours, Side::Ours) && !peers.has_genuine() {
            eprintln!("skipped: no genuine libzmq.so.5 on this machine (Debian: libzmq5)");
            continue;
        }
        if (client, server) != (Side::Ours, Side::Ours) && !web {
            eprintln!("skipped: no genuine libzmq.so.5 with ws; ctest/test.sh builds one");
            continue;
        }
        for talk in talks {
            for &link in links {
                for client_binds in [false, true] {
                    due.push((talk, client, server, Way { client_binds, link }));
                }
            }
        }
    }
    let (due, failed) = (Mutex::new(due), Mutex::new(Vec::new()));
    // They mostly wait for each other and for time limits.
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some((talk, client, server, way)) = due.lock().expect("whole").pop() {
                    if let Err(why) = converse(&peers, talk, [client, server], way, environment) {
                        let (client, server) = (client.name(), server.name());
                        let text = format!("{} {client} to {server}, {way:?}: {why}", talk.name);
                        failed.lock().expect("whole").push(text);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("whole");
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Conversations.
const AT_A_TIME: usize = 8;

/// How two ends come together.
#[derive(Clone, Copy, Debug)]
struct Way {
    client_binds: bool,
    link: Link,
}

/// What is between two ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Link {
    Ipc,
    /// ipc through a relay that makes ZMTP 3.0 of it.
    Old,
    Ws,
}

fn converse(
    peers: &Peers,
    talk: &Conversation,
    [client_side, server_side]: [Side; 2],
    way: Way,
    environment: &[(String, String)],
) -> Result<(), String> {
    let folder = Scratch::new("secure")?;
    let keys = [Pair::new(), Pair::new()];
    let text = |key: &[u8; 32]| z85::encode(key).unwrap_or_default();
    let names = [
        ("SERVERSECRET", text(keys[0].secret.bytes())),
        ("SERVERKEY", text(&keys[0].public)),
        ("PUBLIC", text(&keys[1].public)),
        ("SECRET", text(keys[1].secret.bytes())),
    ];
    let ports = [free_port()?, free_port()?];
    let script = |script: &str, binds: bool| -> Vec<String> {
        let place = |name: &str, port: u16| match (binds, way.link) {
            (true, Link::Ws) => format!("bind ws://127.0.0.1:{port}/{name}"),
            (false, Link::Ws) => format!("connect ws://127.0.0.1:{port}/{name}"),
            (true, _) => format!("bind ipc://{}/{name}", folder.path().display()),
            (false, Link::Ipc) => format!("connect ipc://{}/{name}", folder.path().display()),
            (false, Link::Old) => format!("connect ipc://{}/{name}.old", folder.path().display()),
        };
        let said = script
            .replace("OPEN", &place("open", ports[0]))
            .replace("SIDE", &place("side", ports[1]));
        words(&said)
            .into_iter()
            .map(|word| {
                names.iter().find(|(name, _)| *name == word).map_or(word, |(_, key)| key.clone())
            })
            .collect()
    };
    if way.link == Link::Old {
        for name in ["open", "side"] {
            let (from, to) = (format!("{name}.old"), folder.path().join(name));
            relay(&folder.path().join(from), &to).map_err(|e| format!("a relay: {e}"))?;
        }
    }
    let client = script(talk.client, way.client_binds);
    let server = script(talk.server, !way.client_binds);
    let client = peers.start_in(client_side, "client", &client, folder.path(), environment)?;
    let server = peers.start_in(server_side, "server", &server, folder.path(), environment)?;
    match (client.finish(), server.finish()) {
        (Ok(()), Ok(())) => Ok(()),
        (one, other) => Err([one.err(), other.err()].into_iter().flatten().collect()),
    }
}
