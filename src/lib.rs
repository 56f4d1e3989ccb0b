//! ferrozmq: libzmq's C interface on an engine of its own.
//!
//! The crate builds `libzmq.so.5`, a drop-in replacement for the ZeroMQ library of that name. Its floors,
//! from the C face down, may import only what lies below them; ARCHITECTURE.md tells the life of a
//! message through them, and `tests/layers.rs` holds the table.

pub mod base;
pub mod capi;
pub mod conn;
pub mod ctx;
pub mod hub;
pub mod message;
pub mod options;
pub mod pattern;
pub mod pipe;
pub mod reactor;
pub mod socket;
pub mod sync;
pub mod sys;
pub mod transport;
pub mod zmtp;
