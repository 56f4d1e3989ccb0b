//! Conversations between two processes, one on our library and one on the genuine one (and both on ours): every
//! pattern, over tcp, ipc, ws and wss, with either side binding.
//!
//! Each conversation is a pair of scripts for `ctest/interop/peer.c`, where the commands are described. In a script,
//! `OPEN` and `SIDE` stand for "bind" or "connect" with one of two endpoints, according to who binds.

mod support;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use support::Scratch;
use support::peer::{Peers, Side, free_port, words};

/// Two scripts that fit each other.
struct Conversation {
    name: &'static str,
    first: &'static str,
    second: &'static str,
}

const CONVERSATIONS: &[Conversation] = &[
    Conversation {
        name: "req_rep",
        first: "socket req OPEN ask 200 swap 60",
        second: "socket rep OPEN echo 260",
    },
    Conversation {
        name: "req_router",
        first: "socket req OPEN ask 20 swap 20",
        second: "socket router OPEN echo 40",
    },
    Conversation {
        name: "dealer_rep",
        first: "socket dealer OPEN send +question+parts recv +question+parts send a+b++c+d recv a+b++c+d",
        second: "socket rep OPEN echo 2",
    },
    Conversation {
        name: "dealer_dealer",
        first: "socket dealer OPEN swap 60",
        second: "socket dealer OPEN echo 60",
    },
    Conversation {
        name: "dealer_router",
        first: "socket dealer text 5 alice OPEN send hello+there recv hi+there+ swap 40 \
                socket dealer SIDE send nobody recv who+are+you",
        second: "socket router OPEN SIDE recv alice+hello+there send alice+hi+there+ echo 40 \
                 recv #5+nobody send =+who+are+you",
    },
    // Each sends a probe as soon as it is connected (option 51), so that both know each other.
    Conversation {
        name: "router_router",
        first: "socket router text 5 left int 51 1 OPEN recv right+ send right+hello recv right+hello+back",
        second: "socket router text 5 right int 51 1 OPEN recv left+ recv left+hello send left+hello+back",
    },
    Conversation {
        name: "push_pull",
        first: "socket push OPEN flood 200 count 20000 socket pull SIDE recv done",
        second: "socket pull OPEN drain 200 counted 20000 socket push SIDE send done",
    },
    Conversation {
        name: "push_pull_at_the_mark",
        first: "socket push int 23 2 OPEN flood 60 count 5000 socket pull SIDE recv done",
        second: "socket pull int 24 1 OPEN drain 60 counted 5000 socket push SIDE send done",
    },
    Conversation {
        name: "pair",
        first: "socket pair OPEN send one recv two flood 50 drain 50 send end",
        second: "socket pair OPEN recv one send two drain 50 flood 50 recv end",
    },
    Conversation {
        name: "pub_sub",
        first: "socket pub OPEN socket dealer SIDE publish",
        second: "socket sub OPEN text 6 a text 6 b socket dealer SIDE await ab use 0 text 7 a await b \
                 text 6 c text 6 c await bc text 7 c await bc text 7 c await b text 6 EMPTY await abc \
                 text 7 b await abc text 7 EMPTY text 6 a await a use 1 send end",
    },
    Conversation {
        name: "xpub_xsub",
        first: r"socket xpub OPEN recv \x01A send B1 send A1+tail recv \x00A send A2 recv \x01B send B2 recv \x05data",
        second: r"socket xsub OPEN send \x01A recv A1+tail send \x00A send \x01B recv B2 send \x05data",
    },
    Conversation {
        name: "xpub_sub",
        first: r"socket xpub OPEN recv \x01A send A1 recv \x00A recv \x01 send x+y",
        second: "socket sub OPEN text 6 A recv A1 text 7 A text 6 EMPTY recv x+y",
    },
    // The one that connects and the one that binds both get a notice of the connection and of its end.
    Conversation {
        name: "stream",
        first: "socket stream OPEN recv #5+ send =+hello recv =+world send =+",
        second: "socket stream OPEN recv #5+ recv =+hello send =+world recv =+",
    },
    // Heartbeats (options 75, 77) every 50 ms keep a silent connection up.
    Conversation {
        name: "heartbeats",
        first: "socket dealer int 75 50 int 77 3000 monitor OPEN ask 10 none 400 calm ask 10",
        second: "socket dealer OPEN echo 20",
    },
];

/// A binding process that ends and is started anew, and a connecting one that lives on.
const RESTARTS: &[Conversation] = &[
    Conversation {
        name: "restart_dealer",
        first: "socket dealer monitor OPEN ask 20 event disconnected ask 20",
        second: "socket dealer OPEN echo 20",
    },
    Conversation {
        name: "restart_req",
        first: "socket req monitor OPEN ask 20 event disconnected ask 20",
        second: "socket rep OPEN echo 20",
    },
    Conversation {
        name: "restart_sub",
        first: "socket sub OPEN text 6 a text 6 c socket dealer SIDE await ac use 1 send end await ac send end",
        second: "socket pub OPEN socket dealer SIDE publish",
    },
];

const PAIRS: [(Side, Side); 3] =
    [(Side::Ours, Side::Ours), (Side::Ours, Side::Genuine), (Side::Genuine, Side::Ours)];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let (plain, web) = match (Peers::new(), Peers::web()) {
        (Ok(plain), Ok(web)) => (Arc::new(plain), Arc::new(web)),
        (Err(why), _) | (_, Err(why)) => {
            eprintln!("interop: {why}");
            return ExitCode::FAILURE;
        }
    };
    let mut trials = Vec::new();
    for transport in TRANSPORTS {
        let peers = if transport.capability.is_some() { &web } else { &plain };
        for (one, other) in PAIRS {
            for talk in CONVERSATIONS {
                // A message is all there is to be seen of a WebSocket.
                if talk.name == "stream" && transport.capability.is_some() {
                    continue;
                }
                for first_binds in [true, false] {
                    let binder = if first_binds { "first" } else { "second" };
                    let name = format!(
                        "{}::{}::{}_{}::{binder}_binds",
                        talk.name,
                        transport.scheme,
                        one.name(),
                        other.name()
                    );
                    trials.push(trial(
                        name,
                        peers,
                        move |bench| bench.converse(talk, one, other, first_binds),
                        transport,
                    ));
                }
            }
            for talk in RESTARTS {
                let pair = format!("{}_{}", one.name(), other.name());
                let name = format!("{}::{}::{pair}", talk.name, transport.scheme);
                trials.push(trial(
                    name,
                    peers,
                    move |bench| bench.restart(talk, one, other),
                    transport,
                ));
            }
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A way between two processes.
struct Transport {
    scheme: &'static str,
    /// What zmq_has(3) has to affirm, where not every library has it.
    capability: Option<&'static str>,
    /// What each socket is told before anything else.
    options: &'static [(i32, &'static str)],
}

/// WSS_KEY_PEM, WSS_CERT_PEM, WSS_TRUST_PEM and WSS_HOSTNAME.
const TLS: &[(i32, &str)] = &[
    (103, include_str!("certificates/key.pem")),
    (104, include_str!("certificates/certificate.pem")),
    (105, include_str!("certificates/certificate.pem")),
    (106, "ferrozmq.test"),
];

const TRANSPORTS: [&Transport; 4] = [
    &Transport { scheme: "tcp", capability: None, options: &[] },
    &Transport { scheme: "ipc", capability: None, options: &[] },
    &Transport { scheme: "ws", capability: Some("WS"), options: &[] },
    &Transport { scheme: "wss", capability: Some("WSS"), options: TLS },
];

fn trial(
    name: String,
    peers: &Arc<Peers>,
    run: impl FnOnce(&Bench) -> Result<(), String> + Send + 'static,
    transport: &'static Transport,
) -> Trial {
    let peers = Arc::clone(peers);
    let needs_genuine = name.contains("genuine");
    Trial::ignorable_test(name, move || {
        if needs_genuine && !peers.has_genuine() {
            return Ok(Completion::ignored_with(
                "no genuine libzmq.so.5 on this machine (Debian: libzmq5)",
            ));
        }
        if let Some(capability) = transport.capability.filter(|_| needs_genuine)
            && !peers.has(Side::Genuine, capability).map_err(Failed::from)?
        {
            return Ok(Completion::ignored_with(format!(
                "no genuine libzmq.so.5 with {capability} on this machine; ctest/test.sh builds one"
            )));
        }
        let bench = Bench::new(peers, transport).map_err(Failed::from)?;
        run(&bench).map_err(Failed::from)?;
        Ok(Completion::Completed)
    })
}

/// One conversation's folder and endpoints.
struct Bench {
    peers: Arc<Peers>,
    folder: Scratch,
    open: String,
    side: String,
    transport: &'static Transport,
}

impl Bench {
    fn new(peers: Arc<Peers>, transport: &'static Transport) -> Result<Bench, String> {
        let folder = Scratch::new("talk")?;
        let [open, side] = endpoints(transport.scheme, folder.path())?;
        Ok(Bench { peers, folder, open, side, transport })
    }

    fn converse(
        &self,
        talk: &Conversation,
        one: Side,
        other: Side,
        first_binds: bool,
    ) -> Result<(), String> {
        let first = self.peers.start(
            one,
            "first",
            &self.script(talk.first, first_binds),
            self.folder.path(),
        )?;
        let second = self.peers.start(
            other,
            "second",
            &self.script(talk.second, !first_binds),
            self.folder.path(),
        )?;
        both(first.finish(), second.finish())
    }

    fn restart(&self, talk: &Conversation, one: Side, other: Side) -> Result<(), String> {
        let first =
            self.peers.start(one, "first", &self.script(talk.first, false), self.folder.path())?;
        let second = self.script(talk.second, true);
        let before =
            self.peers.start(other, "second-before", &second, self.folder.path())?.finish();
        let after = before.and_then(|()| {
            self.peers.start(other, "second-after", &second, self.folder.path())?.finish()
        });
        both(first.finish(), after)
    }

    fn script(&self, script: &str, binds: bool) -> Vec<String> {
        let verb = if binds { "bind" } else { "connect" };
        let said = script
            .replace("OPEN", &format!("{verb} {}", self.open))
            .replace("SIDE", &format!("{verb} {}", self.side));
        let mut script = Vec::new();
        let mut rest = words(&said).into_iter();
        while let Some(word) = rest.next() {
            let opens = word == "socket";
            script.push(word);
            if opens {
                script.extend(rest.next());
                for (option, text) in self.transport.options {
                    script.extend(["text".into(), option.to_string(), (*text).into()]);
                }
            }
        }
        script
    }
}

/// Two endpoints that nobody uses: free ports, or names in the test's own folder.
fn endpoints(transport: &str, folder: &Path) -> Result<[String; 2], String> {
    if transport == "ipc" {
        return Ok(["a", "b"].map(|name| format!("ipc://{}/{name}", folder.display())));
    }
    let path = if transport == "tcp" { "" } else { "/path" };
    Ok([free_port()?, free_port()?].map(|port| format!("{transport}://127.0.0.1:{port}{path}")))
}

fn both(one: Result<(), String>, other: Result<(), String>) -> Result<(), String> {
    match (one, other) {
        (Err(a), Err(b)) => Err(format!("{a}{b}")),
        (Err(a), _) => Err(a),
        (_, b) => b,
    }
}
