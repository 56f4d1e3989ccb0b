//! Every option has a place where it is seen to act, or a reason why it is not.

use std::collections::BTreeSet;
use std::fs;

use crate::support::repository;

/// Names without their `ZMQ_`, and the file of this folder (or of the tests) that shows them at work.
const PLACES: &[(&str, &[&str])] = &[
    (
        "options_act/kernel.rs",
        &[
            "SNDBUF",
            "RCVBUF",
            "TOS",
            "PRIORITY",
            "TCP_MAXRT",
            "TCP_KEEPALIVE",
            "TCP_KEEPALIVE_CNT",
            "TCP_KEEPALIVE_IDLE",
            "TCP_KEEPALIVE_INTVL",
            "IPV6",
            "IPV4ONLY",
        ],
    ),
    (
        "options_act/threads.rs",
        &[
            "AFFINITY",
            "IO_THREADS",
            "MAX_SOCKETS",
            "THREAD_NAME_PREFIX",
            "THREAD_PRIORITY",
            "THREAD_SCHED_POLICY",
            "THREAD_AFFINITY_CPU_ADD",
            "THREAD_AFFINITY_CPU_REMOVE",
            "BLOCKY",
        ],
    ),
    ("options_act/lingering.rs", &["LINGER"]),
    (
        "options_act/marks.rs",
        &["SNDHWM", "RCVHWM", "IMMEDIATE", "CONFLATE", "SNDTIMEO", "RCVTIMEO", "MAXMSGSIZE"],
    ),
    (
        "options_act/peers.rs",
        &[
            "ROUTER_HANDOVER",
            "ROUTER_MANDATORY",
            "ROUTER_RAW",
            "ROUTER_NOTIFY",
            "PROBE_ROUTER",
            "REQ_CORRELATE",
            "REQ_RELAXED",
            "STREAM_NOTIFY",
            "CONNECT_ROUTING_ID",
            "ROUTING_ID",
            "METADATA",
            "HELLO_MSG",
            "DISCONNECT_MSG",
            "IN_BATCH_SIZE",
            "OUT_BATCH_SIZE",
        ],
    ),
    (
        "options_act/publishing.rs",
        &[
            "SUBSCRIBE",
            "UNSUBSCRIBE",
            "XPUB_VERBOSE",
            "XPUB_VERBOSER",
            "XPUB_MANUAL",
            "XPUB_MANUAL_LAST_VALUE",
            "XPUB_WELCOME_MSG",
            "XPUB_NODROP",
            "INVERT_MATCHING",
            "ONLY_FIRST_SUBSCRIBE",
            "XSUB_VERBOSE_UNSUBSCRIBE",
            "TOPICS_COUNT",
        ],
    ),
    (
        "options_act/connecting.rs",
        &[
            "RECONNECT_IVL",
            "RECONNECT_IVL_MAX",
            "RECONNECT_STOP",
            "CONNECT_TIMEOUT",
            "HANDSHAKE_IVL",
            "HEARTBEAT_IVL",
            "HEARTBEAT_TTL",
            "HEARTBEAT_TIMEOUT",
            "SOCKS_PROXY",
            "SOCKS_USERNAME",
            "SOCKS_PASSWORD",
        ],
    ),
    (
        "options_act/listening.rs",
        &[
            "BACKLOG",
            "BINDTODEVICE",
            "USE_FD",
            "TCP_ACCEPT_FILTER",
            "IPC_FILTER_PID",
            "IPC_FILTER_UID",
            "IPC_FILTER_GID",
        ],
    ),
];

/// Not to be seen from here: only ever read, or theirs whom the reason names.
const ELSEWHERE: &[(&str, &[&str])] = &[
    (
        "they answer questions only",
        &[
            "RCVMORE",
            "FD",
            "EVENTS",
            "TYPE",
            "LAST_ENDPOINT",
            "MECHANISM",
            "THREAD_SAFE",
            "SOCKET_LIMIT",
            "MSG_T_SIZE",
        ],
    ),
    ("nothing enforces it, as in the genuine library", &["MAX_MSGSZ"]),
    ("how received bytes are kept, which nobody can see", &["ZERO_COPY_RECV"]),
    ("ctest/spinning.c", &["BUSY_POLL"]),
    (
        "tests of the security mechanisms",
        &[
            "PLAIN_SERVER",
            "PLAIN_USERNAME",
            "PLAIN_PASSWORD",
            "CURVE_SERVER",
            "CURVE_PUBLICKEY",
            "CURVE_SECRETKEY",
            "CURVE_SERVERKEY",
            "ZAP_DOMAIN",
            "ZAP_ENFORCE_DOMAIN",
            "GSSAPI_SERVER",
            "GSSAPI_PRINCIPAL",
            "GSSAPI_SERVICE_PRINCIPAL",
            "GSSAPI_PLAINTEXT",
            "GSSAPI_PRINCIPAL_NAMETYPE",
            "GSSAPI_SERVICE_PRINCIPAL_NAMETYPE",
        ],
    ),
    (
        "multicast, and transports of their own",
        &[
            "RATE",
            "RECOVERY_IVL",
            "MULTICAST_HOPS",
            "MULTICAST_MAXTPDU",
            "MULTICAST_LOOP",
            "VMCI_BUFFER_SIZE",
            "VMCI_BUFFER_MIN_SIZE",
            "VMCI_BUFFER_MAX_SIZE",
            "VMCI_CONNECT_TIMEOUT",
            "WSS_KEY_PEM",
            "WSS_CERT_PEM",
            "WSS_TRUST_PEM",
            "WSS_HOSTNAME",
            "WSS_TRUST_SYSTEM",
            "NORM_MODE",
            "NORM_UNICAST_NACK",
            "NORM_BUFFER_SIZE",
            "NORM_SEGMENT_SIZE",
            "NORM_BLOCK_SIZE",
            "NORM_NUM_PARITY",
            "NORM_NUM_AUTOPARITY",
            "NORM_PUSH",
            "LOOPBACK_FASTPATH",
        ],
    ),
    ("tests of the draft interface", &["HICCUP_MSG"]),
];

/// Constants of the header between the options that are none.
const NO_OPTIONS: &[&str] =
    &["IDENTITY", "CONNECT_RID", "DELAY_ATTACH_ON_CONNECT", "FAIL_UNROUTABLE", "ROUTER_BEHAVIOR"];

#[test]
fn every_option_has_its_place() {
    let mut known = BTreeSet::new();
    for (file, names) in PLACES {
        let text = fs::read_to_string(repository().join("tests").join(file)).expect("a file");
        for name in *names {
            assert!(known.insert(*name), "{name} twice");
            let word = format!("c::ZMQ_{name}");
            let used = text.match_indices(&word).any(|(at, _)| {
                let next = text[at + word.len()..].chars().next();
                !next.is_some_and(|letter| letter == '_' || letter.is_ascii_alphanumeric())
            });
            assert!(used, "{file} does not mention {name}");
        }
    }
    for name in ELSEWHERE.iter().flat_map(|(_, names)| *names) {
        assert!(known.insert(*name), "{name} twice");
    }
    let source = ["stable.rs", "draft.rs"].map(|file| {
        let path = repository().join("src/base/constants").join(file);
        fs::read_to_string(path).expect("the constants")
    });
    let missing: Vec<_> = option_names(&source.concat())
        .into_iter()
        .filter(|name| !known.contains(&**name))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}

/// The names in the header's sections of context and socket options.
fn option_names(source: &str) -> Vec<String> {
    let table = fs::read_to_string(repository().join("tests/abi/constants.tsv")).expect("a table");
    let mut names = Vec::new();
    let mut inside = false;
    for line in table.lines() {
        let Some(name) = line.split('\t').next().and_then(|name| name.strip_prefix("ZMQ_")) else {
            continue;
        };
        // Where sections begin and end; the draft options come in their sections' order as well.
        inside = match name {
            "IO_THREADS" | "AFFINITY" | "IDENTITY" | "ZAP_ENFORCE_DOMAIN" | "ZERO_COPY_RECV" => {
                true
            }
            "IO_THREADS_DFLT" | "MORE" | "NOBLOCK" | "NORM_FIXED" | "NOTIFY_CONNECT" => false,
            _ => inside,
        };
        let listed = inside
            && !name.ends_with("_DFLT")
            && !name.starts_with("RECONNECT_STOP_")
            && !NO_OPTIONS.contains(&name);
        if listed && source.contains(&format!("ZMQ_{name}:")) {
            names.push(name.to_owned());
        }
    }
    names
}
