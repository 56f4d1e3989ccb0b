//! What security contexts of GSSAPI (RFC 2743) do for a connection, as the protocol sees it.
//!
//! Only the shape is here: `sys` has it on the Kerberos library of the machine, tests have their own.

use std::fmt;
use std::sync::Arc;

/// How a name is to be read (zmq_gssapi(7)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameKind {
    /// `service` or `service@hostname`.
    #[default]
    HostBased,
    /// A user of this machine.
    User,
    /// A principal of Kerberos.
    Principal,
}

/// A name and how it is to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name {
    /// As given by the application.
    pub text: Vec<u8>,
    /// How to read it.
    pub kind: NameKind,
}

/// The library, or its peer, will not go on. The reason stays in the library: there is nothing that a monitor
/// could be told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("GSSAPI refused")]
pub struct Refused;

/// Makes contexts. All of its calls, and those of the contexts, may block: they read files and ask servers.
pub trait Library: Send + Sync + fmt::Debug {
    /// A context of a client of `service`, with the credentials of `own` (none: those that are the default).
    fn initiator(&self, own: Option<&Name>, service: &Name) -> Result<Box<dyn Context>, Refused>;

    /// A context of a server with the credentials of `own` (none: any that it has).
    fn acceptor(&self, own: Option<&Name>) -> Result<Box<dyn Context>, Refused>;
}

/// One end of an agreement.
pub trait Context: Send {
    /// Takes the peer's token (a client begins with an empty one).
    fn step(&mut self, token: &[u8]) -> Result<Step, Refused>;

    /// Who the client is, once a server's context is complete.
    fn client(&mut self) -> Result<Vec<u8>, Refused>;

    /// Encrypts; only once the context is complete.
    fn wrap(&mut self, plain: &[u8]) -> Result<Vec<u8>, Refused>;

    /// Decrypts what was encrypted; what comes twice, or out of order, is refused.
    fn unwrap(&mut self, wrapped: &[u8]) -> Result<Vec<u8>, Refused>;
}

/// What came of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// For the peer; empty: nothing.
    pub token: Vec<u8>,
    /// Whether the context can be used.
    pub complete: bool,
}

/// What a socket's options say about GSSAPI.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where contexts come from.
    pub library: Arc<dyn Library>,
    /// Whose credentials to use.
    pub own: Option<Name>,
    /// Whom a client wants to talk to.
    pub service: Name,
    /// Traffic is not encrypted.
    pub plaintext: bool,
}
