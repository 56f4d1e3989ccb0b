//! NORM sessions: their addresses, `[NODE,][INTERFACE;]HOST:PORT`, and what the options make of them.

use std::net::IpAddr;

use nix::net::if_::if_nametoindex;

use super::address;
use super::tcp;
use crate::base::{Error, constants as c};
use crate::options::{NormOptions, Options};
use crate::sys::norm::{Congestion, Norm, Sending, Session, norm};

/// Which end of the traffic a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It sends to everybody.
    Sender,
    /// It hears everybody.
    Receiver,
}

/// What an address text means.
#[derive(Debug, PartialEq, Eq)]
struct Meaning<'a> {
    node: Option<u32>,
    interface: Option<&'a str>,
    address: IpAddr,
    port: u16,
}

/// A session at the text after `://`. Names are resolved, which may block.
///
/// EINVAL for what is no address, ENODEV where there is no such interface.
pub fn open_norm(text: &str, part: Part, options: &Options) -> Result<Session, Error> {
    let norm = norm().ok_or(Error::ProtoNotSupported)?;
    let meaning = read(text, tcp::wants_ipv6(options))?;
    // Without a name one is drawn: nodes of the same machine must not have the same.
    let node = meaning.node.unwrap_or_else(|| fastrand::u32(1..u32::MAX));
    open(norm, &meaning, node, part, options)
}

fn open(
    norm: Norm,
    meaning: &Meaning<'_>,
    node: u32,
    part: Part,
    options: &Options,
) -> Result<Session, Error> {
    let address = meaning.address.to_string();
    let mut session = Session::new(norm, &address, meaning.port, node).ok_or(Error::NoDevice)?;
    if let Some(interface) = meaning.interface
        && !session.set_interface(interface)
    {
        return Err(Error::NoDevice);
    }
    let multicast = meaning.address.is_multicast();
    session.share_port(multicast.then_some(&address));
    // The default is that of the library, whatever the option shows: datagrams pass routers.
    let hops = u8::try_from(options.multicast_hops).unwrap_or(u8::MAX);
    let hops = (options.multicast_hops != 1).then_some(hops);
    session.set_ways(hops, traffic_class(options), options.multicast_loop);
    let buffer = u32::try_from(options.norm.buffer_kb).unwrap_or(1).saturating_mul(1024);
    let started = match part {
        Part::Sender => session.send_as(fastrand::u16(..), &sending(options, buffer)),
        Part::Receiver => session.receive(buffer, options.norm.unicast_nack || !multicast),
    };
    if started { Ok(session) } else { Err(Error::NoDevice) }
}

/// ZMQ_TOS, with the mark that tells routers that ECN is understood where it is.
fn traffic_class(options: &Options) -> u8 {
    /// ECN-capable transport, the code point 0.
    const CAPABLE: u8 = 0b10;
    const ECN: u8 = 0b11;
    let tos = options.tos as u8;
    let marks = matches!(options.norm.mode, c::ZMQ_NORM_CCE | c::ZMQ_NORM_CCE_ECNONLY);
    if marks && tos & ECN == 0 { tos | CAPABLE } else { tos }
}

/// What the options ask for, within what a block can hold.
fn sending(options: &Options, buffer: u32) -> Sending {
    /// Data and parity of a block together.
    const SYMBOLS: i32 = 255;
    /// What fits into a datagram beside the headers.
    const LARGEST_SEGMENT: i32 = 65_000;
    let NormOptions { mode, segment_size, block_size, parity, auto_parity, push, .. } =
        options.norm;
    let mut block = block_size;
    let mut parity = parity.max(auto_parity).min(SYMBOLS - block);
    if block <= parity {
        parity = parity.min(SYMBOLS / 2);
        block = block.max(parity + 1);
    }
    let congestion = match mode {
        c::ZMQ_NORM_CCL => Congestion::HeavyLoss,
        c::ZMQ_NORM_CCE => Congestion::LossAndMarks,
        c::ZMQ_NORM_CCE_ECNONLY => Congestion::Marks,
        _ => Congestion::Loss,
    };
    Sending {
        // In kilobits a second.
        fixed_rate: (mode == c::ZMQ_NORM_FIXED).then(|| f64::from(options.rate) * 1000.0),
        congestion,
        buffer,
        segment: segment_size.min(LARGEST_SEGMENT) as u16,
        block: block as u16,
        parity: parity as u16,
        auto_parity: auto_parity.min(parity) as u8,
        push,
    }
}

fn read(text: &str, ipv6: bool) -> Result<Meaning<'_>, Error> {
    let (node, rest) = match text.split_once(',') {
        None => (None, text),
        Some(("", rest)) => (None, rest),
        Some((node, rest)) => {
            let node = node.parse().ok().filter(|node| (1..u32::MAX).contains(node));
            (Some(node.ok_or(Error::Invalid)?), rest)
        }
    };
    let (interface, target) = match rest.split_once(';') {
        None => (None, rest),
        Some(("", target)) => (None, target),
        Some((interface, target)) => (Some(interface), target),
    };
    if let Some(name) = interface
        && name.parse::<IpAddr>().is_err()
        && if_nametoindex(name).is_err()
    {
        return Err(Error::NoDevice);
    }
    let (host, port) = target.rsplit_once(':').ok_or(Error::Invalid)?;
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| digits && *port > 0).ok_or(Error::Invalid)?;
    if host.is_empty() || host == "*" {
        return Err(Error::Invalid);
    }
    let found = address::resolve_remote(host, port, ipv6).map_err(|_| Error::Invalid)?;
    let address = found.first().ok_or(Error::Invalid)?.ip().to_canonical();
    Ok(Meaning { node, interface, address, port })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{ContextDefaults, SocketType};

    fn options() -> Options {
        let context = ContextDefaults { ipv6: false, blocky: true, zero_copy_recv: true };
        Options::new(SocketType::Pub, context)
    }

    #[test]
    fn addresses_have_up_to_four_parts() {
        let group = IpAddr::from([239, 192, 1, 1]);
        let meaning = |node, interface| Meaning { node, interface, address: group, port: 5556 };
        assert_eq!(read("239.192.1.1:5556", false), Ok(meaning(None, None)));
        assert_eq!(read(",;239.192.1.1:5556", false), Ok(meaning(None, None)), "as if left out");
        assert_eq!(read("lo;239.192.1.1:5556", false), Ok(meaning(None, Some("lo"))));
        assert_eq!(read("127.0.0.1;239.192.1.1:5556", false), Ok(meaning(None, Some("127.0.0.1"))));
        assert_eq!(read("7,239.192.1.1:5556", false), Ok(meaning(Some(7), None)));
        assert_eq!(read("7,lo;239.192.1.1:5556", false), Ok(meaning(Some(7), Some("lo"))));
        for text in [
            "junk",
            "239.192.1.1",
            "239.192.1.1:",
            "239.192.1.1:0",
            "239.192.1.1:*",
            "239.192.1.1:70000",
            "239.192.1.1:5556x",
            "*:5556",
            ":5556",
            "x,239.192.1.1:5556",
            "0,239.192.1.1:5556",
            "4294967295,239.192.1.1:5556",
        ] {
            assert_eq!(read(text, false), Err(Error::Invalid), "{text}");
        }
        assert_eq!(read("nosuch;239.192.1.1:5556", false), Err(Error::NoDevice));
    }

    #[test]
    fn blocks_have_room_for_their_parity() {
        let mut options = options();
        let shape = |options: &Options| {
            let Sending { block, parity, auto_parity, .. } = sending(options, 1);
            (block, parity, auto_parity)
        };
        assert_eq!(shape(&options), (16, 4, 0));
        options.norm.auto_parity = 6;
        assert_eq!(shape(&options), (16, 6, 6));
        options.norm.block_size = 3;
        assert_eq!(shape(&options), (7, 6, 6));
        options.norm.block_size = 255;
        assert_eq!(shape(&options), (255, 0, 0));
        options.norm.parity = 254;
        options.norm.block_size = 1;
        assert_eq!(shape(&options), (128, 127, 6));
    }

    #[test]
    fn the_mode_says_what_limits_the_rate() {
        let mut options = options();
        assert_eq!(sending(&options, 1).fixed_rate, None);
        assert_eq!(
            (sending(&options, 1).congestion, traffic_class(&options)),
            (Congestion::Loss, 0)
        );
        options.norm.mode = c::ZMQ_NORM_FIXED;
        assert_eq!(sending(&options, 1).fixed_rate, Some(100_000.0));
        options.norm.mode = c::ZMQ_NORM_CCE;
        assert_eq!(sending(&options, 1).congestion, Congestion::LossAndMarks);
        assert_eq!(traffic_class(&options), 2);
        options.tos = 0x29;
        assert_eq!(traffic_class(&options), 0x29, "marked already");
    }
}
