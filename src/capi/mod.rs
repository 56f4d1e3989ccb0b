//! The C face: every function that libzmq exports, and nothing else.
//!
//! A function here checks the pointers and handles that C hands over, converts them, makes one call
//! into the safe floors below, and turns the result into a return value and `errno`. Decisions
//! about sockets, messages or contexts must not live here. One file per family of man pages; what
//! they share is in `ptr` (borrowing memory of C), `errno` (the one conversion of errors), `guard`
//! (no unwinding into C) and `types` (what zmq.h declares beside functions).
//!
//! Handles are checked before anything else happens: NULL, closed, foreign and wrong handles give
//! the errno that the man page names, for ever. Pointers to memory cannot be checked beyond NULL;
//! what a caller owes is said under `# Safety` of each function.
//!
//! build.rs makes include/zmq.h from these files, comments included, hence:
//! - the functions are plain `extern "C"` functions, not made by a macro,
//! - `draft` and `poller` hold what programs see only with `ZMQ_BUILD_DRAFT_API`; a new file must
//!   be listed in build.rs,
//! - documentation is written for readers of C: without links, and never with the two characters
//!   that begin or end a C comment.

mod ctx;
mod draft;
mod errno;
mod guard;
mod iov;
mod monitor;
mod msg;
mod options;
mod poll;
mod poller;
mod proxy;
mod ptr;
mod socket;
#[cfg(test)]
mod tests;
mod threads;
mod timer_list;
mod timers;
mod types;
mod util;

pub use ctx::*;
pub use draft::*;
pub use iov::*;
pub use monitor::*;
pub use msg::*;
pub use options::*;
pub use poll::*;
pub use poller::*;
pub use proxy::*;
pub use socket::*;
pub use threads::*;
pub use timers::*;
pub use types::*;
pub use util::*;

/// Numbers of the handle tables of this floor; a handle of one table is never valid in another.
/// Contexts and sockets have the numbers below these.
mod kind {
    pub(super) const TIMERS: u8 = 8;
    pub(super) const POLLER: u8 = 9;
    pub(super) const COUNTER: u8 = 10;
    pub(super) const STOPWATCH: u8 = 11;
    pub(super) const THREAD: u8 = 12;
}
