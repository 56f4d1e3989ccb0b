//! The greeting: who speaks which dialect, told in stages so that peers of every age understand it.
//!
//! What follows the greeting (routing ids, commands) is the handshake's.

use super::Protocol;
use crate::options::SocketType;

/// First byte of a signature; an old peer takes it for a frame with a long length.
const SIGNATURE_START: u8 = 0xFF;
/// Last byte of a signature; its lowest bit tells it from the flags of an old peer's first frame.
const SIGNATURE_END: u8 = 0x7F;
/// Up to here everything a versioned peer sends has the same layout.
const SIGNATURE_LEN: usize = 10;
/// What we speak.
const MAJOR: u8 = 3;
const MINOR: u8 = 1;
/// A greeting of ZMTP 1.0 and 2.0: signature, version, socket type.
const OLD_LEN: usize = 12;
/// A greeting of ZMTP 3.x: signature, version, mechanism, server flag, filler.
const FULL_LEN: usize = 64;
/// Mechanism names are filled up with zeros to this length.
pub const MECHANISM_LEN: usize = 20;

/// What we have to say of ourselves.
#[derive(Clone, Copy, Debug)]
pub struct Local<'a> {
    /// Its number goes to peers of ZMTP 1.0 and 2.0.
    pub socket_type: SocketType,
    /// Its length goes into the signature, which the oldest peers take for the header of the
    /// routing id's frame.
    pub routing_id_len: usize,
    /// The mechanism's name, at most [`MECHANISM_LEN`] bytes.
    pub mechanism: &'a [u8],
    /// Whether peers without mechanisms may stay.
    pub accepts_old_peers: bool,
}

impl Local<'_> {
    /// The mechanism's name as it stands in a greeting.
    pub fn padded_mechanism(&self) -> [u8; MECHANISM_LEN] {
        let mut name = [0; MECHANISM_LEN];
        for (to, from) in name.iter_mut().zip(self.mechanism) {
            *to = *from;
        }
        name
    }
}

/// How far the greeting has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed.
    NeedMore,
    /// The peer speaks ZMTP 1.0 or 2.0, and security forbids that.
    Refused,
    /// The peer has said all; for a ZMTP 3.x peer that includes its mechanism.
    Done(Protocol),
}

/// Reads the peer's greeting and answers it stage by stage. Never holds more than 64 bytes.
#[derive(Clone, Debug)]
pub struct Greeting {
    received: [u8; FULL_LEN],
    len: usize,
    stage: Stage,
}

/// What the next complete stretch of bytes decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The first byte: is it a signature's?
    First,
    /// The tenth: is it still?
    Signature,
    /// The eleventh: old or new?
    Major,
    /// The twelfth, for new peers: 3.0 or later?
    Minor,
    /// The rest, which decides nothing here.
    Tail(Protocol),
    /// Nothing.
    Done(Progress),
}

impl Stage {
    /// How many bytes in all the decision takes.
    fn end(self) -> usize {
        match self {
            Stage::First => 1,
            Stage::Signature => SIGNATURE_LEN,
            Stage::Major => SIGNATURE_LEN + 1,
            Stage::Minor => OLD_LEN,
            Stage::Tail(Protocol::V3 { .. }) => FULL_LEN,
            Stage::Tail(_) => OLD_LEN,
            Stage::Done(_) => 0,
        }
    }
}

impl Greeting {
    /// Before the first byte.
    pub fn new() -> Greeting {
        Greeting { received: [0; FULL_LEN], len: 0, stage: Stage::First }
    }

    /// Appends what is said before the peer is heard.
    pub fn start(local: &Local<'_>, out: &mut Vec<u8>) {
        out.push(SIGNATURE_START);
        out.extend_from_slice(&(local.routing_id_len as u64).wrapping_add(1).to_be_bytes());
        out.push(SIGNATURE_END);
    }

    /// Takes bytes off the front of `bytes`; answers how many, and how far that led.
    ///
    /// It takes none beyond the greeting, and of an unversioned peer only those needed to know it
    /// for one: these, kept in [`Self::received`], are the start of its first frame.
    pub fn input(
        &mut self,
        bytes: &[u8],
        local: &Local<'_>,
        out: &mut Vec<u8>,
    ) -> (usize, Progress) {
        let mut rest = bytes;
        loop {
            if let Stage::Done(progress) = self.stage {
                return (bytes.len() - rest.len(), progress);
            }
            let wanted = self.stage.end().saturating_sub(self.len);
            let (taken, after) = rest.split_at_checked(wanted).unwrap_or((rest, &[]));
            if let Some(place) = self.received.get_mut(self.len..self.len + taken.len()) {
                place.copy_from_slice(taken);
                self.len += taken.len();
            }
            rest = after;
            if self.len < self.stage.end() {
                return (bytes.len(), Progress::NeedMore);
            }
            self.stage = self.decide(local, out);
        }
    }

    /// Everything taken so far.
    pub fn received(&self) -> &[u8] {
        self.received.get(..self.len).unwrap_or(&[])
    }

    /// The mechanism field of a complete greeting of ZMTP 3.x, filling zeros included.
    pub fn mechanism(&self) -> Option<&[u8; MECHANISM_LEN]> {
        let field = self.received.get(OLD_LEN..)?.first_chunk();
        if self.len < FULL_LEN { None } else { field }
    }

    /// The bytes of a stage are complete: answers them, and says what comes next.
    fn decide(&self, local: &Local<'_>, out: &mut Vec<u8>) -> Stage {
        let last = self.received().last().copied().unwrap_or_default();
        match self.stage {
            Stage::First if last == SIGNATURE_START => Stage::Signature,
            Stage::Signature if last & 1 == 1 => {
                out.push(MAJOR);
                Stage::Major
            }
            Stage::First | Stage::Signature if local.accepts_old_peers => {
                Stage::Done(Progress::Done(Protocol::V1 { unversioned: true }))
            }
            Stage::Major if last > 1 => {
                out.push(MINOR);
                out.extend_from_slice(&local.padded_mechanism());
                // The server flag stays 0 whatever our role, as everywhere in the field.
                out.extend_from_slice(&[0; FULL_LEN - OLD_LEN - MECHANISM_LEN]);
                Stage::Minor
            }
            Stage::Major if local.accepts_old_peers => {
                out.push(local.socket_type as u8);
                Stage::Tail(if last == 0 {
                    Protocol::V1 { unversioned: false }
                } else {
                    Protocol::V2
                })
            }
            Stage::First | Stage::Signature | Stage::Major => Stage::Done(Progress::Refused),
            // Only the real 3.0 lacks what 3.1 brought; other majors are taken to be newer.
            Stage::Minor => {
                let is_3_0 = self.received().ends_with(&[MAJOR, 0]);
                Stage::Tail(Protocol::V3 { minor: if is_3_0 { 0 } else { 1 } })
            }
            Stage::Tail(protocol) => Stage::Done(Progress::Done(protocol)),
            Stage::Done(_) => self.stage,
        }
    }
}

impl Default for Greeting {
    fn default() -> Self {
        Greeting::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V3_1: &[u8; 16] = b"\xFF\0\0\0\0\0\0\0\x01\x7F\x03\x01NULL";

    fn local(accepts_old_peers: bool) -> Local<'static> {
        Local {
            socket_type: SocketType::Pull,
            routing_id_len: 3,
            mechanism: b"NULL",
            accepts_old_peers,
        }
    }

    /// One byte at a time: what was sent after each, and how it ended.
    fn stages(local: &Local<'_>, bytes: &[u8]) -> (Vec<usize>, Progress) {
        let (mut greeting, mut out, mut sent) = (Greeting::new(), Vec::new(), Vec::new());
        let mut progress = Progress::NeedMore;
        for byte in bytes {
            let (taken, now) = greeting.input(&[*byte], local, &mut out);
            assert_eq!(taken, 1);
            sent.push(out.len());
            progress = now;
            if now != Progress::NeedMore {
                break;
            }
        }
        (sent, progress)
    }

    #[test]
    fn each_stage_answers_once() {
        let mut bytes = V3_1.to_vec();
        bytes.resize(64, 0);
        let (sent, progress) = stages(&local(true), &bytes);
        assert_eq!(sent, [vec![0; 9], vec![1], vec![54; 54]].concat());
        assert_eq!(progress, Progress::Done(Protocol::V3 { minor: 1 }));

        let (sent, progress) = stages(&local(true), b"\xFF\0\0\0\0\0\0\0\x01\x7F\x01\x08");
        assert_eq!(sent, [vec![0; 9], vec![1, 2, 2]].concat());
        assert_eq!(progress, Progress::Done(Protocol::V2));
    }

    #[test]
    fn a_byte_is_enough_to_know_the_oldest() {
        let unversioned = Protocol::V1 { unversioned: true };
        let mut greeting = Greeting::new();
        let mut out = Vec::new();
        let answer = greeting.input(b"\x05\0abcd", &local(true), &mut out);
        assert_eq!(answer, (1, Progress::Done(unversioned)));
        assert_eq!(greeting.received(), b"\x05");
        assert!(out.is_empty());
        let (sent, progress) = stages(&local(true), b"\xFF\0\0\0\0\0\0\0\x01\0");
        assert_eq!((sent, progress), (vec![0; 10], Progress::Done(unversioned)));
    }

    #[test]
    fn old_peers_are_refused_before_they_are_answered() {
        for (bytes, sent) in [
            (&b"\x01"[..], 0),
            (b"\xFF\0\0\0\0\0\0\0\x01\0", 0),
            (b"\xFF\0\0\0\0\0\0\0\x01\x7F\0", 1),
            (b"\xFF\0\0\0\0\0\0\0\x01\x7F\x01", 1),
        ] {
            let (lens, progress) = stages(&local(false), bytes);
            assert_eq!((lens.last(), progress), (Some(&sent), Progress::Refused), "{bytes:x?}");
        }
        let mut bytes = V3_1.to_vec();
        bytes.resize(64, 0);
        let (_, progress) = stages(&local(false), &bytes);
        assert_eq!(progress, Progress::Done(Protocol::V3 { minor: 1 }));
    }

    #[test]
    fn nothing_beyond_the_greeting_is_taken() {
        let mut bytes = V3_1.to_vec();
        bytes.resize(100, 0);
        let (mut greeting, mut out) = (Greeting::new(), Vec::new());
        Greeting::start(&local(true), &mut out);
        assert_eq!(out, b"\xFF\0\0\0\0\0\0\0\x04\x7F");
        assert_eq!(greeting.mechanism(), None);
        let answer = greeting.input(&bytes, &local(true), &mut out);
        assert_eq!(answer, (64, Progress::Done(Protocol::V3 { minor: 1 })));
        assert_eq!(greeting.mechanism(), Some(b"NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"));
        assert_eq!(greeting.input(&bytes, &local(true), &mut out).0, 0);
        assert_eq!(out.len(), 64);
    }
}
