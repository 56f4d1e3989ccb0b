//! GSSAPI with a real Kerberos server: between two of ours, and with Debian's libzmq5 as client and as server.
//!
//! `support/conversation.rs` tells how the scripts are to be read, `support/kdc.rs` who there is in the realm. The
//! program of the original suite that skips itself without a realm runs here as well.

#[path = "conformance/compile.rs"]
mod compile;
#[path = "conformance/suite.rs"]
#[allow(dead_code, reason = "only what finds the program")]
mod suite;
mod support;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use compile::Compiler;
use support::Scratch;
use support::child::{End, Run, run};
use support::conversation::{Conversation, PAIRS, all, leak};
use support::kdc::Kdc;
use support::local::PATIENCE;
use support::peer::{Peers, Side, words};
use support::raw::{command, greeting};

#[test]
fn the_program_of_the_original_suite() {
    in_realm(|realm| {
        let outcome = original("test_security_gssapi", realm).expect("it can be built and started");
        assert_eq!(outcome.end, End::Code(0), "{}", outcome.output);
        assert!(outcome.output.contains("5 Tests 0 Failures 0 Ignored"), "{}", outcome.output);
    });
}

fn original(name: &str, realm: &[(String, String)]) -> Result<Run, String> {
    let vendor = suite::vendor()?;
    let programs = suite::programs(&vendor)?;
    let program = programs.iter().find(|known| known.name == name).ok_or("no such program")?;
    let cache = support::target().join("conformance");
    let folder = support::link_folder(&support::library()?, &cache.join("gssapi"))?;
    let here = support::repository();
    let (include, shim) = (here.join("include"), here.join("tests/conformance/shim"));
    let compiler = Compiler::new(&vendor, &include, &shim, &folder, &cache)?;
    let scratch = Scratch::new("original")?;
    let mut command = Command::new(compiler.program(name, &program.source)?);
    command.current_dir(scratch.path()).env("LD_LIBRARY_PATH", &folder);
    let own = scratch.path().join("original").display().to_string();
    command.envs(realm.iter().map(|(variable, value)| (variable, value.replace("FOLDER", &own))));
    run(&mut command, program.limit, &scratch.path().join("log")).map_err(|e| e.to_string())
}

/// Tokens that are none, and others that nearly are one, from peers who have proven nothing: they are refused, and a
/// good client is served afterwards.
#[test]
fn tokens_from_strangers() {
    const STRANGERS: usize = 300;
    in_realm(|realm| {
        let peers = Peers::new().expect("a peer program");
        let folder = Scratch::new("tokens").expect("a folder");
        let place = folder.path().join("open");
        let endpoint = format!("ipc://{}", place.display());
        let start = |name: &str, script: String| {
            peers.start_in(Side::Ours, name, &words(&script), folder.path(), realm).expect(name)
        };
        let server =
            start("server", format!("socket rep {} bind {endpoint} echo 1", SETTINGS[0].server));
        let mut random = fastrand::Rng::with_seed(38);
        // The beginning of a token of Kerberos, as RFC 4121 has it.
        let begun = b"\x60\x82\x02\xb8\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01\x00\x6e\x82\x02\xa7\x30\x82";
        for _ in 0..STRANGERS {
            let mut stream = knock(&place);
            let cut = random.usize(..=begun.len());
            let mut token = begun[..cut].to_vec();
            token.extend((0..random.usize(..900)).map(|_| random.u8(..)));
            let body = [&(token.len() as u32).to_be_bytes()[..], &token].concat();
            stream.write_all(&greeting(b"GSSAPI")).expect("a greeting is read");
            stream.write_all(&command("INITIATE", &body)).expect("a command is read");
            let mut heard = Vec::new();
            stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
            stream.read_to_end(&mut heard).expect("a clean end");
            assert_eq!(heard.len(), 64, "nothing is said to a stranger");
        }
        let client =
            start("client", format!("socket req {} connect {endpoint} ask 1", SETTINGS[0].client));
        client.finish().expect("a good client is served");
        server.finish().expect("the server lives");
    });
}

/// Connects as soon as somebody listens.
fn knock(place: &Path) -> UnixStream {
    let began = Instant::now();
    loop {
        match UnixStream::connect(place) {
            Ok(stream) => return stream,
            Err(error) => assert!(began.elapsed() < PATIENCE, "{error}"),
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Ours is the server.
const OUR_SERVER: &[(Side, Side)] = &[(Side::Ours, Side::Ours), (Side::Genuine, Side::Ours)];

/// Options of both sides.
struct Setting {
    name: &'static str,
    client: &'static str,
    server: &'static str,
}

const SETTINGS: &[Setting] = &[
    Setting {
        name: "encrypted",
        client: "text 64 zmq@localhost text 63 zmqtest1 int 90 1",
        server: "int 62 1 text 63 zmq@localhost",
    },
    Setting {
        name: "plaintext",
        client: "text 64 zmq@localhost text 63 zmqtest1 int 90 1 int 65 1",
        server: "int 62 1 text 63 zmq@localhost int 65 1",
    },
    // Names as Kerberos writes them.
    Setting {
        name: "principals",
        client: "text 64 zmq/localhost@FZ.TEST int 91 2 text 63 zmqtest1@FZ.TEST int 90 2",
        server: "int 62 1 text 63 zmq/localhost@FZ.TEST int 90 2",
    },
    // Whoever the keytab has.
    Setting {
        name: "default",
        client: "text 64 zmq@localhost",
        server: "int 62 1 text 63 zmq@localhost",
    },
];

/// The same conversation in each setting.
fn in_settings(settings: &[Setting], client: &str, server: &str) -> Vec<Conversation> {
    settings
        .iter()
        .map(|setting| {
            let fill = |script: &str, options: &str| leak(script.replace("OPTIONS", options));
            let (client, server) = (fill(client, setting.client), fill(server, setting.server));
            Conversation { name: setting.name, client, server }
        })
        .collect()
}

/// Nothing to do where the machine has no Kerberos server.
fn in_realm(body: impl FnOnce(&[(String, String)])) {
    if let Some(kdc) = Kdc::start().expect("a Kerberos server") {
        body(&kdc.environment());
    }
}

#[test]
fn messages_of_every_size_and_shape() {
    in_realm(|realm| {
        let talks = in_settings(
            SETTINGS,
            "socket dealer OPTIONS OPEN ask 50 swap 60",
            "socket dealer OPTIONS OPEN echo 110",
        );
        all(&talks, PAIRS, realm);
    });
}

#[test]
fn many_messages_in_order() {
    in_realm(|realm| {
        let talks = in_settings(
            &SETTINGS[..2],
            "socket push OPTIONS OPEN flood 110 count 3000 socket pull OPTIONS SIDE recv done",
            "socket pull OPTIONS OPEN drain 110 counted 3000 socket push OPTIONS SIDE send done",
        );
        all(&talks, PAIRS, realm);
    });
}

#[test]
fn subscriptions() {
    in_realm(|realm| {
        let subscriber = "OPTIONS OPEN text 6 A recv A1+tail text 7 A text 6 B recv B2";
        let publisher =
            r"OPTIONS OPEN recv \x01A send A1+tail recv \x00A recv \x01B send A2 send B2";
        // In encrypted form the genuine subscriber of that age says nothing but the topic, which means nothing
        // even to its own kind.
        let ours = [PAIRS[0], PAIRS[1]];
        for [client, server] in [
            [format!("socket sub {subscriber}"), format!("socket xpub {publisher}")],
            [format!("socket xpub {publisher}"), format!("socket sub {subscriber}")],
        ] {
            let subscribes_first = client.starts_with("socket sub");
            let pairs = if subscribes_first { &ours } else { OUR_SERVER };
            all(&in_settings(&SETTINGS[..1], &client, &server), pairs, realm);
            all(&in_settings(&SETTINGS[1..2], &client, &server), PAIRS, realm);
        }
    });
}

#[test]
fn heartbeats() {
    in_realm(|realm| {
        let talks = in_settings(
            &SETTINGS[..2],
            "socket dealer OPTIONS int 75 50 int 77 3000 monitor OPEN ask 10 none 400 calm ask 10",
            "socket dealer OPTIONS int 75 50 int 77 3000 monitor OPEN echo 19 calm echo 1",
        );
        all(&talks, PAIRS, realm);
    });
}

const ASKED: &str = "recv 1.0+1+global+*+srv+GSSAPI+zmqtest1@FZ.TEST";

fn with_handler(client: &str, answer: &str, server: &str) -> Vec<Conversation> {
    in_settings(
        &SETTINGS[..2],
        &format!("socket dealer text 5 cli OPTIONS monitor OPEN {client}"),
        &format!(
            "socket rep bind inproc://zeromq.zap.01 socket dealer text 5 srv text 55 global OPTIONS int 66 800 \
             monitor OPEN use 0 {ASKED} {answer} use 1 {server}"
        ),
    )
}

#[test]
fn a_handler_is_told_the_principal() {
    in_realm(|realm| {
        for (property, value) in [("User-Id", "joe"), ("Socket-Type", "DEALER")] {
            let talks = with_handler(
                "send hello recv bye",
                "send 1.0+1+200+OK+joe+",
                &format!("event handshake about {property} {value} send bye"),
            );
            all(&talks, PAIRS, realm);
        }
    });
}

/// The genuine server of that age lets everybody in; the genuine client sees what ours does.
#[test]
fn a_denied_client_stays_outside() {
    in_realm(|realm| {
        for (status, event) in [
            ("300", "auth=300"),
            ("400", "auth=400"),
            ("500", "auth=500"),
            ("600", "protocol=0x20000004"),
        ] {
            let talks = with_handler(
                "event no_detail=32 event disconnected",
                &format!("send 1.0+1+{status}+no++"),
                &format!("event {event} event disconnected none 100"),
            );
            all(&talks, OUR_SERVER, realm);
        }
    });
}

#[test]
fn a_handler_that_dies() {
    in_realm(|realm| {
        let talks = with_handler(
            "send hello event no_detail=32 event disconnected event handshake",
            "close",
            "event no_detail event disconnected recv hello",
        );
        all(&talks, OUR_SERVER, realm);
    });
}

#[test]
fn both_sides_have_to_agree_on_encryption() {
    in_realm(|realm| {
        let [encrypted, plaintext] = [&SETTINGS[0], &SETTINGS[1]];
        let mixed = [
            Setting {
                name: "plaintext server",
                client: encrypted.client,
                server: plaintext.server,
            },
            Setting {
                name: "plaintext client",
                client: plaintext.client,
                server: encrypted.server,
            },
        ];
        let talks = in_settings(
            &mixed,
            "socket dealer OPTIONS monitor OPEN event protocol=0x10000001 event disconnected",
            "socket dealer OPTIONS monitor OPEN event no_detail=32 event disconnected",
        );
        all(&talks, PAIRS, realm);
    });
}

#[test]
fn other_mechanisms_do_not_fit() {
    in_realm(|realm| {
        for client in
            ["", "text 45 admin text 46 secret", "text 50 SERVERKEY text 48 PUBLIC text 49 SECRET"]
        {
            let talks = [Conversation {
                name: "mismatch",
                client: leak(format!("socket dealer {client} monitor OPEN event disconnected")),
                server: leak(format!(
                    "socket dealer {} monitor OPEN event disconnected",
                    SETTINGS[0].server
                )),
            }];
            all(&talks, PAIRS, realm);
        }
    });
}

/// A client without tickets says so, and leaves when the time for its handshake is up; a server without its key says so
/// at once.
#[test]
fn without_credentials() {
    in_realm(|realm| {
        let client = |options: &str, name| Conversation {
            name,
            client: leak(format!(
                "socket dealer int 66 400 {options} monitor OPEN event no_detail=13 event disconnected"
            )),
            server: leak(format!(
                "socket dealer {} monitor OPEN event no_detail event disconnected",
                SETTINGS[0].server
            )),
        };
        let talks = [
            client("text 64 zmq@localhost text 63 nobody int 90 1", "unknown client"),
            client("text 64 nothing@localhost text 63 zmqtest1 int 90 1", "unknown service"),
        ];
        all(&talks, &[(Side::Ours, Side::Ours), (Side::Ours, Side::Genuine)], realm);
        let talks = [Conversation {
            name: "unknown server",
            client: leak(format!(
                "socket dealer {} monitor OPEN event no_detail=32 event disconnected",
                SETTINGS[0].client
            )),
            server: "socket dealer int 62 1 text 63 nothing@localhost monitor OPEN event no_detail=13 \
                     event disconnected",
        }];
        all(&talks, OUR_SERVER, realm);
    });
}
