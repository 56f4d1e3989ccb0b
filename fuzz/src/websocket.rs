//! WebSocket beneath ZMTP: the upgrade and the frames, as either end.

use zmq::base::constants::ZMQ_NULL;
use zmq::zmtp::frame;
use zmq::zmtp::zws::{Link, Role};

use super::Input;
use super::handshakes::base;

/// Answers to a peer that does not read end somewhere.
const MOST_SAID: usize = 256 * 1024;

pub(crate) fn server(data: &[u8]) {
    check(data, &Role::Server);
}

pub(crate) fn client(data: &[u8]) {
    check(data, &asking());
}

fn asking() -> Role {
    Role::Client { host: "example.org".to_owned(), path: "/".to_owned() }
}

/// What comes of `data`: options, how it is cut, then what the peer says, after an honest upgrade if so chosen.
fn check(data: &[u8], role: &Role) {
    let mut input = Input(data);
    let upgraded = input.byte() & 1 != 0;
    let cut = usize::from(input.byte()).max(1);
    let said = input.0;
    assert_eq!(heard(role, upgraded, said, cut), heard(role, upgraded, said, usize::MAX));
}

/// The upgrade as the other end of ours does it, after `request` if that is the server.
fn honest(role: &Role, request: &[u8]) -> Vec<u8> {
    let config = base(ZMQ_NULL, 0);
    let (mut said, mut frames) = (Vec::new(), Vec::new());
    if *role == Role::Server {
        Link::new(&config, &asking(), &mut said).expect("a request");
    } else {
        let mut server = Link::new(&config, &Role::Server, &mut said).expect("a server");
        server.input(request, &mut frames, &mut said).expect("our own request");
    }
    said
}

/// The frames that came out, how much was said, and how it stands.
fn heard(role: &Role, upgraded: bool, more: &[u8], cut: usize) -> (Vec<u8>, usize, String) {
    let (mut frames, mut said) = (Vec::new(), Vec::new());
    let mut link = Link::new(&base(ZMQ_NULL, 0), role, &mut said).expect("a link");
    let mut wire = if upgraded { honest(role, &said) } else { Vec::new() };
    wire.extend_from_slice(more);
    let mut agreed = String::new();
    for piece in wire.chunks(cut) {
        match link.input(piece, &mut frames, &mut said) {
            Ok(Some(subprotocol)) => {
                assert!(agreed.is_empty(), "upgraded twice");
                agreed = format!("{subprotocol:?}");
            }
            Ok(None) => {}
            Err(_) => return (frames, said.len(), "refused".to_owned()),
        }
        if link.ending().is_some() {
            break;
        }
    }
    assert!(said.len() <= MOST_SAID, "said {} bytes", said.len());
    // Each of ours has a header of at most nine bytes, each of theirs of at least two and the flags.
    assert!(frames.len() <= 4 * wire.len(), "{} bytes out of {}", frames.len(), wire.len());
    let mut rest = &frames[..];
    while let Some(len) = frame::parse(rest).and_then(|header| header.frame_len()) {
        let Some(later) = rest.get(len..) else { break };
        rest = later;
    }
    (frames, said.len(), format!("{agreed} {:?}", link.ending()))
}
