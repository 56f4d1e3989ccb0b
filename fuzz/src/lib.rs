//! What is fuzzed: one function per target, which takes any bytes and panics when a promise is broken.
//!
//! The targets of libFuzzer (`fuzz_targets/`) call these functions, and so does `tests/fuzz_corpus.rs` of
//! the library itself, with the committed seeds and mutations of them, on any toolchain. A target's first
//! bytes choose options and how the rest is cut; the rest is what a hostile peer sends.

mod curve;
mod decoding;
mod gssapi;
mod handshakes;
mod multicast;
mod seeds;
mod texts;
mod websocket;

pub use seeds::{escape, unescape};

/// A target's name and function.
pub const TARGETS: [(&str, fn(&[u8])); 25] = [
    ("greeting", handshakes::greeting),
    ("frames_v1", decoding::frames_v1),
    ("frames_v2", decoding::frames_v2),
    ("frames_v3", decoding::frames_v3),
    ("handshake_null", handshakes::null),
    ("handshake_plain_client", handshakes::plain_client),
    ("handshake_plain_server", handshakes::plain_server),
    ("handshake_curve_client", curve::client),
    ("handshake_curve_server", curve::server),
    ("curve_traffic", curve::traffic),
    ("handshake_gssapi_client", gssapi::client),
    ("handshake_gssapi_server", gssapi::server),
    ("gssapi_traffic", gssapi::traffic),
    ("commands", texts::commands),
    ("metadata", texts::metadata),
    ("zap_reply", texts::zap_reply),
    ("z85", texts::z85),
    ("endpoint", texts::endpoint),
    ("address_filter", texts::address_filter),
    ("option_values", texts::option_values),
    ("socks", texts::socks),
    ("websocket_client", websocket::client),
    ("websocket_server", websocket::server),
    ("multicast_stream", multicast::stream),
    ("multicast_loss", multicast::loss),
];

/// Runs one target on one input.
pub fn run(target: &str, data: &[u8]) {
    let found = TARGETS.iter().find(|(name, _)| *name == target);
    let (_, function) = found.unwrap_or_else(|| panic!("no target {target}"));
    function(data);
}

/// The bytes of an input, taken off its front.
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    /// The next byte; 0 at the end.
    pub(crate) fn byte(&mut self) -> u8 {
        let (first, rest) =
            self.0.split_first().map_or((0, self.0), |(first, rest)| (*first, rest));
        self.0 = rest;
        first
    }

    /// A length byte, then as many bytes as are there.
    pub(crate) fn chunk(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte());
        let (chunk, rest) = self.0.split_at_checked(len).unwrap_or((self.0, &[]));
        self.0 = rest;
        chunk
    }
}
