//! What was sent and what came of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use zmq::message::Metadata;

use fastrand::Rng;

/// The first part of every message: who sent it, which one it is, how many parts follow.
const HEADER: usize = 20;

/// How large messages are.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub largest: usize,
    pub parts: usize,
}

impl Shape {
    /// The message `number` of `sender`, the same each time it is asked for.
    pub fn message(self, sender: u32, number: u64) -> Vec<Vec<u8>> {
        let mut rng = Rng::with_seed(number << 8 ^ u64::from(sender) ^ 0x5eed);
        let count = rng.usize(..=self.parts);
        let mut header = sender.to_be_bytes().to_vec();
        header.extend(number.to_be_bytes());
        header.extend((count as u64).to_be_bytes());
        let mut parts = vec![header];
        for _ in 0..count {
            let most = if rng.u32(..8) == 0 { self.largest } else { self.largest.min(64) };
            let byte = rng.u8(..);
            parts.push(vec![byte; rng.usize(..=most)]);
        }
        parts
    }

    /// Who sent this and which one it is; it must be as it was sent.
    pub fn check(self, parts: &[Vec<u8>]) -> (u32, u64) {
        let header = parts.first().filter(|first| first.len() == HEADER);
        let header = header.unwrap_or_else(|| panic!("a message without its head: {parts:?}"));
        let sender = u32::from_be_bytes(*header.first_chunk().expect("four bytes"));
        let number = u64::from_be_bytes(*header[4..].first_chunk().expect("eight bytes"));
        assert!(self.message(sender, number) == parts, "message {number} of {sender} was changed");
        (sender, number)
    }
}

/// What may happen to one sender's messages on the way to one receiver.
#[derive(Clone, Copy, Debug)]
pub struct Contract {
    /// Within a connection's life nothing is missing.
    pub complete: bool,
    /// All connections' messages come by one pipe, one connection after the other.
    pub one_pipe: bool,
    /// The bytes that may be lost by each cut, when that is limited.
    pub lost_by_cut: Option<usize>,
}

/// What one receiver got from one sender.
#[derive(Default)]
struct Account {
    seen: HashSet<u64>,
    highest: Option<u64>,
    gaps: Vec<(u64, u64)>,
    /// The first and the last by each connection.
    connections: HashMap<usize, (u64, u64)>,
}

/// The messages of all senders to one receiver.
pub struct Ledger {
    pub shape: Shape,
    contract: Contract,
    accounts: HashMap<u32, Account>,
    /// Kept so that no two connections have the same address.
    known: HashMap<usize, Arc<Metadata>>,
}

impl Ledger {
    pub fn new(shape: Shape, contract: Contract) -> Ledger {
        Ledger { shape, contract, accounts: HashMap::new(), known: HashMap::new() }
    }

    /// A message has come.
    pub fn take(&mut self, parts: &[Vec<u8>], by: Option<&Arc<Metadata>>) -> (u32, u64) {
        let (sender, number) = self.shape.check(parts);
        let account = self.accounts.entry(sender).or_default();
        assert!(account.seen.insert(number), "message {number} of {sender} came twice");
        if self.contract.one_pipe {
            let before = account.highest;
            assert!(before < Some(number), "{number} of {sender} came after {before:?}");
            if let Some(before) = before.filter(|before| before + 1 < number) {
                account.gaps.push((before, number));
            }
        } else {
            let by = by.expect("the connection of a message");
            let key = Arc::as_ptr(by) as usize;
            self.known.entry(key).or_insert_with(|| by.clone());
            let range = account.connections.entry(key).or_insert((number, number));
            if range.0 < number {
                let in_turn =
                    if self.contract.complete { number == range.1 + 1 } else { number > range.1 };
                assert!(in_turn, "{number} of {sender} came after {} by one connection", range.1);
                range.1 = number;
            } else {
                assert!(range.0 == number, "{number} of {sender} came after {}", range.1);
            }
        }
        account.highest = account.highest.max(Some(number));
        (sender, number)
    }

    /// The newest message of a sender that came.
    pub fn highest(&self, sender: u32) -> Option<u64> {
        self.accounts.get(&sender)?.highest
    }

    /// After the end: what is missing is missing for a reason. `cuts` tells how often a sender was cut off.
    pub fn settle(&self, cuts: impl Fn(u32) -> usize) {
        for (&sender, account) in &self.accounts {
            let mut gaps = account.gaps.clone();
            if !self.contract.one_pipe {
                let mut ranges: Vec<_> = account.connections.values().copied().collect();
                ranges.sort_unstable();
                for pair in ranges.windows(2) {
                    let (before, after) = (pair[0], pair[1]);
                    if self.contract.complete {
                        assert!(before.1 < after.0, "{sender}: {before:?} and {after:?} overlap");
                    }
                    if before.1 + 1 < after.0 {
                        gaps.push((before.1, after.0));
                    }
                }
            }
            if !self.contract.complete {
                continue;
            }
            let cuts = cuts(sender);
            assert!(gaps.len() <= cuts, "{sender}: {gaps:?} are missing after {cuts} cuts");
            let Some(limit) = self.contract.lost_by_cut else { continue };
            for (before, after) in gaps {
                let bytes: usize = (before + 1..after)
                    .flat_map(|number| self.shape.message(sender, number))
                    .map(|part| part.len() + 2)
                    .sum();
                // Cuts in quick succession leave one gap.
                let limit = limit * cuts;
                assert!(bytes <= limit, "{sender}: {bytes} bytes are missing after {before}");
            }
        }
    }
}
