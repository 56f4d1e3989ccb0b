//! Everything else that is taken apart: commands, property lists, replies of authentication handlers,
//! keys and addresses as text, option values, the dialogue with a proxy.

use zmq::base::{endpoint as endpoints, z85 as keys};
use zmq::options::{AddressFilter, ContextDefaults, Options, SocketType};
use zmq::transport::{Dial, Progress, Scheme, Socks, parse_connect, scheme_of};
use zmq::zmtp::Protocol;
use zmq::zmtp::command::{self, Command, MAX_CONTEXT_LEN};
use zmq::zmtp::mechanism::Outbox;
use zmq::zmtp::mechanism::zap::{Absent, ZapAnswer, ZapReply};
use zmq::zmtp::metadata as properties;

use super::Input;

pub(crate) fn commands(data: &[u8]) {
    let parsed = command::parse(data);
    let name_len = data.first().map_or(0, |len| usize::from(*len));
    if parsed == Command::Malformed {
        let ping = data.starts_with(b"\x04PING") && data.len() < 7;
        assert!(ping || name_len == 0 || name_len >= data.len());
        return;
    }
    let body_of = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        let header = zmq::zmtp::frame::parse(&out).expect("a frame");
        out.split_off(header.header_len)
    };
    let modern = Protocol::V3 { minor: 1 };
    let written = match parsed {
        Command::Subscribe(topic) => {
            body_of(&|out| command::push_subscription(out, modern, true, topic))
        }
        Command::Cancel(topic) => {
            body_of(&|out| command::push_subscription(out, modern, false, topic))
        }
        Command::Join(group) => body_of(&|out| command::push_join(out, group)),
        Command::Leave(group) => body_of(&|out| command::push_leave(out, group)),
        Command::Ping { context, .. } => {
            let pong = body_of(&|out| command::push_pong(out, context));
            assert!(pong.len() <= 5 + MAX_CONTEXT_LEN);
            assert!(data.ends_with(context) && context.len() + 7 == data.len());
            return;
        }
        Command::Error(field) => {
            let Some(reason) = command::error_reason(field) else { return };
            let said = body_of(&|out| command::push_error(out, reason));
            assert!(data.starts_with(&said));
            return;
        }
        Command::Ready(list) => return metadata(list),
        Command::Pong | Command::Other | Command::Malformed => return,
    };
    assert_eq!(written, data);
}

pub(crate) fn metadata(data: &[u8]) {
    let Some(list) = properties::parse(data) else { return };
    let mut written = Vec::new();
    for (name, value) in &list {
        properties::push(&mut written, name, value).expect("what was read can be written");
    }
    assert_eq!(written, data);
}

pub(crate) fn zap_reply(data: &[u8]) {
    let mut input = Input(data);
    let how = input.byte();
    let honest: [&[u8]; 7] = [b"", b"1.0", b"1", b"200", b"OK", b"user", b"\x01a\0\0\0\x01b"];
    let mut frames: Vec<&[u8]> = Vec::new();
    // As many honest frames as the first byte says, the rest from the input.
    frames.extend(honest.iter().take(usize::from(how & 7)));
    while !input.0.is_empty() {
        frames.push(input.chunk());
    }
    let reply = ZapReply::parse(&frames);
    let well_formed = frames.len() == 7
        && frames[0].is_empty()
        && frames[1] == b"1.0"
        && frames[2] == b"1"
        && [&b"200"[..], b"300", b"400", b"500"].contains(&frames[3])
        && properties::parse(frames[6]).is_some();
    assert_eq!(reply.is_ok(), well_formed);
    let absent = [Absent::Admits, Absent::Waits, Absent::Refuses][usize::from(how >> 3) % 3];
    let mut said = Vec::new();
    let judged = ZapAnswer::Reply(&frames).judge(absent, &mut Outbox::new(&mut said));
    match (reply, judged) {
        (Ok(ZapReply::Granted(grant)), Ok(Some(given))) => {
            assert_eq!((grant.user_id, grant.properties), (given.user_id, given.properties));
            assert!(said.is_empty());
        }
        (Ok(ZapReply::Denied(code)), Err(error)) => {
            assert_eq!((error.stays_open, said.is_empty()), (code == 300, code == 300));
        }
        (Err(_), Err(_)) => assert!(said.is_empty()),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn z85(data: &[u8]) {
    if let Some(bytes) = keys::decode(data) {
        assert_eq!(keys::encode(&bytes).expect("a multiple of four").as_bytes(), data);
    }
    match keys::encode(data) {
        None => assert!(!data.len().is_multiple_of(4)),
        Some(text) if data.is_empty() => assert!(text.is_empty()),
        Some(text) => assert_eq!(keys::decode(text.as_bytes()).expect("our own"), data),
    }
}

pub(crate) fn endpoint(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok((protocol, rest)) = endpoints::split(&text) else { return };
    assert_eq!(format!("{protocol}://{rest}"), text);
    let Ok(scheme) = scheme_of(protocol) else { return };
    assert_eq!(scheme.text(), protocol);
    let options = options();
    let Ok(dial) = parse_connect(scheme, rest, &options) else { return };
    if let Dial::Tcp { host, .. } = &dial {
        assert!(scheme != Scheme::Tcp || rest.contains(&**host));
    }
    // What can be told without asking the name service.
    let _numbers = dial.resolve_now(&options);
}

pub(crate) fn address_filter(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let narrow = AddressFilter::parse(&text, false);
    let wide = AddressFilter::parse(&text, true);
    assert!(narrow.is_none() || narrow == wide);
    let Some(filter) = wide else { return };
    let address = text.split('/').next().unwrap_or_default().trim_matches(['[', ']']);
    assert!(filter.matches(address.parse().expect("an address")), "a block without its own");
}

/// Any value for any option: what is refused changes nothing, what was taken can be read.
pub(crate) fn option_values(data: &[u8]) {
    let mut input = Input(data);
    let id = i32::from(input.byte());
    let mut options = options();
    let before = options.get(id);
    if options.set(id, Some(input.0)).is_err() {
        assert_eq!(format!("{:?}", options.get(id)), format!("{before:?}"), "option {id}");
    }
}

pub(crate) fn socks(data: &[u8]) {
    let mut input = Input(data);
    let login = vec![b'u'; usize::from(input.byte())];
    let cut = usize::from(input.byte()).max(1);
    let run = |cut: usize| {
        let mut socks = Socks::new("example.org", 5555, &login, &login);
        let mut said = Vec::new();
        socks.start(&mut said);
        let mut taken = 0;
        for piece in input.0.chunks(cut) {
            match socks.input(piece, &mut said) {
                Ok(Progress::NeedMore) => taken += piece.len(),
                Ok(Progress::Done { consumed }) => {
                    assert!(consumed <= piece.len());
                    return (said, taken + consumed, Some("done".to_owned()));
                }
                Err(error) => return (said, 0, Some(error.to_string())),
            }
        }
        assert!(said.len() <= 1024);
        (said, taken, None)
    };
    assert_eq!(run(cut), run(usize::MAX));
}

fn options() -> Options {
    let context = ContextDefaults { ipv6: true, blocky: true, zero_copy_recv: true };
    Options::new(SocketType::Dealer, context)
}
