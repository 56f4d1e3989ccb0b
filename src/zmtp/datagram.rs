//! What RADIO and DISH say to each other in a datagram: `length(1) group body`, and no more than
//! [`LARGEST`] bytes of it.

/// The most bytes in a datagram that are sent or accepted.
pub const LARGEST: usize = 8192;

/// The datagram of a message; None when it would be too large, or the group's name too long.
pub fn encode(group: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    let length = u8::try_from(group.len()).ok()?;
    if 1 + group.len() + body.len() > LARGEST {
        return None;
    }
    Some([&[length], group, body].concat())
}

/// Group and body of a datagram; None when it is none of ours.
pub fn decode(datagram: &[u8]) -> Option<(&[u8], &[u8])> {
    if datagram.len() > LARGEST {
        return None;
    }
    let (length, rest) = datagram.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_layout_is_length_group_body() {
        assert_eq!(encode(b"TV", b"Friends").as_deref(), Some(&b"\x02TVFriends"[..]));
        assert_eq!(encode(b"", b"").as_deref(), Some(&b"\0"[..]));
        assert_eq!(decode(b"\x02TVFriends"), Some((&b"TV"[..], &b"Friends"[..])));
    }

    #[test]
    fn names_of_every_length_pass_and_longer_ones_do_not() {
        for length in [0, 1, 127, 128, 254, 255] {
            let group = vec![b'g'; length];
            let datagram = encode(&group, b"body").expect("short enough");
            assert_eq!(decode(&datagram), Some((&group[..], &b"body"[..])));
        }
        assert_eq!(encode(&[b'g'; 256], b""), None);
    }

    #[test]
    fn what_is_too_large_or_cut_short_is_refused() {
        let body = vec![0; LARGEST];
        assert!(encode(b"g", &body[2..]).is_some());
        assert!(encode(b"g", &body[1..]).is_none());
        assert!(decode(&[0; LARGEST]).is_some());
        assert!(decode(&[0; LARGEST + 1]).is_none());
        for cut in [&b""[..], b"\x01", b"\xffab", b"\x80", b"\x03ab"] {
            assert_eq!(decode(cut), None, "{cut:x?}");
        }
    }

    proptest! {
        #[test]
        fn garbage_is_taken_apart_or_refused(datagram in prop::collection::vec(any::<u8>(), 0..600)) {
            if let Some((group, body)) = decode(&datagram) {
                prop_assert_eq!(encode(group, body), Some(datagram.clone()));
            }
        }
    }
}
