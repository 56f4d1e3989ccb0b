//! The system calls that neither std, socket2 nor polling wrap: eventfd, epoll sets, futex, ppoll, membarrier, thread
//! set-up, notes on standard error; a process identity that notices a fork without a system call; address space that is
//! set aside; the allocator; and the libraries of Kerberos, NORM and PGM, loaded when needed.
//!
//! No policy lives here: callers decide what to wait for and why.

mod barrier;
mod descriptor;
mod epoll;
mod eventfd;
mod futex;
mod gssapi;
mod large;
mod library;
pub mod norm;
mod note;
pub mod pgm;
mod poll;
mod process;
mod receive;
mod reserved;
pub mod thread;
mod tipc;

pub use barrier::{barrier_everywhere, has_barrier_everywhere, this_thread};
pub use descriptor::adopt;
pub use epoll::{EpollEvents, EpollSet, epoll_add_edge, epoll_wait};
pub use eventfd::EventFd;
pub use futex::{futex_wait, futex_wake};
pub use gssapi::gssapi;
pub use large::{LargeBlocks, MEMORY};
pub use note::{LONGEST_NOTE, note, note_in};
pub use poll::{PollFd, SignalMask, poll, poll_masked};
pub use process::{PerProcess, is_privileged, process_id};
pub use receive::{receive_append, receive_at_most};
pub use reserved::Reserved;
pub use tipc::{tipc_address, tipc_parts};
