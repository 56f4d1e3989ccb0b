//! What is known about the connection a message came by: named texts and its descriptor.
//!
//! Built once per connection and shared by all its messages. Who puts what in here is decided by
//! `conn` and `zmtp`; this file only finds the first value of each name. It does not look for names when
//! it adds one: a peer may send thousands.

use std::ffi::{CStr, CString};

/// The hidden property under which the descriptor can be asked for by name.
const DESCRIPTOR: &[u8] = b"__fd";
const IDENTITY: &[u8] = b"Identity";
const ROUTING_ID: &[u8] = b"Routing-Id";

/// The properties of one connection, in the order they were learnt.
#[derive(Debug)]
pub struct Metadata {
    props: Vec<(Box<[u8]>, CString)>,
    fd: i32,
}

impl Metadata {
    /// Metadata of the connection behind descriptor `fd`; a negative one means "not known".
    pub fn new(fd: i32) -> Metadata {
        let mut metadata = Metadata { props: Vec::new(), fd };
        if fd >= 0 {
            // Stored first, so that no peer can claim the name.
            metadata.push(DESCRIPTOR, fd.to_string().as_bytes());
        }
        metadata
    }

    /// Adds a property. The first one of a name is found, so the most trusted source goes first.
    /// Callers in C read values as C strings, hence a value ends at its first NUL.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        let end = value.iter().position(|&byte| byte == 0);
        let text = value.get(..end.unwrap_or(value.len())).unwrap_or_default();
        if let Ok(text) = CString::new(text) {
            self.props.push((name.into(), text));
        }
    }

    /// The value of a property; names are compared exactly.
    pub fn get(&self, name: &[u8]) -> Option<&CStr> {
        match self.find(name) {
            // `Identity` and `Routing-Id` name the same thing, but only in this direction.
            None if name == IDENTITY => self.find(ROUTING_ID),
            found => found,
        }
    }

    /// The descriptor of the connection, negative when there is none to tell.
    pub fn fd(&self) -> i32 {
        self.fd
    }

    fn find(&self, name: &[u8]) -> Option<&CStr> {
        let hit = self.props.iter().find(|(known, _)| **known == *name);
        hit.map(|(_, value)| value.as_c_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_of_a_name_stays() {
        let mut metadata = Metadata::new(7);
        metadata.push(b"Peer-Address", b"127.0.0.1");
        metadata.push(b"Peer-Address", b"10.0.0.1");
        assert_eq!(metadata.get(b"Peer-Address"), Some(c"127.0.0.1"));
        assert_eq!(metadata.get(b"peer-address"), None);
    }

    #[test]
    fn values_end_at_a_nul() {
        let mut metadata = Metadata::new(-1);
        metadata.push(b"X-a", b"one\0two");
        metadata.push(b"X-b", b"");
        assert_eq!(metadata.get(b"X-a"), Some(c"one"));
        assert_eq!(metadata.get(b"X-b"), Some(c""));
    }

    #[test]
    fn the_descriptor_has_a_name_that_peers_cannot_take() {
        let mut metadata = Metadata::new(12);
        metadata.push(b"__fd", b"99");
        assert_eq!(metadata.fd(), 12);
        assert_eq!(metadata.get(b"__fd"), Some(c"12"));
        assert_eq!(Metadata::new(-1).get(b"__fd"), None);
    }

    #[test]
    fn identity_falls_back_to_routing_id_and_not_the_reverse() {
        let mut metadata = Metadata::new(-1);
        metadata.push(b"Routing-Id", b"a");
        assert_eq!(metadata.get(b"Identity"), Some(c"a"));
        metadata.push(b"Identity", b"b");
        assert_eq!(metadata.get(b"Identity"), Some(c"b"));

        let mut modern = Metadata::new(-1);
        modern.push(b"Identity", b"c");
        assert_eq!(modern.get(b"Routing-Id"), None);
    }
}
