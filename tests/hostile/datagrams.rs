//! Datagrams from anybody, to DISH and DGRAM, and messages that fit into none.

use std::net::UdpSocket;

use zmq::base::constants as c;
use zmq::message::Msg;

use crate::support::alone::{alone, memory};
use crate::support::local::{Context, PATIENCE, Socket};

const MIB: usize = 1 << 20;
/// The most bytes in a datagram of ours.
const LARGEST: usize = 8192;
/// So many small ones are sure to fit into the kernel's buffer.
const BATCH: usize = 20;

/// A socket that is bound, and somebody who can reach it.
struct Target {
    socket: Socket,
    peer: UdpSocket,
    marks: u32,
}

impl Target {
    fn new(context: &Context, socket_type: i32) -> Target {
        let socket = context.socket(socket_type);
        socket.api().bind("udp://127.0.0.1:*").expect("a free port");
        if socket_type == c::ZMQ_DISH {
            socket.api().join(b"TV").expect("a group");
        }
        let endpoint = socket.last_endpoint();
        let peer = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        peer.connect(endpoint.strip_prefix("udp://").expect("its address")).expect("a connect");
        Target { socket, peer, marks: 0 }
    }

    /// What is due arrives, whatever came before, and only that; `between` is what DGRAM shows of the rest.
    fn check(&mut self, between: &[&[u8]]) {
        self.marks += 1;
        let mark = self.marks.to_string().into_bytes();
        self.peer.send(&[b"\x02TV", &mark[..]].concat()).expect("a datagram");
        for due in between {
            assert_eq!(self.receive().last().map(Vec::as_slice), Some(*due));
        }
        assert!(self.receive().last().is_some_and(|body| body.ends_with(&mark)));
        assert!(self.socket.try_recv().is_none());
    }

    fn receive(&self) -> Vec<Vec<u8>> {
        self.socket.recv()
    }
}

/// A length of the group's name that is 0x80 or more, or more than there is; nothing at all; more than is allowed.
#[test]
fn datagrams_without_form_reach_no_dish() {
    let context = Context::new();
    let mut target = Target::new(&context, c::ZMQ_DISH);
    let mut table: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"\x01".to_vec(),
        b"\x03TV".to_vec(),
        b"\x02TXother".to_vec(),
        b"\0nameless".to_vec(),
        [&b"\x02TV"[..], &[0; LARGEST - 2]].concat(),
        [&b"\x02TV"[..], &[0; 60_000]].concat(),
    ];
    for length in 0x7F..=0xFF {
        table.push(vec![length]);
        table.push([&[length][..], &vec![b'g'; usize::from(length) - 1]].concat());
        table.push([&[length][..], &vec![b'g'; usize::from(length)], b"body"].concat());
    }
    for datagrams in table.chunks(BATCH) {
        for datagram in datagrams {
            target.peer.send(datagram).expect("a datagram");
        }
        target.check(&[]);
    }
    // Names of these lengths are names.
    for length in [127, 128, 129, 254, 255] {
        let group = vec![b'g'; length];
        target.socket.api().join(&group).expect("a group");
        let datagram = [&[length as u8][..], &group, b"body"].concat();
        target.peer.send(&datagram).expect("a datagram");
        assert_eq!(target.receive(), [b"body"]);
        target.check(&[]);
    }
}

#[test]
fn noise_reaches_who_wants_it_and_harms_nobody() {
    let context = Context::new();
    let mut dish = Target::new(&context, c::ZMQ_DISH);
    let mut dgram = Target::new(&context, c::ZMQ_DGRAM);
    let mut random = fastrand::Rng::with_seed(5);
    for _ in 0..300 {
        let noise: Vec<Vec<u8>> = (0..BATCH)
            .map(|_| (0..random.usize(..100)).map(|_| random.u8(..)).collect())
            .filter(|datagram: &Vec<u8>| !datagram.starts_with(b"\x02TV"))
            .collect();
        for datagram in &noise {
            dish.peer.send(datagram).expect("a datagram");
            dgram.peer.send(datagram).expect("a datagram");
        }
        dish.check(&[]);
        dgram.check(&noise.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
}

/// What nobody has joined is not kept.
#[test]
fn groups_of_others_leave_no_memory_behind() {
    alone(|| {
        const ROUNDS: usize = 4000;
        let context = Context::new();
        let mut target = Target::new(&context, c::ZMQ_DISH);
        let mut after_first = None;
        for round in 0..ROUNDS {
            for n in 0..BATCH {
                let group = format!("{round}-{n}");
                let datagram = [&[group.len() as u8][..], group.as_bytes(), &[7; 1000]].concat();
                target.peer.send(&datagram).expect("a datagram");
            }
            target.check(&[]);
            if round == 100 {
                after_first = Some(memory());
            }
        }
        let grown = memory().saturating_sub(after_first.expect("a measurement"));
        assert!(grown < 2 * MIB, "{grown} bytes");
    });
}

/// And where the application does not read, the mark holds.
#[test]
fn datagrams_that_nobody_reads_are_bounded() {
    alone(|| {
        let context = Context::new();
        let target = Target::new(&context, c::ZMQ_DISH);
        let before = memory();
        let datagram = [&b"\x02TV"[..], &[7; 4000]].concat();
        for _ in 0..50_000 {
            target.peer.send(&datagram).expect("a datagram");
        }
        let grown = memory().saturating_sub(before);
        assert!(grown < 16 * MIB, "{grown} bytes of {}", 50_000 * datagram.len());
        assert_eq!(target.receive(), [[7; 4000]]);
    });
}

/// A message that no datagram can hold goes nowhere, without a trace.
#[test]
fn messages_too_large_for_a_datagram_are_not_sent() {
    alone(|| {
        let context = Context::new();
        let ear = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        ear.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let address = ear.local_addr().expect("its address").to_string();
        let radio = context.socket(c::ZMQ_RADIO);
        radio.api().connect(&format!("udp://{address}")).expect("a connect");
        let dgram = context.socket(c::ZMQ_DGRAM);
        dgram.api().bind("udp://127.0.0.1:*").expect("a free port");
        let call = |body: &[u8]| {
            let mut message = Msg::copy_of(body).expect("memory");
            message.set_group(b"TV").expect("a group");
            radio.api().send(&mut message, 0).expect("a send");
            dgram.send(&[address.as_bytes(), body]);
        };
        let mut heard = vec![0; 70_000];
        let mut before = 0;
        for round in 0..100 {
            for size in [LARGEST + 1, 9000, 65_507, 65_508, 70_000, 4 * MIB] {
                call(&vec![b'x'; size]);
            }
            call(b"fits");
            let mut found = [(); 2].map(|()| {
                let len = ear.recv(&mut heard).expect("what fits");
                heard[..len].to_vec()
            });
            found.sort();
            assert_eq!(found, [&b"\x02TVfits"[..], b"fits"]);
            if round == 20 {
                before = memory();
            }
        }
        let grown = memory().saturating_sub(before);
        assert!(grown < 16 * MIB, "{grown} bytes");
    });
}
