//! Frames: lengths that no memory has, sizes around the ends of buffers, messages without end.

use std::io::Write;

use zmq::base::constants as c;

use crate::support::alone::{alone, memory};
use crate::support::local::{Context, Service};
use crate::support::raw::{
    COMMAND, LONG, MORE, Raw, SIGNATURE, command_body, frame, greeting, long_header, ready,
    v1_frame, v1_long_header,
};

const MIB: usize = 1 << 20;
const PUSH_NUMBER: u8 = 8;
const SUCCEEDED: (i32, u64) = (c::ZMQ_EVENT_HANDSHAKE_SUCCEEDED, 0);

/// The dialects, each with a peer that has just shaken hands.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Dialect {
    V3,
    V2,
    V1,
}

impl Dialect {
    const ALL: [Dialect; 3] = [Dialect::V3, Dialect::V2, Dialect::V1];

    fn handshake(self) -> Vec<u8> {
        match self {
            Dialect::V3 => [greeting(b"NULL"), ready("PUSH")].concat(),
            Dialect::V2 => [SIGNATURE, &[1, PUSH_NUMBER, 0, 0][..]].concat(),
            Dialect::V1 => [SIGNATURE, &[0, PUSH_NUMBER, 1, 0][..]].concat(),
        }
    }

    fn header(self, flags: u8, size: u64) -> Vec<u8> {
        match self {
            Dialect::V3 | Dialect::V2 => long_header(flags, size),
            Dialect::V1 => v1_long_header(flags, size),
        }
    }

    fn frame(self, flags: u8, body: &[u8]) -> Vec<u8> {
        match self {
            Dialect::V3 | Dialect::V2 => frame(flags, body),
            Dialect::V1 => v1_frame(flags, body),
        }
    }

    fn events(self) -> &'static [(i32, u64)] {
        match self {
            Dialect::V3 => &[SUCCEEDED],
            Dialect::V2 | Dialect::V1 => &[],
        }
    }
}

/// CVE-2019-6250, and every other length that wraps around when something is added to it.
#[test]
fn lengths_beyond_all_memory_end_the_connection() {
    let context = Context::new();
    let service = Service::start(&context, c::ZMQ_PULL, |_| {});
    let monitor = service.server.watch(&context);
    let mut sizes = Vec::new();
    for bits in [48, 62, 63] {
        let power = 1_u64 << bits;
        sizes.extend([power, power + 1, power + 8, power + 64, power + 8192]);
    }
    let top = 1_u64 << 63;
    sizes.extend([1, 2, 9, 10, 16, 17, 33, 64, 72, 8192, 65_536].map(|less| top - less));
    sizes.extend([0, 1, 2, 8, 9, 10, 16, 64, 72, 80, 8192, 65_536].map(|less| u64::MAX - less));
    for dialect in Dialect::ALL {
        for size in &sizes {
            for before in [&b""[..], &dialect.frame(MORE, b"part")] {
                let mut peer = Raw::connect(service.address);
                peer.send(&dialect.handshake());
                peer.offer(&[before, &dialect.header(0, *size), &[b'x'; 500]].concat());
                peer.expect_end();
                assert_eq!(monitor.story(), dialect.events(), "{dialect:?} {size:x}");
            }
        }
        assert!(service.check().is_empty());
    }
}

/// A length of ZMTP 1.0 counts the flags byte, so it cannot be 0.
#[test]
fn a_length_of_zero_ends_a_connection_of_the_first_dialect() {
    let context = Context::new();
    let service = Service::start(&context, c::ZMQ_PULL, |_| {});
    let monitor = service.server.watch(&context);
    for bytes in [&b"\0"[..], b"\0\0", b"\xff\0\0\0\0\0\0\0\0\0", b"\x02\x01a\0"] {
        let mut peer = Raw::connect(service.address);
        peer.send(&Dialect::V1.handshake());
        peer.offer(bytes);
        peer.expect_end();
        assert_eq!(monitor.story(), [], "{bytes:?}");
    }
    assert!(service.check().is_empty());
}

/// A length that some machine might have costs no more than what has come of it.
#[test]
fn announced_bytes_cost_nothing() {
    alone(|| {
        const PEERS: usize = 50;
        const SENT: usize = 10_000;
        let context = Context::new();
        let service = Service::start(&context, c::ZMQ_PULL, |_| {});
        let before = memory();
        let mut peers = Vec::new();
        for dialect in Dialect::ALL {
            for size in [1 << 20, 1 << 30, 1 << 40] {
                for _ in 0..PEERS {
                    let mut peer = Raw::connect(service.address);
                    peer.send(&dialect.handshake());
                    peer.send(&[dialect.header(0, size), vec![b'x'; SENT]].concat());
                    peers.push(peer);
                }
            }
            assert!(service.check().is_empty());
        }
        // What was sent is in memory or on the way there, and nobody has been given more.
        let grown = memory().saturating_sub(before);
        assert!(grown < peers.len() * (SENT + 64 * 1024) + 8 * MIB, "{grown} bytes");
        drop(peers);
        assert!(service.check().is_empty());
    });
}

#[test]
fn nothing_above_maxmsgsize_comes_in() {
    const MOST: usize = 1000;
    let context = Context::new();
    let service = Service::start(&context, c::ZMQ_PULL, |server| {
        server.set_bytes(c::ZMQ_MAXMSGSIZE, &(MOST as i64).to_ne_bytes());
    });
    let monitor = service.server.watch(&context);
    for dialect in Dialect::ALL {
        let fits = dialect.frame(0, &[b'f'; MOST]);
        let over = dialect.frame(0, &[b'o'; MOST + 1]);
        let amid = [dialect.frame(MORE, b"part"), over.clone()].concat();
        for bytes in [over, amid] {
            let mut peer = Raw::connect(service.address);
            peer.send(&[dialect.handshake(), fits.clone()].concat());
            peer.offer(&bytes);
            peer.expect_end();
            assert_eq!(monitor.story(), dialect.events());
            assert_eq!(service.check(), [[[b'f'; MOST]]]);
        }
    }
    let mut peer = Raw::connect(service.address);
    peer.send(&Dialect::V3.handshake());
    peer.offer(&frame(COMMAND, &command_body("SUBSCRIBE", &[b't'; MOST])));
    peer.expect_end();
    assert!(service.check().is_empty());
}

/// CVE-2020-36400 and CVE-2021-20235: sizes around the ends of the buffers that bytes arrive in, however they are
/// chopped. Everything arrives as it was sent.
#[test]
fn frames_of_all_sizes_arrive_however_they_are_chopped() {
    let context = Context::new();
    let service = Service::start(&context, c::ZMQ_PULL, |_| {});
    let mut sizes: Vec<usize> = (0..40).chain(120..135).chain(250..260).collect();
    for end in [1024, 4096, 8192, 16_384, 65_536, 131_072] {
        sizes.extend((end - 12)..(end + 12));
    }
    let mut random = fastrand::Rng::with_seed(11);
    for dialect in Dialect::ALL {
        for chop in [0, 1, 2, 3, 4] {
            random.shuffle(&mut sizes);
            let mut peer = Raw::connect(service.address);
            peer.send(&dialect.handshake());
            let mut sent = Vec::new();
            let mut bytes = Vec::new();
            for (n, size) in sizes.iter().enumerate() {
                let body = vec![n as u8; *size];
                let more = n % 3 != 2;
                bytes.extend(dialect.frame(u8::from(more) * MORE, &body));
                sent.push(body);
            }
            sent.truncate(sent.len() / 3 * 3);
            let mut writer = peer.0.try_clone().expect("a second handle");
            let mut cuts = random.fork();
            let writing = std::thread::spawn(move || {
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let most = match chop {
                        0 => rest.len(),
                        1 => 8192,
                        2 => cuts.usize(1..40_000),
                        3 => cuts.usize(8180..8205),
                        _ => cuts.usize(1..1500),
                    };
                    let (now, later) = rest.split_at(most.min(rest.len()));
                    writer.write_all(now).expect("an open connection");
                    rest = later;
                }
            });
            for message in sent.chunks(3) {
                assert!(service.server.recv() == message, "{dialect:?} {chop}");
            }
            writing.join().expect("a writer");
            assert!(service.check().is_empty());
        }
    }
}

/// CVE-2021-20235, in the bytes of its report.
#[test]
fn two_large_messages_of_an_old_peer() {
    let context = Context::new();
    let service = Service::start(&context, c::ZMQ_PULL, |_| {});
    for size in [8193, 9000, 16_384, 100_000, 1_000_000] {
        let mut peer = Raw::connect(service.address);
        peer.greet_v1();
        let message = v1_frame(0, &vec![b'x'; size]);
        peer.send(&message.repeat(2));
        for _ in 0..2 {
            assert!(service.server.recv() == [vec![b'x'; size]]);
        }
        assert!(service.check().is_empty());
    }
    for size in [8193, 100_000] {
        let mut peer = Raw::connect(service.address);
        peer.greet_v2(PUSH_NUMBER);
        peer.send(&frame(LONG, &vec![b'x'; size]).repeat(2));
        for _ in 0..2 {
            assert!(service.server.recv() == [vec![b'x'; size]]);
        }
    }
    assert!(service.check().is_empty());
}

/// There is no bound on the parts of a message; what it costs is what has come, and it goes with the connection.
#[test]
fn a_message_without_end_costs_what_has_come_of_it() {
    alone(|| {
        const SENT: usize = 64 * MIB;
        let context = Context::new();
        let service = Service::start(&context, c::ZMQ_PULL, |_| {});
        let monitor = service.server.watch(&context);
        let before = memory();
        let mut after_first = None;
        let parts = [b"".to_vec(), vec![b'x'; 100], vec![b'x'; 60_000]];
        for part in parts.iter().cycle().take(4 * parts.len()).map(|body| frame(MORE, body)) {
            let mut peer = Raw::connect(service.address);
            peer.greet("PUSH");
            let bytes = part.repeat(MIB / part.len());
            for _ in 0..SENT / MIB {
                peer.send(&bytes);
            }
            peer.expect_alive();
            let grown = memory().saturating_sub(before);
            assert!(grown < 2 * SENT, "{grown} bytes");
            assert!(service.check().is_empty());
            drop(peer);
            assert_eq!(monitor.story(), [SUCCEEDED]);
            assert!(service.check().is_empty());
            after_first.get_or_insert_with(memory);
        }
        // The allocator keeps some of what was freed, but the same each time.
        let left = memory().saturating_sub(after_first.expect("a measurement"));
        assert!(left < SENT, "{left} bytes");
    });
}

#[test]
fn very_many_parts_arrive_together() {
    const PARTS: usize = 200_000;
    let context = Context::new();
    let service = Service::start(&context, c::ZMQ_PULL, |_| {});
    for dialect in Dialect::ALL {
        let mut peer = Raw::connect(service.address);
        peer.send(&dialect.handshake());
        peer.send(&dialect.frame(MORE, b"p").repeat(PARTS));
        assert!(service.check().is_empty(), "not before it is complete");
        peer.send(&dialect.frame(0, b"l"));
        let parts = service.server.recv();
        assert_eq!(parts.len(), PARTS + 1);
        assert!(service.check().is_empty());
    }
}
