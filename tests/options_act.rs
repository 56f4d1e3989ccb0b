//! Every option that can be seen to act does: on the kernel's sockets, on the wire, on threads, or on what comes and
//! goes at sockets.
//!
//! `coverage` holds the table of all options with the place that shows each at work, and fails when one is missing.

mod support;

mod options_act {
    mod connecting;
    mod coverage;
    mod kernel;
    mod lingering;
    mod listening;
    mod marks;
    mod names;
    mod peers;
    mod publishing;
    mod threads;
    mod util;
}
