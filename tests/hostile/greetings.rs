//! The first 64 bytes: garbage, other mechanisms, older dialects, silence.

use std::io::Write;

use zmq::base::constants as c;

use crate::support::local::{Context, Service};
use crate::support::raw::{Raw, SIGNATURE, frame, greeting, ready, v1_frame};

const MECHANISM_MISMATCH: (i32, u64) =
    (c::ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL, c::ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH as u64);

#[test]
fn another_mechanism_is_refused() {
    let context = Context::new();
    let service = Service::start(&context, c::ZMQ_PULL, |_| {});
    let monitor = service.server.watch(&context);
    let names: [&[u8]; 9] = [
        b"PLAIN",
        b"CURVE",
        b"GSSAPI",
        b"",
        b"null",
        b"NUL",
        b"NULLX",
        b"NULL\0X",
        b"NULLNULLNULLNULLNULL",
    ];
    for name in names {
        let mut peer = Raw::connect(service.address);
        peer.offer(&[greeting(name), ready("PUSH"), frame(0, b"in")].concat());
        peer.expect_end();
        assert_eq!(monitor.story(), [MECHANISM_MISMATCH], "{name:?}");
        assert!(service.check().is_empty());
    }
}

/// CVE-2014-9721: dialects without security are no way around it.
#[test]
fn an_old_header_does_not_get_past_a_zap_domain() {
    let context = Context::new();
    let service = Service::start(&context, c::ZMQ_PULL, |server| {
        server.set_bytes(c::ZMQ_ZAP_DOMAIN, b"guarded");
    });
    let monitor = service.server.watch(&context);
    let without_bit = [&SIGNATURE[..9], b"\x7e"].concat();
    let old_frames = [v1_frame(0, b""), v1_frame(0, b"in")].concat();
    let frames = [frame(0, b""), frame(0, b"in")].concat();
    let table: [&[u8]; 6] = [
        &old_frames,
        &[without_bit, old_frames.clone()].concat(),
        &[SIGNATURE, &b"\x00\x08"[..], &old_frames].concat(),
        &[SIGNATURE, &b"\x01\x08"[..], &frames].concat(),
        &[SIGNATURE, &b"\x00"[..]].concat(),
        &[SIGNATURE, &b"\x01"[..]].concat(),
    ];
    for bytes in table {
        let mut peer = Raw::connect(service.address);
        peer.offer(bytes);
        peer.expect_end();
        assert_eq!(monitor.story(), [], "{bytes:?}");
        assert!(service.check().is_empty(), "nothing of it came in");
    }
}

/// Nobody can say yes, and somebody has to.
#[test]
fn an_enforced_domain_without_a_handler_lets_nobody_in() {
    const PATIENCE_MS: i32 = 300;
    let context = Context::new();
    let service = Service::start(&context, c::ZMQ_PULL, |_| {});
    let guarded = context.socket(c::ZMQ_PULL);
    guarded.set_bytes(c::ZMQ_ZAP_DOMAIN, b"guarded");
    guarded.set(c::ZMQ_ZAP_ENFORCE_DOMAIN, 1);
    guarded.set(c::ZMQ_HANDSHAKE_IVL, PATIENCE_MS);
    let address = guarded.listen();
    let monitor = guarded.watch(&context);
    let mut peer = Raw::connect(address);
    peer.send(&[greeting(b"NULL"), ready("PUSH"), frame(0, b"in")].concat());
    assert_eq!(monitor.until(c::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL), libc::EFAULT as u64);
    // It is kept waiting, and may talk as much as it likes meanwhile: that is over with its time.
    let noise = frame(0, &[b'x'; 200]).repeat(500);
    let mut writer = peer.0.try_clone().expect("a second handle");
    let writing = std::thread::spawn(move || while writer.write_all(&noise).is_ok() {});
    while monitor.try_next().is_none_or(|event| event.code != c::ZMQ_EVENT_DISCONNECTED) {
        assert!(service.check().is_empty());
    }
    writing.join().expect("a writer");
    peer.expect_end();
    assert!(guarded.try_recv().is_none());
}

#[test]
fn garbage_is_survived() {
    let context = Context::new();
    let service = Service::start(&context, c::ZMQ_PULL, |_| {});
    let monitor = service.server.watch(&context);
    let mut samples: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"SSH-2.0-OpenSSH_9.2p1\r\n".to_vec(),
        b"\0".to_vec(),
        b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(),
        vec![0xff; 9],
        vec![0xff; 10],
        vec![0xff; 64],
        vec![0xff; 4096],
        vec![0; 4096],
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\0".to_vec(),
        [&greeting(b"NULL")[..], &[0xff; 100]].concat(),
        [&greeting(b"NULL")[..], &[0; 100]].concat(),
        [SIGNATURE, &b"\x01\x08"[..], &[0xff; 100]].concat(),
        [SIGNATURE, &b"\0\x08"[..], &[0xff; 100]].concat(),
        [SIGNATURE, &b"\0\x08"[..], &[0; 100]].concat(),
    ];
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..200 {
        let len = random.usize(1..300);
        let mut bytes: Vec<u8> = (0..len).map(|_| random.u8(..)).collect();
        match random.u8(..4) {
            0 => bytes[0] = 0xff,
            1 => bytes.splice(0..0, *SIGNATURE).for_each(drop),
            2 => bytes.splice(0..0, greeting(b"NULL")).for_each(drop),
            _ => {}
        }
        samples.push(bytes);
    }
    for bytes in samples {
        let mut peer = Raw::connect(service.address);
        peer.offer(&bytes);
        service.check();
        drop(peer);
        // However it was taken, it is over.
        monitor.story();
    }
    service.check();
}

#[test]
fn silent_peers_wait_out_their_time_and_nobody_else_does() {
    const PEERS: usize = 200;
    const HANDSHAKE_MS: i32 = 500;
    let context = Context::new();
    let service = Service::start(&context, c::ZMQ_PULL, |server| {
        server.set(c::ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
        server.set(c::ZMQ_BACKLOG, 1000);
    });
    let monitor = service.server.watch(&context);
    let started = std::time::Instant::now();
    let half = greeting(b"NULL");
    let mut peers: Vec<Raw> = (0..PEERS)
        .map(|n| {
            let mut peer = Raw::connect(service.address);
            // Some say nothing at all, others stop somewhere.
            peer.send(&half[..n % half.len()]);
            if n % 10 == 0 {
                service.check();
            }
            peer
        })
        .collect();
    peers.iter_mut().for_each(Raw::expect_end);
    assert!(started.elapsed().as_millis() >= HANDSHAKE_MS as u128);
    for story in monitor.stories(PEERS) {
        assert!(matches!(story[..], [(c::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, _)]), "{story:?}");
    }
    assert!(service.check().is_empty());
}

/// Every byte of many conversations alone, in turn.
#[test]
fn conversations_in_single_bytes_are_understood() {
    const EACH: usize = 20;
    let context = Context::new();
    let service = Service::start(&context, c::ZMQ_PULL, |_| {});
    let talks = [
        [greeting(b"NULL"), ready("PUSH"), frame(1, b"v"), frame(0, b"3")].concat(),
        [SIGNATURE, &b"\x01\x08"[..], b"\0\0", b"\x01\x01v\0\x012"].concat(),
        [SIGNATURE, &b"\x00\x08"[..], b"\x01\0", b"\x02\x01v\x02\x001"].concat(),
        b"\x01\0\x02\x01v\x02\x000".to_vec(),
    ];
    let mut peers: Vec<(Raw, &[u8])> = (0..EACH)
        .flat_map(|_| &talks)
        .map(|talk| (Raw::connect(service.address), talk.as_slice()))
        .collect();
    let longest = talks.iter().map(Vec::len).max().unwrap_or_default();
    let mut strangers = Vec::new();
    for at in 0..longest {
        for (peer, talk) in &mut peers {
            if let Some(byte) = talk.get(at) {
                peer.send(&[*byte]);
            }
        }
        strangers.extend(service.check());
    }
    while strangers.len() < peers.len() {
        strangers.push(service.server.recv());
    }
    for last in [b"0", b"1", b"2", b"3"] {
        let count = strangers.iter().filter(|parts| **parts == [b"v", last]).count();
        assert_eq!(count, EACH, "{last:?}");
    }
}
