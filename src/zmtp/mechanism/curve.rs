//! The CURVE mechanism (RFC 26): both ends prove their keys, and everything is encrypted.
//!
//! Here are the names and nonces that both roles share; the roles and the traffic have files of
//! their own. What is computed is in [`super::crypto`].

mod client;
mod server;
mod traffic;

pub(super) use client::Client;
pub(super) use server::Server;
pub use traffic::{MESSAGE_OVERHEAD, Opener, Sealer, Traffic};

use super::crypto::{KEY_LEN, NONCE_LEN, SecretKey, nonce};

const HELLO: &[u8] = b"\x05HELLO";
const WELCOME: &[u8] = b"\x07WELCOME";
const INITIATE: &[u8] = b"\x08INITIATE";
const READY: &[u8] = b"\x05READY";
const ERROR: &[u8] = b"\x05ERROR";

const HELLO_LEN: usize = 200;
const WELCOME_LEN: usize = 168;
const MIN_INITIATE_LEN: usize = 257;
const MIN_READY_LEN: usize = 30;

/// Version 1.0 of the mechanism.
const VERSION: &[u8] = b"\x01\x00";
/// Keeps a HELLO from being smaller than what it calls for.
const PADDING: [u8; 72] = [0; 72];
/// What a HELLO's box contains.
const SIGNED: [u8; 64] = [0; 64];
/// A random nonce, a box of the client's short-term key and the server's short-term secret.
const COOKIE_LEN: usize = 16 + 16 + 64;
/// A random nonce, a box of the client's short-term key and the server's long-term key.
const VOUCH_LEN: usize = 16 + 16 + 64;

/// The long-term keys of one socket.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// A client's own public key; a server's follows from its secret.
    pub public: [u8; KEY_LEN],
    /// Its secret.
    pub secret: SecretKey,
    /// What a client knows its server by.
    pub server: [u8; KEY_LEN],
}

/// The nonce of a box that is numbered.
fn numbered(prefix: &[u8; 16], number: u64) -> [u8; NONCE_LEN] {
    nonce(prefix, &number.to_be_bytes())
}

/// The nonce of a box whose nonce was drawn.
fn drawn(prefix: &[u8; 8], random: &[u8; 16]) -> [u8; NONCE_LEN] {
    nonce(prefix, random)
}

/// Takes an array off the front.
fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(head)
}
