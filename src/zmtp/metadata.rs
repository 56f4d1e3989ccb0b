//! Property lists, as READY, ERROR's siblings and authentication replies carry them.
//!
//! A property is a 1-byte name length, the name, a 4-byte big-endian value length, the value. What
//! the names mean is not known here. Names are compared as bytes, case included, as the genuine
//! library does.

use crate::base::Error;

/// The property that names the sender's socket type.
pub const SOCKET_TYPE: &[u8] = b"Socket-Type";
/// The property that carries the sender's routing id.
pub const IDENTITY: &[u8] = b"Identity";

/// The lengths of a property as they are sent; [`Error::Invalid`] when one does not fit its field.
fn lengths(name: &[u8], value: &[u8]) -> Result<(u8, i32), Error> {
    let name_len = u8::try_from(name.len()).map_err(|_| Error::Invalid)?;
    // Receivers hold the length in a signed number.
    let value_len = i32::try_from(value.len()).map_err(|_| Error::Invalid)?;
    Ok((name_len, value_len))
}

/// Whether [`push`] takes a property.
pub fn check(name: &[u8], value: &[u8]) -> Result<(), Error> {
    lengths(name, value).map(|_| ())
}

/// Appends one property; [`Error::Invalid`] when a length does not fit its field.
pub fn push(out: &mut Vec<u8>, name: &[u8], value: &[u8]) -> Result<(), Error> {
    let (name_len, value_len) = lengths(name, value)?;
    out.push(name_len);
    out.extend_from_slice(name);
    out.extend_from_slice(&value_len.to_be_bytes());
    out.extend_from_slice(value);
    Ok(())
}

/// All properties of a list, in their order; `None` when it ends inside a property or a length
/// points past its end.
///
/// Repeated names are kept: which one counts is the user's rule.
pub fn parse(list: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut properties = Vec::new();
    let mut rest = list;
    while !rest.is_empty() {
        let (name, value) = take(&mut rest)?;
        properties.push((name.to_vec(), value.to_vec()));
    }
    Some(properties)
}

fn take<'a>(list: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (&name_len, rest) = list.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(name_len))?;
    let (value_len, rest) = rest.split_first_chunk::<4>()?;
    let value_len = usize::try_from(u32::from_be_bytes(*value_len)).ok()?;
    let (value, rest) = rest.split_at_checked(value_len)?;
    *list = rest;
    Some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden_property() {
        let mut out = Vec::new();
        push(&mut out, SOCKET_TYPE, b"PUSH").unwrap();
        push(&mut out, IDENTITY, b"").unwrap();
        assert_eq!(out, b"\x0BSocket-Type\0\0\0\x04PUSH\x08Identity\0\0\0\0");
    }

    #[test]
    fn a_name_must_fit_its_length_byte() {
        let mut out = Vec::new();
        assert_eq!(push(&mut out, &[b'n'; 255], b""), Ok(()));
        let len = out.len();
        assert_eq!(push(&mut out, &[b'n'; 256], b""), Err(Error::Invalid));
        assert_eq!(out.len(), len, "nothing half-written");
    }

    #[test]
    fn every_cut_of_a_property_is_malformed() {
        let whole = b"\x01a\0\0\0\x02bc";
        assert_eq!(parse(whole), Some(vec![(b"a".to_vec(), b"bc".to_vec())]));
        assert_eq!(parse(b""), Some(Vec::new()));
        for cut in 1..whole.len() {
            assert_eq!(parse(&whole[..cut]), None, "{cut}");
        }
        assert_eq!(parse(b"\x01a\0\0\0\x02bcd"), None);
        assert_eq!(parse(b"\x01a\xFF\xFF\xFF\xFFbc"), None);
    }

    fn bytes(end: usize) -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<u8>(), 0..end)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            list in prop::collection::vec((bytes(256), bytes(300)), 0..6),
        ) {
            let mut out = Vec::new();
            for (name, value) in &list {
                push(&mut out, name, value).unwrap();
            }
            prop_assert_eq!(parse(&out), Some(list));
        }

        #[test]
        fn garbage_does_not_panic(bytes in bytes(100)) {
            parse(&bytes);
        }
    }
}
