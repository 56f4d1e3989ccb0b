//! The wire protocol: ZMTP 1.0, 2.0, 3.0 and 3.1, without a socket in sight.
//!
//! Bytes and `now` go in, events and bytes come out. Nothing here opens a descriptor, reads a
//! clock, starts a thread or knows a pipe. Everything a peer sends is taken for hostile: no input
//! may panic, and buffers grow with bytes that have arrived, never with a length that was
//! announced.
#![forbid(unsafe_code)]

pub mod command;
pub mod datagram;
pub mod decoder;
pub mod frame;
pub mod greeting;
pub mod handshake;
pub mod heartbeat;
pub mod mechanism;
pub mod metadata;
pub mod multicast;
pub mod v1;
pub mod zws;

mod protocol;

pub use protocol::Protocol;
