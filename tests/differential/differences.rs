//! Where our library prints another line than the genuine one, and why: the one table of such lines.

/// A line of a program of `ctest/differential/` that differs.
pub struct Difference {
    /// The name of the program.
    pub program: &'static str,
    /// What the genuine library prints; a star at the end stands for any rest, and nothing for no line.
    pub theirs: &'static str,
    /// What ours prints, in the same way.
    pub ours: &'static str,
    /// The words of QUIRKS.md that say why.
    pub reason: &'static str,
}

const fn row(
    program: &'static str,
    theirs: &'static str,
    ours: &'static str,
    reason: &'static str,
) -> Difference {
    Difference { program, theirs, ours, reason }
}

const SHUTDOWN: &str = "After `zmq_ctx_shutdown` every call on every socket says ETERM at once";
const KEYS: &str =
    "A CURVE key that is refused leaves the old one; libzmq keeps the part it could decode.";
const FILTERS: &str = "ZMQ_TCP_ACCEPT_FILTER takes addresses written in full only";
const ROOM: &str = "On inproc a reader that finds its pipe empty tells a waiting writer at once";
const REST: &str = "PAIR, too, drops the rest of a message whose peer went";
const ERRNO: &str = "The errno of a failed bind is the bind's also when a monitor is told of it";

/// All of them, by program.
pub const DIFFERENCES: &[Difference] = &[
    row(
        "address_grammar_tcp",
        "connect tcp://127.0.0.1:1;: done, last endpoint \"tcp://127.0.0.1:PORT;\"",
        "connect tcp://127.0.0.1:1;: EINVAL, last endpoint \"\"",
        "a source address without a target",
    ),
    row(
        "address_grammar_tcp",
        "bind tcp://127.0.0.1:1 : done, last endpoint \"tcp://127.0.0.1:PORT\"",
        "bind tcp://127.0.0.1:1 : EINVAL, last endpoint \"\"",
        "text after a port on bind",
    ),
    row(
        "context_socket_limit",
        "zmq_socket_monitor (one, \"inproc://no-room\", ZMQ_EVENT_ALL) = -1 EMFILE",
        "zmq_socket_monitor (one, \"inproc://no-room\", ZMQ_EVENT_ALL) = 0",
        "A monitor takes none of the sockets that ZMQ_MAX_SOCKETS allows.",
    ),
    row("half_a_message_on_the_bound_side", "events (one) = 0", "events (one) = 2", REST),
    row(
        "half_a_message_on_the_bound_side",
        "zmq_send (one, \"continued\", 9, ZMQ_SNDMORE | ZMQ_DONTWAIT) = -1 EAGAIN",
        "zmq_send (one, \"continued\", 9, ZMQ_SNDMORE | ZMQ_DONTWAIT) = 9",
        REST,
    ),
    row(
        "half_a_message_on_the_bound_side",
        "zmq_send (one, \"ended\", 5, ZMQ_DONTWAIT) = -1 EAGAIN",
        "zmq_send (one, \"ended\", 5, ZMQ_DONTWAIT) = 5",
        REST,
    ),
    row(
        "marks_changed_later",
        "filled (push, \"x\", 50) = 22",
        "filled (push, \"x\", 50) = 25",
        ROOM,
    ),
    row("marks_changed_later", "drained (pull) = 22", "drained (pull) = 25", ROOM),
    row(
        "marks_changed_later",
        "filled (push, \"x\", 50) = 3",
        "filled (push, \"x\", 50) = 21",
        ROOM,
    ),
    row("marks_changed_later", "drained (pull) = 3", "drained (pull) = 21", ROOM),
    row(
        "monitor_bad_handshakes",
        "one: HANDSHAKE_SUCCEEDED 0 at \"tcp://127.0.0.1:PORT\"",
        "one: DISCONNECTED fd at \"tcp://127.0.0.1:PORT\"",
        "A property that announces a value and has none is malformed; libzmq takes it.",
    ),
    row(
        "monitor_failed_binds",
        "tcp://nowhere.invalid:* = -1 EAGAIN",
        "tcp://nowhere.invalid:* = -1 ENODEV",
        ERRNO,
    ),
    row("monitor_failed_binds", "tcp://junk = -1 EAGAIN", "tcp://junk = -1 EINVAL", ERRNO),
    row("monitor_failed_binds", "ipc://@ = -1 EAGAIN", "ipc://@ = -1 EINVAL", ERRNO),
    row(
        "option_accept_filters",
        "ipv6 0: filter \"127.0.0\" = 0",
        "ipv6 0: filter \"127.0.0\" = -1 EINVAL",
        FILTERS,
    ),
    row(
        "option_accept_filters",
        "ipv6 1: filter \"127.0.0\" = 0",
        "ipv6 1: filter \"127.0.0\" = -1 EINVAL",
        FILTERS,
    ),
    row(
        "option_accept_filters",
        "ipv6 1: filter \"127.0.0.1/33\" = 0",
        "ipv6 1: filter \"127.0.0.1/33\" = -1 EINVAL",
        FILTERS,
    ),
    row("option_curve_keys", "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H00000*", "000000000000*", KEYS),
    row("option_curve_keys", "T\\xfc\\xba$\\xe92*", "\\x00\\x00\\x00\\x00*", KEYS),
    row(
        "shutdown_of_everything",
        "zmq_recv (req, bytes, sizeof bytes, 0) = -1 EFSM",
        "zmq_recv (req, bytes, sizeof bytes, 0) = -1 ETERM",
        SHUTDOWN,
    ),
    row(
        "stream_lone_part",
        "raw_read (raw, bytes, 3) = 0",
        "raw_read (raw, bytes, 3) = 3",
        "A part that nothing follows is dropped by STREAM for itself",
    ),
    row(
        "stream_lone_part",
        "one",
        "two",
        "A part that nothing follows is dropped by STREAM for itself",
    ),
];
