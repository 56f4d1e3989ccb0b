//! Whose certificates a wss client believes.
//!
//! A certificate that was given as trusted is believed when the other end shows it, whatever it says about
//! being an authority; others need a chain to a trusted one. Chains and signatures are `rustls`'s; read
//! here is only what it refuses to look at: certificates of version 1, and the common name.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{
    CryptoProvider, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// A client's belief.
#[derive(Debug)]
pub(super) struct Trust {
    trusted: Vec<CertificateDer<'static>>,
    roots: RootCertStore,
    /// What the certificate has to be for; None: anything.
    name: Option<ServerName<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Trust {
    pub(super) fn new(
        trusted: Vec<CertificateDer<'static>>,
        roots: RootCertStore,
        name: Option<ServerName<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Trust {
        Trust { trusted, roots, name, provider }
    }

    fn knows(&self, certificate: &CertificateDer<'_>) -> bool {
        self.trusted.iter().any(|trusted| trusted == certificate)
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let facts = Facts::read(end_entity).ok_or(CertificateError::BadEncoding)?;
        if self.knows(end_entity) {
            facts.check_time(now)?;
        } else {
            verify_server_cert_signed_by_trust_anchor(
                &ParsedCertificate::try_from(end_entity)?,
                &self.roots,
                intermediates,
                now,
                self.provider.signature_verification_algorithms.all,
            )?;
        }
        match &self.name {
            None => {}
            Some(name) if facts.has_alternative_names => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
            }
            Some(name) if facts.is_named(&name.to_str()) => {}
            Some(_) => return Err(CertificateError::NotValidForName.into()),
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        if !self.knows(cert) {
            return verify_tls13_signature(message, cert, dss, algorithms);
        }
        // What else is in a certificate that is known does not matter.
        let facts = Facts::read(cert).ok_or(CertificateError::BadEncoding)?;
        let key = SubjectPublicKeyInfoDer::from(facts.key);
        verify_tls13_signature_with_raw_key(message, &key, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What a certificate (RFC 5280) of any version says.
#[derive(Debug, PartialEq, Eq)]
struct Facts<'a> {
    /// The last common name of its subject.
    common_name: Option<&'a str>,
    has_alternative_names: bool,
    /// As decimal digits: year, month, day, hour, minute, second.
    valid: (u64, u64),
    /// The public key with its algorithm, encoded.
    key: &'a [u8],
}

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1D, 0x11];

mod tag {
    pub(super) const UTC_TIME: u8 = 0x17;
    pub(super) const GENERALIZED_TIME: u8 = 0x18;
    pub(super) const OID: u8 = 0x06;
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const SET: u8 = 0x31;
    pub(super) const VERSION: u8 = 0xA0;
    pub(super) const EXTENSIONS: u8 = 0xA3;
}

impl<'a> Facts<'a> {
    /// `None`: it is no certificate.
    fn read(certificate: &'a [u8]) -> Option<Facts<'a>> {
        let mut all = Der(certificate);
        let mut to_be_signed = Der(Der(all.of(tag::SEQUENCE)?).of(tag::SEQUENCE)?);
        if to_be_signed.0.first() == Some(&tag::VERSION) {
            to_be_signed.next()?;
        }
        let _serial = to_be_signed.next()?;
        let _algorithm = to_be_signed.of(tag::SEQUENCE)?;
        let _issuer = to_be_signed.of(tag::SEQUENCE)?;
        let mut validity = Der(to_be_signed.of(tag::SEQUENCE)?);
        let valid = (time(validity.next()?)?, time(validity.next()?)?);
        let common_name = common_name(to_be_signed.of(tag::SEQUENCE)?);
        let key = to_be_signed.next().filter(|key| key.tag == tag::SEQUENCE)?.whole;
        let mut has_alternative_names = false;
        while let Some(field) = to_be_signed.next() {
            if field.tag == tag::EXTENSIONS {
                let mut extensions = Der(Der(field.content).of(tag::SEQUENCE)?);
                while let Some(extension) = extensions.of(tag::SEQUENCE) {
                    has_alternative_names |= Der(extension).of(tag::OID)? == SUBJECT_ALT_NAME;
                }
            }
        }
        Some(Facts { common_name, has_alternative_names, valid, key })
    }

    fn check_time(&self, now: UnixTime) -> Result<(), CertificateError> {
        let now = digits_of(now.as_secs());
        if now < self.valid.0 {
            return Err(CertificateError::NotValidYet);
        }
        if now > self.valid.1 {
            return Err(CertificateError::Expired);
        }
        Ok(())
    }

    /// Whether the common name is, or as a wildcard covers, `name`.
    fn is_named(&self, name: &str) -> bool {
        let Some(own) = self.common_name else { return false };
        let covers = own.strip_prefix("*.").is_some_and(|domain| {
            let parent = name.split_once('.').map(|(_, parent)| parent);
            domain.contains('.') && parent.is_some_and(|parent| parent.eq_ignore_ascii_case(domain))
        });
        covers || own.eq_ignore_ascii_case(name)
    }
}

fn common_name(subject: &[u8]) -> Option<&str> {
    let (mut subject, mut found) = (Der(subject), None);
    while let Some(set) = subject.of(tag::SET) {
        let mut set = Der(set);
        while let Some(attribute) = set.of(tag::SEQUENCE) {
            let mut attribute = Der(attribute);
            if attribute.of(tag::OID)? == COMMON_NAME {
                found = std::str::from_utf8(attribute.next()?.content).ok();
            }
        }
    }
    found
}

/// A time as decimal digits.
fn time(element: Element<'_>) -> Option<u64> {
    let text = std::str::from_utf8(element.content).ok()?.strip_suffix('Z')?;
    let century = match (element.tag, text.len()) {
        (tag::UTC_TIME, 12) if text < "5" => "20",
        (tag::UTC_TIME, 12) => "19",
        (tag::GENERALIZED_TIME, 14) => "",
        _ => return None,
    };
    let digits = format!("{century}{text}");
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// Seconds since 1970 as the same digits.
fn digits_of(seconds: u64) -> u64 {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years that begin in March, so that the leap day is the last one; eras of 400 such years.
    let since = days + 719_468;
    let (era, day) = (since / 146_097, since % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let date = ((era * 400 + year + next) * 100 + month) * 100 + day_of_month;
    ((date * 100 + second / 3_600) * 100 + second / 60 % 60) * 100 + second % 60
}

/// Encoded values, one after the other (X.690, DER).
struct Der<'a>(&'a [u8]);

struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    /// Tag and length included.
    whole: &'a [u8],
}

impl<'a> Der<'a> {
    /// The content of the next value, if it is of this kind.
    fn of(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|element| element.tag == tag).map(|element| element.content)
    }

    fn next(&mut self) -> Option<Element<'a>> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (len, rest) = match first {
            0..=0x7F => (usize::from(first), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7F))?;
                (bytes.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(len)?;
        let whole = self.0.get(..self.0.len() - rest.len())?;
        self.0 = rest;
        Some(Element { tag, content, whole })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rustls::pki_types::pem::PemObject;

    fn certificate(pem: &[u8]) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem).unwrap()
    }

    #[test]
    fn what_certificates_say() {
        let one = certificate(include_bytes!("../../tests/certificates/version1.pem"));
        let facts = Facts::read(&one).unwrap();
        assert_eq!(facts.common_name, Some("old.example.org"));
        assert!(!facts.has_alternative_names);
        assert_eq!(facts.valid, (20200101000000, 21200101000000));
        let three = certificate(include_bytes!("../../tests/certificates/issued.pem"));
        let facts = Facts::read(&three).unwrap();
        assert_eq!((facts.common_name, facts.has_alternative_names), (Some("leaf"), true));
        let parsed = ParsedCertificate::try_from(&three).unwrap();
        assert_eq!(facts.key, &*parsed.subject_public_key_info());
        for cut in 0..three.len() {
            assert_eq!(Facts::read(&three[..cut]), None);
        }
    }

    #[test]
    fn times() {
        let at = |seconds| UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        for (seconds, digits) in [
            (0, 19700101000000),
            (951_782_400, 20000229000000),
            (951_868_799, 20000229235959),
            (951_868_800, 20000301000000),
            (1_577_836_799, 20191231235959),
            (4_107_542_399, 21000228235959),
            (4_107_542_400, 21000301000000),
        ] {
            assert_eq!(digits_of(seconds), digits);
        }
        let one = certificate(include_bytes!("../../tests/certificates/version1.pem"));
        let facts = Facts::read(&one).unwrap();
        assert_eq!(facts.check_time(at(1_577_836_799)), Err(CertificateError::NotValidYet));
        assert_eq!(facts.check_time(at(1_577_836_800)), Ok(()));
        assert_eq!(facts.check_time(at(4_733_510_401)), Err(CertificateError::Expired));
        let element = |tag, content| Element { tag, content, whole: content };
        assert_eq!(time(element(tag::UTC_TIME, b"491231235959Z")), Some(20491231235959));
        assert_eq!(time(element(tag::UTC_TIME, b"500101000000Z")), Some(19500101000000));
        for bad in [&b"4912312359Z"[..], b"491231235959", b"49123123595xZ", b"+91231235959Z"] {
            assert_eq!(time(element(tag::UTC_TIME, bad)), None);
        }
    }

    #[test]
    fn names() {
        let named = |own, name| {
            let facts = Facts {
                common_name: Some(own),
                has_alternative_names: false,
                valid: (0, 0),
                key: &[],
            };
            facts.is_named(name)
        };
        assert!(named("a.b", "A.B") && named("*.example.org", "x.example.org"));
        assert!(
            !named("*.example.org", "example.org") && !named("*.example.org", "x.y.example.org")
        );
        assert!(!named("*.org", "example.org") && !named("*", "example") && !named("a.b", "a.b.c"));
    }

    proptest! {
        #[test]
        fn noise_is_no_certificate(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _read = Facts::read(&bytes);
            let nested = [&[0x30, 0x82, 0x01, 0x00, 0x30, 0x81, 0xF0][..], &bytes].concat();
            let _read = Facts::read(&nested);
        }
    }
}
