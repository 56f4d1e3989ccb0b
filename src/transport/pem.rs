//! Private keys out of PEM texts (RFC 7468), leaving no copies behind that are not wiped.
//!
//! `rustls` reads such texts too, but through buffers that it just frees. Certificates, which are public, are left
//! to it.

use zeroize::Zeroizing;

/// How a private key is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `PRIVATE KEY` (RFC 5958).
    Pkcs8,
    /// `RSA PRIVATE KEY` (RFC 8017).
    Pkcs1,
    /// `EC PRIVATE KEY` (RFC 5915).
    Sec1,
}

const KINDS: [(&[u8], Kind); 3] = [
    (b"PRIVATE KEY", Kind::Pkcs8),
    (b"RSA PRIVATE KEY", Kind::Pkcs1),
    (b"EC PRIVATE KEY", Kind::Sec1),
];

/// The first private key in a text, with its kind. Anything else, before and after it, is passed over; None where
/// there is none, and where it is cut short or not in base 64.
pub(super) fn private_key(text: &[u8]) -> Option<(Kind, Zeroizing<Vec<u8>>)> {
    let mut lines = text.split(|byte| matches!(byte, b'\n' | b'\r' | 0)).map(<[u8]>::trim_ascii);
    let kind = lines
        .find_map(|line| KINDS.iter().find(|(label, _)| is_boundary(line, b"-----BEGIN ", label)));
    let (label, kind) = kind?;
    // Once, and large enough: growing would leave a part behind.
    let mut key = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut digits = Digits::default();
    for line in lines {
        if is_boundary(line, b"-----END ", label) {
            return digits.is_whole().then_some((*kind, key));
        }
        for byte in line {
            if let Some(whole) = digits.push(*byte)? {
                key.push(whole);
            }
        }
    }
    None
}

fn is_boundary(line: &[u8], opening: &[u8], label: &[u8]) -> bool {
    let rest = line.strip_prefix(opening).and_then(|rest| rest.strip_prefix(label));
    rest == Some(b"-----")
}

/// Base 64 (RFC 4648), digit by digit.
#[derive(Default)]
struct Digits {
    /// What was not enough for a byte yet, and how many bits it has.
    rest: u32,
    bits: u32,
    /// Digits and padding so far, modulo 4.
    place: u8,
    padded: bool,
}

impl Digits {
    /// Takes a digit: the byte that is complete with it, if one is. None where it is no digit.
    fn push(&mut self, digit: u8) -> Option<Option<u8>> {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' if self.place >= 2 => {
                (self.place, self.padded) = ((self.place + 1) % 4, true);
                return Some(None);
            }
            b' ' | b'\t' => return Some(None),
            _ => return None,
        };
        if self.padded {
            return None;
        }
        self.place = (self.place + 1) % 4;
        self.rest = self.rest << 6 | u32::from(value);
        self.bits += 6;
        if self.bits < 8 {
            return Some(None);
        }
        self.bits -= 8;
        let whole = (self.rest >> self.bits) as u8;
        self.rest &= (1 << self.bits) - 1;
        Some(Some(whole))
    }

    /// Whether the text may end here.
    fn is_whole(&self) -> bool {
        self.place == 0 && self.rest == 0
    }
}

impl Drop for Digits {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.rest);
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::PrivateKeyDer;
    use rustls::pki_types::pem::PemObject;

    use super::*;

    const KEY: &str = include_str!("../../tests/certificates/key.pem");

    fn read(text: &str) -> Option<(Kind, Vec<u8>)> {
        private_key(text.as_bytes()).map(|(kind, key)| (kind, key.to_vec()))
    }

    #[test]
    fn it_reads_what_rustls_reads() {
        let reference = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).expect("a key");
        let wanted = Some((Kind::Pkcs8, reference.secret_der().to_vec()));
        assert_eq!(read(KEY), wanted);
        assert_eq!(read(&KEY.replace('\n', "\r\n")), wanted);
        assert_eq!(read(&format!("Key of a test\n{}\0", KEY.trim_end())), wanted);
        let certificate = include_str!("../../tests/certificates/certificate.pem");
        assert_eq!(read(&format!("{certificate}{KEY}{KEY}")), wanted);
        for (label, kind) in [("EC", Kind::Sec1), ("RSA", Kind::Pkcs1)] {
            let text = KEY.replace(" PRIVATE KEY", &format!(" {label} PRIVATE KEY"));
            assert_eq!(read(&text).map(|(kind, _)| kind), Some(kind));
        }
    }

    #[test]
    fn what_is_cut_or_garbled_is_none() {
        assert_eq!(read(""), None);
        assert_eq!(read(include_str!("../../tests/certificates/certificate.pem")), None);
        let lines: Vec<&str> = KEY.lines().collect();
        for cut in 0..lines.len() {
            assert_eq!(read(&lines[..cut].join("\n")), None, "{cut} lines");
        }
        let wrong_end = KEY.replace("-----END PRIVATE", "-----END EC PRIVATE");
        assert_eq!(read(&wrong_end), None);
        for (text, right) in
            [("QQ==", true), ("QUI=", true), ("QUJD", true), ("QQ=", false), ("QQ", false)]
        {
            let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
            assert_eq!(read(&pem).is_some(), right, "{text}");
        }
        for text in ["Q", "=", "QR==", "QQ==QQ==", "Q!==", "QQ=Q"] {
            let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
            assert_eq!(read(&pem), None, "{text}");
        }
    }
}
