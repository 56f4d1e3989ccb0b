//! PGM sockets: their addresses, `INTERFACE;GROUP:PORT` (zmq_pgm(7)), and what the options make of them.

use super::Part;
use crate::base::Error;
use crate::options::Options;
use crate::sys::pgm::{PgmSocket, Ways, pgm};

/// A socket at the text after `://`; with `udp` each datagram is one of UDP (epgm). Names are resolved, which may
/// block.
///
/// EINVAL for what is no address or not a group, EPERM where raw sockets are not for everybody.
pub fn open_pgm(text: &str, udp: bool, part: Part, options: &Options) -> Result<PgmSocket, Error> {
    let pgm = pgm().ok_or(Error::ProtoNotSupported)?;
    let (network, port) = read(text)?;
    PgmSocket::open(pgm, network, &ways(port, udp, part, options))
}

fn read(text: &str) -> Result<(&str, u16), Error> {
    let (network, port) = text.rsplit_once(':').ok_or(Error::Invalid)?;
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| digits && *port > 0).ok_or(Error::Invalid)?;
    if network.is_empty() { Err(Error::Invalid) } else { Ok((network, port)) }
}

fn ways(port: u16, udp: bool, part: Part, options: &Options) -> Ways {
    /// Expedited forwarding (RFC 3246), in the place of the traffic class.
    const EXPEDITED: u8 = 0x2e << 2;
    /// Windows within which small datagrams can be repaired, and those that do not eat all memory.
    const WINDOWS: std::ops::RangeInclusive<i64> = 256..=65_536;
    /// No less than the headers and something to carry.
    const SMALLEST: i32 = 128;
    let max_tpdu = options.multicast_maxtpdu.clamp(SMALLEST, i32::from(u16::MAX));
    // From kilobits to bytes.
    let rate = i64::from(options.rate) * 1000 / 8;
    let recoverable = rate.saturating_mul(i64::from(options.recovery_ivl_ms)) / 1000;
    let window = (recoverable / i64::from(max_tpdu)).clamp(*WINDOWS.start(), *WINDOWS.end());
    Ways {
        sender: part == Part::Sender,
        udp,
        port,
        max_tpdu: max_tpdu as u16,
        rate: i32::try_from(rate).unwrap_or(i32::MAX),
        window: window as i32,
        hops: u8::try_from(options.multicast_hops).unwrap_or(u8::MAX),
        tos: if options.tos == 0 { EXPEDITED } else { options.tos as u8 },
        loopback: options.multicast_loop,
        buffers: (options.sndbuf, options.rcvbuf),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{ContextDefaults, SocketType};

    #[test]
    fn addresses_have_a_network_and_a_port() {
        assert_eq!(read("eth0;239.192.1.1:5555"), Ok(("eth0;239.192.1.1", 5555)));
        assert_eq!(read("239.192.1.1:5555"), Ok(("239.192.1.1", 5555)));
        assert_eq!(read("::1;[ff02::5]:5555"), Ok(("::1;[ff02::5]", 5555)));
        for text in
            ["junk", "lo;239.1.1.1", "lo;239.1.1.1:", "lo;239.1.1.1:0", "lo;239.1.1.1:70000", ":1"]
        {
            assert_eq!(read(text), Err(Error::Invalid), "{text}");
        }
    }

    #[test]
    fn the_window_holds_what_is_sent_while_it_can_be_repaired() {
        let context = ContextDefaults { ipv6: false, blocky: true, zero_copy_recv: true };
        let mut options = Options::new(SocketType::Pub, context);
        let window = |options: &Options| ways(1, true, Part::Sender, options).window;
        assert_eq!(window(&options), 256, "83 large ones, but small ones count as much");
        options.rate = 10_000;
        assert_eq!(window(&options), 8333);
        options.recovery_ivl_ms = i32::MAX;
        options.rate = i32::MAX;
        assert_eq!(window(&options), 65_536);
        assert_eq!(ways(1, true, Part::Sender, &options).rate, i32::MAX);
    }
}
