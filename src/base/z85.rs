//! Z85 (ZeroMQ RFC 32): binary keys as printable text, five characters for four bytes.

const ALPHABET: &[u8; 85] =
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/// The text of `bytes`, or `None` unless their number is a multiple of four.
pub fn encode(bytes: &[u8]) -> Option<String> {
    let (groups, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return None;
    }
    let mut text = String::with_capacity(groups.len() * 5);
    for group in groups {
        let number = u32::from_be_bytes(*group);
        for place in [85 * 85 * 85 * 85, 85 * 85 * 85, 85 * 85, 85, 1] {
            text.push(char::from(*ALPHABET.get((number / place % 85) as usize)?));
        }
    }
    Some(text)
}

/// The bytes of `text`, or `None` unless it has five characters or a multiple of that, all of the
/// alphabet, and no group beyond 32 bits.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let (groups, rest) = text.as_chunks::<5>();
    if groups.is_empty() || !rest.is_empty() {
        return None;
    }
    let mut bytes = Vec::with_capacity(groups.len() * 4);
    for group in groups {
        let mut number = 0u32;
        for character in group {
            let digit = ALPHABET.iter().position(|known| known == character)?;
            number = number.checked_mul(85)?.checked_add(digit as u32)?;
        }
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc() {
        let bytes = [0x86, 0x4F, 0xD2, 0x6F, 0xB5, 0x59, 0xF7, 0x5B];
        assert_eq!(encode(&bytes).as_deref(), Some("HelloWorld"));
        assert_eq!(decode(b"HelloWorld"), Some(bytes.to_vec()));
    }

    #[test]
    fn every_digit_survives_the_round_trip() {
        for number in (0..85).map(|digit| digit * 50_529_027u32).chain([0, 1, u32::MAX]) {
            let bytes = number.to_be_bytes();
            let text = encode(&bytes).unwrap();
            assert_eq!(decode(text.as_bytes()), Some(bytes.to_vec()), "{text}");
        }
    }

    #[test]
    fn wrong_sizes_and_texts_are_refused() {
        assert_eq!(encode(b""), Some(String::new()));
        for size in [1, 2, 3, 5, 31, 33] {
            assert_eq!(encode(&vec![0; size]), None);
        }
        let bad: [&[u8]; 9] =
            [b"", b"0", b"0000", b"000000", b"#####", b"%nSc1", b"0000~", b"0000\0", b"0\"000"];
        for text in bad {
            assert_eq!(decode(text), None, "{}", text.escape_ascii());
        }
        // The largest group there is.
        assert_eq!(decode(b"%nSc0"), Some(vec![0xFF; 4]));
    }
}
