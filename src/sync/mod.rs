//! What threads share: the queues from one thread to another and from one to several, locks, mailboxes, wakers, and the
//! table behind C handles.
//!
//! Everything here is independent of messages and sockets. The queues, a lock and the sleeping flag are model
//! checked (`RUSTFLAGS="--cfg loom" cargo test --lib loom`).

mod biased;
mod brief;
mod broadcast;
mod chunk;
pub mod handles;
mod lock;
mod mailbox;
mod prim;
mod spsc;
mod waker;

pub use biased::{BiasedGuard, BiasedLock};
pub use brief::{BriefGuard, BriefLock};
pub use broadcast::{Broadcaster, Counted, Listener};
pub use chunk::{copy_small, expect};
pub use lock::Lock;
pub use mailbox::Mailbox;
pub use spsc::{Receiver, Sender, channel};
pub use waker::{Waiters, Waker};
