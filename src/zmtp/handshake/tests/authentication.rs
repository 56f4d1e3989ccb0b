//! Handshakes that ask an authentication handler, whose answers are made up here.

use super::*;

/// A server up to its request for authentication.
fn asking(config: Config, out: &mut Vec<u8>) -> Handshake {
    let mut handshake = Handshake::new(Arc::new(config)).unwrap();
    handshake.start(out);
    let bytes = greeted(b"\x04");
    let step = handshake.input(&bytes, Instant::now(), out).unwrap();
    assert_eq!(step.consumed, 64, "what follows the greeting waits for the next call");
    let Status::Zap(request) = step.status else {
        panic!("{:?}", step.status);
    };
    let frames = request.frames(b"127.0.0.1");
    let expected = [&b""[..], b"1.0", b"1", b"global", b"127.0.0.1", b"srv", b"NULL"];
    assert_eq!(*frames, expected);
    assert_eq!(out.len(), 64, "READY waits for the answer");
    handshake
}

fn reply<'a>(status: &'a [u8], list: &'a [u8]) -> [&'a [u8]; 7] {
    [b"", b"1.0", b"1", status, b"text", b"joe", list]
}

#[test]
fn authentication_lets_in() {
    let (mut early, mut late) = (Vec::new(), Vec::new());
    let frames = reply(b"200", b"\x01a\0\0\0\x01b");
    // The peer's READY after the answer, and before it.
    let mut handshake = asking(in_domain(false), &mut late);
    let status = handshake.zap_reply(ZapAnswer::Reply(&frames), &mut late).unwrap();
    assert!(matches!(status, Status::NeedMore));
    assert_eq!(late[64..], *b"\x04\x1A\x05READY\x0BSocket-Type\0\0\0\x04PULL");
    let step = handshake.input(PUSH_READY, Instant::now(), &mut late).unwrap();
    let Status::Done(after) = step.status else { panic!("{step:?}") };

    let mut handshake = asking(in_domain(false), &mut early);
    let step = handshake.input(PUSH_READY, Instant::now(), &mut early).unwrap();
    assert!(matches!(step, Step { consumed: 28, status: Status::NeedMore }));
    let status = handshake.zap_reply(ZapAnswer::Reply(&frames), &mut early).unwrap();
    let Status::Done(before) = status else { panic!("{status:?}") };

    assert_eq!(early, late);
    for peer in [after, before] {
        let properties = vec![(b"a".to_vec(), b"b".to_vec())];
        assert_eq!(peer.grant, Some(ZapGrant { user_id: b"joe".to_vec(), properties }));
        assert_eq!(peer.socket_type, b"PUSH");
    }
}

#[test]
fn authentication_keeps_out() {
    let protocol = |code: i32| Failure::Protocol(code as u32);
    let with = |at: usize, text: &'static [u8]| {
        let mut frames = reply(b"200", b"").to_vec();
        frames[at] = text;
        frames
    };
    let table = [
        (with(3, b"400"), Failure::Auth(400)),
        (with(3, b"500"), Failure::Auth(500)),
        (with(0, b"x"), protocol(ZMQ_PROTOCOL_ERROR_ZAP_UNSPECIFIED)),
        (with(1, b"1.1"), protocol(ZMQ_PROTOCOL_ERROR_ZAP_BAD_VERSION)),
        (with(2, b"2"), protocol(ZMQ_PROTOCOL_ERROR_ZAP_BAD_REQUEST_ID)),
        (with(3, b"210"), protocol(ZMQ_PROTOCOL_ERROR_ZAP_INVALID_STATUS_CODE)),
        (with(3, b"20"), protocol(ZMQ_PROTOCOL_ERROR_ZAP_INVALID_STATUS_CODE)),
        (with(6, b"\x01a\0"), protocol(ZMQ_PROTOCOL_ERROR_ZAP_INVALID_METADATA)),
        (vec![b"", b"1.0"], protocol(ZMQ_PROTOCOL_ERROR_ZAP_MALFORMED_REPLY)),
        (Vec::new(), protocol(ZMQ_PROTOCOL_ERROR_ZAP_MALFORMED_REPLY)),
        (vec![b""; 8], protocol(ZMQ_PROTOCOL_ERROR_ZAP_MALFORMED_REPLY)),
    ];
    for (frames, expected) in table {
        let mut out = Vec::new();
        let mut handshake = asking(in_domain(false), &mut out);
        let error = handshake.zap_reply(ZapAnswer::Reply(&frames), &mut out).unwrap_err();
        assert_eq!(error, expected.into(), "{frames:?}");
        match expected {
            Failure::Auth(code) => {
                assert_eq!(out[64..], command(format!("\x05ERROR\x03{code}").as_bytes()));
            }
            _ => assert_eq!(out.len(), 64, "defects of the handler are not the peer's affair"),
        }
        assert!(handshake.input(PUSH_READY, Instant::now(), &mut out).is_err());
    }
}

#[test]
fn a_temporary_refusal_stays_silent() {
    for (answer, enforce, failure) in [
        (ZapAnswer::Reply(&reply(b"300", b"")), false, Failure::Auth(300)),
        (ZapAnswer::NoHandler, true, Failure::NoDetail(Error::Fault.errno())),
    ] {
        let mut out = Vec::new();
        let mut handshake = asking(in_domain(enforce), &mut out);
        let error = handshake.zap_reply(answer, &mut out).unwrap_err();
        assert_eq!(error, HandshakeError { failure, stays_open: true });
        let step = handshake.input(PUSH_READY, Instant::now(), &mut out).unwrap();
        assert!(matches!(step, Step { consumed: 28, status: Status::NeedMore }));
        assert_eq!(out.len(), 64, "nothing is sent");
    }
}

#[test]
fn without_a_handler_a_domain_alone_bars_nobody() {
    let mut out = Vec::new();
    let mut handshake = asking(in_domain(false), &mut out);
    handshake.zap_reply(ZapAnswer::NoHandler, &mut out).unwrap();
    let step = handshake.input(PUSH_READY, Instant::now(), &mut out).unwrap();
    let Status::Done(peer) = step.status else { panic!("{step:?}") };
    assert_eq!(peer.grant, None);
}

#[test]
fn one_command_while_the_answer_is_awaited() {
    let mut out = Vec::new();
    let mut handshake = asking(in_domain(false), &mut out);
    handshake.input(PUSH_READY, Instant::now(), &mut out).unwrap();
    let error = handshake.input(PUSH_READY, Instant::now(), &mut out).unwrap_err();
    let code = ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND as u32;
    assert_eq!(error.failure, Failure::Protocol(code));
    // An answer that nobody waits for any more changes nothing.
    let frames = reply(b"200", b"");
    let status = handshake.zap_reply(ZapAnswer::Reply(&frames), &mut out).unwrap();
    assert!(matches!(status, Status::NeedMore));
    assert_eq!(out.len(), 64);

    out.clear();
    let mut handshake = asking(in_domain(false), &mut out);
    let error =
        handshake.input(&command(b"\x05ERROR\x03400"), Instant::now(), &mut out).unwrap_err();
    assert_eq!(error, Failure::Auth(400).into());
}
