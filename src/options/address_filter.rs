//! One entry of ZMQ_TCP_ACCEPT_FILTER: a block of addresses that may connect.

use std::net::{IpAddr, Ipv6Addr};

/// Addresses that agree with `address` in their first `prefix` bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddressFilter {
    address: IpAddr,
    prefix: u8,
}

impl AddressFilter {
    /// Reads `address` or `address/bits`, numeric only; IPv6 only when `ipv6` is on.
    pub fn parse(text: &str, ipv6: bool) -> Option<AddressFilter> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        // The form of endpoints is taken too.
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let address: IpAddr = match bare {
            Some(bare) => IpAddr::V6(bare.parse().ok()?),
            None => address.parse().ok()?,
        };
        if address.is_ipv6() && !ipv6 {
            return None;
        }
        let most = if address.is_ipv6() { 128 } else { 32 };
        let prefix = match bits {
            // A sign would pass the parser of the standard library.
            Some(bits) if !bits.bytes().all(|digit| digit.is_ascii_digit()) => return None,
            Some(bits) => bits.parse().ok().filter(|&prefix| prefix <= most)?,
            None => most,
        };
        Some(AddressFilter { address, prefix })
    }

    /// Is `peer` in the block? An IPv4 peer is the same whether a listener for IPv4 accepted it or
    /// one for both families, which sees it as a mapped address.
    pub fn matches(&self, peer: IpAddr) -> bool {
        let (base, prefix) = match self.address {
            IpAddr::V4(address) => (address.to_ipv6_mapped(), self.prefix + 96),
            IpAddr::V6(address) => (address, self.prefix),
        };
        let peer = match peer {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        let differing = Ipv6Addr::to_bits(base) ^ Ipv6Addr::to_bits(peer);
        differing.leading_zeros() >= prefix.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(filter: &str, peer: &str) -> bool {
        AddressFilter::parse(filter, true).unwrap().matches(peer.parse().unwrap())
    }

    #[test]
    fn only_numeric_addresses_with_a_fitting_mask_are_taken() {
        for good in ["127.0.0.1", "10.0.0.0/8", "0.0.0.0/0", "1.2.3.4/32"] {
            assert!(AddressFilter::parse(good, false).is_some(), "{good}");
        }
        for good in ["::1", "::/0", "fe80::/10", "::1/128", "127.0.0.1/8", "[::1]", "[fe80::]/10"] {
            assert!(AddressFilter::parse(good, true).is_some(), "{good}");
        }
        let bad = [
            "",
            "/",
            "/8",
            "localhost",
            "1.2.3",
            "1.2.3.4/",
            "1.2.3.4/33",
            "1.2.3.4/-1",
            "1.2.3.4/+8",
            "1.2.3.4/8x",
            "1.2.3.4/8/8",
            "1.2.3.4/999",
            "::1/129",
            " 1.2.3.4",
            "*",
            "[127.0.0.1]",
            "[::1",
            "::1]",
        ];
        for bad in bad {
            assert!(AddressFilter::parse(bad, true).is_none(), "{bad}");
        }
        assert!(AddressFilter::parse("::1", false).is_none());
    }

    #[test]
    fn the_first_bits_decide() {
        assert!(matches("127.0.0.1", "127.0.0.1"));
        assert!(!matches("127.0.0.1", "127.0.0.2"));
        assert!(matches("10.1.0.0/16", "10.1.255.255"));
        assert!(!matches("10.1.0.0/16", "10.2.0.0"));
        assert!(matches("10.1.2.3/7", "11.0.0.0"));
        assert!(matches("0.0.0.0/0", "255.255.255.255"));
        assert!(matches("fe80::/10", "febf::1"));
        assert!(!matches("fe80::/10", "fec0::1"));
    }

    #[test]
    fn the_families_meet_in_mapped_addresses() {
        assert!(matches("127.0.0.1", "::ffff:127.0.0.1"));
        assert!(matches("::ffff:127.0.0.1", "127.0.0.1"));
        assert!(!matches("0.0.0.0/0", "::1"));
        assert!(matches("::/0", "1.2.3.4"));
    }
}
