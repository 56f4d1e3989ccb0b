//! What is known about the connection a message came by: named texts and its descriptor.
//!
//! Built once per connection and shared by all its messages. Who puts what in here is decided by
//! `conn` and `zmtp`; this file only finds the first value of each name. It does not look for names when
//! it adds one: a peer may send thousands.

use std::ffi::CStr;

/// The hidden property under which the descriptor can be asked for by name.
const DESCRIPTOR: &[u8] = b"__fd";
const IDENTITY: &[u8] = b"Identity";
const ROUTING_ID: &[u8] = b"Routing-Id";

/// The properties of one connection, in the order they were learnt.
#[derive(Debug)]
pub struct Metadata {
    /// One after the other, as there are many connections: see [`Property`].
    props: Vec<u8>,
    fd: i32,
}

/// A property at the front of some bytes: the sizes of its name and its text, four bytes each, then these. The text ends
/// with its only NUL.
struct Property<'a> {
    name: &'a [u8],
    text: &'a [u8],
    rest: &'a [u8],
}

impl Property<'_> {
    fn first(bytes: &[u8]) -> Option<Property<'_>> {
        let (name_size, bytes) = size(bytes)?;
        let (text_size, bytes) = size(bytes)?;
        let (name, bytes) = bytes.split_at_checked(name_size)?;
        let (text, rest) = bytes.split_at_checked(text_size)?;
        Some(Property { name, text, rest })
    }
}

fn size(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (size, rest) = bytes.split_first_chunk()?;
    Some((u32::from_ne_bytes(*size) as usize, rest))
}

impl Metadata {
    /// Metadata of the connection behind descriptor `fd`; a negative one means "not known".
    pub fn new(fd: i32) -> Metadata {
        /// What most take meanwhile.
        const USUAL: usize = 128;
        let mut metadata = Metadata { props: Vec::with_capacity(USUAL), fd };
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
        let sizes = [u32::try_from(name.len()), u32::try_from(text.len() + 1)];
        // No frame that brings one is as large as that.
        let [Ok(name_size), Ok(text_size)] = sizes else { return };
        self.props.extend_from_slice(&name_size.to_ne_bytes());
        self.props.extend_from_slice(&text_size.to_ne_bytes());
        self.props.extend_from_slice(name);
        self.props.extend_from_slice(text);
        self.props.push(0);
    }

    /// No more will come: for as long as the connection lives it takes no more memory than it needs.
    pub fn seal(&mut self) {
        self.props = self.props.as_slice().to_vec();
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
        let mut rest = &self.props[..];
        while let Some(property) = Property::first(rest) {
            if property.name == name {
                return CStr::from_bytes_with_nul(property.text).ok();
            }
            rest = property.rest;
        }
        None
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
